/* Recipes, plans and reports over the public interface: refusals, cancelling, files, what is really lowered, explain. */
#include <locale.h>
#include "digits.h"
#include "../lib/base/bytes.h"
#include "../lib/base/hash.h"

enum { IMAGES = 4 };
struct bench {                          /* everything that most tests want */
    struct h_host host;
    precinfer_context *ctx; precinfer_graph *g; precinfer_stats *stats; precinfer_recipe *r; precinfer_plan *p;
    char dir[40], path[64];
    float x[IMAGES * H_PIXELS], y[IMAGES * H_CLASSES];
};
static void open_bench(struct bench *b, enum precinfer_precision precision)
{
    struct precinfer_error err = { 0 };
    *b = (struct bench){ .host = { .threads = 1 }, .dir = "/tmp/precinfer-plan-XXXXXX" };
    ck_assert(mkdtemp(b->dir) != NULL);
    snprintf(b->path, sizeof b->path, "%s/file", b->dir);
    b->ctx = h_context(&b->host, NULL);
    b->g = h_digits(b->ctx);
    b->stats = h_digits_stats(b->ctx, b->g, 16);
    H_OK(precinfer_recipe_new(b->g, b->stats, precision, &b->r, &err));
    b->p = h_digits_compile(b->g, b->stats, b->r);
    h_pixels(b->x, IMAGES * H_PIXELS);
    h_digits_run(b->p, b->x, b->y, IMAGES);
}
static void close_bench(struct bench *b)
{
    precinfer_plan_free(b->p);
    precinfer_recipe_free(b->r);
    precinfer_stats_free(b->stats);
    precinfer_graph_free(b->g);
    precinfer_context_free(b->ctx);
    ck_assert_int_eq(b->host.live, 0);
    remove(b->path);
    ck_assert_msg(!rmdir(b->dir), "%s is not empty", b->dir);
}
static uint64_t plan_hash(const precinfer_plan *p)
{
    struct precinfer_plan_info info;
    ck_assert(!precinfer_plan_info(p, &info));
    return info.plan_hash;
}
static void same_outputs(struct bench *b, const precinfer_plan *p, const char *what)
{
    float y[IMAGES * H_CLASSES];
    h_digits_run(p, b->x, y, IMAGES);
    ck_assert_msg(!memcmp(y, b->y, sizeof y), "%s: outputs differ", what);
    ck_assert_msg(plan_hash(p) == plan_hash(b->p), "%s: the hash differs", what);
}

/* A one-layer model with one input of the given width. */
static precinfer_graph *other_model(precinfer_context *ctx)
{
    struct precinfer_error err = { 0 };
    static float w[] = { 1, 2, 3, 4 };
    precinfer_graph *g = NULL;
    const struct precinfer_io x = { .name = "image", .dtype = PRECINFER_F32, .rank = 2, .dims = { -1, 2 } };
    const struct precinfer_tensor t = { .data = w, .dtype = PRECINFER_F32, .rank = 2, .dims = { 2, 2 } };
    H_OK(precinfer_graph_new(ctx, &g, &err));
    H_OK(precinfer_graph_input(g, &x, &err));
    H_OK(precinfer_graph_constant(g, "w", &t, &err));
    H_OK(precinfer_graph_node(g, "MatMul", "dense", (const char *[]){ "image", "w" }, 2, (const char *[]){ "logits" }, 1,
                              NULL, 0, &err));
    H_OK(precinfer_graph_output(g, "logits", &err));
    H_OK(precinfer_graph_finish(g, &err));
    return g;
}

/* ------------------------------------------------------------------------------------------------ refusals */

