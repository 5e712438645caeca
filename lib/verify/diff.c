#include <math.h>
#include <string.h>
#include "../base/error.h"
#include "../base/sort.h"
#include "../calib/stats.h"
#include "diff.h"

/* ------------------------------------------------------------------------------------------------ layers */

static int copy_text(precinfer_diff *d, const char **text, struct precinfer_error *err)
{
    *text = pi_arena_string(&d->arena, *text ? *text : "", *text ? strlen(*text) : 0);
    return *text ? 0 : pi_no_memory(err, sizeof *text);
}

static int add_layer(precinfer_diff *d, const struct pi_traced *about, int candidate, int reference, int same,
                     struct precinfer_error *err)
{
    struct pi_diff_layer *l = &d->layers[d->n];
    *l = (struct pi_diff_layer){ .about = *about, .candidate = candidate, .reference = reference, .same = same };
    PI_TRY(copy_text(d, &l->about.name, err));
    PI_TRY(copy_text(d, &l->about.layer, err));
    PI_TRY(copy_text(d, &l->about.op, err));
    PI_TRY(copy_text(d, &l->about.fused, err));
    d->n++;
    if (candidate < 0 || reference < 0) return 0;
    l->sums.bins = pi_arena_new(&d->arena, 2 * PI_ERROR_BINS, sizeof *l->sums.bins);
    return l->sums.bins ? 0 : pi_no_memory(err, 2 * PI_ERROR_BINS * sizeof *l->sums.bins);
}

