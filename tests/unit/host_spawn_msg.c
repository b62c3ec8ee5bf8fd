/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the spawner is asked: it keeps privilege, so nothing but exact requests. */
#include "core/host/spawn_msg.h"

#include "support/check.h"

static struct alk_spawn_msg sample(enum alk_spawn_type type)
{
    struct alk_spawn_msg m = {.type = type, .id = 7};
    switch (type) {
    case ALK_SPAWN_ATTACH:
        m.id = 0;
        break;
    case ALK_SPAWN_EXEC:
        m.u.exec.words = alk_span("/bin/cat\0-\0A=b", 15);
        m.u.exec.argc = 2;
        m.u.exec.envc = 1;
        m.u.exec.cwd = alk_span("/srv", 5);
        m.u.exec.user = alk_span("git", 4);
        m.u.exec.memory = 1 << 20;
        m.u.exec.new_privileges = true;
        m.u.exec.stdio[1] = 0;
        m.u.exec.stdio[2] = 255;
        m.u.exec.stdio[ALK_SPAWN_CHANNEL] = 255;
        break;
    case ALK_SPAWN_HOST:
        m.u.host.handler = alk_span("sftp", 5);
        m.u.host.channels = 2;
        m.u.host.has_stderr = true;
        break;
    case ALK_SPAWN_KILL:
    case ALK_SPAWN_LIMIT:
    case ALK_SPAWN_STARTED:
    case ALK_SPAWN_EXITED:
        m.u.number = 15;
        break;
    case ALK_SPAWN_FAILED:
        m.u.failed.sys_errno = 2;
        m.u.failed.stage = ALK_STAGE_EXEC;
        break;
    case ALK_SPAWN_RELEASE:
        break;
    }
    return m;
}

static size_t fds_of(enum alk_spawn_type type)
{
    return type == ALK_SPAWN_HOST ? 3 : type == ALK_SPAWN_ATTACH || type == ALK_SPAWN_EXEC ? 1 : 0;
}

static struct alk_span put(uint8_t *text, size_t size, const struct alk_spawn_msg *m)
{
    struct alk_wr w = alk_wr(text, size);
    check_err(alk_spawn_msg_write(&w, m), ALK_OK);
    return alk_wr_span(&w);
}

static void every_message_comes_back_in_its_direction_alone(void **state)
{
    uint8_t first[256], second[256];
    struct alk_spawn_msg got;
    (void)state;
    for (unsigned t = ALK_SPAWN_ATTACH; t <= ALK_SPAWN_EXITED; t++) {
        enum alk_spawn_type type = (enum alk_spawn_type)t;
        struct alk_spawn_msg m = sample(type);
        bool to_spawner = type < ALK_SPAWN_STARTED;
        struct alk_span text = put(first, sizeof first, &m);
        check_err(alk_spawn_msg_parse(text, fds_of(type), to_spawner, &got), ALK_OK);
        assert_true(alk_span_equal(text, put(second, sizeof second, &got)));
        check_err(alk_spawn_msg_parse(text, fds_of(type), !to_spawner, &got), ALK_E_MALFORMED);
        check_err(alk_spawn_msg_parse(text, fds_of(type) + 1, to_spawner, &got),
                  type == ALK_SPAWN_EXEC ? ALK_OK : ALK_E_MALFORMED);
    }
}

static void prefixes_and_extensions_are_malformed(void **state)
{
    uint8_t text[256];
    struct alk_spawn_msg got;
    (void)state;
    for (unsigned t = ALK_SPAWN_ATTACH; t <= ALK_SPAWN_EXITED; t++) {
        enum alk_spawn_type type = (enum alk_spawn_type)t;
        struct alk_spawn_msg m = sample(type);
        struct alk_span s = put(text, sizeof text - 1, &m);
        for (size_t n = 0; n <= s.n + 1; n++) {
            text[s.n] = 0;
            if (n != s.n) {
                check_err(alk_spawn_msg_parse(alk_span(s.p, n), fds_of(type),
                                              type < ALK_SPAWN_STARTED, &got),
                          ALK_E_MALFORMED);
            }
        }
    }
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_spawn_msg got;
    uint8_t again[512];
    const enum alk_spawn_type *type = ctx;
    if (alk_spawn_msg_parse(in, fds_of(*type), *type < ALK_SPAWN_STARTED, &got) == ALK_OK) {
        assert_true(alk_span_equal(in, put(again, sizeof again, &got)));
    }
}

static void mutations_do_no_harm(void **state)
{
    uint8_t text[256];
    (void)state;
    for (unsigned t = ALK_SPAWN_ATTACH; t <= ALK_SPAWN_EXITED; t++) {
        enum alk_spawn_type type = (enum alk_spawn_type)t;
        struct alk_spawn_msg m = sample(type);
        check_mutations(put(text, sizeof text, &m), look, &type);
    }
}

static void refuse(const struct alk_spawn_msg *m, size_t fds)
{
    uint8_t text[256];
    struct alk_spawn_msg got;
    check_err(alk_spawn_msg_parse(put(text, sizeof text, m), fds, true, &got), ALK_E_MALFORMED);
}

static void words_must_be_counted_and_ended(void **state)
{
    struct alk_spawn_msg m = sample(ALK_SPAWN_EXEC);
    (void)state;
    m.u.exec.argc = 3;
    refuse(&m, 1);
    m.u.exec.argc = 0;
    refuse(&m, 1);
    m = sample(ALK_SPAWN_EXEC);
    m.u.exec.words.n--; /* the last word without its end */
    refuse(&m, 1);
    m = sample(ALK_SPAWN_EXEC);
    m.u.exec.cwd = alk_span("/a\0b", 5);
    refuse(&m, 1);
    m.u.exec.cwd = alk_span("/a", 2);
    refuse(&m, 1);
}

static void descriptors_must_be_there(void **state)
{
    struct alk_spawn_msg m = sample(ALK_SPAWN_EXEC);
    (void)state;
    m.u.exec.stdio[2] = 1; /* of one */
    refuse(&m, 1);
    m = sample(ALK_SPAWN_EXEC);
    refuse(&m, 0);
    refuse(&m, 5);
    m.u.exec.stdio[ALK_SPAWN_CHANNEL] = 1; /* of one */
    refuse(&m, 1);
    m = sample(ALK_SPAWN_HOST);
    refuse(&m, 2);
    m.u.host.channels = 0;
    refuse(&m, 1);
}

static void stages_have_names(void **state)
{
    (void)state;
    assert_string_equal(alk_spawn_stage_text(ALK_STAGE_CWD), "chdir");
    assert_string_equal(alk_spawn_stage_text(ALK_STAGE_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_in_its_direction_alone),
        cmocka_unit_test(prefixes_and_extensions_are_malformed),
        cmocka_unit_test(mutations_do_no_harm),
        cmocka_unit_test(words_must_be_counted_and_ended),
        cmocka_unit_test(descriptors_must_be_there),
        cmocka_unit_test(stages_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
