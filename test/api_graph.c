/* Graphs by hand and sessions: what they compute, and that refusals name the node and the numbers. */
#include "digits.h"

#define LIST(...) (const char *const[]){ __VA_ARGS__ }

static struct precinfer_tensor matrix(float *x, int64_t rows, int64_t columns)
{ return (struct precinfer_tensor){ .data = x, .dtype = PRECINFER_F32, .rank = 2, .dims = { rows, columns } }; }

/* y = relu(x w + b), x: n x 3, w: 3 x 2; finished. */
static precinfer_graph *small(precinfer_context *ctx)
{
    static float w[] = { 1, -1, 2, -2, 3, -3 }, b[] = { 0.5f, 40 };
    struct precinfer_error err = { 0 };
    precinfer_graph *g = NULL;
    const struct precinfer_io x = { .name = "x", .dtype = PRECINFER_F32, .rank = 2, .dims = { -1, 3 }, .symbols = { "n" } };
    const struct precinfer_tensor weights = matrix(w, 3, 2), bias = { .data = b, .dtype = PRECINFER_F32, .rank = 1,
                                                                      .dims = { 2 } };
    H_OK(precinfer_graph_new(ctx, &g, &err));
    H_OK(precinfer_graph_input(g, &x, &err));
    H_OK(precinfer_graph_constant(g, "w", &weights, &err));
    H_OK(precinfer_graph_constant(g, "b", &bias, &err));
    H_OK(precinfer_graph_node(g, "Gemm", "dense", LIST("x", "w", "b"), 3, LIST("t"), 1, NULL, 0, &err));
    H_OK(precinfer_graph_node(g, "Relu", "relu", LIST("t"), 1, LIST("y"), 1, NULL, 0, &err));
    H_OK(precinfer_graph_output(g, "y", &err));
    H_OK(precinfer_graph_finish(g, &err));
    return g;
}

START_TEST(by_hand)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = small(ctx);
    precinfer_plan *p = NULL;
    precinfer_session *s = NULL;
    struct precinfer_io io;
    float x[] = { 1, 2, 3, -1, -2, -3 };
    struct precinfer_tensor y, in = matrix(x, 2, 3);
    const struct precinfer_shape most = { "x", 2, { 2, 3 } };
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &most, .nshapes = 1 };
    ck_assert_uint_eq(precinfer_graph_inputs(g), 1);
    ck_assert_uint_eq(precinfer_graph_outputs(g), 1);
    H_OK(precinfer_graph_output_info(g, 0, &io));
    ck_assert(!strcmp(io.name, "y") && io.dtype == PRECINFER_F32 && io.rank == 2 && io.dims[0] == -1 &&
              !strcmp(io.symbols[0], "n") && io.dims[1] == 2);
    ck_assert(precinfer_graph_input_info(g, 1, &io) == PRECINFER_INVALID);
    H_OK(precinfer_compile(g, NULL, NULL, &p, &err));
    H_OK(precinfer_session_new(p, &o, &s, &err));
    H_OK(precinfer_bind(s, "x", &in, &err));
    H_OK(precinfer_session_run(s, &err));
    H_OK(precinfer_session_value(s, "y", &y, &err));
    const float *v = y.data;
    ck_assert(y.rank == 2 && y.dims[0] == 2 && y.dims[1] == 2);
    ck_assert_msg(v[0] == 14.5f && v[1] == 26 && v[2] == 0 && v[3] == 54, "%g %g %g %g", v[0], v[1], v[2], v[3]);
    /* the same graph has the same hash; names of symbols and nodes apart, another has not */
    precinfer_graph *again = small(ctx), *digits = h_digits(ctx);
    ck_assert(precinfer_graph_hash(again) == precinfer_graph_hash(g) && precinfer_graph_hash(digits) != precinfer_graph_hash(g));
    precinfer_graph_free(again);
    precinfer_graph_free(digits);
    precinfer_session_free(s);
    precinfer_plan_free(p);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ graphs that are refused */

