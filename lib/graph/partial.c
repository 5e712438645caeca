/* Shape arithmetic with open dimensions: Shape -> Gather -> Concat -> Reshape with an open batch. The elements of such
 * vectors are followed one by one, as numbers or as the open dimension that they are, so that what Reshape makes of them
 * is known but for the batch. Whatever is not understood is unknown: the session computes it with all numbers known. */
#include <limits.h>
#include <string.h>
#include "finish.h"

static struct pi_part *new_part(struct pi_finish *f, size_t n)
{
    struct pi_part *p = pi_arena_new(&f->scratch, 1, sizeof *p);
    if (!p)
        return NULL;
    p->n = n;
    p->v = pi_arena_new(&f->scratch, n, sizeof *p->v);
    p->kind = pi_arena_new(&f->scratch, n, 1);
    return p->v && p->kind ? p : NULL;
}

/* What is known of a value; a constant is known whole. NULL: nothing, or out of memory, which only loses knowledge here
 * and is met again by whoever allocates next. */
static const struct pi_part *part_of(struct pi_finish *f, const struct pi_node *n, size_t i)
{
    if (i >= n->nin || n->in[i] < 0)
        return NULL;
    const struct pi_tensor *t = &f->g->values[n->in[i]].t;
    struct pi_part **known = &f->parts[n->in[i]];
    if (*known || !t->data)
        return *known;
    const int64_t elements = pi_elements(t);
    if (t->rank > 1 || (t->type != PI_S64 && t->type != PI_S32) || elements > PI_PART_MAX)
        return NULL;
    struct pi_part *p = new_part(f, (size_t)elements);
    for (size_t j = 0; p && j < p->n; j++) {
        p->v[j] = t->type == PI_S64 ? ((const int64_t *)t->data)[j] : ((const int32_t *)t->data)[j];
        p->kind[j] = PI_PART_KNOWN;
    }
    return *known = p;
}

static const struct pi_tensor *input(const struct pi_finish *f, const struct pi_node *n, size_t i)
{
    return i < n->nin && n->in[i] >= 0 ? &f->g->values[n->in[i]].t : NULL;
}

static int all_known(const struct pi_part *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->kind[i] != PI_PART_KNOWN)
            return 0;
    return 1;
}

static void set_dim(struct pi_part *p, size_t i, int64_t dim)
{
    p->v[i] = dim;
    p->kind[i] = dim < 0 ? PI_PART_DIM : PI_PART_KNOWN;
}

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* ---------------------------------------------------------------- operators that make or move elements */

static struct pi_part *of_shape(struct pi_finish *f, const struct pi_node *n)
{
    const struct pi_tensor *x = input(f, n, 0);
    int64_t start = 0, end = 0;
    if (!x || pi_attr_int(n, "start", 0, &start, NULL) || pi_attr_int(n, "end", x->rank, &end, NULL))
        return NULL;
    start = clamp(start < 0 ? start + x->rank : start, 0, x->rank);
    end = clamp(end < 0 ? end + x->rank : end, 0, x->rank);
    struct pi_part *p = new_part(f, end > start ? (size_t)(end - start) : 0);
    for (size_t i = 0; p && i < p->n; i++)
        set_dim(p, i, x->dims[(size_t)start + i]);
    return p;
}

static struct pi_part *of_gather(struct pi_finish *f, const struct pi_node *n)
{
    const struct pi_part *x = part_of(f, n, 0), *at = part_of(f, n, 1);
    int64_t axis = 0;
    if (!x || !at || !all_known(at) || input(f, n, 0)->rank != 1 || pi_attr_int(n, "axis", 0, &axis, NULL))
        return NULL;
    struct pi_part *p = new_part(f, at->n);
    for (size_t i = 0; p && i < p->n; i++) {
        const int64_t j = at->v[i] < 0 ? at->v[i] + (int64_t)x->n : at->v[i];
        if (j < 0 || j >= (int64_t)x->n)
            return NULL;
        p->v[i] = x->v[j];
        p->kind[i] = x->kind[j];
    }
    return p;
}

