#include "finish.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- life */

int pi_graph_new(precinfer_context *ctx, precinfer_graph **out, struct precinfer_error *err)
{
    precinfer_graph *g = pi_calloc(&ctx->alloc, 1, sizeof *g);
    if (!g)
        return pi_no_memory(err, sizeof *g);
    atomic_init(&g->refs, 1);
    g->ctx = ctx;
    g->arena.a = &ctx->alloc;
    pi_context_retain(ctx);
    *out = g;
    return PRECINFER_OK;
}

void pi_graph_retain(precinfer_graph *g)
{
    atomic_fetch_add(&g->refs, 1);
}

void pi_graph_release(precinfer_graph *g)
{
    if (!g || atomic_fetch_sub(&g->refs, 1) != 1)
        return;
    precinfer_context *ctx = g->ctx;
    const struct pi_allocator *a = &ctx->alloc;
    for (size_t i = 0; i < g->nblocks; i++)
        pi_free(a, g->blocks[i]);
    pi_free(a, g->blocks);
    pi_free(a, g->values);
    pi_free(a, g->nodes);
    pi_free(a, g->inputs);
    pi_free(a, g->outputs);
    pi_free(a, g->symbols);
    pi_names_free(&g->names, a);
    pi_arena_free(&g->arena);
    pi_graph_release(g->origin);
    pi_free(a, g);
    pi_context_release(ctx);
}

/* Room for one more element in an array of the graph. */
static int room(precinfer_graph *g, void *array, size_t count, size_t *capacity, size_t size, struct precinfer_error *err)
{
    void *old, *bigger;
    if (count < *capacity)
        return PRECINFER_OK;
    if (count >= INT_MAX / 2)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "a graph of more than %zu parts", count);
    const size_t more = *capacity ? 2 * *capacity : 16;
    memcpy(&old, array, sizeof old);
    bigger = pi_grow(&g->ctx->alloc, old, *capacity * size, more * size);
    if (!bigger)
        return pi_no_memory(err, more * size);
    memcpy(array, &bigger, sizeof bigger);
    *capacity = more;
    return PRECINFER_OK;
}

/* ---------------------------------------------------------------- values */

int pi_graph_find_value(const precinfer_graph *g, const char *name)
{
    return pi_names_find(&g->names, name);
}

int pi_graph_add_value(precinfer_graph *g, const char *name, int *value, struct precinfer_error *err)
{
    if (!*name)
        return pi_fail(err, PRECINFER_INVALID, "a value without a name");
    if (pi_graph_find_value(g, name) >= 0)
        return pi_fail(err, PRECINFER_MALFORMED, "two values are named '%s'", name);
    PI_TRY(room(g, &g->values, g->nvalues, &g->cvalues, sizeof *g->values, err));
    const char *copy = pi_arena_string(&g->arena, name, strlen(name));
    if (!copy || pi_names_add(&g->names, &g->ctx->alloc, copy, (int)g->nvalues))
        return pi_no_memory(err, strlen(name) + 1);
    g->values[g->nvalues] = (struct pi_value){.name = copy, .producer = -1, .block = -1};
    *value = (int)g->nvalues++;
    return PRECINFER_OK;
}

int64_t pi_graph_symbol(precinfer_graph *g, const char *name)
{
    if (name)
        for (size_t i = 0; i < g->nsymbols; i++)
            if (g->symbols[i] && !strcmp(g->symbols[i], name))
                return -1 - (int64_t)i;
    if (room(g, &g->symbols, g->nsymbols, &g->csymbols, sizeof *g->symbols, NULL))
        return INT64_MIN;
    g->symbols[g->nsymbols] = NULL;
    if (name && !(g->symbols[g->nsymbols] = pi_arena_string(&g->arena, name, strlen(name))))
        return INT64_MIN;
    return -1 - (int64_t)g->nsymbols++;
}

int64_t pi_infer_open(const struct pi_infer *i)
{
    return i->graph ? pi_graph_symbol(i->graph, NULL) : -1;
}

int pi_graph_check_dims(const struct pi_tensor *t)
{
    const int64_t most = (int64_t)1 << 48;
    int64_t all = 1;
    if (t->rank < 0 || t->rank > PI_MAX_RANK)
        return -1;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] > 0 && (__builtin_mul_overflow(all, t->dims[i], &all) || all > most))
            return -1;
    return 0;
}

int pi_graph_mark_input(precinfer_graph *g, int value, struct precinfer_error *err)
{
    PI_TRY(room(g, &g->inputs, g->ninputs, &g->cinputs, sizeof *g->inputs, err));
    g->values[value].is_input = 1;
    g->inputs[g->ninputs++] = value;
    return PRECINFER_OK;
}

