/* verify --candidate X --reference Y: what two runtimes recorded, output by output. Nothing is run here. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

enum { CHUNK = 4096, NONE = -1 };
struct side {                           /* one of the two files                                                 */
    const char *flag, *path;
    precinfer_arrays *arrays;
    struct precinfer_tensor judged, label, id;      /* data NULL: none                                           */
    const char *name;                   /* of the judged array                                                  */
};
struct recording {
    const struct options *o;
    precinfer_context *ctx;
    struct side side[2];                /* reference, candidate                                                 */
    struct gated gate;
    struct labels labels;
    char *const **columns;              /* of the policy                                                        */
    size_t ncolumns, rows;
    struct precinfer_figure *figures;
    size_t nfigures;
    uint64_t *ids;                      /* NULL: the gate's own                                                  */
    struct findings f;
};

/* ------------------------------------------------------------------------------------------------ which array is which */

static const char *name_at(const struct side *s, size_t i)
{
    const char *name = "";
    struct precinfer_tensor shape;
    precinfer_arrays_info(s->arrays, i, &name, &shape);
    return name;
}

static int find(const struct side *s, const char *name, size_t n)
{
    for (size_t i = 0; i < precinfer_arrays_count(s->arrays); i++) {
        const char *have = name_at(s, i);
        if (strlen(have) == n && !memcmp(have, name, n)) return (int)i;
    }
    return NONE;
}

static int is_figure(const precinfer_policy *policy, const char *name)
{
    struct precinfer_budget b;
    for (size_t i = 0; policy && i < precinfer_policy_budgets(policy); i++)
        if (!precinfer_policy_budget_info(policy, i, &b) && (b.metric == PRECINFER_SCORE || b.metric == PRECINFER_ERROR)
            && b.name && !strcmp(b.name, name)) return 1;
    return 0;
}

static int is_output(const struct recording *r, const char *name)
{
    return strcmp(name, "label") && strcmp(name, "id") && !is_figure(r->gate.policy, name);
}

static size_t outputs(const struct recording *r, const struct side *s, int *first)
{
    size_t n = 0;
    for (size_t i = 0; i < precinfer_arrays_count(s->arrays); i++)
        if (is_output(r, name_at(s, i)) && !n++) *first = (int)i;
    return n;
}

static const char *names_of(const struct recording *r, const struct side *s, char *text, size_t room)
{
    size_t at = 0;
    snprintf(text, room, "none");
    for (size_t i = 0; i < precinfer_arrays_count(s->arrays) && at + 1 < room; i++) {
        if (!is_output(r, name_at(s, i))) continue;
        const int n = snprintf(text + at, room - at, "%s'%s'", at ? ", " : "", name_at(s, i));
        if (n > 0) at += (size_t)n;
    }
    return text;
}

/* --map A=B: either name may hold '='. */
static int read_map(const struct recording *r, const char *text, int *reference, int *candidate)
{
    char a[300], b[300];
    for (const char *eq = strchr(text, '='); eq; eq = strchr(eq + 1, '=')) {
        *candidate = find(&r->side[1], text, (size_t)(eq - text));
        *reference = find(&r->side[0], eq + 1, strlen(eq + 1));
        if (*candidate >= 0 && *reference >= 0) return 0;
    }
    if (!strchr(text, '=')) return fail(EXIT_USAGE, "wrong value", "--map", "'%s' is not CANDIDATE=REFERENCE", text);
    return fail(EXIT_USAGE, "wrong value", "--map", "'%s': the candidate holds %s, the reference %s", text,
                names_of(r, &r->side[1], a, sizeof a), names_of(r, &r->side[0], b, sizeof b));
}

/* The other side's array for array i of a side. */
static int partner(const struct recording *r, int side, int i, int *other)
{
    const struct side *mine = &r->side[side], *theirs = &r->side[!side];
    char have[300];
    int only = NONE;
    for (size_t k = 0; k < r->o->maps.n; k++) {
        int pair[2];
        const int code = read_map(r, r->o->maps.items[k], &pair[0], &pair[1]);
        if (code) return code;
        if (pair[side] == i) { *other = pair[!side]; return 0; }
    }
    const char *name = name_at(mine, (size_t)i);
    *other = find(theirs, name, strlen(name));
    if (*other >= 0) return 0;
    if (outputs(r, mine, &only) == 1 && outputs(r, theirs, other) == 1) return 0;
    return fail(EXIT_USAGE, "no such output", theirs->path, "nothing is called '%s' as in %s; it holds %s: say --map"
                                                            " CANDIDATE=REFERENCE",
                name, mine->path, names_of(r, theirs, have, sizeof have));
}

