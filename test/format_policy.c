/* The policy's JSON: what every key becomes, and every way in which it can be wrong, with the path of the key. */
#include "gate.h"

static precinfer_context *ctx(void)
{
    precinfer_context *c = NULL;
    ck_assert(!precinfer_context_new(NULL, &c, NULL));
    return c;
}
static struct precinfer_budget budget(const precinfer_policy *p, size_t i)
{
    struct precinfer_budget b;
    ck_assert_msg(!precinfer_policy_budget_info(p, i, &b), "there is no budget %zu", i);
    return b;
}

START_TEST(every_key)
{
    precinfer_context *c = ctx();
    precinfer_policy *p = h_policy(c,
        "{\"precinfer_policy\": 1, \"name\": \"release\", \"confidence\": 0.99, \"n\": 5000, \"judge\": \"scores\","
        " \"outputs\": \"probabilities\", \"cluster\": \"user\", \"samples\": {\"min\": 200, \"max_overlap\": 0.005},"
        " \"budgets\": [{\"metric\": \"top1\", \"max_drop\": \"0.5pt\"}, {\"metric\": \"topk\", \"k\": 3, \"min_share\": 0.989},"
        " {\"metric\": \"top1\", \"max_drop\": \"0.5%rel\"}, {\"metric\": \"agreement\", \"min\": 0.99, \"name\": \"same "
            "answers\"},"
        " {\"metric\": \"mae\", \"max_ratio\": 1.02, \"bounds\": [-5, 6]}, {\"metric\": \"log_loss\", \"max_increase\": 0.01},"
        " {\"metric\": \"perplexity\", \"max_ratio\": 1.01}, {\"metric\": \"rmse\", \"max_ratio\": 1.5},"
        " {\"metric\": \"relative_mae\", \"max_increase\": 0.1}, {\"metric\": \"cosine\", \"min\": 0.999},"
        " {\"metric\": \"auc\", \"positive\": 1, \"max_drop\": 0.002}, {\"metric\": \"f1\", \"positive\": 2, \"max_drop\": "
            "\"1pt\"},"
        " {\"metric\": \"f1\", \"positive\": 2, \"threshold\": 0.25, \"min_share\": 0.9},"
        " {\"metric\": \"score\", \"name\": \"map\", \"max_drop\": 3}, {\"metric\": \"error\", \"name\": \"wer\", "
            "\"max_increase\": 0.01}],"
        " \"slices\": [{\"by\": \"label\", \"metric\": \"top1\", \"max_drop\": \"2pt\", \"margins\": {\"3\": \"4pt\"}},"
        " {\"by\": \"region\", \"metric\": \"mae\", \"max_ratio\": 1.1, \"margins\": {\"north\": 1.2, \"south\": 1.3}, "
            "\"min_samples\": 50},"
        " {\"by\": \"region\", \"metric\": \"top1\", \"max_drop\": \"1%rel\", \"margins\": {\"north\": \"2%rel\"}}],"
        " \"latency\": {\"max_ms\": 18, \"share\": 0.99, \"median_max_ratio\": 0.8}}");
    struct precinfer_policy_rules r;
    ck_assert(!precinfer_policy_rules_of(p, &r));
    ck_assert_str_eq(precinfer_policy_name(p), "release");
    h_expect(r.confidence == 0.99 && r.n == 5000 && !strcmp(r.judge, "scores") && r.probabilities && !strcmp(r.cluster, "user") &&
             r.min_samples == 200 && r.max_overlap == 0.005, "rules");
    static const struct { enum precinfer_metric m; enum precinfer_limit l; double v; } want[] = {
        { PRECINFER_TOPK, PRECINFER_MAX_DROP, 0.005 }, { PRECINFER_TOPK, PRECINFER_MIN_SHARE, 0.989 },
        { PRECINFER_TOPK, PRECINFER_MIN_SHARE, 0.995 }, { PRECINFER_AGREEMENT, PRECINFER_MIN, 0.99 },
        { PRECINFER_MAE, PRECINFER_MAX_RATIO, 1.02 }, { PRECINFER_LOG_LOSS, PRECINFER_MAX_DROP, 0.01 },
        { PRECINFER_PERPLEXITY, PRECINFER_MAX_RATIO, 1.01 }, { PRECINFER_RMSE, PRECINFER_MAX_RATIO, 1.5 },
        { PRECINFER_RELATIVE_MAE, PRECINFER_MAX_DROP, 0.1 }, { PRECINFER_COSINE, PRECINFER_MIN, 0.999 },
        { PRECINFER_AUC, PRECINFER_MAX_DROP, 0.002 }, { PRECINFER_F1, PRECINFER_MAX_DROP, 0.01 },
        { PRECINFER_F1, PRECINFER_MIN_SHARE, 0.9 }, { PRECINFER_SCORE, PRECINFER_MAX_DROP, 3 },
        { PRECINFER_ERROR, PRECINFER_MAX_DROP, 0.01 }, { PRECINFER_TOPK, PRECINFER_MAX_DROP, 0.02 },
        { PRECINFER_MAE, PRECINFER_MAX_RATIO, 1.1 }, { PRECINFER_TOPK, PRECINFER_MIN_SHARE, 0.99 },
        { PRECINFER_LATENCY, PRECINFER_MIN, 0.99 }, { PRECINFER_LATENCY, PRECINFER_MAX_RATIO, 0.8 } };
    enum { N = sizeof want / sizeof *want };
    ck_assert_uint_eq(precinfer_policy_budgets(p), N);
    for (size_t i = 0; i < N; i++) {
        const struct precinfer_budget b = budget(p, i);
        h_expect(b.metric == want[i].m && b.limit == want[i].l && fabs(b.value - want[i].v) < 1e-15, "budget %zu: %d %d %.17g", i,
                 (int)b.metric, (int)b.limit, b.value);
    }
    h_expect(budget(p, 0).k == 1 && budget(p, 1).k == 3, "k");
    h_expect(!strcmp(budget(p, 3).name, "same answers") && !strcmp(budget(p, 13).name, "map"), "names");
    h_expect(budget(p, 4).low == -5 && budget(p, 4).high == 6 && !(budget(p, 5).low < budget(p, 5).high), "bounds");
    h_expect(budget(p, 10).positive == 1 && budget(p, 11).positive == 2 && budget(p, 11).threshold == 0.5 &&
             budget(p, 12).threshold == 0.25, "positive and threshold; 0.5 is the default for probabilities");
    const struct precinfer_budget label = budget(p, 15), region = budget(p, 16), relative = budget(p, 17);
    h_expect(!strcmp(label.by, "label") && label.nmargins == 1 && !strcmp(label.slices[0], "3") && label.margins[0] == 0.04 &&
             label.min_samples == 0, "slices by label");
    h_expect(!strcmp(region.by, "region") && region.nmargins == 2 && region.min_samples == 50 && region.margins[0] == 1.2 &&
             region.margins[1] == 1.3 && !strcmp(region.slices[1], "south"), "slices by column");
    h_expect(relative.nmargins == 1 && relative.margins[0] == 0.98, "a relative margin");
    h_expect(budget(p, 18).threshold == 18e6, "18 ms are %g ns", budget(p, 18).threshold);
    h_expect(precinfer_policy_columns(p) == 2 && !strcmp(precinfer_policy_column(p, 0), "region") &&
             !strcmp(precinfer_policy_column(p, 1), "user") && !precinfer_policy_column(p, 2), "columns");
    h_finish();
    precinfer_policy_free(p);
    precinfer_context_free(c);
}
END_TEST

