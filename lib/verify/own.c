#include <string.h>
#include "../base/error.h"
#include "own.h"

struct leaf { int place, home; };       /* of the candidate; the reference's value of that name                  */
struct feed { int place, leaf; };       /* a place of the reference that is fed from a leaf                       */
struct unit {                           /* what computes one tensor                                              */
    int tensor, out;                    /* of the trace; the place                                               */
    int ref_out;                        /* place of the reference; -1: the only leaf itself (a conversion)        */
    int nleaves, nfeeds, nsteps, nref;
    struct leaf *leaves; struct feed *feeds;
    int *steps, *ref_steps;
    int unlike;                         /* shapes differ after all                                               */
};
/* A session of its own, whose places are filled by hand. */
struct lab { precinfer_plan *plan; struct pi_fitted fitted; struct pi_scratch in[16]; };
struct side { struct lab lab; struct unit *units; size_t n; };
struct pi_own {
    precinfer_context *ctx;
    struct pi_arena arena;
    struct lab ref;
    struct side cand, twin;
    struct pi_own_figures *figures;
    struct pi_scratch meaning, layout, compare;
};

/* ------------------------------------------------------------------------------------------------ units */

struct building {
    struct pi_own *o;
    const precinfer_plan *p, *ref;
    uint8_t *seen, *step, *ref_seen, *ref_step;
    int *stack;
    struct leaf *leaves; int nleaves;
    struct feed *feeds; int nfeeds;
    struct precinfer_error *err;
};

static const char *name_of(const precinfer_plan *p, int place) { return p->g->values[p->places[place].value].name; }

/* Where the reference has the value: -1 where it does not, or knows it beforehand. */
static int home_of(const precinfer_plan *ref, const char *name)
{
    const int v = pi_graph_find_value(ref->g, name), place = v < 0 ? -1 : ref->value_place[v];
    return place < 0 || ref->places[place].constant || ref->places[place].host ? -1 : place;
}

/* Preferably in the form of a place of another plan. */
static int place_like(const precinfer_plan *ref, const char *name, const struct pi_place *like)
{
    const int home = home_of(ref, name);
    for (size_t i = 0; home >= 0 && i < ref->nplaces; i++) {
        const struct pi_place *q = &ref->places[i];
        if (q->value == ref->places[home].value && q->type == like->type && q->quantized == like->quantized) return (int)i;
    }
    return home;
}

/* Steps that lead to place `from`, back to values that the reference has too. Nonzero: an input that it does not have. */
static int candidate_group(struct building *b, int from)
{
    int n = 0;
    b->nleaves = 0;
    memset(b->seen, 0, b->p->nplaces);
    memset(b->step, 0, b->p->nsteps);
    b->stack[n++] = from;
    b->seen[from] = 1;
    while (n) {
        const int place = b->stack[--n], home = place == from ? -1 : home_of(b->ref, name_of(b->p, place));
        const struct pi_place *q = &b->p->places[place];
        if (home >= 0) {
            b->leaves[b->nleaves++] = (struct leaf){ place, home };
            continue;
        }
        if (q->producer < 0) return 1;
        const struct pi_step *s = &b->p->steps[q->producer];
        b->step[q->producer] = 1;
        for (int j = 0; j <= s->nin; j++) {
            const int in = j < s->nin ? s->in[j] : s->res;
            if (in < 0 || b->seen[in] || b->p->places[in].constant || b->p->places[in].host) continue;
            b->seen[in] = 1;
            b->stack[n++] = in;
        }
    }
    return !b->nleaves;
}

static int leaf_of(const struct building *b, const char *name)
{
    for (int i = 0; i < b->nleaves; i++) if (!strcmp(name_of(b->p, b->leaves[i].place), name)) return i;
    return -1;
}

