/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A session of alknet/git over a memory connection: what is asked of the helper, what is
 * refused before it is started, what it may say on its channel. The helper is a script that
 * plays the hooks' part: "> text" is said to the node, "< text" is what it must answer. */
#include "git/git.h"

#include "core/auth/identity.h"
#include "core/conn.h"
#include "support/host_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char script[] =
    "#!/usr/bin/python3\n"
    "import os, sys\n"
    "play = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), 'play')\n"
    "if not os.path.exists(play):\n"
    "    print(' '.join(a for a in sys.argv[1:] if not a.startswith('--helper')), flush=True)\n"
    "    sys.stdin.read()\n"
    "    sys.exit(0)\n"
    "for line in open(play):\n"
    "    line = line.rstrip('\\n').replace('|', '\\n')\n"
    "    if line[0] == '>':\n"
    "        os.write(3, line[2:].encode())\n"
    "        continue\n"
    "    got = os.read(3, 4096).decode()\n"
    "    if got != line[2:]:\n"
    "        print('said', got, flush=True)\n"
    "        sys.exit(1)\n"
    "print('fine', flush=True)\n";

struct site {
    struct host_world w;
    char dir[64];
    struct alk_identity_provider provider;
    const struct alk_identity *dev, *other;
};

static void put(const char *dir, const char *name, const char *text, mode_t mode)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static const struct alk_identity *somebody(const char *id, const char *name, const char *ref)
{
    const struct alk_span actions[] = {ALK_LIT("read"), ALK_LIT("write")};
    const struct alk_span refs[] = {alk_span_str(ref)};
    const struct alk_grant grant = {.type = ALK_LIT("repo"),
                                    .name = alk_span_str(name),
                                    .actions = actions,
                                    .action_count = 2,
                                    .refs = refs,
                                    .ref_count = ref == NULL ? 0 : 1};
    const struct alk_identity_spec spec = {
        .id = alk_span_str(id), .grants = &grant, .grant_count = 1};
    const struct alk_identity *ret = NULL;
    char why[128];
    check_err(alk_identity_new(NULL, &spec, why, sizeof why, &ret), ALK_OK);
    return ret;
}

/* Keys are called like those who have them; a token likewise. */
static void resolve(void *provider, const struct alk_auth_query *q, alk_auth_done_fn *done,
                    void *ctx)
{
    const struct site *s = provider;
    bool is_token = q->kind == ALK_CREDENTIAL_TOKEN;
    struct alk_span name = is_token ? q->token : alk_span_str(q->fingerprints[0]);
    const struct alk_identity *who = alk_span_is(name, "dev")     ? s->dev
                                     : alk_span_is(name, "other") ? s->other
                                                                  : NULL;
    done(ctx, who == NULL ? ALK_E_AUTH : ALK_OK, who, 1);
}

static void site_init(struct site *s, const char *play, const char *settings)
{
    char yaml[512];
    *s = (struct site){.provider = {.struct_size = sizeof s->provider, .resolve = resolve}};
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/alknet-git-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    assert_int_equal(chmod(s->dir, 0755), 0);
    put(s->dir, "helper", script, 0755);
    if (play != NULL) {
        put(s->dir, "play", play, 0644);
    }
    s->dev = somebody("dev", "team/*", "refs/heads/**");
    s->other = somebody("other", "theirs", NULL);
    (void)snprintf(yaml, sizeof yaml, "root: /srv\nhelper: %s/helper\n%s", s->dir, settings);
    host_world_init(&s->w, NULL, 0, NULL);
    s->w.hub.auth.provider = &s->provider;
    s->w.hub.auth.provider_ctx = s;
    host_world_serve(&s->w, &alk_git_handler, yaml);
    (void)snprintf(s->w.auth.fingerprints[0], sizeof s->w.auth.fingerprints[0], "dev");
}

