/* A convolution, compiled: what Conv, ConvTranspose and precinfer_conv2d share. Images are dense channels-last.
 *
 * Order law (f32): an output sums its taps in row-major order of the kernel, in a tap the channels in order, as one chain
 * of FMA from +0; then the bias is added. A tap that falls outside of the image adds nothing. A ConvTranspose output does
 * the same over the taps that meet it: input = (output + pad - tap * dilation) / stride where that is whole. */
#ifndef PI_OP_CONV_H
#define PI_OP_CONV_H
#include "../graph/graph.h"
#include "compiled.h"
#include "driver.h"

enum { PI_AUTO_NOTSET, PI_AUTO_SAME_UPPER, PI_AUTO_SAME_LOWER, PI_AUTO_VALID };
/* Attributes as given; the count of each list is 0 (absent) or the number of spatial axes. */
struct pi_conv_attrs {
    int64_t kernel[2], stride[2], dilation[2], pad[4], out_pad[2], out_shape[2], group;
    uint8_t nkernel, nstride, ndilation, npad, nout_pad, nout_shape;
    uint8_t auto_pad;
};
int pi_conv_check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err);
int pi_conv_transposed_check(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err);
int pi_conv_infer(const struct pi_infer *i);

/* All sizes; one-dimensional images are one row high. */
struct pi_conv_shape {
    size_t n, h, w, c, o, kh, kw, groups, oh, ow;
    size_t sh, sw, dh, dw, pt, pl, pb, pr;
    int transposed;
};
/* From a node's tensors. Open sizes take a guess, good enough to choose a kernel by: with known ones it is exact. */
void pi_conv_shape(const struct pi_node *n, const struct pi_tensor *x, const struct pi_tensor *w, struct pi_conv_shape *s);
/* 0 where every offset fits 32 bits and every size a kernel's fields, else a word for what does not. */
const char *pi_conv_too_big(const struct pi_conv_shape *s);

/* Where the weight of (group, output channel in it, tap, input channel in it) lies, in elements. */
struct pi_conv_strides { ptrdiff_t group, out, tap, in; };
struct pi_conv_strides pi_conv_onnx_strides(const struct pi_conv_shape *s);

/* Ways to compute a convolution, in conv.c's list. */
enum pi_conv_how { PI_CONV_DEPTHWISE, PI_CONV_STEM, PI_CONV_WINO, PI_CONV_TAPS, PI_CONV_BUNDLE, PI_CONV_GROUPS };
struct pi_conv_ask {
    const struct pi_cpu *cpu; uint64_t isas; const char *only; pi_why *why; void *user;
    struct pi_conv_shape s;
    uint8_t a, b, out, res;             /* types; res: PI_NONE without a residual                               */
    uint32_t stages;
    int32_t zp;                         /* of a u8 input                                                       */
    const void *w; struct pi_conv_strides at;       /* w NULL: weights come at run time (float only)             */
};
enum { PI_MAX_HEIGHTS = 16 };
struct pi_conv {
    enum pi_conv_how how;
    const struct pi_row *rows[PI_MAX_HEIGHTS]; size_t nrows;    /* rows[0] is the tallest; a depthwise row stands alone  */
    size_t a_size, b_size, c_size, res_size;    /* bytes an element                                                */
    struct pi_conv_strides at;
    struct pi_packed *w; size_t nw;     /* one, or one a group; NULL: weights come at run time                  */
    void *zero;                         /* the padding row: c elements                                         */
    int skip_padding;                   /* the padding row is zero                                             */
    uint64_t packed_bytes;
};
/* Nonzero: no kernel takes it. Touches no memory. *p is zeroed first. */
int pi_conv_choose(const struct pi_conv_ask *ask, struct pi_conv *p);
/* After choose: packs the weights and makes the padding row. On failure nothing is left allocated. */
int pi_conv_pack(const precinfer_context *ctx, const struct pi_conv_ask *ask, struct pi_conv *p, struct precinfer_error *err);
void pi_conv_drop(const precinfer_context *ctx, struct pi_conv *p);

struct pi_conv_io {
    const void *x, *res, *w;            /* w: run-time weights                                                 */
    void *y;
    const struct pi_epi *epi;
    const void *table; void *ws;        /* 64-byte aligned                                                     */
};
size_t pi_conv_table_bytes(const struct pi_conv *p, const struct pi_conv_shape *s);
void pi_conv_fill(const struct pi_conv *p, const struct pi_conv_shape *s, void *table);
size_t pi_conv_workspace(const precinfer_context *ctx, const struct pi_conv *p, const struct pi_conv_shape *s);
void pi_conv_run(const precinfer_context *ctx, const struct pi_conv *p, const struct pi_conv_shape *s,
                 const struct pi_conv_io *io);
/* conv_wino.c: PI_CONV_WINO's part of these. */
size_t pi_wino_table_bytes(const struct pi_conv_shape *s);
void pi_wino_fill(const struct pi_conv_shape *s, void *table);
size_t pi_wino_workspace(const precinfer_context *ctx, const struct pi_conv_shape *s);
void pi_wino_run(const precinfer_context *ctx, const struct pi_conv *p, const struct pi_conv_shape *s, const struct pi_conv_io *io);
#endif
