/* SPDX-License-Identifier: MIT */
/*
 * An initvmd for tests without a VM: the real queue of build jobs and its methods, over a guest that is a process of this machine
 * (tests/unit/job_vm.h), VM 'base', whose disk is HOME/guest. Installed as `initvmd` beside the command line it is started by
 * that.
 */
#include "../unit/job_vm.h"

#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "daemon/daemon.h"
#include "daemon/jobs.h"
#include "daemon/methods_private.h"
#include "io/server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int get_status(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        const struct daemon *d = userdata;
        struct json_object *o = json_new();

        (void)parameters;
        (void)err;
        json_add_string(o, "version", INITVM_VERSION);
        json_add_u64(o, "pid", (uint64_t)getpid());
        json_add_u64(o, "memory", methods_resident_bytes());
        json_add_string(o, "home", d->paths.state);
        call_reply(call, o);
        return 0;
}

static const struct server_method methods[] = {
        {"org.initvm.GetStatus", false, false, get_status},         {"org.initvm.SubmitJob", false, false, methods_submit_job},
        {"org.initvm.ListJobs", false, false, methods_list_jobs},   {"org.initvm.JobStatus", false, false, methods_job_status},
        {"org.initvm.WatchJobs", true, false, methods_watch_jobs},  {"org.initvm.WaitJob", false, false, methods_wait_job},
        {"org.initvm.CancelJob", false, false, methods_cancel_job}, {"org.initvm.RetryJob", false, false, methods_retry_job},
        {"org.initvm.RemoveJob", false, false, methods_remove_job}, {"org.initvm.PruneJobs", false, false, methods_prune_jobs},
        {"org.initvm.LimitJobs", false, false, methods_limit_jobs},
};

static const struct server_interface interface = {
        .name = "org.initvm", .description = "", .methods = methods, .n_methods = ARRAY_SIZE(methods)};

static int listen_on(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
        unlink(path);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0)
                abort();
        return fd;
}

static void on_signal(void *userdata)
{
        loop_quit(userdata, 0);
}

int main(int argc, char **argv)
{
        struct daemon d = {.started = now_ms()};
        autofree char *guest = NULL, *lock = NULL;
        struct error err = ERROR_INIT;
        struct job_machines machines;
        struct loop_source *term;
        struct job_vm vm;
        uint64_t ready;
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        if (paths_init(&d.paths, &err) < 0 || paths_make(&d.paths, &err) < 0)
                abort();
        lock = xasprintf("%s/lock", d.paths.runtime);
        if (file_lock(lock, true, &err) < 0)
                abort();
        d.loop = loop_new();
        term = loop_add_signal(d.loop, SIGTERM, on_signal, d.loop);
        guest = xasprintf("%s/guest", d.paths.state);
        if (dir_make(guest, 0700, &err) < 0)
                abort();
        setenv("JOB_GUEST", guest, 1); /* for chroot_client */
        job_vm_init(&vm, d.loop, "base", guest);
        machines = job_vm_machines(&vm);
        d.jobs = jobs_new(d.loop, d.paths.state, &machines, &err);
        if (!d.jobs) {
                log_error("%s", err.message);
                return EXIT_FAILURE;
        }
        jobs_begin(d.jobs);
        d.server = server_new(d.loop, listen_on(d.paths.socket), &interface, INITVM_VERSION, &d);
        if (argc == 3 && streq(argv[1], "--ready-fd") && parse_u64(argv[2], 3, 1023, &ready) == 0 &&
            write((int)ready, "\n", 1) == 1)
                close((int)ready);
        loop_run(d.loop);
        server_free(d.server);
        jobs_stop(d.jobs);
        job_vm_done(&vm);
        loop_dispatch(d.loop);
        jobs_free(d.jobs);
        loop_source_free(term);
        loop_free(d.loop);
        paths_done(&d.paths);
        return EXIT_SUCCESS;
}
