/* SPDX-License-Identifier: MIT */
/*
 * A real file, and no memfd or file without a name: emulators and programs that execute themselves again do it by the path that
 * they find in /proc/self/exe.
 */
#include "agent/run.h"

#include "agent/binfmt_look.h"
#include "agent/info.h"
#include "archive/report.h"
#include "base/file.h"
#include "binfmt/file_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (256u * 1024)

struct kept {
        const char *name;
        char *folder, *path;
};

static int make_folder(struct kept *k, struct error *err)
{
        autofree char *folder = xstrdup("/tmp/initvm-run-XXXXXX");

        if (!mkdtemp(folder))
                return error_errno(err, errno, "cannot make the folder '%s' in the VM", folder);
        k->path = xasprintf("%s/%s", folder, k->name);
        k->folder = take_ptr(folder);
        return 0;
}

/* Up to n bytes of the input; less when it ends. -1 with errno. */
static ssize_t read_input(uint8_t *data, size_t n)
{
        ssize_t got;

        do
                got = read(STDIN_FILENO, data, n);
        while (got < 0 && errno == EINTR);
        return got;
}

static int take_content(const struct kept *k, uint64_t size, struct error *err)
{
        autofree uint8_t *data = xcalloc(PIECE, 1);
        /* An executable file that is open for writing cannot be executed: closed before anybody hears of it. */
        autoclose int fd = open(k->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);

        if (fd < 0)
                return error_errno(err, errno, "cannot make '%s' in the VM", k->path);
        for (uint64_t left = size; left > 0;) {
                ssize_t n = read_input(data, MIN(left, (uint64_t)PIECE));

                if (n <= 0)
                        return error_set(err, ERR_DISCONNECTED, "the program ended before it was whole");
                if (fd_write_all(fd, data, (size_t)n) < 0)
                        return error_errno(err, errno, "cannot write '%s' in the VM", k->path);
                left -= (uint64_t)n;
        }
        return 0;
}

/* ---- can it be executed? */

static int refuse(const struct kept *k, const struct file_kind *kind, struct error *err, const char *why)
{
        autofree char *text = file_kind_text(kind);

        return error_set(err, ERR_NOT_EXECUTABLE, "'%s' is %s%s", k->name, text, why);
}

static bool is_native(const struct file_kind *kind)
{
        return kind->architecture && architecture_maybe_native(kind->architecture, agent_architecture);
}

static int check_loader(const struct kept *k, const struct file_kind *kind, struct error *err)
{
        autofree char *why = NULL;

        if (!kind->interpreter[0] || access(kind->interpreter, X_OK) == 0)
                return 0;
        why = xasprintf(" that is linked dynamically, and its loader '%s' is not in the VM: run it in a root filesystem of its "
                        "architecture (chroot), or link it statically",
                        kind->interpreter);
        return refuse(k, kind, err, why);
}

static int check_kind(const struct kept *k, const struct file_kind *kind, bool matches, struct error *err)
{
        autofree char *why = NULL;

        switch (kind->type) {
        case FILE_SCRIPT:
                if (access(kind->interpreter, X_OK) == 0)
                        return 0;
                return refuse(k, kind, err, ", which is not in the VM; install it there");
        case FILE_PROGRAM:
                if (is_native(kind) || matches)
                        return check_loader(k, kind, err);
                if (kind->architecture)
                        why = xasprintf(", and no emulator for it is registered in the VM; 'initvm binfmt test %s' tells why",
                                        kind->architecture->name);
                return refuse(k, kind, err, why ? why : ", and no emulator for it is registered in the VM");
        case FILE_OTHER:
                if (matches) /* a Java archive, for instance */
                        return 0;
                return refuse(k, kind, err, ": it cannot be executed");
        default:
                return refuse(k, kind, err, ": it cannot be executed");
        }
}

static int check(const struct kept *k, struct error *err)
{
        autoclose int fd = open(k->path, O_RDONLY | O_CLOEXEC);
        autofree uint8_t *head = xcalloc(FILE_HEAD_MAX, 1);
        autofree struct file_kind *kind = xcalloc(1, sizeof(*kind));
        struct binfmt_look look = {0};
        ssize_t n = fd < 0 ? -1 : read(fd, head, FILE_HEAD_MAX);
        int r;

        if (n < 0)
                return error_errno(err, errno, "cannot read '%s' in the VM", k->path);
        file_kind_read(head, (size_t)n, kind);
        binfmt_look(&look, NULL); /* where it cannot be read nothing is registered */
        r = check_kind(k, kind, binfmt_look_matches(&look, k->name, head, (size_t)n), err);
        binfmt_look_done(&look);
        return r;
}

/* ---- the whole */

static void wait_for_end(void)
{
        uint8_t data[64];

        while (read_input(data, sizeof(data)) > 0)
                ;
}

static int keep(struct kept *k, uint64_t size, struct error *err)
{
        if (make_folder(k, err) < 0 || take_content(k, size, err) < 0 || check(k, err) < 0)
                return -1;
        report_path(STDERR_FILENO, k->path);
        wait_for_end();
        return 0;
}

int run_main(int argc, char **argv)
{
        /* They end us by the end of our input. */
        static const int ends[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE};
        struct error err = ERROR_INIT, ignored;
        struct kept k = {0};
        uint64_t size;
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
                signal(ends[i], SIG_IGN);
        umask(077);
        if (argc != 3 || parse_u64(argv[1], 0, UINT64_MAX, &size) < 0 || !argv[2][0] || strchr(argv[2], '/') ||
            streq(argv[2], ".") || streq(argv[2], "..")) {
                r = error_set(&err, ERR_INVALID, "--run takes a size and a name");
        } else {
                k.name = argv[2];
                r = keep(&k, size, &err);
        }
        if (k.folder)
                tree_remove(k.folder, &ignored);
        if (r < 0)
                report_error(STDERR_FILENO, &err);
        free(k.folder);
        free(k.path);
        return r < 0 ? error_exit_status(err.code) : 0;
}
