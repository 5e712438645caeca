/* The command line's own house: everything here stands on precinfer.h alone.
 *
 *   precinfer.c   dispatch          args.c    options          load.c    context, model, data
 *   calibrate.c convert.c verify.c run.c explain.c inspect.c bench.c      one file a command
 *   evaluate.c    what convert --verify and verify share       time.c    interleaved latencies
 *   recorded.c    verify on what other runtimes recorded       gate.c    --policy, --continue
 *   labels.c feed.c   rows of --labels, beside the data        findings.c    what was found, and why a verdict is what it is
 *   report_json.c junit.c html.c (markup.c picture.c)          how it is written down
 *   promote.c     versions of a plan in a directory            report_in.c   reports of earlier runs (JSON in)
 *   diff.c diff_show.c   layer by layer, and what is said of it
 *   json.c table.c progress.c text.c                           pool.c    threads (only WITH_ONNX)
 *
 * A command returns its exit code. Whoever finds out that something is wrong prints the one line that every exit but 0
 * owes (fail, fail_input, fail_output) and hands the code up. */
#ifndef PI_TOOL_H
#define PI_TOOL_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "precinfer.h"

enum { EXIT_PASS = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNDECIDED = 3, EXIT_BROKEN = 4 };

/* ---------------------------------------------------------------- text.c */
/* "precinfer: what, where, why" on stderr, one line whatever the strings hold; returns the code. where may be NULL: the command line. */
int fail(int code, const char *what, const char *where, const char *why, ...) __attribute__((format(printf, 4, 5)));
/* The same for what the library said of something that was read (2), or written (4). Memory is always 4. */
int fail_input(const struct precinfer_error *err, const char *what, const char *where);
int fail_output(const struct precinfer_error *err, const char *what, const char *where);
void *need(size_t n, size_t size);                  /* zeroed; NULL only after having said so                    */
void print_clean(FILE *out, const char *s);                  /* control characters as blanks                        */
const char *hash_text(uint64_t hash, char s[17]);   /* 16 hex digits                                            */
const char *dims_text(int rank, const int64_t *dims, const char *const *symbols, char *s, size_t n);  /* "1x3xN" */
const char *time_text(double ns, char s[32]);       /* "12.3 us"                                                */
const char *bytes_text(double bytes, char s[32]);   /* "1.2 MiB"                                                */
const char *pre_text(const struct precinfer_preprocessing *p, char *s, size_t n);
uint64_t now_ns(void);
size_t utf8_length(const unsigned char *s);         /* of the well-formed character at s, 0: none                */

/* ---------------------------------------------------------------- number.c */
size_t elements_of(const struct precinfer_tensor *t);
int is_integer_type(enum precinfer_dtype t);        /* bool is one                                              */
/* Element i; nonzero: beyond int64, or no such type. */
int integer_at(const struct precinfer_tensor *t, size_t i, int64_t *x);
double double_at(const struct precinfer_tensor *t, size_t i);
const char *shortest_text(double x, char *s, size_t room);      /* that reads back as x; "null" if not finite      */

/* ---------------------------------------------------------------- args.c */
enum command { CALIBRATE = 1, CONVERT = 2, VERIFY = 4, RUN = 8, EXPLAIN = 16, INSPECT = 32, BENCH = 64,
               DIFF = 128, PROMOTE = 256 };
