/* SPDX-License-Identifier: MIT */
/*
 * initvm run: a program of the host, run in the VM, of whatever architecture it is.
 *
 * The agent's program keeps the file there for as long as we hold its input (guest_helper.h); the file is executed like any
 * command. Whatever happens to us, the daemon or the connection, the keeper sees its input end and removes what it has.
 */
#include "binfmt/file_kind.h"
#include "cli/commands.h"
#include "cli/guest_helper.h"
#include "cli/remote_command.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct program {
        const char *path, *name;
        int fd;
        uint64_t size;
};

static int open_program(struct program *p, const char *path, struct error *err)
{
        struct stat st;
        const char *slash = strrchr(path, '/');

        *p = (struct program){.path = path, .name = slash ? slash + 1 : path};
        p->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (p->fd < 0 && (errno == ENOENT || errno == ENOTDIR))
                return error_set(err, ERR_NO_COMMAND, "there is no file '%s' here; 'initvm exec' runs what is in the VM already",
                                 path);
        if (p->fd < 0)
                return error_errno(err, errno, "cannot open '%s'", path);
        if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                cleanup_close(&p->fd);
                return error_set(err, ERR_NOT_EXECUTABLE, "'%s' cannot be run in the VM: it is not a regular file", path);
        }
        p->size = (uint64_t)st.st_size;
        return 0;
}

/* What --arch promises. Whether it can be executed at all the VM knows better. */
static int check_architecture(const struct program *p, const char *wanted, struct error *err)
{
        const struct architecture *a = architecture_find(wanted);
        autofree char *names = a ? NULL : architecture_names(), *text = NULL;
        autofree uint8_t *head = xcalloc(FILE_HEAD_MAX, 1);
        autofree struct file_kind *kind = xcalloc(1, sizeof(*kind));
        ssize_t n;

        if (!a)
                return error_set(err, ERR_INVALID, "'%s' is not an architecture; there are %s", wanted, names);
        n = pread(p->fd, head, FILE_HEAD_MAX, 0);
        if (n < 0)
                return error_errno(err, errno, "cannot read '%s'", p->path);
        file_kind_read(head, (size_t)n, kind);
        if (file_kind_is_for(kind, a))
                return 0;
        text = file_kind_text(kind);
        return error_set(err, ERR_NOT_EXECUTABLE, "'%s' is %s, and not a program for %s as --arch says", p->path, text, a->name);
}

static int execute(const struct invocation *inv, const char *path, struct error *err)
{
        struct remote_command command = {.terminal = arguments_flag(&inv->arguments, "tty")};
        autostrv char **argv = NULL;

        strv_add(&argv, path);
        for (char *const *argument = inv->operands + 1; *argument; argument++)
                strv_add(&argv, *argument);
        command.argv = argv;
        return remote_command_run(inv, &command, err);
}

static int keep_and_execute(const struct invocation *inv, const struct program *p, struct error *err)
{
        autofree char *size = xasprintf("%llu", (unsigned long long)p->size);
        char *const arguments[] = {(char *)"--run", size, (char *)p->name, NULL};
        struct guest_helper keeper;
        int status;

        if (guest_helper_start(&keeper, inv->name, arguments_text(&inv->arguments, "user", NULL), arguments, STDOUT_FILENO, err) <
            0)
                return -1;
        status = guest_helper_feed(&keeper, p->fd, p->size, err);
        if (status == 0) {
                status = execute(inv, keeper.reports.path, err);
                guest_helper_end(&keeper);
        }
        guest_helper_done(&keeper);
        return status;
}

static int run(const struct invocation *inv, struct error *err)
{
        const char *wanted = arguments_text(&inv->arguments, "arch", NULL);
        struct program p;
        int status;

        if (open_program(&p, inv->operands[0], err) < 0)
                return -1;
        status = wanted ? check_architecture(&p, wanted, err) : 0;
        if (status == 0)
                status = keep_and_execute(inv, &p, err);
        cleanup_close(&p.fd);
        return status;
}

static const struct option_spec options[] = {
        REMOTE_COMMAND_OPTIONS,
        {.name = "tty", .letter = 't', .type = OPTION_FLAG, .help = "give it a terminal, for programs that want one"},
        {.name = "arch", .letter = 'a', .type = OPTION_STRING, .argument = "ARCH", .help = "only if it is a program for ARCH"},
        {0},
};

const struct command command_run = {
        .name = "run",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_VERBATIM | COMMAND_EXEC_STATUS,
        .summary = "run a program of the host in the VM, of any architecture",
        .operands = "[--] FILE [ARGUMENT...]",
        .min_operands = 1,
        .options = options,
        .description = "The file is copied into a private folder of the VM, executed there, and removed when it has ended, also "
                       "when this "
                       "command is killed. Input, output, signals and exit status are as with 'initvm exec'.\n"
                       "It may be a program of any architecture that 'initvm binfmt' lists as proven, or a script that begins "
                       "with '#!'. "
                       "A program that is linked dynamically needs its libraries in the VM. 126: it cannot be executed in the "
                       "VM, and the "
                       "message says what it is; 127: there is no such file here.",
        .examples = "initvm run ./busybox-arm ls\n"
                    "initvm run --arch riscv64 ./hello\n"
                    "initvm run --user nobody ./configure-and-test.sh --fast",
        .run = run,
};
