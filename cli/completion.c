/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Completion scripts for bash, zsh and fish, from the tables.
 *
 * Names of nodes and of their operations are asked for when they are needed:
 * `alknet completion nodes`, `alknet completion operations NODE` (complete.h).
 */
#include "cli.h"

#include "base/span.h"

#define ALPNS "alknet/ping alknet/bench alknet/call alknet/ssh alknet/sftp alknet/git"

typedef void visit_fn(FILE *out, const struct cli_command *command,
                      const struct cli_command *parent);

/* Every command that takes options or arguments, with subcommands in place. */
static void visit(FILE *out, visit_fn *fn)
{
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct cli_command *c = cli_commands[i];
        if (c->is_hidden) {
            continue;
        }
        fn(out, c, NULL);
        for (size_t k = 0; c->subcommands != NULL && c->subcommands[k] != NULL; k++) {
            fn(out, c->subcommands[k], c);
        }
    }
}

static void put_names(FILE *out, const struct cli_command *const *commands)
{
    bool is_first = true;
    for (; *commands != NULL; commands++) {
        if (!(*commands)->is_hidden) {
            (void)fprintf(out, "%s%s", is_first ? "" : " ", (*commands)->name);
            is_first = false;
        }
    }
}

/* --- bash --------------------------------------------------------------------- */

static const char *bash_kind(enum cli_complete complete)
{
    switch (complete) {
    case CLI_WORD:
        return "none";
    case CLI_FILE:
        return "file";
    case CLI_DIR:
        return "dir";
    case CLI_NODE:
        return "node";
    case CLI_ALPN:
        return "alpn";
    case CLI_OPERATION:
        return "operation";
    case CLI_COMMAND:
        return "command";
    case CLI_SHELL:
        return "shell";
    }
    return "none";
}

/* One case arm: the options, those that take a value with its kind, the arguments. */
static void bash_command(FILE *out, const struct cli_command *c, const struct cli_command *parent)
{
    const struct cli_opt *o;
    size_t at = 0;

    (void)fprintf(out, "    \"%s%s%s\")\n        opts=\"", parent != NULL ? parent->name : "",
                  parent != NULL ? " " : "", c->name);
    while ((o = cli_next_opt(c, &at)) != NULL) {
        (void)fprintf(out, "--%s ", o->name);
    }
    (void)fprintf(out, "--help\"\n        kinds=\"");
    at = 0;
    while ((o = cli_next_opt(c, &at)) != NULL) {
        if (o->value != NULL) {
            (void)fprintf(out, " --%s=%s", o->name, bash_kind(o->complete));
            if (o->letter != 0) {
                (void)fprintf(out, " -%c=%s", o->letter, bash_kind(o->complete));
            }
        }
    }
    (void)fprintf(out, " \"\n        args=(");
    for (const struct cli_arg *a = c->args; a != NULL && a->name != NULL; a++) {
        (void)fprintf(out, "%s%s", a == c->args ? "" : " ", bash_kind(a->complete));
    }
    (void)fprintf(out, ")\n        subs=\"");
    if (c->subcommands != NULL) {
        put_names(out, c->subcommands);
    }
    (void)fprintf(out, "\" ;;\n");
}

