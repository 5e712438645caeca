/* Figures of one sample, from the outputs of reference and candidate. */
#ifndef PI_VERIFY_METRIC_H
#define PI_VERIFY_METRIC_H
#include "policy.h"

/* Elements [at, at + n) of a tensor, as double. n is at most PI_CHUNK. */
enum { PI_CHUNK = 512 };
void pi_load_doubles(const struct precinfer_tensor *t, size_t at, size_t n, double out[PI_CHUNK]);

/* Lowest index among equal maxima; -1 where a NaN is among the elements. second: the largest of the others. */
struct pi_top { int64_t index; double max, second; };
struct pi_top pi_top1(const struct precinfer_tensor *t, size_t at, size_t n);
/* Is element `label` among the k largest, of equal ones the lower index first? No, where there is a NaN or no such element. */
int pi_in_topk(const struct precinfer_tensor *t, size_t at, size_t n, int64_t label, int k);

/* One sample as the metrics see it. */
struct pi_sample {
    const struct precinfer_judged *j;
    size_t i, each;                     /* elements of the judged output in a sample                              */
    size_t index;                       /* in the data set, for messages; i counts what came in at once          */
    const int64_t *labels; size_t nlabels;
    struct pi_top reference, candidate;
    int tops;                           /* the two are there                                                     */
};
/* What a budget takes from a sample: r and c as pi_contrast_d wants them. A figure that is no number (or infinite) has
 * bad_c, the candidate's fault; the reference's is an error that names the sample. For AUC and F1 r and c are scores. */
struct pi_figures { double r, c; int bad_c; };
int pi_figures(const struct precinfer_policy *p, const struct precinfer_budget *b, const struct pi_sample *s,
               struct pi_figures *f, struct precinfer_error *err);
/* The last step of that: are they numbers? */
int pi_figures_check(const struct precinfer_budget *b, const struct pi_sample *s, int bad_reference, struct pi_figures *f,
                     struct precinfer_error *err);
/* What a metric needs to be there. */
int pi_needs_outputs(enum precinfer_metric m);
int pi_needs_labels(enum precinfer_metric m);
int pi_needs_target(enum precinfer_metric m);
int pi_needs_figure(enum precinfer_metric m);
#endif
