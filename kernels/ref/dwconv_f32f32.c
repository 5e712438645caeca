/* Depthwise convolution in f32: an FMA chain over the taps from +0. */
#include "dwconv.h"
#define DW_ADD(sum, a, w) fmaf(a, w, sum)
REF_DWCONV(dwconv_f32f32, float, float, float, law_float)
