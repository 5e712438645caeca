/* Planted faults: a wrong scale (of a value, of weights), swapped channels, a clipped range, another rounding, a wrong zero
 * point, in each layer of each test model in turn, in the lowered graph, as a bug behind the recipe would be.
 *   Between plans of one recipe the first layer whose bytes differ must be the one that was touched.
 *   Against f32, by excess own error: rank 1 where the fault costs the layer 6 dB of own error or more, within 3 from 3 dB.
 * faults SEED; FAULTS_QUICK=1 takes some layers of each model, chosen by the seed. Prints a table; 1: a violation. */
#include <math.h>
#include <time.h>
#include "models.h"
#include "../lib/plan/plan.h"

enum fault { VALUE_SCALE, VALUE_CLIP, VALUE_ZERO, WEIGHT_SCALE, WEIGHT_SWAP, WEIGHT_CLIP, WEIGHT_FLOOR, OUTPUT_FLOOR, FAULTS };
static const char *const fault_names[FAULTS] = { "wrong scale of the output", "clipped range of the output", "wrong zero point",
    "wrong weight scale", "swapped channels", "clipped weights", "weights rounded down", "output rounded down" };
enum { SAMPLES = 16, RANGES = 256 };

struct lowered { precinfer_graph *g; struct pi_lowered_node *nodes; struct pi_lowered_value *values; const float **weights; };
/* What to touch: the node or, for a value that no node of the plan writes (the model's input), -1. */
struct plant { enum fault fault; int node, value; double amount; uint32_t pick; };

/* ------------------------------------------------------------------------------------------------ planting */

/* Values that hold the same codes: through nodes that only move. Nonzero: another node writes one of them too. */
static int tied(const struct lowered *l, int value, uint8_t *group)
{
    const precinfer_graph *g = l->g;
    memset(group, 0, g->nvalues);
    group[value] = 1;
    for (int again = 1; again;) {
        again = 0;
        for (size_t i = 0; i < g->nnodes; i++) {
            const struct pi_node *n = &g->nodes[i];
            if (n->dead || !(n->op->flags & PI_OP_PASS) || l->nodes[i].out_form != PI_FORM_U8) continue;
            int any = 0;
            for (size_t k = 0; k < n->nin + n->nout; k++) {
                const int v = k < n->nin ? n->in[k] : n->out[k - n->nin];
                if (v >= 0 && l->values[v].has_scale) any |= group[v];
            }
            for (size_t k = 0; any && k < n->nin + n->nout; k++) {
                const int v = k < n->nin ? n->in[k] : n->out[k - n->nin];
                if (v < 0 || !l->values[v].has_scale || group[v]) continue;
                group[v] = 1;
                again = 1;
            }
        }
    }
    for (size_t v = 0; v < g->nvalues; v++) {
        const int p = g->values[v].producer;
        if (group[v] && (int)v != value && (p < 0 || !(g->nodes[p].op->flags & PI_OP_PASS))) return 1;
    }
    return 0;
}

static int plant_value(struct lowered *l, const struct plant *f)
{
    uint8_t *group = calloc(l->g->nvalues, 1);
    int none = tied(l, f->value, group);
    for (size_t v = 0; !none && v < l->g->nvalues; v++) {
        if (!group[v]) continue;
        if (f->fault != VALUE_ZERO) l->values[v].scale = (float)((double)l->values[v].scale * f->amount);
        else l->values[v].zp = (int32_t)(l->values[v].zp + (int)f->amount > 255 ? l->values[v].zp - (int)f->amount
                                         : l->values[v].zp + (int)f->amount);
    }
    free(group);
    return none;
}

