#include <stdio.h>
#include <string.h>
#include "gate.h"

/* ------------------------------------------------------------------------------------------------ what came in */

static int is_output(const struct precinfer_tensor *t, const char *which, size_t samples, size_t *each,
                     struct precinfer_error *err)
{
    size_t n = 1;
    if (!t->data) return pi_fail(err, PRECINFER_INVALID, "gate: the %s is missing", which);
    if (!precinfer_dtype_size(t->dtype) || t->device != PRECINFER_HOST || t->rank < 1 || t->rank > PRECINFER_MAX_RANK)
        return pi_fail(err, PRECINFER_INVALID, "gate: the %s is no array in memory", which);
    if (t->dims[0] < 0 || (uint64_t)t->dims[0] != samples)
        return pi_fail(err, PRECINFER_INVALID, "gate: the %s has %lld rows for %zu samples", which, (long long)t->dims[0],
                       samples);
    for (int d = 1; d < t->rank; d++)
        if (t->dims[d] < 0 || pi_mul_size(n, (size_t)t->dims[d], &n))
            return pi_fail(err, PRECINFER_INVALID, "gate: the %s has dimension %lld", which, (long long)t->dims[d]);
    *each = n;
    return n ? 0 : pi_fail(err, PRECINFER_INVALID, "gate: the %s has no elements", which);
}

static int check_outputs(const struct precinfer_judged *j, size_t *each, struct precinfer_error *err)
{
    size_t other;
    PI_TRY(is_output(&j->reference, "reference's output", j->samples, each, err));
    PI_TRY(is_output(&j->candidate, "candidate's output", j->samples, &other, err));
    int same = j->reference.rank == j->candidate.rank;
    for (int d = 0; same && d < j->reference.rank; d++) same = j->reference.dims[d] == j->candidate.dims[d];
    if (same) return 0;
    return pi_fail(err, PRECINFER_INVALID, "gate: reference and candidate differ in shape (%zu and %zu elements a sample)",
                   *each, other);
}

/* The figure of that name among those of judged; NULL: none. */
static const struct precinfer_figure *figure_of(const struct precinfer_judged *j, const char *name)
{
    for (size_t i = 0; i < j->nfigures; i++)
        if (j->figures[i].name && !strcmp(j->figures[i].name, name))
            return j->figures[i].reference && j->figures[i].candidate ? &j->figures[i] : NULL;
    return NULL;
}
static int check_figure(const precinfer_gate *g, const struct precinfer_judged *j, const struct pi_budget *b,
                        struct precinfer_error *err)
{
    const int set = b->b.metric == PRECINFER_SET;
    if (set ? g->host.figures.set != NULL : g->host.figures.sample || figure_of(j, b->b.name)) return 0;
    return pi_fail(err, PRECINFER_INVALID, set ? "budget '%s' needs a host that computes the figure '%s' (precinfer_gate_figures)"
                   : "budget '%s' needs the figure '%s' of reference and candidate", b->text, b->b.name);
}

/* Does it ask for a top-1? A limit next to nothing asks for no more than that the answers are counted. */
static int has_top(const struct pi_budget *b)
{
    return b->b.metric == PRECINFER_TOPK || (b->b.metric == PRECINFER_AGREEMENT && b->b.value > 1e-6);
}

