/* Evidence (atoms, lattice, merging) and the betting confidence sequence: against straight sums, and by exact enumeration. */
#include <math.h>
#include "harness.h"
#include "../lib/verify/betting.h"

static const struct pi_allocator *const A = &pi_default_allocator;

static struct pi_evidence exact(const double *values, size_t n)
{
    struct pi_evidence e;
    struct precinfer_error err;
    ck_assert_msg(!pi_evidence_exact(A, &e, values, n, &err), "%s", err.text);
    return e;
}
static void add(struct pi_evidence *e, double d, uint64_t times)
{
    struct precinfer_error err;
    ck_assert_msg(!pi_evidence_add(A, e, d, times, &err), "%s", err.text);
}
static double unit(void) { return (double)(h_rnd64() >> 11) * 0x1p-53; }

START_TEST(atoms)
{
    struct precinfer_error err = { 0 };
    struct pi_evidence e = exact((double[]){ 0.25, -1.5, 0.25, -0.0, 0.0 }, 5), f;
    h_expect(e.n == 3 && e.low == -1.5 && e.high == 0.25 && e.exact && !e.count, "three values, ascending: %zu", e.n);
    add(&e, 0.25, 2);
    add(&e, -1.5, 1);
    add(&e, 1e-12, 4);                          /* rounding of what computed it */
    add(&e, 0.25, 0);
    h_expect(e.n == 3 && e.atoms[0].count == 1 && e.atoms[1].count == 4 && e.atoms[2].count == 2 && e.count == 7, "counts");
    h_expect(fabs(pi_evidence_mean(&e) - (0.5 - 1.5) / 7) < 1e-15, "mean %g", pi_evidence_mean(&e));
    h_expect(pi_evidence_add(A, &e, 0.1, 1, &err) == PRECINFER_INVALID && e.count == 7, "a value that d cannot have");
    h_expect(pi_evidence_add(A, &e, NAN, 1, &err) == PRECINFER_INVALID, "NaN");
    h_expect(pi_evidence_add(A, &e, 0, UINT64_MAX / 2, &err) == PRECINFER_INVALID && e.count == 7, "more than can be counted");
    f = exact((double[]){ 0, 0.25, -1.5 }, 3);
    add(&f, 0, 3);
    h_expect(!pi_evidence_merge(A, &e, &f, &err) && e.count == 10 && e.atoms[1].count == 7, "merged");
    pi_evidence_free(A, &f);
    f = exact((double[]){ 0, 0.25, -1.25 }, 3);
    h_expect(pi_evidence_merge(A, &e, &f, &err) == PRECINFER_INVALID && e.count == 10, "other bounds");
    pi_evidence_free(A, &f);
    pi_evidence_free(A, &e);
    h_expect(pi_evidence_exact(A, &e, NULL, 0, &err) == PRECINFER_INVALID &&
             pi_evidence_exact(A, &e, (double[]){ INFINITY }, 1, &err) == PRECINFER_INVALID, "no values");
    h_expect(pi_evidence_mean(&(struct pi_evidence){ 0 }) == 0, "mean of nothing");
    h_finish();
}
END_TEST

