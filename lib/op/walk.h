/* Loops over strided tensors. Every operator that follows strides goes through here: dimensions are walked from the
 * slowest to the fastest of the leading tensor in memory, and neighbours that are dense in every operand are merged, so
 * that the innermost run is as long as it can be in any layout. */
#ifndef PI_OP_WALK_H
#define PI_OP_WALK_H
#include "../base/context.h"
#include "../base/tensor.h"

enum { PI_WALK_OPERANDS = 4 };
struct pi_walk {
    int rank;                                               /* of the outer loops                              */
    size_t operands, outer;                                 /* outer: product of count                         */
    size_t count[PI_MAX_RANK];
    ptrdiff_t stride[PI_WALK_OPERANDS][PI_MAX_RANK];        /* bytes                                           */
    size_t inner; ptrdiff_t step[PI_WALK_OPERANDS];         /* the innermost run                               */
};
/* t[0] leads; the others are broadcast to its dims, aligned at the last one. */
void pi_walk_make(struct pi_walk *w, size_t operands, const struct pi_tensor *const *t);

/* A place in the outer loops: byte offset of each operand. */
struct pi_place { size_t at[PI_MAX_RANK]; ptrdiff_t off[PI_WALK_OPERANDS]; };
void pi_walk_seek(const struct pi_walk *w, size_t index, struct pi_place *p);
void pi_walk_next(const struct pi_walk *w, struct pi_place *p);

/* fn over [0, units) in as many slots as `work` elements deserve, never more than ctx->threads. A slot's range is
 * contiguous; slot selects scratch. */
typedef void pi_span_fn(void *arg, size_t from, size_t to, size_t slot);
void pi_span(const precinfer_context *ctx, size_t units, size_t work, pi_span_fn *fn, void *arg);

/* to = from, broadcast to the dims of `to`; element sizes are equal. Any strides, negative ones too. */
void pi_move(const precinfer_context *ctx, const struct pi_tensor *from, const struct pi_tensor *to);
/* Every element of `to` becomes the one at `element`. */
void pi_fill(const precinfer_context *ctx, const void *element, const struct pi_tensor *to);

/* Views: t narrowed along one axis. */
void pi_narrow(struct pi_tensor *t, int axis, int64_t from, int64_t count);
void pi_drop_axis(struct pi_tensor *t, int axis);           /* the axis at index 0 disappears                  */
#endif
