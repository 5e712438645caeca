/* Attributes and shapes of Conv and ConvTranspose. */
#include <string.h>
#include "conv.h"

/* ---------------------------------------------------------------- attributes */

static int read_list(struct pi_node *n, const char *name, size_t axes_each, int64_t least, int64_t *to, uint8_t *count,
                     struct precinfer_error *err)
{
    const int64_t *v; size_t have;
    PI_TRY(pi_attr_ints(n, name, &v, &have, err));
    if (!v) return 0;
    if (have != axes_each && have != 2 * axes_each)
        return pi_node_fail(n, err, PRECINFER_UNSUPPORTED,
                            "%s has %zu values; one- and two-dimensional convolutions are covered", name, have);
    for (size_t i = 0; i < have; i++) {
        if (v[i] < least || v[i] > INT32_MAX)
            return pi_node_fail(n, err, PRECINFER_INVALID, "%s[%zu] is %lld", name, i, (long long)v[i]);
        to[i] = v[i];
    }
    *count = (uint8_t)(have / axes_each);
    return 0;
}

static int read_auto_pad(struct pi_node *n, uint8_t *mode, struct precinfer_error *err)
{
    static const char *const names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
    const char *s;
    PI_TRY(pi_attr_string(n, "auto_pad", "NOTSET", &s, err));
    for (uint8_t i = 0; i < 4; i++)
        if (!strcmp(s, names[i])) { *mode = i; return 0; }
    return pi_node_fail(n, err, PRECINFER_INVALID, "auto_pad '%s' is not NOTSET, SAME_UPPER, SAME_LOWER or VALID", s);
}

int pi_conv_check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    struct pi_conv_attrs *const a = n->params;
    PI_TRY(read_auto_pad(n, &a->auto_pad, err));
    PI_TRY(read_list(n, "kernel_shape", 1, 1, a->kernel, &a->nkernel, err));
    PI_TRY(read_list(n, "strides", 1, 1, a->stride, &a->nstride, err));
    PI_TRY(read_list(n, "dilations", 1, 1, a->dilation, &a->ndilation, err));
    PI_TRY(read_list(n, "pads", 2, 0, a->pad, &a->npad, err));
    PI_TRY(pi_attr_int(n, "group", 1, &a->group, err));
    if (a->group < 1 || a->group > INT32_MAX)
        return pi_node_fail(n, err, PRECINFER_INVALID, "group is %lld", (long long)a->group);
    return 0;
}

int pi_conv_transposed_check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    struct pi_conv_attrs *const a = n->params;
    PI_TRY(pi_conv_check(g, n, err));
    PI_TRY(read_list(n, "output_padding", 1, 0, a->out_pad, &a->nout_pad, err));
    return read_list(n, "output_shape", 1, 1, a->out_shape, &a->nout_shape, err);
}

static int transposed(const struct pi_node *n) { return n->op->name[4] == 'T'; }    /* Conv, ConvTranspose */

static int counts_match(const struct pi_node *n, int axes, struct precinfer_error *err)
{
    const struct pi_conv_attrs *const a = n->params;
    const struct { const char *name; uint8_t count; } lists[] = {
        { "kernel_shape", a->nkernel }, { "strides", a->nstride }, { "dilations", a->ndilation }, { "pads", a->npad },
        { "output_padding", a->nout_pad }, { "output_shape", a->nout_shape } };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i].count && lists[i].count != axes)
            return pi_node_fail(n, err, PRECINFER_INVALID, "%s is for %d spatial axes, the input has %d", lists[i].name,
                                (int)lists[i].count, axes);
    return 0;
}

/* ---------------------------------------------------------------- one spatial axis */

struct axis { int64_t in, out, k, stride, dilation, before, after; };

