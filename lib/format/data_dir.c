#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "../base/error.h"
#include "../base/sort.h"
#include "data.h"
#include "file.h"

static int is_array_name(const char *name)
{
    const size_t n = strlen(name);
    return name[0] != '.' && n > 4 && (!strcmp(name + n - 4, ".npy") || !strcmp(name + n - 4, ".npz"));
}

static char *join(struct pi_arena *arena, const char *directory, const char *name)
{
    const size_t n = strlen(directory), m = strlen(name);
    char *path = pi_arena_new(arena, n + m + 2, 1);
    if (!path) return NULL;
    memcpy(path, directory, n);
    if (n && directory[n - 1] != '/') path[n] = '/';
    memcpy(path + strlen(path), name, m);
    return path;
}

/* A path and the one found before it. */
struct found { const char *path; struct found *before; };

static int read_names(DIR *d, struct pi_arena *arena, const char *path, struct found **last, size_t *n,
                      struct precinfer_error *err)
{
    char reason[24];
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e && errno) return pi_fail(err, PRECINFER_IO, "%s: cannot read: %s", path, pi_file_reason(errno, reason));
        if (!e) return 0;
        if (!is_array_name(e->d_name)) continue;
        struct found *f = pi_arena_new(arena, 1, sizeof *f);
        if (!f || !(f->path = join(arena, path, e->d_name))) return pi_no_memory(err, sizeof *f);
        f->before = *last;
        *last = f;
        ++*n;
    }
}

static int path_before(const void *user, int a, int b)
{
    const char *const *paths = user;
    return strcmp(paths[a], paths[b]) < 0;
}

static int sort_paths(struct pi_arena *arena, struct found *last, size_t n, struct pi_files *files, struct precinfer_error *err)
{
    const char **found = pi_arena_new(arena, n, sizeof *found);
    int *order = pi_arena_new(arena, n, sizeof *order);
    files->paths = pi_arena_new(arena, n, sizeof *files->paths);
    if (!found || !order || !files->paths) return pi_no_memory(err, n * sizeof *found);
    for (size_t i = 0; i < n; i++, last = last->before) { found[i] = last->path; order[i] = (int)i; }
    pi_sort_index(order, n, path_before, found);
    for (size_t i = 0; i < n; i++) files->paths[i] = found[order[i]];
    files->n = n;
    return 0;
}

static int list_directory(struct pi_arena *arena, const char *path, struct pi_files *files, struct precinfer_error *err)
{
    char reason[24];
    struct found *last = NULL;
    size_t n = 0;
    DIR *d = opendir(path);
    if (!d) return pi_fail(err, PRECINFER_IO, "%s: cannot read: %s", path, pi_file_reason(errno, reason));
    const int status = read_names(d, arena, path, &last, &n, err);
    closedir(d);
    if (status) return status;
    if (!n) return pi_fail(err, PRECINFER_NOT_FOUND, "%s: no .npy or .npz file in this directory", path);
    if (n > INT32_MAX) return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: %zu files", path, n);
    return sort_paths(arena, last, n, files, err);
}

int pi_files_list(struct pi_arena *arena, const char *path, struct pi_files *files, struct precinfer_error *err)
{
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) return list_directory(arena, path, files, err);
    files->paths = pi_arena_new(arena, 1, sizeof *files->paths);        /* one that is not there fails when it is opened */
    if (!files->paths || !(files->paths[0] = pi_arena_string(arena, path, strlen(path)))) return pi_no_memory(err, strlen(path));
    files->n = 1;
    return 0;
}
