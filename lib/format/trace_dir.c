#include <string.h>
#include <sys/stat.h>
#include "../base/error.h"
#include "data.h"
#include "npz.h"
#include "trace_dir.h"

enum { BLOCK = 32 };
/* rows: of a sample; 0: the array does not lie along the samples, and is compared with nothing. */
struct array { struct pi_npy npy; struct pi_map map; unsigned char *owned; const unsigned char *data; size_t rows; };
struct arrays {
    struct pi_trace t;
    struct array *a; size_t narrays;
    size_t total, done;                 /* samples                                                               */
};

static void close_arrays(struct pi_trace *t)
{
    struct arrays *d = (struct arrays *)t;
    for (size_t i = 0; i < d->narrays; i++) {
        pi_map_close(&d->a[i].map);
        pi_free(&t->ctx->alloc, d->a[i].owned);
    }
}

static int next_block(struct pi_trace *t, const struct precinfer_batch *b, struct precinfer_error *err)
{
    struct arrays *d = (struct arrays *)t;
    (void)b, (void)err;
    d->done += t->samples;
    for (size_t i = 0; i < d->narrays; i++) {
        const struct array *a = &d->a[i];
        if (!a->owned) pi_map_pass(&a->map, a->npy.offset + a->npy.bytes / d->total * d->done);
    }
    t->samples = d->total - d->done < BLOCK ? d->total - d->done : BLOCK;
    return 0;
}

static int get_array(struct pi_trace *t, size_t i, struct pi_tensor *out, struct precinfer_error *err)
{
    const struct arrays *d = (const struct arrays *)t;
    const struct array *a = &d->a[i];
    const size_t each = a->npy.elements / d->total;
    (void)err;
    *out = (struct pi_tensor){ .type = (uint8_t)a->npy.dtype, .rank = a->rows ? a->npy.rank : 1 };
    if (!a->rows) return 0;
    memcpy(out->dims, a->npy.dims, sizeof out->dims);
    out->dims[0] = (int64_t)(a->rows * t->samples);
    pi_row_major(out);
    out->data = (void *)(uintptr_t)(a->data + d->done * each * pi_type_size((enum pi_type)out->type));
    return 0;
}

/* ------------------------------------------------------------------------------------------------ opening */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "conv%2Frelu" is conv/relu. */
static const char *decoded(struct pi_arena *arena, const char *s, size_t n)
{
    char *text = pi_arena_string(arena, s, n);
    size_t to = 0;
    for (size_t i = 0; text && i < n; i++) {
        const int hi = s[i] == '%' && i + 2 < n ? digit(s[i + 1]) : -1, lo = hi < 0 ? -1 : digit(s[i + 2]);
        if (hi >= 0 && lo >= 0 && (hi || lo)) { text[to++] = (char)(hi << 4 | lo); i += 2; }
        else text[to++] = s[i];
    }
    if (text) text[to] = 0;
    return text;
}

/* In the machine's byte order, row-major and aligned: a copy where the file has it otherwise. */
static int straighten(precinfer_context *ctx, struct array *a, struct precinfer_error *err)
{
    if (!a->npy.fortran && !a->npy.swapped && !((uintptr_t)a->data % precinfer_dtype_size(a->npy.dtype))) return 0;
    unsigned char *copy = pi_malloc(&ctx->alloc, a->npy.bytes + 1);
    if (!copy) return pi_no_memory(err, a->npy.bytes);
    pi_npy_copy(&a->npy, a->data, copy);
    pi_free(&ctx->alloc, a->owned);
    a->owned = copy;
    a->data = copy;
    return 0;
}

static int add(struct arrays *d, const char *name, size_t n, struct precinfer_error *err)
{
    struct pi_traced *x = &d->t.tensors[d->narrays];
    PI_TRY(straighten(d->t.ctx, &d->a[d->narrays], err));
    x->name = decoded(&d->t.arena, name, n);
    if (!x->name) return pi_no_memory(err, n);
    x->layer = x->op = x->fused = "";
    x->type = (uint8_t)d->a[d->narrays].npy.dtype;
    x->step = x->place = -1;
    return 0;
}

static int room(struct arrays *d, size_t n, struct precinfer_error *err)
{
    d->a = pi_arena_new(&d->t.arena, n + 1, sizeof *d->a);
    d->t.tensors = pi_arena_new(&d->t.arena, n + 1, sizeof *d->t.tensors);
    return d->a && d->t.tensors ? 0 : pi_no_memory(err, n * sizeof *d->a);
}

