/* One look: every contrast judged, and what follows for all of them. */
#include <math.h>
#include <string.h>
#include "../base/math.h"
#include "../base/sort.h"
#include "gate.h"
#include "text.h"

/* ------------------------------------------------------------------------------------------------ sentences */

static int end_text(struct pi_arena *arena, struct pi_bytes *t, const char **text, struct precinfer_error *err)
{
    *text = t->failed ? NULL : pi_arena_string(arena, (const char *)t->data, t->size);
    const int status = *text ? 0 : pi_no_memory(err, t->size + 1);
    pi_bytes_free(t);
    return status;
}

static int put_method(precinfer_report *r, const precinfer_policy *p, enum pi_how how, const char **text,
                      struct precinfer_error *err)
{
    static const char *const names[] = { "betting confidence sequence", "Clopper-Pearson", "score bound",
                                         "studentized Poisson bootstrap", "studentized Poisson bootstrap",
                                         "percentile Poisson bootstrap" };
    struct pi_bytes t = { .a = r->arena.a };
    pi_put_text(&t, names[how]);
    pi_put_text(&t, ", ");
    pi_put_plain(&t, p->rules.confidence * 100);
    pi_put_text(&t, "%, one-sided");
    if (how == PI_HOW_CLOPPER_PEARSON || how == PI_HOW_SCORE) pi_put_text(&t, ", n fixed beforehand");
    if (how >= PI_HOW_SCORE) pi_put_text(&t, ", approximate");
    return end_text(&r->arena, &t, text, err);
}

static void put_name(struct pi_bytes *t, const struct precinfer_budget *b)
{
    static const char *const names[] = { "", "share with the same top-1", "log loss", "perplexity", "MAE", "squared error",
                                         "relative MAE", "cosine", "AUC", "F1", "", "", "", "" };
    if (b->metric == PRECINFER_TOPK) {
        pi_put_text(t, "top-");
        pi_put_plain(t, b->k);
        pi_put_text(t, " accuracy");
    } else {
        pi_put_text(t, pi_needs_figure(b->metric) || b->metric == PRECINFER_SET ? b->name : names[b->metric]);
    }
}
static void put_latency(struct pi_bytes *t, const struct precinfer_budget *b)
{
    pi_put_text(t, b->limit == PRECINFER_MIN ? "share of runs within " : "share of runs longer than ");
    pi_put_plain(t, b->limit == PRECINFER_MIN ? b->threshold / 1e6 : b->value);
    pi_put_text(t, b->limit == PRECINFER_MIN ? " ms" : " times the reference's");
}
/* What the bounds speak of. A ratio's are of what goes beyond it: a ratio of means has no exact bounds of its own. */
static int put_quantity(precinfer_report *r, const struct pi_contrast *c, const char **text, struct precinfer_error *err)
{
    const struct precinfer_budget *b = &c->budget->b;
    const int beyond = b->limit == PRECINFER_MAX_RATIO && b->metric != PRECINFER_PERPLEXITY;
    struct pi_bytes t = { .a = r->arena.a };
    if (b->metric == PRECINFER_LATENCY) {
        put_latency(&t, b);
        return end_text(&r->arena, &t, text, err);
    }
    if (b->limit == PRECINFER_MAX_DROP) pi_put_text(&t, pi_metric_is_score(b->metric) ? "drop in " : "increase in ");
    if (b->metric == PRECINFER_PERPLEXITY) pi_put_text(&t, "ratio of ");
    put_name(&t, b);
    if (b->limit == PRECINFER_MIN_SHARE || beyond) {
        pi_put_text(&t, beyond ? " beyond " : " short of ");
        pi_put_plain(&t, !beyond ? c->value * 100 : b->metric == PRECINFER_RMSE ? c->value * c->value : c->value);
        pi_put_text(&t, beyond ? " times the reference's" : "% of the reference's");
    }
    return end_text(&r->arena, &t, text, err);
}

/* ------------------------------------------------------------------------------------------------ one contrast */

