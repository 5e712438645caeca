/* Pooling, reductions, softmax, resizing against double. */
#include "op_reference.h"

static int64_t up(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

/* What ONNX and its users mean by the attributes, written again. */
static int window(struct r_window *w, int64_t in, const char *mode, int ceil_mode)
{
    const int64_t reach = (w->kernel - 1) * w->dilation + 1;
    if (!strncmp(mode, "SAME", 4)) {
        w->out = up(in, w->stride);
        int64_t pads = (w->out - 1) * w->stride + reach - in;
        if (pads < 0) pads = 0;
        w->before = mode[5] == 'U' ? pads / 2 : pads - pads / 2;
        w->after = pads - w->before;
    } else {
        if (!strcmp(mode, "VALID")) w->before = w->after = 0;
        const int64_t room = in + w->before + w->after - reach;
        if (room < 0) return 0;
        w->out = (ceil_mode ? up(room, w->stride) : room / w->stride) + 1;
        while (ceil_mode && (w->out - 1) * w->stride >= in + w->before) w->out--;
    }
    for (int64_t o = 0; o < w->out; o++) {                  /* a window in the padding alone has no value */
        int any = 0;
        for (int64_t t = 0; t < w->kernel; t++) {
            const int64_t p = o * w->stride - w->before + t * w->dilation;
            any |= p >= 0 && p < in;
        }
        if (!any) return 0;
    }
    return w->out > 0;
}

struct pool { int spatial, max, include_pad, ceil_mode; const char *mode; struct r_window w[3]; int64_t dims[5]; };

static int random_pool(struct pool *p, int k)
{
    static const char *const modes[] = { "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
    p->spatial = k % 5 == 0 ? h_between(1, 3) : 2;
    p->max = k % 2;
    p->include_pad = (int)h_below(2);
    p->mode = modes[h_below(5)];
    p->ceil_mode = (int)h_below(2);
    p->dims[0] = h_between(1, 2);
    p->dims[1] = h_between(1, 37);
    for (int d = 0; d < p->spatial; d++) {
        p->dims[d + 2] = h_between(2, 11);
        p->w[d] = (struct r_window){ .kernel = h_between(1, 4), .stride = h_between(1, 3), .dilation = h_below(4) ? 1 : 2 };
        const int most = (int)((p->w[d].kernel - 1) * p->w[d].dilation);
        if (!strcmp(p->mode, "NOTSET")) { p->w[d].before = h_between(0, most); p->w[d].after = h_between(0, most); }
        if (!window(&p->w[d], p->dims[d + 2], p->mode, p->ceil_mode)) return 0;
    }
    return 1;
}

/* Attributes live in v. */
static void set_pool(struct c_case *c, const struct pool *p, int64_t v[4][6])
{
    for (int d = 0; d < p->spatial; d++) {
        v[0][d] = p->w[d].kernel;
        v[1][d] = p->w[d].stride;
        v[2][d] = p->w[d].dilation;
        v[3][d] = p->w[d].before;
        v[3][d + p->spatial] = p->w[d].after;
    }
    c_ints(c, "kernel_shape", v[0], (size_t)p->spatial);
    c_ints(c, "strides", v[1], (size_t)p->spatial);
    c_ints(c, "dilations", v[2], (size_t)p->spatial);
    if (!strcmp(p->mode, "NOTSET")) c_ints(c, "pads", v[3], 2 * (size_t)p->spatial);
    c_string(c, "auto_pad", p->mode);
    c_int(c, "ceil_mode", p->ceil_mode);
    c_int(c, "count_include_pad", p->include_pad);
}

START_TEST(test_windows)
{
    struct r_hosts h;
    int done = 0;
    h_reseed(_i);
    r_open(&h);
    for (int k = 0; k < 80; k++) {
        struct pool p = { 0 };
        struct c_case c;
        int64_t v[4][6];
        if (!random_pool(&p, k)) continue;
        c_begin(&c, h.ctx[0], p.max ? "MaxPool" : "AveragePool", 19);
        struct r_tensor x = r_of(c_in_random(&c, p.spatial + 2, p.dims, -2, 2));
        set_pool(&c, &p, v);
        r_verify(&h, &c, r_pool(&x, p.w, p.max, p.include_pad), p.max ? 0 : 1e-6, p.max ? 0 : 1e-6, p.max ? "MaxPool"
                 : "AveragePool");
        r_free(&x);
        done++;
    }
    h_expect(done > 30, "only %d cases", done);
    r_close(&h);
    h_finish();
}
END_TEST

/* u8: the mean is within half a step; the maximum is exact. */
START_TEST(test_windows_u8)
{
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int k = 0; k < 40; k++) {
        struct pool p = { 0 };
        struct c_case c;
        int64_t v[4][6];
        if (!random_pool(&p, k)) continue;
        c_begin(&c, h.ctx[0], p.max ? "MaxPool" : "AveragePool", 19);
        struct pi_tensor *t = c_in(&c, PI_U8, p.spatial + 2, p.dims);
        t->quantized = c.out_quantized = 1;
        t->scale = 0.05f;
        t->zp = 90;
        c.out_scale = p.max ? 0.05f : 0.037f;
        c.out_zp = p.max ? 90 : 71;
        for (int64_t i = 0, n = pi_elements(t); i < n; i++) ((uint8_t *)t->data)[i] = (uint8_t)h_rnd();
        struct r_tensor x = r_of(t), y = r_pool(&x, p.w, p.max, p.include_pad);
        const double step = (double)c.out_scale;
        for (size_t i = 0; i < y.n; i++) y.v[i] = fmin(fmax(y.v[i], -c.out_zp * step), (255 - c.out_zp) * step);
        set_pool(&c, &p, v);
        r_verify(&h, &c, y, 0, p.max ? 1e-9 : 0.5001 * step, p.max ? "MaxPool u8" : "AveragePool u8");
        r_free(&x);
    }
    r_close(&h);
    h_finish();
}
END_TEST

/* All pixels: f32, quantized, and bf16 for the maximum. */
START_TEST(test_global)
{
    static const struct { int rank; int64_t dims[5]; } shapes[] = {
        { 4, { 2, 3, 5, 7 } }, { 4, { 1, 131, 7, 7 } }, { 3, { 2, 20, 9 } }, { 5, { 1, 5, 2, 3, 4 } }, { 4, { 3, 70, 28, 28 } } };
    struct r_hosts h;
    h_reseed(0);
    r_open(&h);
    for (int s = 0; s < 5; s++)
        for (int max = 0; max < 2; max++)
            for (int form = 0; form < 2 + max; form++) {
                struct c_case c;
                struct r_tensor abs;
                c_begin(&c, h.ctx[0], max ? "GlobalMaxPool" : "GlobalAveragePool", 13);
                struct pi_tensor *t = c_in(&c, form == 0 ? PI_F32 : form == 1 ? PI_U8 : PI_BF16, shapes[s].rank, shapes[s].dims);
                for (int64_t i = 0, n = pi_elements(t); i < n; i++) {
                    if (form == 0) ((float *)t->data)[i] = h_unit();
                    else if (form == 1) ((uint8_t *)t->data)[i] = (uint8_t)h_rnd();
                    else ((uint16_t *)t->data)[i] = pi_f32_to_bf16(h_unit());
                }
                if (form == 1) {
                    t->quantized = c.out_quantized = 1;
                    t->scale = 0.05f;
                    t->zp = 90;
                    c.out_scale = max ? 0.05f : 0.02f;
                    c.out_zp = 90;
                }
                struct r_tensor x = r_of(t), y = r_reduce(&x, (1u << x.rank) - 4, max ? R_MAX : R_MEAN, &abs);
                r_all_layouts(&h, &c, "global pooling");
                for (size_t i = 0; form == 1 && i < y.n; i++)
                    y.v[i] = fmin(fmax(y.v[i], -90 * (double)c.out_scale), 165 * (double)c.out_scale);
                r_compare(&c, 0, &y, &abs, max ? 0 : form ? 1e-6 : 2e-5, form == 1 ? max ? 1e-9 : 0.5001 * (double)c.out_scale
                          : 0, "global pooling");
                r_free(&x);
                r_free(&y);
                r_free(&abs);
                c_end(&c);
            }
    r_close(&h);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- reductions */

static const struct { const char *op; enum r_kind kind; int last_attr; } reductions[] = {
    { "ReduceMean", R_MEAN, 17 }, { "ReduceSum", R_SUM, 12 }, { "ReduceMax", R_MAX, 17 }, { "ReduceMin", R_MIN, 17 } };

static void reduce_case(struct r_hosts *h, int rank, const int64_t *dims, unsigned mask, int which, int keep, int as_input)
{
    struct c_case c;
    struct r_tensor abs;
    int64_t axes[8];
    size_t n = 0;
    for (int d = 0; d < rank; d++) if (mask >> d & 1) axes[n++] = h_below(2) ? d : d - rank;
    c_begin(&c, h->ctx[0], reductions[which].op, as_input ? reductions[which].last_attr + 1 : reductions[which].last_attr);
    struct r_tensor x = r_of(c_in_random(&c, rank, dims, -2, 2)), y = r_reduce(&x, mask, reductions[which].kind, &abs);
    if (as_input) c_in_s64(&c, n, axes); else c_ints(&c, "axes", axes, n);
    c_int(&c, "keepdims", keep);
    r_all_layouts(h, &c, reductions[which].op);
    if (!keep) {
        int rest = 0;
        for (int d = 0; d < rank; d++) if (!(mask >> d & 1)) y.dims[rest++] = dims[d];
        y.rank = rest;
    }
    r_compare(&c, 0, &y, &abs, which < 2 ? 1e-5 : 0, 0, reductions[which].op);
    r_free(&x);
    r_free(&y);
    r_free(&abs);
    c_end(&c);
}

START_TEST(test_reductions)
{
    static const struct { int rank; int64_t dims[5]; } shapes[] = { { 4, { 2, 33, 5, 7 } }, { 2, { 3, 100 } },
        { 3, { 2, 19, 6 } }, { 5, { 2, 3, 2, 3, 4 } } };
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int s = 0; s < 4; s++)
        for (unsigned mask = 1; mask < 1u << shapes[s].rank; mask++)
            reduce_case(&h, shapes[s].rank, shapes[s].dims, mask, _i, (int)h_below(2), (int)h_below(2));
    r_close(&h);
    h_finish();
}
END_TEST

/* The law's own bits: 16 lanes in ONNX order and a tree, one chain over the spatial axes; no layout changes them. */
START_TEST(test_reduction_order)
{
    static const int64_t axes[2][2] = { { 1, 3 }, { 2, 3 } };
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int chain = 0; chain < 2; chain++) {
        struct c_case c;
        c_begin(&c, h.ctx[0], "ReduceSum", 12);
        const struct pi_tensor *t = c_in_random(&c, C_DIMS(2, 21, 5, 9), -2, 2);
        c_ints(&c, "axes", axes[chain], 2);
        c_int(&c, "keepdims", 0);
        float want[42];
        const float *x = t->data;
        for (int i = 0; i < (chain ? 42 : 10); i++) {
            float lane[16] = { 0 };
            if (chain) {
                want[i] = x[i * 45];
                for (int k = 1; k < 45; k++) want[i] += x[i * 45 + k];
                continue;
            }
            for (int k = 0; k < 21 * 9; k++) lane[k % 16] += x[(i / 5 * 21 + k / 9) * 45 + i % 5 * 9 + k % 9];
            for (int half = 8; half; half /= 2) for (int l = 0; l < half; l++) lane[l] += lane[l + half];
            want[i] = lane[0];
        }
        r_all_layouts(&h, &c, "order");
        h_same(chain ? "chain" : "lanes", want, c.out[0].data, PI_F32, chain ? 42 : 10);
        c_end(&c);
    }
    r_close(&h);
    h_finish();
}
END_TEST

