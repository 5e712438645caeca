#include <string.h>
#include "weights.h"

struct pi_weight_layout pi_weight_layout(const struct pi_node *node, const struct pi_tensor *w)
{
    int64_t flag = 0;
    size_t all = 1;
    for (int d = 0; d < w->rank; d++) all *= (size_t)w->dims[d];
    if (!strcmp(node->op->name, "Conv"))
        return (struct pi_weight_layout){ 1, 1, (size_t)w->dims[0], all / (size_t)w->dims[0] };
    if (!strcmp(node->op->name, "ConvTranspose")) {
        (void)pi_attr_int(node, "group", 1, &flag, NULL);       /* checked when the graph was made */
        const size_t c = (size_t)w->dims[0], n = (size_t)w->dims[1], groups = (size_t)flag;
        return (struct pi_weight_layout){ groups, c / groups, n, all / (c * n) };
    }
    if (!strcmp(node->op->name, "Gemm")) (void)pi_attr_int(node, "transB", 0, &flag, NULL);
    const size_t n = w->rank < 2 ? 1 : (size_t)w->dims[w->rank - (flag ? 2 : 1)];
    return flag ? (struct pi_weight_layout){ 1, 1, n, all / n } : (struct pi_weight_layout){ 1, all / n, n, 1 };
}

/* First of the `inner` weights of (channel, outer index). */
static const int8_t *run_of(const int8_t *w, const struct pi_weight_layout *l, size_t channel, size_t outer)
{
    const size_t group = channel / l->n, j = channel % l->n;
    return w + ((group * l->outer + outer) * l->n + j) * l->inner;
}

struct signs { int64_t positive, negative; };
static struct signs sum_by_sign(const int8_t *w, const struct pi_weight_layout *l, size_t channel)
{
    struct signs s = { 0, 0 };
    for (size_t o = 0; o < l->outer; o++) {
        const int8_t *const run = run_of(w, l, channel, o);
        for (size_t i = 0; i < l->inner; i++)
            if (run[i] > 0) s.positive += run[i]; else s.negative += run[i];
    }
    return s;
}

void pi_weight_sums(const int8_t *w, const struct pi_weight_layout *l, int64_t *sums)
{
    for (size_t j = 0; j < l->groups * l->n; j++) {
        const struct signs s = sum_by_sign(w, l, j);
        sums[j] = s.positive + s.negative;
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

static int overflows(struct signs s, float bias, float sx, float sw, int32_t zp)
{
    int bad = 0;
    const int64_t b = pi_integer_bias(bias, sx, sw, &bad) - zp * (s.positive + s.negative);
    /* Partial sums lie between these, in whatever order a kernel adds. */
    const int64_t least = 255 * s.negative, most = 255 * s.positive;
    return bad || most > INT32_MAX || least < INT32_MIN || b > INT32_MAX || b < INT32_MIN || most + b > INT32_MAX ||
        least + b < INT32_MIN;
}

size_t pi_layer_overflow(const int8_t *w, const struct pi_weight_layout *l, const float *bias, float sx, const float *sw,
                         int32_t zp)
{
    for (size_t j = 0; j < l->groups * l->n; j++)
        if (overflows(sum_by_sign(w, l, j), bias ? bias[j] : 0, sx, sw[j], zp)) return j + 1;
    return 0;
}

size_t pi_weights_overflow(const int8_t *w, size_t n, size_t k, ptrdiff_t sn, ptrdiff_t sk, const float *bias, float sx,
                           const float *sw, int32_t zp)
{
    for (size_t j = 0; j < n; j++) {
        struct signs s = { 0, 0 };
        for (size_t i = 0; i < k; i++) {
            const int8_t x = w[(ptrdiff_t)j * sn + (ptrdiff_t)i * sk];
            if (x > 0) s.positive += x; else s.negative += x;
        }
        if (overflows(s, bias ? bias[j] : 0, sx, sw[j], zp)) return j + 1;
    }
    return 0;
}