START_TEST(lattice)
{
    struct precinfer_error err = { 0 };
    struct pi_evidence e, parts[2];
    const double lo = -0.3, hi = 1.1, width = (hi - lo) / PI_LATTICE;
    h_expect(!pi_evidence_lattice(&e, lo, hi, &err) && !pi_evidence_lattice(&parts[0], lo, hi, &err) &&
             !pi_evidence_lattice(&parts[1], lo, hi, &err), "%s", err.text);
    double sum = 0;
    uint64_t beyond = 0;
    for (int i = 0; i < 30000; i++) {
        /* on edges, beside them, at and beyond the ends */
        const double at = lo + width * (double)h_below(3000) * 20;
        const double d = i == 0 ? lo : i == 1 ? hi : i == 2 ? lo - 1 : i == 3 ? INFINITY : i % 3 ? at : i % 2
            ? nextafter(at, -9) : nextafter(at, 9);
        const double in = d < lo ? lo : d > hi ? hi : d;
        const uint64_t before = e.count;
        if (d != in) beyond += 1 + i % 2;
        add(&e, d, 1 + i % 2);
        add(&parts[h_below(2)], d, 1 + i % 2);
        h_expect(e.count == before + 1 + i % 2, "count");
        size_t holds = 0;
        for (size_t k = 0; k < e.n && i < 300; k++) {
            const struct precinfer_atom *t = &e.atoms[k];
            h_expect(t->low < t->high && t->high - t->low < width * 1.001 && (!k || t[-1].high <= t->low), "bin %zu", k);
            holds += t->low <= in && in <= t->high && t->count;
        }
        h_expect(i >= 300 || holds, "%.17g is in no bin", d);
        sum += in * (1 + i % 2);
    }
    h_expect(e.clipped == beyond && beyond >= 3 && e.n > 1000, "clipped %llu", (unsigned long long)e.clipped);
    h_expect(fabs(pi_evidence_mean(&e) - sum / (double)e.count) < width, "mean");
    h_expect(!pi_evidence_merge(A, &parts[0], &parts[1], &err), "%s", err.text);
    h_expect(parts[0].n == e.n && parts[0].count == e.count && parts[0].clipped == e.clipped &&
             !memcmp(parts[0].atoms, e.atoms, e.n * sizeof *e.atoms), "merged parts are the whole, bit for bit");
    for (size_t k = 0; k < e.n; k++) {          /* an atom read back from a report falls into its own bin */
        const uint64_t n = parts[1].n;
        const uint64_t c = e.atoms[k].count;
        add(&parts[0], e.atoms[k].low / 2 + e.atoms[k].high / 2, c);
        h_expect(parts[0].n == e.n && parts[0].atoms[k].count == 2 * c && n == parts[1].n, "bin %zu", k);
    }
    for (int i = 0; i < 2; i++) pi_evidence_free(A, &parts[i]);
    pi_evidence_free(A, &e);
    h_expect(pi_evidence_lattice(&e, 1, 1, &err) && pi_evidence_lattice(&e, 0, INFINITY, &err) &&
        pi_evidence_lattice(&e, NAN, 1, &err) &&
             pi_evidence_lattice(&e, 1, 1 + 1e-14, &err) && pi_evidence_lattice(&e, -1.7e308, 1.7e308, &err), "no interval");
    h_finish();
}
END_TEST

/* P(wealth against a true mean ever reaches 1 / alpha) <= alpha, counted over every path of `n` draws. Two atoms: a random
 * walk whose paths that were never rejected are carried along, by how many had the high value. */
static double ever(double p, int n, double alpha, int above)
{
    double alive[301] = { 1 }, gone = 0;
    struct pi_evidence e = exact((double[]){ -1, 1 }, 2);
    for (int i = 1; i <= n; i++) {
        for (int k = i; k >= 0; k--) alive[k] = (k < i ? alive[k] * (1 - p) : 0) + (k ? alive[k - 1] * p : 0);
        for (int k = 0; k <= i; k++) {
            e.atoms[0].count = (uint64_t)(i - k);
            e.atoms[1].count = (uint64_t)k;
            e.count = (uint64_t)i;
            const double m = 2 * p - 1;
            if ((above ? pi_bet_against_above(&e, m) : pi_bet_against_below(&e, m)) < -log(alpha)) continue;
            gone += alive[k];
            alive[k] = 0;
        }
    }
    pi_evidence_free(A, &e);
    return gone;
}
START_TEST(ville)
{
    static const double ps[] = { 0.02, 0.1, 0.5, 0.9, 0.98 };
    for (int above = 0; above < 2; above++) {
        const double p = ps[_i], at = ever(p, 300, 0.05, above);
        h_expect(at <= 0.05 && at > 0.0005, "p %g: rejected at some look with probability %g", p, at);
    }
    h_finish();
}
END_TEST

/* Wealth by definition, in long double, with the fractions found by probing: a single winning sample grows each bet by
 * 1 + f x, so wealth of one sample is 1 + (mean fraction) x, linear in x. */
