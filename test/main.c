/* Runs every suite; the Makefile lists them. Environment: CK_RUN_SUITE, CK_RUN_CASE, CK_FORK=no as Check has them,
 * PI_SEED=N for the random fills (printed, so that a failure can be replayed). */
#include <check.h>
#include <stdlib.h>

#define PI_SUITE(name) Suite *pi_suite_##name(void);
#include "suites.h"
#undef PI_SUITE

int main(void)
{
    SRunner *runner = srunner_create(NULL);
#define PI_SUITE(name) srunner_add_suite(runner, pi_suite_##name());
#include "suites.h"
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
