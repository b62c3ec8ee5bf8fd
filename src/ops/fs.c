/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The part fs: settings, and the table of operations. */
#include "ops/fs.h"

#include "base/mem.h"
#include "core/auth/conf.h"
#include "ops/dispatch.h"
#include "ops/part.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* --- settings --------------------------------------------------------------------- */

static alk_err check_root(const struct alk_conf *value, char *why, size_t why_size)
{
    if (alk_conf_str(value)[0] != '/') {
        (void)snprintf(why, why_size, "must be an absolute path");
        return ALK_E_CONFIG;
    }
    return ALK_OK;
}

static const struct alk_conf_row scope_row[] = {{.name = "scope",
                                                 .type = ALK_CONF_STRING,
                                                 .min = 1,
                                                 .max = ALK_SCOPE_MAX,
                                                 .check = alk_auth_check_scope},
                                                {.name = NULL}};

const struct alk_conf_row alk_fs_rows[] = {
    {.name = "root",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = 4096,
     .is_required = true,
     .check = check_root,
     .help = "The directory. Nothing outside it can be reached, whatever names and links say."},
    {.name = "read",
     .type = ALK_CONF_LIST,
     .sub = scope_row,
     .min = 1,
     .max = 16,
     .scalar_ok = true,
     .fallback = "fs:read",
     .help = "Scopes, one of which is needed for fs/list, fs/stat, fs/read and fs/watch."},
    {.name = "write",
     .type = ALK_CONF_LIST,
     .sub = scope_row,
     .min = 1,
     .max = 16,
     .scalar_ok = true,
     .fallback = "fs:write",
     .help = "Scopes, one of which is needed for fs/write, fs/mkdir, fs/remove and fs/rename."},
    {.name = "resources",
     .type = ALK_CONF_BOOL,
     .fallback = "false",
     .help =
         "Callers need a grant too, as in `resources: {fs: [{name: \"docs/**\", actions: [read, "
         "write]}]}`; `docs` itself, to list it, is another name. Paths have one spelling then, "
         "and symbolic links are not followed."},
    {.name = NULL}};

/* --- roots ------------------------------------------------------------------------- */

struct alk_fs_root {
    atomic_size_t refs;
    const struct alk_mem *mem;
    pthread_mutex_t lock; /* of tree: a reload comes from the first loop */
    struct alk_tree *tree;
    bool needs_grant;
    const struct alk_conf *conf;
    const char *read[17], *write[17]; /* of conf; NULL-terminated */
};

struct alk_tree *alk_fs_tree(struct alk_fs_root *root)
{
    (void)pthread_mutex_lock(&root->lock);
    struct alk_tree *tree = alk_tree_ref(root->tree);
    (void)pthread_mutex_unlock(&root->lock);
    return tree;
}

const struct alk_mem *alk_fs_mem(const struct alk_fs_root *root)
{
    return root->mem;
}

bool alk_fs_may(const struct alk_fs_root *root, struct alk_request *r, struct alk_span path,
                const char *action)
{
    struct alk_span name = path.n == 0 ? ALK_LIT(".") : path;
    if (!root->needs_grant ||
        alk_request_may(r, ALK_LIT("fs"), name, alk_span_str(action), (struct alk_span){NULL, 0})) {
        return true;
    }
    alk_request_fail(r, ALK_OPS_FORBIDDEN, "no grant allows that path");
    return false;
}

static void root_release(void *ctx)
{
    struct alk_fs_root *root = (struct alk_fs_root *)ctx;
    if (root != NULL && atomic_fetch_sub(&root->refs, 1) == 1) {
        alk_tree_unref(root->tree);
        alk_conf_unref(root->conf);
        (void)pthread_mutex_destroy(&root->lock);
        alk_free(root->mem, root);
    }
}

static void fill_scopes(const struct alk_conf *list, const char *ret[static 17])
{
    for (size_t i = 0; i < alk_conf_count(list) && i < 16; i++) {
        ret[i] = alk_conf_str(alk_conf_at(list, i));
    }
}

