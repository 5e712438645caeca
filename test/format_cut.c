/* The cut of one data set in three, and arrays by name. */
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
static void save(const char *name, enum precinfer_dtype dtype, const void *data, int rank, int64_t a, int64_t b)
{
    const struct precinfer_tensor t = { .data = (void *)(uintptr_t)data, .dtype = dtype, .rank = rank, .dims = { a, b } };
    f_ok(precinfer_npy_save(ctx, f_path(name), &t, &err));
}

/* ------------------------------------------------------------------------------------------------ the cut */

enum { N = 600, WIDE = 3 };

/* Which samples, told by their first element, are in a part. */
static size_t members(const struct precinfer_data_options *o, const struct precinfer_io *in, unsigned char *in_part,
                      const int64_t *labels)
{
    precinfer_data *d = NULL;
    struct precinfer_batch b;
    struct precinfer_data_info info;
    size_t n = 0;
    memset(in_part, 0, N);
    f_ok(precinfer_data_open(ctx, in, 1, o, &d, &err));
    if (!d) return 0;
    for (int twice = 0; twice < 2; twice++) {
        n = 0;
        precinfer_data_rewind(d);
        for (;;) {
            f_ok(precinfer_data_next(d, &b, &err));
            if (!b.samples) break;
            for (size_t i = 0; i < b.samples; i++, n++) {
                const size_t who = (size_t)((const float *)b.inputs[0].data)[i * WIDE];
                h_expect(who < N && b.indexes, "sample %zu", who);
                if (labels) h_expect(labels[b.indexes[i]] == b.labels[i] && b.labels[i] == (int64_t)who, "the label of %zu", who);
                if (who < N) in_part[who] = 1;
            }
        }
    }
    precinfer_data_info(d, &info);
    h_expect(info.samples == n && info.all == N, "%zu of %zu samples, %zu read", info.samples, info.all, n);
    if (!o->skip && !o->samples && o->split[0] + o->split[1] + o->split[2])
        h_expect(info.parts[0] + info.parts[1] + info.parts[2] == N && info.parts[o->part] == n, "the parts");
    precinfer_data_free(d);
    return n;
}

