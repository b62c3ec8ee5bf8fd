/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Derivation paths, and the fixed ones of alknet. */
#include "impl.h"

#include <string.h>

#define PURPOSE     74 /* alknet's own */
#define ETHEREUM    60
#define INDEX_MAX   (ALKSEC_HARDENED - 1)
#define VERSION_MIN 2
#define DIGITS_MAX  10

/* One "/17'" at *at. */
static bool read_step(const char **at, const char *end, uint32_t *ret)
{
    const char *p = *at;
    uint64_t value = 0;

    if (p == end || *p++ != '/') {
        return false;
    }
    const char *digits = p;
    while (p < end && *p >= '0' && *p <= '9' && p - digits < DIGITS_MAX) {
        value = value * 10 + (uint64_t)(*p++ - '0');
    }
    bool has_zeros = p - digits > 1 && *digits == '0';
    if (p == digits || has_zeros || value > INDEX_MAX) {
        return false;
    }
    *ret = (uint32_t)value;
    if (p < end && (*p == '\'' || *p == 'h')) {
        *ret |= ALKSEC_HARDENED;
        p++;
    }
    *at = p;
    return true;
}

alksec_err alksec_path_parse(const char *text, size_t n, struct alksec_path *ret)
{
    struct alksec_path path = {.depth = 0};
    const char *at = text, *end = text + n;

    if (n == 0 || *at++ != 'm') {
        return ALKSEC_E_PATH;
    }
    while (at < end) {
        if (path.depth == ALKSEC_PATH_MAX || !read_step(&at, end, &path.index[path.depth])) {
            return ALKSEC_E_PATH;
        }
        path.depth++;
    }
    *ret = path;
    return ALKSEC_OK;
}

static char *put_number(char *at, uint32_t value)
{
    char digits[DIGITS_MAX];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0) {
        *at++ = digits[--n];
    }
    return at;
}

void alksec_path_print(const struct alksec_path *path, char ret[ALKSEC_PATH_SIZE])
{
    char *at = ret;

    *at++ = 'm';
    for (unsigned i = 0; i < path->depth && i < ALKSEC_PATH_MAX; i++) {
        *at++ = '/';
        at = put_number(at, path->index[i] & INDEX_MAX);
        if ((path->index[i] & ALKSEC_HARDENED) != 0) {
            *at++ = '\'';
        }
    }
    *at = '\0';
}

static void fixed(uint32_t branch, uint32_t section, uint32_t n, struct alksec_path *ret)
{
    *ret = (struct alksec_path){.index = {PURPOSE | ALKSEC_HARDENED, branch | ALKSEC_HARDENED,
                                          section | ALKSEC_HARDENED, n | ALKSEC_HARDENED},
                                .depth = 4};
}

alksec_err alksec_path_identity(uint32_t n, struct alksec_path *ret)
{
    if (n > INDEX_MAX) {
        return ALKSEC_E_INVALID;
    }
    fixed(0, 0, n, ret);
    return ALKSEC_OK;
}

alksec_err alksec_path_host_key(uint32_t n, struct alksec_path *ret)
{
    if (n > INDEX_MAX) {
        return ALKSEC_E_INVALID;
    }
    fixed(0, 1, n, ret);
    return ALKSEC_OK;
}

alksec_err alksec_path_encryption(uint32_t version, struct alksec_path *ret)
{
    if (version < VERSION_MIN) {
        return ALKSEC_E_VERSION;
    }
    if (version - VERSION_MIN > INDEX_MAX) {
        return ALKSEC_E_INVALID;
    }
    fixed(2, 0, version - VERSION_MIN, ret);
    return ALKSEC_OK;
}

void alksec_path_ethereum(struct alksec_path *ret)
{
    *ret = (struct alksec_path){
        .index = {44 | ALKSEC_HARDENED, ETHEREUM | ALKSEC_HARDENED, ALKSEC_HARDENED, 0, 0},
        .depth = 5};
}
