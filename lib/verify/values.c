#include <string.h>
#include "../base/error.h"
#include "../plan/session.h"
#include "values.h"

int pi_scratch_need(const precinfer_context *ctx, struct pi_scratch *s, size_t bytes, struct precinfer_error *err)
{
    if (bytes <= s->bytes) return 0;
    pi_scratch_free(ctx, s);
    if (!(s->data = pi_malloc(&ctx->alloc, bytes))) return pi_no_memory(err, bytes);
    s->bytes = bytes;
    return 0;
}

void pi_scratch_free(const precinfer_context *ctx, struct pi_scratch *s)
{
    pi_free(&ctx->alloc, s->data);
    *s = (struct pi_scratch){ 0 };
}

/* ------------------------------------------------------------------------------------------------ elements */

#define EACH(type, value) \
    { const type *p = (const type *)t->data + from; for (size_t i = 0; i < n; i++) x[i] = (double)(value); } break

void pi_values_get(const struct pi_tensor *t, size_t from, size_t n, double *x)
{
    switch ((enum pi_type)t->type) {
    case PI_F32: EACH(float, p[i]);
    case PI_U8: EACH(uint8_t, t->quantized ? (float)((int)p[i] - t->zp) * t->scale : (float)p[i]);
    case PI_BF16: EACH(uint16_t, pi_bf16_to_f32(p[i]));
    case PI_F16: EACH(uint16_t, pi_f16_to_f32(p[i]));
    case PI_F64: EACH(double, p[i]);
    case PI_S8: EACH(int8_t, p[i]);
    case PI_U16: EACH(uint16_t, p[i]);
    case PI_S16: EACH(int16_t, p[i]);
    case PI_S32: EACH(int32_t, p[i]);
    case PI_U32: EACH(uint32_t, p[i]);
    case PI_S64: EACH(int64_t, p[i]);
    case PI_U64: EACH(uint64_t, p[i]);
    case PI_BOOL: EACH(uint8_t, p[i] != 0);
    default: memset(x, 0, n * sizeof *x);
    }
}
#undef EACH

static uint8_t quantize(float x, float scale, int32_t zp)
{
    float q = x / scale;
    q = q != q ? 0 : q < -1024 ? -1024 : q > 1024 ? 1024 : (q + 12582912.0f) - 12582912.0f;      /* to nearest even */
    const int z = (int)q + zp;
    return (uint8_t)(z < 0 ? 0 : z > 255 ? 255 : z);
}

static int same_form(const struct pi_tensor *a, const struct pi_tensor *b)
{
    return a->type == b->type && a->quantized == b->quantized && (!a->quantized || (a->scale == b->scale && a->zp == b->zp));
}

static int is_real(const struct pi_tensor *t)
{
    return t->type == PI_F32 || t->type == PI_BF16 || (t->type == PI_U8 && t->quantized);
}

int pi_values_convert(const struct pi_tensor *from, const struct pi_tensor *to)
{
    enum { CHUNK = 512 };
    const size_t n = (size_t)pi_elements(from);
    if (same_form(from, to)) {
        memmove(to->data, from->data, n * pi_type_size((enum pi_type)from->type));
        return 0;
    }
    if (!is_real(from) || !is_real(to)) return 1;
    double x[CHUNK];
    for (size_t i = 0; i < n; i += CHUNK) {
        const size_t m = n - i < CHUNK ? n - i : CHUNK;
        pi_values_get(from, i, m, x);
        for (size_t k = 0; k < m; k++) {
            const float f = (float)x[k];
            if (to->type == PI_F32) ((float *)to->data)[i + k] = f;
            else if (to->type == PI_BF16) ((uint16_t *)to->data)[i + k] = pi_f32_to_bf16(f);
            else ((uint8_t *)to->data)[i + k] = quantize(f, to->scale, to->zp);
        }
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ layouts */

static int same_layout(const struct pi_tensor *a, const struct pi_tensor *b)
{
    return (pi_is_row_major(a) && pi_is_row_major(b)) || (pi_is_channels_last(a) && pi_is_channels_last(b));
}

int pi_values_as(const precinfer_context *ctx, const struct pi_tensor *t, const struct pi_tensor *like,
                 struct pi_scratch *scratch, struct pi_tensor *out, struct precinfer_error *err)
{
    *out = *t;
    if (same_layout(t, like)) return 0;
    PI_TRY(pi_scratch_need(ctx, scratch, (size_t)pi_elements(t) * pi_type_size((enum pi_type)t->type) + 64, err));
    memcpy(out->stride, like->stride, sizeof out->stride);
    out->data = scratch->data;
    pi_relayout(ctx, t, out);
    return 0;
}

int pi_values_rows(const precinfer_context *ctx, const struct pi_tensor *t, struct pi_scratch *scratch, struct pi_tensor *out,
                   struct precinfer_error *err)
{
    struct pi_tensor rows = *t;
    pi_row_major(&rows);
    return pi_values_as(ctx, t, &rows, scratch, out, err);
}

int pi_values_meaning(const precinfer_context *ctx, const struct pi_tensor *t, struct pi_scratch *scratch, struct pi_tensor *out,
                      struct precinfer_error *err)
{
    *out = *t;
    if (t->type == PI_F32 || !is_real(t)) return 0;
    PI_TRY(pi_scratch_need(ctx, scratch, (size_t)pi_elements(t) * sizeof(float) + 64, err));
    out->data = scratch->data;
    out->type = PI_F32;
    out->quantized = 0;
    pi_values_convert(t, out);
    return 0;
}
