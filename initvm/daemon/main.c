/* SPDX-License-Identifier: MIT */
/*
 * initvmd: one per user (or per INITVM_HOME).  It is started by the CLI or by hand, owns the connection to libvirt, and can be
 * killed at any moment: VMs go on, and the next one takes them up.
 */
#include "base/file.h"
#include "base/log.h"
#include "daemon/jobs.h"
#include "daemon/libvirt_connection.h"
#include "daemon/manager.h"
#include "daemon/methods.h"
#include "daemon/tsc.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections that wait to be accepted; the accept loop is quick. */
#define LISTEN_BACKLOG 64

/* A daemon that was told to stop closes its connection to libvirt first; the next one waits so long for it. */
#define LOCK_TIMEOUT_MS 10000

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

/* Each stream of a VM holds a connection, and a timer until it is answered; each client that waits one as well. The usual limit
 * of 1024 is less than four busy VMs need, and running out of it would end the daemon (io/loop.c). */
#define NOFILE_WANTED 16384

static void raise_nofile(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = MAX(limit.rlim_cur, MIN(limit.rlim_max, (rlim_t)NOFILE_WANTED));
        setrlimit(RLIMIT_NOFILE, &limit);
}

static void tell_ready(int fd, const char *text)
{
        if (fd < 0)
                return;
        if (fd_write_all(fd, text, strlen(text)) < 0)
                log_debug("nobody waits for us");
        close(fd);
}

/* The one daemon of this home holds the lock until its process has ended. One that is just ending is waited for. */
static int take_lock(const char *path, struct error *err)
{
        autoclose int fd = file_lock(path, false, err);
        autofree char *pid = NULL;

        if (fd < 0 && err->code == ERR_STATE) {
                autofree char *owner = file_read(path, 32, NULL, NULL);
                uint64_t n;
                if (owner && parse_u64(owner, 2, INT32_MAX, &n) == 0) {
                        struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, (pid_t)n, 0), .events = POLLIN};
                        if (p.fd >= 0) {
                                poll(&p, 1, LOCK_TIMEOUT_MS);
                                close(p.fd);
                        }
                }
                fd = file_lock(path, false, err);
        }
        if (fd < 0)
                return err->code == ERR_STATE
                               ? error_set(err, ERR_STATE, "another initvmd holds '%s'; 'initvm daemon stop' ends it", path)
                               : -1;
        pid = xasprintf("%d", getpid());
        if (ftruncate(fd, 0) < 0 || fd_write_all(fd, pid, strlen(pid)) < 0)
                return error_errno(err, errno, "cannot write '%s'", path);
        return take_fd(&fd);
}

static void look_again(void *userdata)
{
        struct daemon *d = userdata;

        daemon_machines_changed(d->machines);
        jobs_kick(d->jobs);
}

/* Not at once: whoever tells of a change is in the middle of it. */
static void on_changed(struct daemon *d)
{
        loop_post(d->loop, look_again, d);
}

static int begin_jobs(struct daemon *d, struct error *err)
{
        struct job_machines machines;

        d->machines = daemon_machines_new(d);
        machines = daemon_machines_ops(d->machines);
        d->jobs = jobs_new(d->loop, d->paths.state, &machines, err);
        if (!d->jobs)
                return -1;
        d->changed = on_changed;
        jobs_begin(d->jobs);
        return 0;
}

static int serve(struct daemon *d, int ready_fd, struct error *err)
{
        const char *no_kvm;
        int listen_fd;

        d->machine = machine_host(err);
        no_kvm = libvirt_hide_unusable_kvm(d->paths.state);
        if (!d->machine || libvirt_init(d->loop, err) < 0)
                return -1;
        d->worker = worker_new(d->loop);
        d->accel = accel_new(d->loop, d->paths.cache, d->machine, no_kvm);
        d->manager = manager_new(d, err);
        listen_fd = d->manager && begin_jobs(d, err) == 0 ? listen_on(d->paths.socket, err) : -1;
        if (listen_fd < 0)
                return -1;
        d->server = server_new(d->loop, listen_fd, &methods_interface, INITVM_VERSION, d);
        log_info("initvmd %s serves on '%s'", INITVM_VERSION, d->paths.socket);
        tell_ready(ready_fd, "\n");
        return libvirt_run(&d->quit, err);
}

/* Clients are told, running VMs live on: they are libvirt's. */
static void let_go(struct daemon *d)
{
        if (d->server)
                unlink(d->paths.socket);
        server_free(d->server);
        d->changed = NULL;
        jobs_stop(d->jobs);
        worker_free(d->worker);
        manager_free(d->manager);
        daemon_machines_free(take_ptr(d->machines));
        accel_free(d->accel);
        loop_dispatch(d->loop); /* what was posted for later */
        jobs_free(take_ptr(d->jobs));
        strv_free(d->recovered);
        paths_done(&d->paths);
}

int main(int argc, char **argv)
{
        struct daemon d = {.started = now_ms()};
        struct error err = ERROR_INIT;
        struct loop_source *signals[2];
        autofree char *lock_path = NULL;
        int ready_fd = -1, lock, r = parse_options(argc, argv, &ready_fd);

        if (r != 0)
                return r - 1;
        raise_nofile();
        umask(0022); /* private files are made private one by one; QEMU, as another user, must pass through libvirt's folders */
        tsc_begin();
        d.loop = loop_new();
        take_signals(&d, signals);
        r = paths_init(&d.paths, &err);
        if (r == 0)
                r = paths_make(&d.paths, &err);
        if (r == 0) {
                lock_path = xasprintf("%s/lock", d.paths.runtime);
                lock = take_lock(lock_path, &err);
                r = lock < 0 ? -1 : serve(&d, ready_fd, &err);
        }
        if (r < 0) {
                log_error("%s", err.message);
                if (!d.server)
                        tell_ready(ready_fd, err.message);
        }
        let_go(&d);
        loop_source_free(signals[0]);
        loop_source_free(signals[1]);
        loop_free(d.loop);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
