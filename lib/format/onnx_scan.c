#include "../base/error.h"
#include "onnx.h"

enum { DEPTH = 64 };
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct level {
    const ProtobufCMessageDescriptor *type;
    size_t end;                         /* offset behind the message                                           */
    uint64_t seen;                      /* single message fields, by index                                     */
};
struct scan {
    const unsigned char *p;
    size_t size, at;
    uint64_t cost, most;                /* bytes that unpacking allocates, about                               */
    struct level level[DEPTH];
    int depth;
    struct precinfer_error *err;
};

static int bad(struct scan *s, size_t at, const char *what)
{
    return pi_fail(s->err, PRECINFER_MALFORMED, "no ONNX model: offset %zu: %s", at, what);
}

/* Up to ten bytes that end before `end`. */
static int varint(struct scan *s, size_t end, uint64_t *v)
{
    const size_t from = s->at;
    *v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (s->at >= end)
            return bad(s, from, "a number is cut off");
        const unsigned char byte = s->p[s->at++];
        *v |= shift < 64 ? (uint64_t)(byte & 127) << shift : 0;
        if (byte < 128)
            return PRECINFER_OK;
    }
    return bad(s, from, "a number has more than ten bytes");
}

static int spend(struct scan *s, uint64_t bytes)
{
    s->cost += bytes;
    if (s->cost <= s->most)
        return PRECINFER_OK;
    return bad(s, s->at, "the parts would take far more memory than the file has content");
}

/* Elements of a packed field are counted, for they grow when they are unpacked. */
static int packed(struct scan *s, const ProtobufCFieldDescriptor *field, size_t length)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_FIXED32: case PROTOBUF_C_TYPE_SFIXED32: case PROTOBUF_C_TYPE_FLOAT:
        return length % 4 ? bad(s, s->at, "packed elements of 4 bytes in a length that is no multiple of 4") : spend(s, length);
    case PROTOBUF_C_TYPE_FIXED64: case PROTOBUF_C_TYPE_SFIXED64: case PROTOBUF_C_TYPE_DOUBLE:
        return length % 8 ? bad(s, s->at, "packed elements of 8 bytes in a length that is no multiple of 8") : spend(s, length);
    default:
        break;
    }
    const size_t end = s->at + length;
    const int wide = field->type == PROTOBUF_C_TYPE_INT64 || field->type == PROTOBUF_C_TYPE_UINT64 ||
                     field->type == PROTOBUF_C_TYPE_SINT64;
    size_t elements = 0;
    for (size_t i = s->at; i < end; i++)
        elements += s->p[i] < 128;
    if (length && s->p[end - 1] >= 128)
        return bad(s, end - 1, "a number is cut off");
    return spend(s, (uint64_t)elements * (wide ? 8 : 4));
}

static int enter(struct scan *s, const ProtobufCFieldDescriptor *field, size_t length)
{
    struct level *parent = &s->level[s->depth - 1];
    const size_t index = (size_t)(field - parent->type->fields);
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        if (index < 64 && parent->seen >> index & 1)
            return bad(s, s->at, "a part that may occur once occurs twice");
        if (index < 64)
            parent->seen |= (uint64_t)1 << index;
    }
    if (s->depth == DEPTH)
        return bad(s, s->at, "nested more than 64 deep");
    const ProtobufCMessageDescriptor *type = field->descriptor;
    PI_TRY(spend(s, type->sizeof_message + 64));
    s->level[s->depth++] = (struct level){type, s->at + length, 0};
    return PRECINFER_OK;
}

/* A field with a length: text, bytes, packed numbers or a message. */
static int with_length(struct scan *s, const ProtobufCFieldDescriptor *field, size_t from, size_t end)
{
    uint64_t length;
    PI_TRY(varint(s, end, &length));
    if (length > end - s->at)
        return bad(s, from, "a length that leaves the part that it is in");
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
        return enter(s, field, (size_t)length);
    if (field && field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_BYTES)
        PI_TRY(packed(s, field, (size_t)length));
    else
        PI_TRY(spend(s, length + 64));
    s->at += (size_t)length;
    return PRECINFER_OK;
}

static int field(struct scan *s)
{
    const struct level *now = &s->level[s->depth - 1];
    const size_t from = s->at, end = now->end;
    uint64_t tag, ignored;
    PI_TRY(varint(s, end, &tag));
    if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return bad(s, from, "a field number that does not exist");
    const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(now->type, (unsigned)(tag >> 3));
    PI_TRY(spend(s, 48));
    switch (tag & 7) {
    case VARINT: return varint(s, end, &ignored);
    case BYTES: return with_length(s, known, from, end);
    case FIXED64: case FIXED32: {
        const size_t width = (tag & 7) == FIXED64 ? 8 : 4;
        if (width > end - s->at)
            return bad(s, from, "a number is cut off");
        s->at += width;
        return PRECINFER_OK;
    }
    }
    return bad(s, from, "a field type that does not exist");
}

int pi_onnx_scan(const void *bytes, size_t size, struct precinfer_error *err)
{
    struct scan s = {.p = bytes, .size = size, .depth = 1, .err = err};
    s.most = 16 * (uint64_t)size + (64u << 20);
    s.level[0] = (struct level){&onnx__model_proto__descriptor, size, 0};
    if (!size)
        return bad(&s, 0, "empty");
    while (s.depth) {
        if (s.at == s.level[s.depth - 1].end)
            s.depth--;
        else
            PI_TRY(field(&s));
    }
    return PRECINFER_OK;
}
