/* Small seeded networks whose layers bear int8 more or less well, with data and a limit that int8 alone does not meet. */
#ifndef PI_TEST_NETS_H
#define PI_TEST_NETS_H
#include <math.h>
#include "digits.h"
#include "precinfer.h"
#include "../lib/verify/bounds.h"

enum { N_IN = 16, N_CLASSES = 8, N_SAMPLES = 256, N_LAYERS = 12 };
struct n_net {
    precinfer_context *ctx;
    precinfer_graph *g;
    precinfer_recipe *recipe;           /* all int8                                                              */
    precinfer_plan *plan;
    float x[N_SAMPLES * N_IN];
    size_t at, layers;
    char names[N_LAYERS][32];
    struct precinfer_verify_options limits;
};

static inline float n_normal(void)
{
    float s = 0;
    for (int i = 0; i < 6; i++) s += h_unit();
    return s * 0.7071f;
}

static inline int n_next(void *user, struct precinfer_batch *b, struct precinfer_error *err)
{
    struct n_net *n = user;
    enum { BATCH = 64 };
    const size_t left = N_SAMPLES - n->at, m = left < BATCH ? left : BATCH;
    (void)err;
    *b = (struct precinfer_batch){ .samples = m, .ninputs = 1 };
    b->inputs[0] = (struct precinfer_tensor){ .data = n->x + n->at * N_IN, .dtype = PRECINFER_F32, .rank = 2,
                                              .dims = { (int64_t)m, N_IN } };
    n->at += m;
    return 0;
}
static inline void n_rewind(void *user) { ((struct n_net *)user)->at = 0; }

/* A Gemm of `in` to `out`; a few of its channels are large where `spread` is, which costs its output resolution. */
static inline void n_gemm(precinfer_graph *g, const char *name, const char *from, const char *to, int in, int out, float spread)
{
    struct precinfer_error err = { 0 };
    float w[64 * 64], b[64];
    char wn[32], bn[32];
    const struct precinfer_attribute trans = { .name = "transB", .type = 'i', .i = 1 };
    for (int j = 0; j < out; j++) {
        const float size = h_below(8) ? 1 : 1 + spread * (1 + h_unit());
        for (int i = 0; i < in; i++) w[j * in + i] = n_normal() * size * sqrtf(2.0f / (float)in);
        b[j] = 0.2f * n_normal();
    }
    snprintf(wn, sizeof wn, "%s.w", name);
    snprintf(bn, sizeof bn, "%s.b", name);
    const struct precinfer_tensor tw = { .data = w, .dtype = PRECINFER_F32, .rank = 2, .dims = { out, in } };
    const struct precinfer_tensor tb = { .data = b, .dtype = PRECINFER_F32, .rank = 1, .dims = { out } };
    H_OK(precinfer_graph_constant(g, wn, &tw, &err));
    H_OK(precinfer_graph_constant(g, bn, &tb, &err));
    H_OK(precinfer_graph_node(g, "Gemm", name, (const char *[]){ from, wn, bn }, 3, (const char *[]){ to }, 1, &trans, 1, &err));
}

/* Gemm, Relu, now and then an Add of an earlier value of the same width. */
static inline void n_graph(struct n_net *n)
{
    struct precinfer_error err = { 0 };
    struct precinfer_io in = { .name = "x", .dtype = PRECINFER_F32, .rank = 2, .dims = { -1, N_IN }, .symbols = { "n" } };
    char from[32] = "x", before[32] = "";
    int width = N_IN;
    H_OK(precinfer_graph_new(n->ctx, &n->g, &err));
    H_OK(precinfer_graph_input(n->g, &in, &err));
    for (size_t i = 0; i < n->layers; i++) {
        const int last = i + 1 == n->layers, out = last ? N_CLASSES : h_below(3) ? 24 : 16;
        char name[32], to[32], relu[32], sum[32];
        snprintf(name, sizeof name, "fc%zu", i);
        snprintf(to, sizeof to, last ? "logits" : "a%zu", i);
        snprintf(relu, sizeof relu, "r%zu", i);
        snprintf(sum, sizeof sum, "s%zu", i);
        strcpy(n->names[i], name);
        n_gemm(n->g, name, from, to, width, out, h_below(3) ? 0 : 4);
        if (last) break;
        H_OK(precinfer_graph_node(n->g, "Relu", relu, (const char *[]){ to }, 1, (const char *[]){ relu }, 1, NULL, 0, &err));
        if (*before && out == width && !h_below(2)) {
            H_OK(precinfer_graph_node(n->g, "Add", sum, (const char *[]){ relu, before }, 2, (const char *[]){ sum }, 1, NULL, 0,
                                      &err));
            strcpy(from, sum);
        } else strcpy(from, relu);
        strcpy(before, from);
        width = out;
    }
    H_OK(precinfer_graph_output(n->g, "logits", &err));
    H_OK(precinfer_graph_finish(n->g, &err));
}

