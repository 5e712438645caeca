/* The gate's contrasts: every metric's d against a straight computation, bounds against the methods called by hand; slices,
 * clusters, looks, what is no number. */
#include "gate.h"
#include "../lib/base/alloc.h"
#include "../lib/verify/betting.h"
#include "../lib/verify/bootstrap.h"
#include "../lib/verify/bounds.h"
#include "../lib/verify/score.h"

static struct h_samples s;
static precinfer_context *ctx;
static void setup(void) { ck_assert(!precinfer_context_new(NULL, &ctx, NULL)); }
static void teardown(void) { precinfer_context_free(ctx); }

static int close_to(double a, double b) { return a == b || fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b)) + 1e-12 ||
                                          (a != a && b != b); }

/* ------------------------------------------------------------------------------------------------ metrics */

static double log_loss(const float *x, int64_t label)
{
    long double sum = 0;
    for (int k = 0; k < H_LOGITS; k++) sum += expl((long double)x[k]);
    return (double)(logl(sum) - (long double)x[label]);
}
static double topk(const float *x, int64_t label, int k)
{
    int before = 0;
    for (int i = 0; i < H_LOGITS; i++) before += x[i] > x[label] || (x[i] == x[label] && i < label);
    return before < k;
}
/* what: 0 absolute, 1 squared, 2 relative */
static double error(const float *x, const float *truth, int what)
{
    long double sum = 0;
    for (int k = 0; k < H_LOGITS; k++) {
        const long double e = fabsl((long double)x[k] - (long double)truth[k]);
        sum += what == 1 ? e * e : what == 2 ? e / fabsl((long double)truth[k]) : e;
    }
    return (double)(sum / H_LOGITS);
}
static double cosine(const float *x, const float *y)
{
    long double xx = 0, yy = 0, xy = 0;
    for (int k = 0; k < H_LOGITS; k++) {
        xx += (long double)x[k] * (long double)x[k];
        yy += (long double)y[k] * (long double)y[k];
        xy += (long double)x[k] * (long double)y[k];
    }
    return (double)(xy / sqrtl(xx * yy));
}

/* d of sample i, and the two figures. */
struct one { double d, r, c; };
static struct one top1_drop(size_t i)
{ const double r = topk(s.ref[i], s.labels[i], 1), c = topk(s.cand[i], s.labels[i], 1); return (struct one){ r - c - 0.01, r,
    c }; }
static struct one top2_share(size_t i)
{ const double r = topk(s.ref[i], s.labels[i], 2), c = topk(s.cand[i], s.labels[i], 2); return (struct one){ 0.98 * r - c, r,
    c }; }
static struct one agreement(size_t i) { const double c = s.top_r[i] == s.top_c[i]; return (struct one){ 0.97 - c, 0, c }; }
static struct one loss(size_t i)
{ const double r = log_loss(s.ref[i], s.labels[i]), c = log_loss(s.cand[i], s.labels[i]); return (struct one){ c - r - 0.05, r,
    c }; }
static struct one perplexity(size_t i)
{ const double r = log_loss(s.ref[i], s.labels[i]), c = log_loss(s.cand[i], s.labels[i]); return (struct one){ c - r - log(1.2),
    r, c }; }
static struct one mae(size_t i)
{ const double r = error(s.ref[i], s.target[i], 0), c = error(s.cand[i], s.target[i], 0); return (struct one){ c - 1.1 * r, r,
    c }; }
static struct one mae_more(size_t i)
{ const double r = error(s.ref[i], s.target[i], 0), c = error(s.cand[i], s.target[i], 0); return (struct one){ c - r - 0.1, r,
    c }; }
static struct one rmse(size_t i)
{ const double r = error(s.ref[i], s.target[i], 1), c = error(s.cand[i], s.target[i], 1); return (struct one){ c - 1.21 * r, r,
    c }; }
static struct one relative(size_t i)
{ const double r = error(s.ref[i], s.target[i], 2), c = error(s.cand[i], s.target[i], 2); return (struct one){ c - 1.5 * r, r,
    c }; }
static struct one similar(size_t i) { const double c = cosine(s.ref[i], s.cand[i]); return (struct one){ 0.95 - c, 0, c }; }
static struct one quality(size_t i) { return (struct one){ s.score_r[i] - s.score_c[i] - 0.01, s.score_r[i], s.score_c[i] }; }
static struct one quality_share(size_t i) { return (struct one){ 0.9 * s.score_r[i] - s.score_c[i], s.score_r[i],
                                                                 s.score_c[i] }; }
static struct one badness(size_t i) { return (struct one){ s.score_c[i] - s.score_r[i] - 0.01, s.score_r[i], s.score_c[i] }; }
static struct one badness_ratio(size_t i) { return (struct one){ s.score_c[i] - 1.5 * s.score_r[i], s.score_r[i],
                                                                 s.score_c[i] }; }

