/* The digits network and its plans, for tests of the public interface. */
#ifndef PI_TEST_DIGITS_H
#define PI_TEST_DIGITS_H
#include "models.h"

#define H_OK(call) do { const int h_rc_ = (int)(call); ck_assert_msg(!h_rc_, "%s: %d: %s", #call, h_rc_, err.text); } while (0)
/* The call fails with this status, and its sentence has all of these words. */
#define H_REFUSED(call, want, ...) \
    do { \
        err.text[0] = 0; err.status = PRECINFER_OK; \
        const int h_rc_ = (int)(call); \
        ck_assert_msg(h_rc_ == (int)(want) && (int)err.status == h_rc_, "%s: %d (%s), not %s", #call, h_rc_, err.text, \
                      precinfer_status_string(want)); \
        h_words(err.text, (const char *const[]){ __VA_ARGS__, NULL }); \
    } while (0)
static inline void h_words(const char *text, const char *const *words)
{
    for (; *words; words++) ck_assert_msg(strstr(text, *words) != NULL, "'%s' does not say '%s'", text, *words);
}

static inline precinfer_graph *h_digits(precinfer_context *ctx) { return h_model_load(&h_models[0], ctx, "digits"); }
static inline precinfer_stats *h_digits_stats(precinfer_context *ctx, const precinfer_graph *g, size_t samples)
{
    return h_model_calibrate(&h_models[0], ctx, g, samples, 8);
}
static inline precinfer_plan *h_digits_compile(const precinfer_graph *g, const precinfer_stats *stats, const precinfer_recipe *r)
{
    struct precinfer_error err = { 0 };
    precinfer_plan *p = NULL;
    const struct precinfer_compile_options o = { .size = sizeof o, .stats = stats };
    H_OK(precinfer_compile(g, r, &o, &p, &err));
    return p;
}
/* Calibrated on 16 samples where that is needed. */
static inline precinfer_plan *h_digits_plan(precinfer_context *ctx, const precinfer_graph *g, enum precinfer_precision precision)
{
    struct precinfer_error err = { 0 };
    precinfer_recipe *r = NULL;
    precinfer_stats *s = precision == PRECINFER_PRECISION_INT8 ? h_digits_stats(ctx, g, 16) : NULL;
    H_OK(precinfer_recipe_new(g, s, precision, &r, &err));
    precinfer_plan *p = h_digits_compile(g, s, r);
    precinfer_recipe_free(r);
    precinfer_stats_free(s);
    return p;
}

enum { H_PIXELS = 64, H_CLASSES = 10 };
static inline precinfer_session *h_digits_session(const precinfer_plan *p, int64_t batch)
{
    struct precinfer_error err = { 0 };
    precinfer_session *s = NULL;
    const struct precinfer_shape most = { .input = "image", .rank = 4, .dims = { batch, 1, 8, 8 } };
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &most, .nshapes = 1 };
    H_OK(precinfer_session_new(p, &o, &s, &err));
    return s;
}
static inline struct precinfer_tensor h_image(float *x, int64_t batch)
{
    return (struct precinfer_tensor){ .data = x, .dtype = PRECINFER_F32, .rank = 4, .dims = { batch, 1, 8, 8 } };
}
static inline struct precinfer_tensor h_logits(float *y, int64_t batch)
{
    return (struct precinfer_tensor){ .data = y, .dtype = PRECINFER_F32, .rank = 2, .dims = { batch, H_CLASSES } };
}
/* Pixels as the network knows them: sixteenths in 0 .. 1. */
static inline void h_pixels(float *x, size_t n) { for (size_t i = 0; i < n; i++) x[i] = (float)h_below(17) / 16; }

/* Outputs of n images of a new session. */
static inline void h_digits_run(const precinfer_plan *p, float *x, float *y, int64_t batch)
{
    struct precinfer_error err = { 0 };
    precinfer_session *s = h_digits_session(p, batch);
    const struct precinfer_tensor in = h_image(x, batch), out = h_logits(y, batch);
    H_OK(precinfer_bind(s, "image", &in, &err));
    H_OK(precinfer_bind(s, "logits", &out, &err));
    H_OK(precinfer_session_run(s, &err));
    precinfer_session_free(s);
}

/* A whole file; free() it. */
static inline unsigned char *h_slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is missing", path);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *b = NULL;
    ck_assert(!posix_memalign((void **)&b, 64, *n + 64));
    ck_assert(fread(b, 1, *n, f) == *n);
    b[*n] = 0;
    fclose(f);
    return b;
}
#endif
