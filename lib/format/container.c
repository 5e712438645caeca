#include <string.h>
#include "../base/error.h"
#include "../base/hash.h"
#include "container.h"
#include "file.h"

enum { HEAD = 64, ENTRY = 32, ALIGN = 64, AT_KIND = 8, AT_VERSION = 12, AT_COUNT = 16, AT_SIZE = 24, AT_SUM = 32, AT_ZERO = 40 };
static const char magic[] = "PRECINF\n";
static const unsigned char zeros[ALIGN];

/* ------------------------------------------------------------------------------------------------ writing */

/* Head and table; *total is the length of the file. */
static int make_head(const struct pi_container_type *type, const struct pi_section *s, size_t n, struct pi_bytes *head,
                     struct precinfer_error *err)
{
    if (n > PI_CONTAINER_MAX_SECTIONS) return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: %zu sections", type->what, n);
    size_t at = pi_up(HEAD + n * ENTRY, ALIGN);
    pi_put(head, magic, 8);
    pi_put_u32(head, type->kind);
    pi_put_u32(head, type->major | type->minor << 16);
    pi_put_u32(head, (uint32_t)n);
    pi_put(head, zeros, HEAD - AT_COUNT - 4);
    for (size_t i = 0; i < n; i++) {
        pi_put_u32(head, s[i].tag);
        pi_put_u32(head, 0);
        pi_put_u64(head, at);
        pi_put_u64(head, s[i].size);
        pi_put_u64(head, 0);
        if (pi_add_size(at, s[i].size, &at) || at > PTRDIFF_MAX)
            return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: too big a file", type->what);
        if (i + 1 < n) at = pi_up(at, ALIGN);
    }
    if (n) pi_put(head, zeros, pi_up(head->size, ALIGN) - head->size);
    if (head->failed) return pi_no_memory(err, HEAD + n * ENTRY);
    pi_store_u64(head->data + AT_SIZE, n ? at : head->size);
    return 0;
}

/* The file as slices: head, then data and the zeros behind it in turn. */
static size_t slice(const struct pi_bytes *head, const struct pi_section *s, size_t n, struct pi_slice *out)
{
    size_t k = 0;
    out[k++] = (struct pi_slice){ head->data, head->size };
    for (size_t i = 0; i < n; i++) {
        if (s[i].size) out[k++] = (struct pi_slice){ s[i].data, s[i].size };
        if (i + 1 < n && s[i].size % ALIGN) out[k++] = (struct pi_slice){ zeros, ALIGN - s[i].size % ALIGN };
    }
    return k;
}

static int make_slices(const struct pi_allocator *a, const struct pi_container_type *type, const struct pi_section *s, size_t n,
                       struct pi_bytes *head, struct pi_slice **slices, size_t *count, struct precinfer_error *err)
{
    PI_TRY(make_head(type, s, n, head, err));
    struct pi_slice *out = pi_calloc(a, 2 * n + 1, sizeof *out);
    if (!out) return pi_no_memory(err, (2 * n + 1) * sizeof *out);
    *count = slice(head, s, n, out);
    *slices = out;
    struct pi_hash h;
    pi_hash_init(&h);
    for (size_t i = 0; i < *count; i++) pi_hash_add(&h, out[i].data, out[i].size);
    pi_store_u64(head->data + AT_SUM, pi_hash_end(&h));
    return 0;
}

int pi_container_write(precinfer_context *ctx, const char *path, const struct pi_container_type *type,
                       const struct pi_section *sections, size_t n, struct precinfer_error *err)
{
    struct pi_bytes head = { .a = &ctx->alloc };
    struct pi_slice *slices = NULL;
    size_t count = 0;
    int status = make_slices(&ctx->alloc, type, sections, n, &head, &slices, &count, err);
    struct pi_file f = { 0 };
    if (!status) status = pi_file_open(&ctx->alloc, path, &f, err);
    for (size_t i = 0; !status && i < count; i++) status = pi_file_put(&f, slices[i].data, slices[i].size, err);
    if (!status) status = pi_file_commit(&f, err);
    pi_free(&ctx->alloc, slices);
    pi_bytes_free(&head);
    return status;
}

int pi_container_bytes(const struct pi_container_type *type, const struct pi_section *sections, size_t n, struct pi_bytes *out,
                       struct precinfer_error *err)
{
    struct pi_bytes head = { .a = out->a };
    struct pi_slice *slices = NULL;
    size_t count = 0;
    int status = make_slices(out->a, type, sections, n, &head, &slices, &count, err);
    for (size_t i = 0; !status && i < count; i++) pi_put(out, slices[i].data, slices[i].size);
    if (!status && out->failed) status = pi_no_memory(err, out->size);
    pi_free(out->a, slices);
    pi_bytes_free(&head);
    return status;
}

