/* The tile driver. One slot of threads owns rows, or panels where there are few rows, and walks, from the outside in:
 *   columns   a block whose packed weights of one K block stay in L2 while every row tile passes over it
 *   K blocks  of the packing, in law order; sums wait in acc between them
 *   rows      a tile at a time, the heights that share the packing cover what is left
 * and the tile itself walks the panels of the column block. */
#include "driver.h"

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t ceil_div(size_t x, size_t by) { return (x + by - 1) / by; }
static size_t up64(size_t x) { return pi_up(x, 64); }

/* ---------------------------------------------------------------- which height comes next */

enum { MAX_HEIGHT = 32 };
/* pick[left]: index of the next tile's row while fewer than two of the tallest remain. */
struct cover { uint8_t pick[2 * MAX_HEIGHT]; };

/* Of a tile per k step, in vector multiplies: a short tile is bound by reading the panel, not by its products. */
static unsigned cost(unsigned height) { return 2 * height < 5 ? 5 : 2 * height + 1; }

/* The cheapest cover of every rest by the heights there are: 49 rows are 4 x 12 + 1, not 5 x 12. */
static void plan_cover(struct cover *c, const struct pi_row *const *rows, size_t nrows, size_t m)
{
    unsigned best[2 * MAX_HEIGHT] = { 0 };
    for (size_t left = 1; left < 2u * rows[0]->mr && left <= m; left++) {
        best[left] = ~0u;
        for (size_t i = 0; i < nrows; i++) {
            const unsigned total = cost(rows[i]->mr) + (left > rows[i]->mr ? best[left - rows[i]->mr] : 0);
            if (total <= best[left]) { best[left] = total; c->pick[left] = (uint8_t)i; }    /* equal: the lower, last */
        }
    }
}
static const struct pi_row *next_tile(const struct cover *c, const struct pi_row *const *rows, size_t left)
{
    return rows[left >= 2u * rows[0]->mr ? 0 : c->pick[left]];
}

/* ---------------------------------------------------------------- K blocks */

/* Segments s0 .. s0+segs-1 and k elements from k0 of each. The f32 law sums segment after segment, so that a block is
 * either whole segments or a part of one. */
struct k_block { size_t s0, segs, k0, k; int first, last; };

static int next_block(const struct pi_packed *w, struct k_block *b)
{
    if (b->last) return 0;
    b->first = !b->segs;                    /* the caller starts with zeros */
    if (!b->first) {
        if (b->k0 + b->k < w->k) b->k0 += b->k;
        else { b->s0 += b->segs; b->k0 = 0; }
    }
    const size_t whole = w->kc / w->k;      /* segments that fit in a block */
    b->segs = w->nk > 1 ? 1 : least(w->segs - b->s0, whole ? whole : 1);
    b->k = least(w->k - b->k0, w->kc);
    b->last = b->s0 + b->segs == w->segs && b->k0 + b->k == w->k;
    return 1;
}

/* ---------------------------------------------------------------- memory and division of work */

struct job {
    const struct pi_gemm *o;
    const struct pi_packed *w;
    const struct pi_row *const *rows;
    size_t nrows, image_m;
    size_t slots, chunk;            /* chunk: rows or panels of a slot                                         */
    int by_panels;
    size_t columns;                 /* of a column block                                                       */
    char *scratch; size_t scratch_bytes;    /* one after the other for the slots                               */
    char *acc; size_t ldacc;        /* all rows and columns; only where there are K blocks                     */
};

/* What one row tile needs. a: segs x mr pointers. */
struct scratch { const void **a; uint16_t *seg; void **c; const void **res; char *prep; };

static size_t prep_bytes(const struct pi_packed *w, const struct pi_row *t)
{
    return t->prep ? w->segs * pi_up(w->k, 4) * t->mr * t->prep_bytes : 0;
}
static size_t scratch_bytes(const struct pi_packed *w, const struct pi_row *t)
{
    return up64(w->segs * t->mr * sizeof(void *)) + up64(w->segs * sizeof(uint16_t)) + 2 * up64(t->mr * sizeof(void *)) +
           up64(prep_bytes(w, t));
}
static struct scratch scratch_of(char *p, const struct pi_packed *w, const struct pi_row *t)
{
    struct scratch s;
    s.a = (const void **)p;     p += up64(w->segs * t->mr * sizeof *s.a);
    s.seg = (uint16_t *)p;      p += up64(w->segs * sizeof *s.seg);
    s.c = (void **)p;           p += up64(t->mr * sizeof *s.c);
    s.res = (const void **)p;   p += up64(t->mr * sizeof *s.res);
    s.prep = p;
    return s;
}
static size_t acc_bytes(const struct pi_gemm *o, const struct pi_packed *w)
{
    return w->kc < w->k * w->segs ? o->m * pi_up(o->n, w->p->nr) * 4 : 0;
}
size_t pi_gemm_workspace(const struct pi_gemm *o, const struct pi_packed *w, const struct pi_row *tallest, size_t threads)
{
    return threads * scratch_bytes(w, tallest) + up64(acc_bytes(o, w));
}

