/* precinfer_data_*, precinfer_npy_*, precinfer_array_free. */
#include <string.h>
#include "base/error.h"
#include "format/arrays.h"
#include "format/data_reader.h"
#include "format/file.h"
#include "format/map.h"
#include "format/npy.h"

enum precinfer_status precinfer_data_open(precinfer_context *context, const struct precinfer_io *inputs, size_t ninputs,
                                          const struct precinfer_data_options *options, precinfer_data **data,
                                              struct precinfer_error *err)
{
    struct precinfer_data_options o = { 0 };
    if (!context || !inputs || !options || !data)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_data_open: an argument is NULL");
    if (options->size < offsetof(struct precinfer_data_options, labels))
        return pi_fail(err, PRECINFER_INVALID, "precinfer_data_open: options.size is %zu", options->size);
    memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if (!o.path) return pi_fail(err, PRECINFER_INVALID, "precinfer_data_open: options.path is NULL");
    return pi_data_new(context, inputs, ninputs, &o, data, err);
}

int precinfer_data_next(void *data, struct precinfer_batch *batch, struct precinfer_error *err)
{
    if (!data || !batch) return pi_fail(err, PRECINFER_INVALID, "precinfer_data_next: data or batch is NULL");
    return pi_data_next(data, batch, err);
}

void precinfer_data_rewind(precinfer_data *data) { if (data) pi_data_rewind(data); }

size_t precinfer_data_samples(const precinfer_data *data) { return data ? pi_data_samples(data) : 0; }

enum precinfer_status precinfer_data_info(const precinfer_data *data, struct precinfer_data_info *info)
{
    if (!data || !info) return PRECINFER_INVALID;
    pi_data_info(data, info);
    return PRECINFER_OK;
}

int precinfer_data_labelled(const precinfer_data *data) { return data ? pi_data_labelled(data) : 0; }

int precinfer_data_raw(const precinfer_data *data) { return data ? pi_data_raw(data) : 0; }

void precinfer_data_free(precinfer_data *data) { pi_data_free(data); }

/* ------------------------------------------------------------------------------------------------ arrays */

static int load(precinfer_context *ctx, const struct pi_map *map, struct precinfer_tensor *array, struct precinfer_error *err)
{
    struct pi_npy npy;
    PI_TRY(pi_npy_header(map->bytes, map->size, &npy, err));
    PI_TRY(pi_npy_check_size(&npy, map->size, err));
    struct precinfer_tensor t = { .dtype = npy.dtype, .rank = npy.rank, .device = PRECINFER_HOST };
    memcpy(t.dims, npy.dims, sizeof t.dims);
    t.data = pi_malloc(&ctx->alloc, npy.bytes);
    if (!t.data) return pi_no_memory(err, npy.bytes);
    pi_npy_copy(&npy, map->bytes + npy.offset, t.data);
    *array = t;
    return 0;
}

enum precinfer_status precinfer_npy_load(precinfer_context *context, const char *path, struct precinfer_tensor *array,
                                         struct precinfer_error *err)
{
    struct pi_map map;
    if (!context || !path || !array) return pi_fail(err, PRECINFER_INVALID, "precinfer_npy_load: an argument is NULL");
    int status = pi_map_open(&context->alloc, path, &map, err);
    if (status) return status;
    status = load(context, &map, array, err);
    pi_map_close(&map);
    return status ? pi_prefix(err, status, "%s", path) : 0;
}

static int measure(const struct precinfer_tensor *t, size_t *bytes, struct precinfer_error *err)
{
    if (t->rank < 0 || t->rank > PRECINFER_MAX_RANK) return pi_fail(err, PRECINFER_INVALID, "an array of %d dimensions", t->rank);
    if (t->device != PRECINFER_HOST) return pi_fail(err, PRECINFER_INVALID, "an array that is not in the host's memory");
    *bytes = precinfer_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < 0 || pi_mul_size(*bytes, (size_t)t->dims[i], bytes))
            return pi_fail(err, PRECINFER_INVALID, "dimension %d of the array is %lld", i, (long long)t->dims[i]);
    return *bytes && !t->data ? pi_fail(err, PRECINFER_INVALID, "an array without data") : 0;
}

enum precinfer_status precinfer_npy_save(precinfer_context *context, const char *path, const struct precinfer_tensor *array,
                                         struct precinfer_error *err)
{
    char header[PI_NPY_WRITTEN];
    struct pi_file f = { 0 };
    size_t bytes = 0;
    if (!context || !path || !array) return pi_fail(err, PRECINFER_INVALID, "precinfer_npy_save: an argument is NULL");
    int status = measure(array, &bytes, err);
    if (status) return pi_prefix(err, status, "%s", path);
    const size_t head = pi_npy_write_header(header, array);
    if (!head) return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: .npy has no %s", path, precinfer_dtype_string(array->dtype));
    status = pi_file_open(&context->alloc, path, &f, err);
    if (!status) status = pi_file_put(&f, header, head, err);
    if (!status && bytes) status = pi_file_put(&f, array->data, bytes, err);
    if (!status) status = pi_file_commit(&f, err);
    return status;
}

enum precinfer_status precinfer_arrays_open(precinfer_context *context, const char *path, precinfer_arrays **arrays,
                                            struct precinfer_error *err)
{
    if (!context || !path || !arrays) return pi_fail(err, PRECINFER_INVALID, "precinfer_arrays_open: an argument is NULL");
    return (enum precinfer_status)pi_arrays_new(context, path, arrays, err);
}

size_t precinfer_arrays_count(const precinfer_arrays *arrays) { return arrays ? pi_arrays_count(arrays) : 0; }

enum precinfer_status precinfer_arrays_info(const precinfer_arrays *arrays, size_t i, const char **name,
                                            struct precinfer_tensor *shape)
{
    if (!arrays || !name || !shape || i >= pi_arrays_count(arrays)) return PRECINFER_INVALID;
    pi_arrays_info(arrays, i, name, shape);
    return PRECINFER_OK;
}

enum precinfer_status precinfer_arrays_load(precinfer_arrays *arrays, size_t i, struct precinfer_tensor *array,
                                            struct precinfer_error *err)
{
    if (!arrays || !array) return pi_fail(err, PRECINFER_INVALID, "precinfer_arrays_load: an argument is NULL");
    if (i >= pi_arrays_count(arrays))
        return pi_fail(err, PRECINFER_INVALID, "precinfer_arrays_load: array %zu of %zu", i, pi_arrays_count(arrays));
    return (enum precinfer_status)pi_arrays_load(arrays, i, array, err);
}

void precinfer_arrays_free(precinfer_arrays *arrays) { pi_arrays_free(arrays); }

void precinfer_array_free(precinfer_context *context, struct precinfer_tensor *array)
{
    if (!context || !array) return;
    pi_free(&context->alloc, array->data);
    array->data = NULL;
}

enum precinfer_status precinfer_file_write(precinfer_context *context, const char *path, const void *bytes, size_t size,
                                           struct precinfer_error *err)
{
    if (!context || !path || (!bytes && size))
        return pi_fail(err, PRECINFER_INVALID, "precinfer_file_write: an argument is NULL");
    return pi_file_write(&context->alloc, path, bytes, size, err);
}
