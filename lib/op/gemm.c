/* The operator Gemm: Y = alpha * A' * B' + beta * C.
 *
 * Law: alpha goes into B and beta into C, in double and rounded once, whether they are constants or come at run time; an
 * int8 layer has alpha in the weights' scales. A C that is one row (or one value) is the epilogue's bias; any other is added
 * after the sum, before clip and residual: the same bits, so that nothing hangs on M being 1. */
#include <math.h>
#include <string.h>
#include "../graph/graph.h"
#include "dense.h"
#include "../quant/weights.h"

struct params { float alpha, beta; int64_t trans_a, trans_b; };
struct state { struct pi_dense d; struct pi_epi_arrays e; int late_c; };       /* late: C is not in e's bias        */

static const struct params *params(const struct pi_node *n) { return n->params; }
static const struct pi_tensor *addend(const struct pi_node *n, const struct pi_tensor *const *in)
{
    return n->nin > 2 ? in[2] : NULL;
}

static int check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    struct params *const p = n->params;
    PI_TRY(pi_attr_float(n, "alpha", 1.0f, &p->alpha, err));
    PI_TRY(pi_attr_float(n, "beta", 1.0f, &p->beta, err));
    PI_TRY(pi_attr_int(n, "transA", 0, &p->trans_a, err));
    PI_TRY(pi_attr_int(n, "transB", 0, &p->trans_b, err));
    if (pi_first_nonfinite(PI_F32, &p->alpha, 1) == 0 || pi_first_nonfinite(PI_F32, &p->beta, 1) == 0)
        return pi_node_fail(n, err, PRECINFER_INVALID, "alpha or beta is not finite");
    return 0;
}

/* ---------------------------------------------------------------- shapes */

struct sizes { int64_t m, n, k; };
static struct sizes sizes_of(const struct pi_node *n, const struct pi_tensor *a, const struct pi_tensor *b)
{
    const struct params *const p = params(n);
    return (struct sizes){ a->dims[p->trans_a ? 1 : 0], b->dims[p->trans_b ? 0 : 1], b->dims[p->trans_b ? 1 : 0] };
}

/* C's dimension d counted from the last must be 1 or `size`. */
static int broadcasts(const struct pi_tensor *c, int last, int64_t size)
{
    if (c->rank <= last) return 1;
    const int64_t d = c->dims[c->rank - 1 - last];
    return d < 0 || size < 0 || d == 1 || d == size;
}

static int infer(const struct pi_infer *i)
{
    const struct pi_node *const n = i->node;
    const struct pi_tensor *const a = i->in[0], *const b = i->in[1], *const c = addend(n, i->in);
    if (a->rank != 2 || b->rank != 2)
        return pi_node_fail(n, i->err, PRECINFER_INVALID, "A has %d dimensions and B %d, both must have 2", a->rank, b->rank);
    const struct sizes s = sizes_of(n, a, b);
    const int64_t k = a->dims[params(n)->trans_a ? 0 : 1];
    if (k >= 0 && s.k >= 0 && k != s.k)
        return pi_node_fail(n, i->err, PRECINFER_INVALID, "A has %lld columns, B %lld rows", (long long)k, (long long)s.k);
    if (k == 0 || s.k == 0 || s.n == 0)
        return pi_node_fail(n, i->err, PRECINFER_UNSUPPORTED, "an empty dimension: K %lld, N %lld", (long long)k, (long long)s.n);
    if (c && (c->type != PI_F32 || c->rank > 2 || !broadcasts(c, 0, s.n) || !broadcasts(c, 1, s.m)))
        return pi_node_fail(n, i->err, PRECINFER_INVALID, "C does not broadcast to %lld x %lld", (long long)s.m, (long long)s.n);
    i->out[0].type = a->type;
    i->out[0].rank = 2;
    i->out[0].dims[0] = s.m;
    i->out[0].dims[1] = s.n;
    return 0;
}

/* One row for all of Y. Its dims are known. */
static int is_row(const struct pi_tensor *c, int64_t n)
{
    const int64_t all = pi_elements(c);
    return all == 1 || (all == n && c->dims[c->rank - 1] == n);
}

/* ---------------------------------------------------------------- compile */

