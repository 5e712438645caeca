/* From paths and flags to contexts, models and data. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tool.h"

/* ------------------------------------------------------------------------------------------------ context */

struct host { struct pool *pool; int quiet; };
static struct host host;                            /* one context a process                                     */

/* "precinfer: " begins the one line of a failure alone. */
static void say(void *user, enum precinfer_log_level level, const char *line)
{
    const struct host *h = user;
    if (!h->quiet) fprintf(stderr, "%s: %s\n", level == PRECINFER_LOG_WARNING ? "warning" : "note", line);
}
static void parallel(void *user, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
    pool_parallel_for(((struct host *)user)->pool, n, body, arg);
}

int open_context(const struct options *o, int mask, precinfer_context **ctx)
{
    struct precinfer_error err;
    struct precinfer_context_options c = { .size = sizeof c, .host = &host, .log = say, .cpu_mask = mask ? o->cpu_mask : NULL };
    host = (struct host){ .quiet = o->quiet };
    if (o->threads > 1) {
        if (!PI_WITH_ONNX) return fail(EXIT_USAGE, "no threads", "--threads", "this build has no thread pool (WITH_ONNX=0)");
        if (o->threads > 1024) return fail(EXIT_USAGE, "wrong value", "--threads", "%zu is more than 1024", o->threads);
        host.pool = pool_new(o->threads);
        if (!host.pool) return fail(EXIT_BROKEN, "no threads", "--threads", "cannot start %zu", o->threads);
        c.parallel_for = parallel;
        c.threads = o->threads;
    }
    if (!precinfer_context_new(&c, ctx, &err)) return 0;
    pool_free(host.pool);
    host.pool = NULL;
    return fail_input(&err, "cannot start", mask && o->cpu_mask ? "--cpu-mask" : NULL);
}

void close_context(precinfer_context *ctx)
{
    precinfer_context_free(ctx);
    pool_free(host.pool);
    host.pool = NULL;
}

/* ------------------------------------------------------------------------------------------------ models */

/* Before long work: a directory that is not there would lose it. */
int check_target(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    struct stat st;
    if (!slash || slash == path) return 0;
    char *directory = need((size_t)(slash - path) + 1, 1);
    if (!directory) return EXIT_BROKEN;
    memcpy(directory, path, (size_t)(slash - path));
    const int missing = stat(directory, &st) ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    free(directory);
    return missing ? fail(EXIT_BROKEN, "cannot write", path, "%s", strerror(missing)) : 0;
}

