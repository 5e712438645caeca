/* bf16 x bf16 on vdpbf16ps: c = fma(even, fma(odd, c)), denormals flushed. The bits are those of this instruction, not of
 * kernels/ref; they depend on nothing else. */
#include <string.h>
#include "../avx512/epilogue.h"

enum { INTEGER = 0, KR = 2, A_BYTES = 2, W_BYTES = 64, PREP = 0, HOT_OUT = PI_BF16 };

INLINE __m512i group(const char *a) { int32_t pair; memcpy(&pair, a, 4); return _mm512_set1_epi32(pair); }
INLINE __m512i rest(const char *a, size_t n) { (void)n; uint16_t one; memcpy(&one, a, 2); return _mm512_set1_epi32(one); }
INLINE __m512i weights(const char *b) { return _mm512_load_si512(b); }
INLINE __m512i widen(const char *a, size_t n) { return rest(a, n); }
INLINE __m512i muladd(__m512i c, __m512i x, __m512i w)
{
    return _mm512_castps_si512(_mm512_dpbf16_ps(_mm512_castsi512_ps(c), (__m512bh)x, (__m512bh)w));
}
#include "../avx512/tile.h"

TILE(pi_gemm_bf16bf16_12x32_avx512bf16, 12, 2)
TILE(pi_gemm_bf16bf16_8x32_avx512bf16, 8, 2)
TILE(pi_gemm_bf16bf16_6x32_avx512bf16, 6, 2)
TILE(pi_gemm_bf16bf16_4x32_avx512bf16, 4, 2)
TILE_SHORT(pi_gemm_bf16bf16_3x32_avx512bf16, 3, 2, 2)
TILE_SHORT(pi_gemm_bf16bf16_2x32_avx512bf16, 2, 2, 2)
TILE_SHORT(pi_gemm_bf16bf16_1x32_avx512bf16, 1, 2, 4)

/* Nets of 16 channels would pad half of a 32-column panel. */
TILE(pi_gemm_bf16bf16_12x16_avx512bf16, 12, 1)
TILE(pi_gemm_bf16bf16_8x16_avx512bf16, 8, 1)
TILE_SHORT(pi_gemm_bf16bf16_4x16_avx512bf16, 4, 1, 2)
TILE_SHORT(pi_gemm_bf16bf16_2x16_avx512bf16, 2, 1, 4)
TILE_SHORT(pi_gemm_bf16bf16_1x16_avx512bf16, 1, 1, 8)
