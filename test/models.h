/* The networks that whole-library tests run: the repository's own and, where they are, the real ones. */
#ifndef PI_TEST_MODELS_H
#define PI_TEST_MODELS_H
#include "harness.h"
#include "precinfer.h"

struct h_model {
    const char *name, *model, *calibration, *evaluation, *labels;   /* in the repository: examples/...; else below PI_DATA */
    int local;
    size_t calibrate, skip;             /* samples to calibrate on; evaluation samples left out at the start      */
    struct precinfer_preprocessing pre;
};
#define H_CIFAR "datasets/cifar10/cifar10_"
static const struct h_model h_models[] = {
    { "digits", "examples/digits/digits.onnx", "examples/digits/calibration.npy", "examples/digits/evaluation.npy",
      "examples/digits/evaluation_labels.npy", 1, 128, 0, { 1, 16, 0, { 0 }, { 0 }, PRECINFER_LAYOUT_MODEL } },
    { "resnet8_cifar10_jpegft_bn", "models/resnet8_cifar10_jpegft_bn.onnx", H_CIFAR "calib_images_u8_nhwc.npy",
      H_CIFAR "test_dev_images_u8_nhwc.npy",
      H_CIFAR "test_dev_labels_u8.npy", 0, 256, 0, { 1, 1, 0, { 0 }, { 0 }, PRECINFER_NHWC } },
    { "resnet20_cifar10_bn", "models/resnet20_cifar10_bn.onnx", H_CIFAR "calib_images_u8_nhwc.npy",
      H_CIFAR "test_dev_images_u8_nhwc.npy",
      H_CIFAR "test_dev_labels_u8.npy", 0, 256, 0, { 1, 255, 3, { .485f, .456f, .406f }, { .229f, .224f, .225f },
                                                     PRECINFER_NHWC } },
    { "mbv2_cifar10_bn", "models/mbv2_cifar10_bn.onnx", H_CIFAR "calib_images_u8_nhwc.npy", H_CIFAR "test_dev_images_u8_nhwc.npy",
      H_CIFAR "test_dev_labels_u8.npy", 0, 256, 0, { 1, 255, 3, { .4914f, .4822f, .4465f }, { .2470f, .2435f, .2616f },
                                                     PRECINFER_NHWC } },
    { "mnist_cntk", "models/mnist_cntk.onnx", "datasets/mnist_test/mnist_test_images_u8.npy",
      "datasets/mnist_test/mnist_test_images_u8.npy",
      "datasets/mnist_test/mnist_test_labels_u8.npy", 0, 256, 256, { 1, 1, 0, { 0 }, { 0 }, PRECINFER_LAYOUT_MODEL } },
};
enum { H_MODELS = sizeof h_models / sizeof *h_models };

static inline const char *h_model_file(const struct h_model *m, const char *name, char *path, size_t size, const char *test)
{
    if (!m->local) return h_data(name, path, size, test);
    snprintf(path, size, "%s", name);
    return path;
}

/* A finished graph; NULL where the data directory is missing. */
static inline precinfer_graph *h_model_load(const struct h_model *m, precinfer_context *ctx, const char *test)
{
    char path[512];
    struct precinfer_error err = { 0 };
    precinfer_graph *g = NULL;
    if (!h_model_file(m, m->model, path, sizeof path, test)) return NULL;
    ck_assert_msg(!precinfer_graph_load(ctx, path, &g, &err), "%s", err.text);
    return g;
}

/* samples 0: all. calibration: the first m->calibrate unless samples says less. */
static inline precinfer_data *h_model_data(const struct h_model *m, precinfer_context *ctx, const precinfer_graph *g,
                                           int calibration, size_t samples, size_t batch)
{
    char data[512], labels[512];
    struct precinfer_error err = { 0 };
    struct precinfer_io io;
    precinfer_data *d = NULL;
    precinfer_graph_input_info(g, 0, &io);
    ck_assert(h_model_file(m, calibration ? m->calibration : m->evaluation, data, sizeof data, m->name) != NULL);
    ck_assert(h_model_file(m, m->labels, labels, sizeof labels, m->name) != NULL);
    const struct precinfer_data_options o = { .size = sizeof o, .path = data, .labels = calibration ? NULL : labels,
                                              .skip = calibration ? 0 : m->skip,
        .samples = samples ? samples : calibration ? m->calibrate : 0, .batch = io.dims[0] < 0 ? batch : 0, .preprocessing = &m->pre };
    ck_assert_msg(!precinfer_data_open(ctx, &io, 1, &o, &d, &err), "%s: %s", m->name, err.text);
    return d;
}

static inline precinfer_stats *h_model_calibrate(const struct h_model *m, precinfer_context *ctx, const precinfer_graph *g,
                                                 size_t samples, size_t batch)
{
    struct precinfer_error err = { 0 };
    precinfer_stats *stats = NULL;
    precinfer_data *d = h_model_data(m, ctx, g, 1, samples, batch);
    const struct precinfer_calibrate_options o = { .size = sizeof o, .preprocessing = &m->pre };
    ck_assert_msg(!precinfer_calibrate(g, precinfer_data_next, d, &o, &stats, &err), "%s: %s", m->name, err.text);
    precinfer_data_free(d);
    return stats;
}
#endif
