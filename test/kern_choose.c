/* The choice over a list made up here, so that it is about the rules and not about the rows of today. */
#include "harness.h"
#include "../lib/kern/choose.h"

static const struct pi_packing s8x16k2 = { "k2", PI_S8, 16, 2, 0 }, s8x16q = { "q", PI_S8, 16, 4, 1 },
                               s8x32k4 = { "k4", PI_S8, 32, 4, 0 }, s8x16k1 = { "k1", PI_S8, 16, 1, 0 },
                               f32x16 = { "f16", PI_F32, 16, 1, 0 }, f32x32 = { "f32", PI_F32, 32, 1, 0 },
                               dw = { "dw", PI_S8, 16, 1, 0 }, s8x16h = { "h", PI_S8, 16, 4, PI_HALVED },
                               s8x16s = { "s", PI_S8, 16, 4, PI_SQUARES };
static void prep(const struct pi_tile *t, void *dst) { (void)t; (void)dst; }

enum { INT = PI_SCALE | PI_ROW_SCALE | PI_RANK1 | PI_RANK2 | PI_ACT | PI_RES | PI_TABLE, PLAIN = PI_SCALE,
       OUTS = PI_BIT(PI_U8) | PI_BIT(PI_F32) };
#define INT_ROW(n, pack, height, rate, s) \
    { .name = n, .family = PI_GEMM, .a = PI_U8, .b = PI_S8, .acc = PI_S32, .outs = OUTS, .stages = s, .mr = height, \
      .macs = rate, .packing = &pack }
#define PREP_ROW(n, pack, height, rate) \
    { .name = n, .family = PI_GEMM, .a = PI_U8, .b = PI_S8, .acc = PI_S32, .outs = OUTS, .stages = INT, .mr = height, \
      .macs = rate, .packing = &pack, .prep = prep, .prep_bytes = 2 }
#define FLOAT_ROW(n, pack, height, rate) \
    { .name = n, .family = PI_GEMM, .a = PI_F32, .b = PI_F32, .acc = PI_F32, .outs = PI_BIT(PI_F32), \
      .stages = PI_ACT | PI_RES, .mr = height, .macs = rate, .packing = &pack }

static const struct pi_row ref[] = {
    INT_ROW("gemm_u8s8_4x16_ref", s8x16k1, 4, 1, INT), FLOAT_ROW("gemm_f32f32_4x16_ref", f32x16, 4, 1),
    { .name = "add_ref", .family = PI_ELTWISE, .op = PI_ADD, .a = PI_F32, .b = PI_F32, .outs = PI_BIT(PI_F32) },
    { .name = "mul_ref", .family = PI_ELTWISE, .op = PI_MUL, .a = PI_F32, .b = PI_F32, .outs = PI_BIT(PI_F32) },
    { .name = "dw_ref", .family = PI_DWCONV, .a = PI_U8, .b = PI_S8, .outs = OUTS, .stages = INT, .macs = 1, .packing = &dw },
    { 0 } };
static const struct pi_row avx2[] = {
    PREP_ROW("gemm_u8s8_4x16_avx2", s8x16k2, 4, 32), PREP_ROW("gemm_u8s8_2x16_avx2", s8x16k2, 2, 32),
    PREP_ROW("gemm_u8s8_1x16_avx2", s8x16k2, 1, 32),
    INT_ROW("gemm_u8s8_4x16q_avx2", s8x16q, 4, 43, INT), INT_ROW("gemm_u8s8_1x16q_avx2", s8x16q, 1, 43, INT),
    FLOAT_ROW("gemm_f32f32_6x16_avx2", f32x16, 6, 16), FLOAT_ROW("gemm_f32f32_1x16_avx2", f32x16, 1, 16),
    { .name = "add_avx2", .family = PI_ELTWISE, .op = PI_ADD, .a = PI_F32, .b = PI_F32, .outs = PI_BIT(PI_F32) }, { 0 } };
static const struct pi_row avx512[] = {
    FLOAT_ROW("gemm_f32f32_12x32_avx512", f32x32, 12, 32), FLOAT_ROW("gemm_f32f32_1x32_avx512", f32x32, 1, 32), { 0 } };
static const struct pi_row vnni[] = {
    INT_ROW("gemm_u8s8_12x32_avx512vnni", s8x32k4, 12, 128, INT), INT_ROW("gemm_u8s8_6x32_avx512vnni", s8x32k4, 6, 128, INT),
    INT_ROW("gemm_u8s8_1x32_avx512vnni", s8x32k4, 1, 128, INT), INT_ROW("gemm_u8s8_14x32_avx512vnni", s8x32k4, 14, 128, PLAIN),
    { 0 } };
