/* What the GEMM tests and the kernel bench share: the rows that this CPU can run, an oracle that knows neither packing nor
 * tile, epilogues with guarded arrays, and the problems of bench/shapes. */
#ifndef PI_TEST_GEMM_H
#define PI_TEST_GEMM_H
#include <math.h>
#include "harness.h"
#include "../lib/base/cpu.h"
#include "../lib/op/driver.h"

/* ------------------------------------------------------------------------------------------------ rows */

#define PI_ISA(folder, features, emulator) extern const struct pi_row pi_rows_##folder[];
#include "../kernels/isa.def"
#undef PI_ISA
struct g_isa { const char *name; uint64_t features; const struct pi_row *rows; };
static const struct g_isa g_isas[] = {
#define PI_ISA(folder, features, emulator) { #folder, features, pi_rows_##folder },
#include "../kernels/isa.def"
#undef PI_ISA
};

struct g_row { const struct pi_row *row; const struct g_isa *isa; };
enum { G_MOST_ROWS = 256 };
/* Every GEMM row of every table that this CPU can run. */
static inline size_t g_rows(struct g_row *out)
{
    struct pi_cpu cpu;
    size_t n = 0;
    pi_cpu_detect(&cpu);
    for (size_t i = 0; i < sizeof g_isas / sizeof *g_isas; i++)
        for (const struct pi_row *r = g_isas[i].rows; r->name; r++)
            if (r->family == PI_GEMM && (g_isas[i].features & ~cpu.features) == 0 && h_wanted(r->name) && n < G_MOST_ROWS)
                out[n++] = (struct g_row){ r, &g_isas[i] };
    return n;
}
/* `row` and the lower rows of its ISA on its packing, tallest first: what the driver gets. */
static inline size_t g_heights(const struct g_row *g, const struct pi_row **out)
{
    size_t n = 0;
    out[n++] = g->row;
    for (const struct pi_row *r = g->isa->rows; r->name; r++)
        if (r->family == PI_GEMM && r->packing == g->row->packing && !r->prep == !g->row->prep
            && r->mr < g->row->mr) out[n++] = r;
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 1 && out[j]->mr > out[j - 1]->mr; j--) {
            const struct pi_row *t = out[j];
            out[j] = out[j - 1];
            out[j - 1] = t;
        }
    return n;
}
/* Tallest row of its kind: one of them stands for all in the driver's tests. */
static inline int g_is_tallest(const struct g_row *g)
{
    for (const struct pi_row *r = g->isa->rows; r->name; r++)
        if (r->family == PI_GEMM && r->packing == g->row->packing && !r->prep == !g->row->prep && r->mr > g->row->mr) return 0;
    return 1;
}
static inline int g_quick(void) { const char *s = getenv("PI_QUICK"); return s && *s && *s != '0'; }
/* Rows whose sums are the law's own bits; the others follow an instruction that sums in another order. */
static inline int g_exact(const struct pi_row *r) { return !(r->b == PI_BF16 && r->packing->kr > 1); }

/* ------------------------------------------------------------------------------------------------ the law, again */

/* One sum in all the ways that are compared. */
struct g_sum { int32_t i; float f; double d, most; };

