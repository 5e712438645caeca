/* The indirection of a convolution for given sizes, and its run. */
#include <string.h>
#include "conv.h"
#include "dense.h"

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t taps(const struct pi_conv_shape *s) { return s->kh * s->kw; }
static size_t pixels(const struct pi_conv_shape *s) { return s->oh * s->ow; }
static size_t group_in(const struct pi_conv_shape *s) { return s->c / s->groups; }
static size_t group_out(const struct pi_conv_shape *s) { return s->o / s->groups; }

/* A plain matrix product: output row i reads input row i. */
static int direct(const struct pi_conv *p, const struct pi_conv_shape *s)
{
    return p->how != PI_CONV_DEPTHWISE && taps(s) == 1 && s->sh == 1 && s->sw == 1 && !s->pt && !s->pl && s->oh == s->h &&
        s->ow == s->w;
}
static int padded_copy(const struct pi_conv *p, const struct pi_conv_shape *s)
{
    return p->how == PI_CONV_STEM && (s->pt || s->pl || s->pb || s->pr);
}
static size_t image_width(const struct pi_conv *p, const struct pi_conv_shape *s)
{
    return padded_copy(p, s) ? s->w + s->pl + s->pr : s->w;
}
static size_t image_height(const struct pi_conv *p, const struct pi_conv_shape *s)
{
    return padded_copy(p, s) ? s->h + s->pt + s->pb : s->h;
}

/* ---------------------------------------------------------------- tables */

/* at: taps x pixels offsets into an image (depthwise: pixels x taps; stem: kernel rows x pixels); a transposed
 * convolution then says where its pixels go. */
struct table { int32_t *at, *c_at, *res_at; };
static size_t runs(const struct pi_conv *p, const struct pi_conv_shape *s) { return p->how == PI_CONV_STEM ? s->kh : taps(s); }
static struct table table_of(const struct pi_conv *p, const struct pi_conv_shape *s, const void *memory)
{
    struct table t = { 0 };
    if (direct(p, s)) return t;
    t.at = (int32_t *)memory;
    if (!s->transposed) return t;
    t.c_at = t.at + runs(p, s) * pixels(s);
    t.res_at = t.c_at + pixels(s);
    return t;
}

size_t pi_conv_table_bytes(const struct pi_conv *p, const struct pi_conv_shape *s)
{
    if (p->how == PI_CONV_WINO) return pi_wino_table_bytes(s);
    return direct(p, s) ? 0 : (runs(p, s) + (s->transposed ? 2 : 0)) * pixels(s) * sizeof(int32_t);
}

/* Offset of an input pixel, -1 outside of the image. */
static int32_t offset(const struct pi_conv_shape *s, size_t pixel_bytes, int64_t y, int64_t x)
{
    if (y < 0 || x < 0 || y >= (int64_t)s->h || x >= (int64_t)s->w) return -1;
    return (int32_t)(((size_t)y * s->w + (size_t)x) * pixel_bytes);
}

/* One tap of one row of outputs; `step` entries of the table from pixel to pixel. No division: a table is as long as a
 * small image, and dynamic shapes make it anew. */
static void fill_row(const struct pi_conv_shape *s, size_t pixel_bytes, int64_t y, int64_t x, size_t step, int32_t *at)
{
    for (size_t ox = 0; ox < s->ow; ox++, x += (int64_t)s->sw, at += step) *at = offset(s, pixel_bytes, y, x);
}

static void fill_forward(const struct pi_conv *p, const struct pi_conv_shape *s, int32_t *at)
{
    const size_t m = pixels(s), pixel = s->c * p->a_size;
    const size_t tap_step = p->how == PI_CONV_DEPTHWISE ? 1 : m, pixel_step = p->how == PI_CONV_DEPTHWISE ? taps(s) : 1;
    for (size_t t = 0; t < taps(s); t++)
        for (size_t oy = 0; oy < s->oh; oy++) {
            const int64_t y = (int64_t)(oy * s->sh + t / s->kw * s->dh) - (int64_t)s->pt;
            const int64_t x = (int64_t)(t % s->kw * s->dw) - (int64_t)s->pl;
            fill_row(s, pixel, y, x, pixel_step, at + t * tap_step + oy * s->ow * pixel_step);
        }
}

static void fill_stem(const struct pi_conv *p, const struct pi_conv_shape *s, int32_t *at)
{
    const size_t m = pixels(s), pixel = s->c * p->a_size, width = image_width(p, s);
    for (size_t ky = 0; ky < s->kh; ky++)
        for (size_t oy = 0, i = ky * m; oy < s->oh; oy++)
            for (size_t ox = 0; ox < s->ow; ox++, i++)
                at[i] = (int32_t)(((oy * s->sh + ky * s->dh) * width + ox * s->sw) * pixel);
}

