/* Memory of sessions: values alive at once never share bytes, and little more is taken than the least that is possible. */
#include "digits.h"
#include "../lib/plan/session.h"

static int own(const precinfer_session *s, size_t i)
{
    const struct pi_place *q = &s->p->places[i];
    return q->alias < 0 && !q->constant && q->input < 0 && !q->host;
}
/* The last step that reads the memory of place i: its own, its aliases', or what lies in place where it lay. */
static int last(const precinfer_session *s, size_t i, int keep_all)
{
    int most = s->p->places[i].last;
    for (size_t j = 0; j < s->p->nplaces; j++)
        if (s->slot[j].root == (int)i && s->p->places[j].last > most) most = s->p->places[j].last;
    return keep_all ? (int)s->p->nsteps : most;
}
static void check_slots(const precinfer_session *s, int keep_all)
{
    size_t sum = 0;
    for (size_t i = 0; i < s->p->nplaces; i++) {
        if (!own(s, i) || s->slot[i].root != (int)i) continue;
        const struct pi_slot *a = &s->slot[i];
        sum += a->bytes;
        h_expect(a->offset % 64 == 0 && a->offset + a->bytes <= s->memory_bytes, "place %zu: %zu bytes at %zu of %zu", i,
                 a->bytes, a->offset, s->memory_bytes);
        for (size_t j = 0; j < i; j++) {
            const struct pi_slot *b = &s->slot[j];
            if (!own(s, j) || b->root != (int)j || a->offset >= b->offset + b->bytes || b->offset >= a->offset + a->bytes)
                continue;
            h_expect(last(s, i, keep_all) < s->p->places[j].producer || last(s, j, keep_all) < s->p->places[i].producer,
                     "places %zu and %zu share bytes and are alive from steps %d and %d to %d and %d", i, j,
                         s->p->places[i].producer,
                     s->p->places[j].producer, last(s, i, keep_all), last(s, j, keep_all));
        }
    }
    if (keep_all) h_expect(s->memory_bytes == sum, "keep_all: %zu bytes of %zu", s->memory_bytes, sum);
    else h_expect(s->memory_bytes < sum, "%zu bytes, no less than all values together", s->memory_bytes);
}

START_TEST(digits)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *p = h_digits_plan(ctx, g, (enum precinfer_precision)_i);
    for (int keep_all = 0; keep_all < 2; keep_all++) {
        precinfer_session *s = NULL;
        const struct precinfer_session_options o = { .size = sizeof o, .keep_all = keep_all };
        H_OK(precinfer_session_new(p, &o, &s, &err));
        check_slots(s, keep_all);
        h_expect(s->bound_bytes > 0 && s->memory_bytes <= s->bound_bytes * 5 / 4 + (keep_all ? SIZE_MAX / 2 : 0),
                 "%zu bytes, %zu are needed", s->memory_bytes, s->bound_bytes);
        precinfer_session_free(s);
    }
    h_finish();
    precinfer_plan_free(p);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

/* Random networks of unary nodes, adds, flattenings and several outputs; a kept run and a tight one give the same bits. */
static precinfer_graph *random_graph(precinfer_context *ctx)
{
    static const char *const unary[] = { "Relu", "Sigmoid", "Neg", "Tanh", "Flatten", "Abs" };
    struct precinfer_error err = { 0 };
    precinfer_graph *g = NULL;
    const struct precinfer_io x = { .name = "v0", .dtype = PRECINFER_F32, .rank = 2, .dims = { 2, 40 } };
    const int nodes = h_between(3, 20);
    H_OK(precinfer_graph_new(ctx, &g, &err));
    H_OK(precinfer_graph_input(g, &x, &err));
    for (int i = 1; i <= nodes; i++) {
        char a[8], b[8], y[8];
        snprintf(a, sizeof a, "v%d", h_between(i > 4 ? i - 4 : 0, i - 1));
        snprintf(b, sizeof b, "v%d", h_between(i > 6 ? i - 6 : 0, i - 1));
        snprintf(y, sizeof y, "v%d", i);
        const char *in[] = { a, b }, *out[] = { y };
        const int two = h_below(3) == 0;
        H_OK(precinfer_graph_node(g, two ? "Add" : unary[h_below(6)], y, in, two ? 2 : 1, out, 1, NULL, 0, &err));
        if (i == nodes || h_below(6) == 0) H_OK(precinfer_graph_output(g, y, &err));
    }
    H_OK(precinfer_graph_finish(g, &err));
    return g;
}
START_TEST(networks)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    float x[80];
    h_reseed(_i);
    h_fill(x, PI_F32, 80, H_RANDOM);
    const struct precinfer_tensor in = { .data = x, .dtype = PRECINFER_F32, .rank = 2, .dims = { 2, 40 } };
    for (int round = 0; round < 10; round++) {
        precinfer_graph *g = random_graph(ctx);
        precinfer_plan *p = h_digits_compile(g, NULL, NULL);
        precinfer_session *s[2];
        for (int keep_all = 0; keep_all < 2; keep_all++) {
            const struct precinfer_session_options o = { .size = sizeof o, .keep_all = keep_all };
            H_OK(precinfer_session_new(p, &o, &s[keep_all], &err));
            H_OK(precinfer_bind(s[keep_all], "v0", &in, &err));
            H_OK(precinfer_session_run(s[keep_all], &err));
            H_OK(precinfer_session_run(s[keep_all], &err));     /* what the first run left must not matter */
        }
        for (size_t i = 0; i < precinfer_plan_outputs(p); i++) {
            struct precinfer_io io;
            struct precinfer_tensor a, b;
            precinfer_plan_output_info(p, i, &io);
            H_OK(precinfer_session_value(s[0], io.name, &a, &err));
            H_OK(precinfer_session_value(s[1], io.name, &b, &err));
            h_same_bytes(io.name, b.data, a.data, 80 * sizeof(float));
        }
        for (int k = 0; k < 2; k++) precinfer_session_free(s[k]);
        precinfer_plan_free(p);
        precinfer_graph_free(g);
    }
    h_finish();
    precinfer_context_free(ctx);
    ck_assert_int_eq(host.live, 0);
}
END_TEST

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("plan_memory");
    h_add(s, "digits", digits, 3, 60);
    h_add(s, "networks", networks, 6, 60);
    return s;
}
