/* SPDX-License-Identifier: MIT */
/* Specifications of forwards that are right, and the quoting of ssh's configuration. What is wrong: tests/e2e/60-forward.bats. */
#include "base/util.h"
#include "cli/forward_spec.h"
#include "cli/ssh_config.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void test_specs(void **state)
{
        static const struct {
                const char *text;
                bool reverse, any;
                const char *local, *remote;
        } cases[] = {
                {"80", false, false, "127.0.0.1:80", "localhost:80"},
                {"8080:80", false, false, "127.0.0.1:8080", "localhost:80"},
                {"0:80", false, false, "127.0.0.1:0", "localhost:80"},
                {"127.0.0.2:8080:80", false, false, "127.0.0.2:8080", "localhost:80"},
                {"[::1]:8080:80", false, false, "[::1]:8080", "localhost:80"},
                {"localhost:8080:10.0.2.2:80", false, false, "localhost:8080", "10.0.2.2:80"},
                {"10.0.2.2:80", false, false, "127.0.0.1:80", "10.0.2.2:80"},
                {"8080:[fe80::1]:80", false, false, "127.0.0.1:8080", "[fe80::1]:80"},
                {"0.0.0.0:8080:80", false, true, "0.0.0.0:8080", "localhost:80"},
                {"/tmp/x.sock:/run/a:b.sock", false, false, "/tmp/x.sock", "/run/a:b.sock"},
                {"8080:/run/x.sock", false, false, "127.0.0.1:8080", "/run/x.sock"},
                {"/tmp/x.sock:80", false, false, "/tmp/x.sock", "localhost:80"},
                {"3142", true, false, "localhost:3142", "127.0.0.1:3142"},
                {"3142:0", true, false, "localhost:3142", "127.0.0.1:0"},
                {"192.0.2.1:80:0.0.0.0:8080", true, false, "192.0.2.1:80", "0.0.0.0:8080"},
                {"/run/host.sock:/run/guest.sock", true, false, "/run/host.sock", "/run/guest.sock"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                struct forward_spec spec;

                if (forward_spec_parse(cases[i].text, cases[i].reverse, cases[i].any, &spec, &err) < 0)
                        fail_msg("%s", err.message);
                autofree char *local = address_text(&spec.local), *remote = address_text(&spec.remote);
                assert_string_equal(local, cases[i].local);
                assert_string_equal(remote, cases[i].remote);
        }
}

static void test_loopback(void **state)
{
        static const char *const others[] = {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "[::ffff:127.0.0.1]:1", "[2001:db8::1]:1"};
        static const char *const ours[] = {"127.0.0.1:1", "127.255.0.1:1", "[::1]:1", "[0:0::1]:1", "localhost:1", "/x"};
        struct address a;
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                assert_int_equal(address_parse(others[i], &a, NULL), 0);
                assert_false(address_is_loopback(&a));
        }
        for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
                assert_int_equal(address_parse(ours[i], &a, NULL), 0);
                assert_true(address_is_loopback(&a));
        }
}

static void test_ssh_config(void **state)
{
        struct ssh_config c = {.alias = "initvm-vm",
                               .user = "root",
                               .identity_file = "/a \"b\"/100%/key",
                               .known_hosts_file = "/k\\h",
                               .program = "/it's/initvm",
                               .home = "/home of %h",
                               .vm = "vm"};
        struct error err = ERROR_INIT;
        autofree char *text = ssh_config_text(&c, &err);
        (void)state;

        assert_string_equal(text, "Host initvm-vm\n"
                                  "    ProxyCommand env INITVM_HOME='/home of %%h' '/it'\\''s/initvm' -n vm proxy\n"
                                  "    User root\n"
                                  "    IdentityFile \"/a \\\"b\\\"/100%%/key\"\n"
                                  "    IdentitiesOnly yes\n"
                                  "    PreferredAuthentications publickey\n"
                                  "    HostKeyAlias initvm-vm\n"
                                  "    UserKnownHostsFile \"/k\\\\h\"\n"
                                  "    GlobalKnownHostsFile /dev/null\n"
                                  "    StrictHostKeyChecking yes\n"
                                  "    UpdateHostKeys no\n");
        c.identity_file = "/a\nProxyCommand evil";
        assert_null(ssh_config_text(&c, &err));
        assert_int_equal(err.code, ERR_INVALID);
        c.identity_file = "/a/${HOME}/x";
        assert_null(ssh_config_text(&c, &err));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_specs),
                cmocka_unit_test(test_loopback),
                cmocka_unit_test(test_ssh_config),
        };

        return cmocka_run_group_tests_name("forward specifications", tests, NULL, NULL);
}
