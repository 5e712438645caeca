/* The diff from the command line: every kind of side, who is blamed, the verdict's exit codes, the minimal set that repairs. */
#include <math.h>
#include "tool.h"

#if PI_WITH_ONNX
#include <jansson.h>

#define MODEL "$DIGITS/digits.onnx"
#define EVAL "--data $DIGITS/evaluation.npy"
#define LABELS "--labels $DIGITS/evaluation_labels.npy"

static json_t *load(const char *name)
{
    char *s = t_read(name);
    json_error_t e;
    json_t *j = s ? json_loads(s, JSON_REJECT_DUPLICATES, &e) : NULL;
    ck_assert_msg(j != NULL, "%s: %s", name, s ? e.text : "is missing");
    free(s);
    return j;
}
static const char *text(json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}
static json_t *layer(json_t *j, const char *tensor)
{
    size_t i;
    json_t *l;
    json_array_foreach(json_object_get(j, "layers"), i, l) if (!strcmp(text(l, "tensor"), tensor)) return l;
    h_expect(0, "no layer writes %s", tensor);
    return NULL;
}
static double number(json_t *j, const char *key)
{
    json_t *x = json_object_get(j, key);
    h_expect(json_is_number(x), "%s is no number", key);
    return json_number_value(x);
}

/* int8 as it should be, and with one scale far too large. */
static void plans(void)
{
    t_run(0, "T convert " MODEL " -o $DIR/good.precinfer --precision int8 --calibrate $DIGITS/calibration.npy --divide 16"
             " --recipe-out $DIR/good.json");
    t_run(0, "sed 's|\\(\"/c1/c1.2/Relu_output_0\": {\"scale\": \\)[0-9.e-]*|\\10.9|' $DIR/good.json > $DIR/bad.json");
    t_run(0, "T convert " MODEL " -o $DIR/bad.precinfer --recipe $DIR/bad.json --calibrate $DIGITS/calibration.npy --divide 16");
}

START_TEST(blame)
{
    t_start();
    plans();
    t_run(0, "T diff $DIR/good.precinfer " MODEL " " EVAL " --samples 260 --json $DIR/good.diff");
    t_says("no layer falls short of its ideal by 3 dB or more");
    t_says("calibrated on the first 256 samples");
    t_run(0, "T diff $DIR/bad.precinfer " MODEL " " EVAL " --samples 260 --json $DIR/bad.diff");
    t_says("to blame first: /c1/c1.0/Conv (Conv), tensor /c1/c1.2/Relu_output_0");
    json_t *good = load("good.diff"), *bad = load("bad.diff");
    h_expect(!strcmp(text(bad, "command"), "diff") && number(bad, "samples") == 260 && number(bad, "ranges_from_samples") == 256,
             "head");
    h_expect(strlen(text(bad, "data_hash")) == 16 && !strcmp(text(bad, "data_hash"), text(good, "data_hash")),
             "the hash of the data");
    const size_t first = (size_t)json_integer_value(json_array_get(json_object_get(bad, "worst"), 0));
    json_t *l = json_array_get(json_object_get(bad, "layers"), first);
    h_expect(!strcmp(text(l, "name"), "/c1/c1.0/Conv") && !strcmp(text(l, "op"), "Conv") && !strcmp(text(l, "precision"),
        "int8"), "the worst is %s",
             text(l, "name"));
    h_expect(json_array_size(json_object_get(l, "fused")) == 2 && number(l, "excess_db") > 20 &&
             fabs(number(l, "excess_db") - (number(l, "ideal_sqnr_db") - number(l, "own_sqnr_db"))) < 1e-9, "its figures");
    /* What reads that value inherits the loss and is not to blame for it. */
    json_t *reader = layer(bad, "/Relu_output_0"), *before = layer(good, "/Relu_output_0");
    h_expect(number(reader, "inherited_sqnr_db") < number(before, "inherited_sqnr_db") - 15 &&
             fabs(number(reader, "own_sqnr_db") - number(before, "own_sqnr_db")) < 1 &&
                 fabs(number(reader, "excess_db")) < 1, "the reader is blamed");
    json_decref(good);
    json_decref(bad);
    /* Statistics that are given. */
    t_run(0, "T calibrate " MODEL " --data $DIGITS/calibration.npy --divide 16 -o $DIR/d.stats");
    t_run(0, "T diff $DIR/good.precinfer " MODEL " " EVAL " --samples 20 --stats $DIR/d.stats");
    t_says("against ranges of");
    t_end();
}
END_TEST

