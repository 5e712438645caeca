/* The project's 64-bit hash: XXH64 with seed 0 of the published specification, streaming. Not against an adversary. */
#ifndef PI_BASE_HASH_H
#define PI_BASE_HASH_H
#include <stddef.h>
#include <stdint.h>
struct pi_hash { uint64_t v[4], total; unsigned char buf[32]; size_t fill; };
void pi_hash_init(struct pi_hash *h);
void pi_hash_add(struct pi_hash *h, const void *bytes, size_t n);
uint64_t pi_hash_end(const struct pi_hash *h);
uint64_t pi_hash_of(const void *bytes, size_t n);
#endif
