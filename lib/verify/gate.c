#include <string.h>
#include "../base/sort.h"
#include "gate.h"

/* ------------------------------------------------------------------------------------------------ sets of hashes */

int pi_u64s_add(const struct pi_allocator *a, struct pi_u64s *s, uint64_t x, struct precinfer_error *err)
{
    PI_TRY(pi_more(a, (void **)&s->x, s->n, &s->room, sizeof *s->x, err));
    s->x[s->n++] = x;
    return 0;
}
void pi_u64s_set(struct pi_u64s *s)
{
    size_t n = 0;
    pi_sort_u64(s->x, s->n);
    for (size_t i = 0; i < s->n; i++) if (!n || s->x[i] != s->x[n - 1]) s->x[n++] = s->x[i];
    s->n = n;
}
int pi_u64s_has(const struct pi_u64s *s, uint64_t x)
{
    size_t from = 0, to = s->n;
    while (from < to) {
        const size_t i = from + (to - from) / 2;
        if (s->x[i] < x) from = i + 1; else to = i;
    }
    return from < s->n && s->x[from] == x;
}

/* ------------------------------------------------------------------------------------------------ life */

static uint64_t slice_key(size_t budget, const char *slice)
{
    struct pi_hash h;
    const uint64_t b = budget;
    pi_hash_init(&h);
    pi_hash_add(&h, &b, sizeof b);
    pi_hash_add(&h, slice ? "=" : "*", 1);
    if (slice) pi_hash_add(&h, slice, strlen(slice));
    return pi_hash_end(&h);
}
uint64_t pi_cluster_id(const char *name)
{
    struct pi_hash h;
    pi_hash_init(&h);
    pi_hash_add(&h, "cluster", 8);
    pi_hash_add(&h, name, strlen(name));
    return pi_hash_end(&h);
}

int pi_gate_contrast(precinfer_gate *g, size_t budget, const char *slice, size_t *index, struct precinfer_error *err)
{
    const struct pi_allocator *a = &g->ctx->alloc;
    const uint64_t key = slice_key(budget, slice);
    const long at = pi_table_find(&g->slices, key);
    if (at >= 0) { *index = (size_t)at; return 0; }
    const char *name = slice ? pi_arena_string(&g->arena, slice, strlen(slice)) : NULL;
    if (slice && !name) return pi_no_memory(err, strlen(slice) + 1);
    PI_TRY(pi_more(a, (void **)&g->contrasts, g->n, &g->room, sizeof *g->contrasts, err));
    struct pi_contrast *c = &g->contrasts[g->n];
    int status = pi_contrast_open(a, c, &g->policy->budgets[budget], budget, name, g->policy->cluster >= 0, err);
    if (!status) status = pi_table_put(a, &g->slices, key, g->n, err);
    if (status) { pi_contrast_close(a, c); return status; }
    c->host = &g->host;
    *index = g->n++;
    return 0;
}

/* Contrasts that there are whatever the data: of all samples, and of slices that the policy names. */
static int open_contrasts(precinfer_gate *g, struct precinfer_error *err)
{
    size_t index;
    for (size_t i = 0; i < g->nbudgets; i++) {
        const struct precinfer_budget *b = &g->policy->budgets[i].b;
        if (!b->by) PI_TRY(pi_gate_contrast(g, i, NULL, &index, err));
        for (size_t k = 0; k < b->nmargins; k++) PI_TRY(pi_gate_contrast(g, i, b->slices[k], &index, err));
        g->classes |= pi_needs_labels(b->metric) || b->metric == PRECINFER_AGREEMENT;
    }
    return 0;
}

