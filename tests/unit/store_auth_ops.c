/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The operations on peers and tokens, as JSON in and out. */
#include "core/store/auth_ops.h"

#include "core/frame.h"
#include "core/store/file.h"
#include "support/check.h"

#include <limits.h>
#include <unistd.h>

#define KEY  "ed25519:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY2 "ed25519:11112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char dir[] = "/tmp/alk-ops-XXXXXX";
static char why[ALK_AUTH_OPS_WHY];
static char text[4096]; /* the output of the last operation */

struct fixture {
    struct alk_prng prng;
    struct alk_rand rand;
    struct alk_auth_ops ops;
    const struct alk_conf *auth;
    const struct alk_auth_index *index;
    unsigned adopted;
};

static void adopt(void *ctx, const struct alk_auth_index *index)
{
    struct fixture *f = (struct fixture *)ctx;
    alk_auth_index_unref(f->index);
    f->index = alk_auth_index_ref(index);
    f->adopted++;
}

static const struct alk_conf_row string_row[] = {{.name = "", .type = ALK_CONF_STRING},
                                                 {.name = NULL}};
static const struct alk_conf_row peer_rows[] = {
    {.name = "id", .type = ALK_CONF_STRING},
    {.name = "keys", .type = ALK_CONF_LIST, .sub = string_row},
    {.name = "scopes", .type = ALK_CONF_LIST, .sub = string_row},
    {.name = NULL}};
static const struct alk_conf_row peer_row[] = {{.name = "", .type = ALK_CONF_MAP, .sub = peer_rows},
                                               {.name = NULL}};
static const struct alk_conf_row auth_rows[] = {
    {.name = "peers", .type = ALK_CONF_LIST, .sub = peer_row}, {.name = NULL}};

