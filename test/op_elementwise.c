/* Elementwise operators: every one against double, broadcasting, layouts, quantized forms, integers. */
#include "op_reference.h"
#include "../lib/op/elt.h"

static double relu(double x) { return x < 0 ? 0 : x; }
static double leaky(double x) { return x < 0 ? x * (double)0.3f : x; }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double hard_sigmoid(double x) { return fmin(fmax(x * (double)0.25f + (double)0.4f, 0), 1); }
static double hard_swish(double x) { return x * fmin(fmax(x / 6 + 0.5, 0), 1); }
static double negative(double x) { return -x; }
static double reciprocal(double x) { return 1 / x; }
static double clipped(double x) { return fmin(fmax(x, -0.5), 0.75); }

static const struct { const char *op; double (*f)(double); double lo, hi, relative, absolute; } unary[] = {
    { "Relu", relu, -2, 2, 0, 0 }, { "LeakyRelu", leaky, -2, 2, 1e-7, 0 }, { "Clip", clipped, -2, 2, 0, 0 },
    { "Sigmoid", sigmoid, -9, 9, 1e-6, 1e-7 }, { "HardSigmoid", hard_sigmoid, -3, 3, 1e-6, 1e-7 },
    { "HardSwish", hard_swish, -5, 5, 1e-6, 1e-6 }, { "Tanh", tanh, -4, 4, 1e-6, 1e-7 }, { "Exp", exp, -20, 20, 1e-6, 0 },
    { "Log", log, 0.01, 20, 1e-6, 1e-6 }, { "Sqrt", sqrt, 0, 20, 1e-7, 0 }, { "Abs", fabs, -2, 2, 0, 0 },
    { "Neg", negative, -2, 2, 0, 0 }, { "Reciprocal", reciprocal, 0.1, 3, 1e-7, 0 }, { "Floor", floor, -9, 9, 0, 0 },
    { "Ceil", ceil, -9, 9, 0, 0 }, { "Erf", erf, -3, 3, 1e-6, 1e-7 }
};
enum { UNARIES = sizeof unary / sizeof unary[0] };

static const struct { int rank; int64_t dims[5]; } shapes[] = {
    { 4, { 2, 3, 5, 7 } }, { 4, { 1, 17, 4, 4 } }, { 3, { 2, 33, 5 } }, { 2, { 3, 40 } }, { 1, { 9 } }, { 0, { 0 } },
    { 5, { 2, 2, 3, 2, 5 } }, { 4, { 2, 0, 3, 3 } }, { 4, { 2, 40, 21, 23 } }
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

START_TEST(test_unary)
{
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int s = 0; s < SHAPES; s++) {
        struct c_case c;
        c_begin(&c, h.ctx[0], unary[_i].op, 17);
        const struct pi_tensor *x = c_in_random(&c, shapes[s].rank, shapes[s].dims, unary[_i].lo, unary[_i].hi);
        if (unary[_i].f == leaky) c_float(&c, "alpha", 0.3f);
        if (unary[_i].f == hard_sigmoid) { c_float(&c, "alpha", 0.25f); c_float(&c, "beta", 0.4f); }
        if (unary[_i].f == clipped) {
            *(float *)c_in(&c, PI_F32, 0, NULL)->data = -0.5f;
            *(float *)c_in(&c, PI_F32, 0, NULL)->data = 0.75f;
        }
        struct r_tensor rx = r_of(x);
        r_verify(&h, &c, r_unary(unary[_i].f, &rx), unary[_i].relative, unary[_i].absolute, unary[_i].op);
        r_free(&rx);
    }
    r_close(&h);
    h_finish();
}
END_TEST

static double plus(double a, double b) { return a + b; }
static double minus(double a, double b) { return a - b; }
static double times(double a, double b) { return a * b; }
static double over(double a, double b) { return a / b; }
static double prelu(double a, double b) { return a < 0 ? a * b : a; }
static double equal(double a, double b) { return a == b; }
static double less(double a, double b) { return a < b; }
static double greater(double a, double b) { return a > b; }
static double at_most(double a, double b) { return a <= b; }
static double at_least(double a, double b) { return a >= b; }

