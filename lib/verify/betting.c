#include <math.h>
#include "../base/math.h"
#include "betting.h"

/* Fractions and their shares of the first stake. A paired contrast of a model that lost nothing calls for f near limit /
 * disagreement, a proportion for (rate - limit) / (1 - limit): 0.02 to 1. The shares came from a search over 30 such cases
 * (drops of 0.5 to 2 points at a disagreement of 0.5 to 20%, proportions, shares, errors with wide bounds): every one is
 * decided at 1.2 to 1.6 times the n that the best single fraction would need, were it known. The smallest are for effects
 * that take hundreds of millions of samples. */
static const double FRACTION[PI_BETS] = { 0.0003, 0.0012, 0.004, 0.012, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.95, 0.99 };
static const double SHARE[PI_BETS] = { 0.25, 0.25, 0.5, 1.5, 12, 9, 12, 9, 20, 7.5, 12, 7, 4,
    5 };        /* sum 100              */

double pi_bet_fraction(int j) { return FRACTION[j]; }
double pi_bet_mix(const double *g)
{
    double most = -INFINITY, sum = 0;
    for (int j = 0; j < PI_BETS; j++) if (g[j] > most) most = g[j];
    for (int j = 0; j < PI_BETS; j++) sum += SHARE[j] / 100 * pi_math_exp(g[j] - most);
    return most + pi_math_log(sum);
}

static double power(double x, uint64_t n)
{
    double p = 1;
    for (; n; n >>= 1, x *= x) if (n & 1) p *= x;
    return p;
}

/* log of the product over atoms of (1 + f x)^count, x = (m - d) / gap; few logarithms where counts are small. */
static double growth(const struct pi_evidence *e, double m, double gap, int above, double f)
{
    double sum = 0, product = 1;
    const double scale = f / gap;
    for (size_t i = 0; i < e->n; i++) {
        const struct precinfer_atom *t = &e->atoms[i];
        const double factor = 1 + scale * (above ? m - t->high : t->low - m);
        if (!t->count) continue;
        if (t->count < 32 && factor < 1e4) {                    /* factor >= 0.01: at most 1e-62 to 1e124               */
            product *= t->count == 1 ? factor : power(factor, t->count);
            if (product > 1e-60 && product < 1e60) continue;
            sum += pi_math_log(product);
            product = 1;
        } else sum += (double)t->count * pi_math_log(factor);
    }
    return sum + pi_math_log(product);
}

static double wealth(const struct pi_evidence *e, double m, int above)
{
    double gap = above ? e->high - m : m - e->low, g[PI_BETS];
    if (!e->count || e->high <= e->low) return 0;
    const double least = 1e-12 * (e->high - e->low);            /* at the very end of d's bounds a bet would pay infinitely */
    if (gap < least) gap = least;
    for (int j = 0; j < PI_BETS; j++) g[j] = growth(e, m, gap, above, FRACTION[j]);
    return pi_bet_mix(g);
}
double pi_bet_against_above(const struct pi_evidence *e, double m) { return wealth(e, m, 1); }
double pi_bet_against_below(const struct pi_evidence *e, double m) { return wealth(e, m, 0); }

/* Wealth against "above m" rises with m and against "below m" falls: the last m that is not excluded, from outside. Zero is
 * a point of the search, so that a bound is <= 0 exactly where the wealth at 0 says so. Secants, and halving every third
 * time; near enough when the log wealth of what is excluded is within 1e-10 of what it takes. */
static double bound(const struct pi_evidence *e, double alpha, int above)
{
    const double enough = -pi_math_log(alpha), near = 1e-13 * (e->high - e->low);
    double out = above ? e->high : e->low, in = above ? e->low : e->high;      /* excluded, not excluded              */
    double over = wealth(e, out, above) - enough, under = -enough;
    if (!e->count || over < 0) return out;
    double m = e->low < 0 && e->high > 0 ? 0 : (out + in) / 2;
    for (int i = 1; i < 100 && over > 1e-10; i++) {
        const double w = wealth(e, m, above) - enough;
        if (w >= 0) {
            out = m;
            over = w;
        } else {
            in = m;
            under = w;
        }
        if (out - in < near && in - out < near) break;
        m = out + (in - out) * (over / (over - under));
        /* a little to the outside, so that the next is excluded; wealth is far from straight where it is large */
        m += (out - m) * 1e-3;
        if (i % 3 == 0 || over > 50 || under < -50 || m == out || m == in) m = (out + in) / 2;
    }
    return out;
}
double pi_bet_upper(const struct pi_evidence *e, double alpha) { return bound(e, alpha, 1); }
double pi_bet_lower(const struct pi_evidence *e, double alpha) { return bound(e, alpha, 0); }

double pi_bet_p_below(const struct pi_evidence *e)
{
    const double w = wealth(e, 0, 0);
    return w > 0 ? pi_math_exp(-w) : 1;
}
