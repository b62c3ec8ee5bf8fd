/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "args.h"

#include "base/span.h"

#include <stdarg.h>

#define NEAREST_MAX 64 /* longer words are not looked at */

/* --- what is near ------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau's distance with adjacent swaps, over short words. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t row[3][NEAREST_MAX + 1];

    for (size_t j = 0; j <= m; j++) {
        row[1][j] = j;
        row[0][j] = 0;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t *cur = row[(i + 1) % 3];
        const size_t *prev = row[i % 3];
        const size_t *prev2 = row[(i + 2) % 3];
        cur[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            cur[j] = least(least(cur[j - 1] + 1, prev[j] + 1), prev[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cur[j] = least(cur[j], prev2[j - 2] + 1);
            }
        }
    }
    return row[(n + 1) % 3][m];
}

const char *cli_nearest(const char *word, const char *const *candidates)
{
    size_t n = strlen(word);
    size_t best = n < 4 ? 2 : 3; /* below this many slips */
    const char *found = NULL;

    if (n == 0 || n > NEAREST_MAX) {
        return NULL;
    }
    for (; *candidates != NULL; candidates++) {
        size_t m = strlen(*candidates);
        size_t d = m > NEAREST_MAX ? best : distance(word, n, *candidates, m);
        /* What begins so was most likely meant, however long it goes on. */
        if (n >= 2 && strncmp(word, *candidates, n) == 0) {
            d = 1;
        }
        if (d < best) {
            best = d;
            found = *candidates;
        }
    }
    return found;
}

/* --- messages ----------------------------------------------------------------- */

void cli_full_name(const struct cli_args *args, char *ret, size_t ret_size)
{
    if (args->command->is_program) {
        (void)snprintf(ret, ret_size, "%s", args->command->name);
        return;
    }
    (void)snprintf(ret, ret_size, "alknet%s%s%s%s", args->parent != NULL ? " " : "",
                   args->parent != NULL ? args->parent->name : "",
                   args->command->name[0] != '\0' ? " " : "", args->command->name);
}

int cli_usage(FILE *err, const struct cli_args *args, const char *fmt, ...)
{
    char name[128];
    va_list list;

    cli_full_name(args, name, sizeof name);
    (void)fprintf(err, "%s: ", name);
    va_start(list, fmt);
    (void)vfprintf(err, fmt, list);
    va_end(list);
    (void)fprintf(err, "\nTry: %s --help\n", name);
    return CLI_USAGE;
}

const struct cli_opt *cli_next_opt(const struct cli_command *command, size_t *at)
{
    size_t skip = *at;
    for (size_t s = 0; s < CLI_SETS_MAX && command->sets[s] != NULL; s++) {
        for (const struct cli_opt *o = command->sets[s]; o->name != NULL; o++) {
            if (skip-- == 0) {
                (*at)++;
                return o;
            }
        }
    }
    return NULL;
}

static int unknown_option(const struct cli_args *a, const char *word, FILE *err)
{
    const char *names[CLI_OPTS_MAX + 2];
    size_t n = 0, at = 0;
    const struct cli_opt *o;

    while (n < CLI_OPTS_MAX && (o = cli_next_opt(a->command, &at)) != NULL) {
        names[n++] = o->name;
    }
    names[n++] = "help";
    names[n] = NULL;

    char bare[NEAREST_MAX + 1];
    struct alk_span rest = alk_span_str(word + 2);
    struct alk_span cut = alk_span_cut(&rest, '=');
    const char *near =
        word[1] == '-' && alk_span_cstr(cut, bare, sizeof bare) ? cli_nearest(bare, names) : NULL;
    if (near != NULL) {
        return cli_usage(err, a, "unknown option %s; did you mean --%s?", word, near);
    }
    return cli_usage(err, a, "unknown option %s", word);
}

static int unknown_subcommand(const struct cli_args *a, const char *word, FILE *err)
{
    const char *names[32];
    size_t n = 0;

    for (const struct cli_command *const *s = a->command->subcommands; *s != NULL && n < 31; s++) {
        names[n++] = (*s)->name;
    }
    names[n] = NULL;
    const char *near = cli_nearest(word, names);
    if (near != NULL) {
        return cli_usage(err, a, "there is no \"%s\"; did you mean \"%s\"?", word, near);
    }
    char list[256];
    size_t used = 0;
    for (size_t i = 0; i < n && used < sizeof list; i++) {
        int k = snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", names[i]);
        used += k > 0 ? (size_t)k : 0;
    }
    return cli_usage(err, a, "there is no \"%s\"; it is one of: %s", word, list);
}

/* --- parsing ------------------------------------------------------------------ */

struct parser {
    int argc;
    const char *const *argv;
    int at;
    FILE *err;
    struct cli_args *out;
};