/* alpha * w, rounded once to the type. */
static void scale_weights(uint8_t type, const void *w, size_t n, float alpha, void *to)
{
    for (size_t i = 0; i < n; i++)
        if (type == PI_F32) ((float *)to)[i] = (float)((double)alpha * (double)((const float *)w)[i]);
        else ((uint16_t *)to)[i] = pi_f32_to_bf16((float)((double)alpha * (double)pi_bf16_to_f32(((const uint16_t *)w)[i])));
}

/* The arrays that stand in for the node's while it is folded. */
struct folded { float *bias, *scale; int64_t *sums; void *weights; };
static void folded_free(const precinfer_context *ctx, struct folded *f)
{
    pi_free(&ctx->alloc, f->bias);
    pi_free(&ctx->alloc, f->scale);
    pi_free(&ctx->alloc, f->sums);
    pi_free(&ctx->alloc, f->weights);
}

static int fold_int8(const struct pi_compile *c, size_t n, struct folded *f, struct precinfer_error *err)
{
    const struct pi_weight_layout l = pi_weight_layout(c->node, c->in[1]);
    f->sums = pi_calloc(&c->ctx->alloc, n, sizeof *f->sums);
    f->scale = pi_calloc(&c->ctx->alloc, n, sizeof *f->scale);
    if (!f->sums || !f->scale || !c->weight_scale) return pi_no_memory(err, n * 12);
    pi_weight_sums(c->in[1]->data, &l, f->sums);
    for (size_t j = 0; j < n; j++) f->scale[j] = (float)((double)params(c->node)->alpha * (double)c->weight_scale[j]);
    return 0;
}

static int fold(const struct pi_compile *c, size_t n, int with_c, struct folded *f, struct precinfer_error *err)
{
    const struct params *const p = params(c->node);
    const struct pi_tensor *const b = c->in[1], *const add = addend(c->node, c->in);
    if (with_c) {
        f->bias = pi_calloc(&c->ctx->alloc, n, sizeof *f->bias);
        if (!f->bias) return pi_no_memory(err, n * sizeof *f->bias);
        pi_epi_bias(f->bias, n, add->data, (size_t)pi_elements(add), p->beta);
    }
    if (b->type == PI_S8) return fold_int8(c, n, f, err);
    if (p->alpha == 1.0f || !b->data) return 0;
    const size_t all = (size_t)pi_elements(b), bytes = all * pi_type_size(b->type);
    f->weights = pi_malloc(&c->ctx->alloc, bytes);
    if (!f->weights) return pi_no_memory(err, bytes);
    scale_weights(b->type, b->data, all, p->alpha, f->weights);
    return 0;
}

enum { GUESS = 64 };                    /* for an open size: it chooses kernels, never bits */
static size_t known(int64_t d) { return d < 0 ? GUESS : (size_t)d; }

static struct pi_dense_ask ask_of(const struct pi_compile *c, struct sizes s)
{
    const int t = params(c->node)->trans_b != 0;
    return (struct pi_dense_ask){ .cpu = c->cpu, .isas = c->isas, .only = c->ctx->kernel, .why = c->why, .user = c->user,
                                  .a = c->in[0]->type, .b = c->in[1]->type, .out = c->out->type, .stages = pi_epi_stages(c),
                                  .m = known(s.m), .n = known(s.n), .k = known(s.k), .w = c->in[1]->data,
                                  .sk = t ? 1 : (ptrdiff_t)s.n, .sn = t ? (ptrdiff_t)s.k : 1 };
}

static int compile_into(struct pi_compile *c, struct state *s, struct folded *f, struct precinfer_error *err)
{
    const struct pi_tensor *const add = addend(c->node, c->in);
    const struct sizes z = sizes_of(c->node, c->in[0], c->in[1]);
    struct pi_dense_ask q = ask_of(c, z);
    const int with_c = add && add->data && z.n > 0 && is_row(add, z.n);
    s->late_c = add && !with_c;
    if (s->late_c && q.a == PI_U8)
        return pi_node_fail(c->node, err, PRECINFER_UNSUPPORTED, "an int8 layer needs a C that is constant and one row");
    PI_TRY(pi_check_weights(c, 1, err));
    if (!c->choose_only) {
        struct pi_compile as = *c;
        PI_TRY(fold(c, q.n, with_c, f, err));
        if (f->scale) as.weight_scale = f->scale;
        PI_TRY(pi_epi_fold(&as, q.n, f->bias, f->sums, &s->e, err));
    }
    if (f->weights) q.w = f->weights;
    return pi_dense_compile(c, &q, &s->d, err);
}

