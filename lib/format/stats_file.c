/* Sections: INFO (hashes, number of samples, preprocessing), VALS (ranges and histograms), SMPL (sorted sample hashes). */
#include <string.h>
#include "../base/error.h"
#include "../base/sort.h"
#include "stats_file.h"

static const struct pi_container_type type = { PI_TAG('S', 'T', 'A', 'T'), 1, 0, "statistics" };
enum { INFO = PI_TAG('I', 'N', 'F', 'O'), VALS = PI_TAG('V', 'A', 'L', 'S'), SMPL = PI_TAG('S', 'M', 'P', 'L') };

/* ------------------------------------------------------------------------------------------------ writing */

/* Every bin is written, so that a small file cannot ask for much memory. */
static void put_range(struct pi_bytes *out, const struct pi_range *r)
{
    pi_put_string(out, r->name);
    pi_put_f32(out, r->min);
    pi_put_f32(out, r->max);
    pi_put_count(out, r->count);
    pi_put_count(out, r->nan);
    pi_put_count(out, r->inf);
    pi_put_u8(out, (unsigned)(r->exponent - PI_MIN_EXPONENT));
    for (size_t i = 0; i < PI_BINS; i++) pi_put_count(out, r->bins[i]);
}

struct parts { struct pi_bytes info, vals, smpl; };

static int make_parts(const precinfer_stats *s, struct parts *p, struct precinfer_error *err)
{
    p->info.a = p->vals.a = p->smpl.a = &s->ctx->alloc;
    pi_put_u64(&p->info, s->model_hash);
    pi_put_u64(&p->info, s->data_hash);
    pi_put_u64(&p->info, s->samples);
    pi_preprocessing_encode(&s->preprocessing, &p->info);
    pi_put_count(&p->vals, s->nvalues);
    for (size_t i = 0; i < s->nvalues; i++) put_range(&p->vals, s->values[i]);
    for (size_t i = 0; i < s->sketch.n; i++) pi_put_u64(&p->smpl, s->sketch.hashes[i]);
    return p->info.failed || p->vals.failed || p->smpl.failed ? pi_no_memory(err, p->info.size + p->vals.size + p->smpl.size) : 0;
}

static void free_parts(struct parts *p)
{
    pi_bytes_free(&p->info);
    pi_bytes_free(&p->vals);
    pi_bytes_free(&p->smpl);
}

/* To `out` where it is not NULL, else to `path`. */
static int emit(const precinfer_stats *s, struct pi_bytes *out, const char *path, struct precinfer_error *err)
{
    struct parts p = { 0 };
    int status = make_parts(s, &p, err);
    const struct pi_section sections[] = {
        { INFO, p.info.data, p.info.size }, { VALS, p.vals.data, p.vals.size }, { SMPL, p.smpl.data, p.smpl.size } };
    if (!status)
        status = out ? pi_container_bytes(&type, sections, 3, out, err) : pi_container_write(s->ctx, path, &type, sections, 3,
                err);
    free_parts(&p);
    return status;
}

int pi_stats_encode(const precinfer_stats *s, struct pi_bytes *out, struct precinfer_error *err) { return emit(s, out, NULL,
        err); }

int pi_stats_write(const precinfer_stats *s, const char *path, struct precinfer_error *err) { return emit(s, NULL, path, err); }

/* ------------------------------------------------------------------------------------------------ reading */

static int bad(struct precinfer_error *err, const char *what, size_t i)
{
    return pi_fail(err, PRECINFER_MALFORMED, "statistics file: value %zu: %s", i, what);
}

static int check_range(const struct pi_range *r, size_t i, struct precinfer_error *err)
{
    uint64_t sum = 0;
    for (size_t k = 0; k < PI_BINS; k++)
        if (__builtin_add_overflow(sum, r->bins[k], &sum)) return bad(err, "a histogram beyond 64 bits", i);
    if (sum != r->count) return bad(err, "the histogram does not add up to the count", i);
    if (!(r->min <= r->max) || !(r->max - r->max == 0) || !(r->min - r->min == 0))
        return bad(err, "minimum and maximum are no range", i);
    const float magnitude = -r->min > r->max ? -r->min : r->max;     /* max, if min is above 0 */
    if (r->exponent != (r->count ? pi_range_exponent(magnitude) : PI_MIN_EXPONENT))
        return bad(err, "the histogram does not fit the range", i);
    return 0;
}

