/* The tile driver on the hard cases, with every kind of GEMM row that this CPU can run: whole output buffers, gaps included,
 * against an oracle that knows neither packing nor tile. */
#include "gemm.h"
#include "../lib/base/context.h"

static struct g_row kinds[G_MOST_ROWS];     /* the tallest row of each packing and ISA */
static size_t nkinds;

static enum h_kind fill_of(const struct pi_row *r) { return g_exact(r) ? H_RANDOM : H_SMALL; }
static enum pi_type out_of(const struct pi_row *r) { return r->acc == PI_S32 ? PI_U8 : PI_F32; }

/* Runs *op (its c and size `bytes` are filled in here) on `threads` and compares. shift: where in the buffer C begins. */
static void check(const char *what, const struct g_row *g, struct g_op *op, size_t bytes, size_t kc, size_t threads)
{
    const struct pi_row *r = g->row, *heights[16];
    const size_t nh = g_heights(g, heights), nr = r->packing->nr;
    precinfer_context ctx = { .alloc = pi_default_allocator, .threads = threads, .parallel_for = h_parallel_for };
    struct precinfer_error err;
    struct pi_packed b;
    char name[160], *want = malloc(bytes), *got = h_guard_aligned(bytes, op->o.csize);
    memset(want, H_CANARY, bytes);
    g_oracle(op, want, NULL);

    struct pi_gemm o = op->o;
    o.c = got;
    if (op->group) { o.k = nr; o.a_panel = (ptrdiff_t)(nr * o.asize); }
    const int rc = pi_pack(&pi_default_allocator, &b, r->packing, op->w, o.segs, o.k, o.n, kc ? kc : o.k * o.segs, op->ss,
                           op->sk, op->sn,
                           op->group, &err);
    ck_assert_msg(!rc, "%s", rc ? err.text : "");
    const size_t size = pi_gemm_workspace(&o, &b, r, threads);
    void *ws = h_guard_aligned(size, 64);
    pi_gemm_run(&ctx, &o, &b, heights, nh, threads, ws);
    snprintf(name, sizeof name, "%s: %s, %zu threads", r->name, what, threads);
    h_same_bytes(name, want, got, bytes);
    h_guard_free(got);
    h_guard_free(ws);
    pi_packed_free(&pi_default_allocator, &b);
    free(want);
}

/* ------------------------------------------------------------------------------------------------ convolutions */

struct conv { const char *what, *shape; size_t group; int skip; uint32_t stages; size_t kc, images, threads; };

static void conv(const struct g_row *g, const struct conv *v)
{
    const struct pi_row *r = g->row;
    struct g_shape s;
    ck_assert_msg(g_parse(v->shape, &s), "not a problem: %s", v->shape);
    const size_t e = h_type_size(r->a), images = v->images ? v->images : 1, taps = s.kh * s.kw, kw = v->group ? v->group : s.k;
    const size_t image = (s.h * s.w * s.k + 5) * e, m = s.m * images, oe = h_type_size(out_of(r));
    const size_t ldc = (s.n + 3) * oe, cimage = s.m * ldc + 7 * oe, ldr = (s.n + 1) * oe, rimage = s.m * ldr + 2 * oe;
    char *x = h_guard(image * images), *w = malloc(taps * kw * s.n * h_type_size(r->b)), *zero = h_guard(s.k * e),
        *res = h_guard(rimage * images);
    int32_t *at = g_taps(&s, e);
    struct g_epi epi;
    h_fill(x, r->a, image * images / e, fill_of(r));
    h_fill(w, r->b, taps * kw * s.n, g_exact(r) ? H_LAPLACE : H_SMALL);
    h_fill(res, out_of(r), rimage * images / oe, fill_of(r));
    /* padding may be skipped only where it adds nothing to the sum */
    if (v->skip) memset(zero, 0, s.k * e);
    else h_fill(zero, r->a, s.k, fill_of(r));
    g_epi_new(&epi, r->acc == PI_S32, (r->acc == PI_S32 ? v->stages | PI_SCALE : v->stages) & r->stages, out_of(r), out_of(r), m,
              s.n, H_RANDOM,
              0.3 / (30 * sqrt((double)(kw * taps))));
    struct g_op op = {
        .o = { .m = m, .n = s.n, .k = s.k, .segs = taps, .a = x, .asize = e, .at = at, .image_m = s.m,
               .image_a = (ptrdiff_t)image,
               .image_c = (ptrdiff_t)cimage, .image_res = (ptrdiff_t)rimage, .zero = zero, .skip_padding = v->skip,
                   .ldc = (ptrdiff_t)ldc,
               .csize = oe, .res = v->stages & PI_RES ? res : NULL, .ldres = (ptrdiff_t)ldr, .epi = &epi.e },
        .a = r->a, .b = r->b, .w = w, .ss = (ptrdiff_t)(s.n * kw), .sk = 1, .sn = (ptrdiff_t)kw, .group = v->group };
    check(v->what, g, &op, cimage * images, v->kc, v->threads ? v->threads : 1);
    h_guard_free(x); h_guard_free(zero); h_guard_free(res);
    g_epi_free(&epi);
    free(w); free(at);
}

