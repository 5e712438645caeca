/* Poisson weights, studentized bounds of a mean, F1 and AUC: against the definitions, replicate by replicate. */
#include <math.h>
#include "harness.h"
#include "../lib/verify/bootstrap.h"

static const struct pi_allocator *const A = &pi_default_allocator;
enum { R = PI_REPLICATES };
static double unit(void) { return (double)(h_rnd64() >> 11) * 0x1p-53; }
static double normal(void) { return sqrt(-2 * log(1 - unit())) * cos(2 * M_PI * unit()); }

/* Shares of every value, over ids beside each other and over replicates; weights of two ids or replicates go their own ways. */
START_TEST(poisson)
{
    enum { IDS = 16384 };
    double n[16] = { 0 }, sum = 0, square = 0, beside = 0, next = 0, twin = 0, want = exp(-1);
    const double all = (double)IDS * R;
    for (uint64_t id = 0; id < IDS; id++)
        for (unsigned r = 0; r < R; r++) {
            const unsigned k = pi_poisson(id, r);
            h_expect(k < 16 && (r > 10 || k == pi_poisson(id, r)), "draw %u", k);
            n[k & 15]++;
            sum += k;
            square += (double)k * k;
            if (id % 16) continue;
            beside += (k - 1.0) * (pi_poisson(id + 1, r) - 1.0);
            next += (k - 1.0) * (pi_poisson(id, r ^ 1) - 1.0);
            twin += (k - 1.0) * (pi_poisson(id ^ (uint64_t)1 << (id / 16 % 64), r) - 1.0);
        }
    for (int k = 0; k < 10; k++) {
        h_expect(fabs(n[k] - all * want) < 5 * sqrt(all * want) + 1, "%d: %.0f times, expected %.0f", k, n[k], all * want);
        want /= k + 1;
    }
    h_expect(fabs(sum / all - 1) < 5 / sqrt(all) && fabs(square / all - 2) < 5 * 5 / sqrt(all), "moments %g, %g", sum / all,
        square / all);
    const double some = all / 16, most = 5 / sqrt(some);
    h_expect(fabs(beside / some) < most && fabs(next / some) < 2 * most && fabs(twin / some) < most, "correlations %g, %g, %g",
             beside / some, next / some, twin / some);
    h_finish();
}
END_TEST

static int up(const void *a, const void *b) { const double x = *(const double *)a,
    y = *(const double *)b; return (x > y) - (x < y); }
/* The bounds by definition, from each replicate's estimate and error. */
static void limits(double estimate, double se, double *t, double alpha, double *lower, double *upper, double *p)
{
    const int k = (int)(alpha * (R + 1) + 1e-9);
    int n = 1;
    qsort(t, R, sizeof *t, up);
    *upper = estimate - t[k - 1] * se;
    *lower = estimate - t[R - k] * se;
    for (int i = 0; i < R; i++) n += t[i] >= estimate / se;
    *p = n / (R + 1.0);
}

START_TEST(mean)
{
    enum { N = 150 };
    struct precinfer_error err;
    struct pi_boot_mean b, half[2];
    double d[N], t[R], lower, upper, lo, hi, p, x = 0, v = 0;
    h_reseed(_i);
    h_expect(!pi_boot_mean_new(A, &b, &err) && !pi_boot_mean_new(A, &half[0], &err) && !pi_boot_mean_new(A, &half[1], &err),
        "%s", err.text);
    for (int i = 0; i < N; i++) {
        d[i] = exp(normal()) - 1.4 - _i * 0.3;
        pi_boot_mean_add(&b, (uint64_t)i * 77, d[i], 1);
        pi_boot_mean_add(&half[i % 2], (uint64_t)i * 77, d[i], 1);
        x += d[i] / N;
    }
    for (int i = 0; i < N; i++) v += (d[i] - x) * (d[i] - x) / (N - 1);
    for (unsigned r = 0; r < R; r++) {
        double w = 0, m = 0, q = 0;
        for (int i = 0; i < N; i++) { const double k = pi_poisson((uint64_t)i * 77, r); w += k; m += k * d[i]; }
        m /= w;
        for (int i = 0; i < N; i++) q += pi_poisson((uint64_t)i * 77, r) * (d[i] - m) * (d[i] - m);
        t[r] = (m - x) / sqrt(q / (w - 1) / w);
    }
    limits(x, sqrt(v / N), t, 0.05, &lo, &hi, &p);
    pi_boot_mean_bounds(&b, 0.05, &lower, &upper);
    h_expect(fabs(lower - lo) < 1e-9 && fabs(upper - hi) < 1e-9, "%g to %g, not %g to %g", lower, upper, lo, hi);
    h_expect(fabs(pi_boot_mean_p_below(&b) - p) < 1e-12, "p %g, not %g", pi_boot_mean_p_below(&b), p);
    h_expect((lower > 0) == (p <= 0.05), "lower %g, p %g", lower, p);
    pi_boot_mean_merge(&half[0], &half[1]);
    pi_boot_mean_bounds(&half[0], 0.05, &lo, &hi);
    h_expect(fabs(lower - lo) < 1e-9 && fabs(upper - hi) < 1e-9, "merged: %g to %g, not %g to %g", lo, hi, lower, upper);
    pi_boot_mean_bounds(&b, 1e-4, &lower, &upper);
    h_expect(lower == -INFINITY && upper == INFINITY, "more than replicates can tell: %g to %g", lower, upper);
    pi_boot_mean_free(A, &b);
    pi_boot_mean_free(A, &half[0]);
    pi_boot_mean_free(A, &half[1]);
    h_finish();
}
END_TEST