/* Two plans: the first layer that differs; recordings, directories, archives. */
START_TEST(sides)
{
    t_start();
    plans();
    t_run(0, "T diff $DIR/good.precinfer $DIR/good.precinfer " EVAL " --samples 20");
    t_says("stored bytes are equal in all");
    t_run(0, "T diff $DIR/bad.precinfer $DIR/good.precinfer " EVAL " --samples 20 --json $DIR/two.json");
    t_says("the first layer whose stored bytes differ: /c1/c1.0/Conv (Conv)");
    json_t *j = load("two.json");
    h_expect(!strcmp(text(j, "first_different"), "/c1/c1.0/Conv"), "first_different is %s", text(j, "first_different"));
    json_decref(j);
    t_run(0, "T diff $DIR/good.precinfer " EVAL " --samples 40 --record $DIR/good.rec");
    t_says("on 40 samples");
    t_run(0, "T diff " MODEL " " EVAL " --divide 16 --samples 40 --record $DIR/f32.rec");
    t_run(0, "T diff $DIR/bad.precinfer $DIR/good.rec " EVAL " --samples 30");
    t_says("the first layer whose stored bytes differ: /c1/c1.0/Conv (Conv)");
    t_run(0, "T diff $DIR/good.rec $DIR/f32.rec");
    t_says("40 samples");
    t_run(2, "T diff $DIR/good.rec $DIR/f32.rec " EVAL);
    t_run(2, "T diff $DIR/good.rec $DIR/f32.rec --min-agreement 0.9");
    t_run(2, "T diff $DIR/good.precinfer $DIR/good.rec --divide 16 --data $DIGITS/calibration.npy --samples 20");
    t_says("different data");
    t_run(2, "T diff $DIR/good.precinfer $DIR/good.rec " EVAL " --samples 50");
    t_says("ends after 40 samples");
    t_run(0, "head -c 30000 $DIR/good.rec > $DIR/cut.rec");
    t_run(2, "T diff $DIR/cut.rec $DIR/f32.rec");
    t_says("cut off");
    t_run(2, "T run $DIR/good.rec --input $DIGITS/evaluation.npy --output $DIR/y.npy");
    t_says("it is a recording");
    /* What any runtime could have written. */
    t_run(0, "mkdir $DIR/a $DIR/b");
    t_run(0, "T run $DIR/good.precinfer --batch 29 --input $DIGITS/evaluation.npy --output $DIR/a/logits.npy");
    t_run(0, "cp $DIR/a/logits.npy $DIR/b/logits.npy");
    t_run(0, "T diff $DIR/a $DIR/b");
    t_says("899 samples");
    t_says("1 of 1 tensors");
    /* An array of another length is told of, not passed over. */
    t_run(0, "cp $DIGITS/evaluation_labels.npy $DIR/a/y.npy; cp $DIGITS/calibration.npy $DIR/b/y.npy");
    t_run(0, "T diff $DIR/a $DIR/b");
    t_says("1 of 2 tensors");
    t_run(0, "T diff $DIR/b $DIR/a");
    t_says("1 of 2 tensors");
    t_run(0, "rm $DIR/a/y.npy $DIR/b/y.npy");
    t_run(0, "T diff $DIR/a " MODEL " " EVAL " --divide 16");
    t_says("1 of");
    t_run(2, "T diff $DIR/a " MODEL " " EVAL " --divide 16 --samples 20");
    t_says("ends after 20 samples");
    /* error without a signal is not "no error" */
    t_run(0, "mkdir $DIR/zero $DIR/much && head -c 576 $DIGITS/calibration.npy > $DIR/much/x.npy && head -c 128 $DIR/much/x.npy"
             " > $DIR/zero/x.npy && head -c 448 /dev/zero >> $DIR/zero/x.npy"
             " && for d in zero much; do sed -i 's/(128, 8, 8)/(  7, 8, 8)/' $DIR/$d/x.npy; done");
    t_run(0, "T diff $DIR/much $DIR/zero --json $DIR/z.json");
    j = load("z.json");
    h_expect(number(json_array_get(json_object_get(j, "layers"), 0), "sqnr_db") == -150, "the SQNR of errors alone");
    json_decref(j);
    t_run(2, "T diff $DIR/a/logits.npy " MODEL " " EVAL);
    t_says("one array");
    t_run(2, "T diff $DIR $DIR/a");
    t_end();
}
END_TEST

