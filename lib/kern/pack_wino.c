/* 3x3 taps as squares of 4x4 for PI_WINO: (2G) g (2G)', G of Winograd's F(2x2, 3x3), so that all are whole numbers; each
 * position then as in PI_HALVED. */
#include <string.h>
#include "pack.h"

enum { TAPS = 9, SQUARE = 16, NR = 16, QUAD = 4, HEAD = NR * 4, QUAD_BYTES = NR * QUAD * 2 };

/* 2G of three taps that lie `by` apart. */
static void transform(const int *g, int by, int *to, int to_by)
{
    const int a = g[0], b = g[by], c = g[2 * by];
    to[0] = 2 * a;
    to[to_by] = a + b + c;
    to[2 * to_by] = a - b + c;
    to[3 * to_by] = 2 * c;
}
static void square_of(const int g[TAPS], int16_t *to)
{
    int rows[3 * 4], all[SQUARE];       /* 3 x 4: each row of taps transformed; then the columns of that */
    for (int y = 0; y < 3; y++) transform(g + 3 * y, 1, rows + 4 * y, 1);
    for (int x = 0; x < 4; x++) transform(rows + x, 4, all + x, 4);
    for (int i = 0; i < SQUARE; i++) to[i] = (int16_t)all[i];
}

/* A quad of one column, at 16 positions that lie `apart` bytes from each other. */
static void place(const int16_t w[QUAD][SQUARE], size_t column, char *position, size_t quad, size_t apart)
{
    for (int i = 0; i < SQUARE; i++, position += apart) {
        int16_t *half = (int16_t *)(position + HEAD + quad * QUAD_BYTES) + column / 8 * 32 + column % 8 * 2;
        ((int32_t *)position)[column] += w[0][i] * w[2][i] + w[1][i] * w[3][i];
        half[0] = w[2][i];
        half[1] = w[3][i];
        half[16] = w[0][i];
        half[17] = w[1][i];
    }
}

int pi_pack_wino(const struct pi_allocator *a, struct pi_packed *d, const struct pi_packing *p, const int8_t *w, size_t k, size_t n,
                 ptrdiff_t st, ptrdiff_t sk, ptrdiff_t sn, struct precinfer_error *err)
{
    const size_t panels = (n + NR - 1) / NR, quads = (k + QUAD - 1) / QUAD, apart = HEAD + quads * QUAD_BYTES;
    *d = (struct pi_packed){ .p = p, .n = n, .k = k, .segs = TAPS, .kc = k * TAPS, .nk = 1, .panel_bytes = SQUARE * apart };
    if (pi_mul_size(panels, d->panel_bytes, &d->bytes))
        return pi_fail(err, PRECINFER_UNSUPPORTED, "packing %s: the weights exceed the address space", p->id);
    d->b = pi_calloc(a, 1, d->bytes);
    if (!d->b) return pi_no_memory(err, d->bytes);
    for (size_t j = 0; j < n; j++)
        for (size_t q = 0; q < quads; q++) {
            int16_t squares[QUAD][SQUARE];
            memset(squares, 0, sizeof squares);
            for (size_t i = 0; i < QUAD && q * QUAD + i < k; i++) {
                int g[TAPS];
                for (int t = 0; t < TAPS; t++) g[t] = w[t * st + (ptrdiff_t)(q * QUAD + i) * sk + (ptrdiff_t)j * sn];
                square_of(g, squares[i]);
            }
            place((const int16_t (*)[SQUARE])squares, j % NR, d->b + j / NR * d->panel_bytes, q, apart);
        }
    return PRECINFER_OK;
}
