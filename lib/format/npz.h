/* .npz: a zip archive of .npy entries. npz.c alone knows minizip; a build without ONNX has neither. */
#ifndef PI_FORMAT_NPZ_H
#define PI_FORMAT_NPZ_H
#include "npy.h"

struct pi_npz;
/* The archive is in memory, which must outlive it. Reads the directory and every entry's header; data only on demand. */
int pi_npz_open(precinfer_context *ctx, const void *bytes, size_t size, struct pi_npz **npz, struct precinfer_error *err);
void pi_npz_close(struct pi_npz *npz);              /* NULL: nothing happens                                     */
size_t pi_npz_count(const struct pi_npz *npz);
/* Name without ".npy", and the header. */
const char *pi_npz_entry(const struct pi_npz *npz, size_t i, const struct pi_npy **npy);
int pi_npz_find(const struct pi_npz *npz, const char *key);         /* -1: no such entry                         */
/* The data as it is in the file (order, byte order) into `to`, npy->bytes of them, checked against the entry's CRC. */
int pi_npz_read(struct pi_npz *npz, size_t i, void *to, struct precinfer_error *err);
#endif
