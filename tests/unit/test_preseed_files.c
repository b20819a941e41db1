/* SPDX-License-Identifier: MIT */
/*
 * Preseed files of the real world: those that are shipped, the example that Debian publishes, and what
 * debconf-set-selections(1) makes of the same files.
 */
#include "provision/preseed.h"

#include "base/file.h"
#include "base/process.h"
#include "base/util.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA    INITVM_TESTS "/unit/data/preseed/"
#define SHIPPED INITVM_TESTS "/../preseed/"

/* Package installation-guide-amd64, which any architecture can install; it may or may not be compressed. */
#define GUIDE "/usr/share/doc/installation-guide-amd64/example-preseed.txt"

static const char *const goldens[] = {"fields", "continued", "owners", "crlf"};
static const char *const examples[] = {"user", "local-repository", "late-command"};

static struct preseed *parse_good(const char *text)
{
        struct error err = ERROR_INIT;
        struct preseed *p = preseed_parse("t.cfg", text, strlen(text), &err);

        if (!p)
                fail_msg("%s", err.message);
        return p;
}

static struct preseed *load_good(const char *path)
{
        struct error err = ERROR_INIT;
        struct preseed *p = preseed_load(path, &err);

        if (!p)
                fail_msg("%s", err.message);
        return p;
}

static char *read_good(const char *path)
{
        struct error err = ERROR_INIT;
        char *text = file_read(path, PRESEED_FILE_MAX, NULL, &err);

        if (!text)
                fail_msg("%s", err.message);
        return text;
}

/* ---- debconf's own reader ----------------------------------------------------------------------------------------- */

/* The value without blanks: the installer's reader and debconf's differ in them by design. */
static void remove_blanks(char *s)
{
        char *to = s;

        for (; *s; s++)
                if (*s != ' ' && *s != '\t')
                        *to++ = *s;
        *to = '\0';
}

/* What a program says on both its outputs; its exit status into *ret. */
static char *run(const char *const *argv, int *ret)
{
        struct error err = ERROR_INIT;
        autobuf struct buf b = {0};
        autoclose int from = -1;
        int fds[2];
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        from = fds[0];
        const struct process_fd pass[] = {{.from = fds[1], .to = 1}, {.from = fds[1], .to = 2}};
        const struct process_options options = {.fds = pass, .n_fds = ARRAY_SIZE(pass)};
        if (process_spawn((char *const *)argv, &options, &pid, &err) < 0)
                fail_msg("%s", err.message);
        close(fds[1]);
        for (ssize_t n; (n = read(from, buf_reserve(&b, 4096), 4096)) > 0;)
                buf_commit(&b, (size_t)n);
        assert_int_equal(waitpid(pid, ret, 0), pid);
        return buf_take_string(&b);
}

/* The lines that debconf-set-selections says about each answer of the file, with a database of its own. */
static char **debconf_reads(const char *path)
{
        char folder[] = "/tmp/test-preseed-XXXXXX";
        autofree char *database = NULL, *text = NULL;
        autostrv char **lines = NULL;
        char **answers = NULL;
        int status;

        assert_non_null(mkdtemp(folder));
        database = xasprintf("DEBCONF_DB_REPLACE=File{%s/db}", folder);
        const char *const argv[] = {
                "env", database, "DEBCONF_NOWARNINGS=yes", "LC_ALL=C", "debconf-set-selections", "--checkonly", "--verbose",
                path,  NULL};
        /* It fails when a seen flag comes before its question; what it says about the other lines is still wanted. */
        text = run(argv, &status);
        tree_remove(folder, NULL);
        lines = strv_split(text, "\n");
        for (char **l = lines; l && *l; l++)
                if (str_has_prefix(*l, "info: Trying to set "))
                        strv_add(&answers, *l);
                else if (str_has_prefix(*l, "warning: Unknown type error"))
                        strv_add(&answers, "skipped");
        return answers;
}

