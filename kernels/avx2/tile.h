/* What the AVX2 tiles share. Every function here is inlined into a body whose mr and nv are constants, so that the sums stay
 * in registers; an array with one index that is not known at compile time would send them all to memory. */
#ifndef PI_AVX2_TILE_H
#define PI_AVX2_TILE_H
#include <immintrin.h>
#include <string.h>
#include "../rows.h"
#include "kernels.def"

#define INL static inline __attribute__((always_inline))
#if defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define STORE(p, x) _mm256_storeu_si256((__m256i *)(p), x)
/* Keeps a value in a register: gcc would rather compute a widened weight or a broadcast again inside the products. */
#define KEEP(x) __asm__("" : "+x"(x))

enum { NR = 16, MAX_MR = 6, MAX_NV = 8 };       /* columns of a panel; bounds of the arrays of sums            */

/* The out-of-line epilogue (epilogue.c): sums in buf, ld elements a row, columns j0 .. j0+n-1 of the call. */
void pi_gemm_epilogue_int_avx2(const struct pi_tile *t, const void *buf, size_t ld, size_t j0, size_t n);
void pi_gemm_epilogue_float_avx2(const struct pi_tile *t, const void *buf, size_t ld, size_t j0, size_t n);

/* Sums of rows 0 .. mr-1, columns j0 .. j0+8*nv-1: from acc, or zero. */
INL void enter(const struct pi_tile *t, __m256i c[MAX_MR][MAX_NV], const int mr, const int nv, size_t j0)
{
    UNROLL for (int r = 0; r < mr; r++)
        UNROLL for (int v = 0; v < nv; v++) c[r][v] = _mm256_setzero_si256();
    if (t->flags & PI_FIRST) return;
    UNROLL for (int r = 0; r < mr; r++) {
        if ((size_t)r >= t->m) continue;
        const char *from = (const char *)t->acc + ((size_t)r * t->ldacc + j0) * 4;
        UNROLL for (int v = 0; v < nv; v++) c[r][v] = LOAD(from + 32 * v);
    }
}

/* Sums back to acc, or through a buffer into the epilogue. */
INL void leave(const struct pi_tile *t, __m256i c[MAX_MR][MAX_NV], const int mr, const int nv, size_t j0, const int integer)
{
    if (!(t->flags & PI_LAST)) {
        UNROLL for (int r = 0; r < mr; r++) {
            if ((size_t)r >= t->m) continue;
            char *to = (char *)t->acc + ((size_t)r * t->ldacc + j0) * 4;
            UNROLL for (int v = 0; v < nv; v++) STORE(to + 32 * v, c[r][v]);
        }
        return;
    }
    __m256i buf[MAX_MR * MAX_NV];
    UNROLL for (int r = 0; r < mr; r++)
        UNROLL for (int v = 0; v < nv; v++) buf[r * nv + v] = c[r][v];
    const size_t ld = 8 * (size_t)nv, left = t->n - j0, n = left < ld ? left : ld;
    if (integer) pi_gemm_epilogue_int_avx2(t, buf, ld, j0, n);
    else pi_gemm_epilogue_float_avx2(t, buf, ld, j0, n);
}

/* Lanes 0 .. n-1 of 8; n may be 0 or beyond 8. */
INL __m256i lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n > 8 ? 8 : n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
/* The law's clip: max and min return the second operand when one is NaN or both are zero. */
INL __m256 clip(__m256 x, __m256 lo, __m256 hi) { return _mm256_min_ps(hi, _mm256_max_ps(lo, x)); }
#endif
