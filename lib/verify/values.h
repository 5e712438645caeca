/* Values of tensors whatever their form: between f32, u8 with a scale, bf16 and the rest, and between layouts. */
#ifndef PI_VERIFY_VALUES_H
#define PI_VERIFY_VALUES_H
#include "../base/context.h"
#include "../base/tensor.h"

/* Memory that grows. Zero-initialise. */
struct pi_scratch { void *data; size_t bytes; };
int pi_scratch_need(const precinfer_context *ctx, struct pi_scratch *s, size_t bytes, struct precinfer_error *err);
void pi_scratch_free(const precinfer_context *ctx, struct pi_scratch *s);

/* Elements from .. from + n of dense memory, in the order in which they lie, as doubles: u8 with a scale means
 * (float)(q - zp) * scale, as everywhere. */
void pi_values_get(const struct pi_tensor *t, size_t from, size_t n, double *x);
/* Dense `from` into the dense memory of `to`, same order: quantized as the kernels do, or rounded to bf16. Types that have no
 * conversion must be equal. Nonzero: they are not. */
int pi_values_convert(const struct pi_tensor *from, const struct pi_tensor *to);
/* `t` in the layout (strides) of `like`: itself, or a copy in scratch. */
int pi_values_as(const precinfer_context *ctx, const struct pi_tensor *t, const struct pi_tensor *like,
                 struct pi_scratch *scratch, struct pi_tensor *out, struct precinfer_error *err);
/* Row-major likewise. */
int pi_values_rows(const precinfer_context *ctx, const struct pi_tensor *t, struct pi_scratch *scratch, struct pi_tensor *out,
                   struct precinfer_error *err);
/* What the quantized or rounded `t` means, as f32 in `out`, same strides; other types as they are. */
int pi_values_meaning(const precinfer_context *ctx, const struct pi_tensor *t, struct pi_scratch *scratch, struct pi_tensor *out,
                      struct precinfer_error *err);
#endif
