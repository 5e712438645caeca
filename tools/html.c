/* --html: the report as one page that needs neither network nor script. Every name in it is escaped; colours follow the
 * reader's light or dark, and never carry a meaning alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

enum { OPEN_LAYERS = 40, OPEN_ROWS = 30, MOST_ROWS = 1000, BINS = 48 };

static const char style[] =
    ":root{--bg:#fbfbfa;--card:#fff;--ink:#1c1e21;--soft:#5f6670;--line:#dcdfe3;--pass:#12753b;--fail:#b3261e;--open:#8a5a00;"
    "--bar:#2f62c4;--within:#12753b1f;--shade:#eef0f3}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#14161a;--card:#1c1f25;--ink:#e8eaed;--soft:#a2aab4;--line:#333841;"
    "--pass:#5fd08d;--fail:#ff8a80;--open:#f0bd5a;--bar:#85aef5;--within:#5fd08d26;--shade:#262a32}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"
    "\"Segoe UI\",Roboto,\"Noto Sans\",sans-serif}\n"
    "main{max-width:1080px;margin:0 auto;padding:24px 16px 64px}h1{font-size:20px;line-height:1.3;margin:0 0 12px;"
    "overflow-wrap:anywhere}h2{font-size:16px;margin:36px 0 10px}p{margin:6px"
    " 0}.scroll+p{margin-top:14px}.soft,small{color:var(--soft)}\n"
    ".verdict{border:1px solid var(--line);border-left:6px solid var(--c);background:var(--card);border-radius:8px;"
    "padding:14px 16px;overflow-wrap:anywhere}.verdict b{color:var(--c);font-size:19px}\n"
    ".pass{--c:var(--pass)}.fail{--c:var(--fail)}.open{--c:var(--open)}.none{--c:var(--soft)}.mark{color:var(--c);"
    "font-weight:600;line-height:1.3}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(136px,1fr));gap:10px;margin:14px 0}.tile{background:"
    "var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px}.tile b{display:block;font-size:16px;"
    "font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:13px}\n"
    ".row{display:grid;grid-template-columns:minmax(0,1.3fr) minmax(0,1.3fr) minmax(0,1.8fr) 112px;gap:4px 16px;"
    "align-items:center;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px;margin:8px 0;"
    "font-variant-numeric:tabular-nums;overflow-wrap:anywhere}.row svg{width:100%;height:30px;display:block}\n"
    ".row small{display:block;line-height:1.4}.full{grid-column:1/-1}\n"
    ".scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}table{border-collapse:"
    "collapse;width:100%;font-variant-numeric:tabular-nums}th,td{padding:5px 12px;text-align:right;white-space:nowrap}"
    "th{font-weight:600;color:var(--soft);font-size:13px}tr+tr td{border-top:1px solid var(--line)}.l{text-align:left}"
    "td.w{width:40%;min-width:110px}\n"
    ".meter{display:block;height:10px;border-radius:5px;background:var(--bar);min-width:2px}.name{max-width:260px;overflow:"
    "hidden;text-overflow:ellipsis}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(128px,1fr));gap:10px}.card{background:var(--card);"
    "border:1px solid var(--line);border-top:4px solid var(--c);border-radius:8px;padding:10px;font-size:13px;"
    "overflow-wrap:anywhere}.card img{width:100%;aspect-ratio:1;object-fit:contain;background:var(--shade);border-radius:4px;"
    "display:block;margin-bottom:6px}.px{image-rendering:pixelated}.card b{font-size:16px}\n"
    ".hist{width:100%;height:120px;display:block;background:var(--card);border:1px solid var(--line);border-radius:8px}"
    ".ends{display:flex;justify-content:space-between;font-size:13px;color:var(--soft)}\n"
    "details{margin-top:8px}summary{cursor:pointer;color:var(--soft)}code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,"
    "Consolas,monospace;overflow-wrap:anywhere}\n"
    "@media(max-width:720px){.row{grid-template-columns:minmax(0,1fr) minmax(0,112px)}"
    ".mark{text-align:right}.row>:nth-child(2){grid-column:1/-1;order:3}.row>:nth-child(3)"
    "{grid-column:1/-1;order:4}.row>.full{order:5}.name{max-width:150px}th,td{padding:5px 8px}}\n"
    "@media print{.row,.card,.tile{break-inside:avoid}}\n";

static const char *class_of(enum precinfer_verdict v)
{
    return v == PRECINFER_PASS ? "pass" : v == PRECINFER_FAIL ? "fail" : v == PRECINFER_UNDECIDED ? "open" : "none";
}
static const char *sign_of(enum precinfer_verdict v)
{
    return v == PRECINFER_PASS ? "&#10003;" : v == PRECINFER_FAIL ? "&#10007;" : v == PRECINFER_UNDECIDED ? "?" : "&#8211;";
}

static const char *figure(double x, char s[32])
{
    if (isnan(x)) snprintf(s, 32, "&#8211;");
    else if (isinf(x)) snprintf(s, 32, "%s&#8734;", x < 0 ? "&minus;" : "");
    else snprintf(s, 32, "%s%.4g", x < 0 ? "&minus;" : "", fabs(x));
    return s;
}

static void tag(struct text *t, const char *open, const char *words, const char *close)
{
    text_add(t, open);
    text_escape(t, words);
    text_add(t, close);
}

/* ------------------------------------------------------------------------------------------------ head */

