/* SPDX-License-Identifier: MIT */
/*
 * Run and shell: a command on an overlay over a chroot, and what becomes of its changes.
 *
 * What is saved is a tree of its own before it gets a name, and gets it by one rename: either a new one, or the chroot's own, for
 * which nobody else may be using that.
 */
#include "base/file.h"
#include "base/process.h"
#include "chroot/command_private.h"
#include "chroot/enter.h"
#include "chroot/farm.h"
#include "chroot/overlay.h"
#include "chroot/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A line that is typed for a name. */
#define ANSWER_MAX 512

struct use {
        struct chroot_command *c;
        const char *name;
        int fd; /* of the chroot: locked */
        struct overlay overlay;
        bool used_up; /* the changes were moved into what was to be saved */
};

/* What others are told about us. */
static char *describe(const char *what, const struct chroot_command *c)
{
        autofree char *words = strv_join(c->operands + 1, " ");

        return xasprintf("%s %s%s%.80s", what, c->operands[0], *words ? " -- " : "", words);
}

static int check_binds(char *const *binds, struct error *err)
{
        for (; binds && *binds; binds++) {
                autofree char *source = xstrndup(*binds, strcspn(*binds, ":"));

                if (source[0] != '/')
                        return error_set(err, ERR_INVALID, "'--bind %s' must begin with an absolute path in the VM", *binds);
                if (access(source, F_OK) < 0)
                        return error_errno(err, errno, "cannot bind '%s', a path in the VM", source);
        }
        return 0;
}

/* Those that would end us: while the command runs they are passed on (enter.h), and what comes then is not done by halves. */
static void on_signals(void (*handler)(int signo))
{
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
        const struct sigaction action = {.sa_handler = handler};

        for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                sigaction(signals[i], &action, NULL);
}

static int begin(struct use *u, struct chroot_command *c, const char *what, struct error *err)
{
        autofree char *command = describe(what, c);

        on_signals(SIG_IGN);
        *u = (struct use){.c = c, .name = c->operands[0], .fd = -1, .overlay = OVERLAY_INIT};
        if (check_binds(c->binds, err) < 0)
                return -1;
        u->fd = store_use_shared(c->store, u->name, err);
        if (u->fd < 0 || runs_check_chroot(c->store, u->name, err) < 0)
                return -1;
        return overlay_new(c->store, u->name, command, 0, &u->overlay, err);
}

static void end(struct use *u)
{
        overlay_done(&u->overlay);
        cleanup_close(&u->fd);
}

static int enter(struct use *u, struct error *err)
{
        const char *term = getenv("TERM");
        const struct chroot_command *c = u->c;
        struct enter e = {.overlay = &u->overlay,
                          .name = u->name,
                          .argv = c->operands + 1,
                          .user = c->user,
                          .cwd = c->cwd,
                          .binds = c->binds,
                          .no_native = c->no_native,
                          .terminal = c->terminal};
        int wait_status;

        if (c->terminal && term)
                strv_addf(&u->c->environment, "TERM=%s", term);
        e.environment = c->environment;
        if (enter_run(&e, &wait_status, err) < 0)
                return -1;
        u->c->status = process_exit_status(wait_status);
        return 0;
}

/* ---- saving */

/* The name is free, or our own and nobody else's in use. Returns the fd of store_lock(). */
static int lock_name(struct use *u, const char *as, bool own, struct error *err)
{
        autoclose int lock = store_lock(u->c->store, err);

        if (lock < 0)
                return -1;
        if (own ? store_use_alone(u->c->store, u->name, u->fd, err) < 0 : store_check_free(u->c->store, as, err) < 0)
                return -1;
        return take_fd(&lock);
}

