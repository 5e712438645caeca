/* Files: read whole, written so that a target is either the old file or the new one. */
#include "harness.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "../lib/format/file.h"

static char root[32];
static struct precinfer_error err;

static const char *in_root(const char *name)
{
    static char path[4][320];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

static void make(const char *name, const char *content)
{
    FILE *f = fopen(in_root(name), "wb");
    ck_assert(f != NULL);
    fputs(content, f);
    fclose(f);
}

/* Files in the directory. */
static int entries(void)
{
    DIR *d = opendir(root);
    int n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void content_is(const char *path, const char *want)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    const int status = pi_file_read(&pi_default_allocator, path, &bytes, &size, &err);
    h_expect(!status && size == strlen(want) && !memcmp(bytes, want, size), "%s holds something else: %s", path,
             status ? err.text : "");
    if (!status)
        pi_free(&pi_default_allocator, bytes);
}

static void setup(void)
{
    strcpy(root, "/tmp/pi-file-XXXXXX");
    ck_assert(mkdtemp(root) != NULL);
}

static void teardown(void)
{
    DIR *d = opendir(root);
    for (const struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            unlink(in_root(e->d_name));
    closedir(d);
    rmdir(root);
}

START_TEST(reading)
{
    unsigned char *bytes;
    size_t size;
    uint64_t total;
    char part[4];
    make("a", "0123456789");
    make("empty", "");
    content_is(in_root("a"), "0123456789");
    content_is(in_root("empty"), "");
    h_expect(pi_file_read(&pi_default_allocator, in_root("none"), &bytes, &size, &err) == PRECINFER_NOT_FOUND &&
             strstr(err.text, "/none"),
             "%s", err.text);
    h_expect(pi_file_read(&pi_default_allocator, root, &bytes, &size, &err) == PRECINFER_IO && strstr(err.text, root), "%s",
             err.text);
    h_expect(!pi_file_read_part(in_root("a"), 6, 4, part, &total, &err) && total == 10 && !memcmp(part, "6789", 4), "a part");
    h_expect(pi_file_read_part(in_root("a"), 7, 4, part, &total, &err) == PRECINFER_MALFORMED && total == 10, "past the end");
    h_expect(pi_file_read_part(in_root("a"), UINT64_MAX, 4, part, &total, &err) == PRECINFER_MALFORMED, "an offset that wraps");
    /* A pipe of more than the first block. */
    int fd[2];
    char path[32];
    static char much[50000];
    memset(much, 'x', sizeof much);
    ck_assert(!pipe(fd));
    ck_assert(write(fd[1], much, sizeof much) == sizeof much);
    close(fd[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", fd[0]);
    h_expect(!pi_file_read(&pi_default_allocator, path, &bytes, &size, &err) && size == sizeof much &&
             !memcmp(bytes, much, size), "a pipe");
    pi_free(&pi_default_allocator, bytes);
    close(fd[0]);
    h_finish();
}
END_TEST

START_TEST(writing)
{
    struct stat st;
    h_expect(!pi_file_write(&pi_default_allocator, in_root("new"), "abc", 3, &err), "%s", err.text);
    content_is(in_root("new"), "abc");
    chmod(in_root("new"), 0640);
    h_expect(!pi_file_write(&pi_default_allocator, in_root("new"), "defg", 4, &err), "%s", err.text);
    content_is(in_root("new"), "defg");
    h_expect(!stat(in_root("new"), &st) && (st.st_mode & 07777) == 0640, "the mode of a replaced file is %o",
             (unsigned)st.st_mode);
    h_expect(entries() == 1, "%d files", entries());
    /* A link stays a link. */
    ck_assert(!symlink("new", in_root("link")));
    h_expect(!pi_file_write(&pi_default_allocator, in_root("link"), "hi", 2, &err), "%s", err.text);
    content_is(in_root("new"), "hi");
    h_expect(!lstat(in_root("link"), &st) && S_ISLNK(st.st_mode), "the link is gone");
    h_expect(entries() == 2, "%d files", entries());
    /* What is dropped leaves nothing, and the old file as it was. */
    struct pi_file f;
    h_expect(!pi_file_open(&pi_default_allocator, in_root("new"), &f, &err) && !pi_file_put(&f, "bad", 3, &err), "%s", err.text);
    content_is(in_root("new"), "hi");
    pi_file_drop(&f);
    pi_file_drop(&f);
    content_is(in_root("new"), "hi");
    h_expect(entries() == 2, "%d files", entries());
    h_expect(pi_file_write(&pi_default_allocator, in_root("no/such"), "x", 1, &err) == PRECINFER_IO &&
             strstr(err.text, "no/such"), "%s", err.text);
    h_expect(pi_file_write(&pi_default_allocator, root, "x", 1, &err) == PRECINFER_IO && strstr(err.text, root), "%s", err.text);
    h_finish();
}
END_TEST

START_TEST(in_place)
{
    int fd[2];
    char path[32], got[8] = "";
    ck_assert(!pipe(fd));
    snprintf(path, sizeof path, "/dev/fd/%d", fd[1]);
    h_expect(!pi_file_write(&pi_default_allocator, path, "abc", 3, &err), "%s", err.text);
    h_expect(read(fd[0], got, 3) == 3 && !strcmp(got, "abc"), "a pipe got '%s'", got);
    close(fd[0]);
    close(fd[1]);
    h_expect(!pi_file_write(&pi_default_allocator, "/dev/null", "abc", 3, &err), "%s", err.text);
    struct stat st;
    h_expect(!stat("/dev/null", &st) && S_ISCHR(st.st_mode), "/dev/null was replaced");
    h_expect(pi_file_write(&pi_default_allocator, "/dev/full", "abc", 3, &err) == PRECINFER_IO &&
             strstr(err.text, "/dev/full: cannot write"),
             "%s", err.text);
    h_finish();
}
END_TEST

START_TEST(no_memory)
{
    for (long n = 1;; n++) {
        struct h_host h = {.fail_at = n};
        const struct pi_allocator a = {&h, h_alloc, h_release};
        const int status = pi_file_write(&a, in_root("new"), "abc", 3, &err);
        h_expect(status == (h.failed ? PRECINFER_NO_MEMORY : PRECINFER_OK), "allocation %ld: %d", n, status);
        h_expect(h.live == 0, "allocation %ld: %ld blocks leaked", n, (long)h.live);
        h_expect(entries() == !h.failed, "allocation %ld: %d files", n, entries());
        if (!h.failed)
            break;
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("format_file");
    const struct { const char *name; const TTest *test; } tests[] = {
        {"reading", reading}, {"writing", writing}, {"in place", in_place}, {"out of memory", no_memory}
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        TCase *c = tcase_create(tests[i].name);
        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, tests[i].test);
        suite_add_tcase(s, c);
    }
    return s;
}
