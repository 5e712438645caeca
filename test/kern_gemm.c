/* Every GEMM row of every table that this CPU can run, each in its own process: direct calls at every height and odd width,
 * and the same row through the driver. PI_QUICK=1: fewer cases, for an emulator. */
#include "gemm.h"

static struct g_row rows[G_MOST_ROWS];
static size_t nrows;

/* ------------------------------------------------------------------------------------------------ memory */

enum { MOST_SEGS = 5, MOST_K = 160, MOST_PANELS = 4, PLACE = 8192 };

/* Buffers that are used again by every case of a row: what is wanted ends at the guard page. */
struct place { char *start; };
static struct place place_new(size_t bytes) { return (struct place){ h_guard_aligned(bytes, 4096) }; }
static char *at_end(struct place p, size_t total, size_t bytes, size_t align)
{
    return p.start + (total - bytes) / align * align;
}
static size_t up(size_t x, size_t to) { return (x + to - 1) / to * to; }

/* ------------------------------------------------------------------------------------------------ one case */

/* A direct call, split into K blocks of whole segments. */
struct problem {
    size_t m, n, k, segs, wsegs, first, second;     /* blocks: segments [0, first), [first, second), the rest   */
    int spaced, a_panel;
    enum h_kind kind;
    uint32_t stages; enum pi_type out, res;
    double spread;
};

struct memory { struct place a[MOST_SEGS * 64], c[64], res[64], b, acc, prep; size_t a_count; };

static enum pi_type pick_out(const struct pi_row *r)
{
    static const enum pi_type all[] = { PI_F32, PI_BF16, PI_U8, PI_S32 };
    for (;;) {
        const enum pi_type t = all[h_below(4)];
        if (r->outs & PI_BIT(t)) return t;
    }
}
static uint32_t pick_stages(const struct pi_row *r, enum pi_type out)
{
    static const uint32_t common[] = { 0, PI_SCALE, PI_SCALE | PI_RES, PI_SCALE | PI_ACT, PI_ACT, PI_ACT | PI_RES,
                                       PI_SCALE | PI_ACT | PI_RES };
    uint32_t s = (h_below(2) ? common[h_below(7)] : h_rnd()) & r->stages;
    if (out != PI_U8) s &= ~(uint32_t)PI_TABLE;
    return s;
}

/* Activations may be infinite or NaN, weights may not. A fused product of finite values is never either. */
static void not_finite(void *a, enum pi_type t, size_t n)
{
    static const float odd[] = { INFINITY, -INFINITY, NAN };
    for (size_t i = h_below(24); i < n; i += 1 + h_below(24)) {
        const float x = odd[h_below(3)];
        if (t == PI_F32) ((float *)a)[i] = x;
        else ((uint16_t *)a)[i] = (uint16_t)(h_bits(x) >> 16);
    }
}

/* Rows of A: scattered, each at the end of its own memory, or evenly spaced in one. Returns nothing readable past k. */
static void make_a(const struct memory *mem, const struct pi_row *r, const struct problem *p, const void **a, ptrdiff_t a_panel)
{
    const size_t e = h_type_size(r->a), panels = (p->n + r->packing->nr - 1) / r->packing->nr;
    const size_t bytes = p->k * e + (size_t)a_panel * (panels - 1);
    for (size_t s = 0; s < p->segs; s++)
        for (size_t i = 0; i < r->mr; i++) {
            const size_t row = i < p->m ? i : p->m - 1;
            if (i >= p->m) a[s * r->mr + i] = a[s * r->mr + row];
            else if (p->spaced) a[s * r->mr + i] = at_end(mem->a[s], PLACE, bytes + (p->m - 1 - row) * (bytes + 3 * e), 1);
            else a[s * r->mr + i] = at_end(mem->a[s * 64 + i], PLACE, bytes, 1);
            if (i >= p->m) continue;
            h_fill((void *)a[s * r->mr + i], r->a, bytes / e, p->kind);
            if (p->kind == H_EXTREME && r->a != PI_U8 && g_exact(r)) not_finite((void *)a[s * r->mr + i], r->a, bytes / e);
        }
}

