/* Helpers of op->check and op->infer. Each returns a status, with the node and the numbers in the error. */
#ifndef PI_OP_INFER_H
#define PI_OP_INFER_H
#include "../graph/graph.h"

/* Out k has in 0's type, quantization and dims. */
int pi_infer_like(const struct pi_infer *i);
/* Out 0 broadcast from all present inputs; their types are equal. */
int pi_infer_broadcast(const struct pi_infer *i);
int pi_broadcast_dims(const struct pi_infer *i, const struct pi_tensor *t, struct pi_tensor *into);
/* Fails unless input `slot` is f32 (or quantized, or bf16). */
int pi_infer_float(const struct pi_infer *i, size_t slot);
void pi_set_like(struct pi_tensor *out, const struct pi_tensor *in);    /* type and quantization                */

/* axis in [-rank, rank) to [0, rank); `extent` is rank, or rank + 1 where one past the end is meant. */
int pi_axis(const struct pi_node *n, int64_t axis, int extent, int *out, struct precinfer_error *err);

/* A short vector of integers that a node takes as an attribute in old opsets and as an input in newer ones. */
enum { PI_INTS_MAX = 4 * PI_MAX_RANK };
struct pi_ints {
    int present, known;                         /* known: v holds the content; else n alone is known            */
    size_t n;
    int64_t v[PI_INTS_MAX];
};
/* Input `slot`. Its length must be known; before a run its content too. */
int pi_ints_of_input(const struct pi_infer *i, size_t slot, struct pi_ints *ints);
/* Its content in a run, or in infer where it is known. */
void pi_ints_read(const struct pi_tensor *t, struct pi_ints *ints);
int64_t pi_int_at(const struct pi_tensor *t, int64_t index);            /* of a s32 or s64 vector                */
/* Attribute to params, at most PI_INTS_MAX. */
int pi_ints_of_attr(const struct pi_node *n, const char *name, struct pi_ints *ints, struct precinfer_error *err);
/* The same of numbers in f32: element `index` of input `t`. */
float pi_float_at(const struct pi_tensor *t, int64_t index);

/* "node '...': output k (NAME) is not computed" unless out k is unused. */
int pi_only_output(const struct pi_node *n, const char *what, struct precinfer_error *err);
#endif
