#include <math.h>
#include <string.h>
#include "evidence.h"

static double edge(const struct pi_evidence *e, size_t i)      /* rises with i; the same bits on every machine          */
{
    return i < PI_LATTICE ? e->low + (e->high - e->low) * ((double)i / PI_LATTICE) : e->high;
}

/* Index of the first atom whose low is not below `low`. */
static size_t find(const struct pi_evidence *e, double low)
{
    size_t from = 0, to = e->n;
    while (from < to) {
        const size_t i = from + (to - from) / 2;
        if (e->atoms[i].low < low) from = i + 1; else to = i;
    }
    return from;
}

static int grow(const struct pi_allocator *a, struct pi_evidence *e, struct precinfer_error *err)
{
    const size_t room = e->room ? 2 * e->room : 8;
    void *p = pi_grow(a, e->atoms, e->n * sizeof *e->atoms, room * sizeof *e->atoms);
    if (!p) return pi_no_memory(err, room * sizeof *e->atoms);
    e->atoms = p;
    e->room = room;
    return 0;
}
/* Where the atom with these edges stands, made if it is not there. */
static int place(const struct pi_allocator *a, struct pi_evidence *e, double low, double high, size_t *at,
    struct precinfer_error *err)
{
    const size_t i = *at = find(e, low);
    if (i < e->n && e->atoms[i].low == low) return 0;
    if (e->n == e->room) PI_TRY(grow(a, e, err));
    memmove(e->atoms + i + 1, e->atoms + i, (e->n - i) * sizeof *e->atoms);
    e->atoms[i] = (struct precinfer_atom){ low, high, 0 };
    e->n++;
    return 0;
}

int pi_evidence_exact(const struct pi_allocator *a, struct pi_evidence *e, const double *values, size_t n,
    struct precinfer_error *err)
{
    *e = (struct pi_evidence){ .exact = 1 };
    if (!n) return pi_fail(err, PRECINFER_INVALID, "evidence: d can have no value at all");
    for (size_t i = 0; i < n; i++) {
        size_t at;
        int rc = isfinite(values[i]) ? 0 : pi_fail(err, PRECINFER_INVALID, "evidence: value %zu of d is not finite", i);
        if (!rc) rc = place(a, e, values[i] + 0.0, values[i] + 0.0, &at, err);      /* + 0.0: -0 and 0 are one value   */
        if (rc) {
            pi_evidence_free(a, e);
            return rc;
        }
    }
    e->low = e->atoms[0].low;
    e->high = e->atoms[e->n - 1].low;
    return 0;
}

int pi_evidence_lattice(struct pi_evidence *e, double low, double high, struct precinfer_error *err)
{
    *e = (struct pi_evidence){ .low = low, .high = high };
    if (!isfinite(low) || !isfinite(high) || !isfinite(high - low) || !(low < high))
        return pi_fail(err, PRECINFER_INVALID, "evidence: the bounds of d are no interval");
    /* a bin must be wider than the spacing of doubles there */
    const double most = high > -low ? high : -low;
    if ((high - low) / PI_LATTICE < most * 1e-14) return pi_fail(err, PRECINFER_INVALID,
        "evidence: the bounds of d are too close");
    return 0;
}

/* A value that d can have, up to the rounding of its computation. */
static int exact_at(const struct pi_evidence *e, double d, size_t *at, struct precinfer_error *err)
{
    const size_t i = find(e, d);
    const double room = 1e-9 * (e->high > e->low ? e->high - e->low : 1);
    if (i < e->n && e->atoms[i].low - d <= room) *at = i;
    else if (i && d - e->atoms[i - 1].low <= room) *at = i - 1;
    else return pi_fail(err, PRECINFER_INVALID, "evidence: a value of d that is none of the %zu possible", e->n);
    return 0;
}
static int bin_at(const struct pi_allocator *a, struct pi_evidence *e, double d, size_t *at, struct precinfer_error *err)
{
    size_t i = 0;
    if (d >= e->high) i = PI_LATTICE - 1;
    else if (d > e->low) {
        i = (size_t)((d - e->low) / (e->high - e->low) * PI_LATTICE);
        if (i >= PI_LATTICE) i = PI_LATTICE - 1;
        while (d < edge(e, i)) i--;                             /* the division may round over an edge                 */
        while (d > edge(e, i + 1)) i++;
    }
    return place(a, e, edge(e, i), edge(e, i + 1), at, err);
}

int pi_evidence_add(const struct pi_allocator *a, struct pi_evidence *e, double d, uint64_t times, struct precinfer_error *err)
{
    size_t at = 0;
    if (d != d) return pi_fail(err, PRECINFER_INVALID, "evidence: d is NaN");
    if (times > UINT64_MAX / 2 - e->count) return pi_fail(err, PRECINFER_INVALID, "evidence: more than 2^63 samples");
    if (!times) return 0;
    PI_TRY(e->exact ? exact_at(e, d, &at, err) : bin_at(a, e, d, &at, err));
    e->atoms[at].count += times;
    e->count += times;
    if (!e->exact && (d < e->low || d > e->high)) e->clipped += times;
    return 0;
}

int pi_evidence_merge(const struct pi_allocator *a, struct pi_evidence *into, const struct pi_evidence *from,
    struct precinfer_error *err)
{
    if (into->exact != from->exact || into->low != from->low || into->high != from->high)
        return pi_fail(err, PRECINFER_INVALID, "evidence: two contrasts with other bounds do not merge");
    if (from->count > UINT64_MAX / 2 - into->count) return pi_fail(err, PRECINFER_INVALID, "evidence: more than 2^63 samples");
    /* places first: a failure leaves the counts as they were */
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < from->n; i++) {
            size_t at;
            if (from->exact) PI_TRY(exact_at(into, from->atoms[i].low, &at, err));
            else PI_TRY(place(a, into, from->atoms[i].low, from->atoms[i].high, &at, err));
            if (pass) into->atoms[at].count += from->atoms[i].count;
        }
    into->count += from->count;
    into->clipped += from->clipped;
    return 0;
}

double pi_evidence_mean(const struct pi_evidence *e)
{
    double sum = 0;
    for (size_t i = 0; i < e->n; i++)
        if (e->atoms[i].count) sum += (double)e->atoms[i].count * (e->atoms[i].low / 2 + e->atoms[i].high / 2);
    return e->count ? sum / (double)e->count : 0;
}

void pi_evidence_free(const struct pi_allocator *a, struct pi_evidence *e)
{
    pi_free(a, e->atoms);
    *e = (struct pi_evidence){ 0 };
}
