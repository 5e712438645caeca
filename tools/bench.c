/* precinfer bench: latencies of models, plans and precisions in turn, and each layer beside its bound. */
#include <stdlib.h>
#include <string.h>
#include "tool.h"

struct entry {
    const char *model, *precision;
    precinfer_plan *plan;
    struct noise noise;
    precinfer_session *session;
    struct timing time;
    struct precinfer_plan_info info;
    double *ns;
    struct precinfer_layer_work *work;
};

/* ------------------------------------------------------------------------------------------------ this machine */

enum { LEVELS = 3, SIDE = 384 };
struct machine { double macs_per_ns[3], bytes_per_ns[LEVELS]; };
static const struct { size_t bytes; const char *name; } levels[LEVELS] = {
    { 128 << 10, "inner cache bandwidth" }, { 4 << 20, "outer cache bandwidth" }, { 64 << 20, "memory bandwidth" } };

static double best_gemm(precinfer_context *ctx, const struct precinfer_gemm *g)
{
    double best = 0;
    const uint64_t start = now_ns();
    for (int i = 0; i < 200 && (i < 3 || now_ns() - start < 60000000); i++) {
        const uint64_t t = now_ns();
        if (precinfer_gemm(ctx, g, NULL)) return 0;
        const double ns = (double)(now_ns() - t);
        if (!best || ns < best) best = ns;
    }
    return best ? (double)g->m * (double)g->n * (double)g->k / best : 0;
}

/* Ordinary numbers: zeros could be skipped, subnormals are slow, and large integer weights pack worse than trained ones. */
static void fill(void *memory, enum precinfer_dtype type, int sign)
{
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
        const int x = (int)(i * 2654435761u >> 8 & 15) + 1, v = i & 1 ? x : sign * x;
        const float f = (float)v / 64;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        if (type == PRECINFER_F32) ((float *)memory)[i] = f;
        else if (type == PRECINFER_BF16) ((uint16_t *)memory)[i] = (uint16_t)(bits >> 16);
        else ((uint8_t *)memory)[i] = (uint8_t)v;
    }
}

static int measure_gemm(precinfer_context *ctx, enum precinfer_precision p, double *rate)
{
    static const enum precinfer_dtype a[] = { PRECINFER_F32, PRECINFER_BF16, PRECINFER_U8 },
        b[] = { PRECINFER_F32, PRECINFER_BF16, PRECINFER_S8 },
                                      c[] = { PRECINFER_F32, PRECINFER_F32, PRECINFER_U8 };
    const size_t n = SIDE * SIDE;
    struct precinfer_gemm g = { .size = sizeof g, .m = SIDE, .n = SIDE, .k = SIDE, .a_type = a[p], .b_type = b[p], .c_type = c[p],
                                .lda = SIDE, .ldb = SIDE, .ldc = SIDE };
    void *memory[3] = { need(n, 4), need(n, 4), need(n, 4) };
    float *scale = need(SIDE, sizeof *scale);
    precinfer_weights *packed = NULL;
    void *scratch = NULL;
    int code = memory[0] && memory[1] && memory[2] && scale ? 0 : EXIT_BROKEN;
    if (!code) {
        fill(memory[0], a[p], 1);
        fill(memory[1], b[p], -1);
        for (int i = 0; i < SIDE; i++) scale[i] = 1e-3f;
        g.a = memory[0]; g.b = memory[1]; g.c = memory[2];
        if (p == PRECINFER_PRECISION_INT8) g.scale = scale;
        if (!precinfer_gemm_pack(ctx, &g, &packed, NULL)) { g.packed = packed; g.b = NULL; }
        if (!precinfer_gemm_scratch(ctx, &g, &g.scratch_bytes, NULL)) g.scratch = scratch = need(g.scratch_bytes + 1, 1);
        *rate = best_gemm(ctx, &g);
    }
    precinfer_weights_free(packed);
    for (int i = 0; i < 3; i++) free(memory[i]);
    free(scale);
    free(scratch);
    return code;
}

static int measure_copies(struct machine *m)
{
    const size_t most = levels[LEVELS - 1].bytes;
    char *from = need(most, 1), *to = from ? need(most, 1) : NULL;
    if (!to) { free(from); return EXIT_BROKEN; }
    memset(from, 1, most);
    for (int l = 0; l < LEVELS; l++) {
        const size_t half = levels[l].bytes / 2;
        double best = 0;
        const uint64_t start = now_ns();
        for (int i = 0; i < 2000 && (i < 3 || now_ns() - start < 40000000); i++) {
            const uint64_t t = now_ns();
            memcpy(to, from, half);
            __asm__ volatile("" : : "r"(to) : "memory");
            const double ns = (double)(now_ns() - t);
            if (!best || ns < best) best = ns;
        }
        m->bytes_per_ns[l] = best ? 2 * (double)half / best : 0;
    }
    free(from);
    free(to);
    return 0;
}

