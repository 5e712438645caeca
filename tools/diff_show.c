/* The diff as text and JSON. */
#include <math.h>
#include <string.h>
#include "diff.h"

static const char *db(double x, char s[16])
{
    if (x != x) return "-";
    if (x - x != 0) return x > 0 ? "exact" : "none";
    snprintf(s, 16, "%.1f", x);
    return s;
}

static const char *small(double x, char s[16])
{
    if (x != x) return "-";
    snprintf(s, 16, "%.3g", x);
    return s;
}

static const char *percent(double x, char s[16])
{
    if (x != x) return "-";
    snprintf(s, 16, x > 0 && x < 0.0005 ? "<0.05%%" : "%.1f%%", 100 * x);
    return s;
}

static const char *side_name(const struct diff_side *s)
{
    return s->m.plan ? plan_precision(s->m.plan) : s->m.graph ? "f32" : "recorded";
}

static void name_layer(FILE *out, const struct precinfer_layer_diff *l)
{
    const char *name = *l->layer ? l->layer : l->tensor;
    fprintf(out, "%s%s%s%s", name, *l->op ? " (" : "", l->op, *l->op ? ")" : "");
    if (strcmp(name, l->tensor)) fprintf(out, ", tensor %s", l->tensor);
}

static void say_table(const struct found *f, FILE *out)
{
    struct table t;
    char s[10][16];
    table_start(&t, "layer|op|precision|>SQNR dB|>own|>inherited|>excess|>cosine|>max|>mean|>steps|>at 0|>at 255|>JS|bytes");
    for (size_t k = 0; k < f->info.layers; k++) {
        struct precinfer_layer_diff l;
        precinfer_diff_layer(f->diff, precinfer_diff_rank(f->diff, k), &l);
        table_cell(&t, "%s", *l.layer ? l.layer : l.tensor);
        table_cell(&t, "%s", l.op);
        table_cell(&t, "%s", *l.layer ? precinfer_precision_string(l.precision) : "");
        table_cell(&t, "%s", l.elements ? db(l.sqnr_db, s[0]) : "-");
        table_cell(&t, "%s", db(l.own_sqnr_db, s[0]));
        table_cell(&t, "%s", db(l.inherited_sqnr_db, s[0]));
        table_cell(&t, "%s", db(l.excess_db, s[0]));
        if (l.cosine == l.cosine) table_cell(&t, "%.5f", l.cosine); else table_cell(&t, "-");
        table_cell(&t, "%s", small(l.max_abs, s[0]));
        table_cell(&t, "%s", small(l.mean_abs, s[0]));
        table_cell(&t, "%s", small(l.mean_steps, s[0]));
        table_cell(&t, "%s", percent(l.saturated_low, s[0]));
        table_cell(&t, "%s", percent(l.saturated_high, s[0]));
        table_cell(&t, "%s", small(l.js_distance, s[0]));
        table_cell(&t, "%s", l.bytes > 0 ? "same" : l.bytes == 0 ? "differ" : "-");
    }
    table_print(&t, out);
}

/* What f16 could not hold, and what is not finite: only where there is any. */
static void say_odd(const struct found *f, FILE *out)
{
    for (size_t i = 0; i < f->info.layers; i++) {
        struct precinfer_layer_diff l;
        char s[3][16];
        precinfer_diff_layer(f->diff, i, &l);
        const char *name = *l.layer ? l.layer : l.tensor;
        if (l.overflow_f16 > 0 || l.below_f16 > 0)
            fprintf(out, "f16: %s: %s beyond 65504, %s below 2^-14 (subnormal), %s below 2^-24 (zero)\n", name,
                    percent(l.overflow_f16, s[0]), percent(l.below_normal_f16, s[1]), percent(l.below_f16, s[2]));
        if (l.nan_reference + l.inf_reference + l.nan_candidate + l.inf_candidate)
            fprintf(out, "not finite: %s: reference %llu NaN, %llu infinite; candidate %llu NaN, %llu infinite\n", name,
                    (unsigned long long)l.nan_reference, (unsigned long long)l.inf_reference, (unsigned long long)l.nan_candidate,
                    (unsigned long long)l.inf_candidate);
        if (*l.group) fprintf(out, "own error of %s: fused otherwise in the reference, so it is charged to %s together\n", name,
                              l.group);
    }
}

