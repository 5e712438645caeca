#include <string.h>
#include "dense.h"
#include "../graph/graph.h"

struct pi_packed pi_packed_sizes(const struct pi_packing *p, size_t segs, size_t k, size_t n)
{
    const size_t seg = (k + p->kr - 1) / p->kr * pi_k_group_bytes(p), panel = pi_up(segs * seg, 64);
    return (struct pi_packed){ .p = p, .n = n, .k = k, .segs = segs, .kc = k * segs, .nk = 1, .seg_bytes = seg, .panel_bytes = panel,
                               .bytes = (n + p->nr - 1) / p->nr * panel };
}

size_t pi_first_nonfinite(enum pi_type type, const void *data, size_t n)
{
    if (type == PI_F32)
        for (size_t i = 0; i < n; i++) {
            uint32_t u;
            memcpy(&u, (const char *)data + i * 4, 4);
            if ((u & 0x7f800000u) == 0x7f800000u) return i;
        }
    if (type == PI_BF16)
        for (size_t i = 0; i < n; i++)
            if ((((const uint16_t *)data)[i] & 0x7f80u) == 0x7f80u) return i;
    return n;
}

int pi_check_weights(const struct pi_compile *c, size_t slot, struct precinfer_error *err)
{
    const struct pi_tensor *const w = c->in[slot];
    if (!w->data) return 0;
    const size_t n = (size_t)pi_elements(w), at = pi_first_nonfinite(w->type, w->data, n);
    return at < n ? pi_node_fail(c->node, err, PRECINFER_MALFORMED, "weight %zu of %zu is not finite", at, n) : 0;
}
