/* The gate within precinfer_verify, on the digits network: the same contrasts as outputs fed by hand, beside the limits of the
 * options; and every allocation of the gate's calls failing in turn. */
#include "digits.h"
#include "gate.h"

enum { MOST = 899, BATCH = 31 };
static struct h_host host;
static precinfer_context *ctx;
static precinfer_graph *graph;
static precinfer_plan *f32, *int8;

static void setup(void)
{
    host = (struct h_host){ .threads = 1 };
    ctx = h_context(&host, NULL);
    graph = h_digits(ctx);
    f32 = h_digits_plan(ctx, graph, PRECINFER_PRECISION_F32);
    int8 = h_digits_plan(ctx, graph, PRECINFER_PRECISION_INT8);
}
static void teardown(void)
{
    precinfer_plan_free(f32);
    precinfer_plan_free(int8);
    precinfer_graph_free(graph);
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}

/* A reader that adds what a gate may want: a column, and a target. */
struct feed { precinfer_data *data; size_t at, most; const char *names[MOST + BATCH]; const char *const *column;
              const char *const *const *columns; float target[BATCH][H_CLASSES]; };
static int next(void *user, struct precinfer_batch *b, struct precinfer_error *err)
{
    struct feed *f = user;
    if (f->most && f->at >= f->most) { b->samples = 0; return 0; }
    const int status = precinfer_data_next(f->data, b, err);
    if (status || !b->samples) return status;
    f->column = f->names + f->at;
    f->columns = &f->column;
    b->columns = f->columns;
    b->target = (struct precinfer_tensor){ f->target, PRECINFER_F32, 2, { (int64_t)b->samples, H_CLASSES }, 0 };
    f->at += b->samples;
    return 0;
}
static struct feed *feed(size_t skip, size_t samples)
{
    struct feed *f = calloc(1, sizeof *f);
    struct precinfer_io io;
    struct precinfer_error err = { 0 };
    precinfer_graph_input_info(graph, 0, &io);
    const struct precinfer_data_options o = { .size = sizeof o, .path = h_models[0].evaluation, .labels = h_models[0].labels,
                                              .skip = skip,
                                              .samples = samples, .batch = BATCH, .preprocessing = &h_models[0].pre };
    H_OK(precinfer_data_open(ctx, &io, 1, &o, &f->data, &err));
    for (size_t i = 0; i < MOST; i++) f->names[i] = (i + skip) % 3 ? "odd" : "even";
    for (int i = 0; i < BATCH; i++) for (int k = 0; k < H_CLASSES; k++) f->target[i][k] = (float)(i + k);
    return f;
}
static void done(struct feed *f) { precinfer_data_free(f->data); free(f); }

static precinfer_report *verify(const precinfer_plan *plan, struct feed *f, struct precinfer_verify_options *o)
{
    struct precinfer_error err = { 0 };
    precinfer_report *r = NULL;
    H_OK(precinfer_verify(plan, graph, next, f, o, &r, &err));
    return r;
}

static const char policy[] = "{\"precinfer_policy\": 1, \"judge\": \"logits\", \"budgets\": [{\"metric\": \"top1\", "
    "\"max_drop\": \"5pt\"}, {\"metric\": \"agreement\", \"min\": 0.9},"
    "{\"metric\": \"log_loss\", \"max_increase\": 0.5, \"bounds\": [-3, 3]}, {\"metric\": \"mae\", \"max_ratio\": 1.5, "
        "\"bounds\": [-20, 20]}],"
    "\"slices\": [{\"by\": \"parity\", \"metric\": \"agreement\", \"min\": 0.8}, {\"by\": \"label\", \"metric\": \"agreement\", "
        "\"min\": 0.6}]}";

