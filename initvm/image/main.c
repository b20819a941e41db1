/* SPDX-License-Identifier: MIT */
/*
 * initvm-image: works on the image of a VM that does not run.  Started by initvmd with a connection as fd 3, it answers one
 * Varlink call of org.initvm.image, with progress and a result, and ends.  fd 4 is the lock of the VM's disk, which is held as
 * long as this process lives, whatever becomes of the daemon.  Closing fd 3, TERM or INT cancels.
 */
#include "base/log.h"
#include "image/actions.h"
#include "image/appliance.h"
#include "io/control.h"
#include "wire/varlink.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "org.initvm.image."

static int serve(struct run *run, struct json_object *result, struct error *err)
{
        autojson struct json_object *message = NULL;
        struct image_request request;
        struct varlink_call call;

        if (control_read_call(CONTROL_FD, &message, err) < 0 || varlink_read_call(message, &call, err) < 0)
                return -1;
        if (!str_has_prefix(call.method, PREFIX) || !call.more)
                return error_set(err, ERR_PROTOCOL, "'%s' is not what this program answers", call.method);
        if (image_request_read(&request, call.parameters, err) < 0)
                return -1;
        return image_act(run, call.method + strlen(PREFIX), &request, call.parameters, result, err);
}

int main(int argc, char **argv)
{
        autojson struct json_object *result = json_new();
        struct error err = ERROR_INIT;
        autobuf struct buf reply = {0};
        struct run run;
        int status;

        umask(077);
        if (argc == 2 && streq(argv[1], "appliance"))
                return appliance_main();
        if (argc > 1 || fcntl(CONTROL_FD, F_GETFD) < 0) {
                fprintf(stderr, "usage: initvm-image is started by initvmd, with a connection as fd %d; see initvm-image(8)\n",
                        CONTROL_FD);
                return 2;
        }
        fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
        status = run_init(&run, CONTROL_FD, &err);
        if (status == 0)
                status = serve(&run, result, &err);
        run_stage(&run, NULL, NULL);
        if (status == 0)
                varlink_write_reply(&reply, json_object_get(result), false);
        else
                varlink_write_error(&reply, &err);
        if (status < 0)
                log_error("%s", err.message);
        run_send(&run, &reply);
        run_done(&run);
        return status == 0 ? 0 : 1;
}
