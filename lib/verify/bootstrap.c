#include <limits.h>
#include <math.h>
#include <string.h>
#include "../base/sort.h"
#include "bootstrap.h"
#include "bounds.h"

/* 2^32 P(X <= k) of X ~ Poisson(1); what is left, P(X > 11) = 8e-10, is drawn as 12. */
static const uint32_t AT_MOST[] = { 0x5e2d58d9, 0xbc5ab1b1, 0xeb715e1e, 0xfb239797, 0xff1025f6, 0xffd90f3c, 0xfffa8b72,
    0xffff540c,
    0xffffed1f, 0xfffffe21, 0xffffffd5, 0xfffffffc };
enum { LAST = sizeof AT_MOST / sizeof *AT_MOST };

static uint64_t mix(uint64_t x)                 /* a bijection whose bits all depend on all bits                        */
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
static uint64_t stream(uint64_t id) { return mix(id + 0x9e3779b97f4a7c15u); }
static uint64_t pair(uint64_t start, unsigned i) { return mix(start + (uint64_t)i * 0x9e3779b97f4a7c15u); }
static unsigned draw(uint32_t u)
{
    unsigned k = (u >= AT_MOST[0]) + (u >= AT_MOST[1]) + (unsigned)(u >= AT_MOST[2]) + (u >= AT_MOST[3]);
    if (k == 4) while (k < LAST && u >= AT_MOST[k]) k++;
    return k;
}
/* Replicates 2i and 2i + 1 have the low and the high half of one 64-bit number. */
unsigned pi_poisson(uint64_t id, unsigned r) { return draw((uint32_t)(pair(stream(id), r / 2) >> (r % 2 ? 32 : 0))); }

static void weights(uint64_t start, unsigned from, unsigned n, unsigned char *w)       /* from, n: even               */
{
    for (unsigned i = 0; i < n; i += 2) {
        const uint64_t u = pair(start, (from + i) / 2);
        w[i] = (unsigned char)draw((uint32_t)u);
        w[i + 1] = (unsigned char)draw((uint32_t)(u >> 32));
    }
}

/* ------------------------------------------------------------------------------------------------ studentized bounds */

/* What every bound comes from: estimate and standard error of the data, and of each replicate. */
struct studentized { double estimate, se, t[PI_REPLICATES]; };

static uint64_t ordered(double x)               /* bits whose order is that of the numbers                              */
{
    uint64_t u;
    memcpy(&u, &x, 8);
    return u >> 63 ? ~u : u | (uint64_t)1 << 63;
}
static double number(uint64_t u)
{
    double x;
    u = u >> 63 ? u & ~((uint64_t)1 << 63) : ~u;
    memcpy(&x, &u, 8);
    return x;
}
void pi_boot_sort(double *t)
{
    uint64_t u[PI_REPLICATES];
    for (size_t i = 0; i < PI_REPLICATES; i++) u[i] = ordered(t[i]);
    pi_sort_u64(u, PI_REPLICATES);
    for (size_t i = 0; i < PI_REPLICATES; i++) t[i] = number(u[i]);
}
/* A replicate without spread tells the side only: it keeps bounds open. */
static double ratio(double off, double se) { return se > 0 ? off / se : off > 0 ? INFINITY : off < 0 ? -INFINITY : 0; }

static void bounds(struct studentized *s, double alpha, double *lower, double *upper)
{
    const size_t k = (size_t)(alpha * (PI_REPLICATES + 1) + 1e-9);
    *lower = -INFINITY;
    *upper = INFINITY;
    if (s->se == 0) {
        *lower = *upper = s->estimate;
        return;
    }
    pi_boot_sort(s->t);
    if (k < 1 || k > PI_REPLICATES) return;
    *upper = s->estimate - s->t[k - 1] * s->se;
    *lower = s->estimate - s->t[PI_REPLICATES - k] * s->se;
}
/* The least alpha at which the lower bound is above 0. */
static double p_below(const struct studentized *s)
{
    const double t = ratio(s->estimate, s->se);
    size_t n = 1;
    for (size_t i = 0; i < PI_REPLICATES; i++) n += s->t[i] >= t;
    return (double)n / (PI_REPLICATES + 1);
}

/* ------------------------------------------------------------------------------------------------ mean */

