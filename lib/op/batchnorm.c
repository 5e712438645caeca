/* BatchNormalization in inference: x * s + t, with s and t folded in double and rounded once. */
#include <math.h>
#include "elt.h"
#include "infer.h"

struct batchnorm { float epsilon; int per_element; };

static int check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct batchnorm *b = n->params;
    int64_t training, spatial;
    (void)g;
    PI_TRY(pi_attr_float(n, "epsilon", 1e-5f, &b->epsilon, err));
    PI_TRY(pi_attr_int(n, "training_mode", 0, &training, err));
    PI_TRY(pi_attr_int(n, "spatial", 1, &spatial, err));
    b->per_element = n->opset < 9 && !spatial;
    if (training) return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "training_mode is %lld", (long long)training);
    if (!(b->epsilon >= 0) || b->epsilon - b->epsilon != 0)
        return pi_node_fail(n, err, PRECINFER_MALFORMED, "epsilon is no finite positive number");
    return pi_only_output(n, "statistics", err);
}

/* Parameters are vectors of the channels; with spatial = 0 of the size of an image. */
static int check_parameter(const struct pi_infer *i, size_t slot)
{
    static const char *const names[] = { "X", "scale", "B", "mean", "var" };
    const struct batchnorm *b = i->node->params;
    const struct pi_tensor *in = i->in[0], *t = i->in[slot];
    int fits = t->rank == (b->per_element ? in->rank - 1 : 1);
    for (int d = 0; fits && d < t->rank; d++) fits = t->dims[d] == in->dims[d + 1] || t->dims[d] < 0 || in->dims[d + 1] < 0;
    char s[96], x[96];
    if (t->type != PI_F32 || !fits)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "%s is %s of shape %s, the input's shape is %s", names[slot],
                            pi_type_name(t->type), pi_dims_string(t, s, sizeof s), pi_dims_string(in, x, sizeof x));
    for (int64_t k = 0, n = t->data ? pi_elements(t) : 0; k < n; k++) {
        const float v = ((const float *)t->data)[k];
        if (v - v != 0 || (slot == 4 && !((double)v + b->epsilon > 0)))
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "%s is not finite and positive at %lld", names[slot],
                                (long long)k);
    }
    return 0;
}

static int infer(const struct pi_infer *i)
{
    if (i->in[0]->rank < 2) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "rank %d has no channels", i->in[0]->rank);
    if (i->in[0]->type != PI_F32)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "input 0 is %s, not float32", pi_type_name(i->in[0]->type));
    for (size_t k = 1; k < 5; k++) PI_TRY(check_parameter(i, k));
    const struct pi_tensor x = *i->in[0];
    i->out[0] = x;
    i->out[0].data = NULL;
    return 0;
}

static size_t workspace(const struct pi_call *c) { return 2 * pi_up((size_t)pi_elements(c->in[1]) * sizeof(float), 64); }

static void fold(const struct pi_call *c, float *s, float *t)
{
    const float *scale = c->in[1]->data, *bias = c->in[2]->data, *mean = c->in[3]->data, *var = c->in[4]->data;
    const double epsilon = ((const struct batchnorm *)c->node->params)->epsilon;
    for (int64_t k = 0, n = pi_elements(c->in[1]); k < n; k++) {
        const double f = scale[k] / sqrt(var[k] + epsilon);
        s[k] = (float)f;
        t[k] = (float)(bias[k] - mean[k] * f);
    }
}

/* A parameter as a tensor that broadcasts to the input: its dims are those from the channels on. */
static struct pi_tensor spread(const struct pi_call *c, float *data)
{
    const struct pi_tensor *in = c->in[0], *p = c->in[1];
    struct pi_tensor t = { .data = data, .type = PI_F32, .rank = in->rank - 1 };
    for (int d = 0; d < t.rank; d++) t.dims[d] = d < p->rank ? p->dims[d] : 1;
    pi_row_major(&t);
    return t;
}

static void run(const struct pi_call *c)
{
    const size_t half = pi_up((size_t)pi_elements(c->in[1]) * sizeof(float), 64);
    float *s = c->workspace, *t = (float *)((char *)c->workspace + half);
    fold(c, s, t);
    const struct pi_tensor scale = spread(c, s), shift = spread(c, t);
    pi_elt_run(c->ctx, PI_MUL, NULL, c->in[0], &scale, c->out[0]);
    pi_elt_run(c->ctx, PI_ADD, NULL, c->out[0], &shift, c->out[0]);
}

const struct pi_opdef pi_op_BatchNormalization = {
    .name = "BatchNormalization", .since = 7, .min_in = 5, .max_in = 5, .min_out = 1, .max_out = 5,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_INPLACE, .params_bytes = sizeof(struct batchnorm), .check = check, .infer = infer,
    .workspace = workspace, .run = run
};
