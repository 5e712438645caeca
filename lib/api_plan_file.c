/* The public calls that read and write plans. */
#include <string.h>
#include "format/map.h"
#include "format/plan_file.h"

void pi_plan_unmap(precinfer_plan *p)
{
    if (!p->mapping) return;
    pi_map_close(p->mapping);
    pi_free(&p->ctx->alloc, p->mapping);
}

/* Constants are used where they lie, so bytes at an odd address are copied to one that suits kernels. */
static int load_copy(precinfer_context *context, const void *bytes, size_t size, int strict, precinfer_plan **plan,
                     struct precinfer_error *err)
{
    struct pi_map *map = pi_calloc(&context->alloc, 1, sizeof *map);
    unsigned char *copy = map ? pi_malloc(&context->alloc, size) : NULL;
    if (!copy) { pi_free(&context->alloc, map); return pi_no_memory(err, size); }
    memcpy(copy, bytes, size);
    *map = (struct pi_map){ .bytes = copy, .size = size, .a = &context->alloc };
    const int status = pi_plan_read(context, copy, size, strict, plan, err);
    if (!status) { (*plan)->mapping = map; return 0; }
    pi_map_close(map);
    pi_free(&context->alloc, map);
    return status;
}

enum precinfer_status precinfer_plan_load_memory(precinfer_context *context, const void *bytes, size_t size,
                                                 const struct precinfer_load_options *options,
                                                 precinfer_plan **plan, struct precinfer_error *err)
{
    if (!context || !bytes || !plan) return pi_fail(err, PRECINFER_INVALID, "plan_load_memory: arguments must not be NULL");
    const int strict = options && options->strict_host;
    return (enum precinfer_status)((uintptr_t)bytes % 64 ? load_copy(context, bytes, size, strict, plan, err)
                                                         : pi_plan_read(context, bytes, size, strict, plan, err));
}

enum precinfer_status precinfer_plan_load(precinfer_context *context, const char *path,
                                          const struct precinfer_load_options *options,
                                          precinfer_plan **plan, struct precinfer_error *err)
{
    if (!context || !path || !plan) return pi_fail(err, PRECINFER_INVALID, "plan_load: arguments must not be NULL");
    struct pi_map *map = pi_calloc(&context->alloc, 1, sizeof *map);
    if (!map) return (enum precinfer_status)pi_no_memory(err, sizeof *map);
    precinfer_plan *p = NULL;
    int status = pi_map_open(&context->alloc, path, map, err);
    if (!status) {
        status = pi_plan_read(context, map->bytes, map->size, options && options->strict_host, &p, err);
        if (status) pi_prefix(err, status, "'%s'", path);
    }
    if (status) {
        pi_map_close(map);
        pi_free(&context->alloc, map);
        return (enum precinfer_status)status;
    }
    p->mapping = map;
    *plan = p;
    return PRECINFER_OK;
}

enum precinfer_status precinfer_plan_save(const precinfer_plan *plan, const char *path, int rejected, struct precinfer_error *err)
{
    if (!plan || !path) return pi_fail(err, PRECINFER_INVALID, "plan_save: plan and path must not be NULL");
    return (enum precinfer_status)pi_plan_write(plan, path, rejected, err);
}
