/* One operator on its own: attributes and inputs by hand, then check, infer, run in a chosen layout. Outputs come back
 * row-major. Buffers end at guard pages. */
#ifndef PI_TEST_OP_CASE_H
#define PI_TEST_OP_CASE_H
#include "harness.h"
#include "../lib/graph/graph.h"

/* What the plan may do with an operator that follows strides. SPATIAL operators get channels-last whatever is asked. */
enum c_layout { C_ROWS, C_LAST, C_LAST_TO_ROWS, C_ROWS_TO_LAST, C_IN_PLACE, C_LAYOUTS };
enum { C_MAX = 12 };
struct c_case {
    precinfer_context *ctx;
    struct pi_node node;
    struct pi_attr attr[C_MAX];
    struct pi_tensor in[C_MAX], out[C_MAX];                 /* out: row-major, after c_run                     */
    int present[C_MAX], in_value[C_MAX], out_value[C_MAX];
    int out_quantized; float out_scale; int32_t out_zp;     /* of u8 outputs, as a recipe would say            */
    void *params;
    struct precinfer_error err;
};

static inline void c_begin(struct c_case *c, precinfer_context *ctx, const char *op, int opset)
{
    int known;
    memset(c, 0, sizeof *c);
    c->ctx = ctx;
    c->node.name = "n";
    c->node.op = pi_opdef_find(op, opset, &known);
    ck_assert_msg(c->node.op != NULL, "%s is not defined at opset %d", op, opset);
    c->node.opset = opset;
    c->node.attr = c->attr;
    c->node.in = c->in_value;
    c->node.out = c->out_value;
    c->node.nout = 1;
}
static inline struct pi_attr *c_attr(struct c_case *c, const char *name, enum pi_attr_type type)
{
    struct pi_attr *a = &c->attr[c->node.nattr++];
    a->name = name;
    a->type = type;
    return a;
}
static inline void c_int(struct c_case *c, const char *name, int64_t v) { c_attr(c, name, PI_ATTR_INT)->i = v; }
static inline void c_float(struct c_case *c, const char *name, float v) { c_attr(c, name, PI_ATTR_FLOAT)->f = v; }
static inline void c_string(struct c_case *c, const char *name, const char *v)
{
    struct pi_attr *a = c_attr(c, name, PI_ATTR_STRING);
    a->s = v;
    a->count = strlen(v);
}
/* v must live as long as the case. */
static inline void c_ints(struct c_case *c, const char *name, const int64_t *v, size_t n)
{
    struct pi_attr *a = c_attr(c, name, PI_ATTR_INTS);
    a->ints = v;
    a->count = n;
}
static inline void c_floats(struct c_case *c, const char *name, const float *v, size_t n)
{
    struct pi_attr *a = c_attr(c, name, PI_ATTR_FLOATS);
    a->floats = v;
    a->count = n;
}
/* In the block of the case itself: the literal ends with its block. */
#define C_COUNT(...) (sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))
#define C_INTS(c, name, ...) c_ints(c, name, (const int64_t[]){ __VA_ARGS__ }, C_COUNT(__VA_ARGS__))

static inline size_t c_bytes(const struct pi_tensor *t) { return (size_t)pi_elements(t) * pi_type_size((enum pi_type)t->type); }

/* The next input, row-major; content is the caller's to fill. dims < 0: open, no memory. */
static inline struct pi_tensor *c_in(struct c_case *c, enum pi_type type, int rank, const int64_t *dims)
{
    struct pi_tensor *t = &c->in[c->node.nin];
    t->type = (uint8_t)type;
    t->rank = rank;
    if (rank) memcpy(t->dims, dims, (size_t)rank * sizeof *dims);
    pi_row_major(t);
    if (pi_elements(t) >= 0) t->data = h_guard(c_bytes(t));
    c->present[c->node.nin++] = 1;
    return t;
}
#define C_DIMS(...) (int)C_COUNT(__VA_ARGS__), (const int64_t[]){ __VA_ARGS__ }
static inline struct pi_tensor *c_in_random(struct c_case *c, int rank, const int64_t *dims, double lo, double hi)
{
    struct pi_tensor *t = c_in(c, PI_F32, rank, dims);
    for (int64_t k = 0, n = pi_elements(t); k < n; k++)
        ((float *)t->data)[k] = (float)(lo + (hi - lo) * ((double)h_unit() + 1) / 2);
    return t;
}
static inline struct pi_tensor *c_in_s64(struct c_case *c, size_t n, const int64_t *v)
{
    const int64_t dim = (int64_t)n;
    struct pi_tensor *t = c_in(c, PI_S64, 1, &dim);
    if (n) memcpy(t->data, v, n * sizeof *v);
    return t;
}
#define C_S64(c, ...) c_in_s64(c, C_COUNT(__VA_ARGS__), (const int64_t[]){ __VA_ARGS__ })
static inline void c_absent(struct c_case *c) { c->node.nin++; }

