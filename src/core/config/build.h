/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/build.h - the text of a document against a table of rows.
 *
 * A MAP row without `sub` takes any members and keeps none: they are not looked
 * at. Everything wrong is reported; the tree is only good when nothing was.
 */
#ifndef ALK_CORE_CONFIG_BUILD_H
#define ALK_CORE_CONFIG_BUILD_H

#include "core/config/report.h"
#include "core/config/tree.h"
#include "core/config/yaml.h"

struct alk_conf_builder {
    struct alk_conf_doc *doc;
    struct alk_arena *scratch; /* for documents inside: defaults, opened values */
    struct alk_conf_report *report;
    const struct alk_conf_opener *opener; /* NULL: none */
};

/* Fills *ret, the root of the tree, with the members of `table`. yaml NULL: all
 * defaults. ALK_OK also after reported errors. ALK_E_NOMEM; ALK_E_INVALID: a
 * default of the table does not fit its own row. */
ALK_NODISCARD alk_err alk_conf_build(const struct alk_conf_builder *builder,
                                     const struct alk_conf_row *table, struct alk_yaml *yaml,
                                     struct alk_conf *ret);

#endif
