#include "harness.h"
#include "../lib/base/cpu.h"

enum {
    A2 = PI_CPU_AVX2, A5 = A2 | PI_CPU_AVX512, VN = PI_CPU_AVX512VNNI, BF = PI_CPU_AVX512BF16, FP = PI_CPU_AVX512FP16,
    AMX = PI_CPU_AMX_INT8 | PI_CPU_AMX_BF16, AV = PI_CPU_AVXVNNI
};
static const struct { const char *name, *vendor; unsigned family, model; uint64_t features; size_t l1d, l2, l3; } known[] = {
    { "haswell",        "GenuineIntel", 6, 0x3f, A2,                          32, 256,  46080 },
    { "skylake-x",      "GenuineIntel", 6, 0x55, A5,                          32, 1024, 14080 },
    { "cascadelake",    "GenuineIntel", 6, 0x55, A5 | VN,                     32, 1024, 14080 },
    { "icelake-client", "GenuineIntel", 6, 0x7e, A5 | VN,                     48, 512,  8192 },
    { "icelake-server", "GenuineIntel", 6, 0x6a, A5 | VN,                     48, 1280, 43008 },
    { "sapphirerapids", "GenuineIntel", 6, 0x8f, A5 | VN | BF | FP | AMX | AV, 48, 2048, 38400 },
    { "zen",            "AuthenticAMD", 23, 0x01, A2,                         32, 512,  8192 },
    { "zen1",           "AuthenticAMD", 23, 0x01, A2,                         32, 512,  8192 },
    { "zen2",           "AuthenticAMD", 23, 0x31, A2,                         32, 512,  16384 },
    { "zen3",           "AuthenticAMD", 25, 0x01, A2,                         32, 512,  32768 },
    { "zen4",           "AuthenticAMD", 25, 0x11, A5 | VN | BF,               32, 1024, 32768 },
    { "genoa",          "AuthenticAMD", 25, 0x11, A5 | VN | BF,               32, 1024, 32768 },
    { "zen5",           "AuthenticAMD", 26, 0x02, A5 | VN | BF | AV,          48, 1024, 32768 } };
enum { KNOWN = sizeof known / sizeof *known };

START_TEST(named)
{
    struct pi_cpu c;
    for (size_t i = 0; i < KNOWN; i++) {
        h_expect(!pi_cpu_named(known[i].name, &c), "%s is not known", known[i].name);
        h_expect(!strcmp(c.vendor, known[i].vendor) && c.family == known[i].family && c.model == known[i].model,
                 "%s: %s family %u model %#x", known[i].name, c.vendor, c.family, c.model);
        h_expect(c.features == known[i].features, "%s: features %#llx", known[i].name, (unsigned long long)c.features);
        h_expect(c.l1d == known[i].l1d << 10 && c.l2 == known[i].l2 << 10 && c.l3 == known[i].l3 << 10, "%s: %zu %zu %zu",
                 known[i].name, c.l1d, c.l2, c.l3);
    }
    size_t n = 0;
    for (; pi_cpu_named_at(n); n++) h_expect(!pi_cpu_named(pi_cpu_named_at(n), &c), "%s is listed only", pi_cpu_named_at(n));
    h_expect(n == KNOWN && !pi_cpu_named_at(n + 1000), "%zu names", n);
    h_expect(pi_cpu_named("pentium", &c) && pi_cpu_named("", &c), "a name that nobody knows");
    h_finish();
}
END_TEST

