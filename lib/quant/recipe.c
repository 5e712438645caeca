#include <string.h>
#include "../base/error.h"
#include "../base/hash.h"
#include "../base/sort.h"
#include "recipe.h"

/* Of the encoding: enters the hash too, so that another meaning is another hash. */
enum { ENCODING = 1 };

int pi_recipe_create(precinfer_context *ctx, precinfer_recipe **recipe, struct precinfer_error *err)
{
    precinfer_recipe *r = pi_calloc(&ctx->alloc, 1, sizeof *r);
    if (!r) return pi_no_memory(err, sizeof *r);
    r->refs = 1;
    r->ctx = ctx;
    r->arena.a = &ctx->alloc;
    r->preprocessing.divide = 1;
    pi_context_retain(ctx);
    *recipe = r;
    return 0;
}

void pi_recipe_retain(precinfer_recipe *r) { atomic_fetch_add(&r->refs, 1); }

void pi_recipe_release(precinfer_recipe *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1) return;
    precinfer_context *ctx = r->ctx;
    void *const blocks[] = { r->nodes, r->values, r->node_order, r->value_order, r };
    pi_arena_free(&r->arena);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        pi_free(&ctx->alloc, blocks[i]);
    pi_context_release(ctx);
}

/* ------------------------------------------------------------------------------------------------ adding */

static int grow(precinfer_recipe *r, void **array, size_t n, size_t *room, size_t size, struct precinfer_error *err)
{
    if (n < *room) return 0;
    const size_t more = *room ? *room * 2 : 32;
    if (more > INT32_MAX) return pi_fail(err, PRECINFER_UNSUPPORTED, "a recipe of more than %zu entries", n);
    void *bigger = pi_grow(&r->ctx->alloc, *array, n * size, more * size);
    if (!bigger) return pi_no_memory(err, more * size);
    *array = bigger;
    *room = more;
    return 0;
}

static int good_scale(float s) { return s > 0 && s - s == 0; }

static int check_node(const struct pi_recipe_node *n, struct precinfer_error *err)
{
    if (!*n->name) return pi_fail(err, PRECINFER_MALFORMED, "nodes: a node without a name");
    if (n->precision > PRECINFER_PRECISION_INT8)
        return pi_fail(err, PRECINFER_MALFORMED, "nodes.%s.precision: must be f32, bf16 or int8", n->name);
    if (n->algorithm)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "nodes.%s.algorithm: '%s' is not known to this version", n->name,
                       n->algorithm);
    if (n->precision == PRECINFER_PRECISION_INT8 && !n->nscales)
        return pi_fail(err, PRECINFER_MALFORMED, "nodes.%s.weight_scales: missing, and int8 needs one for each output channel",
                       n->name);
    for (size_t i = 0; i < n->nscales; i++)
        if (!good_scale(n->scales[i]))
            return pi_fail(err, PRECINFER_MALFORMED, "nodes.%s.weight_scales[%zu]: must be above 0 and finite", n->name, i);
    return 0;
}

int pi_recipe_add_node(precinfer_recipe *r, const struct pi_recipe_node *node, struct precinfer_error *err)
{
    PI_TRY(check_node(node, err));
    PI_TRY(grow(r, (void **)&r->nodes, r->nnodes, &r->cnodes, sizeof *r->nodes, err));
    struct pi_recipe_node n = *node;
    float *scales = n.nscales ? pi_arena_new(&r->arena, n.nscales, sizeof *scales) : NULL;
    n.name = pi_arena_string(&r->arena, node->name, strlen(node->name));
    n.op = pi_arena_string(&r->arena, node->op, strlen(node->op));
    if (!n.name || !n.op || (n.nscales && !scales)) return pi_no_memory(err, n.nscales * sizeof *scales);
    if (n.nscales) memcpy(scales, node->scales, n.nscales * sizeof *scales);
    n.scales = scales;
    r->nodes[r->nnodes++] = n;
    return 0;
}

