#include <string.h>
#include "../base/error.h"
#include "stats.h"

int pi_stats_new(precinfer_context *ctx, uint64_t model_hash, const struct precinfer_preprocessing *preprocessing,
                 precinfer_stats **stats, struct precinfer_error *err)
{
    if (preprocessing) PI_TRY(pi_preprocessing_check(preprocessing, "preprocessing", err));
    precinfer_stats *s = pi_calloc(&ctx->alloc, 1, sizeof *s);
    if (!s) return pi_no_memory(err, sizeof *s);
    s->refs = 1;
    s->ctx = ctx;
    s->arena.a = &ctx->alloc;
    s->model_hash = model_hash;
    s->preprocessing = preprocessing && preprocessing->given ? *preprocessing : (struct precinfer_preprocessing){ .divide = 1 };
    pi_context_retain(ctx);
    *stats = s;
    return 0;
}

void pi_stats_retain(precinfer_stats *s) { atomic_fetch_add(&s->refs, 1); }

void pi_stats_release(precinfer_stats *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
    precinfer_context *ctx = s->ctx;
    pi_arena_free(&s->arena);
    pi_free(&ctx->alloc, s->values);
    pi_free(&ctx->alloc, s->sketch.hashes);
    pi_free(&ctx->alloc, s);
    pi_context_release(ctx);
}

int pi_stats_add_value(precinfer_stats *s, const char *name, struct pi_range **range, struct precinfer_error *err)
{
    if (s->nvalues == s->cvalues) {
        const size_t more = s->cvalues ? 2 * s->cvalues : 64;
        void *bigger = pi_grow(&s->ctx->alloc, s->values, s->nvalues * sizeof *s->values, more * sizeof *s->values);
        if (!bigger) return pi_no_memory(err, more * sizeof *s->values);
        s->values = bigger;
        s->cvalues = more;
    }
    struct pi_range *r = pi_arena_big(&s->arena, sizeof *r);
    const char *copy = pi_arena_string(&s->arena, name, strlen(name));
    if (!r || !copy) return pi_no_memory(err, sizeof *r);
    pi_range_init(r, copy);
    s->values[s->nvalues++] = r;
    if (range) *range = r;
    return 0;
}

int pi_stats_add_sample(precinfer_stats *s, uint64_t hash, struct precinfer_error *err)
{
    PI_TRY(pi_sketch_add(&s->ctx->alloc, &s->sketch, hash, err));
    s->samples++;
    s->data_hash += hash;
    return 0;
}

void pi_stats_finish(precinfer_stats *s) { pi_sketch_finish(&s->sketch); }

const struct pi_range *pi_stats_find(const precinfer_stats *s, const char *name)
{
    for (size_t i = 0; i < s->nvalues; i++) if (!strcmp(s->values[i]->name, name)) return s->values[i];
    return NULL;
}

static int same_kind(const precinfer_stats *a, const precinfer_stats *b, struct precinfer_error *err)
{
    if (a->model_hash != b->model_hash)
        return pi_fail(err, PRECINFER_INVALID, "statistics of different models (%016llx and %016llx) do not merge",
                       (unsigned long long)a->model_hash, (unsigned long long)b->model_hash);
    if (!pi_preprocessing_same(&a->preprocessing, &b->preprocessing))
        return pi_fail(err, PRECINFER_INVALID, "statistics of different preprocessing do not merge");
    if (a->nvalues != b->nvalues)
        return pi_fail(err, PRECINFER_INVALID, "statistics of %zu and %zu values do not merge", a->nvalues, b->nvalues);
    for (size_t i = 0; i < a->nvalues; i++)
        if (strcmp(a->values[i]->name, b->values[i]->name))
            return pi_fail(err, PRECINFER_INVALID, "statistics do not merge: value %zu is '%s' in one and '%s' in the other", i,
                           a->values[i]->name, b->values[i]->name);
    return 0;
}

/* Into a sketch of its own first: *into stays whole when memory runs out, and may be *from. */
static int merge_sketches(const struct pi_allocator *a, const struct pi_sketch *x, const struct pi_sketch *y,
                          struct pi_sketch *out,
                          struct precinfer_error *err)
{
    int status = 0;
    for (size_t i = 0; !status && i < x->n + x->pending; i++) status = pi_sketch_add(a, out, x->hashes[i], err);
    for (size_t i = 0; !status && i < y->n + y->pending; i++) status = pi_sketch_add(a, out, y->hashes[i], err);
    pi_sketch_finish(out);
    if (status) pi_free(a, out->hashes);
    return status;
}

int pi_stats_merge(precinfer_stats *into, const precinfer_stats *from, struct precinfer_error *err)
{
    struct pi_sketch both = { 0 };
    PI_TRY(same_kind(into, from, err));
    PI_TRY(merge_sketches(&into->ctx->alloc, &into->sketch, &from->sketch, &both, err));
    pi_free(&into->ctx->alloc, into->sketch.hashes);
    into->sketch = both;
    into->samples += from->samples;
    into->data_hash += from->data_hash;
    for (size_t i = 0; i < into->nvalues; i++) pi_range_merge(into->values[i], from->values[i]);
    return 0;
}
