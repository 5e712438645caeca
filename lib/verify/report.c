#include <math.h>
#include "../base/math.h"
#include "bounds.h"
#include "report.h"

int pi_report_create(precinfer_context *ctx, precinfer_report **report, struct precinfer_error *err)
{
    precinfer_report *r = pi_calloc(&ctx->alloc, 1, sizeof *r);
    if (!r) return pi_no_memory(err, sizeof *r);
    r->ctx = ctx;
    r->arena.a = &ctx->alloc;
    r->gate_verdict = r->info.agreement_verdict = r->info.drop_verdict = r->info.verdict = PRECINFER_NO_LIMIT;
    r->info.drop_limit = NAN;
    pi_context_retain(ctx);
    *report = r;
    return 0;
}

void precinfer_report_free(precinfer_report *r)
{
    if (!r) return;
    precinfer_context *ctx = r->ctx;
    pi_free(&ctx->alloc, r->layers);
    pi_free(&ctx->alloc, r->breach);
    pi_arena_free(&r->arena);
    pi_free(&ctx->alloc, r);
    pi_context_release(ctx);
}

void pi_report_rates(struct precinfer_report_info *r)
{
    const int64_t n = (int64_t)r->samples, lost = (int64_t)r->lost, gained = (int64_t)r->gained;
    r->agreement_lower = n ? pi_cp_lower((int64_t)r->agreed, n, 0.05) : 0;
    r->agreement_upper = n ? pi_cp_upper((int64_t)r->agreed, n, 0.05) : 1;
    if (!n) return;
    r->drop = (double)(lost - gained) / (double)n;
    r->drop_lower = pi_cp_lower(lost, n, 0.025) - pi_cp_upper(gained, n, 0.025);
    r->drop_upper = pi_cp_upper(lost, n, 0.025) - pi_cp_lower(gained, n, 0.025);
}

/* ------------------------------------------------------------------------------------------------ reading */

enum precinfer_status precinfer_report_info(const precinfer_report *r, struct precinfer_report_info *info)
{
    if (!r || !info) return PRECINFER_INVALID;
    *info = r->info;
    return PRECINFER_OK;
}

enum precinfer_status precinfer_report_layer(const precinfer_report *r, size_t i, struct precinfer_layer_error *error)
{
    if (!r || !error || i >= r->info.layers) return PRECINFER_INVALID;
    const struct pi_layer_sum *l = &r->layers[i];
    *error = (struct precinfer_layer_error){ 0 };
    error->compared = l->count > 0;
    error->max_abs = l->max_abs;
    error->exact = l->count && l->noise == 0;
    error->sqnr_db = error->exact || !l->count ? INFINITY
        : 4.3429448190325175 * (pi_math_log(l->signal) - pi_math_log(l->noise));    /* 10 / ln 10 */
    return PRECINFER_OK;
}

size_t precinfer_report_contrasts(const precinfer_report *report) { return report ? report->ncontrasts : 0; }
enum precinfer_status precinfer_report_contrast(const precinfer_report *report, size_t i, struct precinfer_contrast *contrast)
{
    if (!report || !contrast || i >= report->ncontrasts) return PRECINFER_INVALID;
    *contrast = report->contrasts[i];
    return PRECINFER_OK;
}
enum precinfer_status precinfer_report_evidence(const precinfer_report *report, size_t i, struct precinfer_evidence *evidence)
{
    if (!report || !evidence || i >= report->ncontrasts) return PRECINFER_INVALID;
    *evidence = report->evidence[i];
    return PRECINFER_OK;
}
size_t precinfer_report_looks(const precinfer_report *report, const uint64_t **data_hashes)
{
    if (!report) return 0;
    if (data_hashes) *data_hashes = report->looks;
    return report->nlooks;
}
size_t precinfer_report_seen(const precinfer_report *report, const uint64_t **ids)
{
    if (!report) return 0;
    if (ids) *ids = report->seen;
    return report->nseen;
}
size_t precinfer_report_flips(const precinfer_report *report) { return report ? report->nflips : 0; }
enum precinfer_status precinfer_report_flip(const precinfer_report *report, size_t i, struct precinfer_flip *flip)
{
    if (!report || !flip || i >= report->nflips) return PRECINFER_INVALID;
    *flip = report->flips[i];
    return PRECINFER_OK;
}
size_t precinfer_report_confusions(const precinfer_report *report) { return report ? report->nconfusions : 0; }
enum precinfer_status precinfer_report_confusion(const precinfer_report *report, size_t i, struct precinfer_confusion *confusion)
{
    if (!report || !confusion || i >= report->nconfusions) return PRECINFER_INVALID;
    *confusion = report->confusions[i];
    return PRECINFER_OK;
}

const char *precinfer_verdict_string(enum precinfer_verdict v)
{
    static const char *const words[] = { "pass", "fail", "not enough samples", "no limit given" };
    return (unsigned)v < 4 ? words[v] : "unknown";
}
