/* The smallest set of items, found by trying, that passes: knows nothing of layers. */
#ifndef PI_VERIFY_SUBSET_H
#define PI_VERIFY_SUBSET_H
#include "../base/context.h"

/* Does the set pass (in[i] nonzero: item i is in it)? 1 or 0; a negative status ends the search: *stop. */
typedef int pi_try_set(void *user, const uint8_t *in, int *passes, struct precinfer_error *err);
struct pi_subset {
    size_t n;
    const double *weight;               /* what it is thought to bring to have the item in the set, additive      */
    pi_try_set *attempt; void *user;    /* PRECINFER_CANCELLED: the best so far is the result                    */
    int empty_fails;                    /* that much is known already                                            */
    size_t most;                        /* attempts; what makes the result 1-minimal may take more                */
    uint8_t *best;                      /* result, n of them                                                     */
    int met, minimal;                   /* result: best passes; without any one of its items it does not          */
    size_t attempts;
};
/* Empty if that passes; met 0 if not even the set of all does. */
int pi_subset_search(const precinfer_context *ctx, struct pi_subset *s, struct precinfer_error *err);
#endif
