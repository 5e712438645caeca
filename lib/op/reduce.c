/* ReduceMean, ReduceSum, ReduceMax, ReduceMin. Over exactly the spatial axes of a tensor of rank 4 and more they are one
 * row-major chain, the same bits as global pooling; else a row's elements go to 16 lanes in ONNX order. */
#include "chain.h"
#include "elt.h"
#include "infer.h"
#include "rows.h"
#include "walk.h"

enum kind { MEAN, SUM, MAX, MIN };
struct reduce { enum kind kind; int keepdims, empty_is_none; struct pi_ints axes; };

static int check(struct pi_node *n, enum kind kind, int attr, struct precinfer_error *err)
{
    struct reduce *r = n->params;
    int64_t v;
    r->kind = kind;
    PI_TRY(pi_attr_int(n, "keepdims", 1, &v, err));
    r->keepdims = v != 0;
    PI_TRY(pi_attr_int(n, "noop_with_empty_axes", 0, &v, err));
    r->empty_is_none = v != 0;
    return attr ? pi_ints_of_attr(n, "axes", &r->axes, err) : 0;
}

/* The reduced dimensions as bits. */
static unsigned mask_of(const struct reduce *r, const struct pi_ints *axes, int rank)
{
    unsigned mask = 0;
    if (axes->n == 0) return r->empty_is_none ? 0 : (1u << rank) - 1;
    for (size_t k = 0; k < axes->n; k++) mask |= 1u << (axes->v[k] < 0 ? axes->v[k] + rank : axes->v[k]);
    return mask;
}

static int infer_axes(const struct pi_infer *i, const struct pi_ints *axes)
{
    const struct reduce *r = i->node->params;
    const struct pi_tensor *in = i->in[0];
    struct pi_tensor *out = &i->out[0];
    if (in->type != PI_S32 && in->type != PI_S64 && in->type != PI_F32)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "input 0 is %s", pi_type_name(in->type));
    if (axes->present && !axes->known) return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "axes depend on data");
    for (size_t k = 0; k < axes->n; k++) {
        int axis;
        PI_TRY(pi_axis(i->node, axes->v[k], in->rank, &axis, i->err));
    }
    const unsigned mask = mask_of(r, axes, in->rank);
    pi_set_like(out, in);
    out->rank = 0;
    for (int d = 0; d < in->rank; d++) {
        if (in->dims[d] == 0 && mask >> d & 1)
            return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "dimension %d is empty", d);
        if (!(mask >> d & 1)) out->dims[out->rank++] = in->dims[d];
        else if (r->keepdims) out->dims[out->rank++] = 1;
    }
    return 0;
}

static int infer_attr(const struct pi_infer *i) { return infer_axes(i, &((const struct reduce *)i->node->params)->axes); }
static int infer(const struct pi_infer *i)
{
    struct pi_ints axes;
    PI_TRY(pi_ints_of_input(i, 1, &axes));
    return infer_axes(i, &axes);
}

/* ---------------------------------------------------------------- run */

static unsigned mask_in_run(const struct pi_call *c)
{
    const struct reduce *r = c->node->params;
    struct pi_ints axes = r->axes;
    if (c->node->nin > 1) pi_ints_read(c->in[1], &axes);
    return mask_of(r, &axes, c->in[0]->rank);
}

/* The output's dims that the input keeps, with their strides. */
static struct pi_tensor kept_of(const struct pi_call *c, unsigned mask)
{
    struct pi_tensor t = *c->out[0];
    if (!((const struct reduce *)c->node->params)->keepdims) return t;
    for (int d = c->in[0]->rank - 1; d >= 0; d--)
        if (mask >> d & 1) pi_drop_axis(&t, d);
    return t;
}

static int is_chain(const struct pi_tensor *in, unsigned mask)
{
    return in->type == PI_F32 && in->rank >= 4 && mask == ((1u << in->rank) - 1 - 3);
}

static void smallest(const struct pi_pool *t)
{
    for (size_t j = 0; j < t->n; j++) {
        float best = ((const float *)t->a[0])[j];
        for (size_t s = 1; s < t->count[0]; s++) {
            const float x = ((const float *)t->a[s])[j];
            best = x != x || x < best ? x : best;
        }
        ((float *)t->c[0])[j] = best;
    }
}

static void run_chain(const struct pi_call *c, unsigned mask)
{
    const struct reduce *r = c->node->params;
    const struct pi_tensor out = kept_of(c, mask);
    const struct pi_pool proto = { 0 };
    uint32_t divide = 1;                                    /* a sum is an average by 1 */
    pi_pool_fn *fn = r->kind == MIN ? smallest : pi_pool_find(c->ctx, r->kind == MAX ? PI_MAXPOOL : PI_AVGPOOL, PI_F32);
    for (int d = 2; r->kind == MEAN && d < c->in[0]->rank; d++) divide *= (uint32_t)c->in[0]->dims[d];
    pi_chain(c->ctx, fn, &proto, divide, c->in[0], &out, c->workspace);
}

