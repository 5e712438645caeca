/* What happens when memory runs out: in every call of the whole chain every allocation fails in turn, alone or with all that
 * follow it. The call says so, gives back what it took, and succeeds when it is made again.
 *
 * A call with more than ALL allocations has every one up to there fail and then one in a hundred. */
#include "digits.h"

enum { ALL = 3000, SAMPLES = 2 };
struct chain {
    struct h_host host;
    precinfer_context *ctx;
    precinfer_graph *graph, *hand;
    precinfer_data *calibration, *evaluation;
    precinfer_stats *stats, *merged;
    precinfer_recipe *recipe, *read;
    precinfer_plan *plan, *loaded, *memory;
    precinfer_session *session;
    precinfer_report *report;
    precinfer_observer *observer;
    precinfer_weights *packed, *conv;
    struct precinfer_tensor array;
    unsigned char *bytes; size_t size;
    char path[64], stats_path[64], recipe_path[64], npy_path[64];
};
typedef int call(struct chain *c, struct precinfer_error *err);

static struct precinfer_preprocessing pre(void) { return h_models[0].pre; }

static int new_context(struct chain *c, struct precinfer_error *err)
{
    struct precinfer_context_options o = h_options(&c->host);
    o.kernel = "*";
    return precinfer_context_new(&o, &c->ctx, err);
}
static int load(struct chain *c, struct precinfer_error *err)
{ return precinfer_graph_load(c->ctx, h_models[0].model, &c->graph, err); }
/* Without its end: a graph that a failure left half made is thrown away. */
static int by_hand(struct chain *c, struct precinfer_error *err)
{
    static float w[] = { 1, 2, 3, 4, 5, 6 };
    precinfer_graph *g = NULL;
    const struct precinfer_io in = { .name = "x", .dtype = PRECINFER_F32, .rank = 2, .dims = { -1, 2 }, .symbols = { "n" } };
    const struct precinfer_tensor t = { .data = w, .dtype = PRECINFER_F32, .rank = 2, .dims = { 2, 3 } };
    const struct precinfer_attribute alpha = { .name = "alpha", .type = 'f', .f = 2 };
    int s = precinfer_graph_new(c->ctx, &g, err);
    if (!s) s = precinfer_graph_input(g, &in, err);
    if (!s) s = precinfer_graph_constant(g, "w", &t, err);
    if (!s) s = precinfer_graph_node(g, "Gemm", "gemm", (const char *[]){ "x", "w" }, 2, (const char *[]){ "y" }, 1, &alpha,
                                     1, err);
    if (!s) s = precinfer_graph_output(g, "y", err);
    if (!s) s = precinfer_graph_finish(g, err);
    if (s) precinfer_graph_free(g); else c->hand = g;
    return s;
}
static int open_data(struct chain *c, const char *path, const char *labels, precinfer_data **d, struct precinfer_error *err)
{
    struct precinfer_io io;
    const struct precinfer_preprocessing p = pre();
    precinfer_graph_input_info(c->graph, 0, &io);
    const struct precinfer_data_options o = { .size = sizeof o, .path = path, .labels = labels, .samples = SAMPLES,
                                              .batch = 1, .preprocessing = &p };
    return precinfer_data_open(c->ctx, &io, 1, &o, d, err);
}
static int open_calibration(struct chain *c, struct precinfer_error *err)
{ return open_data(c, h_models[0].calibration, NULL, &c->calibration, err); }
static int open_evaluation(struct chain *c, struct precinfer_error *err)
{ return open_data(c, h_models[0].evaluation, h_models[0].labels, &c->evaluation, err); }
/* The reader keeps its buffers, also those that it had when it failed. */
static int read_all(precinfer_data *d, struct precinfer_error *err)
{
    struct precinfer_batch b;
    precinfer_data_rewind(d);
    do {
        memset(&b, 0, sizeof b);
        const int s = precinfer_data_next(d, &b, err);
        if (s) return s;
    } while (b.samples);
    return 0;
}
static int next_calibration(struct chain *c, struct precinfer_error *err) { return read_all(c->calibration, err); }
static int next_evaluation(struct chain *c, struct precinfer_error *err) { return read_all(c->evaluation, err); }
static int calibrate(struct chain *c, struct precinfer_error *err)
{
    const struct precinfer_preprocessing p = pre();
    const struct precinfer_calibrate_options o = { .size = sizeof o, .preprocessing = &p };
    precinfer_data_rewind(c->calibration);
    return precinfer_calibrate(c->graph, precinfer_data_next, c->calibration, &o, &c->stats, err);
}
static int save_stats(struct chain *c, struct precinfer_error *err) { return precinfer_stats_save(c->stats, c->stats_path, err); }
static int load_stats(struct chain *c, struct precinfer_error *err)
{ return precinfer_stats_load(c->ctx, c->stats_path, &c->merged, err); }
static int merge_stats(struct chain *c, struct precinfer_error *err) { return precinfer_stats_merge(c->merged, c->stats, err); }
static int new_recipe(struct chain *c, struct precinfer_error *err)
{ return precinfer_recipe_new(c->graph, c->stats, PRECINFER_PRECISION_INT8, &c->recipe, err); }
static int save_recipe(struct chain *c, struct precinfer_error *err)
{ return precinfer_recipe_save(c->recipe, c->recipe_path, err); }
static int load_recipe(struct chain *c, struct precinfer_error *err)
{ return precinfer_recipe_load(c->ctx, c->recipe_path, &c->read, err); }
static int compile(struct chain *c, struct precinfer_error *err)
{
    const struct precinfer_compile_options o = { .size = sizeof o, .stats = c->stats };
    return precinfer_compile(c->graph, c->recipe, &o, &c->plan, err);
}
static int compile_bf16(struct chain *c, struct precinfer_error *err)
{
    precinfer_recipe *r = NULL;
    precinfer_plan *p = NULL;
    int s = precinfer_recipe_new(c->graph, NULL, PRECINFER_PRECISION_BF16, &r, err);
    if (!s) s = precinfer_compile(c->graph, r, NULL, &p, err);
    precinfer_plan_free(p);
    precinfer_recipe_free(r);
    return s;
}
static int save(struct chain *c, struct precinfer_error *err) { return precinfer_plan_save(c->plan, c->path, 0, err); }
static int load_plan(struct chain *c, struct precinfer_error *err)
{ return precinfer_plan_load(c->ctx, c->path, NULL, &c->loaded, err); }
static int load_memory(struct chain *c, struct precinfer_error *err)
{
    if (!c->bytes) c->bytes = h_slurp(c->path, &c->size);
    memmove(c->bytes + 1, c->bytes, c->size);
    const int s = precinfer_plan_load_memory(c->ctx, c->bytes + 1, c->size, NULL, &c->memory, err);
    memmove(c->bytes, c->bytes + 1, c->size);
    return s;
}
static int each(void *user, size_t layer, const struct precinfer_layer *info, const struct precinfer_candidate *candidate)
{ (void)user; (void)layer; (void)info; (void)candidate; return 0; }
static int explain(struct chain *c, struct precinfer_error *err)
{ return precinfer_explain(c->loaded, "zen4", NULL, each, NULL, err); }
static int new_session(struct chain *c, struct precinfer_error *err)
{
    const struct precinfer_shape most = { .input = "image", .rank = 4, .dims = { 2, 1, 8, 8 } };
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &most, .nshapes = 1, .keep_all = 1,
                                                 .profile = 1 };
    return precinfer_session_new(c->loaded, &o, &c->session, err);
}
static int run(struct chain *c, struct precinfer_error *err)
{
    static float x[2 * H_PIXELS];
    const struct precinfer_tensor in = h_image(x, 2);
    const enum precinfer_status s = precinfer_bind(c->session, "image", &in, err);
    return s ? s : precinfer_session_run(c->session, err);
}
static int value(struct chain *c, struct precinfer_error *err)
{
    struct precinfer_tensor t;
    struct precinfer_layer l;
    precinfer_plan_layer(c->loaded, 3, &l);
    return precinfer_session_value(c->session, l.output, &t, err);
}
static int verify(struct chain *c, struct precinfer_error *err)
{
    struct precinfer_verify_options p;
    precinfer_verify_defaults(&p);
    p.min_agreement = 0.5;
    p.strict = 1;                       /* f32: breached, and the report holds a name */
    precinfer_data_rewind(c->evaluation);
    return precinfer_verify(c->loaded, c->graph, precinfer_data_next, c->evaluation, &p, &c->report, err);
}

