#include <string.h>
#include "../base/hash.h"
#include "container.h"
#include "plan_file.h"

static const struct pi_container_type TYPE = { PI_TAG('P', 'L', 'A', 'N'), PI_PLAN_MAJOR, PI_PLAN_MINOR, "plan" };
enum { META = PI_TAG('M', 'E', 'T', 'A'), GRPH = PI_TAG('G', 'R', 'P', 'H'), DATA = PI_TAG('D', 'A', 'T', 'A'),
       RECP = PI_TAG('R', 'E', 'C', 'P'), HASH = PI_TAG('H', 'A', 'S', 'H') };

/* What decides the numbers, in one number: the model, the recipe, the preprocessing. */
uint64_t pi_plan_hash(const precinfer_plan *p)
{
    const uint64_t parts[] = { p->model_hash, p->recipe ? p->recipe->hash : 0, PI_PLAN_MAJOR };
    return pi_hash_of(parts, sizeof parts);
}

/* ------------------------------------------------------------------------------------------------ writing */

static void put_i64(struct pi_bytes *b, int64_t x) { pi_put_u64(b, (uint64_t)x); }
static void put_index(struct pi_bytes *b, int x) { pi_put_count(b, (uint64_t)((int64_t)x + 1)); }      /* -1: absent */

static void put_dims(struct pi_bytes *b, const struct pi_tensor *t)
{
    pi_put_u8(b, t->type);
    pi_put_u8(b, (unsigned)t->rank);
    for (int i = 0; i < t->rank; i++) put_i64(b, t->dims[i]);
}

static void put_attr(struct pi_bytes *b, const struct pi_attr *a)
{
    pi_put_string(b, a->name);
    pi_put_u8(b, a->type);
    pi_put_count(b, a->count);
    switch ((enum pi_attr_type)a->type) {
    case PI_ATTR_INT: put_i64(b, a->i); break;
    case PI_ATTR_FLOAT: pi_put_f32(b, a->f); break;
    case PI_ATTR_STRING: pi_put_string(b, a->s); break;
    case PI_ATTR_INTS: for (size_t i = 0; i < a->count; i++) put_i64(b, a->ints[i]); break;
    case PI_ATTR_FLOATS: for (size_t i = 0; i < a->count; i++) pi_put_f32(b, a->floats[i]); break;
    case PI_ATTR_STRINGS: for (size_t i = 0; i < a->count; i++) pi_put_string(b, a->strings[i]); break;
    case PI_ATTR_TENSOR: break;         /* only Constant and ConstantOfShape have one; see put_node */
    }
}

static void put_node(struct pi_bytes *b, const struct pi_node *n, const struct pi_lowered_node *l, size_t channels)
{
    pi_put_string(b, n->op->name);
    pi_put_count(b, (uint64_t)n->opset);
    pi_put_string(b, n->name);
    pi_put_count(b, n->nin);
    for (size_t i = 0; i < n->nin; i++) put_index(b, n->in[i]);
    pi_put_count(b, n->nout);
    for (size_t i = 0; i < n->nout; i++) put_index(b, n->out[i]);
    pi_put_count(b, n->nattr);
    for (size_t i = 0; i < n->nattr; i++) {
        const struct pi_attr *a = &n->attr[i];
        put_attr(b, a);
        if (a->type != PI_ATTR_TENSOR) continue;
        put_dims(b, &a->tensor);
        const size_t bytes = (size_t)pi_elements(&a->tensor) * pi_type_size((enum pi_type)a->tensor.type);
        pi_put_count(b, bytes);
        pi_put(b, a->tensor.data, bytes);
    }
    pi_put_u8(b, (unsigned)(n->fused.has_act | n->fused.has_res << 1 | n->fused.has_clamp << 2));
    pi_put_f32(b, n->fused.act_lo); pi_put_f32(b, n->fused.act_hi);
    pi_put_f32(b, n->fused.lo); pi_put_f32(b, n->fused.hi);
    put_index(b, n->fused.has_res ? n->fused.res : -1);
    pi_put_string(b, n->fused.names ? n->fused.names : "");
    pi_put_u8(b, l->precision); pi_put_u8(b, l->table); pi_put_u8(b, l->out_form);
    pi_put_count(b, l->weight_scale ? channels : 0);
    for (size_t i = 0; l->weight_scale && i < channels; i++) pi_put_f32(b, l->weight_scale[i]);
}