static void drop(const precinfer_context *ctx, void *memory)
{
    struct state *const s = memory;
    if (!s) return;
    pi_dense_drop(ctx, &s->d);
    pi_epi_drop(ctx, &s->e);
    pi_free(&ctx->alloc, s);
}

static int compile(struct pi_compile *c, struct precinfer_error *err)
{
    struct folded f = { 0 };
    struct state *const s = pi_calloc(&c->ctx->alloc, 1, sizeof *s);
    if (!s) return pi_no_memory(err, sizeof *s);
    const int status = compile_into(c, s, &f, err);
    folded_free(c->ctx, &f);
    if (status || c->choose_only) drop(c->ctx, s);
    else c->state = s;
    return status;
}

/* ---------------------------------------------------------------- run */

/* Pieces of the workspace; NULL where the run does without. */
struct pieces { void *a, *scaled, *packed; float *bias, *plain; void *gemm; };

struct job { struct sizes s; const struct state *st; struct pi_gemm g; struct pi_packed w; int general; };

/* Without pointers. general: C is a matrix or a column, and is added after the product. */
static struct job job_of(const struct pi_call *c)
{
    const struct pi_tensor *const a = c->in[0], *const add = addend(c->node, c->in);
    const struct sizes s = sizes_of(c->node, a, c->in[1]);
    struct job j = { .s = s, .st = c->state };
    j.general = j.st->late_c && !is_row(add, s.n);
    j.w = j.st->d.w.b ? j.st->d.w : pi_packed_sizes(j.st->d.rows[0]->packing, 1, (size_t)s.k, (size_t)s.n);
    const size_t e = pi_type_size(a->type), ce = j.general ? 4 : pi_type_size(c->out[0]->type);
    const size_t re = c->res ? pi_type_size(c->res->type) : 0;
    j.g = (struct pi_gemm){ .m = (size_t)s.m, .n = (size_t)s.n, .k = (size_t)s.k, .segs = 1, .asize = e,
                            .lda = (ptrdiff_t)(e * (size_t)s.k), .image_m = (size_t)s.m, .ldc = (ptrdiff_t)(ce * (size_t)s.n),
                            .csize = ce, .ldres = (ptrdiff_t)(re * (size_t)s.n),
                            .epi = &j.st->e.epi };
    return j;
}

static struct pieces lay_out(const struct pi_call *c, const struct job *j, struct pi_carve *w)
{
    const struct params *const p = params(c->node);
    const size_t n = (size_t)j->s.n, late_b = !j->st->d.w.b;
    struct pieces x = { 0 };
    if (p->trans_a) x.a = pi_take(w, j->g.m * j->g.k * j->g.asize);
    if (late_b && p->alpha != 1.0f) x.scaled = pi_take(w, j->g.k * n * pi_type_size(c->in[1]->type));
    if (late_b) x.packed = pi_take(w, pi_pack_size(j->w.p, 1, j->g.k, n));
    x.bias = pi_take(w, n * sizeof *x.bias);
    if (j->general) x.plain = pi_take(w, j->g.m * n * sizeof *x.plain);
    x.gemm = pi_take(w, pi_gemm_workspace(&j->g, &j->w, j->st->d.rows[0], c->ctx->threads));
    return x;
}

static size_t workspace(const struct pi_call *c)
{
    struct pi_carve w = { 0 };
    const struct job j = job_of(c);
    if (j.s.m) lay_out(c, &j, &w);
    return w.at;
}

static void transpose(const void *from, size_t rows, size_t columns, size_t e, void *to)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < columns; k++)
            memcpy((char *)to + (k * rows + i) * e, (const char *)from + (i * columns + k) * e, e);
}

