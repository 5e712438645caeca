/* The gate over time: clusters, looks, going on from a report, order; what is no number; flips; latency; misuse. */
#include "gate.h"
#include "../lib/base/alloc.h"
#include "../lib/verify/betting.h"
#include "../lib/verify/bounds.h"

static struct h_samples s, t;
static precinfer_context *ctx;
static void setup(void) { ck_assert(!precinfer_context_new(NULL, &ctx, NULL)); }
static void teardown(void) { precinfer_context_free(ctx); }
static int close_to(double a, double b) { return a == b || fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b)) + 1e-12 ||
                                          (a != a && b != b); }

/* ------------------------------------------------------------------------------------------------ clusters */

START_TEST(clusters)
{
    struct precinfer_error err = { 0 };
    h_reseed(7);
    h_samples(&s, 2000, 400);
    precinfer_gate *g = h_gate(ctx, "{\"precinfer_policy\": 1, \"cluster\": \"user\", \"budgets\": [{\"metric\": \"top1\", "
                               "\"max_drop\": \"1pt\"},"
        "{\"metric\": \"error\", \"name\": \"quality\", \"max_increase\": 0.01, \"bounds\": [-2, 2]}, {\"metric\": \"error\", "
            "\"name\": \"quality\", \"max_increase\": 0.02}]}");
    ck_assert_msg(!h_feed(g, &s, 0, s.n, 333, s.user, NULL, &err), "%s", err.text);
    precinfer_report *r = h_look(g);
    enum { MOST = 600 };
    double top[MOST] = { 0 }, quality[MOST] = { 0 }, each[MOST] = { 0 };
    for (size_t i = 0; i < s.n; i++) {
        const int u = atoi(s.user[i] + 1);
        top[u] += (s.top_r[i] == s.labels[i]) - (s.top_c[i] == s.labels[i]) - 0.01;
        quality[u] += s.score_c[i] - s.score_r[i];
        each[u]++;
    }
    struct pi_evidence a, b;
    size_t units = 0;
    double sum = 0;
    ck_assert(!pi_evidence_lattice(&a, -1.01, 0.99, NULL) && !pi_evidence_lattice(&b, -2, 2, NULL));
    for (int u = 0; u < MOST; u++) {
        if (!each[u]) continue;
        units++;
        sum += quality[u] / each[u];
        ck_assert(!pi_evidence_add(&pi_default_allocator, &a, top[u] / each[u], 1, NULL) &&
                  !pi_evidence_add(&pi_default_allocator, &b, quality[u] / each[u] - 0.01, 1, NULL));
    }
    const struct precinfer_contrast x = h_contrast(r, 0), y = h_contrast(r, 1), z = h_contrast(r, 2);
    h_expect(units > 300 && x.units == units && y.units == units && z.units == units && x.samples == 2000,
             "%llu units, not %zu", (unsigned long long)x.units, units);
    h_expect(fabs(x.upper - 0.01 - pi_bet_upper(&a, 0.05)) < 1e-4 && fabs(x.lower - 0.01 - pi_bet_lower(&a, 0.05)) < 1e-4,
             "top-1 %g to %g", x.lower, x.upper);
    h_expect(fabs(y.upper - 0.01 - pi_bet_upper(&b, 0.05)) < 2e-4 && fabs(y.lower - 0.01 - pi_bet_lower(&b, 0.05)) < 2e-4,
             "error");
    h_expect(close_to(y.estimate, sum / (double)units) && close_to(z.estimate, y.estimate) && x.exact &&
             !z.exact, "the mean of the clusters' means");
    pi_evidence_free(&pi_default_allocator, &a);
    pi_evidence_free(&pi_default_allocator, &b);
    /* a cluster of an earlier look is no new one */
    const uint64_t *seen, *looks;
    const size_t nseen = precinfer_report_seen(r, &seen), nlooks = precinfer_report_looks(r, &looks);
    h_expect(nseen == 2000 + units, "%zu seen", nseen);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    static const char one[] = "{\"precinfer_policy\": 1, \"cluster\": \"user\", \"budgets\": [{\"metric\": \"top1\", "
        "\"max_drop\": \"1pt\"}]}";
    g = h_gate(ctx, one);
    ck_assert(!h_feed(g, &s, 0, 1000, 333, s.user, NULL, &err));
    r = h_look(g);
    const struct precinfer_evidence e = h_evidence(r, 0);
    struct precinfer_past past = { .size = sizeof past, .evidence = &e, .nevidence = 1, .policy_hash = h_info(r).policy_hash };
    past.nseen = precinfer_report_seen(r, &past.seen);
    past.looks = precinfer_report_looks(r, &past.data_hashes);
    precinfer_gate *next = h_gate(ctx, one);
    ck_assert_msg(!precinfer_gate_continue(next, &past, &err), "%s", err.text);
    ck_assert(!h_feed(next, &s, 1000, 1000, 333, s.user, NULL, &err));
    precinfer_report *refused = NULL;
    h_expect(precinfer_gate_report(next, &refused, &err) == PRECINFER_INVALID && strstr(err.text, "seen in an earlier look"),
             "%s", err.text);
    s.user[1500] = NULL;
    h_expect(h_feed(next, &s, 1500, 1, 1, s.user, NULL, &err) == PRECINFER_INVALID && strstr(err.text, "user"),
             "an unknown cluster: %s", err.text);
    h_expect(h_feed(next, &s, 1600, 1, 1, s.user, NULL, &err) == PRECINFER_INVALID && strstr(err.text, "halfway"),
             "a broken gate: %s", err.text);
    (void)nlooks; (void)looks;
    precinfer_gate_free(next);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ looks */

static const char policy[] = "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"top1\", \"max_drop\": \"1pt\"}, "
    "{\"metric\": \"agreement\", \"min\": 0.95},"
    "{\"metric\": \"mae\", \"max_ratio\": 1.1, \"bounds\": [-0.2, 0.2]}, {\"metric\": \"cosine\", \"min\": 0.9}],"
    "\"slices\": [{\"by\": \"region\", \"metric\": \"topk\", \"k\": 2, \"min_share\": 0.95}, {\"by\": \"label\", \"metric\": "
        "\"score\", \"name\": \"quality\","
    " \"max_drop\": 0.1, \"bounds\": [-1, 1]}], \"latency\": {\"max_ms\": 2, \"share\": 0.9}}";

static void same_reports(const precinfer_report *a, const precinfer_report *b, int bit_for_bit)
{
    h_expect(precinfer_report_contrasts(a) == precinfer_report_contrasts(b), "%zu contrasts, and %zu",
             precinfer_report_contrasts(a), precinfer_report_contrasts(b));
    for (size_t i = 0; i < precinfer_report_contrasts(a); i++) {
        const struct precinfer_contrast x = h_contrast(a, i), y = h_contrast(b, i);
        const struct precinfer_evidence e = h_evidence(a, i), f = h_evidence(b, i);
        h_expect(!strcmp(x.budget, y.budget) && !x.slice == !y.slice && (!x.slice || !strcmp(x.slice, y.slice)), "names");
        h_expect(x.verdict == y.verdict && x.samples == y.samples && x.units == y.units && x.clipped == y.clipped &&
                 x.needed == y.needed && x.blamed == y.blamed,
                 "%s, %s: %d %d, %llu %llu, %lld %lld", x.budget, x.slice ? x.slice : "-", (int)x.verdict, (int)y.verdict,
                     (unsigned long long)x.samples,
                 (unsigned long long)y.samples, (long long)x.needed, (long long)y.needed);
        h_expect(x.lower == y.lower && x.upper == y.upper, "%s: %.17g to %.17g, and %.17g to %.17g", x.budget, x.lower, x.upper,
                 y.lower, y.upper);
        h_expect(e.natoms == f.natoms && e.samples == f.samples && e.clipped == f.clipped && !memcmp(e.atoms, f.atoms,
            e.natoms * sizeof *e.atoms),
                 "%s: evidence", x.budget);
        if (bit_for_bit) h_expect(e.reference_sum == f.reference_sum && e.candidate_sum == f.candidate_sum &&
                                  (x.estimate == y.estimate), "%s: sums", x.budget);
        else h_expect(close_to(e.reference_sum, f.reference_sum) && close_to(e.candidate_sum, f.candidate_sum) &&
                      close_to(x.estimate, y.estimate), "%s: sums", x.budget);
    }
}
static void latency(precinfer_gate *g, size_t from, size_t n)
{
    struct precinfer_error err = { 0 };
    double ns[64];
    for (size_t i = 0; i < n; i++) ns[i] = 1e6 + 1e5 * (double)((from + i) % 17);
    ck_assert_msg(!precinfer_gate_latency(g, NULL, ns, n, &err), "%s", err.text);
}

/* Going on from a report is one pass over both parts. */
START_TEST(continued)
{
    struct precinfer_error err = { 0 };
    h_reseed(8);
    h_samples(&s, 3000, 200);
    for (size_t i = 0; i < s.n; i++) if (h_below(100) == 0) s.cand[i][0] += 3;
    precinfer_gate *whole = h_gate(ctx, policy), *first = h_gate(ctx, policy), *second = h_gate(ctx, policy);
    ck_assert(!h_feed(whole, &s, 0, 3000, 100, s.region, NULL, &err));
    latency(whole, 0, 60);
    ck_assert(!h_feed(first, &s, 0, 1100, 100, s.region, NULL, &err));
    latency(first, 0, 30);
    precinfer_report *a = h_look(first);
    struct precinfer_evidence e[64];
    struct precinfer_past past = { .size = sizeof past, .evidence = e, .nevidence = precinfer_report_contrasts(a),
                                   .policy_hash = h_info(a).policy_hash };
    for (size_t i = 0; i < past.nevidence; i++) e[i] = h_evidence(a, past.nevidence - 1 - i);
    past.nseen = precinfer_report_seen(a, &past.seen);
    past.looks = precinfer_report_looks(a, &past.data_hashes);
    h_expect(past.nseen == 1100 && past.looks == 1 && past.data_hashes[0] == h_info(a).data_hash, "a look of 1100 samples");
    ck_assert_msg(!precinfer_gate_continue(second, &past, &err), "%s", err.text);
    h_expect(precinfer_gate_continue(second, &past, &err) == PRECINFER_INVALID && strstr(err.text, "once"), "twice: %s",
             err.text);
    ck_assert_msg(!h_feed(second, &s, 1100, 1900, 100, s.region, NULL, &err), "%s", err.text);
    latency(second, 30, 30);
    precinfer_report *b = h_look(second), *c = h_look(whole);
    same_reports(c, b, 1);
    const uint64_t *looks, *seen;
    h_expect(precinfer_report_looks(b, &looks) == 2 && looks[0] == past.data_hashes[0] && looks[1] == h_info(b).data_hash,
             "two looks");
    h_expect(precinfer_report_seen(b, &seen) == 3000, "%zu seen", precinfer_report_seen(b, NULL));
    h_expect(h_contrast(c, 2).clipped > 0, "nothing was clipped");
    /* what does not fit */
    static const char other[] = "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"top1\", \"max_drop\": \"1pt\"}]}";
    precinfer_gate *g = h_gate(ctx, other);
    h_expect(precinfer_gate_continue(g, &past, &err) == PRECINFER_INVALID && strstr(err.text, "another policy"), "%s", err.text);
    precinfer_gate_free(g);
    g = h_gate(ctx, policy);
    ck_assert(!h_feed(g, &s, 0, 1, 1, s.region, NULL, &err));
    h_expect(precinfer_gate_continue(g, &past, &err) == PRECINFER_INVALID && strstr(err.text, "before the first sample"), "%s",
             err.text);
    precinfer_gate_free(g);
    static const char *const says[] = { "twice", "none of the", "no budget", "slice is missing", "do not fit", "size", "NULL" };
    for (int k = 0; k < 7; k++) {
        struct precinfer_past q = past;
        struct precinfer_evidence x[64];
        struct precinfer_atom atom = { 0.123, 0.123, 1 };
        memcpy(x, e, sizeof x);
        q.evidence = x;
        size_t top = 0, region = 0;
        for (size_t i = 0; i < past.nevidence; i++) { if (!strncmp(x[i].budget, "top-1", 5)) top = i; if (x[i].slice &&
            !strcmp(x[i].slice, "north")) region = i; }
        if (k == 0) x[top] = x[top - 1];
        if (k == 1) { x[top].atoms = &atom; x[top].natoms = 1; }
        if (k == 2) x[top].budget = "top-9";
        if (k == 3) x[region].slice = NULL;
        if (k == 4) x[top].samples = 3;
        if (k == 5) q.size = 5;
        if (k == 6) q.seen = NULL;
        g = h_gate(ctx, policy);
        h_expect(precinfer_gate_continue(g, &q, &err) == PRECINFER_INVALID && strstr(err.text, says[k]), "%s: %s", says[k],
                 err.text);
        precinfer_gate_free(g);
    }
    precinfer_report_free(a); precinfer_report_free(b); precinfer_report_free(c);
    precinfer_gate_free(whole); precinfer_gate_free(first); precinfer_gate_free(second);
    h_finish();
}
END_TEST

/* The same data, part of it, a few of its samples. */
START_TEST(seen_before)
{
    struct precinfer_error err = { 0 };
    static const char json[] = "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"agreement\", \"min\": 0.95}]}";
    h_reseed(9);
    h_samples(&s, 2000, 200);
    precinfer_gate *g = h_gate(ctx, json);
    ck_assert(!h_feed(g, &s, 0, 1000, 100, NULL, NULL, &err));
    precinfer_report *r = h_look(g), *none = NULL;
    const struct precinfer_evidence e = h_evidence(r, 0);
    struct precinfer_past past = { .size = sizeof past, .evidence = &e, .nevidence = 1, .policy_hash = h_info(r).policy_hash };
    past.nseen = precinfer_report_seen(r, &past.seen);
    past.looks = precinfer_report_looks(r, &past.data_hashes);
    for (int k = 0; k < 4; k++) {
        precinfer_gate *next = h_gate(ctx, json);
        ck_assert(!precinfer_gate_continue(next, &past, &err));
        if (k == 0) ck_assert(!h_feed(next, &s, 0, 1000, 77, NULL, NULL, &err));
        else ck_assert(!h_feed(next, &s, 1000 - (k == 1 ? 11 : k == 2 ? 10 : 0), 1000, 77, NULL, NULL, &err));
        precinfer_report *x = NULL;
        const int status = precinfer_gate_report(next, &x, &err);
        if (k == 0) h_expect(status == PRECINFER_INVALID && strstr(err.text, "earlier look again"), "the same data: %s",
                             err.text);
        if (k == 1) h_expect(status == PRECINFER_INVALID && strstr(err.text, "11 of 1000"), "11 of 1000: %s", err.text);
        if (k >= 2) {
            h_expect(!status, "%s", err.text);
            h_expect(h_info(x).overlap_samples == (k == 2 ? 10u : 0u) && h_contrast(x, 0).samples == (k == 2 ? 1990u : 2000u),
                     "dropped: %zu of %llu",
                     h_info(x).overlap_samples, (unsigned long long)h_contrast(x, 0).samples);
        }
        precinfer_report_free(x);
        precinfer_gate_free(next);
    }
    /* looks within one gate */
    ck_assert(!h_feed(g, &s, 990, 1000, 77, NULL, NULL, &err));
    precinfer_report *later = h_look(g);
    h_expect(h_contrast(later, 0).samples == 1990 && precinfer_report_looks(later, NULL) == 2 && precinfer_report_seen(later,
        NULL) == 1990, "a second look");
    precinfer_report *same = h_look(g);
    h_expect(precinfer_report_looks(same, NULL) == 2, "nothing new is no look");
    ck_assert(!h_feed(g, &s, 0, 500, 77, NULL, NULL, &err));
    h_expect(precinfer_gate_report(g, &none, &err) == PRECINFER_INVALID && strstr(err.text, "500 of 500"), "%s", err.text);
    precinfer_report_free(r); precinfer_report_free(later); precinfer_report_free(same);
    precinfer_gate_free(g);
    /* a bootstrap gives one report, and none to go on from */
    g = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"mae\", \"max_ratio\": 1.1}]}");
    ck_assert(!h_feed(g, &s, 0, 100, 77, NULL, NULL, &err));
    r = h_look(g);
    h_expect(precinfer_gate_report(g, &none, &err) == PRECINFER_INVALID && strstr(err.text, "bootstrap"), "%s", err.text);
    past.policy_hash = h_info(r).policy_hash;
    precinfer_gate *next = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"mae\", \"max_ratio\": 1.1}]}");
    h_expect(precinfer_gate_continue(next, &past, &err) == PRECINFER_INVALID && strstr(err.text, "bootstrap"), "%s", err.text);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    precinfer_gate_free(next);
    h_finish();
}
END_TEST

