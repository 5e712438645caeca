/* ONNX models made by hand, packed by protobuf-c: for tests, and for the seeds of the fuzz target. Everything that a model
 * is built of is freed with it. */
#ifndef PI_TEST_ONNX_MODEL_H
#define PI_TEST_ONNX_MODEL_H
#include <stdlib.h>
#include <string.h>
#include "onnx.pb-c.h"

#define M_TYPE(x) ONNX__TENSOR_PROTO__DATA_TYPE__##x
struct m { Onnx__ModelProto model; Onnx__GraphProto graph; void **block; size_t nblock; };

static inline void *m_new(struct m *m, size_t bytes)
{
    void *p = calloc(1, bytes + 1);
    m->block = realloc(m->block, (m->nblock + 1) * sizeof *m->block);
    if (!p || !m->block) abort();
    return m->block[m->nblock++] = p;
}
static inline void m_free(struct m *m)
{
    for (size_t i = 0; i < m->nblock; i++) free(m->block[i]);
    free(m->block);
    m->block = NULL; m->nblock = 0;
}
static inline char *m_text(struct m *m, const char *s) { return strcpy(m_new(m, strlen(s)), s); }
/* One more pointer in a repeated field. */
static inline void m_push(struct m *m, void *array, size_t *n, void *item)
{
    void **old, **grown = m_new(m, (*n + 1) * sizeof *grown);
    memcpy(&old, array, sizeof old);
    if (*n) memcpy(grown, old, *n * sizeof *grown);
    grown[(*n)++] = item;
    memcpy(array, &grown, sizeof grown);
}
#define M_MESSAGE(m, Type, init) ({ Type *m_message = m_new(m, sizeof(Type)); init(m_message); m_message; })

static inline void m_opset(struct m *m, const char *domain, int64_t version)
{
    Onnx__OperatorSetIdProto *o = M_MESSAGE(m, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);
    o->domain = m_text(m, domain); o->has_version = 1; o->version = version;
    m_push(m, &m->model.opset_import, &m->model.n_opset_import, o);
}
static inline void m_start(struct m *m, int64_t opset)
{
    memset(m, 0, sizeof *m);
    onnx__model_proto__init(&m->model);
    onnx__graph_proto__init(&m->graph);
    m->model.graph = &m->graph;
    m->model.has_ir_version = 1; m->model.ir_version = 8;
    m->graph.name = m_text(m, "g");
    if (opset) m_opset(m, "", opset);
}
/* dims: -1 the symbol N, -2 T; 0 as it is; rank < 0: no shape. */
static inline Onnx__ValueInfoProto *m_value(struct m *m, const char *name, int type, int rank, const int64_t *dims)
{
    Onnx__ValueInfoProto *v = M_MESSAGE(m, Onnx__ValueInfoProto, onnx__value_info_proto__init);
    v->name = m_text(m, name);
    v->type = M_MESSAGE(m, Onnx__TypeProto, onnx__type_proto__init);
    v->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    v->type->tensor_type = M_MESSAGE(m, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
    v->type->tensor_type->has_elem_type = 1; v->type->tensor_type->elem_type = type;
    if (rank < 0) return v;
    Onnx__TensorShapeProto *s = v->type->tensor_type->shape = M_MESSAGE(m, Onnx__TensorShapeProto,
                                                                        onnx__tensor_shape_proto__init);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *d = M_MESSAGE(m, Onnx__TensorShapeProto__Dimension,
                                                         onnx__tensor_shape_proto__dimension__init);
        d->value_case = dims[i] < 0 ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (dims[i] < 0) d->dim_param = m_text(m, dims[i] == -1 ? "N" : "T");
        else d->dim_value = dims[i];
        m_push(m, &s->dim, &s->n_dim, d);
    }
    return v;
}
static inline void m_input(struct m *m, const char *name, int type, int rank, const int64_t *dims)
{
    m_push(m, &m->graph.input, &m->graph.n_input, m_value(m, name, type, rank, dims));
}
static inline void m_output(struct m *m, const char *name)
{
    m_push(m, &m->graph.output, &m->graph.n_output, m_value(m, name, M_TYPE(FLOAT), -1, NULL));
}
/* raw NULL: no content yet. */
static inline Onnx__TensorProto *m_tensor(struct m *m, const char *name, int type, int rank, const int64_t *dims,
                                          const void *raw, size_t bytes)
{
    Onnx__TensorProto *t = M_MESSAGE(m, Onnx__TensorProto, onnx__tensor_proto__init);
    t->name = m_text(m, name);
    t->has_data_type = 1; t->data_type = type;
    t->n_dims = (size_t)rank; t->dims = m_new(m, (size_t)rank * sizeof *dims);
    if (rank) memcpy(t->dims, dims, (size_t)rank * sizeof *dims);
    if (raw) {
        t->has_raw_data = 1; t->raw_data.len = bytes; t->raw_data.data = m_new(m, bytes);
        memcpy(t->raw_data.data, raw, bytes);
    }
    return t;
}
static inline Onnx__TensorProto *m_initializer(struct m *m, const char *name, int type, int rank, const int64_t *dims,
                                               const void *raw, size_t bytes)
{
    Onnx__TensorProto *t = m_tensor(m, name, type, rank, dims, raw, bytes);
    m_push(m, &m->graph.initializer, &m->graph.n_initializer, t);
    return t;
}
static inline void m_entry(struct m *m, Onnx__TensorProto *t, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *e = M_MESSAGE(m, Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init);
    e->key = m_text(m, key); e->value = m_text(m, value);
    m_push(m, &t->external_data, &t->n_external_data, e);
    t->has_data_location = 1; t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}