static int setup(void **state)
{
    static const char conf[] = "peers:\n\n  - {id: boss, keys: [\"" KEY2 "\"], scopes: [admin]}\n";
    struct fixture *f = (struct fixture *)calloc(1, sizeof *f);
    struct alk_conf_errors errors = {.text = NULL};
    assert_non_null(f);
    alk_prng_init(&f->prng, 1);
    f->rand = alk_prng_rand(&f->prng);
    check_err(alk_conf_parse(NULL, alk_span_str(conf), "node.yaml", auth_rows, &errors, &f->auth),
              ALK_OK);
    f->ops = (struct alk_auth_ops){.rand = &f->rand,
                                   .auth = f->auth,
                                   .generation = 2,
                                   .unix_s = 1000000,
                                   .adopt = adopt,
                                   .ctx = f};
    check_err(alk_auth_db_open(NULL, dir, why, &f->ops.db), ALK_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char path[PATH_MAX];
    alk_auth_index_unref(f->index);
    alk_auth_db_close(f->ops.db);
    alk_conf_unref(f->auth);
    free(f);
    static const char *const files[] = {"alknet.db", "alknet.db-wal", "alknet.db-shm"};
    for (size_t i = 0; i < 3; i++) {
        (void)alk_file_join(dir, files[i], path, sizeof path);
        (void)unlink(path);
    }
    return 0;
}

static alk_err run(struct fixture *f, const char *name, const char *input)
{
    struct yyjson_doc *in = NULL;
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *out = NULL;
    struct alk_buf b;

    check_err(alk_json_parse(alk_span_str(input), &in), ALK_OK);
    alk_err err =
        alk_auth_ops_run(&f->ops, name, yyjson_doc_get_root(in), doc, why, sizeof why, &out);
    alk_buf_init(&b, NULL, sizeof text);
    if (err == ALK_OK) {
        check_err(alk_json_put(&b, out, false), ALK_OK);
    } else {
        assert_true(why[0] != '\0');
    }
    (void)snprintf(text, sizeof text, "%s", alk_buf_cstr(&b));
    alk_buf_fini(&b);
    yyjson_mut_doc_free(doc);
    yyjson_doc_free(in);
    return err;
}

/* The token in the last output. */
static struct alk_span token_of(void)
{
    const char *at = strstr(text, "alk_");
    assert_non_null(at);
    return alk_span(at, ALK_TOKEN_LEN);
}

static void peers_come_and_go(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    check_err(run(f, "auth/peer/add",
                  "{\"id\":\"laptop\",\"keys\":[\"" KEY "\"],\"scopes\":[\"repo:*\"]}"),
              ALK_OK);
    assert_string_equal(text, "{\"id\":\"laptop\"}");
    assert_int_equal(f->adopted, 1);
    assert_true(alk_span_is(alk_auth_index_key_owner(f->index, alk_span_str(KEY)), "laptop"));
    assert_int_equal(alk_auth_index_generation(f->index), 2);

    check_err(run(f, "auth/peer/list", "{}"), ALK_OK);
    assert_non_null(strstr(text, "{\"id\":\"boss\",\"keys\":[\"" KEY2 "\"],\"scopes\":[\"admin\"],"
                                 "\"enabled\":true,\"from\":\"node.yaml:3:"));
    assert_non_null(strstr(text,
                           "{\"id\":\"laptop\",\"keys\":[\"" KEY "\"],\"scopes\":[\"repo:*\"],"
                           "\"enabled\":true,\"from\":\"store\""));
    assert_int_equal(f->adopted, 1); /* a list changes nothing */

    check_err(run(f, "auth/peer/disable", "{\"id\":\"laptop\"}"), ALK_OK);
    assert_true(alk_identity_is_disabled(alk_auth_index_find(f->index, ALK_LIT("laptop"))));
    check_err(run(f, "auth/peer/enable", "{\"id\":\"laptop\"}"), ALK_OK);
    assert_false(alk_identity_is_disabled(alk_auth_index_find(f->index, ALK_LIT("laptop"))));
    check_err(run(f, "auth/peer/remove", "{\"id\":\"laptop\"}"), ALK_OK);
    assert_null(alk_auth_index_find(f->index, ALK_LIT("laptop")));
    check_err(run(f, "auth/peer/remove", "{\"id\":\"laptop\"}"), ALK_E_NOENT);
}

static void what_the_file_says_is_not_changed_here(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    check_err(run(f, "auth/peer/disable", "{\"id\":\"boss\"}"), ALK_E_EXISTS);
    assert_non_null(strstr(why, "node.yaml:3:"));
    check_err(run(f, "auth/peer/add", "{\"id\":\"boss\",\"keys\":[]}"), ALK_E_EXISTS);
    /* A key of the file's under another id: nothing is stored, both places named. */
    check_err(run(f, "auth/peer/add", "{\"id\":\"twin\",\"keys\":[\"" KEY2 "\"]}"), ALK_E_CONFIG);
    assert_non_null(strstr(why, "node.yaml"));
    check_err(run(f, "auth/peer/list", "{}"), ALK_OK);
    assert_null(strstr(text, "twin"));
    assert_int_equal(f->adopted, 0);
}

static void a_second_key_needs_add_key(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    check_err(run(f, "auth/peer/add", "{\"id\":\"a\",\"keys\":[\"" KEY "\"]}"), ALK_OK);
    check_err(run(f, "auth/peer/add", "{\"id\":\"a\",\"keys\":[]}"), ALK_E_EXISTS);
    check_err(run(f, "auth/peer/add", "{\"id\":\"b\",\"keys\":[\"" KEY "\"]}"), ALK_E_EXISTS);
    check_err(run(f, "auth/peer/add",
                  "{\"id\":\"a\",\"add_key\":true,\"keys\":[\"spki:00112233445566778899aabbccddeeff"
                  "00112233445566778899aabbccddeeff\"]}"),
              ALK_OK);
    check_err(run(f, "auth/peer/add", "{\"id\":\"a\",\"add_key\":true}"), ALK_E_INVALID);
    check_err(run(f, "auth/peer/remove", "{\"id\":\"a\"}"), ALK_OK);
}

static void tokens_are_made_resolved_listed_and_revoked(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const struct alk_identity *who = NULL;
    char revoke[64];

    check_err(
        run(f, "auth/token/new", "{\"id\":\"boss\",\"scopes\":[\"bench\"],\"expires\":\"1h\"}"),
        ALK_OK);
    assert_non_null(strstr(text, "\"scopes\":[\"bench\"],\"expires_at\":\"1970-01-12T14:46:40Z\""));
    check_err(alk_auth_index_by_token(f->index, token_of(), 1000001, &who), ALK_OK);
    assert_true(alk_identity_has_scope(who, ALK_LIT("bench")));
    assert_false(alk_identity_has_scope(who, ALK_LIT("admin")));
    alk_identity_unref(NULL);
    check_err(alk_auth_index_by_token(f->index, token_of(), 1003601, &who), ALK_E_EXPIRED);

    (void)snprintf(revoke, sizeof revoke, "{\"prefix\":\"%.8s\"}", (const char *)token_of().p + 4);
    check_err(run(f, "auth/token/list", "{}"), ALK_OK);
    assert_null(strstr(text, "alk_")); /* never the secret */
    assert_non_null(strstr(text, "\"id\":\"boss\""));
    check_err(run(f, "auth/token/revoke", revoke), ALK_OK);
    check_err(run(f, "auth/token/list", "{}"), ALK_OK);
    assert_string_equal(text, "{\"tokens\":[]}");
    check_err(run(f, "auth/token/revoke", revoke), ALK_E_NOENT);
}

static void wrong_input_is_told_in_words(void **state)
{
    static const struct {
        const char *name, *input;
        alk_err want;
        const char *says;
    } rows[] = {
        {"auth/none", "{}", ALK_E_NOENT, "auth/none"},
        {"auth/token/new", "{}", ALK_E_INVALID, "\"id\" is missing"},
        {"auth/token/new", "{\"id\":\"Boss\"}", ALK_E_INVALID, "an id is"},
        {"auth/token/new", "{\"id\":\"nobody\"}", ALK_E_NOENT, "alknet peer add nobody"},
        {"auth/token/new", "{\"id\":\"boss\",\"expires\":\"soon\"}", ALK_E_INVALID, "expiry"},
        {"auth/token/new", "{\"id\":\"boss\",\"scopes\":[\"A B\"]}", ALK_E_INVALID, "not a scope"},
        {"auth/token/new", "{\"id\":\"boss\",\"scopes\":\"admin\"}", ALK_E_INVALID, "list"},
        {"auth/token/revoke", "{\"prefix\":\"x\"}", ALK_E_INVALID, ""},
        {"auth/peer/add", "{\"id\":\"x\",\"keys\":[\"nonsense\"]}", ALK_E_INVALID, "key"},
        {"auth/peer/add", "{\"id\":\"x\",\"keys\":[1]}", ALK_E_INVALID, "strings"},
        {"auth/peer/enable", "{\"id\":\"x\"}", ALK_E_NOENT, "\"x\""},
    };
    struct fixture *f = (struct fixture *)*state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_err(run(f, rows[i].name, rows[i].input), rows[i].want);
        assert_non_null(strstr(why, rows[i].says));
    }
    assert_int_equal(f->adopted, 0);
    assert_true(alk_auth_ops_has("auth/peer/add"));
    assert_false(alk_auth_ops_has("auth/peer"));
}

