/* What one verification found, and how it is said: the budgets as one list, a policy's and those of flags; why a verdict is
 * what it is; tables. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

const char bounds_note[] = "These are bounds for one look at data whose size was not chosen by looking.";
const char agreement_method[] = "Clopper-Pearson, 95%, one-sided";
const char drop_method[] = "Clopper-Pearson, 97.5% for the lost and for the gained";

/* ------------------------------------------------------------------------------------------------ the list */

static int has_drop(const struct findings *f) { return f->r.drop_limit - f->r.drop_limit == 0; }

/* Flags judge too; without any limit at all the figures are listed as what was not asked for. */
static int lists_agreement(const struct findings *f) { return f->o->min_agreement >= 0 || (!f->policy && !f->one_number); }
static int lists_drop(const struct findings *f) { return f->r.labelled && (has_drop(f) || (!f->policy && !f->one_number)); }
/* Without a policy a gate only counts. */
static size_t policy_contrasts(const struct findings *f) { return f->policy ? precinfer_report_contrasts(f->report) : 0; }

size_t contrast_count(const struct findings *f)
{
    return policy_contrasts(f) + (size_t)lists_agreement(f) + (size_t)lists_drop(f);
}

static void flag_agreement(const struct findings *f, struct precinfer_contrast *c)
{
    const double n = f->r.samples ? (double)f->r.samples : 1;
    *c = (struct precinfer_contrast){ .budget = "agreement (--min-agreement)", .metric = PRECINFER_AGREEMENT,
        .verdict = f->r.agreement_verdict, .samples = f->r.samples, .units = f->r.samples, .reference = NAN, .candidate = NAN,
        .quantity = "share of samples with the same top-1", .estimate = (double)f->r.agreed / n, .lower = f->r.agreement_lower,
        .upper = f->r.agreement_upper, .limit = f->o->min_agreement >= 0 ? f->o->min_agreement : NAN, .at_least = 1,
        .method = agreement_method, .exact = 1 };
    if (c->verdict == PRECINFER_UNDECIDED) c->needed = f->r.needed_samples;
}

static void flag_drop(const struct findings *f, struct precinfer_contrast *c)
{
    const double n = f->r.samples ? (double)f->r.samples : 1;
    *c = (struct precinfer_contrast){ .budget = "drop in accuracy (--max-drop)", .metric = PRECINFER_TOPK,
        .verdict = f->r.drop_verdict, .samples = f->r.samples, .units = f->r.samples,
        .reference = (double)f->r.right_reference / n, .candidate = (double)f->r.right_candidate / n,
        .quantity = "drop in top-1 accuracy", .estimate = f->r.drop, .lower = f->r.drop_lower, .upper = f->r.drop_upper,
        .limit = has_drop(f) ? f->r.drop_limit : NAN, .method = drop_method, .exact = 1 };
    if (c->verdict == PRECINFER_UNDECIDED) c->needed = f->r.needed_samples;
}

void contrast_at(const struct findings *f, size_t i, struct precinfer_contrast *c)
{
    const size_t n = policy_contrasts(f);
    if (i < n) precinfer_report_contrast(f->report, i, c);
    else if (i == n && lists_agreement(f)) flag_agreement(f, c);
    else flag_drop(f, c);
}

const char *slice_text(const struct precinfer_contrast *c, char *s, size_t room)
{
    if (c->by) snprintf(s, room, "%s=%s", c->by, c->slice ? c->slice : "");
    else snprintf(s, room, "all samples");
    return s;
}

const char *verdict_text(const struct precinfer_contrast *c)
{
    return c->verdict != PRECINFER_NO_LIMIT ? precinfer_verdict_string(c->verdict) : c->by ? "too few to judge"
        : "no limit given";
}

const char *class_text(int64_t x, char s[24])
{
    snprintf(s, 24, "%lld", (long long)x);
    return x < 0 ? "NaN" : s;
}

size_t samples_by_now(const struct findings *f)
{
    return f->r.samples + (f->nlooks ? f->looks[f->nlooks - 1].samples : 0);
}