static void tile(struct text *t, const char *value, const char *what)
{
    text_print(t, "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n", value, what);
}

static void tiles(struct text *t, const struct findings *f)
{
    const struct precinfer_report_info *r = &f->r;
    const double n = r->samples ? (double)r->samples : 1;
    char s[200], a[32], b[32];
    text_add(t, "<div class=\"tiles\">\n");
    snprintf(s, sizeof s, "%zu", r->samples);
    if (f->nlooks) snprintf(a, sizeof a, "new samples, %zu in all", samples_by_now(f));
    tile(t, s, f->nlooks ? a : "samples");
    if (!f->one_number) {
        snprintf(s, sizeof s, "%.3f%%", 100 * (double)r->agreed / n);
        tile(t, s, "same top-1");
    }
    if (r->labelled && !f->one_number) {
        snprintf(s, sizeof s, "%.2f%% &#8594; %.2f%%", 100 * (double)r->right_reference / n,
                 100 * (double)r->right_candidate / n);
        tile(t, s, "accuracy, reference &#8594; candidate");
        snprintf(s, sizeof s, "&minus;%zu +%zu", r->lost, r->gained);
        tile(t, s, "samples lost and gained");
    }
    if (f->plan && f->time[1].median > 0) {
        snprintf(s, sizeof s, "%.2f&times;", f->time[0].median / f->time[1].median);
        tile(t, s, "as fast as f32");
        snprintf(s, sizeof s, "%s &#8594; %s", time_text(f->time[0].median, a), time_text(f->time[1].median, b));
        tile(t, s, "median latency");
        snprintf(s, sizeof s, "%s &#8594; %s", bytes_text((double)f->weights[0], a), bytes_text((double)f->weights[1], b));
        tile(t, s, "weights");
    }
    text_add(t, "</div>\n");
}

static void head(struct text *t, const struct findings *f)
{
    char why[700], title[600];
    snprintf(title, sizeof title, "%s against %s", f->candidate, f->reference);
    text_add(t, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src"
             " 'unsafe-inline'\">\n");
    tag(t, "<title>", precinfer_verdict_string(f->verdict), ": ");
    tag(t, "", title, "</title>\n<style>\n");
    text_add(t, style);
    tag(t, "</style></head><body><main>\n<h1>", title, "</h1>\n");
    explain_verdict(f, why, sizeof why);
    text_print(t, "<div class=\"verdict %s\"><b>%s ", class_of(f->verdict), sign_of(f->verdict));
    tag(t, "", precinfer_verdict_string(f->verdict), "</b>");
    if (strcmp(why, precinfer_verdict_string(f->verdict))) tag(t, "<p>", why, "</p>");
    if (f->r.overlap_samples) text_print(t, "<p class=\"soft\">%zu samples were seen before the gate (%s).</p>",
                                         f->r.overlap_samples,
                                         f->o->allow_overlap ? "counted, as allowed" : "dropped");
    text_add(t, "</div>\n");
    tiles(t, f);
}

/* ------------------------------------------------------------------------------------------------ budgets */

struct span { double lo, hi; };

static void widen(struct span *s, double x)
{
    if (x - x != 0) return;
    if (x < s->lo) s->lo = x;
    if (x > s->hi) s->hi = x;
}

