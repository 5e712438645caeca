/* The container: round trip, every truncation, every bit, tables that lie. */
#include "../lib/base/hash.h"
#include "../lib/format/container.h"
#include "format_tools.h"

static const struct pi_container_type type = { PI_TAG('T', 'E', 'S', 'T'), 2, 3, "test" };
static unsigned char first[100], third[64];

static size_t make(unsigned char **out, size_t n)
{
    static const struct pi_allocator *a = &pi_default_allocator;
    struct pi_bytes b = { .a = a };
    for (size_t i = 0; i < sizeof first; i++) first[i] = (unsigned char)(i * 7 + 1);
    for (size_t i = 0; i < sizeof third; i++) third[i] = (unsigned char)(255 - i);
    const struct pi_section s[] = { { PI_TAG('F', 'I', 'R', 'S'), first, sizeof first }, { PI_TAG('N', 'O', 'N', 'E'), NULL, 0 },
        { PI_TAG('F', 'I', 'R', 'S'), third, sizeof third }, { PI_TAG('L', 'A', 'S', 'T'), "x", 1 } };
    ck_assert_int_eq(pi_container_bytes(&type, s, n, &b, NULL), 0);
    *out = b.data;
    return b.size;
}

/* A checksum that agrees with whatever stands there. */
static void seal(unsigned char *b, size_t n)
{
    pi_store_u64(b + 32, 0);
    pi_store_u64(b + 32, pi_hash_of(b, n));
}

START_TEST(round_trip)
{
    unsigned char *b;
    for (size_t n = 0; n <= 4; n++) {
        struct pi_container c;
        struct pi_section s;
        const size_t size = make(&b, n);
        f_ok(pi_container_open(b, size, &type, &c, &err));
        h_expect(c.n == n && c.major == 2 && c.minor == 3 && c.checksum == pi_load_u64(b + 32), "%zu sections", c.n);
        h_expect(pi_container_kind(b, size) == type.kind, "kind");
        for (size_t i = 0; i < n; i++) {
            pi_container_section(&c, i, &s);
            h_expect(((const unsigned char *)s.data - b) % 64 == 0, "section %zu is not aligned", i);
        }
        if (n > 0) { f_ok(pi_container_need(&c, PI_TAG('F', 'I', 'R', 'S'), &s, &err)); h_expect(s.size == sizeof first,
                "size"); h_same_bytes("first", first, s.data, s.size); }
        if (n > 1) { f_ok(pi_container_need(&c, PI_TAG('N', 'O', 'N', 'E'), &s, &err)); h_expect(s.size == 0, "empty"); }
        if (n > 2) { h_expect(!pi_container_find(&c, PI_TAG('F', 'I', 'R', 'S'), 1, &s), "second of a tag"); h_same_bytes("third",
                third, s.data, sizeof third); }
        h_expect(pi_container_find(&c, PI_TAG('F', 'I', 'R', 'S'), 2, &s) && !s.data, "a third of that tag");
        f_refused(pi_container_need(&c, PI_TAG('G', 'O', 'N', 'E'), &s, &err), PRECINFER_MALFORMED, "GONE");
        pi_free(&pi_default_allocator, b);
    }
    h_finish();
}
END_TEST

