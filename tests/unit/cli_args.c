/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The parser of the command line, and what is made from the same tables. */
#include "args.h"
#include "cli.h"

#include "support/check.h"

static const struct cli_opt opts[] = {
    {.name = "verbose", .letter = 'v', .help = "Talk."},
    {.name = "quiet", .letter = 'q', .help = "Hush."},
    {.name = "file", .letter = 'f', .value = "FILE", .help = "A file."},
    {.name = "scope", .letter = 's', .value = "S", .is_many = true, .help = "Scopes."},
    {.name = NULL}};
static const struct cli_arg args_ab[] = {{"A", CLI_WORD, .help = "The first."},
                                         {"B", CLI_WORD, .is_optional = true, .help = "Another."},
                                         {.name = NULL}};
static const struct cli_arg args_many[] = {{"A", CLI_WORD, .is_many = true, .help = "Some."},
                                           {.name = NULL}};
static const struct cli_command plain = {
    .name = "plain", .purpose = "Does.", .sets = {opts}, .args = args_ab};
static const struct cli_command many = {.name = "many", .purpose = "Does.", .args = args_many};
static const struct cli_command sub = {.name = "new", .purpose = "Makes.", .sets = {opts}};
static const struct cli_command *const subs[] = {&sub, NULL};
static const struct cli_command parent = {.name = "token", .purpose = "T.", .subcommands = subs};
static const struct cli_command either = {
    .name = "id", .purpose = "I.", .sets = {opts}, .subcommands = subs, .has_default = true};

static struct cli_args parsed;
static char message[1024];

/* Parses words separated by spaces; the message is kept. */
static int parse(const struct cli_command *command, const char *line)
{
    static char words[512];
    const char *argv[32];
    int argc = 0;
    FILE *err = fmemopen(message, sizeof message, "w");

    assert_non_null(err);
    message[0] = '\0';
    (void)snprintf(words, sizeof words, "%s", line);
    for (char *p = words; *p != '\0';) {
        argv[argc++] = p;
        p += strcspn(p, " ");
        if (*p == ' ') {
            *p++ = '\0';
        }
    }
    int rc = cli_parse(command, argc, argv, err, &parsed);
    (void)fclose(err);
    return rc;
}

static void forms_of_options(void **state)
{
    (void)state;
    assert_int_equal(parse(&plain, "a --file x --verbose"), CLI_OK);
    assert_string_equal(cli_get(&parsed, "file"), "x");
    assert_true(cli_has(&parsed, "verbose"));
    assert_false(cli_has(&parsed, "quiet"));
    assert_string_equal(cli_value(&parsed, 0), "a");
    assert_null(cli_value(&parsed, 1));
    assert_int_equal(parse(&plain, "--file=a=b a"), CLI_OK);
    assert_string_equal(cli_get(&parsed, "file"), "a=b");
    assert_int_equal(parse(&plain, "--file= a"), CLI_OK);
    assert_string_equal(cli_get(&parsed, "file"), "");
    assert_int_equal(parse(&plain, "-vqfx a"), CLI_OK);
    assert_string_equal(cli_get(&parsed, "file"), "x");
    assert_true(cli_has(&parsed, "quiet"));
    assert_int_equal(parse(&plain, "-f -v a"), CLI_OK); /* the next word, whatever it is */
    assert_string_equal(cli_get(&parsed, "file"), "-v");
    assert_int_equal(parse(&plain, "-s one a --scope two -sthree"), CLI_OK);
    assert_string_equal(cli_nth(&parsed, "scope", 0), "one");
    assert_string_equal(cli_nth(&parsed, "scope", 2), "three");
    assert_null(cli_nth(&parsed, "scope", 3));
    assert_int_equal(parse(&plain, "- -- --file"), CLI_OK);
    assert_string_equal(cli_value(&parsed, 0), "-");
    assert_string_equal(cli_value(&parsed, 1), "--file");
    assert_int_equal(parse(&plain, "-v -v a"), CLI_OK); /* a flag said twice */
    assert_int_equal(parse(&many, "a b c"), CLI_OK);
    assert_int_equal(parsed.value_count, 3);
}

static void mistakes_are_told(void **state)
{
    static const struct {
        const struct cli_command *command;
        const char *line, *says;
    } rows[] = {
        {&plain, "", "A is missing"},
        {&plain, "a b c", "\"c\" is one argument too many"},
        {&plain, "a --fiel x", "did you mean --file?"},
        {&plain, "a --flie=x", "did you mean --file?"},
        {&plain, "a --verb", "did you mean --verbose?"},
        {&plain, "a --zzzzzz", "unknown option --zzzzzz"},
        {&plain, "a -z", "unknown option -z"},
        {&plain, "a -vz", "unknown option -vz"},
        {&plain, "a --file", "--file needs a value: --file FILE"},
        {&plain, "a -f", "--file needs a value"},
        {&plain, "a --verbose=1", "--verbose takes no value"},
        {&plain, "a -f x -f y", "--file is given twice"},
        {&parent, "", "as in: alknet token new"},
        {&parent, "nwe", "did you mean \"new\"?"},
        {&parent, "destroy", "it is one of: new"},
        {&parent, "new x", "one argument too many"},
        {&either, "rotten", "it is one of: new"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(parse(rows[i].command, rows[i].line), CLI_USAGE);
        if (strstr(message, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].line, message);
        }
        assert_non_null(strstr(message, "--help")); /* how to get on */
    }
}

