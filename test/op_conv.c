/* Conv and ConvTranspose against an oracle that knows neither tile nor indirection: f32 and integers bit for bit. */
#include "oprun.h"
#include "../kernels/ref/epilogue.h"
#include "../lib/quant/weights.h"

extern const struct pi_opdef pi_op_Conv, pi_op_ConvTranspose;

struct shape { const char *name; int transposed, rank, n, c, h, w, o, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr, groups, oph, opw; };
static const struct shape shapes[] = {
    { "1x1",                    0, 4, 3, 20, 5, 7, 24, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0 },
    { "1x1 stride 2",           0, 4, 2, 20, 6, 7, 17, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0, 1, 0, 0 },
    { "3x3",                    0, 4, 3, 19, 7, 6, 33, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0 },
    { "3x3, many channels",     0, 4, 2, 68, 9, 11, 40, 3, 3, 1, 1, 1, 1, 0, 1, 2, 0, 1, 0, 0 },
    { "3x3, one pixel",         0, 4, 1, 16, 1, 1, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0 },
    { "3x3 stride 2 asymmetric", 0, 4, 1, 8, 9, 8, 16, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1, 1, 0, 0 },
    { "3x3 dilation",           0, 4, 1, 9, 11, 10, 7, 3, 3, 1, 2, 2, 3, 2, 1, 3, 2, 1, 0, 0 },
    { "stem 7x7x3",             0, 4, 2, 3, 15, 14, 20, 7, 7, 2, 2, 1, 1, 3, 3, 3, 3, 1, 0, 0 },
    { "stem without padding",   0, 4, 3, 3, 9, 8, 17, 3, 4, 1, 1, 2, 1, 0, 0, 0, 0, 1, 0, 0 },
    { "one channel 5x5",        0, 4, 1, 1, 12, 12, 6, 5, 5, 1, 1, 1, 1, 2, 1, 2, 3, 1, 0, 0 },
    { "5x2 padding wider than the image", 0, 4, 1, 6, 2, 2, 5, 5, 2, 1, 1, 1, 1, 4, 3, 4, 3, 1, 0, 0 },
    { "1-D",                    0, 3, 3, 10, 1, 23, 12, 1, 5, 1, 2, 1, 2, 0, 3, 0, 1, 1, 0, 0 },
    { "1-D grouped",            0, 3, 1, 12, 1, 17, 8, 1, 3, 1, 1, 1, 1, 0, 1, 0, 1, 4, 0, 0 },
    { "groups 2",               0, 4, 2, 24, 6, 5, 34, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 2, 0, 0 },
    { "groups of 4",            0, 4, 2, 64, 5, 5, 64, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 16, 0, 0 },
    { "groups of 2, ragged",    0, 4, 1, 22, 5, 4, 22, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 11, 0, 0 },
    { "grouped 1x1",            0, 4, 2, 12, 4, 3, 18, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 3, 0, 0 },
    { "depthwise",              0, 4, 3, 37, 8, 7, 37, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 37, 0, 0 },
    { "depthwise 5x5 stride 2", 0, 4, 1, 32, 11, 9, 32, 5, 5, 2, 2, 1, 1, 2, 2, 2, 2, 32, 0, 0 },
    { "depthwise 1-D",          0, 3, 2, 20, 1, 31, 20, 1, 4, 1, 1, 1, 2, 0, 2, 0, 0, 20, 0, 0 },
    { "depthwise multiplier 2", 0, 4, 1, 10, 6, 6, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 10, 0, 0 },
    { "transposed 4x4 stride 2", 1, 4, 3, 11, 5, 4, 18, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1, 1, 0, 0 },
    { "transposed 2x2 stride 2", 1, 4, 1, 16, 5, 6, 8, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, 1, 0, 0 },
    { "transposed 3x3 stride 2 output padding", 1, 4, 2, 7, 4, 5, 9, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
    { "transposed gaps: stride 3, kernel 2", 1, 4, 1, 6, 4, 3, 5, 2, 2, 3, 3, 1, 1, 0, 0, 0, 0, 1, 2, 1 },
    { "transposed dilation",    1, 4, 1, 5, 6, 5, 6, 3, 2, 2, 1, 2, 3, 2, 1, 1, 0, 1, 0, 0 },
    { "transposed groups",      1, 4, 2, 12, 4, 4, 9, 3, 3, 2, 1, 1, 1, 1, 0, 0, 1, 3, 0, 0 },
    { "transposed depthwise",   1, 4, 1, 8, 4, 4, 8, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1, 8, 0, 0 },
    { "transposed 1-D",         1, 3, 2, 6, 1, 9, 7, 1, 5, 1, 3, 1, 1, 0, 2, 0, 1, 1, 0, 0 },
    { "transposed 1x1",         1, 4, 2, 6, 3, 3, 7, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0 },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static int out_h(const struct shape *s)
{
    return s->transposed ? s->sh * (s->h - 1) + s->oph + s->dh * (s->kh - 1) + 1 - s->pt - s->pb
        : (s->h + s->pt + s->pb - s->dh * (s->kh - 1) - 1) / s->sh + 1;
}
static int out_w(const struct shape *s)
{
    return s->transposed ? s->sw * (s->w - 1) + s->opw + s->dw * (s->kw - 1) + 1 - s->pl - s->pr
        : (s->w + s->pl + s->pr - s->dw * (s->kw - 1) - 1) / s->sw + 1;
}

/* ---------------------------------------------------------------- one problem with its data */

struct problem {
    const struct shape *s;
    enum pi_type a, b, out, res;        /* res PI_NONE: none */
    struct op_run run;
    struct pi_fused fused;
    int64_t kernel[2], strides[2], dilations[2], pads[4], out_pad[2];
    size_t nx, nw, ny;
    float *weight_scale;
    double sum64, absolute;             /* of the output that oracle_sum was last asked for */
};

static void *filled(enum pi_type t, size_t n, enum h_kind kind)
{
    void *p = h_guard_aligned(n * h_type_size(t), 4);
    h_fill(p, t, n, kind);
    return p;
}

static void problem(struct problem *p, const struct shape *s, enum pi_type a, enum pi_type out, enum pi_type res, int acts,
                    enum h_kind kind)
{
    *p = (struct problem){ .s = s, .a = a, .b = a == PI_U8 ? PI_S8 : a, .out = out, .res = res,
                           .kernel = { s->kh, s->kw }, .strides = { s->sh, s->sw }, .dilations = { s->dh, s->dw },
                           .pads = { s->pt, s->pl, s->pb, s->pr }, .out_pad = { s->oph, s->opw } };
    const int one = s->rank == 3, cg = s->c / s->groups, og = s->o / s->groups;
    struct op_run *r = &p->run;
    const int64_t line[2] = { s->pl, s->pr };
    if (one) memcpy(p->pads, line, sizeof line);
    r->op = s->transposed ? &pi_op_ConvTranspose : &pi_op_Conv;
    op_ints(r, "kernel_shape", p->kernel + one, (size_t)s->rank - 2);
    op_ints(r, "strides", p->strides + one, (size_t)s->rank - 2);
    op_ints(r, "dilations", p->dilations + one, (size_t)s->rank - 2);
    op_ints(r, "pads", p->pads, 2 * ((size_t)s->rank - 2));
    op_int(r, "group", s->groups);
    if (s->oph || s->opw) op_ints(r, "output_padding", p->out_pad + one, (size_t)s->rank - 2);
    p->nx = (size_t)(s->n * s->c * s->h * s->w);
    p->nw = (size_t)(s->transposed ? s->c * og : s->o * cg) * (size_t)(s->kh * s->kw);
    p->ny = (size_t)(s->n * s->o * out_h(s) * out_w(s));
    struct pi_tensor x = { .type = (uint8_t)a, .rank = s->rank, .dims = { s->n, s->c, one ? s->w : s->h, s->w } };
    struct pi_tensor w = { .type = (uint8_t)p->b, .rank = s->rank, .dims = { s->transposed ? s->c : s->o, s->transposed ? og
                                                                             : cg, one ? s->kw : s->kh, s->kw } };
    struct pi_tensor b = { .type = PI_F32, .rank = 1, .dims = { s->o } };
    pi_channels_last(&x); pi_row_major(&w); pi_row_major(&b);
    x.data = filled(a, p->nx, kind); w.data = filled(p->b, p->nw, kind); b.data = filled(PI_F32, (size_t)s->o, H_SMALL);
    ((float *)b.data)[0] = -0.0f;
    if (a == PI_U8) { x.quantized = 1; x.scale = h_tie_scale(); x.zp = h_below(4) ? h_between(0, 255) : 0; }
    p->weight_scale = malloc((size_t)s->o * 4);
    h_fill_tie_scales(p->weight_scale, (size_t)s->o);
    r->in[0] = x; r->in[1] = w; r->in[2] = b; r->nin = 3;
    r->weight_scale = a == PI_U8 ? p->weight_scale : NULL;
    r->out = (struct pi_tensor){ .type = (uint8_t)out };
    if (out == PI_U8) { r->out.quantized = 1; r->out.scale = (float)(20 * sqrt((double)(cg * s->kh * s->kw)));
                        r->out.zp = h_between(0, 255); }
    if (acts) r->fused = (struct pi_fused){ .has_act = 1, .act_lo = -3.5f, .act_hi = 40.0f, .has_clamp = 1, .lo = 0, .hi = 6e2f };
    if (res) {
        r->fused.has_res = 1;
        r->res = (struct pi_tensor){ .type = (uint8_t)res, .rank = s->rank, .dims = { s->n, s->o, one ? out_w(s) : out_h(s),
                                                                                      out_w(s) } };
        pi_channels_last(&r->res);
        r->res.data = filled(res, p->ny, H_RANDOM);
        if (res == PI_U8) { r->res.quantized = 1; r->res.scale = 0.3f; r->res.zp = 7; }
    }
}
static void release(struct problem *p)
{
    for (int i = 0; i < 3; i++) h_guard_free(p->run.in[i].data);
    h_guard_free(p->run.res.data);
    free(p->weight_scale);
}

/* ---------------------------------------------------------------- the oracle */

/* Input coordinate of a tap, or -1. */
static int source(int transposed, int out, int tap, int stride, int dilation, int pad, int in)
{
    int at = transposed ? out + pad - tap * dilation : out * stride + tap * dilation - pad;
    if (transposed && (at < 0 || at % stride)) return -1;
    if (transposed) at /= stride;
    return at < 0 || at >= in ? -1 : at;
}

struct sums { int32_t i; float f; };
static struct sums oracle_sum(struct problem *p, int n, int o, int y, int x)
{
    const struct shape *s = p->s;
    const int cg = s->c / s->groups, og = s->o / s->groups, g = o / og;
    const struct pi_tensor *a = &p->run.in[0], *w = &p->run.in[1];
    struct sums t = { 0, 0 };
    p->sum64 = p->absolute = 0;
    for (int ky = 0; ky < s->kh; ky++)
        for (int kx = 0; kx < s->kw; kx++) {
            const int iy = source(s->transposed, y, ky, s->sh, s->dh, s->pt, s->h), ix = source(s->transposed, x, kx, s->sw,
                    s->dw, s->pl, s->w);
            if (iy < 0 || ix < 0) continue;
            for (int c = 0; c < cg; c++) {
                const size_t ia = (size_t)(((n * s->h + iy) * s->w + ix) * s->c + g * cg + c);
                const size_t iw = (size_t)(((s->transposed ? (g * cg + c) * og + o % og : o * cg + c) * s->kh + ky) * s->kw + kx);
                if (p->a == PI_U8) { t.i += (((const uint8_t *)a->data)[ia] - a->zp) * ((const int8_t *)w->data)[iw]; continue; }
                const float fa = p->a == PI_F32 ? ((const float *)a->data)[ia] : h_from_bf16(((const uint16_t *)a->data)[ia]);
                const float fw = p->a == PI_F32 ? ((const float *)w->data)[iw] : h_from_bf16(((const uint16_t *)w->data)[iw]);
                t.f = fmaf(fa, fw, t.f);
                p->sum64 += (double)fa * (double)fw;
                p->absolute += fabs((double)fa * (double)fw);
            }
        }
    return t;
}

/* The law, worked out anew: double, one rounding. */
static struct pi_epi oracle_epi(const struct problem *p, int32_t *ibias, float *fbias, float *scale)
{
    const struct op_run *r = &p->run;
    const double step = p->out == PI_U8 ? (double)r->out.scale : 1;
    const float *b = r->in[2].data;
    struct pi_epi e = { .stages = (r->fused.has_act ? PI_ACT : 0u) | (p->res ? PI_RES : 0u), .out = (uint8_t)p->out,
                        .res_type = (uint8_t)p->res,
                        .lo = -INFINITY, .hi = INFINITY, .zp = r->out.zp };
    for (int j = 0; j < p->s->o; j++) {
        if (p->a != PI_U8) { fbias[j] = b[j] + 0.0f; continue; }
        const double sw = (double)r->in[0].scale * (double)p->weight_scale[j];
        ibias[j] = (int32_t)nearbyint((double)b[j] / sw);
        scale[j] = (float)(sw / step);
    }
    if (p->a == PI_U8) e.stages |= PI_SCALE;
    e.bias = p->a == PI_U8 ? (void *)ibias : (void *)fbias;
    e.scale = scale;
    e.act_lo = (float)((double)r->fused.act_lo / step); e.act_hi = (float)((double)r->fused.act_hi / step);
    if (r->fused.has_clamp) { e.lo = (float)((double)r->fused.lo / step); e.hi = (float)((double)r->fused.hi / step); }
    if (p->res == PI_U8) { e.res_scale = (float)((double)r->res.scale / step); e.res_zp = r->res.zp; }
    if (p->out == PI_U8) { e.lo = fmaxf(e.lo, (float)-e.zp); e.hi = fminf(e.hi, (float)(255 - e.zp)); }
    return e;
}

static void oracle(struct problem *p, void *y, double *y64, double *bound)
{
    const struct shape *s = p->s;
    int32_t ibias[256]; float fbias[256], scale[256];
    const struct pi_epi e = oracle_epi(p, ibias, fbias, scale);
    const size_t ye = h_type_size(p->out), re = p->res ? h_type_size(p->res) : 0, o = (size_t)s->o;
    for (size_t i = 0; i < p->ny / o; i++)
        for (size_t j = 0; j < o; j++) {
            const int x = (int)i % out_w(s), row = (int)i / out_w(s);
            const struct sums t = oracle_sum(p, row / out_h(s), (int)j, row % out_h(s), x);
            const void *res = p->res ? (const char *)p->run.res.data + i * o * re : NULL;
            if (p->a == PI_U8) law_int(&e, t.i, 0, j, res, j, (char *)y + i * o * ye);
            else law_float(&e, t.f, 0, j, res, j, (char *)y + i * o * ye);
            if (y64) { y64[i * o + j] = p->sum64 + (double)fbias[j];
                       bound[i * o + j] = 1e-6 * (p->absolute + fabs((double)fbias[j])) + 1e-30; }
        }
}

/* ---------------------------------------------------------------- tests */

struct variant { const char *name, *mask; size_t threads; unsigned late; int open; };
static const struct variant variants[] = {
    { "one thread", NULL, 1, 0, 0 }, { "two threads", NULL, 2, 0, 0 }, { "four threads", NULL, 4, 0, 0 },
        { "ref", "ref", 3, 0, 0 },
    { "open shapes", NULL, 1, 0, 1 }, { "run-time weights", NULL, 1, 2, 0 }, { "run-time weights and bias", NULL, 3, 6, 1 },
    { "run-time bias", "ref", 1, 4, 0 } };

static void compare(struct problem *p, const void *want)
{
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        if (variants[v].late && p->a == PI_U8) continue;
        struct h_host host = { .threads = variants[v].threads };
        precinfer_context *ctx = h_context(&host, variants[v].mask);
        struct precinfer_error err = { 0 };
        struct op_run r = p->run;
        char what[160];
        r.late = variants[v].late;
        r.open = variants[v].open;
        const int status = op_exec(ctx, &r, &err);
        snprintf(what, sizeof what, "%s, %s, %s", p->s->name, variants[v].name, status ? "" : r.kernel);
        h_expect(!status, "%s: %s", what, err.text);
        if (!status) {
            h_expect(pi_elements(&r.out) == (int64_t)p->ny, "%s: %lld outputs, not %zu", what, (long long)pi_elements(&r.out),
                     p->ny);
            h_same(what, want, r.out.data, p->out, p->ny);
        }
        h_guard_free(r.out.data);
        precinfer_context_free(ctx);
        h_expect(!host.live, "%s: %ld blocks leaked", what, (long)host.live);
    }
}

static void check(int i, enum pi_type a, enum pi_type out, enum pi_type res, int acts, enum h_kind kind)
{
    struct problem p;
    problem(&p, &shapes[i], a, out, res, acts, kind);
    void *want = malloc(p.ny * h_type_size(out));
    oracle(&p, want, NULL, NULL);
    compare(&p, want);
    free(want);
    release(&p);
}

START_TEST(f32_law)
{
    h_reseed(_i);
    check(_i, PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
    check(_i, PI_F32, PI_F32, PI_F32, 1, H_LAPLACE);
    check(_i, PI_F32, PI_F32, PI_U8, 0, H_TIE);
    h_finish();
}
END_TEST

/* The law itself is near the real numbers. */
START_TEST(f32_near_float64)
{
    struct problem p;
    h_reseed(_i);
    problem(&p, &shapes[_i], PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
    float *law = malloc(p.ny * sizeof *law);
    double *want = malloc(p.ny * sizeof *want), *bound = malloc(p.ny * sizeof *bound);
    oracle(&p, law, want, bound);
    h_near(shapes[_i].name, want, law, bound, p.ny);
    free(law); free(want); free(bound);
    release(&p);
    h_finish();
}
END_TEST

START_TEST(int8)
{
    h_reseed(_i);
    check(_i, PI_U8, PI_U8, PI_NONE, 0, H_RANDOM);
    check(_i, PI_U8, PI_U8, PI_U8, 1, H_TIE);
    check(_i, PI_U8, PI_U8, PI_NONE, 1, H_EXTREME);
    check(_i, PI_U8, PI_F32, PI_F32, 1, H_LAPLACE);
    h_finish();
}
END_TEST

/* Sums of small integers are exact, whatever the order. */
START_TEST(bf16)
{
    h_reseed(_i);
    check(_i, PI_BF16, PI_F32, PI_NONE, 0, H_SMALL);
    check(_i, PI_BF16, PI_BF16, PI_BF16, 1, H_SMALL);
    h_finish();
}
END_TEST

/* An output does not depend on what else is in the batch. */
START_TEST(batch)
{
    struct shape one = shapes[_i], three = shapes[_i];
    struct problem p, q;
    one.n = 1; three.n = 3;
    h_reseed(_i);
    problem(&p, &three, PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
    struct h_host host = { .threads = 2 };
    precinfer_context *ctx = h_context(&host, NULL);
    ck_assert(!op_exec(ctx, &p.run, NULL));
    for (int n = 0; n < 3; n++) {
        h_reseed(_i);
        problem(&q, &one, PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
        memcpy(q.run.in[0].data, (float *)p.run.in[0].data + (size_t)n * q.nx, q.nx * 4);
        memcpy(q.run.in[1].data, p.run.in[1].data, q.nw * 4);
        memcpy(q.run.in[2].data, p.run.in[2].data, (size_t)one.o * 4);
        ck_assert(!op_exec(ctx, &q.run, NULL));
        h_same(one.name, (float *)p.run.out.data + (size_t)n * q.ny, q.run.out.data, PI_F32, q.ny);
        h_guard_free(q.run.out.data);
        release(&q);
    }
    h_guard_free(p.run.out.data);
    release(&p);
    precinfer_context_free(ctx);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- attributes */

struct padding { const char *mode; int transposed, in, k, stride, out; int64_t before; };
static const struct padding paddings[] = {
    { "SAME_UPPER", 0, 7, 2, 1, 7, 0 }, { "SAME_LOWER", 0, 7, 2, 1, 7, 1 }, { "SAME_UPPER", 0, 8, 3, 2, 4, 0 },
        { "SAME_LOWER", 0, 8, 3, 2, 4, 1 },
    { "VALID", 0, 8, 3, 2, 3, 0 }, { "SAME_UPPER", 0, 3, 1, 2, 2, 0 },
    { "SAME_UPPER", 1, 5, 3, 2, 10, 0 }, { "SAME_LOWER", 1, 5, 3, 2, 10, 1 }, { "VALID", 1, 5, 3, 2, 11, 0 } };

/* auto_pad equals the pads that it stands for. */
START_TEST(auto_pad)
{
    for (size_t i = 0; i < sizeof paddings / sizeof *paddings; i++) {
        const struct padding *t = &paddings[i];
        const int whole = t->transposed ? t->stride * (t->in - 1) + t->k : (t->out - 1) * t->stride + t->k;
        const int all = t->transposed ? whole - t->out : whole > t->in ? whole - t->in : 0;
        const int before = (int)t->before, after = all - before;
        const struct shape s = { t->mode, t->transposed, 3, 2, 5, 1, t->in, 6, 1, t->k, 1, t->stride, 1, 1, 0, before, 0, after,
                                 1, 0, 0 };
        struct problem p;
        h_reseed(_i);
        problem(&p, &s, PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
        struct h_host host = { 0 };
        precinfer_context *ctx = h_context(&host, NULL);
        float *want = malloc(p.ny * 4);
        oracle(&p, want, NULL, NULL);
        p.run.attr[3] = (struct pi_attr){ .name = "auto_pad", .type = PI_ATTR_STRING, .s = t->mode, .count = strlen(t->mode) };
        ck_assert(!op_exec(ctx, &p.run, NULL));
        h_expect(p.run.out.dims[2] == t->out, "%s: %lld outputs, not %d", t->mode, (long long)p.run.out.dims[2], t->out);
        h_same(t->mode, want, p.run.out.data, PI_F32, p.ny);
        free(want);
        h_guard_free(p.run.out.data);
        release(&p);
        precinfer_context_free(ctx);
    }
    h_finish();
}
END_TEST

/* output_shape, opset 11: the larger share of odd padding is at the start, unless SAME_UPPER is asked for. */
START_TEST(output_shape)
{
    static const int64_t want_out[] = { 8 };
    const struct shape s = { "output_shape", 1, 3, 1, 4, 1, 4, 3, 1, 3, 1, 2, 1, 1, 0, 1, 0, 0, 1, 0, 0 };
    struct problem p;
    h_reseed(_i);
    problem(&p, &s, PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
    struct h_host host = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    float *want = malloc(p.ny * 4);
    oracle(&p, want, NULL, NULL);
    p.run.attr[3] = (struct pi_attr){ .name = "output_shape", .type = PI_ATTR_INTS, .count = 1, .ints = want_out };
    ck_assert(!op_exec(ctx, &p.run, NULL));
    h_same("output_shape", want, p.run.out.data, PI_F32, p.ny);
    free(want);
    h_guard_free(p.run.out.data);
    release(&p);
    precinfer_context_free(ctx);
    h_finish();
}
END_TEST

/* Every allocation fails once: an error and no leak. */
START_TEST(no_memory)
{
    static const int which[] = { 2, 5, 11, 15 };
    struct problem p;
    h_reseed(_i);
    problem(&p, &shapes[which[_i]], PI_U8, PI_U8, PI_NONE, 0, H_RANDOM);
    for (long n = 1; ; n++) {
        struct h_host host = { 0 };
        precinfer_context *ctx = h_context(&host, NULL);
        struct op_run r = p.run;
        host.fail_at = host.calls + n;
        const int status = op_exec(ctx, &r, NULL);
        h_guard_free(r.out.data);
        precinfer_context_free(ctx);
        h_expect(!host.live, "allocation %ld: leak", n);
        h_expect(!host.failed || status == PRECINFER_NO_MEMORY, "allocation %ld: status %d", n, status);
        if (!host.failed) break;
    }
    release(&p);
    h_finish();
}
END_TEST

static void refused(precinfer_context *ctx, struct op_run r, const char *says)
{
    struct precinfer_error err = { 0 };
    const int status = op_exec(ctx, &r, &err);
    h_expect(status && strstr(err.text, "node 'tested'") && strstr(err.text, says), "want '%s', got %d '%s'", says, status,
             err.text);
    if (!status) h_guard_free(r.out.data);
}

START_TEST(errors)
{
    static const int64_t three[] = { 1, 1, 1 }, zero[] = { 0, 1 }, far[] = { 9, 9 }, minus[] = { -1, 0, 0, 0 };
    struct h_host host = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    struct problem p;
    h_reseed(_i);
    problem(&p, &shapes[2], PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
    struct op_run r = p.run;
    r.attr[4].i = 7; refused(ctx, r, "group 7 does not divide 19 input channels");
    r = p.run; r.in[1].dims[1] = 18; refused(ctx, r, "weights for 18 input channels");
    r = p.run; r.attr[1].ints = three; r.attr[1].count = 3; refused(ctx, r, "strides has 3 values");
    r = p.run; r.attr[1].ints = zero; refused(ctx, r, "strides[0] is 0");
    r = p.run; r.attr[2].ints = far; refused(ctx, r, "does not fit");
    r = p.run; r.attr[3].ints = minus; refused(ctx, r, "pads[0] is -1");
    r = p.run; r.attr[0].ints = far; refused(ctx, r, "kernel_shape[0] is 9, the weights have 3");
    r = p.run; r.in[2].dims[0] = 5; refused(ctx, r, "the bias is not 33 values");
    r = p.run; r.in[0].rank = 3; refused(ctx, r, "the input has 3 dimensions, the weights have 4");
    r = p.run; op_string(&r, "auto_pad", "MAYBE"); refused(ctx, r, "auto_pad 'MAYBE'");
    ((float *)p.run.in[1].data)[5] = INFINITY; refused(ctx, p.run, "weight 5 of");
    ((float *)p.run.in[1].data)[5] = 0; ((float *)p.run.in[2].data)[3] = NAN; refused(ctx, p.run, "bias[3] is not finite");
    release(&p);
    precinfer_context_free(ctx);
    h_finish();
}
END_TEST

/* What a plan's explain asks: a kernel for a CPU that is not here, every candidate, and no memory kept. */
static void count_why(void *user, const struct pi_row *row, double cost, const char *refused)
{
    int *const seen = user;
    h_expect(row && (cost >= 0) == !refused, "%s: cost %g, refused '%s'", row ? row->name : "?", cost, refused ? refused : "");
    seen[refused != NULL]++;
}
START_TEST(explain)
{
    struct h_host host = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    struct problem p;
    h_reseed(_i);
    problem(&p, &shapes[_i], _i % 2 ? PI_U8 : PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
    const long live = host.live;
    for (size_t i = 0; pi_cpu_named_at(i); i++) {
        struct pi_cpu cpu;
        int seen[2] = { 0, 0 };
        ck_assert(!pi_cpu_named(pi_cpu_named_at(i), &cpu));
        p.run.explain = &cpu;
        p.run.why = count_why;
        p.run.user = seen;
        h_expect(!op_exec(ctx, &p.run, NULL) && p.run.kernel, "%s: no kernel", pi_cpu_named_at(i));
        h_expect(seen[0] > 0, "%s: no candidate", pi_cpu_named_at(i));
        h_expect(host.live == live, "%s: memory is kept", pi_cpu_named_at(i));
    }
    release(&p);
    precinfer_context_free(ctx);
    h_finish();
}
END_TEST

/* The exact overflow check against sums worked out by hand. */
START_TEST(overflow)
{
    enum { K = 66400 };
    int8_t *w = malloc(K * 2);
    const float scale[2] = { 1, 1 }, bias[2] = { 0, 1e6f };
    const struct pi_weight_layout l = { 1, 1, 2, K }, by_row = { 1, K, 2, 1 };
    memset(w, 0, K * 2);
    memset(w + K, 127, 66311);          /* 66311 * 127 * 255 = 2,147,481,735: the most that fits */
    h_expect(pi_layer_overflow(w, &l, NULL, 1, scale, 0) == 0, "fits");
    h_expect(pi_layer_overflow(w, &l, bias, 1, scale, 0) == 2, "a bias that does not");
    w[K + 66311] = 127;
    h_expect(pi_layer_overflow(w, &l, NULL, 1, scale, 0) == 2, "one product more");
    w[K + 66311] = -127;
    h_expect(pi_layer_overflow(w, &l, NULL, 1, scale, 0) == 0, "of the other sign");
    h_expect(pi_layer_overflow(w, &l, NULL, 1, scale, 255) == 0, "a zero point that shifts the sum");
    memset(w, 0, K * 2);
    for (int i = 0; i < 66312; i++) w[2 * i] = -127;
    h_expect(pi_layer_overflow(w, &by_row, NULL, 1, scale, 0) == 1, "rows of two columns");
    h_expect(pi_weights_overflow(w, 2, K, 1, 2, NULL, 1, scale, 0) == 1, "by strides");
    int64_t sums[2];
    pi_weight_sums(w, &by_row, sums);
    h_expect(sums[0] == -127 * 66312ll && sums[1] == 0, "sums %lld %lld", (long long)sums[0], (long long)sums[1]);
    int over = 0;
    h_expect(pi_integer_bias(2.5f, 1, 1, &over) == 2 && pi_integer_bias(3.5f, 1, 1, &over) == 4 &&
             pi_integer_bias(-2.5f, 1, 1, &over) == -2 && !over, "ties to even");
    pi_integer_bias(3e9f, 1, 1, &over);
    h_expect(over, "3e9 leaves s32");
    free(w);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("op_conv");
    h_add(s, "f32 law", f32_law, SHAPES, 20);
    h_add(s, "f32 near float64", f32_near_float64, SHAPES, 20);
    h_add(s, "int8", int8, SHAPES, 20);
    h_add(s, "bf16", bf16, SHAPES, 20);
    h_add(s, "batch", batch, SHAPES, 20);
    h_add(s, "auto_pad", auto_pad, 1, 20);
    h_add(s, "output_shape", output_shape, 1, 20);
    h_add(s, "no memory", no_memory, 4, 20);
    h_add(s, "explain", explain, SHAPES, 20);
    h_add(s, "errors", errors, 1, 20);
    h_add(s, "overflow", overflow, 1, 20);
    return s;
}
