/* SPDX-License-Identifier: MIT */
/* What a dpkg database tells, and when programs of this machine stand in for those of a foreign chroot. */
#include "base/file.h"
#include "base/util.h"
#include "chroot/installed.h"
#include "chroot/native_cache.h"
#include "chroot/native_private.h"
#include "scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_fields(void **state)
{
        static const char status[] = "Package: apt\nStatus: install ok installed\nVersion: 2.6.1\nDescription: dpkg's front-end\n"
                                     " Package: dpkg\n\n"
                                     "Package: dpkg\nStatus: hold ok installed\nArchitecture: armhf\nVersion: 1.21.22\n\n"
                                     "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
        static const struct {
                const char *package, *field, *value;
        } rows[] = {
                {"dpkg", "Version", "1.21.22"}, {"dpkg", "Architecture", "armhf"}, {"apt", "Version", "2.6.1"},
                {"apt", "Architecture", NULL},  {"gone", "Version", NULL},         {"nothing", "Version", NULL},
                {"dpkg", "Versio", NULL},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                autofree char *value = installed_field(status, rows[i].package, rows[i].field);

                if (rows[i].value)
                        assert_string_equal(value, rows[i].value);
                else
                        assert_null(value);
        }
}

static void test_series(void **state)
{
        static const char *const rows[][2] = {
                {"1.21.22", "1.21"}, {"1.34+dfsg-1.2+deb12u1", "1.34"}, {"2:3.0~rc1-1", "3.0"}, {"7-1", "7"}, {"1.", "1."},
                {"x", ""},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                autofree char *series = version_series(rows[i][0]);

                assert_string_equal(series, rows[i][1]);
        }
}

static void write_at(const char *root, const char *path, const char *text)
{
        autofree char *full = xasprintf("%s/%s", root, path);
        autofree char *folder = xstrndup(full, (size_t)(strrchr(full, '/') - full));
        struct error err = ERROR_INIT;

        if (dir_make(folder, 0755, &err) < 0 || file_write_atomic(full, 0755, text, strlen(text), &err) < 0)
                fail_msg("%s", err.message);
}

static void write_status(const char *root, const char *architecture, const char *version)
{
        autofree char *text =
                xasprintf("Package: dpkg\nStatus: install ok installed\nArchitecture: %s\nVersion: %s\n", architecture, version);

        write_at(root, "var/lib/dpkg/status", text);
}

static void assert_version(const char *root, const char *expected)
{
        autofree char *version = installed_source_version(root, "dpkg");

        if (expected)
                assert_string_equal(version, expected);
        else
                assert_null(version);
}

static void test_versions(void **state)
{
        autofree char *root = scratch_path(state, "root"), *status = xasprintf("%s/var/lib/dpkg/status", root),
                      *architecture = NULL;

        assert_version(root, NULL);
        write_status(root, "armhf", "1.21.22+b12");
        assert_version(root, "1.21.22");
        write_status(root, "armhf", "1.21.22+bpo12+1");
        assert_version(root, "1.21.22+bpo12+1");
        assert_return_code(unlink(status), errno);
        assert_return_code(symlink("/var/lib/dpkg/status", status), errno); /* of ours: nothing is said */
        assert_version(root, NULL);
        assert_return_code(unlink(status), errno);
        write_at(root, "var/lib/dpkg/status", "");
        write_at(root, "var/cache/apt/archives/dpkg-dev_9_all.deb", "");
        write_at(root, "var/cache/apt/archives/dpkg_1.21.23_arm64.deb", "");
        assert_version(root, "1.21.23");
        architecture = installed_architecture(root);
        assert_string_equal(architecture, "arm64");
}

/* Lays out for a chroot of `architecture` with that dpkg in it. Returns what native_lay_out() does. */
static int lay_out(void **state, const char *architecture, const char *version, char **ret_folder)
{
        autofree char *root = scratch_path(state, "root"), *folder = scratch_path(state, "native");
        struct error err = ERROR_INIT;
        int r;

        write_status(root, architecture, version);
        write_at(root, "usr/bin/dpkg-deb", "its own");
        tree_remove(folder, NULL);
        r = native_lay_out(folder, root, &err);
        if (r < 0)
                fail_msg("%s", err.message);
        if (ret_folder)
                *ret_folder = take_ptr(folder);
        return r;
}

static void assert_contains(const char *folder, const char *file, const char *text)
{
        autofree char *path = xasprintf("%s/%s", folder, file), *content = file_read(path, NATIVE_TABLE_MAX, NULL, NULL);

        assert_non_null(content);
        if (!strstr(content, text))
                fail_msg("'%s' is not in: %s", text, content);
}

