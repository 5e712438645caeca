#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../base/error.h"

const char *pi_file_reason(int error, char buffer[24])
{
    switch (error) {
    case ENOENT: return "no such file or directory";
    case EACCES: case EPERM: return "permission denied";
    case EISDIR: return "is a directory";
    case ENOTDIR: return "a part of the path is not a directory";
    case ENOSPC: case EDQUOT: return "no space left";
    case EROFS: return "read-only file system";
    case EFBIG: return "file too large";
    case ENAMETOOLONG: return "name too long";
    case ELOOP: return "too many symbolic links";
    case EMFILE: case ENFILE: return "too many open files";
    case EPIPE: return "the other end is closed";
    case EIO: return "input/output error";
    }
    snprintf(buffer, 24, "error %d", error);
    return buffer;
}

static int fail(struct precinfer_error *err, int status, const char *path, const char *what, int error)
{
    char buffer[24];
    return pi_fail(err, (enum precinfer_status)status, "%s: %s: %s", path, what, pi_file_reason(error, buffer));
}

/* ---------------------------------------------------------------- reading */

static int open_to_read(const char *path, int *fd, struct stat *st, struct precinfer_error *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return fail(err, errno == ENOENT || errno == ENOTDIR ? PRECINFER_NOT_FOUND : PRECINFER_IO, path, "cannot open", errno);
    int error = 0;
    if (fstat(*fd, st))
        error = errno;
    else if (S_ISDIR(st->st_mode))
        error = EISDIR;
    if (!error)
        return PRECINFER_OK;
    close(*fd);
    return fail(err, PRECINFER_IO, path, "cannot read", error);
}

