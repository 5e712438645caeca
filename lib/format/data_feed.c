/* An array's elements on their way into a model's input: where they lie, what is done to them. The plan is a nest of loops
 * with steps, so that orders (Fortran, NHWC, NCHW) need no code of their own. */
#include <string.h>
#include "../base/error.h"
#include "../base/tensor.h"
#include "data.h"

int pi_is_integer(enum precinfer_dtype dtype) { return dtype >= PRECINFER_U8 && dtype <= PRECINFER_U64; }

int pi_is_float(enum precinfer_dtype dtype) { return dtype >= PRECINFER_F32 && dtype <= PRECINFER_F64; }

/* ------------------------------------------------------------------------------------------------ plan: what */

static const char *dims_string(int rank, const int64_t *dims, char *s, size_t n)
{
    struct pi_tensor t = { .rank = rank };
    for (int i = 0; i < rank; i++) t.dims[i] = dims[i];
    return pi_dims_string(&t, s, n);
}

static int decide(const struct precinfer_io *io, const struct pi_npy *npy, const struct pi_feed_rules *rules, struct pi_feed *f,
                  struct precinfer_error *err)
{
    const char *model = precinfer_dtype_string(io->dtype), *array = precinfer_dtype_string(npy->dtype);
    const int own = npy->dtype == io->dtype, flags = rules->pre->given && !rules->stored;
    if (pi_is_float(io->dtype)) {
        f->how = own && !rules->raw ? PI_FEED_COPY : PI_FEED_PREPROCESS;
        if (f->how == PI_FEED_COPY && flags)
            return pi_fail(err, PRECINFER_INVALID,
                           "input '%s': the array is %s as the model's input is, so it is taken as it is and preprocessing "
                           "does not apply (unless the array is said to be raw)", io->name, array);
        return 0;
    }
    if (!pi_is_integer(npy->dtype) && npy->dtype != PRECINFER_BOOL)
        return pi_fail(err, PRECINFER_INVALID, "input '%s' is %s: an array of %s does not fit", io->name, model, array);
    if (flags && !rules->floats)
        return pi_fail(err, PRECINFER_INVALID, "input '%s' is %s, which is never normalised: preprocessing does not apply",
                       io->name, model);
    f->how = own ? PI_FEED_COPY : PI_FEED_WIDEN;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ plan: where */

/* Dimensions with the array's strides, in some order. */
struct shape { int rank, channel; int64_t dims[PRECINFER_MAX_RANK], stride[PRECINFER_MAX_RANK]; };

static int fits(const struct precinfer_io *io, const struct shape *s, int whole)
{
    if (s->rank != io->rank) return 0;
    for (int i = whole ? 0 : 1; i < s->rank; i++) if (io->dims[i] >= 0 && io->dims[i] != s->dims[i]) return 0;
    return 1;
}

/* (N, H, W) becomes one channel: a dimension of 1 at `axis`. */
static void insert_channel(struct shape *s, int axis)
{
    for (int i = s->rank++; i > axis; i--) { s->dims[i] = s->dims[i - 1]; s->stride[i] = s->stride[i - 1]; }
    s->dims[axis] = 1;
    s->stride[axis] = 0;
}

static void move_channel(struct shape *s, int to)
{
    const int64_t n = s->dims[s->channel], step = s->stride[s->channel];
    for (int i = s->channel; i < to; i++) { s->dims[i] = s->dims[i + 1]; s->stride[i] = s->stride[i + 1]; }
    for (int i = s->channel; i > to; i--) { s->dims[i] = s->dims[i - 1]; s->stride[i] = s->stride[i - 1]; }
    s->dims[to] = n;
    s->stride[to] = step;
    s->channel = to;
}

/* A layout was given: the model has its channels second, as ONNX has them, or last where only that fits. */
static int place_given(const struct precinfer_io *io, enum precinfer_layout layout, int whole, struct shape *s)
{
    const int last = io->rank - 1;
    s->channel = layout == PRECINFER_NCHW ? 1 : last;
    if (s->rank == 3 && io->rank == 4) insert_channel(s, s->channel);
    if (s->rank != io->rank) return 1;
    move_channel(s, 1);
    if (fits(io, s, whole)) return 0;
    move_channel(s, last);
    return !fits(io, s, whole);
}

static int place_as_model(const struct precinfer_io *io, int channels, int whole, struct shape *s)
{
    const int last = io->rank - 1;
    s->channel = -1;
    if (s->rank == 3 && io->rank == 4) insert_channel(s, io->dims[1] == 1 || (io->dims[1] < 0 && io->dims[last] != 1) ? 1 : last);
    if (!fits(io, s, whole)) return 1;
    if (channels > 1 && s->rank > 1) s->channel = s->dims[1] == channels ? 1 : last;
    return 0;
}

static int place(const struct precinfer_io *io, const struct pi_npy *npy, const struct pi_feed_rules *rules,
                 const struct pi_feed *f,
                 struct shape *s, struct precinfer_error *err)
{
    const int given = f->how == PI_FEED_PREPROCESS && rules->pre->given && rules->pre->layout != PRECINFER_LAYOUT_MODEL
        && io->rank > 2;
    const int channels = f->how == PI_FEED_PREPROCESS && rules->pre->given ? rules->pre->channels : 0;
    char array[96], model[96];
    *s = (struct shape){ .rank = npy->rank };
    memcpy(s->dims, npy->dims, sizeof s->dims);
    pi_npy_strides(npy, s->stride);
    if (given ? place_given(io, rules->pre->layout, rules->whole, s) : place_as_model(io, channels, rules->whole, s))
        return pi_fail(err, PRECINFER_INVALID, "input '%s' is %s: an array of %s%s does not fit", io->name,
                       dims_string(io->rank, io->dims, model, sizeof model),
                           dims_string(npy->rank, npy->dims, array, sizeof array),
                       !given ? "" : rules->pre->layout == PRECINFER_NCHW ? " (nchw)" : " (nhwc)");
    if (channels > 1 && (s->channel < 0 || s->dims[s->channel] != channels))
        return pi_fail(err, PRECINFER_INVALID, "input '%s': %d means and deviations, but an array of %s has not as many channels",
                       io->name, channels,
                       dims_string(npy->rank, npy->dims, array, sizeof array));
    return 0;
}

/* ------------------------------------------------------------------------------------------------ plan: loops */

/* Neighbouring dimensions that lie as one become one loop, unless the channel changes in one of them. */
static void add_loop(struct pi_feed *f, int64_t n, int64_t step, int channel)
{
    if (n == 1) return;
    if (f->nloops && !channel && !f->loop[f->nloops - 1].channel && f->loop[f->nloops - 1].step == n * step) {
        f->loop[f->nloops - 1].n *= n;
        f->loop[f->nloops - 1].step = step;
        return;
    }
    f->loop[f->nloops].n = n;
    f->loop[f->nloops].step = step;
    f->loop[f->nloops++].channel = channel;
}

static void set_numbers(struct pi_feed *f, const struct precinfer_preprocessing *p)
{
    f->divide = p->given ? p->divide : 1;
    for (int i = 0; i < 16; i++) {
        const int used = p->given && p->channels > 0, c = p->channels > 1 ? i : 0;
        f->mean[i] = used ? p->mean[c] : 0;
        f->std[i] = used ? p->std[c] : 1;
    }
}

int pi_feed_plan(const struct precinfer_io *io, const struct pi_npy *npy, const struct pi_feed_rules *rules, struct pi_feed *feed,
                 struct precinfer_error *err)
{
    struct pi_feed f = { .from = npy->dtype, .to = io->dtype, .swapped = npy->swapped, .rank = io->rank, .elements = 1 };
    struct shape s;
    PI_TRY(decide(io, npy, rules, &f, err));
    PI_TRY(place(io, npy, rules, &f, &s, err));
    const int per_channel = f.how == PI_FEED_PREPROCESS && rules->pre->given && rules->pre->channels > 1;
    for (int i = rules->whole ? 0 : 1; i < s.rank; i++) {
        add_loop(&f, s.dims[i], s.stride[i], per_channel && i == s.channel);
        if (pi_mul_size(f.elements, (size_t)s.dims[i], &f.elements)) return pi_no_memory(err, SIZE_MAX);
    }
    if (pi_mul_size(f.elements, precinfer_dtype_size(f.to), &f.bytes)) return pi_no_memory(err, SIZE_MAX);
    memcpy(f.dims, s.dims, sizeof f.dims);
    f.sample_stride = rules->whole ? 0 : s.stride[0];
    set_numbers(&f, rules->pre);
    *feed = f;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ elements */

enum { RUN = 256 };

/* n elements of `size` bytes, `step` elements apart, into a dense run of this machine's byte order. */
static void gather(unsigned char *to, const unsigned char *from, size_t size, int64_t step, int swapped, size_t n)
{
    if (step == 1 && !swapped) { memcpy(to, from, n * size); return; }
    for (size_t i = 0; i < n; i++, to += size) {
        const unsigned char *p = from + (ptrdiff_t)i * step * (ptrdiff_t)size;
        if (swapped) for (size_t k = 0; k < size; k++) to[k] = p[size - 1 - k];
        else if (size == 4) memcpy(to, p, 4);
        else if (size == 1) *to = *p;
        else memcpy(to, p, size);
    }
}

#define EACH(type, expression) \
    for (size_t i = 0; i < n; i++) { const type v = ((const type *)from)[i]; to[i] = (expression); } \
    break

static void to_floats(float *to, const void *from, enum precinfer_dtype dtype, size_t n)
{
    switch (dtype) {
    case PRECINFER_F32: EACH(float, v);
    case PRECINFER_F64: EACH(double, (float)v);
    case PRECINFER_F16: EACH(uint16_t, pi_f16_to_f32(v));
    case PRECINFER_BF16: EACH(uint16_t, pi_bf16_to_f32(v));
    case PRECINFER_BOOL: EACH(uint8_t, v != 0);
    case PRECINFER_U8: EACH(uint8_t, v);
    case PRECINFER_S8: EACH(int8_t, v);
    case PRECINFER_U16: EACH(uint16_t, v);
    case PRECINFER_S16: EACH(int16_t, v);
    case PRECINFER_U32: EACH(uint32_t, (float)v);
    case PRECINFER_S32: EACH(int32_t, (float)v);
    case PRECINFER_U64: EACH(uint64_t, (float)v);
    case PRECINFER_S64: EACH(int64_t, (float)v);
    case PRECINFER_NONE: break;
    }
}

static void from_floats(void *out, enum precinfer_dtype dtype, const float *x, size_t n)
{
    switch (dtype) {
    case PRECINFER_F64: for (size_t i = 0; i < n; i++) ((double *)out)[i] = x[i]; break;
    case PRECINFER_F16: for (size_t i = 0; i < n; i++) ((uint16_t *)out)[i] = pi_f32_to_f16(x[i]); break;
    case PRECINFER_BF16: for (size_t i = 0; i < n; i++) ((uint16_t *)out)[i] = pi_f32_to_bf16(x[i]); break;
    default: memcpy(out, x, n * sizeof *x); break;
    }
}

/* Integers as int64; u64 beyond it keeps its bits and says so. */
static int to_integers(int64_t *to, const void *from, enum precinfer_dtype dtype, size_t n)
{
    int beyond = 0;
    switch (dtype) {
    case PRECINFER_BOOL: EACH(uint8_t, v != 0);
    case PRECINFER_U8: EACH(uint8_t, v);
    case PRECINFER_S8: EACH(int8_t, v);
    case PRECINFER_U16: EACH(uint16_t, v);
    case PRECINFER_S16: EACH(int16_t, v);
    case PRECINFER_U32: EACH(uint32_t, v);
    case PRECINFER_S32: EACH(int32_t, v);
    case PRECINFER_S64: EACH(int64_t, v);
    case PRECINFER_U64: for (size_t i = 0; i < n; i++) { to[i] = ((const int64_t *)from)[i]; beyond |= to[i] < 0; } break;
    default: break;
    }
    return beyond;
}

static int integer_fits(int64_t x, enum precinfer_dtype dtype)
{
    switch (dtype) {
    case PRECINFER_BOOL: return x == 0 || x == 1;
    case PRECINFER_U8: return x >= 0 && x <= UINT8_MAX;
    case PRECINFER_S8: return x >= INT8_MIN && x <= INT8_MAX;
    case PRECINFER_U16: return x >= 0 && x <= UINT16_MAX;
    case PRECINFER_S16: return x >= INT16_MIN && x <= INT16_MAX;
    case PRECINFER_U32: return x >= 0 && x <= UINT32_MAX;
    case PRECINFER_S32: return x >= INT32_MIN && x <= INT32_MAX;
    case PRECINFER_U64: return x >= 0;
    default: return 1;
    }
}

/* Little-endian or not, the low bytes of an integer are it: by shifts. */
static void from_integers(unsigned char *out, size_t size, const int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++, out += size) {
        const uint8_t b = (uint8_t)x[i];
        const uint16_t h = (uint16_t)x[i];
        const uint32_t w = (uint32_t)x[i];
        memcpy(out, size == 1 ? (const void *)&b : size == 2 ? (const void *)&h : size == 4 ? (const void *)&w
               : (const void *)&x[i], size);
    }
}

int pi_read_integer(const struct pi_npy *npy, const unsigned char *data, size_t i, int64_t *x)
{
    const size_t size = precinfer_dtype_size(npy->dtype);
    uint64_t element;
    gather((unsigned char *)&element, data + i * size, size, 1, npy->swapped, 1);
    return to_integers(x, &element, npy->dtype, 1);
}

/* ------------------------------------------------------------------------------------------------ running */

struct run { const struct pi_feed *f; size_t sample; struct precinfer_error *err; };

static void preprocess(const struct pi_feed *f, float *x, size_t n, size_t channel, int per_channel)
{
    const float divide = f->divide;
    if (per_channel) {
        for (size_t i = 0; i < n; i++) x[i] = (x[i] / divide - f->mean[channel + i]) / f->std[channel + i];
        return;
    }
    const float mean = f->mean[channel], std = f->std[channel];
    for (size_t i = 0; i < n; i++) x[i] = (x[i] / divide - mean) / std;
}

static int widen(const struct run *r, unsigned char *to, const void *from, size_t n)
{
    int64_t x[RUN];
    const int beyond = to_integers(x, from, r->f->from, n);
    for (size_t i = 0; i < n; i++)
        if (!integer_fits(x[i], r->f->to) || (beyond && x[i] < 0))
            return pi_fail(r->err, PRECINFER_INVALID, "sample %zu: %lld%s does not fit %s", r->sample, (long long)x[i],
                           beyond && x[i] < 0 ? " (plus 2^64)" : "", precinfer_dtype_string(r->f->to));
    from_integers(to, precinfer_dtype_size(r->f->to), x, n);
    return 0;
}

/* At most RUN elements, the channel moving with them or not. */
static int convert(const struct run *r, unsigned char *to, const unsigned char *from, int64_t step, size_t n, size_t channel,
                   int per_channel)
{
    const struct pi_feed *f = r->f;
    _Alignas(16) unsigned char dense[RUN * 8];
    float x[RUN];
    const size_t size = precinfer_dtype_size(f->from);
    if (f->how == PI_FEED_COPY) { gather(to, from, size, step, f->swapped, n); return 0; }
    gather(dense, from, size, step, f->swapped, n);
    if (f->how == PI_FEED_WIDEN) return widen(r, to, dense, n);
    to_floats(x, dense, f->from, n);
    preprocess(f, x, n, channel, per_channel);
    from_floats(to, f->to, x, n);
    return 0;
}

int pi_feed_sample(const struct pi_feed *f, const unsigned char *data, size_t sample, void *to, struct precinfer_error *err)
{
    const struct run r = { f, sample, err };
    const size_t from_size = precinfer_dtype_size(f->from), to_size = precinfer_dtype_size(f->to);
    const int inner = f->nloops - 1, moves = inner >= 0 && f->loop[inner].channel;
    const int64_t n = inner >= 0 ? f->loop[inner].n : 1, step = inner >= 0 ? f->loop[inner].step : 1;
    int64_t index[PRECINFER_MAX_RANK + 1] = { 0 }, at = (int64_t)sample * f->sample_stride;
    size_t channel = 0;
    unsigned char *out = to;
    if (!f->elements) return 0;
    for (;;) {
        for (int64_t i = 0; i < n; i += RUN) {
            const size_t some = n - i < RUN ? (size_t)(n - i) : RUN;
            PI_TRY(convert(&r, out, data + (size_t)(at + i * step) * from_size, step, some, channel + (moves ? (size_t)i : 0),
                           moves));
            out += some * to_size;
        }
        int d = inner - 1;
        for (; d >= 0; d--) {
            at += f->loop[d].step;
            if (f->loop[d].channel) channel++;
            if (++index[d] < f->loop[d].n) break;
            at -= f->loop[d].n * f->loop[d].step;
            if (f->loop[d].channel) channel = 0;
            index[d] = 0;
        }
        if (d < 0) return 0;
    }
}
