#include "alloc.h"
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"

enum { ALIGN = 64 };

static void *host_alloc(void *host, size_t bytes, size_t align)
{
    size_t padded;                      /* aligned_alloc wants a multiple of the alignment */
    (void)host;
    if (pi_add_size(bytes ? bytes : 1, align - 1, &padded)) return NULL;
    return aligned_alloc(align, padded & ~(align - 1));
}
static void host_release(void *host, void *block) { (void)host; free(block); }

const struct pi_allocator pi_default_allocator = { NULL, host_alloc, host_release };

void *pi_malloc(const struct pi_allocator *a, size_t bytes) { return a->alloc(a->host, bytes ? bytes : 1, ALIGN); }

void *pi_calloc(const struct pi_allocator *a, size_t count, size_t size)
{
    size_t bytes;
    if (pi_mul_size(count, size, &bytes)) return NULL;
    void *p = pi_malloc(a, bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

void *pi_grow(const struct pi_allocator *a, void *old, size_t old_bytes, size_t new_bytes)
{
    void *p = pi_malloc(a, new_bytes);
    if (!p) return NULL;
    if (old) memcpy(p, old, old_bytes < new_bytes ? old_bytes : new_bytes);
    pi_free(a, old);
    return p;
}

void pi_free(const struct pi_allocator *a, void *block)
{
    if (block) a->release(a->host, block);
}

int pi_no_memory(struct precinfer_error *err, size_t bytes)
{
    return pi_fail(err, PRECINFER_NO_MEMORY, "out of memory: %zu bytes", bytes);
}

/* ---------------------------------------------------------------- arena */

enum { FIRST_BLOCK = 4096, LAST_BLOCK = 256 * 1024 };
struct pi_arena_block {
    struct pi_arena_block *next;
    size_t size, used;                  /* of bytes                                                        */
    alignas(ALIGN) unsigned char bytes[];
};

/* A block of at least `bytes`. One that a single object fills goes behind the first, which may have room left. */
static struct pi_arena_block *add_block(struct pi_arena *arena, size_t bytes)
{
    struct pi_arena_block *first = arena->block;
    size_t size = !first ? FIRST_BLOCK : first->size < LAST_BLOCK ? 2 * first->size : LAST_BLOCK, all;
    const int single = bytes > size / 4;
    if (single) size = bytes;
    if (pi_add_size(size, sizeof *first, &all)) return NULL;
    struct pi_arena_block *b = pi_malloc(arena->a, all);
    if (!b) return NULL;
    b->size = size; b->used = 0;
    if (single && first) { b->next = first->next; first->next = b; }
    else { b->next = first; arena->block = b; }
    return b;
}

static void *take(struct pi_arena *arena, size_t bytes, size_t align)
{
    if (!bytes) bytes = 1;
    struct pi_arena_block *b = arena->block;
    if (b) {
        const size_t at = (b->used + align - 1) & ~(align - 1);
        if (at <= b->size && bytes <= b->size - at) {
            b->used = at + bytes;
            return memset(b->bytes + at, 0, bytes);
        }
    }
    b = add_block(arena, bytes);
    if (!b) return NULL;
    b->used = bytes;
    return memset(b->bytes, 0, bytes);
}

void *pi_arena_new(struct pi_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    return pi_mul_size(count, size, &bytes) ? NULL : take(arena, bytes, 16);
}
void *pi_arena_big(struct pi_arena *arena, size_t bytes) { return take(arena, bytes, ALIGN); }

char *pi_arena_string(struct pi_arena *arena, const char *s, size_t n)
{
    size_t bytes;
    if (pi_add_size(n, 1, &bytes)) return NULL;
    char *p = take(arena, bytes, 1);
    return p && n ? memcpy(p, s, n) : p;
}

void pi_arena_free(struct pi_arena *arena)
{
    while (arena->block) {
        struct pi_arena_block *next = arena->block->next;
        pi_free(arena->a, arena->block);
        arena->block = next;
    }
}
