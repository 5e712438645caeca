/* The diff: every figure beside a straight computation in double; own beside inherited error. */
#include "../lib/verify/layer_error.h"
#include "diffs.h"

/* ------------------------------------------------------------------------------------------------ figures */

static void save(precinfer_context *ctx, const char *folder, const char *name, const float *x, int64_t n, int64_t each)
{
    struct precinfer_error err = { 0 };
    char path[300];
    const struct precinfer_tensor t = { .data = (void *)(uintptr_t)x, .dtype = PRECINFER_F32, .rank = each ? 2 : 1,
                                        .dims = { n, each } };
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    H_OK(precinfer_npy_save(ctx, path, &t, &err));
}

/* Of the bits of a float: sign, exponent, two bits. */
static double distance(const float *a, const float *b, const int *use, size_t n)
{
    static double p[4096], q[4096];
    double sum = 0, count = 0;
    memset(p, 0, sizeof p);
    memset(q, 0, sizeof q);
    for (size_t i = 0; i < n; i++) {
        if (!use[i]) continue;
        const float x = a[i] == 0 ? 0 : a[i], y = b[i] == 0 ? 0 : b[i];
        p[h_bits(x) >> 21]++;
        q[h_bits(y) >> 21]++;
        count++;
    }
    for (int i = 0; i < 4096; i++) {
        const double x = p[i] / count, y = q[i] / count, m = (x + y) / 2;
        if (x > 0) sum += x * log2(x / m) / 2;
        if (y > 0) sum += y * log2(y / m) / 2;
    }
    return sqrt(sum);
}

START_TEST(figures)
{
    enum { N = 70, EACH = 9, ALL = N * EACH };
    struct h_host host = { .threads = 1 };
    precinfer_context *ctx = h_context(&host, NULL);
    static float a[ALL], b[ALL], whole[N + 1];
    int use[ALL];
    h_reseed(1);
    const char *one = path_of("one"), *two = path_of("two");
    ck_assert(!mkdir(one, 0700) && !mkdir(two, 0700));
    for (int i = 0; i < ALL; i++) {
        a[i] = h_unit() * (h_below(10) ? 1 : 1e-5f) * (h_below(30) ? 1 : 1e6f) * (h_below(30) ? 1 : 1e-4f);
        b[i] = a[i] + 0.01f * h_unit();
    }
    a[3] = b[4] = 0; a[4] = -0.0f; a[5] = b[5] = b[7] = NAN; a[6] = INFINITY; b[8] = a[9] = b[9] = -INFINITY;
    save(ctx, one, "layer%2Fone", b, N, EACH);
    save(ctx, two, "layer_one", a, N, EACH);
    save(ctx, one, "bias", whole, N + 1, 0);            /* no sample a row: listed, compared with nothing */
    save(ctx, two, "other", a, N, EACH);
    precinfer_diff *d = diff(ctx, recorded(one), recorded(two), NULL, NULL, NULL);
    struct precinfer_diff_info info;
    precinfer_diff_info(d, &info);
    h_expect(info.layers == 2 && info.compared == 1 && info.samples == N && !info.ordered && !info.has_own &&
             info.first_different == -1,
             "%zu layers, %zu compared, %zu samples", info.layers, info.compared, info.samples);
    const struct precinfer_layer_diff l = layer_of(d, "layer/one", 0);
    double signal = 0, noise = 0, cross = 0, power = 0, sum = 0, max = 0, rel = 0, count = 0, over = 0, b14 = 0, b24 = 0;
    size_t differ = 0;
    for (int i = 0; i < ALL; i++) {
        const double x = a[i], y = b[i], m = fabs(x);
        over += m > 65504; b14 += m > 0 && m < ldexp(1, -14); b24 += m > 0 && m < ldexp(1, -24);
        differ += h_bits(a[i]) != h_bits(b[i]) && !(isnan(a[i]) && isnan(b[i]));
        use[i] = isfinite(x) && isfinite(y);
        if (!use[i]) continue;
        count++;
        signal += x * x; noise += (x - y) * (x - y); cross += x * y; power += y * y; sum += fabs(x - y);
        if (fabs(x - y) > max) max = fabs(x - y);
        if (m > 0 && fabs(x - y) / m > rel) rel = fabs(x - y) / m;
    }
    h_expect(l.elements == ALL, "%llu elements", (unsigned long long)l.elements);
    h_expect(near(l.sqnr_db, 10 * log10(signal / noise), 1e-12), "SQNR %g", l.sqnr_db);
    h_expect(near(l.cosine, cross / sqrt(signal * power), 1e-12), "cosine %g", l.cosine);
    h_expect(l.max_abs == max && near(l.mean_abs, sum / count, 1e-12) && near(l.max_relative, rel, 1e-12), "errors");
    h_expect(near(l.overflow_f16, over / ALL, 1e-14) && near(l.below_normal_f16, b14 / ALL, 1e-14) &&
             near(l.below_f16, b24 / ALL, 1e-14), "f16");
    h_expect(over > 1 && b14 > 1 && b24 > 0, "the fill has none of these");
    h_expect(l.nan_reference == 1 && l.inf_reference == 2 && l.nan_candidate == 2 && l.inf_candidate == 2, "%d %d %d %d",
             (int)l.nan_reference, (int)l.inf_reference, (int)l.nan_candidate, (int)l.inf_candidate);
    h_expect(near(l.js_distance, distance(a, b, use, ALL), 1e-9) && l.js_distance > 0, "JS %g, %g", l.js_distance,
             distance(a, b, use, ALL));
    h_expect(l.bytes == 0 && l.bytes_differ == differ, "%d differ", (int)l.bytes_differ);
    h_expect(isnan(l.step) && isnan(l.max_steps) && isnan(l.saturated_low) && isnan(l.own_sqnr_db) && isnan(l.excess_db),
             "measured what is not there");
    precinfer_diff_free(d);
    d = diff(ctx, recorded(two), recorded(two), NULL, NULL, NULL);
    const struct precinfer_layer_diff same = layer_of(d, "other", 0);
    h_expect(same.bytes == 1 && same.sqnr_db == INFINITY && same.max_abs == 0 && same.js_distance == 0,
             "the same is not the same");
    precinfer_diff_free(d);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
}
END_TEST

