/* precinfer run: arrays in, arrays out. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tool.h"

struct binding { const char *path; struct precinfer_tensor t; int batched, loaded; };      /* loaded: by precinfer_npy_load */
struct result { const char *path; struct precinfer_io io; struct precinfer_tensor t; void *data; size_t room, bytes, parts; };
struct job {
    precinfer_context *ctx;
    struct model m;
    precinfer_plan *plan;
    struct binding *in;
    struct result *out;
    size_t nin, nout;
    size_t samples, batch;              /* of the batched inputs; batch 0: everything at once                    */
};

/* ------------------------------------------------------------------------------------------------ names */

static const char **path_at(const struct job *job, int input, size_t i) { return input ? &job->in[i].path : &job->out[i].path; }

/* [NAME=]PATH: a NAME that the model has, which may hold '=' itself. *i is the number of all where there is none. */
static int split(const struct job *job, int input, const char *text, size_t *i, const char **path)
{
    struct precinfer_io io;
    const size_t n = input ? job->nin : job->nout;
    for (const char *eq = strchr(text, '='); eq; eq = strchr(eq + 1, '='))
        for (size_t k = 0; k < n; k++) {
            if (input) model_input(&job->m, k, &io); else model_output(&job->m, k, &io);
            if (strlen(io.name) != (size_t)(eq - text) || memcmp(io.name, text, (size_t)(eq - text))) continue;
            *i = k;
            *path = eq + 1;
            return **path ? 0 : fail(EXIT_USAGE, "wrong value", input ? "--input" : "--output", "'%s' names no file", text);
        }
    const char *eq = strchr(text, '=');
    *i = n;
    *path = text;
    if (!eq || (input && !access(text, F_OK))) return 0;
    return fail(EXIT_USAGE, "wrong name", input ? "--input" : "--output", "the model has no %s '%.*s'",
                input ? "input" : "output", (int)(eq - text), text);
}

