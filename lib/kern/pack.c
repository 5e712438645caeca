/* The packer: any packing from any strides. Weights are packed once; an activation B takes the same code. */
#include <string.h>
#include "pack.h"

/* What is packed: source element (segment s, k index p, column j) lies at w + s*ss + p*sk + j*sn elements. */
struct source {
    const char *w;
    size_t e, segs, k, n, group;
    ptrdiff_t ss, sk, sn;
};

static size_t element(const struct pi_packing *p) { return p->type == PI_F32 ? 4 : p->type == PI_BF16 ? 2 : 1; }
static size_t ceil_div(size_t x, size_t by) { return (x + by - 1) / by; }
size_t pi_k_group_bytes(const struct pi_packing *p) { return (size_t)p->nr * p->kr * element(p); }

/* ---------------------------------------------------------------- dense */

/* All k groups of columns j0 .. j0+cols-1 of one segment. One copy of the text per element type: a copy of unknown
 * length would be a call per element. k in the inner loop where k is contiguous, columns where they are. */
#define PACK_SEGMENT(T)                                                                                                 \
static void pack_##T(T *d, const struct pi_packing *p, const struct source *s, const T *w, size_t j0, size_t cols)      \
{                                                                                                                       \
    const size_t nr = p->nr, kr = p->kr;                                                                                \
    w += (ptrdiff_t)j0 * s->sn;                                                                                         \
    if (s->sk == 1)                                                                                                     \
        for (size_t j = 0; j < cols; j++) {                                                                             \
            const T *x = w + (ptrdiff_t)j * s->sn;                                                                      \
            size_t k = 0;                                                                                               \
            for (T *y = d + j * kr; k + kr <= s->k; k += kr, y += nr * kr)                                              \
                for (size_t q = 0; q < kr; q++) y[q] = x[k + q];                                                        \
            for (; k < s->k; k++) d[(k / kr * nr + j) * kr + k % kr] = x[k];                                            \
        }                                                                                                               \
    else                                                                                                                \
        for (size_t k = 0; k < s->k; k++) {                                                                             \
            const T *x = w + (ptrdiff_t)k * s->sk;                                                                      \
            T *y = d + k / kr * nr * kr + k % kr;                                                                       \
            if (s->sn == 1) for (size_t j = 0; j < cols; j++) y[j * kr] = x[j];                                         \
            else for (size_t j = 0; j < cols; j++) y[j * kr] = x[(ptrdiff_t)j * s->sn];                                 \
        }                                                                                                               \
}
PACK_SEGMENT(uint32_t)
PACK_SEGMENT(uint16_t)
PACK_SEGMENT(uint8_t)

/* Block diagonal: column j of a bundle of nr meets only the channels of its own group. */
static void pack_grouped(char *d, const struct pi_packing *p, const struct source *s, const char *w, size_t j0, size_t cols)
{
    for (size_t j = 0; j < cols; j++)
        for (size_t q = 0; q < s->group; q++) {
            const size_t k = j / s->group * s->group + q;
            if (k >= s->k) continue;
            memcpy(d + ((k / p->kr * p->nr + j) * p->kr + k % p->kr) * s->e,
                   w + ((ptrdiff_t)q * s->sk + (ptrdiff_t)(j0 + j) * s->sn) * (ptrdiff_t)s->e, s->e);
        }
}

static void pack_dense(const struct pi_packed *d, const struct source *s)
{
    const struct pi_packing *p = d->p;
    memset(d->b, 0, d->bytes);
    for (size_t j0 = 0, panel = 0; j0 < s->n; j0 += p->nr, panel++) {
        const size_t cols = s->n - j0 < p->nr ? s->n - j0 : p->nr;
        for (size_t seg = 0; seg < s->segs; seg++) {
            char *to = d->b + panel * d->panel_bytes + seg * d->seg_bytes;
            const char *from = s->w + (ptrdiff_t)seg * s->ss * (ptrdiff_t)s->e;
            if (s->group) pack_grouped(to, p, s, from, j0, cols);
            else if (s->e == 4) pack_uint32_t((uint32_t *)to, p, s, (const uint32_t *)from, j0, cols);
            else if (s->e == 2) pack_uint16_t((uint16_t *)to, p, s, (const uint16_t *)from, j0, cols);
            else pack_uint8_t((uint8_t *)to, p, s, (const uint8_t *)from, j0, cols);
        }
    }
}