/* Rows while that keeps the slots as busy as panels would: each slot then reads its own part of A and all of B. A slot gets
 * enough products to pay for waking it. */
static void divide(struct job *j, size_t threads)
{
    enum { SLOT_PRODUCTS = 1 << 17 };
    const struct pi_gemm *o = j->o;
    const size_t mr = j->rows[0]->mr, panels = ceil_div(o->n, j->w->p->nr);
    const double products = (double)o->m * (double)o->n * (double)o->k * (double)o->segs;
    size_t slots = threads;
    while (slots > 1 && products < (double)slots * SLOT_PRODUCTS) slots--;
    const size_t row_chunk = pi_up(ceil_div(o->m, slots), mr), panel_chunk = ceil_div(panels, slots);
    const double row_share = (double)least(row_chunk, o->m) / (double)o->m, panel_share = (double)panel_chunk / (double)panels;
    j->by_panels = panel_share < 0.9 * row_share;
    j->chunk = j->by_panels ? panel_chunk : row_chunk;
    j->slots = ceil_div(j->by_panels ? panels : o->m, j->chunk);
}

/* B of one K block and column block takes about half of L2; rows of A and C pass through the rest. */
static size_t columns_per_block(const precinfer_context *ctx, const struct pi_packed *w)
{
    const size_t l2 = ctx && ctx->cpu.l2 ? ctx->cpu.l2 : 512 * 1024, all = w->k * w->segs;
    size_t panel = w->p->listed ? w->bytes / ceil_div(w->n, w->p->nr) : w->panel_bytes;
    if (w->kc < all) panel = (size_t)((double)panel * (double)w->kc / (double)all);
    const size_t panels = panel ? l2 * 5 / 8 / panel : 1;
    return (panels ? panels : 1) * w->p->nr;
}

/* ---------------------------------------------------------------- pointers of one row tile */

/* Where a row lies; images are stacked along m. */
struct place { size_t image, pixel; };
static struct place place_of(size_t row, size_t image_m)
{
    return image_m > row ? (struct place){ 0, row } : (struct place){ row / image_m, row % image_m };
}
static void step(struct place *p, size_t image_m)
{
    if (++p->pixel == image_m) { p->pixel = 0; p->image++; }
}

/* First column of the block in every row of C or of the residual. at: offsets within an image, or NULL: pixel * ld. */
static void point_out(const char *base, ptrdiff_t ld, const int32_t *at, ptrdiff_t image, size_t image_m, struct place p,
                      size_t m, const void **out)
{
    for (size_t r = 0; r < m; r++, step(&p, image_m))
        out[r] = base + (ptrdiff_t)p.image * image + (at ? at[p.pixel] : (ptrdiff_t)p.pixel * ld);
}

static void repeat_last(const void **a, size_t m, size_t h)
{
    for (size_t r = m; r < h; r++) a[r] = a[m - 1];
}

/* A without indirection: one segment. */
static void point_rows(const struct job *j, struct place p, size_t m, size_t h, ptrdiff_t shift, const void **a)
{
    point_out(j->o->a + shift, j->o->lda, NULL, j->o->image_a, j->image_m, p, m, a);
    repeat_last(a, m, h);
}

/* A by indirection, segment after segment of the K block. A tap that is padding for the whole tile is left out with its
 * weights where padding adds nothing; one segment stays, for the epilogue needs a tile. Returns the segments left. */
static size_t point_taps(const struct job *j, const struct k_block *b, struct place first, size_t m, size_t h, ptrdiff_t shift,
                         const struct scratch *to)
{
    const struct pi_gemm *o = j->o;
    const char *const base = o->a + shift, *const zero = (const char *)o->zero + shift;
    const size_t end = b->s0 + b->segs, k_id = b->k0 / j->w->kc;
    size_t live = 0;
    for (size_t s = b->s0; s < end; s++) {
        const int32_t *at = o->at + s * j->image_m;
        const void **a = to->a + live * h;
        int32_t all = -1;
        struct place p = first;
        for (size_t r = 0; r < m; r++, step(&p, j->image_m)) {
            const int32_t off = at[p.pixel];
            all &= off;
            a[r] = off < 0 ? zero : base + (ptrdiff_t)p.image * o->image_a + off;
        }
        if (all == -1 && o->skip_padding && (live || s + 1 < end)) continue;
        repeat_last(a, m, h);
        to->seg[live++] = (uint16_t)(j->w->p->listed ? s * j->w->nk + k_id : s);
    }
    return live;
}

