/* The ONNX reader's parts. Only lib/format/onnx*.c and the tests include this. */
#ifndef PI_FORMAT_ONNX_H
#define PI_FORMAT_ONNX_H
#include <stdint.h>
#include "../graph/graph.h"
#include "onnx.pb-c.h"

/* Looks through the wire format without recursion: nesting is bounded, every length lies inside its parent, no message that
 * may occur once occurs twice, and what unpacking would allocate is bounded by the file's size. protobuf-c checks none of
 * this; after it, it is safe. Errors name the offset. */
int pi_onnx_scan(const void *bytes, size_t size, struct precinfer_error *err);

/* onnx_tensor.c. ONNX's number of a type; PI_NONE: not covered. The name is static: "string". */
enum pi_type pi_onnx_type(int32_t data_type);
const char *pi_onnx_type_name(int32_t data_type);

/* The content of a tensor in a block of the allocator: taken over from the message where it lies there as it is needed.
 * directory: where external data may lie, NULL: nowhere. what: "initializer 'w'", for errors. */
int pi_onnx_tensor(const struct pi_allocator *a, Onnx__TensorProto *from, const char *directory, const char *what,
                   struct pi_tensor *t, struct precinfer_error *err);
/* onnx_external.c: `bytes` of external data in a new block. */
int pi_onnx_external(const struct pi_allocator *a, const Onnx__TensorProto *from, const char *directory, const char *what,
                     size_t bytes, void **data, struct precinfer_error *err);

/* onnx_node.c: attributes of a node into arena memory. */
int pi_onnx_attributes(precinfer_graph *g, const Onnx__NodeProto *from, const char *what, struct pi_attr *to,
                       struct precinfer_error *err);

/* A finished graph. */
int pi_onnx_read(precinfer_context *ctx, const void *bytes, size_t size, const char *directory, precinfer_graph **graph,
                 struct precinfer_error *err);
/* The file is read whole and freed as soon as it is unpacked. External data may lie beside it. */
int pi_onnx_read_file(precinfer_context *ctx, const char *path, precinfer_graph **graph, struct precinfer_error *err);
#endif
