/* SPDX-License-Identifier: MIT */
/* Connections into a VM and out of it through its agent, and what SSH needs. */
#include "daemon/manager.h"
#include "daemon/methods_private.h"
#include "daemon/relay.h"
#include "daemon/ssh_identity.h"

#include <stdlib.h>

/* Passes a call with one string, or one number, besides the VM's name on to the agent. */
static int relay_string(struct call *call, struct json_object *parameters, struct daemon *d, const char *method,
                        const char *field, struct error *err)
{
        const char *name, *value;
        struct json_object *forwarded;
        struct vm *vm;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {field, JSON_FIELD_STRING, JSON_REQUIRED, &value},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        vm = methods_running_vm(d, name, err);
        if (!vm)
                return -1;
        forwarded = json_new();
        json_add_string(forwarded, field, value);
        relay_start(d->loop, vm, call, method, forwarded);
        return 0;
}

int methods_connect(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        return relay_string(call, parameters, userdata, "Connect", "address", err);
}

int methods_listen(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        return relay_string(call, parameters, userdata, "Listen", "address", err);
}

int methods_accept(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name;
        uint64_t connection;
        struct json_object *forwarded;
        struct vm *vm;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"connection", JSON_FIELD_U64, JSON_REQUIRED, &connection},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        vm = methods_running_vm(d, name, err);
        if (!vm)
                return -1;
        forwarded = json_new();
        json_add_u64(forwarded, "connection", connection);
        relay_start(d->loop, vm, call, "Accept", forwarded);
        return 0;
}

/* ---- waiting */

/* Whoever waits for a VM that is off may do so for long, but not for ever. */
#define WAIT_TIMEOUT_MS (3600 * 1000)

struct waiting {
        struct call *call;
        struct vm_waiter *waiter;
};

static void waiting_end(struct waiting *w, const struct error *err)
{
        struct call *call = w->call;

        call_on_cancel(call, NULL, NULL);
        vm_waiter_free(w->waiter);
        free(w);
        if (err)
                call_fail(call, err);
        else
                call_reply(call, NULL);
}

static void on_ready(void *userdata, const struct error *why_not)
{
        struct waiting *w = userdata;

        w->waiter = NULL;
        waiting_end(w, why_not);
}

static void on_cancel(void *userdata)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_CANCELLED, "cancelled");
        waiting_end(userdata, &err);
}

int methods_wait_ready(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name;
        struct vm *vm;
        struct waiting *w;
        struct vm_waiter *waiter;
        const struct json_field fields[] = {{"name", JSON_FIELD_STRING, JSON_REQUIRED, &name}};

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        vm = manager_find(d->manager, name, err);
        if (!vm)
                return -1;
        w = xcalloc(1, sizeof(*w));
        w->call = call;
        call_on_cancel(call, on_cancel, w);
        waiter = vm_when_ready(vm, WAIT_TIMEOUT_MS, on_ready, w);
        if (waiter)
                w->waiter = waiter; /* else w is gone already */
        return 0;
}

/* ---- SSH */

static void on_prepared(void *userdata, const struct ssh_identity *identity, bool differs, const struct error *err)
{
        struct json_object *o;

        if (err) {
                call_fail(userdata, err);
                return;
        }
        o = json_new();
        json_add_string(o, "user", SSH_IDENTITY_USER);
        json_add_string(o, "identityFile", identity->key);
        json_add_string(o, "knownHostsFile", identity->known_hosts);
        json_add_string(o, "configFile", identity->config);
        json_add_string(o, "hostKeyAlias", identity->alias);
        json_add_bool(o, "hostKeyDiffers", differs);
        call_reply(userdata, o);
}

int methods_prepare_ssh(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name;
        bool renew = false;
        struct vm *vm;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"renewHostKey", JSON_FIELD_BOOL, 0, &renew},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        vm = methods_running_vm(d, name, err);
        if (!vm)
                return -1;
        ssh_identity_prepare(d, vm, renew, on_prepared, call);
        return 0;
}
