/* SPDX-License-Identifier: MIT */
/* initvm chroot: root filesystems in the VM, of any Debian architecture. */
#include "cli/chroot.h"
#include "cli/chroot_call.h"
#include "cli/vm.h"

#include <stdio.h>

int chroot_tell_made(const struct invocation *inv, char **lines, const char *verb, struct error *err)
{
        autojson struct json_object *record = chroot_record(lines, err), *whole = NULL;
        autofree char *prefix = vm_prefix(inv);

        if (!record)
                return -1;
        if (inv->json) {
                whole = json_new();
                json_add(whole, "chroot", json_object_get(record));
                printf("%s\n", json_line(whole));
                return 0;
        }
        printf("%s '%s': %s, %s, %s\n", verb, json_get_string(record, "name", "?"),
               json_get_string(record, "suite", "suite unknown"), json_get_string(record, "architecture", "architecture unknown"),
               format_size(json_get_u64(record, "size", 0)));
        printf("next: %s chroot shell %s\n", prefix, json_get_string(record, "name", "?"));
        return 0;
}

static const struct command *const subcommands[] = {
        &command_chroot_create, &command_chroot_build,  &command_chroot_list,   &command_chroot_show,
        &command_chroot_shell,  &command_chroot_run,    &command_chroot_clone,  &command_chroot_rename,
        &command_chroot_remove, &command_chroot_export, &command_chroot_import, NULL,
};

const struct command command_chroot = {
        .name = "chroot",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM,
        .summary = "make, use and keep chroots in the VM",
        .words = "create|build|list|show|shell|run|clone|rename|remove|export|import",
        .subcommands = subcommands,
        .description = "A chroot is a root filesystem in the VM, of any Debian architecture: programs of another one run by "
                       "emulation, and "
                       "without being started in a special way. It is never changed while it is used: each run and each shell "
                       "works on an "
                       "overlay, and what it has changed is discarded or saved as a chroot at its end.\n"
                       "From inside nothing of the VM is seen but its kernel and its network. From the VM all of it is seen: "
                       "processes, and "
                       "files below /run/initvm/chroots.",
        .examples = "initvm chroot create box --arch armhf --suite bookworm\n"
                    "initvm chroot run box -- dpkg --print-architecture\n"
                    "initvm chroot run box --save-as box-gcc -- apt-get install -y gcc\n"
                    "initvm chroot shell box",
};
