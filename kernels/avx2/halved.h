/* Half the multiplications (Winograd, 1968). For a quad of k and one column
 *
 *     a0 w0 + a1 w1 + a2 w2 + a3 w3 = (a0 + w2)(a2 + w0) + (a1 + w3)(a3 + w1) - (a0 a2 + a1 a3) - (w0 w2 + w1 w3)
 *
 * The last two brackets belong to a row and to a column alone. What is left is one vpmaddwd of two sums, four products of the
 * contract in each lane instead of two: worth it where vpmaddwd is the scarce instruction and vpaddw is not (Zen 1: one pipe
 * of four multiplies integers, three add). Exact for any weights; sums may wrap on the way, the result does not.
 *
 * Rows of A are s16. A quad of 16 columns is 128 bytes of s16: (w2 w3) of columns 0 .. 7, (w0 w1) of the same, then 8 .. 15. */
#ifndef PI_AVX2_HALVED_H
#define PI_AVX2_HALVED_H
#include "tile.h"

enum { HALVED_QUAD = 128 };

/* One quad of one row. In this order, which gcc would not keep (sums first, then both products): 53 GOP/s, not 45, on Zen 1.
 * Weights are operands in memory: four more registers would spill. */
INL void halved_step(__m256i c[MAX_NV], const char *a, const char *b)
{
    __m256i p, q, x, y;
    __asm__("vpbroadcastd %[a01], %[x]\n\t"
            "vpbroadcastd %[a23], %[y]\n\t"
            "vpaddw %[p0], %[x], %[p]\n\t"
            "vpaddw %[q0], %[y], %[q]\n\t"
            "vpaddw %[p1], %[x], %[x]\n\t"
            "vpaddw %[q1], %[y], %[y]\n\t"
            "vpmaddwd %[q], %[p], %[p]\n\t"
            "vpmaddwd %[y], %[x], %[x]\n\t"
            "vpaddd %[p], %[c0], %[c0]\n\t"
            "vpaddd %[x], %[c1], %[c1]"
            : [c0] "+x"(c[0]), [c1] "+x"(c[1]), [p] "=&x"(p), [q] "=&x"(q), [x] "=&x"(x), [y] "=&x"(y)
            : [a01] "m"(*(const int32_t *)a), [a23] "m"(*(const int32_t *)(a + 4)), [p0] "m"(*(const __m256i *)b),
              [q0] "m"(*(const __m256i *)(b + 32)), [p1] "m"(*(const __m256i *)(b + 64)),
              [q1] "m"(*(const __m256i *)(b + 96)));
}

/* Sums of mr rows that lie `stride` bytes apart. */
INL void halved(__m256i c[MAX_MR][MAX_NV], const char *a, size_t stride, const char *b, size_t quads, const int mr)
{
    for (; quads; quads--, a += 8, b += HALVED_QUAD)
        UNROLL for (int r = 0; r < mr; r++) halved_step(c[r], a + (size_t)r * stride, b);
}

/* a0 a2 + a1 a3 of the four quads of x, to be added up over all lanes. */
INL __m256i own_products(__m256i x) { return _mm256_madd_epi16(x, _mm256_srli_epi64(x, 32)); }
INL int32_t sum_of(__m256i x)
{
    __m128i y = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    y = _mm_add_epi32(y, _mm_shuffle_epi32(y, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(y, _mm_shuffle_epi32(y, 0xb1)));
}
#endif
