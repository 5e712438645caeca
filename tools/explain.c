/* precinfer explain: every candidate kernel of every layer. */
#include <stdlib.h>
#include <string.h>
#include "tool.h"

struct explanation { FILE *out; struct json j; size_t layer; int any; };

static int each(void *user, size_t layer, const struct precinfer_layer *l, const struct precinfer_candidate *c)
{
    struct explanation *e = user;
    char cost[32];
    if (!e->any || layer != e->layer) {
        if (e->any) { json_close(&e->j, ']'); json_close(&e->j, '}'); }
        e->any = 1;
        e->layer = layer;
        fprintf(e->out, "%s (%s), %s: %s\n", l->name, l->op, precinfer_precision_string(l->precision),
                l->kernel ? l->kernel : "-");
        json_open(&e->j, NULL, '{');
        json_string(&e->j, "name", l->name);
        json_string(&e->j, "op", l->op);
        json_string(&e->j, "precision", precinfer_precision_string(l->precision));
        json_string(&e->j, "chosen", l->kernel ? l->kernel : "");
        json_open(&e->j, "candidates", '[');
    }
    if (!c->kernel) return 0;
    if (c->refused) fprintf(e->out, "    %-34s refused: %s\n", c->kernel, c->refused);
    else fprintf(e->out, "  %s %-34s %s\n", c->chosen ? "*" : " ", c->kernel, time_text(c->cost_ns, cost));
    json_open(&e->j, NULL, '{');
    json_string(&e->j, "kernel", c->kernel);
    if (c->refused) json_null(&e->j, "cost_ns");
    else json_number(&e->j, "cost_ns", c->cost_ns);
    if (c->refused) json_string(&e->j, "refused", c->refused);
    else json_null(&e->j, "refused");
    json_close(&e->j, '}');
    return 0;
}

static int list_cpus(const struct options *o)
{
    FILE *out = text_out(o);
    precinfer_context *ctx;
    struct json j;
    for (size_t i = 0; precinfer_cpu_name(i); i++) fprintf(out, "%s\n", precinfer_cpu_name(i));
    int code = flush_text(o);
    if (code || !o->json) return code;
    code = open_context(o, 0, &ctx);
    if (code) return code;
    json_begin(&j, o);
    json_open(&j, "cpus", '[');
    for (size_t i = 0; precinfer_cpu_name(i); i++) json_string(&j, NULL, precinfer_cpu_name(i));
    json_close(&j, ']');
    code = json_write(&j, ctx, o);
    close_context(ctx);
    return code;
}

static int check_cpu(const struct options *o)
{
    char names[512] = "";
    size_t at = 0;
    for (size_t i = 0; o->cpu && precinfer_cpu_name(i); i++) {
        if (!strcmp(precinfer_cpu_name(i), o->cpu)) return 0;
        if (at < sizeof names) at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? " " : "", precinfer_cpu_name(i));
    }
    return o->cpu ? fail(EXIT_USAGE, "wrong value", "--cpu", "no CPU is named '%s'; these are: %s", o->cpu, names) : 0;
}

static int explain(const struct options *o, precinfer_context *ctx)
{
    struct model m;
    struct precinfer_error err;
    struct explanation e = { .out = text_out(o) };
    precinfer_plan *plan = NULL;
    int noisy = 0, code = load_model(ctx, o->files.items[0], &m);
    if (!code) code = check_shapes(o, &m);
    if (!code && m.plan && (o->nprecisions || o->stats))
        code = fail(EXIT_USAGE, "option without use", o->nprecisions ? "--precision" : "--stats",
                    "%s is a plan, whose precision is decided", m.path);
    if (!code && m.graph) code = compile_at(o, ctx, &m, o->nprecisions ? o->precisions[0] : PRECINFER_PRECISION_F32, &plan,
                                            &noisy);
    if (code) { free_model(&m); return code; }
    const char *cpu = o->cpu ? o->cpu : precinfer_context_cpu(ctx);
    fprintf(e.out, "%s\n%s\n", cpu, noisy ? "int8: calibrated on seeded noise, as there is no --stats" : "");
    json_begin(&e.j, o);
    json_string(&e.j, "cpu", cpu);
    json_string(&e.j, "model", m.path);
    if (noisy) json_string(&e.j, "calibration", "seeded noise");
    json_open(&e.j, "nodes", '[');
    if (precinfer_explain(m.plan ? m.plan : plan, o->cpu, o->cpu ? o->cpu_mask : NULL, each, &e, &err))
        code = fail_input(&err, "cannot explain", o->cpu_mask ? "--cpu-mask" : m.path);
    if (e.any) { json_close(&e.j, ']'); json_close(&e.j, '}'); }
    json_close(&e.j, ']');
    if (!code) code = flush_text(o);
    if (!code) code = json_write(&e.j, ctx, o);
    else free(e.j.text);
    precinfer_plan_free(plan);
    free_model(&m);
    return code;
}

int run_explain(const struct options *o)
{
    precinfer_context *ctx;
    if (o->cpu && !strcmp(o->cpu, "help")) return list_cpus(o);
    if (o->files.n != 1) return fail(EXIT_USAGE, "explain wants one model or plan", NULL, "%zu files are given", o->files.n);
    int code = check_cpu(o);
    if (!code) code = open_context(o, !o->cpu, &ctx);
    if (code) return code;
    code = explain(o, ctx);
    close_context(ctx);
    return code;
}
