/* Which nodes have weights. */
#include <string.h>
#include "plan.h"

int pi_has_weights(const precinfer_graph *g, const struct pi_node *n)
{
    if (!(n->op->flags & PI_OP_WEIGHTS) || n->nin < 2 || n->in[1] < 0) return 0;
    const struct pi_tensor *w = &g->values[n->in[1]].t;
    if (!w->data || (w->type != PI_F32 && w->type != PI_BF16 && w->type != PI_S8)) return 0;
    return strcmp(n->op->name, "MatMul") || w->rank == 2;
}

/* A product of two activations has no weights, though its operator may. */
int pi_is_layer_with_weights(const precinfer_graph *g, const struct pi_node *n)
{
    if (!(n->op->flags & PI_OP_WEIGHTS) || n->nin < 2 || n->in[1] < 0) return 0;
    return strcmp(n->op->name, "MatMul") || g->values[n->in[1]].t.data != NULL;
}

struct pi_weight_layout pi_layout_of(const precinfer_graph *g, const struct pi_node *n)
{
    return pi_weight_layout(n, &g->values[n->in[1]].t);
}

size_t pi_weight_channels(const precinfer_graph *g, const struct pi_node *n)
{
    const struct pi_weight_layout l = pi_layout_of(g, n);
    return pi_layout_channels(&l);
}
