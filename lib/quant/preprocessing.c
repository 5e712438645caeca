#include <string.h>
#include "../base/error.h"
#include "recipe.h"

enum { MOST = 16 };

static int finite(float x) { return x - x == 0; }

int pi_preprocessing_check(const struct precinfer_preprocessing *p, const char *where, struct precinfer_error *err)
{
    if (!p->given) return 0;
    if (!finite(p->divide) || p->divide == 0)
        return pi_fail(err, PRECINFER_MALFORMED, "%s.divide: must be finite and not 0", where);
    if (p->channels < 0 || p->channels > MOST)
        return pi_fail(err, PRECINFER_MALFORMED, "%s.mean: %d channels; at most %d", where, p->channels, MOST);
    for (int i = 0; i < p->channels; i++) {
        if (!finite(p->mean[i])) return pi_fail(err, PRECINFER_MALFORMED, "%s.mean[%d]: must be finite", where, i);
        if (!finite(p->std[i]) || p->std[i] == 0)
            return pi_fail(err, PRECINFER_MALFORMED, "%s.std[%d]: must be finite and not 0", where, i);
    }
    if ((unsigned)p->layout > PRECINFER_NHWC)
        return pi_fail(err, PRECINFER_MALFORMED, "%s.layout: must be model, nchw or nhwc", where);
    return 0;
}

/* Field by field: the struct has padding and unused elements. */
int pi_preprocessing_same(const struct precinfer_preprocessing *a, const struct precinfer_preprocessing *b)
{
    if (!a->given || !b->given) return !a->given == !b->given;
    return a->divide == b->divide && a->channels == b->channels && a->layout == b->layout
        && !memcmp(a->mean, b->mean, (size_t)a->channels * sizeof *a->mean)
        && !memcmp(a->std, b->std, (size_t)a->channels * sizeof *a->std);
}

void pi_preprocessing_encode(const struct precinfer_preprocessing *p, struct pi_bytes *out)
{
    pi_put_u8(out, p->given != 0);
    if (!p->given) return;
    pi_put_f32(out, p->divide);
    pi_put_u8(out, (unsigned)p->layout);
    pi_put_u8(out, (unsigned)p->channels);
    for (int i = 0; i < p->channels; i++) { pi_put_f32(out, p->mean[i]); pi_put_f32(out, p->std[i]); }
}

void pi_preprocessing_decode(struct pi_reader *r, struct precinfer_preprocessing *p)
{
    *p = (struct precinfer_preprocessing){ .divide = 1 };
    const unsigned given = pi_get_u8(r);
    if (given > 1) r->failed = 1;
    if (given != 1) return;
    p->given = 1;
    p->divide = pi_get_f32(r);
    p->layout = (enum precinfer_layout)pi_get_u8(r);
    const unsigned channels = pi_get_u8(r);
    if (channels > MOST) { r->failed = 1; return; }
    p->channels = (int)channels;
    for (unsigned i = 0; i < channels; i++) { p->mean[i] = pi_get_f32(r); p->std[i] = pi_get_f32(r); }
}
