/* Facts about s8 weights that the integer arithmetic rests on. */
#ifndef PI_QUANT_WEIGHTS_H
#define PI_QUANT_WEIGHTS_H
#include <stddef.h>
#include <stdint.h>

/* Weight (column j, element i of k) lies at w[j * sn + i * sk]. sums[j] = their sum. */
void pi_weight_sums(const int8_t *w, size_t n, size_t k, ptrdiff_t sn, ptrdiff_t sk, int64_t *sums);
/* The integer bias rne(b / (sx * sw)) of the law, before the zero point's share; 0 where b is 0. *overflow is set where
 * it is not finite or leaves s32. */
int64_t pi_integer_bias(float b, float sx, float sw, int *overflow);
/* Could the s32 sum of column j leave s32 for some u8 input? Exact: the largest and the smallest sum of
 * acc + bias, acc over inputs 0 .. 255, and every sum on the way there. bias NULL: 0; zp: the input's zero point. Returns
 * the first such column + 1, or 0. */
size_t pi_weights_overflow(const int8_t *w, size_t n, size_t k, ptrdiff_t sn, ptrdiff_t sk, const float *bias, float sx,
                           const float *sw, int32_t zp);
#endif
