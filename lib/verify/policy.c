#include <string.h>
#include "../base/hash.h"
#include "../base/math.h"
#include "policy.h"
#include "text.h"

/* ------------------------------------------------------------------------------------------------ what goes together */

enum { DROP = 1 << PRECINFER_MAX_DROP, SHARE = 1 << PRECINFER_MIN_SHARE, RATIO = 1 << PRECINFER_MAX_RATIO,
       LEAST = 1 << PRECINFER_MIN };
static const struct { const char *name; unsigned limits; int score, own_bounds; } metrics[] = {
    [PRECINFER_TOPK] = { "top-k", DROP | SHARE, 1, 1 }, [PRECINFER_AGREEMENT] = { "agreement", LEAST, 1, 1 },
    [PRECINFER_LOG_LOSS] = { "log loss", DROP, 0, 0 }, [PRECINFER_PERPLEXITY] = { "perplexity", RATIO, 0, 0 },
    [PRECINFER_MAE] = { "MAE", DROP | RATIO, 0, 0 }, [PRECINFER_RMSE] = { "RMSE", RATIO, 0, 0 },
    [PRECINFER_RELATIVE_MAE] = { "relative MAE", DROP | RATIO, 0, 0 }, [PRECINFER_COSINE] = { "cosine", LEAST, 1, 1 },
    [PRECINFER_AUC] = { "AUC", DROP | SHARE, 1, 1 }, [PRECINFER_F1] = { "F1", DROP | SHARE, 1, 1 },
    [PRECINFER_SCORE] = { "score", DROP | SHARE, 1, 0 }, [PRECINFER_ERROR] = { "error", DROP | RATIO, 0, 0 },
    [PRECINFER_LATENCY] = { "latency", LEAST | RATIO, 1, 1 }, [PRECINFER_SET] = { "set", DROP | SHARE, 1, 1 } };
enum { METRICS = sizeof metrics / sizeof *metrics };

int pi_metric_is_score(enum precinfer_metric m) { return metrics[m].score; }
static int has_classes(const struct precinfer_budget *b) { return b->metric == PRECINFER_AUC || b->metric == PRECINFER_F1; }
int pi_budget_is_set(const struct precinfer_budget *b) { return has_classes(b) || b->metric == PRECINFER_SET; }
int pi_budget_bounded(const struct precinfer_budget *b)
{
    return !pi_budget_is_set(b) && (metrics[b->metric].own_bounds || b->low < b->high);
}
static int finite(double x) { return x - x == 0; }
static int is_figure(const struct precinfer_budget *b)
{
    return b->metric == PRECINFER_SCORE || b->metric == PRECINFER_ERROR || b->metric == PRECINFER_SET;
}

/* NULL: the value is one that this budget may have. */
static const char *value_complaint(const struct precinfer_budget *b, double v)
{
    const int latency = b->metric == PRECINFER_LATENCY;
    if (!finite(v)) return "must be a finite number";
    switch (b->limit) {
    case PRECINFER_MAX_DROP:
        if (v < 0) return "must not be negative";
        return is_figure(b) || !metrics[b->metric].score || v < 1 ? NULL : "must be less than 1 (100 points)";
    case PRECINFER_MIN_SHARE: return v > 0 && v <= 1 ? NULL : "must be above 0 and at most 1";
    case PRECINFER_MAX_RATIO:
        if (latency) return v > 0 ? NULL : "must be above 0";
        return v >= 1 ? NULL : "must be at least 1";
    default:
        if (b->metric == PRECINFER_COSINE) return v > -1 && v <= 1 ? NULL : "must be above -1 and at most 1";
        if (latency) return v > 0 && v < 1 ? NULL : "must be above 0 and below 1";
        return v > 0 && v <= 1 ? NULL : "must be above 0 and at most 1";
    }
}

