/* A session: shapes are set once and kept while they do not change; a run then only walks the steps. */
#include <string.h>
#include <time.h>
#include "session.h"

static const struct pi_place *place_of(const struct precinfer_session *s, int i) { return &s->p->places[i]; }
static size_t bytes_of(const struct pi_tensor *t) { return (size_t)pi_elements(t) * pi_type_size((enum pi_type)t->type); }

/* ------------------------------------------------------------------------------------------------ shapes */

static void set_strides(const struct precinfer_session *s, int place)
{
    struct pi_tensor *t = &s->t[place];
    if (place_of(s, place)->channels_last) pi_channels_last(t); else pi_row_major(t);
}

/* Memory of an integer that depends on shapes: its own small block, since its content must be there before sizes are known. */
static int host_memory(struct precinfer_session *s, int place, struct precinfer_error *err)
{
    const size_t need = bytes_of(&s->t[place]);
    if (need <= s->host_bytes[place] && s->t[place].data) return 0;
    if (s->planned) return pi_fail(err, PRECINFER_INVALID, "value '%s' is larger than for the session's maximum shapes",
                                   s->p->g->values[place_of(s, place)->value].name);
    if (!(s->t[place].data = pi_arena_big(&s->arena, need + 64))) return pi_no_memory(err, need);
    s->host_bytes[place] = need + 64;
    return 0;
}

static void point_call(const struct precinfer_session *s, size_t i, struct pi_call *c)
{
    const struct pi_step *step = &s->p->steps[i];
    memset(c, 0, sizeof *c);
    c->ctx = s->ctx;
    c->node = step->node >= 0 ? &s->p->g->nodes[step->node] : NULL;
    c->in = s->args + s->first[i];
    c->out = (struct pi_tensor *const *)(s->args + s->first[i] + step->nin);
    c->res = step->res >= 0 ? &s->t[step->res] : NULL;
    c->state = step->state;
    c->tables = s->tables[i];
    c->workspace = s->workspace;
}

static int infer_step(struct precinfer_session *s, size_t i, struct precinfer_error *err)
{
    const struct pi_step *step = &s->p->steps[i];
    if (step->node < 0) {                           /* conversions and copies keep their dims */
        struct pi_tensor *to = &s->t[step->out[0]];
        const struct pi_tensor *from = &s->t[step->in[0]];
        to->rank = from->rank;
        memcpy(to->dims, from->dims, sizeof to->dims);
        set_strides(s, step->out[0]);
        return 0;
    }
    const struct pi_node *n = &s->p->g->nodes[step->node];
    struct pi_tensor out[16];
    if (step->nout > 16)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "node '%s' (%s) has more than 16 outputs", n->name, n->op->name);
    memset(out, 0, sizeof out);
    const struct pi_infer q = { .node = n, .in = s->args + s->first[i], .out = out, .err = err };
    PI_TRY(n->op->infer(&q));
    for (int j = 0; j < step->nout; j++) {
        if (step->out[j] < 0) continue;
        struct pi_tensor *t = &s->t[step->out[j]];
        t->rank = out[j].rank;
        memcpy(t->dims, out[j].dims, sizeof t->dims);
        const char *name = s->p->g->values[place_of(s, step->out[j])->value].name;
        if (pi_graph_check_dims(t)) return pi_node_fail(n, err, PRECINFER_INVALID, "'%s' would be too large", name);
        if (pi_elements(t) < 0) return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "the shape of '%s' depends on data", name);
        set_strides(s, step->out[j]);
    }
    return 0;
}

/* Integers that later shapes depend on are computed now. */
static int run_host(struct precinfer_session *s, size_t i, struct precinfer_error *err)
{
    const struct pi_step *step = &s->p->steps[i];
    for (int j = 0; j < step->nout; j++) if (step->out[j] >= 0) PI_TRY(host_memory(s, step->out[j], err));
    struct pi_call c;
    point_call(s, i, &c);
    if (step->node >= 0) c.node->op->run(&c);
    else pi_copy(c.in[0], c.out[0]);
    return 0;
}
static int is_host(const struct precinfer_session *s, const struct pi_step *step)
{ return step->out[0] >= 0 && place_of(s, step->out[0])->host; }

