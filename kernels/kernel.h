/* The kernel contract: all that a kernel knows. A kernel includes this file and headers of its own folder, nothing else,
 * so it can be lifted out and read on one page.
 *
 * Every kernel takes one argument struct and returns nothing: it cannot fail, allocate or print, and it has no globals.
 * The bytes documented here are the only bytes that it reads or writes: no over-read, not even by one vector.
 * Strides and offsets are in bytes unless said. kernels/ref is the law that every other folder is compared with. */
#ifndef PI_KERNEL_H
#define PI_KERNEL_H
#include <stddef.h>
#include <stdint.h>

/* The same values as enum precinfer_dtype (checked in lib/base/dtype.c). */
enum pi_type { PI_NONE, PI_F32, PI_BF16, PI_F16, PI_F64, PI_U8, PI_S8, PI_U16, PI_S16, PI_S32, PI_U32, PI_S64, PI_U64, PI_BOOL };
#define PI_BIT(type) (1u << (type))                 /* for the masks of a row */

enum pi_family { PI_GEMM, PI_DWCONV, PI_ELTWISE, PI_POOL, PI_REDUCE, PI_WINO, PI_FAMILIES };

/* ---------------------------------------------------------------- epilogue */

/* Stages beyond bias and clamp, which always run. */
enum {
    PI_SCALE = 1,           /* * scale[col]                                                   */
    PI_ROW_SCALE = 2,       /* * row_scale[row]                                               */
    PI_RANK1 = 4,           /* + r[0][row] * c[0][col], integer sums only                     */
    PI_RANK2 = 8,           /* + r[1][row] * c[1][col]                                        */
    PI_ACT = 16,            /* clip to [act_lo, act_hi] before the residual                   */
    PI_RES = 32,            /* + residual                                                     */
    PI_TABLE = 64           /* u8 out: a 256-entry table, last                                */
};

/*     acc + bias[col] + r0[row]*c0[col] + r1[row]*c1[col]            (s32 wraps never: checked when weights are quantized)
 *  -> float -> * scale[col] -> * row_scale[row] -> clip(act_lo, act_hi) -> + (float)(res - res_zp) * res_scale
 *  -> clip(lo, hi) -> out:  F32 as it is;  BF16 round to nearest even;  U8 round to nearest even (NaN: 0), + zp, table.
 *  S32 out stores the integer sum (bias and rank-one terms included) and skips everything after it.
 * One rounding a step, never contracted. clip(x): x = lo > x ? lo : x, then x = hi < x ? hi : x (NaN and -0 pass).
 * An F32 residual is added as it is, a BF16 one after widening; only a U8 one is scaled.
 * Columns are indexed by the call's col + j, rows by its row + i: one epi serves a whole operator and is never copied. */
struct pi_epi {
    uint32_t stages;
    uint8_t out;                        /* enum pi_type: F32, BF16, U8, S32                                    */
    uint8_t res_type;                   /* F32, BF16 or U8                                                    */
    const void *bias;                   /* s32 for integer sums, f32 for float sums; never NULL, never -0     */
    const float *scale, *row_scale;
    const int32_t *r[2], *c[2];
    float act_lo, act_hi;
    float res_scale; int32_t res_zp;
    float lo, hi; int32_t zp;           /* U8: lo >= 0 - zp, hi <= 255 - zp; -inf, +inf where nothing is clamped */
    const uint8_t *table;
};

/* ---------------------------------------------------------------- GEMM and dense convolution */

/* Flags of a tile call. Without FIRST the accumulators are loaded from acc; without LAST they are stored there and the
 * epilogue is left out. A single call carries both. */
enum { PI_FIRST = 1, PI_LAST = 2 };

/* Listed packings only: where the weights of one (panel, segment) lie and which k groups they meet. */
struct pi_sub {
    uint32_t b;                         /* byte offset from the call's b                                      */
    uint32_t list;                      /* index into the call's list                                         */
    uint32_t full, count;               /* the first `full` groups are whole, the rest read k % kr elements   */
    uint32_t paired;                    /* the first `paired` of them, two by two, may be added in s16 before
                                           they are widened: an even number, at most full                     */
};

/* C[m x n] = sum over segs of A_s[m x k] * B_seg[s][k x n]. A GEMM has one segment; a k x k convolution one per tap (or
 * per row of taps that lie side by side in memory); a tap that is padding points to a row of zero points. */
