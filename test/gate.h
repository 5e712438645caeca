/* What the tests of the gate share: a policy from JSON, outputs of a reference and a candidate whose errors are known. */
#ifndef PI_TEST_GATE_H
#define PI_TEST_GATE_H
#include <math.h>
#include "harness.h"
#include "precinfer.h"

static inline precinfer_policy *h_policy(precinfer_context *ctx, const char *json)
{
    struct precinfer_error err = { 0 };
    precinfer_policy *p = NULL;
    ck_assert_msg(!precinfer_policy_parse(ctx, json, strlen(json), &p, &err), "%s: %s", json, err.text);
    return p;
}
static inline precinfer_gate *h_gate(precinfer_context *ctx, const char *json)
{
    struct precinfer_error err = { 0 };
    precinfer_gate *g = NULL;
    precinfer_policy *p = h_policy(ctx, json);
    ck_assert_msg(!precinfer_gate_new(ctx, p, &g, &err), "%s", err.text);
    precinfer_policy_free(p);
    return g;
}
static inline precinfer_report *h_look(precinfer_gate *g)
{
    struct precinfer_error err = { 0 };
    precinfer_report *r = NULL;
    ck_assert_msg(!precinfer_gate_report(g, &r, &err), "%s", err.text);
    return r;
}
static inline struct precinfer_contrast h_contrast(const precinfer_report *r, size_t i)
{
    struct precinfer_contrast c;
    ck_assert_msg(!precinfer_report_contrast(r, i, &c), "there is no contrast %zu", i);
    return c;
}
static inline struct precinfer_evidence h_evidence(const precinfer_report *r, size_t i)
{
    struct precinfer_evidence e;
    ck_assert_msg(!precinfer_report_evidence(r, i, &e), "there is no evidence %zu", i);
    return e;
}
static inline struct precinfer_report_info h_info(const precinfer_report *r)
{
    struct precinfer_report_info i;
    ck_assert(!precinfer_report_info(r, &i));
    return i;
}

/* Samples of one row each: logits of H_LOGITS classes and a target per class, an id, a user and a region. */
enum { H_LOGITS = 5, H_MOST = 20000 };
struct h_samples {
    size_t n;
    float ref[H_MOST][H_LOGITS], cand[H_MOST][H_LOGITS], target[H_MOST][H_LOGITS];
    int64_t labels[H_MOST];
    uint64_t ids[H_MOST], indexes[H_MOST];
    double score_r[H_MOST], score_c[H_MOST];
    char users[H_MOST][16];
    const char *user[H_MOST], *region[H_MOST];
    int top_r[H_MOST], top_c[H_MOST];
};

static inline int h_top(const float *x)
{
    int best = 0;
    for (int i = 1; i < H_LOGITS; i++) if (x[i] > x[best]) best = i;
    return best;
}
/* The reference is right in 80 of 100, the candidate answers something else in `differ` of 10000. */
static inline void h_samples(struct h_samples *s, size_t n, uint32_t differ)
{
    static const char *const regions[] = { "north", "south", "east" };
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        s->labels[i] = h_below(H_LOGITS);
        const int other = h_below(100) < 80 ? (int)s->labels[i] : (int)h_below(H_LOGITS);
        for (int k = 0; k < H_LOGITS; k++) {
            s->ref[i][k] = h_unit() + (k == other ? 2.5f : 0);
            s->cand[i][k] = s->ref[i][k] + 0.01f * h_unit();
            s->target[i][k] = s->ref[i][k] + h_unit();
        }
        if (h_below(10000) < differ) s->cand[i][h_below(H_LOGITS)] += 4;
        s->top_r[i] = h_top(s->ref[i]);
        s->top_c[i] = h_top(s->cand[i]);
        s->ids[i] = h_rnd64();
        s->indexes[i] = i;
        s->score_r[i] = h_unit();
        s->score_c[i] = s->score_r[i] + 0.02 * h_unit();
        snprintf(s->users[i], sizeof s->users[i], "u%u", h_below((uint32_t)(n / 4 + 1)));
        s->user[i] = s->users[i];
        s->region[i] = regions[h_below(3)];
    }
}
/* Samples [from, from + n) in the gate, `batch` at a time. Columns: as the policy's first two, user and region; the caller says
 * which come in which order. */
static inline int h_feed(precinfer_gate *g, struct h_samples *s, size_t from, size_t n, size_t batch, const char *const *first,
                         const char *const *second, struct precinfer_error *err)
{
    for (size_t done = 0; done < n; done += batch) {
        const size_t m = n - done < batch ? n - done : batch, at = from + done;
        const char *const *columns[2] = { first ? first + at : NULL, second ? second + at : NULL };
        const struct precinfer_figure figures[] = { { "quality", s->score_r + at, s->score_c + at } };
        const struct precinfer_judged j = {
            .samples = m, .labels = s->labels + at, .columns = columns, .ids = s->ids + at, .indexes = s->indexes + at,
            .reference = { s->ref[at], PRECINFER_F32, 2, { (int64_t)m, H_LOGITS }, 0 },
            .candidate = { s->cand[at], PRECINFER_F32, 2, { (int64_t)m, H_LOGITS }, 0 },
            .target = { s->target[at], PRECINFER_F32, 2, { (int64_t)m, H_LOGITS }, 0 }, .figures = figures, .nfigures = 1 };
        const int status = precinfer_gate_add(g, &j, err);
        if (status) return status;
    }
    return 0;
}
static inline void h_feed_all(precinfer_gate *g, struct h_samples *s)
{
    struct precinfer_error err = { 0 };
    ck_assert_msg(!h_feed(g, s, 0, s->n, 37, NULL, NULL, &err), "%s", err.text);
}
#endif