/* All that budget b needs. */
static int check_budget(const precinfer_gate *g, const struct pi_budget *b, const struct precinfer_judged *j, size_t each,
                        struct precinfer_error *err)
{
    const enum precinfer_metric m = b->b.metric;
    const size_t nlabels = j->labels_per_sample ? j->labels_per_sample : 1;
    const int loss = m == PRECINFER_LOG_LOSS || m == PRECINFER_PERPLEXITY, by_label = b->column == PI_BY_LABEL;
    if (pi_needs_outputs(m) && !each)
        return pi_fail(err, PRECINFER_INVALID, "budget '%s' needs the outputs of reference and candidate", b->text);
    if (each == 1 && has_top(b))
        return pi_fail(err, PRECINFER_INVALID, "budget '%s': the output is one number a sample, whose top-1 is always the same",
                       b->text);
    if ((pi_needs_labels(m) || by_label) && !j->labels)
        return pi_fail(err, PRECINFER_INVALID, "budget '%s' needs labels", b->text);
    if (loss && each % nlabels)
        return pi_fail(err, PRECINFER_INVALID, "budget '%s': %zu labels a sample do not divide %zu elements", b->text, nlabels,
                       each);
    if ((by_label || (pi_needs_labels(m) && !loss)) && nlabels != 1)
        return pi_fail(err, PRECINFER_INVALID, "budget '%s' takes one label a sample, not %zu", b->text, nlabels);
    if (pi_needs_figure(m) || m == PRECINFER_SET) PI_TRY(check_figure(g, j, b, err));
    if (pi_needs_target(m)) {
        size_t elements;
        if (!j->target.data) return pi_fail(err, PRECINFER_INVALID, "budget '%s' needs the truth (target)", b->text);
        PI_TRY(is_output(&j->target, "target", j->samples, &elements, err));
        if (elements != each)
            return pi_fail(err, PRECINFER_INVALID, "budget '%s': the target has %zu elements a sample, the output %zu", b->text,
                           elements, each);
    }
    return 0;
}

static int check(const precinfer_gate *g, const struct precinfer_judged *j, size_t *each, struct precinfer_error *err)
{
    const precinfer_policy *p = g->policy;
    *each = 0;
    if (j->reference.data || j->candidate.data) PI_TRY(check_outputs(j, each, err));
    for (size_t i = 0; i < p->ncolumns; i++)
        if (!j->columns || !j->columns[i])
            return pi_fail(err, PRECINFER_INVALID, "gate: the policy's column '%s' is missing", p->columns[i]);
    for (size_t i = 0; i < g->nbudgets; i++)
        if (p->budgets[i].b.metric != PRECINFER_LATENCY) PI_TRY(check_budget(g, &p->budgets[i], j, *each, err));
    return 0;
}

static void hash_rows(struct pi_hash *h, const struct precinfer_tensor *t, size_t i)
{
    size_t bytes = precinfer_dtype_size(t->dtype);
    if (!t->data) return;
    for (int d = 1; d < t->rank; d++) bytes *= (size_t)t->dims[d];
    pi_hash_add(h, (const char *)t->data + i * bytes, bytes);
}
uint64_t pi_judged_id(const struct precinfer_judged *j, size_t i, size_t each)
{
    const size_t nlabels = j->labels_per_sample ? j->labels_per_sample : 1;
    struct pi_hash h;
    pi_hash_init(&h);
    if (each) hash_rows(&h, &j->reference, i);
    if (j->labels) pi_hash_add(&h, j->labels + i * nlabels, nlabels * sizeof *j->labels);
    if (j->target.data && j->target.rank > 0) hash_rows(&h, &j->target, i);
    return pi_hash_end(&h);
}

/* ------------------------------------------------------------------------------------------------ one sample */

static void count(precinfer_gate *g, const struct pi_sample *s, int64_t label)
{
    struct precinfer_report_info *n = &g->counts;
    if (!s->tops) return;
    n->agreed += s->reference.index == s->candidate.index && s->reference.index >= 0;
    if (label < 0) return;
    const int r = s->reference.index == label, c = s->candidate.index == label;
    n->labelled = 1;
    n->right_reference += (size_t)r;
    n->right_candidate += (size_t)c;
    n->lost += r && !c;
    n->gained += c && !r;
}

/* The slice of sample i that a budget looks at; *in 0: none, for its value is unknown. */
static int slice_of(const struct pi_budget *b, const struct pi_sample *s, char text[24], const char **slice, int *in,
                    struct precinfer_error *err)
{
    *in = 1;
    *slice = NULL;
    if (b->column == PI_BY_LABEL) {
        if (s->labels[0] < 0)
            return pi_fail(err, PRECINFER_INVALID, "sample %zu: label %lld is no class", s->index, (long long)s->labels[0]);
        snprintf(text, 24, "%lld", (long long)s->labels[0]);
        *slice = text;
    } else if (b->column >= 0) {
        *slice = s->j->columns[b->column][s->i];
        *in = *slice != NULL;
    }
    return 0;
}