/* Samples in any order, in any batches. */
START_TEST(order)
{
    struct precinfer_error err = { 0 };
    h_reseed(10);
    h_samples(&s, 1500, 500);
    t = s;
    for (size_t i = s.n; i-- > 1;) {
        const size_t k = h_below((uint32_t)i + 1);
#define SWAP(x) \
    do { \
        __typeof__(s.x[0]) a_; \
        memcpy(&a_, &t.x[i], sizeof a_); memcpy(&t.x[i], &t.x[k], sizeof a_); memcpy(&t.x[k], &a_, sizeof a_); \
    } while (0)
        SWAP(ref); SWAP(cand); SWAP(target); SWAP(labels); SWAP(ids); SWAP(indexes); SWAP(score_r); SWAP(score_c); SWAP(region);
    }
    precinfer_gate *a = h_gate(ctx, policy), *b = h_gate(ctx, policy);
    ck_assert(!h_feed(a, &s, 0, s.n, 1500, s.region, NULL, &err) && !h_feed(b, &t, 0, s.n, 7, t.region, NULL, &err));
    precinfer_report *x = h_look(a), *y = h_look(b);
    same_reports(x, y, 0);
    h_expect(precinfer_report_flips(x) == precinfer_report_flips(y) && precinfer_report_flips(x) > 10, "%zu flips",
             precinfer_report_flips(x));
    for (size_t i = 0; i < precinfer_report_flips(x); i++) {
        struct precinfer_flip f, g;
        ck_assert(!precinfer_report_flip(x, i, &f) && !precinfer_report_flip(y, i, &g));
        h_expect(f.index == g.index && f.id == g.id && f.before == g.before && f.after == g.after &&
                 f.margin_before == g.margin_before, "flip %zu", i);
    }
    precinfer_report_free(x); precinfer_report_free(y);
    precinfer_gate_free(a); precinfer_gate_free(b);
    h_finish();
}
END_TEST

