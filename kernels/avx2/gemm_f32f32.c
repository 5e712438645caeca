/* f32, 6 rows x 16 columns: 12 sums, 2 vectors of weights, 1 broadcast. An FMA chain in k order, as the law has it. */
#include "tile.h"

INL __m256i multiply_add(__m256 x, __m256 w, __m256i sum)
{
    return _mm256_castps_si256(_mm256_fmadd_ps(x, w, _mm256_castsi256_ps(sum)));
}

/* Columns j0 .. j1-1, nv / 2 panels at a time. */
INL void body(const struct pi_tile *t, const int mr, const int nv, size_t j0, size_t j1)
{
    for (; j0 < j1; j0 += 8 * (size_t)nv) {
        __m256i c[MAX_MR][MAX_NV];
        enter(t, c, mr, nv, j0);
        const char *panel = (const char *)t->b + j0 / NR * t->b_panel;
        const void *const *rows = t->a;
        for (size_t s = 0; s < t->segs; s++, rows += mr) {
            const char *b = panel + t->seg[s] * t->b_seg, *a[MAX_MR];
            UNROLL for (int r = 0; r < mr; r++) a[r] = (const char *)rows[r] + (ptrdiff_t)(j0 / NR) * t->a_panel;
            for (size_t p = 0; p < t->k * 4; p += 4, b += 64) {
                __m256 w[MAX_NV];
                UNROLL for (int v = 0; v < nv; v++)
                    w[v] = _mm256_load_ps((const float *)(b + (size_t)(v / 2) * t->b_panel + 32 * (v % 2)));
                UNROLL for (int r = 0; r < mr; r++) {
                    const __m256 x = _mm256_broadcast_ss((const float *)(a[r] + p));
                    UNROLL for (int v = 0; v < nv; v++) c[r][v] = multiply_add(x, w[v], c[r][v]);
                }
            }
        }
        leave(t, c, mr, nv, j0, 0);
    }
}

#define HEIGHT(h) void pi_gemm_f32f32_##h##x16_avx2(const struct pi_tile *t) { body(t, h, 2, 0, t->n); }
HEIGHT(6)
HEIGHT(4)
HEIGHT(3)
HEIGHT(2)

/* One row keeps four panels in flight: two sums alone would wait for each other's FMA, and one stream for memory. */
void pi_gemm_f32f32_1x16_avx2(const struct pi_tile *t)
{
    const size_t four = t->a_panel ? 0 : t->n / 64 * 64;
    body(t, 1, 8, 0, four);
    body(t, 1, 2, four, t->n);
}
