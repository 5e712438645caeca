/* Everything streams through a few hundred doubles: an output may be a whole window of logits. */
#include <float.h>
#include <math.h>
#include <string.h>
#include "../base/math.h"
#include "../base/tensor.h"
#include "metric.h"

#define LOAD(type) \
    do { const type *x = (const type *)t->data + at; for (size_t i = 0; i < n; i++) out[i] = (double)x[i]; } while (0)
void pi_load_doubles(const struct precinfer_tensor *t, size_t at, size_t n, double out[PI_CHUNK])
{
    switch (t->dtype) {
    case PRECINFER_F32: LOAD(float); return;
    case PRECINFER_F64: LOAD(double); return;
    case PRECINFER_U8: case PRECINFER_BOOL: LOAD(uint8_t); return;
    case PRECINFER_S8: LOAD(int8_t); return;
    case PRECINFER_U16: LOAD(uint16_t); return;
    case PRECINFER_S16: LOAD(int16_t); return;
    case PRECINFER_S32: LOAD(int32_t); return;
    case PRECINFER_U32: LOAD(uint32_t); return;
    case PRECINFER_S64: LOAD(int64_t); return;
    case PRECINFER_U64: LOAD(uint64_t); return;
    case PRECINFER_BF16: case PRECINFER_F16: {
        const uint16_t *x = (const uint16_t *)t->data + at;
        for (size_t i = 0; i < n; i++) out[i] = (double)(t->dtype == PRECINFER_F16 ? pi_f16_to_f32(x[i]) : pi_bf16_to_f32(x[i]));
        return;
    }
    default: for (size_t i = 0; i < n; i++) out[i] = NAN;
    }
}
static double element(const struct precinfer_tensor *t, size_t at)
{
    double x[PI_CHUNK];
    pi_load_doubles(t, at, 1, x);
    return x[0];
}
static size_t chunk(size_t done, size_t n) { return n - done < PI_CHUNK ? n - done : PI_CHUNK; }

/* ------------------------------------------------------------------------------------------------ classes */

struct pi_top pi_top1(const struct precinfer_tensor *t, size_t at, size_t n)
{
    struct pi_top top = { -1, -INFINITY, -INFINITY };
    double x[PI_CHUNK];
    for (size_t done = 0; done < n; done += PI_CHUNK) {
        const size_t m = chunk(done, n);
        pi_load_doubles(t, at + done, m, x);
        for (size_t i = 0; i < m; i++) {
            if (x[i] != x[i]) return (struct pi_top){ -1, 0, 0 };
            if (top.index < 0 || x[i] > top.max) {
                if (top.index >= 0) top.second = top.max;
                top.max = x[i];
                top.index = (int64_t)(done + i);
            } else if (x[i] > top.second) {
                top.second = x[i];
            }
        }
    }
    return top;
}

int pi_in_topk(const struct precinfer_tensor *t, size_t at, size_t n, int64_t label, int k)
{
    if (label < 0 || (uint64_t)label >= n) return 0;
    const size_t wanted = (size_t)label;
    const double y = element(t, at + wanted);
    size_t before = 0;
    double x[PI_CHUNK];
    for (size_t done = 0; done < n; done += PI_CHUNK) {
        const size_t m = chunk(done, n);
        pi_load_doubles(t, at + done, m, x);
        for (size_t i = 0; i < m; i++) {
            if (x[i] != x[i]) return 0;
            before += x[i] > y || (x[i] == y && done + i < wanted);
        }
    }
    return before < (size_t)k;
}

/* ------------------------------------------------------------------------------------------------ log loss */

/* -log of a probability; below the least normal float it counts as that: softmax in f32 knows no less. NaN: none. */
static double loss_of_probability(double p)
{
    if (!(p >= 0 && p <= 1.001)) return NAN;
    return -pi_math_log(p < (double)FLT_MIN ? (double)FLT_MIN : p > 1 ? 1 : p);
}
/* log(1 + exp(x)) without overflow */
static double softplus(double x)
{
    if (x > 700) return x;
    return x > 0 ? x + pi_math_log(1 + pi_math_exp(-x)) : pi_math_log(1 + pi_math_exp(x));
}

/* One position of n classes; n = 1: one score for class 1 against class 0. */
static double log_loss(const struct precinfer_tensor *t, size_t at, size_t n, int64_t label, int probabilities)
{
    const double y = element(t, at + (n == 1 ? 0 : (size_t)label));
    if (n == 1) return probabilities ? loss_of_probability(label ? y : 1 - y) : softplus(label ? -y : y);
    if (probabilities) return loss_of_probability(y);
    const struct pi_top top = pi_top1(t, at, n);
    if (top.index < 0) return NAN;
    double x[PI_CHUNK], sum = 0;
    for (size_t done = 0; done < n; done += PI_CHUNK) {
        const size_t m = chunk(done, n);
        pi_load_doubles(t, at + done, m, x);
        for (size_t i = 0; i < m; i++) sum += pi_math_exp(x[i] - top.max);
    }
    return pi_math_log(sum) + (top.max - y);
}