/* The reference's steps from the leaves to its place `from`. */
static int reference_group(struct building *b, int from)
{
    int n = 0;
    b->nfeeds = 0;
    memset(b->ref_seen, 0, b->ref->nplaces);
    memset(b->ref_step, 0, b->ref->nsteps);
    b->stack[n++] = from;
    b->ref_seen[from] = 1;
    while (n) {
        const int place = b->stack[--n], leaf = place == from ? -1 : leaf_of(b, name_of(b->ref, place));
        const struct pi_place *q = &b->ref->places[place];
        if (leaf >= 0) {
            b->feeds[b->nfeeds++] = (struct feed){ place, leaf };
            continue;
        }
        if (q->producer < 0) return 1;
        const struct pi_step *s = &b->ref->steps[q->producer];
        b->ref_step[q->producer] = 1;
        for (int j = 0; j <= s->nin; j++) {
            const int in = j < s->nin ? s->in[j] : s->res;
            if (in < 0 || b->ref_seen[in] || b->ref->places[in].constant || b->ref->places[in].host) continue;
            b->ref_seen[in] = 1;
            b->stack[n++] = in;
        }
    }
    return 0;
}

static int keep(struct building *b, const uint8_t *marks, size_t n, int **steps, int *count)
{
    int k = 0;
    for (size_t i = 0; i < n; i++) k += marks[i];
    if (!(*steps = pi_arena_new(&b->o->arena, (size_t)k + 1, sizeof **steps))) return pi_no_memory(b->err, (size_t)k);
    *count = 0;
    for (size_t i = 0; i < n; i++) if (marks[i]) (*steps)[(*count)++] = (int)i;
    return 0;
}

/* "conv1, relu1" of a group of several steps; conversions and aliases have no name of their own. */
static int group_name(struct building *b, const struct unit *u, const char **name)
{
    size_t room = 1, at = 0, n = 0;
    for (int i = 0; i < u->nsteps; i++) {
        const struct pi_step *s = &b->p->steps[u->steps[i]];
        if (s->node >= 0) { room += strlen(s->name) + 2; n++; }
    }
    *name = "";
    if (n < 2) return 0;
    char *text = pi_arena_new(&b->o->arena, room, 1);
    if (!text) return pi_no_memory(b->err, room);
    for (int i = 0; i < u->nsteps; i++) {
        const struct pi_step *s = &b->p->steps[u->steps[i]];
        if (s->node < 0) continue;
        if (at) { memcpy(text + at, ", ", 2); at += 2; }
        memcpy(text + at, s->name, strlen(s->name));
        at += strlen(s->name);
    }
    *name = text;
    return 0;
}

/* Nonzero status only for memory; *ok says whether there is a unit. */
static int make_unit(struct building *b, int place, struct unit *u, int *ok)
{
    const struct pi_place *q = &b->p->places[place];
    const struct pi_step *s = &b->p->steps[q->producer];
    const int target = place_like(b->ref, name_of(b->p, place), q);
    *ok = 0;
    if (target < 0) return 0;
    const struct pi_place *t = &b->ref->places[target];
    const int same_form = t->type == q->type && t->quantized == q->quantized;
    if (s->node < 0) {                  /* a conversion: of the reference's value, which it should not change */
        b->nleaves = 1;
        b->leaves[0] = (struct leaf){ s->in[0], home_of(b->ref, name_of(b->p, place)) };
        memset(b->step, 0, b->p->nsteps);
        b->step[q->producer] = 1;
        b->nfeeds = 0;
        memset(b->ref_step, 0, b->ref->nsteps);
        const int converts = same_form && t->producer >= 0 && b->ref->steps[t->producer].node < 0;
        if (converts) {
            b->ref_step[t->producer] = 1;
            b->feeds[b->nfeeds++] = (struct feed){ b->ref->steps[t->producer].in[0], 0 };
        }
        u->ref_out = converts ? target : -1;
    } else {
        if (t->producer < 0 || candidate_group(b, place) || reference_group(b, target)) return 0;
        u->ref_out = target;
    }
    u->out = place;
    u->leaves = pi_arena_new(&b->o->arena, (size_t)b->nleaves + 1, sizeof *u->leaves);
    u->feeds = pi_arena_new(&b->o->arena, (size_t)b->nfeeds + 1, sizeof *u->feeds);
    if (!u->leaves || !u->feeds) return pi_no_memory(b->err, (size_t)b->nleaves * sizeof *u->leaves);
    memcpy(u->leaves, b->leaves, (size_t)(u->nleaves = b->nleaves) * sizeof *u->leaves);
    memcpy(u->feeds, b->feeds, (size_t)(u->nfeeds = b->nfeeds) * sizeof *u->feeds);
    PI_TRY(keep(b, b->step, b->p->nsteps, &u->steps, &u->nsteps));
    PI_TRY(keep(b, b->ref_step, b->ref->nsteps, &u->ref_steps, &u->nref));
    *ok = 1;
    return 0;
}