/* samples.min: fewer are not enough, whatever the bounds. */
START_TEST(too_few)
{
    struct precinfer_error err = { 0 };
    h_reseed(11);
    h_samples(&s, 600, 0);
    for (int k = 0; k < 2; k++) {
        precinfer_gate *g = h_gate(ctx, k ? "{\"precinfer_policy\": 1, \"samples\": {\"min\": 600}, \"budgets\": [{\"metric\": "
                                   "\"agreement\", \"min\": 0.9}], \"slices\": [{\"by\": \"region\", \"metric\": \"agreement\", "
                                       "\"min\": 0.5}]}"
            : "{\"precinfer_policy\": 1, \"samples\": {\"min\": 601}, \"budgets\": [{\"metric\": \"agreement\", \"min\": 0.9}], "
                "\"slices\": [{\"by\": \"region\", \"metric\": \"agreement\", \"min\": 0.5}]}");
        ck_assert(!h_feed(g, &s, 0, 600, 100, s.region, NULL, &err));
        precinfer_report *r = h_look(g);
        h_expect(h_info(r).verdict == (k ? PRECINFER_PASS : PRECINFER_UNDECIDED) && h_info(r).needed_samples == (k ? 0 : 601),
                 "verdict %d, needed %lld",
                 (int)h_info(r).verdict, (long long)h_info(r).needed_samples);
        const struct precinfer_contrast c = h_contrast(r, 1);
        h_expect(c.verdict == h_info(r).verdict && c.needed == (k ? 0 : (int64_t)ceil(601 * ((double)c.units / 600))),
                 "a slice of %llu needs %lld",
                 (unsigned long long)c.units, (long long)c.needed);
        precinfer_report_free(r);
        precinfer_gate_free(g);
    }
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ what is no number */

static const char *const nan_policies[] = {
    "\"metric\": \"top1\", \"max_drop\": \"50pt\"", "\"metric\": \"topk\", \"k\": 4, \"max_drop\": \"50pt\"",
        "\"metric\": \"top1\", \"min_share\": 0.5",
    "\"metric\": \"agreement\", \"min\": 0.5", "\"metric\": \"cosine\", \"min\": 0.1",
        "\"metric\": \"log_loss\", \"max_increase\": 2, \"bounds\": [-9, 9]",
    "\"metric\": \"perplexity\", \"max_ratio\": 9, \"bounds\": [-9, 9]", "\"metric\": \"mae\", \"max_ratio\": 9, \"bounds\": "
        "[-9, 9]",
    "\"metric\": \"rmse\", \"max_ratio\": 9, \"bounds\": [-9, 9]", "\"metric\": \"relative_mae\", \"max_increase\": 9, "
        "\"bounds\": [-99, 99]",
    "\"metric\": \"score\", \"name\": \"quality\", \"max_drop\": 1, \"bounds\": [-9, 9]",
        "\"metric\": \"error\", \"name\": \"quality\", \"max_increase\": 1, \"bounds\": [-9, 9]",
    "\"metric\": \"auc\", \"positive\": 1, \"max_drop\": 0.3", "\"metric\": \"f1\", \"positive\": 1, \"max_drop\": 0.3",
        "\"metric\": \"f1\", \"positive\": 1, \"min_share\": 0.1" };
enum { NANS = sizeof nan_policies / sizeof *nan_policies };

/* A candidate whose outputs are NaN fails; one NaN in a thousand counts against it; a reference's is refused. */
START_TEST(no_number)
{
    struct precinfer_error err = { 0 };
    char json[256];
    snprintf(json, sizeof json, "{\"precinfer_policy\": 1, \"budgets\": [{%s}]}", nan_policies[_i]);
    for (int cluster = 0; cluster < 2; cluster++) {
        if (cluster) snprintf(json, sizeof json, "{\"precinfer_policy\": 1, \"cluster\": \"user\", \"budgets\": [{%s}]}",
                              nan_policies[_i]);
        h_reseed(12);
        h_samples(&s, 1000, 0);
        precinfer_gate *g = h_gate(ctx, json);
        ck_assert_msg(!h_feed(g, &s, 0, s.n, 100, s.user, NULL, &err), "%s", err.text);
        precinfer_report *r = h_look(g);
        h_expect(h_info(r).verdict == PRECINFER_PASS, "%s: a healthy candidate: %d, %g to %g", nan_policies[_i],
                 (int)h_info(r).verdict, h_contrast(r, 0).lower, h_contrast(r, 0).upper);
        const double healthy = h_contrast(r, 0).estimate, sign = h_contrast(r, 0).at_least ? -1 : 1;
        precinfer_report_free(r);
        precinfer_gate_free(g);
        for (int every = 1000; every >= 1; every -= 999) {
            for (size_t i = 0; i < s.n; i += (size_t)every) { s.cand[i][(s.labels[i] + (int)i) % H_LOGITS] = NAN;
                                                              s.score_c[i] = NAN; }
            g = h_gate(ctx, json);
            ck_assert_msg(!h_feed(g, &s, 0, s.n, 100, s.user, NULL, &err), "%s: %s", nan_policies[_i], err.text);
            r = h_look(g);
            const struct precinfer_contrast c = h_contrast(r, 0);
            if (every == 1 && _i < 12) h_expect(c.verdict == PRECINFER_FAIL, "%s: all NaN: verdict %d, %g to %g",
                                                nan_policies[_i], (int)c.verdict, c.lower, c.upper);
            else if (every == 1) h_expect(c.verdict != PRECINFER_PASS, "%s: all NaN pass: %g to %g", nan_policies[_i], c.lower,
                                          c.upper);
            else h_expect(sign * (c.estimate - healthy) > 0 || _i >= 12 || (_i < 4 && s.top_r[0] != s.labels[0]),
                          "%s: one NaN in 1000 makes no difference: %.9g, healthy %.9g", nan_policies[_i], c.estimate, healthy);
            if (every == 1 && _i >= 4 && _i < 12) h_expect(c.clipped == 1000, "%s: %llu clipped", nan_policies[_i],
                                                           (unsigned long long)c.clipped);
            h_expect(c.estimate - c.estimate == 0, "%s: estimate %g", nan_policies[_i], c.estimate);
            precinfer_report_free(r);
            precinfer_gate_free(g);
        }
        h_samples(&s, 10, 0);
        s.ref[3][1] = NAN;
        s.score_r[3] = NAN;
        g = h_gate(ctx, json);
        h_expect(h_feed(g, &s, 0, s.n, 10, s.user, NULL, &err) == PRECINFER_INVALID && strstr(err.text, "sample 3") &&
                 strstr(err.text, "reference"), "%s: %s", nan_policies[_i], err.text);
        precinfer_gate_free(g);
    }
    h_finish();
}
END_TEST

START_TEST(clipped)
{
    struct precinfer_error err = { 0 };
    h_reseed(13);
    h_samples(&s, 500, 0);
    for (size_t i = 0; i < s.n; i++) s.score_c[i] = s.score_r[i] + (i < 20 ? 7 : i < 50 ? -7 : 0);
    precinfer_gate *g = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"error\", \"name\": \"quality\", "
                               "\"max_increase\": 0.5, \"bounds\": [-2, 3]}]}");
    h_feed_all(g, &s);
    precinfer_report *r = h_look(g);
    const struct precinfer_contrast c = h_contrast(r, 0);
    h_expect(c.clipped == 50, "%llu clipped", (unsigned long long)c.clipped);
    /* 20 at 3, 30 at -2, 450 at -0.5: the mean of what was counted */
    h_expect(fabs(c.estimate - (0.5 + (20 * 3.0 - 30 * 2.0 - 450 * 0.5) / 500)) < 1e-3, "estimate %g", c.estimate);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    /* without bounds a NaN cannot be counted */
    s.score_c[77] = NAN;
    g = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"error\", \"name\": \"quality\", \"max_increase\": "
               "0.5}]}");
    h_expect(h_feed(g, &s, 0, s.n, 500, NULL, NULL, &err) == PRECINFER_INVALID && strstr(err.text, "sample 77") &&
             strstr(err.text, "bounds"), "%s", err.text);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

