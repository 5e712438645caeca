/* One thread's memory for a plan. */
#ifndef PI_PLAN_SESSION_H
#define PI_PLAN_SESSION_H
#include "plan.h"

struct pi_slot {                        /* memory of one place                                                 */
    size_t offset, bytes;               /* in the arena, as planned for the maximum shapes                      */
    int root;                           /* place that owns the memory: itself, its alias's root, or in place     */
};
struct precinfer_session {
    precinfer_plan *p;
    precinfer_context *ctx;
    struct pi_arena arena;
    struct pi_tensor *t;                /* one a place                                                          */
    struct pi_slot *slot;
    const struct pi_tensor **args;      /* in pointers of all steps, then out pointers                          */
    size_t *first;                      /* index into args of each step                                         */
    struct precinfer_tensor *bound;     /* inputs, then outputs; data NULL: not bound                           */
    char *memory; size_t memory_bytes, bound_bytes;
    void **tables; size_t *table_bytes; /* of each step                                                         */
    void *workspace; size_t workspace_bytes;
    size_t *host_bytes;                 /* capacity of host places                                              */
    uint64_t *ns;                       /* NULL without profile                                                 */
    void *scratch; size_t scratch_bytes;    /* precinfer_session_value                                          */
    int keep_all, planned, dirty, ran;
};
/* What a run does before its first step: shapes, memory, pointers. Afterwards steps may be run one by one, on places that the
 * caller has filled; places of a session that keeps all share no memory (but aliases). */
int pi_session_ready(struct precinfer_session *s, struct precinfer_error *err);
void pi_session_step(const struct precinfer_session *s, size_t step);
/* Nothing to run: an alias, or integers that were computed with the shapes. */
int pi_session_skips(const struct precinfer_session *s, size_t step);
/* A place after a run of a session that keeps all, as row-major f32 where it is lowered; valid until the next call. */
int pi_session_place(struct precinfer_session *s, int place, struct precinfer_tensor *tensor, struct precinfer_error *err);
/* A session for the inputs of a batch, and what it has room for. One that they do not fit makes way for one that they do. */
struct pi_fitted { precinfer_session *s; struct precinfer_shape room[16]; };
int pi_session_fit(const precinfer_plan *plan, int keep_all, const struct precinfer_batch *batch, struct pi_fitted *f,
                   struct precinfer_error *err);
/* memory.c: offsets for the sizes in slot[].bytes; sets memory_bytes and bound_bytes. */
int pi_session_plan_memory(struct precinfer_session *s, struct precinfer_error *err);
/* relayout.c: between row-major and channels-last of one type. */
void pi_relayout(const precinfer_context *ctx, const struct pi_tensor *from, const struct pi_tensor *to);
#endif
