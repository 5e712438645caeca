/* Poisson bootstrap: replicate r weighs a sample by a Poisson(1) draw that is a function of (sample id, r) alone, so that
 * replicates stream, merge over shards and repeat (Chamandy, Muralidharan, Najmi and Naidu 2012). Approximate. Samples of one
 * cluster share their cluster's id, and so their weight. */
#ifndef PI_VERIFY_BOOTSTRAP_H
#define PI_VERIFY_BOOTSTRAP_H
#include "evidence.h"

enum { PI_REPLICATES = PRECINFER_REPLICATES, PI_BOOT_LEAST = 30, PI_BOOT_FEW = 10, PI_BOOT_DIFFER = 30,
       PI_BOOT_SAME = 300 };
/* Fewer than PI_BOOT_LEAST units bound nothing; below PI_BOOT_FEW samples on which the models differ, set metrics are bounded by
 * how many may differ (Clopper-Pearson) and how far one of them can move the metric. */
unsigned pi_poisson(uint64_t id, unsigned replicate);
void pi_boot_sort(double *t);                  /* PI_REPLICATES of them, ascending                               */

/* Mean of an unbounded d: studentized (bootstrap-t). A d that never varies is taken for constant. */
struct pi_boot_mean {
    double *sums;                       /* per replicate: weights, weighted sums, squares                        */
    double w, x, xx;
    uint64_t differ;                    /* units on which the two models differ. Where some do, but fewer than
                                         * PI_BOOT_DIFFER, what they lose is not yet seen, and nothing is bounded; where
                                         * none does, PI_BOOT_SAME show that at most 1% would (at 95%) */
};
int pi_boot_mean_new(const struct pi_allocator *a, struct pi_boot_mean *b, struct precinfer_error *err);
void pi_boot_mean_add(struct pi_boot_mean *b, uint64_t id, double d, int differs);
void pi_boot_mean_merge(struct pi_boot_mean *into, const struct pi_boot_mean *from);
/* One-sided each; -INFINITY, INFINITY where there is too little. */
void pi_boot_mean_bounds(const struct pi_boot_mean *b, double alpha, double *lower, double *upper);
double pi_boot_mean_p_below(const struct pi_boot_mean *b);      /* of H0: E[d] <= 0                              */
void pi_boot_mean_free(const struct pi_allocator *a, struct pi_boot_mean *b);

/* Set metrics of reference and candidate: F1 from counts; AUC from the scores, which are kept (24 bytes a sample). The
 * contrast is a * metric(reference) - metric(candidate) - c, a = 1 for MAX_DROP, c = 0 for MIN_SHARE. */
enum pi_set_metric { PI_SET_F1, PI_SET_AUC };
struct pi_boot_set;
int pi_boot_set_new(const struct pi_allocator *a, enum pi_set_metric metric, struct pi_boot_set **b, struct precinfer_error *err);
/* F1: scores are 0 or 1, the predictions. */
int pi_boot_set_add(struct pi_boot_set *b, uint64_t id, int positive, double reference, double candidate,
    struct precinfer_error *err);
int pi_boot_set_merge(struct pi_boot_set *into, const struct pi_boot_set *from, struct precinfer_error *err);
/* Point values (NAN where there is no positive or, for AUC, no negative), bounds of the contrast, p of H0: contrast <= 0.
 * Studentized by the spread of influences: of samples for F1, of placements (DeLong) for AUC. */
struct pi_set_result { double reference, candidate, estimate, lower, upper, p_below, sd; };
int pi_boot_set_result(const struct pi_boot_set *b, double a, double c, double alpha, struct pi_set_result *r,
    struct precinfer_error *err);
void pi_boot_set_free(struct pi_boot_set *b);
#endif