START_TEST(test_integer_reductions)
{
    static const int64_t x[6] = { 3, -1, 7, 2, 5, -9 }, want[4][2] = { { 3, 0 }, { 9, -2 }, { 7, 5 }, { -1, -9 } };
    struct r_hosts h;
    r_open(&h);
    for (int k = 1; k < 4; k++) {
        struct c_case c;
        c_begin(&c, h.ctx[0], reductions[k].op, 18);
        memcpy(c_in(&c, PI_S64, C_DIMS(2, 3))->data, x, sizeof x);
        C_S64(&c, 1);
        r_all_layouts(&h, &c, "integers");
        h_same("integers", want[k], c.out[0].data, PI_S64, 2);
        c_end(&c);
    }
    r_close(&h);
    h_finish();
}
END_TEST

START_TEST(test_softmax)
{
    static const struct { int rank; int64_t dims[4]; } shapes[] = { { 4, { 2, 19, 5, 7 } }, { 2, { 3, 100 } },
        { 3, { 2, 9, 4 } }, { 1, { 5 } } };
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int s = 0; s < 4; s++)
        for (int axis = -shapes[s].rank; axis < shapes[s].rank; axis++)
            for (int flat = 0; flat < 2; flat++) {
                struct c_case c;
                const int d = axis < 0 ? axis + shapes[s].rank : axis;
                c_begin(&c, h.ctx[0], _i ? "LogSoftmax" : "Softmax", flat ? 11 : 13);
                c_int(&c, "axis", axis);
                struct r_tensor x = r_of(c_in_random(&c, shapes[s].rank, shapes[s].dims, -8, 8));
                const unsigned all = (1u << shapes[s].rank) - 1;
                r_verify(&h, &c, r_softmax(&x, flat ? all & ~((1u << d) - 1) : 1u << d, _i), 3e-6, _i ? 3e-6 : 0, _i
                         ? "LogSoftmax" : "Softmax");
                r_free(&x);
            }
    r_close(&h);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- Resize */