const char *metric_name(enum precinfer_metric m)
{
    static const char *const names[] = { "topk", "agreement", "log_loss", "perplexity", "mae", "rmse", "relative_mae", "cosine",
                                         "auc", "f1", "score", "error", "latency" };
    return (unsigned)m < sizeof names / sizeof *names ? names[m] : "unknown";
}

/* ------------------------------------------------------------------------------------------------ one line for a verdict */

static const char *units_of(const struct findings *f, const struct precinfer_contrast *c)
{
    struct precinfer_policy_rules rules;
    if (c->metric == PRECINFER_LATENCY) return "runs";
    if (f->policy && !precinfer_policy_rules_of(f->policy, &rules) && rules.cluster) return "clusters";
    return "samples";
}

/* What would decide. A paired contrast is planned for the case that nothing is lost; where that many are there already,
 * something is. A proportion is planned at the rate seen. */
void needed_text(const struct findings *f, const struct precinfer_contrast *c, char *s, size_t room)
{
    struct precinfer_policy_rules rules = { 0 };
    const long long n = (long long)c->needed;
    const int rate = c->metric == PRECINFER_AGREEMENT || c->metric == PRECINFER_LATENCY || c->metric == PRECINFER_COSINE
        || c->method == drop_method;
    if (f->policy) precinfer_policy_rules_of(f->policy, &rules);
    if (n < 0) snprintf(s, room, "at this rate no number of them would");
    else if (!n) snprintf(s, room, "how many would cannot be told");
    else if (rules.n && c->metric != PRECINFER_LATENCY && c->samples < rules.n && (size_t)n == rules.n)
        snprintf(s, room, "the policy judges %lld, no fewer", n);
    else if (rate) snprintf(s, room, "about %lld %s at the rate seen", n, (uint64_t)n > c->units ? "would do"
                            : "do, four times in five,");
    else if ((uint64_t)n > c->units) snprintf(s, room, "about %lld would do if nothing is lost", n);
    else snprintf(s, room, "about %lld would have done had nothing been lost", n);
}

/* What one contrast says, for its failure or its lack of samples. */
void contrast_why(const struct findings *f, const struct precinfer_contrast *c, char *why, size_t room)
{
    char slice[200], budget[300], needed[120];
    if (c->by) snprintf(budget, sizeof budget, "'%s' on %s", c->budget, slice_text(c, slice, sizeof slice));
    else snprintf(budget, sizeof budget, "'%s'", c->budget);
    needed_text(f, c, needed, sizeof needed);
    if (c->verdict == PRECINFER_FAIL)
        snprintf(why, room, "%s: %s is at %s %.5g, the limit is %.5g", budget, c->quantity, c->at_least ? "most" : "least",
                 c->at_least ? c->upper : c->lower, c->limit);
    else if (c->verdict == PRECINFER_UNDECIDED)
        snprintf(why, room, "%s: %llu %s do not decide; %s", budget, (unsigned long long)c->units, units_of(f, c), needed);
    else snprintf(why, room, "%s: %s", budget, verdict_text(c));
}

static int flags_alone(const struct findings *f, char *why, size_t room)
{
    const struct precinfer_report_info *r = &f->r;
    if (f->verdict == PRECINFER_UNDECIDED) {
        if (r->needed_samples > 0) snprintf(why, room, "%zu samples do not decide; about %lld would at the rates seen",
                                            r->samples, (long long)r->needed_samples);
        else snprintf(why, room, "%zu samples do not decide, and at this rate no number of them would", r->samples);
        return EXIT_UNDECIDED;
    }
    if (r->agreement_verdict == PRECINFER_FAIL)
        snprintf(why, room, "agreement is at most %.4f, the limit is %.4f", r->agreement_upper, f->o->min_agreement);
    else snprintf(why, room, "at least %.4f points of accuracy are lost, the limit is %.4f", 100 * r->drop_lower,
                  100 * r->drop_limit);
    return EXIT_FAILED;
}

/* The worst: all samples before a slice, a slice that Holm blames before others; of what is undecided the one that needs most,
 * or cannot be decided. */
