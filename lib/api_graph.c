/* precinfer_graph_*: arguments are checked, then one call down. */
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "graph/graph.h"
#include "precinfer.h"
#if PI_WITH_ONNX
#include "format/onnx.h"
#endif

enum { HAND_OPSET = 17 };

#define NEED(condition, what) \
    do { if (!(condition)) return (enum precinfer_status)pi_fail(err, PRECINFER_INVALID, "%s: %s", __func__, what); } while (0)

/* ---------------------------------------------------------------- loading */

enum precinfer_status precinfer_graph_load(precinfer_context *context, const char *path, precinfer_graph **graph,
                                           struct precinfer_error *err)
{
    NEED(context && path && graph, "an argument is NULL");
#if PI_WITH_ONNX
    return (enum precinfer_status)pi_onnx_read_file(context, path, graph, err);
#else
    return (enum precinfer_status)pi_fail(err, PRECINFER_UNSUPPORTED, "%s: this build reads no ONNX (WITH_ONNX=0)", path);
#endif
}

enum precinfer_status precinfer_graph_load_memory(precinfer_context *context, const void *bytes, size_t size,
                                                  const char *directory,
                                                  precinfer_graph **graph, struct precinfer_error *err)
{
    NEED(context && (bytes || !size) && graph, "an argument is NULL");
#if PI_WITH_ONNX
    return (enum precinfer_status)pi_onnx_read(context, bytes, size, directory, graph, err);
#else
    (void)directory;
    return (enum precinfer_status)pi_fail(err, PRECINFER_UNSUPPORTED, "this build reads no ONNX (WITH_ONNX=0)");
#endif
}

/* ---------------------------------------------------------------- by hand */

enum precinfer_status precinfer_graph_new(precinfer_context *context, precinfer_graph **graph, struct precinfer_error *err)
{
    NEED(context && graph, "an argument is NULL");
    precinfer_graph *g;
    PI_TRY(pi_graph_new(context, &g, err));
    g->opset = HAND_OPSET;
    *graph = g;
    return PRECINFER_OK;
}

enum precinfer_status precinfer_graph_input(precinfer_graph *graph, const struct precinfer_io *input, struct precinfer_error *err)
{
    int64_t dims[PI_MAX_RANK] = {0};
    int value;
    NEED(graph && input && input->name && *input->name, "the graph or the input's name is missing");
    NEED(!graph->finished, "the graph is finished");
    NEED(precinfer_dtype_size(input->dtype), "the input has no dtype");
    NEED(input->rank >= 0 && input->rank <= PI_MAX_RANK, "the rank is out of range");
    for (int i = 0; i < input->rank; i++) {
        dims[i] = input->dims[i] >= 0 ? input->dims[i] : pi_graph_symbol(graph, input->symbols[i]);
        if (dims[i] == INT64_MIN)
            return (enum precinfer_status)pi_no_memory(err, sizeof(char *));
    }
    return (enum precinfer_status)pi_graph_add_input(graph, input->name, (enum pi_type)input->dtype, input->rank, dims, &value,
                                                     err);
}

/* A value by name that an earlier node may have mentioned already. */
static int find_or_add(precinfer_graph *g, const char *name, int *value, struct precinfer_error *err)
{
    *value = pi_graph_find_value(g, name);
    return *value >= 0 ? PRECINFER_OK : pi_graph_add_value(g, name, value, err);
}

enum precinfer_status precinfer_graph_constant(precinfer_graph *graph, const char *name, const struct precinfer_tensor *value,
                                               struct precinfer_error *err)
{
    struct pi_tensor t = {0};
    int index;
    NEED(graph && name && *name && value, "an argument is missing");
    NEED(!graph->finished, "the graph is finished");
    NEED(precinfer_dtype_size(value->dtype), "the constant has no dtype");
    NEED(value->rank >= 0 && value->rank <= PI_MAX_RANK, "the rank is out of range");
    NEED(value->device == PRECINFER_HOST, "the constant is not in the host's memory");
    t.data = value->data;
    t.type = (uint8_t)value->dtype;
    t.rank = value->rank;
    memcpy(t.dims, value->dims, sizeof t.dims);
    for (int i = 0; i < t.rank; i++)
        NEED(t.dims[i] >= 0, "a dimension of the constant is negative");
    NEED(!pi_graph_check_dims(&t), "the constant is too large");
    pi_row_major(&t);
    NEED(t.data || !pi_elements(&t), "the constant's data is NULL");
    return (enum precinfer_status)pi_graph_add_constant(graph, name, &t, 0, &index, err);
}

