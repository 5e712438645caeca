/* Depthwise convolution of bf16: both operands widen exactly, sums are the f32 chain of ../ref/dwconv_bf16bf16.c. */
#include "tile.h"
#include "vec.h"

typedef uint16_t A, W;
typedef vf SUM, WEIGHTS;
enum { KR = 1 };
INL vf zero_sum(void) { return v_set(0); }
INL vf wide(vh x) { return v_float(VI_SHL(vi_from_u16(x), 16)); }
INL vf load_w(const uint16_t *p) { return wide(vh_load(p)); }
INL vf add_taps(vf sum, const uint16_t *x0, const uint16_t *x1, vf w, size_t n)
{
    (void)x1;
    return v_fma(wide(n < VN ? vh_load_n(x0, n) : vh_load(x0)), w, sum);
}
#define epilogue pi_gemm_epilogue_float_avx2

/* Everything goes through the buffer. */
struct dw_hot { char none; };
#define dw_hot_of(h, e, col, nv, n) ((void)(h))
#define finish_hot(h, sum, v, c, j, n) ((void)(h))
#include "../vector/dwconv.h"

void pi_dwconv_bf16bf16_x16_avx2(const struct pi_dw *t) { dw_run(t, 0); }
