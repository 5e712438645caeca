#include "error.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A control character of one byte, or of two: UTF-8 writes C1, which terminals obey too, as C2 80 .. C2 9F. */
static size_t control(const unsigned char *s)
{
    if (s[0] < 0x20 || s[0] == 0x7f) return 1;
    return s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f ? 2 : 0;
}

/* A cut may have split a character of UTF-8: what is left of it goes. */
static void drop_split(unsigned char *s, size_t n)
{
    size_t tail = 0;
    while (tail < 3 && tail < n && (s[n - 1 - tail] & 0xc0) == 0x80) tail++;
    if (tail == n) return;
    const unsigned char lead = s[n - 1 - tail];
    const size_t follow = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    if (follow > tail) s[n - 1 - tail] = 0;
}

void pi_clean_text(char *text, size_t size)
{
    unsigned char *s = (unsigned char *)text;
    size_t n = 0;
    for (; s[n]; n++)
        for (size_t i = control(s + n); i > 0; i--) s[n + i - 1] = ' ';
    if (n + 1 == size) drop_split(s, n);
}

int pi_fail(struct precinfer_error *err, enum precinfer_status status, const char *format, ...)
{
    if (!err) return status;
    char text[PRECINFER_ERROR_TEXT];    /* the arguments may point into *err */
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) text[0] = 0;
    pi_clean_text(text, sizeof text);
    err->status = status;
    memcpy(err->text, text, sizeof text);
    return status;
}

int pi_prefix(struct precinfer_error *err, int status, const char *format, ...)
{
    if (!err) return status;
    char text[PRECINFER_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) n = 0;
    size_t at = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    at += (size_t)snprintf(text + at, sizeof text - at, ": ");
    if (at < sizeof text) {             /* what does not fit is cut at the end */
        const size_t room = sizeof text - 1 - at, have = strlen(err->text);
        memcpy(text + at, err->text, have < room ? have : room);
        text[at + (have < room ? have : room)] = 0;
    }
    pi_clean_text(text, sizeof text);
    memcpy(err->text, text, sizeof text);
    if (!err->status) err->status = (enum precinfer_status)status;
    return err->status;
}
