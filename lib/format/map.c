#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../base/error.h"
#include "file.h"
#include "map.h"

static int failed(struct precinfer_error *err, const char *path, int code)
{
    char reason[24];
    return pi_fail(err, code == ENOENT || code == ENOTDIR ? PRECINFER_NOT_FOUND : PRECINFER_IO, "%s: %s", path,
                   pi_file_reason(code, reason));
}

static int read_instead(const struct pi_allocator *a, const char *path, struct pi_map *map, struct precinfer_error *err)
{
    unsigned char *bytes;
    size_t size;
    PI_TRY(pi_file_read(a, path, &bytes, &size, err));
    *map = (struct pi_map){ bytes, size, a, 0 };
    return 0;
}

int pi_map_open(const struct pi_allocator *a, const char *path, struct pi_map *map, struct precinfer_error *err)
{
    struct stat st;
    if (stat(path, &st)) return failed(err, path, errno);
    if (S_ISDIR(st.st_mode)) return failed(err, path, EISDIR);
    if (!S_ISREG(st.st_mode) || !st.st_size) return read_instead(a, path, map, err);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failed(err, path, errno);
    void *bytes = fstat(fd, &st) || !st.st_size ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED) return read_instead(a, path, map, err);        /* a file system that cannot map */
    *map = (struct pi_map){ bytes, (size_t)st.st_size, a, 1 };
    return 0;
}

void pi_map_pass(const struct pi_map *map, size_t to)
{
    enum { LARGEST_PAGE = 65536 };                  /* a multiple of every page size in use                           */
    to = to / LARGEST_PAGE * LARGEST_PAGE;
    if (map->mapped && to && to <= map->size) (void)madvise((void *)map->bytes, to, MADV_DONTNEED);
}

void pi_map_close(struct pi_map *map)
{
    if (map->mapped) munmap((void *)map->bytes, map->size);
    else if (map->bytes) pi_free(map->a, (void *)map->bytes);
    *map = (struct pi_map){ 0 };
}
