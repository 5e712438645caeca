/* Tensors that any runtime recorded: a directory with one .npy a tensor, or a .npz. Samples lie along the first dimension; how
 * many there are is what most arrays say, and arrays that do not split so are left out. Mapped .npy files are read as they
 * stream by; entries of a .npz are unpacked whole. */
#ifndef PI_FORMAT_TRACE_DIR_H
#define PI_FORMAT_TRACE_DIR_H
#include "../verify/trace.h"
int pi_trace_dir(precinfer_context *ctx, const char *path, struct pi_trace **trace, struct precinfer_error *err);
#endif
