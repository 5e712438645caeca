/* Order and life of nodes: every input is defined, every node comes after those whose outputs it reads, and nodes that
 * reach no output are gone. */
#include <string.h>
#include "finish.h"

static size_t reads(const struct pi_node *n)
{
    return n->nin + n->fused.has_res;
}

static int read_at(const struct pi_node *n, size_t i)
{
    return i < n->nin ? n->in[i] : n->fused.res;
}

static int link_producers(precinfer_graph *g, struct precinfer_error *err)
{
    for (size_t v = 0; v < g->nvalues; v++)
        g->values[v].producer = -1;
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct pi_node *n = &g->nodes[i];
        for (size_t j = 0; j < n->nout && !n->dead; j++) {
            if (n->out[j] < 0)
                continue;
            struct pi_value *v = &g->values[n->out[j]];
            if (v->is_input || v->t.data)
                return pi_node_fail(n, err, PRECINFER_MALFORMED, "output '%s' is already an input or a constant", v->name);
            if (v->producer >= 0)
                return pi_node_fail(n, err, PRECINFER_MALFORMED, "output '%s' is already computed by node '%s'", v->name,
                                    g->nodes[v->producer].name);
            v->producer = (int)i;
        }
    }
    return PRECINFER_OK;
}

static int defined(const struct pi_value *v)
{
    return v->is_input || v->t.data || v->producer >= 0;
}

static int check_defined(const precinfer_graph *g, struct precinfer_error *err)
{
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct pi_node *n = &g->nodes[i];
        for (size_t j = 0; j < reads(n) && !n->dead; j++)
            if (read_at(n, j) >= 0 && !defined(&g->values[read_at(n, j)]))
                return pi_node_fail(n, err, PRECINFER_MALFORMED, "input '%s' is no input of the model, no constant and no "
                                    "node's output", g->values[read_at(n, j)].name);
    }
    for (size_t i = 0; i < g->noutputs; i++)
        if (!defined(&g->values[g->outputs[i]]))
            return pi_fail(err, PRECINFER_MALFORMED, "output '%s' is computed by no node", g->values[g->outputs[i]].name);
    return PRECINFER_OK;
}

/* A depth-first walk with a stack of its own: models may be deep. */
struct walk { size_t *next; int *stack, *order; size_t depth, done; };

/* Emits node `from` and before it whatever it reads. next[i]: 0 not met, 1 + k: k inputs looked at, SIZE_MAX: emitted. */
static int visit(const precinfer_graph *g, struct walk *w, int from, struct precinfer_error *err)
{
    if (w->next[from])
        return PRECINFER_OK;
    w->next[from] = 1;
    w->stack[w->depth++] = from;
    while (w->depth) {
        const int i = w->stack[w->depth - 1];
        const struct pi_node *n = &g->nodes[i];
        if (w->next[i] > reads(n)) {
            w->next[i] = SIZE_MAX;
            w->order[w->done++] = i;
            w->depth--;
            continue;
        }
        const int value = read_at(n, w->next[i]++ - 1);
        const int producer = value < 0 ? -1 : g->values[value].producer;
        if (producer < 0 || w->next[producer] == SIZE_MAX)
            continue;
        if (w->next[producer])
            return pi_node_fail(n, err, PRECINFER_MALFORMED, "input '%s' depends on the node's own output",
                                g->values[value].name);
        w->next[producer] = 1;
        w->stack[w->depth++] = producer;
    }
    return PRECINFER_OK;
}

/* Nodes that reach an output, in any order: marks in `alive`. A node is pushed once, so the stack holds them all. */
static void mark_alive(const precinfer_graph *g, uint8_t *alive, int *stack)
{
    size_t depth = 0;
    for (size_t i = 0; i < g->noutputs; i++) {
        const int p = g->values[g->outputs[i]].producer;
        if (p >= 0 && !alive[p]) {
            alive[p] = 1;
            stack[depth++] = p;
        }
    }
    while (depth) {
        const struct pi_node *n = &g->nodes[stack[--depth]];
        for (size_t j = 0; j < reads(n); j++) {
            const int value = read_at(n, j), p = value < 0 ? -1 : g->values[value].producer;
            if (p >= 0 && !alive[p]) {
                alive[p] = 1;
                stack[depth++] = p;
            }
        }
    }
}

/* nodes become nodes[order[0]], nodes[order[1]], ... */
static void permute(precinfer_graph *g, const int *order, size_t n, struct pi_node *copy)
{
    for (size_t v = 0; v < g->nvalues; v++)
        g->values[v].producer = -1;
    for (size_t i = 0; i < n; i++)
        copy[i] = g->nodes[order[i]];
    if (n)
        memcpy(g->nodes, copy, n * sizeof *copy);
    g->nnodes = n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < g->nodes[i].nout; j++)
            if (g->nodes[i].out[j] >= 0)
                g->values[g->nodes[i].out[j]].producer = (int)i;
}

static int sort_with(precinfer_graph *g, struct pi_arena *scratch, struct precinfer_error *err)
{
    struct walk w = {0};
    const size_t n = g->nnodes;
    w.next = pi_arena_new(scratch, n, sizeof *w.next);
    w.stack = pi_arena_new(scratch, n, sizeof *w.stack);
    w.order = pi_arena_new(scratch, n, sizeof *w.order);
    uint8_t *alive = pi_arena_new(scratch, n, 1);
    struct pi_node *copy = pi_arena_new(scratch, n, sizeof *copy);
    if (!w.next || !w.stack || !w.order || !alive || !copy)
        return pi_no_memory(err, n * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        if (!g->nodes[i].dead)
            PI_TRY(visit(g, &w, (int)i, err));
    mark_alive(g, alive, w.stack);
    size_t live = 0;
    for (size_t i = 0; i < w.done; i++)
        if (alive[w.order[i]])
            w.order[live++] = w.order[i];
    permute(g, w.order, live, copy);
    return PRECINFER_OK;
}

int pi_graph_sort(precinfer_graph *g, struct precinfer_error *err)
{
    PI_TRY(link_producers(g, err));
    PI_TRY(check_defined(g, err));
    struct pi_arena scratch = {.a = &g->ctx->alloc};
    const int status = sort_with(g, &scratch, err);
    pi_arena_free(&scratch);
    return status;
}
