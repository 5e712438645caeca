/* The policy as JSON text. */
#ifndef PI_FORMAT_POLICY_TEXT_H
#define PI_FORMAT_POLICY_TEXT_H
#include "../verify/policy.h"

/* json_policy.c; a build without ONNX does not have it. Errors name the path of the key (budgets[2].max_drop). Call within
 * pi_fp_enter. The JSON library takes its memory from malloc. */
int pi_policy_from_text(precinfer_context *ctx, const void *text, size_t size, precinfer_policy **policy,
                        struct precinfer_error *err);
#endif
