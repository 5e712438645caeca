/* Figures that the host computes: of a sample, and of a whole set by bootstrap. */
#include "gate.h"
#include "../lib/base/alloc.h"
#include "../lib/verify/bootstrap.h"

static struct h_samples s;
static precinfer_context *ctx;
static void setup(void) { ck_assert(!precinfer_context_new(NULL, &ctx, NULL)); }
static void teardown(void) { precinfer_context_free(ctx); }

/* The host: notes the sample that it is shown, and means of scores over a set. */
struct host {
    size_t noted, at[H_MOST];
    size_t sets, sum_of_first;
    const unsigned char *only;          /* NULL, or which samples may have weight                                */
    int refuse, nan_candidate, nan_reference, stray;
};
static int sample(void *user, const char *name, const struct precinfer_judged *j, size_t i, double *r, double *c,
                  struct precinfer_error *err)
{
    struct host *h = user;
    if (h->refuse == 1) { snprintf(err->text, sizeof err->text, "the disk is gone"); return PRECINFER_IO; }
    const size_t index = (size_t)j->indexes[i];
    if (!strcmp(name, "mean")) {
        ck_assert(!r && !c);
        h->at[h->noted++] = index;
        return 0;
    }
    *r = s.score_r[index];
    *c = h->nan_candidate && index == 5 ? NAN : s.score_c[index];
    return 0;
}
static int set(void *user, const char *name, const unsigned char *weights, size_t n, double *r, double *c,
               struct precinfer_error *err)
{
    struct host *h = user;
    double w = 0, x = 0, y = 0;
    (void)name;
    if (h->refuse == 2) { snprintf(err->text, sizeof err->text, "no ranks"); return PRECINFER_UNSUPPORTED; }
    ck_assert_uint_eq(n, h->noted);
    for (size_t i = 0; i < n; i++) {
        if (h->only && !h->only[h->at[i]] && weights[i]) h->stray = 1;
        if (!h->sets) h->sum_of_first += weights[i];
        w += weights[i];
        x += weights[i] * s.score_r[h->at[i]];
        y += weights[i] * s.score_c[h->at[i]];
    }
    h->sets++;
    *r = h->nan_reference ? NAN : x / w;
    *c = h->nan_candidate ? NAN : y / w;
    return 0;
}
static struct host host;
static precinfer_gate *hosted(const char *json)
{
    const struct precinfer_figures_of of = { sizeof of, &host, sample, set };
    struct precinfer_error err = { 0 };
    precinfer_gate *g = h_gate(ctx, json);
    memset(&host, 0, sizeof host);
    ck_assert_msg(!precinfer_gate_figures(g, &of, &err), "%s", err.text);
    return g;
}

START_TEST(of_a_sample)                         /* the same contrast as from an array                                  */
{
    h_samples(&s, 600, 300);
    precinfer_gate *a = hosted("{\"precinfer_policy\":1,\"budgets\":[{\"metric\":\"score\",\"name\":\"own\",\"max_drop\":0.01,"
                               "\"bounds\":[-2,2]}]}");
    precinfer_gate *b = h_gate(ctx, "{\"precinfer_policy\":1,\"budgets\":[{\"metric\":\"score\",\"name\":\"quality\","
                                    "\"max_drop\":0.01,\"bounds\":[-2,2]}]}");
    h_feed_all(a, &s);
    h_feed_all(b, &s);
    precinfer_report *x = h_look(a), *y = h_look(b);
    const struct precinfer_contrast p = h_contrast(x, 0), q = h_contrast(y, 0);
    h_expect(p.estimate == q.estimate && p.lower == q.lower && p.upper == q.upper && p.verdict == q.verdict && p.samples == 600,
             "estimate %g and %g, upper %g and %g", p.estimate, q.estimate, p.upper, q.upper);
    precinfer_report_free(x);
    precinfer_report_free(y);
    precinfer_gate_free(a);
    precinfer_gate_free(b);
    h_finish();
}
END_TEST

static const char of_set[] = "{\"precinfer_policy\":1,\"budgets\":[{\"metric\":\"set\",\"name\":\"mean\",\"max_drop\":0.01}]}";

