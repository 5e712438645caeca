/* Resize (10, and 11 on) and Upsample (7 to 9): nearest and linear. Coordinates and weights are computed in double and
 * rounded once; linear blends along the last resized dimension first, then along those before it. */
#include <string.h>
#include "infer.h"
#include "walk.h"

enum coordinates { HALF_PIXEL, PYTORCH_HALF_PIXEL, ALIGN_CORNERS, ASYMMETRIC, TF_HALF_PIXEL_FOR_NN, HALF_PIXEL_SYMMETRIC };
enum rounding { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL, BEFORE_11 };
enum policy { STRETCH, NOT_LARGER, NOT_SMALLER };
enum { MAX_RESIZED = 3 };
struct resize {
    int linear;
    enum coordinates coordinates; enum rounding rounding; enum policy policy;
    size_t scales, sizes;                       /* input slots; 0: none                                         */
    const float *given; size_t ngiven;          /* Upsample 7: scales in an attribute                           */
    struct pi_ints axes;
};

/* ---------------------------------------------------------------- attributes */

static int choose(const struct pi_node *n, const char *name, const char *fallback, const char *const *names, int *v,
                  struct precinfer_error *err)
{
    const char *s;
    PI_TRY(pi_attr_string(n, name, fallback, &s, err));
    for (*v = 0; names[*v]; ++*v)
        if (!strcmp(s, names[*v])) return 0;
    return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "%s '%s'", name, s);
}

static int check_mode(struct pi_node *n, struct precinfer_error *err)
{
    static const char *const modes[] = { "nearest", "linear", "bilinear", NULL };
    struct resize *r = n->params;
    int mode;
    PI_TRY(choose(n, "mode", "nearest", modes, &mode, err));
    r->linear = mode > 0;
    r->coordinates = ASYMMETRIC;
    r->rounding = FLOOR;
    return 0;
}

static int check_upsample_attr(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct resize *r = n->params;
    (void)g;
    PI_TRY(check_mode(n, err));
    return pi_attr_floats(n, "scales", &r->given, &r->ngiven, err);
}
static int check_upsample(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    ((struct resize *)n->params)->scales = 1;
    return check_mode(n, err);
}
static int check_10(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    PI_TRY(check_upsample(g, n, err));
    ((struct resize *)n->params)->rounding = BEFORE_11;
    return 0;
}

static int check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    static const char *const coordinates[] = { "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric",
                                               "tf_half_pixel_for_nn", "half_pixel_symmetric", NULL };
    static const char *const roundings[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL };
    static const char *const policies[] = { "stretch", "not_larger", "not_smaller", NULL };
    struct resize *r = n->params;
    int64_t antialias;
    int v;
    (void)g;
    PI_TRY(check_mode(n, err));
    r->scales = 2;
    r->sizes = 3;
    PI_TRY(choose(n, "coordinate_transformation_mode", "half_pixel", coordinates, &v, err));
    r->coordinates = (enum coordinates)v;
    PI_TRY(choose(n, "nearest_mode", "round_prefer_floor", roundings, &v, err));
    r->rounding = (enum rounding)v;
    PI_TRY(choose(n, "keep_aspect_ratio_policy", "stretch", policies, &v, err));
    r->policy = (enum policy)v;
    PI_TRY(pi_attr_int(n, "antialias", 0, &antialias, err));
    if (antialias) return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "antialias is %lld", (long long)antialias);
    return pi_ints_of_attr(n, "axes", &r->axes, err);
}

/* ---------------------------------------------------------------- what is resized to what */

/* A scale of 1 leaves a dimension alone, open or not. */
#define UNKNOWN INT64_MIN
struct spec { double scale[PI_MAX_RANK]; int64_t out[PI_MAX_RANK]; };

static const struct pi_tensor *slot(const struct pi_node *n, const struct pi_tensor *const *in, size_t k)
{
    const struct pi_tensor *t = k && k < n->nin ? in[k] : NULL;
    return t && t->rank == 1 && t->dims[0] == 0 ? NULL : t;     /* an empty tensor stands for an absent one */
}

