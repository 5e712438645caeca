/* precinfer diff: two sides, layer by layer; one side recorded for a diff elsewhere. */
#include <string.h>
#include <sys/stat.h>
#include "diff.h"

enum { CALIBRATE_ON = 256, BATCH = 4 };

/* ------------------------------------------------------------------------------------------------ the two sides */

static int open_side(precinfer_context *ctx, const char *path, struct diff_side *s)
{
    struct stat st;
    enum kind kind;
    *s = (struct diff_side){ .path = path, .side = { .size = sizeof s->side } };
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) { s->side.path = path; return 0; }
    int code = kind_of(path, &kind);
    if (code) return code;
    if (kind == KIND_NPZ || kind == KIND_TRACE) { s->side.path = path; return 0; }
    if (kind == KIND_NPY)
        return fail(EXIT_USAGE, "cannot compare", path, "it is one array; a directory of them, or a .npz, is wanted here");
    code = load_model(ctx, path, &s->m);
    s->side.plan = s->m.plan;
    s->side.graph = s->m.graph;
    return code;
}

/* What reads the data: a plan, which knows its preprocessing, before a model. NULL: both were recorded. */
static const struct diff_side *reader_of(const struct found *f)
{
    if (f->a.m.plan) return &f->a;
    if (f->b.m.plan) return &f->b;
    return f->a.m.graph ? &f->a : f->b.m.graph ? &f->b : NULL;
}

struct input { precinfer_data *data; struct labels labels; struct feed feed; const struct model *model;
               struct precinfer_preprocessing pre; int stored; };

static size_t least(size_t a, size_t b) { return a && a < b ? a : b; }

/* All values of several runs of a batch are kept at once: a small one, where the model leaves it open. */
static size_t batch_of(const struct options *o, const struct model *m)
{
    struct precinfer_io io;
    if (o->batch || !model_inputs(m)) return o->batch;
    model_input(m, 0, &io);
    return io.rank && io.dims[0] < 0 ? BATCH : 0;
}

static int open_input(const struct options *o, precinfer_context *ctx, const struct found *f, const precinfer_policy *policy,
                      struct input *in)
{
    const struct diff_side *r = reader_of(f);
    if (!r) return o->data ? fail(EXIT_USAGE, "option without use", "--data", "both sides are recordings") : 0;
    if (!o->data) return fail(EXIT_USAGE, "data missing", "--data", "%s has to run on something", r->path);
    in->model = &r->m;
    const struct precinfer_preprocessing in_file = model_preprocessing(&r->m);
    int code = check_shapes(o, &r->m);
    if (!code) code = resolve_preprocessing(o, &in_file, r->path, &in->pre, &in->stored);
    const struct data_request q = { .path = o->data, .skip = o->skip, .samples = o->samples, .batch = batch_of(o, &r->m),
                                    .part = o->minimal_set ? PRECINFER_PART_TUNE : PRECINFER_PART_VERIFY };
    if (!code && o->labels) code = load_labels(ctx, o->labels, &in->labels);
    if (!code) code = open_data(o, ctx, &r->m, &q, &in->pre, in->stored, &in->data);
    if (!code) code = feed_open(in->data, o->labels ? &in->labels : NULL, policy, &in->feed);
    return code;
}

static void close_input(struct input *in)
{
    feed_close(&in->feed);
    precinfer_data_free(in->data);
    free_labels(&in->labels);
}

static void rewind_input(void *input) { precinfer_data_rewind(((struct input *)input)->data); }
static int next_input(void *input, struct precinfer_batch *b, struct precinfer_error *err)
{
    return feed_next(&((struct input *)input)->feed, b, err);
}

/* ------------------------------------------------------------------------------------------------ the diff */

struct first { struct input *in; size_t left; };
static int next_first(void *user, struct precinfer_batch *b, struct precinfer_error *err)
{
    struct first *f = user;
    if (!f->left) { *b = (struct precinfer_batch){ 0 }; return 0; }
    const int status = next_input(f->in, b, err);
    f->left = b->samples < f->left ? f->left - b->samples : 0;
    return status;
}

/* Ranges for the ideal quantizer: given, or of the first samples. */
static int ranges(const struct options *o, precinfer_context *ctx, struct found *f, struct input *in, precinfer_stats **stats)
{
    struct precinfer_error err;
    struct precinfer_plan_info plan;
    *stats = NULL;
    f->stats = o->stats;
    if (o->stats) {
        if (precinfer_stats_load(ctx, o->stats, stats, &err)) return fail_input(&err, "cannot load the statistics", o->stats);
        return 0;
    }
    if (!f->a.m.plan || !f->b.m.graph || precinfer_plan_info(f->a.m.plan, &plan) || !plan.recipe_hash ||
        plan.model_hash != precinfer_graph_hash(f->b.m.graph)) return 0;
    struct first first = { in, CALIBRATE_ON };
    const struct precinfer_calibrate_options c = { .size = sizeof c };
    struct precinfer_stats_info info;
    if (precinfer_calibrate(f->b.m.graph, next_first, &first, &c, stats, &err))
        return fail_input(&err, "cannot calibrate", o->data);
    precinfer_stats_info(*stats, &info);
    f->calibrated = info.samples;
    rewind_input(in);
    return 0;
}

