/* Matrix products on plain tensors: f32, and unsigned by signed 8-bit integers. B is packed once and used for every call.
 *     cc -std=c99 examples/01_gemm.c -lprecinfer        (pkg-config --cflags --libs precinfer) */
#include <stdio.h>
#include "precinfer.h"

enum { M = 5, N = 10, K = 36 };

/* C = A * B + bias, clipped to [0, 6]. */
static enum precinfer_status float_product(precinfer_context *ctx, struct precinfer_error *err)
{
    static float a[M * K], b[K * N], bias[N], c[M * N], again[M * N];
    precinfer_weights *packed = NULL;
    enum precinfer_status status;
    double worst = 0;
    for (int i = 0; i < M * K; i++) a[i] = (float)(i % 7 - 3) / 4;
    for (int i = 0; i < K * N; i++) b[i] = (float)(i % 5 - 2) / 8;
    for (int j = 0; j < N; j++) bias[j] = (float)j;

    struct precinfer_gemm g = { .size = sizeof g, .m = M, .n = N, .k = K, .a_type = PRECINFER_F32, .b_type = PRECINFER_F32,
                                .c_type = PRECINFER_F32, .a = a, .lda = K, .b = b, .ldb = N, .c = c, .ldc = N, .bias = bias,
                                .lo = 0, .hi = 6 };
    status = precinfer_gemm(ctx, &g, err);
    if (!status) status = precinfer_gemm_pack(ctx, &g, &packed, err);
    g.packed = packed; g.b = NULL; g.c = again;         /* from here on B itself may go */
    if (!status) status = precinfer_gemm(ctx, &g, err);
    precinfer_weights_free(packed);
    if (status) return status;
    for (int i = 0; i < M * N; i++) {
        const double off = c[i] > again[i] ? c[i] - again[i] : again[i] - c[i];
        if (off > worst) worst = off;
    }
    printf("f32: c[0][0] = %g, packed differs from unpacked by %g\n", c[0], worst);
    return worst == 0 ? PRECINFER_OK : PRECINFER_INVALID;
}

/* The same with integers: x is about (q - zero point) * scale. The zero point of A is folded into the bias. */
static enum precinfer_status integer_product(precinfer_context *ctx, struct precinfer_error *err)
{
    static float x[M * K], scale[N], c[M * N];
    static uint8_t a[M * K];
    static int8_t b[K * N];
    int32_t bias[N] = { 0 };
    precinfer_observer *seen = NULL;
    struct precinfer_qparams params = { 1, 0 };
    double exact = 0;
    for (int i = 0; i < M * K; i++) x[i] = (float)(i % 23 - 7) / 10;
    for (int i = 0; i < K * N; i++) b[i] = (int8_t)(i % 255 - 127);

    enum precinfer_status status = precinfer_observer_new(ctx, &seen, err);
    if (!status) status = precinfer_observer_update(seen, x, M * K, err);
    if (!status) status = precinfer_observer_params(seen, &params, err);
    if (!status) status = precinfer_quantize(ctx, x, M * K, params, PRECINFER_U8, a, err);
    precinfer_observer_free(seen);
    if (status) return status;

    for (int j = 0; j < N; j++) {
        scale[j] = params.scale * 0.01f;                /* the weights stand for b * 0.01 */
        for (int k = 0; k < K; k++) bias[j] -= params.zero_point * b[k * N + j];
    }
    const struct precinfer_gemm g = { .size = sizeof g, .m = M, .n = N, .k = K, .a_type = PRECINFER_U8,
                                      .b_type = PRECINFER_S8, .c_type = PRECINFER_F32, .a = a, .lda = K, .b = b, .ldb = N,
                                      .c = c, .ldc = N, .bias = bias, .scale = scale };
    status = precinfer_gemm(ctx, &g, err);
    if (status) return status;
    for (int k = 0; k < K; k++) exact += (double)x[k] * b[k * N] * 0.01;
    printf("u8s8: c[0][0] = %g, in double %g\n", c[0], exact);
    return PRECINFER_OK;
}

int main(void)
{
    struct precinfer_error err = { PRECINFER_OK, "" };
    precinfer_context *ctx = NULL;
    enum precinfer_status status = precinfer_context_new(NULL, &ctx, &err);
    if (!status) {
        printf("%s\n", precinfer_context_cpu(ctx));
        status = float_product(ctx, &err);
    }
    if (!status) status = integer_product(ctx, &err);
    if (status) fprintf(stderr, "%s: %s\n", precinfer_status_string(status), err.text);
    precinfer_context_free(ctx);
    return status != PRECINFER_OK;
}
