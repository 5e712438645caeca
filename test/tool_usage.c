/* The command line: exit codes, the one line on stderr, help, failed writes. */
#include "tool.h"

#define MODEL "$DIGITS/digits.onnx"
#define EVAL "$DIGITS/evaluation.npy"
#define LABELS "--labels $DIGITS/evaluation_labels.npy"

/* What is wrong on the command line is exit 2 and one line; nothing is written. */
static const char *const wrong[] = {
    "T", "T nonsense", "T --nonsense", "T -x",
    "T calibrate", "T calibrate " MODEL, "T calibrate " MODEL " --data " EVAL, "T calibrate " MODEL " -o $DIR/s",
        "T calibrate " MODEL " " MODEL " --data " EVAL " -o $DIR/s",
    "T calibrate " MODEL " --data " EVAL " -o $DIR/s --samples 0", "T calibrate " MODEL " --data " EVAL " -o $DIR/s --samples -1",
    "T calibrate " MODEL " --data " EVAL " -o $DIR/s --samples 1e2",
        "T calibrate " MODEL " --data " EVAL " -o $DIR/s --samples 99999999999999999999",
    "T calibrate " MODEL " --data " EVAL " -o $DIR/s --samples 900", "T calibrate " MODEL " --data " EVAL " -o $DIR/s --samples",
    "T calibrate " MODEL " --data " EVAL " --data " EVAL " -o $DIR/s", "T calibrate " MODEL " --data --quiet -o $DIR/s",
        "T calibrate " MODEL " --data " EVAL " -o ''",
    "T calibrate $DIR/none.onnx --data " EVAL " -o $DIR/s", "T calibrate " MODEL " --data $DIR/none.npy -o $DIR/s",
        "T calibrate " EVAL " --data " EVAL " -o $DIR/s",
    "T calibrate /dev/null --data " EVAL " -o $DIR/s", "T calibrate " MODEL " --data " MODEL " -o $DIR/s",
        "T calibrate $DIR --data " EVAL " -o $DIR/s",
    "T calibrate " MODEL " --data " EVAL " -o $DIR/s --divide 0",
        "T calibrate " MODEL " --data " EVAL " -o $DIR/s --divide 0x10",
            "T calibrate " MODEL " --data " EVAL " -o $DIR/s --divide nan",
    "T calibrate " MODEL " --data " EVAL " -o $DIR/s --mean 1,", "T calibrate " MODEL " --data " EVAL " -o $DIR/s --std 1,0",
        "T calibrate " MODEL " --data " EVAL " -o $DIR/s --layout chwn",
    "T calibrate " MODEL " --data " EVAL " -o $DIR/s --mean 1,2 --std 1,2,3",
        "T calibrate " MODEL " --data " EVAL " -o $DIR/s --mean 1,2,3",
    "T calibrate " MODEL " --data " EVAL " -o $DIR/s --cpu-mask nonsense",
        "T calibrate " MODEL " --data " EVAL " -o $DIR/s --threads 0",
            "T calibrate " MODEL " --data " EVAL " -o $DIR/s --threads 100000",
    "T calibrate " MODEL " --data " EVAL " -o $DIR/s --shape image",
        "T calibrate " MODEL " --data " EVAL " -o $DIR/s --shape nothing=1",
            "T calibrate " MODEL " --data " EVAL " -o $DIR/s --shape image=1,1,8",
    "T calibrate " MODEL " --data " EVAL " -o $DIR/s --shape image=1,1,9,8",
        "T calibrate " MODEL " --data " EVAL " -o $DIR/s --judge x", "T calibrate " MODEL " --data " EVAL " -o $DIR/s --quiet=1",
    "T convert", "T convert " MODEL, "T convert " MODEL " -o $DIR/p", "T convert " MODEL " -o $DIR/p --precision int8",
        "T convert " MODEL " -o $DIR/p --precision fp16",
    "T convert " MODEL " -o $DIR/p --precision f32,bf16", "T convert " MODEL " -o $DIR/p --precision f32 --recipe x",
        "T convert " MODEL " -o $DIR/p --recipe $DIR/none.json",
    "T convert " MODEL " -o $DIR/p --precision int8 --stats $DIR/none --calibrate " EVAL,
        "T convert " MODEL " -o $DIR/p --precision int8 --stats $DIR/none",
            "T convert " MODEL " -o $DIR/p --precision int8 --stats " EVAL,
    "T convert " MODEL " -o $DIR/p --precision f32 --samples 3", "T convert " MODEL " -o $DIR/p --precision f32 --labels x",
        "T convert " MODEL " -o $DIR/p --precision f32 --max-drop 1pt",
    "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " --max-drop 1pt",
        "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " " LABELS " --max-drop 1",
    "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " " LABELS " --max-drop 1%%",
        "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " " LABELS " --max-drop -1pt",
    "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " " LABELS " --max-drop pt",
        "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " --min-agreement 99%%",
    "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " --min-agreement 1.01",
        "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " --skip 899",
    "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " --judge nothing",
        "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " --runs 0",
    "T convert " MODEL " -o $DIR/p --precision f32 --verify " EVAL " --labels $DIGITS/calibration.npy",
    "T verify", "T verify " MODEL, "T verify " MODEL " --reference " MODEL " --data " EVAL,
        "T verify $DIR/none --reference " MODEL " --data " EVAL,
    "T verify " MODEL " --candidate " EVAL, "T verify --candidate " EVAL, "T verify --candidate " EVAL " --reference $DIR/none.npy",
        "T verify --candidate " EVAL " --reference " EVAL " --data " EVAL, "T verify --candidate " EVAL " --reference " EVAL " --divide 2",
        "T verify --candidate " EVAL " --reference " EVAL " --runs 3", "T verify --candidate " EVAL " --reference " EVAL " --split 1,1,1",
        "T verify $DIR/none --reference " MODEL " --data " EVAL " --map a=b",
        "T verify --candidate " EVAL " --reference " EVAL " --continue $DIR/none",
        "T verify --candidate " EVAL " --reference " EVAL " --policy $DIR/none",
        "T verify --candidate " EVAL " --reference " EVAL " --policy preset:",
        "T verify --candidate " EVAL " --reference " EVAL " --policy preset:../x",
        "T verify --candidate " EVAL " --reference " EVAL " --max-drop 1pt", "T verify --candidate " EVAL " --reference " EVAL " --skip 899",
    "T calibrate " MODEL " --data " EVAL " -o $DIR/s --split 50,50", "T calibrate " MODEL " --data " EVAL " -o $DIR/s --split 0,0,0",
        "T calibrate " MODEL " --data " EVAL " -o $DIR/s --split 1,1,1,1", "T calibrate " MODEL " --data " EVAL " -o $DIR/s --split 0,1,1",
        "T calibrate " MODEL " --data " EVAL " -o $DIR/s --split 50,-1,1", "T convert " MODEL " -o $DIR/p --precision f32 --split 1,1,1",
        "T convert " MODEL " -o $DIR/p --precision f32 --policy preset:int8-nvidia", "T convert " MODEL " -o $DIR/p --precision f32 --html $DIR/h",
    "T promote", "T promote " MODEL " --to $DIR", "T promote --to $DIR", "T promote --to $DIR --report $DIR/none",
        "T promote " MODEL " --report $DIR/none --to $DIR", "T promote " MODEL " --report " MODEL " --to $DIR",
        "T promote --rollback", "T promote --rollback --to $DIR", "T promote " MODEL " --rollback --to $DIR",
        "T promote --rollback --to $DIR --report x",
    "T run", "T run " MODEL, "T run " MODEL " --input " EVAL, "T run " MODEL " --output $DIR/y.npy",
        "T run " MODEL " --input $DIR/none.npy --output $DIR/y.npy",
    "T run " MODEL " --input x=" EVAL " --output $DIR/y.npy", "T run " MODEL " --input image= --output $DIR/y.npy",
        "T run " MODEL " --input " EVAL " --input " EVAL " --output $DIR/y.npy",
    "T run " MODEL " --input image=" EVAL " --output x=$DIR/y.npy",
        "T run " MODEL " --input $DIGITS/evaluation_labels.npy --output $DIR/y.npy",
            "T run " MODEL " --input " MODEL " --output $DIR/y.npy",
    "T run " MODEL " --input image=" EVAL " --output $DIR/y.npy --batch 0",
    "T explain", "T explain " MODEL " --precision f32,int8", "T explain " MODEL " --cpu nonsense",
        "T explain " MODEL " --cpu zen2 --cpu-mask avx512", "T inspect", "T inspect " MODEL " " MODEL, "T inspect $DIR",
            "T inspect $DIR/none",
    "T bench", "T bench $DIR/none", "T bench " MODEL " --precision f32,f32", "T bench " MODEL " --precision ,f32",
        "T bench " EVAL,
};
enum { NWRONG = sizeof wrong / sizeof *wrong, STEP = 8 };

