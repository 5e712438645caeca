/* TensorProto: every form in which ONNX stores numbers. */
#include <string.h>
#include "../base/error.h"
#include "onnx.h"

#define T(x) ONNX__TENSOR_PROTO__DATA_TYPE__##x
static const struct { int32_t number; enum pi_type type; const char *name; } types[] = {
    {T(FLOAT), PI_F32, "float"}, {T(UINT8), PI_U8, "uint8"}, {T(INT8), PI_S8, "int8"}, {T(UINT16), PI_U16, "uint16"},
    {T(INT16), PI_S16, "int16"}, {T(INT32), PI_S32, "int32"}, {T(INT64), PI_S64, "int64"}, {T(STRING), PI_NONE, "string"},
    {T(BOOL), PI_BOOL, "bool"}, {T(FLOAT16), PI_F16, "float16"}, {T(DOUBLE), PI_F64, "double"}, {T(UINT32), PI_U32, "uint32"},
    {T(UINT64), PI_U64, "uint64"}, {T(COMPLEX64), PI_NONE, "complex64"}, {T(COMPLEX128), PI_NONE, "complex128"},
    {T(BFLOAT16), PI_BF16, "bfloat16"},
    /* Newer than the schemas that some distributions have. */
    {17, PI_NONE, "float8e4m3fn"}, {18, PI_NONE, "float8e4m3fnuz"}, {19, PI_NONE, "float8e5m2"}, {20, PI_NONE, "float8e5m2fnuz"},
    {21, PI_NONE, "uint4"}, {22, PI_NONE, "int4"}, {23, PI_NONE, "float4e2m1"}
};
#undef T

enum pi_type pi_onnx_type(int32_t data_type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].number == data_type)
            return types[i].type;
    return PI_NONE;
}

const char *pi_onnx_type_name(int32_t data_type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].number == data_type)
            return types[i].name;
    return "of an unknown type";
}

struct source {
    const struct pi_allocator *a;
    Onnx__TensorProto *from;
    const char *what;
    struct pi_tensor *t;
    size_t elements, bytes;
    struct precinfer_error *err;
};

static int read_dims(struct source *s)
{
    struct pi_tensor *t = s->t;
    if (s->from->n_dims > PI_MAX_RANK)
        return pi_fail(s->err, PRECINFER_UNSUPPORTED, "%s has %zu dimensions, at most %d are covered", s->what, s->from->n_dims,
                       PI_MAX_RANK);
    t->rank = (int)s->from->n_dims;
    for (int i = 0; i < t->rank; i++) {
        t->dims[i] = s->from->dims[i];
        if (t->dims[i] < 0)
            return pi_fail(s->err, PRECINFER_MALFORMED, "%s: dimension %d is %lld", s->what, i, (long long)t->dims[i]);
    }
    if (pi_graph_check_dims(t))                     /* also where another dimension is 0: strides must fit         */
        return pi_fail(s->err, PRECINFER_MALFORMED, "%s: its dimensions are too large", s->what);
    s->elements = (size_t)pi_elements(t);
    s->bytes = s->elements * pi_type_size((enum pi_type)t->type);
    pi_row_major(t);
    return PRECINFER_OK;
}

static int wrong_size(const struct source *s, const char *field, size_t have, size_t want)
{
    char dims[96];
    return pi_fail(s->err, PRECINFER_MALFORMED, "%s: %s of shape %s needs %zu in %s, which has %zu", s->what,
                   pi_type_name((enum pi_type)s->t->type), pi_dims_string(s->t, dims, sizeof dims), want, field, have);
}

static int fresh(const struct source *s)
{
    s->t->data = pi_malloc(s->a, s->bytes);
    return s->t->data ? PRECINFER_OK : pi_no_memory(s->err, s->bytes);
}

/* Takes an array of the message over: unpacking allocated it with the same allocator, aligned as every block of it. */
static int steal(const struct source *s, const char *field, size_t have, size_t want, void **data, size_t *count)
{
    if (have != want)
        return wrong_size(s, field, have, want);
    if (!*data)
        return fresh(s);
    s->t->data = *data;
    *data = NULL;
    *count = 0;
    return PRECINFER_OK;
}

