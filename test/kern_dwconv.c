/* Depthwise rows: every row that this CPU can run against sums over the weights as they were before packing and the
 * epilogue written again, bit for bit; guarded buffers, channel tails, every stage and output type; the f32 chain against
 * double. */
#include "gemm.h"
#include "rows.h"
#include "../lib/base/alloc.h"

static struct r_rows rows;

enum { PLACES = 7, MOST_PIXELS = 70, MOST_TAPS = 49, MOST_CHANNELS = 100 };
struct problem {
    const struct pi_row *row;
    size_t m, n, taps, col, line;       /* the call: channels col .. col+n-1 of n + col, rows from `line`       */
    const void *place[PLACES];          /* what taps point to                                                   */
    const void *a[MOST_PIXELS * MOST_TAPS];
    const void *w;                      /* [tap][channel]                                                       */
    struct pi_packed packed;
    struct g_epi epi;
    const void *res[MOST_PIXELS];
};

static const enum pi_type outs[] = { PI_F32, PI_U8, PI_BF16, PI_S32 };
static void make(struct problem *p, enum h_kind kind, uint32_t stages, enum pi_type out, enum pi_type res)
{
    const struct pi_row *r = p->row;
    const size_t all = p->col + (p->n ? p->n : 1);     /* nothing cannot be packed */
    struct precinfer_error err;
    for (size_t i = 0; i < PLACES; i++) {
        void *x = h_guard(p->n * h_type_size(r->a));
        h_fill(x, r->a, p->n, kind);
        p->place[i] = x;
    }
    for (size_t i = 0; i < p->m * p->taps; i++) p->a[i] = p->place[h_below(PLACES)];
    void *w = h_guard(p->taps * all * h_type_size(r->b));
    h_fill(w, r->b, p->taps * all, kind);
    p->w = w;
    const int rc = pi_pack_dw(&pi_default_allocator, &p->packed, r->packing, w, p->taps, all, (ptrdiff_t)all, 1, &err);
    ck_assert_msg(!rc, "%s", rc ? err.text : "");
    const double spread = r->a == PI_U8 ? 0.002 : 0.7;
    g_epi_new(&p->epi, r->a == PI_U8, stages, out, res, p->line + p->m, all, kind, spread);
    for (size_t i = 0; i < p->m; i++) {
        void *x = h_guard(p->n * h_type_size(res));
        h_fill(x, res, p->n, kind);
        p->res[i] = x;
    }
}
static void drop(struct problem *p)
{
    for (size_t i = 0; i < PLACES; i++) h_guard_free((void *)(uintptr_t)p->place[i]);
    for (size_t i = 0; i < p->m; i++) h_guard_free((void *)(uintptr_t)p->res[i]);
    h_guard_free((void *)(uintptr_t)p->w);
    g_epi_free(&p->epi);
    pi_packed_free(&pi_default_allocator, &p->packed);
}

/* Runs the row and compares every pixel; outputs are guarded one by one. */
static void check(struct problem *p)
{
    const struct pi_row *r = p->row;
    const struct pi_epi *e = &p->epi.e;
    const size_t all = p->col + (p->n ? p->n : 1), bytes = p->n * h_type_size(e->out);
    void *c[MOST_PIXELS];
    float want[MOST_CHANNELS];
    for (size_t i = 0; i < p->m; i++) c[i] = h_guard(bytes);
    r->fn.dw(&(struct pi_dw){ .m = p->m, .n = p->n, .taps = p->taps, .a = p->a, .b = p->packed.b, .c = c,
                              .res = e->stages & PI_RES ? p->res : NULL, .row = p->line, .col = p->col, .epi = e });
    for (size_t i = 0; i < p->m; i++) {
        for (size_t j = 0; j < p->n; j++) {
            struct g_sum s = { 0 };
            for (size_t t = 0; t < p->taps; t++)
                g_add(&s, r->a, r->b, (const char *)p->a[i * p->taps + t] + j * h_type_size(r->a),
                      (const char *)p->w + (t * all + p->col + j) * h_type_size(r->b), 1, 1);
            g_epilogue(e, &s, r->a == PI_U8, p->line + i, p->col + j, p->res[i], j, want);
            const double bound = s.most * s.most * (double)p->taps * (double)p->taps * 0x1p-24;
            if (r->a != PI_U8 && s.most < 1e18)         /* squares of more overflow */
                h_expect(fabs(s.f - s.d) <= bound, "%s: sum %g, not %g", r->name, (double)s.f, s.d);
        }
        h_same(r->name, want, c[i], e->out, p->n);
        h_guard_free(c[i]);
    }
}

static void once(struct problem *p, enum h_kind kind)
{
    const int integer = p->row->a == PI_U8;
    const enum pi_type out = outs[h_below(integer ? 4 : 3)], res = h_below(2) ? out == PI_S32 ? PI_U8 : out : PI_F32;
    uint32_t stages = h_below(2) ? h_rnd() & p->row->stages : h_below(2) ? 0 : PI_SCALE;
    if (out != PI_U8) stages &= ~(uint32_t)PI_TABLE;
    if (out == PI_U8 || integer) stages |= PI_SCALE;    /* what a plan asks for; keeps roundings within 2^22 */
    make(p, kind, stages, out, res);
    check(p);
    drop(p);
}

