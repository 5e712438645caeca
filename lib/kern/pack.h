/* Weights laid out for a packing. */
#ifndef PI_KERN_PACK_H
#define PI_KERN_PACK_H
#include "../base/context.h"
#include "../../kernels/kernel.h"

struct pi_packed {
    const struct pi_packing *p;
    size_t n, k, segs;                          /* columns; elements a segment                                  */
    size_t kc, nk;                              /* K block in elements (k * segs: no blocks), blocks a segment   */
    size_t seg_bytes, panel_bytes, bytes;       /* of b                                                        */
    char *b;                                    /* 64-byte aligned                                             */
    struct pi_sub *sub; int32_t *list;          /* listed packings                                             */
    size_t nsub, nlist, groups;                 /* groups: stored k groups in all, for the growth of K           */
};
/* Source element (segment s, k index p, column j) lies at w + s*ss + p*sk + j*sn, strides in elements: weights and
 * activations alike, so Q K^T (sk = 1) and P V (sn = 1) are the same call. group > 0: columns come in bundles of nr that
 * read their own k channels, block diagonal: column j reads channels (j % nr) / group * group + p % group of its bundle.
 * Source and packed types are equal. pi_pack_size: bytes of b for a dense packing (what pi_pack_into needs). */
int pi_pack(const struct pi_allocator *a, struct pi_packed *d, const struct pi_packing *p, const void *w, size_t segs, size_t k,
            size_t n, size_t kc, ptrdiff_t ss, ptrdiff_t sk, ptrdiff_t sn, size_t group, struct precinfer_error *err);
void pi_packed_free(const struct pi_allocator *a, struct pi_packed *d);
size_t pi_pack_size(const struct pi_packing *p, size_t segs, size_t k, size_t n);
/* Dense packings into caller's memory (a B that is an activation): fills *d, allocates nothing. */
void pi_pack_into(struct pi_packed *d, const struct pi_packing *p, const void *w, size_t segs, size_t k, size_t n,
                  ptrdiff_t ss, ptrdiff_t sk, ptrdiff_t sn, void *b);
/* Depthwise: source element (tap t, channel j) at w + t*st + j*sn. */
int pi_pack_dw(const struct pi_allocator *a, struct pi_packed *d, const struct pi_packing *p, const void *w, size_t taps, size_t n,
               ptrdiff_t st, ptrdiff_t sn, struct precinfer_error *err);
/* 3x3 taps for PI_WINO: tap t, channel p, column j at w + t*st + p*sk + j*sn. */
int pi_pack_wino(const struct pi_allocator *a, struct pi_packed *d, const struct pi_packing *p, const int8_t *w, size_t k, size_t n,
                 ptrdiff_t st, ptrdiff_t sk, ptrdiff_t sn, struct precinfer_error *err);
/* What the listed packing costs for these s8 weights, against K in single quads: below 1 where most quads have a partner,
 * 2 where all are stored twice. */
double pi_listed_growth(const struct pi_packing *p, const int8_t *w, size_t segs, size_t k, size_t n, ptrdiff_t ss, ptrdiff_t sk, ptrdiff_t sn);
size_t pi_k_group_bytes(const struct pi_packing *p);    /* one k group of one panel                            */
#endif