static int measure_machine(precinfer_context *ctx, const struct entry *e, size_t n, struct machine *m)
{
    unsigned wanted = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < e[i].info.layers; k++) {
            struct precinfer_layer l;
            if (!precinfer_plan_layer(e[i].plan, k, &l) && l.has_weights) wanted |= 1u << l.precision;
        }
    int code = measure_copies(m);
    for (int p = 0; p < 3 && !code; p++) if (wanted >> p & 1)
        code = measure_gemm(ctx, (enum precinfer_precision)p, &m->macs_per_ns[p]);
    return code;
}

/* The larger of the two times, and what it is; NULL: nothing to say. */
static const char *bound(const struct machine *m, const struct precinfer_layer *l, const struct precinfer_layer_work *w,
                         double *ns)
{
    const double bytes = (double)w->input_bytes + (double)w->weight_bytes + (double)w->output_bytes,
        rate = m->macs_per_ns[l->precision];
    int level = 0;
    while (level + 1 < LEVELS && bytes > (double)levels[level].bytes) level++;
    const double moving = m->bytes_per_ns[level] > 0 ? bytes / m->bytes_per_ns[level] : 0,
        multiplying = w->macs && rate > 0 ? (double)w->macs / rate : 0;
    *ns = moving > multiplying ? moving : multiplying;
    return *ns <= 0 ? NULL : multiplying >= moving ? "multiply-adds" : levels[level].name;
}

/* ------------------------------------------------------------------------------------------------ what is measured */

static int add(const struct options *o, struct entry *e, const struct model *m, precinfer_plan *plan)
{
    const struct model of_plan = { .plan = plan };
    e->model = m->path;
    e->plan = plan;
    e->precision = plan_precision(plan);
    precinfer_plan_info(plan, &e->info);
    int code = check_shapes(o, &of_plan);
    if (!code) code = make_noise(o, &of_plan, o->batch, &e->noise);
    if (code) return code;
    if (o->batch && e->noise.samples != o->batch)
        return fail(EXIT_USAGE, "wrong value", "--batch", "the batch of %s is fixed, not %zu", m->path, o->batch);
    e->ns = need(e->info.layers, sizeof *e->ns);
    e->work = e->ns ? need(e->info.layers, sizeof *e->work) : NULL;
    return e->work ? session_for(plan, e->noise.tensors, e->noise.n, 0, &e->session) : EXIT_BROKEN;
}

static int open_file(const struct options *o, precinfer_context *ctx, const char *path, struct entry *e, size_t *n, int *noisy)
{
    struct model m;
    int code = load_model(ctx, path, &m);
    if (!code) code = refuse_rejected(o, &m);
    if (!code) code = check_shapes(o, &m);
    if (!code && m.plan) {
        code = add(o, &e[(*n)++], &m, m.plan);
        m.plan = NULL;
    } else for (size_t i = 0; i < (o->nprecisions ? o->nprecisions : 1) && !code; i++) {
        precinfer_plan *plan;
        code = compile_at(o, ctx, &m, o->nprecisions ? o->precisions[i] : PRECINFER_PRECISION_F32, &plan, noisy);
        if (code) break;
        code = add(o, &e[*n], &m, plan);
        /* what was asked for, though a layer may have stayed */
        if (o->nprecisions) e[*n].precision = precinfer_precision_string(o->precisions[i]);
        ++*n;
    }
    free_model(&m);
    return code;
}

static int time_all(const struct options *o, struct entry *e, size_t n)
{
    struct progress progress;
    precinfer_session **s = need(n, sizeof *s);
    struct timing *t = s ? need(n, sizeof *t) : NULL;
    int code = t ? 0 : EXIT_BROKEN;
    for (size_t i = 0; i < n && !code; i++) s[i] = e[i].session;
    progress_start(&progress, o, "bench", 0);
    if (!code) code = measure(s, n, o->runs, t);
    for (size_t i = 0; i < n && !code; i++) {
        e[i].time = t[i];
        code = measure_layers(e[i].plan, e[i].noise.tensors, e[i].noise.n, o->runs, e[i].ns, e[i].work);
        progress_show(&progress, NULL, i + 1, n);
    }
    progress_end(&progress);
    free(s);
    free(t);
    return code;
}

/* ------------------------------------------------------------------------------------------------ saying */

static void say_layers(FILE *out, const struct machine *m, const struct entry *e)
{
    struct table t;
    char a[32];
    fprintf(out, "\n%s, %s\n", e->model, e->precision);
    table_start(&t, "layer|op|kernel|>median|>bound|>reached|limiter");
    for (size_t i = 0; i < e->info.layers; i++) {
        struct precinfer_layer l;
        double ns;
        precinfer_plan_layer(e->plan, i, &l);
        const char *limiter = bound(m, &l, &e->work[i], &ns);
        table_cell(&t, "%s", l.name);
        table_cell(&t, "%s", l.op);
        table_cell(&t, "%s", l.kernel ? l.kernel : "-");
        table_cell(&t, "%s", time_text(e->ns[i], a));
        table_cell(&t, "%s", limiter ? time_text(ns, a) : "-");
        if (limiter && e->ns[i] > 0) table_cell(&t, "%.0f%%", 100 * ns / e->ns[i]);
        else table_cell(&t, "-");
        table_cell(&t, "%s", limiter ? limiter : "");
    }
    table_print(&t, out);
}

