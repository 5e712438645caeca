/* What test files share. Header only: every test file is a suite of its own.
 *
 *   random      h_rnd h_below h_unit h_reseed        seeded by PI_SEED=N, printed by every failure
 *   buffers     h_guard h_guard_aligned h_guard_free  end at an unreadable page, canaries around
 *   fills       h_fill h_tie_scale                    chosen for the bug that is feared
 *   compare     h_same h_same_bytes h_expect h_finish count mismatches, one Check assertion at the end
 *   host        struct h_host, h_options, h_context   counting and failing allocator, threads, log
 *   data        h_data_dir h_data                     NULL where the data is not on this machine: skip by name
 *
 * A test:    START_TEST(x) { h_reseed(_i); ... h_same("x", want, got, PI_F32, n); ... h_finish(); } END_TEST */
#ifndef PI_TEST_HARNESS_H
#define PI_TEST_HARNESS_H
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "precinfer.h"
#include "../kernels/kernel.h"

Suite *pi_suite(void);      /* defined by the file that includes this; the Makefile renames it per file */

/* ------------------------------------------------------------------------------------------------ random */

static uint64_t h_state;

static inline unsigned long long h_seed(void)
{
    const char *s = getenv("PI_SEED");
    return s && *s ? strtoull(s, NULL, 0) : 20240229;
}

/* Starts the sequence of one test: `salt` is its loop index, so that one index replays alone. */
static inline void h_reseed(long salt)
{
    h_state = (h_seed() + 1) * 0x9e3779b97f4a7c15u + (uint64_t)salt * 0xd1b54a32d192ed03u;
    if (!h_state) h_state = 1;
}

static inline uint64_t h_rnd64(void)
{
    if (!h_state) h_reseed(0);
    h_state ^= h_state << 13; h_state ^= h_state >> 7; h_state ^= h_state << 17;
    return h_state * 0x2545f4914f6cdd1du;
}
static inline uint32_t h_rnd(void) { return (uint32_t)(h_rnd64() >> 32); }
static inline uint32_t h_below(uint32_t n) { return (uint32_t)((uint64_t)h_rnd() * n >> 32); }                 /* 0 .. n-1 */
static inline int h_between(int lo, int hi) { return lo + (int)h_below((uint32_t)(hi - lo + 1)); }             /* both ends */
static inline float h_unit(void) { return (float)(h_rnd() >> 8) * (2.0f / (1 << 24)) - 1.0f; }                 /* -1 .. 1 */

/* ------------------------------------------------------------------------------------------------ expectations */

static unsigned long h_checks, h_failures;

static inline int h_note(int ok)
{
    h_checks++;
    if (!ok) h_failures++;
    return !ok && h_failures <= 5;
}
/* Counts; the first failures are printed. Check's own assertions are too dear for inner loops. The format is a literal. */
#define h_expect(condition, ...) \
    do { \
        if (h_note(!!(condition))) { printf("    %s:%d: ", __FILE__, __LINE__); printf(__VA_ARGS__); puts(""); fflush(stdout); } \
    } while (0)

/* The assertion that ends a test. A test that compared nothing fails too. */
#define h_finish() \
    do { \
        const unsigned long h_bad = h_failures, h_all = h_checks; \
        h_failures = h_checks = 0; \
        ck_assert_msg(h_all > 0, "nothing was compared"); \
        ck_assert_msg(h_bad == 0, "%lu of %lu comparisons failed; replay with PI_SEED=%llu", h_bad, h_all, h_seed()); \
    } while (0)

/* ------------------------------------------------------------------------------------------------ guarded buffers */

enum { H_CANARY = 0xa5 };
struct h_guard_head { size_t map_bytes, n; unsigned char *end; };

/* n bytes that start at a multiple of `align` (a power of two up to a page), as near as that allows to a page that
 * cannot be touched; the page before holds canaries. Filled with 0xa5. */
