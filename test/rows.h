/* Which kernel rows this CPU can run, and the reference row that each is compared with. */
#ifndef PI_TEST_ROWS_H
#define PI_TEST_ROWS_H
#include "harness.h"
#include "../lib/base/cpu.h"
#include "../lib/kern/choose.h"

enum { R_MOST = 512 };
struct r_rows { const struct pi_row *row[R_MOST]; const struct pi_isa *isa[R_MOST]; size_t n; };

/* The family's rows of every table, reference first. */
static inline void r_find(struct r_rows *r, enum pi_family family)
{
    struct pi_cpu cpu;
    pi_cpu_detect(&cpu);
    r->n = 0;
    for (const struct pi_isa *i = pi_isas; i->name; i++) {
        if (i->features & ~cpu.features) continue;
        for (const struct pi_row *row = i->rows; row->name && r->n < R_MOST; row++)
            if (row->family == family && h_wanted(row->name)) { r->row[r->n] = row; r->isa[r->n++] = i; }
    }
}
static inline const struct pi_row *r_ref(const struct pi_row *row)
{
    for (const struct pi_row *r = pi_isas[0].rows; r->name; r++)
        if (r->family == row->family && r->op == row->op && r->a == row->a && r->b == row->b &&
            (row->family == PI_DWCONV || r->outs == row->outs)) return r;
    return NULL;
}
static inline void r_print(const struct r_rows *r)
{
    if (!getenv("CK_RUN_CASE")) for (size_t i = 0; i < r->n; i++) h_witness(r->row[i]->name);
}
/* Tests of the reference alone add nothing where other rows are looked for. */
static inline int r_ref_wanted(void) { return h_wanted("_ref"); }
/* Fewer cases where every instruction is emulated. */
static inline int r_quick(void) { const char *s = getenv("PI_QUICK"); return s && *s && *s != '0'; }

/* Floats at which functions change their mind, and the 32 scales that quantize is tried at. */
static const float r_special[] = {
    0.0f, -0.0f, 1.0f, -1.0f, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 3.0f, -3.0f, 6.0f, 1e-45f, -1e-45f, 0x1p-126f, -0x1p-126f,
    0x1.fffffcp-127f, 0x1.fffffep127f, -0x1.fffffep127f, __builtin_inff(), -__builtin_inff(),
    __builtin_nanf(""), -__builtin_nanf(""),
    88.722839f, 88.72284f, -87.336544f, -103.97208f, -103.9721f, -104.0f, 89.0f, 0.625f, 0x1.3ffffep-1f, 0.90625f, 0x1.cffffep-1f,
    4.0f, 10.0f, 9.0109f, 0x1p23f, -0x1p23f, 0x1p22f, 8388607.5f, -8388607.5f, 0.70710678f, 1.41421356f, 65504.0f, 65519.996f,
    65520.0f, 0x1p-14f, 0x1p-24f, 0x1p-25f, 0x1.000002p-25f, 0x1.8p-24f, 0x1.fffp-15f, 0x1.ffep-15f, 1e30f, -1e30f, 254.5f, 255.5f
};
enum { R_SPECIAL = sizeof r_special / sizeof *r_special, R_SCALES = 32 };
static const float r_scale[R_SCALES] = {
    1.0f, 0.5f, 0.25f, 2.0f, 0x1p-7f, 0x1p-20f, 0x1p20f, 0.1f, 0.3f, 0.7f, 0.05f, 0.01f, 0.003921569f, 0.007874016f, 0.0078125f,
    0.0235294f, 0.0186584f, 0.04724409f, 0.3333333f, 0.6666667f, 1.1f, 3.1415927f, 7.0f, 0.1428571f, 100.0f, 1e-6f, 1e6f, 1e-30f,
    1e30f, 0x1.fffffep-3f, 0x1.000002p-4f, 0.0123456f
};
/* The float k steps from x. */
static inline float r_step(float x, int k) { return h_float(h_bits(x) + (uint32_t)k); }
#endif
