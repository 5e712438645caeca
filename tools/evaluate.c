/* What `convert --verify` and `verify` do and say: the plan against the f32 model over data, latencies, memory, layers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

/* What is open while one plan is judged. */
struct judging {
    const struct options *o;
    const struct evaluation *e;
    precinfer_plan *reference;
    precinfer_data *data;
    struct labels labels;
    struct feed feed;
    struct gated gate;
    struct findings f;
};

static int has_drop_limit(const struct options *o) { return o->drop_points >= 0 || o->drop_relative >= 0; }

/* ------------------------------------------------------------------------------------------------ measuring */

static int compare(struct judging *j)
{
    const struct options *o = j->o;
    struct findings *f = &j->f;
    struct precinfer_error err;
    struct precinfer_verify_options v;
    struct progress progress;
    precinfer_verify_defaults(&v);
    v.min_agreement = o->min_agreement;
    v.max_drop_points = o->drop_points;
    v.max_drop_relative = o->drop_relative;
    v.judge = o->judge;
    v.allow_overlap = o->allow_overlap;
    v.progress = progress_show;
    v.user = &progress;
    v.policy = j->gate.policy;
    v.gate = j->gate.gate;
    progress_start(&progress, o, "verify", precinfer_data_samples(j->data));
    const int status = precinfer_verify(j->e->candidate, j->e->model->graph, feed_next, &j->feed, &v, &f->report, &err);
    progress_end(&progress);
    if (status) return fail_input(&err, "cannot verify", j->e->data_path);
    precinfer_report_info(f->report, &f->r);
    f->verdict = f->r.verdict;
    if (f->breach) f->verdict = PRECINFER_FAIL;
    else if (o->strict && f->verdict == PRECINFER_NO_LIMIT) f->verdict = PRECINFER_PASS;
    return 0;
}

/* Single runs, for a policy that asks for latencies. */
static int hand_over(struct judging *j, double **times)
{
    struct precinfer_error err;
    if (!precinfer_gate_latency(j->gate.gate, times[0], times[1], j->f.time[0].runs, &err)) return 0;
    return fail_input(&err, "cannot judge latencies", j->o->policy);
}

/* Both plans on the first batch of the data. */
static int latencies(struct judging *j)
{
    const struct options *o = j->o;
    struct findings *f = &j->f;
    struct precinfer_batch batch;
    struct precinfer_error err;
    struct progress progress;
    precinfer_session *s[2] = { NULL, NULL };
    double *times[2] = { NULL, NULL };
    size_t least;
    precinfer_data_rewind(j->data);
    if (precinfer_data_next(j->data, &batch, &err)) return fail_input(&err, "cannot read the data", j->e->data_path);
    f->batch = batch.samples;
    const int asked = latency_asked(j->gate.policy, &least);
    progress_start(&progress, o, "latency", 0);
    progress_show(&progress, NULL, 0, 0);
    int code = session_for(j->reference, batch.inputs, batch.ninputs, 0, &s[0]);
    if (!code) code = session_for(j->e->candidate, batch.inputs, batch.ninputs, 0, &s[1]);
    if (!code) code = measure_runs(s, 2, o->runs, least, f->time, times);
    for (int i = 0; i < 2 && !code; i++) precinfer_session_info(s[i], &f->memory[i]);
    precinfer_session_free(s[0]);
    precinfer_session_free(s[1]);
    if (!code) code = measure_layers(j->e->candidate, batch.inputs, batch.ninputs, o->runs, f->layer_ns, NULL);
    progress_end(&progress);
    if (!code && asked) code = hand_over(j, times);
    free(times[0]);
    free(times[1]);
    precinfer_data_rewind(j->data);
    return code;
}

static double rank_of(const struct findings *f, size_t i)
{
    struct precinfer_layer_error x;
    precinfer_report_layer(f->report, i, &x);
    return !x.compared ? INFINITY : x.exact ? 1e300 : x.sqnr_db;
}

static void worst_first(struct findings *f)
{
    for (size_t i = 0; i < f->p.layers; i++) {
        size_t k = i;
        for (; k > 0 && rank_of(f, f->order[k - 1]) > rank_of(f, i); k--) f->order[k] = f->order[k - 1];
        f->order[k] = i;
    }
}

