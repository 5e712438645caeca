#include <math.h>
#include "../base/math.h"
#include "betting.h"
#include "bounds.h"
#include "power.h"
#include "score.h"

static const double POWER = 0.8, MOST = 1e9;

/* P(X <= x) of X ~ Binomial(n, p). */
static double at_most(double x, double n, double p) { return x < 0 ? 0 : x >= n ? 1 : 1 - pi_beta(p, x + 1, n - x); }
static double binomial(double x, double n, double p)
{
    if (p <= 0 || p >= 1) return x == (p <= 0 ? 0 : n);
    return pi_math_exp(pi_math_log_gamma(n + 1) - pi_math_log_gamma(x + 1) - pi_math_log_gamma(n - x + 1) + x * pi_math_log(p) +
                       (n - x) * pi_math_log(1 - p));
}
static double whole(double x) { return (double)(int64_t)(x + 0.5); }

/* The least n whose power is POWER: doubled from a guess, then halved in on to half a percent. Power has small teeth in n:
 * it is at least POWER at the n given, not at every n above. */
static int64_t least(double (*power)(const void *of, double n), const void *of, double guess)
{
    double lo = 0, hi = guess > 1 ? whole(guess) : 1;
    if (!(hi <= MOST)) hi = MOST;
    while (power(of, hi) < POWER) {
        if (hi >= MOST) return -1;
        lo = hi;
        hi = 2 * hi < MOST ? 2 * hi : MOST;
    }
    for (double down = whole(hi / 2); lo == 0 && hi > 1; down = whole(down / 2))
        if (down < 1 || power(of, down) < POWER) lo = down; else hi = down;
    while (hi - lo > 1 && hi - lo > hi / 200) {
        const double n = whole((lo + hi) / 2);
        if (power(of, n) < POWER) lo = n; else hi = n;
    }
    return (int64_t)hi;
}

/* ------------------------------------------------------------------------------------------------ paired 0/1 scores */

/* Cells: both right, lost, gained, both wrong. */
struct paired {
    enum pi_bound_method method;
    double p[4], d[4], alpha, limit;            /* limit: on lost - gained as a share of n, for Clopper-Pearson        */
    double off;                                 /* standard deviations that `both right` lies off what is expected     */
};
/* upper: on the share lost, for Clopper-Pearson. The lower bound on what was gained is at least v where v makes so much
 * gain unlikely. */
