/* What precinfer_data_* call after their checks. */
#ifndef PI_FORMAT_DATA_READER_H
#define PI_FORMAT_DATA_READER_H
#include "../base/context.h"

int pi_data_new(precinfer_context *ctx, const struct precinfer_io *inputs, size_t ninputs,
                const struct precinfer_data_options *options,
                precinfer_data **data, struct precinfer_error *err);
int pi_data_next(precinfer_data *d, struct precinfer_batch *batch, struct precinfer_error *err);
void pi_data_rewind(precinfer_data *d);
size_t pi_data_samples(const precinfer_data *d);
void pi_data_info(const precinfer_data *d, struct precinfer_data_info *info);
int pi_data_labelled(const precinfer_data *d);
int pi_data_raw(const precinfer_data *d);
void pi_data_free(precinfer_data *d);
#endif
