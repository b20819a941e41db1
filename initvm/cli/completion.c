/* SPDX-License-Identifier: MIT */
#include "cli/completion.h"

#include "cli/commands.h"

#define NAMES "initvm list --names 2>/dev/null"

/* Its operand is the name of a VM that is there; create's is a new one. */
static bool names_existing_vm(const struct command *c)
{
        return (c->flags & COMMAND_VM_OPERAND) && c != &command_create;
}

static bool takes_argument(const struct option_spec *o)
{
        return o->type != OPTION_FLAG && o->type != OPTION_SWITCH;
}

/* "auto|kvm|tcg" as "auto kvm tcg": owned. */
static char *spaced(const char *words)
{
        autostrv char **v = strv_split(words, "|");
        return strv_join(v, " ");
}

/* ---- bash: one function; the command is the first word that is neither an option nor an option's argument ---------- */

static void bash_option_words(const struct option_spec *table, struct buf *out)
{
        for (const struct option_spec *o = table; o && o->name; o++)
                buf_printf(out, " --%s", o->name);
}

/* `command` as a pattern: the name, or "family\\ name". */
static void bash_option_arguments(const char *command, const struct option_spec *table, struct buf *out)
{
        for (const struct option_spec *o = table; o && o->name; o++) {
                autofree char *words = o->type == OPTION_CHOICE ? spaced(o->argument) : NULL;

                if (!takes_argument(o))
                        continue;
                buf_printf(out, "        %s:--%s", command, o->name);
                if (o->letter)
                        buf_printf(out, "|%s:-%c", command, o->letter);
                if (o->type == OPTION_VM)
                        buf_printf(out, ") mapfile -t COMPREPLY < <(compgen -W \"$(" NAMES ")\" -- \"$cur\"); return ;;\n");
                else if (o->type == OPTION_FILE)
                        buf_printf(out, ") compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n");
                else if (words)
                        buf_printf(out, ") mapfile -t COMPREPLY < <(compgen -W \"%s\" -- \"$cur\"); return ;;\n", words);
                else
                        buf_printf(out, ") return ;;\n");
        }
}

/* Files, and the names of VMs with the colon that stands behind them. */
#define BASH_FILES                                                                                                               \
        "            if [[ $cur != -* ]]; then\n"                                                                                \
        "                compopt -o filenames\n"                                                                                 \
        "                mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"; compgen -S : -W \"$(" NAMES ")\" -- \"$cur\")\n"       \
        "                [[ ${COMPREPLY[*]} == *: ]] && compopt -o nospace\n"                                                    \
        "                return\n"                                                                                               \
        "            fi\n"

static void bash_operands(const struct command *c, struct buf *out)
{
        autofree char *words = c->words ? spaced(c->words) : NULL;

        if (c->flags & COMMAND_FILES)
                buf_printf(out, "%s            words=''\n", BASH_FILES);
        else if (words)
                buf_printf(out, "            words=\"%s\"\n", words);
        else if (names_existing_vm(c))
                buf_printf(out, "            words=$(" NAMES ")\n");
        else if (c == &command_help)
                buf_printf(out, "            words=$commands\n");
        else
                buf_printf(out, "            words=''\n");
}

static void bash_commands(struct buf *out)
{
        for (size_t i = 0; commands[i]; i++)
                buf_printf(out, "%s%s", i ? " " : "", commands[i]->name);
}

/* A pattern of the commands that have subcommands. */
static void bash_families(struct buf *out)
{
        const char *between = "";

        for (size_t i = 0; commands[i]; i++)
                if (commands[i]->subcommands) {
                        buf_printf(out, "%s%s", between, commands[i]->name);
                        between = "|";
                }
}

/* The command as a pattern of bash: owned. */
static char *bash_pattern(const struct command *c)
{
        if (c->parent)
                return xasprintf("%s\\ %s", c->parent->name, c->name);
        return c->alias ? xasprintf("%s|%s", c->name, c->alias) : xstrdup(c->name);
}

static void bash_arguments_of(const struct command *c, struct buf *out)
{
        autofree char *pattern = c->alias ? xstrdup(c->name) : bash_pattern(c);

        bash_option_arguments(pattern, c->options, out);
        if (c->alias)
                bash_option_arguments(c->alias, c->options, out);
        for (size_t i = 0; c->subcommands && c->subcommands[i]; i++)
                bash_arguments_of(c->subcommands[i], out);
}