static struct pi_complaint slices_complaint(const struct precinfer_budget *b)
{
    if (!b->by) {
        if (b->nmargins) return (struct pi_complaint){ "margins", 0, "only slices have margins of their own" };
        if (b->min_samples) return (struct pi_complaint){ "min_samples", 0, "only slices may be too small to be judged" };
        return (struct pi_complaint){ 0 };
    }
    if (!*b->by) return (struct pi_complaint){ "by", 0, "must name a column" };
    if (b->metric == PRECINFER_LATENCY) return (struct pi_complaint){ "by", 0, "latency has no slices" };
    if (has_classes(b) && !strcmp(b->by, "label"))
        return (struct pi_complaint){ "by", 0, "AUC and F1 need both classes in every slice" };
    if (b->nmargins && (!b->slices || !b->margins)) return (struct pi_complaint){ "margins", 0, "must not be NULL" };
    for (size_t i = 0; i < b->nmargins; i++) {
        if (!b->slices[i]) return (struct pi_complaint){ "margins", i, "must name a slice" };
        const char *wrong = value_complaint(b, b->margins[i]);
        if (wrong) return (struct pi_complaint){ "margins", i, wrong };
        for (size_t j = 0; j < i; j++)
            if (!strcmp(b->slices[i], b->slices[j])) return (struct pi_complaint){ "margins", i, "the slice is there twice" };
    }
    return (struct pi_complaint){ 0 };
}

struct pi_complaint pi_budget_complaint(const struct precinfer_budget *b)
{
    const int own = b->low < b->high, shares = b->metric == PRECINFER_LATENCY && b->limit == PRECINFER_MIN;
    if ((unsigned)b->metric >= METRICS) return (struct pi_complaint){ "metric", 0, "is none that this version knows" };
    if ((unsigned)b->limit > PRECINFER_MIN || !(metrics[b->metric].limits >> b->limit & 1))
        return (struct pi_complaint){ "limit", 0, "this metric has no such limit" };
    const char *wrong = value_complaint(b, b->value);
    if (wrong) return (struct pi_complaint){ "value", 0, wrong };
    if (b->k < 0 || (b->k && b->metric != PRECINFER_TOPK))
        return (struct pi_complaint){ "k", 0, b->k < 0 ? "must be at least 1" : "only top-k has a k" };
    if (b->positive < 0 || (b->positive && !has_classes(b)))
        return (struct pi_complaint){ "positive", 0, b->positive < 0 ? "must be a class"
                                                                     : "only AUC and F1 have a positive class" };
    if (!finite(b->threshold) || (shares && !(b->threshold > 0)))
        return (struct pi_complaint){ "threshold", 0, "must be a finite number; of a latency above 0" };
    if (b->threshold != 0 && b->metric != PRECINFER_F1 && !shares)
        return (struct pi_complaint){ "threshold", 0, "only F1 and the share of fast runs have a threshold" };
    if (own && metrics[b->metric].own_bounds) return (struct pi_complaint){ "bounds", 0, "this metric has bounds of its own" };
    if (own && !(finite(b->low) && finite(b->high) && b->low < 0 && b->high > 0))
        return (struct pi_complaint){ "bounds", 0, "must be finite, with 0 inside" };
    if (is_figure(b) && (!b->name || !*b->name)) return (struct pi_complaint){ "name", 0, "must name the figure" };
    return slices_complaint(b);
}

struct pi_complaint pi_rules_complaint(const struct precinfer_policy_rules *r)
{
    if (r->confidence != 0 && !(r->confidence >= 0.5 && r->confidence < 1))
        return (struct pi_complaint){ "confidence", 0, "must be at least 0.5 and below 1" };
    if (!(r->max_overlap <= 1)) return (struct pi_complaint){ "max_overlap", 0, "must be a share of at most 1" };
    if (r->n && r->min_samples > r->n) return (struct pi_complaint){ "min", 0, "must not be more than the fixed n" };
    if (r->n > INT32_MAX) return (struct pi_complaint){ "n", 0, "must be below 2^31" };
    if (r->cluster && (!*r->cluster || !strcmp(r->cluster, "label")))
        return (struct pi_complaint){ "cluster", 0, "must name a column, and not the label" };
    if (r->judge && !*r->judge) return (struct pi_complaint){ "judge", 0, "must name an output" };
    return (struct pi_complaint){ 0 };
}

