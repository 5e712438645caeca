/* precinfer_gemm, precinfer_conv2d, precinfer_quantize, precinfer_dequantize. */
#include <math.h>
#include "harness.h"
#include "../kernels/ref/epilogue.h"

static void *filled(enum pi_type t, size_t n, enum h_kind kind)
{
    void *p = h_guard_aligned(n * h_type_size(t), 4);
    h_fill(p, t, n, kind);
    return p;
}

/* ---------------------------------------------------------------- gemm */

struct types { enum pi_type a, b, c; enum h_kind fill; };
static const struct types all_types[] = {
    { PI_F32, PI_F32, PI_F32, H_RANDOM }, { PI_BF16, PI_BF16, PI_F32, H_SMALL }, { PI_BF16, PI_BF16, PI_BF16, H_SMALL },
    { PI_U8, PI_S8, PI_S32, H_EXTREME }, { PI_U8, PI_S8, PI_F32, H_RANDOM }, { PI_U8, PI_S8, PI_U8, H_LAPLACE } };
enum { TYPES = sizeof all_types / sizeof *all_types };

struct gemm { struct precinfer_gemm g; struct types t; size_t cn; void *want; };

static void fill_gemm(struct gemm *x, size_t m, size_t n, size_t k, struct types t, int transposed, int tail)
{
    struct precinfer_gemm *g = &x->g;
    x->t = t;
    *g = (struct precinfer_gemm){ .size = sizeof *g, .m = m, .n = n, .k = k, .a_type = (enum precinfer_dtype)t.a,
                                  .b_type = (enum precinfer_dtype)t.b,
                                  .c_type = (enum precinfer_dtype)t.c, .lda = k + 3, .ldb = (transposed ? k : n) + 2,
                                      .ldc = n + 1, .b_transposed = transposed };
    x->cn = (m - 1) * g->ldc + n;
    g->a = filled(t.a, (m - 1) * g->lda + k, t.fill);
    g->b = filled(t.b, ((transposed ? n : k) - 1) * g->ldb + (transposed ? k : n), t.fill);
    g->c = h_guard_aligned(x->cn * h_type_size(t.c), 4);
    if (!tail) return;
    g->bias = filled(t.a == PI_U8 ? PI_S32 : PI_F32, n, H_SMALL);
    if (t.a != PI_U8) ((float *)(uintptr_t)g->bias)[0] = -0.0f;
    g->lo = -20; g->hi = 90; g->zero_point = t.c == PI_U8 ? 30 : 0;
    if (t.a == PI_U8) {
        float *scale = filled(PI_F32, n, H_SMALL);
        for (size_t j = 0; j < n; j++) scale[j] = h_tie_scale() / 64;
        g->scale = scale;
    }
}
static void free_gemm(struct gemm *x)
{
    h_guard_free((void *)(uintptr_t)x->g.a);
    h_guard_free((void *)(uintptr_t)x->g.b);
    h_guard_free((void *)(uintptr_t)x->g.bias);
    h_guard_free((void *)(uintptr_t)x->g.scale);
    h_guard_free(x->g.c);
    free(x->want);
}

static float wide(enum pi_type t, const void *p, size_t i) { return t == PI_F32 ? ((const float *)p)[i]
                                                             : h_from_bf16(((const uint16_t *)p)[i]); }

/* The whole of C, gaps included, as a call leaves it. */
static void gemm_oracle(struct gemm *x)
{
    const struct precinfer_gemm *g = &x->g;
    const size_t e = h_type_size(x->t.c);
    int32_t ib; float fb;
    struct pi_epi epi = { .stages = g->scale ? PI_SCALE : 0u, .out = (uint8_t)x->t.c, .lo = -INFINITY, .hi = INFINITY,
                          .zp = g->zero_point };
    if (g->lo < g->hi) { epi.lo = g->lo; epi.hi = g->hi; }
    if (x->t.c == PI_U8) { epi.lo = fmaxf(epi.lo, (float)-g->zero_point); epi.hi = fminf(epi.hi, (float)(255 - g->zero_point)); }
    x->want = malloc(x->cn * e);
    memset(x->want, H_CANARY, x->cn * e);
    for (size_t i = 0; i < g->m; i++)
        for (size_t j = 0; j < g->n; j++) {
            int32_t is = 0; float fs = 0;
            for (size_t k = 0; k < g->k; k++) {
                const size_t ia = i * g->lda + k, jb = g->b_transposed ? j * g->ldb + k : k * g->ldb + j;
                if (x->t.a == PI_U8) is += ((const uint8_t *)g->a)[ia] * ((const int8_t *)g->b)[jb];
                else fs = fmaf(wide(x->t.a, g->a, ia), wide(x->t.b, g->b, jb), fs);
            }
            ib = g->bias ? ((const int32_t *)g->bias)[j] : 0;
            fb = g->bias && x->t.a != PI_U8 ? ((const float *)g->bias)[j] + 0.0f : 0;
            epi.bias = x->t.a == PI_U8 ? (void *)&ib : (void *)&fb;
            epi.scale = g->scale ? g->scale + j : NULL;
            if (x->t.a == PI_U8) law_int(&epi, is, 0, 0, NULL, 0, (char *)x->want + (i * g->ldc + j) * e);
            else law_float(&epi, fs, 0, 0, NULL, 0, (char *)x->want + (i * g->ldc + j) * e);
        }
}

