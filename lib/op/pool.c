/* MaxPool and AveragePool over windows, GlobalMaxPool and GlobalAveragePool over all pixels: channels-last, so that a pixel
 * is a run of channels and a window a list of pointers. */
#include <string.h>
#include "chain.h"
#include "infer.h"
#include "walk.h"

enum { MAX_SPATIAL = 3, LARGEST = 1 << 24 };
enum auto_pad { NOTSET, SAME_UPPER, SAME_LOWER, VALID };
struct pool {
    enum pi_pool_op op;
    enum auto_pad auto_pad;
    int ceil_mode, include_pad, spatial;
    int64_t kernel[MAX_SPATIAL], stride[MAX_SPATIAL], dilation[MAX_SPATIAL], before[MAX_SPATIAL], after[MAX_SPATIAL];
};

/* ---------------------------------------------------------------- attributes */

static int per_axis(const struct pi_node *n, const char *name, int spatial, int64_t least, int64_t *v,
                    struct precinfer_error *err)
{
    struct pi_ints ints;
    PI_TRY(pi_ints_of_attr(n, name, &ints, err));
    for (int d = 0; d < spatial; d++) v[d] = 1;
    if (!ints.present || ints.n == 0) return 0;
    if (ints.n != (size_t)spatial)
        return pi_node_fail(n, err, PRECINFER_MALFORMED, "%s has %zu entries, kernel_shape %d", name, ints.n, spatial);
    for (int d = 0; d < spatial; d++) {
        v[d] = ints.v[d];
        if (v[d] < least || v[d] > LARGEST)
            return pi_node_fail(n, err, PRECINFER_MALFORMED, "%s has %lld at %d", name, (long long)v[d], d);
    }
    return 0;
}

static int check_padding(const struct pi_node *n, struct pool *p, struct precinfer_error *err)
{
    static const char *const names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
    struct pi_ints pads;
    const char *mode;
    int m = NOTSET;
    PI_TRY(pi_attr_string(n, "auto_pad", "NOTSET", &mode, err));
    while (m <= VALID && strcmp(mode, names[m])) m++;
    if (m > VALID) return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "auto_pad '%s'", mode);
    p->auto_pad = (enum auto_pad)m;
    PI_TRY(pi_ints_of_attr(n, "pads", &pads, err));
    if (p->auto_pad != NOTSET || pads.n == 0) return 0;
    if (pads.n != 2 * (size_t)p->spatial)
        return pi_node_fail(n, err, PRECINFER_MALFORMED, "%zu pads for a kernel of %d dimensions", pads.n, p->spatial);
    for (int d = 0; d < p->spatial; d++) {
        p->before[d] = pads.v[d];
        p->after[d] = pads.v[d + p->spatial];
        const int64_t most = (p->kernel[d] - 1) * p->dilation[d];
        if (p->before[d] < 0 || p->after[d] < 0 || p->before[d] > most || p->after[d] > most)
            return pi_node_fail(n, err, PRECINFER_MALFORMED,
                                "pads %lld and %lld of dimension %d are not between 0 and %lld, inside a window",
                                (long long)p->before[d], (long long)p->after[d], d, (long long)most);
    }
    return 0;
}

static int check_pool(struct pi_node *n, enum pi_pool_op op, struct precinfer_error *err)
{
    struct pool *p = n->params;
    struct pi_ints kernel;
    int64_t flag;
    p->op = op;
    PI_TRY(pi_ints_of_attr(n, "kernel_shape", &kernel, err));
    if (kernel.n < 1 || kernel.n > MAX_SPATIAL)
        return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "kernel_shape has %zu entries, 1 to %d are supported", kernel.n,
                            (int)MAX_SPATIAL);
    p->spatial = (int)kernel.n;
    PI_TRY(per_axis(n, "kernel_shape", p->spatial, 1, p->kernel, err));
    PI_TRY(per_axis(n, "strides", p->spatial, 1, p->stride, err));
    PI_TRY(per_axis(n, "dilations", p->spatial, 1, p->dilation, err));
    PI_TRY(pi_attr_int(n, "ceil_mode", 0, &flag, err));
    p->ceil_mode = flag != 0;
    PI_TRY(pi_attr_int(n, "count_include_pad", 0, &flag, err));
    p->include_pad = flag != 0;
    return check_padding(n, p, err);
}