START_TEST(refused)
{
    struct bench b;
    struct precinfer_error err = { 0 };
    open_bench(&b, PRECINFER_PRECISION_INT8);
    precinfer_graph *other = other_model(b.ctx);
    precinfer_recipe *r = NULL;
    precinfer_plan *p = NULL;
    const struct precinfer_compile_options o = { .size = sizeof o, .stats = b.stats };
    H_REFUSED(precinfer_recipe_new(b.g, NULL, PRECINFER_PRECISION_INT8, &r, &err), PRECINFER_INVALID, "int8", "calibrate");
    H_REFUSED(precinfer_recipe_new(b.g, b.stats, (enum precinfer_precision)9, &r, &err), PRECINFER_INVALID, "9");
    H_REFUSED(precinfer_recipe_new(other, b.stats, PRECINFER_PRECISION_INT8, &r, &err), PRECINFER_INVALID, "statistics",
              "another model");
    H_REFUSED(precinfer_compile(other, b.r, NULL, &p, &err), PRECINFER_INVALID, "recipe", "another model");
    H_REFUSED(precinfer_compile(other, NULL, &o, &p, &err), PRECINFER_INVALID, "statistics", "another model");
    H_REFUSED(precinfer_plan_load(b.ctx, b.path, NULL, &p, &err), PRECINFER_NOT_FOUND, b.path);
    H_REFUSED(precinfer_plan_load(b.ctx, h_models[0].model, NULL, &p, &err), PRECINFER_MALFORMED, h_models[0].model,
              "no plan file");
    H_OK(precinfer_stats_save(b.stats, b.path, &err));
    H_REFUSED(precinfer_plan_load(b.ctx, b.path, NULL, &p, &err), PRECINFER_MALFORMED, "STAT");
    H_REFUSED(precinfer_plan_save(b.p, "/nowhere/at/all", 0, &err), err.status, "/nowhere/at/all");
    H_REFUSED(precinfer_compile(NULL, NULL, NULL, &p, &err), PRECINFER_INVALID, "NULL");
    ck_assert(!r && !p);
    precinfer_graph_free(other);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ recipes by hand */

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert(f != NULL && fputs(text, f) >= 0 && !fclose(f));
}
/* The text with its first `from` replaced after `start`. */
static char *edit(const char *text, const char *start, const char *from, const char *to)
{
    const char *at = strstr(text, start);
    ck_assert_msg(at && (at = strstr(at, from)), "%s ... %s is not there", start, from);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    memcpy(out, text, (size_t)(at - text));
    strcpy(out + (at - text), to);
    strcat(out, at + strlen(from));
    return out;
}

