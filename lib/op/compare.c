/* Equal, Less, Greater and their kin, Not, And, Or, and Where, which picks by their results. */
#include <string.h>
#include "elt.h"
#include "infer.h"
#include "walk.h"

/* ---------------------------------------------------------------- comparisons: a kernel a type */

struct compare { pi_elt_fn *f32, *s32, *s64, *boolean; };

#define AT(T, p, scalar) ((const T *)e->p)[e->mode & (scalar) ? 0 : i]
#define KERNEL(name, T, operator)                                                                                       \
    static void name(const struct pi_elt *e)                                                                            \
    {                                                                                                                   \
        for (size_t i = 0; i < e->n; i++)                                                                               \
            ((uint8_t *)e->c)[i] = (uint8_t)(AT(T, a, PI_A_SCALAR) operator AT(T, b, PI_B_SCALAR));                     \
    }
#define COMPARISON(symbol, onnx, from, operator)                                                                        \
    KERNEL(symbol##_f32, float, operator)                                                                               \
    KERNEL(symbol##_s32, int32_t, operator)                                                                             \
    KERNEL(symbol##_s64, int64_t, operator)                                                                             \
    KERNEL(symbol##_bool, uint8_t, operator)                                                                            \
    static int check_##symbol(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)                \
    {                                                                                                                   \
        (void)g; (void)err;                                                                                             \
        *(struct compare *)n->params = (struct compare){ symbol##_f32, symbol##_s32, symbol##_s64, symbol##_bool };     \
        return 0;                                                                                                       \
    }                                                                                                                   \
    const struct pi_opdef pi_op_##symbol = {                                                                            \
        .name = onnx, .since = from, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = PI_OP_ANY_LAYOUT,   \
        .params_bytes = sizeof(struct compare), .check = check_##symbol, .infer = infer_compare, .run = run_compare     \
    };

static pi_elt_fn *kernel_of(const struct compare *c, enum pi_type type)
{
    return type == PI_F32 ? c->f32 : type == PI_S32 ? c->s32 : type == PI_S64 ? c->s64
         : type == PI_BOOL || type == PI_U8 ? c->boolean : NULL;
}

static int infer_compare(const struct pi_infer *i)
{
    if (!kernel_of(i->node->params, i->in[0]->type) || i->in[0]->quantized)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "input 0 is %s", pi_type_name(i->in[0]->type));
    PI_TRY(pi_infer_broadcast(i));
    i->out[0].type = PI_BOOL;
    return 0;
}

static void run_compare(const struct pi_call *c)
{
    static const struct pi_elt none = { 0 };
    pi_elt_apply(c->ctx, kernel_of(c->node->params, c->in[0]->type), &none, c->in[0], c->in[1], c->out[0]);
}

COMPARISON(Equal, "Equal", 7, ==)
COMPARISON(Less, "Less", 7, <)
COMPARISON(Greater, "Greater", 7, >)
COMPARISON(LessOrEqual, "LessOrEqual", 12, <=)
COMPARISON(GreaterOrEqual, "GreaterOrEqual", 12, >=)

/* ---------------------------------------------------------------- logic */

KERNEL(and_bool, uint8_t, &)
KERNEL(or_bool, uint8_t, |)
static void not_bool(const struct pi_elt *e)
{
    for (size_t i = 0; i < e->n; i++) ((uint8_t *)e->c)[i] = !((const uint8_t *)e->a)[i];
}

static int infer_logic(const struct pi_infer *i)
{
    if (i->in[0]->type != PI_BOOL)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "input 0 is %s", pi_type_name(i->in[0]->type));
    return pi_infer_broadcast(i);
}

#define LOGIC(symbol, onnx, from, inputs, kernel)                                                                       \
    static void run_##symbol(const struct pi_call *c)                                                                   \
    {                                                                                                                   \
        static const struct pi_elt none = { 0 };                                                                        \
        pi_elt_apply(c->ctx, kernel, &none, c->in[0], inputs > 1 ? c->in[inputs - 1] : NULL, c->out[0]);                \
    }                                                                                                                   \
    const struct pi_opdef pi_op_##symbol = {                                                                            \
        .name = onnx, .since = from, .min_in = inputs, .max_in = inputs, .min_out = 1, .max_out = 1,                    \
        .flags = PI_OP_ANY_LAYOUT, .infer = infer_logic, .run = run_##symbol                                            \
    };
LOGIC(And, "And", 7, 2, and_bool)
LOGIC(Or, "Or", 7, 2, or_bool)
LOGIC(Not, "Not", 1, 1, not_bool)

/* ---------------------------------------------------------------- Where */

static int infer_where(const struct pi_infer *i)
{
    struct pi_tensor *out = &i->out[0];
    if (i->in[0]->type != PI_BOOL)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "the condition is %s", pi_type_name(i->in[0]->type));
    if (i->in[1]->type != i->in[2]->type || i->in[1]->quantized)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "the choices are %s and %s", pi_type_name(i->in[1]->type),
                            pi_type_name(i->in[2]->type));
    pi_set_like(out, i->in[1]);
    out->rank = 0;
    for (size_t k = 0; k < 3; k++) PI_TRY(pi_broadcast_dims(i, i->in[k], out));
    return 0;
}

struct job { struct pi_walk w; char *base[4]; size_t size; };

static void span(void *arg, size_t begin, size_t end, size_t slot)
{
    const struct job *j = arg;
    struct pi_place p;
    (void)slot;
    pi_walk_seek(&j->w, begin, &p);
    for (size_t u = begin; u < end; u++, pi_walk_next(&j->w, &p))
        for (size_t k = 0; k < j->w.inner; k++) {
            const ptrdiff_t i = (ptrdiff_t)k;
            const int o = j->base[1][p.off[1] + i * j->w.step[1]] ? 2 : 3;
            memcpy(j->base[0] + p.off[0] + i * j->w.step[0], j->base[o] + p.off[o] + i * j->w.step[o], j->size);
        }
}

static void run_where(const struct pi_call *c)
{
    const struct pi_tensor *t[4] = { c->out[0], c->in[0], c->in[1], c->in[2] };
    struct job j = { .size = pi_type_size(t[0]->type) };
    for (size_t o = 0; o < 4; o++) j.base[o] = t[o]->data;
    pi_walk_make(&j.w, 4, t);
    pi_span(c->ctx, j.w.outer, j.w.outer * j.w.inner, span, &j);
}

const struct pi_opdef pi_op_Where = {
    .name = "Where", .since = 9, .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .flags = PI_OP_ANY_LAYOUT,
    .infer = infer_where, .run = run_where
};
