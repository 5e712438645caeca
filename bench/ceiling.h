/* What this machine can do with a row's own instruction mix: the bare instructions on 12 independent sums, GOP/s (a
 * multiply-add counts two). */
#ifndef PI_BENCH_CEILING_H
#define PI_BENCH_CEILING_H
#include <time.h>
#include "../lib/base/cpu.h"
#include "../kernels/kernel.h"

/* Time of this thread: neighbours that take the core do not count, those that slow it do. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum mix { MIX_NONE, MIX_FMA_Y, MIX_FMA_Z, MIX_DPBF16_Z, MIX_DPBUSD_Z, MIX_MADDWD_Y, MIX_MADDWD_Z, MIX_MADDUBS_Y, MIX_HALVED_Y };

/* The mix that a row's tile repeats. */
static inline enum mix mix_of(const struct pi_row *r, uint64_t features)
{
    const int z = (features & PI_CPU_AVX512) != 0;
    if (!features) return MIX_NONE;                     /* ref */
    if (r->b == PI_BF16 && r->packing->kr == 2) return MIX_DPBF16_Z;
    if (r->acc == PI_F32) return z ? MIX_FMA_Z : MIX_FMA_Y;
    if (r->packing->listed == PI_HALVED) return MIX_HALVED_Y;
    if (r->packing->listed) return MIX_MADDUBS_Y;
    if (r->packing->kr == 2) return z ? MIX_MADDWD_Z : MIX_MADDWD_Y;
    return MIX_DPBUSD_Z;
}

#if defined __x86_64__
#define TWELVE(X) X("0") X("1") X("2") X("3") X("4") X("5") X("6") X("7") X("8") X("9") X("10") X("11")
#define PAIRS(X) X("0", "1") X("2", "3") X("4", "5") X("6", "7") X("8", "9") X("10", "11")
#define LOOP(body) __asm__ volatile("1:\n" body "dec %0\n jnz 1b\n" : "+r"(n) :: "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", \
    "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")
#define FMA_Y(c) "vfmadd231ps %%ymm12,%%ymm13,%%ymm" c "\n"
#define FMA_Z(c) "vfmadd231ps %%zmm12,%%zmm13,%%zmm" c "\n"
#define DPBF16(c) "vdpbf16ps %%zmm12,%%zmm13,%%zmm" c "\n"
#define DPBUSD(c) "vpdpbusd %%zmm12,%%zmm13,%%zmm" c "\n"
/* Products in pairs, then sums in pairs: the order of the tiles. */
#define WORDS(v, c, d) "vpmaddwd %%" v "12,%%" v "13,%%" v "14\n vpmaddwd %%" v "12,%%" v "13,%%" v "15\n" \
    "vpaddd %%" v "14,%%" v c ",%%" v c "\n vpaddd %%" v "15,%%" v d ",%%" v d "\n"
#define WORDS_Y(c, d) WORDS("ymm", c, d)
#define WORDS_Z(c, d) WORDS("zmm", c, d)
/* Two partners: the best case of a listed packing. */
#define BYTES_Y(c) "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" \
    "vpaddw %%ymm14,%%ymm15,%%ymm14\n vpmaddwd %%ymm12,%%ymm14,%%ymm14\n vpaddd %%ymm14,%%ymm" c ",%%ymm" c "\n"

/* Two sums of words, their product, a sum. */
#define HALVED_Y(c, d) HALVED_ONE(c) HALVED_ONE(d)
#define HALVED_ONE(c) "vpaddw %%ymm12,%%ymm13,%%ymm14\n vpaddw %%ymm13,%%ymm12,%%ymm15\n vpmaddwd %%ymm14,%%ymm15,%%ymm14\n" \
    "vpaddd %%ymm14,%%ymm" c ",%%ymm" c "\n"

static double ceiling(enum mix m)
{
    enum { TURNS = 20000 };
    double products = 0;                /* of one step of the mix: an instruction, or two and their sum */
    uint64_t n = TURNS;
    if (m == MIX_NONE) return 0;
    __asm__ volatile("vzeroall" ::: "memory");
    const double t = now();
    switch (m) {
    case MIX_FMA_Y: LOOP(TWELVE(FMA_Y)); products = 8; break;
    case MIX_FMA_Z: LOOP(TWELVE(FMA_Z)); products = 16; break;
    case MIX_DPBF16_Z: LOOP(TWELVE(DPBF16)); products = 32; break;
    case MIX_DPBUSD_Z: LOOP(TWELVE(DPBUSD)); products = 64; break;
    case MIX_MADDWD_Y: LOOP(PAIRS(WORDS_Y)); products = 16; break;
    case MIX_MADDWD_Z: LOOP(PAIRS(WORDS_Z)); products = 32; break;
    case MIX_HALVED_Y: LOOP(PAIRS(HALVED_Y)); products = 32; break;
    case MIX_MADDUBS_Y: LOOP(TWELVE(BYTES_Y)); products = 64; break;
    default: break;
    }
    return 2 * 12 * TURNS * products / (now() - t) * 1e-9;
}
#else
static double ceiling(enum mix m) { (void)m; return 0; }
#endif
#endif
