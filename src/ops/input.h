/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/input.h - finding values in a parsed input. Pure. */
#ifndef ALK_OPS_INPUT_H
#define ALK_OPS_INPUT_H

#include <yyjson.h>

/* By member name, or by JSON Pointer [RFC 6901] when `at` starts with '/'; "" is the
 * whole. NULL: absent, or the pointer is not one. */
struct yyjson_val *alk_input_find(struct yyjson_val *root, const char *at);

#endif