/* Up to size bytes; fewer only at the end of the file. -1: errno. */
static ssize_t read_fully(int fd, unsigned char *to, size_t size)
{
    size_t got = 0;
    while (got < size) {
        const size_t step = size - got < (size_t)1 << 30 ? size - got : (size_t)1 << 30;
        const ssize_t n = read(fd, to + got, step);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static int read_regular(const struct pi_allocator *a, int fd, const char *path, size_t size, unsigned char **bytes,
                        struct precinfer_error *err)
{
    unsigned char *block = pi_malloc(a, size);
    if (!block)
        return pi_no_memory(err, size);
    const ssize_t got = read_fully(fd, block, size);
    if (got == (ssize_t)size) {
        *bytes = block;
        return PRECINFER_OK;
    }
    pi_free(a, block);
    if (got < 0)
        return fail(err, PRECINFER_IO, path, "cannot read", errno);
    return pi_fail(err, PRECINFER_IO, "%s: shrank while it was read", path);
}

static int read_stream(const struct pi_allocator *a, int fd, const char *path, unsigned char **bytes, size_t *size,
                       struct precinfer_error *err)
{
    unsigned char *block = NULL;
    size_t room = 0, used = 0;
    for (;;) {
        if (used == room) {
            const size_t more = room ? 2 * room : 65536;
            unsigned char *bigger = more > room ? pi_grow(a, block, room, more) : NULL;
            if (!bigger) {
                pi_free(a, block);
                return pi_no_memory(err, more);
            }
            block = bigger;
            room = more;
        }
        const ssize_t got = read_fully(fd, block + used, room - used);
        if (got < 0) {
            const int error = errno;
            pi_free(a, block);
            return fail(err, PRECINFER_IO, path, "cannot read", error);
        }
        used += (size_t)got;
        if (used < room)
            break;
    }
    *bytes = block;
    *size = used;
    return PRECINFER_OK;
}

int pi_file_read(const struct pi_allocator *a, const char *path, unsigned char **bytes, size_t *size, struct precinfer_error *err)
{
    int fd;
    struct stat st;
    PI_TRY(open_to_read(path, &fd, &st, err));
    int status;
    if (S_ISREG(st.st_mode) && st.st_size > 0) {    /* files of /proc say 0 and have content */
        *size = (size_t)st.st_size;
        status = read_regular(a, fd, path, *size, bytes, err);
    } else
        status = read_stream(a, fd, path, bytes, size, err);
    close(fd);
    return status;
}

int pi_file_read_part(const char *path, uint64_t from, size_t size, void *to, uint64_t *total, struct precinfer_error *err)
{
    int fd;
    struct stat st;
    PI_TRY(open_to_read(path, &fd, &st, err));
    int status = PRECINFER_OK;
    const uint64_t end = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    if (total)
        *total = end;
    if (!S_ISREG(st.st_mode))
        status = pi_fail(err, PRECINFER_IO, "%s: is no regular file", path);
    else if (from > end || size > end - from)
        status = pi_fail(err, PRECINFER_MALFORMED, "%s: %zu bytes at offset %llu end after the file's %llu", path, size,
                         (unsigned long long)from, (unsigned long long)end);
    else if (lseek(fd, (off_t)from, SEEK_SET) < 0)
        status = fail(err, PRECINFER_IO, path, "cannot seek", errno);
    else {
        const ssize_t got = read_fully(fd, to, size);
        if (got < 0)
            status = fail(err, PRECINFER_IO, path, "cannot read", errno);
        else if ((size_t)got != size)
            status = pi_fail(err, PRECINFER_IO, "%s: shrank while it was read", path);
    }
    close(fd);
    return status;
}

/* ---------------------------------------------------------------- writing */

static char *joined(const struct pi_allocator *a, const char *s, const char *tail)
{
    const size_t n = strlen(s), m = strlen(tail);
    char *r = pi_malloc(a, n + m + 1);
    if (r) {
        memcpy(r, s, n);
        memcpy(r + n, tail, m + 1);
    }
    return r;
}

/* A name that nobody has beside the target. */
static int name_temporary(struct pi_file *f, unsigned i, struct precinfer_error *err)
{
    char tail[48];
    snprintf(tail, sizeof tail, ".%ld.%u.tmp", (long)getpid(), i);
    f->temporary = joined(f->a, f->target, tail);
    return f->temporary ? PRECINFER_OK : pi_no_memory(err, strlen(f->target) + sizeof tail);
}

static int open_named(struct pi_file *f, mode_t mode, int keep_mode, struct precinfer_error *err)
{
    for (unsigned i = 0; i < 1000; i++) {
        PI_TRY(name_temporary(f, i, err));
        f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0) {
            if (keep_mode)
                (void)!fchmod(f->fd, mode & 07777);     /* a file system without modes is no reason to fail */
            return PRECINFER_OK;
        }
        const int error = errno;
        pi_free(f->a, f->temporary);
        f->temporary = NULL;
        if (error != EEXIST)
            return fail(err, PRECINFER_IO, f->path, "cannot create", error);
    }
    return fail(err, PRECINFER_IO, f->path, "cannot create", EEXIST);
}

/* A file without a name, in the target's directory: whatever ends the process before pi_file_commit leaves nothing
 * behind. Not every file system has them, and its name will come through /proc. */
static int open_nameless(struct pi_file *f, const struct stat *old)
{
    const char *slash = strrchr(f->target, '/');
    const size_t n = slash ? (size_t)(slash - f->target) + 1 : 1;
    char directory[PATH_MAX];
    if (n >= sizeof directory || access("/proc/self/fd", X_OK))
        return 0;
    memcpy(directory, slash ? f->target : ".", n);
    directory[n] = 0;
    f->fd = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
    if (f->fd >= 0 && old)
        (void)!fchmod(f->fd, old->st_mode & 07777);
    return f->fd >= 0;
}

/* Where a nameless file can be had, but not be linked. */
static int copy_to_named(struct pi_file *f, struct precinfer_error *err)
{
    struct stat st = {0};
    const int from = f->fd;
    off_t at = 0;
    ssize_t n = 0;
    fstat(from, &st);
    int status = open_named(f, st.st_mode, 1, err);
    while (!status && (n = sendfile(f->fd, from, &at, (size_t)1 << 30)) > 0) {
    }
    if (!status && (n < 0 || fsync(f->fd)))
        status = fail(err, PRECINFER_IO, f->path, "cannot write", errno);
    if (f->fd != from)
        close(from);
    return status;
}

/* The nameless file, written and flushed, gets its temporary name, for the moment until it is renamed. */
static int give_name(struct pi_file *f, struct precinfer_error *err)
{
    char from[40];
    snprintf(from, sizeof from, "/proc/self/fd/%d", f->fd);
    for (unsigned i = 0; i < 1000; i++) {
        PI_TRY(name_temporary(f, i, err));
        if (!linkat(AT_FDCWD, from, AT_FDCWD, f->temporary, AT_SYMLINK_FOLLOW))
            return PRECINFER_OK;
        const int error = errno;
        pi_free(f->a, f->temporary);
        f->temporary = NULL;
        if (error != EEXIST)
            break;
    }
    return copy_to_named(f, err);
}

/* What the process itself has open, by its number. */
static int is_open_already(const char *path)
{
    return !strcmp(path, "/dev/stdout") || !strcmp(path, "/dev/stderr") || !strncmp(path, "/dev/fd/", 8)
        || !strncmp(path, "/proc/self/fd/", 14);
}

int pi_file_open(const struct pi_allocator *a, const char *path, struct pi_file *f, struct precinfer_error *err)
{
    struct stat st;
    char real[PATH_MAX];
    const int exists = !stat(path, &st);
    *f = (struct pi_file){.a = a, .fd = -1};
    f->path = joined(a, path, "");
    /* A link to a file that is there: replace the file, keep the link. */
    f->target = joined(a, exists && S_ISREG(st.st_mode) && realpath(path, real) ? real : path, "");
    int status = PRECINFER_OK;
    if (!f->path || !f->target)
        status = pi_no_memory(err, strlen(path) + 1);
    else if (exists && S_ISDIR(st.st_mode))
        status = fail(err, PRECINFER_IO, path, "cannot write", EISDIR);
    else if (exists && (!S_ISREG(st.st_mode) || is_open_already(path))) {
        /* /dev/stdout may be a regular file that the shell has open: what it holds already stays. */
        f->in_place = 1;
        f->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (f->fd < 0)
            status = fail(err, PRECINFER_IO, path, "cannot open for writing", errno);
    } else
        status = open_nameless(f, exists ? &st : NULL) ? PRECINFER_OK : open_named(f, exists ? st.st_mode : 0, exists, err);
    if (status)
        pi_file_drop(f);
    return status;
}

int pi_file_put(struct pi_file *f, const void *bytes, size_t size, struct precinfer_error *err)
{
    const char *p = bytes;
    if (f->fd < 0)
        return pi_fail(err, PRECINFER_INVALID, "writing to a file that is not open");
    while (size) {
        const ssize_t n = write(f->fd, p, size < (size_t)1 << 30 ? size : (size_t)1 << 30);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            const int status = fail(err, PRECINFER_IO, f->path, "cannot write", errno);
            pi_file_drop(f);
            return status;
        }
        p += n;
        size -= (size_t)n;
    }
    return PRECINFER_OK;
}

