/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/frame.h"

#include "base/json_scan.h"
#include "base/mem.h"
#include "base/wire.h"

/* --- JSON --------------------------------------------------------------------- */

/* Objects with no more members than this are compared pair by pair. */
#define PAIRWISE_MAX 16

static bool keys_equal(struct yyjson_val *a, struct yyjson_val *b)
{
    size_t n = yyjson_get_len(a);
    return n == yyjson_get_len(b) && memcmp(yyjson_get_str(a), yyjson_get_str(b), n) == 0;
}

static alk_err check_pairs(struct yyjson_val *object)
{
    yyjson_obj_iter outer = yyjson_obj_iter_with(object);
    struct yyjson_val *key, *other;

    while ((key = yyjson_obj_iter_next(&outer)) != NULL) {
        yyjson_obj_iter inner = outer; /* those that follow */
        while ((other = yyjson_obj_iter_next(&inner)) != NULL) {
            if (keys_equal(key, other)) {
                return ALK_E_MALFORMED;
            }
        }
    }
    return ALK_OK;
}

static int compare_keys(const void *a, const void *b)
{
    struct yyjson_val *const *x = (struct yyjson_val *const *)a;
    struct yyjson_val *const *y = (struct yyjson_val *const *)b;
    size_t xn = yyjson_get_len(*x);
    size_t yn = yyjson_get_len(*y);

    if (xn != yn) {
        return xn < yn ? -1 : 1;
    }
    return memcmp(yyjson_get_str(*x), yyjson_get_str(*y), xn);
}

