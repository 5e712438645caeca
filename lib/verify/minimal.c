/* precinfer_minimal_set: sets of layers that return to f32, each compiled and verified. */
#include <string.h>
#include "../base/error.h"
#include "../calib/stats.h"
#include "../plan/session.h"
#include "layer_error.h"
#include "subset.h"

enum { ATTEMPTS = 240, NOISE_SAMPLES = 256 };

struct precinfer_minimal {
    precinfer_context *ctx;
    precinfer_recipe *recipe;
    const char **names;                 /* of the recipe                                                         */
    struct precinfer_minimal_info info;
};
struct minimal {
    const precinfer_plan *plan; const precinfer_graph *graph;
    precinfer_next_batch *next; void *user;
    struct precinfer_minimal_options o;
    struct precinfer_verify_options limits;
    precinfer_plan *reference;
    const char *judge;
    const char **layers; size_t n;      /* lowered nodes of the recipe                                           */
    const char **raised;                /* scratch: names of a set                                               */
    struct pi_sketch seen; size_t samples;
    int first, announced;               /* the first pass takes the samples' hashes                              */
    size_t evaluations, bound;
    struct precinfer_error *err;
};

/* ------------------------------------------------------------------------------------------------ one set */

static int changed(struct minimal *m, const uint8_t *in, precinfer_recipe **r)
{
    size_t k = 0;
    for (size_t i = 0; i < m->n; i++) if (in[i]) m->raised[k++] = m->layers[i];
    return precinfer_recipe_with(m->graph, m->plan->recipe, m->raised, k, PRECINFER_PRECISION_F32, r, m->err);
}

/* With the samples that calibration saw, which verification leaves out; those of earlier tuning may tune again. */
static int compiled(struct minimal *m, const uint8_t *in, precinfer_plan **p)
{
    precinfer_recipe *r = NULL;
    PI_TRY(changed(m, in, &r));
    r->tuned = (struct pi_tuned){ 0 };
    int status = pi_recipe_finish(r, m->err);
    if (!status) status = precinfer_compile(m->graph, r, NULL, p, m->err);
    precinfer_recipe_free(r);
    if (status) return status;
    uint64_t *h = pi_arena_new(&(*p)->arena, m->plan->nhashes + 1, sizeof *h);
    if (!h) { precinfer_plan_free(*p); return pi_no_memory(m->err, m->plan->nhashes * sizeof *h); }
    if (m->plan->nhashes) memcpy(h, m->plan->hashes, m->plan->nhashes * sizeof *h);
    (*p)->hashes = h;
    (*p)->nhashes = m->plan->nhashes;
    (*p)->nsamples = m->plan->nsamples;
    return 0;
}

static int counted(void *user, struct precinfer_batch *b, struct precinfer_error *err)
{
    struct minimal *m = user;
    const int status = m->next(m->user, b, err);
    if (status || !m->first) return status;
    for (size_t i = 0; i < b->samples; i++)
        PI_TRY(pi_sketch_add(&m->plan->ctx->alloc, &m->seen, pi_sample_hash(b, i), err));
    m->samples += b->samples;
    return 0;
}

static int report_progress(struct minimal *m)
{
    m->evaluations++;
    if (!m->o.progress || !m->o.progress(m->o.user, "minimal set", m->evaluations, m->bound)) return 0;
    return pi_fail(m->err, PRECINFER_CANCELLED, "cancelled after %zu evaluations", m->evaluations);
}

static int try_set(void *user, const uint8_t *in, int *passes, struct precinfer_error *err)
{
    struct minimal *m = user;
    precinfer_plan *p = NULL;
    precinfer_report *report = NULL;
    struct precinfer_report_info info;
    PI_TRY(compiled(m, in, &p));
    m->o.rewind(m->user);
    int status = precinfer_verify(p, m->graph, counted, m, &m->limits, &report, err);
    precinfer_plan_free(p);
    if (status) return status;
    precinfer_report_info(report, &info);
    *passes = info.verdict == PRECINFER_PASS;
    precinfer_report_free(report);
    if (info.verdict == PRECINFER_NO_LIMIT) return pi_fail(err, PRECINFER_INVALID, "minimal set: the limits set no limit");
    if (m->first) {
        m->first = 0;
        pi_sketch_finish(&m->seen);
    }
    return report_progress(m);
}

/* ------------------------------------------------------------------------------------------------ what a layer costs */

static int run(const struct minimal *m, const precinfer_plan *p, const struct precinfer_batch *b, struct pi_fitted *f,
               struct precinfer_tensor *y)
{
    PI_TRY(pi_session_fit(p, 0, b, f, m->err));
    for (size_t i = 0; i < b->ninputs; i++)
        PI_TRY(precinfer_bind(f->s, p->g->values[p->g->inputs[i]].name, &b->inputs[i], m->err));
    PI_TRY(precinfer_session_run(f->s, m->err));
    return precinfer_session_value(f->s, m->judge, y, m->err);
}

