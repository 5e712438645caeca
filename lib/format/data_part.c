#include <string.h>
#include "../base/error.h"
#include "data.h"
#include "npz.h"

static int open_npy(struct pi_part *p, const struct precinfer_io *inputs, size_t ninputs, int data, struct precinfer_error *err)
{
    struct pi_array *a = &p->input[0];
    if (ninputs != 1)
        return pi_fail(err, PRECINFER_INVALID,
                       "a .npy file holds one array, but the model has %zu inputs ('%s', '%s', ...): use .npz", ninputs,
                       inputs[0].name, inputs[1].name);
    PI_TRY(pi_npy_header(p->map.bytes, p->map.size, &a->npy, err));
    PI_TRY(pi_npy_check_size(&a->npy, p->map.size, err));
    if (data) a->data = p->map.bytes + a->npy.offset;
    return 0;
}

#if PI_WITH_ONNX
static int missing(const struct pi_part *p, const char *name, struct precinfer_error *err)
{
    const struct pi_npy *npy;
    return pi_fail(err, PRECINFER_INVALID, "no key '%s' for the model's input of that name; there is '%s'%s", name,
                   pi_npz_entry(p->npz, 0, &npy),
                   pi_npz_count(p->npz) > 1 ? " and others" : "");
}

static int read_entry(struct pi_part *p, int entry, int data, struct pi_array *a, struct precinfer_error *err)
{
    const struct pi_npy *npy;
    pi_npz_entry(p->npz, (size_t)entry, &npy);
    a->npy = *npy;
    if (!data) return 0;
    a->owned = pi_malloc(&p->ctx->alloc, npy->bytes);
    if (!a->owned) return pi_no_memory(err, npy->bytes);
    a->data = a->owned;
    return pi_npz_read(p->npz, (size_t)entry, a->owned, err);
}

/* Said once, when the headers are read: a tokenizer hands out more arrays than many models take. */
static void tell_unused(const struct pi_part *p, const char *path, const struct precinfer_io *inputs, size_t ninputs)
{
    const struct pi_npy *npy;
    for (size_t k = 0; k < pi_npz_count(p->npz); k++) {
        const char *key = pi_npz_entry(p->npz, k, &npy);
        size_t i = 0;
        while (i < ninputs && strcmp(key, inputs[i].name)) i++;
        if (i == ninputs && (int)k != p->label_entry)
            pi_log(p->ctx, PRECINFER_LOG_NOTE, "%s: key '%s' is no input of the model", path, key);
    }
}

static int open_npz(struct pi_part *p, const char *path, const struct precinfer_io *inputs, size_t ninputs, int data,
                    struct precinfer_error *err)
{
    int label = 1;
    PI_TRY(pi_npz_open(p->ctx, p->map.bytes, p->map.size, &p->npz, err));
    for (size_t i = 0; i < ninputs; i++) {
        const int entry = pi_npz_find(p->npz, inputs[i].name);
        if (entry < 0) return missing(p, inputs[i].name, err);
        PI_TRY(read_entry(p, entry, data, &p->input[i], err));
        label &= strcmp(inputs[i].name, "label") != 0;
    }
    p->label_entry = label ? pi_npz_find(p->npz, "label") : -1;
    if (p->label_entry >= 0) PI_TRY(read_entry(p, p->label_entry, data, &p->label, err));
    if (!data) tell_unused(p, path, inputs, ninputs);
    return 0;
}
#else
void pi_npz_close(struct pi_npz *npz) { (void)npz; }
static int open_npz(struct pi_part *p, const char *path, const struct precinfer_io *inputs, size_t ninputs, int data,
                    struct precinfer_error *err)
{
    (void)p, (void)path, (void)inputs, (void)ninputs, (void)data;
    return pi_fail(err, PRECINFER_UNSUPPORTED, "this build reads no .npz (WITH_ONNX=0)");
}
#endif

int pi_part_open(precinfer_context *ctx, const char *path, const struct precinfer_io *inputs, size_t ninputs, int data,
                 struct pi_part *part, struct precinfer_error *err)
{
    struct pi_part p = { .ctx = ctx, .label_entry = -1 };
    PI_TRY(pi_map_open(&ctx->alloc, path, &p.map, err));
    const int zip = p.map.size >= 4 && !memcmp(p.map.bytes, "PK", 2);
    const int status = zip ? open_npz(&p, path, inputs, ninputs, data, err) : open_npy(&p, inputs, ninputs, data, err);
    if (status) {
        pi_part_close(&p);
        return pi_prefix(err, status, "%s", path);
    }
    *part = p;
    return 0;
}

void pi_part_close(struct pi_part *p)
{
    if (!p->ctx) return;
    for (int i = 0; i < PI_MAX_INPUTS; i++) pi_free(&p->ctx->alloc, p->input[i].owned);
    pi_free(&p->ctx->alloc, p->label.owned);
    pi_npz_close(p->npz);
    pi_map_close(&p->map);
    *p = (struct pi_part){ 0 };
}
