/* SPDX-License-Identifier: MIT */
/*
 * What the installation will need of the mirrors, looked at and fetched by apt, with settings and a state of its own: so the
 * chain of trust is apt's (apt-secure(8)), from the image's keyring over the Release file and its date to each file's checksum.
 */
#include "base/file.h"
#include "base/util.h"
#include "provision/initrd.h"
#include "provision/installer.h"
#include "provision/udebs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* apt tells of its downloads several times a minute; its own timeouts are shorter. */
#define APT_TIMEOUT 300

/* The section of the archive that the installer's components are in. */
#define UDEB_COMPONENT "main/debian-installer"

/* Debian's whole index of components has half a megabyte. */
#define INDEX_MAX (64u << 20)

/* Compressed an initrd has some 40 MB. */
#define FILE_MAX_BYTES (512u << 20)

/* So many of the components that are missing are named. */
#define MISSING_SHOWN 4

static const char apt_settings[] = "Dir \"%s\";\n"
                                   "Dir::Etc::TrustedParts \"/nonexistent\";\n"
                                   "Dir::Etc::Trusted \"/nonexistent\";\n"
                                   "APT::Architecture \"%s\";\n"
                                   "APT::Architectures { \"%s\"; };\n"
                                   "APT::Sandbox::User \"\";\n"
                                   "APT::Update::Error-Mode \"any\";\n"
                                   "Acquire::Languages \"none\";\n"
                                   "Acquire::Retries \"2\";\n"
                                   "Acquire::http::Timeout \"20\";\n"
                                   "Acquire::https::Timeout \"20\";\n"
                                   "Acquire::Check-Valid-Until \"true\";\n";

static int write_file(const char *folder, const char *name, const char *text, struct error *err)
{
        autofree char *path = xasprintf("%s/%s", folder, name);

        return file_write_atomic(path, 0644, text, strlen(text), err);
}

/* All of the archive, and not the preseed's own repositories: their keys are fetched by the installer alone. */
static char *sources(const struct installer *in)
{
        autobuf struct buf b = {0};
        autostrv char **keyrings = NULL;
        autofree char *own = NULL;

        for (size_t i = 0; i < in->plan->n_sources; i++)
                strv_add(&keyrings, in->image->keyring);
        own = plan_sources_text(in->plan, false, keyrings);
        buf_printf(&b, "%s", own);
        buf_printf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: " UDEB_COMPONENT "\n%sSigned-By: %s\n",
                   in->plan->sources[0].uri, in->plan->sources[0].suite, in->plan->allow_unsigned ? "Trusted: yes\n" : "",
                   in->image->keyring);
        return buf_take_string(&b);
}

static int prepare(struct installer *in, struct error *err)
{
        static const char *const folders[] = {"etc/apt/apt.conf.d",
                                              "etc/apt/preferences.d",
                                              "etc/apt/sources.list.d",
                                              "var/lib/apt/lists/partial",
                                              "var/lib/dpkg",
                                              "var/cache/apt/archives/partial",
                                              "downloads"};
        const char *architecture = in->image->architecture;
        autobuf struct buf settings = {0};
        autofree char *list = sources(in), *text = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                autofree char *path = xasprintf("%s/%s", in->apt, folders[i]);
                if (dir_make(path, 0700, err) < 0)
                        return -1;
        }
        buf_printf(&settings, apt_settings, in->apt, architecture, architecture);
        if (in->proxy)
                buf_printf(&settings, "Acquire::http::Proxy \"%s\";\nAcquire::https::Proxy \"%s\";\n", in->proxy, in->proxy);
        text = buf_take_string(&settings);
        return write_file(in->apt, "apt.conf", text, err) < 0 || write_file(in->apt, "var/lib/dpkg/status", "", err) < 0 ||
                               write_file(in->apt, "etc/apt/sources.list.d/installer.sources", list, err) < 0
                       ? -1
                       : 0;
}

static void on_line(void *userdata, const char *line);