/* Input coordinate that a tap brings to an output coordinate; -1: none. */
static int64_t source(size_t out, size_t pad, size_t tap, size_t dilation, size_t stride)
{
    const int64_t far = (int64_t)(out + pad) - (int64_t)(tap * dilation);
    return far < 0 || far % (int64_t)stride ? -1 : far / (int64_t)stride;
}

/* Outputs of one phase (the same remainder by the stride) meet the same taps: they stand together, so that a row tile
 * skips all other taps. */
static void fill_transposed(const struct pi_conv *p, const struct pi_conv_shape *s, const struct table *t)
{
    const size_t m = pixels(s), in_pixel = s->c * p->a_size;
    size_t i = 0;
    for (size_t py = 0; py < s->sh; py++)
        for (size_t px = 0; px < s->sw; px++)
            for (size_t y = py; y < s->oh; y += s->sh)
                for (size_t x = px; x < s->ow; x += s->sw, i++) {
                    t->c_at[i] = (int32_t)((y * s->ow + x) * s->o * p->c_size);
                    t->res_at[i] = (int32_t)((y * s->ow + x) * s->o * p->res_size);
                    for (size_t k = 0; k < taps(s); k++)
                        t->at[k * m + i] = offset(s, in_pixel, source(y, s->pt, k / s->kw, s->dh, s->sh),
                                                  source(x, s->pl, k % s->kw, s->dw, s->sw));
                }
}

void pi_conv_fill(const struct pi_conv *p, const struct pi_conv_shape *s, void *memory)
{
    const struct table t = table_of(p, s, memory);
    if (p->how == PI_CONV_WINO) pi_wino_fill(s, memory);
    if (p->how == PI_CONV_WINO || !t.at) return;
    if (s->transposed) fill_transposed(p, s, &t);
    else if (p->how == PI_CONV_STEM) fill_stem(p, s, t.at);
    else fill_forward(p, s, t.at);
}

/* ---------------------------------------------------------------- depthwise */

enum { DW_PIXELS = 32 };                /* of a kernel call                                                     */
struct dw_pointers { const void **a; void **c; const void **res; };
static struct dw_pointers take_dw(struct pi_carve *w, const struct pi_conv_shape *s)
{
    struct dw_pointers d;
    d.a = pi_take(w, DW_PIXELS * taps(s) * sizeof *d.a);
    d.c = pi_take(w, DW_PIXELS * sizeof *d.c);
    d.res = pi_take(w, DW_PIXELS * sizeof *d.res);
    return d;
}

struct dw_job {
    const struct pi_conv *p; const struct pi_conv_shape *s; const struct pi_conv_io *io;
    size_t blocks, slots, slot_bytes;
};

/* Pixels i .. i+m-1 of an image. */
static void dw_block(const struct dw_job *j, const struct dw_pointers *d, size_t image, size_t i, size_t m)
{
    const struct pi_conv *const p = j->p;
    const struct pi_conv_shape *const s = j->s;
    const size_t t = taps(s), first = image * pixels(s) + i;
    const char *const x = (const char *)j->io->x + image * s->h * s->w * s->c * p->a_size;
    const int32_t *const at = (const int32_t *)j->io->table + i * t;
    for (size_t q = 0; q < m * t; q++) d->a[q] = at[q] < 0 ? p->zero : x + at[q];
    for (size_t r = 0; r < m; r++) d->c[r] = (char *)j->io->y + (first + r) * s->o * p->c_size;
    if (j->io->res)
        for (size_t r = 0; r < m; r++) d->res[r] = (const char *)j->io->res + (first + r) * s->o * p->res_size;
    const struct pi_dw call = { .m = m, .n = s->c, .taps = t, .a = d->a, .b = p->w->b, .c = d->c,
                                .res = j->io->res ? d->res : NULL, .row = first, .epi = j->io->epi };
    p->rows[0]->fn.dw(&call);
}

static void dw_slot(void *arg, size_t slot)
{
    const struct dw_job *const j = arg;
    const size_t per_image = (pixels(j->s) + DW_PIXELS - 1) / DW_PIXELS;
    struct pi_carve w = { (char *)j->io->ws + slot * j->slot_bytes, 0 };
    const struct dw_pointers d = take_dw(&w, j->s);
    for (size_t b = j->blocks * slot / j->slots; b < j->blocks * (slot + 1) / j->slots; b++) {
        const size_t i = b % per_image * DW_PIXELS;
        dw_block(j, &d, b / per_image, i, least(DW_PIXELS, pixels(j->s) - i));
    }
}

static size_t dw_slot_bytes(const struct pi_conv_shape *s)
{
    struct pi_carve w = { 0 };
    take_dw(&w, s);
    return w.at;
}

