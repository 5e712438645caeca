/* Statistics: order and batch never show, files round trip, damage is seen; observers. */
#include "../lib/calib/stats.h"
#include "../lib/format/stats_file.h"
#include "format_tools.h"

/* ------------------------------------------------------------------------------------------------ ranges */

static void same_range(const char *what, const struct pi_range *a, const struct pi_range *b)
{
    h_expect(h_bits(a->min) == h_bits(b->min) && h_bits(a->max) == h_bits(b->max) && a->count == b->count && a->nan == b->nan
             && a->inf == b->inf
                 && a->exponent == b->exponent, "%s: [%g %g] %llu 2^%d, not [%g %g] %llu 2^%d", what, (double)b->min,
                     (double)b->max, (unsigned long long)b->count,
             b->exponent, (double)a->min, (double)a->max, (unsigned long long)a->count, a->exponent);
    h_same(what, a->bins, b->bins, PI_U64, PI_BINS);
}

/* The definition, in the plainest way: knowing the biggest element beforehand, in double. */
static void plain_range(struct pi_range *r, const float *x, size_t n)
{
    double big = 0;
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < n; i++) {
        if (x[i] != x[i]) { r->nan++; continue; }
        if (x[i] - x[i] != 0) { r->inf++; continue; }
        const float v = x[i] == 0 ? 0 : x[i];
        if (!r->count || v < r->min) r->min = v;
        if (!r->count || v > r->max) r->max = v;
        if (__builtin_fabs((double)v) > big) big = __builtin_fabs((double)v);
        r->count++;
    }
    double wide = 1;
    for (r->exponent = 0; r->exponent > -100; r->exponent--, wide /= 2) if (big >= wide / 2) break;
    for (; big >= wide; r->exponent++) wide *= 2;
    for (size_t i = 0; i < n; i++) if (x[i] - x[i] == 0) r->bins[(size_t)(__builtin_fabs((double)x[i]) / wide * PI_BINS)]++;
}

static float any_float(int kind)
{
    float f;
    switch (kind) {
    case 0: return h_unit();
    case 1: return h_float(h_rnd());                                        /* anything, NaN too */
    case 2: do f = h_float(h_rnd() & 0x807fffff); while (0); return f;       /* subnormal */
    case 3: return h_below(3) ? -0.0f : 0.0f;
    case 4: return (float)h_between(-5, 5) * 1024;
    case 5: return h_below(50) ? h_unit() / 1024 : h_unit() * 1e30f;
    default: return h_below(9) ? h_unit() * 8 : h_below(2) ? __builtin_nanf("") : -__builtin_inff();
    }
}

START_TEST(ranges)
{
    enum { N = 5000 };
    static float x[N];
    static struct pi_range plain, whole, pieces, part;
    h_reseed(_i);
    for (int i = 0; i < N; i++) x[i] = any_float(_i);
    for (size_t n = 0; n <= N; n = n < 4 ? n + 1 : n * 3 + h_below(5)) {
        plain_range(&plain, x, n);
        pi_range_init(&whole, "v");
        pi_range_update(&whole, x, n);
        same_range("whole", &plain, &whole);
        for (int merge = 0; merge < 3; merge++) {   /* one after the other; merged forwards; merged backwards */
            pi_range_init(&pieces, "v");
            for (size_t at = 0, step; at < n; at += step) {
                step = 1 + h_below(1500);
                if (step > n - at) step = n - at;
                const size_t from = merge == 2 ? n - at - step : at;
                if (!merge) { pi_range_update(&pieces, x + from, step); continue; }
                pi_range_init(&part, NULL);
                pi_range_update(&part, x + from, step);
                pi_range_merge(&pieces, &part);
            }
            same_range(merge ? merge == 1 ? "merged" : "merged backwards" : "in pieces", &plain, &pieces);
        }
    }
    h_finish();
}
END_TEST

