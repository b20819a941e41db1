/* SPDX-License-Identifier: MIT */
/* What can be known before minutes of work: tools, rights, space, mirrors and keys. */
#include "provision/bootstrap.h"

#include "base/file.h"
#include "base/util.h"
#include "provision/host.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MAX (1024 * 1024)

#define APT_HELPER "/usr/lib/apt/apt-helper"

/* A mirror that does not answer in this time is not reachable; the download itself may take its time. */
#define MIRROR_TIMEOUT "10"

static const struct host_tool tools[] = {
        {"mmdebstrap", "mmdebstrap", false}, {"mke2fs", "e2fsprogs", false}, {"sfdisk", "fdisk", false},
        {"qemu-img", "qemu-utils", false},   {APT_HELPER, "apt", false},     {"unshare", "util-linux", false},
        {"newuidmap", "uidmap", true},
};

static int check_tools(const struct bootstrap *b, struct error *err)
{
        static const struct host_tool fat = {"mkfs.fat", "dosfstools", false};

        if (host_check_tools(tools, ARRAY_SIZE(tools), b->privileged, err) < 0)
                return -1;
        return b->layout.efi ? host_check_tools(&fat, 1, b->privileged, err) : 0;
}

/* Whether the file gives this user a range: lines of NAME:START:COUNT or UID:START:COUNT (subuid(5)). */
static bool has_range(const char *path, const char *user, uid_t uid)
{
        autofree char *text = file_read(path, KEY_MAX, NULL, NULL), *number = xasprintf("%u", uid);
        autostrv char **lines = text ? strv_split(text, "\n") : NULL;

        for (char **l = lines; l && *l; l++) {
                size_t n = strcspn(*l, ":");
                if ((strlen(user) == n && strncmp(*l, user, n) == 0) || (strlen(number) == n && strncmp(*l, number, n) == 0))
                        return true;
        }
        return false;
}

static int check_user(struct error *err)
{
        const struct passwd *pw = getpwuid(geteuid());
        const char *user = pw ? pw->pw_name : "";

        if (has_range("/etc/subuid", user, geteuid()) && has_range("/etc/subgid", user, geteuid()))
                return 0;
        return error_set(err, ERR_DENIED,
                         "the user '%s' has no subordinate users and groups, which building without root needs: have root run "
                         "'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s' with a range that is free",
                         user, user);
}

int bootstrap_check(struct bootstrap *b, struct error *err)
{
        struct stat st;

        if (!streq(b->image->architecture, image_host_architecture()))
                return error_set(err, ERR_UNSUPPORTED, "the image '%s' is for %s, this host is %s: choose an image for %s",
                                 b->image->name, b->image->architecture, image_host_architecture(), image_host_architecture());
        if (check_tools(b, err) < 0 || (!b->privileged && check_user(err) < 0) || host_check_space(b->request->folder, err) < 0 ||
            host_check_space(b->temporary, err) < 0)
                return -1;
        if (stat(b->image->keyring, &st) < 0)
                return error_set(err, ERR_NOT_FOUND, "the archive's keys '%s' are missing; install them with: apt install %s",
                                 b->image->keyring, b->image->keyring_package);
        return 0;
}

/* Fetches a URL to a file; errors are in the run's tail. */
static int fetch(struct bootstrap *b, const char *url, const char *path, struct error *err)
{
        autofree char *proxy = bootstrap_proxy(b) ? xasprintf("Acquire::http::Proxy=%s", bootstrap_proxy(b)) : NULL;
        char *argv[] = {APT_HELPER,
                        "-q",
                        "-o",
                        "Acquire::Retries=1",
                        "-o",
                        "Acquire::http::Timeout=" MIRROR_TIMEOUT,
                        "-o",
                        "Acquire::https::Timeout=" MIRROR_TIMEOUT,
                        "-o",
                        "APT::Sandbox::User=",
                        "download-file",
                        (char *)url,
                        (char *)path,
                        proxy ? "-o" : NULL,
                        proxy,
                        NULL};
        const struct run_tool tool = {.argv = argv, .environment = b->environment, .timeout = 60, .cwd = "/"};

        return run_tool(b->run, &tool, err);
}

