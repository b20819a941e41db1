/* SPDX-License-Identifier: MIT */
/* mmdebstrap's run: its command line, its progress, and what its failures mean. */
#include "provision/bootstrap.h"

#include "base/file.h"
#include "base/util.h"
#include "provision/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The longest step without a line of output is a large package's configuration, or mke2fs on a slow disk. */
#define INSTALL_TIMEOUT 900

/* Each package is downloaded, unpacked and configured; the essential ones come in a first round of about a quarter. */
#define STEPS_PER_PACKAGE 3
#define ROUND_ONE_PERCENT 25

/* The text is ours alone and the same for everybody: what belongs to a run comes through the environment and fds. */
static char hook_essential[] = "--essential-hook=\"$INITVM_PROVISION\" hook essential \"$1\"";
static char hook_customize[] = "--customize-hook=\"$INITVM_PROVISION\" hook customize \"$1\"";

static void install_line(void *userdata, const char *line)
{
        struct bootstrap *b = userdata;
        static const char newly[] = " newly installed, ";
        const char *found = strstr(line, newly);
        autofree char *text = NULL;
        unsigned percent, base = b->round > 1 ? ROUND_ONE_PERCENT : 0,
                          share = b->round > 1 ? 100 - ROUND_ONE_PERCENT : ROUND_ONE_PERCENT;
        unsigned upgraded;

        if (found && sscanf(line, "%u upgraded, %u newly", &upgraded, &b->installing) == 2) {
                b->round++;
                b->steps = 0;
                return;
        }
        if (!str_has_prefix(line, "Get:") && !str_has_prefix(line, "Unpacking ") && !str_has_prefix(line, "Setting up "))
                return;
        if (b->round == 0 || b->installing == 0)
                return;
        b->steps++;
        percent = base + MIN(share * b->steps / (STEPS_PER_PACKAGE * b->installing), share);
        if (str_has_prefix(line, "Get:"))
                text = xstrdup("downloading packages");
        else
                text = xstrndup(line, strcspn(line, "("));
        for (size_t n = strlen(text); n > 0 && text[n - 1] == ' ';)
                text[--n] = '\0';
        run_update(b->run, text, (int)percent);
}

/* The sources as the bootstrap reads them: the same as the machine's later, with keys where they are now. */
static char *write_sources(struct bootstrap *b, struct error *err)
{
        autostrv char **signed_by = NULL;
        autofree char *path = xasprintf("%s/sources", b->temporary), *own = NULL, *local = NULL, *all = NULL;

        for (size_t i = 0; i < b->plan->n_sources; i++) {
                const struct plan_source *s = &b->plan->sources[i];
                autofree char *key = xasprintf("%s/%s", b->keys, s->key ? s->name : "archive"), *data = NULL;
                bool ascii;

                /* apt tells the formats apart by the name's end. */
                data = file_read(key, 1024 * 1024, NULL, err);
                if (!data)
                        return NULL;
                ascii = str_has_prefix(data, "-----BEGIN PGP");
                strv_addf(&signed_by, "%s.%s", key, ascii ? "asc" : "gpg");
                if (link(key, signed_by[i]) < 0 && errno != EEXIST) {
                        error_errno(err, errno, "naming '%s'", key);
                        return NULL;
                }
        }
        own = plan_sources_text(b->plan, false, signed_by);
        local = plan_sources_text(b->plan, true, signed_by);
        all = xasprintf("%s%s", own, local);
        if (file_write_atomic(path, 0644, all, strlen(all), err) < 0)
                return NULL;
        return take_ptr(path);
}

