/* SPDX-License-Identifier: MIT */
/*
 * The programs are memfds: no folder that might be mounted noexec, and nothing to be removed.  The descriptor stays open across
 * execve(2), because an interpreter may open its program by the name it was given, /proc/self/fd/N.
 */
#include "agent/proof_run.h"

#include "base/file.h"
#include "base/process.h"
#include "base/util.h"
#include "binfmt/proof.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of what an emulator says before it fails, its first line. */
#define WORDS_MAX 200

struct running {
        struct proof_run *run;
        pid_t pid;
        int process; /* pidfd; -1 when it has ended */
        int words;   /* memfd: what it writes to standard error, and in front of it nothing */
        int failure; /* pipe: errno of the execve that failed */
        uint64_t started;
};

static int open_program(const struct architecture *a)
{
        uint8_t program[PROOF_SIZE_MAX];
        size_t n = proof_program(a, program);
        autoclose int fd = memfd_create(a->name, MFD_CLOEXEC);

        if (fd < 0 || fd_write_all(fd, program, n) < 0)
                return -1;
        return take_fd(&fd);
}

static void run_child(int program, int words, int failure) __attribute__((noreturn));
static void run_child(int program, int words, int failure)
{
        char path[64];
        char *const argv[] = {path, NULL}, *const environment[] = {NULL};
        const struct rlimit no_core = {0};
        int null = open("/dev/null", O_RDWR);

        snprintf(path, sizeof(path), "/proc/self/fd/%d", program);
        setrlimit(RLIMIT_CORE, &no_core);
        if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 && dup2(words, STDERR_FILENO) >= 0 &&
            fcntl(program, F_SETFD, 0) == 0)
                execve(path, argv, environment);
        if (write(failure, &(int){errno}, sizeof(int)) < 0)
                _exit(126);
        _exit(127);
}

static int start(struct running *r)
{
        autoclose int program = open_program(r->run->architecture);
        int fds[2];

        if (program < 0 || pipe2(fds, O_CLOEXEC) < 0)
                return -1;
        r->failure = fds[0];
        r->words = memfd_create("words", MFD_CLOEXEC);
        r->started = now_ms();
        r->pid = r->words < 0 ? -1 : fork();
        if (r->pid == 0)
                run_child(program, r->words, fds[1]);
        close(fds[1]);
        if (r->pid < 0)
                return -1;
        r->process = pidfd_open(r->pid, 0);
        return r->process < 0 ? -1 : 0;
}

/* The first line of what it wrote; "" when it wrote nothing. */
static char *first_words(int fd)
{
        char text[WORDS_MAX + 1];
        ssize_t n = pread(fd, text, WORDS_MAX, 0);

        text[MAX(n, 0)] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return xstrdup(text);
}

static void judge(struct running *r, int wait_status)
{
        struct proof_run *run = r->run;
        autofree char *words = first_words(r->words);
        int errnum = 0;

        if (read(r->failure, &errnum, sizeof(errnum)) == (ssize_t)sizeof(errnum)) {
                run->text = xasprintf("it cannot be executed: %s", strerror(errnum));
                return;
        }
        run->proven = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == PROOF_STATUS;
        if (run->proven)
                run->text = xasprintf("exit status %d after %u ms", PROOF_STATUS, run->took_ms);
        else
                run->text = xasprintf("%s instead of exit status %d%s%s", process_status_text(wait_status), PROOF_STATUS,
                                      *words ? ": " : "", words);
}

/* Reaps it, killing it first when it is late. */
static void end(struct running *r, bool late)
{
        int status = 0;

        if (late)
                kill(r->pid, SIGKILL);
        while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
                ;
        cleanup_close(&r->process);
        r->process = -1;
        r->run->took_ms = (unsigned)(now_ms() - r->started);
        if (late)
                r->run->text = xasprintf("it did not end within %d s", PROOF_DEADLINE_MS / 1000);
        else
                judge(r, status);
}

static void start_or_fail(struct running *r, struct proof_run *run)
{
        *r = (struct running){.run = run, .process = -1, .words = -1, .failure = -1};
        if (start(r) < 0)
                run->text = xasprintf("it cannot be started: %s", strerror(errno));
}

static void close_all(struct running *r)
{
        cleanup_close(&r->words);
        cleanup_close(&r->failure);
        *r = (struct running){.process = -1, .words = -1, .failure = -1};
}

/* Waits until one of them has ended or is late, and reaps those that are. False when none runs. */
static bool reap(struct running *running, struct pollfd *fds, size_t n)
{
        uint64_t now = now_ms(), next = UINT64_MAX;

        for (size_t i = 0; i < n; i++) {
                fds[i] = (struct pollfd){.fd = running[i].process, .events = POLLIN};
                if (running[i].process >= 0)
                        next = MIN(next, running[i].started + PROOF_DEADLINE_MS);
        }
        if (next == UINT64_MAX)
                return false;
        if (poll(fds, n, next > now ? (int)(next - now) : 0) < 0)
                return true; /* interrupted */
        now = now_ms();
        for (size_t i = 0; i < n; i++)
                if (running[i].process >= 0 && (fds[i].revents || now >= running[i].started + PROOF_DEADLINE_MS))
                        end(&running[i], !fds[i].revents);
        return true;
}

void proofs_run(struct proof_run *runs, size_t n)
{
        size_t at_once = (size_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L), next = 0;
        struct running *running = xcalloc(at_once, sizeof(*running));
        struct pollfd *fds = xcalloc(at_once, sizeof(*fds));

        for (size_t i = 0; i < at_once; i++)
                running[i].process = running[i].words = running[i].failure = -1;
        do
                for (size_t i = 0; i < at_once && next < n; i++) {
                        if (running[i].process >= 0)
                                continue;
                        close_all(&running[i]);
                        start_or_fail(&running[i], &runs[next++]);
                }
        while (reap(running, fds, at_once) || next < n);
        for (size_t i = 0; i < at_once; i++)
                close_all(&running[i]);
        free(fds);
        free(running);
}
