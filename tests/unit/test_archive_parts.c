/* SPDX-License-Identifier: MIT */
/* Content without a tree, names as text, and reports. */
#include "archive/name.h"
#include "archive/pack.h"
#include "archive/report.h"
#include "archive/unpack.h"
#include "base/file.h"
#include "scratch.h"
#include "tar_bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void must(int r)
{
        assert_return_code(r, errno);
}

static void read_all(int fd, struct buf *b)
{
        ssize_t n;

        while ((n = read(fd, buf_reserve(b, 65536), 65536)) > 0)
                buf_commit(b, (size_t)n);
        close(fd);
}

/* ---- content alone */

static void test_content(void **state)
{
        static const size_t sizes[] = {0, 1, 512, 65536, 262144, 262145, 3000000};
        autofree char *target = scratch_path(state, "target");

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                autofree char *data = xcalloc(sizes[i] + 1, 1);
                autoclose int from = -1, tar = -1;
                struct error err = ERROR_INIT;
                size_t n = 0;

                memset(data, 'c', sizes[i]);
                from = fd_of(data, sizes[i]);
                tar = fd_of("", 0);
                assert_int_equal(pack_content(from, tar, &err), 0);
                must((int)lseek(tar, 0, SEEK_SET));
                assert_int_equal(unpack_to_file(tar, target, &err), 0);
                autofree char *back = file_read(target, 4 << 20, &n, NULL);
                assert_int_equal(n, sizes[i]);
                assert_memory_equal(back, data, n);

                /* Without its end it is not taken. */
                must(ftruncate(tar, lseek(tar, 0, SEEK_END) - 1024));
                must((int)lseek(tar, 0, SEEK_SET));
                assert_int_equal(unpack_to_file(tar, target, &err), -1);
                assert_int_equal(err.code, ERR_DISCONNECTED);
        }
        autofree char *folder = scratch_path(state, "."), *names = names_below(folder);
        assert_string_equal(names, "target");
}

static void test_content_of_sparse_and_of_folders(void **state)
{
        autofree char *hole = scratch_file(state, "hole", "begin", 5, 0644), *folder = scratch_path(state, "");
        char *const file_paths[] = {hole, NULL}, *const folder_paths[] = {folder, NULL};
        autobuf struct buf file = {0}, tree = {0}, out = {0};
        autoclose int to = fd_of("", 0);
        struct error err = ERROR_INIT;

        must(truncate(hole, 1 << 20));
        pack_bytes(file_paths, &file);
        pack_bytes(folder_paths, &tree);
        autoclose int from = fd_of(buf_head(&file), buf_size(&file)), bad = fd_of(buf_head(&tree), buf_size(&tree));
        assert_int_equal(unpack_content(from, to, &err), 0);
        must((int)lseek(to, 0, SEEK_SET));
        read_all(dup(to), &out);
        assert_int_equal(buf_size(&out), 1 << 20);
        assert_memory_equal(buf_head(&out), "begin\0", 6);
        assert_int_equal(unpack_content(bad, to, &err), -1);
        assert_non_null(strstr(err.message, "is not a file"));
}

/* ---- names and reports */

static void test_names(void **state)
{
        static const struct {
                const char *path, *name;
        } cases[] = {
                {"a", "a"},  {"/a/b", "b"}, {"a/b//", "b"}, {"", "."},      {"/", "."},     {".", "."},   {"./", "."},
                {"..", "."}, {"a/..", "."}, {"a/.", "."},   {"...", "..."}, {"a/.b", ".b"}, {"~/x", "x"}, {"\xff", "\xff"},
        };
        static const char *const broken[] = {"%", "%4", "%zz", "%00", "a%0", "%4a"};
        char all[256];
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *name = name_of_source(cases[i].path);
                assert_string_equal(name, cases[i].name);
        }
        for (int i = 0; i < 255; i++)
                all[i] = (char)(i + 1);
        all[255] = '\0';
        autofree char *escaped = name_escape(all), *back = name_unescape(escaped), *empty = name_escape("");
        assert_string_equal(back, all);
        assert_string_equal(empty, "");
        for (const char *p = escaped; *p; p++)
                assert_in_range(*p, '!', '~');
        for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
                assert_null(name_unescape(broken[i]));
}

static void count_warning(void *userdata, const char *text)
{
        assert_string_equal(text, "left out 'x'");
        ++*(int *)userdata;
}

static void test_reports_cut_anywhere(void **state)
{
        static const char text[] = "{\"total\":123}\n\n{\"warning\":\"left out 'x'\"}\nSegmentation fault\nmore\n"
                                   "{\"error\":\"org.initvm.NoSpace\",\"parameters\":{\"message\":\"full\"}}\n";
        autofree char *much = xcalloc(REPORT_LINE_MAX + 2, 1);
        (void)state;

        memset(much, 'x', REPORT_LINE_MAX + 1);
        for (size_t piece = 1; piece < sizeof(text); piece++) {
                int warnings = 0;
                struct report_reader r = {.warning = count_warning, .userdata = &warnings};

                report_read(&r, much, REPORT_LINE_MAX + 1);
                report_read(&r, "\n", 1);
                for (size_t at = 0; at < sizeof(text) - 1; at += piece)
                        report_read(&r, text + at, MIN(piece, sizeof(text) - 1 - at));
                assert_int_equal(r.total, 123);
                assert_int_equal(warnings, 1);
                assert_string_equal(r.other, "Segmentation fault");
                assert_int_equal(r.error.code, ERR_NO_SPACE);
                assert_string_equal(r.error.message, "full");
                report_reader_done(&r);
        }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_content),
                TEST(test_content_of_sparse_and_of_folders),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_reports_cut_anywhere),
        };

        umask(0);
        return cmocka_run_group_tests_name("archive_parts", tests, NULL, NULL);
}