static void compare_with_debconf(const char *path)
{
        autopreseed struct preseed *p = load_good(path);
        autostrv char **theirs = debconf_reads(path);

        assert_int_equal(strv_length(theirs), p->n_entries);
        for (size_t i = 0; i < p->n_entries; i++) {
                const struct preseed_entry *e = &p->entries[i];
                autofree char *ours = e->type == PRESEED_ERROR  ? xstrdup("skipped")
                                      : e->type == PRESEED_SEEN ? xasprintf("info: Trying to set 'seen' flag to '%s'", e->value)
                                                                : xasprintf("info: Trying to set '%s' [%s] to '%s'", e->question,
                                                                            preseed_type_name(e->type), e->value);

                if (streq(e->owner, PRESEED_INSTALLER)) {
                        remove_blanks(ours);
                        remove_blanks(theirs[i]);
                }
                assert_string_equal(ours, theirs[i]);
        }
}

static void test_debconf_reads_the_same(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
                autofree char *path = xasprintf(DATA "%s.cfg", goldens[i]);
                compare_with_debconf(path);
        }
        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                autofree char *path = xasprintf(SHIPPED "examples/%s.cfg", examples[i]);
                compare_with_debconf(path);
        }
        compare_with_debconf(SHIPPED "default.cfg");
}

/* ---- the files that are shipped, and Debian's ------------------------------------------------------------------------------ */

/* What the installer asks at a priority that an unattended installation sees. */
static const char *const must_answer[] = {
        "debian-installer/locale",
        "keyboard-configuration/xkb-keymap",
        "netcfg/choose_interface",
        "netcfg/get_hostname",
        "netcfg/get_domain",
        "mirror/country",
        "mirror/http/hostname",
        "mirror/http/directory",
        "mirror/http/proxy",
        "time/zone",
        "partman-auto/disk",
        "partman-auto/method",
        "partman-auto/expert_recipe",
        "partman-partitioning/confirm_write_new_label",
        "partman/choose_partition",
        "partman/confirm",
        "partman/confirm_nooverwrite",
        "passwd/root-login",
        "passwd/root-password-crypted",
        "passwd/make-user",
        "apt-setup/cdrom/set-first",
        "pkgsel/run_tasksel",
        "tasksel/first",
        "popularity-contest/participate",
        "grub-installer/only_debian",
        "grub-installer/with_other_os",
        "grub-installer/bootdev",
        "grub-installer/force-efi-extra-removable",
        "grub-installer/update-nvram",
        "finish-install/reboot_in_progress",
        "debian-installer/exit/poweroff",
};

static void test_default(void **state)
{
        autopreseed struct preseed *p = load_good(SHIPPED "default.cfg");
        autofree char *selections = preseed_selections(p);
        bool flag = false;
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(must_answer); i++)
                if (!preseed_find(p, NULL, must_answer[i]))
                        fail_msg("default.cfg does not answer '%s'", must_answer[i]);
        for (size_t i = 0; i < p->n_entries; i++) {
                const struct preseed_entry *e = &p->entries[i];
                const struct preseed_entry *last = preseed_find(p, e->owner, e->question);

                if (last != e)
                        fail_msg("default.cfg answers '%s' twice", e->question);
                if (e->type == PRESEED_BOOLEAN)
                        assert_int_equal(preseed_bool(p, e->question, &flag, NULL), 1);
        }
        /* '!' would make user-setup ask for a password; clear text must not be there. */
        assert_string_equal(preseed_string(p, "passwd/root-password-crypted"), "*");
        assert_null(preseed_string(p, "passwd/root-password"));
        assert_null(preseed_string(p, "preseed/late_command"));
        assert_true(
                str_has_prefix(preseed_string(p, "partman-auto/expert_recipe"), "build-machine :: 512 512 512 free $iflabel{"));
        assert_true(str_has_suffix(preseed_string(p, "partman-auto/expert_recipe"), "mountpoint{ / } ."));
        assert_string_equal(selections, "tasksel tasksel/first multiselect\n"
                                        "popularity-contest popularity-contest/participate boolean false\n");
}

