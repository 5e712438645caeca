/* libFuzzer: any bytes as a recipe, as text where they begin with a brace, else in binary. What loads is written and must
 * come back with the same hash, in both forms. */
#include <stdint.h>
#include <stdlib.h>
#include "../../lib/format/recipe_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void again(precinfer_context *ctx, const precinfer_recipe *r, int text)
{
    struct pi_bytes b = { .a = &ctx->alloc };
    struct precinfer_error err;
    precinfer_recipe *back;
    if (text && pi_recipe_to_text(r, &b, &err)) { pi_bytes_free(&b); return; }     /* a name that is not UTF-8 */
    if (!text) pi_recipe_encode(r, &b);
    if (text ? pi_recipe_from_text(ctx, b.data, b.size, &back, &err) : pi_recipe_decode(ctx, b.data, b.size, &back,
            &err)) abort();
    if (back->hash != r->hash) abort();
    pi_recipe_release(back);
    pi_bytes_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static precinfer_context *ctx;
    struct precinfer_error err;
    precinfer_recipe *r;
    if (!ctx && precinfer_context_new(NULL, &ctx, &err)) abort();
    const int text = size && bytes[0] == '{';
    if (text ? pi_recipe_from_text(ctx, bytes, size, &r, &err) : pi_recipe_decode(ctx, bytes, size, &r, &err)) return 0;
    again(ctx, r, 0);
    again(ctx, r, 1);
    pi_recipe_release(r);
    return 0;
}
