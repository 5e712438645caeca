/* precinfer_gemm, precinfer_conv2d, precinfer_quantize and what belongs to them: the kernels on plain tensors. */
#include <math.h>
#include <string.h>
#include "base/context.h"
#include "op/conv.h"
#include "op/dense.h"

struct precinfer_weights {
    precinfer_context *ctx;
    uint8_t a, b, c;                    /* types that the kernel was chosen for                                 */
    int is_conv;
    struct pi_dense dense;
    struct pi_conv conv; struct pi_conv_shape shape;
    int32_t zp;
};

/* ---------------------------------------------------------------- checks that gemm and conv2d share */

struct tail { const char *name; uint8_t a, b, c; const void *bias; const float *scale; size_t n, k; float lo, hi; int32_t zp; };

static int types_known(const struct tail *t)
{
    if (t->a == PI_F32) return t->b == PI_F32 && t->c == PI_F32;
    if (t->a == PI_BF16) return t->b == PI_BF16 && (t->c == PI_F32 || t->c == PI_BF16);
    return t->a == PI_U8 && t->b == PI_S8 && (t->c == PI_S32 || t->c == PI_F32 || t->c == PI_U8);
}

enum { SAFE_K = INT32_MAX / (255 * 127) };  /* products that no s32 sum can overflow with                       */

static int check_tail(const struct tail *t, struct precinfer_error *err)
{
    if (!types_known(t))
        return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: types %s x %s to %s", t->name,
                       precinfer_dtype_string((enum precinfer_dtype)t->a),
                       precinfer_dtype_string((enum precinfer_dtype)t->b), precinfer_dtype_string((enum precinfer_dtype)t->c));
    if (t->a == PI_U8 && t->k > SAFE_K)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: sums of %zu products could overflow 32 bits, at most %d", t->name, t->k,
                       SAFE_K);
    if (t->scale && t->a != PI_U8) return pi_fail(err, PRECINFER_INVALID, "%s: scale is for integer sums only", t->name);
    size_t at = t->scale ? pi_first_nonfinite(PI_F32, t->scale, t->n) : t->n;
    if (at < t->n) return pi_fail(err, PRECINFER_INVALID, "%s: scale[%zu] is not finite", t->name, at);
    at = t->bias && t->a != PI_U8 ? pi_first_nonfinite(PI_F32, t->bias, t->n) : t->n;
    if (at < t->n) return pi_fail(err, PRECINFER_INVALID, "%s: bias[%zu] is not finite", t->name, at);
    if (!(t->lo < t->hi) && !(t->lo == 0 && t->hi == 0))
        return pi_fail(err, PRECINFER_INVALID, "%s: lo is not below hi", t->name);
    if (t->c == PI_U8 && (t->zp < 0 || t->zp > 255))
        return pi_fail(err, PRECINFER_INVALID, "%s: zero point %d is not in [0, 255]", t->name, (int)t->zp);
    return 0;
}

/* bias_memory: n elements. */
static struct pi_epi epi_of(const struct tail *t, void *bias_memory)
{
    struct pi_epi e = { .stages = t->scale ? PI_SCALE : 0u, .out = t->c, .bias = bias_memory, .scale = t->scale,
                        .zp = t->c == PI_U8 ? t->zp : 0, .lo = -INFINITY, .hi = INFINITY, .res_type = PI_F32 };
    if (t->a != PI_U8) pi_epi_bias(bias_memory, t->n, t->bias, t->n, 1.0f);
    else if (t->bias) memcpy(bias_memory, t->bias, t->n * 4);
    else memset(bias_memory, 0, t->n * 4);
    if (t->lo < t->hi) { e.lo = t->lo; e.hi = t->hi; }
    if (t->c != PI_U8) return e;
    const float least = (float)(0 - t->zp), most = (float)(255 - t->zp);
    e.lo = e.lo < least ? least : e.lo > most ? most : e.lo;
    e.hi = e.hi > most ? most : e.hi < least ? least : e.hi;
    return e;
}