static int passes(const struct paired *q, const double *count, double n, double upper)
{
    struct precinfer_atom atoms[4];
    struct pi_evidence e = { .atoms = atoms, .n = 4, .exact = 1, .low = q->d[2], .high = q->d[1] };
    if (q->method == PI_CLOPPER_PEARSON)
        return upper <= q->limit || (count[2] > 0 && pi_beta(upper - q->limit, count[2], n - count[2] + 1) <= q->alpha / 2);
    for (int i = 0; i < 4; i++) {               /* ascending: gained, both right, both wrong, lost                     */
        const int from = (int[]){ 2, 0, 3, 1 }[i];
        atoms[i] = (struct precinfer_atom){ q->d[from], q->d[from], (uint64_t)count[from] };
        e.count += atoms[i].count;
    }
    if (q->method == PI_BETTING) return pi_bet_against_above(&e, 0) >= -pi_math_log(q->alpha);
    for (int i = 0; i < 4; i++) {               /* mirrored: the upper bound is <= 0                                   */
        const int from = (int[]){ 1, 3, 0, 2 }[i];
        atoms[i] = (struct precinfer_atom){ -q->d[from], -q->d[from], (uint64_t)count[from] };
    }
    e.low = -q->d[1];
    e.high = -q->d[2];
    return pi_score_p_below(&e) <= q->alpha;
}
/* Those that agree, split as they are expected, or off. */
static void fill(const struct paired *q, double n, double lost, double gained, double *count)
{
    const double same = n - lost - gained, share = q->p[0] + q->p[3];
    const double right = share > 0 ? q->p[0] / share : 0, x = same * right + q->off * sqrt(same * right * (1 - right));
    count[0] = x <= 0 ? 0 : x >= same ? same : whole(x);
    count[1] = lost;
    count[2] = gained;
    count[3] = same - count[0];
}
/* The least gain that makes up for what was lost; above n - lost: none does. */
static double enough(const struct paired *q, double n, double lost, double from, double to)
{
    const double upper = q->method == PI_CLOPPER_PEARSON ? pi_cp_upper((int64_t)lost, (int64_t)n, q->alpha / 2) : 0;
    double count[4];
    if (to > n - lost) to = n - lost;
    if (from > to) from = to;
    for (; from < to;) {
        const double g = (double)(int64_t)((from + to) / 2);
        fill(q, n, lost, g, count);
        if (passes(q, count, n, upper)) to = g; else from = g + 1;
    }
    fill(q, n, lost, from, count);
    return passes(q, count, n, upper) ? from : n + 1;
}
/* Sum over what may be lost, every value where they are few, else 30 of them, of P(lost) P(enough is gained | lost). */
static double given(const struct paired *q, double n)
{
    const double p = q->p[1], g = q->p[2] / (1 - p), spread = 4.5 * sqrt(n * p * (1 - p)) + 4;
    const double first = n * p > spread ? whole(n * p - spread) : 0, last = n * p + spread < n ? whole(n * p + spread) : n;
    const double step = last - first > 30 ? whole((last - first) / 30) : 1;
    double power = 0, mass = 0;
    for (double lost = first; lost <= last; lost += step) {
        const double rest = n - lost, middle = rest * g, wide = 6 * sqrt(middle * (1 - g)) + 8, weight = binomial(lost, n, p);
        const double gained = enough(q, n, lost, middle > wide ? whole(middle - wide) : 0, whole(middle + wide));
        mass += weight;
        if (gained <= rest) power += weight * (1 - at_most(gained - 1, rest, g));
    }
    return mass > 0 ? power / mass : 0;
}
/* How many of those that agree are right matters little, and not at all for a drop: three points of a normal (Gauss-Hermite). */
static double paired_power(const void *of, double n)
{
    static const double off[] = { 0, -1.7320508075688772, 1.7320508075688772 };
    struct paired q = *(const struct paired *)of;
    const double r = q.d[0] - q.d[3], agree = q.p[0] + q.p[3], noise = agree > 0 ? r * r * q.p[0] * q.p[3] / agree : 0;
    double power = given(&q, n);
    if (noise < 0.01 * (q.p[1] + q.p[2])) return power;
    power *= 2.0 / 3;
    for (int i = 1; i < 3; i++) {
        q.off = off[i];
        power += given(&q, n) / 6;
    }
    return power;
}

int64_t pi_needed_paired(enum pi_bound_method method, double disagreement, double reference, double share, double drop,
    double alpha)
{
    if (!(disagreement >= 0 && reference >= 0 && reference <= 1 && alpha > 0 && alpha < 1)) return -1;
    double half = disagreement / 2;
    const double right = reference < 1 - reference ? reference : 1 - reference;
    if (half > right) half = right;             /* more than that accuracy allows                                     */
    if (half < 1e-12) half = 1e-12;
    struct paired q = { .method = method, .alpha = alpha, .limit = drop + (1 - share) * reference,
        .p = { reference - half, half, half, 1 - reference - half }, .d = { share - 1 - drop, share - drop, -1 - drop, -drop } };
    double mean = 0, square = 0;
    for (int i = 0; i < 4; i++) {
        if (q.p[i] < 0) q.p[i] = 0;
        mean += q.p[i] * q.d[i];
        square += q.p[i] * q.d[i] * q.d[i];
    }
    if (!(mean < 0)) return -1;
    return least(paired_power, &q, 4 * (square - mean * mean) / (mean * mean) + 1);
}

/* ------------------------------------------------------------------------------------------------ proportions */

