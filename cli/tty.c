/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "tty.h"

#include "base/ct.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#define LINE 2048

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define SIGNALS (sizeof signals / sizeof signals[0])

static volatile sig_atomic_t caught;

static void catch (int number)
{
    caught = number;
}

/* Up to the line break; -1 when a signal, an error or the end came first. */
static ssize_t read_line(int fd, uint8_t *line, size_t size)
{
    size_t n = 0;
    while (n < size && caught == 0) {
        ssize_t got = read(fd, line + n, 1);
        if (got == 1 && line[n] == '\n') {
            return (ssize_t)n;
        }
        if (got != 1) {
            return -1;
        }
        n++;
    }
    return -1;
}

static ssize_t ask(int fd, const char *prompt, uint8_t *line, size_t size)
{
    struct sigaction was[SIGNALS], now = {.sa_handler = catch}; /* no SA_RESTART */
    struct termios echoing;
    ssize_t n = -1;

    caught = 0;
    for (size_t i = 0; i < SIGNALS; i++) {
        (void)sigaction(signals[i], &now, &was[i]);
    }
    if (tcgetattr(fd, &echoing) == 0) {
        struct termios silent = echoing;
        silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
        (void)tcsetattr(fd, TCSAFLUSH, &silent);
        (void)!write(fd, prompt, strlen(prompt));
        n = read_line(fd, line, size);
        (void)!write(fd, "\n", 1);
        (void)tcsetattr(fd, TCSAFLUSH, &echoing);
    }
    for (size_t i = 0; i < SIGNALS; i++) {
        (void)sigaction(signals[i], &was[i], NULL);
    }
    if (caught != 0) {
        (void)raise(caught);
    }
    return n;
}

int cli_tty_secret(struct cli *cli, const char *prompt, struct alk_buf *ret)
{
    uint8_t line[LINE];
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (fd < 0) {
        return cli_fail(cli, CLI_FAILED,
                        "there is no terminal to ask for a secret on: give it on "
                        "standard input or in a file");
    }
    ssize_t n = ask(fd, prompt, line, sizeof line);
    (void)close(fd);
    alk_err err = n < 0 ? ALK_E_INVALID : alk_buf_put(ret, alk_span(line, (size_t)n));
    alk_wipe(line, sizeof line);
    return err == ALK_OK ? CLI_OK : cli_fail(cli, CLI_FAILED, "nothing was read");
}
