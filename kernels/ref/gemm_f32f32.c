/* f32: an FMA chain in k order. */
#include <math.h>
#include "../rows.h"
#include "kernels.def"
#include "tile.h"

static void product(float *sum, const void *a, const void *b, size_t k)
{
    const float *x = a, *w = b;
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < NR; j++) sum[j] = fmaf(x[p], w[p * NR + j], sum[j]);
}
REF_TILE(float, law_float)
REF_HEIGHT(f32f32, 4)
REF_HEIGHT(f32f32, 1)
