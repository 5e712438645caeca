/* .npy: what is read, what is refused and where, every truncation, writing. */
#include "../lib/format/npy.h"
#include "format_tools.h"

static const char plain[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";

START_TEST(headers)
{
    static const struct { const char *dict; int rank; enum precinfer_dtype dtype; int fortran,
        swapped; size_t elements; } good[] = {
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 2, PRECINFER_F32, 0, 0, 6 },
        { "{\"shape\": (5,), \"fortran_order\": True, \"descr\": \">i8\"}", 1, PRECINFER_S64, 1, 1, 5 },
        { "  { 'descr' : '|u1' , 'fortran_order' : False , 'shape' : ( ) }   \n", 0, PRECINFER_U8, 0, 0, 1 },
        { "{'descr': '>b1', 'fortran_order': False, 'shape': (7L, 0L)}", 2, PRECINFER_BOOL, 0, 0, 0 },
        { "{'descr': 'f2', 'fortran_order': False, 'shape': (1, 2, 3, 4, 5, 6, 7, 8)}", 8, PRECINFER_F16, 0, 0, 40320 },
        { "{'descr': '=f8', 'fortran_order': False, 'shape': (0, 9223372036854775807)}", 2, PRECINFER_F64, 0, 0, 0 } };
    unsigned char bytes[4096];
    struct pi_npy npy;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct precinfer_error err = { 0 };
        const size_t n = f_npy(bytes, good[i].dict, NULL, 0);
        const int status = pi_npy_header(bytes, n, &npy, &err);
        if (i == 5) { h_expect(status == PRECINFER_MALFORMED, "a product beyond memory"); continue; }
        h_expect(!status && npy.rank == good[i].rank && npy.dtype == good[i].dtype && npy.fortran == good[i].fortran
                 && npy.swapped == good[i].swapped
                     && npy.elements == good[i].elements && npy.offset == n, "%s: %s", good[i].dict, err.text);
        bytes[6] = 2;                   /* versions 2 and 3 have four bytes of length */
        memmove(bytes + 12, bytes + 10, n - 10);
        bytes[10] = bytes[11] = 0;
        h_expect(!pi_npy_header(bytes, n + 2, &npy, &err) && npy.offset == n + 2 && npy.elements == good[i].elements,
                 "version 2: %s", good[i].dict);
        bytes[6] = 3;
        h_expect(!pi_npy_header(bytes, n + 2, &npy, &err), "version 3: %s", good[i].dict);
    }
    h_finish();
}
END_TEST

START_TEST(hostile)
{
    static const struct { const char *dict; int status; const char *text; } bad[] = {
        { "", PRECINFER_MALFORMED, "byte 10: expected '{'" },
        { "{", PRECINFER_MALFORMED, "byte 11: expected a string" },
        { "{}", PRECINFER_MALFORMED, "missing" },
        { "{'descr': '<f4', 'fortran_order': False}", PRECINFER_MALFORMED, "missing" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", PRECINFER_MALFORMED, "expected ',' or '}'" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}x", PRECINFER_MALFORMED, "something follows" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}", PRECINFER_MALFORMED, "expected ',' or ')'" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (5)}", PRECINFER_MALFORMED, "(n,)" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (-5,)}", PRECINFER_MALFORMED, "byte 61: expected a dimension" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", PRECINFER_MALFORMED, "64 bits" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904)}", PRECINFER_MALFORMED,
            "memory" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,)}", PRECINFER_MALFORMED, "memory" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", PRECINFER_UNSUPPORTED, "dimensions" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': 5}", PRECINFER_MALFORMED, "expected '('" },
        { "{'descr': '<f4', 'fortran_order': 0, 'shape': (5,)}", PRECINFER_MALFORMED, "True or False" },
        { "{'descr': '<c8', 'fortran_order': False, 'shape': (5,)}", PRECINFER_UNSUPPORTED, "'<c8'" },
        { "{'descr': '|f4', 'fortran_order': False, 'shape': (5,)}", PRECINFER_UNSUPPORTED, "'|f4'" },
        { "{'descr': '|O', 'fortran_order': False, 'shape': (5,)}", PRECINFER_UNSUPPORTED, "'|O'" },
        { "{'descr': '', 'fortran_order': False, 'shape': (5,)}", PRECINFER_UNSUPPORTED, "''" },
        { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (5,)}", PRECINFER_UNSUPPORTED, "structured" },
        { "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (5,)}", PRECINFER_MALFORMED, "twice" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (5,), 'x': 1}", PRECINFER_MALFORMED, "a key that is not" },
        { "{'descr': '<f4, 'fortran_order': False, 'shape': (5,)}", PRECINFER_UNSUPPORTED, "'<f4, '" },
        { "{'descr': '<f4\\'', 'fortran_order': False, 'shape': (5,)}", PRECINFER_MALFORMED, "does not end" },
        { "{'descriptor_that_is_long': '<f4'}", PRECINFER_MALFORMED, "too long" },
        { "{'descr", PRECINFER_MALFORMED, "does not end" } };
    unsigned char bytes[4096];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pi_npy npy;
        const size_t n = f_npy(bytes, bad[i].dict, NULL, 0);
        unsigned char *guarded = h_guard(n);
        memcpy(guarded, bytes, n);
        if (strstr(bad[i].text, "byte 61")) ck_assert_int_eq(bytes[61], '-');
        f_refused(pi_npy_header(guarded, n, &npy, &err), bad[i].status, bad[i].text);
        h_guard_free(guarded);
    }
    h_finish();
}
END_TEST

