/* --labels: a row for each sample of the data set. Classes, targets, and columns of strings by which a policy slices or
 * clusters; from .npy, .npz or .csv. Rows are found by the sample's index, so --skip and --split keep them aligned. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

static char *copy_text(const char *s)
{
    char *copy = need(strlen(s) + 1, 1);
    return copy ? strcpy(copy, s) : NULL;
}

static struct column *add_column(struct labels *l, const char *name)
{
    struct column *more = realloc(l->columns, (l->ncolumns + 1) * sizeof *more);
    if (!more) { fail(EXIT_BROKEN, "out of memory", l->path, "reading its columns"); return NULL; }
    l->columns = more;
    struct column *c = &more[l->ncolumns];
    *c = (struct column){ .name = copy_text(name), .cells = need(l->rows + 1, sizeof *c->cells) };
    l->ncolumns++;
    return c->name && c->cells ? c : NULL;
}

/* ------------------------------------------------------------------------------------------------ arrays */

static int take_classes(struct labels *l, const struct precinfer_tensor *t)
{
    const size_t n = elements_of(t);
    l->classes = need(n + 1, sizeof *l->classes);
    if (!l->classes) return EXIT_BROKEN;
    l->per_row = l->rows ? n / l->rows : 1;
    for (size_t i = 0; i < n; i++)
        if (integer_at(t, i, &l->classes[i]))
            return fail(EXIT_USAGE, "cannot use the labels", l->path, "the label of row %zu is beyond 63 bits", i / l->per_row);
    return 0;
}

/* The target is a copy in the tool's own memory, so that a context may go before it. */
static int take_target(struct labels *l, const struct precinfer_tensor *t)
{
    const size_t bytes = elements_of(t) * precinfer_dtype_size(t->dtype);
    l->target = *t;
    l->target.data = need(bytes + 1, 1);
    if (!l->target.data) return EXIT_BROKEN;
    if (bytes) memcpy(l->target.data, t->data, bytes);
    return 0;
}

static int take_rows(struct labels *l, const char *key, const struct precinfer_tensor *t)
{
    const size_t rows = t->rank ? (size_t)t->dims[0] : 0;
    if (!t->rank) return fail(EXIT_USAGE, "cannot use the labels", l->path, "%s%s%s is one number, not a row a sample",
                              *key ? "key '" : "the array", key, *key ? "'" : "");
    if (l->rows_known && rows != l->rows) return fail(EXIT_USAGE, "cannot use the labels", l->path,
                                                      "key '%s' has %zu rows, the key before it %zu", key, rows, l->rows);
    l->rows = rows;
    l->rows_known = 1;
    return 0;
}

static int take_numbers(struct labels *l, const char *key, const struct precinfer_tensor *t)
{
    char text[40];
    if (t->rank != 1 && !(t->rank == 2 && t->dims[1] == 1))
        return fail(EXIT_USAGE, "cannot use the labels", l->path, "column '%s' has %d dimensions: one value a sample is wanted",
                    key,
                    t->rank);
    struct column *c = add_column(l, key);
    if (!c) return EXIT_BROKEN;
    for (size_t i = 0; i < l->rows; i++) {
        int64_t x = 0;
        if (is_integer_type(t->dtype) && !integer_at(t, i, &x)) snprintf(text, sizeof text, "%lld", (long long)x);
        else if (is_integer_type(t->dtype)) snprintf(text, sizeof text, "%llu",
                                                     (unsigned long long)((const uint64_t *)t->data)[i]);
        else shortest_text(double_at(t, i), text, sizeof text);
        if (!(c->cells[i] = copy_text(text))) return EXIT_BROKEN;
    }
    return 0;
}

/* A .npy file: integers are classes, and a target too for whom wants one. */
int label_array(struct labels *l, const char *key, const struct precinfer_tensor *t)
{
    const int is_class = !strcmp(key, "label"), is_target = !strcmp(key, "target"), alone = !*key;
    int code = take_rows(l, key, t);
    if (code) return code;
    if (!alone && !is_class && !is_target) return take_numbers(l, key, t);
    if (is_class && !is_integer_type(t->dtype)) return fail(EXIT_USAGE, "cannot use the labels", l->path,
                                                       "key 'label': labels are integers, not %s; numbers to come near are"
                                                       " 'target'",
                                                       precinfer_dtype_string(t->dtype));
    if ((is_class || alone) && is_integer_type(t->dtype)) code = take_classes(l, t);
    return code || is_class ? code : take_target(l, t);
}

static int read_arrays(precinfer_context *ctx, struct labels *l)
{
    struct precinfer_error err;
    precinfer_arrays *a;
    if (precinfer_arrays_open(ctx, l->path, &a, &err)) return fail_input(&err, "cannot use the labels", l->path);
    int code = 0;
    for (size_t i = 0; i < precinfer_arrays_count(a) && !code; i++) {
        const char *name;
        struct precinfer_tensor t;
        precinfer_arrays_info(a, i, &name, &t);
        if (precinfer_arrays_load(a, i, &t, &err)) { code = fail_input(&err, "cannot use the labels", l->path); break; }
        code = label_array(l, name, &t);
        precinfer_array_free(ctx, &t);
    }
    precinfer_arrays_free(a);
    return code;
}