static void say_bytes(const struct found *f, FILE *out)
{
    struct precinfer_layer_diff l;
    if (2 * f->info.with_bytes <= f->info.compared) return;         /* one of them lowered: of course they differ */
    if (!f->info.ordered) {
        fputs("the order of execution is unknown: which tensor differs first cannot be told\n", out);
        return;
    }
    if (f->info.first_different < 0) {
        fprintf(out, "stored bytes are equal in all %zu layers that both store in one form\n", f->info.with_bytes);
        return;
    }
    precinfer_diff_layer(f->diff, (size_t)f->info.first_different, &l);
    fputs("the first layer whose stored bytes differ: ", out);
    name_layer(out, &l);
    fprintf(out, " (%llu of %llu elements)\n", (unsigned long long)l.bytes_differ, (unsigned long long)l.elements);
}

static void say_culprit(const struct found *f, FILE *out)
{
    struct precinfer_layer_diff l;
    enum { NOTABLE = 3 };
    if (!f->info.has_excess) return;
    if (f->calibrated) fprintf(out, "excess: against ranges calibrated on the first %zu samples of this data\n", f->calibrated);
    else fprintf(out, "excess: against ranges of %s\n", f->stats);
    precinfer_diff_layer(f->diff, precinfer_diff_rank(f->diff, 0), &l);
    if (!(l.excess_db >= NOTABLE)) { fprintf(out, "no layer falls short of its ideal by %d dB or more\n", NOTABLE); return; }
    fputs("to blame first: ", out);
    name_layer(out, &l);
    fprintf(out, ", %.1f dB worse than it would be with these ranges\n", l.excess_db);
}

void say_diff(const struct options *o, const struct found *f, FILE *out)
{
    char a[17];
    (void)o;
    fprintf(out, "%s (%s) against %s (%s): %zu samples", f->a.path, side_name(&f->a), f->b.path, side_name(&f->b),
            f->info.samples);
    if (f->info.data_hash) fprintf(out, ", data %s", hash_text(f->info.data_hash, a));
    fprintf(out, "\n%zu of %zu tensors are on both sides\n\n", f->info.compared, f->info.layers);
    say_table(f, out);
    fputc('\n', out);
    say_odd(f, out);
    say_bytes(f, out);
    say_culprit(f, out);
    if (!f->limited) return;
    fprintf(out, "verdict: %s%s%s\n", precinfer_verdict_string(f->verdict.verdict), f->why[0] ? ": " : "", f->why);
}

void say_minimal(const struct options *o, const struct found *f, FILE *out)
{
    if (!f->minimal) return;
    if (!f->set.met) {
        fprintf(out, "no set of layers helps: with all %zu in f32 the limits are not met on this data\n", f->set.lowered);
        return;
    }
    if (!f->set.layers) { fputs("minimal set: empty, the plan meets the limits as it is\n", out); return; }
    fprintf(out, "minimal set after %zu evaluations: %zu of %zu layers return to f32%s\n", f->set.evaluations, f->set.layers,
            f->set.lowered, f->set.minimal ? "; taking any one out of the set fails the limits"
                                           : " (cancelled: perhaps fewer would do)");
    for (size_t i = 0; i < f->set.layers; i++) fprintf(out, "  %s\n", precinfer_minimal_layer(f->minimal, i));
    fputs("  (in f32 they read their inputs as they are: what only they read in 8 bits is no longer quantized)\n", out);
    if (o->recipe_out) fprintf(out, "%s holds the recipe, for convert --recipe\n", o->recipe_out);
    fprintf(out, "the %zu samples of this data chose the set: verify on others\n", f->set.samples);
}

/* ------------------------------------------------------------------------------------------------ JSON */

/* Absent where it was not measured, null where there is no error (dB). */
static void number(struct json *j, const char *key, double x) { if (x == x) json_number(j, key, x); }

static void json_names(struct json *j, const char *key, const char *list)
{
    json_open(j, key, '[');
    while (*list) {
        const size_t n = strcspn(list, ",");
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)(n < 255 ? n : 255), list);
        json_string(j, NULL, name);
        list += n + (list[n] == ',');
    }
    json_close(j, ']');
}