static void run_depthwise(const precinfer_context *ctx, const struct pi_conv *p, const struct pi_conv_shape *s,
                          const struct pi_conv_io *io)
{
    struct dw_job j = { p, s, io, s->n * ((pixels(s) + DW_PIXELS - 1) / DW_PIXELS), 0, dw_slot_bytes(s) };
    j.slots = least(ctx->threads, j.blocks);
    pi_parallel(ctx, j.slots, dw_slot, &j);
}

/* ---------------------------------------------------------------- through the tile driver */

/* Everything but pointers, for one group (the only one, or a bundle of all). */
static struct pi_gemm gemm_of(const struct pi_conv *p, const struct pi_conv_shape *s, const struct pi_conv_io *io)
{
    const size_t m = pixels(s), in_pixel = s->c * p->a_size, out_pixel = s->o * p->c_size, res_pixel = s->o * p->res_size;
    const struct table t = table_of(p, s, io->table);
    struct pi_gemm g = {
        .m = s->n * m, .n = group_out(s), .k = group_in(s), .segs = runs(p, s), .a = io->x, .asize = p->a_size,
        .lda = (ptrdiff_t)in_pixel, .at = t.at, .image_m = t.at ? m : s->n * m,
        .image_a = (ptrdiff_t)(image_height(p, s) * image_width(p, s) * in_pixel), .image_c = (ptrdiff_t)(m * out_pixel),
        .image_res = (ptrdiff_t)(m * res_pixel), .zero = p->zero, .skip_padding = p->skip_padding, .c = io->y,
        .ldc = (ptrdiff_t)out_pixel, .c_at = t.c_at, .csize = p->c_size, .res = io->res, .ldres = (ptrdiff_t)res_pixel,
        .res_at = t.res_at, .epi = io->epi };
    if (p->how == PI_CONV_STEM) g.k = s->kw * s->c;
    if (p->how == PI_CONV_BUNDLE) {
        g.n = s->o;
        g.k = p->rows[0]->packing->nr;
        g.a_panel = (ptrdiff_t)(g.k * p->a_size);
    }
    return g;
}

/* Columns that epi and the outputs of group g start at. */
static void shift_epi(struct pi_epi *e, size_t by)
{
    e->bias = (const char *)e->bias + by * 4;
    if (e->scale) e->scale += by;
}
static struct pi_packed pack_now(const struct pi_conv *p, const struct pi_conv_shape *s, const void *w, size_t group, void *to)
{
    struct pi_packed d;
    const char *const from = (const char *)w + (ptrdiff_t)group * p->at.group * (ptrdiff_t)p->b_size;
    pi_pack_into(&d, p->rows[0]->packing, from, taps(s), group_in(s), group_out(s), p->at.tap, p->at.in, p->at.out, to);
    return d;
}

/* Groups one after the other on each slot where there are enough of them, else all slots on one group. */
struct group_job {
    const precinfer_context *ctx; const struct pi_conv *p; const struct pi_conv_shape *s; const struct pi_conv_io *io;
    size_t slots, threads, slot_bytes, pack_bytes;
};
static struct group_job group_job(const precinfer_context *ctx, const struct pi_conv *p, const struct pi_conv_shape *s,
                                  const struct pi_conv_io *io)
{
    struct group_job j = { .ctx = ctx, .p = p, .s = s, .io = io, .slots = 1, .threads = ctx->threads };
    if (s->groups >= ctx->threads) { j.slots = ctx->threads; j.threads = 1; }
    const struct pi_packed sizes = pi_packed_sizes(p->rows[0]->packing, taps(s), group_in(s), group_out(s));
    const struct pi_epi none = { .res_type = PI_F32 };
    struct pi_gemm g = gemm_of(p, s, &(struct pi_conv_io){ .epi = &none });
    j.pack_bytes = p->w ? 0 : pi_up(pi_pack_size(p->rows[0]->packing, taps(s), group_in(s), group_out(s)), 64);
    j.slot_bytes = j.pack_bytes + pi_up(pi_gemm_workspace(&g, p->w ? p->w : &sizes, p->rows[0], j.threads), 64);
    return j;
}
static void group_slot(void *arg, size_t slot)
{
    const struct group_job *const j = arg;
    const struct pi_conv *const p = j->p;
    const size_t k = group_in(j->s), n = group_out(j->s);
    char *const ws = (char *)j->io->ws + slot * j->slot_bytes;
    for (size_t g = slot; g < j->s->groups; g += j->slots) {
        struct pi_epi epi = *j->io->epi;
        struct pi_gemm o = gemm_of(p, j->s, j->io);
        o.a += g * k * p->a_size;
        o.c += g * n * p->c_size;
        if (o.res) o.res += g * n * p->res_size;
        shift_epi(&epi, g * n);
        o.epi = &epi;
        const struct pi_packed now = p->w ? p->w[g] : pack_now(p, j->s, j->io->w, g, ws);
        pi_gemm_run(j->ctx, &o, &now, p->rows, p->nrows, j->threads, ws + j->pack_bytes);
    }
}

