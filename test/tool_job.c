/* The command line at work: the main job, its gates, preprocessing, batches, and the JSON that others parse. */
#include "tool.h"

#if PI_WITH_ONNX
#include <jansson.h>
#include "onnx_model.h"

#define MODEL "$DIGITS/digits.onnx"
#define CALIB "--calibrate $DIGITS/calibration.npy --divide 16"
#define EVAL "--verify $DIGITS/evaluation.npy --labels $DIGITS/evaluation_labels.npy --runs 3"

/* ------------------------------------------------------------------------------------------------ JSON */

static json_t *load(const char *name)
{
    char *s = t_read(name);
    json_error_t e;
    json_t *j = s ? json_loads(s, JSON_REJECT_DUPLICATES, &e) : NULL;
    ck_assert_msg(j != NULL, "%s: %s", name, s ? e.text : "is missing");
    free(s);
    return j;
}
/* "a.b.0.c" */
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
    json_t *x = at(j, path);
    h_expect(json_is_number(x), "%s is no number", path);
    return json_number_value(x);
}
static const char *string(json_t *j, const char *path)
{
    json_t *x = at(j, path);
    h_expect(json_is_string(x), "%s is no string", path);
    return json_is_string(x) ? json_string_value(x) : "";
}
static void is(json_t *j, const char *path, const char *want)
{
    const char *got = string(j, path);
    h_expect(!strcmp(got, want), "%s is '%s', not '%s'", path, got, want);
}
static void hash(json_t *j, const char *path)
{
    const char *s = string(j, path);
    h_expect(strlen(s) == 16 && strspn(s, "0123456789abcdef") == 16 && strcmp(s, "0000000000000000"), "%s is '%s'", path, s);
}
static void share(json_t *j, const char *path)
{
    const double x = number(j, path);
    h_expect(x >= 0 && x <= 1, "%s is %g", path, x);
}

static void check_latency(json_t *j)
{
    static const char *const words[] = { "f32", "int8" };
    h_expect(json_array_size(at(j, "latency")) == 2 && json_array_size(at(j, "memory")) == 2, "latency and memory of two plans");
    for (size_t i = 0; i < 2; i++) {
        json_t *l = json_array_get(at(j, "latency"), i), *m = json_array_get(at(j, "memory"), i);
        is(l, "precision", words[i]);
        is(m, "precision", words[i]);
        h_expect(number(l, "median_ns") > 0 && number(l, "p10_ns") <= number(l, "median_ns")
                 && number(l, "p90_ns") >= number(l, "median_ns"), "latencies in order");
        h_expect(number(l, "threads") == 1 && number(l, "batch") == 1 && number(l, "runs") == 3, "threads, batch, runs");
        h_expect(!at(l, "p99_ns"), "p99 of three runs");
        h_expect(number(m, "weights_bytes") > 0 && number(m, "workspace_bytes") >= number(m, "workspace_bound_bytes")
                 && number(m, "workspace_bound_bytes") > 0, "memory");
    }
    h_expect(number(j, "memory.1.weights_bytes") < number(j, "memory.0.weights_bytes") / 3, "int8 weights are a quarter");
}

/* ------------------------------------------------------------------------------------------------ the main job */

