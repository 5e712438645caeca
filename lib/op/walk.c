#include <string.h>
#include "walk.h"

struct axis { size_t count; ptrdiff_t stride[PI_WALK_OPERANDS]; };

static ptrdiff_t magnitude(ptrdiff_t x) { return x < 0 ? -x : x; }

/* Dimensions of 1 are left out; a broadcast operand stands still (stride 0). */
static int collect(struct axis *axes, size_t operands, const struct pi_tensor *const *t)
{
    int rank = 0;
    for (int d = 0; d < t[0]->rank; d++) {
        if (t[0]->dims[d] == 1) continue;
        struct axis *x = &axes[rank++];
        x->count = (size_t)t[0]->dims[d];
        for (size_t o = 0; o < operands; o++) {
            const int own = d - (t[0]->rank - t[o]->rank);
            const int still = own < 0 || t[o]->dims[own] == 1;
            x->stride[o] = still ? 0 : (ptrdiff_t)(t[o]->stride[own] * (int64_t)pi_type_size(t[o]->type));
        }
    }
    return rank;
}

static void sort_by_leader(struct axis *axes, int rank)
{
    for (int i = 1; i < rank; i++) {
        const struct axis x = axes[i];
        int j = i;
        for (; j > 0 && magnitude(axes[j - 1].stride[0]) < magnitude(x.stride[0]); j--) axes[j] = axes[j - 1];
        axes[j] = x;
    }
}

static int dense_together(const struct axis *slow, const struct axis *fast, size_t operands)
{
    for (size_t o = 0; o < operands; o++)
        if (slow->stride[o] != fast->stride[o] * (ptrdiff_t)fast->count) return 0;
    return 1;
}

static int merge(struct axis *axes, int rank, size_t operands)
{
    int n = 0;
    for (int i = 0; i < rank; i++) {
        if (n > 0 && dense_together(&axes[n - 1], &axes[i], operands)) {
            const size_t count = axes[n - 1].count;
            axes[n - 1] = axes[i];
            axes[n - 1].count *= count;
        } else {
            axes[n++] = axes[i];
        }
    }
    return n;
}

void pi_walk_make(struct pi_walk *w, size_t operands, const struct pi_tensor *const *t)
{
    struct axis axes[PI_MAX_RANK];
    memset(w, 0, sizeof *w);
    w->operands = operands;
    w->outer = w->inner = 1;
    int rank = collect(axes, operands, t);
    sort_by_leader(axes, rank);
    rank = merge(axes, rank, operands);
    if (rank == 0) {                                        /* one element: a run of 1 of ordinary step */
        for (size_t o = 0; o < operands; o++) w->step[o] = (ptrdiff_t)pi_type_size(t[o]->type);
        return;
    }
    w->rank = rank - 1;
    w->inner = axes[rank - 1].count;
    for (size_t o = 0; o < operands; o++) w->step[o] = axes[rank - 1].stride[o];
    for (int i = 0; i < w->rank; i++) {
        w->count[i] = axes[i].count;
        w->outer *= axes[i].count;
        for (size_t o = 0; o < operands; o++) w->stride[o][i] = axes[i].stride[o];
    }
    if (w->inner == 0) w->outer = 0;
}

void pi_walk_seek(const struct pi_walk *w, size_t index, struct pi_place *p)
{
    memset(p, 0, sizeof *p);
    for (int i = w->rank - 1; i >= 0; i--) {
        p->at[i] = index % w->count[i];
        index /= w->count[i];
        for (size_t o = 0; o < w->operands; o++) p->off[o] += (ptrdiff_t)p->at[i] * w->stride[o][i];
    }
}

void pi_walk_next(const struct pi_walk *w, struct pi_place *p)
{
    for (int i = w->rank - 1; i >= 0; i--) {
        for (size_t o = 0; o < w->operands; o++) p->off[o] += w->stride[o][i];
        if (++p->at[i] < w->count[i]) return;
        p->at[i] = 0;
        for (size_t o = 0; o < w->operands; o++) p->off[o] -= (ptrdiff_t)w->count[i] * w->stride[o][i];
    }
}

/* ---------------------------------------------------------------- threads */

enum { WORK_A_SLOT = 16384 };                               /* elements below which a second thread costs more than it helps */

struct spread { size_t units, slots; pi_span_fn *fn; void *arg; };

static void one_slot(void *arg, size_t slot)
{
    const struct spread *s = arg;
    s->fn(s->arg, s->units * slot / s->slots, s->units * (slot + 1) / s->slots, slot);
}

void pi_span(const precinfer_context *ctx, size_t units, size_t work, pi_span_fn *fn, void *arg)
{
    if (units == 0) return;
    size_t slots = 1 + work / WORK_A_SLOT;
    if (slots > ctx->threads) slots = ctx->threads;
    if (slots > units) slots = units;
    struct spread s = { units, slots, fn, arg };
    pi_parallel(ctx, slots, one_slot, &s);
}

/* ---------------------------------------------------------------- views */

void pi_narrow(struct pi_tensor *t, int axis, int64_t from, int64_t count)
{
    t->data = (char *)t->data + from * t->stride[axis] * (int64_t)pi_type_size(t->type);
    t->dims[axis] = count;
}

void pi_drop_axis(struct pi_tensor *t, int axis)
{
    t->rank--;
    for (int d = axis; d < t->rank; d++) {
        t->dims[d] = t->dims[d + 1];
        t->stride[d] = t->stride[d + 1];
    }
}