/* The twin's place of a tensor of the candidate: same step, value and form. -1: it computes otherwise. */
static int twin_place(const precinfer_plan *p, const struct pi_traced *x)
{
    for (size_t i = 0; i < p->nplaces; i++) {
        const struct pi_place *q = &p->places[i];
        if (q->producer < 0 || q->type != x->type || q->quantized != x->quantized || strcmp(name_of(p, (int)i),
            x->name)) continue;
        const struct pi_step *s = &p->steps[q->producer];
        if (!strcmp(s->name, x->layer) && !strcmp(s->op, x->op)) return (int)i;
    }
    return -1;
}

static int build(struct building *b, const struct pi_trace *t, struct side *side, int twin)
{
    side->units = pi_arena_new(&b->o->arena, t->n + 1, sizeof *side->units);
    if (!side->units) return pi_no_memory(b->err, t->n * sizeof *side->units);
    for (size_t i = 0; i < t->n; i++) {
        const struct pi_traced *x = &t->tensors[i];
        int ok;
        const int place = twin ? twin_place(b->p, x) : x->place;
        if (x->input || place < 0 || b->p->steps[b->p->places[place].producer].alias) continue;
        struct unit *u = &side->units[side->n];
        PI_TRY(make_unit(b, place, u, &ok));
        if (!ok) continue;
        u->tensor = (int)i;
        side->n++;
        if (twin) b->o->figures[i].has_twin = 1;
        else {
            b->o->figures[i].known = 1;
            PI_TRY(group_name(b, u, &b->o->figures[i].group));
        }
    }
    return 0;
}

static int prepare(struct pi_own *o, const precinfer_plan *p, const struct pi_trace *t, struct side *side, int twin,
                   struct precinfer_error *err)
{
    struct pi_arena scratch = { .a = &o->ctx->alloc };
    struct building b = { .o = o, .p = p, .ref = o->ref.plan, .err = err };
    const size_t places = (p->nplaces > b.ref->nplaces ? p->nplaces : b.ref->nplaces) + 1;
    const size_t steps = (p->nsteps > b.ref->nsteps ? p->nsteps : b.ref->nsteps) + 1;
    b.seen = pi_arena_new(&scratch, places, 1); b.ref_seen = pi_arena_new(&scratch, places, 1);
    b.step = pi_arena_new(&scratch, steps, 1); b.ref_step = pi_arena_new(&scratch, steps, 1);
    b.stack = pi_arena_new(&scratch, places, sizeof *b.stack);
    b.leaves = pi_arena_new(&scratch, places, sizeof *b.leaves);
    b.feeds = pi_arena_new(&scratch, places, sizeof *b.feeds);
    const int bad = !b.seen || !b.ref_seen || !b.step || !b.ref_step || !b.stack || !b.leaves || !b.feeds;
    const int status = bad ? pi_no_memory(err, places * sizeof *b.leaves) : build(&b, t, side, twin);
    pi_arena_free(&scratch);
    return status;
}

/* ------------------------------------------------------------------------------------------------ making and freeing one */

static void take(struct lab *l, const precinfer_plan *p)
{
    l->plan = (precinfer_plan *)(uintptr_t)p;
    pi_plan_retain(l->plan);
}