/* Outputs by hand, through sessions, into a gate of one's own. */
static precinfer_report *by_hand(const char *json, size_t skip, size_t samples)
{
    struct precinfer_error err = { 0 };
    struct feed *f = feed(skip, samples);
    precinfer_gate *g = h_gate(ctx, json);
    precinfer_session *a = h_digits_session(f32, BATCH), *b = h_digits_session(int8, BATCH);
    for (;;) {
        struct precinfer_batch x = { .samples = 0 };
        float ya[BATCH * H_CLASSES], yb[BATCH * H_CLASSES];
        H_OK(next(f, &x, &err));
        if (!x.samples) break;
        const int64_t n = (int64_t)x.samples;
        const struct precinfer_tensor outs[] = { h_logits(ya, n), h_logits(yb, n) };
        precinfer_session *const both[] = { a, b };
        for (int k = 0; k < 2; k++) {
            H_OK(precinfer_bind(both[k], "image", &x.inputs[0], &err));
            H_OK(precinfer_bind(both[k], "logits", &outs[k], &err));
            H_OK(precinfer_session_run(both[k], &err));
        }
        const struct precinfer_judged j = { .samples = x.samples, .reference = outs[0], .candidate = outs[1],
                                            .labels = x.labels, .target = x.target, .columns = x.columns };
        H_OK(precinfer_gate_add(g, &j, &err));
    }
    precinfer_report *r = h_look(g);
    precinfer_session_free(a);
    precinfer_session_free(b);
    precinfer_gate_free(g);
    done(f);
    return r;
}

static void same_contrasts(const precinfer_report *a, const precinfer_report *b)
{
    h_expect(precinfer_report_contrasts(a) == precinfer_report_contrasts(b) && precinfer_report_contrasts(a) > 0,
             "%zu contrasts, and %zu", precinfer_report_contrasts(a), precinfer_report_contrasts(b));
    for (size_t i = 0; i < precinfer_report_contrasts(a); i++) {
        const struct precinfer_contrast x = h_contrast(a, i), y = h_contrast(b, i);
        h_expect(!strcmp(x.budget, y.budget) && !x.slice == !y.slice && (!x.slice || !strcmp(x.slice, y.slice)), "names");
        h_expect(x.verdict == y.verdict && x.samples == y.samples && x.estimate == y.estimate && x.lower == y.lower &&
                 x.upper == y.upper && x.needed == y.needed,
                 "%s, %s: %g %g %g, and %g %g %g", x.budget, x.slice ? x.slice : "-", x.lower, x.estimate, x.upper, y.lower,
                     y.estimate, y.upper);
    }
}

