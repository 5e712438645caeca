/* Aligned tables of plain text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tool.h"

void table_start(struct table *t, const char *heads)
{
    *t = (struct table){ .heads = heads, .columns = 1 };
    for (const char *s = heads; *s; s++) t->columns += *s == '|';
}

static char *format_cell(const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    char *s = n < 0 ? NULL : malloc((size_t)n + 1);
    if (s) vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    for (char *c = s; c && *c; c++) if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
    return s;
}

void table_cell(struct table *t, const char *format, ...)
{
    if (t->rows == t->room) {
        const size_t room = t->room ? 2 * t->room : 64;
        char **more = realloc(t->cells, room * sizeof *more);
        if (!more) { t->failed = 1; return; }
        t->cells = more;
        t->room = room;
    }
    va_list args;
    va_start(args, format);
    t->cells[t->rows] = format_cell(format, args);
    va_end(args);
    if (t->cells[t->rows]) t->rows++;
    else t->failed = 1;
}

/* Columns are as wide as characters, not bytes. */
static size_t width(const char *s, size_t n)
{
    size_t w = 0;
    for (size_t i = 0; i < n; i++) w += ((unsigned char)s[i] & 0xc0) != 0x80;
    return w;
}

static void put(FILE *to, const char *s, size_t n, size_t wide, int right, int last)
{
    const size_t have = width(s, n), pad = wide > have ? wide - have : 0;
    if (right) fprintf(to, "%*s", (int)pad, "");
    fwrite(s, 1, n, to);
    if (!right && !last) fprintf(to, "%*s", (int)pad, "");
    fputs(last ? "\n" : "  ", to);
}

enum { MOST_COLUMNS = 16 };

void table_print(struct table *t, FILE *to)
{
    const char *head[MOST_COLUMNS];
    size_t length[MOST_COLUMNS], wide[MOST_COLUMNS] = { 0 }, c = 0;
    int right[MOST_COLUMNS];
    for (const char *s = t->heads; c < t->columns && c < MOST_COLUMNS; c++) {
        right[c] = *s == '>';
        head[c] = s + right[c];
        length[c] = strcspn(head[c], "|");
        wide[c] = width(head[c], length[c]);
        s = head[c] + length[c] + 1;
    }
    for (size_t i = 0; i < t->rows; i++) {
        const size_t w = width(t->cells[i], strlen(t->cells[i]));
        if (w > wide[i % t->columns]) wide[i % t->columns] = w;
    }
    for (c = 0; c < t->columns; c++) put(to, head[c], length[c], wide[c], right[c], c + 1 == t->columns);
    for (size_t i = 0; i < t->rows; i++) {
        c = i % t->columns;
        put(to, t->cells[i], strlen(t->cells[i]), wide[c], right[c], c + 1 == t->columns);
        free(t->cells[i]);
    }
    if (t->failed) fputs("(the rest is missing: out of memory)\n", to);
    free(t->cells);
    *t = (struct table){ 0 };
}

static int is_stdout(const char *path)
{
    return path && (!strcmp(path, "/dev/stdout") || !strcmp(path, "/dev/fd/1") || !strcmp(path, "/proc/self/fd/1"));
}

FILE *text_out(const struct options *o)
{
    int taken = o->json && (!strcmp(o->json, "-") || is_stdout(o->json));
    taken |= is_stdout(o->output) || is_stdout(o->recipe_out);
    for (size_t i = 0; i < o->outputs.n; i++) taken |= strstr(o->outputs.items[i], "/dev/stdout") != NULL;
    return taken ? stderr : stdout;
}

int flush_text(const struct options *o)
{
    if (text_out(o) != stdout) return 0;
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout)) return 0;
    const char *why = errno ? strerror(errno) : "writing failed";
    clearerr(stdout);
    return fail(EXIT_BROKEN, "cannot write", "standard output", "%s", why);
}
