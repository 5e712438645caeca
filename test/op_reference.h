/* Operators in double, element by element in logical order: what the tests of lib/op compare with. */
#ifndef PI_TEST_OP_REFERENCE_H
#define PI_TEST_OP_REFERENCE_H
#include <math.h>
#include "op_case.h"

struct r_tensor { int rank; int64_t dims[PI_MAX_RANK]; size_t n; double *v; };

static inline struct r_tensor r_new(int rank, const int64_t *dims)
{
    struct r_tensor t = { .rank = rank, .n = 1 };
    for (int d = 0; d < rank; d++) { t.dims[d] = dims[d]; t.n *= (size_t)dims[d]; }
    t.v = calloc(t.n + 1, sizeof(double));
    return t;
}
/* The value of an element of a dense row-major tensor, quantized ones included. */
static inline double r_element(const struct pi_tensor *t, size_t k)
{
    switch (t->type) {
    case PI_F32: return ((const float *)t->data)[k];
    case PI_S32: return ((const int32_t *)t->data)[k];
    case PI_S64: return (double)((const int64_t *)t->data)[k];
    case PI_BF16: return pi_bf16_to_f32(((const uint16_t *)t->data)[k]);
    case PI_U8: return t->quantized ? ((double)((const uint8_t *)t->data)[k] - t->zp) * (double)t->scale
        : ((const uint8_t *)t->data)[k];
    default: return ((const uint8_t *)t->data)[k];
    }
}
static inline struct r_tensor r_of(const struct pi_tensor *t)
{
    struct r_tensor r = r_new(t->rank, t->dims);
    for (size_t k = 0; k < r.n; k++) r.v[k] = r_element(t, k);
    return r;
}
static inline void r_free(struct r_tensor *t) { free(t->v); }

/* Index of element k, and back. */
static inline void r_index(const struct r_tensor *t, size_t k, int64_t *index)
{
    for (int d = t->rank - 1; d >= 0; d--) { index[d] = (int64_t)(k % (size_t)t->dims[d]); k /= (size_t)t->dims[d]; }
}
static inline size_t r_place(const struct r_tensor *t, const int64_t *index)
{
    size_t k = 0;
    for (int d = 0; d < t->rank; d++) k = k * (size_t)t->dims[d] + (size_t)index[d];
    return k;
}
/* Element of t for an index of a larger tensor that t is broadcast to. */
static inline double r_spread(const struct r_tensor *t, int rank, const int64_t *index)
{
    int64_t own[PI_MAX_RANK];
    for (int d = 0; d < t->rank; d++) own[d] = t->dims[d] == 1 ? 0 : index[d + rank - t->rank];
    return t->v[r_place(t, own)];
}

static inline struct r_tensor r_unary(double (*f)(double), const struct r_tensor *x)
{
    struct r_tensor y = r_new(x->rank, x->dims);
    for (size_t k = 0; k < y.n; k++) y.v[k] = f(x->v[k]);
    return y;
}
static inline struct r_tensor r_binary(double (*f)(double, double), const struct r_tensor *a, const struct r_tensor *b)
{
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dims[PI_MAX_RANK], index[PI_MAX_RANK];
    for (int d = 0; d < rank; d++) {
        const int da = d - rank + a->rank, db = d - rank + b->rank;
        const int64_t na = da < 0 ? 1 : a->dims[da], nb = db < 0 ? 1 : b->dims[db];
        dims[d] = na == 1 ? nb : na;
    }
    struct r_tensor y = r_new(rank, dims);
    for (size_t k = 0; k < y.n; k++) {
        r_index(&y, k, index);
        y.v[k] = f(r_spread(a, rank, index), r_spread(b, rank, index));
    }
    return y;
}

/* Operators that move elements: where an output element comes from. 0: nowhere, it is `fill`. */
typedef int r_source(const void *arg, const int64_t *out, int64_t *in);
static inline struct r_tensor r_moved(const struct r_tensor *x, int rank, const int64_t *dims, r_source *source,
                                      const void *arg, double fill)
{
    struct r_tensor y = r_new(rank, dims);
    int64_t out[PI_MAX_RANK], in[PI_MAX_RANK];
    for (size_t k = 0; k < y.n; k++) {
        r_index(&y, k, out);
        y.v[k] = source(arg, out, in) ? x->v[r_place(x, in)] : fill;
    }
    return y;
}

