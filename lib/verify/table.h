/* From 64-bit keys, which are hashes of what they stand for, to small indexes. */
#ifndef PI_VERIFY_TABLE_H
#define PI_VERIFY_TABLE_H
#include "../base/context.h"

/* Zero-initialise. room is a power of two, at most half of it is taken; at: index + 1, 0 free. */
struct pi_table { uint64_t *keys; uint32_t *at; size_t n, room; };
long pi_table_find(const struct pi_table *t, uint64_t key);         /* -1: not there                             */
/* The key must not be there. */
int pi_table_put(const struct pi_allocator *a, struct pi_table *t, uint64_t key, size_t index, struct precinfer_error *err);
void pi_table_free(const struct pi_allocator *a, struct pi_table *t);

/* An array that grows: room for one more of `size` bytes. */
int pi_more(const struct pi_allocator *a, void **array, size_t n, size_t *room, size_t size, struct precinfer_error *err);
#endif
