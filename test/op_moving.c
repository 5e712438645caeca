/* Operators that move elements: exact, in every layout, f32 and u8 and s64, with the sources named one by one. */
#include "op_reference.h"

/* ---------------------------------------------------------------- Transpose */

START_TEST(test_transpose)
{
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int n = 0; n < 24; n++) {
        int64_t perm[4] = { 0, 1, 2, 3 }, dims[4] = { 2, 37, 5, 33 }, out[4];
        for (int k = 3, rest = n; k > 0; k--) {
            const int j = rest % (k + 1);
            const int64_t p = perm[k];
            perm[k] = perm[j];
            perm[j] = p;
            rest /= k + 1;
        }
        struct c_case c;
        c_begin(&c, h.ctx[0], "Transpose", 13);
        c_ints(&c, "perm", perm, 4);
        struct r_tensor x = r_of(c_in_random(&c, 4, dims, -1, 1));
        for (int d = 0; d < 4; d++) out[d] = dims[perm[d]];
        struct r_tensor y = r_new(4, out);
        for (size_t k = 0; k < y.n; k++) {
            int64_t o[4], in[4];
            r_index(&y, k, o);
            for (int d = 0; d < 4; d++) in[perm[d]] = o[d];
            y.v[k] = x.v[r_place(&x, in)];
        }
        r_verify(&h, &c, y, 0, 0, "Transpose");
        r_free(&x);
    }
    r_close(&h);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- Slice */

struct slice { int64_t start[4], step[4]; };
static int slice_source(const void *arg, const int64_t *o, int64_t *in)
{
    const struct slice *s = arg;
    for (int d = 0; d < 4; d++) in[d] = s->start[d] + o[d] * s->step[d];
    return 1;
}

/* A start, an end and a step, and by hand what they select: first element and count. */
static void random_range(int64_t dim, int64_t *start, int64_t *end, int64_t *step, int64_t *first, int64_t *count)
{
    *step = (int64_t[]){ 1, 1, 2, 3, -1, -2 }[h_below(6)];
    *start = h_between((int)-dim, (int)dim + 2);
    *end = h_below(4) ? h_between((int)-dim - 2, (int)dim + 2) : *step > 0 ? INT64_MAX : INT64_MIN;
    int64_t a = *start < 0 ? *start + dim : *start, b = *end < -dim ? -1 : *end < 0 ? *end + dim : *end;
    if (*step < 0 && a > dim - 1) a = dim - 1;
    *first = a;
    *count = 0;
    for (int64_t x = a; (*step > 0 ? x < b && x < dim : x > b && x >= 0); x += *step) ++*count;
    if (*step < 0 && *end >= 0 && *end > dim - 1) *count = 0;
}

START_TEST(test_slice)
{
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int k = 0; k < 12; k++) {
        int64_t dims[4], start[4], end[4], step[4], axes[4], out[4];
        struct slice s;
        for (int d = 0; d < 4; d++) {
            dims[d] = h_between(1, 9);
            random_range(dims[d], &start[d], &end[d], &step[d], &s.start[d], &out[d]);
            s.step[d] = step[d];
            axes[d] = h_below(2) ? d : d - 4;
        }
        const int whole = (int)h_below(3);                  /* the last axes stay whole and are not named */
        for (int d = 4 - whole; d < 4; d++) { s.start[d] = 0; s.step[d] = 1; out[d] = dims[d]; }
        struct c_case c;
        c_begin(&c, h.ctx[0], "Slice", 13);
        struct r_tensor x = r_of(c_in_random(&c, 4, dims, -1, 1));
        const size_t n = (size_t)(4 - whole);
        c_in_s64(&c, n, start);
        c_in_s64(&c, n, end);
        c_in_s64(&c, n, axes);
        c_in_s64(&c, n, step);
        r_verify(&h, &c, r_moved(&x, 4, out, slice_source, &s, 0), 0, 0, "Slice");
        r_free(&x);
    }
    /* Attributes, up to opset 9. */
    struct c_case c;
    const struct slice s = { { 0, 1, 0, 2 }, { 1, 1, 1, 1 } };
    c_begin(&c, h.ctx[0], "Slice", 9);
    struct r_tensor x = r_of(c_in_random(&c, C_DIMS(2, 4, 3, 7), -1, 1));
    C_INTS(&c, "starts", 1, -5);
    C_INTS(&c, "ends", 3, -1);
    C_INTS(&c, "axes", 1, 3);
    r_verify(&h, &c, r_moved(&x, 4, (const int64_t[]){ 2, 2, 3, 4 }, slice_source, &s, 0), 0, 0, "Slice, attributes");
    r_free(&x);
    r_close(&h);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- Concat and Split */

