/* A whole model in double, node by node in logical order: what test/model_logits.c compares logits with. Shapes come from
 * op->infer; values of integer types are exact and come from op->run. */
#ifndef PI_TEST_MODEL_DOUBLE_H
#define PI_TEST_MODEL_DOUBLE_H
#include "op_reference.h"

/* t: dims and type; data only of constants and integers. r: the same value in double, once computed (r.v not NULL). */
struct d_value { struct pi_tensor t; struct r_tensor r; int owned; };
struct d_model { precinfer_context *ctx; const precinfer_graph *g; const char *name; struct d_value *v; };

static inline int d_is_integer(const struct pi_tensor *t) { return t->type == PI_S32 || t->type == PI_S64 || t->type == PI_BOOL; }
static inline struct d_value *d_in(const struct d_model *m, const struct pi_node *n, size_t slot)
{
    return slot < n->nin && n->in[slot] >= 0 ? &m->v[n->in[slot]] : NULL;
}
static inline int64_t d_int(const struct pi_node *n, const char *name, int64_t fallback)
{
    int64_t v;
    ck_assert(!pi_attr_int(n, name, fallback, &v, NULL));
    return v;
}
static inline double d_float(const struct pi_node *n, const char *name, float fallback)
{
    float v;
    ck_assert(!pi_attr_float(n, name, fallback, &v, NULL));
    return v;
}
/* Element k of a list attribute; fallback where it is absent. */
static inline int64_t d_ints(const struct pi_node *n, const char *name, size_t k, int64_t fallback)
{
    const int64_t *v;
    size_t count;
    ck_assert(!pi_attr_ints(n, name, &v, &count, NULL));
    if (!v) return fallback;
    ck_assert(k < count);
    return v[k];
}

/* ---------------------------------------------------------------- products */

/* Only explicit padding: none of these models says auto_pad. */
static inline struct r_tensor d_conv(const struct d_model *m, const struct pi_node *n, const struct pi_tensor *out)
{
    const struct r_tensor *x = &d_in(m, n, 0)->r, *w = &d_in(m, n, 1)->r;
    const struct d_value *bias = d_in(m, n, 2);
    struct r_tensor y = r_new(out->rank, out->dims);
    ck_assert(x->rank == 4 && !pi_attr_find(n, "auto_pad"));
    const int64_t sh = d_ints(n, "strides", 0, 1), sw = d_ints(n, "strides", 1, 1), dh = d_ints(n, "dilations", 0, 1),
                  dw = d_ints(n, "dilations", 1, 1), top = d_ints(n, "pads", 0, 0), left = d_ints(n, "pads", 1, 0),
                  group = d_int(n, "group", 1);
    const int64_t H = x->dims[2], W = x->dims[3], O = y.dims[1], OH = y.dims[2], OW = y.dims[3], C = w->dims[1];
    for (int64_t image = 0; image < y.dims[0]; image++)
        for (int64_t o = 0; o < O; o++) {
            double *to = y.v + (image * O + o) * OH * OW;
            for (int64_t k = 0; bias && k < OH * OW; k++) to[k] = bias->r.v[o];
            for (int64_t c = 0; c < C; c++) {
                const double *from = x->v + (image * x->dims[1] + o / (O / group) * C + c) * H * W;
                for (int64_t tap = 0; tap < w->dims[2] * w->dims[3]; tap++) {
                    const double weight = w->v[(o * C + c) * w->dims[2] * w->dims[3] + tap];
                    const int64_t i0 = tap / w->dims[3] * dh - top, j0 = tap % w->dims[3] * dw - left;
                    for (int64_t i = 0; i < OH; i++) {
                        if (i * sh + i0 < 0 || i * sh + i0 >= H) continue;
                        for (int64_t j = 0; j < OW; j++)
                            if (j * sw + j0 >= 0 && j * sw + j0 < W)
                                to[i * OW + j] += weight * from[(i * sh + i0) * W + j * sw + j0];
                    }
                }
            }
        }
    return y;
}