/* A negative label among several of a sample is a position that does not count. */
static int log_losses(const struct precinfer_policy *p, const struct pi_sample *s, struct pi_figures *f,
                      struct precinfer_error *err)
{
    const size_t classes = s->each / s->nlabels, base = s->i * s->each;
    size_t n = 0;
    for (size_t k = 0; k < s->nlabels; k++) {
        const int64_t label = s->labels[k];
        if (label < 0 && s->nlabels > 1) continue;
        if (label < 0 || (uint64_t)label >= (classes == 1 ? 2 : classes))
            return pi_fail(err, PRECINFER_INVALID, "sample %zu: label %lld, but the output has %zu classes", s->index,
                           (long long)label, classes == 1 ? (size_t)2 : classes);
        f->r += log_loss(&s->j->reference, base + k * classes, classes, label, p->rules.probabilities);
        f->c += log_loss(&s->j->candidate, base + k * classes, classes, label, p->rules.probabilities);
        n++;
    }
    if (!n) return pi_fail(err, PRECINFER_INVALID, "sample %zu: no position has a label", s->index);
    f->r = s->reference.index < 0 ? NAN : f->r / (double)n;
    f->c = s->candidate.index < 0 ? NAN : f->c / (double)n;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ regression */

static int errors(const struct precinfer_budget *b, const struct pi_sample *s, struct pi_figures *f, struct precinfer_error *err)
{
    double t[PI_CHUNK], x[PI_CHUNK], y[PI_CHUNK];
    for (size_t done = 0; done < s->each; done += PI_CHUNK) {
        const size_t m = chunk(done, s->each), at = s->i * s->each + done;
        pi_load_doubles(&s->j->target, at, m, t);
        pi_load_doubles(&s->j->reference, at, m, x);
        pi_load_doubles(&s->j->candidate, at, m, y);
        for (size_t i = 0; i < m; i++) {
            if (!(t[i] - t[i] == 0)) return pi_fail(err, PRECINFER_INVALID, "sample %zu: the target is not finite", s->index);
            const double dx = x[i] - t[i], dy = y[i] - t[i];
            double r = dx < 0 ? -dx : dx, c = dy < 0 ? -dy : dy;
            if (b->metric == PRECINFER_RMSE) { r *= r; c *= c; }
            if (b->metric == PRECINFER_RELATIVE_MAE) {
                if (t[i] == 0)
                    return pi_fail(err, PRECINFER_INVALID, "sample %zu: no error is relative to a target of 0", s->index);
                r /= t[i] < 0 ? -t[i] : t[i];
                c /= t[i] < 0 ? -t[i] : t[i];
            }
            f->r += r;
            f->c += c;
        }
    }
    f->r /= (double)s->each;
    f->c /= (double)s->each;
    return 0;
}

/* Two zero vectors are alike; of a zero vector and another one the cosine is 0. */
static double cosine(const struct pi_sample *s, int *bad_reference)
{
    double x[PI_CHUNK], y[PI_CHUNK], xx = 0, yy = 0, xy = 0;
    for (size_t done = 0; done < s->each; done += PI_CHUNK) {
        const size_t m = chunk(done, s->each), at = s->i * s->each + done;
        pi_load_doubles(&s->j->reference, at, m, x);
        pi_load_doubles(&s->j->candidate, at, m, y);
        for (size_t i = 0; i < m; i++) { xx += x[i] * x[i]; yy += y[i] * y[i]; xy += x[i] * y[i]; }
    }
    *bad_reference = !(xx - xx == 0);
    if (!(yy - yy == 0)) return NAN;
    if (xx == 0 || yy == 0) return xx == yy;
    const double c = xy / sqrt(xx) / sqrt(yy);
    return c > 1 ? 1 : c < -1 ? -1 : c;
}

/* ------------------------------------------------------------------------------------------------ sets and figures */

static int set_scores(const struct precinfer_budget *b, const struct pi_sample *s, struct pi_figures *f,
                      struct precinfer_error *err)
{
    if (s->each > 1 && (uint64_t)b->positive >= s->each)
        return pi_fail(err, PRECINFER_INVALID, "class %lld is looked for, but the output has %zu", (long long)b->positive,
                       s->each);
    const size_t at = s->i * s->each + (s->each > 1 ? (size_t)b->positive : 0);
    const int positive = s->labels[0] == b->positive;
    f->r = s->reference.index < 0 ? NAN : element(&s->j->reference, at);
    f->c = s->candidate.index < 0 ? NAN : element(&s->j->candidate, at);
    if (f->r != f->r) return 0;
    if (b->metric == PRECINFER_F1) {
        f->r = f->r >= b->threshold;
        f->c = f->c == f->c ? f->c >= b->threshold : !positive;
        return 0;
    }
    /* NaN ranks where it does most harm; infinities in their order */
    if (f->c != f->c) f->c = positive ? -DBL_MAX : DBL_MAX;
    f->r = f->r > DBL_MAX ? DBL_MAX : f->r < -DBL_MAX ? -DBL_MAX : f->r;
    f->c = f->c > DBL_MAX ? DBL_MAX : f->c < -DBL_MAX ? -DBL_MAX : f->c;
    return 0;
}

static const struct precinfer_figure *figure(const struct precinfer_judged *j, const char *name)
{
    for (size_t i = 0; i < j->nfigures; i++)
        if (j->figures[i].name && !strcmp(j->figures[i].name, name)) return &j->figures[i];
    return NULL;
}

int pi_needs_figure(enum precinfer_metric m) { return m == PRECINFER_SCORE || m == PRECINFER_ERROR; }
int pi_needs_outputs(enum precinfer_metric m) { return !pi_needs_figure(m) && m != PRECINFER_LATENCY && m != PRECINFER_SET; }
int pi_needs_target(enum precinfer_metric m) { return m == PRECINFER_MAE || m == PRECINFER_RMSE || m == PRECINFER_RELATIVE_MAE; }
int pi_needs_labels(enum precinfer_metric m)
{
    return m == PRECINFER_TOPK || m == PRECINFER_LOG_LOSS || m == PRECINFER_PERPLEXITY || m == PRECINFER_AUC || m == PRECINFER_F1;
}

/* classes 0: any number of them. A label beyond the output's would make both models wrong, and so every limit easier to keep. */
static int bad_label(const struct pi_sample *s, size_t classes, struct precinfer_error *err)
{
    const int64_t label = s->labels[0];
    if (label < 0) return pi_fail(err, PRECINFER_INVALID, "sample %zu: label %lld is no class", s->index, (long long)label);
    if (!classes || (uint64_t)label < classes) return 0;
    return pi_fail(err, PRECINFER_INVALID, "sample %zu: label %lld, but the output has %zu classes", s->index, (long long)label,
                   classes);
}

int pi_figures_check(const struct precinfer_budget *b, const struct pi_sample *s, int bad_reference, struct pi_figures *f,
                     struct precinfer_error *err)
{
    if (bad_reference || !(f->r - f->r == 0))
        return pi_fail(err, PRECINFER_INVALID, "sample %zu: %s of the reference is no finite number, so nothing can be held "
                       "against it", s->index, pi_needs_figure(b->metric) ? b->name : "the output");
    f->bad_c = !(f->c - f->c == 0);
    return 0;
}

int pi_figures(const struct precinfer_policy *p, const struct precinfer_budget *b, const struct pi_sample *s,
               struct pi_figures *f, struct precinfer_error *err)
{
    const size_t at = s->i * s->each;
    int bad_reference = 0;
    *f = (struct pi_figures){ 0 };
    switch (b->metric) {
    case PRECINFER_TOPK:
        PI_TRY(bad_label(s, s->each, err));
        f->r = b->k == 1 ? s->reference.index == s->labels[0] : pi_in_topk(&s->j->reference, at, s->each, s->labels[0], b->k);
        f->c = b->k == 1 ? s->candidate.index == s->labels[0] : pi_in_topk(&s->j->candidate, at, s->each, s->labels[0], b->k);
        bad_reference = s->reference.index < 0;
        break;
    case PRECINFER_AGREEMENT:
        f->c = s->candidate.index == s->reference.index;
        bad_reference = s->reference.index < 0;
        break;
    case PRECINFER_LOG_LOSS: case PRECINFER_PERPLEXITY: PI_TRY(log_losses(p, s, f, err)); break;
    case PRECINFER_MAE: case PRECINFER_RMSE: case PRECINFER_RELATIVE_MAE: PI_TRY(errors(b, s, f, err)); break;
    case PRECINFER_COSINE: f->c = cosine(s, &bad_reference); break;
    case PRECINFER_AUC: case PRECINFER_F1: PI_TRY(bad_label(s, 0, err)); PI_TRY(set_scores(b, s, f, err)); break;
    default: {
        const struct precinfer_figure *x = figure(s->j, b->name);
        f->r = x->reference[s->i];
        f->c = x->candidate[s->i];
    }
    }
    return pi_figures_check(b, s, bad_reference, f, err);
}
