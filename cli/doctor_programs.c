/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Programs that the configuration names: a missing one is found here, and not by the first
 * who calls it. */
#include "doctor.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN_MAX 8

struct programs {
    struct cli_doctor *d;
    unsigned seen, wrong;
};

static void check_program(struct programs *p, const char *name, const struct alk_conf *exec)
{
    const char *path = alk_conf_str(alk_conf_at(exec, 0));
    struct stat st;

    p->seen++;
    bool is_there = stat(path, &st) == 0;
    if (is_there && S_ISREG(st.st_mode) && access(path, X_OK) == 0) {
        return;
    }
    const char *why = !is_there ? strerror(errno) : !S_ISREG(st.st_mode) ? "no file" : NULL;
    p->wrong++;
    if (p->wrong > SHOWN_MAX) {
        return;
    }
    struct cli_finding *f = cli_found(p->d, CLI_ILL, "program", "%s of %s cannot be run: %s", path,
                                      name, why == NULL ? "it is not executable" : why);
    cli_repair(f, why == NULL ? "chmod a+x %s" : "ls -l %s", path);
}

static void check_operations(struct programs *p, const struct alk_conf *list)
{
    for (size_t i = 0; i < alk_conf_count(list); i++) {
        const struct alk_conf *one = alk_conf_at(list, i);
        check_program(p, alk_conf_get_str(one, "name"), alk_conf_get(one, "exec"));
    }
}

void cli_doctor_programs(struct cli_doctor *d, const struct alk_dynamic_config *config)
{
    struct programs p = {.d = d};

    for (size_t i = 0; i < config->service_count; i++) {
        const struct alk_config_service *s = &config->services[i];
        const struct alk_conf *exec = alk_conf_get(s->conf, "exec");
        if (s->is_custom && alk_conf_count(exec) > 0) {
            check_program(&p, s->name, exec);
        } else if (!s->is_custom && strcmp(s->name, "call") == 0) {
            check_operations(&p, alk_conf_get(s->conf, "operations"));
        }
    }
    if (p.wrong > SHOWN_MAX) {
        (void)cli_found(d, CLI_ILL, "program", "%u more cannot be run", p.wrong - SHOWN_MAX);
    } else if (p.wrong == 0 && p.seen > 0) {
        (void)cli_found(d, CLI_WELL, "program", "%u program%s of the configuration %s there",
                        p.seen, p.seen == 1 ? "" : "s", p.seen == 1 ? "is" : "are");
    }
}