struct pi_tile {
    size_t m, n, k, segs;               /* 1 <= m <= mr; any n >= 1; k elements a segment; segs >= 1          */
    const void *const *a;               /* segs x mr row pointers, k readable elements each; rows >= m repeat
                                           row m-1. Rows with prep: a[0] is the block that prep wrote          */
    ptrdiff_t a_panel;                  /* added to every row pointer from panel to panel: 0, or the channels
                                           of a bundle of groups                                              */
    const void *b;                      /* packed panels, 64-byte aligned                                     */
    size_t b_panel, b_seg;              /* from panel to panel, from segment to segment (dense packings)      */
    const uint16_t *seg;                /* segs ids: the segment of the packing that each pointer set meets   */
    const struct pi_sub *sub;           /* listed packings: sub[panel * sub_panel + seg[s]]                   */
    size_t sub_panel;
    const int32_t *list;                /* byte offsets into a row of A                                       */
    void *const *c;                     /* m pointers to the first output of each row                         */
    const void *const *res;             /* m pointers to the first residual of each row; NULL without PI_RES  */
    void *acc; size_t ldacc;            /* s32 or f32; elements from row to row, a multiple of nr; rows < m   */
    size_t row, col;                    /* of the first row and column in epi's arrays                        */
    const struct pi_epi *epi;
    uint32_t flags;
};
typedef void pi_tile_fn(const struct pi_tile *);
/* Lays out the rows of one row tile (all segments) in per-thread workspace before the panels are walked:
 * segs * round_up(k, 4) * mr * prep_bytes bytes. a_panel and b are not looked at. */
typedef void pi_prep_fn(const struct pi_tile *, void *dst);

/* A packing is a value. Tiles that name the same packing share packed weights.
 * Dense: panel after panel; in a panel segment after segment; in a segment k group after k group; a group holds nr
 * columns of kr elements that stand together, columns and k past the end are zero. Panels are 64-byte aligned. */
struct pi_packing {
    const char *id;                     /* stored in plan files: a change of layout is a new id               */
    uint8_t type;                       /* of the packed weights                                              */
    uint8_t nr, kr;                     /* columns a panel; k elements that stand together                    */
    uint8_t listed;                     /* enum pi_listed                                                     */
};
/* Listed packings say in struct pi_sub where the weights of a (panel, segment) lie.
 * QUADS: "exact by packing". A k quad in which vpmaddubsw could saturate for some input is stored twice, even bytes then odd
 * bytes; an empty one not at all.
 * HALVED (16 columns, quads of k): nr s32, the sum over the segment of w0 w2 + w1 w3; then quad after quad s16 in halves of
 * 8 columns: w2 w3 of each column, then w0 w1 of each. Products are (a0 + w2)(a2 + w0) + (a1 + w3)(a3 + w1). */
enum pi_listed { PI_DENSE, PI_QUADS, PI_HALVED, PI_SQUARES };

/* ---------------------------------------------------------------- depthwise convolution */

/* One channel in, one channel out: c[i][j] = epilogue(sum over t of a[i*taps + t][j] * w[t][j]), t in row-major order of
 * the taps. Padding taps point to a row of zero points. Float: an FMA chain from +0. */
struct pi_dw {
    size_t m, n, taps;                  /* output pixels, channels, taps                                      */
    const void *const *a;               /* m x taps pointers to the first of n channels                       */
    const void *b;                      /* packed weights of the whole operator; channel `col` is the first   */
    void *const *c;
    const void *const *res;
    size_t row, col;                    /* col is a multiple of the packing's nr                              */
    const struct pi_epi *epi;
};
typedef void pi_dw_fn(const struct pi_dw *);
/* Depthwise packings: blocks of nr channels; the layout within a block belongs to the packing's id. kr is the number of
 * taps that stand together: a block has round_up(taps, kr) * nr elements, [tap / kr][channel][tap % kr]. */

/* ---------------------------------------------------------------- 3x3 convolution by 2x2 blocks of outputs */

/* Winograd's F(2x2, 3x3) in integers: exact, so that it gives the bits of every other way. A block of 2x2 outputs reads a
 * 4x4 square of pixels; 16 products of K x N stand for 36. |sum| < 2^29.
 * Packing (SQUARES): panels of nr columns; in each the 16 positions of the transformed square; of each what PI_HALVED holds of
 * a segment, with weights (2G) g (2G)'. Sums come out four times too large. */
struct pi_wino {
    size_t m, n, k;                     /* blocks, columns, channels                                          */
    const void *const *a;               /* m x 16 pixels in row-major order, k readable elements each          */
    const void *b;
    void *const *c;                     /* m x 4 pointers to the first output; NULL beyond the image's edge    */
    const void *const *res;             /* m x 4, or NULL without PI_RES                                      */
    size_t row, col;
    const struct pi_epi *epi;           /* neither row scales nor rank-one terms                              */
    void *work;                         /* pi_wino_work(m, k) bytes, 64-byte aligned                          */
};
typedef void pi_wino_fn(const struct pi_wino *);
/* The square and its products with one panel: s16 and s32, then sums and their pointers. */
static inline size_t pi_wino_work(size_t m, size_t k)
{
    return m * 16 * ((k + 3) / 4 * 8 + 4 + 64) + m * 4 * (64 + 2 * sizeof(void *)) + 64;
}

/* ---------------------------------------------------------------- elementwise, one dimension, contiguous */

