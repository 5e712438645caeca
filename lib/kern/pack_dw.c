/* The depthwise packer: [block of nr channels][tap / kr][channel][tap % kr], zero where a tap or a channel is not there. */
#include <string.h>
#include "pack.h"

static size_t element(const struct pi_packing *p) { return p->type == PI_F32 ? 4 : p->type == PI_BF16 ? 2 : 1; }

int pi_pack_dw(const struct pi_allocator *a, struct pi_packed *d, const struct pi_packing *p, const void *w, size_t taps, size_t n,
               ptrdiff_t st, ptrdiff_t sn, struct precinfer_error *err)
{
    const size_t e = element(p), nr = p->nr, kr = p->kr;
    size_t block, bytes;
    memset(d, 0, sizeof *d);
    if (pi_mul_size(pi_up(taps, kr), nr * e, &block) || pi_mul_size(pi_up(n, nr) / nr, block, &bytes))
        return pi_no_memory(err, SIZE_MAX);
    *d = (struct pi_packed){ .p = p, .n = n, .k = taps, .segs = 1, .kc = taps, .nk = 1, .seg_bytes = block, .panel_bytes = block,
                             .bytes = bytes, .groups = pi_up(taps, kr) / kr };
    d->b = pi_calloc(a, bytes, 1);
    if (!d->b) return pi_no_memory(err, bytes);
    for (size_t j = 0; j < n; j++)
        for (size_t t = 0; t < taps; t++) {
            const ptrdiff_t from = (ptrdiff_t)t * st + (ptrdiff_t)j * sn;
            const size_t to = (t / kr * nr + j % nr) * kr + t % kr;
            memcpy(d->b + j / nr * block + to * e, (const char *)w + from * (ptrdiff_t)e, e);
        }
    return PRECINFER_OK;
}
