/* Fusion: what the numbers of a plan are computed from. A function of the graph alone, so that every machine, recipe and
 * thread count computes the same operations in the same order. */
#include <math.h>
#include <string.h>
#include "plan.h"

static int is(const struct pi_node *n, const char *op) { return strcmp(n->op->name, op) == 0; }
static struct pi_tensor *constant(precinfer_graph *g, int v)
{
    return v >= 0 && g->values[v].t.data ? &g->values[v].t : NULL;
}
static struct pi_tensor *constant_f32(precinfer_graph *g, int v)
{
    struct pi_tensor *t = constant(g, v);
    return t && t->type == PI_F32 && pi_is_row_major(t) ? t : NULL;
}

/* The node that produces v, when v has no other use than `by` and the node can take work into its epilogue. */
static struct pi_node *sole_producer(precinfer_graph *g, int v)
{
    if (v < 0 || g->values[v].producer < 0 || g->values[v].is_output) return NULL;
    struct pi_node *p = &g->nodes[g->values[v].producer];
    int node; size_t slot;
    return !p->dead && p->nout == 1 && pi_graph_uses(g, v, &node, &slot) == 1 ? p : NULL;
}

/* `p` takes over what `n` did: n's output becomes p's, and p moves to n's place in the order, where all that it may now
 * read has been computed. */
static int take_over(precinfer_graph *g, struct pi_node *p, struct pi_node *n, struct precinfer_error *err)
{
    const char *old = p->fused.names ? p->fused.names : "";
    const size_t lo = strlen(old), ln = strlen(n->name);
    char *names = pi_arena_new(&g->arena, lo + ln + 2, 1);
    if (!names) return pi_no_memory(err, lo + ln + 2);
    memcpy(names, old, lo);
    if (lo) names[lo] = ',';
    memcpy(names + lo + (lo > 0), n->name, ln + 1);
    int *out = pi_arena_new(&g->arena, 1, sizeof *out);
    if (!out) return pi_no_memory(err, sizeof *out);
    *out = n->out[0];
    g->values[p->out[0]].producer = -1;             /* the value in between is gone */
    struct pi_node moved = *p;
    moved.fused.names = names;
    moved.out = out;
    p->dead = 1;
    *n = moved;
    g->values[*out].producer = (int)(n - g->nodes);
    return 0;
}

/* A new f32 constant like `like` (NULL: a vector of n), named after the node. */
static int new_constant(precinfer_graph *g, const struct pi_node *n, const char *what, const struct pi_tensor *like, size_t count,
                        const float *data, int *value, struct precinfer_error *err)
{
    char name[256];
    struct pi_tensor t;
    memset(&t, 0, sizeof t);
    if (like) t = *like;
    else { t.type = PI_F32; t.rank = 1; t.dims[0] = (int64_t)count; pi_row_major(&t); }
    t.data = (void *)(uintptr_t)data;
    size_t at = 0;
    for (const char *s = n->name; *s && at < 200; s++) name[at++] = *s;
    for (const char *s = what; *s && at < 255; s++) name[at++] = *s;
    name[at] = 0;
    while (pi_graph_find_value(g, name) >= 0 && at < 255) { name[at++] = '\''; name[at] = 0; }
    return pi_graph_add_constant(g, name, &t, 1, value, err);
}

/* Room for a third input, the bias. */
static int give_bias(precinfer_graph *g, struct pi_node *n, int value, struct precinfer_error *err)
{
    if (n->nin < 3) {
        int *in = pi_arena_new(&g->arena, 3, sizeof *in);
        if (!in) return pi_no_memory(err, 3 * sizeof *in);
        in[0] = n->in[0]; in[1] = n->in[1]; in[2] = -1;
        n->in = in; n->nin = 3;
    }
    n->in[2] = value;
    return 0;
}

