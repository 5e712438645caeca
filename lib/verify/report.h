/* What a verification found. */
#ifndef PI_VERIFY_REPORT_H
#define PI_VERIFY_REPORT_H
#include "../plan/plan.h"

struct pi_layer_sum { double signal, noise, max_abs; uint64_t count; };
struct precinfer_report {
    precinfer_context *ctx;
    struct precinfer_report_info info;
    struct pi_layer_sum *layers;        /* one a step of the plan                                               */
    char *breach;
    /* of a gate; strings and atoms lie in the arena                                                             */
    struct pi_arena arena;
    struct precinfer_contrast *contrasts;
    struct precinfer_evidence *evidence;
    size_t ncontrasts;
    enum precinfer_verdict gate_verdict;    /* NO_LIMIT: there was no gate                                      */
    int64_t gate_needed;
    uint64_t *looks; size_t nlooks;
    uint64_t *seen; size_t nseen;
    struct precinfer_flip *flips; size_t nflips;
    struct precinfer_confusion *confusions; size_t nconfusions;
};
int pi_report_create(precinfer_context *ctx, precinfer_report **report, struct precinfer_error *err);
/* Bounds on agreement and drop from the counts; NaN limits and no verdicts. */
void pi_report_rates(struct precinfer_report_info *r);
#endif