int pi_boot_mean_new(const struct pi_allocator *a, struct pi_boot_mean *b, struct precinfer_error *err)
{
    *b = (struct pi_boot_mean){ .sums = pi_calloc(a, 3 * PI_REPLICATES, sizeof *b->sums) };
    return b->sums ? 0 : pi_no_memory(err, 3 * PI_REPLICATES * sizeof *b->sums);
}
void pi_boot_mean_free(const struct pi_allocator *a, struct pi_boot_mean *b)
{
    pi_free(a, b->sums);
    *b = (struct pi_boot_mean){ 0 };
}
void pi_boot_mean_add(struct pi_boot_mean *b, uint64_t id, double d, int differs)
{
    unsigned char w[PI_REPLICATES];
    const double square = d * d;
    weights(stream(id), 0, PI_REPLICATES, w);
    for (size_t r = 0; r < PI_REPLICATES; r++) b->sums[r] += w[r];
    for (size_t r = 0; r < PI_REPLICATES; r++) b->sums[PI_REPLICATES + r] += w[r] * d;
    for (size_t r = 0; r < PI_REPLICATES; r++) b->sums[2 * PI_REPLICATES + r] += w[r] * square;
    b->w += 1;
    b->x += d;
    b->xx += square;
    b->differ += differs != 0;
}
void pi_boot_mean_merge(struct pi_boot_mean *into, const struct pi_boot_mean *from)
{
    for (size_t r = 0; r < 3 * PI_REPLICATES; r++) into->sums[r] += from->sums[r];
    into->w += from->w;
    into->x += from->x;
    into->xx += from->xx;
    into->differ += from->differ;
}

static double mean_error(double w, double x, double xx)        /* standard error of the mean                           */
{
    const double v = w > 1 ? xx / w - x / w * (x / w) : 0;
    return v > 1e-13 * xx / (w > 1 ? w : 1) ? sqrt(v / (w - 1)) : 0;       /* below: rounding of the sums                  */
}
static int mean_ready(const struct pi_boot_mean *b, struct studentized *s)
{
    if (b->w < PI_BOOT_LEAST || (b->differ ? b->differ < PI_BOOT_DIFFER : b->w < PI_BOOT_SAME)) return 0;
    s->estimate = b->x / b->w;
    s->se = mean_error(b->w, b->x, b->xx);
    for (size_t r = 0; r < PI_REPLICATES; r++) {
        const double w = b->sums[r], x = b->sums[PI_REPLICATES + r], xx = b->sums[2 * PI_REPLICATES + r];
        s->t[r] = w > 0 && s->se > 0 ? ratio(x / w - s->estimate, mean_error(w, x, xx)) : 0;
    }
    return 1;
}
void pi_boot_mean_bounds(const struct pi_boot_mean *b, double alpha, double *lower, double *upper)
{
    struct studentized s;
    *lower = -INFINITY;
    *upper = INFINITY;
    if (mean_ready(b, &s)) bounds(&s, alpha, lower, upper);
}
double pi_boot_mean_p_below(const struct pi_boot_mean *b)
{
    struct studentized s;
    return mean_ready(b, &s) ? p_below(&s) : 1;
}

/* ------------------------------------------------------------------------------------------------ set metrics */

struct scored { uint64_t start; double reference, candidate; };
struct scores { struct scored *x; size_t n, room; };
struct pi_boot_set {
    struct pi_allocator a;
    enum pi_set_metric metric;
    double *cells;                              /* F1: 8 counts, then 8 a replicate                                    */
    struct scores side[2];                      /* AUC: negatives, positives                                           */
};

int pi_boot_set_new(const struct pi_allocator *a, enum pi_set_metric metric, struct pi_boot_set **out,
    struct precinfer_error *err)
{
    struct pi_boot_set *b = pi_calloc(a, 1, sizeof *b);
    if (!b) return pi_no_memory(err, sizeof *b);
    b->a = *a;
    b->metric = metric;
    const size_t cells = 8 * (PI_REPLICATES + 1);
    if (metric == PI_SET_F1 && !(b->cells = pi_calloc(a, cells, sizeof *b->cells))) {
        pi_boot_set_free(b);
        return pi_no_memory(err, cells * sizeof *b->cells);
    }
    *out = b;
    return 0;
}
void pi_boot_set_free(struct pi_boot_set *b)
{
    if (!b) return;
    const struct pi_allocator a = b->a;
    pi_free(&a, b->cells);
    for (int i = 0; i < 2; i++) pi_free(&a, b->side[i].x);
    pi_free(&a, b);
}

