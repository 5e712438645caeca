/* CPUID words to features: pure, so that every CPU can be asked about on any machine. Bits as in the Intel SDM, volume 2A,
 * CPUID, and the AMD APM, volume 3, appendix E. */
#include "cpu.h"
#include <string.h>

static struct pi_cpuid_leaf find(const struct pi_cpuid_leaf *leaves, size_t n, uint32_t leaf, uint32_t subleaf)
{
    for (size_t i = 0; i < n; i++)
        if (leaves[i].leaf == leaf && leaves[i].subleaf == subleaf) return leaves[i];
    return (struct pi_cpuid_leaf){ 0 };
}

static int all(uint32_t word, uint32_t bits) { return (word & bits) == bits; }
#define BIT(n) (1u << (n))

static void decode_name(struct pi_cpuid_leaf leaf0, uint32_t signature, struct pi_cpu *cpu)
{
    memcpy(cpu->vendor, &leaf0.ebx, 4);
    memcpy(cpu->vendor + 4, &leaf0.edx, 4);
    memcpy(cpu->vendor + 8, &leaf0.ecx, 4);
    const unsigned family = signature >> 8 & 15, model = signature >> 4 & 15;
    cpu->family = family == 15 ? family + (signature >> 20 & 255) : family;
    cpu->model = family == 15 || family == 6 ? model + (signature >> 16 & 15) * 16 : model;
}

/* The operating system must save what a feature computes in: XCR0 says whether it does. */
static uint64_t decode_features(struct pi_cpuid_leaf l1, struct pi_cpuid_leaf l7, struct pi_cpuid_leaf l7_1, uint64_t xcr0,
                                int amx)
{
    enum { YMM = 0x06, ZMM = 0xe6 };
    const uint64_t tiles = 0x60000;
    uint64_t f = 0;
    if (!all(l1.ecx, BIT(27))) xcr0 = 0;                                                            /* OSXSAVE */
    if ((xcr0 & YMM) != YMM || !all(l1.ecx, BIT(12) | BIT(28) | BIT(29)) ||                         /* FMA AVX F16C */
        !all(l7.ebx, BIT(5) | BIT(8))) return 0;                                                    /* AVX2 BMI2 */
    f |= PI_CPU_AVX2;
    if (all(l7_1.eax, BIT(4))) f |= PI_CPU_AVXVNNI;
    if ((xcr0 & ZMM) != ZMM || !all(l7.ebx, BIT(16) | BIT(17) | BIT(30) | BIT(31))) return f;       /* F DQ BW VL */
    f |= PI_CPU_AVX512;
    if (all(l7.ecx, BIT(11))) f |= PI_CPU_AVX512VNNI;
    if (all(l7_1.eax, BIT(5))) f |= PI_CPU_AVX512BF16;
    if (all(l7.edx, BIT(23))) f |= PI_CPU_AVX512FP16;
    if (!amx || (xcr0 & tiles) != tiles || !all(l7.edx, BIT(24))) return f;
    if (all(l7.edx, BIT(25))) f |= PI_CPU_AMX_INT8;
    if (all(l7.edx, BIT(22))) f |= PI_CPU_AMX_BF16;
    return f;
}

/* Leaves 4 (Intel) and 8000001d (AMD) have one form: a cache a subleaf, type 1 data, 3 unified. */
static void decode_caches(const struct pi_cpuid_leaf *leaves, size_t n, struct pi_cpu *cpu)
{
    for (size_t i = 0; i < n; i++) {
        const struct pi_cpuid_leaf l = leaves[i];
        const unsigned type = l.eax & 31, level = l.eax >> 5 & 7;
        if ((l.leaf != 4 && l.leaf != 0x8000001d) || (type != 1 && type != 3)) continue;
        const size_t ways = (l.ebx >> 22) + 1, partitions = (l.ebx >> 12 & 1023) + 1, line = (l.ebx & 4095) + 1;
        const size_t bytes = ways * partitions * line * ((size_t)l.ecx + 1);
        if (level == 1) cpu->l1d = bytes;
        if (level == 2) cpu->l2 = bytes;
        if (level == 3) cpu->l3 = bytes;
    }
}

void pi_cpu_decode(const struct pi_cpuid_leaf *leaves, size_t n, uint64_t xcr0, int amx, struct pi_cpu *cpu)
{
    const struct pi_cpuid_leaf l0 = find(leaves, n, 0, 0), l1 = find(leaves, n, 1, 0), l7 = find(leaves, n, 7, 0);
    *cpu = (struct pi_cpu){ 0 };
    decode_name(l0, l1.eax, cpu);
    cpu->features = decode_features(l1, l7, find(leaves, n, 7, 1), xcr0, amx);
    decode_caches(leaves, n, cpu);
}
