/* Included twice by a table.c around its kernels.def: the first time a row declares its kernel, the second time it is a
 * row of the table. A kernel is pi_<stem>_<tile>_<isa>, its row "<stem>_<tile>_<isa>", its file kernels/<isa>/<stem>.c
 * (elementwise, pooling and reductions: kernels/<isa>/<family>.c).
 *
 *   PI_ROW_GEMM(stem, tile, isa, A, B, ACC, mr, packing, outs, stages, macs)
 *   PI_ROW_PREP(stem, tile, isa, A, B, ACC, mr, packing, outs, stages, macs, bytes)   prep is pi_<stem>_<tile>_<isa>_prep
 *   PI_ROW_DW(stem, tile, isa, A, B, ACC, packing, outs, stages, macs)
 *   PI_ROW_WINO(stem, tile, isa, A, B, ACC, packing, outs, stages, macs)
 *   PI_ROW_ELT(stem, isa, op, A, B, outs)                B: PI_NONE for a unary
 *   PI_ROW_POOL(stem, isa, op, A, outs)
 *   PI_ROW_REDUCE(stem, isa, op, A, outs)
 * ISAs are folder names, types and masks the constants of kernel.h. */
#ifndef PI_ROW_GEMM
#include "kernel.h"
/* What an epilogue that follows the whole law can write, after float sums and after integer sums. */
#define PI_OUTS_FLOAT (PI_BIT(PI_F32) | PI_BIT(PI_BF16) | PI_BIT(PI_U8))
#define PI_STAGES_FLOAT (PI_SCALE | PI_ROW_SCALE | PI_ACT | PI_RES | PI_TABLE)
#define PI_OUTS_INT (PI_OUTS_FLOAT | PI_BIT(PI_S32))
#define PI_STAGES_INT (PI_STAGES_FLOAT | PI_RANK1 | PI_RANK2)
#define PI_ROW_GEMM(stem, mxn, isa, A, B, ACC, mr, packing, outs, stages, macs) pi_tile_fn pi_##stem##_##mxn##_##isa;
#define PI_ROW_PREP(stem, mxn, isa, A, B, ACC, mr, packing, outs, stages, macs, bytes) \
    pi_tile_fn pi_##stem##_##mxn##_##isa; pi_prep_fn pi_##stem##_##mxn##_##isa##_prep;
#define PI_ROW_DW(stem, mxn, isa, A, B, ACC, packing, outs, stages, macs) pi_dw_fn pi_##stem##_##mxn##_##isa;
#define PI_ROW_WINO(stem, mxn, isa, A, B, ACC, packing, outs, stages, macs) pi_wino_fn pi_##stem##_##mxn##_##isa;
#define PI_ROW_ELT(stem, isa, op, A, B, outs) pi_elt_fn pi_##stem##_##isa;
#define PI_ROW_POOL(stem, isa, op, A, outs) pi_pool_fn pi_##stem##_##isa;
#define PI_ROW_REDUCE(stem, isa, op, A, outs) pi_reduce_fn pi_##stem##_##isa;
#else
#undef PI_ROW_GEMM
#undef PI_ROW_PREP
#undef PI_ROW_DW
#undef PI_ROW_WINO
#undef PI_ROW_ELT
#undef PI_ROW_POOL
#undef PI_ROW_REDUCE
#define PI_ROW_GEMM(stem, mxn, isa, A, B, ACC, mr, packing, outs, stages, macs)                                        \
    { #stem "_" #mxn "_" #isa, PI_GEMM, 0, A, B, ACC, outs, stages, mr, 0, macs, &pi_pack_##packing,                  \
      { .tile = pi_##stem##_##mxn##_##isa }, NULL },
#define PI_ROW_PREP(stem, mxn, isa, A, B, ACC, mr, packing, outs, stages, macs, bytes)                                 \
    { #stem "_" #mxn "_" #isa, PI_GEMM, 0, A, B, ACC, outs, stages, mr, bytes, macs, &pi_pack_##packing,              \
      { .tile = pi_##stem##_##mxn##_##isa }, pi_##stem##_##mxn##_##isa##_prep },
#define PI_ROW_DW(stem, mxn, isa, A, B, ACC, packing, outs, stages, macs)                                              \
    { #stem "_" #mxn "_" #isa, PI_DWCONV, 0, A, B, ACC, outs, stages, 0, 0, macs, &pi_pack_##packing,                 \
      { .dw = pi_##stem##_##mxn##_##isa }, NULL },
#define PI_ROW_WINO(stem, mxn, isa, A, B, ACC, packing, outs, stages, macs)                                            \
    { #stem "_" #mxn "_" #isa, PI_WINO, 0, A, B, ACC, outs, stages, 0, 0, macs, &pi_pack_##packing,                   \
      { .wino = pi_##stem##_##mxn##_##isa }, NULL },
#define PI_ROW_ELT(stem, isa, op, A, B, outs)                                                                           \
    { #stem "_" #isa, PI_ELTWISE, op, A, B, PI_NONE, outs, 0, 0, 0, 0, NULL, { .elt = pi_##stem##_##isa }, NULL },
#define PI_ROW_POOL(stem, isa, op, A, outs)                                                                             \
    { #stem "_" #isa, PI_POOL, op, A, PI_NONE, PI_NONE, outs, 0, 0, 0, 0, NULL, { .pool = pi_##stem##_##isa }, NULL },
#define PI_ROW_REDUCE(stem, isa, op, A, outs)                                                                           \
    { #stem "_" #isa, PI_REDUCE, op, A, PI_NONE, PI_NONE, outs, 0, 0, 0, 0, NULL, { .reduce = pi_##stem##_##isa }, NULL },
#endif
