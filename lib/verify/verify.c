/* A plan against the f32 model, over data: answers, and the error of each layer. */
#include <math.h>
#include <string.h>
#include "../base/hash.h"
#include "../base/math.h"
#include "../calib/stats.h"
#include "../plan/session.h"
#include "bounds.h"
#include "gate.h"
#include "metric.h"
#include "report.h"

enum { LAYER_SAMPLES = 64 };            /* layers are compared on the first samples: memory and time are bounded   */

struct run {                            /* one of the two models                                                */
    const precinfer_plan *plan;
    struct pi_fitted fitted;
    precinfer_session *s;               /* fitted.s                                                              */
};
struct verify {
    struct run ref, cand;
    const struct precinfer_verify_options *policy;
    precinfer_report *r;
    const char *judge;
    size_t total;
    struct pi_hash hash;
    precinfer_gate *gate;               /* NULL: limits alone                                                    */
    uint64_t *ids; unsigned char *skip; size_t room;        /* of one batch                                      */
    struct precinfer_error *err;
};

static int fit(struct verify *v, struct run *m, const struct precinfer_batch *b)
{
    const precinfer_graph *g = m->plan->g;
    PI_TRY(pi_session_fit(m->plan, !v->policy->no_layers, b, &m->fitted, v->err));
    m->s = m->fitted.s;
    for (size_t i = 0; i < b->ninputs; i++) PI_TRY(precinfer_bind(m->s, g->values[g->inputs[i]].name, &b->inputs[i], v->err));
    return precinfer_session_run(m->s, v->err);
}

/* -1 where the output holds a NaN: that agrees with nothing and is right about nothing. */
static int64_t top1(const struct precinfer_tensor *t, size_t sample, size_t each) { return pi_top1(t, sample * each, each).index; }

/* Did anything that made the plan see this sample? */
static int seen(const precinfer_plan *p, uint64_t hash, size_t *tuned)
{
    const struct pi_sketch s = { .hashes = (uint64_t *)(uintptr_t)p->hashes, .n = p->nhashes };
    if (pi_sketch_has(&s, hash)) return 1;
    const int by_tuning = pi_recipe_tuned_on(p->recipe, hash);
    *tuned += (size_t)by_tuning;
    return by_tuning;
}

static int room_for(struct verify *v, size_t samples)
{
    const struct pi_allocator *a = &v->r->ctx->alloc;
    if (samples <= v->room) return 0;
    pi_free(a, v->ids);
    pi_free(a, v->skip);
    v->room = 0;
    v->ids = pi_calloc(a, samples, sizeof *v->ids);
    v->skip = pi_calloc(a, samples, sizeof *v->skip);
    if (!v->ids || !v->skip) return pi_no_memory(v->err, samples * sizeof *v->ids);
    v->room = samples;
    return 0;
}

/* What the gate gets of a batch; samples that the plan has seen are passed over by both. */
static int to_gate(struct verify *v, const struct precinfer_batch *b, const struct precinfer_tensor *x, const struct precinfer_tensor *y)
{
    if (!v->gate) return 0;
    const struct precinfer_judged j = { .samples = b->samples, .reference = *x, .candidate = *y, .labels = b->labels,
                                        .labels_per_sample = b->labels_per_sample, .target = b->target, .columns = b->columns, .ids = v->ids, .indexes = b->indexes };
    const unsigned saved = pi_fp_enter();
    const int status = pi_gate_add(v->gate, &j, v->skip, v->err);
    pi_fp_leave(saved);
    return status;
}

/* With a limit on the drop: a label that no answer can be is wrong in both models, and so would make the limit easier to keep. */
static int bad_label(const struct verify *v, const struct precinfer_batch *b, size_t i, size_t classes)
{
    const int64_t label = b->labels[i];
    const uint64_t index = b->indexes ? b->indexes[i] : v->total - 1;
    if ((v->policy->max_drop_points < 0 && v->policy->max_drop_relative < 0) || (label >= 0 && (uint64_t)label < classes)) return 0;
    return pi_fail(v->err, PRECINFER_INVALID, "sample %llu: label %lld, but the output has %zu classes", (unsigned long long)index,
                   (long long)label, classes);
}

