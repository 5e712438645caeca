/* Which row computes a problem: a pure function of tables, features and problem, so that the choice for a CPU that nobody
 * here owns is a unit test. */
#ifndef PI_KERN_CHOOSE_H
#define PI_KERN_CHOOSE_H
#include "../base/context.h"
#include "../../kernels/kernel.h"

/* One line of kernels/isa.def. */
struct pi_isa { const char *name; uint64_t features; const char *emulator; const struct pi_row *rows; };
extern const struct pi_isa pi_isas[];           /* ends with name NULL                                         */

struct pi_problem {
    uint8_t family, op;                         /* as in struct pi_row                                         */
    uint8_t a, b, out;                          /* types                                                       */
    uint32_t stages;
    size_t m, n, k, segs;                       /* GEMM; DWCONV: pixels, channels, 1, taps                      */
    int a_panel;                                /* channels move from panel to panel (bundles of groups)        */
    double growth;                              /* pi_listed_growth; 0: not known, taken as 1.25                */
};
/* A growth that keeps listed packings out of the choice, where weights are packed by pi_pack_into. */
#define PI_NOT_LISTED 1e9
/* Called for every row of the family and operator: cost in nanoseconds, or the reason it was refused (cost < 0). */
typedef void pi_why(void *user, const struct pi_row *row, double cost, const char *refused);
/* isas: bit i allows pi_isas[i]. only: glob on the row's name, ignored where no row of the problem matches. Least cost
 * wins; of equals the later ISA. NULL: none. */
const struct pi_row *pi_choose(const struct pi_cpu *cpu, uint64_t isas, const char *only, const struct pi_problem *p,
                               pi_why *why, void *user);
uint64_t pi_isas_of(uint64_t features);         /* the lines whose features are all there                      */
/* A cpu_mask ("avx2,avx512", blanks allowed; NULL: all) for a CPU with these features: *isas, which has ref always. A
 * name that is unknown or cannot run is PRECINFER_UNSUPPORTED and the error lists those that can. */
int pi_isas_masked(const char *mask, uint64_t features, uint64_t *isas, struct precinfer_error *err);
/* Nanoseconds that the model gives a row of pi_isas. */
double pi_cost(const struct pi_cpu *cpu, const struct pi_row *row, const struct pi_problem *p);
int pi_glob(const char *pattern, const char *s);    /* * and ?, no libc                                        */
/* The rows that share a packing (and prep or none, and ISA) with `row`, tallest first, ending with the shortest. */
size_t pi_heights(const struct pi_row *row, const struct pi_row **out, size_t max);
/* The same over a list of the caller's, ended by name NULL: pi_isas is the one that the library uses. */
const struct pi_row *pi_choose_in(const struct pi_isa *list, const struct pi_cpu *cpu, uint64_t isas, const char *only,
                                  const struct pi_problem *p, pi_why *why, void *user);
double pi_cost_in(const struct pi_isa *list, const struct pi_cpu *cpu, const struct pi_row *row, const struct pi_problem *p);
size_t pi_heights_in(const struct pi_isa *list, const struct pi_row *row, const struct pi_row **out, size_t max);
uint64_t pi_isas_of_in(const struct pi_isa *list, uint64_t features);
int pi_isas_masked_in(const struct pi_isa *list, const char *mask, uint64_t features, uint64_t *isas,
                      struct precinfer_error *err);
#endif