/* ------------------------------------------------------------------------------------------------ .csv */

/* A cursor over the text, which fields are unquoted in. line: of the row's start, counted from 1. */
struct csv { char *at, *end; size_t line, now; const char *path; };

static int bad_line(const struct csv *c, size_t line, const char *why)
{
    return fail(EXIT_USAGE, "cannot use the labels", c->path, "line %zu: %s", line, why);
}

static int quoted(struct csv *c, char **field)
{
    char *to = *field = ++c->at;
    for (;;) {
        if (c->at == c->end) return bad_line(c, c->line, "a quote that does not end");
        if (*c->at == '"' && (c->at + 1 == c->end || c->at[1] != '"')) break;
        if (*c->at == '"') c->at++;
        if (*c->at == '\n') c->now++;
        *to++ = *c->at++;
    }
    c->at++;
    if (c->at < c->end && *c->at != ',' && *c->at != '\n' && *c->at != '\r')
        return bad_line(c, c->now, "something follows a closing quote");
    *to = 0;
    return 0;
}

/* The next field, ended by a zero byte; *last: of its row. A byte after the text is there to be written. */
static int next_field(struct csv *c, char **field, int *last)
{
    char *stop = c->at;
    if (c->at < c->end && *c->at == '"') {
        const int code = quoted(c, field);
        if (code) return code;
        stop = c->at;
    } else {
        *field = c->at;
        while (stop < c->end && *stop != ',' && *stop != '\n' && *stop != '\r') {
            if (*stop == '"') return bad_line(c, c->now, "a quote within a field that does not begin with one");
            stop++;
        }
    }
    c->at = stop;
    if (stop < c->end && *stop == ',') { *c->at++ = 0; *last = 0; return 0; }
    *last = 1;
    if (c->at < c->end && *c->at == '\r') {
        *c->at++ = 0;
        if (c->at < c->end && *c->at != '\n') return bad_line(c, c->now, "a carriage return that no newline follows");
    }
    if (c->at < c->end) { *c->at++ = 0; c->now++; } else *c->end = 0;
    return 0;
}

static int add_field(char ***fields, size_t *n, char *field)
{
    char **more = realloc(*fields, (*n + 1) * sizeof *more);
    if (!more) return fail(EXIT_BROKEN, "out of memory", NULL, "reading labels");
    *fields = more;
    more[(*n)++] = field;
    return 0;
}

static int read_row(struct csv *c, char ***fields, size_t *n)
{
    int last = 0;
    *n = 0;
    c->line = c->now;
    while (!last) {
        char *field;
        int code = next_field(c, &field, &last);
        if (!code) code = add_field(fields, n, field);
        if (code) return code;
    }
    return 0;
}

static const char *without_blanks(char *s)
{
    while (*s == ' ' || *s == '\t') s++;
    size_t n = strlen(s);
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t')) s[--n] = 0;
    return s;
}

/* A cell of `label` or `target` where those are columns. */
static int take_number(const struct csv *c, struct labels *l, int is_class, char *cell, size_t row)
{
    const char *s = without_blanks(cell);
    char *stop;
    errno = 0;
    if (is_class) l->classes[row] = strtoll(s, &stop, 10);
    else ((double *)l->target.data)[row] = strtod(s, &stop);
    if (*s && !*stop && (!errno || !is_class)) return 0;
    return fail(EXIT_USAGE, "cannot use the labels", c->path, "line %zu, column '%s': '%s' is no %s", c->line,
                is_class ? "label" : "target", s, is_class ? "whole number" : "number");
}

/* Rows have to be counted before there is a place for them: fields are kept as they come. */
struct sheet { char **cells; size_t ncells, columns; size_t *lines, rows; };

static int read_sheet(struct csv *c, struct sheet *s, char ***head)
{
    char **row = NULL;
    size_t n = 0;
    int code = c->at == c->end ? bad_line(c, 1, "the file is empty; a header is wanted") : read_row(c, head, &s->columns);
    while (!code && c->at < c->end) {
        code = read_row(c, &row, &n);
        if (!code && n != s->columns)
            code = fail(EXIT_USAGE, "cannot use the labels", c->path, "line %zu: %zu fields, the header has %zu", c->line, n,
                        s->columns);
        if (code) break;
        if (!(s->rows & (s->rows + 1))) {           /* room doubles */
            const size_t room = 2 * (s->rows + 1);
            char **cells = realloc(s->cells, room * s->columns * sizeof *cells);
            if (cells) s->cells = cells;
            size_t *lines = cells ? realloc(s->lines, room * sizeof *lines) : NULL;
            if (!lines) { code = fail(EXIT_BROKEN, "out of memory", c->path, "reading labels"); break; }
            s->lines = lines;
        }
        memcpy(s->cells + s->rows * s->columns, row, n * sizeof *row);
        s->lines[s->rows++] = c->line;
    }
    free(row);
    return code;
}