/* sum over p of a[i, p] b[p, j], the strides of each given. */
struct d_matrix { const double *v; int64_t row, column; };
static inline void d_product(struct d_matrix a, struct d_matrix b, int64_t rows, int64_t depth, int64_t columns, double *y)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t p = 0; p < depth; p++) {
            const double x = a.v[i * a.row + p * a.column];
            for (int64_t j = 0; j < columns; j++) y[i * columns + j] += x * b.v[p * b.row + j * b.column];
        }
}
static inline struct d_matrix d_matrix(const struct r_tensor *t, int transposed)
{
    const int64_t columns = t->dims[t->rank - 1];
    return transposed ? (struct d_matrix){ t->v, 1, columns } : (struct d_matrix){ t->v, columns, 1 };
}
static inline struct r_tensor d_gemm(const struct d_model *m, const struct pi_node *n, const struct pi_tensor *out)
{
    const struct r_tensor *a = &d_in(m, n, 0)->r, *b = &d_in(m, n, 1)->r;
    const struct d_value *c = d_in(m, n, 2);
    const int ta = d_int(n, "transA", 0) != 0, tb = d_int(n, "transB", 0) != 0;
    const double alpha = d_float(n, "alpha", 1), beta = d_float(n, "beta", 1);
    struct r_tensor y = r_new(out->rank, out->dims);
    int64_t index[PI_MAX_RANK];
    d_product(d_matrix(a, ta), d_matrix(b, tb), y.dims[0], a->dims[!ta], y.dims[1], y.v);
    for (size_t k = 0; k < y.n; k++) {
        r_index(&y, k, index);
        y.v[k] = alpha * y.v[k] + (c ? beta * r_spread(&c->r, y.rank, index) : 0);
    }
    return y;
}
static inline struct r_tensor d_matmul(const struct d_model *m, const struct pi_node *n, const struct pi_tensor *out)
{
    const struct r_tensor *a = &d_in(m, n, 0)->r, *b = &d_in(m, n, 1)->r;
    struct r_tensor y = r_new(out->rank, out->dims);
    ck_assert(a->rank >= 2 && b->rank == 2);            /* the rows of all of A's matrices are one matrix's */
    const int64_t depth = b->dims[0];
    d_product(d_matrix(a, 0), d_matrix(b, 0), (int64_t)a->n / depth, depth, b->dims[1], y.v);
    return y;
}

static inline struct r_tensor d_batchnorm(const struct d_model *m, const struct pi_node *n)
{
    const double epsilon = d_float(n, "epsilon", 1e-5f);
    const struct r_tensor *x = &d_in(m, n, 0)->r;
    struct r_tensor y = r_new(x->rank, x->dims);
    int64_t index[PI_MAX_RANK];
    for (size_t k = 0; k < y.n; k++) {
        r_index(&y, k, index);
        double p[4];                                    /* scale, bias, mean, variance */
        for (size_t i = 0; i < 4; i++) p[i] = d_in(m, n, i + 1)->r.v[index[1]];
        y.v[k] = (x->v[k] - p[2]) / sqrt(p[3] + epsilon) * p[0] + p[1];
    }
    return y;
}

/* ---------------------------------------------------------------- elements */

static inline double d_relu(double x) { return x > 0 ? x : 0; }
static inline double d_reciprocal(double x) { return 1 / x; }
static inline double d_add(double a, double b) { return a + b; }
static inline double d_sub(double a, double b) { return a - b; }
static inline double d_mul(double a, double b) { return a * b; }
static inline double d_div(double a, double b) { return a / b; }
static const struct { const char *op; double (*one)(double); double (*two)(double, double); } d_functions[] = {
    { "Relu", d_relu, NULL }, { "Tanh", tanh, NULL }, { "Exp", exp, NULL }, { "Sqrt", sqrt, NULL },
    { "Reciprocal", d_reciprocal, NULL }, { "Add", NULL, d_add }, { "Sub", NULL, d_sub }, { "Mul", NULL, d_mul },
    { "Div", NULL, d_div }, { "Max", NULL, fmax }, { "Min", NULL, fmin },
};
static inline int d_function(const struct d_model *m, const struct pi_node *n, struct r_tensor *y)
{
    for (size_t k = 0; k < sizeof d_functions / sizeof *d_functions; k++) {
        if (strcmp(n->op->name, d_functions[k].op)) continue;
        ck_assert(n->nin == (d_functions[k].one ? 1u : 2u));
        *y = d_functions[k].one ? r_unary(d_functions[k].one, &d_in(m, n, 0)->r)
            : r_binary(d_functions[k].two, &d_in(m, n, 0)->r, &d_in(m, n, 1)->r);
        return 1;
    }
    return 0;
}

