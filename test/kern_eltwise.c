/* Elementwise rows. Every row that this CPU can run against the reference row, bit for bit: lengths around the vector's,
 * guarded buffers, aliased operands, special values and a sample of all floats. The reference against double. */
#include <math.h>
#include "rows.h"

static struct r_rows rows;

/* ------------------------------------------------------------------------------------------------ one call */

static int is_binary(const struct pi_row *r) { return r->op >= PI_ADD && r->op <= PI_MIN2; }
static enum pi_type out_type(const struct pi_row *r)
{
    for (int t = PI_F32; t <= PI_BOOL; t++) if (r->outs == PI_BIT(t)) return t;
    return PI_NONE;
}

/* Parameters that any row can take; u8 ones lie in a plausible range. */
static struct pi_elt parameters(const struct pi_row *r, const uint8_t *table)
{
    const int s8 = r->a == PI_S8 || out_type(r) == PI_S8, lo = s8 ? -128 : 0, hi = s8 ? 127 : 255;
    struct pi_elt t = { .p = { r_scale[h_below(16)], r_scale[h_below(16)] }, .table = table };
    for (int i = 0; i < 3; i++) t.z[i] = h_below(4) ? h_between(lo, hi) : h_below(2) ? lo : hi;
    t.lo = -t.z[2];
    t.hi = 255 - t.z[2];
    if (h_below(2)) t.lo = h_between(-t.z[2], 255 - t.z[2]), t.hi = h_between((int)t.lo, 255 - t.z[2]);
    if (r->op == PI_CLIP) {
        t.lo = h_below(3) ? h_unit() : h_below(2) ? 0 : -INFINITY;
        t.hi = h_below(3) ? t.lo + 1 : INFINITY;
        if (t.lo == -INFINITY) t.hi = 6;
    }
    if (r->op == PI_MUL && r->a == PI_U8) t.p[0] *= 0.01f;
    return t;
}

static void fill(void *p, enum pi_type type, size_t n, enum h_kind kind, float scale)
{
    if (type == PI_BF16) { for (size_t i = 0; i < n; i++) ((uint16_t *)p)[i] = (uint16_t)h_rnd(); return; }
    if (type == PI_F16) { for (size_t i = 0; i < n; i++) ((uint16_t *)p)[i] = (uint16_t)h_rnd(); return; }
    h_fill(p, type, n, kind);
    if (type != PI_F32) return;
    float *f = p;
    for (size_t i = 0; i < n; i++) {
        if (h_below(8) == 0) f[i] = r_special[h_below(R_SPECIAL)];
        else if (kind == H_TIE) f[i] = r_step(((float)h_between(-300, 300) + 0.5f) * scale, h_between(-1, 1));
        else if (kind == H_RANDOM && h_below(2)) f[i] = h_float(h_rnd());
    }
}

enum alias { APART, C_IS_A, C_IS_B };
/* Runs `row` and its reference on the same guarded operands. */
static void once(const struct pi_row *row, size_t n, enum h_kind kind, uint32_t mode, enum alias alias)
{
    const struct pi_row *ref = r_ref(row);
    const enum pi_type to = out_type(row);
    const size_t ea = h_type_size(row->a), eb = h_type_size(row->b), ec = h_type_size(to);
    const size_t na = mode & PI_A_SCALAR ? 1 : n, nb = mode & PI_B_SCALAR ? 1 : n;
    if ((alias == C_IS_A && ea != ec) || (alias == C_IS_B && (!eb || eb != ec))) return;
    uint8_t *table = h_guard(256);
    h_fill(table, PI_U8, 256, H_RANDOM);
    struct pi_elt t = parameters(row, table);
    char *a = h_guard(na * ea), *b = eb ? h_guard(nb * eb) : NULL, *want = h_guard(n * ec), *c = h_guard(n * ec);
    fill(a, row->a, na, kind, t.p[0]);
    if (b) fill(b, row->b, nb, kind, t.p[1]);
    t.n = n; t.a = a; t.b = b; t.mode = mode;

    t.c = want;
    ref->fn.elt(&t);
    t.c = c;
    if (alias == C_IS_A && !(mode & PI_A_SCALAR)) { memcpy(c, a, n * ec); t.a = c; }
    if (alias == C_IS_B && !(mode & PI_B_SCALAR)) { memcpy(c, b, n * ec); t.b = c; }
    row->fn.elt(&t);
    h_same(row->name, want, c, to, n);
    h_guard_free(a); h_guard_free(b); h_guard_free(c); h_guard_free(want); h_guard_free(table);
}