static int check_max(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    PI_TRY(pi_only_output(n, "Indices", err));
    return check_pool(n, PI_MAXPOOL, err);
}
static int check_average(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    (void)g;
    return check_pool(n, PI_AVGPOOL, err);
}

/* ---------------------------------------------------------------- shapes */

struct window { int64_t in, out, before, after, kernel, stride, dilation; };

static int64_t divide_up(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

/* One spatial dimension of size `in`. A last window that ceil_mode adds must begin inside the input or its left border. */
static struct window window_of(const struct pool *p, int d, int64_t in)
{
    struct window w = { in, 0, p->before[d], p->after[d], p->kernel[d], p->stride[d], p->dilation[d] };
    const int64_t reach = (w.kernel - 1) * w.dilation + 1;
    if (p->auto_pad == SAME_UPPER || p->auto_pad == SAME_LOWER) {
        w.out = divide_up(in, w.stride);
        const int64_t need = (w.out - 1) * w.stride + reach - in, pads = need > 0 ? need : 0;
        w.before = p->auto_pad == SAME_UPPER ? pads / 2 : pads - pads / 2;
        w.after = pads - w.before;
        return w;
    }
    const int64_t room = in + w.before + w.after - reach;
    if (room < 0 && !p->ceil_mode) return w;
    w.out = (p->ceil_mode ? divide_up(room, w.stride) : room / w.stride) + 1;
    if (p->ceil_mode && (w.out - 1) * w.stride >= in + w.before) w.out--;
    return w;
}

/* Taps of output position o that meet the input: [first, end); `padded`: how many do not pass the right border. */
static void taps_of(const struct window *w, int64_t o, int64_t *first, int64_t *end, int64_t *padded)
{
    const int64_t base = o * w->stride - w->before;
    const int64_t inside = divide_up(w->in - base, w->dilation), border = divide_up(w->in + w->after - base, w->dilation);
    *first = base >= 0 ? 0 : divide_up(-base, w->dilation);
    *end = inside < w->kernel ? inside : w->kernel;
    *padded = border < w->kernel ? border : w->kernel;
}

static int check_windows(const struct pi_infer *i, int d, const struct window *w)
{
    if (w->out <= 0)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "a window of %lld does not fit dimension %d of size %lld",
                            (long long)((w->kernel - 1) * w->dilation + 1), d + 2, (long long)w->in);
    for (int64_t o = 0; o < w->out; o++) {
        int64_t first, end, padded;
        taps_of(w, o, &first, &end, &padded);
        if (first >= end)
            return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "window %lld of dimension %d lies in the padding alone",
                                (long long)o, d + 2);
    }
    return 0;
}

static int infer_type(const struct pi_infer *i, enum pi_pool_op op)
{
    const enum pi_type type = i->in[0]->type;
    if (op == PI_MAXPOOL && type == PI_U8) return 0;
    if (op == PI_AVGPOOL && type == PI_BF16) return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "input 0 is bfloat16");
    return pi_infer_float(i, 0);
}

static int infer_pool(const struct pi_infer *i)
{
    const struct pool *p = i->node->params;
    struct pi_tensor *out = &i->out[0];
    PI_TRY(infer_type(i, p->op));
    if (i->in[0]->rank != p->spatial + 2)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "kernel_shape has %d entries, the input rank %d", p->spatial,
                            i->in[0]->rank);
    PI_TRY(pi_infer_like(i));
    for (int d = 0; d < p->spatial; d++) {
        const int64_t in = i->in[0]->dims[d + 2];
        if (in < 0) { out->dims[d + 2] = pi_infer_open(i); continue; }
        const struct window w = window_of(p, d, in);
        PI_TRY(check_windows(i, d, &w));
        out->dims[d + 2] = w.out;
    }
    return 0;
}

/* ---------------------------------------------------------------- run */

struct job {
    const struct pool *p;
    pi_pool_fn *fn; struct pi_pool proto;
    struct window w[MAX_SPATIAL];               /* missing dimensions are 1, in front                           */
    const char *in; char *out;
    ptrdiff_t step_in[MAX_SPATIAL + 1], step_out[MAX_SPATIAL + 1];  /* bytes: image, then spatial               */
    size_t taps, block, slot_bytes;             /* of a window at most; pixels a call                           */
    char *workspace;
};

