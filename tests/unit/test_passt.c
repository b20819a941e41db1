/* SPDX-License-Identifier: MIT */
#include "daemon/passt.h"

#include "base/file.h"
#include "base/util.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A folder with a program of that name is what a PATH needs. */
static void pretend_passt(void **state)
{
        free(scratch_file(state, "passt", "", 0, 0755));
        setenv("PATH", *state, 1);
}

static int listen_on(uint16_t port, uint32_t address)
{
        const struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_return_code(bind(fd, (const struct sockaddr *)&a, sizeof(a)), errno);
        assert_return_code(listen(fd, 1), errno);
        return fd;
}

static int connect_to(uint16_t port)
{
        const struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_return_code(connect(fd, (const struct sockaddr *)&a, sizeof(a)), errno);
        return fd;
}

static void test_chosen(void **state)
{
        struct vm_record record = {.name = (char *)"vm", .ssh_forward = true};
        struct error err = ERROR_INIT;
        uint16_t port = 0, same = 0;

        pretend_passt(state);
        assert_int_equal(passt_choose_port(&record, &port, &err), 0);
        assert_true(port >= 1024);
        record.ssh_port = port;
        assert_int_equal(passt_choose_port(&record, &same, &err), 0);
        assert_int_equal(same, port);
        int fd = listen_on(port, INADDR_LOOPBACK);
        assert_int_equal(passt_choose_port(&record, &same, &err), -1);
        assert_int_equal(err.code, ERR_STATE);
        assert_non_null(strstr(err.message, "'vm'"));
        close(fd);
}

static void test_without_passt(void **state)
{
        const struct vm_record record = {.name = (char *)"vm", .ssh_forward = true};
        struct error err = ERROR_INIT;
        uint16_t port;

        setenv("PATH", *state, 1);
        assert_int_equal(passt_possible(&err), -1);
        assert_int_equal(err.code, ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, "package passt"));
        assert_int_equal(passt_choose_port(&record, &port, &err), -1);
}

static void test_uid(void **state)
{
        static const char table[] =
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
                "   0: 0100007F:9C41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
                "   1: 0200000A:1F90 0100007F:9C41 01 00000000:00000000 00:00000000 00000000    65        0 2 1 0 20 4 30 10 -1\n"
                "   2: 0100007F:1F90 0100007F:9C41 01 00000000:00000000 00:00000000 00000000    64        0 3 1 0 20 4 30 10 -1\n"
                "   3: 0100007F:9C41 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4 30 10 "
                "-1\n";
        uid_t uid = 1;
        (void)state;

        assert_int_equal(passt_read_uid(table, 0x1f90, 0x9c41, &uid), 0);
        assert_int_equal(uid, 64);
        assert_int_equal(passt_read_uid(table, 0x9c41, 0x1f90, &uid), 0);
        assert_int_equal(uid, 0);
        assert_int_equal(passt_read_uid(table, 0x1f91, 0x9c41, &uid), -1);
        assert_int_equal(passt_read_uid("", 1, 2, &uid), -1);
}

/* A program in passt's place shows with what it was started, and gets what was sent to it. */
static void test_start(void **state)
{
        static const char script[] = "#!/bin/sh\nPATH=/usr/bin:/bin; echo \"$@\" >&2; cat <&3 >&2\n";
        autofree char *log = scratch_path(state, "log"), *text = NULL;
        struct error err = ERROR_INIT;
        uint16_t port;
        pid_t pid;
        int status;

        free(scratch_file(state, "passt", script, strlen(script), 0755));
        setenv("PATH", *state, 1);
        autoclose int listener = passt_listen(&port, &err);
        assert_true(listener >= 0);
        autoclose int fd = connect_to(port);
        assert_int_equal(write(fd, "ethernet", 8), 8);
        if (passt_start(listener, geteuid(), 2222, log, &pid, &err) < 0)
                fail_msg("%s", err.message);
        close(take_fd(&fd));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        text = file_read(log, 4096, NULL, NULL);
        assert_non_null(strstr(text, "--fd 3"));
        assert_non_null(strstr(text, "--tcp-ports 127.0.0.1/2222:22"));
        assert_non_null(strstr(text, "ethernet"));

        /* Somebody else was quicker than QEMU. */
        fd = connect_to(port);
        assert_int_equal(passt_start(listener, geteuid() + 1, 2222, log, &pid, &err), -1);
        assert_int_equal(err.code, ERR_DENIED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_chosen, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_without_passt, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_uid),
                cmocka_unit_test_setup_teardown(test_start, scratch_setup, scratch_teardown),
        };

        return cmocka_run_group_tests_name("passt", tests, NULL, NULL);
}
