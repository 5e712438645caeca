#include "harness.h"
#include <fenv.h>
#include <math.h>
#include "../lib/base/tensor.h"

/* ---------------------------------------------------------------- types */

START_TEST(types)
{
    size_t seen = 0;
    for (int t = PI_NONE; t <= PI_BOOL; t++) {
        h_expect(pi_type_size(t) == h_type_size(t), "%s: %zu bytes", pi_type_name(t), pi_type_size(t));
        seen += strlen(pi_type_name(t));
    }
    h_expect(seen > 60 && !strcmp(pi_type_name(PI_F32), "float32") && !strcmp(pi_type_name(PI_S8), "int8"), "names");
    h_expect(pi_type_size((enum pi_type)99) == 0 && !strcmp(pi_type_name((enum pi_type)99), "unknown"), "type 99");
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- 16-bit floats, against arithmetic in double */

struct format { int exponent_bits, mantissa_bits; };
static const struct format bf16 = { 8, 7 }, f16 = { 5, 10 };

/* The value that 16 bits stand for: (-1)^s * 1.m * 2^(e - bias), from the definition. */
static double meaning(struct format f, unsigned x)
{
    const unsigned e = x >> f.mantissa_bits & ((1u << f.exponent_bits) - 1), m = x & ((1u << f.mantissa_bits) - 1);
    const int bias = (1 << (f.exponent_bits - 1)) - 1;
    double v;
    if (e == (1u << f.exponent_bits) - 1) v = m ? (double)NAN : (double)INFINITY;
    else v = ldexp(e ? m + ldexp(1, f.mantissa_bits) : m, (e ? (int)e : 1) - bias - f.mantissa_bits);
    return x >> 15 ? -v : v;
}
/* The nearest number of the format, ties to even, as a double: by rounding a multiple of the step at that magnitude. */
static double nearest(struct format f, double x)
{
    const int bias = (1 << (f.exponent_bits - 1)) - 1;
    if (x == 0 || !isfinite(x)) return x;
    int e = ilogb(x);
    if (e < 1 - bias) e = 1 - bias;
    const double step = ldexp(1, e - f.mantissa_bits), r = nearbyint(x / step) * step;
    return fabs(r) >= ldexp(1, bias + 1) ? copysign(INFINITY, x) : r;
}
static int same_value(double a, double b) { return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b)); }

START_TEST(widening)
{
    for (unsigned x = 0; x < 65536; x++) {
        const float b = pi_bf16_to_f32((uint16_t)x), h = pi_f16_to_f32((uint16_t)x);
        h_expect(same_value((double)b, meaning(bf16, x)), "bf16 %04x became %a", x, (double)b);
        h_expect(same_value((double)h, meaning(f16, x)), "f16 %04x became %a", x, (double)h);
        if (!isnan(b)) h_expect(pi_f32_to_bf16(b) == x, "bf16 %04x came back as %04x", x, pi_f32_to_bf16(b));
        if (!isnan(h)) h_expect(pi_f32_to_f16(h) == x, "f16 %04x came back as %04x", x, pi_f32_to_f16(h));
    }
    h_finish();
}
END_TEST

static void narrow(float v)
{
    const unsigned b = pi_f32_to_bf16(v), h = pi_f32_to_f16(v);
    const double x = (double)v;
    h_expect(same_value(meaning(bf16, b), nearest(bf16, x)), "%a became bf16 %04x", x, b);
    h_expect(same_value(meaning(f16, h), nearest(f16, x)), "%a became f16 %04x", x, h);
    if (isnan(v)) h_expect((b & 0x40) && (h & 0x200), "NaN %08x became %04x, %04x: not quiet", h_bits(v), b, h);
}
START_TEST(narrowing)
{
    h_reseed(0);
    for (uint64_t u = h_below(4099); u < (uint64_t)1 << 32; u += 4099) narrow(h_float((uint32_t)u));
    /* every tie between two neighbours, and one step to either side of it */
    for (unsigned x = 0; x < 65536; x++)
        for (uint32_t d = 0; d < 3; d++) {
            narrow(h_float((x << 16 | 0x8000) + d - 1));
            const double tie = (meaning(f16, x) + meaning(f16, (x + 1) & 0xffff)) / 2;
            narrow(h_float(h_bits((float)tie) + d - 1));
        }
    static const uint32_t special[] = { 0, 0x80000000, 0x7f800000, 0xff800000, 0x7f800001, 0xff800001, 0x7fffffff, 0x7f7fffff,
                                        1, 0x80000001, 0x33000000, 0x33000001, 0x32ffffff, 0x477fefff, 0x477ff000, 0x38800000,
                                        0x387fffff, 0x387ff000, 0x7f7f8000, 0x7f7f7fff };
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) narrow(h_float(special[i]));
    h_finish();
}
END_TEST

