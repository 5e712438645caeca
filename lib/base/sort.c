#include "sort.h"

static void sift_u64(uint64_t *x, size_t i, size_t n)
{
    const uint64_t v = x[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && x[child] < x[child + 1]) child++;
        if (v >= x[child]) break;
        x[i] = x[child];
    }
    x[i] = v;
}

void pi_sort_u64(uint64_t *x, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) sift_u64(x, i, n);
    for (size_t last = n; last-- > 1;) {
        const uint64_t v = x[0];
        x[0] = x[last];
        x[last] = v;
        sift_u64(x, 0, last);
    }
}

typedef int before_fn(const void *user, int a, int b);

static void sift_index(int *x, size_t i, size_t n, before_fn *before, const void *user)
{
    const int v = x[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(user, x[child], x[child + 1])) child++;
        if (!before(user, v, x[child])) break;
        x[i] = x[child];
    }
    x[i] = v;
}

void pi_sort_index(int *x, size_t n, before_fn *before, const void *user)
{
    for (size_t i = n / 2; i-- > 0;) sift_index(x, i, n, before, user);
    for (size_t last = n; last-- > 1;) {
        const int v = x[0];
        x[0] = x[last];
        x[last] = v;
        sift_index(x, 0, last, before, user);
    }
}
