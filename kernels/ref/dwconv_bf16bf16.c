/* Depthwise convolution of bf16: both operands widen exactly, then the f32 chain. */
#include "dwconv.h"
#define DW_ADD(sum, a, w) fmaf(law_widen(a), law_widen(w), sum)
REF_DWCONV(dwconv_bf16bf16, uint16_t, uint16_t, float, law_float)
