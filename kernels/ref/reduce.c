/* Reductions of contiguous rows: 16 lanes, then a tree. The law. */
#include "epilogue.h"
#include "math.h"

enum { LANES = 16 };

/* NaN wins; of two zeros the earlier one stays. */
static float larger(float best, float x) { return x != x || x > best ? x : best; }
static float smaller(float best, float x) { return x != x || x < best ? x : best; }
static float sum(float s, float x) { return s + x; }
static float sum_squares(float s, float x) { return fmaf(x, x, s); }

/* Lane l with l + 8, then 4, 2, 1. */
static float tree(float *lane, float (*join)(float, float))
{
    for (size_t half = LANES / 2; half; half /= 2)
        for (size_t l = 0; l < half; l++) lane[l] = join(lane[l], lane[l + half]);
    return lane[0];
}

/* Lanes start from `start`: +0 for sums. For max it is -inf, which no element is less than, so that an absent lane and a
 * lane's start change nothing; an empty row gives it. */
static float reduced(const float *a, size_t n, float start, float (*take)(float, float), float (*join)(float, float))
{
    float lane[LANES];
    for (size_t l = 0; l < LANES; l++) lane[l] = start;
    for (size_t i = 0; i < n; i++) lane[i % LANES] = take(lane[i % LANES], a[i]);
    return tree(lane, join);
}

static const float *row_a(const struct pi_reduce *t, size_t i) { return (const float *)((const char *)t->a + i * t->lda); }
static float *row_c(const struct pi_reduce *t, size_t i) { return (float *)((char *)t->c + i * t->ldc); }

#define REDUCE(name, start, take, join)                                                                                 \
pi_reduce_fn pi_##name##_ref;                                                                                           \
void pi_##name##_ref(const struct pi_reduce *t)                                                                         \
{                                                                                                                       \
    for (size_t i = 0; i < t->m; i++) *row_c(t, i) = reduced(row_a(t, i), t->n, start, take, join);                     \
}
REDUCE(reducesum_f32, 0.0f, sum, sum)
REDUCE(reducesumsq_f32, 0.0f, sum_squares, sum)
REDUCE(reducemax_f32, -INFINITY, larger, larger)
REDUCE(reducemin_f32, INFINITY, smaller, smaller)

pi_reduce_fn pi_softmax_f32_ref;
void pi_softmax_f32_ref(const struct pi_reduce *t)
{
    for (size_t i = 0; i < t->m; i++) {
        const float *a = row_a(t, i);
        float *c = row_c(t, i);
        const float most = reduced(a, t->n, -INFINITY, larger, larger);
        for (size_t j = 0; j < t->n; j++) c[j] = m_exp(a[j] - most);
        const float all = reduced(c, t->n, 0.0f, sum, sum);
        for (size_t j = 0; j < t->n; j++) c[j] = c[j] / all;
    }
}