/* ------------------------------------------------------------------------------------------------ reading */

uint32_t pi_container_kind(const void *bytes, size_t size)
{
    return size >= HEAD && !memcmp(bytes, magic, 8) ? pi_load_u32((const unsigned char *)bytes + AT_KIND) : 0;
}

static uint64_t checksum(const unsigned char *b, size_t size)
{
    struct pi_hash h;
    pi_hash_init(&h);
    pi_hash_add(&h, b, AT_SUM);
    pi_hash_add(&h, zeros, 8);
    pi_hash_add(&h, b + AT_SUM + 8, size - AT_SUM - 8);
    return pi_hash_end(&h);
}

/* The checksum catches damage, not malice, so the table is checked as if it were hostile. */
static int check_table(const struct pi_container *c, const char *what, struct precinfer_error *err)
{
    size_t end = pi_up(HEAD + c->n * ENTRY, ALIGN);
    for (size_t i = 0; i < c->n; i++) {
        const unsigned char *e = c->bytes + HEAD + i * ENTRY;
        const uint64_t at = pi_load_u64(e + 8), size = pi_load_u64(e + 16);
        const size_t start = i ? pi_up(end, ALIGN) : end;
        if (at != start || at > c->size || size > c->size - at)
            return pi_fail(err, PRECINFER_MALFORMED,
                           "%s file: section %zu (bytes %llu to %llu more) does not lie in the file of %zu bytes",
                           what, i, (unsigned long long)at, (unsigned long long)size, c->size);
        end = (size_t)(at + size);
    }
    if (c->n ? end != c->size : c->size != HEAD)
        return pi_fail(err, PRECINFER_MALFORMED, "%s file: %zu bytes long, but its sections end at byte %zu", what, c->size, end);
    return 0;
}

int pi_container_open(const void *bytes, size_t size, const struct pi_container_type *type, struct pi_container *c,
                      struct precinfer_error *err)
{
    const unsigned char *b = bytes;
    const char *what = type->what;
    if (size < 8 || memcmp(b, magic, 8)) return pi_fail(err, PRECINFER_MALFORMED, "this is no %s file", what);
    if (size < HEAD) return pi_fail(err, PRECINFER_MALFORMED, "%s file: ends within its head, at byte %zu", what, size);
    if (pi_load_u32(b + AT_KIND) != type->kind)
        return pi_fail(err, PRECINFER_MALFORMED, "this is a file of this library, but no %s file (kind %.4s)", what,
                       (const char *)b + AT_KIND);
    const uint32_t version = pi_load_u32(b + AT_VERSION), major = version & 0xffff;
    if (major != type->major)
        return pi_fail(err, PRECINFER_UNSUPPORTED,
                       "%s file: format version %u.%u was written by %s version of the library; this one reads %u.x",
                       what, major, version >> 16, major > type->major ? "a newer" : "an older", type->major);
    const uint64_t length = pi_load_u64(b + AT_SIZE), n = pi_load_u32(b + AT_COUNT);
    if (length != size)
        return pi_fail(err, PRECINFER_MALFORMED, "%s file: %zu bytes long, but it says %llu", what, size,
                       (unsigned long long)length);
    *c = (struct pi_container){ b, size, (size_t)n, major, version >> 16, pi_load_u64(b + AT_SUM) };
    if (checksum(b, size) != c->checksum)
        return pi_fail(err, PRECINFER_MALFORMED, "%s file: damaged (its checksum does not match)", what);
    if (n > PI_CONTAINER_MAX_SECTIONS || n > (size - HEAD) / ENTRY)
        return pi_fail(err, PRECINFER_MALFORMED, "%s file: %zu bytes cannot hold %zu sections", what, size, c->n);
    return check_table(c, what, err);
}

void pi_container_section(const struct pi_container *c, size_t i, struct pi_section *section)
{
    const unsigned char *e = c->bytes + HEAD + i * ENTRY;
    *section = (struct pi_section){ pi_load_u32(e), c->bytes + pi_load_u64(e + 8), (size_t)pi_load_u64(e + 16) };
}

int pi_container_find(const struct pi_container *c, uint32_t tag, size_t nth, struct pi_section *section)
{
    for (size_t i = 0; i < c->n; i++) {
        pi_container_section(c, i, section);
        if (section->tag == tag && !nth--) return 0;
    }
    *section = (struct pi_section){ 0 };
    return 1;
}

int pi_container_need(const struct pi_container *c, uint32_t tag, struct pi_section *section, struct precinfer_error *err)
{
    if (!pi_container_find(c, tag, 0, section)) return 0;
    const char name[5] = { (char)tag, (char)(tag >> 8), (char)(tag >> 16), (char)(tag >> 24), 0 };
    return pi_fail(err, PRECINFER_MALFORMED, "the file has no section %s", name);
}
