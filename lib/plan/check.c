/* A lowered graph that came from a file: everything that build, compile and run take for granted is looked at, since a
 * checksum keeps damage out, not malice. */
#include <string.h>
#include "plan.h"

struct check {
    precinfer_graph *g;
    const struct pi_lowered_node *nodes; const struct pi_lowered_value *values;
    const struct pi_tensor **in; struct pi_tensor *out;
    struct precinfer_error *err;
};

static int refuse(const struct check *c, const struct pi_node *n, const char *what)
{
    return pi_node_fail(n, c->err, PRECINFER_MALFORMED, "plan file: %s", what);
}

/* What a node reads is there before it. */
static int order(const struct check *c, size_t index)
{
    const struct pi_node *n = &c->g->nodes[index];
    for (size_t j = 0; j < n->nin + n->fused.has_res; j++) {
        const int v = j < n->nin ? n->in[j] : n->fused.res;
        if (v < 0) continue;
        const struct pi_value *x = &c->g->values[v];
        if (!x->is_input && !x->t.data && (x->producer < 0 || x->producer >= (int)index))
            return refuse(c, n, "it reads a value that nothing before it computes");
    }
    return 0;
}

/* Shapes are what inference says; where that leaves a dimension open, folding may have known more. */
static int shapes(const struct check *c, const struct pi_node *n)
{
    for (size_t j = 0; j < n->nin; j++) c->in[j] = n->in[j] < 0 ? NULL : &c->g->values[n->in[j]].t;
    memset(c->out, 0, n->nout * sizeof *c->out);
    const struct pi_infer infer = { .node = n, .graph = c->g, .in = c->in, .out = c->out, .err = c->err };
    const size_t symbols = c->g->nsymbols;
    const int status = n->op->infer ? n->op->infer(&infer) : refuse(c, n, "its shape cannot be told");
    c->g->nsymbols = symbols;           /* those that inference made anew are of no use */
    PI_TRY(status);
    for (size_t j = 0; j < n->nout; j++) {
        const struct pi_tensor *want = &c->out[j], *have = n->out[j] < 0 ? NULL : &c->g->values[n->out[j]].t;
        if (!have) continue;
        if (have->type != want->type || have->rank != want->rank)
            return refuse(c, n, "an output's type or rank is not what its inputs give");
        for (int d = 0; d < have->rank; d++) {
            if (want->dims[d] == INT64_MIN) return pi_no_memory(c->err, sizeof(char *));
            if (want->dims[d] >= 0 && have->dims[d] != want->dims[d])
                return refuse(c, n, "an output's shape is not what its inputs give");
        }
    }
    if (!n->fused.has_res) return 0;
    const struct pi_tensor *res = &c->g->values[n->fused.res].t, *y = n->nout && n->out[0] >= 0
        ? &c->g->values[n->out[0]].t : NULL;
    return y && res->type == PI_F32 && !res->data && pi_same_dims(res, y)
        ? 0 : refuse(c, n, "what is added to it has another shape");
}

static int scaled(const struct check *c, int v) { return c->values[v].has_scale; }

static int weights(const struct check *c, const struct pi_node *n, const struct pi_lowered_node *l)
{
    const int type = c->g->values[n->in[1]].t.type, out = n->nout ? n->out[0] : -1;
    const int wanted = l->precision == PRECINFER_PRECISION_INT8 ? PI_S8 : l->precision == PRECINFER_PRECISION_BF16
        ? PI_BF16 : PI_F32;
    if (type != wanted || (wanted != PI_F32 && !(n->op->forms & PI_BIT(wanted == PI_S8 ? PI_U8 : PI_BF16))))
        return refuse(c, n, "its weights are not of its precision");
    if (l->table || (l->out_form == PI_FORM_BF16 && wanted != PI_BF16) ||
        (l->out_form == PI_FORM_U8 && (wanted != PI_S8 || out < 0 || !scaled(c, out))))
        return refuse(c, n, "its precision gives no such output");
    if (wanted == PI_F32) return 0;
    if (c->g->values[n->in[0]].t.type != PI_F32 || c->g->values[n->in[0]].t.data)
        return refuse(c, n, "its input cannot be lowered");
    if (n->nin > 2 && n->in[2] >= 0) {
        const struct pi_tensor *b = &c->g->values[n->in[2]].t;
        if (!b->data || b->type != PI_F32 || (size_t)pi_elements(b) != pi_weight_channels(c->g, n))
            return refuse(c, n, "its bias is not one constant a channel");
    }
    if (wanted != PI_S8) return 0;
    if (!scaled(c, n->in[0]) || !l->weight_scale) return refuse(c, n, "its input or weights have no scale");
    const struct pi_lowered_value *x = &c->values[n->in[0]];
    return pi_lowered_overflow(c->g, n, c->g->values[n->in[1]].t.data, l->weight_scale, x->scale, x->zp)
        ? refuse(c, n, "its sums could overflow") : 0;
}

static int form(const struct check *c, size_t index)
{
    const struct pi_node *n = &c->g->nodes[index];
    const struct pi_lowered_node *l = &c->nodes[index];
    if (pi_has_weights(c->g, n)) return weights(c, n, l);
    if (l->precision != PRECINFER_PRECISION_F32) return refuse(c, n, "it has no weights, but a precision");
    if (l->out_form == PI_FORM_NATIVE && !l->table) return 0;
    if (!pi_u8_capable(c->g, n)) return refuse(c, n, "it computes in no other form");
    if (l->out_form == PI_FORM_BF16) return n->op->flags & PI_OP_PASS && !l->table ? 0 : refuse(c, n, "it does not move bf16");
    return l->out_form == PI_FORM_U8 && l->table == !!(n->op->flags & PI_OP_UNARY) && pi_u8_scales(c->g, n, c->values)
        ? 0 : refuse(c, n, "its scales do not fit");
}

static int all(const struct check *c)
{
    for (size_t i = 0; i < c->g->nnodes; i++) {
        PI_TRY(order(c, i));
        PI_TRY(shapes(c, &c->g->nodes[i]));
        PI_TRY(form(c, i));
    }
    for (size_t i = 0; i < c->g->noutputs; i++) {
        const struct pi_value *v = &c->g->values[c->g->outputs[i]];
        if (!v->is_input && !v->t.data && v->producer < 0)
            return pi_fail(c->err, PRECINFER_MALFORMED, "plan file: output '%s' is computed by no node", v->name);
    }
    return 0;
}

int pi_lowered_check(precinfer_graph *g, const struct pi_lowered_node *nodes, const struct pi_lowered_value *values,
                     struct precinfer_error *err)
{
    struct pi_arena scratch = { .a = &g->ctx->alloc };
    size_t most_in = 1, most_out = 1;
    for (size_t i = 0; i < g->nnodes; i++) {
        if (g->nodes[i].nin > most_in) most_in = g->nodes[i].nin;
        if (g->nodes[i].nout > most_out) most_out = g->nodes[i].nout;
    }
    struct check c = { .g = g, .nodes = nodes, .values = values, .err = err };
    c.in = pi_arena_new(&scratch, most_in, sizeof *c.in);
    c.out = pi_arena_new(&scratch, most_out, sizeof *c.out);
    const int status = c.in && c.out ? all(&c) : pi_no_memory(err, most_out * sizeof *c.out);
    pi_arena_free(&scratch);
    return status;
}