static int plain(const struct pi_node *n) { return !n->fused.has_act && !n->fused.has_res && !n->fused.has_clamp; }
/* Conv, ConvTranspose or Gemm with constant f32 weights and a constant vector bias or none. */
static int foldable(precinfer_graph *g, const struct pi_node *n)
{
    if (!(n->op->flags & PI_OP_EPILOGUE) || is(n, "MatMul") || !plain(n) || !constant_f32(g, n->in[1])) return 0;
    if (is(n, "Gemm")) {        /* y = alpha*A*B + beta*C: only the plain form */
        float alpha, beta;
        if (pi_attr_float(n, "alpha", 1, &alpha, NULL) || pi_attr_float(n, "beta", 1, &beta, NULL)) return 0;
        if (alpha != 1.0f || beta != 1.0f) return 0;
    }
    if (n->nin < 3 || n->in[2] < 0) return 1;
    const struct pi_tensor *b = constant_f32(g, n->in[2]);
    return b && (size_t)pi_elements(b) == pi_weight_channels(g, n);
}

/* y = (conv - mean) * scale / sqrt(var + eps) + shift, in double, each weight and bias rounded once. */
static int fold_batchnorm(precinfer_graph *g, struct pi_node *p, struct pi_node *bn, int *done, struct precinfer_error *err)
{
    const struct pi_tensor *scale = constant_f32(g, bn->in[1]), *shift = constant_f32(g, bn->in[2]);
    const struct pi_tensor *mean = constant_f32(g, bn->in[3]), *var = constant_f32(g, bn->in[4]);
    const size_t n = pi_weight_channels(g, p);
    if (!scale || !shift || !mean || !var || (size_t)pi_elements(scale) != n) return 0;
    float eps;
    PI_TRY(pi_attr_float(bn, "epsilon", 1e-5f, &eps, err));
    const struct pi_tensor *w = constant_f32(g, p->in[1]), *b = p->nin > 2 ? constant_f32(g, p->in[2]) : NULL;
    const size_t count = (size_t)pi_elements(w);
    float *fw = pi_arena_big(&g->arena, count * sizeof *fw), *fb = pi_arena_big(&g->arena, n * sizeof *fb);
    double *a = pi_malloc(&g->ctx->alloc, n * sizeof *a);
    if (!fw || !fb || !a) { pi_free(&g->ctx->alloc, a); return pi_no_memory(err, count * sizeof *fw); }
    const float *s = scale->data, *t = shift->data, *m = mean->data, *v = var->data;
    int bad = 0;
    for (size_t j = 0; j < n; j++) {
        const double d = sqrt((double)v[j] + (double)eps);
        a[j] = (double)s[j] / d;
        fb[j] = (float)(((b ? (double)((const float *)b->data)[j] : 0.0) - (double)m[j]) * a[j] + (double)t[j]);
        bad |= !(d > 0) || !(a[j] - a[j] == 0) || !(fb[j] - fb[j] == 0);
    }
    const struct pi_weight_layout l = pi_layout_of(g, p);
    for (size_t i = 0; i < count; i++) fw[i] = (float)((double)((const float *)w->data)[i] * a[pi_layout_channel(&l, i)]);
    pi_free(&g->ctx->alloc, a);
    if (bad) return pi_node_fail(bn, err, PRECINFER_UNSUPPORTED, "a scale, variance or shift is not finite or the variance not positive");
    int vw, vb;
    PI_TRY(new_constant(g, p, "/folded_weights", w, 0, fw, &vw, err));
    PI_TRY(new_constant(g, p, "/folded_bias", NULL, n, fb, &vb, err));
    p->in[1] = vw;
    PI_TRY(give_bias(g, p, vb, err));
    *done = 1;
    return take_over(g, p, bn, err);
}

/* Is c one number a channel of a value with these dims, channels on `axis`? Broadcast dims are 1. */
static int per_channel(const struct pi_tensor *c, const struct pi_tensor *v, int axis, size_t n)
{
    if ((size_t)pi_elements(c) != n || c->rank > v->rank) return 0;
    for (int i = 0; i < c->rank; i++) {
        const int at = i + v->rank - c->rank;
        if (c->dims[i] != (at == axis ? (int64_t)n : 1)) return 0;
    }
    return c->rank > 0 && axis >= v->rank - c->rank;
}
/* An Add of a constant vector a channel is a bias, where the node has none. */
static int fold_bias(precinfer_graph *g, struct pi_node *add, int *done, struct precinfer_error *err)
{
    for (int side = 0; side < 2; side++) {
        struct pi_node *p = sole_producer(g, add->in[side]);
        const struct pi_tensor *c = constant_f32(g, add->in[1 - side]);
        if (!p || !c || !foldable(g, p) || (p->nin > 2 && p->in[2] >= 0)) continue;
        const struct pi_tensor *v = &g->values[p->out[0]].t;
        const size_t n = pi_weight_channels(g, p);
        if (!per_channel(c, v, is(p, "Gemm") ? v->rank - 1 : 1, n)) continue;
        int vb;
        PI_TRY(new_constant(g, p, "/bias", NULL, n, c->data, &vb, err));
        PI_TRY(give_bias(g, p, vb, err));
        *done = 1;
        return take_over(g, p, add, err);
    }
    return 0;
}