static void subcommands_are_found(void **state)
{
    (void)state;
    assert_int_equal(parse(&parent, "new -v"), CLI_OK);
    assert_ptr_equal(parsed.command, &sub);
    assert_ptr_equal(parsed.parent, &parent);
    assert_int_equal(parse(&either, "-v"), CLI_OK);
    assert_ptr_equal(parsed.command, &either);
    assert_int_equal(parse(&either, "new"), CLI_OK);
    assert_ptr_equal(parsed.command, &sub);
    assert_int_equal(parse(&parent, "--help"), CLI_OK);
    assert_true(parsed.wants_help);
    assert_int_equal(parse(&plain, "--help --no-such"), CLI_OK); /* help comes before mistakes */
    assert_true(parsed.wants_help);
}

static void numbers_times_and_sizes(void **state)
{
    uint64_t v = 7;
    alk_time t = 7;
    (void)state;
    assert_int_equal(parse(&plain, "a"), CLI_OK);
    assert_true(cli_get_u64(&parsed, "file", 1, 9, stderr, &v));
    assert_int_equal(v, 7); /* absent: untouched */
    static const struct {
        const char *line;
        bool number, time, size;
        uint64_t as_number, as_time, as_size;
    } rows[] = {
        {"a -f 9", true, true, true, 9, 9 * ALK_SECOND, 9},
        {"a -f 10", false, true, true, 0, 10 * ALK_SECOND, 10},
        {"a -f 0", false, true, true, 0, 0, 0},
        {"a -f 250ms", false, true, false, 0, 250 * ALK_MS, 0},
        {"a -f 2h", false, true, false, 0, 7200 * ALK_SECOND, 0},
        {"a -f 64KiB", false, false, true, 0, 0, 65536},
        {"a -f 2G", false, false, true, 0, 0, (uint64_t)2 << 30},
        {"a -f 99999999999GiB", false, false, false, 0, 0, 0},
        {"a -f 1x", false, false, false, 0, 0, 0},
        {"a -f -1", false, false, false, 0, 0, 0},
        {"a --file=", false, false, false, 0, 0, 0},
        {"a -f 1.5s", false, false, false, 0, 0, 0},
    };
    FILE *null = fopen("/dev/null", "w");
    assert_non_null(null);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(parse(&plain, rows[i].line), CLI_OK);
        assert_int_equal(cli_get_u64(&parsed, "file", 1, 9, null, &v), rows[i].number);
        assert_true(!rows[i].number || v == rows[i].as_number);
        assert_int_equal(cli_get_time(&parsed, "file", null, &t), rows[i].time);
        assert_true(!rows[i].time || t == rows[i].as_time);
        assert_int_equal(cli_get_size(&parsed, "file", null, &v), rows[i].size);
        assert_true(!rows[i].size || v == rows[i].as_size);
    }
    (void)fclose(null);
}

static void near_words(void **state)
{
    static const char *const words[] = {"dial", "doctor", "status", "serve", NULL};
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"dail", "dial"},     {"dila", "dial"},   {"stat", "status"},
        {"stauts", "status"}, {"sevre", "serve"}, {"docktor", "doctor"},
        {"xyz", NULL},        {"", NULL},         {"completely", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *got = cli_nearest(rows[i].in, words);
        if (rows[i].want == NULL) {
            assert_null(got);
        } else {
            assert_non_null(got);
            assert_string_equal(got, rows[i].want);
        }
    }
}

/* --- every real command ------------------------------------------------------- */

static void check_table(const struct cli_command *c)
{
    size_t at = 0;
    const struct cli_opt *a, *b;

    assert_non_null(c->summary);
    assert_non_null(c->purpose);
    assert_true(c->summary[strlen(c->summary) - 1] != '.');
    assert_true(c->purpose[strlen(c->purpose) - 1] == '.');
    assert_true(c->run != NULL || c->subcommands != NULL);
    assert_true(c->is_hidden || c->examples != NULL || c->subcommands != NULL);
    while ((a = cli_next_opt(c, &at)) != NULL) {
        assert_true(a->help[strlen(a->help) - 1] == '.');
        for (size_t k = at; (b = cli_next_opt(c, &k)) != NULL;) {
            if (strcmp(a->name, b->name) == 0 || (a->letter != 0 && a->letter == b->letter)) {
                fail_msg("%s: --%s and --%s take each other's place", c->name, a->name, b->name);
            }
        }
    }
    for (const struct cli_arg *arg = c->args; arg != NULL && arg->name != NULL; arg++) {
        assert_non_null(arg->help);
    }
    for (size_t i = 0; c->subcommands != NULL && c->subcommands[i] != NULL; i++) {
        check_table(c->subcommands[i]);
    }
}

