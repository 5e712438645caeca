/* The gate from the command line: policies, labels, recorded outputs, going on, promoting. Every exit code, and what each
 * refusal names. */
#include <math.h>
#include "tool.h"
#if PI_WITH_ONNX
#include "onnx_model.h"
#endif

#define MODEL "$DIGITS/digits.onnx"
#define EVAL "$DIGITS/evaluation.npy"
#define LABELS "--labels $DIGITS/evaluation_labels.npy"

/* ------------------------------------------------------------------------------------------------ files */

static precinfer_context *ctx;
static struct h_host host;

static void begin(long salt)
{
    memset(&host, 0, sizeof host);
    ctx = h_context(&host, NULL);
    t_start();
    h_reseed(salt);
}
static void end(void)
{
    precinfer_context_free(ctx);
    t_end();
}
static const char *in_dir(const char *name)
{
    static char path[2][300];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", t_dir, name);
    return path[turn];
}
static void save(const char *name, enum precinfer_dtype dtype, const void *data, int rank, int64_t rows, int64_t columns)
{
    const struct precinfer_tensor t = { .data = (void *)(uintptr_t)data, .dtype = dtype, .rank = rank,
            .dims = { rows, columns } };
    struct precinfer_error err;
    ck_assert_msg(!precinfer_npy_save(ctx, in_dir(name), &t, &err), "%s", err.text);
}

/* Outputs of a reference and of a candidate that differs from it in every `every`-th sample, with labels of which the
 * reference has nine in ten right. */
enum { N = 1500, K = 10 };
static float ref[N][K], cand[N][K];
static int64_t label[N], who[N];

static void make_outputs(int every)
{
    for (int i = 0; i < N; i++) {
        const int top = (int)h_below(K);
        for (int k = 0; k < K; k++) ref[i][k] = cand[i][k] = (k == top ? 3.0f : 0.0f) + h_unit();
        if (every && i % every == every / 2) cand[i][(top + 1) % K] += 9;
        label[i] = h_below(10) ? top : (top + 1) % K;
        who[i] = 7 * i;
    }
}
static void save_directory(const char *name, const char *output, const void *data, int from, int to, int labels, int ids)
{
    char path[200];
    t_run(0, "mkdir -p $DIR/%s", name);
    snprintf(path, sizeof path, "%s/%s.npy", name, output);
    save(path, PRECINFER_F32, (const float *)data + from * K, 2, to - from, K);
    snprintf(path, sizeof path, "%s/label.npy", name);
    if (labels) save(path, PRECINFER_S64, label + from, 1, to - from, 0);
    snprintf(path, sizeof path, "%s/id.npy", name);
    if (ids) save(path, PRECINFER_S64, who + from, 1, to - from, 0);
}

/* ------------------------------------------------------------------------------------------------ without a policy */

START_TEST(recorded_flags)
{
    begin(0);
    make_outputs(200);                              /* 8 of 1,500 */
    save_directory("r", "logits", ref, 0, N, 1, 1);
    save_directory("c", "output_7", cand, 0, N, 0, 1);
#define PAIR "--candidate $DIR/c --reference $DIR/r"
    t_run(0, "T verify " PAIR);
    t_says("no limit given");
    t_says("'output_7' against 'logits'");
    t_run(0, "T verify " PAIR " --min-agreement 0.98 --max-drop 2pt");
    t_says("verdict: pass (method: Clopper-Pearson bounds)");
    t_says("one look");
    t_run(1, "T verify " PAIR " --min-agreement 0.9995");
    t_says("agreement is at most");
    t_run(3, "T verify " PAIR " --max-drop 0.6pt");
    t_says("samples do not decide");
    /* labels that no answer can be are wrong in both models, so that nothing could be lost */
    const int64_t right = label[7];
    label[7] = K;
    save("none.npy", PRECINFER_S64, label, 1, N, 0);
    label[7] = right;
    t_run(0, "mkdir $DIR/bare && cp $DIR/r/logits.npy $DIR/bare");
    t_run(2, "T verify --candidate $DIR/c/output_7.npy --reference $DIR/bare --labels $DIR/none.npy --max-drop 2pt");
    t_says("sample 7: label 10, but the output has 10 classes");
    t_run(0, "T verify --candidate $DIR/c/output_7.npy --reference $DIR/bare --labels $DIR/none.npy --max-drop 2pt --skip 8");
    t_run(0, "T verify --candidate $DIR/r/logits.npy --reference $DIR/r --min-agreement 0.99");
    t_says("100.0000%");
    t_run(0, "T verify " PAIR " --skip 1000");
    t_says("500 samples");
    t_run(2, "T verify " PAIR " --skip 1500");
    t_run(4, "T verify " PAIR " --json $DIR/none/j");
    t_run(4, "T verify " PAIR " --html /dev/full");
    t_run(4, "T verify " PAIR " --junit $DIR/none/j");
    t_run(2, "T verify --candidate $DIR/c/output_7.npy --reference $DIR/r/logits.npy --max-drop 1pt");
    t_says("a key 'label'");
    /* what does not fit names both */
    save_directory("short", "logits", cand, 0, N - 1, 0, 0);
    t_run(2, "T verify --candidate $DIR/short --reference $DIR/r");
    t_says("1499 samples");
    t_says("1500");
    t_run(0, "mkdir $DIR/thin");
    save("thin/logits.npy", PRECINFER_F32, cand, 2, 2 * N, K / 2);
    t_run(2, "T verify --candidate $DIR/thin --reference $DIR/r");
    t_says("3000x5");
    t_says("1500x10");
    who[3]++;
    save_directory("c", "output_7", cand, 0, N, 0, 1);
    t_run(2, "T verify " PAIR);
    t_says("'id' of row 3 is 22");
    t_run(0, "rm $DIR/c/id.npy");
    label[5]++;
    save("c/label.npy", PRECINFER_S64, label, 1, N, 0);
    t_run(2, "T verify " PAIR);
    t_says("'label' of row 5");
    save("c/label.npy", PRECINFER_S64, label, 1, N - 1, 0);
    t_run(2, "T verify " PAIR);
    t_says("1499");
    t_run(0, "rm $DIR/c/label.npy");
    /* several outputs */
    save("c/b=x.npy", PRECINFER_F32, ref, 2, N, K);
    save("r/b.npy", PRECINFER_F32, ref, 2, N, K);
    t_run(2, "T verify " PAIR " --judge logits");
    t_says("'b=x', 'output_7': say --map");
    t_run(0, "T verify " PAIR " --judge logits --map output_7=logits");
    t_says("'output_7' against 'logits'");
    t_run(0, "T verify " PAIR " --judge output_7 --map output_7=logits");
    t_run(0, "T verify " PAIR " --map output_7=logits --map b=x=b");
    t_says("'b=x' against 'b'");
    t_run(2, "T verify " PAIR " --judge none");
    t_says("'none'");
    t_run(2, "T verify " PAIR " --map output_7=logits --map output_7=b");
    t_says("'output_7=b': one of the two is mapped already");
    t_run(2, "T verify " PAIR " --map output_7=logits --map b=x=logits");
    t_says("mapped already");
    t_run(2, "T verify " PAIR " --map output_7");
    t_run(2, "T verify " PAIR " --map output_8=logits");
    t_says("'output_7'");
    t_run(2, "T verify " PAIR " --policy preset:int8-nvidia --runs 2");
    t_run(2, "T verify --candidate $DIR/r/label.npy --reference $DIR/c/b=x.npy");
    end();
}
END_TEST

