/* The data reader, against a plain reading of the law: types, layouts, batches, labels, refusals. .npz where the build has it. */
#include <sys/stat.h>
#include "format_tools.h"
#if PI_WITH_ONNX
#include <minizip/zip.h>
#endif

static struct h_host host;
static precinfer_context *ctx;

static void begin(void)
{
    memset(&host, 0, sizeof host);
    ctx = h_context(&host, NULL);
    f_begin();
}

static void end(void)
{
    f_end();
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
    h_finish();
}

/* Writes an array by precinfer_npy_save; dims end with -1. */
static void save(const char *name, enum precinfer_dtype dtype, const void *data, const int64_t *dims)
{
    struct precinfer_tensor t = { .data = (void *)data, .dtype = dtype };
    while (dims[t.rank] >= 0) { t.dims[t.rank] = dims[t.rank]; t.rank++; }
    f_ok(precinfer_npy_save(ctx, f_path(name), &t, &err));
}
#define DIMS(...) (const int64_t[]){ __VA_ARGS__, -1 }

static struct precinfer_io io(const char *name, enum precinfer_dtype dtype, int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (struct precinfer_io){ .name = name, .dtype = dtype, .rank = rank, .dims = { a, b, c, d } };
}
static struct precinfer_data_options from(const char *name)
{
    return (struct precinfer_data_options){ .size = sizeof(struct precinfer_data_options), .path = f_path(name) };
}

/* Reads all and compares with n samples of the first input; batches of at most `batch`. */
static void read_all(precinfer_data *d, const void *want, enum pi_type type, size_t elements, size_t n, size_t batch,
                     const int64_t *labels)
{
    struct precinfer_batch b;
    size_t at = 0;
    h_expect(precinfer_data_samples(d) == n && precinfer_data_labelled(d) == (labels != NULL), "%zu samples",
             precinfer_data_samples(d));
    for (;;) {
        f_ok(precinfer_data_next(d, &b, &err));
        if (!b.samples) break;
        h_expect(b.samples <= batch && at + b.samples <= n && b.inputs[0].dims[0] == (int64_t)b.samples
                 && (b.samples == batch || at + b.samples == n),
                 "a batch of %zu at %zu", b.samples, at);
        if (at + b.samples > n) return;
        h_same("batch", (const char *)want + at * elements * h_type_size(type), b.inputs[0].data, type, b.samples * elements);
        if (labels) h_same("labels", labels + at, b.labels, PI_S64, b.samples);
        else h_expect(!b.labels, "labels from nowhere");
        at += b.samples;
    }
    h_expect(at == n, "%zu of %zu samples", at, n);
}

/* ------------------------------------------------------------------------------------------------ plain arrays */

START_TEST(as_it_is)
{
    float x[7][2][3][5];
    const struct precinfer_io in = io("x", PRECINFER_F32, 4, -1, 2, 3, -1);
    precinfer_data *d = NULL;
    begin();
    h_reseed(0);
    h_fill(x, PI_F32, 210, H_RANDOM);
    save("x.npy", PRECINFER_F32, x, DIMS(7, 2, 3, 5));
    for (size_t batch = 0; batch < 10; batch++)
        for (size_t skip = 0; skip < 7; skip += 3)
            for (size_t samples = 0; samples <= 7 - skip; samples++) {
                struct precinfer_data_options o = from("x.npy");
                o.batch = batch; o.skip = skip; o.samples = samples;
                f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
                for (int twice = 0; twice < 2; twice++) {
                    read_all(d, x[skip], PI_F32, 30, samples ? samples : 7 - skip, batch ? batch : 1, NULL);
                    precinfer_data_rewind(d);
                }
                precinfer_data_free(d);
            }
    struct precinfer_data_options o = from("x.npy");
    o.samples = 8;
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "8 samples asked for, but there are 7");
    o.samples = 5; o.skip = 3;
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "there are 4 after those skipped");
    o.samples = 0; o.skip = 8;
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "8 samples to skip, but there are 7");
    o.skip = 7;
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "7 samples to skip");
    o.skip = SIZE_MAX; o.samples = SIZE_MAX;
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "to skip");
    /* The options of an older library, which ended after the labels. */
    o = from("x.npy");
    o.size = offsetof(struct precinfer_data_options, skip);
    o.batch = 5; o.skip = 77;
    f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
    read_all(d, x, PI_F32, 30, 7, 1, NULL);
    precinfer_data_free(d);
    end();
}
END_TEST

START_TEST(fixed_batch)
{
    float x[6][2];
    precinfer_data *d = NULL;
    begin();
    h_fill(x, PI_F32, 12, H_RANDOM);
    save("x.npy", PRECINFER_F32, x, DIMS(6, 2));
    for (int64_t batch = 1; batch <= 7; batch++) {
        const struct precinfer_io in = io("x", PRECINFER_F32, 2, batch, 2, 0, 0);
        struct precinfer_data_options o = from("x.npy");
        if (6 % batch) { f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID,
                                   "6 samples are no multiple of the model's fixed batch"); continue; }
        f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
        read_all(d, x, PI_F32, 2, 6, (size_t)batch, NULL);
        precinfer_data_free(d);
        o.batch = (size_t)batch + 1;
        f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "fixed at");
    }
    const struct precinfer_io in = io("x", PRECINFER_F32, 2, 4, 2, 0, 0);
    struct precinfer_data_options o = from("x.npy");
    o.skip = 2;
    f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
    read_all(d, x[2], PI_F32, 2, 4, 4, NULL);
    precinfer_data_free(d);
    end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ preprocessing */

