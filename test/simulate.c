/* Gates by simulation: how often does one pass a model that loses exactly its budget, fail it, or pass one that lost nothing?
 *
 *     make simulate SEED=1 [GATES=10000] [SIMULATE="--all --part zero|sets|power"]
 *
 * False passes of a method called exact must stay below the 99.9% limit of a 5% test in every cell (567 in 10,000 gates), and
 * fixed-n methods must pass in 75% of gates at the n that power.c gives: else the exit status is 1. Approximate methods print
 * theirs. Counts of outcomes are drawn, not samples: a gate of 50,000 is no dearer than one of 500. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../lib/base/math.h"
#include "../lib/verify/betting.h"
#include "../lib/verify/bootstrap.h"
#include "../lib/verify/bounds.h"
#include "../lib/verify/power.h"
#include "../lib/verify/score.h"

static const struct pi_allocator *const A = &pi_default_allocator;
static const double ALPHA = 0.05;
static const double DISAGREE[] = { 0.005, 0.01, 0.02, 0.05, 0.2 };
enum { NDISAGREE = 5, LOOKS = 11, FIRST = 3 };
/* A sequential gate looks at all of them; the cells of the table begin with 250. */
static const int64_t N[LOOKS] = { 50, 100, 150, 250, 500, 1000, 2000, 5000, 10000, 20000, 50000 };
enum { BOOT_LOOKS = 8, PATTERNS = 25 };         /* the bootstrap up to 5000; gates that share one set of weights        */

static int gates, all, bad;
static uint64_t seed;

/* ------------------------------------------------------------------------------------------------ random */