static int swap_channels(int8_t *q, const struct pi_weight_layout *w, uint32_t pick)
{
    const size_t n = pi_layout_channels(w), a = pick % n, b = (a + 1 + pick / n % (n > 1 ? n - 1 : 1)) % n;
    size_t changed = 0;
    if (n < 2) return 1;
    int8_t *other = malloc(pi_layout_count(w));
    memcpy(other, q, pi_layout_count(w));
    size_t ka = 0, kb = 0;
    size_t *pa = calloc(pi_layout_count(w), sizeof *pa), *pb = calloc(pi_layout_count(w), sizeof *pb);
    for (size_t i = 0; i < pi_layout_count(w); i++) {
        if (pi_layout_channel(w, i) == a) pa[ka++] = i;
        if (pi_layout_channel(w, i) == b) pb[kb++] = i;
    }
    for (size_t i = 0; i < ka && i < kb; i++) {
        q[pa[i]] = other[pb[i]];
        q[pb[i]] = other[pa[i]];
        changed += other[pa[i]] != other[pb[i]];
    }
    free(other); free(pa); free(pb);
    return !changed;
}

static int plant_weights(struct lowered *l, const struct plant *f)
{
    struct pi_node *n = &l->g->nodes[f->node];
    if (l->nodes[f->node].precision != PRECINFER_PRECISION_INT8) return 1;
    const struct pi_weight_layout w = pi_layout_of(l->g, n);
    int8_t *q = l->g->values[n->in[1]].t.data;
    float *scale = (float *)(uintptr_t)l->nodes[f->node].weight_scale;
    const size_t count = pi_layout_count(&w);
    int changed = 0;
    if (f->fault == WEIGHT_SWAP) return swap_channels(q, &w, f->pick);
    if (f->fault == WEIGHT_SCALE) {
        for (size_t j = 0; j < pi_layout_channels(&w); j++) scale[j] = (float)((double)scale[j] * f->amount);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        const int8_t before = q[i];
        const int most = (int)f->amount;
        if (f->fault == WEIGHT_CLIP) q[i] = (int8_t)(q[i] > most ? most : q[i] < -most ? -most : q[i]);
        else q[i] = (int8_t)fmax(-127, floor((double)l->weights[f->node][i] / (double)scale[pi_layout_channel(&w, i)]));
        changed |= q[i] != before;
    }
    return !changed;
}

/* rne(x - 1/2) is floor(x), but for ties. */
static int plant_floor(struct lowered *l, const struct plant *f)
{
    struct pi_node *n = &l->g->nodes[f->node];
    const int y = n->out[0];
    if (l->nodes[f->node].out_form != PI_FORM_U8 || n->nin < 3 || n->in[2] < 0) return 1;
    struct pi_tensor *b = &l->g->values[n->in[2]].t;
    const size_t count = (size_t)pi_elements(b);
    float *copy = pi_arena_big(&l->g->arena, count * sizeof *copy);
    for (size_t i = 0; i < count; i++) copy[i] = (float)((double)((const float *)b->data)[i] - 0.5 * (double)l->values[y].scale);
    b->data = copy;
    return 0;
}

/* Nonzero: there is nothing of the kind to touch. */
static int plant(struct lowered *l, const struct plant *f)
{
    switch (f->fault) {
    case VALUE_SCALE: case VALUE_CLIP: case VALUE_ZERO: return plant_value(l, f);
    case OUTPUT_FLOOR: return f->node < 0 || !pi_has_weights(l->g, &l->g->nodes[f->node]) || plant_floor(l, f);
    default: return f->node < 0 || !pi_has_weights(l->g, &l->g->nodes[f->node]) || plant_weights(l, f);
    }
}