enum { N = 3, C = 3, H = 4, W = 5 };

/* (x / divide - mean) / std, volatile so that nothing is contracted or kept wider. */
static float law(float x, const struct precinfer_preprocessing *p, int c)
{
    const int k = p->channels > 1 ? c : 0;
    volatile float v = x / p->divide;
    v = v - (p->channels ? p->mean[k] : 0);
    v = v / (p->channels ? p->std[k] : 1);
    return v;
}

static float as_float(const void *p, enum pi_type t, size_t i)
{
    switch (t) {
    case PI_U8: return ((const uint8_t *)p)[i];
    case PI_S8: return ((const int8_t *)p)[i];
    case PI_U16: return ((const uint16_t *)p)[i];
    case PI_S16: return ((const int16_t *)p)[i];
    case PI_U32: return (float)((const uint32_t *)p)[i];
    case PI_S32: return (float)((const int32_t *)p)[i];
    case PI_U64: return (float)((const uint64_t *)p)[i];
    case PI_S64: return (float)((const int64_t *)p)[i];
    case PI_F64: return (float)((const double *)p)[i];
    case PI_BOOL: return ((const uint8_t *)p)[i];
    default: return ((const float *)p)[i];
    }
}

/* _i: raw layout (3) x model layout (2) x channels 0, 1, 3 */
START_TEST(layouts)
{
    const enum precinfer_layout layout = (enum precinfer_layout)(_i % 3);
    const int last = _i / 3 % 2, channels = _i / 6 == 2 ? 3 : _i / 6;
    const struct precinfer_preprocessing p = { 1, 255, channels, { 0.485f, 0.456f, 0.406f }, { 0.229f, 0.224f, 0.225f }, layout };
    const int raw_last = layout == PRECINFER_LAYOUT_MODEL ? last : layout == PRECINFER_NHWC;
    static const enum pi_type types[] = { PI_U8, PI_S8, PI_U16, PI_S16, PI_U32, PI_S32, PI_U64, PI_S64, PI_F64, PI_F32, PI_BOOL };
    const struct precinfer_io in = last ? io("x", PRECINFER_F32, 4, -1, H, W, C) : io("x", PRECINFER_F32, 4, -1, C, -1, W);
    begin();
    h_reseed(_i);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        _Alignas(16) unsigned char raw[N * C * H * W * 8];
        static float want[N * C * H * W];
        h_fill(raw, types[t], N * C * H * W, H_RANDOM);
        for (int n = 0; n < N; n++) for (int c = 0; c < C; c++) for (int h = 0; h < H; h++) for (int w = 0; w < W; w++) {
            const int from_at = raw_last ? ((n * H + h) * W + w) * C + c : ((n * C + c) * H + h) * W + w;
            const int to_at = last ? ((n * H + h) * W + w) * C + c : ((n * C + c) * H + h) * W + w;
            want[to_at] = law(as_float(raw, types[t], (size_t)from_at), &p, c);
        }
        save("x.npy", (enum precinfer_dtype)types[t], raw, raw_last ? DIMS(N, H, W, C) : DIMS(N, C, H, W));
        struct precinfer_data_options o = from("x.npy");
        precinfer_data *d = NULL;
        o.preprocessing = &p; o.batch = 2;
        if (types[t] == PI_F32) {
            f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID,
                      "taken as it is and preprocessing does not apply");
            o.raw = 1;
        }
        f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
        read_all(d, want, PI_F32, C * H * W, N, 2, NULL);
        precinfer_data_free(d);
        if (types[t] != PI_F32 || raw_last != last) continue;
        o.raw = 0; o.preprocessing_stored = 1;      /* stored: the model's dtype is taken as it is, no error */
        f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
        read_all(d, raw, PI_F32, C * H * W, N, 2, NULL);
        precinfer_data_free(d);
    }
    end();
}
END_TEST

/* Fortran order and big-endian elements through the same path. */
START_TEST(orders)
{
    uint16_t raw[N][C][H][W], stored[N * C * H * W];
    float want[N * H * W * C];
    const struct precinfer_preprocessing p = { 1, 2, 3, { 1, 2, 3 }, { 3, 5, 7 }, PRECINFER_NCHW };
    const struct precinfer_io in = io("x", PRECINFER_F32, 4, -1, H, W, C);
    precinfer_data *d = NULL;
    begin();
    h_fill(raw, PI_U16, N * C * H * W, H_RANDOM);
    for (int n = 0; n < N; n++) for (int c = 0; c < C; c++) for (int h = 0; h < H; h++) for (int w = 0; w < W; w++) {
        const uint16_t v = raw[n][c][h][w];
        stored[((w * H + h) * C + c) * N + n] = (uint16_t)(v << 8 | v >> 8);
        want[((n * H + h) * W + w) * C + c] = law(v, &p, c);
    }
    f_write_npy("x.npy", "{'descr': '>u2', 'fortran_order': True, 'shape': (3, 3, 4, 5)}\n", stored, sizeof stored);
    struct precinfer_data_options o = from("x.npy");
    o.preprocessing = &p; o.batch = 3;
    f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
    read_all(d, want, PI_F32, C * H * W, N, 3, NULL);
    precinfer_data_free(d);
    end();
}
END_TEST