START_TEST(defaults_and_presets)
{
    precinfer_context *c = ctx();
    struct precinfer_policy_rules r;
    precinfer_policy *p = h_policy(c, "{\"precinfer_policy\": 1, \"preset\": \"int8-nvidia\"}");
    ck_assert(!precinfer_policy_rules_of(p, &r));
    h_expect(r.confidence == 0.95 && !r.n && !r.judge && !r.probabilities && !r.cluster && !r.min_samples &&
             r.max_overlap == 0.01,
             "default rules");
    h_expect(precinfer_policy_budgets(p) == 1 && budget(p, 0).metric == PRECINFER_TOPK && budget(p, 0).limit ==
             PRECINFER_MIN_SHARE &&
             budget(p, 0).value == 0.989, "98.9%% of FP32");
    precinfer_policy *all = h_policy(c, "{\"precinfer_policy\": 1, \"preset\": [\"half-precision\", \"bf16-google\", "
                                     "\"mae-uber\"],"
                                        "\"budgets\": [{\"metric\": \"f1\", \"positive\": 0, \"max_drop\": 0.1}]}");
    h_expect(precinfer_policy_budgets(all) == 4 && budget(all, 0).value == 0.005 && budget(all, 0).limit == PRECINFER_MAX_DROP,
             "0.5 points");
    h_expect(budget(all, 1).value == 0.997 && budget(all, 1).limit == PRECINFER_MIN_SHARE, "0.3%% relative");
    h_expect(budget(all, 2).value == 1.02 && budget(all, 2).metric == PRECINFER_MAE, "MAE within 2%%");
    h_expect(budget(all, 3).threshold == 0, "the default threshold of logits");
    h_expect(precinfer_policy_hash(p) != precinfer_policy_hash(all), "hashes");
    precinfer_policy *same = h_policy(c, "{\"budgets\": [{\"min_share\": 0.989, \"metric\": \"topk\", \"k\": 1}], \"name\": "
                                      "\"mine\","
                                         " \"precinfer_policy\": 1, \"samples\": {}, \"confidence\": 0.95, \"outputs\": "
                                             "\"logits\"}");
    h_expect(precinfer_policy_hash(p) == precinfer_policy_hash(same), "a name or an order of keys makes no other policy");
    h_finish();
    precinfer_policy_free(p);
    precinfer_policy_free(all);
    precinfer_policy_free(same);
    precinfer_context_free(c);
}
END_TEST

