/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/yaml.h"

#include "base/map.h"
#include "base/text.h"

#include <libfyaml.h>

#define NO_PLACE SIZE_MAX

/* Line and column of offsets that mostly rise. */
struct cursor {
    size_t at, line, column;
};

struct reader {
    struct alk_arena *arena;
    struct alk_conf_report *report;
    struct alk_span text;
    struct fy_diag *diag;     /* owns */
    struct fy_parser *parser; /* owns */
    struct cursor cursor;
    struct alk_yaml *stack[ALK_CONF_DEPTH_MAX];
    size_t depth, nodes, documents;
    size_t mark; /* the last position seen, for nodes that have none */
    struct alk_yaml *root;
    /* The key that waits for its value. */
    const char *key;
    size_t key_n, key_at;
    bool is_done;
    alk_err err;
};

static void reject(struct reader *r, size_t at, const char *message)
{
    alk_conf_report_at(r->report, at, "%s", message);
    r->is_done = true;
}

static bool is_continuation(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

static void cursor_move(struct cursor *c, struct alk_span text, size_t at)
{
    at = at < text.n ? at : text.n;
    while (c->at > at) {
        c->at--;
        if (text.p[c->at] == '\n') {
            /* Over a line break: rare, and then only a few lines. */
            struct alk_conf_place place = alk_conf_place_of(text, at);
            *c = (struct cursor){at, place.line, place.column};
            return;
        }
        c->column -= !is_continuation(text.p[c->at]);
    }
    for (; c->at < at; c->at++) {
        if (text.p[c->at] == '\n') {
            c->line++;
            c->column = 1;
        } else {
            c->column += !is_continuation(text.p[c->at]);
        }
    }
}

/* Length of the well-formed character at s, or 0; a control character is not
 * well-formed here. */
static size_t character(struct alk_span s)
{
    uint8_t c = s.p[0];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (c == '\r') {
        /* Alone it is a line break to YAML, but to nobody who counts lines. */
        return s.n > 1 && s.p[1] == '\n';
    }
    if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f || n > s.n) {
        return 0;
    }
    return alk_span_is_utf8(alk_span_head(s, n)) ? n : 0;
}

/* libfyaml guesses encodings and stops at zero bytes: what it gets is UTF-8 text
 * without any. */
static bool check_text(struct reader *r)
{
    struct alk_span s = r->text;
    while (s.n > 0) {
        size_t n = character(s);
        if (n == 0) {
            reject(r, r->text.n - s.n,
                   s.p[0] < 0x80 ? "a control character is not allowed here"
                                 : "this is not valid UTF-8");
            return false;
        }
        s = alk_span_tail(s, n);
    }
    return true;
}

/* Where libfyaml 0.7.12 needs time that grows with the square of the input: blank
 * lines after a block scalar, runs of spaces, long directives and tags. None of
 * them has a use here. */
#define BLANK_LINES_MAX 200
#define SPACES_MAX      256
#define DIRECTIVE_MAX   128
#define TAG_MAX         256

/* What is wrong with a line, and where; NULL: nothing is. */
static const char *find_excess(struct alk_span line, size_t *ret_at)
{
    size_t spaces = 0; /* in a row, up to here */
    size_t tag = 0;    /* bytes of what may be a tag, up to here */
    for (size_t i = 0; i < line.n; i++) {
        uint8_t c = line.p[i];
        uint8_t before = i == 0 ? ' ' : line.p[i - 1];
        bool is_start = alk_is_white(before) || before == '[' || before == '{' || before == ',';
        spaces = alk_is_white(c) ? spaces + 1 : 0;
        tag = alk_is_white(c) ? 0 : tag + (tag > 0 || (c == '!' && is_start));
        if (spaces > SPACES_MAX || tag > TAG_MAX) {
            *ret_at = i + 1 - (spaces > tag ? spaces : tag);
            return spaces > tag ? "too many spaces" : "a tag is too long";
        }
    }
    *ret_at = 0;
    return line.n > DIRECTIVE_MAX && line.p[0] == '%' ? "a directive is too long" : NULL;
}

static bool is_blank(struct alk_span line)
{
    size_t i = 0;
    while (i < line.n && alk_is_white(line.p[i])) {
        i++;
    }
    return i == line.n;
}

static bool check_line(struct reader *r, struct alk_span line, size_t at, size_t *blanks)
{
    size_t excess = 0;
    const char *what = find_excess(line, &excess);
    *blanks = is_blank(line) ? *blanks + 1 : 0;
    if (what == NULL && *blanks > BLANK_LINES_MAX) {
        what = "too many blank lines";
    }
    if (what != NULL) {
        reject(r, at + excess, what);
    }
    return what == NULL;
}

