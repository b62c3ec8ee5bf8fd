/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The strict JSON walker, held against yyjson: both take the same texts. */
#include "base/buf.h"
#include "base/json_scan.h"
#include "base/text.h"

#include <stdlib.h>
#include <yyjson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

/* A decoded string, encoded again, decodes to the same. */
static void there_and_back(struct alk_span raw)
{
    uint8_t *room = malloc(raw.n);
    uint8_t *again = malloc(raw.n * 6 + 2);
    struct alk_span text, twice;
    struct alk_buf b;
    must(room != NULL && again != NULL);
    must(alk_json_text(raw, room, raw.n - 2, &text) == ALK_OK && alk_span_is_utf8(text));
    alk_buf_init(&b, NULL, text.n * 6 + 2);
    must(alk_buf_put_json(&b, text) == ALK_OK);
    must(alk_json_scan_check(alk_buf_span(&b)) == ALK_OK);
    must(alk_json_text(alk_buf_span(&b), again, text.n, &twice) == ALK_OK);
    must(alk_span_equal(text, twice));
    alk_buf_fini(&b);
    free(room);
    free(again);
}

/* Member by member it is the same text as in one go. */
static void members(struct alk_span in, alk_err whole)
{
    struct alk_json_scan s = alk_json_scan(in);
    struct alk_json_key key, before = {{NULL, 0}, false};
    struct alk_span value;
    alk_err err;
    if (!alk_json_scan_is_object(&s)) {
        return;
    }
    must(alk_json_scan_enter(&s) == ALK_OK);
    while ((err = alk_json_scan_member(&s, &key)) == ALK_OK) {
        must(alk_json_key_equal(&key, &before) == alk_json_key_equal(&before, &key));
        before = key;
        err = alk_json_scan_value(&s, &value);
        if (err != ALK_OK) {
            break;
        }
        if (alk_json_is_string(value)) {
            there_and_back(value);
        }
    }
    must(whole == (err == ALK_END ? alk_json_scan_end(&s) : err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span in = alk_span(data, size);
    alk_err err = alk_json_scan_check(in);
    yyjson_doc *doc =
        yyjson_read_opts((char *)(uintptr_t)data, size, YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    must(err == ALK_E_TOO_BIG || (err == ALK_OK) == (doc != NULL));
    yyjson_doc_free(doc);
    members(in, err);
    return 0;
}
