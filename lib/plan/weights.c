/* Which nodes have weights, and which output channel each weight belongs to. */
#include <string.h>
#include "plan.h"

static int is(const struct pi_node *n, const char *op) { return strcmp(n->op->name, op) == 0; }

int pi_has_weights(const precinfer_graph *g, const struct pi_node *n)
{
    if (!(n->op->flags & PI_OP_WEIGHTS) || n->nin < 2 || n->in[1] < 0) return 0;
    const struct pi_tensor *w = &g->values[n->in[1]].t;
    if (!w->data || (w->type != PI_F32 && w->type != PI_BF16 && w->type != PI_S8)) return 0;
    return !is(n, "MatMul") || w->rank == 2;
}

/* A product of two activations has no weights, though its operator may. */
int pi_is_layer_with_weights(const precinfer_graph *g, const struct pi_node *n)
{
    if (!(n->op->flags & PI_OP_WEIGHTS) || n->nin < 2 || n->in[1] < 0) return 0;
    return !is(n, "MatMul") || g->values[n->in[1]].t.data != NULL;
}

static int64_t attr(const struct pi_node *n, const char *name, int64_t fallback)
{
    int64_t v;
    return pi_attr_int(n, name, fallback, &v, NULL) ? fallback : v;
}

size_t pi_weight_channels(const precinfer_graph *g, const struct pi_node *n)
{
    const struct pi_tensor *w = &g->values[n->in[1]].t;
    if (is(n, "ConvTranspose")) return (size_t)(w->dims[1] * attr(n, "group", 1));
    if (is(n, "Gemm")) return (size_t)w->dims[attr(n, "transB", 0) ? 0 : 1];
    return (size_t)w->dims[is(n, "MatMul") ? w->rank - 1 : 0];
}

/* How weights are walked: channel = (i / inner) % outer, within a group of ConvTranspose. */
struct pi_weight_walk pi_weight_walk(const precinfer_graph *g, const struct pi_node *n)
{
    const struct pi_tensor *w = &g->values[n->in[1]].t;
    const size_t count = (size_t)pi_elements(w);
    struct pi_weight_walk k = { .count = count, .channels = pi_weight_channels(g, n), .groups = 1, .group = count };
    if (is(n, "ConvTranspose")) {
        k.groups = (size_t)attr(n, "group", 1);
        k.group = count / k.groups;
        k.outer = (size_t)w->dims[1];
        k.inner = k.group / (size_t)(w->dims[0] / (int64_t)k.groups) / k.outer;
    } else if (is(n, "MatMul") || (is(n, "Gemm") && !attr(n, "transB", 0))) {
        k.outer = k.channels; k.inner = 1;
    } else {
        k.outer = k.channels; k.inner = k.channels ? count / k.channels : 1;
    }
    if (!k.inner) k.inner = 1;
    return k;
}

size_t pi_weight_channel(const struct pi_weight_walk *k, size_t i)
{
    return i / k->inner % k->outer + i / k->group * k->outer;
}
