#include "precinfer.h"

const char *precinfer_precision_string(enum precinfer_precision precision)
{
    static const char *const names[] = { "f32", "bf16", "int8" };
    return (unsigned)precision < 3 ? names[precision] : "?";
}
