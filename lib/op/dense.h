/* What the operators around GEMM tiles share: kernel choice, run-time weights, workspace pieces. */
#ifndef PI_OP_DENSE_H
#define PI_OP_DENSE_H
#include "compiled.h"
#include "driver.h"

/* Hands out 64-byte aligned pieces of a block. With base NULL it only counts: the same function then measures a
 * workspace and lays it out. */
struct pi_carve { char *base; size_t at; };
static inline void *pi_take(struct pi_carve *c, size_t bytes)
{
    char *const piece = c->base ? c->base + c->at : NULL;
    c->at += pi_up(bytes, 64);
    return piece;
}

/* Stages that the node's epilogue needs: what pi_epi_fold will set. */
uint32_t pi_epi_stages(const struct pi_compile *c);
/* The epilogue's float bias when it comes at run time: n floats to `to`, -0 as +0. One element serves all n columns.
 * times: Gemm's beta. */
void pi_epi_bias(float *to, size_t n, const float *bias, size_t elements, float times);

/* bf16 sums differ between instruction families, so the row must not follow from how many rows of A there happen to be. */
enum { PI_BF16_CHOICE_M = 256 };
static inline size_t pi_choice_m(uint8_t b, size_t m) { return b == PI_BF16 ? PI_BF16_CHOICE_M : m; }
/* The fields of a packing of these sizes, without memory: what pi_gemm_workspace asks about. */
struct pi_packed pi_packed_sizes(const struct pi_packing *p, size_t segs, size_t k, size_t n);
/* An index of a NaN or infinity among n elements, or n. Other types have none. */
size_t pi_first_nonfinite(enum pi_type type, const void *data, size_t n);
/* A product with a matrix B: element (p, j) of B at w + p * sk + j * sn elements. w NULL: it comes at run time (never s8). */
enum { PI_DENSE_HEIGHTS = 16 };
struct pi_dense {
    const struct pi_row *rows[PI_DENSE_HEIGHTS]; size_t nrows;
    struct pi_packed w;                 /* w.b NULL: packed at run                                             */
};
struct pi_dense_ask {
    const struct pi_cpu *cpu; uint64_t isas; const char *only; pi_why *why; void *user;
    uint8_t a, b, out; uint32_t stages;
    size_t m, n, k;
    const void *w; ptrdiff_t sk, sn;
};
int pi_dense_choose(const struct pi_dense_ask *q, struct pi_dense *d);      /* nonzero: no kernel takes it          */
int pi_dense_pack(const precinfer_context *ctx, const struct pi_dense_ask *q, struct pi_dense *d, struct precinfer_error *err);
void pi_dense_drop(const precinfer_context *ctx, struct pi_dense *d);
/* Choose and pack for a node that is compiled, with the errors that this can bring; c->kernel and packed_bytes are set. */
int pi_dense_compile(struct pi_compile *c, const struct pi_dense_ask *q, struct pi_dense *d, struct precinfer_error *err);

/* The pieces of a compile that Conv, Gemm and MatMul have in common: are the constant weights finite? */
int pi_check_weights(const struct pi_compile *c, size_t slot, struct precinfer_error *err);
#endif
