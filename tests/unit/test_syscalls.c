/* SPDX-License-Identifier: MIT */
/* What a chroot may not ask of the VM's kernel, in a child that keeps the filter to itself. */
#include "base/util.h"
#include "chroot/syscalls.h"

#include <errno.h>
#include <setjmp.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* errno of a call whose arguments are all nothing. */
static int errno_of(long number)
{
        errno = 0;
        return syscall(number, -1, 0, 0, 0, 0) < 0 ? errno : 0;
}

/* The first that is not as it should be; 0: all are. */
static int check_calls(void)
{
        static const int denied[] = {SYS_open_by_handle_at, SYS_kexec_load, SYS_kexec_file_load, SYS_quotactl,
                                     SYS_quotactl_fd,       SYS_swapon,     SYS_swapoff,         SYS_bpf,
                                     SYS_add_key,           SYS_keyctl,     SYS_request_key,     SYS_perf_event_open};
        struct error err = ERROR_INIT;

        if (errno_of(SYS_open_by_handle_at) == EPERM || syscalls_deny(&err) < 0)
                return 1;
        for (size_t i = 0; i < ARRAY_SIZE(denied); i++)
                if (errno_of(denied[i]) != EPERM)
                        return 10 + (int)i;
        if (errno_of(SYS_name_to_handle_at) == EPERM || errno_of(SYS_mount) == EPERM || getpid() < 1)
                return 2;
        return 0;
}

static void test_denied(void **state)
{
        int status = -1;
        pid_t child;

        (void)state;
        if (geteuid() != 0)
                skip();
        child = fork();
        assert_int_not_equal(child, -1);
        if (child == 0)
                _exit(check_calls());
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_denied)};

        return cmocka_run_group_tests_name("syscalls", tests, NULL, NULL);
}