enum r_kind { R_MEAN, R_SUM, R_MAX, R_MIN };
static inline double r_join(enum r_kind kind, double a, double x)
{
    return kind == R_MAX ? fmax(a, x) : kind == R_MIN ? fmin(a, x) : a + x;
}

/* Over the dimensions of mask; they stay as 1. *abs: the same over |x|, what rounding errors are measured by. */
static inline struct r_tensor r_reduce(const struct r_tensor *x, unsigned mask, enum r_kind kind, struct r_tensor *abs)
{
    int64_t dims[PI_MAX_RANK], index[PI_MAX_RANK];
    size_t count = 1;
    for (int d = 0; d < x->rank; d++) {
        dims[d] = mask >> d & 1 ? 1 : x->dims[d];
        if (mask >> d & 1) count *= (size_t)x->dims[d];
    }
    struct r_tensor y = r_new(x->rank, dims);
    *abs = r_new(x->rank, dims);
    for (size_t k = 0; k < y.n; k++) y.v[k] = kind == R_MAX ? -INFINITY : kind == R_MIN ? INFINITY : 0;
    for (size_t k = 0; k < x->n; k++) {
        r_index(x, k, index);
        for (int d = 0; d < x->rank; d++) if (mask >> d & 1) index[d] = 0;
        const size_t to = r_place(&y, index);
        y.v[to] = r_join(kind, y.v[to], x->v[k]);
        abs->v[to] += fabs(x->v[k]);
    }
    for (size_t k = 0; kind == R_MEAN && k < y.n; k++) { y.v[k] /= (double)count; abs->v[k] /= (double)count; }
    return y;
}

static inline struct r_tensor r_softmax(const struct r_tensor *x, unsigned mask, int logarithm)
{
    struct r_tensor unused, max = r_reduce(x, mask, R_MAX, &unused), e = r_new(x->rank, x->dims);
    r_free(&unused);
    int64_t index[PI_MAX_RANK];
    for (size_t k = 0; k < x->n; k++) { r_index(x, k, index); e.v[k] = exp(x->v[k] - r_spread(&max, x->rank, index)); }
    struct r_tensor sum = r_reduce(&e, mask, R_SUM, &unused);
    r_free(&unused);
    for (size_t k = 0; k < x->n; k++) {
        r_index(x, k, index);
        const double s = r_spread(&sum, x->rank, index);
        e.v[k] = logarithm ? x->v[k] - r_spread(&max, x->rank, index) - log(s) : e.v[k] / s;
    }
    r_free(&max);
    r_free(&sum);
    return e;
}

/* Windows over the dimensions from 2 on. */
struct r_window { int64_t kernel, stride, dilation, before, after, out; };
static inline struct r_tensor r_pool(const struct r_tensor *x, const struct r_window *w, int max, int include_pad)
{
    const int spatial = x->rank - 2;
    int64_t dims[PI_MAX_RANK], index[PI_MAX_RANK], taps = 1;
    for (int d = 0; d < x->rank; d++) dims[d] = d < 2 ? x->dims[d] : w[d - 2].out;
    for (int d = 0; d < spatial; d++) taps *= w[d].kernel;
    struct r_tensor y = r_new(x->rank, dims);
    for (size_t k = 0; k < y.n; k++) {
        double best = -INFINITY, sum = 0;
        int64_t inside = 0, padded = 0;
        for (int64_t t = 0; t < taps; t++) {
            int in_image = 1, in_border = 1;
            int64_t rest = t;
            r_index(&y, k, index);
            for (int d = spatial - 1; d >= 0; d--) {
                const int64_t p = index[d + 2] * w[d].stride - w[d].before + rest % w[d].kernel * w[d].dilation;
                rest /= w[d].kernel;
                in_image &= p >= 0 && p < x->dims[d + 2];
                in_border &= p < x->dims[d + 2] + w[d].after;
                index[d + 2] = p;
            }
            padded += in_border;
            inside += in_image;
            if (!in_image) continue;
            const double v = x->v[r_place(x, index)];
            best = fmax(best, v);
            sum += v;
        }
        y.v[k] = max ? best : sum / (double)(include_pad ? padded : inside);
    }
    return y;
}

