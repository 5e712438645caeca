/* Row-major to channels-last and back: a transposition of (channels, points) a sample. */
#include <string.h>
#include "session.h"

#define TRANSPOSE(type)                                                                                   \
    static void transpose_##type(const type *from, type *to, size_t rows, size_t cols)                    \
    {                                                                                                     \
        enum { B = 16 };                /* a block of both sides stays in L1 */                           \
        for (size_t i0 = 0; i0 < rows; i0 += B)                                                           \
            for (size_t j0 = 0; j0 < cols; j0 += B) {                                                     \
                const size_t i1 = i0 + B < rows ? i0 + B : rows, j1 = j0 + B < cols ? j0 + B : cols;      \
                for (size_t j = j0; j < j1; j++)                                                          \
                    for (size_t i = i0; i < i1; i++) to[j * rows + i] = from[i * cols + j];               \
            }                                                                                             \
    }
TRANSPOSE(uint8_t)
TRANSPOSE(uint16_t)
TRANSPOSE(uint32_t)
TRANSPOSE(uint64_t)

void pi_relayout(const precinfer_context *ctx, const struct pi_tensor *from, const struct pi_tensor *to)
{
    (void)ctx;
    const int to_last = pi_is_channels_last(to) && pi_is_row_major(from);
    if (from->rank < 3 || !(to_last || (pi_is_row_major(to) && pi_is_channels_last(from)))) { pi_copy(from, to); return; }
    const size_t size = pi_type_size((enum pi_type)from->type), n = (size_t)from->dims[0], c = (size_t)from->dims[1];
    size_t points = 1;
    for (int i = 2; i < from->rank; i++) points *= (size_t)from->dims[i];
    const size_t rows = to_last ? c : points, cols = to_last ? points : c;
    for (size_t i = 0; i < n; i++) {
        const char *f = (const char *)from->data + i * c * points * size;
        char *t = (char *)to->data + i * c * points * size;
        switch (size) {
        case 1: transpose_uint8_t((const uint8_t *)f, (uint8_t *)t, rows, cols); break;
        case 2: transpose_uint16_t((const uint16_t *)f, (uint16_t *)t, rows, cols); break;
        case 4: transpose_uint32_t((const uint32_t *)f, (uint32_t *)t, rows, cols); break;
        default: transpose_uint64_t((const uint64_t *)f, (uint64_t *)t, rows, cols); break;
        }
    }
}