START_TEST(cut)
{
    static float x[N][WIDE], back[N][WIDE];
    static int64_t y[N], yback[N];
    static unsigned char part[3][N], again[N];
    const struct precinfer_io in = { .name = "x", .dtype = PRECINFER_F32, .rank = 2, .dims = { -1, WIDE } };
    begin();
    for (int i = 0; i < N; i++) {
        y[i] = yback[N - 1 - i] = i;
        for (int k = 0; k < WIDE; k++) x[i][k] = back[N - 1 - i][k] = k ? h_unit() : (float)i;
    }
    save("x.npy", PRECINFER_F32, x, 2, N, WIDE);
    save("y.npy", PRECINFER_S64, y, 1, N, 0);
    save("back.npy", PRECINFER_F32, back, 2, N, WIDE);
    ck_assert_int_eq(mkdir(f_path("in"), 0700), 0);
    save("in/a.npy", PRECINFER_F32, x, 2, 100, WIDE);
    save("in/b.npy", PRECINFER_F32, x[100], 2, N - 100, WIDE);
    char dir[1024], labels[1024], path[1024];
    snprintf(path, sizeof path, "%s", f_path("x.npy"));
    snprintf(dir, sizeof dir, "%s", f_path("in"));
    snprintf(labels, sizeof labels, "%s", f_path("y.npy"));
    struct precinfer_data_options o = { .size = sizeof o, .path = path, .labels = labels, .batch = 7, .split = { 50, 25, 25 } };
    size_t n[3], all = 0;
    for (int p = 0; p < 3; p++) {
        o.part = (enum precinfer_part)p;
        all += n[p] = members(&o, &in, part[p], y);
    }
    h_expect(all == N && n[0] > 240 && n[0] < 360 && n[1] > 100 && n[1] < 200 && n[2] > 100 && n[2] < 200, "%zu %zu %zu", n[0],
             n[1], n[2]);
    for (int i = 0; i < N; i++) h_expect(part[0][i] + part[1][i] + part[2][i] == 1, "sample %d is in %d parts", i,
                                         part[0][i] + part[1][i] + part[2][i]);
    /* other batches, the order turned round, two files: the same samples */
    o.part = PRECINFER_PART_VERIFY;
    o.batch = 64;
    members(&o, &in, again, y);
    h_same_bytes("other batches", part[2], again, N);
    o.labels = NULL;
    o.path = dir;
    members(&o, &in, again, NULL);
    h_same_bytes("two files", part[2], again, N);
    o.path = f_path("back.npy");
    members(&o, &in, again, NULL);
    h_same_bytes("backwards", part[2], again, N);
    o.split[0] = 2; o.split[1] = o.split[2] = 1;
    members(&o, &in, again, NULL);
    h_same_bytes("proportions as parts", part[2], again, N);
    /* skip and samples count within the part */
    o.path = path;
    o.skip = 3;
    o.samples = 5;
    h_expect(members(&o, &in, again, NULL) == 5, "skip and samples");
    for (int i = 0, k = 0; i < N; i++) {
        const int want = part[2][i] && k >= 3 && k < 8;
        k += part[2][i];
        h_expect(again[i] == want, "skip and samples: sample %d", i);
    }
    precinfer_data *d = NULL;
    o.skip = 0;
    o.samples = n[2] + 1;
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "samples asked for");
    o.samples = 0;
    o.split[0] = 1; o.split[1] = o.split[2] = 0;
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "the cut leaves none");
    o.split[0] = SIZE_MAX;
    f_refused(precinfer_data_open(ctx, &in, 1, &o, &d, &err), PRECINFER_INVALID, "a cut of");
    /* a fixed batch: the rest stays out */
    const struct precinfer_io fixed = { .name = "x", .dtype = PRECINFER_F32, .rank = 2, .dims = { 4, WIDE } };
    o = (struct precinfer_data_options){ .size = sizeof o, .path = path, .split = { 50, 25, 25 }, .part = PRECINFER_PART_VERIFY };
    struct precinfer_data_info info;
    f_ok(precinfer_data_open(ctx, &fixed, 1, &o, &d, &err));
    precinfer_data_info(d, &info);
    h_expect(info.samples == n[2] / 4 * 4 && info.parts[2] == n[2], "a fixed batch: %zu of %zu", info.samples, n[2]);
    precinfer_data_free(d);
    end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ arrays */

static void expect_array(precinfer_arrays *a, size_t i, const char *name, enum pi_type type, const void *want, size_t n)
{
    const char *got;
    struct precinfer_tensor shape, t = { 0 };
    h_expect(!precinfer_arrays_info(a, i, &got, &shape) && !strcmp(got, name) && !shape.data
             && (int)shape.dtype == (int)type, "array %zu: '%s'", i, got);
    f_ok(precinfer_arrays_load(a, i, &t, &err));
    h_expect(t.rank == shape.rank && !memcmp(t.dims, shape.dims, sizeof t.dims), "shape of '%s'", name);
    if (t.data) h_same(name, want, t.data, type, n);
    precinfer_array_free(ctx, &t);
}