enum { PRE_DIVIDE = 1, PRE_MEAN = 2, PRE_STD = 4, PRE_LAYOUT = 8 };
struct list { const char **items; size_t n; };      /* of a flag that may be given again                         */
struct options {
    enum command command;
    struct list files, inputs, outputs, shape_texts, maps;
    struct precinfer_shape *shapes;                 /* parsed from shape_texts                                   */
    const char *data, *output, *calibrate, *stats, *recipe, *recipe_out, *verify, *labels, *judge, *reference, *cpu,
               *cpu_mask, *json, *policy, *html, *junit, *resume, *candidate, *report, *to;     /* resume: --continue */
    size_t samples, skip, batch, threads, runs;     /* 0: not given; threads 1                                   */
    size_t split[3];                                /* all 0: not given                                          */
    int strict, keep_rejected, allow_overlap, force, quiet, raw, help, rollback;
    const char *record;                             /* diff                                                      */
    int minimal_set;
    int argc; char **argv;                          /* as given, after the command                               */
    double min_agreement, drop_points, drop_relative;   /* shares; < 0: not given                                */
    enum precinfer_precision precisions[3];
    size_t nprecisions;
    struct precinfer_preprocessing pre;             /* of the flags                                              */
    unsigned pre_flags;                             /* which were given                                          */
};
/* 0, or an exit code. argv stays borrowed. */
const char *command_name(enum command command);
int parse_options(enum command command, int argc, char **argv, struct options *o);
void free_options(struct options *o);
void print_help(FILE *to, enum command command);    /* 0: the whole tool                                         */
int same_preprocessing(const struct precinfer_preprocessing *a, const struct precinfer_preprocessing *b);
/* Flags against what a file holds: the flags given must agree with it. *stored: taken from the file alone. */
int resolve_preprocessing(const struct options *o, const struct precinfer_preprocessing *in_file, const char *file,
                          struct precinfer_preprocessing *p, int *stored);

/* ---------------------------------------------------------------- load.c */
enum kind { KIND_ONNX, KIND_PLAN, KIND_STATS, KIND_RECIPE, KIND_NPY, KIND_NPZ, KIND_TRACE };
struct model { enum kind kind; const char *path; precinfer_graph *graph; precinfer_plan *plan; };

/* mask 0: leave --cpu-mask to explain, which may speak for another CPU. */
int open_context(const struct options *o, int mask, precinfer_context **ctx);
void close_context(precinfer_context *ctx);
int check_target(const char *path);                 /* its directory exists; NULL: nothing to check              */
int kind_of(const char *path, enum kind *kind);
/* A model or plan, by content. */
int load_model(precinfer_context *ctx, const char *path, struct model *m);
int load_graph(precinfer_context *ctx, const char *path, precinfer_graph **graph);      /* a model, nothing else   */
void free_model(struct model *m);
size_t model_inputs(const struct model *m);
size_t model_outputs(const struct model *m);
void model_input(const struct model *m, size_t i, struct precinfer_io *io);
void model_output(const struct model *m, size_t i, struct precinfer_io *io);
struct precinfer_preprocessing model_preprocessing(const struct model *m);
int refuse_rejected(const struct options *o, const struct model *m);

/* part: what is read where --split cuts the set; the cut is printed.                                            */
struct data_request { const char *path, *labels; size_t skip, samples, batch; enum precinfer_part part; };
int open_data(const struct options *o, precinfer_context *ctx, const struct model *m, const struct data_request *r,
              const struct precinfer_preprocessing *pre, int stored, precinfer_data **data);
/* --shape against the model; dims of input i as far as they can be told: its own, then --shape, then `batch` for an open
 * first one. An open one that is left is exit 2. */
int check_shapes(const struct options *o, const struct model *m);
int shape_of(const struct options *o, const struct model *m, size_t i, size_t batch, struct precinfer_shape *shape);
/* What all layers with weights run in, or "mixed"; "f32" without any. */
const char *plan_precision(const precinfer_plan *plan);

/* Seeded noise: f32 in [-1, 1), integers 0 and 1. Tensors of all inputs, filled; free_noise afterwards. */
struct noise { size_t n, left; struct precinfer_tensor *tensors; size_t samples; uint64_t state; };
int make_noise(const struct options *o, const struct model *m, size_t batch, struct noise *noise);
void free_noise(struct noise *noise);
/* Calibrates on 16 batches of it. */
int calibrate_on_noise(const struct options *o, const struct model *m, precinfer_stats **stats);
/* Compiles at a precision: int8 from --stats, else from noise (*noisy set). */
int compile_at(const struct options *o, precinfer_context *ctx, const struct model *m, enum precinfer_precision precision,
               precinfer_plan **plan, int *noisy);

