/* Confidence sequences by betting (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting",
 * J. R. Stat. Soc. B 86; the bets are their diversified Kelly: a fixed mixture over a grid of fractions, so that wealth
 * depends on the evidence only, not on its order). Valid at every look, whenever one stops (Ville's inequality).
 *
 * Against H0: E[d] >= m the wealth is the mean over j of prod_i (1 + f_j (m - d_i) / (high - m)), 0 < f_j < 1. It is a
 * nonnegative supermartingale under H0, and rises with m for any data, so that bounds follow by bisection. */
#ifndef PI_VERIFY_BETTING_H
#define PI_VERIFY_BETTING_H
#include "evidence.h"

/* log of the wealth against H0: E[d] >= m, and against H0: E[d] <= m. */
double pi_bet_against_above(const struct pi_evidence *e, double m);
double pi_bet_against_below(const struct pi_evidence *e, double m);
/* One-sided at confidence 1 - alpha: E[d] < upper, E[d] > lower; the bounds of d where nothing is excluded. */
double pi_bet_upper(const struct pi_evidence *e, double alpha);
double pi_bet_lower(const struct pi_evidence *e, double alpha);
/* The bets: fraction j, and the log of the mixture of bets whose log wealth is g[j]. */
enum { PI_BETS = 14 };
double pi_bet_fraction(int j);
double pi_bet_mix(const double *g);
/* p-value of H0: E[d] <= 0 ("within budget") for Holm: 1 / wealth, at most 1. */
double pi_bet_p_below(const struct pi_evidence *e);
#endif
