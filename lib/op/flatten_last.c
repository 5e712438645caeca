/* FlattenLast, the project's own: an image (n, c, spatial...) as rows of n, in the order in which channels-last images lie.
 * Fusion puts it in place of a Flatten whose Gemm has its weights permuted to match (plan/fuse.c). */
#include <string.h>
#include "infer.h"

static int infer(const struct pi_infer *i)
{
    const struct pi_tensor *in = i->in[0];
    struct pi_tensor *out = &i->out[0];
    if (in->rank < 3) return pi_node_fail(i->node, i->err, PRECINFER_MALFORMED, "rank %d is no image", in->rank);
    out->type = in->type;
    out->rank = 2;
    out->dims[0] = in->dims[0];
    out->dims[1] = 1;
    for (int d = 1; d < in->rank; d++) {
        if (in->dims[d] < 0) { out->dims[1] = pi_infer_open(i); return 0; }
        out->dims[1] *= in->dims[d];
    }
    return 0;
}

static void run(const struct pi_call *c)
{
    const struct pi_tensor *from = c->in[0], *to = c->out[0];
    if (from->data != to->data) memcpy(to->data, from->data, (size_t)pi_elements(to) * pi_type_size((enum pi_type)to->type));
}

const struct pi_opdef pi_op_FlattenLast = {
    .name = "FlattenLast", .since = PI_OPSET_INTERNAL, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .flags = PI_OP_SPATIAL | PI_OP_ALIAS | PI_OP_PASS, .infer = infer, .run = run,
};
