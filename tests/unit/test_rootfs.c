/* SPDX-License-Identifier: MIT */
/* Root filesystems into archives and back, compressed or not; and archives that want to write where they must not. */
#include "archive/compress.h"
#include "archive/rootfs.h"
#include "base/file.h"
#include "scratch.h"
#include "tar_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
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

/* Owners and devices are root's to set. */
static void need_root(void)
{
        if (geteuid() != 0)
                skip();
}

static struct stat stat_of(void **state, const char *name)
{
        autofree char *path = scratch_path(state, name);
        struct stat st;

        if (lstat(path, &st) < 0)
                fail_msg("there is no '%s'", name);
        return st;
}

/* ---- there and back */

static void make_tree(void **state)
{
        autofree char *tree = scratch_path(state, "tree"), *bin = scratch_path(state, "tree/bin"),
                      *dev = scratch_path(state, "tree/dev");
        autofree char *null = scratch_path(state, "tree/dev/null"), *fifo = scratch_path(state, "tree/fifo");
        autofree char *link = scratch_path(state, "tree/link"), *su = NULL, *hard = scratch_path(state, "tree/bin/su2"),
                      *odd = NULL;
        const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 981173106, .tv_nsec = 789000000}};

        assert_return_code(mkdir(tree, 0755), errno);
        assert_return_code(mkdir(bin, 0711), errno);
        assert_return_code(mkdir(dev, 0755), errno);
        assert_return_code(mknod(null, S_IFCHR | 0666, makedev(1, 3)), errno);
        assert_return_code(mkfifo(fifo, 0640), errno);
        assert_return_code(symlink("/bin/su", link), errno);
        assert_return_code(lchown(link, 7, 8), errno);
        su = scratch_file(state, "tree/bin/su", "program", 7, 0755);
        odd = scratch_file(state, "tree/\xc3\xa4", "", 0, 0600);
        assert_return_code(chown(su, 12, 34), errno);
        assert_return_code(chmod(su, 04751), errno);
        assert_return_code(setxattr(su, "user.note", "x", 1, 0), errno);
        assert_return_code(link ? linkat(AT_FDCWD, su, AT_FDCWD, hard, 0) : -1, errno);
        assert_return_code(utimensat(AT_FDCWD, bin, times, 0), errno);
}

static void check_tree(void **state)
{
        autofree char *su = scratch_path(state, "in/bin/su"), *in = scratch_path(state, "in"), *names = names_below(in);
        struct stat st = stat_of(state, "in/bin/su"), hard = stat_of(state, "in/bin/su2"), link = stat_of(state, "in/link");
        struct stat bin = stat_of(state, "in/bin"), fifo = stat_of(state, "in/fifo");
        char value[4] = "";

        assert_string_equal(names, "bin/ bin/su bin/su2 dev/ fifo link@ \xc3\xa4");
        assert_int_equal(st.st_mode, S_IFREG | 04751);
        assert_int_equal(st.st_uid, 12);
        assert_int_equal(st.st_gid, 34);
        assert_int_equal(st.st_ino, hard.st_ino);
        assert_int_equal(link.st_uid, 7);
        assert_int_equal(bin.st_mode, S_IFDIR | 0711);
        assert_int_equal(bin.st_mtim.tv_sec, 981173106);
        assert_int_equal(bin.st_mtim.tv_nsec, 789000000);
        assert_int_equal(fifo.st_mode, S_IFIFO | 0640);
        assert_int_equal(getxattr(su, "user.note", value, sizeof(value)), 1);
}

static void test_there_and_back(void **state)
{
        autofree char *tree = scratch_path(state, "tree"), *in = scratch_path(state, "in");
        autoclose int fd = memfd_create("tar", MFD_CLOEXEC);
        struct error err = ERROR_INIT;

        need_root();
        make_tree(state);
        if (rootfs_pack(tree, fd, &err) < 0)
                fail_msg("%s", err.message);
        lseek(fd, 0, SEEK_SET);
        if (rootfs_unpack(fd, in, &err) < 0)
                fail_msg("%s", err.message);
        check_tree(state);
}

static void test_compressed(void **state)
{
        static const char *const methods[] = {"zstd", "xz", "gzip", ""};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
                autoclose int plain = memfd_create("plain", MFD_CLOEXEC), packed = memfd_create("packed", MFD_CLOEXEC);
                autoclose int back = memfd_create("back", MFD_CLOEXEC);
                struct error err = ERROR_INIT;
                char data[16] = "", block[4096];

                memset(block, 'x', sizeof(block));
                for (int n = 0; n < 100; n++)
                        assert_int_equal(fd_write_all(plain, block, sizeof(block)), 0);
                lseek(plain, 0, SEEK_SET);
                if (compress_stream(plain, packed, methods[i], &err) < 0)
                        fail_msg("%s: %s", methods[i], err.message);
                assert_true(*methods[i] ? lseek(packed, 0, SEEK_END) < 100000 : lseek(packed, 0, SEEK_END) == 409600);
                lseek(packed, 0, SEEK_SET);
                if (decompress_stream(packed, back, &err) < 0)
                        fail_msg("%s: %s", methods[i], err.message);
                assert_int_equal(lseek(back, 0, SEEK_END), 409600);
                assert_int_equal(pread(back, data, 1, 409599), 1);
                assert_int_equal(data[0], 'x');
                if (!*methods[i])
                        continue;
                assert_return_code(ftruncate(packed, lseek(packed, 0, SEEK_END) / 2), errno);
                lseek(packed, 0, SEEK_SET);
                assert_int_equal(decompress_stream(packed, back, &err), -1);
                assert_int_equal(err.code, ERR_PROTOCOL);
        }
}

