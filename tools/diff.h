/* What diff.c found and diff_show.c says. */
#ifndef PI_TOOL_DIFF_H
#define PI_TOOL_DIFF_H
#include "tool.h"

struct diff_side { const char *path; struct model m; struct precinfer_side side; };
struct found {
    struct diff_side a, b;
    precinfer_diff *diff;
    struct precinfer_diff_info info;
    int limited;                        /* limits were given: */
    struct precinfer_report_info verdict;
    double verify_seconds;
    char why[700];                      /* the verdict's line */
    size_t calibrated;                  /* samples that the twin's ranges come from; 0: --stats, or no twin         */
    const char *stats;
    precinfer_minimal *minimal;         /* NULL: not asked for, or nothing to do */
    struct precinfer_minimal_info set;
};
void say_diff(const struct options *o, const struct found *f, FILE *out);
void say_minimal(const struct options *o, const struct found *f, FILE *out);
int json_diff(const struct options *o, const struct found *f, precinfer_context *ctx);
#endif
