/* SPDX-License-Identifier: MIT */
#include "image/appliance.h"

#include "base/file.h"
#include "image/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Both sides read a file from its start. */
static struct json_object *read_json(int fd, struct error *err)
{
        autobuf struct buf b = {0};
        ssize_t n;

        while ((n = pread(fd, buf_reserve(&b, 65536), 65536, (off_t)buf_size(&b))) > 0)
                buf_commit(&b, (size_t)n);
        if (n < 0) {
                error_errno(err, errno, "cannot read what the other process has written");
                return NULL;
        }
        return json_parse((const char *)buf_head(&b), buf_size(&b), err);
}

static int write_json(int fd, struct json_object *o, struct error *err)
{
        const char *line = json_line(o);

        return fd >= 0 && fd_write_all(fd, line, strlen(line)) == 0
                       ? 0
                       : error_errno(err, errno, "cannot write for the other process");
}

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
        if (result < 0 || write_json(request, o, err) < 0)
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
        *ret = read_json(result, err);
        return *ret ? 0 : -1;
}

/* ---- the process */

static void report(struct json_object *owned)
{
        autofree char *line = xasprintf("%s\n", json_line(owned));

        /* Without a reader the run has ended, and this process is about to. */
        if (fd_write_all(APPLIANCE_FD_REPORT, line, strlen(line)) < 0)
                _exit(1);
        json_object_put(owned);
}

void guest_stage(const char *stage, const char *text)
{
        struct json_object *o = json_new();

        json_add_string(o, "stage", stage);
        json_add_string(o, "text", text);
        report(o);
}

static void report_error(const struct error *err)
{
        struct json_object *o = json_new();

        json_add_string(o, "error", error_wire_name(err->code));
        json_add_string(o, "message", err->message);
        report(o);
}

static int serve(struct error *err)
{
        autojson struct json_object *o = read_json(APPLIANCE_FD_REQUEST, err), *result = json_new();
        struct image_request request;

        if (!o || image_request_read(&request, json_get(o, "request"), err) < 0 ||
            guest_operate(json_get_string(o, "operation", ""), &request, result, err) < 0)
                return -1;
        return write_json(APPLIANCE_FD_RESULT, result, err);
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
        report_error(&err);
        return 1;
}
