#include <math.h>
#include <string.h>
#include "../base/math.h"
#include "layer_error.h"
#include "values.h"

enum { CHUNK = 512 };

static unsigned bin_of(double x)
{
    const float f = (float)x;
    uint32_t u;
    memcpy(&u, &f, 4);
    return u == 0x80000000 ? 0 : u >> PI_ERROR_SHIFT;               /* -0 is 0 */
}

static void count_odd(struct pi_layer_sums *s, int which, double x)
{
    if (x != x) s->nan[which]++;
    else if (x - x != 0) s->inf[which]++;
}

static void range16(struct pi_layer_sums *s, double m)
{
    s->overflow16 += m > 65504;
    if (!(m > 0)) return;
    s->nonzero++;
    s->below14 += m < 0x1p-14;
    s->below24 += m < 0x1p-24;
}

static void add(struct pi_layer_sums *s, const double *a, const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double x = a[i], y = b[i], e = x - y, m = x < 0 ? -x : x, d = e < 0 ? -e : e;
        if (x == x) range16(s, m);
        if (!(x - x == 0) || !(y - y == 0)) {
            count_odd(s, 0, x);
            count_odd(s, 1, y);
            continue;
        }
        s->finite++;
        s->signal += x * x;
        s->power += y * y;
        s->cross += x * y;
        s->noise += e * e;
        s->abs_sum += d;
        if (d > s->max_abs) s->max_abs = d;
        if (m > 0 && d > s->max_relative * m) s->max_relative = d / m;
        if (!s->bins) continue;
        s->bins[bin_of(x)]++;
        s->bins[PI_ERROR_BINS + bin_of(y)]++;
    }
    s->count += n;
}

void pi_error_add(struct pi_layer_sums *s, struct pi_span reference, struct pi_span candidate, size_t n)
{
    double a[CHUNK], b[CHUNK];
    for (size_t i = 0; i < n; i += CHUNK) {
        const size_t m = n - i < CHUNK ? n - i : CHUNK;
        pi_values_get(reference.t, reference.from + i, m, a);
        pi_values_get(candidate.t, candidate.from + i, m, b);
        add(s, a, b, m);
    }
    if (candidate.t->type != PI_U8 || !candidate.t->quantized) return;
    const uint8_t *q = (const uint8_t *)candidate.t->data + candidate.from;
    s->quantized += n;
    for (size_t i = 0; i < n; i++) { s->low += q[i] == 0; s->high += q[i] == 255; }
}

static int is_nan(const struct pi_tensor *t, const unsigned char *p)
{
    uint16_t h;
    uint32_t u;
    uint64_t d;
    switch ((enum pi_type)t->type) {
    case PI_F32: memcpy(&u, p, 4); return (u & 0x7fffffff) > 0x7f800000;
    case PI_BF16: memcpy(&h, p, 2); return (h & 0x7fff) > 0x7f80;
    case PI_F16: memcpy(&h, p, 2); return (h & 0x7fff) > 0x7c00;
    case PI_F64: memcpy(&d, p, 8); return (d & INT64_MAX) > 0x7ff0000000000000u;
    default: return 0;
    }
}

void pi_error_bytes(struct pi_layer_sums *s, struct pi_span reference, struct pi_span candidate, size_t n)
{
    const struct pi_tensor *a = reference.t, *b = candidate.t;
    const size_t size = pi_type_size((enum pi_type)a->type);
    const unsigned char *p = (const unsigned char *)a->data + reference.from * size,
                        *q = (const unsigned char *)b->data + candidate.from * size;
    s->bytes += n;
    if (a->quantized && (a->scale != b->scale || a->zp != b->zp)) { s->differ += n; return; }
    if (!n || !memcmp(p, q, n * size)) return;
    for (size_t i = 0; i < n; i++, p += size, q += size)
        s->differ += memcmp(p, q, size) && !(is_nan(a, p) && is_nan(b, q));
}

double pi_error_sqnr(double signal, double noise)
{
    if (!(noise > 0)) return INFINITY;
    if (!(signal > 0)) return -INFINITY;
    return 4.3429448190325175 * (pi_math_log(signal) - pi_math_log(noise));         /* 10 / ln 10 */
}

double pi_error_cosine(const struct pi_layer_sums *s)
{
    if (!(s->signal > 0) && !(s->power > 0)) return 1;
    if (!(s->signal > 0) || !(s->power > 0)) return 0;
    const double c = s->cross / (sqrt(s->signal) * sqrt(s->power));
    return c > 1 ? 1 : c < -1 ? -1 : c;
}

double pi_error_distance(const struct pi_layer_sums *s)
{
    double sum = 0;
    if (!s->bins || !s->finite) return 0;
    for (size_t i = 0; i < PI_ERROR_BINS; i++) {
        const double p = (double)s->bins[i] / (double)s->finite, q = (double)s->bins[PI_ERROR_BINS + i] / (double)s->finite;
        const double m = (p + q) / 2;
        if (p > 0) sum += p * (pi_math_log(p) - pi_math_log(m));
        if (q > 0) sum += q * (pi_math_log(q) - pi_math_log(m));
    }
    sum /= 2 * 0.69314718055994531;
    return sum > 0 ? sqrt(sum < 1 ? sum : 1) : 0;
}
