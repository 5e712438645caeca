/* The table of operators, shape inference with open dimensions, and what is refused. */
#include "op_reference.h"

/* Definitions of one name do not overlap, and a node of every opset from 7 to 21 finds one. */
START_TEST(test_table)
{
    static const struct { const char *name; int from, to; } gaps[] = {    /* where a name is not defined all the way */
        { "Upsample", 7, 9 }, { "Resize", 10, 21 }, { "Expand", 8, 21 }, { "Where", 9, 21 }, { "ConstantOfShape", 9, 21 },
        { "LessOrEqual", 12, 21 }, { "GreaterOrEqual", 12, 21 } };
    for (size_t i = 0; pi_opdef_at(i); i++) {
        const struct pi_opdef *d = pi_opdef_at(i);
        int from = 7, to = 21, known = 0;
        h_expect(d->infer && d->run, "%s has no infer or no run", d->name);
        h_expect(d->check || !d->params_bytes, "%s has parameters that nothing sets", d->name);
        for (size_t j = i + 1; pi_opdef_at(j); j++) {
            const struct pi_opdef *e = pi_opdef_at(j);
            if (strcmp(d->name, e->name)) continue;
            h_expect((d->until && d->until < e->since) || (e->until && e->until < d->since), "two definitions of %s overlap",
                     d->name);
        }
        for (size_t k = 0; k < sizeof gaps / sizeof *gaps; k++)
            if (!strcmp(d->name, gaps[k].name)) { from = gaps[k].from; to = gaps[k].to; }
        if (d->since == PI_OPSET_INTERNAL) {        /* no model may name it */
            h_expect(!pi_opdef_find(d->name, 13, &known), "%s is there for models", d->name);
            continue;
        }
        for (int opset = from; opset <= to; opset++)
            h_expect(pi_opdef_find(d->name, opset, &known) != NULL && known, "%s is not defined at opset %d", d->name, opset);
    }
    int known = 1;
    h_expect(!pi_opdef_find("Upsample", 13, &known) && known, "Upsample at 13");
    h_expect(!pi_opdef_find("NoSuchOperator", 13, &known) && !known, "NoSuchOperator");
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- open dimensions */

struct world { struct h_host host; precinfer_context *ctx; precinfer_graph *g; int64_t n, m; };
static void w_open(struct world *w)
{
    struct precinfer_error err;
    memset(w, 0, sizeof *w);
    w->ctx = h_context(&w->host, NULL);
    ck_assert(pi_graph_new(w->ctx, &w->g, &err) == 0);
    w->n = pi_graph_symbol(w->g, "N");
    w->m = pi_graph_symbol(w->g, "M");
}
static void w_close(struct world *w)
{
    pi_graph_release(w->g);
    precinfer_context_free(w->ctx);
    h_expect(w->host.live == 0, "%ld blocks were not freed", (long)w->host.live);
}

enum { ANY = -1000000 };                                    /* expected: open, but a symbol of its own */
static void expect_dims(struct world *w, struct c_case *c, int rank, const int64_t *want)
{
    char s[96];
    const int status = c_infer(c, w->g);
    h_expect(!status, "%s", c->err.text);
    h_expect(status || c->out[0].rank == rank, "%s: %s", c->node.op->name, pi_dims_string(&c->out[0], s, sizeof s));
    for (int d = 0; !status && d < rank; d++) {
        const int64_t got = c->out[0].dims[d];
        h_expect(want[d] == ANY ? got < 0 && got != w->n && got != w->m : got == want[d],
                 "%s: dimension %d of %s is %d, should be %d",
                 c->node.op->name, d, pi_dims_string(&c->out[0], s, sizeof s), (int)got, (int)want[d]);
    }
    c_end(c);
}
#define EXPECT_DIMS(w, c, ...) expect_dims(w, c, C_DIMS(__VA_ARGS__))

START_TEST(test_open_dims)
{
    struct world w;
    struct c_case c;
    w_open(&w);
    const int64_t n = w.n, m = w.m;
#define CASE(op, opset, ...) (c_begin(&c, w.ctx, op, opset), c_in(&c, PI_F32, C_DIMS(__VA_ARGS__)))
    CASE("Relu", 13, n, 3, m, m);
    EXPECT_DIMS(&w, &c, n, 3, m, m);
    CASE("Add", 13, n, 3, m, 8);                            /* the known one wins; the same symbol stays itself */
    c_in(&c, PI_F32, C_DIMS(n, 1, 5, m));
    EXPECT_DIMS(&w, &c, n, 3, 5, 8);
    CASE("Mul", 13, n, 1);
    c_in(&c, PI_F32, C_DIMS(m, 4));
    EXPECT_DIMS(&w, &c, ANY, 4);
    CASE("MaxPool", 13, n, 3, 8, m);
    C_INTS(&c, "kernel_shape", 2, 2);
    C_INTS(&c, "strides", 2, 2);
    EXPECT_DIMS(&w, &c, n, 3, 4, ANY);
    CASE("GlobalAveragePool", 13, n, 3, m, 7);
    EXPECT_DIMS(&w, &c, n, 3, 1, 1);
    CASE("ReduceMean", 13, n, 3, m, 7);
    C_INTS(&c, "axes", 2, 3);
    c_int(&c, "keepdims", 0);
    EXPECT_DIMS(&w, &c, n, 3);
    CASE("Flatten", 13, n, 3, 4, 5);
    EXPECT_DIMS(&w, &c, n, 60);
    CASE("Flatten", 13, n, 3, m, 5);
    EXPECT_DIMS(&w, &c, n, ANY);
    CASE("Reshape", 13, n, 512, 1, 1);                      /* what stands on both sides cancels */
    C_S64(&c, -1, 512);
    EXPECT_DIMS(&w, &c, n, 512);
    CASE("Reshape", 13, n, 512, 1, 1);
    C_S64(&c, 0, -1);
    EXPECT_DIMS(&w, &c, n, 512);
    CASE("Reshape", 13, n, 3, m);
    C_S64(&c, 0, -1);
    EXPECT_DIMS(&w, &c, n, ANY);
    CASE("Reshape", 13, n, 3, m);                           /* only the rank is known */
    c_in(&c, PI_S64, C_DIMS(2))->data = NULL;
    EXPECT_DIMS(&w, &c, ANY, ANY);
    CASE("Concat", 13, n, 3, m);
    c_in(&c, PI_F32, C_DIMS(n, 5, m));
    c_int(&c, "axis", 1);
    EXPECT_DIMS(&w, &c, n, 8, m);
    CASE("Concat", 13, n, 3);
    c_in(&c, PI_F32, C_DIMS(m, 3));
    c_int(&c, "axis", 0);
    EXPECT_DIMS(&w, &c, ANY, 3);
    CASE("Slice", 13, n, 6, m);
    C_S64(&c, 1, 0);
    C_S64(&c, 3, INT64_MAX);
    C_S64(&c, 1, 2);
    EXPECT_DIMS(&w, &c, n, 2, m);
    CASE("Slice", 13, n, 6);
    C_S64(&c, 1);
    C_S64(&c, 3);
    C_S64(&c, 0);
    EXPECT_DIMS(&w, &c, ANY, 6);
    CASE("Split", 13, n, 6);
    c.node.nout = 2;
    c_int(&c, "axis", 1);
    EXPECT_DIMS(&w, &c, n, 3);
    CASE("Pad", 13, n, 3, m);
    C_S64(&c, 0, 1, 0, 0, 2, 0);
    EXPECT_DIMS(&w, &c, n, 6, m);
    CASE("Pad", 13, n, 3, m);
    C_S64(&c, 0, 0, 1, 0, 0, 1);
    EXPECT_DIMS(&w, &c, n, 3, ANY);
    CASE("Transpose", 13, n, 3, m);
    C_INTS(&c, "perm", 2, 0, 1);
    EXPECT_DIMS(&w, &c, m, n, 3);
    CASE("Unsqueeze", 13, n, m);
    C_S64(&c, 1);
    EXPECT_DIMS(&w, &c, n, 1, m);
    CASE("Gather", 13, n, 5);
    c_in(&c, PI_S64, C_DIMS(m, 2))->data = NULL;
    EXPECT_DIMS(&w, &c, m, 2, 5);
    CASE("Shape", 13, n, 5, m);
    EXPECT_DIMS(&w, &c, 3);
    CASE("Expand", 13, n, 1);
    C_S64(&c, 1, 7);
    EXPECT_DIMS(&w, &c, n, 7);
    CASE("Resize", 13, n, 3, 8, m);
    c_absent(&c);
    memcpy(c_in(&c, PI_F32, C_DIMS(4))->data, (const float[]){ 1, 1, 2, 2 }, 16);
    EXPECT_DIMS(&w, &c, n, 3, 16, ANY);
    CASE("Resize", 13, n, 3, 8, m);
    c_absent(&c);
    c_absent(&c);
    c_in(&c, PI_S64, C_DIMS(4))->data = NULL;
    EXPECT_DIMS(&w, &c, ANY, ANY, ANY, ANY);
    c_begin(&c, w.ctx, "ConstantOfShape", 13);
    c_in(&c, PI_S64, C_DIMS(3))->data = NULL;
    EXPECT_DIMS(&w, &c, ANY, ANY, ANY);
    CASE("Softmax", 13, n, m);
    EXPECT_DIMS(&w, &c, n, m);
    CASE("BatchNormalization", 13, n, 3, m);
    for (int k = 0; k < 4; k++) memcpy(c_in(&c, PI_F32, C_DIMS(3))->data, (const float[]){ 1, 1, 1 }, 12);
    EXPECT_DIMS(&w, &c, n, 3, m);
    w_close(&w);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- refusals */

/* Before a run: refused, and the sentence names the node and says this. */
static void refuse(struct c_case *c, const char *says)
{
    memset(&c->err, 0, sizeof c->err);
    int status = c_check(c);
    if (!status) status = c_infer(c, NULL);
    h_expect(status && status == (int)c->err.status, "%s: was not refused (%s)", c->node.op->name, says);
    h_expect(strstr(c->err.text, "node 'n' (") && strstr(c->err.text, c->node.op->name) && strstr(c->err.text, says),
             "%s: \"%s\" does not say \"%s\"", c->node.op->name, c->err.text, says);
    c_end(c);
}

START_TEST(test_refused_attributes)
{
    struct world w;
    struct c_case c;
    w_open(&w);
    CASE("LeakyRelu", 13, 2, 3);
    c_float(&c, "alpha", (float)INFINITY);
    refuse(&c, "alpha");
    CASE("Clip", 6, 2, 3);
    c_float(&c, "min", (float)NAN);
    refuse(&c, "bound");
    CASE("MaxPool", 13, 1, 3, 8, 8);
    refuse(&c, "kernel_shape");
    CASE("MaxPool", 13, 1, 3, 8, 8);
    C_INTS(&c, "kernel_shape", 2, 0);
    refuse(&c, "kernel_shape has 0 at 1");
    CASE("MaxPool", 13, 1, 3, 8, 8);
    C_INTS(&c, "kernel_shape", 2, 2);
    C_INTS(&c, "pads", 2, 0, 0, 0);
    refuse(&c, "pads 2 and 0");
    CASE("MaxPool", 13, 1, 3, 8, 8);
    C_INTS(&c, "kernel_shape", 2, 2);
    C_INTS(&c, "strides", 2);
    refuse(&c, "strides has 1 entries");
    CASE("MaxPool", 13, 1, 3, 8, 8);
    C_INTS(&c, "kernel_shape", 2, 2);
    c_string(&c, "auto_pad", "SOMEHOW");
    refuse(&c, "SOMEHOW");
    CASE("MaxPool", 13, 1, 3, 8, 8);
    C_INTS(&c, "kernel_shape", 2, 2);
    c.node.nout = 2;
    refuse(&c, "Indices");
    CASE("MaxPool", 13, 1, 3, 8, 8);
    C_INTS(&c, "kernel_shape", 9, 2);
    refuse(&c, "a window of 9 does not fit dimension 2 of size 8");
    CASE("AveragePool", 13, 1, 3, 1, 1);
    C_INTS(&c, "kernel_shape", 2, 2);
    C_INTS(&c, "dilations", 2, 2);
    C_INTS(&c, "pads", 1, 1, 1, 1);
    c_int(&c, "ceil_mode", 0);
    c.node.opset = 19;
    refuse(&c, "lies in the padding alone");
    CASE("MaxPool", 13, 1, 3, 8);
    C_INTS(&c, "kernel_shape", 2, 2);
    refuse(&c, "rank 3");
    CASE("Concat", 13, 2, 3);
    refuse(&c, "no axis");
    CASE("Concat", 13, 2, 3);
    c_int(&c, "axis", 2);
    refuse(&c, "axis 2 is not in [-2, 1]");
    CASE("Pad", 10, 2, 3);
    c_string(&c, "mode", "mirror");
    refuse(&c, "mirror");
    CASE("Resize", 13, 1, 3, 8, 8);
    c_string(&c, "mode", "cubic");
    refuse(&c, "cubic");
    CASE("Resize", 18, 1, 3, 8, 8);
    c_int(&c, "antialias", 1);
    refuse(&c, "antialias");
    CASE("Resize", 13, 1, 3, 8, 8);
    c_string(&c, "coordinate_transformation_mode", "tf_crop_and_resize");
    refuse(&c, "tf_crop_and_resize");
    CASE("BatchNormalization", 15, 1, 3);
    c_int(&c, "training_mode", 1);
    refuse(&c, "training_mode");
    CASE("Cast", 13, 1, 3);
    c_int(&c, "to", 8);
    refuse(&c, "to is 8");
    CASE("Split", 18, 6, 3);
    c_int(&c, "num_outputs", 2);
    refuse(&c, "num_outputs is 2");
    c_begin(&c, w.ctx, "Constant", 13);
    refuse(&c, "value");
    CASE("Relu", 13, 1);
    c.in[0].type = PI_S8;
    refuse(&c, "int8");
    w_close(&w);
    h_finish();
}
END_TEST

START_TEST(test_refused_shapes)
{
    struct world w;
    struct c_case c;
    w_open(&w);
    CASE("Add", 13, 2, 3);
    c_in(&c, PI_F32, C_DIMS(2, 4));
    refuse(&c, "(2, 3) and (2, 4) do not broadcast");
    CASE("Add", 13, 2, 3);
    c_in(&c, PI_S64, C_DIMS(2, 3));
    refuse(&c, "int64");
    CASE("Reshape", 13, 2, 3);
    C_S64(&c, 4, 2);
    refuse(&c, "does not reshape");
    CASE("Reshape", 13, 2, 3);
    C_S64(&c, 4, -1);
    refuse(&c, "6 elements do not divide into rows of 4");
    CASE("Reshape", 13, 2, 3);
    C_S64(&c, -1, -1);
    refuse(&c, "shape has -1 at 1");
    CASE("Reshape", 13, 2, 3);
    C_S64(&c, 2, 3, 0);
    refuse(&c, "copies dimension 2");
    CASE("Reshape", 13, 2, 3);
    c_in(&c, PI_S64, C_DIMS(2))->data = NULL;
    refuse(&c, "depends on data");
    CASE("Squeeze", 13, 2, 1);
    C_S64(&c, 0);
    refuse(&c, "dimension 0 is 2, not 1");
    CASE("Unsqueeze", 13, 2, 1);
    C_S64(&c, 0, 0);
    refuse(&c, "named twice");
    CASE("Transpose", 13, 2, 3, 4);
    C_INTS(&c, "perm", 0, 2, 2);
    refuse(&c, "no permutation");
    CASE("Concat", 13, 2, 3);
    c_in(&c, PI_F32, C_DIMS(3, 3));
    c_int(&c, "axis", 1);
    refuse(&c, "does not join");
    CASE("Split", 13, 5, 3);
    c.node.nout = 2;
    refuse(&c, "does not split into 2");
    CASE("Split", 13, 5, 3);
    c.node.nout = 2;
    C_S64(&c, 2, 2);
    refuse(&c, "add up to 4");
    CASE("Split", 13, 5, 3);
    c.node.nout = 2;
    C_S64(&c, 6, -1);
    refuse(&c, "size");
    CASE("Slice", 13, 5, 3);
    C_S64(&c, 0);
    C_S64(&c, 1, 1);
    refuse(&c, "1 starts, 2 ends");
    CASE("Slice", 13, 5, 3);
    C_S64(&c, 0);
    C_S64(&c, 1);
    C_S64(&c, 0);
    C_S64(&c, 0);
    refuse(&c, "step 0 is 0");
    CASE("Pad", 13, 2, 3);
    C_S64(&c, 0, 3, 0, 0);
    c_string(&c, "mode", "reflect");
    refuse(&c, "padding 3 of dimension 1");
    CASE("Pad", 13, 2, 3);
    C_S64(&c, 0, -2, 0, -2);
    refuse(&c, "dimension 1 becomes -1");
    CASE("Pad", 13, 2, 3);
    C_S64(&c, 0, 1);
    refuse(&c, "2 pads for 2 axes");
    CASE("Gather", 13, 5, 3);
    C_S64(&c, 1, 5);
    refuse(&c, "index 5 is not in [-5, 4]");
    CASE("Resize", 13, 1, 1, 4, 4);
    refuse(&c, "neither scales nor sizes");
    CASE("Resize", 13, 1, 1, 4, 4);
    c_absent(&c);
    memcpy(c_in(&c, PI_F32, C_DIMS(4))->data, (const float[]){ 1, 1, -2, 2 }, 16);
    refuse(&c, "scale 2");
    CASE("Resize", 13, 1, 1, 4, 4);
    c_absent(&c);
    memcpy(c_in(&c, PI_F32, C_DIMS(4))->data, (const float[]){ 1, 1, 0.1f, 2 }, 16);
    refuse(&c, "dimension 2 is resized from 4 to 0");
    CASE("ReduceMean", 18, 2, 3);
    c_in(&c, PI_S64, C_DIMS(1))->data = NULL;
    refuse(&c, "data");
    CASE("ReduceMean", 18, 2, 3);
    C_S64(&c, 2);
    refuse(&c, "axis 2");
    CASE("BatchNormalization", 9, 1, 3);
    for (int k = 0; k < 4; k++) memcpy(c_in(&c, PI_F32, C_DIMS(3))->data, (const float[]){ 1, k == 3 ? -1 : 1, 1 }, 12);
    refuse(&c, "var");
    CASE("Where", 13, 2, 3);
    c_in(&c, PI_F32, C_DIMS(3));
    c_in(&c, PI_F32, C_DIMS(3));
    refuse(&c, "condition");
    w_close(&w);
    h_finish();
}
END_TEST

/* An index that only a run can see is taken into range. */
START_TEST(test_gather_clamps)
{
    struct r_hosts h;
    struct c_case c;
    r_open(&h);
    c_begin(&c, h.ctx[0], "Gather", 13);
    memcpy(c_in(&c, PI_F32, C_DIMS(3))->data, (const float[]){ 10, 11, 12 }, 12);
    struct pi_tensor *index = C_S64(&c, 7, -9, INT64_MIN, INT64_MAX);
    struct pi_tensor out = { .type = PI_F32, .rank = 1, .dims = { 4 }, .stride = { 1 } };
    float got[4];
    out.data = got;
    ck_assert(c_check(&c) == 0);
    const struct pi_call call = { .ctx = h.ctx[0], .node = &c.node, .in = (const struct pi_tensor *[]){ &c.in[0], index },
                                  .out = (struct pi_tensor *[]){ &out } };
    c.node.op->run(&call);
    h_same("Gather", (const float[]){ 12, 10, 10, 12 }, got, PI_F32, 4);
    c_end(&c);
    r_close(&h);
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("op_infer");
    h_add(s, "table", test_table, 1, 10);
    h_add(s, "open dims", test_open_dims, 1, 10);
    h_add(s, "refused attributes", test_refused_attributes, 1, 10);
    h_add(s, "refused shapes", test_refused_shapes, 1, 10);
    h_add(s, "gather", test_gather_clamps, 1, 10);
    return s;
}