/* Constants that a live node or an output needs. */
static void mark_used(const precinfer_graph *g, uint8_t *used)
{
    for (size_t i = 0; i < g->nnodes; i++)
        for (size_t j = 0; !g->nodes[i].dead && j < g->nodes[i].nin; j++)
            if (g->nodes[i].in[j] >= 0) used[g->nodes[i].in[j]] = 1;
    for (size_t i = 0; i < g->noutputs; i++) used[g->outputs[i]] = 1;
}

static void put_graph(const precinfer_plan *p, const uint8_t *used, struct pi_bytes *b, struct pi_bytes *data)
{
    const precinfer_graph *g = p->g;
    size_t live = 0;
    pi_put_count(b, g->nsymbols);
    for (size_t i = 0; i < g->nsymbols; i++) pi_put_string(b, g->symbols[i] ? g->symbols[i] : "");
    pi_put_count(b, g->nvalues);
    for (size_t v = 0; v < g->nvalues; v++) {
        const struct pi_tensor *t = &g->values[v].t;
        const int constant = t->data != NULL && used[v];
        pi_put_string(b, g->values[v].name);
        put_dims(b, t);
        pi_put_u8(b, (unsigned)(constant | p->values[v].has_scale << 1));
        if (p->values[v].has_scale) { pi_put_f32(b, p->values[v].scale); pi_put_u32(b, (uint32_t)p->values[v].zp); }
        if (!constant) continue;
        static const char zeros[64];
        const size_t bytes = (size_t)pi_elements(t) * pi_type_size((enum pi_type)t->type);
        pi_put(data, zeros, pi_up(data->size, 64) - data->size);
        pi_put_u64(b, data->size);
        pi_put_u64(b, bytes);
        pi_put(data, t->data, bytes);
    }
    for (size_t i = 0; i < g->nnodes; i++) live += !g->nodes[i].dead;
    pi_put_count(b, live);
    for (size_t i = 0; i < g->nnodes; i++)
        if (!g->nodes[i].dead)
            put_node(b, &g->nodes[i], &p->nodes[i], p->nodes[i].weight_scale ? pi_weight_channels(g, &g->nodes[i]) : 0);
    pi_put_count(b, g->ninputs);
    for (size_t i = 0; i < g->ninputs; i++) pi_put_count(b, (uint64_t)g->inputs[i]);
    pi_put_count(b, g->noutputs);
    for (size_t i = 0; i < g->noutputs; i++) pi_put_count(b, (uint64_t)g->outputs[i]);
}

int pi_plan_write(const precinfer_plan *p, const char *path, int rejected, struct precinfer_error *err)
{
    const struct pi_allocator *a = &p->ctx->alloc;
    struct pi_bytes meta = { .a = a }, graph = { .a = a }, data = { .a = a }, recipe = { .a = a }, hashes = { .a = a };
    uint8_t *used = pi_calloc(a, p->g->nvalues + 1, 1);
    if (!used) return pi_no_memory(err, p->g->nvalues);
    mark_used(p->g, used);
    pi_put_string(&meta, precinfer_version());
    pi_put_string(&meta, p->ctx->cpu_text);
    pi_put_u64(&meta, p->model_hash);
    pi_put_u8(&meta, rejected != 0);
    pi_put_count(&meta, p->nsamples);
    pi_preprocessing_encode(&p->preprocessing, &meta);
    put_graph(p, used, &graph, &data);
    if (p->recipe) pi_recipe_encode(p->recipe, &recipe);
    for (size_t i = 0; i < p->nhashes; i++) pi_put_u64(&hashes, p->hashes[i]);
    int status = meta.failed || graph.failed || data.failed || recipe.failed || hashes.failed ? pi_no_memory(err, data.size) : 0;
    if (!status) {
        struct pi_section s[5] = { { META, meta.data, meta.size }, { GRPH, graph.data, graph.size }, { DATA, data.data, data.size } };
        size_t n = 3;
        if (p->recipe) s[n++] = (struct pi_section){ RECP, recipe.data, recipe.size };
        if (p->nhashes) s[n++] = (struct pi_section){ HASH, hashes.data, hashes.size };
        status = pi_container_write(p->ctx, path, &TYPE, s, n, err);
    }
    pi_bytes_free(&meta); pi_bytes_free(&graph); pi_bytes_free(&data); pi_bytes_free(&recipe); pi_bytes_free(&hashes);
    pi_free(a, used);
    return status;
}