enum how { EXACT, LATTICE, BOOT };
enum form { DROP, BEYOND, LEAST, RATIO };       /* how the report speaks of d                                            */
static const struct metric {
    const char *budget, *text, *quantity;
    struct one (*of)(size_t i);
    enum how how; double low, high; enum form form; double limit;
} metrics[] = {
    { "\"metric\": \"top1\", \"max_drop\": \"1pt\"", "top-1: drop at most 1 points", "drop in top-1 accuracy", top1_drop, EXACT,
      -1.01, 0.99, DROP, 0.01 },
    { "\"metric\": \"topk\", \"k\": 2, \"min_share\": 0.98", "top-2: at least 98% of the reference's",
      "top-2 accuracy short of 98% of the reference's", top2_share, EXACT, -1, 0.98, BEYOND, 0 },
    { "\"metric\": \"agreement\", \"min\": 0.97", "agreement: at least 97%", "share with the same top-1", agreement, EXACT,
      -0.03, 0.97, LEAST, 0.97 },
    { "\"metric\": \"log_loss\", \"max_increase\": 0.05, \"bounds\": [-6, 6]", "log loss: increase at most 0.05",
      "increase in log loss", loss, LATTICE, -6, 6, DROP, 0.05 },
    { "\"metric\": \"perplexity\", \"max_ratio\": 1.2, \"bounds\": [-6, 6]", "perplexity: at most 1.2 times the reference's",
      "ratio of perplexity",
      perplexity, LATTICE, -6, 6, RATIO, 1.2 },
    { "\"metric\": \"mae\", \"max_ratio\": 1.1, \"bounds\": [-3, 3]", "MAE: at most 1.1 times the reference's",
      "MAE beyond 1.1 times the reference's", mae, LATTICE, -3, 3, BEYOND, 0 },
    { "\"metric\": \"mae\", \"max_increase\": 0.1", "MAE: increase at most 0.1", "increase in MAE", mae_more, BOOT, 0, 0, DROP,
      0.1 },
    { "\"metric\": \"rmse\", \"max_ratio\": 1.1, \"bounds\": [-9, 9]", "RMSE: at most 1.1 times the reference's",
      "squared error beyond 1.21 times the reference's", rmse, LATTICE, -9, 9, BEYOND, 0 },
    { "\"metric\": \"relative_mae\", \"max_ratio\": 1.5", "relative MAE: at most 1.5 times the reference's",
      "relative MAE beyond 1.5 times the reference's", relative, BOOT, 0, 0, BEYOND, 0 },
    { "\"metric\": \"cosine\", \"min\": 0.95", "cosine: at least 0.95", "cosine", similar, LATTICE, -0.05, 1.95, LEAST, 0.95 },
    { "\"metric\": \"score\", \"name\": \"quality\", \"max_drop\": 0.01, \"bounds\": [-1, 1]", "quality: drop at most 0.01",
      "drop in quality", quality, LATTICE, -1, 1, DROP, 0.01 },
    { "\"metric\": \"score\", \"name\": \"quality\", \"min_share\": 0.9", "quality: at least 90% of the reference's",
      "quality short of 90% of the reference's", quality_share, BOOT, 0, 0, BEYOND, 0 },
    { "\"metric\": \"error\", \"name\": \"quality\", \"max_increase\": 0.01", "quality: increase at most 0.01",
      "increase in quality", badness, BOOT, 0, 0, DROP, 0.01 },
    { "\"metric\": \"error\", \"name\": \"quality\", \"max_ratio\": 1.5, \"bounds\": [-2, 2]",
      "quality: at most 1.5 times the reference's", "quality beyond 1.5 times the reference's", badness_ratio, LATTICE, -2, 2,
          BEYOND, 0 },
};
enum { METRICS = sizeof metrics / sizeof *metrics };

static double spoken(const struct metric *m, double d)
{
    return m->form == DROP ? d + m->limit : m->form == LEAST ? m->limit - d : m->form == RATIO ? exp(d + log(m->limit)) : d;
}