static int check_head(const struct csv *c, char **head, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!*without_blanks(head[i])) return fail(EXIT_USAGE, "cannot use the labels", c->path,
                                                   "line 1: column %zu has no name", i + 1);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(without_blanks(head[i]), without_blanks(head[k])))
                return fail(EXIT_USAGE, "cannot use the labels", c->path, "line 1: column '%s' stands there twice", head[i]);
    }
    return 0;
}

static int take_sheet(struct csv *c, struct labels *l, const struct sheet *s, char **head)
{
    int code = check_head(c, head, s->columns);
    l->rows = s->rows;
    for (size_t k = 0; k < s->columns && !code; k++) {
        const char *name = without_blanks(head[k]);
        const int is_class = !strcmp(name, "label"), is_target = !strcmp(name, "target");
        struct column *column = NULL;
        if (is_class && !(l->classes = need(s->rows + 1, sizeof *l->classes))) return EXIT_BROKEN;
        if (is_target) l->target = (struct precinfer_tensor){ .dtype = PRECINFER_F64, .rank = 1, .dims = { (int64_t)s->rows },
                                                              .data = need(s->rows + 1, sizeof(double)) };
        if (is_target && !l->target.data) return EXIT_BROKEN;
        if (!is_class && !is_target && !(column = add_column(l, name))) return EXIT_BROKEN;
        for (size_t i = 0; i < s->rows && !code; i++) {
            char *cell = s->cells[i * s->columns + k];
            c->line = s->lines[i];
            if (!column) code = take_number(c, l, is_class, cell, i);
            else if (!(column->cells[i] = copy_text(cell))) code = EXIT_BROKEN;
        }
    }
    l->per_row = 1;
    return code;
}

static char *whole_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *s = NULL;
    size_t room = 0;
    *n = 0;
    if (!f) { fail(EXIT_USAGE, "cannot open", path, "%s", strerror(errno)); return NULL; }
    do {
        if (*n + 1 >= room) {
            room = room ? 2 * room : 1 << 16;
            char *more = realloc(s, room);
            if (!more) { free(s); fclose(f); fail(EXIT_BROKEN, "out of memory", path, "reading it"); return NULL; }
            s = more;
        }
        const size_t got = fread(s + *n, 1, room - *n - 1, f);
        if (!got) break;
        *n += got;
    } while (1);
    const int bad = ferror(f);
    fclose(f);
    if (bad) { free(s); fail(EXIT_USAGE, "cannot read", path, "%s", strerror(errno)); return NULL; }
    s[*n] = 0;
    return s;
}

static int read_csv(struct labels *l)
{
    size_t n;
    char *text = whole_file(l->path, &n), **head = NULL;
    if (!text) return EXIT_USAGE;
    struct sheet s = { 0 };
    struct csv c = { text, text + n, 1, 1, l->path };
    if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) c.at += 3;
    int code = memchr(text, 0, n) ? fail(EXIT_USAGE, "cannot use the labels", l->path, "it is neither .npy, .npz nor text")
        : read_sheet(&c, &s, &head);
    if (!code) code = take_sheet(&c, l, &s, head);
    free(head);
    free(s.cells);
    free(s.lines);
    free(text);
    return code;
}

/* ------------------------------------------------------------------------------------------------ interface */

int load_labels(precinfer_context *ctx, const char *path, struct labels *l)
{
    enum kind kind;
    *l = (struct labels){ .path = path, .per_row = 1 };
    const size_t n = strlen(path);
    const int csv = n > 4 && !strcmp(path + n - 4, ".csv");
    int code = csv ? 0 : kind_of(path, &kind);
    if (!code && !csv && kind != KIND_NPY && kind != KIND_NPZ)
        code = fail(EXIT_USAGE, "cannot use the labels", path, "it is neither .npy, .npz nor .csv");
    if (!code) code = csv ? read_csv(l) : read_arrays(ctx, l);
    if (code) free_labels(l);
    return code;
}

void free_labels(struct labels *l)
{
    for (size_t k = 0; k < l->ncolumns; k++) {
        for (size_t i = 0; l->columns[k].cells && i < l->rows; i++) free(l->columns[k].cells[i]);
        free(l->columns[k].cells);
        free(l->columns[k].name);
    }
    free(l->columns);
    free(l->classes);
    free(l->target.data);
    *l = (struct labels){ 0 };
}

char *const *label_column(const struct labels *l, const char *name)
{
    for (size_t k = 0; k < l->ncolumns; k++) if (!strcmp(l->columns[k].name, name)) return l->columns[k].cells;
    return NULL;
}

/* Which columns there are, for an error: "'user', 'country'". */
const char *label_columns(const struct labels *l, char *s, size_t room)
{
    size_t at = 0;
    snprintf(s, room, "none");
    for (size_t k = 0; k < l->ncolumns && at + 1 < room; k++) {
        const int n = snprintf(s + at, room - at, "%s'%s'", k ? ", " : "", l->columns[k].name);
        if (n > 0) at += (size_t)n;
    }
    return s;
}
