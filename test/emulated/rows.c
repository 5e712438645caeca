/* For test/witness, run natively and under the emulator:
 *   rows features     what pi_cpu_detect finds on this CPU
 *   rows isas         each folder of kernels/: "native", or the emulator that stands in for the silicon
 *   rows rows         each row, likewise */
#include <stdio.h>
#include <string.h>
#include "../../kernels/kernel.h"
#include "../../lib/base/cpu.h"

#define PI_ISA(folder, features, emulator) extern const struct pi_row pi_rows_##folder[];
#include "../../kernels/isa.def"
#undef PI_ISA
static const struct isa { const char *name, *emulator; uint64_t features; const struct pi_row *rows; } isas[] = {
#define PI_ISA(folder, features, emulator) { #folder, emulator, features, pi_rows_##folder },
#include "../../kernels/isa.def"
#undef PI_ISA
};
static const struct { const char *name; uint64_t bit; } features[] = {
    { "avx2", PI_CPU_AVX2 }, { "avx512", PI_CPU_AVX512 }, { "avx512vnni", PI_CPU_AVX512VNNI },
    { "avx512bf16", PI_CPU_AVX512BF16 }, { "avx512fp16", PI_CPU_AVX512FP16 }, { "avxvnni", PI_CPU_AVXVNNI },
    { "amx_int8", PI_CPU_AMX_INT8 }, { "amx_bf16", PI_CPU_AMX_BF16 }
};

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    struct pi_cpu cpu;
    pi_cpu_detect(&cpu);
    if (!strcmp(what, "features")) {
        printf("features:");
        for (size_t i = 0; i < sizeof features / sizeof *features; i++)
            if (cpu.features & features[i].bit) printf(" %s", features[i].name);
        puts("");
        return 0;
    }
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        const char *how = isas[i].features & ~cpu.features ? isas[i].emulator : "native";
        if (!strcmp(what, "isas")) printf("%s %s\n", isas[i].name, how);
        else for (const struct pi_row *r = isas[i].rows; r->name; r++) printf("%s %s\n", r->name, how);
    }
    return 0;
}