START_TEST(verdicts)
{
    t_start();
    plans();
    t_run(0, "T diff $DIR/good.precinfer " MODEL " " EVAL " --samples 300 --min-agreement 0.9");
    t_says("verdict: pass");
    t_run(1, "T diff $DIR/bad.precinfer " MODEL " " EVAL " --samples 300 --min-agreement 0.9999 --json $DIR/v.json");
    t_says("verdict: fail");
    json_t *j = load("v.json");
    h_expect(!strcmp(text(j, "verdict"), "fail"), "verdict %s", text(j, "verdict"));
    json_decref(j);
    t_run(3, "T diff $DIR/good.precinfer " MODEL " " EVAL " --samples 30 --min-agreement 0.99");
    t_says("do not decide");
    t_run(2, "T diff $DIR/good.precinfer " MODEL " " EVAL " --max-drop 1pt");
    t_says("--labels");
    t_run(0, "T diff $DIR/good.precinfer " MODEL " " EVAL " " LABELS " --samples 300 --max-drop 6pt");
    t_run(0,
          "echo '{\"precinfer_policy\": 1, \"name\": \"d\", \"budgets\": [{\"metric\": \"agreement\", \"min\": 0.9}]}' > $DIR/p.json");
    t_run(0, "T diff $DIR/good.precinfer " MODEL " " EVAL " --samples 300 --policy $DIR/p.json");
    t_says("verdict: pass");
    t_run(0, "sed 's|0.9}|0.99999}|' $DIR/p.json > $DIR/hard.json");
    t_run(3, "T diff $DIR/good.precinfer " MODEL " " EVAL " --policy $DIR/hard.json --samples 60");
    t_run(0,
          "echo '{\"precinfer_policy\": 1, \"name\": \"l\", \"budgets\": [{\"metric\": \"latency\", \"max_ratio\": 2}]}' > $DIR/l.json");
    t_run(2, "T diff $DIR/good.precinfer " MODEL " " EVAL " --policy $DIR/l.json");
    t_run(2, "T diff $DIR/good.precinfer " MODEL " " EVAL " --policy $DIR/none.json");
    t_run(2, "T diff $DIR/good.precinfer $DIR/bad.precinfer " EVAL " --samples 300 --policy $DIR/p.json");
    t_says("limits judge a plan against its model");
    t_run(2, "T diff $DIR/good.precinfer " MODEL " --divide 16 --data $DIGITS/calibration.npy --min-agreement 0.9");
    t_says("calibration");
    t_end();
}
END_TEST

