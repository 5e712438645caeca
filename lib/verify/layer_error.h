/* The error of one tensor against its reference, summed up in fixed size while elements stream by. */
#ifndef PI_VERIFY_LAYER_ERROR_H
#define PI_VERIFY_LAYER_ERROR_H
#include "../base/tensor.h"

/* Bins by sign, exponent and the first two bits of the mantissa of a float: no range has to be known beforehand. */
enum { PI_ERROR_BINS = 2048, PI_ERROR_SHIFT = 21 };
struct pi_layer_sums {
    uint64_t count, finite;             /* finite: both are; all sums speak of these alone                       */
    double signal, noise, cross, power; /* sums of a^2, (a - b)^2, a b, b^2; a: the reference                     */
    double abs_sum, max_abs, max_relative;      /* relative: to |a| where a is not 0                              */
    uint64_t nonzero, overflow16, below14, below24;                     /* of the reference's values             */
    uint64_t nan[2], inf[2];            /* reference, candidate                                                  */
    uint64_t quantized, low, high;      /* elements of a u8 candidate, those at 0 and at 255                      */
    uint64_t differ, bytes;             /* stored elements that differ, of how many                              */
    uint64_t *bins;                     /* PI_ERROR_BINS of the reference, then of the candidate; NULL: none       */
};
/* Both dense and in the same order; elements from .. from + n of each. */
struct pi_span { const struct pi_tensor *t; size_t from; };
void pi_error_add(struct pi_layer_sums *s, struct pi_span reference, struct pi_span candidate, size_t n);
/* Stored elements, NaN equal to NaN; the two are of one type. A scale or zero point that differs makes all of them differ. */
void pi_error_bytes(struct pi_layer_sums *s, struct pi_span reference, struct pi_span candidate, size_t n);

double pi_error_sqnr(double signal, double noise);      /* dB; INFINITY: no error, -INFINITY: no signal          */
double pi_error_cosine(const struct pi_layer_sums *s);  /* 1 where both are zero                                 */
double pi_error_distance(const struct pi_layer_sums *s);        /* Jensen-Shannon, base 2: 0 .. 1                 */
#endif
