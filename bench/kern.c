/* Times the GEMM rows of every table that this CPU can run, on one thread. A row is timed only when it has just given the
 * bits of ref on the same problem. Rows are interleaved with each other and with the ceiling of their own instruction mix;
 * figures are medians over the rounds.
 *
 *   kern [--only GLOB] [--shapes FILE] [--shape LINE] [--rounds N]    GOP/s and percent of the ceiling per problem
 *   kern --tsv PATH [--commit ID]         every row alone, written to PATH (a folder: <vendor>-<family>-<model>.tsv in it)
 *   kern --status PATH                    the rows whose object code is not the one that was timed
 *   --peers yes                           beside OpenBLAS and oneDNN where they are installed (libopenblas0-serial, libdnnl2)
 *   [--objects DIR]                       where the objects of kernels/ lie, for their hashes (build/kernels) */
#include <elf.h>
#include <sys/stat.h>
#include "../test/gemm.h"
#include "../lib/base/context.h"
#include "../lib/base/hash.h"
#include "../lib/kern/choose.h"
#include "ceiling.h"
#include "peers.h"

static const char *only = "*", *objects = "build/kernels", *commit = "-";
static size_t rounds = 11;
static precinfer_context ctx;

/* ------------------------------------------------------------------------------------------------ memory */

enum { HUGE_PAGE = 1 << 21 };
static void *big(void *host, size_t bytes, size_t align)
{
    (void)host; (void)align;
    const size_t n = (bytes + HUGE_PAGE) / HUGE_PAGE * HUGE_PAGE;
    void *p = aligned_alloc(HUGE_PAGE, n);
    if (!p) { perror("memory"); exit(1); }
    madvise(p, n, MADV_HUGEPAGE);
    memset(p, 0, n);
    return p;
}
static void big_free(void *host, void *p) { (void)host; free(p); }
static const struct pi_allocator memory = { NULL, big, big_free };

/* ------------------------------------------------------------------------------------------------ a problem */

/* Operands of one shape for one type of A, shared by its rows, and what ref makes of them. */
struct operands { char *a, *w, *zero; int32_t *at; struct g_epi epi; char *want; size_t bytes; };

struct job {
    const struct g_row *g;
    const struct pi_row *heights[16];
    size_t nheights;
    struct pi_gemm o;
    struct pi_packed b;
    void *ws;
    double *gops, *percent, growth;
    const struct peer *peer;            /* not a row: another library's call                                  */
    const void *w; size_t k;
};

static struct pi_gemm problem_of(const struct g_shape *s, enum pi_type a, const struct operands *x, char *c)
{
    const size_t e = h_type_size(a), taps = s->kh ? s->kh * s->kw : 1, oe = a == PI_U8 ? 1 : 4;
    return (struct pi_gemm){ .m = s->m, .n = s->n, .k = s->k, .segs = taps, .a = x->a, .asize = e, .lda = (ptrdiff_t)(s->k * e),
                             .at = x->at, .image_m = s->m, .zero = x->zero, .skip_padding = 1, .c = c,
                                 .ldc = (ptrdiff_t)(s->n * oe),
                             .csize = oe, .epi = &x->epi.e };
}
static void prepare(struct job *j, const struct g_shape *s, const struct operands *x, const struct g_row *g, int alone)
{
    const size_t taps = s->kh ? s->kh * s->kw : 1;
    *j = (struct job){ .g = g, .nheights = alone ? 1 : g_heights(g, j->heights) };
    if (alone) j->heights[0] = g->row;
    else g_heights(g, j->heights);
    j->o = problem_of(s, g->row->a, x, big(NULL, x->bytes, 64));
    if (pi_pack(&memory, &j->b, g->row->packing, x->w, taps, s->k, s->n, taps * s->k, (ptrdiff_t)(s->n * s->k), 1,
                (ptrdiff_t)s->k, 0, NULL))
        exit(1);
    const size_t dense = (s->n + g->row->packing->nr - 1) / g->row->packing->nr * taps * ((s->k + 3) / 4);
    j->growth = g->row->packing->listed == PI_QUADS ? (double)j->b.groups / (double)dense : 1;
    j->ws = big(NULL, pi_gemm_workspace(&j->o, &j->b, g->row, 1), 64);
    j->gops = calloc(rounds, sizeof *j->gops);
    j->percent = calloc(rounds, sizeof *j->percent);
}
static void prepare_peer(struct job *j, const struct g_shape *s, const struct operands *x, const struct peer *p)
{
    *j = (struct job){ .peer = p, .w = x->w, .k = s->k };
    j->o = problem_of(s, p->a, x, big(NULL, s->m * s->n * 4, 64));
    j->gops = calloc(rounds, sizeof *j->gops);
    j->percent = calloc(rounds, sizeof *j->percent);
}
static void run(const struct job *j)
{
    if (j->peer) peer_run(j->peer, j->o.m, j->o.n, j->k, j->o.a, j->w, j->o.c);
    else pi_gemm_run(&ctx, &j->o, &j->b, j->heights, j->nheights, 1, j->ws);
}
static void drop(struct job *j)
{
    free(j->o.c); free(j->ws); free(j->gops); free(j->percent);
    if (!j->peer) pi_packed_free(&memory, &j->b);
}

