/* What `convert --verify` and `verify` do and say: the plan against the f32 model over data, latencies, memory, layers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

struct figures {
    precinfer_plan *reference;
    precinfer_report *report;
    struct precinfer_report_info r;
    struct precinfer_plan_info p;
    struct timing time[2];              /* f32, candidate                                                        */
    struct precinfer_session_info memory[2];
    size_t batch;
    double *layer_ns;
    size_t *order;                      /* layers, worst SQNR first                                              */
    enum precinfer_verdict verdict;
};

static const char bounds_note[] = "These are bounds for one look at data whose size was not chosen by looking.";
static const char agreement_method[] = "Clopper-Pearson, 95%, one-sided";
static const char drop_method[] = "Clopper-Pearson, 97.5% for the lost and for the gained";

static int has_drop_limit(const struct options *o) { return o->drop_points >= 0 || o->drop_relative >= 0; }

/* ------------------------------------------------------------------------------------------------ measuring */

static int compare(const struct options *o, const struct evaluation *e, struct figures *f)
{
    struct precinfer_error err;
    struct precinfer_verify_options policy;
    struct progress progress;
    precinfer_verify_defaults(&policy);
    policy.min_agreement = o->min_agreement;
    policy.max_drop_points = o->drop_points;
    policy.max_drop_relative = o->drop_relative;
    policy.judge = o->judge;
    policy.allow_overlap = o->allow_overlap;
    policy.progress = progress_show;
    policy.user = &progress;
    progress_start(&progress, o, "verify", precinfer_data_samples(e->data));
    const int status = precinfer_verify(e->candidate, e->model->graph, precinfer_data_next, e->data, &policy, &f->report, &err);
    progress_end(&progress);
    if (status) return fail_input(&err, "cannot verify", o->command == VERIFY ? o->data : o->verify);
    precinfer_report_info(f->report, &f->r);
    precinfer_plan_info(e->candidate, &f->p);
    f->verdict = f->r.verdict;
    if (e->breach) f->verdict = PRECINFER_FAIL;
    else if (o->strict && f->verdict == PRECINFER_NO_LIMIT) f->verdict = PRECINFER_PASS;
    return 0;
}

/* Both plans on the first batch of the data. */
static int latencies(const struct options *o, const struct evaluation *e, struct figures *f)
{
    struct precinfer_batch batch;
    struct precinfer_error err;
    struct progress progress;
    precinfer_session *s[2] = { NULL, NULL };
    precinfer_data_rewind(e->data);
    if (precinfer_data_next(e->data, &batch, &err)) return fail_input(&err, "cannot read the data",
                                                                      o->command == VERIFY ? o->data : o->verify);
    f->batch = batch.samples;
    progress_start(&progress, o, "latency", 0);
    progress_show(&progress, NULL, 0, 0);
    int code = session_for(f->reference, batch.inputs, batch.ninputs, 0, &s[0]);
    if (!code) code = session_for(e->candidate, batch.inputs, batch.ninputs, 0, &s[1]);
    if (!code) code = measure(s, 2, o->runs, f->time);
    for (int i = 0; i < 2 && !code; i++) precinfer_session_info(s[i], &f->memory[i]);
    precinfer_session_free(s[0]);
    precinfer_session_free(s[1]);
    if (!code) code = measure_layers(e->candidate, batch.inputs, batch.ninputs, o->runs, f->layer_ns, NULL);
    progress_end(&progress);
    return code;
}

static double rank_of(const struct figures *f, size_t i)
{
    struct precinfer_layer_error x;
    precinfer_report_layer(f->report, i, &x);
    return !x.compared ? INFINITY : x.exact ? 1e300 : x.sqnr_db;
}

static void worst_first(struct figures *f)
{
    for (size_t i = 0; i < f->p.layers; i++) {
        size_t k = i;
        for (; k > 0 && rank_of(f, f->order[k - 1]) > rank_of(f, i); k--) f->order[k] = f->order[k - 1];
        f->order[k] = i;
    }
}

/* ------------------------------------------------------------------------------------------------ saying */

