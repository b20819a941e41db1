/* SPDX-License-Identifier: MIT */
#include "job/place.h"

#include "base/project.h"
#include "base/util.h"
#include "chroot/enter.h"
#include "chroot/runs.h"
#include "job/place_here.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Folders kept open by nftw(3) at once. */
#define WALK_FDS 32

static volatile sig_atomic_t told_to_end;

static void on_signal(int signo)
{
        told_to_end = signo;
}

/* While a command runs they are passed on; in between they are remembered. */
static void catch_signals(void)
{
        const struct sigaction action = {.sa_handler = on_signal};

        for (const int *s = (const int[]){SIGTERM, SIGINT, SIGHUP, SIGQUIT, 0}; *s; s++)
                sigaction(*s, &action, NULL);
}

static int open_chroot(struct place *p, const char *what, struct error *err)
{
        const struct jobs *jobs = p->job->jobs;
        autofree char *script = job_path(p->job, JOB_SCRIPT);

        if (store_open(&p->store, jobs->state, jobs->runtime, err) < 0)
                return -1;
        p->use = store_use_shared(&p->store, p->spec->chroot, err);
        if (p->use < 0 || runs_check_chroot(&p->store, p->spec->chroot, err) < 0 ||
            overlay_new(&p->store, p->spec->chroot, what, project_of(p->job->work), &p->overlay, err) < 0)
                return -1;
        p->work = xstrdup(PLACE_WORK);
        p->script = xstrdup(PLACE_SCRIPT);
        strv_addf(&p->binds, "%s:" PLACE_WORK, p->job->work);
        if (p->spec->script)
                strv_addf(&p->binds, "%s:" PLACE_SCRIPT, script);
        return 0;
}

/* Where it is: the overlay knows the store by its address. */
int place_open(const struct job *job, const struct spec *spec, const char *what, struct place *p, struct error *err)
{
        *p = (struct place)PLACE_INIT;
        p->job = job;
        p->spec = spec;
        catch_signals();
        if (spec->chroot && open_chroot(p, what, err) < 0) {
                place_close(p);
                return -1;
        }
        if (!spec->chroot) {
                p->work = xstrdup(job->work);
                p->script = job_path(job, JOB_SCRIPT);
        }
        return 0;
}

void place_close(struct place *p)
{
        overlay_done(&p->overlay);
        cleanup_close(&p->use);
        store_done(&p->store);
        strv_free(p->binds);
        free(p->work);
        free(p->script);
        *p = (struct place)PLACE_INIT;
}

static int run_in_chroot(struct place *p, const struct place_command *c, int *ret_wait_status, struct error *err)
{
        static char *const login[] = {NULL};
        const struct enter e = {.overlay = &p->overlay,
                                .name = p->spec->chroot,
                                .argv = c->argv ? c->argv : login,
                                .user = c->user,
                                .cwd = c->cwd ? c->cwd : p->work,
                                .environment = c->environment,
                                .binds = p->binds,
                                .no_network = !c->network,
                                .terminal = c->terminal};

        return enter_run(&e, ret_wait_status, err);
}

int place_run(struct place *p, const struct place_command *c, int *ret_wait_status, struct error *err)
{
        if (told_to_end)
                return error_set(err, ERR_CANCELLED, "it was told to end before its command began");
        return p->spec->chroot ? run_in_chroot(p, c, ret_wait_status, err) : place_run_here(p, c, ret_wait_status, err);
}

int place_account(const struct place *p, const char *user, struct account *ret, struct error *err)
{
        return account_find_below(p->spec->chroot ? p->overlay.root : "", user, ret, err);
}

static _Thread_local const struct account *new_owner;

static int give(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return lchown(path, new_owner->uid, new_owner->gid);
}

int place_give_workspace(const struct place *p, const char *user, struct error *err)
{
        struct account account = {0};
        int r = 0;

        if (place_account(p, user, &account, err) < 0)
                return -1;
        new_owner = &account;
        if (account.uid != 0 && nftw(p->job->work, give, WALK_FDS, FTW_PHYS | FTW_MOUNT) != 0)
                r = error_errno(err, errno, "cannot give the workspace to '%s'", account.name);
        account_done(&account);
        return r;
}