struct proportion { enum pi_bound_method method; double rate, limit, alpha; };
static int shown(const struct proportion *q, double x, double n)      /* that the proportion is at least the limit         */
{
    const double z = -pi_normal_quantile(q->alpha);
    struct precinfer_atom atoms[2] = { { q->limit - 1, q->limit - 1, (uint64_t)x }, { q->limit, q->limit, (uint64_t)(n - x) } };
    const struct pi_evidence e = { .atoms = atoms, .n = 2, .exact = 1, .low = q->limit - 1, .high = q->limit,
        .count = (uint64_t)n };
    if (q->method == PI_BETTING) return pi_bet_against_above(&e, 0) >= -pi_math_log(q->alpha);
    if (q->method == PI_SCORE) return x / n - q->limit >= z * sqrt(q->limit * (1 - q->limit) / n);
    return x > 0 && (q->limit <= 0 || 1 - at_most(x - 1, n, q->limit) <= q->alpha);
}
static double proportion_power(const void *of, double n)
{
    const struct proportion *q = of;
    double from = 0, to = n;
    if (!shown(q, n, n)) return 0;
    while (from < to) {
        const double x = (double)(int64_t)((from + to) / 2);
        if (shown(q, x, n)) to = x; else from = x + 1;
    }
    return q->rate >= 1 ? 1 : 1 - at_most(from - 1, n, q->rate);
}
int64_t pi_needed_proportion(enum pi_bound_method method, double rate, double limit, double alpha)
{
    if (!(rate > limit && limit >= 0 && rate <= 1 && alpha > 0 && alpha < 1)) return -1;
    const struct proportion q = { method, rate, limit, alpha };
    return least(proportion_power, &q, 4 * rate * (1 - rate) / ((rate - limit) * (rate - limit)) + 1);
}

/* ------------------------------------------------------------------------------------------------ any other */

int64_t pi_needed_normal(double sd, double mean, double alpha)
{
    if (!(mean < 0 && sd >= 0 && alpha > 0 && alpha < 1)) return -1;
    const double z = (pi_normal_quantile(POWER) - pi_normal_quantile(alpha)) * sd / mean, n = z * z;
    return n > MOST ? -1 : n < 30 ? 30 : (int64_t)n + 1;
}

/* The log wealth of a bet on n units is about normal, and the bets move together: power from its 20% quantile. */
struct shifted { const double *mean, *sd; double enough; };
static double shifted_power(const void *of, double n)
{
    const struct shifted *q = of;
    double g[PI_BETS];
    for (int j = 0; j < PI_BETS; j++) g[j] = n * q->mean[j] - pi_normal_quantile(POWER) * sqrt(n) * q->sd[j];
    return pi_bet_mix(g) >= q->enough ? POWER : 0;
}
int64_t pi_needed_shifted(const struct pi_evidence *e, double mean, double alpha)
{
    if (!e->count || !(mean < 0 && e->high > 0 && e->low < 0 && alpha > 0 && alpha < 1)) return -1;
    const double shift = mean - pi_evidence_mean(e), total = (double)e->count;
    double first[PI_BETS] = { 0 }, sd[PI_BETS] = { 0 };
    for (int j = 0; j < PI_BETS; j++) {
        for (size_t i = 0; i < e->n; i++) {
            double d = e->atoms[i].low / 2 + e->atoms[i].high / 2 + shift;
            d = d > e->high ? e->high : d < e->low ? e->low : d;
            if (!e->atoms[i].count) continue;
            const double g = pi_math_log(1 - pi_bet_fraction(j) * d / e->high), w = (double)e->atoms[i].count / total;
            first[j] += w * g;
            sd[j] += w * g * g;
        }
        const double v = sd[j] - first[j] * first[j];
        sd[j] = v > 0 ? sqrt(v) : 0;
    }
    const struct shifted q = { first, sd, -pi_math_log(alpha) };
    return least(shifted_power, &q, 1000);
}