static void bash(FILE *out)
{
    (void)fprintf(out, "# bash completion for alknet; made by: alknet completion bash\n"
                       "_alknet_table() {\n"
                       "    opts=\"--help\" kinds=\" \" args=() subs=\"\"\n"
                       "    case \"$1\" in\n");
    visit(out, bash_command);
    (void)fprintf(out, "    esac\n}\n\n_alknet_commands=\"");
    put_names(out, cli_commands);
    (void)fprintf(
        out,
        "\"\n\n"
        "_alknet_offer() {\n"
        "    case \"$1\" in\n"
        "    file) compopt -o default 2>/dev/null; COMPREPLY=() ;;\n"
        "    dir) compopt -o dirnames 2>/dev/null; COMPREPLY=() ;;\n"
        "    node) COMPREPLY=($(compgen -W \"$(alknet completion nodes 2>/dev/null)\" -- "
        "\"$cur\")) ;;\n"
        "    operation) COMPREPLY=($(compgen -W \"$(alknet completion operations \"$node\" "
        "2>/dev/null)\" -- \"$cur\")) ;;\n"
        "    alpn) COMPREPLY=($(compgen -W \"" ALPNS "\" -- \"$cur\")) ;;\n"
        "    command) COMPREPLY=($(compgen -W \"$_alknet_commands\" -- \"$cur\")) ;;\n"
        "    shell) COMPREPLY=($(compgen -W \"bash zsh fish\" -- \"$cur\")) ;;\n"
        "    esac\n"
        "}\n\n"
        "_alknet() {\n"
        "    local cur prev words cword opts kinds args subs path kind i node= op= seen=0 skip=0\n"
        "    COMPREPLY=()\n"
        "    # Addresses hold colons and equals signs: look at the line word by word.\n"
        "    if declare -F _get_comp_words_by_ref >/dev/null; then\n"
        "        _get_comp_words_by_ref -n =: cur prev words cword\n"
        "    else\n"
        "        cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
        "        words=(\"${COMP_WORDS[@]}\") cword=$COMP_CWORD\n"
        "    fi\n"
        "    if [ \"$cword\" -le 1 ]; then\n"
        "        COMPREPLY=($(compgen -W \"$_alknet_commands --help --version\" -- \"$cur\"))\n"
        "        return\n"
        "    fi\n"
        "    path=${words[1]} i=2\n"
        "    _alknet_table \"$path\"\n"
        "    if [ -n \"$subs\" ]; then\n"
        "        if [ \"$cword\" = 2 ]; then\n"
        "            COMPREPLY=($(compgen -W \"$subs $opts\" -- \"$cur\"))\n"
        "            return\n"
        "        fi\n"
        "        case \" $subs \" in *\" ${words[2]} \"*)\n"
        "            path=\"$path ${words[2]}\" i=3\n"
        "            _alknet_table \"$path\" ;;\n"
        "        esac\n"
        "    fi\n"
        "    for (( ; i < cword; i++)); do\n"
        "        if [ \"$skip\" = 1 ]; then skip=0; continue; fi\n"
        "        case \"${words[i]}\" in\n"
        "        --*=*) ;;\n"
        "        -?*) case \"$kinds\" in *\" ${words[i]}=\"*) skip=1 ;; esac ;;\n"
        "        *) [ \"$seen\" = 0 ] && node=${words[i]}\n"
        "           [ \"$seen\" = 1 ] && op=${words[i]}\n"
        "           seen=$((seen + 1)) ;;\n"
        "        esac\n"
        "    done\n"
        "    if [ \"$skip\" = 1 ]; then\n"
        "        kind=${kinds#* \"$prev\"=}\n"
        "        _alknet_offer \"${kind%%%% *}\"\n"
        "    elif [ \"${cur#-}\" != \"$cur\" ]; then\n"
        "        case \"$path $op\" in \"call \"?*|\"subscribe \"?*)\n"
        "            opts=\"$(alknet completion fields \"$node\" \"$op\" 2>/dev/null) $opts\" ;;\n"
        "        esac\n"
        "        COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\"))\n"
        "    else\n"
        "        _alknet_offer \"${args[$seen]}\"\n"
        "    fi\n"
        "    if declare -F __ltrim_colon_completions >/dev/null; then\n"
        "        __ltrim_colon_completions \"$cur\"\n"
        "    fi\n"
        "}\n"
        "complete -F _alknet alknet\n");
}

/* --- zsh ---------------------------------------------------------------------- */

static const char *zsh_action(enum cli_complete complete)
{
    switch (complete) {
    case CLI_WORD:
        return " ";
    case CLI_FILE:
        return "_files";
    case CLI_DIR:
        return "_files -/";
    case CLI_NODE:
        return "_alknet_nodes";
    case CLI_ALPN:
        return "(" ALPNS ")";
    case CLI_OPERATION:
        return "_alknet_operations";
    case CLI_COMMAND:
        return "_alknet_commands";
    case CLI_SHELL:
        return "(bash zsh fish)";
    }
    return " ";
}

