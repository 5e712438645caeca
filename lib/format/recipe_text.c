/* Writing; needs no JSON library. One node or value a line, so that an edit is one line of a diff. */
#include <stdio.h>
#include <string.h>
#include "../base/error.h"
#include "number.h"
#include "recipe_text.h"

/* Length of the UTF-8 character at s, 0 where there is none (overlong forms and surrogates are none). */
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    const int n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < n; i++) if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90)
        || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static int put_string(struct pi_bytes *out, const char *string, struct precinfer_error *err)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *s = (const unsigned char *)string;
    pi_put_u8(out, '"');
    for (int n; *s; s += n) {
        n = utf8_length(s);
        if (!n) return pi_fail(err, PRECINFER_UNSUPPORTED, "the name '%s' is not UTF-8, which a recipe file must be", string);
        if (*s == '"' || *s == '\\') { pi_put_u8(out, '\\'); pi_put_u8(out, *s); }
        else if (*s < 0x20 || *s == 0x7f) {
            const char escape[6] = { '\\', 'u', '0', '0', hex[*s >> 4], hex[*s & 15] };
            pi_put(out, escape, 6);
        } else pi_put(out, s, (size_t)n);
    }
    pi_put_u8(out, '"');
    return 0;
}

static void put_number(struct pi_bytes *out, float x)
{
    char text[PI_NUMBER_TEXT];
    pi_put(out, text, pi_number_f32(text, x));
}

static void put_numbers(struct pi_bytes *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pi_put_text(out, i ? ", " : "[");
        put_number(out, x[i]);
    }
    pi_put_text(out, n ? "]" : "[]");
}

static void put_preprocessing(struct pi_bytes *out, const struct precinfer_preprocessing *p)
{
    static const char *const layouts[] = { "model", "nchw", "nhwc" };
    if (!p->given) return;
    pi_put_text(out, "  \"preprocessing\": {\"divide\": ");
    put_number(out, p->divide);
    pi_put_text(out, ", \"mean\": ");
    put_numbers(out, p->mean, (size_t)p->channels);
    pi_put_text(out, ", \"std\": ");
    put_numbers(out, p->std, (size_t)p->channels);
    pi_put_text(out, ", \"layout\": \"");
    pi_put_text(out, layouts[p->layout]);
    pi_put_text(out, "\"},\n");
}

static int put_node(struct pi_bytes *out, const struct pi_recipe_node *n, struct precinfer_error *err)
{
    pi_put_text(out, "    ");
    PI_TRY(put_string(out, n->name, err));
    pi_put_text(out, ": {\"op\": ");
    PI_TRY(put_string(out, n->op, err));
    pi_put_text(out, ", \"precision\": \"");
    pi_put_text(out, precinfer_precision_string((enum precinfer_precision)n->precision));
    pi_put_text(out, "\"");
    if (n->nscales) {
        pi_put_text(out, ", \"weight_scales\": ");
        put_numbers(out, n->scales, n->nscales);
    }
    pi_put_text(out, "}");
    return 0;
}

static int put_value(struct pi_bytes *out, const struct pi_recipe_value *v, struct precinfer_error *err)
{
    char text[PI_NUMBER_TEXT];
    pi_put_text(out, "    ");
    PI_TRY(put_string(out, v->name, err));
    pi_put_text(out, ": {\"scale\": ");
    put_number(out, v->scale);
    pi_put_text(out, ", \"zero_point\": ");
    pi_put(out, text, pi_number_f64(text, v->zero_point));
    pi_put_text(out, "}");
    return 0;
}

static void put_hash(struct pi_bytes *out, uint64_t hash)
{
    for (int shift = 60; shift >= 0; shift -= 4) pi_put_u8(out, (unsigned char)"0123456789abcdef"[hash >> shift & 15]);
}

/* Hashes a line each, as the rest of the file. */
static void put_tuned(struct pi_bytes *out, const struct pi_tuned *t)
{
    char text[PI_NUMBER_TEXT];
    pi_put_text(out, ",\n  \"tune\": {\"samples\": ");
    pi_put(out, text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)t->samples));
    pi_put_text(out, ", \"hashes\": [");
    for (size_t i = 0; i < t->n; i++) {
        pi_put_text(out, i ? ",\n    \"" : "\n    \"");
        put_hash(out, t->hashes[i]);
        pi_put_text(out, "\"");
    }
    pi_put_text(out, "]}");
}

int pi_recipe_to_text(const precinfer_recipe *r, struct pi_bytes *out, struct precinfer_error *err)
{
    pi_put_text(out, "{\n  \"precinfer_recipe\": 1,\n  \"model_hash\": \"");
    put_hash(out, r->model_hash);
    pi_put_text(out, "\",\n");
    put_preprocessing(out, &r->preprocessing);
    pi_put_text(out, "  \"nodes\": {");
    for (size_t i = 0; i < r->nnodes; i++) {
        pi_put_text(out, i ? ",\n" : "\n");
        PI_TRY(put_node(out, &r->nodes[i], err));
    }
    pi_put_text(out, r->nnodes ? "\n  },\n  \"values\": {" : "},\n  \"values\": {");
    for (size_t i = 0; i < r->nvalues; i++) {
        pi_put_text(out, i ? ",\n" : "\n");
        PI_TRY(put_value(out, &r->values[i], err));
    }
    pi_put_text(out, r->nvalues ? "\n  }" : "}");
    if (r->tuned.samples) put_tuned(out, &r->tuned);
    pi_put_text(out, "\n}\n");
    return out->failed ? pi_no_memory(err, out->size) : 0;
}
