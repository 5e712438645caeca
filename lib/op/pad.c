/* Pad: the middle is a copy; the borders are a constant, or copies out of what already stands in the output. */
#include <string.h>
#include "infer.h"
#include "walk.h"

enum mode { CONSTANT, REFLECT, EDGE, WRAP };
struct pad { enum mode mode; float value; struct pi_ints pads; };

static int check_mode(struct pi_node *n, struct precinfer_error *err)
{
    static const char *const names[] = { "constant", "reflect", "edge", "wrap" };
    const char *mode;
    PI_TRY(pi_attr_string(n, "mode", "constant", &mode, err));
    for (int m = CONSTANT; m <= WRAP; m++) {
        if (strcmp(mode, names[m])) continue;
        ((struct pad *)n->params)->mode = (enum mode)m;
        return 0;
    }
    return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "mode '%s'", mode);
}

static int check_attr(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct pad *p = n->params;
    (void)g;
    PI_TRY(check_mode(n, err));
    PI_TRY(pi_attr_float(n, "value", 0, &p->value, err));
    return pi_ints_of_attr(n, "pads", &p->pads, err);
}

static int check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    return check_mode(n, err);
}

/* pads, and the axes that they are of, to one pair a dimension. Unnamed dimensions have none. */
struct borders { int64_t before[PI_MAX_RANK], after[PI_MAX_RANK]; };

static void spread(const struct pi_ints *pads, const struct pi_ints *axes, int rank, struct borders *b)
{
    const size_t n = pads->n / 2;
    memset(b, 0, sizeof *b);
    for (size_t k = 0; k < n; k++) {
        const int64_t axis = axes->present ? axes->v[k] : (int64_t)k;
        const int d = (int)(axis < 0 ? axis + rank : axis);
        b->before[d] = pads->v[k];
        b->after[d] = pads->v[k + n];
    }
}

static int check_axes(const struct pi_infer *i, const struct pi_ints *pads, const struct pi_ints *axes)
{
    const int rank = i->in[0]->rank;
    const size_t n = axes->present ? axes->n : (size_t)rank;
    if (pads->n != 2 * n) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "%zu pads for %zu axes", pads->n, n);
    if (axes->present && !axes->known) return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "axes depend on data");
    for (size_t k = 0; axes->present && k < n; k++) {
        int axis;
        PI_TRY(pi_axis(i->node, axes->v[k], rank, &axis, i->err));
    }
    return 0;
}

/* Borders that the middle can fill. */
static int check_border(const struct pi_infer *i, int d, int64_t pad)
{
    const struct pad *p = i->node->params;
    const int64_t dim = i->in[0]->dims[d];
    const char *why = NULL;
    if (p->mode == CONSTANT || pad == 0) return 0;
    if (pad < 0) why = "is negative, which only mode constant takes";
    else if (dim >= 0 && (p->mode == REFLECT ? pad >= dim : p->mode == WRAP ? pad > dim : dim == 0))
        why = "is larger than what it repeats";
    if (!why) return 0;
    return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "padding %lld of dimension %d (size %lld) %s", (long long)pad, d,
                        (long long)dim, why);
}

static int infer_pads(const struct pi_infer *i, const struct pi_ints *pads, const struct pi_ints *axes)
{
    struct pi_tensor *out = &i->out[0];
    struct borders b;
    if (!pads->present) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "no pads");
    PI_TRY(check_axes(i, pads, axes));
    PI_TRY(pi_infer_like(i));
    if (pads->known) spread(pads, axes, out->rank, &b);
    for (int d = 0; d < out->rank; d++) {
        if (!pads->known) { out->dims[d] = pi_infer_open(i); continue; }
        PI_TRY(check_border(i, d, b.before[d]));
        PI_TRY(check_border(i, d, b.after[d]));
        if (b.before[d] == 0 && b.after[d] == 0) continue;
        if (out->dims[d] < 0) { out->dims[d] = pi_infer_open(i); continue; }
        out->dims[d] += b.before[d] + b.after[d];
        if (out->dims[d] < 0)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "dimension %d becomes %lld", d, (long long)out->dims[d]);
    }
    return 0;
}

static int infer_attr(const struct pi_infer *i)
{
    const struct pi_ints none = { 0 };
    return infer_pads(i, &((const struct pad *)i->node->params)->pads, &none);
}

static int infer(const struct pi_infer *i)
{
    struct pi_ints pads, axes;
    PI_TRY(pi_ints_of_input(i, 1, &pads));
    PI_TRY(pi_ints_of_input(i, 3, &axes));
    const struct pi_tensor *value = i->node->nin > 2 ? i->in[2] : NULL;
    if (value && pi_elements(value) != 1)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "the constant is not one element");
    if (value && value->type != i->in[0]->type && value->type != PI_F32)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "the constant is %s, the data %s", pi_type_name(value->type),
                            pi_type_name(i->in[0]->type));
    return infer_pads(i, &pads, &axes);
}

