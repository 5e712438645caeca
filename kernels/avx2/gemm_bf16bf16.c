/* bf16 storage, f32 arithmetic: prep widens A once per row tile; a dword of packed weights holds two columns, and a shift
 * and a mask widen them in place. So the first vector of sums has the even columns of a panel and the second the odd ones
 * until the tile is done. The FMA chain is the law's. */
#include "tile.h"

/* [segment][row][k], rows padded to a multiple of 4. Not [k][row]: stores of single elements would take longer than the
 * products of a 64-column layer. */
INL size_t row_elements(const struct pi_tile *t) { return (t->k + 3) / 4 * 4; }
INL void widen(const struct pi_tile *t, void *dst, const size_t mr)
{
    uint32_t *to = dst;
    for (size_t i = 0; i < t->segs * mr; i++, to += row_elements(t)) {
        const uint16_t *a = t->a[i];
        size_t k = 0;
        for (; k + 8 <= t->k; k += 8)
            STORE(to + k, _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(a + k))), 16));
        for (; k < t->k; k++) to[k] = (uint32_t)a[k] << 16;
    }
}

/* Even and odd columns to columns 0-7 and 8-15, and back. */
INL void in_order(__m256i *x, __m256i *y)
{
    const __m256i lo = _mm256_unpacklo_epi32(*x, *y), hi = _mm256_unpackhi_epi32(*x, *y);
    *x = _mm256_permute2x128_si256(lo, hi, 0x20);
    *y = _mm256_permute2x128_si256(lo, hi, 0x31);
}
INL void even_odd(__m256i *x, __m256i *y)
{
    const __m256 lo = _mm256_castsi256_ps(_mm256_permute2x128_si256(*x, *y, 0x20));
    const __m256 hi = _mm256_castsi256_ps(_mm256_permute2x128_si256(*x, *y, 0x31));
    *x = _mm256_castps_si256(_mm256_shuffle_ps(lo, hi, 0x88));
    *y = _mm256_castps_si256(_mm256_shuffle_ps(lo, hi, 0xdd));
}

INL __m256i multiply_add(__m256 x, __m256i w, __m256i sum)
{
    return _mm256_castps_si256(_mm256_fmadd_ps(x, _mm256_castsi256_ps(w), _mm256_castsi256_ps(sum)));
}

INL void body(const struct pi_tile *t, const int mr, const int nv, size_t j0, size_t j1)
{
    const __m256i high = _mm256_set1_epi32((int)0xffff0000);
    for (; j0 < j1; j0 += 8 * (size_t)nv) {
        __m256i c[MAX_MR][MAX_NV];
        enter(t, c, mr, nv, j0);
        if (!(t->flags & PI_FIRST))
            UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v += 2) even_odd(&c[r][v], &c[r][v + 1]);
        const char *panel = (const char *)t->b + j0 / NR * t->b_panel;
        const float *a = t->a[0];
        const size_t ld = row_elements(t);
        for (size_t s = 0; s < t->segs; s++, a += (size_t)mr * ld) {
            const char *b = panel + t->seg[s] * t->b_seg;
            const float *row[MAX_MR];
            UNROLL for (int r = 0; r < mr; r++) row[r] = a + (size_t)r * ld;
            for (size_t p = 0; p < t->k; p++, b += 32) {
                __m256i w[MAX_NV];
                UNROLL for (int v = 0; v < nv; v += 2) {
                    const __m256i pair = _mm256_load_si256((const __m256i *)(b + (size_t)(v / 2) * t->b_panel));
                    w[v] = _mm256_slli_epi32(pair, 16);
                    w[v + 1] = _mm256_and_si256(pair, high);
                }
                UNROLL for (int r = 0; r < mr; r++) {
                    const __m256 x = _mm256_broadcast_ss(row[r] + p);
                    UNROLL for (int v = 0; v < nv; v++) c[r][v] = multiply_add(x, w[v], c[r][v]);
                }
            }
        }
        UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v += 2) in_order(&c[r][v], &c[r][v + 1]);
        leave(t, c, mr, nv, j0, 0);
    }
}

#define PREP(h) void pi_gemm_bf16bf16_##h##x16_avx2_prep(const struct pi_tile *t, void *dst) { widen(t, dst, h); }
#define HEIGHT(h) void pi_gemm_bf16bf16_##h##x16_avx2(const struct pi_tile *t) { body(t, h, 2, 0, t->n); } PREP(h)
HEIGHT(6)
HEIGHT(4)
HEIGHT(3)
HEIGHT(2)

/* One row keeps three panels in flight: eight sums and eight vectors of weights would not fit. */
void pi_gemm_bf16bf16_1x16_avx2(const struct pi_tile *t)
{
    const size_t three = t->n / 48 * 48;
    body(t, 1, 6, 0, three);
    body(t, 1, 2, three, t->n);
}
PREP(1)
