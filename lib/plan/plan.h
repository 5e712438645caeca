/* A plan: the lowered graph and the steps that a session runs.
 *
 *   graph --fuse--> fused graph --lower(recipe)--> lowered graph --build--> tensors and steps --compile--> kernels, packed weights
 *
 * fuse and lower are functions of graph and recipe alone: they decide the numbers and are what a plan file stores. build
 * and compile follow from them on every machine anew: they decide the speed. */
#ifndef PI_PLAN_PLAN_H
#define PI_PLAN_PLAN_H
#include "../graph/graph.h"
#include "../kern/choose.h"
#include "../quant/recipe.h"
#include "../quant/weights.h"

/* ---------------------------------------------------------------- fuse.c */

/* Folds BatchNorms and constant biases into weights, takes clips and residual adds into the producing node, permutes the
 * weights that follow a flattening, in place. For every machine, recipe and shape alike. */
int pi_fuse(precinfer_graph *g, struct precinfer_error *err);

/* ---------------------------------------------------------------- weights.c */

/* Conv, ConvTranspose, Gemm or a MatMul with a 2-D B, whose weights (input 1) are constant. */
int pi_has_weights(const precinfer_graph *g, const struct pi_node *n);
/* What strict watches: any Conv, ConvTranspose and Gemm, and a MatMul with a constant B of any rank. */
int pi_is_layer_with_weights(const precinfer_graph *g, const struct pi_node *n);
size_t pi_weight_channels(const precinfer_graph *g, const struct pi_node *n);  /* output channels               */
struct pi_weight_layout pi_layout_of(const precinfer_graph *g, const struct pi_node *n);

/* ---------------------------------------------------------------- lower.c */

enum pi_form { PI_FORM_NATIVE, PI_FORM_U8, PI_FORM_BF16 };     /* NATIVE: the value's own type (f32, s64, ...)     */

/* How a node computes. */
struct pi_lowered_node {
    uint8_t precision;                  /* enum precinfer_precision; nodes without weights follow their inputs   */
    uint8_t table;                      /* a unary on u8: a 256-entry table                                     */
    uint8_t out_form;                   /* enum pi_form of all outputs                                          */
    const float *weight_scale;          /* s8 weights: one an output channel                                    */
};
struct pi_lowered_value { uint8_t has_scale; float scale; int32_t zp; };

/* May a node with weights run as int8 or bf16? NULL, or why not. */
const char *pi_not_lowerable(const precinfer_graph *g, const struct pi_node *n, enum precinfer_precision precision);
/* Can a node without weights compute on u8, if all its data inputs and outputs are quantized? */
int pi_u8_capable(const precinfer_graph *g, const struct pi_node *n);
/* Do its values have scales, and a node that only moves elements one for all? */
int pi_u8_scales(const precinfer_graph *g, const struct pi_node *n, const struct pi_lowered_value *v);
/* Is input i of a node without weights data (not a shape, an index, a bound)? */
int pi_data_input(const precinfer_graph *g, const struct pi_node *n, size_t i);
/* s8 = rne(w / scale[channel]) in [-127, 127], the quotient in double. */
void pi_quantize_weights(const float *w, const struct pi_weight_layout *l, const float *scale, int8_t *q);
/* The first column (+ 1) whose s32 sum could overflow for some input; 0: none. */
size_t pi_lowered_overflow(const precinfer_graph *g, const struct pi_node *n, const int8_t *q, const float *scale, float sx,
                           int32_t zp);

/* Which form each value has where it is produced, and weights in their stored precision. Weights of int8 and bf16 nodes
 * become constants of that type in g. Errors name the node: a weight that is not constant, sums that could overflow. */
int pi_lower(precinfer_graph *g, const precinfer_recipe *r, struct pi_lowered_node *nodes, struct pi_lowered_value *values,
             struct precinfer_error *err);
/* ---------------------------------------------------------------- check.c */

/* Is a lowered graph from a file one that pi_lower could have made, as far as memory is concerned? */
int pi_lowered_check(precinfer_graph *g, const struct pi_lowered_node *nodes, const struct pi_lowered_value *values,
                     struct precinfer_error *err);

/* ---------------------------------------------------------------- recipe_make.c */

/* The recipe of one precision for a fused graph: min-max ranges of the statistics, per-channel weights. */
typedef int pi_range_of(const void *stats, const char *value, float *min, float *max);     /* nonzero: unknown      */
int pi_recipe_make(precinfer_graph *g, pi_range_of *range, const void *stats, const struct precinfer_preprocessing *pre,
                   enum precinfer_precision precision, precinfer_recipe **r, struct precinfer_error *err);

