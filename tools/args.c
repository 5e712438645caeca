/* Options: one table for all commands. What is wrong is said in one line and is exit 2. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

enum { ANY = CALIBRATE | CONVERT | VERIFY | RUN | EXPLAIN | INSPECT | BENCH | DIFF | PROMOTE,
       DATA = CALIBRATE | CONVERT | VERIFY | RUN | DIFF, GATED = CONVERT | VERIFY, TIMED = CONVERT | VERIFY | BENCH };
enum how { PATH, TEXT, COUNT, FLAG, MANY, SHARE, DROP, PRECISIONS, NUMBER, NUMBERS, LAYOUT, SPLIT, HELP };
struct option { const char *name; enum how how; unsigned commands; size_t at; unsigned bit; const char *value, *help; };
#define AT(member) offsetof(struct options, member)

static const struct option table[] = {
    { "--data", PATH, CALIBRATE | VERIFY | DIFF, AT(data), 0, "X",
      ".npy, .npz (keys are input names, `label`: labels) or a directory of either" },
    { "-o", PATH, CALIBRATE | CONVERT, AT(output), 0, "FILE", "where the result goes" },
    { "--precision", PRECISIONS, CONVERT | EXPLAIN | BENCH, AT(precisions), 0, "P",
      "f32, bf16 or int8; bench: several, separated by commas" },
    { "--recipe", PATH, CONVERT, AT(recipe), 0, "R.json", "instead of --precision: what each node computes in" },
    { "--stats", PATH, CONVERT | EXPLAIN | BENCH | DIFF, AT(stats), 0, "MODEL.stats", "what calibrate wrote" },
    { "--calibrate", PATH, CONVERT, AT(calibrate), 0, "X", "calibrate on this data now" },
    { "--samples", COUNT, CALIBRATE | CONVERT | DIFF, AT(samples), 0, "N",
      "calibrate on (diff: compare on) the first N samples" },
    { "--recipe-out", PATH, CONVERT | DIFF, AT(recipe_out), 0, "R.json", "write the recipe, whatever the verdict" },
    { "--record", PATH, DIFF, AT(record), 0, "FILE", "write every tensor of the one plan or model that is given" },
    { "--minimal-set", FLAG, DIFF, AT(minimal_set), 0, NULL,
      "look for the fewest layers whose return to f32 meets the limits" },
    { "--strict", FLAG, CONVERT, AT(strict), 0, NULL, "fail if a layer with weights ran in another precision than asked" },
    { "--verify", PATH, CONVERT, AT(verify), 0, "X", "compare with the f32 model on this data" },
    { "--reference", PATH, VERIFY, AT(reference), 0, "MODEL.onnx", "the f32 model; with --candidate: its recorded outputs" },
    { "--candidate", PATH, VERIFY, AT(candidate), 0, "X", "instead of a plan: outputs that any runtime recorded" },
    { "--map", MANY, VERIFY, AT(maps), 0, "A=B", "the candidate's recorded output A is the reference's B" },
    { "--labels", PATH, GATED | DIFF, AT(labels), 0, "Y",
      ".npy (integers: classes; others: targets), .npz or .csv (label, target, columns), a row a sample" },
    { "--policy", PATH, GATED | DIFF, AT(policy), 0, "P.json", "the budgets, or preset:NAME" },
    { "--html", PATH, GATED, AT(html), 0, "R.html", "the report as one page that needs nothing else" },
    { "--junit", PATH, GATED, AT(junit), 0, "R.xml", "the report as JUnit XML: a test case a budget and slice" },
    { "--continue", PATH, VERIFY, AT(resume), 0, "R.json", "go on from this report of the same policy with new samples" },
    { "--split", SPLIT, CALIBRATE | CONVERT | VERIFY | DIFF, AT(split), 0, "C,T,V",
      "cut the data by hash: 50,25,25 calibrates on half, tunes and verifies on a quarter each" },
    { "--skip", COUNT, GATED | DIFF, AT(skip), 0, "N", "leave out the first N samples of the data that is verified" },
    { "--judge", TEXT, GATED | DIFF, AT(judge), 0, "NAME", "the output that is judged (the first)" },
    { "--min-agreement", SHARE, GATED | DIFF, AT(min_agreement), 0, "A", "share of samples with the same top-1, 0 to 1" },
    { "--max-drop", DROP, GATED | DIFF, AT(drop_points), 0, "D",
      "accuracy that may be lost: 0.5pt in points, 0.5%rel of the reference's" },
    { "--allow-overlap", FLAG, GATED | DIFF, AT(allow_overlap), 0, NULL, "count samples that calibration saw" },
    { "--keep-rejected", FLAG, CONVERT, AT(keep_rejected), 0, NULL, "write a plan that did not pass to OUT.rejected" },
    { "--input", MANY, RUN, AT(inputs), 0, "[NAME=]X.npy", "once an input; without NAME: the first not yet named" },
    { "--output", MANY, RUN, AT(outputs), 0, "[NAME=]Y.npy", "likewise" },
    { "--force", FLAG, RUN | BENCH, AT(force), 0, NULL, "take a plan that is marked as rejected" },
    { "--report", PATH, PROMOTE, AT(report), 0, "R.json", "what verify said of this plan" },
    { "--to", PATH, PROMOTE, AT(to), 0, "DIR", "where the versions lie" },
    { "--rollback", FLAG, PROMOTE, AT(rollback), 0, NULL, "back to the version below" },
    { "--cpu", TEXT, EXPLAIN, AT(cpu), 0, "NAME", "speak for another CPU; `help` lists them" },
    { "--batch", COUNT, DATA | BENCH, AT(batch), 0, "N", "samples a run along the model's symbolic first dimension" },
    { "--runs", COUNT, TIMED, AT(runs), 0, "N", "of each latency (enough for a 2% interval on the median, at most 10 s)" },
    { "--divide", NUMBER, DATA, AT(pre), PRE_DIVIDE, "D", "raw data: (x / D - mean) / std" },
    { "--mean", NUMBERS, DATA, AT(pre), PRE_MEAN, "m,m,m", "one, or one a channel" },
    { "--std", NUMBERS, DATA, AT(pre), PRE_STD, "s,s,s", "likewise" },
    { "--layout", LAYOUT, DATA, AT(pre), PRE_LAYOUT, "nhwc|nchw", "of the raw data" },
    { "--raw", FLAG, DATA, AT(raw), 0, NULL, "arrays of the model's own type are raw too" },
    { "--threads", COUNT, ANY, AT(threads), 0, "N", "(1)" },
    { "--cpu-mask", TEXT, ANY, AT(cpu_mask), 0, "LIST", "folders of kernels/ that may be used, separated by commas" },
    { "--shape", MANY, ANY, AT(shape_texts), 0, "NAME=1,128", "an input's shape, for what the data cannot tell" },
    { "--json", PATH, ANY, AT(json), 0, "FILE|-", "the result as JSON; - sends the table to stderr" },
    { "--quiet", FLAG, ANY, AT(quiet), 0, NULL, "no progress" },
    { "--help", HELP, ANY, AT(help), 0, NULL, NULL },
};
enum { NTABLE = sizeof table / sizeof *table };

/* ------------------------------------------------------------------------------------------------ help */

