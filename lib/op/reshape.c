/* Operators that only say the dims anew: Reshape, Flatten, Squeeze, Unsqueeze; and those that say nothing: Identity, Dropout. */
#include <string.h>
#include "infer.h"
#include "walk.h"

static void run(const struct pi_call *c)
{
    const struct pi_tensor *from = c->in[0], *to = c->out[0];
    if (from->data != to->data) memcpy(to->data, from->data, (size_t)pi_elements(to) * pi_type_size(to->type));
}

/* ---------------------------------------------------------------- Reshape */

struct reshape { int allowzero; };

static int check_reshape(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    int64_t v;
    (void)g;
    PI_TRY(pi_attr_int(n, "allowzero", 0, &v, err));
    ((struct reshape *)n->params)->allowzero = n->opset >= 14 && v != 0;
    return 0;
}

/* What stands on both sides of a reshape cancels: open dimensions of the same symbol, and then the known products. */
struct sides { int64_t in, out; int nin, nout; int64_t open_in[PI_MAX_RANK], open_out[PI_MAX_RANK]; };

static void add_dims(const struct pi_tensor *t, int skip, int64_t *product, int *n, int64_t *open)
{
    *product = 1;
    *n = 0;
    for (int d = 0; d < t->rank; d++) {
        if (d == skip) continue;
        if (t->dims[d] < 0) open[(*n)++] = t->dims[d];
        else if (__builtin_mul_overflow(*product, t->dims[d], product)) *product = INT64_MAX;     /* equals no real size */
    }
}

static void cancel(struct sides *s)
{
    for (int a = 0; a < s->nin; a++)
        for (int b = 0; b < s->nout; b++) {
            if (s->open_in[a] != s->open_out[b]) continue;
            s->open_in[a--] = s->open_in[--s->nin];
            s->open_out[b] = s->open_out[--s->nout];
            break;
        }
}

static int fill_hole(const struct pi_infer *i, const struct sides *s, int hole)
{
    struct pi_tensor *out = &i->out[0];
    if (s->nin == 1 && s->nout == 0 && s->in == s->out) { out->dims[hole] = s->open_in[0]; return 0; }
    if (s->nin + s->nout > 0) { out->dims[hole] = pi_infer_open(i); return 0; }
    if (s->out == 0 || s->in % s->out != 0)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "%lld elements do not divide into rows of %lld",
                            (long long)s->in, (long long)s->out);
    out->dims[hole] = s->in / s->out;
    return 0;
}

static int reshape_dims(const struct pi_infer *i, const struct pi_ints *shape)
{
    const struct reshape *r = i->node->params;
    const struct pi_tensor *in = i->in[0];
    struct pi_tensor *out = &i->out[0];
    int hole = -1;
    for (int d = 0; d < out->rank; d++) {
        out->dims[d] = shape->v[d];
        if (shape->v[d] == -1 && hole < 0) hole = d;
        else if (shape->v[d] < 0)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "shape has %lld at %d", (long long)shape->v[d], d);
        if (shape->v[d] != 0 || r->allowzero) continue;
        if (d >= in->rank)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "shape copies dimension %d of rank %d", d, in->rank);
        out->dims[d] = in->dims[d];
    }
    struct sides s;
    add_dims(in, -1, &s.in, &s.nin, s.open_in);
    add_dims(out, hole, &s.out, &s.nout, s.open_out);
    cancel(&s);
    if (hole >= 0) return fill_hole(i, &s, hole);
    char a[96], b[96];
    if (s.nin + s.nout == 0 && s.in != s.out)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "%s does not reshape to %s", pi_dims_string(in, a, sizeof a),
                            pi_dims_string(out, b, sizeof b));
    return 0;
}

static int infer_reshape(const struct pi_infer *i)
{
    struct pi_ints shape;
    struct pi_tensor *out = &i->out[0];
    PI_TRY(pi_ints_of_input(i, 1, &shape));
    if (!shape.present) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "no shape");
    if (shape.n > PI_MAX_RANK)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "rank %zu, at most %d is supported", shape.n,
                            (int)PI_MAX_RANK);
    pi_set_like(out, i->in[0]);
    out->rank = (int)shape.n;
    if (shape.known) return reshape_dims(i, &shape);
    for (int d = 0; d < out->rank; d++) out->dims[d] = pi_infer_open(i);
    return 0;
}

const struct pi_opdef pi_op_Reshape = {
    .name = "Reshape", .since = 5, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = PI_OP_ALIAS | PI_OP_PASS,
    .params_bytes = sizeof(struct reshape), .check = check_reshape, .infer = infer_reshape, .run = run
};

/* ---------------------------------------------------------------- Flatten */

struct flatten { int64_t axis; };

static int check_flatten(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    return pi_attr_int(n, "axis", 1, &((struct flatten *)n->params)->axis, err);
}

static int64_t product(const struct pi_infer *i, int from, int to)
{
    int64_t known = 1, open = 0;
    int nopen = 0;
    for (int d = from; d < to; d++) {
        const int64_t x = i->in[0]->dims[d];
        if (x >= 0) known *= x;
        else { open = x; nopen++; }
    }
    return nopen == 0 ? known : nopen == 1 && known == 1 ? open : pi_infer_open(i);
}

