/* The epilogue in the plainest C: the law that every ISA's epilogue is compared with, bit by bit. One rounding a step; this
 * folder, like every other, is compiled without contraction. */
#ifndef PI_REF_EPILOGUE_H
#define PI_REF_EPILOGUE_H
#include <string.h>
#include "../kernel.h"

/* Neither comparison holds for NaN, and -0 > 0 is false: NaN and -0 pass. x86: max(lo, x), then min(hi, x), x second. */
static inline float law_clip(float x, float lo, float hi)
{
    x = lo > x ? lo : x;
    return hi < x ? hi : x;
}

static inline float law_widen(uint16_t x)
{
    const uint32_t u = (uint32_t)x << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* To bf16: round to nearest even; a NaN keeps its upper bits and becomes quiet. */
static inline uint16_t law_narrow(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    if (f != f) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Round to nearest even, |f| < 2^22: adding 1.5 * 2^23 leaves no fraction bits. NaN counts as 0. */
static inline int32_t law_round(float f)
{
    return f != f ? 0 : (int32_t)(f + 12582912.0f - 12582912.0f);
}

static inline float law_residual(const struct pi_epi *e, const void *res, size_t j)
{
    if (e->res_type == PI_F32) return ((const float *)res)[j];
    if (e->res_type == PI_BF16) return law_widen(((const uint16_t *)res)[j]);
    return (float)(((const uint8_t *)res)[j] - e->res_zp) * e->res_scale;
}

/* From the sum in float, bias included, to output j of a row. */
static inline void law_finish(const struct pi_epi *e, float f, size_t row, size_t col, const void *res, size_t j, void *out)
{
    if (e->stages & PI_SCALE) f *= e->scale[col];
    if (e->stages & PI_ROW_SCALE) f *= e->row_scale[row];
    if (e->stages & PI_ACT) f = law_clip(f, e->act_lo, e->act_hi);
    if (e->stages & PI_RES) f += law_residual(e, res, j);
    f = law_clip(f, e->lo, e->hi);
    if (e->out == PI_F32) { ((float *)out)[j] = f; return; }
    if (e->out == PI_BF16) { ((uint16_t *)out)[j] = law_narrow(f); return; }
    const uint8_t q = (uint8_t)(law_round(f) + e->zp);
    ((uint8_t *)out)[j] = e->stages & PI_TABLE ? e->table[q] : q;
}

/* Output j of a row (pointers out and res) from a sum; row and col index the arrays of e. Unsigned: s32 sums wrap. */
static inline void law_int(const struct pi_epi *e, int32_t sum, size_t row, size_t col, const void *res, size_t j, void *out)
{
    uint32_t u = (uint32_t)sum + (uint32_t)((const int32_t *)e->bias)[col];
    if (e->stages & PI_RANK1) u += (uint32_t)e->r[0][row] * (uint32_t)e->c[0][col];
    if (e->stages & PI_RANK2) u += (uint32_t)e->r[1][row] * (uint32_t)e->c[1][col];
    if (e->out == PI_S32) ((int32_t *)out)[j] = (int32_t)u;
    else law_finish(e, (float)(int32_t)u, row, col, res, j, out);
}
static inline void law_float(const struct pi_epi *e, float sum, size_t row, size_t col, const void *res, size_t j, void *out)
{
    law_finish(e, sum + ((const float *)e->bias)[col], row, col, res, j, out);
}
#endif