/* Files of figures alone have nothing to judge but those. */
static int only_figures(const struct recording *r)
{
    int first, figures = 0;
    for (size_t i = 0; i < precinfer_arrays_count(r->side[0].arrays); i++)
        figures |= is_figure(r->gate.policy, name_at(&r->side[0], i));
    return figures && !r->o->judge && !outputs(r, &r->side[0], &first) && !outputs(r, &r->side[1], &first);
}

/* A wrong one is told, needed or not. */
static int check_maps(const struct recording *r)
{
    for (size_t k = 0; k < r->o->maps.n; k++) {
        int pair[2], other[2];
        int code = read_map(r, r->o->maps.items[k], &pair[0], &pair[1]);
        for (size_t i = 0; i < k && !code; i++)
            if (!read_map(r, r->o->maps.items[i], &other[0], &other[1]) && (pair[0] == other[0]) != (pair[1] == other[1]))
                code = fail(EXIT_USAGE, "wrong value", "--map", "'%s': one of the two is mapped already", r->o->maps.items[k]);
        if (code) return code;
    }
    return 0;
}

static int choose(struct recording *r, int pair[2])
{
    struct precinfer_policy_rules rules = { 0 };
    char a[300], b[300];
    int first = NONE;
    if (r->gate.policy) precinfer_policy_rules_of(r->gate.policy, &rules);
    const char *name = r->o->judge ? r->o->judge : rules.judge;
    const int code = check_maps(r);
    if (code) return code;
    for (int side = 0; side < 2; side++)
        if (!outputs(r, &r->side[side], &first))
            return fail(EXIT_USAGE, "no output", r->side[side].path, "there is no array that could be judged");
    if (!name) {
        outputs(r, &r->side[0], &pair[0]);
        return partner(r, 0, pair[0], &pair[1]);
    }
    for (int side = 0; side < 2; side++) {
        pair[side] = find(&r->side[side], name, strlen(name));
        if (pair[side] >= 0 && is_output(r, name)) return partner(r, side, pair[side], &pair[!side]);
    }
    if (outputs(r, &r->side[0], &pair[0]) == 1 && outputs(r, &r->side[1], &pair[1]) == 1 && !r->o->judge) return 0;
    return fail(EXIT_USAGE, "no such output", r->o->judge ? "--judge" : r->o->policy,
                "'%s': the reference holds %s, the candidate %s", name,
                names_of(r, &r->side[0], a, sizeof a), names_of(r, &r->side[1], b, sizeof b));
}

/* ------------------------------------------------------------------------------------------------ reading */

static int load(const struct side *s, int i, struct precinfer_tensor *t)
{
    struct precinfer_error err;
    return precinfer_arrays_load(s->arrays, (size_t)i, t, &err) ? fail_input(&err, "cannot read the array", s->path) : 0;
}

static int load_outputs(struct recording *r)
{
    int pair[2];
    char a[100], b[100];
    if (only_figures(r)) return 0;
    int code = choose(r, pair);
    for (int i = 0; i < 2 && !code; i++) {
        r->side[i].name = name_at(&r->side[i], (size_t)pair[i]);
        code = load(&r->side[i], pair[i], &r->side[i].judged);
    }
    if (code) return code;
    const struct precinfer_tensor *x = &r->side[0].judged, *y = &r->side[1].judged;
    if (!x->rank || !y->rank) return fail(EXIT_USAGE, "cannot judge the output", r->side[!y->rank].path, "'%s' is one number",
                                          r->side[!y->rank].name);
    int same = x->rank == y->rank;
    for (int d = 1; d < x->rank && same; d++) same = x->dims[d] == y->dims[d];
    if (!same) return fail(EXIT_USAGE, "outputs do not fit", r->side[1].path, "'%s' is %s, but '%s' of %s is %s", r->side[1].name,
                           dims_text(y->rank, y->dims, NULL, a, sizeof a), r->side[0].name, r->side[0].path,
                           dims_text(x->rank, x->dims, NULL, b, sizeof b));
    if (x->dims[0] != y->dims[0]) return fail(EXIT_USAGE, "outputs do not fit", r->side[1].path,
                                              "'%s' holds %lld samples, but '%s' of %s %lld", r->side[1].name,
                                                  (long long)y->dims[0],
                                              r->side[0].name, r->side[0].path, (long long)x->dims[0]);
    r->rows = (size_t)x->dims[0];
    return 0;
}

