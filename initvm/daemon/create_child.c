/* SPDX-License-Identifier: MIT */
#include "daemon/create_child.h"

#include "base/paths.h"

struct task_child *create_child_start(struct loop *loop, const struct create_child_options *o, task_child_progress_fn progress,
                                      task_child_done_fn done, void *userdata, struct error *err)
{
        const struct task_child_options options = {.program = "initvm-provision",
                                                   .method = o->install ? "org.initvm.provision.Install"
                                                                        : "org.initvm.provision.Bootstrap",
                                                   .folder = o->folder,
                                                   .log = "provision.log",
                                                   .held_fd = -1};
        autofree char *agent = paths_program("initvm-agent", err);
        autofree char *target = agent && o->install ? paths_program("initvm-target", err) : NULL;
        struct json_object *parameters;

        if (!agent || (o->install && !target))
                return NULL;
        parameters = json_new();
        json_add_string(parameters, "folder", o->folder);
        json_add_string(parameters, "name", o->name);
        json_add_string(parameters, "image", o->image);
        json_add_string(parameters, "preseed", o->preseed);
        json_add_u64(parameters, "size", o->size);
        json_add_string(parameters, "mirror", o->mirror);
        json_add_string(parameters, "proxy", o->proxy);
        json_add_string(parameters, "agent", agent);
        json_add_string(parameters, "target", target);
        return task_child_start(loop, &options, parameters, progress, done, userdata, err);
}