static void test_examples(void **state)
{
        autofree char *base = read_good(SHIPPED "default.cfg");
        static const struct {
                const char *file, *question, *value;
        } wins[] = {
                {"user", "passwd/username", "builder"},
                {"user", "passwd/make-user", "true"},
                {"local-repository", "mirror/http/proxy", "http://10.0.2.2:3142/"},
                {"local-repository", "apt-setup/local0/repository", "http://packages.example.org/debian stable main"},
                {"late-command", "man-db/auto-update", "false"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                autofree char *path = xasprintf(SHIPPED "examples/%s.cfg", examples[i]);
                autofree char *text = read_good(path);
                autofree char *both = xasprintf("%s%s", base, text);
                autopreseed struct preseed *p = parse_good(both);

                for (size_t j = 0; j < ARRAY_SIZE(wins); j++)
                        if (streq(wins[j].file, examples[i]))
                                assert_string_equal(preseed_string(p, wins[j].question), wins[j].value);
                if (streq(examples[i], "late-command"))
                        assert_non_null(strstr(preseed_string(p, "preseed/late_command"), "50keep && in-target systemctl"));
        }
}

/* One leading '#' away from each commented answer and from the lines that continue it. */
static char *uncomment(const char *text)
{
        static const char *const owners[] = {"#d-i ", "#tasksel ", "#popularity-contest "};
        autobuf struct buf b = {0};
        bool continues = false;

        while (*text) {
                size_t n = strcspn(text, "\n");
                bool answer = continues && *text == '#';

                for (size_t i = 0; i < ARRAY_SIZE(owners); i++)
                        answer = answer || str_has_prefix(text, owners[i]);
                buf_append(&b, text + answer, n - answer);
                buf_append(&b, "\n", 1);
                continues = (answer || *text != '#') && n > 0 && text[n - 1] == '\\';
                text += n + (text[n] != '\0');
        }
        return buf_take_string(&b);
}

static void test_debians_example(void **state)
{
        const char *const argv[] = {"gzip", "-cdf", access(GUIDE ".gz", F_OK) == 0 ? GUIDE ".gz" : GUIDE, NULL};
        int status;
        autofree char *text = run(argv, &status), *bare = NULL;
        autostrv char **lines = NULL;
        autopreseed struct preseed *commented = NULL, *p = NULL;
        size_t answers = 0;
        (void)state;

        if (status != 0)
                fail_msg("install the package installation-guide-amd64: %s", text);
        bare = uncomment(text);
        lines = strv_split(bare, "\n");
        commented = parse_good(text);
        p = parse_good(bare);

        for (char **l = lines; *l; l++)
                answers += str_has_prefix(*l, "d-i ") || str_has_prefix(*l, "tasksel ") || str_has_prefix(*l, "popularity-");
        assert_int_equal(p->n_entries, answers);
        assert_true(p->n_entries > commented->n_entries);
        assert_string_equal(preseed_string(p, "partman/early_command"),
                            "debconf-set partman-auto/disk \"$(list-devices disk | head -n1)\"");
        assert_string_equal(preseed_string(p, "apt-setup/local0/repository"), "http://local.server/debian stable main");
        assert_true(str_has_suffix(preseed_string(p, "partman-auto/expert_recipe"), "method{ raid } ."));
        assert_string_equal(preseed_string(p, "tasksel/first"), "standard, web-server, kde-desktop");
        print_message("# Debian's example: %zu answers, un-commented %zu\n", commented->n_entries, p->n_entries);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_debconf_reads_the_same),
                cmocka_unit_test(test_default),
                cmocka_unit_test(test_examples),
                cmocka_unit_test(test_debians_example),
        };

        return cmocka_run_group_tests_name("preseed files", tests, NULL, NULL);
}