/* All slices of a budget share one axis. */
static struct span span_of(const struct findings *f, const char *budget)
{
    struct span s = { INFINITY, -INFINITY };
    struct precinfer_contrast c;
    for (size_t i = 0; i < contrast_count(f); i++) {
        contrast_at(f, i, &c);
        if (strcmp(c.budget, budget)) continue;
        widen(&s, c.lower);
        widen(&s, c.upper);
        widen(&s, c.estimate);
        widen(&s, c.limit);
    }
    if (!(s.hi >= s.lo)) return (struct span){ 0, 1 };
    const double pad = s.hi > s.lo ? 0.04 * (s.hi - s.lo) : 0.5;
    return (struct span){ s.lo - pad, s.hi + pad };
}

static double place(const struct span *s, double x)
{
    const double at = 300 * (x - s->lo) / (s->hi - s->lo);
    return at < 0 || at != at ? 0 : at > 300 ? 300 : at;
}

static void bar(struct text *t, const struct precinfer_contrast *c, struct span s)
{
    const double a = place(&s, isnan(c->lower) ? s.lo : c->lower), b = place(&s, isnan(c->upper) ? s.hi : c->upper);
    const double limit = place(&s, c->limit);
    text_print(t, "<svg viewBox=\"0 0 300 30\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"estimate %.4g, within"
                  " %.4g and"
               " %.4g, limit %.4g\">", c->estimate, c->lower, c->upper, c->limit);
    if (!isnan(c->limit)) text_print(t, "<rect x=\"%.2f\" y=\"2\" width=\"%.2f\" height=\"26\" fill=\"var(--within)\"/>",
                                     c->at_least ? limit : 0, c->at_least ? 300 - limit : limit);
    if (!isnan(c->lower) || !isnan(c->upper))
        text_print(t, "<rect x=\"%.2f\" y=\"12\" width=\"%.2f\" height=\"6\" rx=\"2\" fill=\"var(--bar)\" opacity=\".55\"/>", a,
                   b - a > 1 ? b - a : 1);
    if (!isnan(c->limit)) text_print(t, "<path d=\"M%.2f 2V28\" stroke=\"var(--ink)\" stroke-width=\"2\" stroke-dasharray=\"4 3\""
                                     " vector-effect=\"non-scaling-stroke\"/>", limit);
    if (!isnan(c->estimate)) text_print(t, "<path d=\"M%.2f 7V23\" stroke=\"var(--bar)\" stroke-width=\"4\""
                                        " vector-effect=\"non-scaling-stroke\"/>", place(&s, c->estimate));
    text_add(t, "</svg>");
}

static void contrast(struct text *t, const struct findings *f, const struct precinfer_contrast *c, struct span s)
{
    char a[32], b[32], e[32], slice[300], needed[120];
    text_print(t, "<div class=\"row %s\"><div>", class_of(c->verdict));
    tag(t, "", c->budget, "");
    tag(t, "<small>", slice_text(c, slice, sizeof slice), "</small></div><div>");
    bar(t, c, s);
    text_add(t, "</div><div>");
    text_print(t, "%s <span class=\"soft\">within %s and %s", figure(c->estimate, e), figure(c->lower, a), figure(c->upper, b));
    text_print(t, "; %s %s</span>", c->at_least ? "at least" : "at most", figure(c->limit, a));
    tag(t, "<small>", c->quantity ? c->quantity : "", "");
    text_print(t, ", %llu %s", (unsigned long long)c->units, c->metric == PRECINFER_LATENCY ? "runs" : c->units == c->samples
               ? "samples" : "units");
    if (!isnan(c->reference) && !isnan(c->candidate))
        text_print(t, "; %s &#8594; %s", figure(c->reference, a), figure(c->candidate, b));
    text_print(t, "</small></div><div class=\"mark\">%s ", sign_of(c->verdict));
    tag(t, "", verdict_text(c), "</div>");
    if (c->verdict == PRECINFER_UNDECIDED) {
        needed_text(f, c, needed, sizeof needed);
        tag(t, "<small class=\"full\">", needed, "</small>");
    }
    if (c->blamed) text_add(t, "<small class=\"full\">named as failing by Holm&#39;s procedure over the slices</small>");
    if (c->clipped) text_print(t, "<small class=\"full\">%llu values lay beyond the declared bounds and count as the"
                                  " bound</small>",
                               (unsigned long long)c->clipped);
    text_add(t, "</div>\n");
}