/* The rename itself reaches the disk with the directory. Some file systems refuse this: the file is whole either way. */
static void flush_directory(const char *target)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(target, '/');
    const size_t n = slash ? (size_t)(slash - target) + 1 : 1;
    if (n >= sizeof directory)
        return;
    memcpy(directory, slash ? target : ".", n);
    directory[n] = 0;
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

int pi_file_commit(struct pi_file *f, struct precinfer_error *err)
{
    int status = PRECINFER_OK;
    if (f->fd < 0)
        return pi_fail(err, PRECINFER_INVALID, "finishing a file that is not open");
    if (!f->in_place && fsync(f->fd))
        status = fail(err, PRECINFER_IO, f->path, "cannot flush", errno);
    if (!status && !f->in_place && !f->temporary)
        status = give_name(f, err);
    const int fd = f->fd;
    f->fd = -1;
    if (close(fd) && !status)
        status = fail(err, PRECINFER_IO, f->path, "cannot close", errno);
    if (!status && !f->in_place) {
        if (rename(f->temporary, f->target))
            status = fail(err, PRECINFER_IO, f->path, "cannot rename the temporary file", errno);
        else {
            pi_free(f->a, f->temporary);
            f->temporary = NULL;
            flush_directory(f->target);
        }
    }
    pi_file_drop(f);
    return status;
}

void pi_file_drop(struct pi_file *f)
{
    if (!f->a)
        return;
    if (f->fd >= 0)
        close(f->fd);
    if (f->temporary) {
        unlink(f->temporary);
        pi_free(f->a, f->temporary);
    }
    pi_free(f->a, f->path);
    pi_free(f->a, f->target);
    *f = (struct pi_file){.fd = -1};
}

int pi_file_write(const struct pi_allocator *a, const char *path, const void *bytes, size_t size, struct precinfer_error *err)
{
    struct pi_file f;
    PI_TRY(pi_file_open(a, path, &f, err));
    PI_TRY(pi_file_put(&f, bytes, size, err));
    return pi_file_commit(&f, err);
}