/* A counter through a bijection (splitmix64). Each cell starts anew from the seed and its number: cells repeat alone. */
static uint64_t counter;
static void start(uint64_t cell) { counter = (seed * 1000003 + cell) * 0xd1342543de82ef95u; }
static uint64_t bits(void)
{
    uint64_t x = counter += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
static double unit(void) { return (double)(bits() >> 11) * 0x1p-53; }

/* Inversion, outwards from the most likely value: exact up to the rounding of its probability. */
static int64_t binomial(int64_t n, double p)
{
    if (n <= 0 || p <= 0) return 0;
    if (p >= 1) return n;
    int64_t mode = (int64_t)((double)(n + 1) * p), lo, hi;
    if (mode > n) mode = n;
    const double odds = p / (1 - p), x = (double)mode, m = (double)n;
    const double at = pi_math_exp(pi_math_log_gamma(m + 1) - pi_math_log_gamma(x + 1) - pi_math_log_gamma(m - x + 1) +
                                  x * pi_math_log(p) + (m - x) * pi_math_log(1 - p));
    double u = unit() - at, below = at, above = at;
    lo = hi = mode;
    while (u >= 0) {
        if (lo == 0 && hi == n) return mode;                    /* what rounding left over                             */
        if (hi < n) {
            above *= (double)(n - hi) / (double)(hi + 1) * odds;
            u -= above;
            hi++;
            if (u < 0) return hi;
        }
        if (lo > 0) {
            below *= (double)lo / ((double)(n - lo + 1) * odds);
            u -= below;
            lo--;
            if (u < 0) return lo;
        }
        if (above < 1e-300 && below < 1e-300) return mode;
    }
    return mode;
}
static void multinomial(int64_t n, const double *p, int k, int64_t *count)      /* adds to count                          */
{
    double rest = 1;
    for (int i = 0; i + 1 < k; i++) {
        const int64_t x = binomial(n, p[i] / rest);
        count[i] += x;
        n -= x;
        rest -= p[i];
        if (rest < 1e-15) rest = 1e-15;
    }
    count[k - 1] += n;
}

/* ------------------------------------------------------------------------------------------------ contrasts */

/* Categories of a sample, their d and their chance, such that E[d] is as told. */
enum kind { DROP, SHARE, AGREEMENT, RATIO };
static const char *const KIND[] = { "drop", "share", "agreement", "MAE ratio" };
enum { MOST = 24 };
struct contrast {
    enum kind kind;
    int k;
    double d[MOST], p[MOST], disagreement, limit, share;        /* d of DROP, SHARE: lost, gained, both right, both wrong   */
    struct pi_evidence e;
    int atom[MOST];                                             /* of the category                                    */
    double win[2][PI_BETS][MOST];                               /* log of what a bet against above, below 0 makes of it  */
};
static const double RIGHT = 0.8;                                /* accuracy of the reference                           */

static void evidence(struct contrast *c, double low, double high)
{
    struct precinfer_error err;
    if (low < high ? pi_evidence_lattice(&c->e, low, high, &err) : pi_evidence_exact(A, &c->e, c->d, (size_t)c->k, &err)) exit(2);
    for (int i = 0; i < c->k; i++) if (low < high && pi_evidence_add(A, &c->e, c->d[i], 1, &err)) exit(2);
    for (int i = 0; i < c->k; i++)
        for (size_t j = 0; j < c->e.n; j++) if (c->e.atoms[j].low <= c->d[i] &&
            c->d[i] <= c->e.atoms[j].high) c->atom[i] = (int)j;
    for (int b = 0; b < PI_BETS; b++)
        for (int k = 0; k < c->k; k++) {
            const struct precinfer_atom *t = &c->e.atoms[c->atom[k]];
            c->win[0][b][k] = log(1 - pi_bet_fraction(b) * t->high / c->e.high);
            c->win[1][b][k] = log(1 - pi_bet_fraction(b) * t->low / c->e.low);
        }
}
/* What pi_bet_against_above and _below give at 0, the logarithms taken once. */
static double wealth(const struct contrast *c, int side, const int64_t *n)
{
    double g[PI_BETS] = { 0 };
    for (int b = 0; b < PI_BETS; b++) for (int k = 0; k < c->k; k++) g[b] += (double)n[k] * c->win[side][b][k];
    return pi_bet_mix(g);
}
static void count(struct contrast *c, const int64_t *n)
{
    for (size_t j = 0; j < c->e.n; j++) c->e.atoms[j].count = 0;
    c->e.count = 0;
    for (int i = 0; i < c->k; i++) {
        c->e.atoms[c->atom[i]].count += (uint64_t)n[i];
        c->e.count += (uint64_t)n[i];
    }
}
/* What was lost less what was gained: `net`. */
static struct contrast paired(enum kind kind, double disagreement, double share, double limit, double net)
{
    const double lost = (disagreement + net) / 2, gained = (disagreement - net) / 2;
    struct contrast c = { .kind = kind, .k = 4, .disagreement = disagreement, .limit = limit, .share = share,
        .d = { share - limit, -1 - limit, share - 1 - limit, -limit }, .p = { lost, gained, RIGHT - lost, 1 - RIGHT - gained } };
    evidence(&c, 0, 0);
    return c;
}
static struct contrast agreement(double rate, double limit)
{
    struct contrast c = { .kind = AGREEMENT, .k = 2, .disagreement = 1 - rate, .limit = limit, .d = { limit, limit - 1 },
        .p = { 1 - rate, rate } };
    evidence(&c, 0, 0);
    return c;
}
/* Errors e of eight sizes; a share of the candidate's differ from the reference's, half up by 60% and half down by 40%.
 * `excess` 1: their mean is exactly the limit, 0: the errors are as large as before. */
static struct contrast ratio(double disagreement, double excess)
{
    struct contrast c = { .kind = RATIO, .k = MOST, .disagreement = disagreement };
    double reference = 0, candidate = 0;
    for (int i = 0; i < 8; i++) {
        const double e = 0.02 * (i + 1) * (i + 1) / 8, p[3] = { 1 - disagreement, disagreement / 2, disagreement / 2 };
        for (int j = 0; j < 3; j++) {
            c.p[3 * i + j] = p[j] / 8;
            c.d[3 * i + j] = e * (j == 0 ? 1 : j == 1 ? 1.6 : 0.6);
            reference += p[j] / 8 * e;
            candidate += p[j] / 8 * c.d[3 * i + j];
        }
    }
    c.limit = excess > 0 ? candidate / reference : 1.02;
    const double grow = excess > 0 ? 1 : reference / candidate;
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 3; j++) c.d[3 * i + j] = c.d[3 * i + j] * grow - c.limit * 0.02 * (i + 1) * (i + 1) / 8;
    evidence(&c, -0.25, 0.25);
    return c;
}

