/* Memory of a session by lifetime: largest first, at the lowest offset that no place alive at the same time occupies. */
#include <string.h>
#include "session.h"

static int owns_memory(const struct precinfer_session *s, size_t i)
{
    const struct pi_place *q = &s->p->places[i];
    return q->alias < 0 && !q->constant && q->input < 0 && !q->host;
}

/* An elementwise output may lie where its input lay, when nobody reads that input any more. */
static int in_place(const struct precinfer_session *s, const struct pi_step *step, const int *last)
{
    if (step->kind == PI_STEP_OP ? !(s->p->g->nodes[step->node].op->flags & PI_OP_INPLACE) : step->kind != PI_STEP_TABLE)
        return 0;
    if (s->keep_all || step->alias || step->nout != 1 || step->in[0] < 0 || step->out[0] < 0) return 0;
    const struct pi_place *from = &s->p->places[step->in[0]], *to = &s->p->places[step->out[0]];
    const int root = s->slot[step->in[0]].root, index = (int)(step - s->p->steps);
    if (!owns_memory(s, (size_t)root) || !owns_memory(s, (size_t)step->out[0]) || s->p->places[root].output >= 0) return 0;
    return last[root] == index && from->type == to->type && from->channels_last == to->channels_last &&
           pi_same_dims(&s->p->g->values[from->value].t, &s->p->g->values[to->value].t) &&
           s->slot[root].bytes >= s->slot[step->out[0]].bytes && to->output < 0;
}

/* Largest sum of values alive at once, aliases counted once: no plan can do with less (in-place steps apart). */
static size_t lower_bound(const struct precinfer_session *s)
{
    size_t most = 0;
    for (size_t i = 0; i < s->p->nsteps; i++) {
        size_t sum = 0;
        for (size_t j = 0; j < s->p->nplaces; j++)
            if (owns_memory(s, j) && s->p->places[j].producer <= (int)i &&
                s->p->places[j].last >= (int)i) sum += s->slot[j].bytes;
        if (sum > most) most = sum;
    }
    return most;
}

int pi_session_plan_memory(struct precinfer_session *s, struct precinfer_error *err)
{
    const size_t n = s->p->nplaces;
    int *last = pi_calloc(&s->ctx->alloc, n + 1, 3 * sizeof *last);
    if (!last) return pi_no_memory(err, n * 3 * sizeof *last);
    int *order = last + n, *done = order + n;
    size_t count = 0, placed = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pi_place *q = &s->p->places[i];
        s->slot[i].root = q->alias >= 0 ? s->slot[q->alias].root : (int)i;
        last[i] = s->keep_all ? (int)s->p->nsteps : q->last;
    }
    for (size_t i = 0; i < s->p->nsteps; i++) {
        const struct pi_step *step = &s->p->steps[i];
        if (!in_place(s, step, last)) continue;
        const int root = s->slot[step->in[0]].root, out = step->out[0];
        for (size_t j = 0; j < n; j++) if (s->slot[j].root == out) s->slot[j].root = root;
        last[root] = last[out];
    }
    for (size_t i = 0; i < n; i++)
        if (owns_memory(s, i) && s->slot[i].root == (int)i) {
            size_t at = count++;        /* insertion by size, largest first */
            while (at > 0 && s->slot[order[at - 1]].bytes < s->slot[i].bytes) { order[at] = order[at - 1]; at--; }
            order[at] = (int)i;
        }
    s->memory_bytes = 0;
    for (size_t k = 0; k < count; k++) {
        const int i = order[k];
        size_t offset = 0;
        for (int moved = 1; moved;) {   /* lowest offset clear of all that is alive with it */
            moved = 0;
            for (size_t j = 0; j < placed; j++) {
                const struct pi_slot *o = &s->slot[done[j]];
                const int apart = last[done[j]] < s->p->places[i].producer || last[i] < s->p->places[done[j]].producer;
                if (!apart && offset < o->offset + o->bytes && o->offset < offset + s->slot[i].bytes) {
                    offset = o->offset + o->bytes;
                    moved = 1;
                }
            }
        }
        s->slot[i].offset = offset;
        done[placed++] = i;
        if (offset + s->slot[i].bytes > s->memory_bytes) s->memory_bytes = offset + s->slot[i].bytes;
    }
    s->bound_bytes = lower_bound(s);
    pi_free(&s->ctx->alloc, last);
    return 0;
}
