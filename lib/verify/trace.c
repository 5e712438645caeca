#include <string.h>
#include "../base/error.h"
#include "trace.h"

int pi_trace_new(precinfer_context *ctx, size_t size, struct pi_trace **t, struct precinfer_error *err)
{
    if (!(*t = pi_calloc(&ctx->alloc, 1, size))) return pi_no_memory(err, size);
    (*t)->ctx = ctx;
    (*t)->arena.a = &ctx->alloc;
    pi_context_retain(ctx);
    return 0;
}

void pi_trace_free(struct pi_trace *t)
{
    if (!t) return;
    precinfer_context *ctx = t->ctx;
    if (t->close) t->close(t);
    pi_arena_free(&t->arena);
    pi_free(&ctx->alloc, t);
    pi_context_release(ctx);
}

size_t pi_trace_rows(const struct pi_tensor *t, size_t samples)
{
    return t->rank > 0 && samples && t->dims[0] % (int64_t)samples == 0 ? (size_t)t->dims[0] / samples : 0;
}

/* ------------------------------------------------------------------------------------------------ names */

int pi_trace_form(const struct pi_traced *t) { return t->quantized ? 2 : t->type == PI_BF16 ? 1 : 0; }

static int is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int same_loosely(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && (is_plain(*a) || is_plain(*b) || (*a != '_' && *b != '_'))) return 0;
    return !*a && !*b;
}

static int find(const struct pi_trace *t, const char *name, int form, int loose, int *twice)
{
    int at = -1;
    for (size_t i = 0; i < t->n; i++) {
        if (loose ? !same_loosely(t->tensors[i].name, name) : strcmp(t->tensors[i].name, name)) continue;
        if (form >= 0 && pi_trace_form(&t->tensors[i]) != form) continue;
        if (at < 0) at = (int)i;
        else if (strcmp(t->tensors[at].name, t->tensors[i].name)) *twice = 1;
    }
    return at;
}

int pi_trace_find(const struct pi_trace *t, const char *name, int form)
{
    int twice = 0, at = find(t, name, form, 0, &twice);
    if (at >= 0 || !t->loose) return at;
    at = find(t, name, form, 1, &twice);
    return twice ? -1 : at;
}

/* ------------------------------------------------------------------------------------------------ runs of a plan */

struct run {
    struct pi_trace t;
    precinfer_plan *plan;
    struct pi_fitted fitted;
    struct pi_scratch scratch;
};

static void close_run(struct pi_trace *t)
{
    struct run *r = (struct run *)t;
    precinfer_session_free(r->fitted.s);
    pi_scratch_free(t->ctx, &r->scratch);
    pi_plan_release(r->plan);
}

static int next_run(struct pi_trace *t, const struct precinfer_batch *b, struct precinfer_error *err)
{
    struct run *r = (struct run *)t;
    const precinfer_graph *g = r->plan->g;
    t->samples = 0;
    PI_TRY(pi_session_fit(r->plan, 1, b, &r->fitted, err));
    for (size_t i = 0; i < b->ninputs; i++)
        PI_TRY(precinfer_bind(r->fitted.s, g->values[g->inputs[i]].name, &b->inputs[i], err));
    PI_TRY(precinfer_session_run(r->fitted.s, err));
    t->samples = b->samples;
    return 0;
}

static int get_run(struct pi_trace *t, size_t i, struct pi_tensor *tensor, struct precinfer_error *err)
{
    struct run *r = (struct run *)t;
    return pi_values_rows(t->ctx, &r->fitted.s->t[t->tensors[i].place], &r->scratch, tensor, err);
}

/* A place that a step computes, the first of its value in this form; layouts are the same numbers. */
static int is_new(const struct run *r, int place)
{
    const struct pi_place *q = &r->plan->places[place];
    for (size_t i = 0; i < r->t.n; i++) {
        const struct pi_place *p = &r->plan->places[r->t.tensors[i].place];
        if (p->value == q->value && p->type == q->type && p->quantized == q->quantized) return 0;
    }
    return 1;
}

static void add(struct run *r, int step, int place)
{
    const precinfer_plan *p = r->plan;
    const struct pi_place *q = &p->places[place];
    const struct pi_step *s = step >= 0 ? &p->steps[step] : NULL;
    if (q->host || q->constant || !is_new(r, place)) return;
    struct pi_traced *x = &r->t.tensors[r->t.n];
    *x = (struct pi_traced){ .name = p->g->values[q->value].name, .layer = s ? s->name : "", .op = s ? s->op : "Input",
                             .fused = s ? s->fused : "", .type = q->type, .quantized = q->quantized, .input = !s,
                             .scale = q->scale, .zp = q->zp, .step = step, .place = place };
    if (s) {
        x->precision = s->precision;
        x->has_weights = s->node >= 0 && pi_is_layer_with_weights(p->g, &p->g->nodes[s->node]);
        x->conversion = s->node < 0;
    }
    r->t.n++;
}

int pi_trace_plan(const precinfer_plan *plan, struct pi_trace **trace, struct precinfer_error *err)
{
    precinfer_plan *p = (precinfer_plan *)(uintptr_t)plan;
    struct pi_trace *t;
    PI_TRY(pi_trace_new(p->ctx, sizeof(struct run), &t, err));
    struct run *r = (struct run *)t;
    pi_plan_retain(p);
    r->plan = p;
    t->close = close_run;
    t->next = next_run;
    t->get = get_run;
    t->live = t->ordered = 1;
    t->model_hash = p->model_hash;
    struct precinfer_plan_info info;
    if (!precinfer_plan_info(p, &info)) { t->recipe_hash = info.recipe_hash; t->plan_hash = info.plan_hash; }
    if (!(t->tensors = pi_arena_new(&t->arena, p->nplaces + 1, sizeof *t->tensors))) {
        pi_trace_free(t);
        return pi_no_memory(err, p->nplaces * sizeof *t->tensors);
    }
    for (size_t i = 0; i < p->nplaces; i++) if (p->places[i].input >= 0) add(r, -1, (int)i);
    for (size_t i = 0; i < p->nsteps; i++)
        for (int j = 0; j < p->steps[i].nout; j++) if (p->steps[i].out[j] >= 0) add(r, (int)i, p->steps[i].out[j]);
    *trace = t;
    return 0;
}

struct precinfer_session *pi_trace_session(struct pi_trace *t) { return ((struct run *)t)->fitted.s; }