static inline double g_get(enum pi_type t, const void *p, ptrdiff_t i)
{
    switch (t) {
    case PI_F32: return ((const float *)p)[i];
    case PI_BF16: return h_from_bf16(((const uint16_t *)p)[i]);
    case PI_U8: return ((const uint8_t *)p)[i];
    case PI_S8: return ((const int8_t *)p)[i];
    default: abort();
    }
}
/* k products of a contiguous row of A with weights sk elements apart. */
static inline void g_add(struct g_sum *s, enum pi_type a, enum pi_type b, const void *x, const void *w, size_t k, ptrdiff_t sk)
{
    for (size_t p = 0; p < k; p++) {
        const double u = g_get(a, x, (ptrdiff_t)p), v = g_get(b, w, (ptrdiff_t)p * sk);
        if (a == PI_U8) { s->i += (int32_t)u * (int32_t)v; continue; }
        s->f = fmaf((float)u, (float)v, s->f);
        s->d += u * v;
        if (fabs(u) > s->most) s->most = fabs(u);
        if (fabs(v) > s->most) s->most = fabs(v);
    }
}
static inline float g_clip(float x, float lo, float hi)
{
    if (x < lo) x = lo;
    if (x > hi) x = hi;
    return x;
}
/* Writes output j of a row: kernel.h's epilogue in the words of its comment. row and col index e's arrays. */
static inline void g_epilogue(const struct pi_epi *e, const struct g_sum *s, int integer, size_t row, size_t col, const void *res,
                              size_t j, void *out)
{
    float f;
    if (integer) {
        int64_t sum = (int64_t)s->i + ((const int32_t *)e->bias)[col];
        if (e->stages & PI_RANK1) sum += (int64_t)e->r[0][row] * e->c[0][col];
        if (e->stages & PI_RANK2) sum += (int64_t)e->r[1][row] * e->c[1][col];
        if (e->out == PI_S32) { ((int32_t *)out)[j] = (int32_t)sum; return; }
        f = (float)(int32_t)sum;
    } else
        f = s->f + ((const float *)e->bias)[col];
    if (e->stages & PI_SCALE) f = f * e->scale[col];
    if (e->stages & PI_ROW_SCALE) f = f * e->row_scale[row];
    if (e->stages & PI_ACT) f = g_clip(f, e->act_lo, e->act_hi);
    if (e->stages & PI_RES) {
        const float x = (float)(g_get(e->res_type, res, (ptrdiff_t)j) - (e->res_type == PI_U8 ? e->res_zp : 0));
        const float y = e->res_type == PI_U8 ? x * e->res_scale : x;
        f = f + y;
    }
    f = g_clip(f, e->lo, e->hi);
    if (e->out == PI_F32) { ((float *)out)[j] = f; return; }
    if (e->out == PI_BF16) { ((uint16_t *)out)[j] = f == f ? h_to_bf16(f) : 0x7fc0; return; }
    const int q = (int)lrintf(f == f ? f : 0) + e->zp;
    ((uint8_t *)out)[j] = e->stages & PI_TABLE ? e->table[q] : (uint8_t)q;
}

/* ------------------------------------------------------------------------------------------------ epilogues */

/* Guarded arrays: exactly n columns and m rows of them. */
struct g_epi { struct pi_epi e; void *arrays[9]; size_t count; };
static inline void *g_array(struct g_epi *g, size_t bytes) { return g->arrays[g->count++] = h_guard_aligned(bytes, 4); }

static inline void g_epi_new(struct g_epi *g, int integer, uint32_t stages, enum pi_type out, enum pi_type res, size_t m,
                             size_t n,
                             enum h_kind kind, double spread)
{
    *g = (struct g_epi){ .e = { .stages = stages, .out = (uint8_t)out, .res_type = (uint8_t)res, .lo = -INFINITY, .hi = INFINITY } };
    struct pi_epi *e = &g->e;
    int32_t *bias = g_array(g, n * 4), *r0 = g_array(g, m * 4), *r1 = g_array(g, m * 4), *c0 = g_array(g, n * 4),
        *c1 = g_array(g, n * 4);
    float *scale = g_array(g, n * 4), *row_scale = g_array(g, m * 4);
    uint8_t *table = g_array(g, 256);
    for (size_t j = 0; j < n; j++) {
        if (integer) bias[j] = kind == H_TIE ? h_between(-2, 2) : h_between(-1000, 1000);
        else ((float *)bias)[j] = kind == H_TIE ? (float)h_between(-4, 4) * 0.5f + 0.0f : h_unit() * 4 + 0.0f;
        scale[j] = kind == H_TIE ? h_tie_scale() : (float)(spread * (1 + h_below(100) / 100.0));
        c0[j] = h_between(-100, 100);
        c1[j] = h_between(-100, 100);
    }
    for (size_t i = 0; i < m; i++) {
        row_scale[i] = kind == H_TIE ? 0.5f : 0.5f + (float)h_below(100) / 100;
        r0[i] = h_between(-100, 100);
        r1[i] = -h_between(0, 255);
    }
    for (int i = 0; i < 256; i++) table[i] = (uint8_t)(i * 7 + 3);
    e->bias = bias; e->scale = scale; e->row_scale = row_scale; e->table = table;
    e->r[0] = r0; e->r[1] = r1; e->c[0] = c0; e->c[1] = c1;
    e->act_lo = h_below(2) ? 0 : -1.5f;
    e->act_hi = h_below(2) ? 6 : 40;
    /* ties: neither product may be exact, and sum and residual cancel now and then, or a fused one would go unseen */
    e->res_scale = kind == H_TIE ? h_tie_scale() : 0.03f;
    e->res_zp = kind == H_TIE ? h_between(0, 3) : h_between(0, 255);
    if (out == PI_U8) {
        e->zp = h_below(3) ? h_between(0, 255) : 0;
        e->lo = (float)(0 - e->zp) + (h_below(4) ? 0 : 3);
        e->hi = (float)(255 - e->zp) - (h_below(4) ? 0 : 5);
        if (e->hi < e->lo) e->hi = e->lo;
    } else if (h_below(2)) {
        e->lo = h_below(2) ? 0 : -20;
        e->hi = 30;
    }
}
static inline void g_epi_free(struct g_epi *g)
{
    for (size_t i = 0; i < g->count; i++) h_guard_free(g->arrays[i]);
}

