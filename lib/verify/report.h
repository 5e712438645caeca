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
};
#endif
