#include <string.h>
#include "finish.h"

/* Product of dims from..rank-1; 0: one is open, or there are none to multiply with. */
static uint64_t product(const struct pi_tensor *t, int from)
{
    uint64_t all = 1;
    for (int i = from; i < t->rank; i++) {
        if (t->dims[i] <= 0)
            return 0;
        all *= (uint64_t)t->dims[i];
    }
    return all;
}

uint64_t pi_graph_macs(const precinfer_graph *g, const struct pi_node *n)
{
    if (!(n->op->flags & PI_OP_WEIGHTS) || n->nin < 2 || n->in[0] < 0 || n->in[1] < 0 || !n->nout || n->out[0] < 0)
        return 0;
    const struct pi_tensor *x = &g->values[n->in[0]].t, *w = &g->values[n->in[1]].t, *y = &g->values[n->out[0]].t;
    if (!strcmp(n->op->name, "Conv"))               /* each output: all taps of one group's channels             */
        return product(y, 1) * product(w, 1);
    if (!strcmp(n->op->name, "ConvTranspose"))      /* each input: all taps of one group's output channels        */
        return product(x, 1) * product(w, 1);
    if (!strcmp(n->op->name, "Gemm")) {
        int64_t transposed = 0;
        if (pi_attr_int(n, "transA", 0, &transposed, NULL) || x->rank != 2)
            return 0;
        const int64_t k = x->dims[transposed ? 0 : 1];
        return k > 0 ? product(y, 1) * (uint64_t)k : 0;
    }
    const int64_t k = x->rank ? x->dims[x->rank - 1] : 0;
    return k > 0 ? product(y, y->rank > 1 ? 1 : 0) * (uint64_t)k : 0;
}
