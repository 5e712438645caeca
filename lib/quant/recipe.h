/* The recipe: everything that decides the numbers. In memory, in binary (inside plan files), and its hash. The JSON form is
 * format's. */
#ifndef PI_QUANT_RECIPE_H
#define PI_QUANT_RECIPE_H
#include "../base/bytes.h"
#include "../base/context.h"

struct pi_recipe_node {
    const char *name, *op;
    uint8_t precision;                  /* enum precinfer_precision                                              */
    const char *algorithm;              /* that computes in another order ("winograd"); NULL: the law's. Reserved */
    size_t nscales;                     /* output channels                                                       */
    const float *scales;                /* of the weights: > 0, finite; int8 has them, others may               */
};
struct pi_recipe_value { const char *name; float scale; int32_t zero_point; };

/* The samples that a choice in the recipe was made on (which layers return to f32): their PI_TUNED smallest distinct hashes,
 * ascending. Calibration, tuning and verification are three sets, so verification asks. samples 0: there were none. */
enum { PI_TUNED = 65536 };
struct pi_tuned { uint64_t samples; const uint64_t *hashes; size_t n; };

/* Nodes and values stand in the model's order; the sorted indexes are what searches and the hash use. */
struct precinfer_recipe {
    atomic_size_t refs;
    precinfer_context *ctx;
    struct pi_arena arena;              /* strings and scales                                                    */
    uint64_t model_hash;
    struct precinfer_preprocessing preprocessing;
    struct pi_recipe_node *nodes;
    struct pi_recipe_value *values;
    size_t nnodes, cnodes, nvalues, cvalues;
    struct pi_tuned tuned;
    int *node_order, *value_order;      /* set by pi_recipe_finish                                               */
    uint64_t hash;                      /* likewise                                                              */
};

int pi_recipe_create(precinfer_context *ctx, precinfer_recipe **recipe, struct precinfer_error *err);
void pi_recipe_retain(precinfer_recipe *r);
void pi_recipe_release(precinfer_recipe *r);        /* NULL: nothing happens                                     */
/* Copies everything. Values out of range are PRECINFER_MALFORMED with their path: nodes.conv1.weight_scales[3]. */
int pi_recipe_add_node(precinfer_recipe *r, const struct pi_recipe_node *node, struct precinfer_error *err);
int pi_recipe_add_value(precinfer_recipe *r, const struct pi_recipe_value *value, struct precinfer_error *err);
int pi_recipe_set_preprocessing(precinfer_recipe *r, const struct precinfer_preprocessing *p, struct precinfer_error *err);
/* hashes: n of them, in any order; those that are there already stay, for choices add up. Then finish the recipe. */
int pi_recipe_add_tuned(precinfer_recipe *r, uint64_t samples, const uint64_t *hashes, size_t n, struct precinfer_error *err);
/* Was this sample (pi_sample_hash) used to tune it? NULL: no. */
int pi_recipe_tuned_on(const precinfer_recipe *r, uint64_t hash);
/* Sorts, refuses a name that stands there twice, hashes. Nothing may be added after it. */
int pi_recipe_finish(precinfer_recipe *r, struct precinfer_error *err);
/* Of a finished recipe; NULL: not in it. */
const struct pi_recipe_node *pi_recipe_node(const precinfer_recipe *r, const char *name);
const struct pi_recipe_value *pi_recipe_value(const precinfer_recipe *r, const char *name);

/* Binary, little-endian. decode takes all of the bytes and finishes the recipe. */
void pi_recipe_encode(const precinfer_recipe *r, struct pi_bytes *out);
int pi_recipe_decode(precinfer_context *ctx, const void *bytes, size_t size, precinfer_recipe **recipe,
                     struct precinfer_error *err);

/* Preprocessing, which statistics and plans hold too. Two are the same when they do the same: means beyond
 * `channels` do not count. */
int pi_preprocessing_check(const struct precinfer_preprocessing *p, const char *where, struct precinfer_error *err);
int pi_preprocessing_same(const struct precinfer_preprocessing *a, const struct precinfer_preprocessing *b);
void pi_preprocessing_encode(const struct precinfer_preprocessing *p, struct pi_bytes *out);
void pi_preprocessing_decode(struct pi_reader *r, struct precinfer_preprocessing *p);       /* then check it     */
#endif
