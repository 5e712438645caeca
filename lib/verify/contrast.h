/* One budget on one slice: what was seen of its d, and what follows. */
#ifndef PI_VERIFY_CONTRAST_H
#define PI_VERIFY_CONTRAST_H
#include "boot_host.h"
#include "policy.h"

enum pi_kind {
    PI_KIND_PROPORTION,                 /* d has two values                                                      */
    PI_KIND_PAIRED,                     /* a difference of two 0/1 scores                                        */
    PI_KIND_BOUNDED, PI_KIND_MEAN,
    PI_KIND_SET, PI_KIND_HOST           /* AUC and F1; the host's figure of a set                                 */
};
struct pi_contrast {
    const struct pi_budget *budget;
    size_t index;                       /* of the budget                                                         */
    const char *slice;                  /* NULL: all samples                                                     */
    double value;
    enum pi_kind kind;
    struct pi_evidence e;               /* PROPORTION, PAIRED, BOUNDED                                           */
    struct pi_boot_mean m;
    struct pi_boot_set *set;
    struct pi_boot_host of_host;
    const struct pi_host *host;         /* who computes it                                                       */
    double sum_r, sum_c;                /* over units                                                            */
    uint64_t samples, units;
};
/* clustered: units are means, which have more values than the scores that they are made of. slice stays the caller's. */
int pi_contrast_open(const struct pi_allocator *a, struct pi_contrast *c, const struct pi_budget *budget, size_t index,
                     const char *slice, int clustered, struct precinfer_error *err);
void pi_contrast_close(const struct pi_allocator *a, struct pi_contrast *c);
/* An independent copy of a contrast with evidence. */
int pi_contrast_copy(const struct pi_allocator *a, const struct pi_contrast *from, struct pi_contrast *to,
                     struct precinfer_error *err);
/* Makes the candidate's figure one that can be counted. One that is no number becomes the one that makes d the upper bound;
 * where d is unbounded that is an error, which names the sample. to_bounds: nor may d lie beyond the bounds, so that the mean
 * of a cluster is one of what was counted. 1 in *counted: the figure was changed. */
int pi_contrast_figure(const struct pi_contrast *c, size_t sample, double r, int bad, int to_bounds, double *figure, int *counted,
                       struct precinfer_error *err);
/* One unit: a sample or the means of a cluster. Not of sets. worst: d is the upper bound. */
int pi_contrast_add(const struct pi_allocator *a, struct pi_contrast *c, uint64_t id, double r, double figure, int worst,
                    struct precinfer_error *err);

/* What follows for E[d]. */
enum pi_how { PI_HOW_BETTING, PI_HOW_CLOPPER_PEARSON, PI_HOW_SCORE, PI_HOW_BOOT_MEAN, PI_HOW_BOOT_SET, PI_HOW_BOOT_HOST };
struct pi_finding {
    enum pi_how how;
    double mean, lower, upper, p;       /* p: of H0: E[d] <= 0, within budget                                    */
    double reference, candidate;        /* means of the figures                                                  */
    double sd;                          /* of the estimate, for sets                                             */
};
int pi_contrast_find(const struct pi_contrast *c, const struct precinfer_policy_rules *rules, struct pi_finding *f,
                     struct precinfer_error *err);
/* How many units would do; -1: none at this rate. Takes longer than the bounds. */
int64_t pi_contrast_needed(const struct pi_contrast *c, const struct precinfer_policy_rules *rules, const struct pi_finding *f);
#endif
