/* precinfer_data: samples of one or many files as one sequence. One file is open at a time; what is kept of the others is
 * their path and their number of samples, so memory does not grow with the data (a cut keeps the numbers of its samples). */
#include <string.h>
#include "../base/error.h"
#include "../calib/stats.h"             /* pi_sample_hash                                                        */
#include "../quant/recipe.h"            /* preprocessing                                                         */
#include "data.h"
#include "data_reader.h"

struct precinfer_data {
    precinfer_context *ctx;
    struct pi_arena arena;
    struct precinfer_io inputs[PI_MAX_INPUTS];
    size_t ninputs;
    struct pi_feed_rules rules;         /* `whole` is set for each input                                         */
    struct precinfer_preprocessing pre;
    int whole[PI_MAX_INPUTS], any_whole, fixed;
    struct pi_files files;
    size_t *start;                      /* sample numbers at which files begin; one more than there are files     */
    size_t *pick, picked, parts[3];     /* sample numbers of the part that is read; NULL: all of them             */
    size_t first, end, at, batch;       /* the first three count in the part                                     */
    int labelled, raw;                  /* raw: some array is preprocessed                                        */
    struct pi_map label_map;            /* of --labels                                                           */
    struct pi_npy label_npy;
    size_t part_index;
    struct pi_part part;                /* zeroed: none is open                                                  */
    struct pi_feed feed[PI_MAX_INPUTS];
    unsigned char *buffer[PI_MAX_INPUTS];
    size_t room[PI_MAX_INPUTS];
    int64_t *labels;
    uint64_t *indexes;
    size_t label_room;                  /* of both                                                               */
};

/* ------------------------------------------------------------------------------------------------ the model */

static int copy_inputs(struct precinfer_data *d, const struct precinfer_io *inputs, size_t n, struct precinfer_error *err)
{
    if (!n || n > PI_MAX_INPUTS)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "a model of %zu inputs; 1 to %d can be fed", n, PI_MAX_INPUTS);
    d->ninputs = n;
    for (size_t i = 0; i < n; i++) {
        struct precinfer_io *io = &d->inputs[i];
        *io = inputs[i];
        if (!io->name || io->rank < 0 || io->rank > PRECINFER_MAX_RANK || !precinfer_dtype_size(io->dtype))
            return pi_fail(err, PRECINFER_INVALID, "input %zu: no name, or a rank or type that does not exist", i);
        io->name = pi_arena_string(&d->arena, io->name, strlen(io->name));
        if (!io->name) return pi_no_memory(err, 1);
        for (int k = 0; k < io->rank; k++) {
            if (!io->symbols[k]) continue;
            io->symbols[k] = pi_arena_string(&d->arena, io->symbols[k], strlen(io->symbols[k]));
            if (!io->symbols[k]) return pi_no_memory(err, 1);
        }
        d->rules.floats |= pi_is_float(io->dtype);
    }
    return 0;
}

/* Does the input have the batch dimension that `batch` has? Open ones by name, where both have one. */
static int same_batch(const struct precinfer_io *io, const struct precinfer_io *batch)
{
    if (!io->rank) return 0;
    if (batch->dims[0] >= 0) return io->dims[0] == batch->dims[0];
    if (io->dims[0] >= 0) return 0;
    return !io->symbols[0] || !batch->symbols[0] || !strcmp(io->symbols[0], batch->symbols[0]);
}