START_TEST(arrays)
{
    const float x[6] = { 1, 2, 3, 4, 5, 6 };
    const int64_t y[3] = { 7, 8, 9 };
    precinfer_arrays *a = NULL;
    begin();
    ck_assert_int_eq(mkdir(f_path("in"), 0700), 0);
    save("in/b.x.npy", PRECINFER_F32, x, 2, 3, 2);
    save("in/a.npy", PRECINFER_S64, y, 1, 3, 0);
    f_ok(precinfer_arrays_open(ctx, f_path("in"), &a, &err));
    h_expect(precinfer_arrays_count(a) == 2, "two arrays");
    expect_array(a, 0, "a", PI_S64, y, 3);
    expect_array(a, 1, "b.x", PI_F32, x, 6);
    struct precinfer_tensor t;
    f_refused(precinfer_arrays_load(a, 2, &t, &err), PRECINFER_INVALID, "array 2 of 2");
    save("in/a.npy", PRECINFER_S64, y, 1, 2, 0);
    f_refused(precinfer_arrays_load(a, 0, &t, &err), PRECINFER_IO, "changed");
    precinfer_arrays_free(a);
    f_write_npy("f.npy", "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }", (float[]){ 1, 3, 5, 2, 4, 6 }, 24);
    f_ok(precinfer_arrays_open(ctx, f_path("f.npy"), &a, &err));
    h_expect(precinfer_arrays_count(a) == 1, "one array");
    expect_array(a, 0, "", PI_F32, x, 6);
    precinfer_arrays_free(a);
    f_refused(precinfer_arrays_open(ctx, f_path("none"), &a, &err), PRECINFER_NOT_FOUND, "none");
    f_write("in/c.npy", "hello", 5);
    f_refused(precinfer_arrays_open(ctx, f_path("in"), &a, &err), PRECINFER_MALFORMED, "c.npy");
    f_refused(precinfer_arrays_open(NULL, "x", &a, &err), PRECINFER_INVALID, "NULL");
    h_expect(!precinfer_arrays_count(NULL), "count of nothing");
#if PI_WITH_ONNX
    unsigned char file[512];
    zipFile z = zipOpen(f_path("x.npz"), APPEND_STATUS_CREATE);
    for (int i = 0; i < 2; i++) {
        const size_t n = i ? f_npy(file, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", x, 24)
            : f_npy(file, "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }", y, 24);
        zipOpenNewFileInZip(z, i ? "q.npy" : "label.npy", NULL, NULL, 0, NULL, 0, NULL, Z_DEFLATED, 6);
        zipWriteInFileInZip(z, file, (unsigned)n);
        zipCloseFileInZip(z);
    }
    zipClose(z, NULL);
    f_ok(precinfer_arrays_open(ctx, f_path("x.npz"), &a, &err));
    h_expect(precinfer_arrays_count(a) == 2, "two keys");
    expect_array(a, 0, "label", PI_S64, y, 3);
    expect_array(a, 1, "q", PI_F32, (float[]){ 1, 3, 5, 2, 4, 6 }, 6);
    precinfer_arrays_free(a);
#endif
    end();
}
END_TEST

START_TEST(no_memory)
{
    float x[5][2] = { { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 }, { 9, 10 } };
    const struct precinfer_io in = { .name = "x", .dtype = PRECINFER_F32, .rank = 2, .dims = { -1, 2 } };
    begin();
    ck_assert_int_eq(mkdir(f_path("in"), 0700), 0);
    save("in/a.npy", PRECINFER_F32, x, 2, 5, 2);
    for (long n = 1; ; n++) {
        struct h_host h = { .fail_at = n };
        struct precinfer_error err = { 0 };
        precinfer_context *c = h_context(&h, NULL);
        precinfer_data *d = NULL;
        precinfer_arrays *a = NULL;
        struct precinfer_tensor t = { 0 };
        struct precinfer_batch b;
        const struct precinfer_data_options o = { .size = sizeof o, .path = f_path("in"), .split = { 1, 1, 1 } };
        int status = c ? precinfer_data_open(c, &in, 1, &o, &d, &err) : PRECINFER_NO_MEMORY;
        if (!status) status = precinfer_data_next(d, &b, &err);
        if (!status) status = precinfer_arrays_open(c, f_path("in"), &a, &err);
        if (!status) status = precinfer_arrays_load(a, 0, &t, &err);
        if (!status) h_same("array", x, t.data, PI_F32, 10);
        h_expect(h.failed ? status == PRECINFER_NO_MEMORY : !status, "allocation %ld: %d %s", n, status, err.text);
        precinfer_array_free(c, &t);
        precinfer_arrays_free(a);
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
    Suite *s = suite_create("format_cut");
    h_add(s, "cut", cut, 1, 10);
    h_add(s, "arrays", arrays, 1, 5);
    h_add(s, "no memory", no_memory, 1, 10);
    return s;
}
