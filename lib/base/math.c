#include <math.h>
#include <stdint.h>
#include <string.h>
#include "math.h"

static const double LN2_HI = 6.93147180369123816490e-01, LN2_LO = 1.90821492927058770002e-10;   /* ln 2 in two parts */

static double scale2(double x, int n)           /* x * 2^n, n within the normal range */
{
    const uint64_t bits = (uint64_t)(1023 + n) << 52;
    double p;
    memcpy(&p, &bits, 8);
    return x * p;
}

/* x = n ln 2 + r, |r| <= 0.35; Taylor's series of e^r to r^13 (remainder below 2^-56). */
double pi_math_exp(double x)
{
    if (x != x) return x;
    if (x > 709.7827) return INFINITY;
    if (x < -745.2) return 0;
    const double k = (x * 1.4426950408889634 + 6755399441055744.0) - 6755399441055744.0;
    const double r = fma(-k, LN2_LO, fma(-k, LN2_HI, x));
    double p = 1;
    for (int i = 14; i > 0; i--) p = fma(p * r, 1.0 / i, 1);
    const int n = (int)k;
    return n > -1000 ? n > 1000 ? scale2(scale2(p, 1000), n - 1000) : scale2(p, n) : scale2(scale2(p, -1000), n + 1000);
}

/* x = 2^n m, m in [sqrt(1/2), sqrt 2); log m = 2 atanh((m - 1) / (m + 1)), its series to s^21. */
double pi_math_log(double x)
{
    if (!(x > 0)) return x == 0 ? -INFINITY : NAN;
    if (x == INFINITY) return x;
    int n = 0;
    if (x < 2.2250738585072014e-308) { x *= 18014398509481984.0; n = -54; }     /* subnormal: * 2^54 */
    uint64_t bits;
    memcpy(&bits, &x, 8);
    n += (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, 8);
    if (m > 1.4142135623730951) { m *= 0.5; n++; }
    const double s = (m - 1) / (m + 1), z = s * s;
    double p = 1.0 / 23;
    for (int i = 21; i > 0; i -= 2) p = fma(p, z, 1.0 / i);
    return fma(n, LN2_HI, fma(n, LN2_LO, 2 * s * p));
}

/* Stirling's series (Abramowitz and Stegun 6.1.41) above 10, the recurrence below. */
double pi_math_log_gamma(double x)
{
    double shift = 0;
    while (x < 10) { shift += pi_math_log(x); x += 1; }
    const double z = 1 / (x * x);
    const double series = (1.0 / 12 - z * (1.0 / 360 - z * (1.0 / 1260 - z * (1.0 / 1680 - z / 1188)))) / x;
    return (x - 0.5) * pi_math_log(x) - x + 0.91893853320467274178 + series - shift;     /* ln sqrt(2 pi) */
}
