/* Reading a policy, strictly: a key that is not known is an error, since a typing error must not loosen a gate silently. */
#include <stdio.h>
#include <string.h>
#include <jansson.h>
#include "number.h"
#include "policy_text.h"

struct policy_reader { precinfer_policy *p; struct pi_arena *scratch; struct precinfer_error *err; };
/* "budgets[2]" or "samples", for messages; "" at the top. */
struct place { const struct policy_reader *r; char path[48]; };

static int bad(const struct place *at, const char *key, const char *what)
{
    return pi_fail(at->r->err, PRECINFER_MALFORMED, "%s%s%s: %s", at->path, *at->path ? "." : "", key, what);
}

static int check_keys(json_t *object, const struct place *at, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        size_t i = 0;
        while (known[i] && strcmp(key, known[i])) i++;
        if (!known[i]) return bad(at, key, "unknown key");
    }
    return 0;
}

/* Each of these leaves *x alone where the key is absent. */
static int get_number(const json_t *object, const struct place *at, const char *key, double *x)
{
    const json_t *value = json_object_get(object, key);
    if (!value) return 0;
    if (!json_is_number(value)) return bad(at, key, "must be a number");
    *x = json_number_value(value);
    return *x - *x == 0 ? 0 : bad(at, key, "must be finite");
}
static int get_count(const json_t *object, const struct place *at, const char *key, int64_t least, int64_t most, int64_t *x)
{
    const json_t *value = json_object_get(object, key);
    char what[96];
    if (!value) return 0;
    snprintf(what, sizeof what, "must be an integer in %lld to %lld", (long long)least, (long long)most);
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
        return bad(at, key, what);
    *x = json_integer_value(value);
    return 0;
}
static int get_string(const json_t *object, const struct place *at, const char *key, const char **s)
{
    const json_t *value = json_object_get(object, key);
    if (!value) return 0;
    if (!json_is_string(value) || !*json_string_value(value)) return bad(at, key, "must be a string that is not empty");
    *s = json_string_value(value);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ metrics and limits */

enum { K = 1, NAME = 2, POSITIVE = 4, THRESHOLD = 8, BOUNDS = 16 };
static const struct metric { const char *name; enum precinfer_metric metric; unsigned keys; } metrics[] = {
    { "top1", PRECINFER_TOPK, 0 }, { "topk", PRECINFER_TOPK, K }, { "agreement", PRECINFER_AGREEMENT, 0 },
    { "log_loss", PRECINFER_LOG_LOSS, BOUNDS }, { "perplexity", PRECINFER_PERPLEXITY, BOUNDS },
    { "mae", PRECINFER_MAE, BOUNDS }, { "rmse", PRECINFER_RMSE, BOUNDS },
    { "relative_mae", PRECINFER_RELATIVE_MAE, BOUNDS }, { "cosine", PRECINFER_COSINE, 0 },
    { "auc", PRECINFER_AUC, POSITIVE }, { "f1", PRECINFER_F1, POSITIVE | THRESHOLD }, { "score", PRECINFER_SCORE, BOUNDS },
    { "error", PRECINFER_ERROR, BOUNDS }, { "set", PRECINFER_SET, 0 } };
enum { METRICS = sizeof metrics / sizeof *metrics };
static const char known_metrics[] =
    "must be top1, topk, agreement, log_loss, perplexity, mae, rmse, relative_mae, cosine, auc, f1, score, error or set";

/* Which key stands for which limit: of a score a drop, of an error an increase. */
static const struct { const char *key; enum precinfer_limit limit; int scores, errors; } limits[] = {
    { "max_drop", PRECINFER_MAX_DROP, 1, 0 }, { "max_increase", PRECINFER_MAX_DROP, 0, 1 },
    { "min_share", PRECINFER_MIN_SHARE, 1, 0 }, { "max_ratio", PRECINFER_MAX_RATIO, 0, 1 }, { "min", PRECINFER_MIN, 1, 0 } };
enum { LIMITS = sizeof limits / sizeof *limits };

static int is_share_of_samples(enum precinfer_metric m) { return m == PRECINFER_TOPK; }

/* "0.5pt" is 0.005; "0.5%rel" a share of 0.995 of the reference's. */
static int read_drop(const char *s, const struct place *at, const char *key, struct precinfer_budget *b)
{
    static const char advice[] = "must be points (\"0.5pt\") or relative to the reference (\"0.5%rel\")";
    const size_t n = strlen(s), points = n > 2 && !strcmp(s + n - 2, "pt") ? 2 : 0,
        relative = n > 4 && !strcmp(s + n - 4, "%rel") ? 4 : 0;
    double x;
    if ((!points && !relative) || pi_number_read(s, n - points - relative, &x)) return bad(at, key, advice);
    if (x < 0) return bad(at, key, "must not be negative");
    if (x >= 100) return bad(at, key, "must be less than 100");
    b->limit = points ? PRECINFER_MAX_DROP : PRECINFER_MIN_SHARE;
    b->value = points ? x / 100 : 1 - x / 100;
    return 0;
}

/* A limit, or a margin that takes its place. */
static int read_limit(const json_t *value, const struct place *at, const char *key, enum precinfer_limit limit,
                      struct precinfer_budget *b)
{
    const int drop = limit == PRECINFER_MAX_DROP && (b->metric == PRECINFER_TOPK || b->metric == PRECINFER_AUC ||
                                                     b->metric == PRECINFER_F1);
    if (drop && json_is_string(value)) return read_drop(json_string_value(value), at, key, b);
    if (limit == PRECINFER_MAX_DROP && is_share_of_samples(b->metric))
        return bad(at, key, "must be a string, points (\"0.5pt\") or relative to the reference (\"0.5%rel\")");
    if (!json_is_number(value)) return bad(at, key, drop ? "must be a number or a string such as \"0.5pt\"" : "must be a number");
    b->limit = limit;
    b->value = json_number_value(value);
    return b->value - b->value == 0 ? 0 : bad(at, key, "must be finite");
}

static int read_metric(const json_t *object, const struct place *at, struct precinfer_budget *b, const struct metric **metric)
{
    const char *name = NULL;
    PI_TRY(get_string(object, at, "metric", &name));
    if (!name) return bad(at, "metric", "missing");
    for (size_t i = 0; i < METRICS; i++)
        if (!strcmp(name, metrics[i].name)) {
            *metric = &metrics[i];
            b->metric = metrics[i].metric;
            return 0;
        }
    return bad(at, "metric", known_metrics);
}

static int read_the_limit(const json_t *object, const struct place *at, struct precinfer_budget *b, const char **key)
{
    const int score = pi_metric_is_score(b->metric);
    *key = NULL;
    for (size_t i = 0; i < LIMITS; i++) {
        const json_t *value = json_object_get(object, limits[i].key);
        if (!value) continue;
        if (*key) return bad(at, limits[i].key, "a budget has one limit, and there is another");
        if (score ? !limits[i].scores : !limits[i].errors)
            return bad(at, limits[i].key, score ? "this metric is one where more is better: max_drop, min_share or min"
                                                : "this metric is one where less is better: max_increase or max_ratio");
        *key = limits[i].key;
        PI_TRY(read_limit(value, at, *key, limits[i].limit, b));
    }
    return *key ? 0 : bad(at, "max_drop", "missing, as are max_increase, min_share, max_ratio and min: a budget has a limit");
}

static int read_bounds(const json_t *object, const struct place *at, struct precinfer_budget *b)
{
    const json_t *value = json_object_get(object, "bounds");
    if (!value) return 0;
    const json_t *low = json_array_get(value, 0), *high = json_array_get(value, 1);
    if (!json_is_array(value) || json_array_size(value) != 2 || !json_is_number(low) || !json_is_number(high))
        return bad(at, "bounds", "must be two numbers, the least and the most that the difference can be");
    b->low = json_number_value(low);
    b->high = json_number_value(high);
    return b->low < b->high ? 0 : bad(at, "bounds", "the first must be below the second");
}

static int read_margins(json_t *object, const struct place *at, struct precinfer_budget *b)
{
    json_t *all = json_object_get(object, "margins"), *value;
    const char *slice;
    size_t n = 0;
    struct place in = *at;
    if (!all) return 0;
    if (!json_is_object(all)) return bad(at, "margins", "must be an object: slices and their limits");
    snprintf(in.path, sizeof in.path, "%.32s.margins", at->path);
    const char **slices = pi_arena_new(at->r->scratch, json_object_size(all) + 1, sizeof *slices);
    double *margins = pi_arena_new(at->r->scratch, json_object_size(all) + 1, sizeof *margins);
    if (!slices || !margins) return pi_no_memory(at->r->err, json_object_size(all) * sizeof *slices);
    json_object_foreach(all, slice, value) {
        struct precinfer_budget own = *b;
        /* as the budget's own limit is written: "%rel" is max_drop with a share */
        const int relative = b->limit == PRECINFER_MIN_SHARE && json_object_get(object, "max_drop") != NULL;
        PI_TRY(read_limit(value, &in, slice, relative ? PRECINFER_MAX_DROP : b->limit, &own));
        if (own.limit != b->limit) return bad(&in, slice, "must be of the same kind as the budget's limit");
        slices[n] = slice;
        margins[n++] = own.value;
    }
    b->slices = slices;
    b->margins = margins;
    b->nmargins = n;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ budgets */

/* What the library has against a budget, by the key that the file has for it. */
static int complain(const struct place *at, const struct precinfer_budget *b, const char *limit_key)
{
    const struct pi_complaint wrong = pi_budget_complaint(b);
    if (!wrong.field) return 0;
    if (!strcmp(wrong.field, "value") || !strcmp(wrong.field, "limit")) return bad(at, limit_key, wrong.text);
    if (strcmp(wrong.field, "margins") || !b->nmargins) return bad(at, wrong.field, wrong.text);
    struct place in = *at;
    snprintf(in.path, sizeof in.path, "%.32s.margins", at->path);
    return bad(&in, b->slices[wrong.index], wrong.text);
}
static int add(const struct place *at, const struct precinfer_budget *b)
{
    const struct policy_reader *r = at->r;
    const int status = precinfer_policy_budget(r->p, b, r->err);
    if (status == PRECINFER_INVALID && r->err) r->err->status = PRECINFER_MALFORMED;
    return status ? pi_prefix(r->err, status == PRECINFER_INVALID ? PRECINFER_MALFORMED : status, "%s", at->path) : 0;
}

static int read_budget_keys(json_t *object, const struct place *at, const struct metric *m, int slices)
{
    const char *known[20];
    size_t n = 0;
    known[n++] = "metric"; known[n++] = "name";
    for (size_t i = 0; i < LIMITS; i++) known[n++] = limits[i].key;
    if (m->keys & K) known[n++] = "k";
    if (m->keys & POSITIVE) known[n++] = "positive";
    if (m->keys & THRESHOLD) known[n++] = "threshold";
    if (m->keys & BOUNDS) known[n++] = "bounds";
    if (slices) { known[n++] = "by"; known[n++] = "margins"; known[n++] = "min_samples"; }
    known[n] = NULL;
    return check_keys(object, at, known);
}

static int read_budget(json_t *object, const struct place *at, int slices, int probabilities)
{
    struct precinfer_budget b = { .size = sizeof b };
    const struct metric *m = NULL;
    const char *limit = NULL;
    int64_t k = 0, positive = 0, least = 0;
    if (!json_is_object(object)) return pi_fail(at->r->err, PRECINFER_MALFORMED, "%s: must be an object", at->path);
    PI_TRY(read_metric(object, at, &b, &m));
    PI_TRY(read_budget_keys(object, at, m, slices));
    PI_TRY(read_the_limit(object, at, &b, &limit));
    PI_TRY(get_string(object, at, "name", &b.name));
    PI_TRY(get_count(object, at, "k", 1, 1000000, &k));
    if (m->keys & K && !k) return bad(at, "k", "missing");
    PI_TRY(get_count(object, at, "positive", 0, INT32_MAX, &positive));
    if (m->keys & POSITIVE && !json_object_get(object, "positive"))
        return bad(at, "positive", "missing: the class that is looked for");
    if (m->keys & THRESHOLD) b.threshold = probabilities ? 0.5 : 0;
    PI_TRY(get_number(object, at, "threshold", &b.threshold));
    PI_TRY(read_bounds(object, at, &b));
    b.k = (int)k;
    b.positive = positive;
    if (slices) {
        PI_TRY(get_string(object, at, "by", &b.by));
        if (!b.by) return bad(at, "by", "missing: a column, or label");
        PI_TRY(read_margins(object, at, &b));
        PI_TRY(get_count(object, at, "min_samples", 0, INT32_MAX, &least));
        b.min_samples = (size_t)least;
    }
    PI_TRY(complain(at, &b, limit));
    return add(at, &b);
}

static int read_budgets(const json_t *root, const struct policy_reader *r, const char *key, int slices, int probabilities)
{
    json_t *all = json_object_get(root, key), *value;
    size_t i;
    struct place at = { r, "" };
    if (!all) return 0;
    if (!json_is_array(all)) return bad(&at, key, "must be an array");
    json_array_foreach(all, i, value) {
        snprintf(at.path, sizeof at.path, "%s[%zu]", key, i);
        PI_TRY(read_budget(value, &at, slices, probabilities));
    }
    return 0;
}

static int read_preset(const json_t *value, const struct place *at)
{
    char names[256] = "";
    if (!json_is_string(value))
        return pi_fail(at->r->err, PRECINFER_MALFORMED, "%s: must be a name, or an array of names", at->path);
    const struct pi_preset *p;
    for (size_t i = 0; (p = pi_preset(i)); i++) {
        if (!strcmp(p->name, json_string_value(value))) return add(at, &p->budget);
        const size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", p->name);
    }
    return pi_fail(at->r->err, PRECINFER_MALFORMED, "%s: there is no '%s'; there are %s", at->path, json_string_value(value),
                   names);
}
static int read_presets(const json_t *root, const struct policy_reader *r)
{
    const json_t *all = json_object_get(root, "preset");
    struct place at = { r, "preset" };
    if (!all) return 0;
    if (!json_is_array(all)) return read_preset(all, &at);
    for (size_t i = 0; i < json_array_size(all); i++) {
        snprintf(at.path, sizeof at.path, "preset[%zu]", i);
        PI_TRY(read_preset(json_array_get(all, i), &at));
    }
    return 0;
}

static int read_latency(json_t *root, const struct policy_reader *r)
{
    static const char *const known[] = { "max_ms", "share", "median_max_ratio", NULL };
    json_t *object = json_object_get(root, "latency");
    const struct place top = { r, "" }, at = { r, "latency" };
    struct precinfer_budget share = { .size = sizeof share, .metric = PRECINFER_LATENCY, .limit = PRECINFER_MIN },
        median = { .size = sizeof median, .metric = PRECINFER_LATENCY, .limit = PRECINFER_MAX_RATIO };
    if (!object) return 0;
    if (!json_is_object(object)) return bad(&top, "latency", "must be an object");
    PI_TRY(check_keys(object, &at, known));
    const int limit = json_object_get(object, "max_ms") != NULL, ratio = json_object_get(object, "median_max_ratio") != NULL;
    if (limit != (json_object_get(object, "share") != NULL))
        return bad(&at, limit ? "share" : "max_ms", "missing: max_ms and share go together");
    if (!limit && !ratio) return bad(&at, "max_ms", "missing, as is median_max_ratio: there is no limit");
    PI_TRY(get_number(object, &at, "max_ms", &share.threshold));
    PI_TRY(get_number(object, &at, "share", &share.value));
    PI_TRY(get_number(object, &at, "median_max_ratio", &median.value));
    share.threshold *= 1e6;
    if (limit) {
        if (!(share.threshold > 0) || !(share.threshold - share.threshold == 0)) return bad(&at, "max_ms", "must be above 0");
        PI_TRY(complain(&at, &share, "share"));
        PI_TRY(add(&at, &share));
    }
    if (!ratio) return 0;
    PI_TRY(complain(&at, &median, "median_max_ratio"));
    return add(&at, &median);
}

/* ------------------------------------------------------------------------------------------------ the whole */

static int read_samples(json_t *root, const struct policy_reader *r, struct precinfer_policy_rules *rules)
{
    static const char *const known[] = { "min", "max_overlap", NULL };
    json_t *object = json_object_get(root, "samples");
    const struct place top = { r, "" }, at = { r, "samples" };
    int64_t least = 0;
    if (!object) return 0;
    if (!json_is_object(object)) return bad(&top, "samples", "must be an object");
    PI_TRY(check_keys(object, &at, known));
    PI_TRY(get_count(object, &at, "min", 0, INT32_MAX, &least));
    PI_TRY(get_number(object, &at, "max_overlap", &rules->max_overlap));
    if (json_object_get(object, "max_overlap") && rules->max_overlap < 0) return bad(&at, "max_overlap", "must not be negative");
    rules->min_samples = (size_t)least;
    return 0;
}

static int read_rules(json_t *root, const struct policy_reader *r, int *probabilities)
{
    struct precinfer_policy_rules rules = { .size = sizeof rules, .max_overlap = -1 };
    const struct place top = { r, "" };
    const char *outputs = "logits";
    int64_t n = 0;
    PI_TRY(get_number(root, &top, "confidence", &rules.confidence));
    if (json_object_get(root, "confidence") && rules.confidence == 0)
        return bad(&top, "confidence", "must be at least 0.5 and below 1");
    PI_TRY(get_count(root, &top, "n", 1, INT32_MAX, &n));
    PI_TRY(get_string(root, &top, "judge", &rules.judge));
    PI_TRY(get_string(root, &top, "cluster", &rules.cluster));
    PI_TRY(get_string(root, &top, "outputs", &outputs));
    if (strcmp(outputs, "logits") && strcmp(outputs, "probabilities"))
        return bad(&top, "outputs", "must be logits or probabilities");
    *probabilities = rules.probabilities = !strcmp(outputs, "probabilities");
    PI_TRY(read_samples(root, r, &rules));
    rules.n = (size_t)n;
    const struct pi_complaint wrong = pi_rules_complaint(&rules);
    if (wrong.field) {
        const int samples = !strcmp(wrong.field, "min") || !strcmp(wrong.field, "max_overlap");
        const struct place at = { r, "samples" };
        return bad(samples ? &at : &top, wrong.field, wrong.text);
    }
    return precinfer_policy_set_rules(r->p, &rules, r->err);
}

static int read_all(json_t *root, const struct policy_reader *r)
{
    static const char *const known[] = { "precinfer_policy", "name", "preset", "confidence", "n", "judge", "outputs", "cluster",
                                         "samples", "budgets", "slices", "latency", NULL };
    const struct place top = { r, "" };
    const char *name = NULL;
    int probabilities = 0;
    if (!json_is_object(root)) return pi_fail(r->err, PRECINFER_MALFORMED, "policy: must be a JSON object");
    const json_t *version = json_object_get(root, known[0]);
    if (!version) return bad(&top, known[0], "missing: this is no policy");
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return bad(&top, known[0], "must be the version of the format, 1");
    if (json_integer_value(version) != 1)
        return pi_fail(r->err, PRECINFER_UNSUPPORTED, "precinfer_policy: version %lld; this library reads 1",
                       (long long)json_integer_value(version));
    PI_TRY(check_keys(root, &top, known));
    PI_TRY(get_string(root, &top, "name", &name));
    if (name) PI_TRY(pi_policy_set_name(r->p, name, r->err));
    PI_TRY(read_rules(root, r, &probabilities));
    PI_TRY(read_presets(root, r));
    PI_TRY(read_budgets(root, r, "budgets", 0, probabilities));
    PI_TRY(read_budgets(root, r, "slices", 1, probabilities));
    PI_TRY(read_latency(root, r));
    return r->p->n ? 0 : bad(&top, "budgets", "there is none, nor a preset, slices or latency: this policy asks for nothing");
}

int pi_policy_from_text(precinfer_context *ctx, const void *text, size_t size, precinfer_policy **policy,
                        struct precinfer_error *err)
{
    json_error_t e;
    struct precinfer_error own = { 0 };     /* prefixes need the text, the caller may not */
    struct pi_arena scratch = { .a = &ctx->alloc };
    struct policy_reader r = { .scratch = &scratch, .err = err ? err : &own };
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
    if (!root) return pi_fail(err, json_error_code(&e) == json_error_out_of_memory ? PRECINFER_NO_MEMORY : PRECINFER_MALFORMED,
                              "policy, line %d, column %d: %s", e.line, e.column, e.text);
    int status = pi_policy_create(ctx, &r.p, err);
    if (!status) {
        status = read_all(root, &r);
        if (status) pi_policy_release(r.p);
        else *policy = r.p;
    }
    json_decref(root);
    pi_arena_free(&scratch);
    return status;
}