/* The bounds of Relu and of Clip with constant bounds. */
static int bounds(precinfer_graph *g, const struct pi_node *n, float *lo, float *hi)
{
    *lo = -INFINITY; *hi = INFINITY;
    if (is(n, "Relu")) { *lo = 0; return 1; }
    if (!is(n, "Clip") || g->values[n->in[0]].t.type != PI_F32) return 0;
    const struct pi_attr *a = pi_attr_find(n, "min"), *b = pi_attr_find(n, "max");
    if (a && a->type == PI_ATTR_FLOAT) *lo = a->f;
    if (b && b->type == PI_ATTR_FLOAT) *hi = b->f;
    for (size_t i = 1; i < n->nin && i < 3; i++) {
        if (n->in[i] < 0) continue;
        const struct pi_tensor *t = constant_f32(g, n->in[i]);
        if (!t || pi_elements(t) != 1) return 0;
        *(i == 1 ? lo : hi) = *(const float *)t->data;
    }
    return *lo <= *hi;          /* false for NaN too */
}
static int fuse_clip(precinfer_graph *g, struct pi_node *n, int *done, struct precinfer_error *err)
{
    float lo, hi;
    if (!n->nin || n->in[0] < 0 || !bounds(g, n, &lo, &hi)) return 0;
    struct pi_node *p = sole_producer(g, n->in[0]);
    if (!p || !(p->op->flags & PI_OP_EPILOGUE) || p->fused.has_clamp) return 0;
    if (p->fused.has_res) { p->fused.has_clamp = 1; p->fused.lo = lo; p->fused.hi = hi; }
    else if (!p->fused.has_act) { p->fused.has_act = 1; p->fused.act_lo = lo; p->fused.act_hi = hi; }
    else return 0;
    *done = 1;
    return take_over(g, p, n, err);
}

/* A residual: the Add's other operand has the output's own dims (equal symbols count), so that no broadcast is hidden. */
static int fuse_residual(precinfer_graph *g, struct pi_node *add, int *done, struct precinfer_error *err)
{
    if (add->nin != 2 || add->in[0] == add->in[1]) return 0;
    const struct pi_tensor *x = &g->values[add->in[0]].t, *y = &g->values[add->in[1]].t;
    if (!pi_same_dims(x, y) || x->type != PI_F32 || x->data || y->data) return 0;
    struct pi_node *best = NULL;
    int res = -1;
    for (int side = 0; side < 2; side++) {
        struct pi_node *p = sole_producer(g, add->in[side]);
        if (!p || !(p->op->flags & PI_OP_EPILOGUE) || p->fused.has_res || p->fused.has_clamp) continue;
        if (!pi_has_weights(g, p) || (best && p < best)) continue;      /* the later one: the other is there already */
        best = p; res = add->in[1 - side];
    }
    if (!best) return 0;
    best->fused.has_res = 1;
    best->fused.res = res;
    *done = 1;
    return take_over(g, best, add, err);
}

/* A 2-D MatMul with constant weights is a Gemm, which can take a bias. */
static int matmul_to_gemm(precinfer_graph *g, struct pi_node *n, struct precinfer_error *err)
{
    if (g->values[n->in[0]].t.rank != 2 || g->values[n->in[1]].t.rank != 2 || !constant_f32(g, n->in[1])) return 0;
    const struct pi_opdef *gemm = pi_opdef_find("Gemm", 13, NULL);
    if (!gemm) return 0;
    n->op = gemm;
    n->opset = 13;
    n->params = gemm->params_bytes ? pi_arena_new(&g->arena, 1, gemm->params_bytes) : NULL;
    if (gemm->params_bytes && !n->params) return pi_no_memory(err, gemm->params_bytes);
    return gemm->check ? gemm->check(g, n, err) : 0;
}

