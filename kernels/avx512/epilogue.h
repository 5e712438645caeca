/* The epilogue on 512-bit vectors: struct pi_epi, stage by stage, with the bits of kernels/ref. Written once for the
 * folders of this vector length: avx512vnni and avx512bf16 include it as "../avx512/epilogue.h", the one header that a
 * kernel takes from a folder not its own.
 *
 * Two forms. epilogue_rows goes from memory to memory and knows everything. The hot chains work on a tile's registers and
 * know what most layers need; each has a test (hot_float, hot_u8) that says when its bits are those of the other. */
#ifndef PI_AVX512_EPILOGUE_H
#define PI_AVX512_EPILOGUE_H
#include <immintrin.h>
#include "../kernel.h"
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* The operand that a comparison with NaN keeps stands second, so NaN and -0 pass as in the law. */
INLINE __m512 clip(__m512 x, __m512 lo, __m512 hi) { return _mm512_min_ps(hi, _mm512_max_ps(lo, x)); }

/* Columns 0 .. n-1 of 16. */
INLINE __mmask16 lanes(size_t n) { return n >= 16 ? 0xffff : (__mmask16)((1u << n) - 1); }

/* Round to nearest even on the bits; a NaN stays a NaN and becomes quiet. */
INLINE __m256i to_bf16(__m512 x)
{
    const __m512i u = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i bits = _mm512_mask_or_epi32(rounded, nan, u, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16));
}
INLINE __m512 from_bf16(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }

/* 16 columns of a row from and to memory; a masked access touches the live bytes alone. Whole stores take no mask: some
 * CPUs pay for one. */
INLINE __m512 load_f32(const void *p, size_t j, __mmask16 live)
{
    return _mm512_maskz_loadu_ps(live, (const float *)p + j);
}
INLINE __m512i load_s32(const void *p, size_t j, __mmask16 live)
{
    return _mm512_maskz_loadu_epi32(live, (const int32_t *)p + j);
}
INLINE __m512 load_bf16(const void *p, size_t j, __mmask16 live)
{
    return from_bf16(_mm256_maskz_loadu_epi16(live, (const uint16_t *)p + j));
}
INLINE __m512i load_u8(const void *p, size_t j, __mmask16 live)
{
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(live, (const uint8_t *)p + j));
}
INLINE void store_32(void *p, size_t j, __mmask16 live, __m512i x)
{
    if (live == 0xffff) _mm512_storeu_si512((int32_t *)p + j, x);
    else _mm512_mask_storeu_epi32((int32_t *)p + j, live, x);
}
INLINE void store_bf16(void *p, size_t j, __mmask16 live, __m512 x)
{
    if (live == 0xffff) _mm256_storeu_si256((__m256i *)((uint16_t *)p + j), to_bf16(x));
    else _mm256_mask_storeu_epi16((uint16_t *)p + j, live, to_bf16(x));
}
INLINE void store_u8(void *p, size_t j, __mmask16 live, __m128i x)
{
    if (live == 0xffff) _mm_storeu_si128((__m128i *)((uint8_t *)p + j), x);
    else _mm_mask_storeu_epi8((uint8_t *)p + j, live, x);
}

/* ---------------------------------------------------------------- memory to memory */

/* 256 entries do not fit a permutation without VBMI, and a gather would read 3 bytes past the last. */
static inline void store_table(uint8_t *p, __mmask16 live, __m128i x, const uint8_t *table)
{
    uint8_t q[16];
    _mm_storeu_si128((__m128i *)q, x);
    for (size_t i = 0; i < 16 && live >> i & 1; i++) p[i] = table[q[i]];
}

INLINE __m512 add_residual(__m512 f, const struct pi_epi *e, const int res_type, const void *res, size_t j, __mmask16 live)
{
    if (res_type == PI_F32) return _mm512_add_ps(f, load_f32(res, j, live));
    if (res_type == PI_BF16) return _mm512_add_ps(f, load_bf16(res, j, live));
    const __m512i q = _mm512_sub_epi32(load_u8(res, j, live), _mm512_set1_epi32(e->res_zp));
    return _mm512_add_ps(f, _mm512_mul_ps(_mm512_cvtepi32_ps(q), _mm512_set1_ps(e->res_scale)));
}

/* 16 columns of every row, from the sums (ld elements from row to row) to c. `stages`, `out` and `res_type` are constants
 * in the common cases: then the tests leave the loop, and what belongs to a column is loaded once. */
