/* How many would do: power at the printed n, by every outcome or by simulated gates. */
#include <math.h>
#include "harness.h"
#include "../lib/verify/betting.h"
#include "../lib/verify/bounds.h"
#include "../lib/verify/power.h"
#include "../lib/verify/score.h"

static const struct pi_allocator *const A = &pi_default_allocator;
static double unit(void) { return (double)(h_rnd64() >> 11) * 0x1p-53; }
static double normal(void) { return sqrt(-2 * log(1 - unit())) * cos(2 * M_PI * unit()); }

static double mass(int64_t x, int64_t n, double p)
{
    if (p <= 0 || p >= 1) return x == (p <= 0 ? 0 : n);
    return exp(lgamma((double)n + 1) - lgamma((double)x + 1) - lgamma((double)(n - x) + 1) + (double)x * log(p) +
               (double)(n - x) * log1p(-p));
}

/* Chance that a gate on a drop passes at one look, over all (lost, gained). */
static double drop_power(enum pi_bound_method method, int64_t n, double disagreement, double drop)
{
    struct pi_evidence e;
    struct precinfer_error err;
    double power = 0, seen = 0;
    ck_assert(!pi_evidence_exact(A, &e, (double[]){ -1 - drop, -drop, 1 - drop }, 3, &err));
    for (int64_t k = 0; k <= n; k++) {          /* disagreements; lost of them */
        const double w = mass(k, n, disagreement);
        if (w < 1e-7) continue;
        for (int64_t lost = 0; lost <= k; lost++) {
            const double chance = w * mass(lost, k, 0.5);
            if (chance < 1e-7) continue;
            e.atoms[0].count = (uint64_t)(k - lost);
            e.atoms[1].count = (uint64_t)(n - k);
            e.atoms[2].count = (uint64_t)lost;
            e.count = (uint64_t)n;
            seen += chance;
            if (method == PI_BETTING ? pi_bet_upper(&e, 0.05) <= 0 : method == PI_SCORE ? pi_score_upper(&e, 0.05) <= 0
                : pi_drop_verdict(lost, k - lost, n, drop) == 1) power += chance;
        }
    }
    pi_evidence_free(A, &e);
    h_expect(seen > 0.999, "outcomes: %g", seen);
    return power;
}
START_TEST(drops)
{
    static const struct { double disagreement, drop; } t[] = { { 0.002, 0.01 }, { 0.005, 0.005 }, { 0.02, 0.01 },
        { 0.01, 0.02 } };
    for (int m = 0; m < 3; m++) {
        const int64_t n = pi_needed_paired((enum pi_bound_method)m, t[_i].disagreement, 0.8, 1, t[_i].drop, 0.05);
        const double power = n > 0 ? drop_power((enum pi_bound_method)m, n, t[_i].disagreement, t[_i].drop) : 0;
        const double less = n > 1 ? drop_power((enum pi_bound_method)m, n * 4 / 5, t[_i].disagreement, t[_i].drop) : 1;
        h_expect(power > 0.798 && less < 0.8, "method %d, disagreement %g, drop %g: power %g at %lld, %g at four fifths", m,
                 t[_i].disagreement, t[_i].drop, power, (long long)n, less);
    }
    h_finish();
}
END_TEST