/* Text inside '...[...]': the characters that mean something there are left out. */
static void zsh_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            (void)fprintf(out, "'\\''");
        } else if (strchr("[]:\\", *text) != NULL) {
            (void)fprintf(out, "\\%c", *text);
        } else {
            (void)fputc(*text, out);
        }
    }
}

static void zsh_name(FILE *out, const struct cli_command *c, const struct cli_command *parent)
{
    (void)fprintf(out, "_alknet_%s%s%s", parent != NULL ? parent->name : "",
                  parent != NULL ? "_" : "", c->name);
}

static void zsh_options(FILE *out, const struct cli_command *c)
{
    const struct cli_opt *o;
    size_t at = 0;

    while ((o = cli_next_opt(c, &at)) != NULL) {
        (void)fprintf(out, " \\\n        '%s--%s%s[", o->is_many ? "*" : "", o->name,
                      o->value != NULL ? "=" : "");
        zsh_text(out, o->help);
        (void)fprintf(out, "]");
        if (o->value != NULL) {
            (void)fprintf(out, ":%s:%s", o->value, zsh_action(o->complete));
        }
        (void)fprintf(out, "'");
    }
    (void)fprintf(out, " \\\n        '(-h --help)'{-h,--help}'[show help]'");
}

static void zsh_list(FILE *out, const struct cli_command *const *commands)
{
    for (; *commands != NULL; commands++) {
        if (!(*commands)->is_hidden) {
            (void)fprintf(out, "        '%s:", (*commands)->name);
            zsh_text(out, (*commands)->summary);
            (void)fprintf(out, "'\n");
        }
    }
}

static void zsh_command(FILE *out, const struct cli_command *c, const struct cli_command *parent)
{
    zsh_name(out, c, parent);
    (void)fprintf(out, "() {\n");
    if (c->subcommands != NULL) {
        (void)fprintf(out, "    local -a subs\n    subs=(\n");
        zsh_list(out, c->subcommands);
        (void)fprintf(out, "    )\n    if (( CURRENT == 2 )); then\n"
                           "        _describe -t commands command subs\n");
        (void)fprintf(out,
                      "        return\n    fi\n    local sub=$words[2]\n"
                      "    if (( $+functions[_alknet_%s_$sub] )); then\n"
                      "        shift words; (( CURRENT-- ))\n"
                      "        _alknet_%s_$sub\n        return\n    fi\n",
                      c->name, c->name);
    }
    (void)fprintf(out, "    local line\n    _arguments -s");
    zsh_options(out, c);
    for (const struct cli_arg *a = c->args; a != NULL && a->name != NULL; a++) {
        (void)fprintf(out, " \\\n        '%s:%s:%s'", a->is_many ? "*" : "", a->name,
                      zsh_action(a->complete));
    }
    (void)fprintf(out, "\n}\n\n");
}

static void zsh(FILE *out)
{
    (void)fprintf(out, "#compdef alknet\n# made by: alknet completion zsh\n\n"
                       "_alknet_nodes() {\n    local -a nodes\n"
                       "    nodes=(${(f)\"$(alknet completion nodes 2>/dev/null)\"})\n"
                       "    compadd -a nodes\n}\n\n"
                       "_alknet_operations() {\n    local -a operations\n"
                       "    operations=(${(f)\"$(alknet completion operations "
                       "\"${(Q)line[1]}\" 2>/dev/null)\"})\n"
                       "    compadd -a operations\n}\n\n"
                       "_alknet_commands() {\n    local -a commands\n    commands=(\n");
    zsh_list(out, cli_commands);
    (void)fprintf(out, "    )\n    _describe -t commands command commands\n}\n\n");
    visit(out, zsh_command);
    (void)fprintf(out, "_alknet() {\n"
                       "    if (( CURRENT == 2 )); then\n        _alknet_commands\n        return\n"
                       "    fi\n"
                       "    local command=$words[2]\n"
                       "    shift words; (( CURRENT-- ))\n"
                       "    (( $+functions[_alknet_$command] )) && _alknet_$command\n}\n\n"
                       "if [ \"$funcstack[1]\" = _alknet ]; then\n    _alknet \"$@\"\n"
                       "else\n    compdef _alknet alknet\nfi\n");
}