INLINE void epilogue_columns(const struct pi_tile *t, const int32_t *sums, size_t ld, size_t j, __mmask16 live,
                             const int integer, const uint32_t stages, const int out, const int res_type)
{
    const struct pi_epi *e = t->epi;
    const size_t col = t->col + j, m = t->m;
    const __m512i bias = load_s32(e->bias, col, live), zp = _mm512_set1_epi32(e->zp), none = _mm512_setzero_si512();
    const __m512i c0 = stages & PI_RANK1 ? load_s32(e->c[0], col, live) : none;
    const __m512i c1 = stages & PI_RANK2 ? load_s32(e->c[1], col, live) : none;
    const __m512 scale = stages & PI_SCALE ? load_f32(e->scale, col, live) : _mm512_setzero_ps();
    const __m512 lo = _mm512_set1_ps(e->lo), hi = _mm512_set1_ps(e->hi);
    const __m512 act_lo = _mm512_set1_ps(e->act_lo), act_hi = _mm512_set1_ps(e->act_hi);

    for (size_t r = 0; r < m; r++) {
        const size_t row = t->row + r;
        const __m512i sum = _mm512_loadu_si512(sums + r * ld);
        __m512 f;
        if (integer) {
            __m512i s = _mm512_add_epi32(sum, bias);
            if (stages & PI_RANK1) s = _mm512_add_epi32(s, _mm512_mullo_epi32(_mm512_set1_epi32(e->r[0][row]), c0));
            if (stages & PI_RANK2) s = _mm512_add_epi32(s, _mm512_mullo_epi32(_mm512_set1_epi32(e->r[1][row]), c1));
            if (out == PI_S32) {
                store_32(t->c[r], j, live, s);
                continue;
            }
            f = _mm512_cvtepi32_ps(s);
        } else
            f = _mm512_add_ps(_mm512_castsi512_ps(sum), _mm512_castsi512_ps(bias));
        if (stages & PI_SCALE) f = _mm512_mul_ps(f, scale);
        if (stages & PI_ROW_SCALE) f = _mm512_mul_ps(f, _mm512_set1_ps(e->row_scale[row]));
        if (stages & PI_ACT) f = clip(f, act_lo, act_hi);
        if (stages & PI_RES) f = add_residual(f, e, res_type, t->res[r], j, live);
        f = clip(f, lo, hi);
        if (out == PI_F32) store_32(t->c[r], j, live, _mm512_castps_si512(f));
        else if (out == PI_BF16) store_bf16(t->c[r], j, live, f);
        else {
            const __m128i q = _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(f), zp));
            if (stages & PI_TABLE) store_table((uint8_t *)t->c[r] + j, live, q, e->table);
            else store_u8(t->c[r], j, live, q);
        }
    }
}

INLINE void epilogue_case(const struct pi_tile *t, const int32_t *sums, size_t ld, size_t j, size_t n,
                          const int integer, const uint32_t stages, const int out, const int res_type)
{
    for (size_t v = 0; v < n; v += 16)
        epilogue_columns(t, sums + v, ld, j + v, lanes(n - v), integer, stages, out, res_type);
}

/* Columns j .. j+n of a tile's rows. The caller's `integer` is a constant. */
INLINE void epilogue_rows(const struct pi_tile *t, const int32_t *sums, size_t ld, size_t j, size_t n, const int integer)
{
    const struct pi_epi *e = t->epi;
    const uint32_t stages = e->stages;
    if (integer && e->out == PI_U8 && stages == PI_SCALE)
        epilogue_case(t, sums, ld, j, n, 1, PI_SCALE, PI_U8, 0);
    else if (integer && e->out == PI_U8 && stages == (PI_SCALE | PI_RES) && e->res_type == PI_U8)
        epilogue_case(t, sums, ld, j, n, 1, PI_SCALE | PI_RES, PI_U8, PI_U8);
    else if (integer && e->out == PI_F32 && stages == PI_SCALE)
        epilogue_case(t, sums, ld, j, n, 1, PI_SCALE, PI_F32, 0);
    else
        epilogue_case(t, sums, ld, j, n, integer, stages, e->out, e->res_type);
}

/* ---------------------------------------------------------------- on registers */

/* Float sums: bias, activation and a residual of the output's own type. */
INLINE int hot_float(const struct pi_epi *e, const int out)
{
    return e->out == out && !(e->stages & ~(uint32_t)(PI_ACT | PI_RES)) && (!(e->stages & PI_RES) || e->res_type == out);
}

