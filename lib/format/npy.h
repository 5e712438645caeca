/* The .npy format, versions 1 to 3. Parsing allocates nothing and copies nothing. */
#ifndef PI_FORMAT_NPY_H
#define PI_FORMAT_NPY_H
#include <stddef.h>
#include <stdint.h>
#include "../base/bytes.h"
#include "../base/context.h"

enum {
    PI_NPY_PREAMBLE = 12,               /* enough to tell how long the header is                                 */
    PI_NPY_HEADER_MAX = 1 << 16         /* longer headers are refused: numpy itself stops at 10,000               */
};
struct pi_npy {
    enum precinfer_dtype dtype;
    int rank, fortran, swapped;         /* swapped: other byte order than this machine                           */
    int64_t dims[PRECINFER_MAX_RANK];
    size_t elements, bytes;             /* of the data                                                           */
    size_t offset;                      /* of the data in the file                                               */
};
/* Length of everything before the data, from the first PI_NPY_PREAMBLE bytes (or all, if there are fewer). */
int pi_npy_preamble(const void *bytes, size_t size, size_t *offset, struct precinfer_error *err);
/* The header from the first bytes of a file: at least `offset` of them. Errors say "byte N". */
int pi_npy_header(const void *bytes, size_t size, struct pi_npy *npy, struct precinfer_error *err);
/* The data must end where the file does: a torn download or an appended array is not read in part. */
int pi_npy_check_size(const struct pi_npy *npy, uint64_t file_size, struct precinfer_error *err);
/* Strides in elements, for the order that the file has. */
void pi_npy_strides(const struct pi_npy *npy, int64_t *stride);
/* Data at `from`, copied to row-major elements of this machine's byte order. */
void pi_npy_copy(const struct pi_npy *npy, const void *from, void *to);

/* A header for version 1.0, C order, ending at a multiple of 64: PI_NPY_WRITTEN bytes at most; 0: no such dtype. */
enum { PI_NPY_WRITTEN = 448 };
size_t pi_npy_write_header(char *header, const struct precinfer_tensor *t);
#endif
