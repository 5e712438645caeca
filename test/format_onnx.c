/* The ONNX reader: what it takes, what it refuses and how, and that nothing that is done to a file can hurt. */
#include "harness.h"
#include <sys/stat.h>
#include "../lib/format/onnx.h"
#include "../lib/graph/graph.h"
#include "onnx_model.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

static precinfer_graph *load(precinfer_context *c, struct m *m, const char *directory, struct precinfer_error *err)
{
    size_t size;
    precinfer_graph *g = NULL;
    const unsigned char *bytes = m_pack(m, &size);
    memset(err, 0, sizeof *err);
    const int status = precinfer_graph_load_memory(c, bytes, size, directory, &g, err);
    h_expect(!status == !!g && status == (int)err->status, "status %d, graph %p, error %d", status, (void *)g, (int)err->status);
    m_free(m);
    return g;
}

/* The model must load. */
static precinfer_graph *good(precinfer_context *c, struct m *m, const char *what)
{
    struct precinfer_error err;
    precinfer_graph *g = load(c, m, NULL, &err);
    h_expect(g, "%s: %s", what, err.text);
    return g;
}

/* The model must be refused with this status, in words that contain these. */
static void refused(precinfer_context *c, struct m *m, const char *directory, enum precinfer_status status, const char *a, const char *b)
{
    struct precinfer_error err;
    precinfer_graph *g = load(c, m, directory, &err);
    h_expect(!g && err.status == status && strstr(err.text, a) && strstr(err.text, b), "wanted %d with '%s' and '%s', got %d: %s",
             (int)status, a, b, (int)err.status, err.text);
    precinfer_graph_free(g);
}

/* x -> Relu -> y, to which a test adds what it is about. */
static void start(struct m *m)
{
    m_start(m, 17);
    m_input(m, "x", M_TYPE(FLOAT), 2, DIMS(-1, 4));
    m_node(m, "Relu", "r", "x", "y");
    m_output(m, "y");
}

/* ---------------------------------------------------------------- what a model says of itself */

START_TEST(simple)
{
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    struct m m;
    struct precinfer_io io;
    start(&m);
    precinfer_graph *g = good(c, &m, "simple");
    if (g) {
        h_expect(precinfer_graph_inputs(g) == 1 && precinfer_graph_outputs(g) == 1, "inputs, outputs");
        h_expect(!precinfer_graph_input_info(g, 0, &io) && !strcmp(io.name, "x") && io.dtype == PRECINFER_F32 && io.rank == 2 &&
                 io.dims[0] < 0 && io.dims[1] == 4 && io.symbols[0] && !strcmp(io.symbols[0], "N") && !io.symbols[1], "input x");
        h_expect(!precinfer_graph_output_info(g, 0, &io) && !strcmp(io.name, "y") && io.rank == 2 && io.dims[0] < 0 && io.dims[1] == 4 &&
                 io.symbols[0] && !strcmp(io.symbols[0], "N"), "output y");
        h_expect(precinfer_graph_input_info(g, 1, &io) == PRECINFER_INVALID, "an input too many");
        const uint64_t hash = precinfer_graph_hash(g);
        precinfer_graph_free(g);
        start(&m);
        g = good(c, &m, "again");
        h_expect(g && precinfer_graph_hash(g) == hash, "the hash is not the model's");
        precinfer_graph_free(g);
        start(&m);
        m.graph.node[0]->name = m_text(&m, "other");
        g = good(c, &m, "another name");
        h_expect(g && precinfer_graph_hash(g) != hash, "the hash does not see names");
    }
    precinfer_graph_free(g);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks leaked", (long)h.live);
    h_finish();
}
END_TEST

