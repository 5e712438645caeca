/* Cast between any two types. Floats go to integers by truncation; what does not fit takes the nearest value that does,
 * NaN becomes 0. Integers wrap. */
#include <string.h>
#include "infer.h"
#include "walk.h"

struct cast { uint8_t type; };

/* ONNX's numbers of the types. */
static enum pi_type type_of(int64_t onnx)
{
    static const uint8_t types[] = { PI_NONE, PI_F32, PI_U8, PI_S8, PI_U16, PI_S16, PI_S32, PI_S64, PI_NONE, PI_BOOL, PI_F16,
                                     PI_F64, PI_U32, PI_U64, PI_NONE, PI_NONE, PI_BF16 };
    return onnx >= 0 && onnx < (int64_t)sizeof types ? (enum pi_type)types[onnx] : PI_NONE;
}

static int check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    int64_t to;
    (void)g;
    PI_TRY(pi_attr_int(n, "to", 0, &to, err));
    ((struct cast *)n->params)->type = (uint8_t)type_of(to);
    if (type_of(to) == PI_NONE)
        return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "to is %lld, a type that is not supported", (long long)to);
    return 0;
}

static int infer(const struct pi_infer *i)
{
    PI_TRY(pi_infer_like(i));
    if (i->in[0]->quantized) return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "the input is quantized");
    i->out[0].type = ((const struct cast *)i->node->params)->type;
    return 0;
}

static int is_float(enum pi_type t) { return t == PI_F32 || t == PI_BF16 || t == PI_F16 || t == PI_F64; }

static double load_float(enum pi_type t, const void *p)
{
    switch (t) {
    case PI_F32: return *(const float *)p;
    case PI_F64: return *(const double *)p;
    case PI_BF16: return pi_bf16_to_f32(*(const uint16_t *)p);
    default: return pi_f16_to_f32(*(const uint16_t *)p);
    }
}

/* u64 above the signed range keeps its bits. */
static int64_t load_int(enum pi_type t, const void *p)
{
    switch (t) {
    case PI_U8: return *(const uint8_t *)p;
    case PI_S8: return *(const int8_t *)p;
    case PI_U16: return *(const uint16_t *)p;
    case PI_S16: return *(const int16_t *)p;
    case PI_S32: return *(const int32_t *)p;
    case PI_U32: return *(const uint32_t *)p;
    case PI_BOOL: return *(const uint8_t *)p != 0;
    default: return *(const int64_t *)p;
    }
}

static void store_float(enum pi_type t, void *p, double x)
{
    switch (t) {
    case PI_F32: *(float *)p = (float)x; break;
    case PI_F64: *(double *)p = x; break;
    case PI_BF16: *(uint16_t *)p = pi_f32_to_bf16((float)x); break;
    default: *(uint16_t *)p = pi_f32_to_f16((float)x); break;
    }
}

/* An integer straight to f32 is rounded once. */
static void store_int_as_float(enum pi_type t, void *p, enum pi_type from, int64_t x)
{
    if (t == PI_F32) *(float *)p = from == PI_U64 ? (float)(uint64_t)x : (float)x;
    else store_float(t, p, from == PI_U64 ? (double)(uint64_t)x : (double)x);
}

static void store_int(enum pi_type t, void *p, int64_t x)
{
    switch (t) {
    case PI_U8: case PI_S8: *(uint8_t *)p = (uint8_t)x; break;
    case PI_U16: case PI_S16: *(uint16_t *)p = (uint16_t)x; break;
    case PI_S32: case PI_U32: *(uint32_t *)p = (uint32_t)x; break;
    case PI_BOOL: *(uint8_t *)p = x != 0; break;
    default: *(int64_t *)p = x; break;
    }
}

static int64_t clamped(double x, double lo, double hi)
{
    return x != x ? 0 : x <= lo ? (int64_t)lo : x >= hi ? (int64_t)hi : (int64_t)x;
}

static int64_t truncated(enum pi_type t, double x)
{
    switch (t) {
    case PI_U8: return clamped(x, 0, 255);
    case PI_S8: return clamped(x, -128, 127);
    case PI_U16: return clamped(x, 0, 65535);
    case PI_S16: return clamped(x, -32768, 32767);
    case PI_S32: return clamped(x, INT32_MIN, INT32_MAX);
    case PI_U32: return clamped(x, 0, UINT32_MAX);
    case PI_BOOL: return x != 0;
    case PI_U64: return x != x || x <= 0 ? 0 : x >= 0x1p64 ? -1 : (int64_t)(uint64_t)x;
    default: return x >= 0x1p63 ? INT64_MAX : clamped(x, -0x1p63, 0x1p62 * 1.9999999999999998);
    }
}

static void convert(enum pi_type from, const void *a, enum pi_type to, void *c)
{
    if (is_float(from)) {
        const double x = load_float(from, a);
        if (is_float(to)) store_float(to, c, x);
        else store_int(to, c, truncated(to, x));
    } else {
        const int64_t x = load_int(from, a);
        if (is_float(to)) store_int_as_float(to, c, from, x);
        else store_int(to, c, x);
    }
}

struct job { struct pi_walk w; const struct pi_tensor *from, *to; };

static void span(void *arg, size_t begin, size_t end, size_t slot)
{
    const struct job *j = arg;
    struct pi_place p;
    (void)slot;
    pi_walk_seek(&j->w, begin, &p);
    for (size_t u = begin; u < end; u++, pi_walk_next(&j->w, &p)) {
        char *to = (char *)j->to->data + p.off[0];
        const char *from = (const char *)j->from->data + p.off[1];
        for (size_t k = 0; k < j->w.inner; k++)
            convert(j->from->type, from + (ptrdiff_t)k * j->w.step[1], j->to->type, to + (ptrdiff_t)k * j->w.step[0]);
    }
}

static void run(const struct pi_call *c)
{
    struct job j = { .from = c->in[0], .to = c->out[0] };
    const struct pi_tensor *t[2] = { j.to, j.from };
    if (j.from->type == j.to->type) { pi_move(c->ctx, j.from, j.to); return; }
    pi_walk_make(&j.w, 2, t);
    pi_span(c->ctx, j.w.outer, j.w.outer * j.w.inner, span, &j);
}

const struct pi_opdef pi_op_Cast = {
    .name = "Cast", .since = 6, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = PI_OP_ANY_LAYOUT,
    .params_bytes = sizeof(struct cast), .check = check, .infer = infer, .run = run
};
