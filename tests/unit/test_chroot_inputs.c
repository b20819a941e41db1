/* SPDX-License-Identifier: MIT */
/* The key of a chroot: the same for the same inputs, another one whenever one of them differs; and sources of another suite. */
#include "base/file.h"
#include "base/util.h"
#include "chroot/command_private.h"
#include "chroot/inputs.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define MAIN_ARMHF " aaaa 100 main/binary-armhf/Packages\n bbbb 20 main/binary-armhf/Packages.xz\n"
#define MAIN_AMD64 " cccc 100 main/binary-amd64/Packages\n"
#define MAIN_ALL   " dddd 100 main/binary-all/Packages\n"
#define RELEASE    "Origin: Debian\nDate: Sat, 1 Nov\nSHA256:\n"

/* ---- the mirror's Release */

static void assert_release(const char *one, const char *other, const char *architecture, bool same)
{
        autofree char *a = release_digest(one, architecture), *b = release_digest(other, architecture);

        if (same != streq(a, b))
                fail_msg("%s:\n%s\n%s", same ? "not the same" : "the same", one, other);
}

static void test_release(void **state)
{
        (void)state;
        assert_release(RELEASE MAIN_ARMHF, "Date: later\nSHA256:\n" MAIN_ARMHF, "armhf", true);
        assert_release(RELEASE MAIN_ARMHF MAIN_AMD64, RELEASE MAIN_ARMHF, "armhf", true);
        assert_release(RELEASE MAIN_ARMHF MAIN_AMD64, RELEASE MAIN_ARMHF, "armhf,amd64", false);
        assert_release(RELEASE MAIN_ARMHF MAIN_ALL, RELEASE MAIN_ARMHF, "armhf", false);
        assert_release(RELEASE MAIN_ARMHF, RELEASE " aaab 100 main/binary-armhf/Packages\n", "armhf", false);
        /* of an architecture that is named nowhere, all of it counts */
        assert_release(RELEASE " aaaa 100 Packages\n", RELEASE " aaab 100 Packages\n", "armhf", false);
        assert_release(RELEASE " aaaa 100 Packages\n", RELEASE " aaaa 100 Packages\n", "armhf", true);
}

/* ---- the key */

static void write_lists(void **state, const char *text)
{
        autofree char *folder = scratch_path(state, "lists"), *path = NULL;

        mkdir(folder, 0700);
        path = scratch_file(state, "lists/mirror_dists_stable_InRelease", text, strlen(text), 0600);
}

/* With exactly these inputs; owned, NULL when there is none. */
static char *key_of(void **state, const struct inputs *in)
{
        autofree char *folder = scratch_path(state, "lists");
        autojson struct json_object *description = inputs_describe(in, folder);

        return description ? inputs_key(description) : NULL;
}

static void test_key_differs(void **state)
{
        static char *git[] = {"git", NULL}, *other[] = {"git", "make", NULL}, *mirror[] = {"http://mirror.example/debian", NULL};
        const struct inputs base = {.suite = "trixie", .architecture = "armhf", .variant = "minbase"};
        struct inputs all[9];
        char *keys[ARRAY_SIZE(all)];

        write_lists(state, RELEASE MAIN_ARMHF MAIN_AMD64);
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                all[i] = base;
        all[1].suite = "sid";
        all[2].architecture = "amd64";
        all[3].variant = "buildd";
        all[4].packages = git;
        all[5].packages = other;
        all[6].mirrors = mirror;
        all[7].sources = "Types: deb\n";
        all[8].keyring = "key";
        all[8].keyring_size = 3;
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                autofree char *again = key_of(state, &all[i]);

                keys[i] = key_of(state, &all[i]);
                assert_string_equal(keys[i], again);
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(keys[i], keys[j]);
        }
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                free(keys[i]);
}

