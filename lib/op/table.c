/* Every operator, from ops.def. */
#include <string.h>
#include "../graph/opdef.h"

#define PI_OP(symbol) extern const struct pi_opdef pi_op_##symbol;
#include "ops.def"
#undef PI_OP

static const struct pi_opdef *const defs[] = {
#define PI_OP(symbol) &pi_op_##symbol,
#include "ops.def"
#undef PI_OP
    NULL
};

const struct pi_opdef *pi_opdef_at(size_t i)
{
    return i < sizeof defs / sizeof defs[0] ? defs[i] : NULL;
}

const struct pi_opdef *pi_opdef_find(const char *name, int opset, int *known)
{
    if (known) *known = 0;
    for (size_t i = 0; defs[i]; i++) {
        if (strcmp(defs[i]->name, name)) continue;
        if (known) *known = 1;
        if (defs[i]->since <= opset && (defs[i]->until == 0 || opset <= defs[i]->until)) return defs[i];
    }
    return NULL;
}
