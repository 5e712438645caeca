/* Attributes. They are small: everything is copied into the graph's arena. */
#include <string.h>
#include "../base/error.h"
#include "onnx.h"

#define A(x) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##x

static int copy(precinfer_graph *g, const void *from, size_t count, size_t size, const void **to, struct precinfer_error *err)
{
    void *block = pi_arena_new(&g->arena, count, size);
    if (!block)
        return pi_no_memory(err, count * size);
    if (count)
        memcpy(block, from, count * size);
    *to = block;
    return PRECINFER_OK;
}

static int copy_string(precinfer_graph *g, const ProtobufCBinaryData *from, const char **to, struct precinfer_error *err)
{
    *to = pi_arena_string(&g->arena, from->len ? (const char *)from->data : "", from->len);
    return *to ? PRECINFER_OK : pi_no_memory(err, from->len + 1);
}

static int copy_strings(precinfer_graph *g, const Onnx__AttributeProto *from, struct pi_attr *to, struct precinfer_error *err)
{
    const char **strings = pi_arena_new(&g->arena, from->n_strings, sizeof *strings);
    if (!strings)
        return pi_no_memory(err, from->n_strings * sizeof *strings);
    for (size_t i = 0; i < from->n_strings; i++)
        PI_TRY(copy_string(g, &from->strings[i], &strings[i], err));
    to->strings = strings;
    to->count = from->n_strings;
    return PRECINFER_OK;
}

static int copy_tensor(precinfer_graph *g, const Onnx__AttributeProto *from, const char *what, struct pi_attr *to,
                       struct precinfer_error *err)
{
    const struct pi_allocator *a = &g->ctx->alloc;
    if (!from->t)
        return pi_fail(err, PRECINFER_MALFORMED, "%s: attribute %s has no tensor", what, to->name);
    PI_TRY(pi_onnx_tensor(a, from->t, NULL, what, &to->tensor, err));
    const size_t bytes = (size_t)pi_elements(&to->tensor) * pi_type_size((enum pi_type)to->tensor.type);
    void *block = to->tensor.data;
    to->tensor.data = pi_arena_big(&g->arena, bytes);
    if (to->tensor.data && bytes)
        memcpy(to->tensor.data, block, bytes);
    pi_free(a, block);
    return to->tensor.data ? PRECINFER_OK : pi_no_memory(err, bytes);
}

/* Models before version 2 of the format leave the type out: the field that is there tells. */
static int type_of(const Onnx__AttributeProto *a)
{
    if (a->has_type && a->type != A(UNDEFINED))
        return (int)a->type;
    return a->has_f ? A(FLOAT) : a->has_i ? A(INT) : a->has_s ? A(STRING) : a->t ? A(TENSOR) : a->n_floats ? A(FLOATS) :
           a->n_ints ? A(INTS) : a->n_strings ? A(STRINGS) : a->g ? A(GRAPH) : A(UNDEFINED);
}

static int copy_attribute(precinfer_graph *g, const Onnx__AttributeProto *from, const char *what, struct pi_attr *to,
                          struct precinfer_error *err)
{
    const char *name = from->name ? from->name : "";
    to->name = pi_arena_string(&g->arena, name, strlen(name));
    if (!to->name)
        return pi_no_memory(err, strlen(name) + 1);
    if (from->ref_attr_name && *from->ref_attr_name)
        return pi_fail(err, PRECINFER_MALFORMED, "%s: attribute %s refers to a function's attribute outside a function", what,
                       name);
    const void *array = NULL;
    switch (type_of(from)) {
    case A(INT): to->type = PI_ATTR_INT; to->i = from->i; return PRECINFER_OK;
    case A(FLOAT): to->type = PI_ATTR_FLOAT; to->f = from->f; return PRECINFER_OK;
    case A(STRING): to->type = PI_ATTR_STRING; to->count = from->s.len; return copy_string(g, &from->s, &to->s, err);
    case A(STRINGS): to->type = PI_ATTR_STRINGS; return copy_strings(g, from, to, err);
    case A(TENSOR): to->type = PI_ATTR_TENSOR; return copy_tensor(g, from, what, to, err);
    case A(INTS):
        to->type = PI_ATTR_INTS;
        to->count = from->n_ints;
        PI_TRY(copy(g, from->ints, from->n_ints, sizeof *from->ints, &array, err));
        to->ints = array;
        return PRECINFER_OK;
    case A(FLOATS):
        to->type = PI_ATTR_FLOATS;
        to->count = from->n_floats;
        PI_TRY(copy(g, from->floats, from->n_floats, sizeof *from->floats, &array, err));
        to->floats = array;
        return PRECINFER_OK;
    case A(GRAPH): case A(GRAPHS):
        return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: attribute %s is a graph, which is not covered", what, name);
    }
    return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: attribute %s has a type that is not covered", what, name);
}

int pi_onnx_attributes(precinfer_graph *g, const Onnx__NodeProto *from, const char *what, struct pi_attr *to,
                       struct precinfer_error *err)
{
    for (size_t i = 0; i < from->n_attribute; i++)
        PI_TRY(copy_attribute(g, from->attribute[i], what, &to[i], err));
    return PRECINFER_OK;
}