/* An input of which nothing is known still has a known length, or nothing can be said. */
static struct pi_part *of_concat(struct pi_finish *f, const struct pi_node *n)
{
    size_t all = 0, at = 0;
    for (size_t i = 0; i < n->nin; i++) {
        const struct pi_tensor *x = input(f, n, i);
        if (!x || x->rank != 1 || x->dims[0] < 0 || x->dims[0] > PI_PART_MAX)
            return NULL;
        all += (size_t)x->dims[0];
    }
    struct pi_part *p = all <= PI_PART_MAX ? new_part(f, all) : NULL;
    for (size_t i = 0; p && i < n->nin; i++) {
        const struct pi_part *x = part_of(f, n, i);
        for (size_t j = 0; x && j < x->n; j++) {
            p->v[at + j] = x->v[j];
            p->kind[at + j] = x->kind[j];
        }
        at += (size_t)input(f, n, i)->dims[0];
    }
    return p;
}

/* One number of a constant input or, before opset 10, of an attribute. 0: there is one. */
static int slice_number(struct pi_finish *f, const struct pi_node *n, size_t slot, const char *name, int64_t fallback, int64_t *v)
{
    const int64_t *ints = NULL;
    size_t count = 0;
    *v = fallback;
    if (n->opset < 10) {
        if (pi_attr_ints(n, name, &ints, &count, NULL) || count > 1)
            return -1;
        if (count)
            *v = ints[0];
        return 0;
    }
    if (!input(f, n, slot))
        return 0;
    const struct pi_part *p = part_of(f, n, slot);
    if (!p || p->n != 1 || p->kind[0] != PI_PART_KNOWN)
        return -1;
    *v = p->v[0];
    return 0;
}

static struct pi_part *of_slice(struct pi_finish *f, const struct pi_node *n)
{
    const struct pi_part *x = part_of(f, n, 0);
    int64_t start, end, axis, step;
    if (!x || input(f, n, 0)->rank != 1 || slice_number(f, n, 1, "starts", 0, &start) || slice_number(f, n, 2, "ends", 0, &end) ||
        slice_number(f, n, 3, "axes", 0, &axis) || slice_number(f, n, 4, "steps", 1, &step) || (axis != 0 && axis != -1) ||
            step != 1)
        return NULL;
    const int64_t size = (int64_t)x->n;
    start = clamp(start < 0 ? start + size : start, 0, size);
    end = clamp(end < 0 ? end + size : end, 0, size);
    struct pi_part *p = new_part(f, end > start ? (size_t)(end - start) : 0);
    for (size_t i = 0; p && i < p->n; i++) {
        p->v[i] = x->v[(size_t)start + i];
        p->kind[i] = x->kind[(size_t)start + i];
    }
    return p;
}

/* The same elements under another shape or integer type. */
static struct pi_part *of_copy(struct pi_finish *f, const struct pi_node *n)
{
    const struct pi_part *x = part_of(f, n, 0);
    struct pi_part *p = x ? new_part(f, x->n) : NULL;
    for (size_t i = 0; p && i < p->n; i++) {
        p->v[i] = x->v[i];
        p->kind[i] = x->kind[i];
    }
    return p;
}

/* op of two numbers; nonzero: not defined. */
static int compute(char op, int64_t a, int64_t b, int64_t *r)
{
    switch (op) {
    case 'A': return __builtin_add_overflow(a, b, r);
    case 'S': return __builtin_sub_overflow(a, b, r);
    case 'M': return __builtin_mul_overflow(a, b, r);
    }
    if (b == 0 || (a == INT64_MIN && b == -1))
        return -1;
    *r = a / b;
    return 0;
}

static struct pi_part *of_arithmetic(struct pi_finish *f, const struct pi_node *n)
{
    const struct pi_part *a = part_of(f, n, 0), *b = part_of(f, n, 1);
    if (!a || !b || (a->n != b->n && a->n != 1 && b->n != 1))
        return NULL;
    const char op = n->op->name[0];
    const int64_t neutral = op == 'M' || op == 'D';
    struct pi_part *p = new_part(f, a->n == 1 ? b->n : a->n);
    for (size_t i = 0; p && i < p->n; i++) {
        const size_t ia = a->n == 1 ? 0 : i, ib = b->n == 1 ? 0 : i;
        if (a->kind[ia] == PI_PART_KNOWN && b->kind[ib] == PI_PART_KNOWN)
            p->kind[i] = compute(op, a->v[ia], b->v[ib], &p->v[i]) ? PI_PART_UNKNOWN : PI_PART_KNOWN;
        else if (a->kind[ia] == PI_PART_DIM && b->kind[ib] == PI_PART_KNOWN && b->v[ib] == neutral)
            set_dim(p, i, a->v[ia]);
    }
    return p;
}

