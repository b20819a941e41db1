/* SPDX-License-Identifier: MIT */
/* Archives that want to write where they must not, that are broken, or that end too early. */
#include "archive/unpack.h"
#include "base/file.h"
#include "scratch.h"
#include "tar_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* <scratch>/outside holds a file; archives are unpacked into <scratch>/in. */
static int setup(void **state)
{
        autofree char *outside = NULL, *in = NULL, *file = NULL;

        if (scratch_setup(state) < 0)
                return -1;
        outside = scratch_path(state, "outside");
        in = scratch_path(state, "in");
        if (mkdir(outside, 0755) < 0 || mkdir(in, 0755) < 0)
                return -1;
        file = scratch_file(state, "outside/file", "untouched", 9, 0644);
        return 0;
}

static void assert_outside_untouched(void **state)
{
        autofree char *outside = scratch_path(state, "outside"), *file = scratch_path(state, "outside/file");
        autofree char *names = names_below(outside), *content = file_read(file, 100, &(size_t){0}, NULL);

        assert_string_equal(names, "file");
        assert_string_equal(content, "untouched");
}

static void assert_names(void **state, const char *expected)
{
        autofree char *folder = scratch_path(state, "in"), *names = names_below(folder);

        assert_string_equal(names, expected);
}

static int unpack_bytes(const struct buf *tar, const char *target, char *const *names, struct error *err)
{
        autoclose int fd = fd_of(buf_head(tar), buf_size(tar));
        const struct unpack_options options = {.fd = fd, .target = target, .names = names};

        return unpack(&options, err);
}

static void assert_refused(void **state, const struct buf *tar, const char *message, const char *left)
{
        autofree char *in = scratch_path(state, "in");
        struct error err = ERROR_INIT;

        assert_int_equal(unpack_bytes(tar, in, NULL, &err), -1);
        if (!strstr(err.message, message))
                fail_msg("'%s' instead of '%s'", err.message, message);
        assert_names(state, left);
        assert_outside_untouched(state);
}

/* ---- one entry */

static void test_entries_refused(void **state)
{
        static const struct {
                char type;
                const char *name, *link, *message;
        } cases[] = {
                {'0', "/etc/x", NULL, "refused to unpack '/etc/x': its name is absolute"},
                {'5', "/", NULL, "absolute"},
                {'2', "/x", "a", "absolute"},
                {'0', "..", NULL, "leads out of the folder"},
                {'0', "../outside/file", NULL, "refused to unpack '../outside/file': its name leads out of the folder"},
                {'5', "../outside/", NULL, "leads out of the folder"},
                {'0', "./../outside/file", NULL, "leads out of the folder"},
                {'0', "a/../../outside/file", NULL, "leads out of the folder"},
                {'5', "a/..", NULL, "leads out of the folder"},
                {'2', "../outside/file", "x", "leads out of the folder"},
                {'1', "a", "../outside/file", "refused to unpack 'a': it is a hard link"},
                {'1', "a", "a", "it is a hard link"},
                {'3', "null", NULL, "refused to unpack 'null': it is neither a file nor"},
                {'4', "sda", NULL, "neither a file nor"},
                {'6', "fifo", NULL, "neither a file nor"},
                {'0', ".", NULL, "it would replace the folder"},
                {'2', ".", "a", "it would replace the folder"},
                {'0', "missing/file", NULL, "missing/file': No such file or directory"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autobuf struct buf tar = {0};

                tar_entry(&tar, cases[i].type, cases[i].name, cases[i].link, 0644, 0);
                tar_end(&tar);
                assert_refused(state, &tar, cases[i].message, "");
        }
}

static void test_names_in_pax_headers_are_checked(void **state)
{
        static const char *const names[] = {"../outside/file", "/tmp/x", "a/../../outside/x"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                autobuf struct buf tar = {0};

                tar_pax(&tar, "path", names[i]);
                tar_file(&tar, "harmless", "x");
                tar_end(&tar);
                assert_refused(state, &tar, "refused to unpack", "");
        }
}

/* ---- entries that prepare the way for the next one */

static void test_path_through_symlink(void **state)
{
        autofree char *outside = scratch_path(state, "outside");
        const char *const links[] = {outside, "../outside", "."};

        for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
                autobuf struct buf file = {0}, folder = {0}, deep = {0};

                tar_entry(&file, '2', "l", links[i], 0777, 0);
                tar_file(&file, "l/file", "overwritten");
                tar_end(&file);
                assert_refused(state, &file, "l/file': its path leads through something that is no folder", "l@");

                tar_entry(&folder, '2', "l", links[i], 0777, 0);
                tar_entry(&folder, '5', "l/", NULL, 0700, 0);
                tar_file(&folder, "l/file", "overwritten");
                tar_end(&folder);
                assert_refused(state, &folder, "there is something else of this name", "l@");

                tar_entry(&deep, '2', "l", links[i], 0777, 0);
                tar_entry(&deep, '5', "l/a/b", NULL, 0700, 0);
                tar_end(&deep);
                assert_refused(state, &deep, "its path leads through", "l@");
        }
}