int pi_graph_add_input(precinfer_graph *g, const char *name, enum pi_type type, int rank, const int64_t *dims, int *value,
                       struct precinfer_error *err)
{
    struct pi_tensor t = {.type = (uint8_t)type, .rank = rank};
    if (rank < 0 || rank > PI_MAX_RANK)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "input '%s' has %d dimensions, at most %d are covered", name, rank,
                       PI_MAX_RANK);
    if (!pi_type_size(type))
        return pi_fail(err, PRECINFER_INVALID, "input '%s' has no type", name);
    for (int i = 0; i < rank; i++) {
        t.dims[i] = dims[i];
        if (dims[i] < 0 && -1 - dims[i] >= (int64_t)g->nsymbols)
            return pi_fail(err, PRECINFER_INVALID, "input '%s': dimension %d is a symbol that the graph does not have", name, i);
    }
    if (pi_graph_check_dims(&t))
        return pi_fail(err, PRECINFER_UNSUPPORTED, "input '%s' is too large", name);
    PI_TRY(room(g, &g->inputs, g->ninputs, &g->cinputs, sizeof *g->inputs, err));
    PI_TRY(pi_graph_add_value(g, name, value, err));
    struct pi_value *v = &g->values[*value];
    v->t = t;
    pi_row_major(&v->t);
    v->is_input = 1;
    g->inputs[g->ninputs++] = *value;
    return PRECINFER_OK;
}

int pi_graph_own(precinfer_graph *g, int value, void *block, struct precinfer_error *err)
{
    PI_TRY(room(g, &g->blocks, g->nblocks, &g->cblocks, sizeof *g->blocks, err));
    g->values[value].block = (int)g->nblocks;
    g->blocks[g->nblocks++] = block;
    return PRECINFER_OK;
}

int pi_graph_add_constant(precinfer_graph *g, const char *name, const struct pi_tensor *t, int borrowed, int *value,
                          struct precinfer_error *err)
{
    struct pi_tensor copy = *t;
    if (!pi_type_size(t->type) || pi_graph_check_dims(t) || pi_elements(t) < 0)
        return pi_fail(err, PRECINFER_INVALID, "constant '%s' has no type, or dimensions that cannot be", name);
    if (borrowed) {
        PI_TRY(pi_graph_add_value(g, name, value, err));
        g->values[*value].t = copy;
        return PRECINFER_OK;
    }
    const size_t bytes = (size_t)pi_elements(t) * pi_type_size(t->type);
    copy.data = pi_malloc(&g->ctx->alloc, bytes);
    if (!copy.data)
        return pi_no_memory(err, bytes);
    pi_row_major(&copy);
    if (pi_is_row_major(t)) {
        if (bytes)
            memcpy(copy.data, t->data, bytes);
    } else
        pi_copy(t, &copy);
    int status = pi_graph_add_value(g, name, value, err);
    if (!status) {
        status = pi_graph_own(g, *value, copy.data, err);
        if (!status)
            g->values[*value].t = copy;
    }
    if (status)
        pi_free(&g->ctx->alloc, copy.data);
    return status;
}

int pi_graph_add_output(precinfer_graph *g, int value, struct precinfer_error *err)
{
    if (g->values[value].is_output)
        return pi_fail(err, PRECINFER_MALFORMED, "'%s' is an output twice", g->values[value].name);
    PI_TRY(room(g, &g->outputs, g->noutputs, &g->coutputs, sizeof *g->outputs, err));
    g->values[value].is_output = 1;
    g->outputs[g->noutputs++] = value;
    return PRECINFER_OK;
}

/* ---------------------------------------------------------------- nodes */

/* "7 to 8, 13 and later": the opsets at which an operator of that name is known. */
static void opsets_of(const char *op, char *text, size_t n)
{
    const struct pi_opdef *d;
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; (d = pi_opdef_at(i)) && used + 48 < n; i++) {
        if (strcmp(d->name, op))
            continue;
        const char *comma = used ? ", " : "";
        if (d->until)
            used += (size_t)snprintf(text + used, n - used, "%s%d to %d", comma, d->since, d->until);
        else
            used += (size_t)snprintf(text + used, n - used, "%s%d and later", comma, d->since);
    }
}

static int unknown_operator(const precinfer_graph *g, const char *op, const char *name, int known, struct precinfer_error *err)
{
    char opsets[160];
    if (!known)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "node '%s': operator %s (opset %d) is not covered", name, op, g->opset);
    opsets_of(op, opsets, sizeof opsets);
    return pi_fail(err, PRECINFER_UNSUPPORTED, "node '%s': operator %s of opset %d is not covered, only of opset %s", name, op,
                   g->opset, opsets);
}