/* Split one tensor at random places, join the parts again. */
START_TEST(test_concat_split)
{
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int axis = -4; axis < 4; axis++) {
        const int d = axis < 0 ? axis + 4 : axis;
        int64_t dims[4] = { 2, 3, 4, 5 }, sizes[3] = { h_between(0, 4), h_between(1, 20), h_between(1, 3) };
        dims[d] = sizes[0] + sizes[1] + sizes[2];
        struct c_case c;
        c_begin(&c, h.ctx[0], "Split", _i % 2 ? 11 : 13);
        c.node.nout = 3;
        c_int(&c, "axis", axis);
        struct r_tensor x = r_of(c_in_random(&c, 4, dims, -1, 1));
        if (_i % 2) c_ints(&c, "split", sizes, 3); else c_in_s64(&c, 3, sizes);
        r_all_layouts(&h, &c, "Split");
        struct c_case j;
        c_begin(&j, h.ctx[0], "Concat", 13);
        c_int(&j, "axis", axis);
        int64_t from = 0;
        for (int k = 0; k < 3; k++) {
            struct slice s = { { 0 }, { 1, 1, 1, 1 } };
            int64_t part[4] = { dims[0], dims[1], dims[2], dims[3] };
            s.start[d] = from;
            part[d] = sizes[k];
            from += sizes[k];
            struct r_tensor want = r_moved(&x, 4, part, slice_source, &s, 0);
            r_compare(&c, (size_t)k, &want, NULL, 0, 0, "Split");
            struct pi_tensor *in = c_in(&j, PI_F32, 4, part);
            memcpy(in->data, c.out[k].data, c_bytes(in));
            r_free(&want);
        }
        c_end(&c);
        r_verify(&h, &j, x, 0, 0, "Concat");
    }
    r_close(&h);
    h_finish();
}
END_TEST

START_TEST(test_split_even)
{
    static const struct { int opset; int64_t dim, parts, want[4]; } rows[] = {
        { 11, 6, 3, { 2, 2, 2 } }, { 13, 8, 4, { 2, 2, 2, 2 } }, { 18, 7, 3, { 3, 3, 1 } }, { 18, 6, 4, { 2, 2, 2, 0 } } };
    struct r_hosts h;
    r_open(&h);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        struct c_case c;
        c_begin(&c, h.ctx[0], "Split", rows[k].opset);
        c.node.nout = (size_t)rows[k].parts;
        if (rows[k].opset >= 18) c_int(&c, "num_outputs", rows[k].parts);
        c_in_random(&c, 2, (const int64_t[]){ rows[k].dim, 3 }, -1, 1);
        r_all_layouts(&h, &c, "Split");
        const char *at = c.in[0].data;
        for (int64_t p = 0; p < rows[k].parts; p++) {
            h_expect(c.out[p].dims[0] == rows[k].want[p], "part %d has %d rows", (int)p, (int)c.out[p].dims[0]);
            h_same_bytes("Split", at, c.out[p].data, c_bytes(&c.out[p]));
            at += c_bytes(&c.out[p]);
        }
        c_end(&c);
    }
    r_close(&h);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- Pad */

enum mode { CONSTANT, REFLECT, EDGE, WRAP };
struct pad { enum mode mode; int64_t before[4], dims[4]; };
static int pad_source(const void *arg, const int64_t *o, int64_t *in)
{
    const struct pad *p = arg;
    for (int d = 0; d < 4; d++) {
        const int64_t dim = p->dims[d];
        int64_t x = o[d] - p->before[d];
        if (x < 0 || x >= dim) {
            if (p->mode == CONSTANT) return 0;
            if (p->mode == EDGE) x = x < 0 ? 0 : dim - 1;
            if (p->mode == WRAP) x = (x + dim) % dim;
            if (p->mode == REFLECT) x = x < 0 ? -x : 2 * (dim - 1) - x;
        }
        in[d] = x;
    }
    return 1;
}

