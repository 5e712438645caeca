/* Numbers as text: shortest, exact, and blind to the locale. */
#include <locale.h>
#include "../lib/format/number.h"
#include "harness.h"

static int same_double(double a, double b) { return !memcmp(&a, &b, sizeof a); }

static void check_double(double x)
{
    char text[PI_NUMBER_TEXT];
    double back = 0;
    const size_t n = pi_number_f64(text, x);
    h_expect(n < PI_NUMBER_TEXT && strlen(text) == n && !pi_number_read(text, n, &back) && same_double(back, x),
             "%a became '%s' became %a", x, text, back);
}

START_TEST(round_trip)
{
    static const double hard[] = { 0, -0.0, 1, -1, 0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308,
        9007199254740993.0, 1e22, 1e23,
        123456789012345678.0, 0.000123456, 1e16, 1e17, 1e-4, 9.5367431640625e-07, 4503599627370496.5 };
    h_reseed(0);
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) check_double(hard[i]);
    for (int i = 0; i < 20000; i++) {
        const uint64_t u = h_rnd64();
        double x;
        memcpy(&x, &u, 8);
        if (x - x == 0) check_double(x);
    }
    for (int i = 0; i < 50000; i++) {
        char text[PI_NUMBER_TEXT];
        double back = 0;
        const float x = h_float(h_rnd());
        if (!(x - x == 0)) continue;
        const size_t n = pi_number_f32(text, x);
        h_expect(n <= 17 && !pi_number_read(text, n, &back) && h_bits((float)back) == h_bits(x), "%a became '%s'", (double)x,
                 text);
    }
    h_finish();
}
END_TEST

static const struct { float x; const char *text; } shortest[] = {
    { 0.1f, "0.1" }, { 255, "255" }, { 1.0f / 3, "0.33333334" }, { 1e10f, "10000000000" }, { 1e-5f, "1e-5" },
        { 0.0123f, "0.0123" },
    { 1.5e-7f, "1.5e-7" }, { -0.0f, "-0.0" }, { 0, "0" }, { -2.5f, "-2.5" }, { 3.4028235e38f, "3.4028235e38" },
        { 1e-45f, "1e-45" }, { 16777216, "16777216" } };

START_TEST(short_texts)
{
    for (size_t i = 0; i < sizeof shortest / sizeof *shortest; i++) {
        char text[PI_NUMBER_TEXT];
        pi_number_f32(text, shortest[i].x);
        h_expect(!strcmp(text, shortest[i].text), "'%s' should be '%s'", text, shortest[i].text);
    }
    char text[PI_NUMBER_TEXT];
    pi_number_f64(text, __builtin_nan(""));
    h_expect(!strcmp(text, "null"), "NaN is '%s'", text);
    pi_number_f32(text, -__builtin_inff());
    h_expect(!strcmp(text, "null"), "infinity is '%s'", text);
    h_finish();
}
END_TEST

/* What printf writes where the point is a comma, or two bytes. */
START_TEST(other_points)
{
    static const struct { const char *form, *text; } known[] = {
        { "1,25e-02", "0.0125" }, { "-9\xd9\xab" "5e+03", "-9500" }, { "1e+00", "1" }, { "0e+00", "0" }, { "-0,000e+00", "-0.0" },
            { "1,500e-09", "1.5e-9" } };
    char text[PI_NUMBER_TEXT];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        pi_number_layout(text, known[i].form);
        h_expect(!strcmp(text, known[i].text), "'%s' became '%s'", known[i].form, text);
    }
    static const char *const commas[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE" };
    for (size_t i = 0; i < 4; i++) {
        if (!setlocale(LC_NUMERIC, commas[i])) continue;
        h_expect(*localeconv()->decimal_point == ',', "%s has no comma", commas[i]);
        for (size_t k = 0; k < sizeof shortest / sizeof *shortest; k++) {
            pi_number_f32(text, shortest[k].x);
            h_expect(!strcmp(text, shortest[k].text), "%s: '%s' should be '%s'", commas[i], text, shortest[k].text);
        }
        h_reseed(1);
        for (int k = 0; k < 1000; k++) check_double((double)h_unit() / 7);
        setlocale(LC_NUMERIC, "C");
        h_finish();
        return;
    }
    printf("    skipped: numbers under a real locale with a comma (none is installed)\n");
    h_finish();
}
END_TEST

START_TEST(reading)
{
    static const char *const bad[] = { "", "-", ".5", "1.", "+1", "01", "1e", "1e+", "0x10", "nan", "inf", "1,5", "1 ", " 1",
        "1e400", "--1", "1.5.2", "1e5.0" };
    static const struct { const char *text; double x; } good[] = {
        { "0", 0 }, { "-0", -0.0 }, { "12.50", 12.5 }, { "1E3", 1000 }, { "1e-400", 0 }, { "0.1e+1", 1 },
            { "123456789012345678901234567890", 123456789012345678901234567890.0 },
        { "2.2250738585072011e-308", 2.2250738585072011e-308 } };
    double x = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        h_expect(pi_number_read(bad[i], strlen(bad[i]), &x), "'%s' was read as %g", bad[i], x);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        h_expect(!pi_number_read(good[i].text, strlen(good[i].text), &x) && same_double(x, good[i].x), "'%s' was read as %g",
                 good[i].text, x);
    char longest[2000];
    memset(longest, '7', sizeof longest);
    for (size_t n = 1; n < sizeof longest; n++) pi_number_read(longest, n, &x);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("format_number");
    h_add(s, "round trip", round_trip, 1, 20);
    h_add(s, "short texts", short_texts, 1, 5);
    h_add(s, "other decimal points", other_points, 1, 5);
    h_add(s, "reading", reading, 1, 5);
    return s;
}
