/* SPDX-License-Identifier: MIT */
/* Trees through an archive and back; where they go; what is left out. */
#include "archive/pack.h"
#include "archive/report.h"
#include "archive/target.h"
#include "archive/unpack.h"
#include "base/file.h"
#include "base/process.h"
#include "scratch.h"
#include "tar_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void must(int r)
{
        assert_return_code(r, errno);
}

static int unpack_bytes(const struct buf *tar, const char *target, bool into, struct error *err)
{
        autoclose int fd = fd_of(buf_head(tar), buf_size(tar));
        const struct unpack_options options = {.fd = fd, .target = target, .into = into};

        return unpack(&options, err);
}

/* Packs one source and unpacks it. */
static int copy(const char *source, const char *target, struct error *err)
{
        char *const paths[] = {(char *)source, NULL};
        autobuf struct buf tar = {0};

        pack_bytes(paths, &tar);
        return unpack_bytes(&tar, target, false, err);
}

static char *content_of(const char *path)
{
        return file_read(path, 1 << 20, &(size_t){0}, NULL);
}

/* ---- round trip */

static void assert_same_file(const char *a, const char *b)
{
        struct stat x, y;

        must(lstat(a, &x));
        must(lstat(b, &y));
        assert_int_equal(x.st_mode, y.st_mode);
        assert_int_equal(x.st_mtim.tv_sec, y.st_mtim.tv_sec);
        assert_int_equal(x.st_mtim.tv_nsec, y.st_mtim.tv_nsec);
        if (S_ISREG(x.st_mode)) {
                size_t n, m;
                autofree char *left = file_read(a, 64 << 20, &n, NULL), *right = file_read(b, 64 << 20, &m, NULL);

                assert_non_null(left);
                assert_non_null(right);
                assert_int_equal(n, m);
                assert_memory_equal(left, right, n);
        } else if (S_ISLNK(x.st_mode)) {
                char left[PATH_MAX] = {0}, right[PATH_MAX] = {0};

                must((int)readlink(a, left, sizeof(left) - 1));
                must((int)readlink(b, right, sizeof(right) - 1));
                assert_string_equal(left, right);
        }
}

static void assert_same_tree(const char *a, const char *b)
{
        autofree char *names = names_below(a), *others = names_below(b);
        char *const roots[] = {(char *)a, NULL};
        FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        FTSENT *e;

        assert_string_equal(names, others);
        while ((e = fts_read(fts)))
                if (e->fts_info != FTS_DP) {
                        autofree char *other = xasprintf("%s%s", b, e->fts_path + strlen(a));
                        assert_same_file(e->fts_path, other);
                }
        fts_close(fts);
}

static void set_time(const char *path, time_t seconds, long nanoseconds)
{
        const struct timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};

        must(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
}

/* Every kind of name, mode and time. */
static void make_tree(void **state, const char *root)
{
        static const char *const names[] = {
                "plain",
                "with space",
                "new\nline",
                "\xff\xfe not UTF-8",
                "\xc3\xa4\xe2\x82\xac",
                "-",
                "-rf",
                ":colon",
                "back\\",
                "'quotes\" and %25 %",
                "\001\177",
                "*",
                ".hidden",
                "...",
                "~",
        };
        autofree char *folder = scratch_path(state, root), *empty = scratch_path(state, "tree/empty");
        autofree char *below = scratch_path(state, "tree/below"), *link = scratch_path(state, "tree/link");
        autofree char *strange = scratch_path(state, "tree/strange"), *old = scratch_path(state, "tree/below/old");
        char longest[256];

        must(mkdir(folder, 0755));
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                autofree char *name = xasprintf("%s/%s", root, names[i]);
                autofree char *path = scratch_file(state, name, name, strlen(name), 0600 + (unsigned)i);

                set_time(path, 1000000000 + (time_t)i, 123456789 + (long)i);
        }
        must(mkdir(empty, 0700));
        must(mkdir(below, 0755));
        memset(longest, 'n', 255);
        longest[255] = '\0';
        autofree char *long_name = xasprintf("tree/below/%s", longest);
        autofree char *a = scratch_file(state, long_name, "long", 4, 0444);
        autofree char *b = scratch_file(state, "tree/below/nothing", "", 0, 0);
        autofree char *c = scratch_file(state, "tree/below/old", "old", 3, 0755);
        must(symlink("below/../nowhere", link));
        must(symlink("\xff\n", strange));
        set_time(strange, 1, 1);
        set_time(link, -5, 0);
        set_time(old, -100, 500);
        set_time(below, 1234567890, 999999999);
        must(chmod(empty, 0));
}