/* Runs one of apt's programs; the caller explains a failure. */
static int apt(struct installer *in, char *const *argv, struct error *err)
{
        autofree char *cwd = xasprintf("%s/downloads", in->apt);
        const struct run_tool tool = {.argv = argv,
                                      .environment = in->environment,
                                      .cwd = cwd,
                                      .timeout = APT_TIMEOUT,
                                      .line = on_line,
                                      .userdata = in};

        return run_tool(in->run, &tool, err);
}

/* "Err:2 URL SUITE/COMPONENT ARCHITECTURE NAME ARCHITECTURE VERSION": what could not be downloaded. */
static void on_line(void *userdata, const char *line)
{
        struct installer *in = userdata;
        autostrv char **words = str_has_prefix(line, "Err:") ? strv_split(line, " ") : NULL;

        if (words && strv_length(words) >= 5 && !strv_contains(in->missing, words[4]))
                strv_add(&in->missing, words[4]);
}

int installer_update(struct installer *in, struct error *err)
{
        char *const argv[] = {"apt-get", "-q", "update", NULL};

        if (prepare(in, err) < 0)
                return -1;
        return apt(in, argv, err) < 0 ? run_explain_cause(in->run, in->request->folder, err) : 0;
}

/* ---- the installer itself */

static int copy_file(const char *from, const char *folder, const char *name, struct error *err)
{
        autofree char *to = xasprintf("%s/%s", folder, name);
        size_t n;
        autofree char *data = file_read(from, FILE_MAX_BYTES, &n, err);

        return data ? file_write_atomic(to, 0600, data, n, err) : -1;
}

/* The one package that was downloaded. Owned. */
static char *downloaded(const struct installer *in, struct error *err)
{
        autofree char *folder = xasprintf("%s/downloads", in->apt), *found = NULL;
        DIR *d = opendir(folder);

        for (struct dirent *e; d && !found && (e = readdir(d));)
                if (fnmatch("*.deb", e->d_name, 0) == 0)
                        found = xasprintf("%s/%s", folder, e->d_name);
        if (d)
                closedir(d);
        if (!found)
                error_set(err, ERR_FAILED, "apt has downloaded nothing");
        return take_ptr(found);
}

/* Where debian-installer-netboot-images puts the text installer. */
static int take_images(struct installer *in, const char *tree, struct error *err)
{
        autofree char *images = xasprintf("%s/usr/lib/debian-installer/images/%s/%s/text/debian-installer/%s", tree,
                                          in->image->version, in->image->architecture, in->image->architecture);
        autofree char *kernel = xasprintf("%s/linux", images), *initrd = xasprintf("%s/initrd.gz", images);

        return copy_file(kernel, in->target, "kernel", err) < 0 || copy_file(initrd, in->target, "initrd", err) < 0
                       ? error_prefix(err, "package '%s' has no text installer for %s", in->image->installer_package,
                                      in->image->architecture)
                       : 0;
}

static int fetch_package(struct installer *in, struct error *err)
{
        char *const get[] = {"apt-get", "-q", "download", in->image->installer_package, NULL};
        autofree char *package = NULL, *tree = xasprintf("%s/tree", in->work);
        char *unpack[] = {"dpkg-deb", "-x", NULL, tree, NULL};
        const struct run_tool tool = {.argv = unpack, .environment = in->environment, .timeout = APT_TIMEOUT};

        if (apt(in, get, err) < 0)
                return run_explain_cause(in->run, in->request->folder, err);
        package = unpack[2] = downloaded(in, err);
        if (!package)
                return -1;
        if (run_tool(in->run, &tool, err) < 0)
                return run_explain_cause(in->run, in->request->folder, err);
        if (take_images(in, tree, err) < 0 || tree_remove(tree, err) < 0)
                return -1;
        return unlink(package) < 0 ? error_errno(err, errno, "removing '%s'", package) : 0;
}

int installer_fetch(struct installer *in, struct error *err)
{
        if (in->image->installer_package)
                return fetch_package(in, err);
        return copy_file(in->image->installer_kernel, in->target, "kernel", err) < 0 ||
                               copy_file(in->image->installer_initrd, in->target, "initrd", err) < 0
                       ? error_prefix(err, "the installer of image '%s'", in->image->name)
                       : 0;
}

/* ---- what it will fetch */