static int axis_of(const struct resize *r, size_t k, int rank)
{
    const int64_t named = r->axes.n ? r->axes.v[k] : (int64_t)k;
    return (int)(named < 0 ? named + rank : named);
}

static void resolve_scales(const struct resize *r, const struct pi_tensor *x, const struct pi_tensor *scales, struct spec *s)
{
    const size_t n = scales ? (size_t)pi_elements(scales) : r->ngiven;
    for (size_t k = 0; k < n; k++) {
        const int d = axis_of(r, k, x->rank);
        const float f = scales ? scales->data ? pi_float_at(scales, (int64_t)k) : -1 : r->given[k];
        const float size = (float)x->dims[d] * f;               /* in f32, as everyone does: 10 * 0.7f is 7 */
        s->scale[d] = f;
        if (f != 1) s->out[d] = x->dims[d] < 0 || f < 0 || !(size < 0x1p31f) ? UNKNOWN : (int64_t)size;
    }
}

static int64_t floor_of(double x) { const int64_t i = (int64_t)x; return (double)i > x ? i - 1 : i; }

static void resolve_sizes(const struct resize *r, const struct pi_tensor *x, const struct pi_tensor *sizes, struct spec *s)
{
    const size_t n = (size_t)pi_elements(sizes);
    double common = 0;
    int open = 0;
    for (size_t k = 0; k < n; k++) {
        const int d = axis_of(r, k, x->rank);
        s->out[d] = sizes->data ? pi_int_at(sizes, (int64_t)k) : UNKNOWN;
        s->scale[d] = x->dims[d] > 0 ? (double)s->out[d] / (double)x->dims[d] : 1;
        open |= s->out[d] < 0 || x->dims[d] < 0;
        if (k == 0 || (r->policy == NOT_LARGER ? s->scale[d] < common : s->scale[d] > common)) common = s->scale[d];
    }
    for (size_t k = 0; r->policy != STRETCH && k < n; k++) {
        const int d = axis_of(r, k, x->rank);
        s->scale[d] = common;
        s->out[d] = open ? UNKNOWN : floor_of((double)x->dims[d] * common + 0.5);
    }
}

static void resolve(const struct pi_node *n, const struct pi_tensor *const *in, struct spec *s)
{
    const struct resize *r = n->params;
    const struct pi_tensor *sizes = slot(n, in, r->sizes);
    for (int d = 0; d < in[0]->rank; d++) {
        s->scale[d] = 1;
        s->out[d] = in[0]->dims[d];
    }
    if (sizes) resolve_sizes(r, in[0], sizes, s);
    else resolve_scales(r, in[0], slot(n, in, r->scales), s);
}

static int is_resized(const struct spec *s, const struct pi_tensor *x, int d)
{
    return s->scale[d] != 1 || s->out[d] != x->dims[d];
}

/* ---------------------------------------------------------------- shapes */

static int check_vectors(const struct pi_infer *i, const struct pi_tensor *scales, const struct pi_tensor *sizes)
{
    const struct resize *r = i->node->params;
    const int rank = i->in[0]->rank;
    const struct pi_tensor *t = sizes ? sizes : scales;
    const size_t n = r->axes.n ? r->axes.n : (size_t)rank;
    if (!t && !r->given) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "neither scales nor sizes");
    if (t && (t->rank != 1 || (t->type != PI_F32 && t == scales) || (t->type != PI_S64 && t == sizes)))
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "scales or sizes is %s of rank %d", pi_type_name(t->type),
                            t->rank);
    if (t ? t->dims[0] != (int64_t)n : r->ngiven != n)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "%lld scales or sizes for %zu dimensions",
                            (long long)(t ? t->dims[0] : (int64_t)r->ngiven), n);
    if (t && !t->data && !i->graph) return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "the size depends on data");
    for (size_t k = 0; k < r->axes.n; k++) {
        int axis;
        PI_TRY(pi_axis(i->node, r->axes.v[k], rank, &axis, i->err));
    }
    for (size_t k = 0; t != sizes && k < n; k++) {
        const float f = !t ? r->given[k] : t->data ? pi_float_at(t, (int64_t)k) : 1;
        if (!(f > 0) || f - f != 0)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "scale %zu is no finite positive number", k);
    }
    return 0;
}