/* ------------------------------------------------------------------------------------------------ methods */

/* Clopper-Pearson bounds that were computed before: gates of one size meet the same counts again and again. */
struct memo { int64_t x, n; double alpha, value; int upper, used; };
enum { MEMO = 1 << 18 };
static struct memo *memo;
static double cp(int64_t x, int64_t n, double alpha, int upper)
{
    const uint64_t key = (uint64_t)x * 0x9e3779b97f4a7c15u + (uint64_t)n * 0xd1b54a32d192ed03u +
        (uint64_t)(alpha * 4096) + (uint64_t)upper;
    struct memo *m = &memo[key * 0x2545f4914f6cdd1du >> 46];
    if (!m->used || m->x != x || m->n != n || m->alpha != alpha || m->upper != upper)
        *m = (struct memo){ x, n, alpha, upper ? pi_cp_upper(x, n, alpha) : pi_cp_lower(x, n, alpha), upper, 1 };
    return m->value;
}

enum method { FLAGS, SCORE, BETTING, BOOTSTRAP, METHODS };
static const struct { const char *name; int exact; } METHOD[METHODS] = {
    { "Clopper-Pearson, fixed n", 1 }, { "score, fixed n", 0 }, { "betting, every look", 1 }, { "bootstrap-t, fixed n", 0 } };
static int applies(enum kind k, enum method m)
{ return m == BETTING || (m == FLAGS ? k != RATIO : m == SCORE ? k != RATIO : k == DROP || k == RATIO); }

/* 1: upper bound <= 0, -1: lower bound > 0, 0 between. By the bounds of bounds.c, or by what those of score.c and
 * betting.c come from, quicker; every hundredth gate takes the bounds themselves and compares. */
static unsigned long checked;
static int verdict(struct contrast *c, enum method m, const int64_t *n)
{
    const int64_t total = (int64_t)c->e.count;
    if (m == FLAGS && c->kind == AGREEMENT)
        return cp(n[1], total, ALPHA, 0) >= c->limit ? 1 : cp(n[1], total, ALPHA, 1) < c->limit ? -1 : 0;
    if (m == FLAGS) {                           /* a relative limit is a share of the accuracy that was seen            */
        const double limit = c->limit + (c->kind == SHARE ? (1 - c->share) * (double)(n[0] + n[2]) / (double)total : 0);
        if (cp(n[0], total, ALPHA / 2, 1) - cp(n[1], total, ALPHA / 2, 0) <= limit) return 1;
        return cp(n[0], total, ALPHA / 2, 0) - cp(n[1], total, ALPHA / 2, 1) > limit ? -1 : 0;
    }
    static double enough;
    if (!enough) enough = -pi_math_log(ALPHA);
    int v;
    if (m == BETTING) v = wealth(c, 0, n) >= enough ? 1 : wealth(c, 1, n) > enough ? -1 : 0;
    else {
        const double tail = pi_score_p_below(&c->e);
        v = tail >= 1 - ALPHA ? 1 : tail < ALPHA ? -1 : 0;
    }
    if (++checked % 100 == 0) {
        const double up = m == BETTING ? pi_bet_upper(&c->e, ALPHA) : pi_score_upper(&c->e, ALPHA);
        const double lo = m == BETTING ? pi_bet_lower(&c->e, ALPHA) : pi_score_lower(&c->e, ALPHA);
        if ((up <= 0 ? 1 : lo > 0 ? -1 : 0) != v && fabs(up) > 1e-9 && fabs(lo) > 1e-9) {
            printf("bounds %g to %g and the verdict %d differ\n", lo, up, v);
            bad = 1;
        }
    }
    return v;
}

