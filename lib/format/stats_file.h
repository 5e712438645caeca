/* Statistics in a container: kind "STAT". */
#ifndef PI_FORMAT_STATS_FILE_H
#define PI_FORMAT_STATS_FILE_H
#include "../calib/stats.h"
#include "container.h"

int pi_stats_encode(const precinfer_stats *s, struct pi_bytes *out, struct precinfer_error *err);
int pi_stats_decode(precinfer_context *ctx, const void *bytes, size_t size, precinfer_stats **stats, struct precinfer_error *err);
int pi_stats_write(const precinfer_stats *s, const char *path, struct precinfer_error *err);
#endif
