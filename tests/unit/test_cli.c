/* SPDX-License-Identifier: MIT */
/* The pure parts of the CLI: the command line, words and figures, tables, the progress of a long operation, help. */
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- options ------------------------------------------------------------------------------------------------------- */

static const struct option_spec common[] = {
        {.name = "name", .letter = 'n', .type = OPTION_VM, .argument = "NAME", .help = "the VM"},
        {0},
};
static const struct option_spec own[] = {
        {.name = "force", .letter = 'f', .type = OPTION_FLAG, .help = "do it"},
        {.name = "yes", .letter = 'y', .type = OPTION_FLAG, .help = "do not ask"},
        {.name = "size", .letter = 's', .type = OPTION_SIZE, .argument = "SIZE", .help = "of the disk"},
        {.name = "cpus", .type = OPTION_NUMBER, .argument = "N", .help = "CPUs"},
        {.name = "timeout", .type = OPTION_SECONDS, .argument = "SECONDS", .help = "deadline"},
        {.name = "env", .letter = 'e', .type = OPTION_LIST, .argument = "K=V", .help = "variable"},
        {.name = "accel", .type = OPTION_CHOICE, .argument = "auto|kvm|tcg", .help = "acceleration"},
        {0},
};

/* Splits the line at spaces and parses it; `*ret_words` keeps the words alive. */
static int parse(const char *line, enum arguments_end end, struct arguments *a, char ***ret_words, size_t *ret_used,
                 struct error *err)
{
        *a = (struct arguments){0};
        *ret_words = strv_split(line, " ");
        return arguments_parse(a, *ret_words, common, own, end, ret_used, err);
}

static void test_options_accepted(void **state)
{
        static const struct {
                const char *line, *name, *operands, *env;
                bool force, yes;
                uint64_t size, cpus, timeout;
        } cases[] = {
                {.line = "", .operands = ""},
                {.line = "-n a", .name = "a", .operands = ""},
                {.line = "-na --name=b", .name = "b", .operands = ""},
                {.line = "one --force two", .force = true, .operands = "one two"},
                {.line = "-fy x", .force = true, .yes = true, .operands = "x"},
                {.line = "-yn a", .yes = true, .name = "a", .operands = ""},
                {.line = "-ys64G", .yes = true, .size = 64ull << 30, .operands = ""},
                {.line = "--size 512M", .size = 512ull << 20, .operands = ""},
                {.line = "--size=1t", .size = 1ull << 40, .operands = ""},
                {.line = "--cpus 4 --timeout 90", .cpus = 4, .timeout = 90000, .operands = ""},
                {.line = "-e A=1 --env B=2 --env=C=3", .env = "A=1 B=2 C=3", .operands = ""},
                {.line = "--env= -f", .operands = NULL}, /* refused: empty */
                {.line = "-- -f --size", .operands = "-f --size"},
                {.line = "- x", .operands = "- x"},
                {.line = "--accel kvm", .operands = ""},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autostrv char **words = NULL, **env = NULL;
                autofree char *operands = NULL, *variables = NULL;
                struct error err = ERROR_INIT;
                struct arguments a;
                int r = parse(cases[i].line, ARGUMENTS_ALL, &a, &words, NULL, &err);

                if (!cases[i].operands) {
                        assert_int_equal(r, -1);
                        arguments_done(&a);
                        continue;
                }
                assert_int_equal(r, 0);
                operands = strv_join(a.operands, " ");
                env = arguments_list(&a, "env");
                variables = strv_join(env, " ");
                assert_string_equal(operands, cases[i].operands);
                assert_string_equal(variables, cases[i].env ? cases[i].env : "");
                assert_string_equal(arguments_text(&a, "name", ""), cases[i].name ? cases[i].name : "");
                assert_int_equal(arguments_flag(&a, "force"), cases[i].force);
                assert_int_equal(arguments_flag(&a, "yes"), cases[i].yes);
                assert_int_equal(arguments_number(&a, "size", 0), cases[i].size);
                assert_int_equal(arguments_number(&a, "cpus", 0), cases[i].cpus);
                assert_int_equal(arguments_number(&a, "timeout", 0), cases[i].timeout);
                arguments_done(&a);
        }
}

