/* Makes a graph ready: order, checks, shapes, folding. */
#include "finish.h"
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- names of nodes */

static const char *output_name(const precinfer_graph *g, const struct pi_node *n)
{
    for (size_t i = 0; i < n->nout; i++)
        if (n->out[i] >= 0)
            return g->values[n->out[i]].name;
    return n->op->name;
}

/* A node is known by its name in recipes and errors: each needs one of its own. */
static int name_node(precinfer_graph *g, struct pi_names *names, int i, struct precinfer_error *err)
{
    struct pi_node *n = &g->nodes[i];
    if (!*n->name)
        n->name = output_name(g, n);
    if (pi_names_find(names, n->name) >= 0) {
        const char *output = output_name(g, n);
        const size_t size = strlen(n->name) + strlen(output) + 24;
        char *longer = pi_arena_new(&g->arena, size, 1);
        if (!longer)
            return pi_no_memory(err, size);
        snprintf(longer, size, "%s:%s", n->name, output);
        for (int k = 2; pi_names_find(names, longer) >= 0; k++)
            snprintf(longer, size, "%s:%s:%d", n->name, output, k);
        n->name = longer;
    }
    return pi_names_add(names, &g->ctx->alloc, n->name, i) ? pi_no_memory(err, sizeof(struct pi_name)) : PRECINFER_OK;
}

static int name_nodes(precinfer_graph *g, struct precinfer_error *err)
{
    struct pi_names names = {0};
    int status = PRECINFER_OK;
    for (size_t i = 0; i < g->nnodes && !status; i++)
        status = name_node(g, &names, (int)i, err);
    pi_names_free(&names, &g->ctx->alloc);
    return status;
}

/* ---------------------------------------------------------------- one node */

static int check_count(const struct pi_node *n, const char *what, size_t have, size_t least, size_t most,
                       struct precinfer_error *err)
{
    if (have >= least && (!most || have <= most))
        return PRECINFER_OK;
    if (least == most)
        return pi_node_fail(n, err, PRECINFER_MALFORMED, "has %zu %s, not %zu", have, what, least);
    if (!most)
        return pi_node_fail(n, err, PRECINFER_MALFORMED, "has %zu %s, not %zu or more", have, what, least);
    return pi_node_fail(n, err, PRECINFER_MALFORMED, "has %zu %s, not %zu to %zu", have, what, least, most);
}

static int check_node(precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    const struct pi_opdef *op = n->op;
    while (n->nin && n->in[n->nin - 1] < 0)         /* optional inputs left out at the end                       */
        n->nin--;
    while (n->nout && n->out[n->nout - 1] < 0)
        n->nout--;
    PI_TRY(check_count(n, "inputs", n->nin, op->min_in, op->max_in, err));
    PI_TRY(check_count(n, "outputs", n->nout, op->min_out, op->max_out, err));
    for (size_t i = 0; i < op->min_in; i++)
        if (n->in[i] < 0)
            return pi_node_fail(n, err, PRECINFER_MALFORMED, "input %zu is absent and not optional", i);
    if (!n->params && !(n->params = pi_arena_new(&g->arena, 1, op->params_bytes)))
        return pi_no_memory(err, op->params_bytes);
    return op->check ? op->check(g, n, err) : PRECINFER_OK;
}

static int take_output(struct pi_finish *f, const struct pi_node *n, size_t i)
{
    struct pi_tensor *t = &f->out[i];
    char dims[96];
    if (!pi_type_size(t->type))
        return pi_node_fail(n, f->err, PRECINFER_UNSUPPORTED, "the type of output %zu cannot be told", i);
    for (int d = 0; d < t->rank && d < PI_MAX_RANK; d++)
        if (t->dims[d] == INT64_MIN)                /* pi_infer_open could not                                   */
            return pi_no_memory(f->err, sizeof(char *));
    if (pi_graph_check_dims(t))
        return pi_node_fail(n, f->err, PRECINFER_UNSUPPORTED, "output %zu is too large: %s", i,
                            t->rank < 0 || t->rank > PI_MAX_RANK ? "too many dimensions" : pi_dims_string(t, dims, sizeof dims));
    struct pi_tensor *to = &f->g->values[n->out[i]].t;
    to->type = t->type;
    to->rank = t->rank;
    memcpy(to->dims, t->dims, sizeof to->dims);
    return PRECINFER_OK;
}

static int infer_node(struct pi_finish *f, const struct pi_node *n)
{
    precinfer_graph *g = f->g;
    if (!n->op->infer)
        return pi_node_fail(n, f->err, PRECINFER_UNSUPPORTED, "its shape cannot be told");
    for (size_t i = 0; i < n->nin; i++)
        f->in[i] = n->in[i] < 0 ? NULL : &g->values[n->in[i]].t;
    memset(f->out, 0, n->nout * sizeof *f->out);
    const struct pi_infer infer = {.node = n, .graph = g, .in = f->in, .out = f->out, .err = f->err};
    PI_TRY(n->op->infer(&infer));
    for (size_t i = 0; i < n->nout; i++)
        if (n->out[i] >= 0)
            PI_TRY(take_output(f, n, i));
    return PRECINFER_OK;
}

static int finish_node(struct pi_finish *f, struct pi_node *n)
{
    int constant;
    PI_TRY(check_node(f->g, n, f->err));
    PI_TRY(infer_node(f, n));
    PI_TRY(pi_partial_node(f, n, &constant));
    for (size_t i = 0; i < n->nout; i++)
        if (n->out[i] >= 0)
            pi_row_major(&f->g->values[n->out[i]].t);
    return constant ? pi_fold_part(f, n) : pi_fold_node(f, n);
}