static double half_pixel(double o, double scale, double in, double out) { (void)in; (void)out; return (o + 0.5) / scale - 0.5; }
static double pytorch_half_pixel(double o, double scale, double in, double out)
{
    (void)in;
    return out > 1 ? (o + 0.5) / scale - 0.5 : 0;
}
static double align_corners(double o, double scale, double in, double out)
{
    (void)scale;
    return out > 1 ? o * (in - 1) / (out - 1) : 0;
}
static double asymmetric(double o, double scale, double in, double out) { (void)in; (void)out; return o / scale; }
static double symmetric(double o, double scale, double in, double out)
{
    const double adjustment = out / (scale * in);
    return in / 2 * (1 - adjustment) + (o + 0.5) / scale - 0.5;
}
static const struct { const char *name; r_coordinate *at; int opset; } coordinates[] = {
    { "half_pixel", half_pixel, 11 }, { "pytorch_half_pixel", pytorch_half_pixel, 11 }, { "align_corners", align_corners, 11 },
    { "asymmetric", asymmetric, 11 }, { "half_pixel_symmetric", symmetric, 19 } };

static double prefer_floor(double x) { return ceil(x - 0.5); }
static double prefer_ceil(double x) { return floor(x + 0.5); }
static const struct { const char *name; double (*f)(double); } roundings[] = {
    { "round_prefer_floor", prefer_floor }, { "round_prefer_ceil", prefer_ceil }, { "floor", floor }, { "ceil", ceil } };

