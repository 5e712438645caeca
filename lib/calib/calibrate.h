/* Running the f32 model with observers. */
#ifndef PI_CALIB_CALIBRATE_H
#define PI_CALIB_CALIBRATE_H
#include "../plan/plan.h"
int pi_calibrate(const precinfer_plan *f32, precinfer_next_batch *next, void *user, const struct precinfer_calibrate_options *o,
                 precinfer_stats **stats, struct precinfer_error *err);
#endif
