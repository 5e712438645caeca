/* Reductions for every ISA with a vec.h; ../ref/reduce.c is the law: 16 lanes are VL vectors. */
#include "math.h"

enum { VL = 16 / VN };

INL vf larger(vf best, vf x) { return v_select(v_nan(x), x, v_max(x, best)); }
INL vf smaller(vf best, vf x) { return v_select(v_nan(x), x, v_min(x, best)); }
INL vf sum(vf s, vf x) { return v_add(s, x); }
INL vf sum_squares(vf s, vf x) { return v_fma(x, x, s); }

/* The n < 16 elements of the last group: vector v has its first ones; absent lanes take `absent`, which changes nothing
 * (a sum that started from +0 is never -0). */
INL vf load_part(const float *a, size_t n, int v, vf absent)
{
    const size_t first = (size_t)v * VN;
    if (n <= first) return absent;
    if (n - first >= VN) return vf_load(a + first);
    return vf_fill(vf_load_n(a + first, n - first), n - first, absent);
}

#define TREE(join, x) /* VL vectors, then lane l with l + half */                                                       \
    for (int half = VL / 2; half; half /= 2)                                                                            \
        for (int v = 0; v < half; v++) x[v] = join(x[v], x[v + half]);                                                  \
    _Pragma("GCC unroll 4") for (int half = VN / 2; half; half /= 2) x[0] = join(x[0], v_down(x[0], half));

#define REDUCED(name, start, take, join)                                                                                \
INL float name##_of(const float *a, size_t n)                                                                           \
{                                                                                                                       \
    const vf none = v_set(start);                                                                                       \
    vf lane[VL];                                                                                                        \
    for (int v = 0; v < VL; v++) lane[v] = none;                                                                        \
    for (; n >= 16; n -= 16, a += 16)                                                                                   \
        for (int v = 0; v < VL; v++) lane[v] = take(lane[v], vf_load(a + v * VN));                                      \
    if (n) for (int v = 0; v < VL; v++) lane[v] = take(lane[v], load_part(a, n, v, none));                              \
    TREE(join, lane)                                                                                                    \
    return v_lane0(lane[0]);                                                                                            \
}
REDUCED(reducesum, 0.0f, sum, sum)
REDUCED(reducesumsq, 0.0f, sum_squares, sum)
REDUCED(reducemax, -__builtin_inff(), larger, larger)
REDUCED(reducemin, __builtin_inff(), smaller, smaller)

INL const float *row_a(const struct pi_reduce *t, size_t i) { return (const float *)((const char *)t->a + i * t->lda); }
INL float *row_c(const struct pi_reduce *t, size_t i) { return (float *)((char *)t->c + i * t->ldc); }

#define REDUCE(name)                                                                                                    \
pi_reduce_fn ISA(name##_f32);                                                                                           \
void ISA(name##_f32)(const struct pi_reduce *t)                                                                         \
{                                                                                                                       \
    for (size_t i = 0; i < t->m; i++) *row_c(t, i) = name##_of(row_a(t, i), t->n);                                      \
}
REDUCE(reducesum)
REDUCE(reducesumsq)
REDUCE(reducemax)
REDUCE(reducemin)

/* c = exp(a - most), and their sum in the same pass: lanes meet their elements in the same order. */
INL float exponentials(const float *a, float *c, size_t n, float most)
{
    const vf m = v_set(most);
    vf lane[VL];
    for (int v = 0; v < VL; v++) lane[v] = v_set(0);
    for (; n >= 16; n -= 16, a += 16, c += 16)
        for (int v = 0; v < VL; v++) {
            const vf e = m_exp(v_sub(vf_load(a + v * VN), m));
            vf_store(c + v * VN, e);
            lane[v] = v_add(lane[v], e);
        }
    for (int v = 0; n; v++) {
        const size_t now = n < VN ? n : VN;
        const vf e = m_exp(v_sub(now < VN ? vf_load_n(a, now) : vf_load(a), m));
        if (now < VN) vf_store_n(c, e, now); else vf_store(c, e);
        lane[v] = v_add(lane[v], now < VN ? vf_fill(e, now, v_set(0)) : e);
        n -= now; a += now; c += now;
    }
    TREE(sum, lane)
    return v_lane0(lane[0]);
}

INL void divided(float *c, size_t n, float by)
{
    const vf d = v_set(by);
    for (; n >= VN; n -= VN, c += VN) vf_store(c, v_div(vf_load(c), d));
    if (n) vf_store_n(c, v_div(vf_load_n(c, n), d), n);
}

pi_reduce_fn ISA(softmax_f32);
void ISA(softmax_f32)(const struct pi_reduce *t)
{
    for (size_t i = 0; i < t->m; i++) {
        const float *a = row_a(t, i);
        float *c = row_c(t, i);
        divided(c, t->n, exponentials(a, c, t->n, reducemax_of(a, t->n)));
    }
}
