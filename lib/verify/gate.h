/* The gate: samples stream in, each into the contrasts of its budgets; a look is a report. */
#ifndef PI_VERIFY_GATE_H
#define PI_VERIFY_GATE_H
#include "../base/hash.h"
#include "contrast.h"
#include "metric.h"
#include "report.h"
#include "table.h"

/* The samples of one cluster in one contrast: its unit is the mean of d, which is d of the means. */
struct pi_cluster { size_t contrast; uint64_t id; double r, c; uint64_t n; };
struct pi_u64s { uint64_t *x; size_t n, room; };

struct precinfer_gate {
    precinfer_context *ctx;
    const precinfer_policy *policy;
    size_t nbudgets;
    uint64_t policy_hash;
    struct pi_arena arena;              /* names of slices                                                       */
    struct pi_contrast *contrasts; size_t n, room;
    struct pi_table slices;             /* by (budget, slice)                                                    */
    struct pi_cluster *clusters; size_t nclusters, cluster_room;
    struct pi_table cluster_table;      /* by (contrast, cluster)                                                */
    struct pi_table cluster_ids; struct pi_u64s cluster_seen;      /* every cluster once                         */
    struct pi_u64s ids;                 /* judged since the last look                                            */
    struct pi_u64s earlier;             /* of the looks before, sorted                                           */
    struct pi_u64s looks;               /* data hashes; the first `past` of them came with precinfer_gate_continue */
    size_t past;
    struct pi_hash hash;
    size_t total;                       /* samples that came in                                                  */
    struct pi_host host;                /* judged: how many; what the host computes                              */
    size_t ignored;                     /* after the first n                                                     */
    size_t fresh, again;                /* since the last look: came in; were seen in an earlier one             */
    size_t dropped;                     /* again, of all looks                                                   */
    size_t repeated;                    /* judged although the same id was                                       */
    struct precinfer_report_info counts;
    int classes;                        /* top-1 means a class                                                   */
    struct precinfer_flip *flips; size_t nflips, flip_room;        /* a heap, the least margin first             */
    struct precinfer_confusion *confusions; size_t nconfusions, confusion_room;
    struct pi_table confusion_table;
    int reported, continued;
    int broken;                         /* a call failed halfway                                                 */
};

int pi_u64s_add(const struct pi_allocator *a, struct pi_u64s *s, uint64_t x, struct precinfer_error *err);
/* Sorts and drops what is there twice. */
void pi_u64s_set(struct pi_u64s *s);
int pi_u64s_has(const struct pi_u64s *s, uint64_t x);               /* of a sorted one                           */

/* The contrast of a budget on a slice, made where it is new. */
int pi_gate_contrast(precinfer_gate *g, size_t budget, const char *slice, size_t *index, struct precinfer_error *err);
uint64_t pi_cluster_id(const char *name);
/* skip: NULL, or one flag a sample; those are part of the data, but not judged. */
int pi_gate_add(precinfer_gate *g, const struct precinfer_judged *j, const unsigned char *skip, struct precinfer_error *err);
/* What a sample without an id is called: a hash of the reference's output, labels and target. */
uint64_t pi_judged_id(const struct precinfer_judged *j, size_t i, size_t each);
/* flips.c: one sample whose top-1 are there. label < 0: unknown. */
int pi_gate_flip(precinfer_gate *g, const struct pi_sample *s, uint64_t id, uint64_t index, int64_t label,
                 struct precinfer_error *err);
/* Into a report: largest margins first; most frequent first. */
int pi_gate_flips(const precinfer_gate *g, precinfer_report *r, struct precinfer_error *err);
/* judge.c: fills contrasts, evidence, looks, seen, flips, confusions and the gate's verdict; the gate has had its look. */
int pi_gate_judge(precinfer_gate *g, precinfer_report *r, struct precinfer_error *err);
/* May there be a(nother) look? */
int pi_gate_may_look(const precinfer_gate *g, struct precinfer_error *err);
#endif
