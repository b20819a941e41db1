/* SPDX-License-Identifier: MIT */
/* initvm forward: ports and unix sockets of the VM on the host, or of the host in the VM, until it is told to end. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/forward.h"
#include "cli/vm.h"

#include <signal.h>
#include <stdlib.h>

static const int ends[] = {SIGINT, SIGTERM, SIGHUP};

static void on_signal(void *userdata)
{
        struct forward *f = userdata;

        loop_quit(f->loop, 0);
}

/* The VM is there and runs: later it may go and come back. */
static int check_vm(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *vm = NULL;
        autoclient struct client *c = NULL;

        if (daemon_connect(&c, err) < 0 || vm_status(c, inv, &vm, err) < 0)
                return -1;
        if (streq(json_get_string(vm, "state", ""), "running"))
                return 0;
        return error_set(err, ERR_STATE, "VM '%s' is not running; start it with 'initvm -n %s start'", inv->name, inv->name);
}

static int parse(const struct invocation *inv, struct forward_spec *specs, struct error *err)
{
        bool reverse = arguments_flag(&inv->arguments, "reverse"), any = arguments_flag(&inv->arguments, "any-address");

        for (size_t i = 0; inv->operands[i]; i++)
                if (forward_spec_parse(inv->operands[i], reverse, any, &specs[i], err) < 0)
                        return -1;
        return 0;
}

static int serve(struct forward *f, const struct invocation *inv, const struct forward_spec *specs, struct error *err)
{
        struct loop_source *signals[ARRAY_SIZE(ends)];
        bool reverse = arguments_flag(&inv->arguments, "reverse");
        sigset_t set;
        int status = 0;

        sigemptyset(&set);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
                sigaddset(&set, ends[i]);
                sigprocmask(SIG_BLOCK, &set, NULL);
                signals[i] = loop_add_signal(f->loop, ends[i], on_signal, f);
        }
        for (size_t i = 0; inv->operands[i] && status == 0; i++)
                status = reverse ? forward_reverse(f, &specs[i], err) : forward_listen(f, &specs[i], err);
        if (status == 0)
                status = loop_run(f->loop);
        forward_done(f);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
                loop_source_free(signals[i]);
        return status;
}

static int run(const struct invocation *inv, struct error *err)
{
        autofree struct forward_spec *specs = xcalloc(strv_length(inv->operands), sizeof(*specs));
        struct forward f = {.name = inv->name, .json = inv->json, .err = err};
        int status;

        if (parse(inv, specs, err) < 0 || check_vm(inv, err) < 0)
                return -1;
        signal(SIGPIPE, SIG_IGN);
        f.loop = loop_new();
        status = serve(&f, inv, specs, err);
        loop_free(f.loop);
        return status;
}

static const struct option_spec options[] = {
        {.name = "reverse",
         .letter = 'R',
         .type = OPTION_FLAG,
         .help = "the other way: listen at REMOTE in the VM, connect to LOCAL on the host"},
        {.name = "any-address", .type = OPTION_FLAG, .help = "let LOCAL be an address that others can reach"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_forward = {
        .name = "forward",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM,
        .summary = "make ports and sockets of the VM reachable",
        .operands = "[LOCAL:]REMOTE...",
        .min_operands = 1,
        .max_operands = FORWARD_SPECS_MAX,
        .options = options,
        .description =
                "Listens at LOCAL on the host, and passes each connection on to REMOTE in the VM, through the agent: the VM "
                "needs "
                "no network for it. Each end is PORT, HOST:PORT or the path of a unix socket; HOST is a number or localhost. "
                "Without LOCAL the port is the same on both sides; port 0 is any free one. On the host only loopback addresses "
                "are "
                "listened on.\n"
                "Prints a line for each forward once it is there, and runs until Ctrl-C. A connection that fails is told, and "
                "the "
                "others go on, also when the daemon or the VM was restarted.",
        .examples = "initvm forward 8080:80\n"
                    "initvm forward 0:localhost:5432 /tmp/docker.sock:/run/docker.sock\n"
                    "initvm forward --reverse 3142",
        .run = run,
};
