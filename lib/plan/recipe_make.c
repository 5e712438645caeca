/* A recipe of one precision: which values are quantized, with ranges from the statistics. */
#include <string.h>
#include "../quant/qparams.h"
#include "plan.h"

struct make {
    precinfer_graph *g;
    pi_range_of *range; const void *stats;
    precinfer_recipe *r;
    uint8_t *precision;                 /* of each node                                                        */
    uint8_t *wants;                     /* of each value: is kept as u8                                        */
    int *same;                          /* of each value: another that must have the same scale (union-find)    */
    struct precinfer_error *err;
};

static int root(const struct make *m, int v) { while (m->same[v] != v) v = m->same[v]; return v; }

/* Per channel max |w| / 127, in double, rounded once; a channel of zeros: 1. */
static void weight_scales(const float *w, const struct pi_weight_layout *l, float *scale)
{
    memset(scale, 0, pi_layout_channels(l) * sizeof *scale);
    for (size_t i = 0; i < pi_layout_count(l); i++) {
        const float x = w[i] < 0 ? -w[i] : w[i];
        float *s = &scale[pi_layout_channel(l, i)];
        if (x > *s) *s = x;
    }
    for (size_t j = 0; j < pi_layout_channels(l); j++) {
        const float s = (float)((double)scale[j] / 127.0);
        scale[j] = s >= 1.17549435e-38f ? s : scale[j] > 0 ? 1.17549435e-38f : 1.0f;
    }
}

/* Consumers first: a value is worth keeping as u8 when something that computes on u8 reads it. */
static void choose_values(struct make *m)
{
    const precinfer_graph *g = m->g;
    for (size_t i = g->nnodes; i-- > 0;) {
        const struct pi_node *n = &g->nodes[i];
        if (n->dead || !n->nout || n->out[0] < 0) continue;
        if (m->precision[i] == PRECINFER_PRECISION_INT8) {
            m->wants[n->in[0]] = 1;
            if (n->fused.has_res) m->wants[n->fused.res] = 1;
            continue;
        }
        int out = 1;
        for (size_t j = 0; j < n->nout; j++) out &= n->out[j] < 0 || m->wants[n->out[j]];
        if (!out || pi_has_weights(g, n) || !pi_u8_capable(g, n)) continue;
        for (size_t j = 0; j < n->nin; j++) {
            if (!pi_data_input(g, n, j)) continue;
            m->wants[n->in[j]] = 1;
            if (n->op->flags & PI_OP_PASS) m->same[root(m, n->in[j])] = root(m, n->out[0]);
        }
        if (n->op->flags & PI_OP_PASS)
            for (size_t j = 1; j < n->nout; j++) if (n->out[j] >= 0) m->same[root(m, n->out[j])] = root(m, n->out[0]);
    }
}

/* Range of a value with all that must share its scale. */
static int params(const struct make *m, int v, struct pi_recipe_value *out)
{
    double lo = 0, hi = 0;
    for (size_t i = 0; i < m->g->nvalues; i++) {
        float min, max;
        if (!m->wants[i] || root(m, (int)i) != root(m, v)) continue;
        if (m->range(m->stats, m->g->values[i].name, &min, &max))
            return pi_fail(m->err, PRECINFER_INVALID, "the statistics have no range of value '%s': made from another model?", m->g->values[i].name);
        if (min < lo) lo = min;
        if (max > hi) hi = max;
    }
    out->name = m->g->values[v].name;
    if (pi_qparams(lo, hi, &out->scale, &out->zero_point))
        return pi_fail(m->err, PRECINFER_UNSUPPORTED, "value '%s' was not finite during calibration", out->name);
    return 0;
}