static precinfer_graph *begin(precinfer_context *ctx, int rank)
{
    struct precinfer_error err = { 0 };
    precinfer_graph *g = NULL;
    const struct precinfer_io x = { .name = "x", .dtype = PRECINFER_F32, .rank = rank, .dims = { 1, 5, 7, 7 } };
    H_OK(precinfer_graph_new(ctx, &g, &err));
    H_OK(precinfer_graph_input(g, &x, &err));
    return g;
}

START_TEST(refused_graphs)
{
    static float w[4 * 3 * 9];
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_plan *p = NULL;
    const struct precinfer_tensor three = { .data = w, .dtype = PRECINFER_F32, .rank = 4, .dims = { 4, 3, 3, 3 } };
    const struct precinfer_attribute seven = { .name = "group", .type = 'i', .i = 7 };

    precinfer_graph *g = begin(ctx, 4);                     /* operators and names */
    const struct precinfer_io twice = { .name = "x", .dtype = PRECINFER_F32, .rank = 1, .dims = { 1 } };
    H_REFUSED(precinfer_graph_input(g, &twice, &err), PRECINFER_MALFORMED, "'x'");
    H_REFUSED(precinfer_graph_node(g, "Quux", "q", LIST("x"), 1, LIST("y"), 1, NULL, 0, &err), PRECINFER_UNSUPPORTED, "'q'",
              "Quux");
    H_REFUSED(precinfer_graph_output(g, "nowhere", &err), PRECINFER_NOT_FOUND, "'nowhere'");
    H_REFUSED(precinfer_compile(g, NULL, NULL, &p, &err), PRECINFER_INVALID, "not finished", "precinfer_graph_finish");
    H_REFUSED(precinfer_graph_finish(g, &err), PRECINFER_MALFORMED, "no outputs");
    precinfer_graph_free(g);

    g = begin(ctx, 4);                                      /* numbers */
    H_OK(precinfer_graph_constant(g, "w", &three, &err));
    H_OK(precinfer_graph_node(g, "Conv", "conv1", LIST("x", "w"), 2, LIST("y"), 1, NULL, 0, &err));
    H_OK(precinfer_graph_output(g, "y", &err));
    H_REFUSED(precinfer_graph_finish(g, &err), PRECINFER_INVALID, "'conv1' (Conv)", "3 input channels", "has 5");
    precinfer_graph_free(g);

    g = begin(ctx, 4);
    H_OK(precinfer_graph_constant(g, "w", &three, &err));
    H_OK(precinfer_graph_node(g, "Conv", "conv1", LIST("x", "w"), 2, LIST("y"), 1, &seven, 1, &err));
    H_OK(precinfer_graph_output(g, "y", &err));
    H_REFUSED(precinfer_graph_finish(g, &err), PRECINFER_INVALID, "'conv1' (Conv)", "group 7 does not divide 5");
    precinfer_graph_free(g);

    g = begin(ctx, 2);                                      /* a value that nothing defines */
    H_OK(precinfer_graph_node(g, "Add", "sum", LIST("x", "ghost"), 2, LIST("y"), 1, NULL, 0, &err));
    H_OK(precinfer_graph_output(g, "y", &err));
    H_REFUSED(precinfer_graph_finish(g, &err), PRECINFER_MALFORMED, "'sum' (Add)", "'ghost'");
    precinfer_graph_free(g);

    g = begin(ctx, 2);                                      /* a circle */
    H_OK(precinfer_graph_node(g, "Add", "a", LIST("x", "v"), 2, LIST("u"), 1, NULL, 0, &err));
    H_OK(precinfer_graph_node(g, "Relu", "b", LIST("u"), 1, LIST("v"), 1, NULL, 0, &err));
    H_OK(precinfer_graph_output(g, "v", &err));
    H_REFUSED(precinfer_graph_finish(g, &err), PRECINFER_MALFORMED, "own output");
    precinfer_graph_free(g);

    g = begin(ctx, 2);                                      /* one value computed twice */
    H_OK(precinfer_graph_node(g, "Relu", "a", LIST("x"), 1, LIST("y"), 1, NULL, 0, &err));
    H_OK(precinfer_graph_node(g, "Abs", "b", LIST("x"), 1, LIST("y"), 1, NULL, 0, &err));
    H_OK(precinfer_graph_output(g, "y", &err));
    H_REFUSED(precinfer_graph_finish(g, &err), PRECINFER_MALFORMED, "'b' (Abs)", "'y'", "'a'");
    precinfer_graph_free(g);

    g = small(ctx);                                         /* finished is finished */
    H_REFUSED(precinfer_graph_node(g, "Relu", "r", LIST("y"), 1, LIST("z"), 1, NULL, 0, &err), PRECINFER_INVALID, "finished");
    H_REFUSED(precinfer_graph_finish(g, &err), PRECINFER_INVALID, "finished");
    precinfer_graph_free(g);

    H_REFUSED(precinfer_graph_load(ctx, "/nowhere/model.onnx", &g, &err), PRECINFER_NOT_FOUND, "/nowhere/model.onnx");
    H_REFUSED(precinfer_graph_load(ctx, "examples/digits/calibration.npy", &g, &err), PRECINFER_MALFORMED, "calibration.npy");
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ sessions */

START_TEST(refused_bindings)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *p = h_digits_plan(ctx, g, PRECINFER_PRECISION_F32);
    precinfer_session *s = h_digits_session(p, 3), *none = NULL;
    float x[5 * H_PIXELS + 1], y[5 * H_CLASSES], want[H_CLASSES];
    struct precinfer_tensor t, out = h_logits(y, 2);
    h_pixels(x, 5 * H_PIXELS);

    H_REFUSED(precinfer_session_run(s, &err), PRECINFER_INVALID, "'image'", "not bound");
    H_REFUSED(precinfer_session_value(s, "logits", &t, &err), PRECINFER_INVALID, "no run");
    t = h_image(x, 1);
    H_REFUSED(precinfer_bind(s, "picture", &t, &err), PRECINFER_NOT_FOUND, "'picture'");
    t.dtype = PRECINFER_U8;
    H_REFUSED(precinfer_bind(s, "image", &t, &err), PRECINFER_INVALID, "'image'", "uint8", "float32");
    t = h_image(x, 1); t.dims[3] = 9;
    H_REFUSED(precinfer_bind(s, "image", &t, &err), PRECINFER_INVALID, "'image'", "(1, 1, 8, 9)", "1, 8, 8)");
    t = h_image(x, 1); t.rank = 3;
    H_REFUSED(precinfer_bind(s, "image", &t, &err), PRECINFER_INVALID, "'image'");
    t = h_image(x, -1);
    H_REFUSED(precinfer_bind(s, "image", &t, &err), PRECINFER_INVALID, "'image'");
    t = h_image((float *)(void *)((char *)x + 1), 1);
    H_REFUSED(precinfer_bind(s, "image", &t, &err), PRECINFER_INVALID, "'image'", "aligned");
    t = h_image(NULL, 1);
    H_REFUSED(precinfer_bind(s, "image", &t, &err), PRECINFER_INVALID, "NULL");
    t = h_image(x, 1); t.device = 1;
    H_REFUSED(precinfer_bind(s, "image", &t, &err), PRECINFER_UNSUPPORTED, "'image'", "device 1");

    t = h_image(x, 5);                                      /* beyond the maximum, then within it again */
    H_OK(precinfer_bind(s, "image", &t, &err));
    H_REFUSED(precinfer_session_run(s, &err), PRECINFER_INVALID, "maximum shape");
    H_REFUSED(precinfer_session_run(s, &err), PRECINFER_INVALID, "maximum shape");
    t = h_image(x, 1);
    H_OK(precinfer_bind(s, "image", &t, &err));
    H_OK(precinfer_bind(s, "logits", &out, &err));          /* for two images */
    H_REFUSED(precinfer_session_run(s, &err), PRECINFER_INVALID, "'logits'", "(2, 10)", "(1, 10)");
    t = h_image(x, 2);
    H_OK(precinfer_bind(s, "image", &t, &err));
    H_OK(precinfer_session_run(s, &err));
    h_digits_run(p, x, want, 1);
    ck_assert(!memcmp(y, want, sizeof want));

    const struct precinfer_shape other = { "picture", 4, { 1, 1, 8, 8 } }, wrong = { "image", 4, { 1, 3, 8, 8 } };
    struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &other, .nshapes = 1 };
    H_REFUSED(precinfer_session_new(p, &o, &none, &err), PRECINFER_NOT_FOUND, "'picture'");
    o.max_shapes = &wrong;
    H_REFUSED(precinfer_session_new(p, &o, &none, &err), PRECINFER_INVALID, "'image'", "(1, 3, 8, 8)");
    ck_assert(!none);
    precinfer_session_free(s);
    precinfer_plan_free(p);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

