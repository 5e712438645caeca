/* The laws, over whole networks: one hash of the outputs for every instruction set, thread count and batch, committed under
 * test/golden; statistics and recipes that do not depend on the machine they were made on.
 * PI_GOLDEN=write rewrites the committed hashes. PI_QUICK (the emulator): 8 samples, one thread, batch 3; PI_MODELS=N: the first
 * N models alone. PI_SANITIZED (make asan): 8 samples on the best instruction set, digits on ref too. */
#include <check.h>
#include <stdio.h>
#include "../lib/base/context.h"
#include "../lib/base/hash.h"
#include "../lib/kern/choose.h"
#include "models.h"

static int quick(void) { return getenv("PI_QUICK") || getenv("PI_SANITIZED"); }
static const char *const GOLDEN = "test/golden/outputs.tsv";

/* ------------------------------------------------------------------------------------------------ the committed hashes */

static uint64_t golden(const char *model, const char *precision, size_t samples)
{
    char name[64], word[16], line[256];
    size_t n;
    unsigned long long hash;
    FILE *f = fopen(GOLDEN, "r");
    uint64_t found = 0;
    ck_assert_msg(f != NULL, "%s is missing", GOLDEN);
    while (!found && fgets(line, sizeof line, f))
        if (sscanf(line, "%63s %15s %zu %llx", name, word, &n, &hash) == 4 && !strcmp(name, model) && !strcmp(word, precision) &&
            n == samples) found = hash;
    fclose(f);
    return found;
}
static void compare(const char *model, const char *precision, size_t samples, uint64_t hash, const char *how)
{
    const char *mode = getenv("PI_GOLDEN");
    if (mode && !strcmp(mode, "write")) {
        if (golden(model, precision, samples) == hash) return;
        FILE *f = fopen(GOLDEN, "a");
        ck_assert(f != NULL);
        fprintf(f, "%s\t%s\t%zu\t%016llx\n", model, precision, samples, (unsigned long long)hash);
        fclose(f);
        return;
    }
    const uint64_t want = golden(model, precision, samples);
    ck_assert_msg(want == hash, "%s %s, %zu samples, %s: outputs hash to %016llx, committed is %016llx", model, precision,
                  samples, how,
                  (unsigned long long)hash, (unsigned long long)want);
}

/* ------------------------------------------------------------------------------------------------ running */

static uint64_t outputs(const struct h_model *m, precinfer_context *ctx, const precinfer_graph *g, const precinfer_plan *plan,
                        size_t samples, size_t batch)
{
    struct precinfer_error err = { 0 };
    struct precinfer_io in;
    struct pi_hash h;
    precinfer_session *s = NULL;
    precinfer_data *d = h_model_data(m, ctx, g, 0, samples, batch);
    precinfer_plan_input_info(plan, 0, &in);
    pi_hash_init(&h);
    for (;;) {
        struct precinfer_batch b = { 0 };
        ck_assert_msg(!precinfer_data_next(d, &b, &err), "%s", err.text);
        if (!b.samples) break;
        if (!s) {
            struct precinfer_shape shape = { .input = in.name, .rank = b.inputs[0].rank };
            memcpy(shape.dims, b.inputs[0].dims, sizeof shape.dims);
            const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &shape, .nshapes = 1 };
            ck_assert_msg(!precinfer_session_new(plan, &o, &s, &err), "%s", err.text);
        }
        ck_assert_msg(!precinfer_bind(s, in.name, &b.inputs[0], &err), "%s", err.text);
        ck_assert_msg(!precinfer_session_run(s, &err), "%s", err.text);
        for (size_t i = 0; i < precinfer_plan_outputs(plan); i++) {
            struct precinfer_io out;
            struct precinfer_tensor y;
            size_t n = 1;
            precinfer_plan_output_info(plan, i, &out);
            ck_assert_msg(!precinfer_session_value(s, out.name, &y, &err), "%s", err.text);
            for (int k = 0; k < y.rank; k++) n *= (size_t)y.dims[k];
            pi_hash_add(&h, y.data, n * precinfer_dtype_size(y.dtype));
        }
    }
    precinfer_session_free(s);
    precinfer_data_free(d);
    return pi_hash_end(&h);
}