START_TEST(with_a_policy)
{
    struct precinfer_error err = { 0 };
    precinfer_policy *p = h_policy(ctx, policy);
    struct precinfer_verify_options o;
    struct feed *f = feed(0, 0);
    precinfer_verify_defaults(&o);
    o.policy = p;
    precinfer_report *r = verify(int8, f, &o), *hand = by_hand(policy, 0, 0);
    done(f);
    same_contrasts(r, hand);
    const struct precinfer_report_info i = h_info(r), h = h_info(hand);
    struct precinfer_layer_error layer;
    h_expect(precinfer_report_contrasts(r) == 4 + 2 + 10 && i.verdict == h.verdict && i.verdict == PRECINFER_PASS, "verdict %d",
             (int)i.verdict);
    h_expect(i.samples == MOST && i.agreed == h.agreed && i.right_reference == h.right_reference && i.lost == h.lost &&
             i.agreement_lower == h.agreement_lower &&
             i.drop_upper == h.drop_upper && i.labelled && i.policy_hash == precinfer_policy_hash(p) &&
                 i.drop_limit != i.drop_limit, "info");
    h_expect(i.layers > 0 && !h.layers && !precinfer_report_layer(r, 0, &layer) && precinfer_report_layer(hand, 0, &layer) ==
             PRECINFER_INVALID, "layers");
    h_expect(precinfer_report_looks(r, NULL) == 1 && precinfer_report_seen(r, NULL) > 890 && precinfer_report_flips(r) ==
             i.samples - i.agreed, "looks");
    const uint64_t *looks;
    precinfer_report_looks(r, &looks);
    h_expect(looks[0] == i.data_hash && i.data_hash != h.data_hash, "a sample is its input: %016llx %016llx",
             (unsigned long long)looks[0], (unsigned long long)i.data_hash);
    precinfer_report_free(r);
    precinfer_report_free(hand);
    /* the options' limits besides: all must hold */
    static const struct { double agreement, drop; enum precinfer_verdict want; } limits[] = {
        { 0.5, -1, PRECINFER_PASS }, { 0.99999, -1, PRECINFER_FAIL }, { -1, 0.5, PRECINFER_PASS },
            { -1, 0, PRECINFER_UNDECIDED } };
    for (size_t k = 0; k < 4; k++) {
        f = feed(0, 0);
        o.min_agreement = limits[k].agreement;
        o.max_drop_points = limits[k].drop;
        r = verify(int8, f, &o);
        const struct precinfer_report_info n = h_info(r);
        h_expect(n.verdict == limits[k].want || (k == 1 && n.verdict == PRECINFER_UNDECIDED) ||
                 (k == 3 && n.verdict == PRECINFER_FAIL), "limits %zu: verdict %d", k, (int)n.verdict);
        h_expect((n.agreement_verdict == PRECINFER_NO_LIMIT) == (k >= 2) && (n.drop_verdict == PRECINFER_NO_LIMIT) == (k < 2),
                 "limits %zu", k);
        precinfer_report_free(r);
        done(f);
    }
    /* a policy that fails, limits that pass */
    precinfer_policy *harsh = h_policy(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"cosine\", \"min\": 1}]}");
    precinfer_verify_defaults(&o);
    o.policy = harsh;
    o.min_agreement = 0.5;
    o.no_layers = 1;
    f = feed(0, 0);
    r = verify(int8, f, &o);
    h_expect(h_info(r).verdict != PRECINFER_PASS && h_info(r).agreement_verdict == PRECINFER_PASS && h_info(r).needed_samples ==
             (h_info(r).verdict == PRECINFER_FAIL ? 0 : -1), "harsh: %d, %lld",
             (int)h_info(r).verdict, (long long)h_info(r).needed_samples);
    precinfer_report_free(r);
    done(f);
    precinfer_policy_free(harsh);
    /* refusals */
    precinfer_report *none = NULL;
    precinfer_policy *score = h_policy(ctx, "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"score\", \"name\": \"map\", "
                                       "\"max_drop\": 0.1}]}"),
        *nowhere = h_policy(ctx, "{\"precinfer_policy\": 1, \"judge\": \"nowhere\", \"preset\": \"bf16-google\"}");
    precinfer_verify_defaults(&o);
    o.policy = score;
    f = feed(0, 0);
    H_REFUSED(precinfer_verify(int8, graph, next, f, &o, &none, &err), PRECINFER_INVALID, "figure 'map'");
    o.policy = nowhere;
    H_REFUSED(precinfer_verify(int8, graph, next, f, &o, &none, &err), PRECINFER_NOT_FOUND, "nowhere");
    precinfer_gate *g = h_gate(ctx, policy);
    o.gate = g;
    H_REFUSED(precinfer_verify(int8, graph, next, f, &o, &none, &err), PRECINFER_INVALID, "another policy");
    o.size = 3000;
    H_REFUSED(precinfer_verify(int8, graph, next, f, &o, &none, &err), PRECINFER_INVALID, "size");
    precinfer_gate_free(g);
    done(f);
    precinfer_policy_free(score);
    precinfer_policy_free(nowhere);
    precinfer_policy_free(p);
    h_finish();
}
END_TEST