static double noise_of(const struct precinfer_tensor *x, const struct precinfer_tensor *y)
{
    size_t n = 1;
    double sum = 0;
    if (x->dtype != PRECINFER_F32 || y->dtype != PRECINFER_F32) return 0;
    for (int d = 0; d < x->rank; d++) n *= (size_t)x->dims[d];
    for (size_t i = 0; i < n; i++) {
        const double e = (double)((const float *)x->data)[i] - (double)((const float *)y->data)[i];
        if (e - e == 0) sum += e * e;
    }
    return sum;
}

/* Noise of the judged output on the first samples with this set in f32. */
static int noise(struct minimal *m, const uint8_t *in, double *sum)
{
    precinfer_plan *p = NULL;
    struct pi_fitted ref = { 0 }, cand = { 0 };
    size_t samples = 0;
    *sum = 0;
    PI_TRY(compiled(m, in, &p));
    m->o.rewind(m->user);
    int status = 0;
    while (!status && samples < NOISE_SAMPLES) {
        struct precinfer_batch b;
        struct precinfer_tensor x, y;
        memset(&b, 0, sizeof b);
        status = m->next(m->user, &b, m->err);
        if (status || !b.samples) break;
        status = run(m, m->reference, &b, &ref, &x);
        if (!status) status = run(m, p, &b, &cand, &y);
        if (!status) *sum += noise_of(&x, &y);
        samples += b.samples;
    }
    precinfer_session_free(ref.s);
    precinfer_session_free(cand.s);
    precinfer_plan_free(p);
    return status ? status : report_progress(m);
}