static alk_err check_sorted(struct yyjson_val *object)
{
    size_t n = yyjson_obj_size(object);
    struct yyjson_val **keys = (struct yyjson_val **)alk_zalloc(NULL, n, sizeof *keys);
    if (keys == NULL) {
        return ALK_E_NOMEM;
    }
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    for (size_t i = 0; i < n; i++) {
        keys[i] = yyjson_obj_iter_next(&iter);
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    alk_err err = ALK_OK;
    for (size_t i = 1; i < n && err == ALK_OK; i++) {
        err = keys_equal(keys[i - 1], keys[i]) ? ALK_E_MALFORMED : ALK_OK;
    }
    alk_free(NULL, keys);
    return err;
}

/* A one in the low bit of each of eight bytes that opens an object or array: '[' and
 * '{' differ in one bit, and no other byte becomes '{' with that bit set. */
static uint64_t mark_openers(uint64_t w)
{
    uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t x = (w | UINT64_C(0x2020202020202020)) ^ UINT64_C(0x7b7b7b7b7b7b7b7b);

    x = ~(((x & low) + low) | x | low); /* the high bit of each byte that is zero */
    return x >> 7;
}

/* Nesting cannot be deeper than there are openers, and most texts have few: that
 * takes a tenth of the time of looking closer. Eight counters of a byte each are
 * added up before they can overflow. */
static bool may_be_too_deep(struct alk_span text)
{
    size_t n = 0;

    while (text.n > 0 && n <= ALK_JSON_DEPTH_MAX) {
        uint64_t counts = 0;
        size_t words = text.n / 8 < 255 ? text.n / 8 : 255;
        for (size_t i = 0; i < words; i++) {
            uint64_t w;
            memcpy(&w, text.p + 8 * i, 8);
            counts += mark_openers(w);
        }
        text = alk_span_tail(text, 8 * words);
        if (text.n > 0 && text.n < 8) {
            uint64_t w = 0;
            memcpy(&w, text.p, text.n);
            n += (mark_openers(w) * UINT64_C(0x0101010101010101)) >> 56;
            text.n = 0;
        }
        for (unsigned shift = 0; shift < 64; shift += 8) {
            n += counts >> shift & 0xff;
        }
    }
    return n > ALK_JSON_DEPTH_MAX;
}

/* Depth of the text's nesting, told before it is parsed: yyjson itself takes any
 * depth. Strings are skipped; whether the text is well formed is not asked here. */
static bool is_too_deep(struct alk_span text)
{
    if (!may_be_too_deep(text)) {
        return false;
    }
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > ALK_JSON_DEPTH_MAX) {
                return true;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

/* yyjson lays all values of a document out one after another, so a walk over
 * them needs no stack. */
static alk_err check_values(struct yyjson_doc *doc)
{
    size_t n = yyjson_doc_get_val_count(doc);
    struct yyjson_val *root = yyjson_doc_get_root(doc);

    if (n > ALK_JSON_VALUES_MAX) {
        return ALK_E_TOO_BIG;
    }
    for (size_t i = 0; i < n; i++) {
        if (yyjson_is_obj(&root[i])) {
            ALK_TRY(yyjson_obj_size(&root[i]) <= PAIRWISE_MAX ? check_pairs(&root[i])
                                                              : check_sorted(&root[i]));
        }
    }
    return ALK_OK;
}

alk_err alk_json_parse(struct alk_span text, struct yyjson_doc **ret)
{
    return alk_json_parse_in(text, NULL, ret);
}

alk_err alk_json_parse_in(struct alk_span text, const struct yyjson_alc *alc,
                          struct yyjson_doc **ret)
{
    if (text.n == 0) {
        return ALK_E_MALFORMED;
    }
    return is_too_deep(text) ? ALK_E_TOO_BIG : alk_json_parse_scanned(text, alc, ret);
}

alk_err alk_json_parse_scanned(struct alk_span text, const struct yyjson_alc *alc,
                               struct yyjson_doc **ret)
{
    yyjson_read_err why;

    /* Without YYJSON_READ_INSITU the text is copied and never written to. */
    struct yyjson_doc *doc =
        yyjson_read_opts((char *)(uintptr_t)text.p, text.n, YYJSON_READ_NOFLAG, alc, &why);
    if (doc == NULL) {
        return why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? ALK_E_NOMEM : ALK_E_MALFORMED;
    }
    alk_err err = check_values(doc);
    if (err != ALK_OK) {
        yyjson_doc_free(doc);
        return err;
    }
    *ret = doc;
    return ALK_OK;
}

alk_err alk_frame_takes(struct alk_span text)
{
    uint32_t values = ALK_JSON_SCAN_VALUES_MAX - ALK_FRAME_VALUES;
    return alk_json_scan_within(text, ALK_FRAME_DEPTH, &values);
}

alk_err alk_json_put(struct alk_buf *b, struct yyjson_mut_val *value, bool is_pretty)
{
    size_t n = 0;
    yyjson_write_flag flags = is_pretty ? YYJSON_WRITE_PRETTY_TWO_SPACES : YYJSON_WRITE_NOFLAG;
    char *text = yyjson_mut_val_write(value, flags, &n);

    if (text == NULL) {
        return ALK_E_NOMEM;
    }
    alk_err err = alk_buf_put(b, alk_span(text, n));
    free(text);
    return err;
}

/* --- frames ------------------------------------------------------------------- */

alk_err alk_frame_cut(struct alk_span in, size_t max, struct alk_span *ret_body, size_t *ret_used)
{
    struct alk_rd r = alk_rd(in);
    uint32_t n = alk_rd_u32(&r);

    if (r.err != ALK_OK) {
        return r.err;
    }
    if (n == 0) {
        return ALK_E_MALFORMED;
    }
    if (n > max) {
        return ALK_E_TOO_BIG;
    }
    struct alk_span body = alk_rd_take(&r, n);
    if (r.err != ALK_OK) {
        return r.err;
    }
    *ret_body = body;
    *ret_used = 4 + body.n;
    return ALK_OK;
}

static const struct {
    enum alk_frame_type type;
    const char *name;
} types[] = {
    {ALK_FRAME_REQUESTED, "call.requested"}, {ALK_FRAME_RESPONDED, "call.responded"},
    {ALK_FRAME_COMPLETED, "call.completed"}, {ALK_FRAME_ERROR, "call.error"},
    {ALK_FRAME_ABORTED, "call.aborted"},     {ALK_FRAME_CREDIT, "call.credit"},
};

const char *alk_frame_type_name(enum alk_frame_type type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].type == type) {
            return types[i].name;
        }
    }
    return NULL;
}

static enum alk_frame_type type_of(struct alk_span name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (alk_span_is(name, types[i].name)) {
            return types[i].type;
        }
    }
    return ALK_FRAME_UNKNOWN;
}

static struct alk_span str_of(struct yyjson_val *v)
{
    return alk_span(yyjson_get_str(v), yyjson_get_len(v));
}