static int copy_attribute(precinfer_graph *g, const struct precinfer_attribute *from, struct pi_attr *to,
                          struct precinfer_error *err)
{
    struct pi_arena *arena = &g->arena;
    void *block = NULL;
    if (!from->name || !(to->name = pi_arena_string(arena, from->name, strlen(from->name))))
        return from->name ? pi_no_memory(err, strlen(from->name)) : pi_fail(err, PRECINFER_INVALID, "an attribute has no name");
    const size_t size = from->type == 'I' ? sizeof *from->ints : sizeof *from->floats;
    const void *array = from->type == 'I' ? (const void *)from->ints : from->floats;
    switch (from->type) {
    case 'i': to->type = PI_ATTR_INT; to->i = from->i; return PRECINFER_OK;
    case 'f': to->type = PI_ATTR_FLOAT; to->f = from->f; return PRECINFER_OK;
    case 's':
        to->type = PI_ATTR_STRING;
        to->count = from->s ? strlen(from->s) : 0;
        to->s = pi_arena_string(arena, from->s ? from->s : "", to->count);
        return to->s ? PRECINFER_OK : pi_no_memory(err, to->count + 1);
    case 'I': case 'F':
        if (from->count && !array)
            return pi_fail(err, PRECINFER_INVALID, "attribute %s: the array is NULL", from->name);
        if (!(block = pi_arena_new(arena, from->count, size)))
            return pi_no_memory(err, from->count * size);
        if (from->count)
            memcpy(block, array, from->count * size);
        to->type = from->type == 'I' ? PI_ATTR_INTS : PI_ATTR_FLOATS;
        to->count = from->count;
        to->ints = from->type == 'I' ? block : NULL;
        to->floats = from->type == 'F' ? block : NULL;
        return PRECINFER_OK;
    }
    return pi_fail(err, PRECINFER_INVALID, "attribute %s: its type is none of i f s I F", from->name);
}

static int fill_node(precinfer_graph *g, struct pi_node *n, const char *const *inputs, const char *const *outputs,
                     const struct precinfer_attribute *attributes, struct precinfer_error *err)
{
    for (size_t i = 0; i < n->nattr; i++)
        PI_TRY(copy_attribute(g, &attributes[i], &n->attr[i], err));
    for (size_t i = 0; i < n->nin; i++)
        if (inputs[i] && *inputs[i])
            PI_TRY(find_or_add(g, inputs[i], &n->in[i], err));
    for (size_t i = 0; i < n->nout; i++)
        if (outputs[i] && *outputs[i])
            PI_TRY(find_or_add(g, outputs[i], &n->out[i], err));
    return PRECINFER_OK;
}

enum precinfer_status precinfer_graph_node(precinfer_graph *graph, const char *op, const char *name, const char *const *inputs,
                                           size_t ninputs, const char *const *outputs, size_t noutputs,
                                           const struct precinfer_attribute *attributes, size_t nattributes,
                                           struct precinfer_error *err)
{
    struct pi_node *n;
    NEED(graph && op && (inputs || !ninputs) && (outputs || !noutputs) && (attributes || !nattributes), "an argument is NULL");
    NEED(!graph->finished, "the graph is finished");
    const char *known_as = name && *name ? name : noutputs && outputs[0] ? outputs[0] : "";
    PI_TRY(pi_graph_add_node(graph, op, NULL, known_as, ninputs, noutputs, nattributes, &n, err));
    const int status = fill_node(graph, n, inputs, outputs, attributes, err);
    if (status)
        graph->nnodes--;                            /* the graph is as it was, but for names that nothing defines */
    return (enum precinfer_status)status;
}

