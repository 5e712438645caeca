/* Graphs by hand: order, names, errors, folding, what is known of shapes with open dimensions, clones. */
#include "harness.h"
#include <math.h>
#include "../lib/graph/graph.h"

#define NAMES(...) (const char *const[]){__VA_ARGS__}

static struct precinfer_error err;

static void done(int status)
{
    h_expect(!status, "%s", err.text);
}

static void input(precinfer_graph *g, const char *name, int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const struct precinfer_io io = {.name = name, .dtype = PRECINFER_F32, .rank = rank, .dims = {a, b, c, d},
                                    .symbols = {"N", "C", "H", "W"}};
    done(precinfer_graph_input(g, &io, &err));
}

static void floats(precinfer_graph *g, const char *name, int64_t n, const float *v)
{
    const struct precinfer_tensor t = {.data = (void *)(uintptr_t)v, .dtype = PRECINFER_F32, .rank = 1, .dims = {n}};
    done(precinfer_graph_constant(g, name, &t, &err));
}

/* rank 0: one number. */
static void ints(precinfer_graph *g, const char *name, int rank, int64_t n, const int64_t *v)
{
    const struct precinfer_tensor t = {.data = (void *)(uintptr_t)v, .dtype = PRECINFER_S64, .rank = rank, .dims = {n}};
    done(precinfer_graph_constant(g, name, &t, &err));
}

static void node(precinfer_graph *g, const char *op, const char *name, const char *a, const char *b, const char *out)
{
    done(precinfer_graph_node(g, op, name, NAMES(a, b), b ? 2 : 1, NAMES(out), 1, NULL, 0, &err));
}

static void node_axis(precinfer_graph *g, const char *op, const char *a, const char *b, const char *out, int64_t axis)
{
    const struct precinfer_attribute attribute = {.name = "axis", .type = 'i', .i = axis};
    done(precinfer_graph_node(g, op, NULL, NAMES(a, b), b ? 2 : 1, NAMES(out), 1, &attribute, 1, &err));
}

static void finish(precinfer_graph *g, const char *output)
{
    done(precinfer_graph_output(g, output, &err));
    done(precinfer_graph_finish(g, &err));
}

struct fixture { struct h_host h; precinfer_context *c; precinfer_graph *g; };
static struct fixture start(void)
{
    static struct h_host h;
    memset(&h, 0, sizeof h);
    struct fixture f = {.c = h_context(&h, NULL)};
    done(precinfer_graph_new(f.c, &f.g, &err));
    return f;
}

static void end(struct fixture *f)
{
    struct h_host *h = f->c->host;
    precinfer_graph_free(f->g);
    precinfer_context_free(f->c);
    h_expect(h->live == 0, "%ld blocks leaked", (long)h->live);
}

static int count(void *user, const struct precinfer_node_info *n)
{
    char *all = user;
    snprintf(all + strlen(all), 256 - strlen(all), "%s ", n->name);
    return 0;
}

/* Names of the nodes in order, each with a space behind it. */
static void nodes_are(const precinfer_graph *g, const char *want)
{
    char all[256] = "";
    h_expect(!precinfer_graph_nodes(g, count, all) && !strcmp(all, want), "nodes are '%s', not '%s'", all, want);
}

static void output_is(const precinfer_graph *g, int rank, int64_t a, int64_t b, int64_t c, const char *symbol)
{
    const int64_t want[3] = {a, b, c};
    struct precinfer_io io;
    h_expect(!precinfer_graph_output_info(g, 0, &io) && io.rank == rank, "rank %d, not %d", io.rank, rank);
    for (int i = 0; i < rank && i < 3; i++) {
        h_expect(io.dims[i] == want[i], "dimension %d is %lld, not %lld", i, (long long)io.dims[i], (long long)want[i]);
        if (want[i] < 0 && symbol)
            h_expect(io.symbols[i] && !strcmp(io.symbols[i], symbol), "dimension %d is %s, not %s", i,
                     io.symbols[i] ? io.symbols[i] : "nameless", symbol);
    }
}

static const float one[4] = {1, 2, 3, 4};

/* ---------------------------------------------------------------- order and names */

