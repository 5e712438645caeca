/* A file of recorded tensors, written and read as it streams by. Little-endian:
 *
 *   head, 64 bytes: magic "PRECINF\n", kind "TRAC", u16 major, u16 minor version, zero
 *   records, each a head of 64 bytes (u32 tag, u32 zero, u64 bytes, u64 XXH64 of the payload, zero) and a payload, with zeros
 *   to the next multiple of 64:
 *     INFO  versions, hashes, and of every tensor its name, form and who computes it
 *     BLCK  u64 samples, their hashes; each tensor: rank, dimensions, data at a multiple of 64
 *     DONE  u64 samples, u64 hash of the data, u64 XXH64 of the hashes of all records before: the file ends here */
#ifndef PI_FORMAT_TRACE_FILE_H
#define PI_FORMAT_TRACE_FILE_H
#include "../verify/trace.h"
int pi_trace_is_file(const char *path);
int pi_trace_file(precinfer_context *ctx, const char *path, struct pi_trace **trace, struct precinfer_error *err);
/* Runs the live trace over the data and writes what it gives. */
int pi_trace_record(struct pi_trace *trace, precinfer_next_batch *next, void *user, const char *path,
                    const struct precinfer_diff_options *o, struct precinfer_error *err);
#endif
