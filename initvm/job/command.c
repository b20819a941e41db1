/* SPDX-License-Identifier: MIT */
#include "job/command.h"

#include "archive/report.h"
#include "base/boot_id.h"
#include "base/file.h"
#include "base/process.h"
#include "base/project.h"
#include "base/util.h"
#include "chroot/store.h"
#include "job/artifacts.h"
#include "job/end.h"
#include "job/follow.h"
#include "job/log.h"
#include "job/new_job.h"
#include "job/runner.h"
#include "job/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct job_command {
        struct jobs jobs;
        struct job job;
        char **operands; /* after ID and TOKEN */
        const char *id, *token;
        bool terminal;
        bool allow_empty;
        int status; /* of run: the command's own */
};

static int create(struct job_command *c, struct error *err)
{
        return new_job(&c->jobs, c->id, c->token, STDIN_FILENO, err);
}

static int start(struct job_command *c, struct error *err)
{
        autospec struct spec spec = {0};

        return spec_of(&c->job, &spec, err) < 0 ? -1 : unit_start(&c->job, &spec, err);
}

static int follow_log(struct job_command *c, struct error *err)
{
        uint64_t offset;

        if (parse_u64(c->operands[0], 0, INT64_MAX, &offset) < 0)
                return error_set(err, ERR_INVALID, "'%s' is not an offset in a log", c->operands[0]);
        return follow(&c->job, offset, FOLLOW_BEAT_MS, err);
}