static void test_options_refused(void **state)
{
        static const struct {
                const char *line, *says;
        } cases[] = {
                {"--sise 3G", "did you mean '--size'?"},
                {"--nonsense", "'--nonsense' is not an option here"},
                {"-x", "'-x' is not an option here"},
                {"-fx", "'-x' is not an option here"},
                {"--size", "'--size' needs an argument: SIZE"},
                {"-n", "'--name' needs an argument: NAME"},
                {"--force=yes", "'--force' takes no argument"},
                {"--size big", "not a size"},
                {"--size -1G", "not a size"},
                {"--size 17179869184T", "not a size"},
                {"--size 64", "less than 1 MiB: add a unit"},
                {"--cpus 0", "whole number"},
                {"--cpus 2x", "whole number"},
                {"--timeout 0", "whole seconds"},
                {"--timeout 1.5", "whole seconds"},
                {"--accel xen", "must be one of auto|kvm|tcg"},
                {"--accel auto|kvm", "must be one of auto|kvm|tcg"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autostrv char **words = NULL;
                struct error err = ERROR_INIT;
                struct arguments a;

                assert_int_equal(parse(cases[i].line, ARGUMENTS_ALL, &a, &words, NULL, &err), -1);
                assert_int_equal(err.code, ERR_INVALID);
                if (!strstr(err.message, cases[i].says))
                        fail_msg("'%s': %s", cases[i].line, err.message);
                arguments_done(&a);
        }
}

static void test_options_stop_at_operand(void **state)
{
        static const struct {
                const char *line;
                size_t used;
        } cases[] = {{"-f ls -l", 1}, {"-n a -- -l", 3}, {"ls -f", 0}, {"-f", 1}, {"-- --", 1}};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autostrv char **words = NULL;
                struct error err = ERROR_INIT;
                struct arguments a;
                size_t used = 99;

                assert_int_equal(parse(cases[i].line, ARGUMENTS_TO_OPERAND, &a, &words, &used, &err), 0);
                assert_int_equal(used, cases[i].used);
                assert_null(a.operands);
                arguments_done(&a);
        }
}

/* ---- the command line ------------------------------------------------------------------------------------------------ */

static void test_invocations(void **state)
{
        static const struct {
                const char *line, *command, *name, *operands;
        } cases[] = {
                {"start", "start", "default", ""},
                {"-n a start", "start", "a", ""},
                {"start -n a", "start", "a", ""},
                {"-n a start -n b", "start", "b", ""},
                {"start a", "start", "a", ""},
                {"start a -n a", "start", "a", ""},
                {"console --log", "attach", "default", ""},
                {"ls --json", "list", "default", ""},
                {"exec -n a ls -l -n b", "exec", "a", "ls -l -n b"},
                {"exec --cwd / -- ls --help", "exec", "default", "ls --help"},
                {"exec -- --", "exec", "default", "--"},
                {"shell", "shell", "default", ""},
                {"shell a -u b", "shell", "a", ""},
                {"shell -u b a -- ls -l -- x", "shell", "a", "ls -l -- x"},
                {"shell --", "shell", "default", ""},
                {"-n a shell -- a", "shell", "a", "a"},
                {"create --help", "help", NULL, "create"},
                {"--help", "help", NULL, ""},
                {"-h create --wrong", "help", NULL, "create"},
                {"--version", "version", NULL, ""},
                {"help exec", "help", "default", "exec"},
                {"daemon stop", "daemon", "default", "stop"},
                {"chroot list", "list", "default", ""},
                {"-n a chroot ls --json", "list", "a", ""},
                {"chroot -n a clone b c", "clone", "a", "b c"},
                {"chroot run box --user u -- ls -l -- x", "run", "default", "box"},
                {"chroot run --help", "help", NULL, "chroot run"},
                {"chroot --help", "help", NULL, "chroot"},
                {"chroot --help run", "help", NULL, "chroot run"},
                {"help chroot run", "help", "default", "chroot run"},
        };

        (void)state;
        unsetenv("INITVM_NAME");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autostrv char **words = strv_split(cases[i].line, " ");
                autofree char *operands = NULL;
                struct error err = ERROR_INIT;
                struct invocation inv;

                if (invocation_parse(&inv, words, &err) < 0)
                        fail_msg("'%s': %s", cases[i].line, err.message);
                assert_string_equal(inv.command->name, cases[i].command);
                operands = strv_join(inv.operands, " ");
                assert_string_equal(operands, cases[i].operands);
                if (cases[i].name)
                        assert_string_equal(inv.name, cases[i].name);
                invocation_done(&inv);
        }
}