START_TEST(usage)
{
    t_start();
    for (int i = _i * STEP; i < NWRONG && i < (_i + 1) * STEP; i++) {
        char plain[1024];                           /* %% in the table is for t_run's format */
        size_t n = 0;
        for (const char *s = wrong[i]; *s; s++) if (*s != '%' || s[1] != '%') plain[n++] = *s;
        plain[n] = 0;
        t_run(2, "%s", !strcmp(plain, "T") ? "T " : plain);
        h_expect(!t_exists("p") && !t_exists("s") && !t_exists("y.npy"), "%s: something was written", plain);
    }
    t_end();
}
END_TEST

START_TEST(help)
{
    static const char *const commands[] = { "calibrate", "convert", "verify", "run", "explain", "inspect", "bench", "promote" };
    t_start();
    t_run(0, "T --version");
    h_expect(!strncmp(t_out, "precinfer ", 10) && strchr(t_out, '.'), "version: %s", t_out);
    t_run(0, "T --help");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) t_says(commands[i]);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        t_run(0, "T %s --help", commands[i]);
        t_says("--threads");
        t_run(0, "T %s --version", commands[i]);
    }
    t_run(0, "T convert --help");
    t_says("--max-drop");
    t_run(0, "T explain --cpu help");
    t_says("sapphirerapids");
    t_end();
}
END_TEST