/* A symbolic link of the same name is replaced, never written through. */
static void test_file_replaces_symlink(void **state)
{
        autofree char *in = scratch_path(state, "in"), *link = scratch_path(state, "in/l");
        autobuf struct buf tar = {0};
        struct error err = ERROR_INIT;
        struct stat st;

        assert_return_code(symlink("../outside/file", link), errno);
        tar_file(&tar, "l", "mine");
        tar_entry(&tar, '2', "m", "../outside/file", 0777, 0);
        tar_file(&tar, "m", "mine as well");
        tar_end(&tar);
        assert_int_equal(unpack_bytes(&tar, in, NULL, &err), 0);
        assert_return_code(lstat(link, &st), errno);
        assert_true(S_ISREG(st.st_mode));
        assert_names(state, "l m");
        assert_outside_untouched(state);
}

static void test_folder_in_the_way(void **state)
{
        autobuf struct buf file = {0}, folder = {0};

        tar_entry(&file, '5', "a", NULL, 0755, 0);
        tar_file(&file, "a", "x");
        tar_end(&file);
        assert_refused(state, &file, "in/a': there is a folder of this name", "a/");

        tar_file(&folder, "f", "x");
        tar_entry(&folder, '5', "f", NULL, 0755, 0);
        tar_end(&folder);
        assert_refused(state, &folder, "in/f': there is something else of this name", "a/ f");
}

static void test_only_what_was_asked_for(void **state)
{
        autofree char *in = scratch_path(state, "in"), *new = scratch_path(state, "in/new");
        autobuf struct buf tar = {0}, dot = {0};
        char *const names[] = {(char *)"a", NULL};
        struct error err = ERROR_INIT;

        tar_file(&tar, "a", "x");
        tar_file(&tar, ".bashrc", "x");
        tar_end(&tar);
        assert_int_equal(unpack_bytes(&tar, in, names, &err), -1);
        assert_non_null(strstr(err.message, "refused to unpack '.bashrc': it was not asked for"));
        assert_names(state, "a");

        tar_file(&dot, "./b", "x");
        tar_end(&dot);
        assert_int_equal(unpack_bytes(&dot, in, names, &err), -1);
        assert_names(state, "a");

        /* Under a new name there can be one only. */
        assert_int_equal(unpack_bytes(&tar, new, NULL, &err), -1);
        assert_non_null(strstr(err.message, "only one name"));
        assert_names(state, "a new");
        assert_outside_untouched(state);
}

static void test_depth_is_bounded(void **state)
{
        autobuf struct buf tar = {0}, name = {0};
        autofree char *path = NULL;

        for (int i = 0; i <= UNPACK_DEPTH_MAX; i++)
                buf_append(&name, "d/", 2);
        path = buf_take_string(&name);
        tar_pax(&tar, "path", path);
        tar_entry(&tar, '5', "short", NULL, 0755, 0);
        tar_end(&tar);
        assert_refused(state, &tar, "nested too deeply", "");
}

static void test_set_id_bits_are_dropped(void **state)
{
        autofree char *in = scratch_path(state, "in"), *file = scratch_path(state, "in/f"), *folder = scratch_path(state, "in/d");
        autobuf struct buf tar = {0};
        struct error err = ERROR_INIT;
        struct stat st;

        tar_entry(&tar, '0', "f", NULL, 06755, 0);
        tar_entry(&tar, '5', "d", NULL, 07777, 0);
        tar_end(&tar);
        assert_int_equal(unpack_bytes(&tar, in, NULL, &err), 0);
        assert_return_code(stat(file, &st), errno);
        assert_int_equal(st.st_mode & 07777, 0755);
        assert_int_equal(st.st_uid, geteuid());
        assert_return_code(stat(folder, &st), errno);
        assert_int_equal(st.st_mode & 07777, 01777);
}

/* ---- broken streams */