static void lay_out(struct job *j, const struct pi_tensor *in, const struct pi_tensor *out, const struct pool *p)
{
    static const struct window one = { 1, 1, 0, 0, 1, 1, 1 };
    const ptrdiff_t size = (ptrdiff_t)pi_type_size(in->type);
    j->p = p;
    j->taps = 1;
    j->step_in[0] = in->stride[0] * size;
    j->step_out[0] = out->stride[0] * size;
    for (int k = 0; k < MAX_SPATIAL; k++) {
        const int d = k - (MAX_SPATIAL - p->spatial);
        j->w[k] = d < 0 ? one : window_of(p, d, in->dims[d + 2]);
        j->step_in[k + 1] = d < 0 ? 0 : in->stride[d + 2] * size;
        j->step_out[k + 1] = d < 0 ? 0 : out->stride[d + 2] * size;
        j->taps *= (size_t)(j->w[k].kernel < j->w[k].in ? j->w[k].kernel : j->w[k].in);
    }
    j->block = j->taps >= 256 ? 1 : j->taps <= 8 ? 32 : 256 / j->taps;
    j->slot_bytes = pi_up(j->block * (j->taps + 1) * sizeof(void *) + 2 * j->block * sizeof(uint32_t), 64);
}

static size_t workspace(const struct pi_call *c)
{
    struct job j;
    lay_out(&j, c->in[0], c->out[0], c->node->params);
    return c->ctx->threads * j.slot_bytes;
}

/* The pointers of one window; returns how many. */
static size_t list_taps(const struct job *j, const char *image, const int64_t o[MAX_SPATIAL], const void **a, uint32_t *divide)
{
    int64_t first[MAX_SPATIAL], end[MAX_SPATIAL], padded[MAX_SPATIAL], t[MAX_SPATIAL];
    size_t n = 0;
    for (int k = 0; k < MAX_SPATIAL; k++) {
        taps_of(&j->w[k], o[k], &first[k], &end[k], &padded[k]);
        image += (ptrdiff_t)(o[k] * j->w[k].stride - j->w[k].before) * j->step_in[k + 1];
    }
    const ptrdiff_t s0 = (ptrdiff_t)j->w[0].dilation * j->step_in[1], s1 = (ptrdiff_t)j->w[1].dilation * j->step_in[2],
                    s2 = (ptrdiff_t)j->w[2].dilation * j->step_in[3];
    for (t[0] = first[0]; t[0] < end[0]; t[0]++)
        for (t[1] = first[1]; t[1] < end[1]; t[1]++)
            for (t[2] = first[2]; t[2] < end[2]; t[2]++) a[n++] = image + t[0] * s0 + t[1] * s1 + t[2] * s2;
    *divide = j->p->include_pad ? (uint32_t)(padded[0] * padded[1] * padded[2]) : (uint32_t)n;
    return n;
}

/* Output pixel u: its place, and its window's taps. */
static size_t pixel(const struct job *j, size_t u, const void **a, void **c, uint32_t *divide)
{
    int64_t o[MAX_SPATIAL];
    ptrdiff_t to = 0;
    for (int k = MAX_SPATIAL - 1; k >= 0; k--) {
        o[k] = (int64_t)(u % (size_t)j->w[k].out);
        u /= (size_t)j->w[k].out;
        to += (ptrdiff_t)o[k] * j->step_out[k + 1];
    }
    *c = j->out + to + (ptrdiff_t)u * j->step_out[0];
    return list_taps(j, j->in + (ptrdiff_t)u * j->step_in[0], o, a, divide);
}

static void span(void *arg, size_t begin, size_t end, size_t slot)
{
    const struct job *j = arg;
    const void **a = (const void **)(j->workspace + slot * j->slot_bytes);
    void **c = (void **)(a + j->block * j->taps);
    uint32_t *count = (uint32_t *)(c + j->block), *divide = count + j->block;
    for (size_t u = begin; u < end; ) {
        size_t m = 0, taps = 0;
        for (; m < j->block && u < end; m++, u++) {
            count[m] = (uint32_t)pixel(j, u, a + taps, &c[m], &divide[m]);
            taps += count[m];
        }
        struct pi_pool p = j->proto;
        p.m = m;
        p.a = a;
        p.c = c;
        p.count = count;
        p.divide = divide;
        j->fn(&p);
    }
}

