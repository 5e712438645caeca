/* Elementwise operators in the vectors of this folder. */
#include "vec.h"
#include "../vector/eltwise.h"

/* A look-up a byte: a gather of 32-bit elements would read past the table's end and is no faster. */
pi_elt_fn pi_table256_u8_avx2;
void pi_table256_u8_avx2(const struct pi_elt *t)
{
    const uint8_t *a = t->a, *table = t->table;
    uint8_t *c = t->c;
    size_t n = t->n;
    for (; n >= 8; n -= 8, a += 8, c += 8) {
        uint64_t x, y = 0;
        memcpy(&x, a, 8);
        for (int i = 0; i < 64; i += 8) y |= (uint64_t)table[x >> i & 255] << i;
        memcpy(c, &y, 8);
    }
    for (; n; n--) *c++ = table[*a++];
}