static precinfer_plan *compiled(const precinfer_graph *g, const precinfer_stats *stats)
{
    struct precinfer_error err = { 0 };
    precinfer_recipe *r = NULL;
    precinfer_plan *p = NULL;
    if (stats) ck_assert_msg(!precinfer_recipe_new(g, stats, PRECINFER_PRECISION_INT8, &r, &err), "%s", err.text);
    ck_assert_msg(!precinfer_compile(g, r, NULL, &p, &err), "%s", err.text);
    precinfer_recipe_free(r);
    return p;
}

/* ref, then ref and every instruction set up to the ith. */
static int mask(size_t i, char *text, size_t size)
{
    const uint64_t have = pi_isas_of(({ struct pi_cpu c; pi_cpu_detect(&c); c.features; }));
    size_t at = 0;
    text[0] = 0;
    if (!pi_isas[i].name || !(have >> i & 1)) return 0;
    for (size_t k = 0; k <= i; k++)
        if (have >> k & 1) at += (size_t)snprintf(text + at, size - at, "%s%s", at ? "," : "", pi_isas[k].name);
    return 1;
}

static void under(const struct h_model *m, const char *cpu_mask, size_t threads, size_t batch, size_t samples)
{
    struct h_host host = { .threads = threads };
    precinfer_context *ctx = h_context(&host, cpu_mask);
    precinfer_graph *g = h_model_load(m, ctx, "laws");
    char how[128];
    if (g) {
        snprintf(how, sizeof how, "mask %s, %zu threads, batch %zu", cpu_mask ? cpu_mask : "of all", threads, batch);
        precinfer_stats *stats = h_model_calibrate(m, ctx, g, quick() ? 8 : 32, batch);
        precinfer_plan *f32 = compiled(g, NULL), *int8 = compiled(g, stats);
        compare(m->name, "f32", samples, outputs(m, ctx, g, f32, samples, batch), how);
        compare(m->name, quick() ? "int8q" : "int8", samples, outputs(m, ctx, g, int8, samples, batch), how);
        precinfer_plan_free(f32);
        precinfer_plan_free(int8);
        precinfer_stats_free(stats);
        precinfer_graph_free(g);
    }
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}

/* int8 with statistics of 8 samples ("int8q", what an emulator can afford) is committed too. */
START_TEST(same_bits)
{
    static const size_t threads[] = { 1, 2, 3, 4 }, batches[] = { 1, 3, 8 };
    const struct h_model *m = &h_models[_i];
    char text[256];
    if (getenv("PI_SANITIZED")) {
        if (m->local) under(m, "ref", 1, 3, 8);
        under(m, NULL, 2, 3, 8);
        return;
    }
    if (quick()) {
        /* PI_ROWS names the folders that are the last of a mask; without it every one of this CPU together */
        size_t last = 0, done = 0;
        for (size_t i = 0; pi_isas[i].name; i++) {
            char row[64];
            if (!mask(i, text, sizeof text)) continue;
            last = i;
            snprintf(row, sizeof row, "row_%s", pi_isas[i].name);
            if (!getenv("PI_ROWS") || !h_wanted(row)) continue;
            under(m, text, 1, 3, 8);
            printf("    laws: %s: the committed bits under %s\n", m->name, text);
            done++;
        }
        mask(last, text, sizeof text);
        if (!done) under(m, text, 1, 3, 8);
        return;
    }
    under(m, "ref", 1, 3, 8);
    for (size_t i = 1; pi_isas[i].name; i++) {
        if (!mask(i, text, sizeof text)) continue;
        for (size_t t = 0; t < 4; t++) under(m, text, threads[t], batches[t % 3], 64);
        for (size_t b = 1; b < 3; b++) under(m, text, 1, batches[b], 64);
        under(m, text, 2, 3, 8);
    }
}
END_TEST

static void save_stats(const struct h_model *m, const char *cpu_mask, size_t threads, size_t batch, const char *path)
{
    struct h_host host = { .threads = threads };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, cpu_mask);
    precinfer_graph *g = h_model_load(m, ctx, "laws");
    precinfer_stats *s = h_model_calibrate(m, ctx, g, 24, batch);
    ck_assert_msg(!precinfer_stats_save(s, path, &err), "%s", err.text);
    precinfer_stats_free(s);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
}
static size_t slurp(const char *path, unsigned char **bytes)
{
    FILE *f = fopen(path, "rb");
    ck_assert(f != NULL);
    fseek(f, 0, SEEK_END);
    const size_t n = (size_t)ftell(f);
    rewind(f);
    *bytes = malloc(n + 1);
    ck_assert(fread(*bytes, 1, n, f) == n);
    fclose(f);
    return n;
}