START_TEST(one_channel)
{
    uint8_t raw[2 * 3 * 4];
    float want[24], own[24];
    precinfer_data *d = NULL;
    begin();
    h_fill(raw, PI_U8, 24, H_RANDOM);
    for (int i = 0; i < 24; i++) { want[i] = raw[i]; own[i] = h_unit(); }
    save("x.npy", PRECINFER_U8, raw, DIMS(2, 3, 4));
    save("own.npy", PRECINFER_F32, own, DIMS(2, 3, 4));
    const struct precinfer_io models[] = { io("x", PRECINFER_F32, 4, -1, 1, 3, 4), io("x", PRECINFER_F32, 4, -1, 3, 4, 1),
        io("x", PRECINFER_F32, 4, -1, -1, -1, -1),
        io("x", PRECINFER_F32, 4, -1, -1, -1, 1), io("x", PRECINFER_F32, 3, -1, 3, 4, 0) };
    for (int m = 0; m < 5; m++)
        for (int layout = 0; layout < 3; layout++) {
            const struct precinfer_preprocessing p = { 1, 1, 0, { 0 }, { 0 }, (enum precinfer_layout)layout };
            struct precinfer_data_options o = from("x.npy");
            o.batch = 2;
            if (layout) o.preprocessing = &p;
            if (m == 4 && layout == 2) continue;        /* (N, H, W) for (N, 3, 4) would mean channels last */
            f_ok(precinfer_data_open(ctx, &models[m], 1, &o, &d, &err));
            read_all(d, want, PI_F32, 12, 2, 2, NULL);
            precinfer_data_free(d);
        }
    struct precinfer_data_options o = from("own.npy");
    o.batch = 2;
    f_ok(precinfer_data_open(ctx, &models[0], 1, &o, &d, &err));
    read_all(d, own, PI_F32, 12, 2, 2, NULL);
    precinfer_data_free(d);
    const struct precinfer_io three = io("x", PRECINFER_F32, 4, -1, 3, 3, 4);
    f_refused(precinfer_data_open(ctx, &three, 1, &o, &d, &err), PRECINFER_INVALID, "an array of (2, 3, 4) does not fit");
    const struct precinfer_preprocessing nhwc = { .given = 1, .divide = 1, .layout = PRECINFER_NHWC };
    o = from("x.npy");
    o.preprocessing = &nhwc;
    f_refused(precinfer_data_open(ctx, &three, 1, &o, &d, &err), PRECINFER_INVALID, "an array of (2, 3, 4) (nhwc) does not fit");
    end();
}
END_TEST

/* By trying all: the nearest non-negative half, ties to even. */
static uint16_t nearest_half(double v)
{
    double best = 1e9;
    uint16_t at = 0;
    for (uint16_t u = 0; u < 0x7c00; u++) {
        double x = (u & 0x3ff) + (u >> 10 ? 1024 : 0);
        for (int e = u >> 10 ? u >> 10 : 1; e < 25; e++) x /= 2;
        for (int e = 25; e < u >> 10; e++) x *= 2;
        const double d = x < v ? v - x : x - v;
        if (d < best || (d == best && !(u & 1))) { best = d; at = u; }
    }
    return at;
}

START_TEST(half_and_double)
{
    const uint8_t raw[4] = { 0, 1, 200, 255 };
    const double doubles[4] = { 0.1, -1e300, 1e-320, 3 };
    const uint16_t halves[4] = { 0x3c00, 0x7c00, 0x8001, 0x1234 };
    const struct precinfer_preprocessing p = { .given = 1, .divide = 3 };
    uint16_t h16[4], b16[4];
    double d64[4];
    precinfer_data *d = NULL;
    begin();
    for (int i = 0; i < 4; i++) {
        const float v = law(raw[i], &p, 0);
        h16[i] = nearest_half(v);
        b16[i] = h_to_bf16(v);
        d64[i] = v;
    }
    save("raw.npy", PRECINFER_U8, raw, DIMS(4));
    save("d.npy", PRECINFER_F64, doubles, DIMS(4));
    save("h.npy", PRECINFER_F16, halves, DIMS(4));
    const struct { const char *file; enum precinfer_dtype dtype; const void *want; int pre; } cases[] = {
        { "raw.npy", PRECINFER_F16, h16, 1 }, { "raw.npy", PRECINFER_BF16, b16, 1 }, { "raw.npy", PRECINFER_F64, d64, 1 },
            { "d.npy", PRECINFER_F64, doubles, 0 },
        { "h.npy", PRECINFER_F16, halves, 0 } };
    for (int i = 0; i < 5; i++) {
        const struct precinfer_io in = io("x", cases[i].dtype, 1, -1, 0, 0, 0);
        struct precinfer_data_options o = from(cases[i].file);
        if (cases[i].pre) o.preprocessing = &p;
        o.batch = 4;
        f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
        read_all(d, cases[i].want, (enum pi_type)cases[i].dtype, 1, 4, 4, NULL);
        precinfer_data_free(d);
    }
    end();
}
END_TEST

