/* minizip reads from memory through callbacks, so it opens no file. It takes its own small buffers from malloc. */
#include <stdio.h>
#include <string.h>
#include <minizip/unzip.h>
#include "../base/error.h"
#include "npz.h"

enum {
    MAX_ENTRIES = 4096, NAME = 512, ENCRYPTED = 1,
    /* Deflate cannot do better than this, so a bigger claim is a lie (258 bytes from 2 bits, and block headers). */
    MAX_RATIO = 1040
};
struct entry { const char *name; unz64_file_pos at; struct pi_npy npy; uint64_t size; };
struct pi_npz {
    precinfer_context *ctx;
    struct pi_arena arena;
    const unsigned char *bytes;
    size_t size, n;
    struct entry *entries;
    unzFile zip;
    ZPOS64_T at;                        /* of the file in memory                                                 */
    int past_end;                       /* somebody read beyond it: minizip itself would take zeros               */
};

/* ------------------------------------------------------------------------------------------------ file in memory */

static voidpf ZCALLBACK open_memory(voidpf npz, const void *name, int mode)
{
    (void)name;
    return mode & ZLIB_FILEFUNC_MODE_CREATE ? NULL : npz;
}

static uLong ZCALLBACK read_memory(voidpf opaque, voidpf stream, void *to, uLong size)
{
    struct pi_npz *z = stream;
    (void)opaque;
    const ZPOS64_T left = z->at < z->size ? z->size - z->at : 0;
    if (size > left) { size = (uLong)left; z->past_end = 1; }
    if (size) memcpy(to, z->bytes + z->at, size);
    z->at += size;
    return size;
}

static uLong ZCALLBACK write_memory(voidpf opaque, voidpf stream, const void *from, uLong size)
{
    (void)opaque, (void)stream, (void)from, (void)size;
    return 0;
}

static ZPOS64_T ZCALLBACK tell_memory(voidpf opaque, voidpf stream)
{
    (void)opaque;
    return ((struct pi_npz *)stream)->at;
}

static long ZCALLBACK seek_memory(voidpf opaque, voidpf stream, ZPOS64_T offset, int origin)
{
    struct pi_npz *z = stream;
    (void)opaque;
    const ZPOS64_T base = origin == ZLIB_FILEFUNC_SEEK_SET ? 0 : origin == ZLIB_FILEFUNC_SEEK_CUR ? z->at : z->size;
    if (base + offset > z->size) return -1;             /* a negative step wraps, and the sum is right again */
    z->at = base + offset;
    return 0;
}

static int ZCALLBACK close_memory(voidpf opaque, voidpf stream)
{
    (void)opaque, (void)stream;
    return 0;
}

static int ZCALLBACK error_memory(voidpf opaque, voidpf stream)
{
    (void)opaque;
    return ((struct pi_npz *)stream)->past_end;
}

/* ------------------------------------------------------------------------------------------------ entries */

static int damaged(struct precinfer_error *err, const char *name, const char *what)
{
    return pi_fail(err, PRECINFER_MALFORMED, "npz: entry '%s': %s", name, what);
}

static int read_some(unzFile zip, void *to, size_t n)
{
    unsigned char *p = to;
    while (n) {
        const unsigned step = n < 1u << 30 ? (unsigned)n : 1u << 30;
        const int got = unzReadCurrentFile(zip, p, step);
        if (got <= 0) return 1;
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

/* The header of the entry that is open, into e->npy. */
static int read_header(struct pi_npz *npz, struct entry *e, struct precinfer_error *err)
{
    unsigned char head[PI_NPY_PREAMBLE];
    size_t offset;
    const size_t first = e->size < sizeof head ? (size_t)e->size : sizeof head;
    if (read_some(npz->zip, head, first)) return damaged(err, e->name, "damaged at its start");
    PI_TRY(pi_npy_preamble(head, first, &offset, err));
    if (offset > e->size || offset < first) return damaged(err, e->name, "its header is longer than it is");
    unsigned char *all = pi_malloc(&npz->ctx->alloc, offset);
    if (!all) return pi_no_memory(err, offset);
    memcpy(all, head, first);
    int status = read_some(npz->zip, all + first, offset - first) ? damaged(err, e->name, "damaged in its header") : 0;
    if (!status) status = pi_npy_header(all, offset, &e->npy, err);
    if (!status) status = pi_npy_check_size(&e->npy, e->size, err);
    pi_free(&npz->ctx->alloc, all);
    return status;
}

static int check_entry(const unz_file_info64 *info, const char *name, struct precinfer_error *err)
{
    const size_t n = strlen(name);
    if (info->flag & ENCRYPTED) return pi_fail(err, PRECINFER_UNSUPPORTED, "npz: entry '%s' is encrypted", name);
    if (info->compression_method != 0 && info->compression_method != Z_DEFLATED)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "npz: entry '%s': compression method %lu; store and deflate are read", name,
                       info->compression_method);
    if (n < 5 || strcmp(name + n - 4, ".npy")) return damaged(err, name, "is no .npy array");
    if (info->compression_method == 0 ? info->uncompressed_size != info->compressed_size
                                      : info->uncompressed_size / MAX_RATIO > info->compressed_size)
        return damaged(err, name, "claims more bytes than it can hold");
    return 0;
}

static int add_entry(struct pi_npz *npz, struct entry *e, struct precinfer_error *err)
{
    char name[NAME + 1] = "";
    unz_file_info64 info;
    if (unzGetCurrentFileInfo64(npz->zip, &info, name, NAME, NULL, 0, NULL, 0) != UNZ_OK
        || unzGetFilePos64(npz->zip, &e->at) != UNZ_OK)
        return pi_fail(err, PRECINFER_MALFORMED, "npz: the directory of the archive is damaged");
    if (info.size_filename >= NAME)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "npz: an entry's name of %lu bytes", info.size_filename);
    if (strlen(name) != info.size_filename) return damaged(err, name, "a zero byte in its name");
    PI_TRY(check_entry(&info, name, err));
    e->name = pi_arena_string(&npz->arena, name, strlen(name) - 4);
    if (!e->name) return pi_no_memory(err, strlen(name));
    if (pi_npz_find(npz, e->name) >= 0) return damaged(err, e->name, "stands there twice");
    e->size = info.uncompressed_size;
    if (unzOpenCurrentFile(npz->zip) != UNZ_OK) return damaged(err, e->name, "damaged, or out of memory");
    const int status = read_header(npz, e, err);
    unzCloseCurrentFile(npz->zip);                  /* its CRC is that of the whole entry: no matter here */
    return status ? pi_prefix(err, status, "npz: entry '%s'", e->name) : 0;
}