static const struct { const char *op; double (*f)(double, double); double lo, hi, relative; int whole; } binary[] = {
    { "Add", plus, -2, 2, 1e-7, 0 }, { "Sub", minus, -2, 2, 1e-7, 0 }, { "Mul", times, -2, 2, 1e-7, 0 }, { "Div", over, 0.1, 2,
        1e-7, 0 },
    { "Max", fmax, -2, 2, 0, 0 }, { "Min", fmin, -2, 2, 0, 0 }, { "PRelu", prelu, -2, 2, 1e-7, 0 }, { "Pow", pow, 0.05, 5, 1e-7,
        0 },
    { "Equal", equal, -2, 2, 0, 1 }, { "Less", less, -2, 2, 0, 1 }, { "Greater", greater, -2, 2, 0, 1 },
    { "LessOrEqual", at_most, -2, 2, 0, 1 }, { "GreaterOrEqual", at_least, -2, 2, 0, 1 }
};
enum { BINARIES = sizeof binary / sizeof binary[0] };

static const struct { int ra; int64_t a[5]; int rb; int64_t b[5]; } pairs[] = {
    { 4, { 2, 3, 5, 7 }, 4, { 2, 3, 5, 7 } }, { 4, { 2, 19, 3, 3 }, 3, { 19, 1, 1 } }, { 4, { 2, 3, 5, 7 }, 1, { 7 } },
    { 4, { 2, 3, 5, 7 }, 0, { 0 } }, { 4, { 2, 3, 5, 7 }, 4, { 1, 3, 5, 1 } }, { 2, { 3, 40 }, 2, { 3, 1 } },
        { 1, { 9 }, 1, { 1 } },
    { 4, { 2, 3, 1, 7 }, 4, { 1, 3, 5, 1 } }, { 2, { 4, 1 }, 2, { 1, 5 } }, { 0, { 0 }, 3, { 2, 3, 4 } },
        { 3, { 3, 1, 1 }, 4, { 2, 3, 5, 7 } },
    { 3, { 2, 1, 5 }, 3, { 2, 4, 1 } },
    { 4, { 2, 40, 21, 23 }, 3, { 40, 1, 1 } }
};
enum { PAIRS = sizeof pairs / sizeof pairs[0] };

static void round_all(const struct pi_tensor *t)
{
    for (int64_t k = 0, n = pi_elements(t); k < n; k++) ((float *)t->data)[k] = (float)rint((double)((float *)t->data)[k]);
}

START_TEST(test_binary)
{
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int s = 0; s < PAIRS; s++) {
        struct c_case c;
        if (!strcmp(binary[_i].op, "PRelu") && s >= 7 && s < 12) continue;      /* one way only */
        c_begin(&c, h.ctx[0], binary[_i].op, 17);
        const struct pi_tensor *a = c_in_random(&c, pairs[s].ra, pairs[s].a, binary[_i].lo, binary[_i].hi);
        const struct pi_tensor *b = c_in_random(&c, pairs[s].rb, pairs[s].b, binary[_i].lo, binary[_i].hi);
        if (binary[_i].whole) { round_all(a); round_all(b); }
        struct r_tensor ra = r_of(a), rb = r_of(b);
        r_verify(&h, &c, r_binary(binary[_i].f, &ra, &rb), binary[_i].relative, 0, binary[_i].op);
        r_free(&ra);
        r_free(&rb);
    }
    r_close(&h);
    h_finish();
}
END_TEST

/* Exact forms of Pow, and the special cases of the general one. */
START_TEST(test_pow_exponents)
{
    static const float ys[] = { -1, -0.5f, 0, 0.5f, 1, 2, 3, 5, -2, 2.5f, -0.25f, 1e-3f, 40 };
    static const float xs[] = { 0, 1, 2, 0.5f, 3, 1e-3f, 1e3f, -1, -2, 1.5f, 1e-30f, 1e30f };
    struct r_hosts h;
    r_open(&h);
    for (size_t k = 0; k < sizeof ys / sizeof *ys; k++) {
        struct c_case c;
        const int64_t n = sizeof xs / sizeof *xs;
        c_begin(&c, h.ctx[0], "Pow", 13);
        memcpy(c_in(&c, PI_F32, 1, &n)->data, xs, sizeof xs);
        *(float *)c_in(&c, PI_F32, 0, NULL)->data = ys[k];
        r_all_layouts(&h, &c, "Pow");
        for (int64_t i = 0; i < n; i++) {
            const double w = pow((double)xs[i], (double)ys[k]);
            const float want = (float)w, got = ((float *)c.out[0].data)[i];
            const int small = fabs(w) < 1e-36;                          /* flushed, or rounded in steps */
            h_expect(got == want || (got != got && want != want) || small || fabs((double)got - w) <= 1.3e-7 * fabs(w),
                     "%g to the %g: %.9g, should be %.9g", (double)xs[i], (double)ys[k], (double)got, w);
        }
        c_end(&c);
    }
    r_close(&h);
    h_finish();
}
END_TEST

