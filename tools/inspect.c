/* precinfer inspect: what a file holds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

struct view { const struct options *o; precinfer_context *ctx; const char *path; FILE *out; struct json j; struct table t; };

/* ------------------------------------------------------------------------------------------------ models and plans */

static void ports(struct view *v, const struct model *m)
{
    char s[128];
    for (int output = 0; output < 2; output++) {
        json_open(&v->j, output ? "outputs" : "inputs", '[');
        for (size_t i = 0; i < (output ? model_outputs(m) : model_inputs(m)); i++) {
            struct precinfer_io io;
            if (output) model_output(m, i, &io); else model_input(m, i, &io);
            fprintf(v->out, "%s %s: %s %s\n", output ? "output" : "input ", io.name, precinfer_dtype_string(io.dtype),
                    dims_text(io.rank, io.dims, io.symbols, s, sizeof s));
            json_open(&v->j, NULL, '{');
            json_string(&v->j, "name", io.name);
            json_string(&v->j, "dtype", precinfer_dtype_string(io.dtype));
            json_dims(&v->j, "shape", &io);
            json_close(&v->j, '}');
        }
        json_close(&v->j, ']');
    }
}

static int node(void *user, const struct precinfer_node_info *n)
{
    struct view *v = user;
    char s[128];
    table_cell(&v->t, "%s", n->name);
    table_cell(&v->t, "%s", n->op);
    table_cell(&v->t, "%s", dims_text(n->output.rank, n->output.dims, n->output.symbols, s, sizeof s));
    table_cell(&v->t, "%zu", n->macs_per_sample);
    table_cell(&v->t, "%zu", n->weights);
    json_open(&v->j, NULL, '{');
    json_string(&v->j, "name", n->name);
    json_string(&v->j, "op", n->op);
    json_dims(&v->j, "shape", &n->output);
    json_size(&v->j, "macs_per_sample", n->macs_per_sample);
    json_size(&v->j, "weights", n->weights);
    json_close(&v->j, '}');
    return 0;
}

static void show_model(struct view *v, const struct model *m)
{
    char h[17];
    fprintf(v->out, "%s: model %s\n", v->path, hash_text(precinfer_graph_hash(m->graph), h));
    json_string(&v->j, "kind", "model");
    json_hash(&v->j, "model_hash", precinfer_graph_hash(m->graph));
    ports(v, m);
    fputc('\n', v->out);
    json_open(&v->j, "nodes", '[');
    table_start(&v->t, "node|op|output|>multiply-adds|>weights");
    precinfer_graph_nodes(m->graph, node, v);
    table_print(&v->t, v->out);
    json_close(&v->j, ']');
}

static void show_plan(struct view *v, const struct model *m)
{
    struct precinfer_plan_info p;
    char h[3][17], s[400];
    precinfer_plan_info(m->plan, &p);
    fprintf(v->out, "%s: plan %s%s%s, %s\nmodel %s, recipe %s\nweights %s, as the kernels lay them out ", v->path,
            hash_text(p.plan_hash, h[0]),
            p.rejected ? ", REJECTED" : "", p.other_host ? ", made on another CPU" : "", plan_precision(m->plan),
                hash_text(p.model_hash, h[1]),
            hash_text(p.recipe_hash, h[2]), bytes_text((double)p.weights_bytes, s));
    fprintf(v->out, "%s\n", bytes_text((double)p.packed_bytes, s));
    fprintf(v->out, "calibrated on %zu samples, preprocessing: %s\n", p.calibration_samples,
            pre_text(&p.preprocessing, s, sizeof s));
    json_string(&v->j, "kind", "plan");
    json_hash(&v->j, "model_hash", p.model_hash);
    json_hash(&v->j, "recipe_hash", p.recipe_hash);
    json_hash(&v->j, "plan_hash", p.plan_hash);
    json_true(&v->j, "rejected", p.rejected);
    json_string(&v->j, "precision", plan_precision(m->plan));
    json_size(&v->j, "weights_bytes", p.weights_bytes);
    json_size(&v->j, "packed_bytes", p.packed_bytes);
    json_size(&v->j, "calibration_samples", p.calibration_samples);
    json_pre(&v->j, "preprocessing", &p.preprocessing);
    ports(v, m);
    fputc('\n', v->out);
    table_start(&v->t, "layer|op|precision|kernel|fused");
    json_open(&v->j, "layers", '[');
    for (size_t i = 0; i < p.layers; i++) {
        struct precinfer_layer l;
        precinfer_plan_layer(m->plan, i, &l);
        table_cell(&v->t, "%s", l.name);
        table_cell(&v->t, "%s", l.op);
        table_cell(&v->t, "%s", precinfer_precision_string(l.precision));
        table_cell(&v->t, "%s", l.kernel ? l.kernel : "-");
        table_cell(&v->t, "%s", l.fused ? l.fused : "");
        json_open(&v->j, NULL, '{');
        json_string(&v->j, "name", l.name);
        json_string(&v->j, "op", l.op);
        json_string(&v->j, "precision", precinfer_precision_string(l.precision));
        json_string(&v->j, "kernel", l.kernel);
        json_string(&v->j, "fused", l.fused);
        json_close(&v->j, '}');
    }
    json_close(&v->j, ']');
    table_print(&v->t, v->out);
}