/* ---------------------------------------------------------------- moves */

/* The same elements in the same order. */
static inline struct r_tensor d_reshaped(const struct r_tensor *x, const struct pi_tensor *out)
{
    struct r_tensor y = r_new(out->rank, out->dims);
    ck_assert(y.n == x->n);
    memcpy(y.v, x->v, y.n * sizeof *y.v);
    return y;
}
static inline struct r_tensor d_expand(const struct r_tensor *x, const struct pi_tensor *out)
{
    struct r_tensor y = r_new(out->rank, out->dims);
    int64_t index[PI_MAX_RANK];
    for (size_t k = 0; k < y.n; k++) { r_index(&y, k, index); y.v[k] = r_spread(x, y.rank, index); }
    return y;
}
/* out[d] is in[axis[d]], or in[d] = from[d] + out[d] * step[d]. */
struct d_move { int rank; int64_t axis[PI_MAX_RANK], from[PI_MAX_RANK], step[PI_MAX_RANK]; };
static inline int d_source(const void *arg, const int64_t *out, int64_t *in)
{
    const struct d_move *s = arg;
    for (int d = 0; d < s->rank; d++) in[s->axis[d]] = s->from[d] + out[d] * s->step[d];
    return 1;
}
static inline struct r_tensor d_transpose(const struct d_model *m, const struct pi_node *n, const struct pi_tensor *out)
{
    struct d_move s = { .rank = out->rank };
    for (int d = 0; d < s.rank; d++) { s.axis[d] = d_ints(n, "perm", (size_t)d, s.rank - 1 - d); s.step[d] = 1; }
    return r_moved(&d_in(m, n, 0)->r, out->rank, out->dims, d_source, &s, 0);
}
static inline struct r_tensor d_slice(const struct d_model *m, const struct pi_node *n, const struct pi_tensor *out)
{
    const struct r_tensor *x = &d_in(m, n, 0)->r;
    const struct d_value *starts = d_in(m, n, 1), *axes = d_in(m, n, 3), *steps = d_in(m, n, 4);
    struct d_move s = { .rank = out->rank };
    for (int d = 0; d < s.rank; d++) { s.axis[d] = d; s.step[d] = 1; }
    ck_assert(starts != NULL);
    for (size_t k = 0; k < starts->r.n; k++) {
        int64_t d = axes ? (int64_t)axes->r.v[k] : (int64_t)k, from = (int64_t)starts->r.v[k];
        if (d < 0) d += s.rank;
        if (from < 0) from += x->dims[d];
        s.from[d] = from;
        s.step[d] = steps ? (int64_t)steps->r.v[k] : 1;
        ck_assert(s.step[d] > 0 && from >= 0);
    }
    return r_moved(x, out->rank, out->dims, d_source, &s, 0);
}

/* ---------------------------------------------------------------- reductions */