/* The first open leading dimension is the batch's; a model without one has the batch of its first input of any rank. */
static int find_batch(struct precinfer_data *d, size_t asked, struct precinfer_error *err)
{
    const struct precinfer_io *b = NULL;
    for (size_t i = 0; i < d->ninputs && !b; i++) if (d->inputs[i].rank && d->inputs[i].dims[0] < 0) b = &d->inputs[i];
    for (size_t i = 0; i < d->ninputs && !b; i++) if (d->inputs[i].rank) b = &d->inputs[i];
    if (!b) return pi_fail(err, PRECINFER_UNSUPPORTED, "no input of the model has a batch dimension");
    d->fixed = b->dims[0] >= 0;
    d->batch = d->fixed ? (size_t)b->dims[0] : asked ? asked : 1;
    if (!d->batch) return pi_fail(err, PRECINFER_INVALID, "input '%s': the model's batch is 0", b->name);
    if (d->fixed && asked && asked != d->batch)
        return pi_fail(err, PRECINFER_INVALID, "input '%s': the model's batch is fixed at %zu, not %zu", b->name, d->batch,
                       asked);
    for (size_t i = 0; i < d->ninputs; i++) d->any_whole |= d->whole[i] = !same_batch(&d->inputs[i], b);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ files */

static int plan_part(const struct precinfer_data *d, const struct pi_part *part, struct pi_feed *feed, size_t *samples,
                     struct precinfer_error *err)
{
    int have = 0;
    for (size_t i = 0; i < d->ninputs; i++) {
        struct pi_feed_rules rules = d->rules;
        rules.whole = d->whole[i];
        PI_TRY(pi_feed_plan(&d->inputs[i], &part->input[i].npy, &rules, &feed[i], err));
        if (d->whole[i]) continue;
        const size_t n = (size_t)feed[i].dims[0];
        if (have && n != *samples)
            return pi_fail(err, PRECINFER_INVALID, "input '%s' has %zu samples, the inputs before it %zu", d->inputs[i].name, n,
                           *samples);
        *samples = n;
        have = 1;
    }
    return 0;
}

static int check_labels(const struct pi_npy *npy, const char *where, size_t samples, struct precinfer_error *err)
{
    const int column = npy->rank == 2 && npy->dims[1] == 1;
    if (!pi_is_integer(npy->dtype))
        return pi_fail(err, PRECINFER_INVALID, "%s: labels are integers, not %s", where, precinfer_dtype_string(npy->dtype));
    if (npy->rank != 1 && !column)
        return pi_fail(err, PRECINFER_INVALID, "%s: labels are one integer a sample, not an array of %d dimensions", where,
                       npy->rank);
    if (npy->elements != samples)
        return pi_fail(err, PRECINFER_INVALID, "%s: %zu labels, but %zu samples", where, npy->elements, samples);
    return 0;
}

/* The headers of file i: how many samples it has, and whether all of it fits the model. */
static int scan_part(struct precinfer_data *d, size_t i, int own_labels, struct precinfer_error *err)
{
    struct pi_part part;
    struct pi_feed feed[PI_MAX_INPUTS];
    size_t samples = 0;
    PI_TRY(pi_part_open(d->ctx, d->files.paths[i], d->inputs, d->ninputs, 0, &part, err));
    int status = plan_part(d, &part, feed, &samples, err);
    const int has = part.label.npy.dtype != PRECINFER_NONE;
    if (!status && !own_labels && has) status = check_labels(&part.label.npy, "key 'label'", samples, err);
    if (!status && !own_labels && i && has != d->labelled)
        status = pi_fail(err, PRECINFER_INVALID, "%s a key 'label', unlike the files before it", has ? "has" : "is without");
    pi_part_close(&part);
    if (status) return pi_prefix(err, status, "%s", d->files.paths[i]);
    if (!own_labels) d->labelled = has;
    for (size_t k = 0; k < d->ninputs; k++) d->raw |= feed[k].how == PI_FEED_PREPROCESS;
    return pi_add_size(d->start[i], samples, &d->start[i + 1]) ? pi_no_memory(err, SIZE_MAX) : 0;
}

static int scan(struct precinfer_data *d, int own_labels, struct precinfer_error *err)
{
    d->start = pi_arena_new(&d->arena, d->files.n + 1, sizeof *d->start);
    if (!d->start) return pi_no_memory(err, (d->files.n + 1) * sizeof *d->start);
    for (size_t i = 0; i < d->files.n; i++) PI_TRY(scan_part(d, i, own_labels, err));
    return 0;
}

static int open_labels(struct precinfer_data *d, const char *path, struct precinfer_error *err)
{
    PI_TRY(pi_map_open(&d->ctx->alloc, path, &d->label_map, err));
    int status = pi_npy_header(d->label_map.bytes, d->label_map.size, &d->label_npy, err);
    if (!status) status = pi_npy_check_size(&d->label_npy, d->label_map.size, err);
    if (status) return pi_prefix(err, status, "%s", path);
    d->labelled = 1;
    return check_labels(&d->label_npy, path, d->start[d->files.n], err);
}

static int select_samples(struct precinfer_data *d, const struct precinfer_data_options *o, struct precinfer_error *err)
{
    const size_t all = d->pick ? d->picked : d->start[d->files.n];
    if (d->pick && !all)
        return pi_fail(err, PRECINFER_INVALID, "%s: of %zu samples the cut leaves none in the part that is wanted", o->path,
                       d->start[d->files.n]);
    if (o->skip > all || (o->skip && o->skip == all))
        return pi_fail(err, PRECINFER_INVALID, "%s: %zu samples to skip, but there are %zu", o->path, o->skip, all);
    if (!all) return pi_fail(err, PRECINFER_INVALID, "%s: no samples", o->path);
    if (o->samples > all - o->skip)
        return pi_fail(err, PRECINFER_INVALID, "%s: %zu samples asked for, but there are %zu%s", o->path, o->samples,
                       all - o->skip,
                       o->skip ? " after those skipped" : "");
    d->first = d->at = o->skip;
    d->end = o->samples ? o->skip + o->samples : all;
    if (d->pick && d->fixed && !o->samples && d->end - d->first >= d->batch) d->end -= (d->end - d->first) % d->batch;
    if (d->fixed && (d->end - d->first) % d->batch)
        return pi_fail(err, PRECINFER_INVALID, "%s: %zu samples are no multiple of the model's fixed batch of %zu", o->path,
                       d->end - d->first, d->batch);
    return 0;
}

static int cut(struct precinfer_data *d, const struct precinfer_data_options *o, struct precinfer_error *err);

static int set_up(struct precinfer_data *d, const struct precinfer_io *inputs, size_t ninputs,
                  const struct precinfer_data_options *o,
                  struct precinfer_error *err)
{
    d->pre = o->preprocessing ? *o->preprocessing : (struct precinfer_preprocessing){ .divide = 1 };
    d->rules = (struct pi_feed_rules){ .pre = &d->pre, .raw = o->raw, .stored = o->preprocessing_stored };
    PI_TRY(pi_preprocessing_check(&d->pre, "preprocessing", err));
    PI_TRY(copy_inputs(d, inputs, ninputs, err));
    PI_TRY(find_batch(d, o->batch, err));
    PI_TRY(pi_files_list(&d->arena, o->path, &d->files, err));
    PI_TRY(scan(d, o->labels != NULL, err));
    if (o->labels) PI_TRY(open_labels(d, o->labels, err));
    PI_TRY(cut(d, o, err));
    return select_samples(d, o, err);
}

int pi_data_new(precinfer_context *ctx, const struct precinfer_io *inputs, size_t ninputs,
                const struct precinfer_data_options *options,
                precinfer_data **data, struct precinfer_error *err)
{
    struct precinfer_data *d = pi_calloc(&ctx->alloc, 1, sizeof *d);
    if (!d) return pi_no_memory(err, sizeof *d);
    d->ctx = ctx;
    d->arena.a = &ctx->alloc;
    pi_context_retain(ctx);
    const int status = set_up(d, inputs, ninputs, options, err);
    if (status) pi_data_free(d);
    else *data = d;
    return status;
}

void pi_data_free(precinfer_data *d)
{
    if (!d) return;
    precinfer_context *ctx = d->ctx;
    pi_part_close(&d->part);
    pi_map_close(&d->label_map);
    for (int i = 0; i < PI_MAX_INPUTS; i++) pi_free(&ctx->alloc, d->buffer[i]);
    pi_free(&ctx->alloc, d->labels);
    pi_free(&ctx->alloc, d->indexes);
    pi_free(&ctx->alloc, d->pick);
    pi_arena_free(&d->arena);
    pi_free(&ctx->alloc, d);
    pi_context_release(ctx);
}

void pi_data_rewind(precinfer_data *d) { d->at = d->first; }
size_t pi_data_samples(const precinfer_data *d) { return d->end - d->first; }
void pi_data_info(const precinfer_data *d, struct precinfer_data_info *info)
{
    *info = (struct precinfer_data_info){ .samples = d->end - d->first, .all = d->start[d->files.n], .labelled = d->labelled,
                                          .raw = d->raw };
    memcpy(info->parts, d->parts, sizeof info->parts);
}
int pi_data_labelled(const precinfer_data *d) { return d->labelled; }
int pi_data_raw(const precinfer_data *d) { return d->raw; }

/* ------------------------------------------------------------------------------------------------ reading */

/* A file may have changed since it was scanned: it must be what it was. */
static int enter_part(struct precinfer_data *d, size_t i, struct precinfer_error *err)
{
    size_t samples = 0;
    if (d->part.ctx && d->part_index == i) return 0;
    pi_part_close(&d->part);
    PI_TRY(pi_part_open(d->ctx, d->files.paths[i], d->inputs, d->ninputs, 1, &d->part, err));
    int status = plan_part(d, &d->part, d->feed, &samples, err);
    if (!status && (samples != d->start[i + 1] - d->start[i]
                    || (d->labelled && !d->label_map.bytes
                        && (d->part.label.npy.elements != samples || !pi_is_integer(d->part.label.npy.dtype)))))
        status = pi_fail(err, PRECINFER_IO, "%s: changed while it was in use", d->files.paths[i]);
    if (status) pi_part_close(&d->part);
    d->part_index = i;
    return status;
}

static int enter_sample(struct precinfer_data *d, size_t sample, struct precinfer_error *err)
{
    size_t lo = 0, hi = d->files.n;         /* the last file that begins at or before it and is not empty */
    while (hi - lo > 1) {
        const size_t mid = lo + (hi - lo) / 2;
        if (d->start[mid] <= sample) lo = mid; else hi = mid;
    }
    return enter_part(d, lo, err);
}

static int make_room(struct precinfer_data *d, size_t want, struct precinfer_error *err)
{
    for (size_t i = 0; i < d->ninputs; i++) {
        size_t bytes;
        if (pi_mul_size(d->feed[i].bytes, d->whole[i] ? 1 : want, &bytes)) return pi_no_memory(err, SIZE_MAX);
        if (bytes <= d->room[i] && d->buffer[i]) continue;
        pi_free(&d->ctx->alloc, d->buffer[i]);
        d->room[i] = 0;
        d->buffer[i] = pi_malloc(&d->ctx->alloc, bytes);
        if (!d->buffer[i]) return pi_no_memory(err, bytes);
        d->room[i] = bytes;
    }
    if (want <= d->label_room) return 0;
    pi_free(&d->ctx->alloc, d->labels);
    pi_free(&d->ctx->alloc, d->indexes);
    d->label_room = 0;
    d->indexes = NULL;
    d->labels = pi_calloc(&d->ctx->alloc, want, sizeof *d->labels);
    if (d->labels) d->indexes = pi_calloc(&d->ctx->alloc, want, sizeof *d->indexes);
    if (!d->indexes) return pi_no_memory(err, want * sizeof *d->labels);
    d->label_room = want;
    return 0;
}

/* The batch's shape so far, of its first sample. */
static void describe(const struct precinfer_data *d, struct precinfer_batch *b)
{
    *b = (struct precinfer_batch){ .ninputs = d->ninputs, .labels = d->labelled ? d->labels : NULL,
                                     .indexes = d->indexes };
    for (size_t i = 0; i < d->ninputs; i++) {
        b->inputs[i] = (struct precinfer_tensor){ .data = d->buffer[i], .dtype = d->inputs[i].dtype, .rank = d->inputs[i].rank };
        memcpy(b->inputs[i].dims, d->feed[i].dims, sizeof b->inputs[i].dims);
    }
}

/* May the current file's samples stand beside those in b? An input that goes in whole belongs to its file. */
static int same_shape(const struct precinfer_data *d, const struct precinfer_batch *b)
{
    for (size_t i = 0; i < d->ninputs; i++)
        for (int k = 1; k < d->inputs[i].rank; k++) if (b->inputs[i].dims[k] != d->feed[i].dims[k]) return 0;
    return !d->any_whole;
}

static int read_label(struct precinfer_data *d, size_t sample, size_t slot, struct precinfer_error *err)
{
    const int own = d->label_map.bytes != NULL;
    const struct pi_npy *npy = own ? &d->label_npy : &d->part.label.npy;
    const unsigned char *data = own ? d->label_map.bytes + npy->offset : d->part.label.data;
    if (!pi_read_integer(npy, data, own ? sample : sample - d->start[d->part_index], &d->labels[slot])) return 0;
    return pi_fail(err, PRECINFER_INVALID, "the label of sample %zu is beyond 63 bits", sample);
}

static int read_inputs(struct precinfer_data *d, size_t sample, size_t slot, struct precinfer_error *err)
{
    const size_t inside = sample - d->start[d->part_index];
    for (size_t i = 0; i < d->ninputs; i++) {
        if (d->whole[i] && slot) continue;
        const int status = pi_feed_sample(&d->feed[i], d->part.input[i].data, d->whole[i] ? 0 : inside,
                                          d->buffer[i] + (d->whole[i] ? 0 : slot * d->feed[i].bytes), err);
        if (status) return pi_prefix(err, status, "%s: input '%s'", d->files.paths[d->part_index], d->inputs[i].name);
    }
    return 0;
}

static int read_sample(struct precinfer_data *d, size_t sample, size_t slot, struct precinfer_error *err)
{
    PI_TRY(read_inputs(d, sample, slot, err));
    d->indexes[slot] = sample;
    return d->labelled ? read_label(d, sample, slot, err) : 0;
}

static int fill(struct precinfer_data *d, struct precinfer_batch *b, struct precinfer_error *err)
{
    const size_t left = d->end - d->at, want = left < d->batch ? left : d->batch;
    size_t n = 0, in = 0;
    for (; n < want; n++) {
        const size_t sample = d->pick ? d->pick[d->at + n] : d->at + n;
        PI_TRY(enter_sample(d, sample, err));
        if (!n) {
            PI_TRY(make_room(d, want, err));
            describe(d, b);
        } else if (d->part_index != in && !same_shape(d, b)) {
            if (d->fixed)
                return pi_fail(err, PRECINFER_INVALID,
                               "%s: its samples cannot share the model's fixed batch of %zu with those of the file before it",
                               d->files.paths[d->part_index], d->batch);
            break;
        }
        in = d->part_index;
        PI_TRY(read_sample(d, sample, n, err));
    }
    for (size_t i = 0; i < d->ninputs; i++) if (!d->whole[i]) b->inputs[i].dims[0] = (int64_t)n;
    b->samples = n;
    d->at += n;
    return 0;
}

int pi_data_next(precinfer_data *d, struct precinfer_batch *batch, struct precinfer_error *err)
{
    if (d->at == d->end) { *batch = (struct precinfer_batch){ .ninputs = d->ninputs }; return 0; }
    const unsigned saved = pi_fp_enter();
    const int status = fill(d, batch, err);
    pi_fp_leave(saved);
    return status;
}

/* ------------------------------------------------------------------------------------------------ the cut */

/* The part of a sample: its hash, mixed once more, falls into one of three intervals. Bootstraps draw from the same hash. */
static int part_of(uint64_t hash, const size_t *split)
{
    uint64_t z = hash ^ 0x73706c6974206f66u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z = (z ^ z >> 31) >> 32;
    const uint64_t at = z * (split[0] + split[1] + split[2]) >> 32;
    return at < split[0] ? 0 : at < split[0] + split[1] ? 1 : 2;
}

static int cut_samples(struct precinfer_data *d, const struct precinfer_data_options *o, struct precinfer_error *err)
{
    for (size_t i = 0; i < d->start[d->files.n]; i++) {
        struct precinfer_batch b;
        PI_TRY(enter_sample(d, i, err));
        PI_TRY(make_room(d, 1, err));
        PI_TRY(read_inputs(d, i, 0, err));
        describe(d, &b);
        b.samples = 1;
        for (size_t k = 0; k < d->ninputs; k++) if (!d->whole[k]) b.inputs[k].dims[0] = 1;
        const int part = part_of(pi_sample_hash(&b, 0), o->split);
        d->parts[part]++;
        if (part == (int)o->part) d->pick[d->picked++] = i;
    }
    return 0;
}

static int cut(struct precinfer_data *d, const struct precinfer_data_options *o, struct precinfer_error *err)
{
    const size_t all = d->start[d->files.n];
    enum { MOST = 1000000 };
    if (!o->split[0] && !o->split[1] && !o->split[2]) return 0;
    if (o->split[0] > MOST || o->split[1] > MOST || o->split[2] > MOST || (unsigned)o->part > 2)
        return pi_fail(err, PRECINFER_INVALID, "a cut of %zu, %zu, %zu, part %d: numbers up to %d and parts 0 to 2", o->split[0],
                       o->split[1], o->split[2], (int)o->part, MOST);
    d->pick = pi_calloc(&d->ctx->alloc, all, sizeof *d->pick);
    if (!d->pick) return pi_no_memory(err, all * sizeof *d->pick);
    const unsigned saved = pi_fp_enter();
    const int status = cut_samples(d, o, err);
    pi_fp_leave(saved);
    return status;
}