/* Two inputs whose first dimension has one name: what is added to the product lies in memory as large as the product's. */
START_TEST(shared_dimension)
{
    static float w[] = { 1, 2, 3, 4, 5, 6 };
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = NULL;
    precinfer_plan *p = NULL;
    precinfer_session *s = NULL;
    const struct precinfer_io x = { .name = "x", .dtype = PRECINFER_F32, .rank = 2, .dims = { -1, 3 }, .symbols = { "n" } };
    const struct precinfer_io r = { .name = "r", .dtype = PRECINFER_F32, .rank = 2, .dims = { -1, 2 }, .symbols = { "n" } };
    const struct precinfer_tensor weights = matrix(w, 3, 2);
    H_OK(precinfer_graph_new(ctx, &g, &err));
    H_OK(precinfer_graph_input(g, &x, &err));
    H_OK(precinfer_graph_input(g, &r, &err));
    H_OK(precinfer_graph_constant(g, "w", &weights, &err));
    H_OK(precinfer_graph_node(g, "MatMul", "dense", LIST("x", "w"), 2, LIST("t"), 1, NULL, 0, &err));
    H_OK(precinfer_graph_node(g, "Add", "sum", LIST("t", "r"), 2, LIST("y"), 1, NULL, 0, &err));
    H_OK(precinfer_graph_output(g, "y", &err));
    H_OK(precinfer_graph_finish(g, &err));
    H_OK(precinfer_compile(g, NULL, NULL, &p, &err));
    const struct precinfer_shape most[] = { { "x", 2, { 4, 3 } }, { "r", 2, { 4, 2 } } };
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = most, .nshapes = 2 };
    H_OK(precinfer_session_new(p, &o, &s, &err));
    float *a = h_guard(4 * 3 * sizeof *a), *b = h_guard(1 * 2 * sizeof *b), *c = h_guard(4 * 2 * sizeof *c);
    memset(a, 0, 4 * 3 * sizeof *a); memset(b, 0, 2 * sizeof *b); memset(c, 0, 4 * 2 * sizeof *c);
    const struct precinfer_tensor four = matrix(a, 4, 3), one = matrix(b, 1, 2), match = matrix(c, 4, 2);
    H_OK(precinfer_bind(s, "x", &four, &err));
    H_OK(precinfer_bind(s, "r", &one, &err));
    H_REFUSED(precinfer_session_run(s, &err), PRECINFER_INVALID, "'n'", "'x'", "'r'", "4", "1");
    H_OK(precinfer_bind(s, "r", &match, &err));
    H_OK(precinfer_session_run(s, &err));
    precinfer_session_free(s);
    precinfer_plan_free(p);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    h_guard_free(a); h_guard_free(b); h_guard_free(c);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

