/* u8 x s8 without VNNI, exact: both sides are widened to s16, a pair of products fits s32 (vpmaddwd), and nothing
 * saturates. prep widens A once for all panels; the weights are widened as they are loaded. */
#include <string.h>
#include "epilogue.h"

enum { INTEGER = 1, KR = 2, A_BYTES = 1, W_BYTES = 32, PREP = 1, HOT_OUT = PI_U8 };

INLINE __m512i group(const char *a) { int32_t pair; memcpy(&pair, a, 4); return _mm512_set1_epi32(pair); }
INLINE __m512i rest(const char *a, size_t n) { (void)n; return group(a); }     /* prep has filled the last pair */
INLINE __m512i weights(const char *b) { return _mm512_cvtepi8_epi16(_mm256_load_si256((const __m256i *)b)); }
INLINE __m512i widen(const char *a, size_t n)
{
    const __mmask32 live = n >= 32 ? 0xffffffffu : (1u << n) - 1;
    return _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(live, a));
}
INLINE __m512i muladd(__m512i c, __m512i x, __m512i w) { return _mm512_add_epi32(c, _mm512_madd_epi16(x, w)); }
#include "tile.h"

TILE(pi_gemm_u8s8w_12x32_avx512, 12, 2) TILE_PREP(pi_gemm_u8s8w_12x32_avx512, 12)
TILE(pi_gemm_u8s8w_8x32_avx512, 8, 2) TILE_PREP(pi_gemm_u8s8w_8x32_avx512, 8)
TILE(pi_gemm_u8s8w_6x32_avx512, 6, 2) TILE_PREP(pi_gemm_u8s8w_6x32_avx512, 6)
TILE(pi_gemm_u8s8w_4x32_avx512, 4, 2) TILE_PREP(pi_gemm_u8s8w_4x32_avx512, 4)
TILE(pi_gemm_u8s8w_3x32_avx512, 3, 2) TILE_PREP(pi_gemm_u8s8w_3x32_avx512, 3)
TILE(pi_gemm_u8s8w_2x32_avx512, 2, 2) TILE_PREP(pi_gemm_u8s8w_2x32_avx512, 2)
TILE_SHORT(pi_gemm_u8s8w_1x32_avx512, 1, 2, 4) TILE_PREP(pi_gemm_u8s8w_1x32_avx512, 1)
