/* SPDX-License-Identifier: MIT */
/*
 * initvm-provision: makes a VM's disk.  Started by initvmd with a connection as fd 3, it answers one Varlink call,
 * org.initvm.provision.Bootstrap or Install, with progress and a result, and ends.  Started by mmdebstrap as `hook`, it is a part
 * of that run (hook.h).  Closing fd 3, TERM or INT cancels.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/util.h"
#include "io/control.h"
#include "io/run.h"
#include "provision/bootstrap.h"
#include "provision/hook.h"
#include "provision/installer.h"
#include "provision/plan.h"
#include "wire/varlink.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_installer(const struct varlink_call *call)
{
        return streq(call->method, "org.initvm.provision.Install");
}

static int read_request(const struct varlink_call *call, struct installer_request *r, struct error *err)
{
        const struct json_field fields[] = {
                {"folder", JSON_FIELD_STRING, JSON_REQUIRED, &r->folder},
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &r->name},
                {"image", JSON_FIELD_STRING, JSON_REQUIRED, &r->image},
                {"preseed", JSON_FIELD_STRING, JSON_REQUIRED, &r->preseed},
                {"agent", JSON_FIELD_STRING, JSON_REQUIRED, &r->agent},
                {"size", JSON_FIELD_U64, 0, &r->size},
                {"mirror", JSON_FIELD_STRING, 0, &r->mirror},
                {"proxy", JSON_FIELD_STRING, 0, &r->proxy},
                {"target", JSON_FIELD_STRING, 0, &r->target},
        };

        if ((!streq(call->method, "org.initvm.provision.Bootstrap") && !is_installer(call)) || !call->more)
                return error_set(err, ERR_PROTOCOL, "'%s' is not what this program answers", call->method);
        if (!call->parameters)
                return error_set(err, ERR_PROTOCOL, "the call has no parameters");
        if (json_read(call->parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (r->proxy && !plan_url_valid(r->proxy))
                return error_set(err, ERR_INVALID, "the proxy '%s' is not a URL such as http://proxy:3128/", r->proxy);
        return is_installer(call) && !r->target ? error_set(err, ERR_PROTOCOL, "the call names no program for the new system")
                                                : 0;
}

static int serve(struct run *run, struct json_object **ret, struct error *err)
{
        autojson struct json_object *message = NULL;
        struct installer_request r = {0};
        struct varlink_call call;

        if (control_read_call(CONTROL_FD, &message, err) < 0 || varlink_read_call(message, &call, err) < 0 ||
            read_request(&call, &r, err) < 0)
                return -1;
        if (is_installer(&call))
                return installer_run(run, &r, ret, err);
        const struct bootstrap_request bootstrap = {.folder = r.folder,
                                                    .name = r.name,
                                                    .image = r.image,
                                                    .preseed = r.preseed,
                                                    .mirror = r.mirror,
                                                    .proxy = r.proxy,
                                                    .agent = r.agent,
                                                    .size = r.size};
        return bootstrap_run(run, &bootstrap, ret, err);
}

int main(int argc, char **argv)
{
        struct error err = ERROR_INIT;
        struct json_object *parameters = NULL;
        autobuf struct buf reply = {0};
        struct run run;
        int result;

        /* Ends at once: what a sanitizer does at the end of a program it cannot do inside mmdebstrap's namespaces. */
        if (argc > 1 && streq(argv[1], "hook"))
                _exit(hook_main(argc - 1, argv + 1));
        if (argc > 1 || fcntl(CONTROL_FD, F_GETFD) < 0) {
                fprintf(stderr,
                        "usage: initvm-provision is started by initvmd, with a connection as fd %d; see initvm-provision(8)\n",
                        CONTROL_FD);
                return 2;
        }
        umask(022);
        fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
        result = run_init(&run, CONTROL_FD, &err);
        if (result == 0)
                result = serve(&run, &parameters, &err);
        if (result == 0)
                varlink_write_reply(&reply, parameters, false);
        else
                varlink_write_error(&reply, &err);
        if (result < 0)
                log_error("%s", err.message);
        run_send(&run, &reply);
        run_done(&run);
        return result == 0 ? 0 : 1;
}
