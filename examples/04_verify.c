/* Is a plan good enough? Its answers beside the f32 model's on labelled data: a verdict, and the layers that lose most.
 *     04_verify [PLAN]         without: an int8 plan made here and now */
#include <stdio.h>
#include "precinfer.h"

enum { SHOWN = 3, SAMPLES = 400 };
static const struct precinfer_preprocessing pixels = { .given = 1, .divide = 16 };

static enum precinfer_status open_data(precinfer_context *ctx, const precinfer_graph *graph, const char *path, const char *labels,
                                       size_t samples, precinfer_data **data, struct precinfer_error *err)
{
    struct precinfer_io input;
    const struct precinfer_data_options o = { .size = sizeof o, .path = path, .labels = labels, .samples = samples, .batch = 8,
                                              .preprocessing = &pixels };
    const enum precinfer_status s = precinfer_graph_input_info(graph, 0, &input);
    return s ? s : precinfer_data_open(ctx, &input, 1, &o, data, err);
}

static enum precinfer_status make_plan(precinfer_context *ctx, const precinfer_graph *graph, precinfer_plan **plan,
                                       struct precinfer_error *err)
{
    precinfer_data *data = NULL;
    precinfer_stats *stats = NULL;
    precinfer_recipe *recipe = NULL;
    struct precinfer_compile_options o = { .size = sizeof o };
    enum precinfer_status s = open_data(ctx, graph, "examples/digits/calibration.npy", NULL, 0, &data, err);
    if (!s) s = precinfer_calibrate(graph, precinfer_data_next, data, NULL, &stats, err);
    if (!s) s = precinfer_recipe_new(graph, stats, PRECINFER_PRECISION_INT8, &recipe, err);
    o.stats = stats;
    if (!s) s = precinfer_compile(graph, recipe, &o, plan, err);
    precinfer_recipe_free(recipe);
    precinfer_stats_free(stats);
    precinfer_data_free(data);
    return s;
}

static void print(const precinfer_plan *plan, const precinfer_report *report)
{
    struct precinfer_report_info r;
    struct precinfer_layer_error e;
    struct precinfer_layer layer;
    double above = -1e300;              /* worst first: each turn looks for the next larger SQNR */
    precinfer_report_info(report, &r);
    printf("%zu samples, same answer on %zu (at least %.1f%%), right: f32 %zu, plan %zu\n", r.samples, r.agreed,
           100 * r.agreement_lower, r.right_reference, r.right_candidate);
    printf("accuracy lost: %.2f points, between %.2f and %.2f; allowed %.2f: %s\n", 100 * r.drop, 100 * r.drop_lower,
           100 * r.drop_upper, 100 * r.drop_limit, precinfer_verdict_string(r.verdict));
    for (int shown = 0; shown < SHOWN; shown++) {
        size_t worst = r.layers;
        double sqnr = 1e300;
        for (size_t i = 0; i < r.layers; i++)
            if (!precinfer_report_layer(report, i, &e) && e.compared && !e.exact && e.sqnr_db > above && e.sqnr_db < sqnr) {
                sqnr = e.sqnr_db;
                worst = i;
            }
        if (worst == r.layers || precinfer_plan_layer(plan, worst, &layer)) break;
        printf("  %5.1f dB  %s (%s, %s)\n", sqnr, layer.name, layer.op, precinfer_precision_string(layer.precision));
        above = sqnr;
    }
}

int main(int argc, char **argv)
{
    struct precinfer_error err = { PRECINFER_OK, "" };
    precinfer_context *ctx = NULL;
    precinfer_graph *graph = NULL;
    precinfer_data *data = NULL;
    precinfer_plan *plan = NULL;
    precinfer_report *report = NULL;
    struct precinfer_verify_options policy;
    precinfer_verify_defaults(&policy);
    policy.max_drop_points = 0.03;
    enum precinfer_status s = precinfer_context_new(NULL, &ctx, &err);
    if (!s) s = precinfer_graph_load(ctx, "examples/digits/digits.onnx", &graph, &err);
    if (!s) s = argc > 1 ? precinfer_plan_load(ctx, argv[1], NULL, &plan, &err) : make_plan(ctx, graph, &plan, &err);
    if (!s) s = open_data(ctx, graph, "examples/digits/evaluation.npy", "examples/digits/evaluation_labels.npy", SAMPLES,
                          &data, &err);
    if (!s) s = precinfer_verify(plan, graph, precinfer_data_next, data, &policy, &report, &err);
    if (!s) print(plan, report);
    else fprintf(stderr, "%s: %s\n", precinfer_status_string(s), err.text);
    precinfer_report_free(report);
    precinfer_data_free(data);
    precinfer_plan_free(plan);
    precinfer_graph_free(graph);
    precinfer_context_free(ctx);
    return s != PRECINFER_OK;
}
