/* Minimal sets: as small as brute force's, literally 1-minimal, written as a recipe that knows its samples. */
#include "../lib/calib/stats.h"
#include "../lib/verify/subset.h"
#include "nets.h"

/* ------------------------------------------------------------------------------------------------ the search alone */

struct made { double cost[16], limit; size_t n; long stop; };
static int attempt(void *user, const uint8_t *in, int *passes, struct precinfer_error *err)
{
    struct made *m = user;
    double left = 0;
    (void)err;
    for (size_t i = 0; i < m->n; i++) if (!in[i]) left += m->cost[i];
    *passes = left <= m->limit;
    return m->stop && !--m->stop ? PRECINFER_CANCELLED : 0;
}

/* Literally: with any one item less it does not pass. */
static int is_minimal(struct made *m, uint8_t *best)
{
    int passes, less = 0;
    m->stop = 0;
    attempt(m, best, &passes, NULL);
    for (size_t i = 0; passes && i < m->n; i++) {
        if (!best[i]) continue;
        best[i] = 0;
        attempt(m, best, &less, NULL);
        best[i] = 1;
        if (less) return 0;
    }
    return passes;
}

/* Costs that add up. Weights that are off by up to a half: the smallest set there is, which is known from the sorted costs.
 * Weights that mean nothing, and few attempts: still a set of which no item can go. */
