/* Where does a plan lose? This one was calibrated on two images alone. Layer by layer against the f32 model: what a layer adds
 * itself, apart from what it inherits, and by how much it would be better with ranges from more images (excess), worst first.
 * Then the plan calibrated on all of them. From the repository's root. */
#include <stdio.h>
#include "precinfer.h"

enum { SHOWN = 4, SAMPLES = 200 };
struct job { precinfer_context *ctx; precinfer_graph *graph; precinfer_stats *stats; };

static enum precinfer_status images(const struct job *job, const char *path, size_t samples, precinfer_data **data,
                                    struct precinfer_error *err)
{
    static const struct precinfer_preprocessing pixels = { .given = 1, .divide = 16 };
    const struct precinfer_data_options o = { .size = sizeof o, .path = path, .samples = samples, .batch = 8,
                                              .preprocessing = &pixels };
    struct precinfer_io input;
    const enum precinfer_status s = precinfer_graph_input_info(job->graph, 0, &input);
    return s ? s : precinfer_data_open(job->ctx, &input, 1, &o, data, err);
}

static enum precinfer_status calibrate(const struct job *job, size_t samples, precinfer_stats **stats,
                                       struct precinfer_error *err)
{
    precinfer_data *data = NULL;
    enum precinfer_status s = images(job, "examples/digits/calibration.npy", samples, &data, err);
    if (!s) s = precinfer_calibrate(job->graph, precinfer_data_next, data, NULL, stats, err);
    precinfer_data_free(data);
    return s;
}

/* Compiles a recipe from these ranges and compares it with the model: the worst excess. */
static enum precinfer_status compare(const struct job *job, const precinfer_stats *stats, double *worst,
                                     struct precinfer_error *err)
{
    const struct precinfer_compile_options how = { .size = sizeof how, .stats = stats };
    const struct precinfer_diff_options options = { .size = sizeof options, .stats = job->stats };
    struct precinfer_side ours = { .size = sizeof ours }, model = { .size = sizeof model, .graph = job->graph };
    precinfer_recipe *recipe = NULL;
    precinfer_plan *plan = NULL;
    precinfer_data *data = NULL;
    precinfer_diff *diff = NULL;
    struct precinfer_layer_diff l;
    size_t i;
    enum precinfer_status s = precinfer_recipe_new(job->graph, stats, PRECINFER_PRECISION_INT8, &recipe, err);
    if (!s) s = precinfer_compile(job->graph, recipe, &how, &plan, err);
    if (!s) s = images(job, "examples/digits/evaluation.npy", SAMPLES, &data, err);
    ours.plan = plan;
    if (!s) s = precinfer_diff_new(job->ctx, &ours, &model, precinfer_data_next, data, &options, &diff, err);
    if (!s) puts("  dB: all   own  inherited  excess");
    for (size_t rank = 0; !s && (i = precinfer_diff_rank(diff, rank)) != (size_t)-1; rank++) {
        s = precinfer_diff_layer(diff, i, &l);
        if (!s && rank < SHOWN)
            printf("%9.1f%6.1f%11.1f%8.1f  %s, %s\n", l.sqnr_db, l.own_sqnr_db, l.inherited_sqnr_db, l.excess_db, l.layer,
                   precinfer_precision_string(l.precision));
        if (!s && !rank) *worst = l.excess_db;
    }
    precinfer_diff_free(diff);
    precinfer_data_free(data);
    precinfer_plan_free(plan);
    precinfer_recipe_free(recipe);
    return s;
}

int main(void)
{
    struct precinfer_error err = { PRECINFER_OK, "" };
    struct job job = { NULL, NULL, NULL };
    precinfer_stats *few = NULL;
    double before = 0, after = 0;
    enum precinfer_status s = precinfer_context_new(NULL, &job.ctx, &err);
    if (!s) s = precinfer_graph_load(job.ctx, "examples/digits/digits.onnx", &job.graph, &err);
    if (!s) s = calibrate(&job, 0, &job.stats, &err);
    if (!s) s = calibrate(&job, 2, &few, &err);
    if (!s) s = compare(&job, few, &before, &err);
    if (!s) printf("calibrated on 128 images:\n");
    if (!s) s = compare(&job, job.stats, &after, &err);
    if (s) fprintf(stderr, "%s: %s\n", precinfer_status_string(s), err.text);
    precinfer_stats_free(few);
    precinfer_stats_free(job.stats);
    precinfer_graph_free(job.graph);
    precinfer_context_free(job.ctx);
    return s || !(after < before);
}
