/* Types and strided tensors. Dimensions are always in the model's logical order; strides say where elements lie, so
 * "NHWC inside" is a matter of strides and an operator that follows them is right in any layout. */
#ifndef PI_BASE_TENSOR_H
#define PI_BASE_TENSOR_H
#include <stddef.h>
#include <stdint.h>
#include "../../kernels/kernel.h"       /* enum pi_type */
#include "precinfer.h"

enum { PI_MAX_RANK = PRECINFER_MAX_RANK };
struct pi_tensor {
    void *data;                         /* NULL: not known yet                                                 */
    uint8_t type;                       /* enum pi_type                                                        */
    uint8_t quantized;                  /* u8 that means (q - zp) * scale                                      */
    int rank;
    int64_t dims[PI_MAX_RANK];          /* < 0: open (shape inference only)                                    */
    int64_t stride[PI_MAX_RANK];        /* elements                                                            */
    float scale; int32_t zp;
};
size_t pi_type_size(enum pi_type type);
const char *pi_type_name(enum pi_type type);
int64_t pi_elements(const struct pi_tensor *t);                     /* product of dims; -1 when one is open    */
/* Strides of a dense tensor: row-major, or channels last: dims 0, 2, 3, ..., 1 from the slowest to the fastest. */
void pi_row_major(struct pi_tensor *t);
void pi_channels_last(struct pi_tensor *t);
int pi_is_row_major(const struct pi_tensor *t);                     /* dimensions of 1 may have any stride      */
int pi_is_channels_last(const struct pi_tensor *t);
int pi_same_dims(const struct pi_tensor *a, const struct pi_tensor *b);
/* Copies element by element between any two layouts of equal dims and type. */
void pi_copy(const struct pi_tensor *from, const struct pi_tensor *to);
/* "(1, 3, ?, 32)" into s, cut at n. */
const char *pi_dims_string(const struct pi_tensor *t, char *s, size_t n);
float pi_bf16_to_f32(uint16_t x);
uint16_t pi_f32_to_bf16(float x);       /* round to nearest even, NaN stays NaN                                 */
float pi_f16_to_f32(uint16_t x);
uint16_t pi_f32_to_f16(float x);
#endif
