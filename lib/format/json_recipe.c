/* Reading the JSON form, strictly: a key that is not known is an error, since a typing error must not change numbers silently. */
#include <string.h>
#include <jansson.h>
#include "../base/error.h"
#include "recipe_text.h"

/* "nodes.conv1." and the key, for messages. */
struct where { const char *group, *name; };

static int bad(struct precinfer_error *err, const struct where *w, const char *key, const char *what)
{
    if (!w->group) return pi_fail(err, PRECINFER_MALFORMED, "%s: %s", key, what);
    if (!w->name) return pi_fail(err, PRECINFER_MALFORMED, "%s.%s: %s", w->group, key, what);
    return pi_fail(err, PRECINFER_MALFORMED, "%s.%s.%s: %s", w->group, w->name, key, what);
}

/* Every key of the object is one of the n known ones. */
static int check_keys(json_t *object, const struct where *w, const char *const *known, size_t n, struct precinfer_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        size_t i = 0;
        while (i < n && strcmp(key, known[i])) i++;
        if (i == n) return bad(err, w, key, "unknown key");
    }
    return 0;
}

/* A float as it will be used; what double holds and float does not is out of range. */
static int get_float(const json_t *value, const struct where *w, const char *key, float *x, struct precinfer_error *err)
{
    if (!value) return bad(err, w, key, "missing");
    if (!json_is_number(value)) return bad(err, w, key, "must be a number");
    *x = (float)json_number_value(value);
    return *x - *x == 0 ? 0 : bad(err, w, key, "beyond the range of 32-bit floats");
}

static int get_string(const json_t *value, const struct where *w, const char *key, const char **s, struct precinfer_error *err)
{
    if (!value) return bad(err, w, key, "missing");
    if (!json_is_string(value)) return bad(err, w, key, "must be a string");
    *s = json_string_value(value);
    return 0;
}

/* An array of numbers into scratch memory. */
static int get_floats(const json_t *value, const struct where *w, const char *key, struct pi_arena *scratch, const float **x,
                      size_t *n,
                      struct precinfer_error *err)
{
    if (!json_is_array(value)) return bad(err, w, key, "must be an array of numbers");
    *n = json_array_size(value);
    float *out = pi_arena_new(scratch, *n + 1, sizeof *out);
    if (!out) return pi_no_memory(err, *n * sizeof *out);
    for (size_t i = 0; i < *n; i++) {
        const json_t *element = json_array_get(value, i);
        out[i] = (float)json_number_value(element);
        if (!json_is_number(element) || !(out[i] - out[i] == 0))
            return pi_fail(err, PRECINFER_MALFORMED, "%s%s%s%s%s[%zu]: must be a number that 32-bit floats hold",
                           w->group ? w->group : "",
                           w->group ? "." : "", w->name ? w->name : "", w->name ? "." : "", key, i);
    }
    *x = out;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ parts */

/* 16 hexadecimal digits. Nonzero: it is something else. */
static int hash_of(const char *s, uint64_t *hash)
{
    uint64_t x = 0;
    size_t n = 0;
    for (; s[n]; n++) {
        const int c = s[n], digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) break;
        x = x << 4 | (unsigned)digit;
    }
    *hash = x;
    return n != 16 || s[n];
}

static int read_hash(const json_t *value, uint64_t *hash, struct precinfer_error *err)
{
    const struct where top = { 0 };
    const char *s = "";
    PI_TRY(get_string(value, &top, "model_hash", &s, err));
    return hash_of(s, hash) ? bad(err, &top, "model_hash", "must be 16 hexadecimal digits") : 0;
}

