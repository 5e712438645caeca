#include "harness.h"
#include <fenv.h>
#if defined __x86_64__
#include <immintrin.h>
#endif
#include "../lib/base/context.h"
#include "../lib/kern/choose.h"

START_TEST(defaults)
{
    precinfer_context *c = NULL;
    struct precinfer_error err;
    ck_assert_int_eq(precinfer_context_new(NULL, &c, &err), PRECINFER_OK);
    ck_assert_uint_eq(c->threads, 1);
    ck_assert(c->isas & 1);
    ck_assert(c->isas == pi_isas_of(c->cpu.features));
    printf("    %s\n", precinfer_context_cpu(c));
    ck_assert_ptr_nonnull(strstr(precinfer_context_cpu(c), "family"));
    pi_log(c, PRECINFER_LOG_NOTE, "nobody listens");
    precinfer_context_free(c);
    precinfer_context_free(NULL);
    ck_assert_int_eq(precinfer_context_new(NULL, NULL, &err), PRECINFER_INVALID);
    ck_assert_int_eq(precinfer_context_new(NULL, NULL, NULL), PRECINFER_INVALID);
}
END_TEST

static int new_with(const struct precinfer_context_options *o, struct precinfer_error *err)
{
    precinfer_context *c = NULL;
    const int rc = precinfer_context_new(o, &c, err);
    h_expect(!rc == !!c && (!rc || (int)err->status == rc), "status %d, handle %p", rc, (void *)c);
    precinfer_context_free(c);
    return rc;
}

START_TEST(options)
{
    struct h_host h = { .threads = 3 };
    struct precinfer_error err;
    struct precinfer_context_options o = h_options(&h), x;
    h_expect(!new_with(&o, &err), "good options: %s", err.text);
    x = o; x.size = 0;
    h_expect(new_with(&x, &err) == PRECINFER_INVALID && strstr(err.text, "size"), "size 0: %s", err.text);
    x = o; x.alloc = NULL;
    h_expect(new_with(&x, &err) == PRECINFER_INVALID && strstr(err.text, "release"), "release alone: %s", err.text);
    x = o; x.release = NULL;
    h_expect(new_with(&x, &err) == PRECINFER_INVALID, "alloc alone");
    x = o; x.parallel_for = NULL;
    h_expect(new_with(&x, &err) == PRECINFER_INVALID && strstr(err.text, "threads is 3"), "threads alone: %s", err.text);
    /* An older caller knows fewer fields, a newer one more. */
    x = o; x.size = offsetof(struct precinfer_context_options, cpu_mask); x.cpu_mask = "not looked at";
    h_expect(!new_with(&x, &err), "short options: %s", err.text);
    struct { struct precinfer_context_options o; long more[4]; } newer = { .o = o };
    newer.o.size = sizeof newer;
    h_expect(!new_with(&newer.o, &err), "long options: %s", err.text);
    newer.more[2] = 1;
    h_expect(new_with(&newer.o, &err) == PRECINFER_UNSUPPORTED, "an unknown field");
    h_expect(h.live == 0, "%ld blocks live", h.live);
    h_finish();
}
END_TEST

