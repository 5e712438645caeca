/* Batches of a data set with what --labels says of their samples. */
#include <stdlib.h>
#include <string.h>
#include "tool.h"

int policy_columns(const precinfer_policy *policy, const struct labels *l, char *const ***source, size_t *n)
{
    char have[300];
    *source = NULL;
    *n = policy ? precinfer_policy_columns(policy) : 0;
    if (!*n) return 0;
    if (!(*source = need(*n, sizeof **source))) return EXIT_BROKEN;
    for (size_t i = 0; i < *n; i++) {
        const char *name = precinfer_policy_column(policy, i);
        if (l && ((*source)[i] = label_column(l, name)) != NULL) continue;
        free(*source);
        *source = NULL;
        if (!l) return fail(EXIT_USAGE, "column missing", "--labels",
                            "the policy asks for column '%s', and no labels are given", name);
        return fail(EXIT_USAGE, "column missing", l->path, "the policy asks for '%s'; columns there: %s", name,
                    label_columns(l, have, sizeof have));
    }
    return 0;
}

int feed_open(precinfer_data *data, const struct labels *l, const precinfer_policy *policy, struct feed *f)
{
    struct precinfer_data_info info;
    *f = (struct feed){ .data = data, .labels = l };
    precinfer_data_info(data, &info);
    if (l && l->rows != info.all)
        return fail(EXIT_USAGE, "cannot use the labels", l->path, "%zu rows, but %zu samples", l->rows, info.all);
    return policy_columns(policy, l, &f->source, &f->ncolumns);
}

void feed_close(struct feed *f)
{
    free((void *)f->source);
    free(f->classes);
    free(f->target);
    for (size_t c = 0; f->cells && c < f->ncolumns; c++) free(f->cells[c]);
    free(f->cells);
    *f = (struct feed){ 0 };
}

static size_t row_bytes(const struct precinfer_tensor *t)
{
    return t->data && t->dims[0] ? elements_of(t) / (size_t)t->dims[0] * precinfer_dtype_size(t->dtype) : 0;
}

static int make_room(struct feed *f, size_t n)
{
    if (n <= f->room) return 0;
    free(f->classes);
    free(f->target);
    f->classes = need(n * f->labels->per_row, sizeof *f->classes);
    f->target = need(n * row_bytes(&f->labels->target) + 1, 1);
    if (!f->cells) f->cells = need(f->ncolumns + 1, sizeof *f->cells);
    for (size_t c = 0; f->cells && c < f->ncolumns; c++) {
        free(f->cells[c]);
        if (!(f->cells[c] = need(n, sizeof **f->cells))) return 1;
    }
    f->room = n;
    return !f->classes || !f->target || !f->cells;
}

int feed_next(void *user, struct precinfer_batch *b, struct precinfer_error *err)
{
    struct feed *f = user;
    const struct labels *l = f->labels;
    const int status = precinfer_data_next(f->data, b, err);
    if (status || !b->samples || !l) return status;
    if (make_room(f, b->samples)) {
        if (err) { err->status = PRECINFER_NO_MEMORY; snprintf(err->text, sizeof err->text, "out of memory for labels"); }
        return PRECINFER_NO_MEMORY;
    }
    const size_t row = row_bytes(&l->target), each = l->per_row * sizeof *l->classes;
    for (size_t i = 0; i < b->samples; i++) {
        const size_t at = (size_t)b->indexes[i];
        if (l->classes) memcpy(f->classes + i * l->per_row, l->classes + at * l->per_row, each);
        if (l->target.data) memcpy(f->target + i * row, (const unsigned char *)l->target.data + at * row, row);
        for (size_t c = 0; c < f->ncolumns; c++) f->cells[c][i] = f->source[c][at];
    }
    if (l->classes) {
        b->labels = f->classes;
        b->labels_per_sample = l->per_row;
    }
    if (l->target.data) {
        b->target = l->target;
        b->target.data = f->target;
        b->target.dims[0] = (int64_t)b->samples;
    }
    if (f->ncolumns) b->columns = (const char *const *const *)f->cells;
    return 0;
}