static const struct pi_isa list[] = { { "ref", 0, "", ref }, { "avx2", PI_CPU_AVX2, "", avx2 },
    { "avx512", PI_CPU_AVX2 | PI_CPU_AVX512, "", avx512 },
    { "avx512vnni", PI_CPU_AVX2 | PI_CPU_AVX512 | PI_CPU_AVX512VNNI, "", vnni }, { 0 } };
enum { ALL = 15 };

static struct pi_problem gemm(enum pi_type a, enum pi_type b, enum pi_type out, size_t m, size_t n, size_t k)
{
    return (struct pi_problem){ .family = PI_GEMM, .a = (uint8_t)a, .b = (uint8_t)b, .out = (uint8_t)out,
                                .m = m, .n = n, .k = k, .segs = 1 };
}
static struct pi_problem residual(struct pi_problem p) { p.stages = PI_SCALE | PI_RES; return p; }
static const char *chosen(const char *cpu_name, uint64_t isas, const char *only, struct pi_problem p)
{
    struct pi_cpu cpu;
    if (pi_cpu_named(cpu_name, &cpu)) return "no such cpu";
    const struct pi_row *r = pi_choose_in(list, &cpu, isas, only, &p, NULL, NULL);
    return r ? r->name : "none";
}
#define IS(want, cpu, isas, only, problem) \
    do { \
        const char *got_ = chosen(cpu, isas, only, problem); \
        h_expect(!strcmp(got_, want), "%s: %s, not %s", cpu, got_, want); \
    } while (0)

START_TEST(by_cpu)
{
    const struct pi_problem q = residual(gemm(PI_U8, PI_S8, PI_U8, 784, 256, 1152));
    const struct pi_problem f = gemm(PI_F32, PI_F32, PI_F32, 784, 256, 1152);
    IS("gemm_u8s8_12x32_avx512vnni", "icelake-server", ALL, NULL, q);
    IS("gemm_u8s8_12x32_avx512vnni", "zen4", ALL, NULL, q);
    IS("gemm_f32f32_12x32_avx512", "skylake-x", ALL, NULL, f);
    IS("gemm_f32f32_12x32_avx512", "zen4", ALL, NULL, f);       /* no faster a cycle than AVX2, but fewer loads */
    IS("gemm_u8s8_14x32_avx512vnni", "zen4", ALL, NULL, gemm(PI_U8, PI_S8, PI_U8, 784, 256, 1152));     /* no stage: taller */
    IS("gemm_f32f32_6x16_avx2", "haswell", ALL, NULL, f);
    IS("gemm_f32f32_6x16_avx2", "zen", ALL, NULL, f);
    IS("gemm_f32f32_4x16_ref", "zen", 1, NULL, f);
    IS("gemm_u8s8_4x16_ref", "sapphirerapids", 1, NULL, q);
    IS("gemm_f32f32_6x16_avx2", "zen4", 3, NULL, f);            /* masked */
    IS("none", "zen4", 0, NULL, f);
    IS("none", "zen4", ALL, NULL, gemm(PI_S8, PI_S8, PI_U8, 1, 1, 1));
    IS("none", "zen4", ALL, NULL, gemm(PI_F32, PI_F32, PI_U8, 1, 1, 1));
    h_finish();
}
END_TEST

/* Exact by packing multiplies faster and stores more: how much K grows decides. */
START_TEST(growth)
{
    struct pi_problem p = gemm(PI_U8, PI_S8, PI_U8, 784, 256, 1152);
    p.growth = 1.0; IS("gemm_u8s8_4x16q_avx2", "haswell", 3, NULL, p);
    p.growth = 1.9; IS("gemm_u8s8_4x16_avx2", "haswell", 3, NULL, p);
    p.growth = 0;
    struct pi_problem guess = p;
    guess.growth = 1.25;
    h_expect(!strcmp(chosen("haswell", 3, NULL, p), chosen("haswell", 3, NULL, guess)), "unknown growth is not 1.25");
    h_finish();
}
END_TEST

/* The exact forms of AVX2 without VNNI as bench/kern finds them: Zen 1 multiplies integers on one pipe, which favours halved
 * products; on Zen 3 and Intel every form is bound by the pipes that it shares with sums, so that the fewest instructions win. */
