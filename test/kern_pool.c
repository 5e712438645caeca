/* Pooling rows: every row that this CPU can run against the reference, bit for bit, in guarded buffers; the reference
 * against double and for NaN and -0. */
#include <math.h>
#include "rows.h"

static struct r_rows rows;

enum { MOST_PIXELS = 5, MOST_TAPS = 50 };
struct problem {
    struct pi_pool t;
    const void *a[MOST_PIXELS * MOST_TAPS];
    uint32_t count[MOST_PIXELS], divide[MOST_PIXELS];
    void *c[MOST_PIXELS];
};

/* m pixels of 1 to `taps` taps of n channels; every tap is a guarded buffer of its own, some are shared by pixels. */
static void make(struct problem *p, const struct pi_row *row, size_t m, size_t n, size_t taps, enum h_kind kind)
{
    const size_t e = h_type_size(row->a);
    size_t at = 0;
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < m; i++) {
        p->count[i] = 1 + h_below((uint32_t)taps);
        p->divide[i] = h_below(2) ? p->count[i] : 1 + h_below(64);
        for (size_t s = 0; s < p->count[i]; s++, at++) {
            if (at && h_below(3) == 0) { p->a[at] = p->a[h_below((uint32_t)at)]; continue; }
            void *tap = h_guard(n * e);
            h_fill(tap, row->a, n, kind);
            for (size_t j = 0; row->a == PI_F32 && j < n; j++)
                if (h_below(20) == 0) ((float *)tap)[j] = r_special[h_below(R_SPECIAL)];
            p->a[at] = tap;
        }
    }
    p->t = (struct pi_pool){ .m = m, .n = n, .a = p->a, .count = p->count, .divide = p->divide, .c = p->c };
    p->t.z[0] = h_between(0, 255);
    p->t.z[1] = h_below(3) ? p->t.z[0] : h_between(0, 255);
    p->t.p = h_below(2) ? 1 : h_tie_scale();
    p->t.lo = -p->t.z[1];
    p->t.hi = 255 - p->t.z[1];
    if (row->op == PI_MAXPOOL) p->t.divide = NULL;
}
static void outputs(struct problem *p, size_t bytes) { for (size_t i = 0; i < p->t.m; i++) p->c[i] = h_guard(bytes); }
static void drop(struct problem *p)
{
    size_t taps = 0;
    for (size_t i = 0; i < p->t.m; i++) taps += p->count[i];
    for (size_t i = 0; i < taps; i++) {
        int first = 1;
        for (size_t j = 0; j < i; j++) first &= p->a[j] != p->a[i];
        if (first) h_guard_free((void *)(uintptr_t)p->a[i]);
    }
}

static void once(const struct pi_row *row, size_t m, size_t n, size_t taps, enum h_kind kind)
{
    struct problem p;
    const size_t bytes = n * h_type_size(row->a);
    void *want[MOST_PIXELS];
    make(&p, row, m, n, taps, kind);
    outputs(&p, bytes);
    r_ref(row)->fn.pool(&p.t);
    memcpy(want, p.c, sizeof want);
    outputs(&p, bytes);
    row->fn.pool(&p.t);
    for (size_t i = 0; i < m; i++) {
        h_same(row->name, want[i], p.c[i], row->a, n);
        h_guard_free(want[i]);
        h_guard_free(p.c[i]);
    }
    drop(&p);
}

START_TEST(shapes)
{
    const struct pi_row *row = rows.row[_i];
    const size_t most = r_quick() ? 40 : 150, step = r_quick() ? 7 : 1;
    ck_assert_msg(r_ref(row) != NULL, "%s has no reference row", row->name);
    h_reseed(_i);
    for (size_t n = 0; n <= most; n += n < 35 ? 1 : step)
        once(row, h_below(MOST_PIXELS + 1), n, 9, (enum h_kind)h_below(H_KINDS));
    for (int i = 0; i < (r_quick() ? 3 : 30); i++)
        once(row, 1 + h_below(MOST_PIXELS), 1 + h_below(300), MOST_TAPS, (enum h_kind)(i % H_KINDS));
    h_finish();
}
END_TEST

START_TEST(accuracy)
{
    h_reseed(0);
    for (const struct pi_row *row = pi_isas[0].rows; row->name; row++) {
        if (row->family != PI_POOL) continue;
        struct problem p;
        enum { N = 64 };
        make(&p, row, MOST_PIXELS, N, 30, H_RANDOM);
        outputs(&p, N * h_type_size(row->a));
        row->fn.pool(&p.t);
        const void **a = p.a;
        for (size_t i = 0; i < p.t.m; a += p.count[i++])
            for (int j = 0; j < N; j++) {
                double most = -INFINITY, sum = 0, size = 0;
                for (size_t s = 0; s < p.count[i]; s++) {
                    const double x = row->a == PI_F32 ? (double)((const float *)a[s])[j] : ((const uint8_t *)a[s])[j];
                    most = isnan(x) || isnan(most) ? NAN : x > most ? x : most;
                    sum += row->a == PI_F32 ? x : x - p.t.z[0];
                    size += fabs(x);
                }
                const double got = row->a == PI_F32 ? (double)((float *)p.c[i])[j] : ((uint8_t *)p.c[i])[j];
                if (row->op == PI_MAXPOOL) {
                    h_expect(isnan(most) ? isnan(got) : got == most, "%s: %g, not %g", row->name, got, most);
                    continue;
                }
                double want = sum / p.divide[i], bound = size * p.count[i] * 0x1p-24 / p.divide[i];
                if (row->a == PI_U8) {
                    want = want * (double)p.t.p + p.t.z[1];
                    want = want < 0 ? 0 : want > 255 ? 255 : want;
                    bound = 0.5 + 1e-3;
                }
                if (isnan(want) || size > 1e38) continue;       /* sums that overflow are compared by the other test */
                h_expect(fabs(got - want) <= bound, "%s: %.9g, not %.9g", row->name, got, want);
            }
        for (size_t i = 0; i < p.t.m; i++) h_guard_free(p.c[i]);
        drop(&p);
    }
    h_finish();
}
END_TEST

/* NaN wins wherever it stands; of two zeros the first stays. */
START_TEST(order)
{
    static const float in[][3] = {
        { NAN, 1, 2 }, { 1, NAN, 2 }, { 1, 2, NAN }, { 0.0f, -0.0f, -1 }, { -0.0f, 0.0f, -1 }, { -INFINITY, NAN, INFINITY }
    };
    static const float out[] = { NAN, NAN, NAN, 0.0f, -0.0f, NAN };
    for (size_t r = 0; r < rows.n; r++) {
        if (rows.row[r]->op != PI_MAXPOOL || rows.row[r]->a != PI_F32) continue;
        for (size_t k = 0; k < sizeof out / sizeof *out; k++) {
            float c = 7;
            const void *a[] = { &in[k][0], &in[k][1], &in[k][2] };
            const uint32_t count = 3;
            void *const to[] = { &c };
            rows.row[r]->fn.pool(&(struct pi_pool){ .m = 1, .n = 1, .a = a, .count = &count, .c = to });
            h_same(rows.row[r]->name, &out[k], &c, PI_F32, 1);
        }
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("kern_pool");
    r_find(&rows, PI_POOL);
    r_print(&rows);
    if (!rows.n) return s;
    h_add(s, "shapes", shapes, (int)rows.n, 120);
    h_add(s, "order", order, 1, 60);
    if (!r_ref_wanted()) return s;
    h_add(s, "accuracy", accuracy, 1, 60);
    return s;
}