/* From d to the quantity that the report speaks of. */
static double quantity(const struct pi_contrast *c, double d)
{
    const struct precinfer_budget *b = &c->budget->b;
    switch (b->limit) {
    case PRECINFER_MAX_DROP: return d + c->value;
    case PRECINFER_MIN: return c->value - d;
    case PRECINFER_MAX_RATIO:
        if (b->metric == PRECINFER_LATENCY) return d + 0.5;
        return b->metric == PRECINFER_PERPLEXITY ? pi_math_exp(d + pi_math_log(c->value)) : d;
    default: return d;
    }
}
/* The metric itself, from the mean of a sample's figures. */
static double metric(const struct precinfer_budget *b, double x)
{
    if (b->metric == PRECINFER_PERPLEXITY) return pi_math_exp(x);
    return b->metric == PRECINFER_RMSE ? sqrt(x) : x;
}

static void fill_numbers(const struct pi_contrast *c, const struct pi_finding *f, struct precinfer_contrast *out)
{
    const struct precinfer_budget *b = &c->budget->b;
    const int pair = b->limit == PRECINFER_MIN || b->metric == PRECINFER_LATENCY;
    out->at_least = b->limit == PRECINFER_MIN;
    out->reference = pair ? NAN : metric(b, f->reference);
    out->candidate = pair ? NAN : metric(b, f->candidate);
    out->estimate = quantity(c, f->mean);
    out->lower = quantity(c, out->at_least ? f->upper : f->lower);
    out->upper = quantity(c, out->at_least ? f->lower : f->upper);
    out->limit = quantity(c, 0);
    if (b->limit == PRECINFER_MAX_RATIO && b->metric == PRECINFER_PERPLEXITY) out->limit = c->value;
}

/* Of a budget, the samples that could be judged, over all its slices. */
static uint64_t samples_of(const precinfer_gate *g, size_t budget)
{
    uint64_t n = 0;
    for (size_t i = 0; i < g->n; i++) if (g->contrasts[i].index == budget) n += g->contrasts[i].samples;
    return n;
}

/* Units of this contrast when its budget has the least number of samples, by its share of those so far. */
static int64_t part_of_least(const precinfer_gate *g, const struct pi_contrast *c)
{
    const double least = (double)g->policy->rules.min_samples, all = (double)samples_of(g, c->index);
    const double part = c->units ? least * ((double)c->units / all) : least;
    return (int64_t)part + (part > (double)(int64_t)part);
}

static void decide(const precinfer_gate *g, const struct pi_contrast *c, const struct pi_finding *f,
                   struct precinfer_contrast *out)
{
    const struct precinfer_policy_rules *rules = &g->policy->rules;
    const int latency = c->budget->b.metric == PRECINFER_LATENCY;
    out->verdict = f->upper <= 0 ? PRECINFER_PASS : f->lower > 0 ? PRECINFER_FAIL : PRECINFER_UNDECIDED;
    if (!c->units) out->verdict = PRECINFER_UNDECIDED;
    if (c->slice && c->samples < c->budget->b.min_samples) out->verdict = PRECINFER_NO_LIMIT;
    if (out->verdict == PRECINFER_UNDECIDED) out->needed = pi_contrast_needed(c, rules, f);
    if (latency) return;
    if (rules->n && g->host.judged < rules->n) {             /* no look before the end: what there is so far, and no bound   */
        out->lower = out->upper = NAN;
        if (out->verdict == PRECINFER_NO_LIMIT) return;
        out->verdict = PRECINFER_UNDECIDED;
        out->needed = (int64_t)rules->n;
    } else if (out->verdict != PRECINFER_NO_LIMIT && samples_of(g, c->index) < rules->min_samples) {
        const int64_t least = part_of_least(g, c);
        out->verdict = PRECINFER_UNDECIDED;
        if (out->needed >= 0 && out->needed < least) out->needed = least;
    }
}

static int copy_evidence(precinfer_report *r, const struct pi_contrast *c, const struct precinfer_contrast *out,
                         struct precinfer_evidence *e, struct precinfer_error *err)
{
    *e = (struct precinfer_evidence){ .budget = out->budget, .slice = out->slice, .samples = c->samples };
    if (c->kind >= PI_KIND_MEAN) return 0;
    struct precinfer_atom *atoms = pi_arena_new(&r->arena, c->e.n + 1, sizeof *atoms);
    if (!atoms) return pi_no_memory(err, c->e.n * sizeof *atoms);
    if (c->e.n) memcpy(atoms, c->e.atoms, c->e.n * sizeof *atoms);
    e->atoms = atoms;
    e->natoms = c->e.n;
    e->reference_sum = c->sum_r;
    e->candidate_sum = c->sum_c;
    e->clipped = c->e.clipped;
    return 0;
}

