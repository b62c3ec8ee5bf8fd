/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/path.h - paths against the working directory. */
#ifndef ALK_CORE_IO_PATH_H
#define ALK_CORE_IO_PATH_H

#include "alknet/types.h"

/* The path as it is, or behind the working directory. False and "": it does not
 * fit, or there is no working directory. Links are not resolved. */
bool alk_path_absolute(const char *path, char *ret, size_t ret_size);
/* How many processors this process may use; at least 1. */
unsigned alk_processors(void);

#endif