static inline size_t n_agreed(struct n_net *n, const precinfer_plan *p)
{
    struct precinfer_error err = { 0 };
    struct precinfer_verify_options none;
    struct precinfer_report_info info;
    precinfer_report *r = NULL;
    precinfer_verify_defaults(&none);
    none.no_layers = 1;
    n_rewind(n);
    H_OK(precinfer_verify(p, n->g, n_next, n, &none, &r, &err));
    precinfer_report_info(r, &info);
    precinfer_report_free(r);
    return info.agreed;
}

static inline precinfer_plan *n_with(const struct n_net *n, unsigned set)
{
    struct precinfer_error err = { 0 };
    const char *names[N_LAYERS];
    size_t k = 0;
    precinfer_recipe *r = NULL;
    precinfer_plan *p = NULL;
    for (size_t i = 0; i < n->layers; i++) if (set >> i & 1) names[k++] = n->names[i];
    H_OK(precinfer_recipe_with(n->g, n->recipe, names, k, PRECINFER_PRECISION_F32, &r, &err));
    H_OK(precinfer_compile(n->g, r, NULL, &p, &err));
    precinfer_recipe_free(r);
    return p;
}

/* The limit lies anywhere between what int8 reaches and all. 0: int8 changes no answer, nothing to look for. */
static inline int n_make(struct n_net *n, precinfer_context *ctx, size_t most)
{
    struct precinfer_error err = { 0 };
    precinfer_stats *stats = NULL;
    memset(n, 0, sizeof *n);
    n->ctx = ctx;
    n->layers = 3 + h_below((uint32_t)most - 2);
    n_graph(n);
    for (int i = 0; i < N_SAMPLES * N_IN; i++) n->x[i] = n_normal();
    H_OK(precinfer_calibrate(n->g, n_next, n, NULL, &stats, &err));
    H_OK(precinfer_recipe_new(n->g, stats, PRECINFER_PRECISION_INT8, &n->recipe, &err));
    precinfer_stats_free(stats);
    n->plan = n_with(n, 0);
    const size_t low = n_agreed(n, n->plan);
    const size_t want = low + 1 + h_below((uint32_t)(N_SAMPLES - low));
    precinfer_verify_defaults(&n->limits);
    n->limits.no_layers = 1;
    n->limits.min_agreement = pi_cp_lower((int64_t)want, N_SAMPLES, 0.05) - 1e-12;
    return low < N_SAMPLES;
}

static inline void n_free(struct n_net *n)
{
    precinfer_plan_free(n->plan);
    precinfer_recipe_free(n->recipe);
    precinfer_graph_free(n->g);
}

static inline int n_passes(struct n_net *n, unsigned set)
{
    struct precinfer_error err = { 0 };
    struct precinfer_report_info info;
    precinfer_report *r = NULL;
    precinfer_plan *p = n_with(n, set);
    n_rewind(n);
    H_OK(precinfer_verify(p, n->g, n_next, n, &n->limits, &r, &err));
    precinfer_report_info(r, &info);
    precinfer_report_free(r);
    precinfer_plan_free(p);
    return info.verdict == PRECINFER_PASS;
}

/* The size of the smallest set that passes, by trying all. */
static inline size_t n_brute(struct n_net *n)
{
    for (size_t k = 0; k <= n->layers; k++)
        for (unsigned set = 0; set < 1u << n->layers; set++)
            if ((size_t)__builtin_popcount(set) == k && n_passes(n, set)) return k;
    return n->layers + 1;
}

static inline precinfer_minimal *n_search(struct n_net *n, struct precinfer_minimal_options *o)
{
    struct precinfer_error err = { 0 };
    precinfer_minimal *m = NULL;
    o->size = sizeof *o;
    o->limits = &n->limits;
    o->rewind = n_rewind;
    n_rewind(n);
    H_OK(precinfer_minimal_set(n->plan, n->g, n_next, n, o, &m, &err));
    return m;
}

static inline unsigned n_set(const struct n_net *n, const precinfer_minimal *m)
{
    unsigned set = 0;
    const char *name;
    for (size_t i = 0; (name = precinfer_minimal_layer(m, i)) != NULL; i++)
        for (size_t k = 0; k < n->layers; k++) if (!strcmp(name, n->names[k])) set |= 1u << k;
    return set;
}

/* Passes, and without any one of its layers does not: literally. */
static inline int n_is_minimal(struct n_net *n, unsigned set)
{
    if (!n_passes(n, set)) return 0;
    for (size_t i = 0; i < n->layers; i++) if (set >> i & 1 && n_passes(n, set & ~(1u << i))) return 0;
    return 1;
}
#endif
