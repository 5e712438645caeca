/* libFuzzer: any bytes as a plan file. The length and the checksum are made right first, so that what lies behind them is
 * reached. What loads is run once on zeros, when it is small. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../../lib/base/hash.h"
#include "../../lib/format/container.h"
#include "precinfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { MOST = 1 << 24 };                /* bytes of one block: a fuzzer's "out of memory" is no finding */
static void *lend(void *host, size_t n, size_t align)
{
    void *p = NULL;
    (void)host;
    return n > MOST || posix_memalign(&p, align < sizeof p ? sizeof p : align, n ? n : 1) ? NULL : p;
}
static void take_back(void *host, void *p) { (void)host; free(p); }

static void run(precinfer_plan *plan)
{
    struct precinfer_error err;
    precinfer_session *s;
    void *data[16] = { 0 };
    if (precinfer_plan_inputs(plan) > 16 || precinfer_session_new(plan, NULL, &s, &err)) return;
    int bad = 0;
    for (size_t i = 0; i < precinfer_plan_inputs(plan) && !bad; i++) {
        struct precinfer_io io;
        struct precinfer_tensor t = { 0 };
        size_t n = 1;
        precinfer_plan_input_info(plan, i, &io);
        t.dtype = io.dtype;
        t.rank = io.rank;
        for (int d = 0; d < io.rank; d++) n *= (size_t)(t.dims[d] = io.dims[d] < 0 ? 1 : io.dims[d]);
        bad = n > MOST || !(t.data = data[i] = calloc(n + 1, precinfer_dtype_size(io.dtype))) || precinfer_bind(s, io.name, &t, &err);
    }
    if (!bad) (void)precinfer_session_run(s, &err);
    precinfer_session_free(s);
    for (size_t i = 0; i < 16; i++) free(data[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static precinfer_context *ctx;
    struct precinfer_error err;
    precinfer_plan *plan;
    const struct precinfer_context_options o = { .size = sizeof o, .alloc = lend, .release = take_back, .cpu_mask = "ref" };
    if (!ctx && precinfer_context_new(&o, &ctx, &err)) abort();
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, bytes, size);
    if (size >= 64) {
        pi_store_u64(copy + 24, size);
        pi_store_u64(copy + 32, 0);
        pi_store_u64(copy + 32, pi_hash_of(copy, size));
    }
    if (!precinfer_plan_load_memory(ctx, copy, size, NULL, &plan, &err)) {
        run(plan);
        precinfer_plan_free(plan);
    }
    free(copy);
    return 0;
}