#if PI_WITH_ONNX
#include <jansson.h>

static void text_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "wb");
    ck_assert(f && fputs(text, f) >= 0 && !fclose(f));
}

static json_t *load(const char *name)
{
    char *s = t_read(name);
    json_error_t e;
    json_t *j = s ? json_loads(s, JSON_REJECT_DUPLICATES, &e) : NULL;
    ck_assert_msg(j != NULL, "%s: %s", name, s ? e.text : "is missing");
    free(s);
    return j;
}
static void store(const char *name, const json_t *j) { ck_assert_int_eq(json_dump_file(j, in_dir(name),
                                                                                       JSON_REAL_PRECISION(17)), 0); }
static json_t *at(json_t *j, const char *path)
{
    char part[64];
    while (j && *path) {
        const size_t n = strcspn(path, ".");
        memcpy(part, path, n);
        part[n] = 0;
        j = json_is_array(j) ? json_array_get(j, (size_t)atoi(part)) : json_object_get(j, part);
        path += n + (path[n] == '.');
    }
    return j;
}
static double number(json_t *j, const char *path)
{
    h_expect(json_is_number(at(j, path)), "%s is no number", path);
    return json_number_value(at(j, path));
}
static void is(json_t *j, const char *path, const char *want)
{
    const char *got = json_string_value(at(j, path));
    h_expect(got && !strcmp(got, want), "%s is '%s', not '%s'", path, got ? got : "missing", want);
}
static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *s = text; s && (s = strstr(s, what)) != NULL; s += strlen(what)) n++;
    return n;
}

#define POLICY(budgets) "{ \"precinfer_policy\": 1, \"name\": \"test\", " budgets " }"
#define TOP2 "\"budgets\": [ { \"metric\": \"top1\", \"max_drop\": \"2pt\" }, { \"metric\": \"agreement\", \"min\": 0.95 } ]"

/* ------------------------------------------------------------------------------------------------ a plan */

START_TEST(plan)
{
    begin(0);
    text_file("p.json", POLICY(TOP2 ", \"slices\": [ { \"by\": \"label\", \"metric\": \"top1\", \"max_drop\": \"30pt\" } ],"
                               " \"latency\": { \"max_ms\": 60000, \"share\": 0.5 }"));
    t_run(0, "T convert " MODEL " -o $DIR/p --precision int8 --calibrate $DIGITS/calibration.npy --divide 16 --recipe-out"
                                " $DIR/r.json"
          " --verify " EVAL " " LABELS " --policy $DIR/p.json --runs 60 --json $DIR/c.json --html $DIR/c.html --junit"
                                       " $DIR/c.xml");
    t_says("betting confidence sequence");
    t_says("however often one looks");
    t_run(0, "T verify $DIR/p --reference " MODEL " --data " EVAL " " LABELS " --policy $DIR/p.json --runs 60 --json $DIR/j"
          " --html $DIR/h --junit $DIR/x");
    json_t *j = load("j"), *c;
    size_t i;
    is(j, "command", "verify");
    is(j, "verdict", "pass");
    is(j, "policy.name", "test");
    h_expect(json_string_length(at(j, "policy.hash")) == 16 && number(j, "policy.confidence") == 0.95 && !at(j, "policy.n"),
             "policy");
    h_expect(json_array_size(at(j, "contrasts")) == 13, "%zu contrasts", json_array_size(at(j, "contrasts")));
    json_array_foreach(at(j, "contrasts"), i, c) {
        is(c, "verdict", "pass");
        h_expect(number(c, "lower") <= number(c, "estimate") && number(c, "estimate") <= number(c, "upper"), "bounds of %zu", i);
        h_expect(at(c, "at_least") == json_true() ? number(c, "lower") >= number(c, "limit")
                 : number(c, "upper") <= number(c, "limit"),
                 "contrast %zu passes beyond its limit", i);
        h_expect(json_is_true(at(c, "exact")) && json_is_true(at(c, "sequential")) && json_is_false(at(c, "blamed")), "method");
        h_expect(!at(c, "needed") && number(c, "units") == number(c, "samples"), "decided");
    }
    is(j, "contrasts.2.by", "label");
    is(j, "contrasts.2.slice", "0");
    is(j, "contrasts.12.metric", "latency");
    h_expect(number(j, "contrasts.12.units") == 60, "60 runs");
    h_expect(json_array_size(at(j, "looks")) == 1 && number(j, "looks.0.samples") == 899, "one look");
    h_expect(json_array_size(at(j, "seen")) == 899, "seen");
    h_expect(json_array_size(at(j, "evidence")) >= 12 && json_is_array(at(j, "flips")) && json_is_array(at(j, "confusions")),
             "evidence");
    h_expect(number(j, "samples") == 899 && at(j, "agreement.share") && at(j, "drop.points") && at(j, "latency.1.median_ns")
             && at(j, "memory.1.weights_bytes") && at(j, "layers.0.sqnr_db"), "what was there before");
    json_t *again = load("c.json");
    is(again, "command", "convert");
    h_expect(json_equal(at(j, "evidence.0"), at(again, "evidence.0")) && json_equal(at(j, "policy"), at(again, "policy")),
             "convert --verify and verify differ");
    json_decref(again);
    json_decref(j);
    char *x = t_read("x"), *h = t_read("h");
    h_expect(count(x, "<testcase ") == 13 && count(x, "</testcase>") == 13 && strstr(x, "tests=\"13\" failures=\"0\"")
             && strstr(x, "name=\"label=3\""), "junit: %.300s", x);
    h_expect(count(h, "class=\"row ") == 13 && !strstr(h, "://") && !strstr(h, "<script") && strstr(h, "</html>"), "html");
    free(x);
    free(h);
    /* fixed n: a plan's report by flags or with n is one look */
    t_run(2, "T verify $DIR/p --reference " MODEL " --data " EVAL " " LABELS " --policy $DIR/p.json --runs 20 --continue $DIR/j");
    t_says("earlier look");
    t_run(2, "T verify $DIR/p --reference " MODEL " --data " EVAL " " LABELS " --runs 2 --continue $DIR/j");
    t_says("--policy");
    /* latency that no machine reaches: the budget is named */
    text_file("l.json", POLICY("\"latency\": { \"max_ms\": 0.000001, \"share\": 0.5 }"));
    t_run(1, "T verify $DIR/p --reference " MODEL " --data " EVAL " --policy $DIR/l.json --runs 60 --junit $DIR/x");
    t_says("latency: at least 50% of runs");
    x = t_read("x");
    h_expect(x && count(x, "<failure ") == 1 && strstr(x, "failures=\"1\""), "junit: %.300s", x ? x : "");
    free(x);
    text_file("l.json", POLICY("\"latency\": { \"max_ms\": 60000, \"share\": 0.99 }"));
    t_run(3, "T verify $DIR/p --reference " MODEL " --data " EVAL " --policy $DIR/l.json --runs 20");
    t_says("20 runs do not decide");
    /* labels are missing; a plan has no figures */
    t_run(2, "T verify $DIR/p --reference " MODEL " --data " EVAL " --policy $DIR/p.json --runs 20");
    t_says("label");
    text_file("w.json", POLICY("\"budgets\": [ { \"metric\": \"error\", \"name\": \"wer\", \"max_increase\": 0.1, \"bounds\":"
                               " [-1, 1] } ]"));
    t_run(2, "T verify $DIR/p --reference " MODEL " --data " EVAL " --policy $DIR/w.json --runs 2");
    t_says("wer");
    /* flags and policy: all must hold */
    t_run(3, "T verify $DIR/p --reference " MODEL " --data " EVAL " " LABELS " --policy $DIR/p.json --runs 60 --min-agreement"
                                                            " 0.9999 --skip 800");
    t_run(0, "T verify $DIR/p --reference " MODEL " --data " EVAL " " LABELS " --policy $DIR/p.json --runs 60 --min-agreement"
                                                            " 0.9");
    t_says("--min-agreement and --max-drop: These are bounds for one look");
    /* outputs that `run` wrote are judged as the plan is */
    t_run(0, "T run $DIR/p --input " EVAL " --output $DIR/c.npy");
    t_run(0, "T run " MODEL " --input " EVAL " --divide 16 --output $DIR/r.npy");
    t_run(0, "T verify --candidate $DIR/c.npy --reference $DIR/r.npy " LABELS " --min-agreement 0.95 --max-drop 1%%rel --json $DIR/a");
    t_run(0, "T verify $DIR/p --reference " MODEL " --data " EVAL " " LABELS " --min-agreement 0.95 --max-drop 1%%rel --runs 2 --json $DIR/b");
    json_t *a = load("a"), *b = load("b");
    static const char *const alike[] = { "samples", "accuracy", "agreement", "drop", "verdict" };
    for (i = 0; i < 5; i++) h_expect(json_equal(at(a, alike[i]), at(b, alike[i])), "%s of a plan and of its outputs", alike[i]);
    h_expect(json_is_true(at(a, "recorded")) && !at(a, "plan_hash") && at(a, "drop.limit_points"), "recorded");
    json_decref(a);
    json_decref(b);
    /* preset by name */
    t_run(0, "T verify $DIR/p --reference " MODEL " --data " EVAL " " LABELS " --policy preset:int8-nvidia --runs 2");
    end();
}
END_TEST