struct cell { int pass, fail, gates; };

/* Replicate sums of a mean from the weights of samples 0 .. n-1 added up: category by category. */
static float *running;                          /* [n + 1][PI_REPLICATES]                                             */
static void weigh(int64_t n)
{
    const uint64_t first = bits();
    memset(running, 0, PI_REPLICATES * sizeof *running);
    for (int64_t i = 0; i < n; i++)
        for (unsigned r = 0; r < PI_REPLICATES; r++)
            running[(i + 1) * PI_REPLICATES + r] = running[i * PI_REPLICATES + r] + (float)pi_poisson(first + (uint64_t)i, r);
}
static int bootstrap(const struct contrast *c, const int64_t *n, struct pi_boot_mean *b)
{
    int64_t at = 0;
    double lower, upper;
    memset(b->sums, 0, 3 * PI_REPLICATES * sizeof *b->sums);
    b->w = b->x = b->xx = 0;
    b->differ = 0;
    for (int i = 0; i < c->k; at += n[i++]) {
        const float *from = running + at * PI_REPLICATES, *to = running + (at + n[i]) * PI_REPLICATES;
        const double m = (double)n[i], d = c->d[i];
        if (!n[i]) continue;
        b->differ += c->kind == RATIO ? (i % 3 ? (uint64_t)n[i] : 0) : i < 2 ? (uint64_t)n[i] : 0;    /* lost, gained */
        b->w += m;
        b->x += m * d;
        b->xx += m * d * d;
        for (int r = 0; r < PI_REPLICATES; r++) {
            const double w = to[r] - from[r];
            b->sums[r] += w;
            b->sums[PI_REPLICATES + r] += w * d;
            b->sums[2 * PI_REPLICATES + r] += w * d * d;
        }
    }
    pi_boot_mean_bounds(b, ALPHA, &lower, &upper);
    return upper <= 0 ? 1 : lower > 0 ? -1 : 0;
}

/* Gates on a contrast of mean 0: every method at every n of one path; a betting gate that ever passed has passed. */
static void at_zero(struct contrast *c, uint64_t number, struct cell cell[METHODS][LOOKS])
{
    struct pi_boot_mean b;
    struct precinfer_error err;
    start(number);
    if (pi_boot_mean_new(A, &b, &err)) exit(2);
    for (int g = 0; g < gates; g++) {
        int64_t n[MOST] = { 0 }, last = 0;
        int passed = 0, failed = 0;
        const int boot = g < gates / 10 && applies(c->kind, BOOTSTRAP);
        if (boot && g % PATTERNS == 0) weigh(N[BOOT_LOOKS - 1]);
        for (int l = 0; l < LOOKS; last = N[l++]) {
            multinomial(N[l] - last, c->p, c->k, n);
            count(c, n);
            for (int m = 0; m < METHODS; m++) {
                if (!applies(c->kind, m) || (m == BOOTSTRAP && (!boot || l >= BOOT_LOOKS)) ||
                    (l < FIRST && m != BETTING)) continue;
                const int v = m == BOOTSTRAP ? bootstrap(c, n, &b) : verdict(c, m, n);
                if (m == BETTING) passed |= v > 0, failed |= v < 0;
                cell[m][l].pass += m == BETTING ? passed : v > 0;
                cell[m][l].fail += m == BETTING ? failed : v < 0;
                cell[m][l].gates++;
            }
        }
    }
    pi_boot_mean_free(A, &b);
}

/* The most that a 5% test may pass of g gates: the 99.9% limit of the normal approximation, 567 of 10,000. */
static int most(int g) { return (int)(ALPHA * g + 3.0902323 * sqrt(g * ALPHA * (1 - ALPHA))); }

