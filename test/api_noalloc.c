/* Binding and running allocate nothing: malloc and all its kin are this program's own and count between two marks. */
#include <errno.h>
#include <sys/syscall.h>
#include "digits.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || !defined __GLIBC__
#define INTERPOSED 0                    /* the sanitizers' own allocator must stay in place */
static atomic_long touched;
#else
#define INTERPOSED 1
static atomic_int marked;
static atomic_long touched;
static void touch(void) { if (marked) touched++; }

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define TAKEN __attribute__((visibility("default")))
TAKEN void *malloc(size_t n) { touch(); return __libc_malloc(n); }
TAKEN void *calloc(size_t n, size_t size) { touch(); return __libc_calloc(n, size); }
TAKEN void *realloc(void *p, size_t n) { touch(); return __libc_realloc(p, n); }
TAKEN void free(void *p) { if (p) touch(); __libc_free(p); }
TAKEN void *memalign(size_t align, size_t n) { touch(); return __libc_memalign(align, n); }
TAKEN void *aligned_alloc(size_t align, size_t n) { touch(); return __libc_memalign(align, n); }
TAKEN int posix_memalign(void **p, size_t align, size_t n)
{
    touch();
    void *q = __libc_memalign(align, n);
    if (!q) return ENOMEM;
    *p = q;
    return 0;
}
TAKEN void *mmap(void *at, size_t n, int protection, int flags, int file, off_t offset)
{
    touch();
    return (void *)syscall(SYS_mmap, at, n, protection, flags, file, offset);
}
#pragma GCC diagnostic pop
#endif

static void mark(int on)
{
#if INTERPOSED
    marked = on;
#else
    (void)on;
#endif
}
static long count(void) { return atomic_exchange(&touched, 0); }

/* The counters count. */
START_TEST(counted)
{
    if (!INTERPOSED) { printf("    skipped: api_noalloc under a sanitizer\n"); return; }
    void *volatile p, *q = NULL;
    count();
    mark(1);
    p = malloc(3); free(p);
    p = calloc(2, 3); p = realloc(p, 100); free(p);
    p = aligned_alloc(64, 64); free(p);
    const int given = posix_memalign(&q, 64, 10); free(q);
    p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mark(0);
    munmap(p, 4096);
    ck_assert(!given);
    ck_assert_int_eq(count(), 10);
    /* and the library's default allocator is among what they see */
    precinfer_context *ctx = NULL;
    struct precinfer_error err = { 0 };
    mark(1);
    const int status = precinfer_context_new(NULL, &ctx, &err);
    mark(0);
    ck_assert_msg(!status, "%s", err.text);
    ck_assert(count() > 0);
    precinfer_context_free(ctx);
}
END_TEST

/* More than one slot without a thread: pthread_create would allocate by itself. */
static void one_by_one(void *host, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
    (void)host;
    for (size_t i = 0; i < n; i++) body(arg, i);
}

/* Images 3, 1, 3, 2 at a time in a session for three, bound anew each time, the output bound in every second turn. */
START_TEST(nothing)
{
    static const int64_t batches[] = { 3, 1, 3, 2, 2 };
    const enum precinfer_precision precision = (enum precinfer_precision)(_i % 3);
    const struct precinfer_context_options o = { .size = sizeof o, .parallel_for = one_by_one, .threads = _i < 3 ? 1 : 2 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = NULL;
    float x[3 * H_PIXELS], y[3 * H_CLASSES];
    H_OK(precinfer_context_new(&o, &ctx, &err));
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *plan = h_digits_plan(ctx, g, precision);
    precinfer_session *s = h_digits_session(plan, 3);
    h_pixels(x, 3 * H_PIXELS);
    count();
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        const struct precinfer_tensor in = h_image(x, batches[i]), out = h_logits(y, batches[i]);
        struct precinfer_tensor seen;
        mark(1);
        const int bound = precinfer_bind(s, "image", &in, &err);
        const int output = i ? precinfer_bind(s, "logits", &out, &err) : 0;
        const int ran = precinfer_session_run(s, &err), again = precinfer_session_run(s, &err);
        const int value = precinfer_session_value(s, "logits", &seen, &err);
        mark(0);
        ck_assert_msg(!bound && !output && !ran && !again && !value, "%s", err.text);
        const long n = count();
        ck_assert_msg(!n, "batch %d in %s touched the allocator %ld times", (int)batches[i],
                      precinfer_precision_string(precision), n);
    }
    precinfer_session_free(s);
    precinfer_plan_free(plan);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
}
END_TEST

/* A run that is refused allocates nothing either. */
START_TEST(refused)
{
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = NULL;
    float x[4 * H_PIXELS] = { 0 };
    H_OK(precinfer_context_new(NULL, &ctx, &err));
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *plan = h_digits_plan(ctx, g, PRECINFER_PRECISION_F32);
    precinfer_session *s = h_digits_session(plan, 3);
    const struct precinfer_tensor in = h_image(x, 4);
    count();
    mark(1);
    const int unbound = precinfer_session_run(s, &err);
    const int bound = precinfer_bind(s, "image", &in, &err), ran = precinfer_session_run(s, &err);
    mark(0);
    ck_assert_int_eq(count(), 0);
    ck_assert(unbound == PRECINFER_INVALID && !bound && ran == PRECINFER_INVALID);
    precinfer_session_free(s);
    precinfer_plan_free(plan);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("api_noalloc");
    h_add(s, "counted", counted, 1, 60);
    h_add(s, "nothing", nothing, 6, 60);
    h_add(s, "refused", refused, 1, 60);
    return s;
}