/* Bounds of the d's alone, by the method's own function. */
static void by_hand(const struct metric *m, double *lower, double *upper)
{
    struct pi_evidence e = { 0 };
    struct pi_boot_mean b;
    if (m->how == BOOT) {
        ck_assert(!pi_boot_mean_new(&pi_default_allocator, &b, NULL));
        for (size_t i = 0; i < s.n; i++) pi_boot_mean_add(&b, s.ids[i], m->of(i).d, 1);
        pi_boot_mean_bounds(&b, 0.05, lower, upper);
        pi_boot_mean_free(&pi_default_allocator, &b);
        return;
    }
    if (m->how == EXACT) {
        double v[6] = { 0 };
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++) {
            const double d = m->of(i).d;
            size_t k = 0;
            while (k < n && fabs(v[k] - d) > 1e-9) k++;
            if (k == n) { ck_assert_uint_lt(n, 4); v[n++] = d; }
        }
        for (int end = 0; end < 2; end++) {     /* whether or not a sample had them                                      */
            const double d = end ? m->high : m->low;
            size_t k = 0;
            while (k < n && fabs(v[k] - d) > 1e-9) k++;
            if (k == n) v[n++] = d;
        }
        ck_assert(!pi_evidence_exact(&pi_default_allocator, &e, v, n, NULL));
    } else {
        ck_assert(!pi_evidence_lattice(&e, m->low, m->high, NULL));
    }
    for (size_t i = 0; i < s.n; i++) ck_assert(!pi_evidence_add(&pi_default_allocator, &e, m->of(i).d, 1, NULL));
    *lower = pi_bet_lower(&e, 0.05);
    *upper = pi_bet_upper(&e, 0.05);
    pi_evidence_free(&pi_default_allocator, &e);
}

