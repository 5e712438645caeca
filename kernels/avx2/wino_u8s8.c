/* 3x3 convolution of u8 with s8 weights by 2x2 blocks of outputs (Winograd's F(2x2, 3x3)), exact in integers: the square of
 * pixels is transformed by sums in s16, weights were transformed times four when they were packed, products are halved.h's,
 * and the sums of four products come back by a shift. What wraps in s32 on the way wraps back. */
#include "halved.h"
#include "widen.h"

enum { SQUARE = 16 };                   /* positions of the transformed square                                */

/* Where things lie in the workspace. squares: [position][block][k] s16; own: [block][position]; products:
 * [position][block][NR]; sums: [live output][NR]. */
struct layout {
    char *squares, *products, *sums; int32_t *own;
    void **c; const void **res;
    size_t stride, live;
};

static struct layout layout_of(const struct pi_wino *t)
{
    struct layout l = { .stride = widened(t->k) };
    char *p = t->work;
    l.products = p;             p += t->m * SQUARE * NR * 4;
    l.sums = p;                 p += t->m * 4 * NR * 4;
    l.squares = p;              p += t->m * SQUARE * l.stride;
    l.own = (int32_t *)p;       p += t->m * SQUARE * 4;
    l.c = (void **)p;           p += t->m * 4 * sizeof *l.c;
    l.res = (const void **)p;
    for (size_t i = 0; i < 4 * t->m; i++) {
        if (!t->c[i]) continue;
        if (t->res) l.res[l.live] = t->res[i];
        l.c[l.live++] = t->c[i];
    }
    return l;
}

/* ---------------------------------------------------------------- pixels to squares */

/* B' d B, in place: differences and sums of rows, then of columns. */
INL void transform(__m256i d[SQUARE])
{
    UNROLL for (int x = 0; x < 4; x++) {
        const __m256i d0 = d[x], d1 = d[4 + x], d2 = d[8 + x], d3 = d[12 + x];
        d[x] = _mm256_sub_epi16(d0, d2);
        d[4 + x] = _mm256_add_epi16(d1, d2);
        d[8 + x] = _mm256_sub_epi16(d2, d1);
        d[12 + x] = _mm256_sub_epi16(d1, d3);
    }
    UNROLL for (int y = 0; y < SQUARE; y += 4) {
        const __m256i d0 = d[y], d1 = d[y + 1], d2 = d[y + 2], d3 = d[y + 3];
        d[y] = _mm256_sub_epi16(d0, d2);
        d[y + 1] = _mm256_add_epi16(d1, d2);
        d[y + 2] = _mm256_sub_epi16(d2, d1);
        d[y + 3] = _mm256_sub_epi16(d1, d3);
    }
}

/* n channels, 16 at most: stored, and their own products kept in own[i] in even lanes. */
INL void square(const void *const *a, size_t k, size_t n, char *to, size_t apart, __m256i own[SQUARE])
{
    __m256i d[SQUARE];
    UNROLL for (int i = 0; i < SQUARE; i++) {
        const uint8_t *p = (const uint8_t *)a[i] + k;
        d[i] = _mm256_cvtepu8_epi16(n >= 16 ? _mm_loadu_si128((const __m128i *)p) : load_some(p, n));
    }
    transform(d);
    UNROLL for (int i = 0; i < SQUARE; i++) {
        char *q = to + (size_t)i * apart;
        if (n >= 16) STORE(q, d[i]);
        else
            for (size_t left = (n + 3) / 4, v = 0; v < left; v++) memcpy(q + 8 * v, (char *)&d[i] + 8 * v, 8);
        own[i] = _mm256_add_epi32(own[i], own_products(d[i]));
    }
}

/* Two sums of even lanes at once. */
INL void store_own(int32_t *to, __m256i x, __m256i y)
{
    const __m256i both = _mm256_add_epi32(x, _mm256_slli_epi64(y, 32));
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    _mm_storel_epi64((__m128i *)to, _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e)));
}

static void squares(const struct pi_wino *t, const struct layout *l)
{
    const size_t apart = t->m * l->stride;
    for (size_t i = 0; i < t->m; i++) {
        const void *const *a = t->a + i * SQUARE;
        char *to = l->squares + i * l->stride;
        int32_t *own = l->own + i * SQUARE;
        __m256i sum[SQUARE];
        size_t k = 0;
        for (int p = 0; p < SQUARE; p++) sum[p] = _mm256_setzero_si256();
        for (; k + 16 <= t->k; k += 16, to += 32) square(a, k, 16, to, apart, sum);
        if (k < t->k) square(a, k, t->k - k, to, apart, sum);
        for (int p = 0; p < SQUARE; p += 2) store_own(own + p, sum[p], sum[p + 1]);
    }
}