/* Open dimensions in all their spellings. */
START_TEST(open_dims)
{
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    struct m m;
    struct precinfer_io io;
    m_start(&m, 17);
    m_input(&m, "x", M_TYPE(FLOAT), 4, DIMS(-1, 0, -2, 5));
    m.graph.input[0]->type->tensor_type->shape->dim[2]->dim_param = m_text(&m, "");
    Onnx__TensorShapeProto__Dimension *d = m.graph.input[0]->type->tensor_type->shape->dim[3];
    d->dim_value = -7;
    m_node(&m, "Relu", "r", "x", "y");
    m_output(&m, "y");
    precinfer_graph *g = good(c, &m, "open");
    if (g) {
        precinfer_graph_input_info(g, 0, &io);
        for (int i = 0; i < 4; i++)
            h_expect(io.dims[i] < 0 && !io.symbols[i] == (i > 0), "dimension %d is %lld", i, (long long)io.dims[i]);
    }
    precinfer_graph_free(g);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks leaked", (long)h.live);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- storage */

struct form { int type; enum pi_type ours; };
static const struct form forms[] = {
    {M_TYPE(FLOAT), PI_F32}, {M_TYPE(UINT8), PI_U8}, {M_TYPE(INT8), PI_S8}, {M_TYPE(UINT16), PI_U16}, {M_TYPE(INT16), PI_S16},
    {M_TYPE(INT32), PI_S32}, {M_TYPE(INT64), PI_S64}, {M_TYPE(BOOL), PI_BOOL}, {M_TYPE(FLOAT16), PI_F16}, {M_TYPE(DOUBLE), PI_F64},
    {M_TYPE(UINT32), PI_U32}, {M_TYPE(UINT64), PI_U64}, {M_TYPE(BFLOAT16), PI_BF16}
};
enum { NFORMS = sizeof forms / sizeof forms[0], COUNT = 6 };

/* Six elements of a type that tell signs and widths apart. */
static void elements(enum pi_type type, void *to)
{
    static const int64_t s64[COUNT] = {0, 1, -1, 127, -128, INT64_MIN};
    for (int i = 0; i < COUNT; i++)
        switch (type) {
        case PI_F32: ((float *)to)[i] = (float)s64[i] + 0.5f; break;
        case PI_F64: ((double *)to)[i] = (double)s64[i] + 0.25; break;
        case PI_BOOL: ((uint8_t *)to)[i] = (uint8_t)(i & 1); break;
        case PI_F16: case PI_BF16: ((uint16_t *)to)[i] = (uint16_t)(0x3c00 + 0x8000 * (i & 1) + i); break;
        case PI_U8: case PI_S8: ((uint8_t *)to)[i] = (uint8_t)s64[i]; break;
        case PI_U16: case PI_S16: ((uint16_t *)to)[i] = (uint16_t)s64[i]; break;
        case PI_U32: case PI_S32: ((uint32_t *)to)[i] = (uint32_t)s64[i]; break;
        default: ((int64_t *)to)[i] = s64[i];
        }
}

/* The same in the typed field of the format. */
static void in_fields(struct m *m, Onnx__TensorProto *t, enum pi_type type, const void *from)
{
    int32_t *i32 = m_new(m, COUNT * 8);
    uint64_t *u64 = m_new(m, COUNT * 8);
    void *copy = m_new(m, COUNT * 8);
    memcpy(copy, from, COUNT * h_type_size(type));
    for (int i = 0; i < COUNT; i++) {
        i32[i] = type == PI_S8 ? ((const int8_t *)from)[i] : h_type_size(type) == 1 ? ((const uint8_t *)from)[i]
               : type == PI_S16 ? ((const int16_t *)from)[i] : h_type_size(type) == 2 ? ((const uint16_t *)from)[i]
               : ((const int32_t *)from)[i];
        u64[i] = type == PI_U32 ? ((const uint32_t *)from)[i] : type == PI_U64 ? ((const uint64_t *)from)[i] : 0;
    }
    switch (type) {
    case PI_F32: t->float_data = copy; t->n_float_data = COUNT; break;
    case PI_F64: t->double_data = copy; t->n_double_data = COUNT; break;
    case PI_S64: t->int64_data = copy; t->n_int64_data = COUNT; break;
    case PI_U32: case PI_U64: t->uint64_data = u64; t->n_uint64_data = COUNT; break;
    default: t->int32_data = i32; t->n_int32_data = COUNT;
    }
}

static void same_constant(const precinfer_graph *g, const char *name, enum pi_type type, int rank, const void *want, size_t bytes)
{
    const int v = pi_graph_find_value(g, name);
    h_expect(v >= 0, "%s is not there", name);
    if (v < 0)
        return;
    const struct pi_tensor *t = &g->values[v].t;
    h_expect(t->type == type && t->rank == rank && t->data && !memcmp(t->data, want, bytes), "%s is not what was stored", name);
    h_expect(t->data && (uintptr_t)t->data % 16 == 0, "%s is not aligned", name);
}

START_TEST(storage)
{
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    char directory[] = "/tmp/pi-onnx-XXXXXX", path[64], name[32];
    struct precinfer_error err;
    ck_assert(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/data", directory);
    for (int f = 0; f < NFORMS; f++) {
        const enum pi_type type = forms[f].ours;
        const size_t bytes = COUNT * h_type_size(type);
        unsigned char want[COUNT * 8] = {0};
        struct m m;
        elements(type, want);
        FILE *file = fopen(path, "wb");
        fwrite("0123456789ab", 1, 12, file);
        fwrite(want, 1, bytes, file);
        fclose(file);
        start(&m);
        m_initializer(&m, "raw", forms[f].type, 2, DIMS(2, 3), want, bytes);
        in_fields(&m, m_initializer(&m, "fields", forms[f].type, 2, DIMS(2, 3), NULL, 0), type, want);
        for (int whole = 0; whole < 2; whole++) {
            Onnx__TensorProto *t = m_initializer(&m, whole ? "ext0" : "ext1", forms[f].type, 2, DIMS(2, 3), NULL, 0);
            m_entry(&m, t, "location", whole ? "data" : "./data");
            m_entry(&m, t, "offset", "12");
            snprintf(name, sizeof name, "%zu", bytes);
            if (whole)
                m_entry(&m, t, "length", name);
        }
        m_output(&m, "raw"), m_output(&m, "fields"), m_output(&m, "ext0"), m_output(&m, "ext1");
        precinfer_graph *g = load(c, &m, directory, &err);
        h_expect(g, "type %d: %s", (int)type, err.text);
        if (g) {
            same_constant(g, "raw", type, 2, want, bytes);
            same_constant(g, "fields", type, 2, want, bytes);
            same_constant(g, "ext0", type, 2, want, bytes);
            same_constant(g, "ext1", type, 2, want, bytes);
        }
        precinfer_graph_free(g);
    }
    unlink(path);
    rmdir(directory);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks leaked", (long)h.live);
    h_finish();
}
END_TEST

START_TEST(constant_nodes)
{
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    struct m m;
    static const float f[2] = {1.5f, -2};
    static const int64_t i[2] = {7, -8};
    start(&m);
    Onnx__AttributeProto *a = m_attribute(&m, m_node(&m, "Constant", "", NULL, "t"), "value", M_ATTRIBUTE(TENSOR));
    a->t = m_tensor(&m, "", M_TYPE(FLOAT), 1, DIMS(2), f, sizeof f);
    a = m_attribute(&m, m_node(&m, "Constant", "", NULL, "f"), "value_float", M_ATTRIBUTE(FLOAT));
    a->has_f = 1, a->f = f[0];
    m_int(&m, m_node(&m, "Constant", "", NULL, "i"), "value_int", i[0]);
    a = m_attribute(&m, m_node(&m, "Constant", "", NULL, "fs"), "value_floats", M_ATTRIBUTE(FLOATS));
    a->n_floats = 2, a->floats = m_new(&m, sizeof f), memcpy(a->floats, f, sizeof f);
    m_ints(&m, m_node(&m, "Constant", "", NULL, "is"), "value_ints", 2, i);
    a = m_attribute(&m, m_node(&m, "Constant", "", NULL, "unused"), "value_string", M_ATTRIBUTE(STRING));
    m_output(&m, "t"), m_output(&m, "f"), m_output(&m, "i"), m_output(&m, "fs"), m_output(&m, "is");
    precinfer_graph *g = good(c, &m, "constants");
    if (g) {
        same_constant(g, "t", PI_F32, 1, f, sizeof f);
        same_constant(g, "f", PI_F32, 0, f, 4);
        same_constant(g, "i", PI_S64, 0, i, 8);
        same_constant(g, "fs", PI_F32, 1, f, sizeof f);
        same_constant(g, "is", PI_S64, 1, i, sizeof i);
    }
    precinfer_graph_free(g);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks leaked", (long)h.live);
    h_finish();
}
END_TEST

/* An input that is an initializer too is that constant; empty tensors; what nothing reads may be of any type. */
START_TEST(oddities)
{
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    struct m m;
    static const float w[4] = {1, 2, 3, 4};
    m_start(&m, 17);
    m.model.ir_version = 3;
    m_opset(&m, "ai.onnx.ml", 3);
    m_input(&m, "x", M_TYPE(FLOAT), 2, DIMS(-1, 4));
    m_input(&m, "w", M_TYPE(FLOAT), 1, DIMS(4));
    m_initializer(&m, "w", M_TYPE(FLOAT), 1, DIMS(4), w, sizeof w);
    m_initializer(&m, "none", M_TYPE(FLOAT), 2, DIMS(0, 3), NULL, 0);
    m_initializer(&m, "words", M_TYPE(STRING), 1, DIMS(4), NULL, 0);
    m_initializer(&m, "eighths", 17, 1, DIMS(4), w, 4);
    m_node(&m, "Add", "a", "x,w", "y");
    m_output(&m, "y"), m_output(&m, "none");
    precinfer_graph *g = good(c, &m, "oddities");
    if (g) {
        h_expect(precinfer_graph_inputs(g) == 1, "%zu inputs", precinfer_graph_inputs(g));
        same_constant(g, "w", PI_F32, 1, w, sizeof w);
        same_constant(g, "none", PI_F32, 2, w, 0);
    }
    precinfer_graph_free(g);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks leaked", (long)h.live);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- refusals */

START_TEST(refusals)
{
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    struct m m;
    static const float w[4] = {1, 2, 3, 4};
    Onnx__TensorProto *t;
    Onnx__NodeProto *n;

    m_start(&m, 6), m_output(&m, "y");
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "opset is 6", "7");
    m_start(&m, 0), m_output(&m, "y");
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "opset", "7");
    start(&m), m.model.ir_version = 2;
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "format version is 2", "3");
    start(&m), m.model.graph = NULL;
    refused(c, &m, NULL, PRECINFER_MALFORMED, "no graph", "");
    m_start(&m, 17), m_input(&m, "x", M_TYPE(FLOAT), 1, DIMS(1));
    refused(c, &m, NULL, PRECINFER_MALFORMED, "no outputs", "");
    start(&m), m_node(&m, "Frobnicate", "f", "x", "z");
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "node 'f': operator Frobnicate", "opset 17");
    start(&m), m_node(&m, "Frobnicate", "", "x", "z");
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "node 'z'", "");
    start(&m), n = m_node(&m, "FusedConv", "f", "x", "z"), n->domain = m_text(&m, "com.microsoft");
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "domain 'com.microsoft'", "not import");
    start(&m), n = m_node(&m, "FusedConv", "f", "x", "z"), n->domain = m_text(&m, "com.microsoft"), m_opset(&m, "com.microsoft", 1);
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "node 'f': operator FusedConv of domain 'com.microsoft'", "opset 1");
    start(&m), n = m_node(&m, "Own", "f", "x", "z"), n->domain = m_text(&m, "here");
    Onnx__FunctionProto *function = M_MESSAGE(&m, Onnx__FunctionProto, onnx__function_proto__init);
    function->name = m_text(&m, "Own"), function->domain = m_text(&m, "here");
    m_push(&m, &m.model.functions, &m.model.n_functions, function);
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "node 'f'", "function");
    start(&m), m_push(&m, &m.model.training_info, &m.model.n_training_info,
                      M_MESSAGE(&m, Onnx__TrainingInfoProto, onnx__training_info_proto__init));
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "training", "");
    start(&m), m_node(&m, "Add", "a", "x,s", "z"), m_output(&m, "z");
    Onnx__SparseTensorProto *sparse = M_MESSAGE(&m, Onnx__SparseTensorProto, onnx__sparse_tensor_proto__init);
    sparse->values = m_tensor(&m, "s", M_TYPE(FLOAT), 1, DIMS(4), w, sizeof w);
    m_push(&m, &m.graph.sparse_initializer, &m.graph.n_sparse_initializer, sparse);
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "'s' is sparse", "");
    start(&m), m_initializer(&m, "s", M_TYPE(STRING), 1, DIMS(4), NULL, 0), m_node(&m, "Add", "a", "x,s", "z"), m_output(&m, "z");
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "'s' is string", "");
    start(&m), m_initializer(&m, "s", 17, 1, DIMS(4), w, 4), m_output(&m, "s");
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "'s' is float8e4m3fn", "");
    start(&m), m_initializer(&m, "s", M_TYPE(FLOAT), 1, DIMS(5), w, sizeof w), m_output(&m, "s");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "'s'", "needs 20 in raw_data, which has 16");
    start(&m), t = m_initializer(&m, "s", M_TYPE(INT8), 1, DIMS(1), NULL, 0), t->n_int32_data = 1, t->int32_data = m_new(&m, 4),
        t->int32_data[0] = 128, m_output(&m, "s");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "element 0 is 128", "int8");
    start(&m), m_initializer(&m, "s", M_TYPE(FLOAT), 1, DIMS(-1), w, sizeof w), m_output(&m, "s");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "'s'", "dimension 0 is -1");
    start(&m), m_initializer(&m, "s", M_TYPE(FLOAT), 3, DIMS(1ll << 40, 1ll << 40, 1), w, sizeof w), m_output(&m, "s");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "'s'", "too large");
    start(&m), m_initializer(&m, "s", M_TYPE(FLOAT), 3, DIMS(0, 1ll << 40, 1ll << 40), NULL, 0), m_output(&m, "s");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "'s'", "too large");
    start(&m), m_initializer(&m, "s", M_TYPE(FLOAT), 9, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1), w, 4), m_output(&m, "s");
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "'s'", "9 dimensions");
    start(&m), m_initializer(&m, "s", M_TYPE(FLOAT), 1, DIMS(4), w, 16), m_initializer(&m, "s", M_TYPE(FLOAT), 1, DIMS(4), w, 16);
    refused(c, &m, NULL, PRECINFER_MALFORMED, "two constants", "'s'");
    start(&m), m_initializer(&m, "y", M_TYPE(FLOAT), 1, DIMS(4), w, 16);
    refused(c, &m, NULL, PRECINFER_MALFORMED, "node 'r' (Relu)", "'y' is already a constant");
    start(&m), m_node(&m, "Relu", "r2", "x", "y");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "node 'r2'", "already computed by node 'r'");
    start(&m), m_node(&m, "Relu", "r2", "x", "x");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "node 'r2'", "'x' is already an input");
    start(&m), m_node(&m, "Relu", "r2", "nowhere", "z"), m_output(&m, "z");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "node 'r2' (Relu)", "'nowhere'");
    start(&m), m_node(&m, "Add", "a", "b,x", "a"), m_node(&m, "Relu", "b", "a", "b"), m_output(&m, "b");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "depends on the node's own output", "");
    start(&m), m_node(&m, "Add", "a", "a,x", "a"), m_output(&m, "a");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "node 'a'", "depends on the node's own output");
    start(&m), m_output(&m, "z");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "output 'z'", "");
    start(&m), m_output(&m, "y");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "'y' is an output twice", "");
    start(&m), m_node(&m, "Add", "a", "x", "z"), m_output(&m, "z");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "node 'a' (Add): has 1 inputs", "2");
    start(&m), m_input(&m, "i", M_TYPE(STRING), 1, DIMS(4));
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "input 'i' is string", "");
    start(&m), m_input(&m, "i", M_TYPE(FLOAT), -1, NULL);
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "input 'i' has no shape", "");
    start(&m), m_input(&m, "i", M_TYPE(FLOAT), 2, DIMS(1ll << 30, 1ll << 30));
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "input 'i' is too large", "");
    start(&m), n = m.graph.node[0], m_attribute(&m, n, "body", M_ATTRIBUTE(GRAPH))->g = &m.graph, n->attribute[0]->g = NULL;
    refused(c, &m, NULL, PRECINFER_UNSUPPORTED, "node 'r' (Relu): attribute body is a graph", "");
    start(&m), m_attribute(&m, m.graph.node[0], "a", M_ATTRIBUTE(INT))->ref_attr_name = m_text(&m, "b");
    refused(c, &m, NULL, PRECINFER_MALFORMED, "attribute a", "function");
    /* A name in the file may hold anything; an error is one line. */
    start(&m), m_node(&m, "Frob\nnicate\x1b[31m", "f\r", "x", "z");
    struct precinfer_error err;
    h_expect(!load(c, &m, NULL, &err) && !strpbrk(err.text, "\n\r\x1b"), "control characters in the error");
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks leaked", (long)h.live);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- external data */