static int room_for(const struct pi_allocator *a, struct scores *s, size_t more, struct precinfer_error *err)
{
    if (s->room - s->n >= more) return 0;
    if (more > INT_MAX || s->n + more > INT_MAX / 2)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "AUC: more than %d samples on one side", INT_MAX / 2);
    size_t room = s->room ? 2 * s->room : 256;
    if (room < s->n + more) room = s->n + more;
    void *p = pi_grow(a, s->x, s->n * sizeof *s->x, room * sizeof *s->x);
    if (!p) return pi_no_memory(err, room * sizeof *s->x);
    s->x = p;
    s->room = room;
    return 0;
}
int pi_boot_set_add(struct pi_boot_set *b, uint64_t id, int positive, double reference, double candidate,
                    struct precinfer_error *err)
{
    if (reference != reference || candidate != candidate) return pi_fail(err, PRECINFER_INVALID, "a score is NaN");
    if (b->metric == PI_SET_AUC) {
        struct scores *s = &b->side[positive != 0];
        PI_TRY(room_for(&b->a, s, 1, err));
        s->x[s->n++] = (struct scored){ stream(id), reference, candidate };
        return 0;
    }
    if ((reference != 0 && reference != 1) || (candidate != 0 && candidate != 1))
        return pi_fail(err, PRECINFER_INVALID, "F1: a prediction that is neither 0 nor 1");
    unsigned char w[PI_REPLICATES];
    const int cell = (positive != 0) + 2 * (reference == 1) + 4 * (candidate == 1);
    weights(stream(id), 0, PI_REPLICATES, w);
    b->cells[cell] += 1;
    for (size_t r = 0; r < PI_REPLICATES; r++) b->cells[8 * (r + 1) + cell] += w[r];
    return 0;
}
int pi_boot_set_merge(struct pi_boot_set *into, const struct pi_boot_set *from, struct precinfer_error *err)
{
    if (into->metric != from->metric) return pi_fail(err, PRECINFER_INVALID, "two set metrics do not merge");
    for (int i = 0; i < 2; i++) PI_TRY(room_for(&into->a, &into->side[i], from->side[i].n, err));
    for (int i = 0; i < 2; i++) {
        if (from->side[i].n) memcpy(into->side[i].x + into->side[i].n, from->side[i].x,
            from->side[i].n * sizeof *from->side[i].x);
        into->side[i].n += from->side[i].n;
    }
    for (size_t i = 0; from->cells && i < 8 * (PI_REPLICATES + 1); i++) into->cells[i] += from->cells[i];
    return 0;
}

/* ------------------------------------------------------------------------------------------------ F1 */

struct point {
    double reference, candidate, contrast, se;
    double differ, most;                        /* samples on which the models differ; how far one can move the metric, * n */
};

/* 2 TP / (predicted + positive), and the standard error of the contrast from its influence: a sample moves F1 by
 * (2 tp - F1 (predicted + positive)) / mean of (predicted + positive). */
static struct point f1(const double *cell, double a)
{
    double n = 0, hit[2] = { 0 }, size[2] = { 0 }, metric[2], sum = 0;
    for (int i = 0; i < 8; i++) {
        n += cell[i];
        for (int m = 0; m < 2; m++) {
            const int predicted = i >> (m + 1) & 1;
            if (predicted && (i & 1)) hit[m] += cell[i];
            size[m] += cell[i] * (predicted + (i & 1));
        }
    }
    for (int m = 0; m < 2; m++) metric[m] = size[m] > 0 ? 2 * hit[m] / size[m] : 0;
    for (int i = 0; i < 8; i++) {
        double move = 0;
        for (int m = 0; m < 2; m++) {
            const int predicted = i >> (m + 1) & 1, positive = i & 1;
            if (size[m] > 0) move += (m ? -1 : a) * (2 * (predicted &&
                positive) - metric[m] * (predicted + positive)) * n / size[m];
        }
        sum += cell[i] * move * move;
    }
    const double se = n > 1 ? sqrt(sum / n / (n - 1)) : 0;
    return (struct point){ metric[0], metric[1], a * metric[0] - metric[1], se > 1e-13 ? se : 0,
        cell[2] + cell[3] + cell[4] + cell[5],
        (2 - metric[0]) * n / size[0] };        /* a hit that is lost                                                  */
}

/* ------------------------------------------------------------------------------------------------ AUC */

