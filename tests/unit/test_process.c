/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include "base/file.h"
#include "base/util.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Everything that comes out of fd until its end. */
static char *read_all(int fd)
{
        autobuf struct buf b = {0};
        ssize_t n;

        while ((n = read(fd, buf_reserve(&b, 4096), 4096)) > 0)
                buf_commit(&b, (size_t)n);
        return buf_take_string(&b);
}

/* Runs a shell script with its output caught, beside what the options say (at most 6 fds). */
static char *run_script(const char *script, const struct process_options *options, int *ret_status)
{
        char *const argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
        struct process_options o = options ? *options : (struct process_options){0};
        struct process_fd fds[7];
        struct error err = ERROR_INIT;
        int pipe_fds[2], status;
        pid_t pid;
        char *output;

        assert_true(o.n_fds < ARRAY_SIZE(fds));
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        for (size_t i = 0; i < o.n_fds; i++)
                fds[i] = o.fds[i];
        fds[o.n_fds] = (struct process_fd){pipe_fds[1], 1};
        o.fds = fds;
        o.n_fds++;
        if (process_spawn(argv, &o, &pid, &err) < 0)
                fail_msg("%s", err.message);
        close(pipe_fds[1]);
        output = read_all(pipe_fds[0]);
        close(pipe_fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (ret_status)
                *ret_status = status;
        return output;
}

static void test_exec_failure(void **state)
{
        autofree char *plain = scratch_file(state, "plain", "not a program", 13, 0644);
        autofree char *interpreter = scratch_file(state, "interpreter", "#!/nowhere/sh\n", 14, 0755);
        const struct {
                const char *program, *cwd;
                enum error_code code;
                const char *says;
        } cases[] = {
                {"/nowhere/program", NULL, ERR_NOT_FOUND, "cannot run '/nowhere/program': No such file"},
                {"no-such-program-in-path", NULL, ERR_NOT_FOUND, "cannot run 'no-such-program-in-path': No such file"},
                {plain, NULL, ERR_DENIED, "Permission denied"},
                {"/", NULL, ERR_DENIED, "Permission denied"},
                {interpreter, NULL, ERR_NOT_FOUND, "No such file"},
                {"true", "/nowhere", ERR_NOT_FOUND, "cannot change to the folder for 'true': No such file"},
        };
        size_t fds = scratch_open_fds();

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char *const argv[] = {(char *)cases[i].program, NULL};
                const struct process_options options = {.cwd = cases[i].cwd};
                struct error err = ERROR_INIT;
                pid_t pid = -7;

                assert_int_equal(process_spawn(argv, &options, &pid, &err), -1);
                assert_int_equal(err.code, cases[i].code);
                assert_int_equal(pid, -7);
                if (!strstr(err.message, cases[i].says))
                        fail_msg("'%s' does not say '%s'", err.message, cases[i].says);
        }
        assert_int_equal(scratch_open_fds(), fds);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* none is left as a zombie */
        assert_int_equal(errno, ECHILD);
}

static void test_too_many_fds(void **state)
{
        char *const argv[] = {(char *)"true", NULL};
        struct process_fd fds[17];
        struct error err = ERROR_INIT;
        pid_t pid;
        (void)state;

        for (int i = 0; i < 17; i++)
                fds[i] = (struct process_fd){1, 3 + i};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds)};
        assert_int_equal(process_spawn(argv, &options, &pid, &err), -1);
        assert_non_null(strstr(err.message, "cannot prepare 'true'"));
}

static int file_with(void **state, const char *text)
{
        autofree char *path = scratch_file(state, text, text, strlen(text), 0600);
        return open(path, O_RDONLY | O_CLOEXEC);
}