/* Every layer's output is readable with keep_all, in f32; it is near what f32 computes; without keep_all it is refused. */
START_TEST(intermediate_values)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *plans[2] = { h_digits_plan(ctx, g, PRECINFER_PRECISION_F32),
                                 h_digits_plan(ctx, g, (enum precinfer_precision)_i) };
    precinfer_session *s[2];
    struct precinfer_plan_info info;
    float x[H_PIXELS];
    const struct precinfer_tensor in = h_image(x, 1);
    const struct precinfer_session_options o = { .size = sizeof o, .keep_all = 1 };
    h_pixels(x, H_PIXELS);
    for (int k = 0; k < 2; k++) {
        H_OK(precinfer_session_new(plans[k], &o, &s[k], &err));
        H_OK(precinfer_bind(s[k], "image", &in, &err));
        H_OK(precinfer_session_run(s[k], &err));
    }
    precinfer_plan_info(plans[1], &info);
    size_t read = 0;
    for (size_t i = 0; i < info.layers; i++) {
        struct precinfer_layer l;
        struct precinfer_tensor a, b;
        precinfer_plan_layer(plans[1], i, &l);
        H_OK(precinfer_session_value(s[1], l.output, &b, &err));
        H_OK(precinfer_session_value(s[0], l.output, &a, &err));
        ck_assert_msg(a.dtype == PRECINFER_F32 && b.dtype == a.dtype && a.rank == b.rank &&
                      !memcmp(a.dims, b.dims, sizeof a.dims), "%s", l.output);
        size_t n = 1;
        double most = 0, off = 0;
        for (int d = 0; d < a.rank; d++) n *= (size_t)a.dims[d];
        for (size_t k = 0; k < n; k++) {
            const double u = ((const float *)a.data)[k], v = ((const float *)b.data)[k];
            if (u > most) most = u;
            if (-u > most) most = -u;
            if (u - v > off) off = u - v;
            if (v - u > off) off = v - u;
        }
        ck_assert_msg(off <= (_i ? 0.1 : 0) * most, "%s in %s: off by %g of %g", l.output,
                      precinfer_precision_string((enum precinfer_precision)_i), off, most);
        read++;
    }
    ck_assert(read > 8);
    struct precinfer_layer first;
    struct precinfer_tensor t;
    precinfer_plan_layer(plans[0], 1, &first);
    precinfer_session *plain = h_digits_session(plans[0], 1);
    H_OK(precinfer_bind(plain, "image", &in, &err));
    H_OK(precinfer_session_run(plain, &err));
    H_REFUSED(precinfer_session_value(plain, first.output, &t, &err), PRECINFER_INVALID, first.output, "keep_all");
    H_REFUSED(precinfer_session_value(plain, "nonsense", &t, &err), PRECINFER_NOT_FOUND, "'nonsense'");
    uint64_t ns[64];
    H_REFUSED(precinfer_session_times(plain, ns, first.name ? 1 : 0, &err), PRECINFER_INVALID, "number of layers");
    struct precinfer_plan_info f32;
    precinfer_plan_info(plans[0], &f32);
    H_REFUSED(precinfer_session_times(plain, ns, f32.layers, &err), PRECINFER_INVALID, "profile");
    precinfer_session_free(plain);
    for (int k = 0; k < 2; k++) { precinfer_session_free(s[k]); precinfer_plan_free(plans[k]); }
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