START_TEST(test_variadic)
{
    static const struct { const char *op; double (*f)(double, double); } ops[] = { { "Sum", plus }, { "Mean", plus },
        { "Max", fmax }, { "Min", fmin } };
    struct r_hosts h;
    r_open(&h);
    for (int k = 0; k < 4; k++)
        for (size_t inputs = 1; inputs <= 4; inputs++) {
            struct c_case c;
            c_begin(&c, h.ctx[0], ops[k].op, 13);
            struct r_tensor want = { 0 };
            for (size_t i = 0; i < inputs; i++) {
                static const struct { int rank; int64_t dims[4]; } in[] = { { 3, { 3, 1, 1 } }, { 0, { 0 } },
                    { 4, { 2, 3, 5, 7 } }, { 1, { 7 } } };
                struct r_tensor x = r_of(c_in_random(&c, in[i].rank, in[i].dims, -2, 2));
                if (i == 0) { want = x; continue; }
                const struct r_tensor next = r_binary(ops[k].f, &want, &x);
                r_free(&x);
                r_free(&want);
                want = next;
            }
            for (size_t i = 0; k == 1 && i < want.n; i++) want.v[i] /= (double)inputs;
            r_verify(&h, &c, want, 1e-6, 1e-6, ops[k].op);
        }
    r_close(&h);
    h_finish();
}
END_TEST

/* u8 to u8: within half a step of the exact result (ties may go either way), and where all operands are u8 exactly what the
 * documented formula gives. Mixed operands go through f32. */
static void quantize_at(struct pi_tensor *t, float scale, int32_t zp) { t->quantized = 1; t->scale = scale; t->zp = zp; }
START_TEST(test_quantized)
{
    static const struct { const char *op; double (*f)(double, double); } ops[] = { { "Add", plus }, { "Mul", times },
        { "Sub", minus } };
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int k = 0; k < 3; k++)
        for (int s = 0; s < PAIRS; s++)
            for (int mixed = 0; mixed < 2; mixed++) {
                struct c_case c;
                c_begin(&c, h.ctx[0], ops[k].op, 17);
                struct pi_tensor *a = c_in(&c, PI_U8, pairs[s].ra, pairs[s].a);
                struct pi_tensor *b = mixed ? c_in_random(&c, pairs[s].rb, pairs[s].b, -3, 3) : c_in(&c, PI_U8, pairs[s].rb,
                    pairs[s].b);
                quantize_at(a, 0.021f, 100);
                if (!mixed) quantize_at(b, 0.013f, 140);
                for (int64_t i = 0, n = pi_elements(a); i < n; i++) ((uint8_t *)a->data)[i] = (uint8_t)h_rnd();
                for (int64_t i = 0, n = pi_elements(b); !mixed && i < n; i++) ((uint8_t *)b->data)[i] = (uint8_t)h_rnd();
                c.out_quantized = 1;
                c.out_scale = 0.0317f;
                c.out_zp = 120;
                struct r_tensor ra = r_of(a), rb = r_of(b), want = r_binary(ops[k].f, &ra, &rb);
                const double step = (double)c.out_scale;
                for (size_t i = 0; i < want.n; i++) want.v[i] = fmin(fmax(want.v[i], (0 - 120) * step), (255 - 120) * step);
                r_verify(&h, &c, want, 0, 0.5001 * step, ops[k].op);
                r_free(&ra);
                r_free(&rb);
            }
    r_close(&h);
    h_finish();
}
END_TEST

