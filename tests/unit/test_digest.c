/* SPDX-License-Identifier: MIT */
/* Against the examples that NIST publishes with FIPS 180-4. */
#include "base/digest.h"

#include "base/util.h"
#include "scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ABC     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define MILLION "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void test_known(void **state)
{
        autofree char *abc = digest_bytes("abc", 3), *empty = digest_bytes("", 0), *parts = NULL;
        struct digest *d = digest_new();

        (void)state;
        assert_string_equal(abc, ABC);
        assert_string_equal(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (size_t i = 0; i < 1000; i++) {
                char block[1000];

                memset(block, 'a', sizeof(block));
                digest_add(d, block, sizeof(block));
        }
        parts = digest_end(d);
        assert_string_equal(parts, MILLION);
}

static void test_fd(void **state)
{
        autofree char *text = xcalloc(1000000, 1), *path = NULL, *whole = NULL, *rest = NULL;
        struct error err = ERROR_INIT;
        autoclose int fd = -1, folder = open("/", O_RDONLY | O_CLOEXEC);

        memset(text, 'a', 1000000);
        path = scratch_file(state, "file", text, 1000000, 0600);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        whole = digest_fd(fd, &err);
        assert_string_equal(whole, MILLION);
        rest = digest_fd(fd, &err); /* nothing is left */
        assert_string_not_equal(rest, MILLION);
        assert_null(digest_fd(folder, &err));
        assert_true(err.code != ERR_NONE);
}

static void test_valid(void **state)
{
        (void)state;
        assert_true(digest_valid(ABC));
        assert_false(digest_valid(ABC "0"));
        assert_false(digest_valid(&ABC[1]));
        assert_false(digest_valid("../7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
        assert_false(digest_valid("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"));
        assert_false(digest_valid(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_known),
                cmocka_unit_test_setup_teardown(test_fd, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_valid),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