/* Named ones first, so that those without a name fill what is left. */
static int assign(const struct options *o, struct job *job, int input)
{
    const struct list *l = input ? &o->inputs : &o->outputs;
    const size_t n = input ? job->nin : job->nout;
    const char *flag = input ? "--input" : "--output", *path;
    if (l->n > n) return fail(EXIT_USAGE, "too many", flag, "%zu are given, the model has %zu", l->n, n);
    for (int named = 1; named >= 0; named--)
        for (size_t k = 0; k < l->n; k++) {
            size_t i;
            const int code = split(job, input, l->items[k], &i, &path);
            if (code) return code;
            if ((i < n) != named) continue;
            if (!named) for (i = 0; *path_at(job, input, i); i++) ;
            if (*path_at(job, input, i)) return fail(EXIT_USAGE, "named twice", flag, "'%s'", l->items[k]);
            *path_at(job, input, i) = path;
        }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ inputs */

static size_t bytes_of(const struct precinfer_tensor *t)
{
    size_t n = precinfer_dtype_size(t->dtype);
    for (int d = 0; d < t->rank; d++) n *= (size_t)t->dims[d];
    return n;
}

/* An array of another type, or --raw: the data reader makes the model's input of it. */
static int read_raw(const struct options *o, struct job *job, const struct precinfer_io *io,
                    const struct precinfer_preprocessing *pre, int stored,
                    struct binding *b, size_t samples)
{
    struct precinfer_error err;
    precinfer_data *data;
    struct precinfer_batch batch;
    struct precinfer_io open = *io;
    if (open.rank && samples) { open.dims[0] = -1; open.symbols[0] = "N"; }     /* all of it in one batch */
    const struct precinfer_data_options d = { .size = sizeof d, .path = b->path, .batch = open.rank ? samples : 0, .raw = o->raw,
                                              .preprocessing = pre->given ? pre : NULL, .preprocessing_stored = stored };
    if (precinfer_data_open(job->ctx, &open, 1, &d, &data, &err)) return fail_input(&err, "cannot use the array", b->path);
    int code = precinfer_data_next(data, &batch, &err) ? fail_input(&err, "cannot read the array", b->path) : 0;
    if (!code) {
        b->t = batch.inputs[0];
        b->t.data = need(bytes_of(&b->t) + 1, 1);
        if (b->t.data) memcpy(b->t.data, batch.inputs[0].data, bytes_of(&b->t));
        else code = EXIT_BROKEN;
    }
    precinfer_data_free(data);
    return code;
}

static int is_float(enum precinfer_dtype t) { return t == PRECINFER_F32 || t == PRECINFER_F16 || t == PRECINFER_BF16
                                              || t == PRECINFER_F64; }

static int any_float(const struct job *job)
{
    for (size_t i = 0; i < job->nin; i++) {
        struct precinfer_io io;
        model_input(&job->m, i, &io);
        if (is_float(io.dtype)) return 1;
    }
    return 0;
}

static int read_input(const struct options *o, struct job *job, size_t i, const struct precinfer_preprocessing *pre, int stored)
{
    struct precinfer_error err;
    struct precinfer_io io;
    struct binding *b = &job->in[i];
    struct precinfer_tensor t;
    enum kind kind;
    model_input(&job->m, i, &io);
    if (!b->path) return fail(EXIT_USAGE, "input missing", "--input", "nothing is given for '%s'", io.name);
    int code = kind_of(b->path, &kind);
    if (code) return code;
    if (kind != KIND_NPY) return fail(EXIT_USAGE, "cannot use the array", b->path, "it is no .npy file");
    if (precinfer_npy_load(job->ctx, b->path, &t, &err)) return fail_input(&err, "cannot read the array", b->path);
    const int own = t.dtype == io.dtype, flags = o->pre_flags != 0;
    if (flags && !any_float(job)) code = fail(EXIT_USAGE, "preprocessing does not apply", b->path,
                                              "input '%s' is %s, which is never normalised", io.name,
                                                  precinfer_dtype_string(io.dtype));
    if (!code && own && is_float(io.dtype) && flags && !o->raw)
        code = fail(EXIT_USAGE, "preprocessing does not apply", b->path,
                    "it is %s, as input '%s' is, and is taken as it is (--raw says otherwise)",
                    precinfer_dtype_string(io.dtype), io.name);
    /* (N,H,W) for one channel goes through the reader, as data does everywhere */
    const int as_is = own && !(o->raw && is_float(io.dtype)) && !(t.rank == 3 && io.rank == 4 && t.dims[0]);
    if (!code && as_is) { b->t = t; b->loaded = 1; return 0; }
    const size_t samples = t.rank ? (size_t)t.dims[0] : 0;
    precinfer_array_free(job->ctx, &t);
    return code ? code : read_raw(o, job, &io, pre, stored, b, samples);
}

/* ------------------------------------------------------------------------------------------------ batches */

/* Which inputs are split, and how: along the symbolic first dimension, or by the model's fixed one. */
static int plan_batches(const struct options *o, struct job *job)
{
    const char *symbol = NULL;
    int open = 0;
    struct precinfer_io io;
    for (size_t i = 0; i < job->nin; i++) {
        model_input(&job->m, i, &io);
        if (!io.rank || io.dims[0] >= 0) continue;
        if (open && symbol && io.symbols[0] && strcmp(symbol, io.symbols[0])) continue;
        if (!open) symbol = io.symbols[0];
        if (open && (size_t)job->in[i].t.dims[0] != job->samples)
            return fail(EXIT_USAGE, "arrays do not fit", job->in[i].path, "input '%s' has %lld samples, another %zu", io.name,
                        (long long)job->in[i].t.dims[0], job->samples);
        open = job->in[i].batched = 1;
        job->samples = (size_t)job->in[i].t.dims[0];
    }
    if (open) {
        job->batch = o->batch;
        if (!o->batch) for (size_t i = 0; i < job->nin; i++) job->in[i].batched = 0;
        return 0;
    }
    for (size_t i = 0; i < job->nin; i++) {
        const struct precinfer_tensor *t = &job->in[i].t;
        model_input(&job->m, i, &io);
        if (!io.rank || t->rank != io.rank || io.dims[0] < 1 || t->dims[0] == io.dims[0]) continue;
        const size_t fixed = (size_t)io.dims[0], n = (size_t)t->dims[0];
        if (!n || n % fixed)
            return fail(EXIT_USAGE, "array does not fit", job->in[i].path,
                        "its length %zu is no multiple of the model's fixed batch of %zu", n, fixed);
        if (job->batch && n / fixed != job->samples / job->batch)
            return fail(EXIT_USAGE, "arrays do not fit", job->in[i].path, "input '%s' is %zu batches, another %zu", io.name,
                        n / fixed, job->samples / job->batch);
        job->in[i].batched = 1;
        job->samples = n;
        job->batch = fixed;
    }
    if (!o->batch) return 0;
    for (size_t i = 0; i < job->nin; i++) {
        model_input(&job->m, i, &io);
        if (io.rank && (size_t)io.dims[0] == o->batch) return 0;
    }
    return fail(EXIT_USAGE, "wrong value", "--batch", "the model's batch is fixed, not %zu", o->batch);
}

/* An empty array is one batch of nothing, so that the outputs have their shapes. */
static size_t parts(const struct job *job)
{
    return job->batch && job->samples ? (job->samples + job->batch - 1) / job->batch : 1;
}

/* A batched input's share of its array: batches of different inputs may differ in length where they are fixed. */
static struct precinfer_tensor part_of(const struct job *job, size_t i, size_t part)
{
    struct precinfer_tensor t = job->in[i].t;
    struct precinfer_io io;
    if (!job->in[i].batched) return t;
    model_input(&job->m, i, &io);
    const size_t all = (size_t)t.dims[0], step = io.dims[0] > 0 ? (size_t)io.dims[0] : job->batch, from = part * step;
    const size_t n = all - from < step ? all - from : step;
    if (all) t.data = (char *)t.data + bytes_of(&t) / all * from;
    t.dims[0] = (int64_t)n;
    return t;
}

/* ------------------------------------------------------------------------------------------------ outputs */

static int keep(struct result *r, const struct precinfer_tensor *t)
{
    const size_t bytes = bytes_of(t);
    int bad = r->parts && (!t->rank || t->rank != r->t.rank);
    for (int d = 1; r->parts && d < t->rank && !bad; d++) bad = t->dims[d] != r->t.dims[d];
    if (bad) return fail(EXIT_USAGE, "outputs cannot be joined", r->io.name,
                         "it is not one shape a batch with a first dimension: run it in one batch");
    if (r->bytes + bytes > r->room) {
        r->room = 2 * r->bytes + bytes;
        void *more = realloc(r->data, r->room);
        if (!more) return fail(EXIT_BROKEN, "out of memory", r->io.name, "%zu bytes", r->room);
        r->data = more;
    }
    if (bytes) memcpy((char *)r->data + r->bytes, t->data, bytes);
    const int64_t before = r->parts++ ? r->t.dims[0] : 0;
    r->t = *t;
    if (t->rank) r->t.dims[0] += before;
    r->bytes += bytes;
    return 0;
}

static int run_parts(const struct options *o, struct job *job)
{
    struct precinfer_error err;
    struct progress progress;
    precinfer_session *s = NULL;
    struct precinfer_tensor *in = need(job->nin + 1, sizeof *in);
    int code = in ? 0 : EXIT_BROKEN;
    for (size_t i = 0; i < job->nin && !code; i++) in[i] = part_of(job, i, 0);
    if (!code) code = session_for(job->plan, in, job->nin, 0, &s);
    progress_start(&progress, o, "run", parts(job));
    for (size_t part = 0; part < parts(job) && !code; part++) {
        for (size_t i = 0; i < job->nin && !code; i++) {
            struct precinfer_io io;
            precinfer_plan_input_info(job->plan, i, &io);
            in[i] = part_of(job, i, part);
            if (precinfer_bind(s, io.name, &in[i], &err)) code = fail_input(&err, "cannot run", job->in[i].path);
        }
        if (!code && precinfer_session_run(s, &err)) code = fail_input(&err, "cannot run", job->m.path);
        for (size_t i = 0; i < job->nout && !code; i++) {
            struct precinfer_tensor t;
            if (!job->out[i].path) continue;
            if (precinfer_session_value(s, job->out[i].io.name, &t, &err))
                code = fail_input(&err, "cannot read the output", job->out[i].io.name);
            else code = keep(&job->out[i], &t);
        }
        progress_show(&progress, NULL, part + 1, 0);
    }
    progress_end(&progress);
    precinfer_session_free(s);
    free(in);
    return code;
}

static int write_outputs(struct job *job)
{
    struct precinfer_error err;
    unsigned char empty = 0;
    for (size_t i = 0; i < job->nout; i++) {
        struct result *r = &job->out[i];
        if (!r->path) continue;
        struct precinfer_tensor t = r->t;
        t.data = r->data ? r->data : &empty;
        if (precinfer_npy_save(job->ctx, r->path, &t, &err)) return fail_output(&err, "cannot write the output", r->path);
    }
    return 0;
}

static int report(const struct options *o, const struct job *job)
{
    struct table t;
    struct json j;
    struct precinfer_io io;
    char dims[128];
    table_start(&t, "|name|type|shape|file");
    json_begin(&j, o);
    json_open(&j, "files", '[');
    json_string(&j, NULL, job->m.path);
    for (size_t i = 0; i < job->nin; i++) json_string(&j, NULL, job->in[i].path);
    for (size_t i = 0; i < job->nout; i++) if (job->out[i].path) json_string(&j, NULL, job->out[i].path);
    json_close(&j, ']');
    json_string(&j, "model", job->m.path);
    json_size(&j, "runs", parts(job));
    for (int output = 0; output < 2; output++) {
        json_open(&j, output ? "outputs" : "inputs", '[');
        for (size_t i = 0; i < (output ? job->nout : job->nin); i++) {
            const char *path = output ? job->out[i].path : job->in[i].path;
            const struct precinfer_tensor *x = output ? &job->out[i].t : &job->in[i].t;
            if (!path) continue;
            if (output) model_output(&job->m, i, &io); else model_input(&job->m, i, &io);
            io.rank = x->rank;
            memcpy(io.dims, x->dims, sizeof io.dims);
            table_cell(&t, output ? "output" : "input");
            table_cell(&t, "%s", io.name);
            table_cell(&t, "%s", precinfer_dtype_string(x->dtype));
            table_cell(&t, "%s", dims_text(x->rank, x->dims, NULL, dims, sizeof dims));
            table_cell(&t, "%s", path);
            json_open(&j, NULL, '{');
            json_string(&j, "name", io.name);
            json_string(&j, "dtype", precinfer_dtype_string(x->dtype));
            json_dims(&j, "shape", &io);
            json_string(&j, "file", path);
            json_close(&j, '}');
        }
        json_close(&j, ']');
    }
    table_print(&t, text_out(o));
    const int code = flush_text(o);
    if (code) { free(j.text); return code; }
    return json_write(&j, job->ctx, o);
}

/* ------------------------------------------------------------------------------------------------ all of it */

static int prepare(const struct options *o, struct job *job)
{
    struct precinfer_preprocessing pre, in_file;
    struct precinfer_error err;
    int stored;
    int code = load_model(job->ctx, o->files.items[0], &job->m);
    if (!code) code = refuse_rejected(o, &job->m);
    if (!code) code = check_shapes(o, &job->m);
    if (code) return code;
    job->nin = model_inputs(&job->m);
    job->nout = model_outputs(&job->m);
    job->in = need(job->nin + 1, sizeof *job->in);
    job->out = job->in ? need(job->nout + 1, sizeof *job->out) : NULL;
    if (!job->out) return EXIT_BROKEN;
    for (size_t i = 0; i < job->nout; i++) model_output(&job->m, i, &job->out[i].io);
    in_file = model_preprocessing(&job->m);
    code = assign(o, job, 1);
    if (!code) code = assign(o, job, 0);
    for (size_t i = 0; i < job->nout && !code; i++) code = check_target(job->out[i].path);
    if (!code) code = resolve_preprocessing(o, &in_file, job->m.path, &pre, &stored);
    for (size_t i = 0; i < job->nin && !code; i++) code = read_input(o, job, i, &pre, stored);
    if (!code) code = plan_batches(o, job);
    if (code || job->m.plan) { job->plan = job->m.plan; return code; }
    return precinfer_compile(job->m.graph, NULL, NULL, &job->plan, &err) ? fail_input(&err, "cannot compile", job->m.path) : 0;
}

int run_run(const struct options *o)
{
    struct job job = { 0 };
    if (o->files.n != 1) return fail(EXIT_USAGE, "run wants one model or plan", NULL, "%zu files are given", o->files.n);
    if (!o->outputs.n) return fail(EXIT_USAGE, "output missing", "--output", "nothing would be written");
    int code = open_context(o, 1, &job.ctx);
    if (code) return code;
    code = prepare(o, &job);
    if (!code) code = run_parts(o, &job);
    if (!code) code = write_outputs(&job);
    if (!code) code = report(o, &job);
    for (size_t i = 0; i < job.nin && job.in; i++) {
        if (job.in[i].loaded) precinfer_array_free(job.ctx, &job.in[i].t);
        else free(job.in[i].t.data);
    }
    for (size_t i = 0; i < job.nout && job.out; i++) free(job.out[i].data);
    free(job.in);
    free(job.out);
    if (job.plan != job.m.plan) precinfer_plan_free(job.plan);
    free_model(&job.m);
    close_context(job.ctx);
    return code;
}