static int copy_options(const char *name, const void *from, size_t size, void *to, size_t full, struct precinfer_error *err)
{
    if (size < sizeof(size_t) || size > full)
        return pi_fail(err, PRECINFER_INVALID, "%s: size is %zu; set it to sizeof the struct (%zu)", name, size, full);
    memset(to, 0, full);
    memcpy(to, from, size);
    return 0;
}

void precinfer_weights_free(precinfer_weights *w)
{
    if (!w) return;
    precinfer_context *const ctx = w->ctx;
    pi_dense_drop(ctx, &w->dense);
    pi_conv_drop(ctx, &w->conv);
    pi_free(&ctx->alloc, w);
    pi_context_release(ctx);
}

static int new_weights(precinfer_context *ctx, const struct tail *t, precinfer_weights **w, struct precinfer_error *err)
{
    *w = pi_calloc(&ctx->alloc, 1, sizeof **w);
    if (!*w) return pi_no_memory(err, sizeof **w);
    (*w)->ctx = ctx;
    (*w)->a = t->a; (*w)->b = t->b; (*w)->c = t->c;
    pi_context_retain(ctx);
    return 0;
}

/* ---------------------------------------------------------------- gemm */

enum gemm_use { GEMM_RUN, GEMM_SCRATCH, GEMM_PACK };

static struct tail gemm_tail(const struct precinfer_gemm *g)
{
    return (struct tail){ "gemm", (uint8_t)g->a_type, (uint8_t)g->b_type, (uint8_t)g->c_type, g->bias, g->scale, g->n, g->k,
                          g->lo, g->hi,
                          g->zero_point };
}

static int check_packed(const struct precinfer_gemm *g, struct precinfer_error *err)
{
    const precinfer_weights *const w = g->packed;
    if (w->is_conv) return pi_fail(err, PRECINFER_INVALID, "gemm: the packed weights are a convolution's");
    if (w->dense.w.n != g->n || w->dense.w.k != g->k)
        return pi_fail(err, PRECINFER_INVALID, "gemm: weights packed for k = %zu, n = %zu; called with k = %zu, n = %zu",
                       w->dense.w.k,
                       w->dense.w.n, g->k, g->n);
    if (w->a != g->a_type || w->b != g->b_type || w->c != g->c_type)
        return pi_fail(err, PRECINFER_INVALID, "gemm: weights packed for other types");
    return 0;
}

static int check_gemm(const struct precinfer_gemm *g, enum gemm_use use, struct precinfer_error *err)
{
    const struct tail t = gemm_tail(g);
    size_t all;
    if (!g->n || !g->k) return pi_fail(err, PRECINFER_INVALID, "gemm: m = %zu, n = %zu, k = %zu", g->m, g->n, g->k);
    if (pi_mul_size(g->n, g->k, &all) || pi_mul_size(all, 16, &all) || pi_mul_size(g->m, g->n, &all) ||
        pi_mul_size(all, 16, &all) ||
        pi_mul_size(g->m, g->k, &all) || pi_mul_size(all, 16, &all))
        return pi_fail(err, PRECINFER_INVALID, "gemm: m = %zu, n = %zu, k = %zu exceed the address space", g->m, g->n, g->k);
    PI_TRY(check_tail(&t, err));
    if (use == GEMM_PACK ? !!g->packed : g->packed && g->b)
        return pi_fail(err, PRECINFER_INVALID, "gemm: b and packed are both given");
    if (g->packed) PI_TRY(check_packed(g, err));
    else {
        if (!g->b && use != GEMM_SCRATCH) return pi_fail(err, PRECINFER_INVALID, "gemm: b is NULL");
        if (g->ldb < (g->b_transposed ? g->k : g->n))
            return pi_fail(err, PRECINFER_INVALID, "gemm: ldb %zu is less than %zu", g->ldb, g->b_transposed ? g->k : g->n);
    }
    if (use != GEMM_RUN) return 0;
    if (!g->m) return 0;
    if (!g->a || !g->c) return pi_fail(err, PRECINFER_INVALID, "gemm: %s is NULL", g->a ? "c" : "a");
    if (g->lda < g->k) return pi_fail(err, PRECINFER_INVALID, "gemm: lda %zu is less than k = %zu", g->lda, g->k);
    if (g->ldc < g->n) return pi_fail(err, PRECINFER_INVALID, "gemm: ldc %zu is less than n = %zu", g->ldc, g->n);
    return 0;
}

