/* The operator MatMul, as NumPy defines it: leading dimensions are a batch and broadcast, vectors gain a dimension of 1
 * that the output loses.
 *
 * A constant B whose batch is 1 is packed when the plan is compiled, and all rows of A are one product. Any other B is packed
 * when it is run; the bits are the same. */
#include <string.h>
#include "../graph/graph.h"
#include "dense.h"
#include "../quant/weights.h"

struct state { struct pi_dense d; struct pi_epi_arrays e; };

/* ---------------------------------------------------------------- shapes */

struct sizes { int64_t m, n, k, bk; };  /* bk: K as B has it                                                    */
static struct sizes sizes_of(const struct pi_tensor *a, const struct pi_tensor *b)
{
    return (struct sizes){ a->rank > 1 ? a->dims[a->rank - 2] : 1, b->rank > 1 ? b->dims[b->rank - 1] : 1, a->dims[a->rank - 1],
                           b->dims[b->rank > 1 ? b->rank - 2 : 0] };
}
static int batch_rank(const struct pi_tensor *t) { return t->rank > 2 ? t->rank - 2 : 0; }

/* Batch dimension d of an output with `rank` of them: 1 where t has none. */
static int64_t batch_dim(const struct pi_tensor *t, int rank, int d)
{
    const int own = d - (rank - batch_rank(t));
    return own < 0 ? 1 : t->dims[own];
}
static int batch_rank_of(const struct pi_tensor *a, const struct pi_tensor *b)
{
    return batch_rank(a) > batch_rank(b) ? batch_rank(a) : batch_rank(b);
}

static int infer_batch(const struct pi_infer *i, int rank, int d, int64_t *out)
{
    const int64_t x = batch_dim(i->in[0], rank, d), y = batch_dim(i->in[1], rank, d);
    if (x == 1 || y == 1 || x == y) *out = x == 1 ? y : x;
    else if (x >= 0 && y >= 0)
        return pi_node_fail(i->node, i->err, PRECINFER_INVALID, "batch dimension %d: %lld and %lld do not broadcast", d,
                            (long long)x, (long long)y);
    else *out = x > 1 ? x : y > 1 ? y : pi_infer_open(i);
    return 0;
}

static int infer(const struct pi_infer *i)
{
    const struct pi_tensor *const a = i->in[0], *const b = i->in[1];
    struct pi_tensor *const y = &i->out[0];
    if (a->rank < 1 || b->rank < 1)
        return pi_node_fail(i->node, i->err, PRECINFER_INVALID, "A has %d dimensions and B %d, both need one", a->rank, b->rank);
    const struct sizes s = sizes_of(a, b);
    if (s.k >= 0 && s.bk >= 0 && s.k != s.bk)
        return pi_node_fail(i->node, i->err, PRECINFER_INVALID, "A has %lld columns, B %lld rows", (long long)s.k,
                            (long long)s.bk);
    if (s.k == 0 || s.bk == 0 || s.n == 0)
        return pi_node_fail(i->node, i->err, PRECINFER_UNSUPPORTED, "an empty dimension: K %lld, N %lld", (long long)s.k,
                            (long long)s.n);
    const int batch = batch_rank_of(a, b);
    y->type = a->type;
    y->rank = 0;
    for (int d = 0; d < batch; d++) PI_TRY(infer_batch(i, batch, d, &y->dims[y->rank++]));
    if (a->rank > 1) y->dims[y->rank++] = s.m;
    if (b->rank > 1) y->dims[y->rank++] = s.n;
    return 0;
}

static size_t batches(const struct pi_tensor *t)
{
    size_t all = 1;
    for (int d = 0; d < batch_rank(t); d++) all *= (size_t)t->dims[d];
    return all;
}

/* Dims of B are known and its batch is 1. */
static int one_matrix(const struct pi_tensor *b) { return pi_elements(b) >= 0 && batches(b) == 1; }

/* ---------------------------------------------------------------- compile */

enum { GUESS = 64 };                    /* for an open size: it chooses kernels, never bits */
static size_t known(int64_t d) { return d < 0 ? GUESS : (size_t)d; }

