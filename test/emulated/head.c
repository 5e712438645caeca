/* head FROM.npy TO.npy N: its first N samples. An emulated CPU takes its time over files too. */
#include <stdio.h>
#include <stdlib.h>
#include "precinfer.h"

int main(int argc, char **argv)
{
    struct precinfer_error err;
    struct precinfer_tensor t;
    precinfer_context *ctx;
    const int64_t n = argc > 3 ? atoll(argv[3]) : 0;
    if (n <= 0) return 2;
    if (precinfer_context_new(NULL, &ctx, &err) || precinfer_npy_load(ctx, argv[1], &t, &err)) { fprintf(stderr, "%s\n",
            err.text); return 1; }
    const int64_t had = t.dims[0];
    if (n < had) t.dims[0] = n;
    const int failed = precinfer_npy_save(ctx, argv[2], &t, &err);
    if (failed) fprintf(stderr, "%s\n", err.text);
    t.dims[0] = had;
    precinfer_array_free(ctx, &t);
    precinfer_context_free(ctx);
    return failed != 0;
}
