/* precinfer_policy_load and _parse. Gate and verify check their own arguments (lib/verify). */
#include "format/map.h"
#include "format/policy_text.h"

static int from_text(precinfer_context *ctx, const void *json, size_t size, precinfer_policy **policy,
                     struct precinfer_error *err)
{
#if PI_WITH_ONNX
    const unsigned saved = pi_fp_enter();
    const int status = pi_policy_from_text(ctx, json, size, policy, err);
    pi_fp_leave(saved);
    return status;
#else
    (void)ctx, (void)json, (void)size, (void)policy;
    return pi_fail(err, PRECINFER_UNSUPPORTED, "this build reads no JSON (WITH_ONNX=0), so no policies");
#endif
}

enum precinfer_status precinfer_policy_parse(precinfer_context *context, const char *json, size_t size, precinfer_policy **policy,
                                             struct precinfer_error *err)
{
    if (!context || !json || !policy)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_policy_parse: context, json or policy is NULL");
    return from_text(context, json, size, policy, err);
}

enum precinfer_status precinfer_policy_load(precinfer_context *context, const char *path, precinfer_policy **policy,
                                            struct precinfer_error *err)
{
    struct pi_map map;
    if (!context || !path || !policy)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_policy_load: context, path or policy is NULL");
    int status = pi_map_open(&context->alloc, path, &map, err);
    if (status) return status;
    status = from_text(context, map.bytes, map.size, policy, err);
    pi_map_close(&map);
    return status ? pi_prefix(err, status, "%s", path) : 0;
}