/* bf16: small integers, so that every order of summing gives the same bits. */
static void operands_new(struct operands *x, const struct g_shape *s, enum pi_type a, enum pi_type b, const struct g_row *ref)
{
    const size_t e = h_type_size(a), taps = s->kh ? s->kh * s->kw : 1, an = s->kh ? s->h * s->w * s->k : s->m * s->k;
    struct job j;
    *x = (struct operands){ .a = big(NULL, an * e, 64), .w = big(NULL, taps * s->k * s->n * h_type_size(b), 64),
                            .zero = big(NULL, s->k * e, 64), .at = s->kh ? g_taps(s, e) : NULL,
                                .bytes = s->m * s->n * (a == PI_U8 ? 1 : 4) };
    h_reseed(1);
    h_fill(x->a, a, an, a == PI_BF16 ? H_SMALL : H_RANDOM);
    h_fill(x->w, b, taps * s->k * s->n, a == PI_BF16 ? H_SMALL : a == PI_U8 ? H_LAPLACE : H_RANDOM);
    g_epi_new(&x->epi, a == PI_U8, a == PI_U8 ? PI_SCALE : 0, a == PI_U8 ? PI_U8 : PI_F32, PI_F32, s->m, s->n, H_RANDOM,
              0.1 / (60 * sqrt((double)(s->k * taps))));
    if (a == PI_U8) { x->epi.e.lo = (float)-x->epi.e.zp; x->epi.e.hi = (float)(255 - x->epi.e.zp); }    /* the usual output */
    prepare(&j, s, x, ref, 0);
    run(&j);
    x->want = j.o.c;
    j.o.c = NULL;
    drop(&j);
}
static void operands_free(struct operands *x)
{
    g_epi_free(&x->epi);
    free(x->a); free(x->w); free(x->zero); free(x->at); free(x->want);
    *x = (struct operands){ 0 };
}

/* ------------------------------------------------------------------------------------------------ timing */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *x)
{
    qsort(x, rounds, sizeof *x, ascending);
    return x[rounds / 2];
}
static void time_jobs(struct job *jobs, size_t n, double ops)
{
    const size_t turns = 1 + (size_t)(1e8 / ops);
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < n; i++) {
            struct job *j = &jobs[(i + round) % n];
            const enum mix mix = j->peer ? 0 : mix_of(j->g->row, j->g->isa->features);
            const double before = j->peer ? 0 : ceiling(mix);
            run(j);
            const double t = now();
            for (size_t k = 0; k < turns; k++) run(j);
            j->gops[round] = (double)turns * ops / (now() - t) * 1e-9;
            const double after = j->peer ? 0 : ceiling(mix), best = before > after ? before : after;
            j->percent[round] = best > 0 ? 100 * j->gops[round] / best : 0;
        }
}

/* ------------------------------------------------------------------------------------------------ object code */

/* XXH64 of the executable sections of one object; 0 where it cannot be read. */
static uint64_t hash_object(const char *path, uint64_t seed)
{
    FILE *f = fopen(path, "rb");
    Elf64_Ehdr head;
    struct pi_hash h;
    if (!f) return 0;
    pi_hash_init(&h);
    pi_hash_add(&h, &seed, sizeof seed);
    int ok = fread(&head, sizeof head, 1, f) == 1 && !memcmp(head.e_ident, ELFMAG, SELFMAG);
    for (size_t i = 0; ok && i < head.e_shnum; i++) {
        Elf64_Shdr s;
        ok = !fseek(f, (long)(head.e_shoff + i * head.e_shentsize), SEEK_SET) && fread(&s, sizeof s, 1, f) == 1;
        if (!ok || !(s.sh_flags & SHF_EXECINSTR) || !s.sh_size) continue;
        char *text = malloc(s.sh_size);
        ok = !fseek(f, (long)s.sh_offset, SEEK_SET) && fread(text, s.sh_size, 1, f) == 1;
        if (ok) pi_hash_add(&h, text, s.sh_size);
        free(text);
    }
    fclose(f);
    return ok ? pi_hash_end(&h) : 0;
}
/* Of the row's file and of its folder's epilogue: delete the tile from the name and you have the path. */
static uint64_t code_of(const struct g_row *g)
{
    char path[512], stem[128];
    snprintf(stem, sizeof stem, "%s", g->row->name);
    for (int cut = 0; cut < 2; cut++) *strrchr(stem, '_') = 0;
    snprintf(path, sizeof path, "%s/%s/epilogue.o", objects, g->isa->name);
    const uint64_t epilogue = hash_object(path, 0);
    snprintf(path, sizeof path, "%s/%s/%s.o", objects, g->isa->name, stem);
    return hash_object(path, epilogue);
}