int pi_graph_add_node(precinfer_graph *g, const char *op, const char *domain, const char *name, size_t nin, size_t nout,
                      size_t nattr, struct pi_node **node, struct precinfer_error *err)
{
    int known = 0;
    name = name ? name : "";
    if (domain && *domain && strcmp(domain, "ai.onnx"))
        return pi_fail(err, PRECINFER_UNSUPPORTED, "node '%s': operator %s of domain '%s' is not covered", name, op, domain);
    const struct pi_opdef *d = pi_opdef_find(op, g->opset, &known);
    if (!d)
        return unknown_operator(g, op, name, known, err);
    PI_TRY(room(g, &g->nodes, g->nnodes, &g->cnodes, sizeof *g->nodes, err));
    struct pi_node n = {.op = d, .opset = g->opset, .nin = nin, .nout = nout, .nattr = nattr};
    n.name = pi_arena_string(&g->arena, name, strlen(name));
    n.in = pi_arena_new(&g->arena, nin, sizeof *n.in);
    n.out = pi_arena_new(&g->arena, nout, sizeof *n.out);
    n.attr = pi_arena_new(&g->arena, nattr, sizeof *n.attr);
    if (!n.name || !n.in || !n.out || !n.attr)
        return pi_no_memory(err, (nin + nout) * sizeof(int) + nattr * sizeof *n.attr);
    for (size_t i = 0; i < nin; i++)
        n.in[i] = -1;
    for (size_t i = 0; i < nout; i++)
        n.out[i] = -1;
    g->nodes[g->nnodes] = n;
    *node = &g->nodes[g->nnodes++];
    return PRECINFER_OK;
}

size_t pi_graph_uses(const precinfer_graph *g, int value, int *node, size_t *slot)
{
    size_t uses = 0, last_slot = 0;
    int last = -1;
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct pi_node *n = &g->nodes[i];
        if (n->dead)
            continue;
        for (size_t j = 0; j < n->nin + n->fused.has_res; j++)
            if ((j < n->nin ? n->in[j] : n->fused.res) == value) {
                uses++;
                last = (int)i;
                last_slot = j;
            }
    }
    if (g->values[value].is_output) {
        uses++;
        last = -1;
    }
    if (uses == 1) {
        if (node)
            *node = last;
        if (slot)
            *slot = last_slot;
    }
    return uses;
}

/* ---------------------------------------------------------------- clone */

static void *copied(const struct pi_allocator *a, const void *from, size_t count, size_t size)
{
    void *to = pi_calloc(a, count + 1, size);
    if (to && count)
        memcpy(to, from, count * size);
    return to;
}

/* What a rewiring may change is copied; names, attributes' content and constants stay the origin's. */
static int clone_node(precinfer_graph *c, struct pi_node *n)
{
    struct pi_arena *arena = &c->arena;
    const struct pi_node from = *n;
    n->in = pi_arena_new(arena, n->nin, sizeof *n->in);
    n->out = pi_arena_new(arena, n->nout, sizeof *n->out);
    n->attr = pi_arena_new(arena, n->nattr, sizeof *n->attr);
    n->params = pi_arena_new(arena, 1, n->op->params_bytes);
    if (!n->in || !n->out || !n->attr || !n->params)
        return -1;
    if (n->nin)
        memcpy(n->in, from.in, n->nin * sizeof *n->in);
    if (n->nout)
        memcpy(n->out, from.out, n->nout * sizeof *n->out);
    if (n->nattr)
        memcpy(n->attr, from.attr, n->nattr * sizeof *n->attr);
    if (from.params && n->op->params_bytes)
        memcpy(n->params, from.params, n->op->params_bytes);
    return 0;
}

int pi_graph_clone(precinfer_graph *g, precinfer_graph **copy, struct precinfer_error *err)
{
    precinfer_graph *c;
    PI_TRY(pi_graph_new(g->ctx, &c, err));
    const struct pi_allocator *a = &g->ctx->alloc;
    c->origin = g;
    pi_graph_retain(g);
    c->values = copied(a, g->values, g->nvalues, sizeof *g->values);
    c->nodes = copied(a, g->nodes, g->nnodes, sizeof *g->nodes);
    c->inputs = copied(a, g->inputs, g->ninputs, sizeof *g->inputs);
    c->outputs = copied(a, g->outputs, g->noutputs, sizeof *g->outputs);
    c->symbols = copied(a, g->symbols, g->nsymbols, sizeof *g->symbols);
    int bad = !c->values || !c->nodes || !c->inputs || !c->outputs || !c->symbols;
    c->cvalues = (c->nvalues = bad ? 0 : g->nvalues) + 1;
    c->cnodes = (c->nnodes = bad ? 0 : g->nnodes) + 1;
    c->cinputs = (c->ninputs = g->ninputs) + 1;
    c->coutputs = (c->noutputs = g->noutputs) + 1;
    c->csymbols = (c->nsymbols = g->nsymbols) + 1;
    c->opset = g->opset;
    c->finished = g->finished;
    c->hash = g->hash;
    for (size_t i = 0; i < c->nvalues && !bad; i++) {
        c->values[i].block = -1;
        bad = pi_names_add(&c->names, a, c->values[i].name, (int)i);
    }
    for (size_t i = 0; i < c->nnodes && !bad; i++)
        bad = clone_node(c, &c->nodes[i]);
    if (bad) {
        pi_graph_release(c);
        return pi_no_memory(err, g->nvalues * sizeof *g->values + g->nnodes * sizeof *g->nodes);
    }
    *copy = c;
    return PRECINFER_OK;
}
