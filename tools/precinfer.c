/* precinfer: the command line. */
#include <signal.h>
#include <string.h>
#include "tool.h"

static const struct { const char *name; enum command command; int (*run)(const struct options *o); } commands[] = {
    { "calibrate", CALIBRATE, run_calibrate }, { "convert", CONVERT, run_convert }, { "verify", VERIFY, run_verify },
    { "run", RUN, run_run }, { "explain", EXPLAIN, run_explain }, { "inspect", INSPECT, run_inspect },
        { "bench", BENCH, run_bench }, { "diff", DIFF, run_diff }, { "promote", PROMOTE, run_promote },
};
enum { NCOMMANDS = sizeof commands / sizeof *commands };

const char *command_name(enum command command)
{
    size_t i = 0;
    while (i + 1 < NCOMMANDS && commands[i].command != command) i++;
    return commands[i].name;
}

static int said(void)
{
    if (!fflush(stdout) && !ferror(stdout)) return EXIT_PASS;
    clearerr(stdout);
    return fail(EXIT_BROKEN, "cannot write", "standard output", "writing failed");
}

static int run_command(size_t i, int argc, char **argv)
{
    struct options o;
    int code = parse_options(commands[i].command, argc, argv, &o);
    if (!code && o.help) {
        print_help(stdout, commands[i].command);
        code = said();
    } else if (!code) {
        code = commands[i].run(&o);
        if (!code) code = said();
    }
    free_options(&o);
    return code;
}

int main(int argc, char **argv)
{
    /* A failed write is an exit code, not a death. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (argc < 2) return fail(EXIT_USAGE, "command missing", NULL,
                              "calibrate, convert, verify, run, explain, inspect, bench, diff or promote; --help tells more");
    for (int i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--help")) { print_help(stdout, 0); return said(); }
        if (!strcmp(argv[i], "--version")) { printf("precinfer %s\n", precinfer_version()); return said(); }
    }
    for (size_t i = 0; i < NCOMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name)) continue;
        for (int k = 2; k < argc; k++)
            if (!strcmp(argv[k], "--version")) { printf("precinfer %s\n", precinfer_version()); return said(); }
        return run_command(i, argc - 2, argv + 2);
    }
    return fail(EXIT_USAGE, argv[1][0] == '-' ? "unknown option" : "unknown command", argv[1],
                "calibrate, convert, verify, run, explain, inspect, bench, diff or promote; --help tells more");
}
