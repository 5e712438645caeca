/* What a policy adds to the JSON of verify: contrasts, flips, confusions, looks, and what --continue goes on from. */
#include <string.h>
#include "tool.h"

static void number_if(struct json *j, const char *key, double x) { if (x == x) json_number(j, key, x); }

/* A class; null: an output of NaN has none. */
static void class_of(struct json *j, const char *key, int64_t x)
{
    if (x < 0) json_null(j, key);
    else json_size(j, key, (uint64_t)x);
}

static void json_policy(struct json *j, const precinfer_policy *policy)
{
    struct precinfer_policy_rules rules;
    const char *name = precinfer_policy_name(policy);
    json_open(j, "policy", '{');
    if (name) json_string(j, "name", name);
    json_hash(j, "hash", precinfer_policy_hash(policy));
    if (!precinfer_policy_rules_of(policy, &rules)) {
        json_number(j, "confidence", rules.confidence ? rules.confidence : 0.95);
        if (rules.n) json_size(j, "n", rules.n);
        if (rules.cluster) json_string(j, "cluster", rules.cluster);
    }
    json_close(j, '}');
}

static void json_contrast(struct json *j, const struct precinfer_contrast *c)
{
    json_open(j, NULL, '{');
    json_string(j, "budget", c->budget);
    if (c->by) json_string(j, "by", c->by);
    if (c->slice) json_string(j, "slice", c->slice);
    json_string(j, "metric", metric_name(c->metric));
    json_size(j, "samples", c->samples);
    json_size(j, "units", c->units);
    json_size(j, "clipped", c->clipped);
    number_if(j, "reference", c->reference);
    number_if(j, "candidate", c->candidate);
    json_string(j, "quantity", c->quantity);
    number_if(j, "estimate", c->estimate);
    number_if(j, "lower", c->lower);
    number_if(j, "upper", c->upper);
    number_if(j, "limit", c->limit);
    json_true(j, "at_least", c->at_least);
    json_string(j, "method", c->method);
    json_true(j, "exact", c->exact);
    json_true(j, "sequential", c->sequential);
    if (c->verdict == PRECINFER_UNDECIDED && c->needed > 0) json_size(j, "needed", (uint64_t)c->needed);
    else if (c->verdict == PRECINFER_UNDECIDED && c->needed < 0) json_null(j, "needed");
    json_string(j, "verdict", verdict_text(c));
    json_true(j, "blamed", c->blamed);
    json_close(j, '}');
}