/* A set is found, its recipe repairs the plan, and verification on the samples that chose it is refused. */
START_TEST(minimal)
{
    t_start();
    plans();
    t_run(0, "sed 's|\\(\"/c1/c1.2/Relu_output_0\": {\"scale\": \\)[0-9.e-]*|\\15.3|' $DIR/good.json > $DIR/bad.json");
    t_run(0, "T convert " MODEL " -o $DIR/bad.precinfer --recipe $DIR/bad.json --calibrate $DIGITS/calibration.npy --divide 16");
    t_run(2, "T diff $DIR/bad.precinfer " MODEL " " EVAL " --minimal-set");
    t_says("limits missing");
    t_run(2, "T diff $DIR/bad.precinfer " MODEL " " EVAL " --recipe-out $DIR/r.json");
    t_run(1,
          "T diff $DIR/bad.precinfer " MODEL " " EVAL " --split 0,30,70 --samples 150 --min-agreement 0.97 --minimal-set"
             " --recipe-out $DIR/r.json"
             " --json $DIR/m.json");
    t_says("second phase, the minimal set: at most 258 evaluations of about");
    t_says("taking any one out of the set fails the limits");
    json_t *j = load("m.json"), *set = json_object_get(j, "minimal_set"), *layers = json_object_get(set, "layers");
    h_expect(json_is_true(json_object_get(set, "met")) && json_is_true(json_object_get(set, "minimal")) &&
             json_array_size(layers) >= 1 &&
             json_array_size(layers) < 8, "%zu layers", json_array_size(layers));
    t_says(json_string_value(json_array_get(layers, 0)));
    json_decref(j);
    t_run(0, "T convert " MODEL " -o $DIR/new.precinfer --recipe $DIR/r.json --calibrate $DIGITS/calibration.npy --divide 16");
    t_run(0, "T verify $DIR/new.precinfer --reference " MODEL " " EVAL " --split 0,30,70 --min-agreement 0.9 --runs 3");
    t_says("verdict: pass");
    t_run(2, "T verify $DIR/new.precinfer --reference " MODEL " " EVAL " --min-agreement 0.95 --runs 3");
    t_says("tuning");
    t_run(0, "T diff $DIR/good.precinfer " MODEL " " EVAL " --samples 200 --min-agreement 0.9 --minimal-set");
    t_says("empty, the plan meets the limits");
    t_run(1,
          "T diff $DIR/bad.precinfer " MODEL " " EVAL " --samples 100 --min-agreement 1 --minimal-set"
             " --recipe-out $DIR/never.json");
    t_says("no set of layers helps");
    h_expect(!t_exists("never.json"), "a recipe that meets nothing was written");
    t_end();
}
END_TEST

START_TEST(usage)
{
    t_start();
    t_run(2, "T diff " MODEL);
    t_run(2, "T diff " MODEL " " MODEL " " MODEL);
    t_run(2, "T diff " MODEL " " MODEL);
    t_says("data missing");
    t_run(2, "T diff " MODEL " " MODEL " --record $DIR/x.rec " EVAL);
    t_run(2, "T diff " MODEL " " EVAL " --record $DIR/x.rec --stats $DIR/none");
    t_run(4, "T diff " MODEL " " EVAL " --divide 16 --record $DIR/none/x.rec");
    t_run(4, "T diff " MODEL " " MODEL " " EVAL " --divide 16 --json $DIR/none/x.json");
    t_run(2, "T diff $DIR/none " MODEL " " EVAL);
    t_run(2, "T diff " MODEL " $DIGITS/train.py " EVAL);
    t_run(2, "T verify --record x");
    t_run(0, "T diff --help");
    t_says("--minimal-set");
    t_run(0, "T diff " MODEL " " MODEL " " EVAL " --divide 16 --samples 10 --json - 2>/dev/null | grep -q js_distance");
    h_expect(!t_exists("x.rec"), "a recording that was refused is there");
    t_end();
}
END_TEST
#endif

Suite *pi_suite(void);
Suite *pi_suite(void)
{
    Suite *s = suite_create("tool_diff");
#if PI_WITH_ONNX
    h_add(s, "blame", blame, 1, 60);
    h_add(s, "sides", sides, 1, 60);
    h_add(s, "verdicts", verdicts, 1, 90);
    h_add(s, "minimal set", minimal, 1, 120);
    h_add(s, "usage", usage, 1, 60);
#endif
    return s;
}
