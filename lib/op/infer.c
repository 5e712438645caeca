#include "infer.h"

void pi_set_like(struct pi_tensor *out, const struct pi_tensor *in)
{
    out->type = in->type;
    out->quantized = in->quantized;
    out->scale = in->scale;
    out->zp = in->zp;
}

int pi_infer_like(const struct pi_infer *i)
{
    for (size_t k = 0; k < i->node->nout; k++) {
        pi_set_like(&i->out[k], i->in[0]);
        i->out[k].rank = i->in[0]->rank;
        for (int d = 0; d < i->in[0]->rank; d++) i->out[k].dims[d] = i->in[0]->dims[d];
    }
    return 0;
}

/* An open dimension meets a known one: whatever it is, the result is the known one, unless that is 1. */
static int meet(const struct pi_infer *i, int64_t a, int64_t b, int64_t *r)
{
    if (a == b || b == 1) *r = a;
    else if (a == 1) *r = b;
    else if (a >= 0 && b >= 0) return 1;
    else *r = a >= 0 ? a : b >= 0 ? b : pi_infer_open(i);
    return 0;
}

int pi_broadcast_dims(const struct pi_infer *i, const struct pi_tensor *t, struct pi_tensor *into)
{
    const struct pi_tensor old = *into;
    const int rank = t->rank > old.rank ? t->rank : old.rank;
    into->rank = rank;
    for (int d = 0; d < rank; d++) {
        const int own = d - (rank - t->rank), was = d - (rank - old.rank);
        const int64_t a = own < 0 ? 1 : t->dims[own], b = was < 0 ? 1 : old.dims[was];
        char sa[96], sb[96];
        if (meet(i, b, a, &into->dims[d]))
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "shapes %s and %s do not broadcast",
                                pi_dims_string(&old, sb, sizeof sb), pi_dims_string(t, sa, sizeof sa));
    }
    return 0;
}

int pi_infer_broadcast(const struct pi_infer *i)
{
    struct pi_tensor *out = &i->out[0];
    pi_set_like(out, i->in[0]);
    out->rank = 0;
    for (size_t k = 0; k < i->node->nin; k++) {
        if (i->in[k]->type != i->in[0]->type)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "input %zu is %s, input 0 %s", k,
                                pi_type_name(i->in[k]->type), pi_type_name(i->in[0]->type));
        PI_TRY(pi_broadcast_dims(i, i->in[k], out));
    }
    return 0;
}

int pi_infer_float(const struct pi_infer *i, size_t slot)
{
    const struct pi_tensor *t = i->in[slot];
    if (t->type == PI_F32 || t->type == PI_BF16 || (t->type == PI_U8 && t->quantized)) return 0;
    return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "input %zu is %s, float32 is what this operator computes", slot,
                        pi_type_name(t->type));
}

int pi_axis(const struct pi_node *n, int64_t axis, int extent, int *out, struct precinfer_error *err)
{
    if (axis < -extent || axis >= extent)
        return pi_node_fail(n, err, PRECINFER_MALFORMED, "axis %lld is not in [%d, %d]", (long long)axis, -extent, extent - 1);
    *out = (int)(axis < 0 ? axis + extent : axis);
    return 0;
}

int64_t pi_int_at(const struct pi_tensor *t, int64_t index)
{
    const int64_t at = t->rank > 0 ? index * t->stride[t->rank - 1] : 0;
    return t->type == PI_S32 ? ((const int32_t *)t->data)[at] : ((const int64_t *)t->data)[at];
}

float pi_float_at(const struct pi_tensor *t, int64_t index)
{
    return ((const float *)t->data)[t->rank > 0 ? index * t->stride[t->rank - 1] : 0];
}

void pi_ints_read(const struct pi_tensor *t, struct pi_ints *ints)
{
    ints->present = t != NULL;
    ints->known = 0;
    ints->n = 0;
    if (!t) return;
    ints->n = t->rank == 0 ? 1 : (size_t)t->dims[0];
    if (!t->data) return;
    ints->known = 1;
    for (size_t k = 0; k < ints->n; k++) ints->v[k] = pi_int_at(t, (int64_t)k);
}

int pi_ints_of_input(const struct pi_infer *i, size_t slot, struct pi_ints *ints)
{
    const struct pi_tensor *t = slot < i->node->nin ? i->in[slot] : NULL;
    ints->present = ints->known = 0;
    ints->n = 0;
    if (!t) return 0;
    if (t->type != PI_S64 && t->type != PI_S32)
        return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "input %zu is %s, not a vector of int64", slot,
                            pi_type_name(t->type));
    if (t->rank > 1) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "input %zu has rank %d, not 1", slot, t->rank);
    if (t->rank == 1 && t->dims[0] < 0)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "the length of input %zu is not known", slot);
    if (t->rank == 1 && t->dims[0] > PI_INTS_MAX)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "input %zu has %lld elements, at most %d are supported", slot,
                            (long long)t->dims[0], (int)PI_INTS_MAX);
    pi_ints_read(t, ints);
    if (!ints->known && !i->graph)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "input %zu decides a shape and depends on data", slot);
    return 0;
}

int pi_ints_of_attr(const struct pi_node *n, const char *name, struct pi_ints *ints, struct precinfer_error *err)
{
    const int64_t *v;
    size_t count;
    PI_TRY(pi_attr_ints(n, name, &v, &count, err));
    ints->present = ints->known = v != NULL || pi_attr_find(n, name) != NULL;
    ints->n = v ? count : 0;
    if (ints->n > PI_INTS_MAX)
        return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "%s has %zu elements, at most %d are supported", name, ints->n,
                            (int)PI_INTS_MAX);
    for (size_t k = 0; k < ints->n; k++) ints->v[k] = v[k];
    return 0;
}

int pi_only_output(const struct pi_node *n, const char *what, struct precinfer_error *err)
{
    for (size_t k = 1; k < n->nout; k++)
        if (n->out[k] >= 0) return pi_node_fail(n, err, PRECINFER_UNSUPPORTED, "output %zu (%s) is not computed", k, what);
    return 0;
}