static const struct { enum command command; const char *usage, *text; } pages[] = {
    { CALIBRATE, "calibrate MODEL.onnx --data X [--samples N] [--split C,T,V] -o MODEL.stats",
      "Runs the f32 model over the data and records the range of every value.\n"
      "--split cuts one set in three by each sample's hash (its inputs as the model sees them), the same whatever the order;"
      " calibrate takes\n"
      "the first part, a search the second, verify the third. --samples and --skip count within the part." },
    { CONVERT, "convert MODEL.onnx -o OUT.precinfer --precision f32|bf16|int8 | --recipe R.json\n"
               "          [--stats MODEL.stats | --calibrate X [--samples N]] [--recipe-out R.json] [--strict]\n"
               "          [--verify X [--labels Y] [--skip N] [--judge NAME] [--policy P.json] [--min-agreement A] [--max-drop"
               " D]\n"
               "          [--allow-overlap] [--html R.html] [--junit R.xml]] [--split C,T,V] [--keep-rejected]",
      "Compiles a plan; with --verify compares it with the f32 model. OUT is written only when it passed (exit 0)." },
    { VERIFY, "verify OUT.precinfer --reference MODEL.onnx --data X [--labels Y] [--policy P.json] [--continue R.json]\n"
              "          [--split C,T,V] [--skip N] [--judge NAME] [--min-agreement A] [--max-drop D] [--allow-overlap]\n"
              "          [--html R.html] [--junit R.xml]\n"
              "       precinfer verify --candidate X.npz --reference Y.npz [--labels Y] [--map A=B ...] ...",
      "Compares a plan with the f32 model, or what one runtime recorded with what another did: .npz (keys are output names),"
      " .npy, or a\n"
      "directory of .npy. There the key `label` may hold classes, `id` names samples, and keys that the policy's score and error"
      " budgets\n"
      "name hold a figure a sample.\n"
      "A policy is judged by confidence sequences, which hold however often one looks: when samples are not enough, collect"
      " more and\n"
      "--continue; or by its own `n`, fixed beforehand. --min-agreement and --max-drop alone are judged by Clopper-Pearson"
      " bounds: agreement\n"
      "one-sided at 95%; drop by 97.5% bounds of the samples that only one of the two has right. They are bounds for one look"
      " at data\n"
      "whose size was not chosen by looking: do not add samples until it passes. Flags and policy together: all must hold." },
    { DIFF, "diff A B --data X [--samples N] [--stats S] [--policy P.json | --min-agreement A | --max-drop D] [--labels Y]\n"
            "          [--minimal-set [--recipe-out R.json]]\n"
            "       precinfer diff A --data X --record FILE",
      "Layer by layer: A (the candidate) against B (the reference), each a plan, a model (run in f32), a directory with one .npy"
      " a tensor or a\n"
      ".npz (named by the tensors), or a file that --record wrote, on another machine perhaps. Two recordings need no --data.\n"
      "own: the error of this layer alone, its inputs exact; inherited: what comes in with them; excess: how much better the"
      " layer would do\n"
      "with ranges from --stats (else from the first 256 samples). The worst excess is to blame, not the worst layer: healthy"
      " ones differ by\n"
      "more than 10 dB. Exit 0 whatever differs; with limits the verdict's, as in verify.\n"
      "--minimal-set needs limits, a plan and its model: every set it tries is compiled and verified over the data, which then"
      " is no data to\n"
      "verify on (verify refuses it); with --split it takes the second part." },
    { PROMOTE, "promote OUT.precinfer --report R.json --to DIR\n"
               "       precinfer promote --rollback --to DIR",
      "Puts a plan that passed into DIR/<version>/ as model.precinfer with its report.json, and points the symbolic link"
      " DIR/current at it.\n"
      "The version is the next integer above any there, rolled back ones too. A report that failed is exit 1, one that was"
      " undecided 3; one\n"
      "without limits, of recorded outputs, or whose hashes are not the plan's is 2. --rollback points current at the version"
      " below and\n"
      "renames the one it leaves to <version>.rolled-back, so that servers that take the highest number go back too. What was"
      " interrupted\n"
      "is completed by the next promote or rollback: nobody ever sees half a version." },
    { RUN, "run MODEL.onnx|OUT.precinfer --input [NAME=]X.npy ... --output [NAME=]Y.npy ... [--batch N] [--force]",
      "Without --batch the arrays are one run, or one a fixed batch of the model." },
    { EXPLAIN, "explain MODEL.onnx|OUT.precinfer [--precision P] [--stats S] [--cpu NAME]",
      "Every candidate kernel of every layer with its estimated time, or why it was refused." },
    { INSPECT, "inspect FILE", "What a model, plan, statistics file, recipe or array holds." },
    { BENCH, "bench MODEL.onnx|OUT.precinfer ... [--precision P,P] [--stats S] [--batch N] [--force]",
      "Latencies on seeded noise, all results in turn. Each layer stands beside its bound, the larger of two times:"
      " multiply-adds over the\n"
      "rate of precinfer_gemm at 384 x 384 x 384 in the layer's types (measured at the start, all threads), and bytes of"
      " inputs, weights and\n"
      "output over the bandwidth of copying blocks that fit the cache level they would fill, or memory. The limiter says"
      " which." },
};
enum { NPAGES = sizeof pages / sizeof *pages };