static int answers(struct verify *v, const struct precinfer_batch *b)
{
    struct precinfer_tensor x, y;
    struct precinfer_report_info *r = &v->r->info;
    PI_TRY(precinfer_session_value(v->ref.s, v->judge, &x, v->err));
    PI_TRY(precinfer_session_value(v->cand.s, v->judge, &y, v->err));
    size_t n = 1;
    for (int d = 0; d < x.rank; d++) n *= (size_t)x.dims[d];
    if (x.dtype != y.dtype || x.rank != y.rank || memcmp(x.dims, y.dims, (size_t)x.rank * sizeof *x.dims))
        return pi_fail(v->err, PRECINFER_INVALID, "output '%s' differs in shape or type between plan and reference", v->judge);
    if (!b->samples || n % b->samples)
        return pi_fail(v->err, PRECINFER_INVALID, "output '%s': %zu elements for %zu samples", v->judge, n, b->samples);
    PI_TRY(room_for(v, b->samples));
    for (size_t i = 0; i < b->samples; i++) {
        const uint64_t hash = v->ids[i] = pi_sample_hash(b, i);
        pi_hash_add(&v->hash, &hash, sizeof hash);
        v->total++;
        v->skip[i] = 0;
        if (seen(v->cand.plan, hash, &r->tuned_samples)) {
            r->overlap_samples++;
            v->skip[i] = !v->policy->allow_overlap;
            if (v->skip[i]) continue;
        }
        const int64_t a = top1(&x, i, n / b->samples), c = top1(&y, i, n / b->samples);
        r->samples++;
        r->agreed += a == c && a >= 0;
        if (!b->labels || b->labels_per_sample > 1) continue;
        PI_TRY(bad_label(v, b, i, n / b->samples));
        const int ra = a >= 0 && a == b->labels[i], rc = c >= 0 && c == b->labels[i];
        r->labelled = 1;
        r->right_reference += (size_t)ra;
        r->right_candidate += (size_t)rc;
        r->lost += ra && !rc;
        r->gained += rc && !ra;
    }
    return to_gate(v, b, &x, &y);
}

static int layers(struct verify *v)
{
    const precinfer_plan *p = v->cand.plan;
    for (size_t i = 0; i < p->nsteps; i++) {
        const struct pi_step *step = &p->steps[i];
        if (step->alias || step->out[0] < 0 || p->places[step->out[0]].host) continue;
        const char *name = p->g->values[p->places[step->out[0]].value].name;
        struct precinfer_tensor x, y;
        struct precinfer_error refused;
        const enum precinfer_status status = precinfer_session_value(v->ref.s, name, &x, &refused);
        if (status == PRECINFER_NOT_FOUND) continue;                            /* fused otherwise in another model */
        if (status) return pi_fail(v->err, status, "%s", refused.text);
        PI_TRY(pi_session_place(v->cand.s, step->out[0], &y, v->err));
        if (x.dtype != PRECINFER_F32 || y.dtype != PRECINFER_F32 || x.rank != y.rank ||
            memcmp(x.dims, y.dims, (size_t)x.rank * sizeof *x.dims)) continue;
        size_t n = 1;
        for (int d = 0; d < x.rank; d++) n *= (size_t)x.dims[d];
        struct pi_layer_sum *l = &v->r->layers[i];
        for (size_t k = 0; k < n; k++) {
            const double a = ((const float *)x.data)[k], e = a - (double)((const float *)y.data)[k];
            l->signal += a * a;
            l->noise += e * e;
            if (e > l->max_abs) l->max_abs = e;
            if (-e > l->max_abs) l->max_abs = -e;
        }
        l->count += n;
    }
    return 0;
}

static int strict(struct verify *v)
{
    const precinfer_plan *p = v->cand.plan;
    for (size_t i = 0; v->policy->strict && i < p->nsteps; i++) {
        const struct pi_step *s = &p->steps[i];
        if (s->node < 0 || !pi_is_layer_with_weights(p->g, &p->g->nodes[s->node]) ||
            s->precision == v->policy->strict_precision) continue;
        v->r->info.breached = 1;
        v->r->breach = pi_calloc(&v->r->ctx->alloc, strlen(s->name) + 1, 1);
        if (!v->r->breach) return pi_no_memory(v->err, strlen(s->name));
        memcpy(v->r->breach, s->name, strlen(s->name));
        v->r->info.breach = v->r->breach;
        break;
    }
    return 0;
}

static enum precinfer_verdict word(int v) { return v > 0 ? PRECINFER_PASS : v < 0 ? PRECINFER_FAIL : PRECINFER_UNDECIDED; }

