/* From a lowered graph to places (tensors of a session) and steps: which form and layout each value has where, with the
 * conversions between them. Layout is a matter of speed only: every operator computes in the logical order. */
#include <string.h>
#include "plan.h"

enum layout { LAYOUT_ANY = -1, LAYOUT_ROW = 0, LAYOUT_LAST = 1 };

struct builder { precinfer_plan *p; struct precinfer_error *err; };

static int new_place(struct builder *b, int value, struct pi_place **place)
{
    precinfer_plan *p = b->p;
    if (p->nplaces == p->cplaces) {
        const size_t more = p->cplaces ? 2 * p->cplaces : 64;
        void *q = pi_grow(&p->ctx->alloc, p->places, p->cplaces * sizeof *p->places, more * sizeof *p->places);
        if (!q) return pi_no_memory(b->err, more * sizeof *p->places);
        p->places = q; p->cplaces = more;
    }
    struct pi_place *n = &p->places[p->nplaces++];
    memset(n, 0, sizeof *n);
    n->value = value;
    n->type = p->g->values[value].t.type;
    n->input = n->output = n->alias = n->producer = n->last = -1;
    *place = n;
    return 0;
}
static int new_step(struct builder *b, enum pi_step_kind kind, int node, size_t nin, size_t nout, struct pi_step **step)
{
    precinfer_plan *p = b->p;
    if (p->nsteps == p->csteps) {
        const size_t more = p->csteps ? 2 * p->csteps : 64;
        void *q = pi_grow(&p->ctx->alloc, p->steps, p->csteps * sizeof *p->steps, more * sizeof *p->steps);
        if (!q) return pi_no_memory(b->err, more * sizeof *p->steps);
        p->steps = q; p->csteps = more;
    }
    int *io = pi_arena_new(&p->arena, nin + nout + 1, sizeof *io);
    if (!io) return pi_no_memory(b->err, (nin + nout) * sizeof *io);
    for (size_t i = 0; i < nin + nout; i++) io[i] = -1;
    struct pi_step *s = &p->steps[p->nsteps++];
    memset(s, 0, sizeof *s);
    s->kind = (uint8_t)kind; s->node = node; s->res = -1;
    s->nin = (int)nin; s->nout = (int)nout; s->in = io; s->out = io + nin;
    *step = s;
    return 0;
}
static int step_index(const struct builder *b, const struct pi_step *s) { return (int)(s - b->p->steps); }

static int rank_of(const struct builder *b, int value) { return b->p->g->values[value].t.rank; }
/* Both layouts are the same memory: no channels to speak of, or no space. */
static int layouts_coincide(const struct builder *b, int value)
{
    const struct pi_tensor *t = &b->p->g->values[value].t;
    if (t->rank < 3 || t->dims[1] == 1) return 1;
    for (int i = 2; i < t->rank; i++) if (t->dims[i] != 1) return 0;
    return 1;
}
static enum pi_form form_of(const struct builder *b, const struct pi_place *q)
{
    if (q->type == b->p->g->values[q->value].t.type) return PI_FORM_NATIVE;
    return q->quantized ? PI_FORM_U8 : PI_FORM_BF16;
}
static void set_form(const struct builder *b, struct pi_place *q, enum pi_form form)
{
    const struct pi_lowered_value *l = &b->p->values[q->value];
    if (form == PI_FORM_U8) { q->type = PI_U8; q->quantized = 1; q->scale = l->scale; q->zp = l->zp; }
    else if (form == PI_FORM_BF16) q->type = PI_BF16;
}

static int find(const struct builder *b, int value, enum pi_form form, int layout)
{
    for (size_t i = 0; i < b->p->nplaces; i++) {
        const struct pi_place *q = &b->p->places[i];
        if (q->value == value && form_of(b, q) == form && (layout == LAYOUT_ANY || q->channels_last == layout || rank_of(b,
                value) < 3))
            return (int)i;
    }
    return -1;
}

/* A step from place `from` to a new place of the same value. */
static int derive(struct builder *b, int from, enum pi_step_kind kind, enum pi_form form, int last, int alias, const char *op,
                  int *to)
{
    struct pi_place *q;
    struct pi_step *s;
    const struct pi_place f = b->p->places[from];
    PI_TRY(new_place(b, f.value, &q));
    set_form(b, q, form);
    q->channels_last = (uint8_t)last;
    q->host = f.host;
    if (alias) q->alias = from;
    *to = (int)(q - b->p->places);
    PI_TRY(new_step(b, kind, -1, 1, 1, &s));
    s->in[0] = from; s->out[0] = *to;
    s->alias = (uint8_t)alias;
    s->name = b->p->g->values[f.value].name;
    s->op = op; s->fused = ""; s->kernel = alias ? "none" : "copy";
    s->precision = form == PI_FORM_U8 ? PRECINFER_PRECISION_INT8 : form == PI_FORM_BF16 ? PRECINFER_PRECISION_BF16 : PRECINFER_PRECISION_F32;
    b->p->places[*to].producer = step_index(b, s);
    return 0;
}

