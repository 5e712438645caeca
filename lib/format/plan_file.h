/* Plan files: the lowered graph, its constants and the recipe, in a container. They load anywhere; kernels are chosen and
 * weights packed anew for the CPU that loads them.
 *
 *   META  version of the library, CPU it was made on, hashes, preprocessing, counts, the mark of a rejected plan
 *   GRPH  symbols, values, nodes, inputs, outputs, how each node and value is lowered
 *   DATA  the constants, each at a multiple of 64 bytes
 *   RECP  the recipe in binary form; absent in an f32 plan
 *   HASH  hashes of the samples that the statistics saw, ascending; absent without statistics */
#ifndef PI_FORMAT_PLAN_FILE_H
#define PI_FORMAT_PLAN_FILE_H
#include "../plan/plan.h"

enum { PI_PLAN_MAJOR = 1, PI_PLAN_MINOR = 0 };
int pi_plan_write(const precinfer_plan *p, const char *path, int rejected, struct precinfer_error *err);
/* bytes must outlive the plan: constants are used where they lie. */
int pi_plan_read(precinfer_context *ctx, const void *bytes, size_t size, int strict_host, precinfer_plan **plan,
                 struct precinfer_error *err);
uint64_t pi_plan_hash(const precinfer_plan *p);
#endif
