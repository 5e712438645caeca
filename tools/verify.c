/* precinfer verify: a plan file against the model that it was made from. */
#include "tool.h"

static int verify(const struct options *o, precinfer_context *ctx)
{
    struct model plan = { 0 }, reference = { .path = o->reference };
    struct evaluation e = { .ctx = ctx, .model = &reference, .model_path = o->reference,
                            .candidate_path = o->files.n ? o->files.items[0] : NULL, .data_path = o->data };
    struct precinfer_preprocessing pre, in_file;
    struct precinfer_plan_info info;
    char why[700];
    int stored = 0, verdict = 0, code = load_model(ctx, o->files.items[0], &plan);
    if (!code && !plan.plan) code = fail(EXIT_USAGE, "cannot load the plan", o->files.items[0],
                                         "it is a model; verify takes a plan");
    if (!code) code = load_graph(ctx, o->reference, &reference.graph);
    if (!code) code = check_shapes(o, &reference);
    if (!code && !precinfer_plan_info(plan.plan, &info) && info.model_hash != precinfer_graph_hash(reference.graph))
        code = fail(EXIT_USAGE, "wrong reference", o->reference, "%s was made from another model", o->files.items[0]);
    if (!code) {
        in_file = model_preprocessing(&plan);
        code = resolve_preprocessing(o, &in_file, o->files.items[0], &pre, &stored);
    }
    e.candidate = plan.plan;
    e.pre = &pre;
    e.stored = stored;
    if (!code) code = evaluate(o, &e, &verdict, why, sizeof why);
    if (!code && verdict) code = fail(verdict, verdict == EXIT_FAILED ? "the plan failed" : "not enough samples",
                                      o->files.items[0], "%s", why);
    free_model(&plan);
    free_model(&reference);
    return code;
}

static int check_usage(const struct options *o)
{
    if (o->candidate) return 0;
    if (o->maps.n) return fail(EXIT_USAGE, "option without use", "--map", "there is no --candidate");
    if (o->files.n != 1) return fail(EXIT_USAGE, "verify wants one plan", NULL, "%zu files are given (or --candidate X)",
                                     o->files.n);
    if (!o->reference) return fail(EXIT_USAGE, "reference missing", "--reference", "a plan is verified against its f32 model");
    if (!o->data) return fail(EXIT_USAGE, "data missing", "--data", "there is nothing to verify on");
    return 0;
}

int run_verify(const struct options *o)
{
    precinfer_context *ctx;
    int code = check_usage(o);
    if (!code) code = check_target(o->json);
    if (!code) code = check_target(o->html);
    if (!code) code = check_target(o->junit);
    if (!code) code = open_context(o, 1, &ctx);
    if (code) return code;
    code = o->candidate ? verify_recorded(o, ctx) : verify(o, ctx);
    close_context(ctx);
    return code;
}
