/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The alknet command: streams made safe, then one command. As git-remote-alknet it is
 * git's helper. */
#include "cli.h"
#include "git_remote.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* With 0, 1 or 2 closed, the next open file would become our input or output. Writing to
 * an output that was closed fails: results that are lost must not look like success. */
static bool fill_streams(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            int got = open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY);
            if (got != fd) {
                return false;
            }
        }
    }
    return true;
}

/* Without its folder. */
static const char *name_of(const char *program)
{
    const char *slash = strrchr(program, '/');
    return slash == NULL ? program : slash + 1;
}

int main(int argc, char **argv)
{
    const char *no_color = getenv("NO_COLOR");

    if (!fill_streams() || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return CLI_FAILED;
    }
    const char *program = argc > 0 && strchr(argv[0], '/') != NULL ? argv[0] : "alknet";
    struct cli cli = {.out = stdout,
                      .err = stderr,
                      .program = program,
                      .out_is_tty = isatty(STDOUT_FILENO) == 1,
                      .err_is_tty = isatty(STDERR_FILENO) == 1};
    cli.has_color = cli.out_is_tty && (no_color == NULL || no_color[0] == '\0');
    if (argc > 0 && strcmp(name_of(argv[0]), CLI_GIT_PROGRAM) == 0) {
        return cli_git_main(&cli, argc, (const char *const *)argv);
    }
    return cli_main(&cli, argc, (const char *const *)argv);
}