/* A CPU with everything, and then one bit less. */
struct words { struct pi_cpuid_leaf leaf[4]; uint64_t xcr0; int amx; };
static struct words everything(void)
{
    return (struct words){ { { 0, 0, 0x20, 0x756e6547, 0x6c65746e, 0x49656e69 }, { 1, 0, 0x000806f8, 0, 0x7ffefbff, 0xbfebfbff },
                             { 7, 0, 2, 0xf3bfbffb, 0xbb417fee, 0xffdd4430 }, { 7, 1, 0x1c30, 0, 0, 0 } }, 0x600e7, 1 };
}
static uint64_t features(struct words w)
{
    struct pi_cpu c;
    pi_cpu_decode(w.leaf, 4, w.xcr0, w.amx, &c);
    return c.features;
}
START_TEST(one_bit_less)
{
    enum { EAX, EBX, ECX, EDX };
    const uint64_t wide = PI_CPU_AVX512 | VN | BF | FP | AMX;
    const struct { int leaf, word, bit; uint64_t lost; const char *what; } cuts[] = {
        { 1, ECX, 12, -1ull, "FMA" }, { 1, ECX, 27, -1ull, "OSXSAVE" }, { 1, ECX, 28, -1ull, "AVX" },
        { 1, ECX, 29, -1ull, "F16C" }, { 2, EBX, 5, -1ull, "AVX2" }, { 2, EBX, 8, -1ull, "BMI2" },
        { 2, EBX, 16, wide, "AVX512F" }, { 2, EBX, 17, wide, "AVX512DQ" }, { 2, EBX, 30, wide, "AVX512BW" },
        { 2, EBX, 31, wide, "AVX512VL" },
        { 2, ECX, 11, VN, "AVX512_VNNI" }, { 3, EAX, 5, BF, "AVX512_BF16" }, { 2, EDX, 23, FP, "AVX512_FP16" },
        { 3, EAX, 4, AV, "AVX_VNNI" }, { 2, EDX, 24, AMX, "AMX_TILE" }, { 2, EDX, 25, PI_CPU_AMX_INT8, "AMX_INT8" },
        { 2, EDX, 22, PI_CPU_AMX_BF16, "AMX_BF16" } };
    const uint64_t all = A5 | VN | BF | FP | AMX | AV;
    h_expect(features(everything()) == all, "everything: %#llx", (unsigned long long)features(everything()));
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct words w = everything();
        struct pi_cpuid_leaf *l = &w.leaf[cuts[i].leaf];
        uint32_t *const words[] = { &l->eax, &l->ebx, &l->ecx, &l->edx };
        *words[cuts[i].word] &= ~(1u << cuts[i].bit);
        h_expect(features(w) == (all & ~cuts[i].lost), "without %s: %#llx", cuts[i].what, (unsigned long long)features(w));
    }
    h_finish();
}
END_TEST

START_TEST(operating_system)
{
    const uint64_t no_zmm = A2 | AV, no_tiles = A5 | VN | BF | FP | AV, all = no_tiles | AMX;
    static const int zmm_bits[] = { 5, 6, 7 };
    struct words w = everything();
    for (int i = 0; i < 3; i++) {
        w.xcr0 = 0x600e7 & ~(1ull << zmm_bits[i]);
        h_expect(features(w) == no_zmm, "XCR0 %#llx: %#llx", (unsigned long long)w.xcr0, (unsigned long long)features(w));
    }
    for (int bit = 1; bit <= 2; bit++) {
        w.xcr0 = 0x600e7 & ~(1ull << bit);
        h_expect(features(w) == 0, "XCR0 without bit %d: %#llx", bit, (unsigned long long)features(w));
    }
    for (int bit = 17; bit <= 18; bit++) {
        w.xcr0 = 0x600e7 & ~(1ull << bit);
        h_expect(features(w) == no_tiles, "XCR0 without bit %d: %#llx", bit, (unsigned long long)features(w));
    }
    w.xcr0 = 0x600e7;
    h_expect(features(w) == all, "all");
    w.amx = 0;
    h_expect(features(w) == no_tiles, "permission was refused: %#llx", (unsigned long long)features(w));
    w.xcr0 = 0;
    h_expect(features(w) == 0, "XCR0 0: %#llx", (unsigned long long)features(w));
    h_finish();
}
END_TEST

START_TEST(empty)
{
    struct pi_cpu c;
    pi_cpu_decode(NULL, 0, 0xe7, 1, &c);
    ck_assert(c.features == 0 && c.family == 0 && c.l1d == 0 && c.vendor[0] == 0);
}
END_TEST

/* What is claimed of this CPU, the compiler's own detection claims too. */
START_TEST(here)
{
    struct pi_cpu c;
    pi_cpu_detect(&c);
    printf("    this CPU: %s family %u model %u, features %#llx, caches %zu %zu %zu\n", c.vendor, c.family, c.model,
           (unsigned long long)c.features, c.l1d, c.l2, c.l3);
#if defined __x86_64__
    __builtin_cpu_init();
    h_expect(!!(c.features & PI_CPU_AVX2) == (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")), "avx2");
    h_expect(!!(c.features & PI_CPU_AVX512) == (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")), "avx512");
    h_expect(!!(c.features & PI_CPU_AVX512VNNI) == !!__builtin_cpu_supports("avx512vnni"), "vnni");
    h_expect(!(c.features & AMX), "AMX without permission");
    h_expect(c.family > 0 && strlen(c.vendor) == 12, "name");
#else
    h_expect(c.vendor[0], "vendor");
#endif
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("base_cpu");
    h_add(s, "named", named, 1, 5);
    h_add(s, "one_bit_less", one_bit_less, 1, 5);
    h_add(s, "operating_system", operating_system, 1, 5);
    h_add(s, "empty", empty, 1, 5);
    h_add(s, "here", here, 1, 5);
    return s;
}
