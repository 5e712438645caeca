/* A layer's own error: the candidate's step alone, on the reference's values of its inputs, brought into the forms and scales
 * in which the candidate reads them; against the reference's operator on those very inputs, as they then mean. So a bad scale of
 * a value is charged to the step that writes the value, never to those that read it, and what comes in with the inputs is
 * charged to nobody here. Where the two plans fused differently it is charged to the smallest group of steps between values
 * that both have. */
#ifndef PI_VERIFY_OWN_H
#define PI_VERIFY_OWN_H
#include "trace.h"

struct pi_own_sum { double signal, noise, max_abs; uint64_t count, odd; };      /* odd: not finite, and not the same     */
struct pi_own_figures {
    int known;                          /* 0: the reference has no such values                                   */
    int has_twin;
    const char *group;                  /* more than one step: their names                                       */
    struct pi_own_sum own, twin;
    struct pi_own_sum inherited;        /* the reference's operator on the candidate's inputs, against the reference */
};
struct pi_own;
/* twin: the candidate with the scales that it should have, or NULL. `tensors` are the candidate's trace; figures go by its
 * indexes. All are kept alive. */
int pi_own_new(const precinfer_plan *candidate, const precinfer_plan *reference, const precinfer_plan *twin,
               const struct pi_trace *tensors, struct pi_own **own, struct precinfer_error *err);
/* After both have run the batch in sessions that keep all. */
int pi_own_batch(struct pi_own *o, const struct precinfer_batch *batch, const struct precinfer_session *candidate,
                 const struct precinfer_session *reference, struct precinfer_error *err);
const struct pi_own_figures *pi_own_of(const struct pi_own *o, size_t tensor);
void pi_own_free(struct pi_own *o);
#endif
