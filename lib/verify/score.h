/* Score bounds on the mean of a d with few values, for one look at a fixed n: the m for which (mean - m)^2 equals z^2 times
 * the variance at the most likely distribution whose mean is m. For d in {-1, 0, 1} that is Tango (1998), Statistics in
 * Medicine 17; for ratios of paired proportions Nam and Blackwelder (2002). Asymptotic, hence approximate. */
#ifndef PI_VERIFY_SCORE_H
#define PI_VERIFY_SCORE_H
#include "evidence.h"
/* Evidence must be exact. */
double pi_score_upper(const struct pi_evidence *e, double alpha);
double pi_score_lower(const struct pi_evidence *e, double alpha);
double pi_score_p_below(const struct pi_evidence *e);          /* of H0: E[d] <= 0                                */
double pi_normal_quantile(double p);                            /* 0 < p < 1                                      */
double pi_normal_tail(double z);                                /* P(Z > z)                                       */
#endif
