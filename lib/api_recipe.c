/* precinfer_recipe_*, except _new. */
#include "base/error.h"
#include "format/file.h"
#include "format/map.h"
#include "format/recipe_text.h"

#if PI_WITH_ONNX
static int from_text(precinfer_context *ctx, const struct pi_map *map, precinfer_recipe **recipe, struct precinfer_error *err)
{
    return pi_recipe_from_text(ctx, map->bytes, map->size, recipe, err);
}
#else
static int from_text(precinfer_context *ctx, const struct pi_map *map, precinfer_recipe **recipe, struct precinfer_error *err)
{
    (void)ctx, (void)map, (void)recipe;
    return pi_fail(err, PRECINFER_UNSUPPORTED, "this build reads no JSON (WITH_ONNX=0), so no recipes");
}
#endif

enum precinfer_status precinfer_recipe_load(precinfer_context *context, const char *path, precinfer_recipe **recipe,
                                            struct precinfer_error *err)
{
    struct pi_map map;
    if (!context || !path || !recipe)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_recipe_load: context, path or recipe is NULL");
    int status = pi_map_open(&context->alloc, path, &map, err);
    if (status) return status;
    const unsigned saved = pi_fp_enter();
    status = from_text(context, &map, recipe, err);
    pi_fp_leave(saved);
    pi_map_close(&map);
    return status ? pi_prefix(err, status, "%s", path) : 0;
}

enum precinfer_status precinfer_recipe_save(const precinfer_recipe *recipe, const char *path, struct precinfer_error *err)
{
    if (!recipe || !path) return pi_fail(err, PRECINFER_INVALID, "precinfer_recipe_save: recipe or path is NULL");
    struct pi_bytes text = { .a = &recipe->ctx->alloc };
    const unsigned saved = pi_fp_enter();
    int status = pi_recipe_to_text(recipe, &text, err);
    pi_fp_leave(saved);
    if (!status) status = pi_file_write(text.a, path, text.data, text.size, err);
    pi_bytes_free(&text);
    return status;
}

uint64_t precinfer_recipe_hash(const precinfer_recipe *recipe) { return recipe ? recipe->hash : 0; }

void precinfer_recipe_free(precinfer_recipe *recipe) { pi_recipe_release(recipe); }

enum precinfer_status precinfer_recipe_set_preprocessing(precinfer_recipe *recipe,
                                                         const struct precinfer_preprocessing *preprocessing,
                                                         struct precinfer_error *err)
{
    if (!recipe || !preprocessing)
        return pi_fail(err, PRECINFER_INVALID, "precinfer_recipe_set_preprocessing: an argument is NULL");
    PI_TRY(pi_recipe_set_preprocessing(recipe, preprocessing, err));
    return pi_recipe_finish(recipe, err);
}

enum precinfer_status precinfer_recipe_info(const precinfer_recipe *recipe, struct precinfer_recipe_info *info)
{
    if (!recipe || !info) return PRECINFER_INVALID;
    *info = (struct precinfer_recipe_info){ recipe->hash, recipe->model_hash, recipe->nnodes, recipe->nvalues, recipe->preprocessing,
        (size_t)recipe->tuned.samples };
    return PRECINFER_OK;
}

enum precinfer_status precinfer_recipe_node(const precinfer_recipe *recipe, size_t i, struct precinfer_recipe_node *node)
{
    if (!recipe || !node || i >= recipe->nnodes) return PRECINFER_INVALID;
    const struct pi_recipe_node *n = &recipe->nodes[i];
    *node = (struct precinfer_recipe_node){ n->name, n->op, (enum precinfer_precision)n->precision, n->scales, n->nscales };
    return PRECINFER_OK;
}

enum precinfer_status precinfer_recipe_value(const precinfer_recipe *recipe, size_t i, struct precinfer_recipe_value *value)
{
    if (!recipe || !value || i >= recipe->nvalues) return PRECINFER_INVALID;
    const struct pi_recipe_value *v = &recipe->values[i];
    *value = (struct precinfer_recipe_value){ v->name, { v->scale, v->zero_point } };
    return PRECINFER_OK;
}
