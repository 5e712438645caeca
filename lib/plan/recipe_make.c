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
            return pi_fail(m->err, PRECINFER_INVALID, "the statistics have no range of value '%s': made from another model?",
                           m->g->values[i].name);
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

static void choose(struct make *m, enum precinfer_precision precision)
{
    const precinfer_graph *g = m->g;
    for (size_t i = 0; i < g->nnodes; i++)
        if (!g->nodes[i].dead && pi_has_weights(g, &g->nodes[i]) &&
            !pi_not_lowerable(g, &g->nodes[i], precision)) m->precision[i] = (uint8_t)precision;
    if (precision == PRECINFER_PRECISION_INT8) choose_values(m);
}

static int fill(struct make *m)
{
    const precinfer_graph *g = m->g;
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

static int start(struct make *m, uint64_t model_hash)
{
    const precinfer_graph *g = m->g;
    PI_TRY(pi_recipe_create(g->ctx, &m->r, m->err));
    m->r->model_hash = model_hash;
    m->precision = pi_calloc(&g->ctx->alloc, g->nnodes + 1, 1);
    m->wants = pi_calloc(&g->ctx->alloc, g->nvalues + 1, 1);
    m->same = pi_calloc(&g->ctx->alloc, g->nvalues + 1, sizeof *m->same);
    if (!m->precision || !m->wants || !m->same) return pi_no_memory(m->err, g->nvalues * sizeof *m->same);
    for (size_t v = 0; v < g->nvalues; v++) m->same[v] = (int)v;
    return 0;
}

static int finish(struct make *m, int status, precinfer_recipe **r)
{
    const struct pi_allocator *a = &m->g->ctx->alloc;
    pi_free(a, m->precision);
    pi_free(a, m->wants);
    pi_free(a, m->same);
    if (status) pi_recipe_release(m->r); else *r = m->r;
    return status;
}

int pi_recipe_make(precinfer_graph *g, pi_range_of *range, const void *stats, const struct precinfer_preprocessing *pre,
                   enum precinfer_precision precision, precinfer_recipe **r, struct precinfer_error *err)
{
    struct make m = { .g = g, .range = range, .stats = stats, .err = err };
    int status = start(&m, g->hash);
    if (!status && pre && pre->given) status = pi_recipe_set_preprocessing(m.r, pre, err);
    if (!status) {
        choose(&m, precision);
        status = fill(&m);
    }
    return finish(&m, status, r);
}

/* ------------------------------------------------------------------------------------------------ from another recipe */

/* Precisions of a recipe; one that a node cannot have any more is left to pi_lower, which names it. */
static void take_precisions(struct make *m, const precinfer_recipe *r)
{
    for (size_t i = 0; i < m->g->nnodes; i++) {
        const struct pi_node *n = &m->g->nodes[i];
        const struct pi_recipe_node *p = n->dead || !pi_has_weights(m->g, n) ? NULL : pi_recipe_node(r, n->name);
        m->precision[i] = p ? p->precision : PRECINFER_PRECISION_F32;
    }
}

/* Movers between two quantized values, which must share a scale. */
static void join_movers(struct make *m)
{
    const precinfer_graph *g = m->g;
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct pi_node *n = &g->nodes[i];
        if (n->dead || !n->nout || n->out[0] < 0 || !(n->op->flags & PI_OP_PASS) || !pi_u8_capable(g, n)) continue;
        int all = 1;
        for (size_t j = 0; j < n->nin; j++) if (pi_data_input(g, n, j)) all &= m->wants[n->in[j]];
        for (size_t j = 0; j < n->nout; j++) if (n->out[j] >= 0) all &= m->wants[n->out[j]];
        if (!all) continue;
        for (size_t j = 0; j < n->nin; j++)
            if (pi_data_input(g, n, j)) m->same[root(m, n->in[j])] = root(m, n->out[0]);
        for (size_t j = 1; j < n->nout; j++) if (n->out[j] >= 0) m->same[root(m, n->out[j])] = root(m, n->out[0]);
    }
}

int pi_recipe_twin(precinfer_graph *g, pi_range_of *range, const void *stats, const precinfer_recipe *like,
                   precinfer_recipe **twin, struct precinfer_error *err)
{
    struct make m = { .g = g, .range = range, .stats = stats, .err = err };
    int status = start(&m, like->model_hash);
    if (!status) status = pi_recipe_set_preprocessing(m.r, &like->preprocessing, err);
    if (!status) {
        take_precisions(&m, like);
        for (size_t i = 0; i < like->nvalues; i++) {
            const int v = pi_graph_find_value(g, like->values[i].name);
            if (v >= 0) m.wants[v] = 1;
        }
        join_movers(&m);
        status = fill(&m);
    }
    return finish(&m, status, twin);
}

/* Values that before and after are worth keeping as u8: what was wanted and no longer is goes; what somebody wrote into the
 * recipe by hand stays. */
static int keep_values(struct make *m, const precinfer_recipe *r, const uint8_t *before)
{
    for (size_t i = 0; i < r->nvalues; i++) {
        const int v = pi_graph_find_value(m->g, r->values[i].name);
        if (v < 0 || !before[v] || m->wants[v]) PI_TRY(pi_recipe_add_value(m->r, &r->values[i], m->err));
    }
    return 0;
}

static int copy_nodes(struct make *m, const precinfer_recipe *r, const char *const *names, size_t n,
                      enum precinfer_precision precision)
{
    for (size_t i = 0; i < n; i++)
        if (!pi_recipe_node(r, names[i])) return pi_fail(m->err, PRECINFER_NOT_FOUND, "the recipe has no node '%s'", names[i]);
    for (size_t i = 0; i < r->nnodes; i++) {
        struct pi_recipe_node node = r->nodes[i];
        size_t k = 0;
        while (k < n && strcmp(names[k], node.name)) k++;
        if (k < n && node.precision != precision) { node.precision = (uint8_t)precision; node.nscales = 0; node.scales = NULL; }
        PI_TRY(pi_recipe_add_node(m->r, &node, m->err));
    }
    return pi_recipe_finish(m->r, m->err);
}

static int with(struct make *m, const precinfer_recipe *r, const char *const *names, size_t n,
                enum precinfer_precision precision, uint8_t *before)
{
    PI_TRY(pi_recipe_set_preprocessing(m->r, &r->preprocessing, m->err));
    if (r->tuned.samples) PI_TRY(pi_recipe_add_tuned(m->r, r->tuned.samples, r->tuned.hashes, r->tuned.n, m->err));
    PI_TRY(copy_nodes(m, r, names, n, precision));
    take_precisions(m, r);
    choose_values(m);
    memcpy(before, m->wants, m->g->nvalues);
    memset(m->wants, 0, m->g->nvalues);
    take_precisions(m, m->r);
    choose_values(m);
    PI_TRY(keep_values(m, r, before));
    return pi_recipe_finish(m->r, m->err);
}

int pi_recipe_with(precinfer_graph *g, const precinfer_recipe *r, const char *const *names, size_t n,
                   enum precinfer_precision precision, precinfer_recipe **changed, struct precinfer_error *err)
{
    struct make m = { .g = g, .err = err };
    uint8_t *before = pi_calloc(&g->ctx->alloc, g->nvalues + 1, 1);
    if (!before) return pi_no_memory(err, g->nvalues);
    int status = start(&m, r->model_hash);
    if (!status) status = with(&m, r, names, n, precision, before);
    pi_free(&g->ctx->alloc, before);
    return finish(&m, status, changed);
}
