/* Clopper-Pearson bounds against exact binomial sums and published values; what verdicts follow; exp, log, log gamma. */
#include <math.h>
#include "harness.h"
#include "../lib/base/math.h"
#include "../lib/verify/bounds.h"

/* P(from <= X <= to) for X ~ Binomial(n, p): a sum of products, no logarithms. */
static long double tail(int from, int to, int n, long double p)
{
    long double sum = 0;
    for (int x = from; x <= to; x++) {
        long double t = 1;
        for (int i = 0; i < x; i++) t *= (long double)(n - i) / (long double)(i + 1) * p;
        for (int i = x; i < n; i++) t *= 1 - p;
        sum += t;
    }
    return sum;
}

/* The bound is the p at which the tail is alpha: a little to its left and right the tail is on either side. */
START_TEST(tails)
{
    static const double alphas[] = { 0.05, 0.025 };
    for (int n = 1; n <= 60; n += n < 12 ? 1 : 7)
        for (int x = 0; x <= n; x++) {
            const double alpha = alphas[_i], lo = pi_cp_lower(x, n, alpha), hi = pi_cp_upper(x, n, alpha), e = 1e-9;
            h_expect(0 <= lo && lo <= (double)x / n && (double)x / n <= hi && hi <= 1, "%d of %d: %g to %g", x, n, lo, hi);
            if (x == 0) h_expect(lo == 0, "0 of %d: lower bound %g", n, lo);
            else h_expect(tail(x, n, n, lo - e) < alpha && tail(x, n, n, lo + e) > alpha,
                          "%d of %d: lower %.12g: tail %.12Lg", x, n, lo, tail(x, n, n, lo));
            if (x == n) h_expect(hi == 1, "all of %d: upper bound %g", n, hi);
            else h_expect(tail(0, x, n, hi - e) > alpha && tail(0, x, n, hi + e) < alpha,
                          "%d of %d: upper %.12g: tail %.12Lg", x, n, hi, tail(0, x, n, hi));
        }
    h_finish();
}
END_TEST

/* Closed forms, and values that tables print: the rule of three is the first of them. */
START_TEST(published)
{
    static const struct { int x, n, upper; double alpha, want; } t[] = {
        { 0, 10, 1, 0.05, 0.2589 }, { 8, 10, 0, 0.05, 0.4931 }, { 10, 10, 0, 0.05, 0.7411 }, { 0, 100, 1, 0.05, 0.0295 },
        { 8, 10, 0, 0.025, 0.4439 }, { 8, 10, 1, 0.025, 0.9748 }, { 5, 10, 0, 0.025, 0.1871 }, { 5, 10, 1, 0.025, 0.8129 },
        { 1, 20, 1, 0.025, 0.2487 }, { 1, 20, 0, 0.025, 0.0013 }, { 50, 100, 0, 0.025, 0.3983 }, { 50, 100, 1, 0.025, 0.6017 } };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        const double got = t[i].upper ? pi_cp_upper(t[i].x, t[i].n, t[i].alpha) : pi_cp_lower(t[i].x, t[i].n, t[i].alpha);
        h_expect(fabs(got - t[i].want) < 5.1e-5, "%d of %d, %s: %.6f, printed is %.4f", t[i].x, t[i].n, t[i].upper
                 ? "upper" : "lower", got, t[i].want);
    }
    for (int64_t n = 1; n < 2000000; n = n * 3 + 1) {
        const double want = -expm1(log(0.05) / (double)n), got = pi_cp_upper(0, n, 0.05);       /* 1 - 0.05^(1/n) */
        h_expect(fabs(got - want) < 1e-9 * want + 1e-12, "0 of %lld: %.12g, not %.12g", (long long)n, got, want);
        h_expect(fabs(pi_cp_lower(n, n, 0.05) - (1 - want)) < 1e-9, "%lld of as many", (long long)n);
        h_expect(fabs(pi_cp_lower(n - n / 3, n, 0.025) + pi_cp_upper(n / 3, n, 0.025) - 1) < 1e-9, "%lld: not symmetric",
                 (long long)n);
    }
    h_expect(fabs(pi_beta(0.3, 1, 1) - 0.3) < 1e-12 && fabs(pi_beta(0.5, 7, 7) - 0.5) < 1e-12 && pi_beta(0, 2, 3) == 0 &&
             pi_beta(1, 2, 3) == 1, "beta");
    h_expect(fabs(pi_beta(0.4, 2, 3) - (double)tail(2, 4, 4, 0.4L)) < 1e-12, "beta(0.4, 2, 3)");
    h_finish();
}
END_TEST