/* ------------------------------------------------------------------------------------------------ reading */

struct reading {
    struct pi_reader r;
    struct pi_section data;
    precinfer_graph *g;
    struct pi_lowered_node *nodes; struct pi_lowered_value *values;
    struct precinfer_error *err;
    size_t missing;                     /* bytes that a string had no memory for                                 */
};
/* The checksum held, so a contradiction here is a file that something else wrote. */
static int malformed(struct reading *x)
{
    if (x->missing) return pi_no_memory(x->err, x->missing);
    return pi_fail(x->err, PRECINFER_MALFORMED, "plan file: the graph section contradicts itself at byte %zu", x->r.at);
}

static const char *get_text(struct reading *x)
{
    size_t n;
    const char *s = pi_get_string(&x->r, &n);
    if (x->r.failed) return NULL;
    s = pi_arena_string(&x->g->arena, s, n);
    if (!s) x->missing = n + 1;
    return s;
}
/* A count of things that take at least one byte each: bounded by what is left. */
static size_t get_size(struct reading *x)
{
    const uint64_t n = pi_get_count(&x->r);
    if (n > x->r.size - x->r.at) { x->r.failed = 1; return 0; }
    return (size_t)n;
}
static int get_index(struct reading *x, size_t limit)
{
    const uint64_t n = pi_get_count(&x->r);
    if (n > limit) { x->r.failed = 1; return -1; }
    return (int)n - 1;
}
static int get_dims(struct reading *x, struct pi_tensor *t)
{
    memset(t, 0, sizeof *t);
    t->type = (uint8_t)pi_get_u8(&x->r);
    t->rank = (int)pi_get_u8(&x->r);
    if (x->r.failed || t->rank > PI_MAX_RANK || !pi_type_size((enum pi_type)t->type)) return malformed(x);
    for (int i = 0; i < t->rank; i++) {
        t->dims[i] = (int64_t)pi_get_u64(&x->r);
        if (t->dims[i] < -(int64_t)x->g->nsymbols) return malformed(x);
    }
    if (pi_graph_check_dims(t)) return malformed(x);
    pi_row_major(t);
    return 0;
}

static int get_value(struct reading *x, size_t v)
{
    struct pi_tensor t;
    int value;
    const char *name = get_text(x);
    if (!name) return malformed(x);
    PI_TRY(pi_graph_add_value(x->g, name, &value, x->err));
    PI_TRY(get_dims(x, &t));
    const unsigned flags = pi_get_u8(&x->r);
    if (flags & 2) {
        x->values[v].has_scale = 1;
        x->values[v].scale = pi_get_f32(&x->r);
        x->values[v].zp = (int32_t)pi_get_u32(&x->r);
        if (!(x->values[v].scale > 0) || x->values[v].zp < 0 || x->values[v].zp > 255) return malformed(x);
    }
    if (flags & 1) {
        const uint64_t at = pi_get_u64(&x->r), bytes = pi_get_u64(&x->r);
        if (x->r.failed || at % 64 || at > x->data.size || bytes > x->data.size - at || pi_elements(&t) < 0 ||
            bytes != (uint64_t)pi_elements(&t) * pi_type_size((enum pi_type)t.type)) return malformed(x);
        t.data = (char *)(uintptr_t)x->data.data + at;
    }
    x->g->values[value].t = t;
    return 0;
}

