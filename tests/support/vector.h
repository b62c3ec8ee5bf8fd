/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/vector.h - files of public test sets. */
#ifndef ALK_TEST_VECTOR_H
#define ALK_TEST_VECTOR_H

#include "support/check.h"

/* The whole file into b (initialised here; the caller's to fini). A file that is not there
 * skips the running test, with a line that says so. */
void vector_read(const char *path, struct alk_buf *b);

#endif