/* Padding before and after, and the output's size; in < 0 (open): out stays < 0 and SAME padding is not known. */
static void forward_axis(uint8_t mode, struct axis *x)
{
    const int64_t reach = x->dilation * (x->k - 1) + 1;
    if (mode == PI_AUTO_VALID) x->before = x->after = 0;
    if (x->in < 0) return;
    if (mode == PI_AUTO_SAME_UPPER || mode == PI_AUTO_SAME_LOWER) {
        const int64_t out = (x->in + x->stride - 1) / x->stride;
        const int64_t need = (out - 1) * x->stride + reach - x->in, all = need > 0 ? need : 0;
        x->before = mode == PI_AUTO_SAME_LOWER ? all - all / 2 : all / 2;
        x->after = all - x->before;
    }
    const int64_t room = x->in + x->before + x->after - reach;
    x->out = room < 0 ? 0 : room / x->stride + 1;
}

/* output_shape and SAME give the output's size, and the padding follows from it (ONNX's equations). */
static void transposed_axis(uint8_t mode, int64_t out_pad, int64_t out_shape, struct axis *x)
{
    if (mode == PI_AUTO_VALID) x->before = x->after = 0;
    if (x->in < 0) { x->out = out_shape > 0 ? out_shape : -1; return; }
    const int same = mode == PI_AUTO_SAME_UPPER || mode == PI_AUTO_SAME_LOWER;
    const int64_t whole = x->stride * (x->in - 1) + out_pad + x->dilation * (x->k - 1) + 1;
    if (!same && out_shape <= 0) {
        x->out = whole - x->before - x->after;
        if (x->out < 0) x->out = 0;
        return;
    }
    x->out = out_shape > 0 ? out_shape : x->in * x->stride;
    const int64_t all = whole > x->out ? whole - x->out : 0;
    x->before = mode == PI_AUTO_SAME_UPPER ? all / 2 : all - all / 2;
    x->after = all - x->before;
}

/* Axis d of the node's spatial axes, from sizes of input and weights (either may be open). */
static struct axis make_axis(const struct pi_node *n, const struct pi_tensor *x, const struct pi_tensor *w, int d)
{
    const struct pi_conv_attrs *const a = n->params;
    const int axes = x->rank - 2;
    struct axis r = { .in = x->dims[2 + d], .out = -1, .k = w->dims[2 + d], .stride = a->nstride ? a->stride[d] : 1,
                      .dilation = a->ndilation ? a->dilation[d] : 1, .before = a->npad ? a->pad[d] : 0,
                      .after = a->npad ? a->pad[axes + d] : 0 };
    if (r.k < 0 && a->nkernel) r.k = a->kernel[d];
    if (r.k < 0) return r;
    if (transposed(n))
        transposed_axis(a->auto_pad, a->nout_pad ? a->out_pad[d] : 0, a->nout_shape ? a->out_shape[d] : 0, &r);
    else
        forward_axis(a->auto_pad, &r);
    return r;
}

/* Stride 1 and as much padding as the kernel takes away: an open size keeps its name. */
static int keeps_size(const struct pi_conv_attrs *a, const struct axis *x, int is_transposed)
{
    if (x->k < 0 || x->stride != 1) return 0;
    if (a->auto_pad == PI_AUTO_SAME_UPPER || a->auto_pad == PI_AUTO_SAME_LOWER) return 1;
    return x->before + x->after == x->dilation * (x->k - 1) && !(is_transposed && (a->nout_pad || a->nout_shape));
}

/* ---------------------------------------------------------------- inference */

