/* u8 x s8, summed exactly in s32. */
#include "../rows.h"
#include "kernels.def"
#include "tile.h"

static void product(int32_t *sum, const void *a, const void *b, size_t k)
{
    const uint8_t *x = a;
    const int8_t *w = b;
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < NR; j++) sum[j] += x[p] * w[p * NR + j];
}
REF_TILE(int32_t, law_int)
REF_HEIGHT(u8s8, 4)
REF_HEIGHT(u8s8, 1)