static uint64_t log_size(const struct job *job)
{
        autofree char *path = job_path(job, JOB_LOG);
        struct stat st;

        return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* Why there is no result. */
static const char *why_lost(const struct job *job)
{
        autojson struct json_object *started = job_read(job, JOB_STARTED, NULL);
        autofree char *boot = boot_id();

        if (started && !streq(json_get_string(started, "boot", ""), boot))
                return "the VM was started anew while the job was running";
        return "the job has ended in the VM without a result";
}

/* The state is asked first: whoever has ended by then has a result, and a log that does not grow. */
static struct json_object *describe(const struct job *job, bool here)
{
        enum job_state state = here ? job_state(job) : JOB_ABSENT;
        struct json_object *o = json_new();

        json_add_string(o, "state", job_state_name(state));
        if (state == JOB_ENDED)
                json_add(o, "result", job_read(job, JOB_RESULT, NULL));
        if (state == JOB_LOST)
                json_add_string(o, "reason", why_lost(job));
        if (state != JOB_ABSENT)
                json_add_u64(o, "log", log_size(job));
        return o;
}

static int status(struct job_command *c, struct error *err)
{
        autojson struct json_object *o = describe(&c->job, job_is(&c->job, c->token));

        (void)err;
        printf("%s\n", json_line(o));
        return 0;
}

static int list(struct job_command *c, struct error *err)
{
        autostrv char **ids = jobs_ids(&c->jobs);

        for (char **id = ids; *id; id++) {
                autojob struct job job = JOB_INIT;
                autojson struct json_object *o = NULL;

                if (job_find(&c->jobs, *id, NULL, &job, err) < 0)
                        return -1;
                if (!job.token) { /* its name reached the disk before its files did, when the machine was switched off */
                        job_remove(&job, NULL);
                        continue;
                }
                o = describe(&job, true);
                json_add_u64(o, "id", strtoull(*id, NULL, 10));
                json_add_string(o, "token", job.token);
                printf("%s\n", json_line(o));
        }
        return 0;
}

static int copy_times(struct job_command *c, struct error *err)
{
        autofree char *path = job_path(&c->job, JOB_TIMES), *piece = xcalloc(1, 64u << 10);
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        ssize_t n = -1;

        while (fd >= 0 && (n = read(fd, piece, 64u << 10)) > 0)
                if (fd_write_all(STDOUT_FILENO, piece, (size_t)n) < 0)
                        return error_errno(err, errno, "cannot pass the times on");
        return n < 0 ? error_errno(err, errno, "cannot read '%s'", path) : 0;
}

/* Written down before the unit is stopped: keeper.c. */
static int write_cancelled(const struct job *job, struct error *err)
{
        autofree char *path = job_path(job, JOB_CANCELLED);
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        return fd < 0 ? error_errno(err, errno, "cannot write '%s'", path) : 0;
}

static int cancel(struct job_command *c, struct error *err)
{
        enum job_state state = job_state(&c->job);

        if (!job_is(&c->job, c->token) || state == JOB_ABSENT || state == JOB_ENDED || state == JOB_LOST)
                return 0;
        if (write_cancelled(&c->job, err) < 0 || unit_stop(&c->job, err) < 0)
                return -1;
        return job_state(&c->job) == JOB_CREATED ? end_unstarted(&c->job, err) : 0;
}

static int take_away(struct job_command *c, struct error *err)
{
        autospec struct spec spec = {0};
        autostore struct store store = {0};
        uint32_t project;

        if (!c->job.token) /* also one whose files were lost when the machine was switched off */
                return job_remove(&c->job, err);
        if (!job_is(&c->job, c->token))
                return 0;
        project = project_of(c->job.work);
        if (cancel(c, err) < 0 || spec_of(&c->job, &spec, err) < 0 || job_remove(&c->job, err) < 0)
                return -1;
        /* Opening the store is what removes the overlay of a job that the machine's end has ended. */
        store_open(&store, c->jobs.state, c->jobs.runtime, NULL);
        return spec.disk && project ? project_limit(c->jobs.folder, project, 0, err) : 0;
}

/* What is free goes back to whoever keeps the disk: FITRIM, as fstrim(8). */
static int trim(struct job_command *c, struct error *err)
{
        autoclose int fd = open(c->jobs.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct fstrim_range range = {.len = UINT64_MAX};

        if (fd < 0 || ioctl(fd, FITRIM, &range) < 0)
                return error_errno(err, errno, "cannot trim the filesystem of '%s'", c->jobs.folder);
        printf("{\"trimmed\": %" PRIu64 "}\n", (uint64_t)range.len);
        return 0;
}

static int send_artifacts(struct job_command *c, struct error *err)
{
        autospec struct spec spec = {0};

        if (spec_of(&c->job, &spec, err) < 0)
                return -1;
        return artifacts_send(&c->job, spec.artifacts, spec.allow_empty || c->allow_empty, err);
}

static int run_other(struct job_command *c, struct error *err)
{
        autospec struct spec spec = {0};
        int wait_status = 0;

        umask(022);
        if (spec_of(&c->job, &spec, err) < 0 || runner_run_other(&c->job, &spec, c->operands, c->terminal, &wait_status, err) < 0)
                return -1;
        c->status = process_exit_status(wait_status);
        return 0;
}

/* ---- the command line */

enum {
        TOKEN = 1,      /* ID and TOKEN come first */
        THERE = 2,      /* and that job must be there */
        MORE = 4,       /* operands may follow */
        OWN_STATUS = 8, /* the exit status is another program's */
        WHOLE = 16,     /* no signal ends it half-way: it is short, or ends with its input */
};

static const struct {
        const char *name;
        unsigned operands, flags;
        int (*run)(struct job_command *c, struct error *err);
} table[] = {
        {"create", 0, TOKEN | WHOLE, create},
        {"start", 0, TOKEN | THERE | WHOLE, start},
        {"follow", 1, TOKEN | THERE, follow_log},
        {"status", 0, TOKEN, status},
        {"times", 0, TOKEN | THERE, copy_times},
        {"cancel", 0, TOKEN | WHOLE, cancel},
        {"artifacts", 0, TOKEN | THERE, send_artifacts},
        {"run", 0, TOKEN | THERE | MORE | OWN_STATUS, run_other},
        {"remove", 0, TOKEN | WHOLE, take_away},
        {"list", 0, 0, list},
        {"trim", 0, 0, trim},
};

static int parse(struct job_command *c, int argc, char **argv, const char **ret_state, const char **ret_runtime,
                 struct error *err)
{
        static const struct option options[] = {
                {"terminal", no_argument, NULL, 't'},
                {"allow-empty", no_argument, NULL, 'e'},
                {"state", required_argument, NULL, 'D'},
                {"runtime", required_argument, NULL, 'R'},
                {0},
        };
        int option;

        opterr = 0; /* standard error is for reports */
        while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
                switch (option) {
                case 't':
                        c->terminal = true;
                        break;
                case 'e':
                        c->allow_empty = true;
                        break;
                case 'D':
                        *ret_state = optarg;
                        break;
                case 'R':
                        *ret_runtime = optarg;
                        break;
                default:
                        return error_set(err, ERR_UNSUPPORTED, "the agent in the VM does not know '%s'; it is of version %s",
                                         argv[optind - 1], INITVM_VERSION);
                }
        c->operands = argv + optind;
        return 0;
}

/* [ID TOKEN] [OPTION...] [OPERAND...] */
static int run(size_t i, struct job_command *c, int argc, char **argv, struct error *err)
{
        const char *state = STORE_STATE, *runtime = STORE_RUNTIME;
        unsigned flags = table[i].flags;
        size_t n;

        if (flags & TOKEN) {
                if (argc < 3)
                        return error_set(err, ERR_INVALID, "'--job %s' wants a job's id and token", table[i].name);
                c->id = argv[1];
                c->token = argv[2];
                argc -= 2;
                argv += 2;
        }
        if (parse(c, argc, argv, &state, &runtime, err) < 0)
                return -1;
        n = strv_length(c->operands);
        if (n < table[i].operands || (n > table[i].operands && !(flags & MORE)))
                return error_set(err, ERR_INVALID, "'--job %s' wants %u operands", table[i].name, table[i].operands);
        if (jobs_open(&c->jobs, state, runtime, err) < 0)
                return -1;
        new_jobs_remove_left(&c->jobs);
        if ((flags & TOKEN) && job_find(&c->jobs, c->id, c->token, &c->job, err) < 0)
                return -1;
        if ((flags & THERE) && (!job_is(&c->job, c->token) || job_state(&c->job) == JOB_ABSENT))
                return error_set(err, ERR_NOT_FOUND, "there is no job %s of this token in the VM", c->id);
        if (table[i].run(c, err) < 0)
                return -1;
        return fflush(stdout) == EOF ? error_errno(err, errno, "cannot write the result") : 0;
}

/* Returns the row, or -1. */
static int find_row(const char *name)
{
        for (size_t i = 0; name && i < ARRAY_SIZE(table); i++)
                if (streq(table[i].name, name))
                        return (int)i;
        return -1;
}

int job_main(int argc, char **argv)
{
        int row = find_row(argc > 1 ? argv[1] : NULL), r;
        unsigned flags = row < 0 ? 0 : table[row].flags;
        struct job_command c = {.job = JOB_INIT};
        struct error err = ERROR_INIT;

        signal(SIGPIPE, SIG_IGN);
        umask(0);
        for (const int *signo = (const int[]){SIGTERM, SIGINT, SIGHUP, SIGQUIT, 0}; (flags & WHOLE) && *signo; signo++)
                signal(*signo, SIG_IGN);
        if (row >= 0)
                r = run((size_t)row, &c, argc - 1, argv + 1, &err);
        else
                r = error_set(&err, ERR_UNSUPPORTED, "the agent in the VM does not know '--job %s'; it is of version %s",
                              argc < 2 ? "" : argv[1], INITVM_VERSION);
        job_done(&c.job);
        jobs_done(&c.jobs);
        if (r == 0)
                return c.status;
        if (!(flags & OWN_STATUS))
                report_error(STDERR_FILENO, &err);
        else
                dprintf(STDERR_FILENO, "initvm: %s\n", err.message);
        return flags & OWN_STATUS ? error_exec_status(err.code) : error_exit_status(err.code);
}
