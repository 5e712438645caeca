/* A .npy header is a Python dict literal: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. The parser below
 * knows that much of Python and no more. Input is hostile: every access goes through peek(). */
#include <string.h>
#include "../base/error.h"
#include "npy.h"

struct cursor { const unsigned char *s; size_t at, end; struct precinfer_error *err; };

static int peek(const struct cursor *c) { return c->at < c->end ? c->s[c->at] : -1; }

static void skip_space(struct cursor *c)
{
    while (peek(c) == ' ' || peek(c) == '\t' || peek(c) == '\n' || peek(c) == '\r') c->at++;
}

static int bad(const struct cursor *c, const char *what)
{
    return pi_fail(c->err, PRECINFER_MALFORMED, "npy header, byte %zu: %s", c->at, what);
}

static int take(struct cursor *c, char expected)
{
    char what[] = "expected ' '";
    skip_space(c);
    if (peek(c) == expected) { c->at++; return 0; }
    what[10] = expected;
    return bad(c, what);
}

static int take_if(struct cursor *c, char wanted)
{
    skip_space(c);
    if (peek(c) != wanted) return 0;
    c->at++;
    return 1;
}

/* A quoted string without escapes, which no valid header needs; cut off nowhere: too long is an error. */
static int take_string(struct cursor *c, char *s, size_t room)
{
    skip_space(c);
    const int quote = peek(c);
    size_t n = 0;
    if (quote != '\'' && quote != '"') return bad(c, "expected a string");
    for (c->at++; peek(c) != quote; c->at++) {
        if (peek(c) < ' ' || peek(c) == '\\') return bad(c, "a string that does not end");
        if (n + 1 == room) return bad(c, "a string that is too long");
        s[n++] = (char)peek(c);
    }
    c->at++;
    s[n] = 0;
    return 0;
}

static int take_word(struct cursor *c, const char *word)
{
    const size_t n = strlen(word);
    if (c->end - c->at < n || memcmp(c->s + c->at, word, n)) return 0;
    c->at += n;
    return 1;
}

static int take_bool(struct cursor *c, int *value)
{
    skip_space(c);
    if (take_word(c, "True")) { *value = 1; return 0; }
    if (take_word(c, "False")) { *value = 0; return 0; }
    return bad(c, "expected True or False");
}

static int take_dim(struct cursor *c, int64_t *dim)
{
    int64_t x = 0;
    skip_space(c);
    if (peek(c) < '0' || peek(c) > '9') return bad(c, "expected a dimension");
    for (; peek(c) >= '0' && peek(c) <= '9'; c->at++)
        if (__builtin_mul_overflow(x, 10, &x) || __builtin_add_overflow(x, peek(c) - '0', &x))
            return bad(c, "a dimension beyond 64 bits");
    if (peek(c) == 'L') c->at++;                    /* Python 2 wrote long integers so */
    *dim = x;
    return 0;
}

static int take_shape(struct cursor *c, struct pi_npy *npy)
{
    int comma = 1;
    PI_TRY(take(c, '('));
    while (!take_if(c, ')')) {
        if (!comma) return bad(c, "expected ',' or ')'");
        if (npy->rank == PRECINFER_MAX_RANK)
            return pi_fail(c->err, PRECINFER_UNSUPPORTED, "npy header, byte %zu: more than %d dimensions", c->at,
                           PRECINFER_MAX_RANK);
        PI_TRY(take_dim(c, &npy->dims[npy->rank++]));
        comma = take_if(c, ',');
    }
    if (npy->rank == 1 && !comma) return bad(c, "(n) is a number; expected (n,)");
    return 0;
}