static void report(enum kind kind, enum method m, struct cell cell[][METHODS][LOOKS], const char *note)
{
    printf("%-10s %-25s", KIND[kind], METHOD[m].name);
    for (int d = 0; d < NDISAGREE; d++) {
        double pass = -1, fail = -1;
        for (int l = FIRST; l < LOOKS; l++) {
            const struct cell *x = &cell[d][m][l];
            if (!x->gates) continue;
            if ((double)x->pass / x->gates > pass) pass = (double)x->pass / x->gates;
            if ((double)x->fail / x->gates > fail) fail = (double)x->fail / x->gates;
            if (METHOD[m].exact && (x->pass > most(x->gates) || x->fail > most(x->gates))) {
                printf("\n  %s, disagreement %g, n %lld: %d false passes, %d false fails of %d gates: more than %d\n", note,
                    DISAGREE[d],
                       (long long)N[l], x->pass, x->fail, x->gates, most(x->gates));
                bad = 1;
            }
        }
        printf(pass < 0 ? "             " : "  %5.2f/%5.2f", 100 * pass, 100 * fail);
    }
    printf("  %s\n", note);
    for (int d = 0; all && d < NDISAGREE; d++)
        for (int l = FIRST; l < LOOKS; l++) {
            const struct cell *x = &cell[d][m][l];
            if (x->gates)
                printf("    disagreement %-6g n %-6lld false passes %5d, false fails %5d of %d, covered %.2f%%\n",
                    DISAGREE[d], (long long)N[l],
                       x->pass, x->fail, x->gates, 100.0 * (x->gates - x->pass - x->fail) / x->gates);
        }
}

static void zero_table(void)
{
    static struct cell cell[6][NDISAGREE][METHODS][LOOKS];
    static const enum kind kinds[6] = { DROP, DROP, SHARE, AGREEMENT, RATIO };
    static const char *const notes[6] = { "limit 1 point, or half the disagreement", "nothing gained: limit = disagreement",
        "share 0.989, or half",
        "limit 1 - disagreement", "errors +60%, -40%" };
    for (int i = 0; i < 5; i++)
        for (int d = 0; d < NDISAGREE; d++) {
            const double D = DISAGREE[d], half = D / 2 < 0.01 ? D / 2 : 0.01, share = D / 2 < 0.011 * RIGHT
                ? 1 - D / 2 / RIGHT : 0.989;
            struct contrast c = i == 0 ? paired(DROP, D, 1, half, half) : i == 1 ? paired(DROP, D, 1, D, D)
                : i == 2 ? paired(SHARE, D, share, 0, (1 - share) * RIGHT) : i == 3 ? agreement(1 - D, 1 - D) : ratio(D, 1);
            at_zero(&c, (uint64_t)(100 * i + d), cell[i][d]);
            pi_evidence_free(A, &c.e);
        }
    printf("False passes / false fails in %% of %d gates at true contrast 0, worst n of %lld to %lld\n"
           "(%d gates to n = %lld for the bootstrap). "
           "Exact methods may have %.2f%% (the 99.9%% limit of a 5%% test); score and bootstrap are approximate.\n\n", gates,
               (long long)N[FIRST],
           (long long)N[LOOKS - 1], gates / 10, (long long)N[BOOT_LOOKS - 1], 100.0 * most(gates) / gates);
    printf("%-10s %-25s", "contrast", "method, disagreement");
    for (int d = 0; d < NDISAGREE; d++) printf("  %10g%%", 100 * DISAGREE[d]);
    puts("");
    for (int i = 0; i < 5; i++) for (int m = 0; m < METHODS; m++) if (applies(kinds[i], m)) report(kinds[i], m, cell[i],
        notes[i]);
}

/* ------------------------------------------------------------------------------------------------ set metrics */

/* Scores on eight levels, higher ones likelier for a positive; the candidate's is moved with the chance of a disagreement. F1
 * takes levels from 5 on as positive. The limit is what the candidate loses in truth. */
