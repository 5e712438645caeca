/* Logits of whole models in f32 against the model in double: where a softmax saturates, recorded outputs hide errors. */
#include "model_double.h"
#include "models.h"

static const char *const models[] = { "resnet8_cifar10_jpegft_bn", "streaming_wakeword_bn", "magika_v3_3" };
enum { MODELS = sizeof models / sizeof *models, IMAGES = 8 };

/* Of the largest logit of an image. */
static const double bound = 1e-5;

/* The last product with weights, and the bias that a MatMul leaves to an Add. */
static int logits_of(const precinfer_graph *g, const char *model)
{
    int last = -1, node;
    for (size_t k = 0; k < g->nnodes; k++)
        if (!strcmp(g->nodes[k].op->name, "Gemm") || !strcmp(g->nodes[k].op->name, "MatMul")) last = (int)k;
    ck_assert_msg(last >= 0, "%s has no Gemm and no MatMul", model);
    const int value = g->nodes[last].out[0];
    if (pi_graph_uses(g, value, &node, NULL) != 1 || node < 0) return value;
    const struct pi_node *n = &g->nodes[node];
    if (strcmp(n->op->name, "Add")) return value;
    return g->values[n->in[n->in[0] == value]].t.data ? n->out[0] : value;
}

/* The worst error of a batch, in parts of its image's largest logit. */
static double worst_of(const struct r_tensor *want, const struct precinfer_tensor *got, const char *what)
{
    double all = 0;
    int same = got->rank == want->rank && got->dtype == PRECINFER_F32 && want->rank == 2 && want->n > 0;
    for (int d = 0; same && d < want->rank; d++) same = got->dims[d] == want->dims[d];
    ck_assert_msg(same, "%s: shape or type", what);
    for (int64_t image = 0; image < want->dims[0]; image++) {
        const double *w = want->v + image * want->dims[1];
        const float *y = (const float *)got->data + image * want->dims[1];
        double most = 0, worst = 0;
        for (int64_t k = 0; k < want->dims[1]; k++) {
            const double e = fabs((double)y[k] - w[k]);
            most = fmax(most, fabs(w[k]));
            if (!(e <= worst)) worst = e;
        }
        ck_assert_msg(worst <= bound * most, "%s, image %lld: off by %g of %g", what, (long long)image, worst, most);
        all = fmax(all, worst / most);
    }
    return all;
}

struct model { precinfer_context *ctx; precinfer_graph *g; precinfer_plan *plan; const char *name; int logits; double worst; };

static void compare(struct model *m, const struct precinfer_tensor *input, const char *which)
{
    struct precinfer_error err = { 0 };
    struct precinfer_io io;
    struct precinfer_tensor got;
    precinfer_session *s = NULL;
    char what[128];
    snprintf(what, sizeof what, "%s, %s", m->name, which);
    precinfer_plan_input_info(m->plan, 0, &io);
    struct precinfer_shape shape = { .input = io.name, .rank = input->rank };
    memcpy(shape.dims, input->dims, sizeof shape.dims);
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &shape, .nshapes = 1, .keep_all = 1 };
    ck_assert_msg(!precinfer_session_new(m->plan, &o, &s, &err), "%s: %s", what, err.text);
    ck_assert_msg(!precinfer_bind(s, io.name, input, &err), "%s: %s", what, err.text);
    ck_assert_msg(!precinfer_session_run(s, &err), "%s: %s", what, err.text);
    ck_assert_msg(!precinfer_session_value(s, m->g->values[m->logits].name, &got, &err), "%s: %s", what, err.text);
    struct d_model d = { m->ctx, m->g, m->name, NULL };
    d_evaluate(&d, input, m->logits);
    const double worst = worst_of(&d.v[m->logits].r, &got, what);
    if (worst > m->worst) m->worst = worst;
    d_drop(&d);
    precinfer_session_free(s);
}

/* A second input of the same distribution. */
static void reverse(struct precinfer_tensor *t)
{
    size_t n = 1;
    for (int d = 0; d < t->rank; d++) n *= (size_t)t->dims[d];
    ck_assert(precinfer_dtype_size(t->dtype) == 4);
    uint32_t *v = t->data;
    for (size_t k = 0; k < n / 2; k++) { const uint32_t x = v[k]; v[k] = v[n - 1 - k]; v[n - 1 - k] = x; }
}

static void images(struct model *m)
{
    for (size_t k = 0; k < H_MODELS; k++) {
        if (strcmp(h_models[k].name, m->name)) continue;
        struct precinfer_error err = { 0 };
        struct precinfer_batch batch;
        char path[512];
        if (!h_data(h_models[k].evaluation, path, sizeof path, m->name)) return;
        precinfer_data *data = h_model_data(&h_models[k], m->ctx, m->g, 0, IMAGES, IMAGES);
        ck_assert_msg(!precinfer_data_next(data, &batch, &err), "%s", err.text);
        ck_assert(batch.samples == IMAGES);
        compare(m, &batch.inputs[0], "images");
        precinfer_data_free(data);
    }
}

START_TEST(logits)
{
    struct model m = { .name = models[_i] };
    char path[512], name[128], input[512];
    struct precinfer_error err = { 0 };
    struct precinfer_tensor in;
    struct h_host host = { .threads = 2 };
    snprintf(name, sizeof name, "models/%s.onnx", m.name);
    if (!h_data(name, path, sizeof path, m.name)) return;
    snprintf(name, sizeof name, "io/%s/input_0.npy", m.name);
    if (!h_data(name, input, sizeof input, m.name)) return;
    m.ctx = h_context(&host, NULL);
    ck_assert_msg(!precinfer_graph_load(m.ctx, path, &m.g, &err), "%s: %s", m.name, err.text);
    ck_assert_msg(!precinfer_compile(m.g, NULL, NULL, &m.plan, &err), "%s: %s", m.name, err.text);
    m.logits = logits_of(m.g, m.name);
    ck_assert_msg(!precinfer_npy_load(m.ctx, input, &in, &err), "%s", err.text);
    compare(&m, &in, "recorded input");
    reverse(&in);
    compare(&m, &in, "recorded input reversed");
    images(&m);
    printf("model_logits: %s: %s is off by at most %.1e of an image's largest\n", m.name, m.g->values[m.logits].name, m.worst);
    precinfer_array_free(m.ctx, &in);
    precinfer_plan_free(m.plan);
    precinfer_graph_free(m.g);
    precinfer_context_free(m.ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("model_logits");
    h_add(s, "logits", logits, MODELS, 120);
    return s;
}