/* Separable linear interpolation at coordinates that `at` gives, borders repeated. */
typedef double r_coordinate(double o, double scale, double in, double out);
static inline struct r_tensor r_linear(const struct r_tensor *x, const int64_t *out, const double *scale, r_coordinate *at)
{
    struct r_tensor y = r_new(x->rank, out);
    int64_t o[PI_MAX_RANK], i[PI_MAX_RANK];
    for (size_t k = 0; k < y.n; k++) {
        double sum = 0;
        for (unsigned corner = 0; corner < 1u << x->rank; corner++) {
            double weight = 1;
            r_index(&y, k, o);
            for (int d = 0; d < x->rank; d++) {
                const double last = (double)(x->dims[d] - 1);
                double c = scale[d] == 1 ? (double)o[d] : at((double)o[d], scale[d], (double)x->dims[d], (double)out[d]);
                c = fmin(fmax(c, 0), last);
                const double f = floor(c);
                i[d] = (int64_t)fmin(f + (corner >> d & 1), last);
                weight *= corner >> d & 1 ? c - f : 1 - (c - f);
            }
            sum += weight * x->v[r_place(x, i)];
        }
        y.v[k] = sum;
    }
    return y;
}

/* ---------------------------------------------------------------- comparison */

/* Runs the case with one thread, with three, and with ref alone, in every layout: all the same bits, and within `relative`
 * of want (of `magnitude` where given, else of |want|) plus `absolute`. */
struct r_hosts { struct h_host host[3]; precinfer_context *ctx[3]; };
static inline void r_open(struct r_hosts *h)
{
    memset(h, 0, sizeof *h);
    for (int k = 0; k < 3; k++) {
        h->host[k].threads = k == 1 ? 3 : 1;
        h->ctx[k] = h_context(&h->host[k], k == 2 ? "ref" : NULL);
    }
}
static inline void r_close(struct r_hosts *h)
{
    for (int k = 0; k < 3; k++) {
        precinfer_context_free(h->ctx[k]);
        h_expect(h->host[k].live == 0, "%ld blocks were not freed", (long)h->host[k].live);
    }
}

static inline void r_all_layouts(struct r_hosts *h, struct c_case *c, const char *what)
{
    char *first[C_MAX] = { NULL };
    for (int k = 0; k < 3; k++)
        for (int layout = 0; layout < C_LAYOUTS; layout++) {
            c->ctx = h->ctx[k];
            const int status = c_run(c, (enum c_layout)layout);
            h_expect(!status, "%s: %s", what, c->err.text);
            if (status) return;
            for (size_t o = 0; o < c->node.nout; o++) {
                if (!first[o]) {
                    first[o] = malloc(c_bytes(&c->out[o]) + 1);
                    memcpy(first[o], c->out[o].data, c_bytes(&c->out[o]));
                }
                char label[160];
                snprintf(label, sizeof label, "%s, layout %d, host %d, output %zu", what, layout, k, o);
                if (c->out[o].type == PI_F32) h_same(label, first[o], c->out[o].data, PI_F32, (size_t)pi_elements(&c->out[o]));
                else h_same_bytes(label, first[o], c->out[o].data, c_bytes(&c->out[o]));
            }
        }
    for (size_t o = 0; o < c->node.nout; o++) free(first[o]);
}

static inline void r_compare(const struct c_case *c, size_t output, const struct r_tensor *want, const struct r_tensor *magnitude,
                             double relative, double absolute, const char *what)
{
    const struct pi_tensor *got = &c->out[output];
    int same = got->rank == want->rank;
    for (int d = 0; same && d < got->rank; d++) same = got->dims[d] == want->dims[d];
    char s[96];
    h_expect(same, "%s: shape %s", what, pi_dims_string(got, s, sizeof s));
    for (size_t k = 0; same && got->data && k < want->n; k++) {
        const double g = r_element(got, k), w = want->v[k];
        const double bound = relative * (magnitude ? magnitude->v[k] : fabs(w)) + absolute;
        h_expect(g == w || fabs(g - w) <= bound || (g != g && w != w), "%s [%zu]: %.9g, should be %.9g", what, k, g, w);
    }
}

/* All of it; frees want and the case. */
static inline void r_verify(struct r_hosts *h, struct c_case *c, struct r_tensor want, double relative, double absolute,
                            const char *what)
{
    r_all_layouts(h, c, what);
    r_compare(c, 0, &want, NULL, relative, absolute, what);
    r_free(&want);
    c_end(c);
}
#endif
