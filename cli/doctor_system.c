/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the machine offers. */
#include "doctor.h"

#include "core/host/privileges.h"
#include "core/host/sandbox.h"
#include "core/io/loop.h"
#include "core/io/sock.h"
#include "core/store/file.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <unistd.h>

#define BUFFER_GOOD     ((uint64_t)4 * 1024 * 1024)
#define FILES_GOOD      16384u
#define FILES_LEAST     1024u
/* linux/udp.h, which older headers lack. */
#define OPT_UDP_SEGMENT 103
#define OPT_UDP_GRO     104
/* No clock may be before this program was written: 2026-01-01. */
#define UNIX_LEAST      1767225600u

static bool read_number(const char *path, uint64_t *ret)
{
    struct alk_buf text;
    alk_buf_init(&text, NULL, 256);
    bool is_ok = alk_file_read(path, 255, &text) == ALK_OK;
    struct alk_span rest = alk_buf_span(&text);
    is_ok = is_ok && alk_span_u64(alk_span_cut(&rest, '\n'), UINT64_MAX, ret);
    alk_buf_fini(&text);
    return is_ok;
}

static void check_buffers(struct cli_doctor *d)
{
    uint64_t rmem = 0, wmem = 0;

    if (!read_number("/proc/sys/net/core/rmem_max", &rmem) ||
        !read_number("/proc/sys/net/core/wmem_max", &wmem)) {
        (void)cli_found(d, CLI_WEAK, "buffers", "the limits of socket buffers cannot be read");
        return;
    }
    bool is_good = rmem >= BUFFER_GOOD && wmem >= BUFFER_GOOD;
    struct cli_finding *f =
        cli_found(d, is_good ? CLI_WELL : CLI_WEAK, "buffers",
                  "socket buffers may grow to %llu KiB for reading, %llu KiB for writing%s",
                  (unsigned long long)rmem / 1024, (unsigned long long)wmem / 1024,
                  is_good ? "" : "; bulk transfers lose packets below 4096 KiB");
    if (!is_good) {
        cli_repair(f,
                   "printf 'net.core.rmem_max=%llu\\nnet.core.wmem_max=%llu\\n' | sudo tee "
                   "/etc/sysctl.d/60-alknet.conf && sudo sysctl --system",
                   (unsigned long long)BUFFER_GOOD, (unsigned long long)BUFFER_GOOD);
    }
}

static void check_offload(struct cli_doctor *d)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has_gso = alk_sock_set(fd, IPPROTO_UDP, OPT_UDP_SEGMENT, 1200);
    bool has_gro = alk_sock_set(fd, IPPROTO_UDP, OPT_UDP_GRO, 1);

    if (fd >= 0) {
        (void)close(fd);
    }
    bool is_good = has_gso && has_gro;
    struct cli_finding *f =
        cli_found(d, is_good ? CLI_WELL : CLI_WEAK, "offload",
                  "UDP packets are sent in batches (GSO): %s; received in batches (GRO): %s",
                  has_gso ? "yes" : "no", has_gro ? "yes" : "no");
    if (!is_good) {
        cli_repair(f, "sudo apt-get install linux-image-amd64    # Linux 5.0 or newer");
    }
}

static void check_files(struct cli_doctor *d)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    enum cli_health health = limit.rlim_cur < FILES_LEAST
                                 ? CLI_ILL
                                 : (limit.rlim_cur < FILES_GOOD ? CLI_WEAK : CLI_WELL);
    struct cli_finding *f = cli_found(
        d, health, "files", "a process may open %llu files%s", (unsigned long long)limit.rlim_cur,
        health == CLI_WELL ? "" : "; a busy node needs one per TCP connection and stream");
    if (health != CLI_WELL) {
        cli_repair(f,
                   limit.rlim_max >= FILES_GOOD
                       ? "ulimit -n %u    # or LimitNOFILE= in the service"
                       : "echo '* - nofile %u' | sudo tee /etc/security/limits.d/alknet.conf",
                   FILES_GOOD);
    }
}

static void check_clock(struct cli_doctor *d)
{
    struct timex t = {.modes = 0};
    uint64_t now = alk_clock_unix();

    if (now < UNIX_LEAST) {
        cli_repair(cli_found(d, CLI_ILL, "clock",
                             "the clock is years behind: certificates and "
                             "tokens will be refused"),
                   "sudo timedatectl set-ntp true");
        return;
    }
    int state = adjtimex(&t);
    if (state >= 0 && state != TIME_ERROR && (t.status & STA_UNSYNC) == 0) {
        (void)cli_found(d, CLI_WELL, "clock", "it is kept in step with other clocks");
        return;
    }
    cli_repair(cli_found(d, CLI_WEAK, "clock", "nothing keeps it in step with other clocks"),
               "sudo timedatectl set-ntp true");
}

/* --- separation of handler processes ------------------------------------------ */

static void check_user(struct cli_doctor *d, const char *name, const char *what)
{
    struct alk_user user;
    if (alk_user_find(name, &user) == ALK_OK) {
        (void)cli_found(d, CLI_WELL, "users", "%s run%s as %s", what,
                        what[strlen(what) - 1] == 's' ? "" : "s", name);
        return;
    }
    cli_repair(
        cli_found(d, CLI_WEAK, "users", "there is no user %s: %s would run as root", name, what),
        "sudo adduser --system --group --no-create-home %s", name);
}

static void check_separation(struct cli_doctor *d)
{
    unsigned parts = alk_sandbox_probe();
    char text[128];

    alk_sandbox_text(parts, text, sizeof text);
    bool has_files = (parts & ALK_SANDBOX_FILES) != 0;
    bool is_root = geteuid() == 0;
    int abi = alk_landlock_abi();
    struct cli_finding *f = cli_found(
        d, has_files ? CLI_WELL : CLI_WEAK, "separation",
        "handler processes are kept in by: %s (Landlock %d)%s", text, abi,
        has_files || is_root ? ""
                             : "; they can reach the node's data, because without Landlock "
                               "and without root nothing keeps them out");
    if (!has_files) {
        cli_repair(f, "grep -w lsm= /proc/cmdline    # add landlock to it in /etc/default/grub, "
                      "then: sudo update-grub");
    }
    if (is_root) {
        check_user(d, "alknet", "the node");
        check_user(d, "alknet-host", "handler processes");
    }
}

void cli_doctor_system(struct cli_doctor *d)
{
    check_buffers(d);
    check_offload(d);
    check_files(d);
    check_clock(d);
    check_separation(d);
}
