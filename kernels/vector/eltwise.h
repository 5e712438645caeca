/* Elementwise operators for every ISA with a vec.h; ../ref/eltwise.c is the law. */
#include "math.h"

INL vf clipped(vf x, vf lo, vf hi) { return v_min(hi, v_max(lo, x)); }
INL vf clipped_to(vf x, float lo, float hi) { return clipped(x, v_set(lo), v_set(hi)); }

/* One loop and one tail. VA and VC are the vectors of the types A and C in memory. *t is copied: a store to c might be to
 * *t, for all that the compiler knows, and every constant would be read again for every vector. */
#define MAP(name, A, VA, C, VC, f)                                                                                      \
pi_elt_fn ISA(name);                                                                                                    \
void ISA(name)(const struct pi_elt *arg)                                                                                \
{                                                                                                                       \
    const struct pi_elt copy = *arg, *const t = &copy;                                                                  \
    const A *a = t->a;                                                                                                  \
    C *c = t->c;                                                                                                        \
    size_t n = t->n;                                                                                                    \
    for (; n >= VN; n -= VN, a += VN, c += VN) VC##_store(c, f(t, VA##_load(a)));                                       \
    if (n) VC##_store_n(c, f(t, VA##_load_n(a, n)), n);                                                                 \
}

/* ---------------------------------------------------------------- conversions */

/* Division, not a product with 1 / scale: the law. NaN becomes 0 before the zero point. */
INL vi quantized(const struct pi_elt *t, vf x, int32_t lo, int32_t hi)
{
    const vf q = clipped_to(v_div(x, v_set(t->p[0])), (float)(lo - t->z[2]), (float)(hi - t->z[2]));
    return vi_add(v_round(v_drop(v_nan(q), q)), vi_set(t->z[2]));
}
INL vb quantize_u8(const struct pi_elt *t, vf x) { return vb_from_u8(quantized(t, x, 0, 255)); }
INL vb quantize_s8(const struct pi_elt *t, vf x) { return vb_from_s8(quantized(t, x, -128, 127)); }

INL vf real(vi x, int32_t zp, float scale) { return v_mul(v_from_int(vi_sub(x, vi_set(zp))), v_set(scale)); }
INL vf dequantize_u8(const struct pi_elt *t, vb x) { return real(vi_from_u8(x), t->z[0], t->p[0]); }
INL vf dequantize_s8(const struct pi_elt *t, vb x) { return real(vi_from_s8(x), t->z[0], t->p[0]); }

/* Round to nearest even on the bits; a NaN keeps its upper half and becomes quiet. */
INL vh narrow(const struct pi_elt *t, vf x)
{
    const vi u = v_bits(x), odd = vi_and(VI_SHR(u, 16), vi_set(1));
    const vi rounded = VI_SHR(vi_add(vi_add(u, vi_set(0x7fff)), odd), 16), quiet = vi_or(VI_SHR(u, 16), vi_set(0x40));
    (void)t;
    return vh_from_u16(v_bits(v_select(v_nan(x), v_float(quiet), v_float(rounded))));
}
INL vf widen(const struct pi_elt *t, vh x) { (void)t; return v_float(VI_SHL(vi_from_u16(x), 16)); }
INL vh to_f16(const struct pi_elt *t, vf x) { (void)t; return vh_from_f16(x); }
INL vf from_f16(const struct pi_elt *t, vh x) { (void)t; return v_from_f16(x); }

MAP(quantize_f32u8, float, vf, uint8_t, vb, quantize_u8)
MAP(quantize_f32s8, float, vf, int8_t, vb, quantize_s8)
MAP(dequantize_u8f32, uint8_t, vb, float, vf, dequantize_u8)
MAP(dequantize_s8f32, int8_t, vb, float, vf, dequantize_s8)
MAP(convert_f32bf16, float, vf, uint16_t, vh, narrow)
MAP(convert_bf16f32, uint16_t, vh, float, vf, widen)
MAP(convert_f32f16, float, vf, uint16_t, vh, to_f16)
MAP(convert_f16f32, uint16_t, vh, float, vf, from_f16)

/* ---------------------------------------------------------------- unary */

