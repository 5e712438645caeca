/* The ONNX reader: bytes to a finished graph. Initializers and Constant nodes become constants when something reads
 * them: what nothing reads costs nothing and may be of any type. */
#include "onnx.h"
#include <stdio.h>
#include <string.h>
#include "../base/error.h"
#include "file.h"

enum source { INITIALIZER, SPARSE, CONSTANT };      /* low bits of an index into the model's lists              */

struct reader {
    precinfer_graph *g;
    const Onnx__ModelProto *model;
    const Onnx__GraphProto *from;
    const char *directory;
    struct pi_names sources;                        /* names of constants that are not values yet                */
    struct precinfer_error *err;
};

static const char *text(const char *s) { return s ? s : ""; }

static int is_default_domain(const char *domain)
{
    return !*text(domain) || !strcmp(domain, "ai.onnx");
}

/* ---------------------------------------------------------------- model */

static int read_versions(struct reader *r)
{
    const Onnx__ModelProto *m = r->model;
    int64_t opset = 0;
    if (m->ir_version < 3)
        return pi_fail(r->err, PRECINFER_UNSUPPORTED, "the model's format version is %lld, from 3 on are covered",
                       (long long)m->ir_version);
    if (!m->graph)
        return pi_fail(r->err, PRECINFER_MALFORMED, "the model has no graph");
    if (m->n_training_info)
        return pi_fail(r->err, PRECINFER_UNSUPPORTED, "the model has training information, which is not covered");
    for (size_t i = 0; i < m->n_opset_import; i++)
        if (is_default_domain(m->opset_import[i]->domain))
            opset = m->opset_import[i]->version;
    if (opset < 7 || opset > 1000)
        return pi_fail(r->err, PRECINFER_UNSUPPORTED, "the model's opset is %lld, from 7 on are covered", (long long)opset);
    r->g->opset = (int)opset;
    r->from = m->graph;
    return PRECINFER_OK;
}

/* ---------------------------------------------------------------- constants */

static int add_source(struct reader *r, const char *name, enum source kind, size_t i)
{
    if (!*text(name))
        return kind == CONSTANT ? PRECINFER_OK : pi_fail(r->err, PRECINFER_MALFORMED, "an initializer has no name");
    if (pi_names_find(&r->sources, name) >= 0)
        return pi_fail(r->err, PRECINFER_MALFORMED, "two constants are named '%s'", name);
    if (i > INT32_MAX / 4)
        return pi_fail(r->err, PRECINFER_UNSUPPORTED, "a graph of too many constants");
    if (pi_names_add(&r->sources, &r->g->ctx->alloc, name, (int)(4 * i + kind)))
        return pi_no_memory(r->err, sizeof(struct pi_name));
    return PRECINFER_OK;
}

static int is_constant_node(const Onnx__NodeProto *n)
{
    return !strcmp(text(n->op_type), "Constant") && is_default_domain(n->domain);
}

static int index_constants(struct reader *r)
{
    const Onnx__GraphProto *f = r->from;
    for (size_t i = 0; i < f->n_initializer; i++)
        PI_TRY(add_source(r, f->initializer[i]->name, INITIALIZER, i));
    for (size_t i = 0; i < f->n_sparse_initializer; i++)
        if (f->sparse_initializer[i]->values)
            PI_TRY(add_source(r, f->sparse_initializer[i]->values->name, SPARSE, i));
    for (size_t i = 0; i < f->n_node; i++) {
        if (!is_constant_node(f->node[i]))
            continue;
        if (f->node[i]->n_output != 1)
            return pi_fail(r->err, PRECINFER_MALFORMED, "node '%s' (Constant): has %zu outputs, not 1", text(f->node[i]->name),
                           f->node[i]->n_output);
        PI_TRY(add_source(r, f->node[i]->output[0], CONSTANT, i));
    }
    return PRECINFER_OK;
}

/* A constant whose data is a block that the graph takes over. */
static int add_block(struct reader *r, const char *name, const struct pi_tensor *t, int *value)
{
    int status = pi_graph_add_constant(r->g, name, t, 1, value, r->err);
    if (!status) {
        status = pi_graph_own(r->g, *value, t->data, r->err);
        if (status)
            r->g->values[*value].t.data = NULL;
    }
    if (status)
        pi_free(&r->g->ctx->alloc, t->data);
    return status;
}

