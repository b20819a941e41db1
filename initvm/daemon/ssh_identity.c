/* SPDX-License-Identifier: MIT */
#include "daemon/ssh_identity.h"

#include "base/embed.h"
#include "base/file.h"
#include "daemon/guest_exec.h"
#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A short script under emulation. */
#define GUEST_TIMEOUT_MS 60000u

/* Of what the guest prints; a host key has some hundred bytes. */
#define HOST_KEYS_MAX 16u

#define KEY_FILE_MAX (64 * 1024)

EMBED(ssh_guest_script, "daemon/ssh_guest.sh");
extern const char ssh_guest_script[];

struct ssh_preparation {
        struct daemon *daemon;
        struct ssh_identity identity;
        char *name; /* of the VM, which may be gone before each step */
        bool renew;
        ssh_prepared_fn fn;
        void *userdata;
        struct ssh_key_making *making;
        struct vm_waiter *waiter;
        struct guest_exec *guest;
        int output;
};

void ssh_identity_init(struct ssh_identity *i, const char *vm_folder, const char *vm_name)
{
        i->folder = xasprintf("%s/ssh", vm_folder);
        i->key = xasprintf("%s/id_ed25519", i->folder);
        i->public_key = xasprintf("%s.pub", i->key);
        i->known_hosts = xasprintf("%s/known_hosts", i->folder);
        i->config = xasprintf("%s/config", i->folder);
        i->alias = xasprintf("initvm-%s", vm_name);
}

void ssh_identity_done(struct ssh_identity *i)
{
        free(i->folder);
        free(i->key);
        free(i->public_key);
        free(i->known_hosts);
        free(i->config);
        free(i->alias);
        *i = (struct ssh_identity){0};
}

void ssh_identity_prepare_cancel(struct ssh_preparation *p)
{
        if (!p)
                return;
        ssh_identity_make_key_cancel(p->making);
        vm_waiter_free(p->waiter);
        guest_exec_cancel(p->guest);
        cleanup_close(&p->output);
        ssh_identity_done(&p->identity);
        free(p->name);
        free(p);
}

static void finish(struct ssh_preparation *p, bool differs, const struct error *err)
{
        p->fn(p->userdata, err ? NULL : &p->identity, differs, err);
        ssh_identity_prepare_cancel(p);
}

/* ---- what the guest says */

static bool is_word(const char *text)
{
        return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=@.-")] == '\0';
}

static int read_line(const char *text, const char *vm_name, char ***lines, struct error *err)
{
        autostrv char **words = strv_split(text, " ");

        if (strv_length(words) == 2 && streq(words[0], "missing") && streq(words[1], "sshd"))
                return error_set(err, ERR_NOT_FOUND,
                                 "VM '%s' has no SSH server: install it with 'initvm -n %s exec -- apt-get install "
                                 "openssh-server', or name openssh-server in the pkgsel/include of its preseed",
                                 vm_name, vm_name);
        if (strv_length(words) == 2 && streq(words[0], "missing") && streq(words[1], "keys-file"))
                return error_set(err, ERR_NOT_FOUND,
                                 "the SSH server of VM '%s' does not look at our key: its configuration needs the line "
                                 "'AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/initvm_authorized_keys'",
                                 vm_name);
        if (strv_length(words) == 2 && streq(words[0], "missing") && streq(words[1], "server"))
                return error_set(
                        err, ERR_NOT_FOUND,
                        "the SSH server of VM '%s' cannot be started: 'initvm -n %s exec -- systemctl status ssh' tells why",
                        vm_name, vm_name);
        if (strv_length(words) != 3 || !streq(words[0], "host-key") || !is_word(words[1]) || !is_word(words[2]) ||
            strv_length(*lines) == HOST_KEYS_MAX)
                return error_set(err, ERR_PROTOCOL, "VM '%s' said '%s' when it was asked for its SSH host keys", vm_name, text);
        strv_addf(lines, "initvm-%s %s %s", vm_name, words[1], words[2]);
        return 0;
}

int ssh_identity_read_guest(const char *text, const char *vm_name, char **ret, struct error *err)
{
        autostrv char **printed = strv_split(text, "\n"), **lines = NULL;
        autofree char *joined = NULL;

        for (char **line = printed; *line; line++)
                if (read_line(*line, vm_name, &lines, err) < 0)
                        return -1;
        if (!lines)
                return error_set(err, ERR_NOT_FOUND,
                                 "the SSH server of VM '%s' has no host key: 'initvm -n %s exec -- ssh-keygen -A' makes them",
                                 vm_name, vm_name);
        joined = strv_join(lines, "\n");
        *ret = xasprintf("%s\n", joined);
        return 0;
}

/* A pinned key that the guest does not have any more. */
static bool pins_another(const char *pinned, const char *fetched)
{
        autostrv char **old = strv_split(pinned, "\n"), **new = strv_split(fetched, "\n");

        for (char **line = old; *line; line++)
                if (!strv_contains(new, *line))
                        return true;
        return false;
}

