/* Pooling for every ISA with a vec.h; ../ref/pool.c is the law. Channels are walked in blocks, so that the block's results
 * stay in registers over all taps of a pixel: `wide` vectors at once, then single ones, then what is left. */

enum { WIDE = 4 };

INL vf pool_larger(vf best, vf x) { return v_select(v_nan(x), x, v_max(x, best)); }
INL vf load_some(const float *p, size_t n) { return n < VN ? vf_load_n(p, n) : vf_load(p); }
INL void store_some(float *p, vf x, size_t n) { if (n < VN) vf_store_n(p, x, n); else vf_store(p, x); }

/* `vectors` of channels from j on; n < VN: one partial vector. */
#define POOL_F32(name, join, finish)                                                                                    \
INL void name##_block(const struct pi_pool *t, const void *const *a, size_t i, size_t j, const int vectors, size_t n)   \
{                                                                                                                       \
    const size_t taps = t->count[i];                                                                                    \
    vf x[WIDE];                                                                                                         \
    for (int v = 0; v < vectors; v++) x[v] = load_some((const float *)a[0] + j + v * VN, n);                            \
    for (size_t s = 1; s < taps; s++) {                                                                                 \
        const float *p = (const float *)a[s] + j;                                                                       \
        _Pragma("GCC unroll 4") for (int v = 0; v < vectors; v++) x[v] = join(x[v], load_some(p + v * VN, n));          \
    }                                                                                                                   \
    for (int v = 0; v < vectors; v++) store_some((float *)t->c[i] + j + v * VN, finish(x[v], t, i), n);                 \
}                                                                                                                       \
pi_pool_fn ISA(name);                                                                                                   \
void ISA(name)(const struct pi_pool *t)                                                                                 \
{                                                                                                                       \
    const size_t n = t->n;                                                                                              \
    const void *const *a = t->a;                                                                                        \
    for (size_t i = 0; i < t->m; a += t->count[i++]) {                                                                  \
        size_t j = 0;                                                                                                   \
        for (; j + WIDE * VN <= n; j += WIDE * VN) name##_block(t, a, i, j, WIDE, VN);                                  \
        for (; j + VN <= n; j += VN) name##_block(t, a, i, j, 1, VN);                                                   \
        if (j < n) name##_block(t, a, i, j, 1, n - j);                                                                  \
    }                                                                                                                   \
}
#define FINISH_MAX(x, t, i) (x)
#define FINISH_AVG(x, t, i) v_div(x, v_set((float)(t)->divide[i]))
POOL_F32(maxpool_f32, pool_larger, FINISH_MAX)
POOL_F32(avgpool_f32, v_add, FINISH_AVG)

/* ---------------------------------------------------------------- u8 */

#define MAX_U8(V, load, store)                                                                                          \
    {                                                                                                                   \
        V best = load(a[0]);                                                                                            \
        for (size_t s = 1; s < taps; s++) best = V##_max(best, load(a[s]));                                             \
        store(c + j, best);                                                                                             \
    }
#define AT(p) ((const uint8_t *)(p) + j)
#define LOAD_W(p) vw_load(AT(p))
#define LOAD_B(p) vb_load(AT(p))
#define LOAD_N(p) vb_load_n(AT(p), n - j)
#define STORE_N(p, x) vb_store_n(p, x, n - j)

pi_pool_fn ISA(maxpool_u8);
void ISA(maxpool_u8)(const struct pi_pool *t)
{
    const size_t n = t->n;
    const void *const *a = t->a;
    for (size_t i = 0; i < t->m; a += t->count[i++]) {
        const size_t taps = t->count[i];
        uint8_t *c = t->c[i];
        size_t j = 0;
        for (; j + WN <= n; j += WN) MAX_U8(vw, LOAD_W, vw_store)
        for (; j + VN <= n; j += VN) MAX_U8(vb, LOAD_B, vb_store)
        if (j < n) MAX_U8(vb, LOAD_N, STORE_N)
    }
}

#define AVG_U8(load, store)                                                                                             \
    {                                                                                                                   \
        vi sum = vi_sub(vi_from_u8(load(a[0])), zero);                                                                  \
        for (size_t s = 1; s < taps; s++) sum = vi_add(sum, vi_from_u8(load(a[s])));                                    \
        const vf mean = v_div(v_mul(v_from_int(sum), p), divide);                                                       \
        store(c + j, vb_from_u8(vi_add(v_round(v_min(hi, v_max(lo, mean))), zp)));                                      \
    }

pi_pool_fn ISA(avgpool_u8);
void ISA(avgpool_u8)(const struct pi_pool *t)
{
    const size_t n = t->n;
    const void *const *a = t->a;
    const vf lo = v_set(t->lo), hi = v_set(t->hi), p = v_set(t->p);
    const vi zp = vi_set(t->z[1]);
    for (size_t i = 0; i < t->m; a += t->count[i++]) {
        const size_t taps = t->count[i];
        const vi zero = vi_set((int32_t)taps * t->z[0]);
        const vf divide = v_set((float)t->divide[i]);
        uint8_t *c = t->c[i];
        size_t j = 0;
        for (; j + VN <= n; j += VN) AVG_U8(LOAD_B, vb_store)
        if (j < n) AVG_U8(LOAD_N, STORE_N)
    }
}
