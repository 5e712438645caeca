/* What a CPU has, as a function of CPUID leaves: testable on any machine. cpu_x86.c and cpu_arm.c read the real one. */
#ifndef PI_BASE_CPU_H
#define PI_BASE_CPU_H
#include <stddef.h>
#include <stdint.h>

enum {                                  /* clusters that are used together; names in parentheses are CPUID's  */
    PI_CPU_AVX2 = 1,                    /* AVX2 + FMA + F16C + BMI2, ymm state enabled                         */
    PI_CPU_AVX512 = 2,                  /* F + BW + VL + DQ, zmm and mask state enabled                        */
    PI_CPU_AVX512VNNI = 4,
    PI_CPU_AVX512BF16 = 8,
    PI_CPU_AVX512FP16 = 16,
    PI_CPU_AMX_INT8 = 32, PI_CPU_AMX_BF16 = 64,
    PI_CPU_AVXVNNI = 128,
    PI_CPU_NEON = 256, PI_CPU_DOTPROD = 512, PI_CPU_I8MM = 1024, PI_CPU_BF16 = 2048, PI_CPU_SVE = 4096
};
struct pi_cpuid_leaf { uint32_t leaf, subleaf, eax, ebx, ecx, edx; };
struct pi_cpu {
    char vendor[13]; unsigned family, model;
    uint64_t features;                  /* what CPU and operating system allow                                 */
    unsigned vector_bytes;              /* of vector-length-agnostic ISAs; 0 on x86                            */
    size_t l1d, l2, l3;                 /* bytes; 0: unknown                                                   */
};
/* Pure: leaves 0, 1, 7.0, 7.1, 4.x or 8000001d.x; xcr0 of XGETBV(0), 0 where OSXSAVE is off; amx: permission was given. */
void pi_cpu_decode(const struct pi_cpuid_leaf *leaves, size_t n, uint64_t xcr0, int amx, struct pi_cpu *cpu);
void pi_cpu_detect(struct pi_cpu *cpu);
/* "haswell", "skylake-x", "icelake-server", "sapphirerapids", "zen2", "zen3", "zen4", ...: from recorded leaves, whose
 * published source stands beside each. 0 on success. pi_cpu_named_at lists them, NULL past the last. */
int pi_cpu_named(const char *name, struct pi_cpu *cpu);
const char *pi_cpu_named_at(size_t i);
#endif
