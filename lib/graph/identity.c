/* The hash of a model: names, operators, attributes, shapes and constants, whatever they were stored as. Every part goes
 * in with its length, so that no two models run together. */
#include <string.h>
#include "../base/hash.h"
#include "finish.h"

static void add_number(struct pi_hash *h, uint64_t x)
{
    unsigned char b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(x >> (8 * i));
    pi_hash_add(h, b, sizeof b);
}

static void add_bytes(struct pi_hash *h, const void *p, size_t n)
{
    add_number(h, n);
    if (n)
        pi_hash_add(h, p, n);
}

static void add_string(struct pi_hash *h, const char *s)
{
    add_bytes(h, s, strlen(s));
}

static void add_dims(struct pi_hash *h, const precinfer_graph *g, const struct pi_tensor *t)
{
    add_number(h, t->type);
    add_number(h, (uint64_t)t->rank);
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] >= 0) {
            add_number(h, (uint64_t)t->dims[i]);
            continue;
        }
        const char *symbol = g->symbols[-1 - t->dims[i]];
        add_number(h, UINT64_MAX);
        add_string(h, symbol ? symbol : "");
    }
}

static void add_content(struct pi_hash *h, const precinfer_graph *g, const struct pi_tensor *t)
{
    add_dims(h, g, t);
    add_bytes(h, t->data, (size_t)pi_elements(t) * pi_type_size(t->type));
}

static void add_attribute(struct pi_hash *h, const precinfer_graph *g, const struct pi_attr *a)
{
    uint32_t bits;
    add_string(h, a->name);
    add_number(h, a->type);
    switch (a->type) {
    case PI_ATTR_INT: add_number(h, (uint64_t)a->i); break;
    case PI_ATTR_FLOAT: memcpy(&bits, &a->f, 4); add_number(h, bits); break;
    case PI_ATTR_STRING: add_bytes(h, a->s, a->count); break;
    case PI_ATTR_INTS: add_bytes(h, a->ints, a->count * sizeof *a->ints); break;
    case PI_ATTR_FLOATS: add_bytes(h, a->floats, a->count * sizeof *a->floats); break;
    case PI_ATTR_TENSOR: add_content(h, g, &a->tensor); break;
    case PI_ATTR_STRINGS:
        add_number(h, a->count);
        for (size_t i = 0; i < a->count; i++)
            add_string(h, a->strings[i]);
        break;
    }
}

/* A value as a node sees it: its name, and the content of a constant. */
static void add_use(struct pi_hash *h, const precinfer_graph *g, int value)
{
    if (value < 0) {
        add_string(h, "");
        return;
    }
    const struct pi_value *v = &g->values[value];
    add_string(h, v->name);
    add_number(h, v->t.data != NULL);
    if (v->t.data)
        add_content(h, g, &v->t);
}

static void add_node(struct pi_hash *h, const precinfer_graph *g, const struct pi_node *n)
{
    add_string(h, n->name);
    add_string(h, n->op->name);
    add_number(h, n->nin);
    add_number(h, n->nout);
    add_number(h, n->nattr);
    for (size_t i = 0; i < n->nin; i++)
        add_use(h, g, n->in[i]);
    for (size_t i = 0; i < n->nout; i++)
        add_string(h, n->out[i] < 0 ? "" : g->values[n->out[i]].name);
    for (size_t i = 0; i < n->nattr; i++)
        add_attribute(h, g, &n->attr[i]);
}

uint64_t pi_graph_identity(const precinfer_graph *g)
{
    struct pi_hash h;
    pi_hash_init(&h);
    add_number(&h, (uint64_t)g->opset);
    add_number(&h, g->ninputs);
    for (size_t i = 0; i < g->ninputs; i++) {
        add_string(&h, g->values[g->inputs[i]].name);
        add_dims(&h, g, &g->values[g->inputs[i]].t);
    }
    add_number(&h, g->nnodes);
    for (size_t i = 0; i < g->nnodes; i++)
        add_node(&h, g, &g->nodes[i]);
    add_number(&h, g->noutputs);
    for (size_t i = 0; i < g->noutputs; i++)
        add_use(&h, g, g->outputs[i]);
    return pi_hash_end(&h);
}