static inline void *h_guard_aligned(size_t n, size_t align)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (n + align - 1) / align * align;
    const size_t data = (body + page - 1) / page * page, all = data + 2 * page;
    unsigned char *map = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) { perror("mmap"); abort(); }
    memset(map, H_CANARY, all - page);
    if (mprotect(map + all - page, page, PROT_NONE)) { perror("mprotect"); abort(); }
    *(struct h_guard_head *)map = (struct h_guard_head){ all, n, map + all - page };
    return map + all - page - body;
}
/* The last byte is directly before the guard page. The start is as aligned as n is. */
static inline void *h_guard(size_t n) { return h_guard_aligned(n, 1); }

static inline struct h_guard_head *h_guard_head(const void *p)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (struct h_guard_head *)((uintptr_t)p / page * page - page);
}
/* Counts as one comparison: nothing around the buffer was written. */
static inline void h_guard_check(const void *p)
{
    const struct h_guard_head *h = h_guard_head(p);
    const unsigned char *q = (const unsigned char *)(h + 1), *start = p;
    long bad = 0, at = 0;
    for (; q < h->end; q++) {
        if (q == start) q += h->n;
        if (q >= h->end) break;
        if (*q != H_CANARY && !bad++) at = (long)(q - start);
    }
    h_expect(!bad, "%ld bytes outside a buffer of %zu were written, the first at offset %ld", bad, h->n, at);
}
/* Checks the canaries and unmaps. */
static inline void h_guard_free(void *p)
{
    if (!p) return;
    h_guard_check(p);
    munmap(h_guard_head(p), h_guard_head(p)->map_bytes);
}

/* ------------------------------------------------------------------------------------------------ types */