static struct pi_packed pack_now(const struct pi_call *c, const struct job *j, const struct pieces *x)
{
    const struct pi_tensor *const b = c->in[1];
    const int t = params(c->node)->trans_b != 0;
    struct pi_packed w;
    if (x->scaled) scale_weights(b->type, b->data, j->g.k * j->g.n, params(c->node)->alpha, x->scaled);
    pi_pack_into(&w, j->w.p, x->scaled ? x->scaled : b->data, 1, j->g.k, j->g.n, 0, t ? 1 : (ptrdiff_t)j->g.n,
                 t ? (ptrdiff_t)j->g.k : 1, x->packed);
    return w;
}

static float clip(float x, float lo, float hi)
{
    x = lo > x ? lo : x;
    return hi < x ? hi : x;
}
static float residual(const struct pi_epi *e, const void *res, size_t i)
{
    if (e->res_type == PI_F32) return ((const float *)res)[i];
    if (e->res_type == PI_BF16) return pi_bf16_to_f32(((const uint16_t *)res)[i]);
    return (float)(((const uint8_t *)res)[i] - e->res_zp) * e->res_scale;
}

/* What the epilogue leaves out where C is no row. */
struct rest { const struct pi_call *c; const struct job *j; const float *plain; const struct pi_epi *e; };
static void finish(void *arg, size_t slot)
{
    (void)slot;
    const struct rest *const r = arg;
    const struct pi_tensor *const add = addend(r->c->node, r->c->in);
    const size_t n = r->j->g.n, all = r->j->g.m * n;
    const float *const values = add->data, beta = params(r->c->node)->beta;
    const size_t across = add->rank > 0 && add->dims[add->rank - 1] != 1, row = across ? n : 1;
    for (size_t i = 0; i < all; i++) {
        float y;
        pi_epi_bias(&y, 1, &values[i / n * row + i % n * across], 1, beta);
        y = r->plain[i] + y;
        if (r->e->stages & PI_ACT) y = clip(y, r->e->act_lo, r->e->act_hi);
        if (r->e->stages & PI_RES) y += residual(r->e, r->c->res->data, i);
        y = clip(y, r->e->lo, r->e->hi);
        if (r->e->out == PI_F32) ((float *)r->c->out[0]->data)[i] = y;
        else ((uint16_t *)r->c->out[0]->data)[i] = pi_f32_to_bf16(y);
    }
}

static void run(const struct pi_call *c)
{
    const struct pi_tensor *const a = c->in[0], *const add = addend(c->node, c->in);
    struct job j = job_of(c);
    struct pi_carve w = { c->workspace, 0 };
    if (!j.s.m) return;
    const struct pieces x = lay_out(c, &j, &w);
    struct pi_epi epi = j.st->e.epi;
    j.g.a = x.a ? x.a : a->data;
    if (x.a) transpose(a->data, j.g.k, j.g.m, j.g.asize, x.a);
    if (x.packed) j.w = pack_now(c, &j, &x);
    if (j.st->late_c || x.packed) {     /* with B, N may have been open when the epilogue was folded */
        const int folded = add && !j.general && (j.st->late_c || x.packed);
        pi_epi_bias(x.bias, j.g.n, folded ? add->data : NULL, folded ? (size_t)pi_elements(add) : 1, params(c->node)->beta);
        epi.bias = x.bias;
    }
    j.g.epi = &epi;
    j.g.c = j.general ? (char *)x.plain : c->out[0]->data;
    j.g.res = c->res && !j.general ? c->res->data : NULL;
    if (j.general) { epi.stages = 0; epi.out = PI_F32; epi.lo = -INFINITY; epi.hi = INFINITY; }
    pi_gemm_run(c->ctx, &j.g, &j.w, j.st->d.rows, j.st->d.nrows, c->ctx->threads, x.gemm);
    if (j.general) pi_parallel(c->ctx, 1, finish, &(struct rest){ c, &j, x.plain, &j.st->e.epi });
}

extern const struct pi_opdef pi_op_Gemm;
const struct pi_opdef pi_op_Gemm = {
    .name = "Gemm", .since = 7, .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .flags = PI_OP_EPILOGUE | PI_OP_WEIGHTS,
    .forms = PI_BIT(PI_U8) | PI_BIT(PI_BF16), .params_bytes = sizeof(struct params), .check = check, .infer = infer,
    .compile = compile, .drop = drop, .workspace = workspace, .run = run };
