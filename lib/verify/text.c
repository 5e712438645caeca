#include <stdio.h>
#include "text.h"

const char *pi_plain(char text[PI_PLAIN], double x)
{
    const char *sign = x < 0 ? "-" : "";
    double a = x < 0 ? -x : x;
    int exponent = 0;
    if (!(a - a == 0)) {
        snprintf(text, PI_PLAIN, "%s", a == a ? x < 0 ? "-inf" : "inf" : "nan");
        return text;
    }
    for (; a >= 1e9 && exponent < 400; exponent++) a /= 10;
    for (; a != 0 && a < 1e-5 && exponent > -400; exponent--) a *= 10;
    if (exponent < 0 && a < 1) { a *= 10; exponent--; }
    unsigned long long n = (unsigned long long)(a * 1e9 + 0.5);
    int decimals = 9;
    for (; decimals && n % 10 == 0; decimals--) n /= 10;
    unsigned long long unit = 1;
    for (int i = 0; i < decimals; i++) unit *= 10;
    int at = snprintf(text, PI_PLAIN, "%s%llu", sign, n / unit);
    if (decimals) at += snprintf(text + at, PI_PLAIN - (size_t)at, ".%0*llu", decimals, n % unit);
    if (exponent) snprintf(text + at, PI_PLAIN - (size_t)at, "e%d", exponent);
    return text;
}

void pi_put_plain(struct pi_bytes *b, double x)
{
    char text[PI_PLAIN];
    pi_put_text(b, pi_plain(text, x));
}