/* ------------------------------------------------------------------------------------------------ operators */

/* A whole operator as the driver gets it, and its weights before packing. */
struct g_op {
    struct pi_gemm o;
    enum pi_type a, b;
    const void *w; ptrdiff_t ss, sk, sn;
    size_t group;                       /* o.k is then the packing's nr; here the channels a column reads       */
};
static inline const char *g_row_of(const struct pi_gemm *o, size_t s, size_t i)
{
    const size_t per = o->image_m ? o->image_m : o->m, image = i / per, pixel = i % per;
    const char *base = o->a + (ptrdiff_t)image * o->image_a;
    if (!o->at) return base + (ptrdiff_t)pixel * o->lda;
    return o->at[s * per + pixel] < 0 ? o->zero : base + o->at[s * per + pixel];
}
/* Writes the whole output at c, which has the layout of o.c; sums (m x n, NULL: nobody asks) for bounds. */
static inline void g_oracle(const struct g_op *g, char *c, struct g_sum *sums)
{
    const struct pi_gemm *o = &g->o;
    const size_t per = o->image_m ? o->image_m : o->m;
    for (size_t i = 0; i < o->m; i++)
        for (size_t j = 0; j < o->n; j++) {
            const size_t image = i / per, pixel = i % per;
            struct g_sum s = { 0 };
            for (size_t t = 0; t < o->segs; t++) {
                const char *a = g_row_of(o, t, i) + (g->group ? j / g->group * g->group * o->asize : 0);
                g_add(&s, g->a, g->b, a, (const char *)g->w + ((ptrdiff_t)t * g->ss
                                                               + (ptrdiff_t)j * g->sn) * (ptrdiff_t)h_type_size(g->b),
                      g->group ? g->group : o->k, g->sk);
            }
            const char *res = NULL;
            if (o->res) res = o->res + (ptrdiff_t)image * o->image_res + (o->res_at ? o->res_at[pixel]
                                                                          : (ptrdiff_t)pixel * o->ldres);
            g_epilogue(o->epi, &s, g->a == PI_U8, o->row0 + i, j, res, j,
                       c + (ptrdiff_t)image * o->image_c + (o->c_at ? o->c_at[pixel] : (ptrdiff_t)pixel * o->ldc));
            if (sums) sums[i * o->n + j] = s;
        }
}

/* ------------------------------------------------------------------------------------------------ problems */

/* One line of bench/shapes: "gemm 512x768x768" (MxNxK) or "conv 3x3 56x56x64>64 s1 p1" (HxWxC>N). */
struct g_shape { size_t m, n, k, kh, kw, h, w, stride, pad; };
static inline int g_parse(const char *line, struct g_shape *s)
{
    *s = (struct g_shape){ 0 };
    if (sscanf(line, "gemm %zux%zux%zu", &s->m, &s->n, &s->k) == 3) return 1;
    if (sscanf(line, "conv %zux%zu %zux%zux%zu>%zu s%zu p%zu", &s->kh, &s->kw, &s->h, &s->w, &s->k, &s->n, &s->stride,
               &s->pad) != 8) return 0;
    s->m = ((s->h + 2 * s->pad - s->kh) / s->stride + 1) * ((s->w + 2 * s->pad - s->kw) / s->stride + 1);
    return 1;
}
/* Indirection of a convolution over an NHWC image of e-byte elements: kh*kw x m offsets, -1 padding. */
static inline int32_t *g_taps(const struct g_shape *s, size_t e)
{
    const size_t ow = (s->w + 2 * s->pad - s->kw) / s->stride + 1;
    int32_t *at = malloc(s->kh * s->kw * s->m * sizeof *at);
    for (size_t t = 0; t < s->kh * s->kw; t++)
        for (size_t i = 0; i < s->m; i++) {
            const size_t y = i / ow * s->stride + t / s->kw, x = i % ow * s->stride + t % s->kw;
            const int out = y < s->pad || x < s->pad || y - s->pad >= s->h || x - s->pad >= s->w;
            at[t * s->m + i] = out ? -1 : (int32_t)(((y - s->pad) * s->w + x - s->pad) * s->k * e);
        }
    return at;
}
#endif
