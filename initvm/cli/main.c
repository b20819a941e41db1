/* SPDX-License-Identifier: MIT */
/* initvm: the command line.  Everything is in the commands; here an error is printed, once, and becomes an exit status. */
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A closed standard fd would be taken by the next socket, which would then be read as input. */
static void keep_standard_fds(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd >= 0)
                close(fd);
}

static void explain(const struct command *c)
{
        autofree char *name = command_full_name(c);

        fprintf(stderr, "usage: 'initvm help %s' explains it\n", name);
}

static int report(const struct invocation *inv, bool usage, const struct error *err)
{
        autobuf struct buf b = {0};
        autofree char *text = NULL;

        text_append_safe(&b, err->message, true);
        text = buf_take_string(&b);
        fprintf(stderr, "%sinitvm: %s%s\n", terminal_style(STDERR_FILENO, STYLE_RED), text,
                terminal_style(STDERR_FILENO, STYLE_RESET));
        if (usage && inv->command)
                explain(inv->command);
        if (inv->command && (inv->command->flags & COMMAND_EXEC_STATUS))
                return error_exec_status(err->code);
        return error_exit_status(err->code);
}

static int print_overview(void)
{
        autobuf struct buf b = {0};
        autofree char *text = NULL;

        help_overview(&b);
        text = buf_take_string(&b);
        fputs(text, stderr);
        return 2;
}

int main(int argc, char **argv)
{
        struct error err = ERROR_INIT;
        struct invocation inv;
        int status;

        keep_standard_fds();
        if (invocation_parse(&inv, argv + (argc > 0), &err) < 0)
                status = report(&inv, true, &err);
        else if (!inv.command)
                status = print_overview();
        else if ((status = inv.command->run(&inv, &err)) < 0)
                status = report(&inv, false, &err);
        errno = EIO; /* when an earlier write failed, its reason is gone */
        if ((fflush(stdout) == EOF || ferror(stdout)) && status == 0) {
                error_errno(&err, errno, "cannot write to standard output");
                status = report(&inv, false, &err);
        }
        invocation_done(&inv);
        return status;
}