START_TEST(observers)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_observer *a, *b;
    struct precinfer_qparams p = { 0 };
    const float x[] = { -1, 0.5f, 3 }, y[] = { 4, -0.5f }, bad[] = { 1, __builtin_nanf("") };
    f_ok(precinfer_observer_new(c, &a, &err));
    f_ok(precinfer_observer_new(c, &b, &err));
    f_ok(precinfer_observer_params(a, &p, &err));
    h_expect(p.scale == 1 && p.zero_point == 0, "nothing seen");
    f_ok(precinfer_observer_update(a, x, 3, &err));
    f_ok(precinfer_observer_update(b, y, 2, &err));
    f_ok(precinfer_observer_merge(a, b, &err));
    f_ok(precinfer_observer_merge(a, a, &err));
    f_ok(precinfer_observer_params(a, &p, &err));
    h_expect(p.scale == (float)(5.0 / 255) && p.zero_point == 51, "%g %d", (double)p.scale, (int)p.zero_point);
    f_ok(precinfer_observer_update(b, bad, 2, &err));
    f_refused(precinfer_observer_params(b, &p, &err), PRECINFER_INVALID, "1 NaN and 0 infinite");
    f_refused(precinfer_observer_update(b, NULL, 2, &err), PRECINFER_INVALID, "NULL");
    f_ok(precinfer_observer_update(b, NULL, 0, &err));
    precinfer_context_free(c);          /* an observer keeps it alive */
    precinfer_observer_free(a);
    precinfer_observer_free(b);
    precinfer_observer_free(NULL);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ samples */

