/* The parts of pi_graph_finish, one file each. Only lib/graph includes this. */
#ifndef PI_GRAPH_FINISH_H
#define PI_GRAPH_FINISH_H
#include "graph.h"

/* identity.c: the hash of the model as it was given, before anything is folded. */
uint64_t pi_graph_identity(const precinfer_graph *g);

/* A constant's data becomes output `value` of a folded node. */
enum { PI_FOLD_MAX_BYTES = 256 << 20 };         /* of one result; of all: 4 times that                         */

/* partial.c: small integer vectors that are known in part, elements of shapes with open dimensions. */
struct pi_part { size_t n; int64_t *v; uint8_t *kind; };
enum { PI_PART_UNKNOWN, PI_PART_KNOWN, PI_PART_DIM };   /* DIM: v is an open dimension, negative               */
enum { PI_PART_MAX = 64 };
struct pi_finish {
    precinfer_graph *g;
    struct precinfer_error *err;
    struct pi_arena scratch;
    struct pi_part **parts;                     /* by value; NULL: nothing known                               */
    const struct pi_tensor **in;                /* of the node at hand                                         */
    struct pi_tensor *out;
    size_t folded_bytes;
};
/* After infer of n: sharpens open dimensions of its output, or notes what is known of its content. *constant: output 0
 * is known whole and its content is in parts. */
int pi_partial_node(struct pi_finish *f, const struct pi_node *n, int *constant);

/* fold.c: runs n now if it can be; its outputs become constants and n dead. */
int pi_fold_node(struct pi_finish *f, struct pi_node *n);
/* Makes output 0 of n, known whole in parts, a constant. */
int pi_fold_part(struct pi_finish *f, struct pi_node *n);
#endif
