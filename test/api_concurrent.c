/* Sessions of one plan on four threads give the bits of one thread; contexts know nothing of each other. */
#include "digits.h"

enum { THREADS = 4, IMAGES = 3, ROUNDS = 3 };

struct worker {
    const precinfer_plan *plan;
    size_t id;
    float x[IMAGES * H_PIXELS], want[IMAGES * H_CLASSES];
    size_t wrong;
};

/* Makes sessions too: what threads share is the plan alone. Check's assertions are for the main thread. */
static void *work(void *p)
{
    struct worker *w = p;
    struct precinfer_error err = { 0 };
    const struct precinfer_shape most = { .input = "image", .rank = 4, .dims = { IMAGES, 1, 8, 8 } };
    const struct precinfer_session_options o = { .size = sizeof o, .max_shapes = &most, .nshapes = 1 };
    for (size_t round = 0; round < ROUNDS; round++) {
        float got[IMAGES * H_CLASSES] = { 0 };
        struct precinfer_plan_info info;
        precinfer_session *s = NULL;
        const int64_t n = 1 + (int64_t)((w->id + round) % IMAGES);
        const struct precinfer_tensor in = h_image(w->x, n), out = h_logits(got, n);
        w->wrong += precinfer_session_new(w->plan, &o, &s, &err) || precinfer_bind(s, "image", &in, &err) ||
                    precinfer_bind(s, "logits", &out, &err) || precinfer_session_run(s, &err) || precinfer_session_run(s, &err) ||
                    precinfer_plan_info(w->plan, &info) || memcmp(got, w->want, (size_t)n * H_CLASSES * sizeof *got);
        precinfer_session_free(s);
    }
    return NULL;
}

static void prepare(struct worker *w, size_t id, const precinfer_plan *plan)
{
    *w = (struct worker){ .plan = plan, .id = id };
    h_pixels(w->x, IMAGES * H_PIXELS);
    h_digits_run(plan, w->x, w->want, IMAGES);
}
static void at_once(struct worker *w, size_t n)
{
    pthread_t t[THREADS];
    for (size_t i = 0; i < n; i++) ck_assert(!pthread_create(&t[i], NULL, work, &w[i]));
    for (size_t i = 0; i < n; i++) ck_assert(!pthread_join(t[i], NULL));
    for (size_t i = 0; i < n; i++) ck_assert_msg(!w[i].wrong, "%zu of %d rounds of thread %zu went wrong", w[i].wrong, ROUNDS, i);
}

START_TEST(one_plan)
{
    static struct worker w[THREADS];
    struct h_host host = { .threads = 1 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *plan = h_digits_plan(ctx, g, (enum precinfer_precision)_i);
    h_reseed(_i);
    for (size_t i = 0; i < THREADS; i++) prepare(&w[i], i, plan);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    at_once(w, THREADS);
    precinfer_plan_free(plan);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

/* Sessions on several threads, each of which has a parallel_for below it. */
START_TEST(parallel_below)
{
    static struct worker w[2];
    struct h_host host = { .threads = 2 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *plan = h_digits_plan(ctx, g, PRECINFER_PRECISION_INT8);
    for (size_t i = 0; i < 2; i++) prepare(&w[i], i, plan);
    at_once(w, 2);
    precinfer_plan_free(plan);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

/* Everything from loading on, in contexts of their own: the same plan hash and the same outputs. */
struct whole {
    struct h_host host; uint64_t hash; float x[H_PIXELS], y[H_CLASSES]; enum precinfer_status status;
    struct precinfer_error err;
};
static void *whole(void *p)
{
    struct whole *w = p;
    struct precinfer_error *err = &w->err;
    const struct precinfer_context_options o = h_options(&w->host);
    precinfer_context *ctx = NULL;
    precinfer_graph *g = NULL;
    precinfer_recipe *r = NULL;
    precinfer_plan *plan = NULL;
    precinfer_session *s = NULL;
    struct precinfer_plan_info info = { 0 };
    const struct precinfer_tensor in = h_image(w->x, 1), out = h_logits(w->y, 1);
    w->status = precinfer_context_new(&o, &ctx, err);
    if (!w->status) w->status = precinfer_graph_load(ctx, h_models[0].model, &g, err);
    if (!w->status) w->status = precinfer_recipe_new(g, NULL, PRECINFER_PRECISION_BF16, &r, err);
    if (!w->status) w->status = precinfer_compile(g, r, NULL, &plan, err);
    if (!w->status) w->status = precinfer_session_new(plan, NULL, &s, err);
    if (!w->status) w->status = precinfer_bind(s, "image", &in, err);
    if (!w->status) w->status = precinfer_bind(s, "logits", &out, err);
    if (!w->status) w->status = precinfer_session_run(s, err);
    if (!w->status) w->status = precinfer_plan_info(plan, &info);
    w->hash = info.plan_hash;
    precinfer_session_free(s);
    precinfer_plan_free(plan);
    precinfer_recipe_free(r);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    return NULL;
}
START_TEST(two_contexts)
{
    static struct whole w[2];
    pthread_t other;
    h_pixels(w[0].x, H_PIXELS);
    memcpy(w[1].x, w[0].x, sizeof w[0].x);
    ck_assert(!pthread_create(&other, NULL, whole, &w[0]));
    whole(&w[1]);
    ck_assert(!pthread_join(other, NULL));
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(!w[i].status, "%s", w[i].err.text);
        ck_assert_int_eq(w[i].host.live, 0);
    }
    ck_assert(w[0].hash == w[1].hash && w[0].hash);
    ck_assert(!memcmp(w[0].y, w[1].y, sizeof w[0].y));
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("api_concurrent");
    h_add(s, "one_plan", one_plan, 3, 120);
    h_add(s, "parallel_below", parallel_below, 1, 120);
    h_add(s, "two_contexts", two_contexts, 1, 120);
    return s;
}
