/* Minimal sets beside brute force on 100 seeded nets of at most 12 layers: as small in at least 90, the rest listed, and every
 * one literally 1-minimal.   minimal_sets SEED [NETS] */
#include <time.h>
#include "nets.h"

static size_t nets = 100, same, minimal, made, evaluations;
static double brute_seconds, seconds;

static double clock_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

START_TEST(all)
{
    struct precinfer_error err = { 0 };
    precinfer_context *ctx = NULL;
    size_t sizes[N_LAYERS + 2] = { 0 };
    H_OK(precinfer_context_new(NULL, &ctx, &err));
    for (long seed = 0; made < nets; seed++) {
        static struct n_net n;
        struct precinfer_minimal_options o = { 0 };
        struct precinfer_minimal_info info;
        h_reseed(seed);
        if (!n_make(&n, ctx, N_LAYERS)) { n_free(&n); continue; }
        const double start = clock_seconds();
        precinfer_minimal *m = n_search(&n, &o);
        const double between = clock_seconds();
        precinfer_minimal_info(m, &info);
        const size_t best = n_brute(&n);
        seconds += between - start;
        brute_seconds += clock_seconds() - between;
        made++;
        evaluations += info.evaluations;
        same += info.layers == best;
        sizes[best]++;
        const int ok = n_is_minimal(&n, n_set(&n, m));
        minimal += ok && info.minimal && info.met;
        if (info.layers != best || !ok)
            printf("net %ld (%zu layers, agreement >= %.4f): %zu layers%s, brute force %zu; %zu evaluations\n", seed, n.layers,
                   n.limits.min_agreement, info.layers, ok ? "" : " NOT MINIMAL", best, info.evaluations);
        precinfer_minimal_free(m);
        n_free(&n);
    }
    printf("sizes by brute force:");
    for (size_t k = 0; k < N_LAYERS + 2; k++) if (sizes[k]) printf(" %zu: %zu nets;", k, sizes[k]);
    puts("");
    precinfer_context_free(ctx);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc < 2) { fprintf(stderr, "usage: minimal_sets SEED [NETS]\n"); return 2; }
    setenv("PI_SEED", argv[1], 1);
    if (argc > 2) nets = strtoul(argv[2], NULL, 10);
    Suite *s = suite_create("minimal_sets");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 0);
    tcase_add_test(c, all);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_MINIMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    printf("seed %s: as small as brute force's in %zu of %zu nets, 1-minimal in %zu; %.0f evaluations a net on average, %.2f s "
           "(brute force %.2f s)\n", argv[1], same, made, minimal, (double)evaluations / (double)(made ? made : 1),
           seconds / (double)(made ? made : 1), brute_seconds / (double)(made ? made : 1));
    return failed || same * 10 < made * 9 || minimal != made;
}