static void say_accuracy(FILE *out, const struct options *o, const struct figures *f)
{
    const struct precinfer_report_info *r = &f->r;
    const double n = r->samples ? (double)r->samples : 1;
    const size_t all = r->samples + (o->allow_overlap ? 0 : r->overlap_samples);
    fprintf(out, "%zu samples", r->samples);
    if (r->overlap_samples) fprintf(out, ": %zu of %zu samples were used for calibration%s", r->overlap_samples, all,
                                    o->allow_overlap ? " (allowed)" : " and dropped");
    fputs("\n\n", out);
    if (r->labelled) {
        fprintf(out, "accuracy     f32 %.4f%%, candidate %.4f%% (lost %zu, gained %zu)\n", 100 * (double)r->right_reference / n,
                100 * (double)r->right_candidate / n, r->lost, r->gained);
        fprintf(out, "drop         %.4f points, within %.4f and %.4f (%s)", 100 * r->drop, 100 * r->drop_lower,
                100 * r->drop_upper, drop_method);
        if (r->drop_limit - r->drop_limit == 0) fprintf(out, "; limit %.4f: %s", 100 * r->drop_limit,
                                                        precinfer_verdict_string(r->drop_verdict));
        fputc('\n', out);
    }
    fprintf(out, "agreement    %.4f%% same top-1, at least %.4f%%, at most %.4f%% (%s)", 100 * (double)r->agreed / n,
            100 * r->agreement_lower,
            100 * r->agreement_upper, agreement_method);
    if (o->min_agreement >= 0) fprintf(out, "; limit %.4f%%: %s", 100 * o->min_agreement,
                                       precinfer_verdict_string(r->agreement_verdict));
    fputc('\n', out);
}

static void say_speed(FILE *out, const struct options *o, const struct evaluation *e, const struct figures *f)
{
    struct precinfer_plan_info ref;
    struct table t;
    char a[4][32];
    precinfer_plan_info(f->reference, &ref);
    fputc('\n', out);
    table_start(&t, "|>median|>p10|>p90|>p99|>runs|>weights|>workspace|>lower bound");
    for (int i = 0; i < 2; i++) {
        const struct timing *x = &f->time[i];
        table_cell(&t, "%s", i ? plan_precision(e->candidate) : "f32 reference");
        table_cell(&t, "%s", time_text(x->median, a[0]));
        table_cell(&t, "%s", time_text(x->p10, a[0]));
        table_cell(&t, "%s", time_text(x->p90, a[0]));
        table_cell(&t, "%s", x->p99 < 0 ? "-" : time_text(x->p99, a[0]));
        table_cell(&t, "%zu", x->runs);
        table_cell(&t, "%s", bytes_text((double)(i ? f->p : ref).weights_bytes, a[0]));
        table_cell(&t, "%s", bytes_text((double)f->memory[i].workspace_bytes, a[0]));
        table_cell(&t, "%s", bytes_text((double)f->memory[i].workspace_bound_bytes, a[0]));
    }
    table_print(&t, out);
    fprintf(out, "latency at batch %zu, %zu thread%s: %.2f times as fast as f32\n\n", f->batch, o->threads,
            o->threads > 1 ? "s" : "",
            f->time[0].median / f->time[1].median);
}

static void say_layers(FILE *out, const struct evaluation *e, const struct figures *f)
{
    struct table t;
    char a[32];
    table_start(&t, "layer|op|precision|kernel|>SQNR dB|>largest error|>median");
    for (size_t k = 0; k < f->p.layers; k++) {
        struct precinfer_layer l;
        struct precinfer_layer_error x;
        precinfer_plan_layer(e->candidate, f->order[k], &l);
        precinfer_report_layer(f->report, f->order[k], &x);
        table_cell(&t, "%s", l.name);
        table_cell(&t, "%s", l.op);
        table_cell(&t, "%s", precinfer_precision_string(l.precision));
        table_cell(&t, "%s", l.kernel ? l.kernel : "-");
        if (!x.compared) table_cell(&t, "-");
        else if (x.exact) table_cell(&t, "exact");
        else table_cell(&t, "%.1f", x.sqnr_db);
        if (!x.compared) table_cell(&t, "-");
        else table_cell(&t, "%.3g", x.max_abs);
        table_cell(&t, "%s", time_text(f->layer_ns[f->order[k]], a));
    }
    table_print(&t, out);
}

static void say_needed(FILE *out, const struct figures *f)
{
    if (f->verdict != PRECINFER_UNDECIDED) return;
    if (f->r.needed_samples > 0) fprintf(out, "about %lld samples would decide at the rates seen\n",
                                         (long long)f->r.needed_samples);
    else fputs("samples that would decide: none at this rate\n", out);
}