START_TEST(exact_forms)
{
    static const struct pi_row forms[] = {
        PREP_ROW("words", s8x16k2, 6, 24), INT_ROW("quads", s8x16q, 5, 31, INT), PREP_ROW("halved", s8x16h, 6, 23),
        { .name = "squares", .family = PI_WINO, .a = PI_U8, .b = PI_S8, .acc = PI_S32, .outs = OUTS, .stages = INT, .macs = 23,
          .packing = &s8x16s }, { 0 } };
    static const struct pi_isa one[] = { { "avx2", PI_CPU_AVX2, "", forms }, { 0 } };
    static const struct { const char *cpu; double growth; const char *want; } cases[] = {
        { "zen", 0.85, "quads" }, { "zen", 1.25, "halved" }, { "zen", 2, "halved" },
        { "zen3", 0.85, "quads" }, { "zen3", 1.2, "quads" }, { "zen3", 1.5, "words" }, { "zen3", 2, "words" },
        { "haswell", 0.9, "quads" }, { "haswell", 1.9, "words" } };
    struct pi_cpu cpu;
    struct pi_problem p = gemm(PI_U8, PI_S8, PI_U8, 512, 768, 768);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert(!pi_cpu_named(cases[i].cpu, &cpu));
        p.growth = cases[i].growth;
        const struct pi_row *r = pi_choose_in(one, &cpu, 1, NULL, &p, NULL, NULL);
        h_expect(!strcmp(r->name, cases[i].want), "%s, growth %g: %s", cases[i].cpu, p.growth, r->name);
        p.growth = PI_NOT_LISTED;               /* packed at run: nothing that is listed */
        h_expect(pi_choose_in(one, &cpu, 1, NULL, &p, NULL, NULL) == &forms[0], "%s: listed at run", cases[i].cpu);
    }
    /* One row of large weights: their bytes decide. */
    static const struct { size_t n; double growth; const char *want; } rows_of_one[] = {
        { 768, 1.7, "halved" }, { 4096, 1.7, "words" }, { 768, 0.9, "quads" }, { 4096, 0.9, "quads" } };
    ck_assert(!pi_cpu_named("zen", &cpu));
    for (size_t i = 0; i < 4; i++) {
        struct pi_problem one_row = gemm(PI_U8, PI_S8, PI_U8, 1, rows_of_one[i].n, rows_of_one[i].n);
        one_row.growth = rows_of_one[i].growth;
        const struct pi_row *r = pi_choose_in(one, &cpu, 1, NULL, &one_row, NULL, NULL);
        h_expect(!strcmp(r->name, rows_of_one[i].want), "%zu, growth %g: %s", rows_of_one[i].n, one_row.growth, r->name);
    }
    /* 3x3, 64 to 64 channels at 8x8: blocks pay on both. */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert(!pi_cpu_named(cases[i].cpu, &cpu));
        struct pi_problem taps = gemm(PI_U8, PI_S8, PI_U8, 64, 64, 64), blocks = taps;
        taps.segs = blocks.segs = 9;
        taps.growth = cases[i].growth;
        blocks.family = PI_WINO;
        blocks.m = 16;
        const struct pi_row *r = pi_choose_in(one, &cpu, 1, NULL, &taps, NULL, NULL);
        h_expect(pi_cost_in(one, &cpu, &forms[3], &blocks) < pi_cost_in(one, &cpu, r, &taps), "%s: %s before blocks", cases[i].cpu,
                 r->name);
    }
    h_finish();
}
END_TEST

