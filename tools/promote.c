/* precinfer promote: versions of a plan in a directory that servers read.
 *
 *   DIR/7/model.precinfer report.json    a version: made as DIR/.promote-<pid>, flushed, renamed: it is whole or not there
 *   DIR/6.rolled-back/                   one that was left by a rollback; its number is never used again
 *   DIR/current -> 7                     renamed over; after a promote it is the highest number
 *   DIR/.rollback -> 7                   a rollback from 7 is under way: who finds it completes it
 *
 * One process at a time holds DIR's lock. Where a file system has none, renaming onto a version that is there fails, and the
 * next number is taken. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tool.h"

enum { MOST_DIGITS = 15, LINK = 32 };
#define LEFT ".rolled-back"
#define TEMPORARY ".promote-"
struct store { const char *path; int dir, locked; };

static int broken(const struct store *s, const char *name)
{
    const int error = errno;
    char where[1024];
    snprintf(where, sizeof where, "%s/%s", s->path, name);
    return fail(EXIT_BROKEN, "cannot write", where, "%s", strerror(error));
}

/* ------------------------------------------------------------------------------------------------ what is there */

/* 7 of "7" with rest "", or of "7.rolled-back"; 0: no version. */
static uint64_t version_of(const char *name, const char *rest)
{
    uint64_t v = 0;
    const size_t digits = strspn(name, "0123456789");
    if (!digits || digits > MOST_DIGITS || name[0] == '0' || strcmp(name + digits, rest)) return 0;
    for (size_t i = 0; i < digits; i++) v = 10 * v + (uint64_t)(name[i] - '0');
    return v;
}

/* The version that a link names, 0 without one. */
static int read_link(const struct store *s, const char *name, uint64_t *version)
{
    char text[LINK] = "";
    *version = 0;
    const ssize_t n = readlinkat(s->dir, name, text, sizeof text - 1);
    if (n < 0 && errno == ENOENT) return 0;
    if (n > 0) text[n] = 0;
    *version = n > 0 ? version_of(text, "") : 0;
    if (*version) return 0;
    return fail(EXIT_USAGE, "not a directory of versions", s->path, n < 0 && errno == EINVAL
                ? "'%s' is there and is no symbolic link"
                : "the link '%s' names no version", name);
}

/* The highest numbered version below `limit`; ever: rolled back ones and what current names count too. */
static int highest(const struct store *s, uint64_t limit, int ever, uint64_t *version)
{
    const int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    *version = 0;
    if (!d) return broken(s, "");
    if (ever) {
        const int code = read_link(s, "current", version);
        if (code) { closedir(d); return code; }
    }
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        uint64_t v = version_of(e->d_name, "");
        if (!v && ever) v = version_of(e->d_name, LEFT);
        if (v < limit && v > *version) *version = v;
    }
    closedir(d);
    return 0;
}

static int exists(const struct store *s, const char *name)
{
    struct stat st;
    return !fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW);
}

/* ------------------------------------------------------------------------------------------------ steps */

static const char *number(uint64_t v, const char *rest, char s[LINK])
{
    snprintf(s, LINK, "%llu%s", (unsigned long long)v, rest);
    return s;
}

static int flush(const struct store *s) { return fsync(s->dir) ? broken(s, "") : 0; }

static int point(const struct store *s, const char *link, uint64_t version)
{
    char temporary[LINK], target[LINK];
    snprintf(temporary, sizeof temporary, ".link-%ld", (long)getpid());
    number(version, "", target);
    unlinkat(s->dir, temporary, 0);
    if (symlinkat(target, s->dir, temporary)) return broken(s, temporary);
    if (!renameat(s->dir, temporary, s->dir, link)) return flush(s);
    const int code = broken(s, link);
    unlinkat(s->dir, temporary, 0);
    return code;
}

