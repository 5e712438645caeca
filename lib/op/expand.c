/* Expand: a broadcast view. */
#include "infer.h"
#include "walk.h"

static int infer(const struct pi_infer *i)
{
    struct pi_tensor *out = &i->out[0], shape = { 0 };
    struct pi_ints dims;
    PI_TRY(pi_ints_of_input(i, 1, &dims));
    if (!dims.present || dims.n > PI_MAX_RANK)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "a shape of %zu dimensions", dims.n);
    shape.rank = (int)dims.n;
    for (int d = 0; d < shape.rank; d++) {
        shape.dims[d] = dims.known ? dims.v[d] : pi_infer_open(i);
        if (dims.known && dims.v[d] < 0)
            return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "shape has %lld at %d", (long long)dims.v[d], d);
    }
    PI_TRY(pi_infer_like(i));
    if (dims.known) return pi_broadcast_dims(i, &shape, out);
    /* Whatever an unknown entry is, it may be 1: then the input's dimension stays. Nothing is known. */
    const int rank = shape.rank > out->rank ? shape.rank : out->rank;
    for (int d = 0; d < rank; d++) out->dims[d] = pi_infer_open(i);
    out->rank = rank;
    return 0;
}

static void run(const struct pi_call *c) { pi_move(c->ctx, c->in[0], c->out[0]); }

const struct pi_opdef pi_op_Expand = {
    .name = "Expand", .since = 8, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
    .flags = PI_OP_ANY_LAYOUT | PI_OP_PASS, .infer = infer, .run = run
};