/* Large n, and shares of the reference, where the right ones vary too: simulated. */
static int64_t binomial(int64_t n, double p)            /* by its normal limit where n p is in the hundreds                 */
{
    int64_t x = 0;
    if (n > 5000) return (int64_t)((double)n * p + sqrt((double)n * p * (1 - p)) * normal() + 0.5);
    for (int64_t i = 0; i < n; i++) x += unit() < p;
    return x;
}
START_TEST(simulated)
{
    static const struct { double disagreement, share, drop; } t[] = { { 0.2, 1, 0.01 }, { 0.1, 0.98, 0 },
        { 0.05, 0.9, 0.005 }, { 0.3, 1, 0.0005 } };
    const double D = t[_i].disagreement, right = 0.7;
    h_reseed(_i);
    for (int m = 0; m < 3; m += 2) {
        const int64_t n = pi_needed_paired((enum pi_bound_method)m, D, right, t[_i].share, t[_i].drop, 0.05);
        const double d[4] = { t[_i].share - 1 - t[_i].drop, t[_i].share - t[_i].drop, -1 - t[_i].drop, -t[_i].drop };
        struct pi_evidence e;
        struct precinfer_error err;
        int pass = 0;
        const int gates = 1500;
        h_expect(n > 30 && !pi_evidence_exact(A, &e, d, 4, &err), "n %lld", (long long)n);
        for (int g = 0; g < gates; g++) {
            const int64_t lost = binomial(n, D / 2), gained = binomial(n, D / 2), both = binomial(n - lost - gained,
                (right - D / 2) / (1 - D));
            const int64_t count[4] = { both, lost, gained, n - lost - gained - both };
            for (size_t i = 0; i < 4; i++) e.atoms[i].count = 0;
            e.count = 0;
            for (int i = 0; i < 4; i++) h_expect(!pi_evidence_add(A, &e, d[i], (uint64_t)count[i], &err), "%s", err.text);
            pass += m ? pi_score_upper(&e, 0.05) <= 0 : pi_bet_against_above(&e, 0) >= log(20);
        }
        h_expect(fabs(pass - 0.805 * gates) < 0.045 * gates, "method %d, case %d: %d of %d pass at %lld", m, _i, pass, gates,
            (long long)n);
        pi_evidence_free(A, &e);
    }
    h_finish();
}
END_TEST

START_TEST(proportions)
{
    static const struct { double rate, limit; } t[] = { { 0.995, 0.99 }, { 0.97, 0.95 }, { 0.7, 0.5 }, { 1, 0.99 } };
    for (int m = 0; m < 3; m++) {
        const int64_t n = pi_needed_proportion((enum pi_bound_method)m, t[_i].rate, t[_i].limit, 0.05);
        for (int less = 0; less < 2; less++) {
            const int64_t k = less ? n * 3 / 4 : n;
            double power = 0;
            for (int64_t x = 0; x <= k; x++) {
                const double w = mass(x, k, t[_i].rate);
                if (w < 1e-8) continue;
                struct precinfer_atom a[2] = { { t[_i].limit - 1, t[_i].limit - 1, (uint64_t)x }, { t[_i].limit, t[_i].limit,
                    (uint64_t)(k - x) } };
                const struct pi_evidence e = { .low = a[0].low, .high = a[1].low, .atoms = a, .n = 2, .count = (uint64_t)k,
                    .exact = 1 };
                power += w * (m == PI_BETTING ? pi_bet_upper(&e, 0.05) <= 0 : m == PI_SCORE ? pi_score_upper(&e, 0.05) <= 0
                    : pi_agreement_verdict(x, k, t[_i].limit) == 1);
            }
            h_expect(less ? power < 0.8 : power > 0.798, "method %d, %g for %g: power %g at %lld", m, t[_i].rate, t[_i].limit,
                power, (long long)k);
        }
    }
    h_expect(pi_needed_proportion(PI_CLOPPER_PEARSON, 1, 0.99, 0.05) == 299, "none differ: %lld",
        (long long)pi_needed_proportion(PI_CLOPPER_PEARSON, 1, 0.99, 0.05));
    h_finish();
}
END_TEST