static inline size_t h_type_size(enum pi_type t)
{
    static const unsigned char size[] = { 0, 4, 2, 2, 8, 1, 1, 2, 2, 4, 4, 8, 8, 1 };
    return size[t];
}
static inline uint32_t h_bits(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }
static inline float h_float(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }
static inline float h_from_bf16(uint16_t x) { return h_float((uint32_t)x << 16); }
static inline uint16_t h_to_bf16(float f)           /* finite values only: fills use nothing else */
{
    const uint32_t u = h_bits(f);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* ------------------------------------------------------------------------------------------------ fills */

enum h_kind {
    H_RANDOM,       /* whole range of integers (s8 in [-127, 127]); floats in (-4, 4)                          */
    H_EXTREME,      /* the ends of the type and a few between: u8 255 and 0, s8 127 and -127; floats huge, tiny, -0 */
    H_ONE_HOT,      /* zero but for one random element                                                         */
    H_SMALL,        /* exact small integers -3 .. 3 (u8 0 .. 6): every f32 and bf16 sum is exact                */
    H_TIE,          /* u8 0 .. 3, s8 -1 .. 1, floats multiples of 1/2 in -4 .. 4: sums meet rounding ties       */
    H_LAPLACE,      /* like trained weights: narrow with rare outliers                                         */
    H_KINDS
};

static inline double h_laplace(void)                /* deviation about 20, now and then up to 127 */
{
    double x = 0;
    for (int i = 0; i < 4; i++) x += h_unit();
    return x * 14 * (h_below(40) ? 1 : 4);
}
static inline double h_value(enum pi_type t, enum h_kind kind, double lo, double hi)
{
    static const double huge[] = { 3e38, -3e38, 1e-40, -1e-40, -0.0, 1e30, -65504, 1 };
    const int is_float = t == PI_F32 || t == PI_BF16 || t == PI_F64 || t == PI_F16;
    switch (kind) {
    case H_RANDOM: return is_float ? 4 * (double)h_unit() : lo + (hi - lo + 1) * ((double)h_rnd() / 4294967296.0);
    case H_EXTREME:
        if (is_float) return huge[h_below(8)];
        return h_below(8) || hi > 255 ? h_below(4) ? hi : lo : h_between((int)lo / 2, (int)hi / 2);
    case H_SMALL: return h_between(lo < 0 ? -3 : 0, lo < 0 ? 3 : 6);
    case H_TIE: return is_float ? h_between(-8, 8) * 0.5 : lo < 0 ? h_between(-1, 1) : h_between(0, 3);
    case H_LAPLACE: return is_float ? h_laplace() / 64 : lo < 0 ? h_laplace() : 127 + h_laplace();
    default: return 0;
    }
}
static inline void h_put(void *p, enum pi_type t, size_t i, double v)
{
    switch (t) {
    case PI_F32: ((float *)p)[i] = (float)v; break;
    case PI_F64: ((double *)p)[i] = v; break;
    case PI_BF16: ((uint16_t *)p)[i] = h_to_bf16((float)v); break;
    case PI_U8: case PI_BOOL: ((uint8_t *)p)[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); break;
    case PI_S8: ((int8_t *)p)[i] = (int8_t)(v < -127 ? -127 : v > 127 ? 127 : v); break;
    case PI_U16: case PI_F16: ((uint16_t *)p)[i] = (uint16_t)v; break;
    case PI_S16: ((int16_t *)p)[i] = (int16_t)v; break;
    case PI_S32: ((int32_t *)p)[i] = (int32_t)v; break;
    case PI_U32: ((uint32_t *)p)[i] = (uint32_t)v; break;
    case PI_S64: ((int64_t *)p)[i] = (int64_t)v; break;
    case PI_U64: ((uint64_t *)p)[i] = (uint64_t)v; break;
    case PI_NONE: break;
    }
}
static inline void h_fill(void *p, enum pi_type t, size_t n, enum h_kind kind)
{
    static const struct { double lo, hi; } range[] = {
        [PI_U8] = { 0, 255 }, [PI_S8] = { -127, 127 }, [PI_U16] = { 0, 65535 }, [PI_S16] = { -32768, 32767 },
        [PI_F16] = { 0, 0x7bff }, [PI_S32] = { -2147483648.0, 2147483647.0 }, [PI_U32] = { 0, 4294967295.0 },
        [PI_S64] = { -1e15, 1e15 }, [PI_U64] = { 0, 1e15 }, [PI_BOOL] = { 0, 1 } };
    const double lo = range[t].lo, hi = range[t].hi;
    if (t == PI_F16) {                              /* random finite patterns: enough for conversions */
        for (size_t i = 0; i < n; i++) ((uint16_t *)p)[i] = (uint16_t)(h_below(0x7c00) | (h_rnd() & 0x8000));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double v = t == PI_BOOL ? h_below(2) : h_value(t, kind, lo, hi);
        if (lo < 0 && kind == H_RANDOM) v = v < 0 && v != (double)(int64_t)v ? (double)((int64_t)v - 1) : v;    /* floor */
        h_put(p, t, i, v);
    }
    if (kind == H_ONE_HOT && n) h_put(p, t, h_below((uint32_t)n), t == PI_U8 ? 255 : t == PI_S8 ? -127 : 1);
}
/* A scale whose products with small integers lie on or beside a tie; random fill finds a contracted epilogue in none of
 * 50 seeds, these in all. */
static inline float h_tie_scale(void)
{
    static const float scale[] = { 0.1f, 0.3f, 0.05f, 0.7f, 0.5f, 0.25f };
    return scale[h_below(6)];
}
static inline void h_fill_tie_scales(float *p, size_t n) { for (size_t i = 0; i < n; i++) p[i] = h_tie_scale(); }

/* ------------------------------------------------------------------------------------------------ comparison */

static inline int h_is_nan(enum pi_type t, const void *p, size_t i)
{
    switch (t) {
    case PI_F32: return (((const uint32_t *)p)[i] & 0x7fffffff) > 0x7f800000;
    case PI_BF16: return (((const uint16_t *)p)[i] & 0x7fff) > 0x7f80;
    case PI_F16: return (((const uint16_t *)p)[i] & 0x7fff) > 0x7c00;
    case PI_F64: return (((const uint64_t *)p)[i] & INT64_MAX) > 0x7ff0000000000000u;
    default: return 0;
    }
}
static inline void h_show(char s[64], enum pi_type t, const void *p, size_t i)
{
    switch (t) {
    case PI_F32: snprintf(s, 64, "%.9g (%08x)", ((const float *)p)[i], ((const uint32_t *)p)[i]); break;
    case PI_F64: snprintf(s, 64, "%.17g", ((const double *)p)[i]); break;
    case PI_BF16: snprintf(s, 64, "%.9g (%04x)", h_from_bf16(((const uint16_t *)p)[i]), ((const uint16_t *)p)[i]); break;
    case PI_U8: case PI_BOOL: snprintf(s, 64, "%u", ((const uint8_t *)p)[i]); break;
    case PI_S8: snprintf(s, 64, "%d", ((const int8_t *)p)[i]); break;
    case PI_S16: snprintf(s, 64, "%d", ((const int16_t *)p)[i]); break;
    case PI_U16: case PI_F16: snprintf(s, 64, "%04x", ((const uint16_t *)p)[i]); break;
    case PI_S32: snprintf(s, 64, "%d", ((const int32_t *)p)[i]); break;
    case PI_U32: snprintf(s, 64, "%u", ((const uint32_t *)p)[i]); break;
    case PI_S64: snprintf(s, 64, "%lld", (long long)((const int64_t *)p)[i]); break;
    default: snprintf(s, 64, "%llu", (unsigned long long)((const uint64_t *)p)[i]); break;
    }
}
/* Bit for bit, except that NaN equals NaN; counts as one comparison. Nonzero when equal. */
static inline int h_same(const char *what, const void *want, const void *got, enum pi_type t, size_t n)
{
    const size_t e = h_type_size(t);
    size_t bad = 0, first = 0;
    if (n && memcmp(want, got, n * e))
        for (size_t i = 0; i < n; i++) {
            if (!memcmp((const char *)want + i * e, (const char *)got + i * e, e)) continue;
            if (h_is_nan(t, want, i) && h_is_nan(t, got, i)) continue;
            if (!bad++) first = i;
        }
    char w[64] = "", g[64] = "";
    if (bad) { h_show(w, t, want, first); h_show(g, t, got, first); }
    h_expect(!bad, "%s: %zu of %zu differ, the first at %zu: want %s, got %s", what, bad, n, first, w, g);
    return !bad;
}
static inline int h_same_bytes(const char *what, const void *want, const void *got, size_t n)
{
    return h_same(what, want, got, PI_U8, n);
}
/* |got - want| <= bound[i]; a NaN in got fails. */
static inline int h_near(const char *what, const double *want, const float *got, const double *bound, size_t n)
{
    size_t bad = 0, first = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)got[i] - want[i];
        if (!(d <= bound[i] && -d <= bound[i]) && !bad++) first = i;
    }
    h_expect(!bad, "%s: %zu of %zu are too far off, the first at %zu: want %.9g +- %.3g, got %.9g", what, bad, n, first,
             n ? want[first] : 0, n ? bound[first] : 0, n ? (double)got[first] : 0);
    return !bad;
}

