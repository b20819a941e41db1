/* SPDX-License-Identifier: MIT */
/* Chroots as folders: names, locks, what an interrupted maker leaves; and trees of hard links with what an overlay has changed.
 */
#include "base/file.h"
#include "chroot/farm.h"
#include "chroot/overlay.h"
#include "chroot/store.h"
#include "scratch.h"
#include "tar_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

static void need_root(void)
{
        if (geteuid() != 0)
                skip();
}

static void open_store(void **state, struct store *s)
{
        autofree char *path = scratch_path(state, "state"), *runtime = scratch_path(state, "run");
        struct error err = ERROR_INIT;

        if (store_open(s, path, runtime, &err) < 0)
                fail_msg("%s", err.message);
}

/* Makes one; returns 0, or -1 as store_commit() does. */
static int make(const struct store *s, const char *name, struct error *err)
{
        autonew struct new_chroot n = NEW_CHROOT_INIT;
        autojson struct json_object *record = json_new();
        autoclose int lock = -1;

        json_add_string(record, "architecture", "armhf");
        if (store_new(s, &n, err) < 0)
                return -1;
        lock = store_lock(s, err);
        return lock < 0 ? -1 : store_commit(s, &n, name, record, -1, err);
}

static void assert_hidden(const struct store *s, size_t expected)
{
        autofree char *names = names_below(s->chroots);
        size_t n = 0;

        for (const char *at = names; (at = strstr(at, ".new-")); at++)
                n += at == names || at[-1] == ' ';
        if (names && strstr(names, ".new-") && expected == 0)
                fail_msg("left over: %s", names);
        assert_true(expected == 0 || n > 0);
}

/* ---- names and locks */

