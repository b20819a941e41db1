/* SPDX-License-Identifier: MIT */
/* The operands of 'initvm cp' and 'initvm disk cp': SOURCE... DESTINATION, of which NAME:PATH and :PATH are in a VM. */
#pragma once

#include "cli/command.h"
#include "cli/copy.h"

struct copy_operand {
        char *vm;         /* NULL: the host; owned */
        bool stream;      /* "-" */
        const char *path; /* borrowed */
};

struct copy_operands {
        struct copy_operand *operands;
        size_t n;
        char **sources;
        char *target[2];
        struct copy copy; /* what they say, borrowing from all that */
};

/* ERR_INVALID: they do not go together. To be freed in either case; must not be moved. */
int copy_operands_parse(const struct invocation *inv, struct copy_operands *o, struct error *err);
void copy_operands_done(struct copy_operands *o);
