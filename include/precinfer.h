/* libprecinfer: mixed-precision inference that can prove its speed and its accuracy.
 *
 * A trained FP32 model goes in; a plan comes out that is faster on this machine, no less accurate than its owner allows,
 * and can prove both. The objects, in the order in which they are made:
 *
 *     precinfer_context   what the host lends: allocator, log, threads, which instruction sets may be used
 *     precinfer_graph     the FP32 model: nodes, shapes, constants
 *     precinfer_stats     what calibration saw: fixed size, mergeable, savable
 *     precinfer_recipe    per node: precision, scales. Portable, readable, hashed: it decides the numbers
 *     precinfer_plan      graph + recipe compiled for this CPU: kernels, packed weights. It decides only the speed
 *     precinfer_session   one thread's workspace and bound inputs and outputs
 *     precinfer_report    per-layer diff, end-to-end figures, verdict
 *
 * Rules that hold for every function:
 *  - It returns enum precinfer_status, 0 for success, and fills *err (NULL allowed) with a sentence that names what was
 *    wrong. There is no other error state.
 *  - Constructors write their handle last and free everything on failure. Destructors take NULL.
 *  - An object keeps what it needs of the objects that it was made from alive; they may be freed in any order. What is
 *    passed by pointer is copied, unless a comment says that it is borrowed.
 *  - The library never aborts, prints, exits, reads the environment, starts a thread or opens a file it was not given.
 *  - A graph, recipe, statistics or plan that nobody modifies may be used by any number of threads at once; a session by
 *    one thread at a time.
 *  - Option structs begin with `size`: set it to sizeof the struct and the rest to zero for the defaults.
 *
 * Arithmetic: integer results are the same bits on every CPU, thread count and batch; f32 results too, unless the recipe
 * names an algorithm that computes in another order. bf16 results are the same bits per instruction family. */
#ifndef PRECINFER_H
#define PRECINFER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PRECINFER_VERSION_MAJOR 0
#define PRECINFER_VERSION_MINOR 1
#define PRECINFER_VERSION_PATCH 0

#if defined PRECINFER_BUILD && defined __GNUC__
#define PRECINFER_API __attribute__((visibility("default")))
#else
#define PRECINFER_API
#endif

/* "0.1.0". The string is static. */
PRECINFER_API const char *precinfer_version(void);

/* ------------------------------------------------------------------------------------------------ errors */

enum precinfer_status {
    PRECINFER_OK = 0,
    PRECINFER_INVALID,          /* an argument or a use that the documentation forbids                          */
    PRECINFER_UNSUPPORTED,      /* a valid model or request that this build or version does not cover           */
    PRECINFER_MALFORMED,        /* a file or a graph that contradicts itself or its format                       */
    PRECINFER_NOT_FOUND,        /* a file, tensor, node or kernel of that name is not there                      */
    PRECINFER_NO_MEMORY,
    PRECINFER_IO,               /* reading or writing failed                                                    */
    PRECINFER_CANCELLED         /* a callback asked to stop                                                     */
};
enum { PRECINFER_ERROR_TEXT = 496 };
struct precinfer_error {
    enum precinfer_status status;
    char text[PRECINFER_ERROR_TEXT];    /* one sentence, no newline: node 'conv1' (Conv): group 7 does not divide 256 */
};
/* A static word for a status: "out of memory". */
PRECINFER_API const char *precinfer_status_string(enum precinfer_status status);

/* ------------------------------------------------------------------------------------------------ context */

struct precinfer_context;
typedef struct precinfer_context precinfer_context;

enum precinfer_log_level { PRECINFER_LOG_WARNING, PRECINFER_LOG_NOTE };

struct precinfer_context_options {
    size_t size;
    void *host;                                         /* handed to every callback below                        */
    /* Memory. Both or neither; default malloc. align is a power of two, at most 4096. alloc returns NULL when out. */
    void *(*alloc)(void *host, size_t bytes, size_t align);
    void (*release)(void *host, void *block);
    /* One line without newline. Default: nothing is said. */
    void (*log)(void *host, enum precinfer_log_level level, const char *line);
    /* Runs body(arg, i) for i = 0 .. n-1, possibly at once, and returns when all are done. Default: this thread only.
     * threads says how many may run at once; n never exceeds it. */
    void (*parallel_for)(void *host, size_t n, void (*body)(void *arg, size_t i), void *arg);
    size_t threads;                                     /* default 1                                             */
    /* Folder names of kernels/ that may be used, separated by commas; NULL: all that this CPU has. "ref" always may.
     * A name that this CPU cannot run is PRECINFER_UNSUPPORTED and the error lists those that it can. */
    const char *cpu_mask;
    /* A pattern (* and ?) that the name of a GEMM or convolution kernel must match where one matches; NULL: any. */
    const char *kernel;
};
PRECINFER_API enum precinfer_status precinfer_context_new(const struct precinfer_context_options *options,
                                                          precinfer_context **context, struct precinfer_error *err);
PRECINFER_API void precinfer_context_free(precinfer_context *context);
/* "AMD family 25 model 17: avx2 avx512 avx512vnni avx512bf16". Valid as long as the context. */
PRECINFER_API const char *precinfer_context_cpu(const precinfer_context *context);

/* Progress of a long call: done of total steps (total 0: unknown). A nonzero return cancels. */
typedef int precinfer_progress(void *user, const char *what, size_t done, size_t total);

/* ------------------------------------------------------------------------------------------------ tensors */

enum precinfer_dtype {
    PRECINFER_NONE, PRECINFER_F32, PRECINFER_BF16, PRECINFER_F16, PRECINFER_F64, PRECINFER_U8, PRECINFER_S8, PRECINFER_U16,
    PRECINFER_S16, PRECINFER_S32, PRECINFER_U32, PRECINFER_S64, PRECINFER_U64, PRECINFER_BOOL
};
PRECINFER_API const char *precinfer_dtype_string(enum precinfer_dtype dtype);   /* "float32", "uint8", ...           */
PRECINFER_API size_t precinfer_dtype_size(enum precinfer_dtype dtype);          /* bytes, 0 for PRECINFER_NONE       */

enum { PRECINFER_MAX_RANK = 8, PRECINFER_HOST = 0 };
/* A view of memory that somebody else owns: row-major, dense, naturally aligned. */
struct precinfer_tensor {
    void *data;
    enum precinfer_dtype dtype;
    int rank;                                   /* 0: one element                                                */
    int64_t dims[PRECINFER_MAX_RANK];
    int device;                                 /* PRECINFER_HOST                                                */
};

/* What a model says of an input or output. dims[i] < 0 is open; its name is symbols[i], or NULL when it has none. */
struct precinfer_io {
    const char *name;
    enum precinfer_dtype dtype;
    int rank;
    int64_t dims[PRECINFER_MAX_RANK];
    const char *symbols[PRECINFER_MAX_RANK];
};

/* ------------------------------------------------------------------------------------------------ graph */

struct precinfer_graph;
typedef struct precinfer_graph precinfer_graph;