enum precinfer_status precinfer_gate_new(precinfer_context *context, const precinfer_policy *policy, precinfer_gate **gate,
                                         struct precinfer_error *err)
{
    if (!context || !policy || !gate)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_new: context, policy or gate is NULL");
    if (!policy->n)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_new: the policy has no budget, so it asks for nothing");
    precinfer_gate *g = pi_calloc(&context->alloc, 1, sizeof *g);
    if (!g) return pi_no_memory(err, sizeof *g);
    g->ctx = context;
    g->policy = policy;
    g->nbudgets = policy->n;
    g->policy_hash = precinfer_policy_hash(policy);
    g->arena.a = g->host.a = &context->alloc;
    pi_hash_init(&g->hash);
    pi_context_retain(context);
    pi_policy_retain(policy);
    const unsigned saved = pi_fp_enter();
    const int status = open_contrasts(g, err);
    pi_fp_leave(saved);
    if (status) { precinfer_gate_free(g); return (enum precinfer_status)status; }
    *gate = g;
    return PRECINFER_OK;
}

void precinfer_gate_free(precinfer_gate *g)
{
    if (!g) return;
    precinfer_context *ctx = g->ctx;
    const struct pi_allocator *a = &ctx->alloc;
    for (size_t i = 0; i < g->n; i++) pi_contrast_close(a, &g->contrasts[i]);
    pi_free(a, g->contrasts);
    pi_free(a, g->clusters);
    pi_free(a, g->cluster_seen.x);
    pi_free(a, g->ids.x);
    pi_free(a, g->earlier.x);
    pi_free(a, g->looks.x);
    pi_free(a, g->flips);
    pi_free(a, g->confusions);
    pi_table_free(a, &g->slices);
    pi_table_free(a, &g->cluster_table);
    pi_table_free(a, &g->cluster_ids);
    pi_table_free(a, &g->confusion_table);
    pi_arena_free(&g->arena);
    pi_policy_release(g->policy);
    pi_free(a, g);
    pi_context_release(ctx);
}

static int usable(const precinfer_gate *g, struct precinfer_error *err)
{
    return g->broken ? pi_fail(err, PRECINFER_INVALID, "gate: an earlier call failed halfway; begin anew") : 0;
}

/* ------------------------------------------------------------------------------------------------ samples, runs */

enum precinfer_status precinfer_gate_add(precinfer_gate *gate, const struct precinfer_judged *judged, struct precinfer_error *err)
{
    if (!gate || !judged) return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_add: gate or judged is NULL");
    PI_TRY(usable(gate, err));
    const unsigned saved = pi_fp_enter();
    const int status = pi_gate_add(gate, judged, NULL, err);
    pi_fp_leave(saved);
    return (enum precinfer_status)status;
}

static int add_runs(precinfer_gate *g, size_t contrast, const double *reference_ns, const double *candidate_ns, size_t n,
                    struct precinfer_error *err)
{
    struct pi_contrast *c = &g->contrasts[contrast];
    const struct precinfer_budget *b = &c->budget->b;
    for (size_t i = 0; i < n; i++) {
        const int hit = b->limit == PRECINFER_MIN ? candidate_ns[i] <= b->threshold
            : candidate_ns[i] > b->value * reference_ns[i];
        PI_TRY(pi_contrast_add(&g->ctx->alloc, c, i, 0, hit, 0, err));
    }
    c->samples += n;
    return 0;
}

enum precinfer_status precinfer_gate_latency(precinfer_gate *gate, const double *reference_ns, const double *candidate_ns,
                                             size_t n, struct precinfer_error *err)
{
    int any = 0;
    if (!gate || (!candidate_ns && n))
        return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_latency: gate or candidate_ns is NULL");
    PI_TRY(usable(gate, err));
    for (size_t i = 0; i < n; i++)
        if (!(candidate_ns[i] > 0) || (reference_ns && !(reference_ns[i] > 0)))
            return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_latency: run %zu took no time above 0", i);
    for (size_t i = 0; i < gate->n; i++) {
        const struct precinfer_budget *b = &gate->contrasts[i].budget->b;
        if (b->metric != PRECINFER_LATENCY) continue;
        any = 1;
        if (b->limit == PRECINFER_MAX_RATIO && !reference_ns)
            return pi_fail(err, PRECINFER_INVALID, "budget '%s' needs the reference's runs", gate->contrasts[i].budget->text);
    }
    if (!any) return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_latency: the policy has no budget for latency");
    for (size_t i = 0; i < gate->n; i++) {
        if (gate->contrasts[i].budget->b.metric != PRECINFER_LATENCY) continue;
        const int status = add_runs(gate, i, reference_ns, candidate_ns, n, err);
        if (status) { gate->broken = 1; return (enum precinfer_status)status; }
    }
    return PRECINFER_OK;
}