/* ---------------------------------------------------------------- listed: exact by packing */

/* vpmaddubsw adds two products in s16. A pair of weights is safe for every u8 activation if and only if those of one sign
 * sum to at most 128 (255 * 128 = 32640). */
static int unsafe_pair(int x, int y)
{
    const int pos = (x > 0 ? x : 0) + (y > 0 ? y : 0), neg = (x < 0 ? x : 0) + (y < 0 ? y : 0);
    return pos > 128 || neg < -128;
}

/* One quad of one panel, nr columns of 4, zero outside k0 .. kend and past the columns. */
enum { QUAD = 4, MAX_NR = 16, QUAD_BYTES = MAX_NR * QUAD };
static void read_quad(int8_t *q, const struct pi_packing *p, const struct source *s, size_t seg, size_t j0, size_t k0,
                      size_t kend)
{
    const int8_t *w = (const int8_t *)s->w + (ptrdiff_t)seg * s->ss;
    memset(q, 0, QUAD_BYTES);
    for (size_t j = 0; j < p->nr && j0 + j < s->n; j++)
        for (size_t k = k0; k < k0 + QUAD && k < kend; k++) {
            size_t ks = k;
            if (s->group) {
                if (k / s->group != j / s->group) continue;
                ks %= s->group;
            }
            q[j * QUAD + k - k0] = w[(ptrdiff_t)ks * s->sk + (ptrdiff_t)(j0 + j) * s->sn];
        }
}
/* How often a quad is stored: not at all when it is empty (pruned weights cost nothing), twice when it could saturate. */
static unsigned copies(const int8_t *q)
{
    int unsafe = 0, any = 0;
    for (size_t i = 0; i < QUAD_BYTES; i += 2) {
        any |= q[i] | q[i + 1];
        unsafe |= unsafe_pair(q[i], q[i + 1]);
    }
    return any ? 1 + (unsigned)unsafe : 0;
}

/* A quad that waits for a partner. sums: of each s16 lane, the weights above zero and, after them, those below. */
struct waiting { int8_t quad[QUAD_BYTES]; uint8_t sums[QUAD_BYTES]; int32_t k; };
static void sum_lanes(struct waiting *w)
{
    for (size_t l = 0; l < QUAD_BYTES / 2; l++) {
        const int x = w->quad[2 * l], y = w->quad[2 * l + 1];
        w->sums[l] = (uint8_t)((x > 0 ? x : 0) + (y > 0 ? y : 0));
        w->sums[QUAD_BYTES / 2 + l] = (uint8_t)((x < 0 ? -x : 0) + (y < 0 ? -y : 0));
    }
}
/* Two quads may be added in s16 before they are widened: the bound of a pair of weights holds for all four. */
static int partners(const struct waiting *a, const struct waiting *b)
{
    int bad = 0;
    for (size_t l = 0; l < QUAD_BYTES; l++) bad |= a->sums[l] > 128 - b->sums[l];
    return !bad;
}

/* Where the stored quads of one (panel, segment, K block) go: partners from the front, then the others, then rests. */
struct shelf { int8_t *b; int32_t *list; size_t bytes, paired, single, rest; };
static void place(const struct shelf *s, size_t at, const struct waiting *w)
{
    if (!s->b) return;
    memcpy(s->b + at * s->bytes, w->quad, s->bytes);
    s->list[at] = w->k;
}

/* Quads find a partner among the last few that have none; the order of k does not matter to integer sums. With b == NULL it
 * only counts; a second walk begins with the counts of the first: single = paired, rest = full. */