void print_help(FILE *to, enum command command)
{
    if (!command) fprintf(to, "precinfer %s: mixed-precision inference that can prove its speed and its accuracy\n\n",
                          precinfer_version());
    for (size_t i = 0; i < NPAGES; i++)
        if (!command || pages[i].command == command) fprintf(to, "%sprecinfer %s\n%s%s", command ? "usage: " : "    ",
                                                             pages[i].usage,
                                                             command ? "\n" : "", command ? pages[i].text : "");
    if (!command) {
        fputs("\nprecinfer COMMAND --help tells more; --version the version.\n"
              "exit: 0 pass or done; 1 a gate failed; 2 usage or input; 3 not enough samples; 4 the run broke\n", to);
        return;
    }
    fputs("\n\n", to);
    for (int i = 0; i < NTABLE; i++) {
        char left[64];
        if (!(table[i].commands & command) || !table[i].help) continue;
        snprintf(left, sizeof left, "%s %s", table[i].name, table[i].value ? table[i].value : "");
        fprintf(to, "  %-26s %s\n", left, table[i].help);
    }
}

/* ------------------------------------------------------------------------------------------------ values */

static int wrong(const char *flag, const char *value, const char *why) { return fail(EXIT_USAGE, "wrong value", flag, "'%s' %s",
    value, why); }

