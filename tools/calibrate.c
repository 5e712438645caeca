/* precinfer calibrate: statistics of a data set. */
#include "tool.h"

int calibrate_from(const struct options *o, precinfer_context *ctx, const struct model *m, const char *path,
                   const struct precinfer_preprocessing *pre, int stored, precinfer_stats **stats)
{
    struct precinfer_error err;
    struct progress progress;
    precinfer_data *data;
    const struct data_request r = { .path = path, .samples = o->samples,
                                    .batch = o->command == CALIBRATE && o->batch ? o->batch : 0 };
    int code = open_data(o, ctx, m, &r, pre, stored, &data);
    if (code) return code;
    /* Raw data was preprocessed, by the defaults where nothing else was said: other flags later on would conflict. */
    struct precinfer_preprocessing recorded = *pre;
    recorded.given |= precinfer_data_raw(data);
    progress_start(&progress, o, "calibrate", precinfer_data_samples(data));
    const struct precinfer_calibrate_options c = {
        .size = sizeof c, .preprocessing = recorded.given ? &recorded : NULL, .progress = progress_show, .user = &progress };
    if (precinfer_calibrate(m->graph, precinfer_data_next, data, &c, stats, &err)) {
        progress_end(&progress);
        code = fail_input(&err, "cannot calibrate", path);
    }
    progress_end(&progress);
    precinfer_data_free(data);
    return code;
}

static int report(const struct options *o, precinfer_context *ctx, const char *model, const precinfer_stats *stats)
{
    struct precinfer_stats_info s;
    char a[17], b[17], pre[400];
    FILE *out = text_out(o);
    precinfer_stats_info(stats, &s);
    fprintf(out, "%s: %zu samples, %zu values\nmodel %s, data %s, preprocessing: %s\n", o->output, s.samples, s.values,
            hash_text(s.model_hash, a), hash_text(s.data_hash, b), pre_text(&s.preprocessing, pre, sizeof pre));
    int code = flush_text(o);
    if (code) return code;
    struct json j;
    json_begin(&j, o);
    json_open(&j, "files", '[');
    json_string(&j, NULL, model);
    json_string(&j, NULL, o->data);
    json_string(&j, NULL, o->output);
    json_close(&j, ']');
    json_hash(&j, "model_hash", s.model_hash);
    json_hash(&j, "data_hash", s.data_hash);
    json_size(&j, "samples", s.samples);
    json_size(&j, "values", s.values);
    json_pre(&j, "preprocessing", &s.preprocessing);
    return json_write(&j, ctx, o);
}

static int calibrate(const struct options *o, precinfer_context *ctx)
{
    struct model m;
    struct precinfer_error err;
    precinfer_stats *stats = NULL;
    m = (struct model){ .path = o->files.items[0] };
    int code = load_graph(ctx, m.path, &m.graph);
    if (!code) code = check_shapes(o, &m);
    if (!code) code = calibrate_from(o, ctx, &m, o->data, &o->pre, 0, &stats);
    if (!code && precinfer_stats_save(stats, o->output, &err)) code = fail_output(&err, "cannot write the statistics", o->output);
    if (!code) code = report(o, ctx, m.path, stats);
    precinfer_stats_free(stats);
    free_model(&m);
    return code;
}

int run_calibrate(const struct options *o)
{
    precinfer_context *ctx;
    if (o->files.n != 1) return fail(EXIT_USAGE, "calibrate wants one model", NULL, "%zu files are given", o->files.n);
    if (!o->data) return fail(EXIT_USAGE, "data missing", "--data", "there is nothing to calibrate on");
    if (!o->output) return fail(EXIT_USAGE, "output missing", "-o", "the statistics need a file");
    int code = check_target(o->output);
    if (!code) code = check_target(o->json);
    if (!code) code = open_context(o, 1, &ctx);
    if (code) return code;
    code = calibrate(o, ctx);
    close_context(ctx);
    return code;
}