enum { WINDOW = 16 };
static struct pi_sub shelve(struct shelf *to, const struct pi_packing *p, const struct source *s, size_t seg, size_t j0,
                            size_t k0, size_t kend)
{
    struct waiting window[WINDOW], w;
    const struct shelf start = *to;
    size_t n = 0, first = 0;            /* window[first .. first+n-1], a ring: the oldest leaves alone */
    for (size_t k = k0; k < kend; k += QUAD) {
        int8_t quad[QUAD_BYTES];
        read_quad(quad, p, s, seg, j0, k, kend);
        const unsigned times = copies(quad);
        for (unsigned c = 0; c < times; c++) {
            for (size_t i = 0; i < QUAD_BYTES; i++) w.quad[i] = times == 1 || i % 2 == c ? quad[i] : 0;
            w.k = (int32_t)(k - k0);
            if (k + QUAD > kend) { place(to, to->rest++, &w); continue; }
            sum_lanes(&w);
            size_t i = 0;
            while (i < n && !partners(&window[(first + i) % WINDOW], &w)) i++;
            if (i < n) {
                place(to, to->paired++, &window[(first + i) % WINDOW]);
                place(to, to->paired++, &w);
                window[(first + i) % WINDOW] = window[first];
                first = (first + 1) % WINDOW;
                n--;
                continue;
            }
            if (n == WINDOW) {
                place(to, to->single++, &window[first]);
                first = (first + 1) % WINDOW;
                n--;
            }
            window[(first + n++) % WINDOW] = w;
        }
    }
    for (; n; n--, first = (first + 1) % WINDOW) place(to, to->single++, &window[first]);
    const size_t full = to->paired + (to->single - start.single), rests = to->rest - start.rest;
    return (struct pi_sub){ .full = (uint32_t)full, .count = (uint32_t)(full + rests), .paired = (uint32_t)to->paired };
}

/* Walks every (panel, segment, K block) in the order of storage; counts, and stores where d->b is there. */
static size_t pack_listed(struct pi_packed *d, const struct source *s)
{
    const struct pi_packing *p = d->p;
    const size_t bytes = pi_k_group_bytes(p);
    size_t at = 0, sub = 0, paired = 0;
    for (size_t j0 = 0; j0 < s->n; j0 += p->nr)
        for (size_t seg = 0; seg < s->segs; seg++)
            for (size_t kb = 0; kb < d->nk; kb++, sub++) {
                const size_t k0 = kb * d->kc, kend = kb + 1 < d->nk ? k0 + d->kc : s->k;
                struct shelf shelf = { .bytes = bytes };
                struct pi_sub u = shelve(&shelf, p, s, seg, j0, k0, kend);
                u.b = (uint32_t)(at * bytes);
                u.list = (uint32_t)at;
                if (d->b) {
                    shelf = (struct shelf){ .b = (int8_t *)d->b + at * bytes, .list = d->list + at, .bytes = bytes,
                                            .single = u.paired, .rest = u.full };
                    shelve(&shelf, p, s, seg, j0, k0, kend);
                    d->sub[sub] = u;
                }
                at += u.count;
                paired += u.paired;
            }
    d->groups = d->nlist = at;
    d->nsub = sub;
    return paired;
}

/* ---------------------------------------------------------------- listed: half the multiplications */

/* Adds a quad to the 16 sums in front of its segment, and lays it out. */
static void halve(const int8_t *q, int32_t *own, int16_t *to)
{
    for (size_t j = 0; j < MAX_NR; j++) {
        const int8_t *w = q + j * QUAD;
        int16_t *half = to + j / 8 * 32 + j % 8 * 2;
        own[j] += w[0] * w[2] + w[1] * w[3];
        half[0] = w[2];
        half[1] = w[3];
        half[16] = w[0];
        half[17] = w[1];
    }
}