/* The host's own figure, from the outputs that precinfer_verify has: how large the label's output is. */
static int of_label(void *user, const char *name, const struct precinfer_judged *j, size_t i, double *reference, double *candidate,
                    struct precinfer_error *err)
{
    const size_t at = i * H_CLASSES + (size_t)j->labels[i];
    (void)err;
    if (!reference) { ++*(size_t *)user; return 0; }
    ck_assert_str_eq(name, "of the label");
    *reference = (double)((const float *)j->reference.data)[at];
    *candidate = (double)((const float *)j->candidate.data)[at];
    return 0;
}
static int of_all(void *user, const char *name, const unsigned char *weights, size_t samples, double *reference, double *candidate,
                  struct precinfer_error *err)
{
    (void)user, (void)name, (void)weights, (void)err;
    *reference = *candidate = (double)samples;
    return 0;
}
START_TEST(figures)
{
    static const char json[] = "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"score\", \"name\": \"of the label\", "
        "\"min_share\": 0.9}, {\"metric\": \"set\", \"name\": \"count\", \"max_drop\": 1}]}";
    struct precinfer_error err = { 0 };
    struct precinfer_verify_options o;
    size_t told = 0;
    const struct precinfer_figures_of of = { sizeof of, &told, of_label, of_all };
    precinfer_report *r = NULL;
    precinfer_verify_defaults(&o);
    o.no_layers = 1;
    o.gate = h_gate(ctx, json);
    struct feed *f = feed(0, 0);
    h_expect(precinfer_verify(int8, graph, next, f, &o, &r, &err) == PRECINFER_INVALID && strstr(err.text, "of the label"),
             "no host: %s", err.text);
    precinfer_gate_free(o.gate);
    done(f);
    o.gate = h_gate(ctx, json);
    H_OK(precinfer_gate_figures(o.gate, &of, &err));
    f = feed(0, 0);
    r = verify(int8, f, &o);
    h_expect(told == MOST && h_contrast(r, 0).samples == MOST && h_contrast(r, 0).verdict == PRECINFER_PASS
             && h_contrast(r, 1).reference == MOST && h_contrast(r, 1).verdict == PRECINFER_PASS, "told of %zu samples; %s", told,
             h_contrast(r, 0).method);
    precinfer_report_free(r);
    precinfer_gate_free(o.gate);
    done(f);
    h_finish();
}
END_TEST

/* A gate of one's own: two halves, gone on from, are the whole. */
START_TEST(with_a_gate)
{
    static const char json[] = "{\"precinfer_policy\": 1, \"budgets\": [{\"metric\": \"top1\", \"max_drop\": \"5pt\"}, "
        "{\"metric\": \"agreement\", \"min\": 0.9}],"
        "\"latency\": {\"median_max_ratio\": 1.5}}";
    struct precinfer_error err = { 0 };
    struct precinfer_verify_options o;
    const double ns[] = { 1, 2, 3 };
    precinfer_verify_defaults(&o);
    o.no_layers = 1;
    precinfer_gate *first = h_gate(ctx, json), *second = h_gate(ctx, json);
    struct feed *f = feed(0, 500);
    o.gate = first;
    precinfer_report *a = verify(int8, f, &o);
    done(f);
    struct precinfer_evidence e[8];
    struct precinfer_past past = { .size = sizeof past, .evidence = e, .nevidence = precinfer_report_contrasts(a),
                                   .policy_hash = h_info(a).policy_hash };
    for (size_t i = 0; i < past.nevidence; i++) e[i] = h_evidence(a, i);
    past.nseen = precinfer_report_seen(a, &past.seen);
    past.looks = precinfer_report_looks(a, &past.data_hashes);
    H_OK(precinfer_gate_continue(second, &past, &err));
    H_OK(precinfer_gate_latency(second, ns, ns, 3, &err));
    f = feed(500, 0);
    o.gate = second;
    precinfer_report *b = verify(int8, f, &o);
    done(f);
    precinfer_policy *p = h_policy(ctx, json);
    o.gate = NULL;
    o.policy = p;
    f = feed(0, 0);
    precinfer_report *whole = verify(int8, f, &o);
    done(f);
    for (size_t i = 0; i < 2; i++) {
        const struct precinfer_contrast x = h_contrast(b, i), y = h_contrast(whole, i);
        h_expect(x.samples == y.samples && x.lower == y.lower && x.upper == y.upper && x.estimate == y.estimate, "contrast %zu",
                 i);
    }
    h_expect(h_contrast(b, 2).units == 3 && h_contrast(whole, 2).units == 0 && h_info(whole).verdict == PRECINFER_UNDECIDED,
             "latency");
    h_expect(h_info(b).samples == MOST - 500 && precinfer_report_looks(b, NULL) == 2, "two looks");
    /* the first half again */
    precinfer_gate *third = h_gate(ctx, json);
    precinfer_report *none = NULL;
    H_OK(precinfer_gate_continue(third, &past, &err));
    o.policy = NULL;
    o.gate = third;
    f = feed(0, 500);
    H_REFUSED(precinfer_verify(int8, graph, next, f, &o, &none, &err), PRECINFER_INVALID, "earlier look again");
    done(f);
    f = feed(0, 500);
    H_REFUSED(precinfer_verify(int8, graph, next, f, &o, &none, &err), PRECINFER_INVALID, "halfway");
    done(f);
    precinfer_report_free(a); precinfer_report_free(b); precinfer_report_free(whole);
    precinfer_gate_free(first); precinfer_gate_free(second); precinfer_gate_free(third);
    precinfer_policy_free(p);
    h_finish();
}
END_TEST