/* Everything that decides a verdict is in the hash. */
START_TEST(hash)
{
    static const char *const rest[] = { "", "\"confidence\": 0.9", "\"n\": 100", "\"judge\": \"a\"",
                                        "\"outputs\": \"probabilities\"",
        "\"cluster\": \"a\"", "\"samples\": {\"min\": 3}", "\"samples\": {\"max_overlap\": 0}",
        "\"budgets\": [{\"metric\": \"agreement\", \"min\": 0.5}]", "\"budgets\": [{\"metric\": \"agreement\", \"min\": 0.6}]",
        "\"budgets\": [{\"metric\": \"agreement\", \"min\": 0.5, \"name\": \"a\"}]",
        "\"budgets\": [{\"metric\": \"topk\", \"k\": 2, \"min_share\": 0.9}]", "\"budgets\": [{\"metric\": \"topk\", \"k\": 3, "
            "\"min_share\": 0.9}]",
        "\"budgets\": [{\"metric\": \"mae\", \"max_ratio\": 1.02}]", "\"budgets\": [{\"metric\": \"mae\", \"max_increase\": "
            "1.02}]",
        "\"budgets\": [{\"metric\": \"mae\", \"max_ratio\": 1.02, \"bounds\": [-1, 1]}]",
        "\"budgets\": [{\"metric\": \"mae\", \"max_ratio\": 1.02, \"bounds\": [-1, 2]}]",
        "\"budgets\": [{\"metric\": \"f1\", \"positive\": 1, \"max_drop\": 0.1}]",
            "\"budgets\": [{\"metric\": \"f1\", \"positive\": 2, \"max_drop\": 0.1}]",
        "\"budgets\": [{\"metric\": \"f1\", \"positive\": 1, \"max_drop\": 0.1, \"threshold\": 1}]",
        "\"slices\": [{\"by\": \"a\", \"metric\": \"mae\", \"max_ratio\": 1.02}]", "\"slices\": [{\"by\": \"b\", \"metric\": "
            "\"mae\", \"max_ratio\": 1.02}]",
        "\"slices\": [{\"by\": \"a\", \"metric\": \"mae\", \"max_ratio\": 1.02, \"min_samples\": 1}]",
        "\"slices\": [{\"by\": \"a\", \"metric\": \"mae\", \"max_ratio\": 1.02, \"margins\": {\"x\": 2}}]",
        "\"slices\": [{\"by\": \"a\", \"metric\": \"mae\", \"max_ratio\": 1.02, \"margins\": {\"x\": 3}}]",
        "\"slices\": [{\"by\": \"a\", \"metric\": \"mae\", \"max_ratio\": 1.02, \"margins\": {\"y\": 3}}]",
        "\"latency\": {\"max_ms\": 1, \"share\": 0.5}", "\"latency\": {\"max_ms\": 2, \"share\": 0.5}",
            "\"latency\": {\"median_max_ratio\": 1}" };
    enum { N = sizeof rest / sizeof *rest };
    precinfer_context *c = ctx();
    uint64_t hashes[N];
    for (size_t i = 0; i < N; i++) {
        char json[512];
        snprintf(json, sizeof json, "{\"precinfer_policy\": 1, \"preset\": \"bf16-google\"%s%s}", *rest[i] ? ", " : "", rest[i]);
        precinfer_policy *p = h_policy(c, json);
        hashes[i] = precinfer_policy_hash(p);
        precinfer_policy_free(p);
        for (size_t k = 0; k < i; k++) h_expect(hashes[i] != hashes[k], "'%s' and '%s' have one hash", rest[i], rest[k]);
    }
    h_finish();
    precinfer_context_free(c);
}
END_TEST