/* A write that fails is exit 4, and no signal; what was there before stays. */
START_TEST(writes)
{
    t_start();
    t_run(4, "T calibrate " MODEL " --data $DIGITS/calibration.npy -o $DIR/none/s");
    t_run(4, "T calibrate " MODEL " --data $DIGITS/calibration.npy -o /dev/full");
    t_run(4, "T calibrate " MODEL " --data $DIGITS/calibration.npy -o $DIR");
    t_run(4, "T convert " MODEL " -o $DIR/none/p --precision f32");
    t_run(4, "T convert " MODEL " -o /dev/full --precision f32");
    t_run(4, "T run " MODEL " --input " EVAL " --output /dev/full");
    t_run(4, "T run " MODEL " --input " EVAL " --output $DIR/none/y.npy");
    t_run(4, "T inspect " MODEL " --json $DIR/none/j");
    t_run(4, "T inspect " MODEL " --json /dev/full");
    t_run(4, "T inspect " MODEL " > /dev/full");
    t_run(4, "T --help > /dev/full");
    ck_assert_int_eq(t_shell("( \"$TOOL\" inspect " MODEL " 2>\"$DIR/e\"; echo $? >\"$DIR/rc\" ) | sleep 0"), 0);
    char *rc = t_read("rc");
    h_expect(rc && (!strcmp(rc, "4\n") || !strcmp(rc, "0\n")), "a closed pipe: exit %s", rc ? rc : "?");
    free(rc);
    t_run(0, "echo old > $DIR/p; T=1; true");
    t_run(4, "ulimit -f 1; \"$TOOL\" convert " MODEL " -o $DIR/p --precision f32");
    char *old = t_read("p");
    h_expect(old && !strcmp(old, "old\n"), "a failed write changed its target");
    free(old);
    t_run(0, "test $(ls -A $DIR | grep -c tmp) = 0");
    t_run(0, "T inspect $DIGITS/calibration.npy --json /dev/stdout >$DIR/j 2>$DIR/t");
    t_end();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("tool_usage");
    h_add(s, "usage", usage, (NWRONG + STEP - 1) / STEP, 60);
    h_add(s, "help", help, 1, 60);
    h_add(s, "writes", writes, 1, 60);
    return s;
}
