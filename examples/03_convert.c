/* From a trained model to an int8 plan: load, calibrate, choose a precision, compile, save.
 *     03_convert [PLAN]        PLAN: where to write; a new file in /tmp without */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "precinfer.h"

static enum precinfer_status convert(precinfer_context *ctx, const char *to, struct precinfer_error *err)
{
    precinfer_graph *graph = NULL;
    precinfer_data *data = NULL;
    precinfer_stats *stats = NULL;
    precinfer_recipe *recipe = NULL;
    precinfer_plan *plan = NULL;
    struct precinfer_io input;
    struct precinfer_plan_info info;

    /* What the model was trained on: pixels / 16. */
    const struct precinfer_preprocessing pixels = { .given = 1, .divide = 16 };
    const struct precinfer_data_options from = { .size = sizeof from, .path = "examples/digits/calibration.npy", .batch = 8,
                                                 .preprocessing = &pixels };
    struct precinfer_calibrate_options calibrate = { .size = sizeof calibrate, .preprocessing = &pixels };
    struct precinfer_compile_options compile = { .size = sizeof compile };

    enum precinfer_status s = precinfer_graph_load(ctx, "examples/digits/digits.onnx", &graph, err);
    if (!s) s = precinfer_graph_input_info(graph, 0, &input);
    if (!s) s = precinfer_data_open(ctx, &input, 1, &from, &data, err);
    if (!s) s = precinfer_calibrate(graph, precinfer_data_next, data, &calibrate, &stats, err);
    if (!s) s = precinfer_recipe_new(graph, stats, PRECINFER_PRECISION_INT8, &recipe, err);
    compile.stats = stats;              /* so that a verification knows the samples that were used here */
    if (!s) s = precinfer_compile(graph, recipe, &compile, &plan, err);
    if (!s) s = precinfer_plan_save(plan, to, 0, err);
    if (!s) s = precinfer_plan_info(plan, &info);
    if (!s) printf("%s: plan %016llx, %zu layers, %llu bytes of weights, calibrated on %zu samples\n", to,
                   (unsigned long long)info.plan_hash, info.layers, (unsigned long long)info.weights_bytes,
                   info.calibration_samples);

    precinfer_plan_free(plan);
    precinfer_recipe_free(recipe);
    precinfer_stats_free(stats);
    precinfer_data_free(data);
    precinfer_graph_free(graph);
    return s;
}

int main(int argc, char **argv)
{
    struct precinfer_error err = { PRECINFER_OK, "" };
    precinfer_context *ctx = NULL;
    char temporary[] = "/tmp/precinfer-convert-XXXXXX";
    if (argc < 2) {
        const int file = mkstemp(temporary);
        if (file < 0) { perror(temporary); return 1; }
        close(file);
    }
    enum precinfer_status status = precinfer_context_new(NULL, &ctx, &err);
    if (!status) status = convert(ctx, argc < 2 ? temporary : argv[1], &err);
    if (status) fprintf(stderr, "%s: %s\n", precinfer_status_string(status), err.text);
    precinfer_context_free(ctx);
    if (argc < 2) remove(temporary);
    return status != PRECINFER_OK;
}
