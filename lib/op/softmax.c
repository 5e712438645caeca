/* Softmax and LogSoftmax. Up to opset 12 the input is a matrix, flattened at the axis; from 13 on the axis alone is a row. */
#include "elt.h"
#include "infer.h"
#include "rows.h"
#include "walk.h"

struct softmax { int log; int64_t axis; };

static int check(struct pi_node *n, int log, struct precinfer_error *err)
{
    struct softmax *s = n->params;
    s->log = log;
    return pi_attr_int(n, "axis", n->opset < 13 ? 1 : -1, &s->axis, err);
}
static int check_softmax(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    return check(n, 0, err);
}
static int check_log(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    return check(n, 1, err);
}

static int infer(const struct pi_infer *i)
{
    int axis;
    if (i->in[0]->type != PI_F32)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "input 0 is %s, not float32", pi_type_name(i->in[0]->type));
    PI_TRY(pi_axis(i->node, ((const struct softmax *)i->node->params)->axis, i->in[0]->rank, &axis, i->err));
    return pi_infer_like(i);
}

static unsigned mask_of(const struct pi_call *c)
{
    const int64_t named = ((const struct softmax *)c->node->params)->axis;
    const int rank = c->in[0]->rank, axis = (int)(named < 0 ? named + rank : named);
    return c->node->opset < 13 ? ((1u << rank) - 1) & ~((1u << axis) - 1) : 1u << axis;
}

static size_t slot_bytes(const struct pi_rows *r) { return pi_up(2 * r->n * sizeof(float), 64); }

static size_t workspace(const struct pi_call *c)
{
    struct pi_rows r;
    pi_rows_make(&r, c->in[0], mask_of(c));
    return c->ctx->threads * slot_bytes(&r);
}

struct job {
    int log;
    pi_reduce_fn *softmax, *max, *sum;
    pi_elt_fn *sub, *exp, *ln;
    struct pi_rows in, out;
    const char *from; char *to;
    char *workspace; size_t slot_bytes;
};

/* (x - max) - log(sum of exp(x - max)); both buffers hold n. */
static void log_row(const struct job *j, const void *a, void *c, float *scratch)
{
    const size_t n = j->in.n;
    float most, sum;
    const struct pi_reduce max = { .m = 1, .n = n, .a = a, .c = &most };
    j->max(&max);
    const struct pi_elt shift = { .n = n, .a = a, .b = &most, .c = c, .mode = PI_B_SCALAR };
    j->sub(&shift);
    const struct pi_elt grow = { .n = n, .a = c, .c = scratch };
    j->exp(&grow);
    const struct pi_reduce all = { .m = 1, .n = n, .a = scratch, .c = &sum };
    j->sum(&all);
    const struct pi_elt ln = { .n = 1, .a = &sum, .c = &sum };
    j->ln(&ln);
    const struct pi_elt down = { .n = n, .a = c, .b = &sum, .c = c, .mode = PI_B_SCALAR };
    j->sub(&down);
}

static void span(void *arg, size_t begin, size_t end, size_t slot)
{
    const struct job *j = arg;
    float *scratch = (float *)(j->workspace + slot * j->slot_bytes), *row = scratch + j->in.n;
    for (size_t r = begin; r < end; r++) {
        const char *from = j->from + pi_rows_at(&j->in, r);
        char *to = j->to + pi_rows_at(&j->out, r);
        const void *a = j->in.dense ? (const void *)from : row;
        void *c = j->out.dense ? (void *)to : row;
        if (!j->in.dense) pi_rows_gather(&j->in, from, row);
        if (j->log) log_row(j, a, c, scratch);
        else {
            const struct pi_reduce p = { .m = 1, .n = j->in.n, .a = a, .lda = 0, .c = c, .ldc = 0 };
            j->softmax(&p);
        }
        if (!j->out.dense) pi_rows_scatter(&j->out, row, to);
    }
}

static pi_reduce_fn *reduce_of(const struct pi_call *c, int op)
{
    return pi_row_find(c->ctx, PI_REDUCE, op, PI_F32, PI_NONE, PI_F32)->fn.reduce;
}

static void run(const struct pi_call *c)
{
    struct job j = { .log = ((const struct softmax *)c->node->params)->log, .from = c->in[0]->data, .to = c->out[0]->data,
                     .workspace = c->workspace };
    j.softmax = reduce_of(c, PI_SOFTMAX);
    j.max = reduce_of(c, PI_RMAX);
    j.sum = reduce_of(c, PI_RSUM);
    j.sub = pi_row_find(c->ctx, PI_ELTWISE, PI_SUB, PI_F32, PI_F32, PI_F32)->fn.elt;
    j.exp = pi_row_find(c->ctx, PI_ELTWISE, PI_EXP, PI_F32, PI_NONE, PI_F32)->fn.elt;
    j.ln = pi_row_find(c->ctx, PI_ELTWISE, PI_LOG, PI_F32, PI_NONE, PI_F32)->fn.elt;
    pi_rows_make(&j.in, c->in[0], mask_of(c));
    pi_rows_make(&j.out, c->out[0], mask_of(c));
    j.slot_bytes = slot_bytes(&j.in);
    if (j.in.n > 0) pi_span(c->ctx, j.in.m, j.in.m * j.in.n * 8, span, &j);
}

const struct pi_opdef pi_op_Softmax = {
    .family = PI_REDUCE, .row = PI_SOFTMAX,
    .name = "Softmax", .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_INPLACE,
    .params_bytes = sizeof(struct softmax), .check = check_softmax, .infer = infer, .workspace = workspace, .run = run
};
const struct pi_opdef pi_op_LogSoftmax = {
    .name = "LogSoftmax", .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_INPLACE, .params_bytes = sizeof(struct softmax), .check = check_log, .infer = infer,
    .workspace = workspace, .run = run
};