/* The place of `value` in this form and layout, made by conversion steps where it is not there yet. */
static int need(struct builder *b, int value, enum pi_form form, int layout, int *place)
{
    if (rank_of(b, value) < 3) layout = LAYOUT_ANY;
    if ((*place = find(b, value, form, layout)) >= 0) return 0;
    int at = find(b, value, form, LAYOUT_ANY);
    if (at < 0) {                       /* convert where it lies: the fewest bytes are then moved between layouts */
        const int home = b->p->value_place[value];
        if (home < 0)
            return pi_fail(b->err, PRECINFER_MALFORMED, "value '%s' is used before it is computed", b->p->g->values[value].name);
        const enum pi_form from = form_of(b, &b->p->places[home]);
        if (from != PI_FORM_NATIVE && form != PI_FORM_NATIVE) {     /* u8 <-> bf16 by way of f32 */
            int f32;
            PI_TRY(need(b, value, PI_FORM_NATIVE, LAYOUT_ANY, &f32));
            PI_TRY(derive(b, f32, PI_STEP_CONVERT, form, b->p->places[f32].channels_last, 0, "Convert", &at));
        } else
            PI_TRY(derive(b, home, PI_STEP_CONVERT, form, b->p->places[home].channels_last, 0,
                          form == PI_FORM_U8 ? "Quantize" : from == PI_FORM_U8 ? "Dequantize" : "Convert", &at));
    }
    if (layout == LAYOUT_ANY || b->p->places[at].channels_last == layout) { *place = at; return 0; }
    return derive(b, at, PI_STEP_COPY, form, layout, layouts_coincide(b, value), "Layout", place);
}

/* Does the operator read this input as data, in the form that the node computes in? */
static int is_data(const struct builder *b, const struct pi_node *n, size_t i)
{
    if (pi_has_weights(b->p->g, n)) return i == 0;
    return pi_data_input(b->p->g, n, i) && !b->p->g->values[n->in[i]].t.data;
}

/* Inputs must be there before the step that reads them: conversions are emitted first, then the node's own step. */
static int add_node(struct builder *b, int index)
{
    precinfer_plan *p = b->p;
    const struct pi_node *n = &p->g->nodes[index];
    const struct pi_lowered_node *l = &p->nodes[index];
    const int weights = pi_has_weights(p->g, n);
    const enum pi_form in_form = !weights ? (enum pi_form)l->out_form
                               : l->precision == PRECINFER_PRECISION_INT8 ? PI_FORM_U8
                               : l->precision == PRECINFER_PRECISION_BF16 ? PI_FORM_BF16 : PI_FORM_NATIVE;
    struct pi_step *s;
    int *in = pi_arena_new(&p->arena, n->nin + 1, sizeof *in);
    if (!in) return pi_no_memory(b->err, n->nin * sizeof *in);
    const uint32_t flags = n->op->flags;
    int last = flags & PI_OP_SPATIAL ? 1 : 0, res = -1, hosts = 0, others = 0;
    for (size_t i = 0; i < n->nin; i++) {
        in[i] = -1;
        if (n->in[i] < 0) continue;
        const int layout = flags & PI_OP_SPATIAL && i == 0 ? LAYOUT_LAST
                         : flags & (PI_OP_ANY_LAYOUT | PI_OP_SHAPE) ? LAYOUT_ANY : LAYOUT_ROW;
        if (flags & PI_OP_SHAPE) in[i] = p->value_place[n->in[i]];
        else PI_TRY(need(b, n->in[i], is_data(b, n, i) ? in_form : PI_FORM_NATIVE, layout, &in[i]));
        const struct pi_place *q = &p->places[in[i]];
        if (q->host) hosts++; else if (!q->constant) others++;
        if (flags & PI_OP_ANY_LAYOUT && q->channels_last && !q->constant &&
            rank_of(b, n->in[i]) == p->g->values[n->out[0]].t.rank) last = 1;
    }
    if (n->fused.has_res) {
        const int v = n->fused.res, home = p->value_place[v];
        enum pi_form f = home < 0 ? PI_FORM_NATIVE : form_of(b, &p->places[home]);
        if (l->precision == PRECINFER_PRECISION_INT8 && p->values[v].has_scale) f = PI_FORM_U8;
        else if (f == PI_FORM_U8 || l->precision == PRECINFER_PRECISION_F32) f = PI_FORM_NATIVE;
        PI_TRY(need(b, v, f, last ? LAYOUT_LAST : LAYOUT_ROW, &res));
    }
    PI_TRY(new_step(b, l->table ? PI_STEP_TABLE : PI_STEP_OP, index, n->nin, n->nout, &s));
    memcpy(s->in, in, n->nin * sizeof *in);
    s->res = res;
    s->precision = weights ? l->precision : l->out_form == PI_FORM_U8 ? PRECINFER_PRECISION_INT8
                 : l->out_form == PI_FORM_BF16 ? PRECINFER_PRECISION_BF16 : PRECINFER_PRECISION_F32;
    s->name = n->name; s->op = n->op->name; s->fused = n->fused.names ? n->fused.names : "";
    s->kernel = n->op->name;
    const int host = flags & PI_OP_SHAPE || (hosts && !others);
    const int step = step_index(b, s);
    for (size_t i = 0; i < n->nout; i++) {
        struct pi_place *q;
        if (n->out[i] < 0) continue;
        PI_TRY(new_place(b, n->out[i], &q));
        if (q->type == PI_F32) set_form(b, q, (enum pi_form)l->out_form);
        q->channels_last = (uint8_t)(last && rank_of(b, n->out[i]) >= 3);
        q->host = (uint8_t)host;
        q->producer = step;
        const int at = (int)(q - p->places);
        if (i == 0 && flags & PI_OP_ALIAS && !p->g->values[n->out[0]].is_output && in[0] >= 0 && !p->places[in[0]].constant) {
            q->alias = in[0];
            p->steps[step].alias = 1;
        }
        p->value_place[n->out[i]] = at;
        p->steps[step].out[i] = at;
    }
    return 0;
}

