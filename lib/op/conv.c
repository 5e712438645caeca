/* How a convolution will be computed, and its weights laid out for that. */
#include <string.h>
#include "conv.h"
#include "dense.h"

static size_t taps(const struct pi_conv_shape *s) { return s->kh * s->kw; }
static size_t group_in(const struct pi_conv_shape *s) { return s->c / s->groups; }
static size_t group_out(const struct pi_conv_shape *s) { return s->o / s->groups; }

/* ---------------------------------------------------------------- the list of implementations */

static int takes_depthwise(const struct pi_conv_ask *q)
{
    return q->w && !q->s.transposed && q->s.groups == q->s.c && q->s.c == q->s.o && q->s.groups > 1;
}
/* Few channels: the taps of one kernel row lie side by side and are one segment, read from an image with its border. */
static int takes_stem(const struct pi_conv_ask *q)
{
    const struct pi_conv_shape *s = &q->s;
    return q->w && !s->transposed && s->groups == 1 && s->c <= 4 && s->kw > 1 && s->dw == 1;
}
/* Exact in integers alone. Sums come out four times too large: 255 * 127 * 9 * 1024 * 4 is below 2^31. */
static int takes_wino(const struct pi_conv_ask *q)
{
    const struct pi_conv_shape *s = &q->s;
    return q->w && q->a == PI_U8 && q->b == PI_S8 && !s->transposed && s->groups == 1 && s->kh == 3 && s->kw == 3 && s->sh == 1 &&
           s->sw == 1 && s->dh == 1 && s->dw == 1 && s->c <= 1024;
}
static int takes_taps(const struct pi_conv_ask *q) { return q->s.groups == 1; }
/* Block-diagonal panels. Float stays out: zero weights of other groups would spread their NaN and infinities. */
static int takes_bundle(const struct pi_conv_ask *q)
{
    const struct pi_conv_shape *s = &q->s;
    return q->w && q->b == PI_S8 && !s->transposed && s->c == s->o && group_in(s) < 16 && 16 % group_in(s) == 0;
}
static int takes_groups(const struct pi_conv_ask *q) { (void)q; return 1; }

static void ask_depthwise(const struct pi_conv_ask *q, struct pi_problem *p)
{
    p->family = PI_DWCONV;
    p->n = q->s.c; p->k = 1; p->segs = taps(&q->s);
}
static void ask_stem(const struct pi_conv_ask *q, struct pi_problem *p)
{
    p->n = q->s.o; p->k = q->s.kw * q->s.c; p->segs = q->s.kh;
}
static void ask_wino(const struct pi_conv_ask *q, struct pi_problem *p)
{
    const struct pi_conv_shape *s = &q->s;
    p->family = PI_WINO;
    p->m = s->n * ((s->oh + 1) / 2) * ((s->ow + 1) / 2);
    p->n = s->o; p->k = s->c; p->segs = 9;
}
static void ask_taps(const struct pi_conv_ask *q, struct pi_problem *p)
{
    const struct pi_conv_shape *s = &q->s;
    p->n = s->o; p->k = s->c; p->segs = taps(s);
    if (q->b == PI_S8 && q->w)
        p->growth = pi_listed_growth(&pi_pack_s8x16q, q->w, p->segs, p->k, p->n, q->at.tap, q->at.in, q->at.out);
}
static void ask_bundle(const struct pi_conv_ask *q, struct pi_problem *p)
{
    p->n = q->s.o; p->k = 16; p->segs = taps(&q->s); p->a_panel = 1;    /* k: of the narrowest panels; the row decides */
}
static void ask_groups(const struct pi_conv_ask *q, struct pi_problem *p)
{
    p->n = group_out(&q->s); p->k = group_in(&q->s); p->segs = taps(&q->s);
}