START_TEST(search)
{
    struct h_host host = { .threads = 1 };
    precinfer_context *ctx = h_context(&host, NULL);
    size_t worse = 0;
    for (int k = 0; k < 200; k++) {
        struct made m = { .n = 1 + h_below(16) };
        double weight[16], sorted[16], sum = 0;
        uint8_t best[16];
        h_reseed(k);
        for (size_t i = 0; i < m.n; i++) {
            m.cost[i] = sorted[i] = (double)h_below(1000) + 1;
            weight[i] = m.cost[i] * (1 + 0.5 * (double)h_unit());
            sum += m.cost[i];
        }
        m.limit = sum * (double)h_below(1000) / 1000;
        for (size_t i = 0; i < m.n; i++)
            for (size_t j = i + 1; j < m.n; j++) {
                const double more = sorted[j] > sorted[i] ? sorted[j] : sorted[i], less = sorted[i] + sorted[j] - more;
                sorted[i] = more;
                sorted[j] = less;
            }
        size_t want = 0, got = 0;
        for (double left = sum; left > m.limit && want < m.n; want++) left -= sorted[want];
        struct pi_subset s = { .n = m.n, .weight = weight, .attempt = attempt, .user = &m, .most = 240, .best = best };
        ck_assert(!pi_subset_search(ctx, &s, NULL));
        for (size_t i = 0; i < m.n; i++) got += best[i];
        worse += got != want;
        h_expect(s.met && s.minimal && is_minimal(&m, best), "net %d: not met, or not minimal", k);
        for (size_t i = 0; i < m.n; i++) weight[i] = (double)h_below(1000);
        s.most = 1 + h_below(10);
        ck_assert(!pi_subset_search(ctx, &s, NULL));
        h_expect(s.met && s.minimal && is_minimal(&m, best), "net %d: not minimal by useless weights", k);
        /* Stopped at any time: what there is, or nothing, but never a set that does not pass. */
        m.stop = 1 + (long)h_below(20);
        s.met = 0;
        const int status = pi_subset_search(ctx, &s, NULL);
        int passes = 0;
        const int asked = attempt(&m, best, &passes, NULL);
        h_expect((status == PRECINFER_CANCELLED && !s.met) || (!status && passes), "stopped: %d %d %d", status, passes, asked);
    }
    h_expect(worse <= 10, "%zu of 200 sets are larger than they need be", worse);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ networks */

START_TEST(brute_force)
{
    struct h_host host = { .threads = 1 };
    precinfer_context *ctx = h_context(&host, NULL);
    size_t nets = 0, same = 0;
    for (long seed = 0; nets < 10; seed++) {
        static struct n_net n;
        struct precinfer_minimal_options o = { 0 };
        struct precinfer_minimal_info info;
        h_reseed(seed);
        if (!n_make(&n, ctx, 8)) { n_free(&n); continue; }
        precinfer_minimal *m = n_search(&n, &o);
        precinfer_minimal_info(m, &info);
        const size_t best = n_brute(&n);
        h_expect(info.met && info.minimal && info.lowered == n.layers && info.samples == N_SAMPLES, "net %ld", seed);
        h_expect(n_is_minimal(&n, n_set(&n, m)), "net %ld: not 1-minimal", seed);
        same += info.layers == best;
        nets++;
        precinfer_minimal_free(m);
        n_free(&n);
    }
    h_expect(same >= 9, "as small as can be in %zu of 10", same);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
    h_finish();
}
END_TEST

struct watch { size_t announced, steps, cancel_at; double seconds; int refuse; };
static int announced(void *user, size_t evaluations, double seconds)
{
    struct watch *w = user;
    w->announced = evaluations;
    w->seconds = seconds;
    return w->refuse;
}
static double ticks(void *user) { return (double)(((struct watch *)user)->steps * 2); }
static int watched(void *user, const char *what, size_t done, size_t total)
{
    struct watch *w = user;
    (void)what;
    h_expect(done == w->steps + 1 && total >= 3, "%zu of %zu after %zu", done, total, w->steps);
    w->steps++;
    return w->cancel_at && w->steps >= w->cancel_at;
}

/* The first seeded net that int8 alone fails. */
static void some_net(struct n_net *n, precinfer_context *ctx)
{
    for (long seed = 0;; seed++) {
        h_reseed(seed);
        if (n_make(n, ctx, 8)) return;
        n_free(n);
    }
}

START_TEST(recipe)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    static struct n_net n;
    struct watch w = { 0 };
    struct precinfer_minimal_options o = { .announce = announced, .seconds = ticks, .progress = watched, .user = &w };
    struct precinfer_minimal_info info;
    struct precinfer_recipe_info r;
    some_net(&n, ctx);
    precinfer_minimal *m = n_search(&n, &o);
    precinfer_minimal_info(m, &info);
    h_expect(w.announced == 240 + 2 * n.layers + 2 && w.seconds == 2 && w.steps == info.evaluations &&
             info.evaluations > 2 * n.layers,
             "announced %zu evaluations of %g s, %zu were made", w.announced, w.seconds, w.steps);
    precinfer_recipe_info(info.recipe, &r);
    h_expect(r.tune_samples == N_SAMPLES && info.layers > 0 && !precinfer_minimal_layer(m, info.layers), "%zu samples",
             r.tune_samples);
    /* Every sample is known to have tuned it, and no other. */
    struct precinfer_batch b;
    n_rewind(&n);
    for (;;) {
        n_next(&n, &b, &err);
        if (!b.samples) break;
        for (size_t i = 0; i < b.samples; i++) h_expect(pi_recipe_tuned_on(info.recipe, pi_sample_hash(&b, i)),
                                                        "a sample is unknown");
    }
    h_expect(!pi_recipe_tuned_on(info.recipe, 1) && !pi_recipe_tuned_on(precinfer_plan_recipe(n.plan), 1),
             "a sample that never was");
    /* What it is for: a plan that passes and says of what precision its layers are; verified on these samples: refused. */
    precinfer_plan *p = NULL;
    precinfer_report *report = NULL;
    H_OK(precinfer_compile(n.g, info.recipe, NULL, &p, &err));
    for (size_t i = 0; i < info.lowered; i++) {
        struct precinfer_recipe_node node;
        precinfer_recipe_node(info.recipe, i, &node);
        int in = 0;
        for (size_t k = 0; k < info.layers; k++) in |= !strcmp(node.name, precinfer_minimal_layer(m, k));
        h_expect(node.precision == (in ? PRECINFER_PRECISION_F32 : PRECINFER_PRECISION_INT8), "%s", node.name);
    }
    n_rewind(&n);
    H_REFUSED(precinfer_verify(p, n.g, n_next, &n, &n.limits, &report, &err), PRECINFER_INVALID, "256 of 256", "tuning");
    /* A set may be looked for again, on the same samples: the plan meets the limits. */
    precinfer_plan *old = n.plan;
    n.plan = p;
    precinfer_minimal *again = n_search(&n, &(struct precinfer_minimal_options){ 0 });
    precinfer_minimal_info(again, &info);
    h_expect(info.met && info.layers == 0 && info.evaluations == 1, "%zu layers more after %zu evaluations", info.layers,
             info.evaluations);
    precinfer_minimal_free(again);
    n.plan = old;
    precinfer_plan_free(p);
    precinfer_minimal_free(m);
    n_free(&n);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
    h_finish();
}
END_TEST