/* ---------------------------------------------------------------- operators whose output shape is such a vector */

/* The dimension -1 of a Reshape: what the others leave of the input. Open dimensions must cancel out. INT64_MIN: unknown. */
static int64_t rest_of(const struct pi_tensor *x, const struct pi_tensor *y, int hole)
{
    int64_t in = 1, out = 1;
    uint8_t used[PI_MAX_RANK] = {0};
    for (int i = 0; i < y->rank; i++) {
        if (i == hole)
            continue;
        if (y->dims[i] >= 0) {
            out *= y->dims[i];
            continue;
        }
        int j = 0;
        while (j < x->rank && (used[j] || x->dims[j] != y->dims[i]))
            j++;
        if (j == x->rank)
            return INT64_MIN;
        used[j] = 1;
    }
    int64_t open = INT64_MIN;
    for (int j = 0; j < x->rank; j++) {
        if (used[j])
            continue;
        if (x->dims[j] >= 0)
            in *= x->dims[j];
        else if (open == INT64_MIN)
            open = x->dims[j];
        else
            return INT64_MIN;
    }
    if (open != INT64_MIN)                          /* one is left over: it is the answer if the numbers cancel      */
        return in == out ? open : INT64_MIN;
    return out > 0 && in % out == 0 ? in / out : INT64_MIN;
}

static void sharpen_reshape(struct pi_finish *f, const struct pi_node *n, struct pi_tensor *y)
{
    const struct pi_part *s = part_of(f, n, 1);
    const struct pi_tensor *x = input(f, n, 0);
    int64_t allow_zero = 0;
    int hole = -1, unknown = 0;
    if (!s || !x || s->n != (size_t)y->rank || pi_attr_int(n, "allowzero", 0, &allow_zero, NULL))
        return;
    for (int i = 0; i < y->rank; i++) {
        int64_t dim = INT64_MIN;
        if (s->kind[i] == PI_PART_DIM || (s->kind[i] == PI_PART_KNOWN && s->v[i] > 0))
            dim = s->v[i];
        else if (s->kind[i] == PI_PART_KNOWN && s->v[i] == 0 && !allow_zero && i < x->rank)
            dim = x->dims[i];
        else if (s->kind[i] == PI_PART_KNOWN && s->v[i] == -1)
            hole = i;
        else
            unknown = 1;
        if (dim != INT64_MIN && y->dims[i] < 0)
            y->dims[i] = dim;
    }
    if (hole < 0 || unknown || y->dims[hole] >= 0 || pi_graph_check_dims(x) || pi_graph_check_dims(y))
        return;
    const int64_t rest = rest_of(x, y, hole);
    if (rest != INT64_MIN)
        y->dims[hole] = rest;
}

/* Starts, ends, axes and steps of a Slice as inputs or, before opset 10, attributes; count is their length. v[i] NULL:
 * left out. Nonzero: not known. */
static int slice_lists(struct pi_finish *f, const struct pi_node *n, const int64_t *v[4], size_t *count)
{
    static const char *const names[4] = {"starts", "ends", "axes", "steps"};
    for (size_t i = 0; i < 4; i++) {
        size_t have = 0;
        v[i] = NULL;
        if (n->opset < 10) {
            if (pi_attr_ints(n, names[i], &v[i], &have, NULL))
                return -1;
        } else if (input(f, n, i + 1)) {
            const struct pi_part *p = part_of(f, n, i + 1);
            if (!p || !all_known(p))
                return -1;
            v[i] = p->v;
            have = p->n;
        }
        if (i == 0)
            *count = have;
        if (v[i] ? have != *count : i < 2)
            return -1;
    }
    return 0;
}