static int add_to_cluster(precinfer_gate *g, size_t contrast, uint64_t cluster, double r, double c, struct precinfer_error *err)
{
    const struct pi_allocator *a = &g->ctx->alloc;
    const uint64_t pair[2] = { contrast, cluster }, key = pi_hash_of(pair, sizeof pair);
    long at = pi_table_find(&g->cluster_table, key);
    if (at < 0) {
        PI_TRY(pi_more(a, (void **)&g->clusters, g->nclusters, &g->cluster_room, sizeof *g->clusters, err));
        PI_TRY(pi_table_put(a, &g->cluster_table, key, g->nclusters, err));
        at = (long)g->nclusters++;
        g->clusters[at] = (struct pi_cluster){ contrast, cluster, 0, 0, 0 };
    }
    struct pi_cluster *x = &g->clusters[at];
    x->r += r;
    x->c += c;
    x->n++;
    return 0;
}

static int ask_host(const precinfer_gate *g, const char *name, const struct pi_sample *s, double *r, double *c,
                    struct precinfer_error *err)
{
    const struct precinfer_figures_of *host = &g->host.figures;
    struct precinfer_error own = { PRECINFER_OK, "" };
    const int status = host->sample(host->user, name, s->j, s->i, r, c, &own);
    if (!status) return 0;
    return pi_fail(err, (enum precinfer_status)status, "sample %zu, figure '%s': %s", s->index, name,
                   *own.text ? own.text : "the host gave none");
}
/* Every figure of a set is told of every sample once, however many budgets and slices it has. */
static int tell_host(const precinfer_gate *g, const struct pi_sample *s, struct precinfer_error *err)
{
    for (size_t b = 0; b < g->nbudgets && g->host.figures.sample; b++) {
        const struct precinfer_budget *x = &g->policy->budgets[b].b;
        int told = x->metric != PRECINFER_SET;
        for (size_t k = 0; k < b && !told; k++) {
            const struct precinfer_budget *y = &g->policy->budgets[k].b;
            told = y->metric == PRECINFER_SET && !strcmp(x->name, y->name);
        }
        if (!told) PI_TRY(ask_host(g, x->name, s, NULL, NULL, err));
    }
    return 0;
}
/* From the outputs, from judged, or from the host. */
static int figures_of(const precinfer_gate *g, const struct pi_budget *b, const struct pi_sample *s, struct pi_figures *f,
                      struct precinfer_error *err)
{
    *f = (struct pi_figures){ 0 };
    if (b->b.metric == PRECINFER_SET) return 0;
    if (!pi_needs_figure(b->b.metric) || figure_of(s->j, b->b.name)) return pi_figures(g->policy, &b->b, s, f, err);
    PI_TRY(ask_host(g, b->b.name, s, &f->r, &f->c, err));
    return pi_figures_check(&b->b, s, 0, f, err);
}

static int add_to_budget(precinfer_gate *g, size_t budget, const struct pi_sample *s, uint64_t id, uint64_t cluster,
                         struct precinfer_error *err)
{
    const struct pi_budget *b = &g->policy->budgets[budget];
    const int clustered = g->policy->cluster >= 0;
    struct pi_figures f;
    char text[24];
    const char *slice;
    size_t at;
    int in;
    PI_TRY(slice_of(b, s, text, &slice, &in, err));
    if (!in) return 0;
    PI_TRY(pi_gate_contrast(g, budget, slice, &at, err));
    struct pi_contrast *c = &g->contrasts[at];
    PI_TRY(figures_of(g, b, s, &f, err));
    if (c->kind >= PI_KIND_SET) {
        const uint64_t who = clustered ? cluster : id;
        if (c->kind == PI_KIND_SET) PI_TRY(pi_boot_set_add(c->set, who, s->labels[0] == b->b.positive, f.r, f.c, err));
        else PI_TRY(pi_boot_host_add(&g->ctx->alloc, &c->of_host, who, g->host.judged, err));
        c->units += !clustered;
        if (clustered) PI_TRY(add_to_cluster(g, at, cluster, 0, 0, err));
    } else {
        int counted;
        PI_TRY(pi_contrast_figure(c, s->index, f.r, f.bad_c, clustered, &f.c, &counted, err));
        if (clustered) {
            PI_TRY(add_to_cluster(g, at, cluster, f.r, f.c, err));
            c->e.clipped += (uint64_t)counted;
        } else {
            PI_TRY(pi_contrast_add(&g->ctx->alloc, c, id, f.r, f.c, counted, err));
        }
    }
    c->samples++;
    return 0;
}