/* ------------------------------------------------------------------------------------------------ the table of a machine */

enum { MOST_LINES = 1024, LINE = 256 };
static char lines[MOST_LINES][LINE];
static size_t nlines;
static char tsv_path[512];

static void tsv_open(const char *path)
{
    struct stat st;
    struct pi_cpu cpu;
    pi_cpu_detect(&cpu);
    const char *vendor = !strcmp(cpu.vendor, "AuthenticAMD") ? "amd" : !strcmp(cpu.vendor, "GenuineIntel") ? "intel" : cpu.vendor;
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) snprintf(tsv_path, sizeof tsv_path, "%s/%s-%u-%u.tsv", path, vendor, cpu.family,
                                                          cpu.model);
    else snprintf(tsv_path, sizeof tsv_path, "%s", path);
    FILE *f = fopen(tsv_path, "r");
    if (!f) return;
    while (nlines < MOST_LINES && fgets(lines[nlines], LINE, f)) {
        lines[nlines][strcspn(lines[nlines], "\n")] = 0;
        if (lines[nlines][0] && lines[nlines][0] != '#') nlines++;
    }
    fclose(f);
}
static char *tsv_line(const char *row)
{
    const size_t n = strlen(row);
    for (size_t i = 0; i < nlines; i++)
        if (!strncmp(lines[i], row, n) && lines[i][n] == '\t') return lines[i];
    return NULL;
}
static void tsv_put(const struct g_row *g, double percent, double gops)
{
    char date[16], *line = tsv_line(g->row->name);
    const time_t t = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&t));
    if (!line && nlines < MOST_LINES) line = lines[nlines++];
    if (!line) return;
#if defined __clang__
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    snprintf(line, LINE, "%s\t%016llx\t%s\t%.0f\t%.1f\t%s\t%s", g->row->name, (unsigned long long)code_of(g), compiler, percent,
             gops, commit, date);
}
static void tsv_close(void)
{
    FILE *f = fopen(tsv_path, "w");
    if (!f) { perror(tsv_path); exit(1); }
    fprintf(f, "# row\tcode\tcompiler\tpercent of own ceiling\tGOP/s\tcommit\tdate\n");
    for (size_t i = 0; i < nlines; i++) fprintf(f, "%s\n", lines[i]);
    fclose(f);
    printf("%s: %zu rows\n", tsv_path, nlines);
}
static void status(const struct g_row *rows, size_t n)
{
    size_t stale = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].isa->features) continue;       /* nobody asks how fast ref is */
        all++;
        char code[17], *line = tsv_line(rows[i].row->name);
        snprintf(code, sizeof code, "%016llx", (unsigned long long)code_of(&rows[i]));
        if (line && !strncmp(line + strlen(rows[i].row->name) + 1, code, 16)) continue;
        printf("%-32s %s\n", rows[i].row->name, line ? "changed since it was timed" : "never timed");
        stale++;
    }
    printf("%s: %zu of %zu rows need silicon\n", tsv_path, stale, all);
}

/* ------------------------------------------------------------------------------------------------ one shape */

