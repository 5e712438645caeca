/* Two traces side by side. */
#ifndef PI_VERIFY_DIFF_H
#define PI_VERIFY_DIFF_H
#include "../base/hash.h"
#include "layer_error.h"
#include "own.h"

struct pi_diff_layer {
    struct pi_traced about;             /* strings in the diff's arena                                           */
    int candidate, reference, same;     /* tensors; same: the reference's, if in the candidate's form; -1         */
    struct pi_layer_sums sums;
    const struct pi_own_figures *own;   /* NULL: none                                                            */
    double excess, own_db;              /* excess NAN: none                                                      */
};
struct precinfer_diff {
    precinfer_context *ctx;
    struct pi_arena arena;
    struct pi_diff_layer *layers; size_t n;
    int *rank;
    struct precinfer_diff_info info;
    struct pi_trace *candidate, *reference;
    struct pi_own *own;
    struct pi_hash hash;
};
/* Takes the traces and *own over (NULL: without), also on failure. next NULL: both are recorded. */
int pi_diff(struct pi_trace *candidate, struct pi_trace *reference, struct pi_own *own, precinfer_next_batch *next, void *user,
            const struct precinfer_diff_options *o, precinfer_diff **diff, struct precinfer_error *err);
/* A plan whose scales are those that the statistics give, precision by precision like `plan`. */
int pi_twin_of(const precinfer_plan *plan, const precinfer_graph *graph, const precinfer_stats *stats, precinfer_plan **twin,
               struct precinfer_error *err);
#endif
