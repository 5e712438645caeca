#include "context.h"
#include <stdarg.h>
#include <stdio.h>

void pi_context_retain(precinfer_context *c) { atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed); }

void pi_context_release(precinfer_context *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    const struct pi_allocator a = c->alloc;     /* it lies in what is freed */
    pi_free(&a, c->kernel);
    pi_free(&a, c->cpu_text);
    pi_free(&a, c);
}

void pi_log(const precinfer_context *c, enum precinfer_log_level level, const char *format, ...)
{
    if (!c->log) return;
    char line[PRECINFER_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0) return;
    pi_clean_text(line, sizeof line);
    c->log(c->host, level, line);
}