/* ------------------------------------------------------------------------------------------------ contrasts */

double pi_contrast_d(const struct precinfer_budget *b, double v, double r, double c)
{
    switch (b->limit) {
    case PRECINFER_MAX_DROP: return (pi_metric_is_score(b->metric) ? r - c : c - r) - v;
    case PRECINFER_MIN_SHARE: return v * r - c;
    case PRECINFER_MAX_RATIO:
        if (b->metric == PRECINFER_LATENCY) return c - 0.5;
        if (b->metric == PRECINFER_PERPLEXITY) return (c - r) - pi_math_log(v);
        if (b->metric == PRECINFER_RMSE) return c - v * v * r;
        return c - v * r;
    default: return v - c;
    }
}

double pi_budget_value(const struct precinfer_budget *b, const char *slice)
{
    for (size_t i = 0; slice && i < b->nmargins; i++)
        if (!strcmp(b->slices[i], slice)) return b->margins[i];
    return b->value;
}

const char *pi_policy_one_look(const precinfer_policy *p)
{
    if (p->rules.n) return "its number of samples was fixed beforehand";
    for (size_t i = 0; i < p->n; i++)
        if (!pi_budget_bounded(&p->budgets[i].b)) return "one of its budgets is judged by a bootstrap";
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ texts */

static void put_limit(struct pi_bytes *t, const struct precinfer_budget *b)
{
    const int points = b->metric == PRECINFER_TOPK, percent = b->metric == PRECINFER_AGREEMENT;
    switch (b->limit) {
    case PRECINFER_MAX_DROP:
        pi_put_text(t, metrics[b->metric].score ? "drop at most " : "increase at most ");
        pi_put_plain(t, points ? b->value * 100 : b->value);
        if (points) pi_put_text(t, " points");
        return;
    case PRECINFER_MIN_SHARE:
        pi_put_text(t, "at least ");
        pi_put_plain(t, b->value * 100);
        pi_put_text(t, "% of the reference's");
        return;
    case PRECINFER_MAX_RATIO:
        pi_put_text(t, b->metric == PRECINFER_LATENCY ? "median at most " : "at most ");
        pi_put_plain(t, b->value);
        pi_put_text(t, " times the reference's");
        return;
    default:
        pi_put_text(t, "at least ");
        pi_put_plain(t, percent || b->metric == PRECINFER_LATENCY ? b->value * 100 : b->value);
        if (percent) pi_put_text(t, "%");
        if (b->metric != PRECINFER_LATENCY) return;
        pi_put_text(t, "% of runs within ");
        pi_put_plain(t, b->threshold / 1e6);
        pi_put_text(t, " ms");
    }
}
static void put_metric(struct pi_bytes *t, const struct precinfer_budget *b)
{
    if (is_figure(b)) {
        pi_put_text(t, b->name);
    } else if (b->metric == PRECINFER_TOPK) {
        pi_put_text(t, "top-");
        pi_put_plain(t, b->k ? b->k : 1);
    } else {
        pi_put_text(t, metrics[b->metric].name);
        if (!has_classes(b)) return;
        pi_put_text(t, " of class ");
        pi_put_plain(t, (double)b->positive);
        if (b->metric == PRECINFER_AUC) return;
        pi_put_text(t, " from ");
        pi_put_plain(t, b->threshold);
    }
}
/* A name stands for metric and limit. What slices by another column is another budget. */
static int put_budget(struct precinfer_policy *p, const struct precinfer_budget *b, const char **text,
                      struct precinfer_error *err)
{
    struct pi_bytes t = { .a = &p->ctx->alloc };
    if (b->name && !is_figure(b)) {
        pi_put_text(&t, b->name);
        if (b->by) { pi_put_text(&t, " by "); pi_put_text(&t, b->by); }
    } else {
        put_metric(&t, b);
        if (b->by) { pi_put_text(&t, " by "); pi_put_text(&t, b->by); }
        pi_put_text(&t, ": ");
        put_limit(&t, b);
    }
    *text = t.failed ? NULL : pi_arena_string(&p->arena, (const char *)t.data, t.size);
    const int status = *text ? 0 : pi_no_memory(err, t.size + 1);
    pi_bytes_free(&t);
    return status;
}

/* ------------------------------------------------------------------------------------------------ columns */

static int column(const char **columns, size_t *n, const char *name)
{
    if (!name) return PI_NO_COLUMN;
    if (!strcmp(name, "label")) return PI_BY_LABEL;
    for (size_t i = 0; i < *n; i++) if (!strcmp(columns[i], name)) return (int)i;
    columns[(*n)++] = name;
    return (int)(*n - 1);
}
/* After budgets or rules have changed; `columns` has room for one a budget and one. */
static void number_columns(precinfer_policy *p, const char **columns)
{
    p->columns = columns;
    p->ncolumns = 0;
    for (size_t i = 0; i < p->n; i++) p->budgets[i].column = column(columns, &p->ncolumns, p->budgets[i].b.by);
    p->cluster = column(columns, &p->ncolumns, p->rules.cluster);
}

static int copied(struct pi_arena *a, const char *s, const char **copy, struct precinfer_error *err)
{
    *copy = s ? pi_arena_string(a, s, strlen(s)) : NULL;
    return !s || *copy ? 0 : pi_no_memory(err, strlen(s) + 1);
}

/* ------------------------------------------------------------------------------------------------ building */

int pi_policy_create(precinfer_context *ctx, precinfer_policy **policy, struct precinfer_error *err)
{
    precinfer_policy *p = pi_calloc(&ctx->alloc, 1, sizeof *p);
    if (!p) return pi_no_memory(err, sizeof *p);
    atomic_init(&p->refs, 1);
    p->ctx = ctx;
    p->arena.a = &ctx->alloc;
    p->name = "";
    p->cluster = PI_NO_COLUMN;
    p->rules = (struct precinfer_policy_rules){ .size = sizeof p->rules, .confidence = 0.95, .max_overlap = 0.01 };
    pi_context_retain(ctx);
    *policy = p;
    return 0;
}
void pi_policy_retain(const precinfer_policy *p) { atomic_fetch_add(&((precinfer_policy *)(uintptr_t)p)->refs, 1); }
void pi_policy_release(const precinfer_policy *policy)
{
    precinfer_policy *p = (precinfer_policy *)(uintptr_t)policy;
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1) return;
    precinfer_context *ctx = p->ctx;
    pi_free(&ctx->alloc, p->budgets);
    pi_arena_free(&p->arena);
    pi_free(&ctx->alloc, p);
    pi_context_release(ctx);
}
int pi_policy_set_name(precinfer_policy *p, const char *name, struct precinfer_error *err)
{
    const char *copy;
    PI_TRY(copied(&p->arena, name, &copy, err));
    p->name = copy;
    return 0;
}