/* A conv's weights in far too few steps: a fail that names budget and slice, pages that show it, and a plan marked rejected. */
START_TEST(failing)
{
    begin(0);
    t_run(0, "T convert " MODEL " -o $DIR/p --precision int8 --calibrate $DIGITS/calibration.npy --divide 16 --recipe-out"
                                " $DIR/r.json");
    json_t *r = load("r.json"), *node;
    const char *name;
    json_object_foreach(at(r, "nodes"), name, node)
        for (size_t i = 0; i < json_array_size(at(node, "weight_scales")); i++)
            json_array_set_new(at(node, "weight_scales"), i, json_real(10));
    store("bad.json", r);
    json_decref(r);
    text_file("p.json", POLICY(TOP2 ", \"slices\": [ { \"by\": \"label\", \"metric\": \"top1\", \"max_drop\": \"1pt\" } ]"));
    t_run(1, "T convert " MODEL " -o $DIR/q --recipe $DIR/bad.json --keep-rejected --divide 16 --verify"
                                " " EVAL " " LABELS " --runs 2"
          " --policy $DIR/p.json --json $DIR/j --html $DIR/h --junit $DIR/x");
    t_says("'top-1");
    t_says("is at least");
    h_expect(!t_exists("q") && t_exists("q.rejected"), "what a failed convert writes");
    json_t *j = load("j"), *c;
    size_t i, blamed = 0, failed = 0, pictures;
    is(j, "verdict", "fail");
    json_array_foreach(at(j, "contrasts"), i, c) {
        blamed += json_is_true(at(c, "blamed"));
        failed += !strcmp(json_string_value(at(c, "verdict")), "fail");
    }
    h_expect(blamed > 0 && failed > 1, "%zu blamed, %zu failed", blamed, failed);
    h_expect(json_array_size(at(j, "flips")) > 300 && number(j, "flips.0.margin_before") >= 0 && at(j, "flips.0.label"), "flips");
    h_expect(number(j, "confusions.0.count") >= number(j, "confusions.1.count"), "confusions, most often first");
    char *x = t_read("x"), *h = t_read("h");
    h_expect(count(x, "<failure ") == failed, "junit's failures");
    pictures = count(h, "src=\"data:image/png;base64,");
    h_expect(pictures == 60, "%zu pictures", pictures);
    free(x);
    free(h);
    t_run(0, "mkdir $DIR/to");
    t_run(1, "T promote $DIR/q.rejected --report $DIR/j --to $DIR/to");
    t_says("fail");
    /* the same plan, judged by a policy that it meets: promoted without the mark */
    text_file("easy.json", POLICY("\"budgets\": [ { \"metric\": \"cosine\", \"min\": -0.99 } ]"));
    t_run(0, "T verify $DIR/q.rejected --reference " MODEL " --data " EVAL " --policy $DIR/easy.json --runs 2 --json $DIR/e");
    t_run(0, "T promote $DIR/q.rejected --report $DIR/e --to $DIR/to");
    t_run(0, "T run $DIR/to/current/model.precinfer --input " EVAL " --output $DIR/y.npy");
    t_run(2, "T promote $DIR/p --report $DIR/e --to $DIR/to");
    t_says("plan_hash");
    json_decref(j);
    end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ going on */

START_TEST(goes_on)
{
    begin(1);
    make_outputs(100);
    save_directory("r", "y", ref, 0, N, 1, 1);
    save_directory("c", "y", cand, 0, N, 0, 0);
    for (int i = 0; i < 3; i++) {
        const int cut[] = { 0, 300, 700, N };
        char a[16], b[16];
        snprintf(a, sizeof a, "r%d", i);
        snprintf(b, sizeof b, "c%d", i);
        save_directory(a, "y", ref, cut[i], cut[i + 1], 1, 1);
        save_directory(b, "y", cand, cut[i], cut[i + 1], 0, 0);
    }
#define ALSO ", { \"metric\": \"cosine\", \"min\": 0.7 } ], \"slices\": [ { \"by\": \"label\", \"metric\": \"top1\", \"max_drop\": \"9pt\" } ]"
    text_file("p.json", POLICY("\"budgets\": [ { \"metric\": \"top1\", \"max_drop\": \"2pt\" }" ALSO));
    const int first = t_shell("T verify --candidate $DIR/c0 --reference $DIR/r0 --policy $DIR/p.json --json $DIR/j0");
    h_expect(first == 3, "300 samples: exit %d", first);
    t_says("300 samples do not decide; about");
    t_shell("T verify --candidate $DIR/c1 --reference $DIR/r1 --policy $DIR/p.json --json $DIR/j1 --continue $DIR/j0");
    t_says("1 earlier look");
    t_shell("T verify --candidate $DIR/c2 --reference $DIR/r2 --policy $DIR/p.json --json $DIR/j2 --continue $DIR/j1 --html"
            " $DIR/h");
    t_shell("T verify --candidate $DIR/c --reference $DIR/r --policy $DIR/p.json --json $DIR/j");
    json_t *parts = load("j2"), *whole = load("j"), *j0 = load("j0");
    static const char *const same[] = { "contrasts", "seen", "policy", "verdict" };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        h_expect(json_equal(at(parts, same[i]), at(whole, same[i])), "%s of three looks and of one pass differ", same[i]);
    for (size_t i = 0; i < json_array_size(at(whole, "evidence")); i++) {
        const char *what[] = { "budget", "slice", "atoms", "samples", "clipped" };
        json_t *x = json_array_get(at(parts, "evidence"), i), *y = json_array_get(at(whole, "evidence"), i);
        for (int k = 0; k < 5; k++) h_expect(json_equal(at(x, what[k]), at(y, what[k])) || (!at(x, what[k]) && !at(y, what[k])),
                                             "evidence %zu: %s", i, what[k]);
    }
    h_expect(json_array_size(at(parts, "looks")) == 3 && number(parts, "looks.0.samples") == 300
             && number(parts, "looks.1.samples") == 700
             && number(parts, "looks.2.samples") == N && number(parts, "samples") == N - 700, "looks");
    is(parts, "looks.0.verdict", "not enough samples");
    char *h = t_read("h");
    h_expect(h && strstr(h, "800</b><span>new samples, 1500 in all"), "the page's samples");
    free(h);
    /* the same data, another policy, no policy, a fixed n, damage */
    t_run(2, "T verify --candidate $DIR/c0 --reference $DIR/r0 --policy $DIR/p.json --continue $DIR/j0");
    t_says("earlier look");
    t_run(2, "T verify --candidate $DIR/c --reference $DIR/r --policy $DIR/p.json --continue $DIR/j0");
    t_says("300 of 1500 samples were seen");
    text_file("q.json", POLICY(TOP2));
    t_run(2, "T verify --candidate $DIR/c1 --reference $DIR/r1 --policy $DIR/q.json --continue $DIR/j0");
    t_says("another policy");
    t_shell("T verify --candidate $DIR/c0 --reference $DIR/r0 --json $DIR/f");
    t_run(2, "T verify --candidate $DIR/c1 --reference $DIR/r1 --policy $DIR/p.json --continue $DIR/f");
    t_says("one look");
    text_file("n.json", POLICY("\"n\": 200, " TOP2));
    t_shell("T verify --candidate $DIR/c0 --reference $DIR/r0 --policy $DIR/n.json --json $DIR/f");
    t_says("200 samples, a number fixed beforehand");
    t_says("100 samples beyond the policy's n");
    t_run(3, "T verify --candidate $DIR/c0 --reference $DIR/r0 --policy $DIR/n.json --skip 200");
    t_says("100 samples do not decide; the policy judges 200, no fewer");
    t_run(2, "T verify --candidate $DIR/c1 --reference $DIR/r1 --policy $DIR/n.json --continue $DIR/f");
    t_says("fixes n at 200");
    static const struct { const char *path, *key; int kind; } damage[] = {
        { "", "evidence", 0 }, { "", "seen", 0 }, { "", "looks", 0 }, { "policy", "hash", 1 }, { "evidence.0", "samples", 1 },
        { "evidence.0", "atoms", 1 }, { "looks.0", "data_hash", 1 }, { "", "seen", 2 } };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        json_t *bad = json_deep_copy(j0);
        if (!damage[i].kind) json_object_del(at(bad, damage[i].path), damage[i].key);
        else if (damage[i].kind == 1) json_object_set_new(at(bad, damage[i].path), damage[i].key, json_string("x"));
        else json_array_append_new(at(bad, "seen"), json_string("0123"));
        store("bad", bad);
        json_decref(bad);
        t_run(2, "T verify --candidate $DIR/c1 --reference $DIR/r1 --policy $DIR/p.json --continue $DIR/bad");
        t_says("bad");
    }
    t_run(0, "head -c 900 $DIR/j0 > $DIR/bad");
    t_run(2, "T verify --candidate $DIR/c1 --reference $DIR/r1 --policy $DIR/p.json --continue $DIR/bad");
    t_says("line");
    t_run(2, "T verify --candidate $DIR/c1 --reference $DIR/r1 --policy $DIR/p.json --continue $DIR/p.json");
    t_says("no report");
    /* another output is another question */
    text_file("a.json", POLICY("\"budgets\": [ { \"metric\": \"agreement\", \"min\": 0.5 } ]"));
    for (int i = 0; i < 2; i++)
        t_run(0, "mkdir $DIR/two%d && for n in a b; do cp $DIR/r%d/y.npy $DIR/two%d/$n.npy; done", i, i, i);
    t_run(0, "T verify --candidate $DIR/two0 --reference $DIR/two0 --policy $DIR/a.json --judge a --json $DIR/f");
    t_run(2, "T verify --candidate $DIR/two1 --reference $DIR/two1 --policy $DIR/a.json --judge b --continue $DIR/f");
    t_says("judged output 'a', not 'b'");
    t_run(0, "T verify --candidate $DIR/two1 --reference $DIR/two1 --policy $DIR/a.json --judge a --continue $DIR/f");
    /* a plan's report does not go on from recorded outputs */
    t_run(0, "T convert " MODEL " -o $DIR/p --precision f32 --divide 16");
    t_run(2, "T verify $DIR/p --reference " MODEL " --data " EVAL " " LABELS " --policy $DIR/p.json --continue $DIR/j0 --runs 2");
    t_says("recorded outputs");
    json_decref(parts);
    json_decref(whole);
    json_decref(j0);
    end();
}
END_TEST