/* ------------------------------------------------------------------------------------------------ statistics and recipes */

static int show_stats(struct view *v)
{
    precinfer_stats *stats;
    struct precinfer_error err;
    struct precinfer_stats_info s;
    char h[2][17], pre[400];
    if (precinfer_stats_load(v->ctx, v->path, &stats, &err)) return fail_input(&err, "cannot load the statistics", v->path);
    precinfer_stats_info(stats, &s);
    fprintf(v->out, "%s: statistics of %zu samples\nmodel %s, data %s, preprocessing: %s\n\n", v->path, s.samples,
            hash_text(s.model_hash, h[0]),
            hash_text(s.data_hash, h[1]), pre_text(&s.preprocessing, pre, sizeof pre));
    json_string(&v->j, "kind", "statistics");
    json_hash(&v->j, "model_hash", s.model_hash);
    json_hash(&v->j, "data_hash", s.data_hash);
    json_size(&v->j, "samples", s.samples);
    json_pre(&v->j, "preprocessing", &s.preprocessing);
    json_open(&v->j, "values", '[');
    table_start(&v->t, "value|>smallest|>largest|>elements");
    for (size_t i = 0; i < s.values; i++) {
        struct precinfer_range r;
        precinfer_stats_range(stats, i, &r);
        table_cell(&v->t, "%s", r.name);
        table_cell(&v->t, "%.6g", (double)r.min);
        table_cell(&v->t, "%.6g", (double)r.max);
        table_cell(&v->t, "%llu", (unsigned long long)r.count);
        json_open(&v->j, NULL, '{');
        json_string(&v->j, "name", r.name);
        json_number(&v->j, "min", (double)r.min);
        json_number(&v->j, "max", (double)r.max);
        json_size(&v->j, "count", r.count);
        json_close(&v->j, '}');
    }
    json_close(&v->j, ']');
    table_print(&v->t, v->out);
    precinfer_stats_free(stats);
    return 0;
}

