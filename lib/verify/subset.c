/* A first set that passes: the heaviest items, as many as it takes, and what can go of it again. Then sets that are smaller by
 * one, the heaviest first, until one passes or the attempts are used up; and so on downwards: a set that passes mostly has
 * larger ones around it that pass too, so that what is not found one smaller is hardly to be found two smaller. */
#include <string.h>
#include "../base/error.h"
#include "../base/hash.h"
#include "../base/sort.h"
#include "subset.h"

struct tried { uint64_t hash; size_t size; uint8_t passes; };
struct search {
    const precinfer_context *ctx;
    struct pi_subset *s;
    int *order;                         /* items, the heaviest first                                             */
    uint8_t *in, *trial;
    struct tried *tried; uint8_t *sets; size_t ntried, room;    /* sets: n bytes each                             */
    struct precinfer_error *err;
};

static size_t count(const struct pi_subset *s, const uint8_t *in)
{
    size_t k = 0;
    for (size_t i = 0; i < s->n; i++) k += in[i] != 0;
    return k;
}

static const struct tried *known(const struct search *q, const uint8_t *in, uint64_t hash)
{
    for (size_t i = 0; i < q->ntried; i++)
        if (q->tried[i].hash == hash && !memcmp(q->sets + i * q->s->n, in, q->s->n)) return &q->tried[i];
    return NULL;
}

static int remember(struct search *q, const uint8_t *in, uint64_t hash, int passes)
{
    const struct pi_allocator *a = &q->ctx->alloc;
    if (q->ntried == q->room) {
        const size_t room = q->room ? 2 * q->room : 256;
        void *t = pi_grow(a, q->tried, q->room * sizeof *q->tried, room * sizeof *q->tried);
        if (!t) return pi_no_memory(q->err, room * sizeof *q->tried);
        q->tried = t;
        void *sets = pi_grow(a, q->sets, q->room * q->s->n + 1, room * q->s->n + 1);
        if (!sets) return pi_no_memory(q->err, room * q->s->n);
        q->sets = sets;
        q->room = room;
    }
    memcpy(q->sets + q->ntried * q->s->n, in, q->s->n);
    q->tried[q->ntried++] = (struct tried){ hash, count(q->s, in), (uint8_t)passes };
    return 0;
}

static int attempt(struct search *q, const uint8_t *in, int *passes)
{
    const uint64_t hash = pi_hash_of(in, q->s->n);
    const struct tried *t = known(q, in, hash);
    if (t) { *passes = t->passes; return 0; }
    *passes = 0;
    const int status = q->s->attempt(q->s->user, in, passes, q->err);
    if (*passes && (!q->s->met || count(q->s, in) < count(q->s, q->s->best))) {        /* also when it was the last */
        memcpy(q->s->best, in, q->s->n);
        q->s->met = 1;
    }
    if (status) return status;
    q->s->attempts++;
    return remember(q, in, hash, *passes);
}

/* A larger set has failed already: this one is not worth an attempt before others. */
static int below_a_failure(const struct search *q, const uint8_t *in)
{
    for (size_t i = 0; i < q->ntried; i++) {
        if (q->tried[i].passes) continue;
        const uint8_t *big = q->sets + i * q->s->n;
        size_t k = 0;
        while (k < q->s->n && (!in[k] || big[k])) k++;
        if (k == q->s->n) return 1;
    }
    return 0;
}

/* Takes out what can go, the lightest first, until nothing can: literally tried. */
static int reduce(struct search *q)
{
    struct pi_subset *s = q->s;
    s->minimal = 0;
    for (int again = 1; again;) {
        again = 0;
        for (size_t k = s->n; k-- > 0;) {
            const int i = q->order[k];
            int passes;
            if (!s->best[i]) continue;
            memcpy(q->trial, s->best, s->n);
            q->trial[i] = 0;
            PI_TRY(attempt(q, q->trial, &passes));
            if (passes) { s->best[i] = 0; again = 1; }
        }
    }
    s->minimal = 1;
    return 0;
}

