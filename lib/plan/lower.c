/* A recipe applied to a fused graph: weights in their stored precision, and the form of every value where it is produced.
 * A function of graph and recipe alone. */
#include <string.h>
#include "plan.h"

static int is(const struct pi_node *n, const char *op) { return strcmp(n->op->name, op) == 0; }

/* ------------------------------------------------------------------------------------------------ what can be lowered */

const char *pi_not_lowerable(const precinfer_graph *g, const struct pi_node *n, enum precinfer_precision precision)
{
    if (precision == PRECINFER_PRECISION_F32) return NULL;
    if (!(n->op->forms & PI_BIT(precision == PRECINFER_PRECISION_INT8 ? PI_U8 : PI_BF16))) return "the operator has no such form";
    if (g->values[n->in[0]].t.data) return "its input is constant";
    if (g->values[n->in[0]].t.type != PI_F32 || g->values[n->in[1]].t.type != PI_F32) return "it does not compute in f32";
    if (n->nin > 2 && n->in[2] >= 0) {
        const struct pi_tensor *b = &g->values[n->in[2]].t;
        if (!b->data || (size_t)pi_elements(b) != pi_weight_channels(g, n)) return "its bias is not one constant a channel";
    }
    if (is(n, "Gemm")) {
        float alpha = 1, beta = 1;
        int64_t trans = 0;
        if (pi_attr_float(n, "alpha", 1, &alpha, NULL) || pi_attr_float(n, "beta", 1, &beta, NULL) || pi_attr_int(n, "transA", 0, &trans, NULL) ||
            alpha != 1.0f || beta != 1.0f || trans) return "alpha, beta or transA is not the default";
    }
    return NULL;
}

int pi_data_input(const precinfer_graph *g, const struct pi_node *n, size_t i)
{
    return n->in[i] >= 0 && (i == 0 || g->values[n->in[i]].t.type == PI_F32) && !(n->op->flags & PI_OP_UNARY && i > 0);
}

int pi_u8_capable(const precinfer_graph *g, const struct pi_node *n)
{
    if (n->op->flags & (PI_OP_WEIGHTS | PI_OP_SHAPE) || !n->nin || n->in[0] < 0) return 0;
    if (!(n->op->flags & (PI_OP_PASS | PI_OP_UNARY)) && !(n->op->forms & PI_BIT(PI_U8))) return 0;
    for (size_t i = 0; i < n->nin; i++)
        if (pi_data_input(g, n, i) && (g->values[n->in[i]].t.data || g->values[n->in[i]].t.type != PI_F32)) return 0;
    for (size_t i = 0; i < n->nout; i++)
        if (n->out[i] >= 0 && g->values[n->out[i]].t.type != PI_F32) return 0;
    return 1;
}

/* ------------------------------------------------------------------------------------------------ weights */

void pi_quantize_weights(const float *w, const struct pi_weight_layout *l, const float *scale, int8_t *q)
{
    for (size_t i = 0; i < pi_layout_count(l); i++) {
        double x = (double)w[i] / (double)scale[pi_layout_channel(l, i)];
        x = x < -127 ? -127 : x > 127 ? 127 : (x + 6755399441055744.0) - 6755399441055744.0;    /* 1.5 * 2^52: to nearest even */
        q[i] = (int8_t)x;
    }
}

size_t pi_lowered_overflow(const precinfer_graph *g, const struct pi_node *n, const int8_t *q, const float *scale, float sx, int32_t zp)
{
    const struct pi_weight_layout l = pi_layout_of(g, n);
    return pi_layer_overflow(q, &l, n->nin > 2 && n->in[2] >= 0 ? g->values[n->in[2]].t.data : NULL, sx, scale, zp);
}

static int add_weights(precinfer_graph *g, struct pi_node *n, enum pi_type type, const void *data, const char *suffix, struct precinfer_error *err)
{
    char name[256];
    size_t at = 0;
    struct pi_tensor t = g->values[n->in[1]].t;
    t.type = (uint8_t)type;
    t.data = (void *)(uintptr_t)data;
    for (const char *s = n->name; *s && at < 220; s++) name[at++] = *s;
    for (const char *s = suffix; *s; s++) name[at++] = *s;
    name[at] = 0;
    while (pi_graph_find_value(g, name) >= 0 && at < 255) { name[at++] = '\''; name[at] = 0; }
    return pi_graph_add_constant(g, name, &t, 1, &n->in[1], err);
}

