/* SPDX-License-Identifier: MIT */
#include "image/appliance.h"

#include "image/guest.h"
#include "io/run_hook.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

/* ---- the side of the run */

int appliance_run(struct run *run, const char *operation, struct json_object *parameters, struct json_object **ret,
                  struct error *err)
{
        autojson struct json_object *o = json_new();
        autoclose int request = memfd_create("request", MFD_CLOEXEC), result = memfd_create("result", MFD_CLOEXEC);
        char *const argv[] = {(char *)"/proc/self/exe", (char *)"appliance", NULL};
        const struct process_fd fds[] = {{request, APPLIANCE_FD_REQUEST},
                                         {run->report_write, APPLIANCE_FD_REPORT},
                                         {result, APPLIANCE_FD_RESULT},
                                         {APPLIANCE_FD_LOCK, APPLIANCE_FD_LOCK}};
        const bool locked = fcntl(APPLIANCE_FD_LOCK, F_GETFD) >= 0;
        const struct run_tool tool = {
                .argv = argv, .name = "libguestfs", .fds = fds, .n_fds = ARRAY_SIZE(fds) - !locked, .cwd = "/"};

        json_add_string(o, "operation", operation);
        json_add(o, "request", json_object_get(parameters));
        if (result < 0 || run_hook_write(request, o, err) < 0)
                return -1;
        run->hook_error = (struct error)ERROR_INIT;
        run_stage(run, "appliance", "starting the appliance");
        if (run_tool(run, &tool, err) < 0) {
                if (err->code != ERR_FAILED)
                        return -1;
                if (run->hook_error.code == ERR_NONE)
                        return run_explain(run, err);
                *err = run->hook_error;
                return -1;
        }
        *ret = run_hook_read(result, err);
        return *ret ? 0 : -1;
}

/* ---- the process */

void guest_stage(const char *stage, const char *text)
{
        run_hook_stage(APPLIANCE_FD_REPORT, stage, text);
}

static int serve(struct error *err)
{
        autojson struct json_object *o = run_hook_read(APPLIANCE_FD_REQUEST, err), *result = json_new();
        struct image_request request;

        if (!o || image_request_read(&request, json_get(o, "request"), err) < 0 ||
            guest_operate(json_get_string(o, "operation", ""), &request, result, err) < 0)
                return -1;
        return run_hook_write(APPLIANCE_FD_RESULT, result, err);
}

int appliance_main(void)
{
        struct error err = ERROR_INIT;
        sigset_t none;

        for (int fd = APPLIANCE_FD_REQUEST; fd <= APPLIANCE_FD_RESULT; fd++)
                fcntl(fd, F_SETFD, FD_CLOEXEC);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_IGN);
        if (serve(&err) == 0)
                return 0;
        run_hook_error(APPLIANCE_FD_REPORT, &err);
        return 1;
}
