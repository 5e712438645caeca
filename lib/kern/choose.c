/* Filter, then least cost. The model ranks tiles and flags the absurd; between implementations measured time decides. */
#include "choose.h"
#include <string.h>

/* ---------------------------------------------------------------- names */

int pi_glob(const char *pattern, const char *s)
{
    const char *star = NULL, *from = NULL;      /* the last star, and where its match ends for now */
    while (*s) {
        if (*pattern == '*') { star = pattern++; from = s; }
        else if (*pattern == '?' || *pattern == *s) { pattern++; s++; }
        else if (star) { pattern = star + 1; s = ++from; }
        else return 0;
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

uint64_t pi_isas_of_in(const struct pi_isa *list, uint64_t features)
{
    uint64_t isas = 0;
    for (size_t i = 0; list[i].name; i++)
        if ((list[i].features & features) == list[i].features) isas |= (uint64_t)1 << i;
    return isas;
}

/* "ref avx2", cut at the end. */
static const char *names_of(const struct pi_isa *list, uint64_t isas, char *s, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; list[i].name; i++) {
        const size_t n = strlen(list[i].name);
        if (!(isas >> i & 1) || at + n + 2 > size) continue;
        if (at) s[at++] = ' ';
        memcpy(s + at, list[i].name, n);
        at += n;
    }
    s[at] = 0;
    return s;
}

int pi_isas_masked_in(const struct pi_isa *list, const char *mask, uint64_t features, uint64_t *isas,
                      struct precinfer_error *err)
{
    const uint64_t can = pi_isas_of_in(list, features);
    uint64_t may = pi_isas_of_in(list, 0);      /* ref, which needs nothing */
    char names[256];
    *isas = can;
    if (!mask) return PRECINFER_OK;
    for (const char *s = mask; *s; ) {
        if (*s == ',' || *s == ' ') { s++; continue; }
        const size_t n = strcspn(s, ", ");
        size_t i = 0;
        while (list[i].name && (strlen(list[i].name) != n || memcmp(list[i].name, s, n))) i++;
        if (!list[i].name)
            return pi_fail(err, PRECINFER_UNSUPPORTED, "cpu mask: '%.*s' is not known; this CPU can run: %s",
                           n < 64 ? (int)n : 64, s, names_of(list, can, names, sizeof names));
        if (!(can >> i & 1))
            return pi_fail(err, PRECINFER_UNSUPPORTED, "cpu mask: this CPU cannot run '%s'; it can run: %s", list[i].name,
                           names_of(list, can, names, sizeof names));
        may |= (uint64_t)1 << i;
        s += n;
    }
    *isas = may;
    return PRECINFER_OK;
}

/* ---------------------------------------------------------------- heights */

static const struct pi_row *table_of(const struct pi_isa *list, const struct pi_row *row)
{
    for (size_t i = 0; list[i].name; i++)
        for (const struct pi_row *r = list[i].rows; r->name; r++)
            if (r == row) return list[i].rows;
    return row;
}

/* r can stand in for row on part of the rows of any problem that row was chosen for: the same weights, the same types,
 * nothing that it cannot write or apply. */
static int shares(const struct pi_row *r, const struct pi_row *row)
{
    return r->family == row->family && r->op == row->op && r->packing == row->packing && !r->prep == !row->prep &&
           r->prep_bytes == row->prep_bytes && r->a == row->a && r->b == row->b && r->acc == row->acc &&
           (r->outs & row->outs) == row->outs && (r->stages & row->stages) == row->stages;
}

static size_t heights(const struct pi_row *table, const struct pi_row *row, const struct pi_row **out, size_t max)
{
    size_t n = 0;
    for (const struct pi_row *r = table; r->name; r++) {
        if (!shares(r, row)) continue;
        size_t at = 0;
        while (at < n && out[at]->mr > r->mr) at++;
        if (at < n && out[at]->mr == r->mr) {                   /* two of one height: row itself, or the first */
            if (r == row) out[at] = r;
            continue;
        }
        if (n < max) n++;
        else if (at == n) continue;
        for (size_t i = n - 1; i > at; i--) out[i] = out[i - 1];
        out[at] = r;
    }
    return n;
}
size_t pi_heights_in(const struct pi_isa *list, const struct pi_row *row, const struct pi_row **out, size_t max)
{
    return heights(table_of(list, row), row, out, max);
}

/* ---------------------------------------------------------------- cost */

/* Rows state what a core with two full-width multiply ports retires. These families have less. Integer products may have
 * factors of their own: 0 is the factor of all other arithmetic. */
struct rate {
    const char *vendor; unsigned family, first, last; uint64_t feature;
    double factor, words, quads, halved;        /* quads: of single ones; pi_listed_growth knows of partners    */
};
static const struct rate rates[] = {
    /* Zen, Zen+ and their copy split 256-bit operations in two, and one pipe alone multiplies integers: bench/kern finds 7.9
     * products a cycle from words and 10.4 halved beside 8 of f32. */
    { "AuthenticAMD", 0x17, 0x00, 0x2f, PI_CPU_AVX2, 0.5, 0.33, 0.29, 0.45 },
    { "HygonGenuine", 0x18, 0x00, 0xff, PI_CPU_AVX2, 0.5, 0.33, 0.29, 0.45 },
    { "AuthenticAMD", 0x19, 0x10, 0x1f, PI_CPU_AVX512, 0.5, 0, 0, 0 },  /* Zen 4 servers: 512-bit operations are split */
    { "AuthenticAMD", 0x19, 0x60, 0xaf, PI_CPU_AVX512, 0.5, 0, 0, 0 },  /* Zen 4 desktops and mobile               */
    { "AuthenticAMD", 0x1a, 0x20, 0x2f, PI_CPU_AVX512, 0.5, 0, 0, 0 },  /* Zen 5 mobile                            */
    { "GenuineIntel", 6, 0x7d, 0x7e, PI_CPU_AVX512, 0.5, 0, 0, 0 },     /* Ice Lake clients: one 512-bit port      */
    { "GenuineIntel", 6, 0x8c, 0x8d, PI_CPU_AVX512, 0.5, 0, 0, 0 },     /* Tiger Lake                              */
    { "GenuineIntel", 6, 0xa7, 0xa7, PI_CPU_AVX512, 0.5, 0, 0, 0 },     /* Rocket Lake                             */
};

static double factor_of(const struct rate *r, const struct pi_row *row)
{
    const int listed = row->packing ? row->packing->listed : PI_DENSE;
    const double own = row->acc != PI_S32 ? 0 : listed == PI_HALVED || listed == PI_SQUARES ? r->halved : listed == PI_QUADS ? r->quads : r->words;
    return own > 0 ? own : r->factor;
}
static double rate_factor(const struct pi_cpu *cpu, uint64_t features, const struct pi_row *row)
{
    double f = 1;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if ((rates[i].feature & features) && cpu->family == rates[i].family && cpu->model >= rates[i].first &&
            cpu->model <= rates[i].last && !strcmp(cpu->vendor, rates[i].vendor)) f *= factor_of(&rates[i], row);
    return f;
}

/* Cycles and bytes a cycle; coarse, of Zen 3 and Skylake. A tile call: pointers set up, arguments read. A panel: the loop
 * entered, the epilogue's constants loaded. An uncounted element: load, a few operations, store. */
enum { CALL = 40, PANEL = 12, L2_BYTES = 64, FAR_BYTES = 4, PREP_BYTES = 8, ELEMENT_OPS = 4 };
static const double FAR = 4 << 20;      /* bytes: beyond what a core has of L3 */
static const double cycles_per_ns = 3;      /* nominal: only the ranking and the order of magnitude matter */

struct cover { size_t calls, rows; };

/* How the heights that share a packing cover m rows: the tallest as often as it fits, then what computes the fewest rows,
 * and of those the fewest calls. No taller than `row`: a taller one is a candidate of its own. */
static struct cover cover_rows(const struct pi_row *table, const struct pi_row *row, size_t m)
{
    const struct pi_row *h[32];
    const size_t n = heights(table, row, h, sizeof h / sizeof *h);
    const size_t mr = row->mr ? row->mr : 1, whole = m / mr, rest = m % mr;
    struct cover best[256] = { { 0, 0 } };
    for (size_t r = 1; r <= rest; r++)
        for (size_t i = 0; i < n; i++) {
            if (h[i]->mr > mr || !h[i]->mr) continue;
            struct cover c = { 1, h[i]->mr };
            if (h[i]->mr < r) { c.calls += best[r - h[i]->mr].calls; c.rows += best[r - h[i]->mr].rows; }
            if (!best[r].calls || c.rows < best[r].rows || (c.rows == best[r].rows && c.calls < best[r].calls)) best[r] = c;
        }
    return (struct cover){ whole + best[rest].calls, whole * mr + best[rest].rows };
}

static double up(size_t x, size_t to) { return (double)((x + to - 1) / to * to); }

static double packed_size(const struct pi_packing *p)
{
    return p->type == PI_F32 ? 4 : p->type == PI_BF16 || p->type == PI_F16 || p->listed == PI_HALVED ? 2 : 1;
}

/* What the listed packings cost for these weights; halved ones do not depend on them, but cannot be packed at run either. */
static double growth_of(const struct pi_packing *k, const struct pi_problem *p)
{
    if (!k->listed) return 1;
    if (k->listed == PI_HALVED) return p->growth < PI_NOT_LISTED ? 1 : p->growth;
    return p->growth > 0 ? p->growth : 1.25;
}

static double gemm_cycles(const struct pi_row *table, const struct pi_row *row, const struct pi_problem *p, double factor)
{
    const struct pi_packing *k = row->packing;
    const struct cover c = cover_rows(table, row, p->m);
    const size_t depth = p->a_panel ? k->nr : p->k;             /* a bundle of groups reads nr channels */
    const double n = up(p->n, k->nr), panels = n / k->nr, growth = growth_of(k, p);
    const double kk = up(depth, k->kr) * (double)p->segs * growth;
    const double products = (double)c.rows * n * kk / ((row->macs ? row->macs : 1) * factor);
    /* Every call reads the weights from L2, half hidden behind products; large ones come from memory once. */
    const double bytes = n * kk * packed_size(k);
    const double loads = (double)c.calls * bytes / L2_BYTES + (bytes > FAR ? bytes / FAR_BYTES : 0);
    /* prep lays out every row once, and once more a panel where each panel reads channels of its own */
    const double rows = (double)c.rows * up(depth, 4) * (double)p->segs * (p->a_panel ? panels : 1);
    const double prep = row->prep ? rows * row->prep_bytes / PREP_BYTES : 0;
    const double calls = (double)c.calls * (row->prep && p->a_panel ? panels : 1);
    return products + loads + prep + calls * CALL + (double)c.calls * panels * PANEL;
}

static double dw_cycles(const struct pi_row *row, const struct pi_problem *p, double factor)
{
    const struct pi_packing *k = row->packing;
    return (double)p->m * up(p->n, k->nr) * up(p->segs, k->kr) / ((row->macs ? row->macs : 1) * factor) + CALL;
}

/* Transforms: of a square of 16 channels, and of a block of sums of 16 columns, in units of row->macs at full rate. */
enum { SQUARE_CYCLES = 50, SUMS_CYCLES = 40 };
static double wino_cycles(const struct pi_row *row, const struct pi_problem *p, double factor)
{
    const double m = (double)p->m, n = up(p->n, row->packing->nr);
    const double products = m * 16 * n * up(p->k, 4) / ((row->macs ? row->macs : 1) * factor);
    return products + m * (up(p->k, 16) / 16 * SQUARE_CYCLES + n / 16 * SUMS_CYCLES) / factor + CALL;
}

/* Rows without a rate: by the width of the ISA's vectors of 4-byte lanes. */
static double element_cycles(const struct pi_row *row, const struct pi_problem *p, uint64_t features, double factor)
{
    const double lanes = features & PI_CPU_AVX512 ? 16 : features & PI_CPU_AVX2 ? 8 : features & PI_CPU_NEON ? 4 : 1;
    const double taps = row->family == PI_POOL && p->segs ? (double)p->segs : 1;
    return (double)(p->m ? p->m : 1) * (double)p->n * taps * ELEMENT_OPS / (lanes * factor) + CALL;
}

static double cost_ns(const struct pi_isa *isa, const struct pi_row *row, const struct pi_cpu *cpu, const struct pi_problem *p)
{
    const double f = rate_factor(cpu, isa->features, row);
    const double cycles = row->family == PI_GEMM ? gemm_cycles(isa->rows, row, p, f)
                        : row->family == PI_DWCONV ? dw_cycles(row, p, f) : row->family == PI_WINO ? wino_cycles(row, p, f)
                        : element_cycles(row, p, isa->features, f);
    return cycles / cycles_per_ns;
}

double pi_cost_in(const struct pi_isa *list, const struct pi_cpu *cpu, const struct pi_row *row, const struct pi_problem *p)
{
    for (size_t i = 0; list[i].name; i++)
        for (const struct pi_row *r = list[i].rows; r->name; r++)
            if (r == row) return cost_ns(&list[i], row, cpu, p);
    return 0;
}

/* ---------------------------------------------------------------- reasons */

static const char *lacking(uint64_t missing)
{
    static const struct { uint64_t feature; const char *text; } texts[] = {
        { PI_CPU_AVX2, "cpu lacks avx2" }, { PI_CPU_AVX512, "cpu lacks avx512" },
        { PI_CPU_AVX512VNNI, "cpu lacks avx512vnni" }, { PI_CPU_AVX512BF16, "cpu lacks avx512bf16" },
        { PI_CPU_AVX512FP16, "cpu lacks avx512fp16" }, { PI_CPU_AMX_INT8, "cpu lacks amx-int8" },
        { PI_CPU_AMX_BF16, "cpu lacks amx-bf16" }, { PI_CPU_AVXVNNI, "cpu lacks avxvnni" },
        { PI_CPU_NEON, "cpu lacks neon" }, { PI_CPU_DOTPROD, "cpu lacks dotprod" }, { PI_CPU_I8MM, "cpu lacks i8mm" },
        { PI_CPU_BF16, "cpu lacks bf16" }, { PI_CPU_SVE, "cpu lacks sve" } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (missing & texts[i].feature) return texts[i].text;
    return "cpu lacks a feature";
}

static const char *lacking_stage(uint32_t missing)
{
    static const struct { uint32_t stage; const char *text; } texts[] = {
        { PI_SCALE, "epilogue stage: scale" }, { PI_ROW_SCALE, "epilogue stage: row scale" },
        { PI_RANK1 | PI_RANK2, "epilogue stage: rank-one terms" }, { PI_ACT, "epilogue stage: activation" },
        { PI_RES, "epilogue stage: residual" }, { PI_TABLE, "epilogue stage: table" } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (missing & texts[i].stage) return texts[i].text;
    return "epilogue stage";
}

/* NULL: the row can compute the problem here. What the problem asks comes before what the CPU has: a kernel of other types
 * is no candidate on any machine. */
static const char *refusal(const struct pi_isa *isa, int allowed, const struct pi_row *row, const struct pi_cpu *cpu,
                           const struct pi_problem *p)
{
    if (row->a != p->a || row->b != p->b) return "types";
    if (!(row->outs & PI_BIT(p->out))) return "output type";
    if (p->stages & ~row->stages) return lacking_stage(p->stages & ~row->stages);
    if (isa->features & ~cpu->features) return lacking(isa->features & ~cpu->features);
    return allowed ? NULL : "masked out";
}

const struct pi_row *pi_choose_in(const struct pi_isa *list, const struct pi_cpu *cpu, uint64_t isas, const char *only,
                                  const struct pi_problem *p, pi_why *why, void *user)
{
    int filtered = 0;                   /* some row that can compute the problem has a name that matches */
    for (size_t i = 0; only && list[i].name; i++)
        for (const struct pi_row *r = list[i].rows; r->name && !filtered; r++)
            filtered = r->family == p->family && r->op == p->op && pi_glob(only, r->name) &&
                       !refusal(&list[i], isas >> i & 1, r, cpu, p);

    const struct pi_row *best = NULL;
    double least = 0;
    size_t best_isa = 0;
    for (size_t i = 0; list[i].name; i++)
        for (const struct pi_row *r = list[i].rows; r->name; r++) {
            if (r->family != p->family || r->op != p->op) continue;
            const char *refused = refusal(&list[i], isas >> i & 1, r, cpu, p);
            if (!refused && filtered && !pi_glob(only, r->name)) refused = "kernel filter";
            const double cost = refused ? -1 : cost_ns(&list[i], r, cpu, p);
            if (why) why(user, r, cost, refused);
            if (refused || (best && (cost > least || (cost == least && i == best_isa)))) continue;
            best = r; least = cost; best_isa = i;
        }
    return best;
}
