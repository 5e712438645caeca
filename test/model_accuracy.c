/* The real models on their data sets: FP32 answers equal the recorded ones; INT8 and BF16 lose no more than they may. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include "harness.h"
#include "precinfer.h"

struct model {
    const char *name, *calibration, *evaluation, *labels, *outputs;
    size_t skip, samples;               /* of the evaluation data; calibration takes the first 256                */
    struct precinfer_preprocessing pre;
    double peer_int8;                   /* accuracy of a peer's per-channel INT8 on the same data; 0: below FP32    */
};
#define CIFAR "datasets/cifar10/"
static const struct model models[] = {
    { "resnet8_cifar10_jpegft_bn", CIFAR "cifar10_calib_images_u8_nhwc.npy", CIFAR "cifar10_test_dev_images_u8_nhwc.npy",
      CIFAR "cifar10_test_dev_labels_u8.npy",
      "ref_outputs/resnet8_cifar10_jpegft_bn__cifar10_dev.npy", 0, 0, { 1, 1, 0, { 0 }, { 0 }, PRECINFER_NHWC }, 0.8400 },
    { "resnet20_cifar10_bn", CIFAR "cifar10_calib_images_u8_nhwc.npy", CIFAR "cifar10_test_dev_images_u8_nhwc.npy",
      CIFAR "cifar10_test_dev_labels_u8.npy",
      "ref_outputs/resnet20_cifar10_bn__cifar10_dev.npy", 0, 0, { 1, 255, 3, { .485f, .456f, .406f }, { .229f, .224f, .225f },
                                                                  PRECINFER_NHWC }, 0.8110 },
    { "mbv2_cifar10_bn", CIFAR "cifar10_calib_images_u8_nhwc.npy", CIFAR "cifar10_test_dev_images_u8_nhwc.npy",
      CIFAR "cifar10_test_dev_labels_u8.npy",
      "ref_outputs/mbv2_cifar10_bn__cifar10_dev.npy", 0, 0, { 1, 255, 3, { .4914f, .4822f, .4465f }, { .2470f, .2435f, .2616f },
                                                              PRECINFER_NHWC }, 0.8508 },
    { "mnist_cntk", "datasets/mnist_test/mnist_test_images_u8.npy", "datasets/mnist_test/mnist_test_images_u8.npy",
      "datasets/mnist_test/mnist_test_labels_u8.npy",
      "ref_outputs/mnist_cntk__mnist_test.npy", 256, 0, { 1, 1, 0, { 0 }, { 0 }, PRECINFER_LAYOUT_MODEL }, 0 },
};
enum { MODELS = sizeof models / sizeof *models };

struct loaded { struct h_host host; precinfer_context *ctx; precinfer_graph *g; };
static int load(const struct model *m, struct loaded *l)
{
    char name[128], path[512];
    struct precinfer_error err;
    snprintf(name, sizeof name, "models/%s.onnx", m->name);
    if (!h_data(name, path, sizeof path, m->name)) return 0;
    memset(l, 0, sizeof *l);
    l->ctx = h_context(&l->host, NULL);
    ck_assert_msg(!precinfer_graph_load(l->ctx, path, &l->g, &err), "%s", err.text);
    return 1;
}
static void unload(struct loaded *l)
{
    precinfer_graph_free(l->g);
    precinfer_context_free(l->ctx);
    ck_assert_int_eq(l->host.live, 0);
}

static precinfer_data *open_data(const struct model *m, struct loaded *l, int calibration)
{
    char data[512], labels[512];
    struct precinfer_error err;
    struct precinfer_io io;
    precinfer_data *d = NULL;
    precinfer_graph_input_info(l->g, 0, &io);
    ck_assert(h_data(calibration ? m->calibration : m->evaluation, data, sizeof data, m->name) != NULL);
    ck_assert(h_data(m->labels, labels, sizeof labels, m->name) != NULL);
    const struct precinfer_data_options o = { .size = sizeof o, .path = data, .labels = calibration ? NULL : labels,
                                              .skip = calibration ? 0 : m->skip,
        .samples = calibration ? 256 : m->samples, .batch = io.dims[0] < 0 ? 32 : 0, .preprocessing = &m->pre };
    ck_assert_msg(!precinfer_data_open(l->ctx, &io, 1, &o, &d, &err), "%s", err.text);
    return d;
}

static struct precinfer_report_info judged(const struct model *m, struct loaded *l, enum precinfer_precision precision)
{
    struct precinfer_error err;
    precinfer_stats *stats = NULL;
    precinfer_recipe *recipe = NULL;
    precinfer_plan *plan = NULL;
    precinfer_report *report = NULL;
    struct precinfer_report_info info;
    if (precision == PRECINFER_PRECISION_INT8) {
        const struct precinfer_calibrate_options o = { .size = sizeof o, .preprocessing = &m->pre };
        precinfer_data *d = open_data(m, l, 1);
        ck_assert_msg(!precinfer_calibrate(l->g, precinfer_data_next, d, &o, &stats, &err), "%s", err.text);
        precinfer_data_free(d);
    }
    ck_assert_msg(!precinfer_recipe_new(l->g, stats, precision, &recipe, &err), "%s", err.text);
    const struct precinfer_compile_options o = { .size = sizeof o, .stats = stats };
    ck_assert_msg(!precinfer_compile(l->g, recipe, &o, &plan, &err), "%s", err.text);
    struct precinfer_verify_options policy;
    precinfer_verify_defaults(&policy);
    policy.max_drop_points = 0.015;
    policy.strict = 1;
    policy.strict_precision = precision;
    precinfer_data *d = open_data(m, l, 0);
    ck_assert_msg(!precinfer_verify(plan, l->g, precinfer_data_next, d, &policy, &report, &err), "%s", err.text);
    precinfer_data_free(d);
    precinfer_report_info(report, &info);
    printf("model_accuracy: %s %s: %zu samples, FP32 %.2f%%, %s %.2f%%, lost %zu, gained %zu, agreement %.2f%%: %s%s%s\n",
           m->name,
           precinfer_precision_string(precision), info.samples, 100.0 * (double)info.right_reference / (double)info.samples, precinfer_precision_string(precision),
           100.0 * (double)info.right_candidate / (double)info.samples, info.lost, info.gained, 100.0 * (double)info.agreed / (double)info.samples,
           precinfer_verdict_string(info.verdict), info.breached ? ", breached by " : "", info.breached ? info.breach : "");
    precinfer_report_free(report);
    precinfer_plan_free(plan);
    precinfer_recipe_free(recipe);
    precinfer_stats_free(stats);
    return info;
}