/* Times of layers that compute are not zero; the work of a layer is what its shape says; the workspace is near its bound. */
START_TEST(times_and_work)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *p = h_digits_plan(ctx, g, PRECINFER_PRECISION_F32);
    precinfer_session *s = NULL;
    struct precinfer_plan_info info;
    struct precinfer_session_info memory;
    uint64_t ns[64] = { 0 }, macs = 0, time = 0;
    float x[2 * H_PIXELS];
    const struct precinfer_tensor in = h_image(x, 2);
    const struct precinfer_shape most = { "image", 4, { 2, 1, 8, 8 } };
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &most, .nshapes = 1, .profile = 1 };
    h_pixels(x, 2 * H_PIXELS);
    H_OK(precinfer_session_new(p, &o, &s, &err));
    H_OK(precinfer_bind(s, "image", &in, &err));
    H_OK(precinfer_session_run(s, &err));
    precinfer_plan_info(p, &info);
    ck_assert(info.layers <= 64);
    H_OK(precinfer_session_times(s, ns, info.layers, &err));
    for (size_t i = 0; i < info.layers; i++) {
        struct precinfer_layer_work w;
        struct precinfer_layer l;
        precinfer_plan_layer(p, i, &l);
        H_OK(precinfer_session_layer_work(s, i, &w));
        ck_assert_msg(!l.has_weights || ns[i], "%s took no time", l.name);
        ck_assert_msg(w.macs == 2 * l.macs, "%s: %llu multiply-adds for two images, %llu for one", l.name,
                      (unsigned long long)w.macs, (unsigned long long)l.macs);
        macs += w.macs;
        time += ns[i];
    }
    ck_assert(time > 0);
    ck_assert_msg(macs == 2 * 5485824, "%llu multiply-adds", (unsigned long long)macs);
    /* what the model's layers add up to */
    ck_assert(precinfer_session_layer_work(s, info.layers, NULL) == PRECINFER_INVALID);
    H_OK(precinfer_session_info(s, &memory));
    ck_assert(memory.workspace_bound_bytes >= 2 * 64 * 64 * 4 && memory.workspace_bytes >= memory.workspace_bound_bytes);
    precinfer_session_free(s);
    precinfer_plan_free(p);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

