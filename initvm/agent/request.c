/* SPDX-License-Identifier: MIT */
#include "agent/request.h"

#include "base/util.h"
#include "wire/varlink.h"

#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define INTERFACE "org.initvm.agent."

/* json_to_strv() counts from the front for each; there may be thousands here. */
static char **strings_new(struct json_object *array)
{
        size_t n = json_object_array_length(array);
        char **v = xcalloc(n + 1, sizeof(char *));

        for (size_t i = 0; i < n; i++)
                v[i] = xstrdup(json_object_get_string(json_object_array_get_idx(array, i)));
        return v;
}

static int check_environment(char *const *environment, struct error *err)
{
        for (; environment && *environment; environment++)
                if ((*environment)[0] == '=' || !strchr(*environment, '='))
                        return error_set(err, ERR_INVALID, "'environment' must hold NAME=value, not '%s'", *environment);
        return 0;
}

/* Reads the size, and the name where there is one to be read. */
static int read_size(struct json_object *o, const char **ret_name, struct terminal_size *ret, struct error *err)
{
        uint64_t rows = 0, columns = 0;
        const struct json_field fields[] = {
                {"rows", JSON_FIELD_U64, JSON_REQUIRED, &rows},
                {"columns", JSON_FIELD_U64, JSON_REQUIRED, &columns},
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, ret_name},
        };

        if (json_read(o, fields, ret_name ? ARRAY_SIZE(fields) : ARRAY_SIZE(fields) - 1, err) < 0)
                return -1;
        if (rows > UINT16_MAX || columns > UINT16_MAX)
                return error_set(err, ERR_INVALID, "'rows' and 'columns' must not be above %d", UINT16_MAX);
        *ret = (struct terminal_size){.rows = (uint16_t)rows, .columns = (uint16_t)columns};
        return 0;
}

static int read_terminal(struct json_object *terminal, struct request *r, struct error *err)
{
        const char *name = NULL;

        if (read_size(terminal, &name, &r->exec.size, err) < 0)
                return error_prefix(err, "'terminal'");
        if (!*name)
                return error_set(err, ERR_INVALID, "'terminal' must have a name, as TERM has it");
        r->exec.terminal = xstrdup(name);
        return 0;
}

static int check_argv(const struct request *r, struct error *err)
{
        if (r->exec.login && r->exec.argv[0])
                return error_set(err, ERR_INVALID, "'argv' must be empty with 'login'");
        if (!r->exec.login && (!r->exec.argv[0] || !r->exec.argv[0][0]))
                return error_set(err, ERR_INVALID, "'argv' must begin with a command");
        return 0;
}

