/* SPDX-License-Identifier: MIT */
/*
 * Errors as values.  A function that can fail takes `struct error *err` last and returns 0 or -1 (or a pointer and
 * NULL); on failure it has filled *err.  Each level may put its own context before the message with error_prefix();
 * whoever ends the journey (a program's main, a method handler) prints it once.
 *
 * One table in error.c maps a code to its name on the wire and to the exit status of the CLI.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

enum error_code {
        ERR_NONE = 0,
        ERR_FAILED,         /* something went wrong that has no better code */
        ERR_INVALID,        /* the caller's input is not acceptable */
        ERR_NOT_FOUND,      /* what was named does not exist */
        ERR_EXISTS,         /* what was to be made is already there */
        ERR_STATE,          /* the object is in a state that does not allow it (VM not running, busy) */
        ERR_DENIED,         /* permission */
        ERR_NO_SPACE,       /* the host's disk or the image is full */
        ERR_TIMEOUT,        /* a named deadline passed */
        ERR_CANCELLED,      /* the user asked to stop */
        ERR_PROTOCOL,       /* the peer broke the protocol */
        ERR_UNSUPPORTED,    /* known, and not possible here */
        ERR_DISCONNECTED,   /* the peer went away */
        ERR_NOT_EXECUTABLE, /* exec: found, but cannot be executed (exit status 126) */
        ERR_NO_COMMAND,     /* exec: not found (exit status 127) */
        _ERR_MAX,
};

/* A message longer than this is cut; it holds a sentence and, for a failed step, the last lines of its output. */
#define ERROR_MESSAGE_MAX 4096

struct error {
        enum error_code code;
        char message[ERROR_MESSAGE_MAX];
};

#define ERROR_INIT                                                                                                               \
        {                                                                                                                        \
                .code = ERR_NONE, .message = ""                                                                                  \
        }

/* Fills *err and returns -1, so that callers can `return error_set(err, ...)`.  err may be NULL (then only -1). */
int error_set(struct error *err, enum error_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same with ": <strerror(errnum)>" appended; the code follows from errnum (ENOENT: ERR_NOT_FOUND, EACCES and
 * EPERM: ERR_DENIED, ENOSPC and EDQUOT: ERR_NO_SPACE, EEXIST: ERR_EXISTS, else ERR_FAILED). */
int error_errno(struct error *err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " before the message that is already there; returns -1. */
int error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The Varlink error name of a code ("org.initvm.NotFound"); the code of such a name (ERR_FAILED when unknown). */
const char *error_wire_name(enum error_code code);
enum error_code error_from_wire_name(const char *name);

/* The exit status of an `initvm` command that ended with this code (0, 1 or 2), and of the commands that pass on
 * another program's status (exec): 125, 126, 127 or 124. */
int error_exit_status(enum error_code code);
int error_exec_status(enum error_code code);

/* Static analysers see one file at a time; this tells them, and the compiler, that these always return -1. */
static inline int error_result(void)
{
        return -1;
}
#define error_set(...)    ((error_set)(__VA_ARGS__), error_result())
#define error_errno(...)  ((error_errno)(__VA_ARGS__), error_result())
#define error_prefix(...) ((error_prefix)(__VA_ARGS__), error_result())