static int check_resized(const struct pi_infer *i, const struct spec *s)
{
    const struct resize *r = i->node->params;
    const struct pi_tensor *x = i->in[0];
    int resized = 0;
    for (int d = 0; d < x->rank; d++) {
        if (x->dims[d] < 0 || s->out[d] < 0 || !is_resized(s, x, d)) continue;
        resized++;
        if (x->dims[d] == 0 || s->out[d] == 0)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "dimension %d is resized from %lld to %lld", d,
                                (long long)x->dims[d], (long long)s->out[d]);
    }
    if (r->linear && resized > MAX_RESIZED)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "linear over %d dimensions, at most %d are supported",
                            resized, (int)MAX_RESIZED);
    return 0;
}

static int infer(const struct pi_infer *i)
{
    const struct resize *r = i->node->params;
    const struct pi_tensor *x = i->in[0], *scales = slot(i->node, i->in, r->scales), *sizes = slot(i->node, i->in, r->sizes);
    struct spec s;
    if (r->linear || x->quantized) PI_TRY(pi_infer_float(i, 0));
    if (r->linear && x->type == PI_BF16) return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "input 0 is bfloat16");
    PI_TRY(check_vectors(i, scales, sizes));
    resolve(i->node, i->in, &s);
    PI_TRY(check_resized(i, &s));
    PI_TRY(pi_infer_like(i));
    for (int d = 0; d < x->rank; d++) {
        const int stays = s.scale[d] == 1 && s.out[d] == x->dims[d];
        i->out[0].dims[d] = stays || s.out[d] >= 0 ? s.out[d] : pi_infer_open(i);
    }
    return 0;
}

/* ---------------------------------------------------------------- coordinates */

/* Output position o of a dimension is u * element i0 + w * element i1; nearest is i0 alone. */
struct tap { int64_t i0, i1; float u, w; };

static double coordinate(enum coordinates mode, double o, double scale, double in, double out)
{
    switch (mode) {
    case HALF_PIXEL: return (o + 0.5) / scale - 0.5;
    case PYTORCH_HALF_PIXEL: return out > 1 ? (o + 0.5) / scale - 0.5 : 0;
    case ALIGN_CORNERS: return out > 1 ? o * (in - 1) / (out - 1) : 0;
    case TF_HALF_PIXEL_FOR_NN: return (o + 0.5) / scale;
    case HALF_PIXEL_SYMMETRIC: return (in - 1) / 2 + (o + 0.5 - out / 2) / scale;  /* centre to centre */
    default: return o / scale;
    }
}

static int64_t rounded(enum rounding mode, double x, double scale)
{
    switch (mode) {
    case ROUND_PREFER_FLOOR: return -floor_of(0.5 - x);
    case ROUND_PREFER_CEIL: return floor_of(x + 0.5);
    case CEIL: return -floor_of(-x);
    case BEFORE_11: return scale < 1 ? -floor_of(-x) : floor_of(x);
    default: return floor_of(x);
    }
}

static int64_t clamp(int64_t x, int64_t hi) { return x < 0 ? 0 : x > hi ? hi : x; }

static void fill_taps(const struct resize *r, double scale, int64_t in, int64_t out, struct tap *taps)
{
    for (int64_t o = 0; o < out; o++) {
        double x = coordinate(r->coordinates, (double)o, scale, (double)in, (double)out);
        struct tap *t = &taps[o];
        if (!r->linear) {
            t->i0 = clamp(rounded(r->rounding, x, scale), in - 1);
            continue;
        }
        x = x < 0 ? 0 : x > (double)(in - 1) ? (double)(in - 1) : x;
        t->i0 = floor_of(x);
        t->i1 = clamp(t->i0 + 1, in - 1);
        t->w = (float)(x - (double)t->i0);
        t->u = (float)(1 - (x - (double)t->i0));
    }
}

