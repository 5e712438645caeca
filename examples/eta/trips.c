/* Trips of an imaginary city, for the arrival-time model beside this file.
 *     trips DIR [SEED [TRAINING CALIBRATION VERIFICATION]]         1, and 30000 + 2000 + 18000 trips
 * For each of the three sets DIR/<set>.npz holds the model's inputs and DIR/<set>.csv the truth and what slices go by. The city
 * is always the same; the seed draws the trips, and no set shares its numbers with another. Plain C99 and libm, whose last bits
 * differ from machine to machine: figures are rounded (kilometres and minutes to hundredths) before they are written.
 *
 * The truth: minutes = curb + lights + distance / speed, times noise.
 *     speed    of the road network between two zones: slow in the centre, slower at rush hour on workdays, more so against the
 *              commute, slower in rain
 *     curb     minutes to get in and out, of each zone its own (an airport takes long)
 *     noise    exp(0.10 t) with Student's t of 4 degrees of freedom, half of which a probe car on that road has seen; in 2 trips
 *              of 100 an incident costs 8 minutes more on average (exponential): what nobody can foresee
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ZONES = 80, DRIVERS = 1500, FEATURES = 6, INPUTS = 5 };

/* ------------------------------------------------------------------------------------------------ numbers at random */

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a counter that goes up by an odd constant, its bits mixed. */
struct random { uint64_t at; };

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static uint64_t bits(struct random *r) { return mix(r->at += UINT64_C(0x9e3779b97f4a7c15)); }
static struct random stream(uint64_t seed, uint64_t which)
{
    struct random r = { mix(mix(seed) + which * UINT64_C(0xd1342543de82ef95)) };
    return r;
}
/* Between 0 and 1, neither of them. */
static double uniform(struct random *r) { return ((double)(bits(r) >> 12) + 0.5) / 4503599627370496.0; }
static double exponential(struct random *r) { return -log(uniform(r)); }
static double normal(struct random *r)
{
    const double radius = sqrt(2 * exponential(r));
    return radius * cos(6.283185307179586 * uniform(r));
}
/* Student's t of 4 degrees of freedom: chi-squared of 4 is twice the sum of two exponentials. */
static double student4(struct random *r)
{
    const double z = normal(r), chi = 2 * (exponential(r) + exponential(r));
    return z / sqrt(chi / 4);
}
static int pick(struct random *r, const double *cumulative, int n)
{
    const double x = uniform(r) * cumulative[n - 1];
    int i = 0;
    while (i < n - 1 && cumulative[i] < x) i++;
    return i;
}
static double to(double step, double x) { return floor(x / step + 0.5) * step; }

/* ------------------------------------------------------------------------------------------------ the city */

struct zone { double x, y, centre, popular, curb; };        /* km; centre: 1 in the middle, towards 0 outside       */
struct city { struct zone zones[ZONES]; double pace[DRIVERS], by_hour[2][24]; };
enum { AIRPORT = ZONES - 1 };

static void build(struct city *c)
{
    struct random r = stream(2024, 0);
    for (int i = 0; i < ZONES; i++) {
        struct zone *z = &c->zones[i];
        const double angle = 6.283185307179586 * uniform(&r), radius = i == AIRPORT ? 17 : 14 * sqrt(uniform(&r));
        z->x = radius * cos(angle);
        z->y = radius * sin(angle);
        z->centre = exp(-radius * radius / 40);
        z->popular = i == AIRPORT ? 3 : (0.3 + 2 * z->centre) * exp(0.4 * normal(&r));
        z->curb = i == AIRPORT ? 7 : 1.5 + 2.5 * z->centre + exponential(&r);
    }
    for (int i = 0; i < DRIVERS; i++) c->pace[i] = exp(0.06 * normal(&r));
    for (int h = 0; h < 24; h++) {
        const double morning = exp(-(h - 8) * (h - 8) / 3.0), evening = exp(-(h - 18) * (h - 18) / 6.0);
        const double night = exp(-(h - 23) * (h - 23) / 8.0) + exp(-(h + 1) * (h + 1) / 8.0);
        c->by_hour[0][h] = 0.25 + 1.6 * morning + 1.8 * evening + 0.3 * night + (h > 9 && h < 20 ? 0.6 : 0);
        c->by_hour[1][h] = 0.25 + 0.8 * evening + 1.2 * night + (h > 9 && h < 20 ? 0.8 : 0);
    }
    for (int h = 1; h < 24; h++) for (int k = 0; k < 2; k++) c->by_hour[k][h] += c->by_hour[k][h - 1];
}

static double apart(const struct zone *a, const struct zone *b) { return hypot(a->x - b->x, a->y - b->y); }

