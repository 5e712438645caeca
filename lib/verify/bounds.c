#include "../base/math.h"
#include "bounds.h"

/* The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8), by Lentz's method. */
static double fraction(double x, double a, double b)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    if (d < tiny && d > -tiny) d = tiny;
    d = 1 / d;
    double h = d;
    for (int m = 1; m < 100000; m++) {
        const double m2 = 2.0 * m;
        double step = m * (b - m) * x / ((a + m2 - 1) * (a + m2));
        d = 1 + step * d; if (d < tiny && d > -tiny) d = tiny;
        c = 1 + step / c; if (c < tiny && c > -tiny) c = tiny;
        d = 1 / d;
        h *= d * c;
        step = -(a + m) * (a + b + m) * x / ((a + m2) * (a + m2 + 1));
        d = 1 + step * d; if (d < tiny && d > -tiny) d = tiny;
        c = 1 + step / c; if (c < tiny && c > -tiny) c = tiny;
        d = 1 / d;
        h *= d * c;
        if (d * c - 1 < 1e-14 && d * c - 1 > -1e-14) break;
    }
    return h;
}

double pi_beta(double x, double a, double b)
{
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    const double front = pi_math_exp(pi_math_log_gamma(a + b) - pi_math_log_gamma(a) - pi_math_log_gamma(b) + a * pi_math_log(x) + b * pi_math_log(1 - x));
    return x < (a + 1) / (a + b + 2) ? front * fraction(x, a, b) / a : 1 - front * fraction(1 - x, b, a) / b;
}

/* P(X >= x) for X ~ Binomial(n, p) is I_p(x, n - x + 1), rising in p. */
static double solve(int64_t x, int64_t n, double tail)
{
    double lo = 0, hi = 1;
    for (int i = 0; i < 100 && hi - lo > 1e-15; i++) {
        const double p = (lo + hi) / 2;
        if (pi_beta(p, (double)x, (double)(n - x + 1)) < tail) lo = p; else hi = p;
    }
    return (lo + hi) / 2;
}
double pi_cp_lower(int64_t x, int64_t n, double alpha) { return x <= 0 ? 0 : solve(x, n, alpha); }
double pi_cp_upper(int64_t x, int64_t n, double alpha) { return x >= n ? 1 : solve(x + 1, n, 1 - alpha); }

int pi_agreement_verdict(int64_t same, int64_t n, double limit)
{
    return n < 1 ? 0 : pi_cp_lower(same, n, 0.05) >= limit ? 1 : pi_cp_upper(same, n, 0.05) < limit ? -1 : 0;
}
int pi_drop_verdict(int64_t lost, int64_t gained, int64_t n, double limit)
{
    if (n < 1) return 0;
    const double most = pi_cp_upper(lost, n, 0.025) - pi_cp_lower(gained, n, 0.025);
    const double least = pi_cp_lower(lost, n, 0.025) - pi_cp_upper(gained, n, 0.025);
    return most <= limit ? 1 : least > limit ? -1 : 0;
}

struct rates { int64_t a, b, n; double limit; int drop; };
static int64_t at_rate(int64_t x, int64_t n, int64_t m) { return (int64_t)((double)x / (double)n * (double)m + 0.5); }
static int decided(const struct rates *r, int64_t m)
{
    return r->drop ? pi_drop_verdict(at_rate(r->a, r->n, m), at_rate(r->b, r->n, m), m, r->limit)
                   : pi_agreement_verdict(at_rate(r->a, r->n, m), m, r->limit);
}
static int64_t needed(const struct rates *r)
{
    if (r->n < 1) return -1;
    int64_t lo = r->n, hi = r->n;
    while (!decided(r, hi)) {
        if (hi > 500000000) return -1;
        lo = hi;
        hi *= 2;
    }
    while (hi - lo > 1 && hi - lo > hi / 1000) {
        const int64_t m = lo + (hi - lo) / 2;
        if (decided(r, m)) hi = m; else lo = m;
    }
    return hi;
}
int64_t pi_agreement_needed(int64_t same, int64_t n, double limit) { return needed(&(struct rates){ same, 0, n, limit, 0 }); }
int64_t pi_drop_needed(int64_t lost, int64_t gained, int64_t n,
                       double limit) { return needed(&(struct rates){ lost, gained, n, limit, 1 }); }