enum { LEVELS = 8 };
static void moved(int y, int level, double disagreement, double *to)
{
    for (int i = 0; i < LEVELS; i++) to[i] = i == level ? 1 - disagreement : 0;
    const int down = y ? 3 : 2, up = y ? 2 : 3; /* a positive falls further than it rises                            */
    to[level > down ? level - down : 0] += disagreement / 2;
    to[level + up < LEVELS ? level + up : LEVELS - 1] += disagreement / 2;
}
static const double POSITIVE = 0.3, SHARE_OF[2][LEVELS] = { { 0.25, 0.2, 0.16, 0.13, 0.1, 0.08, 0.05, 0.03 },
    { 0.03, 0.04, 0.06, 0.1, 0.14, 0.18, 0.21, 0.24 } };
static double truth(enum pi_set_metric metric, double disagreement)
{
    double p[2][2][LEVELS] = { { { 0 } } }, value[2], to[LEVELS];                       /* [model][y][level]                 */
    for (int y = 0; y < 2; y++)
        for (int l = 0; l < LEVELS; l++) {
            moved(y, l, disagreement, to);
            p[0][y][l] = SHARE_OF[y][l];
            for (int k = 0; k < LEVELS; k++) p[1][y][k] += SHARE_OF[y][l] * to[k];
        }
    for (int m = 0; m < 2; m++) {
        double hit = 0, taken = 0, area = 0;
        for (int l = 0; l < LEVELS; l++) {
            if (l >= 5) hit += POSITIVE * p[m][1][l], taken += POSITIVE * p[m][1][l] + (1 - POSITIVE) * p[m][0][l];
            for (int k = 0; k < LEVELS; k++) area += p[m][1][l] * p[m][0][k] * (l > k ? 1 : l == k ? 0.5 : 0);
        }
        value[m] = metric == PI_SET_F1 ? 2 * hit / (taken + POSITIVE) : area;
    }
    return value[0] - value[1];
}
static int draw(const double *p) { double u = unit(); int i = 0; while (i + 1 < LEVELS && (u -= p[i]) >= 0) i++; return i; }

static void set_table(void)
{
    static const double disagree[] = { 0.01, 0.05, 0.2 };
    struct precinfer_error err;
    printf("\nSet metrics, studentized Poisson bootstrap (approximate): false passes / false fails in %% of %d gates\n"
           "%-8s %-14s", gates / 10, "metric", "disagreement");
    for (int l = FIRST; l < BOOT_LOOKS; l++) printf("  n = %-7lld", (long long)N[l]);
    puts("");
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < 3; i++) {
            const enum pi_set_metric metric = m ? PI_SET_AUC : PI_SET_F1;
            const int n_gates = gates / 10, last = m && i < 2 ? BOOT_LOOKS - 1
                : BOOT_LOOKS;      /* AUC to 5000: one row is dear  */
            const double limit = truth(metric, disagree[i]);
            struct cell cell[BOOT_LOOKS] = { { 0 } };
            if (m && i == 0) continue;
            start((uint64_t)(1000 + 10 * m + i));
            for (int g = 0; g < n_gates; g++) {
                struct pi_boot_set *b;
                struct pi_set_result r;
                if (pi_boot_set_new(A, metric, &b, &err)) exit(2);
                int64_t n = 0;
                for (int l = FIRST; l < last; l++) {
                    for (; n < N[l]; n++) {
                        const int y = unit() < POSITIVE, level = draw(SHARE_OF[y]);
                        double to[LEVELS];
                        moved(y, level, disagree[i], to);
                        const int other = draw(to);
                        if (pi_boot_set_add(b, bits(), y, m ? level : level >= 5, m ? other : other >= 5, &err)) exit(2);
                    }
                    if (pi_boot_set_result(b, 1, limit, ALPHA, &r, &err)) exit(2);
                    cell[l].pass += r.upper <= 0;
                    cell[l].fail += r.lower > 0;
                }
                pi_boot_set_free(b);
            }
            printf("%-8s %13g%%", m ? "AUC" : "F1", 100 * disagree[i]);
            for (int l = FIRST; l < last; l++) printf("  %5.2f/%5.2f", 100.0 * cell[l].pass / n_gates,
                100.0 * cell[l].fail / n_gates);
            puts("");
            fflush(stdout);
        }
}

