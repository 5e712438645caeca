/* Pow. Exponents -1, -0.5, 0, 0.5, 1, 2 and 3 are exact forms; any other is exp(y log x) of our own in double, rounded once. */
#include <math.h>
#include <string.h>
#include "elt.h"
#include "infer.h"

static const double LN2_HI = 0x1.62e42fefa38p-1, LN2_LO = 0x1.ef35793c7673p-45;

/* log x for finite x > 0, error far below half an ulp of f32: x = 2^k m, m near 1, log m = 2 atanh((m - 1) / (m + 1)). */
static double log_of(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    int64_t k = (int64_t)(u >> 52) - 1023;
    u = (u & 0xfffffffffffffu) | 0x3ff0000000000000u;
    double m;
    memcpy(&m, &u, sizeof m);
    if (m > 1.4142135623730951) { m *= 0.5; k++; }
    const double s = (m - 1) / (m + 1), z = s * s;
    double p = 0;
    for (int i = 23; i >= 1; i -= 2) p = p * z + 1.0 / i;
    return (double)k * LN2_HI + (2 * s * p + (double)k * LN2_LO);
}

/* exp x: x = k ln 2 + r, |r| <= ln 2 / 2, the series of r to r^13. */
static double exp_of(double x)
{
    if (x > 200) return (double)INFINITY;
    if (x < -200) return 0;
    const double t = x * 1.4426950408889634;
    const int64_t k = (int64_t)(t < 0 ? t - 0.5 : t + 0.5);
    const double r = x - (double)k * LN2_HI - (double)k * LN2_LO;
    double p = 1;
    for (int i = 13; i >= 1; i--) p = 1 + r * p / i;
    const uint64_t u = (uint64_t)(k + 1023) << 52;
    double scale;
    memcpy(&scale, &u, sizeof scale);
    return p * scale;
}

static int is_whole(double y) { return y - y == 0 && (y >= 0x1p53 || y <= -0x1p53 || (double)(int64_t)y == y); }
static int is_odd(double y) { return is_whole(y) && y < 0x1p53 && y > -0x1p53 && ((int64_t)y & 1); }

/* y is none of the exact exponents. The special cases are those of C's pow. */
static float general(float x, double y)
{
    const double a = x < 0 ? -(double)x : (double)x;
    const int negative = x < 0 || (x == 0 && 1 / x < 0);
    if (x == 1) return 1;
    if (x != x || y != y) return x + (float)y;
    double r;
    if (y - y != 0) r = a == 1 ? 1 : (a > 1) == (y > 0) ? (double)INFINITY : 0;
    else if (a == 0 || a - a != 0) r = (a == 0) == (y > 0) ? 0 : (double)INFINITY;
    else if (x < 0 && !is_whole(y)) return NAN;
    else r = exp_of(y * log_of(a));
    return (float)(negative && is_odd(y) ? -r : r);
}

static float power(float x, double y)
{
    if (y == 2) return x * x;
    if (y == 3) return x * x * x;
    if (y == 0.5) return sqrtf(x);
    if (y == 1) return x;
    if (y == 0) return 1;
    if (y == -1) return 1 / x;
    if (y == -0.5) return 1 / sqrtf(x);
    return general(x, y);
}

#define KERNEL(name, T)                                                                                                 \
    static void name(const struct pi_elt *e)                                                                            \
    {                                                                                                                   \
        const float *a = e->a;                                                                                          \
        const T *b = e->b;                                                                                              \
        float *c = e->c;                                                                                                \
        for (size_t i = 0; i < e->n; i++)                                                                               \
            c[i] = power(a[e->mode & PI_A_SCALAR ? 0 : i], (double)b[e->mode & PI_B_SCALAR ? 0 : i]);                   \
    }
KERNEL(pow_f32, float)
KERNEL(pow_s32, int32_t)
KERNEL(pow_s64, int64_t)

static pi_elt_fn *kernel_of(enum pi_type exponent)
{
    return exponent == PI_F32 ? pow_f32 : exponent == PI_S32 ? pow_s32 : exponent == PI_S64 ? pow_s64 : NULL;
}

static int infer(const struct pi_infer *i)
{
    if (i->in[0]->type != PI_F32 || !kernel_of(i->in[1]->type))
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "%s to the power of %s", pi_type_name(i->in[0]->type),
                            pi_type_name(i->in[1]->type));
    PI_TRY(pi_infer_like(i));
    return pi_broadcast_dims(i, i->in[1], &i->out[0]);
}

static void run(const struct pi_call *c)
{
    static const struct pi_elt none = { 0 };
    pi_elt_apply(c->ctx, kernel_of(c->in[1]->type), &none, c->in[0], c->in[1], c->out[0]);
}

/* Not in place: an exponent that stands still is read for every element. */
const struct pi_opdef pi_op_Pow = {
    .name = "Pow", .since = 7, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = PI_OP_ANY_LAYOUT, .infer = infer,
    .run = run
};