struct job {
    enum kind kind;
    pi_reduce_fn *fn;
    struct pi_rows in, out;
    enum pi_type type;
    const char *from; char *to;
    char *workspace; size_t slot_bytes;
};

static int64_t reduce_ints(const struct job *j, const void *row)
{
    int64_t r = 0;
    for (size_t k = 0; k < j->in.n; k++) {
        const int64_t x = j->type == PI_S32 ? ((const int32_t *)row)[k] : ((const int64_t *)row)[k];
        if (k == 0) r = x;
        else if (j->kind == MAX) r = x > r ? x : r;
        else if (j->kind == MIN) r = x < r ? x : r;
        else r = (int64_t)((uint64_t)r + (uint64_t)x);
    }
    return j->kind == MEAN ? r / (int64_t)j->in.n : r;
}

static void reduce_row(const struct job *j, const void *row, char *to)
{
    if (j->type == PI_S32) { *(int32_t *)to = (int32_t)reduce_ints(j, row); return; }
    if (j->type == PI_S64) { *(int64_t *)to = reduce_ints(j, row); return; }
    const struct pi_reduce p = { .m = 1, .n = j->in.n, .a = row, .lda = 0, .c = to, .ldc = 0 };
    j->fn(&p);
    if (j->kind == MEAN) *(float *)to /= (float)j->in.n;
}

static void span(void *arg, size_t begin, size_t end, size_t slot)
{
    const struct job *j = arg;
    char *scratch = j->workspace + slot * j->slot_bytes;
    for (size_t row = begin; row < end; row++) {
        const char *from = j->from + pi_rows_at(&j->in, row);
        if (!j->in.dense) {
            pi_rows_gather(&j->in, from, scratch);
            from = scratch;
        }
        reduce_row(j, from, j->to + pi_rows_at(&j->out, row));
    }
}

static void run_rows(const struct pi_call *c, unsigned mask)
{
    static const uint8_t ops[] = { [MEAN] = PI_RSUM, [SUM] = PI_RSUM, [MAX] = PI_RMAX, [MIN] = PI_RMIN };
    const struct reduce *r = c->node->params;
    const struct pi_tensor out = kept_of(c, mask);
    struct job j = { .kind = r->kind, .type = c->in[0]->type, .from = c->in[0]->data, .to = out.data, .workspace = c->workspace };
    if (j.type == PI_F32) j.fn = pi_row_find(c->ctx, PI_REDUCE, ops[r->kind], PI_F32, PI_NONE, PI_F32)->fn.reduce;
    pi_rows_make(&j.in, c->in[0], mask);
    pi_rows_make(&j.out, &out, 0);
    j.slot_bytes = pi_up(j.in.n * j.in.size, 64);
    pi_span(c->ctx, j.in.m, j.in.m * j.in.n, span, &j);
}

static size_t workspace(const struct pi_call *c)
{
    const struct pi_tensor *in = c->in[0];
    const unsigned mask = mask_in_run(c);
    struct pi_rows rows;
    if (is_chain(in, mask)) return pi_chain_workspace(c->ctx, in);
    pi_rows_make(&rows, in, mask);
    return c->ctx->threads * pi_up(rows.n * rows.size, 64);
}

static void run(const struct pi_call *c)
{
    const unsigned mask = mask_in_run(c);
    if (is_chain(c->in[0], mask)) run_chain(c, mask);
    else run_rows(c, mask);
}

#define DEFINE(symbol, onnx, from, to, inputs, kind, checker, inferrer)                                                 \
    const struct pi_opdef pi_op_##symbol = {                                                                            \
        .name = onnx, .since = from, .until = to, .min_in = 1, .max_in = inputs, .min_out = 1, .max_out = 1,            \
        .flags = PI_OP_ANY_LAYOUT, .family = PI_REDUCE, .row = kind == MAX ? PI_RMAX : kind == MIN ? PI_RMIN : PI_RSUM, \
        .params_bytes = sizeof(struct reduce), .check = checker, .infer = inferrer,                                     \
        .workspace = workspace, .run = run                                                                              \
    };
/* Axes in an attribute up to opset `last`, in an input after it. */
#define REDUCE(symbol, onnx, kind, last)                                                                                \
    static int check_##symbol##_attr(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)         \
    {                                                                                                                   \
        (void)g;                                                                                                        \
        return check(n, kind, 1, err);                                                                                  \
    }                                                                                                                   \
    static int check_##symbol(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)                \
    {                                                                                                                   \
        (void)g;                                                                                                        \
        return check(n, kind, 0, err);                                                                                  \
    }                                                                                                                   \
    DEFINE(symbol##_attr, onnx, 1, last, 1, kind, check_##symbol##_attr, infer_attr)                                    \
    DEFINE(symbol, onnx, last + 1, 0, 2, kind, check_##symbol, infer)
REDUCE(ReduceMean, "ReduceMean", MEAN, 17)
REDUCE(ReduceSum, "ReduceSum", SUM, 12)
REDUCE(ReduceMax, "ReduceMax", MAX, 17)
REDUCE(ReduceMin, "ReduceMin", MIN, 17)