static int fold(const struct pi_compile *c, size_t n, struct pi_epi_arrays *e, struct precinfer_error *err)
{
    if (c->in[1]->type != PI_S8) return pi_epi_fold(c, n, NULL, NULL, e, err);
    const struct pi_weight_layout l = pi_weight_layout(c->node, c->in[1]);
    int64_t *const sums = pi_calloc(&c->ctx->alloc, n, sizeof *sums);
    if (!sums) return pi_no_memory(err, n * sizeof *sums);
    pi_weight_sums(c->in[1]->data, &l, sums);
    const int status = pi_epi_fold(c, n, NULL, sums, e, err);
    pi_free(&c->ctx->alloc, sums);
    return status;
}

static int compile_into(struct pi_compile *c, struct state *s, struct precinfer_error *err)
{
    const struct pi_tensor *const a = c->in[0], *const b = c->in[1];
    const struct sizes z = sizes_of(a, b);
    struct pi_dense_ask q = { .cpu = c->cpu, .isas = c->isas, .only = c->ctx->kernel, .why = c->why, .user = c->user,
                              .a = a->type, .b = b->type,
                              .out = c->out->type, .stages = pi_epi_stages(c), .m = known(z.m), .n = known(z.n), .k = known(z.bk),
                              .w = b->data && one_matrix(b) ? b->data : NULL, .sk = (ptrdiff_t)z.n, .sn = 1 };
    if (q.w)
        for (int d = 0; d < batch_rank(a); d++) q.m *= a->dims[d] < 0 ? 1 : (size_t)a->dims[d];
    PI_TRY(pi_check_weights(c, 1, err));
    if (!c->choose_only) PI_TRY(fold(c, q.n, &s->e, err));
    return pi_dense_compile(c, &q, &s->d, err);
}

static void drop(const precinfer_context *ctx, void *memory)
{
    struct state *const s = memory;
    if (!s) return;
    pi_dense_drop(ctx, &s->d);
    pi_epi_drop(ctx, &s->e);
    pi_free(&ctx->alloc, s);
}

static int compile(struct pi_compile *c, struct precinfer_error *err)
{
    struct state *const s = pi_calloc(&c->ctx->alloc, 1, sizeof *s);
    if (!s) return pi_no_memory(err, sizeof *s);
    const int status = compile_into(c, s, err);
    if (status || c->choose_only) drop(c->ctx, s);
    else c->state = s;
    return status;
}

/* ---------------------------------------------------------------- run */

/* count products of m x n x k each; a B of one matrix makes them one product of all rows. Batches are shared out to the slots
 * where there are enough of them, else the slots work on one batch after the other. */
struct job {
    const struct pi_call *c; const struct state *st;
    struct pi_gemm g; struct pi_packed w;
    size_t count, slots, threads, pack_bytes, slot_bytes, bias_bytes;
    size_t a_bytes, b_bytes, c_bytes, res_bytes;    /* of one matrix                                               */
};

static size_t spread(size_t n, size_t threads) { return n >= threads ? threads : 1; }

static struct job job_of(const struct pi_call *c)
{
    const struct pi_tensor *const a = c->in[0], *const b = c->in[1], *const y = c->out[0];
    const struct sizes s = sizes_of(a, b);
    const size_t m = (size_t)s.m, n = (size_t)s.n, k = (size_t)s.k, ae = pi_type_size(a->type), ye = pi_type_size(y->type);
    const size_t re = c->res ? pi_type_size(c->res->type) : 0;
    struct job j = { .c = c, .st = c->state, .a_bytes = m * k * ae, .b_bytes = k * n * pi_type_size(b->type),
                     .c_bytes = m * n * ye,
                     .res_bytes = m * n * re };
    const size_t all = (size_t)pi_elements(y) / (m * n), together = one_matrix(b);
    j.count = together ? 1 : all;
    j.g = (struct pi_gemm){ .m = together ? all * m : m, .n = n, .k = k, .segs = 1, .asize = ae, .lda = (ptrdiff_t)(k * ae),
                            .ldc = (ptrdiff_t)(n * ye), .csize = ye, .ldres = (ptrdiff_t)(n * re), .epi = &j.st->e.epi };
    j.g.image_m = j.g.m;
    const int packed = j.st->d.w.b != NULL;
    j.w = packed ? j.st->d.w : pi_packed_sizes(j.st->d.rows[0]->packing, 1, k, n);
    j.slots = spread(j.count, c->ctx->threads);
    j.threads = j.slots == 1 ? c->ctx->threads : 1;
    j.bias_bytes = packed ? 0 : pi_up(n * sizeof(float), 64);       /* N may have been open when the epilogue was folded */
    j.pack_bytes = packed ? 0 : pi_up(pi_pack_size(j.w.p, 1, k, n), 64);
    j.slot_bytes = j.pack_bytes + pi_up(pi_gemm_workspace(&j.g, &j.w, j.st->d.rows[0], j.threads), 64);
    return j;
}

