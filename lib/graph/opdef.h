/* What an operator is: one struct pi_opdef in one file of lib/op, one line in lib/op/ops.def. */
#ifndef PI_GRAPH_OPDEF_H
#define PI_GRAPH_OPDEF_H
#include "../base/context.h"
#include "../base/tensor.h"

struct precinfer_graph;
struct pi_node;

enum {
    PI_OP_ANY_LAYOUT = 1,       /* run follows strides of inputs and outputs; without it (and without SPATIAL) run gets
                                   and writes dense row-major tensors                                          */
    PI_OP_SPATIAL = 2,          /* data inputs (rank >= 3) and outputs are dense channels-last                  */
    PI_OP_ALIAS = 4,            /* output 0 is input 0 in row-major order with other dims: no copy if it can be  */
    PI_OP_PASS = 8,             /* moves elements, computes none: any type; a quantized input 0 hands its scale on.
                                   Concat: inputs are brought to one scale first                               */
    PI_OP_UNARY = 16,           /* one f32 to one f32: as u8 it becomes a 256-entry table                       */
    PI_OP_INPLACE = 32,         /* output 0 may lie where input 0 (same dims, type, strides) lay                */
    PI_OP_SHAPE = 64,           /* reads the dims of input 0 only                                              */
    PI_OP_EPILOGUE = 128,       /* run honours node->fused                                                     */
    PI_OP_WEIGHTS = 256         /* counts as a layer with weights: Conv, ConvTranspose, Gemm, MatMul            */
};

/* Shape inference, at load time (dims may be open: negative) and before a run (all known). in[i] NULL: absent;
 * in[i]->data non-NULL: the content is known. Fill type, rank and dims of each out. */
struct pi_infer {
    const struct pi_node *node;
    struct precinfer_graph *graph;              /* for pi_infer_open at load time; NULL before a run: nothing is open */
    const struct pi_tensor *const *in;
    struct pi_tensor *out;                      /* node->nout of them                                          */
    struct precinfer_error *err;
};
/* A dimension that cannot be known yet. */
int64_t pi_infer_open(const struct pi_infer *i);

struct pi_call {
    const precinfer_context *ctx;
    const struct pi_node *node;
    const struct pi_tensor *const *in;          /* node->nin; NULL absent                                      */
    struct pi_tensor *const *out;               /* shapes inferred, memory assigned; NULL: unused output        */
    const struct pi_tensor *res;                /* node->fused.res; NULL without                               */
    void *state;                                /* what compile made; NULL without                             */
    void *tables;                               /* what the session prepared for these shapes; NULL without     */
    void *workspace;                            /* op->workspace bytes, 64-byte aligned                        */
};

/* What an operator with a compiled form is compiled from (op/compiled.h). */
struct pi_compile;

struct pi_opdef {
    const char *name;                           /* ONNX operator                                               */
    int since, until;                           /* opsets of the default domain whose definition this is; 0: open  */
    size_t min_in, max_in, min_out, max_out;    /* max 0: any number                                           */
    uint32_t flags;
    uint32_t forms;                             /* PI_BIT of the types that data inputs and outputs may have in run
                                                   besides f32: U8 (quantized), BF16. 0 for f32 only. PASS: any  */
    uint8_t family, row;                        /* enum pi_family and operator of the rows that run looks up by the type of
                                                   input 0: for explain; row 0: none, or compile chooses          */
    size_t params_bytes;
    /* Attributes to node->params (zeroed, params_bytes); errors name the node. NULL: no attribute is looked at. */
    int (*check)(struct precinfer_graph *g, struct pi_node *n, struct precinfer_error *err);
    int (*infer)(const struct pi_infer *i);
    /* Operators that choose kernels and pack weights when a plan is compiled. */
    int (*compile)(struct pi_compile *c, struct precinfer_error *err);
    void (*drop)(const precinfer_context *ctx, void *state);
    size_t (*tables)(const struct pi_call *c);  /* bytes for these shapes (in, out have dims, no data); NULL: none  */
    void (*fill)(const struct pi_call *c);      /* fills c->tables                                             */
    size_t (*workspace)(const struct pi_call *c);
    void (*run)(const struct pi_call *c);       /* cannot fail: infer has checked all that can be wrong         */
};
/* The opset of the project's own operators, which no model has. */
enum { PI_OPSET_INTERNAL = 1001 };
/* By ONNX name and opset, from lib/op/ops.def; NULL: none. *known: the name exists at other opsets. */
const struct pi_opdef *pi_opdef_find(const char *name, int opset, int *known);
const struct pi_opdef *pi_opdef_at(size_t i);   /* NULL past the last                                          */
#endif