static void say(const struct options *o, precinfer_context *ctx, const struct machine *m, const struct entry *e, size_t n,
                int noisy)
{
    static const char *const types[] = { "f32", "bf16", "int8" };
    FILE *out = text_out(o);
    struct table t;
    char a[32];
    fprintf(out, "%s\n", precinfer_context_cpu(ctx));
    for (int p = 0; p < 3; p++) if (m->macs_per_ns[p] > 0)
        fprintf(out, "%s: %.1f billion multiply-adds a second\n", types[p], m->macs_per_ns[p]);
    for (int l = 0; l < LEVELS; l++) fprintf(out, "%s: %.1f GB/s\n", levels[l].name, m->bytes_per_ns[l]);
    if (noisy) fputs("int8: calibrated on seeded noise, as there is no --stats\n", out);
    fputc('\n', out);
    table_start(&t, "model|precision|>threads|>batch|>median|>p10|>p90|>p99|>runs");
    for (size_t i = 0; i < n; i++) {
        table_cell(&t, "%s", e[i].model);
        table_cell(&t, "%s", e[i].precision);
        table_cell(&t, "%zu", o->threads);
        table_cell(&t, "%zu", e[i].noise.samples);
        table_cell(&t, "%s", time_text(e[i].time.median, a));
        table_cell(&t, "%s", time_text(e[i].time.p10, a));
        table_cell(&t, "%s", time_text(e[i].time.p90, a));
        table_cell(&t, "%s", e[i].time.p99 < 0 ? "-" : time_text(e[i].time.p99, a));
        table_cell(&t, "%zu", e[i].time.runs);
    }
    table_print(&t, out);
    for (size_t i = 0; i < n; i++) say_layers(out, m, &e[i]);
}

static int write_json(const struct options *o, precinfer_context *ctx, const struct machine *m, const struct entry *e, size_t n,
                      int noisy)
{
    struct json j;
    if (!o->json) return 0;
    json_begin(&j, o);
    json_string(&j, "cpu", precinfer_context_cpu(ctx));
    if (noisy) json_string(&j, "calibration", "seeded noise");
    json_open(&j, "results", '[');
    for (size_t i = 0; i < n; i++) {
        json_open(&j, NULL, '{');
        json_string(&j, "model", e[i].model);
        json_string(&j, "precision", e[i].precision);
        json_size(&j, "threads", o->threads);
        json_size(&j, "batch", e[i].noise.samples);
        json_timing(&j, &e[i].time);
        json_open(&j, "layers", '[');
        for (size_t k = 0; k < e[i].info.layers; k++) {
            struct precinfer_layer l;
            double ns;
            precinfer_plan_layer(e[i].plan, k, &l);
            const char *limiter = bound(m, &l, &e[i].work[k], &ns);
            json_open(&j, NULL, '{');
            json_string(&j, "name", l.name);
            json_string(&j, "kernel", l.kernel);
            json_number(&j, "median_ns", e[i].ns[k]);
            if (limiter) json_number(&j, "bound_ns", ns);
            if (limiter) json_string(&j, "limiter", limiter);
            json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
    }
    json_close(&j, ']');
    return json_write(&j, ctx, o);
}

/* ------------------------------------------------------------------------------------------------ all of it */

static int check_usage(const struct options *o)
{
    if (!o->files.n) return fail(EXIT_USAGE, "bench wants models or plans", NULL, "no file is given");
    if (!o->nprecisions && !o->stats) return 0;
    for (size_t i = 0; i < o->files.n; i++) {
        enum kind kind;
        const int code = kind_of(o->files.items[i], &kind);
        if (code) return code;
        if (kind != KIND_PLAN) return 0;
    }
    return fail(EXIT_USAGE, "option without use", o->nprecisions ? "--precision" : "--stats",
                "all files are plans, whose precision is decided");
}

static int bench(const struct options *o, precinfer_context *ctx)
{
    struct machine machine = { 0 };
    struct entry *e = need(3 * o->files.n, sizeof *e);
    size_t n = 0;
    int noisy = 0, code = e ? 0 : EXIT_BROKEN;
    for (size_t i = 0; i < o->files.n && !code; i++) code = open_file(o, ctx, o->files.items[i], e, &n, &noisy);
    if (!code) code = measure_machine(ctx, e, n, &machine);
    if (!code) code = time_all(o, e, n);
    if (!code) {
        say(o, ctx, &machine, e, n, noisy);
        code = flush_text(o);
    }
    if (!code) code = write_json(o, ctx, &machine, e, n, noisy);
    for (size_t i = 0; i < n; i++) {
        precinfer_session_free(e[i].session);
        precinfer_plan_free(e[i].plan);
        free_noise(&e[i].noise);
        free(e[i].ns);
        free(e[i].work);
    }
    free(e);
    return code;
}

int run_bench(const struct options *o)
{
    precinfer_context *ctx;
    int code = check_usage(o);
    if (!code) code = check_target(o->json);
    if (!code) code = open_context(o, 1, &ctx);
    if (code) return code;
    code = bench(o, ctx);
    close_context(ctx);
    return code;
}
