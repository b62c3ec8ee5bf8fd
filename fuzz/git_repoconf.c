/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Configs of repositories, and addresses in push certificates. */
#include "git/pushee.h"
#include "git/repoconf.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[128] = "";
    alk_err err = alk_git_repoconf_check(alk_span(data, size), why, sizeof why);
    ALK_ASSERT(err == ALK_OK || (why[0] != '\0' && why[sizeof why - 1] == '\0'));
    ALK_ASSERT(alk_git_repoconf_check(alk_span(data, size), why, sizeof why) == err); /* no state */
    struct alk_span name = alk_span(data, size < 8 ? size : 8);
    (void)alk_git_pushee_is(alk_span(data, size), name, ALK_LIT(""));
    return 0;
}