static float fa[6 * 8], fb[8 * 5], fc[6 * 5];
static struct precinfer_gemm product(void)
{
    return (struct precinfer_gemm){ .size = sizeof(struct precinfer_gemm), .m = 6, .n = 5, .k = 8, .a_type = PRECINFER_F32,
                                    .b_type = PRECINFER_F32,
                                    .c_type = PRECINFER_F32, .a = fa, .lda = 8, .b = fb, .ldb = 5, .c = fc, .ldc = 5 };
}
static int gemm(struct chain *c, struct precinfer_error *err)
{
    const struct precinfer_gemm g = product();
    return precinfer_gemm(c->ctx, &g, err);
}
static int gemm_pack(struct chain *c, struct precinfer_error *err)
{
    const struct precinfer_gemm g = product();
    return precinfer_gemm_pack(c->ctx, &g, &c->packed, err);
}
static int gemm_packed(struct chain *c, struct precinfer_error *err)
{
    struct precinfer_gemm g = product();
    g.b = NULL;
    g.packed = c->packed;
    return precinfer_gemm(c->ctx, &g, err);
}
static float ci[4 * 4 * 3], cw[5 * 9 * 3], co[4 * 4 * 5];
static struct precinfer_conv2d image(void)
{
    return (struct precinfer_conv2d){ .size = sizeof(struct precinfer_conv2d), .n = 1, .h = 4, .w = 4, .c = 3, .o = 5,
                                      .kh = 3, .kw = 3, .groups = 1,
        .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .pad_top = 1, .pad_left = 1, .pad_bottom = 1,
            .pad_right = 1,
        .a_type = PRECINFER_F32, .b_type = PRECINFER_F32, .c_type = PRECINFER_F32, .input = ci, .weights = cw, .output = co };
}
static int conv(struct chain *c, struct precinfer_error *err)
{
    const struct precinfer_conv2d v = image();
    return precinfer_conv2d(c->ctx, &v, err);
}
static int conv_pack(struct chain *c, struct precinfer_error *err)
{
    const struct precinfer_conv2d v = image();
    return precinfer_conv2d_pack(c->ctx, &v, &c->conv, err);
}
static int conv_packed(struct chain *c, struct precinfer_error *err)
{
    struct precinfer_conv2d v = image();
    v.weights = NULL;
    v.packed = c->conv;
    return precinfer_conv2d(c->ctx, &v, err);
}
static int observe(struct chain *c, struct precinfer_error *err)
{
    struct precinfer_qparams q;
    precinfer_observer *o = NULL;
    int s = precinfer_observer_new(c->ctx, &o, err);
    if (!s) s = precinfer_observer_update(o, fa, sizeof fa / sizeof *fa, err);
    if (!s) s = precinfer_observer_params(o, &q, err);
    if (s) precinfer_observer_free(o); else c->observer = o;
    return s;
}
static int save_npy(struct chain *c, struct precinfer_error *err)
{
    const struct precinfer_tensor t = { .data = fa, .dtype = PRECINFER_F32, .rank = 2, .dims = { 6, 8 } };
    return precinfer_npy_save(c->ctx, c->npy_path, &t, err);
}
static int load_npy(struct chain *c, struct precinfer_error *err)
{ return precinfer_npy_load(c->ctx, c->npy_path, &c->array, err); }

