/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/reference.h - texts made from the tables: the manual's list of
 * settings and the file that `alknet init` writes. Pure.
 */
#ifndef ALK_CORE_CONFIG_REFERENCE_H
#define ALK_CORE_CONFIG_REFERENCE_H

#include "core/config/node.h"

enum alk_config_format {
    ALK_CONFIG_MARKDOWN, /* docs/config.md */
    ALK_CONFIG_MAN       /* docs/man/alknet-config.5, mdoc */
};

/* Appends the page. handlers: whose settings are listed, besides those of custom
 * services. ALK_E_INVALID: as alk_config_load. ALK_E_NOMEM, ALK_E_TOO_BIG. */
ALK_NODISCARD alk_err alk_config_reference(const struct alk_mem *mem, enum alk_config_format format,
                                           const struct alk_handler *const *handlers,
                                           size_t handler_count, struct alk_buf *ret);

/* Appends a commented configuration file. Prose begins with "##"; every setting
 * stands there with its default behind a single "#", so that the file means the
 * same with these removed, and one that has no default as prose with its name.
 * data_dir, when not NULL, is the one line in force. Errors as above. */
ALK_NODISCARD alk_err alk_config_example(const struct alk_mem *mem,
                                         const struct alk_handler *const *handlers,
                                         size_t handler_count, const char *data_dir,
                                         struct alk_buf *ret);

/* What a row takes, for people: "size, 1KiB..1GiB". */
#define ALK_CONFIG_TYPE_TEXT_MAX 256
void alk_config_type_text(const struct alk_conf_row *row,
                          char ret[static ALK_CONFIG_TYPE_TEXT_MAX]);

#endif