START_TEST(int8)
{
    const struct model *m = &models[_i];
    struct loaded l;
    if (!load(m, &l)) return;
    const struct precinfer_report_info r = judged(m, &l, PRECINFER_PRECISION_INT8);
    const double got = (double)r.right_candidate / (double)r.samples, fp32 = (double)r.right_reference / (double)r.samples;
    ck_assert_msg(got >= (m->peer_int8 > 0 ? m->peer_int8 : fp32) - 0.003, "%s: INT8 %.4f, FP32 %.4f, peer %.4f", m->name, got,
                  fp32, m->peer_int8);
    ck_assert_int_eq(r.verdict, PRECINFER_PASS);
    unload(&l);
}
END_TEST

START_TEST(bf16)
{
    const struct model *m = &models[_i];
    struct loaded l;
    if (!load(m, &l)) return;
    const struct precinfer_report_info r = judged(m, &l, PRECINFER_PRECISION_BF16);
    const double drop = ((double)r.right_reference - (double)r.right_candidate) / (double)r.samples;
    ck_assert_msg(drop <= 0.002, "%s: BF16 loses %.2f points", m->name, 100 * drop);
    unload(&l);
}
END_TEST

/* Answers equal the recorded ones wherever the two leading outputs are apart; every output within 1e-4 of the image's
 * largest magnitude. */
START_TEST(fp32)
{
    const struct model *m = &models[_i];
    struct loaded l;
    struct precinfer_error err;
    struct precinfer_tensor want;
    char path[512];
    if (!load(m, &l) || !h_data(m->outputs, path, sizeof path, m->name)) return;
    ck_assert_msg(!precinfer_npy_load(l.ctx, path, &want, &err), "%s", err.text);
    struct model all = *m;
    all.skip = 0;
    precinfer_plan *plan = NULL;
    precinfer_session *s = NULL;
    struct precinfer_io in, out;
    ck_assert_msg(!precinfer_compile(l.g, NULL, NULL, &plan, &err), "%s", err.text);
    precinfer_plan_input_info(plan, 0, &in);
    precinfer_plan_output_info(plan, 0, &out);
    precinfer_data *d = open_data(&all, &l, 0);
    const size_t classes = (size_t)want.dims[want.rank - 1];
    size_t done = 0, wrong = 0, far = 0;
    double worst = 0;
    for (;;) {
        struct precinfer_batch b = { 0 };
        struct precinfer_tensor y;
        ck_assert_msg(!precinfer_data_next(d, &b, &err), "%s", err.text);
        if (!b.samples) break;
        if (!s) {
            struct precinfer_shape shape = { .input = in.name, .rank = b.inputs[0].rank };
            memcpy(shape.dims, b.inputs[0].dims, sizeof shape.dims);
            const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &shape, .nshapes = 1 };
            ck_assert_msg(!precinfer_session_new(plan, &o, &s, &err), "%s", err.text);
        }
        ck_assert_msg(!precinfer_bind(s, in.name, &b.inputs[0], &err), "%s", err.text);
        ck_assert_msg(!precinfer_session_run(s, &err), "%s", err.text);
        ck_assert_msg(!precinfer_session_value(s, out.name, &y, &err), "%s", err.text);
        for (size_t i = 0; i < b.samples; i++, done++) {
            const float *a = (const float *)want.data + done * classes, *c = (const float *)y.data + i * classes;
            size_t ta = 0, tc = 0;
            double largest = 0, second = -INFINITY;
            for (size_t k = 0; k < classes; k++) {
                if (a[k] > a[ta]) ta = k;
                if (c[k] > c[tc]) tc = k;
                if (fabs(a[k]) > largest) largest = fabs(a[k]);
            }
            for (size_t k = 0; k < classes; k++) {
                if (k != ta && a[k] > second) second = a[k];
                const double e = fabs((double)a[k] - (double)c[k]) / largest;
                if (e > worst) worst = e;
                far += !(e <= 1e-4);
            }
            wrong += ta != tc && a[ta] - second > 1e-4 * largest;
        }
    }
    printf("model_accuracy: %s f32: %zu images, worst output off by %.2g of the largest\n", m->name, done, worst);
    ck_assert_msg(!wrong && !far && done == (size_t)want.dims[0],
                  "%s: %zu answers differ, %zu outputs are too far off, %zu images", m->name, wrong, far, done);
    precinfer_session_free(s);
    precinfer_data_free(d);
    precinfer_plan_free(plan);
    precinfer_array_free(l.ctx, &want);
    unload(&l);
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("model_accuracy");
    if (getenv("PI_SANITIZED")) return s;       /* thousands of samples: laws runs a few of them on the same models */
    h_add(s, "fp32", fp32, MODELS, 300);
    h_add(s, "int8", int8, MODELS, 300);
    h_add(s, "bf16", bf16, MODELS, 300);
    return s;
}