/* The same codes with another scale are other bytes: a plan means them otherwise. */
START_TEST(codes)
{
    uint8_t q[] = { 0, 1, 7, 255 }, other[] = { 0, 1, 7, 254 };
    struct pi_tensor a = { .data = q, .type = PI_U8, .quantized = 1, .rank = 1, .dims = { 4 }, .stride = { 1 }, .scale = 0.5f,
                           .zp = 1 };
    struct pi_tensor b[4] = { a, a, a, a };
    b[1].scale = 0.25f;
    b[2].zp = 2;
    b[3].data = other;
    for (int i = 0; i < 4; i++) {
        struct pi_layer_sums s = { 0 };
        pi_error_bytes(&s, (struct pi_span){ &a, 0 }, (struct pi_span){ &b[i], 0 }, 4);
        h_expect(s.bytes == 4 && s.differ == (i == 0 ? 0 : i == 3 ? 1 : 4), "%d: %d differ", i, (int)s.differ);
        pi_error_add(&s, (struct pi_span){ &a, 0 }, (struct pi_span){ &b[i], 0 }, 4);
        h_expect(s.low == 1 && s.high == (i < 3) && s.quantized == 4 && s.max_abs == (i == 0 ? 0 : i == 1 ? 63.5 : 0.5),
                 "%d: %g", i,
                 s.max_abs);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------------------ own and inherited */

static double coded(double x, double scale, int zp)
{
    double q = nearbyint((double)((float)x / (float)scale)) + zp;
    q = q < 0 ? 0 : q > 255 ? 255 : q;
    return (double)((float)(q - zp) * (float)scale);
}
static void weights_of(const float *w, int rows, int cols, double *q)
{
    for (int j = 0; j < rows; j++) {
        float most = 0;
        for (int i = 0; i < cols; i++) if (fabsf(w[j * cols + i]) > most) most = fabsf(w[j * cols + i]);
        const double s = (double)(float)((double)most / 127);
        for (int i = 0; i < cols; i++) q[j * cols + i] = nearbyint((double)w[j * cols + i] / s) * s;
    }
}

/* The whole in double: what each of the three layers adds by itself, and what it inherits. */
struct expected { double own[3], inherited[3], total[3]; };
static void expect(const struct net *n, const struct precinfer_qparams *px, const struct precinfer_qparams *pr,
                   struct expected *e)
{
    static double wq[MID * IN], vq[OUT * MID];
    double noise[3][3] = { { 0 } }, signal[3][3] = { { 0 } };
    weights_of(n->w, MID, IN, wq);
    weights_of(n->v, OUT, MID, vq);
#define ADD(kind, layer, ref, got) (noise[kind][layer] += ((ref) - (got)) * ((ref) - (got)), signal[kind][layer] += (ref) * (ref))
    for (int s = 0; s < SAMPLES; s++) {
        double x[IN], xq[IN], r[MID], rq[MID], cand[MID];
        for (int i = 0; i < IN; i++) {
            x[i] = (double)n->x[s * IN + i];
            xq[i] = coded(x[i], (double)px->scale, px->zero_point);
            for (int k = 0; k < 3; k += 2) ADD(k, 0, x[i], xq[i]);
            ADD(1, 0, x[i], x[i]);
        }
        for (int j = 0; j < MID; j++) {
            double h = 0, hq = 0, lowered_h = 0;
            for (int i = 0; i < IN; i++) {
                h += (double)n->w[j * IN + i] * x[i];
                hq += (double)n->w[j * IN + i] * xq[i];
                lowered_h += wq[j * IN + i] * xq[i];
            }
            r[j] = fmax(h, 0);
            rq[j] = coded(r[j], (double)pr->scale, pr->zero_point);
            cand[j] = coded(fmax(lowered_h, 0), (double)pr->scale, pr->zero_point);
            ADD(0, 1, fmax(hq, 0), cand[j]);
            ADD(1, 1, r[j], fmax(hq, 0));
            ADD(2, 1, r[j], cand[j]);
        }
        for (int j = 0; j < OUT; j++) {
            double y = 0, own_ref = 0, own = 0, brought = 0, all = 0;
            for (int i = 0; i < MID; i++) {
                y += (double)n->v[j * MID + i] * r[i];
                own_ref += (double)n->v[j * MID + i] * rq[i];
                own += vq[j * MID + i] * rq[i];
                brought += (double)n->v[j * MID + i] * cand[i];
                all += vq[j * MID + i] * cand[i];
            }
            ADD(0, 2, own_ref, own);
            ADD(1, 2, y, brought);
            ADD(2, 2, y, all);
        }
    }
#undef ADD
    for (int i = 0; i < 3; i++) {
        e->own[i] = 10 * log10(signal[0][i] / noise[0][i]);
        e->inherited[i] = noise[1][i] > 0 ? 10 * log10(signal[1][i] / noise[1][i]) : INFINITY;
        e->total[i] = 10 * log10(signal[2][i] / noise[2][i]);
    }
}

static struct precinfer_qparams params_of(const precinfer_plan *p, const char *name)
{
    struct precinfer_recipe_value v = { 0 };
    for (size_t i = 0; !precinfer_recipe_value(precinfer_plan_recipe(p), i, &v); i++) if (!strcmp(v.name, name)) return v.params;
    ck_assert_msg(0, "no value %s", name);
    return v.params;
}

/* _i 1: the scale of r is 20 times what it should be; that is charged to `first`, which writes it, not to `second`. */
START_TEST(own)
{
    struct h_host host = { .threads = 1 };
    precinfer_context *ctx = h_context(&host, NULL);
    struct net n;
    struct expected e;
    struct precinfer_error err = { 0 };
    precinfer_stats *stats = NULL;
    h_reseed(2);
    two_layers(&n, ctx);
    H_OK(precinfer_calibrate(n.g, next, &n, NULL, &stats, &err));
    precinfer_plan *p = lowered(&n, _i ? 20 : 0);
    const struct precinfer_qparams px = params_of(p, "x"), pr = params_of(p, "r");
    expect(&n, &px, &pr, &e);
    const struct precinfer_diff_options o = { .size = sizeof o, .stats = stats };
    precinfer_diff *d = diff(ctx, of_plan(p), of_graph(n.g), next, &n, &o);
    const struct precinfer_layer_diff l[3] = { layer_of(d, "x", 1), layer_of(d, "r", 1), layer_of(d, "y", 0) };
    for (int i = 0; i < 3; i++) {
        h_expect(near(l[i].own_sqnr_db, e.own[i], 2e-3), "layer %d: own %g, should be %g", i, l[i].own_sqnr_db, e.own[i]);
        h_expect(near(l[i].inherited_sqnr_db, e.inherited[i], 1e-4) || l[i].inherited_sqnr_db > 130,
                 "layer %d: inherited %g, should be %g", i,
                 l[i].inherited_sqnr_db, e.inherited[i]);
        h_expect(near(l[i].sqnr_db, e.total[i], 2e-3), "layer %d: total %g, should be %g", i, l[i].sqnr_db, e.total[i]);
        h_expect(_i && i == 1 ? l[i].excess_db > 15 : fabs(l[i].excess_db) < (_i ? 0.5 : 1e-9), "layer %d: excess %g", i,
                 l[i].excess_db);
        h_expect(!*l[i].group, "a group: %s", l[i].group);
    }
    struct precinfer_layer_diff worst;
    precinfer_diff_layer(d, precinfer_diff_rank(d, 0), &worst);
    if (_i) h_expect(!strcmp(worst.layer, "first") && !strcmp(worst.fused, "relu"), "blamed: %s", worst.layer);
    h_expect(l[0].conversion && !strcmp(l[0].op, "Quantize") && l[1].has_weights && l[1].precision == PRECINFER_PRECISION_INT8,
             "about");
    h_expect(near(l[1].mean_steps * l[1].step, l[1].mean_abs, 1e-12) && l[1].saturated_low > 0.2, "steps and saturation");
    h_expect(precinfer_diff_rank(d, 3) == SIZE_MAX, "a fourth of three");
    precinfer_diff_free(d);
    /* Beside the healthy plan: x is the same, r is the first that differs, y differs too. */
    precinfer_plan *healthy = lowered(&n, 0);
    struct precinfer_diff_info info;
    d = diff(ctx, of_plan(p), of_plan(healthy), next, &n, NULL);
    precinfer_diff_info(d, &info);
    h_expect(info.with_bytes == 3 && info.first_different == (_i ? 1 : -1), "the first that differs is %d",
             (int)info.first_different);
    h_expect(layer_of(d, "x", 1).bytes == 1 && layer_of(d, "r", 1).bytes == !_i && layer_of(d, "y", 0).bytes == !_i, "bytes");
    precinfer_diff_free(d);
    precinfer_plan_free(healthy);
    precinfer_plan_free(p);
    precinfer_stats_free(stats);
    precinfer_graph_free(n.g);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
}
END_TEST

/* The candidate's middle value has no counterpart: both steps are charged together. */
START_TEST(groups)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g[2] = { NULL, NULL };
    struct net n;
    h_reseed(3);
    two_layers(&n, ctx);
    for (int k = 0; k < 2; k++) {
        const struct precinfer_io in = { .name = "x", .dtype = PRECINFER_F32, .rank = 2, .dims = { -1, IN } };
        const struct precinfer_tensor w = { .data = n.w, .dtype = PRECINFER_F32, .rank = 2, .dims = { MID, IN } };
        const struct precinfer_attribute t = { .name = "transB", .type = 'i', .i = 1 };
        const char *mid = k ? "elsewhere" : "mid";
        H_OK(precinfer_graph_new(ctx, &g[k], &err));
        H_OK(precinfer_graph_input(g[k], &in, &err));
        H_OK(precinfer_graph_constant(g[k], "w", &w, &err));
        H_OK(precinfer_graph_node(g[k], "Gemm", k ? "a" : "mm", (const char *[]){ "x", "w" }, 2, &mid, 1, &t, 1, &err));
        H_OK(precinfer_graph_node(g[k], "Tanh", k ? "b" : "th", &mid, 1, (const char *[]){ "y" }, 1, NULL, 0, &err));
        H_OK(precinfer_graph_output(g[k], "y", &err));
        H_OK(precinfer_graph_finish(g[k], &err));
    }
    n.at = 0;
    precinfer_diff *d = diff(ctx, of_graph(g[0]), of_graph(g[1]), next, &n, NULL);
    const struct precinfer_layer_diff l = layer_of(d, "y", 0), m = layer_of(d, "mid", 0);
    h_expect(!strcmp(l.group, "mm, th") && l.own_sqnr_db == INFINITY && l.bytes == 1, "group '%s', own %g", l.group,
             l.own_sqnr_db);
    h_expect(m.elements == 0 && isnan(m.own_sqnr_db) && m.bytes == -1, "mid was compared with something");
    precinfer_diff_free(d);
    precinfer_graph_free(g[0]);
    precinfer_graph_free(g[1]);
    precinfer_graph_free(n.g);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ a real network */

/* Residuals, depthwise, channels last: an f32 plan against its model is exact in every way; int8 is compared with values of
 * sessions; another batch gives the same figures. */
START_TEST(network)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *f32 = h_digits_plan(ctx, g, PRECINFER_PRECISION_F32), *int8 = h_digits_plan(ctx, g, PRECINFER_PRECISION_INT8);
    precinfer_data *data = digits(ctx, g, 24, 8);
    precinfer_diff *d = diff(ctx, of_plan(f32), of_graph(g), precinfer_data_next, data, NULL), *again;
    struct precinfer_diff_info info;
    struct precinfer_layer_diff l, k;
    precinfer_diff_info(d, &info);
    h_expect(info.ordered && info.has_own && !info.has_excess && info.samples == 24 && info.first_different == -1 &&
             info.with_bytes == info.layers && info.compared == info.layers, "f32 against f32");
    for (size_t i = 0; i < info.layers; i++) {
        precinfer_diff_layer(d, i, &l);
        h_expect(l.bytes == 1 && l.sqnr_db == INFINITY && (isnan(l.own_sqnr_db) || (l.own_sqnr_db == INFINITY &&
                 l.inherited_sqnr_db == INFINITY)), "%s: own %g, inherited %g", l.layer, l.own_sqnr_db, l.inherited_sqnr_db);
    }
    precinfer_diff_free(d);
    precinfer_data_rewind(data);
    d = diff(ctx, of_plan(int8), of_graph(g), precinfer_data_next, data, NULL);
    precinfer_diff_info(d, &info);
    const uint64_t hash = info.data_hash;
    precinfer_data_rewind(data);
    struct precinfer_batch b = { 0 };
    static double noise[64], signal[64];
    precinfer_session *s[2];
    const struct precinfer_shape most = { .input = "image", .rank = 4, .dims = { 8, 1, 8, 8 } };
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &most, .nshapes = 1, .keep_all = 1 };
    H_OK(precinfer_session_new(int8, &o, &s[0], &err));
    H_OK(precinfer_session_new(f32, &o, &s[1], &err));
    for (;;) {
        H_OK(precinfer_data_next(data, &b, &err));
        if (!b.samples) break;
        for (int i = 0; i < 2; i++) {
            H_OK(precinfer_bind(s[i], "image", &b.inputs[0], &err));
            H_OK(precinfer_session_run(s[i], &err));
        }
        for (size_t i = 0; i < info.layers; i++) {
            struct precinfer_tensor x, y;
            precinfer_diff_layer(d, i, &l);
            if (l.conversion) continue;
            H_OK(precinfer_session_value(s[1], l.tensor, &x, &err));
            H_OK(precinfer_session_value(s[0], l.tensor, &y, &err));
            size_t n = 1;
            for (int q = 0; q < x.rank; q++) n *= (size_t)x.dims[q];
            for (size_t q = 0; q < n; q++) {
                const double u = (double)((float *)x.data)[q], v = (double)((float *)y.data)[q];
                signal[i] += u * u;
                noise[i] += (u - v) * (u - v);
            }
        }
    }
    for (size_t i = 0; i < info.layers; i++) {
        precinfer_diff_layer(d, i, &l);
        if (!l.conversion) h_expect(near(l.sqnr_db, 10 * log10(signal[i] / noise[i]), 1e-9), "%s: %g", l.layer, l.sqnr_db);
    }
    precinfer_session_free(s[0]);
    precinfer_session_free(s[1]);
    precinfer_data_free(data);
    data = digits(ctx, g, 24, 5);
    again = diff(ctx, of_plan(int8), of_graph(g), precinfer_data_next, data, NULL);
    for (size_t i = 0; i < info.layers; i++) {
        precinfer_diff_layer(d, i, &l);
        precinfer_diff_layer(again, i, &k);
        h_expect(near(l.sqnr_db, k.sqnr_db, 1e-9) && l.max_abs == k.max_abs && l.js_distance == k.js_distance &&
                 (isnan(l.own_sqnr_db) || near(l.own_sqnr_db, k.own_sqnr_db, 1e-9)), "%s depends on the batch", l.layer);
    }
    precinfer_diff_info(again, &info);
    h_expect(info.data_hash == hash, "the hash of the data depends on the batch");
    precinfer_diff_free(again);
    precinfer_diff_free(d);
    precinfer_data_free(data);
    precinfer_plan_free(f32);
    precinfer_plan_free(int8);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
}
END_TEST

