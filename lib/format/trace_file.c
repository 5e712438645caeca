#include <string.h>
#include "../base/error.h"
#include "../base/hash.h"
#include "../calib/stats.h"
#include "container.h"
#include "file.h"
#include "map.h"
#include "trace_file.h"

enum { ALIGN = 64, MAJOR = 1, MINOR = 0, KIND = PI_TAG('T', 'R', 'A', 'C'), INFO = PI_TAG('I', 'N', 'F', 'O'),
       BLCK = PI_TAG('B', 'L', 'C', 'K'), DONE = PI_TAG('D', 'O', 'N', 'E') };
static const char magic[] = "PRECINF\n";
static const unsigned char zeros[ALIGN];

/* ------------------------------------------------------------------------------------------------ writing */

struct writing { struct pi_trace *t; struct pi_file f; struct pi_bytes b; struct pi_hash records, data; uint64_t samples; };

static int put_record(struct writing *w, uint32_t tag, struct precinfer_error *err)
{
    unsigned char head[ALIGN] = { 0 };
    if (w->b.failed) return pi_no_memory(err, w->b.size);
    const uint64_t hash = pi_hash_of(w->b.data, w->b.size);
    pi_store_u32(head, tag);
    pi_store_u64(head + 8, w->b.size);
    pi_store_u64(head + 16, hash);
    pi_hash_add(&w->records, head, 24);
    PI_TRY(pi_file_put(&w->f, head, ALIGN, err));
    PI_TRY(pi_file_put(&w->f, w->b.data, w->b.size, err));
    const size_t rest = pi_up(w->b.size, ALIGN) - w->b.size;
    w->b.size = 0;
    return rest ? pi_file_put(&w->f, zeros, rest, err) : 0;
}

static int put_info(struct writing *w, struct precinfer_error *err)
{
    const struct pi_trace *t = w->t;
    unsigned char head[ALIGN] = { 0 };
    memcpy(head, magic, 8);
    pi_store_u32(head + 8, KIND);
    pi_store_u32(head + 12, MAJOR | MINOR << 16);
    PI_TRY(pi_file_put(&w->f, head, ALIGN, err));
    pi_put_string(&w->b, precinfer_version());
    pi_put_string(&w->b, t->ctx->cpu_text);
    pi_put_u64(&w->b, t->model_hash);
    pi_put_u64(&w->b, t->recipe_hash);
    pi_put_u64(&w->b, t->plan_hash);
    pi_put_count(&w->b, t->n);
    for (size_t i = 0; i < t->n; i++) {
        const struct pi_traced *x = &t->tensors[i];
        pi_put_string(&w->b, x->name);
        pi_put_string(&w->b, x->layer);
        pi_put_string(&w->b, x->op);
        pi_put_string(&w->b, x->fused);
        pi_put_u8(&w->b, x->type);
        pi_put_u8(&w->b, x->precision);
        pi_put_u8(&w->b, (unsigned)(x->quantized | x->has_weights << 1 | x->input << 2 | x->conversion << 3));
        pi_put_f32(&w->b, x->scale);
        pi_put_u32(&w->b, (uint32_t)x->zp);
    }
    return put_record(w, INFO, err);
}

static void align(struct pi_bytes *b) { pi_put(b, zeros, pi_up(b->size, ALIGN) - b->size); }

static int put_block(struct writing *w, const struct precinfer_batch *batch, struct precinfer_error *err)
{
    pi_put_u64(&w->b, batch->samples);
    for (size_t i = 0; i < batch->samples; i++) {
        const uint64_t hash = pi_sample_hash(batch, i);
        pi_hash_add(&w->data, &hash, sizeof hash);
        pi_put_u64(&w->b, hash);
    }
    for (size_t i = 0; i < w->t->n; i++) {
        struct pi_tensor x;
        PI_TRY(w->t->get(w->t, i, &x, err));
        pi_put_u64(&w->b, (uint64_t)x.rank);
        for (int d = 0; d < x.rank; d++) pi_put_u64(&w->b, (uint64_t)x.dims[d]);
        align(&w->b);
        pi_put(&w->b, x.data, (size_t)pi_elements(&x) * pi_type_size((enum pi_type)x.type));
    }
    w->samples += batch->samples;
    return put_record(w, BLCK, err);
}

static int write_all(struct writing *w, precinfer_next_batch *next, void *user, const struct precinfer_diff_options *o,
                     struct precinfer_error *err)
{
    PI_TRY(put_info(w, err));
    for (;;) {
        struct precinfer_batch b;
        memset(&b, 0, sizeof b);
        PI_TRY(next(user, &b, err));
        if (!b.samples) break;
        PI_TRY(w->t->next(w->t, &b, err));
        PI_TRY(put_block(w, &b, err));
        if (o->progress && o->progress(o->user, "record", (size_t)w->samples, 0))
            return pi_fail(err, PRECINFER_CANCELLED, "cancelled after %zu samples", (size_t)w->samples);
    }
    if (!w->samples) return pi_fail(err, PRECINFER_INVALID, "there are no samples to record");
    pi_put_u64(&w->b, w->samples);
    pi_put_u64(&w->b, pi_hash_end(&w->data));
    pi_put_u64(&w->b, pi_hash_end(&w->records));
    PI_TRY(put_record(w, DONE, err));
    return pi_file_commit(&w->f, err);
}

