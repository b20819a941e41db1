/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "cli/text.h"

const struct command *const commands[] = {
        &command_create, &command_start,   &command_stop,       &command_restart, &command_ensure,  &command_destroy,
        &command_status, &command_list,    &command_images,     &command_exec,    &command_shell,   &command_cp,
        &command_attach, &command_ssh,     &command_ssh_config, &command_proxy,   &command_forward, &command_daemon,
        &command_help,   &command_version, &command_completion, &command_binfmt,  &command_run,     NULL,
};

const struct command *command_find(const char *name, struct error *err)
{
        const char *names[2 * ARRAY_SIZE(commands)];
        const char *nearest;
        size_t n = 0;

        for (size_t i = 0; commands[i]; i++) {
                if (streq(commands[i]->name, name) || streq(commands[i]->alias, name))
                        return commands[i];
                names[n++] = commands[i]->name;
                if (commands[i]->alias)
                        names[n++] = commands[i]->alias;
        }
        nearest = text_nearest(name, names, n);
        if (nearest)
                error_set(err, ERR_INVALID, "'%s' is not a command; did you mean '%s'?", name, nearest);
        else
                error_set(err, ERR_INVALID, "'%s' is not a command; 'initvm help' lists them", name);
        return NULL;
}