/* Calibration under any mask, thread count and batch gives the same file. */
START_TEST(same_statistics)
{
    char dir[] = "/tmp/precinfer-laws-XXXXXX", a[64], b[64], text[256];
    unsigned char *x, *y;
    ck_assert(mkdtemp(dir) != NULL);
    snprintf(a, sizeof a, "%s/a", dir);
    snprintf(b, sizeof b, "%s/b", dir);
    save_stats(&h_models[0], "ref", 1, 1, a);
    const size_t n = slurp(a, &x);
    for (size_t i = 1; pi_isas[i].name; i++) {
        if (!mask(i, text, sizeof text)) continue;
        save_stats(&h_models[0], text, 1 + i, 1 + 2 * i, b);
        const size_t k = slurp(b, &y);
        ck_assert_msg(n == k && !memcmp(x, y, n), "statistics made under %s differ from ref's", text);
        free(y);
    }
    free(x);
    remove(a); remove(b); remove(dir);
}
END_TEST

/* A shape that is open at load time gives the bits of one that was fixed; a batch of 1 in a session for 8 as well. */
START_TEST(open_and_fixed_shapes)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    float w[4 * 3 * 9], x[3 * 7 * 6], got[2][4 * 7 * 6];
    for (size_t i = 0; i < sizeof w / sizeof *w; i++) w[i] = h_unit();
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = h_unit();
    for (int open = 0; open < 2; open++) {
        precinfer_graph *g = NULL;
        precinfer_plan *p = NULL;
        precinfer_session *s = NULL;
        const int64_t pads[] = { 1, 1, 1, 1 };
        const struct precinfer_attribute pad = { .name = "pads", .type = 'I', .count = 4, .ints = pads };
        struct precinfer_io in = { .name = "x", .dtype = PRECINFER_F32, .rank = 4, .dims = { 1, 3, 7, 6 } };
        if (open) { in.dims[0] = in.dims[2] = in.dims[3] = -1; in.symbols[0] = "n"; in.symbols[2] = "h"; in.symbols[3] = "w"; }
        const struct precinfer_tensor weights = { .data = w, .dtype = PRECINFER_F32, .rank = 4, .dims = { 4, 3, 3, 3 } };
        ck_assert(!precinfer_graph_new(ctx, &g, &err) && !precinfer_graph_input(g, &in, &err) &&
                  !precinfer_graph_constant(g, "w", &weights, &err));
        ck_assert_msg(!precinfer_graph_node(g, "Conv", "c", (const char *[]){ "x", "w" }, 2, (const char *[]){ "y" }, 1, &pad,
                                            1, &err), "%s", err.text);
        ck_assert_msg(!precinfer_graph_output(g, "y", &err) && !precinfer_graph_finish(g, &err), "%s", err.text);
        ck_assert_msg(!precinfer_compile(g, NULL, NULL, &p, &err), "%s", err.text);
        const struct precinfer_shape most = { "x", 4, { open ? 3 : 1, 3, open ? 9 : 7, open ? 9 : 6 } };
        const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &most, .nshapes = 1 };
        ck_assert_msg(!precinfer_session_new(p, &o, &s, &err), "%s", err.text);
        const struct precinfer_tensor input = { .data = x, .dtype = PRECINFER_F32, .rank = 4, .dims = { 1, 3, 7, 6 } };
        const struct precinfer_tensor output = { .data = got[open], .dtype = PRECINFER_F32, .rank = 4, .dims = { 1, 4, 7, 6 } };
        ck_assert_msg(!precinfer_bind(s, "x", &input, &err) && !precinfer_bind(s, "y", &output, &err), "%s", err.text);
        const long calls = host.calls;
        ck_assert_msg(!precinfer_session_run(s, &err), "%s", err.text);
        ck_assert_int_eq(host.calls, calls);            /* within the maximum: nothing is allocated */
        precinfer_session_free(s);
        precinfer_plan_free(p);
        precinfer_graph_free(g);
    }
    h_same_bytes("open and fixed shapes", got[0], got[1], sizeof got[0]);
    h_finish();
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("laws");
    const char *models = getenv("PI_MODELS");
    h_add(s, "same_bits", same_bits, models ? atoi(models) : H_MODELS, 600);
    if (!getenv("PI_QUICK")) {
        h_add(s, "same_statistics", same_statistics, 1, 120);
        h_add(s, "shapes", open_and_fixed_shapes, 1, 60);
    }
    return s;
}
