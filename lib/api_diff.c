/* precinfer_diff_new, precinfer_record, precinfer_plan_recipe, precinfer_recipe_with. */
#include <string.h>
#include "base/error.h"
#include "format/trace_dir.h"
#include "format/trace_file.h"
#include "verify/diff.h"

static int check_side(const struct precinfer_side *s, const char *what, struct precinfer_error *err)
{
    if (!s || s->size < sizeof *s) return pi_fail(err, PRECINFER_INVALID, "%s: NULL, or its size is not set", what);
    if ((s->plan != NULL) + (s->graph != NULL) + (s->path != NULL) != 1)
        return pi_fail(err, PRECINFER_INVALID, "%s: a plan, a graph or a path, and no two of them", what);
    return 0;
}

/* The plan of a side that runs; NULL: it was recorded. Release it. */
static int plan_of(const struct precinfer_side *s, precinfer_plan **plan, struct precinfer_error *err)
{
    *plan = NULL;
    if (s->graph) return precinfer_compile(s->graph, NULL, NULL, plan, err);
    if (!s->plan) return 0;
    *plan = (precinfer_plan *)(uintptr_t)s->plan;
    pi_plan_retain(*plan);
    return 0;
}

static int open_side(precinfer_context *ctx, const struct precinfer_side *s, const precinfer_plan *plan, struct pi_trace **t,
                     struct precinfer_error *err)
{
    if (plan) return pi_trace_plan(plan, t, err);
    return pi_trace_is_file(s->path) ? pi_trace_file(ctx, s->path, t, err) : pi_trace_dir(ctx, s->path, t, err);
}

static int make_own(const struct precinfer_side *r, const precinfer_plan *cand, const precinfer_plan *ref,
                    const struct precinfer_diff_options *o, const struct pi_trace *t, struct pi_own **own,
                    struct precinfer_error *err)
{
    precinfer_plan *twin = NULL;
    if (!cand || !ref || o->no_own) return 0;
    if (o->stats && r->graph) PI_TRY(pi_twin_of(cand, r->graph, o->stats, &twin, err));
    const int status = pi_own_new(cand, ref, twin, t, own, err);
    pi_plan_release(twin);
    return status;
}

static int diff(precinfer_context *ctx, const struct precinfer_side *c, const struct precinfer_side *r,
                precinfer_next_batch *next,
                void *user, const struct precinfer_diff_options *o, precinfer_diff **d, struct precinfer_error *err)
{
    precinfer_plan *cand = NULL, *ref = NULL;
    struct pi_trace *tc = NULL, *tr = NULL;
    struct pi_own *own = NULL;
    int status = plan_of(c, &cand, err);
    if (!status) status = plan_of(r, &ref, err);
    if (!status) status = open_side(ctx, c, cand, &tc, err);
    if (!status) status = open_side(ctx, r, ref, &tr, err);
    if (!status) status = make_own(r, cand, ref, o, tc, &own, err);
    pi_plan_release(cand);
    pi_plan_release(ref);
    if (!status) return pi_diff(tc, tr, own, next, user, o, d, err);
    pi_trace_free(tc);
    pi_trace_free(tr);
    return status;
}

static int read_options(const struct precinfer_diff_options *given, struct precinfer_diff_options *o, struct precinfer_error *err)
{
    *o = (struct precinfer_diff_options){ .size = sizeof *o };
    if (!given) return 0;
    if (given->size < sizeof given->size) return pi_fail(err, PRECINFER_INVALID, "diff: options.size is %zu", given->size);
    memcpy(o, given, given->size < sizeof *o ? given->size : sizeof *o);
    return 0;
}

enum precinfer_status precinfer_diff_new(precinfer_context *context, const struct precinfer_side *candidate,
                                         const struct precinfer_side *reference, precinfer_next_batch *next, void *user,
                                         const struct precinfer_diff_options *options, precinfer_diff **result,
                                         struct precinfer_error *err)
{
    struct precinfer_diff_options o;
    if (!context || !result) return pi_fail(err, PRECINFER_INVALID, "diff: context and diff must not be NULL");
    PI_TRY(check_side(candidate, "diff: candidate", err));
    PI_TRY(check_side(reference, "diff: reference", err));
    PI_TRY(read_options(options, &o, err));
    if (!next && (!candidate->path || !reference->path))
        return pi_fail(err, PRECINFER_INVALID, "diff: a plan or model needs data to run on (next is NULL)");
    return (enum precinfer_status)diff(context, candidate, reference, candidate->path && reference->path ? NULL : next, user, &o,
                                       result, err);
}

enum precinfer_status precinfer_record(const struct precinfer_side *side, precinfer_next_batch *next, void *user,
                                       const char *path,
                                       const struct precinfer_diff_options *options, struct precinfer_error *err)
{
    struct precinfer_diff_options o;
    precinfer_plan *plan = NULL;
    struct pi_trace *t = NULL;
    if (!next || !path) return pi_fail(err, PRECINFER_INVALID, "record: next and path must not be NULL");
    PI_TRY(check_side(side, "record", err));
    if (side->path) return pi_fail(err, PRECINFER_INVALID, "record: '%s' is a recording already", side->path);
    PI_TRY(read_options(options, &o, err));
    int status = plan_of(side, &plan, err);
    if (!status) status = pi_trace_plan(plan, &t, err);
    pi_plan_release(plan);
    if (!status) status = pi_trace_record(t, next, user, path, &o, err);
    pi_trace_free(t);
    return (enum precinfer_status)status;
}

/* ------------------------------------------------------------------------------------------------ recipes */

const precinfer_recipe *precinfer_plan_recipe(const precinfer_plan *plan) { return plan ? plan->recipe : NULL; }

enum precinfer_status precinfer_recipe_with(const precinfer_graph *graph, const precinfer_recipe *recipe,
                                            const char *const *names,
                                            size_t nnames, enum precinfer_precision precision, precinfer_recipe **changed,
                                            struct precinfer_error *err)
{
    precinfer_graph *g;
    if (!graph || !recipe || !changed || (nnames && !names))
        return pi_fail(err, PRECINFER_INVALID, "recipe_with: arguments must not be NULL");
    if (precision != PRECINFER_PRECISION_F32 && precision != PRECINFER_PRECISION_BF16)
        return pi_fail(err, PRECINFER_INVALID, "recipe_with: f32 or bf16, which need no scales; int8 comes from statistics");
    if (!graph->finished) return pi_fail(err, PRECINFER_INVALID, "the graph is not finished: call precinfer_graph_finish first");
    if (recipe->model_hash != graph->hash) return pi_fail(err, PRECINFER_INVALID, "the recipe was made for another model");
    for (size_t i = 0; i < nnames; i++)
        if (!names[i]) return pi_fail(err, PRECINFER_INVALID, "recipe_with: name %zu is NULL", i);
    PI_TRY(pi_graph_clone((precinfer_graph *)(uintptr_t)graph, &g, err));
    int status = pi_fuse(g, err);
    if (!status) status = pi_recipe_with(g, recipe, names, nnames, precision, changed, err);
    pi_graph_release(g);
    return (enum precinfer_status)status;
}