struct nearest { int rank; int64_t in[5], out[5]; double scale[5]; r_coordinate *at; double (*round)(double); };
static int nearest_source(const void *arg, const int64_t *o, int64_t *i)
{
    const struct nearest *n = arg;
    for (int d = 0; d < n->rank; d++) {
        double x = n->scale[d] == 1 ? (double)o[d] : n->at((double)o[d], n->scale[d], (double)n->in[d], (double)n->out[d]);
        x = n->round(rint(x * 65536) / 65536);              /* a coordinate that is whole but for its last bits */
        i[d] = (int64_t)fmin(fmax(x, 0), (double)(n->in[d] - 1));
    }
    return 1;
}

/* One random problem: by scales, or by sizes. */
static void resize_case(struct r_hosts *h, int k, int linear)
{
    static const float scales[] = { 2, 0.5f, 1.5f, 3, 0.75f, 1, 2.5f };
    const int which = k % 5, spatial = k % 7 == 0 ? h_between(1, 3) : 2, by_size = (int)h_below(2), round = (int)h_below(4);
    struct nearest n = { .rank = spatial + 2, .at = coordinates[which].at, .round = roundings[round].f };
    float scale[5] = { 1, 1 };
    int64_t sizes[5];
    for (int d = 0; d < n.rank; d++) {
        n.in[d] = d == 0 ? h_between(1, 2) : d == 1 ? h_between(1, 20) : h_between(2, 8);
        if (d >= 2) scale[d] = scales[h_below(7)];
        n.out[d] = sizes[d] = d >= 2 && by_size ? h_between(1, 12) : (int64_t)((float)n.in[d] * scale[d]);
        n.scale[d] = by_size ? (double)n.out[d] / (double)n.in[d] : (double)scale[d];
    }
    struct c_case c;
    c_begin(&c, h->ctx[0], "Resize", coordinates[which].opset > 11 ? 19 : (int[]){ 11, 13, 18, 19 }[h_below(4)]);
    c_string(&c, "coordinate_transformation_mode", coordinates[which].name);
    c_string(&c, "mode", linear ? "linear" : "nearest");
    c_string(&c, "nearest_mode", roundings[round].name);
    struct r_tensor x = r_of(c_in_random(&c, n.rank, n.in, -2, 2));
    c_absent(&c);
    if (by_size) { c_absent(&c); c_in_s64(&c, (size_t)n.rank, sizes); }
    else memcpy(c_in(&c, PI_F32, C_DIMS(n.rank))->data, scale, (size_t)n.rank * sizeof(float));
    if (linear) r_verify(h, &c, r_linear(&x, n.out, n.scale, n.at), 0, 4e-6, coordinates[which].name);
    else r_verify(h, &c, r_moved(&x, n.rank, n.out, nearest_source, &n, 0), 0, 0, coordinates[which].name);
    r_free(&x);
}

