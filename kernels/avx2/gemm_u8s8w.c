/* u8 x s8 through s16: prep widens A once per row tile, weights are widened as they are read, vpmaddwd sums pairs exactly. */
#include "tile.h"

/* [segment][k pair][row][2], the second of a pair zero where k is odd. */
INL void widen(const struct pi_tile *t, void *dst, const size_t mr)
{
    int16_t *to = dst;
    const size_t pairs = (t->k + 1) / 2;
    for (size_t s = 0; s < t->segs; s++, to += pairs * 2 * mr)
        for (size_t r = 0; r < mr; r++) {
            const uint8_t *a = t->a[s * mr + r];
            int16_t *q = to + 2 * r;
            size_t k = 0;
            for (; k + 16 <= t->k; k += 16, q += 16 * mr) {
                const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(a + k)));
                const __m128i lo = _mm256_castsi256_si128(x), hi = _mm256_extracti128_si256(x, 1);
                int32_t *o = (int32_t *)q;
                o[0] = _mm_cvtsi128_si32(lo);           o[mr] = _mm_extract_epi32(lo, 1);
                o[2 * mr] = _mm_extract_epi32(lo, 2);   o[3 * mr] = _mm_extract_epi32(lo, 3);
                o[4 * mr] = _mm_cvtsi128_si32(hi);      o[5 * mr] = _mm_extract_epi32(hi, 1);
                o[6 * mr] = _mm_extract_epi32(hi, 2);   o[7 * mr] = _mm_extract_epi32(hi, 3);
            }
            for (; k < t->k; k += 2, q += 2 * mr) {
                q[0] = a[k];
                q[1] = k + 1 < t->k ? a[k + 1] : 0;
            }
        }
}

INL void body(const struct pi_tile *t, const int mr, const int nv, size_t j0, size_t j1)
{
    for (; j0 < j1; j0 += 8 * (size_t)nv) {
        __m256i c[MAX_MR][MAX_NV];
        enter(t, c, mr, nv, j0);
        const char *panel = (const char *)t->b + j0 / NR * t->b_panel;
        const int32_t *a = t->a[0];
        for (size_t s = 0; s < t->segs; s++) {
            const char *b = panel + t->seg[s] * t->b_seg;
            for (size_t p = (t->k + 1) / 2; p; p--, b += 32, a += mr) {
                __m256i w[MAX_NV];
                UNROLL for (int v = 0; v < nv; v++) {
                    const char *at = b + (size_t)(v / 2) * t->b_panel + 16 * (v % 2);
                    w[v] = _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)at));
                }
                UNROLL for (int r = 0; r < mr; r++) {
                    __m256i x = _mm256_set1_epi32(a[r]), y[MAX_NV];
                    KEEP(x);
                    /* products together, then sums together: strictly alternating they are slower */
                    UNROLL for (int v = 0; v < nv; v++) { y[v] = _mm256_madd_epi16(x, w[v]); KEEP(y[v]); }
                    UNROLL for (int v = 0; v < nv; v++) { c[r][v] = _mm256_add_epi32(c[r][v], y[v]); KEEP(c[r][v]); }
                }
            }
        }
        leave(t, c, mr, nv, j0, 1);
    }
}

#define PREP(h) void pi_gemm_u8s8w_##h##x16_avx2_prep(const struct pi_tile *t, void *dst) { widen(t, dst, h); }
#define HEIGHT(h) void pi_gemm_u8s8w_##h##x16_avx2(const struct pi_tile *t) { body(t, h, 2, 0, t->n); } PREP(h)
HEIGHT(6)
HEIGHT(4)
HEIGHT(3)
HEIGHT(2)

/* One row keeps two panels in flight. prep rows never meet a_panel. */
void pi_gemm_u8s8w_1x16_avx2(const struct pi_tile *t)
{
    const size_t two = t->n / 32 * 32;
    body(t, 1, 4, 0, two);
    body(t, 1, 2, two, t->n);
}
PREP(1)
