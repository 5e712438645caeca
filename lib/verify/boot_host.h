/* A figure of a set that the host computes, by Poisson bootstrap: replicates hand it other weights. Nothing is known of its
 * spread within a replicate, so bounds are percentiles of the replicates. Approximate. */
#ifndef PI_VERIFY_BOOT_HOST_H
#define PI_VERIFY_BOOT_HOST_H
#include "bootstrap.h"

struct pi_host {
    struct precinfer_figures_of figures;
    size_t judged;                      /* samples so far                                                        */
    const struct pi_allocator *a;
};
struct pi_boot_host { uint64_t *ids; size_t *at; size_t n, room; };         /* of this slice: whose weight, which sample */
int pi_boot_host_add(const struct pi_allocator *a, struct pi_boot_host *b, uint64_t id, size_t at, struct precinfer_error *err);
/* As pi_boot_set_result. A figure that is undefined in a replicate leaves that end of the bounds open. */
int pi_boot_host_result(const struct pi_boot_host *b, const struct pi_host *host, const char *name, double share, double drop,
                        double alpha, struct pi_set_result *r, struct precinfer_error *err);
void pi_boot_host_free(const struct pi_allocator *a, struct pi_boot_host *b);
#endif
