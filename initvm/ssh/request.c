/* SPDX-License-Identifier: MIT */
#include "ssh/request.h"

#include "base/util.h"
#include "wire/varlink.h"

#include <string.h>

/* The path becomes a part of a command, which the other side's login shell reads: nothing in it may mean anything to a shell. */
static int check_agent_path(const char *path, struct error *err)
{
        if (!*path || *path == '-' || path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")])
                return error_set(err, ERR_INVALID, "the agent's path '%s' must consist of letters, digits, '/', '.', '_' and '-'",
                                 path);
        return 0;
}

static int check_time(const char *name, uint64_t ms, struct error *err)
{
        if (ms < TIME_MIN_MS || ms > TIME_MAX_MS)
                return error_set(err, ERR_INVALID, "'%s' must be between %d and %llu milliseconds", name, TIME_MIN_MS,
                                 TIME_MAX_MS);
        return 0;
}

int request_read(struct json_object *message, struct request *ret, struct error *err)
{
        struct varlink_call call;
        struct request r = {.timeout_ms = STEP_TIMEOUT_MS, .silence_ms = SILENCE_MS};
        const struct json_field fields[] = {
                {"host", JSON_FIELD_STRING, JSON_REQUIRED, &r.host},
                {"port", JSON_FIELD_U64, JSON_REQUIRED, &r.port},
                {"hostKeyAlias", JSON_FIELD_STRING, JSON_REQUIRED, &r.host_key_alias},
                {"knownHosts", JSON_FIELD_STRING, JSON_REQUIRED, &r.known_hosts},
                {"user", JSON_FIELD_STRING, JSON_REQUIRED, &r.user},
                {"identityFile", JSON_FIELD_STRING, 0, &r.identity_file},
                {"agentPath", JSON_FIELD_STRING, JSON_REQUIRED, &r.agent_path},
                {"agentBinary", JSON_FIELD_STRING, JSON_REQUIRED, &r.agent_binary},
                {"timeout", JSON_FIELD_U64, 0, &r.timeout_ms},
                {"silence", JSON_FIELD_U64, 0, &r.silence_ms},
        };

        if (varlink_read_call(message, &call, err) < 0)
                return -1;
        if (!streq(call.method, "org.initvm.ssh.Connect") || !call.more || !call.parameters)
                return error_set(err, ERR_PROTOCOL, "'%s' is not what this program answers", call.method);
        if (json_read(call.parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (r.port < 1 || r.port > UINT16_MAX)
                return error_set(err, ERR_INVALID, "'port' must be between 1 and %d", UINT16_MAX);
        if (check_agent_path(r.agent_path, err) < 0 || check_time("timeout", r.timeout_ms, err) < 0 ||
            check_time("silence", r.silence_ms, err) < 0)
                return -1;
        *ret = r;
        return 0;
}
