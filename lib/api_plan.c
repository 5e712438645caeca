/* The public calls that make and describe plans. */
#include <stdio.h>
#include <string.h>
#include "calib/calibrate.h"
#include "calib/stats.h"
#include "format/plan_file.h"
#include "plan/plan.h"

static int range_of(const void *stats, const char *value, float *min, float *max)
{
    const struct pi_range *r = pi_stats_find(stats, value);
    if (!r) return 1;
    *min = r->nan || r->inf ? -__builtin_inff() : r->min;       /* pi_qparams refuses what is not finite */
    *max = r->max;
    return 0;
}

/* A fused copy of the model. */
static int fused(const precinfer_graph *graph, precinfer_graph **g, struct precinfer_error *err)
{
    if (!graph->finished) return pi_fail(err, PRECINFER_INVALID, "the graph is not finished: call precinfer_graph_finish first");
    PI_TRY(pi_graph_clone((precinfer_graph *)(uintptr_t)graph, g, err));
    const int status = pi_fuse(*g, err);
    if (status) pi_graph_release(*g);
    return status;
}

enum precinfer_status precinfer_recipe_new(const precinfer_graph *graph, const precinfer_stats *stats, enum precinfer_precision precision,
                                           precinfer_recipe **recipe, struct precinfer_error *err)
{
    precinfer_graph *g;
    if (!graph || !recipe) return pi_fail(err, PRECINFER_INVALID, "recipe_new: graph and recipe must not be NULL");
    if ((unsigned)precision > PRECINFER_PRECISION_INT8) return pi_fail(err, PRECINFER_INVALID, "recipe_new: unknown precision %d", (int)precision);
    if (precision == PRECINFER_PRECISION_INT8 && !stats) return pi_fail(err, PRECINFER_INVALID, "int8 needs statistics: calibrate first");
    if (stats && stats->model_hash != graph->hash) return pi_fail(err, PRECINFER_INVALID, "the statistics were made from another model");
    PI_TRY(fused(graph, &g, err));
    const unsigned saved = pi_fp_enter();
    const int status = pi_recipe_make(g, range_of, stats, stats ? &stats->preprocessing : NULL, precision, recipe, err);
    pi_fp_leave(saved);
    pi_graph_release(g);
    return (enum precinfer_status)status;
}

static int take_stats(precinfer_plan *p, const precinfer_stats *s, struct precinfer_error *err)
{
    if (!s) return 0;
    uint64_t *h = pi_arena_new(&p->arena, s->sketch.n + 1, sizeof *h);
    if (!h) return pi_no_memory(err, s->sketch.n * sizeof *h);
    if (s->sketch.n) memcpy(h, s->sketch.hashes, s->sketch.n * sizeof *h);
    p->hashes = h;
    p->nhashes = s->sketch.n;
    p->nsamples = (size_t)s->samples;
    if (s->preprocessing.given) p->preprocessing = s->preprocessing;
    return 0;
}

static int compile(const precinfer_graph *graph, const precinfer_recipe *recipe, const struct precinfer_compile_options *o,
                   precinfer_plan **plan, struct precinfer_error *err)
{
    precinfer_graph *g;
    precinfer_plan *p;
    const struct pi_allocator *a = &graph->ctx->alloc;
    if (recipe && recipe->model_hash != graph->hash) return pi_fail(err, PRECINFER_INVALID, "the recipe was made for another model");
    if (o && o->stats && o->stats->model_hash != graph->hash) return pi_fail(err, PRECINFER_INVALID, "the statistics were made from another model");
    PI_TRY(fused(graph, &g, err));
    struct pi_lowered_node *nodes = pi_calloc(a, g->nnodes + 1, sizeof *nodes);
    struct pi_lowered_value *values = pi_calloc(a, 2 * g->nvalues + g->nnodes + 1, sizeof *values);    /* lowering adds at most one value a node */
    const int status = nodes && values ? pi_lower(g, recipe, nodes, values, err) : pi_no_memory(err, g->nvalues * sizeof *values);
    if (status) {
        pi_free(a, nodes);
        pi_free(a, values);
        pi_graph_release(g);
        return status;
    }
    const struct pi_plan_progress progress = { o ? o->progress : NULL, o ? o->user : NULL };
    PI_TRY(pi_plan_build(g, (precinfer_recipe *)(uintptr_t)recipe, nodes, values, &progress, &p, err));
    p->model_hash = graph->hash;
    if (recipe) p->preprocessing = recipe->preprocessing;
    const int late = take_stats(p, o ? o->stats : NULL, err);
    if (late) pi_plan_release(p); else *plan = p;
    return late;
}