/* Would the s32 sums of this layer overflow for some input? Such a layer stays f32. */
static int overflows(const struct make *m, const struct pi_node *n, const float *scale, int *yes)
{
    const struct pi_weight_layout l = pi_layout_of(m->g, n);
    struct pi_recipe_value x;
    int8_t *q = pi_malloc(&m->g->ctx->alloc, pi_layout_count(&l));
    if (!q) return pi_no_memory(m->err, pi_layout_count(&l));
    const int status = params(m, n->in[0], &x);
    if (!status) {
        pi_quantize_weights(m->g->values[n->in[1]].t.data, &l, scale, q);
        *yes = pi_lowered_overflow(m->g, n, q, scale, x.scale, x.zero_point) != 0;
    }
    pi_free(&m->g->ctx->alloc, q);
    return status;
}

static int add_node(struct make *m, size_t i)
{
    const struct pi_node *n = &m->g->nodes[i];
    struct pi_recipe_node r = { .name = n->name, .op = n->op->name, .precision = m->precision[i] };
    if (r.precision == PRECINFER_PRECISION_INT8) {
        const struct pi_weight_layout l = pi_layout_of(m->g, n);
        float *scale = pi_malloc(&m->g->ctx->alloc, pi_layout_channels(&l) * sizeof *scale);
        int overflow = 0;
        if (!scale) return pi_no_memory(m->err, pi_layout_channels(&l) * sizeof *scale);
        weight_scales(m->g->values[n->in[1]].t.data, &l, scale);
        int status = overflows(m, n, scale, &overflow);
        if (overflow) r.precision = PRECINFER_PRECISION_F32;
        else { r.scales = scale; r.nscales = pi_layout_channels(&l); }
        if (!status) status = pi_recipe_add_node(m->r, &r, m->err);
        pi_free(&m->g->ctx->alloc, scale);
        return status;
    }
    return pi_recipe_add_node(m->r, &r, m->err);
}

static int fill(struct make *m, enum precinfer_precision precision)
{
    const precinfer_graph *g = m->g;
    for (size_t v = 0; v < g->nvalues; v++) m->same[v] = (int)v;
    for (size_t i = 0; i < g->nnodes; i++)
        if (!g->nodes[i].dead && pi_has_weights(g, &g->nodes[i]) && !pi_not_lowerable(g, &g->nodes[i], precision)) m->precision[i] = (uint8_t)precision;
    if (precision == PRECINFER_PRECISION_INT8) choose_values(m);
    for (size_t i = 0; i < g->nnodes; i++)
        if (!g->nodes[i].dead && pi_has_weights(g, &g->nodes[i])) PI_TRY(add_node(m, i));
    for (size_t v = 0; v < g->nvalues; v++) {
        struct pi_recipe_value x;
        if (!m->wants[v] || g->values[v].t.data) continue;
        PI_TRY(params(m, (int)v, &x));
        PI_TRY(pi_recipe_add_value(m->r, &x, m->err));
    }
    return pi_recipe_finish(m->r, m->err);
}

int pi_recipe_make(precinfer_graph *g, pi_range_of *range, const void *stats, const struct precinfer_preprocessing *pre,
                   enum precinfer_precision precision, precinfer_recipe **r, struct precinfer_error *err)
{
    struct make m = { .g = g, .range = range, .stats = stats, .err = err };
    PI_TRY(pi_recipe_create(g->ctx, &m.r, err));
    m.r->model_hash = g->hash;
    m.precision = pi_calloc(&g->ctx->alloc, g->nnodes + 1, 1);
    m.wants = pi_calloc(&g->ctx->alloc, g->nvalues + 1, 1);
    m.same = pi_calloc(&g->ctx->alloc, g->nvalues + 1, sizeof *m.same);
    int status = !m.precision || !m.wants || !m.same ? pi_no_memory(err, g->nvalues * sizeof *m.same) : 0;
    if (!status && pre && pre->given) status = pi_recipe_set_preprocessing(m.r, pre, err);
    if (!status) status = fill(&m, precision);
    pi_free(&g->ctx->alloc, m.precision);
    pi_free(&g->ctx->alloc, m.wants);
    pi_free(&g->ctx->alloc, m.same);
    if (status) pi_recipe_release(m.r); else *r = m.r;
    return status;
}
