/* libFuzzer: any bytes as a statistics file. The length and the checksum are made right first, so that what lies behind them is
 * reached. What loads is encoded and must come back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../../lib/base/hash.h"
#include "../../lib/format/stats_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void again(precinfer_context *ctx, const precinfer_stats *s)
{
    struct pi_bytes b = { .a = &ctx->alloc };
    struct precinfer_error err;
    precinfer_stats *back;
    if (pi_stats_encode(s, &b, &err) || pi_stats_decode(ctx, b.data, b.size, &back, &err)) abort();
    if (back->nvalues != s->nvalues || back->data_hash != s->data_hash || pi_stats_merge(back, s, &err)) abort();
    pi_stats_release(back);
    pi_bytes_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static precinfer_context *ctx;
    struct precinfer_error err;
    precinfer_stats *s;
    if (!ctx && precinfer_context_new(NULL, &ctx, &err)) abort();
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, bytes, size);
    if (size >= 64) {
        pi_store_u64(copy + 24, size);
        pi_store_u64(copy + 32, 0);
        pi_store_u64(copy + 32, pi_hash_of(copy, size));
    }
    if (!pi_stats_decode(ctx, copy, size, &s, &err)) {
        again(ctx, s);
        pi_stats_release(s);
    }
    free(copy);
    return 0;
}
