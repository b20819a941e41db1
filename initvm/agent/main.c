/* SPDX-License-Identifier: MIT */
/* initvm-agent: runs commands in the guest for the host, over a virtio-serial port or SSH. See initvm-agent(8). */
#include "agent/agent.h"
#include "agent/binfmt.h"
#include "agent/binfmt_watch.h"
#include "agent/boot.h"
#include "agent/copy.h"
#include "agent/handover.h"
#include "agent/info.h"
#include "agent/listen.h"
#include "agent/methods.h"
#include "agent/port.h"
#include "agent/run.h"
#include "base/log.h"
#include "base/util.h"
#include "chroot/command.h"
#include "chroot/init.h"
#include "chroot/native.h"
#include "job/command.h"
#include "job/end.h"
#include "job/keeper.h"
#include "wire/agent_version.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For each command three pipes, a pidfd, a timer and the status, or the three of a terminal, a pidfd, two timers and the status;
 * what waits at the listeners, and some for ourselves. */
#define NOFILE_NEEDED (STREAMS_MAX * 8 + LISTENERS_MAX * (LISTEN_WAITING_MAX + 2) + 64)

static void usage(FILE *f)
{
        fprintf(f, "usage: initvm-agent [--port PORT | --stdio]\n"
                   "       initvm-agent --get [--total] PATH...\n"
                   "       initvm-agent --put [--into | --content] PATH\n"
                   "       initvm-agent --run SIZE NAME\n"
                   "       initvm-agent --binfmt [--list | --test | --show] [ARCHITECTURE...]\n"
                   "       initvm-agent --boot\n"
                   "       initvm-agent --chroot COMMAND [OPTION...] [OPERAND...]\n"
                   "       initvm-agent --job COMMAND [ID TOKEN] [OPTION...] [OPERAND...]\n"
                   "\n"
                   "Runs commands in the guest for the host.\n"
                   "\n"
                   "  --port PORT  character device, unix socket or fd:N (default: " PORT_DEFAULT ")\n"
                   "  --stdio      serve standard input and output, until the input ends\n"
                   "  --get        write files as a tar archive to standard output\n"
                   "  --put        make files of a tar archive from standard input\n"
                   "  --run        keep a program from standard input in a file, until the input ends\n"
                   "  --binfmt     see to it that programs of other architectures can be executed\n"
                   "  --boot       tell the kernel and the initrd to be booted with\n"
                   "  --chroot     keep chroots: see initvm-agent(8)\n"
                   "  --job        keep build jobs: see initvm-agent(8)\n"
                   "  --version    print the version\n"
                   "  --help       print this\n");
}

static void on_signal(void *userdata)
{
        struct agent *agent = userdata;

        loop_quit(agent->loop, 0);
}

static void end_when_idle(struct agent *agent)
{
        if (agent->ended && agent->n_running == 0)
                loop_quit(agent->loop, 0);
}

void agent_command_gone(struct agent *agent)
{
        agent->n_running--;
        end_when_idle(agent);
}

static void on_ended(void *userdata)
{
        struct agent *agent = userdata;

        log_info("the port is closed");
        agent->ended = true;
        end_when_idle(agent);
}

/* A descriptor of ours below 3 would be taken for a command's stdin: spawn.h. */
static int fill_standard_fds(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd < 3);
        return fd < 0 ? -1 : close(fd);
}

static void raise_nofile(struct rlimit *ret_before)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, ret_before) < 0)
                abort();
        limit = *ret_before;
        limit.rlim_cur = MAX(limit.rlim_cur, MIN(limit.rlim_max, (rlim_t)NOFILE_NEEDED));
        setrlimit(RLIMIT_NOFILE, &limit);
}

static void set_signals(void)
{
        sigset_t mask;

        signal(SIGPIPE, SIG_IGN); /* a command that closed its stdin is no reason to die */
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigprocmask(SIG_BLOCK, &mask, NULL);
}

/* resume: the descriptor of what the program before us has written down; -1 when there was none. */
static int run(struct port *port, int resume)
{
        static const struct mux_handler handler = {.open = methods_open, .hello = methods_hello, .ended = on_ended};
        struct agent agent = {.loop = loop_new(), .port = port};
        struct loop_source *term, *interrupt;
        struct error err = ERROR_INIT;

        set_signals();
        raise_nofile(&agent.nofile);
        if (resume >= 0 && handover_resume(&agent, port, resume, &handler, &err) < 0) {
                log_error("cannot go on where the agent before has left: %s", err.message);
                _exit(error_exit_status(err.code)); /* to be started afresh; the host begins with a sync then */
        }
        term = loop_add_signal(agent.loop, SIGTERM, on_signal, &agent);
        interrupt = loop_add_signal(agent.loop, SIGINT, on_signal, &agent);
        if (!agent.mux)
                agent.mux = mux_new(agent.loop, port, &handler, &agent);
        binfmt_watch_start(&agent);
        loop_run(agent.loop);
        /* Told to end: commands are not ours to end, they go on. What they hold is released by the kernel. */
        if (!agent.ended) {
                mux_flush(agent.mux);
                _exit(0);
        }
        binfmt_watch_free(agent.binfmt);
        mux_free(agent.mux);
        loop_source_free(term);
        loop_source_free(interrupt);
        loop_free(agent.loop);
        return 0;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                {"port", required_argument, NULL, 'p'},
                {"stdio", no_argument, NULL, 's'},
                {"resume", required_argument, NULL, 'r'},
                {"check-resume", required_argument, NULL, 'c'},
                {"version", no_argument, NULL, 'v'},
                {"help", no_argument, NULL, 'h'},
                {0},
        };
        const char *spec = PORT_DEFAULT; /* NULL: standard input and output */
        struct error err = ERROR_INIT;
        struct port port = PORT_INIT;
        uint64_t resume = UINT64_MAX; /* a descriptor */
        int c, status;

        if (native_called())
                return native_main(argc, argv);
        if (argc > 1 && (streq(argv[1], "--get") || streq(argv[1], "--put")))
                return copy_main(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "--run"))
                return run_main(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "--binfmt"))
                return binfmt_main(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "--boot"))
                return boot_main(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "--chroot"))
                return chroot_main(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "--job"))
                return job_main(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "--job-main"))
                return keeper_main(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "--job-end"))
                return end_main(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "--chroot-init"))
                return init_main(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "--chroot-native"))
                return native_hook_main(argc - 1, argv + 1);
        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
                switch (c) {
                case 'p':
                        spec = optarg;
                        break;
                case 's':
                        spec = NULL;
                        break;
                case 'r':
                        if (parse_u64(optarg, STDERR_FILENO + 1, INT_MAX, &resume) < 0) {
                                usage(stderr);
                                return 2;
                        }
                        break;
                case 'c':
                        return streq(optarg, HANDOVER_FORMAT) ? 0 : 1;
                case 'v':
                        puts(agent_version_line(agent_version));
                        return 0;
                case 'h':
                        usage(stdout);
                        return 0;
                default:
                        usage(stderr);
                        return 2;
                }
        if (optind < argc) {
                usage(stderr);
                return 2;
        }
        /* A successor finds the port open and the standard descriptors filled. */
        if (resume == UINT64_MAX &&
            (fill_standard_fds() < 0 || (spec ? port_open(&port, spec, &err) : port_open_stdio(&port, &err)) < 0)) {
                log_error("%s", err.code ? err.message : "cannot open '/dev/null'");
                return error_exit_status(err.code ? err.code : ERR_FAILED);
        }
        status = run(&port, resume == UINT64_MAX ? -1 : (int)resume);
        port_done(&port);
        return status;
}