/* A gate counts on its policy to stay as it is. */
static int in_use(const precinfer_policy *p, struct precinfer_error *err)
{
    if (atomic_load(&((precinfer_policy *)(uintptr_t)p)->refs) == 1) return 0;
    return pi_fail(err, PRECINFER_INVALID, "policy: a gate uses it; it cannot change any more");
}

static int copy_budget(precinfer_policy *p, const struct precinfer_budget *b, struct pi_budget *copy, struct precinfer_error *err)
{
    copy->b = *b;
    copy->b.size = sizeof copy->b;
    if (b->metric == PRECINFER_TOPK && !b->k) copy->b.k = 1;
    if (!(b->low < b->high)) copy->b.low = copy->b.high = 0;
    PI_TRY(copied(&p->arena, b->name && *b->name ? b->name : NULL, &copy->b.name, err));
    PI_TRY(copied(&p->arena, b->by, &copy->b.by, err));
    const char **slices = pi_arena_new(&p->arena, b->nmargins + 1, sizeof *slices);
    double *margins = pi_arena_new(&p->arena, b->nmargins + 1, sizeof *margins);
    if (!slices || !margins) return pi_no_memory(err, (b->nmargins + 1) * sizeof *slices);
    for (size_t i = 0; i < b->nmargins; i++) {
        PI_TRY(copied(&p->arena, b->slices[i], &slices[i], err));
        margins[i] = b->margins[i];
    }
    copy->b.slices = slices;
    copy->b.margins = margins;
    return put_budget(p, &copy->b, &copy->text, err);
}