static int add_sources(struct builder *b)
{
    precinfer_plan *p = b->p;
    for (size_t v = 0; v < p->g->nvalues; v++) {
        struct pi_place *q;
        if (!p->g->values[v].t.data) continue;
        PI_TRY(new_place(b, (int)v, &q));
        q->constant = &p->g->values[v].t;
        p->value_place[v] = (int)(q - p->places);
    }
    for (size_t i = 0; i < p->g->ninputs; i++) {
        struct pi_place *q;
        PI_TRY(new_place(b, p->g->inputs[i], &q));
        q->input = (int)i;
        p->value_place[p->g->inputs[i]] = (int)(q - p->places);
    }
    return 0;
}

/* An output is a row-major tensor of the declared type in a place of its own, so that the caller's memory can stand for it. */
static int add_outputs(struct builder *b)
{
    precinfer_plan *p = b->p;
    for (size_t i = 0; i < p->g->noutputs; i++) {
        int place;
        PI_TRY(need(b, p->g->outputs[i], PI_FORM_NATIVE, LAYOUT_ROW, &place));
        const struct pi_place *q = &p->places[place];
        if (q->constant || q->input >= 0 || q->alias >= 0 || q->output >= 0 || q->host)
            PI_TRY(derive(b, place, PI_STEP_COPY, PI_FORM_NATIVE, 0, 0, "Output", &place));
        p->places[place].host = 0;
        p->places[place].output = (int)i;
    }
    return 0;
}

/* The last step that reads each place's memory; an alias keeps its source alive. */
static void lifetimes(precinfer_plan *p)
{
    for (size_t i = 0; i < p->nsteps; i++) {
        const struct pi_step *s = &p->steps[i];
        for (int j = 0; j < s->nin; j++) if (s->in[j] >= 0) p->places[s->in[j]].last = (int)i;
        if (s->res >= 0) p->places[s->res].last = (int)i;
    }
    for (size_t i = p->nplaces; i-- > 0;) {
        struct pi_place *q = &p->places[i];
        if (q->last < q->producer) q->last = q->producer;
        if (q->output >= 0) q->last = (int)p->nsteps;
        if (q->alias >= 0 && p->places[q->alias].last < q->last) p->places[q->alias].last = q->last;
    }
}

int pi_plan_places(precinfer_plan *p, struct precinfer_error *err)
{
    struct builder b = { p, err };
    p->value_place = pi_arena_new(&p->arena, p->g->nvalues + 1, sizeof *p->value_place);
    if (!p->value_place) return pi_no_memory(err, p->g->nvalues * sizeof *p->value_place);
    for (size_t v = 0; v < p->g->nvalues; v++) p->value_place[v] = -1;
    PI_TRY(add_sources(&b));
    for (size_t i = 0; i < p->g->nnodes; i++)
        if (!p->g->nodes[i].dead) PI_TRY(add_node(&b, (int)i));
    PI_TRY(add_outputs(&b));
    lifetimes(p);
    return 0;
}