static int pin(const struct ssh_preparation *p, const char *fetched, bool *ret_differs, struct error *err)
{
        autofree char *pinned = NULL;

        if (p->renew || access(p->identity.known_hosts, F_OK) < 0)
                return file_write_atomic(p->identity.known_hosts, 0600, fetched, strlen(fetched), err);
        pinned = file_read(p->identity.known_hosts, KEY_FILE_MAX, NULL, err);
        if (!pinned)
                return -1;
        *ret_differs = pins_another(pinned, fetched);
        return 0;
}

static void on_guest_done(void *userdata, const struct error *why)
{
        struct ssh_preparation *p = userdata;
        struct error err = ERROR_INIT;
        char text[GUEST_OUTPUT_MAX + 1] = "";
        autofree char *fetched = NULL;
        bool differs = false;

        p->guest = NULL; /* it frees itself */
        if (why) {
                error_set(&err, why->code, "preparing the SSH server in VM '%s': %s", p->name, why->message);
                finish(p, false, &err);
                return;
        }
        if (pread(p->output, text, GUEST_OUTPUT_MAX, 0) < 0)
                text[0] = '\0';
        if (ssh_identity_read_guest(text, p->name, &fetched, &err) < 0 || pin(p, fetched, &differs, &err) < 0) {
                finish(p, false, &err);
                return;
        }
        finish(p, differs, NULL);
}

/* ---- the steps */

/* The VM, or that of a create's first boot. */
static struct vm *find_vm(const struct ssh_preparation *p, struct error *err)
{
        struct vm *created = manager_creating_vm(p->daemon->manager, p->name);

        return created ? created : manager_find(p->daemon->manager, p->name, err);
}

static int ask_guest(struct ssh_preparation *p, struct error *err)
{
        struct vm *vm = find_vm(p, err);
        autofree char *public_key = NULL;

        if (!vm)
                return -1;
        public_key = file_read(p->identity.public_key, KEY_FILE_MAX, NULL, err);
        p->output = public_key ? guest_exec_memory(err) : -1;
        if (p->output < 0)
                return -1;
        public_key[strcspn(public_key, "\n")] = '\0';
        char *const argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)ssh_guest_script, (char *)"initvm-ssh", public_key, NULL};

        p->guest = guest_exec_start(p->daemon->loop, vm_channel(vm), argv, p->output, GUEST_TIMEOUT_MS, on_guest_done, p, err);
        return p->guest ? 0 : -1;
}

static void on_ready(void *userdata, const struct error *why_not)
{
        struct ssh_preparation *p = userdata;
        struct error err = ERROR_INIT;

        p->waiter = NULL;
        if (why_not)
                finish(p, false, why_not);
        else if (ask_guest(p, &err) < 0)
                finish(p, false, &err);
}

static void on_key(void *userdata, const struct error *why_not)
{
        struct ssh_preparation *p = userdata;
        struct error err = ERROR_INIT;
        struct vm *vm = find_vm(p, &err);
        struct vm_waiter *waiter;

        p->making = NULL;
        if (why_not || !vm) {
                finish(p, false, why_not ? why_not : &err);
                return;
        }
        waiter = vm_when_ready(vm, READY_TIMEOUT_MS, on_ready, p);
        if (waiter)
                p->waiter = waiter; /* else p may be gone already */
}

struct ssh_preparation *ssh_identity_prepare(struct daemon *daemon, struct vm *vm, bool renew, ssh_prepared_fn fn, void *userdata)
{
        struct ssh_preparation *p = xcalloc(1, sizeof(*p));

        p->daemon = daemon;
        p->name = xstrdup(vm_record(vm)->name);
        p->renew = renew;
        p->fn = fn;
        p->userdata = userdata;
        p->output = -1;
        ssh_identity_init(&p->identity, vm_folder(vm), p->name);
        p->making = ssh_identity_make_key(daemon->loop, vm_folder(vm), p->name, on_key, p);
        return p;
}

/* ---- of a machine that got its keys offline */

int ssh_identity_pin(const char *vm_folder, const char *vm_name, struct error *err)
{
        autofree char *path = xasprintf("%s/host-key.pub", vm_folder), *text = file_read(path, KEY_FILE_MAX, NULL, err);
        autofree char *line = NULL;
        autostrv char **words = text ? strv_split(text, " \n") : NULL; /* type, key, comment */
        struct ssh_identity identity;
        int r;

        if (!text)
                return -1;
        if (strv_length(words) < 2)
                return error_set(err, ERR_PROTOCOL, "'%s' is no public key", path);
        ssh_identity_init(&identity, vm_folder, vm_name);
        line = xasprintf("%s %s %s\n", identity.alias, words[0], words[1]);
        r = file_write_atomic(identity.known_hosts, 0600, line, strlen(line), err);
        ssh_identity_done(&identity);
        if (r == 0)
                unlink(path);
        return r;
}
