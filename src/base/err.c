/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/err.h"

const char *alk_err_name(alk_err err)
{
    switch (err) {
#define CASE(name, number, text)                                                                   \
    case ALK_##name:                                                                               \
        return "ALK_" #name;
        ALK_ERR_MAP(CASE)
#undef CASE
    }
    return "ALK_E_?";
}

const char *alk_err_text(alk_err err)
{
    switch (err) {
#define CASE(name, number, text)                                                                   \
    case ALK_##name:                                                                               \
        return text;
        ALK_ERR_MAP(CASE)
#undef CASE
    }
    return "unknown error";
}

enum alk_err_class alk_err_class(alk_err err)
{
    /* The hundreds digit; a number outside the classes is a bug in a caller. */
    switch (-(int)err / 100) {
    case 2:
        return ALK_CLASS_RESOURCE;
    case 3:
        return ALK_CLASS_PEER;
    case 4:
        return ALK_CLASS_DENIED;
    case 5:
        return ALK_CLASS_SYSTEM;
    default:
        return (int)err < 0 ? ALK_CLASS_USAGE : ALK_CLASS_NONE;
    }
}

/* The failures whose code is not the one of their class. */
static const struct {
    alk_err err;
    enum alk_code code;
} codes[] = {
    {ALK_E_AUTH, ALK_CODE_AUTH},           {ALK_E_REVOKED, ALK_CODE_REVOKED},
    {ALK_E_EXPIRED, ALK_CODE_AUTH},        {ALK_E_UNAVAILABLE, ALK_CODE_AUTH},
    {ALK_E_UNTRUSTED, ALK_CODE_AUTH},      {ALK_E_KEY_CHANGED, ALK_CODE_AUTH},
    {ALK_E_TIMEOUT, ALK_CODE_TIMEOUT},     {ALK_E_TOO_BIG, ALK_CODE_LIMIT},
    {ALK_E_HOST_LOST, ALK_CODE_HOST_LOST}, {ALK_E_CLOSED, ALK_CODE_NONE},
};

uint64_t alk_err_code(alk_err err)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].err == err) {
            return (uint64_t)codes[i].code;
        }
    }
    switch (alk_err_class(err)) {
    case ALK_CLASS_NONE:
        return ALK_CODE_NONE;
    case ALK_CLASS_RESOURCE:
        return ALK_CODE_LIMIT;
    case ALK_CLASS_PEER:
        return ALK_CODE_PROTOCOL;
    case ALK_CLASS_DENIED:
        return ALK_CODE_FORBIDDEN;
    case ALK_CLASS_USAGE:
    case ALK_CLASS_SYSTEM:
        break;
    }
    return ALK_CODE_INTERNAL;
}

const char *alk_code_name(uint64_t code)
{
    static const char *const names[] = {
        [ALK_CODE_NONE] = "none",           [ALK_CODE_INTERNAL] = "internal",
        [ALK_CODE_PROTOCOL] = "protocol",   [ALK_CODE_AUTH] = "auth",
        [ALK_CODE_FORBIDDEN] = "forbidden", [ALK_CODE_LIMIT] = "limit",
        [ALK_CODE_HOST_LOST] = "host lost", [ALK_CODE_EXIT] = "exit status",
        [ALK_CODE_REVOKED] = "revoked",     [ALK_CODE_SHUTDOWN] = "shutdown",
        [ALK_CODE_REMOVED] = "removed",     [ALK_CODE_TIMEOUT] = "time-out",
    };
    return code < sizeof(names) / sizeof(names[0]) ? names[code] : "?";
}