/* ------------------------------------------------------------------------------------------------ power */

static const enum pi_bound_method BOUND[] = { PI_CLOPPER_PEARSON, PI_SCORE, PI_BETTING };

/* One gate of n samples, for betting with looks on the way (from `first` on, a quarter more each time). */
static int gate(struct contrast *c, enum method m, int64_t n, int64_t first)
{
    int64_t seen[MOST] = { 0 }, at = 0;
    int v = 0;
    if (m == BETTING)
        for (int64_t look = first; look < n && v != 1; look += look / 4 + 1) {
            multinomial(look - at, c->p, c->k, seen);
            at = look;
            count(c, seen);
            v = verdict(c, m, seen);
        }
    if (v == 1) return 1;
    multinomial(n - at, c->p, c->k, seen);
    count(c, seen);
    return verdict(c, m, seen) == 1;
}

/* The n that a gate prints after a pilot of 1000, by how many disagreed there. -1: none, or the pilot is over the limit. */
static int64_t *printed;
static int64_t printed_n(enum method m, double limit, int64_t lost, int64_t gained)
{
    const int64_t k = lost + gained;
    if ((double)(lost - gained) / 1000 >= limit) return -1;
    if (!printed[k]) printed[k] = pi_needed_paired(BOUND[m], cp(k, 1000, ALPHA, 1), RIGHT, 1, limit, ALPHA);
    return printed[k];
}

/* The n at which a sequential gate has passed in 75%: quantile of when it passes, looks 5% apart. */
static int64_t reached(struct contrast *c, int n_gates)
{
    enum { STEPS = 260 };
    static int passed[STEPS];
    memset(passed, 0, sizeof passed);
    int64_t n[STEPS], at = 50;
    for (int i = 0; i < STEPS; i++, at += at / 20 + 1) n[i] = at;
    for (int g = 0; g < n_gates; g++) {
        int64_t seen[MOST] = { 0 }, last = 0;
        for (int i = 0; i < STEPS && n[i] < 10000000; last = n[i++]) {
            multinomial(n[i] - last, c->p, c->k, seen);
            count(c, seen);
            if (verdict(c, BETTING, seen) == 1) { passed[i]++; break; }
        }
    }
    int sum = 0;
    for (int i = 0; i < STEPS; i++) if ((sum += passed[i]) >= 0.75 * n_gates) return n[i];
    return -1;
}

static void coverage(struct contrast *c, enum method m, int64_t n, double mean, struct cell *cell)
{
    int64_t seen[MOST] = { 0 };
    double lo, up;
    multinomial(n, c->p, c->k, seen);
    count(c, seen);
    if (m == FLAGS) {
        up = cp(seen[0], n, ALPHA / 2, 1) - cp(seen[1], n, ALPHA / 2, 0) - c->limit;
        lo = cp(seen[0], n, ALPHA / 2, 0) - cp(seen[1], n, ALPHA / 2, 1) - c->limit;
    } else {
        up = m == SCORE ? pi_score_upper(&c->e, ALPHA) : pi_bet_upper(&c->e, ALPHA);
        lo = m == SCORE ? pi_score_lower(&c->e, ALPHA) : pi_bet_lower(&c->e, ALPHA);
    }
    cell->gates++;
    cell->pass += up < mean;                    /* the truth above the upper bound                                     */
    cell->fail += lo > mean;
}

