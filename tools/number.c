/* Numbers in arrays, and as text. */
#include <stdlib.h>
#include <string.h>
#include "tool.h"

size_t elements_of(const struct precinfer_tensor *t)
{
    size_t n = 1;
    for (int d = 0; d < t->rank; d++) n *= (size_t)t->dims[d];
    return n;
}

int is_integer_type(enum precinfer_dtype t) { return t >= PRECINFER_U8 && t <= PRECINFER_BOOL; }

int integer_at(const struct precinfer_tensor *t, size_t i, int64_t *x)
{
    switch (t->dtype) {
    case PRECINFER_U8: case PRECINFER_BOOL: *x = ((const uint8_t *)t->data)[i]; return 0;
    case PRECINFER_S8: *x = ((const int8_t *)t->data)[i]; return 0;
    case PRECINFER_U16: *x = ((const uint16_t *)t->data)[i]; return 0;
    case PRECINFER_S16: *x = ((const int16_t *)t->data)[i]; return 0;
    case PRECINFER_U32: *x = ((const uint32_t *)t->data)[i]; return 0;
    case PRECINFER_S32: *x = ((const int32_t *)t->data)[i]; return 0;
    case PRECINFER_S64: *x = ((const int64_t *)t->data)[i]; return 0;
    case PRECINFER_U64: *x = ((const int64_t *)t->data)[i]; return *x < 0;
    default: *x = 0; return 1;
    }
}

static double half(uint16_t h)
{
    const int exponent = h >> 10 & 31;
    double x = (h & 1023) / 1024.0 + (exponent != 0);
    for (int i = exponent ? exponent : 1; i < 15; i++) x /= 2;
    for (int i = 15; i < exponent; i++) x *= 2;
    if (exponent == 31) x = h & 1023 ? strtod("nan", NULL) : strtod("inf", NULL);
    return h >> 15 ? -x : x;
}

static double brain(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return (double)f;
}

double double_at(const struct precinfer_tensor *t, size_t i)
{
    int64_t x;
    switch (t->dtype) {
    case PRECINFER_F32: return (double)((const float *)t->data)[i];
    case PRECINFER_F64: return ((const double *)t->data)[i];
    case PRECINFER_F16: return half(((const uint16_t *)t->data)[i]);
    case PRECINFER_BF16: return brain(((const uint16_t *)t->data)[i]);
    case PRECINFER_U64: return (double)((const uint64_t *)t->data)[i];
    default: integer_at(t, i, &x); return (double)x;
    }
}

const char *shortest_text(double x, char *s, size_t room)
{
    snprintf(s, room, "null");
    if (!(x - x == 0)) return s;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, room, "%.*g", digits, x);
        if (strtod(s, NULL) == x) break;
    }
    /* 2.3206e+05 is 232060: exponents are for what has no plain form */
    if (x < 1e15 && x > -1e15 && strchr(s, 'e') && x == (double)(int64_t)x) snprintf(s, room, "%lld", (long long)x);
    return s;
}
