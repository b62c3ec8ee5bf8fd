/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lists in pages are read as one. */
#include "pages.h"

#include "support/check.h"

#include <stdio.h>

struct node {
    const char *const *answers; /* NULL ends them */
    unsigned asked;
    char questions[2000];
    bool repeats;
};

static int answer(void *ctx, struct alk_span input, struct yyjson_doc **ret_doc,
                  struct yyjson_val **ret_output)
{
    struct node *n = (struct node *)ctx;
    const char *text = n->answers[n->repeats ? 0 : n->asked];
    size_t used = strlen(n->questions);

    n->asked++;
    (void)snprintf(n->questions + used, sizeof n->questions - used, ALK_SPAN_FMT,
                   ALK_SPAN_ARG(input));
    if (text == NULL) {
        return CLI_REFUSED;
    }
    *ret_doc = yyjson_read(text, strlen(text), 0);
    *ret_output = yyjson_doc_get_root(*ret_doc);
    return CLI_OK;
}

/* The list as text, or the message. */
static int read_pages(struct node *n, char *ret, size_t ret_size)
{
    struct yyjson_doc *doc = NULL;
    char *message = NULL;
    size_t message_n = 0;
    struct cli cli = {.err = open_memstream(&message, &message_n)};

    int rc = cli_pages_read(&cli, "l", answer, n, &doc);
    (void)fclose(cli.err);
    char *text = rc == CLI_OK ? yyjson_write(doc, 0, NULL) : NULL;
    (void)snprintf(ret, ret_size, "%s", text != NULL ? text : message);
    assert_true((rc == CLI_OK) == (doc != NULL));
    free(text);
    free(message);
    yyjson_doc_free(doc);
    return rc;
}

static void pages_are_joined_in_their_order(void **state)
{
    static const char *const answers[] = {"{\"l\":[1,{\"a\":2}],\"next\":\"x \\\"y\",\"more\":3}",
                                          "{\"l\":[],\"next\":\"z\"}", "{\"l\":[3]}", NULL};
    struct node n = {.answers = answers};
    char text[500];
    (void)state;
    assert_int_equal(read_pages(&n, text, sizeof text), CLI_OK);
    assert_string_equal(text, "{\"l\":[1,{\"a\":2},3]}");
    assert_string_equal(n.questions, "{}{\"cursor\":\"x \\\"y\"}{\"cursor\":\"z\"}");
}

static void what_a_node_without_pages_left_out_is_kept(void **state)
{
    static const char *const answers[] = {"{\"l\":[1],\"more\":8500}", NULL};
    struct node n = {.answers = answers};
    char text[500];
    (void)state;
    assert_int_equal(read_pages(&n, text, sizeof text), CLI_OK);
    assert_string_equal(text, "{\"l\":[1],\"more\":8500}");
    assert_int_equal(n.asked, 1);
}

static void a_page_that_fails_ends_it(void **state)
{
    static const char *const answers[] = {"{\"l\":[1],\"next\":\"a\"}", NULL};
    struct node n = {.answers = answers};
    char text[500];
    (void)state;
    assert_int_equal(read_pages(&n, text, sizeof text), CLI_REFUSED);
    assert_string_equal(text, "");
}

static void a_node_that_never_ends_its_list_is_not_followed(void **state)
{
    static const char *const answers[] = {"{\"l\":[1],\"next\":\"a\"}", NULL};
    struct node n = {.answers = answers, .repeats = true};
    char text[500];
    (void)state;
    assert_int_equal(read_pages(&n, text, sizeof text), CLI_FAILED);
    assert_non_null(strstr(text, "does not end"));
    assert_int_equal(n.asked, CLI_PAGES_MAX);
}

static void a_cursor_that_is_too_long_is_refused(void **state)
{
    char longest[700];
    const char *const answers[] = {longest, NULL};
    struct node n = {.answers = answers};
    char text[500];
    (void)state;
    (void)snprintf(longest, sizeof longest, "{\"l\":[],\"next\":\"%0600d\"}", 1);
    assert_int_equal(read_pages(&n, text, sizeof text), CLI_FAILED);
    assert_non_null(strstr(text, "makes no sense"));
}

static void an_answer_without_the_list_is_an_empty_page(void **state)
{
    static const char *const answers[] = {"{\"x\":[1],\"next\":7}", NULL};
    struct node n = {.answers = answers};
    char text[500];
    (void)state;
    assert_int_equal(read_pages(&n, text, sizeof text), CLI_OK);
    assert_string_equal(text, "{\"l\":[]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_joined_in_their_order),
        cmocka_unit_test(what_a_node_without_pages_left_out_is_kept),
        cmocka_unit_test(a_page_that_fails_ends_it),
        cmocka_unit_test(a_node_that_never_ends_its_list_is_not_followed),
        cmocka_unit_test(a_cursor_that_is_too_long_is_refused),
        cmocka_unit_test(an_answer_without_the_list_is_an_empty_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
