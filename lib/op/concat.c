/* Concat and Split: one tensor is a row of views of the other. */
#include "infer.h"
#include "walk.h"

struct concat { int64_t axis; };

static int check_concat(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    if (!pi_attr_find(n, "axis")) return pi_node_fail(n, err, PRECINFER_MALFORMED, "no axis");
    return pi_attr_int(n, "axis", 0, &((struct concat *)n->params)->axis, err);
}

static int axis_in_run(const struct pi_node *n, int rank)
{
    const int64_t axis = ((const struct concat *)n->params)->axis;
    return (int)(axis < 0 ? axis + rank : axis);
}

/* Adds input k to what the inputs before it made. */
static int join(const struct pi_infer *i, size_t k, int axis)
{
    const struct pi_tensor *t = i->in[k];
    struct pi_tensor *out = &i->out[0];
    char a[96], b[96];
    if (t->type != out->type)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "input %zu is %s, input 0 %s", k, pi_type_name(t->type),
                            pi_type_name(out->type));
    int fits = t->rank == out->rank;
    for (int d = 0; fits && d < t->rank; d++) {
        if (d == axis) continue;
        if (t->dims[d] >= 0 && out->dims[d] >= 0) fits = t->dims[d] == out->dims[d];
        else if (t->dims[d] >= 0) out->dims[d] = t->dims[d];
    }
    if (!fits)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED,
                            "input %zu has shape %s, which does not join %s along axis %d", k,
                            pi_dims_string(t, a, sizeof a), pi_dims_string(i->in[0], b, sizeof b), axis);
    int64_t *sum = &out->dims[axis];
    *sum = *sum >= 0 && t->dims[axis] >= 0 ? *sum + t->dims[axis] : pi_infer_open(i);
    return 0;
}

static int infer_concat(const struct pi_infer *i)
{
    struct pi_tensor *out = &i->out[0];
    int axis;
    PI_TRY(pi_axis(i->node, ((const struct concat *)i->node->params)->axis, i->in[0]->rank, &axis, i->err));
    PI_TRY(pi_infer_like(i));
    for (size_t k = 1; k < i->node->nin; k++) PI_TRY(join(i, k, axis));
    (void)out;
    return 0;
}

static void run_concat(const struct pi_call *c)
{
    const int axis = axis_in_run(c->node, c->out[0]->rank);
    int64_t from = 0;
    for (size_t k = 0; k < c->node->nin; k++) {
        struct pi_tensor part = *c->out[0];
        pi_narrow(&part, axis, from, c->in[k]->dims[axis]);
        pi_move(c->ctx, c->in[k], &part);
        from += c->in[k]->dims[axis];
    }
}

const struct pi_opdef pi_op_Concat = {
    .name = "Concat", .since = 4, .min_in = 1, .min_out = 1, .max_out = 1, .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS,
    .forms = PI_BIT(PI_U8) | PI_BIT(PI_BF16), .params_bytes = sizeof(struct concat), .check = check_concat, .infer = infer_concat,
    .run = run_concat
};

/* ---------------------------------------------------------------- Split */

struct split { struct concat axis; int64_t outputs; const int64_t *sizes; size_t nsizes; };

static int check_split(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct split *s = n->params;
    (void)g;
    PI_TRY(pi_attr_int(n, "axis", 0, &s->axis.axis, err));
    if (n->opset < 13) PI_TRY(pi_attr_ints(n, "split", &s->sizes, &s->nsizes, err));
    PI_TRY(pi_attr_int(n, "num_outputs", (int64_t)n->nout, &s->outputs, err));
    if (n->opset >= 18 && s->outputs != (int64_t)n->nout)
        return pi_node_fail(n, err, PRECINFER_MALFORMED, "num_outputs is %lld, the node has %zu outputs", (long long)s->outputs,
                            n->nout);
    return 0;
}

/* Size of part k of a dimension that is split evenly; the last part is what remains. */
static int64_t even_part(int64_t dim, size_t parts, size_t k)
{
    const int64_t chunk = (dim + (int64_t)parts - 1) / (int64_t)parts, from = chunk * (int64_t)k;
    return from >= dim ? 0 : dim - from < chunk ? dim - from : chunk;
}

/* Sizes come from the attribute, from input 1, or are even. Sets *size < 0 where it is not known. */
static int part(const struct pi_infer *i, int64_t dim, size_t k, int64_t *size)
{
    const struct split *s = i->node->params;
    const struct pi_tensor *given = i->node->nin > 1 ? i->in[1] : NULL;
    const size_t n = given ? (size_t)(given->rank ? given->dims[0] : 1) : s->nsizes;
    *size = -1;
    if (given && given->type != PI_S64)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "split is not a vector of int64");
    if ((given || s->sizes) && n != i->node->nout)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "%zu sizes for %zu outputs", n, i->node->nout);
    if (given && !given->data && !i->graph)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "the sizes depend on data");
    if (given && given->data) *size = pi_int_at(given, (int64_t)k);
    else if (!given && s->sizes) *size = s->sizes[k];
    else if (!given && dim >= 0) *size = even_part(dim, i->node->nout, k);
    else return 0;
    if (*size < 0) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "size %zu is %lld", k, (long long)*size);
    return 0;
}

static int infer_split(const struct pi_infer *i)
{
    const struct split *s = i->node->params;
    int64_t sum = 0;
    int axis, open = 0;
    PI_TRY(pi_axis(i->node, s->axis.axis, i->in[0]->rank, &axis, i->err));
    const int64_t dim = i->in[0]->dims[axis];
    const int even = !s->sizes && (i->node->nin < 2 || !i->in[1]);
    if (even && i->node->opset < 18 && dim >= 0 && dim % (int64_t)i->node->nout != 0)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "dimension %d of %lld does not split into %zu", axis,
                            (long long)dim, i->node->nout);
    PI_TRY(pi_infer_like(i));
    for (size_t k = 0; k < i->node->nout; k++) {
        int64_t size;
        PI_TRY(part(i, dim, k, &size));
        i->out[k].dims[axis] = size >= 0 ? size : pi_infer_open(i);
        open |= size < 0;
        sum += size;
    }
    if (!open && dim >= 0 && sum != dim)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "the sizes add up to %lld, dimension %d has %lld",
                            (long long)sum, axis, (long long)dim);
    return 0;
}

/* Outputs that nobody reads have no tensor: their size is computed again. */
static void run_split(const struct pi_call *c)
{
    const struct split *s = c->node->params;
    const int axis = axis_in_run(c->node, c->in[0]->rank);
    const struct pi_tensor *given = c->node->nin > 1 ? c->in[1] : NULL;
    int64_t from = 0;
    for (size_t k = 0; k < c->node->nout; k++) {
        const int64_t size = given ? pi_int_at(given, (int64_t)k) : s->sizes ? s->sizes[k]
                           : even_part(c->in[0]->dims[axis], c->node->nout, k);
        struct pi_tensor view = *c->in[0];
        pi_narrow(&view, axis, from, size);
        if (c->out[k]) pi_move(c->ctx, &view, c->out[k]);
        from += size;
    }
}

const struct pi_opdef pi_op_Split = {
    .name = "Split", .since = 2, .min_in = 1, .max_in = 2, .min_out = 1, .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS,
    .params_bytes = sizeof(struct split), .check = check_split, .infer = infer_split, .run = run_split
};
