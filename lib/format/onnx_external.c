/* External data: in files beside the model, and nowhere else. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "../base/error.h"
#include "file.h"
#include "onnx.h"

static const char *entry(const Onnx__TensorProto *from, const char *key)
{
    for (size_t i = 0; i < from->n_external_data; i++)
        if (from->external_data[i]->key && from->external_data[i]->value && !strcmp(from->external_data[i]->key, key))
            return from->external_data[i]->value;
    return NULL;
}

/* Decimal digits alone; nonzero: something else. */
static int number(const char *s, uint64_t *v)
{
    *v = 0;
    if (!*s)
        return -1;
    for (; *s; s++)
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(*v, (uint64_t)10, v) ||
            __builtin_add_overflow(*v, (uint64_t)(*s - '0'), v))
            return -1;
    return 0;
}

/* A relative path without "..": what it names may still be a link that leads elsewhere. */
static int stays_below(const char *path)
{
    if (!*path || *path == '/' || strchr(path, '\\'))
        return 0;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!strncmp(part, "..", 2) && (part[2] == '/' || !part[2]))
            return 0;
    }
    return 1;
}

/* The real path of location in directory, links followed; its start must be the real directory. */
static int resolve(const char *directory, const char *location, const char *what, char *real, struct precinfer_error *err)
{
    char joined[PATH_MAX], root[PATH_MAX];
    const size_t d = strlen(directory), l = strlen(location);
    if (!stays_below(location))
        return pi_fail(err, PRECINFER_MALFORMED, "%s: external data '%s' does not lie in the model's directory", what, location);
    if (d + l + 2 > sizeof joined)
        return pi_fail(err, PRECINFER_MALFORMED, "%s: external data '%s': name too long", what, location);
    memcpy(joined, directory, d);
    joined[d] = '/';
    memcpy(joined + d + 1, location, l + 1);
    if (!realpath(directory, root) || !realpath(joined, real))
        return pi_fail(err, PRECINFER_NOT_FOUND, "%s: external data '%s' is not there", what, joined);
    const size_t r = strlen(root);
    if (strncmp(real, root, r) || (r > 1 && real[r] != '/'))
        return pi_fail(err, PRECINFER_MALFORMED, "%s: external data '%s' is a link that leaves the model's directory", what,
                       location);
    return PRECINFER_OK;
}

/* The file is looked at before memory is asked for: a model may claim any size. */
static int read_range(const struct pi_allocator *a, const char *path, uint64_t at, size_t bytes, void **data,
                      struct precinfer_error *err)
{
    uint64_t total;
    PI_TRY(pi_file_read_part(path, 0, 0, NULL, &total, err));
    if (at > total || bytes > total - at)
        return pi_fail(err, PRECINFER_MALFORMED, "%s: %zu bytes at offset %llu end after the file's %llu", path, bytes,
                       (unsigned long long)at, (unsigned long long)total);
    void *block = pi_malloc(a, bytes);
    if (!block)
        return pi_no_memory(err, bytes);
    const int status = pi_file_read_part(path, at, bytes, block, NULL, err);
    if (status)
        pi_free(a, block);
    else
        *data = block;
    return status;
}

int pi_onnx_external(const struct pi_allocator *a, const Onnx__TensorProto *from, const char *directory, const char *what,
                     size_t bytes, void **data, struct precinfer_error *err)
{
    const char *location = entry(from, "location"), *offset = entry(from, "offset"), *length = entry(from, "length");
    uint64_t at = 0, size = bytes;
    char real[PATH_MAX];
    if (!location)
        return pi_fail(err, PRECINFER_MALFORMED, "%s: external data without a location", what);
    if ((offset && number(offset, &at)) || (length && number(length, &size)))
        return pi_fail(err, PRECINFER_MALFORMED, "%s: offset or length of its external data is no number", what);
    if (size != bytes)
        return pi_fail(err, PRECINFER_MALFORMED, "%s needs %zu bytes, its external data has %llu", what, bytes,
                       (unsigned long long)size);
    if (!directory)
        return pi_fail(err, PRECINFER_INVALID, "%s: external data '%s', but no directory was given for it", what, location);
    PI_TRY(resolve(directory, location, what, real, err));
    const int status = read_range(a, real, at, bytes, data, err);
    return status ? pi_prefix(err, status, "%s", what) : PRECINFER_OK;
}