static const struct cli_opt *find_opt(const struct cli_command *command, struct alk_span name,
                                      char letter)
{
    const struct cli_opt *o;
    size_t at = 0;
    while ((o = cli_next_opt(command, &at)) != NULL) {
        if (name.n > 0 ? alk_span_is(name, o->name) : o->letter == letter) {
            return o;
        }
    }
    return NULL;
}

static int give(struct parser *p, const struct cli_opt *opt, const char *value)
{
    if (!opt->is_many && cli_has(p->out, opt->name)) {
        /* A flag said twice says the same; two values may not agree. */
        return opt->value == NULL ? CLI_OK
                                  : cli_usage(p->err, p->out, "--%s is given twice", opt->name);
    }
    if (p->out->given_count == CLI_OPTS_MAX) {
        return cli_usage(p->err, p->out, "too many options");
    }
    p->out->given[p->out->given_count++] = (struct cli_given){opt, value};
    return CLI_OK;
}

/* value: what follows "=" or the letter, or NULL. */
static int take_opt(struct parser *p, const struct cli_opt *opt, const char *value)
{
    if (opt->value == NULL) {
        return value != NULL ? cli_usage(p->err, p->out, "--%s takes no value", opt->name)
                             : give(p, opt, NULL);
    }
    if (value == NULL) {
        if (p->at >= p->argc) {
            return cli_usage(p->err, p->out, "--%s needs a value: --%s %s", opt->name, opt->name,
                             opt->value);
        }
        value = p->argv[p->at++];
    }
    return give(p, opt, value);
}

static int take_field(struct parser *p, struct alk_span name, const char *value)
{
    if (p->out->field_count == CLI_FIELDS_MAX) {
        return cli_usage(p->err, p->out, "too many fields");
    }
    if (value == NULL && p->at < p->argc && strncmp(p->argv[p->at], "--", 2) != 0) {
        value = p->argv[p->at++];
    }
    p->out->fields[p->out->field_count++] = (struct cli_field){name, value};
    return CLI_OK;
}

static int take_long(struct parser *p, const char *word)
{
    struct alk_span rest = alk_span_str(word + 2);
    struct alk_span name = alk_span_cut(&rest, '=');
    const char *equals = strchr(word, '=');

    if (alk_span_is(name, "help") && equals == NULL) {
        p->out->wants_help = true;
        return CLI_OK;
    }
    const struct cli_opt *opt = name.n == 0 ? NULL : find_opt(p->out->command, name, 0);
    if (opt == NULL && name.n > 0 && p->out->command->takes_fields) {
        return take_field(p, name, equals == NULL ? NULL : equals + 1);
    }
    if (opt == NULL) {
        return unknown_option(p->out, word, p->err);
    }
    return take_opt(p, opt, equals == NULL ? NULL : equals + 1);
}

static int take_short(struct parser *p, const char *word)
{
    for (const char *c = word + 1; *c != '\0'; c++) {
        if (*c == 'h' && find_opt(p->out->command, alk_span_str(""), 'h') == NULL) {
            p->out->wants_help = true;
            continue;
        }
        const struct cli_opt *opt = find_opt(p->out->command, alk_span_str(""), *c);
        if (opt == NULL) {
            return unknown_option(p->out, word, p->err);
        }
        if (opt->value != NULL) {
            return take_opt(p, opt, c[1] != '\0' ? c + 1 : NULL);
        }
        int rc = give(p, opt, NULL);
        if (rc != CLI_OK) {
            return rc;
        }
    }
    return CLI_OK;
}

static size_t args_max(const struct cli_command *command, size_t *ret_min)
{
    size_t n = 0;
    *ret_min = 0;
    for (const struct cli_arg *a = command->args; a != NULL && a->name != NULL; a++) {
        n++;
        *ret_min += a->is_optional ? 0 : 1;
        if (a->is_many) {
            return CLI_ARGS_MAX;
        }
    }
    return n;
}

static int take_value(struct parser *p, const char *word)
{
    size_t min;
    if (p->out->value_count >= args_max(p->out->command, &min)) {
        return cli_usage(p->err, p->out, "\"%s\" is one argument too many", word);
    }
    p->out->values[p->out->value_count++] = word;
    return CLI_OK;
}

static int check_values(struct parser *p)
{
    size_t min;
    (void)args_max(p->out->command, &min);
    if (p->out->value_count < min) {
        return cli_usage(p->err, p->out, "%s is missing",
                         p->out->command->args[p->out->value_count].name);
    }
    return CLI_OK;
}