static const struct { const char *name; call *call; int keeps; } calls[] = {
    { "context", new_context }, { "graph_load", load }, { "graph by hand", by_hand }, { "data_open", open_calibration },
    { "data_open with labels", open_evaluation }, { "data_next", next_calibration, 1 },
        { "data_next with labels", next_evaluation, 1 },
    { "calibrate", calibrate }, { "stats_save", save_stats }, { "stats_load", load_stats },
    { "stats_merge", merge_stats }, { "recipe_new", new_recipe }, { "recipe_save", save_recipe }, { "recipe_load", load_recipe },
    { "compile", compile }, { "compile bf16", compile_bf16 }, { "plan_save", save }, { "plan_load", load_plan },
    { "plan_load_memory", load_memory }, { "explain", explain }, { "session_new", new_session }, { "session_run", run },
    { "session_value", value }, { "verify", verify }, { "gemm", gemm }, { "gemm_pack", gemm_pack },
        { "gemm packed", gemm_packed },
    { "conv2d", conv }, { "conv2d_pack", conv_pack }, { "conv2d packed", conv_packed }, { "observer", observe },
    { "npy_save", save_npy }, { "npy_load", load_npy } };

static void sweep(struct chain *c, const char *name, call *f, int keeps, int all)
{
    struct precinfer_error err;
    for (long n = 1;; n += n < ALL ? 1 : n / 100) {
        const long live = c->host.live, failed = c->host.failed;
        err.status = PRECINFER_OK;
        c->host.fail_all = all;
        c->host.fail_at = c->host.calls + n;
        const int status = f(c, &err);
        c->host.fail_at = 0;
        if (c->host.failed == failed) {
            ck_assert_msg(!status, "%s: %s", name, err.text);
            break;
        }
        ck_assert_msg(status == PRECINFER_NO_MEMORY && (int)err.status == status,
                      "%s: allocation %ld failed, but the call returned %d: %s", name, n, status, status ? err.text : "");
        ck_assert_msg(keeps || c->host.live == live, "%s: allocation %ld failed, and %ld blocks are not given back", name, n,
                      (long)c->host.live - live);
    }
}