START_TEST(filter)
{
    const struct pi_problem q = residual(gemm(PI_U8, PI_S8, PI_U8, 784, 256, 1152));
    const struct pi_problem f = gemm(PI_F32, PI_F32, PI_F32, 784, 256, 1152);
    IS("gemm_u8s8_4x16_avx2", "zen4", ALL, "gemm_u8s8_4x16_avx2", q);
    IS("gemm_f32f32_12x32_avx512", "zen4", ALL, "gemm_u8s8_4x16_avx2", f);      /* matches nothing of this problem */
    IS("gemm_u8s8_4x16_ref", "zen4", ALL, "*_ref", q);
    IS("gemm_u8s8_12x32_avx512vnni", "zen4", ALL, "gemm_?8s8_1*", q);
    IS("gemm_u8s8_4x16q_avx2", "zen", ALL, "*q_avx2", q);
    IS("gemm_f32f32_6x16_avx2", "zen", ALL, "*_avx512", f);                     /* it cannot run here: ignored too */
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- reasons */

struct reasons { int rows; char text[32][100]; double cost[32]; };
static void note(void *user, const struct pi_row *row, double cost, const char *refused)
{
    struct reasons *r = user;
    if (r->rows >= 32) return;
    h_expect((cost < 0) == (refused != NULL), "%s: cost %g, %s", row->name, cost, refused ? refused : "taken");
    r->cost[r->rows] = cost;
    snprintf(r->text[r->rows++], 100, "%s: %s", row->name, refused ? refused : "taken");
}
static int has(const struct reasons *r, const char *text)
{
    for (int i = 0; i < r->rows; i++) if (!strcmp(r->text[i], text)) return 1;
    return 0;
}
static struct reasons reasons(const char *cpu_name, uint64_t isas, const char *glob, struct pi_problem p)
{
    struct reasons r = { 0 };
    struct pi_cpu cpu;
    ck_assert(!pi_cpu_named(cpu_name, &cpu));
    pi_choose_in(list, &cpu, isas, glob, &p, note, &r);
    return r;
}
#define HAS(r, text) h_expect(has(&r, text), "nobody said: %s", text)

START_TEST(refusals)
{
    struct pi_problem p = gemm(PI_U8, PI_S8, PI_U8, 49, 64, 64);
    p.stages = PI_SCALE | PI_RES;
    struct reasons r = reasons("skylake-x", 1 | 4 | 8, NULL, p);
    h_expect(r.rows == 15, "%d rows spoken of", r.rows);        /* every GEMM, no other family */
    HAS(r, "gemm_u8s8_4x16_ref: taken");
    HAS(r, "gemm_f32f32_4x16_ref: types");
    HAS(r, "gemm_u8s8_4x16_avx2: masked out");
    HAS(r, "gemm_u8s8_12x32_avx512vnni: cpu lacks avx512vnni");
    HAS(r, "gemm_u8s8_14x32_avx512vnni: epilogue stage: residual");
    r = reasons("zen2", ALL, NULL, p);
    HAS(r, "gemm_u8s8_12x32_avx512vnni: cpu lacks avx512");
    p.out = PI_S32;
    r = reasons("zen4", ALL, NULL, p);
    HAS(r, "gemm_u8s8_12x32_avx512vnni: output type");
    p.out = PI_U8;
    r = reasons("zen4", ALL, "*_avx2", p);
    HAS(r, "gemm_u8s8_12x32_avx512vnni: kernel filter");
    HAS(r, "gemm_u8s8_4x16q_avx2: taken");
    r = reasons("zen4", ALL, "nothing*", p);
    HAS(r, "gemm_u8s8_12x32_avx512vnni: taken");
    static const struct { uint32_t stage; const char *text; } stages[] = {
        { PI_ROW_SCALE, "row scale" }, { PI_RANK1, "rank-one terms" }, { PI_RANK2, "rank-one terms" }, { PI_ACT, "activation" },
        { PI_TABLE, "table" } };
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        char text[100];
        snprintf(text, sizeof text, "gemm_u8s8_14x32_avx512vnni: epilogue stage: %s", stages[i].text);
        p.stages = PI_SCALE | stages[i].stage;
        r = reasons("zen4", ALL, NULL, p);
        HAS(r, text);
    }
    p = (struct pi_problem){ .family = PI_ELTWISE, .op = PI_ADD, .a = PI_F32, .b = PI_F32, .out = PI_F32, .m = 1, .n = 1000 };
    r = reasons("zen3", ALL, NULL, p);
    h_expect(r.rows == 2, "%d rows", r.rows);                   /* mul is another operator */
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- cost */

static double cost(const char *cpu, const char *name, struct pi_problem p)
{
    const struct reasons r = reasons(cpu, ALL, NULL, p);
    char text[100];
    snprintf(text, sizeof text, "%s: taken", name);
    for (int i = 0; i < r.rows; i++) if (!strcmp(r.text[i], text)) return r.cost[i];
    h_expect(0, "%s is refused", name);
    return 0;
}

START_TEST(costs)
{
    const char *v = "gemm_u8s8_12x32_avx512vnni", *f = "gemm_f32f32_6x16_avx2";
    struct pi_problem p = gemm(PI_U8, PI_S8, PI_U8, 48, 256, 512), q = p;
    const double whole = cost("icelake-server", v, p);
    /* 48 x 256 x 512 products at 128 a cycle and 3 GHz are 16.4 us */
    h_expect(whole > 16.3e3 && whole < 16.4e3 * 1.6, "%g ns", whole);
    /* 49 rows are 4 x 12 + 1, not 60 */
    q.m = 49;
    h_expect(cost("icelake-server", v, q) < whole * 1.1 && cost("icelake-server", v, q) > whole, "49 rows");
    q.m = 54;                           /* 4 x 12 + 6 */
    h_expect(cost("icelake-server", v, q) < whole * 1.25, "54 rows");
    /* columns are padded to the panel, k to the group */
    q = p; q.n = 225;
    h_expect(cost("icelake-server", v, q) == whole, "225 columns");
    q = p; q.k = 509;
    h_expect(cost("icelake-server", v, q) == whole, "k 509");
    /* segments multiply */
    q = p; q.k = 128; q.segs = 4;
    h_expect(cost("icelake-server", v, q) == whole, "4 segments");
    /* families with half the width */
    p = gemm(PI_F32, PI_F32, PI_F32, 600, 512, 512);
    const double ratio = cost("zen", f, p) / cost("zen2", f, p);
    h_expect(ratio > 1.5 && ratio <= 2, "Zen 1 takes %g times as long", ratio);
    h_expect(cost("haswell", f, p) == cost("zen3", f, p), "Haswell and Zen 3");
    const char *w = "gemm_f32f32_12x32_avx512";
    h_expect(cost("zen4", w, p) > 1.5 * cost("skylake-x", w, p), "Zen 4 splits 512 bits");
    h_expect(cost("zen5", w, p) == cost("skylake-x", w, p), "Zen 5 does not");
    h_expect(cost("icelake-client", w, p) > 1.5 * cost("icelake-server", w, p), "a client has one port");
    /* a single row: every height of the packing covers it alike, and one call is a call */
    p.m = 1;
    h_expect(cost("zen3", f, p) == cost("zen3", "gemm_f32f32_1x16_avx2", p), "one row");
    /* many rows: short tiles load the panels more often */
    p.m = 600;
    h_expect(1.5 * cost("zen3", f, p) < cost("zen3", "gemm_f32f32_1x16_avx2", p), "600 rows in tiles of one");
    /* a bundle of groups reads nr channels, whatever k says */
    p = gemm(PI_U8, PI_S8, PI_U8, 48, 256, 16);
    q = p; q.a_panel = 1; q.k = 4;
    h_expect(cost("zen3", "gemm_u8s8_4x16q_avx2", q) == cost("zen3", "gemm_u8s8_4x16q_avx2", p), "a bundle");
    h_expect(cost("zen3", "gemm_u8s8_4x16_avx2", q) > cost("zen3", "gemm_u8s8_4x16_avx2", p), "prep for every panel");
    h_finish();
}
END_TEST

START_TEST(other_families)
{
    struct pi_problem p = { .family = PI_ELTWISE, .op = PI_ADD, .a = PI_F32, .b = PI_F32, .out = PI_F32, .m = 1, .n = 1000 };
    IS("add_avx2", "zen4", ALL, NULL, p);
    p.op = PI_MUL;
    IS("mul_ref", "zen4", ALL, NULL, p);
    p = (struct pi_problem){ .family = PI_DWCONV, .a = PI_U8, .b = PI_S8, .out = PI_U8, .m = 49, .n = 30, .k = 1, .segs = 9 };
    IS("dw_ref", "zen4", ALL, NULL, p);
    const double c = cost("zen4", "dw_ref", p);
    h_expect(c > 49 * 32 * 9 / 3.0 && c < 49 * 32 * 9 / 3.0 + 100, "%g ns", c);
    h_finish();
}
END_TEST

/* Among equals the later ISA; within one the first. */
START_TEST(ties)
{
    static const struct pi_row one[] = { FLOAT_ROW("a", f32x16, 4, 8), FLOAT_ROW("b", f32x16, 4, 8), { 0 } },
                               two[] = { FLOAT_ROW("c", f32x16, 4, 8), FLOAT_ROW("d", f32x16, 4, 8), { 0 } };
    static const struct pi_isa both[] = { { "x", 0, "", one }, { "y", 0, "", two }, { 0 } };
    const struct pi_problem p = gemm(PI_F32, PI_F32, PI_F32, 8, 16, 32);
    const struct pi_cpu cpu = { 0 };
    ck_assert_str_eq(pi_choose_in(both, &cpu, 3, NULL, &p, NULL, NULL)->name, "c");
    ck_assert_str_eq(pi_choose_in(both, &cpu, 1, NULL, &p, NULL, NULL)->name, "a");
}
END_TEST

/* ---------------------------------------------------------------- heights, masks, globs */

static void expect_heights(const struct pi_row *row, size_t max, const char *want)
{
    const struct pi_row *out[8];
    char s[64] = "";
    const size_t n = pi_heights_in(list, row, out, max);
    for (size_t i = 0; i < n; i++) snprintf(s + strlen(s), sizeof s - strlen(s), "%s%d", i ? " " : "", out[i]->mr);
    h_expect(!strcmp(s, want), "%s: heights %s, not %s", row->name, s, want);
}
START_TEST(heights)
{
    expect_heights(&vnni[0], 8, "12 6 1");      /* 14 cannot apply the stages that 12 can */
    expect_heights(&vnni[2], 8, "12 6 1");
    expect_heights(&vnni[3], 8, "14 12 6 1");
    expect_heights(&vnni[3], 2, "14 12");
    expect_heights(&avx2[0], 8, "4 2 1");
    expect_heights(&avx2[3], 8, "4 1");
    expect_heights(&avx2[5], 8, "6 1");         /* ref shares the packing, not the ISA */
    expect_heights(&ref[1], 8, "4");
    const struct pi_row *out[8];
    h_expect(pi_heights_in(list, &vnni[2], out, 8) == 3 && out[2] == &vnni[2], "the row itself");
    h_finish();
}
END_TEST

START_TEST(masks)
{
    struct precinfer_error err;
    struct pi_cpu skx;
    uint64_t isas = 0;
    ck_assert(!pi_cpu_named("skylake-x", &skx));
    ck_assert_uint_eq(pi_isas_of_in(list, 0), 1);
    ck_assert_uint_eq(pi_isas_of_in(list, skx.features), 7);
    ck_assert_uint_eq(pi_isas_of_in(list, -1ull), 15);
    ck_assert_uint_eq(pi_isas_of_in(list, PI_CPU_AVX512), 1);           /* avx512 without avx2 is no line */
    ck_assert(!pi_isas_masked_in(list, NULL, skx.features, &isas, &err) && isas == 7);
    ck_assert(!pi_isas_masked_in(list, "avx512", skx.features, &isas, &err) && isas == 5);
    ck_assert(!pi_isas_masked_in(list, "avx2, avx512", skx.features, &isas, &err) && isas == 7);
    ck_assert_int_eq(pi_isas_masked_in(list, "avx512vnni", skx.features, &isas, &err), PRECINFER_UNSUPPORTED);
    ck_assert_str_eq(err.text, "cpu mask: this CPU cannot run 'avx512vnni'; it can run: ref avx2 avx512");
    ck_assert_int_eq(pi_isas_masked_in(list, "avx2,sse", skx.features, &isas, &err), PRECINFER_UNSUPPORTED);
    ck_assert_str_eq(err.text, "cpu mask: 'sse' is not known; this CPU can run: ref avx2 avx512");
}
END_TEST

START_TEST(globs)
{
    static const struct { const char *pattern, *s; int match; } cases[] = {
        { "", "", 1 }, { "", "a", 0 }, { "a", "", 0 }, { "*", "", 1 }, { "*", "abc", 1 }, { "?", "", 0 }, { "?", "a", 1 },
        { "a*c", "abbbc", 1 }, { "a*c", "abbb", 0 }, { "a*b*c", "aXbYbZc", 1 }, { "*ab", "aab", 1 }, { "*ab", "aba", 0 },
        { "a**b", "ab", 1 }, { "gemm_*_avx2", "gemm_u8s8_4x16_avx2", 1 }, { "gemm_*_avx2", "gemm_u8s8_4x16_avx2x", 0 },
        { "g?mm*", "gemm_x", 1 }, { "*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0 }, { "abc", "abcd", 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        h_expect(pi_glob(cases[i].pattern, cases[i].s) == cases[i].match, "'%s' on '%s'", cases[i].pattern, cases[i].s);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("kern_choose");
    h_add(s, "by_cpu", by_cpu, 1, 5);
    h_add(s, "growth", growth, 1, 5);
    h_add(s, "exact_forms", exact_forms, 1, 5);
    h_add(s, "filter", filter, 1, 5);
    h_add(s, "refusals", refusals, 1, 5);
    h_add(s, "costs", costs, 1, 5);
    h_add(s, "other_families", other_families, 1, 5);
    h_add(s, "ties", ties, 1, 5);
    h_add(s, "heights", heights, 1, 5);
    h_add(s, "masks", masks, 1, 5);
    h_add(s, "globs", globs, 1, 5);
    return s;
}
