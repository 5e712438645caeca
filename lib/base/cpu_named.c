/* CPUs by name: the words that CPUID returned on them, as published in the InstLatx64 collection of dumps (its file and
 * CPU stand beside each). Facts about hardware; XCR0 is what a current Linux enables there. */
#include "cpu.h"
#include <string.h>

enum { LEAVES = 9 };
struct recorded { const char *name; uint64_t xcr0; struct pi_cpuid_leaf leaf[LEAVES]; };
enum { YMM = 0x7, ZMM = 0xe7 };

static const struct recorded recorded[] = {
    /* GenuineIntel00306F2_HaswellEP_CPUID.txt: Intel(R) Xeon(R) CPU E5-2699 v3 @ 2.30GHz */
    { "haswell", YMM, {
        { 0, 0, 0x0000000f, 0x756e6547, 0x6c65746e, 0x49656e69 },
        { 1, 0, 0x000306f2, 0x00400800, 0x7dfefbff, 0xbfebfbff },
        { 4, 0, 0x7c004121, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 4, 1, 0x7c004122, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 4, 2, 0x7c004143, 0x01c0003f, 0x000001ff, 0x00000000 },
        { 4, 3, 0x7c0fc163, 0x04c0003f, 0x00008fff, 0x00000006 },
        { 7, 0, 0x00000000, 0x00003fbb, 0x00000000, 0x00000000 } } },
    /* GenuineIntel0050654_SkylakeX_CPUID.txt: Intel(R) Core(TM) i9-7900X CPU @ 3.30GHz */
    { "skylake-x", ZMM, {
        { 0, 0, 0x00000016, 0x756e6547, 0x6c65746e, 0x49656e69 },
        { 1, 0, 0x00050654, 0x00200800, 0x7ffefbbf, 0xbfebfbff },
        { 4, 0, 0x3c004121, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 4, 1, 0x3c004122, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 4, 2, 0x3c004143, 0x03c0003f, 0x000003ff, 0x00000000 },
        { 4, 3, 0x3c07c163, 0x0280003f, 0x00004fff, 0x00000004 },
        { 7, 0, 0x00000000, 0xd39ffffb, 0x00000000, 0x00000000 } } },
    /* GenuineIntel0050657_CascadeLakeSP_CPUID1.txt: Intel(R) Xeon(R) Gold 5215 CPU @ 2.50GHz */
    { "cascadelake", ZMM, {
        { 0, 0, 0x00000016, 0x756e6547, 0x6c65746e, 0x49656e69 },
        { 1, 0, 0x00050657, 0x00200800, 0x7ffefbff, 0xbfebfbff },
        { 4, 0, 0x3c004121, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 4, 1, 0x3c004122, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 4, 2, 0x3c004143, 0x03c0003f, 0x000003ff, 0x00000000 },
        { 4, 3, 0x3c07c163, 0x0280003f, 0x00004fff, 0x00000005 },
        { 7, 0, 0x00000000, 0xd39ffffb, 0x00000808, 0xbc000400 } } },
    /* GenuineIntel00706E5_IceLakeY_CPUID.txt: Intel(R) Core(TM) i7-1065G7 CPU @ 1.30GHz */
    { "icelake-client", ZMM, {
        { 0, 0, 0x0000001b, 0x756e6547, 0x6c65746e, 0x49656e69 },
        { 1, 0, 0x000706e5, 0x00100800, 0x7ffafbbf, 0xbfebfbff },
        { 4, 0, 0x1c004121, 0x02c0003f, 0x0000003f, 0x00000000 },
        { 4, 1, 0x1c004122, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 4, 2, 0x1c004143, 0x01c0003f, 0x000003ff, 0x00000000 },
        { 4, 3, 0x1c03c163, 0x03c0003f, 0x00001fff, 0x00000006 },
        { 7, 0, 0x00000000, 0xf2bf27ef, 0x40405f4e, 0xbc000410 } } },
    /* GenuineIntel00606A6_ICX_CPUID2.txt: Intel(R) Xeon(R) Gold 6330 CPU @ 2.00GHz */
    { "icelake-server", ZMM, {
        { 0, 0, 0x0000001b, 0x756e6547, 0x6c65746e, 0x49656e69 },
        { 1, 0, 0x000606a6, 0x00800800, 0x7ffefbff, 0xbfebfbff },
        { 4, 0, 0xfc004121, 0x02c0003f, 0x0000003f, 0x00000000 },
        { 4, 1, 0xfc004122, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 4, 2, 0xfc004143, 0x04c0003f, 0x000003ff, 0x00000000 },
        { 4, 3, 0xfc1fc163, 0x02c0003f, 0x0000dfff, 0x00000004 },
        { 7, 0, 0x00000000, 0xf3bfbfff, 0x40417f4e, 0xbc040412 } } },
    /* GenuineIntel00806F8_SapphireRapids_05_CPUID.txt: Intel(R) Xeon(R) w7-2475X */
    { "sapphirerapids", ZMM | 0x60000, {
        { 0, 0, 0x00000020, 0x756e6547, 0x6c65746e, 0x49656e69 },
        { 1, 0, 0x000806f8, 0x00800800, 0x7ffefbff, 0xbfebfbff },
        { 4, 0, 0xfc004121, 0x02c0003f, 0x0000003f, 0x00000000 },
        { 4, 1, 0xfc004122, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 4, 2, 0xfc004143, 0x03c0003f, 0x000007ff, 0x00000000 },
        { 4, 3, 0xfc1fc163, 0x0380003f, 0x00009fff, 0x00000004 },
        { 7, 0, 0x00000002, 0xf3bfbffb, 0xbb417fee, 0xffdd4430 },
        { 7, 1, 0x00001c30, 0x00000000, 0x00000000, 0x00000000 } } },
    /* AuthenticAMD0800F12_K17_Zen_CPUID.txt: AMD EPYC 7551P 32-Core Processor */
    { "zen", YMM, {
        { 0, 0, 0x0000000d, 0x68747541, 0x444d4163, 0x69746e65 },
        { 1, 0, 0x00800f12, 0x00400800, 0x7ed8320b, 0x178bfbff },
        { 7, 0, 0x00000000, 0x209c01a9, 0x00000000, 0x00000000 },
        { 0x8000001d, 0, 0x00004121, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 0x8000001d, 1, 0x00004122, 0x00c0003f, 0x000000ff, 0x00000000 },
        { 0x8000001d, 2, 0x00004143, 0x01c0003f, 0x000003ff, 0x00000002 },
        { 0x8000001d, 3, 0x0001c163, 0x03c0003f, 0x00001fff, 0x00000001 } } },
    /* AuthenticAMD0830F10_K17_Rome_CPUID.txt: AMD EPYC 7742 64-Core Processor */
    { "zen2", YMM, {
        { 0, 0, 0x00000010, 0x68747541, 0x444d4163, 0x69746e65 },
        { 1, 0, 0x00830f10, 0x00800800, 0x7ef8320b, 0x178bfbff },
        { 7, 0, 0x00000000, 0x219c91a9, 0x00400004, 0x00000000 },
        { 0x8000001d, 0, 0x00004121, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 0x8000001d, 1, 0x00004122, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 0x8000001d, 2, 0x00004143, 0x01c0003f, 0x000003ff, 0x00000002 },
        { 0x8000001d, 3, 0x0001c163, 0x03c0003f, 0x00003fff, 0x00000001 } } },
    /* AuthenticAMD0A00F11_K19_Milan_CPUID1.txt: AMD EPYC 7713 64-Core Processor */
    { "zen3", YMM, {
        { 0, 0, 0x00000010, 0x68747541, 0x444d4163, 0x69746e65 },
        { 1, 0, 0x00a00f11, 0x00800800, 0x7eda320b, 0x178bfbff },
        { 7, 0, 0x00000000, 0x219c97a9, 0x0040068c, 0x00000010 },
        { 0x8000001d, 0, 0x00004121, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 0x8000001d, 1, 0x00004122, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 0x8000001d, 2, 0x00004143, 0x01c0003f, 0x000003ff, 0x00000002 },
        { 0x8000001d, 3, 0x0003c163, 0x03c0003f, 0x00007fff, 0x00000001 } } },
    /* AuthenticAMD0A10F11_K19_Genoa_01_CPUID.txt: AMD EPYC 9654 96-Core Processor */
    { "zen4", ZMM, {
        { 0, 0, 0x00000010, 0x68747541, 0x444d4163, 0x69746e65 },
        { 1, 0, 0x00a10f11, 0x00c00800, 0x7efa320b, 0x178bfbff },
        { 7, 0, 0x00000001, 0xf1bf97a9, 0x00415fce, 0x10000010 },
        { 7, 1, 0x00000020, 0x00000000, 0x00000000, 0x00000000 },
        { 0x8000001d, 0, 0x00004121, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 0x8000001d, 1, 0x00004122, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 0x8000001d, 2, 0x00004143, 0x01c0003f, 0x000007ff, 0x00000002 },
        { 0x8000001d, 3, 0x0003c163, 0x03c0003f, 0x00007fff, 0x00000001 } } },
    /* AuthenticAMD0B00F21_K20_Turin_01_CPUID.txt: AMD EPYC 9655 96-Core Processor */
    { "zen5", ZMM, {
        { 0, 0, 0x00000010, 0x68747541, 0x444d4163, 0x69746e65 },
        { 1, 0, 0x00b00f21, 0x00400800, 0x7efa320b, 0x178bfbff },
        { 7, 0, 0x00000001, 0xf1bf97ab, 0x19415fce, 0x10000110 },
        { 7, 1, 0x00000030, 0x00000000, 0x00000000, 0x00000000 },
        { 0x8000001d, 0, 0x00000121, 0x02c0003f, 0x0000003f, 0x00000000 },
        { 0x8000001d, 1, 0x00000122, 0x01c0003f, 0x0000003f, 0x00000000 },
        { 0x8000001d, 2, 0x00000143, 0x03c0003f, 0x000003ff, 0x00000002 },
        { 0x8000001d, 3, 0x0001c163, 0x03c0003f, 0x00007fff, 0x00000001 } } }
};
static const struct { const char *name, *of; } alias[] = { { "genoa", "zen4" }, { "zen1", "zen" } };
enum { RECORDED = sizeof recorded / sizeof *recorded, ALIASES = sizeof alias / sizeof *alias };

const char *pi_cpu_named_at(size_t i)
{
    if (i < RECORDED) return recorded[i].name;
    return i - RECORDED < ALIASES ? alias[i - RECORDED].name : NULL;
}

/* Permission for AMX counts as given: the question is what the CPU could do. */
int pi_cpu_named(const char *name, struct pi_cpu *cpu)
{
    for (size_t i = 0; i < ALIASES; i++)
        if (!strcmp(name, alias[i].name)) name = alias[i].of;
    for (size_t i = 0; i < RECORDED; i++) {
        if (strcmp(name, recorded[i].name)) continue;
        size_t n = 0;
        while (n < LEAVES && (recorded[i].leaf[n].eax | recorded[i].leaf[n].ebx)) n++;
        pi_cpu_decode(recorded[i].leaf, n, recorded[i].xcr0, 1, cpu);
        return 0;
    }
    return 1;
}