START_TEST(wealth)
{
    struct pi_evidence e = exact((double[]){ -2, -1, 0, 1, 2 }, 5);
    double mean = 0;
    for (int i = 0; i < 4; i++) {               /* at m = 0: d pays -d / 2 of the fraction */
        const double d = i - 2 + (i > 1);
        for (size_t k = 0; k < e.n; k++) e.atoms[k].count = e.atoms[k].low == d;
        e.count = 1;
        const double up = (exp(pi_bet_against_above(&e, 0)) - 1) / (-d / 2),
            down = (exp(pi_bet_against_below(&e, 0)) - 1) / (d / 2);
        if (!i) mean = up;
        h_expect(fabs(up - mean) < 1e-12 && fabs(down - mean) < 1e-12 && mean > 0.05 && mean < 0.95, "d %g: %g, %g, %g", d,
            up, down, mean);
    }
    /* lots and one by one: the same; a big count is no overflow */
    for (size_t k = 0; k < e.n; k++) e.atoms[k].count = 4 + k;
    e.count = 30;
    const double before = pi_bet_against_above(&e, 1.5);
    struct pi_evidence f;
    struct precinfer_error err;
    h_expect(!pi_evidence_lattice(&f, -2, 2, &err), "%s", err.text);
    f.exact = 1;                                /* the same atoms, twice each, halved in count */
    struct precinfer_atom twice[10];
    for (size_t k = 0; k < 10; k++) twice[k] = (struct precinfer_atom){ e.atoms[k / 2].low, e.atoms[k / 2].low,
        (4 + k / 2 + k % 2) / 2 };
    f.atoms = twice;
    f.n = 10;
    f.count = 30;
    h_expect(fabs(pi_bet_against_above(&f, 1.5) - before) < 1e-12 * fabs(before), "split atoms");
    for (size_t k = 0; k < e.n; k++) e.atoms[k].count = k == 1 ? 1000000000 : 0;
    e.count = 1000000000;
    h_expect(pi_bet_against_above(&e, 0) > 1e8 && isfinite(pi_bet_against_above(&e, 0)) &&
        pi_bet_against_below(&e, 0) < -1000, "1e9 of one kind");
    h_expect(pi_bet_p_below(&e) == 1, "p of a clear pass");
    h_expect(pi_bet_against_above(&(struct pi_evidence){ .low = -1, .high = 1 }, 0) == 0, "nothing seen");
    pi_evidence_free(A, &e);
    h_finish();
}
END_TEST

/* Monotonic in m; bounds are where wealth crosses 1 / alpha, enclose the mean, shrink, mirror, and agree with p. */
START_TEST(bounds)
{
    h_reseed(_i);
    for (int round = 0; round < 60; round++) {
        const double v = 0.002 + 0.05 * unit(), alpha = round % 2 ? 0.05 : 0.01;
        struct pi_evidence e = exact((double[]){ -1 - v, -v, 1 - v }, 3), mirror = exact((double[]){ 1 + v, v, v - 1 }, 3);
        add(&e, -v, 1 + h_below(4000));
        add(&e, 1 - v, h_below(60));
        add(&e, -1 - v, h_below(60));
        for (size_t k = 0; k < 3; k++) mirror.count += mirror.atoms[k].count = e.atoms[2 - k].count;
        const double up = pi_bet_upper(&e, alpha), lo = pi_bet_lower(&e, alpha), mean = pi_evidence_mean(&e), step = 1e-9;
        h_expect(e.low <= lo && lo <= mean && mean <= up && up <= e.high, "%g <= %g <= %g", lo, mean, up);
        h_expect(up == e.high || (pi_bet_against_above(&e, up + step) >= -log(alpha) &&
            pi_bet_against_above(&e, up - step) <= -log(alpha)), "upper %g", up);
        h_expect(lo == e.low || (pi_bet_against_below(&e, lo - step) >= -log(alpha) &&
            pi_bet_against_below(&e, lo + step) <= -log(alpha)), "lower %g", lo);
        h_expect(fabs(pi_bet_upper(&mirror, alpha) + lo) < 1e-9 && fabs(pi_bet_lower(&mirror, alpha) + up) < 1e-9, "mirrored");
        h_expect((up <= 0) == (pi_bet_against_above(&e, 0) >= -log(alpha)) &&
            (lo >= 0) == (pi_bet_against_below(&e, 0) >= -log(alpha)), "zero");
        h_expect((pi_bet_p_below(&e) <= alpha) == (lo >= 0), "p %g, lower %g", pi_bet_p_below(&e), lo);
        double last = -INFINITY;
        for (int i = 0; i <= 50; i++) {
            const double w = pi_bet_against_above(&e, e.low + (e.high - e.low) * i / 50);
            h_expect(w >= last - 1e-9 * fabs(w), "wealth falls at %d", i);
            last = w;
        }
        for (size_t k = 0; k < 3; k++) e.atoms[k].count *= 4;
        e.count *= 4;
        h_expect(pi_bet_upper(&e, alpha) - pi_bet_lower(&e, alpha) < up - lo, "four times as many are no narrower");
        pi_evidence_free(A, &e);
        pi_evidence_free(A, &mirror);
    }
    h_finish();
}
END_TEST