static void test_names(void **state)
{
        static const char *const good[] = {"a", "box-armhf_2.1", "0", "A"};
        static const char *const bad[] = {"", ".", "..", ".new-x", "-a", "_a", "a/b", "../a", "a b", "\xc3\xa4", "a\n"};
        char longest[CHROOT_NAME_MAX + 2];

        (void)state;
        memset(longest, 'a', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        assert_int_equal(chroot_name_check(longest, NULL), -1);
        assert_int_equal(chroot_name_check(longest + 1, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                assert_int_equal(chroot_name_check(good[i], NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct error err = ERROR_INIT;

                assert_int_equal(chroot_name_check(bad[i], &err), -1);
                assert_int_equal(err.code, ERR_INVALID);
        }
}

static void test_made_found_removed(void **state)
{
        autostore struct store s = {0};
        autojson struct json_object *record = NULL;
        struct error err = ERROR_INIT;
        int use;

        need_root();
        open_store(state, &s);
        assert_int_equal(make(&s, "box", &err), 0);
        assert_int_equal(make(&s, "box", &err), -1);
        assert_int_equal(err.code, ERR_EXISTS);
        assert_hidden(&s, 0);
        record = store_record(&s, "box", &err);
        assert_string_equal(json_get_string(record, "name", ""), "box");
        assert_string_equal(json_get_string(record, "architecture", ""), "armhf");
        use = store_use(&s, "box", true, &err);
        assert_true(use >= 0);
        assert_int_equal(store_remove(&s, "box", &err), 0);
        close(use);
        assert_int_equal(store_use(&s, "box", false, &err), -1);
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_hidden(&s, 0);
}

static void test_locks(void **state)
{
        autostore struct store s = {0};
        struct error err = ERROR_INIT;
        int one, two, all;

        need_root();
        open_store(state, &s);
        assert_int_equal(make(&s, "box", &err), 0);
        one = store_use(&s, "box", false, &err);
        two = store_use(&s, "box", false, &err);
        assert_true(one >= 0 && two >= 0);
        assert_int_equal(store_use(&s, "box", true, &err), -1);
        assert_int_equal(err.code, ERR_STATE);
        assert_int_equal(store_use_alone(&s, "box", one, &err), -1);
        close(two);
        assert_int_equal(store_use_alone(&s, "box", one, &err), 0);
        all = store_use(&s, "box", false, &err);
        assert_int_equal(all, -1);
        close(one);
}

/* A maker that was killed has not unlocked by itself: its folder goes with the next one that opens the store, and not before. */
static void test_left_over(void **state)
{
        autostore struct store s = {0}, again = {0}, third = {0};
        struct new_chroot n = NEW_CHROOT_INIT;
        struct error err = ERROR_INIT;

        need_root();
        open_store(state, &s);
        assert_int_equal(store_new(&s, &n, &err), 0);
        open_store(state, &again);
        assert_return_code(access(n.root, F_OK), errno);
        close(n.fd);
        open_store(state, &third);
        assert_int_equal(access(n.path, F_OK), -1);
        free(n.path);
        free(n.root);
}

/* The same of an overlay, whose mount goes, too. */
static void test_overlay_left_over(void **state)
{
        autostore struct store s = {0}, again = {0}, third = {0};
        struct overlay o = OVERLAY_INIT;
        struct error err = ERROR_INIT;
        autofree char *folder = NULL, *mount = NULL, *users = NULL;

        need_root();
        open_store(state, &s);
        assert_int_equal(make(&s, "box", &err), 0);
        if (overlay_new(&s, "box", "a test", 0, &o, &err) < 0)
                fail_msg("%s", err.message);
        folder = xstrdup(o.folder);
        mount = xstrdup(o.mount);
        open_store(state, &again);
        assert_return_code(access(o.upper, F_OK), errno);
        users = overlay_users(&s, "box");
        assert_null(users); /* but us */
        close(take_fd(&o.lock));
        open_store(state, &third);
        assert_int_equal(access(folder, F_OK), -1);
        assert_int_equal(access(mount, F_OK), -1);
        free(o.id);
        free(o.folder);
        free(o.upper);
        free(o.mount);
        free(o.root);
}

/* ---- farms */

static void make_folders(void **state, const char *const *names)
{
        for (; *names; names++) {
                autofree char *path = scratch_path(state, *names);

                assert_return_code(mkdir(path, 0755), errno);
        }
}

static ino_t inode_of(void **state, const char *name)
{
        autofree char *path = scratch_path(state, name);
        struct stat st;

        if (lstat(path, &st) < 0)
                fail_msg("there is no '%s'", name);
        return st.st_ino;
}

static void white_out(void **state, const char *name)
{
        autofree char *path = scratch_path(state, name);

        assert_return_code(mknod(path, S_IFCHR, makedev(0, 0)), errno);
}

static void test_farm(void **state)
{
        autofree char *base = scratch_path(state, "base"), *upper = scratch_path(state, "upper"), *to = scratch_path(state, "to");
        autofree char *opaque = scratch_path(state, "upper/opaque"), *changed = NULL, *link = scratch_path(state, "base/link");
        autofree char *sub = scratch_path(state, "upper/sub"), *names = NULL;
        struct error err = ERROR_INIT;
        struct stat st;

        need_root();
        make_folders(state, (const char *const[]){"base", "base/sub", "base/sub/deep", "base/opaque", "base/gone",
                                                  "base/becomes-file", "upper", "upper/sub", "upper/opaque", "upper/new",
                                                  "upper/becomes-folder", "to", NULL});
        for (const char *const *f = (const char *const[]){"base/kept", "base/changed", "base/deleted", "base/sub/deep/kept",
                                                          "base/sub/deleted", "base/opaque/hidden", "base/gone/file",
                                                          "base/becomes-folder", "base/becomes-file/x", "upper/opaque/seen",
                                                          "upper/new/file", "upper/becomes-folder/y", "upper/becomes-file", NULL};
             *f; f++)
                free(scratch_file(state, *f, *f, strlen(*f), 0644));
        changed = scratch_file(state, "upper/changed", "new", 3, 0600);
        assert_return_code(symlink("kept", link), errno);
        assert_return_code(setxattr(opaque, "trusted.overlay.opaque", "y", 1, 0), errno);
        assert_return_code(setxattr(changed, "trusted.overlay.origin", "o", 1, 0), errno);
        assert_return_code(chown(sub, 5, 6), errno);
        white_out(state, "upper/deleted");
        white_out(state, "upper/sub/deleted");
        white_out(state, "upper/gone");

        if (farm_copy(base, upper, to, &err) < 0)
                fail_msg("%s", err.message);
        names = names_below(to);
        assert_string_equal(names,
                            "becomes-file becomes-folder/ becomes-folder/y changed kept link@ new/ new/file opaque/ opaque/seen "
                            "sub/ sub/deep/ sub/deep/kept");
        assert_int_equal(inode_of(state, "to/kept"), inode_of(state, "base/kept"));
        assert_int_equal(inode_of(state, "to/link"), inode_of(state, "base/link"));
        assert_int_equal(inode_of(state, "to/sub/deep/kept"), inode_of(state, "base/sub/deep/kept"));
        assert_true(inode_of(state, "to/changed") != inode_of(state, "base/changed"));
        autofree char *path = scratch_path(state, "to/changed"), *folder = scratch_path(state, "to/sub");
        autofree char *seen = scratch_path(state, "to/opaque"), *content = file_read(path, 100, NULL, NULL);
        assert_string_equal(content, "new");
        assert_int_equal(getxattr(path, "trusted.overlay.origin", NULL, 0), -1);
        assert_int_equal(getxattr(seen, "trusted.overlay.opaque", NULL, 0), -1);
        assert_return_code(stat(folder, &st), errno);
        assert_int_equal(st.st_uid, 5);
        assert_int_equal(st.st_gid, 6);
}

static void test_farm_unchanged(void **state)
{
        autofree char *base = scratch_path(state, "base"), *to = scratch_path(state, "to"), *names = NULL, *file = NULL;
        const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 12345}};
        autofree char *sub = scratch_path(state, "base/sub"), *copy = scratch_path(state, "to/sub");
        struct error err = ERROR_INIT;
        struct stat st;

        make_folders(state, (const char *const[]){"base", "base/sub", "to", NULL});
        file = scratch_file(state, "base/sub/file", "x", 1, 04755);
        assert_return_code(chmod(sub, 01777), errno);
        assert_return_code(utimensat(AT_FDCWD, sub, times, 0), errno);
        if (farm_copy(base, NULL, to, &err) < 0)
                fail_msg("%s", err.message);
        names = names_below(to);
        assert_string_equal(names, "sub/ sub/file");
        assert_int_equal(inode_of(state, "to/sub/file"), inode_of(state, "base/sub/file"));
        assert_return_code(stat(copy, &st), errno);
        assert_int_equal(st.st_mode & 07777, 01777);
        assert_int_equal(st.st_mtim.tv_sec, 12345);
        assert_int_equal(farm_copy(base, NULL, to, &err), -1); /* it is not empty any more */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names), TEST(test_made_found_removed), TEST(test_locks),
                TEST(test_left_over),         TEST(test_overlay_left_over),  TEST(test_farm),
                TEST(test_farm_unchanged),
        };

        umask(0);
        return cmocka_run_group_tests_name("chroot", tests, NULL, NULL);
}