static void prefix(const struct search *q, size_t k, uint8_t *in)
{
    memset(in, 0, q->s->n);
    for (size_t i = 0; i < k; i++) in[q->order[i]] = 1;
}

/* The shortest prefix of the order that passes, by doubling and halving. */
static int first_set(struct search *q)
{
    struct pi_subset *s = q->s;
    size_t fails = 0, passes_at = s->n;
    for (size_t k = 1; k < s->n; k *= 2) {
        int passes;
        prefix(q, k, q->in);
        PI_TRY(attempt(q, q->in, &passes));
        if (passes) { passes_at = k; break; }
        fails = k;
    }
    while (passes_at - fails > 1) {
        const size_t k = fails + (passes_at - fails) / 2;
        int passes;
        prefix(q, k, q->in);
        PI_TRY(attempt(q, q->in, &passes));
        if (passes) passes_at = k; else fails = k;
    }
    prefix(q, passes_at, s->best);
    s->met = 1;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ heaviest first */

/* Sets of k ranks (positions in the order), by weight: from each the next ones move one rank down by one. */
struct state { double weight; size_t at; };
struct queue { struct state *heap; uint16_t *ranks; size_t n, states, room, k; };

static double weight_of(const struct search *q, const uint16_t *ranks, size_t k)
{
    double w = 0;
    for (size_t i = 0; i < k; i++) w += q->s->weight[q->order[ranks[i]]];
    return w;
}

static int push(struct search *q, struct queue *u, const uint16_t *ranks)
{
    const struct pi_allocator *a = &q->ctx->alloc;
    for (size_t i = 0; i < u->states; i++) if (!memcmp(u->ranks + i * u->k, ranks, u->k * sizeof *ranks)) return 0;
    if (u->states == u->room) {
        const size_t room = u->room ? 2 * u->room : 256;
        void *h = pi_grow(a, u->heap, u->room * sizeof *u->heap, room * sizeof *u->heap);
        if (!h) return pi_no_memory(q->err, room * sizeof *u->heap);
        u->heap = h;
        void *r = pi_grow(a, u->ranks, u->room * u->k * sizeof *ranks, room * u->k * sizeof *ranks);
        if (!r) return pi_no_memory(q->err, room * u->k * sizeof *ranks);
        u->ranks = r;
        u->room = room;
    }
    memcpy(u->ranks + u->states * u->k, ranks, u->k * sizeof *ranks);
    size_t i = u->n++;
    const struct state x = { weight_of(q, ranks, u->k), u->states++ };
    for (; i && u->heap[(i - 1) / 2].weight < x.weight; i = (i - 1) / 2) u->heap[i] = u->heap[(i - 1) / 2];
    u->heap[i] = x;
    return 0;
}

static struct state pop(struct queue *u)
{
    const struct state top = u->heap[0], x = u->heap[--u->n];
    size_t i = 0;
    for (size_t c; (c = 2 * i + 1) < u->n; i = c) {
        if (c + 1 < u->n && u->heap[c + 1].weight > u->heap[c].weight) c++;
        if (u->heap[c].weight <= x.weight) break;
        u->heap[i] = u->heap[c];
    }
    u->heap[i] = x;
    return top;
}

static int push_next(struct search *q, struct queue *u, size_t at, uint16_t *ranks)
{
    for (size_t i = 0; i < u->k; i++) {
        memcpy(ranks, u->ranks + at * u->k, u->k * sizeof *ranks);
        const size_t limit = i + 1 < u->k ? ranks[i + 1] : q->s->n;
        if ((size_t)ranks[i] + 1 >= limit) continue;
        ranks[i]++;
        PI_TRY(push(q, u, ranks));
    }
    return 0;
}

/* Sets of k items until one passes (*found) or there have been `most` attempts. `failures`: those below a failure too. */
static int sweep(struct search *q, struct queue *u, uint16_t *ranks, int failures, size_t most, int *found)
{
    enum { MOST_STATES = 20000 };
    struct pi_subset *s = q->s;
    u->n = u->states = 0;
    for (size_t i = 0; i < u->k; i++) ranks[i] = (uint16_t)i;
    PI_TRY(push(q, u, ranks));
    while (u->n && s->attempts < most && u->states < MOST_STATES) {
        const struct state x = pop(u);
        int passes;
        memset(q->in, 0, s->n);
        for (size_t i = 0; i < u->k; i++) q->in[q->order[u->ranks[x.at * u->k + i]]] = 1;
        PI_TRY(push_next(q, u, x.at, ranks));
        if (!failures && below_a_failure(q, q->in)) continue;
        PI_TRY(attempt(q, q->in, &passes));
        if (!passes) continue;
        memcpy(s->best, q->in, s->n);
        *found = 1;
        return 0;
    }
    return 0;
}

static int sets_of(struct search *q, size_t k, int failures, size_t most, int *found)
{
    struct queue u = { .k = k };
    uint16_t *ranks = pi_calloc(&q->ctx->alloc, k + 1, sizeof *ranks);
    const int status = ranks ? sweep(q, &u, ranks, failures, most, found) : pi_no_memory(q->err, k * sizeof *ranks);
    pi_free(&q->ctx->alloc, u.heap);
    pi_free(&q->ctx->alloc, u.ranks);
    pi_free(&q->ctx->alloc, ranks);
    return status;
}

/* Of fewer than k items. Limits are not quite monotone (one more layer in f32 may turn one answer too many), so that a part of
 * the attempts goes to sets that should not pass: the smallest first, where there are few. */
static int smaller(struct search *q, size_t k, int *found)
{
    const size_t most = q->s->most;
    PI_TRY(sets_of(q, k - 1, 0, most, found));
    const size_t bold = q->s->attempts + most / 2 < most ? q->s->attempts + most / 2 : most;
    for (size_t n = 1; !*found && n < k; n++) PI_TRY(sets_of(q, n, 1, bold, found));
    return 0;
}

/* ------------------------------------------------------------------------------------------------ all of it */

static int heavier(const void *user, int a, int b)
{
    const double *w = user;
    return w[a] != w[b] ? w[a] > w[b] : a < b;
}

static int search(struct search *q)
{
    struct pi_subset *s = q->s;
    int passes;
    memset(q->in, 0, s->n);
    if (s->empty_fails) PI_TRY(remember(q, q->in, pi_hash_of(q->in, s->n), 0));
    PI_TRY(attempt(q, q->in, &passes));
    if (passes) { s->met = s->minimal = 1; return 0; }
    memset(q->in, 1, s->n);
    PI_TRY(attempt(q, q->in, &passes));
    if (!passes || !s->n) return 0;
    PI_TRY(first_set(q));
    PI_TRY(reduce(q));
    for (;;) {
        const size_t k = count(s, s->best);
        int found = 0;
        if (k < 2) return 0;            /* the empty set failed */
        PI_TRY(smaller(q, k, &found));
        if (!found) return 0;
        PI_TRY(reduce(q));
    }
}

int pi_subset_search(const precinfer_context *ctx, struct pi_subset *s, struct precinfer_error *err)
{
    struct search q = { .ctx = ctx, .s = s, .err = err };
    const struct pi_allocator *a = &ctx->alloc;
    q.order = pi_calloc(a, s->n + 1, sizeof *q.order);
    q.in = pi_calloc(a, s->n + 1, 2);
    int status = q.order && q.in ? 0 : pi_no_memory(err, s->n * sizeof *q.order);
    if (!status) {
        q.trial = q.in + s->n;
        for (size_t i = 0; i < s->n; i++) q.order[i] = (int)i;
        pi_sort_index(q.order, s->n, heavier, s->weight);
        memset(s->best, 0, s->n);
        s->met = s->minimal = 0;
        s->attempts = 0;
        status = search(&q);
    }
    pi_free(a, q.order);
    pi_free(a, q.in);
    pi_free(a, q.tried);
    pi_free(a, q.sets);
    return status == PRECINFER_CANCELLED && s->met ? 0 : status;
}
