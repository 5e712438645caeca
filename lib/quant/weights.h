/* Facts about weights that the integer arithmetic rests on. */
#ifndef PI_QUANT_WEIGHTS_H
#define PI_QUANT_WEIGHTS_H
#include "../graph/graph.h"

/* Weights as an array [groups][outer][n][inner]: output channel j of group g is number g * n + j, and owns outer * inner
 * weights. Conv: 1, 1, O, C/groups * taps. ConvTranspose: groups, C/groups, O/groups, taps. Gemm and MatMul, B stored k x n:
 * 1, k, n, 1; stored n x k: 1, 1, n, k. */
struct pi_weight_layout { size_t groups, outer, n, inner; };
/* Of a Conv, ConvTranspose, Gemm or MatMul (B of rank 1 or 2, or whose leading dimensions are 1); dims are known. */
struct pi_weight_layout pi_weight_layout(const struct pi_node *node, const struct pi_tensor *w);
static inline size_t pi_layout_channels(const struct pi_weight_layout *l) { return l->groups * l->n; }
static inline size_t pi_layout_count(const struct pi_weight_layout *l) { return l->groups * l->outer * l->n * l->inner; }
static inline size_t pi_layout_channel(const struct pi_weight_layout *l, size_t i)      /* of weight element i       */
{
    return i / (l->outer * l->n * l->inner) * l->n + i / l->inner % l->n;
}

/* sums[channel] = sum of its weights. */
void pi_weight_sums(const int8_t *w, const struct pi_weight_layout *l, int64_t *sums);
/* The integer bias rne(b / (sx * sw)) of the law, before the zero point's share; 0 where b is 0. *overflow is set where
 * it is not finite or leaves s32. */
int64_t pi_integer_bias(float b, float sx, float sw, int *overflow);
/* Could the s32 sum of some channel leave s32 for some u8 input? Exact: products alone and with the folded bias, in any
 * order of adding. bias NULL: 0. zp: the input's zero point. Returns the first such channel + 1, or 0.
 * pi_weights_overflow is the same where weight (channel j, i of k) lies at w[j * sn + i * sk]. */
size_t pi_layer_overflow(const int8_t *w, const struct pi_weight_layout *l, const float *bias, float sx, const float *sw,
                         int32_t zp);
size_t pi_weights_overflow(const int8_t *w, size_t n, size_t k, ptrdiff_t sn, ptrdiff_t sk, const float *bias, float sx,
                           const float *sw, int32_t zp);
#endif