/* ---------------------------------------------------------------- run */

struct job {
    int linear, resized;                        /* resized dimensions, in order: which                          */
    int which[MAX_RESIZED];
    const struct tap *taps[PI_MAX_RANK];        /* NULL: the dimension stays                                    */
    int inner;                                  /* a dimension that stays and is dense on both sides; -1: none  */
    struct pi_tensor in, out;
    size_t size, n;                             /* elements a call                                              */
    int same;                                   /* u8: input and output mean the same                           */
    float p, lo, hi;
};

static size_t table_entries(const struct pi_tensor *out)
{
    size_t n = 0;
    for (int d = 0; d < out->rank; d++) n += (size_t)out->dims[d];
    return n;
}
static size_t workspace(const struct pi_call *c) { return table_entries(c->out[0]) * sizeof(struct tap); }

static float blended(const struct job *j, const float v[1 << MAX_RESIZED], const struct tap *const t[MAX_RESIZED])
{
    float x[1 << MAX_RESIZED];
    memcpy(x, v, sizeof x);
    for (int level = j->resized - 1; level >= 0; level--)
        for (int c = 0; c < 1 << level; c++) x[c] = x[2 * c] * t[level]->u + x[2 * c + 1] * t[level]->w;
    return x[0];
}

static uint8_t narrowed(const struct job *j, float v)
{
    float x = (v - (float)j->in.zp) * j->p;
    x = j->lo > x ? j->lo : x;
    x = j->hi < x ? j->hi : x;
    return (uint8_t)((int32_t)(x + 0x1.8p23f - 0x1.8p23f) + j->out.zp);     /* adds and takes away what rounds to even */
}

/* Two dimensions, f32: the common case, along x and then y, in blocks that compilers make vectors of. */
enum { LANES = 8 };

static void blend_line(const float *a, const float *b, float u, float w, float r[LANES])
{
    for (int l = 0; l < LANES; l++) r[l] = a[l] * u + b[l] * w;
}

static void blend_plane(const char *const at[4], size_t n, const struct tap *y, const struct tap *x, float *c)
{
    const float *a00 = (const float *)at[0], *a01 = (const float *)at[1];
    const float *a10 = (const float *)at[2], *a11 = (const float *)at[3];
    const float yu = y->u, yw = y->w, xu = x->u, xw = x->w;
    float top[LANES], bottom[LANES], r[LANES];
    size_t k = 0;
    for (; k + LANES <= n; k += LANES) {
        blend_line(a00 + k, a01 + k, xu, xw, top);
        blend_line(a10 + k, a11 + k, xu, xw, bottom);
        blend_line(top, bottom, yu, yw, r);
        memcpy(c + k, r, sizeof r);
    }
    for (; k < n; k++) c[k] = (a00[k] * xu + a01[k] * xw) * yu + (a10[k] * xu + a11[k] * xw) * yw;
}

static void blend(const struct job *j, const char *const at[1 << MAX_RESIZED], const struct tap *const t[MAX_RESIZED], char *to)
{
    const int corners = 1 << j->resized;
    if (j->resized == 2 && j->in.type == PI_F32) { blend_plane(at, j->n, t[0], t[1], (float *)to); return; }
    for (size_t k = 0; k < j->n; k++) {
        float v[1 << MAX_RESIZED] = { 0 };
        for (int c = 0; c < corners; c++)
            v[c] = j->in.type == PI_F32 ? ((const float *)at[c])[k] : (float)((const uint8_t *)at[c])[k];
        const float x = blended(j, v, t);
        if (j->out.type == PI_F32) ((float *)to)[k] = x;
        else ((uint8_t *)to)[k] = narrowed(j, x);
    }
}

static void nearest(const struct job *j, const char *from, char *to)
{
    if (j->same) { memcpy(to, from, j->n * j->size); return; }
    for (size_t k = 0; k < j->n; k++) to[k] = (char)narrowed(j, (float)((const uint8_t *)from)[k]);
}