/* Taps of one group, or a bundle; and the stem without padding. */
static void run_whole(const precinfer_context *ctx, const struct pi_conv *p, const struct pi_conv_shape *s,
                      const struct pi_conv_io *io)
{
    const struct pi_gemm g = gemm_of(p, s, io);
    pi_gemm_run(ctx, &g, p->w, p->rows, p->nrows, ctx->threads, io->ws);
}

/* ---------------------------------------------------------------- stem: an image with its border */

struct border_job { const struct pi_conv *p; const struct pi_conv_shape *s; const char *from; char *to; size_t slots; };

static void border_slot(void *arg, size_t slot)
{
    const struct border_job *const j = arg;
    const struct pi_conv_shape *const s = j->s;
    const size_t pixel = s->c * j->p->a_size, height = s->h + s->pt + s->pb, row = (s->w + s->pl + s->pr) * pixel;
    const int fill = *(const unsigned char *)j->p->zero;    /* a u8 zero point, or the 0 of every float */
    for (size_t y = height * slot / j->slots; y < height * (slot + 1) / j->slots; y++) {
        char *const to = j->to + y * row;
        if (y < s->pt || y >= s->pt + s->h) { memset(to, fill, row); continue; }
        memset(to, fill, s->pl * pixel);
        memcpy(to + s->pl * pixel, j->from + (y - s->pt) * s->w * pixel, s->w * pixel);
        memset(to + (s->pl + s->w) * pixel, fill, s->pr * pixel);
    }
}

static size_t border_bytes(const struct pi_conv *p, const struct pi_conv_shape *s)
{
    return pi_up(image_height(p, s) * image_width(p, s) * s->c * p->a_size, 64);
}

static void run_stem(const precinfer_context *ctx, const struct pi_conv *p, const struct pi_conv_shape *s,
                     const struct pi_conv_io *io)
{
    struct border_job b = { p, s, io->x, io->ws, least(ctx->threads, image_height(p, s)) };
    struct pi_gemm g = gemm_of(p, s, io);
    const size_t row0 = g.row0;
    g.m = g.image_m;
    g.a = b.to;
    for (size_t i = 0; i < s->n; i++) {
        pi_parallel(ctx, b.slots, border_slot, &b);
        g.row0 = row0 + i * g.m;
        pi_gemm_run(ctx, &g, p->w, p->rows, p->nrows, ctx->threads, (char *)io->ws + border_bytes(p, s));
        b.from += s->h * s->w * s->c * p->a_size;
        g.c += g.image_c;
        if (g.res) g.res += g.image_res;
    }
}

/* ---------------------------------------------------------------- the interface */

/* Weights of the run, or one group of them, come as they are: the loop over groups packs them. */
static int by_groups(const struct pi_conv *p) { return p->how == PI_CONV_GROUPS || !p->w; }

size_t pi_conv_workspace(const precinfer_context *ctx, const struct pi_conv *p, const struct pi_conv_shape *s)
{
    if (!s->n) return 0;
    if (p->how == PI_CONV_DEPTHWISE) return dw_slot_bytes(s) * ctx->threads;
    if (p->how == PI_CONV_WINO) return pi_wino_workspace(ctx, s);
    if (by_groups(p)) {
        const struct group_job j = group_job(ctx, p, s, NULL);
        return j.slots * j.slot_bytes;
    }
    const struct pi_epi none = { .res_type = PI_F32 };
    const struct pi_gemm g = gemm_of(p, s, &(struct pi_conv_io){ .epi = &none });
    return (padded_copy(p, s) ? border_bytes(p, s) : 0) + pi_gemm_workspace(&g, p->w, p->rows[0], ctx->threads);
}

void pi_conv_run(const precinfer_context *ctx, const struct pi_conv *p, const struct pi_conv_shape *s,
                 const struct pi_conv_io *io)
{
    if (!s->n) return;
    if (p->how == PI_CONV_DEPTHWISE) run_depthwise(ctx, p, s, io);
    else if (p->how == PI_CONV_WINO) pi_wino_run(ctx, p, s, io);
    else if (by_groups(p)) {
        struct group_job j = group_job(ctx, p, s, io);
        pi_parallel(ctx, j.slots, group_slot, &j);
    } else if (padded_copy(p, s)) run_stem(ctx, p, s, io);
    else run_whole(ctx, p, s, io);
}
