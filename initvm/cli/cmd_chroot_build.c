/* SPDX-License-Identifier: MIT */
/* initvm chroot build: a new chroot by a Dockerfile of the host, on chroots that are there. */
#include "archive/build_stream.h"
#include "base/file.h"
#include "cli/chroot.h"
#include "cli/chroot_call.h"
#include "cli/filter.h"

#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What Docker and podman look for. */
static const char *const default_names[] = {"Dockerfile", "Containerfile"};

struct source {
        const char *context;
        char *text;
};

/* In a child. */
static int write_source(const void *userdata, int fd, struct error *err)
{
        const struct source *s = userdata;

        setlocale(LC_CTYPE, "C.UTF-8"); /* rootfs.h */
        return build_stream_write(s->text, s->context, fd, err);
}

/* The path of the Dockerfile: owned; NULL when there is none. */
static char *find_dockerfile(const struct invocation *inv, const char *context)
{
        const char *named = arguments_text(&inv->arguments, "file", NULL);

        if (named)
                return xstrdup(named);
        for (size_t i = 0; i < ARRAY_SIZE(default_names); i++) {
                autofree char *candidate = xasprintf("%s/%s", context, default_names[i]);

                if (access(candidate, F_OK) == 0)
                        return take_ptr(candidate);
        }
        return NULL;
}

/* Owned; NULL on failure. */
static char *read_dockerfile(const struct invocation *inv, const char *context, struct error *err)
{
        autofree char *path = find_dockerfile(inv, context);

        if (path)
                return file_read(path, BUILD_DOCKERFILE_MAX, NULL, err);
        error_set(err, ERR_NOT_FOUND, "there is no Dockerfile in '%s'; name one with --file", context);
        return NULL;
}

static int call_agent(const struct invocation *inv, const struct source *source, char ***ret_lines, struct error *err)
{
        autostrv char **words = chroot_argv("build"), **arguments = arguments_list(&inv->arguments, "build-arg");
        struct chroot_call call = {.output = -1, .cancelled = "nothing was left behind"};
        struct filter f = FILTER_INIT;

        for (char **argument = arguments; argument && *argument; argument++) {
                if (!strchr(*argument, '='))
                        return error_set(err, ERR_INVALID, "'--build-arg %s' must be NAME=VALUE", *argument);
                strv_addf(&words, "--build-arg=%s", *argument);
        }
        if (!arguments_switch(&inv->arguments, "accelerate", true))
                strv_add(&words, "--no-native");
        strv_add(&words, "--");
        strv_add(&words, inv->operands[0]);
        if (filter_start(&f, write_source, source, false, err) < 0)
                return -1;
        call.words = words;
        call.input = f.fd;
        return filter_join(&f, chroot_call(inv, &call, ret_lines, err), err);
}

static int run(const struct invocation *inv, struct error *err)
{
        const char *context = inv->operands[1];
        autostrv char **lines = NULL;
        struct stat st;
        int r;

        if (stat(context, &st) < 0)
                return error_errno(err, errno, "cannot read '%s'", context);
        if (!S_ISDIR(st.st_mode))
                return error_set(err, ERR_INVALID, "'%s' is no folder; name the one that the Dockerfile copies from", context);
        struct source source = {.context = context, .text = read_dockerfile(inv, context, err)};
        if (!source.text)
                return -1;
        r = call_agent(inv, &source, &lines, err);
        cleanup_free(&source.text);
        return r != 0 ? r : chroot_tell_made(inv, lines, "built", err);
}

static const struct option_spec options[] = {
        {.name = "file",
         .letter = 'f',
         .type = OPTION_FILE,
         .argument = "FILE",
         .help = "the Dockerfile (default: Dockerfile or Containerfile in CONTEXT)"},
        {.name = "build-arg",
         .type = OPTION_LIST,
         .argument = "NAME=VALUE",
         .help = "a value for an ARG of the Dockerfile; may be repeated"},
        ACCELERATE_OPTION,
        OPTION_JSON_HELP,
        {0},
};

const struct command command_chroot_build = {
        .name = "build",
        .parent = &command_chroot,
        .flags = COMMAND_VM | COMMAND_FILES,
        .summary = "make a chroot by a Dockerfile",
        .operands = "NAME CONTEXT",
        .min_operands = 2,
        .max_operands = 2,
        .options = options,
        .description =
                "buildah executes the Dockerfile in the VM, where it is installed when it is not there. FROM names a chroot "
                "of the VM, an earlier stage or 'scratch'; RUN works by emulation where that is of another architecture. "
                "CONTEXT is the folder that COPY and ADD take from; .dockerignore is honoured. Only the files become the chroot: "
                "what ENV, CMD, USER and the like set is not kept. Ctrl-C cancels and leaves nothing behind.\n"
                "With --json each line is a progress event, the last one {\"chroot\": ...}.",
        .examples = "initvm chroot build box-gcc ./box-gcc\n"
                    "initvm chroot build box2 -f Dockerfile.box --build-arg BASE=box .",
        .run = run,
};
