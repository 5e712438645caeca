#include <float.h>
#include "qparams.h"

int pi_qparams(double min, double max, float *scale, int32_t *zero_point)
{
    if (!(min - min == 0) || !(max - max == 0) || min > max) return 1;
    if (min > 0) min = 0;
    if (max < 0) max = 0;
    if (min == max) {
        *scale = 1;
        *zero_point = 0;
        return 0;
    }
    const double wide = (max - min) / 255;
    if (!(wide <= FLT_MAX)) return 1;
    const float s = wide < FLT_MIN ? FLT_MIN : (float)wide;
    const double exact = -min / (double)s;          /* 0 .. 255 and a little */
    int32_t z = (int32_t)exact;
    const double rest = exact - z;
    if (rest > 0.5 || (rest == 0.5 && (z & 1))) z++;
    *scale = s;
    *zero_point = z > 255 ? 255 : z;
    return 0;
}
