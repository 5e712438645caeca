/* exp, sigmoid, tanh, log and erf: the law of float functions. Only + - * / fma, comparisons and integer operations on the
 * bits, without tables and without branches that a vector could not take as a select: another ISA does the same steps in
 * lanes and gets the same bits. NaN gives NaN. The largest error against double, over every 31st float, in units in the
 * last place of the result: exp 0.87, sigmoid 1.62, tanh 1.28, log 1.04, erf 1.09.
 *
 * The polynomials were fitted for this file by weighted minimax (Remez's exchange, 160-bit arithmetic), coefficients
 * rounded to float from the lowest degree up and the rest fitted again. "Fit" is the relative error of the function in
 * exact arithmetic with the rounded coefficients. */
#ifndef PI_REF_MATH_H
#define PI_REF_MATH_H
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t m_bits(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }
static inline float m_float(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }
static inline float m_abs(float x) { return m_float(m_bits(x) & 0x7fffffff); }
static inline float m_with_sign(float x, float sign) { return m_float(m_bits(x) | (m_bits(sign) & 0x80000000)); }
static inline float m_most(float x, float hi) { return hi < x ? hi : x; }      /* NaN passes */

/* 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits. */
#define M_MAGIC 12582912.0f
#define M_LN2_HI 0x1.62e430p-1f         /* ln 2 rounded to float, and the rest */
#define M_LN2_LO -0x1.05c610p-29f

/* e^x = p * 2^n with p in [0.7, 1.42]. |x| <= 104.
 * e^r = 1 + r + r^2 q(r), |r| <= ln(2) / 2. Fit 2^-28.2. */
struct m_exp { float p; int32_t n; };
static inline struct m_exp m_exp_parts(float x)
{
    const float t = fmaf(x, 0x1.715476p+0f, M_MAGIC);                   /* log2 e */
    const float n = t - M_MAGIC;
    const float high = fmaf(n, -M_LN2_HI, x), low = n * M_LN2_LO;      /* high is exact, r is rounded: q alone sees it */
    const float r = high - low;
    float q = 0x1.6ab8d0p-10f;
    q = fmaf(q, r, 0x1.123d72p-7f);
    q = fmaf(q, r, 0x1.55585ap-5f);
    q = fmaf(q, r, 0x1.55548cp-3f);
    q = fmaf(q, r, 0x1.fffffcp-2f);
    return (struct m_exp){ 1.0f + (high + fmaf(r * r, q, -low)), (int32_t)(m_bits(t) - m_bits(M_MAGIC)) };
}
static inline float m_pow2(int32_t n) { return m_float((uint32_t)(n + 127) << 23); }    /* -126 <= n <= 127 */

/* Results that are neither subnormal nor infinite: |x| <= 87. */
static inline float m_exp_normal(float x)
{
    const struct m_exp e = m_exp_parts(x);
    return e.p * m_pow2(e.n);
}

/* Beyond the clip e^x is infinite or 0. Two factors reach every exponent; only the last product rounds. */
static inline float m_exp(float x)
{
    x = -104.0f > x ? -104.0f : x;
    const struct m_exp e = m_exp_parts(m_most(x, 89.0f));
    const int32_t half = e.n >> 1;
    return e.p * m_pow2(half) * m_pow2(e.n - half);
}

/* q = 1 / (1 + e^-x), for negative x e^x / (1 + e^x): the exponential never overflows. There e^x - e^x q is the same
 * value again, with the rounding of the sum 1 + e^x made small. */
static inline float m_sigmoid(float x)
{
    const float e = m_exp(-m_abs(x));
    const float q = (x < 0 ? e : 1.0f) / (1.0f + e);
    return x < 0 ? fmaf(-e, q, e) : q;
}

/* |x| < 0.625: x + x^3 p(x^2), fit 2^-27.7. Else 1 - 2 / (e^2x + 1), which is 1 from 10 on. */
static inline float m_tanh(float x)
{
    const float y = m_most(m_abs(x), 10.0f), s = y * y;
    float p = -0x1.750ce2p-8f;
    p = fmaf(p, s, 0x1.51f8cep-6f);
    p = fmaf(p, s, -0x1.b835a4p-5f);
    p = fmaf(p, s, 0x1.1106f6p-3f);
    p = fmaf(p, s, -0x1.555532p-2f);
    const float near = fmaf(y * s, p, y);
    const float far = 1.0f - 2.0f / (m_exp_normal(y + y) + 1.0f);
    return m_with_sign(y < 0.625f ? near : far, x);
}

/* x = 2^e * (1 + f), 1 + f in [sqrt(1/2), sqrt(2)): e ln 2 + f + f^2 q(f). Fit 2^-25.1. */
static inline float m_log(float x)
{
    const int tiny = x < 0x1p-126f;                                     /* a subnormal is scaled first */
    const uint32_t u = m_bits(tiny ? x * 0x1p23f : x);
    const int32_t e = (int32_t)(u - 0x3f3504f3) >> 23;                  /* sqrt(1/2) */
    const float f = m_float(u - ((uint32_t)e << 23)) - 1.0f, n = (float)(e - (tiny ? 23 : 0));
    float q = -0x1.56e7b2p-5f;
    q = fmaf(q, f, 0x1.c6f060p-4f);
    q = fmaf(q, f, -0x1.19d8cep-3f);
    q = fmaf(q, f, 0x1.28febap-3f);
    q = fmaf(q, f, -0x1.53ad9ap-3f);
    q = fmaf(q, f, 0x1.994870p-3f);
    q = fmaf(q, f, -0x1.0004f8p-2f);
    q = fmaf(q, f, 0x1.555608p-2f);
    q = fmaf(q, f, -0x1.fffff8p-2f);
    float r = fmaf(n, M_LN2_HI, fmaf(n, M_LN2_LO, fmaf(f * f, q, f)));
    r = x < INFINITY ? r : x;                                           /* infinite and NaN */
    r = x < 0 ? NAN : r;
    return x == 0 ? -INFINITY : r;
}

/* |x| < 0.90625: x + x p(x^2), fit 2^-30.0. Else 1 - e^q(x), q the logarithm of erfc, fit 2^-32.8; 1 from 4 on. */
static inline float m_erf(float x)
{
    const float y = m_most(m_abs(x), 4.0f), s = y * y;
    float p = 0x1.4e1d76p-14f;
    p = fmaf(p, s, -0x1.a5be20p-11f);
    p = fmaf(p, s, 0x1.54440ep-8f);
    p = fmaf(p, s, -0x1.b800b8p-6f);
    p = fmaf(p, s, 0x1.ce2d62p-4f);
    p = fmaf(p, s, -0x1.812740p-2f);
    p = fmaf(p, s, 0x1.06eba8p-3f);
    float q = -0x1.5ee272p-16f;
    q = fmaf(q, y, 0x1.c55c94p-12f);
    q = fmaf(q, y, -0x1.10aff0p-8f);
    q = fmaf(q, y, 0x1.9b1e9cp-6f);
    q = fmaf(q, y, -0x1.bb58f8p-4f);
    q = fmaf(q, y, -0x1.444ae2p-1f);
    q = fmaf(q, y, -0x1.2126b4p+0f);
    q = fmaf(q, y, 0x1.667e36p-13f);
    return m_with_sign(y < 0.90625f ? fmaf(y, p, y) : 1.0f - m_exp_normal(q), x);
}
#endif