/* What apt says about the URL: "E: Failed to fetch URL  REASON". */
static const char *fetch_reason(const struct bootstrap *b)
{
        const char *line = run_tail_find(b->run, "E: Failed to fetch ");
        const char *reason = line ? strstr(line + strlen("E: Failed to fetch "), " ") : NULL;

        return reason ? reason + strspn(reason, " ") : "no reason was given";
}

static int check_mirror(struct bootstrap *b, const struct plan_source *s, struct error *err)
{
        autofree char *path = xasprintf("%s/release", b->work);
        bool flat = !s->components;
        autofree char *folder = flat ? xasprintf("%s/%s", s->uri, s->suite) : xasprintf("%s/dists/%s", s->uri, s->suite);
        const char *slash = str_has_suffix(folder, "/") ? "" : "/";
        autofree char *inline_release = xasprintf("%s%sInRelease", folder, slash),
                      *release = xasprintf("%s%sRelease", folder, slash);
        autofree char *signature = xasprintf("%s%sRelease.gpg", folder, slash);
        autofree char *where = s->line ? xasprintf("%s:%u: ", b->preseed->filename, s->line) : xstrdup("");
        autofree char *reason = NULL;

        if (fetch(b, inline_release, path, err) == 0)
                return 0;
        if (err->code == ERR_CANCELLED)
                return -1;
        reason = xstrdup(fetch_reason(b));
        if (!strstr(reason, "404"))
                return error_set(
                        err, err->code == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_FAILED,
                        "%sthe mirror '%s' cannot be reached: %s; check the network, or choose another one with --mirror", where,
                        s->uri, reason);
        /* An older way of signing, or none at all, which apt is to say; or there is nothing. */
        if (fetch(b, release, path, err) < 0)
                return err->code == ERR_CANCELLED
                               ? -1
                               : error_set(err, ERR_NOT_FOUND,
                                           "%sthe mirror '%s' has no suite '%s': check its URL, or leave a service "
                                           "out with 'apt-setup/services-select' in the preseed",
                                           where, s->uri, s->suite);
        if (b->plan->allow_unsigned || fetch(b, signature, path, err) == 0)
                return 0;
        if (err->code == ERR_CANCELLED)
                return -1;
        return error_set(
                err, ERR_DENIED,
                "%sthe mirror '%s' is not signed, so nothing from it can be trusted: choose a signed mirror with --mirror", where,
                s->uri);
}

int bootstrap_check_mirrors(struct bootstrap *b, struct error *err)
{
        for (size_t i = 0; i < b->plan->n_sources; i++)
                if (check_mirror(b, &b->plan->sources[i], err) < 0)
                        return -1;
        return 0;
}

int bootstrap_keys(struct bootstrap *b, struct error *err)
{
        autofree char *archive = xasprintf("%s/archive", b->keys), *data = NULL;
        size_t n;

        if (dir_make(b->keys, 0755, err) < 0)
                return -1;
        data = file_read(b->image->keyring, KEY_MAX, &n, err);
        if (!data || file_write_atomic(archive, 0644, data, n, err) < 0)
                return -1;
        for (size_t i = 0; i < b->plan->n_sources; i++) {
                const struct plan_source *s = &b->plan->sources[i];
                autofree char *path = xasprintf("%s/%s", b->keys, s->name);

                if (!s->key)
                        continue;
                if (fetch(b, s->key, path, err) < 0)
                        return err->code == ERR_CANCELLED
                                       ? -1
                                       : error_set(err, ERR_FAILED, "%s:%u: the key '%s' cannot be fetched: %s",
                                                   b->preseed->filename, s->line, s->key, fetch_reason(b));
                chmod(path, 0644);
        }
        return 0;
}