static int open_file(struct arrays *d, const char *path, struct precinfer_error *err)
{
    struct array *a = &d->a[d->narrays];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    PI_TRY(pi_map_open(&d->t.ctx->alloc, path, &a->map, err));
    int status = pi_npy_header(a->map.bytes, a->map.size, &a->npy, err);
    if (!status) status = pi_npy_check_size(&a->npy, a->map.size, err);
    a->data = a->map.bytes + a->npy.offset;
    if (status) pi_prefix(err, status, "%s", path);
    if (!status) status = add(d, name, strlen(name) - 4, err);
    d->narrays++;                       /* closed with the others, whatever came of it */
    return status;
}

static int open_directory(struct arrays *d, const char *path, struct precinfer_error *err)
{
    struct pi_arena scratch = { .a = &d->t.ctx->alloc };
    struct pi_files files;
    int status = pi_files_list(&scratch, path, &files, err);
    if (!status) status = room(d, files.n, err);
    for (size_t i = 0; !status && i < files.n; i++) {
        const size_t n = strlen(files.paths[i]);
        if (n > 4 && !strcmp(files.paths[i] + n - 4, ".npy")) status = open_file(d, files.paths[i], err);
    }
    pi_arena_free(&scratch);
    return status;
}

#if PI_WITH_ONNX
static int open_entries(struct arrays *d, struct pi_npz *npz, struct precinfer_error *err)
{
    PI_TRY(room(d, pi_npz_count(npz), err));
    for (size_t i = 0; i < pi_npz_count(npz); i++) {
        struct array *a = &d->a[d->narrays];
        const struct pi_npy *npy;
        const char *name = pi_npz_entry(npz, i, &npy);
        a->npy = *npy;
        if (!(a->owned = pi_malloc(&d->t.ctx->alloc, npy->bytes + 1))) return pi_no_memory(err, npy->bytes);
        a->data = a->owned;
        int status = pi_npz_read(npz, i, a->owned, err);
        if (!status) status = add(d, name, strlen(name), err);
        d->narrays++;
        if (status) return status;
    }
    return 0;
}

static int open_npz(struct arrays *d, const char *path, struct precinfer_error *err)
{
    struct pi_map map;
    struct pi_npz *npz = NULL;
    PI_TRY(pi_map_open(&d->t.ctx->alloc, path, &map, err));
    int status = pi_npz_open(d->t.ctx, map.bytes, map.size, &npz, err);
    if (!status) status = open_entries(d, npz, err);
    pi_npz_close(npz);
    pi_map_close(&map);
    return status ? pi_prefix(err, status, "%s", path) : 0;
}
#else
static int open_npz(struct arrays *d, const char *path, struct precinfer_error *err)
{
    (void)d;
    return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: this build reads no zip (WITH_ONNX=0), so no .npz", path);
}
#endif

/* As many samples as most arrays have rows. */
static int count_samples(struct arrays *d, const char *path, struct precinfer_error *err)
{
    size_t best = 0;
    for (size_t i = 0; i < d->narrays; i++) {
        size_t same = 0;
        if (d->a[i].npy.rank < 1 || d->a[i].npy.dims[0] < 1) continue;
        for (size_t k = 0; k < d->narrays; k++)         /* vectors may be anything: they count half */
            if (d->a[k].npy.rank > 0 && d->a[k].npy.dims[0] == d->a[i].npy.dims[0]) same += d->a[k].npy.rank > 1 ? 2 : 1;
        if (same < best || (same == best && (size_t)d->a[i].npy.dims[0] <= d->total)) continue;
        best = same;
        d->total = (size_t)d->a[i].npy.dims[0];
    }
    if (!best) return pi_fail(err, PRECINFER_INVALID, "%s: no array has samples along its first dimension", path);
    for (size_t i = 0; i < d->narrays; i++) {
        struct array *a = &d->a[i];
        const int along = a->npy.rank > 0 && a->npy.elements && !((size_t)a->npy.dims[0] % d->total);
        a->rows = along ? (size_t)a->npy.dims[0] / d->total : 0;
    }
    d->t.n = d->narrays;
    return 0;
}

int pi_trace_dir(precinfer_context *ctx, const char *path, struct pi_trace **trace, struct precinfer_error *err)
{
    struct stat st;
    struct pi_trace *t;
    PI_TRY(pi_trace_new(ctx, sizeof(struct arrays), &t, err));
    struct arrays *d = (struct arrays *)t;
    t->close = close_arrays;
    t->next = next_block;
    t->get = get_array;
    t->loose = 1;
    int status = !stat(path, &st) && S_ISDIR(st.st_mode) ? open_directory(d, path, err) : open_npz(d, path, err);
    if (!status) status = count_samples(d, path, err);
    if (status) pi_trace_free(t); else *trace = t;
    return status;
}
