/* exp, log and friends in double, the same bits everywhere: libm's differ from version to version. About 1e-15 relative. */
#ifndef PI_BASE_MATH_H
#define PI_BASE_MATH_H
double pi_math_exp(double x);
double pi_math_log(double x);                /* x > 0; 0 gives -inf, below NaN                                      */
double pi_math_log_gamma(double x);          /* x > 0; absolute error about 1e-10 at x = 1e9                        */
#endif
