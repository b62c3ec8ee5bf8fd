/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Replays a fuzz corpus without libFuzzer: replay FILE|DIR... runs the target
 * once on every file, and once on the empty input. Exit 1 when nothing can be
 * read; a finding crashes. */
#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return 0;
    }
    uint8_t *data = malloc(INPUT_MAX);
    if (data == NULL) {
        (void)fclose(f);
        return 0;
    }
    size_t n = fread(data, 1, INPUT_MAX, f);
    (void)fclose(f);
    /* Exact size, so that AddressSanitizer sees one byte too far. */
    uint8_t *exact = realloc(data, n == 0 ? 1 : n);
    if (exact == NULL) {
        free(data);
        return 0;
    }
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 1;
}

static int run_dir(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return 0;
    }
    int n = 0;
    const struct dirent *e;
    while ((e = readdir(dir)) != NULL) {
        char name[4096];
        int len = snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(name)) {
            n += run_file(name);
        }
    }
    (void)closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    int n = 0;
    const uint8_t none = 0;
    (void)LLVMFuzzerTestOneInput(&none, 0);
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) != 0) {
            continue;
        }
        n += S_ISDIR(st.st_mode) ? run_dir(argv[i]) : run_file(argv[i]);
    }
    (void)printf("%d inputs\n", n);
    return n > 0 ? 0 : 1;
}
