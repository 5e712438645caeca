/* Gemm and MatMul against the law in the plainest C: f32 and integers bit for bit. */
#include "oprun.h"
#include "../kernels/ref/epilogue.h"

extern const struct pi_opdef pi_op_Gemm, pi_op_MatMul;

static void *filled(enum pi_type t, size_t n, enum h_kind kind)
{
    void *p = h_guard_aligned(n * h_type_size(t), 4);
    h_fill(p, t, n, kind);
    return p;
}
static struct pi_tensor tensor(enum pi_type t, int rank, const int64_t *dims, enum h_kind kind)
{
    struct pi_tensor x = { .type = (uint8_t)t, .rank = rank };
    for (int d = 0; d < rank; d++) x.dims[d] = dims[d];
    pi_row_major(&x);
    x.data = filled(t, (size_t)pi_elements(&x), kind);
    return x;
}
static void release(struct op_run *r)
{
    for (size_t i = 0; i < r->nin; i++) h_guard_free(r->in[i].data);
    h_guard_free(r->res.data);
}

struct variant { const char *mask; size_t threads; unsigned late; int open; };
static const struct variant variants[] = { { NULL, 1, 0, 0 }, { NULL, 2, 0, 0 }, { NULL, 4, 0, 0 }, { "ref", 3, 0, 0 },
                                           { NULL, 1, 0, 1 },
                                           { NULL, 1, 2, 0 }, { NULL, 3, 6, 1 }, { "ref", 1, 4, 0 } };

static void compare(const char *what, const struct op_run *run, const void *want, size_t n)
{
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        if (variants[v].late && run->in[0].type == PI_U8) continue;
        struct h_host host = { .threads = variants[v].threads };
        precinfer_context *ctx = h_context(&host, variants[v].mask);
        struct precinfer_error err = { 0 };
        struct op_run r = *run;
        char text[640];
        r.late = variants[v].late;
        r.open = variants[v].open;
        const int status = op_exec(ctx, &r, &err);
        snprintf(text, sizeof text, "%s, variant %zu, %s", what, v, status ? err.text : r.kernel);
        h_expect(!status && pi_elements(&r.out) == (int64_t)n, "%s: %d, %lld outputs, not %zu", text, status,
                 status ? 0LL : (long long)pi_elements(&r.out), n);
        if (!status) h_same(text, want, r.out.data, (enum pi_type)r.out.type, n);
        h_guard_free(r.out.data);
        precinfer_context_free(ctx);
        h_expect(!host.live, "%s: leak", text);
    }
}

/* ---------------------------------------------------------------- Gemm */

/* c: 0 none, 1 scalar of rank 0, 2 (n), 3 (1, n), 4 (m, 1), 5 (m, n), 6 (1) */
struct gemm { int64_t m, n, k; float alpha, beta; int ta, tb, c; };
static const struct gemm gemms[] = {
    { 1, 17, 33, 1, 1, 0, 0, 2 }, { 13, 50, 40, 1, 1, 0, 1, 2 }, { 7, 16, 9, 1, 1, 1, 0, 3 }, { 5, 3, 64, 1, 1, 1, 1, 0 },
    { 9, 33, 21, 0.7f, 1, 0, 0, 2 }, { 6, 20, 15, 1, 0.3f, 0, 1, 2 }, { 4, 35, 11, -1.3f, 0.1f, 1, 0, 5 },
        { 11, 18, 8, 1, 1, 0, 0, 4 },
    { 3, 40, 12, 1, 2, 0, 1, 1 }, { 8, 24, 19, 1, 1, 0, 1, 5 }, { 1, 24, 19, 0.5f, 1, 0, 1, 5 }, { 2, 1, 30, 1, 1, 0, 0, 4 },
    { 60, 70, 128, 1, 1, 0, 0, 2 }, { 10, 9, 5, 1, 1, 0, 0, 6 }, { 1, 1, 1, 1, 1, 0, 0, 1 } };
enum { GEMMS = sizeof gemms / sizeof *gemms };

static float widened(const struct pi_tensor *t, size_t i)
{
    return t->type == PI_F32 ? ((const float *)t->data)[i] : h_from_bf16(((const uint16_t *)t->data)[i]);
}

