/* libFuzzer: any bytes as a policy. What loads makes a gate; a few samples go in and a report comes out, twice where it may. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../../lib/format/policy_text.h"
#include "../../lib/verify/gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { N = 12, CLASSES = 3 };
static void feed(precinfer_gate *g, const precinfer_policy *p, int from)
{
    static const char *const values[N] = { "a", "b", "a", "b", "a", "b", "a", "b", "a", "b", "a", "b" };
    const char *const *columns[64];
    struct precinfer_figure figures[64];
    double x[N][CLASSES], y[N][CLASSES];
    int64_t labels[N];
    uint64_t ids[N];
    struct precinfer_error err;
    if (p->ncolumns > 64 || p->n > 64) return;
    for (int i = 0; i < N; i++) {
        labels[i] = i % CLASSES;
        ids[i] = (uint64_t)(from + i);
        for (int k = 0; k < CLASSES; k++) { x[i][k] = (i * 7 + k * 3) % 5 + 0.5; y[i][k] = (i * 7 + k * 4) % 5 + 0.5; }
    }
    for (size_t i = 0; i < p->ncolumns; i++) columns[i] = values;
    for (size_t i = 0; i < p->n; i++) figures[i] = (struct precinfer_figure){ p->budgets[i].b.name, x[0], y[0] };
    const struct precinfer_judged j = { .samples = N, .reference = { x, PRECINFER_F64, 2, { N, CLASSES }, 0 }, .candidate = { y,
        PRECINFER_F64, 2, { N, CLASSES }, 0 },
        .target = { x, PRECINFER_F64, 2, { N, CLASSES }, 0 }, .labels = labels, .columns = columns, .ids = ids, .figures =
            figures, .nfigures = p->n };
    if (precinfer_gate_add(g, &j, &err) && err.status != PRECINFER_INVALID) abort();
    if (precinfer_gate_latency(g, x[0], y[0], N, &err) && err.status != PRECINFER_INVALID) abort();
}
static void look(precinfer_gate *g)
{
    precinfer_report *r;
    struct precinfer_error err;
    struct precinfer_contrast c;
    if (precinfer_gate_report(g, &r, &err)) { if (err.status != PRECINFER_INVALID) abort(); return; }
    for (size_t i = 0; i < precinfer_report_contrasts(r); i++) {
        if (precinfer_report_contrast(r, i, &c)) abort();
        if (c.lower > c.upper || c.needed < -1 || (unsigned)c.verdict > PRECINFER_NO_LIMIT || !strlen(c.budget)) abort();
    }
    precinfer_report_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static precinfer_context *ctx;
    struct precinfer_error err;
    precinfer_policy *p;
    precinfer_gate *g;
    if (!ctx && precinfer_context_new(NULL, &ctx, &err)) abort();
    if (pi_policy_from_text(ctx, bytes, size, &p, &err)) return 0;
    if (precinfer_gate_new(ctx, p, &g, &err)) {         /* bounds so near or so far that no lattice fits             */
        if (err.status != PRECINFER_INVALID) abort();
    } else {
        feed(g, p, 0);
        look(g);
        feed(g, p, 100);
        look(g);
        precinfer_gate_free(g);
    }
    pi_policy_release(p);
    return 0;
}
