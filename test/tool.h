/* Running the command line from a test. Every test gets its own directory in $DIR of the shell, removed at the end. */
#ifndef PI_TEST_TOOL_H
#define PI_TEST_TOOL_H
#include <stdarg.h>
#include <sys/wait.h>
#include "harness.h"

static char t_dir[64];
static char *t_out, *t_err;                         /* of the last command                                       */

static inline void t_start(void)
{
    strcpy(t_dir, "/tmp/precinfer-test-XXXXXX");
    ck_assert(mkdtemp(t_dir) != NULL);
    setenv("DIR", t_dir, 1);
    setenv("TOOL", PI_TOOL, 1);
    setenv("DIGITS", "examples/digits", 1);
}
static inline void t_end(void)
{
    char s[128];
    snprintf(s, sizeof s, "rm -rf '%s'", t_dir);
    ck_assert_int_eq(system(s), 0);
    free(t_out);
    free(t_err);
    t_out = t_err = NULL;
    h_finish();
}
static inline char *t_read(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", t_dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    size_t n = 0, room = 1 << 16;
    char *s = malloc(room);
    for (size_t got; (got = fread(s + n, 1, room - n - 1, f)) > 0;) {
        n += got;
        if (room - n - 1 == 0) s = realloc(s, room *= 2);
    }
    s[n] = 0;
    fclose(f);
    return s;
}
static inline int t_exists(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", t_dir, name);
    return !access(path, F_OK);
}
/* A shell line; "T" at its start is the tool. */
static inline int t_shell(const char *line)
{
    char s[4096];
    snprintf(s, sizeof s, "( %s%s ) >\"$DIR/.out\" 2>\"$DIR/.err\"", line[0] == 'T' && line[1] == ' ' ? "\"$TOOL\"" : "",
             line[0] == 'T' && line[1] == ' ' ? line + 1 : line);
    const int rc = system(s);
    free(t_out);
    free(t_err);
    t_out = t_read(".out");
    t_err = t_read(".err");
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : 1000 + rc;
}
/* One line that begins as promised. */
static inline int t_one_line(void)
{
    const char *end = t_err ? strchr(t_err, '\n') : NULL;
    return end && !end[1] && !strncmp(t_err, "precinfer: ", 11);
}
/* Runs the line and expects the exit code, and with any but 0 one line on stderr. */
static inline void t_run(int code, const char *format, ...)
{
    char line[3000];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    const int got = t_shell(line);
    h_expect(got == code, "%s: exit %d, not %d: %s", line, got, code, t_err ? t_err : "");
    if (code && got == code) h_expect(t_one_line(), "%s: stderr is not one line: %s", line, t_err ? t_err : "");
    if (!code && got == code) h_expect(t_err && !*t_err, "%s: stderr is not empty: %s", line, t_err ? t_err : "");
}
static inline void t_says(const char *what)
{
    h_expect((t_out && strstr(t_out, what)) || (t_err && strstr(t_err, what)), "'%s' is missing in: %.400s%.400s", what,
             t_out ? t_out : "", t_err ? t_err : "");
}
/* Contents of two files in the directory. */
static inline int t_same_files(const char *a, const char *b)
{
    char s[300];
    snprintf(s, sizeof s, "cmp -s '%s/%s' '%s/%s'", t_dir, a, t_dir, b);
    return system(s) == 0;
}
#endif