/* One run of the inner dimension at output place u. */
static void place(const struct job *j, size_t u)
{
    const struct tap *t[PI_MAX_RANK] = { NULL }, *resized[MAX_RESIZED] = { NULL };
    int64_t from = 0, to = 0;
    for (int d = j->out.rank - 1; d >= 0; d--) {
        if (d == j->inner) continue;
        const int64_t o = (int64_t)(u % (size_t)j->out.dims[d]);
        u /= (size_t)j->out.dims[d];
        to += o * j->out.stride[d];
        t[d] = j->taps[d] ? &j->taps[d][o] : NULL;
        if (!t[d]) from += o * j->in.stride[d];
        else if (!j->linear) from += t[d]->i0 * j->in.stride[d];
    }
    const char *at[1 << MAX_RESIZED] = { NULL };
    char *c = (char *)j->out.data + to * (int64_t)j->size;
    for (int corner = 0; corner < 1 << j->resized; corner++) {
        int64_t offset = from;
        for (int level = 0; level < j->resized; level++) {
            const int d = j->which[level], second = corner >> (j->resized - 1 - level) & 1;
            resized[level] = t[d];
            offset += (second ? t[d]->i1 : t[d]->i0) * j->in.stride[d];
        }
        at[corner] = (const char *)j->in.data + offset * (int64_t)j->size;
    }
    if (j->linear) blend(j, at, resized, c);
    else nearest(j, at[0], c);
}

static void span(void *arg, size_t begin, size_t end, size_t which)
{
    (void)which;
    for (size_t u = begin; u < end; u++) place(arg, u);
}

static void find_inner(struct job *j)
{
    j->inner = -1;
    j->n = 1;
    for (int d = 0; d < j->out.rank; d++) {
        if (j->taps[d] || j->out.dims[d] <= 1 || j->out.stride[d] != 1 || j->in.stride[d] != 1) continue;
        j->inner = d;
        j->n = (size_t)j->out.dims[d];
    }
}

static void run(const struct pi_call *c)
{
    const struct resize *r = c->node->params;
    struct job j = { .linear = r->linear, .in = *c->in[0], .out = *c->out[0], .size = pi_type_size(c->in[0]->type) };
    struct tap *taps = c->workspace;
    struct spec s;
    resolve(c->node, c->in, &s);
    for (int d = 0; d < j.in.rank; d++) {
        if (!is_resized(&s, &j.in, d)) continue;
        fill_taps(r, s.scale[d], j.in.dims[d], j.out.dims[d], taps);
        j.taps[d] = taps;
        taps += j.out.dims[d];
        if (j.linear) j.which[j.resized++] = d;
    }
    find_inner(&j);
    j.same = !j.in.quantized || (j.in.scale == j.out.scale && j.in.zp == j.out.zp);
    if (j.in.quantized) j.p = (float)((double)j.in.scale / (double)j.out.scale);
    j.lo = (float)(0 - j.out.zp);
    j.hi = (float)(255 - j.out.zp);
    const size_t elements = (size_t)pi_elements(&j.out);
    if (elements > 0) pi_span(c->ctx, elements / j.n, elements << j.resized, span, &j);
}

#define DEFINE(symbol, onnx, from, to, least, most, checker)                                                            \
    const struct pi_opdef pi_op_##symbol = {                                                                            \
        .name = onnx, .since = from, .until = to, .min_in = least, .max_in = most, .min_out = 1, .max_out = 1,          \
        .flags = PI_OP_SPATIAL, .forms = PI_BIT(PI_U8), .params_bytes = sizeof(struct resize), .check = checker,        \
        .infer = infer, .workspace = workspace, .run = run                                                              \
    };
DEFINE(Upsample_attr, "Upsample", 7, 8, 1, 1, check_upsample_attr)
DEFINE(Upsample, "Upsample", 9, 9, 2, 2, check_upsample)
DEFINE(Resize_10, "Resize", 10, 10, 2, 2, check_10)
DEFINE(Resize, "Resize", 11, 0, 1, 4, check)
