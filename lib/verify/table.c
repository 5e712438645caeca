#include "table.h"

/* Where the key is, or would be. */
static size_t slot(const struct pi_table *t, uint64_t key)
{
    size_t i = (size_t)(key ^ key >> 32) & (t->room - 1);
    while (t->at[i] && t->keys[i] != key) i = (i + 1) & (t->room - 1);
    return i;
}

long pi_table_find(const struct pi_table *t, uint64_t key)
{
    return t->room ? (long)t->at[slot(t, key)] - 1 : -1;
}

static int enlarge(const struct pi_allocator *a, struct pi_table *t, struct precinfer_error *err)
{
    struct pi_table bigger = { .n = t->n, .room = t->room ? t->room * 2 : 64 };
    bigger.keys = pi_calloc(a, bigger.room, sizeof *bigger.keys);
    bigger.at = pi_calloc(a, bigger.room, sizeof *bigger.at);
    if (!bigger.keys || !bigger.at) {
        pi_table_free(a, &bigger);
        return pi_no_memory(err, t->room * 2 * sizeof *t->keys);
    }
    for (size_t i = 0; i < t->room; i++) {
        if (!t->at[i]) continue;
        const size_t to = slot(&bigger, t->keys[i]);
        bigger.keys[to] = t->keys[i];
        bigger.at[to] = t->at[i];
    }
    pi_table_free(a, t);
    *t = bigger;
    return 0;
}

int pi_table_put(const struct pi_allocator *a, struct pi_table *t, uint64_t key, size_t index, struct precinfer_error *err)
{
    if (index >= UINT32_MAX - 1) return pi_fail(err, PRECINFER_UNSUPPORTED, "more than 2^32 units or slices");
    if (2 * (t->n + 1) > t->room) PI_TRY(enlarge(a, t, err));
    const size_t i = slot(t, key);
    t->keys[i] = key;
    t->at[i] = (uint32_t)index + 1;
    t->n++;
    return 0;
}

void pi_table_free(const struct pi_allocator *a, struct pi_table *t)
{
    pi_free(a, t->keys);
    pi_free(a, t->at);
    *t = (struct pi_table){ 0 };
}

int pi_more(const struct pi_allocator *a, void **array, size_t n, size_t *room, size_t size, struct precinfer_error *err)
{
    if (n < *room) return 0;
    const size_t to = *room ? *room * 2 : 16;
    size_t bytes;
    void *bigger = pi_mul_size(to, size, &bytes) ? NULL : pi_grow(a, *array, n * size, bytes);
    if (!bigger) return pi_no_memory(err, n * size);
    *array = bigger;
    *room = to;
    return 0;
}
