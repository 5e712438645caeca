/* Element types: sizes, names, and the 16-bit floats, in integer arithmetic so that no mode of the CPU matters. */
#include <string.h>
#include "tensor.h"

#define SAME(name) _Static_assert((int)PI_##name == (int)PRECINFER_##name, "enum pi_type and precinfer_dtype differ")
SAME(NONE); SAME(F32); SAME(BF16); SAME(F16); SAME(F64); SAME(U8); SAME(S8); SAME(U16); SAME(S16); SAME(S32); SAME(U32);
SAME(S64); SAME(U64); SAME(BOOL);

static const struct { unsigned char size; const char *name; } types[] = {
    [PI_NONE] = { 0, "none" }, [PI_F32] = { 4, "float32" }, [PI_BF16] = { 2, "bfloat16" }, [PI_F16] = { 2, "float16" },
    [PI_F64] = { 8, "float64" }, [PI_U8] = { 1, "uint8" }, [PI_S8] = { 1, "int8" }, [PI_U16] = { 2, "uint16" },
    [PI_S16] = { 2, "int16" }, [PI_S32] = { 4, "int32" }, [PI_U32] = { 4, "uint32" }, [PI_S64] = { 8, "int64" },
    [PI_U64] = { 8, "uint64" }, [PI_BOOL] = { 1, "bool" } };
enum { TYPES = sizeof types / sizeof *types };

size_t pi_type_size(enum pi_type type) { return (unsigned)type < TYPES ? types[type].size : 0; }
const char *pi_type_name(enum pi_type type) { return (unsigned)type < TYPES ? types[type].name : "unknown"; }

static uint32_t bits(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
static float from_bits(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }

enum { F32_INF = 0x7f800000, F32_ABS = 0x7fffffff, F16_INF = 0x7c00 };

float pi_bf16_to_f32(uint16_t x) { return from_bits((uint32_t)x << 16); }

uint16_t pi_f32_to_bf16(float x)
{
    const uint32_t u = bits(x);
    if ((u & F32_ABS) > F32_INF) return (uint16_t)(u >> 16 | 0x40);     /* quiet, or a payload in the low half would be lost */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

float pi_f16_to_f32(uint16_t x)
{
    const uint32_t sign = (uint32_t)(x & 0x8000) << 16, magnitude = x & 0x7fff;
    if (magnitude > F16_INF) return from_bits(sign | F32_INF | 0x400000 | (magnitude & 0x3ff) << 13);
    if (magnitude == F16_INF) return from_bits(sign | F32_INF);
    if (magnitude >= 0x400) return from_bits(sign | ((magnitude << 13) + ((127 - 15) << 23)));
    if (!magnitude) return from_bits(sign);
    uint32_t m = magnitude, e = 127 - 14;                               /* subnormal: every f16 is a normal f32 */
    while (!(m & 0x400)) { m <<= 1; e--; }
    return from_bits(sign | e << 23 | (m & 0x3ff) << 13);
}

/* x >> n, rounded to nearest even; 0 < n < 32. */
static uint32_t shift_rne(uint32_t x, uint32_t n)
{
    const uint32_t kept = x >> n, rest = x & ((1u << n) - 1), half = 1u << (n - 1);
    return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t pi_f32_to_f16(float x)
{
    const uint32_t u = bits(x), magnitude = u & F32_ABS, sign = u >> 16 & 0x8000;
    if (magnitude > F32_INF) return (uint16_t)(sign | F16_INF | 0x200 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | F16_INF);     /* 65520 and up */
    if (magnitude >= 0x38800000)                                        /* 2^-14: normal in f16 too */
        return (uint16_t)(sign | shift_rne(magnitude - ((127 - 15) << 23), 13));
    const uint32_t e = magnitude >> 23, shift = 126 - e;                /* steps of 2^-24 */
    if (shift > 24) return (uint16_t)sign;                              /* below half a step */
    return (uint16_t)(sign | shift_rne((magnitude & 0x7fffff) | 0x800000, shift));
}