/* ---------------------------------------------------------------- run */

/* The constant as an element of the output, of whatever form the plan gave that. */
static uint64_t element_of(const struct pi_tensor *out, float value)
{
    uint64_t element = 0;
    if (out->type == PI_F32) memcpy(&element, &value, sizeof value);
    if (out->type == PI_BF16) element = pi_f32_to_bf16(value);
    if (out->type == PI_F16) element = pi_f32_to_f16(value);
    if (out->quantized) {
        const float steps = value / out->scale, lo = (float)(0 - out->zp), hi = (float)(255 - out->zp);
        const float x = lo > steps ? lo : hi < steps ? hi : steps;
        element = (uint8_t)((int32_t)(x + 0x1.8p23f - 0x1.8p23f) + out->zp);        /* adds and takes away what rounds to even */
    }
    return element;
}

/* Part of the input that lands in the output, in both. */
static void middle(const struct borders *b, struct pi_tensor *from, struct pi_tensor *to)
{
    for (int d = 0; d < from->rank; d++) {
        const int64_t skip = b->before[d] < 0 ? -b->before[d] : 0, cut = b->after[d] < 0 ? -b->after[d] : 0;
        const int64_t kept = from->dims[d] - skip - cut, count = kept < 0 ? 0 : kept;
        pi_narrow(from, d, skip, count);
        pi_narrow(to, d, b->before[d] > 0 ? b->before[d] : 0, count);
    }
}

/* Where element x of a dimension lies that is outside [0, dim). */
static int64_t source(enum mode mode, int64_t x, int64_t dim)
{
    if (mode == EDGE) return x < 0 ? 0 : dim - 1;
    if (mode == WRAP) return x < 0 ? x + dim : x - dim;
    return x < 0 ? -x : 2 * (dim - 1) - x;
}

/* Fills the borders of dimension d: those of the dimensions before it are full, those after it are not there yet. */
static void border(const struct pi_call *c, const struct borders *b, int d, enum mode mode)
{
    struct pi_tensor out = *c->out[0];
    const int64_t dim = c->in[0]->dims[d];
    for (int k = d + 1; k < out.rank; k++) pi_narrow(&out, k, b->before[k], c->in[0]->dims[k]);
    for (int64_t x = -b->before[d]; x < dim + b->after[d]; x++) {
        if (x == 0) x = dim;
        if (x >= dim + b->after[d]) break;
        struct pi_tensor from = out, to = out;
        pi_narrow(&from, d, b->before[d] + source(mode, x, dim), 1);
        pi_narrow(&to, d, b->before[d] + x, 1);
        pi_move(c->ctx, &from, &to);
    }
}

static void move(const struct pi_call *c, const struct borders *b, uint64_t element)
{
    const struct pad *p = c->node->params;
    struct pi_tensor from = *c->in[0], to = *c->out[0];
    middle(b, &from, &to);
    if (p->mode == CONSTANT && !pi_same_dims(&to, c->out[0])) pi_fill(c->ctx, &element, c->out[0]);
    pi_move(c->ctx, &from, &to);
    for (int d = 0; p->mode != CONSTANT && d < from.rank; d++) border(c, b, d, p->mode);
}

static void run_attr(const struct pi_call *c)
{
    const struct pad *p = c->node->params;
    const struct pi_ints none = { 0 };
    struct borders b;
    spread(&p->pads, &none, c->in[0]->rank, &b);
    move(c, &b, element_of(c->out[0], p->value));
}

static void run(const struct pi_call *c)
{
    const struct pi_tensor *value = c->node->nin > 2 ? c->in[2] : NULL, *out = c->out[0];
    struct pi_ints pads, axes;
    struct borders b;
    uint64_t element = 0;
    pi_ints_read(c->in[1], &pads);
    pi_ints_read(c->node->nin > 3 ? c->in[3] : NULL, &axes);
    spread(&pads, &axes, c->in[0]->rank, &b);
    if (!value || value->type == PI_F32) element = element_of(out, value ? pi_float_at(value, 0) : 0);
    else memcpy(&element, value->data, pi_type_size(out->type));
    move(c, &b, element);
}

const struct pi_opdef pi_op_Pad_attr = {
    .name = "Pad", .since = 2, .until = 10, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS, .params_bytes = sizeof(struct pad), .check = check_attr, .infer = infer_attr,
    .run = run_attr
};
const struct pi_opdef pi_op_Pad = {
    .name = "Pad", .since = 11, .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS, .params_bytes = sizeof(struct pad), .check = check, .infer = infer, .run = run
};