/* --- invitations ---------------------------------------------------------------- */

static void enroll_input(struct alk_span token, const char *key, char *ret, size_t ret_size)
{
    (void)snprintf(ret, ret_size, "{\"token\":\"%.*s\",\"key\":\"%s\"}", (int)token.n,
                   (const char *)token.p, key);
}

static void an_invitation_is_good_once(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char input[256];

    check_err(run(f, "auth/invite/new", "{\"id\":\"laptop\",\"scopes\":[\"repo:read\"]}"), ALK_OK);
    assert_non_null(strstr(text, "\"scopes\":[\"repo:read\"]"));
    assert_non_null(strstr(text, "\"expires_at\":\"1970-01-13T13:46:40Z\"")); /* 24 h ahead */
    enroll_input(token_of(), KEY, input, sizeof input);
    assert_false(alk_span_is(alk_auth_index_key_owner(f->index, alk_span_str(KEY)), "laptop"));

    check_err(run(f, "auth/enroll", input), ALK_OK);
    assert_string_equal(text, "{\"id\":\"laptop\",\"scopes\":[\"repo:read\"]}");
    assert_true(alk_span_is(alk_auth_index_key_owner(f->index, alk_span_str(KEY)), "laptop"));
    check_err(run(f, "auth/enroll", input), ALK_E_AUTH);
    check_err(run(f, "auth/token/list", "{}"), ALK_OK);
    assert_string_equal(text, "{\"tokens\":[]}");
}