static int choose_gemm(const precinfer_context *ctx, const struct precinfer_gemm *g, int pack, struct pi_dense_ask *q,
                       struct pi_dense *d,
                       struct precinfer_error *err)
{
    *q = (struct pi_dense_ask){ .cpu = &ctx->cpu, .isas = ctx->isas, .only = ctx->kernel, .a = (uint8_t)g->a_type,
                                .b = (uint8_t)g->b_type, .out = (uint8_t)g->c_type,
                                .stages = g->a_type == PRECINFER_U8 ? PI_SCALE : 0u,
                                .m = g->m ? g->m : 1, .n = g->n, .k = g->k, .w = pack ? g->b : NULL,
                                .sk = g->b_transposed ? 1 : (ptrdiff_t)g->ldb, .sn = g->b_transposed ? (ptrdiff_t)g->ldb : 1 };
    if (!pi_dense_choose(q, d)) return 0;
    return pi_fail(err, PRECINFER_UNSUPPORTED, "gemm: no kernel of this context computes these types");
}

/* What a call takes from its scratch. */
struct gemm_pieces { void *bias, *packed, *gemm; };
struct gemm_call {
    struct pi_dense_ask q; struct pi_dense chosen; const struct pi_dense *d;
    struct pi_packed w; struct pi_gemm g;
};

static int prepare(const precinfer_context *ctx, const struct precinfer_gemm *g, struct gemm_call *c, struct precinfer_error *err)
{
    const size_t ae = precinfer_dtype_size(g->a_type), ce = precinfer_dtype_size(g->c_type);
    c->d = &c->chosen;
    if (g->packed) c->d = &g->packed->dense;
    else PI_TRY(choose_gemm(ctx, g, 0, &c->q, &c->chosen, err));
    c->w = g->packed ? c->d->w : pi_packed_sizes(c->d->rows[0]->packing, 1, g->k, g->n);
    c->g = (struct pi_gemm){ .m = g->m, .n = g->n, .k = g->k, .segs = 1, .a = g->a, .asize = ae, .lda = (ptrdiff_t)(g->lda * ae),
                             .image_m = g->m,
                             .c = g->c, .ldc = (ptrdiff_t)(g->ldc * ce), .csize = ce };
    return 0;
}
static struct gemm_pieces gemm_pieces(const precinfer_context *ctx, const struct gemm_call *c, int packed, struct pi_carve *s)
{
    struct gemm_pieces p = { 0 };
    p.bias = pi_take(s, c->g.n * 4);
    if (!packed) p.packed = pi_take(s, pi_pack_size(c->w.p, 1, c->g.k, c->g.n));
    p.gemm = pi_take(s, pi_gemm_workspace(&c->g, &c->w, c->d->rows[0], ctx->threads));
    return p;
}
static size_t gemm_bytes(const precinfer_context *ctx, const struct gemm_call *c, int packed)
{
    struct pi_carve s = { 0 };
    gemm_pieces(ctx, c, packed, &s);
    return s.at + 63;                   /* the caller's scratch may start anywhere */
}

static void run_gemm(const precinfer_context *ctx, const struct precinfer_gemm *g, struct gemm_call *c, void *scratch)
{
    const struct tail t = gemm_tail(g);
    struct pi_carve s = { (char *)pi_up((size_t)scratch, 64), 0 };
    const struct gemm_pieces p = gemm_pieces(ctx, c, g->packed != NULL, &s);
    const struct pi_epi epi = epi_of(&t, p.bias);
    if (!g->packed) pi_pack_into(&c->w, c->w.p, g->b, 1, g->k, g->n, 0, c->q.sk, c->q.sn, p.packed);
    c->g.epi = &epi;
    pi_gemm_run(ctx, &c->g, &c->w, c->d->rows, c->d->nrows, ctx->threads, p.gemm);
}