static int read_exec(struct json_object *parameters, struct request *r, struct error *err)
{
        struct json_object *argv = NULL, *environment = NULL, *terminal = NULL;
        const char *cwd = NULL, *user = NULL;
        const struct json_field fields[] = {
                {"argv", JSON_FIELD_STRINGS, JSON_REQUIRED, &argv},   {"cwd", JSON_FIELD_STRING, 0, &cwd},
                {"environment", JSON_FIELD_STRINGS, 0, &environment}, {"user", JSON_FIELD_STRING, 0, &user},
                {"terminal", JSON_FIELD_OBJECT, 0, &terminal},        {"login", JSON_FIELD_BOOL, 0, &r->exec.login},
        };

        if (json_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (json_object_array_length(argv) > EXEC_ARGUMENTS_MAX)
                return error_set(err, ERR_INVALID, "'argv' must not have more than %d entries", EXEC_ARGUMENTS_MAX);
        if (environment && json_object_array_length(environment) > EXEC_ENVIRONMENT_MAX)
                return error_set(err, ERR_INVALID, "'environment' must not have more than %d entries", EXEC_ENVIRONMENT_MAX);
        if (cwd && cwd[0] != '/')
                return error_set(err, ERR_INVALID, "'cwd' must be an absolute path, not '%s'", cwd);
        r->exec.argv = strings_new(argv);
        r->exec.environment = environment ? strings_new(environment) : NULL;
        r->exec.cwd = cwd ? xstrdup(cwd) : NULL;
        r->exec.user = user ? xstrdup(user) : NULL;
        if (check_argv(r, err) < 0 || (terminal && read_terminal(terminal, r, err) < 0))
                return -1;
        return check_environment(r->exec.environment, err);
}

static int read_get_info(struct json_object *parameters, struct request *r, struct error *err)
{
        (void)r;
        return json_read(parameters, NULL, 0, err);
}

static int read_shutdown(struct json_object *parameters, struct request *r, struct error *err)
{
        static const char *const modes[] = {"poweroff", "reboot"};
        const char *mode = NULL;
        const struct json_field fields[] = {{"mode", JSON_FIELD_STRING, JSON_REQUIRED, &mode}};

        if (json_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
                if (streq(modes[i], mode)) {
                        r->shutdown.mode = modes[i];
                        return 0;
                }
        return error_set(err, ERR_INVALID, "'mode' must be 'poweroff' or 'reboot', not '%s'", mode);
}

static int read_listen(struct json_object *parameters, struct request *r, struct error *err)
{
        const char *address = NULL;
        const struct json_field fields[] = {{"address", JSON_FIELD_STRING, JSON_REQUIRED, &address}};

        if (json_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        return address_parse(address, &r->address, err);
}

static int read_connect(struct json_object *parameters, struct request *r, struct error *err)
{
        if (read_listen(parameters, r, err) < 0)
                return -1;
        if (!address_is_unix(&r->address) && r->address.port == 0)
                return error_set(err, ERR_INVALID, "port 0 is none that one can connect to");
        return 0;
}

static int read_accept(struct json_object *parameters, struct request *r, struct error *err)
{
        const struct json_field fields[] = {{"connection", JSON_FIELD_U64, JSON_REQUIRED, &r->connection}};

        return json_read(parameters, fields, ARRAY_SIZE(fields), err);
}

static int read_update(struct json_object *parameters, struct request *r, struct error *err)
{
        const struct json_field fields[] = {{"size", JSON_FIELD_U64, JSON_REQUIRED, &r->update.size}};

        if (json_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (r->update.size == 0 || r->update.size > UPDATE_SIZE_MAX)
                return error_set(err, ERR_INVALID, "'size' must be between 1 and %llu bytes",
                                 (unsigned long long)UPDATE_SIZE_MAX);
        return 0;
}

static const struct {
        const char *name;
        enum request_kind kind;
        int (*read)(struct json_object *parameters, struct request *r, struct error *err);
} methods[] = {
        {"Accept", REQUEST_ACCEPT, read_accept}, {"Connect", REQUEST_CONNECT, read_connect},
        {"Exec", REQUEST_EXEC, read_exec},       {"GetInfo", REQUEST_GET_INFO, read_get_info},
        {"Listen", REQUEST_LISTEN, read_listen}, {"Shutdown", REQUEST_SHUTDOWN, read_shutdown},
        {"Update", REQUEST_UPDATE, read_update},
};

static int read_parameters(const struct varlink_call *call, struct request *r, struct error *err)
{
        autojson struct json_object *none = json_new();
        const char *name = str_has_prefix(call->method, INTERFACE) ? call->method + strlen(INTERFACE) : "";

        for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
                if (!streq(methods[i].name, name))
                        continue;
                r->kind = methods[i].kind;
                if (methods[i].read(call->parameters ? call->parameters : none, r, err) < 0)
                        return error_prefix(err, "%s", methods[i].name);
                return 0;
        }
        return error_set(err, ERR_UNSUPPORTED, "the agent in the VM has no method '%s'", call->method);
}

int request_read(const void *text, size_t n, struct request *ret, struct error *err)
{
        autojson struct json_object *message = json_parse(text, n, err);
        struct request r = {0};
        struct varlink_call call;

        if (!message) {
                if (err)
                        err->code = ERR_PROTOCOL;
                return error_prefix(err, "not a Varlink call");
        }
        if (varlink_read_call(message, &call, err) < 0)
                return -1;
        if (call.oneway)
                return error_set(err, ERR_INVALID, "'%s' is answered, it cannot be called with 'oneway'", call.method);
        if (read_parameters(&call, &r, err) < 0) {
                request_done(&r);
                return -1;
        }
        *ret = r;
        return 0;
}

void request_done(struct request *r)
{
        strv_free(r->exec.argv);
        strv_free(r->exec.environment);
        free(r->exec.cwd);
        free(r->exec.user);
        free(r->exec.terminal);
        *r = (struct request){0};
}

int request_read_message(struct json_object *message, struct request_message *ret, struct error *err)
{
        uint64_t signo = 0;
        struct json_object *resize = NULL;
        struct request_message m = {0};
        const struct json_field fields[] = {{"signal", JSON_FIELD_U64, 0, &signo}, {"resize", JSON_FIELD_OBJECT, 0, &resize}};

        if (json_read(message, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (resize && json_get(message, "signal"))
                return error_set(err, ERR_INVALID, "'signal' and 'resize' must not come together");
        if (resize && read_size(resize, NULL, &m.size, err) < 0)
                return error_prefix(err, "'resize'");
        if (!resize && (signo < 1 || signo >= NSIG))
                return error_set(err, ERR_INVALID, "'signal' must be the number of a signal");
        m.signo = (int)signo;
        *ret = m;
        return 0;
}
