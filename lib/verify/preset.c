/* Limits that others have published, not results of ours. */
#include "policy.h"

#define BUDGET(m, l, v) { .size = sizeof(struct precinfer_budget), .metric = m, .limit = l, .value = v }
static const struct pi_preset presets[] = {
    { "half-precision", "common practice for FP16 and BF16: top-1 accuracy drops by less than 0.5 points",
      BUDGET(PRECINFER_TOPK, PRECINFER_MAX_DROP, 0.005) },
    { "bf16-google", "Google, for BF16: less than 0.3% of the FP32 model's accuracy is lost",
      BUDGET(PRECINFER_TOPK, PRECINFER_MIN_SHARE, 0.997) },
    { "mae-uber", "Uber, for regression: MAE within 2% of FP32", BUDGET(PRECINFER_MAE, PRECINFER_MAX_RATIO, 1.02) },
    { "int8-nvidia", "NVIDIA, ResNet-50: INT8 keeps at least 98.9% of FP32; its own figures, 75.8 of 76.5, are 99.08%",
      BUDGET(PRECINFER_TOPK, PRECINFER_MIN_SHARE, 0.989) },
};

const struct pi_preset *pi_preset(size_t i) { return i < sizeof presets / sizeof *presets ? &presets[i] : NULL; }
