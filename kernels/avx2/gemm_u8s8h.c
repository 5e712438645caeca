/* u8 x s8 with half the multiplications: halved.h. prep widens A once per row tile and sums what belongs to a row alone; the
 * packing holds weights as s16 and, ahead of every segment, what belongs to a column alone. */
#include "halved.h"
#include "widen.h"

/* [segment][row][k], then an s32 a row. */
INL void lay_out(const struct pi_tile *t, void *dst, const size_t mr)
{
    const size_t stride = widened(t->k);
    int32_t *own = (int32_t *)((char *)dst + t->segs * mr * stride);
    for (size_t r = 0; r < mr; r++) {
        __m256i sum = _mm256_setzero_si256();
        char *row = (char *)dst + r * stride;
        for (size_t s = 0; s < t->segs; s++, row += mr * stride) {
            const uint8_t *a = t->a[s * mr + r];
            char *to = row;
            size_t k = t->k;
            for (; k >= 16; k -= 16, a += 16, to += 32) {
                const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)a));
                STORE(to, x);
                sum = _mm256_add_epi32(sum, own_products(x));
            }
            if (k) sum = _mm256_add_epi32(sum, own_products(widen_rest(a, k, to)));
        }
        own[r] = sum_of(sum);
    }
}

INL void body(const struct pi_tile *t, const int mr)
{
    const size_t stride = widened(t->k), seg_bytes = (size_t)mr * stride, quads = (t->k + 3) / 4;
    const int32_t *own = (const int32_t *)((const char *)t->a[0] + t->segs * seg_bytes);
    for (size_t j0 = 0; j0 < t->n; j0 += NR) {
        __m256i c[MAX_MR][MAX_NV];
        enter(t, c, mr, 2, j0);
        UNROLL for (int r = 0; r < mr; r++)
            UNROLL for (int v = 0; v < 2; v++) c[r][v] = _mm256_sub_epi32(c[r][v], _mm256_set1_epi32(own[r]));
        const struct pi_sub *sub = t->sub + j0 / NR * t->sub_panel;
        const char *a = t->a[0];
        for (size_t s = 0; s < t->segs; s++, a += seg_bytes) {
            const char *b = (const char *)t->b + sub[t->seg[s]].b;
            const __m256i w0 = LOAD(b), w1 = LOAD(b + 32);
            UNROLL for (int r = 0; r < mr; r++) {
                c[r][0] = _mm256_sub_epi32(c[r][0], w0);
                c[r][1] = _mm256_sub_epi32(c[r][1], w1);
            }
            halved(c, a, stride, b + 64, quads, mr);
        }
        leave(t, c, mr, 2, j0, 1);
    }
}

#define HEIGHT(h)                                                                                     \
    void pi_gemm_u8s8h_##h##x16_avx2_prep(const struct pi_tile *t, void *dst) { lay_out(t, dst, h); } \
    void pi_gemm_u8s8h_##h##x16_avx2(const struct pi_tile *t) { body(t, h); }
HEIGHT(6)
HEIGHT(4)
HEIGHT(3)
HEIGHT(2)
HEIGHT(1)