/* A key that both files may hold has to say the same in both. */
static int load_key(struct recording *r, const char *key, size_t at)
{
    for (int i = 0; i < 2; i++) {
        struct precinfer_tensor *t = (struct precinfer_tensor *)((char *)&r->side[i] + at);
        const int k = find(&r->side[i], key, strlen(key));
        const int code = k >= 0 ? load(&r->side[i], k, t) : 0;
        if (code) return code;
    }
    const struct precinfer_tensor *x = (struct precinfer_tensor *)((char *)&r->side[0] + at);
    const struct precinfer_tensor *y = (struct precinfer_tensor *)((char *)&r->side[1] + at);
    if (!x->data || !y->data) return 0;
    const size_t n = elements_of(x);
    if (n != elements_of(y)) return fail(EXIT_USAGE, "keys do not fit", r->side[1].path,
                                         "'%s' has %zu elements, that of %s %zu", key,
                                         elements_of(y), r->side[0].path, n);
    for (size_t i = 0; i < n; i++)
        if (double_at(x, i) != double_at(y, i))
            return fail(EXIT_USAGE, "keys do not fit", r->side[1].path,
                        "'%s' of row %zu is %.17g, that of %s %.17g: the rows are of"
                        " different samples", key, i, double_at(y, i), r->side[0].path, double_at(x, i));
    return 0;
}