START_TEST(damage)
{
    unsigned char *b;
    struct pi_container c;
    const size_t size = make(&b, 4);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *guarded = h_guard(cut);
        struct precinfer_error err = { 0 };
        memcpy(guarded, b, cut);
        h_expect(pi_container_open(guarded, cut, &type, &c, &err) == PRECINFER_MALFORMED && *err.text, "cut at %zu", cut);
        h_guard_free(guarded);
    }
    for (size_t bit = 0; bit < size * 8; bit++) {
        b[bit / 8] ^= (unsigned char)(1 << bit % 8);
        h_expect(pi_container_open(b, size, &type, &c, NULL) != 0, "bit %zu", bit);
        b[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    f_ok(pi_container_open(b, size, &type, &c, &err));
    pi_free(&pi_default_allocator, b);
    h_finish();
}
END_TEST

START_TEST(versions)
{
    unsigned char *b;
    struct pi_container c;
    const size_t size = make(&b, 2);
    b[14] = 1; seal(b, size);
    f_ok(pi_container_open(b, size, &type, &c, &err));
    h_expect(c.minor == 1, "an older minor");
    b[14] = 9; seal(b, size);
    f_ok(pi_container_open(b, size, &type, &c, &err));
    b[12] = 3; seal(b, size);
    f_refused(pi_container_open(b, size, &type, &c, &err), PRECINFER_UNSUPPORTED,
              "version 3.9 was written by a newer version of the library; this one reads 2.x");
    b[12] = 1; seal(b, size);
    f_refused(pi_container_open(b, size, &type, &c, &err), PRECINFER_UNSUPPORTED, "an older version");
    b[12] = 2; b[8] = 'X'; seal(b, size);
    f_refused(pi_container_open(b, size, &type, &c, &err), PRECINFER_MALFORMED, "kind XEST");
    f_refused(pi_container_open("hello, this is no container", 27, &type, &c, &err), PRECINFER_MALFORMED, "no test file");
    pi_free(&pi_default_allocator, b);
    h_finish();
}
END_TEST

/* The checksum is right, the table is not: the reader must not believe it. */
START_TEST(lies)
{
    static const uint64_t hard[] = { 0, 1, 63, 64, 65, 128, 191, 192, 256, 1 << 20, INT64_MAX, UINT64_MAX, UINT64_MAX - 63,
        (uint64_t)1 << 63 };
    enum { HARD = sizeof hard / sizeof *hard };
    unsigned char *b;
    struct pi_container c;
    const size_t size = make(&b, 4);
    unsigned char *guarded = h_guard(size);
    for (size_t field = 64; field < 64 + 4 * 32; field += 8)
        for (size_t i = 0; i < HARD; i++) {
            memcpy(guarded, b, size);
            pi_store_u64(guarded + field, hard[i]);
            seal(guarded, size);
            const int status = pi_container_open(guarded, size, &type, &c, NULL);
            /* A size that ends within the same padding is a valid file too, as is anything in the unused fields. */
            const uint64_t was = pi_load_u64(b + field);
            const int same = field % 32 == 8 ? was == hard[i] : field % 32 == 16 ? field < 64 + 3 * 32
                && (was + 63) / 64 == (hard[i] + 63) / 64 && hard[i] < INT64_MAX : 1;
            h_expect(status || same || was == hard[i], "field %zu is %llu", field, (unsigned long long)hard[i]);
            for (size_t k = 0; !status && k < c.n; k++) {
                struct pi_section s;
                pi_container_section(&c, k, &s);
                if (s.size) pi_hash_of(s.data, s.size);
            }
        }
    for (size_t i = 0; i < HARD; i++) {
        memcpy(guarded, b, size);
        pi_store_u32(guarded + 16, (uint32_t)hard[i]);
        seal(guarded, size);
        h_expect(pi_container_open(guarded, size, &type, &c, NULL) != 0, "%u sections", (uint32_t)hard[i]);
    }
    h_guard_free(guarded);
    pi_free(&pi_default_allocator, b);
    h_finish();
}
END_TEST

START_TEST(files)
{
    unsigned char *b, *stored;
    const struct pi_section s[] = { { PI_TAG('F', 'I', 'R', 'S'), first, sizeof first } };
    const size_t size = make(&b, 1);
    size_t n;
    f_begin();
    for (long k = 1; ; k++) {
        struct h_host h = { .fail_at = k };
        precinfer_context *c = h_context(&h, NULL);
        const int status = c ? pi_container_write(c, f_path("x"), &type, s, 1, NULL) : PRECINFER_NO_MEMORY;
        h_expect(h.failed ? status == PRECINFER_NO_MEMORY && access(f_path("x"), F_OK) : !status, "allocation %ld: %d", k,
                 status);
        precinfer_context_free(c);
        h_expect(h.live == 0, "allocation %ld: %ld blocks stayed", k, (long)h.live);
        if (!h.failed) break;
    }
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    f_refused(pi_container_write(c, f_path("no/x"), &type, s, 1, &err), PRECINFER_IO, "no/x");
    precinfer_context_free(c);
    stored = f_read("x", &n);
    h_expect(n == size, "%zu bytes, not %zu", n, size);
    h_same_bytes("file", b, stored, size);
    free(stored);
    pi_free(&pi_default_allocator, b);
    f_end();
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("format_container");
    h_add(s, "round trip", round_trip, 1, 5);
    h_add(s, "damage", damage, 1, 5);
    h_add(s, "versions", versions, 1, 5);
    h_add(s, "tables that lie", lies, 1, 5);
    h_add(s, "files", files, 1, 5);
    return s;
}