/* Zero vectors: two are alike, one beside another is not. */
START_TEST(zero_vectors)
{
    struct precinfer_error err = { 0 };
    float x[3][2] = { { 0, 0 }, { 0, 0 }, { 1, 2 } }, y[3][2] = { { 0, 0 }, { 1, 1 }, { 0, 0 } };
    precinfer_gate *g = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"cosine\", \"min\": 0.5}]}");
    const struct precinfer_judged j = { .samples = 3, .reference = { x, PRECINFER_F32, 2, { 3, 2 }, 0 }, .candidate = { y,
        PRECINFER_F32, 2, { 3, 2 }, 0 } };
    ck_assert(!precinfer_gate_add(g, &j, &err));
    precinfer_report *r = h_look(g);
    h_expect(close_to(h_contrast(r, 0).estimate, 1.0 / 3), "%g", h_contrast(r, 0).estimate);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ flips */

START_TEST(flips)
{
    struct precinfer_error err = { 0 };
    enum { N = 4000 };
    h_reseed(14);
    h_samples(&s, N, 6000);
    s.cand[5][0] = NAN;
    precinfer_gate *g = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"agreement\", \"min\": 0.5}]}");
    h_feed_all(g, &s);
    precinfer_report *r = h_look(g);
    size_t flipped = 0, lost = 0, gained = 0, agreed = 0, rr = 0, rc = 0, above = 0;
    for (size_t i = 0; i < N; i++) {
        const int c = i == 5 ? -1 : s.top_c[i];
        flipped += c != s.top_r[i];
        agreed += c == s.top_r[i];
        rr += s.top_r[i] == s.labels[i]; rc += c == s.labels[i];
        lost += s.top_r[i] == s.labels[i] && c != s.labels[i];
        gained += s.top_r[i] != s.labels[i] && c == s.labels[i];
    }
    const struct precinfer_report_info n = h_info(r);
    h_expect(n.samples == N && n.labelled && n.agreed == agreed && n.right_reference == rr && n.right_candidate == rc &&
             n.lost == lost && n.gained == gained, "counts");
    h_expect(close_to(n.agreement_lower, pi_cp_lower((int64_t)agreed, N, 0.05)) &&
             n.drop == (double)((int64_t)lost - (int64_t)gained) / N, "rates");
    h_expect(flipped > PRECINFER_FLIPS && precinfer_report_flips(r) == PRECINFER_FLIPS, "%zu flips, %zu kept", flipped,
             precinfer_report_flips(r));
    double last = INFINITY;
    for (size_t i = 0; i < PRECINFER_FLIPS; i++) {
        struct precinfer_flip f;
        ck_assert(!precinfer_report_flip(r, i, &f));
        const double m = f.margin_before + f.margin_after;
        h_expect(m <= last, "flip %zu: margin %g after %g", i, m, last);
        h_expect(f.id == s.ids[f.index] && f.label == s.labels[f.index] && f.before == s.top_r[f.index] &&
                 (f.after == s.top_c[f.index] || f.index == 5), "flip %zu", i);
        last = m;
    }
    for (size_t i = 0; i < N; i++) {
        float x[2] = { -9, -9 };
        for (int k = 0; k < H_LOGITS; k++) {
            if (k != s.top_r[i] && s.ref[i][k] > x[0]) x[0] = s.ref[i][k];
            if (k != s.top_c[i] && s.cand[i][k] > x[1]) x[1] = s.cand[i][k];
        }
        above += i != 5 && s.top_c[i] != s.top_r[i] &&
            (double)s.ref[i][s.top_r[i]] - (double)x[0] + (double)s.cand[i][s.top_c[i]] - (double)x[1] > last;
    }
    h_expect(above < PRECINFER_FLIPS && above >= PRECINFER_FLIPS - 2, "%zu flips have a larger margin than the last one kept",
             above);
    size_t count = 0, cl = 0, cg = 0, most = N;
    for (size_t i = 0; i < precinfer_report_confusions(r); i++) {
        struct precinfer_confusion c;
        ck_assert(!precinfer_report_confusion(r, i, &c));
        size_t want = 0;
        for (size_t k = 0; k < N; k++) want += s.top_r[k] == c.before && (k == 5 ? -1 : s.top_c[k]) == c.after;
        h_expect(c.count == want && c.count <= most && c.before != c.after, "%lld to %lld: %llu, not %zu", (long long)c.before,
                 (long long)c.after, (unsigned long long)c.count, want);
        most = (size_t)c.count;
        count += (size_t)c.count; cl += (size_t)c.lost; cg += (size_t)c.gained;
    }
    h_expect(count == flipped && cl == lost && cg == gained, "confusions add up to %zu, %zu lost, %zu gained", count, cl, cg);
    struct precinfer_flip f;
    struct precinfer_confusion c;
    h_expect(precinfer_report_flip(r, PRECINFER_FLIPS, &f) == PRECINFER_INVALID && precinfer_report_confusion(r, 999, &c) ==
             PRECINFER_INVALID, "past the end");
    precinfer_report_free(r);
    precinfer_gate_free(g);
    (void)err;
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ latency */