static void methods(struct text *t, const struct findings *f)
{
    struct precinfer_contrast c, before;
    char question[200];
    text_add(t, "<p class=\"soft\">Thick line: bounds. Short line: estimate. Dashed: limit. Shaded: within the budget. ");
    tag(t, "", question_text(f, question, sizeof question), "");
    for (size_t i = 0; i < contrast_count(f); i++) {
        int said = 0;
        contrast_at(f, i, &c);
        for (size_t k = 0; k < i && !said; k++) {
            contrast_at(f, k, &before);
            said = c.method && before.method && !strcmp(c.method, before.method);
        }
        if (said || !c.method) continue;
        tag(t, " Method: ", c.method, c.exact ? "." : " (approximate).");
    }
    if (f->policy && (f->o->min_agreement >= 0 || f->r.drop_limit - f->r.drop_limit == 0)) tag(t, " Flags: ", bounds_note, "");
    text_add(t, "</p>\n");
}

/* Slices that passed are many where there are many classes: those that stand in the way come first, the rest folds. */
static int is_quiet(const struct precinfer_contrast *c) { return c->verdict == PRECINFER_PASS
        || c->verdict == PRECINFER_NO_LIMIT; }

static size_t rows(struct text *t, const struct findings *f, int quiet, size_t skip, size_t most)
{
    struct precinfer_contrast c;
    struct span s = { 0, 1 };
    const char *budget = "";
    size_t n = 0;
    for (size_t i = 0; i < contrast_count(f); i++) {
        contrast_at(f, i, &c);
        if (is_quiet(&c) != quiet) continue;
        if (n++ < skip || n > skip + most) continue;
        if (strcmp(budget, c.budget)) s = span_of(f, budget = c.budget);
        contrast(t, f, &c, s);
    }
    return n;
}

static void budgets(struct text *t, const struct findings *f)
{
    if (!contrast_count(f)) return;
    text_add(t, "<h2>Budgets</h2>\n");
    const size_t loud = rows(t, f, 0, 0, MOST_ROWS), quiet = rows(t, f, 1, 0, OPEN_ROWS);
    if (loud > MOST_ROWS) text_print(t, "<p class=\"soft\">and %zu more that did not pass</p>\n", loud - MOST_ROWS);
    if (quiet > OPEN_ROWS) {
        text_print(t, "<details><summary>%zu more that passed or were too few to judge</summary>\n", quiet - OPEN_ROWS);
        rows(t, f, 1, OPEN_ROWS, MOST_ROWS);
        text_add(t, "</details>\n");
    }
    methods(t, f);
}

/* ------------------------------------------------------------------------------------------------ layers */

static void layer_row(struct text *t, const struct findings *f, size_t i, double top)
{
    struct precinfer_layer l;
    struct precinfer_layer_error x;
    char ns[32];
    precinfer_plan_layer(f->plan, i, &l);
    precinfer_report_layer(f->report, i, &x);
    tag(t, "<tr><td class=\"l name\" title=\"", l.name, "\">");
    tag(t, "", l.name, "</td>");
    tag(t, "<td class=\"l\">", l.op, "</td><td class=\"l\">");
    tag(t, "", precinfer_precision_string(l.precision), "</td><td class=\"w\">");
    if (!x.compared) text_add(t, "</td><td>&#8211;</td><td>&#8211;</td>");
    else if (x.exact) text_add(t, "<span class=\"meter\" style=\"width:100%\"></span></td><td>exact</td><td>0</td>");
    else {
        const double wide = 100 * x.sqnr_db / top;
        text_print(t, "<span class=\"meter\" style=\"width:%.1f%%\"></span></td><td>%.1f dB</td><td>%.3g</td>",
                   wide > 0 ? wide < 100 ? wide : 100 : 0, x.sqnr_db, x.max_abs);
    }
    text_print(t, "<td>%s</td></tr>\n", f->layer_ns ? time_text(f->layer_ns[i], ns) : "");
}

static void layer_table(struct text *t, const struct findings *f, size_t from, size_t to, double top)
{
    text_add(t, "<div class=\"scroll\"><table><tr><th class=\"l\">layer</th><th class=\"l\">op</th><th class=\"l\">precision</th>"
             "<th class=\"l\">signal to error</th><th>SQNR</th><th>largest error</th><th>median</th></tr>\n");
    for (size_t k = from; k < to; k++) layer_row(t, f, f->order[k], top);
    text_add(t, "</table></div>\n");
}