static int read_count(const char *flag, const char *s, size_t *n)
{
    size_t x = 0;
    if (!*s) return wrong(flag, s, "is no whole number");
    for (const char *c = s; *c; c++) {
        if (*c < '0' || *c > '9') return wrong(flag, s, "is no whole number");
        if (x > (SIZE_MAX / 2 - 9) / 10) return wrong(flag, s, "is too large");
        x = x * 10 + (size_t)(*c - '0');
    }
    *n = x;
    return 0;
}

/* A plain decimal number up to `end`: no hexadecimal, no nan, no inf. */
static int read_number(const char *s, const char *end, double *x)
{
    char text[64], *stop;
    const size_t n = (size_t)(end - s);
    if (!n || n >= sizeof text || strspn(s, "+-.0123456789eE") < n) return 1;
    memcpy(text, s, n);
    text[n] = 0;
    *x = strtod(text, &stop);
    return *stop || !(*x - *x == 0);
}

static int read_numbers(const char *flag, const char *s, float *x, int *count)
{
    for (*count = 0;; s++) {
        const char *end = s + strcspn(s, ",");
        double v;
        if (*count == 16) return wrong(flag, s, "is more than 16 numbers");
        if (read_number(s, end, &v)) return wrong(flag, s, "is no number, or numbers separated by commas");
        x[(*count)++] = (float)v;
        if (!(x[*count - 1] - x[*count - 1] == 0)) return wrong(flag, s, "is beyond float");
        if (!*(s = end)) return 0;
    }
}

