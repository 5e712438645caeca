/* One line on a terminal that renews itself; nothing in a pipe. */
#include <unistd.h>
#include "tool.h"

void progress_start(struct progress *p, const struct options *o, const char *what, size_t total)
{
    *p = (struct progress){ .on = !o->quiet && isatty(2), .what = what, .total = total };
}

int progress_show(void *progress, const char *what, size_t done, size_t total)
{
    struct progress *p = progress;
    if (!p->on) return 0;
    const uint64_t t = now_ns();
    if (p->last && t - p->last < 100000000) return 0;
    p->last = t;
    if (!total) total = p->total;
    if (p->what) what = p->what;
    if (total) fprintf(stderr, "\r%s: %zu of %zu ", what, done, total);
    else fprintf(stderr, "\r%s: %zu ", what, done);
    fflush(stderr);
    return 0;
}

void progress_end(struct progress *p)
{
    if (p->on && p->last) fprintf(stderr, "\r%*s\r", 60, "");
    p->on = 0;
}