START_TEST(bad_preprocessing)
{
    const uint8_t raw[2 * 3 * 4 * 4] = { 0 };
    const struct precinfer_io in = io("x", PRECINFER_F32, 4, -1, 3, 4, 4);
    const struct { struct precinfer_preprocessing p; const char *text; } bad[] = {
        { { .given = 1 }, "preprocessing.divide" },
        { { .given = 1, .divide = __builtin_nanf("") }, "preprocessing.divide" },
        { { .given = 1, .divide = 1, .channels = 1 }, "preprocessing.std[0]" },
        { { .given = 1, .divide = 1, .channels = 17 }, "17 channels" },
        { { .given = 1, .divide = 1, .channels = -1 }, "-1 channels" },
        { { .given = 1, .divide = 1, .layout = (enum precinfer_layout)3 }, "preprocessing.layout" },
        { { .given = 1, .divide = 1, .channels = 2, .std = { 1, 1 }, .layout = PRECINFER_NCHW }, "2 means and deviations" },
        { { .given = 1, .divide = 1, .channels = 2, .std = { 1, 1 } }, "2 means and deviations" },
        { { .given = 1, .divide = 1, .channels = 3, .std = { 1, 1, 1 }, .layout = PRECINFER_NHWC }, "3 means and deviations" } };
    precinfer_data *d = NULL;
    begin();
    save("x.npy", PRECINFER_U8, raw, DIMS(2, 3, 4, 4));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct precinfer_data_options o = from("x.npy");
        struct precinfer_error err = { 0 };
        o.preprocessing = &bad[i].p;
        const int status = precinfer_data_open(ctx, &in, 1, &o, &d, &err);
        h_expect((status == PRECINFER_INVALID || status == PRECINFER_MALFORMED) && strstr(err.text, bad[i].text), "%zu: %d %s", i,
                 status, err.text);
    }
    end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ integers */

START_TEST(integers)
{
    static const enum pi_type types[] = { PI_U8, PI_S8, PI_U16, PI_S16, PI_S32, PI_U32, PI_S64, PI_U64, PI_BOOL };
    static const int64_t values[] = { 0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2147483647, 2147483648, 4294967295,
        4294967296, INT64_MAX, -1, -128, -129,
        -32768, -32769, INT32_MIN, (int64_t)INT32_MIN - 1, INT64_MIN };
    static const int64_t lo[] = { 0, -128, 0, -32768, INT32_MIN, 0, INT64_MIN, 0, 0 };
    static const int64_t hi[] = { 255, 127, 65535, 32767, INT32_MAX, UINT32_MAX, INT64_MAX, INT64_MAX, 1 };
    precinfer_data *d = NULL;
    begin();
    for (int a = 0; a < 9; a++) for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        if (values[v] < lo[a] || values[v] > hi[a]) continue;
        int64_t stored = values[v];                 /* little-endian: the low bytes come first */
        save("x.npy", (enum precinfer_dtype)types[a], &stored, DIMS(1));
        for (int m = 0; m < 9; m++) {
            const struct precinfer_io in = io("ids", (enum precinfer_dtype)types[m], 1, -1, 0, 0, 0);
            struct precinfer_data_options o = from("x.npy");
            struct precinfer_batch b;
            f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
            if (values[v] < lo[m] || values[v] > hi[m])
                f_refused(precinfer_data_next(d, &b, &err), PRECINFER_INVALID, "x.npy: input 'ids': sample 0: ");
            else {
                f_ok(precinfer_data_next(d, &b, &err));
                h_same_bytes("widened", &stored, b.inputs[0].data, h_type_size(types[m]));
            }
            precinfer_data_free(d);
        }
    }
    const uint64_t huge = UINT64_MAX;
    struct precinfer_data_options o = from("x.npy");
    struct precinfer_io in = io("ids", PRECINFER_S64, 1, -1, 0, 0, 0);
    struct precinfer_batch b;
    save("x.npy", PRECINFER_U64, &huge, DIMS(1));
    f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
    f_refused(precinfer_data_next(d, &b, &err), PRECINFER_INVALID, "does not fit int64");
    precinfer_data_free(d);
    in.dtype = PRECINFER_U64;
    f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
    read_all(d, &huge, PI_U64, 1, 1, 1, NULL);
    precinfer_data_free(d);
    const float real = 1;
    save("x.npy", PRECINFER_F32, &real, DIMS(1));
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID,
              "input 'ids' is uint64: an array of float32 does not fit");
    const struct precinfer_preprocessing p = { .given = 1, .divide = 255 };
    save("x.npy", PRECINFER_U8, &huge, DIMS(1));
    o.preprocessing = &p;
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "never normalised");
    o.preprocessing_stored = 1;
    f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
    precinfer_data_free(d);
    end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ labels and directories */