START_TEST(order)
{
    struct fixture f = start();
    input(f.g, "x", 2, -1, 4, 0, 0);
    node(f.g, "Add", "third", "b", "x", "c");       /* before what it reads                                       */
    node(f.g, "Relu", "first", "x", NULL, "a");
    node(f.g, "Relu", "second", "a", NULL, "b");
    node(f.g, "Relu", "dead", "c", NULL, "unused");
    finish(f.g, "c");
    nodes_are(f.g, "first second third ");
    h_expect(f.g->values[pi_graph_find_value(f.g, "b")].producer == 1, "producers follow the order");
    h_expect(f.g->values[pi_graph_find_value(f.g, "unused")].producer == -1, "a dead node computes nothing");
    end(&f);
    /* What is in order stays as it was. */
    f = start();
    input(f.g, "x", 2, -1, 4, 0, 0);
    node(f.g, "Relu", "left", "x", NULL, "l");
    node(f.g, "Relu", "right", "x", NULL, "r");
    node(f.g, "Add", "both", "r", "l", "y");
    finish(f.g, "y");
    nodes_are(f.g, "left right both ");
    end(&f);
    h_finish();
}
END_TEST

START_TEST(names)
{
    struct fixture f = start();
    input(f.g, "x", 1, 4, 0, 0, 0);
    node(f.g, "Relu", "same", "x", NULL, "a");
    node(f.g, "Relu", "same", "a", NULL, "b");
    node(f.g, "Relu", "same:b", "b", NULL, "c");
    node(f.g, "Relu", "", "c", NULL, "d");
    node(f.g, "Relu", "d", "d", NULL, "e");
    finish(f.g, "e");
    nodes_are(f.g, "same same:b same:b:c d d:e ");
    end(&f);
    h_finish();
}
END_TEST