static void site_fini(struct site *s)
{
    char path[128];
    host_world_fini(&s->w);
    alk_identity_unref(s->dev);
    alk_identity_unref(s->other);
    (void)snprintf(path, sizeof path, "%s/helper", s->dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/play", s->dir);
    (void)unlink(path);
    assert_int_equal(rmdir(s->dir), 0);
}

/* One packet; '|' stands for a zero byte. */
static size_t packet(const char *text, char ret[static 1024])
{
    int n = snprintf(ret, 1024, "%04zx%s", strlen(text) + 4, text);
    for (int i = 4; i < n; i++) {
        ret[i] = ret[i] == '|' ? '\0' : ret[i];
    }
    return (size_t)n;
}

static void send_bytes(struct host_peer *p, const char *bytes, size_t n)
{
    size_t took = 0;
    check_err(alk_stream_write(p->stream, alk_span(bytes, n), &took), ALK_OK);
}

static void ask(struct site *s, struct host_peer *p, const char *text)
{
    char bytes[1024];
    host_peer_open(&s->w, p);
    send_bytes(p, bytes, packet(text, bytes));
}

/* What comes of these bytes, when the client then ends. */
static void check_bytes_of(struct site *s, const char *bytes, size_t n, const char *want)
{
    struct host_peer p;
    host_peer_open(&s->w, &p);
    send_bytes(&p, bytes, n);
    alk_stream_finish(p.stream);
    host_world_until(&s->w, host_peer_is_over, &p);
    if (strstr(p.text, want) == NULL) {
        fail_msg("'%s' is answered '%s', not '%s'", bytes, p.text, want);
    }
    assert_true(p.has_end);
    host_world_until(&s->w, host_peer_is_closed, &p);
}

static void check_bytes(struct site *s, const char *bytes, const char *want)
{
    check_bytes_of(s, bytes, strlen(bytes), want);
}

static void check_answer(struct site *s, const char *text, const char *want)
{
    char bytes[1024];
    check_bytes_of(s, bytes, packet(text, bytes), want);
}

static void a_request_becomes_arguments_of_the_helper(void **state)
{
    struct site s;
    (void)state;
    site_init(&s, NULL, "max_pack: 5MiB\nmemory: 7MiB\ncreate_on_push: true\ncache: {size: 0}\n");
    host_world_connect(&s.w);
    check_answer(&s, "git-upload-pack /team/a|host=x||version=2|token=dev|",
                 "serve --root=/srv --git=/usr/bin/git --repo=team/a --memory=7340032 "
                 "--service=git-upload-pack --version=2\n");
    check_answer(&s, "git-receive-pack /team/a.git|host=x|",
                 "serve --root=/srv --git=/usr/bin/git --repo=team/a --memory=7340032 "
                 "--service=git-receive-pack --version=0 --suffix --signed-push=allowed "
                 "--max-pack=5242880 --create --branch=main\n");
    check_answer(&s, "git-upload-archive /team/%61 b|",
                 "serve --root=/srv --git=/usr/bin/git --repo=team/a b --memory=7340032 "
                 "--service=git-upload-archive ");
    site_fini(&s);
}

static void however_it_is_cut_it_is_the_same_request(void **state)
{
    struct site s;
    char bytes[1024];
    size_t n = packet("git-upload-pack /team/a|host=x|", bytes);
    (void)state;
    site_init(&s, NULL, "");
    host_world_connect(&s.w);
    for (size_t cut = 1; cut < n; cut += 5) {
        struct host_peer p;
        host_peer_open(&s.w, &p);
        send_bytes(&p, bytes, cut);
        host_world_run(&s.w, 2);
        send_bytes(&p, bytes + cut, n - cut);
        alk_stream_finish(p.stream);
        host_world_until(&s.w, host_peer_is_over, &p);
        assert_non_null(strstr(p.text, "--repo=team/a "));
        host_world_until(&s.w, host_peer_is_closed, &p);
    }
    site_fini(&s);
}

static void what_is_refused_starts_nothing(void **state)
{
    static const struct {
        const char *request, *answer;
    } rows[] = {
        {"git-upload-pack /theirs|", "ERR repository 'theirs' not found, or access denied"},
        {"git-upload-pack /team/a||version=2|token=other|",
         "ERR repository 'team/a' not found, or access denied"},
        {"git-upload-pack /theirs|||token=dev2|",
         "ERR authentication failed: the token is not valid"},
        {"git-upload-pack /../x|", "ERR this is no name of a repository"},
        {"git-upload-pack /team/-x|", "ERR this is no name of a repository"},
        {"git-receive-pack /m|", "ERR repository 'm' not found"},
        {"git-receive-pack /team/m|", "ERR repository 'team/m' is read-only here"},
        {"git-lfs-authenticate /team/a download|", "ERR "},
        {"nonsense", "ERR "},
    };
    struct site s;
    (void)state;
    site_init(&s, NULL, "repositories: [{match: team/m, read_only: true}]\n");
    host_world_connect(&s.w);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_answer(&s, rows[i].request, rows[i].answer);
    }
    check_bytes(&s, "0000", "ERR ");
    check_bytes(&s, "GET / HTTP/1.1\r\n\r\n", "ERR this is not Git's protocol");
    check_bytes(&s, "fff0x", "ERR the request is too long");
    site_fini(&s);
}

