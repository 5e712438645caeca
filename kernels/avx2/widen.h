/* Rows of u8 as s16: what prep leaves for the tiles that multiply words. */
#ifndef PI_AVX2_WIDEN_H
#define PI_AVX2_WIDEN_H
#include "tile.h"

/* Bytes of a widened row of k elements: whole quads, zero past the end. */
INL size_t widened(size_t k) { return (k + 3) / 4 * 8; }

/* 1 to 15 bytes, zero above, by loads that overlap within them: through a buffer every load would wait for its stores. */
INL __m128i load_some(const uint8_t *p, size_t n)
{
    uint64_t lo = 0, hi = 0;
    if (n >= 8) {
        memcpy(&lo, p, 8);
        memcpy(&hi, p + n - 8, 8);
        hi = n == 8 ? 0 : hi >> 8 * (16 - n);
    } else if (n >= 4) {
        uint32_t first, last;
        memcpy(&first, p, 4);
        memcpy(&last, p + n - 4, 4);
        lo = first | (uint64_t)last << 8 * (n - 4);
    } else
        lo = p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
    return _mm_set_epi64x((long long)hi, (long long)lo);
}

/* The last k < 16 elements of a row; the vector that was stored. */
INL __m256i widen_rest(const uint8_t *a, size_t k, char *to)
{
    const __m256i x = _mm256_cvtepu8_epi16(load_some(a, k));
    const __m128i hi = _mm256_extracti128_si256(x, 1);
    if (k > 4) _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(x));
    else _mm_storel_epi64((__m128i *)to, _mm256_castsi256_si128(x));
    if (k > 12) _mm_storeu_si128((__m128i *)(to + 16), hi);
    else if (k > 8) _mm_storel_epi64((__m128i *)(to + 16), hi);
    return x;
}
#endif