static int read_tuned(json_t *value, precinfer_recipe *r, struct pi_arena *scratch, struct precinfer_error *err)
{
    static const char *const known[] = { "samples", "hashes" };
    const struct where top = { 0 }, w = { "tune", NULL };
    if (!value) return 0;
    if (!json_is_object(value)) return bad(err, &top, w.group, "must be an object");
    PI_TRY(check_keys(value, &w, known, 2, err));
    const json_t *samples = json_object_get(value, "samples"), *hashes = json_object_get(value, "hashes");
    if (!json_is_integer(samples) || json_integer_value(samples) < 1)
        return bad(err, &w, "samples", samples ? "must be a whole number above 0" : "missing");
    if (!json_is_array(hashes)) return bad(err, &w, "hashes", hashes ? "must be an array of strings" : "missing");
    const size_t n = json_array_size(hashes);
    if (n > PI_TUNED || (json_int_t)n > json_integer_value(samples)) return bad(err, &w, "hashes", "are too many");
    uint64_t *x = pi_arena_new(scratch, n + 1, sizeof *x);
    if (!x) return pi_no_memory(err, n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(hashes, i));
        if (!s || hash_of(s, &x[i]))
            return pi_fail(err, PRECINFER_MALFORMED, "tune.hashes[%zu]: must be 16 hexadecimal digits", i);
    }
    return pi_recipe_add_tuned(r, (uint64_t)json_integer_value(samples), x, n, err);
}

static int read_layout(const json_t *value, const struct where *w, enum precinfer_layout *layout, struct precinfer_error *err)
{
    static const char *const names[] = { "model", "nchw", "nhwc" };
    const char *s = "";
    if (!value) return 0;
    PI_TRY(get_string(value, w, "layout", &s, err));
    for (int i = 0; i < 3; i++)
        if (!strcmp(s, names[i])) { *layout = (enum precinfer_layout)i; return 0; }
    return bad(err, w, "layout", "must be model, nchw or nhwc");
}

static int read_preprocessing(json_t *value, precinfer_recipe *r, struct pi_arena *scratch, struct precinfer_error *err)
{
    static const char *const known[] = { "divide", "mean", "std", "layout" };
    const struct where top = { 0 }, w = { "preprocessing", NULL };
    struct precinfer_preprocessing p = { .given = 1, .divide = 1 };
    const float *mean = NULL, *std = NULL;
    size_t nmean = 0, nstd = 0;
    if (!value) return 0;
    if (!json_is_object(value)) return bad(err, &top, w.group, "must be an object");
    PI_TRY(check_keys(value, &w, known, 4, err));
    json_t *divide = json_object_get(value, "divide"), *means = json_object_get(value, "mean"),
        *stds = json_object_get(value, "std");
    if (divide) PI_TRY(get_float(divide, &w, "divide", &p.divide, err));
    if (means) PI_TRY(get_floats(means, &w, "mean", scratch, &mean, &nmean, err));
    if (stds) PI_TRY(get_floats(stds, &w, "std", scratch, &std, &nstd, err));
    PI_TRY(read_layout(json_object_get(value, "layout"), &w, &p.layout, err));
    const size_t n = nmean > nstd ? nmean : nstd, most = sizeof p.mean / sizeof *p.mean;
    if (n > most) return bad(err, &w, nmean > most ? "mean" : "std", "more than 16 channels");
    if (nmean && nstd && nmean != nstd) return bad(err, &w, "std", "must have as many numbers as mean");
    p.channels = (int)n;
    for (size_t i = 0; i < n; i++) { p.mean[i] = nmean ? mean[i] : 0; p.std[i] = nstd ? std[i] : 1; }
    return pi_recipe_set_preprocessing(r, &p, err);
}

static int read_precision(const json_t *value, const struct where *w, uint8_t *precision, struct precinfer_error *err)
{
    const char *s = "";
    PI_TRY(get_string(value, w, "precision", &s, err));
    for (unsigned i = 0; i <= PRECINFER_PRECISION_INT8; i++)
        if (!strcmp(s, precinfer_precision_string((enum precinfer_precision)i))) { *precision = (uint8_t)i; return 0; }
    return bad(err, w, "precision", "must be f32, bf16 or int8");
}

