#include "harness.h"
#include "../lib/base/alloc.h"

static struct pi_allocator on(struct h_host *h) { return (struct pi_allocator){ h, h_alloc, h_release }; }

START_TEST(blocks)
{
    struct h_host h = { 0 };
    const struct pi_allocator lent = on(&h), *each[] = { &pi_default_allocator, &lent };
    for (int i = 0; i < 2; i++) {
        const struct pi_allocator *a = each[i];
        for (size_t n = 0; n < 300; n += 7) {
            unsigned char *p = pi_malloc(a, n), *z = pi_calloc(a, n, 3);
            h_expect(p && z && (uintptr_t)p % 64 == 0 && (uintptr_t)z % 64 == 0, "size %zu: %p %p", n, (void *)p, (void *)z);
            for (size_t j = 0; j < 3 * n; j++) h_expect(!z[j], "calloc %zu: byte %zu is %d", n, j, z[j]);
            for (size_t j = 0; j < n; j++) p[j] = (unsigned char)j;
            unsigned char *q = pi_grow(a, p, n, n + 100);
            for (size_t j = 0; j < n; j++) h_expect(q[j] == (unsigned char)j, "grow %zu: byte %zu", n, j);
            pi_free(a, q);
            pi_free(a, z);
        }
        pi_free(a, pi_grow(a, NULL, 0, 10));
        pi_free(a, NULL);
        h_expect(!pi_calloc(a, SIZE_MAX / 2, 3) && !pi_malloc(&pi_default_allocator, SIZE_MAX), "an overflow was served");
    }
    h_expect(h.live == 0, "%ld blocks live", h.live);
    h_finish();
}
END_TEST

START_TEST(growth_fails_whole)
{
    struct h_host h = { 0 };
    const struct pi_allocator a = on(&h);
    char *p = pi_malloc(&a, 4);
    memcpy(p, "abc", 4);
    h.fail_at = 2;
    ck_assert_ptr_null(pi_grow(&a, p, 4, 100));
    ck_assert_str_eq(p, "abc");
    ck_assert_int_eq(h.live, 1);
    pi_free(&a, p);
    ck_assert_int_eq(h.live, 0);
}
END_TEST

/* Objects of many sizes: aligned, zero, apart from one another, all released. */
START_TEST(arena_objects)
{
    struct h_host h = { 0 };
    const struct pi_allocator a = on(&h);
    struct pi_arena arena = { .a = &a };
    enum { N = 600 };
    static unsigned char *p[N];
    static size_t size[N];
    h_reseed(_i);
    for (int i = 0; i < N; i++) {
        const int big = h_below(10) == 0;
        size[i] = h_below(20) ? h_below(200) : h_below(40000);
        p[i] = big ? pi_arena_big(&arena, size[i]) : pi_arena_new(&arena, 1, size[i]);
        h_expect(p[i] && (uintptr_t)p[i] % (big ? 64 : 16) == 0, "object %d of %zu at %p", i, size[i], (void *)p[i]);
        for (size_t j = 0; j < size[i]; j++)
            if (p[i][j]) { h_expect(0, "object %d: byte %zu is %d", i, j, p[i][j]); break; }
        memset(p[i], i % 255 + 1, size[i]);
    }
    for (int i = 0; i < N; i++)
        for (size_t j = 0; j < size[i]; j++)
            if (p[i][j] != i % 255 + 1) { h_expect(0, "object %d was overwritten at %zu", i, j); break; }
    char *s = pi_arena_string(&arena, "abcdef", 3);
    h_expect(!strcmp(s, "abc"), "string '%s'", s);
    s = pi_arena_string(&arena, NULL, 0);
    h_expect(!strcmp(s, ""), "string '%s'", s);
    h_expect(!pi_arena_new(&arena, SIZE_MAX / 2, 3) && !pi_arena_big(&arena, SIZE_MAX - 8) &&
             !pi_arena_string(&arena, "", SIZE_MAX), "an overflow was served");
    h_expect(h.calls < N / 2, "%ld blocks for %d objects", h.calls, N);
    pi_arena_free(&arena);
    h_expect(h.live == 0 && !arena.block, "%ld blocks live", h.live);
    pi_arena_free(&arena);
    h_finish();
}
END_TEST

START_TEST(arena_fails)
{
    for (long n = 1; n < 5; n++) {
        struct h_host h = { .fail_at = n };
        const struct pi_allocator a = on(&h);
        struct pi_arena arena = { .a = &a };
        int served = 0;
        for (int i = 0; i < 4; i++) served += pi_arena_new(&arena, 1000, 10) != NULL;
        h_expect(served == 3 && h.failed == 1, "allocation %ld: %d served", n, served);
        pi_arena_free(&arena);
        h_expect(h.live == 0, "%ld blocks live", h.live);
    }
    h_finish();
}
END_TEST

START_TEST(sizes)
{
    size_t r;
    struct precinfer_error err;
    ck_assert(pi_mul_size(SIZE_MAX, 2, &r) && !pi_mul_size(6, 7, &r) && r == 42);
    ck_assert(pi_add_size(SIZE_MAX, 1, &r) && !pi_add_size(40, 2, &r) && r == 42);
    ck_assert(pi_up(0, 16) == 0 && pi_up(1, 16) == 16 && pi_up(16, 16) == 16 && pi_up(17, 16) == 32 && pi_up(7, 3) == 9);
    ck_assert_int_eq(pi_no_memory(&err, 4096), PRECINFER_NO_MEMORY);
    ck_assert_str_eq(err.text, "out of memory: 4096 bytes");
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("base_alloc");
    h_add(s, "blocks", blocks, 1, 10);
    h_add(s, "growth_fails_whole", growth_fails_whole, 1, 5);
    h_add(s, "arena_objects", arena_objects, 3, 10);
    h_add(s, "arena_fails", arena_fails, 1, 5);
    h_add(s, "sizes", sizes, 1, 5);
    return s;
}