static bool check_lines(struct reader *r)
{
    struct alk_span rest = r->text;
    size_t blanks = 0;
    while (rest.n > 0) {
        size_t at = r->text.n - rest.n;
        if (!check_line(r, alk_span_cut(&rest, '\n'), at, &blanks)) {
            return false;
        }
    }
    return true;
}

static bool token_text(struct reader *r, struct fy_token *token, const char **ret, size_t *ret_n)
{
    size_t n = 0;
    const char *text = token == NULL ? "" : fy_token_get_text(token, &n);
    char *copy = text == NULL ? NULL : alk_arena_dup(r->arena, alk_span(text, n));
    if (copy == NULL) {
        r->err = ALK_E_NOMEM;
        r->is_done = true;
        return false;
    }
    *ret = copy;
    *ret_n = n;
    return true;
}

/* Where a node stands: its tag, its token (with the quote before it), or what
 * came last. */
static size_t start_of(struct reader *r, struct fy_event *event)
{
    struct fy_token *tag = fy_event_get_tag_token(event);
    const struct fy_mark *mark =
        tag != NULL ? fy_token_start_mark(tag) : fy_event_start_mark(event);
    if (mark == NULL) {
        return r->mark;
    }
    size_t at = mark->input_pos;
    if (tag == NULL && event->type == FYET_SCALAR) {
        const struct fy_mark *end = fy_event_end_mark(event);
        bool is_quoted = at > 0 && (r->text.p[at - 1] == '"' || r->text.p[at - 1] == '\'');
        /* Nothing at all: newer libfyaml says where it is missing, older has no mark. */
        if (!is_quoted && end != NULL && end->input_pos == at) {
            return r->mark;
        }
        at -= is_quoted;
    }
    r->mark = at;
    return at;
}

static size_t end_of(struct reader *r, struct fy_event *event, size_t start)
{
    const struct fy_mark *mark = fy_event_end_mark(event);
    size_t end = mark == NULL ? start : mark->input_pos;
    if (end < r->text.n && (r->text.p[end] == '"' || r->text.p[end] == '\'')) {
        end++;
    }
    return end > start ? end : start;
}

static struct alk_yaml *new_node(struct reader *r, struct fy_event *event)
{
    size_t at = start_of(r, event);
    struct alk_yaml *y = NULL;
    if (++r->nodes > ALK_CONF_NODES_MAX) {
        reject(r, at, "the document has too many values");
        return NULL;
    }
    y = alk_arena_alloc(r->arena, 1, sizeof(*y));
    if (y == NULL) {
        r->err = ALK_E_NOMEM;
        r->is_done = true;
        return NULL;
    }
    cursor_move(&r->cursor, r->text, at);
    y->at = at;
    y->line = r->cursor.line;
    y->column = r->cursor.column;
    y->end = end_of(r, event, at);
    return y;
}

static struct alk_yaml *parent(const struct reader *r)
{
    return r->depth == 0 ? NULL : r->stack[r->depth - 1];
}

/* Hangs a value where it belongs. */
static void attach(struct reader *r, struct alk_yaml *y)
{
    struct alk_yaml *up = parent(r);
    y->key = r->key;
    y->key_n = r->key_n;
    y->key_at = r->key == NULL ? y->at : r->key_at;
    r->key = NULL;
    if (up == NULL) {
        r->root = y;
        return;
    }
    if (up->last == NULL) {
        up->first = y;
    } else {
        up->last->next = y;
    }
    up->last = y;
    up->n++;
}

static bool is_null(const struct alk_yaml *y)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; y->is_plain && i < sizeof(words) / sizeof(words[0]); i++) {
        if (alk_span_is(alk_span(y->text, y->n), words[i])) {
            return true;
        }
    }
    return false;
}

static bool take_tag(struct reader *r, struct fy_event *event, struct alk_yaml *y)
{
    struct fy_token *tag = fy_event_get_tag_token(event);
    if (tag == NULL) {
        return true;
    }
    size_t n = 0;
    const char *text = fy_token_get_text(tag, &n);
    if (text == NULL || !alk_span_is(alk_span(text, n), "!encrypted")) {
        reject(r, y->at, "this tag is not known: the only one is !encrypted");
        return false;
    }
    y->is_encrypted = true;
    return true;
}

static void on_key(struct reader *r, struct fy_event *event)
{
    size_t at = start_of(r, event);
    if (event->type != FYET_SCALAR || event->scalar.value == NULL ||
        fy_event_get_tag_token(event) != NULL) {
        reject(r, at, "a key must be plain text");
        return;
    }
    if (!token_text(r, event->scalar.value, &r->key, &r->key_n)) {
        return;
    }
    if (!alk_span_is_utf8(alk_span(r->key, r->key_n)) || strlen(r->key) != r->key_n) {
        reject(r, at, "a key must be plain text");
        return;
    }
    r->key_at = at;
}

