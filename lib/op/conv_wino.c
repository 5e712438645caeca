/* A 3x3 convolution in 2x2 blocks of outputs: its table and its run. */
#include "conv.h"
#include "dense.h"

/* A kernel call: enough blocks to read the weights of a panel once for all of them, few enough to stay in L2. */
enum { SQUARE = 16, OUT = 4, BLOCKS = 24, DEEP = 256, DEEP_BLOCKS = 12 };
static size_t most(const struct pi_conv_shape *s) { return s->c > DEEP ? DEEP_BLOCKS : BLOCKS; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t across(const struct pi_conv_shape *s) { return (s->ow + 1) / 2; }
static size_t blocks(const struct pi_conv_shape *s) { return (s->oh + 1) / 2 * across(s); }

/* Of each block of an image: offsets of 16 pixels, -1 padding; then pixel numbers of 4 outputs, -1 beyond the edge. */
size_t pi_wino_table_bytes(const struct pi_conv_shape *s) { return blocks(s) * (SQUARE + OUT) * sizeof(int32_t); }
void pi_wino_fill(const struct pi_conv_shape *s, void *table)
{
    int32_t *at = table;
    for (size_t b = 0; b < blocks(s); b++) {
        const size_t oy = b / across(s) * 2, ox = b % across(s) * 2;
        for (size_t i = 0; i < SQUARE; i++) {
            const size_t y = oy + i / 4, x = ox + i % 4;        /* with the border */
            const int in = y >= s->pt && x >= s->pl && y - s->pt < s->h && x - s->pl < s->w;
            *at++ = in ? (int32_t)(((y - s->pt) * s->w + x - s->pl) * s->c) : -1;
        }
        for (size_t i = 0; i < OUT; i++) {
            const size_t y = oy + i / 2, x = ox + i % 2;
            *at++ = y < s->oh && x < s->ow ? (int32_t)(y * s->ow + x) : -1;
        }
    }
}

struct pointers { const void **a; void **c; const void **res; void *work; };
static struct pointers take(struct pi_carve *w, const struct pi_conv_shape *s)
{
    struct pointers p;
    p.a = pi_take(w, most(s) * SQUARE * sizeof *p.a);
    p.c = pi_take(w, most(s) * OUT * sizeof *p.c);
    p.res = pi_take(w, most(s) * OUT * sizeof *p.res);
    p.work = pi_take(w, pi_wino_work(most(s), s->c));
    return p;
}
static size_t slot_bytes(const struct pi_conv_shape *s)
{
    struct pi_carve w = { 0 };
    take(&w, s);
    return w.at;
}
size_t pi_wino_workspace(const precinfer_context *ctx, const struct pi_conv_shape *s) { return slot_bytes(s) * ctx->threads; }

struct job { const struct pi_conv *p; const struct pi_conv_shape *s; const struct pi_conv_io *io; size_t calls, slots; };

/* Blocks b .. b+m-1 of an image. */
static void call(const struct job *j, const struct pointers *to, size_t image, size_t b, size_t m)
{
    const struct pi_conv *const p = j->p;
    const struct pi_conv_shape *const s = j->s;
    const size_t pixels = s->oh * s->ow, c_row = s->o * p->c_size, res_row = s->o * p->res_size;
    const char *const x = (const char *)j->io->x + image * s->h * s->w * s->c;
    char *const y = (char *)j->io->y + image * pixels * c_row;
    const char *const res = j->io->res ? (const char *)j->io->res + image * pixels * res_row : NULL;
    const int32_t *at = (const int32_t *)j->io->table + b * (SQUARE + OUT);
    for (size_t i = 0; i < m; i++, at += SQUARE + OUT) {
        for (size_t q = 0; q < SQUARE; q++) to->a[i * SQUARE + q] = at[q] < 0 ? p->zero : x + at[q];
        for (size_t q = 0; q < OUT; q++) {
            const int32_t pixel = at[SQUARE + q];
            to->c[i * OUT + q] = pixel < 0 ? NULL : y + (size_t)pixel * c_row;
            if (res) to->res[i * OUT + q] = pixel < 0 ? NULL : res + (size_t)pixel * res_row;
        }
    }
    const struct pi_wino t = { .m = m, .n = s->o, .k = s->c, .a = to->a, .b = p->w->b, .c = to->c, .res = res ? to->res : NULL,
                               .epi = j->io->epi, .work = to->work };
    p->rows[0]->fn.wino(&t);
}

static void slot(void *arg, size_t i)
{
    const struct job *const j = arg;
    const size_t m = most(j->s), per_image = (blocks(j->s) + m - 1) / m;
    struct pi_carve w = { (char *)j->io->ws + i * slot_bytes(j->s), 0 };
    const struct pointers to = take(&w, j->s);
    for (size_t c = j->calls * i / j->slots; c < j->calls * (i + 1) / j->slots; c++) {
        const size_t b = c % per_image * m;
        call(j, &to, c / per_image, b, least(m, blocks(j->s) - b));
    }
}

void pi_wino_run(const precinfer_context *ctx, const struct pi_conv *p, const struct pi_conv_shape *s, const struct pi_conv_io *io)
{
    const size_t m = most(s);
    struct job j = { p, s, io, s->n * ((blocks(s) + m - 1) / m), 0 };
    j.slots = least(ctx->threads, j.calls);
    pi_parallel(ctx, j.slots, slot, &j);
}