enum pi_elt_op {
    PI_QUANTIZE = 1,    /* f32 -> u8, s8: clamp(rne(a / p[0]) + z[2]); NaN gives the zero point                */
    PI_DEQUANTIZE,      /* u8, s8 -> f32: (float)(a - z[0]) * p[0]                                             */
    PI_CONVERT,         /* f32 <-> bf16, f32 <-> f16: rne; NaN stays NaN (quiet), Inf and subnormals are kept  */
    PI_TABLE256,        /* u8 -> u8: table[a]                                                                  */
    /* binary; f32: op(a, b) in one rounding. u8: operands become (float)(a - z[0]) * p[0] and (float)(b - z[1]) * p[1]
     * (p already divided by the output's scale), op, clip(lo, hi), rne, + z[2]. MUL u8: (float)((a-z0)*(b-z1)) * p[0]. */
    PI_ADD, PI_SUB, PI_MUL, PI_DIV, PI_MAX2, PI_MIN2,
    /* unary, f32 -> f32 */
    PI_CLIP,            /* clip(lo, hi); Relu is clip(0, inf)                                                  */
    PI_LEAKY,           /* a < 0 ? a * p[0] : a                                                                */
    PI_HARDSIGMOID,     /* clip(fma-free a * p[0] + p[1], 0, 1)                                                */
    PI_HARDSWISH,       /* a * clip(a * (1/6 rounded) + 0.5, 0, 1)                                             */
    PI_SIGMOID, PI_TANH, PI_EXP, PI_SQRT,
    PI_LOG, PI_ERF, PI_ABS, PI_NEG, PI_RECIPROCAL, PI_FLOOR, PI_CEIL,
    PI_ELT_OPS
};
enum { PI_B_SCALAR = 1, PI_A_SCALAR = 2 };  /* modes of a binary: that operand is one element for all n        */
struct pi_elt {
    size_t n;
    const void *a, *b;                  /* b: binary operators only                                           */
    void *c;                            /* may equal a or b                                                   */
    uint32_t mode;
    float p[2]; int32_t z[3];
    float lo, hi;                       /* PI_CLIP; u8 out of a binary: as in struct pi_epi                   */
    const uint8_t *table;
};
typedef void pi_elt_fn(const struct pi_elt *);

/* ---------------------------------------------------------------- pooling */

enum pi_pool_op { PI_MAXPOOL = 1, PI_AVGPOOL };
/* c[i][j] over the taps of pixel i: count[i] pointers, in row-major order, none of them padding.
 * MAX f32: chain x > best ? x : best from the first tap, NaN wins. AVG f32: sum as one chain of adds from the first tap,
 * then / (float)divide[i]. AVG u8: ((float)(sum - count[i] * z[0]) * p) / (float)divide[i], clip(lo, hi), rne, + z[1]. */
struct pi_pool {
    size_t m, n;                        /* output pixels, channels                                            */
    const void *const *a;               /* the pointers of pixel 0, then of pixel 1, ...                      */
    const uint32_t *count, *divide;     /* count >= 1                                                         */
    void *const *c;
    float p; int32_t z[2];
    float lo, hi;
};
typedef void pi_pool_fn(const struct pi_pool *);

/* ---------------------------------------------------------------- reductions over contiguous f32 */

enum pi_reduce_op {
    PI_RSUM = 1, PI_RMAX, PI_RMIN, PI_RSUMSQ,
    PI_SOFTMAX                          /* c[i] = exp(a[i] - max) / sum                                       */
};
/* Element i goes to lane i mod 16 (16 partial results, in order of i; sums start from +0, max and min from the lane's
 * first element, absent lanes take part in nothing); then the tree lane l with l+8, +4, +2, +1. */
struct pi_reduce {
    size_t m, n;                        /* rows, elements a row                                               */
    const void *a; size_t lda;          /* bytes from row to row                                              */
    void *c; size_t ldc;                /* one element a row; softmax: n, may equal a                         */
};
typedef void pi_reduce_fn(const struct pi_reduce *);

/* ---------------------------------------------------------------- the table */

struct pi_row {
    const char *name;                   /* family_types_tile_isa; NULL ends a table                            */
    uint8_t family;                     /* enum pi_family                                                     */
    uint8_t op;                         /* enum pi_elt_op, pi_pool_op, pi_reduce_op; 0 for GEMM and DWCONV    */
    uint8_t a, b, acc;                  /* types of A or the only operand, of B or the weights, of the sum    */
    uint32_t outs;                      /* PI_BIT masks of what can be written                                */
    uint32_t stages;                    /* epilogue stages that are understood                                */
    uint8_t mr;                         /* rows a call takes at most; 0: any number                           */
    uint8_t prep_bytes;                 /* bytes an element in prep's block                                   */
    uint16_t macs;                      /* multiply-adds a cycle at best, for the cost model: of a core with two
                                           multiply ports as wide as the ISA's vectors (f32: AVX2 16, AVX-512 32);
                                           lib/kern/choose.c knows the families that have less                */
    const struct pi_packing *packing;   /* GEMM and DWCONV                                                    */
    union {
        pi_tile_fn *tile; pi_dw_fn *dw; pi_elt_fn *elt; pi_pool_fn *pool; pi_reduce_fn *reduce; pi_wino_fn *wino;
    } fn;
    pi_prep_fn *prep;                   /* or NULL: A is read in place                                        */
};

/* Packings: kernels/packings.def, one line each; declared and defined from it. */
#define PI_PACKING(name, type, nr, kr, listed) extern const struct pi_packing pi_pack_##name;
#include "packings.def"
#undef PI_PACKING

#endif
