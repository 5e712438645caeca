/* May a lowered model replace the FP32 one? Outputs of both, of whatever runtime, go in batch by batch; after each batch one may
 * look, and stop as soon as the answer is there: the bounds hold at any number of looks.
 *     07_gate [STEP]           the candidate's logits are the reference's in steps of STEP; without: 0.25, then 2 */
#include <stdio.h>
#include <stdlib.h>
#include "precinfer.h"

enum { CLASSES = 10, BATCH = 250, MOST = 20000 };

/* A classifier that is right nine times in ten, and what is left of its logits when they are stored coarsely. */
static unsigned long long state = 1;
static double uniform(void)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;    /* Knuth's MMIX generator */
    return (double)(state >> 40) / 16777216.0;
}
static void answer(float *reference, float *candidate, int64_t *label, double step)
{
    *label = (int64_t)(uniform() * CLASSES);
    for (int c = 0; c < CLASSES; c++) {
        double x = (c == *label ? 4.2 : 0) - 6;
        for (int i = 0; i < 12; i++) x += uniform();
        reference[c] = (float)x;
        candidate[c] = (float)((double)(long)((x + 100) / step + 0.5) * step - 100);
    }
}

static enum precinfer_status make_policy(precinfer_context *ctx, precinfer_policy **policy, struct precinfer_error *err)
{
    const struct precinfer_budget drop = { .size = sizeof drop, .metric = PRECINFER_TOPK, .limit = PRECINFER_MAX_DROP,
                                           .value = 0.01 };
    const struct precinfer_budget same = { .size = sizeof same, .metric = PRECINFER_AGREEMENT, .limit = PRECINFER_MIN,
                                           .value = 0.97 };
    enum precinfer_status s = precinfer_policy_new(ctx, policy, err);
    if (!s) s = precinfer_policy_budget(*policy, &drop, err);
    if (!s) s = precinfer_policy_budget(*policy, &same, err);
    return s;
}

static void print(const precinfer_report *report, enum precinfer_verdict *verdict)
{
    struct precinfer_report_info info;
    struct precinfer_contrast c;
    precinfer_report_info(report, &info);
    *verdict = info.verdict;
    printf("%zu samples: %s\n", info.samples, precinfer_verdict_string(info.verdict));
    if (info.verdict == PRECINFER_UNDECIDED) return;
    for (size_t i = 0; i < precinfer_report_contrasts(report) && !precinfer_report_contrast(report, i, &c); i++)
        printf("    %s: %s, %.4f, between %.4f and %.4f (%s)\n", c.budget, precinfer_verdict_string(c.verdict), c.estimate,
               c.lower, c.upper, c.method);
    printf("    %zu answers changed\n", precinfer_report_flips(report));
}

static enum precinfer_status judge(precinfer_context *ctx, double step, enum precinfer_verdict *verdict,
                                   struct precinfer_error *err)
{
    static float reference[BATCH * CLASSES], candidate[BATCH * CLASSES];
    static int64_t labels[BATCH];
    const struct precinfer_judged batch = {
        .samples = BATCH, .labels = labels,
        .reference = { reference, PRECINFER_F32, 2, { BATCH, CLASSES }, PRECINFER_HOST },
        .candidate = { candidate, PRECINFER_F32, 2, { BATCH, CLASSES }, PRECINFER_HOST } };
    precinfer_policy *policy = NULL;
    precinfer_gate *gate = NULL;
    enum precinfer_status s = make_policy(ctx, &policy, err);
    if (!s) s = precinfer_gate_new(ctx, policy, &gate, err);
    *verdict = PRECINFER_UNDECIDED;
    for (int n = 0; !s && *verdict == PRECINFER_UNDECIDED && n < MOST; n += BATCH) {
        precinfer_report *report = NULL;
        for (int i = 0; i < BATCH; i++) answer(reference + i * CLASSES, candidate + i * CLASSES, labels + i, step);
        s = precinfer_gate_add(gate, &batch, err);
        if (!s) s = precinfer_gate_report(gate, &report, err);
        if (!s) print(report, verdict);
        precinfer_report_free(report);
    }
    precinfer_gate_free(gate);
    precinfer_policy_free(policy);
    return s;
}

int main(int argc, char **argv)
{
    struct precinfer_error err = { PRECINFER_OK, "" };
    precinfer_context *ctx = NULL;
    enum precinfer_verdict fine = PRECINFER_PASS, coarse = PRECINFER_FAIL;
    enum precinfer_status s = precinfer_context_new(NULL, &ctx, &err);
    if (!s) s = judge(ctx, argc > 1 ? atof(argv[1]) : 0.25, &fine, &err);
    if (!s && argc < 2) s = judge(ctx, 2, &coarse, &err);
    if (s) fprintf(stderr, "%s: %s\n", precinfer_status_string(s), err.text);
    precinfer_context_free(ctx);
    return s || fine != PRECINFER_PASS || coarse != PRECINFER_FAIL;
}
