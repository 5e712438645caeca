/* XXH64, seed 0, after the published specification (xxHash fast digest algorithm, "XXH64 algorithm description"). */
#include "hash.h"
#include <string.h>

static const uint64_t P1 = 0x9e3779b185ebca87u, P2 = 0xc2b2ae3d27d4eb4fu, P3 = 0x165667b19e3779f9u,
                      P4 = 0x85ebca77c2b2ae63u, P5 = 0x27d4eb2f165667c5u;

static uint64_t rotl(uint64_t x, int r) { return x << r | x >> (64 - r); }

/* Little-endian by definition: the hash is stored in files. */
static uint64_t read32(const unsigned char *p)
{
    return p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}
static uint64_t read64(const unsigned char *p) { return read32(p) | read32(p + 4) << 32; }

static uint64_t mix(uint64_t acc, uint64_t lane) { return rotl(acc + lane * P2, 31) * P1; }

static void stripe(uint64_t v[4], const unsigned char *p)
{
    for (int i = 0; i < 4; i++) v[i] = mix(v[i], read64(p + 8 * i));
}

void pi_hash_init(struct pi_hash *h)
{
    *h = (struct pi_hash){ .v = { P1 + P2, P2, 0, 0 - P1 } };
}

void pi_hash_add(struct pi_hash *h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    h->total += n;
    if (h->fill) {
        const size_t room = sizeof h->buf - h->fill, part = n < room ? n : room;
        if (part) memcpy(h->buf + h->fill, p, part);
        h->fill += part; p += part; n -= part;
        if (h->fill < sizeof h->buf) return;
        stripe(h->v, h->buf);
        h->fill = 0;
    }
    for (; n >= 32; p += 32, n -= 32) stripe(h->v, p);
    if (n) memcpy(h->buf, p, n);
    h->fill = n;
}

/* The four accumulators become one. */
static uint64_t converge(const uint64_t v[4])
{
    uint64_t acc = rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18);
    for (int i = 0; i < 4; i++) acc = (acc ^ mix(0, v[i])) * P1 + P4;
    return acc;
}

uint64_t pi_hash_end(const struct pi_hash *h)
{
    uint64_t acc = (h->total >= 32 ? converge(h->v) : P5) + h->total;
    const unsigned char *p = h->buf, *end = p + h->fill;
    for (; end - p >= 8; p += 8) acc = rotl(acc ^ mix(0, read64(p)), 27) * P1 + P4;
    for (; end - p >= 4; p += 4) acc = rotl(acc ^ read32(p) * P1, 23) * P2 + P3;
    for (; p < end; p++) acc = rotl(acc ^ *p * P5, 11) * P1;
    acc = (acc ^ acc >> 33) * P2;
    acc = (acc ^ acc >> 29) * P3;
    return acc ^ acc >> 32;
}

uint64_t pi_hash_of(const void *bytes, size_t n)
{
    struct pi_hash h;
    pi_hash_init(&h);
    pi_hash_add(&h, bytes, n);
    return pi_hash_end(&h);
}