int pi_trace_record(struct pi_trace *t, precinfer_next_batch *next, void *user, const char *path,
                    const struct precinfer_diff_options *o, struct precinfer_error *err)
{
    struct writing w = { .t = t, .b = { .a = &t->ctx->alloc } };
    pi_hash_init(&w.records);
    pi_hash_init(&w.data);
    PI_TRY(pi_file_open(&t->ctx->alloc, path, &w.f, err));
    const unsigned saved = pi_fp_enter();
    const int status = write_all(&w, next, user, o, err);
    pi_fp_leave(saved);
    pi_bytes_free(&w.b);
    if (status) pi_file_drop(&w.f);
    return status;
}

/* ------------------------------------------------------------------------------------------------ reading */

struct reading {
    struct pi_trace t;
    struct pi_map map;
    const char *path;
    size_t at;                          /* of the next record                                                    */
    struct pi_hash records, data;
    uint64_t total;
    int over;
    struct pi_tensor *block;            /* tensors of the block                                                  */
    struct pi_scratch hashes;
};

static int bad(const struct reading *r, struct precinfer_error *err, const char *what)
{
    return pi_fail(err, PRECINFER_MALFORMED, "%s: recording %s near byte %zu", r->path, what, r->at);
}

static int get_record(struct reading *r, uint32_t *tag, struct pi_reader *in, struct precinfer_error *err)
{
    const unsigned char *head = r->map.bytes + r->at;
    if (r->map.size - r->at < ALIGN) return bad(r, err, "is cut off");
    const uint64_t size = pi_load_u64(head + 8), left = r->map.size - r->at - ALIGN;
    *tag = pi_load_u32(head);
    if (size > left || pi_up((size_t)size, ALIGN) > left) return bad(r, err, "is cut off");
    *in = (struct pi_reader){ .data = head + ALIGN, .size = (size_t)size };
    if (pi_hash_of(in->data, in->size) != pi_load_u64(head + 16)) return bad(r, err, "is damaged (a checksum does not match)");
    if (*tag != DONE) pi_hash_add(&r->records, head, 24);
    r->at += ALIGN + pi_up((size_t)size, ALIGN);
    return 0;
}

static int get_done(struct reading *r, struct pi_reader *in, struct precinfer_error *err)
{
    const uint64_t samples = pi_get_u64(in), data = pi_get_u64(in), records = pi_get_u64(in);
    if (in->failed || samples != r->total || data != pi_hash_end(&r->data) || records != pi_hash_end(&r->records))
        return bad(r, err, "lacks a part of what it had");
    if (r->at != r->map.size) return bad(r, err, "goes on after its end");
    r->over = 1;
    r->t.samples = 0;
    return 0;
}

static int get_hashes(struct reading *r, struct pi_reader *in, uint64_t samples, struct precinfer_error *err)
{
    if (in->failed || !samples || samples > (in->size - in->at) / 8) return bad(r, err, "contradicts itself");
    PI_TRY(pi_scratch_need(r->t.ctx, &r->hashes, (size_t)samples * 8, err));
    uint64_t *h = r->hashes.data;
    for (size_t i = 0; i < samples; i++) {
        h[i] = pi_get_u64(in);
        pi_hash_add(&r->data, &h[i], sizeof *h);
    }
    r->t.hashes = h;
    return 0;
}

static int get_tensor(struct reading *r, struct pi_reader *in, const struct pi_traced *x, struct pi_tensor *t,
                      struct precinfer_error *err)
{
    const uint64_t rank = pi_get_u64(in);
    *t = (struct pi_tensor){ .type = x->type, .quantized = x->quantized, .scale = x->scale, .zp = x->zp, .rank = (int)rank };
    if (in->failed || rank > PI_MAX_RANK) return bad(r, err, "contradicts itself");
    for (int d = 0; d < t->rank; d++) {
        t->dims[d] = (int64_t)pi_get_u64(in);
        if (t->dims[d] < 0) return bad(r, err, "contradicts itself");
    }
    if (pi_graph_check_dims(t)) return bad(r, err, "contradicts itself");
    pi_row_major(t);
    (void)pi_get(in, pi_up(in->at, ALIGN) - in->at);
    t->data = (void *)(uintptr_t)pi_get(in, (size_t)pi_elements(t) * pi_type_size((enum pi_type)t->type));
    return in->failed ? bad(r, err, "contradicts itself") : 0;
}

