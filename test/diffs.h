/* Diffs from a test, in a directory of its own. */
#ifndef PI_TEST_DIFFS_H
#define PI_TEST_DIFFS_H
#include <math.h>
#include <sys/stat.h>
#include "../lib/calib/stats.h"
#include "digits.h"

static char dir[64];
static inline void start(void)
{
    strcpy(dir, "/tmp/precinfer-diff-XXXXXX");
    ck_assert(mkdtemp(dir) != NULL);
}
static inline void end(void)
{
    char s[128];
    snprintf(s, sizeof s, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(s), 0);
    h_finish();
}
static inline const char *path_of(const char *name)
{
    static char path[4][256];
    static int k;
    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], "%s/%s", dir, name);
    return path[k];
}

static inline struct precinfer_side recorded(const char *path)
{
    return (struct precinfer_side){ .size = sizeof(struct precinfer_side), .path = path };
}
static inline struct precinfer_side of_plan(const precinfer_plan *p)
{
    return (struct precinfer_side){ .size = sizeof(struct precinfer_side), .plan = p };
}
static inline struct precinfer_side of_graph(const precinfer_graph *g)
{
    return (struct precinfer_side){ .size = sizeof(struct precinfer_side), .graph = g };
}

static inline precinfer_diff *diff(precinfer_context *ctx, struct precinfer_side a, struct precinfer_side b,
                                   precinfer_next_batch *next,
                            void *user, const struct precinfer_diff_options *o)
{
    struct precinfer_error err = { 0 };
    precinfer_diff *d = NULL;
    H_OK(precinfer_diff_new(ctx, &a, &b, next, user, o, &d, &err));
    return d;
}

static inline struct precinfer_layer_diff layer_of(const precinfer_diff *d, const char *tensor, int quantized)
{
    struct precinfer_diff_info info;
    struct precinfer_layer_diff l;
    precinfer_diff_info(d, &info);
    for (size_t i = 0; i < info.layers; i++) {
        precinfer_diff_layer(d, i, &l);
        if (!strcmp(l.tensor, tensor) && quantized == (l.step == l.step)) return l;
    }
    ck_assert_msg(0, "no tensor '%s'", tensor);
    return l;
}

static inline int near(double got, double want, double tolerance) { return got == want ||
                                                                    fabs(got - want) <= tolerance * (1 + fabs(want)); }

/* ------------------------------------------------------------------------------------------------ two layers */

enum { IN = 12, MID = 10, OUT = 6, SAMPLES = 40 };
struct net { precinfer_context *ctx; precinfer_graph *g; float w[MID * IN], v[OUT * MID], x[SAMPLES * IN]; size_t at; };

static inline int next(void *user, struct precinfer_batch *b, struct precinfer_error *err)
{
    struct net *n = user;
    const size_t left = SAMPLES - n->at, m = left < 16 ? left : 16;
    (void)err;
    *b = (struct precinfer_batch){ .samples = m, .ninputs = 1 };
    b->inputs[0] = (struct precinfer_tensor){ .data = n->x + n->at * IN, .dtype = PRECINFER_F32, .rank = 2, .dims = { (int64_t)m,
        IN } };
    n->at += m;
    return 0;
}

/* y = V relu(W x) */
static inline void two_layers(struct net *n, precinfer_context *ctx)
{
    struct precinfer_error err = { 0 };
    const struct precinfer_io in = { .name = "x", .dtype = PRECINFER_F32, .rank = 2, .dims = { -1, IN }, .symbols = { "n" } };
    const struct precinfer_attribute t = { .name = "transB", .type = 'i', .i = 1 };
    *n = (struct net){ .ctx = ctx };
    for (int i = 0; i < MID * IN; i++) n->w[i] = h_unit();
    for (int i = 0; i < OUT * MID; i++) n->v[i] = h_unit();
    for (int i = 0; i < SAMPLES * IN; i++) n->x[i] = h_unit();
    const struct precinfer_tensor w = { .data = n->w, .dtype = PRECINFER_F32, .rank = 2, .dims = { MID, IN } },
                                  v = { .data = n->v, .dtype = PRECINFER_F32, .rank = 2, .dims = { OUT, MID } };
    H_OK(precinfer_graph_new(ctx, &n->g, &err));
    H_OK(precinfer_graph_input(n->g, &in, &err));
    H_OK(precinfer_graph_constant(n->g, "w", &w, &err));
    H_OK(precinfer_graph_constant(n->g, "v", &v, &err));
    H_OK(precinfer_graph_node(n->g, "Gemm", "first", (const char *[]){ "x", "w" }, 2, (const char *[]){ "h" }, 1, &t, 1, &err));
    H_OK(precinfer_graph_node(n->g, "Relu", "relu", (const char *[]){ "h" }, 1, (const char *[]){ "r" }, 1, NULL, 0, &err));
    H_OK(precinfer_graph_node(n->g, "Gemm", "second", (const char *[]){ "r", "v" }, 2, (const char *[]){ "y" }, 1, &t, 1, &err));
    H_OK(precinfer_graph_output(n->g, "y", &err));
    H_OK(precinfer_graph_finish(n->g, &err));
}

/* All int8, values with these parameters where they are given. */
static inline precinfer_plan *lowered(struct net *n, float scale_of_r)
{
    struct precinfer_error err = { 0 };
    precinfer_stats *s = NULL;
    precinfer_recipe *r = NULL;
    precinfer_plan *p = NULL;
    n->at = 0;
    H_OK(precinfer_calibrate(n->g, next, n, NULL, &s, &err));
    H_OK(precinfer_recipe_new(n->g, s, PRECINFER_PRECISION_INT8, &r, &err));
    if (scale_of_r > 0)
        for (size_t i = 0; i < r->nvalues; i++) if (!strcmp(r->values[i].name, "r")) r->values[i].scale *= scale_of_r;
    H_OK(precinfer_compile(n->g, r, NULL, &p, &err));
    precinfer_recipe_free(r);
    precinfer_stats_free(s);
    n->at = 0;
    return p;
}

static inline precinfer_data *digits(precinfer_context *ctx, const precinfer_graph *g, size_t samples, size_t batch)
{
    return h_model_data(&h_models[0], ctx, g, 0, samples, batch);
}

#define D_SUITE(title, ...) \
    Suite *pi_suite(void); \
    Suite *pi_suite(void) \
    { \
        const struct { const char *name; const TTest *test; int n, seconds; } tests[] = { __VA_ARGS__ }; \
        Suite *s = suite_create(title); \
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) { \
            TCase *c = tcase_create(tests[i].name); \
            tcase_set_timeout(c, tests[i].seconds); \
            tcase_add_checked_fixture(c, start, end); \
            tcase_add_loop_test(c, tests[i].test, 0, tests[i].n); \
            suite_add_tcase(s, c); \
        } \
        return s; \
    }
#endif
