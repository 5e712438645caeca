/* Kernels and packed weights for the steps of a plan. */
#include <string.h>
#include "../op/compiled.h"
#include "../quant/qparams.h"
#include "plan.h"

/* A place as a tensor with what is known at load time. */
static void place_tensor(const precinfer_plan *p, int place, struct pi_tensor *t)
{
    const struct pi_place *q = &p->places[place];
    *t = p->g->values[q->value].t;
    t->type = q->type;
    t->quantized = q->quantized;
    t->scale = q->scale;
    t->zp = q->zp;
    if (q->constant) { *t = *q->constant; return; }
    t->data = NULL;
    if (pi_elements(t) < 0) return;
    if (q->channels_last) pi_channels_last(t); else pi_row_major(t);
}

struct tensors { struct pi_tensor *t; const struct pi_tensor **in; struct pi_tensor out, res; };
static int gather(const precinfer_plan *p, const struct pi_step *s, struct tensors *x, struct precinfer_error *err)
{
    const size_t n = (size_t)s->nin + 1;
    x->t = pi_calloc(&p->ctx->alloc, n, sizeof *x->t + sizeof *x->in);
    if (!x->t) return pi_no_memory(err, n * sizeof *x->t);
    x->in = (const struct pi_tensor **)(x->t + n);
    for (int i = 0; i < s->nin; i++)
        if (s->in[i] >= 0) { place_tensor(p, s->in[i], &x->t[i]); x->in[i] = &x->t[i]; }
    if (s->out[0] >= 0) place_tensor(p, s->out[0], &x->out);
    if (s->res >= 0) place_tensor(p, s->res, &x->res);
    return 0;
}

static void context_of(const precinfer_plan *p, const struct pi_step *s, const struct tensors *x, struct pi_compile *c)
{
    memset(c, 0, sizeof *c);
    c->ctx = p->ctx;
    c->node = &p->g->nodes[s->node];
    c->in = x->in;
    c->out = &x->out;
    c->res = s->res >= 0 ? &x->res : NULL;
    c->weight_scale = p->nodes[s->node].weight_scale;
    c->cpu = &p->ctx->cpu;
    c->isas = p->ctx->isas;
}

/* The conversion rows; everything else that is not compiled looks its rows up when it runs. */
static void convert_problem(const precinfer_plan *p, const struct pi_step *s, struct pi_problem *q)
{
    const struct pi_place *from = &p->places[s->in[0]], *to = &p->places[s->out[0]];
    memset(q, 0, sizeof *q);
    q->family = PI_ELTWISE;
    q->op = to->quantized ? PI_QUANTIZE : from->quantized ? PI_DEQUANTIZE : PI_CONVERT;
    q->a = from->type;
    q->out = to->type;
    q->n = 1024;
}

static float round_even(float x) { return (x + 12582912.0f) - 12582912.0f; }     /* |x| < 2^22 */
/* The operator itself on the 256 values of its input, quantized as the quantize kernel does. */
static int make_table(precinfer_plan *p, struct pi_step *s, struct precinfer_error *err)
{
    const struct pi_node *n = &p->g->nodes[s->node];
    const struct pi_place *from = &p->places[s->in[0]], *to = &p->places[s->out[0]];
    struct { float x[256], y[256]; } *v = pi_malloc(&p->ctx->alloc, sizeof *v);
    uint8_t *table = pi_arena_new(&p->arena, 256, 1);
    struct tensors x = { 0 };
    if (!v || !table) { pi_free(&p->ctx->alloc, v); return pi_no_memory(err, sizeof *v); }
    int status = gather(p, s, &x, err);
    if (!status) {
        struct pi_tensor a = { .data = v->x, .type = PI_F32, .rank = 1, .dims = { 256 }, .stride = { 1 } }, y = a, *out = &y;
        y.data = v->y;
        for (int i = 0; i < 256; i++) v->x[i] = (float)(i - from->zp) * from->scale;
        x.in[0] = &a;
        const struct pi_call call = { .ctx = p->ctx, .node = n, .in = x.in, .out = &out };
        n->op->run(&call);
        for (int i = 0; i < 256; i++) {
            float q = v->y[i] / to->scale;
            q = q != q ? 0 : q < -1024 ? -1024 : q > 1024 ? 1024 : round_even(q);
            const int z = (int)q + to->zp;
            table[i] = (uint8_t)(z < 0 ? 0 : z > 255 ? 255 : z);
        }
        s->table = table;
    }
    pi_free(&p->ctx->alloc, x.t);
    pi_free(&p->ctx->alloc, v);
    return status;
}

