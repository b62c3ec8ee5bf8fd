/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/meter.h - memory that counts its bytes, as the heap hands them out. One
 * thread. */
#ifndef ALK_TEST_METER_H
#define ALK_TEST_METER_H

#include "alknet/types.h"

struct meter {
    struct alk_mem mem; /* hand &m.mem to the code under test */
    size_t live;        /* bytes in use */
};

/* *m must stay where it is. */
void meter_init(struct meter *m);

#endif
