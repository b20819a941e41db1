/* SPDX-License-Identifier: MIT */
/* initvm disk: the image of a VM that does not run. */
#include "cli/commands.h"
#include "cli/disk.h"

static const struct command *const subcommands[] = {
        &command_disk_info, &command_disk_check, &command_disk_resize, &command_disk_compact, &command_disk_ls,
        &command_disk_cat,  &command_disk_cp,    &command_disk_export, &command_disk_import,  NULL,
};

const struct command command_disk = {
        .name = "disk",
        .group = GROUP_MACHINE,
        .flags = COMMAND_VM,
        .summary = "look into, check, resize, export or import the disk of a VM",
        .words = "info|check|resize|compact|ls|cat|cp|export|import",
        .subcommands = subcommands,
        .description =
                "These work on buildenv.img while the VM is stopped; 'resize' also while it runs. Those that look into it start "
                "a small helper VM "
                "(libguestfs), which takes some seconds, under software emulation about half a minute. Whatever interrupts "
                "them, the disk is as it was or as it should be, and never between.",
        .examples = "initvm disk info\n"
                    "initvm disk resize 128G\n"
                    "initvm disk cat /var/log/syslog",
};
