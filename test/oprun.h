/* Runs one operator with a compiled form the way a plan and a session do, in guarded memory of exactly the size asked for. */
#ifndef PI_TEST_OPRUN_H
#define PI_TEST_OPRUN_H
#include <math.h>
#include "harness.h"
#include "../lib/op/compiled.h"

enum { OP_MAX_IN = 3 };
struct op_run {
    const struct pi_opdef *op;
    struct pi_attr attr[10]; size_t nattr;
    struct pi_tensor in[OP_MAX_IN]; size_t nin;     /* rank 0 and no data: absent                              */
    unsigned late;                      /* bit i: input i is not a constant when the operator is compiled (bit 0 is implied) */
    int open;                           /* dims of input 0 are not known either                                */
    struct pi_fused fused;
    struct pi_tensor res;               /* with fused.has_res                                                  */
    struct pi_tensor out;               /* type, quantized, scale, zp; dims and data are the result            */
    const float *weight_scale;
    const struct pi_cpu *explain;       /* choose for this CPU, then stop                                      */
    pi_why *why; void *user;
    const char *kernel;                 /* result                                                              */
};

static inline void op_ints(struct op_run *r, const char *name, const int64_t *v, size_t n)
{
    r->attr[r->nattr++] = (struct pi_attr){ .name = name, .type = PI_ATTR_INTS, .count = n, .ints = v };
}
static inline void op_int(struct op_run *r, const char *name, int64_t v)
{
    r->attr[r->nattr++] = (struct pi_attr){ .name = name, .type = PI_ATTR_INT, .i = v };
}
static inline void op_float(struct op_run *r, const char *name, float v)
{
    r->attr[r->nattr++] = (struct pi_attr){ .name = name, .type = PI_ATTR_FLOAT, .f = v };
}
static inline void op_string(struct op_run *r, const char *name, const char *v)
{
    r->attr[r->nattr++] = (struct pi_attr){ .name = name, .type = PI_ATTR_STRING, .s = v, .count = strlen(v) };
}

static inline void op_layout(const struct pi_opdef *op, struct pi_tensor *t)
{
    if (op->flags & PI_OP_SPATIAL) pi_channels_last(t); else pi_row_major(t);
}

/* The failing compile, check or infer's status; r->out.data is to be freed with h_guard_free. */
static inline int op_exec(precinfer_context *ctx, struct op_run *r, struct precinfer_error *err)
{
    int values_in[OP_MAX_IN] = { 0, 1, 2 }, value_out = 3;
    const struct pi_tensor *in[OP_MAX_IN] = { 0 }, *late[OP_MAX_IN] = { 0 };
    struct pi_tensor blank[OP_MAX_IN], *out[1] = { &r->out }, guess;
    struct pi_node node = { .name = "tested", .op = r->op, .opset = 17, .nin = r->nin, .nout = 1, .nattr = r->nattr,
                            .in = values_in,
                            .out = &value_out, .attr = r->attr, .fused = r->fused };
    int status = 0;
    void *params = calloc(1, r->op->params_bytes + 1);
    node.params = params;
    for (size_t i = 0; i < r->nin; i++) {
        if (!r->in[i].rank && !r->in[i].data) { values_in[i] = -1; continue; }
        in[i] = &r->in[i];
        blank[i] = r->in[i];
        if (i == 0 || r->late >> i & 1) blank[i].data = NULL;
        if (i == 0 && r->open) for (int d = 0; d < blank[i].rank; d++) if (d != 1) blank[i].dims[d] = -1 - d;
        late[i] = &blank[i];
    }
    r->out.data = NULL;
    if (r->op->check) status = r->op->check(NULL, &node, err);
    const struct pi_infer infer = { .node = &node, .in = in, .out = &r->out, .err = err };
    const uint8_t type = r->out.type;
    if (!status) status = r->op->infer(&infer);
    r->out.type = type;
    op_layout(r->op, &r->out);
    guess = r->out;
    if (r->open) for (int d = 0; d < guess.rank; d++) guess.dims[d] = -1 - d;
    struct pi_compile c = { .ctx = ctx, .node = &node, .in = late, .out = &guess, .res = r->fused.has_res ? &r->res : NULL,
                            .weight_scale = r->weight_scale, .cpu = &ctx->cpu, .isas = ctx->isas };
    if (r->explain) {
        c.choose_only = 1;
        c.cpu = r->explain; c.isas = pi_isas_of(r->explain->features);
        c.why = r->why; c.user = r->user;
    }
    if (!status) status = r->op->compile(&c, err);
    r->kernel = c.kernel;
    if (status || r->explain) { free(params); return status; }
    struct pi_call call = { .ctx = ctx, .node = &node, .in = in, .out = out, .res = c.res, .state = c.state };
    const size_t table = r->op->tables ? r->op->tables(&call) : 0, ws = r->op->workspace ? r->op->workspace(&call) : 0;
    r->out.data = h_guard_aligned((size_t)pi_elements(&r->out) * pi_type_size(r->out.type), 4);
    call.tables = table ? h_guard_aligned(table, 4) : NULL;
    call.workspace = h_guard_aligned(ws, 64);
    if (r->op->fill) r->op->fill(&call);
    r->op->run(&call);
    h_guard_free(call.tables);
    h_guard_free(call.workspace);
    r->op->drop(ctx, c.state);
    free(params);
    return 0;
}
#endif
