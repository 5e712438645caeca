/* precinfer_stats_* and precinfer_observer_*. precinfer_calibrate stands elsewhere. */
#include "base/error.h"
#include "calib/stats.h"
#include "format/map.h"
#include "format/stats_file.h"
#include "quant/qparams.h"

enum precinfer_status precinfer_stats_load(precinfer_context *context, const char *path, precinfer_stats **stats,
                                           struct precinfer_error *err)
{
    struct pi_map map;
    if (!context || !path || !stats)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_stats_load: context, path or stats is NULL");
    int status = pi_map_open(&context->alloc, path, &map, err);
    if (status) return status;
    status = pi_stats_decode(context, map.bytes, map.size, stats, err);
    pi_map_close(&map);
    return status ? pi_prefix(err, status, "%s", path) : 0;
}

enum precinfer_status precinfer_stats_save(const precinfer_stats *stats, const char *path, struct precinfer_error *err)
{
    if (!stats || !path) return pi_fail(err, PRECINFER_INVALID, "precinfer_stats_save: stats or path is NULL");
    return pi_stats_write(stats, path, err);
}

enum precinfer_status precinfer_stats_merge(precinfer_stats *into, const precinfer_stats *from, struct precinfer_error *err)
{
    if (!into || !from) return pi_fail(err, PRECINFER_INVALID, "precinfer_stats_merge: into or from is NULL");
    const unsigned saved = pi_fp_enter();
    const int status = pi_stats_merge(into, from, err);
    pi_fp_leave(saved);
    return status;
}

void precinfer_stats_free(precinfer_stats *stats) { pi_stats_release(stats); }

enum precinfer_status precinfer_stats_info(const precinfer_stats *stats, struct precinfer_stats_info *info)
{
    if (!stats || !info) return PRECINFER_INVALID;
    *info = (struct precinfer_stats_info){ (size_t)stats->samples, stats->nvalues, stats->model_hash, stats->data_hash,
        stats->preprocessing };
    return PRECINFER_OK;
}

enum precinfer_status precinfer_stats_range(const precinfer_stats *stats, size_t i, struct precinfer_range *range)
{
    if (!stats || !range || i >= stats->nvalues) return PRECINFER_INVALID;
    const struct pi_range *r = stats->values[i];
    *range = (struct precinfer_range){ r->name, r->min, r->max, r->count };
    return PRECINFER_OK;
}

/* ------------------------------------------------------------------------------------------------ observers */

struct precinfer_observer { precinfer_context *ctx; struct pi_range range; };

enum precinfer_status precinfer_observer_new(precinfer_context *context, precinfer_observer **observer,
                                             struct precinfer_error *err)
{
    if (!context || !observer) return pi_fail(err, PRECINFER_INVALID, "precinfer_observer_new: context or observer is NULL");
    precinfer_observer *o = pi_malloc(&context->alloc, sizeof *o);
    if (!o) return pi_no_memory(err, sizeof *o);
    o->ctx = context;
    pi_range_init(&o->range, NULL);
    pi_context_retain(context);
    *observer = o;
    return PRECINFER_OK;
}

enum precinfer_status precinfer_observer_update(precinfer_observer *observer, const float *x, size_t n,
                                                struct precinfer_error *err)
{
    if (!observer || (!x && n)) return pi_fail(err, PRECINFER_INVALID, "precinfer_observer_update: observer or x is NULL");
    const unsigned saved = pi_fp_enter();
    pi_range_update(&observer->range, x, n);
    pi_fp_leave(saved);
    return PRECINFER_OK;
}

enum precinfer_status precinfer_observer_merge(precinfer_observer *into, const precinfer_observer *from,
                                               struct precinfer_error *err)
{
    if (!into || !from) return pi_fail(err, PRECINFER_INVALID, "precinfer_observer_merge: into or from is NULL");
    const unsigned saved = pi_fp_enter();
    pi_range_merge(&into->range, &from->range);
    pi_fp_leave(saved);
    return PRECINFER_OK;
}

enum precinfer_status precinfer_observer_params(const precinfer_observer *observer, struct precinfer_qparams *params,
                                                struct precinfer_error *err)
{
    if (!observer || !params) return pi_fail(err, PRECINFER_INVALID, "precinfer_observer_params: observer or params is NULL");
    const struct pi_range *r = &observer->range;
    if (r->nan || r->inf)
        return pi_fail(err, PRECINFER_INVALID, "no parameters cover what the observer saw: %llu NaN and %llu infinite elements",
                       (unsigned long long)r->nan, (unsigned long long)r->inf);
    const unsigned saved = pi_fp_enter();
    const int failed = pi_qparams(r->min, r->max, &params->scale, &params->zero_point);
    pi_fp_leave(saved);
    return failed ? pi_fail(err, PRECINFER_INVALID, "no parameters cover the range that the observer saw") : 0;
}

void precinfer_observer_free(precinfer_observer *observer)
{
    if (!observer) return;
    precinfer_context *ctx = observer->ctx;
    pi_free(&ctx->alloc, observer);
    pi_context_release(ctx);
}