static int copied(precinfer_report *r, const char *s, const char **copy, struct precinfer_error *err)
{
    *copy = s ? pi_arena_string(&r->arena, s, strlen(s)) : NULL;
    return !s || *copy ? 0 : pi_no_memory(err, strlen(s) + 1);
}

static int judge_contrast(const precinfer_gate *g, const struct pi_contrast *c, precinfer_report *r, double *p,
                          struct precinfer_error *err)
{
    struct precinfer_contrast *out = &r->contrasts[r->ncontrasts];
    struct pi_finding f;
    PI_TRY(pi_contrast_find(c, &g->policy->rules, &f, err));
    PI_TRY(copied(r, c->budget->text, &out->budget, err));
    PI_TRY(copied(r, c->slice, &out->slice, err));
    PI_TRY(copied(r, c->budget->b.by, &out->by, err));
    PI_TRY(put_quantity(r, c, &out->quantity, err));
    PI_TRY(put_method(r, g->policy, f.how, &out->method, err));
    out->metric = c->budget->b.metric;
    out->samples = c->samples;
    out->units = c->units;
    out->clipped = c->kind >= PI_KIND_MEAN ? 0 : c->e.clipped;
    out->exact = f.how == PI_HOW_BETTING || f.how == PI_HOW_CLOPPER_PEARSON;
    out->sequential = f.how == PI_HOW_BETTING;
    fill_numbers(c, &f, out);
    decide(g, c, &f, out);
    *p = f.p;
    return copy_evidence(r, c, out, &r->evidence[r->ncontrasts++], err);
}

/* ------------------------------------------------------------------------------------------------ clusters */

/* The contrast with its clusters as units. */
static int with_clusters(const precinfer_gate *g, size_t index, struct pi_contrast *c, struct precinfer_error *err)
{
    const struct pi_allocator *a = &g->ctx->alloc;
    const struct pi_contrast *from = &g->contrasts[index];
    if (from->kind == PI_KIND_MEAN) PI_TRY(pi_contrast_open(a, c, from->budget, from->index, from->slice, 1, err));
    else PI_TRY(pi_contrast_copy(a, from, c, err));
    c->samples = from->samples;
    int status = 0;
    for (size_t i = 0; i < g->nclusters && !status; i++) {
        const struct pi_cluster *u = &g->clusters[i];
        if (u->contrast == index) status = pi_contrast_add(a, c, u->id, u->r / (double)u->n, u->c / (double)u->n, 0, err);
    }
    if (status) pi_contrast_close(a, c);
    return status;
}

static int judge_one(const precinfer_gate *g, size_t index, precinfer_report *r, double *p, struct precinfer_error *err)
{
    const struct pi_contrast *c = &g->contrasts[index];
    struct pi_contrast whole;
    if (g->policy->cluster < 0 || c->budget->b.metric == PRECINFER_LATENCY) return judge_contrast(g, c, r, p, err);
    if (c->kind >= PI_KIND_SET) {                       /* its samples have their clusters' weights already            */
        whole = *c;
        for (size_t i = 0; i < g->nclusters; i++) whole.units += g->clusters[i].contrast == index;
        return judge_contrast(g, &whole, r, p, err);
    }
    PI_TRY(with_clusters(g, index, &whole, err));
    const int status = judge_contrast(g, &whole, r, p, err);
    pi_contrast_close(&g->ctx->alloc, &whole);
    return status;
}

/* ------------------------------------------------------------------------------------------------ all of them */

/* Budgets in the policy's order; slices by class number, else by name. */
static int contrast_before(const void *user, int a, int b)
{
    const precinfer_gate *g = user;
    const struct pi_contrast *x = &g->contrasts[a], *y = &g->contrasts[b];
    if (x->index != y->index) return x->index < y->index;
    if (!x->slice || !y->slice) return !x->slice && y->slice;
    const size_t n = strlen(x->slice), m = strlen(y->slice);
    if (x->budget->column == PI_BY_LABEL && n != m) return n < m;
    return strcmp(x->slice, y->slice) < 0;
}