/* The word after a command with subcommands names one of them. */
static int enter_subcommand(struct parser *p)
{
    const struct cli_command *command = p->out->command;
    const char *word = p->at < p->argc ? p->argv[p->at] : NULL;

    if (command->subcommands == NULL) {
        return CLI_OK;
    }
    if (word == NULL || word[0] == '-') {
        bool asks_help = word != NULL && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
        return command->has_default || asks_help
                   ? CLI_OK
                   : cli_usage(p->err, p->out, "say what to do, as in: alknet %s %s", command->name,
                               command->subcommands[0]->name);
    }
    for (const struct cli_command *const *s = command->subcommands; *s != NULL; s++) {
        if (strcmp((*s)->name, word) == 0) {
            p->out->parent = command;
            p->out->command = *s;
            p->at++;
            return CLI_OK;
        }
    }
    return unknown_subcommand(p->out, word, p->err);
}

int cli_parse(const struct cli_command *command, int argc, const char *const *argv, FILE *err,
              struct cli_args *ret)
{
    struct parser p = {.argc = argc, .argv = argv, .err = err, .out = ret};
    bool is_over = false; /* after "--" */

    *ret = (struct cli_args){.command = command};
    int rc = enter_subcommand(&p);
    while (rc == CLI_OK && p.at < argc) {
        const char *word = argv[p.at++];
        if (is_over || word[0] != '-' || word[1] == '\0') {
            rc = take_value(&p, word);
        } else if (strcmp(word, "--") == 0) {
            is_over = true;
        } else {
            rc = word[1] == '-' ? take_long(&p, word) : take_short(&p, word);
        }
        if (ret->wants_help) {
            return CLI_OK;
        }
    }
    return rc == CLI_OK ? check_values(&p) : rc;
}

/* --- results ------------------------------------------------------------------ */

const char *cli_nth(const struct cli_args *args, const char *name, size_t i)
{
    for (size_t k = 0; k < args->given_count; k++) {
        if (strcmp(args->given[k].opt->name, name) == 0 && i-- == 0) {
            return args->given[k].value;
        }
    }
    return NULL;
}

const char *cli_get(const struct cli_args *args, const char *name)
{
    return cli_nth(args, name, 0);
}

bool cli_has(const struct cli_args *args, const char *name)
{
    for (size_t k = 0; k < args->given_count; k++) {
        if (strcmp(args->given[k].opt->name, name) == 0) {
            return true;
        }
    }
    return false;
}

const char *cli_value(const struct cli_args *args, size_t i)
{
    return i < args->value_count ? args->values[i] : NULL;
}

bool cli_get_u64(const struct cli_args *args, const char *name, uint64_t min, uint64_t max,
                 FILE *err, uint64_t *ret)
{
    const char *text = cli_get(args, name);
    uint64_t v = 0;

    if (text == NULL) {
        return true;
    }
    if (!alk_span_u64(alk_span_str(text), max, &v) || v < min) {
        (void)cli_usage(err, args, "--%s must be a number from %llu to %llu, not \"%s\"", name,
                        (unsigned long long)min, (unsigned long long)max, text);
        return false;
    }
    *ret = v;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A number and one of the units; false when it is neither or too large. */
static bool parse_unit(const char *text, const struct unit *units, size_t n, uint64_t *ret)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t v = 0;

    if (!alk_span_u64(alk_span(text, digits), UINT64_MAX, &v)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text + digits, units[i].name) == 0) {
            return !__builtin_mul_overflow(v, units[i].factor, ret);
        }
    }
    return false;
}

bool cli_get_time(const struct cli_args *args, const char *name, FILE *err, alk_time *ret)
{
    static const struct unit units[] = {{"ms", ALK_MS},           {"s", ALK_SECOND},
                                        {"", ALK_SECOND},         {"m", 60 * ALK_SECOND},
                                        {"h", 3600 * ALK_SECOND}, {"d", 86400 * ALK_SECOND}};
    const char *text = cli_get(args, name);
    uint64_t v = 0;

    if (text == NULL) {
        return true;
    }
    if (!parse_unit(text, units, sizeof units / sizeof units[0], &v)) {
        (void)cli_usage(err, args, "--%s must be a time such as 500ms, 10s or 5m, not \"%s\"", name,
                        text);
        return false;
    }
    *ret = v;
    return true;
}

bool cli_get_size(const struct cli_args *args, const char *name, FILE *err, uint64_t *ret)
{
    static const struct unit units[] = {{"", 1},
                                        {"KiB", (uint64_t)1 << 10},
                                        {"MiB", (uint64_t)1 << 20},
                                        {"GiB", (uint64_t)1 << 30},
                                        {"K", (uint64_t)1 << 10},
                                        {"M", (uint64_t)1 << 20},
                                        {"G", (uint64_t)1 << 30}};
    const char *text = cli_get(args, name);
    uint64_t v = 0;

    if (text == NULL) {
        return true;
    }
    if (!parse_unit(text, units, sizeof units / sizeof units[0], &v)) {
        (void)cli_usage(err, args, "--%s must be a size such as 64KiB or 1GiB, not \"%s\"", name,
                        text);
        return false;
    }
    *ret = v;
    return true;
}