static void test_lay_out(void **state)
{
        autofree char *version = installed_source_version("", "dpkg"), *ours = installed_architecture(""), *series = NULL;
        autofree char *folder = NULL, *other = NULL, *loader = NULL, *link = NULL;
        const char *foreign = streq(ours, "armhf") ? "arm64" : "armhf";

        if (!version) /* a machine without dpkg */
                skip();
        assert_int_equal(lay_out(state, ours, version, NULL), 0);
        assert_int_equal(lay_out(state, foreign, "0.1", &folder), 0);
        assert_int_equal(access(folder, F_OK), -1);
        cleanup_free(&folder);
        assert_int_equal(lay_out(state, foreign, version, &folder), 1);
        assert_contains(folder, NATIVE_TABLE, "dpkg-deb /usr/bin/dpkg-deb 7 ");
        assert_contains(folder, NATIVE_TABLE, NATIVE_SAME);
        assert_contains(folder, "apt.conf", "DPkg::Path \"" NATIVE_FOLDER "/bin:");
        loader = xasprintf("%s/" NATIVE_LOADER, folder);
        link = xasprintf("%s/bin/dpkg-deb", folder);
        assert_return_code(access(loader, X_OK), errno);
        assert_return_code(access(link, X_OK), errno);
        series = version_series(version);
        other = xasprintf("%s.9999", series);
        cleanup_free(&folder);
        assert_int_equal(lay_out(state, foreign, other, &folder), 1);
        assert_contains(folder, NATIVE_TABLE, NATIVE_SERIES);
}

/* Those of the chroot `name`; its folder is `root`. */
static void open_cache(const struct store *s, const char *name, struct native_cache *ret)
{
        autofree char *root = xasprintf("%s/%s/root", s->chroots, name);
        struct error err = ERROR_INIT;

        *ret = (struct native_cache)NATIVE_CACHE_INIT;
        if (native_cache_open(s, name, root, ret, &err) < 0)
                fail_msg("%s", err.message);
}

static void test_cache(void **state)
{
        autofree char *chroots = scratch_path(state, "chroots"), *native = scratch_path(state, "caches"),
                      *root = xasprintf("%s/a/root", chroots), *inside = xasprintf("%s/a/root/new", chroots),
                      *version = installed_source_version("", "dpkg"), *ours = installed_architecture(""), *first = NULL;
        const struct store s = {.chroots = chroots, .native = native};
        autonativecache struct native_cache one = NATIVE_CACHE_INIT, two = NATIVE_CACHE_INIT;
        struct error err = ERROR_INIT;

        if (!version)
                skip();
        write_status(root, streq(ours, "armhf") ? "arm64" : "armhf", version);
        write_at(root, "usr/bin/dpkg-deb", "its own");
        assert_return_code(dir_make(native, 0755, &err), errno);
        open_cache(&s, "a", &one);
        open_cache(&s, "a", &two);
        assert_string_equal(one.folder, two.folder);
        assert_contains(one.folder, "helpers/" NATIVE_TABLE, "dpkg-deb /usr/bin/dpkg-deb 7 ");
        first = xstrdup(one.folder);
        native_cache_done(&two);

        /* Another tree has others, and whoever is in use stays. */
        assert_return_code(mkdir(inside, 0755), errno);
        open_cache(&s, "a", &two);
        assert_string_not_equal(two.folder, first);
        assert_return_code(access(first, F_OK), errno);
        native_cache_done(&one);
        native_cache_sweep(&s, "a.b", NULL); /* of another chroot */
        assert_return_code(access(first, F_OK), errno);
        native_cache_sweep(&s, "a", NULL);
        assert_int_equal(access(first, F_OK), -1);
        assert_return_code(access(two.folder, F_OK), errno);

        /* Nothing to gain: of the machine's own architecture. */
        write_status(root, ours, version);
        assert_return_code(rmdir(inside), errno);
        native_cache_done(&one);
        open_cache(&s, "a", &one);
        assert_null(one.folder);
}

static void test_environment(void **state)
{
        char **environment = NULL;

        (void)state;
        strv_add(&environment, "PATH=/a:/b");
        native_environment(&environment);
        assert_string_equal(environment[0], "PATH=" NATIVE_FOLDER "/bin:/a:/b");
        assert_string_equal(environment[1], "APT_CONFIG=" NATIVE_FOLDER "/apt.conf");
        strv_free(environment);
        environment = NULL;
        strv_add(&environment, "APT_CONFIG=/mine");
        native_environment(&environment);
        assert_int_equal(strv_length(environment), 1);
        strv_free(environment);
        assert_false(native_called());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),
                cmocka_unit_test(test_series),
                TEST(test_versions),
                TEST(test_lay_out),
                TEST(test_cache),
                cmocka_unit_test(test_environment),
        };

        return cmocka_run_group_tests_name("native", tests, NULL, NULL);
}
