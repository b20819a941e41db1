/* SPDX-License-Identifier: MIT */
/* What the installer is given, and what is learned of the system that it has made. */
#include "provision/installer.h"

#include "base/file.h"
#include "base/util.h"
#include "daemon/first_boot.h"
#include "provision/installed.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_guest_url(void **state)
{
        static const struct {
                const char *url, *seen;
        } cases[] = {
                {"http://localhost:3142/", "http://10.0.2.2:3142/"},
                {"http://localhost", "http://10.0.2.2"},
                {"http://127.0.0.1:3142", "http://10.0.2.2:3142"},
                {"http://127.8.9.1/debian", "http://10.0.2.2/debian"},
                {"http://[::1]:8080/a", "http://10.0.2.2:8080/a"},
                {"http://user:word@localhost:1/", "http://user:word@10.0.2.2:1/"},
                {"http://localhost.example.org/", NULL},
                {"http://[::12]/", NULL},
                {"http://proxy.example.org/localhost", NULL},
                {"http://proxy.example.org/a@localhost", NULL},
                {"localhost", NULL},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *seen = installer_guest_url(cases[i].url);

                if (cases[i].seen)
                        assert_string_equal(seen, cases[i].seen);
                else
                        assert_null(seen);
        }
}

static char *answers(const char *text, const char *mirror, const char *proxy)
{
        const struct plan_overrides overrides = {.name = "vm", .mirror = mirror};
        struct error err = ERROR_INIT;
        autoimage struct image *image = image_load("images/debian-13-amd64.json", &err);
        autopreseed struct preseed *p = preseed_parse("p.cfg", text, strlen(text), &err);
        autoplan struct plan *plan = image && p ? installed_plan(image, p, &overrides, &err) : NULL;

        assert_string_equal(err.message, "");
        return installer_preseed(image, p, text, plan, mirror, proxy, "C.UTF-8\nde_AT.UTF-8\nde_AT\neo\nsr_RS\nsr_RS@latin\n");
}

/* What counts of a question in a text: its last answer. */
static char *answer(const char *text, const char *question)
{
        struct error err = ERROR_INIT;
        autopreseed struct preseed *p = preseed_parse("out", text, strlen(text), &err);
        const char *value;

        assert_string_equal(err.message, "");
        value = preseed_string(p, question);
        return xstrdup(value ? value : "(none)");
}

static void assert_answer(const char *text, const char *question, const char *expected)
{
        autofree char *value = answer(text, question);

        assert_string_equal(value, expected);
}

static void test_answers_of_the_image(void **state)
{
        autofree char *text = answers("d-i pkgsel/include string git less\n", NULL, NULL), *packages = NULL;
        (void)state;

        assert_true(str_has_prefix(text, "d-i pkgsel/include string git less\n"));
        assert_answer(text, "mirror/suite", "trixie");
        assert_answer(text, "mirror/country", "manual");
        assert_answer(text, "mirror/http/hostname", "deb.debian.org");
        assert_answer(text, "mirror/http/directory", "/debian");
        assert_answer(text, "mirror/http/proxy", "(none)");
        assert_answer(text, "base-installer/kernel/image", "linux-image-cloud-amd64");
        assert_answer(text, "netcfg/get_hostname", "vm");
        assert_answer(text, "debian-installer/exit/poweroff", "true");
        packages = answer(text, "pkgsel/include");
        autostrv char **names = strv_split(packages, " ");
        assert_true(strv_contains(names, "git") && strv_contains(names, "less") && strv_contains(names, "systemd-resolved"));
        assert_false(strv_contains(names, "grub-pc") || strv_contains(names, "linux-image-cloud-amd64"));
}

static void test_answers_of_the_preseed(void **state)
{
        autofree char *text = answers("d-i mirror/protocol string http\nd-i mirror/http/hostname string m.example\n"
                                      "d-i mirror/http/directory string /d\nd-i netcfg/get_hostname string mine\n"
                                      "d-i base-installer/kernel/image string linux-image-amd64\n"
                                      "d-i debian-installer/exit/poweroff boolean false\n",
                                      NULL, "http://localhost:3142/");
        (void)state;

        assert_answer(text, "mirror/http/hostname", "m.example");
        assert_answer(text, "mirror/http/directory", "/d");
        assert_answer(text, "mirror/http/proxy", "http://10.0.2.2:3142/");
        assert_answer(text, "netcfg/get_hostname", "mine");
        assert_answer(text, "base-installer/kernel/image", "linux-image-amd64");
        assert_answer(text, "debian-installer/exit/poweroff", "true"); /* its end is the domain's */
}