START_TEST(mean_ends)
{
    struct precinfer_error err;
    struct pi_boot_mean b;
    double lower, upper;
    h_expect(!pi_boot_mean_new(A, &b, &err), "%s", err.text);
    for (int i = 0; i < 29; i++) pi_boot_mean_add(&b, (uint64_t)i, -0.125, 1);
    pi_boot_mean_bounds(&b, 0.05, &lower, &upper);
    h_expect(lower == -INFINITY && upper == INFINITY && pi_boot_mean_p_below(&b) == 1, "29 samples");
    pi_boot_mean_add(&b, 29, -0.125, 1);
    pi_boot_mean_bounds(&b, 0.05, &lower, &upper);
    h_expect(lower == -0.125 && upper == -0.125 && pi_boot_mean_p_below(&b) == 1, "a constant: %g to %g", lower, upper);
    pi_boot_mean_add(&b, 30, 5, 1);                /* one that stands out: a third of the replicates never see it */
    pi_boot_mean_bounds(&b, 0.05, &lower, &upper);
    h_expect(upper == INFINITY, "one that stands out: %g to %g", lower, upper);
    pi_boot_mean_free(A, &b);
    /* few that differ, or none: what they would lose is not seen yet */
    for (int differ = 0; differ <= 30; differ += 10) {
        ck_assert(!pi_boot_mean_new(A, &b, &err));
        for (int i = 0; i < 299; i++) pi_boot_mean_add(&b, (uint64_t)i, -1 - i % 7, i < differ);
        pi_boot_mean_bounds(&b, 0.05, &lower, &upper);
        h_expect(differ == 30 ? upper < -3 && lower > -5 : upper == INFINITY && lower == -INFINITY, "%d differ: %g to %g", differ, lower, upper);
        pi_boot_mean_add(&b, 299, -1, 0);
        pi_boot_mean_bounds(&b, 0.05, &lower, &upper);
        h_expect(!differ || differ == 30 ? upper < -3 : upper == INFINITY, "%d of 300 differ: %g to %g", differ, lower, upper);
        pi_boot_mean_free(A, &b);
    }
    /* samples of one cluster: as wide as the clusters alone are */
    struct pi_boot_mean c;
    double l2, u2;
    h_expect(!pi_boot_mean_new(A, &b, &err) && !pi_boot_mean_new(A, &c, &err), "%s", err.text);
    for (int i = 0; i < 400; i++) {
        const double d = normal();
        pi_boot_mean_add(&b, (uint64_t)i, d, 1);
        for (int k = 0; k < 4; k++) pi_boot_mean_add(&c, (uint64_t)i, d, 1);
    }
    pi_boot_mean_bounds(&b, 0.05, &lower, &upper);
    pi_boot_mean_bounds(&c, 0.05, &l2, &u2);
    h_expect(fabs((u2 - l2) / (upper - lower) - 1) < 0.02, "clusters of four: %g, alone %g", u2 - l2, upper - lower);
    pi_boot_mean_free(A, &b);
    pi_boot_mean_free(A, &c);
    h_finish();
}
END_TEST