static void nobody_is_told_that_a_credential_would_help(void **state)
{
    static const char *const names[] = {"team/a", "none"};
    struct site s;
    (void)state;
    site_init(&s, NULL, "repositories: [{match: pub, public: true}]\n");
    s.w.auth.fingerprints[0][0] = '\0';
    host_world_connect(&s.w);
    for (size_t i = 0; i < 2; i++) {
        char request[64], answer[128];
        (void)snprintf(request, sizeof request, "git-upload-pack /%s|", names[i]);
        (void)snprintf(answer, sizeof answer,
                       "ERR authentication required: repository '%s' not found, or access denied",
                       names[i]);
        check_answer(&s, request, answer);
    }
    check_answer(&s, "git-upload-pack /pub|", "--repo=pub ");
    site_fini(&s);
}

static void a_peer_that_says_nothing_is_not_waited_for(void **state)
{
    struct site s;
    struct host_peer p;
    (void)state;
    site_init(&s, NULL, "request_timeout: 100ms\n");
    host_world_connect(&s.w);
    host_peer_open(&s.w, &p);
    send_bytes(&p, "00", 2);
    host_world_until(&s.w, host_peer_is_over, &p);
    assert_true(p.has_reset);
    assert_int_equal(p.code, ALK_CODE_TIMEOUT);
    site_fini(&s);
}

static void a_push_in_early_data_waits_and_a_fetch_does_not(void **state)
{
    struct site s;
    struct host_peer push, fetch;
    (void)state;
    site_init(&s, NULL, "");
    s.w.auth.is_early = true;
    host_world_connect(&s.w);
    ask(&s, &push, "git-receive-pack /team/a|");
    ask(&s, &fetch, "git-upload-pack /team/a|");
    alk_stream_finish(push.stream);
    alk_stream_finish(fetch.stream);
    host_world_until(&s.w, host_peer_is_over, &fetch);
    assert_true(fetch.has_end);
    host_world_run(&s.w, 50);
    assert_int_equal(push.total, 0);
    assert_false(host_peer_is_over(&push));
    alk_conn_raise(alk_mem_server(s.w.pair), ALK_CONN_CONFIRMED);
    host_world_until(&s.w, host_peer_is_over, &push);
    assert_non_null(strstr(push.text, "--service=git-receive-pack"));
    site_fini(&s);
}

static void a_push_that_is_never_confirmed_is_forgotten(void **state)
{
    struct site s;
    struct host_peer push;
    (void)state;
    site_init(&s, NULL, "");
    s.w.auth.is_early = true;
    host_world_connect(&s.w);
    ask(&s, &push, "git-receive-pack /team/a|");
    host_world_run(&s.w, 20);
    host_world_disconnect(&s.w);
    assert_int_equal(push.total, 0);
    site_fini(&s);
}

static void one_more_than_there_may_be_is_told_so(void **state)
{
    struct site s;
    struct host_peer first;
    (void)state;
    site_init(&s, NULL, "max_instances: 1\n");
    host_world_connect(&s.w);
    ask(&s, &first, "git-upload-pack /team/a|");
    host_world_until(&s.w, host_peer_has_some, &first);
    check_answer(&s, "git-upload-pack /team/b|", "ERR too many requests");
    alk_stream_finish(first.stream);
    host_world_until(&s.w, host_peer_is_over, &first);
    assert_true(first.has_end);
    host_world_until(&s.w, host_peer_is_closed, &first);
    check_answer(&s, "git-upload-pack /team/b|", "--repo=team/b ");
    site_fini(&s);
}