START_TEST(labelled)
{
    float x[5][2];
    const int64_t want[5] = { 3, 1, 4, 1, 250 };
    uint8_t small[5];
    const double real[5] = { 0 };
    const struct precinfer_io in = io("x", PRECINFER_F32, 2, -1, 2, 0, 0);
    precinfer_data *d = NULL;
    begin();
    h_fill(x, PI_F32, 10, H_RANDOM);
    for (int i = 0; i < 5; i++) small[i] = (uint8_t)want[i];
    save("x.npy", PRECINFER_F32, x, DIMS(5, 2));
    save("y.npy", PRECINFER_S64, want, DIMS(5));
    save("y8.npy", PRECINFER_U8, small, DIMS(5, 1));
    save("y4.npy", PRECINFER_S64, want, DIMS(4));
    save("yd.npy", PRECINFER_F64, real, DIMS(5));
    save("y2.npy", PRECINFER_U8, small, DIMS(1, 5));
    for (int i = 0; i < 4; i++) {
        char path[1024];
        struct precinfer_data_options o = from("x.npy");
        snprintf(path, sizeof path, "%s", f_path(i % 2 ? "y.npy" : "y8.npy"));
        o.labels = path; o.batch = 2; o.skip = i / 2 * 2;
        f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
        read_all(d, x[o.skip], PI_F32, 2, 5 - o.skip, 2, want + o.skip);
        precinfer_data_free(d);
    }
    static const struct { const char *name; int status; const char *text; } bad[] = {
        { "y4.npy", PRECINFER_INVALID, "4 labels, but 5 samples" },
            { "yd.npy", PRECINFER_INVALID, "labels are integers, not float64" },
        { "y2.npy", PRECINFER_INVALID, "one integer a sample" }, { "none.npy", PRECINFER_NOT_FOUND, "none.npy" } };
    for (int i = 0; i < 4; i++) {
        char path[1024];
        struct precinfer_data_options o = from("x.npy");
        snprintf(path, sizeof path, "%s", f_path(bad[i].name));
        o.labels = path;
        f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), bad[i].status, bad[i].text);
    }
    end();
}
END_TEST

START_TEST(directories)
{
    float x[9][2];
    const struct precinfer_io in = io("x", PRECINFER_F32, 2, -1, -1, 0, 0);
    struct precinfer_batch b;
    precinfer_data *d = NULL;
    begin();
    h_fill(x, PI_F32, 18, H_RANDOM);
    ck_assert_int_eq(mkdir(f_path("in"), 0700), 0);
    struct precinfer_data_options o = from("in");
    char dir[1024], slash[1026];
    snprintf(dir, sizeof dir, "%s", o.path);
    snprintf(slash, sizeof slash, "%s/", dir);
    o.path = dir;
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_NOT_FOUND, "no .npy or .npz file");
    save("in/b.npy", PRECINFER_F32, x[4], DIMS(3, 2));
    save("in/a.npy", PRECINFER_F32, x[0], DIMS(4, 2));
    save("in/aa.npy", PRECINFER_F32, x[4], DIMS(0, 2));
    save("in/c10.npy", PRECINFER_F32, x[7], DIMS(1, 2));
    save("in/c9.npy", PRECINFER_F32, x[8], DIMS(1, 2));
    f_write("in/README.txt", "x", 1);
    f_write("in/.hidden.npy", "x", 1);
    f_write("in/.npy", "x", 1);
    for (size_t batch = 1; batch < 12; batch++)
        for (size_t skip = 0; skip < 9; skip++) {
            o.batch = batch; o.skip = skip; o.path = skip % 2 ? dir : slash;
            f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
            read_all(d, x[skip], PI_F32, 2, 9 - skip, batch, NULL);
            precinfer_data_rewind(d);
            read_all(d, x[skip], PI_F32, 2, 9 - skip, batch, NULL);
            precinfer_data_free(d);
        }
    /* An open dimension may change from file to file: the batch ends there. */
    save("in/d.npy", PRECINFER_F32, x[0], DIMS(3, 6));
    o.skip = 0; o.batch = 8;
    static const struct { size_t n; int64_t width; } batches[] = { { 8, 2 }, { 1, 2 }, { 3, 6 }, { 0, 0 } };
    f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
    for (int i = 0; i < 4; i++) {
        f_ok(precinfer_data_next(d, &b, &err));
        h_expect(b.samples == batches[i].n && (!b.samples || b.inputs[0].dims[1] == batches[i].width), "batch %d: %zu", i,
                 b.samples);
        if (i == 2) h_same("wider", x, b.inputs[0].data, PI_F32, 18);
    }
    precinfer_data_free(d);
    struct precinfer_io fixed = io("x", PRECINFER_F32, 2, 6, -1, 0, 0);
    o.batch = 0;
    f_ok(precinfer_data_open(ctx, &fixed, 1, &o, &d, &err));
    f_ok(precinfer_data_next(d, &b, &err));
    f_refused(precinfer_data_next(d, &b, &err), PRECINFER_INVALID, "d.npy: its samples cannot share");
    precinfer_data_free(d);
    /* A file that does not fit is named at once. */
    fixed = io("x", PRECINFER_F32, 2, -1, 2, 0, 0);
    f_refused(precinfer_data_open(ctx, &fixed, 1, &o, &d, &err), PRECINFER_INVALID,
              "/d.npy: input 'x' is (?, 2): an array of (3, 6) does not fit");
    /* A file that changes between the scan and the reading is seen. */
    f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
    save("in/a.npy", PRECINFER_F32, x[0], DIMS(2, 4));
    f_refused(precinfer_data_next(d, &b, &err), PRECINFER_IO, "changed while it was in use");
    precinfer_data_free(d);
    end();
}
END_TEST