static const struct implementation {
    enum pi_conv_how how;
    int (*takes)(const struct pi_conv_ask *q);
    void (*ask)(const struct pi_conv_ask *q, struct pi_problem *p);     /* what its row must compute             */
} implementations[] = {                 /* the first that takes it and finds a row                             */
    { PI_CONV_DEPTHWISE, takes_depthwise, ask_depthwise },
    { PI_CONV_STEM, takes_stem, ask_stem },
    { PI_CONV_WINO, takes_wino, ask_wino },
    { PI_CONV_TAPS, takes_taps, ask_taps },
    { PI_CONV_BUNDLE, takes_bundle, ask_bundle },
    { PI_CONV_GROUPS, takes_groups, ask_groups },
};
enum { IMPLEMENTATIONS = sizeof implementations / sizeof *implementations };

/* A bundle is one panel: whole groups, and no panel that ends past the last channel. */
static int row_suits(const struct pi_conv_ask *q, enum pi_conv_how how, const struct pi_row *row)
{
    if (!q->w && row->packing->listed) return 0;
    return how != PI_CONV_BUNDLE || (row->packing->nr % group_in(&q->s) == 0 && q->s.o % row->packing->nr == 0);
}

/* Beside the best row that takes the taps as they are. A name that the user asked for decides. */
static int wino_pays(const struct pi_conv_ask *q, const struct pi_row *row, const struct pi_problem *p)
{
    struct pi_problem taps_of = *p;
    taps_of.family = PI_GEMM;
    taps_of.m = pi_choice_m(q->b, q->s.n * q->s.oh * q->s.ow);
    ask_taps(q, &taps_of);
    const struct pi_row *const other = pi_choose(q->cpu, q->isas, q->only, &taps_of, NULL, NULL);
    if (!other) return 1;
    if (q->only && pi_glob(q->only, row->name) != pi_glob(q->only, other->name)) return pi_glob(q->only, row->name);
    return pi_cost(q->cpu, row, p) < pi_cost(q->cpu, other, &taps_of);
}

int pi_conv_choose(const struct pi_conv_ask *q, struct pi_conv *p)
{
    *p = (struct pi_conv){ .a_size = pi_type_size(q->a), .b_size = pi_type_size(q->b), .c_size = pi_type_size(q->out),
                           .res_size = q->res ? pi_type_size(q->res) : 0, .at = q->at,
                           .skip_padding = q->a != PI_U8 || q->zp == 0 };
    for (size_t i = 0; i < IMPLEMENTATIONS; i++) {
        const struct implementation *const im = &implementations[i];
        if (!im->takes(q)) continue;
        struct pi_problem problem = { .family = PI_GEMM, .a = q->a, .b = q->b, .out = q->out, .stages = q->stages,
                                      .m = pi_choice_m(q->b, q->s.n * q->s.oh * q->s.ow) };
        im->ask(q, &problem);
        if (!q->w) problem.growth = PI_NOT_LISTED;
        const struct pi_row *const row = pi_choose(q->cpu, q->isas, q->only, &problem, q->why, q->user);
        if (!row || !row_suits(q, im->how, row) || (im->how == PI_CONV_WINO && !wino_pays(q, row, &problem))) continue;
        p->how = im->how;
        p->rows[0] = row;
        p->nrows = im->how == PI_CONV_DEPTHWISE || im->how == PI_CONV_WINO ? 1 : pi_heights(row, p->rows, PI_MAX_HEIGHTS);
        return 0;
    }
    return 1;
}

/* ---------------------------------------------------------------- packing */

static const void *group_weights(const struct pi_conv_ask *q, size_t e, size_t g)
{
    return (const char *)q->w + (ptrdiff_t)g * q->at.group * (ptrdiff_t)e;
}