static int take_dtype(struct cursor *c, struct pi_npy *npy)
{
    static const struct { char name[3]; unsigned char dtype; } known[] = {
        { "f4", PRECINFER_F32 }, { "f2", PRECINFER_F16 }, { "f8", PRECINFER_F64 }, { "u1", PRECINFER_U8 }, { "i1", PRECINFER_S8 },
        { "u2", PRECINFER_U16 }, { "i2", PRECINFER_S16 }, { "u4", PRECINFER_U32 }, { "i4", PRECINFER_S32 },
        { "u8", PRECINFER_U64 }, { "i8", PRECINFER_S64 }, { "b1", PRECINFER_BOOL } };
    char s[32];
    skip_space(c);
    if (peek(c) == '[') return pi_fail(c->err, PRECINFER_UNSUPPORTED, "npy header, byte %zu: a structured dtype", c->at);
    const size_t at = c->at;
    PI_TRY(take_string(c, s, sizeof s));
    const char order = s[0];
    const char *name = s + (order == '<' || order == '>' || order == '|' || order == '=');
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name)) continue;
        npy->dtype = known[i].dtype;
        const int big_host = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
        npy->swapped = name[1] != '1' && ((order == '>' && !big_host) || (order == '<' && big_host));
        if (order == '|' && name[1] != '1') break;
        return 0;
    }
    return pi_fail(c->err, PRECINFER_UNSUPPORTED, "npy header, byte %zu: dtype '%s' is not read here (numbers and bool are)", at,
                   s);
}

static int take_entry(struct cursor *c, struct pi_npy *npy, unsigned *seen)
{
    static const char *const keys[] = { "descr", "fortran_order", "shape" };
    char key[16];
    unsigned i = 0;
    PI_TRY(take_string(c, key, sizeof key));
    while (i < 3 && strcmp(key, keys[i])) i++;
    if (i == 3) return bad(c, "a key that is not descr, fortran_order or shape");
    if (*seen & 1u << i) return bad(c, "a key that stands there twice");
    *seen |= 1u << i;
    PI_TRY(take(c, ':'));
    return i == 0 ? take_dtype(c, npy) : i == 1 ? take_bool(c, &npy->fortran) : take_shape(c, npy);
}

static int take_dict(struct cursor *c, struct pi_npy *npy)
{
    unsigned seen = 0;
    int comma = 1;
    PI_TRY(take(c, '{'));
    while (!take_if(c, '}')) {
        if (!comma) return bad(c, "expected ',' or '}'");
        PI_TRY(take_entry(c, npy, &seen));
        comma = take_if(c, ',');
    }
    if (seen != 7) return bad(c, "descr, fortran_order or shape is missing");
    skip_space(c);
    return c->at == c->end ? 0 : bad(c, "something follows the dict");
}

int pi_npy_preamble(const void *bytes, size_t size, size_t *offset, struct precinfer_error *err)
{
    const unsigned char *b = bytes;
    if (size < 6 || memcmp(b, "\x93NUMPY", 6))
        return pi_fail(err, PRECINFER_MALFORMED, "no .npy file: it does not begin with \\x93NUMPY");
    if (size < 10) return pi_fail(err, PRECINFER_MALFORMED, "npy: ends within the first 10 bytes, at byte %zu", size);
    if (b[6] < 1 || b[6] > 3) return pi_fail(err, PRECINFER_UNSUPPORTED, "npy: version %u.%u; 1 to 3 are read", b[6], b[7]);
    if (b[6] == 1) {
        *offset = 10 + (size_t)(b[8] | b[9] << 8);
    } else {
        if (size < 12) return pi_fail(err, PRECINFER_MALFORMED, "npy: ends within the first 12 bytes, at byte %zu", size);
        const uint32_t n = pi_load_u32(b + 8);
        if (n > PI_NPY_HEADER_MAX) return pi_fail(err, PRECINFER_MALFORMED, "npy, byte 8: a header of %u bytes", n);
        *offset = 12 + (size_t)n;
    }
    return 0;
}

/* The product of dimensions and its bytes; an array without elements is fine whatever its other dimensions are. */
static int count(struct pi_npy *npy, struct precinfer_error *err)
{
    size_t n = 1;
    int empty = 0, overflow = 0;
    for (int i = 0; i < npy->rank; i++) {
        empty |= npy->dims[i] == 0;
        overflow |= pi_mul_size(n, npy->dims[i] ? (size_t)npy->dims[i] : 1, &n);
    }
    overflow |= pi_mul_size(n, precinfer_dtype_size(npy->dtype), &npy->bytes);
    if (overflow || npy->bytes > PTRDIFF_MAX)
        return pi_fail(err, PRECINFER_MALFORMED, "npy: the product of the dimensions is beyond this machine's memory");
    npy->elements = empty ? 0 : n;
    if (empty) npy->bytes = 0;
    return 0;
}

