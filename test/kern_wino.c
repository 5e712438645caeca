/* 3x3 convolution by 2x2 blocks: every row that this CPU can run against plain sums over the taps and the epilogue written
 * again, bit for bit; guarded buffers, channel and column tails, outputs beyond the edge, sums at the types' ends. */
#include "gemm.h"
#include "rows.h"
#include "../lib/base/alloc.h"

static struct r_rows rows;

enum { PLACES = 23, MOST_BLOCKS = 30, MOST_N = 50 };
struct problem {
    const struct pi_row *row;
    size_t m, n, k;
    enum h_kind kind; uint32_t stages; enum pi_type out, res_type;
    const uint8_t *place[PLACES];       /* what pixels point to                                                */
    const void *a[MOST_BLOCKS * 16], *res[MOST_BLOCKS * 4];
    const int8_t *w;                    /* [tap][channel][column]                                              */
    struct g_epi epi;
};

static void make(struct problem *p)
{
    for (size_t i = 0; i < PLACES; i++) {
        void *x = h_guard(p->k);
        h_fill(x, PI_U8, p->k, p->kind);
        p->place[i] = x;
    }
    for (size_t i = 0; i < p->m * 16; i++) p->a[i] = p->place[h_below(PLACES)];
    void *w = h_guard(9 * p->k * p->n);
    h_fill(w, PI_S8, 9 * p->k * p->n, p->kind);
    p->w = w;
    g_epi_new(&p->epi, 1, p->stages, p->out, p->res_type, 1, p->n, p->kind, 0.002);
    for (size_t i = 0; i < p->m * 4; i++) {
        void *x = h_guard(p->n * h_type_size(p->res_type));
        h_fill(x, p->res_type, p->n, p->kind == H_EXTREME ? H_RANDOM : p->kind);
        p->res[i] = x;
    }
}
static void drop(struct problem *p)
{
    for (size_t i = 0; i < PLACES; i++) h_guard_free((void *)(uintptr_t)p->place[i]);
    for (size_t i = 0; i < p->m * 4; i++) h_guard_free((void *)(uintptr_t)p->res[i]);
    h_guard_free((void *)(uintptr_t)p->w);
    g_epi_free(&p->epi);
}

/* Output q of block i, column j. */
static struct g_sum sum_of(const struct problem *p, size_t i, size_t q, size_t j)
{
    struct g_sum s = { 0 };
    for (size_t t = 0; t < 9; t++) {
        const size_t pixel = (q / 2 + t / 3) * 4 + q % 2 + t % 3;
        g_add(&s, PI_U8, PI_S8, p->a[i * 16 + pixel], p->w + t * p->k * p->n + j, p->k, (ptrdiff_t)p->n);
    }
    return s;
}

static void check(struct problem *p)
{
    void *c[MOST_BLOCKS * 4];
    float want[MOST_N];
    struct pi_packed b;
    const size_t bytes = p->n * h_type_size(p->out), work = pi_wino_work(p->m, p->k);
    struct precinfer_error err;
    ck_assert(!pi_pack_wino(&pi_default_allocator, &b, p->row->packing, p->w, p->k, p->n, (ptrdiff_t)(p->k * p->n), (ptrdiff_t)p->n,
                            1, &err));
    char *packed = h_guard_aligned(b.bytes, 64), *ws = h_guard_aligned(work, 64);
    memcpy(packed, b.b, b.bytes);
    for (size_t i = 0; i < p->m * 4; i++) c[i] = h_below(5) ? h_guard(bytes) : NULL;
    p->row->fn.wino(&(struct pi_wino){ .m = p->m, .n = p->n, .k = p->k, .a = p->a, .b = packed, .c = c,
                                       .res = p->stages & PI_RES ? p->res : NULL, .epi = &p->epi.e, .work = ws });
    for (size_t i = 0; i < p->m * 4; i++) {
        if (!c[i]) continue;
        for (size_t j = 0; j < p->n; j++) {
            const struct g_sum s = sum_of(p, i / 4, i % 4, j);
            g_epilogue(&p->epi.e, &s, 1, 0, j, p->res[i], j, want);
        }
        h_same(p->row->name, want, c[i], p->out, p->n);
        h_guard_free(c[i]);
    }
    h_guard_free(packed);
    h_guard_free(ws);
    pi_packed_free(&pi_default_allocator, &b);
}

START_TEST(shapes)
{
    static const enum pi_type outs[] = { PI_U8, PI_U8, PI_F32, PI_BF16 };
    static struct problem p;
    const struct pi_row *row = rows.row[_i];
    h_reseed(_i);
    for (int i = 0; i < (r_quick() ? 6 : 120); i++) {
        p = (struct problem){ .row = row, .m = 1 + h_below(i % 4 ? 8 : MOST_BLOCKS), .n = 1 + h_below(MOST_N - 1),
                              .k = 1 + h_below(i % 8 ? 40 : 80), .kind = (enum h_kind)h_below(H_KINDS), .out = outs[h_below(4)],
                              .res_type = h_below(2) ? PI_U8 : PI_F32 };
        p.stages = ((h_below(2) ? h_rnd() : (uint32_t)PI_RES * h_below(2)) | PI_SCALE) & row->stages;
        if (p.out != PI_U8) p.stages &= ~(uint32_t)PI_TABLE;
        make(&p);
        check(&p);
        drop(&p);
    }
    h_finish();
}
END_TEST

/* As many channels as a convolution may bring, all at one end: sums wrap on the way and must come back. */
START_TEST(ends)
{
    static struct problem p;
    p = (struct problem){ .row = rows.row[_i], .m = 1, .n = 17, .k = 1024, .kind = H_EXTREME, .out = PI_F32, .res_type = PI_U8 };
    h_reseed(_i);
    for (int sign = -1; sign <= 1; sign++) {
        make(&p);
        if (sign) {
            for (size_t i = 0; i < PLACES; i++) memset((void *)(uintptr_t)p.place[i], 255, p.k);
            memset((void *)(uintptr_t)p.w, sign < 0 ? -127 : 127, 9 * p.k * p.n);
        }
        check(&p);
        drop(&p);
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("kern_wino");
    r_find(&rows, PI_WINO);
    r_print(&rows);
    if (!rows.n) return s;
    h_add(s, "shapes", shapes, (int)rows.n, 60);
    h_add(s, "ends", ends, (int)rows.n, 60);
    return s;
}