static void test_key_of_a_mirror(void **state)
{
        const struct inputs in = {.suite = "trixie", .architecture = "armhf", .variant = "minbase"};
        autofree char *folder = scratch_path(state, "lists"), *none = NULL, *before = NULL, *same = NULL, *after = NULL;

        mkdir(folder, 0700);
        none = key_of(state, &in);
        assert_null(none); /* nobody can tell what the mirror had */
        write_lists(state, RELEASE MAIN_ARMHF);
        before = key_of(state, &in);
        write_lists(state, RELEASE MAIN_ARMHF MAIN_AMD64);
        same = key_of(state, &in);
        write_lists(state, RELEASE MAIN_ARMHF MAIN_ALL);
        after = key_of(state, &in);
        assert_string_equal(before, same);
        assert_string_not_equal(before, after);
}

static void test_no_key_for_files(void **state)
{
        static char *file[] = {"./hello_1.0_all.deb", NULL};
        const struct inputs in = {.suite = "trixie", .architecture = "armhf", .variant = "minbase", .packages = file};

        write_lists(state, RELEASE MAIN_ARMHF);
        assert_null(key_of(state, &in));
}

/* ---- what options mean */

static void test_packages_in_any_order(void **state)
{
        static char *given[] = {"make", "git", "make", NULL};
        const struct chroot_command c = {.suite = "trixie", .architecture = "armhf", .packages = given};
        autoinputs struct inputs in = {0};
        autofree char *packages = NULL;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(inputs_read(&in, &c, &err), 0);
        packages = strv_join(in.packages, " ");
        assert_string_equal(packages, "git make");
        assert_string_equal(in.variant, "buildd");
}

static void test_bad_options(void **state)
{
        const struct chroot_command suite = {.suite = "-x", .architecture = "armhf"};
        const struct chroot_command architecture = {.suite = "trixie", .architecture = "-x"};
        struct error err = ERROR_INIT;

        (void)state;
        for (const struct chroot_command *const *c = (const struct chroot_command *const[]){&suite, &architecture, NULL}; *c;
             c++) {
                autoinputs struct inputs in = {0};

                assert_int_equal(inputs_read(&in, *c, &err), -1);
                assert_int_equal(err.code, ERR_INVALID);
        }
}

/* ---- sources of another suite */

#define MAIN_SOURCE(suites)     "Types: deb\nURIs: http://m/debian\nSuites: " suites "\nComponents: main\n\n"
#define SECURITY_SOURCE(suites) "Types: deb\nURIs: http://m/security\nSuites: " suites "\n\n"

static void test_sources(void **state)
{
        static const struct {
                const char *text, *suite, *expected;
        } rows[] = {
                {MAIN_SOURCE("bookworm bookworm-updates") SECURITY_SOURCE("bookworm-security"), "trixie",
                 MAIN_SOURCE("trixie trixie-updates") SECURITY_SOURCE("trixie-security")},
                {MAIN_SOURCE("bookworm bookworm-updates") SECURITY_SOURCE("bookworm-security"), "sid", MAIN_SOURCE("sid")},
                {"# theirs\n" MAIN_SOURCE("other") MAIN_SOURCE("bookworm"), "trixie", MAIN_SOURCE("trixie")},
                {"Types: deb\nSuites: bookworm", "trixie",
                 "Types: deb\nSuites: trixie\n\n"}, /* the file ends without an empty line */
                {MAIN_SOURCE("bookwormish"), "trixie", NULL},
                {MAIN_SOURCE("./"), "trixie", NULL},
                {"", "trixie", NULL},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                autofree char *sources = sources_for_suite(rows[i].text, "bookworm", rows[i].suite);

                if (rows[i].expected)
                        assert_string_equal(sources, rows[i].expected);
                else
                        assert_null(sources);
        }
}

#define SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_release),
                SCRATCH(test_key_differs),
                SCRATCH(test_key_of_a_mirror),
                SCRATCH(test_no_key_for_files),
                cmocka_unit_test(test_packages_in_any_order),
                cmocka_unit_test(test_bad_options),
                cmocka_unit_test(test_sources),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