static int gemm_options(precinfer_context *ctx, const struct precinfer_gemm *from, struct precinfer_gemm *g,
                        struct precinfer_error *err)
{
    if (!ctx || !from) return pi_fail(err, PRECINFER_INVALID, "gemm: %s is NULL", ctx ? "gemm" : "context");
    return copy_options("gemm", from, from->size, g, sizeof *g, err);
}

enum precinfer_status precinfer_gemm(precinfer_context *ctx, const struct precinfer_gemm *gemm, struct precinfer_error *err)
{
    struct precinfer_gemm g;
    struct gemm_call c;
    PI_TRY(gemm_options(ctx, gemm, &g, err));
    PI_TRY(check_gemm(&g, GEMM_RUN, err));
    if (!g.m) return PRECINFER_OK;
    PI_TRY(prepare(ctx, &g, &c, err));
    const size_t bytes = gemm_bytes(ctx, &c, g.packed != NULL);
    if (g.scratch && g.scratch_bytes < bytes)
        return pi_fail(err, PRECINFER_INVALID, "gemm: scratch has %zu bytes, %zu are needed", g.scratch_bytes, bytes);
    void *const own = g.scratch ? NULL : pi_malloc(&ctx->alloc, bytes);
    if (!g.scratch && !own) return pi_no_memory(err, bytes);
    run_gemm(ctx, &g, &c, own ? own : g.scratch);
    if (own) pi_free(&ctx->alloc, own);
    return PRECINFER_OK;
}

enum precinfer_status precinfer_gemm_scratch(precinfer_context *ctx, const struct precinfer_gemm *gemm, size_t *bytes,
                                             struct precinfer_error *err)
{
    struct precinfer_gemm g;
    struct gemm_call c;
    PI_TRY(gemm_options(ctx, gemm, &g, err));
    if (!bytes) return pi_fail(err, PRECINFER_INVALID, "gemm: bytes is NULL");
    PI_TRY(check_gemm(&g, GEMM_SCRATCH, err));
    PI_TRY(prepare(ctx, &g, &c, err));
    *bytes = gemm_bytes(ctx, &c, g.packed != NULL);
    return PRECINFER_OK;
}

enum precinfer_status precinfer_gemm_pack(precinfer_context *ctx, const struct precinfer_gemm *gemm, precinfer_weights **weights,
                                          struct precinfer_error *err)
{
    struct precinfer_gemm g;
    struct pi_dense_ask q;
    precinfer_weights *w;
    PI_TRY(gemm_options(ctx, gemm, &g, err));
    if (!weights) return pi_fail(err, PRECINFER_INVALID, "gemm: weights is NULL");
    PI_TRY(check_gemm(&g, GEMM_PACK, err));
    const struct tail t = gemm_tail(&g);
    PI_TRY(new_weights(ctx, &t, &w, err));
    int status = choose_gemm(ctx, &g, 1, &q, &w->dense, err);
    if (!status) status = pi_dense_pack(ctx, &q, &w->dense, err);
    if (status) precinfer_weights_free(w);
    else *weights = w;
    return (enum precinfer_status)status;
}

/* ---------------------------------------------------------------- conv2d */

static struct tail conv_tail(const struct precinfer_conv2d *v)
{
    return (struct tail){ "conv2d", (uint8_t)v->a_type, (uint8_t)v->b_type, (uint8_t)v->c_type, v->bias, v->scale, v->o,
                          v->kh * v->kw * (v->c / v->groups), v->lo, v->hi, v->zero_point };
}

static size_t out_size(size_t in, size_t pads, size_t k, size_t dilation, size_t stride)
{
    const size_t reach = dilation * (k - 1) + 1;
    return in + pads < reach ? 0 : (in + pads - reach) / stride + 1;
}