START_TEST(every_allocation)
{
    char dir[] = "/tmp/precinfer-alloc-XXXXXX";
    struct chain c = { .host = { .threads = 1 } };
    ck_assert(mkdtemp(dir) != NULL);
    snprintf(c.path, sizeof c.path, "%s/plan", dir);
    snprintf(c.stats_path, sizeof c.stats_path, "%s/stats", dir);
    snprintf(c.recipe_path, sizeof c.recipe_path, "%s/recipe", dir);
    snprintf(c.npy_path, sizeof c.npy_path, "%s/x.npy", dir);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) sweep(&c, calls[i].name, calls[i].call, calls[i].keeps, _i);
    ck_assert(c.report != NULL);
    precinfer_report_free(c.report);
    precinfer_session_free(c.session);
    precinfer_plan_free(c.plan); precinfer_plan_free(c.loaded); precinfer_plan_free(c.memory);
    precinfer_recipe_free(c.recipe); precinfer_recipe_free(c.read);
    precinfer_stats_free(c.stats); precinfer_stats_free(c.merged);
    precinfer_data_free(c.calibration); precinfer_data_free(c.evaluation);
    precinfer_graph_free(c.graph); precinfer_graph_free(c.hand);
    precinfer_observer_free(c.observer);
    precinfer_weights_free(c.packed); precinfer_weights_free(c.conv);
    precinfer_array_free(c.ctx, &c.array);
    precinfer_context_free(c.ctx);
    ck_assert_int_eq(c.host.live, 0);
    free(c.bytes);
    remove(c.path); remove(c.stats_path); remove(c.recipe_path); remove(c.npy_path);
    ck_assert_msg(!rmdir(dir), "%s: a failed write left a file behind", dir);
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("api_alloc");
    h_add(s, "every_allocation", every_allocation, 2, 300);
    return s;
}
