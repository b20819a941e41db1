/* SPDX-License-Identifier: MIT */
/*
 * The command line, parsed by tables.  An option is named in one place, its table; parsing, help, completion and the look-ups
 * of a command all go by it.
 */
#pragma once

#include "base/error.h"
#include "base/util.h"

enum option_type {
        OPTION_FLAG,    /* no argument */
        OPTION_SWITCH,  /* alone, "=yes" or "=no" */
        OPTION_STRING,  /* any text but the empty one */
        OPTION_FILE,    /* a string that completes to files */
        OPTION_VM,      /* a string that completes to names of VMs */
        OPTION_LIST,    /* a string; may be given several times */
        OPTION_CHOICE,  /* one of the words that `argument` lists: "auto|kvm|tcg" */
        OPTION_NUMBER,  /* a whole number of 1 or more */
        OPTION_SIZE,    /* "64G": bytes */
        OPTION_SECONDS, /* whole seconds, looked up as milliseconds */
};

struct option_spec {
        const char *name; /* without the dashes; NULL ends a table */
        char letter;      /* or 0 */
        enum option_type type;
        const char *argument; /* what help calls the argument; NULL for a flag */
        const char *help;
};

struct argument {
        const struct option_spec *option;
        const char *text; /* borrowed from argv; NULL for a flag */
        uint64_t number;  /* of OPTION_NUMBER, OPTION_SIZE, OPTION_SECONDS */
};

struct arguments {
        struct argument *given; /* in their order */
        size_t n_given;
        char **operands; /* owned strings; NULL when there are none */
};

/* A size below this is taken for a forgotten unit. */
#define OPTION_SIZE_MIN    (1u << 20)
#define OPTION_SECONDS_MAX (24u * 3600) /* the daemon's limit as well */

/* How far a command line is looked at. */
enum arguments_end {
        ARGUMENTS_ALL,        /* to its end; behind "--" are only operands */
        ARGUMENTS_TO_OPERAND, /* to the first operand, with a "--" in front of it */
        ARGUMENTS_TO_DASHES,  /* to the first "--", which is taken */
};

/* Parses argv (NULL-terminated, without a program name) by two tables (either may be NULL). *ret_used counts what was consumed,
 * the rest is left in argv. ERR_INVALID names the option. */
int arguments_parse(struct arguments *a, char *const *argv, const struct option_spec *common, const struct option_spec *own,
                    enum arguments_end end, size_t *ret_used, struct error *err);
void arguments_done(struct arguments *a);

/* Look-ups by name: the last one given counts. */
bool arguments_flag(const struct arguments *a, const char *name);
bool arguments_switch(const struct arguments *a, const char *name, bool fallback);
const char *arguments_text(const struct arguments *a, const char *name, const char *fallback);
uint64_t arguments_number(const struct arguments *a, const char *name, uint64_t fallback);
char **arguments_list(const struct arguments *a, const char *name); /* owned; NULL when not given */