static void json_figures(struct json *j, const struct precinfer_layer_diff *l)
{
    number(j, "sqnr_db", l->sqnr_db);
    number(j, "own_sqnr_db", l->own_sqnr_db);
    number(j, "inherited_sqnr_db", l->inherited_sqnr_db);
    number(j, "ideal_sqnr_db", l->twin_sqnr_db);
    number(j, "excess_db", l->excess_db);
    number(j, "cosine", l->cosine);
    number(j, "max_error", l->max_abs);
    number(j, "mean_error", l->mean_abs);
    number(j, "max_relative_error", l->max_relative);
    number(j, "own_max_error", l->own_max_abs);
    if (l->step == l->step) {
        number(j, "step", l->step);
        number(j, "max_error_steps", l->max_steps);
        number(j, "mean_error_steps", l->mean_steps);
        number(j, "saturated_low", l->saturated_low);
        number(j, "saturated_high", l->saturated_high);
    }
    number(j, "f16_overflow", l->overflow_f16);
    number(j, "f16_subnormal", l->below_normal_f16);
    number(j, "f16_zero", l->below_f16);
    number(j, "js_distance", l->js_distance);
    json_size(j, "nan_reference", l->nan_reference);
    json_size(j, "inf_reference", l->inf_reference);
    json_size(j, "nan_candidate", l->nan_candidate);
    json_size(j, "inf_candidate", l->inf_candidate);
    if (l->bytes >= 0) {
        json_true(j, "same_bytes", l->bytes);
        json_size(j, "elements_that_differ", l->bytes_differ);
    }
}

static void json_layer(struct json *j, const struct precinfer_layer_diff *l)
{
    json_open(j, NULL, '{');
    json_string(j, "name", *l->layer ? l->layer : l->tensor);
    json_string(j, "tensor", l->tensor);
    if (*l->op) json_string(j, "op", l->op);
    if (*l->fused) json_names(j, "fused", l->fused);
    if (*l->group) json_string(j, "charged_with", l->group);
    if (*l->layer) json_string(j, "precision", precinfer_precision_string(l->precision));
    json_size(j, "elements", l->elements);
    if (l->elements) json_figures(j, l);
    json_close(j, '}');
}

int json_diff(const struct options *o, const struct found *f, precinfer_context *ctx)
{
    struct json j;
    struct precinfer_layer_diff l;
    if (!o->json) return 0;
    json_begin(&j, o);
    json_string(&j, "candidate", f->a.path);
    json_string(&j, "reference", f->b.path);
    if (f->info.data_hash) json_hash(&j, "data_hash", f->info.data_hash);
    json_size(&j, "samples", f->info.samples);
    if (f->info.first_different >= 0 && 2 * f->info.with_bytes > f->info.compared &&
        !precinfer_diff_layer(f->diff, (size_t)f->info.first_different, &l))
        json_string(&j, "first_different", *l.layer ? l.layer : l.tensor);
    if (f->info.has_excess && f->calibrated) json_size(&j, "ranges_from_samples", f->calibrated);
    json_open(&j, "layers", '[');               /* in order of execution; "worst" ranks them */
    for (size_t i = 0; i < f->info.layers; i++)
        if (!precinfer_diff_layer(f->diff, i, &l)) json_layer(&j, &l);
    json_close(&j, ']');
    json_open(&j, "worst", '[');
    for (size_t i = 0; i < f->info.layers; i++) json_size(&j, NULL, precinfer_diff_rank(f->diff, i));
    json_close(&j, ']');
    if (f->minimal) {
        json_open(&j, "minimal_set", '{');
        json_true(&j, "met", f->set.met);
        json_true(&j, "minimal", f->set.minimal);
        json_size(&j, "evaluations", f->set.evaluations);
        json_size(&j, "samples", f->set.samples);
        json_open(&j, "layers", '[');
        for (size_t i = 0; f->set.met && i < f->set.layers; i++) json_string(&j, NULL, precinfer_minimal_layer(f->minimal, i));
        json_close(&j, ']');
        json_close(&j, '}');
    }
    if (f->limited) json_string(&j, "verdict", precinfer_verdict_string(f->verdict.verdict));
    return json_write(&j, ctx, o);
}