static void json_flips(struct json *j, const precinfer_report *report)
{
    json_open(j, "flips", '[');
    for (size_t i = 0; i < precinfer_report_flips(report); i++) {
        struct precinfer_flip x;
        precinfer_report_flip(report, i, &x);
        json_open(j, NULL, '{');
        json_size(j, "index", x.index);
        json_hash(j, "id", x.id);
        if (x.label >= 0) json_size(j, "label", (uint64_t)x.label);
        class_of(j, "before", x.before);
        class_of(j, "after", x.after);
        number_if(j, "margin_before", x.margin_before);
        number_if(j, "margin_after", x.margin_after);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "confusions", '[');
    for (size_t i = 0; i < precinfer_report_confusions(report); i++) {
        struct precinfer_confusion x;
        precinfer_report_confusion(report, i, &x);
        json_open(j, NULL, '{');
        class_of(j, "before", x.before);
        class_of(j, "after", x.after);
        json_size(j, "count", x.count);
        json_size(j, "lost", x.lost);
        json_size(j, "gained", x.gained);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_looks(struct json *j, const struct findings *f)
{
    const uint64_t *hashes;
    const size_t n = precinfer_report_looks(f->report, &hashes);
    json_open(j, "looks", '[');
    for (size_t i = 0; i < n; i++) {
        const int old = i < f->nlooks && i + 1 < n;
        json_open(j, NULL, '{');
        json_hash(j, "data_hash", hashes[i]);
        json_size(j, "samples", old ? f->looks[i].samples : samples_by_now(f));
        json_string(j, "verdict", old ? f->looks[i].verdict : precinfer_verdict_string(f->verdict));
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_evidence(struct json *j, const precinfer_report *report)
{
    json_open(j, "evidence", '[');
    for (size_t i = 0; i < precinfer_report_contrasts(report); i++) {
        struct precinfer_evidence e;
        if (precinfer_report_evidence(report, i, &e) || !e.natoms) continue;
        json_open(j, NULL, '{');
        json_string(j, "budget", e.budget);
        if (e.slice) json_string(j, "slice", e.slice);
        json_number(j, "reference_sum", e.reference_sum);
        json_number(j, "candidate_sum", e.candidate_sum);
        json_size(j, "samples", e.samples);
        json_size(j, "clipped", e.clipped);
        json_open(j, "atoms", '[');
        for (size_t k = 0; k < e.natoms; k++) {
            json_open(j, NULL, '[');
            json_number(j, NULL, e.atoms[k].low);
            json_number(j, NULL, e.atoms[k].high);
            json_size(j, NULL, e.atoms[k].count);
            json_close(j, ']');
        }
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, ']');
    const uint64_t *ids;
    const size_t n = precinfer_report_seen(report, &ids);
    json_open(j, "seen", '[');
    for (size_t i = 0; i < n; i++) json_hash(j, NULL, ids[i]);
    json_close(j, ']');
}

void json_findings(struct json *j, const struct findings *f)
{
    if (!f->policy) return;
    json_policy(j, f->policy);
    json_open(j, "contrasts", '[');
    for (size_t i = 0; i < precinfer_report_contrasts(f->report); i++) {
        struct precinfer_contrast c;
        precinfer_report_contrast(f->report, i, &c);
        json_contrast(j, &c);
    }
    json_close(j, ']');
    json_flips(j, f->report);
    json_looks(j, f);
    json_evidence(j, f->report);
}

void json_answers(struct json *j, const struct findings *f)
{
    const struct options *o = f->o;
    const struct precinfer_report_info *r = &f->r;
    const double n = r->samples ? (double)r->samples : 1;
    json_size(j, "samples", r->samples);
    json_size(j, "overlap_samples", r->overlap_samples);
    if (r->ignored_samples) json_size(j, "ignored_samples", r->ignored_samples);
    if (r->repeated_samples) json_size(j, "repeated_samples", r->repeated_samples);
    if (r->labelled) {
        json_open(j, "accuracy", '{');
        json_number(j, "reference", (double)r->right_reference / n);
        json_number(j, "candidate", (double)r->right_candidate / n);
        json_size(j, "lost", r->lost);
        json_size(j, "gained", r->gained);
        json_close(j, '}');
    }
    json_open(j, "agreement", '{');
    json_number(j, "share", (double)r->agreed / n);
    json_number(j, "lower", r->agreement_lower);
    json_number(j, "upper", r->agreement_upper);
    if (o->min_agreement >= 0) json_number(j, "limit", o->min_agreement);
    json_string(j, "method", agreement_method);
    json_close(j, '}');
    if (r->labelled) {
        json_open(j, "drop", '{');
        json_number(j, "points", 100 * r->drop);
        json_number(j, "lower_points", 100 * r->drop_lower);
        json_number(j, "upper_points", 100 * r->drop_upper);
        if (r->drop_limit - r->drop_limit == 0) json_number(j, "limit_points", 100 * r->drop_limit);
        json_string(j, "method", drop_method);
        json_close(j, '}');
    }
    if (f->verdict == PRECINFER_UNDECIDED && r->needed_samples > 0) json_size(j, "needed_samples", (uint64_t)r->needed_samples);
    else if (f->verdict == PRECINFER_UNDECIDED) json_null(j, "needed_samples");
}