/* For every true p the bound holds with at least its confidence: all outcomes weighed with their probabilities. */
START_TEST(coverage)
{
    for (int n = 1; n <= 20; n += 3)
        for (int i = 0; i <= 40; i++) {
            const double p = i / 40.0;
            long double lower = 0, upper = 0;
            for (int x = 0; x <= n; x++) {
                const long double weight = tail(x, x, n, p);
                if (pi_cp_lower(x, n, 0.05) <= p) lower += weight;
                if (pi_cp_upper(x, n, 0.05) >= p) upper += weight;
            }
            h_expect(lower >= 0.95L - 1e-12L && upper >= 0.95L - 1e-12L, "n %d, p %g: covered %.6Lf and %.6Lf", n, p, lower,
                     upper);
        }
    h_finish();
}
END_TEST

START_TEST(verdicts)
{
    /* agreement of 90%: 10 of 10 can still be 74%, 29 of 29 is at least 90.2%, 28 of 28 only 89.9% */
    h_expect(pi_agreement_verdict(0, 0, 0.9) == 0, "no samples");
    h_expect(pi_agreement_verdict(10, 10, 0.9) == 0 && pi_agreement_verdict(28, 28, 0.9) == 0 &&
             pi_agreement_verdict(29, 29, 0.9) == 1, "all agree");
    h_expect(pi_agreement_verdict(40, 100, 0.9) == -1 && pi_agreement_verdict(88, 100, 0.9) == 0, "fewer agree");
    h_expect(pi_agreement_verdict(5, 10, 0) == 1 && pi_agreement_verdict(100000, 100000, 1) == 0 &&
             pi_agreement_verdict(99999, 100000, 1) != 1, "limits at the ends");
    /* a drop of at most 1 point: what was lost less what was gained */
    h_expect(pi_drop_verdict(0, 0, 0, 0.01) == 0 && pi_drop_verdict(0, 0, 100, 0.01) == 0, "few samples");
    h_expect(pi_drop_verdict(0, 0, 1000, 0.01) == 1 && pi_drop_verdict(300, 0, 1000, 0.01) == -1 &&
             pi_drop_verdict(12, 10, 1000, 0.01) == 0, "drop");
    h_expect(pi_drop_verdict(0, 300, 1000, 0.01) == 1 && pi_drop_verdict(0, 300, 1000, 0) == 1, "a gain passes");
    for (int lost = 0; lost <= 30; lost += 3)
        for (int gained = 0; gained <= 30; gained += 3)
            h_expect(pi_drop_verdict(lost, gained, 200, 0.02) >= pi_drop_verdict(lost + 3, gained, 200, 0.02) &&
                     pi_drop_verdict(lost, gained, 200, 0.02) <= pi_drop_verdict(lost, gained + 3, 200, 0.02),
                         "lost %d, gained %d: not monotonic", lost, gained);
    h_finish();
}
END_TEST

