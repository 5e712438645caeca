/* bf16 x bf16 where bf16 is a storage form only: both sides are widened, which is exact, and multiplied by FMA in k order,
 * so the bits are those of kernels/ref. prep widens A once for all panels; the weights are widened as they are loaded. */
#include "epilogue.h"

enum { INTEGER = 0, KR = 1, A_BYTES = 2, W_BYTES = 32, PREP = 1, HOT_OUT = PI_BF16 };

INLINE __m512i group(const char *a) { return _mm512_castps_si512(_mm512_set1_ps(*(const float *)a)); }
INLINE __m512i rest(const char *a, size_t n) { (void)n; return group(a); }
INLINE __m512i weights(const char *b) { return _mm512_castps_si512(from_bf16(_mm256_load_si256((const __m256i *)b))); }
INLINE __m512i widen(const char *a, size_t n) { return _mm512_castps_si512(load_bf16(a, 0, lanes(n))); }
INLINE __m512i muladd(__m512i c, __m512i x, __m512i w)
{
    return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(w), _mm512_castsi512_ps(c)));
}
#include "tile.h"

TILE(pi_gemm_bf16bf16_12x16_avx512, 12, 1) TILE_PREP(pi_gemm_bf16bf16_12x16_avx512, 12)
TILE(pi_gemm_bf16bf16_8x16_avx512, 8, 1) TILE_PREP(pi_gemm_bf16bf16_8x16_avx512, 8)
TILE_SHORT(pi_gemm_bf16bf16_4x16_avx512, 4, 1, 2) TILE_PREP(pi_gemm_bf16bf16_4x16_avx512, 4)
TILE_SHORT(pi_gemm_bf16bf16_2x16_avx512, 2, 1, 4) TILE_PREP(pi_gemm_bf16bf16_2x16_avx512, 2)
TILE_SHORT(pi_gemm_bf16bf16_1x16_avx512, 1, 1, 8) TILE_PREP(pi_gemm_bf16bf16_1x16_avx512, 1)