static int get_attr(struct reading *x, struct pi_attr *a)
{
    a->name = get_text(x);
    a->type = (uint8_t)pi_get_u8(&x->r);
    a->count = get_size(x);
    if (!a->name || x->r.failed) return malformed(x);
    struct pi_arena *arena = &x->g->arena;
    int64_t *ints; float *floats; const char **strings;
    switch (a->type) {
    case PI_ATTR_INT: a->i = (int64_t)pi_get_u64(&x->r); return 0;
    case PI_ATTR_FLOAT: a->f = pi_get_f32(&x->r); return 0;
    case PI_ATTR_STRING: a->s = get_text(x); return a->s ? 0 : malformed(x);
    case PI_ATTR_INTS:
        if (!(ints = pi_arena_new(arena, a->count + 1, sizeof *ints))) return pi_no_memory(x->err, a->count * sizeof *ints);
        for (size_t i = 0; i < a->count; i++) ints[i] = (int64_t)pi_get_u64(&x->r);
        a->ints = ints;
        return 0;
    case PI_ATTR_FLOATS:
        if (!(floats = pi_arena_new(arena, a->count + 1, sizeof *floats))) return pi_no_memory(x->err, a->count * sizeof *floats);
        for (size_t i = 0; i < a->count; i++) floats[i] = pi_get_f32(&x->r);
        a->floats = floats;
        return 0;
    case PI_ATTR_STRINGS:
        if (!(strings = pi_arena_new(arena, a->count + 1, sizeof *strings))) return pi_no_memory(x->err, a->count * sizeof *strings);
        for (size_t i = 0; i < a->count; i++) if (!(strings[i] = get_text(x))) return malformed(x);
        a->strings = strings;
        return 0;
    case PI_ATTR_TENSOR: {
        PI_TRY(get_dims(x, &a->tensor));
        const size_t bytes = get_size(x);
        if (pi_elements(&a->tensor) < 0 || bytes != (size_t)pi_elements(&a->tensor) * pi_type_size((enum pi_type)a->tensor.type)) return malformed(x);
        const void *from = pi_get(&x->r, bytes);
        if (x->r.failed) return malformed(x);
        if (!(a->tensor.data = pi_arena_big(arena, bytes + 1))) return pi_no_memory(x->err, bytes);
        memcpy(a->tensor.data, from, bytes);
        return 0;
    }
    default: return malformed(x);
    }
}

static int get_fused(struct reading *x, struct pi_node *n)
{
    const unsigned flags = pi_get_u8(&x->r);
    n->fused.has_act = flags & 1;
    n->fused.has_res = flags >> 1 & 1;
    n->fused.has_clamp = flags >> 2 & 1;
    n->fused.act_lo = pi_get_f32(&x->r); n->fused.act_hi = pi_get_f32(&x->r);
    n->fused.lo = pi_get_f32(&x->r); n->fused.hi = pi_get_f32(&x->r);
    n->fused.res = get_index(x, x->g->nvalues);
    n->fused.names = get_text(x);
    if (!n->fused.names || x->r.failed || (n->fused.has_res && n->fused.res < 0) || (flags && !(n->op->flags & PI_OP_EPILOGUE))) return malformed(x);
    return 0;
}

static int get_lowered(struct reading *x, const struct pi_node *n, struct pi_lowered_node *l)
{
    l->precision = (uint8_t)pi_get_u8(&x->r);
    l->table = (uint8_t)pi_get_u8(&x->r);
    l->out_form = (uint8_t)pi_get_u8(&x->r);
    const size_t channels = get_size(x);
    const int weights = pi_has_weights(x->g, n), s8 = weights && x->g->values[n->in[1]].t.type == PI_S8;
    if (x->r.failed || l->precision > PRECINFER_PRECISION_INT8 || l->out_form > PI_FORM_BF16) return malformed(x);
    if (s8 != (channels > 0) || s8 != (l->precision == PRECINFER_PRECISION_INT8) || (channels && channels != pi_weight_channels(x->g, n))) return malformed(x);
    if (!channels) return 0;
    float *scale = pi_arena_new(&x->g->arena, channels, sizeof *scale);
    if (!scale) return pi_no_memory(x->err, channels * sizeof *scale);
    for (size_t i = 0; i < channels; i++)
        if (!((scale[i] = pi_get_f32(&x->r)) > 0)) return malformed(x);
    l->weight_scale = scale;
    return 0;
}