static void lower(precinfer_graph *graph, const precinfer_recipe *r, struct lowered *l)
{
    struct precinfer_error err;
    const struct pi_allocator *a = &graph->ctx->alloc;
    ck_assert(!pi_graph_clone(graph, &l->g, &err) && !pi_fuse(l->g, &err));
    l->nodes = pi_calloc(a, l->g->nnodes + 1, sizeof *l->nodes);
    l->values = pi_calloc(a, 2 * l->g->nvalues + l->g->nnodes + 1, sizeof *l->values);
    l->weights = calloc(l->g->nnodes + 1, sizeof *l->weights);
    for (size_t i = 0; i < l->g->nnodes; i++)
        if (!l->g->nodes[i].dead && pi_has_weights(l->g,
                                                   &l->g->nodes[i])) l->weights[i] = l->g->values[l->g->nodes[i].in[1]].t.data;
    ck_assert_msg(!pi_lower(l->g, r, l->nodes, l->values, &err), "%s", err.text);
}
static void drop(precinfer_graph *graph, struct lowered *l)
{
    pi_free(&graph->ctx->alloc, l->nodes);
    pi_free(&graph->ctx->alloc, l->values);
    pi_graph_release(l->g);
    free(l->weights);
}

/* NULL: the fault does not exist there. f NULL: none. */
static precinfer_plan *build(precinfer_graph *graph, const precinfer_recipe *r, const struct plant *f)
{
    struct precinfer_error err = { 0 };
    struct lowered l;
    precinfer_plan *p = NULL;
    lower(graph, r, &l);
    if (f && plant(&l, f)) { drop(graph, &l); return NULL; }
    free(l.weights);
    const unsigned saved = pi_fp_enter();
    const int status = pi_plan_build(l.g, (precinfer_recipe *)(uintptr_t)r, l.nodes, l.values, NULL, &p, &err);
    pi_fp_leave(saved);
    if (status) { printf("    not built: %s\n", err.text); return NULL; }
    p->model_hash = graph->hash;
    return p;
}

/* ------------------------------------------------------------------------------------------------ judging */

struct tally { size_t cases, first, large, large_ok, middle, middle_ok, worst; };
struct bench {
    const struct h_model *m;
    precinfer_context *ctx;
    precinfer_graph *g;
    precinfer_stats *ranges;
    precinfer_recipe *recipe;
    precinfer_plan *clean;
    precinfer_diff *clean_diff;
    struct tally t[FAULTS];
    size_t violations;
};

static precinfer_diff *diff(const struct bench *b, const precinfer_plan *a, const precinfer_plan *to)
{
    struct precinfer_error err = { 0 };
    const struct precinfer_side cand = { .size = sizeof cand, .plan = a },
                                ref = { .size = sizeof ref, .plan = to, .graph = to ? NULL : b->g };
    const struct precinfer_diff_options o = { .size = sizeof o, .stats = to ? NULL : b->ranges, .no_own = to != NULL };
    precinfer_data *d = h_model_data(b->m, b->ctx, b->g, 0, b->m->local ? SAMPLES : SAMPLES / 2, 8);
    precinfer_diff *result = NULL;
    const int status = precinfer_diff_new(b->ctx, &cand, &ref, precinfer_data_next, d, &o, &result, &err);
    ck_assert_msg(!status, "%s", err.text);
    precinfer_data_free(d);
    return result;
}

/* The u8 (or only) tensor of that name. */
static size_t layer_of(const precinfer_diff *d, const char *tensor, int quantized, struct precinfer_layer_diff *l)
{
    struct precinfer_diff_info info;
    precinfer_diff_info(d, &info);
    for (size_t i = 0; i < info.layers; i++) {
        precinfer_diff_layer(d, i, l);
        if (!strcmp(l->tensor, tensor) && (!quantized || l->step == l->step)) return i;
    }
    ck_assert_msg(0, "no tensor %s", tensor);
    return 0;
}

static double cut(double db) { return db > 150 ? 150 : db < -150 ? -150 : db; }

static void violation(struct bench *b, const struct plant *f, const char *name, const char *what)
{
    b->violations++;
    printf("    VIOLATION %s: %s (%g) in %s: %s\n", b->m->name, fault_names[f->fault], f->amount, name, what);
}

