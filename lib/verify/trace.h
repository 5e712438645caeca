/* The tensors of a run, block of samples after block, wherever they come from: a plan that runs (trace.c), a file or a
 * directory that was recorded (format/trace_*). */
#ifndef PI_VERIFY_TRACE_H
#define PI_VERIFY_TRACE_H
#include "../plan/session.h"
#include "values.h"

struct pi_traced {                      /* strings are valid as long as the trace                                */
    const char *name;                   /* of the value in the model                                             */
    const char *layer, *op, *fused;     /* who computes it: node, operator, nodes that it swallowed; "" unknown  */
    uint8_t type, quantized;            /* as stored                                                             */
    uint8_t precision, has_weights;
    uint8_t input;                      /* the model's input, not computed                                       */
    uint8_t conversion;                 /* another form of a value that an earlier tensor holds                  */
    float scale; int32_t zp;
    int step, place;                    /* of the plan; -1                                                       */
};
struct pi_trace {
    precinfer_context *ctx;
    struct pi_arena arena;
    size_t n;
    struct pi_traced *tensors;          /* in order of execution, if that is known                               */
    int ordered;
    int loose;                          /* names may have lost their special characters                          */
    uint64_t model_hash, recipe_hash, plan_hash;        /* 0: unknown                                            */
    size_t samples;                     /* of the block at hand; 0: there is none                                */
    const uint64_t *hashes;             /* of its samples; NULL: unknown                                         */
    /* Of a run: runs these inputs. Of a recording: batch is NULL, the next block; samples 0 at the end. */
    int (*next)(struct pi_trace *t, const struct precinfer_batch *batch, struct precinfer_error *err);
    /* Tensor i of the block, row-major, as stored; valid until the next call. */
    int (*get)(struct pi_trace *t, size_t i, struct pi_tensor *tensor, struct precinfer_error *err);
    void (*close)(struct pi_trace *t);  /* what the implementation holds                                         */
    int live;                           /* next wants a batch                                                    */
};
void pi_trace_free(struct pi_trace *t); /* NULL: nothing happens                                                 */
/* A zeroed object of `size` bytes that begins with a struct pi_trace. */
int pi_trace_new(precinfer_context *ctx, size_t size, struct pi_trace **t, struct precinfer_error *err);
/* Runs of a plan, which is kept alive. */
int pi_trace_plan(const precinfer_plan *plan, struct pi_trace **t, struct precinfer_error *err);
/* The session of such a trace after next; the plan. */
struct precinfer_session *pi_trace_session(struct pi_trace *t);
/* How many rows of the first dimension are a sample; 0: samples do not lie along it. */
size_t pi_trace_rows(const struct pi_tensor *t, size_t samples);
/* The tensor of that name: of this form, or (form -1) the first. -1: none. Forms: pi_trace_form. */
int pi_trace_form(const struct pi_traced *t);
int pi_trace_find(const struct pi_trace *t, const char *name, int form);
#endif