/* What run will look up: rows of the operator for the type of its input. */
static int looks_up(const precinfer_plan *p, const struct pi_step *s, struct pi_problem *q)
{
    const struct pi_opdef *op = s->kind == PI_STEP_OP && s->node >= 0 ? p->g->nodes[s->node].op : NULL;
    if (!op || !op->row || op->compile || s->alias || s->in[0] < 0 || s->out[0] < 0) return 0;
    memset(q, 0, sizeof *q);
    q->family = op->family;
    q->op = op->row;
    q->a = q->out = p->places[s->in[0]].type;
    q->b = op->family == PI_ELTWISE && s->nin > 1 && !(op->flags & PI_OP_UNARY) ? q->a : PI_NONE;
    q->m = 1;
    q->n = 1024;
    return 1;
}

static const struct pi_row *table_row(const precinfer_plan *p, const struct pi_cpu *cpu, uint64_t isas, pi_why *why, void *user)
{
    const struct pi_problem q = { .family = PI_ELTWISE, .op = PI_TABLE256, .a = PI_U8, .out = PI_U8, .n = 1024 };
    return pi_choose(cpu, isas, p->ctx->kernel, &q, why, user);
}

static int compile_step(precinfer_plan *p, struct pi_step *s, struct precinfer_error *err)
{
    const unsigned saved = pi_fp_enter();
    int status = 0;
    if (s->kind == PI_STEP_TABLE) {
        const struct pi_row *row = table_row(p, &p->ctx->cpu, p->ctx->isas, NULL, NULL);
        status = make_table(p, s, err);
        s->state = (void *)(uintptr_t)row;
        s->kernel = row->name;
    } else if (s->kind == PI_STEP_CONVERT) {
        struct pi_problem q;
        convert_problem(p, s, &q);
        const struct pi_row *row = pi_choose(&p->ctx->cpu, p->ctx->isas, p->ctx->kernel, &q, NULL, NULL);
        if (!row) status = pi_fail(err, PRECINFER_UNSUPPORTED, "value '%s': no kernel converts %s to %s", s->name,
                                   pi_type_name((enum pi_type)q.a), pi_type_name((enum pi_type)q.out));
        else { s->state = (void *)(uintptr_t)row; s->kernel = row->name; }
    } else if (s->kind == PI_STEP_OP && !s->alias && p->g->nodes[s->node].op->compile) {
        struct tensors x = { 0 };
        struct pi_compile c;
        status = gather(p, s, &x, err);
        if (!status) {
            context_of(p, s, &x, &c);
            status = c.node->op->compile(&c, err);
            s->state = c.state;
            if (c.kernel) s->kernel = c.kernel;
            s->packed_bytes = c.packed_bytes;
        }
        pi_free(&p->ctx->alloc, x.t);
    }
    struct pi_problem q;
    const struct pi_row *row = looks_up(p, s, &q) ? pi_choose(&p->ctx->cpu, p->ctx->isas, p->ctx->kernel, &q, NULL, NULL) : NULL;
    if (row) s->kernel = row->name;
    pi_fp_leave(saved);
    return status;
}

int pi_plan_kernels(precinfer_plan *p, const struct pi_plan_progress *progress, struct precinfer_error *err)
{
    for (size_t i = 0; i < p->nsteps; i++) {
        PI_TRY(compile_step(p, &p->steps[i], err));
        if (progress && progress->progress && progress->progress(progress->user, "compile", i + 1, p->nsteps))
            return pi_fail(err, PRECINFER_CANCELLED, "cancelled after %zu of %zu layers", i + 1, p->nsteps);
    }
    return 0;
}

int pi_step_explain(const precinfer_plan *p, size_t step, const struct pi_cpu *cpu, uint64_t isas, pi_why *why, void *user,
                    const char **kernel, struct precinfer_error *err)
{
    const struct pi_step *s = &p->steps[step];
    int status = 0;
    struct pi_problem rows;
    *kernel = s->kernel;
    if (looks_up(p, s, &rows)) {
        const struct pi_row *row = pi_choose(cpu, isas, p->ctx->kernel, &rows, why, user);
        if (row) *kernel = row->name;
    } else if (s->kind == PI_STEP_TABLE) *kernel = table_row(p, cpu, isas, why, user)->name;
    else if (s->kind == PI_STEP_CONVERT) {
        struct pi_problem q;
        convert_problem(p, s, &q);
        const struct pi_row *row = pi_choose(cpu, isas, p->ctx->kernel, &q, why, user);
        if (row) *kernel = row->name;
    } else if (s->kind == PI_STEP_OP && !s->alias && p->g->nodes[s->node].op->compile) {
        struct tensors x = { 0 };
        struct pi_compile c;
        status = gather(p, s, &x, err);
        if (!status) {
            context_of(p, s, &x, &c);
            c.cpu = cpu; c.isas = isas; c.why = why; c.user = user; c.choose_only = 1;
            status = c.node->op->compile(&c, err);
            if (!status && c.kernel) *kernel = c.kernel;
        }
        pi_free(&p->ctx->alloc, x.t);
    }
    return status;
}