static enum h_kind any_kind(enum pi_type a)
{
    for (;;) {
        const enum h_kind k = (enum h_kind)h_below(H_KINDS);
        if (a == PI_U8 || k != H_EXTREME) return k;
    }
}

START_TEST(shapes)
{
    static struct problem p;
    const struct pi_row *row = rows.row[_i];
    const int more = r_quick() ? 6 : 120;
    ck_assert_msg(r_ref(row) != NULL, "%s has no reference row", row->name);
    h_reseed(_i);
    for (size_t n = 0; n <= 37; n += r_quick() ? 3 : 1) {
        p = (struct problem){ .row = row, .m = h_below(7), .n = n, .taps = 1 + h_below(10), .col = 16 * h_below(3),
                              .line = h_below(4) };
        once(&p, any_kind(row->a));
    }
    for (int i = 0; i < more; i++) {
        static const size_t taps[] = { 9, 9, 25, 49, 3, 1 };
        p = (struct problem){ .row = row, .m = 1 + h_below(i % 10 ? 12 : MOST_PIXELS), .n = 1 + h_below(MOST_CHANNELS - 1),
                              .taps = taps[h_below(6)], .col = 16 * h_below(3), .line = h_below(4) };
        once(&p, any_kind(row->a));
    }
    h_finish();
}
END_TEST

/* The largest sums that s32 products can reach, and NaN through the float chain. */
START_TEST(extremes)
{
    static struct problem p;
    const struct pi_row *row = rows.row[_i];
    h_reseed(_i);
    for (int k = 0; k < (r_quick() ? 2 : 20); k++) {
        p = (struct problem){ .row = row, .m = 5, .n = 1 + h_below(40), .taps = MOST_TAPS };
        make(&p, H_EXTREME, row->a == PI_U8 ? 0 : PI_ACT, row->a == PI_U8 ? PI_S32 : k & 1 ? PI_F32 : PI_U8, PI_F32);
        check(&p);
        drop(&p);
    }
    h_finish();
}
END_TEST

/* Every element of a block is where kernel.h says, what is past the end is 0, and running out of memory is an error. */
START_TEST(packing)
{
#define PI_PACKING(name, type, nr, kr, listed) &pi_pack_##name,
    static const struct pi_packing *const all[] = {
#include "../kernels/packings.def"
    };
#undef PI_PACKING
    h_reseed(0);
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const struct pi_packing *q = all[k];
        if (strncmp(q->id, "dw_", 3)) continue;
        for (int round = 0; round < 20; round++) {
            const size_t n = 1 + h_below(50), taps = 1 + h_below(11), e = h_type_size(q->type), padded = pi_up(taps, q->kr);
            char *w = h_guard(n * taps * e);
            struct pi_packed d;
            for (size_t i = 0; i < n * taps * e; i++) w[i] = (char)h_rnd();
            const int by_channel = (int)h_below(2);
            const size_t st = by_channel ? 1 : n, sn = by_channel ? taps : 1;
            ck_assert(pi_pack_dw(&pi_default_allocator, &d, q, w, taps, n, (ptrdiff_t)st, (ptrdiff_t)sn, NULL) == PRECINFER_OK);
            h_expect(d.bytes == pi_up(n, q->nr) * padded * e && (uintptr_t)d.b % 64 == 0, "%s: size or alignment", q->id);
            for (size_t ch = 0; ch < pi_up(n, q->nr); ch++)
                for (size_t t = 0; t < padded; t++) {
                    const char zero[4] = { 0 }, *from = ch < n && t < taps ? w + (t * st + ch * sn) * e : zero;
                    const size_t to = ch / q->nr * padded * q->nr + (t / q->kr * q->nr + ch % q->nr) * q->kr + t % q->kr;
                    h_expect(!memcmp(d.b + to * e, from, e), "%s: tap %zu of channel %zu", q->id, t, ch);
                }
            pi_packed_free(&pi_default_allocator, &d);
            h_guard_free(w);
        }
        struct h_host host = { .fail_at = 1 };
        const struct pi_allocator a = { &host, h_alloc, h_release };
        struct pi_packed d;
        struct precinfer_error err;
        h_expect(pi_pack_dw(&a, &d, q, r_scale, 1, 1, 1, 1, &err) == PRECINFER_NO_MEMORY && !d.b, "%s: no error", q->id);
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("kern_dwconv");
    r_find(&rows, PI_DWCONV);
    r_print(&rows);
    if (!rows.n) return s;
    h_add(s, "shapes", shapes, (int)rows.n, 120);
    h_add(s, "extremes", extremes, (int)rows.n, 120);
    if (!r_ref_wanted()) return s;
    h_add(s, "packing", packing, 1, 60);
    return s;
}
