/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Push certificates: who says that he pushes this, here and now? git has put the
 * certificate's text into an object and compared its nonce; everything else is ours. */
#include "gitrun.h"

#include "core/auth/fingerprint.h"
#include "git/proto/pushcert.h"
#include "git/pushee.h"
#include "git/sshsig_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CERT_MAX  ((size_t)32 << 20)
#define CERT_FILE "alknet-push-certs"

bool gh_cert_read(struct alk_buf *ret)
{
    const char *id = gh_env("GIT_PUSH_CERT");
    alk_buf_init(ret, NULL, CERT_MAX + 65536);
    if (id[0] == '\0') {
        return false;
    }
    const char *const argv[] = {"git", "cat-file", "blob", id, NULL};
    if (!alk_git_id_is_valid(alk_span_str(id)) || !gh_capture(argv, (struct alk_span){0}, ret)) {
        gh_decline("the certificate of this push cannot be read");
    }
    return true;
}

static const char *nonce_problem(void)
{
    const char *status = gh_env("GIT_PUSH_CERT_NONCE_STATUS");
    if (strcmp(status, "OK") == 0) {
        return NULL;
    }
    if (gh_env("GIT_PUSH_CERT_NONCE")[0] == '\0') { /* we gave none */
        return "push certificates are not taken here";
    }
    if (strcmp(status, "MISSING") == 0) {
        return "the certificate has no nonce";
    }
    return "the nonce of the certificate was not made for this push";
}

/* Somebody else could have been given it as the certificate of a push to a node of his own,
 * and hand it on here: where nobody is known but by it, it must say that it is for this node. */
static bool is_for_this_node(struct alk_span pushee)
{
    const char *list = getenv("ALKNET_GIT_ALONE");
    struct alk_span key = alk_span_str(gh_env("ALKNET_GIT_KEY"));
    struct alk_span rest = alk_span_str(list == NULL ? "" : list);
    bool is_it = list == NULL || alk_git_pushee_is_at(pushee, (struct alk_span){0}, key);
    while (!is_it && rest.n > 0) {
        is_it = alk_git_pushee_is_at(pushee, alk_span_cut(&rest, ' '), key);
    }
    return is_it;
}

/* What stands in the way of believing it; NULL: nothing. git runs commands that come beside
 * a certificate together with those in it, so the two lists are compared here. */
static const char *problem_of(struct alk_span text, struct alk_span lines,
                              struct alk_key_names *ret)
{
    struct alk_git_pushcert cert;
    alk_err err = alk_git_pushcert_parse(text, &cert);
    if (err == ALK_E_UNSUPPORTED) {
        return "the certificate is not signed with an SSH key (git config gpg.format ssh)";
    }
    if (err != ALK_OK) {
        return "the certificate cannot be understood";
    }
    const char *problem = nonce_problem();
    if (problem != NULL) {
        return problem;
    }
    if (!alk_span_is(cert.nonce, gh_env("GIT_PUSH_CERT_NONCE"))) {
        return "the nonce of the certificate was not made for this push";
    }
    if (!alk_span_equal(cert.commands, lines)) {
        return "the certificate does not name what is pushed";
    }
    if (!alk_git_pushee_is(cert.pushee, alk_span_str(gh_env("ALKNET_GIT_REPO")),
                           alk_span_str(gh_env("ALKNET_GIT_KEY")))) {
        return "the certificate was made for another repository";
    }
    if (!is_for_this_node(cert.pushee)) {
        return "the certificate does not name this node: push to the address that it is known by";
    }
    if (alk_git_sshsig_check(NULL, cert.signature, &cert.signed_text, 1, ret) != ALK_OK) {
        return "the signature of the certificate is not good";
    }
    return NULL;
}

void gh_put_names(struct alk_buf *b, const char *word, const struct alk_key_names *names)
{
    (void)alk_buf_put_str(b, word);
    for (size_t i = 0; i < names->count; i++) {
        (void)alk_buf_printf(b, " %s", names->name[i]);
    }
}

void gh_cert_check(struct alk_span lines)
{
    struct alk_key_names names = {.count = 0};
    struct alk_buf text, message;
    char answer[1024];
    const char *rest;
    if (!gh_cert_read(&text)) {
        return;
    }
    const char *problem = problem_of(alk_buf_span(&text), lines, &names);
    if (problem != NULL) {
        gh_decline(problem);
    }
    alk_buf_init(&message, NULL, 2048);
    gh_put_names(&message, "signer", &names);
    if (!gh_ask(alk_buf_span(&message), "ok", answer, sizeof answer, &rest)) {
        gh_decline(rest);
    }
    alk_buf_fini(&message);
    alk_buf_fini(&text);
}

/* All of the record or, on a disk that is full, nothing. Pushes at one time come one
 * after the other. False: see errno. */
static bool append(int fd, struct alk_span record)
{
    struct stat st;
    if (flock(fd, LOCK_EX) != 0 || fstat(fd, &st) != 0) {
        return false;
    }
    ssize_t n = write(fd, record.p, record.n);
    if (n == (ssize_t)record.n) {
        return fsync(fd) == 0;
    }
    int error = n < 0 ? errno : ENOSPC;
    int rc = n > 0 ? ftruncate(fd, st.st_size) : 0;
    errno = rc == 0 ? error : errno;
    return false;
}

void gh_cert_keep(void)
{
    struct alk_buf text, record;
    char when[40];
    struct tm tm;
    time_t now = time(NULL);
    if (!gh_cert_read(&text)) {
        return;
    }
    if (gmtime_r(&now, &tm) == NULL ||
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        when[0] = '\0';
    }
    alk_buf_init(&record, NULL, CERT_MAX + 65536 + 128);
    (void)alk_buf_printf(&record, "# accepted %s\n", when);
    (void)alk_buf_put(&record, alk_buf_span(&text));
    (void)alk_buf_put_str(&record, "\n");
    int fd = open(CERT_FILE, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (record.err != ALK_OK || fd < 0 || !append(fd, alk_buf_span(&record))) {
        (void)fprintf(stderr, "the certificate could not be kept: %s\n", strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    alk_buf_fini(&record);
    alk_buf_fini(&text);
}