static int read_drop(const char *flag, const char *s, struct options *o)
{
    const size_t n = strlen(s);
    const int points = n > 2 && !strcmp(s + n - 2, "pt"), relative = n > 4 && !strcmp(s + n - 4, "%rel");
    double x;
    if (n && s[n - 1] == '%')
        return wrong(flag, s,
                     "could mean two things: say 0.5pt for points of accuracy or 0.5%rel for a share of the reference's"
                     " accuracy");
    if (!points && !relative)
        return wrong(flag, s, "needs its unit: 0.5pt (points of accuracy) or 0.5%rel (of the reference's accuracy)");
    if (read_number(s, s + n - (points ? 2 : 4), &x)) return wrong(flag, s, "is no number before its unit");
    if (x < 0 || x > 100) return wrong(flag, s, "is not within 0 and 100");
    if (points) o->drop_points = x / 100;
    else o->drop_relative = x / 100;
    return 0;
}

static int read_split(const char *flag, const char *s, struct options *o)
{
    for (int i = 0; i < 3; i++) {
        const size_t n = strcspn(s, ",");
        char text[16];
        if (n >= sizeof text || !n || (i < 2) != (s[n] == ',')) return wrong(flag, s, "is not three numbers, as in 50,25,25");
        memcpy(text, s, n);
        text[n] = 0;
        const int code = read_count(flag, text, &o->split[i]);
        if (code) return code;
        if (o->split[i] > 1000000) return wrong(flag, text, "is more than 1000000");
        s += n + (i < 2);
    }
    return o->split[0] + o->split[1] + o->split[2] ? 0 : wrong(flag, "0,0,0", "leaves nothing");
}

static int read_precisions(const char *flag, const char *s, struct options *o)
{
    for (o->nprecisions = 0;;) {
        const size_t n = strcspn(s, ",");
        int p = 0;
        while (p < 3 && (strlen(precinfer_precision_string((enum precinfer_precision)p)) != n
                         || memcmp(precinfer_precision_string((enum precinfer_precision)p), s, n))) p++;
        if (p == 3) return wrong(flag, s, "is none of f32, bf16, int8");
        for (size_t i = 0; i < o->nprecisions; i++) if ((int)o->precisions[i] == p) return wrong(flag, s, "stands there twice");
        o->precisions[o->nprecisions++] = (enum precinfer_precision)p;
        if (!s[n]) break;
        s += n + 1;
    }
    if (o->nprecisions > 1 && o->command != BENCH) return wrong(flag, s, "is one of several: only bench takes more than one");
    return 0;
}

static int read_preprocessing(const struct option *t, const char *s, struct options *o)
{
    struct precinfer_preprocessing *p = &o->pre;
    double x;
    int n;
    switch (t->bit) {
    case PRE_DIVIDE:
        if (read_number(s, s + strlen(s), &x) || !((float)x > 0) || !((float)x - (float)x == 0))
            return wrong(t->name, s, "is no number above 0");
        p->divide = (float)x;
        break;
    case PRE_MEAN: case PRE_STD: {
        float *to = t->bit == PRE_MEAN ? p->mean : p->std;
        int code = read_numbers(t->name, s, to, &n);
        if (code) return code;
        for (int i = 0; t->bit == PRE_STD && i < n; i++) if (!(to[i] > 0))
            return wrong(t->name, s, "has one that is not above 0");
        const int other = p->channels;
        if (n > 1 && other > 1 && n != other) return wrong(t->name, s, "is not as many numbers as the other of --mean and --std");
        float *pad = t->bit == PRE_MEAN ? p->std : p->mean;
        if (n < other) for (int i = 1; i < other; i++) to[i] = to[0];
        if (n > other) for (int i = other ? 1 : 0; i < n; i++) pad[i] = other ? pad[0] : t->bit == PRE_MEAN ? 1 : 0;
        if (n > other) p->channels = n;
        break;
    }
    default:
        if (strcmp(s, "nhwc") && strcmp(s, "nchw")) return wrong(t->name, s, "is neither nhwc nor nchw");
        p->layout = *(s + 1) == 'h' ? PRECINFER_NHWC : PRECINFER_NCHW;
    }
    p->given = 1;
    o->pre_flags |= t->bit;
    return 0;
}

