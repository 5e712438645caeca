/* What precinfer_arrays_* call after their checks. */
#ifndef PI_FORMAT_ARRAYS_H
#define PI_FORMAT_ARRAYS_H
#include "../base/context.h"

int pi_arrays_new(precinfer_context *ctx, const char *path, precinfer_arrays **arrays, struct precinfer_error *err);
size_t pi_arrays_count(const precinfer_arrays *a);
void pi_arrays_info(const precinfer_arrays *a, size_t i, const char **name, struct precinfer_tensor *shape);
int pi_arrays_load(precinfer_arrays *a, size_t i, struct precinfer_tensor *array, struct precinfer_error *err);
void pi_arrays_free(precinfer_arrays *a);
#endif