static void an_invitation_resolves_to_nobody(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    const struct alk_identity *identity = NULL;

    check_err(run(f, "auth/invite/new", "{\"id\":\"laptop\"}"), ALK_OK);
    check_err(alk_auth_index_by_token(f->index, token_of(), f->ops.unix_s, &identity), ALK_E_AUTH);
    assert_null(identity);
}

static void a_token_of_a_peer_is_no_invitation(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char input[256];

    check_err(run(f, "auth/token/new", "{\"id\":\"boss\"}"), ALK_OK);
    enroll_input(token_of(), KEY, input, sizeof input);
    check_err(run(f, "auth/enroll", input), ALK_E_AUTH);
    check_err(run(f, "auth/enroll", "{\"token\":\"alk_what\",\"key\":\"" KEY "\"}"), ALK_E_AUTH);
}

static void an_invitation_ends(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char input[256];

    check_err(run(f, "auth/invite/new", "{\"id\":\"laptop\",\"expires\":\"1h\"}"), ALK_OK);
    enroll_input(token_of(), KEY, input, sizeof input);
    f->ops.unix_s += 3600;
    check_err(run(f, "auth/enroll", input), ALK_E_AUTH);
    check_err(run(f, "auth/invite/new", "{\"id\":\"other\",\"expires\":\"never\"}"), ALK_E_INVALID);
}

static void a_wrong_secret_uses_nothing_up(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char input[256], wrong[256];

    check_err(run(f, "auth/invite/new", "{\"id\":\"laptop\"}"), ALK_OK);
    enroll_input(token_of(), KEY, input, sizeof input);
    memcpy(wrong, input, sizeof wrong);
    char *secret = strstr(wrong, "alk_") + 13;
    secret[0] = secret[0] == 'a' ? 'b' : 'a';
    check_err(run(f, "auth/enroll", wrong), ALK_E_AUTH);
    check_err(run(f, "auth/enroll", input), ALK_OK);
}

static void a_key_that_is_taken_uses_nothing_up(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char taken[256], free_key[256];

    check_err(run(f, "auth/invite/new", "{\"id\":\"laptop\"}"), ALK_OK);
    enroll_input(token_of(), KEY2, taken, sizeof taken);
    enroll_input(token_of(), KEY, free_key, sizeof free_key);
    check_err(run(f, "auth/enroll", taken), ALK_E_CONFIG); /* boss has it, in the file */
    check_err(run(f, "auth/enroll", free_key), ALK_OK);
}

static void one_more_key_is_invited_by_name(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char input[256];

    check_err(run(f, "auth/invite/new", "{\"id\":\"laptop\",\"add_key\":true}"), ALK_E_NOENT);
    check_err(run(f, "auth/peer/add", "{\"id\":\"laptop\",\"keys\":[]}"), ALK_OK);
    check_err(run(f, "auth/invite/new", "{\"id\":\"laptop\"}"), ALK_E_EXISTS);
    check_err(run(f, "auth/invite/new", "{\"id\":\"boss\",\"add_key\":true}"), ALK_E_EXISTS);
    check_err(
        run(f, "auth/invite/new", "{\"id\":\"laptop\",\"add_key\":true,\"scopes\":[\"admin\"]}"),
        ALK_E_INVALID);
    check_err(run(f, "auth/invite/new", "{\"id\":\"laptop\",\"add_key\":true}"), ALK_OK);
    enroll_input(token_of(), KEY, input, sizeof input);
    check_err(run(f, "auth/enroll", input), ALK_OK);
    assert_true(alk_span_is(alk_auth_index_key_owner(f->index, alk_span_str(KEY)), "laptop"));
}