static const struct g_row *ref_of(const struct g_row *rows, size_t n, const struct pi_row *r)
{
    for (size_t i = 0; i < n; i++)
        if (!rows[i].isa->features && rows[i].row->a == r->a && rows[i].row->b == r->b && g_is_tallest(&rows[i])) return &rows[i];
    return NULL;
}
/* Every row that `only` matches: the tallest of its kind with its lower ones, or (tsv) each alone. */
static int time_shape(const char *line, const struct g_row *rows, size_t n, int tsv)
{
    static struct job jobs[G_MOST_ROWS];
    struct operands x[16] = { { 0 } };      /* by type of A */
    struct g_shape s;
    size_t count = 0;
    int wrong = 0;
    if (!g_parse(line, &s)) { fprintf(stderr, "not a problem: %s\n", line); exit(1); }
    const double ops = 2.0 * (double)s.m * (double)s.n * (double)s.k * (double)(s.kh ? s.kh * s.kw : 1);
    for (size_t i = 0; i < n; i++) {
        const struct pi_row *r = rows[i].row;
        const struct g_row *ref = ref_of(rows, n, r);
        if (!rows[i].isa->features || !ref || !pi_glob(only, r->name) || (!tsv && !g_is_tallest(&rows[i]))) continue;
        if (!x[r->a].a) operands_new(&x[r->a], &s, r->a, r->b, ref);
        prepare(&jobs[count], &s, &x[r->a], &rows[i], tsv);
        run(&jobs[count]);
        if (memcmp(jobs[count].o.c, x[r->a].want, x[r->a].bytes)) {
            printf("%-34s %-28s differs from %s: not timed\n", line, r->name, ref->row->name);
            drop(&jobs[count]);
            wrong = 1;
        } else count++;
    }
    const size_t own = count;
    for (size_t i = 0; i < npeers && !tsv && !s.kh; i++)
        if (x[peers[i].a].a) {
            prepare_peer(&jobs[count], &s, &x[peers[i].a], &peers[i]);
            run(&jobs[count++]);
        }
    if (count) time_jobs(jobs, count, ops);
    for (size_t i = own; i < count; i++) printf("%-34s %-28s %8.1f GOP/s\n", line, jobs[i].peer->name, median(jobs[i].gops));
    for (size_t i = 0; i < own; i++) {
        const double gops = median(jobs[i].gops), percent = median(jobs[i].percent);
        printf("%-34s %-28s %8.1f GOP/s %5.1f%%", line, jobs[i].g->row->name, gops, percent);
        if (jobs[i].growth > 1) printf("  K x%.2f", jobs[i].growth);
        for (size_t q = own; q < count; q++)
            if (jobs[q].peer->a == (enum pi_type)jobs[i].g->row->a) printf("  x%.2f %s", gops / median(jobs[q].gops), jobs[q].peer->name);
        printf("\n");
        if (tsv) tsv_put(jobs[i].g, percent, gops);
    }
    for (size_t i = 0; i < count; i++) drop(&jobs[i]);
    fflush(stdout);
    for (size_t i = 0; i < 16; i++) if (x[i].a) operands_free(&x[i]);
    return wrong;
}
static int time_file(const char *path, const struct g_row *rows, size_t n)
{
    char line[LINE];
    int wrong = 0;
    FILE *f = fopen(path, "r");
    if (!f) { perror(path); return 1; }
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] && line[0] != '#') wrong |= time_shape(line, rows, n, 0);
    }
    fclose(f);
    return wrong;
}

static int list(const struct g_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) if (pi_glob(only, rows[i].row->name)) puts(rows[i].row->name);
    return 0;
}

int main(int argc, char **argv)
{
    const char *shapes = "bench/shapes/gemm.txt", *shape = NULL, *tsv = NULL, *asked = NULL;
    static struct g_row rows[G_MOST_ROWS];
    int listed = 0;
    if (argc > 1 && !strcmp(argv[argc - 1], "--list")) { listed = 1; argc--; }
    for (int i = 1; i + 1 < argc + (argc % 2 == 0); i += 2) {
        const char *o = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (!v) { fprintf(stderr, "%s: a value is missing\n", o); return 2; }
        if (!strcmp(o, "--only")) only = v;
        else if (!strcmp(o, "--shapes")) shapes = v;
        else if (!strcmp(o, "--shape")) shape = v;
        else if (!strcmp(o, "--rounds")) rounds = strtoul(v, NULL, 10) | 1;
        else if (!strcmp(o, "--tsv")) tsv = v;
        else if (!strcmp(o, "--status")) asked = v;
        else if (!strcmp(o, "--commit")) commit = v;
        else if (!strcmp(o, "--objects")) objects = v;
        else if (!strcmp(o, "--peers")) peers_load();
        else { fprintf(stderr, "no option %s\n", o); return 2; }
    }
    ctx = (precinfer_context){ .alloc = memory, .threads = 1 };
    pi_cpu_detect(&ctx.cpu);
    const size_t n = g_rows(rows);
    if (listed) return list(rows, n);
    if (asked) { tsv_open(asked); status(rows, n); return 0; }
    if (tsv) {
        tsv_open(tsv);
        /* 240 rows: a multiple of every height */
        const int wrong = time_shape(shape ? shape : "gemm 240x768x768", rows, n, 1);
        tsv_close();
        return wrong;
    }
    return shape ? time_shape(shape, rows, n, 0) : time_file(shapes, rows, n);
}
