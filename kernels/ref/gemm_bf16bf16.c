/* bf16 storage, f32 arithmetic: both operands are widened, then an FMA chain in k order. */
#include <math.h>
#include "../rows.h"
#include "kernels.def"
#include "tile.h"

static void product(float *sum, const void *a, const void *b, size_t k)
{
    const uint16_t *x = a, *w = b;
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < NR; j++) sum[j] = fmaf(law_widen(x[p]), law_widen(w[p * NR + j]), sum[j]);
}
REF_TILE(float, law_float)
REF_HEIGHT(bf16bf16, 4)
REF_HEIGHT(bf16bf16, 1)