struct by_p { const double *p; };
static int p_before(const void *user, int a, int b)
{
    const double *p = ((const struct by_p *)user)->p;
    return p[a] != p[b] ? p[a] < p[b] : a < b;
}
/* Holm's step-down over the judged slices [from, to) of one budget. */
static void blame(precinfer_report *r, const double *p, int *order, size_t from, size_t to, double alpha)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++) {
        const struct precinfer_contrast *c = &r->contrasts[i];
        if (c->slice && c->verdict != PRECINFER_NO_LIMIT && c->lower == c->lower) order[n++] = (int)i;
    }
    if (n) pi_sort_index(order, n, p_before, &(struct by_p){ p });
    for (size_t i = 0; i < n && p[order[i]] <= alpha / (double)(n - i); i++) r->contrasts[order[i]].blamed = 1;
}

/* What a contrast needs, as samples of all slices: its own are a share of them, and units may be clusters. */
static int64_t needed_samples(const precinfer_gate *g, const struct precinfer_contrast *c, size_t budget)
{
    const size_t n = g->policy->rules.n;
    if (c->needed <= 0 || !c->units || c->metric == PRECINFER_LATENCY || (n && g->host.judged < n)) return c->needed;
    const double a_unit = (double)samples_of(g, budget) / (double)c->units, all = (double)c->needed * a_unit;
    const double least = (double)g->policy->rules.min_samples;
    if (all > least && all - a_unit < least) return (int64_t)least;     /* no more than rounding to whole units       */
    return all < 1e15 ? (int64_t)all + (all > (double)(int64_t)all) : -1;
}
/* A budget of which no slice could be judged is undecided: nothing was shown. */
static void combine(const precinfer_gate *g, precinfer_report *r, const int *budget_of)
{
    int fail = 0, open = 0;
    int64_t runs = 0, samples = 0;
    for (size_t b = 0; b < g->nbudgets; b++) {
        size_t judged = 0;
        for (size_t i = 0; i < r->ncontrasts; i++) {
            const struct precinfer_contrast *c = &r->contrasts[i];
            if ((size_t)budget_of[i] != b || c->verdict == PRECINFER_NO_LIMIT) continue;
            int64_t *most = c->metric == PRECINFER_LATENCY ? &runs : &samples;
            judged++;
            fail |= c->verdict == PRECINFER_FAIL;
            open |= c->verdict == PRECINFER_UNDECIDED;
            const int64_t more = needed_samples(g, c, b);
            if (more < 0 || *most < 0) *most = -1;
            else if (more > *most) *most = more;
        }
        open |= !judged;
    }
    r->gate_verdict = fail ? PRECINFER_FAIL : open ? PRECINFER_UNDECIDED : PRECINFER_PASS;
    r->gate_needed = samples ? samples : runs;
}

static int judge_all(const precinfer_gate *g, precinfer_report *r, int *order, int *budget_of, double *p,
                     struct precinfer_error *err)
{
    for (size_t i = 0; i < g->n; i++) order[i] = (int)i;
    if (g->n) pi_sort_index(order, g->n, contrast_before, g);
    for (size_t i = 0; i < g->n; i++) {
        budget_of[i] = (int)g->contrasts[order[i]].index;
        PI_TRY(judge_one(g, (size_t)order[i], r, &p[i], err));
    }
    for (size_t from = 0, to; from < g->n; from = to) {
        for (to = from; to < g->n && budget_of[to] == budget_of[from]; ) to++;
        blame(r, p, order, from, to, 1 - g->policy->rules.confidence);
    }
    combine(g, r, budget_of);
    return 0;
}

static int judge_contrasts(const precinfer_gate *g, precinfer_report *r, struct precinfer_error *err)
{
    const struct pi_allocator *a = &g->ctx->alloc;
    if (g->n > INT32_MAX) return pi_fail(err, PRECINFER_UNSUPPORTED, "gate: more than 2^31 slices");
    r->contrasts = pi_arena_new(&r->arena, g->n + 1, sizeof *r->contrasts);
    r->evidence = pi_arena_new(&r->arena, g->n + 1, sizeof *r->evidence);
    int *order = pi_calloc(a, g->n + 1, sizeof *order), *budget_of = pi_calloc(a, g->n + 1, sizeof *budget_of);
    double *p = pi_calloc(a, g->n + 1, sizeof *p);
    const int status = r->contrasts && r->evidence && order && budget_of && p ? judge_all(g, r, order, budget_of, p, err)
        : pi_no_memory(err, g->n * sizeof *r->contrasts);
    pi_free(a, order);
    pi_free(a, budget_of);
    pi_free(a, p);
    return status;
}