static void every_command_has_a_whole_table(void **state)
{
    (void)state;
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        check_table(cli_commands[i]);
    }
}

static char *output;
static size_t output_n;

static int run(const char *line)
{
    static char words[512];
    const char *argv[32] = {"alknet"};
    int argc = 1;
    FILE *null = fopen("/dev/null", "w");
    struct cli cli = {.out = open_memstream(&output, &output_n), .err = null};

    assert_true(cli.out != NULL && null != NULL);
    (void)snprintf(words, sizeof words, "%s", line);
    for (char *p = words; *p != '\0';) {
        argv[argc++] = p;
        p += strcspn(p, " ");
        if (*p == ' ') {
            *p++ = '\0';
        }
    }
    int rc = cli_main(&cli, argc, argv);
    (void)fclose(cli.out);
    (void)fclose(null);
    return rc;
}

/* No line of help is wider than a terminal, and options are all there. */
static void help_fits_and_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "help %s", cli_commands[i]->name);
        assert_int_equal(run(line), CLI_OK);
        struct alk_span rest = alk_span(output, output_n);
        while (rest.n > 0) {
            struct alk_span one = alk_span_cut(&rest, '\n');
            bool is_example = alk_span_starts(one, ALK_LIT("  alknet")) ||
                              alk_span_starts(one, ALK_LIT("  git -c"));
            if (one.n > 100 || (one.n > 80 && !is_example)) {
                fail_msg("%s: %.*s", line, (int)one.n, (const char *)one.p);
            }
        }
        size_t at = 0;
        const struct cli_opt *o;
        while ((o = cli_next_opt(cli_commands[i], &at)) != NULL) {
            char name[64];
            (void)snprintf(name, sizeof name, "--%s", o->name);
            assert_true(strstr(output, name) != NULL || cli_commands[i]->subcommands != NULL);
        }
        free(output);
    }
}

static void completions_know_every_command(void **state)
{
    static const char *const shells[] = {"completion bash", "completion zsh", "completion fish"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(run(shells[i]), CLI_OK);
        for (size_t k = 0; cli_commands[k] != NULL; k++) {
            bool is_there = strstr(output, cli_commands[k]->name) != NULL;
            assert_true(is_there || cli_commands[k]->is_hidden);
        }
        free(output);
    }
    assert_int_equal(run("completion csh"), CLI_USAGE);
    free(output);
}

static void exit_statuses_of_the_command_line(void **state)
{
    static const struct {
        const char *line;
        int want;
    } rows[] = {
        {"", CLI_USAGE},
        {"--help", CLI_OK},
        {"-h", CLI_OK},
        {"--version", CLI_OK},
        {"version", CLI_OK},
        {"version --json", CLI_OK},
        {"nothing", CLI_USAGE},
        {"--nothing", CLI_USAGE},
        {"help nothing", CLI_USAGE},
        {"help token new", CLI_OK},
        {"dial", CLI_USAGE},
        {"ping -n 0 x:1", CLI_USAGE},
        {"ping --tcp --udp x:1", CLI_USAGE},
        {"ping a/b", CLI_USAGE},
        {"ping --token nonsense x:1", CLI_USAGE},
        {"tunnel x:1 y", CLI_USAGE},
        {"token new", CLI_USAGE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int rc = run(rows[i].line);
        free(output);
        if (rc != rows[i].want) {
            fail_msg("alknet %s: %d, not %d", rows[i].line, rc, rows[i].want);
        }
    }
}

static void errors_have_statuses(void **state)
{
    (void)state;
    assert_int_equal(cli_status_of(ALK_OK), 0);
    assert_int_equal(cli_status_of(ALK_E_IO), 1);
    assert_int_equal(cli_status_of(ALK_E_NO_ALPN), 1);
    assert_int_equal(cli_status_of(ALK_E_AUTH), 3);
    assert_int_equal(cli_status_of(ALK_E_KEY_CHANGED), 3);
    assert_int_equal(cli_status_of(ALK_E_UNTRUSTED), 3);
    assert_int_equal(cli_status_of(ALK_E_UNREACHABLE), 4);
    assert_int_equal(cli_status_of(ALK_E_TIMEOUT), 4);
}

static void what_comes_from_elsewhere_is_made_safe(void **state)
{
    char out[32];
    (void)state;
    cli_safe(ALK_LIT("a\033[31mb\n"), out, sizeof out);
    assert_null(strchr(out, '\033'));
    assert_null(strchr(out, '\n'));
    cli_safe(ALK_LIT("0123456789012345678901234567890123456789"), out, sizeof out);
    assert_true(strlen(out) < sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_options),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(subcommands_are_found),
        cmocka_unit_test(numbers_times_and_sizes),
        cmocka_unit_test(near_words),
        cmocka_unit_test(every_command_has_a_whole_table),
        cmocka_unit_test(help_fits_and_is_complete),
        cmocka_unit_test(completions_know_every_command),
        cmocka_unit_test(exit_statuses_of_the_command_line),
        cmocka_unit_test(errors_have_statuses),
        cmocka_unit_test(what_comes_from_elsewhere_is_made_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
