#include <math.h>
#include "../base/math.h"
#include "betting.h"
#include "bounds.h"
#include "contrast.h"
#include "power.h"
#include "score.h"

static double d_of(const struct pi_contrast *c, double r, double figure)
{
    return pi_contrast_d(&c->budget->b, c->value, r, figure);
}

/* ------------------------------------------------------------------------------------------------ gathering */

/* The values that d has for 0/1 scores; how many. */
static size_t values(const struct pi_contrast *c, double v[4])
{
    const enum precinfer_metric m = c->budget->b.metric;
    if (m == PRECINFER_AGREEMENT || m == PRECINFER_LATENCY) { v[0] = d_of(c, 0, 0); v[1] = d_of(c, 0, 1); return 2; }
    for (int i = 0; i < 4; i++) v[i] = d_of(c, i & 1, i >> 1);
    return 4;
}

static enum pi_kind kind_of(const struct precinfer_budget *b)
{
    if (pi_budget_is_set(b)) return b->metric == PRECINFER_SET ? PI_KIND_HOST : PI_KIND_SET;
    if (b->metric == PRECINFER_AGREEMENT || b->metric == PRECINFER_LATENCY) return PI_KIND_PROPORTION;
    if (b->metric == PRECINFER_TOPK) return PI_KIND_PAIRED;
    return pi_budget_bounded(b) ? PI_KIND_BOUNDED : PI_KIND_MEAN;
}

static int open_evidence(const struct pi_allocator *a, struct pi_contrast *c, int clustered, struct precinfer_error *err)
{
    const struct precinfer_budget *b = &c->budget->b;
    double v[4];
    if (b->metric == PRECINFER_COSINE) return pi_evidence_lattice(&c->e, c->value - 1, c->value + 1, err);
    if (c->kind == PI_KIND_BOUNDED) return pi_evidence_lattice(&c->e, b->low, b->high, err);
    const size_t n = values(c, v);
    if (!clustered || b->metric == PRECINFER_LATENCY) return pi_evidence_exact(a, &c->e, v, n, err);
    double low = v[0], high = v[0];
    for (size_t i = 1; i < n; i++) { if (v[i] < low) low = v[i]; if (v[i] > high) high = v[i]; }
    c->kind = PI_KIND_BOUNDED;
    return pi_evidence_lattice(&c->e, low, high, err);
}

int pi_contrast_open(const struct pi_allocator *a, struct pi_contrast *c, const struct pi_budget *budget, size_t index,
                     const char *slice, int clustered, struct precinfer_error *err)
{
    *c = (struct pi_contrast){ .budget = budget, .index = index, .slice = slice, .value = pi_budget_value(&budget->b, slice),
                               .kind = kind_of(&budget->b) };
    if (c->kind == PI_KIND_MEAN) return pi_boot_mean_new(a, &c->m, err);
    if (c->kind == PI_KIND_HOST) return 0;
    if (c->kind == PI_KIND_SET)
        return pi_boot_set_new(a, budget->b.metric == PRECINFER_F1 ? PI_SET_F1 : PI_SET_AUC, &c->set, err);
    const int status = open_evidence(a, c, clustered, err);
    return status ? pi_prefix(err, status, "budget '%s'", budget->text) : 0;
}

void pi_contrast_close(const struct pi_allocator *a, struct pi_contrast *c)
{
    if (c->kind == PI_KIND_MEAN) pi_boot_mean_free(a, &c->m);
    else if (c->kind == PI_KIND_HOST) pi_boot_host_free(a, &c->of_host);
    else if (c->kind == PI_KIND_SET) { if (c->set) pi_boot_set_free(c->set); }
    else pi_evidence_free(a, &c->e);
    *c = (struct pi_contrast){ 0 };
}

int pi_contrast_copy(const struct pi_allocator *a, const struct pi_contrast *from, struct pi_contrast *to,
                     struct precinfer_error *err)
{
    struct precinfer_atom *atoms = pi_malloc(a, (from->e.n + 1) * sizeof *atoms);
    if (!atoms) return pi_no_memory(err, from->e.n * sizeof *atoms);
    for (size_t i = 0; i < from->e.n; i++) atoms[i] = from->e.atoms[i];
    *to = *from;
    to->e.atoms = atoms;
    to->e.room = from->e.n + 1;
    return 0;
}