/* The host's rounding mode plays no part. */
START_TEST(rounding_modes)
{
    static const int each[] = { FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
    static uint16_t want[2][20000];
    for (int i = -1; i < 3; i++) {
        h_reseed(7);
        if (i >= 0) fesetround(each[i]);
        int bad = 0;
        for (int j = 0; j < 20000; j++) {
            const float x = h_float(h_rnd());
            const uint16_t b = pi_f32_to_bf16(x), h = pi_f32_to_f16(x);
            if (i < 0) { want[0][j] = b; want[1][j] = h; }
            else bad += b != want[0][j] || h != want[1][j];
        }
        fesetround(FE_TONEAREST);
        h_expect(!bad, "mode %d: %d differ", i, bad);
    }
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- shapes */

static struct pi_tensor shape(int rank, const int64_t *dims)
{
    struct pi_tensor t = { .type = PI_F32, .rank = rank };
    for (int i = 0; i < rank; i++) t.dims[i] = dims[i];
    return t;
}

START_TEST(layouts)
{
    struct pi_tensor t = shape(4, (const int64_t[]){ 2, 3, 5, 7 }), u;
    pi_row_major(&t);
    h_expect(t.stride[0] == 105 && t.stride[1] == 35 && t.stride[2] == 7 && t.stride[3] == 1, "row-major");
    h_expect(pi_is_row_major(&t) && !pi_is_channels_last(&t), "row-major is not seen");
    pi_channels_last(&t);
    h_expect(t.stride[0] == 105 && t.stride[1] == 1 && t.stride[2] == 21 && t.stride[3] == 3, "channels last");
    h_expect(!pi_is_row_major(&t) && pi_is_channels_last(&t), "channels last is not seen");
    t = shape(5, (const int64_t[]){ 2, 3, 4, 5, 7 });
    pi_channels_last(&t);
    h_expect(t.stride[0] == 420 && t.stride[1] == 1 && t.stride[2] == 105 && t.stride[3] == 21 && t.stride[4] == 3,
             "channels last 3d");
    t = shape(3, (const int64_t[]){ 2, 3, 7 });
    pi_channels_last(&t);
    h_expect(t.stride[0] == 21 && t.stride[1] == 1 && t.stride[2] == 3, "channels last 1d");
    for (int rank = 0; rank < 3; rank++) {              /* below three dimensions both are the same */
        t = u = shape(rank, (const int64_t[]){ 4, 6 });
        pi_row_major(&t); pi_channels_last(&u);
        h_expect(!memcmp(t.stride, u.stride, sizeof t.stride) && pi_is_row_major(&u) && pi_is_channels_last(&t), "rank %d", rank);
    }
    t = shape(4, (const int64_t[]){ 1, 8, 1, 1 });      /* dimensions of 1 may have any stride */
    t.stride[0] = 99; t.stride[1] = 1; t.stride[2] = 5; t.stride[3] = 77;
    h_expect(pi_is_row_major(&t) && pi_is_channels_last(&t), "dimensions of 1");
    t.stride[1] = 2;
    h_expect(!pi_is_row_major(&t) && !pi_is_channels_last(&t), "a gap is dense");
    h_finish();
}
END_TEST

START_TEST(counts)
{
    struct pi_tensor t = shape(4, (const int64_t[]){ 1, 3, -1, 32 }), u = t;
    char s[64];
    h_expect(pi_elements(&t) == -1, "open");
    h_expect(!strcmp(pi_dims_string(&t, s, sizeof s), "(1, 3, ?, 32)"), "%s", s);
    h_expect(!strcmp(pi_dims_string(&t, s, 8), "(1, 3, "), "cut: %s", s);
    h_expect(!strcmp(pi_dims_string(&t, s, 1), ""), "cut to nothing");
    h_expect(pi_same_dims(&t, &u), "same");
    t.dims[2] = 4;
    h_expect(pi_elements(&t) == 384 && !pi_same_dims(&t, &u), "384");
    t.rank = 3;
    h_expect(pi_elements(&t) == 12 && !pi_same_dims(&t, &u), "rank 3");
    t.rank = 0;
    h_expect(pi_elements(&t) == 1 && !strcmp(pi_dims_string(&t, s, sizeof s), "()"), "scalar %s", s);
    t = shape(2, (const int64_t[]){ INT64_MAX, 2 });
    h_expect(pi_elements(&t) == -1, "an overflow has a size");
    t.dims[0] = 0;
    h_expect(pi_elements(&t) == 0, "empty");
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- copies */

static size_t index_of(const struct pi_tensor *t, const int64_t *at)
{
    int64_t i = 0;
    for (int d = 0; d < t->rank; d++) i += at[d] * t->stride[d];
    return (size_t)i;
}
/* Strides of a random order of the dimensions, now and then with gaps; the number of elements spanned. */
static size_t random_layout(struct pi_tensor *t)
{
    int order[PI_MAX_RANK];
    int64_t step = 1;
    for (int i = 0; i < t->rank; i++) {
        const int j = (int)h_below((uint32_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    const uint32_t kind = h_below(4);
    for (int i = 0; i < t->rank; i++) {
        t->stride[order[i]] = step;
        step = step * t->dims[order[i]] + (kind == 3 ? h_below(3) : 0);
    }
    if (kind == 0) { pi_row_major(t); step = pi_elements(t); }
    if (kind == 1) { pi_channels_last(t); step = pi_elements(t); }
    return (size_t)step;
}

static void copy_once(enum pi_type type, const char *what)
{
    struct pi_tensor from = { .type = (uint8_t)type, .rank = (int)h_below(PI_MAX_RANK + 1) };
    for (int i = 0; i < from.rank; i++) from.dims[i] = h_below(8) ? 1 + h_below(from.rank > 4 ? 4 : 9) : h_below(30) ? 40 : 0;
    if (from.rank > 4) for (int i = 0; i < from.rank; i++) if (from.dims[i] > 9) from.dims[i] = 2;
    if (pi_elements(&from) > 60000) from.dims[0] = 1;
    struct pi_tensor to = from;
    const size_t e = h_type_size(type), nf = random_layout(&from), nt = random_layout(&to);
    from.data = h_guard(nf * e);
    to.data = h_guard(nt * e);
    h_fill(from.data, type, nf, H_RANDOM);
    char *want = malloc(nt * e + 1);
    memset(want, H_CANARY, nt * e);             /* gaps stay as they were */
    int64_t at[PI_MAX_RANK] = { 0 };
    for (int64_t n = pi_elements(&from); n > 0; n--) {
        memcpy(want + index_of(&to, at) * e, (char *)from.data + index_of(&from, at) * e, e);
        for (int d = from.rank - 1; d >= 0 && ++at[d] == from.dims[d]; d--) at[d] = 0;
    }
    pi_copy(&from, &to);
    h_same_bytes(what, want, to.data, nt * e);
    free(want);
    h_guard_free(from.data);
    h_guard_free(to.data);
}
START_TEST(copies)
{
    static const enum pi_type each[] = { PI_U8, PI_BF16, PI_F32, PI_S64 };
    h_reseed(_i);
    for (int i = 0; i < 300; i++) copy_once(each[_i], pi_type_name(each[_i]));
    h_finish();
}
END_TEST

/* A stride of 0 in the source repeats it. */
START_TEST(broadcast)
{
    float x[3] = { 1, 2, 3 }, y[12];
    struct pi_tensor from = shape(2, (const int64_t[]){ 4, 3 }), to = from;
    pi_row_major(&to);
    from.stride[0] = 0; from.stride[1] = 1;
    from.data = x; to.data = y;
    pi_copy(&from, &to);
    for (int i = 0; i < 12; i++) h_expect(y[i] == x[i % 3], "element %d", i);
    from.stride[0] = from.stride[1] = 0;
    pi_copy(&from, &to);
    for (int i = 0; i < 12; i++) h_expect(y[i] == 1, "element %d", i);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("base_tensor");
    h_add(s, "types", types, 1, 5);
    h_add(s, "widening", widening, 1, 20);
    h_add(s, "narrowing", narrowing, 1, 60);
    h_add(s, "rounding_modes", rounding_modes, 1, 20);
    h_add(s, "layouts", layouts, 1, 5);
    h_add(s, "counts", counts, 1, 5);
    h_add(s, "copies", copies, 4, 60);
    h_add(s, "broadcast", broadcast, 1, 5);
    return s;
}
