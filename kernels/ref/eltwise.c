/* Elementwise operators, one element at a time: the law. */
#include "epilogue.h"
#include "math.h"

/* ---------------------------------------------------------------- conversions */

static uint16_t to_f16(float x)
{
    const uint32_t u = m_bits(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));  /* quiet, upper payload kept */
    if (a >= 0x47800000) return (uint16_t)(sign | 0x7c00);                      /* 65536 and more */
    if (a < 0x38800000)                                                         /* below 2^-14: a multiple of 2^-24 */
        return (uint16_t)(sign | (m_bits(m_float(a) + 0.5f) - 0x3f000000));
    return (uint16_t)(sign | ((a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13)); /* a carry reaches the exponent, or infinity */
}
static float from_f16(uint16_t x)
{
    const uint32_t sign = (uint32_t)(x & 0x8000) << 16, a = x & 0x7fff;
    if (a > 0x7c00) return m_float(sign | 0x7fc00000 | a << 13);
    if (a == 0x7c00) return m_float(sign | 0x7f800000);
    if (a < 0x400) return m_float(sign | m_bits((float)a * 0x1p-24f));
    return m_float(sign | ((a << 13) + 0x38000000));
}

/* Clamping before rounding is the same as after it: the ends are integers. Division, as ONNX defines it. */
static int32_t quantized(float x, float scale, int32_t zp, int32_t lo, int32_t hi)
{
    return law_round(law_clip(x / scale, (float)(lo - zp), (float)(hi - zp))) + zp;
}

#define EACH(name, A, C, expression)                                                                                    \
pi_elt_fn pi_##name##_ref;                                                                                              \
void pi_##name##_ref(const struct pi_elt *t)                                                                            \
{                                                                                                                       \
    const A *a = t->a;                                                                                                  \
    C *c = t->c;                                                                                                        \
    for (size_t i = 0; i < t->n; i++) {                                                                                 \
        const A x = a[i];                                                                                               \
        c[i] = (expression);                                                                                            \
    }                                                                                                                   \
}
EACH(quantize_f32u8, float, uint8_t, (uint8_t)quantized(x, t->p[0], t->z[2], 0, 255))
EACH(quantize_f32s8, float, int8_t, (int8_t)quantized(x, t->p[0], t->z[2], -128, 127))
EACH(dequantize_u8f32, uint8_t, float, (float)(x - t->z[0]) * t->p[0])
EACH(dequantize_s8f32, int8_t, float, (float)(x - t->z[0]) * t->p[0])
EACH(convert_f32bf16, float, uint16_t, law_narrow(x))
EACH(convert_bf16f32, uint16_t, float, law_widen(x))
EACH(convert_f32f16, float, uint16_t, to_f16(x))
EACH(convert_f16f32, uint16_t, float, from_f16(x))
EACH(table256_u8, uint8_t, uint8_t, t->table[x])

/* ---------------------------------------------------------------- unary */

/* 2^23 and more is whole; below it the conversion to int truncates. The sign of a zero is the argument's. */
static float floored(float x)
{
    if (!(m_abs(x) < 0x1p23f)) return x;
    const float t = (float)(int32_t)x;
    return m_with_sign(t > x ? t - 1.0f : t, x);
}
static float negated(float x) { return m_float(m_bits(x) ^ 0x80000000); }

EACH(clip_f32, float, float, law_clip(x, t->lo, t->hi))
EACH(leaky_f32, float, float, x < 0 ? x * t->p[0] : x)
EACH(hardsigmoid_f32, float, float, law_clip(x * t->p[0] + t->p[1], 0.0f, 1.0f))
EACH(hardswish_f32, float, float, x * law_clip(x * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f))
EACH(sigmoid_f32, float, float, m_sigmoid(x))
EACH(tanh_f32, float, float, m_tanh(x))
EACH(exp_f32, float, float, m_exp(x))
EACH(sqrt_f32, float, float, sqrtf(x))
EACH(log_f32, float, float, m_log(x))
EACH(erf_f32, float, float, m_erf(x))
EACH(abs_f32, float, float, m_abs(x))
EACH(neg_f32, float, float, negated(x))
EACH(reciprocal_f32, float, float, 1.0f / x)
EACH(floor_f32, float, float, floored(x))
EACH(ceil_f32, float, float, negated(floored(negated(x))))

/* ---------------------------------------------------------------- binary */

/* NaN in either operand gives NaN; of two zeros the second is taken. x86: max(x, y), then x where x is NaN. */
static float larger(float x, float y) { return x != x || x > y ? x : y; }
static float smaller(float x, float y) { return x != x || x < y ? x : y; }

static uint8_t requantized(const struct pi_elt *t, float f) { return (uint8_t)(law_round(law_clip(f, t->lo, t->hi)) + t->z[2]); }

/* A scalar is read before anything is written: c may be that operand. */
#define BINARY(name, T, expression)                                                                                     \
pi_elt_fn pi_##name##_ref;                                                                                              \
void pi_##name##_ref(const struct pi_elt *t)                                                                            \
{                                                                                                                       \
    if (!t->n) return;                                                                                                  \
    const T *a = t->a, *b = t->b, a0 = *a, b0 = *b;                                                                     \
    T *c = t->c;                                                                                                        \
    for (size_t i = 0; i < t->n; i++) {                                                                                 \
        const T x = t->mode & PI_A_SCALAR ? a0 : a[i], y = t->mode & PI_B_SCALAR ? b0 : b[i];                           \
        c[i] = (expression);                                                                                            \
    }                                                                                                                   \
}
BINARY(add_f32f32, float, x + y)
BINARY(sub_f32f32, float, x - y)
BINARY(mul_f32f32, float, x * y)
BINARY(div_f32f32, float, x / y)
BINARY(max_f32f32, float, larger(x, y))
BINARY(min_f32f32, float, smaller(x, y))

#define REAL_X ((float)(x - t->z[0]) * t->p[0])
#define REAL_Y ((float)(y - t->z[1]) * t->p[1])
BINARY(add_u8u8, uint8_t, requantized(t, REAL_X + REAL_Y))
BINARY(sub_u8u8, uint8_t, requantized(t, REAL_X - REAL_Y))
BINARY(mul_u8u8, uint8_t, requantized(t, (float)((x - t->z[0]) * (y - t->z[1])) * t->p[0]))
BINARY(max_u8u8, uint8_t, requantized(t, larger(REAL_X, REAL_Y)))
BINARY(min_u8u8, uint8_t, requantized(t, smaller(REAL_X, REAL_Y)))
