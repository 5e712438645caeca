/* f32 x f32: one FMA a product, in k order. */
#include "epilogue.h"

enum { INTEGER = 0, KR = 1, A_BYTES = 4, W_BYTES = 64, PREP = 0, HOT_OUT = PI_F32 };

INLINE __m512i group(const char *a) { return _mm512_castps_si512(_mm512_set1_ps(*(const float *)a)); }
INLINE __m512i rest(const char *a, size_t n) { (void)n; return group(a); }
INLINE __m512i weights(const char *b) { return _mm512_load_si512(b); }
INLINE __m512i widen(const char *a, size_t n) { (void)n; return group(a); }
INLINE __m512i muladd(__m512i c, __m512i x, __m512i w)
{
    return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(w), _mm512_castsi512_ps(c)));
}
#include "tile.h"

TILE(pi_gemm_f32f32_12x32_avx512, 12, 2)
TILE(pi_gemm_f32f32_8x32_avx512, 8, 2)
TILE(pi_gemm_f32f32_6x32_avx512, 6, 2)
TILE(pi_gemm_f32f32_4x32_avx512, 4, 2)
TILE_SHORT(pi_gemm_f32f32_3x32_avx512, 3, 2, 2)
TILE_SHORT(pi_gemm_f32f32_2x32_avx512, 2, 2, 2)
TILE_SHORT(pi_gemm_f32f32_1x32_avx512, 1, 2, 4)

/* Nets of 16 channels would pad half of a 32-column panel. More than 12 rows do not fit the address registers. */
TILE(pi_gemm_f32f32_12x16_avx512, 12, 1)
TILE(pi_gemm_f32f32_8x16_avx512, 8, 1)
TILE_SHORT(pi_gemm_f32f32_4x16_avx512, 4, 1, 2)
TILE_SHORT(pi_gemm_f32f32_2x16_avx512, 2, 1, 4)
TILE_SHORT(pi_gemm_f32f32_1x16_avx512, 1, 1, 8)
