/* Copies and fills between any two layouts. */
#include <string.h>
#include "walk.h"

enum { TILE = 32 };                                         /* rows and columns of a transposition block: both sides fit L1 */

struct job {
    struct pi_walk w;                                       /* operand 0: to, operand 1: from                  */
    char *to; const char *from;
    size_t size, blocks, block;                             /* the inner run goes in `blocks` of `block` elements */
    size_t rows; ptrdiff_t row_to, row_from;                /* transposition: a second inner axis, dense in from */
};

static void strided(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, size_t n, size_t size)
{
#define LOOP(T) for (size_t i = 0; i < n; i++) *(T *)(to + (ptrdiff_t)i * to_step) = *(const T *)(from + (ptrdiff_t)i * from_step)
    switch (size) {
    case 1: LOOP(uint8_t); break;
    case 2: LOOP(uint16_t); break;
    case 4: LOOP(uint32_t); break;
    default: LOOP(uint64_t); break;
    }
#undef LOOP
}

static void run_of(const struct job *j, char *to, const char *from, size_t n)
{
    const ptrdiff_t size = (ptrdiff_t)j->size;
    if (j->w.step[0] == size && j->w.step[1] == size) memcpy(to, from, n * j->size);
    else strided(to, j->w.step[0], from, j->w.step[1], n, j->size);
}

static void copy_span(void *arg, size_t begin, size_t end, size_t slot)
{
    const struct job *j = arg;
    struct pi_place p;
    (void)slot;
    pi_walk_seek(&j->w, begin / j->blocks, &p);
    for (size_t u = begin; u < end; u++) {
        const size_t first = u % j->blocks * j->block;
        const size_t n = j->w.inner - first < j->block ? j->w.inner - first : j->block;
        run_of(j, j->to + p.off[0] + (ptrdiff_t)first * j->w.step[0], j->from + p.off[1] + (ptrdiff_t)first * j->w.step[1], n);
        if ((u + 1) % j->blocks == 0) pi_walk_next(&j->w, &p);
    }
}

/* One block of rows (dense in from) by columns (dense in to). */
static void transpose_span(void *arg, size_t begin, size_t end, size_t slot)
{
    const struct job *j = arg;
    struct pi_place p;
    (void)slot;
    pi_walk_seek(&j->w, begin / j->blocks, &p);
    for (size_t u = begin; u < end; u++) {
        const size_t first = u % j->blocks * TILE;
        const size_t n = j->w.inner - first < TILE ? j->w.inner - first : TILE;
        char *to = j->to + p.off[0] + (ptrdiff_t)first * j->w.step[0];
        const char *from = j->from + p.off[1] + (ptrdiff_t)first * j->w.step[1];
        for (size_t r0 = 0; r0 < j->rows; r0 += TILE) {
            const size_t r1 = r0 + TILE < j->rows ? r0 + TILE : j->rows;
            for (size_t r = r0; r < r1; r++)
                strided(to + (ptrdiff_t)r * j->row_to, j->w.step[0], from + (ptrdiff_t)r * j->row_from, j->w.step[1], n, j->size);
        }
        if ((u + 1) % j->blocks == 0) pi_walk_next(&j->w, &p);
    }
}

/* Takes the outer axis along which `from` is dense out of the walk, to be walked in blocks with the inner one. */
static int take_rows(struct job *j)
{
    struct pi_walk *w = &j->w;
    int row = -1;
    if (w->step[0] != (ptrdiff_t)j->size || w->step[1] == (ptrdiff_t)j->size || w->step[1] == 0) return 0;
    for (int i = 0; i < w->rank; i++)
        if (w->stride[1][i] == (ptrdiff_t)j->size) row = i;
    if (row < 0) return 0;
    j->rows = w->count[row];
    j->row_to = w->stride[0][row];
    j->row_from = w->stride[1][row];
    w->rank--;
    w->outer /= j->rows;
    for (int i = row; i < w->rank; i++) {
        w->count[i] = w->count[i + 1];
        for (size_t o = 0; o < w->operands; o++) w->stride[o][i] = w->stride[o][i + 1];
    }
    return 1;
}

void pi_move(const precinfer_context *ctx, const struct pi_tensor *from, const struct pi_tensor *to)
{
    const struct pi_tensor *t[2] = { to, from };
    struct job j = { .to = to->data, .from = from->data, .size = pi_type_size(to->type) };
    pi_walk_make(&j.w, 2, t);
    if (j.w.outer == 0) return;
    const size_t work = j.w.outer * j.w.inner;
    const int blocked = take_rows(&j);
    j.block = blocked ? TILE : j.w.outer == 1 ? 4096 : j.w.inner;
    j.blocks = (j.w.inner + j.block - 1) / j.block;
    pi_span(ctx, j.w.outer * j.blocks, work, blocked ? transpose_span : copy_span, &j);
}

void pi_fill(const precinfer_context *ctx, const void *element, const struct pi_tensor *to)
{
    struct pi_tensor one = *to;
    one.rank = 0;
    one.data = (void *)(uintptr_t)element;                  /* read only: the source of a broadcast */
    pi_move(ctx, &one, to);
}
