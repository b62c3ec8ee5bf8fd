/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ident.h"

#include "base/text.h"
#include "base/wire.h"
#include "core/addr.h"
#include "core/auth/fingerprint.h"

#include <unistd.h>

void cli_ssh_line(const uint8_t key[static 32], const char *comment,
                  char ret[static CLI_SSH_LINE_MAX])
{
    uint8_t blob[51];
    char text[ALK_BASE64_SIZE(sizeof blob)];
    struct alk_wr w = alk_wr(blob, sizeof blob);

    alk_wr_block32(&w, ALK_LIT("ssh-ed25519"));
    alk_wr_block32(&w, alk_span(key, 32));
    (void)alk_base64(alk_wr_span(&w), text, sizeof text);
    (void)snprintf(ret, CLI_SSH_LINE_MAX, "ssh-ed25519 %s%s%s", text, comment[0] != '\0' ? " " : "",
                   comment);
}

void cli_public_host(const char *advertise, const char *listening, char *ret, size_t ret_size)
{
    static const uint8_t zeros[16];
    char host[256] = "";
    struct alk_addr addr;

    if (advertise != NULL && advertise[0] != '\0') {
        (void)snprintf(ret, ret_size, "%s", advertise);
        return;
    }
    bool is_any = alk_addr_parse(alk_span_str(listening), &addr) == ALK_OK &&
                  memcmp(addr.ip, zeros, addr.family == 4 ? 4 : 16) == 0;
    if (is_any && gethostname(host, sizeof host - 1) == 0 && host[0] != '\0') {
        (void)snprintf(ret, ret_size, "%s:%u", host, (unsigned)addr.port);
        return;
    }
    (void)snprintf(ret, ret_size, "%s", listening);
}

struct names {
    char address[ALK_Z32_ADDRESS_SIZE];
    struct alk_key_names names;
    char ssh[CLI_SSH_LINE_MAX];
};

static void name_all(const uint8_t key[static 32], const char *comment, struct names *ret)
{
    alk_key_address(key, ret->address);
    alk_key_names_from_ed25519(key, &ret->names);
    cli_ssh_line(key, comment, ret->ssh);
}

/* The name with this beginning, or "". */
static const char *name_of(const struct names *n, const char *prefix)
{
    for (size_t i = 0; i < n->names.count; i++) {
        if (strncmp(n->names.name[i], prefix, strlen(prefix)) == 0) {
            return n->names.name[i];
        }
    }
    return "";
}

bool cli_put_key(struct yyjson_mut_doc *doc, struct yyjson_mut_val *object,
                 const uint8_t key[static 32], const char *comment)
{
    struct names n;
    name_all(key, comment, &n);
    return yyjson_mut_obj_add_strcpy(doc, object, "key", n.address) &&
           yyjson_mut_obj_add_strcpy(doc, object, "ed25519", name_of(&n, "ed25519:")) &&
           yyjson_mut_obj_add_strcpy(doc, object, "openssh", n.ssh) &&
           yyjson_mut_obj_add_strcpy(doc, object, "openssh_fingerprint", name_of(&n, "SHA256:")) &&
           yyjson_mut_obj_add_strcpy(doc, object, "spki", name_of(&n, "spki:"));
}

void cli_print_key(struct cli *cli, const uint8_t key[static 32], const char *comment)
{
    struct names n;
    name_all(key, comment, &n);
    (void)fprintf(cli->out, "key          %s\nhex          %s\nopenssh      %s\nfingerprint  %s\n",
                  n.address, name_of(&n, "ed25519:"), n.ssh, name_of(&n, "SHA256:"));
}