/* Names separated by commas; an empty one is an absent input. */
static inline void m_names(struct m *m, const char *list, char ***array, size_t *n)
{
    while (list) {
        const char *comma = strchr(list, ',');
        char *s = m_new(m, strlen(list));
        memcpy(s, list, comma ? (size_t)(comma - list) : strlen(list));
        m_push(m, array, n, s);
        list = comma ? comma + 1 : NULL;
    }
}
static inline Onnx__NodeProto *m_node(struct m *m, const char *op, const char *name, const char *inputs, const char *outputs)
{
    Onnx__NodeProto *n = M_MESSAGE(m, Onnx__NodeProto, onnx__node_proto__init);
    n->op_type = m_text(m, op); n->name = m_text(m, name);
    m_names(m, inputs, &n->input, &n->n_input);
    m_names(m, outputs, &n->output, &n->n_output);
    m_push(m, &m->graph.node, &m->graph.n_node, n);
    return n;
}
static inline Onnx__AttributeProto *m_attribute(struct m *m, Onnx__NodeProto *n, const char *name, int type)
{
    Onnx__AttributeProto *a = M_MESSAGE(m, Onnx__AttributeProto, onnx__attribute_proto__init);
    a->name = m_text(m, name);
    a->has_type = 1; a->type = (Onnx__AttributeProto__AttributeType)type;
    m_push(m, &n->attribute, &n->n_attribute, a);
    return a;
}
#define M_ATTRIBUTE(x) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##x
static inline void m_int(struct m *m, Onnx__NodeProto *n, const char *name, int64_t i)
{
    Onnx__AttributeProto *a = m_attribute(m, n, name, M_ATTRIBUTE(INT));
    a->has_i = 1; a->i = i;
}
static inline void m_ints(struct m *m, Onnx__NodeProto *n, const char *name, size_t count, const int64_t *ints)
{
    Onnx__AttributeProto *a = m_attribute(m, n, name, M_ATTRIBUTE(INTS));
    a->n_ints = count; a->ints = m_new(m, count * sizeof *ints);
    memcpy(a->ints, ints, count * sizeof *ints);
}
static inline unsigned char *m_pack(struct m *m, size_t *size)
{
    *size = onnx__model_proto__get_packed_size(&m->model);
    unsigned char *bytes = m_new(m, *size);
    onnx__model_proto__pack(&m->model, bytes);
    return bytes;
}
#endif
