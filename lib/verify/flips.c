/* Samples whose top-1 changed, and what became of which class. */
#include <string.h>
#include "../base/sort.h"
#include "gate.h"

/* How sure both were of their answers: what the flip moved. */
static double moved(const struct precinfer_flip *f) { return f->margin_before + f->margin_after; }

/* A total order, so that which flips are kept does not depend on the order in which they came. */
static int before(const struct precinfer_flip *a, const struct precinfer_flip *b)
{
    if (moved(a) != moved(b)) return moved(a) > moved(b);
    if (a->index != b->index) return a->index < b->index;
    return a->id < b->id;
}

/* flips is a heap whose first is the one to give way. */
static void sift_up(struct precinfer_flip *x, size_t i)
{
    for (; i && before(&x[(i - 1) / 2], &x[i]); i = (i - 1) / 2) {
        const struct precinfer_flip t = x[i];
        x[i] = x[(i - 1) / 2];
        x[(i - 1) / 2] = t;
    }
}
static void sift_down(struct precinfer_flip *x, size_t n)
{
    for (size_t i = 0, child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&x[child], &x[child + 1])) child++;
        if (!before(&x[i], &x[child])) break;
        const struct precinfer_flip t = x[i];
        x[i] = x[child];
        x[child] = t;
    }
}
static int keep(precinfer_gate *g, const struct precinfer_flip *f, struct precinfer_error *err)
{
    if (g->nflips == PRECINFER_FLIPS) {
        if (!before(f, &g->flips[0])) return 0;
        g->flips[0] = *f;
        sift_down(g->flips, g->nflips);
        return 0;
    }
    PI_TRY(pi_more(&g->ctx->alloc, (void **)&g->flips, g->nflips, &g->flip_room, sizeof *g->flips, err));
    g->flips[g->nflips] = *f;
    sift_up(g->flips, g->nflips++);
    return 0;
}

static int confuse(precinfer_gate *g, const struct precinfer_flip *f, struct precinfer_error *err)
{
    const struct pi_allocator *a = &g->ctx->alloc;
    const int64_t pair[2] = { f->before, f->after };
    const uint64_t key = pi_hash_of(pair, sizeof pair);
    long at = pi_table_find(&g->confusion_table, key);
    if (at < 0) {
        PI_TRY(pi_more(a, (void **)&g->confusions, g->nconfusions, &g->confusion_room, sizeof *g->confusions, err));
        PI_TRY(pi_table_put(a, &g->confusion_table, key, g->nconfusions, err));
        at = (long)g->nconfusions++;
        g->confusions[at] = (struct precinfer_confusion){ f->before, f->after, 0, 0, 0 };
    }
    struct precinfer_confusion *c = &g->confusions[at];
    c->count++;
    c->lost += f->label >= 0 && f->label == f->before;
    c->gained += f->label >= 0 && f->label == f->after;
    return 0;
}

/* 0 where there is no second, or infinities. */
static double margin(const struct pi_top *t)
{
    const double m = t->max - t->second;
    return t->index >= 0 && m - m == 0 ? m : 0;
}

int pi_gate_flip(precinfer_gate *g, const struct pi_sample *s, uint64_t id, uint64_t index, int64_t label,
                 struct precinfer_error *err)
{
    if (s->reference.index == s->candidate.index) return 0;
    const struct precinfer_flip f = { index, id, label < 0 ? -1 : label, s->reference.index, s->candidate.index,
                                      margin(&s->reference), margin(&s->candidate) };
    PI_TRY(keep(g, &f, err));
    return confuse(g, &f, err);
}

/* ------------------------------------------------------------------------------------------------ into a report */

static int flip_before(const void *user, int a, int b)
{
    const struct precinfer_flip *x = user;
    return before(&x[a], &x[b]);
}
static int confusion_before(const void *user, int a, int b)
{
    const struct precinfer_confusion *x = (const struct precinfer_confusion *)user + a,
        *y = (const struct precinfer_confusion *)user + b;
    if (x->count != y->count) return x->count > y->count;
    return x->before != y->before ? x->before < y->before : x->after < y->after;
}

int pi_gate_flips(const precinfer_gate *g, precinfer_report *r, struct precinfer_error *err)
{
    const size_t most = g->nflips > g->nconfusions ? g->nflips : g->nconfusions;
    if (most > INT32_MAX) return pi_fail(err, PRECINFER_UNSUPPORTED, "gate: more than 2^31 kinds of confusion");
    int *order = pi_calloc(&g->ctx->alloc, most + 1, sizeof *order);
    r->flips = pi_arena_new(&r->arena, g->nflips + 1, sizeof *r->flips);
    r->confusions = pi_arena_new(&r->arena, g->nconfusions + 1, sizeof *r->confusions);
    if (!order || !r->flips || !r->confusions) {
        pi_free(&g->ctx->alloc, order);
        return pi_no_memory(err, (most + 1) * sizeof *r->flips);
    }
    for (size_t i = 0; i < g->nflips; i++) order[i] = (int)i;
    if (g->nflips) pi_sort_index(order, g->nflips, flip_before, g->flips);
    for (size_t i = 0; i < g->nflips; i++) r->flips[i] = g->flips[order[i]];
    for (size_t i = 0; i < g->nconfusions; i++) order[i] = (int)i;
    if (g->nconfusions) pi_sort_index(order, g->nconfusions, confusion_before, g->confusions);
    for (size_t i = 0; i < g->nconfusions; i++) r->confusions[i] = g->confusions[order[i]];
    r->nflips = g->nflips;
    r->nconfusions = g->nconfusions;
    pi_free(&g->ctx->alloc, order);
    return 0;
}
