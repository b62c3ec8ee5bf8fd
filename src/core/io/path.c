/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/path.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define CWD_SIZE 4096

bool alk_path_absolute(const char *path, char *ret, size_t ret_size)
{
    char cwd[CWD_SIZE] = "";
    ret[0] = '\0';
    if (path[0] != '/' && getcwd(cwd, sizeof cwd) == NULL) {
        return false;
    }
    int n = path[0] == '/' ? snprintf(ret, ret_size, "%s", path)
                           : snprintf(ret, ret_size, "%s/%s", cwd, path);
    if (n < 0 || (size_t)n >= ret_size) {
        ret[0] = '\0';
        return false;
    }
    return true;
}

unsigned alk_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : (unsigned)n;
}