static int add(struct list *l, const char *s)
{
    const char **more = realloc(l->items, (l->n + 1) * sizeof *more);
    if (!more) return fail(EXIT_BROKEN, "out of memory", NULL, "reading the command line");
    l->items = more;
    l->items[l->n++] = s;
    return 0;
}

static int take(const struct option *t, const char *s, struct options *o)
{
    void *at = (char *)o + t->at;
    switch (t->how) {
    case FLAG: case HELP: *(int *)at = 1; return 0;
    case PATH: case TEXT:
        if (!*s) return wrong(t->name, s, "is empty");
        *(const char **)at = s;
        return 0;
    case MANY: return *s ? add(at, s) : wrong(t->name, s, "is empty");
    case COUNT: {
        const int code = read_count(t->name, s, at);
        if (!code && !*(size_t *)at && strcmp(t->name, "--skip")) return wrong(t->name, s, "must be at least 1");
        return code;
    }
    case SHARE:
        if (read_number(s, s + strlen(s), at)) return wrong(t->name, s,
                                                            s[0] && s[strlen(s) - 1] == '%' ? "is no share: 99% is 0.99"
                                                                : "is no number");
        return *(double *)at >= 0 && *(double *)at <= 1 ? 0 : wrong(t->name, s, "is not within 0 and 1");
    case DROP: return read_drop(t->name, s, o);
    case SPLIT: return read_split(t->name, s, o);
    case PRECISIONS: return read_precisions(t->name, s, o);
    case NUMBER: case NUMBERS: case LAYOUT: return read_preprocessing(t, s, o);
    }
    return 0;
}

/* NAME=1,128: a name may hold '=' itself, so the last one counts. */
static int read_shape(const char *s, struct precinfer_shape *shape, char *name)
{
    const char *eq = strrchr(s, '=');
    if (!eq || eq == s) return fail(EXIT_USAGE, "wrong value", "--shape", "'%s' is not NAME=1,128", s);
    memcpy(name, s, (size_t)(eq - s));
    name[eq - s] = 0;
    *shape = (struct precinfer_shape){ .input = name };
    for (const char *p = eq + 1;;) {
        const size_t n = strcspn(p, ",");
        char text[32];
        size_t x = 0;
        if (shape->rank == PRECINFER_MAX_RANK) return wrong("--shape", s, "has too many dimensions");
        if (n >= sizeof text) return wrong("--shape", s, "has a number that is too long");
        memcpy(text, p, n);
        text[n] = 0;
        const int code = read_count("--shape", text, &x);
        if (code) return code;
        shape->dims[shape->rank++] = (int64_t)x;
        if (!p[n]) return 0;
        p += n + 1;
    }
}

