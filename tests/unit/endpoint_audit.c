/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Audit records that wait for the end of a turn: when they are written, and what
 * becomes of them when the file moves or cannot be written. */
#include "support/node.h"

#include "core/auth/date.h"
#include "core/endpoint_impl.h"
#include "core/store/file.h"

#include <stdio.h>

#define FILE_MAX ((size_t)1 << 20)

/* Notes requests number first to first + count - 1. */
static void note(struct node *n, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%u", i);
        const struct alk_audit_record r = {.who = ALK_LIT("laptop"),
                                           .what = ALK_LIT("call"),
                                           .target = ALK_LIT("t/\n"),
                                           .remote = "192.0.2.1:1",
                                           .alpn = ALK_LIT("alknet/call"),
                                           .request_id = alk_span_str(id),
                                           .is_allowed = true};
        alk_endpoint_audit_soon(n->ep, &r);
    }
}

/* Takes the date off a line; it must be one of the last minutes. */
static struct alk_span without_date(struct alk_span line)
{
    uint64_t at = 0;
    uint64_t now = alk_clock_unix();
    assert_true(line.n > ALK_DATE_SIZE);
    check_err(alk_date_parse(alk_span_head(line, ALK_DATE_SIZE - 1), &at), ALK_OK);
    assert_in_range(at, now - 600, now);
    return alk_span_tail(line, ALK_DATE_SIZE - 1);
}

/* The requests in a file are, in order and without a gap, number `first` on: how many
 * they are. Lines of other things are passed over. */
static unsigned count_in(const char *dir, const char *name, unsigned first)
{
    char path[160];
    char want[200];
    unsigned n = 0;
    struct alk_buf b;
    (void)snprintf(path, sizeof path, "%s/data/%s", dir, name);
    alk_buf_init(&b, NULL, FILE_MAX);
    check_err(alk_file_read(path, FILE_MAX, &b), ALK_OK);
    struct alk_span rest = alk_buf_span(&b);
    assert_true(rest.n == 0 || rest.p[rest.n - 1] == '\n');
    while (rest.n > 0) {
        struct alk_span line = without_date(alk_span_cut(&rest, '\n'));
        if (!alk_span_starts(line, ALK_LIT(" audit who=laptop what=call"))) {
            continue;
        }
        (void)snprintf(want, sizeof want,
                       " audit who=laptop what=call target=t/\\x0a from=192.0.2.1:1 "
                       "alpn=alknet/call request=%u allowed=yes",
                       first + n);
        check_text(line, want);
        n++;
    }
    alk_buf_fini(&b);
    return n;
}

static void begin(struct node *n, const char *yaml)
{
    node_init(n, yaml);
    node_start(n, NULL);
    node_turn(n, 0);
}

struct outcome {
    bool is_told;
    alk_err err;
};
static void on_reloaded(void *ctx, alk_err err, const char *message)
{
    (void)message;
    *(struct outcome *)ctx = (struct outcome){true, err};
}
static bool is_told(void *ctx)
{
    return ((const struct outcome *)ctx)->is_told;
}
static void reload(struct node *n, const char *yaml)
{
    struct outcome o = {.is_told = false};
    node_write_config(n, yaml);
    alk_endpoint_reload(n->ep, on_reloaded, &o);
    node_until(n, is_told, &o);
    check_err(o.err, ALK_OK);
}

static void records_wait_for_the_end_of_a_turn(void **ctx)
{
    struct node n;
    (void)ctx;
    begin(&n, "log: {audit: audit.log}\n");
    note(&n, 0, 3);
    assert_int_equal(count_in(n.dir, "audit.log", 0), 0);
    node_turn(&n, 0);
    assert_int_equal(count_in(n.dir, "audit.log", 0), 3);
    node_fini(&n);
}

static void a_record_that_does_not_wait_takes_the_others_with_it(void **ctx)
{
    const struct alk_audit_record r = {.what = ALK_LIT("login")};
    struct node n;
    (void)ctx;
    begin(&n, "log: {audit: audit.log}\n");
    note(&n, 0, 2);
    alk_endpoint_audit(n.ep, &r);
    assert_int_equal(count_in(n.dir, "audit.log", 0), 2);
    node_fini(&n);
}

static void more_than_64_kib_do_not_wait(void **ctx)
{
    const unsigned many = 2000; /* lines of more than 100 bytes */
    struct node n;
    (void)ctx;
    begin(&n, "log: {audit: audit.log}\n");
    for (unsigned i = 0; i < many; i++) {
        note(&n, i, 1);
        assert_in_range(alk_buf_len(&n.ep->audit_text), 0, 64 << 10);
    }
    assert_in_range(count_in(n.dir, "audit.log", 0), many / 2, many - 1);
    node_turn(&n, 0);
    assert_int_equal(count_in(n.dir, "audit.log", 0), many);
    node_fini(&n);
}

static void a_file_that_moved_away_gets_what_waited(void **ctx)
{
    char from[128];
    char to[128];
    struct node n;
    (void)ctx;
    begin(&n, "log: {audit: audit.log}\n");
    note(&n, 0, 2);
    (void)snprintf(from, sizeof from, "%s/data/audit.log", n.dir);
    (void)snprintf(to, sizeof to, "%s/data/audit.log.1", n.dir);
    assert_int_equal(rename(from, to), 0);
    reload(&n, "log: {audit: audit.log}\n");
    note(&n, 2, 3);
    node_turn(&n, 0);
    assert_int_equal(count_in(n.dir, "audit.log.1", 0), 2);
    assert_int_equal(count_in(n.dir, "audit.log", 2), 3);
    node_fini(&n);
}

static void a_full_disk_costs_the_records_and_nothing_else(void **ctx)
{
    const unsigned many = 2000;
    struct node n;
    (void)ctx;
    begin(&n, "log: {audit: /dev/full}\n");
    uint64_t before = n.ep->audit_lost;
    note(&n, 0, many);
    node_turn(&n, 0);
    assert_int_equal(n.ep->audit_lost - before, many);
    assert_int_equal(alk_buf_len(&n.ep->audit_text), 0);
    assert_true(node_logged(&n, "the audit log cannot be written"));
    reload(&n, "log: {audit: audit.log}\n");
    note(&n, many, 5);
    node_turn(&n, 0);
    assert_true(node_logged(&n, "the audit log is written again; 2"));
    assert_int_equal(count_in(n.dir, "audit.log", many), 5);
    node_fini(&n);
}

static void without_an_audit_log_nothing_is_held(void **ctx)
{
    struct node n;
    (void)ctx;
    begin(&n, "log: {audit: \"\"}\n");
    note(&n, 0, 5);
    assert_int_equal(alk_buf_len(&n.ep->audit_text), 0);
    assert_int_equal(n.ep->audit_lost, 0);
    node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_wait_for_the_end_of_a_turn),
        cmocka_unit_test(a_record_that_does_not_wait_takes_the_others_with_it),
        cmocka_unit_test(more_than_64_kib_do_not_wait),
        cmocka_unit_test(a_file_that_moved_away_gets_what_waited),
        cmocka_unit_test(a_full_disk_costs_the_records_and_nothing_else),
        cmocka_unit_test(without_an_audit_log_nothing_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