static int finish_nodes(struct pi_finish *f)
{
    precinfer_graph *g = f->g;
    size_t most_in = 1, most_out = 1;
    for (size_t i = 0; i < g->nnodes; i++) {
        most_in = g->nodes[i].nin > most_in ? g->nodes[i].nin : most_in;
        most_out = g->nodes[i].nout > most_out ? g->nodes[i].nout : most_out;
    }
    f->parts = pi_arena_new(&f->scratch, g->nvalues, sizeof *f->parts);
    f->in = pi_arena_new(&f->scratch, most_in, sizeof *f->in);
    f->out = pi_arena_new(&f->scratch, most_out, sizeof *f->out);
    if (!f->parts || !f->in || !f->out)
        return pi_no_memory(f->err, g->nvalues * sizeof *f->parts);
    for (size_t i = 0; i < g->nnodes; i++)
        PI_TRY(finish_node(f, &g->nodes[i]));
    return PRECINFER_OK;
}

/* ---------------------------------------------------------------- constants */

/* 1: an infinity, 2: a NaN. */
static int worst(const struct pi_tensor *t)
{
    const int64_t n = pi_elements(t);
    int bad = 0;
    for (int64_t i = 0; i < n && bad < 2; i++) {
        uint64_t bits, all, infinite;
        switch (t->type) {
        case PI_F32: bits = ((const uint32_t *)t->data)[i]; all = 0x7fffffff; infinite = 0x7f800000; break;
        case PI_F64: bits = ((const uint64_t *)t->data)[i]; all = 0x7fffffffffffffff; infinite = 0x7ff0000000000000; break;
        case PI_BF16: bits = ((const uint16_t *)t->data)[i]; all = 0x7fff; infinite = 0x7f80; break;
        case PI_F16: bits = ((const uint16_t *)t->data)[i]; all = 0x7fff; infinite = 0x7c00; break;
        default: return 0;
        }
        if ((bits & all) >= infinite)
            bad = (bits & all) > infinite ? 2 : bad ? bad : 1;
    }
    return bad;
}

/* Weights must be finite, other constants may be infinite. `seen` holds 1 + worst() of values looked at before. */
static int check_constants(const precinfer_graph *g, uint8_t *seen, struct precinfer_error *err)
{
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct pi_node *n = &g->nodes[i];
        const int weights = (n->op->flags & PI_OP_WEIGHTS) || !strcmp(n->op->name, "BatchNormalization");
        for (size_t j = 0; j < n->nin; j++) {
            const struct pi_value *v = n->in[j] < 0 ? NULL : &g->values[n->in[j]];
            if (!v || !v->t.data)
                continue;
            if (!seen[n->in[j]])
                seen[n->in[j]] = (uint8_t)(1 + worst(&v->t));
            if (seen[n->in[j]] == 3)
                return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "constant '%s' holds a NaN", v->name);
            if (seen[n->in[j]] == 2 && weights)
                return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "weights '%s' are not all finite", v->name);
        }
    }
    return PRECINFER_OK;
}

/* Frees what folding has left behind. `used` has one byte a block. */
static void drop_unused(precinfer_graph *g, uint8_t *used)
{
    for (size_t i = 0; i < g->nnodes; i++)
        for (size_t j = 0; j < g->nodes[i].nin; j++)
            if (g->nodes[i].in[j] >= 0 && g->values[g->nodes[i].in[j]].block >= 0)
                used[g->values[g->nodes[i].in[j]].block] = 1;
    for (size_t i = 0; i < g->noutputs; i++)
        if (g->values[g->outputs[i]].block >= 0)
            used[g->values[g->outputs[i]].block] = 1;
    for (size_t v = 0; v < g->nvalues; v++)
        if (g->values[v].block >= 0 && !used[g->values[v].block]) {
            g->values[v].t.data = NULL;
            g->values[v].block = -1;
        }
    for (size_t b = 0; b < g->nblocks; b++)
        if (!used[b]) {
            pi_free(&g->ctx->alloc, g->blocks[b]);
            g->blocks[b] = NULL;
        }
}

/* ---------------------------------------------------------------- */

static int finish(struct pi_finish *f)
{
    precinfer_graph *g = f->g;
    PI_TRY(finish_nodes(f));
    PI_TRY(pi_graph_sort(g, f->err));               /* folded nodes, and those that only they needed, go         */
    uint8_t *seen = pi_arena_new(&f->scratch, g->nvalues, 1), *used = pi_arena_new(&f->scratch, g->nblocks, 1);
    if (!seen || !used)
        return pi_no_memory(f->err, g->nvalues + g->nblocks);
    PI_TRY(check_constants(g, seen, f->err));
    drop_unused(g, used);
    return PRECINFER_OK;
}

int pi_graph_finish(precinfer_graph *g, struct precinfer_error *err)
{
    if (!g->noutputs)
        return pi_fail(err, PRECINFER_MALFORMED, "the graph has no outputs");
    PI_TRY(name_nodes(g, err));
    PI_TRY(pi_graph_sort(g, err));
    g->hash = pi_graph_identity(g);
    struct pi_finish f = {.g = g, .err = err, .scratch = {.a = &g->ctx->alloc}};
    const int status = finish(&f);
    pi_arena_free(&f.scratch);
    if (!status)
        g->finished = 1;
    return status;
}