static int get_node(struct reading *x, size_t index)
{
    struct pi_node *n;
    const char *op = get_text(x);
    const uint64_t opset = pi_get_count(&x->r);
    const char *name = get_text(x);
    if (!op || !name || opset > PI_OPSET_INTERNAL) return malformed(x);
    size_t counts[3];
    counts[0] = get_size(x);
    if (counts[0] > 1 << 20) return malformed(x);
    int *in = pi_arena_new(&x->g->arena, counts[0] + 1, sizeof *in);
    if (!in) return pi_no_memory(x->err, counts[0] * sizeof *in);
    for (size_t i = 0; i < counts[0]; i++) in[i] = get_index(x, x->g->nvalues);
    counts[1] = get_size(x);
    int *out = pi_arena_new(&x->g->arena, counts[1] + 1, sizeof *out);
    if (!out) return pi_no_memory(x->err, counts[1] * sizeof *out);
    for (size_t i = 0; i < counts[1]; i++) out[i] = get_index(x, x->g->nvalues);
    counts[2] = get_size(x);
    if (x->r.failed) return malformed(x);
    x->g->opset = (int)opset;
    PI_TRY(pi_graph_add_node(x->g, op, "", name, counts[0], counts[1], counts[2], &n, x->err));
    if (counts[0]) memcpy(n->in, in, counts[0] * sizeof *in);
    if (counts[1]) memcpy(n->out, out, counts[1] * sizeof *out);
    if (counts[0] < n->op->min_in || (n->op->max_in && counts[0] > n->op->max_in) || counts[1] < n->op->min_out || (n->op->max_out && counts[1] > n->op->max_out))
        return malformed(x);
    for (size_t i = 0; i < n->op->min_in; i++) if (n->in[i] < 0) return malformed(x);
    for (size_t i = 0; i < counts[1]; i++)
        if (n->out[i] >= 0) {
            if (x->g->values[n->out[i]].producer >= 0 || x->g->values[n->out[i]].t.data) return malformed(x);
            x->g->values[n->out[i]].producer = (int)index;
        }
    for (size_t i = 0; i < counts[2]; i++) PI_TRY(get_attr(x, &n->attr[i]));
    PI_TRY(get_fused(x, n));
    PI_TRY(get_lowered(x, n, &x->nodes[index]));
    if (n->op->params_bytes && !(n->params = pi_arena_new(&x->g->arena, 1, n->op->params_bytes))) return pi_no_memory(x->err, n->op->params_bytes);
    return n->op->check ? n->op->check(x->g, n, x->err) : 0;
}

static int get_graph(struct reading *x)
{
    const struct pi_allocator *a = &x->g->ctx->alloc;
    const size_t nsymbols = get_size(x);
    for (size_t i = 0; i < nsymbols; i++) {
        const char *s = get_text(x);
        if (!s) return malformed(x);
        if (pi_graph_symbol(x->g, *s ? s : NULL) == INT64_MIN) return pi_no_memory(x->err, sizeof s);
    }
    const size_t nvalues = get_size(x);
    if (!(x->values = pi_calloc(a, nvalues + 1, sizeof *x->values))) return pi_no_memory(x->err, nvalues * sizeof *x->values);
    for (size_t v = 0; v < nvalues; v++) PI_TRY(get_value(x, v));
    const size_t nnodes = get_size(x);
    if (!(x->nodes = pi_calloc(a, nnodes + 1, sizeof *x->nodes))) return pi_no_memory(x->err, nnodes * sizeof *x->nodes);
    for (size_t i = 0; i < nnodes; i++) PI_TRY(get_node(x, i));
    const size_t ninputs = get_size(x);
    for (size_t i = 0; i < ninputs; i++) {
        const uint64_t v = pi_get_count(&x->r);
        if (x->r.failed || v >= nvalues || x->g->values[v].producer >= 0 || x->g->values[v].is_input || x->g->values[v].t.data) return malformed(x);
        PI_TRY(pi_graph_mark_input(x->g, (int)v, x->err));
    }
    const size_t noutputs = get_size(x);
    for (size_t i = 0; i < noutputs; i++) {
        const uint64_t v = pi_get_count(&x->r);
        if (x->r.failed || v >= nvalues) return malformed(x);
        PI_TRY(pi_graph_add_output(x->g, (int)v, x->err));
    }
    if (x->r.failed || x->r.at != x->r.size) return malformed(x);
    PI_TRY(pi_lowered_check(x->g, x->nodes, x->values, x->err));
    x->g->finished = 1;
    return 0;
}

