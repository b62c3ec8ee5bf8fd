/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema_pending.h - lets the registry be built before the validator of
 * ops/schema.h is in the tree: schemas are taken unread and nothing is checked
 * against them. Goes with the commit that follows the validator. */
#ifndef ALK_OPS_SCHEMA_PENDING_H
#define ALK_OPS_SCHEMA_PENDING_H

#if !__has_include("ops/schema_impl.h")
#define alk_schema_compile(options, text, why, why_size, ret)                                      \
    ((void)(options), (void)(text), (void)(why), (void)(why_size), (void)(ret), ALK_OK)
#define alk_schema_free(schema)                 ((void)(schema))
#define alk_schema_check(schema, value, report) ((void)(schema), (void)(value), ALK_OK)
#endif

#endif
