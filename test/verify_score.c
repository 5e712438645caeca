/* Score bounds against Tango's closed form, Wilson's interval, and a straight search for the most likely distribution. */
#include <math.h>
#include "harness.h"
#include "../lib/verify/score.h"

static const struct pi_allocator *const A = &pi_default_allocator;

static struct pi_evidence exact(const double *values, const uint64_t *counts, size_t n)
{
    struct pi_evidence e;
    struct precinfer_error err;
    ck_assert_msg(!pi_evidence_exact(A, &e, values, n, &err), "%s", err.text);
    for (size_t i = 0; i < n; i++) ck_assert_msg(!pi_evidence_add(A, &e, values[i], counts[i], &err), "%s", err.text);
    return e;
}
static struct pi_evidence paired(uint64_t b, uint64_t c, uint64_t n)
{ return exact((double[]){ 1, -1, 0 }, (uint64_t[]){ b, c, n - b - c }, 3); }

/* Tango (1998): the larger root of 2n q^2 + B q + C is the chance of -1 where the mean is D. */
static double tango(double b, double c, double n, double D)
{
    const double B = -b - c + (2 * n - b + c) * D, C = -c * D * (1 - D);
    const double q = (sqrt(B * B - 8 * n * C) - B) / (4 * n);
    return (b - c - n * D) / sqrt(n * (2 * q + D * (1 - D)));
}
static double tango_upper(double b, double c, double n, double z)
{
    double lo = (b - c) / n, hi = 1;
    for (int i = 0; i < 200; i++) {
        const double D = (lo + hi) / 2;
        if (tango(b, c, n, D) > -z) lo = D; else hi = D;
    }
    return hi;
}

START_TEST(closed_form)
{
    static const uint64_t ns[] = { 5, 44, 100, 1000, 50000 };
    for (size_t i = 0; i < 5; i++)
        for (uint64_t b = 0; b <= 40 && b <= ns[i]; b += b < 3 ? 1 : 9)
            for (uint64_t c = 0; b + c <= ns[i] && c <= 40; c += c < 3 ? 1 : 9)
                for (int a = 0; a < 2; a++) {
                    const double alpha = a ? 0.05 : 0.005, z = a ? 1.6448536269514722 : 2.5758293035489004;
                    struct pi_evidence e = paired(b, c, ns[i]);
                    const double up = pi_score_upper(&e, alpha), lo = pi_score_lower(&e, alpha);
                    const double want = b == ns[i] ? 1 : tango_upper((double)b, (double)c, (double)ns[i], z);
                    const double least = c == ns[i] ? -1 : -tango_upper((double)c, (double)b, (double)ns[i], z);
                    h_expect(fabs(up - want) < 1e-9 && fabs(lo - least) < 1e-9,
                        "b %d, c %d, n %d: %.12g to %.12g, not %.12g to %.12g",
                             (int)b, (int)c, (int)ns[i], lo, up, least, want);
                    pi_evidence_free(A, &e);
                }
    h_finish();
}
END_TEST

/* Tango's example: 43 lenses disinfected by both, 1 by one only: Z = 1.709 against a difference of 0.1. */
START_TEST(published)
{
    struct pi_evidence m = exact((double[]){ -0.9, 1.1, 0.1 }, (uint64_t[]){ 1, 0, 43 }, 3);
    const double p = pi_score_p_below(&m);
    h_expect(fabs(-pi_normal_quantile(p) - 1.709) < 5e-4 && fabs(p - 0.044) < 5e-4, "Z %g, p %g", -pi_normal_quantile(p), p);
    pi_evidence_free(A, &m);
    h_finish();
}
END_TEST

/* Two values: Wilson's interval. */
START_TEST(wilson)
{
    for (int n = 1; n < 3000; n = n * 3 + 1)
        for (int x = 0; x <= n; x += 1 + n / 7) {
            struct pi_evidence e = exact((double[]){ 0, 1 }, (uint64_t[]){ (uint64_t)(n - x), (uint64_t)x }, 2);
            const double z = 1.6448536269514722, p = (double)x / n, k = z * z / n;
            const double middle = (p + k / 2) / (1 + k), half = z * sqrt(p * (1 - p) / n + k / (4 * n)) / (1 + k);
            const double want = x == n ? 1 : middle + half, least = x == 0 ? 0 : middle - half;
            h_expect(fabs(pi_score_upper(&e, 0.05) - want) < 1e-9 && fabs(pi_score_lower(&e, 0.05) - least) < 1e-9,
                     "%d of %d: %.12g to %.12g, not %.12g to %.12g", x, n, pi_score_lower(&e, 0.05), pi_score_upper(&e, 0.05),
                         least, want);
            pi_evidence_free(A, &e);
        }
    h_finish();
}
END_TEST

