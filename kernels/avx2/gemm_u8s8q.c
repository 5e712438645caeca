/* u8 x s8 by k quads, exact by packing: vpmaddubsw cannot saturate, because the packer stored every quad twice that could,
 * even and odd bytes apart. A list says which k each stored quad meets. Most quads have a partner with which they may be
 * added in s16 before both are widened at once. A is read in place. */
#include "tile.h"

INL int32_t whole(const char *p)
{
    int32_t w;
    memcpy(&w, p, 4);
    return w;
}
/* The last 1 to 3 bytes of a row. */
INL int32_t part(const char *s, size_t n)
{
    const uint8_t *p = (const uint8_t *)s;
    return n == 1 ? p[0] : n == 2 ? p[0] | p[1] << 8 : p[0] | p[1] << 8 | p[2] << 16;
}

/* Sums of one row: products of a quad in two steps, then added. */
INL void multiply_add(__m256i c[MAX_NV], __m256i x, __m256i w0, __m256i w1, __m256i one)
{
    __m256i y = _mm256_maddubs_epi16(x, w0), z = _mm256_maddubs_epi16(x, w1);
    KEEP(y); KEEP(z);
    y = _mm256_madd_epi16(y, one);
    z = _mm256_madd_epi16(z, one);
    KEEP(y); KEEP(z);
    c[0] = _mm256_add_epi32(c[0], y); KEEP(c[0]);
    c[1] = _mm256_add_epi32(c[1], z); KEEP(c[1]);
}

/* Two partners: eight products a sum. Weights are read for every row, as operands in memory: four more registers would spill. */
INL void multiply_add2(__m256i c[MAX_NV], __m256i x0, __m256i x1, const char *b, __m256i one)
{
    __asm__ volatile("" : "+r"(b));     /* or gcc would share the loads between rows */
    UNROLL for (int v = 0; v < 2; v++) {
        __m256i y = _mm256_maddubs_epi16(x0, LOAD(b + 32 * v)), z = _mm256_maddubs_epi16(x1, LOAD(b + 64 + 32 * v));
        KEEP(y); KEEP(z);
        y = _mm256_madd_epi16(_mm256_add_epi16(y, z), one);
        KEEP(y);
        c[v] = _mm256_add_epi32(c[v], y);
        KEEP(c[v]);
    }
}

INL void body(const struct pi_tile *t, const int mr)
{
    const __m256i one = _mm256_set1_epi16(1);
    for (size_t j0 = 0; j0 < t->n; j0 += NR) {
        __m256i c[MAX_MR][MAX_NV];
        enter(t, c, mr, 2, j0);
        const struct pi_sub *sub = t->sub + j0 / NR * t->sub_panel;
        const void *const *rows = t->a;
        for (size_t s = 0; s < t->segs; s++, rows += mr) {
            const struct pi_sub *u = sub + t->seg[s];
            const char *b = (const char *)t->b + u->b, *a[MAX_MR];
            const int32_t *l = t->list + u->list, *paired = l + u->paired, *full = l + u->full, *end = l + u->count;
            UNROLL for (int r = 0; r < mr; r++) a[r] = (const char *)rows[r] + (ptrdiff_t)(j0 / NR) * t->a_panel;
            for (; l < paired; l += 2, b += 128)
                UNROLL for (int r = 0; r < mr; r++) {
                    __m256i x0 = _mm256_set1_epi32(whole(a[r] + l[0])), x1 = _mm256_set1_epi32(whole(a[r] + l[1]));
                    KEEP(x0); KEEP(x1);
                    multiply_add2(c[r], x0, x1, b, one);
                }
            for (; l < full; l++, b += 64) {
                const __m256i w0 = LOAD(b), w1 = LOAD(b + 32);
                UNROLL for (int r = 0; r < mr; r++) {
                    __m256i x = _mm256_set1_epi32(whole(a[r] + *l));
                    KEEP(x);
                    multiply_add(c[r], x, w0, w1, one);
                }
            }
            for (; l < end; l++, b += 64) {
                const __m256i w0 = LOAD(b), w1 = LOAD(b + 32);
                UNROLL for (int r = 0; r < mr; r++) multiply_add(c[r], _mm256_set1_epi32(part(a[r] + *l, t->k % 4)), w0, w1, one);
            }
        }
        leave(t, c, mr, 2, j0, 1);
    }
}

#define HEIGHT(h) void pi_gemm_u8s8q_##h##x16_avx2(const struct pi_tile *t) { body(t, h); }
HEIGHT(5)
HEIGHT(4)
HEIGHT(3)
HEIGHT(2)
HEIGHT(1)