static int check_channels(const struct pi_node *n, const struct pi_tensor *x, const struct pi_tensor *w,
                          struct precinfer_error *err)
{
    const struct pi_conv_attrs *const a = n->params;
    const int64_t c = x->dims[1], first = w->dims[0], second = w->dims[1];
    if (first == 0 || second == 0 || c == 0)
        return pi_node_fail(n, err, PRECINFER_INVALID, "an input or weight has no channels");
    if (c > 0 && c % a->group)
        return pi_node_fail(n, err, PRECINFER_INVALID, "group %lld does not divide %lld input channels", (long long)a->group,
                            (long long)c);
    if (transposed(n)) {
        if (c > 0 && first > 0 && first != c)
            return pi_node_fail(n, err, PRECINFER_INVALID, "weights for %lld input channels, the input has %lld",
                                (long long)first, (long long)c);
        return 0;
    }
    if (first > 0 && first % a->group)
        return pi_node_fail(n, err, PRECINFER_INVALID, "group %lld does not divide %lld output channels", (long long)a->group,
                            (long long)first);
    if (c > 0 && second > 0 && second * a->group != c)
        return pi_node_fail(n, err, PRECINFER_INVALID,
                            "weights for %lld input channels in each of %lld groups, the input has %lld",
                            (long long)second, (long long)a->group, (long long)c);
    return 0;
}

static int check_bias(const struct pi_infer *i, int64_t o)
{
    if (i->node->nin < 3 || !i->in[2]) return 0;
    const struct pi_tensor *const b = i->in[2];
    if (b->type != PI_F32 || b->rank != 1 || (o > 0 && b->dims[0] >= 0 && b->dims[0] != o))
        return pi_node_fail(i->node, i->err, PRECINFER_INVALID, "the bias is not %lld values of float32", (long long)o);
    return 0;
}

static int check_sizes(const struct pi_infer *i)
{
    struct pi_conv_shape s;
    for (int d = 0; d < i->in[0]->rank; d++)
        if (i->in[0]->dims[d] < 0 || i->in[1]->dims[d] < 0) return 0;   /* asked again before a run */
    pi_conv_shape(i->node, i->in[0], i->in[1], &s);
    const char *const what = pi_conv_too_big(&s);
    return what ? pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "%s", what) : 0;
}

int pi_conv_infer(const struct pi_infer *i)
{
    const struct pi_node *const n = i->node;
    const struct pi_conv_attrs *const a = n->params;
    const struct pi_tensor *const x = i->in[0], *const w = i->in[1];
    struct pi_tensor *const y = &i->out[0];
    if (x->rank < 3 || x->rank > 4)
        return pi_node_fail(n, i->err, PRECINFER_UNSUPPORTED, "the input has %d dimensions, 3 or 4 are covered", x->rank);
    if (w->rank != x->rank)
        return pi_node_fail(n, i->err, PRECINFER_INVALID, "the input has %d dimensions, the weights have %d", x->rank, w->rank);
    PI_TRY(counts_match(n, x->rank - 2, i->err));
    PI_TRY(check_channels(n, x, w, i->err));
    y->type = x->type;
    y->rank = x->rank;
    y->dims[0] = x->dims[0];
    y->dims[1] = transposed(n) ? (w->dims[1] < 0 ? w->dims[1] : w->dims[1] * a->group) : w->dims[0];
    if (transposed(n) && w->dims[1] < 0 && a->group > 1) y->dims[1] = pi_infer_open(i);
    PI_TRY(check_bias(i, y->dims[1]));
    for (int d = 0; d < x->rank - 2; d++) {
        const struct axis axis = make_axis(n, x, w, d);
        if (w->dims[2 + d] >= 0 && a->nkernel && a->kernel[d] != w->dims[2 + d])
            return pi_node_fail(n, i->err, PRECINFER_INVALID, "kernel_shape[%d] is %lld, the weights have %lld", d,
                                (long long)a->kernel[d], (long long)w->dims[2 + d]);
        if (axis.k == 0 || axis.in == 0)
            return pi_node_fail(n, i->err, PRECINFER_INVALID, "spatial axis %d: input %lld, kernel %lld", d, (long long)axis.in,
                                (long long)axis.k);
        if (axis.out == 0)
            return pi_node_fail(n, i->err, PRECINFER_INVALID,
                                "spatial axis %d: a kernel of %lld, dilation %lld does not fit %lld with padding %lld and %lld",
                                d, (long long)axis.k, (long long)axis.dilation, (long long)axis.in, (long long)axis.before,
                                (long long)axis.after);
        y->dims[2 + d] = axis.out > 0 ? axis.out : keeps_size(a, &axis, transposed(n)) ? axis.in : pi_infer_open(i);
    }
    return check_sizes(i);
}