/* What each layer brings: the noise when it alone is lowered, and what goes when it alone returns. */
static int weigh(struct minimal *m, uint8_t *in, double *weight)
{
    double all;
    memset(in, 0, m->n);
    PI_TRY(noise(m, in, &all));
    for (size_t i = 0; i < m->n; i++) {
        double alone, without;
        memset(in, 1, m->n);
        in[i] = 0;
        PI_TRY(noise(m, in, &alone));
        memset(in, 0, m->n);
        in[i] = 1;
        PI_TRY(noise(m, in, &without));
        weight[i] = (alone + (all - without)) / 2;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ all of it */

static int list_layers(struct minimal *m, struct pi_arena *scratch)
{
    const precinfer_recipe *r = m->plan->recipe;
    m->layers = pi_arena_new(scratch, r->nnodes + 1, sizeof *m->layers);
    m->raised = pi_arena_new(scratch, r->nnodes + 1, sizeof *m->raised);
    if (!m->layers || !m->raised) return pi_no_memory(m->err, r->nnodes * sizeof *m->layers);
    for (size_t i = 0; i < r->nnodes; i++)
        if (r->nodes[i].precision != PRECINFER_PRECISION_F32) m->layers[m->n++] = r->nodes[i].name;
    return 0;
}

/* The first evaluation, which is needed in any case, tells what one takes. */
static int announce(struct minimal *m, const uint8_t *none, int *passes, double *seconds)
{
    const double start = m->o.seconds ? m->o.seconds(m->o.user) : 0;
    PI_TRY(try_set(m, none, passes, m->err));
    *seconds = m->o.seconds ? m->o.seconds(m->o.user) - start : 0;
    if (*passes || !m->o.announce) return 0;
    if (!m->o.announce(m->o.user, m->bound, *seconds)) return 0;
    return pi_fail(m->err, PRECINFER_CANCELLED, "the search was not started");
}

static int result(struct minimal *m, const struct pi_subset *s, precinfer_minimal *out)
{
    size_t k = 0;
    PI_TRY(changed(m, s->best, &out->recipe));
    size_t chosen = 0;
    for (size_t i = 0; i < m->n; i++) chosen += s->best[i];
    if (chosen) PI_TRY(pi_recipe_add_tuned(out->recipe, m->samples, m->seen.hashes, m->seen.n, m->err));
    /* A plan made from this recipe has no statistics that would name what calibration saw. */
    if (m->plan->nhashes)
        PI_TRY(pi_recipe_add_tuned(out->recipe, m->plan->nsamples, m->plan->hashes, m->plan->nhashes, m->err));
    PI_TRY(pi_recipe_finish(out->recipe, m->err));
    out->names = pi_calloc(&out->ctx->alloc, m->n + 1, sizeof *out->names);
    if (!out->names) return pi_no_memory(m->err, m->n * sizeof *out->names);
    for (size_t i = 0; i < m->n; i++)
        if (s->best[i]) out->names[k++] = pi_recipe_node(out->recipe, m->layers[i])->name;
    out->info = (struct precinfer_minimal_info){ .layers = k, .lowered = m->n, .evaluations = m->evaluations,
                                                 .samples = m->samples, .met = s->met, .minimal = s->minimal,
                                                 .recipe = out->recipe };
    return 0;
}

static int search(struct minimal *m, struct pi_arena *scratch, precinfer_minimal *out)
{
    struct pi_subset s = { .attempt = try_set, .user = m };
    int passes = 0;
    double seconds;
    PI_TRY(list_layers(m, scratch));
    s.n = m->n;
    s.most = m->o.most ? m->o.most : ATTEMPTS;
    m->bound = s.most + 2 * m->n + 2;
    s.best = pi_arena_new(scratch, m->n + 1, 1);
    uint8_t *in = pi_arena_new(scratch, m->n + 1, 1);
    double *weight = pi_arena_new(scratch, m->n + 1, sizeof *weight);
    if (!s.best || !in || !weight) return pi_no_memory(m->err, m->n * sizeof *weight);
    s.weight = weight;
    PI_TRY(announce(m, in, &passes, &seconds));
    if (passes) { s.met = s.minimal = 1; return result(m, &s, out); }
    s.empty_fails = 1;
    PI_TRY(weigh(m, in, weight));
    PI_TRY(pi_subset_search(m->plan->ctx, &s, m->err));
    if (!s.met) memset(s.best, 1, s.n);         /* not even f32 does: what there is to say is that */
    return result(m, &s, out);
}

static int check(const precinfer_plan *plan, const precinfer_graph *graph, precinfer_next_batch *next,
                 const struct precinfer_minimal_options *o, precinfer_minimal **minimal, struct precinfer_error *err)
{
    if (!plan || !graph || !next || !o || !minimal) return pi_fail(err, PRECINFER_INVALID, "minimal_set: an argument is NULL");
    if (o->size < sizeof *o) return pi_fail(err, PRECINFER_INVALID, "minimal_set: options.size is %zu", o->size);
    if (!o->limits || !o->rewind) return pi_fail(err, PRECINFER_INVALID, "minimal_set: limits and rewind must be given");
    if (o->limits->gate) return pi_fail(err, PRECINFER_INVALID, "minimal_set: limits.gate must be NULL: every set has its own");
    for (size_t i = 0; o->limits->policy && i < precinfer_policy_budgets(o->limits->policy); i++) {
        struct precinfer_budget b;
        if (!precinfer_policy_budget_info(o->limits->policy, i, &b) && b.metric == PRECINFER_LATENCY)
            return pi_fail(err, PRECINFER_UNSUPPORTED,
                           "minimal_set: the policy has a budget for latency, which is not measured here");
    }
    if (plan->model_hash != graph->hash) return pi_fail(err, PRECINFER_INVALID, "the plan was made from another model");
    if (!plan->recipe) return pi_fail(err, PRECINFER_INVALID, "the plan is f32: no layer could return to it");
    return 0;
}

static const char *judged(const struct minimal *m)
{
    struct precinfer_policy_rules rules;
    if (m->limits.judge) return m->limits.judge;
    if (m->limits.policy && !precinfer_policy_rules_of(m->limits.policy, &rules) && rules.judge) return rules.judge;
    return m->plan->g->values[m->plan->g->outputs[0]].name;
}

enum precinfer_status precinfer_minimal_set(const precinfer_plan *plan, const precinfer_graph *graph, precinfer_next_batch *next,
                                            void *user, const struct precinfer_minimal_options *options,
                                            precinfer_minimal **minimal, struct precinfer_error *err)
{
    PI_TRY(check(plan, graph, next, options, minimal, err));
    struct minimal m = { .plan = plan, .graph = graph, .next = next, .user = user, .o = *options, .limits = *options->limits,
                         .first = 1, .err = err };
    struct pi_arena scratch = { .a = &plan->ctx->alloc };
    precinfer_minimal *out = pi_calloc(&plan->ctx->alloc, 1, sizeof *out);
    if (!out) return pi_no_memory(err, sizeof *out);
    out->ctx = plan->ctx;
    pi_context_retain(out->ctx);
    m.limits.no_layers = 1;
    m.limits.progress = NULL;
    m.judge = judged(&m);
    int status = precinfer_compile(graph, NULL, NULL, &m.reference, err);
    if (!status) status = search(&m, &scratch, out);
    precinfer_plan_free(m.reference);
    pi_free(&plan->ctx->alloc, m.seen.hashes);
    pi_arena_free(&scratch);
    if (status) precinfer_minimal_free(out); else *minimal = out;
    return (enum precinfer_status)status;
}

enum precinfer_status precinfer_minimal_info(const precinfer_minimal *m, struct precinfer_minimal_info *info)
{
    if (!m || !info) return PRECINFER_INVALID;
    *info = m->info;
    return PRECINFER_OK;
}

const char *precinfer_minimal_layer(const precinfer_minimal *m, size_t i) { return m && i < m->info.layers ? m->names[i] : NULL; }

void precinfer_minimal_free(precinfer_minimal *m)
{
    if (!m) return;
    precinfer_context *ctx = m->ctx;
    precinfer_recipe_free(m->recipe);
    pi_free(&ctx->alloc, m->names);
    pi_free(&ctx->alloc, m);
    pi_context_release(ctx);
}
