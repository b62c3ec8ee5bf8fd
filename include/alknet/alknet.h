/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/alknet.h - the whole public interface of libalknet. */
#ifndef ALKNET_ALKNET_H
#define ALKNET_ALKNET_H

#include "alknet/auth.h"
#include "alknet/call.h"
#include "alknet/client.h"
#include "alknet/conf.h"
#include "alknet/conn.h"
#include "alknet/endpoint.h"
#include "alknet/err.h"
#include "alknet/handler.h"
#include "alknet/loop.h"
#include "alknet/ops.h"
#include "alknet/stream.h"
#include "alknet/types.h"

#endif
