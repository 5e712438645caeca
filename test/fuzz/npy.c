/* libFuzzer: any bytes as a .npy file. What parses is copied, and fed to two models. */
#include <stdint.h>
#include <stdlib.h>
#include "../../lib/format/data.h"
#include "../../lib/format/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void feed(const struct pi_npy *npy, const uint8_t *data, const struct precinfer_io *io,
                 const struct precinfer_preprocessing *pre)
{
    const struct pi_feed_rules rules = { .pre = pre, .raw = pre->given, .floats = pi_is_float(io->dtype) };
    struct pi_feed f;
    struct precinfer_error err;
    if (pi_feed_plan(io, npy, &rules, &f, &err) || f.bytes > (size_t)1 << 24) return;
    void *to = malloc(f.bytes + 1);
    for (int64_t i = 0; i < f.dims[0] && i < 4; i++) if (pi_feed_sample(&f, data, (size_t)i, to, &err)) break;
    free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct precinfer_preprocessing pre = { 1, 255, 3, { 1, 2, 3 }, { 1, 2, 3 },
                                                        PRECINFER_NHWC }, none = { .divide = 1 };
    const struct precinfer_io image = { .name = "x", .dtype = PRECINFER_F32, .rank = 4, .dims = { -1, 3, -1, -1 } };
    struct precinfer_error err;
    struct pi_npy npy;
    if (pi_npy_header(bytes, size, &npy, &err) || pi_npy_check_size(&npy, size, &err)) return 0;
    void *to = malloc(npy.bytes + 1);
    pi_npy_copy(&npy, bytes + npy.offset, to);
    free(to);
    feed(&npy, bytes + npy.offset, &image, &pre);
    struct precinfer_io ids = { .name = "ids", .dtype = PRECINFER_S32, .rank = npy.rank };
    for (int i = 0; i < npy.rank; i++) ids.dims[i] = -1;
    if (npy.rank) feed(&npy, bytes + npy.offset, &ids, &none);
    return 0;
}