/* Reads an ONNX model (opsets 7 to 21, newer where an operator's definition is unchanged). External data is looked for
 * beside the file only. From memory: `directory` is where external data may lie, NULL: none is read. */
PRECINFER_API enum precinfer_status precinfer_graph_load(precinfer_context *context, const char *path,
                                                         precinfer_graph **graph, struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_graph_load_memory(precinfer_context *context, const void *bytes, size_t size,
                                                                const char *directory, precinfer_graph **graph,
                                                                struct precinfer_error *err);
/* A graph by hand: inputs, constants and nodes in topological order, outputs, then _finish. Operators are ONNX's, of
 * opset 17. Names are unique. */
struct precinfer_attribute {
    const char *name;
    char type;                                  /* 'i', 'f', 's', 'I' ints, 'F' floats                           */
    size_t count;                               /* of 'I' and 'F'                                                */
    int64_t i; float f; const char *s;
    const int64_t *ints; const float *floats;
};
PRECINFER_API enum precinfer_status precinfer_graph_new(precinfer_context *context, precinfer_graph **graph,
                                                        struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_graph_input(precinfer_graph *graph, const struct precinfer_io *input,
                                                          struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_graph_constant(precinfer_graph *graph, const char *name,
                                                             const struct precinfer_tensor *value, struct precinfer_error *err);
/* An absent optional input is "" or NULL. */
PRECINFER_API enum precinfer_status precinfer_graph_node(precinfer_graph *graph, const char *op, const char *name,
                                                         const char *const *inputs, size_t ninputs, const char *const *outputs,
                                                         size_t noutputs, const struct precinfer_attribute *attributes,
                                                         size_t nattributes, struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_graph_output(precinfer_graph *graph, const char *name, struct precinfer_error *err);
/* Validates, infers shapes, folds constants. A loaded graph is finished. */
PRECINFER_API enum precinfer_status precinfer_graph_finish(precinfer_graph *graph, struct precinfer_error *err);
PRECINFER_API void precinfer_graph_free(precinfer_graph *graph);

PRECINFER_API size_t precinfer_graph_inputs(const precinfer_graph *graph);
PRECINFER_API size_t precinfer_graph_outputs(const precinfer_graph *graph);
PRECINFER_API enum precinfer_status precinfer_graph_input_info(const precinfer_graph *graph, size_t i, struct precinfer_io *io);
PRECINFER_API enum precinfer_status precinfer_graph_output_info(const precinfer_graph *graph, size_t i, struct precinfer_io *io);
PRECINFER_API uint64_t precinfer_graph_hash(const precinfer_graph *graph);
/* Called for every node in order. Strings are valid as long as the graph. */
struct precinfer_node_info {
    const char *name, *op;
    size_t macs_per_sample;                     /* multiply-adds, 0 where it has none or a dimension is unknown   */
    size_t weights;                             /* constant elements                                             */
    struct precinfer_io output;                 /* the first                                                     */
};
PRECINFER_API enum precinfer_status precinfer_graph_nodes(const precinfer_graph *graph,
                                                          int (*each)(void *user, const struct precinfer_node_info *node),
                                                          void *user);

/* ------------------------------------------------------------------------------------------------ data */

/* One call hands over one batch: inputs in the model's order, `samples` along the first dimension. samples 0: the end.
 * The memory stays the callee's and is valid until the next call. labels may be NULL. A nonzero return is a
 * precinfer_status and ends the caller's work with it (fill *err). */
struct precinfer_batch {
    struct precinfer_tensor inputs[16];
    size_t ninputs, samples;
    const int64_t *labels;
    /* What a gate may want besides; zero or NULL where there is none. */
    struct precinfer_tensor target;             /* the truth where it is no class: `samples` rows, any float or integer type */
    const char *const *const *columns;          /* [c][i]: value of the policy's column c for sample i; NULL: unknown */
    const uint64_t *indexes;                    /* of each sample in its data set; NULL: counted from 0          */
    size_t labels_per_sample;                   /* 0: 1; more, for outputs with positions, are the gate's alone   */
};
typedef int precinfer_next_batch(void *user, struct precinfer_batch *batch, struct precinfer_error *err);

/* raw -> model input: (x / divide - mean[c]) / std[c] in f32, one rounding an operation, then transposed. */
enum precinfer_layout { PRECINFER_LAYOUT_MODEL, PRECINFER_NCHW, PRECINFER_NHWC };
struct precinfer_preprocessing {
    int given;                                  /* 0: none                                                       */
    float divide;                               /* 1                                                             */
    int channels;                               /* of mean and std: 0 (0 and 1), 1 (all alike) or the model's     */
    float mean[16], std[16];
    enum precinfer_layout layout;               /* of the raw array                                              */
};

/* A reader of .npy, .npz and directories of either. `model` describes the inputs. */
struct precinfer_data;
typedef struct precinfer_data precinfer_data;
enum precinfer_part { PRECINFER_PART_CALIBRATE, PRECINFER_PART_TUNE, PRECINFER_PART_VERIFY };
struct precinfer_data_options {
    size_t size;
    const char *path;                           /* .npy, .npz (keys are input names, `label`: labels), directory   */
    const char *labels;                         /* .npy of integers, or NULL                                     */
    size_t skip;                                /* samples left out at the start, and their labels               */
    size_t samples;                             /* after that: at most these; 0: all. More than there are: error  */
    size_t batch;                               /* samples a batch; 0: 1, or what the model's fixed batch says    */
    int raw;                                    /* arrays of the model's dtype are raw too                        */
    const struct precinfer_preprocessing *preprocessing;
    int preprocessing_stored;                   /* it comes from a file: no error for arrays of the model's dtype  */
    /* Cuts the set in three, by enum precinfer_part, in these proportions (50, 25, 25); all 0: no cut. Where a sample goes
     * follows from its hash alone (its inputs as the model sees them), not from order, batch or the rest of the data. It
     * costs one more pass over the data. skip and samples apply within the part that is read; of a part that is no
     * multiple of the model's fixed batch the last samples stay out. */
    size_t split[3];
    enum precinfer_part part;
};
PRECINFER_API enum precinfer_status precinfer_data_open(precinfer_context *context, const struct precinfer_io *inputs,
                                                        size_t ninputs, const struct precinfer_data_options *options,
                                                        precinfer_data **data, struct precinfer_error *err);
PRECINFER_API int precinfer_data_next(void *data, struct precinfer_batch *batch, struct precinfer_error *err);
PRECINFER_API void precinfer_data_rewind(precinfer_data *data);
PRECINFER_API size_t precinfer_data_samples(const precinfer_data *data);
/* Samples in all files, whatever skip, samples and part say; parts: how many the cut gave each, 0 without one. */
struct precinfer_data_info { size_t samples, all, parts[3]; int labelled, raw; };
PRECINFER_API enum precinfer_status precinfer_data_info(const precinfer_data *data, struct precinfer_data_info *info);
PRECINFER_API int precinfer_data_labelled(const precinfer_data *data);
/* Are there arrays that are preprocessed, be it by the defaults? */
PRECINFER_API int precinfer_data_raw(const precinfer_data *data);
PRECINFER_API void precinfer_data_free(precinfer_data *data);

/* One array of a .npy file, whole. Free with precinfer_array_free. */
PRECINFER_API enum precinfer_status precinfer_npy_load(precinfer_context *context, const char *path,
                                                       struct precinfer_tensor *array, struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_npy_save(precinfer_context *context, const char *path,
                                                       const struct precinfer_tensor *array, struct precinfer_error *err);
PRECINFER_API void precinfer_array_free(precinfer_context *context, struct precinfer_tensor *array);
/* Arrays by name: of a .npz (its keys), a .npy (one, without a name: "") or a directory of .npy files (names without ".npy",
 * in byte order). Headers are read at once, data on demand. */
struct precinfer_arrays;
typedef struct precinfer_arrays precinfer_arrays;
PRECINFER_API enum precinfer_status precinfer_arrays_open(precinfer_context *context, const char *path,
                                                          precinfer_arrays **arrays, struct precinfer_error *err);
PRECINFER_API size_t precinfer_arrays_count(const precinfer_arrays *arrays);
/* The name is valid as long as the arrays; shape->data is NULL. */
PRECINFER_API enum precinfer_status precinfer_arrays_info(const precinfer_arrays *arrays, size_t i, const char **name,
                                                          struct precinfer_tensor *shape);
/* Free with precinfer_array_free. */
PRECINFER_API enum precinfer_status precinfer_arrays_load(precinfer_arrays *arrays, size_t i, struct precinfer_tensor *array,
                                                          struct precinfer_error *err);
PRECINFER_API void precinfer_arrays_free(precinfer_arrays *arrays);
/* Any bytes as the library writes its own files: under a temporary name beside the target, flushed, then renamed. */
PRECINFER_API enum precinfer_status precinfer_file_write(precinfer_context *context, const char *path, const void *bytes,
                                                         size_t size,
                                                         struct precinfer_error *err);

/* ------------------------------------------------------------------------------------------------ statistics */

struct precinfer_stats;
typedef struct precinfer_stats precinfer_stats;
struct precinfer_calibrate_options {
    size_t size;
    const struct precinfer_preprocessing *preprocessing;    /* recorded, not applied                             */
    precinfer_progress *progress; void *user;
};
/* Runs the f32 model over the batches and observes every value. The result does not depend on CPU, threads or batch. */
PRECINFER_API enum precinfer_status precinfer_calibrate(const precinfer_graph *graph, precinfer_next_batch *next, void *user,
                                                        const struct precinfer_calibrate_options *options,
                                                        precinfer_stats **stats, struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_stats_load(precinfer_context *context, const char *path, precinfer_stats **stats,
                                                         struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_stats_save(const precinfer_stats *stats, const char *path,
                                                         struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_stats_merge(precinfer_stats *into, const precinfer_stats *from,
                                                          struct precinfer_error *err);
PRECINFER_API void precinfer_stats_free(precinfer_stats *stats);
struct precinfer_stats_info {
    size_t samples, values;
    uint64_t model_hash, data_hash;
    struct precinfer_preprocessing preprocessing;
};
PRECINFER_API enum precinfer_status precinfer_stats_info(const precinfer_stats *stats, struct precinfer_stats_info *info);
struct precinfer_range { const char *name; float min, max; uint64_t count; };
PRECINFER_API enum precinfer_status precinfer_stats_range(const precinfer_stats *stats, size_t i, struct precinfer_range *range);

/* Observers on plain f32 tensors, for a host that has its own graph. */
struct precinfer_observer;
typedef struct precinfer_observer precinfer_observer;
PRECINFER_API enum precinfer_status precinfer_observer_new(precinfer_context *context, precinfer_observer **observer,
                                                           struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_observer_update(precinfer_observer *observer, const float *x, size_t n,
                                                              struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_observer_merge(precinfer_observer *into, const precinfer_observer *from,
                                                             struct precinfer_error *err);
/* u8 parameters that cover what was seen and 0: x is about (q - zero_point) * scale. A range of zero gives scale 1 and
 * zero point 0. */
struct precinfer_qparams { float scale; int32_t zero_point; };
PRECINFER_API enum precinfer_status precinfer_observer_params(const precinfer_observer *observer,
                                                              struct precinfer_qparams *params,
                                                              struct precinfer_error *err);
PRECINFER_API void precinfer_observer_free(precinfer_observer *observer);

/* ------------------------------------------------------------------------------------------------ recipe */

enum precinfer_precision { PRECINFER_PRECISION_F32, PRECINFER_PRECISION_BF16, PRECINFER_PRECISION_INT8 };
PRECINFER_API const char *precinfer_precision_string(enum precinfer_precision precision);   /* "f32", "bf16", "int8"  */

struct precinfer_recipe;
typedef struct precinfer_recipe precinfer_recipe;
/* Every node with weights at one precision. int8 needs stats (NULL else). */
PRECINFER_API enum precinfer_status precinfer_recipe_new(const precinfer_graph *graph, const precinfer_stats *stats,
                                                         enum precinfer_precision precision, precinfer_recipe **recipe,
                                                         struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_recipe_load(precinfer_context *context, const char *path, precinfer_recipe **recipe,
                                                          struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_recipe_save(const precinfer_recipe *recipe, const char *path,
                                                          struct precinfer_error *err);
PRECINFER_API uint64_t precinfer_recipe_hash(const precinfer_recipe *recipe);
/* Recorded in the recipe and in every plan made from it; the hash changes with it. The recipe must not be in use. */
PRECINFER_API enum precinfer_status precinfer_recipe_set_preprocessing(precinfer_recipe *recipe,
                                                                       const struct precinfer_preprocessing *preprocessing,
                                                                       struct precinfer_error *err);
struct precinfer_recipe_info {
    uint64_t hash, model_hash;
    size_t nodes, values;
    struct precinfer_preprocessing preprocessing;
    size_t tune_samples;                        /* that a choice in it was made on: not for verification          */
};
PRECINFER_API enum precinfer_status precinfer_recipe_info(const precinfer_recipe *recipe, struct precinfer_recipe_info *info);
/* Strings and scales are valid as long as the recipe. */
struct precinfer_recipe_node {
    const char *name, *op;
    enum precinfer_precision precision;
    const float *weight_scales;
    size_t nscales;
};
PRECINFER_API enum precinfer_status precinfer_recipe_node(const precinfer_recipe *recipe, size_t i,
                                                          struct precinfer_recipe_node *node);
struct precinfer_recipe_value { const char *name; struct precinfer_qparams params; };
PRECINFER_API enum precinfer_status precinfer_recipe_value(const precinfer_recipe *recipe, size_t i,
                                                           struct precinfer_recipe_value *value);
PRECINFER_API void precinfer_recipe_free(precinfer_recipe *recipe);

/* ------------------------------------------------------------------------------------------------ plan */

struct precinfer_plan;
typedef struct precinfer_plan precinfer_plan;
struct precinfer_compile_options {
    size_t size;
    const precinfer_stats *stats;               /* their sample hashes and preprocessing go into the plan        */
    precinfer_progress *progress; void *user;
};
/* Fuses, chooses kernels, packs weights, plans memory. recipe NULL: f32. */
PRECINFER_API enum precinfer_status precinfer_compile(const precinfer_graph *graph, const precinfer_recipe *recipe,
                                                      const struct precinfer_compile_options *options,
                                                      precinfer_plan **plan, struct precinfer_error *err);
/* A plan file loads on any CPU: the same integers, kernels chosen anew. strict_host: refuse one made on another CPU. */
struct precinfer_load_options { size_t size; int strict_host; };
PRECINFER_API enum precinfer_status precinfer_plan_load(precinfer_context *context, const char *path,
                                                        const struct precinfer_load_options *options,
                                                        precinfer_plan **plan, struct precinfer_error *err);
/* bytes is borrowed until the plan is freed, or copied where it is not 64-byte aligned. */
PRECINFER_API enum precinfer_status precinfer_plan_load_memory(precinfer_context *context, const void *bytes, size_t size,
                                                               const struct precinfer_load_options *options,
                                                               precinfer_plan **plan, struct precinfer_error *err);
/* rejected: marks the file as one that failed its gate. */
PRECINFER_API enum precinfer_status precinfer_plan_save(const precinfer_plan *plan, const char *path, int rejected,
                                                        struct precinfer_error *err);
PRECINFER_API void precinfer_plan_free(precinfer_plan *plan);

PRECINFER_API size_t precinfer_plan_inputs(const precinfer_plan *plan);
PRECINFER_API size_t precinfer_plan_outputs(const precinfer_plan *plan);
PRECINFER_API enum precinfer_status precinfer_plan_input_info(const precinfer_plan *plan, size_t i, struct precinfer_io *io);
PRECINFER_API enum precinfer_status precinfer_plan_output_info(const precinfer_plan *plan, size_t i, struct precinfer_io *io);
struct precinfer_plan_info {
    uint64_t plan_hash, recipe_hash, model_hash;
    int rejected, other_host;
    size_t layers;
    uint64_t weights_bytes;                     /* as stored: weight tensors, scales and biases                  */
    uint64_t packed_bytes;                      /* as laid out for the kernels                                   */
    size_t calibration_samples;                 /* that the statistics saw, 0 without                            */
    struct precinfer_preprocessing preprocessing;
};
PRECINFER_API enum precinfer_status precinfer_plan_info(const precinfer_plan *plan, struct precinfer_plan_info *info);

/* One step of a plan: a node with what was fused into it. Strings are valid as long as the plan. */
struct precinfer_layer {
    const char *name, *op;
    const char *fused;                          /* names of the nodes it swallowed, separated by commas; "" none  */
    const char *output;                         /* name of its first output                                      */
    const char *kernel;                         /* the row's name, or the implementation's                       */
    enum precinfer_precision precision;
    int has_weights, lowerable;                 /* Conv, ConvTranspose, Gemm, MatMul with constant weights        */
    uint64_t macs;                              /* multiply-adds a sample, 0 where a dimension is open            */
    uint64_t weights_bytes;
};
PRECINFER_API enum precinfer_status precinfer_plan_layer(const precinfer_plan *plan, size_t i, struct precinfer_layer *layer);

/* Every candidate of every layer: its estimated time, or why it was refused. cpu NULL: this one; else "haswell",
 * "skylake-x", "icelake-server", "sapphirerapids", "zen2", "zen3", "zen4", ...: precinfer_cpu_name(i) lists them. */
struct precinfer_candidate {
    const char *kernel;
    double cost_ns;                             /* < 0: refused                                                  */
    const char *refused;                        /* NULL: a candidate                                             */
    int chosen;
};
typedef int precinfer_each_candidate(void *user, size_t layer, const struct precinfer_layer *info,
                                     const struct precinfer_candidate *candidate);
PRECINFER_API enum precinfer_status precinfer_explain(const precinfer_plan *plan, const char *cpu, const char *cpu_mask,
                                                      precinfer_each_candidate *each, void *user, struct precinfer_error *err);
PRECINFER_API const char *precinfer_cpu_name(size_t i);        /* NULL past the last                              */

/* ------------------------------------------------------------------------------------------------ session */

struct precinfer_session;
typedef struct precinfer_session precinfer_session;
struct precinfer_shape { const char *input; int rank; int64_t dims[PRECINFER_MAX_RANK]; };
struct precinfer_session_options {
    size_t size;
    const struct precinfer_shape *max_shapes;   /* of inputs with open dimensions; left out: every open one is 1   */
    size_t nshapes;
    int profile;                                /* measure the time of each layer                                */
    int keep_all;                               /* intermediate values are readable after a run                  */
};
/* A run within the maximum shapes allocates nothing. */
PRECINFER_API enum precinfer_status precinfer_session_new(const precinfer_plan *plan,
                                                          const struct precinfer_session_options *options,
                                                          precinfer_session **session, struct precinfer_error *err);
PRECINFER_API void precinfer_session_free(precinfer_session *session);
/* Binds caller's memory to an input or output, borrowed until it is bound anew. Inputs must be bound; an output that is
 * not lies in the session's memory. The shape of a bound output must be what the inputs give. */
PRECINFER_API enum precinfer_status precinfer_bind(precinfer_session *session, const char *name,
                                                   const struct precinfer_tensor *tensor,
                                                   struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_session_run(precinfer_session *session, struct precinfer_error *err);
/* A view of an output of the last run; with keep_all of any value that the plan computes, in f32 for lowered ones
 * (converted into memory that the next call reuses). Valid until the next run. */
PRECINFER_API enum precinfer_status precinfer_session_value(precinfer_session *session, const char *name,
                                                            struct precinfer_tensor *tensor, struct precinfer_error *err);
/* Time of each layer in the last run, nanoseconds; n is precinfer_plan_info.layers. Needs profile. */
PRECINFER_API enum precinfer_status precinfer_session_times(const precinfer_session *session, uint64_t *ns, size_t n,
                                                            struct precinfer_error *err);
/* What layer i computes and moves at the session's shapes; macs 0: no multiply-adds to speak of. */
struct precinfer_layer_work { uint64_t macs, input_bytes, weight_bytes, output_bytes; };
PRECINFER_API enum precinfer_status precinfer_session_layer_work(const precinfer_session *session, size_t i,
                                                                 struct precinfer_layer_work *work);
struct precinfer_session_info {
    uint64_t workspace_bytes;                   /* all that the session allocated for values and scratch          */
    uint64_t workspace_bound_bytes;             /* largest sum of values alive at once: the lower bound           */
};
PRECINFER_API enum precinfer_status precinfer_session_info(const precinfer_session *session, struct precinfer_session_info *info);

/* ------------------------------------------------------------------------------------------------ verification */

/* A policy says what a candidate has to keep: budgets, each on all samples or on slices of them, and how sure one has to be.
 * Its JSON form (lib/verify/README.md has every key) and these calls make the same object. Every budget is one paired
 * contrast per sample, H0: E[d] >= 0:
 *
 *     limit          d for a score s (higher is better)     d for an error e (lower is better)
 *     MAX_DROP  v    s_reference - s_candidate - v          e_candidate - e_reference - v
 *     MIN_SHARE v    v * s_reference - s_candidate
 *     MAX_RATIO v                                           e_candidate - v * e_reference
 *     MIN       v    v - s          (agreement, cosine: one figure for the pair; latency: see below)
 *
 * A budget passes when the one-sided upper bound of E[d] is <= 0, fails when the lower bound is > 0, and is undecided
 * between. Bounds: by default a betting confidence sequence, valid however often one looks; with `n` fixed beforehand
 * Clopper-Pearson (proportions) or a score bound (paired differences, approximate); where d is unbounded and no bounds are
 * declared, and for set metrics, a Poisson bootstrap (approximate). */
enum precinfer_metric {
    PRECINFER_TOPK,             /* 1 if the label is among the k largest                                         */
    PRECINFER_AGREEMENT,        /* 1 if both have the same top-1; MIN only                                       */
    PRECINFER_LOG_LOSS,         /* -log p(label), mean over the positions of a sample; MAX_DROP                   */
    PRECINFER_PERPLEXITY,       /* MAX_RATIO: log loss may rise by log v                                         */
    PRECINFER_MAE,              /* |y - target|, mean over a sample's elements; MAX_DROP, MAX_RATIO               */
    PRECINFER_RMSE,             /* MAX_RATIO: on squared errors, d = e_candidate^2 - v^2 e_reference^2            */
    PRECINFER_RELATIVE_MAE,     /* |y - target| / |target|; a target of 0 is an error                            */
    PRECINFER_COSINE,           /* of the two outputs of a sample; MIN                                           */
    PRECINFER_AUC,              /* of a set, one positive class; MAX_DROP, MIN_SHARE                             */
    PRECINFER_F1,               /* likewise                                                                      */
    PRECINFER_SCORE,            /* a figure per sample that the host or a file supplies, higher is better         */
    PRECINFER_ERROR,            /* the same, lower is better                                                     */
    PRECINFER_LATENCY,          /* share of runs within `threshold` ns: MIN v. MAX_RATIO v: the median run is at most v times
                                 * as long as the reference's beside it (d = 1{t_c > v t_r} - 1/2)               */
    PRECINFER_SET               /* a figure of a set that the host computes (mAP, a rank correlation), higher is better: see
                                 * precinfer_gate_figures; MAX_DROP, MIN_SHARE                                   */
};
enum precinfer_limit { PRECINFER_MAX_DROP, PRECINFER_MIN_SHARE, PRECINFER_MAX_RATIO, PRECINFER_MIN };
struct precinfer_budget {
    size_t size;
    enum precinfer_metric metric;
    enum precinfer_limit limit;
    double value;
    int k;                                      /* TOPK; 0: 1                                                    */
    int64_t positive;                           /* AUC, F1: the class; score: its output, or the only one         */
    double threshold;                           /* F1: scores from here on are positive; LATENCY: ns              */
    double low, high;                           /* declared bounds of d; low >= high: none                       */
    const char *name;                           /* SCORE, ERROR: which figure. Others: a name for reports, or NULL */
    /* Slices: one contrast for each value of a column ("label": the class). NULL: all samples at once. */
    const char *by;
    const char *const *slices; const double *margins; size_t nmargins;  /* values whose limit differs             */
    size_t min_samples;                         /* slices with fewer are listed and not judged                   */
};
struct precinfer_policy;
typedef struct precinfer_policy precinfer_policy;
PRECINFER_API enum precinfer_status precinfer_policy_new(precinfer_context *context, precinfer_policy **policy,
                                                         struct precinfer_error *err);
/* Copies everything. What does not go together (AUC with MAX_RATIO) is PRECINFER_INVALID. */
PRECINFER_API enum precinfer_status precinfer_policy_budget(precinfer_policy *policy, const struct precinfer_budget *budget,
                                                            struct precinfer_error *err);
struct precinfer_policy_rules {
    size_t size;
    double confidence;                          /* one-sided, of every bound; 0: 0.95                             */
    size_t n;                                   /* fixed beforehand: exactly the first n samples are judged; 0: sequential */
    const char *judge;                          /* the judged output; NULL: the first                            */
    int probabilities;                          /* it holds probabilities, not logits (log loss)                  */
    const char *cluster;                        /* column whose values are the units: the mean d of each           */
    size_t min_samples;                         /* fewer are not enough, whatever the bounds                      */
    double max_overlap;                         /* share of samples seen before that is dropped; < 0: 0.01         */
};
PRECINFER_API enum precinfer_status precinfer_policy_set_rules(precinfer_policy *policy, const struct precinfer_policy_rules *rules,
                                                               struct precinfer_error *err);
/* JSON. Unknown keys, wrong types and values out of range are PRECINFER_MALFORMED with the key's path. */
PRECINFER_API enum precinfer_status precinfer_policy_load(precinfer_context *context, const char *path, precinfer_policy **policy,
                                                          struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_policy_parse(precinfer_context *context, const char *json, size_t size,
                                                           precinfer_policy **policy, struct precinfer_error *err);
/* Rules as they stand, strings valid as long as the policy; what it needs to know of each sample. */
PRECINFER_API enum precinfer_status precinfer_policy_rules_of(const precinfer_policy *policy, struct precinfer_policy_rules *rules);
PRECINFER_API const char *precinfer_policy_name(const precinfer_policy *policy);
PRECINFER_API uint64_t precinfer_policy_hash(const precinfer_policy *policy);
PRECINFER_API size_t precinfer_policy_columns(const precinfer_policy *policy);          /* but "label"                */
PRECINFER_API const char *precinfer_policy_column(const precinfer_policy *policy, size_t i);
PRECINFER_API size_t precinfer_policy_budgets(const precinfer_policy *policy);
/* Strings and arrays are valid as long as the policy. */
PRECINFER_API enum precinfer_status precinfer_policy_budget_info(const precinfer_policy *policy, size_t i,
                                                                 struct precinfer_budget *budget);
PRECINFER_API void precinfer_policy_free(precinfer_policy *policy);

/* The gate: outputs of a reference and a candidate, of whatever runtime, streamed in; a report out. */
struct precinfer_gate;
typedef struct precinfer_gate precinfer_gate;
struct precinfer_report;
typedef struct precinfer_report precinfer_report;
struct precinfer_figure { const char *name; const double *reference, *candidate; };     /* one value a sample        */
struct precinfer_judged {
    size_t samples;
    struct precinfer_tensor reference, candidate;   /* the judged output; first dimension: samples. Any float or integer type */
    const int64_t *labels;                      /* classes, one a sample, or as many as a sample has positions; NULL: none */
    size_t labels_per_sample;                   /* 0: 1                                                          */
    struct precinfer_tensor target;             /* data NULL: none                                               */
    const char *const *const *columns;          /* as in precinfer_batch                                         */
    const uint64_t *ids;                        /* who the sample is (a hash of its inputs); NULL: a hash of the
                                                 * reference's output, labels and target; without those, of its index */
    const uint64_t *indexes;                    /* NULL: counted                                                 */
    const struct precinfer_figure *figures; size_t nfigures;
};
PRECINFER_API enum precinfer_status precinfer_gate_new(precinfer_context *context, const precinfer_policy *policy,
                                                       precinfer_gate **gate, struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_gate_add(precinfer_gate *gate, const struct precinfer_judged *judged,
                                                       struct precinfer_error *err);
/* Figures that the host computes. sample: the figure `name` of one sample that is to be judged, for each SCORE and ERROR budget
 * whose figure is not in judged->figures; and for the figure of each SET budget, once, with reference and candidate NULL: take
 * note of it. set: the figure `name` of all samples that were judged, in that order, where sample i counts weights[i] times (0:
 * not in this slice); NAN where it is undefined. It is called once with weights of 0 and 1, and PRECINFER_REPLICATES times for
 * the bootstrap, for each look and slice. A nonzero return is a precinfer_status and ends the call (fill *err). Comes before the
 * first sample. */
enum { PRECINFER_REPLICATES = 1000 };
struct precinfer_figures_of {
    size_t size;
    void *user;
    int (*sample)(void *user, const char *name, const struct precinfer_judged *judged, size_t i, double *reference,
                  double *candidate, struct precinfer_error *err);
    int (*set)(void *user, const char *name, const unsigned char *weights, size_t samples, double *reference, double *candidate,
               struct precinfer_error *err);
};
PRECINFER_API enum precinfer_status precinfer_gate_figures(precinfer_gate *gate, const struct precinfer_figures_of *figures,
                                                           struct precinfer_error *err);
/* Interleaved runs: reference_ns[i] and candidate_ns[i] were measured side by side. reference_ns may be NULL. */
PRECINFER_API enum precinfer_status precinfer_gate_latency(precinfer_gate *gate, const double *reference_ns,
                                                           const double *candidate_ns, size_t n, struct precinfer_error *err);
/* A look at what there is. More may be added afterwards; a gate with fixed n gives one report. */
PRECINFER_API enum precinfer_status precinfer_gate_report(precinfer_gate *gate, precinfer_report **report,
                                                          struct precinfer_error *err);
/* Goes on from an earlier report of the same policy: its evidence as precinfer_report_evidence gave it, before the first
 * sample. A policy with fixed n, or with a budget judged by a bootstrap, refuses. `seen`: ids of the earlier samples. */
struct precinfer_atom { double low, high; uint64_t count; };   /* `count` values of d that lie within low and high   */
struct precinfer_evidence {
    const char *budget, *slice;                 /* as in precinfer_contrast                                       */
    const struct precinfer_atom *atoms; size_t natoms;
    double reference_sum, candidate_sum; uint64_t samples, clipped;
};
struct precinfer_past {
    size_t size;
    const struct precinfer_evidence *evidence; size_t nevidence;
    const uint64_t *seen; size_t nseen;
    const uint64_t *data_hashes; size_t looks;  /* of every look so far                                          */
    uint64_t policy_hash;
};
PRECINFER_API enum precinfer_status precinfer_gate_continue(precinfer_gate *gate, const struct precinfer_past *past,
                                                            struct precinfer_error *err);
PRECINFER_API void precinfer_gate_free(precinfer_gate *gate);

/* One budget on one slice, judged. */
enum precinfer_verdict { PRECINFER_PASS, PRECINFER_FAIL, PRECINFER_UNDECIDED, PRECINFER_NO_LIMIT };
PRECINFER_API const char *precinfer_verdict_string(enum precinfer_verdict verdict);     /* "pass", "fail", ...       */
struct precinfer_contrast {
    const char *budget;                         /* "top-1: drop at most 0.5 points"; unique with slice            */
    const char *by, *slice;                     /* "label", "3"; NULL: all samples                               */
    enum precinfer_metric metric;
    enum precinfer_verdict verdict;             /* NO_LIMIT: a slice too small to be judged                      */
    uint64_t samples, units, clipped;           /* units: clusters, or samples                                   */
    double reference, candidate;                /* the metric of each; NAN where it is one figure for the pair    */
    const char *quantity;                       /* what the bounds speak of: "drop in top-1 accuracy"             */
    double estimate, lower, upper, limit;       /* of that quantity: must be at most (at_least: at least) limit   */
    int at_least;
    const char *method;                         /* "betting confidence sequence, 95%, one-sided", ...             */
    int exact, sequential;                      /* exact 0: approximate                                          */
    int64_t needed;                             /* units for 80% power if nothing was lost; -1: none at this rate; 0: decided */
    int blamed;                                 /* a slice that Holm's procedure names as failing                 */
};
PRECINFER_API size_t precinfer_report_contrasts(const precinfer_report *report);
PRECINFER_API enum precinfer_status precinfer_report_contrast(const precinfer_report *report, size_t i,
                                                              struct precinfer_contrast *contrast);
/* What a later precinfer_gate_continue needs; natoms 0 for contrasts that cannot be continued. */
PRECINFER_API enum precinfer_status precinfer_report_evidence(const precinfer_report *report, size_t i,
                                                              struct precinfer_evidence *evidence);
PRECINFER_API size_t precinfer_report_looks(const precinfer_report *report, const uint64_t **data_hashes);
PRECINFER_API size_t precinfer_report_seen(const precinfer_report *report, const uint64_t **ids);
/* Samples whose top-1 changed; the report keeps those with the largest margins, at most PRECINFER_FLIPS. */
enum { PRECINFER_FLIPS = 1000 };
struct precinfer_flip {
    uint64_t index, id;
    int64_t label;                              /* -1: unknown                                                   */
    int64_t before, after;                      /* top-1 of reference and candidate                              */
    double margin_before, margin_after;         /* largest output minus second largest                           */
};
PRECINFER_API size_t precinfer_report_flips(const precinfer_report *report);
PRECINFER_API enum precinfer_status precinfer_report_flip(const precinfer_report *report, size_t i, struct precinfer_flip *flip);
/* How often the top-1 `before` became `after`, most often first. */
struct precinfer_confusion { int64_t before, after; uint64_t count, lost, gained; };
PRECINFER_API size_t precinfer_report_confusions(const precinfer_report *report);
PRECINFER_API enum precinfer_status precinfer_report_confusion(const precinfer_report *report, size_t i,
                                                               struct precinfer_confusion *confusion);

/* A plan against the f32 model, in one call: limits given here are judged by fixed-n bounds, for one look at data whose size
 * was not chosen by looking; a policy's as its rules say. At most this much; < 0 or NAN means no such limit. */
struct precinfer_verify_options {
    size_t size;
    double min_agreement;                       /* share of samples with the same top-1; < 0: no limit            */
    double max_drop_points;                     /* accuracy lost, as a share (0.015 = 1.5 points); < 0: no limit   */
    double max_drop_relative;                   /* as a share of the reference's accuracy; < 0: no limit           */
    int strict;                                 /* breach if a layer with weights ran in another precision         */
    enum precinfer_precision strict_precision;
    const char *judge;                          /* the judged output; NULL: the policy's, else the first          */
    int allow_overlap;
    int no_layers;                              /* leave the per-layer comparison out                            */
    precinfer_progress *progress; void *user;
    const precinfer_policy *policy;             /* or NULL                                                       */
    precinfer_gate *gate;                       /* or a gate of that policy: continued, with latencies, figures   */
};
/* No limits. */
PRECINFER_API void precinfer_verify_defaults(struct precinfer_verify_options *options);

struct precinfer_report_info {
    uint64_t data_hash;
    size_t samples, overlap_samples;            /* overlap: dropped, or counted with allow_overlap                */
    size_t tuned_samples;                       /* of those, what the recipe was tuned on                        */
    int labelled;
    size_t right_reference, right_candidate, lost, gained, agreed;
    double agreement_lower, agreement_upper;    /* one-sided 95% Clopper-Pearson                                 */
    double drop, drop_lower, drop_upper;        /* as a share; L97.5(lost) - U97.5(gained), U97.5(lost) - L97.5(gained) */
    double drop_limit;                          /* as a share of all samples; NAN without                        */
    int breached;                               /* strict                                                        */
    const char *breach;                         /* the first layer that breached; NULL                           */
    enum precinfer_verdict agreement_verdict, drop_verdict;
    enum precinfer_verdict verdict;             /* of everything: fail if one fails, else undecided if one is      */
    int64_t needed_samples;                     /* -1: none at this rate; 0: decided                             */
    size_t layers;                              /* 0: a gate's report                                            */
    uint64_t policy_hash;                       /* 0: none                                                       */
    size_t ignored_samples;                     /* a gate's: after the n that were fixed beforehand               */
    size_t repeated_samples;                    /* a gate's: judged, and the same as another one by their id      */
};
/* Error of one layer's output against the f32 model on the same inputs. */
struct precinfer_layer_error { double sqnr_db; double max_abs; int exact; int compared; };

PRECINFER_API enum precinfer_status precinfer_verify(const precinfer_plan *plan, const precinfer_graph *reference,
                                                     precinfer_next_batch *next, void *user,
                                                     const struct precinfer_verify_options *options,
                                                     precinfer_report **report, struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_report_info(const precinfer_report *report, struct precinfer_report_info *info);
/* What the fixed-n limits of options say of the answers that a gate counted, its budgets aside: *info is the report's with
 * verdicts, limit and needed_samples of these limits alone. */
PRECINFER_API enum precinfer_status precinfer_report_limits(const precinfer_report *report,
                                                            const struct precinfer_verify_options *limits,
                                                            struct precinfer_report_info *info, struct precinfer_error *err);
/* i counts the plan's layers. */
PRECINFER_API enum precinfer_status precinfer_report_layer(const precinfer_report *report, size_t i,
                                                           struct precinfer_layer_error *error);
PRECINFER_API void precinfer_report_free(precinfer_report *report);

/* ------------------------------------------------------------------------------------------------ diff */

/* Where a loss comes from: layer by layer, on the fused plan that ships, aligned by the model's own tensor names. One pass over
 * the data, in memory that does not depend on its length. */

/* One side: exactly one of the three. */
struct precinfer_side {
    size_t size;
    const precinfer_plan *plan;
    const precinfer_graph *graph;               /* the model in f32                                              */
    const char *path;                           /* recorded: a directory with one .npy a tensor, or a .npz, named by the tensors
                                                   (%XX stands for any character; names in which _ stands for all but letters
                                                   and digits are found too); or a file of precinfer_record      */
};
struct precinfer_diff_options {
    size_t size;
    const precinfer_stats *stats;               /* ranges that an ideal quantizer would take; NULL: no excess     */
    int no_own;                                 /* leave own and inherited errors out: a fifth of the time         */
    precinfer_progress *progress; void *user;
};
struct precinfer_diff;
typedef struct precinfer_diff precinfer_diff;
/* next may be NULL where both sides are recorded. The data that a recording of precinfer_record was made from must begin as
 * this data does. What the library cannot find on the other side stays uncompared. */
PRECINFER_API enum precinfer_status precinfer_diff_new(precinfer_context *context, const struct precinfer_side *candidate,
                                                       const struct precinfer_side *reference, precinfer_next_batch *next,
                                                       void *user, const struct precinfer_diff_options *options,
                                                       precinfer_diff **diff, struct precinfer_error *err);
/* Writes every tensor of a plan or model on this data, as stored (u8 with scale and zero point), for a diff elsewhere. */
PRECINFER_API enum precinfer_status precinfer_record(const struct precinfer_side *side, precinfer_next_batch *next, void *user,
                                                     const char *path, const struct precinfer_diff_options *options,
                                                     struct precinfer_error *err);
PRECINFER_API void precinfer_diff_free(precinfer_diff *diff);

struct precinfer_diff_info {
    size_t layers, compared, samples;
    uint64_t data_hash;                         /* of the samples; 0: both recorded                              */
    int ordered;                                /* layers stand in order of execution; 0: in order of their names  */
    int has_own, has_excess;
    size_t with_bytes;                          /* layers that both sides store in one form                      */
    int64_t first_different;                    /* the first of these whose bytes differ; -1: none               */
};
PRECINFER_API enum precinfer_status precinfer_diff_info(const precinfer_diff *diff, struct precinfer_diff_info *info);
/* One tensor that a layer writes. dB are INFINITY where there is no error; what was not measured is NAN. */
struct precinfer_layer_diff {
    const char *layer, *op, *fused;             /* "" where nobody knows; fused: the nodes that it swallowed, by commas */
    const char *tensor;
    const char *group;                          /* fused otherwise on the other side: own speaks of these layers; "" */
    enum precinfer_precision precision;
    int has_weights, conversion;                /* conversion: of a value that stands in another form before it    */
    uint64_t elements;                          /* compared; 0: the other side has no such tensor                */
    double sqnr_db, cosine, max_abs, mean_abs, max_relative;
    double step, max_steps, mean_steps;         /* of a u8 candidate: its scale, errors in multiples of it        */
    double saturated_low, saturated_high;       /* shares of a u8 candidate at 0, at 255                         */
    double overflow_f16, below_normal_f16, below_f16;   /* shares of the reference: > 65504; nonzero < 2^-14, < 2^-24 */
    uint64_t nan_reference, inf_reference, nan_candidate, inf_candidate;
    double js_distance;                         /* Jensen-Shannon, of histograms; 0 to 1                         */
    int bytes;                                  /* 1: stored bytes are equal, 0: differ, -1: stored in other forms */
    uint64_t bytes_differ;                      /* stored elements that do                                       */
    /* Only this layer lowered, its inputs exact; only its inputs lowered, itself exact; the layer as it would be with scales
     * from the statistics, and by how much that is better (both cut off at 150 dB). */
    double own_sqnr_db, own_max_abs, inherited_sqnr_db, twin_sqnr_db, excess_db;
};
PRECINFER_API enum precinfer_status precinfer_diff_layer(const precinfer_diff *diff, size_t i,
                                                         struct precinfer_layer_diff *layer);
/* The layers to blame, worst first: by excess, else by own error, else by the error as a whole. Uncompared ones last. */
PRECINFER_API size_t precinfer_diff_rank(const precinfer_diff *diff, size_t rank);      /* a layer; SIZE_MAX past the last  */

/* The recipe that a plan was compiled from, valid as long as the plan; NULL: f32. */
PRECINFER_API const precinfer_recipe *precinfer_plan_recipe(const precinfer_plan *plan);
/* A copy with the named nodes at another precision, f32 or bf16. Values that only they needed in 8 bits leave the recipe. */
PRECINFER_API enum precinfer_status precinfer_recipe_with(const precinfer_graph *graph, const precinfer_recipe *recipe,
                                                          const char *const *names, size_t nnames,
                                                          enum precinfer_precision precision, precinfer_recipe **changed,
                                                          struct precinfer_error *err);

/* A 1-minimal set of layers whose return to f32 meets limits: with them it passes, taking any one out of the set it does not.
 * Every candidate set is compiled and verified over the whole data, so that the cost is evaluations times what one takes. The
 * data is then a set that was tuned on: the recipe says so, and verification on it is refused. */
struct precinfer_minimal_options {
    size_t size;
    const struct precinfer_verify_options *limits;      /* what has to pass; no gate in it                       */
    void (*rewind)(void *user);                 /* of the batches: to the first                                  */
    size_t most;                                /* evaluations while smaller sets are looked for; 0: 240. What makes the set
                                                   1-minimal may need some more                                  */
    /* Before the search starts: at most so many evaluations, of so many seconds each (as the first one took, by the host's
     * `seconds`; 0: unknown). Nonzero: do not start. */
    int (*announce)(void *user, size_t evaluations, double seconds_each);
    double (*seconds)(void *user);              /* a clock; NULL: none                                           */
    precinfer_progress *progress;               /* nonzero cancels: the best set so far is the result            */
    void *user;                                 /* of all but rewind and the batches                             */
};
struct precinfer_minimal;
typedef struct precinfer_minimal precinfer_minimal;
PRECINFER_API enum precinfer_status precinfer_minimal_set(const precinfer_plan *plan, const precinfer_graph *graph,
                                                          precinfer_next_batch *next, void *user,
                                                          const struct precinfer_minimal_options *options,
                                                          precinfer_minimal **minimal, struct precinfer_error *err);
struct precinfer_minimal_info {
    size_t layers, lowered;                     /* in the set; that could be                                     */
    size_t evaluations, samples;
    int met;                                    /* the recipe meets the limits; 0: not even f32 does              */
    int minimal;                                /* every smaller set by one layer was tried and fails; 0: cancelled */
    const precinfer_recipe *recipe;             /* valid as long as *minimal                                     */
};
PRECINFER_API enum precinfer_status precinfer_minimal_info(const precinfer_minimal *minimal, struct precinfer_minimal_info *info);
PRECINFER_API const char *precinfer_minimal_layer(const precinfer_minimal *minimal, size_t i);  /* NULL past the last    */
PRECINFER_API void precinfer_minimal_free(precinfer_minimal *minimal);

/* ------------------------------------------------------------------------------------------------ kernels on plain tensors */

/* C[m x n] = A[m x k] * B[k x n], then the epilogue below. A and C are row-major with row strides in elements.
 * Types (A, B, C): f32 f32 f32; bf16 bf16 f32|bf16; u8 s8 s32|f32|u8. B is packed once or given as it is. */
struct precinfer_weights;
typedef struct precinfer_weights precinfer_weights;
struct precinfer_gemm {
    size_t size;
    size_t m, n, k;
    enum precinfer_dtype a_type, b_type, c_type;
    const void *a; size_t lda;
    const precinfer_weights *packed;            /* or: */
    const void *b; size_t ldb; int b_transposed;    /* b_transposed: B is stored n x k                           */
    void *c; size_t ldc;
    const void *bias;                           /* n of f32, or s32 for integer sums (zero point folded); NULL     */
    const float *scale;                         /* n; integer sums only; NULL: 1                                 */
    float lo, hi;                               /* clip before rounding, lo < hi; both 0: none                    */
    int32_t zero_point;                         /* of a u8 C                                                     */
    void *scratch; size_t scratch_bytes;        /* of precinfer_gemm_scratch; NULL: the call allocates            */
};
/* The two agree bit for bit, packed or not. */
PRECINFER_API enum precinfer_status precinfer_gemm(precinfer_context *context, const struct precinfer_gemm *gemm,
                                                   struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_gemm_scratch(precinfer_context *context, const struct precinfer_gemm *gemm,
                                                           size_t *bytes,
                                                           struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_gemm_pack(precinfer_context *context, const struct precinfer_gemm *gemm,
                                                        precinfer_weights **weights, struct precinfer_error *err);
PRECINFER_API void precinfer_weights_free(precinfer_weights *weights);

/* NHWC convolution: input n x h x w x c, weights o x kh x kw x (c / groups), output n x oh x ow x o. Types as gemm. */
struct precinfer_conv2d {
    size_t size;
    size_t n, h, w, c, o, kh, kw, groups;
    size_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, pad_bottom, pad_right;
    enum precinfer_dtype a_type, b_type, c_type;
    const void *input; int32_t input_zero_point;    /* padding's value; u8 input: must be folded into bias        */
    const precinfer_weights *packed;
    const void *weights;
    void *output;
    const void *bias; const float *scale; float lo, hi; int32_t zero_point;
};
PRECINFER_API enum precinfer_status precinfer_conv2d(precinfer_context *context, const struct precinfer_conv2d *conv,
                                                     struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_conv2d_pack(precinfer_context *context, const struct precinfer_conv2d *conv,
                                                          precinfer_weights **weights, struct precinfer_error *err);

/* q = clamp(round to nearest even (x / scale) + zero_point) into u8 or s8; a division, as ONNX defines it. */
PRECINFER_API enum precinfer_status precinfer_quantize(precinfer_context *context, const float *x, size_t n,
                                                       struct precinfer_qparams params,
                                                       enum precinfer_dtype dtype, void *q, struct precinfer_error *err);
PRECINFER_API enum precinfer_status precinfer_dequantize(precinfer_context *context, const void *q, enum precinfer_dtype dtype,
                                                         size_t n,
                                                         struct precinfer_qparams params, float *x, struct precinfer_error *err);

#ifdef __cplusplus
}
#endif
#endif