static int compare(const struct options *o, precinfer_context *ctx, struct found *f, struct input *in)
{
    struct precinfer_error err;
    struct progress progress;
    precinfer_stats *stats;
    int code = ranges(o, ctx, f, in, &stats);
    if (code) return code;
    progress_start(&progress, o, "diff", in->data ? precinfer_data_samples(in->data) : 0);
    const struct precinfer_diff_options d = { .size = sizeof d, .stats = stats, .progress = progress_show, .user = &progress };
    const int status = precinfer_diff_new(ctx, &f->a.side, &f->b.side, in->data ? next_input : NULL, in, &d, &f->diff, &err);
    progress_end(&progress);
    precinfer_stats_free(stats);
    if (status) return fail_input(&err, "cannot compare", f->a.path);
    precinfer_diff_info(f->diff, &f->info);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ limits */

static int has_limits(const struct options *o)
{
    return o->policy || o->min_agreement >= 0 || o->drop_points >= 0 || o->drop_relative >= 0;
}

static void limits_of(const struct options *o, const precinfer_policy *policy, struct precinfer_verify_options *v)
{
    precinfer_verify_defaults(v);
    v->min_agreement = o->min_agreement;
    v->max_drop_points = o->drop_points;
    v->max_drop_relative = o->drop_relative;
    v->judge = o->judge;
    v->allow_overlap = o->allow_overlap;
    v->no_layers = 1;
    v->policy = policy;
}

static int judge(const struct options *o, struct found *f, struct input *in, const struct precinfer_verify_options *limits)
{
    struct precinfer_error err;
    precinfer_report *report = NULL;
    struct progress progress;
    struct precinfer_verify_options v = *limits;
    rewind_input(in);
    progress_start(&progress, o, "verify", precinfer_data_samples(in->data));
    v.progress = progress_show;
    v.user = &progress;
    const uint64_t start = now_ns();
    const int status = precinfer_verify(f->a.m.plan, f->b.m.graph, next_input, in, &v, &report, &err);
    f->verify_seconds = (double)(now_ns() - start) / 1e9;
    progress_end(&progress);
    if (status) return fail_input(&err, "cannot verify", o->data);
    precinfer_report_info(report, &f->verdict);
    const struct findings what = { .o = o, .policy = limits->policy, .report = report, .r = f->verdict,
                                   .verdict = f->verdict.verdict, .plan = f->a.m.plan };
    if (what.verdict == PRECINFER_FAIL || what.verdict == PRECINFER_UNDECIDED) (void)explain_verdict(&what, f->why, sizeof f->why);
    precinfer_report_free(report);
    f->limited = 1;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the minimal set */

struct search { const struct options *o; struct progress progress; };

static int announce(void *user, size_t evaluations, double seconds)
{
    const struct search *s = user;
    FILE *out = text_out(s->o);
    char a[32], b[32];
    fprintf(out,
            "second phase, the minimal set: at most %zu evaluations of about %s each (%s), and a few more if a set shrinks\n",
            evaluations, time_text(seconds * 1e9, a), time_text(seconds * 1e9 * (double)evaluations, b));
    fflush(out);
    return 0;
}
static double seconds(void *user) { (void)user; return (double)now_ns() / 1e9; }
static int show(void *user, const char *what, size_t done, size_t total)
{
    return progress_show(&((struct search *)user)->progress, what, done, total);
}

static int minimal(const struct options *o, struct found *f, struct input *in, const struct precinfer_verify_options *limits)
{
    struct precinfer_error err;
    struct search s = { .o = o };
    const struct precinfer_minimal_options m = { .size = sizeof m, .limits = limits, .rewind = rewind_input, .announce = announce,
                                                 .seconds = seconds, .progress = show, .user = &s };
    if (!o->minimal_set) return 0;
    progress_start(&s.progress, o, "minimal set", 0);
    const int status = precinfer_minimal_set(f->a.m.plan, f->b.m.graph, next_input, in, &m, &f->minimal, &err);
    progress_end(&s.progress);
    if (status) return fail_input(&err, "cannot look for a minimal set", f->a.path);
    precinfer_minimal_info(f->minimal, &f->set);
    if (o->recipe_out && f->set.met && precinfer_recipe_save(f->set.recipe, o->recipe_out, &err))
        return fail_output(&err, "cannot write the recipe", o->recipe_out);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the command */

static int with_limits(const struct options *o, struct found *f, struct input *in, const precinfer_policy *policy)
{
    struct precinfer_verify_options limits;
    if (!has_limits(o)) return 0;
    limits_of(o, policy, &limits);
    int code = judge(o, f, in, &limits);
    if (code) return code;
    say_diff(o, f, text_out(o));
    code = minimal(o, f, in, &limits);
    if (!code) say_minimal(o, f, text_out(o));
    return code;
}

static int check_limits(const struct options *o, const struct found *f, const struct input *in, const precinfer_policy *policy)
{
    struct precinfer_plan_info plan;
    size_t runs;
    if (!has_limits(o)) return 0;
    if (latency_asked(policy, &runs))
        return fail(EXIT_USAGE, "cannot use the policy", o->policy, "diff measures no latency; verify does");
    if (!f->a.m.plan || !f->b.m.graph)
        return fail(EXIT_USAGE, "no verdict", f->a.path,
                    "limits judge a plan against its model; verify --candidate judges recorded outputs");
    if (!precinfer_plan_info(f->a.m.plan, &plan) && plan.model_hash != precinfer_graph_hash(f->b.m.graph))
        return fail(EXIT_USAGE, "wrong reference", f->b.path, "%s was made from another model", f->a.path);
    if ((o->drop_points >= 0 || o->drop_relative >= 0) && !o->labels && !precinfer_data_labelled(in->data))
        return fail(EXIT_USAGE, "labels missing", "--max-drop", "a drop in accuracy needs --labels");
    return 0;
}

static int two_sides(const struct options *o, precinfer_context *ctx, struct found *f)
{
    struct input in = { 0 };
    precinfer_policy *policy = NULL;
    int code = open_side(ctx, o->files.items[0], &f->a);
    if (!code) code = open_side(ctx, o->files.items[1], &f->b);
    if (!code && o->policy) code = load_policy(ctx, o->policy, &policy);
    if (!code) code = open_input(o, ctx, f, policy, &in);
    if (!code) code = check_limits(o, f, &in, policy);
    if (!code) code = compare(o, ctx, f, &in);
    if (!code) code = with_limits(o, f, &in, policy);
    if (!code && !has_limits(o)) say_diff(o, f, text_out(o));
    if (!code) code = flush_text(o);
    if (!code) code = json_diff(o, f, ctx);
    close_input(&in);
    precinfer_policy_free(policy);
    if (!code && f->limited && f->verdict.verdict == PRECINFER_FAIL)
        code = fail(EXIT_FAILED, "the plan failed", f->a.path, "%s", f->why);
    if (!code && f->limited && f->verdict.verdict == PRECINFER_UNDECIDED)
        code = fail(EXIT_UNDECIDED, "not enough samples", f->a.path, "%s", f->why);
    return code;
}

static int record(const struct options *o, precinfer_context *ctx, struct found *f)
{
    struct precinfer_error err;
    struct progress progress;
    struct input in = { 0 };
    int code = open_side(ctx, o->files.items[0], &f->a);
    if (!code && f->a.side.path) code = fail(EXIT_USAGE, "cannot record", f->a.path, "it is a recording already");
    if (!code) code = open_input(o, ctx, f, NULL, &in);
    if (!code) {
        const size_t samples = least(o->samples, precinfer_data_samples(in.data));
        progress_start(&progress, o, "record", samples);
        const struct precinfer_diff_options d = { .size = sizeof d, .progress = progress_show, .user = &progress };
        const int status = precinfer_record(&f->a.side, next_input, &in, o->record, &d, &err);
        progress_end(&progress);
        if (status) code = fail_output(&err, "cannot record", o->record);
        else fprintf(text_out(o), "%s: every tensor of %s on %zu samples\n", o->record, f->a.path, samples);
        if (!code) code = flush_text(o);
    }
    close_input(&in);
    return code;
}

static int check_options(const struct options *o)
{
    const size_t want = o->record ? 1 : 2;
    if (o->files.n != want)
        return fail(EXIT_USAGE, o->record ? "diff --record wants one plan or model" : "diff wants two sides", NULL,
                    "%zu files are given", o->files.n);
    if (o->record && (has_limits(o) || o->minimal_set || o->stats))
        return fail(EXIT_USAGE, "option without use", "--record", "it records one side and compares nothing");
    if (o->minimal_set && !has_limits(o))
        return fail(EXIT_USAGE, "limits missing", "--minimal-set",
                    "say what has to be met: --policy, --min-agreement or --max-drop");
    if (o->recipe_out && !o->minimal_set)
        return fail(EXIT_USAGE, "option without use", "--recipe-out", "diff makes a recipe with --minimal-set only");
    return 0;
}

int run_diff(const struct options *o)
{
    precinfer_context *ctx;
    struct found f = { 0 };
    int code = check_options(o);
    if (!code) code = check_target(o->json);
    if (!code) code = check_target(o->recipe_out);
    if (!code) code = check_target(o->record);
    if (!code) code = open_context(o, 1, &ctx);
    if (code) return code;
    code = o->record ? record(o, ctx, &f) : two_sides(o, ctx, &f);
    precinfer_minimal_free(f.minimal);
    precinfer_diff_free(f.diff);
    free_model(&f.a.m);
    free_model(&f.b.m);
    close_context(ctx);
    return code;
}
