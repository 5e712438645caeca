/* Reductions over all spatial dimensions (2 and up) as one row-major chain: GlobalAveragePool, GlobalMaxPool, and the
 * Reduce operators over exactly those axes, in any layout and with the same bits in all of them. */
#ifndef PI_OP_CHAIN_H
#define PI_OP_CHAIN_H
#include "../base/context.h"
#include "../base/tensor.h"
#include "../../kernels/kernel.h"

size_t pi_chain_workspace(const precinfer_context *ctx, const struct pi_tensor *in);
/* in: rank 3 and more; out: its first two dims (views of rank 2). fn is applied to every image and channel. */
void pi_chain(const precinfer_context *ctx, pi_pool_fn *fn, const struct pi_pool *proto, uint32_t divide,
              const struct pi_tensor *in, const struct pi_tensor *out, void *workspace);
/* The row of max or average pooling for a type; bf16, which has no row, is plain code. */
pi_pool_fn *pi_pool_find(const precinfer_context *ctx, enum pi_pool_op op, enum pi_type type);
/* Average of quantized u8: how the sum becomes an output step. */
void pi_pool_scales(const struct pi_tensor *in, const struct pi_tensor *out, struct pi_pool *p);
#endif