static int worse(const struct precinfer_contrast *a, const struct precinfer_contrast *b)
{
    if (a->verdict != PRECINFER_UNDECIDED && !a->by != !b->by) return !a->by;
    if (a->verdict != PRECINFER_UNDECIDED) return a->blamed > b->blamed;
    if (a->needed < 0 || b->needed < 0) return a->needed < 0 && b->needed >= 0;
    return a->needed > b->needed;
}

/* Slices that are to blame, beside the contrast that was named. */
static void add_blamed(const struct findings *f, const struct precinfer_contrast *named, char *why, size_t room)
{
    enum { NAMED_SLICES = 4 };
    struct precinfer_contrast c;
    size_t n = 0;
    char slice[200];
    for (size_t i = 0; i < contrast_count(f); i++) {
        contrast_at(f, i, &c);
        if (!c.blamed || (named->by && c.budget == named->budget && c.slice == named->slice)) continue;
        const size_t at = strlen(why);
        if (n++ < NAMED_SLICES) snprintf(why + at, room - at, "%s%s", n > 1 ? ", " : "; to blame besides: ", slice_text(&c,
            slice, sizeof slice));
    }
    const size_t at = strlen(why);
    if (n > NAMED_SLICES) snprintf(why + at, room - at, " and %zu more", n - NAMED_SLICES);
}

int explain_verdict(const struct findings *f, char *why, size_t room)
{
    struct precinfer_contrast c, worst = { 0 };
    size_t hits = 0;
    char rest[100] = "";
    snprintf(why, room, "%s", precinfer_verdict_string(f->verdict));
    if (f->verdict != PRECINFER_FAIL && f->verdict != PRECINFER_UNDECIDED) return EXIT_PASS;
    if (f->breach) {
        snprintf(why, room, "--strict: layer '%s' did not run in the precision asked for", f->breach);
        return EXIT_FAILED;
    }
    if (!f->policy) return flags_alone(f, why, room);
    for (size_t i = 0; i < contrast_count(f); i++) {
        contrast_at(f, i, &c);
        if (c.verdict != f->verdict) continue;
        if (!hits++ || worse(&c, &worst)) worst = c;
    }
    const int code = f->verdict == PRECINFER_FAIL ? EXIT_FAILED : EXIT_UNDECIDED;
    if (!hits) {                                    /* fewer samples than the policy's least */
        if (f->r.needed_samples > 0) snprintf(why, room, "%zu samples are fewer than the %lld that the policy wants",
                                              f->r.samples,
                                              (long long)f->r.needed_samples);
        else snprintf(why, room, "%zu samples are not enough for the policy", f->r.samples);
        return code;
    }
    contrast_why(f, &worst, why, room);
    if (code == EXIT_FAILED) { add_blamed(f, &worst, why, room); return code; }
    if (worst.by && f->r.needed_samples > 0)        /* a slice is a share of the samples */
        snprintf(rest, sizeof rest, " (%lld samples in all)", (long long)f->r.needed_samples);
    if (hits > 1) snprintf(rest + strlen(rest), sizeof rest - strlen(rest), "; %zu more like it", hits - 1);
    const size_t n = strlen(why);
    snprintf(why + n, room - n, "%s", rest);
    return code;
}

/* ------------------------------------------------------------------------------------------------ text */

static void cell_number(struct table *t, double x)
{
    if (isnan(x)) table_cell(t, "-");
    else table_cell(t, "%.5g", x);
}

/* Of slices that passed, so many are listed. */
enum { SHOWN_SLICES = 40 };

static void say_table(FILE *out, const struct findings *f, size_t n)
{
    struct table t;
    char slice[200];
    size_t passed = 0;
    table_start(&t, "budget|on|>units|>reference|>candidate|>estimate|>at least|>at most|>limit|verdict");
    for (size_t i = 0; i < n; i++) {
        struct precinfer_contrast c;
        precinfer_report_contrast(f->report, i, &c);
        if (c.by && (c.verdict == PRECINFER_PASS || c.verdict == PRECINFER_NO_LIMIT) && passed++ >= SHOWN_SLICES) continue;
        table_cell(&t, "%s", c.budget);
        table_cell(&t, "%s", slice_text(&c, slice, sizeof slice));
        table_cell(&t, "%llu", (unsigned long long)c.units);
        cell_number(&t, c.reference);
        cell_number(&t, c.candidate);
        cell_number(&t, c.estimate);
        cell_number(&t, c.lower);
        cell_number(&t, c.upper);
        cell_number(&t, c.limit);
        table_cell(&t, "%s%s", verdict_text(&c), c.blamed ? " (to blame)" : "");
    }
    table_print(&t, out);
    if (passed > SHOWN_SLICES) fprintf(out, "and %zu more slices that passed or were too few to judge\n", passed - SHOWN_SLICES);
}