static void judge(struct bench *b, const struct plant *f, const char *tensor, int quantized)
{
    struct precinfer_layer_diff l, clean;
    struct precinfer_diff_info info;
    char what[200];
    precinfer_plan *p = build(b->g, b->recipe, f);
    if (!p) return;
    struct tally *t = &b->t[f->fault];
    t->cases++;
    precinfer_diff *d = diff(b, p, b->clean);
    precinfer_diff_info(d, &info);
    const size_t want = layer_of(d, tensor, quantized, &l);
    const int silent = info.first_different < 0;        /* nothing at all changed on these samples: no fault */
    if (silent) t->cases--;
    else if ((size_t)info.first_different == want) t->first++;
    else {
        precinfer_diff_layer(d, (size_t)info.first_different, &l);
        snprintf(what, sizeof what, "the first that differs is %s", l.layer);
        violation(b, f, tensor, what);
    }
    precinfer_diff_free(d);
    if (!silent) {
        size_t rank = 0;
        d = diff(b, p, NULL);
        const size_t at = layer_of(d, tensor, quantized, &l);
        while (precinfer_diff_rank(d, rank) != at) rank++;
        layer_of(b->clean_diff, tensor, quantized, &clean);
        const double lost = cut(clean.own_sqnr_db) - cut(l.own_sqnr_db);
        t->large += lost >= 6; t->large_ok += lost >= 6 && rank == 0;
        t->middle += lost >= 3 && lost < 6; t->middle_ok += lost >= 3 && lost < 6 && rank < 3;
        if ((lost >= 6 && rank) || (lost >= 3 && rank > 2)) {
            struct precinfer_layer_diff top;
            precinfer_diff_layer(d, precinfer_diff_rank(d, 0), &top);
            snprintf(what, sizeof what, "loses %.1f dB, excess %.1f, rank %zu; first is %s with %.1f", lost, l.excess_db,
                     rank + 1,
                     top.layer, top.excess_db);
            violation(b, f, tensor, what);
        }
        precinfer_diff_free(d);
    }
    precinfer_plan_free(p);
}

/* Every kind of fault in one layer: node -1 is the model's input, which a conversion quantizes. */
static void one_layer(struct bench *b, int node, int value, const char *tensor, int quantized)
{
    static const double coarse[] = { 2.5, 4, 8 }, tight[] = { 0.6, 0.45, 0.3 }, zero[] = { 24, 48, 90 },
                        off[] = { 0.5, 0.8, 1.3, 2 }, bound[] = { 90, 60, 40 };
    for (int k = 0; k < FAULTS; k++) {
        const uint32_t pick = h_rnd();
        const struct plant f = { .fault = (enum fault)k, .node = node, .value = value, .pick = pick,
            .amount = k == VALUE_SCALE ? coarse[pick % 3] : k == VALUE_CLIP ? tight[pick % 3] : k == VALUE_ZERO ? zero[pick % 3]
                    : k == WEIGHT_SCALE ? off[pick % 4] : k == WEIGHT_CLIP ? bound[pick % 3] : 0 };
        if (k <= VALUE_ZERO && !quantized) continue;
        judge(b, &f, tensor, quantized);
    }
}

static void all_layers(struct bench *b, int quick)
{
    struct lowered l;
    lower(b->g, b->recipe, &l);
    uint8_t *reads = calloc(l.g->nvalues + 1, 1);           /* read as u8 */
    size_t layers = 0;
    for (size_t i = 0; i < l.g->nnodes; i++) {
        const struct pi_node *n = &l.g->nodes[i];
        if (n->dead || n->in[0] < 0) continue;
        if (l.nodes[i].precision == PRECINFER_PRECISION_INT8 ||
            l.nodes[i].out_form == PI_FORM_U8) { reads[n->in[0]] = 1; layers++; }
    }
    const uint32_t every = quick ? (uint32_t)(layers / 4 + 1) : 1;
    for (size_t i = 0; i < l.g->ninputs; i++) {
        const int v = l.g->inputs[i];
        if (reads[v] && l.values[v].has_scale) one_layer(b, -1, v, l.g->values[v].name, 1);
    }
    for (size_t i = 0; i < l.g->nnodes; i++) {
        const struct pi_node *n = &l.g->nodes[i];
        const int u8 = l.nodes[i].out_form == PI_FORM_U8;
        if (n->dead || (!u8 && l.nodes[i].precision != PRECINFER_PRECISION_INT8) || n->op->flags & PI_OP_PASS) continue;
        if (h_below(every)) continue;
        one_layer(b, (int)i, n->out[0], l.g->values[n->out[0]].name, u8);
    }
    free(reads);
    drop(b->g, &l);
}