/* Left out (0): stride, dilation and groups of 1. */
static int conv_options(precinfer_context *ctx, const struct precinfer_conv2d *from, struct precinfer_conv2d *v,
                        struct precinfer_error *err)
{
    if (!ctx || !from) return pi_fail(err, PRECINFER_INVALID, "conv2d: %s is NULL", ctx ? "conv" : "context");
    PI_TRY(copy_options("conv2d", from, from->size, v, sizeof *v, err));
    size_t *const ones[] = { &v->groups, &v->stride_h, &v->stride_w, &v->dilation_h, &v->dilation_w };
    for (size_t i = 0; i < 5; i++) if (!*ones[i]) *ones[i] = 1;
    const size_t all[] = { v->n, v->h, v->w, v->c, v->o, v->kh, v->kw, v->groups, v->stride_h, v->stride_w, v->dilation_h,
                           v->dilation_w,
                           v->pad_top, v->pad_left, v->pad_bottom, v->pad_right };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] > INT32_MAX || (i < 7 && !all[i])) return pi_fail(err, PRECINFER_INVALID, "conv2d: a size is %zu", all[i]);
    return 0;
}

static int conv_shape(const struct precinfer_conv2d *v, struct pi_conv_shape *s, struct precinfer_error *err)
{
    if (v->c % v->groups || v->o % v->groups)
        return pi_fail(err, PRECINFER_INVALID, "conv2d: groups = %zu does not divide c = %zu and o = %zu", v->groups, v->c, v->o);
    *s = (struct pi_conv_shape){ .n = v->n, .h = v->h, .w = v->w, .c = v->c, .o = v->o, .kh = v->kh, .kw = v->kw,
                                 .groups = v->groups,
                                 .sh = v->stride_h, .sw = v->stride_w, .dh = v->dilation_h, .dw = v->dilation_w, .pt = v->pad_top,
                                 .pl = v->pad_left, .pb = v->pad_bottom, .pr = v->pad_right,
                                 .oh = out_size(v->h, v->pad_top + v->pad_bottom, v->kh, v->dilation_h, v->stride_h),
                                 .ow = out_size(v->w, v->pad_left + v->pad_right, v->kw, v->dilation_w, v->stride_w) };
    if (!s->oh || !s->ow)
        return pi_fail(err, PRECINFER_INVALID, "conv2d: a kernel of %zu x %zu does not fit %zu x %zu", v->kh, v->kw, v->h, v->w);
    const char *const what = pi_conv_too_big(s);
    return what ? pi_fail(err, PRECINFER_UNSUPPORTED, "conv2d: %s", what) : 0;
}

static int same_weights(const struct pi_conv_shape *a, const struct pi_conv_shape *b)
{
    return a->c == b->c && a->o == b->o && a->kh == b->kh && a->kw == b->kw && a->groups == b->groups && a->dh == b->dh &&
        a->dw == b->dw;
}

static int check_conv(const struct precinfer_conv2d *v, const struct pi_conv_shape *s, int run, struct precinfer_error *err)
{
    const struct tail t = conv_tail(v);
    PI_TRY(check_tail(&t, err));
    if (v->a_type == PRECINFER_U8 ? v->input_zero_point < 0 || v->input_zero_point > 255 : v->input_zero_point != 0)
        return pi_fail(err, PRECINFER_INVALID, "conv2d: input_zero_point is %d", (int)v->input_zero_point);
    if (!v->packed ? !v->weights : run && v->weights)
        return pi_fail(err, PRECINFER_INVALID, "conv2d: weights %s", v->weights ? "and packed are both given" : "is NULL");
    if (!run) return v->packed ? pi_fail(err, PRECINFER_INVALID, "conv2d: weights and packed are both given") : 0;
    if (!v->input || !v->output) return pi_fail(err, PRECINFER_INVALID, "conv2d: %s is NULL", v->input ? "output" : "input");
    const precinfer_weights *const w = v->packed;
    if (!w) return 0;
    if (!w->is_conv || !same_weights(&w->shape, s))
        return pi_fail(err, PRECINFER_INVALID, "conv2d: the weights were packed for another shape");
    if (w->a != v->a_type || w->b != v->b_type || w->c != v->c_type || w->zp != v->input_zero_point)
        return pi_fail(err, PRECINFER_INVALID, "conv2d: the weights were packed for other types or another input_zero_point");
    return 0;
}

