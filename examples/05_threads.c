/* What a host lends: memory of its own, a log, threads for one call; and two sessions of one plan at the same time. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "precinfer.h"

enum { THREADS = 2, RUNS = 20, PIXELS = 64, CLASSES = 10 };

/* ---------------------------------------------------------------- lent to the library */
struct host { pthread_mutex_t lock; size_t blocks, made; };

static void *lend(void *host, size_t bytes, size_t align)
{
    struct host *h = host;
    void *block = NULL;
    if (posix_memalign(&block, align < sizeof(void *) ? sizeof(void *) : align, bytes)) return NULL;
    pthread_mutex_lock(&h->lock);
    h->blocks++;
    h->made++;
    pthread_mutex_unlock(&h->lock);
    return block;
}
static void take_back(void *host, void *block)
{
    struct host *h = host;
    pthread_mutex_lock(&h->lock);
    h->blocks--;
    pthread_mutex_unlock(&h->lock);
    free(block);
}
static void say(void *host, enum precinfer_log_level level, const char *line)
{
    (void)host; (void)level;
    fprintf(stderr, "precinfer: %s\n", line);
}

/* A real host has a pool; here a thread is made for each part but the last. */
struct part { void (*body)(void *arg, size_t i); void *arg; size_t i; };
static void *run_part(void *p) { const struct part *part = p; part->body(part->arg, part->i); return NULL; }
static void parallel_for(void *host, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
    pthread_t thread[THREADS];
    struct part part[THREADS];
    int started[THREADS];
    (void)host;
    for (size_t i = 0; i < n; i++) part[i] = (struct part){ body, arg, i };
    for (size_t i = 0; i + 1 < n; i++) started[i] = !pthread_create(&thread[i], NULL, run_part, &part[i]);
    for (size_t i = 0; i < n; i++) if (i + 1 == n || !started[i]) run_part(&part[i]);
    for (size_t i = 0; i + 1 < n; i++) if (started[i]) pthread_join(thread[i], NULL);
}

/* ---------------------------------------------------------------- one thread, one session */
struct worker { const precinfer_plan *plan; float scores[CLASSES]; enum precinfer_status status; struct precinfer_error err; };
static void *work(void *p)
{
    struct worker *w = p;
    float pixels[PIXELS];
    const struct precinfer_tensor image = { .data = pixels, .dtype = PRECINFER_F32, .rank = 4, .dims = { 1, 1, 8, 8 } };
    const struct precinfer_tensor scores = { .data = w->scores, .dtype = PRECINFER_F32, .rank = 2, .dims = { 1, CLASSES } };
    precinfer_session *session = NULL;
    for (int i = 0; i < PIXELS; i++) pixels[i] = (float)(i % 17) / 16;
    w->status = precinfer_session_new(w->plan, NULL, &session, &w->err);
    if (!w->status) w->status = precinfer_bind(session, "image", &image, &w->err);
    if (!w->status) w->status = precinfer_bind(session, "logits", &scores, &w->err);
    for (int i = 0; !w->status && i < RUNS; i++) w->status = precinfer_session_run(session, &w->err);
    precinfer_session_free(session);
    return NULL;
}

int main(void)
{
    struct host host = { PTHREAD_MUTEX_INITIALIZER, 0, 0 };
    const struct precinfer_context_options options = { .size = sizeof options, .host = &host, .alloc = lend, .release = take_back,
                                                       .log = say, .parallel_for = parallel_for, .threads = THREADS };
    struct worker w[2] = { { .status = PRECINFER_OK }, { .status = PRECINFER_OK } };
    struct precinfer_error err = { PRECINFER_OK, "" };
    precinfer_context *ctx = NULL;
    precinfer_graph *graph = NULL;
    pthread_t other;
    enum precinfer_status s = precinfer_context_new(&options, &ctx, &err);
    precinfer_plan *plan = NULL;
    if (!s) s = precinfer_graph_load(ctx, "examples/digits/digits.onnx", &graph, &err);
    if (!s) s = precinfer_compile(graph, NULL, NULL, &plan, &err);
    w[0].plan = w[1].plan = plan;
    const int alone = s || pthread_create(&other, NULL, work, &w[0]);
    if (!s) work(&w[1]);
    if (!alone) pthread_join(other, NULL);
    for (int i = 0; i < 2 && !s; i++) if ((s = w[i].status)) err = w[i].err;
    const int same = alone || !memcmp(w[0].scores, w[1].scores, sizeof w[0].scores);
    precinfer_plan_free(plan);
    precinfer_graph_free(graph);
    precinfer_context_free(ctx);
    if (s) fprintf(stderr, "%s: %s\n", precinfer_status_string(s), err.text);
    printf("two sessions at once: %s; %zu blocks lent, %zu not given back\n", same ? "same bits" : "DIFFERENT", host.made,
           host.blocks);
    return s || !same || host.blocks;
}