/* ------------------------------------------------------------------------------------------------ going on */

static int find_budget(const precinfer_gate *g, const char *text, size_t *budget, struct precinfer_error *err)
{
    for (*budget = 0; *budget < g->nbudgets; ++*budget)
        if (!strcmp(g->policy->budgets[*budget].text, text)) return 0;
    return pi_fail(err, PRECINFER_INVALID, "evidence: the policy has no budget '%s'", text);
}

/* Atoms as a report gave them. One of a lattice is known by its middle; exact ones must be values that d can have. */
static int restore_atoms(precinfer_gate *g, struct pi_contrast *c, const struct precinfer_evidence *e,
                         struct precinfer_error *err)
{
    for (size_t i = 0; i < e->natoms; i++) {
        const struct precinfer_atom *x = &e->atoms[i];
        const double d = c->e.exact ? x->low : x->low / 2 + x->high / 2;
        if (!(x->low <= x->high) || !(d >= c->e.low && d <= c->e.high) || c->e.exact != (x->low == x->high))
            return pi_fail(err, PRECINFER_INVALID, "evidence of '%s': values that its d cannot have", c->budget->text);
        PI_TRY(pi_evidence_add(&g->ctx->alloc, &c->e, d, x->count, err));
    }
    if (e->clipped > e->samples || e->samples < c->e.count || !(e->reference_sum - e->reference_sum == 0) ||
        !(e->candidate_sum - e->candidate_sum == 0))
        return pi_fail(err, PRECINFER_INVALID, "evidence of '%s': its sums and counts do not fit", c->budget->text);
    c->e.clipped = e->clipped;
    c->sum_r = e->reference_sum;
    c->sum_c = e->candidate_sum;
    c->samples = e->samples;
    c->units = c->e.count;
    return 0;
}

static int restore(precinfer_gate *g, const struct precinfer_evidence *e, struct precinfer_error *err)
{
    size_t budget, at;
    if (!e->budget || (!e->atoms && e->natoms)) return pi_fail(err, PRECINFER_INVALID, "evidence: budget or atoms is NULL");
    PI_TRY(find_budget(g, e->budget, &budget, err));
    if ((g->policy->budgets[budget].b.by != NULL) != (e->slice != NULL))
        return pi_fail(err, PRECINFER_INVALID, "evidence of '%s': %s", e->budget,
                       e->slice ? "it has no slices" : "the slice is missing");
    PI_TRY(pi_gate_contrast(g, budget, e->slice, &at, err));
    if (g->contrasts[at].samples) return pi_fail(err, PRECINFER_INVALID, "evidence of '%s': it is there twice", e->budget);
    return restore_atoms(g, &g->contrasts[at], e, err);
}

static int restore_hashes(precinfer_gate *g, const struct precinfer_past *past, struct precinfer_error *err)
{
    const struct pi_allocator *a = &g->ctx->alloc;
    for (size_t i = 0; i < past->nseen; i++) PI_TRY(pi_u64s_add(a, &g->earlier, past->seen[i], err));
    pi_u64s_set(&g->earlier);
    for (size_t i = 0; i < past->looks; i++) PI_TRY(pi_u64s_add(a, &g->looks, past->data_hashes[i], err));
    g->past = past->looks;
    return 0;
}