int pi_own_new(const precinfer_plan *candidate, const precinfer_plan *reference, const precinfer_plan *twin,
               const struct pi_trace *t, struct pi_own **own, struct precinfer_error *err)
{
    precinfer_context *ctx = candidate->ctx;
    struct pi_own *o = pi_calloc(&ctx->alloc, 1, sizeof *o);
    if (!o) return pi_no_memory(err, sizeof *o);
    o->ctx = ctx;
    o->arena.a = &ctx->alloc;
    pi_context_retain(ctx);
    take(&o->cand.lab, candidate);
    take(&o->ref, reference);
    if (twin) take(&o->twin.lab, twin);
    o->figures = pi_arena_new(&o->arena, t->n + 1, sizeof *o->figures);
    int status = o->figures ? prepare(o, candidate, t, &o->cand, 0, err) : pi_no_memory(err, t->n * sizeof *o->figures);
    if (!status && twin) status = prepare(o, twin, t, &o->twin, 1, err);
    if (status) pi_own_free(o); else *own = o;
    return status;
}

static void free_lab(const precinfer_context *ctx, struct lab *l)
{
    precinfer_session_free(l->fitted.s);
    for (size_t i = 0; i < sizeof l->in / sizeof *l->in; i++) pi_scratch_free(ctx, &l->in[i]);
    pi_plan_release(l->plan);
}

void pi_own_free(struct pi_own *o)
{
    if (!o) return;
    precinfer_context *ctx = o->ctx;
    free_lab(ctx, &o->ref);
    free_lab(ctx, &o->cand.lab);
    free_lab(ctx, &o->twin.lab);
    pi_scratch_free(ctx, &o->meaning);
    pi_scratch_free(ctx, &o->layout);
    pi_scratch_free(ctx, &o->compare);
    pi_arena_free(&o->arena);
    pi_free(&ctx->alloc, o);
    pi_context_release(ctx);
}

const struct pi_own_figures *pi_own_of(const struct pi_own *o, size_t tensor) { return &o->figures[tensor]; }

/* ------------------------------------------------------------------------------------------------ one batch */

/* Its inputs lie in memory of its own, since they are filled by hand too. */
static int fit(const struct pi_own *o, struct lab *l, const struct precinfer_batch *b, struct precinfer_error *err)
{
    const precinfer_graph *g = l->plan->g;
    PI_TRY(pi_session_fit(l->plan, 1, b, &l->fitted, err));
    for (size_t i = 0; i < b->ninputs; i++) {
        struct precinfer_tensor t = b->inputs[i];
        size_t bytes = precinfer_dtype_size(t.dtype);
        for (int d = 0; d < t.rank; d++) bytes *= (size_t)t.dims[d];
        PI_TRY(pi_scratch_need(o->ctx, &l->in[i], bytes + 64, err));
        memcpy(l->in[i].data, t.data, bytes);
        t.data = l->in[i].data;
        PI_TRY(precinfer_bind(l->fitted.s, g->values[g->inputs[i]].name, &t, err));
    }
    return pi_session_ready(l->fitted.s, err);
}

/* What `from` means, into a place. *unlike is set where they do not go together. */
static int fill(struct pi_own *o, const struct lab *l, int place, const struct pi_tensor *from, int *unlike,
                struct precinfer_error *err)
{
    const struct pi_tensor *to = &l->fitted.s->t[place];
    struct pi_tensor laid;
    if (!pi_same_dims(from, to)) { *unlike = 1; return 0; }
    PI_TRY(pi_values_as(o->ctx, from, to, &o->layout, &laid, err));
    if (pi_values_convert(&laid, to)) *unlike = 1;
    return 0;
}

static int feed(struct pi_own *o, const struct unit *u, const struct precinfer_session *from, int *unlike,
                struct precinfer_error *err)
{
    for (int i = 0; i < u->nfeeds; i++) {
        struct pi_tensor meaning;
        PI_TRY(pi_values_meaning(o->ctx, &from->t[u->leaves[u->feeds[i].leaf].place], &o->meaning, &meaning, err));
        PI_TRY(fill(o, &o->ref, u->feeds[i].place, &meaning, unlike, err));
    }
    for (int i = 0; i < u->nref; i++) pi_session_step(o->ref.fitted.s, (size_t)u->ref_steps[i]);
    return 0;
}