static int add_tensor(struct reader *r, const char *name, Onnx__TensorProto *from, const char *directory, int *value)
{
    char what[192];
    struct pi_tensor t;
    snprintf(what, sizeof what, "constant '%.150s'", name);
    PI_TRY(pi_onnx_tensor(&r->g->ctx->alloc, from, directory, what, &t, r->err));
    return add_block(r, name, &t, value);
}

static int add_numbers(struct reader *r, const char *name, enum pi_type type, int rank, const void *data, size_t count,
                       int *value)
{
    struct pi_tensor t = {.data = (void *)(uintptr_t)data, .type = (uint8_t)type, .rank = rank, .dims = {(int64_t)count}};
    pi_row_major(&t);
    return pi_graph_add_constant(r->g, name, &t, 0, value, r->err);
}

static int add_constant_node(struct reader *r, const Onnx__NodeProto *n, int *value)
{
    const char *name = n->output[0];
    const Onnx__AttributeProto *a = n->n_attribute == 1 ? n->attribute[0] : NULL;
    const char *kind = a ? text(a->name) : "";
    if (!strcmp(kind, "value") && a->t)
        return add_tensor(r, name, a->t, r->directory, value);
    if (!strcmp(kind, "value_float"))
        return add_numbers(r, name, PI_F32, 0, &a->f, 1, value);
    if (!strcmp(kind, "value_int"))
        return add_numbers(r, name, PI_S64, 0, &a->i, 1, value);
    if (!strcmp(kind, "value_floats"))
        return add_numbers(r, name, PI_F32, 1, a->floats, a->n_floats, value);
    if (!strcmp(kind, "value_ints"))
        return add_numbers(r, name, PI_S64, 1, a->ints, a->n_ints, value);
    return pi_fail(r->err, PRECINFER_UNSUPPORTED, "node '%s' (Constant): attribute '%s' is not covered",
                   *text(n->name) ? n->name : name,
                   kind);
}

/* A value by name, made of an initializer or Constant node when it is first read. */
static int find_value(struct reader *r, const char *name, int *value)
{
    *value = pi_graph_find_value(r->g, name);
    if (*value >= 0)
        return PRECINFER_OK;
    const int source = pi_names_find(&r->sources, name);
    if (source < 0)
        return pi_graph_add_value(r->g, name, value, r->err);
    const size_t i = (size_t)source / 4;
    switch (source % 4) {
    case INITIALIZER: return add_tensor(r, name, r->from->initializer[i], r->directory, value);
    case CONSTANT: return add_constant_node(r, r->from->node[i], value);
    }
    return pi_fail(r->err, PRECINFER_UNSUPPORTED, "initializer '%s' is sparse, which is not covered", name);
}

/* ---------------------------------------------------------------- inputs and outputs */

static const Onnx__TypeProto__Tensor *tensor_type(const Onnx__ValueInfoProto *v)
{
    return v->type && v->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? v->type->tensor_type : NULL;
}

/* Sizes of 0 and below are how some exporters write an open dimension. */
static int64_t read_dim(struct reader *r, const Onnx__TensorShapeProto__Dimension *d)
{
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value > 0)
        return d->dim_value;
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && *text(d->dim_param))
        return pi_graph_symbol(r->g, d->dim_param);
    return pi_graph_symbol(r->g, NULL);
}

