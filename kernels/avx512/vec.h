/* The vectors of this folder, under the names that ../vector/ is written in. VN lanes: vf float, vi s32, vm a mask of lanes,
 * vh 16-bit and vb 8-bit elements as they lie in memory. _n: only the first n < VN elements are touched, the rest are 0. */
#ifndef PI_AVX512_VEC_H
#define PI_AVX512_VEC_H
#include <immintrin.h>
#include "../kernel.h"

#define ISA(name) pi_##name##_avx512
#define INL static inline __attribute__((always_inline))
enum { VN = 16 };
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;
typedef __m256i vh;
typedef __m128i vb;

INL vm v_first(size_t n) { return (vm)((1u << n) - 1); }

/* ---------------------------------------------------------------- memory */

INL vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
INL vf vf_load_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(v_first(n), p); }
INL void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
INL void vf_store_n(float *p, vf x, size_t n) { _mm512_mask_storeu_ps(p, v_first(n), x); }
INL vh vh_load(const uint16_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
INL vh vh_load_n(const uint16_t *p, size_t n) { return _mm256_maskz_loadu_epi16(v_first(n), p); }
INL void vh_store(uint16_t *p, vh x) { _mm256_storeu_si256((__m256i *)p, x); }
INL void vh_store_n(uint16_t *p, vh x, size_t n) { _mm256_mask_storeu_epi16(p, v_first(n), x); }
INL vb vb_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
INL vb vb_load_n(const void *p, size_t n) { return _mm_maskz_loadu_epi8(v_first(n), p); }
INL void vb_store(void *p, vb x) { _mm_storeu_si128((__m128i *)p, x); }
INL void vb_store_n(void *p, vb x, size_t n) { _mm_mask_storeu_epi8(p, v_first(n), x); }

/* ---------------------------------------------------------------- float */

INL vf v_set(float x) { return _mm512_set1_ps(x); }
INL vf v_add(vf x, vf y) { return _mm512_add_ps(x, y); }
INL vf v_sub(vf x, vf y) { return _mm512_sub_ps(x, y); }
INL vf v_mul(vf x, vf y) { return _mm512_mul_ps(x, y); }
INL vf v_div(vf x, vf y) { return _mm512_div_ps(x, y); }
INL vf v_fma(vf x, vf y, vf z) { return _mm512_fmadd_ps(x, y, z); }
INL vf v_sqrt(vf x) { return _mm512_sqrt_ps(x); }
INL vf v_floor(vf x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INL vf v_ceil(vf x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
INL vf v_max(vf x, vf y) { return _mm512_max_ps(x, y); }                 /* x > y ? x : y */
INL vf v_min(vf x, vf y) { return _mm512_min_ps(x, y); }                 /* x < y ? x : y */
INL vm v_less(vf x, vf y) { return _mm512_cmp_ps_mask(x, y, _CMP_LT_OQ); }
INL vm v_equal(vf x, vf y) { return _mm512_cmp_ps_mask(x, y, _CMP_EQ_OQ); }
INL vm v_nan(vf x) { return _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q); }
INL vf v_select(vm m, vf x, vf y) { return _mm512_mask_blend_ps(m, y, x); }      /* m ? x : y */
INL vf v_keep(vm m, vf x) { return _mm512_maskz_mov_ps(m, x); }                  /* m ? x : +0 */
INL vf v_drop(vm m, vf x) { return _mm512_maskz_mov_ps((vm)~m, x); }             /* m ? +0 : x */
INL vf v_abs(vf x) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), x); }
INL vf v_neg(vf x) { return _mm512_xor_ps(_mm512_set1_ps(-0.0f), x); }
INL vf v_with_sign(vf x, vf sign) { return _mm512_or_ps(x, _mm512_and_ps(_mm512_set1_ps(-0.0f), sign)); }

/* Lanes from n on take y's. */
INL vf vf_fill(vf x, size_t n, vf y) { return _mm512_mask_blend_ps(v_first(n), y, x); }
/* Lane l takes lane l + half; only the first `half` lanes count. */
INL vf v_down(vf x, int half)
{
    if (half == 8) return _mm512_shuffle_f32x4(x, x, 0x0e);
    if (half == 4) return _mm512_shuffle_f32x4(x, x, 0x01);
    if (half == 2) return _mm512_shuffle_ps(x, x, 0x0e);
    return _mm512_shuffle_ps(x, x, 0x01);
}
INL float v_lane0(vf x) { return _mm512_cvtss_f32(x); }

/* ---------------------------------------------------------------- integers, conversions */

INL vi vi_set(int32_t x) { return _mm512_set1_epi32(x); }
INL vi vi_add(vi x, vi y) { return _mm512_add_epi32(x, y); }
INL vi vi_sub(vi x, vi y) { return _mm512_sub_epi32(x, y); }
INL vi vi_mul(vi x, vi y) { return _mm512_mullo_epi32(x, y); }
INL vi vi_and(vi x, vi y) { return _mm512_and_si512(x, y); }
INL vi vi_or(vi x, vi y) { return _mm512_or_si512(x, y); }
#define VI_SHL(x, by) _mm512_slli_epi32(x, by)
#define VI_SHR(x, by) _mm512_srli_epi32(x, by)
#define VI_SAR(x, by) _mm512_srai_epi32(x, by)
INL vi v_bits(vf x) { return _mm512_castps_si512(x); }
INL vf v_float(vi x) { return _mm512_castsi512_ps(x); }
INL vf v_from_int(vi x) { return _mm512_cvtepi32_ps(x); }
INL vi v_round(vf x) { return _mm512_cvtps_epi32(x); }
INL vi vi_from_u8(vb x) { return _mm512_cvtepu8_epi32(x); }
INL vi vi_from_s8(vb x) { return _mm512_cvtepi8_epi32(x); }
INL vi vi_from_u16(vh x) { return _mm512_cvtepu16_epi32(x); }
/* Narrowing: the values fit. */
INL vb vb_from_u8(vi x) { return _mm512_cvtepi32_epi8(x); }
INL vb vb_from_s8(vi x) { return _mm512_cvtepi32_epi8(x); }
INL vh vh_from_u16(vi x) { return _mm512_cvtepi32_epi16(x); }
INL vh vh_from_f16(vf x) { return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INL vf v_from_f16(vh x) { return _mm512_cvtph_ps(x); }

/* Bytes in full vectors. */
enum { WN = 64 };
typedef __m512i vw;
INL vw vw_load(const void *p) { return _mm512_loadu_si512(p); }
INL void vw_store(void *p, vw x) { _mm512_storeu_si512(p, x); }
INL vw vw_max(vw x, vw y) { return _mm512_max_epu8(x, y); }
INL vb vb_max(vb x, vb y) { return _mm_max_epu8(x, y); }

/* Bytes x[0] y[0] x[1] y[1] ... as words; 2 * VN signed bytes as words; products of words, added in pairs. */
INL vi v_pairs(vb x, vb y)
{
    return _mm512_cvtepu8_epi16(_mm256_set_m128i(_mm_unpackhi_epi8(x, y), _mm_unpacklo_epi8(x, y)));
}
INL vi v_words_s8(const void *p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)); }
INL vi v_madd(vi x, vi y) { return _mm512_madd_epi16(x, y); }
#endif
