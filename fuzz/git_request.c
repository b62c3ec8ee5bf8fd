/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The first packet of a stream. What is accepted can be asked again and is the same; a path
 * that names a repository leads nowhere else, and has one name. */
#include "git/proto/pktline.h"
#include "git/proto/refname.h"
#include "git/proto/repopath.h"
#include "git/proto/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static void ask_again(const struct alk_git_request *q)
{
    struct alk_git_ask ask = {.service = q->service,
                              .path = q->path,
                              .host = q->host,
                              .port = q->port,
                              .version = q->version,
                              .token = q->token};
    struct alk_git_request again;
    enum alk_git_request_why why;
    struct alk_git_pkt pkt;
    struct alk_buf b;
    alk_buf_init(&b, NULL, ALK_GIT_PKT_MAX);
    must(alk_git_request_put(&b, &ask) == ALK_OK);
    struct alk_rd r = alk_rd(alk_buf_span(&b));
    must(alk_git_pkt_parse(&r, &pkt) == ALK_OK && alk_rd_left(&r) == 0);
    must(alk_git_request_parse(pkt.data, &again, &why) == ALK_OK);
    must(again.service == q->service && again.port == q->port && again.version == q->version);
    must(alk_span_equal(again.path, q->path) && alk_span_equal(again.host, q->host));
    /* An empty token is not written. */
    must(alk_span_equal(again.token, q->token) && again.has_token == (q->token.n > 0));
    alk_buf_fini(&b);
}

static void look_at_path(struct alk_span path)
{
    struct alk_git_repopath p, again;
    char dir[ALK_GIT_REPO_DIR_SIZE];
    if (alk_git_repopath_parse(path, &p) != ALK_OK) {
        return;
    }
    must(p.n > 0 && strlen(p.name) == p.n && strchr("/.-~", p.name[0]) == NULL);
    must(strstr(p.name, "/.") == NULL && strstr(p.name, "//") == NULL);
    must(strstr(p.name, "/-") == NULL && strchr(p.name, '\\') == NULL);
    must(p.name[p.n - 1] != '/' && alk_span_is_utf8(alk_span(p.name, p.n)));
    must(alk_git_repopath_parse(alk_span(p.name, p.n), &again) == ALK_OK);
    must(strcmp(again.name, p.name) == 0 && !again.has_suffix);
    for (unsigned i = 0; alk_git_repopath_dir(&p, i, dir); i++) {
        must(strncmp(dir, p.name, p.n) == 0 && i < 2);
        must(dir[p.n] == 0 || strcmp(dir + p.n, ".git") == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_git_request q;
    enum alk_git_request_why why;
    struct alk_git_command command;
    struct alk_span in = alk_span(data, size);
    alk_err err = alk_git_request_parse(in, &q, &why);
    must((err == ALK_OK) == (why == ALK_GIT_REQUEST_FINE));
    if (err == ALK_OK) {
        must(q.path.n > 0 && alk_span_find(q.path, 0) == q.path.n);
        ask_again(&q);
        look_at_path(q.path);
    }
    look_at_path(in);
    if (alk_git_command_parse(in, &command) == ALK_OK) {
        must(alk_git_ref_is_valid(command.ref));
        must(command.old_id.n + command.new_id.n + command.ref.n + 2 == in.n);
    }
    must(!alk_git_ref_is_valid(in) || alk_git_ref_is_valid_any(in));
    if (alk_git_ref_is_valid(in) && alk_git_ref_pattern_is_valid(in)) {
        /* A name has no star: it matches itself. */
        must(alk_git_ref_matches(in, in));
    }
    return 0;
}