static int pack_conv(precinfer_context *ctx, const struct precinfer_conv2d *v, const struct pi_conv_shape *s, struct pi_conv *p,
                     struct precinfer_error *err)
{
    const ptrdiff_t taps = (ptrdiff_t)(s->kh * s->kw), in = (ptrdiff_t)(s->c / s->groups), out = (ptrdiff_t)(s->o / s->groups);
    const struct pi_conv_ask q = { .cpu = &ctx->cpu, .isas = ctx->isas, .only = ctx->kernel, .s = *s, .a = (uint8_t)v->a_type,
                                   .b = (uint8_t)v->b_type, .out = (uint8_t)v->c_type,
                                   .stages = v->a_type == PRECINFER_U8 ? PI_SCALE : 0u,
                                   .zp = v->input_zero_point, .w = v->weights, .at = { out * taps * in, taps * in, in, 1 } };
    if (pi_conv_choose(&q, p))
        return pi_fail(err, PRECINFER_UNSUPPORTED, "conv2d: no kernel of this context computes these types");
    return pi_conv_pack(ctx, &q, p, err);
}

static int run_conv(precinfer_context *ctx, const struct precinfer_conv2d *v, const struct pi_conv *p,
                    const struct pi_conv_shape *s,
                    struct precinfer_error *err)
{
    const struct tail t = conv_tail(v);
    struct pi_carve c = { 0 };
    for (int pass = 0; ; pass++) {      /* first to measure, then to lay out */
        void *const bias = pi_take(&c, t.n * 4), *const table = pi_take(&c, pi_conv_table_bytes(p, s)),
             *const ws = pi_take(&c, pi_conv_workspace(ctx, p, s));
        if (!pass) {
            const size_t bytes = c.at;
            c = (struct pi_carve){ pi_malloc(&ctx->alloc, bytes), 0 };
            if (!c.base) return pi_no_memory(err, bytes);
            continue;
        }
        const struct pi_epi epi = epi_of(&t, bias);
        pi_conv_fill(p, s, table);
        pi_conv_run(ctx, p, s, &(struct pi_conv_io){ .x = v->input, .y = v->output, .epi = &epi, .table = table, .ws = ws });
        break;
    }
    pi_free(&ctx->alloc, c.base);
    return 0;
}

enum precinfer_status precinfer_conv2d(precinfer_context *ctx, const struct precinfer_conv2d *conv, struct precinfer_error *err)
{
    struct precinfer_conv2d v;
    struct pi_conv_shape s;
    struct pi_conv own = { 0 };
    PI_TRY(conv_options(ctx, conv, &v, err));
    PI_TRY(conv_shape(&v, &s, err));
    PI_TRY(check_conv(&v, &s, 1, err));
    if (!v.packed) PI_TRY(pack_conv(ctx, &v, &s, &own, err));
    const int status = run_conv(ctx, &v, v.packed ? &v.packed->conv : &own, &s, err);
    pi_conv_drop(ctx, &own);
    return (enum precinfer_status)status;
}

enum precinfer_status precinfer_conv2d_pack(precinfer_context *ctx, const struct precinfer_conv2d *conv,
                                            precinfer_weights **weights,
                                            struct precinfer_error *err)
{
    struct precinfer_conv2d v;
    struct pi_conv_shape s;
    precinfer_weights *w;
    PI_TRY(conv_options(ctx, conv, &v, err));
    if (!weights) return pi_fail(err, PRECINFER_INVALID, "conv2d: weights is NULL");
    PI_TRY(conv_shape(&v, &s, err));
    PI_TRY(check_conv(&v, &s, 0, err));
    const struct tail t = conv_tail(&v);
    PI_TRY(new_weights(ctx, &t, &w, err));
    w->is_conv = 1;
    w->shape = s;
    w->zp = v.input_zero_point;
    const int status = pack_conv(ctx, &v, &s, &w->conv, err);
    if (status) precinfer_weights_free(w);
    else *weights = w;
    return (enum precinfer_status)status;
}

