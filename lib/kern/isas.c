/* The list of all instruction sets, from kernels/isa.def, and the questions asked of it. */
#include "choose.h"

#define PI_ISA(name, features, emulator) extern const struct pi_row pi_rows_##name[];
#include "../../kernels/isa.def"
#undef PI_ISA

const struct pi_isa pi_isas[] = {
#define PI_ISA(name, features, emulator) { #name, features, emulator, pi_rows_##name },
#include "../../kernels/isa.def"
#undef PI_ISA
    { 0 }
};

const struct pi_row *pi_choose(const struct pi_cpu *cpu, uint64_t isas, const char *only, const struct pi_problem *p,
                               pi_why *why, void *user)
{
    return pi_choose_in(pi_isas, cpu, isas, only, p, why, user);
}
double pi_cost(const struct pi_cpu *cpu, const struct pi_row *row, const struct pi_problem *p)
{
    return pi_cost_in(pi_isas, cpu, row, p);
}
size_t pi_heights(const struct pi_row *row, const struct pi_row **out, size_t max)
{
    return pi_heights_in(pi_isas, row, out, max);
}
uint64_t pi_isas_of(uint64_t features) { return pi_isas_of_in(pi_isas, features); }
int pi_isas_masked(const char *mask, uint64_t features, uint64_t *isas, struct precinfer_error *err)
{
    return pi_isas_masked_in(pi_isas, mask, features, isas, err);
}