enum { HALVED_HEAD = MAX_NR * 4, HALVED_QUAD = MAX_NR * QUAD * 2 };
static void pack_halved(struct pi_packed *d, const struct source *s)
{
    size_t at = 0, sub = 0;
    for (size_t j0 = 0; j0 < s->n; j0 += d->p->nr)
        for (size_t seg = 0; seg < s->segs; seg++)
            for (size_t kb = 0; kb < d->nk; kb++) {
                const size_t k0 = kb * d->kc, kend = kb + 1 < d->nk ? k0 + d->kc : s->k;
                char *to = d->b + at;
                int32_t *own = (int32_t *)to;
                d->sub[sub++] = (struct pi_sub){ .b = (uint32_t)at };
                memset(own, 0, HALVED_HEAD);
                to += HALVED_HEAD;
                for (size_t k = k0; k < kend; k += QUAD, to += HALVED_QUAD) {
                    int8_t quad[QUAD_BYTES];
                    read_quad(quad, d->p, s, seg, j0, k, kend);
                    halve(quad, own, (int16_t *)to);
                }
                at = (size_t)(to - d->b);
            }
}
static int size_halved(struct pi_packed *d)
{
    const size_t panels = ceil_div(d->n, d->p->nr), blocks = ceil_div(d->kc < d->k ? d->kc : d->k, QUAD);
    const size_t rest = ceil_div(d->k - (d->nk - 1) * (d->nk > 1 ? d->kc : 0), QUAD);
    const size_t quads = (d->nk - 1) * blocks + rest;
    size_t one;
    d->nsub = panels * d->segs * d->nk;
    return pi_mul_size(quads, HALVED_QUAD, &one) || pi_add_size(one, d->nk * HALVED_HEAD, &one) ||
           pi_mul_size(one, panels * d->segs, &d->bytes);
}

/* ---------------------------------------------------------------- the interface */

/* Everything but the blocks of memory; nonzero when a size overflows. */
static int describe(struct pi_packed *d, const struct pi_packing *p, size_t segs, size_t k, size_t n, size_t kc)
{
    const size_t panels = ceil_div(n, p->nr), groups = ceil_div(k, p->kr);
    size_t all;
    *d = (struct pi_packed){ .p = p, .n = n, .k = k, .segs = segs, .kc = kc };
    d->nk = kc < k ? ceil_div(k, kc) : 1;
    if (pi_mul_size(groups, pi_k_group_bytes(p), &d->seg_bytes) || pi_mul_size(d->seg_bytes, segs, &all)) return 1;
    if (pi_add_size(all, 63, &all)) return 1;
    d->panel_bytes = all / 64 * 64;
    d->groups = panels * segs * groups;
    return pi_mul_size(d->panel_bytes, panels, &d->bytes);
}

static int allocate(const struct pi_allocator *a, struct pi_packed *d, const struct source *s, struct precinfer_error *err)
{
    if (d->p->listed) {
        int big = 0;
        if (d->p->listed == PI_HALVED) big = size_halved(d);
        else {
            pack_listed(d, s);          /* counts */
            d->bytes = d->groups * pi_k_group_bytes(d->p);
        }
        if (big || d->bytes > UINT32_MAX)
            return pi_fail(err, PRECINFER_UNSUPPORTED, "packing %s: %zu bytes of weights, at most 4 GiB", d->p->id, d->bytes);
        d->sub = pi_malloc(a, d->nsub * sizeof *d->sub);
        d->list = d->nlist ? pi_malloc(a, d->nlist * sizeof *d->list) : NULL;
        if (!d->sub || (d->nlist && !d->list)) return pi_no_memory(err, d->nsub * sizeof *d->sub + d->nlist * sizeof *d->list);
    }
    d->b = pi_malloc(a, d->bytes);
    return d->b ? PRECINFER_OK : pi_no_memory(err, d->bytes);
}

