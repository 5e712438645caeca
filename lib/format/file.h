/* Files: read whole; written under a temporary name beside the target, flushed, then renamed. */
#ifndef PI_FORMAT_FILE_H
#define PI_FORMAT_FILE_H
#include <stdint.h>
#include "../base/alloc.h"

/* The whole file into a block of the allocator (pi_free it). Pipes are read to their end. A missing file is
 * PRECINFER_NOT_FOUND, anything else PRECINFER_IO; both name the path. */
int pi_file_read(const struct pi_allocator *a, const char *path, unsigned char **bytes, size_t *size,
                 struct precinfer_error *err);

/* Bytes from..from+size of a regular file into `to`. *total is the file's size (NULL allowed), also on failure by range.
 * A range past the end is PRECINFER_MALFORMED. */
int pi_file_read_part(const char *path, uint64_t from, size_t size, void *to, uint64_t *total, struct precinfer_error *err);

/* A file being written. Zero-initialise; open, write, then commit or drop. A failed call drops the rest: no temporary
 * file stays. A target that exists and is no regular file (a pipe, /dev/stdout) is opened in place; a symbolic link is
 * followed, so that it stays one. */
struct pi_file { const struct pi_allocator *a; int fd, in_place; char *path, *target, *temporary; };
int pi_file_open(const struct pi_allocator *a, const char *path, struct pi_file *f, struct precinfer_error *err);
int pi_file_put(struct pi_file *f, const void *bytes, size_t size, struct precinfer_error *err);
int pi_file_commit(struct pi_file *f, struct precinfer_error *err);
void pi_file_drop(struct pi_file *f);               /* after commit, or on a zeroed one: nothing happens         */
/* All of it in one call. */
int pi_file_write(const struct pi_allocator *a, const char *path, const void *bytes, size_t size, struct precinfer_error *err);

/* "no such file or directory": for messages; does not depend on the locale. */
const char *pi_file_reason(int error, char buffer[24]);
#endif
