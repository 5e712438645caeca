/* precinfer convert: from model to plan, and the proof that it may be used. */
#include <stdlib.h>
#include <string.h>
#include "tool.h"

struct conversion {
    precinfer_context *ctx;
    struct model model;
    precinfer_stats *stats;
    precinfer_recipe *recipe;
    precinfer_plan *plan;
    struct precinfer_preprocessing pre;
    int stored;
};

/* ------------------------------------------------------------------------------------------------ usage */

static int check_usage(const struct options *o)
{
    if (o->files.n != 1) return fail(EXIT_USAGE, "convert wants one model", NULL, "%zu files are given", o->files.n);
    if (!o->output) return fail(EXIT_USAGE, "output missing", "-o", "the plan needs a file");
    if (o->recipe && o->nprecisions) return fail(EXIT_USAGE, "conflicting options", "--recipe",
                                                 "--precision says the same in another way: give one of them");
    if (!o->recipe && !o->nprecisions) return fail(EXIT_USAGE, "precision missing", "--precision",
                                                   "f32, bf16 or int8, or --recipe");
    if (o->stats && o->calibrate) return fail(EXIT_USAGE, "conflicting options", "--stats",
                                              "--calibrate makes new ones: give one of them");
    if (o->samples && !o->calibrate) return fail(EXIT_USAGE, "option without use", "--samples", "there is no --calibrate");
    if (!o->recipe && o->precisions[0] == PRECINFER_PRECISION_INT8 && !o->stats && !o->calibrate)
        return fail(EXIT_USAGE, "statistics missing", "--precision int8", "it needs --stats MODEL.stats or --calibrate X");
    if (!o->verify && !o->calibrate && o->split[0] + o->split[1] + o->split[2])
        return fail(EXIT_USAGE, "option without use", "--split", "there is neither --calibrate nor --verify");
    if (o->verify) return 0;
    const char *alone = o->labels ? "--labels" : o->skip ? "--skip" : o->judge ? "--judge" : o->min_agreement >= 0
        ? "--min-agreement"
                      : o->drop_points >= 0 || o->drop_relative >= 0 ? "--max-drop" : o->allow_overlap ? "--allow-overlap"
                          : o->policy ? "--policy" : o->html ? "--html" : o->junit ? "--junit" : o->runs ? "--runs" : NULL;
    return alone ? fail(EXIT_USAGE, "option without use", alone, "there is no --verify") : 0;
}

/* ------------------------------------------------------------------------------------------------ from model to plan */

static int get_stats(const struct options *o, struct conversion *c)
{
    struct precinfer_error err;
    if (o->calibrate) {
        struct precinfer_recipe_info r = { 0 };
        struct precinfer_preprocessing pre;
        int stored, code;
        if (c->recipe) precinfer_recipe_info(c->recipe, &r);
        code = resolve_preprocessing(o, &r.preprocessing, o->recipe, &pre, &stored);
        return code ? code : calibrate_from(o, c->ctx, &c->model, o->calibrate, &pre, stored, &c->stats);
    }
    if (!o->stats) return 0;
    if (precinfer_stats_load(c->ctx, o->stats, &c->stats, &err)) return fail_input(&err, "cannot load the statistics", o->stats);
    return 0;
}

static int load_recipe(const struct options *o, struct conversion *c)
{
    struct precinfer_error err;
    if (!o->recipe) return 0;
    return precinfer_recipe_load(c->ctx, o->recipe, &c->recipe, &err) ? fail_input(&err, "cannot load the recipe", o->recipe) : 0;
}

static int make_recipe(const struct options *o, struct conversion *c)
{
    struct precinfer_error err;
    if (c->recipe) return 0;
    return precinfer_recipe_new(c->model.graph, c->stats, o->precisions[0], &c->recipe, &err)
         ? fail_input(&err, "cannot make a recipe", o->stats ? o->stats : c->model.path) : 0;
}