static int next_block(struct pi_trace *t, const struct precinfer_batch *b, struct precinfer_error *err)
{
    struct reading *r = (struct reading *)t;
    struct pi_reader in;
    uint32_t tag;
    (void)b;
    t->samples = 0;
    if (r->over) return 0;
    pi_map_pass(&r->map, r->at);
    PI_TRY(get_record(r, &tag, &in, err));
    if (tag == DONE) return get_done(r, &in, err);
    if (tag != BLCK) return bad(r, err, "contradicts itself");
    const uint64_t samples = pi_get_u64(&in);
    PI_TRY(get_hashes(r, &in, samples, err));
    for (size_t i = 0; i < t->n; i++) PI_TRY(get_tensor(r, &in, &t->tensors[i], &r->block[i], err));
    if (in.at != in.size) return bad(r, err, "contradicts itself");
    t->samples = (size_t)samples;
    r->total += samples;
    return 0;
}

static int get_block(struct pi_trace *t, size_t i, struct pi_tensor *tensor, struct precinfer_error *err)
{
    (void)err;
    *tensor = ((struct reading *)t)->block[i];
    return 0;
}

static void close_file(struct pi_trace *t)
{
    struct reading *r = (struct reading *)t;
    pi_map_close(&r->map);
    pi_scratch_free(t->ctx, &r->hashes);
}

static int get_text(struct reading *r, struct pi_reader *in, const char **text, struct precinfer_error *err)
{
    size_t n;
    const char *s = pi_get_string(in, &n);
    *text = pi_arena_string(&r->t.arena, s, n);
    return *text ? 0 : pi_no_memory(err, n);
}

static int get_about(struct reading *r, struct pi_reader *in, struct pi_traced *x, struct precinfer_error *err)
{
    PI_TRY(get_text(r, in, &x->name, err));
    PI_TRY(get_text(r, in, &x->layer, err));
    PI_TRY(get_text(r, in, &x->op, err));
    PI_TRY(get_text(r, in, &x->fused, err));
    x->type = (uint8_t)pi_get_u8(in);
    x->precision = (uint8_t)pi_get_u8(in);
    const unsigned flags = pi_get_u8(in);
    x->quantized = flags & 1; x->has_weights = flags >> 1 & 1; x->input = flags >> 2 & 1; x->conversion = flags >> 3 & 1;
    x->scale = pi_get_f32(in);
    x->zp = (int32_t)pi_get_u32(in);
    x->step = x->place = -1;
    if (in->failed || !pi_type_size((enum pi_type)x->type) || x->precision > PRECINFER_PRECISION_INT8 ||
        (x->quantized && (x->type != PI_U8 || !(x->scale > 0) || x->zp < 0 || x->zp > 255))) return bad(r, err,
            "contradicts itself");
    return 0;
}

static int open_file(struct reading *r, struct precinfer_error *err)
{
    struct pi_reader in;
    uint32_t tag;
    size_t n;
    const unsigned char *b = r->map.bytes;
    if (r->map.size < ALIGN || memcmp(b, magic, 8) || pi_load_u32(b + 8) != KIND) return bad(r, err, "is none");
    if ((pi_load_u32(b + 12) & 0xffff) != MAJOR)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "%s: recording of version %u; this library reads %d", r->path,
                       (unsigned)(pi_load_u32(b + 12) & 0xffff), MAJOR);
    r->at = ALIGN;
    PI_TRY(get_record(r, &tag, &in, err));
    if (tag != INFO) return bad(r, err, "contradicts itself");
    (void)pi_get_string(&in, &n);
    (void)pi_get_string(&in, &n);
    r->t.model_hash = pi_get_u64(&in);
    r->t.recipe_hash = pi_get_u64(&in);
    r->t.plan_hash = pi_get_u64(&in);
    const uint64_t count = pi_get_count(&in);
    if (in.failed || count > in.size) return bad(r, err, "contradicts itself");
    r->t.tensors = pi_arena_new(&r->t.arena, (size_t)count + 1, sizeof *r->t.tensors);
    r->block = pi_arena_new(&r->t.arena, (size_t)count + 1, sizeof *r->block);
    if (!r->t.tensors || !r->block) return pi_no_memory(err, (size_t)count * sizeof *r->block);
    for (; r->t.n < count; r->t.n++) PI_TRY(get_about(r, &in, &r->t.tensors[r->t.n], err));
    return in.at == in.size ? 0 : bad(r, err, "contradicts itself");
}

int pi_trace_file(precinfer_context *ctx, const char *path, struct pi_trace **trace, struct precinfer_error *err)
{
    struct pi_trace *t;
    PI_TRY(pi_trace_new(ctx, sizeof(struct reading), &t, err));
    struct reading *r = (struct reading *)t;
    t->close = close_file;
    t->next = next_block;
    t->get = get_block;
    t->ordered = 1;
    pi_hash_init(&r->records);
    pi_hash_init(&r->data);
    r->path = pi_arena_string(&t->arena, path, strlen(path));
    int status = r->path ? pi_map_open(&ctx->alloc, path, &r->map, err) : pi_no_memory(err, strlen(path));
    if (!status) status = open_file(r, err);
    if (status) pi_trace_free(t); else *trace = t;
    return status;
}

int pi_trace_is_file(const char *path)
{
    unsigned char head[12];
    return !pi_file_read_part(path, 0, sizeof head, head, NULL, NULL) && !memcmp(head, magic, 8) && pi_load_u32(head + 8) == KIND;
}
