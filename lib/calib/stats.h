/* What calibration saw, in fixed size. Everything is a count, a minimum, a maximum or a sum of integers, so that the result
 * does not depend on batch, threads or the order of merging. */
#ifndef PI_CALIB_STATS_H
#define PI_CALIB_STATS_H
#include "../base/context.h"
#include "../quant/recipe.h"            /* preprocessing                                                         */

/* ---------------------------------------------------------------- the range of one value */
enum { PI_BINS = 2048, PI_MIN_EXPONENT = -100 };
struct pi_range {
    const char *name;                   /* NULL: an observer's                                                   */
    float min, max;                     /* of the finite elements, -0 as 0; both 0 while there is none            */
    uint64_t count, nan, inf;           /* count: finite ones                                                    */
    int exponent;                       /* the least >= PI_MIN_EXPONENT with |x| < 2^exponent for all            */
    uint64_t bins[PI_BINS];             /* of |x|, equally wide, over 0 .. 2^exponent                            */
};
void pi_range_init(struct pi_range *r, const char *name);
/* Within pi_fp_enter, as every loop over numbers: a host may flush subnormals. */
void pi_range_update(struct pi_range *r, const float *x, size_t n);
void pi_range_merge(struct pi_range *into, const struct pi_range *from);
int pi_range_exponent(float magnitude);

/* ---------------------------------------------------------------- which samples were seen */
/* The PI_SKETCH smallest distinct hashes, sorted once finished. Fewer than that: all that there were. */
enum { PI_SKETCH = 65536 };
struct pi_sketch { uint64_t *hashes; size_t n, pending, room; };
int pi_sketch_add(const struct pi_allocator *a, struct pi_sketch *s, uint64_t hash, struct precinfer_error *err);
void pi_sketch_finish(struct pi_sketch *s);
int pi_sketch_has(const struct pi_sketch *s, uint64_t hash);

/* Over all inputs of one sample as the model gets them, in input order: types, dimensions but the first, elements (any NaN
 * counts as one). An input whose first dimension is not the batch's goes in whole. */
uint64_t pi_sample_hash(const struct precinfer_batch *b, size_t sample);

/* ---------------------------------------------------------------- all of it */
struct precinfer_stats {
    atomic_size_t refs;
    precinfer_context *ctx;
    struct pi_arena arena;              /* names and ranges                                                      */
    uint64_t model_hash, data_hash;     /* data: sum of sample hashes                                            */
    uint64_t samples;
    struct precinfer_preprocessing preprocessing;
    struct pi_range **values;           /* in the model's order                                                  */
    size_t nvalues, cvalues;
    struct pi_sketch sketch;
};
/* preprocessing may be NULL. */
int pi_stats_new(precinfer_context *ctx, uint64_t model_hash, const struct precinfer_preprocessing *preprocessing,
                 precinfer_stats **stats, struct precinfer_error *err);
void pi_stats_retain(precinfer_stats *s);
void pi_stats_release(precinfer_stats *s);          /* NULL: nothing happens                                     */
/* The caller sees to it that names are unique. *range is valid as long as the statistics. */
int pi_stats_add_value(precinfer_stats *s, const char *name, struct pi_range **range, struct precinfer_error *err);
int pi_stats_add_sample(precinfer_stats *s, uint64_t hash, struct precinfer_error *err);
/* After the last sample and before anything below. */
void pi_stats_finish(precinfer_stats *s);
const struct pi_range *pi_stats_find(const precinfer_stats *s, const char *name);      /* NULL: none               */
/* Of the same model, preprocessing and values, else an error and *into as it was. */
int pi_stats_merge(precinfer_stats *into, const precinfer_stats *from, struct precinfer_error *err);
#endif