static int add_budget(precinfer_policy *p, const struct precinfer_budget *b, struct precinfer_error *err)
{
    struct pi_budget copy = { .column = PI_NO_COLUMN };
    PI_TRY(copy_budget(p, b, &copy, err));
    for (size_t i = 0; i < p->n; i++)
        if (!strcmp(p->budgets[i].text, copy.text))
            return pi_fail(err, PRECINFER_INVALID, "budget '%s' is there twice", copy.text);
    if (p->n == p->room) {
        const size_t room = p->room ? p->room * 2 : 4;
        void *bigger = pi_grow(&p->ctx->alloc, p->budgets, p->room * sizeof *p->budgets, room * sizeof *p->budgets);
        if (!bigger) return pi_no_memory(err, room * sizeof *p->budgets);
        p->budgets = bigger;
        p->room = room;
    }
    const char **columns = pi_arena_new(&p->arena, p->n + 2, sizeof *columns);
    if (!columns) return pi_no_memory(err, (p->n + 2) * sizeof *columns);
    p->budgets[p->n++] = copy;
    number_columns(p, columns);
    return 0;
}

enum precinfer_status precinfer_policy_new(precinfer_context *context, precinfer_policy **policy, struct precinfer_error *err)
{
    if (!context || !policy) return pi_fail(err, PRECINFER_INVALID, "precinfer_policy_new: context or policy is NULL");
    return pi_policy_create(context, policy, err);
}

enum precinfer_status precinfer_policy_budget(precinfer_policy *policy, const struct precinfer_budget *budget,
                                              struct precinfer_error *err)
{
    if (!policy || !budget) return pi_fail(err, PRECINFER_INVALID, "precinfer_policy_budget: policy or budget is NULL");
    if (budget->size != sizeof *budget)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_policy_budget: size is %zu, not %zu", budget->size, sizeof *budget);
    PI_TRY(in_use(policy, err));
    const struct pi_complaint wrong = pi_budget_complaint(budget);
    if (wrong.field)
        return pi_fail(err, PRECINFER_INVALID, "budget %zu (%s): %s: %s", policy->n,
                       (unsigned)budget->metric < METRICS ? metrics[budget->metric].name : "unknown", wrong.field, wrong.text);
    return add_budget(policy, budget, err);
}

enum precinfer_status precinfer_policy_set_rules(precinfer_policy *policy, const struct precinfer_policy_rules *rules,
                                                 struct precinfer_error *err)
{
    if (!policy || !rules) return pi_fail(err, PRECINFER_INVALID, "precinfer_policy_set_rules: policy or rules is NULL");
    if (rules->size != sizeof *rules)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_policy_set_rules: size is %zu, not %zu", rules->size, sizeof *rules);
    PI_TRY(in_use(policy, err));
    const struct pi_complaint wrong = pi_rules_complaint(rules);
    if (wrong.field) return pi_fail(err, PRECINFER_INVALID, "policy: %s: %s", wrong.field, wrong.text);
    struct precinfer_policy_rules r = *rules;
    if (r.confidence == 0) r.confidence = 0.95;
    if (r.max_overlap < 0) r.max_overlap = 0.01;
    r.probabilities = r.probabilities != 0;
    PI_TRY(copied(&policy->arena, rules->judge, &r.judge, err));
    PI_TRY(copied(&policy->arena, rules->cluster, &r.cluster, err));
    const char **columns = pi_arena_new(&policy->arena, policy->n + 1, sizeof *columns);
    if (!columns) return pi_no_memory(err, (policy->n + 1) * sizeof *columns);
    policy->rules = r;
    number_columns(policy, columns);
    return PRECINFER_OK;
}