/* ---------------------------------------------------------------- sizes */

enum { GUESS = 28, GUESS_CHANNELS = 64 };       /* for sizes that are open: they choose kernels, never bits */

void pi_conv_shape(const struct pi_node *n, const struct pi_tensor *x, const struct pi_tensor *w, struct pi_conv_shape *s)
{
    const struct pi_conv_attrs *const a = n->params;
    const int axes = x->rank - 2;
    struct pi_tensor xs = *x, ws = *w;
    for (int d = 0; d < x->rank; d++) {
        if (xs.dims[d] < 0) xs.dims[d] = d == 0 ? 1 : d == 1 ? GUESS_CHANNELS * a->group : GUESS;
        if (ws.dims[d] < 0) ws.dims[d] = d > 1 ? 1 : d == 0 ? GUESS_CHANNELS * a->group : GUESS_CHANNELS;
    }
    struct axis v = { 1, 1, 1, 1, 1, 0, 0 };
    if (axes == 2) v = make_axis(n, &xs, &ws, 0);
    const struct axis h = make_axis(n, &xs, &ws, axes - 1);
    *s = (struct pi_conv_shape){
        .n = (size_t)xs.dims[0], .h = (size_t)v.in, .w = (size_t)h.in, .c = (size_t)xs.dims[1], .kh = (size_t)v.k,
        .kw = (size_t)h.k,
        .o = (size_t)(transposed(n) ? ws.dims[1] * a->group : ws.dims[0]), .groups = (size_t)a->group, .oh = (size_t)v.out,
        .ow = (size_t)h.out, .sh = (size_t)v.stride, .sw = (size_t)h.stride, .dh = (size_t)v.dilation, .dw = (size_t)h.dilation,
        .pt = (size_t)v.before, .pl = (size_t)h.before, .pb = (size_t)v.after, .pr = (size_t)h.after,
        .transposed = transposed(n) };
}

struct pi_conv_strides pi_conv_onnx_strides(const struct pi_conv_shape *s)
{
    const ptrdiff_t taps = (ptrdiff_t)(s->kh * s->kw), in = (ptrdiff_t)(s->c / s->groups), out = (ptrdiff_t)(s->o / s->groups);
    if (s->transposed)                  /* C, O / groups, kh, kw */
        return (struct pi_conv_strides){ .group = in * out * taps, .out = taps, .tap = 1, .in = out * taps };
    return (struct pi_conv_strides){ .group = in * out * taps, .out = in * taps, .tap = 1, .in = taps };
}

/* a * b * c * d * 4 bytes fit a 32-bit offset? */
static int fits(double a, double b, double c, double d) { return a * b * c * d * 4 < (double)INT32_MAX; }

const char *pi_conv_too_big(const struct pi_conv_shape *s)
{
    if ((double)s->kh * (double)s->kw > UINT16_MAX) return "a kernel of more than 65535 taps";
    if (!fits((double)(s->h + s->pt + s->pb), (double)(s->w + s->pl + s->pr), (double)s->c, 1))
        return "one input image is larger than 2 GiB";
    if (!fits((double)s->oh, (double)s->ow, (double)s->o, 1)) return "one output image is larger than 2 GiB";
    if (!fits((double)s->o, (double)s->c / (double)s->groups, (double)s->kh, (double)s->kw))
        return "the weights are larger than 2 GiB";
    if (!fits((double)s->oh, (double)s->ow, (double)s->kh, (double)s->kw)) return "output pixels times kernel taps exceed 2^29";
    return NULL;
}
