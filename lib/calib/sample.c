#include <string.h>
#include "../base/bytes.h"
#include "../base/error.h"
#include "../base/hash.h"
#include "../base/sort.h"
#include "stats.h"

/* ------------------------------------------------------------------------------------------------ hash */

static void add_floats(struct pi_hash *h, const float *x, size_t n)
{
    uint32_t u[256];
    for (size_t step; n; x += step, n -= step) {
        step = n < 256 ? n : 256;
        memcpy(u, x, step * 4);
        for (size_t i = 0; i < step; i++) if ((u[i] & 0x7fffffff) > 0x7f800000) u[i] = 0x7fc00000;
        pi_hash_add(h, u, step * 4);
    }
}

uint64_t pi_sample_hash(const struct precinfer_batch *b, size_t sample)
{
    struct pi_hash h;
    pi_hash_init(&h);
    for (size_t i = 0; i < b->ninputs; i++) {
        const struct precinfer_tensor *t = &b->inputs[i];
        const int split = t->rank > 0 && t->dims[0] == (int64_t)b->samples;
        unsigned char head[8];
        size_t n = 1;
        pi_store_u32(head, (uint32_t)t->dtype);
        pi_store_u32(head + 4, (uint32_t)t->rank);
        pi_hash_add(&h, head, 8);
        for (int d = 1; d < t->rank; d++) {
            pi_store_u64(head, (uint64_t)t->dims[d]);
            pi_hash_add(&h, head, 8);
            n *= (size_t)t->dims[d];
        }
        if (!split && t->rank > 0) n *= (size_t)t->dims[0];
        const size_t bytes = n * precinfer_dtype_size(t->dtype);
        const unsigned char *data = (const unsigned char *)t->data + (split ? sample * bytes : 0);
        if (t->dtype == PRECINFER_F32) add_floats(&h, (const float *)data, n);
        else if (bytes) pi_hash_add(&h, data, bytes);
    }
    return pi_hash_end(&h);
}

/* ------------------------------------------------------------------------------------------------ sketch */

/* Hashes wait behind the sorted ones; this many at most. */
enum { WAITING = 4096 };

void pi_sketch_finish(struct pi_sketch *s)
{
    if (!s->pending) return;
    const size_t all = s->n + s->pending;
    size_t n = 0;
    pi_sort_u64(s->hashes, all);
    for (size_t i = 0; i < all && n < PI_SKETCH; i++)
        if (!n || s->hashes[i] != s->hashes[n - 1]) s->hashes[n++] = s->hashes[i];
    s->n = n;
    s->pending = 0;
}

int pi_sketch_add(const struct pi_allocator *a, struct pi_sketch *s, uint64_t hash, struct precinfer_error *err)
{
    if (s->n == PI_SKETCH && hash >= s->hashes[PI_SKETCH - 1]) return 0;
    if (s->pending == WAITING) pi_sketch_finish(s);
    if (s->n + s->pending == s->room) {
        const size_t most = PI_SKETCH + WAITING, twice = s->room ? s->room * 2 : 256, room = twice < most ? twice : most;
        void *bigger = pi_grow(a, s->hashes, s->room * sizeof *s->hashes, room * sizeof *s->hashes);
        if (!bigger) return pi_no_memory(err, room * sizeof *s->hashes);
        s->hashes = bigger;
        s->room = room;
    }
    s->hashes[s->n + s->pending++] = hash;
    return 0;
}

int pi_sketch_has(const struct pi_sketch *s, uint64_t hash)
{
    for (size_t lo = 0, hi = s->n; lo < hi;) {
        const size_t mid = lo + (hi - lo) / 2;
        if (s->hashes[mid] == hash) return 1;
        if (hash < s->hashes[mid]) hi = mid; else lo = mid + 1;
    }
    return 0;
}