static void make_gemm(struct op_run *r, const struct gemm *g, enum pi_type a, enum pi_type out, enum pi_type res, int acts,
                      enum h_kind kind)
{
    *r = (struct op_run){ .op = &pi_op_Gemm, .nin = g->c ? 3 : 2, .out = { .type = (uint8_t)out } };
    const int64_t ad[2] = { g->ta ? g->k : g->m, g->ta ? g->m : g->k }, bd[2] = { g->tb ? g->n : g->k, g->tb ? g->k : g->n };
    const int64_t mn[2] = { g->m, g->n }, m1[2] = { g->m, 1 }, one_n[2] = { 1, g->n };
    op_float(r, "alpha", g->alpha);
    op_float(r, "beta", g->beta);
    op_int(r, "transA", g->ta);
    op_int(r, "transB", g->tb);
    r->in[0] = tensor(a, 2, ad, kind);
    r->in[1] = tensor(a == PI_U8 ? PI_S8 : a, 2, bd, kind);
    if (g->c) r->in[2] = tensor(PI_F32, g->c == 1 ? 0 : g->c == 2 || g->c == 6 ? 1 : 2, g->c == 2 ? &g->n : g->c == 3 ? one_n
                                : g->c == 5 ? mn : m1 + (g->c == 6), H_SMALL);
    if (g->c) ((float *)r->in[2].data)[0] = -0.0f;
    if (acts) r->fused = (struct pi_fused){ .has_act = 1, .act_lo = -1.5f, .act_hi = 30, .has_clamp = 1, .lo = 0, .hi = 60 };
    if (res) { r->fused.has_res = 1; r->res = tensor(res, 2, mn, H_RANDOM); r->res.scale = 0.3f; r->res.zp = 9; }
}

static float c_value(const struct gemm *g, const struct op_run *r, int64_t i, int64_t j)
{
    if (!g->c) return 0;
    const float *c = r->in[2].data;
    const float v = g->c == 1 || g->c == 6 ? c[0] : g->c == 4 ? c[i] : g->c == 5 ? c[i * g->n + j] : c[j];
    return (float)((double)g->beta * (double)v) + 0.0f;
}

static void gemm_oracle(const struct gemm *g, const struct op_run *r, const float *sw, void *y, double *y64, double *bound)
{
    const double step = r->out.type == PI_U8 ? (double)r->out.scale : 1;
    const int integer = r->in[0].type == PI_U8;
    struct pi_epi e = { .stages = (integer ? PI_SCALE : 0u) | (r->fused.has_act ? PI_ACT : 0u) | (r->fused.has_res ? PI_RES
            : 0u), .out = r->out.type,
                        .res_type = r->res.type, .act_lo = (float)((double)r->fused.act_lo / step),
                            .act_hi = (float)((double)r->fused.act_hi / step),
                        .lo = -INFINITY, .hi = INFINITY, .zp = r->out.zp, .res_scale = (float)((double)r->res.scale / step),
                            .res_zp = r->res.zp };
    if (r->fused.has_clamp) { e.lo = (float)((double)r->fused.lo / step); e.hi = (float)((double)r->fused.hi / step); }
    if (e.out == PI_U8) { e.lo = fmaxf(e.lo, (float)-e.zp); e.hi = fminf(e.hi, (float)(255 - e.zp)); }
    const size_t ye = h_type_size((enum pi_type)e.out), re = r->fused.has_res ? h_type_size((enum pi_type)r->res.type) : 0;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            float sum = 0; int32_t isum = 0;
            double s64 = 0, size = 0;
            for (int64_t k = 0; k < g->k; k++) {
                const size_t ia = (size_t)(g->ta ? k * g->m + i : i * g->k + k), ib = (size_t)(g->tb ? j * g->k + k
                        : k * g->n + j);
                if (integer) { isum += (((const uint8_t *)r->in[0].data)[ia] - r->in[0].zp) * ((const int8_t *)r->in[1].data)[ib]; continue; }
                const float a = widened(&r->in[0], ia), b = widened(&r->in[1], ib);
                sum = fmaf(a, (float)((double)g->alpha * (double)b), sum);
                s64 += (double)a * (double)b;
                size += fabs((double)a * (double)b);
            }
            const float add = c_value(g, r, i, j);
            const size_t at = (size_t)(i * g->n + j);
            const char *const res = r->fused.has_res ? (const char *)r->res.data + at * re : NULL;
            if (y64) { y64[at] = (double)g->alpha * s64 + (double)add;
                       bound[at] = 1e-6 * (fabs((double)g->alpha) * size + fabs((double)add)) + 1e-30; }
            if (!integer) { e.bias = &add; law_float(&e, sum, 0, 0, res, 0, (char *)y + at * ye); continue; }
            const double s = (double)r->in[0].scale * (double)(float)((double)g->alpha * (double)sw[j]);
            const int32_t bias = (int32_t)nearbyint((double)add / s);
            const float scale = (float)(s / step);
            e.bias = &bias; e.scale = &scale;
            law_int(&e, isum, 0, 0, res, 0, (char *)y + at * ye);
        }
}