const char *question_text(const struct findings *f, char *s, size_t room)
{
    struct precinfer_policy_rules rules = { 0 };
    if (f->policy) precinfer_policy_rules_of(f->policy, &rules);
    if (!f->policy) snprintf(s, room, "%s", bounds_note);
    else if (rules.n) snprintf(s, room, "The policy's bounds are for one look at %zu samples, a number fixed beforehand.",
                               rules.n);
    else snprintf(s, room, "The policy's bounds hold however often one looks: collect more samples and go on with --continue.");
    return s;
}

static void say_methods(FILE *out, const struct findings *f, size_t n)
{
    struct precinfer_contrast c, before;
    for (size_t i = 0; i < n; i++) {
        int said = 0;
        precinfer_report_contrast(f->report, i, &c);
        for (size_t k = 0; k < i && !said; k++) {
            precinfer_report_contrast(f->report, k, &before);
            said = c.method && before.method && !strcmp(c.method, before.method);
        }
        if (!said && c.method) fprintf(out, "method: %s\n", c.method);
    }
    for (size_t i = 0; i < n; i++) {
        precinfer_report_contrast(f->report, i, &c);
        char slice[200];
        if (c.clipped) fprintf(out, "clipped: '%s' on %s: %llu values lay beyond the declared bounds and count as the bound\n",
                               c.budget, slice_text(&c, slice, sizeof slice), (unsigned long long)c.clipped);
    }
}

void say_contrasts(FILE *out, const struct findings *f)
{
    const size_t n = precinfer_report_contrasts(f->report);
    char why[600], question[200];
    const char *name = f->policy ? precinfer_policy_name(f->policy) : NULL;
    if (!f->policy) return;
    if (f->r.repeated_samples)
        fprintf(out, "%zu of %zu samples are repeats of others, by their %s: the bounds take each for a sample of its own\n",
                f->r.repeated_samples, f->r.samples, f->plan ? "inputs" : "ids, or outputs and labels");
    if (f->r.ignored_samples) fprintf(out, "%zu samples beyond the policy's n were left out\n", f->r.ignored_samples);
    if (f->nlooks) fprintf(out, "with %zu earlier look%s: %zu samples\n", f->nlooks, f->nlooks > 1 ? "s" : "", samples_by_now(f));
    fputs("\npolicy ", out);
    print_clean(out, name && *name ? name : "(without a name)");
    fprintf(out, ", %s\n\n", hash_text(precinfer_policy_hash(f->policy), (char[17]){ 0 }));
    say_table(out, f, n);
    fputc('\n', out);
    say_methods(out, f, n);
    for (size_t i = 0; i < n; i++) {
        struct precinfer_contrast c;
        precinfer_report_contrast(f->report, i, &c);
        if (c.verdict != PRECINFER_UNDECIDED) continue;
        contrast_why(f, &c, why, sizeof why);
        print_clean(out, why);
        fputc('\n', out);
    }
    fprintf(out, "%s\n", question_text(f, question, sizeof question));
}

enum { SHOWN_FLIPS = 10 };