START_TEST(convolutions)
{
    static const struct conv all[] = {
        { .what = "3x3 7x7, skip", .shape = "conv 3x3 7x7x64>40 s1 p1", .skip = 1 },
        { .what = "3x3 7x7, zero row, K blocks", .shape = "conv 3x3 7x7x68>33 s1 p1", .kc = 32 },
        { .what = "3x3 7x7, zero row, K blocks of segments", .shape = "conv 3x3 7x7x24>33 s1 p1", .kc = 48 },
        { .what = "3x3 7x7, skip, K blocks", .shape = "conv 3x3 7x7x24>33 s1 p1", .skip = 1, .kc = 24 },
        { .what = "3x3 14x14 act res", .shape = "conv 3x3 14x14x24>35 s1 p1", .skip = 1,
          .stages = PI_ACT | PI_RES },
        { .what = "3x3 stride 2", .shape = "conv 3x3 15x11x20>19 s2 p1", .skip = 1 },
        { .what = "5x5 odd", .shape = "conv 5x5 9x9x7>19 s1 p2" },
        { .what = "1x1 pad 1: tiles all padding", .shape = "conv 1x1 3x3x9>17 s1 p1", .skip = 1 },
        { .what = "3x3 far outside", .shape = "conv 3x3 2x2x8>17 s1 p4", .skip = 1 },
        { .what = "groups of 4", .shape = "conv 3x3 6x6x64>64 s1 p1", .group = 4, .skip = 1 },
        { .what = "groups of 4, zero row", .shape = "conv 3x3 5x5x96>96 s1 p1", .group = 4 },
        { .what = "groups of 8, threads", .shape = "conv 3x3 9x9x64>64 s1 p1", .group = 8,
          .threads = 4, .images = 4 },
        { .what = "images", .shape = "conv 3x3 5x5x12>21 s1 p1", .skip = 1, .images = 3,
          .stages = PI_RES },
        { .what = "images of one pixel", .shape = "conv 3x3 3x3x12>21 s1 p0", .images = 15,
          .stages = PI_RES | PI_ACT },
        { .what = "images of 4 pixels, threads, K blocks", .shape = "conv 2x2 4x4x64>61 s2 p0",
          .images = 15, .threads = 3, .kc = 32 },
        { .what = "28x28x32, threads", .shape = "conv 3x3 28x28x32>32 s1 p1", .skip = 1, .threads = 4 },
    };
    h_reseed(_i);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!g_quick() || i < 9) conv(&kinds[_i], &all[i]);
    h_finish();
}
END_TEST

