/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "who.h"

#include "base/ct.h"
#include "core/auth/fingerprint.h"
#include "core/tls/key.h"
#include "ident.h"

static const char *member(struct yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));
    return text != NULL ? text : "";
}

/* What the node itself says; its port may not be the configured one. */
static alk_err from_node(const struct cli_state *state, struct cli_who *who, char *why,
                         size_t why_size)
{
    struct yyjson_val *out = NULL;
    alk_err err =
        cli_state_ask(state, "node/info", alk_span_str(""), why, why_size, &who->info, &out);
    if (err != ALK_OK) {
        return err;
    }
    const char *listening = yyjson_get_str(yyjson_arr_get_first(yyjson_obj_get(out, "addresses")));
    cli_public_host(member(out, "advertise"), listening != NULL ? listening : "", who->host_port,
                    sizeof who->host_port);
    return alk_key_from_address(alk_span_str(member(out, "key")), who->key) == ALK_OK
               ? ALK_OK
               : ALK_E_PROTOCOL;
}

static int from_files(const struct cli_state *state, struct cli_who *who)
{
    struct alk_datadir *dir = NULL;
    char why[ALK_DATADIR_WHY] = "";
    uint8_t seed[32] = {0};

    int rc = cli_state_datadir(state, &dir);
    if (rc != CLI_OK) {
        return rc;
    }
    alk_err err = alk_datadir_key(dir, state->fixed->node_key, NULL, seed, NULL, why, sizeof why);
    if (err == ALK_E_NOENT) {
        (void)snprintf(why, sizeof why, "the node in %s has no key yet; make one with: alknet init",
                       dir->path);
    }
    alk_key_public_of(seed, who->key);
    alk_wipe(seed, sizeof seed);
    alk_datadir_close(dir);
    const struct alk_dynamic_config *c = state->config;
    cli_public_host(c->advertise, c->listener_count > 0 ? c->listeners[0].text : "", who->host_port,
                    sizeof who->host_port);
    return err == ALK_OK ? CLI_OK : cli_fail_err(state->cli, err, why);
}

int cli_who_find(const struct cli_state *state, struct cli_who *who)
{
    char why[512] = "";
    alk_err err = from_node(state, who, why, sizeof why);
    if (err == ALK_E_UNREACHABLE) {
        int rc = from_files(state, who);
        alk_key_address(who->key, who->text);
        return rc;
    }
    alk_key_address(who->key, who->text);
    return err == ALK_OK ? CLI_OK : cli_fail_err(state->cli, err, why);
}

void cli_who_fini(struct cli_who *who)
{
    yyjson_doc_free(who->info);
    who->info = NULL;
}