/* km/h between two zones at an hour of a day (0: Monday) */
static double speed(const struct zone *a, const struct zone *b, int hour, int day)
{
    const double centre = (a->centre + b->centre) / 2, inbound = b->centre - a->centre, clear = 20 + 40 * (1 - centre);
    const double morning = day < 5 ? exp(-(hour - 8) * (hour - 8) / 2.5) : 0;
    const double evening = day < 5 ? (day == 4 ? 1.15 : 1) * exp(-(hour - 17.5) * (hour - 17.5) / 5) : 0;
    const double outing = day > 3 && day < 6 ? exp(-(hour - 22) * (hour - 22) / 4.0) : 0;
    const double jam = morning * (0.35 + 0.15 * inbound) + evening * (0.38 - 0.15 * inbound) + 0.15 * outing * centre
                     + (hour > 9 && hour < 20 ? 0.08 : 0);
    return clear * (1 - jam * (0.5 + 0.5 * centre)) * (hour < 5 ? 1.12 : 1);
}

/* ------------------------------------------------------------------------------------------------ a trip */

struct trip { int origin, destination, hour, day, driver; double features[FEATURES], minutes; };

static struct trip draw(const struct city *c, struct random *r)
{
    struct trip t = { 0 };
    double weight[ZONES];
    for (int i = 0; i < ZONES; i++) weight[i] = c->zones[i].popular + (i ? weight[i - 1] : 0);
    t.origin = pick(r, weight, ZONES);
    const struct zone *from = &c->zones[t.origin];
    for (int i = 0; i < ZONES; i++) {
        const double d = apart(from, &c->zones[i]);
        weight[i] = c->zones[i].popular * exp(-d / (i == AIRPORT || t.origin == AIRPORT ? 20 : 6)) + (i ? weight[i - 1] : 0);
    }
    t.destination = pick(r, weight, ZONES);
    const struct zone *dest = &c->zones[t.destination];
    t.day = (int)(bits(r) % 7);
    t.hour = pick(r, c->by_hour[t.day > 4], 24);
    t.driver = (int)(bits(r) % DRIVERS);

    const double km = to(0.01, apart(from, dest) * (1.2 + 0.3 * uniform(r)) + 0.4 + 1.2 * uniform(r));
    const double rain = to(0.1, uniform(r) < 0.8 ? 0 : 2 * exponential(r));
    const int lights = (int)(km * (0.4 + 1.6 * (from->centre + dest->centre) / 2) * (0.5 + uniform(r)));
    const double seen = 0.10 * student4(r), unseen = 0.10 * student4(r);
    const double kmh = speed(from, dest, t.hour, t.day) * (1 - 0.05 * (rain < 6 ? rain : 6)) * c->pace[t.driver];
    double minutes = (from->curb + dest->curb) / 2 + 0.25 * lights + 60 * km / kmh * exp(0.7071 * (seen + unseen));
    if (uniform(r) < 0.02) minutes += 8 * exponential(r);
    t.minutes = to(0.01, minutes);
    const double features[FEATURES] = { km, to(0.1, 60 * km / speed(from, dest, 3, 0)), to(0.1, kmh * exp(-0.7071 * seen)),
                                        lights, rain, to(0.001, c->pace[t.driver]) };
    memcpy(t.features, features, sizeof features);
    return t;
}

static const char *district(const struct city *c, int zone)
{
    const double centre = c->zones[zone].centre;
    return zone == AIRPORT ? "airport" : centre > 0.5 ? "centre" : centre > 0.12 ? "inner" : "outer";
}
static const char *period(const struct trip *t)
{
    if (t->hour < 6 || t->hour > 21) return "night";
    if (t->day > 4) return "weekend";
    return t->hour < 10 ? "morning" : t->hour < 16 ? "midday" : t->hour < 20 ? "evening" : "late";
}

/* ------------------------------------------------------------------------------------------------ .npz */

/* A zip of .npy files, nothing compressed, every number little-endian. */
struct out { unsigned char *p; size_t n; };

static void put(struct out *o, int bytes, uint64_t x)
{
    for (int i = 0; i < bytes; i++) o->p[o->n++] = (unsigned char)(x >> 8 * i);
}
static void put_text(struct out *o, const char *s) { while (*s) o->p[o->n++] = (unsigned char)*s++; }

static uint32_t crc32(const unsigned char *p, size_t n)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

struct entry { const char *name; size_t at, n; uint32_t crc; };

/* One array: features in f32, or an int64 of each trip. */
static void put_npy(struct out *o, const struct trip *t, int n, int input)
{
    char header[119];
    const int length = snprintf(header, sizeof header, input ? "{'descr': '<i8', 'fortran_order': False, 'shape': (%d,), }"
                                : "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", n, FEATURES);
    memset(header + length, ' ', sizeof header - 1 - (size_t)length);
    header[117] = '\n';
    header[118] = 0;
    put_text(o, "\x93NUMPY\x01");
    put(o, 3, 118 << 8);
    put_text(o, header);
    for (int i = 0; i < n; i++) {
        const int numbers[INPUTS] = { 0, t[i].origin, t[i].destination, t[i].hour, t[i].day };
        if (input) { put(o, 8, (uint64_t)numbers[input]); continue; }
        for (int k = 0; k < FEATURES; k++) {
            const float x = (float)t[i].features[k];
            uint32_t u;
            memcpy(&u, &x, 4);
            put(o, 4, u);
        }
    }
}

