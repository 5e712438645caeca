/* The vectors of this folder, under the names that ../vector/ is written in. VN lanes: vf float, vi s32, vm a mask of lanes,
 * vh 16-bit and vb 8-bit elements as they lie in memory. _n: only the first n < VN elements are touched, the rest are 0. */
#ifndef PI_AVX2_VEC_H
#define PI_AVX2_VEC_H
#include <immintrin.h>
#include <string.h>
#include "../kernel.h"

#define ISA(name) pi_##name##_avx2
#define INL static inline __attribute__((always_inline))
enum { VN = 8 };
typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm;
typedef __m128i vh;
typedef __m128i vb;

INL vi v_first(size_t n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }

/* ---------------------------------------------------------------- memory */

INL vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
INL vf vf_load_n(const float *p, size_t n) { return _mm256_maskload_ps(p, v_first(n)); }
INL void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
INL void vf_store_n(float *p, vf x, size_t n) { _mm256_maskstore_ps(p, v_first(n), x); }

/* n < 16 bytes by at most four loads of fixed size: a memcpy of variable length would be a call. */
INL __m128i part_load(const char *p, size_t n)
{
    char s[16] = { 0 }, *d = s;
    if (n & 8) { memcpy(d, p, 8); d += 8; p += 8; }
    if (n & 4) { memcpy(d, p, 4); d += 4; p += 4; }
    if (n & 2) { memcpy(d, p, 2); d += 2; p += 2; }
    if (n & 1) *d = *p;
    return _mm_loadu_si128((const __m128i *)s);
}
INL void part_store(char *p, __m128i x, size_t n)
{
    char s[16], *d = s;
    _mm_storeu_si128((__m128i *)s, x);
    if (n & 8) { memcpy(p, d, 8); d += 8; p += 8; }
    if (n & 4) { memcpy(p, d, 4); d += 4; p += 4; }
    if (n & 2) { memcpy(p, d, 2); d += 2; p += 2; }
    if (n & 1) *p = *d;
}
INL vh vh_load(const uint16_t *p) { return _mm_loadu_si128((const __m128i *)p); }
INL vh vh_load_n(const uint16_t *p, size_t n) { return part_load((const char *)p, 2 * n); }
INL void vh_store(uint16_t *p, vh x) { _mm_storeu_si128((__m128i *)p, x); }
INL void vh_store_n(uint16_t *p, vh x, size_t n) { part_store((char *)p, x, 2 * n); }
INL vb vb_load(const void *p) { return _mm_loadl_epi64((const __m128i *)p); }
INL vb vb_load_n(const void *p, size_t n) { return part_load(p, n); }
INL void vb_store(void *p, vb x) { _mm_storel_epi64((__m128i *)p, x); }
INL void vb_store_n(void *p, vb x, size_t n) { part_store(p, x, n); }

/* ---------------------------------------------------------------- float */