void say_strict(FILE *out, const struct options *o, const precinfer_plan *plan, const char *breach)
{
    struct precinfer_plan_info p;
    if (!o->strict || precinfer_plan_info(plan, &p)) return;
    if (breach) fprintf(out, "strict: layer '%s' did not run in the precision asked for\n", breach);
    fputs("not lowered (no breach):", out);
    size_t n = 0;
    for (size_t i = 0; i < p.layers; i++) {
        struct precinfer_layer l;
        precinfer_plan_layer(plan, i, &l);
        if (l.has_weights || l.precision != PRECINFER_PRECISION_F32) continue;
        fprintf(out, "%s %s (%s)", n++ ? "," : "", l.name, l.op);
    }
    fputs(n ? "\n" : " none\n", out);
}

static int say(const struct options *o, const struct evaluation *e, const struct figures *f)
{
    FILE *out = text_out(o);
    char a[4][17];
    fprintf(out, "%s against %s\nmodel %s, recipe %s, plan %s, data %s\n", plan_precision(e->candidate), e->model_path,
            hash_text(f->p.model_hash, a[0]),
            hash_text(f->p.recipe_hash, a[1]), hash_text(f->p.plan_hash, a[2]), hash_text(f->r.data_hash, a[3]));
    say_accuracy(out, o, f);
    say_speed(out, o, e, f);
    say_layers(out, e, f);
    fputc('\n', out);
    say_strict(out, o, e->candidate, e->breach);
    say_needed(out, f);
    fprintf(out, "verdict: %s", precinfer_verdict_string(f->verdict));
    if (o->min_agreement >= 0 || has_drop_limit(o)) fprintf(out, " (method: Clopper-Pearson bounds)");
    if (f->r.overlap_samples && o->allow_overlap) fprintf(out, "; %zu of %zu samples were used for calibration",
                                                          f->r.overlap_samples, f->r.samples);
    fprintf(out, "\n%s\n", bounds_note);
    return flush_text(o);
}

/* ------------------------------------------------------------------------------------------------ JSON */

static void json_answers(struct json *j, const struct options *o, const struct figures *f)
{
    const struct precinfer_report_info *r = &f->r;
    const double n = r->samples ? (double)r->samples : 1;
    json_size(j, "samples", r->samples);
    json_size(j, "overlap_samples", r->overlap_samples);
    if (r->labelled) {
        json_open(j, "accuracy", '{');
        json_number(j, "reference", (double)r->right_reference / n);
        json_number(j, "candidate", (double)r->right_candidate / n);
        json_size(j, "lost", r->lost);
        json_size(j, "gained", r->gained);
        json_close(j, '}');
    }
    json_open(j, "agreement", '{');
    json_number(j, "share", (double)r->agreed / n);
    json_number(j, "lower", r->agreement_lower);
    json_number(j, "upper", r->agreement_upper);
    if (o->min_agreement >= 0) json_number(j, "limit", o->min_agreement);
    json_string(j, "method", agreement_method);
    json_close(j, '}');
    if (r->labelled) {
        json_open(j, "drop", '{');
        json_number(j, "points", 100 * r->drop);
        json_number(j, "lower_points", 100 * r->drop_lower);
        json_number(j, "upper_points", 100 * r->drop_upper);
        if (r->drop_limit - r->drop_limit == 0) json_number(j, "limit_points", 100 * r->drop_limit);
        json_string(j, "method", drop_method);
        json_close(j, '}');
    }
    if (f->verdict == PRECINFER_UNDECIDED && r->needed_samples > 0) json_size(j, "needed_samples", (uint64_t)r->needed_samples);
    else if (f->verdict == PRECINFER_UNDECIDED) json_null(j, "needed_samples");
}