/* An open dimension that is sliced from 0 to beyond any end stays what it is. */
static void sharpen_slice(struct pi_finish *f, const struct pi_node *n, struct pi_tensor *y)
{
    const struct pi_tensor *x = input(f, n, 0);
    const int64_t *v[4];
    size_t count;
    if (!x || x->rank != y->rank || slice_lists(f, n, v, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = v[2] ? v[2][i] : (int64_t)i;
        axis += axis < 0 ? x->rank : 0;
        if (axis >= 0 && axis < x->rank && y->dims[axis] < 0 && x->dims[axis] < 0 && v[0][i] == 0 && v[1][i] >= INT32_MAX &&
            (!v[3] || v[3][i] == 1))
            y->dims[axis] = x->dims[axis];
    }
}

static void sharpen_fill(struct pi_finish *f, const struct pi_node *n, struct pi_tensor *y)
{
    const struct pi_part *s = part_of(f, n, 0);
    for (int i = 0; s && s->n == (size_t)y->rank && i < y->rank; i++)
        if (y->dims[i] < 0 && (s->kind[i] == PI_PART_DIM || (s->kind[i] == PI_PART_KNOWN && s->v[i] >= 0)))
            y->dims[i] = s->v[i];
}

/* Input and target are aligned at the right; a target of 1 leaves the input's dimension. */
static void sharpen_expand(struct pi_finish *f, const struct pi_node *n, struct pi_tensor *y)
{
    const struct pi_part *s = part_of(f, n, 1);
    const struct pi_tensor *x = input(f, n, 0);
    if (!s || !x)
        return;
    for (int i = 0; i < y->rank; i++) {
        const int ix = i - (y->rank - x->rank), is = i - (y->rank - (int)s->n);
        const int64_t from = ix < 0 ? 1 : x->dims[ix];
        if (is < 0 || y->dims[i] >= 0)
            continue;
        if (s->kind[is] == PI_PART_KNOWN && s->v[is] > 1)
            y->dims[i] = s->v[is];
        else if (s->kind[is] == PI_PART_KNOWN && s->v[is] == 1)
            y->dims[i] = from;
        else if (s->kind[is] == PI_PART_DIM && (from == 1 || from == s->v[is]))
            y->dims[i] = s->v[is];
    }
}

/* ---------------------------------------------------------------- */

static struct pi_part *content_of(struct pi_finish *f, const struct pi_node *n)
{
    static const struct { const char *op; struct pi_part *(*of)(struct pi_finish *, const struct pi_node *); } rules[] = {
        {"Shape", of_shape}, {"Gather", of_gather}, {"Concat", of_concat}, {"Slice", of_slice}, {"Unsqueeze", of_copy},
        {"Squeeze", of_copy}, {"Reshape", of_copy}, {"Identity", of_copy}, {"Cast", of_copy}, {"Add", of_arithmetic},
        {"Sub", of_arithmetic}, {"Mul", of_arithmetic}, {"Div", of_arithmetic}
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (!strcmp(n->op->name, rules[i].op))
            return rules[i].of(f, n);
    return NULL;
}

/* A Cast to 32 bits keeps only what fits. */
static int fits(const struct pi_part *p, enum pi_type type)
{
    for (size_t i = 0; i < p->n; i++)
        if (type == PI_S32 && p->kind[i] == PI_PART_KNOWN && (p->v[i] < INT32_MIN || p->v[i] > INT32_MAX))
            return 0;
    return 1;
}

int pi_partial_node(struct pi_finish *f, const struct pi_node *n, int *constant)
{
    *constant = 0;
    if (n->nout < 1 || n->out[0] < 0)
        return PRECINFER_OK;
    struct pi_tensor *y = &f->g->values[n->out[0]].t;
    if (!strcmp(n->op->name, "Reshape"))
        sharpen_reshape(f, n, y);
    else if (!strcmp(n->op->name, "Expand"))
        sharpen_expand(f, n, y);
    else if (!strcmp(n->op->name, "Slice"))
        sharpen_slice(f, n, y);
    else if (!strcmp(n->op->name, "ConstantOfShape"))
        sharpen_fill(f, n, y);
    if (pi_graph_check_dims(y))
        return pi_node_fail(n, f->err, PRECINFER_UNSUPPORTED, "the output is too large");
    if (y->rank > 1 || (y->type != PI_S64 && y->type != PI_S32))
        return PRECINFER_OK;
    struct pi_part *p = content_of(f, n);
    if (!p || !fits(p, y->type) || (y->rank == 0 ? p->n != 1 : y->dims[0] >= 0 && (size_t)y->dims[0] != p->n))
        return PRECINFER_OK;
    if (y->rank == 1)
        y->dims[0] = (int64_t)p->n;
    f->parts[n->out[0]] = p;
    *constant = all_known(p);
    return PRECINFER_OK;
}