static int may_continue(const precinfer_gate *g, const struct precinfer_past *past, struct precinfer_error *err)
{
    const char *why = pi_policy_one_look(g->policy);
    if (why) return pi_fail(err, PRECINFER_INVALID, "gate: a report of this policy cannot be gone on from: %s", why);
    if (past->policy_hash != g->policy_hash)
        return pi_fail(err, PRECINFER_INVALID, "gate: the earlier report is of another policy (%016llx, not %016llx)",
                       (unsigned long long)past->policy_hash, (unsigned long long)g->policy_hash);
    int begun = g->total || g->reported || g->continued;
    for (size_t i = 0; i < g->n; i++) begun |= g->contrasts[i].samples > 0;
    if (begun) return pi_fail(err, PRECINFER_INVALID, "gate: an earlier report comes before the first sample, and once");
    if ((!past->evidence && past->nevidence) || (!past->seen && past->nseen) || (!past->data_hashes && past->looks))
        return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_continue: evidence, seen or data_hashes is NULL");
    if (past->nevidence && past->looks) return 0;
    return pi_fail(err, PRECINFER_INVALID, "gate: the earlier report has no evidence, or no look");
}

enum precinfer_status precinfer_gate_continue(precinfer_gate *gate, const struct precinfer_past *past,
                                              struct precinfer_error *err)
{
    if (!gate || !past) return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_continue: gate or past is NULL");
    if (past->size != sizeof *past)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_continue: size is %zu, not %zu", past->size, sizeof *past);
    PI_TRY(usable(gate, err));
    PI_TRY(may_continue(gate, past, err));
    const unsigned saved = pi_fp_enter();
    int status = 0;
    for (size_t i = 0; i < past->nevidence && !status; i++) status = restore(gate, &past->evidence[i], err);
    if (!status) status = restore_hashes(gate, past, err);
    pi_fp_leave(saved);
    gate->broken = status != 0;
    gate->continued = !status;
    return (enum precinfer_status)status;
}

enum precinfer_status precinfer_gate_figures(precinfer_gate *gate, const struct precinfer_figures_of *figures,
                                             struct precinfer_error *err)
{
    if (!gate || !figures) return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_figures: gate or figures is NULL");
    if (figures->size != sizeof *figures)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_figures: size is %zu, not %zu", figures->size, sizeof *figures);
    PI_TRY(usable(gate, err));
    if (gate->total) return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_figures: it comes before the first sample");
    gate->host.figures = *figures;
    return PRECINFER_OK;
}

/* ------------------------------------------------------------------------------------------------ looks */

int pi_gate_may_look(const precinfer_gate *g, struct precinfer_error *err)
{
    PI_TRY(usable(g, err));
    const char *why = pi_policy_one_look(g->policy);
    if (g->reported && why) return pi_fail(err, PRECINFER_INVALID, "gate: there is one report: %s", why);
    return 0;
}

static void fill_info(const precinfer_gate *g, precinfer_report *r)
{
    const struct precinfer_report_info *n = &g->counts;
    struct precinfer_report_info *i = &r->info;
    i->samples = g->host.judged;
    i->data_hash = pi_hash_end(&g->hash);
    i->overlap_samples = g->dropped;
    i->ignored_samples = g->ignored;
    i->repeated_samples = g->repeated;
    i->labelled = n->labelled;
    i->right_reference = n->right_reference;
    i->right_candidate = n->right_candidate;
    i->lost = n->lost;
    i->gained = n->gained;
    i->agreed = n->agreed;
    i->verdict = r->gate_verdict;
    i->needed_samples = r->gate_needed;
    pi_report_rates(i);
}

enum precinfer_status precinfer_gate_report(precinfer_gate *gate, precinfer_report **report, struct precinfer_error *err)
{
    precinfer_report *r;
    if (!gate || !report) return pi_fail(err, PRECINFER_INVALID, "precinfer_gate_report: gate or report is NULL");
    PI_TRY(pi_gate_may_look(gate, err));
    PI_TRY(pi_report_create(gate->ctx, &r, err));
    const unsigned saved = pi_fp_enter();
    const int status = pi_gate_judge(gate, r, err);
    if (!status) fill_info(gate, r);
    pi_fp_leave(saved);
    if (status) { precinfer_report_free(r); return (enum precinfer_status)status; }
    *report = r;
    return PRECINFER_OK;
}
