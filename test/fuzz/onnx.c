/* libFuzzer: any bytes as an ONNX model. What loads is described and copied too. Memory is bounded, as a careful host would. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../../lib/graph/graph.h"
#include "precinfer.h"

enum { MOST = 64 << 20 };               /* bytes in use at once                                                */
static size_t in_use;
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void *lend(void *host, size_t bytes, size_t align)
{
    (void)host;
    if (bytes > MOST || in_use + bytes > MOST || align > 64)
        return NULL;
    unsigned char *block = aligned_alloc(64, (bytes + 64 + 63) / 64 * 64);
    if (!block)
        return NULL;
    memcpy(block, &bytes, sizeof bytes);
    in_use += bytes;
    return block + 64;
}

static void take_back(void *host, void *block)
{
    size_t bytes;
    (void)host;
    if (!block)
        return;
    memcpy(&bytes, (unsigned char *)block - 64, sizeof bytes);
    in_use -= bytes;
    free((unsigned char *)block - 64);
}

static int each(void *user, const struct precinfer_node_info *node)
{
    *(size_t *)user += strlen(node->name) + strlen(node->op) + node->weights;
    return 0;
}

static void look_at(precinfer_graph *g)
{
    struct precinfer_io io;
    struct precinfer_error err;
    precinfer_graph *copy;
    size_t sum = 0;
    for (size_t i = 0; i < precinfer_graph_inputs(g); i++)
        precinfer_graph_input_info(g, i, &io);
    for (size_t i = 0; i < precinfer_graph_outputs(g); i++)
        precinfer_graph_output_info(g, i, &io);
    precinfer_graph_nodes(g, each, &sum);
    if (!pi_graph_clone(g, &copy, &err))
        precinfer_graph_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct precinfer_context_options options = {.size = sizeof options, .alloc = lend, .release = take_back,
                                                      .cpu_mask = "ref"};
    struct precinfer_error err;
    precinfer_context *c;
    precinfer_graph *g;
    if (precinfer_context_new(&options, &c, &err))
        abort();
    if (!precinfer_graph_load_memory(c, bytes, size, NULL, &g, &err)) {
        look_at(g);
        precinfer_graph_free(g);
    } else if (!*err.text || strchr(err.text, '\n'))
        abort();
    precinfer_context_free(c);
    if (in_use)
        abort();                        /* a leak in the host's memory                                         */
    return 0;
}