START_TEST(refusals)
{
    const float x[4] = { 0 };
    struct precinfer_io two[2] = { io("x", PRECINFER_F32, 2, -1, 2, 0, 0), io("y", PRECINFER_F32, 2, -1, 2, 0, 0) };
    precinfer_data *d = NULL;
    begin();
    save("x.npy", PRECINFER_F32, x, DIMS(2, 2));
    save("none.npy", PRECINFER_F32, x, DIMS(0, 2));
    struct precinfer_data_options o = from("x.npy");
    f_refused(precinfer_data_open(ctx, two, 2, &o, &d, &err), PRECINFER_INVALID, "2 inputs ('x', 'y', ...): use .npz");
    f_refused(precinfer_data_open(ctx, two, 0, &o, &d, &err), PRECINFER_UNSUPPORTED, "0 inputs");
    f_refused(precinfer_data_open(ctx, two, 17, &o, &d, &err), PRECINFER_UNSUPPORTED, "17 inputs");
    f_refused(precinfer_data_open(NULL, two, 1, &o, &d, &err), PRECINFER_INVALID, "NULL");
    two[0].rank = 3; two[0].dims[2] = 2;
    f_refused(precinfer_data_open(ctx, two, 1, &o, &d, &err), PRECINFER_INVALID,
              "input 'x' is (?, 2, 2): an array of (2, 2) does not fit");
    two[0].rank = 0;
    f_refused(precinfer_data_open(ctx, two, 1, &o, &d, &err), PRECINFER_UNSUPPORTED, "batch dimension");
    two[0] = io("x", PRECINFER_F32, 2, 0, 2, 0, 0);
    f_refused(precinfer_data_open(ctx, two, 1, &o, &d, &err), PRECINFER_INVALID, "batch is 0");
    two[0] = io("x", PRECINFER_F32, 2, -1, 2, 0, 0);
    o = from("none.npy");
    f_refused(precinfer_data_open(ctx, two, 1, &o, &d, &err), PRECINFER_INVALID, "no samples");
    o = from("nowhere");
    f_refused(precinfer_data_open(ctx, two, 1, &o, &d, &err), PRECINFER_NOT_FOUND, "nowhere");
    o.path = NULL;
    f_refused(precinfer_data_open(ctx, two, 1, &o, &d, &err), PRECINFER_INVALID, "path");
    o.size = 8;
    f_refused(precinfer_data_open(ctx, two, 1, &o, &d, &err), PRECINFER_INVALID, "size");
    precinfer_data_rewind(NULL);
    precinfer_data_free(NULL);
    h_expect(!precinfer_data_samples(NULL) && !precinfer_data_labelled(NULL)
             && precinfer_data_next(NULL, NULL, NULL) == PRECINFER_INVALID, "NULL");
    end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ .npz */

#if PI_WITH_ONNX
struct entry { const char *name; enum precinfer_dtype dtype; const void *data; const int64_t *dims; };

/* level 0 stores. An entry without a dtype is `data` as text. */
static void zip(const char *name, int level, const struct entry *e, size_t n)
{
    zipFile z = zipOpen64(f_path(name), APPEND_STATUS_CREATE);
    ck_assert_ptr_nonnull(z);
    for (size_t i = 0; i < n; i++) {
        unsigned char *bytes;
        size_t size;
        if (e[i].dtype) {
            save("entry.tmp", e[i].dtype, e[i].data, e[i].dims);
            bytes = f_read("entry.tmp", &size);
        } else {
            size = strlen(e[i].data);
            bytes = memcpy(malloc(size + 1), e[i].data, size);
        }
        ck_assert_int_eq(zipOpenNewFileInZip64(z, e[i].name, NULL, NULL, 0, NULL, 0, NULL, level ? Z_DEFLATED : 0, level, 1), 0);
        ck_assert_int_eq(zipWriteInFileInZip(z, bytes, (unsigned)size), 0);
        zipCloseFileInZip(z);
        free(bytes);
    }
    zipClose(z, NULL);
}

START_TEST(archives)
{
    float x[5][3], table[2][2];
    int32_t ids[5][4];
    const int64_t want_labels[5] = { 5, 4, 3, 2, 1 };
    const uint16_t labels[5] = { 5, 4, 3, 2, 1 };
    struct precinfer_io in[3] = { io("x", PRECINFER_F32, 2, -1, 3, 0, 0), io("ids", PRECINFER_S64, 2, -1, -1, 0, 0),
        io("table", PRECINFER_F32, 2, 2, 2, 0, 0) };
    precinfer_data *d = NULL;
    begin();
    h_fill(x, PI_F32, 15, H_RANDOM);
    h_fill(ids, PI_S32, 20, H_RANDOM);
    h_fill(table, PI_F32, 4, H_RANDOM);
    const struct entry e[] = { { "ids.npy", PRECINFER_S32, ids, DIMS(5, 4) }, { "unused.npy", PRECINFER_F64, x, DIMS(1) },
        { "x.npy", PRECINFER_F32, x, DIMS(5, 3) },
        { "table.npy", PRECINFER_F32, table, DIMS(2, 2) }, { "label.npy", PRECINFER_U16, labels, DIMS(5) } };
    for (int level = 0; level < 10; level += 6) {
        zip("x.npz", level, e, 5);
        struct precinfer_data_options o = from("x.npz");
        o.batch = 2;
        f_ok(precinfer_data_open(ctx, in, 3, &o, &d, &err));
        h_expect(strstr(host.text, "'unused' is no input"), "the log says '%s'", host.text);
        for (size_t at = 0; at < 5; at += 2) {
            struct precinfer_batch b;
            f_ok(precinfer_data_next(d, &b, &err));
            h_expect(b.ninputs == 3 && b.samples == (at < 4 ? 2 : 1) && b.inputs[1].dims[1] == 4 && b.inputs[2].dims[0] == 2,
                     "batch at %zu", at);
            h_same("x", x[at], b.inputs[0].data, PI_F32, b.samples * 3);
            for (size_t k = 0; k < b.samples * 4; k++) h_expect(((int64_t *)b.inputs[1].data)[k] == ids[at + k / 4][k % 4],
                                                                "ids");
            h_same("table", table, b.inputs[2].data, PI_F32, 4);
            h_same("labels", want_labels + at, b.labels, PI_S64, b.samples);
        }
        precinfer_data_rewind(d);
        read_all(d, x, PI_F32, 3, 5, 2, want_labels);
        precinfer_data_free(d);
    }
    /* A model may have an input of that name: then it is no label. */
    in[1] = io("label", PRECINFER_U16, 1, -1, 0, 0, 0);
    struct precinfer_data_options o = from("x.npz");
    f_ok(precinfer_data_open(ctx, in, 2, &o, &d, &err));
    h_expect(!precinfer_data_labelled(d), "an input taken for labels");
    precinfer_data_free(d);
    in[1].name = "nothing";
    f_refused(precinfer_data_open(ctx, in, 2, &o, &d, &err), PRECINFER_INVALID, "x.npz: no key 'nothing'");
    in[1] = io("table", PRECINFER_F32, 2, -1, 2, 0, 0);
    f_refused(precinfer_data_open(ctx, in, 2, &o, &d, &err), PRECINFER_INVALID,
              "input 'table' has 2 samples, the inputs before it 5");
    end();
}
END_TEST

START_TEST(npz_directory)
{
    float x[6][2];
    const int64_t labels[6] = { 9, 8, 7, 6, 5, 4 };
    const struct precinfer_io in = io("x", PRECINFER_F32, 2, -1, 2, 0, 0);
    precinfer_data *d = NULL;
    begin();
    h_fill(x, PI_F32, 12, H_RANDOM);
    ck_assert_int_eq(mkdir(f_path("in"), 0700), 0);
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", f_path("in"));
    const struct entry a[] = { { "x.npy", PRECINFER_F32, x, DIMS(4, 2) }, { "label.npy", PRECINFER_S64, labels, DIMS(4, 1) } };
    const struct entry b[] = { { "x.npy", PRECINFER_F32, x[4], DIMS(2, 2) },
        { "label.npy", PRECINFER_S64, labels + 4, DIMS(2) } };
    zip("in/a.npz", 6, a, 2);
    zip("in/b.npz", 0, b, 2);
    struct precinfer_data_options o = from("in");
    o.path = dir;
    for (o.batch = 1; o.batch < 8; o.batch++) {
        f_ok(precinfer_data_open(ctx, &in, 1, &o, &d, &err));
        read_all(d, x, PI_F32, 2, 6, o.batch, labels);
        precinfer_data_free(d);
    }
    zip("in/b.npz", 0, b, 1);
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "b.npz: is without a key 'label'");
    zip("in/b.npz", 0, (const struct entry[]){ b[0], { "label.npy", PRECINFER_S64, labels, DIMS(3) } }, 2);
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "3 labels, but 2 samples");
    end();
}
END_TEST

