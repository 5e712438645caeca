/* Reduction rows: every row that this CPU can run against the reference, bit for bit, in guarded buffers; the reference
 * against double, against the law of 16 lanes written again, and for NaN, -0 and rows without elements. */
#include <math.h>
#include "rows.h"

static struct r_rows rows;

static void fill(float *a, size_t n, enum h_kind kind)
{
    h_fill(a, PI_F32, n, kind);
    if (h_below(4) == 0) for (size_t j = 0; j < n; j++) if (h_below(20) == 0) a[j] = r_special[h_below(R_SPECIAL)];
}

static void once(const struct pi_row *row, size_t m, size_t n, enum h_kind kind, int in_place)
{
    const int softmax = row->op == PI_SOFTMAX;
    const size_t gap = h_below(3), lda = n + gap, ldc = softmax ? n + h_below(3) : 1 + h_below(2), outs = softmax ? n : 1;
    const size_t na = m ? (m - 1) * lda + n : 0, nc = m ? (m - 1) * ldc + outs : 0;
    float *a = h_guard(na * 4), *want = h_guard(nc * 4), *got = h_guard(nc * 4);
    for (size_t i = 0; i < na; i++) a[i] = 0;
    for (size_t i = 0; i < m; i++) fill(a + i * lda, n, kind);
    struct pi_reduce t = { .m = m, .n = n, .a = a, .lda = lda * 4, .c = want, .ldc = ldc * 4 };
    r_ref(row)->fn.reduce(&t);
    t.c = got;
    if (softmax && in_place) { t.c = a; t.ldc = t.lda; }
    row->fn.reduce(&t);
    if (t.c == a) for (size_t i = 0; i < m; i++) h_same(row->name, want + i * ldc, a + i * lda, PI_F32, n);
    else h_same(row->name, want, got, PI_F32, nc);
    h_guard_free(a); h_guard_free(want); h_guard_free(got);
}

START_TEST(shapes)
{
    const struct pi_row *row = rows.row[_i];
    ck_assert_msg(r_ref(row) != NULL, "%s has no reference row", row->name);
    h_reseed(_i);
    for (size_t n = 0; n <= (r_quick() ? 36u : 67u); n++)
        for (int k = 0; k < H_KINDS; k += r_quick() ? 3 : 1) once(row, h_below(4), n, (enum h_kind)k, (int)h_below(2));
    for (int i = 0; i < (r_quick() ? 5 : 100); i++)
        once(row, 1 + h_below(6), 1 + h_below(600), (enum h_kind)(i % H_KINDS), (int)h_below(2));
    h_finish();
}
END_TEST

START_TEST(accuracy)
{
    enum { N = 1000 };
    static float a[N], c[N];
    h_reseed(0);
    for (const struct pi_row *row = pi_isas[0].rows; row->name; row++) {
        if (row->family != PI_REDUCE) continue;
        for (int k = 0; k < 50; k++) {
            const size_t n = 1 + h_below(N);
            h_fill(a, PI_F32, n, k & 1 ? H_RANDOM : H_LAPLACE);
            row->fn.reduce(&(struct pi_reduce){ .m = 1, .n = n, .a = a, .c = c });
            double sum = 0, squares = 0, size = 0, most = -INFINITY, least = INFINITY, all = 0;
            for (size_t i = 0; i < n; i++) {
                const double x = a[i];
                sum += x; squares += x * x; size += fabs(x);
                if (x > most) most = x;
                if (x < least) least = x;
            }
            for (size_t i = 0; i < n; i++) all += exp(a[i] - most);
            switch (row->op) {
            case PI_RSUM: h_expect(fabs(c[0] - sum) <= size * 70 * 0x1p-24, "sum %g, not %g", (double)c[0], sum); break;
            case PI_RSUMSQ:
                h_expect(fabs(c[0] - squares) <= squares * 70 * 0x1p-24, "sum of squares %g, not %g", (double)c[0], squares);
                break;
            case PI_RMAX: h_expect((double)c[0] == most, "max %g, not %g", (double)c[0], most); break;
            case PI_RMIN: h_expect((double)c[0] == least, "min %g, not %g", (double)c[0], least); break;
            default:
                for (size_t i = 0; i < n; i++) {
                    const double want = exp(a[i] - most) / all;
                    const double bound = want * (72 + 4 * fabs(a[i] - most)) * 0x1p-24;
                    h_expect(fabs(c[i] - want) <= bound, "softmax %g, not %g", (double)c[i], want);
                }
            }
        }
    }
    h_finish();
}
END_TEST

/* What each sum must be when rounding shows the order: 2^24 in one lane swallows a 1 that is added to it alone. */
START_TEST(lanes)
{
    float a[48], c, lane[16];
    h_reseed(0);
    for (size_t r = 0; r < rows.n; r++) {
        if (rows.row[r]->op != PI_RSUM) continue;
        for (int k = 0; k < 200; k++) {
            const size_t n = h_below(49);
            for (size_t i = 0; i < n; i++) a[i] = (float)ldexp(h_unit(), h_between(-20, 20));
            for (size_t l = 0; l < 16; l++) lane[l] = 0;
            for (size_t i = 0; i < n; i++) lane[i % 16] += a[i];
            for (size_t half = 8; half; half /= 2) for (size_t l = 0; l < half; l++) lane[l] += lane[l + half];
            rows.row[r]->fn.reduce(&(struct pi_reduce){ .m = 1, .n = n, .a = a, .c = &c });
            h_same(rows.row[r]->name, lane, &c, PI_F32, 1);
        }
    }
    h_finish();
}
END_TEST

/* NaN wins, an empty row gives what changes nothing. */
START_TEST(ends)
{
    const float nan_in[] = { 1, 2, NAN, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 };
    const float empty[] = { [PI_RSUM] = 0, [PI_RMAX] = -INFINITY, [PI_RMIN] = INFINITY, [PI_RSUMSQ] = 0 };
    for (size_t r = 0; r < rows.n; r++) {
        float c[20];
        if (rows.row[r]->op == PI_SOFTMAX) continue;
        rows.row[r]->fn.reduce(&(struct pi_reduce){ .m = 1, .n = 0, .a = nan_in, .c = c });
        h_same(rows.row[r]->name, &empty[rows.row[r]->op], c, PI_F32, 1);
        rows.row[r]->fn.reduce(&(struct pi_reduce){ .m = 1, .n = 20, .a = nan_in, .c = c });
        h_expect(isnan(c[0]), "%s: NaN is lost", rows.row[r]->name);
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("kern_reduce");
    r_find(&rows, PI_REDUCE);
    r_print(&rows);
    if (!rows.n) return s;
    h_add(s, "shapes", shapes, (int)rows.n, 120);
    h_add(s, "lanes", lanes, 1, 60);
    h_add(s, "ends", ends, 1, 60);
    if (!r_ref_wanted()) return s;
    h_add(s, "accuracy", accuracy, 1, 60);
    return s;
}
