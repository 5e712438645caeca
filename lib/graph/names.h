/* A table from names to indexes. Strings are borrowed. */
#ifndef PI_GRAPH_NAMES_H
#define PI_GRAPH_NAMES_H
#include "../base/alloc.h"

struct pi_names { struct pi_name { const char *s; int index; } *slot; size_t size, count; };
int pi_names_find(const struct pi_names *t, const char *s);                 /* -1: none                        */
/* s is not there yet. Nonzero: out of memory, nothing changed. */
int pi_names_add(struct pi_names *t, const struct pi_allocator *a, const char *s, int index);
void pi_names_free(struct pi_names *t, const struct pi_allocator *a);
#endif
