/* test/cli.sh as a suite. */
#include <stdlib.h>
#include "harness.h"

START_TEST(contract)
{
    /* bash is not everywhere that make check is */
    if (system("command -v bash >/dev/null")) {
        printf("    skipped: contract (no bash)\n");
        return;
    }
    h_expect(!system("bash test/cli.sh " PI_TOOL), "see above");
    h_finish();
}
END_TEST

Suite *pi_suite(void)
{
    Suite *s = suite_create("tool_cli");
    if (PI_WITH_ONNX) h_add(s, "the contract", contract, 1, 300);
    return s;
}