static inline struct r_tensor d_reduced(const struct r_tensor *x, unsigned mask, enum r_kind kind, const struct pi_tensor *out)
{
    struct r_tensor unused, kept = r_reduce(x, mask, kind, &unused), y = d_reshaped(&kept, out);
    r_free(&kept);
    r_free(&unused);
    return y;
}
/* Axes of an input or an attribute; without either all of them. */
static inline struct r_tensor d_reduce(const struct d_model *m, const struct pi_node *n, enum r_kind kind,
                                       const struct pi_tensor *out)
{
    const struct r_tensor *x = &d_in(m, n, 0)->r;
    const struct d_value *axes = d_in(m, n, 1);
    const int64_t *v = NULL;
    size_t count = 0;
    unsigned mask = 0;
    ck_assert(!pi_attr_ints(n, "axes", &v, &count, NULL));
    if (axes) count = axes->r.n;
    for (size_t k = 0; k < count; k++) {
        const int64_t d = axes ? (int64_t)axes->r.v[k] : v[k];
        mask |= 1u << (d < 0 ? d + x->rank : d);
    }
    if (!count && !d_int(n, "noop_with_empty_axes", 0)) mask = (1u << x->rank) - 1;
    return d_reduced(x, mask, kind, out);
}
static inline struct r_tensor d_pool(const struct d_model *m, const struct pi_node *n, int max, const struct pi_tensor *out)
{
    struct r_window w[PI_MAX_RANK];
    const size_t spatial = (size_t)out->rank - 2;
    ck_assert(!pi_attr_find(n, "auto_pad"));
    for (size_t d = 0; d < spatial; d++)
        w[d] = (struct r_window){ d_ints(n, "kernel_shape", d, 1), d_ints(n, "strides", d, 1), d_ints(n, "dilations", d, 1),
                                  d_ints(n, "pads", d, 0), d_ints(n, "pads", d + spatial, 0), out->dims[d + 2] };
    return r_pool(&d_in(m, n, 0)->r, w, max, d_int(n, "count_include_pad", 0) != 0);
}
static inline unsigned d_spatial(const struct r_tensor *x) { return ((1u << x->rank) - 1) & ~3u; }

/* ---------------------------------------------------------------- the walk */

static inline int d_same(const char *a, const char *b) { return !strcmp(a, b); }
static inline struct r_tensor d_compute(const struct d_model *m, const struct pi_node *n, const struct pi_tensor *out)
{
    const char *op = n->op->name;
    const struct r_tensor *x = &d_in(m, n, 0)->r;
    struct r_tensor y = { 0 };
    if (d_function(m, n, &y)) return y;
    if (d_same(op, "Conv")) return d_conv(m, n, out);
    if (d_same(op, "Gemm")) return d_gemm(m, n, out);
    if (d_same(op, "MatMul")) return d_matmul(m, n, out);
    if (d_same(op, "BatchNormalization")) return d_batchnorm(m, n);
    if (d_same(op, "AveragePool")) return d_pool(m, n, 0, out);
    if (d_same(op, "MaxPool")) return d_pool(m, n, 1, out);
    if (d_same(op, "GlobalMaxPool")) return d_reduced(x, d_spatial(x), R_MAX, out);
    if (d_same(op, "GlobalAveragePool")) return d_reduced(x, d_spatial(x), R_MEAN, out);
    if (d_same(op, "ReduceSum")) return d_reduce(m, n, R_SUM, out);
    if (d_same(op, "ReduceMean")) return d_reduce(m, n, R_MEAN, out);
    if (d_same(op, "ReduceMax")) return d_reduce(m, n, R_MAX, out);
    if (d_same(op, "Transpose")) return d_transpose(m, n, out);
    if (d_same(op, "Slice")) return d_slice(m, n, out);
    if (d_same(op, "Expand")) return d_expand(x, out);
    if (d_same(op, "Reshape") || d_same(op, "Flatten") || d_same(op, "Squeeze") || d_same(op, "Unsqueeze"))
        return d_reshaped(x, out);
    if (d_same(op, "Cast")) return d_reshaped(x, out);      /* to float: d_run_integer takes the others */
    ck_abort_msg("%s: node '%s': no double precision reference of %s", m->name, n->name, op);
    return y;
}