static void test_round_trip(void **state)
{
        autofree char *tree = scratch_path(state, "tree"), *copied = scratch_path(state, "copied");
        autofree char *again = scratch_path(state, "again");
        struct error err = ERROR_INIT;

        make_tree(state, "tree");
        assert_int_equal(copy(tree, copied, &err), 0);
        assert_same_tree(tree, copied);
        must(mkdir(again, 0755));
        assert_int_equal(copy(tree, again, &err), 0);
        autofree char *inside = scratch_path(state, "again/tree");
        assert_same_tree(tree, inside);
}

/* tree_remove(), which cleans up after a test, takes paths. */
static void remove_long_paths(const char *folder)
{
        char *const argv[] = {(char *)"find", (char *)folder, (char *)"-mindepth", (char *)"1", (char *)"-delete", NULL};
        const struct process_options options = {.death_signal = SIGKILL};
        struct error err = ERROR_INIT;
        int status = -1;
        pid_t pid;

        must(process_spawn(argv, &options, &pid, &err));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

/* A path longer than PATH_MAX can only be reached step by step. */
static void test_long_paths(void **state)
{
        autofree char *tree = scratch_path(state, "tree"), *copied = scratch_path(state, "copied");
        char name[201];
        struct error err = ERROR_INIT;
        int fd, depth = 0;

        memset(name, 'x', 200);
        name[200] = '\0';
        must(mkdir(tree, 0755));
        fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (; depth < 40; depth++) {
                must(mkdirat(fd, name, 0755));
                int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close(fd);
                fd = next;
        }
        close(openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        close(fd);
        assert_int_equal(copy(tree, copied, &err), 0);
        fd = open(copied, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (; depth > 0; depth--) {
                int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close(fd);
                fd = next;
        }
        must(faccessat(fd, "file", F_OK, 0));
        close(fd);
        remove_long_paths(*state);
}

static void test_sparse(void **state)
{
        static const off_t starts[] = {0, 1 << 20, 5 << 20};
        autofree char *file = scratch_file(state, "sparse", "begin", 5, 0644), *copied = scratch_path(state, "copied");
        autofree char *hole = scratch_file(state, "hole", "", 0, 0644), *copied_hole = scratch_path(state, "copied hole");
        autoclose int fd = open(file, O_WRONLY | O_CLOEXEC);
        struct error err = ERROR_INIT;
        struct stat st;

        for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
                assert_int_equal(pwrite(fd, "data", 4, starts[i]), 4);
        must(ftruncate(fd, 9 << 20));
        must(truncate(hole, 64 << 20));
        assert_int_equal(copy(file, copied, &err), 0);
        assert_same_file(file, copied);
        must(stat(copied, &st));
        assert_true(st.st_blocks * 512 < 1 << 20);
        assert_int_equal(copy(hole, copied_hole, &err), 0);
        must(stat(copied_hole, &st));
        assert_int_equal(st.st_size, 64 << 20);
        assert_int_equal(st.st_blocks, 0);
}

/* Those that were there keep what they have: they belong to somebody else. */
static void test_merge(void **state)
{
        autofree char *a = scratch_path(state, "a"), *sub = scratch_path(state, "a/sub"), *b = scratch_path(state, "b");
        autofree char *b_sub = scratch_path(state, "b/sub"), *dot = scratch_path(state, "a/.");
        autofree char *file = scratch_path(state, "b/sub/f"), *other = scratch_path(state, "b/sub/other");
        struct error err = ERROR_INIT;
        struct stat st;

        must(mkdir(a, 0755));
        must(mkdir(sub, 0711));
        must(mkdir(b, 0750));
        must(mkdir(b_sub, 0700));
        autofree char *x = scratch_file(state, "a/sub/f", "new", 3, 0644), *y = scratch_file(state, "b/sub/f", "old", 3, 0600);
        autofree char *z = scratch_file(state, "b/sub/other", "other", 5, 0600);
        assert_int_equal(copy(dot, b, &err), 0);
        autofree char *content = content_of(file), *kept = content_of(other), *names = names_below(b);
        assert_string_equal(content, "new");
        assert_string_equal(kept, "other");
        assert_string_equal(names, "sub/ sub/f sub/other");
        must(stat(b_sub, &st));
        assert_int_equal(st.st_mode & 07777, 0700);
        must(stat(b, &st));
        assert_int_equal(st.st_mode & 07777, 0750);
}

static void test_named_symlinks_are_followed(void **state)
{
        autofree char *file = scratch_file(state, "file", "content", 7, 0640), *link = scratch_path(state, "link");
        autofree char *copied = scratch_path(state, "copied");
        struct error err = ERROR_INIT;

        must(symlink("file", link));
        assert_int_equal(copy(link, copied, &err), 0);
        assert_same_file(file, copied);
}

/* ---- where it goes */

static void test_targets(void **state)
{
        autofree char *source = scratch_file(state, "source", "new", 3, 0644), *folder = scratch_path(state, "folder");
        autofree char *tree = scratch_path(state, "tree"), *to_folder = scratch_path(state, "to-folder");
        autofree char *to_file = scratch_path(state, "to-file"), *to_nothing = scratch_path(state, "to-nothing");
        const struct {
                const char *source, *target, *where, *message;
        } cases[] = {
                {"source", "folder", "folder/source", NULL},
                {"source", "folder/", "folder/source", NULL},
                {"source", "folder/other", "folder/other", NULL},
                {"source", "to-folder", "folder/source", NULL},
                {"source", "to-file", "file", NULL},
                {"source", "file", "file", NULL},
                {"source", "new", "new", NULL},
                {"source", "new/", NULL, "there is no folder"},
                {"source", "file/", NULL, "Not a directory"},
                {"source", "no/folder", NULL, "no': No such file or directory"},
                {"source", "to-nothing", NULL, "symbolic link to something that is not there"},
                {"source", "/dev/null", NULL, "neither a file nor a folder"},
                {"tree", "new-tree", "new-tree/f", NULL},
                {"tree", "other-tree/", "other-tree/f", NULL},
                {"tree", "folder", "folder/tree/f", NULL},
                {"tree/.", "folder", "folder/f", NULL},
                {"tree/", "folder", "folder/tree/f", NULL},
                {"tree/.", "third-tree", "third-tree/f", NULL},
                {"tree", "keep", NULL, "there is something else of this name"},
        };

        must(mkdir(folder, 0755));
        must(mkdir(tree, 0755));
        autofree char *inner = scratch_file(state, "tree/f", "new", 3, 0644);
        must(symlink("folder", to_folder));
        must(symlink("file", to_file));
        must(symlink("nowhere", to_nothing));
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *file = scratch_file(state, "file", "old", 3, 0644),
                              *keep = scratch_file(state, "keep", "", 0, 0644);
                autofree char *from = scratch_path(state, cases[i].source);
                autofree char *to = cases[i].target[0] == '/' ? xstrdup(cases[i].target) : scratch_path(state, cases[i].target);
                struct error err = ERROR_INIT;
                int r = copy(from, to, &err);

                if (cases[i].where) {
                        autofree char *where = scratch_path(state, cases[i].where), *content = NULL;

                        if (r < 0)
                                fail_msg("%s to %s: %s", cases[i].source, cases[i].target, err.message);
                        content = content_of(where);
                        assert_string_equal(content, "new");
                        must(unlink(where));
                } else if (r == 0 || !strstr(err.message, cases[i].message)) {
                        fail_msg("%s to %s: %d '%s'", cases[i].source, cases[i].target, r, err.message);
                }
        }
        /* The links themselves are still there. */
        assert_int_equal(readlink(to_file, (char[8]){0}, 8), 4);
}

static void test_several_need_a_folder(void **state)
{
        autofree char *a = scratch_file(state, "a", "a", 1, 0644), *b = scratch_file(state, "b", "b", 1, 0644);
        autofree char *folder = scratch_path(state, "folder"), *missing = scratch_path(state, "missing");
        char *const paths[] = {a, b, NULL};
        autobuf struct buf tar = {0};
        struct error err = ERROR_INIT;

        must(mkdir(folder, 0755));
        pack_bytes(paths, &tar);
        assert_int_equal(unpack_bytes(&tar, missing, true, &err), -1);
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_int_equal(unpack_bytes(&tar, a, true, &err), -1);
        assert_int_equal(unpack_bytes(&tar, folder, true, &err), 0);
        autofree char *names = names_below(folder);
        assert_string_equal(names, "a b");
}

/* ---- what changes while it is read */

struct packing {
        pid_t pid;
        int data, reports;
};

/* In a process of its own: it waits when nobody reads. */
static void start_packing(char *const *paths, struct packing *p)
{
        int data[2], reports[2];

        must(pipe2(data, O_CLOEXEC));
        must(pipe2(reports, O_CLOEXEC));
        p->pid = fork();
        if (p->pid == 0) {
                const struct pack_options options = {.fd = data[1], .reports = reports[1], .paths = paths, .total = true};
                struct error err = ERROR_INIT;

                close(data[0]);
                if (pack(&options, &err) < 0)
                        report_error(reports[1], &err);
                _exit(0);
        }
        close(data[1]);
        close(reports[1]);
        p->data = data[0];
        p->reports = reports[0];
}

static void read_all(int fd, struct buf *b)
{
        ssize_t n;

        while ((n = read(fd, buf_reserve(b, 65536), 65536)) > 0)
                buf_commit(b, (size_t)n);
        close(fd);
}

static char *end_packing(struct packing *p, struct buf *tar)
{
        struct buf reports = {0};

        read_all(p->data, tar);
        read_all(p->reports, &reports);
        assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
        return buf_take_string(&reports);
}

/* More than what pipe and buffers hold. */
static char *big_file(void **state, const char *name)
{
        autofree char *zeros = xcalloc(4 << 20, 1);

        memset(zeros, 'x', 4 << 20);
        return scratch_file(state, name, zeros, 4 << 20, 0644);
}

static void test_file_shrinks(void **state)
{
        autofree char *file = big_file(state, "file"), *copied = scratch_path(state, "copied");
        char *const paths[] = {file, NULL};
        autobuf struct buf tar = {0};
        struct error err = ERROR_INIT;
        struct packing p;

        start_packing(paths, &p);
        assert_int_equal(read(p.data, buf_reserve(&tar, 1), 1), 1); /* it has begun */
        buf_commit(&tar, 1);
        must(truncate(file, 100));
        autofree char *reports = end_packing(&p, &tar);
        assert_non_null(strstr(reports, "became shorter while it was copied"));
        assert_int_equal(unpack_bytes(&tar, copied, false, &err), -1);
        assert_int_equal(err.code, ERR_DISCONNECTED);
        assert_int_equal(access(copied, F_OK), -1);
}

/* Both are named by the folder when the first one is being read, whichever that is. */
static void test_file_vanishes(void **state)
{
        autofree char *folder = scratch_path(state, "folder"), *a = NULL, *b = NULL;
        char *const paths[] = {folder, NULL};
        autobuf struct buf tar = {0};
        struct packing p;

        must(mkdir(folder, 0755));
        a = big_file(state, "folder/a");
        b = big_file(state, "folder/b");
        start_packing(paths, &p);
        assert_int_equal(read(p.data, buf_reserve(&tar, 1), 1), 1);
        buf_commit(&tar, 1);
        must(unlink(a));
        must(unlink(b));
        autofree char *reports = end_packing(&p, &tar);
        assert_non_null(strstr(reports, "{\"total\":83"));
        assert_non_null(strstr(reports, "{\"warning\":\"left out"));
        assert_non_null(strstr(reports, "No such file or directory"));
        assert_null(strstr(reports, "error"));
}

static void test_left_out(void **state)
{
        autofree char *folder = scratch_path(state, "folder"), *fifo = scratch_path(state, "folder/fifo");
        autofree char *copied = scratch_path(state, "copied");
        char *const paths[] = {folder, NULL}, *const device[] = {(char *)"/dev/null", NULL};
        const struct pack_options bad = {.fd = -1, .reports = -1, .paths = device};
        autobuf struct buf tar = {0};
        struct error err = ERROR_INIT;
        struct packing p;

        must(mkdir(folder, 0755));
        must(mkfifo(fifo, 0644));
        autofree char *file = scratch_file(state, "folder/file", "x", 1, 0644);
        start_packing(paths, &p);
        autofree char *reports = end_packing(&p, &tar);
        assert_non_null(strstr(reports, "folder/fifo': it is neither a file nor a folder nor a symbolic link"));
        assert_int_equal(unpack_bytes(&tar, copied, false, &err), 0);
        autofree char *names = names_below(copied);
        assert_string_equal(names, "file");
        assert_int_equal(pack(&bad, &err), -1);
        assert_string_equal(err.message, "cannot copy '/dev/null': it is neither a file nor a folder");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_round_trip),
                TEST(test_long_paths),
                TEST(test_sparse),
                TEST(test_merge),
                TEST(test_named_symlinks_are_followed),
                TEST(test_targets),
                TEST(test_several_need_a_folder),
                TEST(test_file_shrinks),
                TEST(test_file_vanishes),
                TEST(test_left_out),
        };

        umask(0);
        return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