START_TEST(test_pad)
{
    static const char *const names[] = { "constant", "reflect", "edge", "wrap" };
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int k = 0; k < 24; k++) {
        struct pad p = { .mode = (enum mode)(k % 4) };
        int64_t pads[8], out[4];
        const int attributes = p.mode != WRAP && k % 3 == 0, crop = p.mode == CONSTANT && k % 2;
        for (int d = 0; d < 4; d++) {
            p.dims[d] = h_between(2, 6);
            p.before[d] = pads[d] = h_between(crop ? -1 : 0, (int)p.dims[d] - 1);
            pads[d + 4] = h_between(crop ? -1 : 0, (int)p.dims[d] - 1);
            out[d] = p.dims[d] + pads[d] + pads[d + 4];
        }
        struct c_case c;
        c_begin(&c, h.ctx[0], "Pad", attributes ? 10 : 19);
        c_string(&c, "mode", names[p.mode]);
        struct r_tensor x = r_of(c_in_random(&c, 4, p.dims, -1, 1));
        if (attributes) { c_ints(&c, "pads", pads, 8); c_float(&c, "value", 0.5f); }
        else { c_in_s64(&c, 8, pads); *(float *)c_in(&c, PI_F32, 0, NULL)->data = 0.5f; }
        r_verify(&h, &c, r_moved(&x, 4, out, pad_source, &p, 0.5), 0, 0, names[p.mode]);
        r_free(&x);
    }
    r_close(&h);
    h_finish();
}
END_TEST

