/* The data reader's parts: which files there are (data_dir.c), what one file holds (data_part.c), and how an array's
 * elements become a model's input (data_feed.c). data.c puts them together. */
#ifndef PI_FORMAT_DATA_H
#define PI_FORMAT_DATA_H
#include "map.h"
#include "npy.h"

enum { PI_MAX_INPUTS = 16 };            /* of struct precinfer_batch                                             */

/* ---------------------------------------------------------------- files */
struct pi_files { const char **paths; size_t n; };
/* One file, or the .npy and .npz files of a directory in byte order of their names. In the arena. */
int pi_files_list(struct pi_arena *arena, const char *path, struct pi_files *files, struct precinfer_error *err);

/* ---------------------------------------------------------------- one file */
struct pi_array { struct pi_npy npy; const unsigned char *data; unsigned char *owned; };    /* data NULL: header only */
struct pi_part {
    precinfer_context *ctx;
    struct pi_map map;
    struct pi_npz *npz;                 /* NULL: a .npy file                                                     */
    int entry[PI_MAX_INPUTS], label_entry;
    struct pi_array input[PI_MAX_INPUTS], label;    /* label.npy.dtype PRECINFER_NONE: none                       */
};
/* An array for each input. data 0: headers only. Nothing is left open on failure. */
int pi_part_open(precinfer_context *ctx, const char *path, const struct precinfer_io *inputs, size_t ninputs, int data,
                 struct pi_part *part, struct precinfer_error *err);
void pi_part_close(struct pi_part *part);           /* a zeroed one: nothing happens                             */

/* ---------------------------------------------------------------- from array to input */
enum pi_feed_how { PI_FEED_COPY, PI_FEED_PREPROCESS, PI_FEED_WIDEN };
struct pi_feed_rules {
    const struct precinfer_preprocessing *pre;      /* never NULL                                                */
    int raw, stored;
    int floats;                         /* the model has a floating-point input, which preprocessing is for       */
    int whole;                          /* this input has no batch dimension                                     */
};
struct pi_feed {
    enum pi_feed_how how;
    enum precinfer_dtype from, to;
    int swapped, rank;
    int64_t dims[PRECINFER_MAX_RANK];   /* of the input, [0] the array's samples unless whole                    */
    size_t elements, bytes;             /* a sample's (whole: all) of the input                                  */
    int64_t sample_stride;              /* elements                                                              */
    /* Loops over the input's elements in its order; step in elements of the array, channel: how far the channel moves. */
    int nloops;
    struct { int64_t n, step; int channel; } loop[PRECINFER_MAX_RANK + 1];
    float divide, mean[16], std[16];    /* mean and std: one, or one a channel                                   */
};
int pi_feed_plan(const struct precinfer_io *io, const struct pi_npy *npy, const struct pi_feed_rules *rules, struct pi_feed *feed,
                 struct precinfer_error *err);
/* One sample (whole: sample 0) into feed->bytes at `to`. Within pi_fp_enter. */
int pi_feed_sample(const struct pi_feed *feed, const unsigned char *data, size_t sample, void *to, struct precinfer_error *err);

int pi_is_integer(enum precinfer_dtype dtype);      /* bool is none                                              */
int pi_is_float(enum precinfer_dtype dtype);
/* Element i of an integer array; nonzero: beyond int64. */
int pi_read_integer(const struct pi_npy *npy, const unsigned char *data, size_t i, int64_t *x);
#endif