/* A 3-channel 7x7 stem with stride 2: each row of taps lies side by side in an image with its border, one segment of 21. */
START_TEST(stem)
{
    const struct g_row *g = &kinds[_i];
    const struct pi_row *r = g->row;
    const size_t e = h_type_size(r->a), oe = h_type_size(out_of(r)), H = 19, W = 21, C = 3, N = 24, kk = 7, oh = 7, ow = 8,
        m = oh * ow, k = kk * C;
    char *x = h_guard(H * W * C * e), *w = malloc(kk * k * N * h_type_size(r->b));
    int32_t *at = malloc(kk * m * sizeof *at);
    struct g_epi epi;
    h_reseed(100 + _i);
    h_fill(x, r->a, H * W * C, fill_of(r));
    h_fill(w, r->b, kk * k * N, fill_of(r));
    for (size_t t = 0; t < kk; t++)
        for (size_t i = 0; i < m; i++) at[t * m + i] = (int32_t)(((i / ow * 2 + t) * W + i % ow * 2) * C * e);
    g_epi_new(&epi, r->acc == PI_S32, PI_SCALE & r->stages, out_of(r), PI_F32, m, N, H_RANDOM, 1e-3);
    struct g_op op = { .o = { .m = m, .n = N, .k = k, .segs = kk, .a = x, .asize = e, .at = at, .image_m = m,
                              .ldc = (ptrdiff_t)(N * oe),
                              .csize = oe, .epi = &epi.e }, .a = r->a, .b = r->b, .w = w, .ss = (ptrdiff_t)(k * N),
                                  .sk = (ptrdiff_t)N, .sn = 1 };
    check("stem by runs", g, &op, m * N * oe, 0, 1);
    h_guard_free(x);
    g_epi_free(&epi);
    free(w); free(at);
    h_finish();
}
END_TEST

/* ConvTranspose 4x4, stride 2, pad 1: output (2y+py, 2x+px) sums 2x2 taps, so that four operators of four segments write one
 * buffer through c_at. The oracle of each phase writes its own pixels; all four together must fill the buffer. */
START_TEST(transposed)
{
    const struct g_row *g = &kinds[_i];
    const struct pi_row *r = g->row;
    const int H = 5, C = 12, N = 19, O = 2 * H;
    const size_t e = h_type_size(r->a), oe = h_type_size(out_of(r)), m = (size_t)(H * H), be = h_type_size(r->b),
        cn = (size_t)(C * N);
    char *x = h_guard(m * (size_t)C * e), *w = malloc(16 * cn * be), *wp = malloc(4 * cn * be), *zero = calloc((size_t)C, e);
    struct g_epi epi;
    int32_t at[4 * 25], c_at[25];
    h_reseed(200 + _i);
    h_fill(x, r->a, m * (size_t)C, fill_of(r));
    h_fill(w, r->b, 16 * cn, fill_of(r));
    g_epi_new(&epi, r->acc == PI_S32, PI_SCALE & r->stages, out_of(r), PI_F32, m, (size_t)N, H_RANDOM, 1e-3);
    for (int phase = 0; phase < 4; phase++) {
        size_t s = 0;
        for (int kh = 0; kh < 4; kh++)
            for (int kw = 0; kw < 4; kw++) {
                if ((phase / 2 + 1 - kh) % 2 || (phase % 2 + 1 - kw) % 2) continue;
                memcpy(wp + s * cn * be, w + (size_t)(kh * 4 + kw) * cn * be, cn * be);
                for (int i = 0; i < H * H; i++) {           /* output = 2 * input - 1 + kernel */
                    const int y = 2 * (i / H) + phase / 2 + 1 - kh, z = 2 * (i % H) + phase % 2 + 1 - kw;
                    const int out = y < 0 || z < 0 || y / 2 >= H || z / 2 >= H;
                    at[s * m + (size_t)i] = out ? -1 : (int32_t)((size_t)((y / 2 * H + z / 2) * C) * e);
                }
                s++;
            }
        for (int i = 0; i < H * H; i++) c_at[i] = (int32_t)((size_t)(((2 * (i / H) + phase / 2) * O + 2 * (i % H)
                                                                      + phase % 2) * N) * oe);
        struct g_op op = { .o = { .m = m, .n = (size_t)N, .k = (size_t)C, .segs = 4, .a = x, .asize = e, .at = at, .image_m = m,
                                  .zero = zero,
                                  .skip_padding = 1, .c_at = c_at, .csize = oe, .epi = &epi.e },
                           .a = r->a, .b = r->b, .w = wp, .ss = (ptrdiff_t)cn, .sk = 1, .sn = C };
        check("transposed phase", g, &op, (size_t)(O * O * N) * oe, 0, 1);
    }
    h_guard_free(x);
    g_epi_free(&epi);
    free(w); free(wp); free(zero);
    h_finish();
}
END_TEST