START_TEST(test_resize)
{
    struct r_hosts h;
    h_reseed(_i);
    r_open(&h);
    for (int k = 0; k < 100; k++) resize_case(&h, k, _i % 2);
    r_close(&h);
    h_finish();
}
END_TEST

/* u8: nearest at one scale is a copy, linear is within half a step. */
START_TEST(test_resize_u8)
{
    struct r_hosts h;
    h_reseed(0);
    r_open(&h);
    for (int k = 0; k < 4; k++) {
        const int linear = k & 1, same = k & 2;
        struct nearest n = { .rank = 4, .in = { 1, 11, 5, 6 }, .out = { 1, 11, 10, 12 }, .scale = { 1, 1, 2, 2 },
            .at = half_pixel, .round = prefer_floor };
        struct c_case c;
        c_begin(&c, h.ctx[0], "Resize", 13);
        c_string(&c, "mode", linear ? "linear" : "nearest");
        struct pi_tensor *t = c_in(&c, PI_U8, 4, n.in);
        t->quantized = c.out_quantized = 1;
        t->scale = 0.05f;
        t->zp = 90;
        c.out_scale = same ? 0.05f : 0.06f;
        c.out_zp = same ? 90 : 100;
        for (int64_t i = 0, e = pi_elements(t); i < e; i++) ((uint8_t *)t->data)[i] = (uint8_t)h_rnd();
        c_absent(&c);
        memcpy(c_in(&c, PI_F32, C_DIMS(4))->data, (const float[]){ 1, 1, 2, 2 }, 16);
        struct r_tensor x = r_of(t), y = linear ? r_linear(&x, n.out, n.scale, n.at) : r_moved(&x, 4, n.out, nearest_source, &n,
            0);
        r_verify(&h, &c, y, 0, same && !linear ? 1e-9 : 0.5001 * (double)c.out_scale, "Resize u8");
        r_free(&x);
    }
    r_close(&h);
    h_finish();
}
END_TEST

