/* SPDX-License-Identifier: MIT */
/* A VM's SSH key, made by the real ssh-keygen, and what the guest tells of its host keys. */
#include "scratch.h"

#include "base/file.h"
#include "base/util.h"
#include "daemon/ssh_identity.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct making {
        struct loop *loop;
        size_t left;
        struct error err;
};

static void on_key(void *userdata, const struct error *err)
{
        struct making *m = userdata;

        if (err)
                m->err = *err;
        if (--m->left == 0)
                loop_quit(m->loop, 0);
}

/* Asks n times at once. */
static void make_keys(struct making *m, const char *folder, size_t n)
{
        *m = (struct making){.loop = loop_new(), .left = n};
        for (size_t i = 0; i < n; i++)
                ssh_identity_make_key(m->loop, folder, "a vm", on_key, m);
        loop_run(m->loop);
        loop_free(m->loop);
}

static void test_key(void **state)
{
        const char *folder = *state;
        autofree char *first = NULL, *second = NULL, *public_key = NULL;
        struct ssh_identity i;
        struct making m;
        struct stat st;

        ssh_identity_init(&i, folder, "a vm");
        make_keys(&m, folder, 1);
        assert_string_equal(m.err.message, "");
        assert_return_code(stat(i.folder, &st), errno);
        assert_int_equal(st.st_mode, S_IFDIR | 0700);
        assert_return_code(stat(i.key, &st), errno);
        assert_int_equal(st.st_mode, S_IFREG | 0600);
        first = file_read(i.key, 4096, NULL, NULL);
        public_key = file_read(i.public_key, 4096, NULL, NULL);
        assert_non_null(strstr(first, "OPENSSH PRIVATE KEY"));
        assert_true(str_has_prefix(public_key, "ssh-ed25519 "));
        assert_non_null(strstr(public_key, " initvm-a vm\n"));
        make_keys(&m, folder, 1); /* it stays */
        second = file_read(i.key, 4096, NULL, NULL);
        assert_string_equal(first, second);
        ssh_identity_done(&i);
}

/* One pair in the end, whole, and nothing beside it. */
static void test_keys_at_once(void **state)
{
        const char *folder = *state;
        struct ssh_identity i;
        struct making m;

        ssh_identity_init(&i, folder, "a vm");
        make_keys(&m, folder, 5);
        assert_string_equal(m.err.message, "");
        assert_return_code(access(i.key, F_OK), errno);
        assert_return_code(access(i.public_key, F_OK), errno);
        assert_return_code(tree_remove(i.folder, NULL), 0);
        assert_return_code(rmdir(folder), errno);
        assert_return_code(mkdir(folder, 0700), errno);
        ssh_identity_done(&i);
}

static void test_key_fails(void **state)
{
        const char *folder = *state;
        autofree char *missing = xasprintf("%s/nowhere", folder);
        autofree char *path = xstrdup(getenv("PATH")), *in_the_way = xasprintf("%s/ssh", folder);
        struct making m;

        make_keys(&m, missing, 1);
        assert_int_equal(m.err.code, ERR_NOT_FOUND);
        assert_return_code(setenv("PATH", folder, 1), errno);
        make_keys(&m, folder, 1);
        setenv("PATH", path, 1);
        assert_non_null(strstr(m.err.message, "openssh-client"));
        assert_return_code(file_write_atomic(in_the_way, 0600, "x", 1, NULL), 0);
        make_keys(&m, folder, 1);
        assert_non_null(strstr(m.err.message, "remove what is there"));
        assert_return_code(unlink(in_the_way), errno);
        assert_return_code(rmdir(folder), errno); /* nothing was left beside it */
        assert_return_code(mkdir(folder, 0700), errno);
}

static void test_guest(void **state)
{
        static const struct {
                const char *text;
                enum error_code code;
                const char *result; /* or what the message has */
        } cases[] = {
                {"host-key ssh-ed25519 AAAA+/=\n", ERR_NONE, "initvm-a ssh-ed25519 AAAA+/=\n"},
                {"host-key ssh-ed25519 AAAA\nhost-key ecdsa-sha2-nistp256 BBBB\n", ERR_NONE,
                 "initvm-a ssh-ed25519 AAAA\ninitvm-a ecdsa-sha2-nistp256 BBBB\n"},
                {"", ERR_NOT_FOUND, "ssh-keygen -A"},
                {"missing sshd\n", ERR_NOT_FOUND, "apt-get install openssh-server"},
                {"missing keys-file\n", ERR_NOT_FOUND, "AuthorizedKeysFile"},
                {"missing server\n", ERR_NOT_FOUND, "systemctl status ssh"},
                {"missing everything\n", ERR_PROTOCOL, "'missing everything'"},
                {"host-key ssh-ed25519\n", ERR_PROTOCOL, "host keys"},
                {"host-key ssh-ed25519 AAAA comment\n", ERR_PROTOCOL, "host keys"},
                {"host-key ssh-ed25519 AA\tAA\n", ERR_PROTOCOL, "host keys"},
                {"host-key * AAAA\n", ERR_PROTOCOL, "host keys"},
                {"sh: 1: something went wrong\n", ERR_PROTOCOL, "went wrong"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *result = NULL;
                struct error err = ERROR_INIT;
                int r = ssh_identity_read_guest(cases[i].text, "a", &result, &err);

                assert_int_equal(err.code, cases[i].code);
                if (r == 0)
                        assert_string_equal(result, cases[i].result);
                else if (!strstr(err.message, cases[i].result))
                        fail_msg("'%s': %s", cases[i].text, err.message);
        }
}

/* A guest that prints without end. */
static void test_guest_floods(void **state)
{
        autobuf struct buf b = {0};
        autofree char *text = NULL, *result = NULL;
        struct error err = ERROR_INIT;
        (void)state;

        for (int i = 0; i < 1000; i++)
                buf_printf(&b, "host-key ssh-ed25519 AAAA%d\n", i);
        text = buf_take_string(&b);
        assert_int_equal(ssh_identity_read_guest(text, "a", &result, &err), -1);
        assert_int_equal(err.code, ERR_PROTOCOL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_key, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_keys_at_once, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_key_fails, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_guest),
                cmocka_unit_test(test_guest_floods),
        };

        return cmocka_run_group_tests_name("ssh identity", tests, NULL, NULL);
}
