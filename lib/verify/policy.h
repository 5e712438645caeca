/* A policy: budgets and the rules by which they are judged. */
#ifndef PI_VERIFY_POLICY_H
#define PI_VERIFY_POLICY_H
#include "../base/context.h"

enum { PI_NO_COLUMN = -1, PI_BY_LABEL = -2 };
struct pi_budget {
    struct precinfer_budget b;          /* its strings and arrays lie in the policy's arena                      */
    const char *text;                   /* "top-1: drop at most 0.5 points"; no two of a policy are alike        */
    int column;                         /* index of b.by among the columns                                       */
};
struct precinfer_policy {
    atomic_size_t refs;
    precinfer_context *ctx;
    struct pi_arena arena;
    const char *name;
    struct precinfer_policy_rules rules;
    struct pi_budget *budgets; size_t n, room;
    const char **columns; size_t ncolumns;
    int cluster;                        /* index among the columns, or PI_NO_COLUMN                              */
};
int pi_policy_create(precinfer_context *ctx, precinfer_policy **policy, struct precinfer_error *err);
void pi_policy_retain(const precinfer_policy *p);
void pi_policy_release(const precinfer_policy *p);
int pi_policy_set_name(precinfer_policy *p, const char *name, struct precinfer_error *err);

/* What is wrong with a budget: the field ("value", "k", "bounds", "margins", ...), its index where it is an array's, and a
 * sentence. field NULL: nothing. The JSON reader names its own key for the field. */
struct pi_complaint { const char *field; size_t index; const char *text; };
struct pi_complaint pi_budget_complaint(const struct precinfer_budget *b);
struct pi_complaint pi_rules_complaint(const struct precinfer_policy_rules *r);

/* Higher is better (top-k, agreement, cosine, AUC, F1, a score). */
int pi_metric_is_score(enum precinfer_metric m);
/* d for the figures of one sample, reference's and candidate's; where there is one figure for the pair it is c. */
double pi_contrast_d(const struct precinfer_budget *b, double value, double r, double c);
/* Of budget b on the named slice (NULL: all samples). */
double pi_budget_value(const struct precinfer_budget *b, const char *slice);
/* Of the d of a budget: has it bounds of its own or declared ones? */
int pi_budget_bounded(const struct precinfer_budget *b);
int pi_budget_is_set(const struct precinfer_budget *b);             /* AUC, F1, a host's                         */
/* A budget that is judged by a bootstrap, or n fixed beforehand: one look. NULL: any number; else why not. */
const char *pi_policy_one_look(const precinfer_policy *p);

/* Budgets of published practice, by name. */
struct pi_preset { const char *name, *source; struct precinfer_budget budget; };
const struct pi_preset *pi_preset(size_t i);                        /* NULL past the last                        */
#endif