/* Flags, statistics and recipe say the same, where more than one says anything. */
static int settle_preprocessing(const struct options *o, struct conversion *c)
{
    struct precinfer_error err;
    struct precinfer_stats_info s = { 0 };
    struct precinfer_recipe_info r;
    if (c->stats) precinfer_stats_info(c->stats, &s);
    precinfer_recipe_info(c->recipe, &r);
    if (s.preprocessing.given && r.preprocessing.given && !same_preprocessing(&s.preprocessing, &r.preprocessing)) {
        char a[400];
        return fail(EXIT_USAGE, "conflicting preprocessing", o->recipe ? o->recipe : o->stats, "the statistics hold: %s",
                    pre_text(&s.preprocessing, a, sizeof a));
    }
    const int from_stats = s.preprocessing.given;
    const int code = resolve_preprocessing(o, from_stats ? &s.preprocessing : &r.preprocessing,
                                           from_stats ? o->stats ? o->stats : o->calibrate : o->recipe,
                                           &c->pre, &c->stored);
    if (code || !c->pre.given || r.preprocessing.given) return code;
    return precinfer_recipe_set_preprocessing(c->recipe, &c->pre, &err) ? fail_input(&err, "cannot use the preprocessing", NULL)
        : 0;
}

static int make_plan(const struct options *o, struct conversion *c)
{
    struct precinfer_error err;
    c->model.path = o->files.items[0];
    int code = load_graph(c->ctx, c->model.path, &c->model.graph);
    if (!code) code = check_shapes(o, &c->model);
    if (!code) code = load_recipe(o, c);
    if (!code) code = get_stats(o, c);
    if (!code) code = make_recipe(o, c);
    if (!code) code = settle_preprocessing(o, c);
    if (!code && o->recipe_out && precinfer_recipe_save(c->recipe, o->recipe_out, &err))
        code = fail_output(&err, "cannot write the recipe", o->recipe_out);
    if (code) return code;
    const struct precinfer_compile_options options = { .size = sizeof options, .stats = c->stats };
    if (precinfer_compile(c->model.graph, c->recipe, &options, &c->plan, &err))
        return fail_input(&err, "cannot compile", c->model.path);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ strict */

static enum precinfer_precision asked(const struct options *o, const precinfer_recipe *recipe, const char *name)
{
    struct precinfer_recipe_info info;
    struct precinfer_recipe_node node;
    if (!o->recipe) return o->precisions[0];
    precinfer_recipe_info(recipe, &info);
    for (size_t i = 0; i < info.nodes; i++)
        if (!precinfer_recipe_node(recipe, i, &node) && !strcmp(node.name, name)) return node.precision;
    return PRECINFER_PRECISION_F32;
}

static const char *breach_of(const struct options *o, const struct conversion *c)
{
    struct precinfer_plan_info info;
    struct precinfer_layer l;
    if (!o->strict || precinfer_plan_info(c->plan, &info)) return NULL;
    for (size_t i = 0; i < info.layers; i++)
        if (!precinfer_plan_layer(c->plan, i, &l) && l.has_weights && l.precision != asked(o, c->recipe, l.name)) return l.name;
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ without --verify */

static int describe(const struct options *o, const struct conversion *c, const char *breach)
{
    struct precinfer_plan_info p;
    FILE *out = text_out(o);
    struct table t;
    struct json j;
    char a[32], h[3][17];
    precinfer_plan_info(c->plan, &p);
    fprintf(out, "%s: %s\nmodel %s, recipe %s, plan %s\nweights %s, as the kernels lay them out %s\n\n", c->model.path,
            plan_precision(c->plan),
            hash_text(p.model_hash, h[0]), hash_text(p.recipe_hash, h[1]), hash_text(p.plan_hash, h[2]),
                bytes_text((double)p.weights_bytes, a),
            bytes_text((double)p.packed_bytes, (char[32]){ 0 }));
    table_start(&t, "layer|op|precision|kernel");
    json_begin(&j, o);
    json_string(&j, "model", c->model.path);
    json_hash(&j, "model_hash", p.model_hash);
    json_hash(&j, "recipe_hash", p.recipe_hash);
    json_hash(&j, "plan_hash", p.plan_hash);
    json_open(&j, "memory", '[');
    json_open(&j, NULL, '{');
    json_string(&j, "precision", plan_precision(c->plan));
    json_size(&j, "weights_bytes", p.weights_bytes);
    json_close(&j, '}');
    json_close(&j, ']');
    json_open(&j, "layers", '[');
    for (size_t i = 0; i < p.layers; i++) {
        struct precinfer_layer l;
        precinfer_plan_layer(c->plan, i, &l);
        table_cell(&t, "%s", l.name);
        table_cell(&t, "%s", l.op);
        table_cell(&t, "%s", precinfer_precision_string(l.precision));
        table_cell(&t, "%s", l.kernel ? l.kernel : "-");
        json_open(&j, NULL, '{');
        json_string(&j, "name", l.name);
        json_string(&j, "op", l.op);
        json_string(&j, "precision", precinfer_precision_string(l.precision));
        json_string(&j, "kernel", l.kernel);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    if (breach) json_string(&j, "breach", breach);
    json_string(&j, "verdict", breach ? "fail" : o->strict ? "pass" : "no limit given");
    table_print(&t, out);
    fputc('\n', out);
    say_strict(out, o, c->plan, breach);
    fprintf(out, "verdict: %s (nothing was verified: --verify X compares with f32)\n",
            breach ? "fail" : o->strict ? "pass" : "no limit given");
    const int code = flush_text(o);
    if (code) { free(j.text); return code; }
    return json_write(&j, c->ctx, o);
}

/* ------------------------------------------------------------------------------------------------ all of it */

static int save(const struct options *o, const struct conversion *c, int rejected)
{
    struct precinfer_error err;
    const size_t n = strlen(o->output) + sizeof ".rejected";
    char *path = need(n, 1);
    if (!path) return EXIT_BROKEN;
    snprintf(path, n, "%s%s", o->output, rejected ? ".rejected" : "");
    const int code = precinfer_plan_save(c->plan, path, rejected, &err) ? fail_output(&err, "cannot write the plan", path) : 0;
    free(path);
    return code;
}

static int judge(const struct options *o, struct conversion *c)
{
    const char *breach = breach_of(o, c);
    struct evaluation e = { .ctx = c->ctx, .model = &c->model, .candidate = c->plan, .model_path = c->model.path,
                            .candidate_path = o->output, .data_path = o->verify, .pre = &c->pre, .stored = c->stored,
                            .breach = breach };
    char why[700];
    int verdict = breach ? EXIT_FAILED : EXIT_PASS, code = 0;
    if (breach) snprintf(why, sizeof why, "--strict: layer '%s' did not run in the precision asked for", breach);
    if (o->verify) code = evaluate(o, &e, &verdict, why, sizeof why);
    else code = describe(o, c, breach);
    if (!code && (!verdict || o->keep_rejected)) code = save(o, c, verdict != 0);
    if (code || !verdict) return code;
    return fail(verdict, verdict == EXIT_FAILED ? "the plan failed" : "not enough samples", o->output,
                "%s; it was not written%s", why,
                o->keep_rejected ? ", but kept as .rejected" : "");
}

static int convert(const struct options *o, precinfer_context *ctx)
{
    struct conversion c = { .ctx = ctx };
    int code = make_plan(o, &c);
    if (!code) code = judge(o, &c);
    precinfer_plan_free(c.plan);
    precinfer_recipe_free(c.recipe);
    precinfer_stats_free(c.stats);
    free_model(&c.model);
    return code;
}

int run_convert(const struct options *o)
{
    precinfer_context *ctx;
    int code = check_usage(o);
    if (!code) code = check_target(o->output);
    if (!code) code = check_target(o->recipe_out);
    if (!code) code = check_target(o->json);
    if (!code) code = check_target(o->html);
    if (!code) code = check_target(o->junit);
    if (!code) code = open_context(o, 1, &ctx);
    if (code) return code;
    code = convert(o, ctx);
    close_context(ctx);
    return code;
}
