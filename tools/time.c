/* Latencies: all that are compared are measured in turn, so that what slows the machine slows each of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double at_share(const double *sorted, size_t n, double share) { return sorted[(size_t)(share * (double)(n - 1) + 0.5)]; }

double median_of(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* The 95% interval of the median by order statistics is at most 2% of it. */
static int settled(const double *times, size_t n, double *scratch)
{
    if (n < 20) return 0;
    memcpy(scratch, times, n * sizeof *scratch);
    const double median = median_of(scratch, n), half = 0.98 * sqrt((double)n);
    const double lo = scratch[(size_t)((double)n / 2 - half)], hi = scratch[(size_t)((double)n / 2 + half)];
    return hi - lo <= 0.02 * median;
}

enum { MOST_RUNS = 100000 };
struct series { double *times, *scratch; };

static int one_round(precinfer_session *const *sessions, size_t n, struct series *s, size_t run)
{
    struct precinfer_error err;
    for (size_t i = 0; i < n; i++) {
        const uint64_t t = now_ns();
        if (precinfer_session_run(sessions[i], &err)) return fail_input(&err, "cannot run", NULL);
        if (s) s[i].times[run] = (double)(now_ns() - t);
    }
    return 0;
}

static int warm_up(precinfer_session *const *sessions, size_t n)
{
    const uint64_t start = now_ns();
    int code = 0;
    for (int i = 0; i < 10 && !code && (i < 2 || now_ns() - start < 500000000); i++) code = one_round(sessions, n, NULL, 0);
    return code;
}

static void summarize(struct series *s, size_t runs, struct timing *t)
{
    t->median = median_of(s->times, runs);
    t->p10 = at_share(s->times, runs, 0.10);
    t->p90 = at_share(s->times, runs, 0.90);
    t->p99 = runs >= 1000 ? at_share(s->times, runs, 0.99) : -1;
    t->runs = runs;
}

static int rounds(precinfer_session *const *sessions, size_t n, size_t most, size_t least, int fixed, struct series *s,
                  size_t *runs)
{
    const uint64_t start = now_ns();
    size_t look = 20;
    int code = warm_up(sessions, n);
    for (*runs = 0; *runs < most && !code;) {
        code = one_round(sessions, n, s, (*runs)++);
        if (fixed) continue;
        if (now_ns() - start > 10000000000u) break;
        if (*runs < look || *runs < least) continue;
        look = *runs + *runs / 4;
        size_t done = 0;
        while (done < n && settled(s[done].times, *runs, s[done].scratch)) done++;
        if (done == n) break;
    }
    return code;
}

int measure_runs(precinfer_session *const *sessions, size_t n, size_t runs, size_t least, struct timing *timings, double **times)
{
    const size_t most = runs ? runs : MOST_RUNS > least ? MOST_RUNS : least;
    struct series *s = need(n, sizeof *s);
    int code = s ? 0 : EXIT_BROKEN;
    if (runs > 10000000) code = fail(EXIT_USAGE, "wrong value", "--runs", "%zu is more than 10000000", runs);
    for (size_t i = 0; i < n && !code; i++) {
        s[i].times = need(most, sizeof(double));
        s[i].scratch = s[i].times ? need(most, sizeof(double)) : NULL;
        if (!s[i].scratch) code = EXIT_BROKEN;
    }
    size_t done = 0;
    if (!code) code = rounds(sessions, n, most, least, runs != 0, s, &done);
    for (size_t i = 0; i < n && s; i++) {
        if (!code && times) memcpy(s[i].scratch, s[i].times, done * sizeof(double));    /* before they are sorted */
        if (!code) summarize(&s[i], done, &timings[i]);
        if (times) times[i] = s[i].scratch;
        else free(s[i].scratch);
        free(s[i].times);
    }
    free(s);
    return code;
}

int measure(precinfer_session *const *sessions, size_t n, size_t runs, struct timing *timings)
{
    return measure_runs(sessions, n, runs, 0, timings, NULL);
}

int session_for(const precinfer_plan *plan, const struct precinfer_tensor *inputs, size_t ninputs, int profile,
                precinfer_session **session)
{
    struct precinfer_error err;
    struct precinfer_shape *shapes = need(ninputs, sizeof *shapes);
    if (!shapes) return EXIT_BROKEN;
    for (size_t i = 0; i < ninputs; i++) {
        struct precinfer_io io;
        precinfer_plan_input_info(plan, i, &io);
        shapes[i] = (struct precinfer_shape){ .input = io.name, .rank = inputs[i].rank };
        memcpy(shapes[i].dims, inputs[i].dims, sizeof shapes[i].dims);
    }
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = shapes, .nshapes = ninputs, .profile = profile };
    precinfer_session *s = NULL;
    int status = precinfer_session_new(plan, &o, &s, &err);
    for (size_t i = 0; i < ninputs && !status; i++) status = precinfer_bind(s, shapes[i].input, &inputs[i], &err);
    free(shapes);
    if (!status) { *session = s; return 0; }
    precinfer_session_free(s);
    return fail_input(&err, "cannot run", NULL);
}

enum { LAYER_RUNS = 101 };

int measure_layers(const precinfer_plan *plan, const struct precinfer_tensor *inputs, size_t ninputs, size_t runs,
                   double *ns, struct precinfer_layer_work *work)
{
    struct precinfer_plan_info info;
    struct precinfer_error err;
    precinfer_session *s;
    precinfer_plan_info(plan, &info);
    int code = session_for(plan, inputs, ninputs, 1, &s);
    if (code) return code;
    const size_t most = runs && runs < LAYER_RUNS ? runs : LAYER_RUNS;
    double *times = need(info.layers * most, sizeof *times);
    uint64_t *last = times ? need(info.layers, sizeof *last) : NULL;
    if (!last) code = EXIT_BROKEN;
    if (!code) code = warm_up(&s, 1);
    const uint64_t start = now_ns();
    size_t n = 0;
    while (!code && n < most && (n < 5 || now_ns() - start < 2000000000)) {
        if (precinfer_session_run(s, &err) || precinfer_session_times(s, last, info.layers, &err))
            code = fail_input(&err, "cannot run", NULL);
        for (size_t i = 0; i < info.layers && !code; i++) times[i * most + n] = (double)last[i];
        n++;
    }
    for (size_t i = 0; i < info.layers && !code; i++) ns[i] = median_of(times + i * most, n);
    for (size_t i = 0; i < info.layers && !code && work; i++) precinfer_session_layer_work(s, i, &work[i]);
    free(times);
    free(last);
    precinfer_session_free(s);
    return code;
}