START_TEST(lengths)
{
    const struct pi_row *row = rows.row[_i];
    const size_t most = r_quick() ? 19 : 35;
    ck_assert_msg(r_ref(row) != NULL, "%s has no reference row", row->name);
    h_reseed(_i);
    for (size_t n = 0; n <= most; n++)
        for (uint32_t mode = 0; mode < (is_binary(row) ? 4u : 1u); mode++)
            for (int alias = APART; alias <= C_IS_B; alias++)
                if (!r_quick() || h_below(3) == 0) once(row, n, (enum h_kind)h_below(H_KINDS), mode, (enum alias)alias);
    for (int i = 0; i < (r_quick() ? 8 : 60); i++)
        once(row, 100 + h_below(2000), (enum h_kind)(i % H_KINDS), is_binary(row) ? h_below(4) : 0, (enum alias)h_below(3));
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ a sample of all floats */

enum { CHUNK = 4096 };
struct sample { float x[CHUNK]; size_t n; uint64_t next; };
/* Fills x with the next floats of the sample; 0 at its end. Steps of a prime visit every exponent and low bit pattern. */
static int sample(struct sample *s)
{
    const uint32_t step = r_quick() ? 409993 : 4099;
    for (s->n = 0; s->n < CHUNK && s->next <= UINT32_MAX; s->next += step) s->x[s->n++] = h_float((uint32_t)s->next);
    return s->n > 0;
}

static void compare(const struct pi_row *row, const struct pi_elt *parameters_, const float *x, size_t n)
{
    static float want[CHUNK], got[CHUNK];
    struct pi_elt t = *parameters_;
    t.n = n;
    t.a = x;
    t.c = want;
    r_ref(row)->fn.elt(&t);
    t.c = got;
    row->fn.elt(&t);
    h_same(row->name, want, got, out_type(row), n);
}

START_TEST(floats)
{
    const struct pi_row *row = rows.row[_i];
    if (row->a != PI_F32 || is_binary(row)) return;
    h_reseed(_i);
    const struct pi_elt t = parameters(row, NULL);
    struct sample s = { .next = 0 };
    while (sample(&s)) compare(row, &t, s.x, s.n);
    compare(row, &t, r_special, R_SPECIAL);
    h_finish();
}
END_TEST

/* All scales; and around every tie that can decide a value, a few floats on either side. */
START_TEST(quantize)
{
    const struct pi_row *row = rows.row[_i];
    if (row->op != PI_QUANTIZE) return;
    static float x[CHUNK];
    h_reseed(_i);
    for (int k = 0; k < R_SCALES; k++) {
        const int zp = out_type(row) == PI_S8 ? h_between(-128, 127) : h_between(0, 255);
        struct pi_elt t = { .p = { r_scale[k], 0 }, .z = { 0, 0, zp } };
        size_t n = 0;
        for (int q = -260; q <= 260; q++)
            for (int d = -3; d <= 3; d++) x[n++] = r_step(((float)q + 0.5f) * r_scale[k], d);
        compare(row, &t, x, n);
        if (r_quick() && k % 8) continue;
        struct sample s = { .next = h_below(4099) };
        while (sample(&s)) compare(row, &t, s.x, s.n);
    }
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ reference against double */

static const struct pi_row *ref_of(enum pi_elt_op op, enum pi_type a, enum pi_type b, enum pi_type c)
{
    for (const struct pi_row *r = pi_isas[0].rows; r->name; r++)
        if (r->family == PI_ELTWISE && r->op == op && r->a == a && r->b == b && r->outs == PI_BIT(c)) return r;
    ck_abort_msg("no reference row for op %d", op);
}

static double of_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double of_reciprocal(double x) { return 1 / x; }
static double of_neg(double x) { return -x; }
static double of_leaky(double x) { return x < 0 ? x * (double)0.01f : x; }
static double of_clip(double x) { return x < -1 ? -1 : x > 6 ? 6 : x; }
static double unit(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
static double of_hardsigmoid(double x) { return unit(x * (double)0.01f + 0.5); }
static double of_hardswish(double x) { return x * unit(x / 6 + 0.5); }

static const struct { enum pi_elt_op op; double (*f)(double); double ulps; } functions[] = {
    { PI_EXP, exp, 1 }, { PI_SIGMOID, of_sigmoid, 2 }, { PI_TANH, tanh, 2 }, { PI_LOG, log, 2 }, { PI_ERF, erf, 2 },
    { PI_SQRT, sqrt, 0.5 }, { PI_RECIPROCAL, of_reciprocal, 0.5 }, { PI_FLOOR, floor, 0 }, { PI_CEIL, ceil, 0 },
    { PI_ABS, fabs, 0 }, { PI_NEG, of_neg, 0 }, { PI_LEAKY, of_leaky, 0.5 }, { PI_CLIP, of_clip, 0 },
    { PI_HARDSIGMOID, of_hardsigmoid, 0 }, { PI_HARDSWISH, of_hardswish, 0 }
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* The distance between floats at |x|. */
static double ulp(double x)
{
    int e;
    x = fabs(x);
    frexp(x < 0x1p-126 ? 0x1p-126 : x, &e);
    return ldexp(1, e - 24);
}
static void accurate(int i, const float *x, const float *y, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        const double want = functions[i].f(x[j]), got = y[j];
        if (isnan(want)) { h_expect(isnan(got), "op %d of %a: want NaN, got %g", functions[i].op, (double)x[j], got); continue; }
        if (isinf((float)want) || isinf(got)) {
            h_expect((double)(float)want == got, "op %d of %a: want %g, got %g", functions[i].op, (double)x[j], want, got);
            continue;
        }
        double bound = functions[i].ulps * ulp(want);              /* gates cancel near 0 */
        if (functions[i].op == PI_HARDSIGMOID) bound = 2 * ulp(0.5);
        if (functions[i].op == PI_HARDSWISH) bound = 2 * ulp(fabs((double)x[j]));
        h_expect(fabs(got - want) <= bound && !signbit(got) == !signbit(want), "op %d of %a: want %.9g, got %.9g",
                 functions[i].op, (double)x[j], want, got);
    }
}
START_TEST(accuracy)
{
    static float y[CHUNK];
    struct sample s = { .next = 0 };
    struct pi_elt t = { .p = { 0.01f, 0.5f }, .lo = -1, .hi = 6, .c = y };
    const struct pi_row *row = ref_of(functions[_i].op, PI_F32, PI_NONE, PI_F32);
    t.a = r_special; t.n = R_SPECIAL;
    row->fn.elt(&t);
    accurate(_i, r_special, y, t.n);
    while (sample(&s)) {
        t.a = s.x; t.n = s.n;
        row->fn.elt(&t);
        accurate(_i, s.x, y, s.n);
    }
    h_finish();
}
END_TEST

/* A double rounds to the same float as the operation itself: 53 >= 2 * 24 + 2 bits. */
START_TEST(arithmetic)
{
    enum { N = 20000 };
    static float x[N], y[N], z[N], want[N];
    h_reseed(0);
    fill(x, PI_F32, N, H_RANDOM, 1);
    fill(y, PI_F32, N, H_RANDOM, 1);
    for (int i = 0; i < R_SPECIAL * R_SPECIAL; i++) x[i] = r_special[i / R_SPECIAL], y[i] = r_special[i % R_SPECIAL];
    for (int op = PI_ADD; op <= PI_MIN2; op++) {
        struct pi_elt t = { .n = N, .a = x, .b = y, .c = z };
        for (int i = 0; i < N; i++) {
            const double a = x[i], b = y[i];
            const double most = a > b ? a : b, least = a < b ? a : b, chosen = op == PI_MAX2 ? most : least;   /* zeros: b */
            const double extreme = isnan(a) || isnan(b) ? NAN : chosen;
            want[i] = (float)(op == PI_ADD ? a + b : op == PI_SUB ? a - b : op == PI_MUL ? a * b : op == PI_DIV ? a / b :
                              extreme);
        }
        ref_of(op, PI_F32, PI_F32, PI_F32)->fn.elt(&t);
        h_same("f32 arithmetic", want, z, PI_F32, N);
    }
    h_finish();
}
END_TEST

/* The value of an f16 pattern, by the definition. */
static double half_value(uint16_t h)
{
    const int e = h >> 10 & 31, m = h & 1023;
    const double v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}
static double half_or_next(int h) { return h == 0x7c00 ? 65536 : half_value((uint16_t)h); }
START_TEST(halves)
{
    static uint16_t h[65536], b[65536], back[65536];
    static float f[65536];
    struct pi_elt t = { .n = 65536, .a = h, .c = f };
    for (int i = 0; i < 65536; i++) h[i] = (uint16_t)i;
    ref_of(PI_CONVERT, PI_F16, PI_NONE, PI_F32)->fn.elt(&t);
    for (int i = 0; i < 65536; i++) {
        const double v = half_value(h[i]);
        const int same = isnan(v) ? isnan(f[i]) : (double)f[i] == v && !signbit(f[i]) == !(h[i] >> 15);
        h_expect(same, "f16 %04x is %g, not %g", h[i], v, (double)f[i]);
    }
    t.a = f; t.c = back;
    ref_of(PI_CONVERT, PI_F32, PI_NONE, PI_F16)->fn.elt(&t);
    h_same("f16 there and back", h, back, PI_F16, 65536);
    t.a = h; t.c = f;
    ref_of(PI_CONVERT, PI_BF16, PI_NONE, PI_F32)->fn.elt(&t);
    t.a = f; t.c = b;
    ref_of(PI_CONVERT, PI_F32, PI_NONE, PI_BF16)->fn.elt(&t);
    h_same("bf16 there and back", h, b, PI_BF16, 65536);
    /* Nearest of all floats of a sample, ties to even. */
    static uint16_t q[CHUNK], w[CHUNK];
    struct sample s = { .next = 3 };
    while (sample(&s)) {
        t = (struct pi_elt){ .n = s.n, .a = s.x, .c = q };
        ref_of(PI_CONVERT, PI_F32, PI_NONE, PI_F16)->fn.elt(&t);
        t.c = w;
        ref_of(PI_CONVERT, PI_F32, PI_NONE, PI_BF16)->fn.elt(&t);
        for (size_t i = 0; i < s.n; i++) {
            const float x = s.x[i];
            if (isnan(x)) { h_expect(h_is_nan(PI_F16, q, i) && h_is_nan(PI_BF16, w, i), "NaN %08x", h_bits(x)); continue; }
            const int a = q[i] & 0x7fff;
            const double ax = fabs((double)x), v = half_or_next(a);
            const double below = a ? half_or_next(a - 1) : -1, above = a < 0x7c00 ? half_or_next(a + 1) : INFINITY;
            const int up = ax - v == (above - v) / 2, down = v - ax == (v - below) / 2;
            const int nearest = ax - v <= (above - v) / 2 && v - ax <= (v - below) / 2 && !((up || down) && a & 1);
            h_expect((a == 0x7c00 && ax >= 65520) || nearest, "f16 of %a is %04x", (double)x, q[i]);
            h_expect(w[i] == h_to_bf16(x), "bf16 of %a is %04x", (double)x, w[i]);
        }
    }
    h_finish();
}
END_TEST

/* Quantized values lie within half a step of the truth, NaN is the zero point; u8 operators within half and a little. */
START_TEST(integers)
{
    static float x[CHUNK];
    static uint8_t q[CHUNK], a[65536], b[65536], c[65536];
    h_reseed(0);
    for (int k = 0; k < R_SCALES; k++) {
        const int zp = h_between(0, 255);
        struct pi_elt t = { .n = CHUNK, .a = x, .c = q, .p = { r_scale[k], 0 }, .z = { 0, 0, zp } };
        for (int i = 0; i < CHUNK; i++) x[i] = h_below(50) ? h_unit() * 300 * r_scale[k] : r_special[h_below(R_SPECIAL)];
        ref_of(PI_QUANTIZE, PI_F32, PI_NONE, PI_U8)->fn.elt(&t);
        for (int i = 0; i < CHUNK; i++) {
            const double v = isnan(x[i]) ? 0 : (double)x[i] / (double)r_scale[k], lo = -zp, hi = 255 - zp;
            const double want = v < lo ? lo : v > hi ? hi : v;
            h_expect(fabs(q[i] - zp - want) <= 0.5 + 2e-5, "%a / %a: %g is quantized to %d", (double)x[i],
                     (double)r_scale[k], v, q[i] - zp);
        }
    }
    for (int i = 0; i < 65536; i++) a[i] = (uint8_t)i, b[i] = (uint8_t)(i >> 8);
    static const enum pi_elt_op ops[] = { PI_ADD, PI_SUB, PI_MUL, PI_MAX2, PI_MIN2 };
    for (int k = 0; k < 5; k++) {
        const struct pi_row *row = ref_of(ops[k], PI_U8, PI_U8, PI_U8);
        struct pi_elt t = parameters(row, NULL);
        t.n = 65536; t.a = a; t.b = b; t.c = c; t.mode = 0;
        row->fn.elt(&t);
        for (int i = 0; i < 65536; i++) {
            const double u = a[i] - t.z[0], v = b[i] - t.z[1], p0 = (double)t.p[0], ru = u * p0, rv = v * (double)t.p[1];
            double w = ops[k] == PI_ADD ? ru + rv : ops[k] == PI_SUB ? ru - rv : ops[k] == PI_MUL ? u * v * p0 :
                       (ru > rv) == (ops[k] == PI_MAX2) ? ru : rv;
            w = w < (double)t.lo ? (double)t.lo : w > (double)t.hi ? (double)t.hi : w;
            h_expect(fabs(c[i] - t.z[2] - w) <= 0.5 + 1e-4, "%s of %d and %d is %d, not %g", row->name, a[i], b[i],
                     c[i] - t.z[2], w);
        }
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("kern_eltwise");
    r_find(&rows, PI_ELTWISE);
    r_print(&rows);
    if (!rows.n) return s;
    h_add(s, "lengths", lengths, (int)rows.n, 120);
    h_add(s, "floats", floats, (int)rows.n, 120);
    h_add(s, "quantize", quantize, (int)rows.n, 120);
    if (!r_ref_wanted()) return s;
    h_add(s, "accuracy", accuracy, FUNCTIONS, 120);
    h_add(s, "arithmetic", arithmetic, 1, 120);
    h_add(s, "halves", halves, 1, 120);
    h_add(s, "integers", integers, 1, 120);
    return s;
}
