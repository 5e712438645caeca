#include <string.h>
#include "../kern/choose.h"
#include "elt.h"
#include "walk.h"

static int row_fits(const struct pi_row *r, enum pi_family family, int op, enum pi_type a, enum pi_type b, enum pi_type out)
{
    return r->family == family && r->op == op && r->a == a && r->b == b && (r->outs & PI_BIT(out));
}

const struct pi_row *pi_row_find(const precinfer_context *ctx, enum pi_family family, int op, enum pi_type a, enum pi_type b,
                                 enum pi_type out)
{
    const struct pi_row *best = NULL;
    for (size_t i = 0; pi_isas[i].name; i++) {              /* best ISA last */
        if (!(ctx->isas >> i & 1)) continue;
        for (const struct pi_row *r = pi_isas[i].rows; r->name; r++)
            if (row_fits(r, family, op, a, b, out)) best = r;
    }
    return best;
}

/* ---------------------------------------------------------------- one block */

enum { DIRECT = 8192, STAGED = 256 };                       /* elements a call: long runs, or what goes through the buffers */

/* How an operand meets the kernel: in place, or through a buffer that makes it dense and f32. */
struct side {
    char *base;
    size_t size;                                            /* bytes an element in memory                      */
    int staged;
    pi_elt_fn *convert;                                     /* u8 to f32, or f32 to u8; NULL: type as it is     */
    float scale; int32_t zp;
};
struct buffer { uint64_t raw[STAGED], ready[STAGED]; };

struct job {
    struct pi_walk w;                                       /* operands c, a, b                                */
    struct side side[3];
    pi_elt_fn *fn; const struct pi_elt *proto;
    size_t block, blocks;
};

static void copy_strided(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++) memcpy(to + (ptrdiff_t)i * to_step, from + (ptrdiff_t)i * from_step, size);
}

static const void *fetch(const struct side *s, const char *from, ptrdiff_t step, size_t n, struct buffer *buf)
{
    if (!s->staged) return from;
    copy_strided((char *)buf->raw, (ptrdiff_t)s->size, from, step, n, s->size);
    if (!s->convert) return buf->raw;
    struct pi_elt e = { .n = n, .a = buf->raw, .c = buf->ready, .p = { s->scale }, .z = { s->zp } };
    s->convert(&e);
    return buf->ready;
}

static void store(const struct side *s, char *to, ptrdiff_t step, size_t n, struct buffer *buf)
{
    const void *from = buf->ready;
    if (s->convert) {
        struct pi_elt e = { .n = n, .a = buf->ready, .c = buf->raw, .p = { s->scale }, .z = { 0, 0, s->zp } };
        s->convert(&e);
        from = buf->raw;
    }
    copy_strided(to, step, from, (ptrdiff_t)s->size, n, s->size);
}

static void block(const struct job *j, const struct pi_place *p, size_t first, size_t n, struct buffer buf[3])
{
    const int binary = j->w.operands == 3;
    char *at[3] = { NULL, NULL, NULL };
    struct pi_elt e = *j->proto;
    for (size_t o = 0; o < j->w.operands; o++) at[o] = j->side[o].base + p->off[o] + (ptrdiff_t)first * j->w.step[o];
    e.n = n;
    e.a = fetch(&j->side[1], at[1], j->w.step[1], n, &buf[1]);
    if (binary) e.b = fetch(&j->side[2], at[2], j->w.step[2], n, &buf[2]);
    e.mode = 0;
    if (binary && !j->side[1].staged && j->w.step[1] == 0) e.mode |= PI_A_SCALAR;
    if (binary && !j->side[2].staged && j->w.step[2] == 0) e.mode |= PI_B_SCALAR;
    e.c = j->side[0].staged ? (void *)buf[0].ready : at[0];
    j->fn(&e);
    if (j->side[0].staged) store(&j->side[0], at[0], j->w.step[0], n, &buf[0]);
}

static void span(void *arg, size_t begin, size_t end, size_t slot)
{
    const struct job *j = arg;
    struct buffer buf[3];
    struct pi_place p;
    (void)slot;
    pi_walk_seek(&j->w, begin / j->blocks, &p);
    for (size_t u = begin; u < end; u++) {
        const size_t first = u % j->blocks * j->block;
        const size_t n = j->w.inner - first < j->block ? j->w.inner - first : j->block;
        block(j, &p, first, n, buf);
        if ((u + 1) % j->blocks == 0) pi_walk_next(&j->w, &p);
    }
}

/* ---------------------------------------------------------------- a whole tensor */

