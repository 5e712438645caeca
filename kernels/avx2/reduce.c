/* Reductions in the vectors of this folder. */
#include "vec.h"
#include "../vector/reduce.h"
