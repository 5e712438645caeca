#include <math.h>
#include "../base/math.h"
#include "score.h"

/* Series about 0 and Laplace's continued fraction in the tail (Abramowitz and Stegun 26.2.11, 26.2.14). */
double pi_normal_tail(double z)
{
    const double a = z < 0 ? -z : z, density = 0.39894228040143267794 * pi_math_exp(-a * a / 2);
    double upper;
    if (a < 3.5) {
        double term = a, sum = a;
        for (int k = 3; k < 200 && term > 1e-18 * sum; k += 2) {
            term *= a * a / k;
            sum += term;
        }
        upper = 0.5 - density * sum;
    } else {
        double fraction = a;
        for (int k = 120; k > 0; k--) fraction = a + k / fraction;
        upper = density / fraction;
    }
    return z != z ? z : z < 0 ? 1 - upper : upper;
}

double pi_normal_quantile(double p)
{
    if (p > 0.5) return -pi_normal_quantile(1 - p);
    double lo = 0, hi = 40;                                     /* P(Z > x) = p, x >= 0                                */
    for (int i = 0; i < 60 && hi - lo > 1e-15 * hi; i++) {
        const double x = (lo + hi) / 2;
        if (pi_normal_tail(x) > p) lo = x; else hi = x;
    }
    return -(lo + hi) / 2;
}

/* Sum of (d - m) / (1 + t (d - m)), which falls with t, and its slope. */
static double balance(const struct pi_evidence *e, double m, double t, double *slope)
{
    double sum = 0;
    *slope = 0;
    for (size_t i = 0; i < e->n; i++) {
        const double x = e->atoms[i].low - m, part = x / (1 + t * x);
        if (!e->atoms[i].count) continue;
        sum += (double)e->atoms[i].count * part;
        *slope -= (double)e->atoms[i].count * part * part;
    }
    return sum;
}
/* Its root between from and to: Newton's steps, halved where they leave what is known. */
static double root(const struct pi_evidence *e, double m, double from, double to, double t)
{
    for (int i = 0; i < 200; i++) {
        double slope;
        const double y = balance(e, m, t, &slope), last = t;
        if (y > 0) from = t; else to = t;
        t -= y / slope;
        if (!(t > from && t < to)) t = from / 2 + to / 2;
        if (t == last || (t - last < 1e-15 * (to - from) && last - t < 1e-15 * (to - from)) || t == from || t == to) break;
    }
    return t;
}

/* Variance at the most likely distribution with mean m: masses count / (n (1 + t (d - m))), t from the constraint. Where no
 * t within 1 + t (d - m) >= 0 does, the outermost value that was never seen has the mass that is missing. */
static double variance(const struct pi_evidence *e, double m)
{
    const double above = e->high - m, below = m - e->low;
    double slope, mass = 0, sum = 0;
    if (!(above > 0) || !(below > 0)) return 0;
    const double at0 = balance(e, m, 0, &slope);                /* t beyond these: an outermost value's mass is negative  */
    const double t = at0 > 0 ? root(e, m, 0, 1 / below, 0.5 / below) : root(e, m, -1 / above, 0, -0.5 / above);
    for (size_t i = 0; i < e->n; i++) {
        const double x = e->atoms[i].low - m, p = e->atoms[i].count
            ? (double)e->atoms[i].count / (double)e->count / (1 + t * x) : 0;
        mass += p;
        sum += p * x * x;
    }
    if (mass < 1) sum += (1 - mass) * (at0 > 0 ? below * below : above * above);
    return sum;
}

/* How many standard errors m lies above the mean. */
static double distance(const struct pi_evidence *e, double m)
{
    const double off = m - pi_evidence_mean(e), v = variance(e, m);
    return off == 0 ? 0 : v > 0 ? off * sqrt((double)e->count / v) : off > 0 ? INFINITY : -INFINITY;
}

static double bound(const struct pi_evidence *e, double alpha, int above)
{
    double out = above ? e->high : e->low, in = pi_evidence_mean(e);
    if (!e->count) return out;
    const double z = -pi_normal_quantile(alpha);
    /* Zero is a point of the search: a bound is <= 0 exactly where the distance of 0 says so. */
    double m = above ? in < 0 && out > 0 ? 0 : (out + in) / 2 : in > 0 && out < 0 ? 0 : (out + in) / 2;
    for (int i = 0; i < 100; i++) {
        const double s = distance(e, m);
        if ((above ? s : -s) >= z) out = m; else in = m;
        m = (out + in) / 2;
        if (m == out || m == in) break;
    }
    return out;
}
double pi_score_upper(const struct pi_evidence *e, double alpha) { return bound(e, alpha, 1); }
double pi_score_lower(const struct pi_evidence *e, double alpha) { return bound(e, alpha, 0); }

double pi_score_p_below(const struct pi_evidence *e)
{
    if (!e->count) return 1;
    return pi_normal_tail(-distance(e, 0));
}
