/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/spawn_msg.h"

#define NO_FD 255

const char *alk_spawn_stage_text(unsigned stage)
{
    static const char *const texts[] = {
        [ALK_STAGE_REQUEST] = "request", [ALK_STAGE_FORK] = "fork", [ALK_STAGE_USER] = "user",
        [ALK_STAGE_LIMITS] = "limits",   [ALK_STAGE_CWD] = "chdir", [ALK_STAGE_STDIO] = "stdio",
        [ALK_STAGE_EXEC] = "exec",
    };
    return stage < ALK_STAGE_COUNT ? texts[stage] : "?";
}

alk_err alk_spawn_msg_write(struct alk_wr *w, const struct alk_spawn_msg *m)
{
    alk_wr_u8(w, (uint8_t)m->type);
    alk_wr_u64(w, m->id);
    switch (m->type) {
    case ALK_SPAWN_EXEC:
        alk_wr_u64(w, m->u.exec.memory);
        alk_wr_u8(w, m->u.exec.new_privileges);
        alk_wr_bytes(w, alk_span(m->u.exec.stdio, ALK_SPAWN_STDIO));
        alk_wr_block16(w, m->u.exec.cwd);
        alk_wr_block8(w, m->u.exec.user);
        alk_wr_u16(w, m->u.exec.argc);
        alk_wr_u16(w, m->u.exec.envc);
        alk_wr_block32(w, m->u.exec.words);
        break;
    case ALK_SPAWN_HOST:
        alk_wr_block8(w, m->u.host.handler);
        alk_wr_u8(w, m->u.host.channels);
        alk_wr_u8(w, m->u.host.has_stderr);
        break;
    case ALK_SPAWN_KILL:
    case ALK_SPAWN_LIMIT:
    case ALK_SPAWN_STARTED:
    case ALK_SPAWN_EXITED:
        alk_wr_u32(w, m->u.number);
        break;
    case ALK_SPAWN_FAILED:
        alk_wr_u32(w, m->u.failed.sys_errno);
        alk_wr_u8(w, m->u.failed.stage);
        break;
    case ALK_SPAWN_ATTACH:
    case ALK_SPAWN_RELEASE:
        break;
    }
    return w->err;
}

/* Exactly one zero byte, at the end. */
static bool is_cstr(struct alk_span s)
{
    return s.n > 0 && alk_span_find(s, 0) == s.n - 1;
}

static bool words_fit(struct alk_span words, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < words.n; i++) {
        n += words.p[i] == 0;
    }
    return n == count && (words.n == 0 || words.p[words.n - 1] == 0);
}

static void get_exec(struct alk_rd *r, size_t fds, struct alk_spawn_msg *m)
{
    m->u.exec.memory = alk_rd_u64(r);
    unsigned flag = alk_rd_u8(r);
    m->u.exec.new_privileges = flag == 1;
    alk_rd_bytes(r, m->u.exec.stdio, ALK_SPAWN_STDIO);
    m->u.exec.cwd = alk_rd_block16(r, 4096);
    m->u.exec.user = alk_rd_block8(r);
    m->u.exec.argc = alk_rd_u16(r);
    m->u.exec.envc = alk_rd_u16(r);
    m->u.exec.words = alk_rd_block32(r, ALK_SPAWN_TEXT_MAX);
    bool is_right = flag <= 1 && is_cstr(m->u.exec.cwd) && is_cstr(m->u.exec.user) &&
                    m->u.exec.argc >= 1 && m->u.exec.argc <= ALK_SPAWN_ARGS_MAX &&
                    m->u.exec.envc <= ALK_SPAWN_ARGS_MAX && fds <= ALK_SPAWN_STDIO &&
                    words_fit(m->u.exec.words, (size_t)m->u.exec.argc + m->u.exec.envc);
    for (size_t i = 0; i < ALK_SPAWN_STDIO; i++) {
        is_right = is_right && (m->u.exec.stdio[i] < fds || m->u.exec.stdio[i] == NO_FD);
    }
    if (!is_right) {
        alk_rd_fail(r, ALK_E_MALFORMED);
    }
}

static void get_host(struct alk_rd *r, size_t fds, struct alk_spawn_msg *m)
{
    m->u.host.handler = alk_rd_block8(r);
    m->u.host.channels = alk_rd_u8(r);
    unsigned flag = alk_rd_u8(r);
    m->u.host.has_stderr = flag == 1;
    if (flag > 1 || !is_cstr(m->u.host.handler) || m->u.host.channels == 0 ||
        fds != (size_t)m->u.host.channels + flag) {
        alk_rd_fail(r, ALK_E_MALFORMED);
    }
}

/* Fields of one type; how many descriptors it may carry. */
static size_t get_body(struct alk_rd *r, size_t fds, struct alk_spawn_msg *m)
{
    switch (m->type) {
    case ALK_SPAWN_EXEC:
        get_exec(r, fds, m);
        return fds;
    case ALK_SPAWN_HOST:
        get_host(r, fds, m);
        return fds;
    case ALK_SPAWN_KILL:
    case ALK_SPAWN_LIMIT:
    case ALK_SPAWN_STARTED:
    case ALK_SPAWN_EXITED:
        m->u.number = alk_rd_u32(r);
        return 0;
    case ALK_SPAWN_FAILED:
        m->u.failed.sys_errno = alk_rd_u32(r);
        m->u.failed.stage = alk_rd_u8(r);
        return 0;
    case ALK_SPAWN_ATTACH:
        return 1;
    case ALK_SPAWN_RELEASE:
        break;
    }
    return 0;
}

alk_err alk_spawn_msg_parse(struct alk_span datagram, size_t fds, bool to_spawner,
                            struct alk_spawn_msg *ret)
{
    struct alk_rd r = alk_rd(datagram);
    struct alk_spawn_msg m = {0};
    unsigned type = alk_rd_u8(&r);
    m.id = alk_rd_u64(&r);
    unsigned first = to_spawner ? ALK_SPAWN_ATTACH : ALK_SPAWN_STARTED;
    unsigned last = to_spawner ? ALK_SPAWN_LIMIT : ALK_SPAWN_EXITED;
    if (r.err != ALK_OK || type < first || type > last) {
        return ALK_E_MALFORMED;
    }
    m.type = (enum alk_spawn_type)type;
    size_t fds_wanted = get_body(&r, fds, &m);
    if (r.err != ALK_OK || alk_rd_left(&r) != 0 || fds_wanted != fds) {
        return ALK_E_MALFORMED;
    }
    *ret = m;
    return ALK_OK;
}