static inline void d_run_integer(const struct d_model *m, const struct pi_node *n, const struct pi_tensor **in,
                                 struct d_value *to)
{
    struct pi_tensor *out[1] = { &to->t };
    ck_assert_msg(!n->op->compile, "%s: node '%s': %s of integers", m->name, n->name, n->op->name);
    for (size_t k = 0; k < n->nin; k++)
        ck_assert_msg(!in[k] || in[k]->data || n->op->flags & PI_OP_SHAPE,
                      "%s: node '%s' makes integers of floats", m->name, n->name);
    to->t.data = calloc((size_t)pi_elements(&to->t) + 1, pi_type_size((enum pi_type)to->t.type));
    to->owned = 1;
    struct pi_call call = { .ctx = m->ctx, .node = n, .in = in, .out = out };
    call.workspace = h_guard_aligned((n->op->workspace ? n->op->workspace(&call) : 0) + 64, 64);
    n->op->run(&call);
    h_guard_free(call.workspace);
    to->r = r_of(&to->t);
}

static inline void d_node(const struct d_model *m, const struct pi_node *n)
{
    const struct pi_tensor *in[C_MAX] = { NULL };
    struct precinfer_error err = { 0 };
    ck_assert_msg(n->nin <= C_MAX && n->nout == 1, "%s: node '%s': inputs or outputs", m->name, n->name);
    struct d_value *to = &m->v[n->out[0]];
    for (size_t k = 0; k < n->nin; k++) {
        const struct d_value *v = d_in(m, n, k);
        if (v) ck_assert_msg(v->r.v != NULL, "%s: node '%s': input %zu is not computed yet", m->name, n->name, k);
        in[k] = v ? &v->t : NULL;
    }
    const struct pi_infer infer = { n, NULL, in, &to->t, &err };
    memset(&to->t, 0, sizeof to->t);
    ck_assert_msg(!n->op->infer(&infer), "%s: %s", m->name, err.text);
    pi_row_major(&to->t);
    if (d_is_integer(&to->t)) { d_run_integer(m, n, in, to); return; }
    ck_assert_msg(to->t.type == PI_F32, "%s: node '%s': %s", m->name, n->name, pi_type_name((enum pi_type)to->t.type));
    to->r = d_compute(m, n, &to->t);
    int same = to->r.rank == to->t.rank;
    for (int d = 0; same && d < to->r.rank; d++) same = to->r.dims[d] == to->t.dims[d];
    ck_assert_msg(same, "%s: node '%s': shape", m->name, n->name);
}

/* Sets out with the constants and the only input of g, and computes up to `value`. */
static inline void d_evaluate(struct d_model *m, const struct precinfer_tensor *input, int value)
{
    const precinfer_graph *g = m->g;
    m->v = calloc(g->nvalues, sizeof *m->v);
    for (size_t k = 0; k < g->nvalues; k++) {
        if (!g->values[k].t.data) continue;
        m->v[k].t = g->values[k].t;
        ck_assert_msg(m->v[k].t.type == PI_F32 || d_is_integer(&m->v[k].t), "%s: type of %s", m->name, g->values[k].name);
        m->v[k].r = r_of(&m->v[k].t);
    }
    ck_assert(g->ninputs == 1);
    struct d_value *in = &m->v[g->inputs[0]];
    in->t = (struct pi_tensor){ .data = input->data, .type = (uint8_t)input->dtype, .rank = input->rank };
    memcpy(in->t.dims, input->dims, sizeof input->dims);
    pi_row_major(&in->t);
    in->r = r_of(&in->t);
    if (!d_is_integer(&in->t)) in->t.data = NULL;
    for (size_t k = 0; k < g->nnodes && !m->v[value].r.v; k++)
        if (!g->nodes[k].dead) d_node(m, &g->nodes[k]);
    ck_assert_msg(m->v[value].r.v != NULL, "%s: %s is not computed", m->name, g->values[value].name);
}
static inline void d_drop(struct d_model *m)
{
    for (size_t k = 0; k < m->g->nvalues; k++) {
        r_free(&m->v[k].r);
        if (m->v[k].owned) free(m->v[k].t.data);
    }
    free(m->v);
}
#endif
