/* The histogram doubles its range when it must, and then bins fold in pairs. floor(x / 2w) is floor(floor(x / w) / 2), so the
 * folded counts are those that the wide bins would have had from the start: order never shows. */
#include <string.h>
#include "stats.h"

enum { CHUNK = 1024, NOT_FINITE = 0x7f800000 };

static uint32_t magnitude_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return u & 0x7fffffff;
}

static int exponent_of_bits(uint32_t magnitude)
{
    const int e = (int)(magnitude >> 23) - 126;
    return e < PI_MIN_EXPONENT ? PI_MIN_EXPONENT : e;
}

int pi_range_exponent(float magnitude) { return exponent_of_bits(magnitude_bits(magnitude)); }

void pi_range_init(struct pi_range *r, const char *name)
{
    memset(r, 0, sizeof *r);
    r->name = name;
    r->exponent = PI_MIN_EXPONENT;
}

static void grow(struct pi_range *r, int exponent)
{
    const int shift = exponent - r->exponent;
    if (shift <= 0) return;
    r->exponent = exponent;
    if (!r->count) return;
    for (size_t i = 1; i < PI_BINS; i++) {
        const uint64_t n = r->bins[i];
        r->bins[i] = 0;
        r->bins[shift < 11 ? i >> shift : 0] += n;
    }
}

/* 2^(11 - exponent), which is normal for every exponent: products with it are exact, or below 1 and so in bin 0. */
static float bins_per_unit(int exponent)
{
    const uint32_t u = (uint32_t)(11 - exponent + 127) << 23;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static void update_finite(struct pi_range *r, const float *x, size_t n, uint32_t biggest)
{
    float lo = r->count ? r->min : x[0] + 0.0f, hi = r->count ? r->max : lo;
    for (size_t i = 0; i < n; i++) {
        const float v = x[i] + 0.0f;            /* -0 becomes 0 */
        lo = v < lo ? v : lo;
        hi = v > hi ? v : hi;
    }
    r->min = lo;
    r->max = hi;
    grow(r, exponent_of_bits(biggest));
    r->count += n;
    const float scale = bins_per_unit(r->exponent);
    for (size_t i = 0; i < n; i++) {
        const float v = x[i] < 0 ? -x[i] : x[i];
        r->bins[(uint32_t)(v * scale)]++;
    }
}

static uint32_t biggest_of(const float *x, size_t n)
{
    uint32_t biggest = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t m = magnitude_bits(x[i]);
        biggest = m > biggest ? m : biggest;
    }
    return biggest;
}

static void update_mixed(struct pi_range *r, const float *x, size_t n)
{
    float finite[CHUNK];
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t m = magnitude_bits(x[i]);
        if (m > NOT_FINITE) r->nan++;
        else if (m == NOT_FINITE) r->inf++;
        else finite[k++] = x[i];
    }
    if (k) update_finite(r, finite, k, biggest_of(finite, k));
}

void pi_range_update(struct pi_range *r, const float *x, size_t n)
{
    for (size_t step; n; x += step, n -= step) {
        step = n < CHUNK ? n : CHUNK;
        const uint32_t biggest = biggest_of(x, step);
        if (biggest < NOT_FINITE) update_finite(r, x, step, biggest);
        else update_mixed(r, x, step);
    }
}

void pi_range_merge(struct pi_range *into, const struct pi_range *from)
{
    into->nan += from->nan;
    into->inf += from->inf;
    if (!from->count) return;
    if (!into->count || from->min < into->min) into->min = from->min;
    if (!into->count || from->max > into->max) into->max = from->max;
    grow(into, from->exponent);
    const int shift = into->exponent - from->exponent;
    for (size_t i = 0; i < PI_BINS; i++) into->bins[shift < 11 ? i >> shift : 0] += from->bins[i];
    into->count += from->count;
}
