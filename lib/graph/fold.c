/* Constant folding: a node whose inputs are all known runs when the model is loaded. */
#include <string.h>
#include "finish.h"

static int known_dims(const struct pi_tensor *t)
{
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < 0)
            return 0;
    return 1;
}

static int inputs_known(const precinfer_graph *g, const struct pi_node *n)
{
    if (n->op->flags & PI_OP_SHAPE)
        return n->nin && n->in[0] >= 0 && known_dims(&g->values[n->in[0]].t);
    for (size_t i = 0; i < n->nin; i++)
        if (n->in[i] >= 0 && !g->values[n->in[i]].t.data)
            return 0;
    return 1;
}

/* Channels last differs from row-major from rank 3 on; such operators on constants are left to the session. */
static int wants_other_layout(const precinfer_graph *g, const struct pi_node *n)
{
    if (!(n->op->flags & PI_OP_SPATIAL))
        return 0;
    for (size_t i = 0; i < n->nin; i++)
        if (n->in[i] >= 0 && g->values[n->in[i]].t.rank > 2)
            return 1;
    for (size_t i = 0; i < n->nout; i++)
        if (n->out[i] >= 0 && g->values[n->out[i]].t.rank > 2)
            return 1;
    return 0;
}

/* Bytes of all results; SIZE_MAX: unknown, or more than is folded. */
static size_t result_bytes(const precinfer_graph *g, const struct pi_node *n)
{
    size_t all = 0;
    for (size_t i = 0; i < n->nout; i++) {
        if (n->out[i] < 0)
            continue;
        const struct pi_tensor *t = &g->values[n->out[i]].t;
        const int64_t elements = pi_elements(t);
        if (elements < 0 || (uint64_t)elements * pi_type_size(t->type) > PI_FOLD_MAX_BYTES)
            return SIZE_MAX;
        all += (size_t)elements * pi_type_size(t->type);
    }
    return all;
}

/* Gives an output that has no data its own block. */
static int allocate(precinfer_graph *g, int value, struct precinfer_error *err)
{
    const struct pi_tensor *t = &g->values[value].t;
    const size_t bytes = (size_t)pi_elements(t) * pi_type_size(t->type);
    void *data = pi_malloc(&g->ctx->alloc, bytes);
    if (!data)
        return pi_no_memory(err, bytes);
    const int status = pi_graph_own(g, value, data, err);
    if (status)
        pi_free(&g->ctx->alloc, data);
    else
        g->values[value].t.data = data;
    return status;
}

/* The same elements under other dims. */
static int fold_alias(precinfer_graph *g, struct pi_node *n)
{
    if (!(n->op->flags & PI_OP_ALIAS) || n->nin < 1 || n->nout < 1 || n->in[0] < 0 || n->out[0] < 0)
        return 0;
    for (size_t i = 1; i < n->nout; i++)
        if (n->out[i] >= 0)
            return 0;
    const struct pi_value *from = &g->values[n->in[0]];
    struct pi_value *to = &g->values[n->out[0]];
    if (from->t.type != to->t.type || pi_elements(&from->t) != pi_elements(&to->t) || !pi_is_row_major(&from->t))
        return 0;
    to->t.data = from->t.data;
    to->block = from->block;
    return 1;
}

static int run(struct pi_finish *f, struct pi_node *n)
{
    precinfer_graph *g = f->g;
    const struct pi_allocator *a = &g->ctx->alloc;
    struct pi_tensor **out = pi_arena_new(&f->scratch, n->nout, sizeof *out);
    if (!out)
        return pi_no_memory(f->err, n->nout * sizeof *out);
    for (size_t i = 0; i < n->nin; i++)
        f->in[i] = n->in[i] < 0 ? NULL : &g->values[n->in[i]].t;
    for (size_t i = 0; i < n->nout; i++) {
        if (n->out[i] < 0)
            continue;
        PI_TRY(allocate(g, n->out[i], f->err));
        out[i] = &g->values[n->out[i]].t;
    }
    struct pi_call call = {.ctx = g->ctx, .node = n, .in = f->in, .out = out};
    const size_t tables = n->op->tables ? n->op->tables(&call) : 0, workspace = n->op->workspace ? n->op->workspace(&call) : 0;
    void *t = tables ? pi_malloc(a, tables) : NULL, *w = workspace ? pi_malloc(a, workspace) : NULL;
    int status = PRECINFER_OK;
    if ((tables && !t) || (workspace && !w))
        status = pi_no_memory(f->err, tables + workspace);
    else {
        const unsigned saved = pi_fp_enter();
        call.tables = t;
        call.workspace = w;
        if (tables && n->op->fill)
            n->op->fill(&call);
        n->op->run(&call);
        pi_fp_leave(saved);
    }
    pi_free(a, t);
    pi_free(a, w);
    return status;
}

int pi_fold_node(struct pi_finish *f, struct pi_node *n)
{
    precinfer_graph *g = f->g;
    if (!n->op->run || n->op->compile || n->fused.has_act || n->fused.has_res || n->fused.has_clamp)
        return PRECINFER_OK;
    if (!inputs_known(g, n))
        return PRECINFER_OK;
    if (!fold_alias(g, n)) {
        const size_t bytes = result_bytes(g, n);
        if (bytes == SIZE_MAX || f->folded_bytes + bytes > 4 * (size_t)PI_FOLD_MAX_BYTES || wants_other_layout(g, n))
            return PRECINFER_OK;
        f->folded_bytes += bytes;
        PI_TRY(run(f, n));
    }
    n->dead = 1;
    return PRECINFER_OK;
}

int pi_fold_part(struct pi_finish *f, struct pi_node *n)
{
    const struct pi_part *p = f->parts[n->out[0]];
    PI_TRY(allocate(f->g, n->out[0], f->err));
    struct pi_tensor *t = &f->g->values[n->out[0]].t;
    for (size_t i = 0; i < p->n; i++) {
        if (t->type == PI_S64)
            ((int64_t *)t->data)[i] = p->v[i];
        else
            ((int32_t *)t->data)[i] = (int32_t)p->v[i];
    }
    n->dead = 1;
    return PRECINFER_OK;
}
