/* Other libraries' GEMMs, if they are installed: loaded at run time, timed in turn with the rows. One thread. */
#ifndef PI_BENCH_PEERS_H
#define PI_BENCH_PEERS_H
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include "../kernels/kernel.h"

typedef void cblas_sgemm_fn(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                            int ldb, float beta, float *c, int ldc);
typedef int dnnl_sgemm_fn(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                          const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
typedef int dnnl_u8s8_fn(char ta, char tb, char offset, int64_t m, int64_t n, int64_t k, float alpha, const uint8_t *a,
                         int64_t lda, uint8_t ao, const int8_t *b, int64_t ldb, int8_t bo, float beta, int32_t *c, int64_t ldc,
                         const int32_t *co);

struct peer { const char *name; enum pi_type a; void *fn; int blas; };
enum { PEERS = 3 };
static struct peer peers[PEERS];
static size_t npeers;

static inline void *peer_open(const char *const *names)
{
    void *lib = NULL;
    for (; !lib && *names; names++) lib = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
    return lib;
}
static inline void peer_add(void *lib, const char *symbol, const char *name, enum pi_type a, int blas)
{
    void *fn = lib ? dlsym(lib, symbol) : NULL;
    if (fn) peers[npeers++] = (struct peer){ name, a, fn, blas };
}
/* Before anything else runs: the libraries read how many threads they may start. */
static inline void peers_load(void)
{
    static const char *const blas[] = { "libopenblas.so.0", "libopenblas.so", NULL };
    static const char *const dnnl[] = { "libdnnl.so.3", "libdnnl.so.2", "libdnnl.so", NULL };
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    peer_add(peer_open(blas), "cblas_sgemm", "OpenBLAS sgemm", PI_F32, 1);
    void *const lib = peer_open(dnnl);
    peer_add(lib, "dnnl_sgemm", "oneDNN sgemm", PI_F32, 0);
    peer_add(lib, "dnnl_gemm_u8s8s32", "oneDNN gemm_u8s8s32", PI_U8, 0);
}

/* C[m x n] = A[m x k] * W', W stored n x k: as our rows get it before packing. The peers pack in the call. */
static inline void peer_run(const struct peer *p, size_t m, size_t n, size_t k, const void *a, const void *w, void *c)
{
    static const int32_t none = 0;
    if (p->blas)
        ((cblas_sgemm_fn *)p->fn)(101, 111, 112, (int)m, (int)n, (int)k, 1, a, (int)k, w, (int)k, 0, c, (int)n);
    else if (p->a == PI_F32)
        ((dnnl_sgemm_fn *)p->fn)('N', 'T', (int64_t)m, (int64_t)n, (int64_t)k, 1, a, (int64_t)k, w, (int64_t)k, 0, c, (int64_t)n);
    else
        ((dnnl_u8s8_fn *)p->fn)('N', 'T', 'F', (int64_t)m, (int64_t)n, (int64_t)k, 1, a, (int64_t)k, 0, w, (int64_t)k, 0, 0, c,
                                (int64_t)n, &none);
}
#endif