static void external(precinfer_context *c, const char *directory, const char *location, const char *offset, const char *length,
                     enum precinfer_status status, const char *words)
{
    struct m m;
    start(&m);
    Onnx__TensorProto *t = m_initializer(&m, "w", M_TYPE(FLOAT), 1, DIMS(4), NULL, 0);
    m_entry(&m, t, "location", location);
    if (offset) m_entry(&m, t, "offset", offset);
    if (length) m_entry(&m, t, "length", length);
    m_output(&m, "w");
    if (status) {
        refused(c, &m, directory, status, "'w'", words);
        return;
    }
    struct precinfer_error err;
    precinfer_graph *g = load(c, &m, directory, &err);
    h_expect(g, "%s: %s", location, err.text);
    if (g)
        same_constant(g, "w", PI_F32, 1, "0123456789abcdef", 16);
    precinfer_graph_free(g);
}

START_TEST(external_data)
{
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    char root[] = "/tmp/pi-onnx-XXXXXX", in[64], path[128];
    ck_assert(mkdtemp(root) != NULL);
    snprintf(in, sizeof in, "%s/in", root);
    ck_assert(!mkdir(in, 0777));
    snprintf(path, sizeof path, "%s/in/sub", root);
    ck_assert(!mkdir(path, 0777));
    snprintf(path, sizeof path, "%s/in2", root);
    ck_assert(!mkdir(path, 0777));
    static const char *const files[] = {"secret", "in/data", "in/sub/data", "in2/data"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", root, files[i]);
        FILE *f = fopen(path, "wb");
        fputs("0123456789abcdef", f);
        fclose(f);
    }
    static const char *const links[][2] = {{"../secret", "in/out"}, {"data", "in/alias"}, {"..", "in/up"}, {"../in2", "in/beside"}};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", root, links[i][1]);
        ck_assert(!symlink(links[i][0], path));
    }
    external(c, in, "data", NULL, NULL, PRECINFER_OK, "");
    external(c, in, "sub/data", "0", "16", PRECINFER_OK, "");
    external(c, in, "alias", NULL, NULL, PRECINFER_OK, "");
    external(c, in, "../secret", NULL, NULL, PRECINFER_MALFORMED, "does not lie in");
    external(c, in, "sub/../../secret", NULL, NULL, PRECINFER_MALFORMED, "does not lie in");
    external(c, in, "sub/..", NULL, NULL, PRECINFER_MALFORMED, "does not lie in");
    external(c, in, "", NULL, NULL, PRECINFER_MALFORMED, "does not lie in");
    snprintf(path, sizeof path, "%s/in/data", root);
    external(c, in, path, NULL, NULL, PRECINFER_MALFORMED, "does not lie in");
    external(c, in, "out", NULL, NULL, PRECINFER_MALFORMED, "link that leaves");
    external(c, in, "up/secret", NULL, NULL, PRECINFER_MALFORMED, "link that leaves");
    external(c, in, "beside/data", NULL, NULL, PRECINFER_MALFORMED, "link that leaves");
    external(c, in, "absent", NULL, NULL, PRECINFER_NOT_FOUND, "not there");
    external(c, in, "sub", NULL, NULL, PRECINFER_IO, "directory");
    external(c, in, "data", "1", NULL, PRECINFER_MALFORMED, "end after");
    external(c, in, "data", "18446744073709551615", NULL, PRECINFER_MALFORMED, "end after");
    external(c, in, "data", "18446744073709551616", NULL, PRECINFER_MALFORMED, "no number");
    external(c, in, "data", "-1", NULL, PRECINFER_MALFORMED, "no number");
    external(c, in, "data", "0", "15", PRECINFER_MALFORMED, "needs 16 bytes");
    external(c, NULL, "data", NULL, NULL, PRECINFER_INVALID, "no directory");
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", root, links[i][1]);
        unlink(path);
        snprintf(path, sizeof path, "%s/%s", root, files[i]);
        unlink(path);
    }
    static const char *const directories[] = {"in/sub", "in2", "in", ""};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", root, directories[i]);
        rmdir(path);
    }
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks leaked", (long)h.live);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- hostile bytes */