void say_flips(FILE *out, const struct findings *f)
{
    struct table t;
    char a[24];
    const size_t n = precinfer_report_flips(f->report), shown = n < SHOWN_FLIPS ? n : SHOWN_FLIPS;
    if (!n) return;
    fprintf(out, "\n%zu of %zu samples changed their top-1", f->r.samples - f->r.agreed, f->r.samples);
    if (f->r.labelled) fprintf(out, ": %zu lost, %zu gained", f->r.lost, f->r.gained);
    fprintf(out, "; the widest margins:\n");
    table_start(&t, ">sample|>label|>before|>after|>margin before|>after");
    for (size_t i = 0; i < shown; i++) {
        struct precinfer_flip x;
        precinfer_report_flip(f->report, i, &x);
        table_cell(&t, "%llu", (unsigned long long)x.index);
        if (x.label < 0) table_cell(&t, "-");
        else table_cell(&t, "%lld", (long long)x.label);
        table_cell(&t, "%s", class_text(x.before, a));
        table_cell(&t, "%s", class_text(x.after, a));
        cell_number(&t, x.margin_before);
        cell_number(&t, x.margin_after);
    }
    table_print(&t, out);
}

static const char *used_for(const struct precinfer_report_info *r)
{
    return !r->tuned_samples ? "calibration" : r->tuned_samples < r->overlap_samples ? "calibration or tuning" : "tuning";
}

void say_answers(FILE *out, const struct findings *f)
{
    const struct options *o = f->o;
    const struct precinfer_report_info *r = &f->r;
    const double n = r->samples ? (double)r->samples : 1;
    const char *one_look = f->policy ? ", for one look" : "";
    const size_t all = r->samples + (o->allow_overlap ? 0 : r->overlap_samples);
    fprintf(out, "%zu samples", r->samples);
    if (r->overlap_samples) fprintf(out, ": %zu of %zu samples were used for %s%s", r->overlap_samples, all,
                                    used_for(r), o->allow_overlap ? " (allowed)" : " and dropped");
    fputs(f->one_number ? "\n" : "\n\n", out);
    if (f->one_number) return;
    if (r->labelled) {
        fprintf(out, "accuracy     %s %.4f%%, candidate %.4f%% (lost %zu, gained %zu)\n", f->plan ? "f32" : "reference",
                100 * (double)r->right_reference / n,
                100 * (double)r->right_candidate / n, r->lost, r->gained);
        fprintf(out, "drop         %.4f points, within %.4f and %.4f (%s%s)", 100 * r->drop, 100 * r->drop_lower,
                100 * r->drop_upper, drop_method, one_look);
        if (r->drop_limit - r->drop_limit == 0) fprintf(out, "; limit %.4f: %s", 100 * r->drop_limit,
                                                        precinfer_verdict_string(r->drop_verdict));
        fputc('\n', out);
    }
    fprintf(out, "agreement    %.4f%% same top-1, at least %.4f%%, at most %.4f%% (%s%s)", 100 * (double)r->agreed / n,
            100 * r->agreement_lower,
            100 * r->agreement_upper, agreement_method, one_look);
    if (o->min_agreement >= 0) fprintf(out, "; limit %.4f%%: %s", 100 * o->min_agreement,
                                       precinfer_verdict_string(r->agreement_verdict));
    fputc('\n', out);
}

static void say_needed(FILE *out, const struct findings *f)
{
    if (f->verdict != PRECINFER_UNDECIDED) return;
    if (f->r.needed_samples > 0) fprintf(out, "about %lld samples would decide at the rates seen\n",
                                         (long long)f->r.needed_samples);
    else fputs("samples that would decide: none at this rate\n", out);
}

void say_verdict(FILE *out, const struct findings *f)
{
    const struct options *o = f->o;
    const int flags = o->min_agreement >= 0 || o->drop_points >= 0 || o->drop_relative >= 0;
    if (!f->policy) say_needed(out, f);
    fprintf(out, "verdict: %s", precinfer_verdict_string(f->verdict));
    if (flags) fprintf(out, " (method%s: Clopper-Pearson bounds)", f->policy ? " of --min-agreement and --max-drop" : "");
    if (f->r.overlap_samples && o->allow_overlap) fprintf(out, "; %zu of %zu samples were used for %s",
                                                          f->r.overlap_samples, f->r.samples, used_for(&f->r));
    fputc('\n', out);
    if (!f->policy || flags) fprintf(out, "%s%s\n", f->policy ? "--min-agreement and --max-drop: " : "", bounds_note);
}