/* Every truncation and many changes: refused with a sentence, or the same bytes. */
START_TEST(npz_damage)
{
    float x[3][2] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };
    const struct precinfer_io in = io("x", PRECINFER_F32, 2, -1, 2, 0, 0);
    const struct entry e[] = { { "x.npy", PRECINFER_F32, x, DIMS(3, 2) } };
    precinfer_data *d = NULL;
    begin();
    h_reseed(_i);
    zip("x.npz", _i ? 6 : 0, e, 1);
    size_t n, refused = 0;
    unsigned char *bytes = f_read("x.npz", &n);
    struct precinfer_data_options o = from("y.npz");
    char path[1024];
    snprintf(path, sizeof path, "%s", o.path);
    o.path = path; o.batch = 3;
    for (size_t i = 0; i < n + 3000; i++) {
        const size_t size = i < n ? i : n;
        unsigned char *copy = memcpy(malloc(n), bytes, n);
        struct precinfer_error err = { 0 };
        struct precinfer_batch b;
        if (i >= n) copy[h_below((uint32_t)n)] ^= (unsigned char)(1 << h_below(8));
        f_write("y.npz", copy, size);
        free(copy);
        d = NULL;
        int status = precinfer_data_open(ctx, &in, 1, &o, &d, &err);
        if (!status) status = precinfer_data_next(d, &b, &err);
        h_expect(!status || *err.text, "no sentence");
        h_expect(status || i >= n, "cut at %zu", i);
        if (!status) h_same("read", x, b.inputs[0].data, PI_F32, 6);
        else refused++;
        precinfer_data_free(d);
    }
    h_expect(refused > n + 1000, "%zu refused", refused);
    free(bytes);
    end();
}
END_TEST

