/* Image inputs of samples, as PNG for a page. The pixels are stored, not deflated: they are few. */
#include <stdlib.h>
#include <string.h>
#include "tool.h"

enum { MOST_PICTURES = 60, MOST_SIDE = 112 };
enum { BLACK = 0, WHITE = 255 };

/* ------------------------------------------------------------------------------------------------ from a batch */

/* Where element (y, x, c) of a sample lies: (N,C,H,W) or (N,H,W,C), C 1 or 3. */
struct image { int64_t h, w, c, step_y, step_x, step_c; };

static int is_image(const struct precinfer_tensor *t, struct image *m)
{
    if (t->rank != 4) return 0;
    const int64_t *d = t->dims;
    const int first = d[1] == 1 || d[1] == 3, last = d[3] == 1 || d[3] == 3;
    if (first) *m = (struct image){ d[2], d[3], d[1], d[3], 1, d[2] * d[3] };
    else if (last) *m = (struct image){ d[1], d[2], d[3], d[2] * d[3], d[3], 1 };
    return (first || last) && m->h > 1 && m->w > 1;
}

/* The mean of a block, so that a large image shrinks to what is seen. */
static double block_mean(const struct precinfer_tensor *t, size_t base, const struct image *m, int64_t y, int64_t x, int64_t c,
                         int64_t scale)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = y * scale; i < (y + 1) * scale && i < m->h; i++)
        for (int64_t k = x * scale; k < (x + 1) * scale && k < m->w; k++, n++)
            sum += double_at(t, base + (size_t)(i * m->step_y + k * m->step_x + c * m->step_c));
    return n ? sum / (double)n : 0;
}

static int draw(const struct precinfer_tensor *t, size_t sample, struct picture *p)
{
    struct image m;
    if (!is_image(t, &m)) return 0;
    const int64_t side = m.h > m.w ? m.h : m.w, scale = (side + MOST_SIDE - 1) / MOST_SIDE;
    p->h = (size_t)((m.h + scale - 1) / scale);
    p->w = (size_t)((m.w + scale - 1) / scale);
    p->c = (size_t)m.c;
    const size_t n = p->h * p->w * p->c, base = sample * (size_t)(m.h * m.w * m.c);
    double *v = need(n, sizeof *v), lo = 0, hi = 0;
    p->pixels = v ? need(n, 1) : NULL;
    if (!p->pixels) { free(v); return EXIT_BROKEN; }
    for (size_t i = 0; i < n; i++) {
        const double x = block_mean(t, base, &m, (int64_t)(i / (p->w * p->c)), (int64_t)(i / p->c % p->w), (int64_t)(i % p->c),
                                    scale);
        v[i] = x - x == 0 ? x : 0;
        if (!i || v[i] < lo) lo = v[i];
        if (!i || v[i] > hi) hi = v[i];
    }
    for (size_t i = 0; i < n; i++) p->pixels[i] = (unsigned char)(hi > lo
            ? BLACK + (WHITE - BLACK) * (v[i] - lo) / (hi - lo) + 0.5 : 128);
    free(v);
    return 0;
}

/* The first input that is an image. */
static int draw_sample(const struct precinfer_batch *b, size_t i, struct picture *p)
{
    int code = 0;
    for (size_t k = 0; k < b->ninputs && !p->pixels && !code; k++)
        if (b->inputs[k].rank && (size_t)b->inputs[k].dims[0] == b->samples) code = draw(&b->inputs[k], i, p);
    return code;
}

int draw_flips(const struct findings *f, precinfer_data *data, struct picture **pictures, size_t *n)
{
    struct precinfer_batch b;
    struct precinfer_error err;
    size_t left = precinfer_report_flips(f->report);
    if (left > MOST_PICTURES) left = MOST_PICTURES;
    *n = left;
    *pictures = need(left + 1, sizeof **pictures);
    if (!*pictures) return EXIT_BROKEN;
    precinfer_data_rewind(data);
    while (left) {
        if (precinfer_data_next(data, &b, &err)) return fail_input(&err, "cannot read the data again", NULL);
        if (!b.samples) break;
        for (size_t k = 0; k < *n; k++) {
            struct precinfer_flip x;
            precinfer_report_flip(f->report, k, &x);
            for (size_t i = 0; i < b.samples; i++) {
                if (b.indexes[i] != x.index) continue;
                const int code = draw_sample(&b, i, &(*pictures)[k]);
                if (code) return code;
                left--;
                break;
            }
        }
    }
    return 0;
}

void free_pictures(struct picture *p, size_t n)
{
    for (size_t i = 0; p && i < n; i++) free(p[i].pixels);
    free(p);
}

/* ------------------------------------------------------------------------------------------------ PNG */

static uint32_t crc(const unsigned char *s, size_t n, uint32_t c)
{
    c = ~c;
    for (size_t i = 0; i < n; i++) {
        c ^= s[i];
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    }
    return ~c;
}

static unsigned char *put32(unsigned char *to, uint32_t x)
{
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(x >> (24 - 8 * i));
    return to + 4;
}

/* A chunk whose data already lies at to + 8. */
static unsigned char *chunk(unsigned char *to, const char *type, size_t n)
{
    put32(to, (uint32_t)n);
    memcpy(to + 4, type, 4);
    return put32(to + 8 + n, crc(to + 4, n + 4, 0));
}

/* Rows, each behind a zero (no filter), in one stored block: an image is smaller than 64 KiB. */
static size_t stored(unsigned char *to, const struct picture *p)
{
    const size_t row = p->w * p->c, n = p->h * (row + 1);
    uint32_t a = 1, b = 0;
    unsigned char *at = to;
    *at++ = 0x78; *at++ = 1; *at++ = 1;
    *at++ = (unsigned char)n; *at++ = (unsigned char)(n >> 8);
    *at++ = (unsigned char)~n; *at++ = (unsigned char)(~n >> 8);
    for (size_t y = 0; y < p->h; y++) {
        *at = 0;
        memcpy(at + 1, p->pixels + y * row, row);
        for (size_t i = 0; i <= row; i++) { a = (a + at[i]) % 65521; b = (b + a) % 65521; }
        at += row + 1;
    }
    return (size_t)(put32(at, b << 16 | a) - to);
}

void text_picture(struct text *t, const struct picture *p)
{
    unsigned char *png = need(p->h * (p->w * p->c + 1) + 128, 1), *at = png;
    if (!png) { t->failed = 1; return; }
    memcpy(at, "\x89PNG\r\n\x1a\n", 8);
    at += 8;
    put32(put32(at + 8, (uint32_t)p->w), (uint32_t)p->h);
    memcpy(at + 16, (const unsigned char[5]){ 8, p->c == 3 ? 2 : 0, 0, 0, 0 }, 5);
    at = chunk(at, "IHDR", 13);
    at = chunk(at, "IDAT", stored(at + 8, p));
    at = chunk(at, "IEND", 0);
    text_add(t, "data:image/png;base64,");
    text_base64(t, png, (size_t)(at - png));
    free(png);
}
