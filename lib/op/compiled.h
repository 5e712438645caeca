/* What an operator that chooses kernels and packs weights is given when a plan is compiled. */
#ifndef PI_OP_COMPILED_H
#define PI_OP_COMPILED_H
#include "../graph/graph.h"
#include "../kern/choose.h"

struct pi_compile {
    const precinfer_context *ctx;
    const struct pi_node *node;
    /* Inputs and output 0 as they will come: type, quantization (u8: scale and zp of the tensor), dims as known at load
     * time; constants with data. Weights are already lowered: f32, bf16, or s8 with weight_scale. */
    const struct pi_tensor *const *in;
    const struct pi_tensor *out, *res;          /* res: node->fused.res, NULL without                          */
    const float *weight_scale;                  /* one an output channel; NULL unless weights are s8           */
    const struct pi_cpu *cpu; uint64_t isas;    /* chosen for: the context's own, or another CPU in explain      */
    pi_why *why; void *user;                    /* NULL: nobody asks                                           */
    int choose_only;                            /* explain: no packing; state stays NULL                        */
    void *state;                                /* result: what run gets                                        */
    const char *kernel;                         /* result: row name, or that of a whole-op implementation        */
    uint64_t packed_bytes;                      /* result */
};
/* The epilogue of a lowered or float layer, folded in double and rounded once (law: DESIGN "the recipe decides"):
 *   integer: bias[n] = rne(b[n] / (sx * sw[n])) - zx * sum of w[n], scale[n] = sx * sw[n] / sy, res_scale = sr / sy,
 *            bounds in output steps; out F32: sy = 1.
 *   float:   bias with -0 stored as +0. Arrays live in `arrays` (one block of the context's allocator). */
struct pi_epi_arrays { struct pi_epi epi; void *arrays; };
int pi_epi_fold(const struct pi_compile *c, size_t n, const float *bias, const int64_t *weight_sums, struct pi_epi_arrays *e,
                struct precinfer_error *err);
void pi_epi_drop(const precinfer_context *ctx, struct pi_epi_arrays *e);
#endif