static void put_record(struct out *o, const struct entry *e, int central)
{
    put(o, 4, central ? 0x02014b50 : 0x04034b50);
    if (central) put(o, 2, 20);
    put(o, 2, 20);
    put(o, 4, 0);
    put(o, 4, 0x00210000);                  /* 1980-01-01, or files would differ from day to day */
    put(o, 4, e->crc);
    put(o, 4, e->n);
    put(o, 4, e->n);
    put(o, 4, strlen(e->name));
    if (central) { put(o, 4, 0); put(o, 6, 0); put(o, 4, e->at); }
    put_text(o, e->name);
}

static int write_npz(const char *path, const struct trip *t, int n)
{
    struct entry e[INPUTS] = { { "trip.npy", 0, 0, 0 }, { "origin.npy", 0, 0, 0 }, { "destination.npy", 0, 0, 0 },
                               { "hour.npy", 0, 0, 0 }, { "weekday.npy", 0, 0, 0 } };
    struct out o = { malloc((size_t)n * (4 * FEATURES + 8 * (INPUTS - 1)) + 4096), 0 };
    struct out npy = { malloc((size_t)n * 4 * FEATURES + (size_t)n * 8 + 128), 0 };
    FILE *f = o.p && npy.p ? fopen(path, "wb") : NULL;
    for (int i = 0; f && i < INPUTS; i++) {
        npy.n = 0;
        put_npy(&npy, t, n, i);
        e[i].at = o.n;
        e[i].n = npy.n;
        e[i].crc = crc32(npy.p, npy.n);
        put_record(&o, &e[i], 0);
        memcpy(o.p + o.n, npy.p, npy.n);
        o.n += npy.n;
    }
    const size_t directory = o.n;
    for (int i = 0; f && i < INPUTS; i++) put_record(&o, &e[i], 1);
    if (f) {
        const size_t size = o.n - directory;
        put(&o, 4, 0x06054b50);
        put(&o, 4, 0);
        put(&o, 4, INPUTS | INPUTS << 16);
        put(&o, 4, size);
        put(&o, 4, directory);
        put(&o, 2, 0);
    }
    int failed = !f || fwrite(o.p, 1, o.n, f) != o.n;
    if (f) failed |= fclose(f) != 0;
    free(o.p);
    free(npy.p);
    return failed;
}

/* ------------------------------------------------------------------------------------------------ files */

static int write_csv(const char *path, const struct city *c, const struct trip *t, int n)
{
    FILE *f = fopen(path, "w");
    if (!f) return 1;
    fprintf(f, "target,district,period,hour,driver\n");
    for (int i = 0; i < n; i++)
        fprintf(f, "%.2f,%s,%s,%d,d%04d\n", t[i].minutes, district(c, t[i].origin), period(&t[i]), t[i].hour, t[i].driver);
    const int failed = ferror(f);
    return fclose(f) != 0 || failed;
}

static int make_set(const struct city *c, const char *dir, const char *name, uint64_t seed, uint64_t which, int n)
{
    char path[1024];
    struct random r = stream(seed, which);
    struct trip *t = calloc((size_t)n, sizeof *t);
    int failed = !t;
    double sum = 0;
    for (int i = 0; !failed && i < n; i++) {
        t[i] = draw(c, &r);
        sum += t[i].minutes;
    }
    snprintf(path, sizeof path, "%s/%s.npz", dir, name);
    failed = failed || write_npz(path, t, n);
    if (!failed) snprintf(path, sizeof path, "%s/%s.csv", dir, name);
    failed = failed || write_csv(path, c, t, n);
    free(t);
    if (failed) perror(path);
    else printf("%s/%s: %d trips of %.2f minutes on average\n", dir, name, n, sum / n);
    return failed;
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "training", "calibration", "verification" };
    static struct city city;
    int n[] = { 30000, 2000, 18000 };
    if (argc != 2 && argc != 3 && argc != 6) {
        fprintf(stderr, "usage: trips DIR [SEED [TRAINING CALIBRATION VERIFICATION]]\n");
        return 2;
    }
    for (int i = 0; i < 3 && argc == 6; i++) {
        n[i] = atoi(argv[3 + i]);
        if (n[i] < 1 || n[i] > 10000000) { fprintf(stderr, "trips: 1 to 10000000 trips, not '%s'\n", argv[3 + i]); return 2; }
    }
    build(&city);
    for (int i = 0; i < 3; i++)
        if (make_set(&city, argv[1], names[i], argc > 2 ? strtoull(argv[2], NULL, 10) : 1, (uint64_t)i + 1, n[i])) return 1;
    return 0;
}