/* Upper bounds count a bin as its upper edge and lower bounds as its lower: never inside of what exact values give. */
START_TEST(edges)
{
    h_reseed(_i);
    struct precinfer_error err;
    struct pi_evidence e, coarse;
    double values[64];
    for (int i = 0; i < 64; i++) values[i] = 2 * unit() - 1;
    values[0] = -1;
    values[1] = 1;
    e = exact(values, 64);
    h_expect(!pi_evidence_lattice(&coarse, -1, 1, &err), "%s", err.text);
    for (int i = 0; i < 2000; i++) {
        const double d = values[h_below(64)];
        add(&e, d, 1);
        add(&coarse, d, 1);
    }
    const double up = pi_bet_upper(&e, 0.05), wide = pi_bet_upper(&coarse, 0.05), lo = pi_bet_lower(&e, 0.05),
        deep = pi_bet_lower(&coarse, 0.05);
    h_expect(wide > up && wide < up + 2.1 / PI_LATTICE, "upper: lattice %.9g, exact %.9g", wide, up);
    h_expect(deep < lo && deep > lo - 2.1 / PI_LATTICE, "lower: lattice %.9g, exact %.9g", deep, lo);
    pi_evidence_free(A, &e);
    pi_evidence_free(A, &coarse);
    h_finish();
}
END_TEST

START_TEST(ends)
{
    struct pi_evidence e = exact((double[]){ -0.01, 0.99 }, 2);
    h_expect(pi_bet_upper(&e, 0.05) == 0.99 && pi_bet_lower(&e, 0.05) == -0.01 && pi_bet_p_below(&e) == 1, "nothing seen");
    add(&e, -0.01, 1);
    h_expect(pi_bet_upper(&e, 0.05) > 0.8, "one sample says little: %g", pi_bet_upper(&e, 0.05));
    add(&e, -0.01, 100000);
    h_expect(pi_bet_lower(&e, 0.05) == -0.01 && pi_bet_upper(&e, 0.05) < -0.0099 && pi_bet_upper(&e, 0.05) > -0.01,
        "all at the low end: %g",
             pi_bet_upper(&e, 0.05));
    e.atoms[0].count = 0;
    e.atoms[1].count = e.count = 100000;
    h_expect(pi_bet_upper(&e, 0.05) == 0.99 && pi_bet_lower(&e, 0.05) > 0.9899 && pi_bet_p_below(&e) < 1e-12,
        "all at the high end");
    pi_evidence_free(A, &e);
    e = exact((double[]){ -0.5 }, 1);           /* d has one value only */
    add(&e, -0.5, 10);
    h_expect(pi_bet_upper(&e, 0.05) == -0.5 && pi_bet_lower(&e, 0.05) == -0.5, "one value");
    pi_evidence_free(A, &e);
    h_finish();
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("verify_betting");
    h_add(s, "atoms", atoms, 1, 60);
    h_add(s, "lattice", lattice, 1, 60);
    h_add(s, "wealth", wealth, 1, 60);
    h_add(s, "ville", ville, 5, 60);
    h_add(s, "bounds", bounds, 2, 60);
    h_add(s, "edges", edges, 2, 60);
    h_add(s, "ends", ends, 1, 60);
    return s;
}
