/* u8 x s8 through s16: prep widens A once per row tile, weights are widened as they are read, vpmaddwd sums pairs exactly. */
#include "widen.h"

/* [segment][row][k]: a store for 16 elements. Interleaving the rows took 18 instructions for them. */
INL void lay_out(const struct pi_tile *t, void *dst, const size_t mr)
{
    char *row = dst;
    for (size_t i = 0; i < t->segs * mr; i++, row += widened(t->k)) {
        const uint8_t *a = t->a[i];
        char *to = row;
        size_t k = t->k;
        for (; k >= 16; k -= 16, a += 16, to += 32) STORE(to, _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)a)));
        if (k) widen_rest(a, k, to);
    }
}

INL void body(const struct pi_tile *t, const int mr, const int nv, size_t j0, size_t j1)
{
    for (; j0 < j1; j0 += 8 * (size_t)nv) {
        __m256i c[MAX_MR][MAX_NV];
        enter(t, c, mr, nv, j0);
        const char *panel = (const char *)t->b + j0 / NR * t->b_panel;
        const size_t stride = widened(t->k);
        const char *segment = t->a[0];
        for (size_t s = 0; s < t->segs; s++, segment += (size_t)mr * stride) {
            const char *b = panel + t->seg[s] * t->b_seg, *a = segment;
            for (size_t p = (t->k + 1) / 2; p; p--, b += 32, a += 4) {
                __m256i w[MAX_NV];
                UNROLL for (int v = 0; v < nv; v++) {
                    const char *at = b + (size_t)(v / 2) * t->b_panel + 16 * (v % 2);
                    w[v] = _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)at));
                }
                UNROLL for (int r = 0; r < mr; r++) {
                    int32_t pair;
                    memcpy(&pair, a + (size_t)r * stride, 4);
                    __m256i x = _mm256_set1_epi32(pair), y[MAX_NV];
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

#define PREP(h) void pi_gemm_u8s8w_##h##x16_avx2_prep(const struct pi_tile *t, void *dst) { lay_out(t, dst, h); }
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
