/* Fusion: what goes into what, and that it changes no more than roundings. */
#include <math.h>
#include "digits.h"

/* Every node of the digits network is a layer or is named by the one that took it in; 25 nodes become 10 layers that compute. */
static struct { char name[32][64]; size_t n; } model;
static int take(void *user, const struct precinfer_node_info *node)
{
    (void)user;
    snprintf(model.name[model.n++], sizeof model.name[0], "%s", node->name);
    return model.n == 32;
}
static int named(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *s = list; *s; s += strcspn(s, ","), s += *s == ',')
        if (strcspn(s, ",") == n && !memcmp(s, name, n)) return 1;
    return 0;
}
START_TEST(digits)
{
    struct h_host host = { .threads = 1 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *p = h_digits_compile(g, NULL, NULL);
    struct precinfer_plan_info info;
    struct precinfer_layer l;
    precinfer_plan_info(p, &info);
    ck_assert(!precinfer_graph_nodes(g, take, NULL) && model.n == 25);
    for (size_t k = 0; k < model.n; k++) {
        size_t found = 0;
        for (size_t i = 0; i < info.layers; i++) {
            precinfer_plan_layer(p, i, &l);
            found += !strcmp(l.name, model.name[k]) || named(l.fused, model.name[k]);
        }
        ck_assert_msg(found == 1, "%s is in %zu layers", model.name[k], found);
    }
    size_t compute = 0;
    for (size_t i = 0; i < info.layers; i++) {
        precinfer_plan_layer(p, i, &l);
        ck_assert(strcmp(l.op, "BatchNormalization") && strcmp(l.op, "Relu") && strcmp(l.op, "Add"));
        compute += l.has_weights;
        if (!strcmp(l.name, "/c2/c2.0/Conv")) ck_assert_str_eq(l.fused, "/c2/c2.1/BatchNormalization,/Add,/Relu");
    }
    ck_assert_uint_eq(compute, 8);
    precinfer_plan_free(p);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

/* Conv, BatchNorm, Add, Clip: fused when the middle values are nobody's business, apart when they are outputs too. */
enum { C = 3, SIDE = 5, O = 4, N = O * SIDE * SIDE };
static precinfer_graph *chain(precinfer_context *ctx, int open_middle, int add_first)
{
    struct precinfer_error err = { 0 };
    static float w[O * C * 9], scale[O], shift[O], mean[O], var[O], lo = -1, hi = 2;
    precinfer_graph *g = NULL;
    const int64_t pads[] = { 1, 1, 1, 1 };
    const struct precinfer_attribute pad = { .name = "pads", .type = 'I', .count = 4, .ints = pads };
    const struct precinfer_io x = { .name = "x", .dtype = PRECINFER_F32, .rank = 4, .dims = { 1, C, SIDE, SIDE } };
    const struct precinfer_io r = { .name = "r", .dtype = PRECINFER_F32, .rank = 4, .dims = { 1, O, SIDE, SIDE } };
    h_reseed(3);
    for (int i = 0; i < O * C * 9; i++) w[i] = h_unit();
    for (int i = 0; i < O; i++) {
        scale[i] = 1 + h_unit() / 2; shift[i] = h_unit();
        mean[i] = h_unit(); var[i] = 1 + h_unit() / 2;
    }
    struct { const char *name; float *data; int rank; int64_t d[4]; } t[] = { { "w", w, 4, { O, C, 3, 3 } },
        { "scale", scale, 1, { O } }, { "shift", shift, 1, { O } },
        { "mean", mean, 1, { O } }, { "var", var, 1, { O } }, { "lo", &lo, 0, { 0 } }, { "hi", &hi, 0, { 0 } } };
    H_OK(precinfer_graph_new(ctx, &g, &err));
    H_OK(precinfer_graph_input(g, &x, &err));
    H_OK(precinfer_graph_input(g, &r, &err));
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct precinfer_tensor v = { .data = t[i].data, .dtype = PRECINFER_F32, .rank = t[i].rank };
        memcpy(v.dims, t[i].d, sizeof t[i].d);
        H_OK(precinfer_graph_constant(g, t[i].name, &v, &err));
    }
    H_OK(precinfer_graph_node(g, "Conv", "conv", (const char *[]){ "x", "w" }, 2, (const char *[]){ "a" }, 1, &pad, 1, &err));
    H_OK(precinfer_graph_node(g, "BatchNormalization", "bn", (const char *[]){ "a", "scale", "shift", "mean", "var" }, 5,
                              (const char *[]){ "b" }, 1, NULL, 0, &err));
    H_OK(precinfer_graph_node(g, "Add", "add", add_first ? (const char *[]){ "r", "b" } : (const char *[]){ "b", "r" }, 2,
                              (const char *[]){ "c" }, 1, NULL, 0, &err));
    H_OK(precinfer_graph_node(g, "Clip", "clip", (const char *[]){ "c", "lo", "hi" }, 3, (const char *[]){ "y" }, 1, NULL, 0,
                              &err));
    H_OK(precinfer_graph_output(g, "y", &err));
    if (open_middle) {
        H_OK(precinfer_graph_output(g, "a", &err));
        H_OK(precinfer_graph_output(g, "b", &err));
        H_OK(precinfer_graph_output(g, "c", &err));
    }
    H_OK(precinfer_graph_finish(g, &err));
    return g;
}
START_TEST(apart)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    float x[C * SIDE * SIDE], r[N], y[2][N];
    for (int i = 0; i < C * SIDE * SIDE; i++) x[i] = h_unit();
    for (int i = 0; i < N; i++) r[i] = h_unit();
    for (int open = 0; open < 2; open++) {
        precinfer_graph *g = chain(ctx, open, _i);
        precinfer_plan *p = h_digits_compile(g, NULL, NULL);
        precinfer_session *s = NULL;
        size_t fused = 0, work = 0;
        struct precinfer_plan_info info;
        struct precinfer_layer l;
        precinfer_plan_info(p, &info);
        for (size_t i = 0; i < info.layers; i++) {
            precinfer_plan_layer(p, i, &l);
            fused += !strcmp(l.fused, "bn,add,clip");
            work += !strcmp(l.name, "bn") || !strcmp(l.name, "add") || !strcmp(l.name, "clip");
        }
        ck_assert_msg(fused == !open && work == (open ? 3 : 0), "%zu layers took in all, %zu stand alone", fused, work);
        const struct precinfer_tensor in = { .data = x, .dtype = PRECINFER_F32, .rank = 4, .dims = { 1, C, SIDE, SIDE } };
        const struct precinfer_tensor res = { .data = r, .dtype = PRECINFER_F32, .rank = 4, .dims = { 1, O, SIDE, SIDE } };
        const struct precinfer_tensor out = { .data = y[open], .dtype = PRECINFER_F32, .rank = 4, .dims = { 1, O, SIDE, SIDE } };
        H_OK(precinfer_session_new(p, NULL, &s, &err));
        H_OK(precinfer_bind(s, "x", &in, &err));
        H_OK(precinfer_bind(s, "r", &res, &err));
        H_OK(precinfer_bind(s, "y", &out, &err));
        H_OK(precinfer_session_run(s, &err));
        precinfer_session_free(s);
        precinfer_plan_free(p);
        precinfer_graph_free(g);
    }
    for (int i = 0; i < N; i++)
        ck_assert_msg(fabsf(y[0][i] - y[1][i]) < 1e-5f && y[0][i] >= -1 && y[0][i] <= 2, "%d: %g fused, %g apart", i, y[0][i],
                      y[1][i]);
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("plan_fuse");
    h_add(s, "digits", digits, 1, 60);
    h_add(s, "apart", apart, 2, 60);
    return s;
}