#define B(text) "\"budgets\": [{" text "}]"
#define S(text) "\"slices\": [{" text "}]"
static const struct { const char *json, *path, *says; } wrong[] = {
    { "", "", "line 1" }, { "{", "", "line 1" }, { "[]", "policy", "must be a JSON object" },
    { "{\"a\": 1, \"a\": 2}", "", "duplicate" }, { "{}", "precinfer_policy", "missing" },
    { "{\"precinfer_policy\": \"1\"}", "precinfer_policy", "version" }, { "{\"precinfer_policy\": 0}", "precinfer_policy",
        "version" },
    { "*\"budget\": []", "budget", "unknown key" }, { "*\"name\": 3", "name", "string" }, { "*\"name\": \"\"", "name",
        "not empty" },
    { "*\"budgets\": []", "budgets", "asks for nothing" }, { "*\"name\": \"x\"", "budgets", "asks for nothing" },
    { "*\"confidence\": \"0.95\"", "confidence", "number" }, { "*\"confidence\": 95", "confidence", "below 1" },
    { "*\"confidence\": 0.3", "confidence", "at least 0.5" }, { "*\"confidence\": 0", "confidence", "at least 0.5" },
    { "*\"confidence\": 1", "confidence", "below 1" }, { "*\"n\": 0", "n", "integer" }, { "*\"n\": 2.5", "n", "integer" },
    { "*\"n\": -3", "n", "integer" }, { "*\"n\": 1e12", "n", "integer" }, { "*\"n\": 100, \"samples\": {\"min\": 101}",
        "samples.min", "fixed n" },
    { "*\"judge\": 1", "judge", "string" }, { "*\"outputs\": \"odds\"", "outputs", "logits or probabilities" },
    { "*\"cluster\": []", "cluster", "string" }, { "*\"cluster\": \"label\"", "cluster", "not the label" },
    { "*\"samples\": 3", "samples", "object" }, { "*\"samples\": {\"least\": 3}", "samples.least", "unknown key" },
    { "*\"samples\": {\"min\": -1}", "samples.min", "integer" }, { "*\"samples\": {\"max_overlap\": 2}", "samples.max_overlap",
                                                                   "at most 1" },
    { "*\"samples\": {\"max_overlap\": -1}", "samples.max_overlap", "negative" },
    { "*\"samples\": {\"max_overlap\": \"1%\"}", "samples.max_overlap", "number" },
    { "*\"preset\": 3", "preset", "name" }, { "*\"preset\": \"best\"", "preset", "int8-nvidia" },
    { "*\"preset\": [\"bf16-google\", \"best\"]", "preset[1]", "there is no 'best'" },
    { "*\"preset\": [\"bf16-google\", \"bf16-google\"]", "preset[1]", "twice" },
    { "*\"budgets\": {}", "budgets", "array" }, { "*\"budgets\": [3]", "budgets[0]", "object" },
    { "*" B(""), "budgets[0].metric", "missing" }, { "*" B("\"metric\": 3"), "budgets[0].metric", "string" },
    { "*" B("\"metric\": \"top2\""), "budgets[0].metric", "must be top1" },
    { "*" B("\"metric\": \"latency\", \"min\": 0.5"), "budgets[0].metric", "must be top1" },
    { "*" B("\"metric\": \"top1\""), "budgets[0].max_drop", "a budget has a limit" },
    { "*" B("\"metric\": \"top1\", \"max_drop\": \"1pt\", \"min_share\": 0.9"), "budgets[0].min_share", "one limit" },
    { "*" B("\"metric\": \"top1\", \"max_drop\": 0.5"), "budgets[0].max_drop", "0.5pt" },
    { "*" B("\"metric\": \"top1\", \"max_drop\": \"0.5%\""), "budgets[0].max_drop", "0.5%rel" },
    { "*" B("\"metric\": \"top1\", \"max_drop\": \"pt\""), "budgets[0].max_drop", "0.5pt" },
    { "*" B("\"metric\": \"top1\", \"max_drop\": \"0,5pt\""), "budgets[0].max_drop", "0.5pt" },
    { "*" B("\"metric\": \"top1\", \"max_drop\": \"-1pt\""), "budgets[0].max_drop", "negative" },
    { "*" B("\"metric\": \"top1\", \"max_drop\": \"100pt\""), "budgets[0].max_drop", "less than 100" },
    { "*" B("\"metric\": \"top1\", \"max_drop\": \"100%rel\""), "budgets[0].max_drop", "less than 100" },
    { "*" B("\"metric\": \"top1\", \"max_drop\": true"), "budgets[0].max_drop", "string" },
    { "*" B("\"metric\": \"top1\", \"max_increase\": \"1pt\""), "budgets[0].max_increase", "more is better" },
    { "*" B("\"metric\": \"top1\", \"max_ratio\": 1.1"), "budgets[0].max_ratio", "more is better" },
    { "*" B("\"metric\": \"top1\", \"min\": 0.9"), "budgets[0].min", "no such limit" },
    { "*" B("\"metric\": \"top1\", \"min_share\": 1.1"), "budgets[0].min_share", "at most 1" },
    { "*" B("\"metric\": \"top1\", \"min_share\": 0"), "budgets[0].min_share", "above 0" },
    { "*" B("\"metric\": \"top1\", \"min_share\": \"98.9%\""), "budgets[0].min_share", "number" },
    { "*" B("\"metric\": \"top1\", \"k\": 1, \"min_share\": 1"), "budgets[0].k", "unknown key" },
    { "*" B("\"metric\": \"topk\", \"min_share\": 1"), "budgets[0].k", "missing" },
    { "*" B("\"metric\": \"topk\", \"k\": 0, \"min_share\": 1"), "budgets[0].k", "integer" },
    { "*" B("\"metric\": \"top1\", \"by\": \"label\", \"min_share\": 1"), "budgets[0].by", "unknown key" },
    { "*" B("\"metric\": \"top1\", \"bounds\": [-1, 1], \"min_share\": 1"), "budgets[0].bounds", "unknown key" },
    { "*" B("\"metric\": \"agreement\", \"max_drop\": \"1pt\""), "budgets[0].max_drop", "number" },
    { "*" B("\"metric\": \"agreement\", \"max_drop\": 0.1"), "budgets[0].max_drop", "no such limit" },
    { "*" B("\"metric\": \"agreement\", \"min\": 99"), "budgets[0].min", "at most 1" },
    { "*" B("\"metric\": \"mae\", \"max_drop\": 0.1"), "budgets[0].max_drop", "less is better" },
    { "*" B("\"metric\": \"mae\", \"max_ratio\": 0.9"), "budgets[0].max_ratio", "at least 1" },
    { "*" B("\"metric\": \"mae\", \"max_increase\": -1"), "budgets[0].max_increase", "negative" },
    { "*" B("\"metric\": \"mae\", \"max_ratio\": 1.1, \"bounds\": 3"), "budgets[0].bounds", "two numbers" },
    { "*" B("\"metric\": \"mae\", \"max_ratio\": 1.1, \"bounds\": [1]"), "budgets[0].bounds", "two numbers" },
    { "*" B("\"metric\": \"mae\", \"max_ratio\": 1.1, \"bounds\": [3, 1]"), "budgets[0].bounds", "below the second" },
    { "*" B("\"metric\": \"mae\", \"max_ratio\": 1.1, \"bounds\": [1, 3]"), "budgets[0].bounds", "0 inside" },
    { "*" B("\"metric\": \"rmse\", \"max_increase\": 1"), "budgets[0].max_increase", "no such limit" },
    { "*" B("\"metric\": \"log_loss\", \"max_ratio\": 1.1"), "budgets[0].max_ratio", "no such limit" },
    { "*" B("\"metric\": \"perplexity\", \"max_increase\": 1.1"), "budgets[0].max_increase", "no such limit" },
    { "*" B("\"metric\": \"cosine\", \"min\": 1.1"), "budgets[0].min", "at most 1" },
    { "*" B("\"metric\": \"auc\", \"max_drop\": 0.1"), "budgets[0].positive", "missing" },
    { "*" B("\"metric\": \"auc\", \"positive\": -1, \"max_drop\": 0.1"), "budgets[0].positive", "integer" },
    { "*" B("\"metric\": \"auc\", \"positive\": 1, \"max_drop\": 1"), "budgets[0].max_drop", "less than 1" },
    { "*" B("\"metric\": \"auc\", \"positive\": 1, \"max_drop\": []"), "budgets[0].max_drop", "number or a string" },
    { "*" B("\"metric\": \"auc\", \"positive\": 1, \"threshold\": 1, \"max_drop\": 0.1"), "budgets[0].threshold", "unknown key" },
    { "*" B("\"metric\": \"f1\", \"positive\": 1, \"threshold\": \"1\", \"max_drop\": 0.1"), "budgets[0].threshold", "number" },
    { "*" B("\"metric\": \"score\", \"max_drop\": 0.1"), "budgets[0].name", "figure" },
    { "*" B("\"metric\": \"score\", \"name\": \"a\", \"max_increase\": 0.1"), "budgets[0].max_increase", "more is better" },
    { "*" B("\"metric\": \"error\", \"name\": \"a\", \"max_drop\": 0.1"), "budgets[0].max_drop", "less is better" },
    { "*" B("\"metric\": \"error\", \"name\": 3, \"max_increase\": 0.1"), "budgets[0].name", "string" },
    { "*\"budgets\": [{\"metric\": \"top1\", \"min_share\": 1}, {\"metric\": \"topk\", \"k\": 1, \"max_drop\": \"0%rel\"}]",
      "budgets[1]", "twice" },
    { "*" S("\"metric\": \"top1\", \"max_drop\": \"1pt\""), "slices[0].by", "missing" },
    { "*" S("\"metric\": \"top1\", \"max_drop\": \"1pt\", \"by\": 3"), "slices[0].by", "string" },
    { "*" S("\"metric\": \"top1\", \"max_drop\": \"1pt\", \"by\": \"a\", \"margins\": []"), "slices[0].margins", "object" },
    { "*" S("\"metric\": \"top1\", \"max_drop\": \"1pt\", \"by\": \"a\", \"margins\": {\"x\": 2}"), "slices[0].margins.x",
      "0.5pt" },
    { "*" S("\"metric\": \"top1\", \"max_drop\": \"1pt\", \"by\": \"a\", \"margins\": {\"x\": \"2%rel\"}"),
      "slices[0].margins.x", "same kind" },
    { "*" S("\"metric\": \"mae\", \"max_ratio\": 1.1, \"by\": \"a\", \"margins\": {\"x\": 1.2, \"y\": 0.5}"),
      "slices[0].margins.y", "at least 1" },
    { "*" S("\"metric\": \"mae\", \"max_ratio\": 1.1, \"by\": \"a\", \"min_samples\": -1"), "slices[0].min_samples", "integer" },
    { "*" S("\"metric\": \"auc\", \"positive\": 1, \"max_drop\": 0.1, \"by\": \"label\""), "slices[0].by", "both classes" },
    { "*\"latency\": 3", "latency", "object" }, { "*\"latency\": {}", "latency.max_ms", "missing" },
    { "*\"latency\": {\"max_ms\": 3}", "latency.share", "go together" }, { "*\"latency\": {\"share\": 0.5}", "latency.max_ms",
        "go together" },
    { "*\"latency\": {\"max_ms\": 0, \"share\": 0.5}", "latency.max_ms", "above 0" },
    { "*\"latency\": {\"max_ms\": 1, \"share\": 1}", "latency.share", "below 1" },
    { "*\"latency\": {\"max_ms\": 1, \"share\": 0.5, \"p99\": 3}", "latency.p99", "unknown key" },
    { "*\"latency\": {\"median_max_ratio\": 0}", "latency.median_max_ratio", "above 0" },
    { "*\"latency\": {\"median_max_ratio\": \"1\"}", "latency.median_max_ratio", "number" },
};
enum { WRONG = sizeof wrong / sizeof *wrong };

