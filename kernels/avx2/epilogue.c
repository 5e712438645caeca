/* The memory-to-memory epilogue, out of line: a tile's registers are free by then, and every tile calls the same text. */
#include "epilogue.h"

INL void column(const struct pi_tile *t, const char *buf, size_t ld, size_t j, size_t n, const int integer, const uint32_t stages,
                const int out, const int res)
{
    const struct columns k = columns_of(t->epi, t->col + j, n, stages);
    const size_t m = t->m;              /* copied: a byte store may alias *t */
    for (size_t r = 0; r < m; r++, buf += ld * 4) finish(t, &k, LOAD(buf), r, j, integer, stages, out, res);
}
INL void columns(const struct pi_tile *t, const void *buf, size_t ld, size_t j0, size_t n, const int integer,
                 const uint32_t stages, const int out, const int res)
{
    const char *from = buf;
    size_t v = 0;
    for (; v + 8 <= n; v += 8) column(t, from + v * 4, ld, j0 + v, 8, integer, stages, out, res);
    if (v < n) column(t, from + v * 4, ld, j0 + v, n - v, integer, stages, out, res);
}

/* u8 = bias, scale, perhaps a u8 residual; 8 or 16 columns. Saturating packs replace the lower clamp, half of the zero-point
 * additions and the narrowing and give the law's bits if and only if lo == -zp. No NaN can arise. */
INL __m128i hot(const char *sum, const char *res, __m256i bias, __m256 scale, __m256 res_scale, __m256i res_zp, __m256 hi,
                const int with_res)
{
    __m256 f = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(LOAD(sum), bias)), scale);
    if (with_res) {
        const __m256i q = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)res));
        f = _mm256_add_ps(f, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(q, res_zp)), res_scale));
    }
    const __m256i x = _mm256_cvtps_epi32(_mm256_min_ps(hi, f));
    return _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}
INL void hot_u8(const struct pi_tile *t, const char *buf, size_t ld, size_t j, const int nv, const int with_res)
{
    const struct pi_epi *e = t->epi;
    const size_t m = t->m, col = t->col + j;
    void *const *c = t->c;
    const void *const *res = t->res;
    const __m256i b0 = LOAD((const int32_t *)e->bias + col), b1 = nv > 1 ? LOAD((const int32_t *)e->bias + col + 8) : b0;
    const __m256 s0 = _mm256_loadu_ps(e->scale + col), s1 = nv > 1 ? _mm256_loadu_ps(e->scale + col + 8) : s0;
    const __m256 hi = _mm256_set1_ps(e->hi), res_scale = _mm256_set1_ps(e->res_scale);
    const __m256i res_zp = _mm256_set1_epi32(e->res_zp);
    const __m128i zp = _mm_set1_epi16((short)e->zp);
    for (size_t r = 0; r < m; r++, buf += ld * 4) {
        const char *from = with_res ? (const char *)res[r] + j : NULL;
        const __m128i p = _mm_adds_epi16(hot(buf, from, b0, s0, res_scale, res_zp, hi, with_res), zp);
        if (nv == 1) { _mm_storel_epi64((__m128i *)((char *)c[r] + j), _mm_packus_epi16(p, p)); continue; }
        const __m128i q = _mm_adds_epi16(hot(buf + 32, with_res ? from + 8 : NULL, b1, s1, res_scale, res_zp, hi, with_res), zp);
        _mm_storeu_si128((__m128i *)((char *)c[r] + j), _mm_packus_epi16(p, q));
    }
}
INL void hot_columns(const struct pi_tile *t, const char *buf, size_t ld, size_t j0, size_t n, const int with_res)
{
    size_t v = 0;
    for (; v + 16 <= n; v += 16) hot_u8(t, buf + v * 4, ld, j0 + v, 2, with_res);
    for (; v + 8 <= n; v += 8) hot_u8(t, buf + v * 4, ld, j0 + v, 1, with_res);
    if (v < n) columns(t, buf + v * 4, ld, j0 + v, n - v, 1, PI_SCALE | (with_res ? PI_RES : 0), PI_U8, PI_U8);
}

void pi_gemm_epilogue_int_avx2(const struct pi_tile *t, const void *buf, size_t ld, size_t j0, size_t n)
{
    const struct pi_epi *e = t->epi;
    const uint32_t s = e->stages;
    const int res = e->res_type;
    const int saturates = e->out == PI_U8 && e->lo == (float)-e->zp;
    if (saturates && s == PI_SCALE) hot_columns(t, buf, ld, j0, n, 0);
    else if (saturates && s == (PI_SCALE | PI_RES) && res == PI_U8) hot_columns(t, buf, ld, j0, n, 1);
#define CASE(stages_, out_, res_)                                                                                       \
    else if (e->out == out_ && s == (stages_) && (!(s & PI_RES) || res == res_))                                        \
        columns(t, buf, ld, j0, n, 1, stages_, out_, res_);
    CASE(PI_SCALE, PI_U8, PI_U8)
    CASE(PI_SCALE | PI_RES, PI_U8, PI_U8)
    CASE(PI_SCALE | PI_ACT | PI_RES, PI_U8, PI_U8)
    CASE(PI_SCALE, PI_F32, PI_F32)
    CASE(PI_SCALE | PI_ROW_SCALE | PI_RANK1, PI_F32, PI_F32)
#undef CASE
    else columns(t, buf, ld, j0, n, 1, s, e->out, res);
}

void pi_gemm_epilogue_float_avx2(const struct pi_tile *t, const void *buf, size_t ld, size_t j0, size_t n)
{
    const struct pi_epi *e = t->epi;
    const uint32_t s = e->stages;
    const int res = e->res_type;
#define CASE(stages_, out_)                                                                                             \
    if (e->out == out_ && s == (stages_) && (!(s & PI_RES) || res == out_))                                             \
        columns(t, buf, ld, j0, n, 0, stages_, out_, out_);                                                             \
    else
    CASE(0, PI_F32)
    CASE(PI_ACT, PI_F32)
    CASE(PI_RES, PI_F32)
    CASE(PI_ACT | PI_RES, PI_F32)
    CASE(0, PI_BF16)
    CASE(PI_ACT, PI_BF16)
    CASE(PI_RES, PI_BF16)
#undef CASE
    columns(t, buf, ld, j0, n, 0, s, e->out, res);
}