START_TEST(figures)
{
    char json[512];
    const struct metric *m = &metrics[_i];
    h_reseed(_i);
    h_samples(&s, 900, 300);
    for (size_t i = 0; i < s.n; i++) if (m->of == badness || m->of == badness_ratio) { s.score_r[i] = fabs(s.score_r[i]);
        s.score_c[i] = fabs(s.score_c[i]); }
    snprintf(json, sizeof json, "{\"precinfer_policy\": 1, \"budgets\": [{%s}]}", m->budget);
    precinfer_gate *g = h_gate(ctx, json);
    h_feed_all(g, &s);
    precinfer_report *r = h_look(g);
    const struct precinfer_contrast c = h_contrast(r, 0);
    double sum = 0, sum_r = 0, sum_c = 0, lower, upper;
    for (size_t i = 0; i < s.n; i++) { const struct one x = m->of(i); sum += x.d; sum_r += x.r; sum_c += x.c; }
    sum /= (double)s.n; sum_r /= (double)s.n; sum_c /= (double)s.n;
    by_hand(m, &lower, &upper);
    h_expect(precinfer_report_contrasts(r) == 1 && c.samples == 900 && c.units == 900 && !c.clipped && !c.by &&
             !c.slice, "counts");
    h_expect(!strcmp(c.budget, m->text), "'%s', not '%s'", c.budget, m->text);
    h_expect(!strcmp(c.quantity, m->quantity), "'%s', not '%s'", c.quantity, m->quantity);
    h_expect(close_to(c.estimate, spoken(m, sum)), "estimate %.12g, not %.12g", c.estimate, spoken(m, sum));
    if (m->form == LEAST) h_expect(c.reference != c.reference && c.candidate != c.candidate, "one figure for the pair");
    else {
        const double want_r = m->form == RATIO ? exp(sum_r) : m->of == rmse ? sqrt(sum_r) : sum_r;
        const double want_c = m->form == RATIO ? exp(sum_c) : m->of == rmse ? sqrt(sum_c) : sum_c;
        h_expect(close_to(c.reference, want_r) && close_to(c.candidate, want_c), "%.12g and %.12g, not %.12g and %.12g",
                 c.reference,
                 c.candidate, want_r, want_c);
    }
    const double low = spoken(m, m->form == LEAST ? upper : lower), high = spoken(m, m->form == LEAST ? lower : upper);
    /* a d computed otherwise may fall into the next of 65536 bins */
    const double room = m->how == LATTICE ? 2 * (m->high - m->low) / 65536 : 1e-9;
    h_expect(fabs(c.lower - low) <= room && fabs(c.upper - high) <= room, "%.12g to %.12g, not %.12g to %.12g", c.lower,
             c.upper, low, high);
    h_expect(close_to(c.limit, m->limit) && c.at_least == (m->form == LEAST), "limit %g", c.limit);
    h_expect(c.exact == (m->how != BOOT) && c.sequential == (m->how != BOOT) &&
             !strcmp(c.method, m->how == BOOT ? "studentized Poisson bootstrap, 95%, one-sided, approximate"
                     : "betting confidence sequence, 95%, one-sided"),
             "%s", c.method);
    const enum precinfer_verdict want = upper <= 0 ? PRECINFER_PASS : lower > 0 ? PRECINFER_FAIL : PRECINFER_UNDECIDED;
    h_expect(c.verdict == want && h_info(r).verdict == want, "verdict %d, not %d", (int)c.verdict, (int)want);
    h_expect(want == PRECINFER_UNDECIDED ? c.needed == -1 ? sum >= 0 : c.needed > 0 && sum < 0 : c.needed == 0,
             "needed %lld at mean %g",
             (long long)c.needed, sum);
    const struct precinfer_evidence e = h_evidence(r, 0);
    uint64_t count = 0;
    for (size_t i = 0; i < e.natoms; i++) count += e.atoms[i].count;
    h_expect(m->how == BOOT ? e.natoms == 0 : count == 900 && (m->how == EXACT ? e.natoms <= 4 : e.natoms > 4),
             "%zu atoms, %llu values",
             e.natoms, (unsigned long long)count);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

/* AUC and F1 by hand: pairs, and counts. */
START_TEST(sets)
{
    double auc[2] = { 0 }, f1[2];
    size_t pairs = 0, cell[2][3] = { { 0 } };
    h_reseed(3);
    h_samples(&s, 400, 1500);
    for (size_t i = 0; i < s.n; i++) {
        const int yes = s.labels[i] == 2;
        for (int which = 0; which < 2; which++) {
            const int says = (which ? s.cand : s.ref)[i][2] >= 1.5f;
            cell[which][0] += (size_t)(yes && says); cell[which][1] += (size_t)(yes && !says);
            cell[which][2] += (size_t)(!yes && says);
        }
        for (size_t k = 0; k < s.n && yes; k++) {
            if (s.labels[k] == 2) continue;
            pairs++;
            auc[0] += s.ref[i][2] > s.ref[k][2] ? 1 : s.ref[i][2] == s.ref[k][2] ? 0.5 : 0;
            auc[1] += s.cand[i][2] > s.cand[k][2] ? 1 : s.cand[i][2] == s.cand[k][2] ? 0.5 : 0;
        }
    }
    for (int which = 0; which < 2; which++) {
        auc[which] /= (double)pairs;
        f1[which] = 2.0 * (double)cell[which][0] / (double)(2 * cell[which][0] + cell[which][1] + cell[which][2]);
    }
    precinfer_gate *g = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"auc\", \"positive\": 2, "
                               "\"max_drop\": 0.2},"
        "{\"metric\": \"f1\", \"positive\": 2, \"threshold\": 1.5, \"min_share\": 0.5}, {\"metric\": \"auc\", \"positive\": 2, "
            "\"max_drop\": 0}]}");
    h_feed_all(g, &s);
    precinfer_report *r = h_look(g);
    const struct precinfer_contrast a = h_contrast(r, 0), f = h_contrast(r, 1), none = h_contrast(r, 2);
    h_expect(close_to(a.reference, auc[0]) && close_to(a.candidate, auc[1]), "AUC %.9g and %.9g, not %.9g and %.9g", a.reference,
             a.candidate, auc[0], auc[1]);
    h_expect(close_to(a.estimate, auc[0] - auc[1]) && a.lower < a.estimate && a.upper > a.estimate && a.limit == 0.2,
             "drop in AUC");
    h_expect(close_to(f.reference, f1[0]) && close_to(f.candidate, f1[1]) && close_to(f.estimate, 0.5 * f1[0] - f1[1]),
             "F1 %g %g, not %g %g",
             f.reference, f.candidate, f1[0], f1[1]);
    h_expect(a.verdict == PRECINFER_PASS && f.verdict == PRECINFER_PASS && !a.exact && !a.sequential, "verdicts");
    h_expect(none.verdict != PRECINFER_PASS && none.needed == (none.verdict == PRECINFER_FAIL ? 0 : -1),
             "no drop at all: %g to %g", none.lower, none.upper);
    h_expect(!strcmp(a.budget, "AUC of class 2: drop at most 0.2") &&
             !strcmp(f.budget, "F1 of class 2 from 1.5: at least 50% of the reference's"),
             "'%s', '%s'", a.budget, f.budget);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

/* Any type, any rank; positions with labels of their own; one score for two classes. */
START_TEST(shapes)
{
    static const enum precinfer_dtype types[] = { PRECINFER_F16, PRECINFER_BF16, PRECINFER_F64, PRECINFER_S8, PRECINFER_U8,
                                                  PRECINFER_S16,
                                                  PRECINFER_U16, PRECINFER_S32, PRECINFER_U32, PRECINFER_S64, PRECINFER_U64 };
    struct precinfer_error err = { 0 };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        /* 3, 9, 5 and 9, 2, 9: top-1 is 1 and 0 */
        const unsigned short f16[] = { 0x4200, 0x4880, 0x4500, 0x4880, 0x4000, 0x4880 }, bf16[] = { 0x4040, 0x4110, 0x40a0,
            0x4110, 0x4000, 0x4110 };
        static const int v[] = { 3, 9, 5, 9, 2, 9 };
        _Alignas(8) unsigned char x[64] = { 0 };
        for (size_t k = 0; k < 6; k++) {
            if (types[i] == PRECINFER_F16) memcpy(x + 2 * k, &f16[k], 2);
            else if (types[i] == PRECINFER_BF16) memcpy(x + 2 * k, &bf16[k], 2);
            else h_put(x, (enum pi_type)types[i], k, v[k]);
        }
        const float y[] = { 1, 9, 5, 9, 1, 1 };
        const int64_t labels[] = { 1, 2 };
        precinfer_gate *g = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"agreement\", \"min\": 0.9}, "
                                   "{\"metric\": \"topk\", \"k\": 2, \"max_drop\": \"1pt\"}]}");
        const struct precinfer_judged j = { .samples = 2, .labels = labels, .reference = { x, types[i], 3, { 2, 1, 3 }, 0 },
                                            .candidate = { (void *)(uintptr_t)y, PRECINFER_F32, 3, { 2, 1, 3 }, 0 } };
        ck_assert_msg(!precinfer_gate_add(g, &j, &err), "%s", err.text);
        precinfer_report *r = h_look(g);
        h_expect(h_contrast(r, 0).estimate == 1, "%s: agreement %g", precinfer_dtype_string(types[i]), h_contrast(r, 0).estimate);
        h_expect(h_contrast(r, 1).reference == 1 && h_contrast(r, 1).candidate == 0.5, "%s: top-2 %g and %g",
                 precinfer_dtype_string(types[i]),
                 h_contrast(r, 1).reference, h_contrast(r, 1).candidate);
        precinfer_report_free(r);
        precinfer_gate_free(g);
    }
    float x[2][3][H_LOGITS], y[2][3][H_LOGITS];
    const int64_t labels[2][3] = { { 1, -1, 4 }, { 0, 2, -100 } };
    double want_r = 0, want_c = 0;
    for (int i = 0; i < 2; i++) {
        double r = 0, c = 0;
        for (int k = 0; k < 3; k++) {
            for (int n = 0; n < H_LOGITS; n++) { x[i][k][n] = 3 * h_unit(); y[i][k][n] = 3 * h_unit(); }
            if (labels[i][k] >= 0) { r += log_loss(x[i][k], labels[i][k]) / 2; c += log_loss(y[i][k], labels[i][k]) / 2; }
        }
        want_r += r / 2; want_c += c / 2;
    }
    precinfer_gate *g = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"perplexity\", \"max_ratio\": 1.1, "
                               "\"bounds\": [-9, 9]}]}");
    const struct precinfer_judged j = { .samples = 2, .labels = labels[0], .labels_per_sample = 3, .reference = { x,
        PRECINFER_F32, 3, { 2, 3, H_LOGITS }, 0 },
                                        .candidate = { y, PRECINFER_F32, 3, { 2, 3, H_LOGITS }, 0 } };
    ck_assert_msg(!precinfer_gate_add(g, &j, &err), "%s", err.text);
    precinfer_report *r = h_look(g);
    h_expect(close_to(h_contrast(r, 0).reference, exp(want_r)) && close_to(h_contrast(r, 0).candidate, exp(want_c)), "windows");
    precinfer_report_free(r);
    precinfer_gate_free(g);
    /* logits and probabilities of two classes by one score, and probabilities of several; 0 counts as the least float */
    for (int probabilities = 0; probabilities < 2; probabilities++) {
        char json[256];
        snprintf(json, sizeof json, "{\"precinfer_policy\": 1, \"outputs\": \"%s\", \"budgets\": [{\"metric\": \"log_loss\", "
                 "\"max_increase\": 0.1, \"bounds\": [-99, 99]}]}",
                 probabilities ? "probabilities" : "logits");
        const float one[] = { 0.75f, 0.25f }, other[] = { 0.5f, 0.125f }, many[] = { 0.2f, 0.8f, 0, 1 }, same[] = { 0.4f, 0.6f,
            0.5f, 0.5f };
        const int64_t l[] = { 1, 0 };
        precinfer_gate *a = h_gate(ctx, json), *b = h_gate(ctx, json);
        const struct precinfer_judged single = { .samples = 2, .labels = l, .reference = { (void *)(uintptr_t)one,
            PRECINFER_F32, 1, { 2 }, 0 },
                                                 .candidate = { (void *)(uintptr_t)other, PRECINFER_F32, 1, { 2 }, 0 } };
        const struct precinfer_judged two = { .samples = 2, .labels = l, .reference = { (void *)(uintptr_t)many, PRECINFER_F32,
            2, { 2, 2 }, 0 },
                                              .candidate = { (void *)(uintptr_t)same, PRECINFER_F32, 2, { 2, 2 }, 0 } };
        ck_assert_msg(!precinfer_gate_add(a, &single, &err) && !precinfer_gate_add(b, &two, &err), "%s", err.text);
        precinfer_report *ra = h_look(a), *rb = h_look(b);
        const double want = probabilities ? -(log(0.75) + log(0.75)) / 2 : (log1p(exp(-0.75)) + log1p(exp(0.25))) / 2;
        h_expect(close_to(h_contrast(ra, 0).reference, want), "one score: %g, not %g", h_contrast(ra, 0).reference, want);
        if (probabilities) h_expect(fabs(h_contrast(rb, 0).reference - (-log((double)0.8f) + 126 * log(2)) / 2) < 1e-9,
                                    "p of 0: %g", h_contrast(rb, 0).reference);
        precinfer_report_free(ra); precinfer_report_free(rb);
        precinfer_gate_free(a); precinfer_gate_free(b);
    }
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ fixed n */

