/* Recordings: read as they were written, in parts and pieces, never damaged; the memory that a diff takes. */
#include "../lib/format/file.h"
#include "diffs.h"

/* ------------------------------------------------------------------------------------------------ recordings */

static void refused(precinfer_context *ctx, struct precinfer_side a, struct precinfer_side b, precinfer_data *data, int status,
                    const char *what)
{
    struct precinfer_error err = { 0 };
    precinfer_diff *d = NULL;
    if (data) precinfer_data_rewind(data);
    const int got = (int)precinfer_diff_new(ctx, &a, &b, data ? precinfer_data_next : NULL, data, NULL, &d, &err);
    h_expect(got == status && !d && strstr(err.text, what), "%d: %s", got, err.text);
    if (!got) precinfer_diff_free(d);
}

START_TEST(recordings)
{
    struct h_host host = { .threads = 1 };
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    precinfer_graph *g = h_digits(ctx);
    precinfer_plan *p = h_digits_plan(ctx, g, PRECINFER_PRECISION_INT8);
    precinfer_data *data = digits(ctx, g, 20, 8);
    const struct precinfer_side plan = of_plan(p), model = of_graph(g);
    char low[256], full[256], damaged[256];
    snprintf(low, sizeof low, "%s", path_of("low.rec"));
    snprintf(full, sizeof full, "%s", path_of("full.rec"));
    snprintf(damaged, sizeof damaged, "%s", path_of("damaged.rec"));
    H_OK(precinfer_record(&plan, precinfer_data_next, data, low, NULL, &err));
    precinfer_data_rewind(data);
    H_OK(precinfer_record(&model, precinfer_data_next, data, full, NULL, &err));
    /* Live, half live and recorded: the same figures; the same plan: the same bytes. */
    precinfer_data_rewind(data);
    precinfer_diff *live = diff(ctx, plan, model, precinfer_data_next, data, NULL);
    precinfer_data_free(data);
    data = digits(ctx, g, 20, 3);               /* cut otherwise than what was recorded */
    precinfer_diff *half = diff(ctx, recorded(low), model, precinfer_data_next, data, NULL);
    precinfer_diff *both = diff(ctx, recorded(low), recorded(full), NULL, NULL, NULL);
    struct precinfer_diff_info info;
    precinfer_diff_info(live, &info);
    for (size_t i = 0; i < info.layers; i++) {
        struct precinfer_layer_diff l[3];
        precinfer_diff_layer(live, i, &l[0]);
        precinfer_diff_layer(half, i, &l[1]);
        precinfer_diff_layer(both, i, &l[2]);
        for (int k = 1; k < 3; k++)
            h_expect(!strcmp(l[0].layer, l[k].layer) && !strcmp(l[0].tensor, l[k].tensor) && !strcmp(l[0].op, l[k].op) &&
                     !strcmp(l[0].fused, l[k].fused) && near(l[0].sqnr_db, l[k].sqnr_db, 1e-9) &&
                         l[0].elements == l[k].elements &&
                     l[0].max_abs == l[k].max_abs && l[0].bytes == l[k].bytes && isnan(l[k].own_sqnr_db) &&
                     (l[0].step == l[k].step ||
                      isnan(l[0].step)), "%s, %s differs", l[0].layer, k == 1 ? "half live" : "recorded");
    }
    precinfer_diff_free(half);
    precinfer_diff_free(both);
    precinfer_data_rewind(data);
    half = diff(ctx, plan, recorded(low), precinfer_data_next, data, NULL);
    precinfer_diff_info(half, &info);
    h_expect(info.first_different == -1 && info.with_bytes == info.layers && info.samples == 20,
             "the plan differs from its recording");
    precinfer_diff_free(half);
    precinfer_diff_free(live);
    /* A plan of another calibration: the first layer is named. */
    precinfer_data_free(data);
    data = digits(ctx, g, 12, 8);               /* the beginning of what was recorded */
    half = diff(ctx, model, recorded(full), precinfer_data_next, data, NULL);
    precinfer_diff_info(half, &info);
    h_expect(info.samples == 12 && info.first_different == -1, "a part of the recording");
    precinfer_diff_free(half);
    precinfer_data_free(data);
    data = digits(ctx, g, 30, 8);
    refused(ctx, plan, recorded(low), data, PRECINFER_INVALID, "the recording ends after 20 samples");
    precinfer_data_free(data);
    data = h_model_data(&h_models[0], ctx, g, 1, 20, 8);
    refused(ctx, plan, recorded(low), data, PRECINFER_INVALID, "different data: sample 0");
    precinfer_data_free(data);
    refused(ctx, plan, recorded(low), NULL, PRECINFER_INVALID, "needs data");
    refused(ctx, recorded(path_of("none")), recorded(low), NULL, PRECINFER_NOT_FOUND, "none");
    /* Damage: one byte anywhere, a cut anywhere, a block that is missing, something behind the end. */
    size_t n;
    unsigned char *bytes = h_slurp(low, &n);
    h_reseed(4);
    for (int i = 0; i < 120; i++) {
        const size_t at = i < 64 ? (size_t)i : h_below((uint32_t)n);
        const unsigned char before = bytes[at];
        precinfer_diff *d = NULL;
        bytes[at] ^= (unsigned char)(1 + h_below(255));
        ck_assert(!pi_file_write(&ctx->alloc, damaged, bytes, n, &err));
        const struct precinfer_side a = recorded(damaged), b = recorded(full);
        const int status = (int)precinfer_diff_new(ctx, &a, &b, NULL, NULL, NULL, &d, &err);
        h_expect(status || (at >= 14 && at < 64), "byte %zu of %zu may be damaged", at,
                 n);      /* reserved bytes of the head say nothing */
        if (!status) precinfer_diff_free(d);
        bytes[at] = before;
    }
    for (int i = 0; i < 40; i++) {
        ck_assert(!pi_file_write(&ctx->alloc, damaged, bytes, i < 2 ? (size_t)i * 64 : h_below((uint32_t)n), &err));
        precinfer_diff *d = NULL;
        const struct precinfer_side a = recorded(damaged), b = recorded(full);
        h_expect(precinfer_diff_new(ctx, &a, &b, NULL, NULL, NULL, &d, &err), "a cut is not seen");
    }
    free(bytes);
    precinfer_plan_free(p);
    precinfer_graph_free(g);
    precinfer_context_free(ctx);
    h_expect(host.live == 0, "%ld blocks stayed", (long)host.live);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ memory */

struct meter { size_t now, most; };
static void *metered(void *host, size_t bytes, size_t align)
{
    struct meter *m = host;
    void *p = NULL;
    const size_t head = align < 64 ? 64 : align;
    if (posix_memalign(&p, head, bytes + head)) return NULL;
    *(size_t *)p = bytes;
    *((size_t *)p + 1) = head;
    m->now += bytes;
    if (m->now > m->most) m->most = m->now;
    return (char *)p + head;
}
static void unmetered(void *host, void *block)
{
    struct meter *m = host;
    if (!block) return;
    for (size_t head = 64; ; head *= 2) {
        size_t *p = (size_t *)(void *)((char *)block - head);
        if (p[1] != head) continue;
        m->now -= p[0];
        free(p);
        return;
    }
}

/* As much for 16 samples as for 800. */
START_TEST(memory)
{
    struct precinfer_error err = { 0 };
    size_t most[2];
    for (int k = 0; k < 2; k++) {
        struct meter m = { 0 };
        const struct precinfer_context_options o = { .size = sizeof o, .host = &m, .alloc = metered, .release = unmetered };
        precinfer_context *ctx = NULL;
        H_OK(precinfer_context_new(&o, &ctx, &err));
        precinfer_graph *g = h_digits(ctx);
        precinfer_stats *stats = h_digits_stats(ctx, g, 16);
        precinfer_plan *p = h_digits_plan(ctx, g, PRECINFER_PRECISION_INT8);
        precinfer_data *data = digits(ctx, g, k ? 800 : 16, 8);
        const struct precinfer_side plan = of_plan(p);
        const struct precinfer_diff_options with = { .size = sizeof with, .stats = stats };
        m.most = m.now;
        precinfer_diff_free(diff(ctx, plan, of_graph(g), precinfer_data_next, data, &with));
        precinfer_data_rewind(data);
        H_OK(precinfer_record(&plan, precinfer_data_next, data, path_of("long.rec"), NULL, &err));
        precinfer_diff_free(diff(ctx, recorded(path_of("long.rec")), recorded(path_of("long.rec")), NULL, NULL, NULL));
        most[k] = m.most - m.now;
        precinfer_data_free(data);
        precinfer_plan_free(p);
        precinfer_stats_free(stats);
        precinfer_graph_free(g);
        precinfer_context_free(ctx);
        h_expect(m.now == 0, "%zu bytes stayed", m.now);
    }
    h_expect(most[1] <= most[0] + 4096, "%zu bytes for 16 samples, %zu for 800", most[0], most[1]);
}
END_TEST

/* Every allocation fails once: an error, and nothing stays. */
START_TEST(no_memory)
{
    for (long at = 1;; at += 1 + at / 40) {
        struct h_host host = { .threads = 1 };
        precinfer_context *ctx = h_context(&host, NULL);
        struct precinfer_error err = { 0 };
        struct net n;
        precinfer_diff *d = NULL;
        precinfer_stats *stats = NULL;
        h_reseed(5);
        two_layers(&n, ctx);
        H_OK(precinfer_calibrate(n.g, next, &n, NULL, &stats, &err));
        precinfer_plan *p = lowered(&n, 0);
        const struct precinfer_side a = of_plan(p), b = of_graph(n.g), r = recorded(path_of("r.rec"));
        const struct precinfer_diff_options o = { .size = sizeof o, .stats = stats };
        host.fail_at = host.calls + at;
        int status = (int)precinfer_diff_new(ctx, &a, &b, next, &n, &o, &d, &err);
        precinfer_diff_free(d);
        n.at = 0;
        d = NULL;
        if (!status) status = (int)precinfer_record(&a, next, &n, r.path, NULL, &err);
        if (!status) status = (int)precinfer_diff_new(ctx, &r, &r, NULL, NULL, NULL, &d, &err);
        precinfer_diff_free(d);
        const int failed = host.failed > 0;
        h_expect(status == (failed ? PRECINFER_NO_MEMORY : 0), "allocation %ld: %d %s", at, status, err.text);
        precinfer_plan_free(p);
        precinfer_stats_free(stats);
        precinfer_graph_free(n.g);
        precinfer_context_free(ctx);
        h_expect(host.live == 0, "allocation %ld: %ld blocks stayed", at, (long)host.live);
        if (!failed) break;
    }
}
END_TEST

D_SUITE("verify_recorded", { "recordings", recordings, 1, 60 }, { "memory", memory, 1, 60 }, { "no memory", no_memory, 1, 60 })
