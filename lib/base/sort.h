/* Heap sort: qsort of the C library may take memory from malloc, which is the host's to grant. Not stable. */
#ifndef PI_BASE_SORT_H
#define PI_BASE_SORT_H
#include <stddef.h>
#include <stdint.h>
void pi_sort_u64(uint64_t *x, size_t n);
/* Sorts indexes; before(user, a, b) says whether index a stands before index b. */
void pi_sort_index(int *index, size_t n, int (*before)(const void *user, int a, int b), const void *user);
#endif