static void what_stalls_is_ended(void **state)
{
    struct site s;
    struct host_peer p;
    (void)state;
    site_init(&s, NULL, "stall_timeout: 200ms\n");
    host_world_connect(&s.w);
    ask(&s, &p, "git-upload-pack /team/a|");
    host_world_until(&s.w, host_peer_has_some, &p);
    host_world_until(&s.w, host_peer_is_over, &p);
    assert_int_equal(p.code, ALK_CODE_TIMEOUT);
    site_fini(&s);
}

/* --- hooks ------------------------------------------------------------------------ */

#define ID0  "0000000000000000000000000000000000000000"
#define ID1  "1111111111111111111111111111111111111111"
#define MAIN "> refs|" ID0 " " ID1 " refs/heads/main|\n"
#define TAG  "> refs|" ID0 " " ID1 " refs/heads/main|" ID0 " " ID1 " refs/tags/x|\n"

static void check_play(const char *play, const char *settings, bool is_good)
{
    struct site s;
    struct host_peer p;
    site_init(&s, play, settings);
    host_world_connect(&s.w);
    ask(&s, &p, "git-receive-pack /team/a|");
    host_world_until(&s.w, host_peer_is_over, &p);
    if (p.has_end != is_good || (is_good && strcmp(p.text, "fine\n") != 0)) {
        fail_msg("'%s' ends with '%s', code %u", play, p.text, (unsigned)p.code);
    }
    site_fini(&s);
}

static void the_node_says_who_may_push_what(void **state)
{
    static const char begin[] = "> begin\n< go\n";
    char play[1024];
    static const struct {
        const char *talk, *settings;
    } rows[] = {
        {MAIN "> check\n< ok\n> after\n" MAIN "> end\n", ""},
        {TAG "> check\n< no you may not push to refs/tags/x\n> declined x\n", ""},
        {"> refs|rubbish|\n> check\n< no you may not push to rubbish\n", ""},
        {"> refs|" ID0 " " ID1 " refs/heads/a..b|\n> check\n< no you may not push to " ID0 " " ID1
         " refs/heads/a..b\n",
         ""},
        {"> signer dev\n< ok dev\n" MAIN "> check\n< ok\n", ""},
        {"> signer x dev\n< no nobody known here has the key that signed this push\n", ""},
        {"> signer other\n< no the certificate was signed by somebody else than you\n", ""},
        {MAIN "> check\n< no this repository takes signed pushes only (git push --signed)\n",
         "signed_push: required\n"},
        {"> signer dev\n< ok dev\n" MAIN "> check\n< ok\n", "signed_push: required\n"},
        {MAIN "> check\n< ok\n> author other\n< ok other\n> author x\n< no\n", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(play, sizeof play, "%s%s", begin, rows[i].talk);
        check_play(play, rows[i].settings, true);
    }
}

static void a_hook_that_talks_out_of_turn_ends_the_push(void **state)
{
    static const char *const plays[] = {
        "> check\n< ok\n",
        MAIN "< x\n",
        "> begin\n< go\n> begin\n< go\n",
        "> begin\n< go\n> rubbish\n< x\n",
        "> begin\n< go\n> author dev\n< ok dev\n",
        "> begin\n< go\n> after\n< x\n",
        "> begin\n< go\n" MAIN "> signer dev\n< ok dev\n",
        "> begin\n< go\n> signer \n< x\n",
        "> begin\n< go\n> signer a b c d e\n< x\n",
        "> begin\n< go\n" MAIN "> check\n< ok\n> check\n< ok\n",
        "> begin\n< go\n" MAIN "> check\n< ok\n" MAIN "< x\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof plays / sizeof plays[0]; i++) {
        check_play(plays[i], "", false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_becomes_arguments_of_the_helper),
        cmocka_unit_test(however_it_is_cut_it_is_the_same_request),
        cmocka_unit_test(what_is_refused_starts_nothing),
        cmocka_unit_test(nobody_is_told_that_a_credential_would_help),
        cmocka_unit_test(a_peer_that_says_nothing_is_not_waited_for),
        cmocka_unit_test(a_push_in_early_data_waits_and_a_fetch_does_not),
        cmocka_unit_test(a_push_that_is_never_confirmed_is_forgotten),
        cmocka_unit_test(one_more_than_there_may_be_is_told_so),
        cmocka_unit_test(what_stalls_is_ended),
        cmocka_unit_test(the_node_says_who_may_push_what),
        cmocka_unit_test(a_hook_that_talks_out_of_turn_ends_the_push),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