static int read_directory(struct pi_npz *npz, struct precinfer_error *err)
{
    zlib_filefunc64_def io = { open_memory, read_memory, write_memory, tell_memory, seek_memory, close_memory, error_memory,
        npz };
    unz_global_info64 info;
    npz->zip = unzOpen2_64("", &io);
    if (!npz->zip || unzGetGlobalInfo64(npz->zip, &info) != UNZ_OK)
        return pi_fail(err, PRECINFER_MALFORMED, "npz: no zip archive, or a damaged one");
    if (info.number_entry > MAX_ENTRIES)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "npz: %llu entries", (unsigned long long)info.number_entry);
    npz->entries = pi_arena_new(&npz->arena, (size_t)info.number_entry + 1, sizeof *npz->entries);
    if (!npz->entries) return pi_no_memory(err, (size_t)info.number_entry * sizeof *npz->entries);
    if (!info.number_entry) return pi_fail(err, PRECINFER_MALFORMED, "npz: an archive without entries");
    for (int at = unzGoToFirstFile(npz->zip); ; at = unzGoToNextFile(npz->zip)) {
        if (at != UNZ_OK)
            return pi_fail(err, PRECINFER_MALFORMED, "npz: the directory of the archive is damaged at entry %zu", npz->n);
        PI_TRY(add_entry(npz, &npz->entries[npz->n], err));
        if (++npz->n == info.number_entry) return 0;
    }
}

/* ------------------------------------------------------------------------------------------------ interface */

int pi_npz_open(precinfer_context *ctx, const void *bytes, size_t size, struct pi_npz **npz, struct precinfer_error *err)
{
    struct pi_npz *z = pi_calloc(&ctx->alloc, 1, sizeof *z);
    if (!z) return pi_no_memory(err, sizeof *z);
    z->ctx = ctx;
    z->arena.a = &ctx->alloc;
    z->bytes = bytes;
    z->size = size;
    const int status = read_directory(z, err);
    if (status) pi_npz_close(z);
    else *npz = z;
    return status;
}

void pi_npz_close(struct pi_npz *npz)
{
    if (!npz) return;
    if (npz->zip) unzClose(npz->zip);
    pi_arena_free(&npz->arena);
    pi_free(&npz->ctx->alloc, npz);
}

size_t pi_npz_count(const struct pi_npz *npz) { return npz->n; }

const char *pi_npz_entry(const struct pi_npz *npz, size_t i, const struct pi_npy **npy)
{
    *npy = &npz->entries[i].npy;
    return npz->entries[i].name;
}

int pi_npz_find(const struct pi_npz *npz, const char *key)
{
    for (size_t i = 0; i < npz->n; i++) if (!strcmp(npz->entries[i].name, key)) return (int)i;
    return -1;
}

/* Skips the header again: deflate has no other way. */
static int skip_header(unzFile zip, size_t n)
{
    unsigned char waste[512];
    for (size_t step; n; n -= step) {
        step = n < sizeof waste ? n : sizeof waste;
        if (read_some(zip, waste, step)) return 1;
    }
    return 0;
}

int pi_npz_read(struct pi_npz *npz, size_t i, void *to, struct precinfer_error *err)
{
    struct entry *e = &npz->entries[i];
    char more;
    if (unzGoToFilePos64(npz->zip, &e->at) != UNZ_OK || unzOpenCurrentFile(npz->zip) != UNZ_OK)
        return damaged(err, e->name, "damaged, or out of memory");
    /* One read past the end, so that the CRC is looked at. */
    const int torn = skip_header(npz->zip, e->npy.offset) || read_some(npz->zip, to, e->npy.bytes)
        || unzReadCurrentFile(npz->zip, &more, 1) != 0;
    const int closed = unzCloseCurrentFile(npz->zip);
    return torn || closed != UNZ_OK ? damaged(err, e->name, closed == UNZ_CRCERROR ? "damaged (its checksum does not match)"
                                              : "damaged") : 0;
}
