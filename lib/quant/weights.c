#include "weights.h"

void pi_weight_sums(const int8_t *w, size_t n, size_t k, ptrdiff_t sn, ptrdiff_t sk, int64_t *sums)
{
    for (size_t j = 0; j < n; j++) {
        const int8_t *const column = w + (ptrdiff_t)j * sn;
        int64_t sum = 0;
        for (size_t i = 0; i < k; i++) sum += column[(ptrdiff_t)i * sk];
        sums[j] = sum;
    }
}

int64_t pi_integer_bias(float b, float sx, float sw, int *overflow)
{
    if (b == 0) return 0;
    const double x = (double)b / ((double)sx * (double)sw);
    if (!(x >= INT32_MIN && x <= INT32_MAX)) { *overflow = 1; return 0; }
    /* Adding and taking away 1.5 * 2^52 leaves the nearest integer, ties to even. volatile: no compiler may simplify it. */
    volatile double shifted = x + 6755399441055744.0;
    return (int64_t)(shifted - 6755399441055744.0);
}

size_t pi_weights_overflow(const int8_t *w, size_t n, size_t k, ptrdiff_t sn, ptrdiff_t sk, const float *bias, float sx,
                           const float *sw, int32_t zp)
{
    for (size_t j = 0; j < n; j++) {
        const int8_t *const column = w + (ptrdiff_t)j * sn;
        int64_t positive = 0, negative = 0;
        for (size_t i = 0; i < k; i++) {
            const int64_t x = column[(ptrdiff_t)i * sk];
            if (x > 0) positive += x; else negative += x;
        }
        int bad = 0;
        const int64_t b = (bias ? pi_integer_bias(bias[j], sx, sw[j], &bad) : 0) - zp * (positive + negative);
        /* Partial sums lie between these, in whatever order a kernel adds. */
        const int64_t least = 255 * negative, most = 255 * positive;
        bad |= most > INT32_MAX || least < INT32_MIN || b > INT32_MAX || b < INT32_MIN || most + b > INT32_MAX || least + b < INT32_MIN;
        if (bad) return j + 1;
    }
    return 0;
}