static size_t report(const struct bench *b, double seconds)
{
    size_t cases = 0;
    printf("%s (%.0f s)\n  %-28s %6s %14s %16s %20s\n", b->m->name, seconds, "fault", "cases", "first named", "rank 1 (>= 6 dB)",
           "rank <= 3 (3 to 6 dB)");
    for (int k = 0; k < FAULTS; k++) {
        const struct tally *t = &b->t[k];
        cases += t->cases;
        printf("  %-28s %6zu %9zu/%-4zu %11zu/%-4zu %15zu/%-4zu\n", fault_names[k], t->cases, t->first, t->cases, t->large_ok,
               t->large,
               t->middle_ok, t->middle);
    }
    fflush(stdout);
    return cases;
}

static size_t violations, cases;
START_TEST(everywhere)
{
    const char *only = getenv("FAULTS_MODEL"), *quick = getenv("FAULTS_QUICK");
    for (int i = 0; i < H_MODELS; i++) {
        struct precinfer_error err = { 0 };
        struct bench b = { .m = &h_models[i] };
        struct timespec from, to;
        if (only && strcmp(only, b.m->name)) continue;
        clock_gettime(CLOCK_MONOTONIC, &from);
        ck_assert(!precinfer_context_new(NULL, &b.ctx, &err));
        b.g = h_model_load(b.m, b.ctx, b.m->name);
        if (b.g) {
            h_reseed(i);
            precinfer_stats *stats = h_model_calibrate(b.m, b.ctx, b.g, 0, 32);
            precinfer_data *d = h_model_data(b.m, b.ctx, b.g, 0, RANGES, 32);   /* as the tool does without --stats */
            const struct precinfer_calibrate_options o = { .size = sizeof o };
            ck_assert(!precinfer_calibrate(b.g, precinfer_data_next, d, &o, &b.ranges, &err));
            precinfer_data_free(d);
            ck_assert(!precinfer_recipe_new(b.g, stats, PRECINFER_PRECISION_INT8, &b.recipe, &err));
            b.clean = build(b.g, b.recipe, NULL);
            b.clean_diff = diff(&b, b.clean, NULL);
            all_layers(&b, quick && *quick && *quick != '0');
            clock_gettime(CLOCK_MONOTONIC, &to);
            cases += report(&b, (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec));
            violations += b.violations;
            precinfer_diff_free(b.clean_diff);
            precinfer_plan_free(b.clean);
            precinfer_recipe_free(b.recipe);
            precinfer_stats_free(b.ranges);
            precinfer_stats_free(stats);
        }
        precinfer_graph_free(b.g);
        precinfer_context_free(b.ctx);
    }
}
END_TEST

/* The helpers speak through Check, so this is one test of it, in this process. */
int main(int argc, char **argv)
{
    if (argc < 2) { fprintf(stderr, "usage: faults SEED\n"); return 2; }
    setenv("PI_SEED", argv[1], 1);
    Suite *s = suite_create("faults");
    TCase *c = tcase_create("everywhere");
    tcase_set_timeout(c, 0);
    tcase_add_test(c, everywhere);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_MINIMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    printf("seed %s: %zu faults, %zu violations\n", argv[1], cases, violations);
    return failed || violations || !cases;
}
