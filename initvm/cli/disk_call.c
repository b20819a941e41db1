/* SPDX-License-Identifier: MIT */
#include "cli/daemon.h"
#include "cli/disk.h"
#include "cli/operation.h"
#include "cli/vm.h"

#include <stdio.h>

int disk_call(const struct invocation *inv, const char *method, struct json_object *owned_parameters, const char *cancelled,
              struct json_object **ret, struct error *err)
{
        struct json_object *parameters = owned_parameters ? owned_parameters : json_new();
        autoclient struct client *c = NULL;
        struct operation op = {
                .method = method, .parameters = parameters, .json = inv->json, .result = "disk", .cancelled = cancelled};
        int r;

        json_add_string(parameters, "name", inv->name);
        if (daemon_connect(&c, err) < 0) {
                json_object_put(parameters);
                return -1;
        }
        r = operation_run(c, &op, ret, err);
        if (r == 0 && !*ret)
                return error_set(err, ERR_PROTOCOL, "the daemon's answer says nothing of the disk");
        return r;
}

void disk_print_json(struct json_object *disk)
{
        autojson struct json_object *o = json_new();

        json_add(o, "disk", json_object_get(disk));
        printf("%s\n", json_line(o));
}