/* Without a lock two may be at it: current ends at the highest whoever comes last. */
static int point_at_highest(const struct store *s)
{
    for (uint64_t now = 0, top;;) {
        int code = highest(s, UINT64_MAX, 0, &top);
        if (code || now == top) return code;
        code = point(s, "current", now = top);
        if (code) return code;
    }
}

static int leave(const struct store *s, uint64_t from, uint64_t below)
{
    char name[LINK], left[LINK];
    int code = point(s, "current", below);
    if (code) return code;
    if (exists(s, number(from, "", name)) && renameat(s->dir, name, s->dir, number(from, LEFT, left))) return broken(s, left);
    code = flush(s);
    if (code) return code;
    return unlinkat(s->dir, ".rollback", 0) ? broken(s, ".rollback") : flush(s);
}

static void remove_temporary(const struct store *s, const char *name)
{
    const int fd = openat(s->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) return;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) unlinkat(fd, e->d_name, 0);
    closedir(d);
    unlinkat(s->dir, name, AT_REMOVEDIR);
}

/* What a process that died left: *back is the version that its rollback left, 0 without one. */
static int complete(const struct store *s, uint64_t *back)
{
    uint64_t below = 0;
    int code = read_link(s, ".rollback", back);
    if (!code && *back) code = highest(s, *back, 0, &below);
    if (!code && *back && !below) {                 /* the version below is gone: there is nothing to go back to any more */
        *back = 0;
        code = unlinkat(s->dir, ".rollback", 0) ? broken(s, ".rollback") : 0;
    } else if (!code && *back) code = leave(s, *back, below);
    if (code || !s->locked) return code;
    const int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) return broken(s, "");
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!strncmp(e->d_name, TEMPORARY, sizeof TEMPORARY - 1)) remove_temporary(s, e->d_name);
        if (!strncmp(e->d_name, ".link-", 6)) unlinkat(s->dir, e->d_name, 0);
    }
    closedir(d);
    return 0;
}