/* localechooser, on a serial line, takes a locale of another language only this way. */
static void test_locale(void **state)
{
        static const struct {
                const char *given, *country, *locale;
        } cases[] = {
                {"d-i debian-installer/locale string de_AT.UTF-8\n", "AT", "de_AT.UTF-8"},
                {"d-i debian-installer/locale string de_AT\n", "AT", "de_AT.UTF-8"},
                {"d-i debian-installer/locale string sr_RS\n", "RS", "sr_RS"},
                {"d-i debian-installer/locale string sr_RS@latin\n", "RS", "sr_RS@latin"},
                {"d-i debian-installer/locale string eo\n", "US", "eo"},
                {"d-i debian-installer/locale string xx_YY\n", "YY", "xx_YY.UTF-8"},
                {"d-i debian-installer/locale string de_AT\nd-i debian-installer/country string LU\n", "LU", "de_AT.UTF-8"},
                {"d-i debian-installer/language string de\nd-i debian-installer/country string AT\n", "AT", "de_AT.UTF-8"},
                {"d-i debian-installer/locale string C\n", "US", "C"},
                {"", "US", "C.UTF-8"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *text = answers(cases[i].given, NULL, NULL);

                assert_answer(text, "debian-installer/language", streq(cases[i].locale, "C") ? "C" : "en");
                assert_answer(text, "debian-installer/country", cases[i].country);
                assert_answer(text, "debian-installer/locale", cases[i].locale);
        }
}

static void test_mirror_of_the_caller(void **state)
{
        autofree char *text = answers("d-i mirror/protocol string http\nd-i mirror/http/hostname string m.example\n",
                                      "https://127.0.0.1:8443/deb", NULL);
        (void)state;

        assert_answer(text, "mirror/protocol", "https");
        assert_answer(text, "mirror/https/hostname", "10.0.2.2:8443");
        assert_answer(text, "mirror/https/directory", "/deb");
}

static void test_static_network(void **state)
{
        static const struct {
                const char *text;
                bool is_static;
        } cases[] = {
                {"d-i netcfg/choose_interface select auto\n", false},   {"d-i netcfg/get_ipaddress string 10.0.2.77\n", true},
                {"d-i netcfg/disable_autoconfig boolean true\n", true}, {"d-i netcfg/disable_autoconfig boolean false\n", false},
                {"d-i netcfg/get_ipaddress string\n", false},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                autopreseed struct preseed *p = preseed_parse("p", cases[i].text, strlen(cases[i].text), &err);

                assert_int_equal(installed_static_network(p), cases[i].is_static);
        }
}

static void test_command_line(void **state)
{
        autofree char *line = first_boot_command_line("BOOT_IMAGE=/boot/vmlinuz-6.12 root=UUID=ab-cd ro quiet console=tty0 "
                                                      "console=ttyS0,115200 contract.option=yes panic=-1\n");
        autofree char *none = first_boot_command_line("");
        (void)state;

        assert_string_equal(line, "root=UUID=ab-cd ro quiet contract.option=yes");
        assert_string_equal(none, "");
}

static off_t file_size(void **state, const char *name)
{
        autofree char *path = scratch_path(state, name);
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        return st.st_size;
}

/* What the guest delivered takes the place of what was there; without it there is no VM of the installer's, and one of
 * bootstrap's has the right files already. */
static void test_take_boot(void **state)
{
        struct vm_record none = {0}, fetched = {.boot_folder = (char *)"boot-abc", .boot_id = (char *)"6.12"}, record = {0};
        autofree char *folder = scratch_path(state, "."), *boot = scratch_path(state, "boot-abc");
        autofree char *installer = scratch_path(state, "installer"), *kernel = scratch_path(state, "kernel");
        struct error err = ERROR_INIT;

        assert_int_equal(first_boot_take_files(&none, true, &record, folder, &err), -1);
        assert_int_equal(first_boot_take_files(&none, false, &record, folder, &err), 0);
        assert_int_equal(mkdir(boot, 0700), 0);
        assert_int_equal(mkdir(installer, 0700), 0);
        free(scratch_file(state, "boot-abc/kernel", "K", 1, 0600));
        assert_int_equal(first_boot_take_files(&fetched, true, &record, folder, &err), -1); /* no initrd */
        free(scratch_file(state, "boot-abc/kernel", "K", 1, 0600));
        free(scratch_file(state, "boot-abc/initrd", "I", 1, 0600));
        free(scratch_file(state, "initrd", "old", 3, 0600));
        assert_int_equal(first_boot_take_files(&fetched, false, &record, folder, &err), 0);
        assert_string_equal(record.boot_id, "6.12");
        assert_null(record.boot_folder);
        assert_int_equal(file_size(state, "initrd"), 1);
        assert_int_equal(access(kernel, R_OK), 0);
        assert_int_equal(access(boot, F_OK), -1);
        assert_int_equal(access(installer, F_OK), -1);
        free(record.boot_id);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_guest_url),
                cmocka_unit_test(test_answers_of_the_image),
                cmocka_unit_test(test_answers_of_the_preseed),
                cmocka_unit_test(test_locale),
                cmocka_unit_test(test_mirror_of_the_caller),
                cmocka_unit_test(test_static_network),
                cmocka_unit_test(test_command_line),
                cmocka_unit_test_setup_teardown(test_take_boot, scratch_setup, scratch_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
