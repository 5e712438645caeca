/* Gather: slices of the data along an axis, by index. An index that infer could not see and that is out of range is taken
 * as the nearest one that is in range, since run cannot fail. */
#include "infer.h"
#include "walk.h"

struct gather { int64_t axis; };

static int check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    return pi_attr_int(n, "axis", 0, &((struct gather *)n->params)->axis, err);
}

/* Element number k of the indices in row-major order. */
static int64_t index_at(const struct pi_tensor *t, int64_t k)
{
    int64_t at = 0;
    for (int d = t->rank - 1; d >= 0; d--) {
        at += k % t->dims[d] * t->stride[d];
        k /= t->dims[d];
    }
    return t->type == PI_S32 ? ((const int32_t *)t->data)[at] : ((const int64_t *)t->data)[at];
}

static int check_indices(const struct pi_infer *i, int64_t dim)
{
    const struct pi_tensor *t = i->in[1];
    if (!t->data || dim < 0) return 0;
    for (int64_t k = 0, n = pi_elements(t); k < n; k++) {
        const int64_t x = index_at(t, k);
        if (x < -dim || x >= dim)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "index %lld is not in [%lld, %lld]", (long long)x,
                                (long long)-dim, (long long)dim - 1);
    }
    return 0;
}

static int infer(const struct pi_infer *i)
{
    const struct pi_tensor *data = i->in[0], *index = i->in[1];
    struct pi_tensor *out = &i->out[0];
    int axis, rank = 0;
    if (index->type != PI_S64 && index->type != PI_S32)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "indices are %s", pi_type_name(index->type));
    PI_TRY(pi_axis(i->node, ((const struct gather *)i->node->params)->axis, data->rank, &axis, i->err));
    if (data->rank + index->rank - 1 > PI_MAX_RANK)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "rank %d", data->rank + index->rank - 1);
    PI_TRY(check_indices(i, data->dims[axis]));
    pi_set_like(out, data);
    for (int d = 0; d < axis; d++) out->dims[rank++] = data->dims[d];
    for (int d = 0; d < index->rank; d++) out->dims[rank++] = index->dims[d];
    for (int d = axis + 1; d < data->rank; d++) out->dims[rank++] = data->dims[d];
    out->rank = rank;
    return 0;
}

/* The output without the dimensions of the indices, at index number k. */
static struct pi_tensor slot_of(const struct pi_tensor *out, int axis, const struct pi_tensor *index, int64_t k)
{
    struct pi_tensor view = *out;
    for (int d = index->rank - 1; d >= 0; d--) {
        pi_narrow(&view, axis + d, k % index->dims[d], 1);
        pi_drop_axis(&view, axis + d);
        k /= index->dims[d];
    }
    return view;
}

static void run(const struct pi_call *c)
{
    const struct pi_tensor *data = c->in[0], *index = c->in[1];
    const int64_t named = ((const struct gather *)c->node->params)->axis;
    const int axis = (int)(named < 0 ? named + data->rank : named);
    const int64_t dim = data->dims[axis];
    for (int64_t k = 0, n = pi_elements(index); k < n; k++) {
        int64_t x = index_at(index, k);
        if (x < 0) x += dim;
        x = x < 0 ? 0 : x >= dim ? dim - 1 : x;
        struct pi_tensor from = *data;
        const struct pi_tensor to = slot_of(c->out[0], axis, index, k);
        if (dim == 0) return;
        pi_narrow(&from, axis, x, 1);
        pi_drop_axis(&from, axis);
        pi_move(c->ctx, &from, &to);
    }
}

const struct pi_opdef pi_op_Gather = {
    .name = "Gather", .since = 1, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS, .params_bytes = sizeof(struct gather), .check = check, .infer = infer, .run = run
};