/* --- fish --------------------------------------------------------------------- */

static void fish_text(FILE *out, const char *text)
{
    (void)fputc('\'', out);
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            (void)fputc('\\', out);
        }
        (void)fputc(*text, out);
    }
    (void)fputc('\'', out);
}

static const char *fish_action(enum cli_complete complete)
{
    switch (complete) {
    case CLI_WORD:
        return " -x";
    case CLI_FILE:
        return " -r -F";
    case CLI_DIR:
        return " -x -a '(__fish_complete_directories)'";
    case CLI_NODE:
        return " -x -a '(alknet completion nodes 2>/dev/null)'";
    case CLI_ALPN:
        return " -x -a '" ALPNS "'";
    case CLI_OPERATION:
        return " -x -a '(__alknet_operations)'";
    case CLI_COMMAND:
        return " -x";
    case CLI_SHELL:
        return " -x -a 'bash zsh fish'";
    }
    return "";
}

static void fish_condition(FILE *out, const struct cli_command *c, const struct cli_command *parent)
{
    (void)fprintf(out, "complete -c alknet -n '__fish_seen_subcommand_from %s",
                  parent != NULL ? parent->name : c->name);
    if (parent != NULL) {
        (void)fprintf(out, "; and __fish_seen_subcommand_from %s", c->name);
    }
    (void)fprintf(out, "'");
}

static void fish_command(FILE *out, const struct cli_command *c, const struct cli_command *parent)
{
    const struct cli_opt *o;
    size_t at = 0;

    if (parent == NULL) {
        (void)fprintf(out, "complete -c alknet -n __fish_use_subcommand -a %s -d ", c->name);
    } else {
        (void)fprintf(out, "complete -c alknet -n '__fish_seen_subcommand_from %s' -a %s -d ",
                      parent->name, c->name);
    }
    fish_text(out, c->summary);
    (void)fputc('\n', out);
    while ((o = cli_next_opt(c, &at)) != NULL) {
        fish_condition(out, c, parent);
        (void)fprintf(out, " -l %s", o->name);
        if (o->letter != 0) {
            (void)fprintf(out, " -s %c", o->letter);
        }
        (void)fprintf(out, "%s -d ", o->value != NULL ? fish_action(o->complete) : "");
        fish_text(out, o->help);
        (void)fputc('\n', out);
    }
    for (const struct cli_arg *a = c->args; a != NULL && a->name != NULL; a++) {
        if (a->complete != CLI_WORD && a->complete != CLI_COMMAND) {
            fish_condition(out, c, parent);
            (void)fprintf(out, "%s\n", fish_action(a->complete));
        }
    }
}

static void fish(FILE *out)
{
    (void)fprintf(out, "# fish completion for alknet; made by: alknet completion fish\n"
                       "complete -c alknet -f\n"
                       "function __alknet_operations\n"
                       "    # The first argument that is no option names the node.\n"
                       "    for word in (commandline -opc)[3..-1]\n"
                       "        if not string match -q -- '-*' $word\n"
                       "            alknet completion operations $word 2>/dev/null\n"
                       "            return\n"
                       "        end\n"
                       "    end\n"
                       "end\n");
    visit(out, fish_command);
}

int cli_completion(struct cli *cli, const char *shell)
{
    static const struct {
        const char *name;
        void (*put)(FILE *out);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(shell, shells[i].name) == 0) {
            shells[i].put(cli->out);
            return CLI_OK;
        }
    }
    return cli_fail(cli, CLI_USAGE, "no completion for \"%s\"; it is one of: bash, zsh, fish",
                    shell);
}