static void power_row(double limit, double D, uint64_t number)
{
    struct contrast c = paired(DROP, D, 1, limit, 0);
    const int n_gates = gates / 5 < 200 ? gates : gates / 5;
    printf("%5.2g pt %10g%%", 100 * limit, 100 * D);
    start(number);
    for (int m = 0; m < 3; m++) {
        const int64_t n = pi_needed_paired(BOUND[m], D, RIGHT, 1, limit, ALPHA);
        int pass = 0, from_pilot = 0, pilots = 0;
        struct cell cover = { 0 };
        memset(printed, 0, 1001 * sizeof *printed);
        for (int g = 0; g < n_gates; g++) {
            int64_t seen[MOST] = { 0 };
            pass += gate(&c, m, n, 250);
            coverage(&c, m, n, -limit, &cover);
            multinomial(1000, c.p, c.k, seen);
            const int64_t more = printed_n(m, limit, seen[0], seen[1]);
            if (more < 0) continue;
            pilots++;
            from_pilot += gate(&c, m, more, 250);
        }
        const double share = (double)pass / n_gates, pilot = pilots ? (double)from_pilot / pilots : 0;
        printf("  %8lld %5.1f%% %5.1f%% %4.1f/%3.1f", (long long)n, 100 * share, 100 * pilot, 100.0 * cover.pass / n_gates,
            100.0 * cover.fail / n_gates);
        const double slack = 3.1 * sqrt(0.75 * 0.25 / n_gates);    /* what a smoke run of few gates may be off             */
        if (m != BETTING && (share < 0.75 - slack || pilot < 0.75 - slack)) {
            printf("\n  %s: power at the printed n is below 75%%\n", METHOD[m].name);
            bad = 1;
        }
        if (METHOD[m].exact && (cover.pass > most(n_gates) || cover.fail > most(n_gates))) {
            printf("\n  %s: the interval misses the truth too often\n", METHOD[m].name);
            bad = 1;
        }
    }
    const int64_t at = reached(&c, gates / 20 < 100 ? 100 : gates / 20);
    printf("  %8lld\n", (long long)at);
    fflush(stdout);
    pi_evidence_free(A, &c.e);
}

static void power_table(void)
{
    static const double limits[] = { 0.005, 0.01, 0.02 };
    printf("\nPower at true drop 0: n that power.c gives at the true disagreement, %% of gates that pass there, %% that pass at\n"
           "the n printed after a pilot of 1000 (by the disagreement's upper bound), and %% of intervals that miss the truth\n"
           "above/below. The last column is the n by which 75%% of betting gates have passed.\n\n%-8s %10s", "limit", "disagree");
    for (int m = 0; m < 3; m++) printf("  %-33s", METHOD[m].name);
    puts("   75% at");
    const int smoke = gates < 1000;             /* one limit                                                          */
    for (int i = smoke; i < (smoke ? 2 : 3); i++)
        for (int d = 0; d < NDISAGREE; d++) power_row(limits[i], DISAGREE[d], (uint64_t)(2000 + 10 * i + d));
}

int main(int argc, char **argv)
{
    const time_t begin = time(NULL);
    const char *part = NULL;
    gates = 10000;
    seed = 1;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--all")) all = 1;
        else if (!strcmp(argv[i], "--part") && i + 1 < argc) part = argv[++i];
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc) seed = strtoull(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "--gates") && i + 1 < argc) gates = atoi(argv[++i]);
        else gates = 0;
    }
    const int zero = !part || !strcmp(part, "zero");
    const int sets = !part || !strcmp(part, "sets"), power = !part || !strcmp(part, "power");
    if (gates < 100 || !(zero || sets || power)) {
        fprintf(stderr, "simulate [--seed N] [--gates N, at least 100] [--all] [--part zero|sets|power]\n");
        return 2;
    }
    memo = calloc(MEMO, sizeof *memo);
    running = malloc((size_t)(N[BOOT_LOOKS - 1] + 1) * PI_REPLICATES * sizeof *running);
    printed = calloc(1001, sizeof *printed);
    if (!memo || !running || !printed) return 2;
    printf("seed %llu\n\n", (unsigned long long)seed);
    if (zero) zero_table();
    if (sets) set_table();
    if (power) power_table();
    printf("\n%s, %d s\n", bad ? "FAILED" : "all exact methods within the limit, all powers reached", (int)(time(NULL) - begin));
    free(memo);
    free(running);
    free(printed);
    return bad;
}