/* One-sided 95% of skewed and of even data; 0.05 of 600 gates is 30 +- 5.3. */
START_TEST(coverage)
{
    struct precinfer_error err;
    int above = 0, below = 0;
    const int gates = 600, n = _i ? 120 : 300;
    h_reseed(_i);
    for (int g = 0; g < gates; g++) {
        struct pi_boot_mean b;
        double lower, upper;
        h_expect(!pi_boot_mean_new(A, &b, &err), "%s", err.text);
        for (int i = 0; i < n; i++) pi_boot_mean_add(&b, h_rnd64(), _i ? normal() : -log(1 - unit()) - 1, 1);
        pi_boot_mean_bounds(&b, 0.05, &lower, &upper);
        above += lower > 0;
        below += upper < 0;
        pi_boot_mean_free(A, &b);
    }
    h_expect(abs(above - 30) <= 18 && abs(below - 30) <= 18, "true mean below the lower bound %d times, above the upper %d",
        above, below);
    h_finish();
}
END_TEST

/* Metrics by definition, weights given. AUC: pairs; its error from placements. */
struct data { int n; uint64_t id[200]; int y[200]; double s[2][200]; };
static double area(const struct data *t, const double *w, const double *s, double *place)
{
    double sum = 0, m[2] = { 0 };
    for (int i = 0; i < t->n; i++) m[t->y[i]] += w[i];
    for (int i = 0; i < t->n; i++) {
        place[i] = 0;
        for (int j = 0; j < t->n; j++) {
            if (t->y[i] == t->y[j]) continue;
            const double pos = t->y[i] ? s[i] : s[j], neg = t->y[i] ? s[j] : s[i];
            place[i] += w[j] * (pos > neg ? 1 : pos == neg ? 0.5 : 0) / m[!t->y[i]];
        }
        if (t->y[i]) sum += w[i] * place[i] / m[1];
    }
    return sum;
}
static double auc(const struct data *t, const double *w, double a, double *se, double *metric)
{
    double p[2][200], m[2] = { 0 }, v[2] = { 0 };
    for (int k = 0; k < 2; k++) metric[k] = area(t, w, t->s[k], p[k]);
    const double c = a * metric[0] - metric[1];
    for (int i = 0; i < t->n; i++) m[t->y[i]] += w[i];
    for (int i = 0; i < t->n; i++) { const double x = a * p[0][i] - p[1][i] - c; v[t->y[i]] += w[i] * x * x; }
    *se = sqrt(v[0] / (m[0] - 1) / m[0] + v[1] / (m[1] - 1) / m[1]);
    return c;
}
static double f1(const struct data *t, const double *w, double a, double *se, double *metric)
{
    double size[2] = { 0 }, n = 0, v = 0;
    for (int k = 0; k < 2; k++) {
        double hit = 0;
        for (int i = 0; i < t->n; i++) { hit += w[i] * (t->y[i] && t->s[k][i] == 1); size[k] += w[i] * (t->y[i] + t->s[k][i]); }
        metric[k] = 2 * hit / size[k];
    }
    for (int i = 0; i < t->n; i++) n += w[i];
    for (int i = 0; i < t->n; i++) {
        double move = 0;
        for (int k = 0; k < 2; k++)
            move += (k ? -1 : a) * (2 * (t->y[i] && t->s[k][i] == 1) - metric[k] * (t->y[i] + t->s[k][i])) / (size[k] / n);
        v += w[i] * move * move;
    }
    *se = sqrt(v / n / (n - 1));
    return a * metric[0] - metric[1];
}