static void oracle(const struct pi_row *r, const struct problem *p, const struct pi_tile *t, const void *const *a, const void *w,
                   struct g_sum *sums, void **want)
{
    const size_t e = h_type_size(r->b);
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            struct g_sum s = { 0 };
            for (size_t q = 0; q < p->segs; q++)
                g_add(&s, r->a, r->b, (const char *)a[q * r->mr + i] + (ptrdiff_t)(j / r->packing->nr) * t->a_panel,
                      (const char *)w + ((size_t)t->seg[q] * p->k * p->n + j) * e, p->k, (ptrdiff_t)p->n);
            sums[i * p->n + j] = s;
            g_epilogue(t->epi, &s, r->acc == PI_S32, t->row + i, t->col + j, t->res ? t->res[i] : NULL, j, want[i]);
        }
}

static double clamp(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

static void compare(const struct pi_row *r, const struct problem *p, const struct g_sum *sums, const struct pi_epi *e, size_t col,
                    void *const *want, void *const *got)
{
    char what[128];
    snprintf(what, sizeof what, "%s m %zu n %zu k %zu segs %zu stages %x out %d res %d fill %d", r->name, p->m, p->n, p->k,
             p->segs,
             p->stages, p->out, p->res, p->kind);
    for (size_t i = 0; i < p->m; i++) {
        if (g_exact(r) || p->kind == H_SMALL) { h_same(what, want[i], got[i], p->out, p->n); continue; }
        double d[256], bound[256];
        for (size_t j = 0; j < p->n; j++) {
            const struct g_sum *s = &sums[i * p->n + j];
            d[j] = clamp(s->d + ((const float *)e->bias)[col + j], e->lo, e->hi);     /* a clamp moves nothing apart */
            bound[j] = 6e-8 * (double)(p->k * p->segs + 1) * (s->most * s->most + 4);
        }
        h_near(what, d, got[i], bound, p->n);
    }
}

/* Runs the call and compares every byte that it may and may not write. */
static void run_case(const struct memory *mem, const struct pi_row *r, const struct problem *p)
{
    const size_t be = h_type_size(r->b), ce = h_type_size(p->out), re = h_type_size(p->res), nr = r->packing->nr;
    const size_t row = h_below(4), col = nr * h_below(3), gap = 3 * ce;
    const ptrdiff_t a_panel = p->a_panel && !r->prep ? (ptrdiff_t)(p->k * h_type_size(r->a)) : 0;
    const void *a[MOST_SEGS * 64], *res[64];
    void *c[64], *want[64];
    uint16_t seg[MOST_SEGS];
    static char wantbuf[64][1024];
    static struct g_sum sums[64 * 256];

    make_a(mem, r, p, a, a_panel);
    void *w = malloc(p->wsegs * p->k * p->n * be);
    h_fill(w, r->b, p->wsegs * p->k * p->n, p->kind == H_RANDOM && h_below(2) ? H_LAPLACE : p->kind);
    for (size_t s = 0; s < p->segs; s++) seg[s] = (uint16_t)h_below((uint32_t)p->wsegs);

    struct pi_packed b;
    ck_assert_int_eq(pi_pack(&pi_default_allocator, &b, r->packing, w, p->wsegs, p->k, p->n, p->k * p->wsegs,
                             (ptrdiff_t)(p->k * p->n), (ptrdiff_t)p->n, 1, 0, NULL), 0);
    char *packed = at_end(mem->b, 1 << 20, b.bytes, 64);
    memcpy(packed, b.b, b.bytes);

    struct g_epi epi;
    g_epi_new(&epi, r->acc == PI_S32, p->stages, p->out, p->res, row + p->m, col + p->n, p->kind, p->spread);
    for (size_t i = 0; i < p->m; i++) {
        const size_t back = p->spaced ? (p->m - 1 - i) * (p->n * ce + gap) : 0;
        c[i] = at_end(mem->c[p->spaced ? 0 : i], PLACE, p->n * ce + back, 1);
        if (!p->spaced || !i) memset(mem->c[i].start, H_CANARY, PLACE);
        res[i] = at_end(mem->res[i], PLACE, p->n * re, 1);
        h_fill((void *)res[i], p->res, p->n, p->kind == H_EXTREME ? H_RANDOM : p->kind);
        want[i] = wantbuf[i];
    }

    struct pi_tile t = { .m = p->m, .n = p->n, .k = p->k, .a_panel = a_panel, .b = packed, .b_panel = b.panel_bytes,
                         .b_seg = b.seg_bytes,
                         .sub = b.sub, .sub_panel = p->wsegs, .list = b.list, .c = c, .res = p->stages & PI_RES ? res : NULL,
                         .ldacc = up(p->n, nr) + nr * h_below(2), .row = row, .col = col, .epi = &epi.e };
    t.seg = seg;
    oracle(r, p, &t, a, w, sums, want);

    const size_t cut[] = { 0, p->first, p->second, p->segs };
    const size_t acc_bytes = ((p->m - 1) * t.ldacc + up(p->n, nr)) * 4;
    t.acc = at_end(mem->acc, 1 << 17, acc_bytes, 4);
    for (size_t x = 0; x < 3; x++) {
        if (cut[x] == cut[x + 1]) continue;
        t.segs = cut[x + 1] - cut[x];
        t.seg = seg + cut[x];
        t.a = a + cut[x] * r->mr;
        t.flags = (cut[x] == 0 ? PI_FIRST : 0u) | (cut[x + 1] == p->segs ? PI_LAST : 0u);
        const void *prepared[1];
        if (r->prep) {
            const size_t bytes = t.segs * up(p->k, 4) * r->mr * r->prep_bytes;
            char *dst = at_end(mem->prep, 1 << 18, bytes, 64);
            memset(dst - 64, H_CANARY, bytes + 128 < (size_t)(mem->prep.start + (1 << 18) - dst) + 64 ? bytes + 128 : bytes + 64);
            r->prep(&t, dst);
            size_t bad = 0;
            for (size_t i = 1; i <= 64; i++) bad += ((unsigned char *)dst)[-(ptrdiff_t)i] != H_CANARY;
            h_expect(!bad, "%s: prep wrote before its block", r->name);
            prepared[0] = dst;
            t.a = prepared;
        }
        r->fn.tile(&t);
    }
    compare(r, p, sums, &epi.e, col, want, c);
    size_t bad = 0;
    for (size_t i = 0; i < p->m; i++) {
        const char *from = p->spaced && i ? (char *)c[i - 1] + p->n * ce : mem->c[i].start;
        for (const char *q = from; q < (char *)c[i]; q++) bad += (unsigned char)*q != H_CANARY;
    }
    h_expect(!bad, "%s: %zu bytes written between rows of C", r->name, bad);
    g_epi_free(&epi);
    pi_packed_free(&pi_default_allocator, &b);
    free(w);
}

static void memory_new(struct memory *mem, const struct pi_row *r)
{
    for (size_t s = 0; s < MOST_SEGS; s++)
        for (size_t i = 0; i < r->mr; i++) mem->a[s * 64 + i] = place_new(PLACE);
    for (size_t s = 0; s < MOST_SEGS && s < 64; s++)       /* spaced rows need room: they use a[s] */
        if (!mem->a[s].start) mem->a[s] = place_new(PLACE);
    for (size_t i = 0; i < r->mr; i++) { mem->c[i] = place_new(PLACE); mem->res[i] = place_new(PLACE); }
    mem->b = place_new(1 << 20);
    mem->acc = place_new(1 << 17);
    mem->prep = place_new(1 << 18);
}

static struct problem random_problem(const struct pi_row *r)
{
    static const enum pi_type res[] = { PI_F32, PI_BF16, PI_U8 };
    const size_t nr = r->packing->nr;
    struct problem p = { .m = 1 + h_below(r->mr), .n = 1 + h_below((uint32_t)(2 * nr + 1)),
                         .k = 1 + h_below(h_below(8) ? 40 : 80),
                         .segs = 1 + h_below(MOST_SEGS - 1), .spaced = (int)h_below(2), .a_panel = !h_below(4),
                         .kind = (enum h_kind)h_below(H_KINDS), .spread = 0.02 };
    p.wsegs = p.segs + h_below(2);
    p.first = h_below(2) ? 0 : h_below((uint32_t)p.segs + 1);
    p.second = p.first + h_below((uint32_t)(p.segs - p.first) + 1);
    p.out = pick_out(r);
    p.stages = pick_stages(r, p.out);
    p.res = res[h_below(3)];
    if (p.a_panel && p.k > 40) p.k = 40;
    if (p.spaced && p.m * (p.k + 3) * h_type_size(r->a) * (p.a_panel ? 5 : 1) > PLACE) p.spaced = 0;
    if (p.spaced && p.m * (p.n + 3) * h_type_size(p.out) > PLACE) p.spaced = 0;
    if (!g_exact(r)) {          /* another order of sums: exact small integers with every stage, or within a bound with none */
        p.kind = h_below(2) ? H_SMALL : H_RANDOM;
        if (p.kind == H_RANDOM) { p.out = PI_F32; p.stages = 0; }
    }
    return p;
}

START_TEST(tile)
{
    const struct pi_row *r = rows[_i].row;
    static struct memory mem;
    h_reseed(_i);
    memory_new(&mem, r);
    const int count = g_quick() ? 40 : 700;
    for (int i = 0; i < count; i++) {
        const struct problem p = random_problem(r);
        run_case(&mem, r, &p);
    }
    /* two products that a contracted epilogue would add in one rounding: only ties show it, and few of them */
    for (int i = 0; i < (g_quick() ? 8 : 60) && r->acc == PI_S32; i++) {
        struct problem p = random_problem(r);
        p.out = p.res = PI_U8;
        p.stages = (PI_SCALE | PI_RES | (i % 3 ? 0 : PI_ACT)) & r->stages;
        p.kind = H_TIE;
        run_case(&mem, r, &p);
    }
    /* every width at full height, every height at one odd width; no stage but the hot ones */
    for (size_t n = 1; n <= 4u * r->packing->nr + 1; n += g_quick() ? 13 : 1) {
        struct problem p = random_problem(r);
        p.n = n; p.m = r->mr; p.spaced = 0; p.a_panel = n % 2 == 0;
        if (n > 60) p.k = 7;
        run_case(&mem, r, &p);
    }
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ through the driver */

static precinfer_context one_thread(void)
{
    return (precinfer_context){ .alloc = pi_default_allocator, .threads = 1 };
}

/* One GEMM through the driver with this row as the tallest. */
static void gemm_case(const struct g_row *g, size_t m, size_t n, size_t k, size_t kc, enum h_kind kind, enum pi_type out,
                      uint32_t stages,
                      double spread)
{
    const struct pi_row *r = g->row, *heights[16];
    const size_t nh = g_heights(g, heights), ae = h_type_size(r->a), be = h_type_size(r->b), ce = h_type_size(out);
    const precinfer_context ctx = one_thread();
    const size_t lda = (k + 2) * ae, ldc = (n + 1) * ce, abytes = (m - 1) * lda + k * ae, cbytes = (m - 1) * ldc + n * ce;
    char *a = h_guard_aligned(abytes, ae), *c = h_guard_aligned(cbytes, ce), *want = malloc(cbytes), *w = malloc(n * k * be);
    struct g_sum *sums = malloc(m * n * sizeof *sums);
    struct g_epi epi;
    struct pi_packed b;
    h_fill(a, r->a, abytes / ae, kind);
    h_fill(w, r->b, n * k, kind);
    g_epi_new(&epi, r->acc == PI_S32, stages & ~(uint32_t)PI_RES, out, PI_F32, m, n, kind, spread);
    memset(want, H_CANARY, cbytes);
    struct g_op op = { .o = { .m = m, .n = n, .k = k, .segs = 1, .a = a, .asize = ae, .lda = (ptrdiff_t)lda, .image_m = m, .c = c,
                              .ldc = (ptrdiff_t)ldc, .csize = ce, .epi = &epi.e }, .a = r->a, .b = r->b, .w = w, .sk = 1,
                                  .sn = (ptrdiff_t)k };
    g_oracle(&op, want, sums);
    ck_assert_int_eq(pi_pack(&pi_default_allocator, &b, r->packing, w, 1, k, n, kc ? kc : k, 0, 1, (ptrdiff_t)k, 0, NULL), 0);
    void *ws = pi_malloc(&pi_default_allocator, pi_gemm_workspace(&op.o, &b, r, 1));
    pi_gemm_run(&ctx, &op.o, &b, heights, nh, 1, ws);
    char what[128];
    snprintf(what, sizeof what, "%s gemm %zux%zux%zu kc %zu stages %x out %d", r->name, m, n, k, kc, stages, out);
    if (g_exact(r) || kind == H_SMALL) h_same_bytes(what, want, c, cbytes);
    else
        for (size_t i = 0; i < m * n; i++) {
            const double d = clamp(sums[i].d + ((const float *)epi.e.bias)[i % n], epi.e.lo, epi.e.hi);
            const double bound = 6e-8 * (double)(k + 1) * (sums[i].most * sums[i].most + 4);
            const float got = *(const float *)(c + i / n * ldc + i % n * ce);
            h_expect(fabs(got - d) <= bound, "%s: %g is not %g", what, got, d);
        }
    h_guard_free(a); h_guard_free(c);
    pi_free(&pi_default_allocator, ws);
    pi_packed_free(&pi_default_allocator, &b);
    g_epi_free(&epi);
    free(want); free(w); free(sums);
}

START_TEST(driven)
{
    const struct g_row *g = &rows[_i];
    const struct pi_row *r = g->row;
    const size_t nr = r->packing->nr, step = g_quick() ? 5 : 1;
    const enum h_kind kind = g_exact(r) ? H_RANDOM : H_SMALL;
    if (g_quick() && !g_is_tallest(g)) return;      /* the tallest takes the driver through all heights */
    h_reseed(1000 + _i);
    for (size_t m = 1; m <= r->mr + 1u; m++)
        for (size_t n = 1 + (m - 1) % step; n <= 2 * nr + 1; n += step) {
            const enum pi_type out = pick_out(r);
            gemm_case(g, m, n, 1 + h_below(24), 0, n % 2 ? kind : g_exact(r) ? H_TIE : H_SMALL, out, pick_stages(r, out), 0.01);
        }
    h_finish();
}
END_TEST

/* Long sums: at the types' ends beyond 2^24, where a conversion to float rounds, and K blocks. */
START_TEST(deep)
{
    const struct g_row *g = &rows[_i];
    const struct pi_row *r = g->row;
    const size_t m = r->mr + 1u, n = r->packing->nr + 3u, k = g_quick() ? 1024 : 4096;
    const enum h_kind kind = r->acc == PI_S32 ? H_EXTREME : g_exact(r) ? H_RANDOM : H_SMALL;
    if (g_quick() && !g_is_tallest(g)) return;
    h_reseed(2000 + _i);
    gemm_case(g, m, n, k, 0, kind, PI_F32, PI_SCALE & r->stages, 1e-3);
    gemm_case(g, m, n, k + 3, 512, kind, PI_F32, 0, 1e-3);
    gemm_case(g, m, n, k - 1, 256, g_exact(r) ? H_RANDOM : H_SMALL, PI_U8, PI_SCALE & r->stages, 1e-4);
    if (r->outs & PI_BIT(PI_S32)) gemm_case(g, m, n, k, 0, kind, PI_S32, 0, 1);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("kern_gemm");
    nrows = g_rows(rows);
    for (size_t i = 0; i < nrows; i++)
        if (!getenv("CK_RUN_CASE")) h_witness(rows[i].row->name);
    if (!nrows) return s;
    h_add(s, "tile", tile, (int)nrows, 120);
    h_add(s, "driven", driven, (int)nrows, 120);
    h_add(s, "deep", deep, (int)nrows, 120);
    return s;
}