START_TEST(edited)
{
    struct bench b;
    struct precinfer_error err = { 0 };
    size_t n;
    open_bench(&b, PRECINFER_PRECISION_INT8);
    H_OK(precinfer_recipe_save(b.r, b.path, &err));
    char *text = (char *)h_slurp(b.path, &n), *changed;
    precinfer_recipe *r = NULL;
    precinfer_plan *p = NULL;
    H_OK(precinfer_recipe_load(b.ctx, b.path, &r, &err));       /* as it was: the same plan */
    ck_assert(precinfer_recipe_hash(r) == precinfer_recipe_hash(b.r));
    p = h_digits_compile(b.g, b.stats, r);
    same_outputs(&b, p, "a recipe saved and loaded");
    precinfer_plan_free(p); precinfer_recipe_free(r); r = NULL; p = NULL;

    write_text(b.path, changed = edit(text, "\"/c1/c1.0/Conv\"", "int8", "f32"));     /* one node back to f32 */
    H_OK(precinfer_recipe_load(b.ctx, b.path, &r, &err));
    p = h_digits_compile(b.g, b.stats, r);
    struct precinfer_plan_info info;
    size_t f32 = 0, int8 = 0;
    precinfer_plan_info(p, &info);
    for (size_t i = 0; i < info.layers; i++) {
        struct precinfer_layer l;
        precinfer_plan_layer(p, i, &l);
        if (!l.lowerable) continue;
        ck_assert_msg((l.precision == PRECINFER_PRECISION_F32) == !strcmp(l.name, "/c1/c1.0/Conv"), "%s is %s", l.name,
                      precinfer_precision_string(l.precision));
        f32 += l.precision == PRECINFER_PRECISION_F32;
        int8 += l.precision == PRECINFER_PRECISION_INT8;
    }
    float y[IMAGES * H_CLASSES];
    h_digits_run(p, b.x, y, IMAGES);
    ck_assert(f32 == 1 && int8 == 7);
    ck_assert(memcmp(y, b.y, sizeof y) && info.plan_hash != plan_hash(b.p) && info.recipe_hash != precinfer_recipe_hash(b.r));
    free(changed); precinfer_plan_free(p); precinfer_recipe_free(r); r = NULL; p = NULL;

    write_text(b.path, changed = edit(text, "\"nodes\"", "/c1/c1.0/Conv", "/c1/c1.0/Conf"));
    H_OK(precinfer_recipe_load(b.ctx, b.path, &r, &err));
    H_REFUSED(precinfer_compile(b.g, r, NULL, &p, &err), PRECINFER_INVALID, "nodes./c1/c1.0/Conf");
    free(changed); precinfer_recipe_free(r); r = NULL;

    write_text(b.path, changed = edit(text, "\"values\"", "\"image\"", "\"imago\""));
    H_OK(precinfer_recipe_load(b.ctx, b.path, &r, &err));
    H_REFUSED(precinfer_compile(b.g, r, NULL, &p, &err), PRECINFER_INVALID, "values.imago");
    free(changed); precinfer_recipe_free(r); r = NULL;

    write_text(b.path, changed = edit(text, "\"/c1/c1.0/Conv\"", "weight_scales\": [", "weight_scales\": [0.5, "));
    /* one too many */
    H_OK(precinfer_recipe_load(b.ctx, b.path, &r, &err));
    H_REFUSED(precinfer_compile(b.g, r, NULL, &p, &err), PRECINFER_INVALID, "'/c1/c1.0/Conv' (Conv)", "65", "64");
    free(changed); precinfer_recipe_free(r); r = NULL;

    write_text(b.path, changed = edit(text, "\"/c1/c1.0/Conv\"", "\"precision\": \"int8\"", "\"precision\": \"int9\""));
    H_REFUSED(precinfer_recipe_load(b.ctx, b.path, &r, &err), PRECINFER_MALFORMED, b.path, "/c1/c1.0/Conv", "precision");
    free(changed);
    ck_assert(!p && !r);
    free(text);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ cancelling */

struct progress { size_t calls, stop_at, last; const char *what; };
static int progress(void *user, const char *what, size_t done, size_t total)
{
    struct progress *p = user;
    ck_assert(!p->what || !strcmp(p->what, what));
    ck_assert(done >= p->last && (!total || done <= total));
    p->what = what;
    p->last = done;
    return ++p->calls == p->stop_at;
}

START_TEST(cancelled)
{
    struct bench b;
    struct precinfer_error err = { 0 };
    open_bench(&b, PRECINFER_PRECISION_INT8);
    struct progress c = { .stop_at = 2 }, k = { .stop_at = 3 }, v = { .stop_at = 2 };
    precinfer_stats *stats = NULL;
    precinfer_plan *plan = NULL;
    precinfer_report *report = NULL;
    precinfer_data *d = h_model_data(&h_models[0], b.ctx, b.g, 1, 32, 8), *e = h_model_data(&h_models[0], b.ctx, b.g, 0, 32, 8);
    const struct precinfer_calibrate_options co = { .size = sizeof co, .progress = progress, .user = &c };
    const struct precinfer_compile_options ko = { .size = sizeof ko, .progress = progress, .user = &k };
    struct precinfer_verify_options vo;
    precinfer_verify_defaults(&vo);
    vo.progress = progress;
    vo.user = &v;
    struct precinfer_batch warm;                            /* the reader has its buffers before blocks are counted */
    H_OK(precinfer_data_next(d, &warm, &err)); precinfer_data_rewind(d);
    H_OK(precinfer_data_next(e, &warm, &err)); precinfer_data_rewind(e);
    const long live = b.host.live;
    H_REFUSED(precinfer_calibrate(b.g, precinfer_data_next, d, &co, &stats, &err), PRECINFER_CANCELLED, "16");
    H_REFUSED(precinfer_compile(b.g, b.r, &ko, &plan, &err), PRECINFER_CANCELLED, "cancelled");
    H_REFUSED(precinfer_verify(b.p, b.g, precinfer_data_next, e, &vo, &report, &err), PRECINFER_CANCELLED, "16");
    ck_assert(!stats && !plan && !report && c.calls == 2 && k.calls == 3 && v.calls == 2);
    ck_assert_int_eq(b.host.live, live);
    precinfer_data_rewind(d);                               /* and nothing is the worse for it */
    precinfer_data_rewind(e);
    c = (struct progress){ 0 }; k = (struct progress){ 0 }; v = (struct progress){ 0 };
    H_OK(precinfer_calibrate(b.g, precinfer_data_next, d, &co, &stats, &err));
    H_OK(precinfer_compile(b.g, b.r, &ko, &plan, &err));
    H_OK(precinfer_verify(b.p, b.g, precinfer_data_next, e, &vo, &report, &err));
    ck_assert_uint_eq(c.calls, 4);
    ck_assert_uint_eq(v.last, 32);
    same_outputs(&b, plan, "after cancelling");
    precinfer_plan_free(plan); precinfer_stats_free(stats); precinfer_report_free(report);
    precinfer_data_free(d); precinfer_data_free(e);
    close_bench(&b);
}
END_TEST

/* A data callback's status ends the call with it. */
static int broken(void *user, struct precinfer_batch *batch, struct precinfer_error *err)
{
    (void)user; (void)batch;
    err->status = PRECINFER_IO;
    snprintf(err->text, sizeof err->text, "the disk is on fire");
    return PRECINFER_IO;
}
static int empty(void *user, struct precinfer_batch *batch, struct precinfer_error *err)
{ (void)user; (void)err; batch->samples = 0; return 0; }

/* The data, with one label changed or inputs that are no numbers. */
struct twisted { precinfer_data *d; int64_t label, labels[64]; int nan; float x[1 << 16]; };
static int twist(void *user, struct precinfer_batch *batch, struct precinfer_error *err)
{
    struct twisted *t = user;
    const int status = precinfer_data_next(t->d, batch, err);
    if (status || !batch->samples) return status;
    ck_assert(batch->samples <= 64 && batch->labels && batch->ninputs == 1 && batch->inputs[0].dtype == PRECINFER_F32);
    memcpy(t->labels, batch->labels, batch->samples * sizeof *t->labels);
    t->labels[2] = t->label;
    batch->labels = t->labels;
    if (!t->nan) return 0;
    for (size_t i = 0; i < sizeof t->x / sizeof *t->x; i++) t->x[i] = NAN;
    batch->inputs[0].data = t->x;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ verification */

START_TEST(verified_by_nothing)
{
    struct bench b;
    struct precinfer_error err = { 0 };
    struct precinfer_report_info i;
    struct precinfer_verify_options o;
    precinfer_report *report = NULL;
    static struct twisted t;
    open_bench(&b, PRECINFER_PRECISION_F32);
    t.d = h_model_data(&h_models[0], b.ctx, b.g, 0, 16, 8);
    precinfer_verify_defaults(&o);
    for (int k = 0; k < 3; k++) {                           /* labels that no answer can be keep no limit on the drop */
        t.label = k == 0 ? -1 : k == 1 ? 10 : 9;
        o.max_drop_points = 0.9;
        precinfer_data_rewind(t.d);
        if (k < 2) H_REFUSED(precinfer_verify(b.p, b.g, twist, &t, &o, &report, &err), PRECINFER_INVALID, "sample 2: label");
        else H_OK(precinfer_verify(b.p, b.g, twist, &t, &o, &report, &err));
    }
    precinfer_report_free(report);
    t.nan = 1;                                              /* two models that answer NaN have no answer in common */
    o.max_drop_points = -1;
    o.min_agreement = 0.5;
    precinfer_data_rewind(t.d);
    H_OK(precinfer_verify(b.p, b.g, twist, &t, &o, &report, &err));
    precinfer_report_info(report, &i);
    ck_assert(i.samples == 16 && !i.agreed && !i.right_reference && !i.right_candidate && i.verdict == PRECINFER_FAIL);
    precinfer_report_free(report);
    precinfer_data_free(t.d);
    close_bench(&b);
}
END_TEST

START_TEST(verified)
{
    struct bench b;
    struct precinfer_error err = { 0 };
    struct precinfer_report_info i;
    struct precinfer_verify_options o;
    precinfer_report *report = NULL;
    precinfer_stats *stats = NULL;
    open_bench(&b, PRECINFER_PRECISION_INT8);
    H_REFUSED(precinfer_calibrate(b.g, broken, NULL, NULL, &stats, &err), PRECINFER_IO, "on fire");
    H_REFUSED(precinfer_verify(b.p, b.g, broken, NULL, NULL, &report, &err), PRECINFER_IO, "on fire");
    H_REFUSED(precinfer_calibrate(b.g, empty, NULL, NULL, &stats, &err), PRECINFER_INVALID, "no samples");
    H_REFUSED(precinfer_verify(b.p, b.g, empty, NULL, NULL, &report, &err), PRECINFER_INVALID, "no samples");
    precinfer_data *d = h_model_data(&h_models[0], b.ctx, b.g, 0, 200, 8),
        *seen = h_model_data(&h_models[0], b.ctx, b.g, 1, 16, 8);

    precinfer_verify_defaults(&o);
    H_OK(precinfer_verify(b.p, b.g, precinfer_data_next, d, &o, &report, &err));
    H_OK(precinfer_report_info(report, &i));
    ck_assert(i.samples == 200 && i.labelled && i.verdict == PRECINFER_NO_LIMIT && !i.overlap_samples && i.agreed >= 190 &&
              i.data_hash);
    ck_assert(i.right_reference - i.lost + i.gained == i.right_candidate);
    size_t compared = 0;
    for (size_t l = 0; l < i.layers; l++) {
        struct precinfer_layer_error e;
        H_OK(precinfer_report_layer(report, l, &e));
        compared += (size_t)e.compared;
        ck_assert(!e.compared || e.exact || e.sqnr_db > 15);
    }
    ck_assert(compared > 8);
    const uint64_t hash = i.data_hash;
    precinfer_report_free(report);

    o.min_agreement = 0.9; o.max_drop_points = 0.2;         /* 200 samples show that much */
    precinfer_data_rewind(d);
    H_OK(precinfer_verify(b.p, b.g, precinfer_data_next, d, &o, &report, &err));
    precinfer_report_info(report, &i);
    ck_assert(i.verdict == PRECINFER_PASS && i.agreement_verdict == PRECINFER_PASS && i.drop_verdict == PRECINFER_PASS &&
              i.data_hash == hash && !i.needed_samples);
    precinfer_report_free(report);

    o.min_agreement = 0.9999; o.max_drop_points = -1;       /* but not that */
    precinfer_data_rewind(d);
    H_OK(precinfer_verify(b.p, b.g, precinfer_data_next, d, &o, &report, &err));
    precinfer_report_info(report, &i);
    ck_assert(i.verdict == PRECINFER_UNDECIDED || i.verdict == PRECINFER_FAIL);
    if (i.agreed == i.samples) ck_assert(i.verdict == PRECINFER_UNDECIDED && i.needed_samples > 10000);
    precinfer_report_free(report);

    precinfer_verify_defaults(&o);                           /* every layer with weights is int8, so f32 is breached */
    o.strict = 1; o.strict_precision = PRECINFER_PRECISION_INT8;
    precinfer_data_rewind(d);
    H_OK(precinfer_verify(b.p, b.g, precinfer_data_next, d, &o, &report, &err));
    precinfer_report_info(report, &i);
    ck_assert(i.verdict == PRECINFER_PASS && !i.breached && !i.breach);
    precinfer_report_free(report);
    o.strict_precision = PRECINFER_PRECISION_F32;
    precinfer_data_rewind(d);
    H_OK(precinfer_verify(b.p, b.g, precinfer_data_next, d, &o, &report, &err));
    precinfer_report_info(report, &i);
    ck_assert(i.verdict == PRECINFER_FAIL && i.breached && strstr(i.breach, "stem"));
    precinfer_report_free(report);
    report = NULL;

    precinfer_verify_defaults(&o);                           /* data that calibration saw, labels that are not there */
    H_REFUSED(precinfer_verify(b.p, b.g, precinfer_data_next, seen, &o, &report, &err), PRECINFER_INVALID, "16 of 16",
              "calibration");
    o.allow_overlap = 1;
    precinfer_data_rewind(seen);
    H_OK(precinfer_verify(b.p, b.g, precinfer_data_next, seen, &o, &report, &err));
    precinfer_report_info(report, &i);
    ck_assert(i.samples == 16 && i.overlap_samples == 16 && !i.labelled);
    precinfer_report_free(report);
    report = NULL;
    o.max_drop_points = 0.01;
    precinfer_data_rewind(seen);
    H_REFUSED(precinfer_verify(b.p, b.g, precinfer_data_next, seen, &o, &report, &err), PRECINFER_INVALID, "labels");
    precinfer_verify_defaults(&o);
    o.judge = "nonsense";
    precinfer_data_rewind(d);
    H_REFUSED(precinfer_verify(b.p, b.g, precinfer_data_next, d, &o, &report, &err), PRECINFER_NOT_FOUND, "'nonsense'");
    precinfer_data_free(d); precinfer_data_free(seen);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ files */

START_TEST(saved)
{
    struct bench b;
    struct precinfer_error err = { 0 };
    struct precinfer_plan_info was, is;
    size_t n;
    open_bench(&b, (enum precinfer_precision)_i);
    precinfer_plan *p = NULL;
    H_OK(precinfer_plan_save(b.p, b.path, 0, &err));
    H_OK(precinfer_plan_load(b.ctx, b.path, NULL, &p, &err));
    precinfer_plan_info(b.p, &was);
    precinfer_plan_info(p, &is);
    same_outputs(&b, p, "loaded");
    ck_assert(was.layers == is.layers && was.weights_bytes == is.weights_bytes && was.packed_bytes == is.packed_bytes &&
              is.calibration_samples == 16 &&
              was.recipe_hash == is.recipe_hash && was.model_hash == is.model_hash && !is.rejected && !is.other_host);
    ck_assert(is.preprocessing.given && is.preprocessing.divide == 16);
    precinfer_plan_free(p);

    unsigned char *bytes = h_slurp(b.path, &n);
    H_OK(precinfer_plan_load_memory(b.ctx, bytes, n, NULL, &p, &err));
    same_outputs(&b, p, "from memory");
    precinfer_plan_free(p);
    memmove(bytes + 3, bytes, n);                           /* at an odd address, and gone after loading */
    H_OK(precinfer_plan_load_memory(b.ctx, bytes + 3, n, NULL, &p, &err));
    memset(bytes, 0xee, n + 3);
    same_outputs(&b, p, "from an odd address");
    precinfer_plan_free(p);
    free(bytes);

    H_OK(precinfer_plan_load(b.ctx, b.path, NULL, &p, &err));   /* saved again from what was loaded: the same file */
    char again[72];
    snprintf(again, sizeof again, "%s2", b.path);
    H_OK(precinfer_plan_save(p, again, 0, &err));
    size_t m;
    unsigned char *x = h_slurp(b.path, &n), *y = h_slurp(again, &m);
    ck_assert_msg(n == m && !memcmp(x, y, n), "a plan that was loaded and saved is another file");
    free(x); free(y);
    H_OK(precinfer_plan_save(p, again, 1, &err));
    precinfer_plan_free(p);
    H_OK(precinfer_plan_load(b.ctx, again, NULL, &p, &err));
    precinfer_plan_info(p, &is);
    ck_assert(is.rejected && is.plan_hash == was.plan_hash);
    precinfer_plan_free(p);
    remove(again);
    close_bench(&b);
}
END_TEST

START_TEST(another_host)
{
    struct bench b;
    struct precinfer_error err = { 0 };
    struct precinfer_plan_info info;
    open_bench(&b, PRECINFER_PRECISION_INT8);
    struct h_host host = { .threads = 1 };
    precinfer_context *ref = h_context(&host, "ref");
    precinfer_plan *p = NULL;
    const struct precinfer_load_options strict = { .size = sizeof strict, .strict_host = 1 };
    H_OK(precinfer_plan_save(b.p, b.path, 0, &err));
    H_OK(precinfer_plan_load(b.ctx, b.path, &strict, &p, &err));    /* this host is its own */
    precinfer_plan_free(p);
    p = NULL;
    if (strcmp(precinfer_context_cpu(ref), precinfer_context_cpu(b.ctx))) {
        H_REFUSED(precinfer_plan_load(ref, b.path, &strict, &p, &err), PRECINFER_UNSUPPORTED, "another CPU",
                  precinfer_context_cpu(b.ctx), precinfer_context_cpu(ref));
        ck_assert(!p && !host.lines);
        H_OK(precinfer_plan_load(ref, b.path, NULL, &p, &err));
        ck_assert_msg(host.lines == 1 && strstr(host.text, "another CPU"), "said %ld lines: %s", (long)host.lines, host.text);
        precinfer_plan_info(p, &info);
        ck_assert(info.other_host);
        same_outputs(&b, p, "on another CPU");
        precinfer_plan_free(p);
    }
    precinfer_context_free(ref);
    ck_assert_int_eq(host.live, 0);
    close_bench(&b);
}
END_TEST

static uint64_t checksum(unsigned char *bytes, size_t n)
{
    struct pi_hash h;
    memset(bytes + 32, 0, 8);
    pi_hash_init(&h);
    pi_hash_add(&h, bytes, n);
    return pi_hash_end(&h);
}

/* Damage is refused by the checksum. With a checksum that was made to fit, the file loads or is refused; what loads runs. */
START_TEST(damaged)
{
    struct bench b;
    struct precinfer_error err = { 0 };
    size_t n, loaded = 0, refusals = 0;
    open_bench(&b, PRECINFER_PRECISION_INT8);
    H_OK(precinfer_plan_save(b.p, b.path, 0, &err));
    unsigned char *bytes = h_slurp(b.path, &n);
    precinfer_plan *p = NULL;
    for (size_t at = 0; at < n; at += 97) {
        const int shorter = precinfer_plan_load_memory(b.ctx, bytes, at, NULL, &p, &err);
        ck_assert_msg(shorter == PRECINFER_MALFORMED && !p, "%zu of %zu bytes: %d", at, n, shorter);
        bytes[at] ^= (unsigned char)(1 << at % 8);
        const int flipped = precinfer_plan_load_memory(b.ctx, bytes, n, NULL, &p, &err);
        ck_assert_msg(flipped && !p && err.text[0], "a bit of byte %zu is another: %d", at, flipped);
        bytes[at] ^= (unsigned char)(1 << at % 8);
    }
    struct h_host host = { .threads = 1 };                  /* the log is not ours to fill */
    precinfer_context *quiet = h_context(&host, NULL);
    size_t size;
    unsigned char *whole = h_slurp(b.path, &size);
    size_t end = 64 + 5 * 32;                               /* head, table, META, GRPH: from there on all is weights and scales */
    for (int i = 0; i < 2; i++) end = pi_load_u64(whole + 64 + 32 * i + 8) + pi_load_u64(whole + 64 + 32 * i + 16);
    for (size_t at = 40 + (size_t)_i; at < end; at += 11) {
        memcpy(bytes, whole, n);
        bytes[at] ^= (unsigned char)(1 << (at / 11) % 8);
        pi_store_u64(bytes + 32, checksum(bytes, n));
        const int status = precinfer_plan_load_memory(quiet, bytes, n, NULL, &p, &err);
        if (status) { refusals++; ck_assert(err.text[0] && !p); continue; }
        precinfer_session *s = NULL;
        struct precinfer_io io;
        loaded++;
        if (!precinfer_session_new(p, NULL, &s, &err)) {
            struct precinfer_tensor in = { .data = b.x };
            if (!precinfer_plan_input_info(p, 0, &io)) {
                in.dtype = io.dtype;
                in.rank = io.rank;
                size_t elements = 1;
                for (int d = 0; d < io.rank; d++) elements *= (size_t)(in.dims[d] = io.dims[d] < 0 ? 1 : io.dims[d]);
                if (elements <= IMAGES * H_PIXELS && !precinfer_bind(s, io.name, &in, &err)) (void)precinfer_session_run(s, &err);
            }
        }
        precinfer_session_free(s);
        precinfer_plan_free(p);
        p = NULL;
    }
    ck_assert_msg(loaded + refusals > 100, "%zu loaded, %zu refused", loaded, refusals);
    precinfer_context_free(quiet);
    ck_assert_int_eq(host.live, 0);
    free(bytes); free(whole);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ what is really lowered */

START_TEST(lowered)
{
    struct bench b[3];
    uint64_t bytes[3] = { 0 }, stored[3];
    for (int k = 0; k < 3; k++) {
        struct precinfer_plan_info info;
        open_bench(&b[k], (enum precinfer_precision)k);
        precinfer_plan_info(b[k].p, &info);
        stored[k] = info.weights_bytes;
        for (size_t i = 0; i < info.layers; i++) {
            struct precinfer_layer l;
            precinfer_plan_layer(b[k].p, i, &l);
            bytes[k] += l.weights_bytes;
            const char *word = k == 2 ? "u8s8" : k == 1 ? "bf16" : "f32";
            if (!l.lowerable) continue;
            ck_assert_msg((int)l.precision == k, "%s is %s", l.name, precinfer_precision_string(l.precision));
            ck_assert_msg(strstr(l.kernel, word) != NULL, "%s (%s) runs %s, not %s", l.name, l.op, l.kernel, word);
        }
    }
    ck_assert_uint_eq(bytes[0], 4 * 86976);                 /* the model's weights without biases */
    ck_assert_msg((double)bytes[1] <= 0.51 * (double)bytes[0] && (double)bytes[2] <= 0.26 * (double)bytes[0],
                  "%llu, %llu and %llu bytes",
                  (unsigned long long)bytes[0], (unsigned long long)bytes[1], (unsigned long long)bytes[2]);
    ck_assert(stored[2] < stored[1] && stored[1] < stored[0]);
    for (int k = 0; k < 3; k++) memcpy(b[k].x, b[0].x, sizeof b[0].x), h_digits_run(b[k].p, b[k].x, b[k].y, IMAGES);
    for (int k = 1; k < 3; k++) {
        size_t differ = 0;
        for (int i = 0; i < IMAGES * H_CLASSES; i++) differ += b[0].y[i] != b[k].y[i];
        ck_assert_msg(differ > IMAGES * H_CLASSES / 2, "%s: only %zu outputs differ from f32",
                      precinfer_precision_string((enum precinfer_precision)k), differ);
    }
    for (int k = 0; k < 3; k++) close_bench(&b[k]);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ explain */

struct seen { size_t layers, candidates, refusals, chosen, now; const char *isa, *word; int stop; };
static int each(void *user, size_t layer, const struct precinfer_layer *info, const struct precinfer_candidate *c)
{
    struct seen *s = user;
    if (!s->layers || layer != s->now) {
        ck_assert_msg(!s->layers || s->chosen == s->layers, "layer %zu has %zu chosen kernels", s->now, s->chosen);
        s->layers++;
        s->now = layer;
    }
    s->candidates++;
    ck_assert_msg((c->cost_ns < 0) == (c->refused != NULL), "%s for %s: cost %g, refused: %s", c->kernel, info->name,
                  c->cost_ns, c->refused ? c->refused : "no");
    if (c->refused) { s->refusals++; ck_assert(c->refused[0] && !c->chosen); }
    if (c->chosen) {
        s->chosen++;
        ck_assert_msg(!strcmp(c->kernel, info->kernel), "%s: %s is chosen, %s is named", info->name, c->kernel, info->kernel);
        if (info->lowerable) ck_assert_msg(strstr(c->kernel, s->word) && strstr(c->kernel, s->isa), "%s: %s, not %s and %s",
                                           info->name, c->kernel, s->word, s->isa);
    }
    return s->stop && s->candidates == (size_t)s->stop;
}

START_TEST(explained)
{
    static const struct { const char *cpu, *isa[3]; } t[] = { { "haswell", { "avx2", "", "avx2" } },
                                                              { "zen4", { "avx512", "avx512", "avx512" } },
                                                                  { NULL, { "", "", "" } } };
    static const char *const words[] = { "f32", "bf16", "u8s8" };
    struct bench b;
    struct precinfer_error err = { 0 };
    struct precinfer_plan_info info;
    open_bench(&b, (enum precinfer_precision)(_i % 3));
    precinfer_plan_info(b.p, &info);
    struct seen s = { .isa = t[_i / 3].isa[_i % 3], .word = words[_i % 3] };
    H_OK(precinfer_explain(b.p, t[_i / 3].cpu, NULL, each, &s, &err));
    ck_assert_msg(s.layers == info.layers && s.chosen == info.layers, "%zu layers with %zu chosen kernels of %zu", s.layers,
                  s.chosen, info.layers);
    ck_assert_msg(s.candidates > 2 * s.layers && s.refusals > s.layers, "%zu candidates, %zu refused", s.candidates, s.refusals);
    struct seen stop = { .isa = "", .word = "", .stop = 5 };
    H_OK(precinfer_explain(b.p, t[_i / 3].cpu, NULL, each, &stop, &err));
    ck_assert_uint_eq(stop.candidates, 5);
    H_REFUSED(precinfer_explain(b.p, "z80", NULL, each, &s, &err), PRECINFER_NOT_FOUND, "'z80'");
    H_REFUSED(precinfer_explain(b.p, "haswell", "avx512", each, &s, &err), PRECINFER_UNSUPPORTED, "avx512");
    struct seen ref = { .isa = "_ref", .word = words[_i % 3] };
    H_OK(precinfer_explain(b.p, "haswell", "ref", each, &ref, &err));
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ locale */

/* One with a decimal comma: installed, or made for the test where the host has the sources. */
static int comma(const char *dir)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "es_ES.UTF-8" };
    char command[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_ALL, names[i]) && localeconv()->decimal_point[0] == ',') return 1;
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 --no-archive %s/de_DE.UTF-8 > /dev/null 2>&1", dir);
    if (system(command) == -1 || setenv("LOCPATH", dir, 1)) return 0;
    return setlocale(LC_ALL, "de_DE.UTF-8") && localeconv()->decimal_point[0] == ',';
}
START_TEST(decimal_comma)
{
    struct bench b;
    struct precinfer_error err = { 0 };
    char dir[] = "/tmp/precinfer-locale-XXXXXX", command[64], other[72];
    size_t n, m;
    precinfer_recipe *r = NULL;
    ck_assert(mkdtemp(dir) != NULL);
    open_bench(&b, PRECINFER_PRECISION_INT8);
    snprintf(other, sizeof other, "%s2", b.path);
    H_OK(precinfer_recipe_save(b.r, b.path, &err));
    unsigned char *before = h_slurp(b.path, &n);
    if (!comma(dir)) printf("    skipped: api_plan: no locale with a decimal comma\n");
    else {
        char text[16];
        snprintf(text, sizeof text, "%.1f", 0.5);
        ck_assert_str_eq(text, "0,5");
        H_OK(precinfer_recipe_load(b.ctx, b.path, &r, &err));
        ck_assert(precinfer_recipe_hash(r) == precinfer_recipe_hash(b.r));
        H_OK(precinfer_recipe_save(r, other, &err));
        unsigned char *after = h_slurp(other, &m);
        ck_assert_msg(n == m && !memcmp(before, after, n), "a recipe written under a decimal comma differs");
        precinfer_plan *p = h_digits_compile(b.g, b.stats, r);
        same_outputs(&b, p, "under a decimal comma");
        precinfer_plan_free(p);
        precinfer_recipe_free(r);
        free(after);
        setlocale(LC_ALL, "C");
    }
    free(before);
    snprintf(command, sizeof command, "rm -r %s", dir);
    ck_assert(!system(command));
    remove(other);
    close_bench(&b);
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("api_plan");
    h_add(s, "refused", refused, 1, 60);
    h_add(s, "edited", edited, 1, 60);
    h_add(s, "cancelled", cancelled, 1, 60);
    h_add(s, "verified", verified, 1, 120);
    h_add(s, "verified_by_nothing", verified_by_nothing, 1, 120);
    h_add(s, "saved", saved, 3, 60);
    h_add(s, "another_host", another_host, 1, 60);
    h_add(s, "damaged", damaged, 3, 200);
    h_add(s, "lowered", lowered, 1, 60);
    h_add(s, "explained", explained, 9, 60);
    h_add(s, "decimal_comma", decimal_comma, 1, 120);
    return s;
}