/* ---------------------------------------------------------------- pool.c */
struct pool;
struct pool *pool_new(size_t threads);              /* NULL: none can be had                                     */
void pool_free(struct pool *pool);
void pool_parallel_for(void *pool, size_t n, void (*body)(void *arg, size_t i), void *arg);

/* ---------------------------------------------------------------- progress.c */
struct progress { int on; const char *what; size_t total; uint64_t last; };
void progress_start(struct progress *p, const struct options *o, const char *what, size_t total);
int progress_show(void *progress, const char *what, size_t done, size_t total);        /* a precinfer_progress     */
void progress_end(struct progress *p);

/* ---------------------------------------------------------------- time.c */
struct timing { double median, p10, p90, p99; size_t runs; };   /* p99 < 0: fewer than 1,000 runs                */
/* Times all sessions in turn after warm-up. runs 0: until every median has a 2% interval, at most 10 s. */
int measure(precinfer_session *const *sessions, size_t n, size_t runs, struct timing *timings);
/* The same of at least so many runs, within the 10 s. times: what each run took, n arrays of *got for the caller to free. */
int measure_runs(precinfer_session *const *sessions, size_t n, size_t runs, size_t least, struct timing *timings, double **times);
double median_of(double *x, size_t n);              /* sorts x                                                   */
/* Median time of each layer of a plan, ns, with these inputs. */
int measure_layers(const precinfer_plan *plan, const struct precinfer_tensor *inputs, size_t ninputs, size_t runs,
                   double *ns, struct precinfer_layer_work *work);
/* A session with shapes of and bound to these inputs. */
int session_for(const precinfer_plan *plan, const struct precinfer_tensor *inputs, size_t ninputs, int profile,
                precinfer_session **session);

/* ---------------------------------------------------------------- json.c */
/* jansson, which report_in.c and the library use, has functions of these names: ours are others to the linker. */
#define json_string tool_json_string
#define json_true tool_json_true
#define json_null tool_json_null
struct json { char *text; size_t n, room; int depth, fresh, failed; };
void json_open(struct json *j, const char *key, char bracket);      /* '{' or '['; key NULL inside an array        */
void json_close(struct json *j, char bracket);
void json_string(struct json *j, const char *key, const char *s);
void json_size(struct json *j, const char *key, uint64_t n);
void json_number(struct json *j, const char *key, double x);        /* the shortest text; null if not finite       */
void json_null(struct json *j, const char *key);
void json_true(struct json *j, const char *key, int x);
void json_hash(struct json *j, const char *key, uint64_t hash);
void json_dims(struct json *j, const char *key, const struct precinfer_io *io);
void json_pre(struct json *j, const char *key, const struct precinfer_preprocessing *p);
void json_begin(struct json *j, const struct options *o);           /* { "precinfer": ..., "command": ...          */
void json_file(struct json *j, const char *path);                   /* "files": [path]                             */
/* Ends the object and writes it to --json, if given; frees j. An exit code. */
int json_write(struct json *j, precinfer_context *ctx, const struct options *o);
void json_timing(struct json *j, const struct timing *t);

/* ---------------------------------------------------------------- table.c */
struct table { const char *heads; size_t columns, rows, room; char **cells; int failed; };
/* heads: "layer|op|>time": one word a column, > aligns right. */
void table_start(struct table *t, const char *heads);
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(struct table *t, FILE *to);        /* and frees it                                             */
/* Tables go to stdout, or to stderr where stdout is taken (--json -, -o /dev/stdout). */
FILE *text_out(const struct options *o);
/* What was said so far has reached its reader: 0, or 4. */
int flush_text(const struct options *o);

/* ---------------------------------------------------------------- report_in.c */
struct old_report { const char *path; void *json; };
int report_open(const char *path, struct old_report *r);            /* of verify or convert, with a verdict             */
void report_close(struct old_report *r);
const char *report_string(const struct old_report *r, const char *key);         /* NULL: not there                      */
int report_true(const struct old_report *r, const char *key);
const char *report_contradiction(const struct old_report *r);                  /* a budget that its verdict belies; or NULL */
const char *report_output(const struct old_report *r);                         /* the judged one, of the reference; or NULL */
struct look { uint64_t data_hash; size_t samples; const char *verdict; };
struct report_past { struct precinfer_past past; struct look *looks; };          /* strings are the report's             */
int report_past(const struct old_report *r, struct report_past *p);
void free_past(struct report_past *p);

