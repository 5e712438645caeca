/* Pooling, one channel of one pixel at a time: the law. */
#include "epilogue.h"

/* MAX: x > best ? x : best, and NaN wins. Pixel after pixel: `a` moves on by its count of taps. */
#define MAXPOOL(name, T)                                                                                                \
pi_pool_fn pi_##name##_ref;                                                                                             \
void pi_##name##_ref(const struct pi_pool *t)                                                                           \
{                                                                                                                       \
    const void *const *a = t->a;                                                                                        \
    for (size_t i = 0; i < t->m; a += t->count[i++])                                                                    \
        for (size_t j = 0; j < t->n; j++) {                                                                             \
            T best = ((const T *)a[0])[j];                                                                              \
            for (size_t s = 1; s < t->count[i]; s++) {                                                                  \
                const T x = ((const T *)a[s])[j];                                                                       \
                best = x != x || x > best ? x : best;                                                                   \
            }                                                                                                           \
            ((T *)t->c[i])[j] = best;                                                                                   \
        }                                                                                                               \
}
MAXPOOL(maxpool_f32, float)
MAXPOOL(maxpool_u8, uint8_t)

pi_pool_fn pi_avgpool_f32_ref;
void pi_avgpool_f32_ref(const struct pi_pool *t)
{
    const void *const *a = t->a;
    for (size_t i = 0; i < t->m; a += t->count[i++])
        for (size_t j = 0; j < t->n; j++) {
            float sum = ((const float *)a[0])[j];
            for (size_t s = 1; s < t->count[i]; s++) sum += ((const float *)a[s])[j];
            ((float *)t->c[i])[j] = sum / (float)t->divide[i];
        }
}

pi_pool_fn pi_avgpool_u8_ref;
void pi_avgpool_u8_ref(const struct pi_pool *t)
{
    const void *const *a = t->a;
    for (size_t i = 0; i < t->m; a += t->count[i++])
        for (size_t j = 0; j < t->n; j++) {
            int32_t sum = -(int32_t)t->count[i] * t->z[0];
            for (size_t s = 0; s < t->count[i]; s++) sum += ((const uint8_t *)a[s])[j];
            const float mean = (float)sum * t->p / (float)t->divide[i];
            ((uint8_t *)t->c[i])[j] = (uint8_t)(law_round(law_clip(mean, t->lo, t->hi)) + t->z[1]);
        }
}
