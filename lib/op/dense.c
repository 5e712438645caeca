#include <string.h>
#include "dense.h"
#include "../graph/graph.h"

struct pi_packed pi_packed_sizes(const struct pi_packing *p, size_t segs, size_t k, size_t n)
{
    const size_t seg = (k + p->kr - 1) / p->kr * pi_k_group_bytes(p), panel = pi_up(segs * seg, 64);
    return (struct pi_packed){ .p = p, .n = n, .k = k, .segs = segs, .kc = k * segs, .nk = 1, .seg_bytes = seg,
                               .panel_bytes = panel,
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

/* ---------------------------------------------------------------- products */

int pi_dense_choose(const struct pi_dense_ask *q, struct pi_dense *d)
{
    struct pi_problem p = { .family = PI_GEMM, .a = q->a, .b = q->b, .out = q->out, .stages = q->stages,
                            .m = pi_choice_m(q->b, q->m), .n = q->n, .k = q->k, .segs = 1 };
    *d = (struct pi_dense){ 0 };
    if (!q->w) p.growth = PI_NOT_LISTED;
    else if (q->b == PI_S8) p.growth = pi_listed_growth(&pi_pack_s8x16q, q->w, 1, q->k, q->n, 0, q->sk, q->sn);
    const struct pi_row *row = pi_choose(q->cpu, q->isas, q->only, &p, q->why, q->user);
    if (row && !q->w && row->packing->listed)       /* `only` asked for it, but it cannot be packed at run */
        row = pi_choose(q->cpu, q->isas, NULL, &p, NULL, NULL);
    if (!row || (!q->w && row->packing->listed)) return 1;
    d->rows[0] = row;
    d->nrows = pi_heights(row, d->rows, PI_DENSE_HEIGHTS);
    return 0;
}

int pi_dense_pack(const precinfer_context *ctx, const struct pi_dense_ask *q, struct pi_dense *d, struct precinfer_error *err)
{
    return q->w ? pi_pack(&ctx->alloc, &d->w, d->rows[0]->packing, q->w, 1, q->k, q->n, q->k, 0, q->sk, q->sn, 0, err) : 0;
}

void pi_dense_drop(const precinfer_context *ctx, struct pi_dense *d)
{
    if (d->w.b) pi_packed_free(&ctx->alloc, &d->w);
}

int pi_dense_compile(struct pi_compile *c, const struct pi_dense_ask *q, struct pi_dense *d, struct precinfer_error *err)
{
    if (!q->w && q->b == PI_S8) return pi_node_fail(c->node, err, PRECINFER_UNSUPPORTED, "int8 weights must be constant");
    if (pi_dense_choose(q, d))
        return pi_node_fail(c->node, err, PRECINFER_UNSUPPORTED, "no kernel computes %s x %s to %s", pi_type_name(q->a),
                            pi_type_name(q->b), pi_type_name(q->out));
    c->kernel = d->rows[0]->name;
    if (c->choose_only) return 0;
    PI_TRY(pi_dense_pack(c->ctx, q, d, err));
    c->packed_bytes = d->w.bytes + d->w.nsub * sizeof *d->w.sub + d->w.nlist * sizeof *d->w.list;
    return 0;
}