/* ------------------------------------------------------------------------------------------------ saying */

static void say_speed(FILE *out, const struct options *o, const struct evaluation *e, const struct findings *f)
{
    struct table t;
    char a[4][32];
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
        table_cell(&t, "%s", bytes_text((double)f->weights[i], a[0]));
        table_cell(&t, "%s", bytes_text((double)f->memory[i].workspace_bytes, a[0]));
        table_cell(&t, "%s", bytes_text((double)f->memory[i].workspace_bound_bytes, a[0]));
    }
    table_print(&t, out);
    fprintf(out, "latency at batch %zu, %zu thread%s: %.2f times as fast as f32\n\n", f->batch, o->threads,
            o->threads > 1 ? "s" : "",
            f->time[0].median / f->time[1].median);
}

static void say_layers(FILE *out, const struct evaluation *e, const struct findings *f)
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

static int say(const struct options *o, const struct evaluation *e, const struct findings *f)
{
    FILE *out = text_out(o);
    char a[4][17];
    fprintf(out, "%s against %s\nmodel %s, recipe %s, plan %s, data %s\n", plan_precision(e->candidate), e->model_path,
            hash_text(f->p.model_hash, a[0]),
            hash_text(f->p.recipe_hash, a[1]), hash_text(f->p.plan_hash, a[2]), hash_text(f->r.data_hash, a[3]));
    say_answers(out, f);
    say_speed(out, o, e, f);
    say_layers(out, e, f);
    say_contrasts(out, f);
    say_flips(out, f);
    fputc('\n', out);
    say_strict(out, o, e->candidate, e->breach);
    say_verdict(out, f);
    return flush_text(o);
}

/* ------------------------------------------------------------------------------------------------ JSON */

