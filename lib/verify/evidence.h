/* What was seen of one contrast: how often d had which value. A sequential test needs no more than that, in no order: so
 * evidence merges, can be written down and gone on with, and a report does not depend on the order of the samples.
 *
 * Contrasts of 0/1 scores have a handful of exact values, which are atoms with low = high. Others lie on a lattice of
 * PI_LATTICE bins over the bounds [low, high] of d: an atom is a bin with its edges. An upper bound counts each value as
 * its bin's upper edge, a lower bound as its lower edge, which keeps both valid at a cost of at most a bin's width. */
#ifndef PI_VERIFY_EVIDENCE_H
#define PI_VERIFY_EVIDENCE_H
#include "../base/context.h"

enum { PI_LATTICE = 65536 };
struct pi_evidence {
    double low, high;                   /* bounds of d                                                           */
    struct precinfer_atom *atoms;       /* ascending; exact atoms may have count 0: values that d can have       */
    size_t n, room;
    uint64_t count;                     /* of all atoms                                                          */
    uint64_t clipped;                   /* values beyond the bounds, counted as the bound                        */
    int exact;                          /* atoms are the only values that d can have                             */
};
/* exact: values[0 .. n-1] are all that d can be. */
int pi_evidence_exact(const struct pi_allocator *a, struct pi_evidence *e, const double *values, size_t n,
    struct precinfer_error *err);
/* low < high */
int pi_evidence_lattice(struct pi_evidence *e, double low, double high, struct precinfer_error *err);
int pi_evidence_add(const struct pi_allocator *a, struct pi_evidence *e, double d, uint64_t times, struct precinfer_error *err);
int pi_evidence_merge(const struct pi_allocator *a, struct pi_evidence *into, const struct pi_evidence *from,
    struct precinfer_error *err);
double pi_evidence_mean(const struct pi_evidence *e);           /* bins by their middle; 0 without any           */
void pi_evidence_free(const struct pi_allocator *a, struct pi_evidence *e);
#endif
