/* parallel_for over pthreadpool. The library itself starts no thread. */
#include "tool.h"

#if PI_WITH_ONNX
#include <pthreadpool.h>
#include <stdlib.h>

struct pool { pthreadpool_t threads; };

struct pool *pool_new(size_t threads)
{
    struct pool *p = malloc(sizeof *p);
    if (p && !(p->threads = pthreadpool_create(threads))) { free(p); p = NULL; }
    return p;
}
void pool_free(struct pool *p)
{
    if (!p) return;
    pthreadpool_destroy(p->threads);
    free(p);
}
void pool_parallel_for(void *pool, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
    const struct pool *p = pool;
    pthreadpool_parallelize_1d(p->threads, body, arg, n, 0);
}
#else
struct pool *pool_new(size_t threads) { (void)threads; return NULL; }
void pool_free(struct pool *p) { (void)p; }
void pool_parallel_for(void *pool, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
    (void)pool;
    for (size_t i = 0; i < n; i++) body(arg, i);
}
#endif