int pi_npy_header(const void *bytes, size_t size, struct pi_npy *npy, struct precinfer_error *err)
{
    struct pi_npy h = { 0 };
    PI_TRY(pi_npy_preamble(bytes, size, &h.offset, err));
    if (h.offset > size)
        return pi_fail(err, PRECINFER_MALFORMED, "npy: the header ends at byte %zu, the file at byte %zu", h.offset, size);
    struct cursor c = { bytes, ((const unsigned char *)bytes)[6] == 1 ? 10 : 12, h.offset, err };
    PI_TRY(take_dict(&c, &h));
    PI_TRY(count(&h, err));
    *npy = h;
    return 0;
}

int pi_npy_check_size(const struct pi_npy *npy, uint64_t file_size, struct precinfer_error *err)
{
    if (file_size >= npy->offset && file_size - npy->offset == npy->bytes) return 0;
    return pi_fail(err, PRECINFER_MALFORMED, "npy: header (%zu bytes) and data (%zu bytes) do not make up the file (%llu bytes)",
                   npy->offset, npy->bytes, (unsigned long long)file_size);
}

void pi_npy_strides(const struct pi_npy *npy, int64_t *stride)
{
    int64_t s = 1;
    for (int i = 0; i < npy->rank; i++) {
        const int d = npy->fortran ? i : npy->rank - 1 - i;
        stride[d] = s;
        if (npy->elements) s *= npy->dims[d];
    }
}

static void put_element(unsigned char *to, const unsigned char *from, size_t size, int swapped)
{
    if (!swapped) { memcpy(to, from, size); return; }
    for (size_t i = 0; i < size; i++) to[i] = from[size - 1 - i];
}

void pi_npy_copy(const struct pi_npy *npy, const void *from, void *to)
{
    const size_t size = precinfer_dtype_size(npy->dtype);
    int64_t stride[PRECINFER_MAX_RANK], index[PRECINFER_MAX_RANK] = { 0 }, at = 0;
    if (!npy->swapped && (!npy->fortran || npy->rank < 2)) {
        if (npy->bytes) memcpy(to, from, npy->bytes);
        return;
    }
    pi_npy_strides(npy, stride);
    for (size_t i = 0; i < npy->elements; i++) {
        put_element((unsigned char *)to + i * size, (const unsigned char *)from + (size_t)at * size, size, npy->swapped);
        for (int d = npy->rank - 1; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < npy->dims[d]) break;
            at -= index[d] * stride[d];
            index[d] = 0;
        }
    }
}

static size_t put_text(char *to, size_t at, const char *s)
{
    const size_t n = strlen(s);
    memcpy(to + at, s, n);
    return at + n;
}

static size_t put_number(char *to, size_t at, uint64_t x)
{
    char digits[20];
    size_t n = 0;
    do { digits[n++] = (char)('0' + x % 10); x /= 10; } while (x);
    while (n) to[at++] = digits[--n];
    return at;
}

size_t pi_npy_write_header(char *header, const struct precinfer_tensor *t)
{
    static const char *const names[] = {
        [PRECINFER_F32] = "<f4", [PRECINFER_F16] = "<f2", [PRECINFER_F64] = "<f8", [PRECINFER_U8] = "|u1", [PRECINFER_S8] = "|i1",
        [PRECINFER_U16] = "<u2", [PRECINFER_S16] = "<i2", [PRECINFER_S32] = "<i4", [PRECINFER_U32] = "<u4",
        [PRECINFER_S64] = "<i8", [PRECINFER_U64] = "<u8", [PRECINFER_BOOL] = "|b1" };
    if ((unsigned)t->dtype >= sizeof names / sizeof *names || !names[t->dtype]) return 0;
    memcpy(header, "\x93NUMPY\1\0", 8);
    size_t at = put_text(header, 10, "{'descr': '");
    at = put_text(header, at, names[t->dtype]);
    at = put_text(header, at, "', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < t->rank; i++) {
        at = put_number(header, at, (uint64_t)t->dims[i]);
        at = put_text(header, at, i + 1 < t->rank ? ", " : t->rank == 1 ? "," : "");
    }
    at = put_text(header, at, "), }");
    while ((at + 1) % 64) header[at++] = ' ';
    header[at++] = '\n';
    header[8] = (char)((at - 10) & 255);
    header[9] = (char)((at - 10) >> 8);
    return at;
}