static int empty(const struct pi_call *c) { return pi_elements(c->out[0]) == 0; }

static size_t workspace(const struct pi_call *c)
{
    if (empty(c)) return 0;
    const struct job j = job_of(c);
    return j.bias_bytes + j.slots * j.slot_bytes;
}

/* The matrix of t that batch i of the output meets. */
static size_t matrix_of(const struct pi_tensor *t, const struct pi_tensor *a, const struct pi_tensor *b, size_t i)
{
    const int rank = batch_rank_of(a, b);
    size_t at = 0, step = 1;
    for (int d = rank - 1; d >= 0; d--) {
        const int64_t x = batch_dim(a, rank, d), y = batch_dim(b, rank, d), own = batch_dim(t, rank, d), all = x == 1 ? y : x;
        if (own != 1) at += i % (size_t)all * step;
        step *= (size_t)own;
        i /= (size_t)all;
    }
    return at;
}

static void slot(void *arg, size_t number)
{
    const struct job *const j = arg;
    const struct pi_call *const c = j->c;
    char *const ws = (char *)c->workspace + j->bias_bytes + number * j->slot_bytes;
    struct pi_packed w = j->w;
    size_t packed = SIZE_MAX;           /* which matrix of B lies in ws */
    for (size_t i = j->count * number / j->slots; i < j->count * (number + 1) / j->slots; i++) {
        struct pi_gemm g = j->g;
        const size_t b = matrix_of(c->in[1], c->in[0], c->in[1], i);
        g.a = (const char *)c->in[0]->data + matrix_of(c->in[0], c->in[0], c->in[1], i) * j->a_bytes;
        g.c = (char *)c->out[0]->data + i * j->c_bytes;
        g.res = c->res ? (const char *)c->res->data + i * j->res_bytes : NULL;
        if (j->pack_bytes && b != packed) {
            pi_pack_into(&w, j->w.p, (const char *)c->in[1]->data + b * j->b_bytes, 1, g.k, g.n, 0, (ptrdiff_t)g.n, 1, ws);
            packed = b;
        }
        pi_gemm_run(c->ctx, &g, &w, j->st->d.rows, j->st->d.nrows, j->threads, ws + j->pack_bytes);
    }
}

static void run(const struct pi_call *c)
{
    if (empty(c)) return;
    struct job j = job_of(c);
    struct pi_epi epi = j.st->e.epi;
    if (j.bias_bytes) {
        memset(c->workspace, 0, j.bias_bytes);
        epi.bias = c->workspace;
    }
    j.g.epi = &epi;
    if (j.slots == 1) slot(&j, 0);
    else pi_parallel(c->ctx, j.slots, slot, &j);
}

extern const struct pi_opdef pi_op_MatMul;
const struct pi_opdef pi_op_MatMul = {
    .name = "MatMul", .since = 1, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .flags = PI_OP_EPILOGUE | PI_OP_WEIGHTS,
    .forms = PI_BIT(PI_U8) | PI_BIT(PI_BF16), .infer = infer, .compile = compile, .drop = drop, .workspace = workspace,
    .run = run };
