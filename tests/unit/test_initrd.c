/* SPDX-License-Identifier: MIT */
#include "provision/initrd.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

static void make(struct buf *b, const char *path, const char *text)
{
        initrd_add(b, "folder", 0755, NULL, 0);
        initrd_add(b, path, 0600, text, strlen(text));
        initrd_end(b);
        assert_int_equal(buf_size(b) % 512, 0);
}

/* cpio(1) is the judge. */
static void test_written(void **state)
{
        autobuf struct buf b = {0};
        autofree char *path = NULL, *out = NULL;

        make(&b, "folder/file", "content");
        path = scratch_file(state, "archive", buf_head(&b), buf_size(&b), 0600);
        char *argv[] = {(char *)"cpio", (char *)"--quiet", (char *)"-itvF", path, NULL};
        out = scratch_output(argv);
        assert_non_null(strstr(out, "drwxr-xr-x   1 root     root            0"));
        assert_non_null(strstr(out, "-rw-------   1 root     root            7"));
        assert_non_null(strstr(out, "folder/file\n"));
}

/* Of several archives, compressed or not, the last one counts, as for the kernel. */
static void test_found(void **state)
{
        autobuf struct buf first = {0}, second = {0}, all = {0};
        autofree char *path = scratch_path(state, "initrd"), *text = NULL;
        struct error err = ERROR_INIT;
        gzFile gz;

        make(&first, "./folder/file", "old");
        make(&second, "folder/file", "new");
        for (int i = 0; i < 2; i++) {
                const struct buf *b = i ? &second : &first;
                gz = gzopen(path, i ? "ab" : "wb");
                assert_int_equal(gzwrite(gz, buf_head(b), (unsigned)buf_size(b)), (int)buf_size(b));
                gzclose(gz);
        }
        assert_int_equal(initrd_load(path, &all, &err), 0);
        text = initrd_find(buf_head(&all), buf_size(&all), "folder/file", &err);
        assert_string_equal(text, "new");
        assert_null(initrd_find(buf_head(&all), buf_size(&all), "folder", &err)); /* is none */
        assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* Cut or changed anywhere: an error or another answer, never a byte that is not there. */
static void test_damaged(void **state)
{
        autobuf struct buf b = {0};
        (void)state;

        make(&b, "file", "content");
        for (size_t n = 0; n < buf_size(&b); n++) {
                autofree char *copy = xcalloc(buf_size(&b), 1), *cut = NULL, *changed = NULL;
                struct error err = ERROR_INIT;

                memcpy(copy, buf_head(&b), buf_size(&b));
                char *exact = xcalloc(n + 1, 1);
                memcpy(exact, copy, n);
                cut = initrd_find(exact, n, "file", &err);
                free(exact);
                copy[n] = (char)~copy[n];
                changed = initrd_find(copy, buf_size(&b), "file", &err);
        }
}

static void test_not_compressed_well(void **state)
{
        autofree char *path = scratch_file(state, "bad", "\x1f\x8b\x08 not gzip at all, really not", 30, 0600);
        autobuf struct buf b = {0};
        struct error err = ERROR_INIT;

        assert_int_equal(initrd_load(path, &b, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(initrd_load("/nonexistent", &b, &err), -1);
        assert_int_equal(err.code, ERR_NOT_FOUND);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_written, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_found, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_damaged),
                cmocka_unit_test_setup_teardown(test_not_compressed_well, scratch_setup, scratch_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