enum { BLOCK = 8 };                             /* replicates that one pass serves                                     */
struct auc {
    const struct pi_boot_set *b;
    size_t n, np;                               /* indexes from 0: negatives, then np positives                        */
    int *order[2];                              /* by the reference's score, by the candidate's                        */
    unsigned char *last[2];                     /* the last of a group of ties, in that order                          */
    unsigned char *w;                           /* BLOCK a sample                                                      */
    float *place[2];                            /* BLOCK a sample: share of the other side that it is right about       */
    int by;                                     /* while sorting                                                       */
};
static double score_of(const struct auc *u, int by, int i)
{
    const size_t k = (size_t)i, nn = u->n - u->np;
    const struct scored *s = k < nn ? &u->b->side[0].x[k] : &u->b->side[1].x[k - nn];
    return by ? s->candidate : s->reference;
}
static int before(const void *user, int a, int b)
{
    const struct auc *u = user;
    const double x = score_of(u, u->by, a), y = score_of(u, u->by, b);
    return x < y || (x == y && a < b);
}
static void auc_free(struct auc *u)
{
    const struct pi_allocator *a = &u->b->a;
    for (int i = 0; i < 2; i++) {
        pi_free(a, u->order[i]);
        pi_free(a, u->last[i]);
        pi_free(a, u->place[i]);
    }
    pi_free(a, u->w);
}
static int auc_new(const struct pi_boot_set *b, struct auc *u, struct precinfer_error *err)
{
    *u = (struct auc){ .b = b, .n = b->side[0].n + b->side[1].n, .np = b->side[1].n };
    int ok = (u->w = pi_calloc(&b->a, u->n, BLOCK)) != NULL;
    for (int i = 0; i < 2 && ok; i++) {
        ok = (u->order[i] = pi_calloc(&b->a, u->n, sizeof **u->order)) != NULL &&
            (u->last[i] = pi_calloc(&b->a, u->n, 1)) != NULL &&
            (u->place[i] = pi_calloc(&b->a, u->n * BLOCK, sizeof **u->place)) != NULL;
        if (!ok) break;
        for (size_t k = 0; k < u->n; k++) u->order[i][k] = (int)k;
        u->by = i;
        pi_sort_index(u->order[i], u->n, before, u);
        for (size_t k = 0; k < u->n; k++)
            u->last[i][k] = k + 1 == u->n || score_of(u, i, u->order[i][k]) != score_of(u, i, u->order[i][k + 1]);
    }
    if (ok) return 0;
    auc_free(u);
    return pi_no_memory(err, u->n * BLOCK * sizeof **u->place);
}

/* One pass in order of one model's scores: a positive is right about the negatives below it and half of those beside it, a
 * negative about the positives above. total[side]: weights. */
static void placements(struct auc *u, int by, const float total[2][BLOCK])
{
    const size_t nn = u->n - u->np;
    float below[2][BLOCK] = { { 0 } }, here[2][BLOCK];
    for (size_t from = 0, to; from < u->n; from = to) {
        memset(here, 0, sizeof here);
        for (to = from; to == from || !u->last[by][to - 1]; to++) {
            const size_t i = (size_t)u->order[by][to];
            float *h = here[i >= nn];
            const unsigned char *w = u->w + i * BLOCK;
            for (int r = 0; r < BLOCK; r++) h[r] += w[r];
        }
        for (size_t k = from; k < to; k++) {
            const size_t i = (size_t)u->order[by][k];
            float *p = u->place[by] + i * BLOCK;
            if (i >= nn) for (int r = 0; r < BLOCK; r++) p[r] = below[0][r] + 0.5f * here[0][r];
            else for (int r = 0; r < BLOCK; r++) p[r] = total[1][r] - below[1][r] - 0.5f * here[1][r];
        }
        for (int s = 0; s < 2; s++) for (int r = 0; r < BLOCK; r++) below[s][r] += here[s][r];
    }
}

/* The contrast of BLOCK weighted sets, its error from the spread of the placements (DeLong, DeLong and Clarke-Pearson 1988). */
static void auc_block(struct auc *u, double a, struct point *out)
{
    const size_t nn = u->n - u->np;
    float total[2][BLOCK] = { { 0 } };
    double sum[2][2][BLOCK] = { { { 0 } } }, square[2][BLOCK] = { { 0 } };
    for (size_t i = 0; i < u->n; i++) for (int r = 0; r < BLOCK; r++) total[i >= nn][r] += u->w[i * BLOCK + (size_t)r];
    for (int by = 0; by < 2; by++) placements(u, by, total);
    for (size_t i = 0; i < u->n; i++) {
        const int side = i >= nn;
        const unsigned char *w = u->w + i * BLOCK;
        const float *p = u->place[0] + i * BLOCK, *q = u->place[1] + i * BLOCK;
        for (int r = 0; r < BLOCK; r++) {
            const double x = a * (double)p[r] - (double)q[r];
            sum[side][0][r] += w[r] * (double)p[r];
            sum[side][1][r] += w[r] * (double)q[r];
            square[side][r] += w[r] * x * x;
        }
    }
    for (int r = 0; r < BLOCK; r++) {
        const double pairs = (double)total[0][r] * (double)total[1][r];
        double metric[2], v = 0;
        out[r] = (struct point){ NAN, NAN, NAN, 0 };
        if (!(pairs > 0)) continue;
        for (int m = 0; m < 2; m++) metric[m] = sum[1][m][r] / pairs;
        const double c = a * metric[0] - metric[1];
        for (int s = 0; s < 2; s++) {
            const double w = (double)total[s][r], other = (double)total[!s][r];
            if (w > 1) v += (square[s][r] / (other * other) - w * c * c) / (w - 1) / w;
        }
        out[r] = (struct point){ metric[0], metric[1], c, v > 1e-13 ? sqrt(v) : 0 };
    }
}