static alk_err root_new(const struct alk_mem *mem, const struct alk_conf *conf, char *why,
                        size_t why_size, struct alk_fs_root **ret)
{
    struct alk_fs_root *root = ALK_NEW(mem, struct alk_fs_root);
    const char *path = alk_conf_get_str(conf, "root");
    if (root == NULL || pthread_mutex_init(&root->lock, NULL) != 0) {
        alk_free(mem, root);
        return ALK_E_NOMEM;
    }
    atomic_init(&root->refs, 1);
    root->mem = mem;
    root->needs_grant = alk_conf_get_bool(conf, "resources");
    alk_err err = alk_tree_open(mem, path, root->needs_grant, &root->tree);
    if (err != ALK_OK) {
        (void)pthread_mutex_destroy(&root->lock);
        (void)snprintf(why, why_size, "services.call.fs.root: cannot use %s: %s", path,
                       alk_err_text(err));
        alk_free(mem, root);
        return err;
    }
    root->conf = alk_conf_ref(conf);
    fill_scopes(alk_conf_get(conf, "read"), root->read);
    fill_scopes(alk_conf_get(conf, "write"), root->write);
    *ret = root;
    return ALK_OK;
}

/* --- operations ----------------------------------------------------------------------- */

#define PATH                                                                                       \
    "\"path\":{\"type\":\"string\",\"maxLength\":4095,\"description\":\"beneath the root\"}"
#define ONE(at) "{\"type\":\"object\",\"required\":[\"" at "\"],\"additionalProperties\":false,"
#define STAT                                                                                       \
    "\"type\":{\"enum\":[\"file\",\"dir\",\"link\",\"other\"]},\"size\":{\"type\":\"integer\"},"   \
    "\"mtime\":{\"type\":\"integer\",\"description\":\"milliseconds since 1970\"},"                \
    "\"mode\":{\"type\":\"integer\"}"
#define ETAG "\"etag\":{\"type\":\"string\",\"description\":\"another one when it has changed\"}"
#define DATA                                                                                       \
    "\"data\":{\"type\":\"string\",\"contentEncoding\":\"base64\",\"description\":\"the bytes\"}"

static const struct alk_op_error read_errors[] = {
    {.code = "NOT_TEXT", .summary = "it is not UTF-8: read it as data"}, {.code = NULL}};

