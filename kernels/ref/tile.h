/* What the reference tiles share: the walk over rows, panels and segments, around a product that each file defines:
 *     static void product(TYPE *sum, const void *a, const void *b, size_t k)
 * adds k products to the 16 sums of one row and one panel, each sum a chain in k order. */
#include "epilogue.h"

enum { NR = 16 };

#define REF_TILE(TYPE, LAW)                                                                                             \
static void tile(const struct pi_tile *t, size_t mr)                                                                    \
{                                                                                                                       \
    for (size_t r = 0; r < t->m; r++)                                                                                   \
        for (size_t j0 = 0; j0 < t->n; j0 += NR) {                                                                      \
            const size_t panel = j0 / NR, n = t->n - j0 < NR ? t->n - j0 : NR;                                          \
            TYPE sum[NR] = { 0 }, *acc = t->acc ? (TYPE *)t->acc + r * t->ldacc + j0 : NULL;                            \
            if (!(t->flags & PI_FIRST)) memcpy(sum, acc, sizeof sum);                                                   \
            for (size_t s = 0; s < t->segs; s++)                                                                        \
                product(sum, (const char *)t->a[s * mr + r] + (ptrdiff_t)panel * t->a_panel,                            \
                        (const char *)t->b + panel * t->b_panel + t->seg[s] * t->b_seg, t->k);                          \
            if (!(t->flags & PI_LAST)) { memcpy(acc, sum, sizeof sum); continue; }                                      \
            for (size_t j = 0; j < n; j++)                                                                              \
                LAW(t->epi, sum[j], t->row + r, t->col + j0 + j, t->res ? t->res[r] : NULL, j0 + j, t->c[r]);           \
        }                                                                                                               \
}
#define REF_HEIGHT(stem, h) void pi_gemm_##stem##_##h##x16_ref(const struct pi_tile *t) { tile(t, h); }
