/* Work on the host's threads, in the library's own floating-point mode. */
#include "context.h"

struct guarded { void (*body)(void *arg, size_t slot); void *arg; };

static void run_guarded(void *arg, size_t slot)
{
    const struct guarded *g = arg;
    const unsigned saved = pi_fp_enter();
    g->body(g->arg, slot);
    pi_fp_leave(saved);
}

void pi_parallel(const precinfer_context *c, size_t n, void (*body)(void *arg, size_t slot), void *arg)
{
    struct guarded g = { body, arg };
    if (n > 1 && c->parallel_for) c->parallel_for(c->host, n, run_guarded, &g);
    else for (size_t i = 0; i < n; i++) run_guarded(&g, i);
}
