/* Depthwise convolution for every ISA with a vec.h. Blocks of 16 channels outside, pixels inside: a few pixels at once, so
 * that weights are loaded once for all of them and chains of sums hide each other's latency. What is left of the channels
 * goes vector by vector, the last one under a mask: no byte past the channels is touched.
 *
 * A file defines, before it includes this:
 *     A, W, SUM, WEIGHTS    types of the activations and packed weights; vectors of sums and of weights
 *     KR              taps that stand together
 *     zero_sum()      0
 *     add_taps(sum, x0, x1, w, n)    n <= VN channels of KR taps (x1 of a KR of 1 is not looked at)
 *     load_w(p)       VN channels of KR taps
 *     epilogue(tile, sums, ld, j, n)    memory to memory
 *     struct dw_hot, dw_hot_of, finish_hot    constants and work of the stages that are done on registers */

enum {
    DW_NR = 16, DW_NV = DW_NR / VN,
    PIXELS = 4,                         /* at once: 8 sums on AVX2 leave room for weights, 4 on AVX-512 cover the latency */
    BUFFERED = 32                       /* pixels a call of the epilogue */
};

/* KR taps from tap s of `pixels` pixels, `nv` vectors of channels or n < VN channels; both: the second tap is there (its
 * weights are 0 where it is not). */
INL void dw_step(const void *const *a, size_t taps, size_t j, const W *w, const int pixels, const int nv, size_t n,
                 const int both, SUM sum[PIXELS][DW_NV])
{
    WEIGHTS k[DW_NV];
    UNROLL for (int v = 0; v < nv; v++) k[v] = load_w(w + v * VN * KR);
    UNROLL for (int p = 0; p < pixels; p++) {
        const A *x0 = (const A *)a[(size_t)p * taps] + j, *x1 = both ? (const A *)a[(size_t)p * taps + 1] + j : x0;
        UNROLL for (int v = 0; v < nv; v++) sum[p][v] = add_taps(sum[p][v], x0 + v * VN, x1 + v * VN, k[v], n);
    }
}

INL void dw_sums(const struct pi_dw *t, const W *w, size_t i, size_t j, const int pixels, const int nv, size_t n,
                 SUM sum[PIXELS][DW_NV])
{
    const size_t taps = t->taps;
    const void *const *a = t->a + i * taps;
    size_t s = 0;
    UNROLL for (int p = 0; p < pixels; p++) UNROLL for (int v = 0; v < nv; v++) sum[p][v] = zero_sum();
    for (; s + KR <= taps; s += KR, a += KR, w += DW_NR * KR) dw_step(a, taps, j, w, pixels, nv, n, KR == 2, sum);
    if (s < taps) dw_step(a, taps, j, w, pixels, nv, n, 0, sum);
}

/* `pixels` pixels from i to their outputs, or to the buffer's rows from `buf`. With `pixels` a constant the sums have no
 * index that is not one, and stay in registers. */
INL void dw_group(const struct pi_dw *t, const W *w, size_t i, size_t j, const int pixels, const int nv, size_t n,
                  const struct dw_hot *hot, char *buf)
{
    SUM sum[PIXELS][DW_NV];
    dw_sums(t, w, i, j, pixels, nv, n, sum);
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < nv; v++) {
            if (hot) finish_hot(hot, sum[p][v], v, t->c[i + (size_t)p], j + (size_t)v * VN, n);
            else memcpy(buf + (size_t)(p * DW_NR + v * VN) * 4, &sum[p][v], sizeof(SUM));
        }
}

/* Pixels i0 .. i1-1 through the buffer, or finished on registers. */
INL void dw_pixels(const struct pi_dw *t, const W *w, size_t i0, size_t i1, size_t j, const int nv, size_t n,
                   const int on_registers)
{
    const size_t channels = nv == DW_NV && n == VN ? DW_NR : n;
    char buf[BUFFERED * DW_NR * 4], *to = buf;
    struct dw_hot hot;
    size_t i = i0;
    if (on_registers) dw_hot_of(&hot, t->epi, t->col + j, nv, n);
    for (; i + PIXELS <= i1; i += PIXELS, to += PIXELS * DW_NR * 4)
        dw_group(t, w, i, j, PIXELS, nv, n, on_registers ? &hot : NULL, to);
    for (; i < i1; i++, to += DW_NR * 4) dw_group(t, w, i, j, 1, nv, n, on_registers ? &hot : NULL, to);
    if (on_registers) return;
    const struct pi_tile e = { .m = i1 - i0, .c = t->c + i0, .res = t->res ? t->res + i0 : NULL,
                               .row = t->row + i0, .col = t->col, .epi = t->epi };
    epilogue(&e, buf, DW_NR, j, channels);
}

INL void dw_run(const struct pi_dw *t, const int on_registers)
{
    const size_t block = (t->taps + KR - 1) / KR * KR * DW_NR;
    for (size_t j = 0; j < t->n; j += DW_NR) {
        const W *w = (const W *)t->b + (t->col + j) / DW_NR * block;
        const size_t n = t->n - j;
        for (size_t i = 0; i < t->m; i += BUFFERED) {
            const size_t i1 = t->m - i < BUFFERED ? t->m : i + BUFFERED;
            if (n >= DW_NR) { dw_pixels(t, w, i, i1, j, DW_NV, VN, on_registers); continue; }
            size_t v = 0;
            for (; v + VN <= n; v += VN) dw_pixels(t, w + v * KR, i, i1, j + v, 1, VN, on_registers);
            if (v < n) dw_pixels(t, w + v * KR, i, i1, j + v, 1, n - v, on_registers);
        }
    }
}
