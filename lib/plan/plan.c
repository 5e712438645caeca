/* The plan as an object. */
#include <string.h>
#include "../op/compiled.h"
#include "../base/hash.h"
#include "plan.h"

void pi_plan_retain(precinfer_plan *p) { atomic_fetch_add(&p->refs, 1); }

void pi_plan_release(precinfer_plan *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1) return;
    precinfer_context *ctx = p->ctx;
    const struct pi_allocator *a = &ctx->alloc;
    for (size_t i = 0; i < p->nsteps; i++) {
        const struct pi_step *s = &p->steps[i];
        if (s->kind == PI_STEP_OP && s->state && s->node >= 0 && p->g->nodes[s->node].op->drop)
            p->g->nodes[s->node].op->drop(ctx, s->state);
    }
    pi_free(a, p->places);
    pi_free(a, p->steps);
    pi_free(a, p->nodes);
    pi_free(a, p->values);
    pi_arena_free(&p->arena);
    pi_graph_release(p->g);
    pi_recipe_release(p->recipe);
    pi_plan_unmap(p);
    pi_free(a, p);
    pi_context_release(ctx);
}

/* Weight tensors as stored: constants that nodes with weights read, scales and biases of theirs included. */
static uint64_t stored_bytes(const precinfer_plan *p)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < p->g->nnodes; i++) {
        const struct pi_node *n = &p->g->nodes[i];
        if (n->dead || !pi_has_weights(p->g, n)) continue;
        for (size_t j = 1; j < n->nin; j++)
            if (n->in[j] >= 0 && p->g->values[n->in[j]].t.data)
                bytes += (uint64_t)pi_elements(&p->g->values[n->in[j]].t) * pi_type_size((enum pi_type)p->g->values[n->in[j]].t.type);
        if (p->nodes[i].weight_scale) bytes += pi_weight_channels(p->g, n) * sizeof(float);
    }
    return bytes;
}

int pi_plan_build(precinfer_graph *lowered, precinfer_recipe *recipe, struct pi_lowered_node *nodes, struct pi_lowered_value *values,
                  const struct pi_plan_progress *progress, precinfer_plan **plan, struct precinfer_error *err)
{
    precinfer_context *ctx = lowered->ctx;
    precinfer_plan *p = pi_calloc(&ctx->alloc, 1, sizeof *p);
    if (!p) {
        pi_free(&ctx->alloc, nodes);
        pi_free(&ctx->alloc, values);
        pi_graph_release(lowered);
        return pi_no_memory(err, sizeof *p);
    }
    atomic_init(&p->refs, 1);
    p->ctx = ctx;
    pi_context_retain(ctx);
    p->arena.a = &ctx->alloc;
    p->g = lowered;
    p->nodes = nodes;
    p->values = values;
    p->recipe = recipe;
    if (recipe) pi_recipe_retain(recipe);
    int status = pi_plan_places(p, err);
    if (!status) status = pi_plan_kernels(p, progress, err);
    if (status) { pi_plan_release(p); return status; }
    p->weights_bytes = stored_bytes(p);
    for (size_t i = 0; i < p->nsteps; i++) p->packed_bytes += p->steps[i].packed_bytes;
    *plan = p;
    return 0;
}