static void test_invocations_refused(void **state)
{
        static const struct {
                const char *line, *says;
        } cases[] = {
                {"strat", "did you mean 'start'?"},
                {"frobnicate", "'initvm help' lists them"},
                {"start a b", "'b' is one word too many for 'start'"},
                {"start a -n b", "two VMs are named"},
                {"start a/b", "'a/b' cannot be a VM's name"},
                {"-n .. destroy", "'..' cannot be a VM's name"},
                {"exec", "something is missing behind 'exec'"},
                {"exec --", "something is missing behind 'exec'"},
                {"shell a ls", "'ls' is one word too many for 'shell': a command for the VM goes behind '--'"},
                {"shell -n a b", "two VMs are named"},
                {"shell --tty", "'--tty' is not an option here"},
                {"daemon", "something is missing behind 'daemon'"},
                {"list a", "'a' is one word too many"},
                {"start --size 3G", "'--size' is not an option here"},
                {"--json list", "'--json' is not an option here"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autostrv char **words = strv_split(cases[i].line, " ");
                struct error err = ERROR_INIT;
                struct invocation inv;

                assert_int_equal(invocation_parse(&inv, words, &err), -1);
                assert_int_equal(err.code, ERR_INVALID);
                if (!strstr(err.message, cases[i].says))
                        fail_msg("'%s': %s", cases[i].line, err.message);
                invocation_done(&inv);
        }
}

static void test_name_from_environment(void **state)
{
        char *argv[] = {(char *)"status", NULL};
        struct error err = ERROR_INIT;
        struct invocation inv;

        (void)state;
        setenv("INITVM_NAME", "from-env", 1);
        assert_int_equal(invocation_parse(&inv, argv, &err), 0);
        assert_string_equal(inv.name, "from-env");
        invocation_done(&inv);
        setenv("INITVM_NAME", "", 1);
        assert_int_equal(invocation_parse(&inv, argv, &err), 0);
        assert_string_equal(inv.name, "default");
        invocation_done(&inv);
        unsetenv("INITVM_NAME");
}

static void test_nothing_is_no_command(void **state)
{
        char *argv[] = {NULL};
        struct error err = ERROR_INIT;
        struct invocation inv;

        (void)state;
        assert_int_equal(invocation_parse(&inv, argv, &err), 0);
        assert_null(inv.command);
        invocation_done(&inv);
}

/* ---- words and figures ----------------------------------------------------------------------------------------------- */

static void test_nearest(void **state)
{
        static const char *const words[] = {"create", "start", "stop", "status", "list", "ls", "rm"};
        static const struct {
                const char *word, *nearest;
        } cases[] = {
                {"start", "start"},   {"strat", "start"}, {"craete", "create"}, {"sto", "stop"},
                {"statsu", "status"}, {"lst", "list"},    {"xyzzy", NULL},      {"qq", NULL},
        };

        (void)state;
        assert_int_equal(text_distance("", "abc"), 3);
        assert_int_equal(text_distance("abc", "abc"), 0);
        assert_int_equal(text_distance("abcd", "acbd"), 1);
        assert_int_equal(text_distance("kitten", "sitting"), 3);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *nearest = text_nearest(cases[i].word, words, ARRAY_SIZE(words));

                if (cases[i].nearest)
                        assert_string_equal(nearest, cases[i].nearest);
                else
                        assert_null(nearest);
        }
}

