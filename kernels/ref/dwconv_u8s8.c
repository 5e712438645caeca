/* Depthwise convolution of u8 with s8 weights, in s32, exactly. */
#include "dwconv.h"
#define DW_ADD(sum, a, w) ((sum) + (a) * (w))
REF_DWCONV(dwconv_u8s8, uint8_t, int8_t, int32_t, law_int)