START_TEST(sets)
{
    struct precinfer_error err;
    const enum pi_set_metric metric = _i % 2 ? PI_SET_AUC : PI_SET_F1;
    const double a = _i < 2 ? 1 : 0.98, c = _i < 2 ? 0.01 : 0;
    static struct data t;
    struct pi_boot_set *b, *half[2];
    double w[200], *z = malloc(R * sizeof *z), se, error, m[2], other[2], lo, hi, p;
    h_reseed(_i);
    t.n = 120 + _i;
    h_expect(!pi_boot_set_new(A, metric, &b, &err) && !pi_boot_set_new(A, metric, &half[0], &err) &&
             !pi_boot_set_new(A, metric, &half[1], &err), "%s", err.text);
    for (int i = 0; i < t.n; i++) {
        t.id[i] = h_rnd64() | (unsigned)(i / 2 % 2);
        if (i % 10 == 9) t.id[i] = t.id[i - 1];                 /* a cluster */
        t.y[i] = unit() < 0.4;
        const double s = t.y[i] * 0.8 + normal();
        t.s[0][i] = metric == PI_SET_F1 ? s > 0.4 : floor(s * 4);       /* ties */
        t.s[1][i] = metric == PI_SET_F1 ? (unit() < 0.1) != (s > 0.4) : floor((s + 0.3 * normal()) * 5);
        w[i] = 1;
        h_expect(!pi_boot_set_add(b, t.id[i], t.y[i], t.s[0][i], t.s[1][i], &err), "%s", err.text);
        h_expect(!pi_boot_set_add(half[i > 40], t.id[i], t.y[i], t.s[0][i], t.s[1][i], &err), "%s", err.text);
    }
    const double estimate = metric == PI_SET_AUC ? auc(&t, w, a, &se, m) : f1(&t, w, a, &se, m);
    double sum = 0, square = 0;
    for (unsigned r = 0; r < R; r++) {
        for (int i = 0; i < t.n; i++) w[i] = pi_poisson(t.id[i], r);
        const double x = metric == PI_SET_AUC ? auc(&t, w, a, &error, other) : f1(&t, w, a, &error, other);
        z[r] = (x - estimate) / error;
        sum += (x - estimate) / R;
        square += (x - estimate) * (x - estimate) / R;
    }
    limits(estimate - c, se, z, 0.05, &lo, &hi, &p);
    struct pi_set_result r, again;
    h_expect(!pi_boot_set_result(b, a, c, 0.05, &r, &err), "%s", err.text);
    h_expect(fabs(r.reference - m[0]) < 1e-9 && fabs(r.candidate - m[1]) < 1e-9 && fabs(r.estimate - (estimate - c)) < 1e-9,
        "%g, %g, not %g, %g",
             r.reference, r.candidate, m[0], m[1]);
    h_expect(fabs(r.lower - lo) < 1e-5 && fabs(r.upper - hi) < 1e-5, "%g to %g, not %g to %g", r.lower, r.upper, lo, hi);
    h_expect(fabs(r.p_below - p) < 0.0025 && fabs(r.sd - sqrt(square - sum * sum)) < 1e-5, "p %g, %g; sd %g", r.p_below, p, r.sd);
    h_expect(!pi_boot_set_merge(half[0], half[1], &err) && !pi_boot_set_result(half[0], a, c, 0.05, &again, &err), "%s",
        err.text);
    h_expect(fabs(again.lower - r.lower) < 1e-9 && fabs(again.upper - r.upper) < 1e-9 && again.reference == r.reference,
        "merged");
    pi_boot_set_free(b);
    pi_boot_set_free(half[0]);
    pi_boot_set_free(half[1]);
    free(z);
    h_finish();
}
END_TEST