static int get_range(struct pi_reader *in, precinfer_stats *s, struct pi_arena *scratch, struct precinfer_error *err)
{
    size_t n;
    const size_t i = s->nvalues;
    const char *name = pi_get_string(in, &n);
    if (in->failed || in->size - in->at < PI_BINS) return bad(err, "cut off", i);
    char *ended = pi_arena_string(scratch, name, n);
    struct pi_range *r;
    if (!ended) return pi_no_memory(err, n);
    PI_TRY(pi_stats_add_value(s, ended, &r, err));
    r->min = pi_get_f32(in);
    r->max = pi_get_f32(in);
    r->count = pi_get_count(in);
    r->nan = pi_get_count(in);
    r->inf = pi_get_count(in);
    r->exponent = (int)pi_get_u8(in) + PI_MIN_EXPONENT;
    for (size_t k = 0; k < PI_BINS; k++) r->bins[k] = pi_get_count(in);
    if (in->failed) return bad(err, "cut off", i);
    return check_range(r, i, err);
}

static int name_before(const void *user, int a, int b)
{
    struct pi_range *const *v = user;
    return strcmp(v[a]->name, v[b]->name) < 0;
}

static int check_names(const precinfer_stats *s, struct precinfer_error *err)
{
    int *order = pi_calloc(&s->ctx->alloc, s->nvalues + 1, sizeof *order), status = 0;
    if (!order) return pi_no_memory(err, s->nvalues * sizeof *order);
    for (size_t i = 0; i < s->nvalues; i++) order[i] = (int)i;
    pi_sort_index(order, s->nvalues, name_before, s->values);
    for (size_t i = 1; !status && i < s->nvalues; i++)
        if (!strcmp(s->values[order[i]]->name, s->values[order[i - 1]]->name))
            status = bad(err, "a name that stands there twice", (size_t)order[i]);
    pi_free(&s->ctx->alloc, order);
    return status;
}

static int get_values(const struct pi_section *section, precinfer_stats *s, struct precinfer_error *err)
{
    struct pi_reader in = { section->data, section->size, 0, 0 };
    struct pi_arena scratch = { .a = &s->ctx->alloc };
    int status = 0;
    for (uint64_t n = pi_get_count(&in); n && !status; n--) status = get_range(&in, s, &scratch, err);
    pi_arena_free(&scratch);
    if (!status && (in.failed || in.at != in.size)) status = bad(err, "something follows it", s->nvalues);
    return status ? status : check_names(s, err);
}

static int get_samples(const struct pi_section *section, precinfer_stats *s, struct precinfer_error *err)
{
    const size_t n = section->size / 8;
    if (section->size % 8 || n > PI_SKETCH || n > s->samples)
        return pi_fail(err, PRECINFER_MALFORMED, "statistics file: %zu bytes of hashes of %llu samples", section->size,
                       (unsigned long long)s->samples);
    uint64_t *h = pi_calloc(&s->ctx->alloc, n + 1, sizeof *h);
    if (!h) return pi_no_memory(err, n * sizeof *h);
    s->sketch = (struct pi_sketch){ h, n, 0, n };
    for (size_t i = 0; i < n; i++) {
        h[i] = pi_load_u64((const unsigned char *)section->data + 8 * i);
        if (i && h[i] <= h[i - 1])
            return pi_fail(err, PRECINFER_MALFORMED, "statistics file: sample hash %zu is not in order", i);
    }
    return 0;
}

static int fill(precinfer_stats *s, const struct pi_container *c, struct precinfer_error *err)
{
    struct pi_section info, vals, smpl;
    PI_TRY(pi_container_need(c, INFO, &info, err));
    PI_TRY(pi_container_need(c, VALS, &vals, err));
    PI_TRY(pi_container_need(c, SMPL, &smpl, err));
    struct pi_reader in = { info.data, info.size, 0, 0 };
    s->model_hash = pi_get_u64(&in);
    s->data_hash = pi_get_u64(&in);
    s->samples = pi_get_u64(&in);
    pi_preprocessing_decode(&in, &s->preprocessing);
    /* A newer minor version may put more behind these. */
    if (in.failed) return pi_fail(err, PRECINFER_MALFORMED, "statistics file: section INFO is cut off");
    PI_TRY(pi_preprocessing_check(&s->preprocessing, "statistics file: preprocessing", err));
    PI_TRY(get_values(&vals, s, err));
    return get_samples(&smpl, s, err);
}

int pi_stats_decode(precinfer_context *ctx, const void *bytes, size_t size, precinfer_stats **stats, struct precinfer_error *err)
{
    struct pi_container c;
    precinfer_stats *s;
    PI_TRY(pi_container_open(bytes, size, &type, &c, err));
    PI_TRY(pi_stats_new(ctx, 0, NULL, &s, err));
    const int status = fill(s, &c, err);
    if (status) pi_stats_release(s);
    else *stats = s;
    return status;
}