static void bash_command(const struct command *c, struct buf *out)
{
        autofree char *pattern = bash_pattern(c);

        buf_printf(out, "        %s)\n", pattern);
        bash_operands(c, out);
        buf_printf(out, "            options=\"");
        bash_option_words(c->options, out);
        bash_option_words(c->flags & COMMAND_VM ? common_options : common_options + 1, out);
        buf_printf(out, "\" ;;\n");
        for (size_t i = 0; c->subcommands && c->subcommands[i]; i++)
                bash_command(c->subcommands[i], out);
}

void completion_bash(struct buf *out)
{
        buf_printf(out,
                   "# bash completion for initvm\n_initvm() {\n"
                   "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' words='' options='' i\n"
                   "    local commands=\"");
        bash_commands(out);
        buf_printf(out, "\"\n"
                        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                        "        case ${COMP_WORDS[i]} in\n"
                        "        -n|--name) ((i++)) ;;\n"
                        "        -*) ;;\n"
                        "        *)\n"
                        "            command+=${command:+ }${COMP_WORDS[i]}\n"
                        "            [[ $command == @(");
        bash_families(out);
        buf_printf(out, ") ]] || break ;;\n"
                        "        esac\n"
                        "    done\n"
                        "    case $command:$prev in\n");
        bash_option_arguments("*", common_options, out);
        for (size_t i = 0; commands[i]; i++)
                bash_arguments_of(commands[i], out);
        buf_printf(out, "    esac\n    case $command in\n        '')\n            words=$commands options=\"--version");
        bash_option_words(common_options, out);
        buf_printf(out, "\" ;;\n");
        for (size_t i = 0; commands[i]; i++)
                bash_command(commands[i], out);
        buf_printf(out, "    esac\n"
                        "    [[ $cur == -* ]] && words=$options\n"
                        "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                        "}\n"
                        "complete -F _initvm initvm\n");
}

/* ---- zsh: _arguments for the program, and one set of specifications per command -------------------------------------- */

/* Text inside of '...' and of [...]. */
static void zsh_text(const char *text, struct buf *out)
{
        for (; *text; text++) {
                if (*text == '\'')
                        buf_printf(out, "'\\''");
                else if (*text == '[' || *text == ']' || *text == ':')
                        buf_printf(out, "\\%c", *text);
                else
                        buf_append(out, text, 1);
        }
}

static void zsh_options(const struct option_spec *table, const char *indent, struct buf *out)
{
        for (const struct option_spec *o = table; o && o->name; o++) {
                autofree char *words = o->type == OPTION_CHOICE ? spaced(o->argument) : NULL;

                buf_printf(out, " \\\n%s", indent);
                if (o->letter)
                        buf_printf(out, "{-%c,--%s}'[", o->letter, o->name);
                else
                        buf_printf(out, "'--%s[", o->name);
                zsh_text(o->help, out);
                buf_printf(out, "]");
                if (words)
                        buf_printf(out, ":word:(%s)", words);
                else if (takes_argument(o))
                        buf_printf(out, ":%s:%s", o->name,
                                   o->type == OPTION_VM     ? "_initvm_names"
                                   : o->type == OPTION_FILE ? "_files"
                                                            : "");
                buf_printf(out, "'");
        }
}

/* What comes behind a command. */
static void zsh_operands(const struct command *c, struct buf *out)
{
        autofree char *words = c->words ? spaced(c->words) : NULL;

        if (words)
                buf_printf(out, " \\\n                '1:word:(%s)'", words);
        else if (names_existing_vm(c))
                buf_printf(out, " \\\n                '1:name:_initvm_names'");
        else if (c->flags & COMMAND_FILES)
                buf_printf(out, " \\\n                '*:file:_files'");
        else if (c == &command_help)
                buf_printf(out, " \\\n                '1:command:_initvm_commands'");
}

/* One branch of `case`; a family has a second one in it. */
static void zsh_command(const struct command *c, const char *indent, struct buf *out)
{
        buf_printf(out, "%s        %s%s%s)\n%s            _arguments -s%s", indent, c->name, c->alias ? "|" : "",
                   c->alias ? c->alias : "", indent, c->subcommands ? " -C" : "");
        zsh_options(c->options, "                ", out);
        zsh_options(c->flags & COMMAND_VM ? common_options : common_options + 1, "                ", out);
        zsh_operands(c, out);
        if (c->subcommands) {
                buf_printf(out,
                           " \\\n                '*::argument:->of_%s'\n"
                           "            [[ $state == of_%s ]] || return\n            case $line[1] in\n",
                           c->name, c->name);
                for (size_t i = 0; c->subcommands[i]; i++)
                        zsh_command(c->subcommands[i], "    ", out);
                buf_printf(out, "            esac");
        }
        buf_printf(out, "\n%s            ;;\n", indent);
}

