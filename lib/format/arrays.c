/* precinfer_arrays: named arrays of one .npz, or of the .npy files of a directory, each a map of its own while it is read. */
#include <string.h>
#include <sys/stat.h>
#include "../base/error.h"
#include "arrays.h"
#include "data.h"
#include "npz.h"

struct precinfer_arrays {
    precinfer_context *ctx;
    struct pi_arena arena;
    size_t n;
    const char **names;
    struct pi_npy *npy;
    const char **paths;                 /* of .npy files; NULL: entries of npz                                   */
    const char *path;
    struct pi_map map;                  /* under npz                                                             */
    struct pi_npz *npz;
};

static int make_room(precinfer_arrays *a, size_t n, struct precinfer_error *err)
{
    a->names = pi_arena_new(&a->arena, n, sizeof *a->names);
    a->npy = pi_arena_new(&a->arena, n, sizeof *a->npy);
    return a->names && a->npy ? 0 : pi_no_memory(err, n * sizeof *a->npy);
}

/* ------------------------------------------------------------------------------------------------ .npy files */

static int read_header(precinfer_arrays *a, const char *path, struct pi_npy *npy, struct precinfer_error *err)
{
    struct pi_map map;
    PI_TRY(pi_map_open(&a->ctx->alloc, path, &map, err));
    int status = pi_npy_header(map.bytes, map.size, npy, err);
    if (!status) status = pi_npy_check_size(npy, map.size, err);
    pi_map_close(&map);
    return status ? pi_prefix(err, status, "%s", path) : 0;
}

static const char *name_of(struct pi_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    return pi_arena_string(arena, base, strlen(base) - 4);
}

static int open_directory(precinfer_arrays *a, struct precinfer_error *err)
{
    struct pi_files files;
    PI_TRY(pi_files_list(&a->arena, a->path, &files, err));
    PI_TRY(make_room(a, files.n, err));
    a->paths = files.paths;
    for (size_t i = 0; i < files.n; i++) {
        const char *path = files.paths[i];
        if (!strcmp(path + strlen(path) - 4, ".npz"))
            return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: an archive beside others: a directory holds one .npy file an array",
                           path);
        PI_TRY(read_header(a, path, &a->npy[i], err));
        a->names[i] = name_of(&a->arena, path);
        if (!a->names[i]) return pi_no_memory(err, strlen(path));
        a->n++;
    }
    return 0;
}

static int open_npy(precinfer_arrays *a, struct precinfer_error *err)
{
    PI_TRY(make_room(a, 1, err));
    a->names[0] = "";
    a->paths = &a->path;
    a->n = 1;
    return read_header(a, a->path, a->npy, err);
}

static int load_npy(const precinfer_arrays *a, const char *path, const struct pi_npy *want, void *to, struct precinfer_error *err)
{
    struct pi_map map;
    struct pi_npy npy;
    PI_TRY(pi_map_open(&a->ctx->alloc, path, &map, err));
    int status = pi_npy_header(map.bytes, map.size, &npy, err);
    if (!status) status = pi_npy_check_size(&npy, map.size, err);
    if (!status && (npy.bytes != want->bytes || npy.dtype != want->dtype || npy.rank != want->rank))
        status = pi_fail(err, PRECINFER_IO, "changed while it was in use");
    if (!status) pi_npy_copy(&npy, map.bytes + npy.offset, to);
    pi_map_close(&map);
    return status ? pi_prefix(err, status, "%s", path) : 0;
}

/* ------------------------------------------------------------------------------------------------ .npz */

#if PI_WITH_ONNX
static int open_npz(precinfer_arrays *a, struct precinfer_error *err)
{
    int status = pi_npz_open(a->ctx, a->map.bytes, a->map.size, &a->npz, err);
    if (!status) status = make_room(a, pi_npz_count(a->npz), err);
    if (status) return pi_prefix(err, status, "%s", a->path);
    for (size_t i = 0; i < pi_npz_count(a->npz); i++) {
        const struct pi_npy *npy;
        a->names[i] = pi_npz_entry(a->npz, i, &npy);
        a->npy[i] = *npy;
        a->n++;
    }
    return 0;
}

