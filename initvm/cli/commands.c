/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "cli/text.h"

const struct command *const commands[] = {
        &command_create,     &command_start,      &command_stop,
        &command_restart,    &command_ensure,     &command_destroy,
        &command_status,     &command_list,       &command_images,
        &command_disk,       &command_snapshot,   &command_reset,
        &command_clone,      &command_exec,       &command_shell,
        &command_cp,         &command_attach,     &command_ssh,
        &command_ssh_config, &command_proxy,      &command_forward,
        &command_daemon,     &command_submit,     &command_job,
        &command_chroot,     &command_cache,      &command_ps,
        &command_binfmt,     &command_run,        &command_help,
        &command_version,    &command_completion, NULL,
};

char *command_full_name(const struct command *c)
{
        return c->parent ? xasprintf("%s %s", c->parent->name, c->name) : xstrdup(c->name);
}

/* *ret_nearest: what was probably meant, or NULL. */
static const struct command *find(const struct command *const *table, const char *name, const char **ret_nearest)
{
        autofree const char **names = NULL;
        size_t n = 0;

        for (size_t i = 0; table[i]; i++) {
                if (streq(table[i]->name, name) || streq(table[i]->alias, name))
                        return table[i];
                names = xrealloc(names, n + 2, sizeof(*names));
                names[n++] = table[i]->name;
                if (table[i]->alias)
                        names[n++] = table[i]->alias;
        }
        *ret_nearest = text_nearest(name, names, n);
        return NULL;
}

const struct command *command_find(const char *name, struct error *err)
{
        const char *nearest = NULL;
        const struct command *c = find(commands, name, &nearest);

        if (!c && nearest)
                error_set(err, ERR_INVALID, "'%s' is not a command; did you mean '%s'?", name, nearest);
        else if (!c)
                error_set(err, ERR_INVALID, "'%s' is not a command; 'initvm help' lists them", name);
        return c;
}

const struct command *command_find_sub(const struct command *family, const char *name, struct error *err)
{
        const char *nearest = NULL;
        const struct command *c = name ? find(family->subcommands, name, &nearest) : NULL;

        if (!name)
                error_set(err, ERR_INVALID, "something is missing behind '%s': one of %s", family->name, family->words);
        else if (!c && nearest)
                error_set(err, ERR_INVALID, "'%s' is not a command of '%s'; did you mean '%s'?", name, family->name, nearest);
        else if (!c)
                error_set(err, ERR_INVALID, "'%s' is not a command of '%s': it is one of %s", name, family->name, family->words);
        return c;
}