static int open_store(const char *path, struct store *s)
{
    *s = (struct store){ .path = path, .dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
    if (s->dir < 0) return fail(EXIT_BROKEN, "cannot write", path, "%s", strerror(errno));
    while (!(s->locked = !flock(s->dir, LOCK_EX)) && errno == EINTR) ;
    uint64_t current;
    const int code = read_link(s, "current", &current);
    if (code) close(s->dir);
    return code;
}

/* ------------------------------------------------------------------------------------------------ a version's files */

static int copy_bytes(int from, int to, const char *path, const char *target)
{
    static char block[1 << 16];
    for (;;) {
        const ssize_t n = read(from, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(EXIT_USAGE, "cannot read", path, "%s", strerror(errno));
        if (!n) return fsync(to) ? fail(EXIT_BROKEN, "cannot write", target, "%s", strerror(errno)) : 0;
        for (ssize_t at = 0, done; at < n; at += done)
            if ((done = write(to, block + at, (size_t)(n - at))) <= 0) {
                if (done < 0 && errno == EINTR) { done = 0; continue; }
                return fail(EXIT_BROKEN, "cannot write", target, "%s", strerror(errno));
            }
    }
}

static int copy_file(const char *path, const char *target)
{
    const int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0) return fail(EXIT_USAGE, "cannot open", path, "%s", strerror(errno));
    const int to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int code = to < 0 ? fail(EXIT_BROKEN, "cannot write", target, "%s", strerror(errno)) : copy_bytes(from, to, path, target);
    if (to >= 0 && close(to) && !code) code = fail(EXIT_BROKEN, "cannot write", target, "%s", strerror(errno));
    close(from);
    return code;
}

static int same_hash(const struct options *o, const struct old_report *r, const char *key, uint64_t want)
{
    char s[17];
    const char *have = report_string(r, key);
    hash_text(want, s);
    if (have && !strcmp(have, s)) return 0;
    return fail(EXIT_USAGE, "the report is of another plan", o->report, "its %s is %s, that of %s is %s", key,
                have ? have : "missing", o->files.items[0], s);
}

static int check_plan(const struct options *o, precinfer_context *ctx, const char *path, const struct old_report *r,
                      struct model *m)
{
    struct precinfer_plan_info p;
    int code = load_model(ctx, path, m);
    if (!code && !m->plan) code = fail(EXIT_USAGE, "cannot load the plan", path, "it is a model; promote takes a plan");
    if (code || precinfer_plan_info(m->plan, &p)) return code;
    code = same_hash(o, r, "plan_hash", p.plan_hash);
    if (!code) code = same_hash(o, r, "recipe_hash", p.recipe_hash);
    return code ? code : same_hash(o, r, "model_hash", p.model_hash);
}

static int check_report(const struct options *o, const struct old_report *r)
{
    const char *verdict = report_string(r, "verdict");
    if (report_true(r, "recorded"))
        return fail(EXIT_USAGE, "cannot promote", o->report, "it is of recorded outputs: nothing says that this plan made them");
    if (!report_string(r, "data_hash"))
        return fail(EXIT_USAGE, "cannot promote", o->report, "it is of a conversion that nothing was verified in");
    const char *budget = report_contradiction(r);
    if (budget) return fail(EXIT_USAGE, "the report contradicts itself", o->report, "its verdict is '%s', but not that of '%s'", verdict, budget);
    if (!strcmp(verdict, "pass")) return 0;
    if (!strcmp(verdict, "fail")) return fail(EXIT_FAILED, "the plan failed", o->report, "its verdict is 'fail'");
    if (!strcmp(verdict, "not enough samples"))
        return fail(EXIT_UNDECIDED, "not enough samples", o->report, "its verdict is 'not enough samples'");
    return fail(EXIT_USAGE, "cannot promote", o->report, "its verdict is '%s': nothing was asked of the plan", verdict);
}

/* Into the directory `to`: the plan (without the mark of a rejected one) and its report, flushed. */
static int write_version(const struct options *o, precinfer_context *ctx, const struct model *m, const struct old_report *r,
                         const char *to)
{
    struct precinfer_error err;
    struct precinfer_plan_info info;
    struct model again = { 0 };
    const size_t room = strlen(to) + 32;
    char *path = need(room, 1);
    if (!path) return EXIT_BROKEN;
    snprintf(path, room, "%s/model.precinfer", to);
    precinfer_plan_info(m->plan, &info);
    int code = !info.rejected ? copy_file(o->files.items[0], path)
        : precinfer_plan_save(m->plan, path, 0, &err) ? fail_output(&err, "cannot write the plan", path) : 0;
    if (!code) code = check_plan(o, ctx, path, r, &again);          /* what was written, not what was read before */
    free_model(&again);
    snprintf(path, room, "%s/report.json", to);
    if (!code) code = copy_file(o->report, path);
    free(path);
    if (code) return code;
    const int fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd)) code = fail(EXIT_BROKEN, "cannot write", to, "%s", strerror(errno));
    if (fd >= 0) close(fd);
    return code;
}

/* ------------------------------------------------------------------------------------------------ commands */

static int say(const struct options *o, precinfer_context *ctx, uint64_t version, uint64_t other)
{
    struct json j;
    FILE *out = text_out(o);
    if (o->rollback) fprintf(out, "%s: rolled back from %llu, current is %llu\n", o->to, (unsigned long long)other,
                             (unsigned long long)version);
    else fprintf(out, "%s/%llu: promoted, and current (%s%.0llu)\n", o->to, (unsigned long long)version,
                 other ? "before: " : "the first", (unsigned long long)other);
    int code = flush_text(o);
    if (code || !o->json) return code;
    json_begin(&j, o);
    json_string(&j, "directory", o->to);
    json_size(&j, "version", version);
    if (other) json_size(&j, o->rollback ? "rolled_back" : "previous", other);
    return json_write(&j, ctx, o);
}

