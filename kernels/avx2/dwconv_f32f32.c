/* Depthwise convolution in f32; ../ref/dwconv_f32f32.c is the law. */
#include "tile.h"
#include "vec.h"

typedef float A, W;
typedef vf SUM, WEIGHTS;
enum { KR = 1 };
INL vf zero_sum(void) { return v_set(0); }
INL vf load_w(const float *p) { return vf_load(p); }
INL vf add_taps(vf sum, const float *x0, const float *x1, vf w, size_t n)
{
    (void)x1;
    return v_fma(n < VN ? vf_load_n(x0, n) : vf_load(x0), w, sum);
}
#define epilogue pi_gemm_epilogue_float_avx2

/* Bias and clamp alone: the usual layer needs no buffer. */
INL int is_hot(const struct pi_epi *e) { return e->stages == 0 && e->out == PI_F32; }
struct dw_hot { vf bias[16 / VN], lo, hi; };
INL void dw_hot_of(struct dw_hot *h, const struct pi_epi *e, size_t col, const int nv, size_t n)
{
    const float *bias = (const float *)e->bias + col;
    for (int v = 0; v < nv; v++) h->bias[v] = n < VN ? vf_load_n(bias, n) : vf_load(bias + v * VN);
    h->lo = v_set(e->lo);
    h->hi = v_set(e->hi);
}
INL void finish_hot(const struct dw_hot *h, vf sum, int v, float *c, size_t j, size_t n)
{
    const vf x = v_min(h->hi, v_max(h->lo, v_add(sum, h->bias[v])));
    if (n < VN) vf_store_n(c + j, x, n); else vf_store(c + j, x);
}
#include "../vector/dwconv.h"

void pi_dwconv_f32f32_x16_avx2(const struct pi_dw *t)
{
    if (is_hot(t->epi)) dw_run(t, 1);
    else dw_run(t, 0);
}