/* Three files of known content in a folder. */
static void honest(struct buf *tar)
{
        tar_entry(tar, '5', "d", NULL, 0755, 0);
        tar_pax(tar, "mtime", "5.5");
        tar_file(tar, "d/a", "aaaa");
        tar_entry(tar, '0', "d/b", NULL, 0644, 1500);
        for (int i = 0; i < 3 * 512; i++)
                buf_append(tar, "b", 1);
        tar_entry(tar, '0', "d/zeros", NULL, 0644, 2048);
        for (int i = 0; i < 2048; i++)
                buf_append(tar, "", 1);
        tar_end(tar);
}

static void test_cut_anywhere(void **state)
{
        static const struct {
                const char *name;
                off_t size;
        } files[] = {{"a", 4}, {"b", 1500}, {"zeros", 2048}};
        autofree char *in = scratch_path(state, "in");
        autobuf struct buf tar = {0};
        struct error err = ERROR_INIT;

        honest(&tar);
        for (size_t n = 0; n < buf_size(&tar) - 512; n += n % 512 == 0 ? 1 : 511) { /* the second block of the end may miss */
                struct buf cut = {.data = tar.data, .start = tar.start, .end = tar.start + n};

                assert_int_equal(unpack_bytes(&cut, in, NULL, &err), -1);
                if (err.code != ERR_DISCONNECTED)
                        fail_msg("cut after %zu: %d %s", n, err.code, err.message);
                for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                        autofree char *path = xasprintf("%s/d/%s", in, files[i].name);
                        struct stat st;

                        if (lstat(path, &st) == 0)
                                assert_int_equal(st.st_size, files[i].size);
                }
                autofree char *names = names_below(in);
                assert_null(strstr(names, ".initvm"));
                assert_int_equal(tree_remove(in, NULL), 0);
                assert_return_code(mkdir(in, 0755), errno);
        }
        assert_int_equal(unpack_bytes(&tar, in, NULL, &err), 0);
        assert_names(state, "d/ d/a d/b d/zeros");
}

static void test_garbage(void **state)
{
        autofree char *in = scratch_path(state, "in");
        autobuf struct buf tar = {0}, text = {0};
        struct error err = ERROR_INIT;

        for (int i = 0; i < 3000; i++)
                buf_printf(&text, "this is not an archive");
        assert_int_equal(unpack_bytes(&text, in, NULL, &err), -1);
        assert_int_equal(err.code, ERR_PROTOCOL);

        honest(&tar);
        buf_head(&tar)[3 * 512 + 150] ^= 1; /* the checksum of the header of d/a */
        assert_int_equal(unpack_bytes(&tar, in, NULL, &err), -1);
        assert_int_equal(err.code, ERR_PROTOCOL);
        assert_names(state, "d/");
}

/* What stands for a full disk: nothing half is left, neither under its name nor beside it. */
static void test_write_fails(void **state)
{
        autofree char *in = scratch_path(state, "in"), *old = scratch_file(state, "in/big", "old", 3, 0600);
        autofree char *content = NULL;
        const struct rlimit small = {.rlim_cur = 65536, .rlim_max = RLIM_INFINITY};
        struct rlimit before;
        autobuf struct buf tar = {0};
        struct error err = ERROR_INIT;

        tar_file(&tar, "small", "x");
        tar_entry(&tar, '0', "big", NULL, 0644, 128 * 1024);
        for (int i = 0; i < 128 * 1024; i++)
                buf_append(&tar, "x", 1);
        tar_end(&tar);
        autoclose int fd = fd_of(buf_head(&tar), buf_size(&tar));
        const struct unpack_options options = {.fd = fd, .target = in};

        signal(SIGXFSZ, SIG_IGN);
        assert_return_code(getrlimit(RLIMIT_FSIZE, &before), errno);
        assert_return_code(setrlimit(RLIMIT_FSIZE, &small), errno);
        assert_int_equal(unpack(&options, &err), -1);
        assert_return_code(setrlimit(RLIMIT_FSIZE, &before), errno);
        assert_non_null(strstr(err.message, "in/big': File too large"));
        assert_names(state, "big small");
        content = file_read(old, 100, &(size_t){0}, NULL);
        assert_string_equal(content, "old");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_entries_refused),      TEST(test_names_in_pax_headers_are_checked),
                TEST(test_path_through_symlink), TEST(test_file_replaces_symlink),
                TEST(test_folder_in_the_way),    TEST(test_only_what_was_asked_for),
                TEST(test_depth_is_bounded),     TEST(test_set_id_bits_are_dropped),
                TEST(test_cut_anywhere),         TEST(test_garbage),
                TEST(test_write_fails),
        };

        umask(0);
        return cmocka_run_group_tests_name("archive_hostile", tests, NULL, NULL);
}
