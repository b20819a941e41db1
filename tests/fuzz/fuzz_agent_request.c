/* SPDX-License-Identifier: MIT */
/*
 * What the host may ask of the agent: the payload of an OPEN frame, and what is said while a command runs.  Nothing is executed.
 * Checked beside memory safety: what is accepted keeps the promises of request.h.
 */
#include "agent/request.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_exec(const struct request *r)
{
        bool command = r->exec.argv && r->exec.argv[0] && r->exec.argv[0][0];

        if (command == r->exec.login || (r->exec.login && r->exec.argv[0]) || strv_length(r->exec.argv) > EXEC_ARGUMENTS_MAX)
                abort();
        if (strv_length(r->exec.environment) > EXEC_ENVIRONMENT_MAX || (r->exec.cwd && r->exec.cwd[0] != '/'))
                abort();
        for (char **e = r->exec.environment; e && *e; e++)
                if (!strchr(*e, '=') || **e == '=')
                        abort();
        if (r->exec.terminal ? !r->exec.terminal[0] : r->exec.size.rows || r->exec.size.columns)
                abort();
}

static void check_address(const struct request *r)
{
        autofree char *text = address_text(&r->address);
        struct address again;

        if (r->kind == REQUEST_CONNECT && !address_is_unix(&r->address) && r->address.port == 0)
                abort();
        if (address_parse(text, &again, NULL) < 0 || again.port != r->address.port || !streq(again.host, r->address.host) ||
            !streq(again.path, r->address.path))
                abort();
}

static void check_message(const uint8_t *data, size_t size)
{
        autojson struct json_object *message = json_parse((const char *)data, size, NULL);
        struct request_message m;

        if (!message || request_read_message(message, &m, NULL) < 0)
                return;
        if (m.signo < 0 || m.signo > 64 || (m.signo && (m.size.rows || m.size.columns)))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct error err = ERROR_INIT;
        struct request r;

        check_message(data, size);
        if (request_read(data, size, &r, &err) < 0) {
                if (err.code == ERR_NONE || !err.message[0])
                        abort();
                return 0;
        }
        if (r.kind == REQUEST_CONNECT || r.kind == REQUEST_LISTEN)
                check_address(&r);
        if (r.kind == REQUEST_UPDATE && (r.update.size == 0 || r.update.size > UPDATE_SIZE_MAX))
                abort();
        if (r.kind == REQUEST_EXEC)
                check_exec(&r);
        else if (r.exec.argv ||
                 (r.kind == REQUEST_SHUTDOWN && !streq(r.shutdown.mode, "poweroff") && !streq(r.shutdown.mode, "reboot")))
                abort();
        request_done(&r);
        return 0;
}