static void run(const struct pi_call *c)
{
    const struct pi_tensor *in = c->in[0], *out = c->out[0];
    struct job j = { .in = in->data, .out = out->data, .workspace = c->workspace };
    lay_out(&j, in, out, c->node->params);
    j.fn = pi_pool_find(c->ctx, j.p->op, in->type);
    j.proto.n = (size_t)in->dims[1];
    pi_pool_scales(in, out, &j.proto);
    if (in->dims[1] == 0) return;
    const size_t pixels = (size_t)(out->dims[0] * j.w[0].out * j.w[1].out * j.w[2].out);
    pi_span(c->ctx, pixels, pixels * j.proto.n * j.taps, span, &j);
}

const struct pi_opdef pi_op_MaxPool = {
    .family = PI_POOL, .row = PI_MAXPOOL,
    .name = "MaxPool", .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 2, .flags = PI_OP_SPATIAL | PI_OP_PASS,
    .forms = PI_BIT(PI_U8) | PI_BIT(PI_BF16), .params_bytes = sizeof(struct pool), .check = check_max, .infer = infer_pool,
    .workspace = workspace, .run = run
};
const struct pi_opdef pi_op_AveragePool = {
    .family = PI_POOL, .row = PI_AVGPOOL,
    .name = "AveragePool", .since = 7, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = PI_OP_SPATIAL,
    .forms = PI_BIT(PI_U8), .params_bytes = sizeof(struct pool), .check = check_average, .infer = infer_pool,
    .workspace = workspace, .run = run
};

/* ---------------------------------------------------------------- global */

static int infer_global(const struct pi_infer *i, enum pi_pool_op op)
{
    PI_TRY(infer_type(i, op));
    if (i->in[0]->rank < 3)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "rank %d has no spatial dimension", i->in[0]->rank);
    PI_TRY(pi_infer_like(i));
    for (int d = 2; d < i->in[0]->rank; d++) {
        if (i->in[0]->dims[d] == 0) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "dimension %d is empty", d);
        i->out[0].dims[d] = 1;
    }
    return 0;
}
static int infer_global_max(const struct pi_infer *i) { return infer_global(i, PI_MAXPOOL); }
static int infer_global_average(const struct pi_infer *i) { return infer_global(i, PI_AVGPOOL); }

static size_t workspace_global(const struct pi_call *c) { return pi_chain_workspace(c->ctx, c->in[0]); }

static void run_global(const struct pi_call *c, enum pi_pool_op op)
{
    const struct pi_tensor *in = c->in[0];
    struct pi_tensor out = *c->out[0];
    struct pi_pool proto = { 0 };
    uint32_t pixels = 1;
    out.rank = 2;
    for (int d = 2; d < in->rank; d++) pixels *= (uint32_t)in->dims[d];
    pi_pool_scales(in, c->out[0], &proto);
    pi_chain(c->ctx, pi_pool_find(c->ctx, op, in->type), &proto, pixels, in, &out, c->workspace);
}
static void run_global_max(const struct pi_call *c) { run_global(c, PI_MAXPOOL); }
static void run_global_average(const struct pi_call *c) { run_global(c, PI_AVGPOOL); }

const struct pi_opdef pi_op_GlobalMaxPool = {
    .family = PI_POOL, .row = PI_MAXPOOL,
    .name = "GlobalMaxPool", .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .flags = PI_OP_SPATIAL | PI_OP_PASS,
    .forms = PI_BIT(PI_U8) | PI_BIT(PI_BF16), .infer = infer_global_max, .workspace = workspace_global, .run = run_global_max
};
const struct pi_opdef pi_op_GlobalAveragePool = {
    .family = PI_POOL, .row = PI_AVGPOOL,
    .name = "GlobalAveragePool", .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .flags = PI_OP_SPATIAL,
    .forms = PI_BIT(PI_U8), .infer = infer_global_average, .workspace = workspace_global, .run = run_global_average
};