/* Objects keep what they need: context, graph, recipe, statistics, plan and session freed in six orders. */
START_TEST(any_order)
{
    static const int orders[][6] = { { 0, 1, 2, 3, 4, 5 }, { 5, 4, 3, 2, 1, 0 }, { 4, 0, 3, 1, 2, 5 }, { 2, 3, 4, 1, 0, 5 },
                                     { 1, 5, 0, 4, 3, 2 }, { 3, 2, 0, 5, 4, 1 } };
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    float x[H_PIXELS];
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = h_digits(ctx);
    precinfer_stats *stats = h_digits_stats(ctx, g, 4);
    precinfer_recipe *r = NULL;
    H_OK(precinfer_recipe_new(g, stats, PRECINFER_PRECISION_INT8, &r, &err));
    precinfer_plan *p = h_digits_compile(g, stats, r);
    precinfer_session *s = h_digits_session(p, 1);
    const struct precinfer_tensor in = h_image(x, 1);
    h_pixels(x, H_PIXELS);
    for (int k = 0; k < 6; k++) {
        if (s) {
            H_OK(precinfer_bind(s, "image", &in, &err));
            H_OK(precinfer_session_run(s, &err));
        }
        switch (orders[_i][k]) {
        case 0: precinfer_context_free(ctx); break;
        case 1: precinfer_graph_free(g); break;
        case 2: precinfer_stats_free(stats); break;
        case 3: precinfer_recipe_free(r); break;
        case 4: precinfer_plan_free(p); break;
        default: precinfer_session_free(s); s = NULL;
        }
    }
    ck_assert_int_eq(host.live, 0);
    precinfer_context_free(NULL); precinfer_graph_free(NULL); precinfer_stats_free(NULL); precinfer_recipe_free(NULL);
    precinfer_plan_free(NULL);
    precinfer_session_free(NULL); precinfer_report_free(NULL); precinfer_data_free(NULL); precinfer_observer_free(NULL);
    precinfer_weights_free(NULL);
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("api_graph");
    h_add(s, "by_hand", by_hand, 1, 60);
    h_add(s, "refused_graphs", refused_graphs, 1, 60);
    h_add(s, "refused_bindings", refused_bindings, 1, 60);
    h_add(s, "shared_dimension", shared_dimension, 1, 60);
    h_add(s, "intermediate_values", intermediate_values, 3, 60);
    h_add(s, "times_and_work", times_and_work, 1, 60);
    h_add(s, "any_order", any_order, 6, 60);
    return s;
}