void completion_zsh(struct buf *out)
{
        buf_printf(out, "#compdef initvm\n\n"
                        "_initvm_names() {\n    local -a names\n    names=(${(f)\"$(" NAMES ")\"})\n    compadd -a names\n}\n\n"
                        "_initvm_commands() {\n    local -a list\n    list=(\n");
        for (size_t i = 0; commands[i]; i++) {
                buf_printf(out, "        '%s:", commands[i]->name);
                zsh_text(commands[i]->summary, out);
                buf_printf(out, "'\n");
        }
        buf_printf(out,
                   "    )\n    _describe command list\n}\n\n_initvm() {\n    local context state line\n    local -A opt_args\n"
                   "    _arguments -C '--version[print the version]'");
        zsh_options(common_options, "        ", out);
        buf_printf(out, " \\\n        '1:command:_initvm_commands' '*::argument:->arguments'\n"
                        "    [[ $state == arguments ]] || return\n    case $line[1] in\n");
        for (size_t i = 0; commands[i]; i++)
                zsh_command(commands[i], "", out);
        buf_printf(out, "    esac\n}\n\n"
                        "if [ \"$funcstack[1]\" = _initvm ]; then\n    _initvm \"$@\"\nelse\n    compdef _initvm initvm\nfi\n");
}

/* ---- fish: one `complete` line for each option ------------------------------------------------------------------------ */

static void fish_text(const char *text, struct buf *out)
{
        for (; *text; text++)
                buf_printf(out, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void fish_option(const struct option_spec *o, const char *condition, struct buf *out)
{
        autofree char *words = o->type == OPTION_CHOICE ? spaced(o->argument) : NULL;

        buf_printf(out, "complete -c initvm -n '%s' -l %s", condition, o->name);
        if (o->letter)
                buf_printf(out, " -s %c", o->letter);
        if (o->type == OPTION_FILE)
                buf_printf(out, " -r -F");
        else if (takes_argument(o))
                buf_printf(out, " -x");
        if (o->type == OPTION_VM)
                buf_printf(out, " -a '(" NAMES ")'");
        else if (words)
                buf_printf(out, " -a '%s'", words);
        buf_printf(out, " -d '");
        fish_text(o->help, out);
        buf_printf(out, "'\n");
}

/* When the command line is that of this command, as a condition of fish: owned. Families have subcommands that are called like
 * commands. */
static char *fish_condition(const struct command *c)
{
        struct buf b = {0};

        if (c->parent)
                buf_printf(&b, "__fish_seen_subcommand_from %s; and ", c->parent->name);
        buf_printf(&b, "__fish_seen_subcommand_from %s%s%s", c->name, c->alias ? " " : "", c->alias ? c->alias : "");
        for (size_t i = 0; !c->parent && !c->subcommands && commands[i]; i++)
                if (commands[i]->subcommands)
                        buf_printf(&b, "; and not __fish_seen_subcommand_from %s", commands[i]->name);
        return buf_take_string(&b);
}

static void fish_command(const struct command *c, struct buf *out)
{
        autofree char *words = c->words ? spaced(c->words) : NULL;
        autofree char *condition = fish_condition(c);

        if (!c->parent) {
                buf_printf(out, "complete -c initvm -n __fish_use_subcommand -a %s -d '", c->name);
                fish_text(c->summary, out);
                buf_printf(out, "'\n");
        }
        for (const struct option_spec *o = c->options; o && o->name; o++)
                fish_option(o, condition, out);
        if (c->flags & COMMAND_FILES)
                buf_printf(out, "complete -c initvm -n '%s' -F -a '(printf \"%%s:\\n\" (" NAMES "))'\n", condition);
        else if (words)
                buf_printf(out, "complete -c initvm -n '%s' -a '%s'\n", condition, words);
        else if (names_existing_vm(c))
                buf_printf(out, "complete -c initvm -n '%s' -a '(" NAMES ")'\n", condition);
        for (size_t i = 0; c->subcommands && c->subcommands[i]; i++)
                fish_command(c->subcommands[i], out);
}

void completion_fish(struct buf *out)
{
        buf_printf(out, "# fish completion for initvm\ncomplete -c initvm -f\n"
                        "complete -c initvm -n __fish_use_subcommand -l version -d 'print the version'\n");
        for (const struct option_spec *o = common_options; o->name; o++)
                fish_option(o, "true", out);
        for (size_t i = 0; commands[i]; i++)
                fish_command(commands[i], out);
}