static int compare(struct pi_own *o, const struct pi_tensor *ref, const struct pi_tensor *got, struct pi_own_sum *sum,
                   struct precinfer_error *err)
{
    enum { CHUNK = 512 };
    struct pi_tensor laid;
    double a[CHUNK], b[CHUNK];
    PI_TRY(pi_values_as(o->ctx, ref, got, &o->compare, &laid, err));
    const size_t n = (size_t)pi_elements(got);
    for (size_t i = 0; i < n; i += CHUNK) {
        const size_t m = n - i < CHUNK ? n - i : CHUNK;
        pi_values_get(&laid, i, m, a);
        pi_values_get(got, i, m, b);
        for (size_t k = 0; k < m; k++) {
            const double e = a[k] - b[k], d = e < 0 ? -e : e;
            if (!(e - e == 0)) { sum->odd += !(a[k] == b[k] || (a[k] != a[k] && b[k] != b[k])); continue; }
            sum->signal += a[k] * a[k];
            sum->noise += e * e;
            if (d > sum->max_abs) sum->max_abs = d;
        }
    }
    sum->count += n;
    return 0;
}

static int own_error(struct pi_own *o, struct side *side, struct unit *u, const struct precinfer_session *ref,
                     struct pi_own_sum *sum, struct precinfer_error *err)
{
    const struct precinfer_session *s = side->lab.fitted.s;
    for (int i = 0; i < u->nleaves; i++)
        PI_TRY(fill(o, &side->lab, u->leaves[i].place, &ref->t[u->leaves[i].home], &u->unlike, err));
    if (u->unlike) return 0;
    PI_TRY(feed(o, u, s, &u->unlike, err));
    if (u->unlike) return 0;
    for (int i = 0; i < u->nsteps; i++) pi_session_step(s, (size_t)u->steps[i]);
    const struct pi_tensor *want = u->ref_out >= 0 ? &o->ref.fitted.s->t[u->ref_out] : &s->t[u->leaves[0].place];
    if (!pi_same_dims(want, &s->t[u->out])) { u->unlike = 1; return 0; }
    return compare(o, want, &s->t[u->out], sum, err);
}

/* What the candidate's inputs bring with them, the layer itself exact. */
static int inherited(struct pi_own *o, const struct unit *u, const struct precinfer_session *cand,
                     const struct precinfer_session *ref, struct pi_own_sum *sum, struct precinfer_error *err)
{
    int unlike = 0;
    PI_TRY(feed(o, u, cand, &unlike, err));
    if (unlike) return 0;
    if (u->ref_out < 0) return compare(o, &ref->t[u->leaves[0].home], &cand->t[u->leaves[0].place], sum, err);
    return compare(o, &ref->t[u->ref_out], &o->ref.fitted.s->t[u->ref_out], sum, err);
}

int pi_own_batch(struct pi_own *o, const struct precinfer_batch *batch, const struct precinfer_session *candidate,
                 const struct precinfer_session *reference, struct precinfer_error *err)
{
    PI_TRY(fit(o, &o->ref, batch, err));
    PI_TRY(fit(o, &o->cand.lab, batch, err));
    if (o->twin.lab.plan) PI_TRY(fit(o, &o->twin.lab, batch, err));
    for (size_t i = 0; i < o->cand.n; i++) {
        struct unit *u = &o->cand.units[i];
        struct pi_own_figures *f = &o->figures[u->tensor];
        if (!u->unlike) PI_TRY(own_error(o, &o->cand, u, reference, &f->own, err));
        if (!u->unlike) PI_TRY(inherited(o, u, candidate, reference, &f->inherited, err));
        if (u->unlike) f->known = 0;
    }
    for (size_t i = 0; i < o->twin.n; i++) {
        struct unit *u = &o->twin.units[i];
        struct pi_own_figures *f = &o->figures[u->tensor];
        if (!u->unlike) PI_TRY(own_error(o, &o->twin, u, reference, &f->twin, err));
        if (u->unlike) f->has_twin = 0;
    }
    return 0;
}