START_TEST(refused)
{
    precinfer_context *c = ctx();
    for (size_t i = 0; i < WRONG; i++) {
        char json[1024];
        struct precinfer_error err = { 0 };
        precinfer_policy *p = NULL;
        if (*wrong[i].json == '*') snprintf(json, sizeof json, "{\"precinfer_policy\": 1, %s}", wrong[i].json + 1);
        else snprintf(json, sizeof json, "%s", wrong[i].json);
        const int status = precinfer_policy_parse(c, json, strlen(json), &p, &err);
        h_expect(status == PRECINFER_MALFORMED && err.status == PRECINFER_MALFORMED && !p, "%s: status %d, %s", json, status,
                 err.text);
        h_expect(!*wrong[i].path || (!strncmp(err.text, wrong[i].path, strlen(wrong[i].path)) &&
                                     err.text[strlen(wrong[i].path)] == ':'),
                 "%s: '%s' does not begin with %s", json, err.text, wrong[i].path);
        h_expect(strstr(err.text, wrong[i].says) != NULL, "%s: '%s' does not say %s", json, err.text, wrong[i].says);
        h_expect((int)precinfer_policy_parse(c, json, strlen(json), &p, NULL) == status, "%s: without an error struct", json);
        if (p) precinfer_policy_free(p);
    }
    h_finish();
    precinfer_context_free(c);
}
END_TEST