static void json_speed(struct json *j, const struct options *o, const struct evaluation *e, const struct findings *f)
{
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
        json_size(j, "weights_bytes", f->weights[i]);
        json_size(j, "workspace_bytes", f->memory[i].workspace_bytes);
        json_size(j, "workspace_bound_bytes", f->memory[i].workspace_bound_bytes);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_layers(struct json *j, const struct evaluation *e, const struct findings *f)
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

static void json_cut(struct json *j, const struct options *o, const precinfer_data *data)
{
    static const char *const words[] = { "calibrate", "tune", "verify" };
    struct precinfer_data_info info;
    if (!(o->split[0] + o->split[1] + o->split[2]) || precinfer_data_info(data, &info)) return;
    json_open(j, "split", '{');
    for (int i = 0; i < 3; i++) json_size(j, words[i], info.parts[i]);
    json_close(j, '}');
}

static int write_json(const struct options *o, const struct evaluation *e, const struct findings *f, const precinfer_data *data)
{
    struct json j;
    if (!o->json) return 0;
    json_begin(&j, o);
    json_string(&j, "model", e->model_path);
    json_hash(&j, "model_hash", f->p.model_hash);
    json_hash(&j, "recipe_hash", f->p.recipe_hash);
    json_hash(&j, "plan_hash", f->p.plan_hash);
    json_hash(&j, "data_hash", f->r.data_hash);
    json_answers(&j, f);
    json_cut(&j, o, data);
    json_speed(&j, o, e, f);
    json_layers(&j, e, f);
    if (e->breach) json_string(&j, "breach", e->breach);
    json_findings(&j, f);
    json_string(&j, "verdict", precinfer_verdict_string(f->verdict));
    return json_write(&j, e->ctx, o);
}

/* ------------------------------------------------------------------------------------------------ all of it */

/* A plain .npy of classes is the data reader's; everything else is a table of its own. */
static int open_labels(struct judging *j, const char **plain)
{
    enum kind kind;
    const char *path = j->o->labels;
    const size_t n = path ? strlen(path) : 0;
    *plain = NULL;
    if (!path) return 0;
    if (!j->o->policy && !(n > 4 && !strcmp(path + n - 4, ".csv"))) {
        const int code = kind_of(path, &kind);
        if (code) return code;
        if (kind != KIND_NPZ) { *plain = path; return 0; }
    }
    return load_labels(j->e->ctx, path, &j->labels);
}

static int open_all(struct judging *j)
{
    struct precinfer_error err;
    const struct options *o = j->o;
    const char *plain;
    int code = open_labels(j, &plain);
    if (!code) code = gate_open(o, j->e->ctx, &j->gate);
    j->f.policy = j->gate.policy;
    j->f.looks = j->gate.past.looks;
    j->f.nlooks = j->gate.past.past.looks;
    if (!code) code = gate_fits(&j->gate, &j->f.p);
    if (code) return code;
    const struct data_request r = { j->e->data_path, plain, o->skip, 0, o->batch, PRECINFER_PART_VERIFY };
    code = open_data(o, j->e->ctx, j->e->model, &r, j->e->pre, j->e->stored, &j->data);
    if (!code) code = feed_open(j->data, j->labels.path ? &j->labels : NULL, j->gate.policy, &j->feed);
    if (!code && has_drop_limit(o) && !precinfer_data_labelled(j->data) && !(j->labels.classes && j->labels.per_row == 1))
        code = fail(EXIT_USAGE, "labels missing", "--max-drop", "a drop in accuracy needs --labels");
    if (!code && precinfer_compile(j->e->model->graph, NULL, NULL, &j->reference, &err))
        code = fail_input(&err, "cannot compile", j->e->model_path);
    return code;
}

static int make_room(struct findings *f)
{
    f->layer_ns = need(f->p.layers, sizeof *f->layer_ns);
    f->order = f->layer_ns ? need(f->p.layers, sizeof *f->order) : NULL;
    return f->order ? 0 : EXIT_BROKEN;
}

static int write_pages(struct judging *j)
{
    struct picture *pictures = NULL;
    size_t n = 0;
    int code = j->o->html ? draw_flips(&j->f, j->data, &pictures, &n) : 0;
    j->f.pictures = pictures;
    j->f.npictures = n;
    if (!code) code = write_html(&j->f);
    if (!code) code = write_junit(&j->f);
    free_pictures(pictures, n);
    return code;
}

static const char *judged_output(const struct judging *j)
{
    struct precinfer_policy_rules rules = { 0 };
    struct precinfer_io io;
    if (j->o->judge) return j->o->judge;
    if (j->gate.policy) precinfer_policy_rules_of(j->gate.policy, &rules);
    return rules.judge || precinfer_plan_output_info(j->e->candidate, 0, &io) ? rules.judge : io.name;
}

static int judge(struct judging *j)
{
    struct precinfer_plan_info ref;
    size_t least;
    int code = open_all(j);
    if (!code) code = make_room(&j->f);
    if (code) return code;
    precinfer_plan_info(j->reference, &ref);
    j->f.weights[0] = ref.weights_bytes;
    j->f.weights[1] = j->f.p.weights_bytes;
    j->f.judged = judged_output(j);
    const int first = latency_asked(j->gate.policy, &least);        /* the gate wants them before it reports */
    if (first) code = latencies(j);
    if (!code) code = compare(j);
    if (!code && !first) code = latencies(j);
    if (code) return code;
    worst_first(&j->f);
    code = say(j->o, j->e, &j->f);
    if (!code) code = write_json(j->o, j->e, &j->f, j->data);
    return code ? code : write_pages(j);
}

int evaluate(const struct options *o, const struct evaluation *e, int *verdict, char *why, size_t room)
{
    struct judging j = { .o = o, .e = e, .f = { .ctx = e->ctx, .o = o, .candidate = e->candidate_path, .reference = e->model_path,
                                                .breach = e->breach, .plan = e->candidate } };
    precinfer_plan_info(e->candidate, &j.f.p);
    const int code = judge(&j);
    if (!code) *verdict = explain_verdict(&j.f, why, room);
    free(j.f.layer_ns);
    free(j.f.order);
    precinfer_report_free(j.f.report);
    precinfer_plan_free(j.reference);
    feed_close(&j.feed);
    precinfer_data_free(j.data);
    gate_close(&j.gate);
    free_labels(&j.labels);
    return code;
}
