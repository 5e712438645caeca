/* Whole models at several precisions, interleaved: what slows the machine slows each of them. Through precinfer.h alone.
 *
 *   bench-model MODEL.onnx|PLAN ... [--precisions f32,bf16,int8] [--stats FILE | --calibrate X.npy] [--threads N] [--batch N]
 *               [--runs N | --seconds S] [--layers] [--cpu-time]
 *
 * int8 takes its scales from statistics, from an array (of the model's type, or raw in the model's layout), else from noise:
 * speed hardly depends on them. The input is noise, every open dimension but the first is 1. --cpu-time counts the calling
 * thread's time alone: for one thread on a machine that others use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../tools/tool.h"

enum { MOST = 24, MOST_TIMES = 200000, NOISE_BATCHES = 8 };
static const char *stats_file, *calibration;
static size_t threads = 1, batch = 1, runs;
static double seconds = 5;
static int layers, cpu_time;
static const char *precisions = "f32,bf16,int8";
static struct precinfer_error err;

static void die(const char *where)
{
    fprintf(stderr, "bench-model: %s: %s\n", where, err.text);
    exit(2);
}
static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static uint64_t now(void) { return clock_ns(CLOCK_MONOTONIC); }
static uint64_t spent(void) { return clock_ns(cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC); }

/* ------------------------------------------------------------------------------------------------ inputs */

struct inputs { struct precinfer_tensor t[16]; struct precinfer_shape shape[16]; size_t n, batches; uint64_t state; };

static void fill(struct inputs *in, struct precinfer_tensor *t, size_t elements)
{
    for (size_t i = 0; i < elements; i++) {
        in->state = in->state * 6364136223846793005u + 1442695040888963407u;
        const uint32_t x = (uint32_t)(in->state >> 40);
        if (t->dtype == PRECINFER_F32) ((float *)t->data)[i] = (float)x / (1 << 23) - 1;
        else if (precinfer_dtype_size(t->dtype) == 8) ((int64_t *)t->data)[i] = x & 1;
        else if (precinfer_dtype_size(t->dtype) == 4) ((int32_t *)t->data)[i] = x & 1;
    }
}
/* An open first dimension is the batch. */
static void make_input(struct inputs *in, const struct precinfer_io *io)
{
    struct precinfer_tensor *t = &in->t[in->n];
    struct precinfer_shape *s = &in->shape[in->n++];
    size_t elements = 1;
    *t = (struct precinfer_tensor){ .dtype = io->dtype, .rank = io->rank };
    for (int d = 0; d < io->rank; d++) {
        t->dims[d] = io->dims[d] >= 0 ? io->dims[d] : d ? 1 : (int64_t)batch;
        elements *= (size_t)t->dims[d];
    }
    *s = (struct precinfer_shape){ .input = io->name, .rank = t->rank };
    memcpy(s->dims, t->dims, sizeof s->dims);
    t->data = calloc(elements ? elements : 1, precinfer_dtype_size(t->dtype));
    if (!t->data) exit(4);
    fill(in, t, elements);
}