/* Weights as out, tap, in: what makes the taps of a kernel row one run. */
static void *side_by_side(const precinfer_context *ctx, const struct pi_conv_ask *q, size_t e)
{
    const struct pi_conv_shape *s = &q->s;
    char *const to = pi_malloc(&ctx->alloc, s->o * taps(s) * s->c * e), *d = to;
    if (!to) return NULL;
    for (size_t j = 0; j < s->o; j++)
        for (size_t t = 0; t < taps(s); t++)
            for (size_t c = 0; c < s->c; c++, d += e) {
                const ptrdiff_t at = (ptrdiff_t)j * q->at.out + (ptrdiff_t)t * q->at.tap + (ptrdiff_t)c * q->at.in;
                memcpy(d, (const char *)q->w + at * (ptrdiff_t)e, e);
            }
    return to;
}

static int pack_stem(const precinfer_context *ctx, const struct pi_conv_ask *q, struct pi_conv *p, struct precinfer_error *err)
{
    const struct pi_conv_shape *s = &q->s;
    const size_t run = s->kw * s->c, column = s->kh * run;
    void *const w = side_by_side(ctx, q, p->b_size);
    if (!w) return pi_no_memory(err, s->o * column * p->b_size);
    const int status = pi_pack(&ctx->alloc, p->w, p->rows[0]->packing, w, s->kh, run, s->o, column, (ptrdiff_t)run, 1,
                               (ptrdiff_t)column, 0, err);
    pi_free(&ctx->alloc, w);
    return status;
}

static int pack_one(const precinfer_context *ctx, const struct pi_conv_ask *q, struct pi_conv *p, size_t i,
                    struct precinfer_error *err)
{
    const struct pi_conv_shape *s = &q->s;
    const struct pi_allocator *const a = &ctx->alloc;
    const struct pi_packing *const packing = p->rows[0]->packing;
    const size_t k = group_in(s), n = group_out(s), t = taps(s), nr = packing->nr;
    switch (p->how) {
    case PI_CONV_STEM: return pack_stem(ctx, q, p, err);
    case PI_CONV_DEPTHWISE: return pi_pack_dw(a, p->w, packing, q->w, t, s->c, q->at.tap, q->at.group, err);
    case PI_CONV_WINO: return pi_pack_wino(a, p->w, packing, q->w, k, n, q->at.tap, q->at.in, q->at.out, err);
    case PI_CONV_BUNDLE: return pi_pack(a, p->w, packing, q->w, t, nr, s->o, nr * t, q->at.tap, q->at.in, q->at.out, k, err);
    default: return pi_pack(a, &p->w[i], packing, group_weights(q, p->b_size, i), t, k, n, k * t, q->at.tap, q->at.in, q->at.out,
                            0, err);
    }
}

int pi_conv_pack(const precinfer_context *ctx, const struct pi_conv_ask *q, struct pi_conv *p, struct precinfer_error *err)
{
    const size_t zero = q->s.c * p->a_size, count = p->how == PI_CONV_GROUPS ? q->s.groups : 1;
    int status = 0;
    p->zero = pi_malloc(&ctx->alloc, zero);
    if (!p->zero) return pi_no_memory(err, zero);
    memset(p->zero, q->a == PI_U8 ? q->zp : 0, zero);
    if (!q->w) return 0;
    p->w = pi_calloc(&ctx->alloc, count, sizeof *p->w);
    if (!p->w) status = pi_no_memory(err, count * sizeof *p->w);
    for (size_t i = 0; !status && i < count; i++) {
        status = pack_one(ctx, q, p, i, err);
        if (status) break;
        p->nw = i + 1;
        p->packed_bytes += p->w[i].bytes + p->w[i].nsub * sizeof *p->w->sub + p->w[i].nlist * sizeof *p->w->list;
    }
    if (status) pi_conv_drop(ctx, p);
    return status;
}

void pi_conv_drop(const precinfer_context *ctx, struct pi_conv *p)
{
    for (size_t i = 0; i < p->nw; i++) pi_packed_free(&ctx->alloc, &p->w[i]);
    if (p->w) pi_free(&ctx->alloc, p->w);
    if (p->zero) pi_free(&ctx->alloc, p->zero);
    p->w = NULL; p->nw = 0; p->zero = NULL;
}
