/* A whole file as read-only memory: mapped when it is a regular file, else (a pipe) read. The file must not be shortened
 * while it is mapped. */
#ifndef PI_FORMAT_MAP_H
#define PI_FORMAT_MAP_H
#include <stddef.h>
#include "../base/alloc.h"

struct pi_map { const unsigned char *bytes; size_t size; const struct pi_allocator *a; int mapped; };
int pi_map_open(const struct pi_allocator *a, const char *path, struct pi_map *map, struct precinfer_error *err);
/* Bytes before `to` are not looked at again soon: a mapped file gives their memory back, and reads them anew if they are. */
void pi_map_pass(const struct pi_map *map, size_t to);
void pi_map_close(struct pi_map *map);              /* a zeroed one: nothing happens                             */
#endif