/* A plan's own looks: two halves of the data are as good as all of it; another plan's report is refused. */
START_TEST(plan_goes_on)
{
    begin(0);
    struct precinfer_tensor x, y;
    ck_assert_int_eq(precinfer_npy_load(ctx, "examples/digits/evaluation.npy", &x, NULL), 0);
    ck_assert_int_eq(precinfer_npy_load(ctx, "examples/digits/evaluation_labels.npy", &y, NULL), 0);
    for (int half = 0; half < 2; half++) {
        struct precinfer_tensor a = x, b = y;
        a.dims[0] = b.dims[0] = half ? 499 : 400;
        a.data = (char *)x.data + (half ? 400 * 64 : 0);
        b.data = (char *)y.data + (half ? 400 * precinfer_dtype_size(y.dtype) : 0);
        ck_assert_int_eq(precinfer_npy_save(ctx, in_dir(half ? "x1.npy" : "x0.npy"), &a, NULL), 0);
        ck_assert_int_eq(precinfer_npy_save(ctx, in_dir(half ? "y1.npy" : "y0.npy"), &b, NULL), 0);
    }
    precinfer_array_free(ctx, &x);
    precinfer_array_free(ctx, &y);
    text_file("p.json", POLICY("\"budgets\": [ { \"metric\": \"top1\", \"max_drop\": \"0.9pt\" } ]"));
    t_run(0, "T convert " MODEL " -o $DIR/p --precision bf16 --divide 16");
    t_run(0, "T convert " MODEL " -o $DIR/q --precision f32 --divide 16");
#define P "--reference " MODEL " --policy $DIR/p.json --runs 2"
    t_run(3, "T verify $DIR/p " P " --data $DIR/x0.npy --labels $DIR/y0.npy --json $DIR/j0");
    t_run(0, "T verify $DIR/p " P " --data $DIR/x1.npy --labels $DIR/y1.npy --json $DIR/j1 --continue $DIR/j0");
    t_run(0, "T verify $DIR/p " P " --data " EVAL " " LABELS " --json $DIR/j");
    json_t *a = load("j1"), *b = load("j");
    h_expect(json_equal(at(a, "contrasts"), at(b, "contrasts")) && json_equal(at(a, "seen"), at(b, "seen")),
             "two looks and one pass");
    json_decref(a);
    json_decref(b);
    t_run(2, "T verify $DIR/q " P " --data $DIR/x1.npy --labels $DIR/y1.npy --continue $DIR/j0");
    t_says("recipe_hash");
    t_run(2, "T verify $DIR/p " P " --judge /Flatten_output_0 --data $DIR/x1.npy --labels $DIR/y1.npy --continue $DIR/j0");
    t_says("judged output");
    t_run(0, "grep -v '\"recipe_hash\"' $DIR/j0 > $DIR/less");
    t_run(2, "T verify $DIR/p " P " --data $DIR/x1.npy --labels $DIR/y1.npy --continue $DIR/less");
    const char *wanted = strstr(t_err, "its recipe_hash is missing, not ");
    h_expect(wanted && strspn(wanted + 32, "0123456789abcdef") == 16, "the hash that is wanted: %s", t_err);
    t_run(0, "mkdir $DIR/to");
    t_run(3, "T promote $DIR/p --report $DIR/j0 --to $DIR/to");
    t_run(0, "grep -v '\"plan_hash\"' $DIR/j1 > $DIR/less");
    t_run(2, "T promote $DIR/p --report $DIR/less --to $DIR/to");
    wanted = strstr(t_err, "its plan_hash is missing, that of ");
    wanted = wanted ? strstr(wanted, " is ") : NULL;
    wanted = wanted ? strstr(wanted + 4, " is ") : NULL;
    h_expect(wanted && strspn(wanted + 4, "0123456789abcdef") == 16, "the hash that is wanted: %s", t_err);
    t_run(0, "T promote $DIR/p --report $DIR/j1 --to $DIR/to");
    end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ labels */

START_TEST(columns)
{
    begin(2);
    make_outputs(0);
    for (int i = 0; i < N; i++) if (i % 3 == 1 && i % 2) memcpy(cand[i], ref[(i + 1) % N], sizeof cand[i]);
    save_directory("r", "y", ref, 0, N, 0, 0);
    save_directory("c", "y", cand, 0, N, 0, 0);
    FILE *f = fopen(in_dir("l.csv"), "wb");
    ck_assert_ptr_nonnull(f);
    fputs("\xef\xbb\xbf" "label,id,\"the \"\"kind\"\", of it\"\r\n", f);
    for (int i = 0; i < N; i++) {
        static const char *const kinds[] = { "plain", "\"<script>&, \"\"x\"\"\"", "\"two\nlines\"" };
        fprintf(f, "%lld,%d,%s%s", (long long)label[i], i, kinds[i % 3], i + 1 < N ? "\r\n" : "");
    }
    fclose(f);
    text_file("p.json", POLICY("\"slices\": [ { \"by\": \"the \\\"kind\\\", of it\", \"metric\": \"agreement\", \"min\": 0.9 }"
                               " ]"));
    t_run(1, "T verify --candidate $DIR/c --reference $DIR/r --labels $DIR/l.csv --policy $DIR/p.json --json $DIR/j --html"
             " $DIR/h --junit $DIR/x");
    t_says("the \"kind\", of it=<script>&, \"x\": share");
    json_t *j = load("j"), *c;
    size_t i;
    h_expect(json_array_size(at(j, "contrasts")) == 3, "three slices");
    json_array_foreach(at(j, "contrasts"), i, c) {
        const char *slice = json_string_value(at(c, "slice"));
        const int bad = !strcmp(slice, "<script>&, \"x\"");
        h_expect(bad || !strcmp(slice, "plain") || !strcmp(slice, "two\nlines"), "slice '%s'", slice);
        is(c, "verdict", bad ? "fail" : "pass");
        h_expect(json_is_true(at(c, "blamed")) == bad && number(c, "samples") == 500, "slice '%s'", slice);
    }
    json_decref(j);
    char *h = t_read("h"), *x = t_read("x");
    h_expect(strstr(h, "&lt;script&gt;&amp;") && !strstr(h, "<script") && strstr(x, "&lt;script&gt;&amp;, &quot;x&quot;")
             && strstr(x, "two&#10;lines"), "names are escaped");
    free(h);
    free(x);
    /* what is not there is named beside what is */
    text_file("q.json", POLICY("\"slices\": [ { \"by\": \"country\", \"metric\": \"agreement\", \"min\": 0.9 } ]"));
    t_run(2, "T verify --candidate $DIR/c --reference $DIR/r --labels $DIR/l.csv --policy $DIR/q.json");
    t_says("'country'");
    t_says("'the \"kind\", of it'");
    t_run(2, "T verify --candidate $DIR/c --reference $DIR/r --policy $DIR/q.json");
    t_says("no labels are given");
    static const struct { const char *text, *says; } bad[] = {
        { "", "empty" }, { "label,label\n1,2\n", "line 1: column 'label' stands there twice" },
            { "label,\n1,2\n", "line 1: column 2 has no name" },
        { "label,a\n1,2\n3\n", "line 3: 1 fields, the header has 2" }, { "label,a\n1,\"b\n2,c\n",
                "line 2: a quote that does not end" },
        { "label,a\n1,\"b\"c\n", "line 2: something follows" }, { "label,a\n1,b\"c\n", "line 2: a quote within" },
        { "a,label\nx,1\ny,2.5\n", "line 3, column 'label': '2.5' is no whole number" },
            { "target\n1e3\n-\n", "line 3, column 'target': '-'" },
        { "label\n1\n\n2\n", "line 3, column 'label': ''" }, { "label\n1\n2\n", "2 rows, but 1500 samples" },
        { "label,a\n1,x\r2,y\n", "line 2: a carriage return" }, { "label\n99999999999999999999\n", "line 2" } };
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        text_file("bad.csv", bad[i].text);
        t_run(2, "T verify --candidate $DIR/c --reference $DIR/r --labels $DIR/bad.csv");
        t_says(bad[i].says);
    }
    t_run(2, "T verify --candidate $DIR/c --reference $DIR/r --labels $DIR/p.json");
    t_says(".csv");
    t_run(2, "T verify --candidate $DIR/c --reference $DIR/r --labels $DIR/none.csv");
    t_says("No such file");
    end();
}
END_TEST

