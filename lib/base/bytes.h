/* A growing buffer and a bounded reader of little-endian binary. Failures are remembered, so that a series of calls needs
 * one test at its end. */
#ifndef PI_BASE_BYTES_H
#define PI_BASE_BYTES_H
#include <stddef.h>
#include <stdint.h>
#include "alloc.h"

struct pi_slice { const void *data; size_t size; };

/* Zero-initialise with the allocator set. */
struct pi_bytes { const struct pi_allocator *a; unsigned char *data; size_t size, room; int failed; };
void pi_put(struct pi_bytes *b, const void *data, size_t n);
void pi_put_u8(struct pi_bytes *b, unsigned x);
void pi_put_u32(struct pi_bytes *b, uint32_t x);
void pi_put_u64(struct pi_bytes *b, uint64_t x);
void pi_put_f32(struct pi_bytes *b, float x);           /* NaN in its canonical form                              */
void pi_put_count(struct pi_bytes *b, uint64_t x);      /* LEB128: small numbers in one byte                      */
void pi_put_string(struct pi_bytes *b, const char *s);  /* count, bytes                                           */
void pi_put_text(struct pi_bytes *b, const char *s);    /* the bytes alone                                        */
void pi_bytes_free(struct pi_bytes *b);

/* After a read past the end `failed` is set and every read gives 0, NULL or "". */
struct pi_reader { const unsigned char *data; size_t size, at; int failed; };
const void *pi_get(struct pi_reader *r, size_t n);
unsigned pi_get_u8(struct pi_reader *r);
uint32_t pi_get_u32(struct pi_reader *r);
uint64_t pi_get_u64(struct pi_reader *r);
float pi_get_f32(struct pi_reader *r);
uint64_t pi_get_count(struct pi_reader *r);
/* Not terminated; *n bytes. A string with a zero byte inside sets failed. */
const char *pi_get_string(struct pi_reader *r, size_t *n);

/* Fields at any address. */
uint32_t pi_load_u32(const void *p);
uint64_t pi_load_u64(const void *p);
void pi_store_u32(void *p, uint32_t x);
void pi_store_u64(void *p, uint64_t x);
#endif
