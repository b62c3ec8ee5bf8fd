/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The configuration loader: any text gives snapshots or errors, and a tree that
 * was accepted prints as a document that gives an equal tree. */
#include "core/config/reload.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7.12 loses a buffer of 2 KiB when a quoted scalar with many escapes
 * turns out to be wrong (corpus/config_load/quotes.yaml). The unit tests run
 * without this. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

static const struct alk_alpn git_alpns[] = {{"alknet/git", ALK_TRANSPORT_ANY}};
static const struct alk_conf_row secret_row[] = {
    {.name = "secret", .type = ALK_CONF_STRING, .is_secret = true}, {.name = NULL}};
static const struct alk_conf_row git_rows[] = {
    {.name = "root", .type = ALK_CONF_STRING, .min = 1, .max = 4096, .fallback = "git"},
    {.name = "secrets", .type = ALK_CONF_DICT, .sub = secret_row},
    {.name = "password", .type = ALK_CONF_STRING, .is_secret = true, .max = 64},
    {.name = NULL}};
static const struct alk_handler git = {
    .name = "git", .alpns = git_alpns, .alpn_count = 1, .settings = git_rows};
static const struct alk_handler exec = {.name = "exec", .settings = alk_config_exec_rows};
static const struct alk_handler forward = {.name = "forward", .settings = alk_config_forward_rows};
static const struct alk_handler *const handlers[] = {&git, &exec, &forward};

/* "Decrypts" to the JSON itself, so that opened values are fuzzed too. */
static alk_err open_value(void *ctx, const char *path, struct alk_span json, struct alk_buf *ret,
                          char *why, size_t why_size)
{
    (void)ctx;
    (void)why;
    (void)why_size;
    (void)path;
    return json.n % 7 == 0 ? ALK_E_CRYPTO : alk_buf_put(ret, json);
}

static const struct alk_conf_opener opener = {open_value, NULL};

static alk_err load(struct alk_span text, const struct alk_static_config **fixed,
                    const struct alk_dynamic_config **dynamic)
{
    const struct alk_config_options options = {
        .text = text,
        .name = "fuzz.yaml",
        .default_data_dir = "/var/lib/alknet",
        .base_dir = "/etc/alknet",
        .handlers = handlers,
        .handler_count = sizeof(handlers) / sizeof(handlers[0]),
        .opener = &opener,
    };
    struct alk_conf_errors errors = {0};
    alk_err err = alk_config_load(&options, &errors, fixed, dynamic);
    ALK_ASSERT((err == ALK_E_CONFIG) == (errors.count > 0));
    ALK_ASSERT(err != ALK_E_CONFIG || (errors.text != NULL && errors.n > 0));
    alk_conf_errors_fini(&errors);
    return err;
}

static void print_and_reload(const struct alk_dynamic_config *dynamic)
{
    const struct alk_static_config *fixed = NULL;
    const struct alk_dynamic_config *again = NULL;
    struct alk_config_diff diff = {0};
    char *text = NULL;
    size_t n = 0;
    if (alk_conf_print(NULL, dynamic->tree, &text, &n) != ALK_OK) {
        return;
    }
    alk_err err = n <= ALK_CONF_TEXT_MAX ? load(alk_span(text, n), &fixed, &again) : ALK_E_TOO_BIG;
    ALK_ASSERT(err == ALK_OK || n > ALK_CONF_TEXT_MAX);
    if (err == ALK_OK) {
        ALK_ASSERT(alk_conf_equal(dynamic->tree, again->tree));
        ALK_ASSERT(alk_config_diff(NULL, dynamic, again, &diff) == ALK_OK);
        ALK_ASSERT(diff.change_count == 0 && diff.added_count == 0 && diff.removed_count == 0);
        alk_config_diff_fini(&diff);
        alk_static_config_unref(fixed);
        alk_dynamic_config_unref(again);
    }
    alk_free(NULL, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct alk_static_config *fixed = NULL;
    const struct alk_dynamic_config *dynamic = NULL;
    if (load(alk_span(data, size), &fixed, &dynamic) == ALK_OK) {
        print_and_reload(dynamic);
        alk_static_config_unref(fixed);
        alk_dynamic_config_unref(dynamic);
    }
    return 0;
}