/* Samples that calibration saw: the gate passes them over as the limits do; the policy says how many may be there. */
START_TEST(calibrated_on)
{
    struct precinfer_error err = { 0 };
    struct precinfer_io io;
    precinfer_graph_input_info(graph, 0, &io);
    struct precinfer_verify_options o;
    precinfer_verify_defaults(&o);
    o.no_layers = 1;
    for (int k = 0; k < 3; k++) {
        char json[256];
        precinfer_data *d = NULL;
        precinfer_report *r = NULL;
        snprintf(json, sizeof json, "{\"precinfer_policy\": 1, \"samples\": {\"max_overlap\": %s}, \"budgets\": [{\"metric\": "
                 "\"agreement\", \"min\": 0.5}]}", k ? "0.2" : "0.1");
        precinfer_policy *p = h_policy(ctx, json);
        const struct precinfer_data_options data = { .size = sizeof data, .path = h_models[0].calibration, .batch = 8,
                                                     .preprocessing = &h_models[0].pre };
        H_OK(precinfer_data_open(ctx, &io, 1, &data, &d, &err));
        o.policy = p;
        o.allow_overlap = k == 2;
        const enum precinfer_status status = precinfer_verify(int8, graph, precinfer_data_next, d, &o, &r, &err);
        if (!k) h_expect(status == PRECINFER_INVALID && strstr(err.text, "16 of 128"), "%s", err.text);
        else h_expect(!status && h_info(r).overlap_samples == 16 && h_contrast(r, 0).samples == (k == 1 ? 112 : 128) &&
                      h_info(r).samples == h_contrast(r, 0).samples,
                      "%llu judged", status ? 0ull : (unsigned long long)h_contrast(r, 0).samples);
        precinfer_report_free(r);
        precinfer_data_free(d);
        precinfer_policy_free(p);
    }
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ memory */

static struct h_samples samples;

static int build_policy(precinfer_context *c, int cluster, precinfer_policy **policy_, struct precinfer_error *err)
{
    const struct precinfer_budget budgets[] = {
        { .size = sizeof(struct precinfer_budget), .metric = PRECINFER_TOPK, .limit = PRECINFER_MAX_DROP, .value = 0.1,
          .by = "region",
          .slices = (const char *[]){ "north", "west" }, .margins = (double[]){ 0.2, 0.3 }, .nmargins = 2 },
        { .size = sizeof(struct precinfer_budget), .metric = PRECINFER_MAE, .limit = PRECINFER_MAX_RATIO, .value = 1.2,
          .low = -2, .high = 2 },
        { .size = sizeof(struct precinfer_budget), .metric = PRECINFER_AGREEMENT, .limit = PRECINFER_MIN, .value = 0.9 },
        { .size = sizeof(struct precinfer_budget), .metric = PRECINFER_LATENCY, .limit = PRECINFER_MIN, .value = 0.9,
          .threshold = 1e6 },
        { .size = sizeof(struct precinfer_budget), .metric = PRECINFER_MAE, .limit = PRECINFER_MAX_DROP, .value = 1.2,
          .name = "unbounded" },
        { .size = sizeof(struct precinfer_budget), .metric = PRECINFER_AUC, .limit = PRECINFER_MAX_DROP, .value = 0.2,
          .positive = 1 } };
    const struct precinfer_policy_rules rules = { .size = sizeof rules, .max_overlap = -1, .judge = "logits", .cluster = cluster
                                                  ? "user" : NULL };
    int status = precinfer_policy_new(c, policy_, err);
    for (size_t i = 0; i < (cluster ? 6u : 4u) && !status; i++) status = precinfer_policy_budget(*policy_, &budgets[i], err);
    return status ? status : (int)precinfer_policy_set_rules(*policy_, &rules, err);
}

/* Everything of a gate's life. Nothing stays. */
static int life(precinfer_context *c, int cluster, struct precinfer_error *err)
{
    precinfer_policy *p = NULL;
    precinfer_gate *a = NULL, *b = NULL;
    precinfer_report *r = NULL, *q = NULL;
    const double ns[] = { 1e5, 2e6, 3e5 };
    struct precinfer_evidence e[16];
    struct precinfer_past past = { .size = sizeof past, .evidence = e };
    int s = build_policy(c, cluster, &p, err);
    if (!s) s = precinfer_gate_new(c, p, &a, err);
    if (!s) s = h_feed(a, &samples, 0, 40, 20, samples.region, samples.user, err);
    if (!s) s = precinfer_gate_latency(a, ns, ns, 3, err);
    if (!s) s = precinfer_gate_report(a, &r, err);
    if (!s && !cluster) {
        ck_assert(precinfer_report_contrasts(r) >= 6 && precinfer_report_flips(r) > 0 && precinfer_report_confusions(r) > 0);
        past.nevidence = precinfer_report_contrasts(r);
        past.policy_hash = h_info(r).policy_hash;
        for (size_t i = 0; i < past.nevidence; i++) e[i] = h_evidence(r, i);
        past.nseen = precinfer_report_seen(r, &past.seen);
        past.looks = precinfer_report_looks(r, &past.data_hashes);
        s = precinfer_gate_new(c, p, &b, err);
        if (!s) s = precinfer_gate_continue(b, &past, err);
        if (!s) s = h_feed(b, &samples, 40, 40, 20, samples.region, samples.user, err);
        if (!s) s = precinfer_gate_report(b, &q, err);
    }
    precinfer_report_free(r);
    precinfer_report_free(q);
    precinfer_gate_free(a);
    precinfer_gate_free(b);
    precinfer_policy_free(p);
    return s;
}
static int parse(precinfer_context *c, int unused, struct precinfer_error *err)
{
    precinfer_policy *p = NULL;
    (void)unused;
    const int s = precinfer_policy_parse(c, policy, sizeof policy - 1, &p, err);
    precinfer_policy_free(p);
    return s;
}
static int verifies(precinfer_context *c, int unused, struct precinfer_error *err)
{
    struct precinfer_verify_options o;
    precinfer_report *r = NULL;
    struct precinfer_budget b = { .size = sizeof b, .metric = PRECINFER_AGREEMENT, .limit = PRECINFER_MIN, .value = 0.5 };
    precinfer_policy *p = NULL;
    struct feed *f = NULL;
    (void)unused;
    const long fail_at = host.fail_at;          /* opening the data is not what is tried here */
    host.fail_at = 0;
    f = feed(0, 4);
    host.fail_at = fail_at ? fail_at + host.calls : 0;
    int s = precinfer_policy_new(c, &p, err);
    if (!s) s = precinfer_policy_budget(p, &b, err);
    precinfer_verify_defaults(&o);
    o.policy = p;
    o.no_layers = 1;
    if (!s) s = precinfer_verify(f32, graph, next, f, &o, &r, err);
    precinfer_report_free(r);
    precinfer_policy_free(p);
    done(f);
    return s;
}

START_TEST(every_allocation)
{
    static int (*const calls[])(precinfer_context *c, int how, struct precinfer_error *err) = { life, life, parse, verifies };
    h_reseed(1);
    h_samples(&samples, 100, 2000);
    struct precinfer_error err = { 0 };
    for (long n = 1;; n++) {
        const long live = host.live, failed = host.failed;
        host.fail_all = n & 1;
        host.calls = 0;
        host.fail_at = n;
        const int s = calls[_i](ctx, _i == 1, &err);
        host.fail_at = 0;
        if (host.failed == failed) { ck_assert_msg(!s, "%s", err.text); h_expect(n > 10, "only %ld allocations", n); break; }
        h_expect(s == PRECINFER_NO_MEMORY && err.status == PRECINFER_NO_MEMORY, "allocation %ld failed, but the call returned "
                 "%d: %s", n, s, err.text);
        h_expect(host.live == live, "allocation %ld failed, and %ld blocks are not given back", n, (long)host.live - live);
    }
    h_finish();
}
END_TEST

/* Limits on what a gate counted are those of a verification without one. */
START_TEST(limits)
{
    struct precinfer_error err = { 0 };
    struct precinfer_verify_options o;
    precinfer_report *r = by_hand(policy, 0, 0);
    struct precinfer_report_info a, b;
    for (int i = 0; i < 4; i++) {
        precinfer_verify_defaults(&o);
        if (i & 1) o.min_agreement = i > 1 ? 0.9999 : 0.9;
        if (i & 2) o.max_drop_relative = 0.002;
        struct feed *f = feed(0, 0);
        precinfer_report *want = verify(int8, f, &o);
        H_OK(precinfer_report_info(want, &a));
        H_OK(precinfer_report_limits(r, &o, &b, &err));
        h_expect(a.verdict == b.verdict && a.agreement_verdict == b.agreement_verdict && a.drop_verdict == b.drop_verdict
                 && a.needed_samples == b.needed_samples && (a.drop_limit == b.drop_limit || (a.drop_limit != a.drop_limit
                 && b.drop_limit != b.drop_limit)) && a.agreed == b.agreed && a.lost == b.lost && a.agreement_lower == b.agreement_lower,
                 "limits %d: verdict %d and %d, needed %lld and %lld", i, (int)a.verdict, (int)b.verdict, (long long)a.needed_samples,
                 (long long)b.needed_samples);
        precinfer_report_free(want);
        done(f);
    }
    h_expect(precinfer_report_limits(r, NULL, &b, &err) == PRECINFER_INVALID && precinfer_report_limits(NULL, &o, &b, &err) == PRECINFER_INVALID
             && precinfer_report_limits(r, &o, NULL, &err) == PRECINFER_INVALID, "NULL");
    o.size = sizeof o + 8;
    h_expect(precinfer_report_limits(r, &o, &b, &err) == PRECINFER_INVALID && strstr(err.text, "size"), "size");
    precinfer_report_free(r);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    const struct { const char *name; const TTest *test; int loops; } tests[] = {
        { "with_a_policy", with_a_policy, 1 }, { "with_a_gate", with_a_gate, 1 }, { "calibrated_on", calibrated_on, 1 },
            { "limits", limits, 1 }, { "figures", figures, 1 },
            { "every_allocation", every_allocation, 4 } };
    Suite *suite = suite_create("api_gate");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *c = tcase_create(tests[i].name);
        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_loop_test(c, tests[i].test, 0, tests[i].loops);
        tcase_set_timeout(c, 120);
        suite_add_tcase(suite, c);
    }
    return suite;
}
