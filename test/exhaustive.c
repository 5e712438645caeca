/* All 2^32 floats through every conversion, unary function and quantization (at 32 scales): each row that this CPU can run
 * against the reference, bit for bit. No part of `make check`, which takes a sample: it runs for hours.
 *
 *     exhaustive [PATTERN [THREADS]]          rows whose names match, e.g. 'quantize_*'; default all, on all processors */
#include <stdatomic.h>
#include "rows.h"

enum { CHUNK = 1 << 14, CHUNKS = 1 << 18 };

struct job { const struct pi_row *row; struct pi_elt t; };
static struct {
    struct job job;
    atomic_uint next, done;
    atomic_ulong bad;
    atomic_uint first;                  /* a float that differs */
} work;

static void *worker(void *unused)
{
    const struct pi_row *row = work.job.row, *ref = r_ref(row);
    enum pi_type to = PI_F32;
    while (row->outs != PI_BIT(to)) to++;
    uint32_t *x = malloc(CHUNK * 4);
    char *want = malloc(CHUNK * 4), *got = malloc(CHUNK * 4);
    const size_t e = h_type_size(to);
    struct pi_elt t = work.job.t;
    t.n = CHUNK;
    t.a = x;
    for (unsigned c; (c = atomic_fetch_add(&work.next, 1)) < CHUNKS; atomic_fetch_add(&work.done, 1)) {
        for (uint32_t i = 0; i < CHUNK; i++) x[i] = c * CHUNK + i;
        t.c = want;
        ref->fn.elt(&t);
        t.c = got;
        row->fn.elt(&t);
        if (!memcmp(want, got, CHUNK * e)) continue;
        for (size_t i = 0; i < CHUNK; i++) {
            if (!memcmp(want + i * e, got + i * e, e) || (h_is_nan(to, want, i) && h_is_nan(to, got, i))) continue;
            if (!atomic_fetch_add(&work.bad, 1)) work.first = x[i];
        }
    }
    free(x); free(want); free(got);
    return unused;
}

/* One row with one set of parameters over all floats. 0 when all agree. */
static int run(const struct job *job, const char *label, size_t threads)
{
    pthread_t thread[256];
    work.job = *job;
    work.next = work.done = 0;
    work.bad = 0;
    if (threads > 256) threads = 256;
    for (size_t i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, worker, NULL)) { perror("pthread_create"); exit(2); }
    if (isatty(1))
        for (unsigned done; (done = work.done) < CHUNKS; usleep(200000)) {
            printf("\r%-24s %-14s %3u%%", job->row->name, label, (unsigned)(100.0 * done / CHUNKS));
            fflush(stdout);
        }
    for (size_t i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    if (isatty(1)) printf("\r");
    if (work.bad)
        printf("%-24s %-14s %lu differ, one at %08x (%a)\n", job->row->name, label, work.bad, work.first,
               (double)h_float(work.first));
    else printf("%-24s %-14s the same for all floats\n", job->row->name, label);
    fflush(stdout);
    return work.bad != 0;
}

int main(int argc, char **argv)
{
    const char *pattern = argc > 1 ? argv[1] : "*";
    const size_t threads = argc > 2 ? strtoul(argv[2], NULL, 10) : (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    static struct r_rows rows;
    int failed = 0, ran = 0;
    r_find(&rows, PI_ELTWISE);
    for (size_t i = 0; i < rows.n; i++) {
        const struct pi_row *row = rows.row[i];
        if (rows.isa[i] == pi_isas || row->a != PI_F32 || row->b != PI_NONE || !pi_glob(pattern, row->name)) continue;
        const int s8 = row->outs == PI_BIT(PI_S8);
        struct job job = { row, { .p = { 0.1f, 0.5f }, .lo = -1, .hi = 6 } };
        for (int k = 0; k < (row->op == PI_QUANTIZE ? R_SCALES : 1); k++, ran++) {
            char label[32] = "";
            if (row->op == PI_QUANTIZE) {
                job.t.p[0] = r_scale[k];
                job.t.z[2] = (k * 37 + 11) % 256 - (s8 ? 128 : 0);
                snprintf(label, sizeof label, "%.7g", (double)r_scale[k]);
            }
            failed |= run(&job, label, threads ? threads : 1);
        }
    }
    if (!ran) fprintf(stderr, "no row of this CPU matches '%s'\n", pattern);
    return failed || !ran;
}
