/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/conf.h"

#include "core/auth/date.h"
#include "core/auth/fingerprint.h"
#include "core/auth/identity.h"
#include "core/auth/scope.h"
#include "core/auth/token.h"
#include "core/auth/why.h"

static alk_err wrong(char *why, size_t why_size, const char *sentence)
{
    (void)alk_why(why, why_size, "%s", sentence);
    return ALK_E_CONFIG;
}

alk_err alk_auth_check_id(const struct alk_conf *value, char *why, size_t why_size)
{
    return alk_identity_id_is_valid(alk_conf_span(value))
               ? ALK_OK
               : wrong(why, why_size,
                       "an id is 1 to 64 of [a-z0-9._-] and begins with a letter or digit");
}

alk_err alk_auth_check_key(const struct alk_conf *value, char *why, size_t why_size)
{
    char name[ALK_FINGERPRINT_MAX];
    return alk_key_parse(alk_conf_span(value), name, why, why_size) == ALK_OK ? ALK_OK
                                                                              : ALK_E_CONFIG;
}

alk_err alk_auth_check_scope(const struct alk_conf *value, char *why, size_t why_size)
{
    return alk_scope_is_valid(alk_conf_span(value))
               ? ALK_OK
               : wrong(why, why_size,
                       "a scope is 1 to 4 words of [a-z0-9_.-] joined by ':', or '*' as the last");
}

alk_err alk_auth_check_prefix(const struct alk_conf *value, char *why, size_t why_size)
{
    return alk_token_prefix_is_valid(alk_conf_span(value))
               ? ALK_OK
               : wrong(why, why_size, "a token's prefix is its 8 characters after 'alk_'");
}

alk_err alk_auth_check_hash(const struct alk_conf *value, char *why, size_t why_size)
{
    uint8_t hash[ALK_TOKEN_HASH_SIZE];
    return alk_token_hash_parse(alk_conf_span(value), hash) == ALK_OK
               ? ALK_OK
               : wrong(why, why_size, "'sha256:' and 64 hexadecimal digits");
}

alk_err alk_auth_check_date(const struct alk_conf *value, char *why, size_t why_size)
{
    uint64_t unix_s = 0;
    return alk_date_parse(alk_conf_span(value), &unix_s) == ALK_OK
               ? ALK_OK
               : wrong(why, why_size, "a date: 2027-01-01 or 2027-01-01T12:00:00Z");
}