enum precinfer_status precinfer_compile(const precinfer_graph *graph, const precinfer_recipe *recipe, const struct precinfer_compile_options *options,
                                        precinfer_plan **plan, struct precinfer_error *err)
{
    if (!graph || !plan) return pi_fail(err, PRECINFER_INVALID, "compile: graph and plan must not be NULL");
    const unsigned saved = pi_fp_enter();
    const int status = compile(graph, recipe, options, plan, err);
    pi_fp_leave(saved);
    return (enum precinfer_status)status;
}

enum precinfer_status precinfer_calibrate(const precinfer_graph *graph, precinfer_next_batch *next, void *user, const struct precinfer_calibrate_options *options,
                                          precinfer_stats **stats, struct precinfer_error *err)
{
    precinfer_plan *f32;
    if (!graph || !next || !stats) return pi_fail(err, PRECINFER_INVALID, "calibrate: arguments must not be NULL");
    PI_TRY(precinfer_compile(graph, NULL, NULL, &f32, err));
    const int status = pi_calibrate(f32, next, user, options, stats, err);
    pi_plan_release(f32);
    return (enum precinfer_status)status;
}

void precinfer_plan_free(precinfer_plan *plan) { pi_plan_release(plan); }

/* ------------------------------------------------------------------------------------------------ describing one */

size_t precinfer_plan_inputs(const precinfer_plan *p) { return p ? p->g->ninputs : 0; }
size_t precinfer_plan_outputs(const precinfer_plan *p) { return p ? p->g->noutputs : 0; }
enum precinfer_status precinfer_plan_input_info(const precinfer_plan *p, size_t i, struct precinfer_io *io)
{ return p ? precinfer_graph_input_info(p->g, i, io) : PRECINFER_INVALID; }
enum precinfer_status precinfer_plan_output_info(const precinfer_plan *p, size_t i, struct precinfer_io *io)
{ return p ? precinfer_graph_output_info(p->g, i, io) : PRECINFER_INVALID; }

enum precinfer_status precinfer_plan_info(const precinfer_plan *p, struct precinfer_plan_info *info)
{
    if (!p || !info) return PRECINFER_INVALID;
    *info = (struct precinfer_plan_info){
        .plan_hash = pi_plan_hash(p), .recipe_hash = p->recipe ? precinfer_recipe_hash(p->recipe) : 0, .model_hash = p->model_hash,
        .rejected = p->rejected, .other_host = p->other_host, .layers = p->nsteps, .weights_bytes = p->weights_bytes,
        .packed_bytes = p->packed_bytes, .calibration_samples = p->nsamples, .preprocessing = p->preprocessing };
    return PRECINFER_OK;
}

