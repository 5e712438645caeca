#include "../rows.h"
#include "kernels.def"
#include "../rows.h"
const struct pi_row pi_rows_avx512bf16[] = {
#include "kernels.def"
    { 0 }
};