int pi_recipe_add_value(precinfer_recipe *r, const struct pi_recipe_value *value, struct precinfer_error *err)
{
    if (!*value->name) return pi_fail(err, PRECINFER_MALFORMED, "values: a value without a name");
    if (!good_scale(value->scale))
        return pi_fail(err, PRECINFER_MALFORMED, "values.%s.scale: must be above 0 and finite", value->name);
    if (value->zero_point < 0 || value->zero_point > 255)
        return pi_fail(err, PRECINFER_MALFORMED, "values.%s.zero_point: %d is not in 0 to 255", value->name,
                       (int)value->zero_point);
    PI_TRY(grow(r, (void **)&r->values, r->nvalues, &r->cvalues, sizeof *r->values, err));
    struct pi_recipe_value v = *value;
    v.name = pi_arena_string(&r->arena, value->name, strlen(value->name));
    if (!v.name) return pi_no_memory(err, strlen(value->name));
    r->values[r->nvalues++] = v;
    return 0;
}

int pi_recipe_set_preprocessing(precinfer_recipe *r, const struct precinfer_preprocessing *p, struct precinfer_error *err)
{
    PI_TRY(pi_preprocessing_check(p, "preprocessing", err));
    r->preprocessing = p->given ? *p : (struct precinfer_preprocessing){ .divide = 1 };
    return 0;
}

int pi_recipe_add_tuned(precinfer_recipe *r, uint64_t samples, const uint64_t *hashes, size_t n, struct precinfer_error *err)
{
    const size_t all = n + r->tuned.n;
    /* JSON's whole numbers end there */
    if (samples > (uint64_t)INT64_MAX - r->tuned.samples)
        return pi_fail(err, PRECINFER_MALFORMED, "tune.samples: must be below 2^63");
    uint64_t *both = pi_malloc(&r->ctx->alloc, (all + 1) * sizeof *both), *kept;
    size_t distinct = 0;
    if (!both) return pi_no_memory(err, all * sizeof *both);
    if (r->tuned.n) memcpy(both, r->tuned.hashes, r->tuned.n * sizeof *both);
    if (n) memcpy(both + r->tuned.n, hashes, n * sizeof *both);
    pi_sort_u64(both, all);
    for (size_t i = 0; i < all && distinct < PI_TUNED; i++)
        if (!distinct || both[i] != both[distinct - 1]) both[distinct++] = both[i];
    kept = pi_arena_new(&r->arena, distinct + 1, sizeof *kept);
    if (kept && distinct) memcpy(kept, both, distinct * sizeof *kept);
    pi_free(&r->ctx->alloc, both);
    if (!kept) return pi_no_memory(err, distinct * sizeof *kept);
    r->tuned = (struct pi_tuned){ r->tuned.samples + samples, kept, distinct };
    return 0;
}

