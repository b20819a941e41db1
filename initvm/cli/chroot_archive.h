/* SPDX-License-Identifier: MIT */
/* Root filesystems between the host's files and chroots in the VM. What is compressed or packed here is so in a child (filter.h).
 */
#pragma once

#include "cli/command.h"

/* Makes the chroot inv->operands[0] from an archive, compressed or not, a folder, or "-", standard input. `verb` for what is
 * told. */
int chroot_import_from(const struct invocation *inv, const char *from, const char *verb, struct error *err);

/* Writes the chroot inv->operands[0] to an archive: the file appears when it is whole. "-" is standard output, uncompressed. */
int chroot_export_to(const struct invocation *inv, const char *to, struct error *err);

/* What a tree comes from: an archive, compressed or not, or a folder. */
struct chroot_source {
        const char *path; /* for messages */
        int fd;
        bool folder;
};

/* Both run a command of the agent's keeper of chroots (`words`, chroot_call.h) with an archive: as its standard input, with what
 * it answers in *ret (owned); from its standard output, compressed by a method of archive/compress.h. */
int chroot_send(const struct invocation *inv, char **words, const struct chroot_source *source, char ***ret, struct error *err);
int chroot_receive(const struct invocation *inv, char **words, int fd, const char *method, const char *cancelled,
                   struct error *err);
