/* Errors: a status and one sentence in the caller's struct precinfer_error. */
#ifndef PI_BASE_ERROR_H
#define PI_BASE_ERROR_H
#include "precinfer.h"

/* Fills *err (NULL allowed) and returns status, so that a check is one line:
 *     return pi_fail(err, PRECINFER_INVALID, "node '%s' (%s): group %zu does not divide %zu", ...);
 * The text never contains a newline or control character (file content may flow into it) and is cut at the end. */
int pi_fail(struct precinfer_error *err, enum precinfer_status status, const char *format,
            ...) __attribute__((format(printf, 3, 4)));
/* Prepends "prefix: " to what *err already says, for a caller that knows the file or node. Returns err's status or `status`. */
int pi_prefix(struct precinfer_error *err, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Control characters become blanks; a character that the end of `size` cut in two is dropped. */
void pi_clean_text(char *text, size_t size);
#define PI_TRY(call) do { const int pi_try_ = (call); if (pi_try_) return pi_try_; } while (0)
#endif