/* So many samples decide at the rates seen, and a good deal fewer do not. */
START_TEST(needed)
{
    const int64_t all = pi_agreement_needed(10, 10, 0.9);
    h_expect(all == 29, "10 of 10 for 90%%: %lld", (long long)all);
    const int64_t some = pi_agreement_needed(95, 100, 0.9);
    h_expect(some > 100 && some < 1000 && pi_agreement_verdict(some * 95 / 100 + 1, some, 0.9) == 1 &&
             pi_agreement_verdict(some * 3 / 4 * 95 / 100, some * 3 / 4, 0.9) == 0,
             "95 of 100 for 90%%: %lld", (long long)some);
    const int64_t fewer = pi_agreement_needed(85, 100, 0.9);
    h_expect(fewer > 100 && pi_agreement_verdict(fewer * 85 / 100, fewer, 0.9) == -1, "85 of 100 for 90%%: %lld",
             (long long)fewer);
    h_expect(pi_agreement_needed(90, 100, 0.9) == -1, "exactly at the limit: no number decides");
    h_expect(pi_agreement_needed(10, 10, 1) == -1, "100%% cannot be shown");
    h_expect(pi_agreement_needed(0, 0, 0.9) == -1 && pi_drop_needed(0, 0, 0, 0.1) == -1, "no samples have no rate");
    const int64_t drop = pi_drop_needed(0, 0, 100, 0.01);
    h_expect(drop >= 367 && drop <= 370, "nothing lost, 1 point: %lld", (long long)drop);
    /* 1 - 0.025^(1/n) <= 0.01: n = 368 */
    const int64_t both = pi_drop_needed(3, 1, 100, 0.05);
    h_expect(both > 100 && pi_drop_verdict((both * 3 + 50) / 100, (both + 50) / 100, both, 0.05) == 1,
             "3 lost, 1 gained: %lld", (long long)both);
    h_finish();
}
END_TEST

static double off(double got, double want)
{ return got == want ? 0 : fabs(got - want) / (fabs(want) > 1e-300 ? fabs(want) : 1e-300); }

START_TEST(functions)
{
    for (int i = 0; i < 20000; i++) {
        const double u = (double)h_unit(), x = u * 700, y = pi_math_exp(u * 300);
        h_expect(off(pi_math_exp(x), exp(x)) < 1e-12, "exp(%.17g) = %.17g, not %.17g", x, pi_math_exp(x), exp(x));
        h_expect(off(pi_math_log(y), log(y)) < 1e-12 || fabs(pi_math_log(y) - log(y)) < 1e-15,
                 "log(%.17g) = %.17g, not %.17g", y, pi_math_log(y), log(y));
        const double z = 1e-3 + exp((u + 1) * 8), want = lgamma(z);
        h_expect(fabs(pi_math_log_gamma(z) - want) <= 1e-12 * (fabs(want) > 1 ? fabs(want) : 1),
                 "log_gamma(%.17g) = %.17g, not %.17g", z, pi_math_log_gamma(z), want);
    }
    for (int i = 1; i <= 170; i++) {            /* factorials */
        long double f = 0;
        for (int k = 2; k < i; k++) f += logl((long double)k);
        h_expect(fabs(pi_math_log_gamma(i) - (double)f) <= 1e-12 * ((double)f > 1 ? (double)f : 1), "log_gamma(%d)", i);
    }
    for (int i = -30; i <= 30; i++)
        h_expect(pi_math_log(ldexp(1, i)) == i * M_LN2 || off(pi_math_log(ldexp(1, i)), i * M_LN2) < 1e-15, "log 2^%d", i);
    h_expect(pi_math_exp(0) == 1 && pi_math_log(1) == 0, "exp 0, log 1");
    h_expect(pi_math_exp(1000) == INFINITY && pi_math_exp(-1000) == 0 && pi_math_exp(-INFINITY) == 0 &&
             isnan(pi_math_exp(NAN)), "ends of exp");
    h_expect(pi_math_log(0) == -INFINITY && isnan(pi_math_log(-1)) && isnan(pi_math_log(NAN)) &&
             pi_math_log(INFINITY) == INFINITY, "ends of log");
    h_expect(off(pi_math_exp(-740), exp(-740)) < 1e-2 && off(pi_math_log(1e-310), log(1e-310)) < 1e-12, "subnormals");
    h_expect(off(pi_math_exp(709.7), exp(709.7)) < 1e-12 && off(pi_math_exp(-700), exp(-700)) < 1e-12, "near the ends");
    h_finish();
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("verify_bounds");
    h_add(s, "tails", tails, 2, 60);
    h_add(s, "published", published, 1, 60);
    h_add(s, "coverage", coverage, 1, 60);
    h_add(s, "verdicts", verdicts, 1, 60);
    h_add(s, "needed", needed, 1, 60);
    h_add(s, "functions", functions, 1, 60);
    return s;
}
