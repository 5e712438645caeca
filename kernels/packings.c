/* Every packing, once: lib/kern/pack.c fills them, the tables point to them. */
#include "kernel.h"

#define PI_PACKING(name, type, nr, kr, listed) const struct pi_packing pi_pack_##name = { #name, type, nr, kr, listed };
#include "packings.def"
