/* JUnit XML, as CI systems read it: a test case for each budget and slice. What could not be decided is skipped there, with
 * the reason; the exit code is what stops a pipeline. */
#include <math.h>
#include <string.h>
#include "tool.h"

static void attribute(struct text *t, const char *name, const char *value)
{
    text_print(t, " %s=\"", name);
    text_escape(t, value);
    text_add(t, "\"");
}

static void property(struct text *t, const char *name, const char *value)
{
    text_add(t, "   <property");
    attribute(t, "name", name);
    attribute(t, "value", value);
    text_add(t, "/>\n");
}

static void test_case(struct text *t, const char *class_name, const char *name)
{
    text_add(t, "  <testcase");
    attribute(t, "classname", class_name);
    attribute(t, "name", name);
    text_add(t, " time=\"0\">\n");
}

static void outcome(struct text *t, const char *tag, const char *message, const char *type)
{
    text_print(t, "   <%s", tag);
    attribute(t, "message", message);
    if (type) attribute(t, "type", type);
    text_add(t, "/>\n");
}

static void one(struct text *t, const struct findings *f, const struct precinfer_contrast *c)
{
    char why[600], slice[300], said[600];
    test_case(t, c->budget, slice_text(c, slice, sizeof slice));
    contrast_why(f, c, why, sizeof why);
    if (c->verdict == PRECINFER_FAIL) outcome(t, "failure", why, "budget");
    else if (c->verdict != PRECINFER_PASS) outcome(t, "skipped", why, NULL);
    snprintf(said, sizeof said, "%s: %.6g, within %.6g and %.6g; limit %.6g; %llu samples; %s", c->quantity ? c->quantity : "",
             c->estimate, c->lower, c->upper, c->limit, (unsigned long long)c->samples, c->method ? c->method : "");
    text_add(t, "   <system-out>");
    text_escape(t, said);
    text_add(t, "</system-out>\n  </testcase>\n");
}

int write_junit(const struct findings *f)
{
    struct text t = { 0 };
    struct precinfer_contrast c;
    char name[600], why[600], h[17];
    const size_t n = contrast_count(f);
    size_t failures = f->breach != NULL, skipped = 0;
    if (!f->o->junit) return 0;
    for (size_t i = 0; i < n; i++) {
        contrast_at(f, i, &c);
        failures += c.verdict == PRECINFER_FAIL;
        skipped += c.verdict != PRECINFER_FAIL && c.verdict != PRECINFER_PASS;
    }
    snprintf(name, sizeof name, "%s against %s", f->candidate, f->reference);
    text_add(&t, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    for (int suite = 0; suite < 2; suite++) {
        text_add(&t, suite ? " <testsuite" : "<testsuites");
        attribute(&t, "name", suite ? name : "precinfer verify");
        text_print(&t, " tests=\"%zu\" failures=\"%zu\" errors=\"0\"", n + (f->breach != NULL), failures);
        if (suite) text_print(&t, " skipped=\"%zu\"", skipped);
        text_add(&t, " time=\"0\">\n");
    }
    explain_verdict(f, why, sizeof why);
    text_add(&t, "  <properties>\n");
    property(&t, "verdict", precinfer_verdict_string(f->verdict));
    property(&t, "why", why);
    property(&t, "data_hash", hash_text(f->r.data_hash, h));
    if (f->plan) property(&t, "plan_hash", hash_text(f->p.plan_hash, h));
    if (f->policy) property(&t, "policy_hash", hash_text(precinfer_policy_hash(f->policy), h));
    text_add(&t, "  </properties>\n");
    for (size_t i = 0; i < n; i++) {
        contrast_at(f, i, &c);
        one(&t, f, &c);
    }
    if (f->breach) {
        test_case(&t, "--strict", f->breach);
        outcome(&t, "failure", why, "strict");
        text_add(&t, "  </testcase>\n");
    }
    text_add(&t, " </testsuite>\n</testsuites>\n");
    return text_write(&t, f->ctx, "cannot write JUnit XML", f->o->junit);
}