static void test_methods(void **state)
{
        (void)state;
        assert_string_equal(compress_method("a/box.tar.zst"), "zstd");
        assert_string_equal(compress_method("x.tgz"), "gzip");
        assert_string_equal(compress_method("x.tar"), "");
        assert_null(compress_method("x.zip"));
        assert_null(compress_method("tar"));
}

/* ---- hostile ones */

static int unpack_bytes(void **state, const struct buf *tar, struct error *err)
{
        autofree char *in = scratch_path(state, "in");
        autoclose int fd = fd_of(buf_head(tar), buf_size(tar));

        return rootfs_unpack(fd, in, err);
}

static void assert_refused(void **state, const struct buf *tar, const char *message)
{
        autofree char *outside = scratch_path(state, "outside"), *file = scratch_path(state, "outside/file");
        struct error err = ERROR_INIT;

        assert_int_equal(unpack_bytes(state, tar, &err), -1);
        if (!strstr(err.message, message))
                fail_msg("'%s' instead of '%s'", err.message, message);
        autofree char *names = names_below(outside), *content = file_read(file, 100, &(size_t){0}, NULL);
        assert_string_equal(names, "file");
        assert_string_equal(content, "untouched");
}

static void test_entries_refused(void **state)
{
        static const struct {
                char type;
                const char *name, *link, *message;
        } cases[] = {
                {'0', "/etc/x", NULL, "refused to unpack '/etc/x': its name is absolute"},
                {'5', "/", NULL, "absolute"},
                {'0', "../x", NULL, "leads out"},
                {'0', "a/../../x", NULL, "leads out"},
                {'5', "..", NULL, "leads out"},
                {'0', ".", NULL, "root folder"},
                {'1', "a", "/etc/passwd", "absolute"},
                {'1', "a", "../outside/file", "leads out"},
                {'1', "a", "nothing", "did not come before"},
                {'1', "a", ".", "did not come before"},
                {'2', "a", "", "symbolic link to nothing"},
                {'3', "a", NULL, "a device outside of /dev"},
                {'4', "deva/x", NULL, "a device outside of /dev"},
        };

        need_root();
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autobuf struct buf tar = {0};

                tar_entry(&tar, cases[i].type, cases[i].name, cases[i].link, 0644, 0);
                tar_end(&tar);
                assert_refused(state, &tar, cases[i].message);
        }
}

static void test_paths_through_symlinks(void **state)
{
        static const char *const targets[] = {"../outside", "/", ".", "inside"};

        need_root();
        for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
                autobuf struct buf tar = {0}, hard = {0}, folder = {0};

                tar_entry(&tar, '2', "link", targets[i], 0777, 0);
                tar_file(&tar, "link/file", "overwritten");
                tar_end(&tar);
                assert_refused(state, &tar, "something that is no folder");
                tar_entry(&hard, '2', "link", targets[i], 0777, 0);
                tar_entry(&hard, '1', "a", "link/file", 0644, 0);
                tar_end(&hard);
                assert_refused(state, &hard, "something that is no folder");
                tar_entry(&folder, '2', "link", targets[i], 0777, 0);
                tar_entry(&folder, '5', "link", NULL, 0777, 0);
                tar_end(&folder);
                assert_refused(state, &folder, "something else of this name");
        }
}

static void test_attributes_refused(void **state)
{
        autobuf struct buf tar = {0};

        need_root();
        tar_pax(&tar, "SCHILY.xattr.trusted.overlay.opaque", "y");
        tar_file(&tar, "a", "x");
        tar_end(&tar);
        assert_refused(state, &tar, "no root filesystem needs");
}

/* A file that comes twice, over a symbolic link that leads outside: the link is replaced, not followed. */
static void test_second_one_replaces(void **state)
{
        autobuf struct buf tar = {0};
        struct error err = ERROR_INIT;

        need_root();
        tar_entry(&tar, '2', "a", "../outside/file", 0777, 0);
        tar_file(&tar, "a", "new");
        tar_entry(&tar, '3', "dev/null", NULL, 0666, 0);
        tar_end(&tar);
        if (unpack_bytes(state, &tar, &err) < 0)
                fail_msg("%s", err.message);
        assert_int_equal(stat_of(state, "in/a").st_mode & S_IFMT, S_IFREG);
        autofree char *file = scratch_path(state, "outside/file"), *content = file_read(file, 100, &(size_t){0}, NULL);
        assert_string_equal(content, "untouched");
}

static void test_cut(void **state)
{
        autobuf struct buf tar = {0};

        need_root();
        tar_file(&tar, "a", "content");
        for (size_t n = buf_size(&tar); n > 512; n -= 512) {
                struct error err = ERROR_INIT;

                tar.end = tar.start + n;
                assert_int_equal(unpack_bytes(state, &tar, &err), -1);
        }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_there_and_back),
                TEST(test_compressed),
                TEST(test_methods),
                TEST(test_entries_refused),
                TEST(test_paths_through_symlinks),
                TEST(test_attributes_refused),
                TEST(test_second_one_replaces),
                TEST(test_cut),
        };

        umask(0);
        setlocale(LC_CTYPE, "C.UTF-8");
        return cmocka_run_group_tests_name("rootfs", tests, NULL, NULL);
}
