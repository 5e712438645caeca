/* Depthwise convolution of u8 with s8 weights, in s32, exactly: two taps of a channel stand side by side as s16, and
 * vpmaddwd adds their products without saturation. */
#include "vec.h"
#include "epilogue.h"
#include <string.h>

typedef uint8_t A;
typedef int8_t W;
typedef vi SUM, WEIGHTS;
enum { KR = 2 };
INL vi zero_sum(void) { return vi_set(0); }
INL vi load_w(const int8_t *p) { return v_words_s8(p); }
INL vi add_taps(vi sum, const uint8_t *x0, const uint8_t *x1, vi w, size_t n)
{
    const vb x = n < VN ? vb_load_n(x0, n) : vb_load(x0), y = n < VN ? vb_load_n(x1, n) : vb_load(x1);
    return vi_add(sum, v_madd(v_pairs(x, y), w));
}
static __attribute__((noinline)) void epilogue(const struct pi_tile *t, const void *sums, size_t ld, size_t j, size_t n)
{
    epilogue_rows(t, sums, ld, j, n, 1);
}

/* Everything goes through the buffer. */
struct dw_hot { char none; };
#define dw_hot_of(h, e, col, nv, n) ((void)(h))
#define finish_hot(h, sum, v, c, j, n) ((void)(h))
#include "../vector/dwconv.h"

pi_dw_fn pi_dwconv_u8s8_x16_avx512;
void pi_dwconv_u8s8_x16_avx512(const struct pi_dw *t) { dw_run(t, 0); }
