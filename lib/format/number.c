/* printf and strtod take the decimal point from the process's locale, which is the host's and may change at any time.
 * So neither is shown one: printf's is skipped, and strtod reads digits and an exponent only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "number.h"

/* value = 0.DIGITS * 10^exponent, without leading or trailing zeros; no digits: zero. */
struct decimal { int negative, n, exponent; char digits[24]; };

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static void split(struct decimal *d, const char *s)
{
    *d = (struct decimal){ 0 };
    if (*s == '-') { d->negative = 1; s++; }
    for (; *s && *s != 'e'; s++)
        if (is_digit(*s) && (d->n || *s != '0') && d->n < (int)sizeof d->digits) d->digits[d->n++] = *s;
    while (d->n && d->digits[d->n - 1] == '0') d->n--;
    int e = 0, negative = 0;
    if (*s == 'e') s++;
    for (; *s; s++) {
        if (*s == '-') negative = 1;
        else if (is_digit(*s) && e < 10000) e = e * 10 + (*s - '0');
    }
    d->exponent = (negative ? -e : e) + 1;
}

static size_t put(char *text, size_t at, const char *s, int n)
{
    memcpy(text + at, s, (size_t)n);
    return at + (size_t)n;
}

static size_t lay_out(char *text, const struct decimal *d)
{
    static const char zeros[] = "0000000000000000";
    size_t at = 0;
    if (d->negative) text[at++] = '-';
    if (!d->n) {
        at = put(text, at, d->negative ? "0.0" : "0", d->negative ? 3 : 1);     /* readers take -0 for the integer 0 */
    } else if (d->exponent > 0 && d->exponent <= 16) {
        const int whole = d->n < d->exponent ? d->n : d->exponent;
        at = put(text, at, d->digits, whole);
        at = put(text, at, zeros, d->exponent - whole);
        if (d->n > whole) { text[at++] = '.'; at = put(text, at, d->digits + whole, d->n - whole); }
    } else if (d->exponent <= 0 && d->exponent > -4) {
        at = put(text, at, "0.", 2);
        at = put(text, at, zeros, -d->exponent);
        at = put(text, at, d->digits, d->n);
    } else {
        text[at++] = d->digits[0];
        if (d->n > 1) { text[at++] = '.'; at = put(text, at, d->digits + 1, d->n - 1); }
        at += (size_t)snprintf(text + at, PI_NUMBER_TEXT - at, "e%d", d->exponent - 1);
    }
    text[at] = 0;
    return at;
}

size_t pi_number_layout(char text[PI_NUMBER_TEXT], const char *e_form)
{
    struct decimal d;
    split(&d, e_form);
    if (d.n > 17) d.n = 17;
    return lay_out(text, &d);
}

static double value(const struct decimal *d)
{
    char s[64];
    if (!d->n) return d->negative ? -0.0 : 0.0;
    snprintf(s, sizeof s, "%s%.*se%d", d->negative ? "-" : "", d->n, d->digits, d->exponent - d->n);
    return strtod(s, NULL);
}

/* Most scales have few digits, so the search for the shortest text starts at one digit. */
static size_t shortest(char *text, double x, int most, int as_float)
{
    struct decimal d;
    char s[64];
    for (int digits = 1; digits <= most; digits++) {
        snprintf(s, sizeof s, "%.*e", digits - 1, x);
        split(&d, s);
        const double back = value(&d);
        if (as_float ? (float)back == (float)x : back == x) break;
    }
    return lay_out(text, &d);
}

static size_t none(char *text) { return (size_t)snprintf(text, PI_NUMBER_TEXT, "null"); }

size_t pi_number_f64(char text[PI_NUMBER_TEXT], double x) { return x - x == 0 ? shortest(text, x, 17, 0) : none(text); }

size_t pi_number_f32(char text[PI_NUMBER_TEXT], float x) { return x - x == 0 ? shortest(text, x, 9, 1) : none(text); }

/* The digits and the exponent of a JSON number without its point, into out; 0 when it is none. */
static size_t without_point(const char *s, size_t n, char *out, size_t room)
{
    size_t i = 0, at = 0;
    long exponent = 0, written = 0;
    if (i < n && s[i] == '-') out[at++] = s[i++];
    if (i >= n || !is_digit(s[i]) || (s[i] == '0' && i + 1 < n && is_digit(s[i + 1]))) return 0;
    for (int fraction = 0; i < n; i++) {
        if (s[i] == '.' && !fraction && i + 1 < n && is_digit(s[i + 1])) { fraction = 1; continue; }
        if (!is_digit(s[i])) break;
        if (at + 32 > room) return 0;
        out[at++] = s[i];
        exponent -= fraction;
    }
    if (i < n && (s[i] == 'e' || s[i] == 'E')) {
        const int negative = i + 1 < n && s[i + 1] == '-';
        i += 1 + (i + 1 < n && (s[i + 1] == '-' || s[i + 1] == '+'));
        if (i >= n || !is_digit(s[i])) return 0;
        for (; i < n && is_digit(s[i]); i++) if (written < 100000) written = written * 10 + (s[i] - '0');
        exponent += negative ? -written : written;
    }
    if (i < n) return 0;
    return at + (size_t)snprintf(out + at, room - at, "e%ld", exponent);
}

int pi_number_read(const char *s, size_t n, double *x)
{
    char text[1024];
    if (!without_point(s, n, text, sizeof text)) return 1;
    *x = strtod(text, NULL);
    return !(*x - *x == 0);
}