enum precinfer_status precinfer_graph_output(precinfer_graph *graph, const char *name, struct precinfer_error *err)
{
    NEED(graph && name && *name, "an argument is missing");
    NEED(!graph->finished, "the graph is finished");
    const int value = pi_graph_find_value(graph, name);
    if (value < 0)
        return (enum precinfer_status)pi_fail(err, PRECINFER_NOT_FOUND, "output '%s' is no value of the graph", name);
    return (enum precinfer_status)pi_graph_add_output(graph, value, err);
}

enum precinfer_status precinfer_graph_finish(precinfer_graph *graph, struct precinfer_error *err)
{
    NEED(graph, "the graph is NULL");
    NEED(!graph->finished, "the graph is finished");
    return (enum precinfer_status)pi_graph_finish(graph, err);
}

void precinfer_graph_free(precinfer_graph *graph)
{
    pi_graph_release(graph);
}

/* ---------------------------------------------------------------- what it is */

static void describe(const precinfer_graph *g, int value, struct precinfer_io *io)
{
    const struct pi_value *v = &g->values[value];
    *io = (struct precinfer_io){.name = v->name, .dtype = (enum precinfer_dtype)v->t.type, .rank = v->t.rank};
    for (int i = 0; i < v->t.rank; i++) {
        io->dims[i] = v->t.dims[i] < 0 ? -1 : v->t.dims[i];
        io->symbols[i] = v->t.dims[i] < 0 ? g->symbols[-1 - v->t.dims[i]] : NULL;
    }
}

size_t precinfer_graph_inputs(const precinfer_graph *graph)
{
    return graph ? graph->ninputs : 0;
}

size_t precinfer_graph_outputs(const precinfer_graph *graph)
{
    return graph ? graph->noutputs : 0;
}

enum precinfer_status precinfer_graph_input_info(const precinfer_graph *graph, size_t i, struct precinfer_io *io)
{
    if (!graph || !io || i >= graph->ninputs)
        return PRECINFER_INVALID;
    describe(graph, graph->inputs[i], io);
    return PRECINFER_OK;
}

enum precinfer_status precinfer_graph_output_info(const precinfer_graph *graph, size_t i, struct precinfer_io *io)
{
    if (!graph || !io || i >= graph->noutputs)
        return PRECINFER_INVALID;
    describe(graph, graph->outputs[i], io);
    return PRECINFER_OK;
}

uint64_t precinfer_graph_hash(const precinfer_graph *graph)
{
    return graph ? graph->hash : 0;
}

/* Elements of constants that are numbers to compute with, not shapes. */
static size_t weights_of(const precinfer_graph *g, const struct pi_node *n)
{
    size_t all = 0;
    for (size_t i = 0; i < n->nin; i++) {
        const struct pi_tensor *t = n->in[i] < 0 ? NULL : &g->values[n->in[i]].t;
        if (t && t->data && t->type != PI_S64 && t->type != PI_S32 && t->type != PI_BOOL)
            all += (size_t)pi_elements(t);
    }
    return all;
}

enum precinfer_status precinfer_graph_nodes(const precinfer_graph *graph,
                                            int (*each)(void *user, const struct precinfer_node_info *node),
                                            void *user)
{
    if (!graph || !each || !graph->finished)
        return PRECINFER_INVALID;
    for (size_t i = 0; i < graph->nnodes; i++) {
        const struct pi_node *n = &graph->nodes[i];
        struct precinfer_node_info info = {.name = n->name, .op = n->op->name};
        info.macs_per_sample = (size_t)pi_graph_macs(graph, n);
        info.weights = weights_of(graph, n);
        for (size_t j = 0; j < n->nout; j++)
            if (n->out[j] >= 0) {
                describe(graph, n->out[j], &info.output);
                break;
            }
        if (each(user, &info))
            return PRECINFER_CANCELLED;
    }
    return PRECINFER_OK;
}
