#include "../rows.h"
#include "kernels.def"
#include "../rows.h"
const struct pi_row pi_rows_avx2[] = {
#include "kernels.def"
    { 0 }
};