/* The index of components, as apt has stored it. Owned. */
static char *read_index(const struct installer *in, struct error *err)
{
        autofree char *folder = xasprintf("%s/var/lib/apt/lists", in->apt), *found = NULL;
        DIR *d = opendir(folder);

        for (struct dirent *e; d && !found && (e = readdir(d));)
                if (fnmatch("*_debian-installer_binary-*_Packages", e->d_name, 0) == 0)
                        found = xasprintf("%s/%s", folder, e->d_name);
        if (d)
                closedir(d);
        if (!found) {
                error_set(err, ERR_NOT_FOUND, "the mirror '%s' has no installer components: choose another one with --mirror",
                          in->plan->sources[0].uri);
                return NULL;
        }
        return file_read(found, INDEX_MAX, NULL, err);
}

/* Of the initrd: which components are in it, owned; and in->locales. */
static char *read_installed(struct installer *in, struct error *err)
{
        autofree char *path = xasprintf("%s/initrd", in->target);
        autobuf struct buf unpacked = {0};
        char *status;

        if (initrd_load(path, &unpacked, err) < 0)
                return NULL;
        in->locales = initrd_find(buf_head(&unpacked), buf_size(&unpacked), "etc/SUPPORTED-short", NULL);
        if (!in->locales) /* one that has no localechooser */
                in->locales = xstrdup("");
        status = initrd_find(buf_head(&unpacked), buf_size(&unpacked), "var/lib/dpkg/status", err);
        if (!status)
                error_prefix(err, "%s", in->image->installer_initrd ? in->image->installer_initrd : in->image->installer_package);
        return status;
}

static int tell_missing(const struct installer *in, const char *kernel, struct error *err)
{
        size_t n = strv_length(in->missing);
        autostrv char **shown = NULL;
        autofree char *names = NULL;

        for (size_t i = 0; i < n && i < MISSING_SHOWN; i++)
                strv_add(&shown, in->missing[i]);
        names = strv_join(shown, ", ");
        return error_set(
                err, ERR_UNSUPPORTED,
                "the mirror '%s' cannot deliver %zu of the components that the installer (kernel %s) needs (%s%s): choose "
                "another one with --mirror, name another installer in the image, or leave out --method installer",
                in->plan->sources[0].uri, n, kernel, names, n > MISSING_SHOWN ? ", ..." : "");
}

int installer_check_components(struct installer *in, struct error *err)
{
        autofree char *index = read_index(in, err), *installed = index ? read_installed(in, err) : NULL, *kernel = NULL;
        autostrv char **argv = NULL;
        struct udebs udebs;
        int result;

        if (!installed)
                return -1;
        if (udebs_read(&udebs, index, installed, err) < 0)
                return error_prefix(err,
                                    "mirror '%s' does not fit the installer; choose another mirror with --mirror, name another "
                                    "installer in the image, or leave out --method installer",
                                    in->plan->sources[0].uri);
        for (const char *const *s = (const char *const[]){"apt-get", "-q", "download", NULL}; *s; s++)
                strv_add(&argv, *s);
        for (char **u = udebs.wanted; u && *u; u++)
                strv_add(&argv, *u);
        kernel = xstrdup(udebs.kernel);
        result = udebs.wanted ? apt(in, argv, err) : 0;
        udebs_done(&udebs);
        if (result == 0)
                return 0;
        return in->missing ? tell_missing(in, kernel, err) : run_explain_cause(in->run, in->request->folder, err);
}

int installer_check_packages(struct installer *in, struct error *err)
{
        autostrv char **argv = NULL;

        /* A repository of the preseed's own may have what the archive does not. */
        for (size_t i = 0; i < in->plan->n_sources; i++)
                if (in->plan->sources[i].local)
                        return 0;
        for (const char *const *s =
                     (const char *const[]){"apt-get", "-q", "--simulate", "--no-install-recommends", "install", NULL};
             *s; s++)
                strv_add(&argv, *s);
        for (char **p = in->plan->packages; p && *p; p++)
                strv_add(&argv, *p);
        return apt(in, argv, err) < 0 ? run_explain_cause(in->run, in->request->folder, err) : 0;
}