static void json_speed(struct json *j, const struct options *o, const struct evaluation *e, const struct figures *f)
{
    struct precinfer_plan_info ref;
    precinfer_plan_info(f->reference, &ref);
    json_open(j, "latency", '[');
    for (int i = 0; i < 2; i++) {
        json_open(j, NULL, '{');
        json_string(j, "precision", i ? plan_precision(e->candidate) : "f32");
        json_size(j, "threads", o->threads);
        json_size(j, "batch", f->batch);
        json_timing(j, &f->time[i]);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "memory", '[');
    for (int i = 0; i < 2; i++) {
        json_open(j, NULL, '{');
        json_string(j, "precision", i ? plan_precision(e->candidate) : "f32");
        json_size(j, "weights_bytes", i ? f->p.weights_bytes : ref.weights_bytes);
        json_size(j, "workspace_bytes", f->memory[i].workspace_bytes);
        json_size(j, "workspace_bound_bytes", f->memory[i].workspace_bound_bytes);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_layers(struct json *j, const struct evaluation *e, const struct figures *f)
{
    json_open(j, "layers", '[');
    for (size_t k = 0; k < f->p.layers; k++) {
        struct precinfer_layer l;
        struct precinfer_layer_error x;
        precinfer_plan_layer(e->candidate, f->order[k], &l);
        precinfer_report_layer(f->report, f->order[k], &x);
        json_open(j, NULL, '{');
        json_string(j, "name", l.name);
        json_string(j, "op", l.op);
        json_string(j, "precision", precinfer_precision_string(l.precision));
        json_string(j, "kernel", l.kernel);
        if (x.compared && x.exact) json_null(j, "sqnr_db");
        else if (x.compared) json_number(j, "sqnr_db", x.sqnr_db);
        if (x.compared) json_number(j, "max_error", x.max_abs);
        json_number(j, "median_ns", f->layer_ns[f->order[k]]);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static int write_json(const struct options *o, const struct evaluation *e, const struct figures *f)
{
    struct json j;
    if (!o->json) return 0;
    json_begin(&j, o);
    json_string(&j, "model", e->model_path);
    json_hash(&j, "model_hash", f->p.model_hash);
    json_hash(&j, "recipe_hash", f->p.recipe_hash);
    json_hash(&j, "plan_hash", f->p.plan_hash);
    json_hash(&j, "data_hash", f->r.data_hash);
    json_answers(&j, o, f);
    json_speed(&j, o, e, f);
    json_layers(&j, e, f);
    if (e->breach) json_string(&j, "breach", e->breach);
    json_string(&j, "verdict", precinfer_verdict_string(f->verdict));
    return json_write(&j, e->ctx, o);
}

/* ------------------------------------------------------------------------------------------------ all of it */

static int explain_verdict(const struct options *o, const struct evaluation *e, const struct figures *f, char *why, size_t room)
{
    const struct precinfer_report_info *r = &f->r;
    if (f->verdict == PRECINFER_UNDECIDED) {
        if (r->needed_samples > 0) snprintf(why, room, "%zu samples do not decide; about %lld would at the rates seen",
                                            r->samples, (long long)r->needed_samples);
        else snprintf(why, room, "%zu samples do not decide, and at this rate no number of them would", r->samples);
        return EXIT_UNDECIDED;
    }
    if (f->verdict != PRECINFER_FAIL) return EXIT_PASS;
    if (e->breach) snprintf(why, room, "--strict: layer '%s' did not run in the precision asked for", e->breach);
    else if (r->agreement_verdict == PRECINFER_FAIL)
        snprintf(why, room, "agreement is at most %.4f, the limit is %.4f", r->agreement_upper, o->min_agreement);
    else snprintf(why, room, "at least %.4f points of accuracy are lost, the limit is %.4f", 100 * r->drop_lower,
                  100 * r->drop_limit);
    return EXIT_FAILED;
}

int evaluate(const struct options *o, const struct evaluation *e, int *verdict, char *why, size_t room)
{
    struct precinfer_error err;
    struct figures f = { 0 };
    if (has_drop_limit(o) && !precinfer_data_labelled(e->data))
        return fail(EXIT_USAGE, "labels missing", "--max-drop", "a drop in accuracy needs --labels");
    int code = precinfer_compile(e->model->graph, NULL, NULL, &f.reference, &err)
        ? fail_input(&err, "cannot compile", e->model_path) : 0;
    if (!code) code = compare(o, e, &f);
    if (!code) {
        f.layer_ns = need(f.p.layers, sizeof *f.layer_ns);
        f.order = f.layer_ns ? need(f.p.layers, sizeof *f.order) : NULL;
        if (!f.order) code = EXIT_BROKEN;
    }
    if (!code) code = latencies(o, e, &f);
    if (!code) {
        worst_first(&f);
        code = say(o, e, &f);
    }
    if (!code) code = write_json(o, e, &f);
    if (!code) *verdict = explain_verdict(o, e, &f, why, room);
    free(f.layer_ns);
    free(f.order);
    precinfer_report_free(f.report);
    precinfer_plan_free(f.reference);
    return code;
}
