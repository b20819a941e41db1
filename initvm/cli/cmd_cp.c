/* SPDX-License-Identifier: MIT */
/* initvm cp: files between the host and VMs. Where they go is as with cp(1); how a path in a VM is written, as with scp(1). */
#include "archive/name.h"
#include "cli/commands.h"
#include "cli/copy.h"

#include <string.h>

/* One operand. */
struct place {
        char *vm; /* NULL: the host; owned */
        bool stream;
        const char *path; /* borrowed */
};

static int parse_place(const char *operand, const struct invocation *inv, struct place *ret, struct error *err)
{
        size_t n = strcspn(operand, ":/");

        *ret = (struct place){.path = operand, .stream = streq(operand, "-")};
        if (operand[n] != ':')
                return 0;
        ret->path = operand + n + 1;
        ret->vm = n > 0 ? xstrndup(operand, n) : xstrdup(inv->name);
        if (!vm_name_valid(ret->vm))
                return error_set(err, ERR_INVALID, "'%s' cannot be a VM's name; a file on the host is written './%s'", ret->vm,
                                 operand);
        return 0;
}

static void place_done(struct place *p)
{
        cleanup_free(&p->vm);
}

/* Each source comes from where the first one does. */
static int add_source(struct copy *copy, char ***paths, const struct place *p, struct error *err)
{
        autofree char *name = name_of_source(p->path);

        if (p->stream != copy->from.stream || !p->vm != !copy->from.vm || (p->vm && !streq(p->vm, copy->from.vm)))
                return error_set(err, ERR_INVALID,
                                 "the sources must all be on the host or all be in one VM; copy them one after the other");
        if (p->stream && *paths)
                return error_set(err, ERR_INVALID, "standard input can only be copied alone");
        for (char **other = *paths; other && *other; other++) {
                autofree char *other_name = name_of_source(*other);

                if (streq(name, other_name) && !streq(name, "."))
                        return error_set(err, ERR_INVALID, "two sources are called '%s': one would replace the other", name);
        }
        strv_add(paths, p->path);
        return 0;
}

static int check(const struct copy *copy, struct error *err)
{
        const struct copy_place *from = &copy->from, *to = &copy->to;

        if (!from->vm && !to->vm)
                return error_set(err, ERR_INVALID, "neither side is in a VM: write a path in it as NAME:PATH or :PATH");
        if (to->stream && from->paths[1])
                return error_set(err, ERR_INVALID, "only one file can be copied to standard output");
        if (to->stream || to->vm || *to->paths[0])
                return 0;
        return error_set(err, ERR_INVALID, "the destination is empty: '.' is this folder");
}

static int run_copy(const struct invocation *inv, struct place *places, size_t n, struct error *err)
{
        autostrv char **sources = NULL;
        char *const target[] = {(char *)places[n - 1].path, NULL};
        struct copy copy = {.from = {.vm = places[0].vm, .stream = places[0].stream},
                            .to = {.vm = places[n - 1].vm, .stream = places[n - 1].stream, .paths = target},
                            .user = arguments_text(&inv->arguments, "user", NULL),
                            .quiet = arguments_flag(&inv->arguments, "quiet")};

        for (size_t i = 0; i < n - 1; i++)
                if (add_source(&copy, &sources, &places[i], err) < 0)
                        return -1;
        copy.from.paths = sources;
        if (check(&copy, err) < 0)
                return -1;
        return copy_run(&copy, err);
}

static int run(const struct invocation *inv, struct error *err)
{
        size_t n = strv_length(inv->operands);
        autofree struct place *places = xcalloc(n, sizeof(*places));
        int status = 0;

        for (size_t i = 0; i < n && status == 0; i++)
                status = parse_place(inv->operands[i], inv, &places[i], err);
        if (status == 0)
                status = run_copy(inv, places, n, err);
        for (size_t i = 0; i < n; i++)
                place_done(&places[i]);
        return status;
}

static const struct option_spec options[] = {
        {.name = "user",
         .letter = 'u',
         .type = OPTION_STRING,
         .argument = "USER",
         .help = "read and write in the VM as this user (default: root)"},
        {.name = "quiet", .letter = 'q', .type = OPTION_FLAG, .help = "show no progress"},
        {0},
};

const struct command command_cp = {
        .name = "cp",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_FILES,
        .summary = "copy files and folders into or out of the VM",
        .operands = "SOURCE... DESTINATION",
        .min_operands = 2,
        .max_operands = 65536,
        .options = options,
        .description =
                "A path in a VM is written NAME:PATH, or :PATH for the VM of -n; a relative one begins in the user's home. '-' "
                "is "
                "standard input or output. A path on the host that has a colon before any slash is written './a:b'.\n"
                "Folders are copied whole. A destination that is a folder takes the sources under their names; several sources "
                "need "
                "one. A file appears under its name when it is whole. Modes and times are kept; owner is the user who writes.",
        .examples = "initvm cp hello :/srv\n"
                    "initvm cp build:/srv/hello_1.0_amd64.deb .\n"
                    "initvm cp :/etc/apt/sources.list -\n"
                    "tar c src | initvm cp - :src.tar",
        .run = run,
};
