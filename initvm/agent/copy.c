/* SPDX-License-Identifier: MIT */
/*
 * The archive goes through standard output or input, reports (archive/report.h) to standard error.  When the host hangs up, the
 * pipes end: that is how an interrupted copy is noticed, and why SIGHUP is ignored: what is half written can then be removed.
 */
#include "agent/copy.h"

#include "archive/name.h"
#include "archive/pack.h"
#include "archive/report.h"
#include "archive/unpack.h"
#include "base/util.h"

#include <getopt.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

struct copy {
        bool total;
        bool into;
        bool content;
        char **paths;
};

static int get(const struct copy *c, struct error *err)
{
        const struct pack_options options = {.fd = STDOUT_FILENO, .reports = STDERR_FILENO, .paths = c->paths, .total = c->total};

        return pack(&options, err);
}

static int put(const struct copy *c, struct error *err)
{
        const struct unpack_options options = {.fd = STDIN_FILENO, .target = c->paths[0], .into = c->into};

        if (c->paths[1])
                return error_set(err, ERR_INVALID, "--put takes one path");
        return c->content ? unpack_to_file(STDIN_FILENO, c->paths[0], err) : unpack(&options, err);
}

static int parse(int argc, char **argv, struct copy *c, struct error *err)
{
        static const struct option options[] = {
                {"total", no_argument, NULL, 't'},
                {"into", no_argument, NULL, 'i'},
                {"content", no_argument, NULL, 'c'},
                {0},
        };
        int option;

        opterr = 0; /* standard error is for reports */
        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
                switch (option) {
                case 't':
                        c->total = true;
                        break;
                case 'i':
                        c->into = true;
                        break;
                case 'c':
                        c->content = true;
                        break;
                default:
                        return error_set(err, ERR_UNSUPPORTED, "the agent in the VM does not know '%s'; it is of version %s",
                                         argv[optind - 1], INITVM_VERSION);
                }
        for (; optind < argc; optind++) {
                char *path = name_unescape(argv[optind]);

                if (!path)
                        return error_set(err, ERR_INVALID, "'%s' is no escaped path", argv[optind]);
                strv_push(&c->paths, path);
        }
        return c->paths ? 0 : error_set(err, ERR_INVALID, "no path was named");
}

int copy_main(int argc, char **argv)
{
        struct error err = ERROR_INIT;
        struct copy c = {0};
        int r;

        signal(SIGHUP, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        umask(0);
        r = parse(argc, argv, &c, &err);
        if (r == 0)
                r = streq(argv[0], "--get") ? get(&c, &err) : put(&c, &err);
        if (r < 0)
                report_error(STDERR_FILENO, &err);
        strv_free(c.paths);
        return r < 0 ? error_exit_status(err.code) : 0;
}
