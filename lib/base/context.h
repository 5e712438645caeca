/* What the host lends. */
#ifndef PI_BASE_CONTEXT_H
#define PI_BASE_CONTEXT_H
#include <stdatomic.h>
#include "alloc.h"
#include "cpu.h"
#include "error.h"

struct precinfer_context {
    atomic_size_t refs;                 /* the host's handle and every object made from it                      */
    struct pi_allocator alloc;
    void *host;
    void (*log)(void *host, enum precinfer_log_level level, const char *line);
    void (*parallel_for)(void *host, size_t n, void (*body)(void *arg, size_t i), void *arg);
    size_t threads;                     /* >= 1                                                                 */
    struct pi_cpu cpu;                  /* what it has; cpu_mask is in isas                                     */
    uint64_t isas;                      /* bit i: line i of isa.def may be used                                 */
    char *kernel;                       /* glob, NULL: any                                                      */
    char *cpu_text;
};
void pi_context_retain(precinfer_context *c);
void pi_context_release(precinfer_context *c);
void pi_log(const precinfer_context *c, enum precinfer_log_level level, const char *format,
            ...) __attribute__((format(printf, 3, 4)));

/* body(arg, slot) for slot 0 .. n-1, n <= c->threads; every slot runs with the library's rounding mode and denormals
 * (MXCSR / FPCR saved, set, restored), also when n is 1 and the call is direct. */
void pi_parallel(const precinfer_context *c, size_t n, void (*body)(void *arg, size_t slot), void *arg);
/* The same guard for work on the calling thread: enter returns what leave puts back. */
unsigned pi_fp_enter(void);
void pi_fp_leave(unsigned saved);
#endif