/* ---------------------------------------------------------------- quantize and dequantize */

enum { CHUNK = 16384 };                 /* elements that a slot takes at a time: both sides fit in L2          */
struct convert { const struct pi_row *row; struct pi_elt call; size_t from, to, n, slots; };

static void convert_slot(void *arg, size_t slot)
{
    const struct convert *const c = arg;
    for (size_t i = slot * CHUNK; i < c->n; i += c->slots * CHUNK) {
        struct pi_elt e = c->call;
        e.a = (const char *)e.a + i * c->from;
        e.c = (char *)e.c + i * c->to;
        e.n = c->n - i < CHUNK ? c->n - i : CHUNK;
        c->row->fn.elt(&e);
    }
}

static int convert(precinfer_context *ctx, const char *name, uint8_t op, const void *from, enum precinfer_dtype from_type,
                   void *to,
                   enum precinfer_dtype to_type, size_t n, struct precinfer_qparams q, struct precinfer_error *err)
{
    const enum precinfer_dtype integer = op == PI_QUANTIZE ? to_type : from_type;
    if (!ctx || (n && (!from || !to)))
        return pi_fail(err, PRECINFER_INVALID, "%s: %s is NULL", name, !ctx ? "context" : "a tensor");
    if (integer != PRECINFER_U8 && integer != PRECINFER_S8)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: type %s is not uint8 or int8", name, precinfer_dtype_string(integer));
    if (!(q.scale > 0) || pi_first_nonfinite(PI_F32, &q.scale, 1) == 0)
        return pi_fail(err, PRECINFER_INVALID, "%s: the scale is not a positive number", name);
    const int32_t least = integer == PRECINFER_U8 ? 0 : -128;
    if (q.zero_point < least || q.zero_point > least + 255)
        return pi_fail(err, PRECINFER_INVALID, "%s: zero point %d is not a value of %s", name, (int)q.zero_point,
                       precinfer_dtype_string(integer));
    const struct pi_problem p = { .family = PI_ELTWISE, .op = op, .a = (uint8_t)from_type, .out = (uint8_t)to_type, .n = n };
    struct convert c = { .row = pi_choose(&ctx->cpu, ctx->isas, NULL, &p, NULL, NULL), .from = precinfer_dtype_size(from_type),
                         .to = precinfer_dtype_size(to_type), .n = n, .slots = (n + CHUNK - 1) / CHUNK };
    if (!c.row) return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: no kernel of this context converts %s to %s", name,
                               precinfer_dtype_string(from_type), precinfer_dtype_string(to_type));
    c.call = (struct pi_elt){ .a = from, .c = to, .p = { q.scale } };
    c.call.z[op == PI_QUANTIZE ? 2 : 0] = q.zero_point;
    if (c.slots > ctx->threads) c.slots = ctx->threads;
    if (c.slots) pi_parallel(ctx, c.slots, convert_slot, &c);
    return 0;
}

enum precinfer_status precinfer_quantize(precinfer_context *ctx, const float *x, size_t n, struct precinfer_qparams params,
                                         enum precinfer_dtype dtype, void *q, struct precinfer_error *err)
{
    return (enum precinfer_status)convert(ctx, "quantize", PI_QUANTIZE, x, PRECINFER_F32, q, dtype, n, params, err);
}

enum precinfer_status precinfer_dequantize(precinfer_context *ctx, const void *q, enum precinfer_dtype dtype, size_t n,
                                           struct precinfer_qparams params, float *x, struct precinfer_error *err)
{
    return (enum precinfer_status)convert(ctx, "dequantize", PI_DEQUANTIZE, q, dtype, x, PRECINFER_F32, n, params, err);
}