/* Of other contrasts: gates on d drawn from what was seen, shifted. */
START_TEST(others)
{
    struct pi_evidence seen, e;
    struct precinfer_error err;
    h_reseed(_i);
    const double mean = _i ? -0.01 : -0.02, bound = _i ? 0.5 : 1;
    h_expect(!pi_evidence_lattice(&seen, -bound, bound, &err), "%s", err.text);
    for (int i = 0; i < 3000; i++) h_expect(!pi_evidence_add(A, &seen, 0.01 + 0.1 * normal(), 1, &err), "%s", err.text);
    const int64_t n = pi_needed_shifted(&seen, mean, 0.05), plain = pi_needed_normal(0.1, mean, 0.05);
    h_expect(n > plain && n < 8 * plain, "n %lld, by the normal approximation %lld", (long long)n, (long long)plain);
    int pass = 0, pass_plain = 0;
    for (int g = 0; g < 400; g++) {
        double sum = 0, square = 0;
        h_expect(!pi_evidence_lattice(&e, -bound, bound, &err), "%s", err.text);
        for (int64_t i = 0; i < n; i++) {
            const double d = mean + 0.1 * normal();
            if (i < plain) sum += d, square += d * d;
            /* a coarse lattice is enough, and quick */
            h_expect(!pi_evidence_add(A, &e, floor(d * 500 + 0.5) / 500, 1, &err), "%s", err.text);
        }
        pass += pi_bet_upper(&e, 0.05) <= 0;
        sum /= (double)plain;
        pass_plain += sum + 1.645 * sqrt((square / (double)plain - sum * sum) / (double)plain) <= 0;
        pi_evidence_free(A, &e);
    }
    h_expect(pass > 0.74 * 400 && pass < 0.87 * 400, "%d of 400 pass at %lld", pass, (long long)n);
    h_expect(pass_plain > 0.74 * 400 && pass_plain < 0.86 * 400, "%d of 400 pass at %lld", pass_plain, (long long)plain);
    pi_evidence_free(A, &seen);
    h_finish();
}
END_TEST

START_TEST(ends)
{
    for (int m = 0; m < 3; m++) {
        const enum pi_bound_method b = (enum pi_bound_method)m;
        h_expect(pi_needed_paired(b, 0.02, 0.8, 1, 0, 0.05) == -1 && pi_needed_paired(b, 0.02, 0.8, 1, -0.01, 0.05) == -1,
            "no room");
        h_expect(pi_needed_paired(b, 0.02, 0.8, 1, 1e-7, 0.05) == -1, "too many");
        h_expect(pi_needed_paired(b, NAN, 0.8, 1, 0.01, 0.05) == -1, "no disagreement known");
        h_expect(pi_needed_paired(b, 0, 0.8, 1, 0.01, 0.05) > 100 && pi_needed_paired(b, 0, 0.8, 1, 0.01, 0.05) < 600,
            "none disagree");
        h_expect(pi_needed_paired(b, 0.9, 0.99, 1, 0.01, 0.05) == pi_needed_paired(b, 0.02, 0.99, 1, 0.01, 0.05),
            "as many as accuracy allows");
        h_expect(pi_needed_paired(b, 1, 1, 1, 0.01, 0.05) > 0 && pi_needed_paired(b, 1, 0, 1, 0.01, 0.05) > 0,
            "all right, all wrong");
        h_expect(pi_needed_proportion(b, 0.99, 0.99, 0.05) == -1 && pi_needed_proportion(b, 0.5, 0.99, 0.05) == -1,
            "at the limit");
        h_expect(pi_needed_proportion(b, 1, 1, 0.05) == -1, "nothing shows 100%%");
        int64_t last = 0;
        for (double D = 0.001; D < 0.5; D *= 2) {
            const int64_t n = pi_needed_paired(b, D, 0.6, 1, 0.01, 0.05);
            h_expect(n >= last - last / 50, "more disagreement, fewer samples: %lld after %lld", (long long)n, (long long)last);
            last = n;
        }
    }
    h_expect(pi_needed_normal(1, 0, 0.05) == -1 && pi_needed_normal(0, -1, 0.05) == 30 &&
        pi_needed_normal(1, -1e-6, 0.05) == -1 &&
             pi_needed_normal(1, -0.1, 0.05) == 619, "normal: %lld", (long long)pi_needed_normal(1, -0.1, 0.05));
    h_expect(pi_needed_shifted(&(struct pi_evidence){ .low = -1, .high = 1 }, -0.1, 0.05) == -1, "nothing seen");
    h_finish();
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("verify_power");
    h_add(s, "drops", drops, 4, 60);
    h_add(s, "simulated", simulated, 4, 60);
    h_add(s, "proportions", proportions, 4, 60);
    h_add(s, "others", others, 2, 60);
    h_add(s, "ends", ends, 1, 60);
    return s;
}
