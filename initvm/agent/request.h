/* SPDX-License-Identifier: MIT */
/* Reading what the host asks for: bytes in, a checked request out; nothing is done here. */
#pragma once

#include "base/address.h"
#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What execve(2) would refuse is refused there; these bound what we keep in lists. */
#define EXEC_ARGUMENTS_MAX   8192
#define EXEC_ENVIRONMENT_MAX 1024

#define UPDATE_SIZE_MAX ((uint64_t)64 << 20) /* a static program; more is not one of ours */

/* Size of a terminal as of TIOCSWINSZ, ioctl_tty(2); 0 where it is not known. */
struct terminal_size {
        uint16_t rows;
        uint16_t columns;
};

enum request_kind {
        REQUEST_ACCEPT,
        REQUEST_CONNECT,
        REQUEST_EXEC,
        REQUEST_GET_INFO,
        REQUEST_LISTEN,
        REQUEST_SHUTDOWN,
        REQUEST_UPDATE
};

struct request {
        enum request_kind kind;
        struct {
                char **argv;        /* at least one, the first not empty; none at all with `login` */
                bool login;         /* the user's login shell */
                char **environment; /* "NAME=value" each; NULL when there is none */
                char *cwd;          /* absolute; NULL: the user's home */
                char *user;         /* NULL: the agent's */
                char *terminal;     /* for TERM, not empty; NULL: pipes, no terminal */
                struct terminal_size size;
        } exec;
        struct {
                const char *mode; /* "poweroff" or "reboot": the systemctl(1) verb */
        } shutdown;
        struct {
                uint64_t size; /* bytes, 1 to UPDATE_SIZE_MAX */
        } update;
        struct address address; /* of connect (its port is not 0) and listen */
        uint64_t connection;    /* of accept */
};

/* Reads the payload of an OPEN frame strictly. Not a call: ERR_PROTOCOL; a method that is not known: ERR_UNSUPPORTED; parameters
 * that are not right: ERR_INVALID. */
int request_read(const void *call, size_t n, struct request *ret, struct error *err);
void request_done(struct request *request);

/* What the host may say while a command runs: {"signal": N} or {"resize": {"rows": N, "columns": N}}. */
struct request_message {
        int signo; /* 0: the size is meant */
        struct terminal_size size;
};
int request_read_message(struct json_object *message, struct request_message *ret, struct error *err);