static int put_version(const struct store *s, const char *temporary, uint64_t *version)
{
    char name[LINK];
    int code = highest(s, UINT64_MAX, 1, version);
    if (code) return code;
    while (renameat(s->dir, temporary, s->dir, number(++*version, "", name)))
        if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) return broken(s, name);
    return flush(s);
}

static int promote_to(const struct options *o, precinfer_context *ctx, const struct store *s, const struct model *m,
                      const struct old_report *r)
{
    uint64_t back, before, version = 0;
    char temporary[LINK];
    int code = complete(s, &back);
    if (!code) code = read_link(s, "current", &before);
    if (code) return code;
    snprintf(temporary, sizeof temporary, TEMPORARY "%ld", (long)getpid());
    if (mkdirat(s->dir, temporary, 0777)) return broken(s, temporary);
    const size_t room = strlen(o->to) + sizeof temporary + 2;
    char *to = need(room, 1);
    if (to) snprintf(to, room, "%s/%s", o->to, temporary);
    code = to ? write_version(o, ctx, m, r, to) : EXIT_BROKEN;
    free(to);
    if (!code) code = put_version(s, temporary, &version);
    if (code) { remove_temporary(s, temporary); return code; }
    code = point_at_highest(s);
    return code ? code : say(o, ctx, version, before);
}

static int promote(const struct options *o, precinfer_context *ctx)
{
    struct old_report r;
    struct model m = { 0 };
    struct store s;
    int code = report_open(o->report, &r);
    if (code) return code;
    code = check_report(o, &r);
    if (!code) code = check_plan(o, ctx, o->files.items[0], &r, &m);
    if (!code) code = open_store(o->to, &s);
    if (!code) {
        code = promote_to(o, ctx, &s, &m, &r);
        close(s.dir);
    }
    free_model(&m);
    report_close(&r);
    return code;
}

static int rollback_in(const struct options *o, precinfer_context *ctx, const struct store *s)
{
    uint64_t from, below;
    int code = complete(s, &from);
    if (!code && from) code = highest(s, from, 0, &below);
    if (!code && from) return say(o, ctx, below, from);             /* the one that was asked for before, and died */
    if (!code) code = highest(s, UINT64_MAX, 0, &from);             /* above current: a promote that died before its last step */
    if (!code) code = highest(s, from, 0, &below);
    if (!code && !below) code = fail(EXIT_USAGE, "nothing to roll back to", o->to, from ? "version %llu is the only one"
                                     : "there is no version", (unsigned long long)from);
    if (!code) code = point(s, ".rollback", from);
    if (!code) code = leave(s, from, below);
    return code ? code : say(o, ctx, below, from);
}

static int roll_back(const struct options *o, precinfer_context *ctx)
{
    struct store s;
    int code = open_store(o->to, &s);
    if (code) return code;
    code = rollback_in(o, ctx, &s);
    close(s.dir);
    return code;
}

int run_promote(const struct options *o)
{
    precinfer_context *ctx;
    if (!o->to) return fail(EXIT_USAGE, "promote wants a directory", "--to", "the versions need a place");
    if (o->rollback && (o->files.n || o->report))
        return fail(EXIT_USAGE, "option without use", o->files.n ? o->files.items[0] : "--report", "a rollback takes --to alone");
    if (!o->rollback && o->files.n != 1)
        return fail(EXIT_USAGE, "promote wants one plan", NULL, "%zu files are given", o->files.n);
    if (!o->rollback && !o->report) return fail(EXIT_USAGE, "report missing", "--report",
                                                "a plan is promoted on what verify said of it");
    int code = check_target(o->json);
    if (!code) code = open_context(o, 1, &ctx);
    if (code) return code;
    code = o->rollback ? roll_back(o, ctx) : promote(o, ctx);
    close_context(ctx);
    return code;
}
