/* Rows of u8 as s16: what prep leaves for the tiles that multiply words. */
#ifndef PI_AVX2_WIDEN_H
#define PI_AVX2_WIDEN_H
#include "tile.h"

/* Bytes of a widened row of k elements: whole quads, zero past the end. */
INL size_t widened(size_t k) { return (k + 3) / 4 * 8; }

/* 1 to 15 bytes, zero above, by at most four loads of fixed size: a memcpy of variable length would be a call. */
INL __m128i load_some(const uint8_t *p, size_t n)
{
    char s[16] = { 0 }, *d = s;
    if (n & 8) { memcpy(d, p, 8); d += 8; p += 8; }
    if (n & 4) { memcpy(d, p, 4); d += 4; p += 4; }
    if (n & 2) { memcpy(d, p, 2); d += 2; p += 2; }
    if (n & 1) memcpy(d, p, 1);
    return _mm_loadu_si128((const __m128i *)s);
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
