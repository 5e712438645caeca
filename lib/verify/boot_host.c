#include <math.h>
#include <string.h>
#include "../base/context.h"
#include "boot_host.h"

void pi_boot_host_free(const struct pi_allocator *a, struct pi_boot_host *b)
{
    pi_free(a, b->ids);
    pi_free(a, b->at);
    *b = (struct pi_boot_host){ 0 };
}

int pi_boot_host_add(const struct pi_allocator *a, struct pi_boot_host *b, uint64_t id, size_t at, struct precinfer_error *err)
{
    if (b->n == b->room) {
        const size_t room = b->room ? 2 * b->room : 64;
        uint64_t *ids = pi_grow(a, b->ids, b->n * sizeof *ids, room * sizeof *ids);
        if (!ids) return pi_no_memory(err, room * sizeof *ids);
        b->ids = ids;
        size_t *places = pi_grow(a, b->at, b->n * sizeof *places, room * sizeof *places);
        if (!places) return pi_no_memory(err, room * sizeof *places);
        b->at = places;
        b->room = room;
    }
    b->ids[b->n] = id;
    b->at[b->n++] = at;
    return 0;
}

struct call { const struct pi_host *host; const char *name; double share, drop; unsigned char *w; };

/* The contrast at these weights. +INFINITY: the candidate has no figure. NAN: the reference has none. */
static int contrast(const struct call *k, double *reference, double *candidate, double *d, struct precinfer_error *err)
{
    *reference = *candidate = NAN;
    struct precinfer_error own = { PRECINFER_OK, "" };
    const int status = k->host->figures.set(k->host->figures.user, k->name, k->w, k->host->judged, reference, candidate, &own);
    if (status) return pi_fail(err, (enum precinfer_status)status, "figure '%s': %s", k->name, *own.text ? own.text : "the host gave none");
    *d = !(*reference - *reference == 0) ? NAN : !(*candidate - *candidate == 0) ? INFINITY
        : k->share * *reference - *candidate - k->drop;
    return 0;
}

static int replicates(const struct call *k, const struct pi_boot_host *b, double *least, double *most, double *sum, double *square,
                      struct precinfer_error *err)
{
    *sum = *square = 0;
    for (unsigned r = 0; r < PI_REPLICATES; r++) {
        double x, y, d;
        for (size_t i = 0; i < b->n; i++) k->w[b->at[i]] = (unsigned char)pi_poisson(b->ids[i], r);
        PI_TRY(contrast(k, &x, &y, &d, err));
        const int known = d - d == 0;
        least[r] = known ? d : -INFINITY;
        most[r] = known ? d : INFINITY;
        *sum += known ? d : 0;
        *square += known ? d * d : 0;
    }
    return 0;
}

static void bounds(double *least, double *most, double alpha, struct pi_set_result *r)
{
    const size_t k = (size_t)(alpha * (PI_REPLICATES + 1) + 1e-9);
    size_t n = 1;
    pi_boot_sort(least);
    pi_boot_sort(most);
    for (size_t i = 0; i < PI_REPLICATES; i++) n += least[i] <= 0;
    r->p_below = (double)n / (PI_REPLICATES + 1);
    if (k < 1 || k > PI_REPLICATES) return;
    r->lower = least[k - 1];
    r->upper = most[PI_REPLICATES - k];
}

static int result(const struct call *k, const struct pi_boot_host *b, double *room, double alpha, struct pi_set_result *r,
                  struct precinfer_error *err)
{
    double sum, square;
    for (size_t i = 0; i < b->n; i++) k->w[b->at[i]] = 1;
    PI_TRY(contrast(k, &r->reference, &r->candidate, &r->estimate, err));
    if (r->estimate != r->estimate)
        return pi_fail(err, PRECINFER_INVALID, "figure '%s' of the reference is no finite number, so nothing can be held against it", k->name);
    if (b->n < PI_BOOT_LEAST) return 0;
    PI_TRY(replicates(k, b, room, room + PI_REPLICATES, &sum, &square, err));
    sum /= PI_REPLICATES;
    square = square / PI_REPLICATES - sum * sum;
    r->sd = square > 0 ? sqrt(square) : 0;
    bounds(room, room + PI_REPLICATES, alpha, r);
    if (r->estimate == INFINITY) r->upper = INFINITY;           /* a candidate without a figure does not pass         */
    return 0;
}

int pi_boot_host_result(const struct pi_boot_host *b, const struct pi_host *host, const char *name, double share, double drop,
                        double alpha, struct pi_set_result *r, struct precinfer_error *err)
{
    const struct pi_allocator *a = host->a;
    *r = (struct pi_set_result){ NAN, NAN, NAN, -INFINITY, INFINITY, 1, NAN };
    if (!b->n) return 0;
    unsigned char *w = pi_calloc(a, host->judged, 1);
    double *room = pi_calloc(a, 2 * PI_REPLICATES, sizeof *room);
    const struct call k = { host, name, share, drop, w };
    const int status = w && room ? result(&k, b, room, alpha, r, err) : pi_no_memory(err, host->judged + 2 * PI_REPLICATES * sizeof *room);
    pi_free(a, w);
    pi_free(a, room);
    return status;
}
