/* Calibration: the f32 plan over the batches, a range of every value that it computes. */
#include <string.h>
#include "../plan/session.h"
#include "calibrate.h"
#include "stats.h"

struct calibration {
    const precinfer_plan *plan;
    struct pi_fitted fitted;
    precinfer_stats *stats;
    struct pi_range **ranges;           /* of each value of the graph; NULL: none is kept                         */
    struct precinfer_error *err;
};

static int observe(void *user, size_t step, const struct pi_place *place, const struct pi_tensor *t)
{
    const struct calibration *c = user;
    const int node = c->plan->steps[step].node;
    /* all outputs of the step; each is dense, in some layout: an observer does not look at positions */
    for (int j = 0; node >= 0 && j < c->plan->steps[step].nout; j++) {
        const int out = c->plan->steps[step].out[j];
        const struct pi_tensor *x = out < 0 ? NULL : &c->fitted.s->t[out];
        if (x && x->type == PI_F32 && c->ranges[c->plan->places[out].value])
            pi_range_update(c->ranges[c->plan->places[out].value], x->data, (size_t)pi_elements(x));
    }
    (void)place; (void)t;
    return 0;
}

static int add_values(struct calibration *c)
{
    const precinfer_graph *g = c->plan->g;
    for (size_t v = 0; v < g->nvalues; v++) {
        const int place = c->plan->value_place[v];
        if (place < 0 || g->values[v].t.data || g->values[v].t.type != PI_F32 || c->plan->places[place].host) continue;
        PI_TRY(pi_stats_add_value(c->stats, g->values[v].name, &c->ranges[v], c->err));
    }
    return 0;
}

static int one_batch(struct calibration *c, const struct precinfer_batch *b)
{
    const precinfer_graph *g = c->plan->g;
    PI_TRY(pi_session_fit(c->plan, 0, b, &c->fitted, c->err));
    for (size_t i = 0; i < b->ninputs; i++) {
        const struct precinfer_tensor *x = &b->inputs[i];
        PI_TRY(precinfer_bind(c->fitted.s, g->values[g->inputs[i]].name, x, c->err));
        if (!c->ranges[g->inputs[i]]) continue;
        size_t n = 1;
        for (int d = 0; d < x->rank; d++) n *= (size_t)x->dims[d];
        pi_range_update(c->ranges[g->inputs[i]], x->data, n);
    }
    PI_TRY(pi_session_run_hooked(c->fitted.s, observe, c, c->err));
    for (size_t i = 0; i < b->samples; i++) PI_TRY(pi_stats_add_sample(c->stats, pi_sample_hash(b, i), c->err));
    return 0;
}

/* Once, of the first value that has any: what follows from it has them too. */
static void tell_not_finite(const struct calibration *c)
{
    for (size_t i = 0; i < c->stats->nvalues; i++) {
        const struct pi_range *r = c->stats->values[i];
        if (!r->nan && !r->inf) continue;
        pi_log(c->stats->ctx, PRECINFER_LOG_WARNING, "calibration: value '%s' is not finite: %llu NaN and %llu infinite elements",
               r->name, (unsigned long long)r->nan, (unsigned long long)r->inf);
        return;
    }
}

static int walk(struct calibration *c, precinfer_next_batch *next, void *user, const struct precinfer_calibrate_options *o)
{
    PI_TRY(add_values(c));
    for (size_t done = 0;;) {
        struct precinfer_batch b;
        memset(&b, 0, sizeof b);
        PI_TRY(next(user, &b, c->err));
        if (!b.samples) break;
        const unsigned saved = pi_fp_enter();
        const int status = one_batch(c, &b);
        pi_fp_leave(saved);
        PI_TRY(status);
        done += b.samples;
        if (o && o->progress && o->progress(o->user, "calibrate", done, 0)) return pi_fail(c->err, PRECINFER_CANCELLED, "cancelled after %zu samples", done);
    }
    pi_stats_finish(c->stats);
    if (!c->stats->samples) return pi_fail(c->err, PRECINFER_INVALID, "there are no samples to calibrate on");
    tell_not_finite(c);
    return 0;
}

int pi_calibrate(const precinfer_plan *f32, precinfer_next_batch *next, void *user, const struct precinfer_calibrate_options *o,
                 precinfer_stats **stats, struct precinfer_error *err)
{
    struct calibration c = { .plan = f32, .err = err };
    PI_TRY(pi_stats_new(f32->ctx, f32->model_hash, o ? o->preprocessing : NULL, &c.stats, err));
    c.ranges = pi_calloc(&f32->ctx->alloc, f32->g->nvalues + 1, sizeof *c.ranges);
    const int status = c.ranges ? walk(&c, next, user, o) : pi_no_memory(err, f32->g->nvalues * sizeof *c.ranges);
    precinfer_session_free(c.fitted.s);
    pi_free(&f32->ctx->alloc, c.ranges);
    if (status) pi_stats_release(c.stats); else *stats = c.stats;
    return status;
}