START_TEST(masks)
{
    struct precinfer_error err;
    struct precinfer_context_options o = { .size = sizeof o };
    precinfer_context *c;
    static const char *const refs[] = { "ref", "", "ref,ref", " , ref ,", "," };
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        o.cpu_mask = refs[i];
        ck_assert_int_eq(precinfer_context_new(&o, &c, &err), PRECINFER_OK);
        h_expect(c->isas == 1 && strstr(precinfer_context_cpu(c), ": ref"), "'%s': %#llx %s", refs[i],
                 (unsigned long long)c->isas, precinfer_context_cpu(c));
        precinfer_context_free(c);
    }
    struct pi_cpu here;
    pi_cpu_detect(&here);
    const uint64_t can = pi_isas_of(here.features);
    for (size_t i = 0; pi_isas[i].name; i++) {          /* each alone: with ref, or refused with a list of the others */
        o.cpu_mask = pi_isas[i].name;
        const int rc = precinfer_context_new(&o, &c, &err);
        if (can >> i & 1) {
            h_expect(!rc && c->isas == (1 | (uint64_t)1 << i), "%s: %d", o.cpu_mask, rc);
            precinfer_context_free(c);
            continue;
        }
        h_expect(rc == PRECINFER_UNSUPPORTED && strstr(err.text, o.cpu_mask), "%s: %d %s", o.cpu_mask, rc, err.text);
        for (size_t j = 0; pi_isas[j].name; j++)
            if (can >> j & 1) h_expect(!!strstr(err.text, pi_isas[j].name), "%s is not listed: %s", pi_isas[j].name, err.text);
    }
    static const char *const wrong[] = { "avx9", "re", "reff", "ref;avx2", "REF" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        o.cpu_mask = wrong[i];
        h_expect(new_with(&o, &err) == PRECINFER_UNSUPPORTED && strstr(err.text, wrong[i]) && strstr(err.text, ": ref"),
                 "%s", err.text);
    }
    h_finish();
}
END_TEST

START_TEST(fails_whole)
{
    for (long n = 1; n < 20; n++) {
        struct h_host h = { .fail_at = n };
        struct precinfer_context_options o = h_options(&h);
        struct precinfer_error err;
        o.kernel = "gemm_*";
        const int rc = new_with(&o, &err);
        h_expect(rc == (h.failed ? PRECINFER_NO_MEMORY : PRECINFER_OK) && h.live == 0, "allocation %ld: %d, %ld live", n, rc,
                 h.live);
        if (!h.failed) { h_expect(n == 4, "%ld allocations, not 3", n - 1); break; }
    }
    h_finish();
}
END_TEST

START_TEST(references)
{
    struct h_host h = { 0 };
    struct precinfer_context_options o = h_options(&h);
    char pattern[] = "gemm_*";
    precinfer_context *c;
    o.kernel = pattern;
    ck_assert_int_eq(precinfer_context_new(&o, &c, NULL), PRECINFER_OK);
    memset(pattern, 'x', 6);            /* copied */
    ck_assert_str_eq(c->kernel, "gemm_*");
    pi_context_retain(c);
    precinfer_context_free(c);
    ck_assert_int_gt(h.live, 0);
    pi_log(c, PRECINFER_LOG_WARNING, "still %s\n", "here");
    ck_assert_str_eq(h.text, "still here ");
    pi_context_release(c);
    ck_assert_int_eq(h.live, 0);
}
END_TEST

/* ---------------------------------------------------------------- threads, and the mode of arithmetic */

/* Sensitive to the rounding mode and to flushing; volatile and out of line, or the compiler computes or moves them. */
__attribute__((noinline)) static void probe(double *third, float *denormal)
{
    volatile double one = 1, three = 3;
    volatile float tiny = 1e-39f, half = 0.5f;
    *third = one / three;
    *denormal = tiny * half;
}
struct run { double third[8]; float denormal[8]; atomic_int calls[8], spoilt; };
static void look(void *arg, size_t slot)
{
    struct run *r = arg;
    r->calls[slot]++;
    probe(&r->third[slot], &r->denormal[slot]);
}

/* A host whose threads run in a mode of their own, and expect it back. */
static _Atomic(struct run *) current;
static void with_mode(void *p, size_t i)
{
    const struct h_task *t = p;
    const int before = fegetround();
    fesetround(FE_UPWARD);
    t->body(t->arg, i);
    if (fegetround() != FE_UPWARD) atomic_load(&current)->spoilt++;
    fesetround(before);
}
static void odd_parallel_for(void *host, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
    struct h_task t = { body, arg, 0 };
    h_parallel_for(host, n, with_mode, &t);
}

