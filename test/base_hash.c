#include "harness.h"
#include "../lib/base/hash.h"

/* The specification's formulas once more, over the whole message at once and backwards: rotations as products and
 * quotients of 128-bit numbers, lanes read by Horner's rule. It shares no line with the library. */
typedef unsigned __int128 wide;
static uint64_t turn(uint64_t x, int r) { const wide w = (wide)x * ((wide)1 << r); return (uint64_t)w + (uint64_t)(w >> 64); }
static uint64_t lane(const unsigned char *p, int n) { uint64_t x = 0; while (n--) x = x * 256 + p[n]; return x; }
static const uint64_t A = 11400714785074694791u, B = 14029467366897019727u, C = 1609587929392839161u, D = 9650029242287828579u,
                      E = 2870177450012600261u;       /* the specification's primes, as it gives them in decimal */
static uint64_t round_of(uint64_t acc, uint64_t input) { return turn(acc + input * B, 31) * A; }
static uint64_t by_the_book(const unsigned char *p, size_t n)
{
    const size_t stripes = n / 32;
    uint64_t v[4] = { A + B, B, 0, (uint64_t)0 - A }, acc = E;
    for (int i = 0; i < 4; i++)
        for (size_t s = 0; s < stripes; s++) v[i] = round_of(v[i], lane(p + 32 * s + 8 * (size_t)i, 8));
    if (n >= 32) {
        acc = turn(v[0], 1) + turn(v[1], 7) + turn(v[2], 12) + turn(v[3], 18);
        for (int i = 0; i < 4; i++) acc = (acc ^ round_of(0, v[i])) * A + D;
    }
    acc += n;
    for (size_t at = stripes * 32; at < n; ) {
        if (n - at >= 8) { acc = turn(acc ^ round_of(0, lane(p + at, 8)), 27) * A + D; at += 8; }
        else if (n - at >= 4) { acc = turn(acc ^ lane(p + at, 4) * A, 23) * B + C; at += 4; }
        else { acc = turn(acc ^ p[at] * E, 11) * A; at++; }
    }
    acc ^= acc / ((uint64_t)1 << 33); acc *= B;
    acc ^= acc / ((uint64_t)1 << 29); acc *= C;
    return acc ^ acc / ((uint64_t)1 << 32);
}

/* Published results, seed 0. */
START_TEST(vectors)
{
    static const struct { const char *text; uint64_t hash; } known[] = {
        { "", 0xef46db3751d8e999u }, { "a", 0xd24ec4f1a98c6e5bu }, { "abc", 0x44bc2cf5ad770999u },
        { "Nobody inspects the spammish repetition", 0xfbcea83c8a378bf1u } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const uint64_t h = pi_hash_of(known[i].text, strlen(known[i].text));
        h_expect(h == known[i].hash, "'%s': %016llx", known[i].text, (unsigned long long)h);
    }
    h_finish();
}
END_TEST

START_TEST(lengths)
{
    h_reseed(_i);
    for (size_t n = 0; n < 300; n++) {
        unsigned char *p = h_guard(n);
        h_fill(p, PI_U8, n, H_RANDOM);
        h_expect(pi_hash_of(p, n) == by_the_book(p, n), "%zu bytes", n);
        h_guard_free(p);
    }
    h_finish();
}
END_TEST

/* However the bytes are cut up, and read out on the way. */
START_TEST(streams)
{
    unsigned char p[500];
    h_reseed(_i);
    h_fill(p, PI_U8, sizeof p, H_RANDOM);
    for (int trial = 0; trial < 200; trial++) {
        struct pi_hash h;
        pi_hash_init(&h);
        for (size_t at = 0; at < sizeof p; ) {
            size_t n = h_below(h_below(2) ? 8 : 90);
            if (n > sizeof p - at) n = sizeof p - at;
            pi_hash_add(&h, p + at, n);
            at += n;
            h_expect(pi_hash_end(&h) == by_the_book(p, at), "cut at %zu", at);
        }
    }
    pi_hash_of(NULL, 0);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("base_hash");
    h_add(s, "vectors", vectors, 1, 5);
    h_add(s, "lengths", lengths, 1, 5);
    h_add(s, "streams", streams, 1, 10);
    return s;
}