START_TEST(main_job)
{
    t_start();
    t_run(0,
          "T convert " MODEL " -o $DIR/p --precision int8 " CALIB " --recipe-out $DIR/r.json " EVAL " --min-agreement 0.95"
          " --max-drop 2pt --json $DIR/j");
    t_says("verdict: pass");
    t_says("Clopper-Pearson");
    t_says("one look");
    json_t *j = load("j"), *again;
    is(j, "precinfer", precinfer_version());
    is(j, "command", "convert");
    is(j, "model", "examples/digits/digits.onnx");
    hash(j, "model_hash"); hash(j, "recipe_hash"); hash(j, "plan_hash"); hash(j, "data_hash");
    h_expect(number(j, "samples") == 899 && number(j, "overlap_samples") == 0, "samples");
    share(j, "accuracy.reference"); share(j, "accuracy.candidate");
    h_expect(number(j, "accuracy.reference") > 0.9, "the digits network is right in %g", number(j, "accuracy.reference"));
    const double lost = number(j, "accuracy.lost"), gained = number(j, "accuracy.gained");
    const double drop = number(j, "drop.points") - 100 * (lost - gained) / 899;
    h_expect(drop < 1e-9 && drop > -1e-9, "drop is lost less gained");
    share(j, "agreement.share"); share(j, "agreement.lower"); share(j, "agreement.upper");
    h_expect(number(j, "agreement.lower") <= number(j, "agreement.share")
             && number(j, "agreement.share") <= number(j, "agreement.upper"), "bounds");
    h_expect(number(j, "agreement.limit") == 0.95 && number(j, "drop.limit_points") == 2, "limits");
    is(j, "agreement.method", "Clopper-Pearson, 95%, one-sided");
    h_expect(number(j, "drop.lower_points") <= number(j, "drop.points")
             && number(j, "drop.points") <= number(j, "drop.upper_points"), "bounds of the drop");
    h_expect(!at(j, "needed_samples"), "decided, yet needed_samples");
    is(j, "verdict", "pass");
    check_latency(j);
    size_t i, int8 = 0;
    json_t *l;
    double worst = -1e9;
    json_array_foreach(at(j, "layers"), i, l) {
        string(l, "name"); string(l, "op"); string(l, "kernel");
        int8 += !strcmp(string(l, "precision"), "int8");
        h_expect(number(l, "median_ns") >= 0, "median_ns");
        json_t *sqnr = at(l, "sqnr_db");
        if (!json_is_number(sqnr)) continue;
        h_expect(json_number_value(sqnr) >= worst, "worst SQNR first");
        worst = json_number_value(sqnr);
    }
    h_expect(int8 >= 7, "%zu layers at int8", int8);
    /* the file says the same, and needs no preprocessing flags */
    t_run(0,
          "T verify $DIR/p --reference " MODEL " --data $DIGITS/evaluation.npy --labels $DIGITS/evaluation_labels.npy --runs 3"
          " --json $DIR/v");
    t_says("no limit given");
    again = load("v");
    is(again, "command", "verify");
    is(again, "verdict", "no limit given");
    static const char *const same[] = { "model_hash", "recipe_hash", "plan_hash", "data_hash", "samples", "accuracy" };
    for (i = 0; i < sizeof same / sizeof *same; i++) h_expect(json_equal(at(j, same[i]), at(again, same[i])),
                                                              "%s differs between convert and verify", same[i]);
    h_expect(number(again, "agreement.share") == number(j, "agreement.share") && !at(again, "agreement.limit")
             && !at(again, "drop.limit_points"), "agreement");
    json_decref(again);
    json_decref(j);
    /* the recipe alone gives the same plan */
    t_run(0, "T convert " MODEL " -o $DIR/q --recipe $DIR/r.json --json $DIR/j");
    t_run(0, "T run $DIR/p --input $DIGITS/evaluation.npy --output $DIR/y1.npy");
    t_run(0, "T run $DIR/q --input $DIGITS/evaluation.npy --output $DIR/y2.npy");
    h_expect(t_same_files("y1.npy", "y2.npy"), "the recipe gives other bits");
    t_end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ gates */

START_TEST(gates)
{
    t_start();
    t_run(0, "T calibrate " MODEL " --data $DIGITS/calibration.npy --divide 16 -o $DIR/s --json $DIR/j");
    json_t *j = load("j");
    is(j, "command", "calibrate");
    h_expect(number(j, "samples") == 128 && json_array_size(at(j, "files")) >= 1, "calibrate's JSON");
    json_decref(j);
    /* ten samples cannot decide */
    t_run(3,
          "T convert " MODEL " -o $DIR/p --precision int8 --stats $DIR/s --verify $DIGITS/evaluation.npy --runs 2 --skip 889"
          " --min-agreement 0.9 --json $DIR/j --keep-rejected");
    h_expect(!t_exists("p") && t_exists("p.rejected"), "an undecided plan was written, or not kept");
    t_says("not enough samples");
    j = load("j");
    is(j, "verdict", "not enough samples");
    h_expect(number(j, "needed_samples") > 10 && number(j, "samples") == 10, "needed samples");
    h_expect(!at(j, "accuracy") && !at(j, "drop"), "accuracy without labels");
    json_decref(j);
    t_run(2, "T run $DIR/p.rejected --input $DIGITS/evaluation.npy --output $DIR/y.npy");
    t_run(0, "T run $DIR/p.rejected --input $DIGITS/evaluation.npy --output $DIR/y.npy --force");
    t_run(2, "T bench $DIR/p.rejected --runs 2");
    t_run(0, "T bench $DIR/p.rejected --runs 2 --force");
    t_run(0, "T inspect $DIR/p.rejected");
    t_says("REJECTED");
    t_run(0, "T explain $DIR/p.rejected");
    t_run(0, "T verify $DIR/p.rejected --reference " MODEL " --data $DIGITS/evaluation.npy --runs 2");
    /* a drop in accuracy needs labels */
    t_run(2, "T verify $DIR/p.rejected --reference " MODEL " --data $DIGITS/evaluation.npy --runs 2 --max-drop 1pt");
    t_end();
}
END_TEST

/* A recipe is edited: conv scales a thousand times too coarse make a plan that fails. */
START_TEST(failing)
{
    t_start();
    t_run(0, "T convert " MODEL " -o $DIR/p --precision int8 " CALIB " --recipe-out $DIR/r.json");
    json_t *r = load("r.json");
    const char *name;
    json_t *node;
    char path[256];
    json_object_foreach(at(r, "nodes"), name, node)
        for (size_t i = 0; i < json_array_size(at(node, "weight_scales")); i++)
            json_array_set_new(at(node, "weight_scales"), i, json_real(10));
    snprintf(path, sizeof path, "%s/bad.json", t_dir);
    ck_assert_int_eq(json_dump_file(r, path, 0), 0);
    t_run(1,
          "T convert " MODEL " -o $DIR/q --recipe $DIR/bad.json --recipe-out $DIR/out.json " EVAL " --min-agreement 0.9"
          " --max-drop 1%%rel --json $DIR/j");
    h_expect(!t_exists("q") && !t_exists("q.rejected") && t_exists("out.json"), "what a failed convert writes");
    json_t *j = load("j");
    is(j, "verdict", "fail");
    h_expect(!at(j, "needed_samples"), "decided, yet needed_samples");
    const double limit = number(j, "drop.limit_points") - number(j, "accuracy.reference");
    h_expect(limit < 1e-9 && limit > -1e-9, "1%%rel of the reference's accuracy");
    json_decref(j);
    /* one node at f32: accepted, another hash; an unknown key and a wrong type: exit 2 */
    json_decref(r);
    r = load("r.json");
    json_object_set_new(json_object_iter_value(json_object_iter(at(r, "nodes"))), "precision", json_string("f32"));
    json_object_del(json_object_iter_value(json_object_iter(at(r, "nodes"))), "weight_scales");
    ck_assert_int_eq(json_dump_file(r, path, 0), 0);
    t_run(0, "T convert " MODEL " -o $DIR/q --recipe $DIR/bad.json --strict --json $DIR/j");
    t_says("mixed");
    j = load("j");
    is(j, "verdict", "pass");
    json_decref(j);
    json_object_set_new(r, "surprise", json_integer(1));
    ck_assert_int_eq(json_dump_file(r, path, 0), 0);
    t_run(2, "T convert " MODEL " -o $DIR/z --recipe $DIR/bad.json");
    t_says("surprise");
    json_decref(r);
    /* a damaged plan */
    t_run(0, "cp $DIR/p $DIR/d; printf x | dd of=$DIR/d bs=1 seek=5000 conv=notrunc 2>/dev/null");
    t_run(2, "T run $DIR/d --input $DIGITS/evaluation.npy --output $DIR/y.npy");
    t_run(0, "head -c 3000 $DIR/p >$DIR/d");
    t_run(2, "T inspect $DIR/d");
    t_end();
}
END_TEST

START_TEST(overlap)
{
    t_start();
    t_run(2, "T convert " MODEL " -o $DIR/p --precision int8 --calibrate $DIGITS/evaluation.npy --samples 100 --divide 16 " EVAL);
    t_says("100 of 899");
    t_run(0,
          "T convert " MODEL " -o $DIR/p --precision int8 --calibrate $DIGITS/evaluation.npy --samples 100"
          " --divide 16 " EVAL " --skip 100 --json $DIR/j");
    json_t *j = load("j");
    h_expect(number(j, "samples") == 799 && number(j, "overlap_samples") == 0, "skip");
    json_decref(j);
    t_run(0,
          "T convert " MODEL " -o $DIR/p --precision int8 --calibrate $DIGITS/evaluation.npy --samples 100"
          " --divide 16 " EVAL " --allow-overlap --json $DIR/j");
    j = load("j");
    h_expect(number(j, "samples") == 899 && number(j, "overlap_samples") == 100, "allowed overlap");
    json_decref(j);
    t_says("used for calibration");
    t_run(0,
          "T convert " MODEL " -o $DIR/p --precision int8 --calibrate $DIGITS/evaluation.npy --samples 100"
          " --divide 16 " EVAL " --skip 95 --json $DIR/j");
    j = load("j");
    h_expect(number(j, "samples") == 799 && number(j, "overlap_samples") == 5, "5 of 804 are dropped and counted");
    json_decref(j);
    t_end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ data */

/* The first n images as the model wants them. */
static void write_floats(const char *name, float divide)
{
    struct h_host host = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    struct precinfer_tensor u8, f = { .dtype = PRECINFER_F32, .rank = 4, .dims = { 899, 1, 8, 8 } };
    char path[256];
    ck_assert_int_eq(precinfer_npy_load(ctx, "examples/digits/evaluation.npy", &u8, NULL), 0);
    f.data = malloc(899 * 64 * 4);
    for (size_t i = 0; i < 899 * 64; i++) ((float *)f.data)[i] = (float)((uint8_t *)u8.data)[i] / divide;
    snprintf(path, sizeof path, "%s/%s", t_dir, name);
    ck_assert_int_eq(precinfer_npy_save(ctx, path, &f, NULL), 0);
    free(f.data);
    precinfer_array_free(ctx, &u8);
    precinfer_context_free(ctx);
}

START_TEST(preprocessing)
{
    t_start();
    write_floats("f16.npy", 16);
    write_floats("f1.npy", 1);
    t_run(0, "T run " MODEL " --input $DIGITS/evaluation.npy --divide 16 --output $DIR/a.npy");
    t_run(0, "T run " MODEL " --input image=$DIR/f16.npy --output logits=$DIR/b.npy");
    h_expect(t_same_files("a.npy", "b.npy"), "preprocessed here or there");
    t_run(2, "T run " MODEL " --input $DIR/f16.npy --divide 16 --output $DIR/z.npy");
    t_run(0, "T run " MODEL " --input $DIR/f1.npy --divide 16 --raw --output $DIR/c.npy");
    h_expect(t_same_files("a.npy", "c.npy"), "--raw");
    t_run(0,
          "T run " MODEL " --input $DIGITS/evaluation.npy --divide 16 --mean 0 --std 1 --layout nhwc --batch 100 --threads 2"
          " --output $DIR/c.npy");
    h_expect(t_same_files("a.npy", "c.npy"), "batches and threads");
    t_run(0, "T run " MODEL " --input $DIGITS/calibration.npy --divide 16 --output $DIR/d.npy");
    t_run(0, "T run " MODEL " --input $DIGITS/calibration.npy --divide 16 --cpu-mask ref --output $DIR/c.npy");
    h_expect(t_same_files("d.npy", "c.npy"), "another instruction set");
    /* stored once, not repeated; repeated alike is fine, otherwise a conflict */
    t_run(0, "T convert " MODEL " -o $DIR/p --precision f32 --divide 16");
    t_run(0, "T run $DIR/p --input $DIGITS/evaluation.npy --output $DIR/c.npy");
    h_expect(t_same_files("a.npy", "c.npy"), "stored preprocessing");
    t_run(0, "T run $DIR/p --input $DIGITS/evaluation.npy --output $DIR/c.npy --divide 16");
    t_run(0, "T run $DIR/p --input $DIR/f16.npy --output $DIR/c.npy");
    h_expect(t_same_files("a.npy", "c.npy"), "the model's own type, stored preprocessing or not");
    t_run(2, "T run $DIR/p --input $DIGITS/evaluation.npy --output $DIR/z.npy --divide 255");
    t_run(2, "T run $DIR/p --input $DIR/f16.npy --output $DIR/z.npy --divide 16");
    t_run(0, "T calibrate " MODEL " --data $DIGITS/calibration.npy --divide 16 -o $DIR/s");
    t_run(2, "T convert " MODEL " -o $DIR/z --precision int8 --stats $DIR/s --divide 15");
    t_run(0, "T convert " MODEL " -o $DIR/q --precision int8 --stats $DIR/s --divide 16");
    t_run(2, "T verify $DIR/q --reference " MODEL " --data $DIGITS/evaluation.npy --mean 1");
    h_expect(!t_exists("z") && !t_exists("z.npy"), "something was written");
    t_end();
}
END_TEST

/* Two inputs, a fixed batch, a name with '=' in it, a scalar. */
static void write_model(const char *name, int fixed)
{
    struct m m;
    size_t n;
    char path[256];
    float w[12];
    const int64_t open[] = { -1, 4 }, two[] = { 2, 4 }, wide[] = { 4, 3 };
    m_start(&m, 13);
    for (int i = 0; i < 12; i++) w[i] = (float)(i % 5) - 2;
    m_input(&m, "a=b", M_TYPE(FLOAT), 2, fixed ? two : open);
    m_input(&m, "k", M_TYPE(FLOAT), 0, NULL);
    m_initializer(&m, "w", M_TYPE(FLOAT), 2, wide, w, sizeof w);
    m_node(&m, "MatMul", "mm", "a=b,w", "h");
    m_node(&m, "Mul", "", "h,k", "y");
    m_node(&m, "Neg", "", "y", "z");
    m_output(&m, "y");
    m_output(&m, "z");
    unsigned char *bytes = m_pack(&m, &n);
    snprintf(path, sizeof path, "%s/%s", t_dir, name);
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
    m_free(&m);
}
static void write_array(const char *name, int rank, int64_t rows)
{
    struct h_host host = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    float x[64];
    char path[256];
    struct precinfer_tensor t = { .data = x, .dtype = PRECINFER_F32, .rank = rank, .dims = { rows, 4 } };
    for (int i = 0; i < 64; i++) x[i] = rank ? (float)(i * 7 % 11) : 3;
    snprintf(path, sizeof path, "%s/%s", t_dir, name);
    ck_assert_int_eq(precinfer_npy_save(ctx, path, &t, NULL), 0);
    precinfer_context_free(ctx);
}

START_TEST(inputs)
{
    t_start();
    write_model("m.onnx", 0);
    write_model("f.onnx", 1);
    write_array("x8.npy", 2, 8);
    write_array("x7.npy", 2, 7);
    write_array("k.npy", 0, 0);
    t_run(0, "T run $DIR/m.onnx --input $DIR/x8.npy --input $DIR/k.npy --output $DIR/y.npy --output $DIR/z.npy");
    t_run(0,
          "T run $DIR/m.onnx --input k=$DIR/k.npy --input $DIR/x8.npy --output z=$DIR/z2.npy --output $DIR/y2.npy --batch 3"
          " --json $DIR/j");
    h_expect(t_same_files("y.npy", "y2.npy") && t_same_files("z.npy", "z2.npy"), "names, and batches of 3");
    json_t *j = load("j");
    is(j, "command", "run");
    h_expect(json_array_size(at(j, "files")) == 5, "files");
    json_decref(j);
    t_run(0, "T run $DIR/f.onnx --input \"a=b=$DIR/x8.npy\" --input $DIR/k.npy --output $DIR/y2.npy");
    h_expect(t_same_files("y.npy", "y2.npy"), "a fixed batch of 2");
    t_run(2, "T run $DIR/f.onnx --input $DIR/x7.npy --input $DIR/k.npy --output $DIR/n.npy");
    t_run(2, "T run $DIR/f.onnx --input $DIR/x8.npy --input $DIR/k.npy --output $DIR/n.npy --batch 3");
    t_run(2, "T run $DIR/m.onnx --input $DIR/x8.npy --output $DIR/n.npy");
    t_run(2, "T run $DIR/m.onnx --input k=$DIR/k.npy --input k=$DIR/k.npy --output $DIR/n.npy");
    t_run(2, "T run $DIR/m.onnx --input $DIR/k.npy --input $DIR/x8.npy --output $DIR/n.npy");
    h_expect(!t_exists("n.npy"), "something was written");
    t_run(0, "T bench $DIR/m.onnx --runs 1000 --json $DIR/j");
    j = load("j");
    h_expect(number(j, "results.0.p99_ns") > 0 && number(j, "results.0.runs") == 1000, "p99 from 1,000 runs");
    json_decref(j);
    /* nameless nodes are called by their output */
    t_run(0, "T explain $DIR/m.onnx --json $DIR/j");
    t_says("mm (");
    t_says("y (Mul)");
    t_end();
}
END_TEST

/* Two samples of 3 steps, then two of 5. */
START_TEST(lengths)
{
    struct h_host host = { 0 };
    precinfer_context *ctx = h_context(&host, NULL);
    struct m m;
    size_t n;
    char path[256];
    float w[12], x[40];
    const int64_t open[] = { -1, -2, 4 }, wide[] = { 4, 3 };
    t_start();
    for (int i = 0; i < 12; i++) w[i] = (float)(i % 5) - 2;
    for (int i = 0; i < 40; i++) x[i] = (float)(i * 7 % 11) - 5;
    m_start(&m, 13);
    m_input(&m, "x", M_TYPE(FLOAT), 3, open);
    m_initializer(&m, "w", M_TYPE(FLOAT), 2, wide, w, sizeof w);
    m_node(&m, "MatMul", "mm", "x,w", "y");
    m_output(&m, "y");
    unsigned char *bytes = m_pack(&m, &n);
    snprintf(path, sizeof path, "%s/m.onnx", t_dir);
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
    m_free(&m);
    t_run(0, "mkdir $DIR/x");
    for (int i = 0; i < 2; i++) {
        struct precinfer_tensor t = { .data = x, .dtype = PRECINFER_F32, .rank = 3, .dims = { 2, 3 + 2 * i, 4 } };
        snprintf(path, sizeof path, "%s/x/%d.npy", t_dir, i);
        ck_assert_int_eq(precinfer_npy_save(ctx, path, &t, NULL), 0);
    }
    precinfer_context_free(ctx);
    t_run(0, "T calibrate $DIR/m.onnx --data $DIR/x -o $DIR/s");
    t_run(0, "T calibrate $DIR/m.onnx --data $DIR/x -o $DIR/s2 --batch 2");
    h_expect(t_same_files("s", "s2"), "statistics in batches");
    t_run(0, "T convert $DIR/m.onnx -o $DIR/p --precision int8 --stats $DIR/s --verify $DIR/x --allow-overlap --runs 2");
    t_says("4 of 4 samples were used");
    t_end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ strict */

/* A product with constant weights of three dimensions has no lowered form: a breach, with and without --verify. */
START_TEST(strict)
{
    t_start();
    struct m m;
    size_t n;
    char path[256];
    float w[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3 };
    const int64_t in[] = { -1, 1, 4 }, deep[] = { 1, 4, 3 };
    m_start(&m, 13);
    m_input(&m, "x", M_TYPE(FLOAT), 3, in);
    m_initializer(&m, "w", M_TYPE(FLOAT), 3, deep, w, sizeof w);
    m_node(&m, "MatMul", "deep", "x,w", "h");
    m_node(&m, "Softmax", "soft", "h", "y");
    m_output(&m, "y");
    unsigned char *bytes = m_pack(&m, &n);
    snprintf(path, sizeof path, "%s/m.onnx", t_dir);
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
    m_free(&m);
    write_array("x.npy", 2, 8);
    t_run(0, "T convert $DIR/m.onnx -o $DIR/f --precision f32 --strict");
    t_run(0, "T convert $DIR/m.onnx -o $DIR/p --precision bf16");
    t_run(1, "T convert $DIR/m.onnx -o $DIR/q --precision bf16 --strict --json $DIR/j");
    h_expect(t_exists("f") && t_exists("p") && !t_exists("q"), "which plans were written");
    t_says("deep");
    json_t *j = load("j");
    is(j, "verdict", "fail");
    json_decref(j);
    t_end();
}
END_TEST

/* ------------------------------------------------------------------------------------------------ the other commands */

START_TEST(others)
{
    t_start();
    t_run(0, "T bench " MODEL " --precision f32,bf16,int8 --runs 3 --batch 2 --json $DIR/j");
    t_says("seeded noise");
    json_t *j = load("j"), *x;
    size_t i, k;
    is(j, "command", "bench");
    string(j, "cpu");
    h_expect(json_array_size(at(j, "results")) == 3, "three results");
    json_array_foreach(at(j, "results"), i, x) {
        static const char *const words[] = { "f32", "bf16", "int8" };
        json_t *l;
        is(x, "precision", words[i]);
        is(x, "model", "examples/digits/digits.onnx");
        h_expect(number(x, "batch") == 2 && number(x, "threads") == 1 && number(x, "runs") == 3 && number(x, "median_ns") > 0,
                 "result");
        json_array_foreach(at(x, "layers"), k, l) {
            string(l, "name"); string(l, "kernel"); number(l, "median_ns");
            h_expect(!at(l, "bound_ns") == !at(l, "limiter"), "bound and limiter go together");
            if (at(l, "bound_ns")) h_expect(number(l, "bound_ns") > 0 && *string(l, "limiter"), "bound");
        }
        h_expect(k > 8, "layers");
    }
    json_decref(j);
    t_run(0, "T explain " MODEL " --precision int8 --cpu zen4 --json $DIR/j");
    j = load("j");
    is(j, "command", "explain");
    int vnni = 0;
    json_array_foreach(at(j, "nodes"), i, x) {
        json_t *c;
        string(x, "name"); string(x, "op"); string(x, "precision");
        vnni |= strstr(string(x, "chosen"), "avx512vnni") != NULL;
        json_array_foreach(at(x, "candidates"), k, c)
            h_expect(json_is_null(at(c, "cost_ns")) == json_is_string(at(c, "refused")) && *string(c, "kernel"),
                     "a candidate has a cost or a reason");
    }
    h_expect(vnni, "no VNNI on zen4");
    json_decref(j);
    t_run(0, "T explain " MODEL " --precision int8 --cpu zen4 --cpu-mask avx2");
    h_expect(!strstr(t_out, "* gemm_u8s8_12x16_avx512vnni"), "masked out, yet chosen");
    t_run(0, "T calibrate " MODEL " --data $DIGITS/calibration.npy --divide 16 -o $DIR/s");
    t_run(0, "T convert " MODEL " -o $DIR/p --precision int8 --stats $DIR/s --recipe-out $DIR/r.json");
    static const char *const files[][2] = { { MODEL, "model" }, { "$DIR/p", "plan" }, { "$DIR/s", "statistics" },
                                            { "$DIR/r.json", "recipe" },
                                            { "$DIGITS/calibration.npy", "array" } };
    for (i = 0; i < 5; i++) {
        t_run(0, "T inspect %s --json $DIR/j", files[i][0]);
        t_says(files[i][1]);
        j = load("j");
        is(j, "command", "inspect");
        is(j, "kind", files[i][1]);
        h_expect(json_array_size(at(j, "files")) == 1, "files");
        json_decref(j);
    }
    /* --json -: the table moves to stderr */
    h_expect(t_shell("T inspect " MODEL " --json -") == 0 && t_out[0] == '{' && strstr(t_err, "Conv"), "--json -");
    t_end();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("tool_job");
    h_add(s, "main job", main_job, 1, 120);
    h_add(s, "gates", gates, 1, 120);
    h_add(s, "failing", failing, 1, 120);
    if (!getenv("PI_SANITIZED")) {              /* whole evaluations, many of them: minutes each there */
        h_add(s, "overlap", overlap, 1, 120);
        h_add(s, "preprocessing", preprocessing, 1, 120);
    }
    h_add(s, "inputs", inputs, 1, 120);
    h_add(s, "lengths", lengths, 1, 120);
    h_add(s, "strict", strict, 1, 120);
    h_add(s, "others", others, 1, 120);
    return s;
}
#else
START_TEST(none) { } END_TEST
Suite *pi_suite(void)
{
    Suite *s = suite_create("tool_job");
    h_add(s, "needs ONNX", none, 1, 10);
    return s;
}
#endif