/* 16 columns; c: one accumulator of every row, `step` vectors apart. */
INLINE void hot_float_columns(const struct pi_tile *t, const __m512i *c, const int MR, const int step, size_t j, __mmask16 live,
                              const int out)
{
    const struct pi_epi *e = t->epi;
    const size_t m = t->m;
    const __m512 bias = load_f32(e->bias, t->col + j, live), lo = _mm512_set1_ps(e->lo), hi = _mm512_set1_ps(e->hi);
    const __m512 act_lo = _mm512_set1_ps(e->act_lo), act_hi = _mm512_set1_ps(e->act_hi);
    const uint32_t act = e->stages & PI_ACT, res = e->stages & PI_RES;
    UNROLL for (int r = 0; r < MR; r++) {
        if ((size_t)r >= m) continue;
        __m512 f = _mm512_add_ps(_mm512_castsi512_ps(c[r * step]), bias);
        if (act) f = clip(f, act_lo, act_hi);
        if (res) f = add_residual(f, e, out, t->res[r], j, live);
        f = clip(f, lo, hi);
        if (out == PI_BF16) store_bf16(t->c[r], j, live, f);
        else store_32(t->c[r], j, live, _mm512_castps_si512(f));
    }
}

/* Integer sums to u8: bias and scale. Saturating packs stand for the lower clamp, half of the zero-point additions and the
 * narrowing: the same bits as long as the clamp is the type's own, lo == -zp. */
INLINE int hot_u8(const struct pi_epi *e) { return e->out == PI_U8 && e->stages == PI_SCALE && e->lo == (float)-e->zp; }

INLINE __m512i hot_u8_round(__m512i sum, __m512i bias, __m512 scale, __m512 hi)
{
    const __m512 f = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(sum, bias)), scale);
    return _mm512_cvtps_epi32(_mm512_min_ps(hi, f));
}

/* NV vectors of columns (one or two), two rows at a time; c as above. After the packs a lane of 128 bits holds four
 * columns of each (row, vector), so one permutation of dwords puts the columns of a row side by side. */
INLINE void hot_u8_columns(const struct pi_tile *t, const __m512i *c, const int MR, const int NV, const int step, size_t j,
                           size_t n)
{
    const struct pi_epi *e = t->epi;
    const size_t m = t->m, col = t->col + j;
    uint8_t *const *const out = (uint8_t *const *)t->c;
    const __mmask16 live0 = lanes(n), live1 = n > 16 ? lanes(n - 16) : 0;
    const __mmask32 live = (__mmask32)live1 << 16 | live0;
    const __m512i bias0 = load_s32(e->bias, col, live0), bias1 = NV > 1 ? load_s32(e->bias, col + 16, live1) : bias0;
    const __m512 scale0 = load_f32(e->scale, col, live0), scale1 = NV > 1 ? load_f32(e->scale, col + 16, live1) : scale0;
    const __m512 hi = _mm512_set1_ps(e->hi);
    const __m512i zp = _mm512_set1_epi16((short)e->zp);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    UNROLL for (int r = 0; r < MR; r += 2) {
        const int next = r + 1 < MR ? r + 1 : r;
        const __m512i *c0 = c + r * step, *c1 = c + next * step;
        const __m512i a0 = hot_u8_round(c0[0], bias0, scale0, hi), a1 = NV > 1 ? hot_u8_round(c0[1], bias1, scale1, hi) : a0;
        const __m512i b0 = hot_u8_round(c1[0], bias0, scale0, hi), b1 = NV > 1 ? hot_u8_round(c1[1], bias1, scale1, hi) : b0;
        const __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(a0, a1), zp);
        const __m512i b = _mm512_adds_epi16(_mm512_packs_epi32(b0, b1), zp);
        const __m512i q = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(a, b));
        const __m256i qa = _mm512_castsi512_si256(q), qb = _mm512_extracti64x4_epi64(q, 1);
        if (NV == 1) {
            if ((size_t)r < m) store_u8(out[r], j, live0, _mm256_castsi256_si128(qa));
            if (next != r && (size_t)next < m) store_u8(out[next], j, live0, _mm256_castsi256_si128(qb));
        } else if (live == 0xffffffffu) {
            if ((size_t)r < m) _mm256_storeu_si256((__m256i *)(out[r] + j), qa);
            if (next != r && (size_t)next < m) _mm256_storeu_si256((__m256i *)(out[next] + j), qb);
        } else {
            if ((size_t)r < m) _mm256_mask_storeu_epi8(out[r] + j, live, qa);
            if (next != r && (size_t)next < m) _mm256_mask_storeu_epi8(out[next] + j, live, qb);
        }
    }
}
#endif