static void judge_agreement(const struct precinfer_verify_options *p, struct precinfer_report_info *r)
{
    const int64_t n = (int64_t)r->samples;
    if (!(p->min_agreement >= 0)) return;
    r->agreement_verdict = word(pi_agreement_verdict((int64_t)r->agreed, n, p->min_agreement));
    if (r->agreement_verdict == PRECINFER_UNDECIDED) r->needed_samples = pi_agreement_needed((int64_t)r->agreed, n,
            p->min_agreement);
}
static void judge_drop(const struct precinfer_verify_options *p, struct precinfer_report_info *r)
{
    const int64_t n = (int64_t)r->samples, lost = (int64_t)r->lost, gained = (int64_t)r->gained;
    double limit = INFINITY;
    if (p->max_drop_points >= 0) limit = p->max_drop_points;
    if (p->max_drop_relative >= 0 && n) {
        const double relative = p->max_drop_relative * (double)r->right_reference / (double)n;
        if (relative < limit) limit = relative;
    }
    if (limit == INFINITY) return;
    r->drop_limit = limit;
    r->drop_verdict = word(pi_drop_verdict(lost, gained, n, limit));
    if (r->drop_verdict == PRECINFER_UNDECIDED) {
        const int64_t more = pi_drop_needed(lost, gained, n, limit);
        if (more < 0 || r->needed_samples < 0) r->needed_samples = -1;
        else if (more > r->needed_samples) r->needed_samples = more;
    }
}
/* Fail if one fails, else undecided if one is, else pass; without any limit there is no verdict. */
static void judge(const struct precinfer_verify_options *p, struct precinfer_report_info *r)
{
    pi_report_rates(r);
    judge_agreement(p, r);
    judge_drop(p, r);
    const enum precinfer_verdict a = r->agreement_verdict, d = r->drop_verdict;
    if (r->breached || a == PRECINFER_FAIL || d == PRECINFER_FAIL) r->verdict = PRECINFER_FAIL;
    else if (a == PRECINFER_UNDECIDED || d == PRECINFER_UNDECIDED) r->verdict = PRECINFER_UNDECIDED;
    else r->verdict = a == PRECINFER_NO_LIMIT && d == PRECINFER_NO_LIMIT && !p->strict ? PRECINFER_NO_LIMIT : PRECINFER_PASS;
}

/* Limits and gate together. */
static int judge_gate(struct verify *v)
{
    struct precinfer_report_info *r = &v->r->info;
    if (!v->gate) return 0;
    const unsigned saved = pi_fp_enter();
    const int status = pi_gate_judge(v->gate, v->r, v->err);
    pi_fp_leave(saved);
    if (status) return status;
    const enum precinfer_verdict a = r->verdict, b = v->r->gate_verdict;
    const int64_t more = v->r->gate_needed;
    r->ignored_samples = v->gate->ignored;
    r->repeated_samples = v->gate->repeated;
    r->overlap_samples += v->gate->dropped;
    if (a == PRECINFER_FAIL || b == PRECINFER_FAIL) r->verdict = PRECINFER_FAIL;
    else if (a != PRECINFER_UNDECIDED) r->verdict = b;
    if (more < 0 || r->needed_samples < 0) r->needed_samples = -1;
    else if (more > r->needed_samples) r->needed_samples = more;
    return 0;
}

static int overlap(const struct verify *v)
{
    const struct precinfer_report_info *r = &v->r->info;
    const double most = v->gate ? v->gate->policy->rules.max_overlap : 0.01;
    if (v->policy->allow_overlap || (double)r->overlap_samples <= most * (double)v->total) return 0;
    return pi_fail(v->err, PRECINFER_INVALID,
                   "%zu of %zu samples were used for %s: verify on other data, or allow the overlap (--allow-overlap)",
                   r->overlap_samples, v->total,
                   !r->tuned_samples ? "calibration" : r->tuned_samples < r->overlap_samples ? "calibration or tuning" : "tuning");
}

static int walk(struct verify *v, precinfer_next_batch *next, void *user)
{
    for (;;) {
        struct precinfer_batch b;
        memset(&b, 0, sizeof b);
        PI_TRY(next(user, &b, v->err));
        if (!b.samples) break;
        if (v->policy->max_drop_points >= 0 || v->policy->max_drop_relative >= 0)
            if (!b.labels) return pi_fail(v->err, PRECINFER_INVALID, "a limit on the drop in accuracy needs labels");
        const int look = !v->policy->no_layers && v->total < LAYER_SAMPLES;
        PI_TRY(fit(v, &v->ref, &b));
        PI_TRY(fit(v, &v->cand, &b));
        PI_TRY(answers(v, &b));
        if (look) PI_TRY(layers(v));
        if (v->policy->progress && v->policy->progress(v->policy->user, "verify", v->total, 0))
            return pi_fail(v->err, PRECINFER_CANCELLED, "cancelled after %zu samples", v->total);
    }
    if (!v->total) return pi_fail(v->err, PRECINFER_INVALID, "there are no samples to verify on");
    v->r->info.data_hash = pi_hash_end(&v->hash);
    PI_TRY(overlap(v));
    PI_TRY(strict(v));
    judge(v->policy, &v->r->info);
    return judge_gate(v);
}