/* Attributes, once. */
static inline int c_check(struct c_case *c)
{
    for (size_t k = 0; k < C_MAX; k++) c->in_value[k] = k < c->node.nin && c->present[k] ? (int)k : -1;
    for (size_t k = 0; k < c->node.nout; k++) c->out_value[k] = 100 + (int)k;
    if (c->params) return 0;
    c->params = calloc(1, c->node.op->params_bytes + 1);
    c->node.params = c->params;
    return c->node.op->check ? c->node.op->check(NULL, &c->node, &c->err) : 0;
}
static inline int c_infer_of(struct c_case *c, struct precinfer_graph *g, const struct pi_tensor *const *in)
{
    struct pi_infer i = { &c->node, g, in, c->out, &c->err };
    const int status = c_check(c);
    return status ? status : c->node.op->infer(&i);
}
/* As at load time when g is given. */
static inline int c_infer(struct c_case *c, struct precinfer_graph *g)
{
    const struct pi_tensor *in[C_MAX] = { NULL };
    for (size_t k = 0; k < c->node.nin; k++) in[k] = c->present[k] ? &c->in[k] : NULL;
    return c_infer_of(c, g, in);
}

static inline int c_is_last(const struct c_case *c, const struct pi_tensor *t, int is_output, size_t slot, enum c_layout layout)
{
    const uint32_t flags = c->node.op->flags;
    if (t->rank < 3) return 0;
    if (flags & PI_OP_SPATIAL) return is_output || slot == 0;
    if (!(flags & PI_OP_ANY_LAYOUT)) return 0;
    return is_output ? layout == C_LAST || layout == C_ROWS_TO_LAST : layout == C_LAST || layout == C_LAST_TO_ROWS;
}

/* Runs the case; status of check and infer. May be called again with another layout. */
static inline int c_run(struct c_case *c, enum c_layout layout)
{
    struct pi_tensor in[C_MAX], out[C_MAX];
    const struct pi_tensor *ins[C_MAX] = { NULL };
    struct pi_tensor *outs[C_MAX] = { NULL };
    for (size_t k = 0; k < c->node.nin; k++) {
        if (!c->present[k]) continue;
        in[k] = c->in[k];
        if (c_is_last(c, &in[k], 0, k, layout)) pi_channels_last(&in[k]);
        in[k].data = h_guard(c_bytes(&in[k]));
        pi_copy(&c->in[k], &in[k]);
        ins[k] = &in[k];
    }
    for (size_t k = 0; k < c->node.nout; k++) if (c->out[k].data) h_guard_free(c->out[k].data);
    memset(c->out, 0, sizeof c->out);
    const int status = c_infer_of(c, NULL, ins);
    const size_t count = status ? 0 : c->node.nout;
    for (size_t k = 0; k < count; k++) {
        if (c->out_quantized && k == 0) {
            c->out[k].type = PI_U8;
            c->out[k].quantized = 1;
            c->out[k].scale = c->out_scale;
            c->out[k].zp = c->out_zp;
        }
        out[k] = c->out[k];
        if (c_is_last(c, &out[k], 1, k, layout)) pi_channels_last(&out[k]);
        else pi_row_major(&out[k]);
        out[k].data = h_guard(c_bytes(&out[k]));
        outs[k] = &out[k];
    }
    const int shared = !status && layout == C_IN_PLACE && c->node.op->flags & PI_OP_INPLACE && pi_same_dims(&in[0], &out[0])
                       && in[0].type == out[0].type && in[0].quantized == out[0].quantized;
    if (shared) { h_guard_free(out[0].data); out[0].data = in[0].data; }
    if (!status) {
        struct pi_call call = { .ctx = c->ctx, .node = &c->node, .in = ins, .out = outs };
        const size_t ws = c->node.op->workspace ? c->node.op->workspace(&call) : 0;
        call.workspace = h_guard_aligned(ws + 64, 64);
        c->node.op->run(&call);
        h_guard_free(call.workspace);
    }
    for (size_t k = 0; k < count; k++) {
        pi_row_major(&c->out[k]);
        c->out[k].data = h_guard(c_bytes(&out[k]));
        pi_copy(&out[k], &c->out[k]);
        if (!(shared && k == 0)) h_guard_free(out[k].data);
    }
    for (size_t k = 0; k < c->node.nin; k++) if (c->present[k]) h_guard_free(in[k].data);
    return status;
}

static inline void c_end(struct c_case *c)
{
    for (size_t k = 0; k < c->node.nin; k++) if (c->in[k].data) h_guard_free(c->in[k].data);
    for (size_t k = 0; k < c->node.nout; k++) if (c->out[k].data) h_guard_free(c->out[k].data);
    free(c->params);
}
#endif
