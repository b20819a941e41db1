/* SPDX-License-Identifier: MIT */
#include "ssh_server.h"

#include "agent_host.h"
#include "base/file.h"
#include "base/process.h"
#include "base/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SSHD             "/usr/sbin/sshd"
#define SFTP_SERVER      "/usr/lib/openssh/sftp-server"
#define PORT_MIN         10000
#define PORTS            20000
#define START_TIMEOUT_MS 10000
#define TREE_MAX         64

void run_program(const char *program, ...)
{
        autostrv char **argv = NULL;
        struct error err = ERROR_INIT;
        va_list ap;
        pid_t pid;
        int status;

        strv_add(&argv, program);
        va_start(ap, program);
        for (const char *s; (s = va_arg(ap, const char *));)
                strv_add(&argv, s);
        va_end(ap);
        if (process_spawn(argv, NULL, &pid, &err) < 0)
                fail_msg("%s", err.message);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status != 0)
                fail_msg("'%s': %s", program, process_status_text(status));
}

char *ssh_make_key(const char *folder, const char *name)
{
        char *path = xasprintf("%s/%s", folder, name);

        run_program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path, NULL);
        return path;
}

char *ssh_public_key(const char *private_path)
{
        autofree char *path = xasprintf("%s.pub", private_path);
        char *text = file_read(path, 4096, NULL, NULL);

        assert_non_null(text);
        text[strcspn(text, "\n")] = '\0';
        return text;
}

/*
 * Each test program looks from another port on, below those that the kernel hands out by itself (ip(7), ip_local_port_range): the
 * port stays free for a server that is stopped and started again.
 */
static uint16_t free_port(void)
{
        for (uint16_t i = 0; i < PORTS; i++) {
                uint16_t port = (uint16_t)(PORT_MIN + (getpid() + i) % PORTS);
                struct sockaddr_in address = {
                        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
                autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                const int one = 1;
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)); /* as sshd does */
                if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                        return port;
        }
        fail_msg("no free port");
        return 0;
}

static void write_text(const char *path, mode_t mode, const char *text)
{
        assert_return_code(file_write_atomic(path, mode, text, strlen(text), NULL), errno);
}

struct ssh_server *ssh_server_new(const char *folder)
{
        struct ssh_server *s = xcalloc(1, sizeof(*s));
        autofree char *host_key = ssh_make_key(folder, "host_key");
        autofree char *keys = xasprintf("%s/authorized_keys", folder), *config = xasprintf("%s/sshd_config", folder);
        autofree char *enter = xasprintf("%s/enter", folder), *script = NULL, *text = NULL, *key = NULL;

        s->folder = xstrdup(folder);
        s->home = xasprintf("%s/home", folder);
        assert_return_code(mkdir(s->home, 0700), errno);
        s->key = ssh_make_key(folder, "user_key");
        s->host_key = ssh_public_key(host_key);
        s->user = xstrdup(getpwuid(geteuid())->pw_name);
        s->port = free_port();
        key = ssh_public_key(s->key);
        write_text(keys, 0600, key);
        /*
         * Every command, and the SFTP server, runs in the test's home.  sshd starts it by the user's shell, and bash under sshd
         * reads $HOME/.bashrc first (bash(1), INVOCATION): with the user's own home, whatever that does would be a part of the
         * test.
         */
        script = xasprintf("#!/bin/sh\ncd '%s' && exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n", s->home);
        write_text(enter, 0700, script);
        text = xasprintf("Port %u\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nUsePAM no\n"
                         "StrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nMaxAuthTries 6\nForceCommand %s\n"
                         "SetEnv HOME=%s\nSubsystem sftp " SFTP_SERVER "\n",
                         (unsigned)s->port, host_key, keys, enter, s->home);
        write_text(config, 0600, text);
        ssh_server_start(s);
        return s;
}

void ssh_server_start(struct ssh_server *s)
{
        autofree char *config = xasprintf("%s/sshd_config", s->folder);
        char *const argv[] = {(char *)SSHD, (char *)"-D", (char *)"-e", (char *)"-f", config, NULL};
        autobuf struct buf log = {0};
        struct error err = ERROR_INIT;
        int pipe_fds[2];

        if (geteuid() == 0)
                mkdir("/run/sshd", 0755); /* its privilege separation wants it; systemd makes it else */
        assert_return_code(pipe2(pipe_fds, O_CLOEXEC), errno);
        const struct process_fd fds[] = {{.from = pipe_fds[1], .to = STDERR_FILENO}};
        const struct process_options options = {.fds = fds, .n_fds = 1, .death_signal = SIGKILL};
        if (process_spawn(argv, &options, &s->pid, &err) < 0)
                fail_msg("%s (install openssh-server)", err.message);
        close(pipe_fds[1]);
        for (;;) {
                struct pollfd p = {.fd = pipe_fds[0], .events = POLLIN};
                ssize_t n;
                assert_int_equal(poll(&p, 1, START_TIMEOUT_MS), 1);
                n = read(pipe_fds[0], buf_reserve(&log, 4096), 4096);
                if (n <= 0)
                        fail_msg("sshd did not start: %.*s", (int)buf_size(&log), (const char *)buf_head(&log));
                buf_commit(&log, (size_t)n);
                if (memmem(buf_head(&log), buf_size(&log), "Server listening", 16))
                        break;
        }
        /* The rest of its log goes to a pipe without a reader: it minds no more than a daemon would. */
        close(pipe_fds[0]);
}

/* The process's descendants that are sshd, or all of them. */
static size_t descendants(pid_t pid, bool sshd_only, pid_t *list, size_t n)
{
        autofree char *path = xasprintf("/proc/%d/task/%d/children", pid, pid);
        autofclose FILE *f = fopen(path, "re");
        int child;

        while (f && n < TREE_MAX && fscanf(f, "%d", &child) == 1) {
                autofree char *comm_path = xasprintf("/proc/%d/comm", child);
                autofree char *comm = file_read(comm_path, 64, NULL, NULL);
                if (!sshd_only || (comm && str_has_prefix(comm, "sshd")))
                        list[n++] = child;
                n = descendants(child, sshd_only, list, n);
        }
        return n;
}

void ssh_server_signal_connections(struct ssh_server *s, int signo)
{
        pid_t list[TREE_MAX];
        size_t n = descendants(s->pid, true, list, 0);

        assert_true(n > 0);
        for (size_t i = 0; i < n; i++)
                kill(list[i], signo);
}

void ssh_server_kill(struct ssh_server *s)
{
        pid_t list[TREE_MAX];
        size_t n;

        if (s->pid <= 0)
                return;
        n = descendants(s->pid, false, list, 0);
        kill(s->pid, SIGKILL);
        for (size_t i = 0; i < n; i++)
                kill(list[i], SIGKILL);
        assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
        for (size_t i = 0; i < n; i++)
                assert_true(process_ends(list[i], START_TIMEOUT_MS));
        s->pid = 0;
}

void ssh_server_free(struct ssh_server *s)
{
        ssh_server_kill(s);
        free(s->folder);
        free(s->home);
        free(s->key);
        free(s->host_key);
        free(s->user);
        free(s);
}
