/* The epilogue on 8 columns at a time. `stages`, `out` and `res` are constants in the cases that epilogue.c lists, so that
 * their tests leave the loop over rows. */
#ifndef PI_AVX2_EPILOGUE_H
#define PI_AVX2_EPILOGUE_H
#include "tile.h"

/* What a column needs of every row: loaded once. */
struct columns { __m256i live, bias, c0, c1; __m256 scale; size_t n; };

INL struct columns columns_of(const struct pi_epi *e, size_t col, size_t n, const uint32_t stages)
{
    struct columns k = { .n = n, .live = lanes(n), .scale = _mm256_setzero_ps() };
    k.c0 = k.c1 = _mm256_setzero_si256();
    k.bias = _mm256_maskload_epi32((const int *)e->bias + col, k.live);
    if (stages & PI_RANK1) k.c0 = _mm256_maskload_epi32(e->c[0] + col, k.live);
    if (stages & PI_RANK2) k.c1 = _mm256_maskload_epi32(e->c[1] + col, k.live);
    if (stages & PI_SCALE) k.scale = _mm256_maskload_ps(e->scale + col, k.live);
    return k;
}

/* 8 or fewer bytes or words of a row, without reading past them. A memcpy of variable length would be a call. */
INL __m128i load_bytes(const void *p, size_t n)
{
    uint64_t x = 0;
    if (n >= 8) memcpy(&x, p, 8);
    else for (size_t i = 0; i < n; i++) x |= (uint64_t)((const uint8_t *)p)[i] << (8 * i);
    return _mm_cvtsi64_si128((long long)x);
}
INL __m128i load_words(const void *p, size_t n)
{
    if (n >= 8) return _mm_loadu_si128((const __m128i *)p);
    uint16_t x[8] = { 0 };
    for (size_t i = 0; i < n; i++) x[i] = ((const uint16_t *)p)[i];
    return _mm_loadu_si128((const __m128i *)x);
}
INL void store_words(void *p, __m128i x, size_t n)
{
    if (n >= 8) { _mm_storeu_si128((__m128i *)p, x); return; }
    uint16_t y[8];
    _mm_storeu_si128((__m128i *)y, x);
    for (size_t i = 0; i < n; i++) ((uint16_t *)p)[i] = y[i];
}
INL void store_bytes(void *p, uint64_t x, size_t n, const uint8_t *table)
{
    if (n >= 8 && !table) { memcpy(p, &x, 8); return; }
    for (size_t i = 0; i < n && i < 8; i++) {
        const uint8_t b = (uint8_t)(x >> (8 * i));
        ((uint8_t *)p)[i] = table ? table[b] : b;
    }
}

/* To bf16 in the low half of each lane: round to nearest even, a NaN keeps its upper bits and becomes quiet. */
INL __m128i narrow(__m256 f)
{
    const __m256i u = _mm256_castps_si256(f), top = _mm256_srli_epi32(u, 16);
    const __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    const __m256i even = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd), 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(f, f, _CMP_UNORD_Q));
    const __m256i x = _mm256_blendv_epi8(even, _mm256_or_si256(top, _mm256_set1_epi32(0x40)), nan);
    return _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}

INL __m256 residual(const struct pi_epi *e, const void *row, size_t j, const struct columns *k, const int res)
{
    if (res == PI_F32) return _mm256_maskload_ps((const float *)row + j, k->live);
    if (res == PI_BF16)
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_words((const uint16_t *)row + j, k->n)), 16));
    const __m256i q = _mm256_cvtepu8_epi32(load_bytes((const uint8_t *)row + j, k->n));
    return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(q, _mm256_set1_epi32(e->res_zp))), _mm256_set1_ps(e->res_scale));
}

/* Row r of the tile, columns j .. j+k->n-1 of the call, from their sums. */
INL void finish(const struct pi_tile *t, const struct columns *k, __m256i sum, size_t r, size_t j, const int integer,
                const uint32_t stages, const int out, const int res)
{
    const struct pi_epi *e = t->epi;
    const size_t row = t->row + r;
    __m256 f;
    if (integer) {
        sum = _mm256_add_epi32(sum, k->bias);
        if (stages & PI_RANK1) sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(_mm256_set1_epi32(e->r[0][row]), k->c0));
        if (stages & PI_RANK2) sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(_mm256_set1_epi32(e->r[1][row]), k->c1));
        if (out == PI_S32) { _mm256_maskstore_epi32((int *)t->c[r] + j, k->live, sum); return; }
        f = _mm256_cvtepi32_ps(sum);
    } else
        f = _mm256_add_ps(_mm256_castsi256_ps(sum), _mm256_castsi256_ps(k->bias));
    if (stages & PI_SCALE) f = _mm256_mul_ps(f, k->scale);
    if (stages & PI_ROW_SCALE) f = _mm256_mul_ps(f, _mm256_set1_ps(e->row_scale[row]));
    if (stages & PI_ACT) f = clip(f, _mm256_set1_ps(e->act_lo), _mm256_set1_ps(e->act_hi));
    if (stages & PI_RES) f = _mm256_add_ps(f, residual(e, t->res[r], j, k, res));
    f = clip(f, _mm256_set1_ps(e->lo), _mm256_set1_ps(e->hi));
    if (out == PI_F32) {
        if (k->n >= 8) _mm256_storeu_ps((float *)t->c[r] + j, f);
        else _mm256_maskstore_ps((float *)t->c[r] + j, k->live, f);
    } else if (out == PI_BF16)
        store_words((uint16_t *)t->c[r] + j, narrow(f), k->n);
    else {
        f = _mm256_and_ps(f, _mm256_cmp_ps(f, f, _CMP_ORD_Q));          /* NaN counts as 0 */
        const __m256i q = _mm256_add_epi32(_mm256_cvtps_epi32(f), _mm256_set1_epi32(e->zp));
        const __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
        store_bytes((uint8_t *)t->c[r] + j, (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(h, h)), k->n,
                    stages & PI_TABLE ? e->table : NULL);
    }
}
#endif