static int read_input(struct reader *r, const Onnx__ValueInfoProto *v)
{
    const Onnx__TypeProto__Tensor *type = tensor_type(v);
    const char *name = text(v->name);
    int64_t dims[PI_MAX_RANK] = {0};
    int value;
    if (pi_names_find(&r->sources, name) >= 0)      /* an initializer is its value                               */
        return PRECINFER_OK;
    if (!*name)
        return pi_fail(r->err, PRECINFER_MALFORMED, "an input has no name");
    if (!type)
        return pi_fail(r->err, PRECINFER_UNSUPPORTED, "input '%s' is no tensor", name);
    if (pi_onnx_type(type->elem_type) == PI_NONE)
        return pi_fail(r->err, PRECINFER_UNSUPPORTED, "input '%s' is %s, which is not covered", name,
                       pi_onnx_type_name(type->elem_type));
    if (!type->shape)
        return pi_fail(r->err, PRECINFER_UNSUPPORTED, "input '%s' has no shape: the number of dimensions must be known", name);
    if (type->shape->n_dim > PI_MAX_RANK)
        return pi_fail(r->err, PRECINFER_UNSUPPORTED, "input '%s' has %zu dimensions, at most %d are covered", name,
                       type->shape->n_dim,
                       PI_MAX_RANK);
    for (size_t i = 0; i < type->shape->n_dim; i++) {
        dims[i] = read_dim(r, type->shape->dim[i]);
        if (dims[i] == INT64_MIN)
            return pi_no_memory(r->err, sizeof(char *));
    }
    return pi_graph_add_input(r->g, name, pi_onnx_type(type->elem_type), (int)type->shape->n_dim, dims, &value, r->err);
}

static int read_output(struct reader *r, const Onnx__ValueInfoProto *v)
{
    int value;
    if (!*text(v->name))
        return pi_fail(r->err, PRECINFER_MALFORMED, "an output has no name");
    PI_TRY(find_value(r, v->name, &value));
    return pi_graph_add_output(r->g, value, r->err);
}

/* ---------------------------------------------------------------- nodes */

static int is_local_function(const struct reader *r, const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < r->model->n_functions; i++) {
        const Onnx__FunctionProto *f = r->model->functions[i];
        if (!strcmp(text(f->name), text(n->op_type)) &&
            (!strcmp(text(f->domain), text(n->domain)) || (is_default_domain(f->domain) && is_default_domain(n->domain))))
            return 1;
    }
    return 0;
}

static int check_domain(struct reader *r, const Onnx__NodeProto *n, const char *name)
{
    if (is_local_function(r, n))
        return pi_fail(r->err, PRECINFER_UNSUPPORTED, "node '%s': %s is a function of the model's own, which is not covered",
                       name,
                       text(n->op_type));
    if (is_default_domain(n->domain))
        return PRECINFER_OK;
    for (size_t i = 0; i < r->model->n_opset_import; i++)
        if (!strcmp(text(r->model->opset_import[i]->domain), n->domain))
            return pi_fail(r->err, PRECINFER_UNSUPPORTED, "node '%s': operator %s of domain '%s' (opset %lld) is not covered",
                           name,
                           text(n->op_type), n->domain, (long long)r->model->opset_import[i]->version);
    return pi_fail(r->err, PRECINFER_UNSUPPORTED,
                   "node '%s': operator %s of domain '%s', which the model does not import, is not covered",
                   name, text(n->op_type), n->domain);
}

/* A name for errors and for recipes: its own, or that of its first output. */
static const char *node_name(const Onnx__NodeProto *n)
{
    if (*text(n->name))
        return n->name;
    for (size_t i = 0; i < n->n_output; i++)
        if (*text(n->output[i]))
            return n->output[i];
    return "";
}

static int read_node(struct reader *r, const Onnx__NodeProto *from)
{
    struct pi_node *n;
    char what[256];
    const char *name = node_name(from);
    PI_TRY(check_domain(r, from, name));
    PI_TRY(pi_graph_add_node(r->g, text(from->op_type), NULL, name, from->n_input, from->n_output, from->n_attribute, &n,
                             r->err));
    snprintf(what, sizeof what, "node '%.150s' (%s)", name, n->op->name);
    PI_TRY(pi_onnx_attributes(r->g, from, what, n->attr, r->err));
    for (size_t i = 0; i < from->n_input; i++)
        if (*text(from->input[i]))
            PI_TRY(find_value(r, from->input[i], &n->in[i]));
    for (size_t i = 0; i < from->n_output; i++) {
        if (!*text(from->output[i]))
            continue;
        if (pi_names_find(&r->sources, from->output[i]) >= 0)
            return pi_fail(r->err, PRECINFER_MALFORMED, "%s: output '%s' is already a constant", what, from->output[i]);
        n->out[i] = pi_graph_find_value(r->g, from->output[i]);
        if (n->out[i] < 0)
            PI_TRY(pi_graph_add_value(r->g, from->output[i], &n->out[i], r->err));
    }
    return PRECINFER_OK;
}

