/* Text that grows, and what HTML and XML make of names. */
#include <stdlib.h>
#include <string.h>
#include "tool.h"

void text_put(struct text *t, const char *s, size_t n)
{
    if (t->failed) return;
    if (n > t->room - t->n) {
        size_t room = t->room ? t->room : 1 << 14;
        while (room - t->n < n) room *= 2;
        char *more = realloc(t->s, room);
        if (!more) { t->failed = 1; return; }
        t->s = more;
        t->room = room;
    }
    memcpy(t->s + t->n, s, n);
    t->n += n;
}

void text_add(struct text *t, const char *s) { text_put(t, s, strlen(s)); }

void text_print(struct text *t, const char *format, ...)
{
    char s[1024];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(s, sizeof s, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof s) t->failed = 1;
    else text_put(t, s, (size_t)n);
}

/* Neither XML nor HTML has words for most control characters: they are shown as C writes them. */
void text_escape(struct text *t, const char *s)
{
    for (const unsigned char *c = (const unsigned char *)s; *c;) {
        const size_t n = utf8_length(c);
        const int noncharacter = n == 3 && c[0] == 0xef && c[1] == 0xbf && c[2] >= 0xbe;
        if (!n || noncharacter) text_add(t, "\xef\xbf\xbd");
        else if (*c == '&') text_add(t, "&amp;");
        else if (*c == '<') text_add(t, "&lt;");
        else if (*c == '>') text_add(t, "&gt;");
        else if (*c == '"') text_add(t, "&quot;");
        else if (*c == '\'') text_add(t, "&#39;");
        else if (*c == '\t' || *c == '\n' || *c == '\r') text_print(t, "&#%d;", *c);
        else if (*c < 0x20 || *c == 0x7f) text_print(t, "\\x%02x", *c);
        else text_put(t, (const char *)c, n);
        c += n ? n : 1;
    }
}

int text_write(struct text *t, precinfer_context *ctx, const char *what, const char *path)
{
    struct precinfer_error err;
    int code = 0;
    if (t->failed) code = fail(EXIT_BROKEN, what, path, "out of memory");
    else if (precinfer_file_write(ctx, path, t->s, t->n, &err)) code = fail_output(&err, what, path);
    free(t->s);
    *t = (struct text){ 0 };
    return code;
}

void text_base64(struct text *t, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        const unsigned b = (unsigned)bytes[i] << 16 | (i + 1 < n ? (unsigned)bytes[i + 1] << 8 : 0) | (i + 2 < n ? bytes[i + 2]
                : 0);
        const char four[4] = { digits[b >> 18], digits[b >> 12 & 63], i + 1 < n ? digits[b >> 6 & 63] : '=',
                               i + 2 < n ? digits[b & 63] : '=' };
        text_put(t, four, 4);
    }
}
