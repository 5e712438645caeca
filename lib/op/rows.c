#include <string.h>
#include "rows.h"

/* Appends a dimension, merged with the one before it where the two are dense together. Their order stays. */
static void append(int64_t *dims, int64_t *stride, int *n, int64_t dim, int64_t step)
{
    if (dim == 1) return;
    if (*n > 0 && stride[*n - 1] == step * dim) {
        dims[*n - 1] *= dim;
        stride[*n - 1] = step;
        return;
    }
    dims[*n] = dim;
    stride[(*n)++] = step;
}

void pi_rows_make(struct pi_rows *r, const struct pi_tensor *t, unsigned reduced)
{
    memset(r, 0, sizeof *r);
    r->m = r->n = 1;
    r->size = pi_type_size(t->type);
    for (int d = 0; d < t->rank; d++) {
        if (reduced >> d & 1) {
            append(r->dims, r->stride, &r->reduced, t->dims[d], t->stride[d]);
            r->n *= (size_t)t->dims[d];
        } else {
            append(r->kept_dims, r->kept_stride, &r->kept, t->dims[d], t->stride[d]);
            r->m *= (size_t)t->dims[d];
        }
    }
    r->dense = r->reduced == 0 || (r->reduced == 1 && r->stride[0] == 1);
    if (r->kept == 1) r->row_step = (ptrdiff_t)(r->kept_stride[0] * (int64_t)r->size);
}

static int64_t offset(const int64_t *dims, const int64_t *stride, int n, size_t index)
{
    int64_t at = 0;
    for (int d = n - 1; d >= 0; d--) {
        at += (int64_t)(index % (size_t)dims[d]) * stride[d];
        index /= (size_t)dims[d];
    }
    return at;
}

ptrdiff_t pi_rows_at(const struct pi_rows *r, size_t row)
{
    return (ptrdiff_t)(offset(r->kept_dims, r->kept_stride, r->kept, row) * (int64_t)r->size);
}

/* to and from in elements of any size; one of the two is dense. */
static void copy(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, size_t n, size_t size)
{
    if (size == 4) {
        for (size_t i = 0; i < n; i++)
            *(uint32_t *)(to + (ptrdiff_t)i * to_step) = *(const uint32_t *)(from + (ptrdiff_t)i * from_step);
        return;
    }
    for (size_t i = 0; i < n; i++) memcpy(to + (ptrdiff_t)i * to_step, from + (ptrdiff_t)i * from_step, size);
}

/* The innermost run of a row, and how many there are. */
static size_t run_of(const struct pi_rows *r, ptrdiff_t *step)
{
    *step = r->reduced ? (ptrdiff_t)(r->stride[r->reduced - 1] * (int64_t)r->size) : (ptrdiff_t)r->size;
    return r->reduced ? (size_t)r->dims[r->reduced - 1] : 1;
}

void pi_rows_gather(const struct pi_rows *r, const char *row, void *to)
{
    ptrdiff_t step;
    const size_t run = run_of(r, &step), size = r->size;
    for (size_t i = 0; i < r->n; i += run) {
        const int64_t at = r->reduced > 1 ? offset(r->dims, r->stride, r->reduced - 1, i / run) : 0;
        copy((char *)to + i * size, (ptrdiff_t)size, row + at * (int64_t)size, step, run, size);
    }
}

void pi_rows_scatter(const struct pi_rows *r, const void *from, char *row)
{
    ptrdiff_t step;
    const size_t run = run_of(r, &step), size = r->size;
    for (size_t i = 0; i < r->n; i += run) {
        const int64_t at = r->reduced > 1 ? offset(r->dims, r->stride, r->reduced - 1, i / run) : 0;
        copy(row + at * (int64_t)size, step, (const char *)from + i * size, (ptrdiff_t)size, run, size);
    }
}