START_TEST(set_ends)
{
    struct precinfer_error err = { 0 };
    struct pi_set_result r;
    struct pi_boot_set *b, *f;
    h_expect(!pi_boot_set_new(A, PI_SET_AUC, &b, &err) && !pi_boot_set_new(A, PI_SET_F1, &f, &err), "%s", err.text);
    h_expect(!pi_boot_set_result(b, 1, 0, 0.05, &r, &err) && isnan(r.reference) && isnan(r.candidate) && r.upper == INFINITY &&
        r.lower == -INFINITY, "nothing");
    h_expect(!pi_boot_set_result(f, 1, 0, 0.05, &r, &err) && isnan(r.reference) && r.upper == INFINITY && r.p_below == 1,
        "nothing");
    h_expect(pi_boot_set_merge(b, f, &err) == PRECINFER_INVALID, "two metrics");
    h_expect(pi_boot_set_add(f, 1, 1, 0.5, 0, &err) == PRECINFER_INVALID && pi_boot_set_add(b, 1, 1, NAN, 0,
        &err) == PRECINFER_INVALID, "no score");
    for (uint64_t i = 0; i < 40; i++) h_expect(!pi_boot_set_add(b, i, 1, (double)i, (double)i, &err) &&
        !pi_boot_set_add(f, i, 0, 0, 0, &err), "%s", err.text);
    h_expect(!pi_boot_set_result(b, 1, 0, 0.05, &r, &err) && isnan(r.reference) && r.upper == INFINITY, "no negative");
    h_expect(!pi_boot_set_result(f, 1, 0, 0.05, &r, &err) && isnan(r.reference) && r.upper == INFINITY, "no positive");
    for (uint64_t i = 0; i < 40; i++) h_expect(!pi_boot_set_add(b, 100 + i, 0, -INFINITY, 20.5, &err) &&
        !pi_boot_set_add(f, 100 + i, 1, 1, 1, &err), "%s", err.text);
    h_expect(!pi_boot_set_result(b, 1, 0.6, 0.05, &r, &err) && r.reference == 1 && fabs(r.candidate - 19.0 / 40) < 1e-12 &&
        r.lower < r.estimate && r.estimate < r.upper, "AUC %g", r.candidate);
    /* the same predictions, 80 times: 3.7% may differ, and F1 moves by that times 80 / (40 + 40) */
    const double may = 1 - pow(0.05, 1 / 80.0);
    h_expect(!pi_boot_set_result(f, 1, 0.01, 0.05, &r, &err) && r.reference == 1 && r.candidate == 1 && r.p_below == 1,
        "the same");
    h_expect(fabs(r.upper - (may - 0.01)) < 1e-9 && fabs(r.lower - (-may - 0.01)) < 1e-9, "the same predictions: %g to %g",
        r.lower, r.upper);
    h_expect(!pi_boot_set_result(f, 0.5, -0.6, 0.05, &r, &err) && fabs(r.upper - (may + 0.1)) < 1e-9 &&
             fabs(r.p_below - pow(0.9, 80)) < 1e-9, "a share of one half: %g, p %g", r.upper, r.p_below);
    for (uint64_t i = 0; i < 9; i++) h_expect(!pi_boot_set_add(f, 200 + i, 1, 1, 0, &err), "%s", err.text);
    h_expect(!pi_boot_set_result(f, 1, 0, 0.05, &r, &err) && r.upper > 0.15 && r.lower < -0.15, "nine differ: %g to %g",
        r.lower, r.upper);
    h_expect(!pi_boot_set_add(f, 300, 1, 1, 0, &err) && !pi_boot_set_result(f, 1, 0, 0.05, &r, &err) && r.lower > 0.04 &&
        r.upper < 0.25,
             "ten differ: %g to %g", r.lower, r.upper);
    pi_boot_set_free(b);
    pi_boot_set_free(f);
    pi_boot_set_free(NULL);
    h_finish();
}
END_TEST

/* Every allocation fails in turn: an error, nothing lost, nothing leaked. */
START_TEST(memory)
{
    for (long at = 1;; at++) {
        struct h_host h = { .fail_at = at };
        const struct pi_allocator a = { &h, h_alloc, h_release };
        struct precinfer_error err;
        struct pi_boot_set *b = NULL;
        struct pi_boot_mean m = { 0 };
        struct pi_evidence e = { 0 };
        struct pi_set_result r;
        int rc = pi_boot_set_new(&a, _i ? PI_SET_AUC : PI_SET_F1, &b, &err);
        for (uint64_t i = 0; i < 300 && !rc; i++) rc = pi_boot_set_add(b, i, i % 3 == 0, i % 2, i % 5 == 1, &err);
        if (!rc) rc = pi_boot_set_result(b, 1, 0, 0.05, &r, &err);
        if (!rc) rc = pi_boot_mean_new(&a, &m, &err);
        if (!rc) rc = pi_evidence_lattice(&e, 0, 1, &err);
        for (int i = 0; i < 100 && !rc; i++) rc = pi_evidence_add(&a, &e, i / 100.0, 1, &err);
        h_expect(rc == (h.failed ? PRECINFER_NO_MEMORY : 0), "allocation %ld: %d", at, rc);
        pi_boot_set_free(b);
        pi_boot_mean_free(&a, &m);
        pi_evidence_free(&a, &e);
        h_expect(!h.live, "allocation %ld: %ld blocks left", at, h.live);
        if (!h.failed) break;
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("verify_bootstrap");
    h_add(s, "poisson", poisson, 1, 60);
    h_add(s, "mean", mean, 3, 60);
    h_add(s, "mean_ends", mean_ends, 1, 60);
    h_add(s, "coverage", coverage, 2, 60);
    h_add(s, "sets", sets, 4, 60);
    h_add(s, "set_ends", set_ends, 1, 60);
    h_add(s, "memory", memory, 2, 60);
    return s;
}