/* Four values, as a share of the reference has them: the statistic at the bound, its distribution found by ascent. */
static double likelihood(const double *d, const uint64_t *c, double u, double v, double m, double *variance)
{
    /* masses u, v of the first two; the others from sum 1 and mean m */
    const double rest = 1 - u - v, p3 = (m - u * d[0] - v * d[1] - rest * d[2]) / (d[3] - d[2]), p2 = rest - p3,
        p[4] = { u, v, p2, p3 };
    double sum = 0;
    *variance = 0;
    for (int i = 0; i < 4; i++) {
        if (p[i] < 0 || (p[i] == 0 && c[i])) return -INFINITY;
        if (c[i]) sum += (double)c[i] * log(p[i]);
        *variance += p[i] * (d[i] - m) * (d[i] - m);
    }
    return sum;
}
START_TEST(four_values)
{
    h_reseed(_i);
    for (int round = 0; round < 12; round++) {
        const double r = 0.9 + 0.09 * (double)h_unit(), d[4] = { -1, r - 1, 0, r };
        const uint64_t c[4] = { h_below(5), 40 + h_below(200), 20 + h_below(50), h_below(6) };
        struct pi_evidence e = exact(d, c, 4);
        const double up = pi_score_upper(&e, 0.05), mean = pi_evidence_mean(&e);
        double best = -INFINITY, u = 0, v = 0, variance = 0, other, step;
        for (int i = 0; i <= 400; i++)          /* coarse, then nearer and nearer */
            for (int j = 0; j <= 400; j++) {
                const double l = likelihood(d, c, i / 4000.0, j / 400.0, up, &other);
                if (l > best) best = l, u = i / 4000.0, v = j / 400.0;
            }
        for (step = 1e-3; step > 1e-9; step *= 0.7)
            for (int k = 0; k < 60; k++) {
                const double x = u + step * (double)h_unit() * (k % 2), y = v + step * (double)h_unit(),
                    l = likelihood(d, c, x < 0 ? 0 : x, y, up, &other);
                if (l >= best) best = l, u = x < 0 ? 0 : x, v = y, variance = other;
            }
        likelihood(d, c, u, v, up, &variance);
        const double z = (up - mean) * sqrt((double)e.count / variance);
        h_expect(fabs(z - 1.6448536) < 2e-3, "counts %d %d %d %d: z %g at %g", (int)c[0], (int)c[1], (int)c[2], (int)c[3], z, up);
        pi_evidence_free(A, &e);
    }
    h_finish();
}
END_TEST

START_TEST(normal)
{
    for (int i = -380; i <= 380; i++) {
        const double z = i / 10.0 * (i % 7 ? 0.3 : 1), want = erfc(z / M_SQRT2) / 2;
        h_expect(fabs(pi_normal_tail(z) - want) <= 1e-12 * want, "tail(%g) = %.15g, not %.15g", z, pi_normal_tail(z), want);
    }
    static const struct { double p, z; } q[] = { { 0.95, 1.6448536269514722 }, { 0.975, 1.9599639845400545 },
        { 0.8, 0.8416212335729143 },
        { 0.5, 0 }, { 0.001, -3.0902323061678132 }, { 1e-10, -6.361340902404056 } };
    for (size_t i = 0; i < 6; i++) h_expect(fabs(pi_normal_quantile(q[i].p) - q[i].z) < 1e-12, "quantile(%g) = %.15g", q[i].p,
        pi_normal_quantile(q[i].p));
    h_expect(pi_normal_tail(-INFINITY) == 1 && pi_normal_tail(INFINITY) == 0, "ends");
    h_finish();
}
END_TEST

START_TEST(ends)
{
    struct pi_evidence e = paired(0, 0, 0);
    h_expect(pi_score_upper(&e, 0.05) == 1 && pi_score_lower(&e, 0.05) == -1 && pi_score_p_below(&e) == 1, "nothing seen");
    pi_evidence_free(A, &e);
    e = paired(10, 0, 10);
    h_expect(pi_score_upper(&e, 0.05) == 1 && pi_score_lower(&e, 0.05) > 0.4 && pi_score_p_below(&e) < 1e-3, "all lost: %g",
        pi_score_lower(&e, 0.05));
    pi_evidence_free(A, &e);
    for (int lost = 0; lost < 40; lost++) {     /* a bound is <= 0 exactly where p of the mirror says so */
        e = exact((double[]){ -1.01, -0.01, 0.99 }, (uint64_t[]){ 7, 1000, (uint64_t)lost }, 3);
        struct pi_evidence m = exact((double[]){ 1.01, 0.01, -0.99 }, (uint64_t[]){ 7, 1000, (uint64_t)lost }, 3);
        h_expect((pi_score_upper(&e, 0.05) <= 0) == (pi_score_p_below(&m) <= 0.05), "%d lost: %g, %g", lost,
            pi_score_upper(&e, 0.05), pi_score_p_below(&m));
        h_expect((pi_score_lower(&e, 0.05) >= 0) == (pi_score_p_below(&e) <= 0.05), "%d lost: %g, %g", lost,
            pi_score_lower(&e, 0.05), pi_score_p_below(&e));
        pi_evidence_free(A, &e);
        pi_evidence_free(A, &m);
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("verify_score");
    h_add(s, "closed_form", closed_form, 1, 60);
    h_add(s, "published", published, 1, 60);
    h_add(s, "wilson", wilson, 1, 60);
    h_add(s, "four_values", four_values, 4, 60);
    h_add(s, "normal", normal, 1, 60);
    h_add(s, "ends", ends, 1, 60);
    return s;
}