static void run_gemm(precinfer_context *ctx, struct gemm *x, const precinfer_weights *packed, int scratch, const char *what)
{
    struct precinfer_gemm g = x->g;
    struct precinfer_error err = { 0 };
    size_t bytes = 0;
    if (packed) { g.packed = packed; g.b = NULL; }
    if (scratch) {
        h_expect(!precinfer_gemm_scratch(ctx, &g, &bytes, &err), "%s: %s", what, err.text);
        g.scratch_bytes = bytes;
        g.scratch = h_guard(bytes);     /* starts anywhere */
    }
    memset(g.c, H_CANARY, x->cn * h_type_size(x->t.c));
    h_expect(!precinfer_gemm(ctx, &g, &err), "%s: %s", what, err.text);
    h_same(what, x->want, g.c, x->t.c, x->cn);
    if (scratch) h_guard_free(g.scratch);
}

START_TEST(gemm)
{
    static const size_t sizes[][3] = { { 1, 1, 1 }, { 1, 40, 70 }, { 7, 33, 19 }, { 26, 16, 64 }, { 64, 100, 37 } };
    static const char *const masks[] = { NULL, "ref" };
    h_reseed(_i);
    for (size_t s = 0; s < 5; s++)
        for (int transposed = 0; transposed < 2; transposed++)
            for (size_t v = 0; v < 4; v++) {
                struct gemm x = { 0 };
                struct h_host host = { .threads = 1 + 2 * (v & 1) };
                precinfer_context *ctx = h_context(&host, masks[v / 2]);
                precinfer_weights *w = NULL;
                struct precinfer_error err = { 0 };
                fill_gemm(&x, sizes[s][0], sizes[s][1], sizes[s][2], all_types[_i], transposed, v != 0);
                gemm_oracle(&x);
                run_gemm(ctx, &x, NULL, 0, "as it is");
                run_gemm(ctx, &x, NULL, 1, "as it is, with scratch");
                h_expect(!precinfer_gemm_pack(ctx, &x.g, &w, &err), "pack: %s", err.text);
                run_gemm(ctx, &x, w, 0, "packed");
                run_gemm(ctx, &x, w, 1, "packed, with scratch");
                precinfer_context_free(ctx);        /* the weights keep it alive */
                h_expect(host.live > 0, "freed too early");
                precinfer_weights_free(w);
                h_expect(!host.live, "%ld blocks leaked", (long)host.live);
                free_gemm(&x);
            }
    h_finish();
}
END_TEST

static void gemm_refused(precinfer_context *ctx, struct precinfer_gemm g, const char *says)
{
    struct precinfer_error err = { 0 };
    const int status = precinfer_gemm(ctx, &g, &err);
    h_expect(status && status == (int)err.status && strstr(err.text, says), "want '%s', got %d '%s'", says, status, err.text);
}

