/* A writer of JSON. Commas and indents follow from what was written before. */
#include <stdlib.h>
#include <string.h>
#include "tool.h"

static void put(struct json *j, const char *s, size_t n)
{
    if (j->failed) return;
    if (n > j->room - j->n) {
        size_t room = j->room ? j->room : 4096;
        while (room - j->n < n) room *= 2;
        char *more = realloc(j->text, room);
        if (!more) { j->failed = 1; return; }
        j->text = more;
        j->room = room;
    }
    memcpy(j->text + j->n, s, n);
    j->n += n;
}
static void puts_(struct json *j, const char *s) { put(j, s, strlen(s)); }

static void quote(struct json *j, const char *text)
{
    char escape[8];
    puts_(j, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        const size_t n = utf8_length(s);
        if (!n) puts_(j, "\\ufffd");                /* not UTF-8: JSON has no other words */
        else if (*s == '"' || *s == '\\') { escape[0] = '\\'; escape[1] = (char)*s; put(j, escape, 2); }
        else if (*s < 0x20 || *s == 0x7f) { snprintf(escape, sizeof escape, "\\u%04x", *s); puts_(j, escape); }
        else put(j, (const char *)s, n);
        s += n ? n : 1;
    }
    puts_(j, "\"");
}

static void key_of(struct json *j, const char *key)
{
    if (j->n) puts_(j, j->fresh ? "" : ",");
    if (j->n) puts_(j, j->depth <= 2 ? "\n" : j->fresh ? "" : " ");
    if (j->n && j->depth <= 2) for (int i = 0; i < j->depth; i++) puts_(j, "  ");
    j->fresh = 0;
    if (!key) return;
    quote(j, key);
    puts_(j, ": ");
}

void json_open(struct json *j, const char *key, char bracket)
{
    key_of(j, key);
    put(j, &bracket, 1);
    j->depth++;
    j->fresh = 1;
}
void json_close(struct json *j, char bracket)
{
    j->depth--;
    if (j->depth < 2 && !j->fresh) {
        puts_(j, "\n");
        for (int i = 0; i < j->depth; i++) puts_(j, "  ");
    }
    put(j, &bracket, 1);
    j->fresh = 0;
}
void json_string(struct json *j, const char *key, const char *s) { key_of(j, key); quote(j, s ? s : ""); }
void json_null(struct json *j, const char *key) { key_of(j, key); puts_(j, "null"); }
void json_true(struct json *j, const char *key, int x) { key_of(j, key); puts_(j, x ? "true" : "false"); }
void json_size(struct json *j, const char *key, uint64_t n)
{
    char s[24];
    snprintf(s, sizeof s, "%llu", (unsigned long long)n);
    key_of(j, key);
    puts_(j, s);
}
void json_hash(struct json *j, const char *key, uint64_t hash) { char s[17]; json_string(j, key, hash_text(hash, s)); }

void json_number(struct json *j, const char *key, double x)
{
    char s[40];
    key_of(j, key);
    puts_(j, shortest_text(x, s, sizeof s));
}

/* Open dimensions by their name, or null. */
void json_dims(struct json *j, const char *key, const struct precinfer_io *io)
{
    json_open(j, key, '[');
    for (int i = 0; i < io->rank; i++) {
        if (io->dims[i] >= 0) json_size(j, NULL, (uint64_t)io->dims[i]);
        else if (io->symbols[i]) json_string(j, NULL, io->symbols[i]);
        else json_null(j, NULL);
    }
    json_close(j, ']');
}

void json_pre(struct json *j, const char *key, const struct precinfer_preprocessing *p)
{
    static const char *const layouts[] = { "model", "nchw", "nhwc" };
    if (!p->given) return;
    json_open(j, key, '{');
    json_number(j, "divide", (double)p->divide);
    for (int what = 0; what < 2; what++) {
        json_open(j, what ? "std" : "mean", '[');
        for (int i = 0; i < p->channels; i++) json_number(j, NULL, (double)(what ? p->std[i] : p->mean[i]));
        json_close(j, ']');
    }
    json_string(j, "layout", layouts[(unsigned)p->layout % 3]);
    json_close(j, '}');
}

void json_begin(struct json *j, const struct options *o)
{
    *j = (struct json){ 0 };
    json_open(j, NULL, '{');
    json_string(j, "precinfer", precinfer_version());
    json_string(j, "command", command_name(o->command));
}

void json_file(struct json *j, const char *path)
{
    json_open(j, "files", '[');
    json_string(j, NULL, path);
    json_close(j, ']');
}

void json_timing(struct json *j, const struct timing *t)
{
    json_number(j, "median_ns", t->median);
    json_number(j, "p10_ns", t->p10);
    json_number(j, "p90_ns", t->p90);
    if (t->p99 >= 0) json_number(j, "p99_ns", t->p99);
    json_size(j, "runs", t->runs);
}

int json_write(struct json *j, precinfer_context *ctx, const struct options *o)
{
    int code = 0;
    json_close(j, '}');
    puts_(j, "\n");
    if (j->failed) code = fail(EXIT_BROKEN, "cannot write JSON", o->json, "out of memory");
    else if (o->json && !strcmp(o->json, "-")) {
        if (fwrite(j->text, 1, j->n, stdout) != j->n || fflush(stdout)) {
            clearerr(stdout);
            code = fail(EXIT_BROKEN, "cannot write JSON", "standard output", "writing failed");
        }
    } else if (o->json) {
        struct precinfer_error err;
        if (precinfer_file_write(ctx, o->json, j->text, j->n, &err)) code = fail_output(&err, "cannot write JSON", o->json);
    }
    free(j->text);
    *j = (struct json){ 0 };
    return code;
}
