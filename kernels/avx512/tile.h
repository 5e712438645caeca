/* The body of every 512-bit GEMM tile: accumulators in, products, accumulators or epilogue out. Included once by a file
 * that has defined what its types need:
 *
 *   enum { INTEGER, KR, A_BYTES, W_BYTES, PREP, HOT_OUT };
 *       integer or float sums; elements of k that one multiply takes; bytes of an element of A; bytes of packed weights
 *       that make one vector; A comes through prep, in lines (see below); output type of the hot chain of a float tile
 *   __m512i group(const char *a)             one k group of a row, broadcast
 *   __m512i rest(const char *a, size_t n)    the same from the last n < KR elements, no byte more
 *   __m512i weights(const char *b)           one vector of weights
 *   __m512i muladd(__m512i c, __m512i x, __m512i w)      c + x * w
 *   __m512i widen(const char *a, size_t n)   with PREP: up to 16 k groups of A from n elements, 0 past the last
 *
 * MR rows, NV vectors a panel and PANELS panels in flight are constants once this is inlined, every loop over them is
 * unrolled, and the accumulators live in registers: `make lint-asm` looks at each.
 *
 * Part of the 512-bit family, like epilogue.h: avx512vnni and avx512bf16 include it as "../avx512/tile.h". */
#ifndef PI_AVX512_TILE_H
#define PI_AVX512_TILE_H
#include "epilogue.h"

enum { MAX_ROWS = 12, MAX_VECTORS = 8 };        /* of accumulators: rows, vectors a row                       */

/* Accumulators of earlier K blocks, or zero. Only rows below m exist in memory. */
INLINE void enter(const struct pi_tile *t, __m512i (*c)[MAX_VECTORS], const int MR, const int V, size_t j)
{
    UNROLL for (int r = 0; r < MR; r++)
        UNROLL for (int v = 0; v < V; v++)
            c[r][v] = t->flags & PI_FIRST || (size_t)r >= t->m ? _mm512_setzero_si512()
                    : _mm512_loadu_si512((const int32_t *)t->acc + (size_t)r * t->ldacc + j + 16 * (size_t)v);
}

INLINE void leave(const struct pi_tile *t, __m512i (*c)[MAX_VECTORS], const int MR, const int V, size_t j)
{
    UNROLL for (int r = 0; r < MR; r++)
        if ((size_t)r < t->m)
            UNROLL for (int v = 0; v < V; v++)
                _mm512_storeu_si512((int32_t *)t->acc + (size_t)r * t->ldacc + j + 16 * (size_t)v, c[r][v]);
}

/* One k group of n elements: the broadcast of each row's meets every vector of weights. */
INLINE void step(__m512i (*c)[MAX_VECTORS], const int MR, const int NV, const int PANELS, const char *const *a, size_t p,
                 size_t n, const char *b, size_t b_panel)
{
    __m512i w[MAX_VECTORS];
    UNROLL for (int v = 0; v < NV * PANELS; v++) w[v] = weights(b + (size_t)(v / NV) * b_panel + (size_t)(W_BYTES * (v % NV)));
    UNROLL for (int r = 0; r < MR; r++) {
        const __m512i x = n == KR ? group(a[r] + p) : rest(a[r] + p, n);
        UNROLL for (int v = 0; v < NV * PANELS; v++) c[r][v] = muladd(c[r][v], x, w[v]);
    }
}

#define STEP(p, n) step(c, MR, NV, PANELS, a, p, n, b, t->b_panel)

/* A read in place: one pointer a row and segment. */
INLINE void products(const struct pi_tile *t, __m512i (*c)[MAX_VECTORS], const int MR, const int NV, const int PANELS,
                     size_t panel)
{
    const void *const *rows = t->a;
    const size_t whole = t->k / KR * (KR * A_BYTES), odd = t->k % KR;
    for (size_t s = 0; s < t->segs; s++, rows += MR) {
        const char *b = (const char *)t->b + panel * t->b_panel + t->seg[s] * t->b_seg, *a[MAX_ROWS];
        UNROLL for (int r = 0; r < MR; r++) a[r] = (const char *)rows[r] + (ptrdiff_t)panel * t->a_panel;
        for (size_t p = 0; p < whole; p += KR * A_BYTES, b += W_BYTES * NV) STEP(p, KR);
        if (KR > 1 && odd) STEP(whole, odd);
    }
}

/* ---------------------------------------------------------------- A through prep */

/* prep widens A into lines of 16 k groups of 4 bytes: the line of row 0, of row 1, ..., then the next 16 groups. So the
 * products read one stream with one pointer, and no two rows fall into one cache set. A segment's last line is as short
 * as its groups; the block of a segment holds round_up(k, 4) elements a row, as kernel.h has it. */
enum { LINE = 16 };
INLINE size_t prep_groups(const struct pi_tile *t) { return (t->k + 3) / 4 * 4 / KR; }

