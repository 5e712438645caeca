/* The recipe as JSON text: readable, editable, the same numbers back. */
#ifndef PI_FORMAT_RECIPE_TEXT_H
#define PI_FORMAT_RECIPE_TEXT_H
#include "../quant/recipe.h"

/* A name that is not UTF-8 has no JSON form: PRECINFER_UNSUPPORTED. Call within pi_fp_enter. */
int pi_recipe_to_text(const precinfer_recipe *r, struct pi_bytes *out, struct precinfer_error *err);
/* json_recipe.c; a build without ONNX does not have it. Errors name the path of the key (nodes.conv1.precision). Call within
 * pi_fp_enter. The JSON library takes its memory from malloc. */
int pi_recipe_from_text(precinfer_context *ctx, const void *text, size_t size, precinfer_recipe **recipe,
                        struct precinfer_error *err);
#endif
