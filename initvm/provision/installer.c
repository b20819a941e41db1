/* SPDX-License-Identifier: MIT */
/* The stages of the installer's way in their order, up to what the daemon boots. */
#include "provision/installer.h"

#include "base/file.h"
#include "base/util.h"
#include "provision/host.h"
#include "provision/installed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* qemu-img writes a few hundred bytes. */
#define TOOL_TIMEOUT 60

/*
 * For the kernel: the installer's simplest frontend, without translations whatever language is installed, so that what it shows
 * can be read; each question by its name in the log (cdebconf: DEBCONF_DEBUG); no screen(1), which would paint over it.
 */
#define COMMAND_LINE "DEBIAN_FRONTEND=text TERM=dumb DEBCONF_DROP_TRANSLATIONS=1 DEBCONF_DEBUG=developer"

static const struct host_tool tools[] = {
        {"apt-get", "apt", false},
        {"dpkg-deb", "dpkg", false},
        {"qemu-img", "qemu-utils", false},
};

static void set_environment(struct installer *in)
{
        static const char *const passed[] = {"HOME",       "http_proxy",  "https_proxy", "no_proxy",
                                             "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",    RUN_FOLDER_VARIABLE};

        strv_add(&in->environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        strv_add(&in->environment, "LC_ALL=C.UTF-8");
        strv_add(&in->environment, "TERM=dumb");
        strv_addf(&in->environment, "APT_CONFIG=%s/apt.conf", in->apt);
        for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
                if (getenv(passed[i]))
                        strv_addf(&in->environment, "%s=%s", passed[i], getenv(passed[i]));
}

static int make_plan(struct installer *in, struct error *err)
{
        const struct plan_overrides overrides = {.name = in->request->name, .mirror = in->request->mirror};
        size_t n;

        in->image = image_load(in->request->image, err);
        if (!in->image)
                return -1;
        if (!in->image->installer_package && !in->image->installer_kernel)
                return error_set(err, ERR_UNSUPPORTED,
                                 "image '%s' names no installer: choose another image, or leave out --method installer",
                                 in->image->name);
        /* Its GRUB needs UEFI firmware from the installer on, which the VM does not have. */
        if (!streq(in->image->architecture, "amd64"))
                return error_set(err, ERR_UNSUPPORTED,
                                 "there is no installer for %s here, only for amd64: leave out --method installer",
                                 in->image->architecture);
        in->preseed_text = file_read(in->request->preseed, PRESEED_FILE_MAX, &n, err);
        if (!in->preseed_text)
                return -1;
        in->preseed = preseed_parse(in->request->preseed, in->preseed_text, n, err);
        if (!in->preseed)
                return -1;
        in->plan = installed_plan(in->image, in->preseed, &overrides, err);
        return in->plan ? 0 : -1;
}

/* What the caller says comes before the preseed, which comes before the environment. */
static int choose_proxy(struct installer *in, struct error *err)
{
        const char *environment = getenv("http_proxy");
        autofree char *rewritten = NULL;

        in->proxy = in->request->proxy ? in->request->proxy : in->plan->proxy;
        if (!in->proxy && environment && *environment)
                in->proxy = environment;
        if (in->proxy && !plan_url_valid(in->proxy))
                return error_set(err, ERR_INVALID, "the proxy '%s' is not a URL such as http://proxy:3128/", in->proxy);
        rewritten = in->proxy ? installer_guest_url(in->proxy) : NULL;
        if (rewritten) {
                autofree char *text =
                        xasprintf("the proxy '%s' is this host, which the installer reaches as '%s'", in->proxy, rewritten);
                run_warning(in->run, text);
        }
        return 0;
}

static int check(struct installer *in, struct error *err)
{
        struct stat st;

        if (host_check_tools(tools, ARRAY_SIZE(tools), geteuid() == 0, err) < 0 || host_check_space(in->request->folder, err) < 0)
                return -1;
        if (stat(in->image->keyring, &st) < 0)
                return error_set(err, ERR_NOT_FOUND, "the archive's keys '%s' are missing; install them with: apt install %s",
                                 in->image->keyring, in->image->keyring_package);
        /* QEMU, perhaps another user, opens what is in it. */
        return dir_make(in->work, 0700, err) < 0 || dir_make(in->apt, 0700, err) < 0 ||
                               dir_make(in->target, geteuid() == 0 ? 0711 : 0700, err) < 0
                       ? -1
                       : 0;
}

static int make_disk(struct installer *in, struct error *err)
{
        autofree char *image = xasprintf("%s/buildenv.img", in->request->folder);
        autofree char *size = xasprintf("%llu", (unsigned long long)(in->request->size ? in->request->size : in->image->size));
        char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", image, size, NULL};
        const struct run_tool tool = {.argv = argv, .environment = in->environment, .timeout = TOOL_TIMEOUT};

        umask(077);
        return run_tool(in->run, &tool, err) < 0 ? run_explain_cause(in->run, in->request->folder, err) : 0;
}

static int stages(struct installer *in, struct error *err)
{
        run_stage(in->run, "check", "checking what is needed");
        if (make_plan(in, err) < 0 || check(in, err) < 0 || choose_proxy(in, err) < 0)
                return -1;
        set_environment(in);
        run_stage(in->run, "mirror", "verifying the mirror's indexes");
        if (installer_update(in, err) < 0 || installer_check_packages(in, err) < 0)
                return -1;
        run_stage(in->run, "installer", "fetching the installer");
        if (installer_fetch(in, err) < 0)
                return -1;
        run_stage(in->run, "components", "looking for all components that the installer will need");
        if (installer_check_components(in, err) < 0)
                return -1;
        return installer_append(in, err) < 0 ? -1 : make_disk(in, err);
}

/* What the daemon needs for the installation. */
static struct json_object *result(const struct installer *in)
{
        struct json_object *o = json_new();

        json_add_string(o, "hostname", in->plan->hostname);
        json_add_string(o, "architecture", in->image->architecture);
        json_add_string(o, "suite", in->image->suite);
        json_add_string(o, "commandLine", COMMAND_LINE);
        return o;
}

int installer_run(struct run *run, const struct installer_request *request, struct json_object **ret, struct error *err)
{
        struct installer in = {
                .run = run,
                .request = request,
                .work = xasprintf("%s/work", request->folder),
                .apt = xasprintf("%s/work/apt", request->folder),
                .target = xasprintf("%s/installer", request->folder),
        };
        struct error clean = ERROR_INIT;
        int done = stages(&in, err);

        if (tree_remove(in.work, &clean) < 0 && done == 0) {
                *err = clean;
                done = -1;
        }
        if (done == 0) {
                run_stage(run, NULL, NULL);
                *ret = result(&in);
        } else {
                autofree char *image = xasprintf("%s/buildenv.img", request->folder);

                unlink(image);
                tree_remove(in.target, NULL);
        }
        plan_free(in.plan);
        preseed_free(in.preseed);
        image_free(in.image);
        strv_free(in.environment);
        strv_free(in.missing);
        free(in.preseed_text);
        free(in.locales);
        free(in.work);
        free(in.apt);
        free(in.target);
        return done;
}
