/* The model: values and nodes, in arrays. Knows operators by their definition (opdef.h), and no kernel. */
#ifndef PI_GRAPH_GRAPH_H
#define PI_GRAPH_GRAPH_H
#include "../base/context.h"
#include "../base/tensor.h"
#include "names.h"
#include "opdef.h"

struct pi_value {
    const char *name;                   /* never NULL; unique                                                  */
    struct pi_tensor t;                 /* type and dims as inferred (open: -1 - index into symbols);
                                           data != NULL: a constant, dense row-major unless t says otherwise   */
    int producer;                       /* node, or -1: input or constant                                      */
    int block;                          /* a constant's data lies in blocks[block]; -1: elsewhere              */
    uint8_t is_input, is_output;
};

enum pi_attr_type { PI_ATTR_INT, PI_ATTR_FLOAT, PI_ATTR_STRING, PI_ATTR_INTS, PI_ATTR_FLOATS, PI_ATTR_STRINGS, PI_ATTR_TENSOR };
struct pi_attr {
    const char *name;
    uint8_t type;
    size_t count;                       /* of INTS, FLOATS, STRINGS; length of STRING                           */
    int64_t i; float f; const char *s;
    const int64_t *ints; const float *floats; const char *const *strings;
    struct pi_tensor tensor;
};

struct pi_node {
    const char *name;                   /* the model's, or the first output's                                  */
    const struct pi_opdef *op;
    int opset;                          /* of the model's default domain                                       */
    size_t nin, nout, nattr;
    int *in, *out;                      /* values; -1: absent                                                  */
    struct pi_attr *attr;
    void *params;                       /* what op->check made of the attributes; lives in the graph's arena    */
    uint8_t dead;                       /* removed by folding or fusion                                        */
    /* What fusion added (plan/fuse.c), executed by the op's epilogue: clip before the residual, residual, clip after.
     * Only nodes whose op has PI_OP_EPILOGUE carry one. */
    struct pi_fused {
        uint8_t has_act, has_res, has_clamp;
        float act_lo, act_hi, lo, hi;
        int res;                        /* value                                                               */
        const char *names;              /* of the nodes swallowed, "bn1,relu1"; NULL none                       */
    } fused;
};

struct precinfer_graph {
    atomic_size_t refs;
    precinfer_context *ctx;
    precinfer_graph *origin;            /* a clone keeps the graph alive whose data it shares; NULL            */
    struct pi_arena arena;
    struct pi_names names;              /* of values                                                           */
    void **blocks;                      /* constants' data, each a block of the context's allocator; finish frees
                                           those that nothing uses any more and leaves NULL                    */
    size_t nvalues, cvalues, nnodes, cnodes, ninputs, cinputs, noutputs, coutputs, nsymbols, csymbols, nblocks, cblocks;
    struct pi_value *values; struct pi_node *nodes;     /* grown; hold indexes, not pointers, across additions  */
    int *inputs, *outputs;
    const char **symbols;               /* names of open dimensions; NULL: anonymous                           */
    int opset, finished;
    uint64_t hash;                      /* of names, operators, attributes, shapes and constants                */
};

int pi_graph_new(precinfer_context *ctx, precinfer_graph **g, struct precinfer_error *err);
void pi_graph_retain(precinfer_graph *g);
void pi_graph_release(precinfer_graph *g);
/* Nonzero: rank out of range, or more than 2^48 elements; below that byte counts and offsets stay in range everywhere. */
int pi_graph_check_dims(const struct pi_tensor *t);
/* Each returns a status and adds in place. Strings and data are copied into the arena. A name already taken is an error. */
int pi_graph_add_value(precinfer_graph *g, const char *name, int *value, struct precinfer_error *err);
int pi_graph_find_value(const precinfer_graph *g, const char *name);    /* -1: none                            */
int pi_graph_add_input(precinfer_graph *g, const char *name, enum pi_type type, int rank, const int64_t *dims, int *value,
                       struct precinfer_error *err);
/* A value that is there already becomes the next input. */
int pi_graph_mark_input(precinfer_graph *g, int value, struct precinfer_error *err);
/* data is copied (row-major; t's strides are followed), unless borrowed, when it must outlive the graph. */
int pi_graph_add_constant(precinfer_graph *g, const char *name, const struct pi_tensor *t, int borrowed, int *value,
                          struct precinfer_error *err);
/* The graph takes over a block of the context's allocator, in which the data of a borrowed constant lies. On failure it
 * stays the caller's. */
int pi_graph_own(precinfer_graph *g, int value, void *block, struct precinfer_error *err);
/* Looks the operator up, allocates in/out/attr arrays of the given sizes (filled by the caller afterwards with arena
 * memory), sets name and opset. */
int pi_graph_add_node(precinfer_graph *g, const char *op, const char *domain, const char *name, size_t nin, size_t nout,
                      size_t nattr, struct pi_node **node, struct precinfer_error *err);
int pi_graph_add_output(precinfer_graph *g, int value, struct precinfer_error *err);
int64_t pi_graph_symbol(precinfer_graph *g, const char *name);  /* a dimension: -1 - index; NULL name: a fresh anonymous one;
                                                                   INT64_MIN: out of memory                    */
/* Topological order (sorting if needed; a cycle is an error), checks of every node, shape inference, folding of constant
 * sub-graphs (through op->run), removal of nodes that reach no output, hash. */
int pi_graph_finish(precinfer_graph *g, struct precinfer_error *err);
/* Topological order, keeping the given one where it is right; removes nodes marked dead and those that reach no output,
 * and closes the gaps in the array. Part of finish; for whoever rewires a clone. */
int pi_graph_sort(precinfer_graph *g, struct precinfer_error *err);
/* Multiply-adds a sample (the first dimension of output 0 counts samples); 0: none, or a dimension is open. */
uint64_t pi_graph_macs(const precinfer_graph *g, const struct pi_node *n);
/* Consumers of a value among live nodes (an output counts as one); node and slot of the only one when there is one: node
 * -1 for an output, slot nin for fused.res. Both may be NULL. */
size_t pi_graph_uses(const precinfer_graph *g, int value, int *node, size_t *slot);
/* A deep copy that shares constants' data with g, which it keeps alive: what fusion and lowering work on. */
int pi_graph_clone(precinfer_graph *g, precinfer_graph **copy, struct precinfer_error *err);

/* Attributes for op->check. A wrong type is an error that names the node; absent: the default. */
int pi_attr_int(const struct pi_node *n, const char *name, int64_t fallback, int64_t *v, struct precinfer_error *err);
int pi_attr_float(const struct pi_node *n, const char *name, float fallback, float *v, struct precinfer_error *err);
int pi_attr_string(const struct pi_node *n, const char *name, const char *fallback, const char **v, struct precinfer_error *err);
/* *v NULL when absent. */
int pi_attr_ints(const struct pi_node *n, const char *name, const int64_t **v, size_t *count, struct precinfer_error *err);
int pi_attr_floats(const struct pi_node *n, const char *name, const float **v, size_t *count, struct precinfer_error *err);
const struct pi_attr *pi_attr_find(const struct pi_node *n, const char *name);
/* pi_fail with "node 'NAME' (OP): " in front. */
int pi_node_fail(const struct pi_node *n, struct precinfer_error *err, enum precinfer_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#endif