/* ---------------------------------------------------------------- the loops */

struct range { size_t from, to; };

/* Every row tile of one slot for one column block and one K block. All that stays the same from tile to tile is in *t
 * already: rebuilding it per tile was a fifth of the time at small N and K. */
static void run_rows(const struct job *j, const struct cover *cover, const struct k_block *b, struct range rows, size_t j0,
                     ptrdiff_t shift, const struct scratch *s, struct pi_tile *t)
{
    const struct pi_gemm *o = j->o;
    const size_t res_size = o->epi->res_type == PI_F32 ? 4 : o->epi->res_type == PI_BF16 ? 2 : 1;
    const void *const prepared[1] = { s->prep };
    for (size_t i = rows.from, m; i < rows.to; i += m) {
        const struct pi_row *row = next_tile(cover, j->rows, rows.to - i);
        const size_t h = row->mr;
        const struct place p = place_of(i, j->image_m);
        m = least(rows.to - i, h);
        point_out(o->c + j0 * o->csize, o->ldc, o->c_at, o->image_c, j->image_m, p, m, (const void **)s->c);
        if (t->res) point_out(o->res + j0 * res_size, o->ldres, o->res_at, o->image_res, j->image_m, p, m, s->res);
        t->m = m;
        t->row = o->row0 + i;
        t->a = s->a;
        if (j->acc) t->acc = j->acc + (i * j->ldacc + j0) * 4;
        if (o->at) t->segs = point_taps(j, b, p, m, h, shift, s);
        else point_rows(j, p, m, h, shift, s->a);
        if (row->prep) {
            row->prep(t, s->prep);
            t->a = prepared;
        }
        row->fn.tile(t);
    }
}

static void run_slot(void *arg, size_t slot)
{
    const struct job *j = arg;
    const struct pi_gemm *o = j->o;
    const struct pi_packed *w = j->w;
    const size_t nr = w->p->nr, from = slot * j->chunk, to = from + j->chunk;
    const struct range rows = { j->by_panels ? 0 : from, j->by_panels ? o->m : least(to, o->m) };
    const size_t n0 = j->by_panels ? from * nr : 0, n1 = j->by_panels ? least(to * nr, o->n) : o->n;
    const struct scratch s = scratch_of(j->scratch + slot * j->scratch_bytes, w, j->rows[0]);
    /* prep lays out the channels of one panel: where they move from panel to panel, such tiles take a panel a call. */
    const int one_panel = o->a_panel && j->rows[0]->prep;
    const size_t nc = one_panel ? nr : j->columns;
    struct cover cover;
    plan_cover(&cover, j->rows, j->nrows, rows.to - rows.from);

    for (size_t j0 = n0; j0 < n1; j0 += nc) {
        const size_t panel = j0 / nr;
        for (struct k_block b = { 0 }; next_block(w, &b); ) {
            const ptrdiff_t shift = (ptrdiff_t)(b.k0 * o->asize) + (ptrdiff_t)panel * o->a_panel;
            struct pi_tile t = {
                .n = least(n1 - j0, nc), .k = b.k, .segs = 1, .a_panel = one_panel ? 0 : o->a_panel,
                .b_panel = w->panel_bytes, .b_seg = w->seg_bytes, .seg = s.seg, .c = s.c, .res = o->res ? s.res : NULL,
                .ldacc = j->ldacc, .col = j0, .epi = o->epi, .flags = (b.first ? PI_FIRST : 0u) | (b.last ? PI_LAST : 0u) };
            if (w->p->listed) {
                t.b = w->b;
                t.list = w->list;
                t.sub_panel = w->segs * w->nk;
                t.sub = w->sub + panel * t.sub_panel;
            } else
                t.b = w->b + panel * w->panel_bytes + b.k0 / w->p->kr * pi_k_group_bytes(w->p);
            s.seg[0] = (uint16_t)(w->p->listed ? b.k0 / w->kc : 0);
            run_rows(j, &cover, &b, rows, j0, shift, &s, &t);
        }
    }
}

void pi_gemm_run(const precinfer_context *ctx, const struct pi_gemm *o, const struct pi_packed *w,
                 const struct pi_row *const *rows, size_t nrows, size_t threads, void *ws)
{
    struct job j = { .o = o, .w = w, .rows = rows, .nrows = nrows, .image_m = o->image_m ? o->image_m : o->m,
                     .columns = columns_per_block(ctx, w), .scratch = ws, .scratch_bytes = scratch_bytes(w, rows[0]) };
    divide(&j, threads);
    if (acc_bytes(o, w)) {
        j.acc = j.scratch + threads * j.scratch_bytes;
        j.ldacc = pi_up(o->n, w->p->nr);
    }
    pi_parallel(ctx, j.slots, run_slot, &j);
}