/* a goes where b was and b where a was, one fd in two places, and one onto itself. */
static void test_fds_swapped(void **state)
{
        int a = file_with(state, "a"), b = file_with(state, "b");
        const struct process_fd fds[] = {{a, b}, {b, a}, {a, 0}, {a, 9}};
        const struct process_fd self[] = {{a, a}};
        struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds)};
        autofree char *script = xasprintf("readlink /proc/self/fd/%d /proc/self/fd/%d /proc/self/fd/0 /proc/self/fd/9", b, a);
        autofree char *output = run_script(script, &options, NULL);
        autofree char *expected =
                xasprintf("%s/a\n%s/b\n%s/a\n%s/a\n", (char *)*state, (char *)*state, (char *)*state, (char *)*state);
        assert_string_equal(output, expected);

        autofree char *one = xasprintf("cat <&%d", a);
        options = (struct process_options){.fds = self, .n_fds = 1};
        autofree char *itself = run_script(one, &options, NULL);
        assert_string_equal(itself, "a");
        assert_int_equal(fcntl(a, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC); /* ours are as they were */
        close(a);
        close(b);
}

/* Nothing but 0-2 and what was named; neither fds that somebody gave us without close-on-exec. */
static void test_no_fd_leaks(void **state)
{
        int inherited = open("/dev/null", O_RDONLY), high = fcntl(inherited, F_DUPFD, 300), named = file_with(state, "named");
        const struct process_fd fds[] = {{named, 5}};
        const struct process_options options = {.fds = fds, .n_fds = 1};
        /* The shell's own opening of the folder is not among them, since it globs before. */
        autofree char *output = run_script("cd /proc/$$/fd && for f in 0 1 2 3 4 5 6 7 8 9 1? 2? ??? ; do "
                                           "[ -e $f ] && echo $f $(readlink $f | sed s/:.*//); done",
                                           &options, NULL);
        autofree char *expected = xasprintf("0 /dev/null\n1 pipe\n2 /dev/null\n5 %s/named\n", (char *)*state);

        assert_string_equal(output, expected);
        close(inherited);
        close(high);
        close(named);
}

/* With our own 0-2 closed, the pipe and /dev/null come to lie exactly there. */
static void test_own_standard_fds_closed(void **state)
{
        autofree char *path = scratch_path(state, "out");
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                char *const argv[] = {(char *)"/bin/sh", (char *)"-c",
                                      (char *)"readlink /proc/self/fd/0; echo err >&2 && readlink /proc/self/fd/2", NULL};
                int out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                const struct process_fd fds[] = {{out, 1}};
                const struct process_options options = {.fds = fds, .n_fds = 1};
                pid_t child;

                close(0);
                close(1);
                close(2);
                if (process_spawn(argv, &options, &child, NULL) < 0)
                        _exit(9);
                _exit(waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : 8);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        autofree char *text = file_read(path, 100, NULL, NULL);
        assert_string_equal(text, "/dev/null\n/dev/null\n");
}

static void handler(int signo)
{
        (void)signo;
}