static void test_durations(void **state)
{
        static const struct {
                uint64_t ms;
                const char *text;
        } cases[] = {
                {0, "0 s"},
                {59999, "59 s"},
                {60000, "1 min"},
                {3599999, "59 min"},
                {3600000, "1 h 0 min"},
                {11100000, "3 h 5 min"},
                {187200000, "2 d 4 h"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *text = text_duration(cases[i].ms);
                assert_string_equal(text, cases[i].text);
        }
}

static void test_safe_text(void **state)
{
        autobuf struct buf b = {0};
        autofree char *line = NULL, *lines = NULL;

        (void)state;
        text_append_safe(&b, "a\033[2J\r\nb\tc\x7f\xc3\xa4", false);
        line = buf_take_string(&b);
        assert_string_equal(line, "a?[2J??b\tc?\xc3\xa4");
        text_append_safe(&b, "a\nb\r", true);
        lines = buf_take_string(&b);
        assert_string_equal(lines, "a\nb?");
}

static void test_cut(void **state)
{
        static const struct {
                const char *text;
                size_t width;
                const char *cut;
        } cases[] = {
                {"abc", 3, "abc"},
                {"abcd", 3, "ab\xe2\x80\xa6"},
                {"abcd", 1, "\xe2\x80\xa6"},
                {"abcd", 0, ""},
                {"", 5, ""},
                {"\xc3\xa4\xc3\xb6\xc3\xbc", 3, "\xc3\xa4\xc3\xb6\xc3\xbc"},
                {"\xc3\xa4\xc3\xb6\xc3\xbc", 2, "\xc3\xa4\xe2\x80\xa6"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autobuf struct buf b = {0};
                autofree char *cut = NULL;

                text_append_cut(&b, cases[i].text, cases[i].width);
                cut = buf_take_string(&b);
                assert_string_equal(cut, cases[i].cut);
        }
}

static void test_wrap(void **state)
{
        autobuf struct buf b = {0};
        autofree char *text = NULL;

        (void)state;
        text_append_wrapped(&b, "one two three\nfour averylongwordindeed", 2, 10);
        text = buf_take_string(&b);
        assert_string_equal(text, "  one two\n  three\n  four\n  averylongwordindeed\n");
}

/* ---- tables ---------------------------------------------------------------------------------------------------------- */

static void test_table(void **state)
{
        static const char *const headings[] = {"NAME", "STATE", "DISK", NULL};
        autobuf struct buf b = {0};
        autofree char *text = NULL;
        struct table t;

        (void)state;
        table_init(&t, headings);
        table_add(&t, "default", NULL);
        table_add(&t, "running", STYLE_GREEN);
        table_addf(&t, "%d GiB", 64);
        table_add(&t, "\xc3\xa4", NULL);
        table_add(&t, "", "");
        table_add(&t, "a\nb", NULL);
        table_render(&t, &b);
        table_done(&t);
        text = buf_take_string(&b);
        assert_string_equal(text, "NAME     STATE    DISK\n"
                                  "default  " STYLE_GREEN "running" STYLE_RESET "  64 GiB\n"
                                  "\xc3\xa4        -        a?b\n");
}

/* ---- progress -------------------------------------------------------------------------------------------------------- */

static void feed(struct progress *p, const char *json, uint64_t now)
{
        struct error err = ERROR_INIT;
        autojson struct json_object *event = json_parse(json, strlen(json), &err);

        assert_non_null(event);
        progress_event(p, event, now);
}

static void assert_output(struct progress *p, const char *expected)
{
        autofree char *text = buf_take_string(&p->out);
        assert_string_equal(text, expected);
}

static void test_progress_lines(void **state)
{
        struct progress p = {.mode = PROGRESS_LINES, .percent = PERCENT_UNKNOWN, .width = 80};

        (void)state;
        feed(&p, "{\"notice\":\"removed a half-made 'x'\"}", 1000);
        feed(&p, "{\"warning\":\"line 3: not honoured\"}", 1000);
        feed(&p, "{\"stage\":\"bootstrap\",\"state\":\"begin\",\"text\":\"fetching\"}", 1000);
        feed(&p, "{\"stage\":\"bootstrap\",\"state\":\"update\",\"text\":\"unpacking\",\"percent\":50}", 3000);
        progress_tick(&p, 4000);
        feed(&p, "{\"stage\":\"bootstrap\",\"state\":\"end\",\"elapsed\":12340}", 13000);
        assert_output(&p, "initvm: removed a half-made 'x'\n"
                          "initvm: warning: line 3: not honoured\n"
                          "bootstrap: fetching\n"
                          "bootstrap: 12.3 s\n");
        /* a stage that nobody ended, one that nobody began, one that fails */
        feed(&p, "{\"stage\":\"one\",\"state\":\"begin\"}", 20000);
        feed(&p, "{\"stage\":\"two\",\"text\":\"going\"}", 21500);
        progress_end(&p, "failed", 22000);
        progress_end(&p, "failed", 23000);
        assert_output(&p, "one\none: 1.5 s\ntwo: going\ntwo: 0.5 s  failed\n");
        progress_done(&p);
}

static void test_progress_live(void **state)
{
        struct progress p = {.mode = PROGRESS_LIVE, .percent = PERCENT_UNKNOWN, .width = 40};

        (void)state;
        feed(&p, "{\"stage\":\"image\",\"state\":\"begin\"}", 1000);
        assert_output(&p, CLEAR_LINE "  image              0 s");
        feed(&p, "{\"stage\":\"image\",\"percent\":7,\"text\":\"a text that is too long\\r\"}", 3999);
        assert_output(&p, CLEAR_LINE "  image              2 s    7 %  a tex\xe2\x80\xa6");
        progress_tick(&p, 5000);
        assert_output(&p, CLEAR_LINE "  image              4 s    7 %  a tex\xe2\x80\xa6");
        feed(&p, "{\"warning\":\"careful\"}", 5000);
        assert_output(&p,
                      CLEAR_LINE "initvm: warning: careful\n" CLEAR_LINE "  image              4 s    7 %  a tex\xe2\x80\xa6");
        feed(&p, "{\"stage\":\"image\",\"state\":\"end\",\"elapsed\":4100}", 5100);
        assert_output(&p, CLEAR_LINE "  image              4.1 s\n");
        progress_tick(&p, 6000);
        assert_output(&p, "");
        progress_done(&p);
}

static void test_progress_json(void **state)
{
        struct progress p = {.mode = PROGRESS_JSON, .percent = PERCENT_UNKNOWN};

        (void)state;
        feed(&p, "{\"stage\": \"image\", \"state\": \"begin\"}", 1000);
        feed(&p, "{\"warning\": \"careful\"}", 1000);
        progress_say(&p, "cancelling", 1500);
        progress_end(&p, "cancelled", 2000);
        assert_output(&p, "{\"stage\":\"image\",\"state\":\"begin\"}\n{\"warning\":\"careful\"}\n");
        progress_done(&p);
}

/* ---- help and completion: every command and option is in all of them ---------------------------------------------------- */

static void assert_mentions(const char *text, const char *where, const char *what)
{
        if (!strstr(text, what))
                fail_msg("%s does not mention '%s'", where, what);
}

struct completions {
        char *bash, *zsh, *fish;
};

static void check_command(const struct command *c, const struct completions *all)
{
        autobuf struct buf b = {0};
        autofree char *help = NULL;

        help_command(c, &b);
        help = buf_take_string(&b);
        for (const struct option_spec *o = c->options; o && o->name; o++) {
                autofree char *dashed = xasprintf("--%s", o->name), *fished = xasprintf("-l %s", o->name);

                assert_mentions(help, c->name, dashed);
                assert_mentions(all->bash, "bash completion", dashed);
                assert_mentions(all->zsh, "zsh completion", dashed);
                assert_mentions(all->fish, "fish completion", fished);
        }
        for (const char *line = help; *line; line += strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n'))
                if (strcspn(line, "\n") > 80)
                        fail_msg("the help of '%s' has a line of more than 80 columns: %.90s", c->name, line);
        for (size_t i = 0; c->subcommands && c->subcommands[i]; i++) {
                assert_ptr_equal(c->subcommands[i]->parent, c);
                assert_mentions(help, c->name, c->subcommands[i]->name);
                assert_mentions(c->words, "the family's list of words", c->subcommands[i]->name);
                check_command(c->subcommands[i], all);
        }
}

static void test_help_and_completion_are_whole(void **state)
{
        autobuf struct buf b = {0};
        autofree char *overview = NULL;
        struct completions all;

        (void)state;
        help_overview(&b);
        overview = buf_take_string(&b);
        completion_bash(&b);
        all.bash = buf_take_string(&b);
        completion_zsh(&b);
        all.zsh = buf_take_string(&b);
        completion_fish(&b);
        all.fish = buf_take_string(&b);
        for (size_t i = 0; commands[i]; i++) {
                assert_mentions(overview, "the overview", commands[i]->name);
                assert_mentions(overview, "the overview", commands[i]->summary);
                check_command(commands[i], &all);
        }
        free(all.bash);
        free(all.zsh);
        free(all.fish);
}

/* Names, aliases and letters must be unique, or the second would never be found. */
static void check_table(const struct command *const *table)
{
        for (size_t i = 0; table[i]; i++) {
                const struct command *c = table[i];

                for (size_t j = 0; table[j]; j++)
                        assert_false(i != j && (streq(c->name, table[j]->name) || streq(c->alias, table[j]->name) ||
                                                streq(c->alias, table[j]->alias)));
                for (const struct option_spec *o = c->options; o && o->name; o++) {
                        for (const struct option_spec *p = o + 1; p->name; p++)
                                assert_false(streq(o->name, p->name) || (o->letter && o->letter == p->letter));
                        for (const struct option_spec *p = common_options; p->name; p++)
                                assert_false(streq(o->name, p->name) || (o->letter && o->letter == p->letter));
                }
                if (c->subcommands)
                        check_table(c->subcommands);
        }
}

static void test_tables_are_unambiguous(void **state)
{
        (void)state;
        check_table(commands);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_options_accepted),
                cmocka_unit_test(test_options_refused),
                cmocka_unit_test(test_options_stop_at_operand),
                cmocka_unit_test(test_invocations),
                cmocka_unit_test(test_invocations_refused),
                cmocka_unit_test(test_name_from_environment),
                cmocka_unit_test(test_nothing_is_no_command),
                cmocka_unit_test(test_nearest),
                cmocka_unit_test(test_durations),
                cmocka_unit_test(test_safe_text),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_wrap),
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_progress_lines),
                cmocka_unit_test(test_progress_live),
                cmocka_unit_test(test_progress_json),
                cmocka_unit_test(test_help_and_completion_are_whole),
                cmocka_unit_test(test_tables_are_unambiguous),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