/* A chain so long that a recursive walk would not survive it, given backwards. */
START_TEST(deep)
{
    enum { LONG = 100000 };
    struct fixture f = start();
    char a[24], b[24];
    input(f.g, "v0", 1, 4, 0, 0, 0);
    for (int i = LONG; i > 0; i--) {
        snprintf(a, sizeof a, "v%d", i - 1);
        snprintf(b, sizeof b, "v%d", i);
        if (precinfer_graph_node(f.g, "Relu", NULL, NAMES(a), 1, NAMES(b), 1, NULL, 0, &err))
            h_expect(0, "%s", err.text);
    }
    snprintf(b, sizeof b, "v%d", LONG);
    finish(f.g, b);
    h_expect(f.g->nnodes == LONG && !strcmp(f.g->nodes[0].name, "v1"), "%zu nodes, the first %s", f.g->nnodes,
             f.g->nodes[0].name);
    end(&f);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- wrong graphs and uses */

static void fails(int status, int want, const char *a, const char *b)
{
    h_expect(status == want && (int)err.status == want && strstr(err.text, a) && strstr(err.text, b),
             "wanted %d with '%s' and '%s', got %d: %s", want, a, b, status, err.text);
}

START_TEST(wrong)
{
    struct fixture f = start();
    struct precinfer_io io = {.name = "x", .dtype = PRECINFER_F32, .rank = 9};
    fails(precinfer_graph_input(f.g, &io, &err), PRECINFER_INVALID, "rank", "");
    io.rank = 1, io.dtype = PRECINFER_NONE;
    fails(precinfer_graph_input(f.g, &io, &err), PRECINFER_INVALID, "dtype", "");
    fails(precinfer_graph_input(f.g, NULL, &err), PRECINFER_INVALID, "missing", "");
    input(f.g, "x", 1, 4, 0, 0, 0);
    io.dtype = PRECINFER_F32;
    fails(precinfer_graph_input(f.g, &io, &err), PRECINFER_MALFORMED, "two values", "'x'");
    struct precinfer_tensor t = {.data = NULL, .dtype = PRECINFER_F32, .rank = 1, .dims = {4}};
    fails(precinfer_graph_constant(f.g, "c", &t, &err), PRECINFER_INVALID, "NULL", "");
    t.dims[0] = -1, t.data = (void *)(uintptr_t)one;
    fails(precinfer_graph_constant(f.g, "c", &t, &err), PRECINFER_INVALID, "negative", "");
    fails(precinfer_graph_node(f.g, "Frob", "n", NAMES("x"), 1, NAMES("y"), 1, NULL, 0, &err), PRECINFER_UNSUPPORTED,
          "node 'n'", "Frob");
    struct precinfer_attribute bad = {.name = "a", .type = 'z'};
    fails(precinfer_graph_node(f.g, "Relu", "n", NAMES("x"), 1, NAMES("y"), 1, &bad, 1, &err), PRECINFER_INVALID, "attribute a",
          "");
    h_expect(f.g->nnodes == 0, "a refused node stays");
    fails(precinfer_graph_output(f.g, "y", &err), PRECINFER_NOT_FOUND, "'y'", "");
    fails(precinfer_graph_finish(f.g, &err), PRECINFER_MALFORMED, "no outputs", "");
    node(f.g, "Relu", "n", "x", NULL, "y");
    finish(f.g, "y");
    fails(precinfer_graph_finish(f.g, &err), PRECINFER_INVALID, "finished", "");
    fails(precinfer_graph_node(f.g, "Relu", "n", NAMES("x"), 1, NAMES("z"), 1, NULL, 0, &err), PRECINFER_INVALID, "finished", "");
    h_expect(precinfer_graph_nodes(f.g, NULL, NULL) == PRECINFER_INVALID, "no callback");
    end(&f);

    f = start();
    input(f.g, "x", 1, 4, 0, 0, 0);
    node(f.g, "Add", "p", "b", "x", "a");
    node(f.g, "Relu", "q", "a", NULL, "b");
    done(precinfer_graph_output(f.g, "b", &err));
    fails(precinfer_graph_finish(f.g, &err), PRECINFER_MALFORMED, "depends on the node's own output", "node '");
    end(&f);

    f = start();                                    /* an operator at another opset names those that there are    */
    f.g->opset = 8;
    fails(precinfer_graph_node(f.g, "Where", "u", NAMES("x"), 1, NAMES("y"), 1, NULL, 0, &err), PRECINFER_UNSUPPORTED,
          "node 'u': operator Where of opset 8 is not covered", "9 and later");
    end(&f);
    h_finish();
}
END_TEST

/* Weights must be finite, other constants may be infinite, none is a NaN. */
START_TEST(not_finite)
{
    static const float nan4[4] = {1, NAN, 3, 4}, inf4[4] = {1, 2, -INFINITY, 4};
    struct fixture f = start();
    input(f.g, "x", 1, 4, 0, 0, 0);
    floats(f.g, "c", 4, nan4);
    node(f.g, "Add", "n", "x", "c", "y");
    done(precinfer_graph_output(f.g, "y", &err));
    fails(precinfer_graph_finish(f.g, &err), PRECINFER_UNSUPPORTED, "'c' holds a NaN", "node 'n' (Add)");
    end(&f);
    f = start();
    input(f.g, "x", 1, 4, 0, 0, 0);
    floats(f.g, "c", 4, inf4);
    node(f.g, "Add", "n", "x", "c", "y");
    finish(f.g, "y");
    end(&f);
    f = start();
    input(f.g, "x", 2, -1, 4, 0, 0);
    const struct precinfer_tensor w = {.data = (void *)(uintptr_t)inf4, .dtype = PRECINFER_F32, .rank = 2, .dims = {4, 1}};
    done(precinfer_graph_constant(f.g, "w", &w, &err));
    node(f.g, "Gemm", "fc", "x", "w", "y");
    done(precinfer_graph_output(f.g, "y", &err));
    fails(precinfer_graph_finish(f.g, &err), PRECINFER_UNSUPPORTED, "node 'fc' (Gemm)", "'w' are not all finite");
    end(&f);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- folding */

START_TEST(folding)
{
    static const float want[4] = {3, 6, 9, 12};
    struct fixture f = start();
    input(f.g, "x", 1, 4, 0, 0, 0);
    floats(f.g, "c", 4, one);
    node(f.g, "Add", "twice", "c", "c", "cc");
    node(f.g, "Add", "thrice", "cc", "c", "ccc");
    node(f.g, "Add", "n", "x", "ccc", "y");
    finish(f.g, "y");
    nodes_are(f.g, "n ");
    const struct pi_tensor *t = &f.g->values[pi_graph_find_value(f.g, "ccc")].t;
    h_expect(t->data && !memcmp(t->data, want, sizeof want), "1 + 1 + 1 is not 3");
    h_expect(!f.g->values[pi_graph_find_value(f.g, "cc")].t.data && !f.g->values[pi_graph_find_value(f.g, "c")].t.data,
             "what nothing reads any more is kept");
    end(&f);
    /* An output that is constant. */
    f = start();
    input(f.g, "x", 1, 4, 0, 0, 0);
    floats(f.g, "c", 4, one);
    node(f.g, "Add", "twice", "c", "c", "y");
    finish(f.g, "y");
    nodes_are(f.g, "");
    output_is(f.g, 1, 4, 0, 0, NULL);
    end(&f);
    h_finish();
}
END_TEST

/* The same elements under another shape share their memory with the constant. */
START_TEST(alias)
{
    static const int64_t shape[2] = {2, 2};
    struct fixture f = start();
    input(f.g, "x", 2, 2, 2, 0, 0);
    floats(f.g, "c", 4, one);
    ints(f.g, "s", 1, 2, shape);
    node(f.g, "Reshape", "r", "c", "s", "c2");
    node(f.g, "Add", "n", "x", "c2", "y");
    finish(f.g, "y");
    nodes_are(f.g, "n ");
    const struct pi_value *v = &f.g->values[pi_graph_find_value(f.g, "c2")];
    h_expect(v->t.rank == 2 && v->t.data && !memcmp(v->t.data, one, sizeof one), "the reshaped constant");
    end(&f);
    h_finish();
}
END_TEST

/* What is too large stays a node. */
START_TEST(too_large)
{
    static const int64_t shape[2] = {1 << 14, 1 << 13};
    struct fixture f = start();
    ints(f.g, "s", 1, 2, shape);
    node(f.g, "ConstantOfShape", "fill", "s", NULL, "big");
    node(f.g, "Relu", "n", "big", NULL, "y");
    finish(f.g, "y");
    nodes_are(f.g, "fill n ");
    output_is(f.g, 2, 1 << 14, 1 << 13, 0, NULL);
    end(&f);
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- open dimensions */

/* flatten as exporters write it: Reshape(x, Concat(Unsqueeze(Gather(Shape(x), 0)), [-1])). */
START_TEST(open_reshape)
{
    static const int64_t zero = 0, minus = -1;
    struct fixture f = start();
    input(f.g, "x", 4, -1, 8, 4, 4);
    ints(f.g, "zero", 0, 0, &zero);
    ints(f.g, "axes", 1, 1, &zero);
    ints(f.g, "minus", 1, 1, &minus);
    node(f.g, "Shape", "shape", "x", NULL, "s");
    node_axis(f.g, "Gather", "s", "zero", "n", 0);
    node(f.g, "Unsqueeze", "u", "n", "axes", "n1");
    node_axis(f.g, "Concat", "n1", "minus", "to", 0);
    node(f.g, "Reshape", "flat", "x", "to", "y");
    finish(f.g, "y");
    output_is(f.g, 2, -1, 128, 0, "N");
    nodes_are(f.g, "shape n u to flat ");
    end(&f);
    h_finish();
}
END_TEST

/* What of the shape is known is a constant, though the batch is open. */
START_TEST(open_known)
{
    static const int64_t two = 2, four = 4;
    struct fixture f = start();
    input(f.g, "x", 3, -1, 8, 6, 0);
    ints(f.g, "two", 1, 1, &two);
    ints(f.g, "four", 1, 1, &four);
    node(f.g, "Shape", "shape", "x", NULL, "s");
    node_axis(f.g, "Gather", "s", "two", "six", 0);
    node(f.g, "Mul", "m", "six", "four", "v");
    node(f.g, "ConstantOfShape", "fill", "v", NULL, "zeroes");
    node(f.g, "Relu", "n", "zeroes", NULL, "y0");
    node(f.g, "Relu", "n2", "x", NULL, "y");
    done(precinfer_graph_output(f.g, "y", &err));
    finish(f.g, "y0");
    nodes_are(f.g, "n2 ");
    struct precinfer_io io;
    h_expect(!precinfer_graph_output_info(f.g, 1, &io) && io.rank == 1 && io.dims[0] == 24, "6 * 4 is %lld",
             (long long)io.dims[0]);
    end(&f);
    h_finish();
}
END_TEST

START_TEST(open_cancels)
{
    /* (N, 8, 6) to (0, -1), to (2, -1) and to (-1, 6): the open one cancels, mixes with 2, or is multiplied by 8. */
    static const int64_t shapes[4][2] = {{0, -1}, {2, -1}, {-1, 6}, {-1, 48}};
    static const int64_t want[4][2] = {{-1, 48}, {2, -1}, {-1, 6}, {-1, 48}};
    static const char *const symbols[4] = {"N", NULL, NULL, "N"};
    for (int i = 0; i < 4; i++) {
        struct fixture f = start();
        input(f.g, "x", 3, -1, 8, 6, 0);
        ints(f.g, "s", 1, 2, shapes[i]);
        node(f.g, "Reshape", "r", "x", "s", "y");
        finish(f.g, "y");
        output_is(f.g, 2, want[i][0], want[i][1], 0, symbols[i]);
        struct precinfer_io io;
        precinfer_graph_output_info(f.g, 0, &io);
        if (!symbols[i])
            for (int d = 0; d < 2; d++)
                h_expect(!io.symbols[d], "case %d: dimension %d is said to be %s", i, d, io.symbols[d]);
        end(&f);
    }
    h_finish();
}
END_TEST

/* ---------------------------------------------------------------- the rest of the interface */

START_TEST(uses_and_clone)
{
    struct fixture f = start();
    input(f.g, "x", 2, -1, 4, 0, 0);
    floats(f.g, "c", 4, one);
    node(f.g, "Add", "a", "x", "c", "a");
    node(f.g, "Relu", "r", "a", NULL, "b");
    node(f.g, "Add", "s", "b", "a", "y");
    finish(f.g, "y");
    precinfer_graph *copy = NULL;
    done(pi_graph_clone(f.g, &copy, &err));
    const int a = pi_graph_find_value(copy, "a"), b = pi_graph_find_value(copy, "b"), y = pi_graph_find_value(copy, "y");
    int n = -7;
    size_t slot = 99;
    h_expect(pi_graph_uses(copy, a, &n, &slot) == 2 && n == -7, "two nodes read a");
    h_expect(pi_graph_uses(copy, b, &n, &slot) == 1 && n == 2 && slot == 0, "node %d slot %zu reads b", n, slot);
    h_expect(pi_graph_uses(copy, y, &n, &slot) == 1 && n == -1, "an output is a use");
    h_expect(copy->hash == f.g->hash && copy->values[pi_graph_find_value(copy, "c")].t.data ==
             f.g->values[pi_graph_find_value(f.g, "c")].t.data, "a clone shares its constants");
    /* Rewire: s takes its input from a, and the Relu goes. The first graph stays as it was. */
    copy->nodes[2].in[0] = a;
    copy->nodes[1].dead = 1;
    done(pi_graph_sort(copy, &err));
    nodes_are(copy, "a s ");
    nodes_are(f.g, "a r s ");
    /* A residual is a use, and an order. */
    copy->nodes[0].fused.has_res = 0;
    copy->nodes[1].fused.has_res = 1;
    copy->nodes[1].fused.res = pi_graph_find_value(copy, "x");
    h_expect(pi_graph_uses(copy, pi_graph_find_value(copy, "x"), &n, &slot) == 2, "a residual is a use");
    /* The clone outlives the graph. */
    precinfer_graph_free(f.g);
    h_expect(!memcmp(copy->values[pi_graph_find_value(copy, "c")].t.data, one, sizeof one), "constants of a freed graph");
    f.g = copy;
    end(&f);
    h_finish();
}
END_TEST

static int sum(void *user, const struct precinfer_node_info *n)
{
    size_t *s = user;
    s[0] += n->macs_per_sample;
    s[1] += n->weights;
    return 0;
}

START_TEST(macs)
{
    static const float zeroes[64 * 16 * 9];
    struct fixture f = start();
    size_t s[2] = {0};
    input(f.g, "x", 4, -1, 16, 10, 12);
    const struct precinfer_tensor w = {.data = (void *)(uintptr_t)zeroes, .dtype = PRECINFER_F32, .rank = 4,
                                        .dims = {64, 16, 3, 3}};
    done(precinfer_graph_constant(f.g, "w", &w, &err));
    node(f.g, "Conv", "conv", "x", "w", "c");
    node(f.g, "GlobalAveragePool", "pool", "c", NULL, "p");
    node(f.g, "Flatten", "flat", "p", NULL, "v");
    const struct precinfer_tensor w2 = {.data = (void *)(uintptr_t)zeroes, .dtype = PRECINFER_F32, .rank = 2, .dims = {64, 10}};
    done(precinfer_graph_constant(f.g, "w2", &w2, &err));
    node(f.g, "MatMul", "fc", "v", "w2", "y");
    finish(f.g, "y");
    precinfer_graph_nodes(f.g, sum, s);
    h_expect(s[0] == 64 * 8 * 10 * 16 * 9 + 640, "%zu multiply-adds", s[0]);
    h_expect(s[1] == 64 * 16 * 9 + 640, "%zu weights", s[1]);
    end(&f);
    h_finish();
}
END_TEST

START_TEST(attributes)
{
    static const int64_t i3[3] = {1, 2, 3};
    static const float f2[2] = {0.5f, 2};
    const struct pi_attr attr[] = {
        {.name = "i", .type = PI_ATTR_INT, .i = 7}, {.name = "f", .type = PI_ATTR_FLOAT, .f = 0.5f}, {.name = "s",
                .type = PI_ATTR_STRING, .s = "SAME"},
        {.name = "I", .type = PI_ATTR_INTS, .count = 3, .ints = i3}, {.name = "F", .type = PI_ATTR_FLOATS, .count = 2,
                                                                       .floats = f2}
    };
    const struct pi_opdef op = {.name = "Op"};
    const struct pi_node n = {.name = "n", .op = &op, .nattr = 5, .attr = (struct pi_attr *)(uintptr_t)attr};
    int64_t i;
    float f;
    const char *s;
    const int64_t *ip;
    const float *fp;
    size_t k;
    h_expect(!pi_attr_int(&n, "i", 3, &i, &err) && i == 7 && !pi_attr_int(&n, "absent", 3, &i, &err) && i == 3, "int");
    h_expect(!pi_attr_float(&n, "f", 3, &f, &err) && f == 0.5f && !pi_attr_float(&n, "absent", 3, &f, &err) && f == 3, "float");
    h_expect(!pi_attr_string(&n, "s", "d", &s, &err) && !strcmp(s, "SAME") && !pi_attr_string(&n, "absent", "d", &s, &err) &&
             !strcmp(s, "d"), "string");
    h_expect(!pi_attr_ints(&n, "I", &ip, &k, &err) && k == 3 && ip == i3 && !pi_attr_ints(&n, "absent", &ip, &k, &err) && !ip &&
             !k, "ints");
    h_expect(!pi_attr_floats(&n, "F", &fp, &k, &err) && k == 2 && fp == f2, "floats");
    fails(pi_attr_int(&n, "f", 0, &i, &err), PRECINFER_MALFORMED, "node 'n' (Op): attribute f is a float", "not an integer");
    fails(pi_attr_floats(&n, "I", &fp, &k, &err), PRECINFER_MALFORMED, "attribute I is integers", "not floats");
    h_finish();
}
END_TEST

/* The hash sees what decides the numbers and the names, and nothing else. */
START_TEST(hash)
{
    uint64_t seen[8];
    for (int variant = 0; variant < 8; variant++) {
        struct fixture f = start();
        float w[4] = {1, 2, 3, 4};
        int64_t axis = 1;
        input(f.g, variant == 1 ? "x1" : "x", 2, -1, variant == 2 ? 1 : 4, 0, 0);
        w[3] = variant == 3 ? 4.5f : 4;
        floats(f.g, "c", 4, w);
        axis = variant == 4 ? 0 : 1;
        node(f.g, variant == 5 ? "Mul" : "Add", variant == 6 ? "other" : "n", variant == 1 ? "x1" : "x", "c", "a");
        node_axis(f.g, "Softmax", "a", NULL, "y", axis);
        finish(f.g, "y");
        seen[variant] = precinfer_graph_hash(f.g);
        end(&f);
        for (int j = 0; j < variant; j++)
            h_expect((seen[j] == seen[variant]) == (variant == 7 && j == 0), "variants %d and %d", j, variant);
    }
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("graph_build");
    h_add(s, "order", order, 1, 10);
    h_add(s, "names", names, 1, 10);
    h_add(s, "deep", deep, 1, 60);
    h_add(s, "wrong", wrong, 1, 10);
    h_add(s, "not finite", not_finite, 1, 10);
    h_add(s, "folding", folding, 1, 10);
    h_add(s, "alias", alias, 1, 10);
    h_add(s, "too large", too_large, 1, 10);
    h_add(s, "open reshape", open_reshape, 1, 10);
    h_add(s, "open known", open_known, 1, 10);
    h_add(s, "open cancels", open_cancels, 1, 10);
    h_add(s, "uses and clone", uses_and_clone, 1, 10);
    h_add(s, "macs", macs, 1, 10);
    h_add(s, "attributes", attributes, 1, 10);
    h_add(s, "hash", hash, 1, 10);
    return s;
}
