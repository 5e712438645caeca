/* The tile driver: the only loop nest around a GEMM or convolution tile. */
#ifndef PI_OP_DRIVER_H
#define PI_OP_DRIVER_H
#include "../kern/choose.h"
#include "../kern/pack.h"

struct pi_gemm {
    size_t m, n, k, segs;               /* as the tile's, for the whole operator; images are stacked along m     */
    const char *a; size_t asize;        /* base of A, bytes an element                                          */
    ptrdiff_t lda;                      /* bytes from row to row; used where at == NULL                         */
    const int32_t *at;                  /* segs x image_m byte offsets from the image's base, -1: padding; or NULL */
    size_t image_m;                     /* rows of one image: m = images * image_m (m where there is one)        */
    ptrdiff_t image_a, image_c, image_res;  /* bytes from image to image                                        */
    const void *zero;                   /* the padding row: k elements of the zero point (with a_panel: all channels) */
    ptrdiff_t a_panel;
    int skip_padding;                   /* padding adds nothing to the sum: taps that are all padding are skipped */
    char *c; ptrdiff_t ldc; const int32_t *c_at; size_t csize;  /* c_at: image_m byte offsets, or NULL: i * ldc   */
    const char *res; ptrdiff_t ldres; const int32_t *res_at;    /* residual, the same                            */
    size_t row0;                        /* index of the first row in epi's per-row arrays                       */
    const struct pi_epi *epi;
};
/* rows: pi_heights of the chosen row. threads: slots to split over (rows, or panels where there are few rows). ws:
 * pi_gemm_workspace bytes, 64-byte aligned. Bits do not depend on threads, m or the split. Allocates nothing. */
size_t pi_gemm_workspace(const struct pi_gemm *o, const struct pi_packed *w, const struct pi_row *tallest, size_t threads);
void pi_gemm_run(const precinfer_context *ctx, const struct pi_gemm *o, const struct pi_packed *w,
                 const struct pi_row *const *rows,
                 size_t nrows, size_t threads, void *ws);
#endif