/* The older operators, and the forms of 18. */
START_TEST(test_resize_variants)
{
    static const int64_t axes[2] = { 2, -1 };
    static const struct { const char *op; int opset,
        rank; float scale[4]; int64_t out[4]; int linear; const char *policy; int64_t sizes[2]; } rows[] = {
        { "Upsample", 7, 4, { 1, 1, 2, 3 }, { 2, 3, 8, 15 }, 0, NULL, { 0 } }, { "Upsample", 9, 4, { 1, 1, 2, 2 },
            { 2, 3, 8, 10 }, 0, NULL, { 0 } },
        { "Upsample", 9, 4, { 1, 1, 2, 2 }, { 2, 3, 8, 10 }, 1, NULL, { 0 } }, { "Resize", 10, 4, { 1, 1, 2, 2 },
            { 2, 3, 8, 10 }, 0, NULL, { 0 } },
        { "Resize", 10, 4, { 1, 1, 1.5f, 2 }, { 2, 3, 6, 10 }, 1, NULL, { 0 } },
        { "Resize", 18, 4, { 1, 1, 2, 2 }, { 2, 3, 8, 10 }, 1, "not_larger", { 8, 100 } },
        { "Resize", 18, 4, { 1, 1, 2, 2 }, { 2, 3, 8, 10 }, 0, "not_smaller", { 8, 3 } } };
    struct r_hosts h;
    h_reseed(0);
    r_open(&h);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        struct nearest n = { .rank = 4, .in = { 2, 3, 4, 5 }, .at = rows[k].policy ? half_pixel : asymmetric,
            .round = rows[k].policy ? prefer_floor : floor };
        struct c_case c;
        c_begin(&c, h.ctx[0], rows[k].op, rows[k].opset);
        c_string(&c, "mode", rows[k].linear ? "linear" : "nearest");
        struct r_tensor x = r_of(c_in_random(&c, 4, n.in, -2, 2));
        for (int d = 0; d < 4; d++) { n.out[d] = rows[k].out[d]; n.scale[d] = (double)rows[k].scale[d]; }
        if (rows[k].policy) {
            c_ints(&c, "axes", axes, 2);
            c_string(&c, "keep_aspect_ratio_policy", rows[k].policy);
            c_absent(&c);
            c_absent(&c);
            c_in_s64(&c, 2, rows[k].sizes);
        }
        else if (rows[k].opset == 7) c_floats(&c, "scales", rows[k].scale, 4);
        else memcpy(c_in(&c, PI_F32, C_DIMS(4))->data, rows[k].scale, sizeof rows[k].scale);
        if (rows[k].linear) r_verify(&h, &c, r_linear(&x, n.out, n.scale, n.at), 0, 4e-6, rows[k].op);
        else r_verify(&h, &c, r_moved(&x, 4, n.out, nearest_source, &n, 0), 0, 0, rows[k].op);
        r_free(&x);
    }
    r_close(&h);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("op_pool");
    h_add(s, "windows", test_windows, 4, 30);
    h_add(s, "windows of u8", test_windows_u8, 2, 30);
    h_add(s, "global", test_global, 1, 30);
    h_add(s, "reductions", test_reductions, 4, 30);
    h_add(s, "reduction order", test_reduction_order, 2, 30);
    h_add(s, "integer reductions", test_integer_reductions, 1, 30);
    h_add(s, "softmax", test_softmax, 2, 30);
    h_add(s, "resize", test_resize, 6, 30);
    h_add(s, "resize of u8", test_resize_u8, 1, 30);
    h_add(s, "resize variants", test_resize_variants, 1, 30);
    return s;
}