static int read_graph(struct reader *r)
{
    PI_TRY(read_versions(r));
    PI_TRY(index_constants(r));
    for (size_t i = 0; i < r->from->n_input; i++)
        PI_TRY(read_input(r, r->from->input[i]));
    for (size_t i = 0; i < r->from->n_node; i++)
        if (!is_constant_node(r->from->node[i]))
            PI_TRY(read_node(r, r->from->node[i]));
    for (size_t i = 0; i < r->from->n_output; i++)
        PI_TRY(read_output(r, r->from->output[i]));
    return PRECINFER_OK;
}

/* ---------------------------------------------------------------- unpacking */

/* protobuf-c does not say why it gave up. */
struct lender { const struct pi_allocator *a; int failed; };

static void *lend(void *data, size_t size)
{
    struct lender *l = data;
    void *block = pi_malloc(l->a, size);
    l->failed |= !block;
    return block;
}

static void take_back(void *data, void *block)
{
    pi_free(((struct lender *)data)->a, block);
}

static int unpack(ProtobufCAllocator *allocator, const void *bytes, size_t size, Onnx__ModelProto **model,
                  struct precinfer_error *err)
{
    PI_TRY(pi_onnx_scan(bytes, size, err));
    *model = onnx__model_proto__unpack(allocator, size, bytes);
    if (*model)
        return PRECINFER_OK;
    if (((struct lender *)allocator->allocator_data)->failed)
        return pi_no_memory(err, size);
    return pi_fail(err, PRECINFER_MALFORMED, "no ONNX model: a field has another type than it should");
}

static int build(precinfer_context *ctx, const Onnx__ModelProto *model, const char *directory, precinfer_graph **graph,
                 struct precinfer_error *err)
{
    struct reader r = {.model = model, .directory = directory, .err = err};
    PI_TRY(pi_graph_new(ctx, &r.g, err));
    const int status = read_graph(&r);
    pi_names_free(&r.sources, &ctx->alloc);
    if (status)
        pi_graph_release(r.g);
    else
        *graph = r.g;
    return status;
}

/* file: freed once unpacked, so that at no time more than the file and the message's copy of it are held. */
static int read_model(precinfer_context *ctx, const void *bytes, size_t size, void *file, const char *directory,
                      precinfer_graph **graph, struct precinfer_error *err)
{
    struct lender lender = {&ctx->alloc, 0};
    ProtobufCAllocator allocator = {lend, take_back, &lender};
    Onnx__ModelProto *model;
    precinfer_graph *g;
    int status = unpack(&allocator, bytes, size, &model, err);
    pi_free(&ctx->alloc, file);
    if (status)
        return status;
    status = build(ctx, model, directory, &g, err);
    onnx__model_proto__free_unpacked(model, &allocator);
    if (!status && (status = pi_graph_finish(g, err)))
        pi_graph_release(g);
    if (!status)
        *graph = g;
    return status;
}

int pi_onnx_read(precinfer_context *ctx, const void *bytes, size_t size, const char *directory, precinfer_graph **graph,
                 struct precinfer_error *err)
{
    return read_model(ctx, bytes, size, NULL, directory, graph, err);
}

int pi_onnx_read_file(precinfer_context *ctx, const char *path, precinfer_graph **graph, struct precinfer_error *err)
{
    const struct pi_allocator *a = &ctx->alloc;
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) + 1 : 1;
    unsigned char *bytes;
    size_t size;
    char *directory = pi_malloc(a, n + 1);
    if (!directory)
        return pi_no_memory(err, n + 1);
    memcpy(directory, slash ? path : ".", n);
    directory[n] = 0;
    int status = pi_file_read(a, path, &bytes, &size, err);
    if (!status) {
        status = read_model(ctx, bytes, size, bytes, directory, graph, err);
        if (status)
            pi_prefix(err, status, "%s", path);
    }
    pi_free(a, directory);
    return status;
}
