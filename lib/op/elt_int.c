/* Integer arithmetic of shapes: plain loops. Overflow wraps; a division by zero gives 0, since run cannot fail. */
#include "elt.h"

#define A(T) ((const T *)e->a)[e->mode & PI_A_SCALAR ? 0 : i]
#define B(T) ((const T *)e->b)[e->mode & PI_B_SCALAR ? 0 : i]
#define KERNEL(name, T, U, expression)                                                                                  \
    static void name(const struct pi_elt *e)                                                                            \
    {                                                                                                                   \
        for (size_t i = 0; i < e->n; i++) {                                                                             \
            const T a = A(T), b = e->b ? B(T) : 0;                                                                      \
            (void)b;                                                                                                    \
            ((T *)e->c)[i] = (T)(expression);                                                                           \
        }                                                                                                               \
    }
#define FAMILY(T, U, s)                                                                                                 \
    KERNEL(add_##s, T, U, (U)a + (U)b)                                                                                  \
    KERNEL(sub_##s, T, U, (U)a - (U)b)                                                                                  \
    KERNEL(mul_##s, T, U, (U)a * (U)b)                                                                                  \
    KERNEL(div_##s, T, U, b == 0 ? 0 : b == -1 ? (T)(0 - (U)a) : a / b)                                                 \
    KERNEL(max_##s, T, U, a > b ? a : b)                                                                                \
    KERNEL(min_##s, T, U, a < b ? a : b)                                                                                \
    KERNEL(abs_##s, T, U, a < 0 ? (T)(0 - (U)a) : a)                                                                    \
    KERNEL(neg_##s, T, U, (T)(0 - (U)a))                                                                                \
    static pi_elt_fn *of_##s(enum pi_elt_op op)                                                                         \
    {                                                                                                                   \
        switch (op) {                                                                                                   \
        case PI_ADD: return add_##s;                                                                                    \
        case PI_SUB: return sub_##s;                                                                                    \
        case PI_MUL: return mul_##s;                                                                                    \
        case PI_DIV: return div_##s;                                                                                    \
        case PI_MAX2: return max_##s;                                                                                   \
        case PI_MIN2: return min_##s;                                                                                   \
        case PI_ABS: return abs_##s;                                                                                    \
        case PI_NEG: return neg_##s;                                                                                    \
        default: return NULL;                                                                                           \
        }                                                                                                               \
    }
FAMILY(int32_t, uint32_t, s32)
FAMILY(int64_t, uint64_t, s64)

pi_elt_fn *pi_elt_int(enum pi_elt_op op, enum pi_type type)
{
    return type == PI_S32 ? of_s32(op) : type == PI_S64 ? of_s64(op) : NULL;
}
