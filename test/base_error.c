#include "harness.h"
#include "../lib/base/error.h"

START_TEST(fills)
{
    struct precinfer_error err;
    ck_assert_int_eq(pi_fail(&err, PRECINFER_INVALID, "node '%s' (%s): group %d does not divide %zu", "c1", "Conv", 7,
                             (size_t)256), PRECINFER_INVALID);
    ck_assert_int_eq(err.status, PRECINFER_INVALID);
    ck_assert_str_eq(err.text, "node 'c1' (Conv): group 7 does not divide 256");
    ck_assert_int_eq(pi_fail(NULL, PRECINFER_IO, "x"), PRECINFER_IO);
    ck_assert_int_eq(pi_fail(&err, PRECINFER_IO, "again: %s", err.text), PRECINFER_IO);     /* from its own text */
    ck_assert_str_eq(err.text, "again: node 'c1' (Conv): group 7 does not divide 256");
}
END_TEST

START_TEST(cleans)
{
    struct precinfer_error err;
    pi_fail(&err, PRECINFER_MALFORMED, "%s", "a\nb\tc\033[31md\177e\r\xc2\x9bm \xc3\xa9 \xc2\xa9");
    ck_assert_str_eq(err.text, "a b c [31md e   m \xc3\xa9 \xc2\xa9");
    for (int c = 1; c < 256; c++) {
        pi_fail(&err, PRECINFER_MALFORMED, "<%c>", c);
        h_expect(err.text[1] == (c < 32 || c == 127 ? ' ' : (char)c) && err.text[2] == '>', "byte %d became %d", c, err.text[1]);
    }
    h_finish();
}
END_TEST

START_TEST(cuts)
{
    struct precinfer_error err;
    char longer[1000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    pi_fail(&err, PRECINFER_INVALID, "%s", longer);
    ck_assert_uint_eq(strlen(err.text), PRECINFER_ERROR_TEXT - 1);
    /* A character of 2, 3 or 4 bytes on the edge is whole or gone. */
    static const char *const wide[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
    for (int w = 0; w < 3; w++)
        for (size_t pad = PRECINFER_ERROR_TEXT - 7; pad < PRECINFER_ERROR_TEXT; pad++) {
            memset(longer, 'x', pad);
            strcpy(longer + pad, wide[w]);
            pi_fail(&err, PRECINFER_INVALID, "%s", longer);
            const size_t fits = pad + strlen(wide[w]) < PRECINFER_ERROR_TEXT ? pad + strlen(wide[w]) : pad;
            h_expect(strlen(err.text) == fits, "pad %zu: %zu bytes, not %zu", pad, strlen(err.text), fits);
        }
    h_finish();
}
END_TEST

START_TEST(prefixes)
{
    struct precinfer_error err;
    pi_fail(&err, PRECINFER_MALFORMED, "dims differ");
    ck_assert_int_eq(pi_prefix(&err, PRECINFER_MALFORMED, "%s: tensor %d", "m.onnx", 3), PRECINFER_MALFORMED);
    ck_assert_str_eq(err.text, "m.onnx: tensor 3: dims differ");
    ck_assert_int_eq(err.status, PRECINFER_MALFORMED);
    ck_assert_int_eq(pi_prefix(NULL, PRECINFER_IO, "x"), PRECINFER_IO);
    for (int i = 0; i < 60; i++) pi_prefix(&err, PRECINFER_MALFORMED, "a prefix\n");
    ck_assert_uint_eq(strlen(err.text), PRECINFER_ERROR_TEXT - 1);
    ck_assert_ptr_null(strchr(err.text, '\n'));
    char longer[2 * PRECINFER_ERROR_TEXT];
    memset(longer, 'p', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    pi_prefix(&err, PRECINFER_MALFORMED, "%s", longer);
    ck_assert_uint_eq(strlen(err.text), PRECINFER_ERROR_TEXT - 1);
}
END_TEST

static int tries(int rc, int *after)
{
    PI_TRY(rc);
    *after = 1;
    return 0;
}
START_TEST(returns_early)
{
    int after = 0;
    ck_assert_int_eq(tries(PRECINFER_IO, &after), PRECINFER_IO);
    ck_assert_int_eq(after, 0);
    ck_assert_int_eq(tries(0, &after), 0);
    ck_assert_int_eq(after, 1);
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("base_error");
    h_add(s, "fills", fills, 1, 5);
    h_add(s, "cleans", cleans, 1, 5);
    h_add(s, "cuts", cuts, 1, 5);
    h_add(s, "prefixes", prefixes, 1, 5);
    h_add(s, "returns_early", returns_early, 1, 5);
    return s;
}