START_TEST(runs)
{
    struct precinfer_error err = { 0 };
    enum { N = 2000 };
    static double ref[N], cand[N];
    size_t slow = 0, longer = 0;
    h_reseed(15);
    for (int i = 0; i < N; i++) {
        ref[i] = 10e6 + 1e6 * (double)h_unit();
        cand[i] = 8e6 + 1e6 * (double)h_unit() + (h_below(200) == 0 ? 20e6 : 0);
        slow += cand[i] > 18e6;
        longer += cand[i] > 0.9 * ref[i];
    }
    for (int n = 0; n < 2; n++) {
        precinfer_gate *g = h_gate(ctx, n ? "{\"precinfer_policy\": 1, \"n\": 5, \"latency\": {\"max_ms\": 18, \"share\": 0.98, "
                                   "\"median_max_ratio\": 0.9}}"
                                          : "{\"precinfer_policy\": 1, \"latency\": {\"max_ms\": 18, \"share\": 0.98, "
                                              "\"median_max_ratio\": 0.9}}");
        ck_assert_msg(!precinfer_gate_latency(g, ref, cand, N / 2, &err) && !precinfer_gate_latency(g, ref + N / 2,
            cand + N / 2, N / 2, &err), "%s", err.text);
        precinfer_report *r = h_look(g);
        const struct precinfer_contrast p99 = h_contrast(r, 0), median = h_contrast(r, 1);
        h_expect(p99.at_least && close_to(p99.limit, 0.98) && close_to(p99.estimate, 1 - (double)slow / N) && p99.units == N &&
                 p99.verdict == PRECINFER_PASS, "%g at least", p99.estimate);
        h_expect(!median.at_least && close_to(median.limit, 0.5) && close_to(median.estimate, (double)longer / N) &&
                 median.verdict == PRECINFER_PASS, "%g at most", median.estimate);
        h_expect(strstr(p99.method, n ? "Clopper" : "betting") != NULL, "%s", p99.method);
        h_expect(!strcmp(p99.quantity, "share of runs within 18 ms") &&
                 !strcmp(p99.budget, "latency: at least 98% of runs within 18 ms") &&
                 !strcmp(median.quantity, "share of runs longer than 0.9 times the reference's") && !strcmp(median.budget,
                     "latency: median at most 0.9 times the reference's"),
                 "%s, %s", p99.quantity, median.quantity);
        if (n) h_expect(close_to(p99.lower, 1 - pi_cp_upper((int64_t)slow, N, 0.05)), "%g", p99.lower);
        precinfer_report_free(r);
        precinfer_gate_free(g);
    }
    precinfer_gate *g = h_gate(ctx, "{\"precinfer_policy\": 1, \"latency\": {\"max_ms\": 18, \"share\": 0.99, "
                               "\"median_max_ratio\": 0.9}}");
    h_expect(precinfer_gate_latency(g, NULL, cand, 3, &err) == PRECINFER_INVALID && strstr(err.text, "reference's runs"), "%s",
             err.text);
    cand[1] = NAN;
    h_expect(precinfer_gate_latency(g, ref, cand, 3, &err) == PRECINFER_INVALID && strstr(err.text, "run 1"), "%s", err.text);
    precinfer_report *r = h_look(g);
    h_expect(h_info(r).verdict == PRECINFER_UNDECIDED && h_info(r).needed_samples > 100, "no runs: %lld needed",
             (long long)h_info(r).needed_samples);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    g = h_gate(ctx, "{\"precinfer_policy\": 1, \"preset\": \"bf16-google\"}");
    h_expect(precinfer_gate_latency(g, ref, ref, 3, &err) == PRECINFER_INVALID && strstr(err.text, "no budget for latency"),
             "%s", err.text);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ misuse */

static int add_with(const char *budget, const struct precinfer_judged *j, struct precinfer_error *err)
{
    char json[300];
    snprintf(json, sizeof json, "{\"precinfer_policy\": 1, %s}", budget);
    precinfer_gate *g = h_gate(ctx, json);
    *err = (struct precinfer_error){ 0 };
    const int status = precinfer_gate_add(g, j, err);
    precinfer_gate_free(g);
    return status;
}
#define ONE(text) "\"budgets\": [{" text "}]"
START_TEST(refused)
{
    struct precinfer_error err;
    float x[2][4] = { { 1, 2, 3, 4 }, { 4, 3, 2, 1 } };
    const int64_t labels[] = { 1, 0, 3, 9, -1, 2 };
    const double figure[] = { 1, 2 };
    const struct precinfer_figure figures[] = { { NULL, figure, figure }, { "half", figure, NULL }, { "whole", figure, figure } };
    const struct precinfer_judged good = { .samples = 2, .labels = labels, .reference = { x, PRECINFER_F32, 2, { 2, 4 }, 0 },
        .candidate = { x, PRECINFER_F32, 2, { 2, 4 }, 0 }, .target = { x, PRECINFER_F32, 2, { 2, 4 }, 0 }, .figures = figures,
            .nfigures = 3 };
    const char *const top = ONE("\"metric\": \"top1\", \"max_drop\": \"1pt\""), *const mae =
        ONE("\"metric\": \"mae\", \"max_ratio\": 2"),
        *const loss = ONE("\"metric\": \"log_loss\", \"max_increase\": 1"), *const same =
            ONE("\"metric\": \"agreement\", \"min\": 0.5");
    struct precinfer_judged j;
#define REFUSED(policy_, word, change) \
    do { \
        j = good; \
        change; \
        h_expect(add_with(policy_, &j, &err) == PRECINFER_INVALID && strstr(err.text, word), "%s: '%s' does not say %s", #change, \
                 err.text, word); \
    } while (0)
    REFUSED(top, "needs labels", j.labels = NULL);
    REFUSED(top, "needs the outputs", (j.reference.data = NULL, j.candidate.data = NULL));
    REFUSED(top, "candidate's output is missing", j.candidate.data = NULL);
    REFUSED(top, "3 rows", j.reference.dims[0] = 3);
    REFUSED(top, "shape", j.candidate.dims[1] = 2);
    REFUSED(top, "shape", (j.candidate.rank = 3, j.candidate.dims[1] = 2, j.candidate.dims[2] = 2));
    REFUSED(top, "no array", j.candidate.rank = 0);
    REFUSED(top, "no array", j.candidate.dtype = PRECINFER_NONE);
    REFUSED(top, "no elements", (j.candidate.dims[1] = 0, j.reference.dims[1] = 0));
    REFUSED(top, "one label a sample", (j.labels_per_sample = 2));
    REFUSED(top, "label -1", j.labels = labels + 4);
    REFUSED(loss, "label 9", j.labels = labels + 3);
    REFUSED(top, "sample 0: label 9, but the output has 4 classes", j.labels = labels + 3);
    REFUSED(top, "sample 1: label 9", j.labels = labels + 2);
    REFUSED(top, "sample 5001: label 9", (j.labels = labels + 2, j.indexes = (const uint64_t[]){ 5000, 5001 }));
    REFUSED(top, "one number a sample", (j.candidate.dims[1] = 1, j.reference.dims[1] = 1));
    REFUSED(same, "one number a sample", (j.candidate.rank = 1, j.reference.rank = 1));
    REFUSED(loss, "do not divide", j.labels_per_sample = 3);
    REFUSED(mae, "target", j.target.data = NULL);
    REFUSED(mae, "target has 2 elements", j.target.dims[1] = 2);
    REFUSED(mae, "target has 1 rows", j.target.dims[0] = 1);
    REFUSED(ONE("\"metric\": \"score\", \"name\": \"map\", \"max_drop\": 1"), "needs the figure 'map'", (void)0);
    REFUSED(ONE("\"metric\": \"score\", \"name\": \"half\", \"max_drop\": 1"), "needs the figure 'half'", (void)0);
    REFUSED(ONE("\"metric\": \"auc\", \"positive\": 7, \"max_drop\": 0.1"), "class 7", (void)0);
    REFUSED("\"slices\": [{\"by\": \"label\", \"metric\": \"agreement\", \"min\": 0.5}]", "needs labels", j.labels = NULL);
    REFUSED("\"slices\": [{\"by\": \"label\", \"metric\": \"agreement\", \"min\": 0.5}]", "label -1", j.labels = labels + 4);
    REFUSED("\"slices\": [{\"by\": \"town\", \"metric\": \"agreement\", \"min\": 0.5}]", "column 'town'", (void)0);
    REFUSED("\"cluster\": \"user\", \"budgets\": [{\"metric\": \"agreement\", \"min\": 0.5}]", "column 'user'", (void)0);
    j = good;
    h_expect(!add_with(ONE("\"metric\": \"score\", \"name\": \"whole\", \"max_drop\": 1"), &j, &err), "%s", err.text);
    h_expect(!add_with(top, &j, &err) && !add_with(same, &j, &err) && !add_with(mae, &j, &err) && !add_with(loss, &j, &err),
             "%s", err.text);
    j.labels = NULL;
    h_expect(!add_with(same, &j, &err), "%s", err.text);
    x[1][1] = 0;
    REFUSED(ONE("\"metric\": \"relative_mae\", \"max_ratio\": 2"), "target of 0", (void)0);
    precinfer_gate *g = NULL;
    precinfer_report *r = NULL;
    precinfer_policy *p = NULL;
    ck_assert(!precinfer_policy_new(ctx, &p, &err));
    h_expect(precinfer_gate_new(ctx, p, &g, &err) == PRECINFER_INVALID && strstr(err.text, "asks for nothing"), "%s", err.text);
    h_expect(precinfer_gate_new(NULL, p, &g, &err) == PRECINFER_INVALID && precinfer_gate_new(ctx, NULL, &g, &err) ==
             PRECINFER_INVALID &&
             precinfer_gate_add(NULL, &j, &err) == PRECINFER_INVALID && precinfer_gate_report(NULL, &r, &err) ==
                 PRECINFER_INVALID &&
             precinfer_gate_continue(NULL, NULL, &err) == PRECINFER_INVALID && precinfer_gate_latency(NULL, NULL, NULL, 0,
                 &err) == PRECINFER_INVALID, "NULL");
    h_expect(!precinfer_report_contrasts(NULL) && !precinfer_report_looks(NULL, NULL) && !precinfer_report_seen(NULL, NULL) &&
             !precinfer_report_flips(NULL) &&
             !precinfer_report_confusions(NULL), "NULL");
    precinfer_policy_free(p);
    precinfer_gate_free(NULL);
    h_finish();
}
END_TEST

/* Who a sample is where nobody says: its reference output, labels and target; the candidate's output changes nothing. */
START_TEST(ids)
{
    struct precinfer_error err = { 0 };
    static const char json[] = "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"agreement\", \"min\": 0.5}]}";
    uint64_t hash[4];
    for (int k = 0; k < 4; k++) {
        float x[2][2] = { { 1, 2 }, { 3, k == 1 ? 5 : 4 } }, y[2][2] = { { 1, 2 }, { 3, k == 2 ? 5 : 4 } };
        const int64_t labels[] = { 0, k == 3 };
        precinfer_gate *g = h_gate(ctx, json);
        const struct precinfer_judged j = { .samples = 2, .labels = labels, .reference = { x, PRECINFER_F32, 2, { 2, 2 }, 0 },
                                            .candidate = { y, PRECINFER_F32, 2, { 2, 2 }, 0 } };
        ck_assert(!precinfer_gate_add(g, &j, &err));
        precinfer_report *r = h_look(g);
        hash[k] = h_info(r).data_hash;
        precinfer_report_free(r);
        precinfer_gate_free(g);
    }
    h_expect(hash[0] == hash[2] && hash[0] != hash[1] && hash[0] != hash[3], "ids");
    h_finish();
}
END_TEST

/* Repeats are told of, and taken for samples: whether they are is the caller's to know. */
START_TEST(repeats)
{
    struct precinfer_error err = { 0 };
    static float x[6][2] = { { 1, 2 }, { 3, 4 }, { 2, 1 }, { 4, 3 }, { 5, 6 }, { 6, 5 } };
    const uint64_t some[] = { 1, 2, 1, 1, 3, 2 };
    precinfer_gate *g = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"agreement\", \"min\": 0.5}]}");
    const struct precinfer_judged j = { .samples = 6, .ids = some, .reference = { x, PRECINFER_F32, 2, { 6, 2 }, 0 },
                                        .candidate = { x, PRECINFER_F32, 2, { 6, 2 }, 0 } };
    ck_assert(!precinfer_gate_add(g, &j, &err));
    precinfer_report *r = h_look(g);
    h_expect(h_info(r).repeated_samples == 3 && h_info(r).samples == 6 && h_contrast(r, 0).units == 6, "%zu repeats of %zu samples",
             h_info(r).repeated_samples, h_info(r).samples);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    const struct { const char *name; const TTest *test; int loops; } tests[] = {
        { "clusters", clusters, 1 }, { "continued", continued, 1 }, { "seen_before", seen_before, 1 }, { "order", order, 1 },
            { "too_few", too_few, 1 },
        { "no_number", no_number, NANS }, { "clipped", clipped, 1 }, { "zero_vectors", zero_vectors, 1 }, { "flips", flips, 1 },
            { "runs", runs, 1 },
        { "refused", refused, 1 }, { "ids", ids, 1 },
        { "repeats", repeats, 1 } };
    Suite *suite = suite_create("verify_looks");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *c = tcase_create(tests[i].name);
        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_loop_test(c, tests[i].test, 0, tests[i].loops);
        tcase_set_timeout(c, 60);
        suite_add_tcase(suite, c);
    }
    return suite;
}
