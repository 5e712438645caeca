/* The host's allocator. malloc and free are called in alloc.c only. */
#ifndef PI_BASE_ALLOC_H
#define PI_BASE_ALLOC_H
#include <stddef.h>
#include "precinfer.h"

struct pi_allocator {
    void *host;
    void *(*alloc)(void *host, size_t bytes, size_t align);
    void (*release)(void *host, void *block);
};
extern const struct pi_allocator pi_default_allocator;

/* 64-byte aligned; NULL when out of memory or when count * size overflows. pi_calloc zeroes. A size of 0 gives a valid
 * block. pi_grow: a bigger block with the old content (old may be NULL), the old block freed; on failure it stays. */
void *pi_malloc(const struct pi_allocator *a, size_t bytes);
void *pi_calloc(const struct pi_allocator *a, size_t count, size_t size);
void *pi_grow(const struct pi_allocator *a, void *old, size_t old_bytes, size_t new_bytes);
void pi_free(const struct pi_allocator *a, void *block);

/* An arena: objects of one lifetime, freed together. Zero-initialise with the allocator set. Objects are zeroed and
 * 16-byte aligned (pi_arena_big: 64). NULL when out of memory. */
struct pi_arena { const struct pi_allocator *a; struct pi_arena_block *block; };
void *pi_arena_new(struct pi_arena *arena, size_t count, size_t size);
void *pi_arena_big(struct pi_arena *arena, size_t bytes);
char *pi_arena_string(struct pi_arena *arena, const char *s, size_t n);  /* copies n bytes and ends them */
void pi_arena_free(struct pi_arena *arena);

int pi_no_memory(struct precinfer_error *err, size_t bytes);    /* the error of a failed allocation */
/* a * b or a + b into *r; nonzero on overflow. */
static inline int pi_mul_size(size_t a, size_t b, size_t *r) { return __builtin_mul_overflow(a, b, r); }
static inline int pi_add_size(size_t a, size_t b, size_t *r) { return __builtin_add_overflow(a, b, r); }
static inline size_t pi_up(size_t x, size_t to) { return (x + to - 1) / to * to; }
#endif