/* ------------------------------------------------------------------------------------------------ result */

static void take(struct studentized *s, size_t r, const struct point *p, double *sum, double *square)
{
    const double off = p->contrast == p->contrast ? p->contrast - s->estimate : 0;     /* a replicate without a side    */
    s->t[r] = s->se > 0 ? ratio(off > 1e-13 || off < -1e-13 ? off : 0, p->se) : 0;
    *sum += off;
    *square += off * off;
}
static int replicate(const struct pi_boot_set *b, double a, struct studentized *s, struct point *whole, double *sd,
                     struct precinfer_error *err)
{
    struct auc u;
    struct point p[BLOCK];
    double sum = 0, square = 0;
    if (b->metric == PI_SET_F1) *whole = f1(b->cells, a);
    else {
        PI_TRY(auc_new(b, &u, err));
        memset(u.w, 1, u.n * BLOCK);
        auc_block(&u, a, p);
        *whole = p[0];
        for (size_t i = 0; i < u.n; i++) whole->differ += u.place[0][i * BLOCK] != u.place[1][i * BLOCK];
        whole->most = (double)u.n / (double)(u.np < u.n - u.np ? u.np : u.n - u.np);
    }
    s->estimate = whole->contrast;
    s->se = whole->se;
    for (unsigned r = 0; r < PI_REPLICATES; r += BLOCK) {
        if (b->metric == PI_SET_F1) for (unsigned i = 0; i < BLOCK; i++) p[i] = f1(b->cells + 8 * (size_t)(r + i + 1), a);
        else {
            for (size_t i = 0; i < u.n; i++)
                weights(i < b->side[0].n ? b->side[0].x[i].start : b->side[1].x[i - b->side[0].n].start, r, BLOCK,
                    u.w + i * BLOCK);
            auc_block(&u, a, p);
        }
        for (unsigned i = 0; i < BLOCK; i++) take(s, r + i, &p[i], &sum, &square);
    }
    if (b->metric == PI_SET_AUC) auc_free(&u);
    sum /= PI_REPLICATES;
    square = square / PI_REPLICATES - sum * sum;
    *sd = square > 0 ? sqrt(square) : 0;
    return 0;
}

/* Replicates of a handful of samples know nothing of those that were not drawn. Then: the candidate is within `most` times
 * the share that may differ, by Clopper and Pearson, of the reference. */
static void few(const struct point *p, double a, double c, double n, double alpha, struct pi_set_result *r)
{
    const double same = (a - 1) * p->reference - c, differ = p->most * pi_cp_upper((int64_t)p->differ, (int64_t)n, alpha);
    r->lower = same - differ;
    r->upper = same + differ;
    r->p_below = same > 0 ? 1 - pi_beta(same / p->most, p->differ + 1, n - p->differ) : 1;
}

int pi_boot_set_result(const struct pi_boot_set *b, double a, double c, double alpha, struct pi_set_result *r,
                       struct precinfer_error *err)
{
    struct studentized s = { 0 };
    struct point whole;
    double n[2] = { (double)b->side[0].n, (double)b->side[1].n };
    for (int i = 0; b->cells && i < 8; i++) n[i & 1] += b->cells[i];
    *r = (struct pi_set_result){ NAN, NAN, NAN, -INFINITY, INFINITY, 1, NAN };
    if (n[1] < 1 || (n[0] < 1 && b->metric == PI_SET_AUC)) return 0;
    PI_TRY(replicate(b, a, &s, &whole, &r->sd, err));
    r->reference = whole.reference;
    r->candidate = whole.candidate;
    s.estimate = r->estimate = whole.contrast - c;
    if (n[0] + n[1] < PI_BOOT_LEAST) return 0;
    if (whole.differ < PI_BOOT_FEW) {
        few(&whole, a, c, n[0] + n[1], alpha, r);
        return 0;
    }
    bounds(&s, alpha, &r->lower, &r->upper);
    r->p_below = p_below(&s);
    return 0;
}