START_TEST(of_a_set)                            /* a mean, whose bounds the bootstrap of means gives nearly as well    */
{
    struct pi_boot_mean m;
    struct precinfer_error err = { 0 };
    double lower, upper;
    h_samples(&s, 900, 300);
    precinfer_gate *g = hosted(of_set);
    h_feed_all(g, &s);
    precinfer_report *r = h_look(g);
    const struct precinfer_contrast c = h_contrast(r, 0);
    ck_assert(!pi_boot_mean_new(&pi_default_allocator, &m, &err));
    double x = 0, y = 0;
    for (size_t i = 0; i < s.n; i++) {
        pi_boot_mean_add(&m, s.ids[i], s.score_r[i] - s.score_c[i], 1);
        x += s.score_r[i] / (double)s.n;
        y += s.score_c[i] / (double)s.n;
    }
    pi_boot_mean_bounds(&m, 0.05, &lower, &upper);
    pi_boot_mean_free(&pi_default_allocator, &m);
    const double wide = upper - lower;
    h_expect(fabs(c.estimate - (x - y)) < 1e-12 && fabs(c.reference - x) < 1e-12 && fabs(c.candidate - y) < 1e-12, "estimate %g, not %g", c.estimate, x - y);
    h_expect(fabs(c.lower - lower) < 0.1 * wide && fabs(c.upper - upper) < 0.1 * wide, "bounds %g %g, not about %g %g", c.lower, c.upper,
             lower, upper);
    h_expect(host.sets == PRECINFER_REPLICATES + 1 && host.sum_of_first == s.n, "%zu calls, %zu samples in the first", host.sets, host.sum_of_first);
    h_expect(c.verdict == PRECINFER_PASS && !c.exact && !c.sequential && strstr(c.method, "percentile"), "%s", c.method);
    precinfer_report_free(r);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

START_TEST(of_a_slice)                          /* samples of other slices weigh nothing                               */
{
    static unsigned char only[H_MOST];
    struct precinfer_error err = { 0 };
    h_samples(&s, 400, 300);
    precinfer_gate *g = hosted("{\"precinfer_policy\":1,\"slices\":[{\"by\":\"region\",\"metric\":\"set\",\"name\":\"mean\",\"max_drop\":0.05}]}");
    for (size_t i = 0; i < s.n; i++) if (i % 4) s.region[i] = NULL; else { s.region[i] = "here"; only[i] = 1; }
    host.only = only;
    ck_assert_msg(!h_feed(g, &s, 0, s.n, 50, s.region, NULL, &err), "%s", err.text);
    precinfer_report *r = h_look(g);
    h_expect(precinfer_report_contrasts(r) == 1 && h_contrast(r, 0).units == 100, "one slice of 100");
    h_expect(host.noted == 400, "the host was told of %zu samples, not of all", host.noted);
    h_expect(!host.stray, "a sample of no slice has weight");
    precinfer_report_free(r);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

START_TEST(refused)
{
    struct precinfer_error err = { 0 };
    precinfer_report *r = NULL;
    h_samples(&s, 100, 300);
    precinfer_gate *g = h_gate(ctx, of_set);
    h_expect(h_feed(g, &s, 0, 10, 10, NULL, NULL, &err) == PRECINFER_INVALID && strstr(err.text, "'mean'"), "no host: %s", err.text);
    precinfer_gate_free(g);
    for (int what = 1; what <= 2; what++) {
        g = hosted(of_set);
        host.refuse = what;
        int status = h_feed(g, &s, 0, s.n, 10, NULL, NULL, &err);
        if (what == 2) { ck_assert(!status); status = precinfer_gate_report(g, &r, &err); }
        h_expect(status == (what == 1 ? PRECINFER_IO : PRECINFER_UNSUPPORTED) && strstr(err.text, what == 1 ? "the disk is gone" : "no ranks")
                 && strstr(err.text, "mean"), "host refuses: %s", err.text);
        precinfer_gate_free(g);
    }
    g = hosted(of_set);
    h_feed_all(g, &s);
    host.nan_reference = 1;
    h_expect(precinfer_gate_report(g, &r, &err) == PRECINFER_INVALID && strstr(err.text, "reference"), "NaN reference: %s", err.text);
    host.nan_reference = 0;
    host.nan_candidate = 1;
    precinfer_gate_free(g);
    g = hosted(of_set);
    host.nan_candidate = 1;
    h_feed_all(g, &s);
    r = h_look(g);
    h_expect(h_contrast(r, 0).verdict != PRECINFER_PASS, "a candidate without a figure passes");
    const struct precinfer_figures_of of = { sizeof of, &host, sample, set }, small = { 8, &host, sample, set };
    h_expect(precinfer_gate_figures(g, &of, &err) == PRECINFER_INVALID && precinfer_gate_figures(NULL, &of, &err) == PRECINFER_INVALID
             && precinfer_gate_figures(g, NULL, &err) == PRECINFER_INVALID && precinfer_gate_figures(g, &small, &err) == PRECINFER_INVALID,
             "after the first sample, NULL, size");
    precinfer_report_free(r);
    precinfer_gate_free(g);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    const struct { const char *name; const TTest *test; } tests[] = { { "of_a_sample", of_a_sample }, { "of_a_set", of_a_set },
        { "of_a_slice", of_a_slice }, { "refused", refused } };
    Suite *suite = suite_create("verify_figures");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *c = tcase_create(tests[i].name);
        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, tests[i].test);
        suite_add_tcase(suite, c);
    }
    return suite;
}