/* A model with a bit of everything, small. */
static void rich(struct m *m)
{
    static const float w[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const int64_t shape[2] = {0, -1};
    m_start(m, 17);
    m->model.producer_name = m_text(m, "test");
    m_input(m, "x", M_TYPE(FLOAT), 3, DIMS(-1, 2, 2));
    m_initializer(m, "w", M_TYPE(FLOAT), 1, DIMS(2), w, 8);
    Onnx__TensorProto *t = m_initializer(m, "b", M_TYPE(FLOAT), 1, DIMS(2), NULL, 0);
    t->n_float_data = 2, t->float_data = m_new(m, 8), memcpy(t->float_data, w, 8);
    t = m_initializer(m, "shape", M_TYPE(INT64), 1, DIMS(2), NULL, 0);
    t->n_int64_data = 2, t->int64_data = m_new(m, 16), memcpy(t->int64_data, shape, 16);
    m_node(m, "Add", "a", "x,w", "a");
    m_node(m, "Relu", "", "a", "r");
    Onnx__AttributeProto *a = m_attribute(m, m_node(m, "Constant", "", NULL, "c"), "value", M_ATTRIBUTE(TENSOR));
    a->t = m_tensor(m, "", M_TYPE(FLOAT), 1, DIMS(2), w, 8);
    m_node(m, "Add", "cb", "c,b", "cb");
    m_node(m, "Add", "s", "r,cb", "s");
    m_node(m, "Reshape", "flat", "s,shape", "y");
    m_output(m, "y");
}

/* Loads bytes from a block that ends at a page that cannot be touched; whatever comes of it, nothing may leak. */
static enum precinfer_status survive(precinfer_context *c, struct h_host *h, const unsigned char *bytes, size_t size)
{
    struct precinfer_error err = {0};
    precinfer_graph *g = NULL;
    const long live = h->live;
    unsigned char *copy = h_guard(size);
    if (size)
        memcpy(copy, bytes, size);
    const enum precinfer_status status = precinfer_graph_load_memory(c, copy, size, NULL, &g, &err);
    h_expect(!status == !!g, "status %d with%s a graph", (int)status, g ? "" : "out");
    h_expect(!status || *err.text, "an error without words");
    precinfer_graph_free(g);
    h_expect(h->live == live, "%ld blocks leaked", (long)(h->live - live));
    munmap(h_guard_head(copy), h_guard_head(copy)->map_bytes);
    return status;
}

START_TEST(truncated)
{
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    struct m m;
    size_t size;
    rich(&m);
    const unsigned char *bytes = m_pack(&m, &size);
    h_expect(!survive(c, &h, bytes, size), "the whole model does not load");
    for (size_t n = 0; n < size; n++)
        survive(c, &h, bytes, n);
    m_free(&m);
    precinfer_context_free(c);
    h_finish();
}
END_TEST

START_TEST(flipped)
{
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    struct m m;
    size_t size;
    rich(&m);
    unsigned char *bytes = m_pack(&m, &size);
    for (size_t n = 0; n < size; n++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[n] ^= (unsigned char)(1 << bit);
            survive(c, &h, bytes, size);
            bytes[n] ^= (unsigned char)(1 << bit);
        }
    h_reseed(1);
    for (int k = 0; k < 2000; k++) {
        unsigned char *copy = malloc(size);
        memcpy(copy, bytes, size);
        for (int j = 0; j < 4; j++)
            copy[h_below((uint32_t)size)] = (unsigned char)h_rnd();
        survive(c, &h, copy, size);
        free(copy);
    }
    m_free(&m);
    precinfer_context_free(c);
    h_finish();
}
END_TEST

struct bytes { unsigned char b[200000]; size_t n; };
static void put_varint(struct bytes *b, uint64_t v)
{
    for (; v > 127; v >>= 7)
        b->b[b->n++] = (unsigned char)(v | 128);
    b->b[b->n++] = (unsigned char)v;
}

static void scan(struct bytes *b, size_t size, const char *words)
{
    struct precinfer_error err = {0};
    const int status = pi_onnx_scan(b->b, size, &err);
    h_expect(words ? status == PRECINFER_MALFORMED && strstr(err.text, words) && strstr(err.text, "offset") : !status,
             "wanted '%s', got %d: %s", words ? words : "", status, err.text);
}

START_TEST(hostile)
{
    static struct bytes b;
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    /* Lengths that leave their parent, up to those that wrap around. */
    static const uint64_t lengths[] = {1, 127, 1u << 31, UINT32_MAX, 1ull << 32, 1ull << 62, 1ull << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        b.n = 0;
        put_varint(&b, 7 << 3 | 2), put_varint(&b, lengths[i]);
        scan(&b, b.n, "leaves the part");
        survive(c, &h, b.b, b.n);
        b.n = 0;                                        /* a graph whose initializer is longer than it               */
        put_varint(&b, 7 << 3 | 2), put_varint(&b, 12), put_varint(&b, 5 << 3 | 2), put_varint(&b, lengths[i] + 40);
        scan(&b, 14, "leaves the part");
    }
    b.n = 0, put_varint(&b, 0 << 3 | 2), put_varint(&b, 0);
    scan(&b, b.n, "field number");
    b.n = 0, put_varint(&b, 1 << 3 | 3);
    scan(&b, b.n, "field type");
    b.n = 0, memset(b.b, 0xff, 32);
    scan(&b, 32, "more than ten bytes");
    /* Packed floats of seven bytes in a tensor. */
    b.n = 0, put_varint(&b, 7 << 3 | 2), put_varint(&b, 11), put_varint(&b, 5 << 3 | 2), put_varint(&b, 9), put_varint(&b, 4 << 3 | 2),
        put_varint(&b, 7), b.n += 7;
    scan(&b, b.n, "multiple of 4");
    /* Two graphs: merging many would take time that grows with the square. */
    b.n = 0, put_varint(&b, 7 << 3 | 2), put_varint(&b, 0), put_varint(&b, 7 << 3 | 2), put_varint(&b, 0);
    scan(&b, b.n, "occurs twice");
    /* Graph -> node -> attribute -> graph -> ...: from the inside out. */
    static const int loop[] = {7, 1, 5, 6};             /* model.graph, graph.node, node.attribute, attribute.g      */
    for (int depth = 20; depth <= 20000; depth *= 10) {
        unsigned char *end = b.b + sizeof b.b, *p = end;
        for (int d = depth; d-- > 0;) {
            const int f = loop[d == 0 ? 0 : 1 + (d - 1) % 3];
            struct bytes head = {.n = 0};
            put_varint(&head, (uint64_t)f << 3 | 2), put_varint(&head, (uint64_t)(end - p));
            p -= head.n;
            memcpy(p, head.b, head.n);
        }
        memmove(b.b, p, (size_t)(end - p));
        scan(&b, (size_t)(end - p), depth < 64 ? NULL : "nested");
        survive(c, &h, b.b, (size_t)(end - p));
    }
    precinfer_context_free(c);
    h_finish();
}
END_TEST

/* Two bytes make a node: many of them must not take a hundred times the file. */
START_TEST(expansion)
{
    const size_t nodes = 2u << 20, content = 2 * nodes;
    unsigned char *bytes = malloc(content + 16);
    struct bytes head = {.n = 0};
    struct precinfer_error err;
    put_varint(&head, 7 << 3 | 2), put_varint(&head, content);
    memcpy(bytes, head.b, head.n);
    for (size_t i = 0; i < nodes; i++)
        bytes[head.n + 2 * i] = 1 << 3 | 2, bytes[head.n + 2 * i + 1] = 0;
    h_expect(pi_onnx_scan(bytes, head.n + content, &err) == PRECINFER_MALFORMED && strstr(err.text, "memory"), "%s", err.text);
    free(bytes);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- memory */

START_TEST(no_memory)
{
    for (int all = 0; all < 2; all++)
        for (long n = 1;; n++) {
            struct h_host h = {.fail_at = n, .fail_all = all};
            struct precinfer_error err = {0};
            precinfer_context *c = h_context(&h, NULL);
            precinfer_graph *g = NULL;
            struct m m;
            size_t size;
            enum precinfer_status status = PRECINFER_OK;
            rich(&m);
            const unsigned char *bytes = m_pack(&m, &size);
            if (c)
                status = precinfer_graph_load_memory(c, bytes, size, NULL, &g, &err);
            h_expect(!c || (h.failed ? status == PRECINFER_NO_MEMORY || !status : !status), "allocation %ld: %d %s", n, (int)status, err.text);
            h_expect(!status || !g, "a graph after a failure");
            precinfer_graph_free(g);
            precinfer_context_free(c);
            m_free(&m);
            h_expect(h.live == 0, "allocation %ld: %ld blocks leaked", n, (long)h.live);
            if (!h.failed)
                break;
        }
    h_finish();
}
END_TEST

/* Bytes in use and the most that there were. */
struct meter { size_t now, peak; };
static void *meter_alloc(void *host, size_t bytes, size_t align)
{
    struct meter *m = host;
    unsigned char *p = aligned_alloc(align < 64 ? 64 : align, (bytes + 64 + 63) / 64 * 64);
    if (!p || align > 64)
        return NULL;
    memcpy(p, &bytes, sizeof bytes);
    m->now += bytes;
    m->peak = m->now > m->peak ? m->now : m->peak;
    return p + 64;
}
static void meter_release(void *host, void *block)
{
    size_t bytes;
    if (!block)
        return;
    memcpy(&bytes, (unsigned char *)block - 64, sizeof bytes);
    ((struct meter *)host)->now -= bytes;
    free((unsigned char *)block - 64);
}

START_TEST(peak)
{
    enum { MB = 32 };
    struct meter meter = {0};
    const struct precinfer_context_options o = {.size = sizeof o, .host = &meter, .alloc = meter_alloc, .release = meter_release};
    precinfer_context *c;
    precinfer_graph *g = NULL;
    struct precinfer_error err;
    struct m m;
    size_t size;
    char path[] = "/tmp/pi-onnx-XXXXXX";
    ck_assert(!precinfer_context_new(&o, &c, &err));
    void *data = calloc(1, (size_t)MB << 20);
    start(&m);
    m_initializer(&m, "w", M_TYPE(FLOAT), 1, DIMS((MB << 20) / 4), data, (size_t)MB << 20);
    m_output(&m, "w");
    const unsigned char *bytes = m_pack(&m, &size);
    const int fd = mkstemp(path);
    ck_assert(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
    m_free(&m);
    free(data);
    const enum precinfer_status status = precinfer_graph_load(c, path, &g, &err);
    unlink(path);
    h_expect(!status, "%s", err.text);
    h_expect(meter.peak < size * 2 + (1 << 20), "at most %zu bytes for a file of %zu", meter.peak, size);
    h_expect(meter.now < size + (1 << 20), "%zu bytes stay for a file of %zu", meter.now, size);
    precinfer_graph_free(g);
    precinfer_context_free(c);
    h_expect(meter.now == 0, "%zu bytes leaked", meter.now);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- real models */

static const char *const models[] = {
    "ad01_autoencoder_bn", "dscnn_kws_bn", "dtln_1", "gpt_shakespeare", "magika_v3_3", "mbv2_cifar10_bn", "mbv2_cifar10_bn_imbalanced",
    "mnist_cntk", "mobilenetv1_025_vww96_bn", "resnet20_cifar10_bn", "resnet8_cifar10", "resnet8_cifar10_jpegft_bn",
    "resnet8_large_cifar10", "silero_vad_op18_ifless", "streaming_wakeword_bn", "ultraface_rfb_320", "yunet_n_320",
    "light/light_bvlc_alexnet", "light/light_densenet121", "light/light_inception_v1", "light/light_inception_v2",
    "light/light_resnet50", "light/light_shufflenet", "light/light_squeezenet", "light/light_zfnet512"
};
enum { NMODELS = sizeof models / sizeof models[0] };

/* Loads, or an operator is named that is not covered. */
START_TEST(real)
{
    char name[128], path[512], test[160];
    struct h_host h = {0};
    struct precinfer_error err;
    precinfer_graph *g = NULL;
    snprintf(name, sizeof name, "models/%s.onnx", models[_i]);
    snprintf(test, sizeof test, "format_onnx: %s loads", models[_i]);
    if (!h_data(name, path, sizeof path, test))
        return;
    precinfer_context *c = h_context(&h, NULL);
    const enum precinfer_status status = precinfer_graph_load(c, path, &g, &err);
    if (status)
        printf("    %s: %s\n", models[_i], err.text);
    h_expect(!status || (status == PRECINFER_UNSUPPORTED && strstr(err.text, "operator ")), "%s: %s", models[_i], err.text);
    if (g)
        h_expect(precinfer_graph_hash(g) != 0, "no hash");
    precinfer_graph_free(g);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks leaked", (long)h.live);
    h_finish();
}
END_TEST

START_TEST(real_cut)
{
    char path[512];
    struct h_host h = {0};
    if (!h_data("models/mnist_cntk.onnx", path, sizeof path, "format_onnx: a real model cut at every 64th byte"))
        return;
    precinfer_context *c = h_context(&h, NULL);
    static unsigned char bytes[1 << 16];
    FILE *f = fopen(path, "rb");
    const size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (size_t n = 0; n < size; n += 64)
        h_expect(survive(c, &h, bytes, n) != PRECINFER_OK, "%zu bytes of %zu load", n, size);
    precinfer_context_free(c);
    h_finish();
}
END_TEST

START_TEST(files)
{
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    precinfer_graph *g = NULL;
    struct precinfer_error err;
    h_expect(precinfer_graph_load(c, "/nowhere/x.onnx", &g, &err) == PRECINFER_NOT_FOUND && strstr(err.text, "/nowhere/x.onnx"), "%s", err.text);
    h_expect(precinfer_graph_load(c, "/tmp", &g, &err) == PRECINFER_IO && strstr(err.text, "/tmp"), "%s", err.text);
    h_expect(precinfer_graph_load(c, "/dev/null", &g, &err) == PRECINFER_MALFORMED && strstr(err.text, "/dev/null"), "%s", err.text);
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks leaked", (long)h.live);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- seeds of the fuzz target */

/* Shape arithmetic, open dimensions, attributes of every kind. */
static void shapes(struct m *m)
{
    static const int64_t zero = 0, minus = -1, fill[2] = {2, 3};
    static const float value = 1.5f;
    m_start(m, 17);
    m_input(m, "x", M_TYPE(FLOAT), 4, DIMS(-1, 2, 3, 3));
    m_initializer(m, "zero", M_TYPE(INT64), 0, NULL, &zero, 8);
    m_initializer(m, "axes", M_TYPE(INT64), 1, DIMS(1), &zero, 8);
    m_initializer(m, "minus", M_TYPE(INT64), 1, DIMS(1), &minus, 8);
    m_initializer(m, "fill", M_TYPE(INT64), 1, DIMS(2), fill, 16);
    m_node(m, "Shape", "", "x", "s");
    m_int(m, m_node(m, "Gather", "", "s,zero", "n"), "axis", 0);
    m_node(m, "Unsqueeze", "", "n,axes", "n1");
    m_int(m, m_node(m, "Concat", "", "n1,minus", "to"), "axis", 0);
    m_node(m, "Reshape", "", "x,to", "flat");
    Onnx__AttributeProto *a = m_attribute(m, m_node(m, "ConstantOfShape", "", "fill", "f"), "value", M_ATTRIBUTE(TENSOR));
    a->t = m_tensor(m, "", M_TYPE(FLOAT), 1, DIMS(1), &value, 4);
    m_ints(m, m_node(m, "Transpose", "", "f", "ft"), "perm", 2, DIMS(1, 0));
    m_node(m, "MatMul", "", "f,ft", "mm");
    m_output(m, "flat"), m_output(m, "mm");
}

/* A small network with weights. */
static void net(struct m *m)
{
    static const float w[4 * 2 * 9];
    static const float one4[4] = {1, 1, 1, 1};
    m_start(m, 13);
    m_input(m, "x", M_TYPE(FLOAT), 4, DIMS(-1, 2, 6, 6));
    m_initializer(m, "w", M_TYPE(FLOAT), 4, DIMS(4, 2, 3, 3), w, sizeof w);
    m_initializer(m, "one", M_TYPE(FLOAT), 1, DIMS(4), one4, 16);
    m_initializer(m, "w2", M_TYPE(FLOAT), 2, DIMS(4, 3), w, 48);
    Onnx__NodeProto *n = m_node(m, "Conv", "conv", "x,w,one", "c");
    m_ints(m, n, "pads", 4, DIMS(1, 1, 1, 1));
    m_ints(m, n, "strides", 2, DIMS(2, 2));
    m_ints(m, n, "kernel_shape", 2, DIMS(3, 3));
    m_node(m, "BatchNormalization", "bn", "c,one,one,one,one", "b");
    m_node(m, "Relu", "relu", "b", "r");
    n = m_node(m, "MaxPool", "mp", "r", "p");
    m_ints(m, n, "kernel_shape", 2, DIMS(2, 2));
    m_node(m, "GlobalAveragePool", "gap", "p", "q");
    m_int(m, m_node(m, "Flatten", "fl", "q", "v"), "axis", 1);
    n = m_node(m, "Gemm", "fc", "v,w2", "g");
    m_int(m, n, "transB", 0);
    m_int(m, m_node(m, "Softmax", "sm", "g", "y"), "axis", -1);
    m_output(m, "y");
}

/* The kept files load or are refused; PI_WRITE_SEEDS=1 writes them anew. */
START_TEST(seeds)
{
    static const struct { const char *name; void (*make)(struct m *); } kept[] = {{"rich", rich}, {"shapes", shapes}, {"net", net}};
    struct h_host h = {0};
    precinfer_context *c = h_context(&h, NULL);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        char path[64];
        static unsigned char bytes[1 << 16];
        struct m m;
        size_t size;
        kept[i].make(&m);
        const unsigned char *packed = m_pack(&m, &size);
        h_expect(!survive(c, &h, packed, size), "%s does not load", kept[i].name);
        snprintf(path, sizeof path, "test/fuzz/seeds/onnx/%s", kept[i].name);
        FILE *f = fopen(path, getenv("PI_WRITE_SEEDS") ? "w+b" : "rb");
        if (f && getenv("PI_WRITE_SEEDS")) {
            fwrite(packed, 1, size, f);
            rewind(f);
        }
        h_expect(f && fread(bytes, 1, sizeof bytes, f) == size && !memcmp(bytes, packed, size), "%s is not what is made now", path);
        if (f)
            fclose(f);
        m_free(&m);
    }
    precinfer_context_free(c);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("format_onnx");
    h_add(s, "simple", simple, 1, 10);
    h_add(s, "open dimensions", open_dims, 1, 10);
    h_add(s, "storage", storage, 1, 10);
    h_add(s, "Constant nodes", constant_nodes, 1, 10);
    h_add(s, "oddities", oddities, 1, 10);
    h_add(s, "refusals", refusals, 1, 10);
    h_add(s, "external data", external_data, 1, 10);
    h_add(s, "truncated", truncated, 1, 30);
    h_add(s, "flipped", flipped, 1, 60);
    h_add(s, "hostile", hostile, 1, 30);
    h_add(s, "expansion", expansion, 1, 30);
    h_add(s, "out of memory", no_memory, 1, 60);
    h_add(s, "peak memory", peak, 1, 30);
    h_add(s, "files", files, 1, 10);
    h_add(s, "seeds", seeds, 1, 10);
    h_add(s, "real models", real, NMODELS, 60);
    h_add(s, "a real model cut", real_cut, 1, 60);
    return s;
}
