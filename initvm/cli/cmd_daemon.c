/* SPDX-License-Identifier: MIT */
/* initvm daemon: the process behind all commands. Usually nobody needs to care for it. */
#include "cli/commands.h"
#include "cli/console_log.h"
#include "cli/daemon.h"
#include "cli/text.h"

#include <poll.h>
#include <stdio.h>

/* A daemon that has been told to stop ends its clients, the streams and libvirt's connection. */
#define STOP_DEADLINE_MS 60000u

static const char not_running[] = "initvmd does not run; the next command starts it, or 'initvm daemon start'\n";

/* 1 with *ret, 0 when none runs, -1 on failure. */
static int connect_running(struct client **ret, struct error *err)
{
        if (daemon_connect_running(ret, err) == 0)
                return 1;
        return err->code == ERR_NOT_FOUND ? 0 : -1;
}

static void print_status(struct json_object *status)
{
        autofree char *uptime = text_duration(json_get_u64(status, "uptime", 0));
        struct json_object *recovered = json_get(status, "recovered");

        printf("initvmd %s has run for %s, pid %llu\n", json_get_string(status, "version", "?"), uptime,
               (unsigned long long)json_get_u64(status, "pid", 0));
        printf("memory      %s\n", format_size(json_get_u64(status, "memory", 0)));
        printf("clients     %llu\n", (unsigned long long)json_get_u64(status, "clients", 0));
        printf("libvirt     %s, %s\n", json_get_string(status, "connection", "?"),
               json_get_bool(status, "connected", false) ? "connected" : "not connected");
        printf("home        %s\n", json_get_string(status, "home", "?"));
        printf("socket      %s\n", json_get_string(status, "socket", "?"));
        printf("log         %s\n", json_get_string(status, "log", "?"));
        for (size_t i = 0; json_object_is_type(recovered, json_type_array) && i < json_object_array_length(recovered); i++)
                printf("recovered   %s\n", json_object_get_string(json_object_array_get_idx(recovered, i)));
}

/* 1 with *ret, 0 when none runs, or it has just ended, -1 on failure. */
static int ask_status(struct json_object **ret, struct error *err)
{
        autoclient struct client *c = NULL;
        autoclose int process = -1;
        int r = connect_running(&c, err);

        if (r <= 0)
                return r;
        process = client_peer_process(c);
        if (client_call(c, "org.initvm.GetStatus", NULL, 0, CALL_DEADLINE_MS, ret, err) == 0)
                return 1;
        if (err->code != ERR_DISCONNECTED)
                return -1;
        daemon_await_end(process);
        return 0;
}

static int show_status(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *status = NULL;
        int r = ask_status(&status, err);

        if (r == 0) {
                fputs(inv->json ? "{\"running\":false}\n" : not_running, stdout);
                return 1;
        }
        if (r < 0)
                return -1;
        if (inv->json) {
                json_add_bool(status, "running", true);
                printf("%s\n", json_line(status));
        } else {
                print_status(status);
        }
        return 0;
}

/* Until the process is gone: a daemon that a command right behind us starts must not find the old one's locks. */
static int wait_gone(struct client *c, int process, struct error *err)
{
        struct pollfd p = {.fd = process, .events = POLLIN};
        autojson struct json_object *ignored = NULL;
        uint64_t end = now_ms() + STOP_DEADLINE_MS, now;
        int r = 0;

        if (process < 0) { /* not to be seen from here, in another pid namespace: its connection ends shortly before it */
                r = client_receive(c, STOP_DEADLINE_MS, &ignored, err);
                return r < 0 && err->code == ERR_DISCONNECTED ? 0 : -1;
        }
        while (r <= 0 && (now = now_ms()) < end)
                r = poll(&p, 1, (int)(end - now));
        if (r <= 0)
                return error_set(err, ERR_TIMEOUT,
                                 "initvmd was told to stop and still runs after %u s; 'initvm daemon log' may say why",
                                 STOP_DEADLINE_MS / 1000);
        return 0;
}

static int stop(struct error *err)
{
        autoclient struct client *c = NULL;
        autoclose int process = -1;
        int r = connect_running(&c, err);

        if (r == 0)
                printf("initvmd does not run\n");
        if (r <= 0)
                return r;
        process = client_peer_process(c);
        if (client_call(c, "org.initvm.StopDaemon", NULL, 0, CALL_DEADLINE_MS, NULL, err) < 0 || wait_gone(c, process, err) < 0)
                return -1;
        printf("initvmd has stopped; running VMs go on, the next command takes them up again\n");
        return 0;
}

static int start(struct error *err)
{
        autoclient struct client *c = NULL;
        autojson struct json_object *status = NULL;

        if (daemon_connect(&c, err) < 0 || client_call(c, "org.initvm.GetStatus", NULL, 0, CALL_DEADLINE_MS, &status, err) < 0)
                return -1;
        printf("initvmd %s runs, pid %llu\n", json_get_string(status, "version", "?"),
               (unsigned long long)json_get_u64(status, "pid", 0));
        return 0;
}

static int show_log(struct error *err)
{
        autofree char *path = daemon_log(err);
        int r = path ? print_file(path, err) : -1;

        if (r == 0)
                fprintf(stderr, "there is no log yet in '%s'\n", path);
        return r < 0 ? -1 : 0;
}

static int run(const struct invocation *inv, struct error *err)
{
        const char *what = inv->operands[0];

        if (inv->json && !streq(what, "status"))
                return error_set(err, ERR_INVALID, "--json goes with 'daemon status' only");
        if (streq(what, "status"))
                return show_status(inv, err);
        if (streq(what, "start"))
                return start(err);
        if (streq(what, "stop"))
                return stop(err);
        if (streq(what, "log"))
                return show_log(err);
        return error_set(err, ERR_INVALID, "'%s' cannot be done with the daemon: use status, start, stop or log", what);
}

static const struct option_spec options[] = {
        {.name = "json", .type = OPTION_FLAG, .help = "status: print JSON"},
        {0},
};

const struct command command_daemon = {
        .name = "daemon",
        .group = GROUP_ITSELF,
        .summary = "look after the process behind the commands",
        .operands = "status|start|stop|log",
        .words = "status|start|stop|log",
        .min_operands = 1,
        .max_operands = 1,
        .options = options,
        .description = "initvmd is started by the commands that need it. 'status' and 'stop' never start it; 'status' exits with "
                       "1 when it "
                       "does not run. VMs survive its end.",
        .run = run,
};