/* ---------------------------------------------------------------- products */

/* One position, blocks i .. i+mr-1. */
INL void multiply(const struct layout *l, const char *a, const char *b, size_t quads, size_t position, size_t i, char *to,
                  const int mr)
{
    __m256i c[MAX_MR][MAX_NV];
    const __m256i w0 = LOAD(b), w1 = LOAD(b + 32);
    UNROLL for (int r = 0; r < mr; r++) {
        const __m256i own = _mm256_set1_epi32(l->own[(i + (size_t)r) * SQUARE + position]);
        c[r][0] = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_add_epi32(own, w0));
        c[r][1] = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_add_epi32(own, w1));
    }
    halved(c, a, l->stride, b + 64, quads, mr);
    UNROLL for (int r = 0; r < mr; r++) {
        STORE(to + r * 64, c[r][0]);
        STORE(to + r * 64 + 32, c[r][1]);
    }
}

static void products(const struct pi_wino *t, const struct layout *l, const char *b)
{
    const size_t quads = (t->k + 3) / 4, position_bytes = 64 + quads * HALVED_QUAD;
    const char *a = l->squares;
    char *to = l->products;
    for (size_t p = 0; p < SQUARE; p++, b += position_bytes)
        for (size_t i = 0, mr; i < t->m; i += mr, a += mr * l->stride, to += mr * NR * 4) {
            const size_t left = t->m - i;
            mr = left >= 6 ? 6 : left >= 4 ? 4 : left;
            switch (mr) {
            case 6: multiply(l, a, b, quads, p, i, to, 6); break;
            case 4: multiply(l, a, b, quads, p, i, to, 4); break;
            case 3: multiply(l, a, b, quads, p, i, to, 3); break;
            case 2: multiply(l, a, b, quads, p, i, to, 2); break;
            default: multiply(l, a, b, quads, p, i, to, 1); break;
            }
        }
}

/* ---------------------------------------------------------------- squares to outputs */

#define ADD _mm256_add_epi32
#define SUB _mm256_sub_epi32
/* A' m A / 4 of 8 columns of one block. Outputs beyond the edge have no row. */
INL void outputs(const struct pi_wino *t, const struct layout *l, size_t i, size_t v, size_t live)
{
    const size_t apart = t->m * NR * 4;
    const char *from = l->products + i * NR * 4 + 32 * v;
    __m256i u[2][4], y[4];
    UNROLL for (int x = 0; x < 4; x++) {
        const __m256i m0 = LOAD(from + (size_t)x * apart), m1 = LOAD(from + (size_t)(4 + x) * apart);
        const __m256i m2 = LOAD(from + (size_t)(8 + x) * apart), m3 = LOAD(from + (size_t)(12 + x) * apart);
        u[0][x] = ADD(m0, ADD(m1, m2));
        u[1][x] = SUB(m1, ADD(m2, m3));
    }
    UNROLL for (int r = 0; r < 2; r++) {
        y[2 * r] = ADD(u[r][0], ADD(u[r][1], u[r][2]));
        y[2 * r + 1] = SUB(u[r][1], ADD(u[r][2], u[r][3]));
    }
    UNROLL for (int q = 0; q < 4; q++)
        if (t->c[4 * i + (size_t)q]) STORE(l->sums + live++ * NR * 4 + 32 * v, _mm256_srai_epi32(y[q], 2));
}

static void finish(const struct pi_wino *t, const struct layout *l, size_t j0)
{
    size_t live = 0;
    for (size_t i = 0; i < t->m; i++) {
        outputs(t, l, i, 0, live);
        outputs(t, l, i, 1, live);
        for (size_t q = 0; q < 4; q++) live += t->c[4 * i + q] != NULL;
    }
    const struct pi_tile e = { .m = live, .c = l->c, .res = t->res ? l->res : NULL, .row = t->row, .col = t->col, .epi = t->epi };
    const size_t left = t->n - j0;
    pi_gemm_epilogue_int_avx2(&e, l->sums, NR, j0, left < NR ? left : NR);
}

void pi_wino_u8s8_6x16_avx2(const struct pi_wino *t)
{
    const struct layout l = layout_of(t);
    const size_t panel = SQUARE * (64 + (t->k + 3) / 4 * HALVED_QUAD);
    const char *b = t->b;
    squares(t, &l);
    for (size_t j0 = 0; j0 < t->n; j0 += NR, b += panel) {
        products(t, &l, b);
        finish(t, &l, j0);
    }
}
