/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/rand.h - the system's source of randomness, good for keys. Any thread. */
#ifndef ALK_CORE_IO_RAND_H
#define ALK_CORE_IO_RAND_H

#include "base/rand.h"

struct alk_rand alk_rand_system(void);

#endif
