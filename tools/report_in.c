/* Reports of earlier runs, as promote and --continue need them. jansson is known here alone. */
#include <stdlib.h>
#include <string.h>
#if PI_WITH_ONNX
#include <jansson.h>
#endif
#include "tool.h"

#if PI_WITH_ONNX
int report_open(const char *path, struct old_report *r)
{
    json_error_t e;
    *r = (struct old_report){ .path = path };
    json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (!j && e.line < 0) return fail(EXIT_USAGE, "cannot read the report", path, "%s", e.text);
    if (!j) return fail(EXIT_USAGE, "cannot read the report", path, "line %d, column %d: %s", e.line, e.column, e.text);
    r->json = j;
    const char *command = report_string(r, "command");
    if (command && (!strcmp(command, "verify") || !strcmp(command, "convert")) && report_string(r, "verdict")) return 0;
    report_close(r);
    return fail(EXIT_USAGE, "cannot use the report", path, "it is no report of verify or convert --verify");
}

void report_close(struct old_report *r)
{
    json_decref(r->json);
    *r = (struct old_report){ 0 };
}

static const json_t *find(const json_t *j, const char *key) { return json_object_get(j, key); }

const char *report_string(const struct old_report *r, const char *key) { return json_string_value(find(r->json, key)); }
int report_true(const struct old_report *r, const char *key) { return json_is_true(find(r->json, key)); }
/* A verdict that the report's own contrasts do not bear out: its first such contrast; NULL: none. */
const char *report_contradiction(const struct old_report *r)
{
    size_t i;
    const json_t *x;
    const char *verdict = report_string(r, "verdict");
    json_array_foreach(find(r->json, "contrasts"), i, x) {
        const char *one = json_string_value(find(x, "verdict")), *budget = json_string_value(find(x, "budget"));
        if (!one || !budget) return "a contrast without a verdict";
        if (!strcmp(verdict, "pass") && (!strcmp(one, "fail") || !strcmp(one, "not enough samples"))) return budget;
    }
    return NULL;
}
const char *report_output(const struct old_report *r) { return json_string_value(find(find(r->json, "output"), "reference")); }

/* ------------------------------------------------------------------------------------------------ what a gate goes on from */

static int read_hash(const json_t *j, uint64_t *hash)
{
    const char *s = json_string_value(j);
    char *end;
    if (!s || strlen(s) != 16 || strspn(s, "0123456789abcdef") != 16) return 1;
    *hash = strtoull(s, &end, 16);
    return 0;
}

/* An integer or a real. */
static int read_number(const json_t *j, double *x)
{
    *x = json_number_value(j);
    return !json_is_number(j);
}

static int read_count(const json_t *j, uint64_t *n)
{
    *n = (uint64_t)json_integer_value(j);
    return !json_is_integer(j) || json_integer_value(j) < 0;
}

static int read_atoms(const json_t *list, struct precinfer_evidence *e)
{
    const size_t n = json_array_size(list);
    struct precinfer_atom *atoms = need(n + 1, sizeof *atoms);
    if (!atoms) return EXIT_BROKEN;
    e->atoms = atoms;
    e->natoms = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *a = json_array_get(list, i);
        if (json_array_size(a) != 3 || read_number(json_array_get(a, 0), &atoms[i].low)
            || read_number(json_array_get(a, 1), &atoms[i].high) || read_count(json_array_get(a, 2), &atoms[i].count))
            return EXIT_USAGE;
    }
    return 0;
}

static int read_evidence(const json_t *list, struct report_past *p)
{
    const size_t n = json_array_size(list);
    struct precinfer_evidence *all = need(n + 1, sizeof *all);
    if (!all) return EXIT_BROKEN;
    p->past.evidence = all;
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(list, i);
        struct precinfer_evidence *to = &all[p->past.nevidence++];
        to->budget = json_string_value(find(e, "budget"));
        to->slice = json_string_value(find(e, "slice"));
        if (!to->budget || read_number(find(e, "reference_sum"), &to->reference_sum)
            || read_number(find(e, "candidate_sum"), &to->candidate_sum) || read_count(find(e, "samples"), &to->samples)
            || read_count(find(e, "clipped"), &to->clipped) || !json_is_array(find(e, "atoms"))) return EXIT_USAGE;
        const int code = read_atoms(find(e, "atoms"), to);
        if (code) return code;
    }
    return 0;
}