static const struct {
    bool is_write;
    struct alk_op op;
} table[] = {
    {false,
     {.name = "fs/list",
      .summary = "lists a directory",
      .kind = ALK_OP_QUERY,
      .input = ONE(
          "path") "\"properties\":{" PATH
                  ",\"after\":{\"type\":\"string\",\"maxLength\":255,\"description\":\"go on after "
                  "this name\"},\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":2000,"
                  "\"default\":1000}}}",
      .output = "{\"type\":\"object\",\"required\":[\"entries\"],\"properties\":{\"entries\":{"
                "\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{"
                "\"type\":\"string\"}," STAT "}}},\"next\":{\"type\":\"string\",\"description\":"
                "\"there is more: ask again with this as after\"},\"left_out\":{\"type\":"
                "\"integer\",\"description\":\"names that are not UTF-8\"}}}",
      .fn = alk_fs_list}},
    {false,
     {.name = "fs/stat",
      .summary = "tells what a path is",
      .kind = ALK_OP_QUERY,
      .input = ONE("path") "\"properties\":{" PATH "}}",
      .output = "{\"type\":\"object\",\"properties\":{" STAT "," ETAG "}}",
      .fn = alk_fs_stat}},
    {false,
     {.name = "fs/read",
      .summary = "reads a file, piece by piece",
      .help = "Each answer is one piece, in order; an empty file has none. The first one has the "
              "size and the etag. A reader that is slow makes the node wait. As text, pieces end "
              "between characters.",
      .kind = ALK_OP_SUBSCRIPTION,
      .input = ONE(
          "path") "\"properties\":{" PATH ",\"offset\":{\"type\":\"integer\","
                  "\"minimum\":0,\"default\":0},\"length\":{\"type\":\"integer\",\"minimum\":0,"
                  "\"description\":\"bytes; default: to the end\"},\"text\":{\"type\":\"boolean\","
                  "\"description\":\"text instead of data\"}}}",
      .output = "{\"type\":\"object\",\"properties\":{\"offset\":{\"type\":\"integer\"}," DATA
                ",\"text\":{\"type\":\"string\"},\"size\":{\"type\":\"integer\"}," ETAG "}}",
      .errors = read_errors,
      .fn = alk_fs_read}},
    {false,
     {.name = "fs/watch",
      .summary = "tells what changes in a directory",
      .help = "Watches one directory, not those beneath it. Changes of one name within 50 ms are "
              "told as one. \"overflow\" says that changes were lost: list it again. \"removed\" "
              "without a name, and the end: the directory itself is gone.",
      .kind = ALK_OP_SUBSCRIPTION,
      .input = ONE("path") "\"properties\":{" PATH "}}",
      .output = "{\"type\":\"object\",\"required\":[\"what\"],\"properties\":{\"what\":{\"enum\":["
                "\"created\",\"changed\",\"removed\",\"overflow\"]},\"name\":{\"type\":"
                "\"string\"}}}",
      .fn = alk_fs_watch}},
    {true,
     {.name = "fs/write",
      .summary = "writes a file, whole",
      .help = "The file is written beside its place, synced and renamed: a reader sees the old "
              "or the new one. At most 720 KiB. With if_match it is CONFLICT when the file is not "
              "the one of that etag any more.",
      .kind = ALK_OP_MUTATION,
      .input =
          "{\"type\":\"object\",\"required\":[\"path\"],\"additionalProperties\":false,"
          "\"oneOf\":[{\"required\":[\"data\"]},{\"required\":[\"text\"]}],\"properties\":{" PATH
          "," DATA ",\"text\":{\"type\":\"string\",\"description\":\"instead of data\"},"
          "\"mode\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":511,"
          "\"description\":\"permission bits; default: as before, or 420 (0644)\"},"
          "\"create\":{\"type\":\"boolean\",\"description\":\"only when there is none yet\"},"
          "\"if_match\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64,\"description\":"
          "\"the etag that it must have\"}}}",
      .output = "{\"type\":\"object\",\"properties\":{\"size\":{\"type\":\"integer\"}," ETAG "}}",
      .fn = alk_fs_write}},
    {true,
     {.name = "fs/mkdir",
      .summary = "makes a directory",
      .kind = ALK_OP_MUTATION,
      .input = ONE("path") "\"properties\":{" PATH "}}",
      .fn = alk_fs_mkdir}},
    {true,
     {.name = "fs/remove",
      .summary = "removes a file or an empty directory",
      .kind = ALK_OP_MUTATION,
      .input = ONE("path") "\"properties\":{" PATH "}}",
      .fn = alk_fs_remove}},
    {true,
     {.name = "fs/rename",
      .summary = "renames a file, also over another",
      .kind = ALK_OP_MUTATION,
      .input = "{\"type\":\"object\",\"required\":[\"path\",\"to\"],\"additionalProperties\":false,"
               "\"properties\":{" PATH ",\"to\":{\"type\":\"string\",\"maxLength\":4095}}}",
      .fn = alk_fs_rename}},
};
#define OPS (sizeof table / sizeof table[0])

void alk_fs_fail(struct alk_request *r, alk_err err)
{
    if (err == ALK_E_FORBIDDEN) {
        alk_request_fail(r, ALK_OPS_FORBIDDEN, "the path leads out of the root");
    } else if (err == ALK_E_INVALID) {
        alk_request_fail(r, ALK_OPS_INVALID_INPUT,
                         "not the kind of file it must be, or a path with an empty part, . or ..");
    } else if (err == ALK_E_TOO_BIG) {
        alk_request_fail(r, ALK_OPS_TOO_LARGE, "the path, or what it holds, is too long");
    } else if (err == ALK_E_UNSUPPORTED) {
        alk_request_fail(r, ALK_OPS_INVALID_INPUT, "that is on another file system");
    } else if (err == ALK_E_PERM) {
        alk_request_fail(r, ALK_OPS_FORBIDDEN, "the system denies permission");
    } else if (err == ALK_FULL || err == ALK_E_LIMIT) {
        alk_request_fail(r, ALK_OPS_EXHAUSTED, "too much is under way");
    } else {
        alk_request_fail_err(r, err, NULL);
    }
}

