/* Numbers for sentences: a point whatever the locale, no more digits than it takes. */
#ifndef PI_VERIFY_TEXT_H
#define PI_VERIFY_TEXT_H
#include "../base/bytes.h"

enum { PI_PLAIN = 40 };
/* "0.5", "98.9", "1e-12": nine decimals at most, zeros at the end left out; returns text. */
const char *pi_plain(char text[PI_PLAIN], double x);
void pi_put_plain(struct pi_bytes *b, double x);
#endif