void precinfer_policy_free(precinfer_policy *policy) { pi_policy_release(policy); }

/* ------------------------------------------------------------------------------------------------ reading */

enum precinfer_status precinfer_policy_rules_of(const precinfer_policy *policy, struct precinfer_policy_rules *rules)
{
    if (!policy || !rules) return PRECINFER_INVALID;
    *rules = policy->rules;
    return PRECINFER_OK;
}
const char *precinfer_policy_name(const precinfer_policy *policy) { return policy ? policy->name : ""; }
size_t precinfer_policy_columns(const precinfer_policy *policy) { return policy ? policy->ncolumns : 0; }
const char *precinfer_policy_column(const precinfer_policy *policy, size_t i)
{
    return policy && i < policy->ncolumns ? policy->columns[i] : NULL;
}
size_t precinfer_policy_budgets(const precinfer_policy *policy) { return policy ? policy->n : 0; }
enum precinfer_status precinfer_policy_budget_info(const precinfer_policy *policy, size_t i, struct precinfer_budget *budget)
{
    if (!policy || !budget || i >= policy->n) return PRECINFER_INVALID;
    *budget = policy->budgets[i].b;
    return PRECINFER_OK;
}

static void hash_u64(struct pi_hash *h, uint64_t x)
{
    unsigned char bytes[8];
    pi_store_u64(bytes, x);
    pi_hash_add(h, bytes, sizeof bytes);
}
static void hash_f64(struct pi_hash *h, double x)
{
    uint64_t bits;
    x += 0.0;                           /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    hash_u64(h, bits);
}
static void hash_string(struct pi_hash *h, const char *s)
{
    hash_u64(h, s ? strlen(s) : UINT64_MAX);
    if (s) pi_hash_add(h, s, strlen(s));
}
/* Of all that decides a verdict, so not of the name. */
uint64_t precinfer_policy_hash(const precinfer_policy *policy)
{
    struct pi_hash h;
    if (!policy) return 0;
    pi_hash_init(&h);
    const struct precinfer_policy_rules *r = &policy->rules;
    hash_string(&h, "precinfer policy 1");
    hash_f64(&h, r->confidence);
    hash_u64(&h, r->n);
    hash_string(&h, r->judge);
    hash_u64(&h, (uint64_t)r->probabilities);
    hash_string(&h, r->cluster);
    hash_u64(&h, r->min_samples);
    hash_f64(&h, r->max_overlap);
    for (size_t i = 0; i < policy->n; i++) {
        const struct precinfer_budget *b = &policy->budgets[i].b;
        hash_u64(&h, (uint64_t)b->metric << 8 | (uint64_t)b->limit);
        hash_f64(&h, b->value);
        hash_u64(&h, (uint64_t)b->k);
        hash_u64(&h, (uint64_t)b->positive);
        hash_f64(&h, b->threshold);
        hash_f64(&h, b->low);
        hash_f64(&h, b->high);
        hash_string(&h, b->name);
        hash_string(&h, b->by);
        hash_u64(&h, b->nmargins);
        for (size_t k = 0; k < b->nmargins; k++) { hash_string(&h, b->slices[k]); hash_f64(&h, b->margins[k]); }
        hash_u64(&h, b->min_samples);
    }
    return pi_hash_end(&h);
}
