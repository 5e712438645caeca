/* The context, versions and names: argument checks, then one call down. */
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/tensor.h"
#include "kern/choose.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *precinfer_version(void)
{
    return TEXT(PRECINFER_VERSION_MAJOR) "." TEXT(PRECINFER_VERSION_MINOR) "." TEXT(PRECINFER_VERSION_PATCH);
}

const char *precinfer_status_string(enum precinfer_status status)
{
    static const char *const words[] = {
        [PRECINFER_OK] = "ok", [PRECINFER_INVALID] = "invalid argument", [PRECINFER_UNSUPPORTED] = "unsupported",
        [PRECINFER_MALFORMED] = "malformed", [PRECINFER_NOT_FOUND] = "not found", [PRECINFER_NO_MEMORY] = "out of memory",
        [PRECINFER_IO] = "input/output error", [PRECINFER_CANCELLED] = "cancelled" };
    return (unsigned)status < sizeof words / sizeof *words ? words[status] : "unknown status";
}

const char *precinfer_dtype_string(enum precinfer_dtype dtype) { return pi_type_name((enum pi_type)dtype); }
size_t precinfer_dtype_size(enum precinfer_dtype dtype) { return pi_type_size((enum pi_type)dtype); }
const char *precinfer_cpu_name(size_t i) { return pi_cpu_named_at(i); }

/* A caller built against a newer header may pass more than this build knows: then the rest must be zero. */
static int read_options(const struct precinfer_context_options *given, struct precinfer_context_options *o,
                        struct precinfer_error *err)
{
    *o = (struct precinfer_context_options){ .size = sizeof *o };
    if (!given) return PRECINFER_OK;
    if (given->size < sizeof given->size)
        return pi_fail(err, PRECINFER_INVALID, "context options: size is %zu, set it to sizeof the struct", given->size);
    const unsigned char *bytes = (const unsigned char *)given;
    for (size_t i = sizeof *o; i < given->size; i++)
        if (bytes[i]) return pi_fail(err, PRECINFER_UNSUPPORTED, "context options: byte %zu, unknown to this version, is set", i);
    memcpy(o, given, given->size < sizeof *o ? given->size : sizeof *o);
    if (!o->alloc != !o->release)
        return pi_fail(err, PRECINFER_INVALID, "context options: alloc and release go together");
    if (o->threads > 1 && !o->parallel_for)
        return pi_fail(err, PRECINFER_INVALID,
                       "context options: threads is %zu without parallel_for: the library starts no thread", o->threads);
    return PRECINFER_OK;
}

static char *copy(const struct pi_allocator *a, const char *s)
{
    const size_t n = strlen(s) + 1;
    char *p = pi_malloc(a, n);
    return p ? memcpy(p, s, n) : NULL;
}

/* "AMD family 25 model 17: avx2 avx512" */
static char *describe(const struct pi_allocator *a, const struct pi_cpu *cpu, uint64_t isas)
{
    char s[512];
    const char *vendor = !strcmp(cpu->vendor, "AuthenticAMD") ? "AMD" : !strcmp(cpu->vendor, "GenuineIntel") ? "Intel"
                       : !strcmp(cpu->vendor, "HygonGenuine") ? "Hygon" : cpu->vendor;
    int at = snprintf(s, sizeof s, "%s family %u model %u:", vendor, cpu->family, cpu->model);
    const uint64_t ref = pi_isas_of(0);
    if (isas != ref) isas &= ~ref;      /* beside others it goes without saying */
    for (size_t i = 0; pi_isas[i].name && at < (int)sizeof s; i++)
        if (isas >> i & 1) at += snprintf(s + at, sizeof s - (size_t)at, " %s", pi_isas[i].name);
    pi_clean_text(s, sizeof s);
    return copy(a, s);
}

enum { MOST_THREADS = 1024 };           /* workspaces are per slot; n never exceeds what the host named */

static int fill(precinfer_context *c, const struct precinfer_context_options *o, struct precinfer_error *err)
{
    atomic_init(&c->refs, 1);
    c->host = o->host;
    c->log = o->log;
    c->parallel_for = o->parallel_for;
    c->threads = o->threads < 1 ? 1 : o->threads > MOST_THREADS ? MOST_THREADS : o->threads;
    pi_cpu_detect(&c->cpu);
    PI_TRY(pi_isas_masked(o->cpu_mask, c->cpu.features, &c->isas, err));
    c->cpu_text = describe(&c->alloc, &c->cpu, c->isas);
    if (!c->cpu_text) return pi_no_memory(err, 512);
    if (!o->kernel) return PRECINFER_OK;
    c->kernel = copy(&c->alloc, o->kernel);
    return c->kernel ? PRECINFER_OK : pi_no_memory(err, strlen(o->kernel) + 1);
}

enum precinfer_status precinfer_context_new(const struct precinfer_context_options *options, precinfer_context **context,
                                            struct precinfer_error *err)
{
    struct precinfer_context_options o;
    if (!context) return (enum precinfer_status)pi_fail(err, PRECINFER_INVALID, "context is NULL");
    int rc = read_options(options, &o, err);
    if (rc) return (enum precinfer_status)rc;
    struct pi_allocator a = pi_default_allocator;
    if (o.alloc) a = (struct pi_allocator){ o.host, o.alloc, o.release };
    precinfer_context *c = pi_calloc(&a, 1, sizeof *c);
    if (!c) return (enum precinfer_status)pi_no_memory(err, sizeof *c);
    c->alloc = a;
    rc = fill(c, &o, err);
    if (rc) pi_context_release(c);
    else *context = c;
    return (enum precinfer_status)rc;
}

void precinfer_context_free(precinfer_context *context) { pi_context_release(context); }
const char *precinfer_context_cpu(const precinfer_context *context) { return context ? context->cpu_text : ""; }