START_TEST(arguments)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    struct net n;
    precinfer_diff *d = NULL;
    precinfer_recipe *r = NULL;
    two_layers(&n, ctx);
    precinfer_plan *p = lowered(&n, 0);
    struct precinfer_side a = of_plan(p), b = of_graph(n.g), two = a, none = { .size = sizeof none };
    two.graph = n.g;
    H_REFUSED(precinfer_diff_new(NULL, &a, &b, next, &n, NULL, &d, &err), PRECINFER_INVALID, "NULL");
    H_REFUSED(precinfer_diff_new(ctx, NULL, &b, next, &n, NULL, &d, &err), PRECINFER_INVALID, "candidate");
    H_REFUSED(precinfer_diff_new(ctx, &a, &two, next, &n, NULL, &d, &err), PRECINFER_INVALID, "reference", "no two");
    H_REFUSED(precinfer_diff_new(ctx, &a, &none, next, &n, NULL, &d, &err), PRECINFER_INVALID, "reference");
    H_REFUSED(precinfer_diff_new(ctx, &a, &b, NULL, NULL, NULL, &d, &err), PRECINFER_INVALID, "data");
    n.at = SAMPLES;
    H_REFUSED(precinfer_diff_new(ctx, &a, &b, next, &n, NULL, &d, &err), PRECINFER_INVALID, "no samples");
    const struct precinfer_side dir_side = recorded(dir);
    H_REFUSED(precinfer_record(&dir_side, next, &n, path_of("x"), NULL, &err), PRECINFER_INVALID, "recording already");
    H_REFUSED(precinfer_record(&a, NULL, &n, path_of("x"), NULL, &err), PRECINFER_INVALID, "NULL");
    ck_assert(precinfer_diff_info(NULL, NULL) && precinfer_diff_layer(NULL, 0, NULL) && precinfer_diff_rank(NULL, 0) == SIZE_MAX);
    ck_assert(precinfer_plan_recipe(NULL) == NULL && precinfer_plan_recipe(p) != NULL);
    const char *names[] = { "first" }, *wrong[] = { "third" };
    H_REFUSED(precinfer_recipe_with(n.g, precinfer_plan_recipe(p), wrong, 1, PRECINFER_PRECISION_F32, &r, &err),
              PRECINFER_NOT_FOUND, "third");
    H_REFUSED(precinfer_recipe_with(n.g, precinfer_plan_recipe(p), names, 1, PRECINFER_PRECISION_INT8, &r, &err),
              PRECINFER_INVALID, "f32 or bf16");
    H_REFUSED(precinfer_recipe_with(n.g, NULL, names, 1, PRECINFER_PRECISION_F32, &r, &err), PRECINFER_INVALID, "NULL");
    /* `first` in f32: nobody reads x in 8 bits any more; r stays, for `second` reads it. */
    struct precinfer_recipe_info info;
    struct precinfer_recipe_value v;
    H_OK(precinfer_recipe_with(n.g, precinfer_plan_recipe(p), names, 1, PRECINFER_PRECISION_F32, &r, &err));
    precinfer_recipe_info(r, &info);
    precinfer_recipe_value(r, 0, &v);
    h_expect(info.values == 1 && !strcmp(v.name, "r") && info.hash != precinfer_recipe_hash(precinfer_plan_recipe(p)),
             "%zu values", info.values);
    precinfer_recipe_free(r);
    H_OK(precinfer_recipe_with(n.g, precinfer_plan_recipe(p), NULL, 0, PRECINFER_PRECISION_F32, &r, &err));
    h_expect(precinfer_recipe_hash(r) == precinfer_recipe_hash(precinfer_plan_recipe(p)), "nothing was changed, but the hash");
    precinfer_recipe_free(r);
    precinfer_plan_free(p);
    precinfer_graph_free(n.g);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
}
END_TEST

D_SUITE("verify_diff", { "figures", figures, 1, 10 }, { "codes", codes, 1, 10 }, { "own and inherited", own, 2, 10 },
        { "groups", groups, 1, 10 },
        { "a network", network, 1, 30 }, { "arguments", arguments, 1, 10 })
