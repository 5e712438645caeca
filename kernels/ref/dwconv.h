/* What the reference depthwise rows share: the walk over pixels and channels and a packing of 16 channels a block, around
 * the product that a file defines as DW_ADD(sum, a, w). */
#include <math.h>
#include "epilogue.h"

enum { NR = 16 };

/* Channel `ch` counts from the operator's first: blocks of NR channels, taps one after the other. */
#define REF_DWCONV(name, A, W, SUM, LAW)                                                                                \
pi_dw_fn pi_##name##_x16_ref;                                                                                           \
void pi_##name##_x16_ref(const struct pi_dw *t)                                                                         \
{                                                                                                                       \
    for (size_t i = 0; i < t->m; i++)                                                                                   \
        for (size_t j = 0; j < t->n; j++) {                                                                             \
            const size_t ch = t->col + j;                                                                               \
            const W *w = (const W *)t->b + ch / NR * t->taps * NR + ch % NR;                                            \
            SUM sum = 0;                                                                                                \
            for (size_t s = 0; s < t->taps; s++)                                                                        \
                sum = DW_ADD(sum, ((const A *)t->a[i * t->taps + s])[j], w[s * NR]);                                    \
            LAW(t->epi, sum, t->row + i, ch, t->res ? t->res[i] : NULL, j, t->c[i]);                                    \
        }                                                                                                               \
}
