/* SPDX-License-Identifier: MIT */
#include "cli/vm.h"

#include "cli/daemon.h"
#include "cli/operation.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The daemon's working folder is another one: it gets an absolute path, of a file that can be read. */
static int add_file(struct json_object *o, const char *key, const char *what, const char *path, struct error *err)
{
        char resolved[PATH_MAX];

        if (!path)
                return 0;
        if (!realpath(path, resolved) || access(resolved, R_OK) < 0)
                return error_errno(err, errno, "cannot read the %s '%s'", what, path);
        json_add_string(o, key, resolved);
        return 0;
}

static void add_number(struct json_object *o, const char *key, const struct arguments *a, const char *option)
{
        uint64_t n = arguments_number(a, option, 0);

        if (n > 0)
                json_add_u64(o, key, n);
}

static int add_ssh_port(struct json_object *o, const char *text, struct error *err)
{
        uint64_t port = 0;

        if (!text)
                return 0;
        if (!streq(text, "auto") && parse_u64(text, 1, UINT16_MAX, &port) < 0)
                return error_set(err, ERR_INVALID, "--ssh-port wants 'auto' or a port from 1 to %d, not '%s'", UINT16_MAX, text);
        json_add_u64(o, "sshPort", port);
        return 0;
}

struct json_object *vm_parameters(const struct invocation *inv)
{
        struct json_object *o = json_new();

        json_add_string(o, "name", inv->name);
        return o;
}

int vm_create_parameters(const struct invocation *inv, struct json_object **ret, struct error *err)
{
        autojson struct json_object *o = vm_parameters(inv);
        const struct arguments *a = &inv->arguments;

        if (add_file(o, "preseed", "preseed", arguments_text(a, "preseed", NULL), err) < 0 ||
            add_file(o, "from", "image", arguments_text(a, "from", NULL), err) < 0)
                return -1;
        json_add_string(o, "image", arguments_text(a, "image", NULL));
        add_number(o, "size", a, "size");
        add_number(o, "memory", a, "memory");
        add_number(o, "cpus", a, "cpus");
        json_add_string(o, "mirror", arguments_text(a, "mirror", NULL));
        json_add_string(o, "method", arguments_text(a, "method", NULL));
        json_add_string(o, "proxy", arguments_text(a, "proxy", NULL));
        if (arguments_flag(a, "keep"))
                json_add_bool(o, "keep", true);
        if (arguments_flag(a, "show"))
                json_add_bool(o, "show", true);
        json_add_string(o, "acceleration", arguments_text(a, "accel", NULL));
        json_add_string(o, "channel", arguments_text(a, "channel", NULL));
        if (add_ssh_port(o, arguments_text(a, "ssh-port", NULL), err) < 0)
                return -1;
        *ret = take_ptr(o);
        return 0;
}

int vm_run_create(struct client *c, const struct invocation *inv, struct json_object *parameters, struct json_object **ret_vm,
                  struct error *err)
{
        const struct operation op = {.method = "org.initvm.Create",
                                     .parameters = parameters,
                                     .json = inv->json,
                                     .cancelled = "nothing was left behind"};

        return operation_run(c, &op, ret_vm, err);
}

int vm_run_start(struct client *c, const struct invocation *inv, struct json_object **ret_vm, struct error *err)
{
        struct operation op = {.method = "org.initvm.Start", .parameters = vm_parameters(inv), .json = inv->json};

        add_number(op.parameters, "timeout", &inv->arguments, "timeout");
        return operation_run(c, &op, ret_vm, err);
}

int vm_run_stop(struct client *c, const struct invocation *inv, struct json_object **ret_vm, struct error *err)
{
        struct operation op = {.method = "org.initvm.Stop", .parameters = vm_parameters(inv), .json = inv->json};

        add_number(op.parameters, "timeout", &inv->arguments, "timeout");
        if (arguments_flag(&inv->arguments, "force"))
                json_add_bool(op.parameters, "force", true);
        return operation_run(c, &op, ret_vm, err);
}

int vm_status(struct client *c, const struct invocation *inv, struct json_object **ret, struct error *err)
{
        autojson struct json_object *reply = NULL;
        struct json_object *vm;

        if (client_call(c, "org.initvm.Status", vm_parameters(inv), 0, CALL_DEADLINE_MS, &reply, err) < 0)
                return -1;
        vm = json_get(reply, "vm");
        if (!vm)
                return error_set(err, ERR_PROTOCOL, "the daemon's answer says nothing of the VM");
        *ret = json_object_get(vm);
        return 0;
}

bool vm_is_ready(struct json_object *vm)
{
        return streq(json_get_string(vm, "state", ""), "running") && streq(json_get_string(vm, "agent", ""), "connected");
}

char *vm_prefix(const struct invocation *inv)
{
        const char *environment = getenv("INITVM_NAME");
        const char *usual = environment && *environment ? environment : VM_NAME_DEFAULT;

        return streq(inv->name, usual) ? xstrdup("initvm") : xasprintf("initvm -n %s", inv->name);
}

void vm_print_json(struct json_object *vm)
{
        autojson struct json_object *o = json_new();

        json_add(o, "vm", json_object_get(vm));
        printf("%s\n", json_line(o));
}

void vm_tell_running(const struct invocation *inv, struct json_object *vm, uint64_t took_ms)
{
        autofree char *prefix = vm_prefix(inv);
        const char *acceleration = json_get_string(vm, "acceleration", NULL);

        if (inv->json) {
                vm_print_json(vm);
                return;
        }
        printf("'%s' is running%s%s", inv->name, acceleration ? " under " : "", acceleration ? acceleration : "");
        if (took_ms > 0)
                printf(", ready after %.1f s", (double)took_ms / 1000);
        printf("\nnext: %s exec -- COMMAND\n", prefix);
}
