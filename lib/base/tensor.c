#include "tensor.h"
#include <stdio.h>
#include <string.h>

int64_t pi_elements(const struct pi_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < 0 || __builtin_mul_overflow(n, t->dims[i], &n)) return -1;
    return n;
}

/* The dimension that is the i-th from the fastest. */
static int row_major_dim(int rank, int i) { return rank - 1 - i; }
static int channels_last_dim(int rank, int i) { return rank < 3 ? rank - 1 - i : i == 0 ? 1 : i == rank - 1 ? 0 : rank - i; }

static void set_dense(struct pi_tensor *t, int (*dim)(int, int))
{
    int64_t step = 1;
    for (int i = 0; i < t->rank; i++) {
        const int d = dim(t->rank, i);
        t->stride[d] = step;
        step *= t->dims[d] > 0 ? t->dims[d] : 1;
    }
}
static int is_dense(const struct pi_tensor *t, int (*dim)(int, int))
{
    int64_t step = 1;
    for (int i = 0; i < t->rank; i++) {
        const int d = dim(t->rank, i);
        if (t->dims[d] != 1 && t->stride[d] != step) return 0;
        step *= t->dims[d] > 0 ? t->dims[d] : 1;
    }
    return 1;
}
void pi_row_major(struct pi_tensor *t) { set_dense(t, row_major_dim); }
void pi_channels_last(struct pi_tensor *t) { set_dense(t, channels_last_dim); }
int pi_is_row_major(const struct pi_tensor *t) { return is_dense(t, row_major_dim); }
int pi_is_channels_last(const struct pi_tensor *t) { return is_dense(t, channels_last_dim); }

int pi_same_dims(const struct pi_tensor *a, const struct pi_tensor *b)
{
    if (a->rank != b->rank) return 0;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return 0;
    return 1;
}

const char *pi_dims_string(const struct pi_tensor *t, char *s, size_t n)
{
    size_t at = 0;
    if (!n) return s;
    s[0] = 0;
    for (int i = 0; i <= t->rank && at < n; i++) {
        const char *before = i == 0 ? "(" : i < t->rank ? ", " : "";
        int w;
        if (i == t->rank) w = snprintf(s + at, n - at, "%s)", before);
        else if (t->dims[i] < 0) w = snprintf(s + at, n - at, "%s?", before);
        else w = snprintf(s + at, n - at, "%s%lld", before, (long long)t->dims[i]);
        at += w > 0 ? (size_t)w : 0;
    }
    return s;
}

/* ---------------------------------------------------------------- copies between layouts */

struct axis { int64_t n, from, to; };   /* extent, strides in elements */

/* Axes from the slowest to the fastest of the destination; those of extent 1 fall away, neighbours that are one run in
 * both layouts become one. */
static int find_axes(const struct pi_tensor *from, const struct pi_tensor *to, struct axis *axis)
{
    int n = 0;
    for (int i = 0; i < to->rank; i++) {
        if (to->dims[i] == 1) continue;
        const struct axis x = { to->dims[i], from->stride[i], to->stride[i] };
        int at = n++;
        for (; at > 0 && axis[at - 1].to < x.to; at--) axis[at] = axis[at - 1];
        axis[at] = x;
    }
    int kept = 0;
    for (int i = 1; i < n; i++) {
        struct axis *slow = &axis[kept];
        if (slow->to == axis[i].to * axis[i].n && slow->from == axis[i].from * axis[i].n)
            *slow = (struct axis){ slow->n * axis[i].n, axis[i].from, axis[i].to };
        else axis[++kept] = axis[i];
    }
    return n ? kept + 1 : 0;
}

#define COPY_PLANE(bytes)                                                                                               \
    static void copy_plane##bytes(const char *from, char *to, struct axis x, struct axis y)                             \
    {                                                                                                                   \
        for (int64_t i = 0; i < x.n; i++)                                                                               \
            for (int64_t j = 0; j < y.n; j++)                                                                           \
                memcpy(to + (i * x.to + j * y.to) * bytes, from + (i * x.from + j * y.from) * bytes, bytes);            \
    }
COPY_PLANE(1)
COPY_PLANE(2)
COPY_PLANE(4)
COPY_PLANE(8)

/* Two axes. A transpose goes in squares, so that the lines it reads across are still in L1 when the next row wants them. */
static void copy_plane(const char *from, char *to, struct axis x, struct axis y, int64_t e)
{
    enum { SQUARE = 32 };
    if (x.n == 1 && y.from == 1 && y.to == 1) { memcpy(to, from, (size_t)(y.n * e)); return; }
    const int64_t xs = y.from == 1 ? x.n : SQUARE, ys = y.from == 1 ? y.n : SQUARE;
    for (int64_t i = 0; i < x.n; i += xs)
        for (int64_t j = 0; j < y.n; j += ys) {
            const struct axis xb = { x.n - i < xs ? x.n - i : xs, x.from, x.to };
            const struct axis yb = { y.n - j < ys ? y.n - j : ys, y.from, y.to };
            const char *f = from + (i * x.from + j * y.from) * e;
            char *t = to + (i * x.to + j * y.to) * e;
            switch (e) {
            case 1: copy_plane1(f, t, xb, yb); break;
            case 2: copy_plane2(f, t, xb, yb); break;
            case 4: copy_plane4(f, t, xb, yb); break;
            default: copy_plane8(f, t, xb, yb); break;
            }
        }
}

/* Moves the axis along which the source is contiguous next to the last: the plane then holds both fast axes. */
static void pair_fast_axes(struct axis *axis, int n)
{
    if (n < 3 || axis[n - 1].from == 1) return;
    for (int i = 0; i < n - 2; i++)
        if (axis[i].from == 1) {
            const struct axis x = axis[i];
            for (int j = i; j < n - 2; j++) axis[j] = axis[j + 1];
            axis[n - 2] = x;
            return;
        }
}

void pi_copy(const struct pi_tensor *from, const struct pi_tensor *to)
{
    struct axis axis[PI_MAX_RANK];
    const int64_t e = (int64_t)pi_type_size((enum pi_type)to->type);
    if (pi_elements(to) <= 0) return;
    int n = find_axes(from, to, axis);
    pair_fast_axes(axis, n);
    const struct axis one = { 1, 0, 0 };
    const struct axis y = n > 0 ? axis[n - 1] : (struct axis){ 1, 1, 1 };
    /* A run that both layouts hold together is copied whole, an outer step at a time. */
    const int run = y.from == 1 && y.to == 1;
    const struct axis x = !run && n > 1 ? axis[n - 2] : one;
    const int outer = run || n < 2 ? n - 1 : n - 2;
    int64_t at[PI_MAX_RANK] = { 0 };
    const char *f = from->data;
    char *t = to->data;
    for (;;) {
        copy_plane(f, t, x, y, e);
        int i = outer - 1;
        for (; i >= 0; i--) {
            f += axis[i].from * e; t += axis[i].to * e;
            if (++at[i] < axis[i].n) break;
            f -= axis[i].n * axis[i].from * e; t -= axis[i].n * axis[i].to * e;
            at[i] = 0;
        }
        if (i < 0) return;
    }
}
