#include <string.h>
#include "chain.h"
#include "elt.h"
#include "walk.h"

/* channels a call, where they lie side by side, and where they must be brought together */
enum { DENSE = 64, LOOSE = 16 };

struct job {
    pi_pool_fn *fn; const struct pi_pool *proto;
    uint32_t divide, pixels;
    struct pi_tensor in, out;
    size_t size, block, blocks;         /* channels a unit, units an image                                     */
    int dense;
    char *workspace; size_t slot_bytes;
};

static size_t pixels_of(const struct pi_tensor *in)
{
    size_t n = 1;
    for (int d = 2; d < in->rank; d++) n *= (size_t)in->dims[d];
    return n;
}

static size_t slot_bytes(const struct pi_tensor *in)
{
    return pi_up(pixels_of(in) * (sizeof(void *) + LOOSE * pi_type_size(in->type)), 64);
}

size_t pi_chain_workspace(const precinfer_context *ctx, const struct pi_tensor *in) { return ctx->threads * slot_bytes(in); }

/* Pixels in row-major order, whatever the layout. */
static void list_pixels(const struct job *j, const char *first, const void **a)
{
    const struct pi_tensor *t = &j->in;
    for (size_t p = 0; p < j->pixels; p++) {
        size_t rest = p;
        int64_t at = 0;
        for (int d = t->rank - 1; d >= 2; d--) {
            at += (int64_t)(rest % (size_t)t->dims[d]) * t->stride[d];
            rest /= (size_t)t->dims[d];
        }
        a[p] = first + at * (int64_t)j->size;
    }
}

/* Brings n channels of every pixel together; a[p] then points there. */
static void bring(const struct job *j, size_t n, const void **a, char *block)
{
    const ptrdiff_t step = (ptrdiff_t)(j->in.stride[1] * (int64_t)j->size);
    const size_t pitch = LOOSE * j->size;
    for (size_t k = 0; k < n; k++) {                        /* channel after channel: that is how they lie */
        char *to = block + k * j->size;
        const ptrdiff_t at = (ptrdiff_t)k * step;
        if (j->size == 4)
            for (size_t p = 0; p < j->pixels; p++) memcpy(to + p * pitch, (const char *)a[p] + at, 4);
        else
            for (size_t p = 0; p < j->pixels; p++) memcpy(to + p * pitch, (const char *)a[p] + at, j->size);
    }
    for (size_t p = 0; p < j->pixels; p++) a[p] = block + p * pitch;
}

static void span(void *arg, size_t begin, size_t end, size_t slot)
{
    const struct job *j = arg;
    const void **a = (const void **)(j->workspace + slot * j->slot_bytes);
    char *block = (char *)(a + j->pixels);
    for (size_t u = begin; u < end; u++) {
        const size_t channels = (size_t)j->in.dims[1], c0 = u % j->blocks * j->block;
        const size_t n = channels - c0 < j->block ? channels - c0 : j->block;
        const int64_t image = (int64_t)(u / j->blocks), size = (int64_t)j->size;
        const char *from = (const char *)j->in.data + (image * j->in.stride[0] + (int64_t)c0 * j->in.stride[1]) * size;
        char *to = (char *)j->out.data + (image * j->out.stride[0] + (int64_t)c0 * j->out.stride[1]) * size;
        uint32_t result[DENSE];
        const int straight = n == 1 || j->out.stride[1] == 1;
        void *c = straight ? (void *)to : (void *)result;
        list_pixels(j, from, a);
        if (!j->dense) bring(j, n, a, block);
        struct pi_pool p = *j->proto;
        p.m = 1;
        p.n = n;
        p.a = a;
        p.count = &j->pixels;
        p.divide = &j->divide;
        p.c = &c;
        j->fn(&p);
        for (size_t k = 0; !straight && k < n; k++)
            memcpy(to + (int64_t)k * j->out.stride[1] * size, (char *)result + k * j->size, j->size);
    }
}

void pi_chain(const precinfer_context *ctx, pi_pool_fn *fn, const struct pi_pool *proto, uint32_t divide,
              const struct pi_tensor *in, const struct pi_tensor *out, void *workspace)
{
    struct job j = { fn, proto, divide, (uint32_t)pixels_of(in), *in, *out, pi_type_size(in->type) };
    j.dense = in->stride[1] == 1 || in->dims[1] == 1;
    j.block = j.dense ? DENSE : LOOSE;
    j.blocks = ((size_t)in->dims[1] + j.block - 1) / j.block;
    j.workspace = workspace;
    j.slot_bytes = slot_bytes(in);
    pi_span(ctx, (size_t)in->dims[0] * j.blocks, (size_t)pi_elements(in), span, &j);
}

/* ---------------------------------------------------------------- rows */

static void maxpool_bf16(const struct pi_pool *t)
{
    const void *const *a = t->a;
    for (size_t i = 0; i < t->m; a += t->count[i++])
        for (size_t j = 0; j < t->n; j++) {
            uint16_t best = ((const uint16_t *)a[0])[j];
            for (size_t s = 1; s < t->count[i]; s++) {
                const uint16_t x = ((const uint16_t *)a[s])[j];
                const float fx = pi_bf16_to_f32(x);
                if (fx != fx || fx > pi_bf16_to_f32(best)) best = x;
            }
            ((uint16_t *)t->c[i])[j] = best;
        }
}

pi_pool_fn *pi_pool_find(const precinfer_context *ctx, enum pi_pool_op op, enum pi_type type)
{
    const struct pi_row *row = pi_row_find(ctx, PI_POOL, op, type, PI_NONE, type);
    return row ? row->fn.pool : op == PI_MAXPOOL && type == PI_BF16 ? maxpool_bf16 : NULL;
}

void pi_pool_scales(const struct pi_tensor *in, const struct pi_tensor *out, struct pi_pool *p)
{
    if (!in->quantized) return;
    p->p = (float)((double)in->scale / (double)out->scale);
    p->z[0] = in->zp;
    p->z[1] = out->zp;
    p->lo = (float)(0 - out->zp);
    p->hi = (float)(255 - out->zp);
}