static int load_entry(precinfer_arrays *a, size_t i, void *to, struct precinfer_error *err)
{
    const struct pi_npy *npy = &a->npy[i];
    int status;
    if (!npy->swapped && (!npy->fortran || npy->rank < 2)) status = pi_npz_read(a->npz, i, to, err);
    else {
        void *raw = pi_malloc(&a->ctx->alloc, npy->bytes);
        if (!raw) return pi_no_memory(err, npy->bytes);
        status = pi_npz_read(a->npz, i, raw, err);
        if (!status) pi_npy_copy(npy, raw, to);
        pi_free(&a->ctx->alloc, raw);
    }
    return status ? pi_prefix(err, status, "%s", a->path) : 0;
}
#else
static int open_npz(precinfer_arrays *a, struct precinfer_error *err)
{
    return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: this build reads no .npz (WITH_ONNX=0)", a->path);
}
static int load_entry(precinfer_arrays *a, size_t i, void *to, struct precinfer_error *err)
{
    (void)i, (void)to;
    return open_npz(a, err);
}
#endif

/* ------------------------------------------------------------------------------------------------ interface */

static int open_any(precinfer_arrays *a, const char *path, struct precinfer_error *err)
{
    struct stat st;
    a->path = pi_arena_string(&a->arena, path, strlen(path));
    if (!a->path) return pi_no_memory(err, strlen(path));
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) return open_directory(a, err);
    PI_TRY(pi_map_open(&a->ctx->alloc, path, &a->map, err));
    if (a->map.size >= 4 && !memcmp(a->map.bytes, "PK", 2)) return open_npz(a, err);
    pi_map_close(&a->map);
    return open_npy(a, err);
}

int pi_arrays_new(precinfer_context *ctx, const char *path, precinfer_arrays **arrays, struct precinfer_error *err)
{
    precinfer_arrays *a = pi_calloc(&ctx->alloc, 1, sizeof *a);
    if (!a) return pi_no_memory(err, sizeof *a);
    a->ctx = ctx;
    a->arena.a = &ctx->alloc;
    pi_context_retain(ctx);
    const int status = open_any(a, path, err);
    if (status) pi_arrays_free(a);
    else *arrays = a;
    return status;
}

void pi_arrays_free(precinfer_arrays *a)
{
    if (!a) return;
    precinfer_context *ctx = a->ctx;
#if PI_WITH_ONNX
    pi_npz_close(a->npz);
#endif
    pi_map_close(&a->map);
    pi_arena_free(&a->arena);
    pi_free(&ctx->alloc, a);
    pi_context_release(ctx);
}

size_t pi_arrays_count(const precinfer_arrays *a) { return a->n; }

void pi_arrays_info(const precinfer_arrays *a, size_t i, const char **name, struct precinfer_tensor *shape)
{
    *name = a->names[i];
    *shape = (struct precinfer_tensor){ .dtype = a->npy[i].dtype, .rank = a->npy[i].rank, .device = PRECINFER_HOST };
    memcpy(shape->dims, a->npy[i].dims, sizeof shape->dims);
}

int pi_arrays_load(precinfer_arrays *a, size_t i, struct precinfer_tensor *array, struct precinfer_error *err)
{
    struct precinfer_tensor t;
    const char *name;
    pi_arrays_info(a, i, &name, &t);
    t.data = pi_malloc(&a->ctx->alloc, a->npy[i].bytes);
    if (!t.data) return pi_no_memory(err, a->npy[i].bytes);
    const int status = a->paths ? load_npy(a, a->paths[i], &a->npy[i], t.data, err) : load_entry(a, i, t.data, err);
    if (status) pi_free(&a->ctx->alloc, t.data);
    else *array = t;
    return status;
}
