/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Texts of errors: places as JSON Pointers, values as people write them. */
#include "ops/schema_number.h"

void alk_schema_text_init(struct schema_text *t, char *dst, size_t size)
{
    *t = (struct schema_text){.p = dst, .size = size};
    dst[0] = '\0';
}

void alk_schema_put(struct schema_text *t, struct alk_span s)
{
    size_t room = t->size - 1 - t->n;
    size_t n = s.n < room ? s.n : room;

    if (n > 0 && !t->is_cut) {
        memcpy(t->p + t->n, s.p, n);
        t->n += n;
    }
    t->is_cut = t->is_cut || n < s.n;
}

void alk_schema_put_str(struct schema_text *t, const char *s)
{
    alk_schema_put(t, alk_span_str(s));
}

void alk_schema_put_u64(struct schema_text *t, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    alk_schema_put(t, alk_span(digits + at, sizeof digits - at));
}

void alk_schema_put_token(struct schema_text *t, struct alk_span token)
{
    alk_schema_put(t, ALK_LIT("/"));
    for (size_t i = 0; i < token.n && !t->is_cut; i++) {
        if (token.p[i] == '~') {
            alk_schema_put(t, ALK_LIT("~0"));
        } else if (token.p[i] == '/') {
            alk_schema_put(t, ALK_LIT("~1"));
        } else {
            alk_schema_put(t, alk_span(token.p + i, 1));
        }
    }
}

static void put_string(struct schema_text *t, struct alk_span s)
{
    static const char hex[] = "0123456789abcdef";

    alk_schema_put(t, ALK_LIT("\""));
    for (size_t i = 0; i < s.n && !t->is_cut; i++) {
        uint8_t c = s.p[i];
        if (c < 0x20 || c == 0x7f) {
            char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            alk_schema_put(t, alk_span(escape, sizeof escape));
            continue;
        }
        if (c == '"' || c == '\\') {
            alk_schema_put(t, ALK_LIT("\\"));
        }
        alk_schema_put(t, alk_span(s.p + i, 1));
    }
    alk_schema_put(t, ALK_LIT("\""));
}

void alk_schema_put_value(struct schema_text *t, yyjson_val *value)
{
    char number[SCHEMA_NUMBER_SIZE];

    switch (unsafe_yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL:
        alk_schema_put_str(t, "null");
        break;
    case YYJSON_TYPE_BOOL:
        alk_schema_put_str(t, unsafe_yyjson_get_bool(value) ? "true" : "false");
        break;
    case YYJSON_TYPE_NUM:
        alk_schema_number_text(value, number);
        alk_schema_put_str(t, number);
        break;
    case YYJSON_TYPE_STR:
        put_string(t, schema_str(value));
        break;
    case YYJSON_TYPE_ARR:
        alk_schema_put_str(t, unsafe_yyjson_get_len(value) == 0 ? "[]" : "[...]");
        break;
    case YYJSON_TYPE_OBJ:
        alk_schema_put_str(t, unsafe_yyjson_get_len(value) == 0 ? "{}" : "{...}");
        break;
    default:
        break;
    }
}

void alk_schema_text_end(struct schema_text *t)
{
    if (t->is_cut) {
        size_t n = t->size - 1 - 3 < t->n ? t->size - 1 - 3 : t->n;
        while (n > 0 && ((uint8_t)t->p[n] & 0xc0) == 0x80) {
            n--;
        }
        memcpy(t->p + n, "...", 3);
        t->n = n + 3;
    }
    t->p[t->n] = '\0';
}

/* A node lies at least one level of JSON below its parent. */
#define PLACE_MAX (64 + 1)

void alk_schema_put_place(struct schema_text *t, const struct schema_node *node, const char *word)
{
    const struct schema_node *chain[PLACE_MAX];
    size_t n = 0;

    for (; node != NULL && n < PLACE_MAX; node = node->parent) {
        chain[n++] = node;
    }
    while (n-- > 0) {
        alk_schema_put(t, chain[n]->pointer);
        if (chain[n]->word != NULL) {
            alk_schema_put_token(t, alk_span_str(chain[n]->word));
        }
        if (chain[n]->key != NULL) {
            alk_schema_put_token(t, schema_str(chain[n]->key));
        }
        if (chain[n]->has_index) {
            alk_schema_put_str(t, "/");
            alk_schema_put_u64(t, chain[n]->index);
        }
    }
    if (word != NULL) {
        alk_schema_put_token(t, alk_span_str(word));
    }
}
