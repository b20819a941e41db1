/* SPDX-License-Identifier: MIT */
/* initvm-ssh and the agent on the other side: there, missing, too old, newer, and how it gets there. */
#include "scratch.h"
#include "ssh_link.h"

#include "base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define UPLOADED  ".local/lib/initvm/initvm-agent"
#define OLD_AGENT "#!/bin/sh\necho 'initvm-agent 0.0.9 (protocol 1 to 1)'\n"

static void assert_uploaded(struct link *l)
{
        autofree char *path = xasprintf("%s/" UPLOADED, l->server->home),
                      *folder = xasprintf("%s/.local/lib/initvm", l->server->home);
        autofree char *leftover = xasprintf("rmdir '%s' 2>/dev/null; test \"$(ls -A '%s')\" = initvm-agent", folder, folder);
        struct stat st;

        assert_return_code(stat(path, &st), errno);
        assert_int_equal(st.st_mode & 07777, 0755);
        run_program("cmp", path, l->agent, NULL);
        run_program("sh", "-c", leftover, NULL); /* nothing of the upload is left beside it */
}

static void connect_with_upload(struct link *l)
{
        autofree char *path = NULL;
        struct host *h;

        link_start(l);
        link_wait_state(l, "uploading", NULL);
        link_wait_state(l, "connected", &path);
        assert_string_equal(path, UPLOADED);
        assert_uploaded(l);
        h = link_host(l);
        host_sync(h, true);
        assert_carries(h);
        host_detach(h);
}

static void test_agent_missing(void **state)
{
        struct link *l = link_new(state);

        link_set(&l->agent_path, xstrdup("/nowhere/initvm-agent"));
        connect_with_upload(l);
        link_stop(l);
}

static void test_agent_too_old(void **state)
{
        struct link *l = link_new(state);
        autofree char *local = xasprintf("%s/.local", l->server->home), *uploaded = xasprintf("%s/" UPLOADED, l->server->home);
        autofree char *folder = xasprintf("%s/lib/initvm", local);

        link_set(&l->agent_path, scratch_file(state, "old-agent", OLD_AGENT, strlen(OLD_AGENT), 0755));
        assert_return_code(dir_make(folder, 0755, NULL), errno);
        assert_return_code(file_write_atomic(uploaded, 0755, OLD_AGENT, strlen(OLD_AGENT), NULL), errno);
        connect_with_upload(l);
        link_stop(l);
}

static void test_uploaded_agent_is_used_again(void **state)
{
        struct link *l = link_new(state);
        autofree char *uploaded = xasprintf("%s/" UPLOADED, l->server->home),
                      *folder = xasprintf("%s/.local/lib/initvm", l->server->home);
        autofree char *path = NULL;

        link_set(&l->agent_path, xstrdup("/nowhere/initvm-agent"));
        assert_return_code(dir_make(folder, 0755, NULL), errno);
        run_program("cp", l->agent, uploaded, NULL);
        link_set(&l->agent, xstrdup("/nowhere/nothing-to-upload"));
        link_start(l);
        link_wait_state(l, "connected", &path);
        assert_string_equal(path, UPLOADED);
        link_stop(l);
}

static void test_upload_not_possible(void **state)
{
        struct link *l = link_new(state);
        autofree char *local = xasprintf("%s/.local", l->server->home);
        struct error err;

        link_set(&l->agent_path, xstrdup("/nowhere/initvm-agent"));
        assert_return_code(file_write_atomic(local, 0600, "a file", 6, NULL), errno); /* where a folder has to be */
        link_start(l);
        link_wait_error(l, ERR_FAILED, &err);
        assert_says(err.message, "uploading the agent");
        link_stop(l);
}

static void test_newer_agent_is_welcome(void **state)
{
        struct link *l = link_new(state);
        autofree char *command = xasprintf("exec '%s' --stdio", l->agent), *path = NULL;

        link_fake_agent(state, l, command);
        link_start(l);
        link_wait_state(l, "connected", &path);
        assert_string_equal(path, l->agent_path);
        link_stop(l);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_agent_missing),       TEST(test_agent_too_old),          TEST(test_uploaded_agent_is_used_again),
                TEST(test_upload_not_possible), TEST(test_newer_agent_is_welcome),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
