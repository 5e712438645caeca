/* Elementwise operators in the vectors of this folder. */
#include "vec.h"
#include "../vector/eltwise.h"
