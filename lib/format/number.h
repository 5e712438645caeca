/* Numbers as text: the shortest decimal that reads back as the same number, the same under every locale. */
#ifndef PI_FORMAT_NUMBER_H
#define PI_FORMAT_NUMBER_H
#include <stddef.h>

enum { PI_NUMBER_TEXT = 32 };
/* Both write at most PI_NUMBER_TEXT bytes with the final zero and return the length. A number that JSON has no words for
 * (NaN, infinity) is "null". The text of a float is the shortest that gives it by way of double, as JSON readers do. */
size_t pi_number_f64(char text[PI_NUMBER_TEXT], double x);
size_t pi_number_f32(char text[PI_NUMBER_TEXT], float x);
/* The whole of s[0 .. n) as a JSON number, rounded to nearest. 0 on success; nonzero: no number, or beyond double. */
int pi_number_read(const char *s, size_t n, double *x);
/* Lays out what printf's %e wrote, whatever its decimal point ("-1,25e-02"), as JSON has it. For number.c and its test. */
size_t pi_number_layout(char text[PI_NUMBER_TEXT], const char *e_form);
#endif
