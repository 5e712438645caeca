/* Reads this x86-64 CPU. One of the two files that may ask for the architecture. */
#if defined __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#include "context.h"

static struct pi_cpuid_leaf read_leaf(uint32_t leaf, uint32_t subleaf)
{
    struct pi_cpuid_leaf l = { .leaf = leaf, .subleaf = subleaf };
    __cpuid_count(leaf, subleaf, l.eax, l.ebx, l.ecx, l.edx);
    return l;
}

static uint64_t read_xcr0(void)
{
    uint32_t low, high;                 /* an instruction of its own flag: the intrinsic would need -mxsave */
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | (uint64_t)high << 32;
}

/* Subleaves of a cache leaf until the one of type 0. */
static size_t read_caches(struct pi_cpuid_leaf *leaves, size_t n, size_t max, uint32_t leaf)
{
    for (uint32_t i = 0; n < max; i++) {
        const struct pi_cpuid_leaf l = read_leaf(leaf, i);
        if (!(l.eax & 31)) break;
        leaves[n++] = l;
    }
    return n;
}

void pi_cpu_detect(struct pi_cpu *cpu)
{
    struct pi_cpuid_leaf leaves[16];
    size_t n = 0;
    leaves[n++] = read_leaf(0, 0);
    const uint32_t highest = leaves[0].eax, extended = read_leaf(0x80000000, 0).eax;
    leaves[n++] = read_leaf(1, 0);
    const int osxsave = leaves[1].ecx >> 27 & 1;
    if (highest >= 7) {
        leaves[n++] = read_leaf(7, 0);
        if (leaves[n - 1].eax >= 1) leaves[n++] = read_leaf(7, 1);
    }
    /* AMD answers leaf 4 with zeros; Intel's extended leaves end before 8000001d. */
    if (highest >= 4) n = read_caches(leaves, n, 10, 4);
    if (extended >= 0x8000001d) n = read_caches(leaves, n, 16, 0x8000001d);
    /* AMX permission enlarges every signal frame of the process: the host must ask for that, and none can yet. */
    pi_cpu_decode(leaves, n, osxsave ? read_xcr0() : 0, 0, cpu);
}

unsigned pi_fp_enter(void)
{
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(0x1f80);                 /* nearest even, denormals kept, exceptions masked, flags clear */
    return saved;
}
void pi_fp_leave(unsigned saved) { _mm_setcsr(saved); }
#else
typedef int pi_no_x86;                  /* a translation unit must not be empty */
#endif