/* Multiply-adds of a sample: weights times output points of one channel; 0 where a size is open. */
static uint64_t macs(const precinfer_plan *p, const struct pi_step *s)
{
    const struct pi_node *n = s->node < 0 ? NULL : &p->g->nodes[s->node];
    if (!n || !(n->op->flags & PI_OP_WEIGHTS) || n->nin < 2 || n->in[1] < 0) return 0;
    const int conv = n->op->flags & PI_OP_SPATIAL ? 1 : 0, transposed = !strcmp(n->op->name, "ConvTranspose");
    const struct pi_tensor *y = &p->g->values[transposed ? n->in[0] : n->out[0]].t, *w = &p->g->values[n->in[1]].t;
    if (pi_elements(w) < 0) return 0;
    uint64_t points = 1;
    for (int d = conv ? 2 : 1; d < y->rank - (conv ? 0 : 1); d++) {
        if (y->dims[d] < 0) return 0;
        points *= (uint64_t)y->dims[d];
    }
    return points * (uint64_t)pi_elements(w);
}

enum precinfer_status precinfer_plan_layer(const precinfer_plan *p, size_t i, struct precinfer_layer *l)
{
    if (!p || !l || i >= p->nsteps) return PRECINFER_INVALID;
    const struct pi_step *s = &p->steps[i];
    const struct pi_node *n = s->node < 0 ? NULL : &p->g->nodes[s->node];
    memset(l, 0, sizeof *l);
    l->name = s->name; l->op = s->op; l->fused = s->fused; l->kernel = s->kernel;
    l->output = s->out[0] >= 0 ? p->g->values[p->places[s->out[0]].value].name : "";
    l->precision = (enum precinfer_precision)s->precision;
    l->has_weights = n && pi_is_layer_with_weights(p->g, n);
    l->lowerable = n && pi_has_weights(p->g, n);
    l->macs = macs(p, s);
    if (l->lowerable) {
        const struct pi_tensor *w = &p->g->values[n->in[1]].t;
        l->weights_bytes = (uint64_t)pi_elements(w) * pi_type_size((enum pi_type)w->type);
    }
    return PRECINFER_OK;
}

/* ------------------------------------------------------------------------------------------------ explain */

struct explain { precinfer_each_candidate *each; void *user; size_t step; struct precinfer_layer layer; const char *chosen; int stop; size_t said; };
static void candidate(void *user, const struct pi_row *row, double cost, const char *refused)
{
    struct explain *e = user;
    const struct precinfer_candidate c = { .kernel = row->name, .cost_ns = refused ? -1 : cost, .refused = refused,
                                           .chosen = !refused && e->chosen && !strcmp(row->name, e->chosen) };
    e->said++;
    if (!e->stop) e->stop = e->each(e->user, e->step, &e->layer, &c);
}

enum precinfer_status precinfer_explain(const precinfer_plan *p, const char *cpu_name, const char *cpu_mask, precinfer_each_candidate *each, void *user,
                                        struct precinfer_error *err)
{
    struct pi_cpu cpu;
    uint64_t isas;
    if (!p || !each) return pi_fail(err, PRECINFER_INVALID, "explain: plan and callback must not be NULL");
    cpu = p->ctx->cpu;
    isas = p->ctx->isas;
    if (cpu_name && pi_cpu_named(cpu_name, &cpu)) return pi_fail(err, PRECINFER_NOT_FOUND, "no CPU is named '%s'", cpu_name);
    if (cpu_name) PI_TRY(pi_isas_masked(cpu_mask, cpu.features, &isas, err));
    for (size_t i = 0; i < p->nsteps; i++) {
        struct explain e = { .each = each, .user = user, .step = i };
        precinfer_plan_layer(p, i, &e.layer);
        PI_TRY(pi_step_explain(p, i, &cpu, isas, NULL, NULL, &e.chosen, err));
        e.layer.kernel = e.chosen;
        const char *again;
        const struct precinfer_candidate none = { .kernel = e.chosen, .cost_ns = 0, .chosen = 1 };
        PI_TRY(pi_step_explain(p, i, &cpu, isas, candidate, &e, &again, err));
        if (!e.said) e.stop = each(user, i, &e.layer, &none);      /* copies and movers have no rows to choose from */
        if (e.stop) return PRECINFER_OK;
    }
    return PRECINFER_OK;
}