struct meta { const char *cpu; uint64_t model_hash; int rejected; size_t nsamples; struct precinfer_preprocessing pre; };
static int get_meta(struct reading *x, const struct pi_section *s, struct meta *m)
{
    size_t n;
    x->r = (struct pi_reader){ .data = s->data, .size = s->size };
    (void)pi_get_string(&x->r, &n);
    m->cpu = get_text(x);
    m->model_hash = pi_get_u64(&x->r);
    m->rejected = (int)pi_get_u8(&x->r);
    m->nsamples = (size_t)pi_get_count(&x->r);
    pi_preprocessing_decode(&x->r, &m->pre);
    if (x->missing) return pi_no_memory(x->err, x->missing);
    if (x->r.failed || !m->cpu) return pi_fail(x->err, PRECINFER_MALFORMED, "plan file: the META section is cut short");
    return pi_preprocessing_check(&m->pre, "plan file", x->err);
}

static int get_hashes(precinfer_plan *p, const struct pi_container *c, struct precinfer_error *err)
{
    struct pi_section s;
    if (pi_container_find(c, HASH, 0, &s)) return 0;
    p->nhashes = s.size / 8;
    uint64_t *h = pi_arena_new(&p->arena, p->nhashes + 1, sizeof *h);
    if (!h) return pi_no_memory(err, s.size);
    for (size_t i = 0; i < p->nhashes; i++) {
        h[i] = pi_load_u64((const char *)s.data + 8 * i);
        if (i && h[i] <= h[i - 1]) return pi_fail(err, PRECINFER_MALFORMED, "plan file: sample hashes are not ascending");
    }
    p->hashes = h;
    return 0;
}

static int build(struct reading *x, const struct pi_container *c, struct meta *m, precinfer_plan **plan)
{
    struct pi_section s;
    precinfer_recipe *recipe = NULL;
    PI_TRY(pi_container_need(c, META, &s, x->err));
    PI_TRY(get_meta(x, &s, m));
    PI_TRY(pi_container_need(c, DATA, &x->data, x->err));
    PI_TRY(pi_container_need(c, GRPH, &s, x->err));
    x->r = (struct pi_reader){ .data = s.data, .size = s.size };
    PI_TRY(get_graph(x));
    if (!pi_container_find(c, RECP, 0, &s)) PI_TRY(pi_recipe_decode(x->g->ctx, s.data, s.size, &recipe, x->err));
    precinfer_graph *g = x->g;
    x->g = NULL;                        /* the plan's from here on, also when building fails */
    struct pi_lowered_node *nodes = x->nodes;
    struct pi_lowered_value *values = x->values;
    x->nodes = NULL; x->values = NULL;
    g->hash = m->model_hash;
    const int status = pi_plan_build(g, recipe, nodes, values, NULL, plan, x->err);
    pi_recipe_release(recipe);
    return status;
}

int pi_plan_read(precinfer_context *ctx, const void *bytes, size_t size, int strict_host, precinfer_plan **plan, struct precinfer_error *err)
{
    struct pi_container c;
    struct reading x = { .err = err };
    struct meta m = { 0 };
    precinfer_plan *p = NULL;
    PI_TRY(pi_container_open(bytes, size, &TYPE, &c, err));
    PI_TRY(pi_graph_new(ctx, &x.g, err));
    const unsigned saved = pi_fp_enter();
    int status = build(&x, &c, &m, &p);
    pi_fp_leave(saved);
    pi_free(&ctx->alloc, x.nodes);
    pi_free(&ctx->alloc, x.values);
    pi_graph_release(x.g);
    if (status) return status;
    p->model_hash = m.model_hash;
    p->rejected = m.rejected;
    p->nsamples = m.nsamples;
    p->preprocessing = m.pre;
    p->other_host = strcmp(m.cpu ? m.cpu : "", ctx->cpu_text) != 0;
    if (p->other_host && strict_host)
        status = pi_fail(err, PRECINFER_UNSUPPORTED, "the plan was made on another CPU (%s), this one is %s", m.cpu, ctx->cpu_text);
    else if (p->other_host)
        pi_log(ctx, PRECINFER_LOG_NOTE, "the plan was made on another CPU: kernels are chosen anew, results are the same");
    if (!status) status = get_hashes(p, &c, err);
    if (status) pi_plan_release(p); else *plan = p;
    return status;
}