static int save(struct use *u, const char *as, struct error *err)
{
        const struct store *s = u->c->store;
        bool own = streq(as, u->name);
        autofree char *base = xasprintf("%s/%s/root", s->chroots, u->name), *origin = xasprintf("saved from %s", u->name);
        autonew struct new_chroot n = NEW_CHROOT_INIT;
        autojson struct json_object *record = NULL;
        autoclose int lock = -1;

        if (chroot_name_check(as, err) < 0 || (lock = lock_name(u, as, own, err)) < 0)
                return -1;
        if (!own) /* for our own the exclusive lock is held from here on */
                close(take_fd(&lock));
        record = store_record(s, u->name, err);
        cleanup_close(&lock);
        lock = -1;
        if (!record || overlay_unmount(&u->overlay, err) < 0 || store_new(s, &n, err) < 0)
                return -1;
        u->used_up = true;
        if (farm_copy(base, u->overlay.upper, n.root, err) < 0)
                return -1;
        json_add_string(record, "name", as);
        json_object_object_del(record, "key"); /* it is not what was made any more */
        if (!own)
                json_add_string(record, "origin", origin);
        json_add_u64(record, "created", (uint64_t)time(NULL));
        json_add_u64(record, "size", tree_size(n.root));
        lock = store_lock(s, err);
        return lock < 0 ? -1 : store_commit(s, &n, as, record, own ? u->fd : -1, err);
}

static int save_and_say(struct use *u, const char *as, struct error *err)
{
        if (save(u, as, err) < 0)
                return error_prefix(err, "nothing was saved");
        dprintf(STDERR_FILENO, "initvm: saved as '%s'\n", as);
        return 0;
}

static void on_interrupt(int signo)
{
        (void)signo; /* it interrupts read(2) */
}

/* Asks for one line from the terminal; it comes without its newline. False at the end of the input, and after Ctrl-C, also one
 * that is typed before we wait: signals are let through only while we do. */
static bool ask(const char *name, char *answer)
{
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        sigset_t all, before;
        ssize_t n = -1;

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &before);
        on_signals(on_interrupt);
        dprintf(STDOUT_FILENO, "Save as [%s] (Ctrl-C discards): ", name);
        if (ppoll(&p, 1, NULL, &before) > 0)
                n = read(STDIN_FILENO, answer, ANSWER_MAX - 1);
        on_signals(SIG_IGN);
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (n <= 0)
                return false;
        answer[n] = '\0';
        answer[strcspn(answer, "\n")] = '\0';
        return true;
}

/* Until there is a good answer. */
static int ask_and_save(struct use *u, struct error *err)
{
        char answer[ANSWER_MAX];

        for (;;) {
                const char *as;
                struct error why = ERROR_INIT;

                if (!ask(u->name, answer)) {
                        dprintf(STDOUT_FILENO, "\ninitvm: the changes are discarded\n");
                        return 0;
                }
                as = *answer ? answer : u->name;
                if (save(u, as, &why) == 0) {
                        dprintf(STDOUT_FILENO, "initvm: saved as '%s'\n", as);
                        return 0;
                }
                if (u->used_up || (why.code != ERR_EXISTS && why.code != ERR_INVALID && why.code != ERR_STATE)) {
                        *err = why;
                        return error_prefix(err, "nothing was saved");
                }
                dprintf(STDOUT_FILENO, "initvm: %s\n", why.message);
        }
}

/* ---- the commands */

/* A command that failed has left something half done, as a rule. */
int chroot_run(struct chroot_command *c, struct error *err)
{
        struct use u;
        int r = -1;

        if (begin(&u, c, "run", err) == 0 && enter(&u, err) == 0)
                r = 0;
        if (r == 0 && c->save_as && c->status != 0)
                dprintf(STDERR_FILENO, "initvm: nothing was saved, because the command failed with exit status %d\n", c->status);
        else if (r == 0 && c->save_as)
                r = save_and_say(&u, *c->save_as ? c->save_as : u.name, err);
        end(&u);
        return r;
}

/* The exit status of a shell is that of its last command, and says nothing of the changes. */
int chroot_shell(struct chroot_command *c, struct error *err)
{
        struct use u;
        int r = -1;

        if (begin(&u, c, "shell", err) == 0 && enter(&u, err) == 0)
                r = 0;
        if (r == 0 && c->save_as)
                r = save_and_say(&u, *c->save_as ? c->save_as : u.name, err);
        else if (r == 0 && c->ask)
                r = ask_and_save(&u, err);
        end(&u);
        return r;
}