/* A copy with the named nodes at another precision, f32 or bf16. Values that only they wanted as u8 go with them, so that what
 * lies between returns too. */
int pi_recipe_with(precinfer_graph *g, const precinfer_recipe *r, const char *const *names, size_t n,
                   enum precinfer_precision precision, precinfer_recipe **with, struct precinfer_error *err);
/* The same nodes at the same precisions and the same values quantized, with all scales as pi_recipe_make would choose them. */
int pi_recipe_twin(precinfer_graph *g, pi_range_of *range, const void *stats, const precinfer_recipe *like,
                   precinfer_recipe **twin, struct precinfer_error *err);

/* ---------------------------------------------------------------- build.c */

enum pi_step_kind { PI_STEP_OP, PI_STEP_CONVERT, PI_STEP_COPY, PI_STEP_TABLE };

struct pi_place {                       /* one tensor of a session                                              */
    int value;                          /* of the lowered graph                                                 */
    uint8_t type, quantized, channels_last;
    uint8_t host;                       /* integers that depend on shapes only: computed when shapes are set     */
    float scale; int32_t zp;
    int input, output;                  /* index among the graph's, or -1: bound by the caller                   */
    int alias;                          /* place whose memory it shares, or -1                                  */
    int producer, last;                 /* steps; producer -1: input or constant                                 */
    const struct pi_tensor *constant;   /* or NULL                                                              */
};
struct pi_step {
    uint8_t kind, alias, precision;     /* alias: nothing to run, the output is the input's memory               */
    int node;                           /* of the lowered graph; -1                                             */
    int nin, nout, res;
    int *in, *out;                      /* places; -1: absent                                                   */
    void *state; const char *kernel;
    uint64_t packed_bytes;
    const uint8_t *table;               /* PI_STEP_TABLE                                                        */
    const char *name, *op, *fused;
};

struct precinfer_plan {
    atomic_size_t refs;
    precinfer_context *ctx;
    precinfer_graph *g;                 /* lowered                                                              */
    precinfer_recipe *recipe;           /* NULL: f32                                                            */
    struct pi_lowered_node *nodes; struct pi_lowered_value *values;
    struct pi_arena arena;
    size_t nplaces, cplaces, nsteps, csteps;
    struct pi_place *places; struct pi_step *steps;
    int *value_place;                   /* home of each value, -1                                               */
    uint64_t model_hash;
    uint64_t weights_bytes, packed_bytes;
    int rejected, other_host;
    struct precinfer_preprocessing preprocessing;
    size_t nsamples; size_t nhashes; const uint64_t *hashes;    /* of the statistics                            */
    void *mapping;                      /* struct pi_map of the file it was loaded from; NULL                    */
};
/* Progress of compiling, a call a step; NULL or progress NULL: none. */
struct pi_plan_progress { precinfer_progress *progress; void *user; };
/* From a lowered graph (consumed, also on failure): steps, kernels, packed weights. */
int pi_plan_build(precinfer_graph *lowered, precinfer_recipe *recipe, struct pi_lowered_node *nodes,
                  struct pi_lowered_value *values,
                  const struct pi_plan_progress *progress, precinfer_plan **plan, struct precinfer_error *err);
int pi_plan_places(precinfer_plan *p, struct precinfer_error *err);     /* build.c: places and steps             */
/* compile.c: op->compile of each step */
int pi_plan_kernels(precinfer_plan *p, const struct pi_plan_progress *progress, struct precinfer_error *err);
/* Candidates of one step on a CPU. */
int pi_step_explain(const precinfer_plan *p, size_t step, const struct pi_cpu *cpu, uint64_t isas, pi_why *why, void *user,
                    const char **kernel, struct precinfer_error *err);
void pi_plan_retain(precinfer_plan *p);
void pi_plan_unmap(precinfer_plan *p);  /* of a plan read from a file                                           */
void pi_plan_release(precinfer_plan *p);

/* ---------------------------------------------------------------- session.c */

/* Called after each step of a run; tensor: output 0 of the step (NULL for aliases). Nonzero ends the run. */
typedef int pi_step_hook(void *user, size_t step, const struct pi_place *place, const struct pi_tensor *tensor);
int pi_session_run_hooked(struct precinfer_session *s, pi_step_hook *hook, void *user, struct precinfer_error *err);
#endif