START_TEST(parallel)
{
    const size_t threads = 1 + (size_t)_i;
    struct h_host h = { .threads = threads };
    struct precinfer_context_options o = h_options(&h);
    double third;
    float denormal;
    precinfer_context *c;
    probe(&third, &denormal);
    h_expect(third == 1.0 / 3 && denormal > 0, "the test itself runs in another mode");
    if (threads > 1) o.parallel_for = odd_parallel_for;
    ck_assert_int_eq(precinfer_context_new(&o, &c, NULL), PRECINFER_OK);
    for (size_t n = 0; n <= threads; n++) {
        struct run r = { 0 };
        current = &r;
        fesetround(FE_UPWARD);
#if defined __x86_64__
        const unsigned mode = _mm_getcsr() | 0x8040;    /* flush to zero, denormals are zero */
        _mm_setcsr(mode);
#endif
        pi_parallel(c, n, look, &r);
#if defined __x86_64__
        const unsigned after = _mm_getcsr();
        _mm_setcsr(after & ~0x8040u);
        h_expect(after == mode, "mode %#x became %#x", mode, after);
#endif
        h_expect(fegetround() == FE_UPWARD && !r.spoilt, "the host's mode is not put back");
        fesetround(FE_TONEAREST);
        for (size_t i = 0; i < 8; i++) {
            h_expect(r.calls[i] == (i < n), "%zu of %zu: %d calls", i, n, r.calls[i]);
            if (i < n) h_expect(r.third[i] == third && r.denormal[i] == denormal, "slot %zu of %zu ran in the host's mode", i, n);
        }
    }
    precinfer_context_free(c);
    h_finish();
}
END_TEST

START_TEST(guard)
{
    double third, up;
    float denormal, d;
    probe(&third, &denormal);
    fesetround(FE_UPWARD);
    probe(&up, &d);
    const unsigned outer = pi_fp_enter(), inner = pi_fp_enter();
    double here;
    probe(&here, &d);
    pi_fp_leave(inner);
    double still;
    probe(&still, &d);
    pi_fp_leave(outer);
    const int mode = fegetround();
    fesetround(FE_TONEAREST);
    ck_assert(mode == FE_UPWARD && up != third && here == third && still == third && d == denormal);
}
END_TEST

START_TEST(names)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", PRECINFER_VERSION_MAJOR, PRECINFER_VERSION_MINOR, PRECINFER_VERSION_PATCH);
    ck_assert_str_eq(precinfer_version(), version);
    ck_assert_str_eq(precinfer_status_string(PRECINFER_OK), "ok");
    ck_assert_str_eq(precinfer_status_string(PRECINFER_NO_MEMORY), "out of memory");
    for (int s = PRECINFER_OK; s <= PRECINFER_CANCELLED; s++) {
        const char *word = precinfer_status_string((enum precinfer_status)s);
        h_expect(word && *word && strcmp(word, "unknown status"), "status %d", s);
    }
    ck_assert_str_eq(precinfer_status_string((enum precinfer_status)77), "unknown status");
    ck_assert_str_eq(precinfer_dtype_string(PRECINFER_F32), "float32");
    ck_assert_str_eq(precinfer_dtype_string(PRECINFER_U8), "uint8");
    ck_assert_uint_eq(precinfer_dtype_size(PRECINFER_S64), 8);
    ck_assert_uint_eq(precinfer_dtype_size(PRECINFER_NONE), 0);
    ck_assert_str_eq(precinfer_cpu_name(0), "haswell");
    ck_assert_ptr_null(precinfer_cpu_name(1000));
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("base_context");
    h_add(s, "defaults", defaults, 1, 5);
    h_add(s, "options", options, 1, 5);
    h_add(s, "masks", masks, 1, 5);
    h_add(s, "fails_whole", fails_whole, 1, 5);
    h_add(s, "references", references, 1, 5);
    h_add(s, "parallel", parallel, 5, 20);
    h_add(s, "guard", guard, 1, 5);
    h_add(s, "names", names, 1, 5);
    return s;
}