START_TEST(files)
{
    precinfer_context *c = ctx();
    struct precinfer_error err = { 0 };
    precinfer_policy *p = NULL;
    char path[] = "/tmp/precinfer-policy-XXXXXX";
    const int fd = mkstemp(path);
    static const char text[] = "{\"precinfer_policy\": 2}";
    ck_assert(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)(sizeof text - 1));
    close(fd);
    h_expect(precinfer_policy_load(c, path, &p, &err) == PRECINFER_UNSUPPORTED && strstr(err.text, path) &&
             strstr(err.text, "version 2"),
             "version 2: %s", err.text);
    h_expect(precinfer_policy_load(c, "/nowhere/policy.json", &p, &err) == PRECINFER_NOT_FOUND &&
             strstr(err.text, "/nowhere/policy.json"),
             "no file: %s", err.text);
    h_expect(precinfer_policy_load(NULL, path, &p, &err) == PRECINFER_INVALID && precinfer_policy_load(c, NULL, &p, &err) ==
             PRECINFER_INVALID &&
             precinfer_policy_load(c, path, NULL, &err) == PRECINFER_INVALID && precinfer_policy_parse(c, NULL, 1, &p, &err) ==
                 PRECINFER_INVALID,
             "NULL");
    remove(path);
    h_finish();
    precinfer_context_free(c);
}
END_TEST