static void layers(struct text *t, const struct findings *f)
{
    double top = 20;
    const size_t n = f->plan && f->order ? f->p.layers : 0, open = n < OPEN_LAYERS ? n : OPEN_LAYERS;
    for (size_t i = 0; i < n; i++) {
        struct precinfer_layer_error x;
        precinfer_report_layer(f->report, i, &x);
        if (x.compared && !x.exact && x.sqnr_db > top) top = x.sqnr_db;
    }
    if (!n) return;
    text_add(t, "<h2>Layers, the least exact first</h2>\n<p class=\"soft\">Error of each layer&#39;s output against f32 on the"
                " same inputs,"
             " with what it inherits from the layers before it.</p>\n");
    layer_table(t, f, 0, open, top);
    if (open == n) return;
    text_print(t, "<details><summary>%zu more</summary>\n", n - open);
    layer_table(t, f, open, n, top);
    text_add(t, "</details>\n");
}

/* ------------------------------------------------------------------------------------------------ changes */

static void confusions(struct text *t, const struct findings *f)
{
    const size_t n = precinfer_report_confusions(f->report), open = n < OPEN_ROWS ? n : OPEN_ROWS;
    struct precinfer_confusion x, first;
    char a[24], b[24];
    if (!n) return;
    precinfer_report_confusion(f->report, 0, &first);
    text_add(t, "<h2>What became what</h2>\n<div class=\"scroll\"><table><tr><th>before</th><th>after</th><th class=\"l\"></th>"
             "<th>samples</th><th>lost</th><th>gained</th></tr>\n");
    for (size_t i = 0; i < open; i++) {
        precinfer_report_confusion(f->report, i, &x);
        text_print(t, "<tr><td>%s</td><td>%s</td><td class=\"w\"><span class=\"meter\""
                      " style=\"width:%.1f%%\"></span></td><td>%llu</td>",
                   class_text(x.before, a), class_text(x.after, b), 100 * (double)x.count / (double)first.count,
                       (unsigned long long)x.count);
        text_print(t, "<td>%llu</td><td>%llu</td></tr>\n", (unsigned long long)x.lost, (unsigned long long)x.gained);
    }
    text_add(t, "</table></div>\n");
    if (open < n) text_print(t, "<p class=\"soft\">and %zu more pairs</p>\n", n - open);
}

static void flip_card(struct text *t, const struct picture *p, const struct precinfer_flip *x)
{
    char a[32], b[32];
    const int lost = x->label >= 0 && x->label == x->before, gained = x->label >= 0 && x->label == x->after;
    text_print(t, "<div class=\"card %s\">", lost ? "fail" : gained ? "pass" : "none");
    if (p->pixels) {
        text_print(t, "<img%s alt=\"input of sample %llu\" src=\"", p->w < 100 ? " class=\"px\"" : "",
                   (unsigned long long)x->index);
        text_picture(t, p);
        text_add(t, "\">");
    }
    text_print(t, "<b>%s &#8594; %s</b><br>", class_text(x->before, a), class_text(x->after, b));
    if (x->label >= 0) text_print(t, "label %lld, %s<br>", (long long)x->label, lost ? "lost" : gained ? "gained"
                                  : "wrong in both");
    text_print(t, "<span class=\"soft\">sample %llu<br>margin %s, then %s</span></div>\n", (unsigned long long)x->index,
               figure(x->margin_before, a), figure(x->margin_after, b));
}

static void flip_table(struct text *t, const struct findings *f, size_t from, size_t to)
{
    char a[32], b[24], c[24];
    text_add(t, "<div class=\"scroll\"><table><tr><th>sample</th><th>label</th><th>before</th><th>after</th><th>margin"
                " before</th>"
             "<th>margin after</th></tr>\n");
    for (size_t i = from; i < to; i++) {
        struct precinfer_flip x;
        precinfer_report_flip(f->report, i, &x);
        text_print(t, "<tr><td>%llu</td>", (unsigned long long)x.index);
        if (x.label >= 0) text_print(t, "<td>%lld</td>", (long long)x.label);
        else text_add(t, "<td>&#8211;</td>");
        text_print(t, "<td>%s</td><td>%s</td><td>%s</td>", class_text(x.before, b), class_text(x.after, c),
                   figure(x.margin_before, a));
        text_print(t, "<td>%s</td></tr>\n", figure(x.margin_after, a));
    }
    text_add(t, "</table></div>\n");
}

