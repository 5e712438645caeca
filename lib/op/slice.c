/* Slice: a view of the input; negative steps are negative strides. */
#include "infer.h"
#include "walk.h"

struct slice { struct pi_ints starts, ends, axes; };

static int check_attr(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct slice *s = n->params;
    (void)g;
    PI_TRY(pi_ints_of_attr(n, "starts", &s->starts, err));
    PI_TRY(pi_ints_of_attr(n, "ends", &s->ends, err));
    return pi_ints_of_attr(n, "axes", &s->axes, err);
}

/* One axis of one dimension: first element, how many, and the step. */
struct range { int64_t from, count, step; };

static int64_t clamp(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }

static struct range range_of(int64_t dim, int64_t start, int64_t end, int64_t step)
{
    struct range r = { 0, 0, step };
    if (start < 0) start = start < -dim ? -1 : start + dim;     /* -1: before the first, clamped below */
    if (end < 0) end = end < -dim ? -1 : end + dim;
    if (dim == 0) return r;
    if (step > 0) {
        start = clamp(start, 0, dim);
        end = clamp(end, 0, dim);
        r.count = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
        start = clamp(start, 0, dim - 1);
        end = clamp(end, -1, dim - 1);
        r.count = start > end ? (start - end - 1) / (step == INT64_MIN ? INT64_MAX : -step) + 1 : 0;
    }
    r.from = start;
    return r;
}

struct spec { struct pi_ints starts, ends, axes, steps; };

/* Is [start, end) all of a dimension whose size is not known? */
static int is_all(int64_t start, int64_t end, int64_t step) { return start == 0 && step == 1 && end >= INT32_MAX; }

static int check_lengths(const struct pi_infer *i, const struct spec *s)
{
    const size_t n = s->starts.n;
    if (!s->starts.present || !s->ends.present) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "no starts or no ends");
    if (s->ends.n != n || (s->axes.present && s->axes.n != n) || (s->steps.present && s->steps.n != n))
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "%zu starts, %zu ends, %zu axes, %zu steps", n, s->ends.n,
                            s->axes.n, s->steps.n);
    if (!s->axes.present && n > (size_t)i->in[0]->rank)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "%zu starts for rank %d", n, i->in[0]->rank);
    return 0;
}

static int slice_axis(const struct pi_infer *i, const struct spec *s, size_t k)
{
    struct pi_tensor *out = &i->out[0];
    int axis;
    PI_TRY(pi_axis(i->node, s->axes.present ? s->axes.v[k] : (int64_t)k, out->rank, &axis, i->err));
    const int known = s->starts.known && s->ends.known && (s->steps.known || !s->steps.present);
    const int64_t step = s->steps.known ? s->steps.v[k] : 1, dim = i->in[0]->dims[axis];
    if (step == 0) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "step %zu is 0", k);
    if (known && dim >= 0) out->dims[axis] = range_of(dim, s->starts.v[k], s->ends.v[k], step).count;
    else if (!known || !is_all(s->starts.v[k], s->ends.v[k], step)) out->dims[axis] = pi_infer_open(i);
    return 0;
}

static int infer_spec(const struct pi_infer *i, const struct spec *s)
{
    unsigned seen = 0;
    PI_TRY(check_lengths(i, s));
    PI_TRY(pi_infer_like(i));
    if (s->axes.present && !s->axes.known) {
        for (int d = 0; d < i->out[0].rank; d++) i->out[0].dims[d] = pi_infer_open(i);
        return 0;
    }
    for (size_t k = 0; k < s->starts.n; k++) {
        int axis;
        PI_TRY(slice_axis(i, s, k));
        PI_TRY(pi_axis(i->node, s->axes.present ? s->axes.v[k] : (int64_t)k, i->out[0].rank, &axis, i->err));
        if (seen >> axis & 1) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "axis %d is named twice", axis);
        seen |= 1u << axis;
    }
    return 0;
}

static int infer_attr(const struct pi_infer *i)
{
    const struct slice *p = i->node->params;
    const struct spec s = { p->starts, p->ends, p->axes, { 0 } };
    return infer_spec(i, &s);
}

static int infer(const struct pi_infer *i)
{
    struct spec s;
    PI_TRY(pi_ints_of_input(i, 1, &s.starts));
    PI_TRY(pi_ints_of_input(i, 2, &s.ends));
    PI_TRY(pi_ints_of_input(i, 3, &s.axes));
    PI_TRY(pi_ints_of_input(i, 4, &s.steps));
    return infer_spec(i, &s);
}

static void move(const struct pi_call *c, const struct spec *s)
{
    struct pi_tensor view = *c->in[0];
    for (size_t k = 0; k < s->starts.n; k++) {
        const int64_t named = s->axes.present ? s->axes.v[k] : (int64_t)k;
        const int axis = (int)(named < 0 ? named + view.rank : named);
        const struct range r = range_of(c->in[0]->dims[axis], s->starts.v[k], s->ends.v[k], s->steps.present ? s->steps.v[k] : 1);
        pi_narrow(&view, axis, r.from, r.count);
        if (r.count > 1) view.stride[axis] *= r.step;       /* of one element the step may be anything */
    }
    pi_move(c->ctx, &view, c->out[0]);
}

static void run_attr(const struct pi_call *c)
{
    const struct slice *p = c->node->params;
    const struct spec s = { p->starts, p->ends, p->axes, { 0 } };
    move(c, &s);
}

static void run(const struct pi_call *c)
{
    struct spec s;
    pi_ints_read(c->in[1], &s.starts);
    pi_ints_read(c->in[2], &s.ends);
    pi_ints_read(c->node->nin > 3 ? c->in[3] : NULL, &s.axes);
    pi_ints_read(c->node->nin > 4 ? c->in[4] : NULL, &s.steps);
    move(c, &s);
}

const struct pi_opdef pi_op_Slice_attr = {
    .name = "Slice", .since = 1, .until = 9, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS, .params_bytes = sizeof(struct slice), .check = check_attr, .infer = infer_attr,
    .run = run_attr
};
const struct pi_opdef pi_op_Slice = {
    .name = "Slice", .since = 10, .min_in = 3, .max_in = 5, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS, .infer = infer, .run = run
};