static int group_setup(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int group_teardown(void **state)
{
    (void)state;
    return rmdir(dir);
}

/* --- pages --------------------------------------------------------------------- */

#define MANY 5000

/* Reads the whole list page by page; the names under `key`, in their order, each after
 * the one before when is_sorted. */
static unsigned list_all(struct fixture *f, const char *name, const char *list, const char *key,
                         unsigned *ret_pages)
{
    char input[200] = "{}", last[200] = "";
    unsigned count = 0;

    *ret_pages = 0;
    for (bool goes_on = true; goes_on; ++*ret_pages) {
        struct yyjson_doc *in = NULL, *out = NULL;
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *root = NULL;
        struct alk_buf b;
        check_err(alk_json_parse(alk_span_str(input), &in), ALK_OK);
        check_err(
            alk_auth_ops_run(&f->ops, name, yyjson_doc_get_root(in), doc, why, sizeof why, &root),
            ALK_OK);
        alk_buf_init(&b, NULL, ALK_FRAME_MAX - 256); /* the frame around it */
        check_err(alk_json_put(&b, root, false), ALK_OK);
        check_err(alk_json_parse(alk_buf_span(&b), &out), ALK_OK);
        struct yyjson_val *rows = yyjson_obj_get(yyjson_doc_get_root(out), list), *row;
        struct yyjson_val *next = yyjson_obj_get(yyjson_doc_get_root(out), "next");
        size_t i, n;
        assert_true(yyjson_arr_size(rows) > 0);
        yyjson_arr_foreach(rows, i, n, row)
        {
            const char *now = yyjson_get_str(yyjson_obj_get(row, key));
            assert_string_not_equal(now, last);
            (void)snprintf(last, sizeof last, "%s", now);
            count++;
        }
        goes_on = next != NULL;
        (void)snprintf(input, sizeof input, "{\"cursor\":\"%s\"}",
                       goes_on ? yyjson_get_str(next) : "");
        alk_buf_fini(&b);
        yyjson_doc_free(in);
        yyjson_doc_free(out);
        yyjson_mut_doc_free(doc);
    }
    return count;
}

static void store_tokens(struct fixture *f, size_t scopes)
{
    static char names[ALK_SCOPES_MAX][ALK_SCOPE_MAX + 1];
    struct alk_span list[ALK_SCOPES_MAX];
    struct alk_auth_db_token_spec spec = {
        .id = ALK_LIT("boss"), .is_known = true, .is_narrowed = true, .scopes = list};
    char token[ALK_TOKEN_SIZE];
    for (size_t i = 0; i < scopes; i++) {
        (void)snprintf(names[i], sizeof names[i], "s%0127zu", i);
        list[i] = alk_span_str(names[i]);
    }
    spec.scope_count = scopes;
    check_err(alk_auth_db_begin(f->ops.db), ALK_OK);
    for (size_t i = 0; i < MANY; i++) {
        spec.expires_at = f->ops.unix_s + 1 + i;
        check_err(alk_auth_db_token_new(f->ops.db, f->ops.rand, &spec, f->ops.unix_s, token),
                  ALK_OK);
    }
    check_err(alk_auth_db_commit(f->ops.db), ALK_OK);
}

static void thousands_of_tokens_are_listed_in_pages(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    unsigned pages = 0;
    store_tokens(f, 1);
    assert_int_equal(list_all(f, "auth/token/list", "tokens", "expires_at", &pages), MANY);
    assert_int_equal(pages, MANY / 1000);
}

static void tokens_with_many_scopes_make_shorter_pages(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    unsigned pages = 0;
    store_tokens(f, ALK_SCOPES_MAX);
    assert_int_equal(list_all(f, "auth/token/list", "tokens", "expires_at", &pages), MANY);
    assert_true(pages > 2 * MANY / 1000);
}

static void a_page_of_tokens_outlives_the_token_before_it(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char prefix[9], next[30], revoke[40], more[60];
    check_err(run(f, "auth/token/new", "{\"id\":\"boss\"}"), ALK_OK);
    check_err(run(f, "auth/token/new", "{\"id\":\"boss\"}"), ALK_OK);
    (void)snprintf(prefix, sizeof prefix, "%s", strstr(text, "\"prefix\":\"") + 10);
    check_err(run(f, "auth/token/list", "{\"limit\":1}"), ALK_OK);
    const char *at = strstr(text, "\"next\":\"");
    assert_non_null(at);
    (void)snprintf(next, sizeof next, "%.*s", (int)strcspn(at + 8, "\""), at + 8);
    (void)snprintf(revoke, sizeof revoke, "{\"prefix\":\"%.8s\"}",
                   strstr(text, "\"prefix\":\"") + 10);
    check_err(run(f, "auth/token/revoke", revoke), ALK_OK);
    (void)snprintf(more, sizeof more, "{\"limit\":1,\"cursor\":\"%s\"}", next);
    check_err(run(f, "auth/token/list", more), ALK_OK);
    assert_non_null(strstr(text, prefix));
    assert_null(strstr(text, "\"next\""));
}

static void thousands_of_peers_are_listed_in_pages_after_those_of_the_file(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char id[20];
    unsigned pages = 0;
    check_err(alk_auth_db_begin(f->ops.db), ALK_OK);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(id, sizeof id, "p%u", i);
        const struct alk_identity_spec spec = {.id = alk_span_str(id)};
        check_err(alk_auth_db_peer_add(f->ops.db, &spec, NULL, 0, 1), ALK_OK);
    }
    check_err(alk_auth_db_commit(f->ops.db), ALK_OK);
    assert_int_equal(list_all(f, "auth/peer/list", "peers", "id", &pages), MANY + 1);
    assert_int_equal(pages, MANY / 1000 + 1);
    /* The file's alone, then the store's from its beginning. */
    check_err(run(f, "auth/peer/list", "{\"limit\":1}"), ALK_OK);
    assert_non_null(strstr(text, "\"id\":\"boss\""));
    assert_non_null(strstr(text, "\"next\":\"store:\""));
    check_err(run(f, "auth/peer/list", "{\"limit\":1,\"cursor\":\"store:\"}"), ALK_OK);
    assert_non_null(strstr(text, "\"id\":\"p0\""));
    assert_non_null(strstr(text, "\"next\":\"store:p0\""));
    check_err(run(f, "auth/peer/list", "{\"limit\":1,\"cursor\":\"file:0\"}"), ALK_OK);
    assert_non_null(strstr(text, "\"id\":\"boss\""));
}

