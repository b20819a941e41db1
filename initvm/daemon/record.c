/* SPDX-License-Identifier: MIT */
#include "daemon/record.h"

#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

int vm_record_load(struct vm_record *r, const char *folder, struct error *err)
{
        autofree char *path = xasprintf("%s/vm.json", folder);
        const char *name, *uuid, *image, *suite, *architecture, *command_line, *acceleration,
                *hostname = NULL, *reason = NULL, *channel = NULL, *boot_folder = NULL, *boot_id = NULL;
        struct vm_record n = {0};
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"uuid", JSON_FIELD_STRING, JSON_REQUIRED, &uuid},
                {"image", JSON_FIELD_STRING, JSON_REQUIRED, &image},
                {"suite", JSON_FIELD_STRING, JSON_REQUIRED, &suite},
                {"architecture", JSON_FIELD_STRING, JSON_REQUIRED, &architecture},
                {"hostname", JSON_FIELD_STRING, 0, &hostname},
                {"commandLine", JSON_FIELD_STRING, JSON_REQUIRED, &command_line},
                {"acceleration", JSON_FIELD_STRING, JSON_REQUIRED, &acceleration},
                {"channel", JSON_FIELD_STRING, 0, &channel},
                {"sshForward", JSON_FIELD_BOOL, 0, &n.ssh_forward},
                {"sshPort", JSON_FIELD_U64, 0, &n.ssh_port},
                {"memory", JSON_FIELD_U64, JSON_REQUIRED, &n.memory},
                {"cpus", JSON_FIELD_U64, JSON_REQUIRED, &n.cpus},
                {"size", JSON_FIELD_U64, JSON_REQUIRED, &n.size},
                {"created", JSON_FIELD_U64, JSON_REQUIRED, &n.created},
                {"bootFolder", JSON_FIELD_STRING, 0, &boot_folder},
                {"bootId", JSON_FIELD_STRING, 0, &boot_id},
                {"reason", JSON_FIELD_STRING, 0, &reason},
                {"started", JSON_FIELD_U64, 0, &n.started},
        };
        autojson struct json_object *o = json_parse_file(path, err);

        if (!o)
                return -1;
        if (json_read(o, fields, ARRAY_SIZE(fields), err) < 0)
                return error_prefix(err, "'%s'", path);
        n.name = xstrdup(name);
        n.uuid = xstrdup(uuid);
        n.image = xstrdup(image);
        n.suite = xstrdup(suite);
        n.architecture = xstrdup(architecture);
        n.hostname = hostname ? xstrdup(hostname) : NULL;
        n.command_line = xstrdup(command_line);
        n.acceleration = xstrdup(acceleration);
        n.channel = channel ? xstrdup(channel) : NULL;
        n.boot_folder = boot_folder ? xstrdup(boot_folder) : NULL;
        n.boot_id = boot_id ? xstrdup(boot_id) : NULL;
        n.reason = reason ? xstrdup(reason) : NULL;
        *r = n;
        return 0;
}

int vm_record_save(const struct vm_record *r, const char *folder, struct error *err)
{
        autofree char *path = xasprintf("%s/vm.json", folder);
        autojson struct json_object *o = json_new();
        autofree char *text = NULL;

        json_add_string(o, "name", r->name);
        json_add_string(o, "uuid", r->uuid);
        json_add_string(o, "image", r->image);
        json_add_string(o, "suite", r->suite);
        json_add_string(o, "architecture", r->architecture);
        json_add_string(o, "hostname", r->hostname);
        json_add_string(o, "commandLine", r->command_line);
        json_add_string(o, "acceleration", r->acceleration);
        json_add_string(o, "channel", r->channel);
        if (r->ssh_forward) {
                json_add_bool(o, "sshForward", true);
                json_add_u64(o, "sshPort", r->ssh_port);
        }
        json_add_u64(o, "memory", r->memory);
        json_add_u64(o, "cpus", r->cpus);
        json_add_u64(o, "size", r->size);
        json_add_u64(o, "created", r->created);
        json_add_string(o, "bootFolder", r->boot_folder);
        json_add_string(o, "bootId", r->boot_id);
        json_add_string(o, "reason", r->reason);
        if (r->started)
                json_add_u64(o, "started", r->started);
        text = xasprintf("%s\n", json_line(o));
        return file_write_atomic(path, 0600, text, strlen(text), err);
}

void vm_record_done(struct vm_record *r)
{
        free(r->name);
        free(r->uuid);
        free(r->image);
        free(r->suite);
        free(r->architecture);
        free(r->hostname);
        free(r->command_line);
        free(r->acceleration);
        free(r->channel);
        free(r->boot_folder);
        free(r->boot_id);
        free(r->reason);
        *r = (struct vm_record){0};
}

bool vm_record_by_ssh(const struct vm_record *r)
{
        return streq(r->channel, "ssh");
}
