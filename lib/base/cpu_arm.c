/* Reads this Arm CPU, and stands in where the architecture is neither x86-64 nor Arm. */
#if !defined __x86_64__
#include <string.h>
#include "context.h"

#if defined __aarch64__
#if defined __linux__
#include <sys/auxv.h>
#include <sys/prctl.h>
/* Bits of the kernel's arch/arm64 hwcap interface; older headers lack the later ones. */
static uint64_t read_features(unsigned *vector_bytes)
{
    const unsigned long cap = getauxval(AT_HWCAP), cap2 = getauxval(26 /* AT_HWCAP2 */);
    uint64_t f = PI_CPU_NEON;
    if (cap >> 20 & 1) f |= PI_CPU_DOTPROD;
    if (cap2 >> 13 & 1) f |= PI_CPU_I8MM;
    if (cap2 >> 14 & 1) f |= PI_CPU_BF16;
    if (cap >> 22 & 1) {
        const int length = prctl(51 /* PR_SVE_GET_VL */);
        if (length > 0) { f |= PI_CPU_SVE; *vector_bytes = (unsigned)length & 0xffff; }
    }
    return f;
}
#else
static uint64_t read_features(unsigned *vector_bytes) { (void)vector_bytes; return PI_CPU_NEON; }
#endif

void pi_cpu_detect(struct pi_cpu *cpu)
{
    *cpu = (struct pi_cpu){ .vendor = "Arm" };
    cpu->features = read_features(&cpu->vector_bytes);
}

unsigned pi_fp_enter(void)
{
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));      /* nearest even, no flushing, no default NaN, no traps */
    return (unsigned)saved;
}
void pi_fp_leave(unsigned saved) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)saved)); }
#else
void pi_cpu_detect(struct pi_cpu *cpu) { *cpu = (struct pi_cpu){ .vendor = "unknown" }; }
unsigned pi_fp_enter(void) { return 0; }
void pi_fp_leave(unsigned saved) { (void)saved; }
#endif
#else
typedef int pi_no_arm;                  /* a translation unit must not be empty */
#endif