static int read_node(const char *name, json_t *value, precinfer_recipe *r, struct pi_arena *scratch, struct precinfer_error *err)
{
    static const char *const known[] = { "op", "precision", "weight_scales", "algorithm" };
    const struct where nodes = { "nodes", NULL }, w = { "nodes", name };
    struct pi_recipe_node n = { .name = name };
    if (!json_is_object(value)) return bad(err, &nodes, name, "must be an object");
    PI_TRY(check_keys(value, &w, known, 4, err));
    PI_TRY(get_string(json_object_get(value, "op"), &w, "op", &n.op, err));
    PI_TRY(read_precision(json_object_get(value, "precision"), &w, &n.precision, err));
    json_t *scales = json_object_get(value, "weight_scales"), *algorithm = json_object_get(value, "algorithm");
    if (scales) PI_TRY(get_floats(scales, &w, "weight_scales", scratch, &n.scales, &n.nscales, err));
    if (algorithm) PI_TRY(get_string(algorithm, &w, "algorithm", &n.algorithm, err));
    return pi_recipe_add_node(r, &n, err);
}

static int read_value(const char *name, json_t *value, precinfer_recipe *r, struct precinfer_error *err)
{
    static const char *const known[] = { "scale", "zero_point" };
    const struct where values = { "values", NULL }, w = { "values", name };
    struct pi_recipe_value v = { .name = name };
    if (!json_is_object(value)) return bad(err, &values, name, "must be an object");
    PI_TRY(check_keys(value, &w, known, 2, err));
    PI_TRY(get_float(json_object_get(value, "scale"), &w, "scale", &v.scale, err));
    const json_t *zero = json_object_get(value, "zero_point");
    if (!zero) return bad(err, &w, "zero_point", "missing");
    if (!json_is_integer(zero) || json_integer_value(zero) < 0 || json_integer_value(zero) > 255)
        return bad(err, &w, "zero_point", "must be an integer in 0 to 255");
    v.zero_point = (int32_t)json_integer_value(zero);
    return pi_recipe_add_value(r, &v, err);
}

static int read_all(json_t *root, precinfer_recipe *r, struct pi_arena *scratch, struct precinfer_error *err)
{
    static const char *const known[] = { "precinfer_recipe", "model_hash", "preprocessing", "nodes", "values", "tune" };
    const struct where top = { 0 };
    if (!json_is_object(root)) return pi_fail(err, PRECINFER_MALFORMED, "recipe: must be a JSON object");
    const json_t *version = json_object_get(root, known[0]);
    if (!version) return bad(err, &top, known[0], "missing: this is no recipe");
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return bad(err, &top, known[0], "must be the version of the format, 1");
    if (json_integer_value(version) != 1)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "precinfer_recipe: version %lld; this library reads 1",
                       (long long)json_integer_value(version));
    PI_TRY(check_keys(root, &top, known, 6, err));
    PI_TRY(read_hash(json_object_get(root, "model_hash"), &r->model_hash, err));
    PI_TRY(read_preprocessing(json_object_get(root, "preprocessing"), r, scratch, err));
    json_t *nodes = json_object_get(root, "nodes"), *values = json_object_get(root, "values"), *value;
    const char *name;
    if (!json_is_object(nodes)) return bad(err, &top, "nodes", nodes ? "must be an object" : "missing");
    if (values && !json_is_object(values)) return bad(err, &top, "values", "must be an object");
    json_object_foreach(nodes, name, value) PI_TRY(read_node(name, value, r, scratch, err));
    json_object_foreach(values, name, value) PI_TRY(read_value(name, value, r, err));
    PI_TRY(read_tuned(json_object_get(root, "tune"), r, scratch, err));
    return pi_recipe_finish(r, err);
}

int pi_recipe_from_text(precinfer_context *ctx, const void *text, size_t size, precinfer_recipe **recipe,
                        struct precinfer_error *err)
{
    json_error_t e;
    struct pi_arena scratch = { .a = &ctx->alloc };
    precinfer_recipe *r;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
    if (!root) return pi_fail(err, json_error_code(&e) == json_error_out_of_memory ? PRECINFER_NO_MEMORY : PRECINFER_MALFORMED,
                              "recipe, line %d, column %d: %s", e.line, e.column, e.text);
    int status = pi_recipe_create(ctx, &r, err);
    if (!status) {
        status = read_all(root, r, &scratch, err);
        if (status) pi_recipe_release(r);
        else *recipe = r;
    }
    json_decref(root);
    pi_arena_free(&scratch);
    return status;
}