START_TEST(preambles)
{
    struct pi_npy npy;
    unsigned char bytes[256];
    const size_t n = f_npy(bytes, plain, NULL, 0);
    for (size_t cut = 0; cut < n; cut++) {
        struct precinfer_error err = { 0 };
        unsigned char *guarded = h_guard(cut);
        memcpy(guarded, bytes, cut);
        h_expect(pi_npy_header(guarded, cut, &npy, &err) == PRECINFER_MALFORMED && *err.text, "%zu bytes were taken", cut);
        h_guard_free(guarded);
    }
    bytes[6] = 4;
    f_refused(pi_npy_header(bytes, n, &npy, &err), PRECINFER_UNSUPPORTED, "version 4.0");
    bytes[6] = 0;
    f_refused(pi_npy_header(bytes, n, &npy, &err), PRECINFER_UNSUPPORTED, "version 0.0");
    memcpy(bytes + 6, "\2\0\xff\xff\xff\xff", 6);
    f_refused(pi_npy_header(bytes, n, &npy, &err), PRECINFER_MALFORMED, "a header of 4294967295 bytes");
    f_refused(pi_npy_header("PK\3\4........", 12, &npy, &err), PRECINFER_MALFORMED, "no .npy file");
    h_finish();
}
END_TEST

/* Any bytes in the header: refused or taken, never a crash or an access outside. */
START_TEST(mutations)
{
    unsigned char bytes[256];
    const size_t n = f_npy(bytes, plain, NULL, 0);
    unsigned char *guarded = h_guard(n);
    size_t refused = 0;
    h_reseed(0);
    for (int i = 0; i < 20000; i++) {
        struct pi_npy npy;
        memcpy(guarded, bytes, n);
        for (int k = h_between(1, 4); k; k--)
            guarded[h_below((uint32_t)n)] = h_below(2) ? (unsigned char)h_rnd()
                : (unsigned char)"{}()',: 0123456789TFL"[h_below(20)];
        if (pi_npy_header(guarded, n, &npy, NULL)) { refused++; continue; }
        h_expect(npy.rank <= PRECINFER_MAX_RANK && npy.offset <= n && precinfer_dtype_size(npy.dtype),
                 "a header that makes no sense");
    }
    h_expect(refused > 10000, "%zu refused", refused);
    h_guard_free(guarded);
    h_finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ arrays */

START_TEST(orders)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    struct precinfer_tensor t;
    const int16_t in_c[6] = { 1, 2, 3, 4, 5, -6 }, in_f[6] = { 1, 4, 2, 5, 3, -6 };
    unsigned char big[12];
    for (int i = 0; i < 6; i++) { big[2 * i] = (unsigned char)(in_f[i] >> 8); big[2 * i + 1] = (unsigned char)in_f[i]; }
    f_begin();
    f_write_npy("c.npy", "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3)}\n", in_c, 12);
    f_write_npy("f.npy", "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3)}\n", in_f, 12);
    f_write_npy("big.npy", "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3)}\n", big, 12);
    static const char *const names[] = { "c.npy", "f.npy", "big.npy" };
    for (int i = 0; i < 3; i++) {
        f_ok(precinfer_npy_load(c, f_path(names[i]), &t, &err));
        h_expect(t.dtype == PRECINFER_S16 && t.rank == 2 && t.dims[0] == 2 && t.dims[1] == 3, "%s: shape", names[i]);
        h_same(names[i], in_c, t.data, PI_S16, 6);
        precinfer_array_free(c, &t);
    }
    f_write_npy("long.npy", "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2)}\n", in_c, 12);
    f_write_npy("short.npy", "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 4)}\n", in_c, 12);
    f_refused(precinfer_npy_load(c, f_path("long.npy"), &t, &err), PRECINFER_MALFORMED, "do not make up the file");
    f_refused(precinfer_npy_load(c, f_path("short.npy"), &t, &err), PRECINFER_MALFORMED, "do not make up the file");
    f_refused(precinfer_npy_load(c, f_path("none.npy"), &t, &err), PRECINFER_NOT_FOUND, "none.npy");
    f_refused(precinfer_npy_load(c, f_dir, &t, &err), PRECINFER_IO, "is a directory");
    f_refused(precinfer_npy_load(NULL, f_dir, &t, &err), PRECINFER_INVALID, "NULL");
    f_write("empty.npy", "", 0);
    f_refused(precinfer_npy_load(c, f_path("empty.npy"), &t, &err), PRECINFER_MALFORMED, "no .npy file");
    f_end();
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST

START_TEST(saving)
{
    struct h_host h = { 0 };
    precinfer_context *c = h_context(&h, NULL);
    f_begin();
    h_reseed(0);
    for (int dtype = PRECINFER_F32; dtype <= PRECINFER_BOOL; dtype++)
        for (int rank = 0; rank <= PRECINFER_MAX_RANK; rank++) {
            struct precinfer_tensor t = { .dtype = (enum precinfer_dtype)dtype, .rank = rank }, back;
            size_t n = 1;
            for (int i = 0; i < rank; i++) n *= (size_t)(t.dims[i] = h_between(rank == 3 ? 0 : 1, 3));
            t.data = malloc(n * 8 + 8);
            h_fill(t.data, (enum pi_type)dtype, n, H_RANDOM);
            if (dtype == PRECINFER_BF16) {
                f_refused(precinfer_npy_save(c, f_path("x.npy"), &t, &err), PRECINFER_UNSUPPORTED, "bfloat16");
            } else {
                f_ok(precinfer_npy_save(c, f_path("x.npy"), &t, &err));
                f_ok(precinfer_npy_load(c, f_path("x.npy"), &back, &err));
                h_expect(back.dtype == t.dtype && back.rank == rank && !memcmp(back.dims, t.dims, sizeof t.dims),
                         "type %d rank %d", dtype, rank);
                h_same("saved", t.data, back.data, (enum pi_type)dtype, n);
                size_t size;
                unsigned char *bytes = f_read("x.npy", &size);
                h_expect((10u + bytes[8] + 256u * bytes[9]) % 64 == 0, "the data is not aligned");
                free(bytes);
                precinfer_array_free(c, &back);
            }
            free(t.data);
        }
    struct precinfer_tensor bad = { .data = f_dir, .dtype = PRECINFER_F32, .rank = 1, .dims = { -1 } };
    f_refused(precinfer_npy_save(c, f_path("x.npy"), &bad, &err), PRECINFER_INVALID, "dimension 0");
    bad.rank = 9;
    f_refused(precinfer_npy_save(c, f_path("x.npy"), &bad, &err), PRECINFER_INVALID, "9 dimensions");
    bad = (struct precinfer_tensor){ .data = f_dir, .dtype = PRECINFER_F32 };
    f_refused(precinfer_npy_save(c, f_path("no/x.npy"), &bad, &err), PRECINFER_IO, "no/x.npy");
    f_end();
    precinfer_context_free(c);
    h_expect(h.live == 0, "%ld blocks stayed", (long)h.live);
    h_finish();
}
END_TEST

START_TEST(no_memory)
{
    const float x[6] = { 1, 2, 3, 4, 5, 6 };
    f_begin();
    f_write_npy("x.npy", plain, x, sizeof x);
    for (long n = 1; ; n++) {
        struct h_host h = { .fail_at = n };
        precinfer_context *c = h_context(&h, NULL);
        struct precinfer_tensor t;
        struct precinfer_error err = { 0 };
        const int status = c ? precinfer_npy_load(c, f_path("x.npy"), &t, &err) : PRECINFER_NO_MEMORY;
        h_expect(h.failed ? status == PRECINFER_NO_MEMORY : !status, "allocation %ld: %d %s", n, status, err.text);
        if (!status) { h_same("x", x, t.data, PI_F32, 6); precinfer_array_free(c, &t); }
        precinfer_context_free(c);
        h_expect(h.live == 0, "allocation %ld: %ld blocks stayed", n, (long)h.live);
        if (!h.failed) break;
    }
    f_end();
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("format_npy");
    h_add(s, "headers", headers, 1, 5);
    h_add(s, "hostile headers", hostile, 1, 5);
    h_add(s, "preambles and truncation", preambles, 1, 5);
    h_add(s, "mutations", mutations, 1, 10);
    h_add(s, "element orders", orders, 1, 5);
    h_add(s, "saving", saving, 1, 10);
    h_add(s, "no memory", no_memory, 1, 5);
    return s;
}