static int noise(void *user, struct precinfer_batch *b, struct precinfer_error *e)
{
    struct inputs *in = user;
    (void)e;
    if (!in->batches) return 0;
    in->batches--;
    b->ninputs = in->n;
    b->samples = (size_t)in->t[0].dims[0];
    for (size_t i = 0; i < in->n; i++) {
        size_t elements = 1;
        for (int d = 0; d < in->t[i].rank; d++) elements *= (size_t)in->t[i].dims[d];
        fill(in, &in->t[i], elements);
        b->inputs[i] = in->t[i];
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ what is timed */

struct entry {
    const char *file, *precision;
    precinfer_plan *plan;
    precinfer_session *session, *profiled;
    double *ns, *layer_ns;                          /* times of the runs; median of each layer                   */
    struct precinfer_plan_info info;
    struct inputs in;
};
static struct entry entries[MOST];
static size_t count;

static precinfer_session *session(const struct entry *e, int profile)
{
    precinfer_session *s;
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = e->in.shape, .nshapes = e->in.n,
                                                 .profile = profile };
    if (precinfer_session_new(e->plan, &o, &s, &err)) die(e->file);
    for (size_t i = 0; i < e->in.n; i++)
        if (precinfer_bind(s, e->in.shape[i].input, &e->in.t[i], &err)) die(e->file);
    return s;
}
static void add(const char *file, const char *precision, precinfer_plan *plan)
{
    struct entry *e = &entries[count];
    struct precinfer_io io;
    if (count++ == MOST) { fprintf(stderr, "bench-model: more than %d\n", MOST); exit(2); }
    *e = (struct entry){ .file = file, .precision = precision, .plan = plan, .in.state = 1 };
    precinfer_plan_info(plan, &e->info);
    for (size_t i = 0; i < precinfer_plan_inputs(plan) && i < 16; i++) {
        precinfer_plan_input_info(plan, i, &io);
        make_input(&e->in, &io);
    }
    e->ns = calloc(MOST_TIMES, sizeof *e->ns);
    e->layer_ns = calloc(e->info.layers + 1, sizeof *e->layer_ns);
    if (!e->ns || !e->layer_ns) exit(4);
    e->session = session(e, 0);
    if (layers) e->profiled = session(e, 1);
}

static precinfer_stats *statistics(precinfer_context *ctx, precinfer_graph *g, const char *file)
{
    precinfer_stats *s;
    struct precinfer_io io[16];
    const size_t n = precinfer_graph_inputs(g);
    if (stats_file) {
        if (precinfer_stats_load(ctx, stats_file, &s, &err)) die(stats_file);
        return s;
    }
    struct inputs in = { .state = 7, .batches = NOISE_BATCHES };
    for (size_t i = 0; i < n && i < 16; i++) {
        precinfer_graph_input_info(g, i, &io[i]);
        make_input(&in, &io[i]);
    }
    precinfer_data *d = NULL;
    const struct precinfer_data_options o = { .size = sizeof o, .path = calibration, .batch = io[0].dims[0] < 0 ? 16 : 0 };
    if (calibration && precinfer_data_open(ctx, io, n, &o, &d, &err)) die(calibration);
    if (precinfer_calibrate(g, d ? precinfer_data_next : noise, d ? (void *)d : &in, NULL, &s, &err)) die(file);
    precinfer_data_free(d);
    for (size_t i = 0; i < in.n; i++) free(in.t[i].data);
    return s;
}

static void open_file(precinfer_context *ctx, const char *file)
{
    precinfer_graph *g;
    precinfer_plan *plan;
    precinfer_stats *stats = NULL;
    if (!precinfer_plan_load(ctx, file, NULL, &plan, &err)) { add(file, "plan", plan); return; }
    if (precinfer_graph_load(ctx, file, &g, &err)) die(file);
    for (enum precinfer_precision p = PRECINFER_PRECISION_F32; p <= PRECINFER_PRECISION_INT8; p++) {
        precinfer_recipe *r;
        if (!strstr(precisions, precinfer_precision_string(p))) continue;
        if (p == PRECINFER_PRECISION_INT8) stats = statistics(ctx, g, file);
        if (precinfer_recipe_new(g, stats, p, &r, &err) || precinfer_compile(g, r, NULL, &plan, &err)) die(file);
        precinfer_recipe_free(r);
        add(file, precinfer_precision_string(p), plan);
    }
    precinfer_stats_free(stats);
    precinfer_graph_free(g);
}

/* ------------------------------------------------------------------------------------------------ timing */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double share(const double *sorted, size_t n, double at) { return sorted[(size_t)(at * (double)(n - 1) + 0.5)]; }

static size_t time_all(void)
{
    size_t n = 0;
    const uint64_t warm = now();
    for (int i = 0; i < 20 && (i < 2 || now() - warm < 500000000u); i++)
        for (size_t e = 0; e < count; e++)
            if (precinfer_session_run(entries[e].session, &err)) die(entries[e].file);
    const uint64_t start = now();
    while (n < MOST_TIMES && (runs ? n < runs : n < 5 || (double)(now() - start) < 1e9 * seconds)) {
        for (size_t e = 0; e < count; e++) {
            const uint64_t t = spent();
            if (precinfer_session_run(entries[e].session, &err)) die(entries[e].file);
            entries[e].ns[n] = (double)(spent() - t);
        }
        n++;
    }
    for (size_t e = 0; e < count; e++) qsort(entries[e].ns, n, sizeof(double), by_value);
    return n;
}

/* Medians of the layers over 31 runs of a session that measures them. */
enum { LAYER_RUNS = 31 };
static void time_layers(struct entry *e)
{
    const size_t n = e->info.layers;
    uint64_t *one = calloc(n + 1, sizeof *one);
    double *all = calloc((n + 1) * LAYER_RUNS, sizeof *all);
    if (!one || !all) exit(4);
    for (size_t r = 0; r < LAYER_RUNS; r++) {
        if (precinfer_session_run(e->profiled, &err) || precinfer_session_times(e->profiled, one, n, &err)) die(e->file);
        for (size_t i = 0; i < n; i++) all[i * LAYER_RUNS + r] = (double)one[i];
    }
    for (size_t i = 0; i < n; i++) {
        qsort(all + i * LAYER_RUNS, LAYER_RUNS, sizeof *all, by_value);
        e->layer_ns[i] = all[i * LAYER_RUNS + LAYER_RUNS / 2];
    }
    free(one);
    free(all);
}

/* ------------------------------------------------------------------------------------------------ tables */

static const char *base(const char *path) { const char *s = strrchr(path, '/'); return s ? s + 1 : path; }

static void say(size_t n)
{
    printf("%-34s %-5s %7s %5s %11s %11s %11s %9s %12s\n", "model", "prec.", "threads", "batch", "median us", "p10", "p90",
           "f32 / it", "packed bytes");
    double f32 = 0;
    for (size_t i = 0; i < count; i++) {
        const struct entry *e = &entries[i];
        const double median = share(e->ns, n, 0.5);
        if (!i || e->file != entries[i - 1].file) f32 = 0;
        if (!strcmp(e->precision, "f32")) f32 = median;
        printf("%-34s %-5s %7zu %5lld %11.1f %11.1f %11.1f ", base(e->file), e->precision, threads,
               (long long)e->in.t[0].dims[0], median / 1e3,
               share(e->ns, n, 0.1) / 1e3, share(e->ns, n, 0.9) / 1e3);
        if (f32 > 0) printf("%9.2f", f32 / median); else printf("%9s", "-");
        printf(" %12llu\n", (unsigned long long)e->info.packed_bytes);
    }
    printf("%zu interleaved runs\n", n);
}
static void say_layers(const struct entry *e)
{
    double total = 0;
    for (size_t i = 0; i < e->info.layers; i++) total += e->layer_ns[i];
    printf("\n%s, %s: %.1f us in layers\n%-32s %-16s %-28s %10s %6s %9s\n", base(e->file), e->precision, total / 1e3, "layer",
           "op", "kernel", "us", "share", "GMAC/s");
    for (size_t i = 0; i < e->info.layers; i++) {
        struct precinfer_layer l;
        struct precinfer_layer_work w = { 0 };
        precinfer_plan_layer(e->plan, i, &l);
        precinfer_session_layer_work(e->profiled, i, &w);
        printf("%-32.32s %-16s %-28s %10.1f %5.1f%%", l.name, l.op, l.kernel ? l.kernel : "-", e->layer_ns[i] / 1e3,
               total > 0 ? 100 * e->layer_ns[i] / total : 0);
        if (w.macs && e->layer_ns[i] > 0) printf(" %9.1f", (double)w.macs / e->layer_ns[i]);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    const char *files[MOST];
    size_t nfiles = 0;
    for (int i = 1; i < argc; i++) {
        const char *o = argv[i];
        if (o[0] != '-') { if (nfiles < MOST) files[nfiles++] = o; continue; }
        if (!strcmp(o, "--layers")) { layers = 1; continue; }
        if (!strcmp(o, "--cpu-time")) { cpu_time = 1; continue; }
        const char *v = i + 1 < argc ? argv[++i] : NULL;
        if (!v) { fprintf(stderr, "bench-model: %s: no such option, or a value is missing\n", o); return 2; }
        if (!strcmp(o, "--precisions")) precisions = v;
        else if (!strcmp(o, "--stats")) stats_file = v;
        else if (!strcmp(o, "--calibrate")) calibration = v;
        else if (!strcmp(o, "--threads")) threads = strtoul(v, NULL, 10);
        else if (!strcmp(o, "--batch")) batch = strtoul(v, NULL, 10);
        else if (!strcmp(o, "--runs")) runs = strtoul(v, NULL, 10);
        else if (!strcmp(o, "--seconds")) seconds = strtod(v, NULL);
        else { fprintf(stderr, "bench-model: no option %s\n", o); return 2; }
    }
    if (cpu_time && threads > 1) { fprintf(stderr, "bench-model: --cpu-time is for one thread\n"); return 2; }
    if (!nfiles || !threads || !batch) { fprintf(stderr,
                                                 "bench-model: a model is wanted, --threads and --batch from 1 up\n"); return 2; }
    struct precinfer_context_options c = { .size = sizeof c };
    struct pool *pool = threads > 1 ? pool_new(threads) : NULL;
    if (pool) { c.host = pool; c.threads = threads; c.parallel_for = pool_parallel_for; }
    else if (threads > 1) { fprintf(stderr, "bench-model: no threads in this build\n"); return 2; }
    precinfer_context *ctx;
    if (precinfer_context_new(&c, &ctx, &err)) die("context");
    for (size_t i = 0; i < nfiles; i++) open_file(ctx, files[i]);
    printf("%s\n", precinfer_context_cpu(ctx));
    say(time_all());
    for (size_t i = 0; i < count && layers; i++) { time_layers(&entries[i]); say_layers(&entries[i]); }
    for (size_t i = 0; i < count; i++) {
        precinfer_session_free(entries[i].session);
        precinfer_session_free(entries[i].profiled);
        precinfer_plan_free(entries[i].plan);
        for (size_t k = 0; k < entries[i].in.n; k++) free(entries[i].in.t[k].data);
        free(entries[i].ns);
        free(entries[i].layer_ns);
    }
    precinfer_context_free(ctx);
    pool_free(pool);
    return 0;
}