static void start(const precinfer_context *ctx, struct job *j, const struct pi_tensor *a, const struct pi_tensor *b,
                  const struct pi_tensor *c)
{
    const struct pi_tensor *t[3] = { c, a, b };
    const size_t operands = b ? 3 : 2;
    int any = 0;
    pi_walk_make(&j->w, operands, t);
    if (j->w.outer == 0) return;
    for (size_t o = 0; o < operands; o++) {
        struct side *s = &j->side[o];
        s->base = t[o]->data;
        s->size = pi_type_size(t[o]->type);
        s->scale = t[o]->scale;
        s->zp = t[o]->zp;
        /* A binary kernel takes one operand that stands still, not both. */
        const int still = o > 0 && b && j->w.step[o] == 0 && (o == 2 || j->w.step[2] != 0);
        s->staged = s->convert || (j->w.inner > 1 && j->w.step[o] != (ptrdiff_t)s->size && !still);
        any |= s->staged;
    }
    j->block = any ? STAGED : DIRECT;
    j->blocks = (j->w.inner + j->block - 1) / j->block;
    pi_span(ctx, j->w.outer * j->blocks, j->w.outer * j->w.inner, span, j);
}

void pi_elt_apply(const precinfer_context *ctx, pi_elt_fn *fn, const struct pi_elt *proto, const struct pi_tensor *a,
                  const struct pi_tensor *b, const struct pi_tensor *c)
{
    struct job j = { .fn = fn, .proto = proto };
    start(ctx, &j, a, b, c);
}

/* u8 by u8 to u8, where there is a row: the scales' ratios in double, rounded once. */
static int run_u8(const precinfer_context *ctx, enum pi_elt_op op, const struct pi_tensor *a, const struct pi_tensor *b,
                  const struct pi_tensor *c)
{
    if (!b || a->type != PI_U8 || b->type != PI_U8 || c->type != PI_U8) return 0;
    const struct pi_row *row = pi_row_find(ctx, PI_ELTWISE, op, PI_U8, PI_U8, PI_U8);
    if (!row) return 0;
    const double sa = a->scale, sb = b->scale, sc = c->scale;
    struct pi_elt e = { .z = { a->zp, b->zp, c->zp }, .lo = (float)(0 - c->zp), .hi = (float)(255 - c->zp) };
    e.p[0] = op == PI_MUL ? (float)(sa * sb / sc) : (float)(sa / sc);
    e.p[1] = op == PI_MUL ? 0 : (float)(sb / sc);
    pi_elt_apply(ctx, row->fn.elt, &e, a, b, c);
    return 1;
}

/* The kernel that widens a tensor's elements to f32, or narrows them; NULL for f32 itself. */
static pi_elt_fn *widen(const precinfer_context *ctx, const struct pi_tensor *t)
{
    if (t->type == PI_F32) return NULL;
    return pi_row_find(ctx, PI_ELTWISE, t->quantized ? PI_DEQUANTIZE : PI_CONVERT, t->type, PI_NONE, PI_F32)->fn.elt;
}
static pi_elt_fn *narrow(const precinfer_context *ctx, const struct pi_tensor *t)
{
    if (t->type == PI_F32) return NULL;
    return pi_row_find(ctx, PI_ELTWISE, t->quantized ? PI_QUANTIZE : PI_CONVERT, PI_F32, PI_NONE, t->type)->fn.elt;
}

int pi_elt_has(enum pi_elt_op op, enum pi_type type)
{
    return type == PI_F32 || pi_elt_int(op, type) != NULL;
}

void pi_elt_run(const precinfer_context *ctx, enum pi_elt_op op, const struct pi_elt *proto, const struct pi_tensor *a,
                const struct pi_tensor *b, const struct pi_tensor *c)
{
    static const struct pi_elt none = { 0 };
    struct job j = { .proto = proto ? proto : &none };
    j.fn = c->quantized ? NULL : pi_elt_int(op, c->type);
    if (!j.fn) {
        if (run_u8(ctx, op, a, b, c)) return;
        j.fn = pi_row_find(ctx, PI_ELTWISE, op, PI_F32, b ? PI_F32 : PI_NONE, PI_F32)->fn.elt;
        j.side[0].convert = narrow(ctx, c);
        j.side[1].convert = widen(ctx, a);
        if (b) j.side[2].convert = widen(ctx, b);
    }
    start(ctx, &j, a, b, c);
}

static void as_it_is(const struct pi_elt *e) { memcpy(e->c, e->a, e->n * sizeof(float)); }

void pi_elt_convert(const precinfer_context *ctx, const struct pi_tensor *from, const struct pi_tensor *to)
{
    const int same = from->type == to->type && (!from->quantized || (from->scale == to->scale && from->zp == to->zp));
    if (same) { pi_move(ctx, from, to); return; }
    struct pi_elt e = { 0 };
    struct job j = { .proto = &e, .fn = as_it_is };
    if (from->type == PI_F32) {                             /* one kernel does it, in place */
        j.fn = narrow(ctx, to);
        e.p[0] = to->scale;
        e.z[2] = to->zp;
    } else if (to->type == PI_F32) {
        j.fn = widen(ctx, from);
        e.p[0] = from->scale;
        e.z[0] = from->zp;
    } else {
        j.side[0].convert = narrow(ctx, to);
        j.side[1].convert = widen(ctx, from);
    }
    start(ctx, &j, from, NULL, to);
}