int pi_pack(const struct pi_allocator *a, struct pi_packed *d, const struct pi_packing *p, const void *w, size_t segs, size_t k,
            size_t n, size_t kc, ptrdiff_t ss, ptrdiff_t sk, ptrdiff_t sn, size_t group, struct precinfer_error *err)
{
    const struct source s = { w, element(p), segs, k, n, group, ss, sk, sn };
    *d = (struct pi_packed){ .p = p };
    if (!segs || !k || !n || !kc) return pi_fail(err, PRECINFER_INVALID, "packing %s: an empty dimension", p->id);
    if (kc < k && kc % QUAD) return pi_fail(err, PRECINFER_INVALID, "packing %s: K block %zu is no multiple of 4", p->id, kc);
    if (describe(d, p, segs, k, n, kc))
        return pi_fail(err, PRECINFER_UNSUPPORTED, "packing %s: the weights exceed the address space", p->id);
    if (segs > UINT16_MAX / d->nk)
        return pi_fail(err, PRECINFER_UNSUPPORTED, "packing %s: %zu segments of %zu K blocks, at most 65535", p->id, segs, d->nk);
    const int status = allocate(a, d, &s, err);
    if (status) {
        pi_packed_free(a, d);
        return status;
    }
    if (p->listed == PI_HALVED) pack_halved(d, &s);
    else if (p->listed) pack_listed(d, &s);
    else pack_dense(d, &s);
    return PRECINFER_OK;
}

void pi_packed_free(const struct pi_allocator *a, struct pi_packed *d)
{
    pi_free(a, d->b);
    pi_free(a, d->sub);
    pi_free(a, d->list);
    *d = (struct pi_packed){ .p = d->p };
}

size_t pi_pack_size(const struct pi_packing *p, size_t segs, size_t k, size_t n)
{
    struct pi_packed d;
    return describe(&d, p, segs, k, n, k * segs) ? SIZE_MAX : d.bytes;
}

void pi_pack_into(struct pi_packed *d, const struct pi_packing *p, const void *w, size_t segs, size_t k, size_t n,
                  ptrdiff_t ss, ptrdiff_t sk, ptrdiff_t sn, void *b)
{
    const struct source s = { w, element(p), segs, k, n, 0, ss, sk, sn };
    describe(d, p, segs, k, n, k * segs);
    d->b = b;
    pack_dense(d, &s);
}

/* Taps are the k of one segment: block of nr channels after block, [tap / kr][channel][tap % kr]. */
int pi_pack_dw(const struct pi_allocator *a, struct pi_packed *d, const struct pi_packing *p, const void *w, size_t taps,
               size_t n, ptrdiff_t st, ptrdiff_t sn, struct precinfer_error *err)
{
    const struct source s = { w, element(p), 1, taps, n, 0, 0, st, sn };
    *d = (struct pi_packed){ .p = p };
    if (!taps || !n) return pi_fail(err, PRECINFER_INVALID, "packing %s: an empty dimension", p->id);
    if (describe(d, p, 1, taps, n, taps))
        return pi_fail(err, PRECINFER_UNSUPPORTED, "packing %s: the weights exceed the address space", p->id);
    /* A depthwise kernel finds a block by its number: blocks stand together without gaps. */
    d->panel_bytes = d->seg_bytes;
    d->bytes = ceil_div(n, p->nr) * d->panel_bytes;
    d->b = pi_malloc(a, d->bytes);
    if (!d->b) return pi_no_memory(err, d->bytes);
    pack_dense(d, &s);
    return PRECINFER_OK;
}

double pi_listed_growth(const struct pi_packing *p, const int8_t *w, size_t segs, size_t k, size_t n, ptrdiff_t ss, ptrdiff_t sk,
                        ptrdiff_t sn)
{
    const struct source s = { (const char *)w, 1, segs, k, n, 0, ss, sk, sn };
    struct pi_packed d;
    if (p->listed != PI_QUADS || !segs || !k || !n || describe(&d, p, segs, k, n, k * segs)) return 1;
    const double dense = (double)d.groups, paired = (double)pack_listed(&d, &s);
    /* Of two partners one is not widened and added: 5 instructions a vector of products instead of 6. */
    const double cost = ((double)d.groups - paired / 6) / dense;
    return cost > 0.05 ? cost : 0.05;           /* pruned weights; 0 means "not known" */
}