static void cursors_and_limits_that_are_none_are_refused(void **state)
{
    static const char *const wrong[] = {"{\"limit\":0}",       "{\"limit\":1001}",
                                        "{\"limit\":\"1\"}",   "{\"cursor\":7}",
                                        "{\"cursor\":\"x\"}",  "{\"cursor\":\"file:\"}",
                                        "{\"cursor\":\"-1\"}", "{\"cursor\":\"file:x\"}"};
    struct fixture *f = (struct fixture *)*state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        check_err(run(f, "auth/token/list", wrong[i]), ALK_E_INVALID);
        check_err(run(f, "auth/peer/list", wrong[i]), ALK_E_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(peers_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_file_says_is_not_changed_here, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_key_needs_add_key, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens_are_made_resolved_listed_and_revoked, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(wrong_input_is_told_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(an_invitation_is_good_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_invitation_resolves_to_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(thousands_of_tokens_are_listed_in_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens_with_many_scopes_make_shorter_pages, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_page_of_tokens_outlives_the_token_before_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            thousands_of_peers_are_listed_in_pages_after_those_of_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(cursors_and_limits_that_are_none_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_token_of_a_peer_is_no_invitation, setup, teardown),
        cmocka_unit_test_setup_teardown(an_invitation_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_secret_uses_nothing_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_is_taken_uses_nothing_up, setup, teardown),
        cmocka_unit_test_setup_teardown(one_more_key_is_invited_by_name, setup, teardown),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