/* d rises or falls by 1 with the figure: the figure that makes it so. */
static double solve(const struct pi_contrast *c, double r, double d)
{
    const double rest = d_of(c, r, 0);
    return d_of(c, r, 1) < rest ? rest - d : d - rest;
}
int pi_contrast_figure(const struct pi_contrast *c, size_t sample, double r, int bad, int to_bounds, double *figure, int *counted,
                       struct precinfer_error *err)
{
    const double d = d_of(c, r, *figure);
    *counted = bad || !(d - d == 0);
    if (*counted && c->kind == PI_KIND_MEAN)
        return pi_fail(err, PRECINFER_INVALID, "sample %zu: the candidate gave no finite number for budget '%s': declare "
                       "bounds, so that such a sample can be counted as the worst", sample, c->budget->text);
    if (*counted || (to_bounds && c->kind == PI_KIND_BOUNDED && d > c->e.high)) *figure = solve(c, r, c->e.high);
    else if (to_bounds && c->kind == PI_KIND_BOUNDED && d < c->e.low) *figure = solve(c, r, c->e.low);
    else return 0;
    *counted = 1;
    return 0;
}

int pi_contrast_add(const struct pi_allocator *a, struct pi_contrast *c, uint64_t id, double r, double figure, int worst,
                    struct precinfer_error *err)
{
    double d = d_of(c, r, figure);
    if (c->kind == PI_KIND_MEAN) {
        pi_boot_mean_add(&c->m, id, d, r != figure);
    } else {
        const double rounding = 1e-12 * (c->e.high - c->e.low);
        if (worst || (d > c->e.high && d <= c->e.high + rounding)) d = c->e.high;
        if (d < c->e.low && d >= c->e.low - rounding) d = c->e.low;
        PI_TRY(pi_evidence_add(a, &c->e, d, 1, err));
        c->e.clipped += worst != 0;
    }
    c->sum_r += r;
    c->sum_c += figure;
    c->units++;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ judging */

static uint64_t times(const struct pi_contrast *c, double d)
{
    for (size_t i = 0; i < c->e.n; i++) if (c->e.atoms[i].low == d) return c->e.atoms[i].count;
    return 0;
}

/* d is `high` where the sample counts against the candidate, and high - 1 elsewhere. */
static void clopper_pearson(const struct pi_contrast *c, double alpha, struct pi_finding *f)
{
    const int64_t x = (int64_t)times(c, c->e.high), n = (int64_t)c->units;
    f->how = PI_HOW_CLOPPER_PEARSON;
    f->lower = c->e.low + (n ? pi_cp_lower(x, n, alpha) : 0);
    f->upper = c->e.low + (n ? pi_cp_upper(x, n, alpha) : 1);
    f->p = x ? pi_beta(-c->e.low, (double)x, (double)(n - x + 1)) : 1;
}
static void score(const struct pi_contrast *c, double alpha, struct pi_finding *f)
{
    f->how = PI_HOW_SCORE;
    f->lower = pi_score_lower(&c->e, alpha);
    f->upper = pi_score_upper(&c->e, alpha);
    f->p = pi_score_p_below(&c->e);
}
static void betting(const struct pi_contrast *c, double alpha, struct pi_finding *f)
{
    f->how = PI_HOW_BETTING;
    f->lower = pi_bet_lower(&c->e, alpha);
    f->upper = pi_bet_upper(&c->e, alpha);
    f->p = pi_bet_p_below(&c->e);
}

/* What E[d] is where nothing was lost; for a figure of the pair, at the rate seen. */
static double mean_unharmed(const struct pi_contrast *c, const struct pi_finding *f)
{
    return c->budget->b.limit == PRECINFER_MIN ? f->mean : d_of(c, f->reference, f->reference);
}

static int64_t needed_paired(const struct pi_contrast *c, enum pi_bound_method method, double alpha, const struct pi_finding *f)
{
    const int share = c->budget->b.limit == PRECINFER_MIN_SHARE;
    const int64_t differ = (int64_t)(times(c, d_of(c, 1, 0)) + times(c, d_of(c, 0, 1)));
    const double most = c->units ? pi_cp_upper(differ, (int64_t)c->units, alpha) : 1;
    return pi_needed_paired(method, most, c->units ? f->reference : 1, share ? c->value : 1, share ? 0 : c->value, alpha);
}

/* At the rate seen; without any, at the best one. */
static int64_t needed_proportion(const struct pi_contrast *c, enum pi_bound_method method, double alpha)
{
    const double bad = c->units ? (double)times(c, c->e.high) / (double)c->units : 0;
    return pi_needed_proportion(method, 1 - bad, c->e.high, alpha);
}

/* By the spread seen, but not before enough samples differ. */
static int64_t needed_mean(const struct pi_contrast *c, double alpha, const struct pi_finding *f)
{
    const double mean = c->m.x / c->m.w, variance = c->m.xx / c->m.w - mean * mean;
    const int64_t n = pi_needed_normal(variance > 0 ? sqrt(variance) : 0, mean_unharmed(c, f), alpha);
    if (n < 0 || c->m.differ >= PI_BOOT_DIFFER) return n;
    const int64_t differ = !c->m.differ ? PI_BOOT_SAME : (int64_t)((double)c->units / (double)c->m.differ * PI_BOOT_DIFFER) + 1;
    return n > differ ? n : differ;
}

static int64_t needed_set(const struct pi_contrast *c, double alpha, const struct pi_finding *f)
{
    if (f->mean != f->mean) return (int64_t)c->units + 1;           /* a class is missing                             */
    return pi_needed_normal(f->sd * sqrt((double)c->units), d_of(c, f->reference, f->reference), alpha);
}

/* c->e.high is the limit on the share that is fine: d = limit - 1{fine}. */
int64_t pi_contrast_needed(const struct pi_contrast *c, const struct precinfer_policy_rules *rules, const struct pi_finding *f)
{
    const double alpha = 1 - rules->confidence;
    if (f->mean >= 0) return -1;
    switch (c->kind) {
    case PI_KIND_PROPORTION: return needed_proportion(c, rules->n ? PI_CLOPPER_PEARSON : PI_BETTING, alpha);
    case PI_KIND_PAIRED: return needed_paired(c, rules->n ? PI_SCORE : PI_BETTING, alpha, f);
    case PI_KIND_SET: case PI_KIND_HOST: return needed_set(c, alpha, f);
    case PI_KIND_BOUNDED:
        if (c->units) return pi_needed_shifted(&c->e, mean_unharmed(c, f), alpha);
        break;
    case PI_KIND_MEAN:
        if (c->units > 1) return needed_mean(c, alpha, f);
        break;
    }
    return (int64_t)c->units + 1;
}

static int find_set(const struct pi_contrast *c, double alpha, struct pi_finding *f, struct precinfer_error *err)
{
    const int share = c->budget->b.limit == PRECINFER_MIN_SHARE;
    const double a = share ? c->value : 1, b = share ? 0 : c->value;
    struct pi_set_result r;
    if (c->kind == PI_KIND_HOST) PI_TRY(pi_boot_host_result(&c->of_host, c->host, c->budget->b.name, a, b, alpha, &r, err));
    else PI_TRY(pi_boot_set_result(c->set, a, b, alpha, &r, err));
    *f = (struct pi_finding){ c->kind == PI_KIND_HOST ? PI_HOW_BOOT_HOST : PI_HOW_BOOT_SET, r.estimate, r.lower, r.upper, r.p_below,
                              r.reference, r.candidate, r.sd };
    return 0;
}

int pi_contrast_find(const struct pi_contrast *c, const struct precinfer_policy_rules *rules, struct pi_finding *f,
                     struct precinfer_error *err)
{
    const double alpha = 1 - rules->confidence, n = (double)c->units;
    if (c->kind >= PI_KIND_SET) return find_set(c, alpha, f, err);
    *f = (struct pi_finding){ .reference = c->units ? c->sum_r / n : NAN, .candidate = c->units ? c->sum_c / n : NAN };
    f->mean = !c->units ? NAN : d_of(c, f->reference, f->candidate);
    if (c->units && c->kind != PI_KIND_MEAN && c->e.clipped) f->mean = pi_evidence_mean(&c->e);
    if (c->kind == PI_KIND_MEAN) {
        f->how = PI_HOW_BOOT_MEAN;
        pi_boot_mean_bounds(&c->m, alpha, &f->lower, &f->upper);
        f->p = pi_boot_mean_p_below(&c->m);
    } else if (rules->n && c->kind == PI_KIND_PROPORTION) {
        clopper_pearson(c, alpha, f);
    } else if (rules->n && c->kind == PI_KIND_PAIRED) {
        score(c, alpha, f);
    } else {
        betting(c, alpha, f);
    }
    return 0;
}
