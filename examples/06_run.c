/* README's program: a model is loaded and run once. From the repository's root. */
#include <stdio.h>
#include "precinfer.h"

int main(void)
{
    struct precinfer_error err = { PRECINFER_OK, "" };
    precinfer_context *ctx = NULL;
    precinfer_graph *graph = NULL;
    precinfer_plan *plan = NULL;
    precinfer_session *session = NULL;
    static float image[64] = { [20] = 1, [28] = 1, [36] = 1, [44] = 1 };    /* a stroke, 8 x 8 */
    static float logits[10];
    const struct precinfer_tensor x = { image, PRECINFER_F32, 4, { 1, 1, 8, 8 }, PRECINFER_HOST };
    const struct precinfer_tensor y = { logits, PRECINFER_F32, 2, { 1, 10 }, PRECINFER_HOST };

    int failed = precinfer_context_new(NULL, &ctx, &err)
              || precinfer_graph_load(ctx, "examples/digits/digits.onnx", &graph, &err)
              || precinfer_compile(graph, NULL, NULL, &plan, &err)         /* or precinfer_plan_load: an int8 plan */
              || precinfer_session_new(plan, NULL, &session, &err)
              || precinfer_bind(session, "image", &x, &err)
              || precinfer_bind(session, "logits", &y, &err)
              || precinfer_session_run(session, &err);                     /* allocates nothing */
    if (failed) fprintf(stderr, "%s: %s\n", precinfer_status_string(err.status), err.text);
    else for (int i = 0; i < 10; i++) printf("%d: %+.3f\n", i, (double)logits[i]);

    precinfer_session_free(session);
    precinfer_plan_free(plan);
    precinfer_graph_free(graph);
    precinfer_context_free(ctx);
    return failed;
}
