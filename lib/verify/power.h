/* How many units would do: the least n with 80% power if nothing was lost, from what was seen so far. */
#ifndef PI_VERIFY_POWER_H
#define PI_VERIFY_POWER_H
#include "evidence.h"
enum pi_bound_method { PI_BETTING, PI_CLOPPER_PEARSON, PI_SCORE };
/* Contrasts of 0/1 scores: disagreement's upper bound, limit and share as in struct precinfer_budget: d = share * s_reference -
 * s_candidate - drop. reference: accuracy of the reference. -1: none up to 1e9. */
int64_t pi_needed_paired(enum pi_bound_method method, double disagreement, double reference, double share, double drop,
    double alpha);
/* A proportion that must be at least `limit`, at the rate seen. */
int64_t pi_needed_proportion(enum pi_bound_method method, double rate, double limit, double alpha);
/* Any other: evidence shifted so that its mean is `mean` (< 0: what E[d] is if nothing was lost). */
int64_t pi_needed_shifted(const struct pi_evidence *e, double mean, double alpha);
/* From a standard deviation, by the normal approximation. */
int64_t pi_needed_normal(double sd, double mean, double alpha);
#endif