void precinfer_verify_defaults(struct precinfer_verify_options *p)
{
    *p = (struct precinfer_verify_options){ .size = sizeof *p, .min_agreement = -1, .max_drop_points = -1, .max_drop_relative = -1 };
}

enum precinfer_status precinfer_report_limits(const precinfer_report *report, const struct precinfer_verify_options *limits,
                                              struct precinfer_report_info *info, struct precinfer_error *err)
{
    struct precinfer_verify_options o;
    precinfer_verify_defaults(&o);
    if (!report || !limits || !info) return pi_fail(err, PRECINFER_INVALID, "precinfer_report_limits: an argument is NULL");
    if (!limits->size || limits->size > sizeof o)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_report_limits: the limits' size is %zu, not %zu", limits->size, sizeof o);
    memcpy(&o, limits, limits->size);
    if ((o.max_drop_points >= 0 || o.max_drop_relative >= 0) && !report->info.labelled)
        return pi_fail(err, PRECINFER_INVALID, "a limit on the drop in accuracy needs labels");
    *info = report->info;
    info->agreement_verdict = info->drop_verdict = PRECINFER_NO_LIMIT;
    info->drop_limit = NAN;
    info->needed_samples = 0;
    const unsigned saved = pi_fp_enter();
    judge(&o, info);
    pi_fp_leave(saved);
    return PRECINFER_OK;
}

/* A gate of one's own, or one for the policy. */
static int open_gate(struct verify *v)
{
    const struct precinfer_verify_options *o = v->policy;
    if (o->gate) {
        if (o->policy && precinfer_policy_hash(o->policy) != o->gate->policy_hash)
            return pi_fail(v->err, PRECINFER_INVALID, "verify: the gate is one of another policy");
        v->gate = o->gate;
        return pi_gate_may_look(v->gate, v->err);
    }
    return o->policy ? (int)precinfer_gate_new(v->r->ctx, o->policy, &v->gate, v->err) : 0;
}

static int verify(struct verify *v, const precinfer_graph *reference, precinfer_next_batch *next, void *user)
{
    const precinfer_plan *plan = v->cand.plan;
    precinfer_plan *ref = NULL;
    v->r->info.layers = plan->nsteps;
    v->r->layers = pi_calloc(&v->r->ctx->alloc, plan->nsteps + 1, sizeof *v->r->layers);
    if (!v->r->layers) return pi_no_memory(v->err, plan->nsteps * sizeof *v->r->layers);
    PI_TRY(open_gate(v));
    v->judge = v->policy->judge ? v->policy->judge : v->gate && v->gate->policy->rules.judge ? v->gate->policy->rules.judge
        : plan->g->values[plan->g->outputs[0]].name;
    int status = (int)precinfer_compile(reference, NULL, NULL, &ref, v->err);
    v->ref.plan = ref;
    if (!status) {
        status = walk(v, next, user);
        if (status && v->gate && v->total) v->gate->broken = 1;     /* it has some of the samples                    */
    }
    precinfer_session_free(v->ref.fitted.s);
    precinfer_session_free(v->cand.fitted.s);
    precinfer_plan_free(ref);
    return status;
}

enum precinfer_status precinfer_verify(const precinfer_plan *plan, const precinfer_graph *reference, precinfer_next_batch *next,
                                       void *user, const struct precinfer_verify_options *options, precinfer_report **report,
                                       struct precinfer_error *err)
{
    if (!plan || !reference || !next || !report) return pi_fail(err, PRECINFER_INVALID, "verify: arguments must not be NULL");
    struct precinfer_verify_options o;
    precinfer_verify_defaults(&o);
    if (options && (!options->size || options->size > sizeof o))
        return pi_fail(err, PRECINFER_INVALID, "verify: the options' size is %zu, not %zu", options->size, sizeof o);
    if (options) memcpy(&o, options, options->size);
    struct verify v = { .cand.plan = plan, .policy = &o, .err = err };
    precinfer_report *r;
    pi_hash_init(&v.hash);
    PI_TRY(pi_report_create(plan->ctx, &r, err));
    v.r = r;
    const int status = verify(&v, reference, next, user);
    pi_free(&r->ctx->alloc, v.ids);
    pi_free(&r->ctx->alloc, v.skip);
    if (v.gate != o.gate) precinfer_gate_free(v.gate);
    if (status) { precinfer_report_free(r); return (enum precinfer_status)status; }
    *report = r;
    return PRECINFER_OK;
}