/* --- the part ----------------------------------------------------------------------------- */

struct fs_part {
    const struct alk_mem *mem;
    struct alk_ops *ops;
    const struct alk_env *env;
    struct alk_fs_root *root; /* a reference; NULL: no operations */
};

static alk_err fs_start(const struct alk_part_env *env, char *why, size_t why_size, void **ret)
{
    struct fs_part *p = ALK_NEW(env->mem, struct fs_part);
    (void)why;
    (void)why_size;
    if (p == NULL) {
        return ALK_E_NOMEM;
    }
    p->mem = env->mem;
    p->ops = env->ops;
    p->env = env->env;
    *ret = p;
    return ALK_OK;
}

static alk_err fs_prepare(void *part, const struct alk_conf *section, char *why, size_t why_size,
                          void **ret_next)
{
    struct fs_part *p = (struct fs_part *)part;
    struct alk_fs_root *root = NULL;
    if (section != NULL) {
        ALK_TRY(root_new(p->mem, section, why, why_size, &root));
    }
    *ret_next = root;
    return ALK_OK;
}

static void say(const struct fs_part *p, const char *why)
{
    if (p->env != NULL && p->env->log != NULL) {
        p->env->log(p->env->log_ctx, ALK_LOG_ERROR, "fs", why);
    }
}

static void remove_all(struct fs_part *p)
{
    for (size_t i = 0; i < OPS && p->root != NULL; i++) {
        (void)alk_ops_remove(p->ops, table[i].op.name);
    }
    root_release(p->root);
    p->root = NULL;
}

static bool has_same_rules(const struct alk_fs_root *a, const struct alk_fs_root *b)
{
    static const char *const names[] = {"read", "write", "resources"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!alk_conf_equal(alk_conf_get(a->conf, names[i]), alk_conf_get(b->conf, names[i]))) {
            return false;
        }
    }
    return true;
}

/* With the same rules the operations stay, and nobody on another loop misses them for a
 * moment. The tree is exchanged also when its path is the same: it may lead elsewhere. */
static void exchange_tree(struct alk_fs_root *root, struct alk_fs_root *next)
{
    (void)pthread_mutex_lock(&root->lock);
    struct alk_tree *old = root->tree;
    root->tree = next->tree;
    next->tree = old;
    (void)pthread_mutex_unlock(&root->lock);
    root_release(next);
}

static void fs_commit(void *part, void *next)
{
    struct fs_part *p = (struct fs_part *)part;
    struct alk_fs_root *root = (struct alk_fs_root *)next;
    char why[256] = "";

    if (p->root != NULL && root != NULL && has_same_rules(p->root, root)) {
        exchange_tree(p->root, root);
        return;
    }
    remove_all(p);
    p->root = root;
    for (size_t i = 0; i < OPS && root != NULL; i++) {
        struct alk_op op = table[i].op;
        op.struct_size = sizeof op;
        op.access.any_scopes = table[i].is_write ? root->write : root->read;
        op.release = root_release;
        (void)atomic_fetch_add(&root->refs, 1);
        if (alk_ops_add(p->ops, &op, root, why, sizeof why) != ALK_OK) {
            say(p, why[0] != '\0' ? why : "out of memory: an operation is missing");
        }
    }
}

static void fs_drop(void *part, void *next)
{
    (void)part;
    root_release(next);
}

static void fs_stop(void *part)
{
    struct fs_part *p = (struct fs_part *)part;
    remove_all(p);
    alk_free(p->mem, p);
}

const struct alk_part alk_fs_part = {.section = "fs",
                                     .start = fs_start,
                                     .prepare = fs_prepare,
                                     .commit = fs_commit,
                                     .drop = fs_drop,
                                     .stop = fs_stop};