/* ------------------------------------------------------------------------------------------------ host */

/* What a test lends to a context. Zero-initialise; threads 0: one. `live` must be 0 when all is freed. Walk through every
 * failure of allocation:   for (long n = 1; ; n++) { struct h_host h = { .fail_at = n }; ... if (!h.failed) break; } */
struct h_host {
    long fail_at;                       /* this allocation fails, once (1 is the first); 0: none               */
    int fail_all;                       /* and all after it                                                    */
    size_t threads;
    atomic_long calls, live, failed;
    atomic_long lines;                  /* of the log, the last one in text                                    */
    char text[512];
};

static inline void *h_alloc(void *host, size_t bytes, size_t align)
{
    struct h_host *h = host;
    const long call = atomic_fetch_add(&h->calls, 1) + 1;
    if (h->fail_at && (call == h->fail_at || (h->fail_all && call > h->fail_at))) { h->failed++; return NULL; }
    if (align < sizeof(void *)) align = sizeof(void *);
    void *p = NULL;
    if (posix_memalign(&p, align, bytes ? bytes : 1)) return NULL;
    memset(p, H_CANARY, bytes);         /* nothing may count on zeroes */
    h->live++;
    return p;
}
static inline void h_release(void *host, void *block)
{
    if (!block) return;
    ((struct h_host *)host)->live--;
    free(block);
}
static inline void h_log(void *host, enum precinfer_log_level level, const char *line)
{
    struct h_host *h = host;
    (void)level;
    h->lines++;
    snprintf(h->text, sizeof h->text, "%s", line);
}