static int lower_int8(precinfer_graph *g, struct pi_node *n, const struct pi_recipe_node *r, const struct pi_lowered_value *x,
                      struct pi_lowered_node *d, struct precinfer_error *err)
{
    const struct pi_weight_layout l = pi_layout_of(g, n);
    if (!x->has_scale) return pi_node_fail(n, err, PRECINFER_INVALID, "int8 needs values.%s in the recipe", g->values[n->in[0]].name);
    if (r->nscales != pi_layout_channels(&l))
        return pi_node_fail(n, err, PRECINFER_INVALID, "nodes.%s.weight_scales: %zu scales for %zu output channels", n->name, r->nscales, pi_layout_channels(&l));
    int8_t *q = pi_arena_big(&g->arena, pi_layout_count(&l));
    float *scale = pi_arena_new(&g->arena, pi_layout_channels(&l), sizeof *scale);
    if (!q || !scale) return pi_no_memory(err, pi_layout_count(&l));
    memcpy(scale, r->scales, pi_layout_channels(&l) * sizeof *scale);
    pi_quantize_weights(g->values[n->in[1]].t.data, &l, scale, q);
    const size_t column = pi_lowered_overflow(g, n, q, scale, x->scale, x->zp);
    if (column) return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "int8 sums of output channel %zu could overflow 32 bits", column - 1);
    d->weight_scale = scale;
    return add_weights(g, n, PI_S8, q, "/s8", err);
}

static int lower_bf16(precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    const size_t count = (size_t)pi_elements(&g->values[n->in[1]].t);
    const float *w = g->values[n->in[1]].t.data;
    uint16_t *q = pi_arena_big(&g->arena, count * sizeof *q);
    if (!q) return pi_no_memory(err, count * sizeof *q);
    for (size_t i = 0; i < count; i++) q[i] = pi_f32_to_bf16(w[i]);
    return add_weights(g, n, PI_BF16, q, "/bf16", err);
}

/* ------------------------------------------------------------------------------------------------ forms */

static int all_scaled(const precinfer_graph *g, const struct pi_node *n, const struct pi_lowered_value *v)
{
    for (size_t i = 0; i < n->nin; i++) if (pi_data_input(g, n, i) && !v[n->in[i]].has_scale) return 0;
    for (size_t i = 0; i < n->nout; i++) if (n->out[i] >= 0 && !v[n->out[i]].has_scale) return 0;
    return 1;
}
/* A node that only moves elements cannot change their scale; a unary can, through its table. */
static int same_scales(const precinfer_graph *g, const struct pi_node *n, const struct pi_lowered_value *v)
{
    const struct pi_lowered_value *a = &v[n->in[0]];
    for (size_t i = 0; i < n->nin; i++)
        if (pi_data_input(g, n, i) && (v[n->in[i]].scale != a->scale || v[n->in[i]].zp != a->zp)) return 0;
    for (size_t i = 0; i < n->nout; i++)
        if (n->out[i] >= 0 && (v[n->out[i]].scale != a->scale || v[n->out[i]].zp != a->zp)) return 0;
    return 1;
}

int pi_u8_scales(const precinfer_graph *g, const struct pi_node *n, const struct pi_lowered_value *v)
{
    return all_scaled(g, n, v) && (!(n->op->flags & PI_OP_PASS) || same_scales(g, n, v));
}