static int infer_flatten(const struct pi_infer *i)
{
    const int rank = i->in[0]->rank;
    int axis;
    PI_TRY(pi_axis(i->node, ((const struct flatten *)i->node->params)->axis, rank + 1, &axis, i->err));
    if (((const struct flatten *)i->node->params)->axis < 0) axis--;    /* negative ones count from rank, not rank + 1 */
    if (axis < 0) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "axis is below -%d", rank);
    pi_set_like(&i->out[0], i->in[0]);
    i->out[0].rank = 2;
    i->out[0].dims[0] = product(i, 0, axis);
    i->out[0].dims[1] = product(i, axis, rank);
    return 0;
}

const struct pi_opdef pi_op_Flatten = {
    .name = "Flatten", .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = PI_OP_ALIAS | PI_OP_PASS,
    .params_bytes = sizeof(struct flatten), .check = check_flatten, .infer = infer_flatten, .run = run
};

/* ---------------------------------------------------------------- Squeeze and Unsqueeze */

static int check_axes_attr(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    return pi_ints_of_attr(n, "axes", n->params, err);
}

/* Bit d: axis d is named. */
static int axes_mask(const struct pi_infer *i, const struct pi_ints *axes, int rank, unsigned *mask)
{
    *mask = 0;
    if (!axes->known) return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "axes depend on data");
    for (size_t k = 0; k < axes->n; k++) {
        int axis;
        PI_TRY(pi_axis(i->node, axes->v[k], rank, &axis, i->err));
        if (*mask >> axis & 1) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "axis %d is named twice", axis);
        *mask |= 1u << axis;
    }
    return 0;
}

static int axes_of(const struct pi_infer *i, struct pi_ints *axes)
{
    if (i->node->opset >= 13) return pi_ints_of_input(i, 1, axes);
    *axes = *(const struct pi_ints *)i->node->params;
    return 0;
}

static int infer_squeeze(const struct pi_infer *i)
{
    const struct pi_tensor *in = i->in[0];
    struct pi_tensor *out = &i->out[0];
    struct pi_ints axes;
    unsigned mask = 0;
    PI_TRY(axes_of(i, &axes));
    if (axes.present) PI_TRY(axes_mask(i, &axes, in->rank, &mask));
    pi_set_like(out, in);
    out->rank = 0;
    for (int d = 0; d < in->rank; d++) {
        const int named = axes.present ? (int)(mask >> d & 1) : in->dims[d] == 1;
        if (named && in->dims[d] > 1)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "dimension %d is %lld, not 1", d, (long long)in->dims[d]);
        if (!named) out->dims[out->rank++] = in->dims[d];
    }
    return 0;
}

static int infer_unsqueeze(const struct pi_infer *i)
{
    const struct pi_tensor *in = i->in[0];
    struct pi_tensor *out = &i->out[0];
    struct pi_ints axes;
    unsigned mask;
    PI_TRY(axes_of(i, &axes));
    const int rank = in->rank + (int)axes.n;
    if (!axes.present) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "no axes");
    if (rank > PI_MAX_RANK)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "rank %d, at most %d is supported", rank, (int)PI_MAX_RANK);
    PI_TRY(axes_mask(i, &axes, rank, &mask));
    pi_set_like(out, in);
    out->rank = rank;
    for (int d = 0, from = 0; d < rank; d++) out->dims[d] = mask >> d & 1 ? 1 : in->dims[from++];
    return 0;
}

#define AXES(symbol, onnx, inferrer)                                                                                    \
    const struct pi_opdef pi_op_##symbol##_attr = {                                                                     \
        .name = onnx, .since = 1, .until = 12, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,                    \
        .flags = PI_OP_ALIAS | PI_OP_PASS, .params_bytes = sizeof(struct pi_ints), .check = check_axes_attr,            \
        .infer = inferrer, .run = run                                                                                   \
    };                                                                                                                  \
    const struct pi_opdef pi_op_##symbol = {                                                                            \
        .name = onnx, .since = 13, .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1,                                \
        .flags = PI_OP_ALIAS | PI_OP_PASS, .infer = inferrer, .run = run                                                \
    };
AXES(Squeeze, "Squeeze", infer_squeeze)
AXES(Unsqueeze, "Unsqueeze", infer_unsqueeze)

/* ---------------------------------------------------------------- Identity and Dropout, which in inference is one */

static void run_identity(const struct pi_call *c)
{
    if (c->in[0]->data != c->out[0]->data) pi_move(c->ctx, c->in[0], c->out[0]);
}

const struct pi_opdef pi_op_Identity = {
    .name = "Identity", .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS | PI_OP_INPLACE, .infer = pi_infer_like, .run = run_identity
};

static int infer_dropout(const struct pi_infer *i)
{
    const struct pi_tensor *training = i->node->nin > 2 ? i->in[2] : NULL;
    if (training && (!training->data || *(const uint8_t *)training->data))
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "training_mode is not constant false");
    PI_TRY(pi_infer_like(i));
    if (i->node->nout > 1) {
        i->out[1].type = PI_BOOL;
        i->out[1].quantized = 0;
    }
    return 0;
}

static void run_dropout(const struct pi_call *c)
{
    static const uint8_t kept = 1;
    run_identity(c);
    if (c->node->nout > 1 && c->out[1]) pi_fill(c->ctx, &kept, c->out[1]);
}

const struct pi_opdef pi_op_Dropout = {
    .name = "Dropout", .since = 7, .min_in = 1, .max_in = 3, .min_out = 1, .max_out = 2,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS | PI_OP_INPLACE, .infer = infer_dropout, .run = run_dropout
};
