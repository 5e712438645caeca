/* Recipes: binary and text round trips, the hash, every refusal by its path; parameters from ranges. */
#include "../lib/format/recipe_text.h"
#include "../lib/quant/qparams.h"
#include "format_tools.h"

/* ------------------------------------------------------------------------------------------------ parameters */

START_TEST(parameters)
{
    static const struct { double min, max; float scale; int32_t zero; } known[] = {
        { 0, 255, 1, 0 }, { -255, 0, 1, 255 }, { -128, 127, 1, 128 }, { 0, 0, 1, 0 }, { 3, 3, (float)(3.0 / 255), 0 },
            { -3, -3, (float)(3.0 / 255), 255 },
        { 5, 10, (float)(10.0 / 255), 0 }, { -10, -5, (float)(10.0 / 255), 255 }, { -1, 1, (float)(2.0 / 255), 127 },
            { -0.5, 254.5, 1, 0 },
        { -1.5, 253.5, 1, 2 }, { -2.5, 252.5, 1, 2 }, { 0, 1e-44, 0x1p-126f, 0 },
            { -3.4e38, 3.4e38, (float)(6.8e38 / 255), 128 } };
    float scale = 0;
    int32_t zero = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        h_expect(!pi_qparams(known[i].min, known[i].max, &scale, &zero) && scale == known[i].scale && zero == known[i].zero,
                 "[%g, %g]: %a %d", known[i].min,
                 known[i].max, (double)scale, (int)zero);
    h_expect(pi_qparams(1, 0, &scale, &zero) && pi_qparams(__builtin_nan(""), 1, &scale, &zero)
             && pi_qparams(0, __builtin_inf(), &scale, &zero)
                 && pi_qparams(-1, __builtin_nan(""), &scale, &zero), "a range that is none");
    h_reseed(0);
    for (int i = 0; i < 20000; i++) {               /* 0 is exact, and the ends are within half a step and rounding */
        const double a = 100 * (double)h_unit(), b = 100 * (double)h_unit(), lo = a < b ? a : b, hi = a < b ? b : a;
        pi_qparams(lo, hi, &scale, &zero);
        const double bottom = (0 - zero) * (double)scale, top = (255 - zero) * (double)scale, slack = 0.5001 * (double)scale;
        h_expect(zero >= 0 && zero <= 255 && bottom <= lo + slack && top >= hi - slack, "[%g, %g]: %g %d", lo, hi, (double)scale,
                 (int)zero);
    }
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ making one */

/* `order` reverses nodes and values. NULL only without memory. */
static precinfer_recipe *make(precinfer_context *c, int order, struct precinfer_error *err)
{
    static const float scales[] = { 0.1f, 0.0123f, 1.0f / 3, 1e-30f, 1e-44f }, one = 7.25f;
    const struct pi_recipe_node nodes[] = {
        { .name = "conv1", .op = "Conv", .precision = PRECINFER_PRECISION_INT8, .nscales = 5, .scales = scales },
        { .name = "layer \"2\"\\/\t\xc3\xa4", .op = "MatMul", .precision = PRECINFER_PRECISION_BF16 },
        { .name = "fc", .op = "Gemm", .precision = PRECINFER_PRECISION_F32, .nscales = 1, .scales = &one } };
    const struct pi_recipe_value values[] = { { "input", 0.0123f, 128 }, { "conv1_out", 3e-5f, 0 }, { "z", 1, 255 } };
    const struct precinfer_preprocessing p = { 1, 255, 3, { 0.485f, 0.456f, 0.406f }, { 0.229f, 0.224f, 0.225f },
        PRECINFER_NHWC };
    precinfer_recipe *r;
    if (pi_recipe_create(c, &r, err)) return NULL;
    r->model_hash = 0x0123456789abcdef;
    int status = pi_recipe_set_preprocessing(r, &p, err);
    for (int i = 0; !status && i < 3; i++) status = pi_recipe_add_node(r, &nodes[order ? 2 - i : i], err);
    for (int i = 0; !status && i < 3; i++) status = pi_recipe_add_value(r, &values[order ? 2 - i : i], err);
    if (!status) status = pi_recipe_finish(r, err);
    if (!status) return r;
    pi_recipe_release(r);
    return NULL;
}

static void same_recipe(const precinfer_recipe *a, const precinfer_recipe *b)
{
    h_expect(a->hash == b->hash && a->model_hash == b->model_hash && a->nnodes == b->nnodes && a->nvalues == b->nvalues, "head");
    h_expect(pi_preprocessing_same(&a->preprocessing, &b->preprocessing), "preprocessing");
    for (size_t i = 0; i < a->nnodes; i++) {
        const struct pi_recipe_node *x = &a->nodes[i], *y = &b->nodes[i];
        h_expect(!strcmp(x->name, y->name) && !strcmp(x->op, y->op) && x->precision == y->precision && x->nscales == y->nscales,
                 "node %zu", i);
        h_same(x->name, x->scales, y->scales, PI_F32, x->nscales);
        h_expect(pi_recipe_node(b, x->name) == y, "%s is not found", x->name);
    }
    for (size_t i = 0; i < a->nvalues; i++) {
        const struct pi_recipe_value *x = &a->values[i], *y = &b->values[i];
        h_expect(!strcmp(x->name, y->name) && x->zero_point == y->zero_point && h_bits(x->scale) == h_bits(y->scale), "value %zu",
                 i);
        h_expect(pi_recipe_value(b, x->name) == y, "%s is not found", x->name);
    }
    h_expect(!pi_recipe_node(b, "nobody") && !pi_recipe_node(b, "") && !pi_recipe_value(b, "zz") && !pi_recipe_value(b, "a"),
             "what is not there is found");
}

START_TEST(binary)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_recipe *r = make(c, 0, NULL), *back;
    struct pi_bytes b = { .a = &c->alloc };
    pi_recipe_encode(r, &b);
    f_ok(pi_recipe_decode(c, b.data, b.size, &back, &err));
    same_recipe(r, back);
    pi_recipe_release(back);
    for (size_t cut = 0; cut < b.size; cut++) {
        unsigned char *guarded = h_guard(cut);
        struct precinfer_error err = { 0 };
        memcpy(guarded, b.data, cut);
        h_expect(pi_recipe_decode(c, guarded, cut, &back, &err) == PRECINFER_MALFORMED && *err.text, "cut at %zu: %s", cut,
                 err.text);
        h_guard_free(guarded);
    }
    h_reseed(0);
    for (int i = 0; i < 20000; i++) {               /* refused or another recipe, never worse */
        unsigned char copy[512];
        memcpy(copy, b.data, b.size);
        copy[h_below((uint32_t)b.size)] = (unsigned char)h_rnd();
        if (!pi_recipe_decode(c, copy, b.size, &back, NULL)) {
            h_expect(!memcmp(copy, b.data, b.size) == (back->hash == r->hash), "the hash does not see a change");
            pi_recipe_release(back);
        }
    }
    pi_bytes_free(&b);
    pi_recipe_release(r);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST

START_TEST(hash)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_recipe *a = make(c, 0, NULL), *b = make(c, 1, NULL), *other;
    h_expect(a->hash == b->hash && a->hash, "the order shows in the hash");
    h_expect(precinfer_recipe_hash(a) == a->hash && !precinfer_recipe_hash(NULL), "precinfer_recipe_hash");
    /* Means beyond `channels` are no content. */
    struct precinfer_preprocessing p = { 1, 2, 1, { 1, 5 }, { 1, 6 }, PRECINFER_NCHW }, q = p;
    q.mean[1] = 7;
    h_expect(pi_preprocessing_same(&p, &q), "unused means");
    q = p; q.std[0] = 2; h_expect(!pi_preprocessing_same(&p, &q), "std");
    q = p; q.layout = PRECINFER_NHWC; h_expect(!pi_preprocessing_same(&p, &q), "layout");
    q = p; q.divide = 3; h_expect(!pi_preprocessing_same(&p, &q), "divide");
    q = p; q.given = 0; h_expect(!pi_preprocessing_same(&p, &q), "given");
    q = p; q.channels = 2; h_expect(!pi_preprocessing_same(&p, &q), "channels");
    /* Set on a finished recipe: another hash, the same searches, and what was there before is freed. */
    const uint64_t before = a->hash;
    f_ok(precinfer_recipe_set_preprocessing(a, &p, &err));
    h_expect(a->hash != before && pi_recipe_node(a, "conv1"), "another preprocessing");
    f_ok(precinfer_recipe_set_preprocessing(a, &b->preprocessing, &err));
    h_expect(a->hash == b->hash, "the first preprocessing again");
    f_ok(pi_recipe_create(c, &other, &err));
    const struct pi_recipe_value v = { "input", 0.5f, 1 };
    f_ok(pi_recipe_add_value(other, &v, &err));
    f_ok(pi_recipe_add_value(other, &v, &err));
    f_refused(pi_recipe_finish(other, &err), PRECINFER_MALFORMED, "values.input: stands there twice");
    pi_recipe_retain(a);
    pi_recipe_release(a);
    h_expect(pi_recipe_node(a, "conv1") != NULL, "released too early");
    pi_recipe_release(a);
    pi_recipe_release(b);
    precinfer_recipe_free(other);
    precinfer_recipe_free(NULL);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST

/* Which samples tuned it: the hash is as before where there are none, two lots add up, every one is found again. */
START_TEST(tuned)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_recipe *r = make(c, 0, NULL), *back;
    const uint64_t before = r->hash, first[] = { 9, 3, 0xfedcba9876543210, 3 }, second[] = { 5, 9 };
    struct pi_bytes b = { .a = &c->alloc };
    struct precinfer_recipe_info info;
    h_expect(!pi_recipe_tuned_on(r, 3) && !pi_recipe_tuned_on(NULL, 3), "nobody tuned it");
    f_ok(pi_recipe_add_tuned(r, 4, first, 4, &err));
    f_ok(pi_recipe_add_tuned(r, 2, second, 2, &err));
    f_ok(pi_recipe_finish(r, &err));
    h_expect(r->hash != before, "the hash does not see it");
    pi_recipe_encode(r, &b);
    for (int text = 0; text < (PI_WITH_ONNX ? 2 : 1); text++) {
#if PI_WITH_ONNX
        if (text) {
            b.size = 0;
            f_ok(pi_recipe_to_text(r, &b, &err));
            f_ok(pi_recipe_from_text(c, b.data, b.size, &back, &err));
        } else
#endif
        f_ok(pi_recipe_decode(c, b.data, b.size, &back, &err));
        same_recipe(r, back);
        precinfer_recipe_info(back, &info);
        h_expect(info.tune_samples == 6 && back->tuned.n == 4, "%zu samples, %zu hashes", info.tune_samples, back->tuned.n);
        for (uint64_t x = 0; x < 12; x++)
            h_expect(pi_recipe_tuned_on(back, x) == (x == 3 || x == 5 || x == 9), "%d", (int)x);
        h_expect(pi_recipe_tuned_on(back, first[2]), "a large one");
        pi_recipe_release(back);
    }
    pi_bytes_free(&b);
    pi_recipe_release(r);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ text */

#define HEAD "{\"precinfer_recipe\": 1, \"model_hash\": \"0123456789abcdef\", "

START_TEST(written)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_recipe *r = make(c, 0, NULL), *empty;
    struct pi_bytes b = { .a = &c->alloc };
    static const char expected[] =
        "{\n"
        "  \"precinfer_recipe\": 1,\n"
        "  \"model_hash\": \"0123456789abcdef\",\n"
        "  \"preprocessing\": {\"divide\": 255, \"mean\": [0.485, 0.456, 0.406], \"std\": [0.229, 0.224, 0.225], \"layout\": \"nhwc\"},\n"
        "  \"nodes\": {\n"
        "    \"conv1\": {\"op\": \"Conv\", \"precision\": \"int8\", \"weight_scales\": [0.1, 0.0123, 0.33333334, 1e-30, 1e-44]},\n"
        "    \"layer \\\"2\\\"\\\\/\\u0009\xc3\xa4\": {\"op\": \"MatMul\", \"precision\": \"bf16\"},\n"
        "    \"fc\": {\"op\": \"Gemm\", \"precision\": \"f32\", \"weight_scales\": [7.25]}\n"
        "  },\n"
        "  \"values\": {\n"
        "    \"input\": {\"scale\": 0.0123, \"zero_point\": 128},\n"
        "    \"conv1_out\": {\"scale\": 3e-5, \"zero_point\": 0},\n"
        "    \"z\": {\"scale\": 1, \"zero_point\": 255}\n"
        "  }\n"
        "}\n";
    f_ok(pi_recipe_to_text(r, &b, &err));
    h_expect(b.size == sizeof expected - 1 && !memcmp(b.data, expected, b.size), "the text is\n%.*s", (int)b.size, b.data);
    pi_recipe_release(r);
    b.size = 0;
    f_ok(pi_recipe_create(c, &empty, &err));
    const struct pi_recipe_node bad = { .name = "caf\xe9", .op = "Conv" };
    f_ok(pi_recipe_add_node(empty, &bad, &err));
    f_refused(pi_recipe_to_text(empty, &b, &err), PRECINFER_UNSUPPORTED, "not UTF-8");
    pi_recipe_release(empty);
    pi_bytes_free(&b);
    precinfer_context_free(c);
    h_finish();
}
END_TEST

