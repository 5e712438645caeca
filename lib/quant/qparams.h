/* From a range to the parameters of u8. */
#ifndef PI_QUANT_QPARAMS_H
#define PI_QUANT_QPARAMS_H
#include <stdint.h>
/* The range is widened to contain 0. scale = (max - min) / 255 in double, rounded once to float, and at least the smallest
 * normal float; zero point = -min / scale to nearest even, in 0 .. 255. A range of zero: scale 1, zero point 0.
 * Nonzero, and nothing written, where min or max is not finite or min > max. Does not depend on the rounding mode beyond
 * the two divisions: call it within pi_fp_enter. */
int pi_qparams(double min, double max, float *scale, int32_t *zero_point);
#endif
