/* u8 x s8: vpdpbusd sums four products in s32 without saturation, so the integers are exact. */
#include <string.h>
#include "../avx512/epilogue.h"

enum { INTEGER = 1, KR = 4, A_BYTES = 1, W_BYTES = 64, PREP = 0, HOT_OUT = PI_U8 };

INLINE __m512i group(const char *a) { int32_t quad; memcpy(&quad, a, 4); return _mm512_set1_epi32(quad); }
/* A masked load reads no byte beyond n; a memcpy of variable length is a call, one a row and segment. */
INLINE __m512i rest(const char *a, size_t n)
{
    return _mm512_broadcastd_epi32(_mm_maskz_loadu_epi8((__mmask16)((1u << n) - 1), a));
}
INLINE __m512i weights(const char *b) { return _mm512_load_si512(b); }
INLINE __m512i widen(const char *a, size_t n) { return rest(a, n); }
INLINE __m512i muladd(__m512i c, __m512i x, __m512i w) { return _mm512_dpbusd_epi32(c, x, w); }
#include "../avx512/tile.h"

TILE(pi_gemm_u8s8_12x32_avx512vnni, 12, 2)
TILE(pi_gemm_u8s8_8x32_avx512vnni, 8, 2)
TILE(pi_gemm_u8s8_6x32_avx512vnni, 6, 2)
TILE(pi_gemm_u8s8_4x32_avx512vnni, 4, 2)
TILE_SHORT(pi_gemm_u8s8_3x32_avx512vnni, 3, 2, 2)
TILE_SHORT(pi_gemm_u8s8_2x32_avx512vnni, 2, 2, 2)
TILE_SHORT(pi_gemm_u8s8_1x32_avx512vnni, 1, 2, 4)

/* Nets of 16 channels would pad half of a 32-column panel. */
TILE(pi_gemm_u8s8_12x16_avx512vnni, 12, 1)
TILE(pi_gemm_u8s8_8x16_avx512vnni, 8, 1)
TILE_SHORT(pi_gemm_u8s8_4x16_avx512vnni, 4, 1, 2)
TILE_SHORT(pi_gemm_u8s8_2x16_avx512vnni, 2, 1, 4)
TILE_SHORT(pi_gemm_u8s8_1x16_avx512vnni, 1, 1, 8)