int pi_recipe_tuned_on(const precinfer_recipe *r, uint64_t hash)
{
    for (size_t lo = 0, hi = r ? r->tuned.n : 0; lo < hi;) {
        const size_t mid = lo + (hi - lo) / 2;
        if (r->tuned.hashes[mid] == hash) return 1;
        if (hash < r->tuned.hashes[mid]) hi = mid; else lo = mid + 1;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ encoding and hash */

static void encode_node(const struct pi_recipe_node *n, struct pi_bytes *out)
{
    pi_put_string(out, n->name);
    pi_put_string(out, n->op);
    pi_put_u8(out, n->precision);
    pi_put_string(out, n->algorithm ? n->algorithm : "");
    pi_put_count(out, n->nscales);
    for (size_t i = 0; i < n->nscales; i++) pi_put_f32(out, n->scales[i]);
}

static void encode_value(const struct pi_recipe_value *v, struct pi_bytes *out)
{
    pi_put_string(out, v->name);
    pi_put_f32(out, v->scale);
    pi_put_u8(out, (unsigned)v->zero_point);
}

static void encode(const precinfer_recipe *r, int sorted, struct pi_bytes *out)
{
    pi_put_u8(out, ENCODING);
    pi_put_u64(out, r->model_hash);
    pi_preprocessing_encode(&r->preprocessing, out);
    pi_put_count(out, r->nnodes);
    for (size_t i = 0; i < r->nnodes; i++) encode_node(&r->nodes[sorted ? (size_t)r->node_order[i] : i], out);
    pi_put_count(out, r->nvalues);
    for (size_t i = 0; i < r->nvalues; i++) encode_value(&r->values[sorted ? (size_t)r->value_order[i] : i], out);
    if (!r->tuned.samples) return;          /* nothing is written, so that the hash is what it always was */
    pi_put_u64(out, r->tuned.samples);
    pi_put_count(out, r->tuned.n);
    for (size_t i = 0; i < r->tuned.n; i++) pi_put_u64(out, r->tuned.hashes[i]);
}

void pi_recipe_encode(const precinfer_recipe *r, struct pi_bytes *out) { encode(r, 0, out); }

static int node_before(const void *user, int a, int b)
{
    const struct pi_recipe_node *n = user;
    return strcmp(n[a].name, n[b].name) < 0;
}

static int value_before(const void *user, int a, int b)
{
    const struct pi_recipe_value *v = user;
    return strcmp(v[a].name, v[b].name) < 0;
}

/* A recipe is finished anew when its preprocessing changes. */
static int make_order(precinfer_recipe *r, size_t n, int **order, struct precinfer_error *err)
{
    pi_free(&r->ctx->alloc, *order);        /* preprocessing set later finishes a recipe anew */
    *order = pi_calloc(&r->ctx->alloc, n + 1, sizeof **order);
    if (!*order) return pi_no_memory(err, n * sizeof **order);
    for (size_t i = 0; i < n; i++) (*order)[i] = (int)i;
    return 0;
}

int pi_recipe_finish(precinfer_recipe *r, struct precinfer_error *err)
{
    PI_TRY(make_order(r, r->nnodes, &r->node_order, err));
    PI_TRY(make_order(r, r->nvalues, &r->value_order, err));
    pi_sort_index(r->node_order, r->nnodes, node_before, r->nodes);
    pi_sort_index(r->value_order, r->nvalues, value_before, r->values);
    for (size_t i = 1; i < r->nnodes; i++) {
        const char *name = r->nodes[r->node_order[i]].name;
        if (!strcmp(name, r->nodes[r->node_order[i - 1]].name))
            return pi_fail(err, PRECINFER_MALFORMED, "nodes.%s: stands there twice", name);
    }
    for (size_t i = 1; i < r->nvalues; i++) {
        const char *name = r->values[r->value_order[i]].name;
        if (!strcmp(name, r->values[r->value_order[i - 1]].name))
            return pi_fail(err, PRECINFER_MALFORMED, "values.%s: stands there twice", name);
    }
    struct pi_bytes canonical = { .a = &r->ctx->alloc };
    encode(r, 1, &canonical);
    const int failed = canonical.failed;
    if (!failed) r->hash = pi_hash_of(canonical.data, canonical.size);
    pi_bytes_free(&canonical);
    return failed ? pi_no_memory(err, canonical.size) : 0;
}

const struct pi_recipe_node *pi_recipe_node(const precinfer_recipe *r, const char *name)
{
    for (size_t lo = 0, hi = r->nnodes; lo < hi;) {
        const size_t mid = lo + (hi - lo) / 2;
        const struct pi_recipe_node *n = &r->nodes[r->node_order[mid]];
        const int c = strcmp(name, n->name);
        if (!c) return n;
        if (c < 0) hi = mid; else lo = mid + 1;
    }
    return NULL;
}

const struct pi_recipe_value *pi_recipe_value(const precinfer_recipe *r, const char *name)
{
    for (size_t lo = 0, hi = r->nvalues; lo < hi;) {
        const size_t mid = lo + (hi - lo) / 2;
        const struct pi_recipe_value *v = &r->values[r->value_order[mid]];
        const int c = strcmp(name, v->name);
        if (!c) return v;
        if (c < 0) hi = mid; else lo = mid + 1;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ decoding */

/* A name in scratch memory, ended. Everything of one entry lives there until the recipe has copied it. */
static int get_name(struct pi_reader *in, struct pi_arena *scratch, const char **name, struct precinfer_error *err)
{
    size_t n;
    const char *s = pi_get_string(in, &n);
    *name = pi_arena_string(scratch, s, n);
    return *name ? 0 : pi_no_memory(err, n);
}

static int torn(struct precinfer_error *err, const struct pi_reader *in)
{
    return pi_fail(err, PRECINFER_MALFORMED, "recipe: damaged or cut off near byte %zu of %zu", in->at, in->size);
}

static int decode_node(struct pi_reader *in, precinfer_recipe *r, struct pi_arena *scratch, struct precinfer_error *err)
{
    struct pi_recipe_node n = { 0 };
    PI_TRY(get_name(in, scratch, &n.name, err));
    PI_TRY(get_name(in, scratch, &n.op, err));
    n.precision = (uint8_t)pi_get_u8(in);
    PI_TRY(get_name(in, scratch, &n.algorithm, err));
    if (!*n.algorithm) n.algorithm = NULL;
    const uint64_t count = pi_get_count(in);
    if (in->failed || count > (in->size - in->at) / 4) return torn(err, in);
    float *scales = pi_arena_new(scratch, (size_t)count + 1, sizeof *scales);
    if (!scales) return pi_no_memory(err, (size_t)count * sizeof *scales);
    for (size_t i = 0; i < count; i++) scales[i] = pi_get_f32(in);
    n.nscales = (size_t)count;
    n.scales = scales;
    return pi_recipe_add_node(r, &n, err);
}

static int decode_value(struct pi_reader *in, precinfer_recipe *r, struct pi_arena *scratch, struct precinfer_error *err)
{
    struct pi_recipe_value v;
    PI_TRY(get_name(in, scratch, &v.name, err));
    v.scale = pi_get_f32(in);
    v.zero_point = (int32_t)pi_get_u8(in);
    if (in->failed) return torn(err, in);
    return pi_recipe_add_value(r, &v, err);
}

static int decode_tuned(struct pi_reader *in, precinfer_recipe *r, struct pi_arena *scratch, struct precinfer_error *err)
{
    const uint64_t samples = pi_get_u64(in), n = pi_get_count(in);
    if (in->failed || !samples || n > PI_TUNED || n > samples || n > (in->size - in->at) / 8) return torn(err, in);
    uint64_t *hashes = pi_arena_new(scratch, (size_t)n + 1, sizeof *hashes);
    if (!hashes) return pi_no_memory(err, (size_t)n * sizeof *hashes);
    for (size_t i = 0; i < n; i++) {
        hashes[i] = pi_get_u64(in);
        if (i && hashes[i] <= hashes[i - 1]) return torn(err, in);
    }
    return pi_recipe_add_tuned(r, samples, hashes, (size_t)n, err);
}

static int decode(struct pi_reader *in, precinfer_recipe *r, struct pi_arena *scratch, struct precinfer_error *err)
{
    struct precinfer_preprocessing p;
    const unsigned encoding = pi_get_u8(in);
    if (!in->failed && encoding != ENCODING)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "recipe: encoding %u; this version reads %d", encoding, ENCODING);
    r->model_hash = pi_get_u64(in);
    pi_preprocessing_decode(in, &p);
    if (in->failed) return torn(err, in);
    PI_TRY(pi_recipe_set_preprocessing(r, &p, err));
    for (uint64_t n = pi_get_count(in); n && !in->failed; n--) PI_TRY(decode_node(in, r, scratch, err));
    for (uint64_t n = pi_get_count(in); n && !in->failed; n--) PI_TRY(decode_value(in, r, scratch, err));
    if (!in->failed && in->at < in->size) PI_TRY(decode_tuned(in, r, scratch, err));
    if (in->failed || in->at != in->size) return torn(err, in);
    return pi_recipe_finish(r, err);
}

int pi_recipe_decode(precinfer_context *ctx, const void *bytes, size_t size, precinfer_recipe **recipe,
                     struct precinfer_error *err)
{
    struct pi_reader in = { bytes, size, 0, 0 };
    struct pi_arena scratch = { .a = &ctx->alloc };
    precinfer_recipe *r;
    PI_TRY(pi_recipe_create(ctx, &r, err));
    const int status = decode(&in, r, &scratch, err);
    pi_arena_free(&scratch);
    if (status) pi_recipe_release(r);
    else *recipe = r;
    return status;
}
