#include <string.h>
#include "bytes.h"

uint32_t pi_load_u32(const void *p)
{
    const unsigned char *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint64_t pi_load_u64(const void *p)
{
    return pi_load_u32(p) | (uint64_t)pi_load_u32((const unsigned char *)p + 4) << 32;
}

void pi_store_u32(void *p, uint32_t x)
{
    unsigned char *b = p;
    for (int i = 0; i < 4; i++) b[i] = (unsigned char)(x >> 8 * i);
}

void pi_store_u64(void *p, uint64_t x)
{
    pi_store_u32(p, (uint32_t)x);
    pi_store_u32((unsigned char *)p + 4, (uint32_t)(x >> 32));
}

void pi_put(struct pi_bytes *b, const void *data, size_t n)
{
    size_t need;
    if (b->failed || !n) return;
    if (pi_add_size(b->size, n, &need)) { b->failed = 1; return; }
    if (need > b->room) {
        const size_t room = need < 256 ? 512 : need > SIZE_MAX / 2 ? need : need * 2;
        void *bigger = pi_grow(b->a, b->data, b->size, room);
        if (!bigger) { b->failed = 1; return; }
        b->data = bigger;
        b->room = room;
    }
    memcpy(b->data + b->size, data, n);
    b->size = need;
}

void pi_put_u8(struct pi_bytes *b, unsigned x)
{
    const unsigned char c = (unsigned char)x;
    pi_put(b, &c, 1);
}

void pi_put_u32(struct pi_bytes *b, uint32_t x)
{
    unsigned char c[4];
    pi_store_u32(c, x);
    pi_put(b, c, 4);
}

void pi_put_u64(struct pi_bytes *b, uint64_t x)
{
    unsigned char c[8];
    pi_store_u64(c, x);
    pi_put(b, c, 8);
}

void pi_put_f32(struct pi_bytes *b, float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    if ((u & 0x7fffffff) > 0x7f800000) u = 0x7fc00000;
    pi_put_u32(b, u);
}

void pi_put_count(struct pi_bytes *b, uint64_t x)
{
    unsigned char c[10];
    size_t n = 0;
    for (; x >= 128; x >>= 7) c[n++] = (unsigned char)(x | 128);
    c[n++] = (unsigned char)x;
    pi_put(b, c, n);
}

void pi_put_string(struct pi_bytes *b, const char *s)
{
    const size_t n = strlen(s);
    pi_put_count(b, n);
    pi_put(b, s, n);
}

void pi_put_text(struct pi_bytes *b, const char *s) { pi_put(b, s, strlen(s)); }

void pi_bytes_free(struct pi_bytes *b)
{
    pi_free(b->a, b->data);
    b->data = NULL;
    b->size = b->room = 0;
}

const void *pi_get(struct pi_reader *r, size_t n)
{
    if (r->failed || n > r->size - r->at) { r->failed = 1; return NULL; }
    const void *p = r->data + r->at;
    r->at += n;
    return p;
}

unsigned pi_get_u8(struct pi_reader *r)
{
    const unsigned char *p = pi_get(r, 1);
    return p ? *p : 0;
}

uint32_t pi_get_u32(struct pi_reader *r)
{
    const void *p = pi_get(r, 4);
    return p ? pi_load_u32(p) : 0;
}

uint64_t pi_get_u64(struct pi_reader *r)
{
    const void *p = pi_get(r, 8);
    return p ? pi_load_u64(p) : 0;
}

float pi_get_f32(struct pi_reader *r)
{
    const uint32_t u = pi_get_u32(r);
    float x;
    memcpy(&x, &u, 4);
    return x;
}

uint64_t pi_get_count(struct pi_reader *r)
{
    uint64_t x = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const unsigned c = pi_get_u8(r);
        /* One encoding a number: no bits beyond 64, no padding. */
        if ((shift == 63 && c > 1) || (shift && !c)) break;
        x |= (uint64_t)(c & 127) << shift;
        if (c < 128) return r->failed ? 0 : x;
    }
    r->failed = 1;
    return 0;
}

const char *pi_get_string(struct pi_reader *r, size_t *n)
{
    const uint64_t count = pi_get_count(r);
    const char *s = count <= r->size ? pi_get(r, (size_t)count) : NULL;
    if (!s || memchr(s, 0, (size_t)count)) { r->failed = 1; *n = 0; return ""; }
    *n = (size_t)count;
    return s;
}
