/* A network by hand: a 3x3 convolution, Relu, the mean over the image, a dense layer. Compiled, bound and run in f32. */
#include <stdio.h>
#include "precinfer.h"

enum { CHANNELS = 8, CLASSES = 3, SIDE = 6, BATCH = 2 };

static enum precinfer_status build(precinfer_context *ctx, precinfer_graph **graph, struct precinfer_error *err)
{
    static float kernel[CHANNELS * 9], dense[CHANNELS * CLASSES], bias[CLASSES] = { 1, 2, 3 };
    for (int i = 0; i < CHANNELS * 9; i++) kernel[i] = (float)(i % 9 - 4) / 8;
    for (int i = 0; i < CHANNELS * CLASSES; i++) dense[i] = (float)(i % 5 - 2) / 4;

    static const int64_t ones[] = { 1, 1, 1, 1 };
    const struct precinfer_attribute pads = { .name = "pads", .type = 'I', .count = 4, .ints = ones };
    const struct precinfer_attribute axis = { .name = "axis", .type = 'i', .i = 1 };
    const struct precinfer_io image = { .name = "image", .dtype = PRECINFER_F32, .rank = 4, .dims = { -1, 1, SIDE, SIDE },
                                        .symbols = { "batch" } };
    const struct precinfer_tensor w1 = { .data = kernel, .dtype = PRECINFER_F32, .rank = 4, .dims = { CHANNELS, 1, 3, 3 } };
    const struct precinfer_tensor w2 = { .data = dense, .dtype = PRECINFER_F32, .rank = 2, .dims = { CHANNELS, CLASSES } };
    const struct precinfer_tensor b2 = { .data = bias, .dtype = PRECINFER_F32, .rank = 1, .dims = { CLASSES } };
    const char *const conv[] = { "image", "w1" }, *const gemm[] = { "flat", "w2", "b2" };
    const char *const a[] = { "a" }, *const b[] = { "b" }, *const mean[] = { "mean" }, *const flat[] = { "flat" };
    const char *const scores[] = { "scores" };

    precinfer_graph *g = NULL;
    enum precinfer_status s = precinfer_graph_new(ctx, &g, err);
    if (s) return s;
    if ((s = precinfer_graph_input(g, &image, err)) || (s = precinfer_graph_constant(g, "w1", &w1, err)) ||
        (s = precinfer_graph_constant(g, "w2", &w2, err)) || (s = precinfer_graph_constant(g, "b2", &b2, err)) ||
        (s = precinfer_graph_node(g, "Conv", "conv", conv, 2, a, 1, &pads, 1, err)) ||
        (s = precinfer_graph_node(g, "Relu", "relu", a, 1, b, 1, NULL, 0, err)) ||
        (s = precinfer_graph_node(g, "GlobalAveragePool", "pool", b, 1, mean, 1, NULL, 0, err)) ||
        (s = precinfer_graph_node(g, "Flatten", "flatten", mean, 1, flat, 1, &axis, 1, err)) ||
        (s = precinfer_graph_node(g, "Gemm", "dense", gemm, 3, scores, 1, NULL, 0, err)) ||
        (s = precinfer_graph_output(g, "scores", err)) || (s = precinfer_graph_finish(g, err))) {
        precinfer_graph_free(g);
        return s;
    }
    *graph = g;
    return PRECINFER_OK;
}

static enum precinfer_status run(const precinfer_plan *plan, struct precinfer_error *err)
{
    static float pixels[BATCH * SIDE * SIDE];
    for (int i = 0; i < BATCH * SIDE * SIDE; i++) pixels[i] = (float)(i * i % 17) / 17;
    const struct precinfer_tensor image = { .data = pixels, .dtype = PRECINFER_F32, .rank = 4, .dims = { BATCH, 1, SIDE, SIDE } };
    const struct precinfer_shape most = { .input = "image", .rank = 4, .dims = { BATCH, 1, SIDE, SIDE } };
    const struct precinfer_session_options options = { .size = sizeof options, .max_shapes = &most, .nshapes = 1 };
    struct precinfer_tensor scores;
    precinfer_session *session = NULL;
    enum precinfer_status s = precinfer_session_new(plan, &options, &session, err);
    if (!s) s = precinfer_bind(session, "image", &image, err);
    if (!s) s = precinfer_session_run(session, err);
    if (!s) s = precinfer_session_value(session, "scores", &scores, err);
    for (int i = 0; !s && i < BATCH; i++) {
        const float *row = (const float *)scores.data + i * CLASSES;
        printf("image %d: %g %g %g\n", i, row[0], row[1], row[2]);
    }
    precinfer_session_free(session);
    return s;
}

int main(void)
{
    struct precinfer_error err = { PRECINFER_OK, "" };
    precinfer_context *ctx = NULL;
    precinfer_graph *graph = NULL;
    precinfer_plan *plan = NULL;
    enum precinfer_status status = precinfer_context_new(NULL, &ctx, &err);
    if (!status) status = build(ctx, &graph, &err);
    if (!status) status = precinfer_compile(graph, NULL, NULL, &plan, &err);
    precinfer_graph_free(graph);        /* the plan keeps what it needs */
    if (!status) status = run(plan, &err);
    if (status) fprintf(stderr, "%s: %s\n", precinfer_status_string(status), err.text);
    precinfer_plan_free(plan);
    precinfer_context_free(ctx);
    return status != PRECINFER_OK;
}