START_TEST(npz_refusals)
{
    float x[2] = { 1, 2 };
    const struct precinfer_io in = io("x", PRECINFER_F32, 1, -1, 0, 0, 0);
    precinfer_data *d = NULL;
    begin();
    const struct entry good = { "x.npy", PRECINFER_F32, x, DIMS(2) };
    struct precinfer_data_options o = from("x.npz");
    char path[1024];
    snprintf(path, sizeof path, "%s", o.path);
    o.path = path;
    zip("x.npz", 6, (const struct entry[]){ good, { "notes.txt", PRECINFER_NONE, "hello", NULL } }, 2);
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_MALFORMED, "entry 'notes.txt': is no .npy array");
    zip("x.npz", 6, (const struct entry[]){ good, good }, 2);
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_MALFORMED, "entry 'x': stands there twice");
    zip("x.npz", 6, (const struct entry[]){ { "x.npy", PRECINFER_NONE, "not numpy at all", NULL } }, 1);
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_MALFORMED, "entry 'x': no .npy file");
    zip("x.npz", 6, (const struct entry[]){ { "x.npy", PRECINFER_NONE, "", NULL } }, 1);
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_MALFORMED, "entry 'x'");
    zip("x.npz", 6, NULL, 0);
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_MALFORMED, "npz: ");
    /* A bomb: the directory claims far more than deflate can give. */
    zip("x.npz", 6, &good, 1);
    size_t n;
    unsigned char *bytes = f_read("x.npz", &n);
    for (size_t i = 0; i + 30 < n; i++)
        if (!memcmp(bytes + i, "PK\1\2", 4)) memcpy(bytes + i + 24, "\xff\xff\xff\x7f", 4);
    f_write("x.npz", bytes, n);
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_MALFORMED, "claims more bytes than it can hold");
    free(bytes);
    end();
}
END_TEST
#endif

START_TEST(no_memory)
{
    float x[3][2] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };
    const int64_t labels[3] = { 1, 2, 3 };
    struct precinfer_io in = io("x", PRECINFER_F32, 2, -1, 2, 0, 0);
    in.symbols[0] = "N";
    begin();
    ck_assert_int_eq(mkdir(f_path("in"), 0700), 0);
    save("in/a.npy", PRECINFER_F32, x, DIMS(2, 2));
    save("in/b.npy", PRECINFER_F32, x[2], DIMS(1, 2));
    save("y.npy", PRECINFER_S64, labels, DIMS(3));
#if PI_WITH_ONNX
    zip("x.npz", 6, (const struct entry[]){ { "x.npy", PRECINFER_F32, x, DIMS(3, 2) },
        { "label.npy", PRECINFER_S64, labels, DIMS(3) } }, 2);
#endif
    for (int npz = 0; npz <= PI_WITH_ONNX; npz++)
        for (long n = 1; ; n++) {
            struct h_host h = { .fail_at = n };
            struct precinfer_error err = { 0 };
            struct precinfer_batch b;
            precinfer_context *c = h_context(&h, NULL);
            precinfer_data *d = NULL;
            struct precinfer_data_options o = from(npz ? "x.npz" : "in");
            o.batch = 2;
            if (!npz) o.labels = f_path("y.npy");
            int status = c ? precinfer_data_open(c, &in, 1, &o, &d, &err) : PRECINFER_NO_MEMORY;
            for (int i = 0; !status && i < 2; i++) {
                status = precinfer_data_next(d, &b, &err);
                if (!status) h_same("labels", labels + 2 * i, b.labels, PI_S64, b.samples);
                if (!status) h_same("x", x[2 * i], b.inputs[0].data, PI_F32, b.samples * 2);
            }
            h_expect(h.failed ? status == PRECINFER_NO_MEMORY : !status, "allocation %ld: %d %s", n, status, err.text);
            precinfer_data_free(d);
            precinfer_context_free(c);
            h_expect(h.live == 0, "allocation %ld: %ld blocks stayed", n, (long)h.live);
            if (!h.failed) break;
        }
    end();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("format_data");
    h_add(s, "as it is", as_it_is, 1, 10);
    h_add(s, "fixed batch", fixed_batch, 1, 5);
    h_add(s, "layouts", layouts, 18, 5);
    h_add(s, "element orders", orders, 1, 5);
    h_add(s, "one channel", one_channel, 1, 5);
    h_add(s, "half and double", half_and_double, 1, 5);
    h_add(s, "bad preprocessing", bad_preprocessing, 1, 5);
    h_add(s, "integers", integers, 1, 10);
    h_add(s, "labels", labelled, 1, 5);
    h_add(s, "directories", directories, 1, 10);
    h_add(s, "refusals", refusals, 1, 5);
#if PI_WITH_ONNX
    h_add(s, "npz", archives, 1, 5);
    h_add(s, "npz directory", npz_directory, 1, 5);
    h_add(s, "npz damage", npz_damage, 2, 20);
    h_add(s, "npz refusals", npz_refusals, 1, 5);
#endif
    h_add(s, "no memory", no_memory, 1, 10);
    return s;
}