static int read_hashes(const json_t *list, const char *key, const uint64_t **to, size_t *n)
{
    const size_t all = json_array_size(list);
    uint64_t *hashes = need(all + 1, sizeof *hashes);
    if (!hashes) return EXIT_BROKEN;
    *to = hashes;
    for (; *n < all; ++*n) {
        const json_t *x = json_array_get(list, *n);
        if (read_hash(key ? find(x, key) : x, &hashes[*n])) return EXIT_USAGE;
    }
    return 0;
}

static int read_looks(const json_t *list, struct report_past *p)
{
    const size_t n = json_array_size(list);
    int code = read_hashes(list, "data_hash", &p->past.data_hashes, &p->past.looks);
    if (code) return code;
    p->looks = need(n + 1, sizeof *p->looks);
    if (!p->looks) return EXIT_BROKEN;
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(list, i);
        uint64_t samples;
        p->looks[i].verdict = json_string_value(find(x, "verdict"));
        if (!p->looks[i].verdict || read_count(find(x, "samples"), &samples)) return EXIT_USAGE;
        p->looks[i].samples = (size_t)samples;
        p->looks[i].data_hash = p->past.data_hashes[i];
    }
    return 0;
}

int report_past(const struct old_report *r, struct report_past *p)
{
    const json_t *policy = find(r->json, "policy"), *evidence = find(r->json, "evidence"), *seen = find(r->json, "seen");
    *p = (struct report_past){ .past = { .size = sizeof p->past } };
    if (!policy) return fail(EXIT_USAGE, "cannot continue", r->path,
                             "it was judged by flags alone, whose bounds are for one look; only a policy's sequence goes on");
    if (json_is_integer(find(policy, "n"))) return fail(EXIT_USAGE, "cannot continue", r->path,
        "its policy fixes n at %lld beforehand: that is one look, which is over", (long long)json_integer_value(find(policy,
                "n")));
    int code = read_hash(find(policy, "hash"), &p->past.policy_hash) || !json_is_array(evidence) || !json_is_array(seen)
        || !json_is_array(find(r->json, "looks")) ? EXIT_USAGE : 0;
    if (!code) code = read_evidence(evidence, p);
    if (!code) code = read_hashes(seen, NULL, &p->past.seen, &p->past.nseen);
    if (!code) code = read_looks(find(r->json, "looks"), p);
    if (code) free_past(p);
    return code == EXIT_USAGE ? fail(EXIT_USAGE, "cannot continue", r->path, "its policy, evidence, seen or looks are damaged")
        : code;
}
#else
int report_open(const char *path, struct old_report *r)
{
    *r = (struct old_report){ .path = path };
    return fail(EXIT_USAGE, "cannot read the report", path, "this build reads no JSON (WITH_ONNX=0)");
}
void report_close(struct old_report *r) { (void)r; }
const char *report_string(const struct old_report *r, const char *key) { (void)r, (void)key; return NULL; }
int report_true(const struct old_report *r, const char *key) { (void)r, (void)key; return 0; }
const char *report_output(const struct old_report *r) { (void)r; return NULL; }
const char *report_contradiction(const struct old_report *r) { (void)r; return NULL; }
int report_past(const struct old_report *r, struct report_past *p)
{
    *p = (struct report_past){ 0 };
    return fail(EXIT_USAGE, "cannot continue", r->path, "this build reads no JSON (WITH_ONNX=0)");
}
#endif

void free_past(struct report_past *p)
{
    for (size_t i = 0; i < p->past.nevidence; i++) free((void *)(uintptr_t)p->past.evidence[i].atoms);
    free((void *)(uintptr_t)p->past.evidence);
    free((void *)(uintptr_t)p->past.seen);
    free((void *)(uintptr_t)p->past.data_hashes);
    free(p->looks);
    *p = (struct report_past){ 0 };
}
