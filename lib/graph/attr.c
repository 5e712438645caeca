/* Attributes as op->check asks for them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "graph.h"

static const char *const type_words[] = {
    [PI_ATTR_INT] = "an integer", [PI_ATTR_FLOAT] = "a float", [PI_ATTR_STRING] = "a string", [PI_ATTR_INTS] = "integers",
    [PI_ATTR_FLOATS] = "floats", [PI_ATTR_STRINGS] = "strings", [PI_ATTR_TENSOR] = "a tensor"
};

const struct pi_attr *pi_attr_find(const struct pi_node *n, const char *name)
{
    for (size_t i = 0; i < n->nattr; i++)
        if (!strcmp(n->attr[i].name, name))
            return &n->attr[i];
    return NULL;
}

/* *a NULL: absent. */
static int typed(const struct pi_node *n, const char *name, enum pi_attr_type type, const struct pi_attr **a,
                 struct precinfer_error *err)
{
    *a = pi_attr_find(n, name);
    if (!*a || (*a)->type == type)
        return PRECINFER_OK;
    return pi_node_fail(n, err, PRECINFER_MALFORMED, "attribute %s is %s, not %s", name, type_words[(*a)->type],
                        type_words[type]);
}

int pi_attr_int(const struct pi_node *n, const char *name, int64_t fallback, int64_t *v, struct precinfer_error *err)
{
    const struct pi_attr *a;
    PI_TRY(typed(n, name, PI_ATTR_INT, &a, err));
    *v = a ? a->i : fallback;
    return PRECINFER_OK;
}

int pi_attr_float(const struct pi_node *n, const char *name, float fallback, float *v, struct precinfer_error *err)
{
    const struct pi_attr *a;
    PI_TRY(typed(n, name, PI_ATTR_FLOAT, &a, err));
    *v = a ? a->f : fallback;
    return PRECINFER_OK;
}

int pi_attr_string(const struct pi_node *n, const char *name, const char *fallback, const char **v, struct precinfer_error *err)
{
    const struct pi_attr *a;
    PI_TRY(typed(n, name, PI_ATTR_STRING, &a, err));
    *v = a ? a->s : fallback;
    return PRECINFER_OK;
}

int pi_attr_ints(const struct pi_node *n, const char *name, const int64_t **v, size_t *count, struct precinfer_error *err)
{
    const struct pi_attr *a;
    PI_TRY(typed(n, name, PI_ATTR_INTS, &a, err));
    *v = a ? a->ints : NULL;
    *count = a ? a->count : 0;
    return PRECINFER_OK;
}

int pi_attr_floats(const struct pi_node *n, const char *name, const float **v, size_t *count, struct precinfer_error *err)
{
    const struct pi_attr *a;
    PI_TRY(typed(n, name, PI_ATTR_FLOATS, &a, err));
    *v = a ? a->floats : NULL;
    *count = a ? a->count : 0;
    return PRECINFER_OK;
}

int pi_node_fail(const struct pi_node *n, struct precinfer_error *err, enum precinfer_status status, const char *format, ...)
{
    char text[PRECINFER_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return pi_fail(err, status, "node '%s' (%s): %s", n->name, n->op->name, text);
}
