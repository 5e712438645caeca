/* libFuzzer: any bytes as a file of recorded tensors, compared with itself. Lengths that fit and checksums are made right first, so
 * that what lies behind them is reached. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../../lib/base/bytes.h"
#include "../../lib/base/hash.h"
#include "precinfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { HEAD = 64 };
/* Of every record; the last one has the hash of all heads before it at its byte 16. */
static void repair(uint8_t *x, size_t size)
{
    struct pi_hash heads;
    pi_hash_init(&heads);
    for (size_t at = HEAD; at + HEAD <= size;) {
        const uint64_t n = pi_load_u64(x + at + 8), room = size - at - HEAD, done = !memcmp(x + at, "DONE", 4);
        if (n > room) return;
        if (done && n >= 24) { struct pi_hash all = heads; pi_store_u64(x + at + HEAD + 16, pi_hash_end(&all)); }
        pi_store_u64(x + at + 16, pi_hash_of(x + at + HEAD, (size_t)n));
        pi_hash_add(&heads, x + at, 24);
        at += HEAD + ((size_t)n + HEAD - 1) / HEAD * HEAD;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static precinfer_context *ctx;
    struct precinfer_error err;
    precinfer_diff *diff;
    char path[64];
    if (!ctx && precinfer_context_new(NULL, &ctx, &err)) abort();
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, bytes, size);
    repair(copy, size);
    const int fd = memfd_create("trace", 0);
    if (fd < 0 || write(fd, copy, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const struct precinfer_side side = { .size = sizeof side, .path = path };
    if (!precinfer_diff_new(ctx, &side, &side, NULL, NULL, NULL, &diff, &err)) {
        struct precinfer_diff_info info;
        struct precinfer_layer_diff layer;
        if (precinfer_diff_info(diff, &info) || info.first_different >= 0) abort();     /* it is equal to itself */
        for (size_t i = 0; i < info.layers; i++) if (precinfer_diff_layer(diff, i, &layer)) abort();
        precinfer_diff_free(diff);
    }
    close(fd);
    free(copy);
    return 0;
}