static void on_scalar(struct reader *r, struct fy_event *event)
{
    struct alk_yaml *y = new_node(r, event);
    if (y == NULL || !token_text(r, event->scalar.value, &y->text, &y->n)) {
        return;
    }
    y->is_plain =
        event->scalar.value == NULL || fy_token_scalar_style(event->scalar.value) == FYSS_PLAIN;
    y->kind = is_null(y) ? ALK_YAML_NULL : ALK_YAML_SCALAR;
    if (!alk_span_is_utf8(alk_span(y->text, y->n))) {
        reject(r, y->at, "an escape sequence gives text that is not valid UTF-8");
        return;
    }
    if (take_tag(r, event, y)) {
        attach(r, y);
    }
}

static void on_start(struct reader *r, struct fy_event *event)
{
    struct alk_yaml *y = new_node(r, event);
    if (y == NULL || !take_tag(r, event, y)) {
        return;
    }
    if (r->depth == ALK_CONF_DEPTH_MAX) {
        reject(r, y->at, "nested too deeply");
        return;
    }
    y->kind = event->type == FYET_MAPPING_START ? ALK_YAML_MAP : ALK_YAML_LIST;
    attach(r, y);
    r->stack[r->depth++] = y;
}

static void report_duplicate(struct reader *r, const struct alk_yaml *y,
                             const struct alk_yaml *earlier)
{
    struct alk_conf_place place = {0, 0};
    if (r->report->count < ALK_CONF_ERRORS_MAX) {
        /* Only for messages that are kept: it counts lines from the start. */
        place = alk_conf_place_of(r->text, earlier->key_at);
    }
    alk_conf_report_at(r->report, y->key_at,
                       "duplicate key '%.60s': it stands at %s:%zu:%zu already", y->key,
                       r->report->name, place.line, place.column);
}

static void check_duplicates(struct reader *r, const struct alk_yaml *map)
{
    /* The operator writes this file: collisions are not a concern. */
    static const uint8_t seed[16] = {0};
    struct alk_map seen;
    alk_map_init(&seen, r->arena->mem, ALK_CONF_NODES_MAX, seed);
    for (struct alk_yaml *y = map->first; y != NULL && r->err == ALK_OK; y = y->next) {
        struct alk_span key = alk_span(y->key, y->key_n);
        alk_err err = alk_map_put(&seen, key, y);
        if (err == ALK_E_EXISTS) {
            report_duplicate(r, y, alk_map_get(&seen, key));
        } else if (err != ALK_OK) {
            r->err = err;
            r->is_done = true;
        }
    }
    alk_map_fini(&seen);
}

static void on_end(struct reader *r, struct fy_event *event)
{
    if (r->depth == 0) {
        return;
    }
    struct alk_yaml *y = r->stack[--r->depth];
    size_t end = end_of(r, event, y->at);
    y->end = end > y->end ? end : y->end;
    if (y->kind == ALK_YAML_MAP) {
        check_duplicates(r, y);
    }
}

static bool is_key_position(const struct reader *r)
{
    const struct alk_yaml *up = parent(r);
    return up != NULL && up->kind == ALK_YAML_MAP && r->key == NULL;
}

static void on_node(struct reader *r, struct fy_event *event)
{
    if (event->type == FYET_ALIAS || fy_event_get_anchor_token(event) != NULL) {
        reject(r, start_of(r, event), "anchors and aliases are not supported");
    } else if (is_key_position(r)) {
        on_key(r, event);
    } else if (event->type == FYET_SCALAR) {
        on_scalar(r, event);
    } else {
        on_start(r, event);
    }
}

static void on_event(struct reader *r, struct fy_event *event)
{
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (++r->documents > 1) {
            reject(r, start_of(r, event), "there must be one document only");
        }
        break;
    case FYET_SCALAR:
    case FYET_ALIAS:
    case FYET_SEQUENCE_START:
    case FYET_MAPPING_START:
        on_node(r, event);
        break;
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END:
        on_end(r, event);
        break;
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END:
        break;
    }
}

/* The first message only: what follows it is the parser losing its way. */
static void report_syntax(struct reader *r)
{
    void *prev = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(r->diag, &prev);
    const char *message = e == NULL || e->msg == NULL ? "this is not valid YAML" : e->msg;
    size_t at = r->mark;
    if (e != NULL && e->line > 0 && e->column > 0) {
        struct alk_conf_place place = {(size_t)e->line, (size_t)e->column};
        at = alk_conf_place_offset(r->text, place);
    }
    alk_conf_report_at(r->report, at, "%.200s", message);
}

