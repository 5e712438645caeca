/* --policy and --continue: the gate that samples stream through. */
#include <math.h>
#include <string.h>
#include "tool.h"

/* preset:NAME is a policy of that preset alone. */
int load_policy(precinfer_context *ctx, const char *path, precinfer_policy **policy)
{
    struct precinfer_error err;
    char json[300];
    if (strncmp(path, "preset:", 7))
        return precinfer_policy_load(ctx, path, policy, &err) ? fail_input(&err, "cannot use the policy", path) : 0;
    const char *name = path + 7;
    if (!*name || strlen(name) > 60 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != strlen(name))
        return fail(EXIT_USAGE, "wrong value", "--policy", "'%s' is no name of a preset", path);
    snprintf(json, sizeof json, "{ \"precinfer_policy\": 1, \"name\": \"%s\", \"preset\": \"%s\" }", path, name);
    return precinfer_policy_parse(ctx, json, strlen(json), policy, &err) ? fail_input(&err, "cannot use the policy", path) : 0;
}

static int go_on(struct gated *g)
{
    struct precinfer_error err;
    int code = report_open(g->o->resume, &g->old);
    if (!code) code = report_past(&g->old, &g->past);
    if (!code && g->past.past.policy_hash != precinfer_policy_hash(g->policy))
        code = fail(EXIT_USAGE, "cannot continue", g->o->resume, "it was judged by another policy than %s", g->o->policy);
    if (!code && precinfer_gate_continue(g->gate, &g->past.past, &err)) code = fail_input(&err, "cannot continue", g->o->resume);
    return code;
}

int gate_open(const struct options *o, precinfer_context *ctx, struct gated *g)
{
    struct precinfer_error err;
    *g = (struct gated){ .o = o };
    if (o->resume && !o->policy) return fail(EXIT_USAGE, "option without use", "--continue",
                                             "there is no --policy to go on with");
    if (!o->policy) return 0;
    int code = load_policy(ctx, o->policy, &g->policy);
    if (!code && precinfer_gate_new(ctx, g->policy, &g->gate, &err)) code = fail_input(&err, "cannot use the policy", o->policy);
    return code || !o->resume ? code : go_on(g);
}

void gate_close(struct gated *g)
{
    precinfer_gate_free(g->gate);
    precinfer_policy_free(g->policy);
    free_past(&g->past);
    if (g->old.json) report_close(&g->old);
    *g = (struct gated){ 0 };
}

/* Flags alone need the answers counted, and no budget of a policy: one that nothing fails. */
int gate_without(precinfer_context *ctx, struct gated *g)
{
    struct precinfer_error err;
    precinfer_policy *none = NULL;
    const struct precinfer_budget b = { .size = sizeof b, .metric = PRECINFER_AGREEMENT, .limit = PRECINFER_MIN, .value = 1e-9 };
    if (g->gate) return 0;
    int status = precinfer_policy_new(ctx, &none, &err);
    if (!status) status = precinfer_policy_budget(none, &b, &err);
    if (!status) status = precinfer_gate_new(ctx, none, &g->gate, &err);
    precinfer_policy_free(none);
    return status ? fail_input(&err, "cannot verify", NULL) : 0;
}

static int same(const struct gated *g, const char *key, uint64_t want)
{
    char s[17];
    const char *have = report_string(&g->old, key);
    if (have && !strcmp(have, hash_text(want, s))) return 0;
    return fail(EXIT_USAGE, "cannot continue", g->o->resume, "its %s is %s, not %s: it is of something else", key,
                have ? have : "missing", s);
}

/* The report to go on from is of the same plan and model; plan NULL: of recorded outputs too. */
int gate_fits(const struct gated *g, const struct precinfer_plan_info *plan)
{
    if (!g->old.json) return 0;
    const int recorded = report_true(&g->old, "recorded");
    if (recorded != !plan) return fail(EXIT_USAGE, "cannot continue", g->o->resume, recorded
                                       ? "it is of recorded outputs, this is a plan"
                                       : "it is of a plan, these are recorded outputs");
    if (!plan) return 0;
    int code = same(g, "model_hash", plan->model_hash);
    if (!code) code = same(g, "recipe_hash", plan->recipe_hash);
    return code ? code : same(g, "plan_hash", plan->plan_hash);
}

int latency_asked(const precinfer_policy *policy, size_t *runs)
{
    struct precinfer_budget b;
    double most = 0;
    int asked = 0;
    for (size_t i = 0; policy && i < precinfer_policy_budgets(policy); i++) {
        if (precinfer_policy_budget_info(policy, i, &b) || b.metric != PRECINFER_LATENCY) continue;
        /* A share near 1 needs as many runs as let a breach be seen; a median, a few hundred. */
        const double n = b.limit == PRECINFER_MIN ? 40 / (1 - b.value) : 1000;
        if (n > most) most = n;
        asked = 1;
    }
    *runs = (size_t)ceil(most < 1e6 ? most : 1e6);
    return asked;
}
