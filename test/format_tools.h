/* What the tests of format share: a folder of its own for each test, files, arrays by hand. */
#ifndef PI_TEST_FORMAT_TOOLS_H
#define PI_TEST_FORMAT_TOOLS_H
#include "harness.h"

static char f_dir[64];

static inline void f_begin(void)
{
    strcpy(f_dir, "/tmp/precinfer-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f_dir));
}

static inline void f_end(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", f_dir);
    ck_assert_int_eq(system(command), 0);
}

/* A path in the test's folder; four at a time. */
static inline const char *f_path(const char *name)
{
    static char path[4][1024];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof *path, "%s/%s", f_dir, name);
    return p;
}

static inline void f_write(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(f_path(name), "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static inline unsigned char *f_read(const char *name, size_t *n)
{
    FILE *f = fopen(f_path(name), "rb");
    ck_assert_ptr_nonnull(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*n + 1);
    ck_assert_uint_eq(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

/* A version 1 .npy in memory from a dict and data. */
static inline size_t f_npy(unsigned char *to, const char *dict, const void *data, size_t bytes)
{
    const size_t n = strlen(dict);
    memcpy(to, "\x93NUMPY\1\0", 8);
    to[8] = (unsigned char)n;
    to[9] = (unsigned char)(n >> 8);
    memcpy(to + 10, dict, n);
    if (bytes) memcpy(to + 10 + n, data, bytes);
    return 10 + n + bytes;
}

static inline void f_write_npy(const char *name, const char *dict, const void *data, size_t bytes)
{
    unsigned char *all = malloc(bytes + 4096);
    f_write(name, all, f_npy(all, dict, data, bytes));
    free(all);
}

/* status and a part of the text, at once */
#define f_refused(call, wanted, part) \
    do { \
        struct precinfer_error err = { 0 }; \
        const int f_got = (call); \
        h_expect(f_got == (int)(wanted) && (int)err.status == f_got && strstr(err.text, part), \
                 "%s gave %d '%s'; expected %d and '%s'", #call, f_got, err.text, (int)(wanted), part); \
    } while (0)
#define f_ok(call) \
    do { \
        struct precinfer_error err = { 0 }; \
        const int f_got = (call); \
        h_expect(!f_got, "%s gave %d: %s", #call, f_got, err.text); \
    } while (0)
#endif