INL vf v_set(float x) { return _mm256_set1_ps(x); }
INL vf v_add(vf x, vf y) { return _mm256_add_ps(x, y); }
INL vf v_sub(vf x, vf y) { return _mm256_sub_ps(x, y); }
INL vf v_mul(vf x, vf y) { return _mm256_mul_ps(x, y); }
INL vf v_div(vf x, vf y) { return _mm256_div_ps(x, y); }
INL vf v_fma(vf x, vf y, vf z) { return _mm256_fmadd_ps(x, y, z); }
INL vf v_sqrt(vf x) { return _mm256_sqrt_ps(x); }
INL vf v_floor(vf x) { return _mm256_floor_ps(x); }
INL vf v_ceil(vf x) { return _mm256_ceil_ps(x); }
INL vf v_max(vf x, vf y) { return _mm256_max_ps(x, y); }                 /* x > y ? x : y */
INL vf v_min(vf x, vf y) { return _mm256_min_ps(x, y); }                 /* x < y ? x : y */
INL vm v_less(vf x, vf y) { return _mm256_cmp_ps(x, y, _CMP_LT_OQ); }
INL vm v_equal(vf x, vf y) { return _mm256_cmp_ps(x, y, _CMP_EQ_OQ); }
INL vm v_nan(vf x) { return _mm256_cmp_ps(x, x, _CMP_UNORD_Q); }
INL vf v_select(vm m, vf x, vf y) { return _mm256_blendv_ps(y, x, m); }  /* m ? x : y */
INL vf v_keep(vm m, vf x) { return _mm256_and_ps(m, x); }                /* m ? x : +0 */
INL vf v_drop(vm m, vf x) { return _mm256_andnot_ps(m, x); }             /* m ? +0 : x */
INL vf v_abs(vf x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
INL vf v_neg(vf x) { return _mm256_xor_ps(_mm256_set1_ps(-0.0f), x); }
INL vf v_with_sign(vf x, vf sign) { return _mm256_or_ps(x, _mm256_and_ps(_mm256_set1_ps(-0.0f), sign)); }

/* Lanes from n on take y's. */
INL vf vf_fill(vf x, size_t n, vf y) { return _mm256_blendv_ps(y, x, _mm256_castsi256_ps(v_first(n))); }
/* Lane l takes lane l + half; only the first `half` lanes count. */
INL vf v_down(vf x, int half)
{
    if (half == 4) return _mm256_castps128_ps256(_mm256_extractf128_ps(x, 1));
    if (half == 2) return _mm256_shuffle_ps(x, x, 0x0e);
    return _mm256_shuffle_ps(x, x, 0x01);
}
INL float v_lane0(vf x) { return _mm256_cvtss_f32(x); }

/* ---------------------------------------------------------------- integers, conversions */

INL vi vi_set(int32_t x) { return _mm256_set1_epi32(x); }
INL vi vi_add(vi x, vi y) { return _mm256_add_epi32(x, y); }
INL vi vi_sub(vi x, vi y) { return _mm256_sub_epi32(x, y); }
INL vi vi_mul(vi x, vi y) { return _mm256_mullo_epi32(x, y); }
INL vi vi_and(vi x, vi y) { return _mm256_and_si256(x, y); }
INL vi vi_or(vi x, vi y) { return _mm256_or_si256(x, y); }
#define VI_SHL(x, by) _mm256_slli_epi32(x, by)
#define VI_SHR(x, by) _mm256_srli_epi32(x, by)
#define VI_SAR(x, by) _mm256_srai_epi32(x, by)
INL vi v_bits(vf x) { return _mm256_castps_si256(x); }
INL vf v_float(vi x) { return _mm256_castsi256_ps(x); }
INL vf v_from_int(vi x) { return _mm256_cvtepi32_ps(x); }
INL vi v_round(vf x) { return _mm256_cvtps_epi32(x); }
INL vi vi_from_u8(vb x) { return _mm256_cvtepu8_epi32(x); }
INL vi vi_from_s8(vb x) { return _mm256_cvtepi8_epi32(x); }
INL vi vi_from_u16(vh x) { return _mm256_cvtepu16_epi32(x); }
INL vh words(vi x) { return _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)); }
/* Narrowing: the values fit. */
INL vb vb_from_u8(vi x) { const vh w = words(x); return _mm_packus_epi16(w, w); }
INL vb vb_from_s8(vi x) { const vh w = words(x); return _mm_packs_epi16(w, w); }
INL vh vh_from_u16(vi x) { return _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)); }
INL vh vh_from_f16(vf x) { return _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT); }
INL vf v_from_f16(vh x) { return _mm256_cvtph_ps(x); }

/* Bytes in full vectors. */
enum { WN = 32 };
typedef __m256i vw;
INL vw vw_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INL void vw_store(void *p, vw x) { _mm256_storeu_si256((__m256i *)p, x); }
INL vw vw_max(vw x, vw y) { return _mm256_max_epu8(x, y); }
INL vb vb_max(vb x, vb y) { return _mm_max_epu8(x, y); }

/* Bytes x[0] y[0] x[1] y[1] ... as words; 2 * VN signed bytes as words; products of words, added in pairs. */
INL vi v_pairs(vb x, vb y) { return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(x, y)); }
INL vi v_words_s8(const void *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }
INL vi v_madd(vi x, vi y) { return _mm256_madd_epi16(x, y); }
#endif
