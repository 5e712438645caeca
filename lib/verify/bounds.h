/* Exact bounds on a proportion, for one look at data whose size was fixed beforehand. */
#ifndef PI_VERIFY_BOUNDS_H
#define PI_VERIFY_BOUNDS_H
#include <stdint.h>
/* Clopper and Pearson (1934): the p at which x or more (lower), x or fewer (upper) successes of n have probability alpha. */
double pi_cp_lower(int64_t x, int64_t n, double alpha);
double pi_cp_upper(int64_t x, int64_t n, double alpha);
/* Regularized incomplete beta function I_x(a, b), a, b > 0. */
double pi_beta(double x, double a, double b);

/* 1 pass, -1 fail, 0 undecided. */
int pi_agreement_verdict(int64_t same, int64_t n, double limit);                /* one-sided 95%                   */
int pi_drop_verdict(int64_t lost, int64_t gained, int64_t n, double limit);    /* limit as a share of n            */
/* How many samples would decide at the rates seen; -1: none up to 1e9. */
int64_t pi_agreement_needed(int64_t same, int64_t n, double limit);
int64_t pi_drop_needed(int64_t lost, int64_t gained, int64_t n, double limit);
#endif