/* B an activation: one head of attention inside a (tokens x 3 d) buffer, Q K^T and P V packed by strides. */
START_TEST(attention)
{
    const struct g_row *g = &kinds[_i];
    const struct pi_row *r = g->row;
    const size_t T = 29, d = 20, ld = 3 * d, e = h_type_size(r->a), be = h_type_size(r->b), oe = h_type_size(out_of(r));
    char *q = h_guard(T * ld * e), *kv = malloc(T * ld * be), *p = h_guard(T * T * e);
    struct g_epi epi;
    h_reseed(300 + _i);
    h_fill(q, r->a, T * ld, fill_of(r));
    h_fill(kv, r->b, T * ld, fill_of(r));
    h_fill(p, r->a, T * T, fill_of(r));
    g_epi_new(&epi, r->acc == PI_S32, PI_SCALE & r->stages, out_of(r), PI_F32, T, T, H_RANDOM, 1e-3);
    struct g_op qk = { .o = { .m = T, .n = T, .k = d, .segs = 1, .a = q, .asize = e, .lda = (ptrdiff_t)(ld * e), .image_m = T,
                              .ldc = (ptrdiff_t)(T * oe), .csize = oe, .epi = &epi.e },
                       .a = r->a, .b = r->b, .w = kv + d * be, .sk = 1, .sn = (ptrdiff_t)ld };
    struct g_op pv = { .o = { .m = T, .n = d, .k = T, .segs = 1, .a = p, .asize = e, .lda = (ptrdiff_t)(T * e), .image_m = T,
                              .ldc = (ptrdiff_t)(ld * oe), .csize = oe, .epi = &epi.e },
                       .a = r->a, .b = r->b, .w = kv + 2 * d * be, .sk = (ptrdiff_t)ld, .sn = 1 };
    check("Q K^T", g, &qk, T * T * oe, 0, 1);
    check("P V", g, &pv, ((T - 1) * ld + d) * oe, 0, 1);
    /* the packer that allocates nothing gives the same bytes as the other */
    if (!r->packing->listed) {
        struct pi_packed a, b;
        const size_t size = pi_pack_size(r->packing, 1, T, d);
        void *into = h_guard_aligned(size, 64);
        ck_assert_int_eq(pi_pack(&pi_default_allocator, &a, r->packing, pv.w, 1, T, d, T, 0, pv.sk, 1, 0, NULL), 0);
        pi_pack_into(&b, r->packing, pv.w, 1, T, d, 0, pv.sk, 1, into);
        h_expect(a.bytes == size && b.bytes == size && a.panel_bytes == b.panel_bytes,
                 "sizes of pi_pack and pi_pack_into differ");
        h_same_bytes("pi_pack_into", a.b, b.b, size);
        pi_packed_free(&pi_default_allocator, &a);
        h_guard_free(into);
    }
    h_guard_free(q); h_guard_free(p);
    g_epi_free(&epi);
    free(kv);
    h_finish();
}
END_TEST

/* One GEMM on 1 to 4 threads, split by rows and by panels, with per-row terms that count from row0, blocks of columns (a
 * small L2) and K blocks; one buffer may hold several images of plain rows. */