struct h_task { void (*body)(void *arg, size_t i); void *arg; size_t i; };
static inline void *h_task(void *p) { const struct h_task *t = p; t->body(t->arg, t->i); return NULL; }
/* A thread per task, made anew every time; the caller runs the last one. */
static inline void h_parallel_for(void *host, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
    enum { MOST = 64 };
    pthread_t thread[MOST];
    struct h_task task[MOST];
    (void)host;
    if (n > MOST) { fprintf(stderr, "%zu tasks are more than %d\n", n, MOST); abort(); }
    for (size_t i = 0; i < n; i++) task[i] = (struct h_task){ body, arg, i };
    for (size_t i = 0; i + 1 < n; i++)
        if (pthread_create(&thread[i], NULL, h_task, &task[i])) { perror("pthread_create"); abort(); }
    if (n) h_task(&task[n - 1]);
    for (size_t i = 0; i + 1 < n; i++) pthread_join(thread[i], NULL);
}

/* Options that use all of *h. `h` must outlive the context. */
static inline struct precinfer_context_options h_options(struct h_host *h)
{
    return (struct precinfer_context_options){
        .size = sizeof(struct precinfer_context_options), .host = h, .alloc = h_alloc, .release = h_release, .log = h_log,
        .parallel_for = h->threads > 1 ? h_parallel_for : NULL, .threads = h->threads };
}
/* A context on *h; mask as cpu_mask, NULL: all. NULL only where an allocation was told to fail. */
static inline precinfer_context *h_context(struct h_host *h, const char *mask)
{
    struct precinfer_context_options o = h_options(h);
    struct precinfer_error err;
    precinfer_context *c = NULL;
    o.cpu_mask = mask;
    const int rc = precinfer_context_new(&o, &c, &err);
    ck_assert_msg(!rc || h->failed, "context: %s", rc ? err.text : "");
    return rc ? NULL : c;
}

/* ------------------------------------------------------------------------------------------------ data */

/* PI_DATA, else ../shared/data beside the repository (tests run at its root); NULL where there is none. */
static inline const char *h_data_dir(void)
{
    const char *d = getenv("PI_DATA");
    if (!d || !*d) d = "../shared/data";
    return access(d, R_OK) ? NULL : d;
}
/* A file or folder below it, in `path`; NULL, and a line that names the test, where it is missing:
 *     char path[512]; if (!h_data("models/mlp.onnx", path, sizeof path, "onnx: mlp loads")) return; */
static inline const char *h_data(const char *name, char *path, size_t size, const char *test)
{
    const char *d = h_data_dir();
    if (d) snprintf(path, size, "%s/%s", d, name);
    if (d && !access(path, R_OK)) return path;
    printf("    skipped: %s (no %s; set PI_DATA)\n", test, name);
    fflush(stdout);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ kernel rows */

/* PI_ROWS=avx512,avx512vnni: tests of kernels take the rows of these folders only (row names end with theirs). */
static inline int h_wanted(const char *row)
{
    const char *list = getenv("PI_ROWS");
    if (!list || !*list) return 1;
    for (const char *end; *list; list = end + (*end == ',')) {
        end = list + strcspn(list, ",");
        const size_t n = (size_t)(end - list), all = strlen(row);
        if (all > n && row[all - n - 1] == '_' && !memcmp(row + all - n, list, n)) return 1;
    }
    return 0;
}
/* The witness line of a row that the tests of this run take: test/witness looks for it. */
static inline void h_witness(const char *row)
{
    const char *how = getenv("PI_WITNESS");
    printf("    %s: %s\n", row, how && *how ? how : "native");
}

/* ------------------------------------------------------------------------------------------------ suites */

/* Adds a case of one test; `loops` > 1 runs it with _i = 0 .. loops-1, each in its own process. */
static inline void h_add(Suite *s, const char *name, const TTest *test, int loops, double timeout)
{
    TCase *c = tcase_create(name);
    tcase_add_loop_test(c, test, 0, loops > 1 ? loops : 1);
    tcase_set_timeout(c, timeout);
    suite_add_tcase(s, c);
}
#endif
