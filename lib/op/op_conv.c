/* The operators Conv and ConvTranspose. */
#include <string.h>
#include "conv.h"
#include "dense.h"
#include "../quant/weights.h"

struct state { struct pi_conv conv; struct pi_epi_arrays e; int late_bias; };     /* late: not a constant */

static struct pi_conv_ask ask_of(const struct pi_compile *c)
{
    const struct pi_tensor *const x = c->in[0], *const w = c->in[1];
    struct pi_conv_ask q = { .cpu = c->cpu, .isas = c->isas, .only = c->ctx->kernel, .why = c->why, .user = c->user, .a = x->type,
                             .b = w->type, .out = c->out->type, .res = c->res ? c->res->type : PI_NONE,
                             .stages = pi_epi_stages(c),
                             .zp = x->type == PI_U8 ? x->zp : 0, .w = w->data };
    pi_conv_shape(c->node, x, w, &q.s);
    q.at = pi_conv_onnx_strides(&q.s);
    return q;
}

/* Sums of s8 weights, NULL for others; *status says whether memory ran out. */
static int64_t *weight_sums(const struct pi_compile *c, size_t n, int *status, struct precinfer_error *err)
{
    if (c->in[1]->type != PI_S8) return NULL;
    const struct pi_weight_layout l = pi_weight_layout(c->node, c->in[1]);
    int64_t *const sums = pi_calloc(&c->ctx->alloc, n, sizeof *sums);
    if (sums) pi_weight_sums(c->in[1]->data, &l, sums);
    else *status = pi_no_memory(err, n * sizeof *sums);
    return sums;
}

static const struct pi_tensor *bias_of(const struct pi_node *n, const struct pi_tensor *const *in)
{
    return n->nin > 2 ? in[2] : NULL;
}

static int fold(const struct pi_compile *c, size_t n, struct pi_epi_arrays *e, struct precinfer_error *err)
{
    const struct pi_tensor *const b = bias_of(c->node, c->in);
    if (b && !b->data && c->in[0]->type == PI_U8)
        return pi_node_fail(c->node, err, PRECINFER_UNSUPPORTED, "an int8 layer needs a constant bias");
    int status = 0;
    int64_t *const sums = weight_sums(c, n, &status, err);
    if (!status) status = pi_epi_fold(c, n, b ? b->data : NULL, sums, e, err);
    pi_free(&c->ctx->alloc, sums);
    return status;
}

static int compile(struct pi_compile *c, struct precinfer_error *err)
{
    const struct pi_conv_ask q = ask_of(c);
    struct state s = { 0 };
    if (!q.w && q.b == PI_S8) return pi_node_fail(c->node, err, PRECINFER_UNSUPPORTED, "int8 weights must be constant");
    PI_TRY(pi_check_weights(c, 1, err));
    if (pi_conv_choose(&q, &s.conv))
        return pi_node_fail(c->node, err, PRECINFER_UNSUPPORTED, "no kernel computes %s x %s to %s", pi_type_name(q.a),
                            pi_type_name(q.b), pi_type_name(q.out));
    c->kernel = s.conv.rows[0]->name;
    if (c->choose_only) return 0;
    PI_TRY(fold(c, q.s.o, &s.e, err));
    s.late_bias = bias_of(c->node, c->in) && !c->in[2]->data;
    int status = pi_conv_pack(c->ctx, &q, &s.conv, err);
    struct state *const state = status ? NULL : pi_malloc(&c->ctx->alloc, sizeof *state);
    if (!status && !state) status = pi_no_memory(err, sizeof *state);
    if (status) {
        pi_conv_drop(c->ctx, &s.conv);
        pi_epi_drop(c->ctx, &s.e);
        return status;
    }
    *state = s;
    c->state = state;
    c->packed_bytes = s.conv.packed_bytes;
    return 0;
}

static void drop(const precinfer_context *ctx, void *memory)
{
    struct state *const s = memory;
    if (!s) return;
    pi_conv_drop(ctx, &s->conv);
    pi_epi_drop(ctx, &s->e);
    pi_free(&ctx->alloc, s);
}

static struct pi_conv_shape shape_of(const struct pi_call *c)
{
    struct pi_conv_shape s;
    pi_conv_shape(c->node, c->in[0], c->in[1], &s);
    return s;
}
static size_t tables(const struct pi_call *c)
{
    const struct pi_conv_shape s = shape_of(c);
    return pi_conv_table_bytes(&((const struct state *)c->state)->conv, &s);
}
static void fill(const struct pi_call *c)
{
    const struct pi_conv_shape s = shape_of(c);
    pi_conv_fill(&((const struct state *)c->state)->conv, &s, c->tables);
}

/* A bias that comes at run time stands before the convolution's own workspace. */
static size_t workspace(const struct pi_call *c)
{
    const struct state *const st = c->state;
    const struct pi_conv_shape s = shape_of(c);
    return (st->late_bias ? pi_up(s.o * 4, 64) : 0) + pi_conv_workspace(c->ctx, &st->conv, &s);
}

static void run(const struct pi_call *c)
{
    const struct state *const st = c->state;
    const struct pi_conv_shape s = shape_of(c);
    struct pi_epi epi = st->e.epi;
    char *ws = c->workspace;
    if (st->late_bias) {
        pi_epi_bias((float *)ws, s.o, bias_of(c->node, c->in)->data, s.o, 1.0f);
        epi.bias = ws;
        ws += pi_up(s.o * 4, 64);
    }
    const struct pi_conv_io io = { .x = c->in[0]->data, .w = c->in[1]->data, .res = c->res ? c->res->data : NULL,
                                   .y = c->out[0]->data,
                                   .epi = &epi, .table = c->tables, .ws = ws };
    pi_conv_run(c->ctx, &st->conv, &s, &io);
}

#define CONV(symbol, ONNX, CHECK)                                                                                       \
const struct pi_opdef pi_op_##symbol = {                                                                                \
    .name = ONNX, .since = 1, .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,                                     \
    .flags = PI_OP_SPATIAL | PI_OP_EPILOGUE | PI_OP_WEIGHTS, .forms = PI_BIT(PI_U8) | PI_BIT(PI_BF16),                  \
    .params_bytes = sizeof(struct pi_conv_attrs), .check = CHECK, .infer = pi_conv_infer, .compile = compile, .drop = drop, \
    .tables = tables, .fill = fill, .workspace = workspace, .run = run };
extern const struct pi_opdef pi_op_Conv, pi_op_ConvTranspose;
CONV(Conv, "Conv", pi_conv_check)
CONV(ConvTranspose, "ConvTranspose", pi_conv_transposed_check)