/* The candidate's tensors in their order; where that is unknown, the reference's. */
static int align(precinfer_diff *d, struct precinfer_error *err)
{
    const struct pi_trace *c = d->candidate, *r = d->reference, *base = c->ordered || !r->ordered ? c : r;
    d->layers = pi_arena_new(&d->arena, base->n + 1, sizeof *d->layers);
    d->rank = pi_arena_new(&d->arena, base->n + 1, sizeof *d->rank);
    if (!d->layers || !d->rank) return pi_no_memory(err, base->n * sizeof *d->layers);
    for (size_t i = 0; i < base->n; i++) {
        const struct pi_traced *x = &base->tensors[i];
        if (x->input) continue;
        const int other = pi_trace_find(base == c ? r : c, x->name, -1);
        int same = pi_trace_find(base == c ? r : c, x->name, pi_trace_form(x));
        if (same >= 0 && (base == c ? r : c)->tensors[same].type != x->type) same = -1;
        const int found = same >= 0 ? same : other;
        if (base == c) PI_TRY(add_layer(d, x, (int)i, found, same, err));
        else PI_TRY(add_layer(d, x, found, (int)i, same >= 0 ? (int)i : -1, err));
    }
    d->info.ordered = base->ordered;
    d->info.layers = d->n;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ blocks */

struct cursor { struct pi_trace *t; size_t at; };       /* samples of the block that are done                     */
struct pass {
    precinfer_diff *d;
    struct cursor c, r;
    precinfer_next_batch *next; void *user;
    struct precinfer_batch batch;
    int both_ran;
    struct precinfer_error *err;
};

static size_t left(const struct cursor *c) { return c->t->samples - c->at; }

/* Elements of n samples from a block; 0: not to be split so, or another shape. */
static size_t span_of(const struct cursor *c, const struct pi_tensor *t, size_t n, size_t *from)
{
    const size_t rows = pi_trace_rows(t, c->t->samples), all = (size_t)pi_elements(t);
    *from = 0;
    if (!rows) return c->at || n != c->t->samples ? 0 : all;
    *from = all / c->t->samples * c->at;
    return all / c->t->samples * n;
}

static int same_but_first(const struct pi_tensor *a, const struct pi_tensor *b)
{
    if (a->rank != b->rank) return 0;
    for (int i = 1; i < a->rank; i++) if (a->dims[i] != b->dims[i]) return 0;
    return 1;
}

static int compare_layer(struct pass *p, struct pi_diff_layer *l, size_t n)
{
    struct pi_tensor a, b;
    size_t from_a, from_b;
    if (l->candidate < 0 || l->reference < 0) return 0;
    PI_TRY(p->c.t->get(p->c.t, (size_t)l->candidate, &b, p->err));
    PI_TRY(p->r.t->get(p->r.t, (size_t)l->reference, &a, p->err));
    const size_t na = span_of(&p->r, &a, n, &from_a), nb = span_of(&p->c, &b, n, &from_b);
    if (!na || na != nb || !same_but_first(&a, &b)) return 0;
    pi_error_add(&l->sums, (struct pi_span){ &a, from_a }, (struct pi_span){ &b, from_b }, na);
    if (l->same >= 0 && a.type == b.type && a.quantized == b.quantized)
        pi_error_bytes(&l->sums, (struct pi_span){ &a, from_a }, (struct pi_span){ &b, from_b }, na);
    return 0;
}

/* Recordings of ours know their samples. */
static int check_samples(const struct pass *p, size_t n)
{
    if (!p->c.t->hashes || !p->r.t->hashes) return 0;
    for (size_t i = 0; i < n; i++)
        if (p->c.t->hashes[p->c.at + i] != p->r.t->hashes[p->r.at + i])
            return pi_fail(p->err, PRECINFER_INVALID, "the two sides saw different data: sample %zu is another",
                           p->d->info.samples + i);
    return 0;
}

static int compare_samples(struct pass *p)
{
    const size_t n = left(&p->c) < left(&p->r) ? left(&p->c) : left(&p->r);
    PI_TRY(check_samples(p, n));
    for (size_t i = 0; i < p->d->n; i++) PI_TRY(compare_layer(p, &p->d->layers[i], n));
    p->c.at += n;
    p->r.at += n;
    p->d->info.samples += n;
    return 0;
}

static int advance(struct pass *p, struct cursor *c)
{
    if (left(c)) return 0;
    c->at = 0;
    return c->t->next(c->t, NULL, p->err);
}

/* The live sides run the next batch. The hashes of its samples lie in `scratch`. */
static int run_batch(struct pass *p, struct pi_scratch *scratch)
{
    memset(&p->batch, 0, sizeof p->batch);
    PI_TRY(p->next(p->user, &p->batch, p->err));
    if (!p->batch.samples) return 0;
    PI_TRY(pi_scratch_need(p->d->ctx, scratch, p->batch.samples * sizeof(uint64_t), p->err));
    uint64_t *hashes = scratch->data;
    for (size_t i = 0; i < p->batch.samples; i++) {
        hashes[i] = pi_sample_hash(&p->batch, i);
        pi_hash_add(&p->d->hash, &hashes[i], sizeof *hashes);
    }
    struct cursor *const both[] = { &p->c, &p->r };
    for (int i = 0; i < 2; i++) {
        if (!both[i]->t->live) continue;
        PI_TRY(both[i]->t->next(both[i]->t, &p->batch, p->err));
        both[i]->t->hashes = hashes;
        both[i]->at = 0;
    }
    if (!p->d->own) return 0;
    return pi_own_batch(p->d->own, &p->batch, pi_trace_session(p->c.t), pi_trace_session(p->r.t), p->err);
}

static int uneven(const struct pass *p, const char *which)
{
    return pi_fail(p->err, PRECINFER_INVALID, "the %s ends after %zu samples, the other side does not", which,
                   p->d->info.samples);
}

static int walk_live(struct pass *p, struct pi_scratch *scratch, const struct precinfer_diff_options *o)
{
    for (;;) {
        PI_TRY(run_batch(p, scratch));
        if (!p->batch.samples) break;
        struct cursor *live = p->c.t->live ? &p->c : &p->r, *other = live == &p->c ? &p->r : &p->c;
        while (left(live)) {
            if (!other->t->live) PI_TRY(advance(p, other));
            if (!left(other)) return uneven(p, "recording");
            PI_TRY(compare_samples(p));
        }
        if (o->progress && o->progress(o->user, "diff", p->d->info.samples, 0))
            return pi_fail(p->err, PRECINFER_CANCELLED, "cancelled after %zu samples", p->d->info.samples);
    }
    /* A recording that knows its samples may go on; of another one nobody could tell whether it was this data. */
    struct cursor *const both[] = { &p->c, &p->r };
    for (int i = 0; i < 2 && p->d->info.samples; i++) {
        if (both[i]->t->live || both[i]->t->hashes) continue;
        PI_TRY(advance(p, both[i]));
        if (left(both[i])) return uneven(p, "data");
    }
    p->d->info.data_hash = pi_hash_end(&p->d->hash);
    return 0;
}

static int walk_recorded(struct pass *p, const struct precinfer_diff_options *o)
{
    for (;;) {
        PI_TRY(advance(p, &p->c));
        PI_TRY(advance(p, &p->r));
        if (!left(&p->c) && !left(&p->r)) return 0;
        if (!left(&p->c)) return uneven(p, "candidate's recording");
        if (!left(&p->r)) return uneven(p, "reference's recording");
        PI_TRY(compare_samples(p));
        if (o->progress && o->progress(o->user, "diff", p->d->info.samples, 0))
            return pi_fail(p->err, PRECINFER_CANCELLED, "cancelled after %zu samples", p->d->info.samples);
    }
}

/* ------------------------------------------------------------------------------------------------ the result */

enum { MOST_DB = 150 };
static double cut(double db) { return db > MOST_DB ? MOST_DB : db < -MOST_DB ? -MOST_DB : db; }

/* The larger, the more to blame. */
static double blame(const precinfer_diff *d, const struct pi_diff_layer *l)
{
    if (!l->sums.count) return -4 * MOST_DB;
    if (d->info.has_excess) return l->excess == l->excess ? l->excess : -3 * MOST_DB;
    if (d->info.has_own) return l->own_db == l->own_db ? -cut(l->own_db) : -3 * MOST_DB;
    return -cut(pi_error_sqnr(l->sums.signal, l->sums.noise));
}

static int worse(const void *user, int a, int b)
{
    const precinfer_diff *d = user;
    const double x = blame(d, &d->layers[a]), y = blame(d, &d->layers[b]);
    return x != y ? x > y : a < b;
}

static void conclude(precinfer_diff *d)
{
    d->info.first_different = -1;
    for (size_t i = 0; i < d->n; i++) {
        struct pi_diff_layer *l = &d->layers[i];
        l->own_db = l->excess = NAN;
        if (d->own && d->info.ordered && l->candidate >= 0) {
            const struct pi_own_figures *f = pi_own_of(d->own, (size_t)l->candidate);
            if (f->known && f->own.count) {
                l->own = f;
                l->own_db = pi_error_sqnr(f->own.signal, f->own.noise);
                if (f->own.odd) l->own_db = -INFINITY;
                d->info.has_own = 1;
                if (f->has_twin && f->twin.count) {
                    l->excess = cut(pi_error_sqnr(f->twin.signal, f->twin.noise)) - cut(l->own_db);
                    d->info.has_excess = 1;
                }
            }
        }
        d->info.compared += l->sums.count > 0;
        d->info.with_bytes += l->sums.bytes > 0;
        if (l->sums.differ && d->info.first_different < 0 && d->info.ordered) d->info.first_different = (int64_t)i;
        d->rank[i] = (int)i;
    }
    pi_sort_index(d->rank, d->n, worse, d);
}

void precinfer_diff_free(precinfer_diff *d)
{
    if (!d) return;
    precinfer_context *ctx = d->ctx;
    pi_own_free(d->own);
    pi_trace_free(d->candidate);
    pi_trace_free(d->reference);
    pi_arena_free(&d->arena);
    pi_free(&ctx->alloc, d);
    pi_context_release(ctx);
}

static int measure(precinfer_diff *d, precinfer_next_batch *next, void *user, const struct precinfer_diff_options *o,
                   struct precinfer_error *err)
{
    struct pass p = { .d = d, .c = { d->candidate, 0 }, .r = { d->reference, 0 }, .next = next, .user = user, .err = err };
    struct pi_scratch scratch = { 0 };
    PI_TRY(align(d, err));
    const int status = next ? walk_live(&p, &scratch, o) : walk_recorded(&p, o);
    pi_scratch_free(d->ctx, &scratch);
    if (status) return status;
    if (!d->info.samples) return pi_fail(err, PRECINFER_INVALID, "there are no samples to compare on");
    conclude(d);
    if (!d->info.compared) return pi_fail(err, PRECINFER_INVALID, "the two sides have no tensor in common, by name and shape");
    return 0;
}

int pi_diff(struct pi_trace *candidate, struct pi_trace *reference, struct pi_own *own, precinfer_next_batch *next, void *user,
            const struct precinfer_diff_options *o, precinfer_diff **diff, struct precinfer_error *err)
{
    precinfer_context *ctx = candidate->ctx;
    precinfer_diff *d = pi_calloc(&ctx->alloc, 1, sizeof *d);
    if (!d) {
        pi_own_free(own);
        pi_trace_free(candidate);
        pi_trace_free(reference);
        return pi_no_memory(err, sizeof *d);
    }
    d->ctx = ctx;
    d->arena.a = &ctx->alloc;
    pi_context_retain(ctx);
    d->candidate = candidate; d->reference = reference; d->own = own;
    pi_hash_init(&d->hash);
    const unsigned saved = pi_fp_enter();
    const int status = measure(d, next, user, o, err);
    pi_fp_leave(saved);
    if (status) precinfer_diff_free(d); else *diff = d;
    return status;
}

/* ------------------------------------------------------------------------------------------------ the twin */

static int range_of(const void *stats, const char *value, float *min, float *max)
{
    const struct pi_range *r = pi_stats_find(stats, value);
    if (!r) return 1;
    *min = r->nan || r->inf ? -INFINITY : r->min;                   /* pi_qparams refuses what is not finite */
    *max = r->max;
    return 0;
}

int pi_twin_of(const precinfer_plan *plan, const precinfer_graph *graph, const precinfer_stats *stats, precinfer_plan **twin,
               struct precinfer_error *err)
{
    precinfer_graph *g;
    precinfer_recipe *r = NULL;
    *twin = NULL;
    if (!plan->recipe || plan->model_hash != graph->hash) return 0;
    PI_TRY(pi_graph_clone((precinfer_graph *)(uintptr_t)graph, &g, err));
    int status = pi_fuse(g, err);
    const unsigned saved = pi_fp_enter();
    if (!status) status = pi_recipe_twin(g, range_of, stats, plan->recipe, &r, err);
    pi_fp_leave(saved);
    pi_graph_release(g);
    if (!status) status = precinfer_compile(graph, r, NULL, twin, err);
    precinfer_recipe_free(r);
    return status;
}

/* ------------------------------------------------------------------------------------------------ reading it */

enum precinfer_status precinfer_diff_info(const precinfer_diff *d, struct precinfer_diff_info *info)
{
    if (!d || !info) return PRECINFER_INVALID;
    *info = d->info;
    return PRECINFER_OK;
}

size_t precinfer_diff_rank(const precinfer_diff *d, size_t rank) { return d && rank < d->n ? (size_t)d->rank[rank] : SIZE_MAX; }

static double share(uint64_t n, uint64_t of) { return of ? (double)n / (double)of : NAN; }

static void own_figures(const struct pi_diff_layer *l, struct precinfer_layer_diff *x)
{
    const struct pi_own_figures *f = l->own;
    x->own_sqnr_db = x->own_max_abs = x->inherited_sqnr_db = x->twin_sqnr_db = NAN;
    x->excess_db = l->excess;
    x->group = f ? f->group : "";
    if (!f) return;
    x->own_sqnr_db = l->own_db;
    x->own_max_abs = f->own.max_abs;
    if (f->inherited.count) x->inherited_sqnr_db = pi_error_sqnr(f->inherited.signal, f->inherited.noise);
    if (f->has_twin && f->twin.count) x->twin_sqnr_db = pi_error_sqnr(f->twin.signal, f->twin.noise);
}

enum precinfer_status precinfer_diff_layer(const precinfer_diff *d, size_t i, struct precinfer_layer_diff *x)
{
    if (!d || !x || i >= d->n) return PRECINFER_INVALID;
    const struct pi_diff_layer *l = &d->layers[i];
    const struct pi_layer_sums *s = &l->sums;
    const double steps = s->quantized && l->about.scale > 0 ? (double)l->about.scale : NAN;
    const double mean = s->finite ? s->abs_sum / (double)s->finite : NAN;
    *x = (struct precinfer_layer_diff){
        .layer = l->about.layer, .op = l->about.op, .fused = l->about.fused, .tensor = l->about.name,
        .precision = (enum precinfer_precision)l->about.precision, .has_weights = l->about.has_weights,
        .conversion = l->about.conversion, .elements = s->count,
        .sqnr_db = s->finite ? pi_error_sqnr(s->signal, s->noise) : NAN, .cosine = s->finite ? pi_error_cosine(s) : NAN,
        .max_abs = s->finite ? s->max_abs : NAN, .mean_abs = mean, .max_relative = s->finite ? s->max_relative : NAN,
        .step = steps, .max_steps = s->max_abs / steps, .mean_steps = mean / steps,
        .saturated_low = share(s->low, s->quantized), .saturated_high = share(s->high, s->quantized),
        .overflow_f16 = share(s->overflow16, s->count), .below_normal_f16 = share(s->below14, s->count),
        .below_f16 = share(s->below24, s->count), .nan_reference = s->nan[0], .inf_reference = s->inf[0],
        .nan_candidate = s->nan[1], .inf_candidate = s->inf[1], .js_distance = s->finite ? pi_error_distance(s) : NAN,
        .bytes = s->bytes ? !s->differ : -1, .bytes_differ = s->differ };
    own_figures(l, x);
    return PRECINFER_OK;
}
