/* Arithmetic of two tensors, or of any number of them, with broadcasting. */
#include <string.h>
#include "elt.h"
#include "infer.h"

struct binary { uint8_t op; };

/* Operands are of one type, except that a plan may mix quantized u8 and f32. */
static int infer(const struct pi_infer *i)
{
    const struct binary *b = i->node->params;
    struct pi_tensor *out = &i->out[0];
    const struct pi_tensor *first = i->in[0];
    pi_set_like(out, first);
    out->rank = 0;
    for (size_t k = 0; k < i->node->nin; k++) {
        const struct pi_tensor *t = i->in[k];
        const int lowered = (t->quantized || t->type == PI_F32) && (first->quantized || first->type == PI_F32);
        if (t->type != first->type && !lowered)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "input %zu is %s, input 0 %s", k, pi_type_name(t->type),
                                pi_type_name(first->type));
        if (!pi_elt_has(b->op, t->type)) PI_TRY(pi_infer_float(i, k));
        PI_TRY(pi_broadcast_dims(i, t, out));
    }
    return 0;
}

static void run(const struct pi_call *c)
{
    const struct binary *b = c->node->params;
    pi_elt_run(c->ctx, b->op, NULL, c->in[0], c->in[1], c->out[0]);
}

#define CHECK(symbol, kind)                                                                                             \
    static int check_##symbol(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)                \
    {                                                                                                                   \
        (void)g; (void)err;                                                                                             \
        ((struct binary *)n->params)->op = kind;                                                                        \
        return 0;                                                                                                       \
    }
#define BINARY(symbol, onnx, kind, lowered)                                                                             \
    CHECK(symbol, kind)                                                                                                 \
    const struct pi_opdef pi_op_##symbol = {                                                                            \
        .name = onnx, .since = 7, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,                                 \
        .flags = PI_OP_ANY_LAYOUT | PI_OP_INPLACE, .forms = lowered, .params_bytes = sizeof(struct binary),             \
        .family = PI_ELTWISE, .row = kind,                                                                             \
        .check = check_##symbol, .infer = infer, .run = run                                                             \
    };
BINARY(Add, "Add", PI_ADD, PI_BIT(PI_U8))
BINARY(Sub, "Sub", PI_SUB, PI_BIT(PI_U8))
BINARY(Mul, "Mul", PI_MUL, PI_BIT(PI_U8))
BINARY(Div, "Div", PI_DIV, 0)

/* ---------------------------------------------------------------- variadic: from the left */

static void run_variadic(const struct pi_call *c)
{
    const struct binary *b = c->node->params;
    const struct pi_tensor *out = c->out[0];
    if (c->node->nin == 1) { pi_elt_convert(c->ctx, c->in[0], out); return; }
    pi_elt_run(c->ctx, b->op, NULL, c->in[0], c->in[1], out);
    for (size_t k = 2; k < c->node->nin; k++) pi_elt_run(c->ctx, b->op, NULL, out, c->in[k], out);
}

static void run_mean(const struct pi_call *c)
{
    float count = (float)c->node->nin;
    const struct pi_tensor one = { .data = &count, .type = PI_F32 };
    run_variadic(c);
    if (c->node->nin > 1) pi_elt_run(c->ctx, PI_DIV, NULL, c->out[0], &one, c->out[0]);
}

static int infer_mean(const struct pi_infer *i)
{
    PI_TRY(pi_infer_float(i, 0));
    return infer(i);
}

/* Not in place: a later input may be input 0 again, which the first step would have overwritten. */
#define VARIADIC(symbol, onnx, from, kind, inferrer, runner)                                                            \
    CHECK(symbol, kind)                                                                                                 \
    const struct pi_opdef pi_op_##symbol = {                                                                            \
        .name = onnx, .since = from, .min_in = 1, .min_out = 1, .max_out = 1, .flags = PI_OP_ANY_LAYOUT,                \
        .family = PI_ELTWISE, .row = kind,                                                                             \
        .params_bytes = sizeof(struct binary), .check = check_##symbol, .infer = inferrer, .run = runner                \
    };
VARIADIC(Max, "Max", 6, PI_MAX2, infer, run_variadic)
VARIADIC(Min, "Min", 6, PI_MIN2, infer, run_variadic)
VARIADIC(Sum, "Sum", 6, PI_ADD, infer, run_variadic)
VARIADIC(Mean, "Mean", 6, PI_ADD, infer_mean, run_mean)

/* ---------------------------------------------------------------- PRelu: the slope is a tensor */

/* x < 0 ? x * slope : x, by bits: a branch on the sign of random numbers costs more than all else. */
static float leak(float x, float slope)
{
    const float y = x * slope;
    uint32_t bx, by;
    memcpy(&bx, &x, sizeof bx);
    memcpy(&by, &y, sizeof by);
    const uint32_t below = 0u - (uint32_t)(x < 0);
    bx = (by & below) | (bx & ~below);
    float r;
    memcpy(&r, &bx, sizeof r);
    return r;
}

enum { LANES = 8 };                                         /* in this many at a time: compilers make vectors of it */

/* Both operands are dense, or hold still for all of a block of LANES. */
static void leak_block(const float *a, const float *b, float *c)
{
    float r[LANES];
    for (int l = 0; l < LANES; l++) r[l] = leak(a[l], b[l]);
    for (int l = 0; l < LANES; l++) c[l] = r[l];
}

static void leaky(const struct pi_elt *e)
{
    const float *a = e->a, *b = e->b;
    float *c = e->c, a0[LANES], b0[LANES];
    const size_t sa = !(e->mode & PI_A_SCALAR), sb = !(e->mode & PI_B_SCALAR);
    size_t i = 0;
    for (int l = 0; l < LANES; l++) {
        a0[l] = a[0];
        b0[l] = b[0];
    }
    for (; i + LANES <= e->n; i += LANES) leak_block(sa ? a + i : a0, sb ? b + i : b0, c + i);
    for (; i < e->n; i++) c[i] = leak(sa ? a[i] : a0[0], sb ? b[i] : b0[0]);
}

static int infer_prelu(const struct pi_infer *i)
{
    for (size_t k = 0; k < 2; k++)
        if (i->in[k]->type != PI_F32)
            return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "input %zu is %s, not float32", k,
                                pi_type_name(i->in[k]->type));
    PI_TRY(pi_infer_like(i));
    return pi_broadcast_dims(i, i->in[1], &i->out[0]);
}

static void run_prelu(const struct pi_call *c)
{
    static const struct pi_elt none = { 0 };
    pi_elt_apply(c->ctx, leaky, &none, c->in[0], c->in[1], c->out[0]);
}

const struct pi_opdef pi_op_PRelu = {
    .name = "PRelu", .since = 7, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_INPLACE, .infer = infer_prelu, .run = run_prelu
};