/* Nothing helps; nothing is needed; cancelled at every step; not started. */
START_TEST(ends)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    static struct n_net n;
    struct precinfer_minimal_info info;
    struct precinfer_minimal_options o = { 0 };
    some_net(&n, ctx);
    const double limit = n.limits.min_agreement;
    n.limits.min_agreement = 1;             /* a lower bound below 1 always */
    precinfer_minimal *m = n_search(&n, &o);
    precinfer_minimal_info(m, &info);
    h_expect(!info.met && info.layers == n.layers, "met, with %zu layers", info.layers);
    precinfer_minimal_free(m);
    n.limits.min_agreement = 0.01;
    m = n_search(&n, &o);
    precinfer_minimal_info(m, &info);
    h_expect(info.met && info.minimal && !info.layers &&
             precinfer_recipe_hash(info.recipe) == precinfer_recipe_hash(precinfer_plan_recipe(n.plan)),
             "%zu layers where none is needed", info.layers);
    precinfer_minimal_free(m);
    n.limits.min_agreement = limit;
    m = n_search(&n, &o);
    precinfer_minimal_info(m, &info);
    const size_t all = info.evaluations;
    precinfer_minimal_free(m);
    size_t kept = 0;
    for (size_t at = 1; at <= all; at++) {
        struct watch w = { .cancel_at = at };
        o = (struct precinfer_minimal_options){ .size = sizeof o, .limits = &n.limits, .rewind = n_rewind, .progress = watched,
                                                .user = &w };
        m = NULL;
        n_rewind(&n);
        const int status = (int)precinfer_minimal_set(n.plan, n.g, n_next, &n, &o, &m, &err);
        h_expect(m ? !status : status == PRECINFER_CANCELLED, "step %zu: %d %s", at, status, err.text);
        if (!m) continue;
        precinfer_minimal_info(m, &info);
        kept++;
        h_expect(info.met && n_passes(&n, n_set(&n, m)), "step %zu: the best so far does not pass", at);
        precinfer_minimal_free(m);
    }
    h_expect(kept > 0, "no cancelled search kept what it had");
    struct watch w = { .refuse = 1 };
    o = (struct precinfer_minimal_options){ .size = sizeof o, .limits = &n.limits, .rewind = n_rewind, .announce = announced,
                                            .user = &w };
    n_rewind(&n);
    H_REFUSED(precinfer_minimal_set(n.plan, n.g, n_next, &n, &o, &m, &err), PRECINFER_CANCELLED, "not started");
    h_expect(w.announced > 0 && w.seconds == 0, "announced");
    n_free(&n);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
    h_finish();
}
END_TEST

START_TEST(arguments)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    static struct n_net n;
    precinfer_minimal *m = NULL;
    precinfer_plan *f32 = NULL;
    some_net(&n, ctx);
    struct precinfer_minimal_options o = { .size = sizeof o, .limits = &n.limits, .rewind = n_rewind };
    struct precinfer_verify_options none;
    H_OK(precinfer_compile(n.g, NULL, NULL, &f32, &err));
    n_rewind(&n);
    H_REFUSED(precinfer_minimal_set(f32, n.g, n_next, &n, &o, &m, &err), PRECINFER_INVALID, "f32");
    H_REFUSED(precinfer_minimal_set(n.plan, n.g, NULL, &n, &o, &m, &err), PRECINFER_INVALID, "NULL");
    precinfer_verify_defaults(&none);
    o.limits = &none;
    H_REFUSED(precinfer_minimal_set(n.plan, n.g, n_next, &n, &o, &m, &err), PRECINFER_INVALID, "no limit");
    o.limits = NULL;
    H_REFUSED(precinfer_minimal_set(n.plan, n.g, n_next, &n, &o, &m, &err), PRECINFER_INVALID, "limits");
    o = (struct precinfer_minimal_options){ .limits = &n.limits, .rewind = n_rewind };
    H_REFUSED(precinfer_minimal_set(n.plan, n.g, n_next, &n, &o, &m, &err), PRECINFER_INVALID, "size");
    precinfer_minimal_free(NULL);
    h_expect(!precinfer_minimal_layer(NULL, 0) && precinfer_minimal_info(NULL, NULL), "NULL");
    precinfer_plan_free(f32);
    n_free(&n);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
    h_finish();
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("verify_minimal");
    h_add(s, "search", search, 1, 30);
    h_add(s, "brute force", brute_force, 1, 60);
    h_add(s, "recipe", recipe, 1, 30);
    h_add(s, "ends", ends, 1, 60);
    h_add(s, "arguments", arguments, 1, 30);
    return s;
}