/* FNV-1a, then mixed: an id is who a sample is, as text, wherever it stood. */
static uint64_t hash_id(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

static int take_ids(struct recording *r)
{
    char *const *column = label_column(&r->labels, "id");
    const struct precinfer_tensor *t = r->side[0].id.data ? &r->side[0].id : &r->side[1].id;
    char text[40];
    if (!column && !t->data) return 0;
    if (!column && elements_of(t) != r->rows)
        return fail(EXIT_USAGE, "keys do not fit", r->side[t != &r->side[0].id].path, "'id' has %zu elements for %zu samples",
                    elements_of(t),
                    r->rows);
    if (!(r->ids = need(r->rows, sizeof *r->ids))) return EXIT_BROKEN;
    for (size_t i = 0; i < r->rows; i++) {
        int64_t x;
        if (!column && !integer_at(t, i, &x)) snprintf(text, sizeof text, "%lld", (long long)x);
        else if (!column) shortest_text(double_at(t, i), text, sizeof text);
        r->ids[i] = hash_id(column ? column[i] : text);
    }
    return 0;
}

static int load_truth(struct recording *r)
{
    int code = load_key(r, "label", offsetof(struct side, label));
    if (!code) code = load_key(r, "id", offsetof(struct side, id));
    if (!code && r->o->labels) code = load_labels(r->ctx, r->o->labels, &r->labels);
    const struct side *s = &r->side[r->side[0].label.data ? 0 : 1];
    if (!code && s->label.data && !r->labels.classes) {
        if (!r->labels.path) r->labels.path = s->path;
        code = label_array(&r->labels, "label", &s->label);
    }
    if (!code && r->labels.path && r->labels.rows != r->rows)
        code = fail(EXIT_USAGE, "cannot use the labels", r->labels.path, "%zu rows, but %zu samples", r->labels.rows, r->rows);
    if (!code) code = policy_columns(r->gate.policy, r->labels.path ? &r->labels : NULL, &r->columns, &r->ncolumns);
    return code ? code : take_ids(r);
}

static int load_figure(struct recording *r, const char *name, struct precinfer_figure *figure)
{
    double *values[2] = { NULL, NULL };
    figure->name = name;
    for (int side = 0; side < 2; side++) {
        const struct side *s = &r->side[side];
        struct precinfer_tensor t;
        const int i = find(s, name, strlen(name));
        if (i < 0) return fail(EXIT_USAGE, "figure missing", s->path, "the policy asks for a key '%s', a figure a sample", name);
        const int code = load(s, i, &t);
        if (code) return code;
        const size_t n = elements_of(&t);
        if (!r->rows) r->rows = n;
        values[side] = n == r->rows ? need(n, sizeof(double)) : NULL;
        for (size_t k = 0; values[side] && k < n; k++) values[side][k] = double_at(&t, k);
        precinfer_array_free(r->ctx, &t);
        if (side) figure->candidate = values[side];
        else figure->reference = values[side];
        if (n != r->rows) return fail(EXIT_USAGE, "keys do not fit", s->path, "'%s' has %zu elements for %zu samples", name, n,
                                      r->rows);
        if (!values[side]) return EXIT_BROKEN;
    }
    return 0;
}

static int load_figures(struct recording *r)
{
    const size_t n = r->gate.policy ? precinfer_policy_budgets(r->gate.policy) : 0;
    struct precinfer_budget b;
    int code = 0;
    if (!(r->figures = need(n + 1, sizeof *r->figures))) return EXIT_BROKEN;
    for (size_t i = 0; i < n && !code; i++) {
        if (precinfer_policy_budget_info(r->gate.policy, i, &b)) continue;
        if (b.metric == PRECINFER_LATENCY) return fail(EXIT_USAGE, "latency cannot be judged", r->o->policy,
                                                       "recorded outputs say nothing of how long they took");
        if (b.metric != PRECINFER_SCORE && b.metric != PRECINFER_ERROR) continue;
        size_t k = 0;
        while (k < r->nfigures && strcmp(r->figures[k].name, b.name)) k++;
        if (k == r->nfigures) code = load_figure(r, b.name, &r->figures[r->nfigures++]);
    }
    return code;
}

/* ------------------------------------------------------------------------------------------------ judging */

static struct precinfer_tensor rows_of(const struct precinfer_tensor *t, size_t from, size_t n)
{
    struct precinfer_tensor part = *t;
    if (!t->data) return part;
    const size_t row = elements_of(t) / (size_t)t->dims[0] * precinfer_dtype_size(t->dtype);
    part.data = (char *)t->data + from * row;
    part.dims[0] = (int64_t)n;
    return part;
}

static int add_rows(struct recording *r, size_t from, size_t n, const char *const **columns, struct precinfer_figure *figures,
                    uint64_t *indexes)
{
    struct precinfer_error err;
    const struct labels *l = &r->labels;
    for (size_t c = 0; c < r->ncolumns; c++) columns[c] = (const char *const *)r->columns[c] + from;
    for (size_t k = 0; k < r->nfigures; k++)
        figures[k] = (struct precinfer_figure){ r->figures[k].name, r->figures[k].reference + from,
                r->figures[k].candidate + from };
    for (size_t i = 0; i < n; i++) indexes[i] = from + i;
    const struct precinfer_judged judged = {
        .samples = n, .reference = rows_of(&r->side[0].judged, from, n), .candidate = rows_of(&r->side[1].judged, from, n),
        .labels = l->classes ? l->classes + from * l->per_row : NULL, .labels_per_sample = l->per_row,
        .target = rows_of(&l->target, from, n), .columns = r->ncolumns ? columns : NULL, .ids = r->ids ? r->ids + from : NULL,
        .indexes = indexes, .figures = figures, .nfigures = r->nfigures };
    return precinfer_gate_add(r->gate.gate, &judged, &err) ? fail_input(&err, "cannot verify", r->side[1].path) : 0;
}

static int add_all(struct recording *r)
{
    struct progress progress;
    const char *const **columns = need(r->ncolumns + 1, sizeof *columns);
    struct precinfer_figure *figures = columns ? need(r->nfigures + 1, sizeof *figures) : NULL;
    uint64_t *indexes = figures ? need(CHUNK, sizeof *indexes) : NULL;
    int code = indexes ? 0 : EXIT_BROKEN;
    progress_start(&progress, r->o, "verify", r->rows - r->o->skip);
    for (size_t at = r->o->skip; at < r->rows && !code; at += CHUNK) {
        code = add_rows(r, at, r->rows - at < CHUNK ? r->rows - at : CHUNK, columns, figures, indexes);
        progress_show(&progress, NULL, at - r->o->skip, 0);
    }
    progress_end(&progress);
    free((void *)columns);
    free(figures);
    free(indexes);
    return code;
}

/* Fail if one fails, else undecided if one is; what was not asked says nothing. */
static enum precinfer_verdict both(enum precinfer_verdict a, enum precinfer_verdict b)
{
    if (a == PRECINFER_FAIL || b == PRECINFER_FAIL) return PRECINFER_FAIL;
    if (a == PRECINFER_UNDECIDED || b == PRECINFER_UNDECIDED) return PRECINFER_UNDECIDED;
    return a == PRECINFER_PASS || b == PRECINFER_PASS ? PRECINFER_PASS : PRECINFER_NO_LIMIT;
}

static int look(struct recording *r)
{
    struct precinfer_error err;
    struct precinfer_verify_options limits;
    struct precinfer_report_info flags, *info = &r->f.r;
    precinfer_verify_defaults(&limits);
    limits.min_agreement = r->o->min_agreement;
    limits.max_drop_points = r->o->drop_points;
    limits.max_drop_relative = r->o->drop_relative;
    if (precinfer_gate_report(r->gate.gate, &r->f.report, &err) || precinfer_report_limits(r->f.report, &limits, &flags, &err))
        return fail_input(&err, "cannot judge", r->side[1].path);
    precinfer_report_info(r->f.report, info);
    const enum precinfer_verdict gate = r->gate.policy ? info->verdict : PRECINFER_NO_LIMIT;
    const int64_t more = r->gate.policy ? info->needed_samples : 0;
    *info = flags;
    info->verdict = r->f.verdict = both(gate, flags.verdict);
    if (more < 0 || (more > info->needed_samples && info->needed_samples >= 0)) info->needed_samples = more;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ saying */

/* The array of a .npy file has no name. */
static const char *shown(const char *name, char s[300])
{
    snprintf(s, 300, "'%s'", name);
    return *name ? s : "the array";
}

static int say(const struct recording *r)
{
    const struct findings *f = &r->f;
    char name[2][300];
    FILE *out = text_out(r->o);
    char h[17];
    fprintf(out, "%s against %s, both recorded\n", f->candidate, f->reference);
    if (f->judged) fprintf(out, "judged: %s against %s; ", shown(r->side[1].name, name[0]), shown(r->side[0].name, name[1]));
    fprintf(out, "data %s\n", hash_text(f->r.data_hash, h));
    say_answers(out, f);
    say_contrasts(out, f);
    say_flips(out, f);
    fputc('\n', out);
    say_verdict(out, f);
    return flush_text(r->o);
}

static int write_json(const struct recording *r)
{
    struct json j;
    if (!r->o->json) return 0;
    json_begin(&j, r->o);
    json_true(&j, "recorded", 1);
    json_string(&j, "candidate", r->side[1].path);
    json_string(&j, "reference", r->side[0].path);
    if (r->f.judged) {
        json_open(&j, "output", '{');
        json_string(&j, "candidate", r->side[1].name);
        json_string(&j, "reference", r->side[0].name);
        json_close(&j, '}');
    }
    json_hash(&j, "data_hash", r->f.r.data_hash);
    json_answers(&j, &r->f);
    json_findings(&j, &r->f);
    json_string(&j, "verdict", precinfer_verdict_string(r->f.verdict));
    return json_write(&j, r->ctx, r->o);
}

/* ------------------------------------------------------------------------------------------------ all of it */

static int check_usage(const struct options *o)
{
    const char *alone = o->data ? "--data" : o->split[0] + o->split[1] + o->split[2] ? "--split" : o->batch ? "--batch"
        : o->runs ? "--runs" : o->allow_overlap ? "--allow-overlap" : o->pre_flags || o->raw ? "preprocessing"
            : o->shape_texts.n ? "--shape" : NULL;
    if (o->files.n) return fail(EXIT_USAGE, "two candidates", o->files.items[0], "--candidate takes the place of a plan");
    if (!o->reference) return fail(EXIT_USAGE, "reference missing", "--reference",
                                   "--candidate is compared with its recorded outputs");
    return alone ? fail(EXIT_USAGE, "option without use", alone, "recorded outputs have no inputs here, and nothing is run") : 0;
}

static int open_sides(struct recording *r)
{
    struct precinfer_error err;
    for (int i = 0; i < 2; i++) {
        struct side *s = &r->side[i];
        if (precinfer_arrays_open(r->ctx, s->path, &s->arrays, &err)) return fail_input(&err, "cannot read the outputs", s->path);
    }
    return 0;
}

/* A label that no answer can be is wrong in both, and so would make a limit on the drop easier to keep. */
static int check_classes(const struct recording *r)
{
    const struct labels *l = &r->labels;
    const size_t classes = r->side[0].judged.data ? elements_of(&r->side[0].judged) / r->rows : 0;
    for (size_t i = r->o->skip; i < r->rows && l->per_row == 1 && classes; i++)
        if (l->classes[i] < 0 || (uint64_t)l->classes[i] >= classes)
            return fail(EXIT_USAGE, "cannot use the labels", l->path, "sample %zu: label %lld, but the output has %zu classes", i,
                        (long long)l->classes[i], classes);
    return 0;
}

static int has_drop_limit(const struct options *o) { return o->drop_points >= 0 || o->drop_relative >= 0; }

static int judge(struct recording *r)
{
    const struct options *o = r->o;
    int code = gate_open(o, r->ctx, &r->gate);
    r->f.policy = r->gate.policy;
    r->f.looks = r->gate.past.looks;
    r->f.nlooks = r->gate.past.past.looks;
    if (!code) code = gate_fits(&r->gate, NULL);
    if (!code) code = gate_without(r->ctx, &r->gate);
    if (!code) code = open_sides(r);
    if (!code) code = load_outputs(r);
    if (!code) code = gate_judges(&r->gate, r->side[0].name);
    if (!code) code = load_figures(r);
    if (!code && !r->rows) code = fail(EXIT_USAGE, "no samples", o->reference, "'%s' is empty", r->side[0].name
                                       ? r->side[0].name : "it");
    if (!code && o->skip >= r->rows)
        code = fail(EXIT_USAGE, "wrong value", "--skip", "%zu samples to skip, but there are %zu", o->skip, r->rows);
    if (!code) code = load_truth(r);
    if (!code && has_drop_limit(o) && !r->labels.classes)
        code = fail(EXIT_USAGE, "labels missing", "--max-drop", "a drop in accuracy needs --labels, or a key 'label'");
    if (!code && has_drop_limit(o)) code = check_classes(r);
    if (code) return code;
    r->f.judged = r->side[0].name && *r->side[0].name ? r->side[0].name : r->side[1].name;
    r->f.one_number = !r->side[0].judged.data || elements_of(&r->side[0].judged) == r->rows;
    code = add_all(r);
    if (!code) code = look(r);
    if (!code) code = say(r);
    if (!code) code = write_json(r);
    if (!code) code = write_html(&r->f);
    return code ? code : write_junit(&r->f);
}

static void free_side(precinfer_context *ctx, struct side *s)
{
    precinfer_array_free(ctx, &s->judged);
    precinfer_array_free(ctx, &s->label);
    precinfer_array_free(ctx, &s->id);
    precinfer_arrays_free(s->arrays);
}

int verify_recorded(const struct options *o, precinfer_context *ctx)
{
    struct recording r = { .o = o, .ctx = ctx, .side = { { "--reference", o->reference }, { "--candidate", o->candidate } },
                           .f = { .ctx = ctx, .o = o, .candidate = o->candidate, .reference = o->reference } };
    char why[700];
    int code = check_usage(o);
    if (!code) code = judge(&r);
    const int verdict = code ? 0 : explain_verdict(&r.f, why, sizeof why);
    if (verdict) code = fail(verdict, verdict == EXIT_FAILED ? "the candidate failed" : "not enough samples", o->candidate,
                             "%s", why);
    precinfer_report_free(r.f.report);
    for (int i = 0; i < 2; i++) free_side(ctx, &r.side[i]);
    for (size_t k = 0; k < r.nfigures; k++) {
        free((void *)(uintptr_t)r.figures[k].reference);
        free((void *)(uintptr_t)r.figures[k].candidate);
    }
    free(r.figures);
    free((void *)r.columns);
    free(r.ids);
    free_labels(&r.labels);
    gate_close(&r.gate);
    return code;
}