static void flips(struct text *t, const struct findings *f)
{
    const size_t n = precinfer_report_flips(f->report);
    size_t drawn = 0;
    struct precinfer_flip x;
    if (!n) return;
    while (drawn < f->npictures && drawn < n && f->pictures[drawn].pixels) drawn++;
    text_print(t, "<h2>Samples whose top-1 changed</h2>\n<p class=\"soft\">%zu of %zu, the widest margins first%s.</p>\n",
               f->r.samples - f->r.agreed, f->r.samples, n < f->r.samples - f->r.agreed ? "; the rest is left out" : "");
    if (drawn) text_add(t, "<div class=\"cards\">\n");
    for (size_t i = 0; i < drawn; i++) {
        precinfer_report_flip(f->report, i, &x);
        flip_card(t, &f->pictures[i], &x);
    }
    if (drawn) text_add(t, "</div>\n");
    if (drawn == n) return;
    const size_t open = drawn ? drawn : n < OPEN_ROWS ? n : OPEN_ROWS;
    if (!drawn) flip_table(t, f, 0, open);
    if (open == n) return;
    text_print(t, "<details><summary>%zu more</summary>\n", n - open);
    flip_table(t, f, open, n);
    text_add(t, "</details>\n");
}

/* ------------------------------------------------------------------------------------------------ histograms */

static void values(struct text *t, const struct precinfer_evidence *e, double most)
{
    char a[32];
    text_add(t, "<div class=\"scroll\"><table><tr><th>d</th><th class=\"l\"></th><th>units</th></tr>\n");
    for (size_t i = 0; i < e->natoms; i++) {
        text_print(t, "<tr><td>%s</td><td class=\"w\"><span class=\"meter\""
                      " style=\"width:%.2f%%\"></span></td><td>%llu</td></tr>\n",
                   figure(e->atoms[i].low, a), 100 * (double)e->atoms[i].count / most, (unsigned long long)e->atoms[i].count);
    }
    text_add(t, "</table></div>\n");
}

static void bins(struct text *t, const struct precinfer_evidence *e)
{
    double count[BINS] = { 0 }, most = 1;
    char a[32];
    const double lo = e->atoms[0].low, hi = e->atoms[e->natoms - 1].high, wide = hi > lo ? hi - lo : 1;
    for (size_t i = 0; i < e->natoms; i++) {
        const double at = BINS * ((e->atoms[i].low + e->atoms[i].high) / 2 - lo) / wide;
        count[at < 0 ? 0 : at >= BINS ? BINS - 1 : (int)at] += (double)e->atoms[i].count;
    }
    for (int i = 0; i < BINS; i++) if (count[i] > most) most = count[i];
    text_print(t, "<svg class=\"hist\" viewBox=\"0 0 %d 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"histogram"
                  " of d\">",
               BINS * 10);
    for (int i = 0; i < BINS; i++)
        if (count[i] > 0) {
            const double tall = 4 + 90 * count[i] / most;
            text_print(t, "<rect x=\"%d\" y=\"%.2f\" width=\"9\" height=\"%.2f\" fill=\"var(--bar)\"/>", 10 * i, 100 - tall,
                       tall);
        }
    if (lo < 0 && hi > 0) text_print(t, "<path d=\"M%.2f 0V100\" stroke=\"var(--ink)\" stroke-width=\"2\" stroke-dasharray=\"4"
                                        " 3\""
                                     " vector-effect=\"non-scaling-stroke\"/>", 10 * BINS * (0 - lo) / wide);
    text_print(t, "</svg><div class=\"ends\"><span>%s</span>", figure(lo, a));
    text_print(t, "<span>dashed: 0</span><span>%s</span></div>\n", figure(hi, a));
}

