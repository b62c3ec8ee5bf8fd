/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/conf.h - reading a document against a table, for the node's own
 * use: what alknet/conf.h offers, plus encrypted values and checks of the
 * caller's that report like the loader does.
 *
 * A document is read in three steps: YAML to a plain tree of the text
 * (core/config/yaml.h), that tree against the table (core/config/build.h), then
 * the caller's own `verify`. Errors of all steps are collected, sorted by
 * position and written as
 *
 *     node.yaml:3:11: error: port must be 1..65535
 *     listen: ["127.0.0.1:99999"]
 *              ^
 *
 * at most ALK_CONF_ERRORS_MAX of them. Values of rows marked is_secret are shown
 * as asterisks in the source line. Pure: no files, no environment, no clock.
 */
#ifndef ALK_CORE_CONFIG_CONF_H
#define ALK_CORE_CONFIG_CONF_H

#include "alknet/conf.h"
#include "base/buf.h"

#define ALK_CONF_TEXT_MAX   ((size_t)1 << 20) /* bytes of a document */
#define ALK_CONF_DEPTH_MAX  32                /* of nested lists and maps */
#define ALK_CONF_NODES_MAX  65536             /* scalars, lists and maps of a document */
#define ALK_CONF_ERRORS_MAX 20                /* messages, before "and N more" */

#define ALK_CONF_WHY 256 /* room for what an opener says */

/* Opens the value of `path: !encrypted {...}`. json is what stands behind the
 * tag, as JSON. ALK_OK: *ret has the plain text appended: of a string row the
 * string itself, else the value as YAML. ret wipes its memory, and takes all of
 * it in one go. Errors become "cannot open the encrypted value: WHY", with the
 * text of the error where why (ALK_CONF_WHY bytes, "" before) was left empty;
 * nothing of the value may stand in it. */
struct alk_conf_opener {
    alk_err (*open)(void *ctx, const char *path, struct alk_span json, struct alk_buf *ret,
                    char *why, size_t why_size);
    void *ctx;
};

/* Where errors of a document are collected; lives while it is loaded. */
struct alk_conf_report;

/* Reports one error at a value: one sentence, lower case, without full stop.
 * With at NULL or a default, at the start of the document. */
void alk_conf_error(struct alk_conf_report *report, const struct alk_conf *at, const char *fmt, ...)
    ALK_PRINTF(3, 4);

/* Checks a finished tree as a whole; reports what is wrong. ALK_OK also when it
 * reported errors; ALK_E_NOMEM. */
typedef alk_err alk_conf_verify_fn(void *ctx, const struct alk_conf *root,
                                   struct alk_conf_report *report);

struct alk_conf_source {
    struct alk_span text;
    const char *name;                     /* in messages; copied */
    const struct alk_conf_row *table;     /* may be freed after the call */
    const struct alk_conf_opener *opener; /* NULL: an encrypted value is an error */
    alk_conf_verify_fn *verify;           /* NULL: none; not called for a broken document */
    void *verify_ctx;
};

/* As alk_conf_parse. errors may be NULL. */
ALK_NODISCARD alk_err alk_conf_load(const struct alk_mem *mem, const struct alk_conf_source *source,
                                    struct alk_conf_errors *errors, const struct alk_conf **ret);

/* What the tree remembers of the row a value was read with. */
enum alk_conf_type alk_conf_type(const struct alk_conf *conf);
/* The later of the row's own and its parents': a child of a restart row needs a
 * restart. */
enum alk_conf_reload alk_conf_reload(const struct alk_conf *conf);
bool alk_conf_is_secret(const struct alk_conf *conf);
/* As alk_conf_print, with "(hidden)" for every value that is secret: for people to
 * look at, not to be read back. */
ALK_NODISCARD alk_err alk_conf_print_public(const struct alk_mem *mem, const struct alk_conf *conf,
                                            char **ret, size_t *ret_n);

#endif