static const char fixed[] = "{\"precinfer_policy\": 1, \"n\": 1000, \"budgets\": [{\"metric\": \"top1\", \"max_drop\": \"1pt\"},"
    "{\"metric\": \"agreement\", \"min\": 0.95}, {\"metric\": \"mae\", \"max_ratio\": 1.1, \"bounds\": [-3, 3]}, {\"metric\": "
        "\"top1\", \"min_share\": 0.9}]}";

START_TEST(fixed_n)
{
    struct precinfer_error err = { 0 };
    h_reseed(5);
    h_samples(&s, 1300, 300);
    precinfer_gate *g = h_gate(ctx, fixed);
    h_feed_all(g, &s);
    precinfer_report *r = h_look(g);
    int64_t same = 0, lost = 0, gained = 0, right = 0;
    for (size_t i = 0; i < 1000; i++) {
        const int a = s.top_r[i] == s.labels[i], c = s.top_c[i] == s.labels[i];
        same += s.top_r[i] == s.top_c[i]; lost += a && !c; gained += c && !a; right += a;
    }
    const struct precinfer_contrast drop = h_contrast(r, 0), agree = h_contrast(r, 1), error_ = h_contrast(r, 2),
        share = h_contrast(r, 3);
    h_expect(drop.samples == 1000 && agree.samples == 1000 && h_info(r).samples == 1000 && h_info(r).ignored_samples == 300,
             "the first 1000");
    h_expect(close_to(agree.lower, pi_cp_lower(same, 1000, 0.05)) && close_to(agree.upper, pi_cp_upper(same, 1000, 0.05)),
             "%g to %g", agree.lower, agree.upper);
    h_expect(agree.verdict == (pi_agreement_verdict(same, 1000, 0.95) > 0 ? PRECINFER_PASS : PRECINFER_UNDECIDED), "agreement");
    struct pi_evidence e;
    const double v[] = { -1.01, -0.01, 0.99 };
    ck_assert(!pi_evidence_exact(&pi_default_allocator, &e, v, 3, NULL));
    ck_assert(!pi_evidence_add(&pi_default_allocator, &e, -1.01, (uint64_t)gained, NULL) &&
              !pi_evidence_add(&pi_default_allocator, &e, 0.99, (uint64_t)lost, NULL) &&
              !pi_evidence_add(&pi_default_allocator, &e, -0.01, (uint64_t)(1000 - lost - gained), NULL));
    h_expect(fabs(drop.lower - 0.01 - pi_score_lower(&e, 0.05)) < 1e-9 && fabs(drop.upper - 0.01 - pi_score_upper(&e,
        0.05)) < 1e-9, "score bounds");
    pi_evidence_free(&pi_default_allocator, &e);
    h_expect(!drop.exact && !drop.sequential && strstr(drop.method, "score bound, 95%, one-sided, n fixed beforehand, "
                                                       "approximate"), "%s", drop.method);
    h_expect(agree.exact && !agree.sequential && strstr(agree.method, "Clopper-Pearson"), "%s", agree.method);
    h_expect(error_.exact && strstr(error_.method, "betting"), "%s", error_.method);
    h_expect(share.verdict == PRECINFER_PASS && close_to(share.reference, (double)right / 1000) && !share.exact, "share");
    precinfer_report *again = NULL;
    h_expect(precinfer_gate_report(g, &again, &err) == PRECINFER_INVALID && strstr(err.text, "one report"), "a second look: %s",
             err.text);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    /* before n: nothing but estimates */
    g = h_gate(ctx, fixed);
    ck_assert(!h_feed(g, &s, 0, 999, 100, NULL, NULL, &err));
    r = h_look(g);
    for (size_t i = 0; i < 4; i++) {
        const struct precinfer_contrast c = h_contrast(r, i);
        h_expect(c.verdict == PRECINFER_UNDECIDED && c.needed == 1000 && c.lower != c.lower && c.upper != c.upper &&
                 c.estimate == c.estimate,
                 "contrast %zu at 999 of 1000", i);
    }
    h_expect(h_info(r).verdict == PRECINFER_UNDECIDED && h_info(r).needed_samples == 1000, "999 of 1000");
    const uint64_t look = 1;
    const struct precinfer_evidence past = h_evidence(r, 0);
    struct precinfer_gate *next = h_gate(ctx, fixed);
    const struct precinfer_past p = { .size = sizeof p, .evidence = &past, .nevidence = 1, .data_hashes = &look, .looks = 1,
                                      .policy_hash = h_info(r).policy_hash };
    h_expect(precinfer_gate_continue(next, &p, &err) == PRECINFER_INVALID && strstr(err.text, "fixed beforehand"),
             "going on: %s", err.text);
    precinfer_gate_free(next);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ slices */

static const char sliced[] = "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"agreement\", \"min\": 0.5}], \"slices\": ["
    "{\"by\": \"region\", \"metric\": \"agreement\", \"min\": 0.9, \"margins\": {\"south\": 0.5, \"nowhere\": 0.7}},"
    "{\"by\": \"label\", \"metric\": \"top1\", \"max_drop\": \"20pt\"},"
    "{\"by\": \"user\", \"metric\": \"top1\", \"max_drop\": \"20pt\", \"min_samples\": 50}]}";

START_TEST(slices)
{
    struct precinfer_error err = { 0 };
    h_reseed(6);
    h_samples(&s, 3000, 0);
    for (size_t i = 0; i < s.n; i++) {          /* all of the south and a fifth of the east differ */
        const int south = !strcmp(s.region[i], "south"), east = !strcmp(s.region[i], "east") && h_below(5) == 0;
        if (south || east) s.cand[i][(s.top_r[i] + 1) % H_LOGITS] += 9;
        s.top_c[i] = h_top(s.cand[i]);
        if (i % 7 == 0) s.region[i] = NULL;
    }
    precinfer_gate *g = h_gate(ctx, sliced);
    ck_assert_msg(!h_feed(g, &s, 0, s.n, 100, s.region, s.user, &err), "%s", err.text);
    precinfer_report *r = h_look(g);
    static const char *const names[] = { NULL, "east", "north", "nowhere", "south", "0", "1", "2", "3", "4" };
    size_t n[10] = { s.n }, same[10] = { 0 };
    for (size_t i = 0; i < s.n; i++) {
        same[0] += s.top_r[i] == s.top_c[i];
        for (size_t k = 1; k < 5; k++)
            if (s.region[i] && !strcmp(s.region[i], names[k])) { n[k]++; same[k] += s.top_r[i] == s.top_c[i]; }
        n[5 + s.labels[i]]++;
    }
    for (size_t k = 0; k < 10; k++) {
        const struct precinfer_contrast c = h_contrast(r, k);
        h_expect((c.slice == NULL) == (names[k] == NULL) && (!c.slice || !strcmp(c.slice, names[k])),
                 "contrast %zu is slice %s", k, c.slice ? c.slice : "-");
        h_expect(c.samples == n[k], "%s: %llu samples, not %zu", c.slice, (unsigned long long)c.samples, n[k]);
        if (k < 5 && k != 3) h_expect(close_to(c.estimate, (double)same[k] / (double)n[k]), "%s: %g", c.slice, c.estimate);
        h_expect(k == 0 ? !c.by : !strcmp(c.by, k < 5 ? "region" : "label"), "by");
    }
    const struct precinfer_contrast east = h_contrast(r, 1), north = h_contrast(r, 2), nowhere = h_contrast(r, 3),
        south = h_contrast(r, 4);
    h_expect(east.limit == 0.9 && south.limit == 0.5 && nowhere.limit == 0.7, "margins");
    h_expect(north.verdict == PRECINFER_PASS && south.verdict == PRECINFER_FAIL && east.verdict == PRECINFER_FAIL &&
             nowhere.verdict == PRECINFER_UNDECIDED && nowhere.units == 0 && nowhere.needed > 0, "verdicts");
    h_expect(south.blamed && east.blamed && !north.blamed && !nowhere.blamed && !h_contrast(r, 0).blamed, "blame");
    h_expect(h_info(r).verdict == PRECINFER_FAIL && h_info(r).needed_samples != 0, "one fails");
    size_t small = 0;
    for (size_t k = 10; k < precinfer_report_contrasts(r); k++) {
        const struct precinfer_contrast c = h_contrast(r, k);
        h_expect(c.samples < 50 && c.verdict == PRECINFER_NO_LIMIT && !c.needed && !strcmp(c.by, "user"), "user %s", c.slice);
        small++;
    }
    h_expect(small > 500, "%zu users", small);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    /* one fails, those before and after it pass */
    g = h_gate(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"cosine\", \"min\": -0.9}, {\"metric\": "
               "\"agreement\", \"min\": 0.99},"
                    "{\"metric\": \"topk\", \"k\": 5, \"max_drop\": \"5pt\"}]}");
    h_feed_all(g, &s);
    r = h_look(g);
    h_expect(h_contrast(r, 0).verdict == PRECINFER_PASS && h_contrast(r, 1).verdict == PRECINFER_FAIL &&
             h_contrast(r, 2).verdict == PRECINFER_PASS &&
             h_info(r).verdict == PRECINFER_FAIL && h_info(r).needed_samples == 0, "pass, fail, pass: %d",
                 (int)h_info(r).verdict);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    /* what a slice needs, of all samples: it is a share of them */
    for (size_t i = 0; i < s.n; i++) if (s.region[i] && !strcmp(s.region[i], "south")) memcpy(s.cand[i], s.ref[i],
        sizeof s.cand[i]);
    g = h_gate(ctx, "{\"precinfer_policy\": 1, \"slices\": [{\"by\": \"region\", \"metric\": \"agreement\", \"min\": 0.01, "
               "\"margins\": {\"north\": 0.998}}]}");
    ck_assert(!h_feed(g, &s, 0, 300, 100, s.region, NULL, &err));
    r = h_look(g);
    for (size_t k = 0; k < 3; k++) {
        const struct precinfer_contrast c = h_contrast(r, k);
        size_t known = 0;
        for (size_t i = 0; i < 300; i++) known += s.region[i] != NULL;
        if (!strcmp(c.slice, "north"))
            h_expect(c.verdict == PRECINFER_UNDECIDED && c.needed > 500 &&
                     fabs((double)h_info(r).needed_samples - (double)c.needed * (double)known / (double)c.units) <= 1,
                     "north needs %lld, so %lld of all", (long long)c.needed, (long long)h_info(r).needed_samples);
        else h_expect(c.verdict == PRECINFER_PASS, "%s: %d", c.slice, (int)c.verdict);
    }
    precinfer_report_free(r);
    precinfer_gate_free(g);
    /* every slice too small to be judged: nothing was shown */
    g = h_gate(ctx, "{\"precinfer_policy\": 1, \"slices\": [{\"by\": \"user\", \"metric\": \"agreement\", \"min\": 0.01, "
               "\"min_samples\": 5000}]}");
    ck_assert(!h_feed(g, &s, 0, s.n, 100, s.user, NULL, &err));
    r = h_look(g);
    h_expect(h_info(r).verdict == PRECINFER_UNDECIDED, "no slice was judged, and the verdict is %d", (int)h_info(r).verdict);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

/* Holm by hand, on p values from exact tail sums: Clopper-Pearson's p is P(X >= x) at the limit. */
static double tail(int x, int n, double p)
{
    double sum = 0;
    for (int k = x; k <= n; k++) sum += exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p));
    return sum;
}
START_TEST(holm)
{
    enum { SLICES = 6, EACH = 100 };
    for (int seed = 0; seed < 40; seed++) {
        struct precinfer_error err = { 0 };
        int bad[SLICES] = { 0 }, order[SLICES], blamed[SLICES] = { 0 };
        double p[SLICES];
        h_reseed(seed);
        h_samples(&s, SLICES * EACH, 0);
        for (size_t i = 0; i < s.n; i++) {
            const size_t k = i % SLICES;
            snprintf(s.users[i], sizeof s.users[i], "%zu", k);
            if (h_below(100) < 10 + (k < 3 ? h_below(18) : 0)) { s.cand[i][(s.top_r[i] + 1) % H_LOGITS] += 9; bad[k]++; }
        }
        precinfer_gate *g = h_gate(ctx, "{\"precinfer_policy\": 1, \"n\": 600, \"slices\": [{\"by\": \"user\", \"metric\": "
                                   "\"agreement\", \"min\": 0.9}]}");
        ck_assert_msg(!h_feed(g, &s, 0, s.n, 100, s.user, NULL, &err), "%s", err.text);
        precinfer_report *r = h_look(g);
        for (int k = 0; k < SLICES; k++) { p[k] = tail(bad[k], EACH, 0.1); order[k] = k; }
        for (int i = 0; i < SLICES; i++) for (int k = i + 1; k < SLICES; k++) if (p[order[k]] < p[order[i]]) { const int x =
            order[i]; order[i] = order[k]; order[k] = x; }
        for (int i = 0; i < SLICES && p[order[i]] <= 0.05 / (SLICES - i); i++) blamed[order[i]] = 1;
        for (size_t k = 0; k < SLICES; k++) {
            const struct precinfer_contrast c = h_contrast(r, k);
            h_expect(c.blamed == blamed[k], "seed %d, slice %zu: %d of 100, p %g: blamed %d", seed, k, bad[k], p[k], c.blamed);
            h_expect((c.verdict == PRECINFER_FAIL) == (p[k] < 0.05), "seed %d, slice %zu: p %g, verdict %d", seed, k, p[k],
                     (int)c.verdict);
        }
        precinfer_report_free(r);
        precinfer_gate_free(g);
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    const struct { const char *name; const TTest *test; int loops; } tests[] = {
        { "figures", figures, METRICS }, { "sets", sets, 1 }, { "shapes", shapes, 1 }, { "fixed_n", fixed_n, 1 },
            { "slices", slices, 1 }, { "holm", holm, 1 } };
    Suite *suite = suite_create("verify_gate");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *c = tcase_create(tests[i].name);
        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_loop_test(c, tests[i].test, 0, tests[i].loops);
        tcase_set_timeout(c, 60);
        suite_add_tcase(suite, c);
    }
    return suite;
}