/* int32_data holds everything of at most 32 bits but float; 16-bit floats as their bits. */
static int from_int32(const struct source *s)
{
    const int32_t *v = s->from->int32_data;
    static const struct { enum pi_type type; int32_t lo, hi; } ranges[] = {
        {PI_U8, 0, 255}, {PI_S8, -128, 127}, {PI_U16, 0, 65535}, {PI_S16, -32768, 32767}, {PI_BOOL, 0, 1},
        {PI_F16, 0, 65535}, {PI_BF16, 0, 65535}
    };
    const enum pi_type type = (enum pi_type)s->t->type;
    size_t r = 0;
    if (s->from->n_int32_data != s->elements)
        return wrong_size(s, "int32_data", s->from->n_int32_data, s->elements);
    while (ranges[r].type != type)
        r++;
    for (size_t i = 0; i < s->elements; i++)
        if (v[i] < ranges[r].lo || v[i] > ranges[r].hi)
            return pi_fail(s->err, PRECINFER_MALFORMED, "%s: element %zu is %ld, which %s cannot hold", s->what, i, (long)v[i],
                           pi_type_name(type));
    PI_TRY(fresh(s));
    if (pi_type_size(type) == 1)
        for (size_t i = 0; i < s->elements; i++)
            ((uint8_t *)s->t->data)[i] = (uint8_t)v[i];
    else
        for (size_t i = 0; i < s->elements; i++)
            ((uint16_t *)s->t->data)[i] = (uint16_t)v[i];
    return PRECINFER_OK;
}

static int from_uint64(const struct source *s)
{
    const uint64_t *v = s->from->uint64_data;
    if (s->from->n_uint64_data != s->elements)
        return wrong_size(s, "uint64_data", s->from->n_uint64_data, s->elements);
    PI_TRY(fresh(s));
    for (size_t i = 0; i < s->elements; i++)
        ((uint32_t *)s->t->data)[i] = (uint32_t)v[i];
    return PRECINFER_OK;
}

static int from_fields(const struct source *s)
{
    Onnx__TensorProto *f = s->from;
    switch (s->t->type) {
    case PI_F32: return steal(s, "float_data", f->n_float_data, s->elements, (void **)&f->float_data, &f->n_float_data);
    case PI_F64: return steal(s, "double_data", f->n_double_data, s->elements, (void **)&f->double_data, &f->n_double_data);
    case PI_S32: return steal(s, "int32_data", f->n_int32_data, s->elements, (void **)&f->int32_data, &f->n_int32_data);
    case PI_S64: return steal(s, "int64_data", f->n_int64_data, s->elements, (void **)&f->int64_data, &f->n_int64_data);
    case PI_U64: return steal(s, "uint64_data", f->n_uint64_data, s->elements, (void **)&f->uint64_data, &f->n_uint64_data);
    case PI_U32: return from_uint64(s);
    }
    return from_int32(s);
}

static int has_fields(const Onnx__TensorProto *f)
{
    return f->n_float_data || f->n_double_data || f->n_int32_data || f->n_int64_data || f->n_uint64_data;
}

static int read_content(const struct source *s)
{
    Onnx__TensorProto *f = s->from;
    if (f->has_raw_data && (f->raw_data.len || !has_fields(f)))
        return steal(s, "raw_data", f->raw_data.len, s->bytes, (void **)&f->raw_data.data, &f->raw_data.len);
    return from_fields(s);
}

/* Any nonzero byte is true in a file; here true is 1. */
static void normalise(struct pi_tensor *t, size_t elements)
{
    uint8_t *v = t->data;
    for (size_t i = 0; t->type == PI_BOOL && i < elements; i++)
        v[i] = v[i] != 0;
}

int pi_onnx_tensor(const struct pi_allocator *a, Onnx__TensorProto *from, const char *directory, const char *what,
                   struct pi_tensor *t, struct precinfer_error *err)
{
    struct source s = {.a = a, .from = from, .what = what, .t = t, .err = err};
    *t = (struct pi_tensor){.type = (uint8_t)pi_onnx_type(from->data_type)};
    if (t->type == PI_NONE)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "%s is %s, which is not covered", what, pi_onnx_type_name(from->data_type));
    if (from->segment)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "%s is stored in segments, which is not covered", what);
    PI_TRY(read_dims(&s));
    if (from->has_data_location && from->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        PI_TRY(pi_onnx_external(a, from, directory, what, s.bytes, &t->data, err));
    else
        PI_TRY(read_content(&s));
    normalise(t, s.elements);
    return PRECINFER_OK;
}
