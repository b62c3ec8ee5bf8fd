/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/reload.h - the one way to change a running configuration.
 *
 * struct alk_config_reload holds the newest generation. `prepare` reads a
 * document and compares; the endpoint then does what may fail (binds listeners,
 * reads certificates, starts services) and ends with `commit` or `abort`. A
 * failed prepare changes nothing. Used on the first loop alone.
 */
#ifndef ALK_CORE_CONFIG_RELOAD_H
#define ALK_CORE_CONFIG_RELOAD_H

#include "core/config/node.h"

#define ALK_CONFIG_CHANGES_MAX 256
#define ALK_CONFIG_NAME_MAX    128

/* One changed row, by its dotted name: "limits.memory", "services.git.root",
 * "listen". A list counts as one row. */
struct alk_config_change {
    char name[ALK_CONFIG_NAME_MAX];
    enum alk_conf_reload reload;
};

/* What differs between two generations. Services borrow from the two snapshots. */
struct alk_config_diff {
    const struct alk_mem *mem;
    struct alk_config_change *changes; /* owns; of each map first what was there before */
    size_t change_count;               /* at most ALK_CONFIG_CHANGES_MAX are kept */
    bool needs_restart;                /* a row of class restart is among all changes */
    bool listen_changed;               /* listeners or their default ALPN */
    bool certificates_changed;         /* identity.certificates, identity.self_signed */
    bool auth_changed, limits_changed, log_changed;
    /* Own the arrays. `changed` holds the new ones: settings, isolation, require or
     * ALPNs differ. */
    const struct alk_config_service **added, **removed, **changed;
    size_t added_count, removed_count, changed_count;
};

/* Compares. Zero-initialise *ret; it is to be released also after a failure.
 * ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_config_diff(const struct alk_mem *mem,
                                      const struct alk_dynamic_config *before,
                                      const struct alk_dynamic_config *after,
                                      struct alk_config_diff *ret);
void alk_config_diff_fini(struct alk_config_diff *diff);
/* Appends "needs a restart: loops, data_dir" when there is such a row, else
 * nothing. */
alk_err alk_config_diff_note(const struct alk_config_diff *diff, struct alk_buf *ret);

struct alk_config_reload;

/* Takes over the references to the configuration the node starts with. options
 * is copied (text and generation are not used); what it points to must live as
 * long as the handle. */
ALK_NODISCARD alk_err alk_config_reload_new(const struct alk_config_options *options,
                                            const struct alk_static_config *config,
                                            const struct alk_dynamic_config *dynamic,
                                            struct alk_config_reload **ret);
void alk_config_reload_free(struct alk_config_reload *reload);
/* What the node was started with; borrows until free. */
const struct alk_static_config *alk_config_reload_static(const struct alk_config_reload *reload);
/* Borrows until the next commit. */
const struct alk_dynamic_config *alk_config_reload_current(const struct alk_config_reload *reload);
/* Reads a document as the next generation. ALK_OK: *ret_diff (borrows until
 * commit or abort) tells what changes, against what is in force and, for
 * restart rows, against what the node was started with. ALK_E_STATE: one is
 * prepared already. Else as alk_config_load. */
ALK_NODISCARD alk_err alk_config_reload_prepare(struct alk_config_reload *reload,
                                                struct alk_span text,
                                                struct alk_conf_errors *errors,
                                                const struct alk_config_diff **ret_diff);
/* The prepared candidate, or NULL. Borrows until commit or abort. */
const struct alk_dynamic_config *alk_config_reload_next(const struct alk_config_reload *reload);
/* The candidate becomes the current one. Cannot fail. */
void alk_config_reload_commit(struct alk_config_reload *reload);
/* Drops the candidate; nothing has changed. */
void alk_config_reload_abort(struct alk_config_reload *reload);

#endif
