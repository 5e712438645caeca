/* The binary container of statistics and plan files: versioned, checksummed, little-endian.
 *
 *   byte  0   magic "PRECINF\n"
 *         8   kind: four letters              12  u16 major, u16 minor version of that kind
 *        16   u32 number of sections          20  zero
 *        24   u64 length of the file          32  u64 XXH64 of the whole file with this field zero
 *        40   zero                            64  sections: u32 tag (four letters), u32 zero, u64 offset, u64 size, u64 zero
 *   Section data: in the order of the table, each at the next multiple of 64, zeros between; nothing after the last.
 *
 * A reader of major M reads every minor of M: sections that it does not know are passed over, and those that an older minor
 * lacks are absent. A newer major is refused. */
#ifndef PI_FORMAT_CONTAINER_H
#define PI_FORMAT_CONTAINER_H
#include <stddef.h>
#include <stdint.h>
#include "../base/bytes.h"
#include "../base/context.h"

#define PI_TAG(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
enum { PI_CONTAINER_MAX_SECTIONS = 1 << 20 };

struct pi_container_type { uint32_t kind; unsigned major, minor; const char *what; };   /* what: "statistics", "plan"   */
struct pi_section { uint32_t tag; const void *data; size_t size; };

/* Beside the target, then renamed. A tag may stand there several times. */
int pi_container_write(precinfer_context *ctx, const char *path, const struct pi_container_type *type,
                       const struct pi_section *sections, size_t n, struct precinfer_error *err);
/* The same bytes into memory: *out is zero-initialised with its allocator. */
int pi_container_bytes(const struct pi_container_type *type, const struct pi_section *sections, size_t n, struct pi_bytes *out,
                       struct precinfer_error *err);

struct pi_container { const unsigned char *bytes; size_t size, n; unsigned major, minor; uint64_t checksum; };
/* Whether the bytes begin like a container, and of what kind; 0: no. */
uint32_t pi_container_kind(const void *bytes, size_t size);
/* Checks everything, checksum first, and copies nothing: bytes must outlive *c. */
int pi_container_open(const void *bytes, size_t size, const struct pi_container_type *type, struct pi_container *c,
                      struct precinfer_error *err);
void pi_container_section(const struct pi_container *c, size_t i, struct pi_section *section);
/* The nth (from 0) section of that tag; nonzero: there is none, and *section is empty. */
int pi_container_find(const struct pi_container *c, uint32_t tag, size_t nth, struct pi_section *section);
/* The first, or an error that names the tag. */
int pi_container_need(const struct pi_container *c, uint32_t tag, struct pi_section *section, struct precinfer_error *err);
#endif