static int show_recipe(struct view *v)
{
    precinfer_recipe *recipe;
    struct precinfer_error err;
    struct precinfer_recipe_info r;
    char h[2][17], pre[400];
    if (precinfer_recipe_load(v->ctx, v->path, &recipe, &err)) return fail_input(&err, "cannot load the recipe", v->path);
    precinfer_recipe_info(recipe, &r);
    fprintf(v->out, "%s: recipe %s for model %s\n%zu nodes with weights, %zu quantized values, preprocessing: %s\n\n", v->path,
            hash_text(r.hash, h[0]), hash_text(r.model_hash, h[1]), r.nodes, r.values,
                pre_text(&r.preprocessing, pre, sizeof pre));
    json_string(&v->j, "kind", "recipe");
    json_hash(&v->j, "model_hash", r.model_hash);
    json_hash(&v->j, "recipe_hash", r.hash);
    json_pre(&v->j, "preprocessing", &r.preprocessing);
    json_open(&v->j, "nodes", '[');
    table_start(&v->t, "node|op|precision|>weight scales");
    for (size_t i = 0; i < r.nodes; i++) {
        struct precinfer_recipe_node n;
        precinfer_recipe_node(recipe, i, &n);
        table_cell(&v->t, "%s", n.name);
        table_cell(&v->t, "%s", n.op);
        table_cell(&v->t, "%s", precinfer_precision_string(n.precision));
        table_cell(&v->t, "%zu", n.nscales);
        json_open(&v->j, NULL, '{');
        json_string(&v->j, "name", n.name);
        json_string(&v->j, "op", n.op);
        json_string(&v->j, "precision", precinfer_precision_string(n.precision));
        json_size(&v->j, "weight_scales", n.nscales);
        json_close(&v->j, '}');
    }
    json_close(&v->j, ']');
    table_print(&v->t, v->out);
    fputc('\n', v->out);
    json_open(&v->j, "values", '[');
    table_start(&v->t, "value|>scale|>zero point");
    for (size_t i = 0; i < r.values; i++) {
        struct precinfer_recipe_value x;
        precinfer_recipe_value(recipe, i, &x);
        table_cell(&v->t, "%s", x.name);
        table_cell(&v->t, "%.9g", (double)x.params.scale);
        table_cell(&v->t, "%d", (int)x.params.zero_point);
        json_open(&v->j, NULL, '{');
        json_string(&v->j, "name", x.name);
        json_number(&v->j, "scale", (double)x.params.scale);
        json_number(&v->j, "zero_point", x.params.zero_point);
        json_close(&v->j, '}');
    }
    json_close(&v->j, ']');
    table_print(&v->t, v->out);
    precinfer_recipe_free(recipe);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ arrays */

static double element(const struct precinfer_tensor *t, size_t i)
{
    switch (t->dtype) {
    case PRECINFER_F32: return (double)((const float *)t->data)[i];
    case PRECINFER_F64: return ((const double *)t->data)[i];
    case PRECINFER_U8: case PRECINFER_BOOL: return ((const uint8_t *)t->data)[i];
    case PRECINFER_S8: return ((const int8_t *)t->data)[i];
    case PRECINFER_U16: return ((const uint16_t *)t->data)[i];
    case PRECINFER_S16: return ((const int16_t *)t->data)[i];
    case PRECINFER_S32: return ((const int32_t *)t->data)[i];
    case PRECINFER_U32: return ((const uint32_t *)t->data)[i];
    case PRECINFER_S64: return (double)((const int64_t *)t->data)[i];
    case PRECINFER_U64: return (double)((const uint64_t *)t->data)[i];
    default: return NAN;                            /* 16-bit floats */
    }
}

static int show_array(struct view *v)
{
    struct precinfer_tensor t;
    struct precinfer_error err;
    char s[128];
    size_t n = 1, odd = 0;
    double lo = INFINITY, hi = -INFINITY, sum = 0;
    if (precinfer_npy_load(v->ctx, v->path, &t, &err)) return fail_input(&err, "cannot read the array", v->path);
    for (int d = 0; d < t.rank; d++) n *= (size_t)t.dims[d];
    for (size_t i = 0; i < n; i++) {
        const double x = element(&t, i);
        if (!(x - x == 0)) { odd++; continue; }
        if (x < lo) lo = x;
        if (x > hi) hi = x;
        sum += x;
    }
    fprintf(v->out, "%s: array of %s, %s, %zu elements, %zu bytes\n", v->path, precinfer_dtype_string(t.dtype),
            dims_text(t.rank, t.dims, NULL, s, sizeof s), n,
            n * precinfer_dtype_size(t.dtype));
    const struct precinfer_io io = { .rank = t.rank, .dims = { t.dims[0], t.dims[1], t.dims[2], t.dims[3], t.dims[4], t.dims[5],
                                                               t.dims[6], t.dims[7] } };
    json_string(&v->j, "kind", "array");
    json_string(&v->j, "dtype", precinfer_dtype_string(t.dtype));
    json_dims(&v->j, "shape", &io);
    json_size(&v->j, "elements", n);
    json_size(&v->j, "data_bytes", n * precinfer_dtype_size(t.dtype));
    const int half = t.dtype == PRECINFER_F16 || t.dtype == PRECINFER_BF16;
    if (n > odd && !half) {
        fprintf(v->out, "smallest %.9g, largest %.9g, mean %.9g, not finite %zu\n", lo, hi, sum / (double)(n - odd), odd);
        json_number(&v->j, "min", lo);
        json_number(&v->j, "max", hi);
        json_number(&v->j, "mean", sum / (double)(n - odd));
        json_size(&v->j, "not_finite", odd);
    }
    precinfer_array_free(v->ctx, &t);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ all of it */

static int show(struct view *v)
{
    enum kind kind;
    struct model m = { 0 };
    int code = kind_of(v->path, &kind);
    if (code) return code;
    switch (kind) {
    case KIND_STATS: return show_stats(v);
    case KIND_RECIPE: return show_recipe(v);
    case KIND_NPY: return show_array(v);
    case KIND_NPZ: return fail(EXIT_USAGE, "cannot inspect", v->path, "it is a .npz archive: inspect its arrays one by one");
    default: break;
    }
    code = load_model(v->ctx, v->path, &m);
    if (!code && m.plan) show_plan(v, &m);
    else if (!code) show_model(v, &m);
    free_model(&m);
    return code;
}

int run_inspect(const struct options *o)
{
    struct view v = { .o = o };
    if (o->files.n != 1) return fail(EXIT_USAGE, "inspect wants one file", NULL, "%zu files are given", o->files.n);
    int code = open_context(o, 1, &v.ctx);
    if (code) return code;
    v.path = o->files.items[0];
    v.out = text_out(o);
    json_begin(&v.j, o);
    json_file(&v.j, v.path);
    code = show(&v);
    if (!code) code = flush_text(o);
    if (!code) code = json_write(&v.j, v.ctx, o);
    else free(v.j.text);
    close_context(v.ctx);
    return code;
}