bool alk_frame_id_is_valid(struct alk_span id)
{
    if (id.n == 0 || id.n > ALK_FRAME_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.n; i++) {
        if (id.p[i] < 0x21 || id.p[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

alk_err alk_frame_parse(struct alk_span body, struct alk_frame *ret)
{
    *ret = (struct alk_frame){.doc = NULL};
    ALK_TRY(alk_json_parse(body, &ret->doc));

    struct yyjson_val *root = yyjson_doc_get_root(ret->doc);
    struct yyjson_val *type = yyjson_obj_get(root, "type");
    struct yyjson_val *id = yyjson_obj_get(root, "id");
    struct yyjson_val *payload = yyjson_obj_get(root, "payload");
    if (!yyjson_is_obj(root) || !yyjson_is_str(type)) {
        return ALK_E_MALFORMED;
    }
    ret->type = type_of(str_of(type));
    bool has_id = yyjson_is_str(id) && alk_frame_id_is_valid(str_of(id)) &&
                  alk_span_cstr(str_of(id), ret->id, sizeof ret->id);
    if (payload != NULL && !yyjson_is_obj(payload)) {
        return ALK_E_PROTOCOL;
    }
    ret->payload = payload;
    return has_id || ret->type == ALK_FRAME_UNKNOWN ? ALK_OK : ALK_E_PROTOCOL;
}

void alk_frame_fini(struct alk_frame *frame)
{
    yyjson_doc_free(frame->doc);
    *frame = (struct alk_frame){.doc = NULL};
}

static alk_err put_body(struct alk_buf *b, enum alk_frame_type type, const char *id,
                        struct yyjson_mut_val *payload)
{
    /* Ids need no escaping but for the quote and the backslash. */
    ALK_TRY(alk_buf_printf(b, "{\"type\":\"%s\",\"id\":\"", alk_frame_type_name(type)));
    for (const char *c = id; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            ALK_TRY(alk_buf_put_u8(b, '\\'));
        }
        ALK_TRY(alk_buf_put_u8(b, (uint8_t)*c));
    }
    ALK_TRY(alk_buf_put_str(b, "\",\"payload\":"));
    if (payload == NULL) {
        return alk_buf_put_str(b, "{}}");
    }
    ALK_TRY(alk_json_put(b, payload, false));
    return alk_buf_put_u8(b, '}');
}

alk_err alk_frame_put(struct alk_buf *b, enum alk_frame_type type, const char *id,
                      struct yyjson_mut_val *payload, size_t max)
{
    struct alk_buf body;

    ALK_ASSERT(type != ALK_FRAME_UNKNOWN && alk_frame_id_is_valid(alk_span_str(id)));
    alk_buf_init(&body, b->mem, max);
    alk_err err = put_body(&body, type, id, payload);
    size_t n = alk_buf_len(&body);
    if (err == ALK_OK && alk_buf_room(b) < n + 4) {
        err = ALK_E_TOO_BIG;
    }
    /* One reserve, so that there is all of the frame or nothing. */
    uint8_t *p = err == ALK_OK ? alk_buf_reserve(b, n + 4) : NULL;
    if (err == ALK_OK && p == NULL) {
        err = b->err;
    }
    if (err == ALK_OK) {
        struct alk_wr w = alk_wr(p, n + 4);
        alk_wr_block32(&w, alk_buf_span(&body));
        alk_buf_added(b, n + 4);
    }
    alk_buf_fini(&body);
    return err;
}

/* --- codes -------------------------------------------------------------------- */

const char *alk_frame_code(alk_err err)
{
    static const struct {
        alk_err err;
        const char *code;
    } codes[] = {
        {ALK_E_NOENT, "NOT_FOUND"},         {ALK_E_FORBIDDEN, "FORBIDDEN"},
        {ALK_E_PERM, "FORBIDDEN"},          {ALK_E_AUTH, "UNAUTHENTICATED"},
        {ALK_E_REVOKED, "UNAUTHENTICATED"}, {ALK_E_EXPIRED, "EXPIRED"},
        {ALK_E_INVALID, "INVALID_INPUT"},   {ALK_E_CONFIG, "INVALID_INPUT"},
        {ALK_E_MALFORMED, "INVALID_FRAME"}, {ALK_E_PROTOCOL, "INVALID_FRAME"},
        {ALK_E_TIMEOUT, "TIMEOUT"},         {ALK_E_CLOSED, "ABORTED"},
        {ALK_E_RESET, "ABORTED"},           {ALK_E_UNAVAILABLE, "UNAVAILABLE"},
        {ALK_E_BUSY, "UNAVAILABLE"},        {ALK_E_LIMIT, "EXHAUSTED"},
        {ALK_E_NOMEM, "EXHAUSTED"},         {ALK_E_TOO_BIG, "TOO_LARGE"},
        {ALK_E_EXISTS, "CONFLICT"},         {ALK_E_STATE, "CONFLICT"},
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].err == err) {
            return codes[i].code;
        }
    }
    return "INTERNAL";
}

bool alk_frame_code_is_retryable(const char *code)
{
    return strcmp(code, "UNAVAILABLE") == 0 || strcmp(code, "EXHAUSTED") == 0 ||
           strcmp(code, "TIMEOUT") == 0 || strcmp(code, "SLOW_CONSUMER") == 0;
}