static bool open_parser(struct reader *r)
{
    struct fy_diag_cfg cfg;
    fy_diag_cfg_default(&cfg);
    cfg.fp = NULL; /* collected, never printed */
    cfg.colorize = false;
    r->diag = fy_diag_create(&cfg);
    if (r->diag == NULL) {
        return false;
    }
    fy_diag_set_collect_errors(r->diag, true);

    /* Sloppy: people close a `{` in the first column, as in JSON. */
    struct fy_parse_cfg parse = {
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE | FYPCF_DEFAULT_VERSION_1_2 |
                 FYPCF_SLOPPY_FLOW_INDENTATION,
        .diag = r->diag,
    };
    r->parser = fy_parser_create(&parse);
    return r->parser != NULL &&
           fy_parser_set_string(r->parser, (const char *)r->text.p, r->text.n) == 0;
}

static void read_events(struct reader *r)
{
    struct fy_event *event;
    while (!r->is_done && (event = fy_parser_parse(r->parser)) != NULL) {
        on_event(r, event);
        fy_parser_event_free(r->parser, event);
    }
    if (!r->is_done && fy_parser_get_stream_error(r->parser)) {
        report_syntax(r);
    }
}

alk_err alk_yaml_read(struct alk_arena *arena, struct alk_conf_report *report,
                      struct alk_yaml **ret)
{
    static const uint8_t bom[] = {0xef, 0xbb, 0xbf};
    struct reader r = {.arena = arena, .report = report, .text = report->text};
    r.cursor = (struct cursor){0, 1, 1};
    *ret = NULL;
    if (r.text.n > ALK_CONF_TEXT_MAX) {
        alk_conf_report_at(report, NO_PLACE, "the document is larger than %zu bytes",
                           ALK_CONF_TEXT_MAX);
        return ALK_OK;
    }
    if (r.text.n == 0 || alk_span_equal(r.text, alk_span(bom, sizeof(bom))) || !check_text(&r) ||
        !check_lines(&r)) {
        return ALK_OK;
    }

    unsigned before = report->count;
    if (open_parser(&r)) {
        read_events(&r);
    } else {
        r.err = ALK_E_NOMEM;
    }
    if (r.parser != NULL) {
        fy_parser_destroy(r.parser);
    }
    if (r.diag != NULL) {
        fy_diag_destroy(r.diag);
    }
    *ret = report->count == before ? r.root : NULL;
    return r.err;
}

struct alk_yaml *alk_yaml_member(const struct alk_yaml *map, const char *key)
{
    for (struct alk_yaml *y = map->first; y != NULL; y = y->next) {
        if (y->key != NULL && strcmp(y->key, key) == 0) {
            return y;
        }
    }
    return NULL;
}

/* [RFC 8259 §6] number */
static bool is_json_number(struct alk_span s)
{
    size_t i = s.n > 0 && s.p[0] == '-';
    size_t digits = i;
    bool has_dot = false;
    for (; i < s.n; i++) {
        if (s.p[i] == '.' && !has_dot && i > digits) {
            has_dot = true;
            digits = i + 1;
        } else if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    size_t sign = s.n > 0 && s.p[0] == '-';
    bool has_zero = s.n > sign + 1 && s.p[sign] == '0' && s.p[sign + 1] != '.';
    return i > digits && !has_zero;
}

static void put_json_scalar(struct alk_buf *b, const struct alk_yaml *y)
{
    struct alk_span s = alk_span(y->text, y->n);
    if (y->kind == ALK_YAML_NULL) {
        (void)alk_buf_put_str(b, "null");
    } else if (y->is_plain &&
               (alk_span_is(s, "true") || alk_span_is(s, "false") || is_json_number(s))) {
        (void)alk_buf_put(b, s);
    } else {
        (void)alk_buf_put_json(b, s);
    }
}

void alk_yaml_put_json(struct alk_buf *b, const struct alk_yaml *y)
{
    if (y->kind == ALK_YAML_NULL || y->kind == ALK_YAML_SCALAR) {
        put_json_scalar(b, y);
        return;
    }
    bool is_map = y->kind == ALK_YAML_MAP;
    (void)alk_buf_put_u8(b, is_map ? '{' : '[');
    for (const struct alk_yaml *child = y->first; child != NULL; child = child->next) {
        (void)alk_buf_put_str(b, child == y->first ? "" : ",");
        if (is_map) {
            (void)alk_buf_put_json(b, alk_span(child->key, child->key_n));
            (void)alk_buf_put_u8(b, ':');
        }
        alk_yaml_put_json(b, child);
    }
    (void)alk_buf_put_u8(b, is_map ? '}' : ']');
}