int kind_of(const char *path, enum kind *kind)
{
    unsigned char head[64];
    size_t n = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail(EXIT_USAGE, "cannot open", path, "%s", strerror(errno));
    for (ssize_t got; n < sizeof head && (got = read(fd, head + n, sizeof head - n)) != 0; n += (size_t)got) {
        if (got > 0) continue;
        const int error = errno;
        close(fd);
        return fail(EXIT_USAGE, "cannot read", path, "%s", strerror(error));
    }
    close(fd);
    size_t text = n >= 3 && !memcmp(head, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (text < n && strchr(" \t\r\n", head[text]) && head[text]) text++;
    if (n >= 12 && !memcmp(head, "PRECINF\n", 8)) *kind = !memcmp(head + 8, "PLAN", 4) ? KIND_PLAN
        : !memcmp(head + 8, "TRAC", 4) ? KIND_TRACE : KIND_STATS;
    else if (n >= 6 && !memcmp(head, "\x93NUMPY", 6)) *kind = KIND_NPY;
    else if (n >= 4 && !memcmp(head, "PK\3\4", 4)) *kind = KIND_NPZ;
    else if (text < n && head[text] == '{') *kind = KIND_RECIPE;
    else *kind = KIND_ONNX;
    return 0;
}

static const char *kind_name(enum kind kind)
{
    static const char *const names[] = { "a model", "a plan", "a statistics file", "a recipe", "an array", "a .npz archive",
                                         "a recording" };
    return names[kind];
}

static int load(precinfer_context *ctx, const char *path, int plans, struct model *m)
{
    struct precinfer_error err;
    *m = (struct model){ .path = path };
    const int code = kind_of(path, &m->kind);
    if (code) return code;
    if (m->kind == KIND_PLAN && !plans) return fail(EXIT_USAGE, "cannot load the model", path,
                                                    "it is a plan; an .onnx model is wanted here");
    if (m->kind != KIND_PLAN && m->kind != KIND_ONNX)
        return fail(EXIT_USAGE, "cannot load the model", path, "it is %s; %s is wanted here", kind_name(m->kind),
                    plans ? "a model or plan" : "a model");
    const int status = m->kind == KIND_PLAN ? precinfer_plan_load(ctx, path, NULL, &m->plan, &err)
        : precinfer_graph_load(ctx, path, &m->graph, &err);
    return status ? fail_input(&err, m->kind == KIND_PLAN ? "cannot load the plan" : "cannot load the model", path) : 0;
}

int load_model(precinfer_context *ctx, const char *path, struct model *m) { return load(ctx, path, 1, m); }
int load_graph(precinfer_context *ctx, const char *path, precinfer_graph **graph)
{
    struct model m;
    const int code = load(ctx, path, 0, &m);
    if (!code) *graph = m.graph;
    return code;
}

void free_model(struct model *m)
{
    precinfer_plan_free(m->plan);
    precinfer_graph_free(m->graph);
    *m = (struct model){ 0 };
}

size_t model_inputs(const struct model *m) { return m->plan ? precinfer_plan_inputs(m->plan) : precinfer_graph_inputs(m->graph); }
size_t model_outputs(const struct model *m) { return m->plan ? precinfer_plan_outputs(m->plan)
                                              : precinfer_graph_outputs(m->graph); }
void model_input(const struct model *m, size_t i, struct precinfer_io *io)
{
    if (m->plan) precinfer_plan_input_info(m->plan, i, io);
    else precinfer_graph_input_info(m->graph, i, io);
}
void model_output(const struct model *m, size_t i, struct precinfer_io *io)
{
    if (m->plan) precinfer_plan_output_info(m->plan, i, io);
    else precinfer_graph_output_info(m->graph, i, io);
}

struct precinfer_preprocessing model_preprocessing(const struct model *m)
{
    struct precinfer_plan_info info = { 0 };
    if (m->plan) precinfer_plan_info(m->plan, &info);
    return info.preprocessing;
}

int refuse_rejected(const struct options *o, const struct model *m)
{
    struct precinfer_plan_info info;
    if (!m->plan || o->force || precinfer_plan_info(m->plan, &info) || !info.rejected) return 0;
    return fail(EXIT_USAGE, "rejected plan", m->path,
                "it did not pass its gate when it was converted; --force takes it all the same");
}

const char *plan_precision(const precinfer_plan *plan)
{
    struct precinfer_plan_info info;
    struct precinfer_layer l;
    int seen = -1;
    if (precinfer_plan_info(plan, &info)) return "f32";
    for (size_t i = 0; i < info.layers; i++) {
        if (precinfer_plan_layer(plan, i, &l) || !l.has_weights || !l.lowerable) continue;
        if (seen >= 0 && seen != (int)l.precision) return "mixed";
        seen = (int)l.precision;
    }
    return precinfer_precision_string(seen < 0 ? PRECINFER_PRECISION_F32 : (enum precinfer_precision)seen);
}

/* ------------------------------------------------------------------------------------------------ data */

static void say_cut(const struct options *o, const precinfer_data *data, const char *path, enum precinfer_part part)
{
    static const char *const words[] = { "calibrate", "tune", "verify" };
    struct precinfer_data_info info;
    if (!(o->split[0] + o->split[1] + o->split[2]) || precinfer_data_info(data, &info)) return;
    fprintf(text_out(o), "%s: %zu samples, cut by hash: calibrate %zu, tune %zu, verify %zu; this is %s\n", path, info.all,
            info.parts[0], info.parts[1], info.parts[2], words[part]);
}

int open_data(const struct options *o, precinfer_context *ctx, const struct model *m, const struct data_request *r,
              const struct precinfer_preprocessing *pre, int stored, precinfer_data **data)
{
    struct precinfer_error err;
    const size_t n = model_inputs(m);
    struct precinfer_io *io = need(n, sizeof *io);
    if (!io) return EXIT_BROKEN;
    for (size_t i = 0; i < n; i++) model_input(m, i, &io[i]);
    const struct precinfer_data_options d = {
        .size = sizeof d, .path = r->path, .labels = r->labels, .skip = r->skip, .samples = r->samples, .batch = r->batch,
        .raw = o->raw, .preprocessing = pre->given ? pre : NULL, .preprocessing_stored = stored,
        .split = { o->split[0], o->split[1], o->split[2] }, .part = r->part };
    const int status = precinfer_data_open(ctx, io, n, &d, data, &err);
    free(io);
    if (status) return fail_input(&err, "cannot use the data", r->path);
    say_cut(o, *data, r->path, r->part);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ shapes */

int check_shapes(const struct options *o, const struct model *m)
{
    for (size_t k = 0; k < o->shape_texts.n; k++) {
        const struct precinfer_shape *s = &o->shapes[k];
        struct precinfer_io io;
        size_t i = 0;
        char want[128];
        for (; i < model_inputs(m); i++) {
            model_input(m, i, &io);
            if (!strcmp(io.name, s->input)) break;
        }
        if (i == model_inputs(m)) return fail(EXIT_USAGE, "wrong value", "--shape", "the model has no input '%s'", s->input);
        int bad = s->rank != io.rank;
        for (int d = 0; d < io.rank && !bad; d++) bad = io.dims[d] >= 0 && io.dims[d] != s->dims[d];
        if (bad) return fail(EXIT_USAGE, "wrong value", "--shape", "'%s' does not fit the input, which is %s",
                             o->shape_texts.items[k],
                             dims_text(io.rank, io.dims, io.symbols, want, sizeof want));
    }
    return 0;
}

/* The symbol of the first open leading dimension is the batch's. */
static int is_batch(const struct model *m, const struct precinfer_io *io)
{
    struct precinfer_io first;
    if (!io->rank || io->dims[0] >= 0) return 0;
    for (size_t i = 0; i < model_inputs(m); i++) {
        model_input(m, i, &first);
        if (first.rank && first.dims[0] < 0) return !first.symbols[0] || !io->symbols[0]
            || !strcmp(first.symbols[0], io->symbols[0]);
    }
    return 0;
}

int shape_of(const struct options *o, const struct model *m, size_t i, size_t batch, struct precinfer_shape *shape)
{
    struct precinfer_io io;
    const struct precinfer_shape *given = NULL;
    char want[128];
    model_input(m, i, &io);
    for (size_t k = 0; k < o->shape_texts.n; k++) if (!strcmp(o->shapes[k].input, io.name)) given = &o->shapes[k];
    *shape = (struct precinfer_shape){ .input = io.name, .rank = io.rank };
    for (int d = 0; d < io.rank; d++) {
        if (io.dims[d] >= 0) shape->dims[d] = io.dims[d];
        else if (!d && is_batch(m, &io) && (batch || !given)) shape->dims[d] = batch ? (int64_t)batch : 1;
        else if (given) shape->dims[d] = given->dims[d];
        else return fail(EXIT_USAGE, "shape missing", "--shape", "input '%s' is %s: say --shape %s=...", io.name,
                         dims_text(io.rank, io.dims, io.symbols, want, sizeof want), io.name);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ noise */

static double random_unit(uint64_t *state)          /* [0, 1); splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static void fill(struct precinfer_tensor *t, uint64_t *state)
{
    size_t n = 1;
    for (int d = 0; d < t->rank; d++) n *= (size_t)t->dims[d];
    const size_t size = precinfer_dtype_size(t->dtype);
    for (size_t i = 0; i < n; i++) {
        const double u = random_unit(state);
        unsigned char *at = (unsigned char *)t->data + i * size;
        const int little = 1;
        if (t->dtype == PRECINFER_F32) { const float f = (float)(2 * u - 1); memcpy(at, &f, 4); }
        else if (t->dtype == PRECINFER_F64) { const double f = 2 * u - 1; memcpy(at, &f, 8); }
        else if (t->dtype == PRECINFER_BF16 || t->dtype == PRECINFER_F16) {    /* 0, 1/2 or so: enough for a time */
            const uint16_t h = u < 0.5 ? 0 : t->dtype == PRECINFER_F16 ? 0x3800 : 0x3f00;
            memcpy(at, &h, 2);
        } else at[*(const char *)&little ? 0 : size - 1] = u < 0.5;
    }
}

int make_noise(const struct options *o, const struct model *m, size_t batch, struct noise *noise)
{
    *noise = (struct noise){ .n = model_inputs(m), .state = 1, .samples = 1 };
    noise->tensors = need(noise->n, sizeof *noise->tensors);
    if (!noise->tensors) return EXIT_BROKEN;
    for (size_t i = 0; i < noise->n; i++) {
        struct precinfer_io io;
        struct precinfer_shape s;
        model_input(m, i, &io);
        const int code = shape_of(o, m, i, batch, &s);
        if (code) { free_noise(noise); return code; }
        struct precinfer_tensor *t = &noise->tensors[i];
        *t = (struct precinfer_tensor){ .dtype = io.dtype, .rank = s.rank };
        double n = (double)precinfer_dtype_size(io.dtype);
        for (int d = 0; d < s.rank; d++) n *= (double)(t->dims[d] = s.dims[d]);
        if (n > 1e13) { free_noise(noise); return fail(EXIT_USAGE, "shape too large", "--shape",
                                                       "input '%s' would be %.3g bytes", io.name, n); }
        t->data = need((size_t)n + 1, 1);
        if (!t->data) { free_noise(noise); return EXIT_BROKEN; }
        fill(t, &noise->state);
        if (is_batch(m, &io)) noise->samples = (size_t)s.dims[0];
        else if (!i && io.rank && io.dims[0] > 0) noise->samples = (size_t)io.dims[0];
    }
    return 0;
}

void free_noise(struct noise *noise)
{
    for (size_t i = 0; noise->tensors && i < noise->n; i++) free(noise->tensors[i].data);
    free(noise->tensors);
    noise->tensors = NULL;
}

static int next_noise(void *user, struct precinfer_batch *batch, struct precinfer_error *err)
{
    struct noise *n = user;
    (void)err;
    *batch = (struct precinfer_batch){ .ninputs = n->n };
    if (!n->left) return 0;
    n->left--;
    for (size_t i = 0; i < n->n; i++) {
        fill(&n->tensors[i], &n->state);
        batch->inputs[i] = n->tensors[i];
    }
    batch->samples = n->samples;
    return 0;
}

int calibrate_on_noise(const struct options *o, const struct model *m, precinfer_stats **stats)
{
    struct noise noise;
    struct precinfer_error err;
    if (model_inputs(m) > sizeof ((struct precinfer_batch *)0)->inputs / sizeof *noise.tensors)
        return fail(EXIT_USAGE, "cannot calibrate", m->path, "it has %zu inputs", model_inputs(m));
    const int code = make_noise(o, m, 0, &noise);
    if (code) return code;
    noise.left = 16;
    const int status = precinfer_calibrate(m->graph, next_noise, &noise, NULL, stats, &err);
    free_noise(&noise);
    return status ? fail_input(&err, "cannot calibrate on noise", m->path) : 0;
}

int compile_at(const struct options *o, precinfer_context *ctx, const struct model *m, enum precinfer_precision precision,
               precinfer_plan **plan, int *noisy)
{
    struct precinfer_error err;
    precinfer_stats *stats = NULL;
    precinfer_recipe *recipe = NULL;
    if (precision == PRECINFER_PRECISION_INT8) {
        int code = 0;
        if (o->stats) code = precinfer_stats_load(ctx, o->stats, &stats, &err)
            ? fail_input(&err, "cannot load the statistics", o->stats) : 0;
        else { code = calibrate_on_noise(o, m, &stats); *noisy = 1; }
        if (code) return code;
    }
    int status = precinfer_recipe_new(m->graph, stats, precision, &recipe, &err);
    const struct precinfer_compile_options c = { .size = sizeof c, .stats = stats };
    if (!status) status = precinfer_compile(m->graph, recipe, &c, plan, &err);
    precinfer_recipe_free(recipe);
    precinfer_stats_free(stats);
    return status ? fail_input(&err, "cannot compile", m->path) : 0;
}