static void check_gemm(int i, enum pi_type a, enum pi_type out, enum pi_type res, int acts, enum h_kind kind)
{
    const struct gemm *g = &gemms[i];
    struct op_run r;
    float sw[256];
    if (a == PI_U8 && (g->c == 4 || g->c == 5)) return;
    make_gemm(&r, g, a, out, res, acts, kind);
    h_fill_tie_scales(sw, (size_t)g->n);
    if (a == PI_U8) { r.weight_scale = sw; r.in[0].scale = h_tie_scale(); r.in[0].zp = h_between(0, 255); r.in[0].quantized = 1; }
    if (out == PI_U8) { r.out.scale = (float)(25 * sqrt((double)g->k)); r.out.zp = h_between(0, 255); r.out.quantized = 1; }
    const size_t n = (size_t)(g->m * g->n);
    void *want = malloc(n * 4);
    char what[80];
    gemm_oracle(g, &r, sw, want, NULL, NULL);
    snprintf(what, sizeof what, "Gemm %lld %lld %lld trans %d %d c %d", (long long)g->m, (long long)g->n, (long long)g->k, g->ta,
             g->tb, g->c);
    compare(what, &r, want, n);
    free(want);
    release(&r);
}

START_TEST(gemm_f32)
{
    h_reseed(_i);
    check_gemm(_i, PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
    check_gemm(_i, PI_F32, PI_F32, PI_F32, 1, H_LAPLACE);
    check_gemm(_i, PI_F32, PI_F32, PI_U8, 1, H_LAPLACE);
    h_finish();
}
END_TEST

START_TEST(gemm_near_float64)
{
    const struct gemm *g = &gemms[_i];
    const size_t n = (size_t)(g->m * g->n);
    struct op_run r;
    h_reseed(_i);
    make_gemm(&r, g, PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
    float *law = malloc(n * sizeof *law);
    double *want = malloc(n * sizeof *want), *bound = malloc(n * sizeof *bound);
    gemm_oracle(g, &r, NULL, law, want, bound);
    h_near("Gemm", want, law, bound, n);
    free(law); free(want); free(bound);
    release(&r);
    h_finish();
}
END_TEST

START_TEST(gemm_int8)
{
    h_reseed(_i);
    if (gemms[_i].c == 4 || gemms[_i].c == 5) return;
    check_gemm(_i, PI_U8, PI_U8, PI_NONE, 0, H_RANDOM);
    check_gemm(_i, PI_U8, PI_U8, PI_U8, 1, H_TIE);
    check_gemm(_i, PI_U8, PI_F32, PI_NONE, 1, H_EXTREME);
    h_finish();
}
END_TEST

START_TEST(gemm_bf16)
{
    h_reseed(_i);
    if (gemms[_i].alpha != 1) return;   /* scaled weights are no small integers any more */
    check_gemm(_i, PI_BF16, PI_F32, PI_NONE, 0, H_SMALL);
    check_gemm(_i, PI_BF16, PI_BF16, PI_BF16, 1, H_SMALL);
    h_finish();
}
END_TEST

/* A row's bits do not depend on how many rows there are. */
START_TEST(rows)
{
    struct gemm g = { 29, 37, 53, 1, 1, 0, _i, 2 };
    struct op_run all, one;
    h_reseed(_i);
    make_gemm(&all, &g, PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
    struct h_host host = { .threads = 3 };
    precinfer_context *ctx = h_context(&host, NULL);
    ck_assert(!op_exec(ctx, &all, NULL));
    for (int64_t m = 1; m < g.m; m++) {
        one = all;
        one.in[0].dims[0] = m;
        ck_assert(!op_exec(ctx, &one, NULL));
        h_same("rows", all.out.data, one.out.data, PI_F32, (size_t)(m * g.n));
        h_guard_free(one.out.data);
    }
    h_guard_free(all.out.data);
    release(&all);
    precinfer_context_free(ctx);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- MatMul */

struct matmul { int ra, rb; int64_t a[4], b[4]; int ry; int64_t y[4]; };
static const struct matmul matmuls[] = {
    { 2, 2, { 7, 20 }, { 20, 33 }, 2, { 7, 33 } },
    { 3, 2, { 3, 5, 20 }, { 20, 17 }, 3, { 3, 5, 17 } },
    { 4, 4, { 2, 3, 9, 16 }, { 2, 3, 16, 10 }, 4, { 2, 3, 9, 10 } },
    { 4, 3, { 2, 3, 4, 8 }, { 3, 8, 18 }, 4, { 2, 3, 4, 18 } },
    { 4, 4, { 2, 1, 4, 8 }, { 1, 5, 8, 6 }, 4, { 2, 5, 4, 6 } },
    { 3, 3, { 1, 6, 7 }, { 4, 7, 5 }, 3, { 4, 6, 5 } },
    { 2, 3, { 6, 7 }, { 4, 7, 5 }, 3, { 4, 6, 5 } },
    { 3, 4, { 4, 3, 8 }, { 1, 1, 8, 5 }, 4, { 1, 4, 3, 5 } },
    { 1, 2, { 12 }, { 12, 9 }, 1, { 9 } },
    { 2, 1, { 9, 12 }, { 12 }, 1, { 9 } },
    { 1, 1, { 31 }, { 31 }, 0, { 0 } },
    { 1, 3, { 6 }, { 2, 6, 5 }, 2, { 2, 5 } },
    { 3, 1, { 2, 4, 6 }, { 6 }, 2, { 2, 4 } },
    { 3, 3, { 8, 1, 32 }, { 8, 32, 40 }, 3, { 8, 1, 40 } } };
enum { MATMULS = sizeof matmuls / sizeof *matmuls };

/* Offset of batch i of the output (dims of y but the last two) in a tensor of rank r. */
static size_t batch_of(const int64_t *dims, int r, const int64_t *y, int ry, int64_t i)
{
    size_t at = 0, step = 1;
    for (int d = 1; d <= ry; d++) {
        const int64_t own = r - 2 - d >= 0 ? dims[r - 2 - d] : 1, index = i % y[ry - d];
        i /= y[ry - d];
        if (own > 1) at += (size_t)index * step;
        step *= (size_t)own;
    }
    return at;
}

static void matmul_oracle(const struct matmul *t, const struct op_run *r, const float *sw, void *out)
{
    const int64_t m = t->ra > 1 ? t->a[t->ra - 2] : 1, k = t->a[t->ra - 1], n = t->rb > 1 ? t->b[t->rb - 1] : 1;
    const int batch = t->ry - (t->ra > 1) - (t->rb > 1), integer = r->in[0].type == PI_U8;
    struct pi_epi e = { .stages = (integer ? PI_SCALE : 0u) | (r->fused.has_act ? PI_ACT : 0u) | (r->fused.has_res ? PI_RES
            : 0u), .out = r->out.type, .res_type = r->res.type,
                        .act_lo = r->fused.act_lo, .act_hi = r->fused.act_hi, .lo = -INFINITY, .hi = INFINITY };
    int64_t count = 1;
    for (int d = 0; d < batch; d++) count *= t->y[d];
    for (int64_t i = 0; i < count * m * n; i++) {
        const int64_t b = i / (m * n), row = i / n % m, j = i % n;
        const size_t a0 = batch_of(t->a, t->ra, t->y, batch, b) * (size_t)(m * k), b0 = batch_of(t->b, t->rb, t->y, batch,
                b) * (size_t)(k * n);
        float sum = 0; int32_t isum = 0;
        const float zero = 0; const int32_t none = 0;
        for (int64_t p = 0; p < k; p++) {
            const size_t ia = a0 + (size_t)(row * k + p), ib = b0 + (size_t)(p * n + j);
            if (integer) isum += (((const uint8_t *)r->in[0].data)[ia] - r->in[0].zp) * ((const int8_t *)r->in[1].data)[ib];
            else sum = fmaf(widened(&r->in[0], ia), widened(&r->in[1], ib), sum);
        }
        const void *res = r->fused.has_res ? (const char *)r->res.data + (size_t)i * h_type_size((enum pi_type)r->res.type)
            : NULL;
        if (integer) {
            const float scale = (float)((double)r->in[0].scale * (double)sw[j]);
            e.bias = &none; e.scale = &scale;
            law_int(&e, isum, 0, 0, res, 0, (float *)out + i);
        } else {
            e.bias = &zero;
            law_float(&e, sum, 0, 0, res, 0, (char *)out + (size_t)i * h_type_size((enum pi_type)r->out.type));
        }
    }
}

static void check_matmul(int i, enum pi_type a, enum pi_type out, int rest, enum h_kind kind)
{
    const struct matmul *t = &matmuls[i];
    struct op_run r = { .op = &pi_op_MatMul, .nin = 2, .out = { .type = (uint8_t)out } };
    float sw[64];
    r.in[0] = tensor(a, t->ra, t->a, kind);
    r.in[1] = tensor(a == PI_U8 ? PI_S8 : a, t->rb, t->b, kind);
    h_fill_tie_scales(sw, 64);
    if (a == PI_U8) { r.weight_scale = sw; r.in[0].scale = h_tie_scale(); r.in[0].zp = 131; }
    if (rest) {
        r.fused = (struct pi_fused){ .has_act = 1, .act_lo = -2, .act_hi = 50, .has_res = 1 };
        r.res = tensor(out, t->ry, t->y, H_RANDOM);
    }
    struct pi_tensor y = { .rank = t->ry };
    for (int d = 0; d < t->ry; d++) y.dims[d] = t->y[d];
    const size_t n = (size_t)pi_elements(&y);
    void *want = malloc(n * 4);
    char what[40];
    matmul_oracle(t, &r, sw, want);
    snprintf(what, sizeof what, "MatMul case %d", i);
    compare(what, &r, want, n);
    free(want);
    release(&r);
}

START_TEST(matmul)
{
    h_reseed(_i);
    check_matmul(_i, PI_F32, PI_F32, 0, H_RANDOM);
    check_matmul(_i, PI_F32, PI_F32, 1, H_RANDOM);
    check_matmul(_i, PI_BF16, PI_BF16, 1, H_SMALL);
    if (matmuls[_i].rb == 2) check_matmul(_i, PI_U8, PI_F32, 1, H_RANDOM);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- errors */

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
    struct h_host host = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    struct op_run g, r;
    h_reseed(_i);
    make_gemm(&g, &gemms[1], PI_F32, PI_F32, PI_NONE, 0, H_RANDOM);
    r = g; r.in[0].dims[1] = 39; refused(ctx, r, "A has 39 columns, B 40 rows");
    r = g; r.in[0].rank = 3; refused(ctx, r, "A has 3 dimensions");
    r = g; r.in[2].dims[0] = 49; refused(ctx, r, "C does not broadcast to 13 x 50");
    r = g; r.attr[0].f = INFINITY; refused(ctx, r, "alpha or beta is not finite");
    r = g; ((float *)r.in[1].data)[7] = NAN; refused(ctx, r, "weight 7 of 2000");
    release(&g);
    make_gemm(&g, &gemms[9], PI_U8, PI_F32, PI_NONE, 0, H_RANDOM);
    float sw[24];
    h_fill_tie_scales(sw, 24);
    g.weight_scale = sw; g.in[0].scale = 1;
    refused(ctx, g, "one row");
    release(&g);
    const int64_t two[] = { 3, 4, 8 }, other[] = { 2, 8, 5 };
    struct op_run m = { .op = &pi_op_MatMul, .nin = 2, .out = { .type = PI_F32 } };
    m.in[0] = tensor(PI_F32, 3, two, H_RANDOM);
    m.in[1] = tensor(PI_F32, 3, other, H_RANDOM);
    refused(ctx, m, "batch dimension 0: 3 and 2");
    r = m; r.in[1].dims[1] = 7; refused(ctx, r, "A has 8 columns, B 7 rows");
    release(&m);
    precinfer_context_free(ctx);
    h_finish();
}
END_TEST

START_TEST(no_memory)
{
    struct op_run r;
    float sw[64];
    h_reseed(_i);
    make_gemm(&r, &gemms[_i ? 4 : 1], _i ? PI_F32 : PI_U8, PI_F32, PI_NONE, 0, H_RANDOM);
    h_fill_tie_scales(sw, 64);
    r.weight_scale = sw; r.in[0].scale = 1;
    for (long n = 1; ; n++) {
        struct h_host host = { 0 };
        precinfer_context *ctx = h_context(&host, NULL);
        struct op_run q = r;
        host.fail_at = host.calls + n;
        const int status = op_exec(ctx, &q, NULL);
        h_guard_free(q.out.data);
        precinfer_context_free(ctx);
        h_expect(!host.live && (!host.failed || status == PRECINFER_NO_MEMORY), "allocation %ld: status %d, %ld live", n, status,
                 (long)host.live);
        if (!host.failed) break;
    }
    release(&r);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("op_gemm");
    h_add(s, "Gemm f32", gemm_f32, GEMMS, 20);
    h_add(s, "Gemm near float64", gemm_near_float64, GEMMS, 20);
    h_add(s, "Gemm int8", gemm_int8, GEMMS, 20);
    h_add(s, "Gemm bf16", gemm_bf16, GEMMS, 20);
    h_add(s, "rows", rows, 2, 20);
    h_add(s, "MatMul", matmul, MATMULS, 20);
    h_add(s, "errors", errors, 1, 20);
    h_add(s, "no memory", no_memory, 2, 20);
    return s;
}
