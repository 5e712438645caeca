/* Scales, biases and bounds of a layer become the epilogue's arrays: in double, with + - * / only, rounded once. */
#include <math.h>
#include <string.h>
#include "dense.h"
#include "../quant/weights.h"

static int integer(const struct pi_compile *c) { return c->in[0]->type == PI_U8; }

/* With nothing between them the activation's clip and the output's are one: clip(clip(x, a, b), lo, hi) is
 * clip(x, clip(a, lo, hi), clip(b, lo, hi)), and kernels have few stages on registers. */
static int one_clip(const struct pi_compile *c) { return integer(c) && !c->res && c->out->type == PI_U8; }
static float clip(float x, float lo, float hi)
{
    x = lo > x ? lo : x;
    return hi < x ? hi : x;
}

uint32_t pi_epi_stages(const struct pi_compile *c)
{
    const struct pi_fused *const f = &c->node->fused;
    const int act = f->has_act && !one_clip(c);
    return (integer(c) ? PI_SCALE : 0u) | (act ? PI_ACT : 0u) | (c->res ? PI_RES : 0u);
}

void pi_epi_bias(float *to, size_t n, const float *bias, size_t elements, float times)
{
    for (size_t j = 0; j < n; j++) {
        const float b = bias ? bias[elements == 1 ? 0 : j] : 0.0f;
        to[j] = (times == 1.0f ? b : (float)((double)times * (double)b)) + 0.0f;   /* -0 + 0 is +0 */
    }
}

/* A bound in output steps. Infinite bounds stay infinite. */
static float in_steps(float bound, double step) { return (float)((double)bound / step); }

static int fold_bounds(const struct pi_compile *c, struct pi_epi *e, double step, struct precinfer_error *err)
{
    const struct pi_fused *const f = &c->node->fused;
    if (f->has_act) { e->act_lo = in_steps(f->act_lo, step); e->act_hi = in_steps(f->act_hi, step); }
    e->lo = f->has_clamp ? in_steps(f->lo, step) : -INFINITY;
    e->hi = f->has_clamp ? in_steps(f->hi, step) : INFINITY;
    if (e->out != PI_U8) return 0;
    const float least = (float)(0 - e->zp), most = (float)(255 - e->zp);
    if (!(e->lo >= least)) e->lo = least;
    if (!(e->hi <= most)) e->hi = most;
    /* A clamp that lies wholly outside of what u8 can say. */
    if (e->lo > most) e->lo = most;
    if (e->hi < least) e->hi = least;
    if (f->has_act && one_clip(c)) {
        const float lo = clip(e->act_lo, e->lo, e->hi), hi = clip(e->act_hi, e->lo, e->hi);
        e->lo = lo;
        e->hi = hi;
    }
    return e->zp < 0 || e->zp > 255
        ? pi_node_fail(c->node, err, PRECINFER_INVALID, "output zero point %d is not in [0, 255]", (int)e->zp) : 0;
}

static int fold_residual(const struct pi_compile *c, struct pi_epi *e, double step, struct precinfer_error *err)
{
    if (!c->res) return 0;
    e->stages |= PI_RES;
    e->res_type = c->res->type;
    if (c->res->type == PI_U8) {
        e->res_scale = (float)((double)c->res->scale / step);
        e->res_zp = c->res->zp;
    } else if (e->out == PI_U8)         /* the sum is in output steps; only u8 residuals are scaled to them */
        return pi_node_fail(c->node, err, PRECINFER_UNSUPPORTED, "a %s residual cannot be added to a u8 output",
                            pi_type_name(c->res->type));
    return 0;
}

static int positive(float x) { return x > 0 && x <= 3.402823466e38f; }

static int fold_integer(const struct pi_compile *c, size_t n, const float *bias, const int64_t *sums, double step, int32_t *b,
                        float *scale,
                        struct precinfer_error *err)
{
    const float sx = c->in[0]->scale;
    if (!positive(sx) || !(step > 0) || !c->weight_scale)
        return pi_node_fail(c->node, err, PRECINFER_INVALID,
                            "an int8 layer needs positive scales of its input, weights and output");
    for (size_t j = 0; j < n; j++) {
        const float sw = c->weight_scale[j];
        int bad = !(sw - sw == 0) || sw == 0;
        const int64_t folded = (bias && !bad ? pi_integer_bias(bias[j], sx, sw, &bad) : 0) - c->in[0]->zp * sums[j];
        if (bad || folded > INT32_MAX || folded < INT32_MIN)
            return pi_node_fail(c->node, err, PRECINFER_UNSUPPORTED,
                                "bias or weight scale of output channel %zu does not fit int8 arithmetic", j);
        b[j] = (int32_t)folded;
        scale[j] = (float)((double)sx * (double)sw / step);
    }
    return 0;
}

int pi_epi_fold(const struct pi_compile *c, size_t n, const float *bias, const int64_t *weight_sums, struct pi_epi_arrays *e,
                struct precinfer_error *err)
{
    const double step = c->out->type == PI_U8 ? (double)c->out->scale : 1.0;
    *e = (struct pi_epi_arrays){ .epi = { .stages = pi_epi_stages(c), .out = c->out->type,
                                          .zp = c->out->type == PI_U8 ? c->out->zp : 0 } };
    PI_TRY(fold_bounds(c, &e->epi, step, err));
    PI_TRY(fold_residual(c, &e->epi, step, err));
    if (bias) {
        const size_t at = pi_first_nonfinite(PI_F32, bias, n);
        if (at < n) return pi_node_fail(c->node, err, PRECINFER_MALFORMED, "bias[%zu] is not finite", at);
    }
    size_t bytes;
    if (pi_mul_size(n, 8, &bytes)) return pi_no_memory(err, n);
    char *const block = pi_malloc(&c->ctx->alloc, bytes);
    if (!block) return pi_no_memory(err, bytes);
    e->arrays = block;
    e->epi.bias = block;
    if (integer(c)) {
        e->epi.scale = (float *)(block + n * 4);
        const int status = fold_integer(c, n, bias, weight_sums, step, (int32_t *)block, (float *)(block + n * 4), err);
        if (status) pi_epi_drop(c->ctx, e);
        return status;
    }
    pi_epi_bias((float *)block, n, bias, n == 1 ? 1 : n, 1.0f);
    return 0;
}

void pi_epi_drop(const precinfer_context *ctx, struct pi_epi_arrays *e)
{
    if (e->arrays) pi_free(&ctx->alloc, e->arrays);
    *e = (struct pi_epi_arrays){ 0 };
}