static void test_signals_reset(void **state)
{
        struct sigaction ignore = {.sa_handler = SIG_IGN}, handle = {.sa_handler = handler}, saved_pipe, saved_hup, now;
        sigset_t block, saved, after;
        (void)state;

        sigaction(SIGPIPE, &ignore, &saved_pipe);
        sigaction(SIGHUP, &handle, &saved_hup);
        sigemptyset(&block);
        sigaddset(&block, SIGTERM);
        sigaddset(&block, SIGCHLD);
        sigaddset(&block, SIGRTMAX);
        sigprocmask(SIG_BLOCK, &block, &saved);
        /* /proc of a program that does nothing about signals by itself. */
        char *const argv[] = {(char *)"cat", (char *)"/proc/self/status", NULL};
        int pipe_fds[2], status;
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        const struct process_fd fds[] = {{pipe_fds[1], 1}};
        const struct process_options options = {.fds = fds, .n_fds = 1};
        pid_t pid;
        assert_int_equal(process_spawn(argv, &options, &pid, NULL), 0);
        close(pipe_fds[1]);
        autofree char *output = read_all(pipe_fds[0]);
        close(pipe_fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        uint64_t blocked, ignored, caught;
        assert_int_equal(
                sscanf(strstr(output, "\nSigBlk:"), "\nSigBlk: %lx SigIgn: %lx SigCgt: %lx", &blocked, &ignored, &caught), 3);
        /* glibc's own two signals cannot be reset: posix_spawn(3), and so make, starts programs with them ignored. */
        ignored &= ~UINT64_C(0x180000000);
        assert_true(blocked == 0 && ignored == 0 && caught == 0);

        /* Ours are as they were. */
        sigprocmask(SIG_SETMASK, &saved, &after);
        assert_true(sigismember(&after, SIGTERM) && sigismember(&after, SIGRTMAX) && !sigismember(&after, SIGUSR1));
        sigaction(SIGPIPE, &saved_pipe, &now);
        assert_ptr_equal(now.sa_handler, SIG_IGN);
        sigaction(SIGHUP, &saved_hup, NULL);
}

static void test_environment_and_folder(void **state)
{
        char *environment[] = {(char *)"ONLY=this", (char *)"PATH=/usr/bin:/bin", NULL};
        const struct process_options options = {.environment = environment, .cwd = *state};
        autofree char *output = run_script("env | grep -v -e ^PWD= -e ^_= -e ^OLDPWD= -e ^SHLVL= | sort; pwd -P", &options, NULL);
        autofree char *expected = xasprintf("ONLY=this\nPATH=/usr/bin:/bin\n%s\n", (char *)*state);
        assert_string_equal(output, expected);

        setenv("INITVM_UNIT", "ours", 1);
        autofree char *inherited = run_script("printf %s \"$INITVM_UNIT\"", NULL, NULL);
        assert_string_equal(inherited, "ours");
        unsetenv("INITVM_UNIT");
}

static void test_groups(void **state)
{
        const struct process_options group = {.new_group = true}, session = {.new_session = true, .new_group = true};
        autofree char *ours = xasprintf("%d %d", getpgrp(), getsid(0));
        /* Fields of proc(5) stat: pid, name, state, parent, group, session. */
        const char *script = "set -- $(cat /proc/$$/stat); echo $1 $5 $6";
        int pid, pgid, sid;
        (void)state;

        autofree char *none = run_script(script, NULL, NULL);
        assert_int_equal(sscanf(none, "%d %d %d", &pid, &pgid, &sid), 3);
        assert_int_equal(pgid, getpgrp());
        autofree char *grouped = run_script(script, &group, NULL);
        assert_int_equal(sscanf(grouped, "%d %d %d", &pid, &pgid, &sid), 3);
        assert_int_equal(pgid, pid);
        assert_int_equal(sid, getsid(0));
        autofree char *sessioned = run_script(script, &session, NULL);
        assert_int_equal(sscanf(sessioned, "%d %d %d", &pid, &pgid, &sid), 3);
        assert_int_equal(pgid, pid);
        assert_int_equal(sid, pid);
}

/* The grandchild holds the pipe's end until it dies of its parent's death. */
static void test_death_signal(void **state)
{
        int pipe_fds[2], status;
        pid_t pid;
        char c;
        (void)state;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                char *const argv[] = {(char *)"sleep", (char *)"60", NULL};
                const struct process_fd fds[] = {{pipe_fds[1], 1}};
                const struct process_options options = {.fds = fds, .n_fds = 1, .death_signal = SIGTERM};
                pid_t child;

                if (process_spawn(argv, &options, &child, NULL) < 0)
                        _exit(9);
                raise(SIGKILL);
        }
        close(pipe_fds[1]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        alarm(20);
        assert_int_equal(read(pipe_fds[0], &c, 1), 0);
        alarm(0);
        close(pipe_fds[0]);
}

static void test_status_text(void **state)
{
        int status;
        (void)state;

        free(run_script("exit 3", NULL, &status));
        assert_string_equal(process_status_text(status), "exit status 3");
        free(run_script("kill -9 $$", NULL, &status));
        assert_string_equal(process_status_text(status), "killed by signal 9 (Killed)");
        assert_string_equal(process_status_text(0xffff), "wait status 0xffff");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_exec_failure, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_too_many_fds),
                cmocka_unit_test_setup_teardown(test_fds_swapped, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_no_fd_leaks, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_own_standard_fds_closed, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_signals_reset),
                cmocka_unit_test_setup_teardown(test_environment_and_folder, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_groups),
                cmocka_unit_test(test_death_signal),
                cmocka_unit_test(test_status_text),
        };

        return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