#define UNARY(name, expression)                                                                                         \
INL vf name##_of(const struct pi_elt *t, vf x) { (void)t; return (expression); }                                        \
MAP(name##_f32, float, vf, float, vf, name##_of)

UNARY(clip, clipped_to(x, t->lo, t->hi))
UNARY(leaky, v_select(v_less(x, v_set(0)), v_mul(x, v_set(t->p[0])), x))
UNARY(hardsigmoid, clipped_to(v_add(v_mul(x, v_set(t->p[0])), v_set(t->p[1])), 0, 1))
UNARY(hardswish, v_mul(x, clipped_to(v_add(v_mul(x, v_set(1.0f / 6.0f)), v_set(0.5f)), 0, 1)))
UNARY(sigmoid, m_sigmoid(x))
UNARY(tanh, m_tanh(x))
UNARY(exp, m_exp(x))
UNARY(sqrt, v_sqrt(x))
UNARY(log, m_log(x))
UNARY(erf, m_erf(x))
UNARY(abs, v_abs(x))
UNARY(neg, v_neg(x))
UNARY(reciprocal, v_div(v_set(1.0f), x))
UNARY(floor, v_floor(x))
UNARY(ceil, v_ceil(x))

/* ---------------------------------------------------------------- binary */

INL vf larger(vf x, vf y) { return v_select(v_nan(x), x, v_max(x, y)); }
INL vf smaller(vf x, vf y) { return v_select(v_nan(x), x, v_min(x, y)); }

/* sa, sb: that operand is one element, read before anything is written. Constants in every call below: three loops. */
#define BINARY_BODY(name, T, V, get, set, f)                                                                            \
INL void name##_body(const struct pi_elt *arg, const int sa, const int sb)                                              \
{                                                                                                                       \
    const struct pi_elt copy = *arg, *const t = &copy;                                                                  \
    const T *a = t->a, *b = t->b;                                                                                       \
    T *c = t->c;                                                                                                        \
    size_t n = t->n;                                                                                                    \
    const V x0 = set(*a), y0 = set(*b);                                                                                 \
    for (; n >= VN; n -= VN, a += VN, b += VN, c += VN)                                                                 \
        f##_store(c, f##_##name(t, sa ? x0 : get(f##_load(a)), sb ? y0 : get(f##_load(b))));                            \
    if (n) f##_store_n(c, f##_##name(t, sa ? x0 : get(f##_load_n(a, n)), sb ? y0 : get(f##_load_n(b, n))), n);          \
}                                                                                                                       \
pi_elt_fn ISA(name);                                                                                                    \
void ISA(name)(const struct pi_elt *t)                                                                                  \
{                                                                                                                       \
    if (!t->n) return;                                                                                                  \
    if (!t->mode) name##_body(t, 0, 0);                                                                                 \
    else if (t->mode == PI_B_SCALAR) name##_body(t, 0, 1);                                                              \
    else if (t->mode == PI_A_SCALAR) name##_body(t, 1, 0);                                                              \
    else name##_body(t, 1, 1);                                                                                          \
}
#define AS_IT_IS(x) (x)

#define BINARY_F32(name, expression)                                                                                    \
INL vf vf_##name(const struct pi_elt *t, vf x, vf y) { (void)t; return (expression); }                                  \
BINARY_BODY(name, float, vf, AS_IT_IS, v_set, vf)

BINARY_F32(add_f32f32, v_add(x, y))
BINARY_F32(sub_f32f32, v_sub(x, y))
BINARY_F32(mul_f32f32, v_mul(x, y))
BINARY_F32(div_f32f32, v_div(x, y))
BINARY_F32(max_f32f32, larger(x, y))
BINARY_F32(min_f32f32, smaller(x, y))

/* Finite by contract: no NaN reaches the rounding. */
INL vb requantized(const struct pi_elt *t, vf x)
{
    return vb_from_u8(vi_add(v_round(clipped_to(x, t->lo, t->hi)), vi_set(t->z[2])));
}
#define REAL_X real(x, t->z[0], t->p[0])
#define REAL_Y real(y, t->z[1], t->p[1])
#define BINARY_U8(name, expression)                                                                                     \
INL vb vb_##name(const struct pi_elt *t, vi x, vi y) { return requantized(t, (expression)); }                           \
BINARY_BODY(name, uint8_t, vi, vi_from_u8, vi_set, vb)

BINARY_U8(add_u8u8, v_add(REAL_X, REAL_Y))
BINARY_U8(sub_u8u8, v_sub(REAL_X, REAL_Y))
BINARY_U8(max_u8u8, larger(REAL_X, REAL_Y))
BINARY_U8(min_u8u8, smaller(REAL_X, REAL_Y))
/* 255 * 255 is exact in float: the product needs no integers. */
BINARY_U8(mul_u8u8, v_mul(v_mul(real(x, t->z[0], 1), real(y, t->z[1], 1)), v_set(t->p[0])))
