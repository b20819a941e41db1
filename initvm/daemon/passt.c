/* SPDX-License-Identifier: MIT */
#include "daemon/passt.h"

#include "base/file.h"
#include "base/process.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* QEMU has connected before libvirt says that it is there. */
#define ACCEPT_TIMEOUT_MS 5000

/* The table of the kernel's TCP sockets, 150 bytes each. */
#define TABLE_MAX (16u << 20)

#define CHILD_FD 3

int passt_possible(struct error *err)
{
        const char *path = getenv("PATH");
        autostrv char **folders = strv_split(path ? path : "/usr/bin", ":");

        for (char **folder = folders; *folder; folder++) {
                autofree char *program = xasprintf("%s/passt", *folder);
                if (access(program, X_OK) == 0)
                        return 0;
        }
        return error_set(err, ERR_UNSUPPORTED,
                         "a port for SSH is forwarded by the program passt, which is not there; install the package passt");
}

/* Bound to the loopback; port 0 is one that is free. *ret_port: which one it is. */
static int bind_port(uint16_t port, uint16_t *ret_port)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
        socklen_t size = sizeof(address);
        const int on = 1; /* connections of before, in TIME_WAIT, are no obstacle; they are none for passt */
        autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(fd, (struct sockaddr *)&address, size) < 0 || getsockname(fd, (struct sockaddr *)&address, &size) < 0)
                return -1;
        *ret_port = ntohs(address.sin_port);
        return take_fd(&fd);
}

int passt_choose_port(const struct vm_record *record, uint16_t *ret, struct error *err)
{
        autoclose int fd = -1;

        if (passt_possible(err) < 0)
                return -1;
        fd = bind_port((uint16_t)record->ssh_port, ret);
        if (fd < 0)
                return error_set(err, ERR_STATE, "port %llu of 127.0.0.1, for the SSH server of VM '%s', cannot be had: %s",
                                 (unsigned long long)record->ssh_port, record->name, strerror(errno));
        return 0;
}

int passt_listen(uint16_t *ret_port, struct error *err)
{
        autoclose int fd = bind_port(0, ret_port);

        if (fd < 0 || listen(fd, 1) < 0)
                return error_errno(err, errno, "cannot listen for the VM's network");
        return take_fd(&fd);
}

int passt_read_uid(const char *table, uint16_t local_port, uint16_t remote_port, uid_t *ret)
{
        autostrv char **lines = strv_split(table, "\n");

        for (char **line = lines; *line; line++) {
                unsigned local_address, local, remote_address, remote, uid;
                if (sscanf(*line, " %*u: %8x:%4x %8x:%4x %*x %*x:%*x %*x:%*x %*x %u", &local_address, &local, &remote_address,
                           &remote, &uid) == 5 &&
                    local_address == htonl(INADDR_LOOPBACK) && remote_address == htonl(INADDR_LOOPBACK) && local == local_port &&
                    remote == remote_port) {
                        *ret = uid;
                        return 0;
                }
        }
        return -1;
}

/* Any user of this host may connect to a port of the loopback; only QEMU is to have the network. */
static int check_peer(int fd, uid_t uid, struct error *err)
{
        struct sockaddr_in ours = {0}, theirs = {0};
        socklen_t our_size = sizeof(ours), their_size = sizeof(theirs);
        autofree char *table = file_read("/proc/net/tcp", TABLE_MAX, NULL, err);
        uid_t peer;

        if (!table)
                return -1;
        if (getsockname(fd, (struct sockaddr *)&ours, &our_size) < 0 ||
            getpeername(fd, (struct sockaddr *)&theirs, &their_size) < 0)
                return error_errno(err, errno, "the VM's network");
        if (passt_read_uid(table, ntohs(theirs.sin_port), ntohs(ours.sin_port), &peer) < 0 || peer != uid)
                return error_set(err, ERR_DENIED, "somebody else than QEMU connected to the VM's network; start it again");
        return 0;
}

static int accept_qemu(int listen_fd, uid_t uid, struct error *err)
{
        struct pollfd p = {.fd = listen_fd, .events = POLLIN};
        autoclose int fd = -1;

        if (poll(&p, 1, ACCEPT_TIMEOUT_MS) == 1)
                fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
                return error_set(err, ERR_FAILED, "QEMU did not connect to the VM's network");
        return check_peer(fd, uid, err) < 0 ? -1 : take_fd(&fd);
}

int passt_start(int listen_fd, uid_t uid, uint16_t ssh_port, const char *log, pid_t *ret_pid, struct error *err)
{
        autoclose int fd = accept_qemu(listen_fd, uid, err);
        autoclose int log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        autofree char *forward = xasprintf("127.0.0.1/%u:22", (unsigned)ssh_port);
        autofree char *child_fd = xasprintf("%d", CHILD_FD);
        char *const argv[] = {(char *)"passt",
                              (char *)"--foreground",
                              (char *)"--quiet",
                              (char *)"--stderr",
                              (char *)"--one-off",
                              (char *)"--fd",
                              child_fd,
                              (char *)"--address",
                              (char *)"10.0.2.15",
                              (char *)"--netmask",
                              (char *)"255.255.255.0",
                              (char *)"--gateway",
                              (char *)"10.0.2.2",
                              (char *)"--tcp-ports",
                              forward,
                              NULL};
        const struct process_fd fds[] = {{fd, CHILD_FD}, {log_fd, STDERR_FILENO}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .cwd = "/", .new_session = true};

        if (fd < 0)
                return -1;
        if (log_fd < 0)
                return error_errno(err, errno, "cannot write '%s'", log);
        return process_spawn(argv, &options, ret_pid, err);
}
