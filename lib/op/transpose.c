/* Transpose: a view of the input with its dimensions in another order. */
#include "infer.h"
#include "walk.h"

static int check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    return pi_ints_of_attr(n, "perm", n->params, err);
}

/* Where output dimension d comes from. */
static int source(const struct pi_ints *perm, int rank, int d) { return perm->present ? (int)perm->v[d] : rank - 1 - d; }

static int infer(const struct pi_infer *i)
{
    const struct pi_ints *perm = i->node->params;
    const struct pi_tensor *in = i->in[0];
    struct pi_tensor *out = &i->out[0];
    unsigned seen = 0;
    if (perm->present && perm->n != (size_t)in->rank)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "perm has %zu entries, the input rank %d", perm->n, in->rank);
    pi_set_like(out, in);
    out->rank = in->rank;
    for (int d = 0; d < in->rank; d++) {
        if (perm->present && (perm->v[d] < 0 || perm->v[d] >= in->rank || (seen >> perm->v[d] & 1)))
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "perm is no permutation: %lld at %d",
                                (long long)perm->v[d], d);
        seen |= 1u << source(perm, in->rank, d);
        out->dims[d] = in->dims[source(perm, in->rank, d)];
    }
    return 0;
}

static void run(const struct pi_call *c)
{
    const struct pi_ints *perm = c->node->params;
    struct pi_tensor view = *c->in[0];
    for (int d = 0; d < view.rank; d++) {
        const int from = source(perm, view.rank, d);
        view.dims[d] = c->in[0]->dims[from];
        view.stride[d] = c->in[0]->stride[from];
    }
    pi_move(c->ctx, &view, c->out[0]);
}

const struct pi_opdef pi_op_Transpose = {
    .name = "Transpose", .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS, .params_bytes = sizeof(struct pi_ints), .check = check, .infer = infer, .run = run
};