static int read_shapes(struct options *o)
{
    if (!o->shape_texts.n) return 0;
    o->shapes = need(o->shape_texts.n, sizeof *o->shapes);
    if (!o->shapes) return EXIT_BROKEN;
    for (size_t i = 0; i < o->shape_texts.n; i++) {
        char *name = need(strlen(o->shape_texts.items[i]) + 1, 1);
        if (!name) return EXIT_BROKEN;
        o->shapes[i].input = name;
        const int code = read_shape(o->shape_texts.items[i], &o->shapes[i], name);
        if (code) return code;
        for (size_t k = 0; k < i; k++) if (!strcmp(o->shapes[k].input, name))
            return wrong("--shape", o->shape_texts.items[i], "names an input twice");
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the command line */

static const struct option *find(const char *arg, size_t n)
{
    for (int i = 0; i < NTABLE; i++) if (strlen(table[i].name) == n && !memcmp(table[i].name, arg, n)) return &table[i];
    return NULL;
}

static int one_option(enum command command, int argc, char **argv, int *i, struct options *o, unsigned char *seen)
{
    const char *arg = argv[*i], *eq = arg[1] == '-' ? strchr(arg, '=') : NULL;
    const struct option *t = find(arg, eq ? (size_t)(eq - arg) : strlen(arg));
    if (!t) return fail(EXIT_USAGE, "unknown option", arg, "precinfer COMMAND --help lists what there is");
    if (!(t->commands & command)) return fail(EXIT_USAGE, "option of another command", arg, "it means nothing here");
    if (t->how != MANY && t->how != HELP && seen[t - table])
        return fail(EXIT_USAGE, "option given twice", t->name, "once is enough");
    seen[t - table] = 1;
    if (t->how == FLAG || t->how == HELP)
        return eq ? fail(EXIT_USAGE, "wrong value", t->name, "it takes none") : take(t, NULL, o);
    if (eq) return take(t, eq + 1, o);
    if (*i + 1 >= argc || (!strncmp(argv[*i + 1], "--", 2) && argv[*i + 1][2]))
        return fail(EXIT_USAGE, "value missing", t->name, "it wants %s", t->value);
    return take(t, argv[++*i], o);
}

int parse_options(enum command command, int argc, char **argv, struct options *o)
{
    unsigned char seen[NTABLE] = { 0 };
    int only_files = 0, code = 0;
    *o = (struct options){ .command = command, .threads = 1, .min_agreement = -1, .drop_points = -1, .drop_relative = -1,
                           .pre = { .divide = 1 }, .argc = argc, .argv = argv };
    for (int i = 0; i < argc; i++) if (!strcmp(argv[i], "--help")) { o->help = 1; return 0; }
    for (int i = 0; i < argc && !code; i++) {
        if (!only_files && !strcmp(argv[i], "--")) only_files = 1;
        else if (!only_files && argv[i][0] == '-' && argv[i][1]) code = one_option(command, argc, argv, &i, o, seen);
        else code = add(&o->files, argv[i]);
    }
    return code ? code : read_shapes(o);
}

void free_options(struct options *o)
{
    for (size_t i = 0; o->shapes && i < o->shape_texts.n; i++) free((void *)(uintptr_t)o->shapes[i].input);
    free(o->shapes);
    free(o->files.items);
    free(o->inputs.items);
    free(o->outputs.items);
    free(o->shape_texts.items);
    free(o->maps.items);
}

/* ------------------------------------------------------------------------------------------------ preprocessing */

static int same_numbers(const float *a, int na, const float *b, int nb, float none)
{
    const int n = na > nb ? na : nb;
    for (int i = 0; i < (n ? n : 1); i++) {
        const float x = na ? a[na > 1 ? i : 0] : none, y = nb ? b[nb > 1 ? i : 0] : none;
        if (x != y) return 0;
    }
    return na <= 1 || nb <= 1 || na == nb;
}

int same_preprocessing(const struct precinfer_preprocessing *a, const struct precinfer_preprocessing *b)
{
    return a->divide == b->divide && a->layout == b->layout && same_numbers(a->mean, a->channels, b->mean, b->channels, 0)
        && same_numbers(a->std, a->channels, b->std, b->channels, 1);
}

int resolve_preprocessing(const struct options *o, const struct precinfer_preprocessing *in_file, const char *file,
                          struct precinfer_preprocessing *p, int *stored)
{
    *stored = !o->pre_flags && in_file && in_file->given;
    if (!in_file || !in_file->given) { *p = o->pre; return 0; }
    const struct precinfer_preprocessing *f = &o->pre;
    const char *flag = NULL;
    char have[400];
    if (o->pre_flags & PRE_DIVIDE && f->divide != in_file->divide) flag = "--divide";
    if (o->pre_flags & PRE_MEAN && !same_numbers(f->mean, f->channels, in_file->mean, in_file->channels, 0)) flag = "--mean";
    if (o->pre_flags & PRE_STD && !same_numbers(f->std, f->channels, in_file->std, in_file->channels, 1)) flag = "--std";
    if (o->pre_flags & PRE_LAYOUT && f->layout != in_file->layout) flag = "--layout";
    if (flag) return fail(EXIT_USAGE, "conflicting preprocessing", flag, "%s holds: %s", file,
                          pre_text(in_file, have, sizeof have));
    *p = *in_file;
    return 0;
}