static void histograms(struct text *t, const struct findings *f)
{
    int any = 0;
    for (size_t i = 0; i < precinfer_report_contrasts(f->report); i++) {
        struct precinfer_contrast c;
        struct precinfer_evidence e;
        char slice[300];
        double most = 1;
        precinfer_report_contrast(f->report, i, &c);
        if (c.by || precinfer_report_evidence(f->report, i, &e) || !e.natoms) continue;
        if (!any++) text_add(t, "<h2>Where the figures come from</h2>\n<p class=\"soft\">d of each unit: how far it is over"
                                " its budget"
                             " (above 0) or under it (below). A budget holds when the mean of d is at most 0.</p>\n");
        tag(t, "<p>", c.budget, ", ");
        tag(t, "", slice_text(&c, slice, sizeof slice), "</p>\n");
        for (size_t k = 0; k < e.natoms; k++) if ((double)e.atoms[k].count > most) most = (double)e.atoms[k].count;
        if (e.natoms <= 8) values(t, &e, most);
        else bins(t, &e);
    }
}

/* ------------------------------------------------------------------------------------------------ foot */

static void hash_row(struct text *t, const char *what, uint64_t hash)
{
    char h[17];
    text_print(t, "<tr><td class=\"l\">%s</td><td class=\"l\"><code>%s</code></td></tr>\n", what, hash_text(hash, h));
}

static void looks(struct text *t, const struct findings *f)
{
    const uint64_t *hashes;
    const size_t n = precinfer_report_looks(f->report, &hashes);
    char h[17];
    if (!f->policy || !n) return;
    text_add(t, "<h2>Looks</h2>\n<div class=\"scroll\"><table><tr><th>look</th><th class=\"l\">data</th><th>samples by then</th>"
             "<th class=\"l\">verdict</th></tr>\n");
    for (size_t i = 0; i < n; i++) {
        const int old = i < f->nlooks && i + 1 < n;
        text_print(t, "<tr><td>%zu</td><td class=\"l\"><code>%s</code></td><td>%zu</td><td class=\"l\">", i + 1,
                   hash_text(hashes[i], h), old ? f->looks[i].samples : samples_by_now(f));
        tag(t, "", old ? f->looks[i].verdict : precinfer_verdict_string(f->verdict), "</td></tr>\n");
    }
    text_add(t, "</table></div>\n");
}

static void command(struct text *t, const struct options *o)
{
    text_add(t, "<p><code>precinfer ");
    text_add(t, command_name(o->command));
    for (int i = 0; i < o->argc; i++) {
        const int plain = *o->argv[i] && !o->argv[i][strcspn(o->argv[i], " \t\n\"'\\$`!*?[](){}<>|&;#~")];
        tag(t, plain ? " " : " '", o->argv[i], plain ? "" : "'");
    }
    text_add(t, "</code></p>\n");
}

static void foot(struct text *t, const struct findings *f)
{
    looks(t, f);
    text_add(t, "<h2>What was compared</h2>\n<div class=\"scroll\"><table>\n");
    tag(t, "<tr><td class=\"l\">candidate</td><td class=\"l\"><code>", f->candidate, "</code></td></tr>\n");
    tag(t, "<tr><td class=\"l\">reference</td><td class=\"l\"><code>", f->reference, "</code></td></tr>\n");
    if (f->judged && *f->judged) tag(t, "<tr><td class=\"l\">judged output</td><td class=\"l\"><code>", f->judged, "</code></td></tr>\n");
    if (f->plan) {
        hash_row(t, "model", f->p.model_hash);
        hash_row(t, "recipe", f->p.recipe_hash);
        hash_row(t, "plan", f->p.plan_hash);
    }
    hash_row(t, "data", f->r.data_hash);
    if (f->policy) {
        const char *name = precinfer_policy_name(f->policy);
        hash_row(t, "policy", precinfer_policy_hash(f->policy));
        if (name) tag(t, "<tr><td class=\"l\">policy&#39;s name</td><td class=\"l\">", name, "</td></tr>\n");
    }
    tag(t, "<tr><td class=\"l\">made by</td><td class=\"l\">precinfer ", precinfer_version(), ", ");
    tag(t, "", precinfer_context_cpu(f->ctx), "</td></tr>\n</table></div>\n");
    command(t, f->o);
    text_add(t, "</main></body></html>\n");
}

int write_html(const struct findings *f)
{
    struct text t = { 0 };
    if (!f->o->html) return 0;
    head(&t, f);
    budgets(&t, f);
    layers(&t, f);
    confusions(&t, f);
    flips(&t, f);
    histograms(&t, f);
    foot(&t, f);
    return text_write(&t, f->ctx, "cannot write the page", f->o->html);
}