/* Who it is, and whether it is to be judged. */
static int admit(precinfer_gate *g, const struct precinfer_judged *j, size_t i, uint64_t index, size_t each, int skip,
                 uint64_t *id, uint64_t *cluster, int *judged, struct precinfer_error *err)
{
    const precinfer_policy *p = g->policy;
    *judged = 0;
    *cluster = 0;
    *id = j->ids ? j->ids[i] : each || j->labels || j->target.data ? pi_judged_id(j, i, each)
        : pi_hash_of(&index, sizeof index);
    pi_hash_add(&g->hash, id, sizeof *id);
    g->total++;
    g->fresh += !skip;
    if (p->cluster >= 0) {
        const char *name = j->columns[p->cluster][i];
        if (!name)
            return pi_fail(err, PRECINFER_INVALID, "sample %zu: it has no value in column '%s', so its cluster is unknown",
                           (size_t)index, p->columns[p->cluster]);
        *cluster = pi_cluster_id(name);
    }
    if (skip) return 0;
    if (pi_u64s_has(&g->earlier, *id) || (p->cluster >= 0 && pi_u64s_has(&g->earlier, *cluster))) {
        g->again++;
        g->dropped++;
        return 0;
    }
    if (p->rules.n && g->host.judged == p->rules.n) { g->ignored++; return 0; }
    *judged = 1;
    return 0;
}

static int note_cluster(precinfer_gate *g, uint64_t cluster, struct precinfer_error *err)
{
    if (g->policy->cluster < 0 || pi_table_find(&g->cluster_ids, cluster) >= 0) return 0;
    PI_TRY(pi_u64s_add(&g->ctx->alloc, &g->cluster_seen, cluster, err));
    return pi_table_put(&g->ctx->alloc, &g->cluster_ids, cluster, g->cluster_seen.n - 1, err);
}

static int add_sample(precinfer_gate *g, const struct precinfer_judged *j, size_t i, size_t each, int skip,
                      struct precinfer_error *err)
{
    uint64_t id, cluster;
    int judged;
    const uint64_t index = j->indexes ? j->indexes[i] : g->total;
    PI_TRY(admit(g, j, i, index, each, skip, &id, &cluster, &judged, err));
    if (!judged) return 0;
    struct pi_sample s = { .j = j, .i = i, .each = each, .index = (size_t)index };
    s.nlabels = j->labels_per_sample ? j->labels_per_sample : 1;
    s.labels = j->labels ? j->labels + i * s.nlabels : NULL;
    if (each) {
        s.reference = pi_top1(&j->reference, i * each, each);
        s.candidate = pi_top1(&j->candidate, i * each, each);
        s.tops = 1;
    }
    PI_TRY(tell_host(g, &s, err));
    for (size_t b = 0; b < g->nbudgets; b++)
        if (g->policy->budgets[b].b.metric != PRECINFER_LATENCY) PI_TRY(add_to_budget(g, b, &s, id, cluster, err));
    const int64_t label = s.labels && s.nlabels == 1 ? s.labels[0] : -1;
    count(g, &s, label);
    if (s.tops && (g->classes || label >= 0)) PI_TRY(pi_gate_flip(g, &s, id, index, label, err));
    PI_TRY(note_cluster(g, cluster, err));
    g->host.judged++;
    return pi_u64s_add(&g->ctx->alloc, &g->ids, id, err);
}

int pi_gate_add(precinfer_gate *g, const struct precinfer_judged *j, const unsigned char *skip, struct precinfer_error *err)
{
    size_t each;
    if (!j->samples) return 0;
    PI_TRY(check(g, j, &each, err));
    for (size_t i = 0; i < j->samples; i++) {
        const int status = add_sample(g, j, i, each, skip && skip[i], err);
        if (status) { g->broken = 1; return status; }
    }
    return 0;
}
