/* Operators of one f32: each is a row of the kernel tables with constants from the attributes. As u8 they are tables, which
 * the plan makes by running these on 256 values. */
#include <string.h>
#include "elt.h"
#include "infer.h"

struct unary { uint8_t op; float p[2], lo, hi; };

static int infer(const struct pi_infer *i)
{
    const struct unary *u = i->node->params;
    if (!(pi_elt_has(u->op, i->in[0]->type))) PI_TRY(pi_infer_float(i, 0));
    return pi_infer_like(i);
}

static void run(const struct pi_call *c)
{
    const struct unary *u = c->node->params;
    const struct pi_elt e = { .p = { u->p[0], u->p[1] }, .lo = u->lo, .hi = u->hi };
    pi_elt_run(c->ctx, u->op, &e, c->in[0], NULL, c->out[0]);
}

static int finite(const struct pi_node *n, const char *name, float v, struct precinfer_error *err)
{
    if (v - v == 0) return 0;
    return pi_node_fail(n, err, PRECINFER_MALFORMED, "%s is not finite", name);
}

#define DEFINE(symbol, onnx, from, to, inputs, kind, checker)                                                           \
    const struct pi_opdef pi_op_##symbol = {                                                                            \
        .name = onnx, .since = from, .until = to, .min_in = 1, .max_in = inputs, .min_out = 1, .max_out = 1,            \
        .flags = PI_OP_ANY_LAYOUT | PI_OP_UNARY | PI_OP_INPLACE, .params_bytes = sizeof(struct unary),                  \
        .family = PI_ELTWISE, .row = kind, .check = checker, .infer = infer, .run = run                                                                    \
    };
/* Without attributes. */
#define PLAIN(symbol, onnx, kind)                                                                                       \
    static int check_##symbol(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)                \
    {                                                                                                                   \
        (void)g; (void)err;                                                                                             \
        ((struct unary *)n->params)->op = kind;                                                                         \
        return 0;                                                                                                       \
    }                                                                                                                   \
    DEFINE(symbol, onnx, 6, 0, 1, kind, check_##symbol)

PLAIN(Sigmoid, "Sigmoid", PI_SIGMOID)
PLAIN(Tanh, "Tanh", PI_TANH)
PLAIN(Exp, "Exp", PI_EXP)
PLAIN(Log, "Log", PI_LOG)
PLAIN(Sqrt, "Sqrt", PI_SQRT)
PLAIN(Abs, "Abs", PI_ABS)
PLAIN(Neg, "Neg", PI_NEG)
PLAIN(Reciprocal, "Reciprocal", PI_RECIPROCAL)
PLAIN(Floor, "Floor", PI_FLOOR)
PLAIN(Ceil, "Ceil", PI_CEIL)
PLAIN(Erf, "Erf", PI_ERF)
PLAIN(HardSwish, "HardSwish", PI_HARDSWISH)

static int check_relu(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g; (void)err;
    *(struct unary *)n->params = (struct unary){ .op = PI_CLIP, .lo = 0, .hi = __builtin_inff() };
    return 0;
}
DEFINE(Relu, "Relu", 6, 0, 1, PI_CLIP, check_relu)

static int check_leaky(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct unary *u = n->params;
    (void)g;
    u->op = PI_LEAKY;
    PI_TRY(pi_attr_float(n, "alpha", 0.01f, &u->p[0], err));
    return finite(n, "alpha", u->p[0], err);
}
DEFINE(LeakyRelu, "LeakyRelu", 6, 0, 1, PI_LEAKY, check_leaky)

static int check_hardsigmoid(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct unary *u = n->params;
    (void)g;
    u->op = PI_HARDSIGMOID;
    PI_TRY(pi_attr_float(n, "alpha", 0.2f, &u->p[0], err));
    PI_TRY(pi_attr_float(n, "beta", 0.5f, &u->p[1], err));
    PI_TRY(finite(n, "alpha", u->p[0], err));
    return finite(n, "beta", u->p[1], err);
}
DEFINE(HardSigmoid, "HardSigmoid", 6, 0, 1, PI_HARDSIGMOID, check_hardsigmoid)

/* ---------------------------------------------------------------- Clip: bounds in attributes, then in inputs */

static int check_clip_attr(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct unary *u = n->params;
    const float inf = __builtin_inff();
    (void)g;
    u->op = PI_CLIP;
    PI_TRY(pi_attr_float(n, "min", -inf, &u->lo, err));
    PI_TRY(pi_attr_float(n, "max", inf, &u->hi, err));
    if (u->lo != u->lo || u->hi != u->hi) return pi_node_fail(n, err, PRECINFER_MALFORMED, "a bound is not a number");
    return 0;
}
DEFINE(Clip_attr, "Clip", 6, 10, 1, PI_CLIP, check_clip_attr)

static int check_clip(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g; (void)err;
    ((struct unary *)n->params)->op = PI_CLIP;
    return 0;
}

static int infer_clip(const struct pi_infer *i)
{
    PI_TRY(pi_infer_float(i, 0));
    for (size_t k = 1; k < i->node->nin; k++) {
        const struct pi_tensor *t = i->in[k];
        if (!t) continue;
        if (t->type != PI_F32)
            return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "bound %zu is %s, not float32", k, pi_type_name(t->type));
        if (pi_elements(t) != 1) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "bound %zu is not one element", k);
    }
    return pi_infer_like(i);
}

static void run_clip(const struct pi_call *c)
{
    const struct pi_tensor *lo = c->node->nin > 1 ? c->in[1] : NULL, *hi = c->node->nin > 2 ? c->in[2] : NULL;
    struct pi_elt e = { .lo = -__builtin_inff(), .hi = __builtin_inff() };
    if (lo) e.lo = pi_float_at(lo, 0);
    if (hi) e.hi = pi_float_at(hi, 0);
    pi_elt_run(c->ctx, PI_CLIP, &e, c->in[0], NULL, c->out[0]);
}

const struct pi_opdef pi_op_Clip = {
    .name = "Clip", .since = 11, .min_in = 1, .max_in = 3, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_UNARY | PI_OP_INPLACE, .params_bytes = sizeof(struct unary),
    .family = PI_ELTWISE, .row = PI_CLIP, .check = check_clip, .infer = infer_clip, .run = run_clip
};