/* ------------------------------------------------------------------------------------------------ the look */

/* Few samples of an earlier look are left out; many mean that the look is no new one. */
static int check_overlap(const precinfer_gate *g, uint64_t data_hash, struct precinfer_error *err)
{
    if (g->total)
        for (size_t i = 0; i < g->past; i++)
            if (g->looks.x[i] == data_hash)
                return pi_fail(err, PRECINFER_INVALID, "gate: this is the data of an earlier look again");
    if ((double)g->again <= g->policy->rules.max_overlap * (double)g->fresh) return 0;
    return pi_fail(err, PRECINFER_INVALID, "gate: %zu of %zu samples were seen in an earlier look: add samples that are new",
                   g->again, g->fresh);
}

static int copy_hashes(struct pi_arena *arena, const struct pi_u64s *from, const uint64_t *last, uint64_t **x, size_t *n,
                       struct precinfer_error *err)
{
    *x = pi_arena_new(arena, from->n + 1, sizeof **x);
    if (!*x) return pi_no_memory(err, from->n * sizeof **x);
    if (from->n) memcpy(*x, from->x, from->n * sizeof **x);
    *n = from->n;
    if (last) (*x)[(*n)++] = *last;
    return 0;
}

/* earlier and the samples since, sorted; `report` besides has the clusters, so that a later gate knows them. */
static int merge_seen(precinfer_gate *g, struct pi_u64s *all, precinfer_report *r, struct precinfer_error *err)
{
    const struct pi_allocator *a = &g->ctx->alloc;
    const size_t n = g->earlier.n + g->ids.n;
    all->x = pi_calloc(a, n + 1, sizeof *all->x);
    if (!all->x) return pi_no_memory(err, n * sizeof *all->x);
    if (g->earlier.n) memcpy(all->x, g->earlier.x, g->earlier.n * sizeof *all->x);
    if (g->ids.n) memcpy(all->x + g->earlier.n, g->ids.x, g->ids.n * sizeof *all->x);
    all->n = n;
    all->room = n + 1;
    pi_u64s_set(all);
    g->repeated += n - all->n;
    r->seen = pi_arena_new(&r->arena, all->n + g->cluster_seen.n + 1, sizeof *r->seen);
    if (!r->seen) return pi_no_memory(err, all->n * sizeof *r->seen);
    memcpy(r->seen, all->x, all->n * sizeof *r->seen);
    if (g->cluster_seen.n) memcpy(r->seen + all->n, g->cluster_seen.x, g->cluster_seen.n * sizeof *r->seen);
    struct pi_u64s whole = { r->seen, all->n + g->cluster_seen.n, 0 };
    pi_u64s_set(&whole);
    r->nseen = whole.n;
    return 0;
}

int pi_gate_judge(precinfer_gate *g, precinfer_report *r, struct precinfer_error *err)
{
    const struct pi_allocator *a = &g->ctx->alloc;
    const uint64_t data_hash = pi_hash_end(&g->hash);
    const int same = g->looks.n > g->past && g->looks.x[g->looks.n - 1] == data_hash;
    struct pi_u64s all = { 0 };
    PI_TRY(check_overlap(g, data_hash, err));
    PI_TRY(judge_contrasts(g, r, err));
    PI_TRY(pi_gate_flips(g, r, err));
    PI_TRY(copy_hashes(&r->arena, &g->looks, same ? NULL : &data_hash, &r->looks, &r->nlooks, err));
    int status = merge_seen(g, &all, r, err);
    if (!status && !same) status = pi_u64s_add(a, &g->looks, data_hash, err);
    if (status) { pi_free(a, all.x); return status; }
    pi_free(a, g->earlier.x);
    g->earlier = all;
    g->ids.n = 0;
    g->fresh = g->again = 0;
    g->reported = 1;
    r->info.policy_hash = g->policy_hash;
    return 0;
}