#if PI_WITH_ONNX
START_TEST(text)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_recipe *r = make(c, 0, NULL), *back, *edited;
    f_begin();
    f_ok(precinfer_recipe_save(r, f_path("r.json"), &err));
    f_ok(precinfer_recipe_load(c, f_path("r.json"), &back, &err));
    same_recipe(r, back);
    size_t n;
    unsigned char *bytes = f_read("r.json", &n);
    bytes[n] = 0;
    char *at = strstr((char *)bytes, "128");
    memcpy(at, "127", 3);
    f_ok(pi_recipe_from_text(c, bytes, n, &edited, &err));
    h_expect(edited->hash != r->hash && pi_recipe_value(edited, "input")->zero_point == 127, "an edit");
    pi_recipe_release(edited);
    for (size_t cut = 0; cut + 2 < n; cut++) {
        struct precinfer_error err = { 0 };
        unsigned char *guarded = h_guard(cut);
        memcpy(guarded, bytes, cut);
        h_expect(pi_recipe_from_text(c, guarded, cut, &edited, &err) == PRECINFER_MALFORMED && *err.text, "cut at %zu", cut);
        h_guard_free(guarded);
    }
    free(bytes);
    f_refused(precinfer_recipe_load(c, f_path("none"), &back, &err), PRECINFER_NOT_FOUND, "none");
    f_refused(precinfer_recipe_save(r, f_path("no/r.json"), &err), PRECINFER_IO, "no/r.json");
    f_write("bad.json", "{\n \"a\": }", 9);
    f_refused(precinfer_recipe_load(c, f_path("bad.json"), &back, &err), PRECINFER_MALFORMED, "bad.json: recipe, line 2");
    f_end();
    pi_recipe_release(back);
    pi_recipe_release(r);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST

/* Random floats of all magnitudes survive text exactly. */
START_TEST(numbers)
{
    enum { N = 5000 };
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_recipe *r, *back;
    struct pi_bytes b = { .a = &c->alloc };
    static float scales[N];
    h_reseed(0);
    for (int i = 0; i < N; i++)
        do scales[i] = h_float(h_rnd() & 0x7fffffff); while (!(scales[i] > 0 && scales[i] - scales[i] == 0));
    const struct pi_recipe_node n = { .name = "n", .op = "Gemm", .precision = PRECINFER_PRECISION_INT8, .nscales = N,
        .scales = scales };
    f_ok(pi_recipe_create(c, &r, &err));
    f_ok(pi_recipe_add_node(r, &n, &err));
    f_ok(pi_recipe_finish(r, &err));
    f_ok(pi_recipe_to_text(r, &b, &err));
    f_ok(pi_recipe_from_text(c, b.data, b.size, &back, &err));
    h_same("scales", scales, back->nodes[0].scales, PI_F32, N);
    h_expect(back->hash == r->hash, "the hash");
    pi_recipe_release(r);
    pi_recipe_release(back);
    pi_bytes_free(&b);
    precinfer_context_free(c);
    h_finish();
}
END_TEST

START_TEST(refused)
{
#define NODE(text) HEAD "\"nodes\": {\"conv1\": {" text "}}, \"values\": {}}"
#define VALUE(text) HEAD "\"nodes\": {}, \"values\": {\"x.y\": {" text "}}}"
#define TUNE(text) HEAD "\"nodes\": {}, \"tune\": {" text "}}"
#define PRE(text) HEAD "\"preprocessing\": {" text "}, \"nodes\": {}}"
    static const struct { const char *json; int status; const char *text; } bad[] = {
        { "[]", PRECINFER_MALFORMED, "object" },
        { "{}", PRECINFER_MALFORMED, "precinfer_recipe: missing" },
        { "{\"precinfer_recipe\": 2}", PRECINFER_UNSUPPORTED, "version 2" },
        { "{\"precinfer_recipe\": \"1\"}", PRECINFER_MALFORMED, "precinfer_recipe: must" },
        { "{\"precinfer_recipe\": 1, \"nodes\": {}}", PRECINFER_MALFORMED, "model_hash: missing" },
        { "{\"precinfer_recipe\": 1, \"model_hash\": \"12\", \"nodes\": {}}", PRECINFER_MALFORMED, "model_hash: must be 16" },
        { "{\"precinfer_recipe\": 1, \"model_hash\": \"0123456789abcdeg\", \"nodes\": {}}", PRECINFER_MALFORMED,
            "model_hash: must be 16" },
        { "{\"precinfer_recipe\": 1, \"model_hash\": \"00123456789abcdef\", \"nodes\": {}}", PRECINFER_MALFORMED,
            "model_hash: must be 16" },
        { "{\"precinfer_recipe\": 1, \"model_hash\": 5, \"nodes\": {}}", PRECINFER_MALFORMED, "model_hash: must be a string" },
        { HEAD "\"values\": {}}", PRECINFER_MALFORMED, "nodes: missing" },
        { HEAD "\"nodes\": [], \"values\": {}}", PRECINFER_MALFORMED, "nodes: must be an object" },
        { HEAD "\"nodes\": {}, \"values\": 1}", PRECINFER_MALFORMED, "values: must be an object" },
        { HEAD "\"nodes\": {}, \"value\": {}}", PRECINFER_MALFORMED, "value: unknown key" },
        { HEAD "\"nodes\": {\"conv1\": 5}}", PRECINFER_MALFORMED, "nodes.conv1: must be an object" },
        { HEAD "\"nodes\": {\"a\": {\"op\": \"Conv\", \"precision\": \"f32\"}, \"a\": {\"op\": \"Conv\", \"precision\": \"f32\"}}}", PRECINFER_MALFORMED, "duplicate" },
        { NODE("\"op\": \"Conv\", \"precision\": \"int4\""), PRECINFER_MALFORMED,
            "nodes.conv1.precision: must be f32, bf16 or int8" },
        { NODE("\"op\": \"Conv\", \"precision\": 8"), PRECINFER_MALFORMED, "nodes.conv1.precision: must be a string" },
        { NODE("\"op\": \"Conv\""), PRECINFER_MALFORMED, "nodes.conv1.precision: missing" },
        { NODE("\"precision\": \"f32\""), PRECINFER_MALFORMED, "nodes.conv1.op: missing" },
        { NODE("\"op\": \"Conv\", \"precision\": \"f32\", \"percision\": \"f32\""), PRECINFER_MALFORMED,
            "nodes.conv1.percision: unknown key" },
        { NODE("\"op\": \"Conv\", \"precision\": \"int8\""), PRECINFER_MALFORMED, "nodes.conv1.weight_scales: missing" },
        { NODE("\"op\": \"Conv\", \"precision\": \"int8\", \"weight_scales\": []"), PRECINFER_MALFORMED,
            "nodes.conv1.weight_scales: missing" },
        { NODE("\"op\": \"Conv\", \"precision\": \"int8\", \"weight_scales\": 1"), PRECINFER_MALFORMED,
            "nodes.conv1.weight_scales: must be an array" },
        { NODE("\"op\": \"Conv\", \"precision\": \"int8\", \"weight_scales\": [1, \"2\"]"), PRECINFER_MALFORMED,
            "nodes.conv1.weight_scales[1]" },
        { NODE("\"op\": \"Conv\", \"precision\": \"int8\", \"weight_scales\": [1, 1e39]"), PRECINFER_MALFORMED,
            "nodes.conv1.weight_scales[1]" },
        { NODE("\"op\": \"Conv\", \"precision\": \"int8\", \"weight_scales\": [1, 2, 0]"), PRECINFER_MALFORMED,
            "nodes.conv1.weight_scales[2]: must be above 0" },
        { NODE("\"op\": \"Conv\", \"precision\": \"int8\", \"weight_scales\": [-1]"), PRECINFER_MALFORMED,
            "nodes.conv1.weight_scales[0]: must be above 0" },
        { NODE("\"op\": \"Conv\", \"precision\": \"int8\", \"weight_scales\": [1e-60]"), PRECINFER_MALFORMED,
            "nodes.conv1.weight_scales[0]: must be above 0" },
        { NODE("\"op\": \"Conv\", \"precision\": \"f32\", \"algorithm\": \"winograd\""), PRECINFER_UNSUPPORTED,
            "nodes.conv1.algorithm: 'winograd'" },
        { VALUE("\"scale\": 1"), PRECINFER_MALFORMED, "values.x.y.zero_point: missing" },
        { VALUE("\"zero_point\": 1"), PRECINFER_MALFORMED, "values.x.y.scale: missing" },
        { VALUE("\"scale\": 0, \"zero_point\": 1"), PRECINFER_MALFORMED, "values.x.y.scale: must be above 0" },
        { VALUE("\"scale\": -0.5, \"zero_point\": 1"), PRECINFER_MALFORMED, "values.x.y.scale: must be above 0" },
        { VALUE("\"scale\": null, \"zero_point\": 1"), PRECINFER_MALFORMED, "values.x.y.scale: must be a number" },
        { VALUE("\"scale\": 1e300, \"zero_point\": 1"), PRECINFER_MALFORMED, "values.x.y.scale: beyond" },
        { VALUE("\"scale\": 1, \"zero_point\": 256"), PRECINFER_MALFORMED,
            "values.x.y.zero_point: must be an integer in 0 to 255" },
        { VALUE("\"scale\": 1, \"zero_point\": -1"), PRECINFER_MALFORMED, "values.x.y.zero_point" },
        { VALUE("\"scale\": 1, \"zero_point\": 1.0"), PRECINFER_MALFORMED, "values.x.y.zero_point" },
        { VALUE("\"scale\": 1, \"zero_point\": 1, \"zero\": 1"), PRECINFER_MALFORMED, "values.x.y.zero: unknown key" },
        { PRE("\"divide\": 0"), PRECINFER_MALFORMED, "preprocessing.divide: must be finite and not 0" },
        { PRE("\"divide\": \"255\""), PRECINFER_MALFORMED, "preprocessing.divide: must be a number" },
        { PRE("\"mean\": [1, 2], \"std\": [1]"), PRECINFER_MALFORMED, "preprocessing.std: must have as many" },
        { PRE("\"std\": [1, 0]"), PRECINFER_MALFORMED, "preprocessing.std[1]: must be finite and not 0" },
        { PRE("\"mean\": [1, \"a\"]"), PRECINFER_MALFORMED, "preprocessing.mean[1]" },
        { PRE("\"mean\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), PRECINFER_MALFORMED, "preprocessing.mean: more than 16" },
        { PRE("\"layout\": \"hwc\""), PRECINFER_MALFORMED, "preprocessing.layout: must be model, nchw or nhwc" },
        { TUNE("\"samples\": 1"), PRECINFER_MALFORMED, "tune.hashes: missing" },
        { TUNE("\"samples\": 0, \"hashes\": []"), PRECINFER_MALFORMED, "tune.samples: must be" },
        { TUNE("\"samples\": 0.5, \"hashes\": []"), PRECINFER_MALFORMED, "tune.samples: must be" },
        { TUNE("\"samples\": 1, \"hashes\": [\"0123456789abcdef\", \"0123456789abcde0\"]"), PRECINFER_MALFORMED, "too many" },
        { TUNE("\"samples\": 2, \"hashes\": [\"0123456789abcdef\", 5]"), PRECINFER_MALFORMED, "tune.hashes[1]: must be 16" },
        { TUNE("\"samples\": 2, \"hashes\": [\"0123456789ABCDEF\"]"), PRECINFER_MALFORMED, "tune.hashes[0]: must be 16" },
        { TUNE("\"samples\": 2, \"hashes\": [], \"data\": 1"), PRECINFER_MALFORMED, "tune.data: unknown key" },
        { PRE("\"scale\": 1"), PRECINFER_MALFORMED, "preprocessing.scale: unknown key" } };
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    precinfer_recipe *r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        f_refused(pi_recipe_from_text(c, bad[i].json, strlen(bad[i].json), &r, &err), bad[i].status, bad[i].text);
    static const char *const good[] = { HEAD "\"nodes\": {}}", PRE(""), PRE("\"mean\": [0.5]"),
        PRE("\"divide\": 1e2, \"layout\": \"model\""),
        NODE("\"op\": \"Conv\", \"precision\": \"f32\""),
            NODE("\"weight_scales\": [1, 0.5], \"op\": \"Conv\", \"precision\": \"bf16\""),
                VALUE("\"scale\": 1, \"zero_point\": 0") };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        f_ok(pi_recipe_from_text(c, good[i], strlen(good[i]), &r, &err));
        pi_recipe_release(r);
    }
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST
#endif

START_TEST(no_memory)
{
    f_begin();
    for (long n = 1; ; n++) {
        struct h_host h = { .fail_at = n };
        struct precinfer_error err = { 0 };
        precinfer_context *c = h_context(&h, NULL);
        precinfer_recipe *r = c ? make(c, 0, &err) : NULL, *back = NULL;
        int status = r ? 0 : PRECINFER_NO_MEMORY;
        struct pi_bytes b = { .a = c ? &c->alloc : NULL };
        if (r) pi_recipe_encode(r, &b);
        if (b.failed) status = PRECINFER_NO_MEMORY;
        if (!status) status = pi_recipe_decode(c, b.data, b.size, &back, &err);
        if (!status) pi_recipe_release(back);
        if (c) pi_bytes_free(&b);
        if (!status) status = precinfer_recipe_save(r, f_path("r.json"), &err);
#if PI_WITH_ONNX
        if (!status) status = precinfer_recipe_load(c, f_path("r.json"), &back, &err);
        if (!status) { same_recipe(r, back); pi_recipe_release(back); }
#endif
        h_expect(h.failed ? status == PRECINFER_NO_MEMORY : !status, "allocation %ld: %d %s", n, status, err.text);
        pi_recipe_release(r);
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
    Suite *s = suite_create("quant_recipe");
    h_add(s, "parameters of a range", parameters, 1, 5);
    h_add(s, "binary", binary, 1, 10);
    h_add(s, "hash", hash, 1, 5);
    h_add(s, "tuned", tuned, 1, 5);
    h_add(s, "written", written, 1, 5);
#if PI_WITH_ONNX
    h_add(s, "text", text, 1, 10);
    h_add(s, "numbers", numbers, 1, 5);
    h_add(s, "refused", refused, 1, 5);
#endif
    h_add(s, "no memory", no_memory, 1, 10);
    return s;
}