INLINE void prep_lines(const struct pi_tile *t, void *dst, const int MR)
{
    const size_t groups = prep_groups(t);
    char *d = dst;
    for (size_t s = 0; s < t->segs; s++)
        for (size_t g = 0; g < groups; g += LINE) {
            const size_t width = groups - g < LINE ? groups - g : LINE;
            for (int r = 0; r < MR; r++, d += 4 * width) {
                const char *a = (const char *)t->a[s * (size_t)MR + (size_t)r] + g * (KR * A_BYTES);
                const __m512i x = widen(a, t->k - g * KR);
                store_32(d, 0, lanes(width), x);
            }
        }
}

INLINE void products_prep(const struct pi_tile *t, __m512i (*c)[MAX_VECTORS], const int MR, const int NV, const int PANELS,
                          size_t panel)
{
    const size_t groups = prep_groups(t), steps = (t->k + KR - 1) / KR;
    const char *line = t->a[0], *a[MAX_ROWS];
    for (size_t s = 0; s < t->segs; s++) {
        const char *b = (const char *)t->b + panel * t->b_panel + t->seg[s] * t->b_seg;
        for (size_t g = 0; g < groups; g += LINE) {
            const size_t width = groups - g < LINE ? groups - g : LINE, left = steps - g, n = left < width ? left : width;
            if (width == LINE) {        /* the rows stand at constant distances */
                UNROLL for (int r = 0; r < MR; r++) a[r] = line + 4 * LINE * r;
                for (size_t p = 0; p < 4 * n; p += 4, b += W_BYTES * NV) STEP(p, KR);
            } else {
                UNROLL for (int r = 0; r < MR; r++) a[r] = line + 4 * width * (size_t)r;
                for (size_t p = 0; p < 4 * n; p += 4, b += W_BYTES * NV) STEP(p, KR);
            }
            line += 4 * width * (size_t)MR;
        }
    }
}

/* ---------------------------------------------------------------- a tile */

/* Out of line: by then a tile's registers are free. */
static __attribute__((noinline)) void epilogue(const struct pi_tile *t, const __m512i *sums, size_t ld, size_t j, size_t n)
{
    epilogue_rows(t, (const int32_t *)sums, ld, j, n, INTEGER);
}

INLINE void finish(const struct pi_tile *t, __m512i (*c)[MAX_VECTORS], const int MR, const int NV, const int PANELS, size_t j)
{
    const int V = NV * PANELS;
    const size_t left = t->n - j, n = left < 16 * (size_t)V ? left : 16 * (size_t)V;
    if (INTEGER && hot_u8(t->epi)) {
        UNROLL for (int v = 0; v < V; v += NV)
            hot_u8_columns(t, &c[0][v], MR, NV, MAX_VECTORS, j + 16 * (size_t)v, n - 16 * (size_t)v);
    } else if (!INTEGER && hot_float(t->epi, HOT_OUT)) {
        UNROLL for (int v = 0; v < V; v++)
            if (n > 16 * (size_t)v)
                hot_float_columns(t, &c[0][v], MR, MAX_VECTORS, j + 16 * (size_t)v, lanes(n - 16 * (size_t)v), HOT_OUT);
    } else {
        __m512i sums[MAX_ROWS * MAX_VECTORS];
        UNROLL for (int r = 0; r < MR; r++)
            UNROLL for (int v = 0; v < V; v++) sums[r * V + v] = c[r][v];
        epilogue(t, sums, 16 * (size_t)V, j, n);
    }
}

/* Columns j .. end, PANELS panels at once; but for the last panel they are whole. */
INLINE void tile(const struct pi_tile *t, const int MR, const int NV, const int PANELS, size_t j, size_t end)
{
    for (; j < end; j += 16 * (size_t)(NV * PANELS)) {
        __m512i c[MAX_ROWS][MAX_VECTORS];
        enter(t, c, MR, NV * PANELS, j);
        if (PREP) products_prep(t, c, MR, NV, PANELS, j / (16 * (size_t)NV));
        else products(t, c, MR, NV, PANELS, j / (16 * (size_t)NV));
        if (t->flags & PI_LAST) finish(t, c, MR, NV, PANELS, j);
        else leave(t, c, MR, NV * PANELS, j);
    }
}

/* A kernel of mr rows and nv vectors of columns. */
#define TILE(name, mr, nv)                                                      \
    pi_tile_fn name;                                                            \
    void name(const struct pi_tile *t) { tile(t, mr, nv, 1, 0, t->n); }

/* A short one keeps several panels in flight, or the latency of few accumulators and a single stream from memory would set
 * the pace. Where rows move from panel to panel the panels come one by one. */
#define TILE_SHORT(name, mr, nv, panels)                                        \
    pi_tile_fn name;                                                            \
    void name(const struct pi_tile *t)                                          \
    {                                                                           \
        const size_t some = t->a_panel ? 0 : t->n - t->n % (16 * nv * panels);  \
        tile(t, mr, nv, panels, 0, some);                                       \
        tile(t, mr, nv, 1, some, t->n);                                         \
    }

#define TILE_PREP(name, mr)                                                     \
    pi_prep_fn name##_prep;                                                     \
    void name##_prep(const struct pi_tile *t, void *dst) { prep_lines(t, dst, mr); }
#endif