/* Two positions a sample, three classes each: perplexity of windows. And the same from what `run` wrote. */
START_TEST(positions)
{
    static float x[N][2][4];
    static int64_t y[N][2];
    float w[12];
    struct m m;
    size_t n;
    const int64_t open[] = { -1, 2, 4 }, wide[] = { 4, 3 };
    begin(4);
    for (int i = 0; i < 12; i++) w[i] = (float)(i * 7 % 5) - 2;
    m_start(&m, 13);
    m_input(&m, "x", M_TYPE(FLOAT), 3, open);
    m_initializer(&m, "w", M_TYPE(FLOAT), 2, wide, w, sizeof w);
    m_node(&m, "MatMul", "mm", "x,w", "y");
    m_output(&m, "y");
    unsigned char *bytes = m_pack(&m, &n);
    FILE *f = fopen(in_dir("m.onnx"), "wb");
    ck_assert(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
    m_free(&m);
    h_fill(x, PI_F32, N * 8, H_RANDOM);
    for (int i = 0; i < N; i++) y[i][0] = h_below(3), y[i][1] = h_below(3);
    const struct precinfer_tensor t = { .data = x, .dtype = PRECINFER_F32, .rank = 3, .dims = { N, 2, 4 } };
    ck_assert_int_eq(precinfer_npy_save(ctx, in_dir("x.npy"), &t, NULL), 0);
    save("y.npy", PRECINFER_S64, y, 2, N, 2);
    text_file("p.json", POLICY("\"budgets\": [ { \"metric\": \"perplexity\", \"max_ratio\": 1.5, \"bounds\": [-2, 2] } ]"));
    t_run(0, "T convert $DIR/m.onnx -o $DIR/p --precision bf16");
    t_run(0, "T verify $DIR/p --reference $DIR/m.onnx --data $DIR/x.npy --labels $DIR/y.npy --policy $DIR/p.json --runs 2 --json $DIR/a");
    t_run(0, "T run $DIR/p --input $DIR/x.npy --output $DIR/py.npy");
    t_run(0, "T run $DIR/m.onnx --input $DIR/x.npy --output $DIR/my.npy");
    t_run(0, "T verify --candidate $DIR/py.npy --reference $DIR/my.npy --labels $DIR/y.npy --policy $DIR/p.json --json $DIR/b");
    json_t *a = load("a"), *b = load("b");
    h_expect(json_equal(at(a, "contrasts"), at(b, "contrasts")) && number(a, "contrasts.0.reference") > 1, "perplexity, run or recorded");
    h_expect(json_equal(at(a, "agreement"), at(b, "agreement")) && !at(a, "accuracy"), "answers, run or recorded");
    json_decref(a);
    json_decref(b);
    end();
}
END_TEST

/* Targets and figures: a regression, and scores that the tool cannot know. */
START_TEST(targets)
{
    static float y[N], z[N], t[N];
    static double better[N], worse[N];
    begin(3);
    for (int i = 0; i < N; i++) {
        t[i] = 10 * h_unit();
        y[i] = t[i] + h_unit();
        z[i] = t[i] + 1.01f * (y[i] - t[i]);
        better[i] = 0.5 + 0.1 * (double)h_unit();
        worse[i] = better[i] - 0.05;
    }
    save("y.npy", PRECINFER_F32, y, 1, N, 0);
    save("z.npy", PRECINFER_F32, z, 1, N, 0);
    save("t.npy", PRECINFER_F32, t, 1, N, 0);
    text_file("p.json", POLICY("\"budgets\": [ { \"metric\": \"mae\", \"max_ratio\": 1.05, \"bounds\": [-1.1, 1.1] } ]"));
    t_run(0, "T verify --candidate $DIR/z.npy --reference $DIR/y.npy --labels $DIR/t.npy --policy $DIR/p.json --html $DIR/h"
             " --json $DIR/j");
    json_t *j = load("j");
    h_expect(number(j, "contrasts.0.reference") > 0.4 && number(j, "contrasts.0.candidate") > number(j,
            "contrasts.0.reference"), "MAE");
    json_decref(j);
    char *h = t_read("h");
    h_expect(h && strstr(h, "class=\"hist\"") && !strstr(h, "same top-1</span>"), "a histogram, and no top-1 of one number");
    free(h);
    t_run(0, "T verify --candidate $DIR/z.npy --reference $DIR/y.npy --labels $DIR/t.npy --policy preset:mae-uber --junit"
             " $DIR/x");
    t_says("one-sided, approximate\n");
    text_file("odd.json", "{ \"precinfer_policy\": 1, \"name\": \"a\\u001b[31m\", \"budgets\": [ { \"metric\": \"mae\","
              " \"max_ratio\": 1.0001, \"name\": \"b\\u001b[32m\", \"bounds\": [-9, 9] } ] }");
    t_shell("T verify --candidate $DIR/z.npy --reference $DIR/y.npy --labels $DIR/t.npy --policy $DIR/odd.json");
    h_expect(strstr(t_out, "policy a [31m, ") && !strchr(t_out, 27), "what is said holds no control character: %s", t_out);
    t_run(2, "T verify --candidate $DIR/z.npy --reference $DIR/y.npy --policy $DIR/p.json");
    t_says("target");
    save("t.npy", PRECINFER_F32, t, 1, N - 3, 0);
    t_run(2, "T verify --candidate $DIR/z.npy --reference $DIR/y.npy --labels $DIR/t.npy --policy $DIR/p.json");
    t_says("1497 rows, but 1500 samples");
    /* figures, with and without outputs beside them */
    t_run(0, "mkdir $DIR/a $DIR/b");
    save("a/map50.npy", PRECINFER_F64, better, 1, N, 0);
    save("b/map50.npy", PRECINFER_F64, worse, 1, N, 0);
    text_file("s.json", POLICY("\"budgets\": [ { \"metric\": \"score\", \"name\": \"map50\", \"max_drop\": 0.04, \"bounds\":"
                               " [-1, 1] } ]"));
    t_run(1, "T verify --candidate $DIR/b --reference $DIR/a --policy $DIR/s.json");
    t_says("map50");
    t_run(0, "T verify --candidate $DIR/a --reference $DIR/b --policy $DIR/s.json");
    save("a/y.npy", PRECINFER_F32, y, 1, N, 0);
    save("b/y.npy", PRECINFER_F32, z, 1, N, 0);
    t_run(1, "T verify --candidate $DIR/b --reference $DIR/a --policy $DIR/s.json");
    save("b/map50.npy", PRECINFER_F64, worse, 1, N - 1, 0);
    t_run(2, "T verify --candidate $DIR/b --reference $DIR/a --policy $DIR/s.json");
    t_says("1499 elements for 1500 samples");
    t_run(0, "rm $DIR/b/map50.npy");
    t_run(2, "T verify --candidate $DIR/b --reference $DIR/a --policy $DIR/s.json");
    t_says("'map50'");
    text_file("l.json", POLICY("\"latency\": { \"max_ms\": 1, \"share\": 0.9 }"));
    t_run(2, "T verify --candidate $DIR/b --reference $DIR/a --policy $DIR/l.json --judge y");
    t_says("nothing of how long");
    end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ one set cut in three */

START_TEST(cut)
{
    begin(0);
    t_run(0, "T calibrate " MODEL " --data " EVAL " --divide 16 --split 50,25,25 -o $DIR/s --json $DIR/j");
    t_says("this is calibrate");
    t_run(0, "T calibrate " MODEL " --data " EVAL " --divide 16 --split 2,1,1 --batch 7 -o $DIR/s2");
    h_expect(t_same_files("s", "s2"), "the cut depends on the batch");
    t_run(0, "T convert " MODEL " -o $DIR/p --precision int8 --calibrate " EVAL " --divide 16 --split 50,25,25 --verify"
                                                            " " EVAL " " LABELS
          " --runs 2 --json $DIR/c");
    t_says("this is verify");
    json_t *j = load("j"), *c = load("c");
    h_expect(number(c, "overlap_samples") == 0 && number(c, "samples") > 150 && number(c, "samples") < 300
             && number(j, "samples") > 350,
             "parts that do not meet: %g verified, %g calibrated on", number(c, "samples"), number(j, "samples"));
    h_expect(number(c, "accuracy.reference") > 0.9, "labels follow their samples");
    h_expect(number(c, "split.calibrate") == number(j, "samples") && number(c, "split.verify") == number(c, "samples")
             && number(c, "split.calibrate") + number(c, "split.tune") + number(c, "split.verify") == 899, "the cut in the report");
    json_decref(j);
    json_decref(c);
    /* without the cut the plan has seen half of them */
    t_run(2, "T verify $DIR/p --reference " MODEL " --data " EVAL " --runs 2");
    t_says("were used for calibration");
    text_file("p.json", POLICY("\"budgets\": [ { \"metric\": \"top1\", \"max_drop\": \"9pt\" } ]"));
    t_run(0, "T verify $DIR/p --reference " MODEL " --data " EVAL " " LABELS " --runs 2 --split 50,25,25 --policy $DIR/p.json");
    end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ promoting */

static int current_is(const char *version)
{
    char line[300];
    snprintf(line, sizeof line, "test \"$(readlink $DIR/to/current)\" = '%s'", version);
    return t_shell(line) == 0;
}
static int has(const char *version)
{
    char path[100];
    snprintf(path, sizeof path, "to/%s/model.precinfer", version);
    if (!t_exists(path)) return 0;
    snprintf(path, sizeof path, "to/%s/report.json", version);
    return t_exists(path);
}
static int tidy(void) { return t_shell("test -z \"$(ls -A $DIR/to | grep '^\\.')\"") == 0; }

#define PROMOTE "T promote $DIR/p --report $DIR/j --to $DIR/to"
#define BACK "T promote --rollback --to $DIR/to"

START_TEST(promotes)
{
    begin(0);
    t_run(0, "printf '{\"precinfer_policy\":1,\"budgets\":[{\"metric\":\"agreement\",\"min\":0.9}]}' > $DIR/agree");
    t_run(0, "T convert " MODEL " -o $DIR/p --precision int8 --calibrate $DIGITS/calibration.npy --divide 16");
    t_run(0, "T verify $DIR/p --reference " MODEL " --data " EVAL " --runs 2 --min-agreement 0.9 --json $DIR/j");
    t_run(4, PROMOTE);
    t_run(0, "mkdir $DIR/to");
    t_run(2, BACK);
    t_says("no version");
    t_run(0, PROMOTE " --json $DIR/o");
    h_expect(current_is("1") && has("1") && tidy(), "the first version");
    json_t *o = load("o");
    is(o, "command", "promote");
    h_expect(number(o, "version") == 1 && !at(o, "previous"), "JSON");
    json_decref(o);
    h_expect(t_same_files("to/1/model.precinfer", "p") && t_same_files("to/1/report.json", "j"), "its files");
    t_run(2, BACK);
    t_says("version 1 is the only one");
    h_expect(current_is("1") && has("1"), "a refused rollback changes nothing");
    t_run(0, PROMOTE);
    t_run(0, PROMOTE);
    h_expect(current_is("3"), "three");
    t_run(0, BACK " --json $DIR/o");
    o = load("o");
    h_expect(number(o, "version") == 2 && number(o, "rolled_back") == 3, "JSON");
    json_decref(o);
    h_expect(current_is("2") && !t_exists("to/3") && has("3.rolled-back") && tidy(), "rolled back");
    t_run(0, PROMOTE);
    h_expect(current_is("4") && has("4"), "a number is not used again");
    t_run(0, BACK);
    h_expect(current_is("2"), "past the gap");
    /* verdicts and hashes */
    t_run(0, "T verify $DIR/p --reference " MODEL " --data " EVAL " --runs 2 --json $DIR/n");
    t_run(2, "T promote $DIR/p --report $DIR/n --to $DIR/to");
    t_says("no limit given");
    t_run(3, "T verify $DIR/p --reference " MODEL " --data " EVAL " --runs 2 --min-agreement 0.999 --skip 800 --json $DIR/n");
    t_run(3, "T promote $DIR/p --report $DIR/n --to $DIR/to");
    t_run(0, "T convert " MODEL " -o $DIR/f --precision f32 --divide 16");
    t_run(2, "T promote $DIR/f --report $DIR/j --to $DIR/to");
    t_says("hash");
    t_run(0, "T convert " MODEL " -o $DIR/f --precision f32 --divide 16 --strict --json $DIR/n");
    t_run(2, "T promote $DIR/f --report $DIR/n --to $DIR/to");
    t_says("nothing was verified");
    t_run(2, "T promote $DIR/none --report $DIR/j --to $DIR/to");
    t_run(2, "T promote " MODEL " --report $DIR/j --to $DIR/to");
    json_t *j = load("j");
    json_object_set_new(j, "model_hash", json_string("0123456789abcdef"));
    store("m", j);
    t_run(2, "T promote $DIR/p --report $DIR/m --to $DIR/to");
    t_says("model_hash");
    json_object_set_new(j, "recorded", json_true());
    store("m", j);
    t_run(2, "T promote $DIR/p --report $DIR/m --to $DIR/to");
    t_says("recorded");
    json_decref(j);
    /* a verdict that the contrasts of the report belie */
    t_run(0, "T verify $DIR/p --reference " MODEL " --data " EVAL " --runs 2 --policy $DIR/agree --json $DIR/n");
    j = load("n");
    json_object_set_new(json_array_get(at(j, "contrasts"), 0), "verdict", json_string("fail"));
    store("m", j);
    json_decref(j);
    t_run(2, "T promote $DIR/p --report $DIR/m --to $DIR/to");
    t_says("contradicts itself");
    h_expect(current_is("2") && tidy(), "refusals change nothing");
    /* a write that fails */
    t_run(4, "ulimit -f 8; " "\"$TOOL\" promote $DIR/p --report $DIR/j --to $DIR/to");
    h_expect(current_is("2") && !t_exists("to/5") && tidy(), "a failed write leaves nothing");
    t_run(0, "rm $DIR/to/current; mkdir $DIR/to/current");
    t_run(2, PROMOTE);
    t_says("no symbolic link");
    t_run(0, "rmdir $DIR/to/current; ln -s elsewhere $DIR/to/current");
    t_run(2, BACK);
    t_says("names no version");
    end();
}
END_TEST

/* Every state that a process may leave behind when it dies, made by hand. */
START_TEST(interrupted)
{
    begin(0);
    t_run(0, "T convert " MODEL " -o $DIR/p --precision f32 --divide 16");
    t_run(0, "T verify $DIR/p --reference " MODEL " --data " EVAL " --runs 2 --min-agreement 0.9 --json $DIR/j");
    t_run(0, "mkdir $DIR/to");
    for (int i = 0; i < 3; i++) t_run(0, PROMOTE);
    t_run(0, "cp -a $DIR/to $DIR/saved");
#define AFRESH "rm -rf $DIR/to; cp -a $DIR/saved $DIR/to; "
    /* a promote: half a version; a version that current does not show yet */
    t_run(0, AFRESH "mkdir $DIR/to/.promote-99999; echo x > $DIR/to/.promote-99999/model.precinfer; ln -s 9 $DIR/to/.link-99999");
    t_run(0, PROMOTE);
    h_expect(current_is("4") && tidy(), "after half a version");
    t_run(0, AFRESH "ln -sfn 2 $DIR/to/current");
    t_run(0, PROMOTE);
    h_expect(current_is("4") && has("3"), "after a version that current did not show");
    t_run(0, AFRESH "ln -sfn 2 $DIR/to/current");
    t_run(0, BACK);
    h_expect(current_is("2") && has("3.rolled-back") && !t_exists("to/3"), "back from a version that current did not show");
    t_run(0, AFRESH "rm $DIR/to/current");
    t_run(0, BACK);
    h_expect(current_is("2") && has("3.rolled-back"), "without current");
    /* a rollback from 3: noted; current moved; renamed */
    static const char *const steps[] = { "ln -s 3 $DIR/to/.rollback", "ln -s 3 $DIR/to/.rollback; ln -sfn 2 $DIR/to/current",
        "ln -s 3 $DIR/to/.rollback; ln -sfn 2 $DIR/to/current; mv $DIR/to/3 $DIR/to/3.rolled-back" };
    for (int i = 0; i < 3; i++) {
        t_run(0, AFRESH "%s", steps[i]);
        t_run(0, BACK);
        h_expect(current_is("2") && has("2") && has("3.rolled-back") && !t_exists("to/3") && tidy(),
                 "rollback, step %d, rollback", i);
        t_run(0, AFRESH "%s", steps[i]);
        t_run(0, PROMOTE);
        h_expect(current_is("4") && has("3.rolled-back") && !t_exists("to/3") && tidy(), "rollback, step %d, promote", i);
        t_run(0, BACK);
        h_expect(current_is("2"), "rollback, step %d, promote, rollback", i);
    }
    t_run(0, AFRESH "ln -s 1 $DIR/to/.rollback");
    t_run(0, PROMOTE);
    h_expect(current_is("4") && has("1") && tidy(), "a rollback to nothing");
    /* many at once: every one gets a number of its own */
    t_run(0, AFRESH "for i in 1 2 3 4 5 6; do \"$TOOL\" promote $DIR/p --report $DIR/j --to $DIR/to > /dev/null & done; wait");
    h_expect(current_is("9") && has("4") && has("5") && has("6") && has("7") && has("8") && has("9") && tidy(), "six at once");
    end();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("tool_gate");
    h_add(s, "recorded, flags", recorded_flags, 1, 120);
    h_add(s, "a plan by policy", plan, 1, 120);
    h_add(s, "failing", failing, 1, 120);
    h_add(s, "goes on", goes_on, 1, 120);
    h_add(s, "a plan goes on", plan_goes_on, 1, 120);
    h_add(s, "columns", columns, 1, 60);
    h_add(s, "positions", positions, 1, 60);
    h_add(s, "targets and figures", targets, 1, 60);
    h_add(s, "one set cut in three", cut, 1, 60);
    h_add(s, "promote", promotes, 1, 120);
    h_add(s, "interrupted", interrupted, 1, 120);
    return s;
}
#else
START_TEST(core)
{
    begin(0);
    make_outputs(200);
    save_directory("r", "logits", ref, 0, N, 1, 1);
    save_directory("c", "logits", cand, 0, N, 0, 1);
    t_run(2, "T verify " PAIR " --policy preset:int8-nvidia");
    t_says("WITH_ONNX=0");
    t_run(2, "T promote $DIR/p --report $DIR/j --to $DIR");
    t_says("WITH_ONNX=0");
    t_run(2, "T promote --rollback --to $DIR");
    end();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("tool_gate");
    h_add(s, "recorded, flags", recorded_flags, 1, 120);
    h_add(s, "core", core, 1, 60);
    return s;
}
#endif
