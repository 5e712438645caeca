/* libFuzzer: any bytes as an .npz archive. Every entry of what opens is read. */
#include <stdint.h>
#include <stdlib.h>
#include "../../lib/format/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static precinfer_context *ctx;
    struct precinfer_error err;
    struct pi_npz *npz;
    const struct pi_npy *npy;
    if (!ctx && precinfer_context_new(NULL, &ctx, &err)) abort();
    if (pi_npz_open(ctx, bytes, size, &npz, &err)) return 0;
    for (size_t i = 0; i < pi_npz_count(npz); i++) {
        if (pi_npz_find(npz, pi_npz_entry(npz, i, &npy)) != (int)i) abort();
        void *to = malloc(npy->bytes + 1);
        (void)pi_npz_read(npz, i, to, &err);
        free(to);
    }
    pi_npz_close(npz);
    return 0;
}