static void gemm(const struct g_row *g, size_t m, size_t n, size_t k, size_t kc, size_t images, size_t row0, uint32_t stages,
                 size_t threads)
{
    const struct pi_row *r = g->row;
    const size_t e = h_type_size(r->a), oe = h_type_size(out_of(r)), be = h_type_size(r->b), per = m / images;
    const size_t lda = (k + 1) * e, imagea = per * lda + 4 * e, ldc = (n + 2) * oe, imagec = per * ldc + oe;
    char *a = h_guard(imagea * images), *w = malloc(n * k * be);
    char what[96];
    struct g_epi epi;
    h_fill(a, r->a, imagea * images / e, fill_of(r));
    h_fill(w, r->b, n * k, fill_of(r));
    g_epi_new(&epi, r->acc == PI_S32, (stages | (r->acc == PI_S32 ? PI_SCALE : 0u)) & r->stages, out_of(r), PI_F32, row0 + m, n,
              H_RANDOM,
              0.3 / (60 * sqrt((double)k)));
    struct g_op op = { .o = { .m = m, .n = n, .k = k, .segs = 1, .a = a, .asize = e, .lda = (ptrdiff_t)lda, .image_m = per,
                              .image_a = (ptrdiff_t)imagea, .image_c = (ptrdiff_t)imagec, .ldc = (ptrdiff_t)ldc, .csize = oe,
                                  .row0 = row0,
                              .epi = &epi.e }, .a = r->a, .b = r->b, .w = w, .sk = (ptrdiff_t)n, .sn = 1 };
    snprintf(what, sizeof what, "gemm %zux%zux%zu kc %zu images %zu", m, n, k, kc, images);
    check(what, g, &op, imagec * images, kc, threads);
    h_guard_free(a);
    g_epi_free(&epi);
    free(w);
}
START_TEST(threads)
{
    const uint32_t rowwise = PI_ROW_SCALE | PI_RANK1 | PI_RANK2 | PI_ACT;
    h_reseed(400 + _i);
    for (size_t t = 1; t <= 4; t++) {
        const struct g_row *g = &kinds[_i];
        gemm(g, 97, 70, 80, 0, 1, 3, rowwise, t);
        if (g_quick()) continue;
        gemm(g, 5, 600, 200, 0, 1, 0, PI_ACT, t);
        gemm(g, 3, 330, 400, 128, 1, 0, rowwise, t);
        gemm(g, 60, 65, 130, 64, 4, 5, rowwise, t);
        gemm(g, 1, 1100, 300, 0, 1, 0, 0, t);
        gemm(g, 49, 1040, 120, 0, 1, 0, 0, t);
    }
    h_finish();
}
END_TEST

