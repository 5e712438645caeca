/* Operators on shapes, and constants: Shape, Size, ConstantOfShape, Constant. */
#include <string.h>
#include "infer.h"
#include "walk.h"

static void vector_of_s64(struct pi_tensor *t, int rank, int64_t n)
{
    t->type = PI_S64;
    t->quantized = 0;
    t->rank = rank;
    t->dims[0] = n;
}

/* ---------------------------------------------------------------- Shape and Size */

struct shape { int64_t start, end; };

static int check_shape(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct shape *s = n->params;
    (void)g;
    s->end = INT64_MAX;
    if (n->opset < 15) return 0;
    PI_TRY(pi_attr_int(n, "start", 0, &s->start, err));
    return pi_attr_int(n, "end", INT64_MAX, &s->end, err);
}

static void bounds(const struct shape *s, int rank, int *from, int *to)
{
    int64_t a = s->start < 0 ? s->start + rank : s->start, b = s->end < 0 ? s->end + rank : s->end;
    a = a < 0 ? 0 : a > rank ? rank : a;
    b = b < 0 ? 0 : b > rank ? rank : b;
    *from = (int)a;
    *to = (int)(b < a ? a : b);
}

static int infer_shape(const struct pi_infer *i)
{
    int from, to;
    bounds(i->node->params, i->in[0]->rank, &from, &to);
    vector_of_s64(&i->out[0], 1, to - from);
    return 0;
}

static void run_shape(const struct pi_call *c)
{
    int from, to;
    bounds(c->node->params, c->in[0]->rank, &from, &to);
    for (int d = from; d < to; d++) ((int64_t *)c->out[0]->data)[d - from] = c->in[0]->dims[d];
}

const struct pi_opdef pi_op_Shape = {
    .name = "Shape", .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = PI_OP_ANY_LAYOUT | PI_OP_SHAPE,
    .params_bytes = sizeof(struct shape), .check = check_shape, .infer = infer_shape, .run = run_shape
};

static int infer_size(const struct pi_infer *i)
{
    vector_of_s64(&i->out[0], 0, 0);
    return 0;
}
static void run_size(const struct pi_call *c) { *(int64_t *)c->out[0]->data = pi_elements(c->in[0]); }

const struct pi_opdef pi_op_Size = {
    .name = "Size", .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = PI_OP_ANY_LAYOUT | PI_OP_SHAPE,
    .infer = infer_size, .run = run_size
};

/* ---------------------------------------------------------------- ConstantOfShape */

struct fill { uint8_t type; uint64_t element; };

static int check_fill(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct fill *f = n->params;
    const struct pi_attr *a = pi_attr_find(n, "value");
    (void)g;
    f->type = PI_F32;
    if (!a) return 0;
    if (a->type != PI_ATTR_TENSOR || !a->tensor.data || pi_elements(&a->tensor) != 1)
        return pi_node_fail(n, err, PRECINFER_MALFORMED, "value is not a tensor of one element");
    f->type = a->tensor.type;
    memcpy(&f->element, a->tensor.data, pi_type_size(f->type));
    return 0;
}

static int infer_fill(const struct pi_infer *i)
{
    struct pi_tensor *out = &i->out[0];
    struct pi_ints shape;
    PI_TRY(pi_ints_of_input(i, 0, &shape));
    if (shape.n > PI_MAX_RANK) return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "a shape of %zu dimensions", shape.n);
    out->type = ((const struct fill *)i->node->params)->type;
    out->quantized = 0;
    out->rank = (int)shape.n;
    for (int d = 0; d < out->rank; d++) {
        if (shape.known && shape.v[d] < 0)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "shape has %lld at %d", (long long)shape.v[d], d);
        out->dims[d] = shape.known ? shape.v[d] : pi_infer_open(i);
    }
    return 0;
}

static void run_fill(const struct pi_call *c)
{
    pi_fill(c->ctx, &((const struct fill *)c->node->params)->element, c->out[0]);
}

const struct pi_opdef pi_op_ConstantOfShape = {
    .name = "ConstantOfShape", .since = 9, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = PI_OP_ANY_LAYOUT,
    .params_bytes = sizeof(struct fill), .check = check_fill, .infer = infer_fill, .run = run_fill
};

/* ---------------------------------------------------------------- Constant: an attribute's content */

struct constant { uint8_t type; int rank; int64_t dims[PI_MAX_RANK]; const void *data; };

static int check_constant(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    static const struct { const char *name; uint8_t attr, type; } scalars[] = {
        { "value_float", PI_ATTR_FLOAT, PI_F32 }, { "value_int", PI_ATTR_INT, PI_S64 },
        { "value_floats", PI_ATTR_FLOATS, PI_F32 }, { "value_ints", PI_ATTR_INTS, PI_S64 }
    };
    struct constant *k = n->params;
    const struct pi_attr *a = pi_attr_find(n, "value");
    (void)g;
    if (a && a->type == PI_ATTR_TENSOR && a->tensor.data && pi_is_row_major(&a->tensor)) {
        k->type = a->tensor.type;
        k->rank = a->tensor.rank;
        k->data = a->tensor.data;
        memcpy(k->dims, a->tensor.dims, sizeof k->dims);
        return 0;
    }
    for (size_t s = 0; s < sizeof scalars / sizeof scalars[0]; s++) {
        a = pi_attr_find(n, scalars[s].name);
        if (!a || a->type != scalars[s].attr) continue;
        k->type = scalars[s].type;
        k->rank = a->type == PI_ATTR_FLOATS || a->type == PI_ATTR_INTS;
        k->dims[0] = (int64_t)a->count;
        k->data = a->type == PI_ATTR_FLOAT ? (const void *)&a->f : a->type == PI_ATTR_INT ? (const void *)&a->i
                : a->type == PI_ATTR_FLOATS ? (const void *)a->floats : (const void *)a->ints;
        return 0;
    }
    return pi_node_fail(n, err, PRECINFER_UNSUPPORTED,
                        "none of value, value_float, value_int, value_floats, value_ints is there");
}

static int infer_constant(const struct pi_infer *i)
{
    const struct constant *k = i->node->params;
    i->out[0].type = k->type;
    i->out[0].quantized = 0;
    i->out[0].rank = k->rank;
    memcpy(i->out[0].dims, k->dims, sizeof k->dims);
    return 0;
}

static void run_constant(const struct pi_call *c)
{
    const struct constant *k = c->node->params;
    struct pi_tensor from = *c->out[0];
    from.data = (void *)(uintptr_t)k->data;
    pi_row_major(&from);
    pi_move(c->ctx, &from, c->out[0]);
}

const struct pi_opdef pi_op_Constant = {
    .name = "Constant", .since = 1, .min_in = 0, .max_in = 0, .min_out = 1, .max_out = 1, .flags = PI_OP_ANY_LAYOUT,
    .params_bytes = sizeof(struct constant), .check = check_constant, .infer = infer_constant, .run = run_constant
};