/* ---------------------------------------------------------------- markup.c */
struct text { char *s; size_t n, room; int failed; };
void text_put(struct text *t, const char *s, size_t n);
void text_add(struct text *t, const char *s);
/* At most 1,023 bytes at once. */
void text_print(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_escape(struct text *t, const char *s);    /* for HTML and XML, attributes too                          */
void text_base64(struct text *t, const unsigned char *bytes, size_t n);
int text_write(struct text *t, precinfer_context *ctx, const char *what, const char *path);    /* and frees it        */

/* ---------------------------------------------------------------- labels.c */
struct column { char *name; char **cells; };
struct labels {
    const char *path;
    size_t rows, per_row, ncolumns;     /* per_row: classes of a sample                                         */
    int rows_known;
    int64_t *classes;                   /* NULL: none                                                           */
    struct precinfer_tensor target;     /* data NULL: none                                                      */
    struct column *columns;
};
int load_labels(precinfer_context *ctx, const char *path, struct labels *l);
void free_labels(struct labels *l);
/* One array more, as a key of an .npz would be. */
int label_array(struct labels *l, const char *key, const struct precinfer_tensor *t);
char *const *label_column(const struct labels *l, const char *name);       /* its cells; NULL: no such column       */
const char *label_columns(const struct labels *l, char *s, size_t room);   /* "'user', 'country'"                   */

/* ---------------------------------------------------------------- feed.c */
/* A data set with the rows of its labels: precinfer_next_batch is feed_next. What the policy names is there, or exit 2. */
struct feed {
    precinfer_data *data;
    const struct labels *labels;        /* NULL: the data's own                                                  */
    size_t ncolumns;                    /* the policy's                                                          */
    char *const **source;
    size_t room;
    int64_t *classes;
    unsigned char *target;
    const char ***cells;
};
/* Cells of each of the policy's columns, freed by the caller; *source NULL where it names none. */
int policy_columns(const precinfer_policy *policy, const struct labels *l, char *const ***source, size_t *n);
int feed_open(precinfer_data *data, const struct labels *l, const precinfer_policy *policy, struct feed *f);
int feed_next(void *feed, struct precinfer_batch *batch, struct precinfer_error *err);
void feed_close(struct feed *f);

/* ---------------------------------------------------------------- findings.c */
/* What one verification found, for whoever writes it down. */
struct findings {
    precinfer_context *ctx;
    const struct options *o;
    const precinfer_policy *policy;     /* NULL: flags alone                                                    */
    precinfer_report *report;
    struct precinfer_report_info r;
    enum precinfer_verdict verdict;
    const char *candidate, *reference, *judged;     /* files; judged: the output, NULL: not told                 */
    const char *breach;                 /* a layer that --strict names; NULL                                    */
    int one_number;                     /* the judged output is one number a sample: it has no top-1              */
    const struct look *looks; size_t nlooks;        /* earlier ones, of --continue                               */
    const struct picture *pictures; size_t npictures;       /* of the first flips                                */
    /* Of a plan; NULL for recorded outputs. Two each: f32, candidate. */
    const precinfer_plan *plan;
    struct precinfer_plan_info p;
    struct timing time[2];
    struct precinfer_session_info memory[2];
    uint64_t weights[2];
    size_t batch;
    double *layer_ns;
    size_t *order;                      /* layers, worst SQNR first                                              */
};
extern const char bounds_note[], agreement_method[], drop_method[];
/* A policy's contrasts, then those of flags (or, where nothing is asked, the figures that flags would judge). */
size_t contrast_count(const struct findings *f);
void contrast_at(const struct findings *f, size_t i, struct precinfer_contrast *c);
const char *slice_text(const struct precinfer_contrast *c, char *s, size_t room);      /* "label=3", "all samples"     */
const char *verdict_text(const struct precinfer_contrast *c);
const char *class_text(int64_t x, char s[24]);      /* "NaN" below 0                                            */
size_t samples_by_now(const struct findings *f);    /* of all looks                                             */
const char *metric_name(enum precinfer_metric m);
void needed_text(const struct findings *f, const struct precinfer_contrast *c, char *s, size_t room);
void contrast_why(const struct findings *f, const struct precinfer_contrast *c, char *why, size_t room);
const char *question_text(const struct findings *f, char *s, size_t room);
/* The exit code, and its reason: which budget on which slice, and what would do. */
int explain_verdict(const struct findings *f, char *why, size_t room);
void say_contrasts(FILE *out, const struct findings *f);
void say_flips(FILE *out, const struct findings *f);
void say_answers(FILE *out, const struct findings *f);                  /* samples, accuracy, agreement          */
void say_verdict(FILE *out, const struct findings *f);
void json_answers(struct json *j, const struct findings *f);
void json_findings(struct json *j, const struct findings *f);           /* report_json.c                         */
int write_junit(const struct findings *f);                              /* junit.c; nothing without --junit      */
int write_html(const struct findings *f);                               /* html.c                                */

/* ---------------------------------------------------------------- picture.c */
struct picture { size_t h, w, c; unsigned char *pixels; };  /* pixels NULL: the input is no image                */
int draw_flips(const struct findings *f, precinfer_data *data, struct picture **pictures, size_t *n);
void free_pictures(struct picture *pictures, size_t n);
void text_picture(struct text *t, const struct picture *p);             /* a data: URI                           */

/* ---------------------------------------------------------------- gate.c */
struct gated {
    const struct options *o;
    precinfer_policy *policy;
    precinfer_gate *gate;
    struct old_report old;              /* of --continue                                                        */
    struct report_past past;
};
int load_policy(precinfer_context *ctx, const char *path, precinfer_policy **policy);      /* or preset:NAME             */
/* policy and gate are NULL without --policy. gate_close whatever it returned. */
int gate_open(const struct options *o, precinfer_context *ctx, struct gated *g);
void gate_close(struct gated *g);
/* Without --policy: a gate that only counts. g->policy stays NULL. */
int gate_without(precinfer_context *ctx, struct gated *g);
int gate_fits(const struct gated *g, const struct precinfer_plan_info *plan);
int gate_judges(const struct gated *g, const char *output);
/* Does the policy want latencies, and of how many runs at least? */
int latency_asked(const precinfer_policy *policy, size_t *runs);

/* ---------------------------------------------------------------- evaluate.c */
struct evaluation {
    precinfer_context *ctx;
    const struct model *model;          /* f32                                                                  */
    precinfer_plan *candidate;
    const char *model_path, *candidate_path, *data_path;
    const struct precinfer_preprocessing *pre;
    int stored;                         /* pre comes from a file                                                */
    const char *breach;                 /* a layer that --strict names; NULL                                    */
};
/* With --strict: the breach, and the layers that have no lowered form, which are none. */
void say_strict(FILE *out, const struct options *o, const precinfer_plan *plan, const char *breach);
/* Everything from data, labels and policy to table, JSON and pages (written). *verdict is an exit code: 0, 1 or 3; its line
 * is left to the caller in `why`. Returns 0, or the exit code of what broke. */
int evaluate(const struct options *o, const struct evaluation *e, int *verdict, char *why, size_t room);

/* ---------------------------------------------------------------- recorded.c */
int verify_recorded(const struct options *o, precinfer_context *ctx);

/* ---------------------------------------------------------------- the commands */
int run_calibrate(const struct options *o);
int run_convert(const struct options *o);
int run_verify(const struct options *o);
int run_run(const struct options *o);
int run_explain(const struct options *o);
int run_inspect(const struct options *o);
int run_bench(const struct options *o);
int run_promote(const struct options *o);
int run_diff(const struct options *o);
/* Streams a data set through the f32 model. stored: the preprocessing comes from a file. */
int calibrate_from(const struct options *o, precinfer_context *ctx, const struct model *m, const char *path,
                   const struct precinfer_preprocessing *pre, int stored, precinfer_stats **stats);
#endif