/* More packed weights than fit L2: several column blocks. */
START_TEST(column_blocks)
{
    h_reseed(500 + _i);
    if (!g_quick()) gemm(&kinds[_i], 7, 500, 1500, 0, 1, 0, 0, 1);
    gemm(&kinds[_i], 3, 100, g_quick() ? 30 : 3000, g_quick() ? 8 : 1024, 1, 0, 0, 1);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ the contract */

/* A tile that computes nothing and checks what every tile may count on. */
static atomic_ulong probe_bad, probe_calls, probe_rows, probe_height;
static void probe(const struct pi_tile *t, size_t mr)
{
    unsigned long bad = !t->m || t->m > mr || !t->n || !t->k || !t->segs || !t->seg || (uintptr_t)t->b % 64 || t->b_panel % 64;
    for (size_t s = 0; s < t->segs; s++)
        for (size_t r = t->m; r < mr; r++) bad += t->a[s * mr + r] != t->a[s * mr + t->m - 1];
    bad += !(t->flags & PI_LAST) && (!t->acc || t->ldacc < t->n || t->ldacc % 16);
    probe_bad += bad;
    probe_height = mr;
    probe_calls++;
    if (t->flags & PI_LAST) probe_rows += t->m;
}
static void probe6(const struct pi_tile *t) { probe(t, 6); }
static void probe1(const struct pi_tile *t) { probe(t, 1); }
static void probe2(const struct pi_tile *t) { probe(t, 2); }
static const struct pi_row probe_row[3] = {
    { .name = "probe6", .family = PI_GEMM, .mr = 6, .packing = &pi_pack_f32x16, .fn = { .tile = probe6 } },
    { .name = "probe1", .family = PI_GEMM, .mr = 1, .packing = &pi_pack_f32x16, .fn = { .tile = probe1 } },
    { .name = "probe2", .family = PI_GEMM, .mr = 2, .packing = &pi_pack_f32x16, .fn = { .tile = probe2 } } };

START_TEST(contract)
{
    const struct pi_row *const heights[] = { &probe_row[0], &probe_row[1] };
    static float w[9 * 16 * 40], x[64 * 16], c[36 * 40], zero[16], bias[40];
    static const struct pi_epi epi = { .out = PI_F32, .bias = bias };
    static const char *const lines[] = { "conv 3x3 5x5x16>40 s1 p1", "conv 1x1 4x4x16>40 s1 p1" };
    for (int i = 0; i < 2; i++)
        for (size_t kc = 8; kc <= 64; kc *= 2) {
            struct g_shape s;
            ck_assert(g_parse(lines[i], &s));
            int32_t *at = g_taps(&s, 4);
            struct pi_packed b;
            precinfer_context ctx = { .alloc = pi_default_allocator, .threads = 1 };
            const struct pi_gemm o = { .m = s.m, .n = s.n, .k = s.k, .segs = s.kh * s.kw, .a = (char *)x, .asize = 4, .at = at,
                                       .image_m = s.m,
                                       .zero = zero, .skip_padding = 1, .c = (char *)c, .ldc = 160, .csize = 4, .epi = &epi };
            ck_assert_int_eq(pi_pack(&pi_default_allocator, &b, &pi_pack_f32x16, w, o.segs, 16, 40, kc, 640, 40, 1, 0, NULL), 0);
            void *ws = h_guard_aligned(pi_gemm_workspace(&o, &b, heights[0], 1), 64);
            for (size_t n = 1; n <= 2; n++) {       /* one height: the last tile is not full */
                probe_bad = probe_calls = probe_rows = 0;
                memset(ws, H_CANARY, pi_gemm_workspace(&o, &b, heights[0], 1));
                pi_gemm_run(&ctx, &o, &b, heights, n, 1, ws);
                h_expect(!probe_bad && probe_calls, "%lu breaches in %lu calls", probe_bad, probe_calls);
                h_expect(probe_rows == s.m, "%lu of %zu rows", probe_rows, s.m);
            }
            pi_packed_free(&pi_default_allocator, &b);
            h_guard_free(ws);
            free(at);
        }
    /* 13 rows: 6 + 6 + 1, not 6 + 6 + 6 */
    struct pi_packed b;
    precinfer_context ctx = { .alloc = pi_default_allocator, .threads = 1 };
    const struct pi_gemm o = { .m = 13, .n = 40, .k = 16, .segs = 1, .a = (char *)x, .asize = 4, .lda = 64, .c = (char *)c,
                               .ldc = 160,
                               .csize = 4, .epi = &epi };
    ck_assert_int_eq(pi_pack(&pi_default_allocator, &b, &pi_pack_f32x16, w, 1, 16, 40, 16, 0, 40, 1, 0, NULL), 0);
    void *ws = h_guard_aligned(pi_gemm_workspace(&o, &b, heights[0], 1), 64);
    probe_bad = probe_calls = 0;
    pi_gemm_run(&ctx, &o, &b, heights, 2, 1, ws);
    h_expect(!probe_bad && probe_calls == 3, "%lu breaches in %lu calls", probe_bad, probe_calls);
    probe_bad = 0;
    pi_gemm_run(&ctx, &o, &b, heights, 1, 1, ws);
    h_expect(!probe_bad, "%lu breaches with one height", probe_bad);
    /* one row takes the tile of one row, though the model gives two rows the same cost */
    const struct pi_row *const low[] = { &probe_row[0], &probe_row[2], &probe_row[1] };
    struct pi_gemm one = o;
    one.m = 1;
    probe_bad = probe_calls = probe_height = 0;
    pi_gemm_run(&ctx, &one, &b, low, 3, 1, ws);
    h_expect(!probe_bad && probe_height == 1, "a tile of height %lu for one row", probe_height);
    pi_packed_free(&pi_default_allocator, &b);
    h_guard_free(ws);
    h_finish();
}
END_TEST

/* Every line of bench/shapes/gemm.txt is a problem; the small ones are run. PI_SHAPE="conv 3x3 7x7x64>64 s1 p1" runs another. */
START_TEST(shapes)
{
    char line[128];
    const char *one = getenv("PI_SHAPE");
    FILE *f = one ? NULL : fopen("bench/shapes/gemm.txt", "r");
    h_reseed(600 + _i);
    h_expect(one || f, "bench/shapes/gemm.txt is not here: run at the root of the repository");
    for (;;) {
        struct g_shape s;
        if (one) snprintf(line, sizeof line, "%s", one);
        else if (!f || !fgets(line, sizeof line, f)) break;
        if (line[0] != '#' && line[0] != '\n') {
            const int ok = g_parse(line, &s);
            h_expect(ok, "not a problem: %s", line);
            const double products = ok ? (double)s.m * (double)s.n * (double)s.k * (double)(s.kh ? s.kh * s.kw : 1) : 0;
            if (ok && (one || products < 6e5) && s.kh) conv(&kinds[_i], &(struct conv){ .what = line, .shape = line, .skip = 1 });
            else if (ok && (one || products < 6e5)) gemm(&kinds[_i], s.m, s.n, s.k, 0, 1, 0, 0, 1);
        }
        if (one) break;
    }
    if (f) fclose(f);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ the packer */

START_TEST(packer_refuses)
{
    struct precinfer_error err;
    struct pi_packed b;
    const int8_t w[64] = { 0 };
    const struct pi_allocator *a = &pi_default_allocator;
    h_expect(pi_pack(a, &b, &pi_pack_s8x16k2, w, 0, 4, 4, 4, 0, 1, 4, 0, &err) == PRECINFER_INVALID, "no segments");
    h_expect(pi_pack(a, &b, &pi_pack_s8x16k2, w, 1, 8, 4, 6, 0, 1, 8, 0, &err) == PRECINFER_INVALID, "K block of 6");
    h_expect(pi_pack(a, &b, &pi_pack_s8x16k2, w, 1, SIZE_MAX / 4, 4, SIZE_MAX, 0, 1, 8, 0, &err) == PRECINFER_UNSUPPORTED,
             "overflow");
    h_expect(pi_pack(a, &b, &pi_pack_s8x16k2, w, 70000, 1, 1, 70000, 0, 0, 0, 0, &err) == PRECINFER_UNSUPPORTED,
             "70000 segments");
    for (long n = 1; ; n++) {
        struct h_host h = { .fail_at = n };
        const struct pi_allocator failing = { &h, h_alloc, h_release };
        const int rc = pi_pack(&failing, &b, &pi_pack_s8x16q, w, 1, 8, 8, 8, 0, 1, 8, 0, &err);
        h_expect(rc == (h.failed ? PRECINFER_NO_MEMORY : 0), "allocation %ld", n);
        pi_packed_free(&failing, &b);
        h_expect(!h.live, "%ld blocks are left", (long)h.live);
        if (!h.failed) break;
    }
    h_finish();
}
END_TEST

START_TEST(growth)
{
    enum { K = 64, N = 32, QUADS = K / 4 * N / 16 };
    int8_t w[K * N];
    const struct pi_packing *q = &pi_pack_s8x16q;
#define COST() pi_listed_growth(q, w, 1, K, N, 0, 1, K)
    for (size_t i = 0; i < sizeof w; i++) w[i] = 64;
    h_expect(COST() == 1, "pairs that sum to 128 are safe, but have no partner");
    w[0] = 65;
    h_expect(COST() == 1 + 1.0 / QUADS, "one quad of %d is stored twice", QUADS);
    for (size_t i = 0; i < sizeof w; i++) w[i] = -127;
    h_expect(COST() == 2, "all are stored twice");
    for (size_t i = 0; i < sizeof w; i++) w[i] = i % 2 ? 32 : -64;
    h_expect(fabs(COST() - 5.0 / 6) < 1e-12, "all have a partner: %g", COST());
    w[0] = -65;
    h_expect(fabs(COST() - (QUADS - (QUADS - 2) / 6.0) / QUADS) < 1e-12, "one quad has none, so another has none: %g", COST());
    memset(w, 0, sizeof w);
    h_expect(COST() > 0 && COST() < 0.1, "pruned; 0 would mean that nobody knows");
#undef COST
    h_expect(pi_listed_growth(&pi_pack_s8x16k2, w, 1, K, N, 0, 1, K) == 1, "dense packings do not grow");
    h_finish();
}
END_TEST

/* [block of nr channels][tap / kr][channel][tap % kr], zero past the ends. */
START_TEST(depthwise)
{
    static const struct pi_packing *const all[] = { &pi_pack_dw_f32x8, &pi_pack_dw_bf16x16, &pi_pack_dw_s8x16,
                                                    &pi_pack_dw_s8x16k2, &pi_pack_dw_s8x16k4 };
    h_reseed(_i);
    for (size_t x = 0; x < sizeof all / sizeof *all; x++) {
        const struct pi_packing *p = all[x];
        const size_t taps = 9, n = 21, e = h_type_size(p->type), groups = (taps + p->kr - 1) / p->kr,
            block = groups * p->nr * p->kr;
        char *w = malloc(taps * n * e);
        static const char zero[4];
        struct pi_packed d;
        h_fill(w, p->type, taps * n, H_RANDOM);
        ck_assert_int_eq(pi_pack_dw(&pi_default_allocator, &d, p, w, taps, n, 1, (ptrdiff_t)taps, NULL), 0);
        h_expect(d.bytes == (n + p->nr - 1) / p->nr * block * e, "%s: %zu bytes", p->id, d.bytes);
        size_t bad = 0;
        for (size_t j = 0; j < (n + p->nr - 1) / p->nr * p->nr; j++)
            for (size_t t = 0; t < groups * p->kr; t++) {
                const char *at = d.b + (j / p->nr * block + (t / p->kr * p->nr + j % p->nr) * p->kr + t % p->kr) * e;
                bad += !!memcmp(at, j < n && t < taps ? w + (j * taps + t) * e : zero, e);
            }
        h_expect(!bad, "%s: %zu wrong", p->id, bad);
        pi_packed_free(&pi_default_allocator, &d);
        free(w);
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    static struct g_row rows[G_MOST_ROWS];
    const size_t n = g_rows(rows);
    for (size_t i = 0; i < n; i++) if (g_is_tallest(&rows[i])) kinds[nkinds++] = rows[i];
    Suite *s = suite_create("op_driver");
    h_add(s, "convolutions", convolutions, (int)nkinds, 120);
    h_add(s, "stem", stem, (int)nkinds, 60);
    h_add(s, "transposed", transposed, (int)nkinds, 60);
    h_add(s, "attention", attention, (int)nkinds, 60);
    h_add(s, "threads", threads, (int)nkinds, 120);
    h_add(s, "column_blocks", column_blocks, (int)nkinds, 60);
    h_add(s, "contract", contract, 1, 60);
    h_add(s, "shapes", shapes, g_quick() ? 1 : (int)nkinds, 300);
    h_add(s, "packer_refuses", packer_refuses, 1, 60);
    h_add(s, "growth", growth, 1, 60);
    h_add(s, "depthwise", depthwise, 1, 60);
    return s;
}