START_TEST(gemm_errors)
{
    struct gemm x = { 0 }, u = { 0 };
    struct precinfer_gemm g;
    struct h_host host = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_weights *w = NULL;
    h_reseed(_i);
    fill_gemm(&x, 5, 6, 7, all_types[0], 0, 1);
    fill_gemm(&u, 5, 6, 7, all_types[5], 0, 1);
    gemm_refused(NULL, x.g, "context is NULL");
    g = x.g; g.size = 0; gemm_refused(ctx, g, "size is 0");
    g = x.g; g.k = 0; gemm_refused(ctx, g, "k = 0");
    g = x.g; g.lda = 6; gemm_refused(ctx, g, "lda 6 is less than k = 7");
    g = x.g; g.ldb = 5; gemm_refused(ctx, g, "ldb 5 is less than 6");
    g = x.g; g.ldc = 5; gemm_refused(ctx, g, "ldc 5 is less than n = 6");
    g = x.g; g.b = NULL; gemm_refused(ctx, g, "b is NULL");
    g = x.g; g.a = NULL; gemm_refused(ctx, g, "a is NULL");
    g = x.g; g.c_type = PRECINFER_U8; gemm_refused(ctx, g, "float32 x float32 to uint8");
    g = x.g; g.lo = 1; g.hi = 1; gemm_refused(ctx, g, "lo is not below hi");
    g = x.g; g.scale = g.bias; gemm_refused(ctx, g, "scale is for integer sums");
    g = x.g; g.m = g.n = (size_t)1 << 40; gemm_refused(ctx, g, "address space");
    g = u.g; g.zero_point = 256; gemm_refused(ctx, g, "zero point 256");
    g = u.g; g.k = 70000; gemm_refused(ctx, g, "could overflow");
    char scratch[64];
    g = x.g; g.scratch = scratch; g.scratch_bytes = 64; gemm_refused(ctx, g, "scratch has 64 bytes");
    ck_assert(!precinfer_gemm_pack(ctx, &x.g, &w, NULL));
    g = x.g; g.packed = w; gemm_refused(ctx, g, "both given");
    g = x.g; g.packed = w; g.b = NULL; g.n = 5; gemm_refused(ctx, g, "packed for k = 7, n = 6");
    g = u.g; g.packed = w; g.b = NULL; gemm_refused(ctx, g, "other types");
    ((float *)(uintptr_t)x.g.bias)[2] = NAN; gemm_refused(ctx, x.g, "bias[2] is not finite");
    precinfer_weights_free(w);
    precinfer_weights_free(NULL);
    free_gemm(&x);
    free_gemm(&u);
    precinfer_context_free(ctx);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- conv2d */

struct conv { size_t n, h, w, c, o, kh, kw, groups, sh, sw, dh, dw, pt, pl, pb, pr; };
static const struct conv convs[] = {
    { 2, 7, 6, 12, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, { 1, 9, 9, 3, 17, 5, 5, 1, 2, 2, 1, 1, 2, 2, 2, 2 },
        { 3, 5, 5, 24, 24, 3, 3, 24, 1, 1, 1, 1, 1, 1, 1, 1 },
    { 1, 6, 8, 32, 32, 3, 2, 8, 1, 2, 1, 2, 0, 1, 1, 0 }, { 2, 4, 4, 9, 5, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0 },
        { 1, 6, 6, 6, 12, 3, 3, 3, 0, 0, 0, 0, 1, 1, 1, 1 } };
enum { CONVS = sizeof convs / sizeof *convs };

static size_t one(size_t x) { return x ? x : 1; }

static void conv_oracle(const struct precinfer_conv2d *v, const struct types *t, void *y)
{
    const size_t g = one(v->groups), sh = one(v->stride_h), sw = one(v->stride_w), dh = one(v->dilation_h),
        dw = one(v->dilation_w), cg = v->c / g, og = v->o / g;
    const size_t oh = (v->h + v->pad_top + v->pad_bottom - dh * (v->kh - 1) - 1) / sh + 1,
        ow = (v->w + v->pad_left + v->pad_right - dw * (v->kw - 1) - 1) / sw + 1;
    struct pi_epi epi = { .stages = v->scale ? PI_SCALE : 0u, .out = (uint8_t)t->c, .lo = v->lo, .hi = v->hi,
                          .zp = v->zero_point };
    if (t->c == PI_U8) { epi.lo = fmaxf(epi.lo, (float)-v->zero_point); epi.hi = fminf(epi.hi, (float)(255 - v->zero_point)); }
    for (size_t i = 0; i < v->n * oh * ow * v->o; i++) {
        const size_t o = i % v->o, x = i / v->o % ow, row = i / v->o / ow % oh, n = i / v->o / ow / oh;
        int32_t is = 0; float fs = 0;
        for (size_t p = 0; p < v->kh * v->kw * cg; p++) {
            const size_t c = p % cg, kx = p / cg % v->kw, ky = p / cg / v->kw, at = o * v->kh * v->kw * cg + p;
            const size_t iy = row * sh + ky * dh - v->pad_top, ix = x * sw + kx * dw - v->pad_left;     /* wraps where outside */
            const int inside = iy < v->h && ix < v->w;
            const size_t ia = ((n * v->h + iy) * v->w + ix) * v->c + o / og * cg + c;
            if (t->a == PI_U8) is += (inside ? ((const uint8_t *)v->input)[ia]
                                      : v->input_zero_point) * ((const int8_t *)v->weights)[at];
            else if (inside) fs = fmaf(wide(t->a, v->input, ia), wide(t->b, v->weights, at), fs);
        }
        epi.bias = v->bias;
        epi.scale = v->scale;
        if (t->a == PI_U8) law_int(&epi, is, 0, o, NULL, i, y); else law_float(&epi, fs, 0, o, NULL, i, y);
    }
}

START_TEST(conv2d)
{
    h_reseed(_i);
    for (size_t s = 0; s < CONVS; s++) {
        const struct conv *c = &convs[s];
        const struct types t = all_types[_i];
        const size_t g = one(c->groups), oh = (c->h + c->pt + c->pb - one(c->dh) * (c->kh - 1) - 1) / one(c->sh) + 1,
                     ow = (c->w + c->pl + c->pr - one(c->dw) * (c->kw - 1) - 1) / one(c->sw) + 1, ny = c->n * oh * ow * c->o;
        float *scale = filled(PI_F32, c->o, H_SMALL);
        for (size_t j = 0; j < c->o; j++) scale[j] = h_tie_scale() / 32;
        struct precinfer_conv2d v = {
            .size = sizeof v, .n = c->n, .h = c->h, .w = c->w, .c = c->c, .o = c->o, .kh = c->kh, .kw = c->kw,
                .groups = c->groups, .stride_h = c->sh, .stride_w = c->sw,
            .dilation_h = c->dh, .dilation_w = c->dw, .pad_top = c->pt, .pad_left = c->pl, .pad_bottom = c->pb,
                .pad_right = c->pr,
            .a_type = (enum precinfer_dtype)t.a, .b_type = (enum precinfer_dtype)t.b, .c_type = (enum precinfer_dtype)t.c,
            .input = filled(t.a, c->n * c->h * c->w * c->c, t.fill), .weights = filled(t.b, c->o * c->kh * c->kw * (c->c / g),
                                                                                       t.fill),
            .input_zero_point = t.a == PI_U8 ? 99 : 0, .output = h_guard_aligned(ny * h_type_size(t.c), 4),
                .bias = filled(t.a == PI_U8 ? PI_S32 : PI_F32, c->o, H_SMALL),
            .scale = t.a == PI_U8 ? scale : NULL, .lo = -50, .hi = 100, .zero_point = t.c == PI_U8 ? 44 : 0 };
        void *want = malloc(ny * 4);
        conv_oracle(&v, &t, want);
        for (size_t threads = 1; threads < 4; threads++) {
            struct h_host host = { .threads = threads };
            precinfer_context *ctx = h_context(&host, threads == 2 ? "ref" : NULL);
            struct precinfer_error err = { 0 };
            precinfer_weights *w = NULL;
            struct precinfer_conv2d q = v;
            h_expect(!precinfer_conv2d(ctx, &v, &err), "conv %zu: %s", s, err.text);
            h_same("conv2d", want, v.output, t.c, ny);
            memset(v.output, 0, ny * h_type_size(t.c));
            h_expect(!precinfer_conv2d_pack(ctx, &v, &w, &err), "pack %zu: %s", s, err.text);
            q.packed = w;
            q.weights = NULL;
            h_expect(!precinfer_conv2d(ctx, &q, &err), "packed %zu: %s", s, err.text);
            h_same("conv2d, packed", want, v.output, t.c, ny);
            precinfer_context_free(ctx);
            precinfer_weights_free(w);
            h_expect(!host.live, "%ld blocks leaked", (long)host.live);
        }
        free(want);
        h_guard_free((void *)(uintptr_t)v.input); h_guard_free((void *)(uintptr_t)v.weights);
        h_guard_free((void *)(uintptr_t)v.bias);
        h_guard_free(v.output); h_guard_free(scale);
    }
    h_finish();
}
END_TEST

static void conv_refused(precinfer_context *ctx, struct precinfer_conv2d v, const char *says)
{
    struct precinfer_error err = { 0 };
    const int status = precinfer_conv2d(ctx, &v, &err);
    h_expect(status && strstr(err.text, says), "want '%s', got %d '%s'", says, status, err.text);
}

START_TEST(conv2d_errors)
{
    static float x[64], w[64], y[64];
    struct h_host host = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    const struct precinfer_conv2d ok = { .size = sizeof ok, .n = 1, .h = 4, .w = 4, .c = 2, .o = 2, .kh = 2, .kw = 2,
                                         .a_type = PRECINFER_F32, .b_type = PRECINFER_F32,
                                         .c_type = PRECINFER_F32, .input = x, .weights = w, .output = y };
    struct precinfer_conv2d v = ok;
    precinfer_weights *p = NULL;
    h_expect(!precinfer_conv2d(ctx, &ok, NULL), "the plain case");
    conv_refused(NULL, ok, "context is NULL");
    v = ok; v.groups = 3; conv_refused(ctx, v, "groups = 3 does not divide c = 2");
    v = ok; v.kh = 5; conv_refused(ctx, v, "a kernel of 5 x 2 does not fit 4 x 4");
    v = ok; v.o = 0; conv_refused(ctx, v, "a size is 0");
    v = ok; v.input = NULL; conv_refused(ctx, v, "input is NULL");
    v = ok; v.weights = NULL; conv_refused(ctx, v, "weights is NULL");
    v = ok; v.input_zero_point = 3; conv_refused(ctx, v, "input_zero_point is 3");
    v = ok; v.h = v.w = v.c = 4096; conv_refused(ctx, v, "larger than 2 GiB");
    ck_assert(!precinfer_conv2d_pack(ctx, &ok, &p, NULL));
    v = ok; v.weights = NULL; v.packed = p; v.kw = 1; conv_refused(ctx, v, "packed for another shape");
    struct precinfer_gemm g = { .size = sizeof g, .m = 2, .n = 2, .k = 8, .lda = 8, .ldc = 2, .a = x, .c = y, .packed = p,
                                .a_type = PRECINFER_F32, .b_type = PRECINFER_F32, .c_type = PRECINFER_F32 };
    gemm_refused(ctx, g, "a convolution's");
    precinfer_weights_free(p);
    precinfer_context_free(ctx);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- quantize */

START_TEST(quantize)
{
    enum { N = 70001 };
    const enum pi_type type = _i ? PI_S8 : PI_U8;
    const int least = _i ? -128 : 0;
    float *x = filled(PI_F32, N, H_RANDOM), *back = h_guard_aligned(N * 4, 4);
    void *q = h_guard(N), *want = malloc(N);
    h_reseed(_i);
    for (size_t i = 0; i < N; i++) if (i % 3 == 0) x[i] = (float)h_between(-300, 300) * 0.05f;
    x[0] = NAN; x[1] = INFINITY; x[2] = -INFINITY; x[3] = -0.0f; x[4] = 3e38f;
    const struct precinfer_qparams params = { 0.1f, _i ? -3 : 117 };
    for (size_t i = 0; i < N; i++) {
        double v = x[i] != x[i] ? 0 : nearbyint((double)(x[i] / params.scale));
        v += params.zero_point;
        v = v < least ? least : v > least + 255 ? least + 255 : v;
        ((uint8_t *)want)[i] = (uint8_t)(int)v;
    }
    for (size_t threads = 1; threads < 4; threads++) {
        struct h_host host = { .threads = threads };
        precinfer_context *ctx = h_context(&host, threads == 2 ? "ref" : NULL);
        struct precinfer_error err = { 0 };
        h_expect(!precinfer_quantize(ctx, x, N, params, (enum precinfer_dtype)type, q, &err), "%s", err.text);
        h_same("quantize", want, q, type, N);
        h_expect(!precinfer_dequantize(ctx, q, (enum precinfer_dtype)type, N, params, back, &err), "%s", err.text);
        for (size_t i = 0; i < N; i++) {
            const int v = type == PI_U8 ? ((const uint8_t *)q)[i] : ((const int8_t *)q)[i];
            h_expect(back[i] == (float)(v - params.zero_point) * params.scale, "dequantize %zu", i);
        }
        h_expect(!precinfer_quantize(ctx, NULL, 0, params, (enum precinfer_dtype)type, NULL, &err), "nothing");
        h_expect(precinfer_quantize(ctx, x, N, params, PRECINFER_F32, q, &err) && strstr(err.text, "float32"), "%s", err.text);
        h_expect(precinfer_quantize(ctx, x, N, (struct precinfer_qparams){ 0, 0 }, PRECINFER_U8, q, &err) &&
                 strstr(err.text, "scale"), "%s", err.text);
        h_expect(precinfer_quantize(ctx, x, N, (struct precinfer_qparams){ 1, 300 }, PRECINFER_U8, q, &err) &&
                 strstr(err.text, "zero point 300"), "%s", err.text);
        h_expect(precinfer_dequantize(ctx, NULL, PRECINFER_U8, 4, params, back, &err) && strstr(err.text, "NULL"), "%s",
                 err.text);
        precinfer_context_free(ctx);
    }
    h_guard_free(x); h_guard_free(back); h_guard_free(q);
    free(want);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("api_kernel");
    h_add(s, "gemm", gemm, TYPES, 20);
    h_add(s, "gemm errors", gemm_errors, 1, 20);
    h_add(s, "conv2d", conv2d, TYPES, 20);
    h_add(s, "conv2d errors", conv2d_errors, 1, 20);
    h_add(s, "quantize", quantize, 2, 20);
    return s;
}
