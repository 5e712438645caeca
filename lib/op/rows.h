/* A tensor as rows: the reduced dimensions are a row's elements in ONNX order, the others count the rows. */
#ifndef PI_OP_ROWS_H
#define PI_OP_ROWS_H
#include "../base/tensor.h"

struct pi_rows {
    size_t m, n;                                        /* rows, elements a row                                */
    int kept, reduced;                                  /* dimensions of each, neighbours merged               */
    int64_t kept_dims[PI_MAX_RANK], kept_stride[PI_MAX_RANK], dims[PI_MAX_RANK], stride[PI_MAX_RANK];
    size_t size;                                        /* bytes an element                                    */
    int dense;                                          /* a row lies in one piece                             */
    ptrdiff_t row_step;                                 /* bytes from row to row where it is constant, else 0   */
};
/* reduced: bit d says that dimension d belongs to the row. */
void pi_rows_make(struct pi_rows *r, const struct pi_tensor *t, unsigned reduced);
ptrdiff_t pi_rows_at(const struct pi_rows *r, size_t row);              /* bytes                               */
void pi_rows_gather(const struct pi_rows *r, const char *row, void *to);
void pi_rows_scatter(const struct pi_rows *r, const void *from, char *row);
#endif