/* A value is kept in bf16 where a bf16 node, or a mover on the way to one, reads it. Last consumers first. */
static void forms(const precinfer_graph *g, struct pi_lowered_node *nodes, const struct pi_lowered_value *values, uint8_t *wants)
{
    for (size_t i = g->nnodes; i-- > 0;) {
        const struct pi_node *n = &g->nodes[i];
        if (n->dead || !n->nout || n->out[0] < 0) continue;
        const int weights = pi_has_weights(g, n), bf16 = nodes[i].precision == PRECINFER_PRECISION_BF16;
        int out = 1;
        for (size_t j = 0; j < n->nout; j++) out &= n->out[j] < 0 || (wants[n->out[j]] && g->values[n->out[j]].t.type == PI_F32);
        if (weights) {
            nodes[i].out_form = values[n->out[0]].has_scale && nodes[i].precision == PRECINFER_PRECISION_INT8 ? PI_FORM_U8
                              : bf16 && out ? PI_FORM_BF16 : PI_FORM_NATIVE;
            if (bf16) { wants[n->in[0]] = 1; if (n->fused.has_res) wants[n->fused.res] = 1; }
            continue;
        }
        const int mover = n->op->flags & PI_OP_PASS;
        if (pi_u8_capable(g, n) && pi_u8_scales(g, n, values)) {
            nodes[i].out_form = PI_FORM_U8;
            nodes[i].table = n->op->flags & PI_OP_UNARY ? 1 : 0;
        } else if (mover && out && pi_u8_capable(g, n)) {
            nodes[i].out_form = PI_FORM_BF16;
            for (size_t j = 0; j < n->nin; j++) if (pi_data_input(g, n, j)) wants[n->in[j]] = 1;
        }
    }
}

/* Every name in a recipe must be the model's, or an edit with a slip of the pen would silently do nothing. */
static int check_names(const precinfer_graph *g, const precinfer_recipe *r, struct precinfer_error *err)
{
    for (size_t i = 0; i < r->nnodes; i++) {
        size_t j = 0;
        while (j < g->nnodes && (g->nodes[j].dead || strcmp(g->nodes[j].name, r->nodes[i].name))) j++;
        if (j == g->nnodes) return pi_fail(err, PRECINFER_INVALID, "recipe: nodes.%s: the model has no such node (or it was fused into another)", r->nodes[i].name);
        if (!pi_has_weights(g, &g->nodes[j]) && r->nodes[i].precision != PRECINFER_PRECISION_F32)
            return pi_fail(err, PRECINFER_INVALID, "recipe: nodes.%s: a node without constant weights has no precision of its own", r->nodes[i].name);
    }
    for (size_t i = 0; i < r->nvalues; i++)
        if (pi_graph_find_value(g, r->values[i].name) < 0)
            return pi_fail(err, PRECINFER_INVALID, "recipe: values.%s: the model has no such value", r->values[i].name);
    return 0;
}

int pi_lower(precinfer_graph *g, const precinfer_recipe *r, struct pi_lowered_node *nodes, struct pi_lowered_value *values,
             struct precinfer_error *err)
{
    if (!r) return 0;
    PI_TRY(check_names(g, r, err));
    for (size_t i = 0; i < r->nvalues; i++)
        values[pi_graph_find_value(g, r->values[i].name)] = (struct pi_lowered_value){ 1, r->values[i].scale, r->values[i].zero_point };
    for (size_t i = 0; i < g->nnodes; i++) {
        struct pi_node *n = &g->nodes[i];
        const struct pi_recipe_node *p = n->dead || !pi_has_weights(g, n) ? NULL : pi_recipe_node(r, n->name);
        if (!p || p->precision == PRECINFER_PRECISION_F32) continue;
        const char *no = pi_not_lowerable(g, n, (enum precinfer_precision)p->precision);
        if (no) return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "cannot run as %s: %s", precinfer_precision_string((enum precinfer_precision)p->precision), no);
        if (p->precision == PRECINFER_PRECISION_INT8) PI_TRY(lower_int8(g, n, p, &values[n->in[0]], &nodes[i], err));
        else PI_TRY(lower_bf16(g, n, err));
        nodes[i].precision = p->precision;
    }
    uint8_t *wants = pi_calloc(&g->ctx->alloc, g->nvalues + 1, 1);
    if (!wants) return pi_no_memory(err, g->nvalues);
    forms(g, nodes, values, wants);
    pi_free(&g->ctx->alloc, wants);
    return 0;
}