START_TEST(test_integers)
{
    static const struct { const char *op; double (*f)(double, double); } ops[] = { { "Add", plus }, { "Sub", minus },
        { "Mul", times }, { "Max", fmax }, { "Min", fmin } };
    struct r_hosts h;
    h_reseed(0);
    r_open(&h);
    for (int k = 0; k < 5; k++)
        for (int s = 0; s < PAIRS; s++)
            for (int type = 0; type < 2; type++) {
                struct c_case c;
                c_begin(&c, h.ctx[0], ops[k].op, 17);
                const enum pi_type t = type ? PI_S32 : PI_S64;
                struct pi_tensor *in[2] = { c_in(&c, t, pairs[s].ra, pairs[s].a), c_in(&c, t, pairs[s].rb, pairs[s].b) };
                for (int i = 0; i < 2; i++) h_fill(in[i]->data, t, (size_t)pi_elements(in[i]), 0);
                for (int i = 0; i < 2; i++)
                    for (int64_t e = 0, n = pi_elements(in[i]); e < n; e++) {
                        const int v = h_between(-1000, 1000);
                        if (type) ((int32_t *)in[i]->data)[e] = v; else ((int64_t *)in[i]->data)[e] = v;
                    }
                struct r_tensor ra = r_of(in[0]), rb = r_of(in[1]);
                r_verify(&h, &c, r_binary(ops[k].f, &ra, &rb), 0, 0, ops[k].op);
                r_free(&ra);
                r_free(&rb);
            }
    /* Division truncates; nothing traps. */
    struct c_case c;
    c_begin(&c, h.ctx[0], "Div", 13);
    C_S64(&c, 7, -7, 5, INT64_MIN);
    C_S64(&c, 2, 2, 0, -1);
    r_all_layouts(&h, &c, "Div");
    h_same("Div of s64", (const int64_t[]){ 3, -3, 0, INT64_MIN }, c.out[0].data, PI_S64, 4);
    c_end(&c);
    r_close(&h);
    h_finish();
}
END_TEST

START_TEST(test_where_and_logic)
{
    struct r_hosts h;
    h_reseed(0);
    r_open(&h);
    for (int k = 0; k < 20; k++) {
        struct c_case c;
        c_begin(&c, h.ctx[0], "Where", 16);
        struct pi_tensor *cond = k & 1 ? c_in(&c, PI_BOOL, C_DIMS(2, 3, 1, 7)) : c_in(&c, PI_BOOL, C_DIMS(3, 1, 1));
        for (int64_t i = 0, n = pi_elements(cond); i < n; i++) ((uint8_t *)cond->data)[i] = (uint8_t)(h_rnd() & 1);
        struct r_tensor w = r_of(cond), a = r_of(c_in_random(&c, C_DIMS(2, 3, 5, 7), -1, 1)),
            b = r_of(c_in_random(&c, C_DIMS(5, 7), -1, 1));
        struct r_tensor y = r_new(4, (const int64_t[]){ 2, 3, 5, 7 });
        for (size_t i = 0; i < y.n; i++) {
            int64_t at[PI_MAX_RANK];
            r_index(&y, i, at);
            y.v[i] = r_spread(&w, 4, at) != 0 ? r_spread(&a, 4, at) : r_spread(&b, 4, at);
        }
        r_verify(&h, &c, y, 0, 0, "Where");
        r_free(&w);
        r_free(&a);
        r_free(&b);
    }
    static const struct { const char *op; size_t inputs; uint8_t want[4]; } logic[] = {
        { "And", 2, { 0, 0, 0, 1 } }, { "Or", 2, { 0, 1, 1, 1 } }, { "Not", 1, { 1, 1, 0, 0 } } };
    for (int k = 0; k < 3; k++) {
        struct c_case c;
        c_begin(&c, h.ctx[0], logic[k].op, 13);
        memcpy(c_in(&c, PI_BOOL, C_DIMS(4))->data, (const uint8_t[]){ 0, 0, 1, 1 }, 4);
        if (logic[k].inputs == 2) memcpy(c_in(&c, PI_BOOL, C_DIMS(4))->data, (const uint8_t[]){ 0, 1, 0, 1 }, 4);
        r_all_layouts(&h, &c, logic[k].op);
        h_same_bytes(logic[k].op, logic[k].want, c.out[0].data, 4);
        c_end(&c);
    }
    r_close(&h);
    h_finish();
}
END_TEST

START_TEST(test_batch_normalization)
{
    struct r_hosts h;
    h_reseed(0);
    r_open(&h);
    for (int s = 0; s < SHAPES; s++) {
        if (shapes[s].rank < 2) continue;
        struct c_case c;
        const int64_t channels = shapes[s].dims[1];
        c_begin(&c, h.ctx[0], "BatchNormalization", s & 1 ? 15 : 9);
        c_float(&c, "epsilon", 1e-3f);
        struct r_tensor x = r_of(c_in_random(&c, shapes[s].rank, shapes[s].dims, -2, 2)), p[4];
        for (int k = 0; k < 4; k++) p[k] = r_of(c_in_random(&c, 1, &channels, k == 3 ? 0.1 : -1, 2));
        struct r_tensor y = r_new(x.rank, x.dims);
        for (size_t i = 0; i < y.n; i++) {
            int64_t at[PI_MAX_RANK];
            r_index(&y, i, at);
            const size_t ch = (size_t)at[1];
            y.v[i] = (x.v[i] - p[2].v[ch]) / sqrt(p[3].v[ch] + (double)1e-3f) * p[0].v[ch] + p[1].v[ch];
        }
        r_verify(&h, &c, y, 1e-6, 4e-6, "BatchNormalization");
        r_free(&x);
        for (int k = 0; k < 4; k++) r_free(&p[k]);
    }
    r_close(&h);
    h_finish();
}
END_TEST

