/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* unit/secret_test.h - what the tests of alknet-secret share. They need no other
 * part of alknet, as the library itself. */
#ifndef ALKSEC_TEST_H
#define ALKSEC_TEST_H

#include "alknet-secret/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#define VECTORS    ALK_VECTORS_DIR "/01-bip39-slip10-bip32/"
#define SPAN(text) ((struct alksec_span){(text), sizeof(text) - 1})

/* Bytes of hexadecimal text; their number. */
static inline size_t unhex(const char *hex, uint8_t *ret, size_t size)
{
    size_t n = strlen(hex) / 2;
    assert_true(n <= size);
    for (size_t i = 0; i < n; i++) {
        const char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        ret[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static inline void check_hex(const uint8_t *got, size_t n, const char *hex)
{
    uint8_t want[256];
    assert_int_equal(unhex(hex, want, sizeof want), n);
    assert_memory_equal(got, want, n);
}

#define check_sec(got, want) assert_string_equal(alksec_err_text(got), alksec_err_text(want))

/* A public test set, or a skipped test. */
static inline yyjson_doc *vectors(const char *path)
{
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_file(path, 0, NULL, &why);
    if (doc == NULL) {
        print_message("skipped: no vectors at %s\n", path);
        skip();
    }
    return doc;
}

static inline const char *text_of(yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));
    assert_non_null(text);
    return text;
}

/* Memory that counts and fails on demand. */
struct sec_memory {
    struct alksec_mem mem;
    size_t fail_at, allocs, live;
    bool fails_on;
};

static inline bool sec_fails(struct sec_memory *m)
{
    m->allocs++;
    return m->fail_at != 0 && (m->fails_on ? m->allocs >= m->fail_at : m->allocs == m->fail_at);
}

static inline void *sec_alloc(void *ctx, size_t n)
{
    struct sec_memory *m = ctx;
    void *p = sec_fails(m) ? NULL : malloc(n);
    m->live += p != NULL;
    return p;
}

static inline void *sec_resize(void *ctx, void *old, size_t n)
{
    struct sec_memory *m = ctx;
    void *p = sec_fails(m) ? NULL : realloc(old, n);
    m->live += old == NULL && p != NULL;
    return p;
}

static inline void sec_release(void *ctx, void *p)
{
    struct sec_memory *m = ctx;
    m->live -= p != NULL;
    free(p);
}

static inline void sec_memory_init(struct sec_memory *m, size_t fail_at)
{
    *m = (struct sec_memory){.mem = {sec_alloc, sec_resize, sec_release, sec_alloc, sec_release, m},
                             .fail_at = fail_at};
}

typedef alksec_err sec_body(const struct alksec_mem *mem);
/* Every allocation of the body fails once, alone and with all that follow. */
static inline void sec_sweep(sec_body *body)
{
    struct sec_memory m;
    sec_memory_init(&m, 0);
    check_sec(body(&m.mem), ALKSEC_OK);
    assert_int_equal(m.live, 0);
    size_t allocs = m.allocs;
    assert_true(allocs > 0);
    for (size_t i = 2; i < 2 * allocs + 2; i++) {
        sec_memory_init(&m, i / 2);
        m.fails_on = i % 2 == 1;
        check_sec(body(&m.mem), ALKSEC_E_NOMEM);
        assert_int_equal(m.live, 0);
    }
}

/* 0, 1, 2, ... */
static inline void count_up(void *ctx, uint8_t *p, size_t n)
{
    uint8_t *next = ctx;
    for (size_t i = 0; i < n; i++) {
        p[i] = (*next)++;
    }
}

#endif
