/* Elementwise kernels on strided tensors with broadcasting. */
#ifndef PI_OP_ELT_H
#define PI_OP_ELT_H
#include "../base/context.h"
#include "../base/tensor.h"
#include "../../kernels/kernel.h"

/* The best row of the ISAs that the context allows; NULL: none, which for f32 cannot be. b: PI_NONE where there is none. */
const struct pi_row *pi_row_find(const precinfer_context *ctx, enum pi_family family, int op, enum pi_type a, enum pi_type b,
                                 enum pi_type out);

/* c = fn(a, b) over the dims of c; a and b (NULL: unary) are broadcast to it. Any strides; c may lie exactly where a or b
 * lies. fn computes on the tensors' own types, proto holds its parameters (n, a, b, c and mode are filled in here). */
void pi_elt_apply(const precinfer_context *ctx, pi_elt_fn *fn, const struct pi_elt *proto, const struct pi_tensor *a,
                  const struct pi_tensor *b, const struct pi_tensor *c);
/* The same by operator: rows for f32 and for u8 operands and output where there is one, plain loops for integers;
 * quantized u8 that no row takes is widened to f32 and narrowed again, a block at a time. */
void pi_elt_run(const precinfer_context *ctx, enum pi_elt_op op, const struct pi_elt *proto, const struct pi_tensor *a,
                const struct pi_tensor *b, const struct pi_tensor *c);
int pi_elt_has(enum pi_elt_op op, enum pi_type type);       /* pi_elt_run computes op on this type              */
/* Changes type or scale: f32, bf16, f16 and quantized u8 in any direction, equal dims, any strides. */
void pi_elt_convert(const precinfer_context *ctx, const struct pi_tensor *from, const struct pi_tensor *to);

/* elt_int.c: s32 and s64, for the arithmetic of shapes. NULL: no such operator. */
pi_elt_fn *pi_elt_int(enum pi_elt_op op, enum pi_type type);
#endif