static char **command(const struct bootstrap *b, const char *sources)
{
        char **argv = NULL;
        autofree char *packages = strv_join(b->plan->packages, ",");

        if (b->privileged)
                /* A mount and a process namespace of our own: nothing stays mounted, nobody stays alive, whoever is killed. */
                for (const char *const *s =
                             (const char *const[]){"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", NULL};
                     *s; s++)
                        strv_add(&argv, *s);
        strv_add(&argv, "mmdebstrap");
        strv_add(&argv, b->privileged ? "--mode=root" : "--mode=unshare");
        for (const char *const *s =
                     (const char *const[]){"--variant=apt", "--format=null", "--verbose", "--skip=cleanup",
                                           "--aptopt=Acquire::Languages \"none\"", "--aptopt=Acquire::Retries \"2\"",
                                           "--aptopt=Acquire::http::Timeout \"20\"", "--aptopt=Acquire::https::Timeout \"20\"",
                                           "--dpkgopt=force-unsafe-io", "--dpkgopt=force-confdef", "--dpkgopt=force-confold",
                                           NULL};
             *s; s++)
                strv_add(&argv, *s);
        if (b->plan->recommends)
                strv_add(&argv, "--aptopt=APT::Install-Recommends \"true\"");
        if (bootstrap_proxy(b))
                strv_addf(&argv, "--aptopt=Acquire::http::Proxy \"%s\"", bootstrap_proxy(b));
        strv_addf(&argv, "--architectures=%s", b->image->architecture);
        strv_addf(&argv, "--include=%s", packages);
        strv_add(&argv, hook_essential);
        strv_add(&argv, hook_customize);
        strv_add(&argv, b->image->suite);
        strv_add(&argv, "/dev/null");
        strv_add(&argv, sources);
        return argv;
}

static int open_new(const char *folder, const char *name, struct error *err)
{
        autofree char *path = xasprintf("%s/%s", folder, name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0)
                error_errno(err, errno, "making '%s'", path);
        return fd;
}

int bootstrap_install(struct bootstrap *b, struct error *err)
{
        autofree char *sources = write_sources(b, err);
        autostrv char **argv = NULL;
        autoclose int input = -1, program = -1, agent = -1, disk = -1, kernel = -1, initrd = -1;

        if (!sources)
                return -1;
        argv = command(b, sources);
        input = hook_input_save(b->request->image, b->request->preseed, b->preseed_text, &b->overrides, b->keys, &b->layout, err);
        if (input < 0 || (kernel = open_new(b->request->folder, "kernel", err)) < 0 ||
            (initrd = open_new(b->request->folder, "initrd", err)) < 0)
                return -1;
        program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        agent = open(b->request->agent, O_RDONLY | O_CLOEXEC);
        disk = open(b->raw, O_RDWR | O_CLOEXEC);
        if (program < 0 || disk < 0)
                return error_errno(err, errno, "preparing the bootstrap");
        if (agent < 0)
                return error_errno(err, errno, "opening the agent '%s'", b->request->agent);
        const struct process_fd fds[] = {
                {input, HOOK_FD_INPUT},     {b->run->report_write, HOOK_FD_REPORT},
                {program, HOOK_FD_PROGRAM}, {agent, HOOK_FD_AGENT},
                {disk, HOOK_FD_DISK},       {kernel, HOOK_FD_KERNEL},
                {initrd, HOOK_FD_INITRD},
        };
        /* mmdebstrap's own account of its course and of its end says nothing about a cause. */
        static const char *const noise[] = {
                "I: ", "E: setup failed", "E: mmdebstrap failed to run", "E: command failed", "E: run_chroot failed", NULL};
        const struct run_tool tool = {.argv = argv,
                                      .noise = noise,
                                      .name = "mmdebstrap",
                                      .environment = b->environment,
                                      .fds = fds,
                                      .n_fds = ARRAY_SIZE(fds),
                                      .cwd = "/",
                                      .timeout = INSTALL_TIMEOUT,
                                      .line = install_line,
                                      .userdata = b};

        run_stage(b->run, "bootstrap", "installing packages with mmdebstrap");
        return run_tool(b->run, &tool, err) < 0 ? run_explain_cause(b->run, b->request->folder, err) : 0;
}