/* Quantized: the border is the nearest step to the constant; axes are named; s64 takes its own constant. */
START_TEST(test_pad_forms)
{
    struct r_hosts h;
    struct c_case c;
    r_open(&h);
    c_begin(&c, h.ctx[0], "Pad", 18);
    struct pi_tensor *x = c_in(&c, PI_U8, C_DIMS(1, 2, 2, 2));
    x->quantized = 1;
    x->scale = 0.1f;
    x->zp = 7;
    memset(x->data, 200, 8);
    C_S64(&c, 1, 0);
    *(float *)c_in(&c, PI_F32, 0, NULL)->data = 0.5f;
    C_S64(&c, -1);
    c.out_quantized = 1;
    c.out_scale = 0.1f;
    c.out_zp = 7;
    r_all_layouts(&h, &c, "Pad u8");
    h_same_bytes("Pad u8", (const uint8_t[]){ 12, 200, 200, 12, 200, 200, 12, 200, 200, 12, 200, 200 }, c.out[0].data, 12);
    c_end(&c);

    c_begin(&c, h.ctx[0], "Pad", 13);
    C_S64(&c, 1, 2);
    C_S64(&c, 1, 2);
    *(int64_t *)c_in(&c, PI_S64, 0, NULL)->data = -3;
    r_all_layouts(&h, &c, "Pad s64");
    h_same("Pad s64", (const int64_t[]){ -3, 1, 2, -3, -3 }, c.out[0].data, PI_S64, 5);
    c_end(&c);
    r_close(&h);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- Gather and Expand */

struct gather { int axis, index_rank; const int64_t *index; int64_t dim; int64_t index_dims[2]; };
static int gather_source(const void *arg, const int64_t *o, int64_t *in)
{
    const struct gather *g = arg;
    int64_t at = 0;
    for (int d = 0; d < g->index_rank; d++) at = at * g->index_dims[d] + o[g->axis + d];
    for (int d = 0; d < g->axis; d++) in[d] = o[d];
    in[g->axis] = g->index[at] < 0 ? g->index[at] + g->dim : g->index[at];
    for (int d = g->axis + 1; d < 4; d++) in[d] = o[d + g->index_rank - 1];
    return 1;
}

START_TEST(test_gather)
{
    static const int64_t index[6] = { 0, 2, -1, 1, -3, 2 }, dims[4] = { 3, 4, 5, 6 };
    struct r_hosts h;
    h_reseed(0);
    r_open(&h);
    for (int axis = -4; axis < 4; axis++)
        for (int rank = 0; rank <= 2; rank++) {
            struct gather g = { axis < 0 ? axis + 4 : axis, rank, index, 0, { 3, 2 } };
            if (rank == 1) g.index_dims[0] = 6;
            g.dim = dims[g.axis];
            struct c_case c;
            c_begin(&c, h.ctx[0], "Gather", 13);
            c_int(&c, "axis", axis);
            struct r_tensor x = r_of(c_in_random(&c, 4, dims, -1, 1));
            struct pi_tensor *i = c_in(&c, PI_S64, rank, g.index_dims);
            memcpy(i->data, index, c_bytes(i));
            int64_t out[8];
            int n = 0;
            for (int d = 0; d < g.axis; d++) out[n++] = dims[d];
            for (int d = 0; d < rank; d++) out[n++] = g.index_dims[d];
            for (int d = g.axis + 1; d < 4; d++) out[n++] = dims[d];
            r_verify(&h, &c, r_moved(&x, n, out, gather_source, &g, 0), 0, 0, "Gather");
            r_free(&x);
        }
    r_close(&h);
    h_finish();
}
END_TEST

static double second(double a, double b) { (void)b; return a; }
START_TEST(test_expand)
{
    static const struct { size_t n; int64_t shape[4]; } rows[] = { { 3, { 2, 3, 4 } }, { 2, { 3, 1 } }, { 4, { 2, 5, 1, 4 } },
        { 1, { 1 } } };
    struct r_hosts h;
    h_reseed(0);
    r_open(&h);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        struct c_case c;
        c_begin(&c, h.ctx[0], "Expand", 13);
        struct r_tensor x = r_of(c_in_random(&c, C_DIMS(3, 1), -1, 1)), shape = r_new((int)rows[k].n, rows[k].shape);
        c_in_s64(&c, rows[k].n, rows[k].shape);
        r_verify(&h, &c, r_binary(second, &x, &shape), 0, 0, "Expand");
        r_free(&x);
        r_free(&shape);
    }
    r_close(&h);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- dims said anew */

START_TEST(test_reshape_family)
{
    static const struct { const char *op; int opset; int64_t arg[4]; size_t nargs; const char *attr; int rank; int64_t dims[5],
        want_rank, want[5]; } rows[] = {
        { "Reshape", 13, { 6, 20 }, 2, NULL, 4, { 2, 3, 4, 5 }, 2, { 6, 20 } },
        { "Reshape", 13, { 0, 0, -1 }, 3, NULL, 4, { 2, 3, 4, 5 }, 3, { 2, 3, 20 } },
        { "Reshape", 7, { -1, 5 }, 2, NULL, 4, { 2, 3, 4, 5 }, 2, { 24, 5 } },
        { "Flatten", 13, { 2 }, 0, "axis", 4, { 2, 3, 4, 5 }, 2, { 6, 20 } },
        { "Flatten", 13, { 0 }, 0, "axis", 4, { 2, 3, 4, 5 }, 2, { 1, 120 } },
        { "Flatten", 13, { 4 }, 0, "axis", 4, { 2, 3, 4, 5 }, 2, { 120, 1 } },
        { "Flatten", 11, { -1 }, 0, "axis", 4, { 2, 3, 4, 5 }, 2, { 24, 5 } },
        { "Squeeze", 13, { -2 }, 1, NULL, 4, { 1, 3, 1, 4 }, 3, { 1, 3, 4 } },
        { "Squeeze", 13, { 0 }, 0, NULL, 4, { 1, 3, 1, 4 }, 2, { 3, 4 } },
        { "Squeeze", 11, { 0, 2 }, 2, "axes", 4, { 1, 3, 1, 4 }, 2, { 3, 4 } },
        { "Unsqueeze", 13, { 0, -1 }, 2, NULL, 2, { 3, 4 }, 4, { 1, 3, 4, 1 } },
        { "Unsqueeze", 11, { 1, 3 }, 2, "axes", 2, { 3, 4 }, 4, { 3, 1, 4, 1 } },
        { "Identity", 13, { 0 }, 0, NULL, 4, { 2, 3, 4, 5 }, 4, { 2, 3, 4, 5 } },
        { "Dropout", 12, { 0 }, 0, NULL, 4, { 2, 3, 4, 5 }, 4, { 2, 3, 4, 5 } } };
    struct r_hosts h;
    h_reseed(0);
    r_open(&h);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        struct c_case c;
        c_begin(&c, h.ctx[0], rows[k].op, rows[k].opset);
        struct r_tensor x = r_of(c_in_random(&c, rows[k].rank, rows[k].dims, -1, 1));
        if (rows[k].attr && rows[k].nargs) c_ints(&c, rows[k].attr, rows[k].arg, rows[k].nargs);
        else if (rows[k].attr) c_int(&c, rows[k].attr, rows[k].arg[0]);
        else if (rows[k].nargs) c_in_s64(&c, rows[k].nargs, rows[k].arg);
        x.rank = (int)rows[k].want_rank;                    /* the same elements under other dims */
        memcpy(x.dims, rows[k].want, sizeof rows[k].want);
        r_verify(&h, &c, x, 0, 0, rows[k].op);
    }
    r_close(&h);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- shapes, constants, Cast */

static void expect_s64(struct r_hosts *h, struct c_case *c, const int64_t *want, size_t n, const char *what)
{
    r_all_layouts(h, c, what);
    h_expect(pi_elements(&c->out[0]) == (int64_t)n && c->out[0].type == PI_S64, "%s: %d elements", what,
             (int)pi_elements(&c->out[0]));
    h_same(what, want, c->out[0].data, PI_S64, n);
    c_end(c);
}

START_TEST(test_shape_operators)
{
    struct r_hosts h;
    struct c_case c;
    r_open(&h);
    c_begin(&c, h.ctx[0], "Shape", 13);
    c_in_random(&c, C_DIMS(3, 4, 5), 0, 1);
    expect_s64(&h, &c, (const int64_t[]){ 3, 4, 5 }, 3, "Shape");
    c_begin(&c, h.ctx[0], "Shape", 15);
    c_in_random(&c, C_DIMS(3, 4, 5), 0, 1);
    c_int(&c, "start", -2);
    c_int(&c, "end", 2);
    expect_s64(&h, &c, (const int64_t[]){ 4 }, 1, "Shape, a part");
    c_begin(&c, h.ctx[0], "Size", 13);
    c_in_random(&c, C_DIMS(3, 4, 5), 0, 1);
    expect_s64(&h, &c, (const int64_t[]){ 60 }, 1, "Size");
    c_begin(&c, h.ctx[0], "ConstantOfShape", 9);
    int64_t seven = 7;
    c_attr(&c, "value", PI_ATTR_TENSOR)->tensor = (struct pi_tensor){ .data = &seven, .type = PI_S64, .rank = 1, .dims = { 1 },
        .stride = { 1 } };
    C_S64(&c, 2, 2);
    expect_s64(&h, &c, (const int64_t[]){ 7, 7, 7, 7 }, 4, "ConstantOfShape");
    c_begin(&c, h.ctx[0], "Constant", 13);
    C_INTS(&c, "value_ints", 5, 6);
    expect_s64(&h, &c, (const int64_t[]){ 5, 6 }, 2, "Constant");
    r_close(&h);
    h_finish();
}
END_TEST

START_TEST(test_cast)
{
    static const float x[8] = { 0, 1.5f, -1.5f, 300, -129, NAN, 1e30f, -1e30f };
    static const int8_t s8[8] = { 0, 1, -1, 127, -128, 0, 127, -128 };
    static const uint8_t u8[8] = { 0, 1, 0, 255, 0, 0, 255, 0 }, boolean[8] = { 0, 1, 1, 1, 1, 1, 1, 1 };
    static const int64_t s64[8] = { 0, 1, -1, 300, -129, 0, INT64_MAX, INT64_MIN };
    static const int32_t s32[8] = { 0, 1, -1, 300, -129, 0, INT32_MAX, INT32_MIN };
    static const struct { int64_t onnx; enum pi_type type; const void *want; } rows[] = {
        { 3, PI_S8, s8 }, { 2, PI_U8, u8 }, { 7, PI_S64, s64 }, { 6, PI_S32, s32 }, { 9, PI_BOOL, boolean }, { 1, PI_F32, x } };
    struct r_hosts h;
    struct c_case c;
    r_open(&h);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        c_begin(&c, h.ctx[0], "Cast", 13);
        c_int(&c, "to", rows[k].onnx);
        memcpy(c_in(&c, PI_F32, C_DIMS(2, 2, 1, 2))->data, x, sizeof x);
        r_all_layouts(&h, &c, "Cast");
        h_expect(c.out[0].type == rows[k].type, "Cast to %d gives type %d", (int)rows[k].onnx, c.out[0].type);
        h_same_bytes("Cast", rows[k].want, c.out[0].data, 8 * pi_type_size(rows[k].type));
        c_end(&c);
    }
    /* An integer is rounded once on its way to f32. */
    c_begin(&c, h.ctx[0], "Cast", 13);
    c_int(&c, "to", 1);
    C_S64(&c, 16777217, -3, 9007199791611905);
    r_all_layouts(&h, &c, "Cast");
    h_same("Cast of s64", (const float[]){ 16777216, -3, 9007199791611905 }, c.out[0].data, PI_F32, 3);
    c_end(&c);
    r_close(&h);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("op_moving");
    h_add(s, "transpose", test_transpose, 1, 30);
    h_add(s, "slice", test_slice, 4, 30);
    h_add(s, "concat, split", test_concat_split, 4, 30);
    h_add(s, "split evenly", test_split_even, 1, 30);
    h_add(s, "pad", test_pad, 3, 30);
    h_add(s, "pad, forms", test_pad_forms, 1, 30);
    h_add(s, "gather", test_gather, 1, 30);
    h_add(s, "expand", test_expand, 1, 30);
    h_add(s, "reshape family", test_reshape_family, 1, 30);
    h_add(s, "shape operators", test_shape_operators, 1, 30);
    h_add(s, "cast", test_cast, 1, 30);
    return s;
}
