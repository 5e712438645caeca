/* Words: errors, sizes, times. The tool never calls setlocale, so printf's decimal point is a point. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tool.h"

void print_clean(FILE *out, const char *s)
{
    for (; *s; s++) fputc((unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s, out);
}
static void put_clean(const char *s) { print_clean(stderr, s); }

int fail(int code, const char *what, const char *where, const char *why, ...)
{
    char text[1024];
    va_list args;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    fflush(stdout);
    fputs("precinfer: ", stderr);
    put_clean(what);
    fputs(", ", stderr);
    put_clean(where ? where : code == EXIT_USAGE ? "command line" : "this process");
    fputs(", ", stderr);
    put_clean(text);
    fputc('\n', stderr);
    return code;
}

/* The library names the file too, where it has one. */
static const char *without(const char *text, const char *where)
{
    const size_t n = where ? strlen(where) : 0;
    if (n && !strncmp(text, where, n) && !strncmp(text + n, ": ", 2)) return text + n + 2;
    if (n && text[0] == '\'' && !strncmp(text + 1, where, n) && !strncmp(text + 1 + n, "': ", 3)) return text + n + 4;
    return text;
}

int fail_input(const struct precinfer_error *err, const char *what, const char *where)
{
    return fail(err->status == PRECINFER_NO_MEMORY ? EXIT_BROKEN : EXIT_USAGE, what, where, "%s", without(err->text, where));
}

int fail_output(const struct precinfer_error *err, const char *what, const char *where)
{
    const int broke = err->status == PRECINFER_NO_MEMORY || err->status == PRECINFER_IO || err->status == PRECINFER_NOT_FOUND;
    return fail(broke ? EXIT_BROKEN : EXIT_USAGE, what, where, "%s", without(err->text, where));
}

void *need(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p) fail(EXIT_BROKEN, "out of memory", NULL, "%zu times %zu bytes", n, size);
    return p;
}

const char *hash_text(uint64_t hash, char s[17])
{
    snprintf(s, 17, "%016llx", (unsigned long long)hash);
    return s;
}

const char *dims_text(int rank, const int64_t *dims, const char *const *symbols, char *s, size_t n)
{
    size_t at = 0;
    s[0] = 0;
    if (!rank) snprintf(s, n, "scalar");
    for (int i = 0; i < rank && at < n; i++) {
        const char *x = i ? "x" : "";
        if (dims[i] >= 0) at += (size_t)snprintf(s + at, n - at, "%s%lld", x, (long long)dims[i]);
        else at += (size_t)snprintf(s + at, n - at, "%s%s", x, symbols && symbols[i] ? symbols[i] : "?");
    }
    return s;
}

static const char *scaled(double x, const double *steps, const char *const *units, int n, char s[32])
{
    int i = 0;
    while (i + 1 < n && x >= steps[i + 1]) i++;
    const double y = x / steps[i];
    snprintf(s, 32, "%.*f %s", i == 0 && y == (double)(int64_t)y ? 0 : y < 10 ? 2 : y < 100 ? 1 : 0, y, units[i]);
    return s;
}

const char *time_text(double ns, char s[32])
{
    static const double steps[] = { 1, 1e3, 1e6, 1e9 };
    static const char *const units[] = { "ns", "us", "ms", "s" };
    return scaled(ns, steps, units, 4, s);
}

const char *bytes_text(double bytes, char s[32])
{
    static const double steps[] = { 1, 1024, 1048576, 1073741824 };
    static const char *const units[] = { "B", "KiB", "MiB", "GiB" };
    return scaled(bytes, steps, units, 4, s);
}

const char *pre_text(const struct precinfer_preprocessing *p, char *s, size_t n)
{
    static const char *const layouts[] = { "the model's", "nchw", "nhwc" };
    size_t at = 0;
    if (!p->given) {
        snprintf(s, n, "none");
        return s;
    }
    at += (size_t)snprintf(s, n, "divide %g", (double)p->divide);
    for (int what = 0; what < 2 && p->channels > 0; what++)
        for (int i = 0; i < p->channels && at < n; i++)
            at += (size_t)snprintf(s + at, n - at, "%s%g", i ? "," : what ? ", std " : ", mean ",
                                   (double)(what ? p->std[i] : p->mean[i]));
    if (at < n) snprintf(s + at, n - at, ", layout %s", layouts[(unsigned)p->layout % 3]);
    return s;
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    const size_t n = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : 0;
    for (size_t i = 1; i < n; i++) if ((s[i] & 0xc0) != 0x80) return 0;
    if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))) return 0;
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))) return 0;
    return n;
}