/* Flatten, or a Reshape to two dimensions, of an image (n, c, spatial...): when a Gemm with constant weights is its only
 * user, the image is taken as it lies, channels last, and the rows of the weights are permuted to match. */
static int flatten_last(precinfer_graph *g, struct pi_node *gemm, struct precinfer_error *err)
{
    struct pi_node *f = sole_producer(g, gemm->in[0]);
    const struct pi_tensor *w = constant_f32(g, gemm->in[1]);
    if (!f || !w || !(is(f, "Flatten") || is(f, "Reshape")) || !is(gemm, "Gemm")) return 0;
    const struct pi_tensor *x = &g->values[f->in[0]].t, *y = &g->values[f->out[0]].t;
    int64_t trans_a, trans_b, axis;
    PI_TRY(pi_attr_int(gemm, "transA", 0, &trans_a, err));
    PI_TRY(pi_attr_int(gemm, "transB", 0, &trans_b, err));
    PI_TRY(pi_attr_int(f, "axis", 1, &axis, err));
    const size_t k = (size_t)w->dims[trans_b ? 1 : 0], n = (size_t)w->dims[trans_b ? 0 : 1];
    const struct pi_node *p = g->values[f->in[0]].producer < 0 ? NULL : &g->nodes[g->values[f->in[0]].producer];
    if (trans_a || x->rank < 3 || y->rank != 2 || x->dims[1] <= 0 || y->dims[1] != (int64_t)k || !p) return 0;
    if ((is(f, "Flatten") && axis != 1) || k % (size_t)x->dims[1]) return 0;
    /* a Reshape must keep the batch: the rest of the image must be exactly k */
    int64_t rest = x->dims[1];
    for (int i = 2; i < x->rank; i++) rest = x->dims[i] < 0 || rest < 0 ? -1 : rest * x->dims[i];
    if (rest != (int64_t)k && !(rest < 0 && is(f, "Flatten"))) return 0;
    const size_t c = (size_t)x->dims[1], space = k / c;
    if (space == 1) return 0;                           /* both orders are the same */
    const struct pi_opdef *last = pi_opdef_find("FlattenLast", PI_OPSET_INTERNAL, NULL);
    if (!last) return 0;
    const float *from = w->data;
    float *to = pi_arena_big(&g->arena, k * n * sizeof *to);
    if (!to) return pi_no_memory(err, k * n * sizeof *to);
    for (size_t i = 0; i < k; i++) {                    /* row i = (channel, point) becomes (point, channel) */
        const size_t j = i % space * c + i / space;
        for (size_t q = 0; q < n; q++)
            to[trans_b ? q * k + j : j * n + q] = from[trans_b ? q * k + i : i * n + q];
    }
    PI_TRY(new_constant(g, gemm, "/permuted_weights", w, 0, to, &gemm->in[1], err));
    f->op = last;
    f->opset = PI_OPSET_INTERNAL;
    f->nin = 1;
    f->nattr = 0;
    return 0;
}

int pi_fuse(precinfer_graph *g, struct precinfer_error *err)
{
    for (size_t i = 0; i < g->nnodes; i++)
        if (!g->nodes[i].dead && is(&g->nodes[i], "MatMul")) PI_TRY(matmul_to_gemm(g, &g->nodes[i], err));
    /* One pass in order suffices: a node takes over its consumer and stands where the consumer stood. */
    for (size_t i = 0; i < g->nnodes; i++) {
        struct pi_node *n = &g->nodes[i];
        int done = 0;
        if (n->dead) continue;
        if (is(n, "BatchNormalization")) {
            struct pi_node *p = sole_producer(g, n->in[0]);
            if (p && foldable(g, p)) PI_TRY(fold_batchnorm(g, p, n, &done, err));
        } else if (is(n, "Add")) {
            PI_TRY(fold_bias(g, n, &done, err));
            if (!done) PI_TRY(fuse_residual(g, n, &done, err));
        } else
            PI_TRY(fuse_clip(g, n, &done, err));
    }
    for (size_t i = 0; i < g->nnodes; i++)
        if (!g->nodes[i].dead && is(&g->nodes[i], "Gemm")) PI_TRY(flatten_last(g, &g->nodes[i], err));
    return 0;
}
