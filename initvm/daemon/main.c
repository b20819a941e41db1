/* SPDX-License-Identifier: MIT */
/*
 * initvmd: one per user (or per INITVM_HOME).  It is started by the CLI or by hand, owns the connection to libvirt, and can be
 * killed at any moment: VMs go on, and the next one takes them up.
 */
#include "base/file.h"
#include "base/log.h"
#include "daemon/libvirt_connection.h"
#include "daemon/manager.h"
#include "daemon/methods.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections that wait to be accepted; the accept loop is quick. */
#define LISTEN_BACKLOG 64

/* The daemon's own log is begun anew (the old one kept as .1) when it is larger than this at a start. */
#define LOG_MAX (4 << 20)

static void print_help(void)
{
        puts("Usage: initvmd [--ready-fd N] [--debug] [--help] [--version]\n"
             "\n"
             "The daemon behind initvm(1), which starts it when it is needed. Serves the Varlink\n"
             "interface org.initvm on a private unix socket. See initvmd(8).\n"
             "\n"
             "  --ready-fd N  write one byte to fd N when it serves, or the reason why it cannot\n"
             "  --debug       log more\n"
             "  --help        this text\n"
             "  --version     the version");
}

/* 0 to go on, else the exit status plus one. */
static int parse_options(int argc, char **argv, int *ret_ready_fd)
{
        static const struct option options[] = {
                {"ready-fd", required_argument, NULL, 'r'},
                {"debug", no_argument, NULL, 'd'},
                {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'v'},
                {NULL, 0, NULL, 0},
        };
        uint64_t fd;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (c) {
                case 'r':
                        if (parse_u64(optarg, 3, 1023, &fd) < 0 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0) {
                                fprintf(stderr, "initvmd: --ready-fd wants an open file descriptor, not '%s'\n", optarg);
                                return 3;
                        }
                        *ret_ready_fd = (int)fd;
                        break;
                case 'd':
                        log_set_level(LOG_LEVEL_DEBUG);
                        break;
                case 'h':
                        print_help();
                        return 1;
                case 'v':
                        puts("initvmd " INITVM_VERSION);
                        return 1;
                default:
                        return 3;
                }
        }
        if (optind < argc) {
                fprintf(stderr, "initvmd: unexpected argument '%s'; see 'initvmd --help'\n", argv[optind]);
                return 3;
        }
        return 0;
}

static int listen_on(const char *path, struct error *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return error_errno(err, errno, "cannot make a socket");
        if (strlen(path) >= sizeof(address.sun_path))
                return error_set(err, ERR_INVALID, "'%s' is too long for a socket", path);
        memcpy(address.sun_path, path, strlen(path) + 1);
        unlink(path); /* of an earlier daemon: the lock says that it is gone */
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0600) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
                return error_errno(err, errno, "cannot listen on '%s'", path);
        return take_fd(&fd);
}

static void on_signal(void *userdata)
{
        struct daemon *d = userdata;

        log_info("ended by a signal");
        d->quit = true;
}

/* Signals are blocked before libvirt starts threads, and taken by the loop; children get them back (process_spawn). */
static void take_signals(struct daemon *d, struct loop_source *ret[2])
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        ret[0] = loop_add_signal(d->loop, SIGTERM, on_signal, d);
        ret[1] = loop_add_signal(d->loop, SIGINT, on_signal, d);
}

static void tell_ready(int fd, const char *text)
{
        if (fd < 0)
                return;
        if (fd_write_all(fd, text, strlen(text)) < 0)
                log_debug("nobody waits for us");
        close(fd);
}

static int serve(struct daemon *d, int ready_fd, struct error *err)
{
        autofree char *lock_path = xasprintf("%s/lock", d->paths.runtime);
        autoclose int lock = -1;
        const char *no_kvm;
        int listen_fd, r;

        if (paths_make(&d->paths, err) < 0)
                return -1;
        lock = file_lock(lock_path, false, err);
        if (lock < 0)
                return err->code == ERR_STATE ? error_set(err, ERR_STATE, "another initvmd is running with '%s'", d->paths.state)
                                              : -1;
        d->machine = machine_host(err);
        no_kvm = libvirt_hide_unusable_kvm(d->paths.state);
        if (!d->machine || libvirt_init(d->loop, err) < 0)
                return -1;
        d->worker = worker_new(d->loop);
        d->accel = accel_new(d->loop, d->paths.cache, d->machine, no_kvm);
        d->manager = manager_new(d, err);
        listen_fd = d->manager ? listen_on(d->paths.socket, err) : -1;
        if (listen_fd < 0)
                return -1;
        d->server = server_new(d->loop, listen_fd, &methods_interface, INITVM_VERSION, d);
        log_info("initvmd %s serves on '%s'", INITVM_VERSION, d->paths.socket);
        tell_ready(ready_fd, "\n");
        r = libvirt_run(&d->quit, err);
        unlink(d->paths.socket);
        return r;
}

int main(int argc, char **argv)
{
        struct daemon d = {.started = now_ms()};
        struct error err = ERROR_INIT;
        struct loop_source *signals[2];
        int ready_fd = -1, r = parse_options(argc, argv, &ready_fd);

        if (r != 0)
                return r - 1;
        umask(0022); /* private files are made private one by one; QEMU, as another user, must pass through folders of libvirt */
        d.loop = loop_new();
        take_signals(&d, signals);
        if (paths_init(&d.paths, &err) < 0 || serve(&d, ready_fd, &err) < 0) {
                log_error("%s", err.message);
                tell_ready(ready_fd, err.message);
                return EXIT_FAILURE;
        }
        /* The kernel takes the rest back; what matters is on disk already, and running VMs are libvirt's. */
        server_free(d.server);
        manager_free(d.manager);
        return EXIT_SUCCESS;
}