static int set_shapes(struct precinfer_session *s, struct precinfer_error *err)
{
    for (size_t i = 0; i < s->p->nsteps; i++) {
        PI_TRY(infer_step(s, i, err));
        if (is_host(s, &s->p->steps[i])) PI_TRY(run_host(s, i, err));
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ memory */

static int reserve_tables(struct precinfer_session *s, size_t i, struct precinfer_error *err)
{
    const struct pi_step *step = &s->p->steps[i];
    struct pi_call c;
    if (step->kind != PI_STEP_OP || step->alias || is_host(s, step)) return 0;
    point_call(s, i, &c);
    const size_t tables = c.node->op->tables ? c.node->op->tables(&c) : 0, ws = c.node->op->workspace ? c.node->op->workspace(&c) : 0;
    if (s->planned) {
        if (tables > s->table_bytes[i] || ws > s->workspace_bytes)
            return pi_fail(err, PRECINFER_INVALID, "node '%s' (%s) needs more memory than for the session's maximum shapes",
                           step->name, step->op);
        return 0;
    }
    if (tables) {
        if (!(s->tables[i] = pi_arena_big(&s->arena, tables))) return pi_no_memory(err, tables);
        s->table_bytes[i] = tables;
    }
    if (ws > s->workspace_bytes) s->workspace_bytes = ws;
    return 0;
}

static int reserve(struct precinfer_session *s, struct precinfer_error *err)
{
    for (size_t i = 0; i < s->p->nplaces; i++) {
        const size_t need = pi_up(bytes_of(&s->t[i]), 64);
        if (!s->planned) s->slot[i].bytes = need;
        else if (need > s->slot[i].bytes)
            return pi_fail(err, PRECINFER_INVALID, "value '%s' is larger than for the session's maximum shapes",
                           s->p->g->values[place_of(s, (int)i)->value].name);
    }
    for (size_t i = 0; i < s->p->nsteps; i++) PI_TRY(reserve_tables(s, i, err));
    if (s->planned) return 0;
    PI_TRY(pi_session_plan_memory(s, err));
    if (!(s->memory = pi_malloc(&s->ctx->alloc, s->memory_bytes + 64))) return pi_no_memory(err, s->memory_bytes);
    memset(s->memory, 0, s->memory_bytes + 64);
    if (!(s->workspace = pi_malloc(&s->ctx->alloc, s->workspace_bytes + 64))) return pi_no_memory(err, s->workspace_bytes);
    s->planned = 1;
    return 0;
}

/* Data pointers: the arena, or what the caller bound. */
static void point(struct precinfer_session *s)
{
    for (size_t i = 0; i < s->p->nplaces; i++) {
        const struct pi_place *q = place_of(s, (int)i);
        if (q->constant || (q->host && q->alias < 0)) continue;
        if (q->alias >= 0) s->t[i].data = s->t[q->alias].data;
        else if (q->input >= 0) s->t[i].data = s->bound[q->input].data;
        else if (q->output >= 0 && s->bound[s->p->g->ninputs + (size_t)q->output].data)
            s->t[i].data = s->bound[s->p->g->ninputs + (size_t)q->output].data;
        else s->t[i].data = s->memory + s->slot[s->slot[i].root].offset;
    }
}

static void fill_tables(struct precinfer_session *s)
{
    for (size_t i = 0; i < s->p->nsteps; i++) {
        if (!s->table_bytes[i]) continue;
        struct pi_call c;
        point_call(s, i, &c);
        c.node->op->fill(&c);
    }
}

static int prepare(struct precinfer_session *s, struct precinfer_error *err)
{
    PI_TRY(set_shapes(s, err));
    PI_TRY(reserve(s, err));
    fill_tables(s);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ making and freeing one */

void precinfer_session_free(precinfer_session *s)
{
    if (!s) return;
    precinfer_plan *p = s->p;
    pi_free(&s->ctx->alloc, s->memory);
    pi_free(&s->ctx->alloc, s->workspace);
    pi_free(&s->ctx->alloc, s->scratch);
    pi_arena_free(&s->arena);
    pi_free(&s->ctx->alloc, s);
    pi_plan_release(p);
}

static int set_input(struct precinfer_session *s, size_t i, int rank, const int64_t *dims, int *changed,
                     struct precinfer_error *err)
{
    const struct pi_value *v = &s->p->g->values[s->p->g->inputs[i]];
    char want[128], got[128];
    struct pi_tensor given = { .rank = rank };
    if (rank < 0 || rank > PI_MAX_RANK) return pi_fail(err, PRECINFER_INVALID, "input '%s': rank %d", v->name, rank);
    memcpy(given.dims, dims, (size_t)rank * sizeof *dims);
    if (pi_graph_check_dims(&given))
        return pi_fail(err, PRECINFER_INVALID, "input '%s': shape %s is too large", v->name,
                       pi_dims_string(&given, got, sizeof got));
    int bad = rank != v->t.rank;
    for (int d = 0; d < rank && !bad; d++) bad = dims[d] < 0 || (v->t.dims[d] >= 0 && dims[d] != v->t.dims[d]);
    if (bad) return pi_fail(err, PRECINFER_INVALID, "input '%s' has shape %s, the model wants %s", v->name,
                            pi_dims_string(&given, got, sizeof got), pi_dims_string(&v->t, want, sizeof want));
    struct pi_tensor *t = &s->t[s->p->value_place[s->p->g->inputs[i]]];
    *changed = t->rank != rank || memcmp(t->dims, dims, (size_t)rank * sizeof *dims);
    t->rank = rank;
    memcpy(t->dims, dims, (size_t)rank * sizeof *dims);
    pi_row_major(t);
    return 0;
}

static int max_shapes(struct precinfer_session *s, const struct precinfer_session_options *o, struct precinfer_error *err)
{
    for (size_t k = 0; o && k < o->nshapes; k++) {
        size_t i = 0;
        if (!o->max_shapes[k].input) return pi_fail(err, PRECINFER_INVALID, "maximum shape %zu names no input", k);
        while (i < s->p->g->ninputs && strcmp(s->p->g->values[s->p->g->inputs[i]].name, o->max_shapes[k].input)) i++;
        if (i == s->p->g->ninputs)
            return pi_fail(err, PRECINFER_NOT_FOUND, "the model has no input '%s'", o->max_shapes[k].input);
    }
    for (size_t i = 0; i < s->p->g->ninputs; i++) {
        const struct pi_value *v = &s->p->g->values[s->p->g->inputs[i]];
        int64_t dims[PI_MAX_RANK];
        int rank = v->t.rank, changed;
        for (int d = 0; d < rank; d++) dims[d] = v->t.dims[d] < 0 ? 1 : v->t.dims[d];
        for (size_t k = 0; o && k < o->nshapes; k++)
            if (!strcmp(v->name, o->max_shapes[k].input)) {
                rank = o->max_shapes[k].rank;
                if (rank >= 0 && rank <= PI_MAX_RANK) memcpy(dims, o->max_shapes[k].dims, (size_t)rank * sizeof *dims);
            }
        PI_TRY(set_input(s, i, rank, dims, &changed, err));
    }
    return 0;
}

static int make(struct precinfer_session *s, const struct precinfer_session_options *o, struct precinfer_error *err)
{
    precinfer_plan *p = s->p;
    size_t args = 0;
    for (size_t i = 0; i < p->nsteps; i++) args += (size_t)(p->steps[i].nin + p->steps[i].nout);
    s->t = pi_arena_new(&s->arena, p->nplaces + 1, sizeof *s->t);
    s->slot = pi_arena_new(&s->arena, p->nplaces + 1, sizeof *s->slot);
    s->host_bytes = pi_arena_new(&s->arena, p->nplaces + 1, sizeof *s->host_bytes);
    s->args = pi_arena_new(&s->arena, args + 1, sizeof *s->args);
    s->first = pi_arena_new(&s->arena, p->nsteps + 1, sizeof *s->first);
    s->tables = pi_arena_new(&s->arena, p->nsteps + 1, sizeof *s->tables);
    s->table_bytes = pi_arena_new(&s->arena, p->nsteps + 1, sizeof *s->table_bytes);
    s->bound = pi_arena_new(&s->arena, p->g->ninputs + p->g->noutputs + 1, sizeof *s->bound);
    s->ns = o && o->profile ? pi_arena_new(&s->arena, p->nsteps + 1, sizeof *s->ns) : NULL;
    if (!s->t || !s->slot || !s->host_bytes || !s->args || !s->first || !s->tables || !s->table_bytes || !s->bound ||
        (o && o->profile && !s->ns))
        return pi_no_memory(err, args * sizeof *s->args);
    s->keep_all = o && o->keep_all;
    for (size_t i = 0; i < p->nplaces; i++) {
        const struct pi_place *q = &p->places[i];
        if (q->constant) { s->t[i] = *q->constant; continue; }
        s->t[i] = (struct pi_tensor){ .type = q->type, .quantized = q->quantized, .scale = q->scale, .zp = q->zp };
    }
    args = 0;
    for (size_t i = 0; i < p->nsteps; i++) {
        s->first[i] = args;
        for (int j = 0; j < p->steps[i].nin; j++) s->args[args++] = p->steps[i].in[j] >= 0 ? &s->t[p->steps[i].in[j]] : NULL;
        for (int j = 0; j < p->steps[i].nout; j++) s->args[args++] = p->steps[i].out[j] >= 0 ? &s->t[p->steps[i].out[j]] : NULL;
    }
    PI_TRY(max_shapes(s, o, err));
    PI_TRY(prepare(s, err));
    s->dirty = 1;
    return 0;
}

enum precinfer_status precinfer_session_new(const precinfer_plan *plan, const struct precinfer_session_options *o,
                                            precinfer_session **session, struct precinfer_error *err)
{
    if (!plan || !session) return pi_fail(err, PRECINFER_INVALID, "session_new: plan and session must not be NULL");
    precinfer_plan *p = (precinfer_plan *)(uintptr_t)plan;
    precinfer_session *s = pi_calloc(&p->ctx->alloc, 1, sizeof *s);
    if (!s) return pi_no_memory(err, sizeof *s);
    pi_plan_retain(p);
    s->p = p;
    s->ctx = p->ctx;
    s->arena.a = &p->ctx->alloc;
    const int status = make(s, o, err);
    if (status) { precinfer_session_free(s); return status; }
    *session = s;
    return PRECINFER_OK;
}

/* ------------------------------------------------------------------------------------------------ binding */

static int find_io(const struct precinfer_session *s, const char *name)
{
    const precinfer_graph *g = s->p->g;
    for (size_t i = 0; i < g->ninputs; i++) if (!strcmp(g->values[g->inputs[i]].name, name)) return (int)i;
    for (size_t i = 0; i < g->noutputs; i++) if (!strcmp(g->values[g->outputs[i]].name, name)) return (int)(g->ninputs + i);
    return -1;
}

enum precinfer_status precinfer_bind(precinfer_session *s, const char *name, const struct precinfer_tensor *tensor,
                                     struct precinfer_error *err)
{
    if (!s || !name || !tensor || !tensor->data)
        return pi_fail(err, PRECINFER_INVALID, "bind: session, name and data must not be NULL");
    const int i = find_io(s, name);
    if (i < 0) return pi_fail(err, PRECINFER_NOT_FOUND, "the model has no input or output '%s'", name);
    const int input = (size_t)i < s->p->g->ninputs;
    const struct pi_value *v = &s->p->g->values[input ? s->p->g->inputs[i] : s->p->g->outputs[(size_t)i - s->p->g->ninputs]];
    if (tensor->device != PRECINFER_HOST) return pi_fail(err, PRECINFER_UNSUPPORTED, "'%s': device %d", name, tensor->device);
    if ((int)tensor->dtype != v->t.type)
        return pi_fail(err, PRECINFER_INVALID, "%s '%s' is %s, the model wants %s", input ? "input" : "output", name,
                       precinfer_dtype_string(tensor->dtype), pi_type_name((enum pi_type)v->t.type));
    if ((uintptr_t)tensor->data % pi_type_size((enum pi_type)v->t.type))
        return pi_fail(err, PRECINFER_INVALID, "'%s': data is not aligned for its type", name);
    if (input) {
        int changed = 0;
        PI_TRY(set_input(s, (size_t)i, tensor->rank, tensor->dims, &changed, err));
        if (changed) s->dirty = 2;
    } else if (tensor->rank < 0 || tensor->rank > PI_MAX_RANK)
        return pi_fail(err, PRECINFER_INVALID, "output '%s': rank %d", name, tensor->rank);
    s->bound[i] = *tensor;
    if (!s->dirty) s->dirty = 1;
    return PRECINFER_OK;
}

/* ------------------------------------------------------------------------------------------------ running */

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One-dimensional work split over threads. */
struct convert { const struct pi_row *row; struct pi_elt e; size_t from, to, slots; };
static void convert_part(void *arg, size_t slot)
{
    const struct convert *c = arg;
    const size_t n = c->e.n, begin = pi_up(n * slot / c->slots, 64), end0 = pi_up(n * (slot + 1) / c->slots, 64);
    const size_t end = slot + 1 == c->slots || end0 > n ? n : end0;
    if (begin >= end) return;
    struct pi_elt e = c->e;
    e.n = end - begin;
    e.a = (const char *)e.a + begin * c->from;
    e.c = (char *)e.c + begin * c->to;
    c->row->fn.elt(&e);
}
static void convert(const precinfer_context *ctx, const struct pi_step *step, const struct pi_tensor *from,
                    const struct pi_tensor *to)
{
    struct convert c = { .row = step->state, .from = pi_type_size((enum pi_type)from->type),
                         .to = pi_type_size((enum pi_type)to->type) };
    c.e = (struct pi_elt){ .n = (size_t)pi_elements(from), .a = from->data, .c = to->data, .table = step->table };
    if (to->quantized) { c.e.p[0] = to->scale; c.e.z[2] = to->zp; }
    else { c.e.p[0] = from->scale; c.e.z[0] = from->zp; }
    c.slots = c.e.n >= 32768 ? ctx->threads : 1;
    pi_parallel(ctx, c.slots, convert_part, &c);
}

static void run_step(const struct precinfer_session *s, size_t i)
{
    const struct pi_step *step = &s->p->steps[i];
    struct pi_call c;
    point_call(s, i, &c);
    switch ((enum pi_step_kind)step->kind) {
    case PI_STEP_OP: c.node->op->run(&c); break;
    case PI_STEP_COPY: pi_relayout(s->ctx, c.in[0], c.out[0]); break;
    case PI_STEP_CONVERT: case PI_STEP_TABLE: convert(s->ctx, step, c.in[0], c.out[0]); break;
    }
}

/* Open dimensions of one name are of one size: fusion took that for granted. */
static int check_symbols(const struct precinfer_session *s, struct precinfer_error *err)
{
    const precinfer_graph *g = s->p->g;
    for (size_t i = 0; i < g->ninputs; i++)
        for (int d = 0; d < g->values[g->inputs[i]].t.rank; d++)
            for (size_t j = 0; j <= i; j++)
                for (int e = 0; e < g->values[g->inputs[j]].t.rank; e++) {
                    const int64_t symbol = g->values[g->inputs[i]].t.dims[d];
                    const int64_t a = s->t[s->p->value_place[g->inputs[j]]].dims[e], b = s->t[s->p->value_place[g->inputs[i]]].dims[d];
                    if (symbol >= 0 || g->values[g->inputs[j]].t.dims[e] != symbol || a == b) continue;
                    const char *name = g->symbols[-1 - symbol];
                    return pi_fail(err, PRECINFER_INVALID, "dimension '%s' is %lld in input '%s' and %lld in input '%s'",
                                   name ? name : "?", (long long)a,
                                   g->values[g->inputs[j]].name, (long long)b, g->values[g->inputs[i]].name);
                }
    return 0;
}

static int check_bound(const struct precinfer_session *s, struct precinfer_error *err)
{
    const precinfer_graph *g = s->p->g;
    PI_TRY(check_symbols(s, err));
    for (size_t i = 0; i < g->ninputs; i++)
        if (!s->bound[i].data) return pi_fail(err, PRECINFER_INVALID, "input '%s' is not bound", g->values[g->inputs[i]].name);
    for (size_t i = 0; i < s->p->nplaces; i++) {
        const struct pi_place *q = &s->p->places[i];
        if (q->output < 0 || !s->bound[g->ninputs + (size_t)q->output].data) continue;
        const struct precinfer_tensor *b = &s->bound[g->ninputs + (size_t)q->output];
        struct pi_tensor given = { .rank = b->rank };
        memcpy(given.dims, b->dims, (size_t)b->rank * sizeof *b->dims);
        char want[128], got[128];
        if (!pi_same_dims(&given, &s->t[i]))
            return pi_fail(err, PRECINFER_INVALID, "output '%s' is bound with shape %s, the run gives %s",
                           g->values[q->value].name,
                           pi_dims_string(&given, got, sizeof got), pi_dims_string(&s->t[i], want, sizeof want));
    }
    return 0;
}

static int ready(struct precinfer_session *s, struct precinfer_error *err)
{
    int status = s->dirty == 2 ? prepare(s, err) : 0;
    if (!status && s->dirty) status = check_bound(s, err);
    if (!status && s->dirty) { point(s); s->dirty = 0; }
    return status;
}

int pi_session_ready(struct precinfer_session *s, struct precinfer_error *err)
{
    const unsigned saved = pi_fp_enter();
    const int status = ready(s, err);
    pi_fp_leave(saved);
    return status;
}

int pi_session_skips(const struct precinfer_session *s, size_t i)
{
    return s->p->steps[i].alias || is_host(s, &s->p->steps[i]);
}

void pi_session_step(const struct precinfer_session *s, size_t i)
{
    const unsigned saved = pi_fp_enter();
    if (!pi_session_skips(s, i)) run_step(s, i);
    pi_fp_leave(saved);
}

int pi_session_run_hooked(struct precinfer_session *s, pi_step_hook *hook, void *user, struct precinfer_error *err)
{
    s->ran = 0;
    const unsigned saved = pi_fp_enter();
    int status = ready(s, err);
    for (size_t i = 0; !status && i < s->p->nsteps; i++) {
        const struct pi_step *step = &s->p->steps[i];
        if (step->alias || is_host(s, step)) continue;
        const uint64_t t = s->ns ? now() : 0;
        run_step(s, i);
        if (s->ns) s->ns[i] = now() - t;
        if (hook && step->out[0] >= 0 && hook(user, i, place_of(s, step->out[0]), &s->t[step->out[0]]))
            status = pi_fail(err, PRECINFER_CANCELLED, "cancelled");
    }
    pi_fp_leave(saved);
    s->ran = !status;
    return status;
}

enum precinfer_status precinfer_session_run(precinfer_session *s, struct precinfer_error *err)
{
    if (!s) return pi_fail(err, PRECINFER_INVALID, "session_run: session must not be NULL");
    return (enum precinfer_status)pi_session_run_hooked(s, NULL, NULL, err);
}

/* ------------------------------------------------------------------------------------------------ after a run */

static void view(const struct pi_tensor *t, void *data, int type, struct precinfer_tensor *out)
{
    *out = (struct precinfer_tensor){ .data = data, .dtype = (enum precinfer_dtype)type, .rank = t->rank };
    memcpy(out->dims, t->dims, sizeof out->dims);
}

/* Lowered values as f32, all as row-major, in memory of the session. */
static int readable(struct precinfer_session *s, const struct pi_tensor *t, struct precinfer_tensor *out,
                    struct precinfer_error *err)
{
    const int widen = t->quantized || t->type == PI_BF16;
    if (!widen && pi_is_row_major(t)) { view(t, t->data, t->type, out); return 0; }
    struct pi_tensor to = *t, flat = *t;
    const size_t n = (size_t)pi_elements(t), size = widen ? 4 : pi_type_size((enum pi_type)t->type);
    const size_t want = 2 * pi_up(n * size, 64) + 64;
    if (want > s->scratch_bytes) {
        pi_free(&s->ctx->alloc, s->scratch);
        s->scratch_bytes = 0;
        if (!(s->scratch = pi_malloc(&s->ctx->alloc, want))) return pi_no_memory(err, want);
        s->scratch_bytes = want;
    }
    flat.data = t->data;
    if (widen) {
        float *f = (float *)(void *)((char *)s->scratch + pi_up(n * size, 64));
        for (size_t i = 0; i < n; i++)
            f[i] = t->quantized ? (float)((int)((const uint8_t *)t->data)[i] - t->zp) * t->scale : pi_bf16_to_f32(((const uint16_t *)t->data)[i]);
        flat.data = f; flat.type = PI_F32;
    }
    to.data = s->scratch; to.type = flat.type; to.quantized = 0;
    pi_row_major(&to);
    pi_relayout(s->ctx, &flat, &to);
    view(&to, to.data, to.type, out);
    return 0;
}

int pi_session_place(struct precinfer_session *s, int place, struct precinfer_tensor *tensor, struct precinfer_error *err)
{
    return readable(s, &s->t[place], tensor, err);
}

enum precinfer_status precinfer_session_value(precinfer_session *s, const char *name, struct precinfer_tensor *tensor,
                                              struct precinfer_error *err)
{
    if (!s || !name || !tensor) return pi_fail(err, PRECINFER_INVALID, "session_value: arguments must not be NULL");
    if (!s->ran) return pi_fail(err, PRECINFER_INVALID, "session_value: no run has succeeded");
    const precinfer_graph *g = s->p->g;
    for (size_t i = 0; i < s->p->nplaces; i++)
        if (s->p->places[i].output >= 0 && !strcmp(g->values[s->p->places[i].value].name, name)) {
            view(&s->t[i], s->t[i].data, s->t[i].type, tensor);
            return PRECINFER_OK;
        }
    const int v = pi_graph_find_value(g, name);
    const int place = v < 0 ? -1 : s->p->value_place[v];
    if (place < 0) return pi_fail(err, PRECINFER_NOT_FOUND, "the plan computes no value '%s'", name);
    if (!s->keep_all && !s->p->places[place].constant && s->p->places[place].input < 0)
        return pi_fail(err, PRECINFER_INVALID, "value '%s' is not kept: the session was made without keep_all", name);
    return (enum precinfer_status)readable(s, &s->t[place], tensor, err);
}

enum precinfer_status precinfer_session_times(const precinfer_session *s, uint64_t *ns, size_t n, struct precinfer_error *err)
{
    if (!s || !ns || n != s->p->nsteps) return pi_fail(err, PRECINFER_INVALID, "session_times: n must be the number of layers");
    if (!s->ns) return pi_fail(err, PRECINFER_INVALID, "session_times: the session was made without profile");
    memcpy(ns, s->ns, n * sizeof *ns);
    return PRECINFER_OK;
}

enum precinfer_status precinfer_session_info(const precinfer_session *s, struct precinfer_session_info *info)
{
    if (!s || !info) return PRECINFER_INVALID;
    info->workspace_bytes = s->memory_bytes + s->workspace_bytes;
    info->workspace_bound_bytes = s->bound_bytes;
    return PRECINFER_OK;
}

/* Multiply-adds: every output element meets one column of the weights; of a transposed convolution, every input element. */
static uint64_t macs_of(const struct precinfer_session *s, const struct pi_step *step, const struct pi_node *n)
{
    if (!(n->op->flags & PI_OP_WEIGHTS) || step->nin < 2 || step->in[0] < 0 || step->in[1] < 0 || step->out[0] < 0) return 0;
    const struct pi_tensor *a = &s->t[step->in[0]], *w = &s->t[step->in[1]], *y = &s->t[step->out[0]];
    const uint64_t weights = (uint64_t)pi_elements(w), in = (uint64_t)pi_elements(a), out = (uint64_t)pi_elements(y);
    if (!strcmp(n->op->name, "ConvTranspose")) return w->dims[0] > 0 ? in * (weights / (uint64_t)w->dims[0]) : 0;
    if (n->op->flags & PI_OP_SPATIAL) return w->dims[0] > 0 ? out * (weights / (uint64_t)w->dims[0]) : 0;
    if (!strcmp(n->op->name, "MatMul")) return a->rank ? out * (uint64_t)a->dims[a->rank - 1] : 0;
    const uint64_t columns = y->rank ? (uint64_t)y->dims[y->rank - 1] : 1;      /* Gemm: w is k x columns or its transpose */
    return columns ? out * (weights / columns) : 0;
}

enum precinfer_status precinfer_session_layer_work(const precinfer_session *s, size_t i, struct precinfer_layer_work *work)
{
    if (!s || !work || i >= s->p->nsteps) return PRECINFER_INVALID;
    const struct pi_step *step = &s->p->steps[i];
    const struct pi_node *n = step->node >= 0 ? &s->p->g->nodes[step->node] : NULL;
    *work = (struct precinfer_layer_work){ 0 };
    if (step->alias || is_host(s, step)) return PRECINFER_OK;
    for (int j = 0; j < step->nin; j++) {
        if (step->in[j] < 0) continue;
        uint64_t *bytes = place_of(s, step->in[j])->constant ? &work->weight_bytes : &work->input_bytes;
        if (!n || !(n->op->flags & PI_OP_SHAPE)) *bytes += bytes_of(&s->t[step->in[j]]);
    }
    if (step->res >= 0) work->input_bytes += bytes_of(&s->t[step->res]);
    for (int j = 0; j < step->nout; j++) if (step->out[j] >= 0) work->output_bytes += bytes_of(&s->t[step->out[j]]);
    if (n) work->macs = macs_of(s, step, n);
    return PRECINFER_OK;
}

/* ------------------------------------------------------------------------------------------------ for batches of data */

static int has_room(const struct pi_fitted *f, const struct precinfer_batch *b)
{
    for (size_t i = 0; f->s && i < b->ninputs; i++)
        for (int d = 0; d < b->inputs[i].rank; d++)
            if (b->inputs[i].rank != f->room[i].rank || b->inputs[i].dims[d] > f->room[i].dims[d]) return 0;
    return f->s != NULL;
}

int pi_session_fit(const precinfer_plan *plan, int keep_all, const struct precinfer_batch *b, struct pi_fitted *f,
                   struct precinfer_error *err)
{
    const precinfer_graph *g = plan->g;
    if (b->ninputs != g->ninputs)
        return pi_fail(err, PRECINFER_INVALID, "the data has %zu inputs, the model %zu", b->ninputs, g->ninputs);
    if (has_room(f, b)) return 0;
    for (size_t i = 0; i < b->ninputs; i++) {
        f->room[i] = (struct precinfer_shape){ .input = g->values[g->inputs[i]].name, .rank = b->inputs[i].rank };
        memcpy(f->room[i].dims, b->inputs[i].dims, sizeof f->room[i].dims);
    }
    precinfer_session_free(f->s);
    f->s = NULL;
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = f->room, .nshapes = b->ninputs,
                                                 .keep_all = keep_all };
    return precinfer_session_new(plan, &o, &f->s, err);
}
