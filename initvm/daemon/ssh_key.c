/* SPDX-License-Identifier: MIT */
/*
 * Making a VM's key pair.  It is made in a folder beside, which one rename puts in its place, so that there is a whole pair or
 * none; of several made at once, the first stays.
 */
#include "base/file.h"
#include "base/process.h"
#include "daemon/ssh_identity.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ssh-keygen needs some milliseconds for this kind of key. */
#define KEYGEN_TIMEOUT_MS 30000

struct ssh_key_making {
        struct loop *loop;
        struct ssh_identity identity;
        char *name;
        char *beside; /* the folder it is made in; NULL: none */
        pid_t pid;
        struct loop_source *child;
        struct loop_source *deadline;
        bool cancelled;
        ssh_key_fn fn;
        void *userdata;
};

static void making_free(struct ssh_key_making *m)
{
        if (m->beside)
                tree_remove(m->beside, NULL);
        loop_source_free(m->child);
        loop_source_free(m->deadline);
        ssh_identity_done(&m->identity);
        free(m->beside);
        free(m->name);
        free(m);
}

static void finish(struct ssh_key_making *m, const struct error *err)
{
        if (!m->cancelled)
                m->fn(m->userdata, err);
        making_free(m);
}

static int put_in_place(struct ssh_key_making *m, struct error *err)
{
        if (rename(m->beside, m->identity.folder) == 0) {
                free(take_ptr(m->beside));
                return 0;
        }
        if (access(m->identity.key, F_OK) == 0 && access(m->identity.public_key, F_OK) == 0)
                return 0; /* somebody was faster */
        return error_errno(err, errno, "cannot put the SSH key of VM '%s' into '%s'; remove what is there", m->name,
                           m->identity.folder);
}

static void on_keygen(void *userdata, int wait_status)
{
        struct ssh_key_making *m = userdata;
        struct error err = ERROR_INIT;

        if (wait_status != 0) {
                error_set(&err, ERR_FAILED, "ssh-keygen made no key in '%s': %s", m->beside, process_status_text(wait_status));
                finish(m, &err);
        } else {
                finish(m, put_in_place(m, &err) < 0 ? &err : NULL);
        }
}

static void on_deadline(void *userdata)
{
        struct ssh_key_making *m = userdata;

        kill(m->pid, SIGKILL); /* its end is the next event */
}

static int start(struct ssh_key_making *m, struct error *err)
{
        autofree char *folder = xasprintf("%s.XXXXXX", m->identity.folder), *file = NULL, *comment = NULL;

        if (!mkdtemp(folder)) /* 0700 */
                return error_errno(err, errno, "cannot make a folder beside '%s'", m->identity.folder);
        m->beside = take_ptr(folder);
        file = xasprintf("%s/id_ed25519", m->beside);
        comment = xasprintf("initvm-%s", m->name);
        char *const argv[] = {(char *)"ssh-keygen", (char *)"-q", (char *)"-t", (char *)"ed25519",
                              (char *)"-N",         (char *)"",   (char *)"-C", comment,
                              (char *)"-f",         file,         NULL};

        if (process_spawn(argv, NULL, &m->pid, err) < 0)
                return error_prefix(err, "an SSH key for VM '%s' needs the package openssh-client", m->name);
        m->child = loop_add_child(m->loop, m->pid, on_keygen, m);
        m->deadline = loop_add_timer(m->loop, on_deadline, m);
        loop_timer_arm(m->deadline, KEYGEN_TIMEOUT_MS);
        return 0;
}

static void on_start(void *userdata)
{
        struct ssh_key_making *m = userdata;
        struct error err = ERROR_INIT;
        bool there = access(m->identity.key, F_OK) == 0 && access(m->identity.public_key, F_OK) == 0;

        if (there || m->cancelled)
                finish(m, NULL);
        else if (start(m, &err) < 0)
                finish(m, &err);
}

struct ssh_key_making *ssh_identity_make_key(struct loop *loop, const char *vm_folder, const char *vm_name, ssh_key_fn fn,
                                             void *userdata)
{
        struct ssh_key_making *m = xcalloc(1, sizeof(*m));

        m->loop = loop;
        m->name = xstrdup(vm_name);
        m->fn = fn;
        m->userdata = userdata;
        ssh_identity_init(&m->identity, vm_folder, vm_name);
        loop_post(loop, on_start, m);
        return m;
}

void ssh_identity_make_key_cancel(struct ssh_key_making *m)
{
        if (!m)
                return;
        m->cancelled = true; /* it goes on to the child's end, which must be reaped, and frees itself */
}
