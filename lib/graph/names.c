#include "names.h"
#include <string.h>
#include "../base/hash.h"

/* Open addressing; the size is a power of two and at least a third is free. */
static struct pi_name *place(const struct pi_names *t, const char *s)
{
    size_t i = (size_t)pi_hash_of(s, strlen(s)) & (t->size - 1);
    while (t->slot[i].s && strcmp(t->slot[i].s, s))
        i = (i + 1) & (t->size - 1);
    return &t->slot[i];
}

int pi_names_find(const struct pi_names *t, const char *s)
{
    if (!t->size)
        return -1;
    const struct pi_name *p = place(t, s);
    return p->s ? p->index : -1;
}

int pi_names_add(struct pi_names *t, const struct pi_allocator *a, const char *s, int index)
{
    if (3 * (t->count + 1) > 2 * t->size) {
        struct pi_names bigger = {.size = t->size ? 2 * t->size : 64, .count = t->count};
        bigger.slot = pi_calloc(a, bigger.size, sizeof *bigger.slot);
        if (!bigger.slot)
            return -1;
        for (size_t i = 0; i < t->size; i++)
            if (t->slot[i].s)
                *place(&bigger, t->slot[i].s) = t->slot[i];
        pi_free(a, t->slot);
        *t = bigger;
    }
    *place(t, s) = (struct pi_name){s, index};
    t->count++;
    return 0;
}

void pi_names_free(struct pi_names *t, const struct pi_allocator *a)
{
    pi_free(a, t->slot);
    *t = (struct pi_names){0};
}