/* A large one, so that threads do share it; and every pair of types that a plan converts. */
START_TEST(test_convert)
{
    static const struct { enum pi_type type; int quantized; } types[] = { { PI_F32, 0 }, { PI_BF16, 0 }, { PI_F16, 0 },
        { PI_U8, 1 } };
    struct r_hosts h;
    h_reseed(0);
    r_open(&h);
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 4; b++)
            for (int layout = 0; layout < 4; layout++) {
                struct pi_tensor from = { .rank = 4, .dims = { 2, 21, 29, 31 }, .type = (uint8_t)types[a].type, .scale = 0.02f,
                    .zp = 77 }, to = from;
                from.quantized = (uint8_t)types[a].quantized;
                to.type = (uint8_t)types[b].type;
                to.quantized = (uint8_t)types[b].quantized;
                to.scale = 0.05f;
                to.zp = 99;
                if (layout & 1) pi_channels_last(&from); else pi_row_major(&from);
                if (layout & 2) pi_channels_last(&to); else pi_row_major(&to);
                const size_t n = (size_t)pi_elements(&from);
                from.data = h_guard(c_bytes(&from));
                to.data = h_guard(c_bytes(&to));
                for (size_t k = 0; k < n; k++) {
                    const float v = h_unit() * 2;
                    if (from.type == PI_F32) ((float *)from.data)[k] = v;
                    else if (from.type == PI_BF16) ((uint16_t *)from.data)[k] = pi_f32_to_bf16(v);
                    else if (from.type == PI_F16) ((uint16_t *)from.data)[k] = pi_f32_to_f16(v);
                    else ((uint8_t *)from.data)[k] = (uint8_t)h_rnd();
                }
                pi_elt_convert(h.ctx[layout % 3], &from, &to);
                int64_t at[4] = { 0 };
                for (size_t k = 0; k < n; k++) {
                    size_t rest = k;
                    int64_t f = 0, t = 0;
                    for (int d = 3; d >= 0; d--) {
                        at[d] = (int64_t)(rest % (size_t)from.dims[d]);
                        rest /= (size_t)from.dims[d];
                        f += at[d] * from.stride[d];
                        t += at[d] * to.stride[d];
                    }
                    double x = from.type == PI_F16 ? pi_f16_to_f32(((uint16_t *)from.data)[f]) : r_element(&from, (size_t)f);
                    const double y = to.type == PI_F16 ? pi_f16_to_f32(((uint16_t *)to.data)[t]) : r_element(&to, (size_t)t);
                    if (to.quantized) x = fmin(fmax(x, -99 * (double)to.scale), 156 * (double)to.scale);
                    const double bound = to.quantized && types[a].quantized == 0 ? 0.5001 * (double)to.scale : to.quantized
                        ? 0.5001 * (double)to.scale
                                       : to.type == PI_BF16 ? fabs(x) / 250 : to.type == PI_F16 ? fabs(x) / 2000 + 1e-7
                                           : fabs(x) * 1e-6;
                    h_expect(fabs(x - y) <= bound, "type %d to %d, layout %d [%zu]: %g became %g", from.type, to.type, layout,
                             k, x, y);
                }
                h_guard_free(from.data);
                h_guard_free(to.data);
            }
    r_close(&h);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("op_elementwise");
    h_add(s, "unary", test_unary, UNARIES, 30);
    h_add(s, "binary", test_binary, BINARIES, 30);
    h_add(s, "pow", test_pow_exponents, 1, 30);
    h_add(s, "variadic", test_variadic, 1, 30);
    h_add(s, "quantized", test_quantized, 2, 30);
    h_add(s, "integers", test_integers, 1, 30);
    h_add(s, "where, logic", test_where_and_logic, 1, 30);
    h_add(s, "batch normalization", test_batch_normalization, 1, 30);
    h_add(s, "convert", test_convert, 1, 30);
    return s;
}
