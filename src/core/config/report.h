/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/report.h - the errors of one document, with positions.
 *
 * Collected while the document is loaded, written at the end: by then it is
 * known which parts of the text are secrets. Positions are byte offsets into the
 * text. Out of memory is never an error of the document.
 */
#ifndef ALK_CORE_CONFIG_REPORT_H
#define ALK_CORE_CONFIG_REPORT_H

#include "core/config/conf.h"

#define ALK_CONF_MESSAGE_MAX 320

struct alk_conf_place {
    size_t line, column; /* from 1; columns count characters, not bytes */
};

struct alk_conf_report_entry {
    size_t at;
    bool has_place; /* false: about the document as a whole */
    char message[ALK_CONF_MESSAGE_MAX];
};

struct alk_conf_report_mask {
    size_t from, to;
};

struct alk_conf_report {
    const struct alk_mem *mem;
    struct alk_span text;             /* borrows */
    const char *name;                 /* borrows */
    const struct alk_conf_row *table; /* borrows; NULL: nothing is known to be secret */
    struct alk_conf_report_entry entries[ALK_CONF_ERRORS_MAX];
    unsigned count;                     /* of all errors, also those not kept */
    struct alk_conf_report_mask *masks; /* owns: secrets in the text, in no order */
    size_t mask_count, mask_size;
    bool knows_secrets; /* the table was gone through: masks are all there are. Until then a
                         * source line that names a secret row is not shown at all */
};

void alk_conf_report_init(struct alk_conf_report *r, const struct alk_mem *mem,
                          struct alk_span text, const char *name);
void alk_conf_report_fini(struct alk_conf_report *r);
/* An error at a byte of the text. at > text.n: about the document as a whole. */
void alk_conf_report_at(struct alk_conf_report *r, size_t at, const char *fmt, ...)
    ALK_PRINTF(3, 4);
/* text[from..to) is never shown. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_conf_report_mask(struct alk_conf_report *r, size_t from, size_t to);
/* Line and column of a byte offset. */
struct alk_conf_place alk_conf_place_of(struct alk_span text, size_t at);
/* Byte offset of a line and column; the end of the line when it is shorter. */
size_t alk_conf_place_offset(struct alk_span text, struct alk_conf_place place);
/* Sorts and writes all errors into *errors (which is empty). ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_conf_report_write(struct alk_conf_report *r,
                                            struct alk_conf_errors *errors);

#endif