START_TEST(sample_hashes)
{
    float x[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } };
    int64_t ids[2] = { 7, 8 };
    float constant[2] = { 0.5f, 1.5f };
    struct precinfer_batch two = { .ninputs = 3, .samples = 2,
        .inputs = { { .data = x, .dtype = PRECINFER_F32, .rank = 2, .dims = { 2, 3 } },
        { .data = ids, .dtype = PRECINFER_S64, .rank = 1, .dims = { 2 } },
            { .data = constant, .dtype = PRECINFER_F32, .rank = 0 } } };
    struct precinfer_batch one = two;
    one.samples = 1;
    one.inputs[0].dims[0] = one.inputs[1].dims[0] = 1;
    const uint64_t first = pi_sample_hash(&two, 0), second = pi_sample_hash(&two, 1);
    h_expect(first != second, "two samples, one hash");
    h_expect(pi_sample_hash(&one, 0) == first, "the batch shows");
    one.inputs[0].data = x[1];
    one.inputs[1].data = ids + 1;
    h_expect(pi_sample_hash(&one, 0) == second, "the place in the batch shows");
    one.inputs[0].rank = 3;
    one.inputs[0].dims[1] = 1; one.inputs[0].dims[2] = 3;
    h_expect(pi_sample_hash(&one, 0) != second, "the shape does not show");
    one.inputs[0] = two.inputs[0];
    one.inputs[0].dims[0] = 1;
    const uint32_t nans[2] = { 0x7fc00000, 0xffa12345 };
    memcpy(&x[0][1], &nans[0], 4);
    const uint64_t quiet = pi_sample_hash(&one, 0);
    memcpy(&x[0][1], &nans[1], 4);
    h_expect(pi_sample_hash(&one, 0) == quiet, "NaN is not NaN");
    x[0][1] = 0;
    h_expect(pi_sample_hash(&one, 0) != quiet, "0 is NaN");
    constant[0] = 9;
    h_expect(pi_sample_hash(&two, 1) != second, "the input that goes in whole does not show");
    h_finish();
}
END_TEST

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(sketches)
{
    enum { N = 150000 };
    struct pi_sketch s = { 0 };
    uint64_t *all = malloc(N * sizeof *all);
    h_reseed(0);
    for (int i = 0; i < N; i++) {
        all[i] = i % 7 == 3 ? all[h_below((uint32_t)i)] : h_rnd64();
        f_ok(pi_sketch_add(&pi_default_allocator, &s, all[i], &err));
        if (i == 20000) pi_sketch_finish(&s);
    }
    pi_sketch_finish(&s);
    qsort(all, N, sizeof *all, by_value);
    size_t n = 0;
    for (int i = 0; i < N && n < PI_SKETCH; i++) if (!n || all[i] != all[n - 1]) all[n++] = all[i];
    h_expect(s.n == n && n == PI_SKETCH && s.room <= PI_SKETCH + 4096, "%zu hashes", s.n);
    h_same("the smallest", all, s.hashes, PI_U64, n);
    for (size_t i = 0; i < n; i += 97) {
        h_expect(pi_sketch_has(&s, all[i]), "a hash is not found");
        h_expect(all[i] + 1 == all[i + 1] || !pi_sketch_has(&s, all[i] + 1), "a hash that is not there is found");
    }
    pi_free(&pi_default_allocator, s.hashes);
    /* Every number below 100,000 in a scattered order: the limit is met exactly. */
    s = (struct pi_sketch){ 0 };
    for (uint64_t i = 0; i < 100000; i++) pi_sketch_add(&pi_default_allocator, &s, i * 77773 % 100000, NULL);
    pi_sketch_finish(&s);
    h_expect(s.n == PI_SKETCH && s.hashes[0] == 0 && s.hashes[PI_SKETCH - 1] == PI_SKETCH - 1, "%zu dense hashes", s.n);
    pi_free(&pi_default_allocator, s.hashes);
    free(all);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ files and merging */

enum { VALUES = 3, SAMPLES = 40 };
static const struct precinfer_preprocessing pre = { 1, 255, 1, { 0.5f }, { 0.25f }, PRECINFER_NHWC };

/* Of samples from .. to, one deterministic stream of elements each. */
static precinfer_stats *observe(precinfer_context *c, int from, int to, struct precinfer_error *err)
{
    static const char *const names[VALUES] = { "input", "conv1_out", "odd name\n" };
    struct pi_range *range[VALUES];
    precinfer_stats *s;
    if (pi_stats_new(c, 0xabcdef, &pre, &s, err)) return NULL;
    int status = 0;
    for (int v = 0; !status && v < VALUES; v++) status = pi_stats_add_value(s, names[v], &range[v], err);
    for (int i = from; !status && i < to; i++) {
        float x[300];
        h_reseed(i);
        for (int v = 0; v < VALUES; v++) {
            for (int k = 0; k < 300; k++) x[k] = any_float(v == 2 ? 6 : 0) * (float)(1 << i % 11);
            pi_range_update(range[v], x, 300);
        }
        status = pi_stats_add_sample(s, h_rnd64(), err);
    }
    if (!status) { pi_stats_finish(s); return s; }
    pi_stats_release(s);
    return NULL;
}

static void same_stats(const char *what, const precinfer_stats *a, const precinfer_stats *b)
{
    h_expect(a->samples == b->samples && a->model_hash == b->model_hash && a->data_hash == b->data_hash
             && a->nvalues == b->nvalues
                 && pi_preprocessing_same(&a->preprocessing, &b->preprocessing) && a->sketch.n == b->sketch.n, "%s: head", what);
    if (a->nvalues != b->nvalues || a->sketch.n != b->sketch.n) return;
    for (size_t i = 0; i < a->nvalues; i++) {
        h_expect(!strcmp(a->values[i]->name, b->values[i]->name), "%s: name %zu", what, i);
        same_range(what, a->values[i], b->values[i]);
        h_expect(pi_stats_find(b, a->values[i]->name) == b->values[i], "%s: '%s' is not found", what, a->values[i]->name);
    }
    h_same(what, a->sketch.hashes, b->sketch.hashes, PI_U64, a->sketch.n);
}

START_TEST(merging)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_stats *all = observe(c, 0, SAMPLES, NULL);
    static const int orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 } };
    static const int cuts[] = { 0, 13, 14, SAMPLES };
    for (int o = 0; o < 3; o++) {
        precinfer_stats *sum = NULL;
        for (int k = 0; k < 3; k++) {
            precinfer_stats *part = observe(c, cuts[orders[o][k]], cuts[orders[o][k] + 1], NULL);
            if (!sum) { sum = part; continue; }
            f_ok(precinfer_stats_merge(sum, part, &err));
            precinfer_stats_free(part);
        }
        same_stats("merged", all, sum);
        precinfer_stats_free(sum);
    }
    precinfer_stats *twice = observe(c, 0, SAMPLES, NULL), *other;
    f_ok(precinfer_stats_merge(twice, twice, &err));
    h_expect(twice->samples == 2 * SAMPLES && twice->sketch.n == SAMPLES && twice->values[0]->count == 2 * all->values[0]->count,
             "with itself");
    f_ok(pi_stats_new(c, 5, &pre, &other, &err));
    f_refused(precinfer_stats_merge(twice, other, &err), PRECINFER_INVALID,
              "different models (0000000000abcdef and 0000000000000005)");
    precinfer_stats_free(other);
    f_ok(pi_stats_new(c, 0xabcdef, NULL, &other, &err));
    f_refused(precinfer_stats_merge(twice, other, &err), PRECINFER_INVALID, "different preprocessing");
    precinfer_stats_free(other);
    f_ok(pi_stats_new(c, 0xabcdef, &pre, &other, &err));
    f_refused(precinfer_stats_merge(twice, other, &err), PRECINFER_INVALID, "of 3 and 0 values");
    for (int i = 0; i < 3; i++) f_ok(pi_stats_add_value(other, i == 1 ? "conv2_out" : all->values[i]->name, NULL, &err));
    f_refused(precinfer_stats_merge(twice, other, &err), PRECINFER_INVALID,
              "value 1 is 'conv1_out' in one and 'conv2_out' in the other");
    precinfer_stats_free(other);
    precinfer_stats_free(twice);
    precinfer_stats_free(all);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST

START_TEST(files)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_stats *s = observe(c, 0, SAMPLES, NULL), *back;
    struct precinfer_stats_info info;
    struct precinfer_range range;
    f_begin();
    f_ok(precinfer_stats_save(s, f_path("m.stats"), &err));
    f_ok(precinfer_stats_load(c, f_path("m.stats"), &back, &err));
    same_stats("file", s, back);
    h_expect(!precinfer_stats_info(back, &info) && info.samples == SAMPLES && info.values == VALUES && info.model_hash == 0xabcdef
             && info.data_hash == s->data_hash
                 && info.preprocessing.given && info.preprocessing.divide == 255, "info");
    h_expect(!precinfer_stats_range(back, 1, &range) && !strcmp(range.name, "conv1_out") && range.count == s->values[1]->count
             && range.max == s->values[1]->max, "range");
    h_expect(precinfer_stats_range(back, VALUES, &range) == PRECINFER_INVALID, "a range beyond the last");
    precinfer_stats_free(back);

    size_t n;
    unsigned char *bytes = f_read("m.stats", &n);
    for (size_t cut = 0; cut < n; cut += cut < 300 || cut + 300 > n ? 1 : 37) {
        unsigned char *guarded = h_guard(cut);
        memcpy(guarded, bytes, cut);
        h_expect(pi_stats_decode(c, guarded, cut, &back, NULL) == PRECINFER_MALFORMED, "cut at %zu", cut);
        h_guard_free(guarded);
    }
    h_reseed(0);
    for (int i = 0; i < 2000; i++) {
        const size_t bit = i < 600 ? (size_t)i : (size_t)h_below((uint32_t)n * 8);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        h_expect(pi_stats_decode(c, bytes, n, &back, NULL) != 0, "bit %zu", bit);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    bytes[n / 2] ^= 1;
    f_write("bad.stats", bytes, n);
    f_refused(precinfer_stats_load(c, f_path("bad.stats"), &back, &err), PRECINFER_MALFORMED,
              "bad.stats: statistics file: damaged");
    f_refused(precinfer_stats_load(c, f_path("none"), &back, &err), PRECINFER_NOT_FOUND, "none");
    free(bytes);
    f_end();
    precinfer_stats_free(s);
    precinfer_stats_free(NULL);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST

/* The checksum is made right again after each change, so that every check behind it is reached. */
START_TEST(hostile)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_stats *s = observe(c, 0, 5, NULL), *back;
    struct pi_bytes b = { .a = &pi_default_allocator };
    size_t refused = 0, n;
    f_ok(pi_stats_encode(s, &b, &err));
    n = b.size;
    unsigned char *guarded = h_guard(n);
    h_reseed(1);
    static const struct pi_container_type type = { PI_TAG('S', 'T', 'A', 'T'), 1, 0, "statistics" };
    for (int i = 0; i < 3000; i++) {
        memcpy(guarded, b.data, n);
        const size_t at = i < 300 ? 192 + (size_t)i : 64 + h_below((uint32_t)(n - 64));
        guarded[at] = (unsigned char)h_rnd();
        struct pi_section sections[3];
        for (size_t k = 0; k < 3; k++) {            /* rewritten around the changed sections */
            const unsigned char *e = guarded + 64 + k * 32;
            sections[k] = (struct pi_section){ pi_load_u32(b.data + 64 + k * 32),
                guarded + pi_load_u64(b.data + (e - guarded) + 8), (size_t)pi_load_u64(b.data + (e - guarded) + 16) };
        }
        struct pi_bytes again = { .a = &pi_default_allocator };
        pi_container_bytes(&type, sections, 3, &again, NULL);
        if (pi_stats_decode(c, again.data, again.size, &back, NULL)) refused++;
        else { h_expect(back->nvalues <= VALUES, "values from nowhere"); precinfer_stats_free(back); }
        pi_bytes_free(&again);
    }
    h_expect(refused > 1000, "%zu refused", refused);
    h_guard_free(guarded);
    pi_bytes_free(&b);
    precinfer_stats_free(s);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST

START_TEST(no_memory)
{
    f_begin();
    for (long n = 1; ; n++) {
        struct h_host h = { .fail_at = n };
        struct precinfer_error err = { 0 };
        precinfer_context *c = h_context(&h, NULL);
        precinfer_stats *a = c ? observe(c, 0, 3, &err) : NULL, *b = a ? observe(c, 3, 5, &err) : NULL, *back = NULL;
        int status = b ? 0 : PRECINFER_NO_MEMORY;
        if (!status) status = precinfer_stats_merge(a, b, &err);
        if (status && b) h_expect(a->samples == 3 && a->sketch.n == 3, "a failed merge changed the statistics");
        if (!status) status = precinfer_stats_save(a, f_path("s"), &err);
        if (!status) status = precinfer_stats_load(c, f_path("s"), &back, &err);
        if (!status) same_stats("no memory", a, back);
        h_expect(h.failed ? status == PRECINFER_NO_MEMORY : !status, "allocation %ld: %d %s", n, status, err.text);
        precinfer_stats_free(a);
        precinfer_stats_free(b);
        precinfer_stats_free(back);
        precinfer_context_free(c);
        h_expect(h.live == 0, "allocation %ld: %ld blocks stayed", n, (long)h.live);
        if (!h.failed) break;
    }
    f_end();
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("format_stats");
    h_add(s, "ranges", ranges, 7, 10);
    h_add(s, "observers", observers, 1, 5);
    h_add(s, "sample hashes", sample_hashes, 1, 5);
    h_add(s, "sketches", sketches, 1, 10);
    h_add(s, "merging", merging, 1, 5);
    h_add(s, "files", files, 1, 10);
    h_add(s, "hostile files", hostile, 1, 10);
    h_add(s, "no memory", no_memory, 1, 10);
    return s;
}
