/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/doctor.h - findings of `alknet doctor`: each says what was looked at, what
 * was found, and when it is not well the exact command that repairs it.
 */
#ifndef ALK_CLI_DOCTOR_H
#define ALK_CLI_DOCTOR_H

#include "state.h"

enum cli_health {
    CLI_WELL,
    CLI_WEAK, /* it works, but not as well as it could */
    CLI_ILL   /* it does not work: exit status 1 */
};

#define CLI_FINDINGS_MAX 48

struct cli_finding {
    const char *name;
    enum cli_health health;
    char text[512];
    char repair[512]; /* a command, or "" */
};

struct cli_doctor {
    struct cli *cli;
    const struct cli_args *args;
    struct cli_finding findings[CLI_FINDINGS_MAX];
    size_t count;
    int status; /* worst that a check with NODE gave; CLI_OK otherwise */
};

/* Adds a finding; its text is printf's. What does not fit is dropped. */
struct cli_finding *cli_found(struct cli_doctor *d, enum cli_health health, const char *name,
                              const char *fmt, ...) ALK_PRINTF(4, 5);
/* The command that repairs the finding. f may be NULL. */
void cli_repair(struct cli_finding *f, const char *fmt, ...) ALK_PRINTF(2, 3);

void cli_doctor_system(struct cli_doctor *d); /* sockets, files, clock, hosts */
void cli_doctor_node(struct cli_doctor *d,
                     struct cli_state *state); /* data, key, ports, certificate */
void cli_doctor_programs(struct cli_doctor *d,
                         const struct alk_dynamic_config *config); /* of exec: are they there */
void cli_doctor_git(struct cli_doctor *d, const char *root);       /* repositories: old locks */
void cli_doctor_reach(struct cli_doctor *d, const char *node);     /* UDP, TCP, MTU */

#endif