/* The same policy by calls; what does not go together is refused there too. */
START_TEST(by_calls)
{
    precinfer_context *c = ctx();
    struct precinfer_error err = { 0 };
    precinfer_policy *p = NULL, *q = h_policy(c, "{\"precinfer_policy\": 1, \"confidence\": 0.9, \"cluster\": \"user\","
        "\"budgets\": [{\"metric\": \"top1\", \"max_drop\": \"0.5pt\"}],"
        "\"slices\": [{\"metric\": \"mae\", \"max_ratio\": 1.5, \"by\": \"user\", \"margins\": {\"x\": 2}}]}");
    ck_assert(!precinfer_policy_new(c, &p, &err));
    const struct precinfer_budget top = { .size = sizeof top, .metric = PRECINFER_TOPK, .limit = PRECINFER_MAX_DROP,
                                          .value = 0.5 / 100 };
    const struct precinfer_budget mae = { .size = sizeof mae, .metric = PRECINFER_MAE, .limit = PRECINFER_MAX_RATIO, .value = 1.5,
                                          .by = "user", .slices = (const char *[]){ "x" }, .margins = (double[]){ 2 },
                                              .nmargins = 1 };
    const struct precinfer_policy_rules rules = { .size = sizeof rules, .confidence = 0.9, .cluster = "user", .max_overlap = -1 };
    h_expect(!precinfer_policy_budget(p, &top, &err) && !precinfer_policy_budget(p, &mae, &err) &&
             !precinfer_policy_set_rules(p, &rules, &err),
             "%s", err.text);
    h_expect(precinfer_policy_hash(p) == precinfer_policy_hash(q) && precinfer_policy_columns(p) == 1,
             "another policy than the JSON's");
    h_expect(precinfer_policy_budget(p, &top, &err) == PRECINFER_INVALID && strstr(err.text, "twice"), "twice: %s", err.text);
    struct precinfer_budget b = { .size = sizeof b, .metric = PRECINFER_AUC, .limit = PRECINFER_MAX_RATIO, .value = 1.5 };
    h_expect(precinfer_policy_budget(p, &b, &err) == PRECINFER_INVALID && strstr(err.text, "AUC"), "AUC with MAX_RATIO: %s",
             err.text);
    b = mae; b.by = NULL;
    h_expect(precinfer_policy_budget(p, &b, &err) == PRECINFER_INVALID && strstr(err.text, "margins"),
             "margins without slices: %s", err.text);
    b = top; b.value = NAN;
    h_expect(precinfer_policy_budget(p, &b, &err) == PRECINFER_INVALID, "NaN");
    b = top; b.low = -1; b.high = 1;
    h_expect(precinfer_policy_budget(p, &b, &err) == PRECINFER_INVALID && strstr(err.text, "bounds"), "bounds: %s", err.text);
    b = top; b.size = 3;
    h_expect(precinfer_policy_budget(p, &b, &err) == PRECINFER_INVALID && strstr(err.text, "size"), "size: %s", err.text);
    b = top; b.metric = (enum precinfer_metric)77;
    h_expect(precinfer_policy_budget(p, &b, &err) == PRECINFER_INVALID, "an unknown metric");
    b = mae; b.by = "label"; b.slices = (const char *[]){ "x", "x" }; b.margins = (double[]){ 2, 2 }; b.nmargins = 2;
    h_expect(precinfer_policy_budget(p, &b, &err) == PRECINFER_INVALID && strstr(err.text, "twice"), "a slice twice: %s",
             err.text);
    struct precinfer_policy_rules r = rules;
    r.confidence = 2;
    h_expect(precinfer_policy_set_rules(p, &r, &err) == PRECINFER_INVALID && strstr(err.text, "confidence"), "confidence: %s",
             err.text);
    r = rules; r.n = 10; r.min_samples = 11;
    h_expect(precinfer_policy_set_rules(p, &r, &err) == PRECINFER_INVALID, "min above n");
    h_expect(precinfer_policy_hash(p) == precinfer_policy_hash(q), "a refused call changed the policy");
    precinfer_gate *g = NULL;
    ck_assert(!precinfer_gate_new(c, p, &g, &err));
    h_expect(precinfer_policy_set_rules(p, &rules, &err) == PRECINFER_INVALID && precinfer_policy_budget(p, &b, &err) ==
             PRECINFER_INVALID,
             "a policy that a gate uses changed");
    precinfer_gate_free(g);
    h_expect(!precinfer_policy_set_rules(p, &rules, &err), "%s", err.text);
    h_finish();
    precinfer_policy_free(p);
    precinfer_policy_free(q);
    precinfer_context_free(c);
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("format_policy");
    h_add(s, "every_key", every_key, 1, 30);
    h_add(s, "defaults_and_presets", defaults_and_presets, 1, 30);
    h_add(s, "hash", hash, 1, 30);
    h_add(s, "refused", refused, 1, 30);
    h_add(s, "files", files, 1, 30);
    h_add(s, "by_calls", by_calls, 1, 30);
    return s;
}
